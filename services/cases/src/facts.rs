//! What a recorded verdict says about its case, in the words of the state machine.

use std::collections::BTreeMap;

use creditgate_measures::case::subject_key;
use creditgate_measures::event::Subject;
use creditgate_measures::identifier::{IdType, Key};
use creditgate_measures::name::{NormalName, SimplifyTable};
use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use creditgate_measures::vocabulary::Effect;
use creditgate_proto::decode::event_from_record;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::{AnswerDigest, list_version_from_text, v1, verdict_id_from_text};

/// What a recorded verdict says about its case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictFacts {
    /// Business number.
    pub case_id: String,
    /// Scenario.
    pub scenario: String,
    /// Region of the event, six digits.
    pub region: String,
    /// The business system that sent the event.
    pub source: String,
    /// The event's id.
    pub event_id: String,
    /// The stage judged; for a review that of the step to come.
    pub stage: String,
    /// What made the decision necessary, as verdicts print it.
    pub cause: String,
    /// The verdict.
    pub verdict_id: VerdictId,
    /// Which answer of its slot it is.
    pub answer: AnswerDigest,
    /// The verdict whose place it takes.
    pub supersedes: Option<VerdictId>,
    /// Outcome.
    pub outcome: String,
    /// Strongest effect that applies.
    pub effect: Option<String>,
    /// An official must judge.
    pub review: bool,
    /// Strongest effect that waits for an official.
    pub proposed: Option<String>,
    /// Version of the lists, as verdicts print it.
    pub list_version: String,
    /// The sequence number in it.
    pub list_seq: u64,
    /// Version of the book.
    pub book_version: String,
    /// When the step took place; for a review the time of the change.
    pub occurred_at: Time,
    /// When it was judged.
    pub evaluated_at: Time,
    /// Sequence number of the record in the journal of verdicts.
    pub sequence: u64,
    /// Its position there.
    pub position: u64,
    /// The subjects, in the order of the event.
    pub subjects: Vec<SubjectFacts>,
}

/// What a verdict says about one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectFacts {
    /// Position in the event, from 0.
    pub index: u32,
    /// By what the case knows it again; `None`: it has neither identifier nor name.
    pub key: Option<Key>,
    /// Every key under which a decision looks for it in the lists, further identifiers that only the
    /// registry knows left out; ascending.
    pub lookups: Vec<Key>,
    /// Its role.
    pub role: String,
    /// Its party.
    pub party: String,
    /// Decisive stages at which it was not checked (spec 8).
    pub missing: Vec<String>,
    /// Penalty measures that bit or were proposed, by id.
    pub triggered: Vec<TriggeredFacts>,
    /// Rewards that were offered, by id.
    pub offered: Vec<OfferedFacts>,
}

/// One reward that was offered to a subject, whatever the number of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedFacts {
    /// The measure.
    pub measure_id: String,
    /// Its title in Chinese.
    pub title: String,
    /// Who grants it, as the row names them.
    pub implementers: Vec<String>,
}

/// One measure that bit a subject, whatever the number of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggeredFacts {
    /// The measure.
    pub measure_id: String,
    /// Its title in Chinese.
    pub title: String,
    /// The strongest effect that applies.
    pub applied: Option<String>,
    /// The strongest effect that waits for an official.
    pub proposed: Option<String>,
    /// The entries, ascending, each once.
    pub entry_ids: Vec<String>,
    /// It needs no entry.
    pub by_row: bool,
    /// Who carries it out, as the row names them.
    pub implementers: Vec<String>,
}

impl VerdictFacts {
    /// Reads a record of the journal of verdicts, with its sequence number and position there.
    /// Subjects' names are made to keys with this table.
    ///
    /// # Errors
    /// The part that is missing or not readable.
    pub fn of(
        record: &VerdictRecord,
        sequence: u64,
        position: u64,
        simplify: &SimplifyTable,
    ) -> Result<Self, &'static str> {
        let verdict = record.verdict.as_ref().ok_or("verdict")?;
        let event = event_from_record(record).map_err(|_| "event")?;
        let stamp = |stamp: &Option<_>| stamp.as_ref().and_then(time_from_proto);
        let evaluated_at = stamp(&verdict.evaluated_at).ok_or("evaluated_at")?;
        let supersedes = match verdict.supersedes.as_deref() {
            Some(text) => Some(verdict_id_from_text(text).ok_or("superseded verdict")?),
            None => None,
        };
        let subjects = verdict
            .subjects
            .iter()
            .map(|shown| {
                let place = usize::try_from(shown.index).map_err(|_| "subject")?;
                let given = event.subjects.get(place).ok_or("subject")?;
                Ok(SubjectFacts::of(shown, given, evaluated_at, simplify))
            })
            .collect::<Result<_, &'static str>>()?;
        Ok(Self {
            case_id: verdict.case_id.clone(),
            scenario: verdict.scenario.clone(),
            region: event.region.to_string(),
            source: verdict.source.clone(),
            event_id: verdict.event_id.clone(),
            stage: verdict.stage.clone(),
            cause: verdict.cause.clone(),
            verdict_id: verdict_id_from_text(&verdict.verdict_id).ok_or("verdict_id")?,
            answer: AnswerDigest::of(verdict),
            supersedes,
            outcome: verdict.outcome.clone(),
            effect: verdict.effect.clone(),
            review: verdict.review,
            proposed: verdict.proposed.clone(),
            list_version: verdict.list_version.clone(),
            list_seq: list_version_from_text(&verdict.list_version)
                .map_err(|_| "list_version")?
                .seq,
            book_version: verdict.book_version.clone(),
            occurred_at: stamp(&verdict.occurred_at).ok_or("occurred_at")?,
            evaluated_at,
            sequence,
            position,
            subjects,
        })
    }

    /// Whether it judges a step at which somebody is inspected, so that a result may be told of it.
    #[must_use]
    pub fn inspects(&self) -> bool {
        self.scenario == INSPECTION || self.stage == INSPECT
    }

    /// Whether it judges the case again, which is no step of it and no check.
    #[must_use]
    pub fn is_review(&self) -> bool {
        is_review(&self.cause)
    }
}

