//! The client of a run: keeps so many calls in flight and notes how long each took.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::times::Times;
use crate::cli::bench::{CallArgs, Mode, SEED};
use crate::client::{Client, Gate};
use crate::failure::Failure;
use crate::world;

/// One event in so many is about a listed party.
const LISTED_EVERY: u64 = 10;
/// Listed parties that events are about when nobody says how many there are.
const LISTED: u64 = 1_000;
/// Calls of a batch on their way, for each connection.
const BATCHES: usize = 2;

/// What came of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Verdicts received.
    pub answers: u64,
    /// Events that got none.
    pub refused: u64,
    /// Seconds from the first call to the last answer.
    pub seconds: f64,
    /// How long each call took; on a stream, each item.
    pub times: Times,
}

/// The event of this number in a run, a case of its own.
pub fn event(run: &str, n: u64) -> v1::Event {
    Draw {
        seed: SEED,
        entries: LISTED,
    }
    .event(run, n)
}

/// Whom the events of a run are about.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    /// What all follows from.
    pub seed: u64,
    /// Parties on the lists.
    pub entries: u64,
}

impl Draw {
    /// The event of this number in a run, a case of its own.
    pub fn event(self, run: &str, n: u64) -> v1::Event {
        let party = self.party(n);
        let id = format!("{run}-{n:08}");
        v1::Event {
            source: "bench".to_owned(),
            case_id: id.clone(),
            id,
            scenario: "procurement".to_owned(),
            stage: "evaluate".to_owned(),
            region: "320505".to_owned(),
            subjects: vec![v1::Subject {
                role: "supplier".to_owned(),
                id_type: "USCC".to_owned(),
                id: invented::uscc(party),
                name: world::name(party),
                kind: "enterprise".to_owned(),
                ..v1::Subject::default()
            }],
            ..v1::Event::default()
        }
    }

    /// One in ten is listed; which one follows from the seed, and so does whom it is about.
    fn party(self, n: u64) -> u64 {
        let drawn = scattered(self.seed, n);
        let whom = drawn / LISTED_EVERY;
        match drawn.is_multiple_of(LISTED_EVERY) {
            true => world::FIRST + whom % self.entries.max(1),
            false => whom % world::FIRST,
        }
    }
}

