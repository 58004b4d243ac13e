//! Reports of measures carried out, from their topic, for as long as this process leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use creditgate_runtime::errors::Chain;
use creditgate_runtime::kafka::{self, Cluster, Incoming, Read, Reader, Topic};
use creditgate_runtime::telemetry::names::field;
use tokio::sync::{mpsc, oneshot};

use crate::keeper::Command;

/// Reports handed over at once.
const BATCH: usize = 200;
/// How long the thread waits for one.
const WAIT: Duration = Duration::from_millis(200);
/// Time between two tries of what could not be kept.
const AGAIN: Duration = Duration::from_millis(500);

/// A thread that reads until this is dropped.
pub(crate) struct Reports {
    stop: Arc<AtomicBool>,
}

impl Reports {
    /// Begins at these places; at the very beginning of a partition where there is none.
    ///
    /// # Errors
    /// When the operating system has no thread left.
    pub fn start(
        cluster: &Cluster,
        partitions: u32,
        places: &BTreeMap<i32, i64>,
        keeper: mpsc::WeakSender<Command>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let places: Vec<(i32, Option<i64>)> = (0..i32::try_from(partitions).unwrap_or(i32::MAX))
            .map(|partition| (partition, places.get(&partition).copied()))
            .collect();
        let (cluster, stopped) = (cluster.clone(), Arc::clone(&stop));
        thread::Builder::new()
            .name("case-reports".to_owned())
            .spawn(move || {
                if let Err(error) = run(&cluster, &places, &stopped, &keeper) {
                    tracing::error!({ field::ERROR } = %Chain(&error), "reports are read no more; restart this process");
                }
            })?;
        Ok(Self { stop })
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn run(
    cluster: &Cluster,
    places: &[(i32, Option<i64>)],
    stop: &AtomicBool,
    keeper: &mpsc::WeakSender<Command>,
) -> Result<(), kafka::Error> {
    let reader = Reader::open(cluster, Topic::Feedback, places)?;
    let mut batch: Vec<Incoming> = Vec::new();
    while !stop.load(Ordering::Acquire) {
        while batch.len() < BATCH {
            let wait = match batch.is_empty() {
                true => WAIT,
                false => Duration::ZERO,
            };
            match reader.next(wait)? {
                Read::Record(record) => batch.push(record),
                Read::End(_) => {}
                Read::Nothing => break,
            }
        }
        if batch.is_empty() {
            continue;
        }
        let Some(keeper) = keeper.upgrade() else {
            return Ok(());
        };
        let (reply, done) = oneshot::channel();
        let told = Command::Reports {
            batch: batch.clone(),
            reply,
        };
        if keeper.blocking_send(told).is_err() {
            return Ok(());
        }
        // Whoever does not answer leads no more.
        match done.blocking_recv().unwrap_or(None) {
            Some(0) | None => thread::sleep(AGAIN),
            Some(done) => drop(batch.drain(..done.min(batch.len()))),
        }
    }
    Ok(())
}
