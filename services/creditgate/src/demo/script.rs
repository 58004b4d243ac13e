//! The fixed script of `demo --once`: steps, the answers they get, and the table they must give.

use std::process::ExitCode;

use creditgate_measures::identifier::invented;
use creditgate_measures::time::{Date, Time};
use creditgate_proto::v1;
use creditgate_runtime::clock::Hand;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::kafka::{self, KafkaWay};
use super::rows::Expected;
use crate::client::Client;
use crate::failure::Failure;
use crate::world;

/// The steps, as data.
const SCRIPT: &str = include_str!("../../demo/script.yaml");
/// The table that the steps must give.
const EXPECTED: &str = include_str!("../../demo/expected.txt");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    /// Instant at which the clock stands at first.
    begins_at: String,
    /// Entries beside the thousands of the invented world.
    entries: Vec<serde_json::Value>,
    /// What happens.
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// What the step shows.
    tell: String,
    /// The clock is put to this instant before.
    at: Option<String>,
    /// An event is judged.
    check: Option<serde_json::Value>,
    /// A change of the lists is made.
    apply: Option<serde_json::Value>,
    /// The check before this one is sent once more.
    #[serde(default)]
    repeat: bool,
}

/// The script with `{uscc:N}` and `{person:N}` replaced by invented numbers.
fn script() -> Result<Script, Failure> {
    let mut text = String::with_capacity(SCRIPT.len());
    let mut rest = SCRIPT;
    while let Some((before, from)) = rest.split_once("{{") {
        text.push_str(before);
        let (inside, after) = from
            .split_once("}}")
            .ok_or_else(|| Failure::plain("script: `{{` without `}}`"))?;
        text.push_str(&number(inside)?);
        rest = after;
    }
    text.push_str(rest);
    serde_saphyr::from_str(&text)
        .map_err(|error| Failure::new("read the script", error.to_string()))
}

fn number(inside: &str) -> Result<String, Failure> {
    let unknown = || Failure::plain(format!("script: unknown number `{inside}`"));
    let (kind, n) = inside.split_once(':').ok_or_else(unknown)?;
    let n: u64 = n.parse().map_err(|_| unknown())?;
    match kind {
        "uscc" => Ok(invented::uscc(n)),
        "person" => Ok(invented::person(n)),
        "individual" => Ok(invented::individual_business(n)),
        "org9" => Ok(invented::org9(n)),
        "minor" => Ok(invented::id18(
            n,
            Date::from_ymd(2009, 3, 1).ok_or_else(unknown)?,
        )),
        _ => Err(unknown()),
    }
}

/// Where the clock stands when the script begins.
pub fn begins_at() -> Result<Time, Failure> {
    instant(&script()?.begins_at)
}

fn instant(text: &str) -> Result<Time, Failure> {
    Time::parse(text).map_err(|error| Failure::new(format!("script: read `{text}`"), error))
}

fn message<T: DeserializeOwned>(value: &serde_json::Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| Failure::new("script: read a message", error))
}

/// Plays the script both ways, prints both tables, and compares the one of gRPC with the expected
/// one and the one of Kafka with that of gRPC.
pub async fn play(
    client: &mut Client,
    kafka: &mut KafkaWay,
    hand: &Hand,
) -> Result<ExitCode, Failure> {
    let script = script()?;
    let now = instant(&script.begins_at)?;
    let mut entries: Vec<v1::Entry> = (world::FIRST..world::FIRST + world::ENTRIES)
        .map(|n| world::entry(n, now))
        .collect();
    for entry in &script.entries {
        entries.push(message(entry)?);
    }
    let summary = world::import(client, entries, world::all_lists()).await?;
    say!(
        "{} invented entries on {} lists",
        summary.accepted,
        world::all_lists().len()
    );
    say!();

    let mut table = String::new();
    let mut last = None;
    for (index, step) in (1..).zip(&script.steps) {
        if step.at.is_some() || step.apply.is_some() {
            // Both ways judge at the same time, by the same lists.
            kafka.settle().await?;
        }
        if let Some(at) = &step.at {
            hand.set(instant(at)?.micros());
        }
        let row = match (&step.check, &step.apply, step.repeat) {
            (Some(event), None, false) => {
                last = Some(event);
                check(client, kafka, index, event).await?
            }
            (None, Some(change), false) => apply(client, message(change)?).await?,
            (None, None, true) => {
                let event = last.ok_or_else(|| Failure::plain("script: nothing to repeat"))?;
                check(client, kafka, index, event).await?
            }
            _ => {
                return Err(Failure::plain(format!(
                    "script: step {index} does not do one thing"
                )));
            }
        };
        let shown = format!("{index:>2}  {}\n{row}", step.tell);
        say!("{}", shown.trim_end());
        table.push_str(&shown);
    }
    let as_expected = compare(&table);
    say!();
    say!(
        "The same events the Kafka way: published as CloudEvents to creditgate.events, judged by the role\n\
         `stream`, answered on creditgate.verdicts or creditgate.dead-letters (topic/partition@offset)."
    );
    say!("{}", kafka::ABOUT);
    say!();
    let same = kafka.conclude().await?;
    say!();
    match same {
        true => say!("over Kafka the same verdicts as over gRPC, to the digest"),
        false => say!("NOT the same over Kafka as over gRPC"),
    }
    Ok(match as_expected && same {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    })
}

