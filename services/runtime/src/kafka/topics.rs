//! The topics: what each is for, how it must be set, made when missing and checked when there.
//!
//! `deploy/topics.yaml` says the same for those who make topics by other means; a test compares.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::client::{Cluster, Logged};
use super::error::Error;

/// Time for one question to the cluster.
const ASK_WITHIN: Duration = Duration::from_secs(20);

/// A topic of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Steps of business procedures, by case.
    Events,
    /// Verdicts, by case.
    Verdicts,
    /// The change log of lists and books.
    ListChanges,
    /// Whole records of verdicts, by case.
    CaseState,
    /// Events that got no verdict, and reports that were not taken.
    DeadLetters,
    /// What happens to cases besides their verdicts.
    CaseLog,
    /// Measures to be lifted, by case.
    LiftOrders,
    /// Reports of measures carried out, by case.
    Feedback,
    /// What each writer of verdicts has come to.
    Chain,
}

/// How a topic must be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is for.
    pub purpose: &'static str,
    /// Whether its partitions are those of the events; else there is one.
    pub by_case: bool,
    /// Settings it is made with. FENCED with `deploy/topics.yaml` by a test.
    pub settings: &'static [(&'static str, &'static str)],
    /// Those among them that an existing topic must have too: with others, records get lost.
    pub required: &'static [&'static str],
}

const KEEP_FOR_EVER: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("max.message.bytes", "16777216"),
    ("unclean.leader.election.enable", "false"),
];

impl Topic {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Events,
        Self::Verdicts,
        Self::ListChanges,
        Self::CaseState,
        Self::DeadLetters,
        Self::CaseLog,
        Self::LiftOrders,
        Self::Feedback,
        Self::Chain,
    ];

    /// Its name after the prefix.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Verdicts => "verdicts",
            Self::ListChanges => "list-changes",
            Self::CaseState => "case-state",
            Self::DeadLetters => "dead-letters",
            Self::CaseLog => "case-log",
            Self::LiftOrders => "lift-orders",
            Self::Feedback => "feedback",
            Self::Chain => "chain",
        }
    }

    /// How it must be set.
    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Self::Events => Rule {
                purpose: "steps of business procedures, keyed by case",
                by_case: true,
                settings: &[
                    ("cleanup.policy", "delete"),
                    ("retention.ms", "1209600000"),
                    ("unclean.leader.election.enable", "false"),
                ],
                // Compaction would keep only the last step of a case.
                required: &["cleanup.policy"],
            },
            Self::Verdicts => Rule {
                purpose: "verdicts, keyed by case",
                by_case: true,
                settings: &[
                    ("cleanup.policy", "delete"),
                    ("retention.ms", "15552000000"),
                    ("max.message.bytes", "16777216"),
                    ("unclean.leader.election.enable", "false"),
                ],
                required: &["cleanup.policy"],
            },
            Self::ListChanges => Rule {
                purpose: "the change log of lists and books, kept for ever",
                by_case: false,
                settings: KEEP_FOR_EVER,
                required: &["cleanup.policy", "retention.ms", "retention.bytes"],
            },
            Self::CaseState => Rule {
                purpose: "the whole record of each verdict, keyed by case and slot; for creditgate alone",
                by_case: true,
                settings: &[
                    ("cleanup.policy", "compact"),
                    ("max.message.bytes", "16777216"),
                    ("unclean.leader.election.enable", "false"),
                ],
                required: &["cleanup.policy"],
            },
            Self::DeadLetters => Rule {
                purpose: "events that got no verdict and reports that were not taken, each with its reason",
                by_case: true,
                settings: KEEP_FOR_EVER,
                required: &["cleanup.policy"],
            },
            Self::CaseLog => Rule {
                purpose: "everything that happens to cases besides their verdicts, in one order, kept for ever; for creditgate alone",
                by_case: false,
                settings: KEEP_FOR_EVER,
                required: &["cleanup.policy", "retention.ms", "retention.bytes"],
            },
            Self::LiftOrders => Rule {
                purpose: "measures to be lifted, keyed by case",
                by_case: true,
                settings: KEEP_FOR_EVER,
                // Compaction would keep only the last order of a case.
                required: &["cleanup.policy"],
            },
            Self::Feedback => Rule {
                purpose: "reports of measures carried out, keyed by case",
                by_case: true,
                settings: &[
                    ("cleanup.policy", "delete"),
                    ("retention.ms", "15552000000"),
                    ("unclean.leader.election.enable", "false"),
                ],
                // As with events: it would keep only the last report of a case.
                required: &["cleanup.policy"],
            },
            Self::Chain => Rule {
                purpose: "what each writer of verdicts has come to, and every segment it opened; for creditgate alone",
                by_case: true,
                settings: &[
                    ("cleanup.policy", "compact"),
                    ("unclean.leader.election.enable", "false"),
                ],
                // With anything else heads and openings would be forgotten.
                required: &["cleanup.policy"],
            },
        }
    }
}

