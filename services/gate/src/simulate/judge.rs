//! The second reading: each event decided with the candidate and the lists of its version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use bytes::Bytes;
use creditgate_measures::lists::Lists;
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_runtime::ports::{HistoryError, Sweep};
use prost::Message;

use super::collect::{Plan, Step};
use super::compare::Told;
use super::report::{Again, NotDecidable, Report};
use super::{AHEAD, BATCH, Error, Simulation, Stretch, Teller, Work};
use crate::replay::Recalled;

/// A record to be decided.
struct Task {
    position: u64,
    payload: Bytes,
    lists: Arc<Lists>,
}

/// The lists of one version after the other; the few that are asked for once more are kept.
struct Versions {
    sweep: Box<dyn Sweep>,
    current: Option<Arc<Lists>>,
    /// Versions that will be asked for after a later one: how often, and the lists once passed.
    back: BTreeMap<u64, (u64, Option<Arc<Lists>>)>,
}

impl Versions {
    /// The lists of exactly this version.
    fn at(&mut self, seq: u64) -> Result<Arc<Lists>, HistoryError> {
        let reached = self.current.as_ref().map(|lists| lists.version().seq);
        match &self.current {
            Some(current) if reached == Some(seq) => return Ok(Arc::clone(current)),
            _ if reached.is_some_and(|reached| seq < reached) => return self.again(seq),
            _ => {}
        }
        let passed = reached.map_or(0, |reached| reached + 1)..seq;
        for (version, (_, kept)) in self.back.range_mut(passed) {
            *kept = Some(Arc::new(self.sweep.advance_to(*version)?.clone()));
        }
        let lists = Arc::new(self.sweep.advance_to(seq)?.clone());
        if let Some((_, kept)) = self.back.get_mut(&seq) {
            *kept = Some(Arc::clone(&lists));
        }
        self.current = Some(Arc::clone(&lists));
        Ok(lists)
    }

    fn again(&mut self, seq: u64) -> Result<Arc<Lists>, HistoryError> {
        let unknown = || HistoryError::Unknown(format!("list version {seq}, once passed,"));
        let (left, kept) = self.back.get_mut(&seq).ok_or_else(unknown)?;
        let lists = kept.clone().ok_or_else(unknown)?;
        *left -= 1;
        if *left == 0 {
            self.back.remove(&seq);
        }
        Ok(lists)
    }
}

impl Simulation<'_> {
    pub(super) fn judge(
        &self,
        stretch: Stretch,
        plan: &Plan,
        sweep: Box<dyn Sweep>,
    ) -> Result<Report, Error> {
        let (sender, work) = Work::<Vec<Task>>::line(AHEAD * self.workers);
        let decided = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers)
                .map(|_| {
                    let (work, decided) = (work.clone(), &decided);
                    scope.spawn(move || {
                        let mut report = Report::default();
                        while let Some(batch) = work.next() {
                            for task in &batch {
                                self.decide_again(task, &mut report);
                            }
                            decided.fetch_add(batch.len() as u64, Ordering::Relaxed);
                        }
                        report
                    })
                })
                .collect();
            drop(work);
            let back = plan.back.iter();
            let versions = Versions {
                sweep,
                current: None,
                back: back.map(|(seq, times)| (*seq, (*times, None))).collect(),
            };
            let mut teller = Teller::new(self.tell, "deciding", plan.events);
            let read = self.read_tasks(stretch, plan, versions, sender, &mut teller, &decided);
            let mut joined = Vec::with_capacity(workers.len());
            for worker in workers {
                joined.push(worker.join().map_err(|_| Error::Fault)?);
            }
            let mut report = read?;
            for part in joined {
                report.join(part, self.samples);
            }
            teller.now(plan.events);
            Ok(report)
        })
    }

    /// Reads the stretch for the workers; counts what cannot be decided.
    fn read_tasks(
        &self,
        stretch: Stretch,
        plan: &Plan,
        mut versions: Versions,
        sender: SyncSender<Vec<Task>>,
        teller: &mut Teller<'_>,
        decided: &AtomicU64,
    ) -> Result<Report, Error> {
        let mut report = Report::default();
        let mut batch = Vec::with_capacity(BATCH);
        // The steps first: with the last one, the records behind it need not be read.
        for (step, record) in plan.steps().zip(self.records(stretch)) {
            let record = record?;
            let position = record.position.0;
            match step {
                Step::LeaveOut => {}
                Step::Count(why) => report.not_decidable(why, position),
                Step::Decide(seq) => batch.push(Task {
                    position,
                    payload: record.payload,
                    lists: versions.at(seq)?,
                }),
            }
            if batch.len() == BATCH {
                self.go_on()?;
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                sender.send(full).map_err(|_| Error::Fault)?;
                teller.at(decided.load(Ordering::Relaxed));
            }
        }
        sender.send(batch).map_err(|_| Error::Fault)?;
        Ok(report)
    }

    fn decide_again(&self, task: &Task, report: &mut Report) {
        let unreadable = NotDecidable::Unreadable;
        let Ok(record) = VerdictRecord::decode(task.payload.clone()) else {
            return report.not_decidable(unreadable, task.position);
        };
        let Some(stored) = &record.verdict else {
            return report.not_decidable(unreadable, task.position);
        };
        let (Ok(recalled), Some(old)) = (Recalled::of(&record, stored), Told::recorded(stored))
        else {
            return report.not_decidable(unreadable, task.position);
        };
        let new = recalled.decide(&task.lists, self.candidate);
        (self.see)(task.position, &new);
        let again = Again {
            position: task.position,
            event: &recalled.event,
            stored,
            old: &old,
            new: &new,
        };
        report.count(&again, self.samples);
    }
}