/// The table must be the expected one, line by line.
fn compare(table: &str) -> bool {
    say!();
    if table.trim_end() == EXPECTED.trim_end() {
        say!(
            "{} steps, all as expected",
            table.lines().filter(|l| !l.starts_with("      ")).count()
        );
        return true;
    }
    say!("NOT as expected:");
    let mut seen = table.lines();
    let mut expected = EXPECTED.trim_end().lines();
    loop {
        match (seen.next(), expected.next()) {
            (None, None) => break,
            (seen, expected) if seen == expected => {}
            (seen, expected) => {
                say!("  expected: {}", expected.unwrap_or("nothing more").trim());
                say!("  seen:     {}", seen.unwrap_or("nothing more").trim());
            }
        }
    }
    false
}

async fn apply(client: &mut Client, change: v1::ApplyRequest) -> Result<String, Failure> {
    let answer = client
        .lists
        .apply(change)
        .await
        .map_err(|status| Failure::new("apply the change of the script", status))?
        .into_inner();
    let entry = answer
        .entry
        .and_then(|record| record.entry)
        .unwrap_or_default();
    Ok(format!(
        "      lists: {} on {} is {}\n",
        entry.entry_id, entry.list, entry.state
    ))
}

/// Asks over gRPC, publishes the same event, and tells the answer of gRPC.
async fn check(
    client: &mut Client,
    kafka: &mut KafkaWay,
    step: usize,
    event: &serde_json::Value,
) -> Result<String, Failure> {
    let json = event.to_string();
    let event = match creditgate_proto::json::event_from_json(json.as_bytes()) {
        Ok(event) => event,
        Err(refused) => return Ok(format!("      refused before sending: {refused}\n")),
    };
    let request = v1::CheckRequest {
        event: Some(event.clone()),
    };
    let answer = client.gate.check(request).await;
    let answer = answer.map(tonic::Response::into_inner);
    let expected = Expected::of(&answer);
    kafka.publish(&event, Some(step), Some(expected)).await?;
    Ok(match answer {
        Ok(answer) => {
            let verdict = answer.verdict.unwrap_or_default();
            let mut rows = String::new();
            if answer.repeated {
                rows.push_str("      judged before: the first verdict stands\n");
            }
            rows.push_str(&verdict_rows(&verdict));
            rows
        }
        Err(status) => {
            let told = crate::failure::status_text(&status).replace("\n  ", "\n        ");
            format!("      refused: {told}\n")
        }
    })
}

/// A line for the event, and one for each subject with its reasons.
fn verdict_rows(verdict: &v1::Verdict) -> String {
    let mut rows = format!(
        "      {:<20} {}/{} {}{}\n",
        verdict.outcome,
        verdict.scenario,
        verdict.stage,
        verdict.case_id,
        told(&verdict.flags)
    );
    for not_checked in &verdict.not_checked {
        rows.push_str(&format!(
            "        {} not checked: {}\n",
            not_checked.list, not_checked.why
        ));
    }
    for subject in &verdict.subjects {
        rows.push_str(&format!(
            "        {} {:<20} {:<20} code {}{}\n",
            subject.party,
            subject.role,
            subject.outcome,
            subject.result_code,
            told(&subject.flags)
        ));
        for triggered in &subject.triggered {
            let measure = triggered.measure.clone().unwrap_or_default();
            let entry = triggered.entry.as_ref().map_or_else(String::new, |entry| {
                format!(" · {} on {} by {}", entry.entry_id, entry.list, entry.path)
            });
            let law = measure.basis.first().map_or_else(String::new, |basis| {
                format!(
                    " · {} {}",
                    basis.law,
                    basis.article.as_deref().unwrap_or_default()
                )
            });
            rows.push_str(&format!(
                "          {} {} {}{entry}{law}{}\n",
                measure.id,
                triggered.contributes,
                triggered.effect,
                told(&triggered.why)
            ));
        }
        for (word, incentives) in [
            ("offered", &subject.offered),
            ("withheld", &subject.withheld),
        ] {
            for incentive in incentives {
                let measure = incentive.measure.clone().unwrap_or_default();
                rows.push_str(&format!(
                    "          {} {word} {}{}\n",
                    measure.id,
                    measure.effect,
                    told(&incentive.why)
                ));
            }
        }
    }
    rows
}

fn told(words: &[String]) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(" [{}]", words.join(", "))
    }
}