/// What was found of the topics, or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Partitions of the topics that follow the events.
    pub partitions: u32,
    /// Those that were made now.
    pub made: Vec<Topic>,
    /// What works and should be looked at.
    pub warnings: Vec<String>,
}

/// What the cluster says of one topic.
struct Found {
    partitions: usize,
    copies: usize,
}

/// Makes the topics that are missing and checks those that are there.
///
/// # Errors
/// When the cluster does not answer, or a topic cannot serve; every fault is named.
pub async fn ensure(cluster: &Cluster) -> Result<Ready, Error> {
    let admin = admin(cluster)?;
    let (brokers, found) = look(cluster, &admin)?;
    let partitions = found
        .get(&Topic::Events)
        .map_or(cluster.settings().partitions, |events| {
            count(events.partitions)
        });
    let copies = copies(cluster, brokers);
    let mut warnings = Vec::new();
    if copies < 3 && cluster.settings().replication.is_none() {
        warnings.push(format!(
            "the cluster has {brokers} broker(s): topics are made with {copies} copies, and losing \
             a disk may lose verdicts; production wants 3"
        ));
    }
    let missing: Vec<Topic> = Topic::ALL
        .into_iter()
        .filter(|topic| !found.contains_key(topic))
        .collect();
    let made = make(cluster, &admin, &missing, partitions, copies).await?;
    // Another process may have made some of them at the same time, from another configuration.
    let found = match made.len() == Topic::ALL.len() {
        true => BTreeMap::new(),
        false => look(cluster, &admin)?.1,
    };
    let partitions = found
        .get(&Topic::Events)
        .map_or(partitions, |events| count(events.partitions));
    if !found.is_empty() {
        check(cluster, &admin, &found, partitions, &mut warnings).await?;
    }
    Ok(Ready {
        partitions,
        made,
        warnings,
    })
}

/// Deletes the topics with all that is in them. For those who made them for a while, as a benchmark
/// does; a service never deletes one. A topic that is not there is no error.
///
/// # Errors
/// When the cluster does not answer, or keeps a topic; every one is named.
pub async fn delete(cluster: &Cluster) -> Result<(), Error> {
    let names = Topic::ALL.map(|topic| cluster.topic(topic));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let options = AdminOptions::new()
        .request_timeout(Some(ASK_WITHIN))
        .operation_timeout(Some(ASK_WITHIN));
    let results = admin(cluster)?
        .delete_topics(&names, &options)
        .await
        .map_err(Error::asked("delete the topics of", cluster.name("*")))?;
    let faults: Vec<String> = results
        .into_iter()
        .filter_map(Result::err)
        .filter(|(_, code)| *code != RDKafkaErrorCode::UnknownTopicOrPartition)
        .map(|(name, code)| format!("topic `{name}` cannot be deleted: {code}"))
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::Topics(faults)),
    }
}

fn admin(cluster: &Cluster) -> Result<AdminClient<Logged>, Error> {
    cluster
        .client()
        .create_with_context(Logged)
        .map_err(|source| Error::Client {
            purpose: "administration",
            source,
        })
}

fn count(partitions: usize) -> u32 {
    u32::try_from(partitions).unwrap_or(u32::MAX)
}

fn copies(cluster: &Cluster, brokers: usize) -> u16 {
    cluster
        .settings()
        .replication
        .unwrap_or_else(|| u16::try_from(brokers.clamp(1, 3)).unwrap_or(1))
}

fn look(
    cluster: &Cluster,
    admin: &AdminClient<Logged>,
) -> Result<(usize, BTreeMap<Topic, Found>), Error> {
    let metadata = admin
        .inner()
        .fetch_metadata(None, ASK_WITHIN)
        .map_err(Error::asked(
            "ask the brokers (are they there?) for the topics of",
            cluster.settings().topic_prefix.as_str(),
        ))?;
    let mut found = BTreeMap::new();
    for topic in Topic::ALL {
        let name = cluster.topic(topic);
        if let Some(known) = metadata.topics().iter().find(|known| known.name() == name)
            && known.error().is_none()
        {
            let copies =
                |partition: &rdkafka::metadata::MetadataPartition| partition.replicas().len();
            found.insert(
                topic,
                Found {
                    partitions: known.partitions().len(),
                    copies: known.partitions().iter().map(copies).min().unwrap_or(0),
                },
            );
        }
    }
    Ok((metadata.brokers().len(), found))
}

