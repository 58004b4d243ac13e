//! The running demonstration: cases of four procedures go through their stages, lists change.

use std::process::ExitCode;
use std::time::Duration;

use creditgate_measures::identifier::invented;
use creditgate_measures::time::Time;
use creditgate_proto::{encode, v1};
use creditgate_runtime::clock::Clock;
use pbjson_types::value::Kind;
use tokio::time::Instant;

use super::kafka::{self, KafkaWay};
use crate::client::Client;
use crate::failure::{Failure, status_text};
use crate::render;
use crate::world;

/// Procedures with their stages and the role that leads.
const PROCEDURES: [(&str, &[&str], &str); 4] = [
    (
        "permit",
        &["apply", "accept", "review", "decide", "issue"],
        "applicant",
    ),
    (
        "tender",
        &[
            "register",
            "prequalify",
            "bid",
            "evaluate",
            "award",
            "contract",
        ],
        "bidder",
    ),
    (
        "land",
        &["register", "apply", "deal", "contract", "supply"],
        "land_bidder",
    ),
    (
        "procurement",
        &[
            "register", "bid", "evaluate", "award", "contract", "perform",
        ],
        "supplier",
    ),
];
/// Cases that run at the same time.
const CASES: usize = 8;
/// Every so many events something else happens: a repair, or a malformed event.
const EXTRA_EVERY: u64 = 12;

/// A case on its way.
struct Case {
    id: String,
    procedure: usize,
    stage: usize,
    parties: Vec<u64>,
}

/// Small numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        // SplitMix64: enough for a show.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below.max(1)
    }
}

/// Runs until the time is over or somebody stops it.
pub async fn play(
    client: &mut Client,
    kafka: &mut KafkaWay,
    clock: &Clock,
    rate: f64,
    seconds: Option<u64>,
) -> Result<ExitCode, Failure> {
    let pause = Duration::try_from_secs_f64(1.0 / rate.clamp(0.01, 1_000.0)).unwrap_or_default();
    let now = Time::from_micros(clock.now_micros());
    let entries: Vec<_> = (world::FIRST..world::FIRST + world::ENTRIES)
        .map(|n| world::entry(n, now))
        .collect();
    let summary = world::import(client, entries, world::all_lists()).await?;
    say!(
        "{} invented entries on {} lists; Ctrl-C stops",
        summary.accepted,
        world::all_lists().len()
    );
    say!(
        "Each event goes over gRPC, and as a CloudEvent through creditgate.events, whose answer is read from\n\
         creditgate.verdicts or creditgate.dead-letters (topic/partition@offset)."
    );
    say!("{}", kafka::ABOUT);
    say!();

    let ends = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut dice = Dice(20_261_121);
    let mut cases: Vec<Case> = Vec::new();
    let mut opened = 0;
    let mut count = 0;
    while ends.is_none_or(|ends| Instant::now() < ends) {
        while cases.len() < CASES {
            opened += 1;
            cases.push(open(opened, &mut dice));
        }
        let index = usize::try_from(dice.next(CASES as u64)).unwrap_or_default();
        let Some(case) = cases.get_mut(index) else {
            continue;
        };
        let step = case.stage;
        let verdict = check(client, kafka, event(case, clock)).await?;
        case.stage = step + 1;
        let barred = verdict
            .as_ref()
            .is_some_and(|verdict| verdict.outcome == "PROHIBIT");
        let stages = PROCEDURES
            .get(case.procedure)
            .map_or(0, |(_, stages, _)| stages.len());
        if barred || case.stage >= stages {
            cases.swap_remove(index);
        }
        count += 1;
        if count % EXTRA_EVERY == 0 {
            if count % (2 * EXTRA_EVERY) == 0 {
                malformed(client, kafka, clock).await?;
            } else if let Some(entry) = verdict.as_ref().and_then(first_black_entry) {
                repair(client, &entry).await;
            }
        }
        tokio::time::sleep(pause).await;
        kafka.look()?;
        tell(kafka);
    }
    kafka.settle().await?;
    tell(kafka);
    say!("{count} events judged");
    Ok(ExitCode::SUCCESS)
}

/// A case of one to three parties; about one in three stands on a list.
fn open(number: u64, dice: &mut Dice) -> Case {
    let procedure = usize::try_from(number % 4).unwrap_or_default();
    let several = procedure != 0;
    let parties = 1 + if several { dice.next(3) } else { 0 };
    let parties = (0..parties)
        .map(|_| {
            if dice.next(3) == 0 {
                world::FIRST + dice.next(world::ENTRIES)
            } else {
                dice.next(50_000)
            }
        })
        .collect();
    let name = PROCEDURES
        .get(procedure)
        .map_or("permit", |(name, ..)| name);
    Case {
        id: format!("{}-2026-{number:04}", name.to_uppercase()),
        procedure,
        stage: 0,
        parties,
    }
}

