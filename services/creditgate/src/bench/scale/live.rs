//! Live checks at a steady rate, counted apart for each phase of a benchmark.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use parking_lot::Mutex;
use tokio::task::{JoinHandle, JoinSet};

use crate::bench::load;
use crate::bench::times::Times;
use crate::client::Gate;

/// What live checks are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    Between,
    /// Nothing else is done.
    Before,
    /// Entries are changed one by one.
    Changes,
    /// Rows are imported.
    Import,
    /// The overlay is merged into a new base.
    Merge,
}

impl Phase {
    /// Those that are counted.
    pub const COUNTED: [Self; 4] = [Self::Before, Self::Changes, Self::Import, Self::Merge];

    /// What the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Between => "between",
            Self::Before => "before",
            Self::Changes => "during changes of the lists",
            Self::Import => "during an import",
            Self::Merge => "during a merge of the overlay",
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Between => 0,
            Self::Before => 1,
            Self::Changes => 2,
            Self::Import => 3,
            Self::Merge => 4,
        }
    }
}

/// Checks that go on until they are stopped.
pub struct Live {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    phase: AtomicUsize,
    times: [Mutex<Times>; 5],
    refused: AtomicU64,
    over: AtomicBool,
}

impl Live {
    /// Begins with so many checks a second, whatever becomes of those before.
    pub fn begin(gate: Gate, rate: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(checks(gate, rate as f64, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// Goes over to another phase.
    pub fn phase(&self, phase: Phase) {
        self.shared.phase.store(phase.place(), Ordering::Relaxed);
    }

    /// Ends, once the last checks are answered, and gives how many were refused.
    pub async fn end(&mut self) -> u64 {
        self.phase(Phase::Between);
        self.shared.over.store(true, Ordering::Relaxed);
        // A task that failed has told so; its checks are missing and show.
        let _ = (&mut self.task).await;
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// How long the checks of a phase took.
    pub fn times(&self, phase: Phase) -> Times {
        let times = self.shared.times.get(phase.place());
        times.map(|times| times.lock().clone()).unwrap_or_default()
    }
}

async fn checks(gate: Gate, rate: f64, shared: Arc<Shared>) {
    let began = Instant::now();
    let mut sent = 0_u64;
    let mut calls = JoinSet::new();
    while !shared.over.load(Ordering::Relaxed) {
        // Rates and times of a benchmark are far from where a float cannot count any more.
        let due = (rate * began.elapsed().as_secs_f64()) as u64;
        while sent < due {
            let (mut gate, shared, n) = (gate.clone(), Arc::clone(&shared), sent);
            sent += 1;
            calls.spawn(async move {
                let event = Some(load::event("live", n));
                let phase = shared.phase.load(Ordering::Relaxed);
                let called = Instant::now();
                let answer = gate.check(v1::CheckRequest { event }).await;
                match (answer, shared.times.get(phase)) {
                    (Ok(_), Some(times)) => times.lock().note(called.elapsed()),
                    _ => {
                        shared.refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while calls.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while calls.join_next().await.is_some() {}
}