async fn make(
    cluster: &Cluster,
    admin: &AdminClient<Logged>,
    missing: &[Topic],
    partitions: u32,
    copies: u16,
) -> Result<Vec<Topic>, Error> {
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let in_sync = copies.saturating_sub(1).max(1).to_string();
    let names: Vec<String> = missing.iter().map(|topic| cluster.topic(*topic)).collect();
    let new = missing.iter().zip(&names).map(|(topic, name)| {
        let rule = topic.rule();
        let count = if rule.by_case { partitions } else { 1 };
        let mut new = NewTopic::new(
            name,
            i32::try_from(count).unwrap_or(i32::MAX),
            TopicReplication::Fixed(i32::from(copies)),
        )
        .set("min.insync.replicas", &in_sync);
        for (setting, value) in rule.settings {
            new = new.set(setting, value);
        }
        new
    });
    let new: Vec<NewTopic<'_>> = new.collect();
    let options = AdminOptions::new().operation_timeout(Some(ASK_WITHIN));
    let results = admin
        .create_topics(&new, &options)
        .await
        .map_err(Error::asked("make the topics of", cluster.name("*")))?;
    let mut made = Vec::new();
    let mut faults = Vec::new();
    for (topic, result) in missing.iter().zip(results) {
        match result {
            Ok(_) => made.push(*topic),
            // Another process was quicker; it made it in the same way.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => faults.push(format!("topic `{name}` cannot be made: {code}")),
        }
    }
    match faults.is_empty() {
        true => Ok(made),
        false => Err(Error::Topics(faults)),
    }
}

/// Compares the topics that were there with their rules.
async fn check(
    cluster: &Cluster,
    admin: &AdminClient<Logged>,
    found: &BTreeMap<Topic, Found>,
    partitions: u32,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let mut faults = Vec::new();
    for (topic, found) in found {
        let name = cluster.topic(*topic);
        let due = if topic.rule().by_case {
            usize::try_from(partitions).unwrap_or(usize::MAX)
        } else {
            1
        };
        if found.partitions != due {
            let why = match topic.rule().by_case {
                true => "as many as the events topic, since a case is in one of them everywhere",
                false => "exactly one, since its records have one order",
            };
            faults.push(format!(
                "topic `{name}` has {} partitions and must have {due}: {why}",
                found.partitions
            ));
        }
    }
    let few: Vec<String> = found
        .iter()
        .filter(|(_, found)| found.copies < 3)
        .map(|(topic, found)| format!("`{}` {}", cluster.topic(*topic), found.copies))
        .collect();
    if !few.is_empty() {
        let few = few.join(", ");
        warnings.push(format!("copies of topics: {few}; production wants 3"));
    }
    let names: Vec<(Topic, String)> = found
        .keys()
        .map(|topic| (*topic, cluster.topic(*topic)))
        .collect();
    let asked: Vec<_> = names
        .iter()
        .map(|(_, name)| ResourceSpecifier::Topic(name))
        .collect();
    let described = admin
        .describe_configs(
            &asked,
            &AdminOptions::new().request_timeout(Some(ASK_WITHIN)),
        )
        .await
        .map_err(Error::asked("ask for the settings of", cluster.name("*")))?;
    for ((topic, name), described) in names.iter().zip(described) {
        let described = match described {
            Ok(described) => described
                .entry_map()
                .into_iter()
                .map(|(setting, entry)| {
                    (setting.to_owned(), entry.value.clone().unwrap_or_default())
                })
                .collect::<BTreeMap<_, _>>(),
            // Some installations do not let every client look.
            Err(code) => {
                warnings.push(format!(
                    "the settings of topic `{name}` cannot be seen: {code}"
                ));
                continue;
            }
        };
        let rule = topic.rule();
        for (setting, due) in rule.settings {
            let has = described.get(*setting).map_or("", String::as_str);
            if has == *due || has.is_empty() {
                continue;
            }
            let line = format!("topic `{name}` has {setting}={has}, due is {due}");
            match rule.required.contains(setting) {
                true => faults.push(format!("{line}: with it, records would be lost")),
                false => warnings.push(line),
            }
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::Topics(faults)),
    }
}
