//! The client of a run: keeps so many calls in flight and notes how long each took.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::client::Client;
use crate::failure::Failure;
use crate::world;

/// One event in so many is about a listed party.
const LISTED_EVERY: u64 = 10;

/// What the client does.
pub struct Load {
    /// Address of the server.
    pub server: String,
    /// How long.
    pub seconds: f64,
    /// Calls in flight, over all connections.
    pub in_flight: usize,
    /// Connections.
    pub connections: usize,
    /// Distinguishes the events of one run from those of another.
    pub run: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Verdicts received.
    pub answers: u64,
    /// Calls that ended otherwise.
    pub refused: u64,
    /// Seconds from the first call to the last answer.
    pub seconds: f64,
    /// Median time of a call, in microseconds.
    pub p50_us: u32,
    /// Time that 99 of 100 calls did not exceed, in microseconds.
    pub p99_us: u32,
}

/// The event of this number in a run, a case of its own.
pub fn event(run: &str, n: u64) -> v1::Event {
    let party = if n.is_multiple_of(LISTED_EVERY) {
        world::FIRST + n % 1_000
    } else {
        n % world::FIRST
    };
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

/// Shared by the tasks of a run.
struct Run {
    name: String,
    next: AtomicU64,
    ends: Instant,
}

impl Run {
    fn event(&self) -> v1::Event {
        event(&self.name, self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn over(&self) -> bool {
        Instant::now() >= self.ends
    }
}

/// Times in microseconds, and calls that were refused.
#[derive(Default)]
struct Times {
    micros: Vec<u32>,
    refused: u64,
}

impl Times {
    fn note(&mut self, began: Instant, answered: bool) {
        if answered {
            self.micros
                .push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        } else {
            self.refused += 1;
        }
    }
}

impl Load {
    /// Runs and prints the report as one line of JSON.
    pub async fn print(&self, mode: &str) -> Result<ExitCode, Failure> {
        let run = Arc::new(Run {
            name: self.run.clone(),
            next: AtomicU64::new(0),
            ends: Instant::now() + Duration::from_secs_f64(self.seconds),
        });
        let began = Instant::now();
        let per_connection = (self.in_flight / self.connections.max(1)).max(1);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..self.connections.max(1) {
            let client = Client::to(&self.server, None).await?;
            if mode == "stream" {
                tasks.spawn(stream(client, Arc::clone(&run), per_connection));
            } else {
                for _ in 0..per_connection {
                    tasks.spawn(unary(client.gate.clone(), Arc::clone(&run)));
                }
            }
        }
        let mut all = Times::default();
        while let Some(done) = tasks.join_next().await {
            let times = done.map_err(|error| Failure::new("run the client", error))??;
            all.micros.extend(times.micros);
            all.refused += times.refused;
        }
        let seconds = began.elapsed().as_secs_f64();
        all.micros.sort_unstable();
        let at = |share: f64| {
            // A share of a length below 2^32 is exact enough in f64, and never beyond the end.
            let index = (all.micros.len() as f64 * share) as usize;
            all.micros
                .get(index.min(all.micros.len().saturating_sub(1)))
                .copied()
                .unwrap_or(0)
        };
        let report = Report {
            answers: all.micros.len() as u64,
            refused: all.refused,
            seconds,
            p50_us: at(0.50),
            p99_us: at(0.99),
        };
        let line = serde_json::to_string(&report)
            .map_err(|error| Failure::new("print the report", error))?;
        say!("{line}");
        Ok(ExitCode::SUCCESS)
    }
}

async fn unary(mut gate: crate::client::Gate, run: Arc<Run>) -> Result<Times, Failure> {
    let mut times = Times::default();
    while !run.over() {
        let request = v1::CheckRequest {
            event: Some(run.event()),
        };
        let began = Instant::now();
        let answered = gate.check(request).await.is_ok();
        times.note(began, answered);
    }
    Ok(times)
}

/// A stream that keeps `window` items on their way.
async fn stream(mut client: Client, run: Arc<Run>, window: usize) -> Result<Times, Failure> {
    let (send, receive) = mpsc::channel(window);
    let mut sent = std::collections::VecDeque::with_capacity(window);
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
    let mut times = Times::default();
    while let Some(answer) = answers.message().await.map_err(failed)? {
        let began = sent.pop_front().unwrap_or_else(Instant::now);
        let verdict = matches!(
            answer.result.and_then(|result| result.result),
            Some(v1::check_result::Result::Verdict(_))
        );
        times.note(began, verdict);
        if run.over() {
            send = None;
        } else if let Some(send) = &send {
            sent.push_back(Instant::now());
            if send.send(item()).await.is_err() {
                break;
            }
        }
    }
    Ok(times)
}
