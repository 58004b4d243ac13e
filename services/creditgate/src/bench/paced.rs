//! The client whose calls are due at fixed times, whatever becomes of those before.
//!
//! A client that waits for an answer before it calls again asks less of a service that stands still,
//! and so hides the stall ("coordinated omission"). Here calls fall due once a millisecond, as many
//! as the rate says, and the time of a call counts from when it was due.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::load::{Draw, is_verdict};
use super::times::Times;
use crate::cli::bench::{CallArgs, Mode};
use crate::client::{Client, Gate};
use crate::failure::Failure;

/// How often calls fall due.
const TICK: Duration = Duration::from_millis(1);
/// Windows in which calls due and answers are counted.
pub const WINDOW: Duration = Duration::from_millis(100);
/// Time for the last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What came of a rate. Without the beginning, which warms up, except where it says so.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Held {
    /// Verdicts over the whole run, with its beginning and those after its end.
    pub answers_in_all: u64,
    /// Calls that ended without a verdict, with those of the beginning.
    pub refused: u64,
    /// Calls that had no answer some seconds after the last one was due.
    pub unanswered: u64,
    /// From when a call was due to its verdict.
    pub times: Times,
    /// How late the client itself was, for each millisecond at which calls were due.
    pub lateness: Times,
    /// For each window of 100 ms: calls that were due, and verdicts that came.
    pub windows: Vec<(u32, u32)>,
}

/// Calls that fall due together.
#[derive(Clone)]
struct Tick {
    due: Instant,
    numbers: Range<u64>,
}

/// What all connections write into.
struct Seen {
    /// When the beginning is over.
    counts_from: Instant,
    counted: Mutex<Held>,
}

impl Seen {
    /// Windows go until the end of the load; what is answered later belongs to none.
    fn new(counts_from: Instant, lasts: Duration) -> Self {
        let windows = lasts.as_millis() / WINDOW.as_millis();
        Self {
            counts_from,
            counted: Mutex::new(Held {
                windows: vec![(0, 0); usize::try_from(windows).unwrap_or(0)],
                ..Held::default()
            }),
        }
    }

    fn window(&self, at: Instant) -> Option<usize> {
        let since = at.checked_duration_since(self.counts_from)?;
        usize::try_from(since.as_millis() / WINDOW.as_millis()).ok()
    }

    fn due(&self, tick: &Tick, lateness: Duration) {
        let calls = u32::try_from(tick.numbers.end - tick.numbers.start).unwrap_or(u32::MAX);
        let mut held = self.counted.lock();
        // Those without an answer are counted down as answers come.
        held.unanswered += u64::from(calls);
        if let Some(at) = self.window(tick.due) {
            held.lateness.note(lateness);
            if let Some((due, _)) = held.windows.get_mut(at) {
                *due += calls;
            }
        }
    }

    fn ended(&self, due: Instant, with_verdict: bool) {
        let now = Instant::now();
        let mut held = self.counted.lock();
        held.unanswered = held.unanswered.saturating_sub(1);
        if !with_verdict {
            held.refused += 1;
            return;
        }
        held.answers_in_all += 1;
        if due >= self.counts_from {
            held.times.note(now.saturating_duration_since(due));
        }
        let at = self.window(now);
        if let Some((_, answers)) = at.and_then(|at| held.windows.get_mut(at)) {
            *answers += 1;
        }
    }
}

/// Whose events, and where they are noted.
#[derive(Clone)]
struct Calls {
    run: Arc<str>,
    draw: Draw,
    seen: Arc<Seen>,
}

impl Calls {
    fn event(&self, n: u64) -> v1::Event {
        self.draw.event(&self.run, n)
    }
}

/// Calls at a rate, and prints what came of it as one line of JSON.
pub async fn print(calls: &CallArgs, rate: f64, warm_up: Duration) -> Result<ExitCode, Failure> {
    let mut clients = Vec::new();
    for _ in 0..calls.connections.max(1) {
        clients.push(Client::connect(&calls.server()).await?);
    }
    let lasts = Duration::from_secs_f64(calls.seconds);
    // A moment, so that every task waits when the first call is due.
    let begins = Instant::now() + Duration::from_millis(20);
    let seen = Arc::new(Seen::new(begins + warm_up, lasts));
    let shared = Calls {
        run: calls.run.as_str().into(),
        draw: Draw {
            seed: calls.seed,
            entries: calls.entries,
        },
        seen: Arc::clone(&seen),
    };
    let apart = clients.len();
    let mut ticks = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for (nth, client) in clients.into_iter().enumerate() {
        let (send, receive) = mpsc::unbounded_channel();
        ticks.push(send);
        let mine = Mine {
            nth,
            apart,
            ticks: receive,
        };
        match calls.mode {
            Mode::Stream => tasks.spawn(stream(client.gate, mine, shared.clone())),
            Mode::Unary => tasks.spawn(unary(client.gate, mine, shared.clone())),
            Mode::Batch => return Err(Failure::plain("batches have no fixed times")),
        };
    }
    let clock = {
        let seen = Arc::clone(&seen);
        // A thread of its own: the timer of the runtime may be a millisecond late.
        std::thread::spawn(move || pace(begins, warm_up + lasts, rate, &ticks, &seen))
    };
    tokio::task::spawn_blocking(move || clock.join())
        .await
        .map_err(|error| Failure::new("keep the time", error))?
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let until = Instant::now() + LAST_ANSWERS;
    while seen.counted.lock().unanswered > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tasks.abort_all();
    let held = seen.counted.lock().clone();
    let line = serde_json::to_string(&held)
        .map_err(|error| Failure::new("print what came of it", error))?;
    say!("{line}");
    Ok(ExitCode::SUCCESS)
}