/// Whether a verdict of this cause judges its case again.
pub(crate) fn is_review(cause: &str) -> bool {
    cause != EVENT
}

/// The scenario of inspections (双随机抽查).
const INSPECTION: &str = "inspection";
/// The stage of inspections in other scenarios.
const INSPECT: &str = "inspect";

/// The cause of a verdict that is no review.
const EVENT: &str = "event";

impl SubjectFacts {
    fn of(shown: &v1::SubjectVerdict, given: &Subject, at: Time, simplify: &SimplifyTable) -> Self {
        let missing = shown
            .flags
            .iter()
            .filter_map(|flag| flag.strip_prefix("missing_check:"))
            .map(str::to_owned)
            .collect();
        Self {
            index: shown.index,
            key: subject_key(given, at, simplify),
            lookups: lookups(given, at, simplify),
            role: shown.role.clone(),
            party: shown.party.clone(),
            missing,
            triggered: triggered(&shown.triggered),
            offered: offered(&shown.offered),
        }
    }
}

/// The keys under which `decide` looks for a subject.
///
/// The key of an identifier is that of its aliases too (a USCC and its ORG9, an ID15 and its ID18). By
/// name, a verified organisation is found only on entries without an identifier, others on all; what
/// turns out to be a natural person is not looked up by name at all, and a key too many only makes a
/// review that changes nothing.
fn lookups(given: &Subject, at: Time, simplify: &SimplifyTable) -> Vec<Key> {
    let identifier = given.valid_identifier(at);
    let mut keys: Vec<Key> = identifier.iter().map(|i| i.key()).collect();
    let person = identifier.is_some_and(|i| i.is_natural_person());
    let name = given
        .name
        .as_ref()
        .filter(|_| !person)
        .and_then(|name| NormalName::new(name.reveal(), simplify));
    if let Some(name) = name {
        keys.push(Key::name_only(&name));
        // Verified by its own code whatever the registry links; else the registry may change it.
        if identifier.is_none_or(|i| i.id_type() != IdType::Uscc) {
            keys.push(Key::name(&name));
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// One measure on several entries is one measure.
fn triggered(shown: &[v1::Triggered]) -> Vec<TriggeredFacts> {
    let mut measures: BTreeMap<&str, TriggeredFacts> = BTreeMap::new();
    for one in shown {
        let Some(measure) = &one.measure else {
            continue;
        };
        let applies = one.contributes == "effect";
        let facts = TriggeredFacts {
            measure_id: measure.id.clone(),
            title: text_zh(&measure.title),
            applied: applies.then(|| one.effect.clone()),
            proposed: (!applies).then(|| one.effect.clone()),
            entry_ids: one.entry.iter().map(|hit| hit.entry_id.clone()).collect(),
            by_row: one.entry.is_none(),
            implementers: implementers(&text_zh(&measure.implementer)),
        };
        match measures.get_mut(measure.id.as_str()) {
            Some(known) => known.join(facts),
            None => {
                measures.insert(&measure.id, facts);
            }
        }
    }
    measures.into_values().collect()
}

/// One reward on several entries is one reward.
fn offered(shown: &[v1::Incentive]) -> Vec<OfferedFacts> {
    let mut measures: BTreeMap<&str, OfferedFacts> = BTreeMap::new();
    for measure in shown.iter().filter_map(|one| one.measure.as_ref()) {
        measures.entry(&measure.id).or_insert_with(|| OfferedFacts {
            measure_id: measure.id.clone(),
            title: text_zh(&measure.title),
            implementers: implementers(&text_zh(&measure.implementer)),
        });
    }
    measures.into_values().collect()
}

fn text_zh(text: &Option<v1::Text>) -> String {
    text.as_ref().map_or("", |text| text.zh.as_str()).to_owned()
}

impl TriggeredFacts {
    /// Whether an official must decide: what is proposed is stronger than what applies anyway.
    #[must_use]
    pub fn waits(&self) -> bool {
        strength(&self.proposed) > strength(&self.applied)
    }

    /// What it does: the stronger of what applies and what is proposed.
    #[must_use]
    pub fn effect(&self) -> &str {
        let effect = match self.waits() {
            true => &self.proposed,
            false => &self.applied,
        };
        effect.as_deref().unwrap_or_default()
    }

    /// Takes in the same measure by another entry, or of a subject that is the same one again.
    pub fn join(&mut self, other: Self) {
        for (own, other) in [
            (&mut self.applied, other.applied),
            (&mut self.proposed, other.proposed),
        ] {
            if strength(&other) > strength(own) {
                *own = other;
            }
        }
        self.by_row |= other.by_row;
        self.entry_ids.extend(other.entry_ids);
        self.entry_ids.sort_unstable();
        self.entry_ids.dedup();
        for implementer in other.implementers {
            if !self.implementers.contains(&implementer) {
                self.implementers.push(implementer);
            }
        }
    }
}

/// Orders effects; one that we do not know is stronger than none.
fn strength(effect: &Option<String>) -> Option<Option<Effect>> {
    effect.as_deref().map(Effect::parse)
}

/// Who carries a row out: its Chinese text, cut at each 、.
#[must_use]
pub fn implementers(zh: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in zh
        .split('、')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests;