/// A number that looks like chance and is not (SplitMix64).
fn scattered(seed: u64, n: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let start = seed.wrapping_mul(0xd134_2543_de82_ef95);
    let mut z = start.wrapping_add(n.wrapping_add(1).wrapping_mul(STEP));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Shared by the tasks of a run.
struct Run {
    name: String,
    draw: Draw,
    next: AtomicU64,
    ends: Instant,
}

impl Run {
    fn event(&self) -> v1::Event {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        self.draw.event(&self.name, n)
    }

    fn over(&self) -> bool {
        Instant::now() >= self.ends
    }
}

/// What one task saw.
#[derive(Default)]
struct Seen {
    answers: u64,
    refused: u64,
    /// As they come: counting them would cost the client more, and it shares the cores.
    micros: Vec<u32>,
}

impl Seen {
    /// A call about some events ended, and so many of them have verdicts.
    fn note(&mut self, began: Instant, answers: u64, events: u64) {
        if answers > 0 {
            let micros = began.elapsed().as_micros();
            self.micros.push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
        self.answers += answers;
        self.refused += events - answers.min(events);
    }
}

/// Runs and prints the outcome as one line of JSON.
pub async fn print(calls: &CallArgs, in_flight: usize) -> Result<ExitCode, Failure> {
    let mut clients = Vec::new();
    for _ in 0..calls.connections.max(1) {
        clients.push(Client::connect(&calls.server()).await?);
    }
    let run = Arc::new(Run {
        name: calls.run.clone(),
        draw: Draw {
            seed: calls.seed,
            entries: calls.entries,
        },
        next: AtomicU64::new(0),
        ends: Instant::now() + Duration::from_secs_f64(calls.seconds),
    });
    let began = Instant::now();
    let per_connection = (in_flight / clients.len()).max(1);
    let mut tasks = tokio::task::JoinSet::new();
    for client in clients {
        match calls.mode {
            Mode::Stream => {
                tasks.spawn(stream(client, Arc::clone(&run), per_connection));
            }
            Mode::Unary => {
                for _ in 0..per_connection {
                    tasks.spawn(unary(client.gate.clone(), Arc::clone(&run)));
                }
            }
            Mode::Batch => {
                for _ in 0..BATCHES {
                    tasks.spawn(batch(client.gate.clone(), Arc::clone(&run), calls.batch));
                }
            }
        }
    }
    let mut outcome = Outcome::default();
    while let Some(done) = tasks.join_next().await {
        let seen = done.map_err(|error| Failure::new("run the client", error))??;
        outcome.answers += seen.answers;
        outcome.refused += seen.refused;
        let micros = seen.micros.into_iter().map(u64::from);
        micros.for_each(|micros| outcome.times.note(Duration::from_micros(micros)));
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    let line = serde_json::to_string(&outcome)
        .map_err(|error| Failure::new("print what came of it", error))?;
    say!("{line}");
    Ok(ExitCode::SUCCESS)
}

async fn unary(mut gate: Gate, run: Arc<Run>) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    while !run.over() {
        let request = v1::CheckRequest {
            event: Some(run.event()),
        };
        let began = Instant::now();
        let answered = gate.check(request).await.is_ok();
        seen.note(began, u64::from(answered), 1);
    }
    Ok(seen)
}

async fn batch(mut gate: Gate, run: Arc<Run>, events: u64) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    while !run.over() {
        let request = v1::CheckBatchRequest {
            events: (0..events).map(|_| run.event()).collect(),
        };
        let began = Instant::now();
        let results = match gate.check_batch(request).await {
            Ok(answer) => answer.into_inner().results,
            Err(_) => Vec::new(),
        };
        let answers = results.iter().filter(|result| is_verdict(result)).count();
        seen.note(began, answers as u64, events);
    }
    Ok(seen)
}

/// A stream that keeps `window` items on their way.
async fn stream(mut client: Client, run: Arc<Run>, window: usize) -> Result<Seen, Failure> {
    let (send, receive) = mpsc::channel(window);
    let mut sent = VecDeque::with_capacity(window);
    let item = || v1::CheckStreamRequest {
        event: Some(run.event()),
        correlation: String::new(),
    };
    for _ in 0..window {
        sent.push_back(Instant::now());
        if send.send(item()).await.is_err() {
            break;
        }
    }
    let failed = |status| Failure::new("run the stream", status);
    let mut answers = client
        .gate
        .check_stream(ReceiverStream::new(receive))
        .await
        .map_err(failed)?
        .into_inner();
    let mut send = Some(send);
    let mut seen = Seen::default();
    while let Some(answer) = answers.message().await.map_err(failed)? {
        let began = sent.pop_front().unwrap_or_else(Instant::now);
        seen.note(began, u64::from(answer.result.iter().any(is_verdict)), 1);
        if run.over() {
            send = None;
        } else if let Some(send) = &send {
            sent.push_back(Instant::now());
            if send.send(item()).await.is_err() {
                break;
            }
        }
    }
    Ok(seen)
}

/// Whether an item was judged.
pub fn is_verdict(result: &v1::CheckResult) -> bool {
    matches!(result.result, Some(v1::check_result::Result::Verdict(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_events_and_one_in_ten_is_listed() {
        let of = |seed| Draw {
            seed,
            entries: 5_000,
        };
        let parties = |draw: Draw| -> Vec<u64> { (0..10_000).map(|n| draw.party(n)).collect() };
        assert_eq!(parties(of(1)), parties(of(1)));
        assert_ne!(parties(of(1)), parties(of(2)));
        let listed = parties(of(1)).into_iter().filter(|n| *n >= world::FIRST);
        let listed: Vec<u64> = listed.collect();
        assert!((850..1_150).contains(&listed.len()), "{}", listed.len());
        assert!(listed.iter().all(|n| *n < world::FIRST + 5_000));
    }

    #[test]
    fn a_call_without_verdicts_has_no_time() {
        let mut seen = Seen::default();
        seen.note(Instant::now(), 3, 5);
        seen.note(Instant::now(), 0, 5);
        assert_eq!((seen.answers, seen.refused), (3, 7));
        assert_eq!(seen.micros.len(), 1);
    }
}