/// Says to every connection which calls are due, each millisecond. One that it wakes up too late
/// for is said late, but not left out.
fn pace(
    begins: Instant,
    lasts: Duration,
    rate: f64,
    connections: &[mpsc::UnboundedSender<Tick>],
    seen: &Seen,
) {
    let mut said = 0;
    let mut after = Duration::ZERO;
    while after < lasts {
        let due = begins + after;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        after += TICK;
        // Rates and times of a benchmark are far from where a float cannot count any more.
        let until = (rate * after.as_secs_f64()) as u64;
        if until == said {
            continue;
        }
        let tick = Tick {
            due,
            numbers: said..until,
        };
        said = until;
        seen.due(&tick, due.elapsed());
        for connection in connections {
            // A connection that has failed leaves its calls without an answer, and they are told.
            let _ = connection.send(tick.clone());
        }
    }
}

/// Which calls a connection makes.
struct Mine {
    nth: usize,
    apart: usize,
    ticks: mpsc::UnboundedReceiver<Tick>,
}

impl Mine {
    /// When the next calls were due, and their numbers.
    async fn next(&mut self) -> Option<(Instant, impl Iterator<Item = u64> + use<>)> {
        let (nth, apart) = (self.nth as u64, self.apart as u64);
        let tick = self.ticks.recv().await?;
        let numbers = tick.numbers.filter(move |n| n % apart == nth);
        Some((tick.due, numbers))
    }
}

async fn unary(gate: Gate, mut mine: Mine, calls: Calls) {
    while let Some((due, numbers)) = mine.next().await {
        for n in numbers {
            let (mut gate, calls) = (gate.clone(), calls.clone());
            tokio::spawn(async move {
                let request = v1::CheckRequest {
                    event: Some(calls.event(n)),
                };
                let answered = gate.check(request).await.is_ok();
                calls.seen.ended(due, answered);
            });
        }
    }
}

/// Answers come in the order of the items.
async fn stream(mut gate: Gate, mut mine: Mine, calls: Calls) {
    let (send, receive) = mpsc::unbounded_channel();
    let (note_due, mut dues) = mpsc::unbounded_channel();
    let sending = {
        let calls = calls.clone();
        tokio::spawn(async move {
            while let Some((due, numbers)) = mine.next().await {
                for n in numbers {
                    let item = v1::CheckStreamRequest {
                        event: Some(calls.event(n)),
                        correlation: String::new(),
                    };
                    if note_due.send(due).is_err() || send.send(item).is_err() {
                        return;
                    }
                }
            }
        })
    };
    let items = UnboundedReceiverStream::new(receive);
    match gate.check_stream(items).await {
        Ok(answers) => {
            let mut answers = answers.into_inner();
            loop {
                match answers.message().await {
                    Ok(Some(answer)) => {
                        let Some(due) = dues.recv().await else { break };
                        let with_verdict = answer.result.iter().any(is_verdict);
                        calls.seen.ended(due, with_verdict);
                    }
                    Ok(None) => break,
                    Err(status) => {
                        note!("a stream broke: {}", crate::failure::status_text(&status));
                        break;
                    }
                }
            }
        }
        Err(status) => note!(
            "a stream did not open: {}",
            crate::failure::status_text(&status)
        ),
    }
    sending.abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(due: Instant, calls: u64) -> Tick {
        Tick {
            due,
            numbers: 0..calls,
        }
    }

    #[test]
    fn the_time_of_a_call_counts_from_when_it_was_due() {
        let long_ago = Instant::now() - Duration::from_millis(250);
        let seen = Seen::new(long_ago, Duration::from_millis(200));
        seen.due(&tick(long_ago, 3), Duration::ZERO);
        seen.ended(long_ago, true);
        seen.ended(long_ago, false);
        let held = seen.counted.into_inner();
        assert!(held.times.ms(1.0) >= 250.0);
        assert_eq!((held.refused, held.unanswered), (1, 1));
        // The answer came after the last window.
        assert_eq!(held.windows, [(3, 0), (0, 0)]);
    }

    #[test]
    fn the_beginning_has_neither_times_nor_windows() {
        let now = Instant::now();
        let seen = Seen::new(now + Duration::from_secs(60), Duration::from_millis(100));
        seen.due(&tick(now, 2), Duration::ZERO);
        seen.ended(now, true);
        let held = seen.counted.into_inner();
        assert_eq!((held.answers_in_all, held.times.count()), (1, 0));
        assert_eq!(held.windows, [(0, 0)]);
    }

    #[test]
    fn every_call_is_due_once_and_at_one_connection() {
        let (first, mut at_first) = mpsc::unbounded_channel();
        let (second, mut at_second) = mpsc::unbounded_channel();
        let now = Instant::now();
        let lasts = Duration::from_millis(100);
        let seen = Seen::new(now, lasts);
        pace(now, lasts, 2_500.0, &[first, second], &seen);
        let mut told = Vec::new();
        while let Ok(tick) = at_first.try_recv() {
            assert_eq!(
                at_second.try_recv().expect("the same").numbers,
                tick.numbers
            );
            told.extend(tick.numbers);
        }
        assert_eq!(told, (0..250).collect::<Vec<_>>());
        let held = seen.counted.into_inner();
        assert_eq!(held.windows, [(250, 0)]);
        assert_eq!(held.unanswered, 250);
    }
}