fn event(case: &Case, clock: &Clock) -> v1::Event {
    let (scenario, stages, role) =
        PROCEDURES
            .get(case.procedure)
            .copied()
            .unwrap_or(("permit", &[], ""));
    let stage = stages.get(case.stage).copied().unwrap_or_default();
    let value = |kind| pbjson_types::Value { kind: Some(kind) };
    let text = |text: &str| value(Kind::StringValue(text.to_owned()));
    let attributes = match scenario {
        "permit" => vec![
            ("commitment_requested", value(Kind::BoolValue(true))),
            ("investment_project", value(Kind::BoolValue(false))),
        ],
        "tender" => vec![("mandatory_tender", value(Kind::BoolValue(true)))],
        "land" => vec![
            ("notice_no", text("演示土告〔2026〕1号")),
            ("notice_clause", text("第五条第二款")),
        ],
        _ => Vec::new(),
    };
    let subjects = case
        .parties
        .iter()
        .enumerate()
        .map(|(index, n)| v1::Subject {
            party: format!("party-{}", index + 1),
            role: role.to_owned(),
            id_type: "USCC".to_owned(),
            id: invented::uscc(*n),
            name: world::name(*n),
            kind: "enterprise".to_owned(),
            ..v1::Subject::default()
        });
    v1::Event {
        source: "demo".to_owned(),
        id: format!("{}-{stage}", case.id),
        case_id: case.id.clone(),
        scenario: scenario.to_owned(),
        stage: stage.to_owned(),
        occurred_at: Some(encode::time_to_proto(Time::from_micros(clock.now_micros()))),
        region: "320505".to_owned(),
        amount_fen: Some(120_000_000),
        subjects: subjects.collect(),
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        ..v1::Event::default()
    }
}

/// Asks over gRPC, tells the answer, and publishes the same event.
async fn check(
    client: &mut Client,
    kafka: &mut KafkaWay,
    event: v1::Event,
) -> Result<Option<v1::Verdict>, Failure> {
    let request = v1::CheckRequest {
        event: Some(event.clone()),
    };
    let verdict = match client.gate.check(request).await {
        Ok(answer) => answer.into_inner().verdict,
        Err(status) => {
            say!(
                "{:<20} {}",
                "refused",
                status_text(&status).replace('\n', ";")
            );
            None
        }
    };
    if let Some(verdict) = &verdict {
        say!("{}", render::summary(verdict));
    }
    // Lists may change before it is judged there: nothing certain is expected.
    kafka.publish(&event, None, None).await?;
    Ok(verdict)
}

/// Tells what has come back over Kafka.
fn tell(kafka: &mut KafkaWay) {
    for row in kafka.answered() {
        say!("  kafka: {row:<31}");
    }
}

/// The first entry of a black list that stands behind a verdict.
fn first_black_entry(verdict: &v1::Verdict) -> Option<String> {
    verdict
        .subjects
        .iter()
        .flat_map(|subject| &subject.triggered)
        .filter_map(|triggered| triggered.entry.as_ref())
        .find(|entry| entry.list.starts_with('B'))
        .map(|entry| entry.entry_id.clone())
}

async fn repair(client: &mut Client, entry_id: &str) {
    let change = v1::ChangeState {
        entry_id: entry_id.to_owned(),
        to: "REPAIRED".to_owned(),
        document_no: "演示修复〔2026〕1号".to_owned(),
        reason: "invented: duties performed".to_owned(),
        ..v1::ChangeState::default()
    };
    let request = v1::ApplyRequest {
        change: Some(v1::apply_request::Change::ChangeState(change)),
    };
    match client.lists.apply(request).await {
        Ok(_) => say!("{:<20} {entry_id} no longer counts", "repaired"),
        Err(status) => say!(
            "{:<20} {}",
            "refused",
            status_text(&status).replace('\n', ";")
        ),
    }
}

/// An event that no book can judge: its stage does not exist. And, on Kafka, one that is no event.
async fn malformed(
    client: &mut Client,
    kafka: &mut KafkaWay,
    clock: &Clock,
) -> Result<(), Failure> {
    let case = Case {
        id: "BROKEN-1".to_owned(),
        procedure: 1,
        stage: 0,
        parties: vec![1],
    };
    let id = format!("broken-{}", clock.now_micros());
    let broken = v1::Event {
        stage: "evaluation".to_owned(),
        id: id.clone(),
        ..event(&case, clock)
    };
    check(client, kafka, broken).await?;
    kafka
        .publish_malformed(&format!("{id}-bytes"), &case.id)
        .await
}
