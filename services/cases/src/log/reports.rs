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
/// How long the cluster may take to say where a partition begins.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
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
                run(&cluster, places, &stopped, &keeper);
            })?;
        Ok(Self { stop })
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Reads on whatever happens: a report that is not read would never be missed.
fn run(
    cluster: &Cluster,
    mut places: Vec<(i32, Option<i64>)>,
    stop: &AtomicBool,
    keeper: &mpsc::WeakSender<Command>,
) {
    let mut moved = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let reader = match Reader::open(cluster, Topic::Feedback, &places) {
            Ok(reader) => reader,
            Err(error) => {
                tracing::error!({ field::ERROR } = %Chain(&error), "reports cannot be read; trying again");
                thread::sleep(AGAIN);
                continue;
            }
        };
        let mut reading = Reading {
            reader: &reader,
            places: &mut places,
            moved: &mut moved,
        };
        match reading.run(stop, keeper) {
            Ok(()) => return,
            Err(kafka::Error::Gone { .. }) => reading.pass_over_gap(),
            Err(error) => {
                tracing::error!({ field::ERROR } = %Chain(&error), "reports cannot be read; trying again");
            }
        }
        thread::sleep(AGAIN);
    }
}

struct Reading<'a> {
    reader: &'a Reader,
    /// Where each partition is read on.
    places: &'a mut Vec<(i32, Option<i64>)>,
    /// Places that were moved over a gap, until the records say so.
    moved: &'a mut Vec<(i32, i64)>,
}

impl Reading<'_> {
    fn run(
        &mut self,
        stop: &AtomicBool,
        keeper: &mpsc::WeakSender<Command>,
    ) -> Result<(), kafka::Error> {
        let mut batch: Vec<Incoming> = Vec::new();
        while !stop.load(Ordering::Acquire) {
            while batch.len() < BATCH {
                let wait = match batch.is_empty() && self.moved.is_empty() {
                    true => WAIT,
                    false => Duration::ZERO,
                };
                match self.reader.next(wait)? {
                    Read::Record(record) => batch.push(record),
                    Read::End(_) => {}
                    Read::Nothing => break,
                }
            }
            if batch.is_empty() && self.moved.is_empty() {
                continue;
            }
            let Some(keeper) = keeper.upgrade() else {
                return Ok(());
            };
            let (reply, done) = oneshot::channel();
            let told = Command::Reports {
                batch: batch.clone(),
                moved: self.moved.clone(),
                reply,
            };
            if keeper.blocking_send(told).is_err() {
                return Ok(());
            }
            // Whoever does not answer leads no more.
            let Some(done) = done.blocking_recv().unwrap_or(None) else {
                thread::sleep(AGAIN);
                continue;
            };
            self.moved.clear();
            if done == 0 && !batch.is_empty() {
                thread::sleep(AGAIN);
            }
            for read in batch.drain(..done.min(batch.len())) {
                let place = self
                    .places
                    .iter_mut()
                    .find(|(one, _)| *one == read.partition);
                if let Some((_, place)) = place {
                    *place = Some(read.offset + 1);
                }
            }
        }
        Ok(())
    }

    /// Goes on where the topic begins now: what lay between was deleted before it was read, or the topic
    /// was made anew.
    fn pass_over_gap(&mut self) {
        for (partition, place) in self.places.iter_mut() {
            let bounds = self.reader.bounds(*partition, ANSWERS_WITHIN);
            let (Some(at), Some((first, next))) = (*place, bounds) else {
                continue;
            };
            if (first..=next).contains(&at) {
                continue;
            }
            tracing::error!(
                partition,
                due = at,
                first,
                next,
                "reports were deleted from their topic before they were read: ask those who sent them to send them again; reading goes on with the first that is there"
            );
            *place = Some(first);
            self.moved.push((*partition, first));
        }
    }
}
