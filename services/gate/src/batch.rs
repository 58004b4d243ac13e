//! Several checks as one group: judged one after the other, recorded together, answered in order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_runtime::journal::Receipt;
use creditgate_runtime::metrics::Pending;
use futures::future::join_all;

use crate::admission::Room;
use crate::check::{Answer, Arrival, AtOnce, Decided, Judged, not_published, settle};
use crate::failure::Failure;
use crate::gate::Inner;
use crate::records::Draft;

/// Items judged before others get their turn.
const YIELD_EVERY: usize = 64;

/// How long a group waits while too much is behind.
const SATURATED_PATIENCE: Duration = Duration::from_secs(1);

/// An item of a group.
pub(crate) enum Item {
    /// To be judged.
    Arrived(Box<Arrival>, Pending),
    /// Refused before.
    Refused(Failure, Pending),
}

type Judging<'a> = Pin<Box<dyn Future<Output = Result<Judged, Failure>> + Send + 'a>>;

/// How far an item got without waiting.
enum Step<'a> {
    Over(Box<Result<Answer, Failure>>),
    Decided(Box<Decided>),
    Waits(Judging<'a>),
}

impl Step<'_> {
    fn over(result: Result<Answer, Failure>) -> Self {
        Self::Over(Box::new(result))
    }
}

impl Inner {
    /// Room for a group. Its sender is held back while there is none, and turned away after a while.
    pub(crate) async fn admit_group(&self, items: usize) -> Result<Room, Failure> {
        let until = Instant::now() + SATURATED_PATIENCE;
        while self.records.is_saturated() {
            self.admission.open()?;
            if Instant::now() >= until {
                return Err(Failure::Overloaded);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.admission.group(items).await
    }

    /// Checks a group; one result for each item, in order.
    ///
    /// Most items need nothing but the processor and are judged at once; their records are
    /// appended as one run. An item that must wait (for lists, for a case to be read, for another
    /// check of the same event, maybe in this very group) goes its own way beside them.
    ///
    /// Claims are held while this runs, so it is to be driven by a task of its own, never by a
    /// caller who may stop listening.
    pub(crate) async fn check_group(
        self: Arc<Self>,
        items: Vec<Item>,
        room: Result<Room, Failure>,
    ) -> Vec<Result<Answer, Failure>> {
        let inner = &*self;
        let mut results = Vec::with_capacity(items.len());
        let mut pendings = Vec::with_capacity(items.len());
        let mut decided = Vec::with_capacity(items.len());
        let mut waiting = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            if index % YIELD_EVERY == YIELD_EVERY - 1 {
                tokio::task::yield_now().await;
            }
            let (pending, step) = inner.begin(item, &room);
            pendings.push(pending);
            results.push(match step {
                Step::Over(result) => Some(*result),
                Step::Decided(one) => {
                    decided.push((index, one));
                    None
                }
                Step::Waits(judging) => {
                    waiting.push(async move { (index, inner.go_on(judging).await) });
                    None
                }
            });
        }
        let (kept, waited) = tokio::join!(self.keep_all(decided), join_all(waiting));
        for (index, result) in kept.into_iter().chain(waited) {
            if let Some(place) = results.get_mut(index) {
                *place = Some(result);
            }
        }
        drop(room);
        let results = results
            .into_iter()
            .map(|result| result.unwrap_or(Err(Failure::Internal)));
        let settled = |(result, pending)| {
            settle(pending, &result);
            result
        };
        results.zip(pendings).map(settled).collect()
    }

    /// As far as an item gets without waiting.
    fn begin<'a>(&'a self, item: Item, room: &Result<Room, Failure>) -> (Pending, Step<'a>) {
        let (arrival, pending) = match item {
            Item::Refused(failure, pending) => return (pending, Step::over(Err(failure))),
            Item::Arrived(arrival, pending) => (arrival, pending),
        };
        if room.is_err() {
            let failure = self.admission.open().err().unwrap_or(Failure::Overloaded);
            return (pending, Step::over(Err(failure)));
        }
        let step = match self.judge_at_once(*arrival) {
            Ok(AtOnce::Judged(one)) => Step::Decided(one),
            Ok(AtOnce::Waits(asked)) => Step::Waits(Box::pin(self.judge_waiting(*asked))),
            Err(failure) => Step::over(Err(failure)),
        };
        (pending, step)
    }

    async fn go_on(&self, judging: Judging<'_>) -> Result<Answer, Failure> {
        match judging.await? {
            Judged::Before(before) => self.repeated(*before).await,
            Judged::Now(one) => self.keep(*one, None).await,
        }
    }

    /// Records verdicts in runs; whatever is in one run is durable together or refused together.
    async fn keep_all(
        &self,
        decided: Vec<(usize, Box<Decided>)>,
    ) -> Vec<(usize, Result<Answer, Failure>)> {
        let mut results = Vec::with_capacity(decided.len());
        for run in runs(decided, self.records.run_bytes_max()) {
            let published = self.publish(&run).await;
            let mut drafts = Vec::with_capacity(run.len());
            let mut answers = Vec::with_capacity(run.len());
            for (index, decided) in run {
                let Decided {
                    draft,
                    answer,
                    basis,
                } = *decided;
                drafts.push(draft);
                answers.push((index, answer, basis));
            }
            let kept = match published {
                Ok(()) => self.append(drafts).await,
                Err(failure) => Err(failure),
            };
            let answers = answers.into_iter().enumerate();
            results.extend(answers.map(|(nth, (index, answer, basis))| {
                let result = match &kept {
                    Ok(receipts) => {
                        Ok(self.acknowledged(answer, receipts.get(nth).copied(), basis))
                    }
                    Err(failure) => Err(failure.again()),
                };
                (index, result)
            }));
        }
        results
    }

    async fn publish(&self, run: &[(usize, Box<Decided>)]) -> Result<(), Failure> {
        match &self.outbox {
            Some(outbox) => outbox.publish_all(run).await.map_err(not_published),
            None => Ok(()),
        }
    }

    async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Receipt>, Failure> {
        match Arc::clone(&self.records).append_in_runs(drafts).await {
            Err(error) if self.outbox.is_some() => {
                self.copy_failed(&error);
                Ok(Vec::new())
            }
            Err(error) => Err(self.not_kept(error)),
            Ok(receipts) => Ok(receipts),
        }
    }
}

/// Divides verdicts into runs that the journal's queue can take.
fn runs(decided: Vec<(usize, Box<Decided>)>, bytes_max: usize) -> Vec<Vec<(usize, Box<Decided>)>> {
    let mut runs = Vec::new();
    let mut run = Vec::with_capacity(decided.len());
    let mut bytes = 0;
    for one in decided {
        let more = one.1.draft.record.payload.len();
        if bytes + more > bytes_max && !run.is_empty() {
            bytes = 0;
            runs.push(std::mem::take(&mut run));
        }
        bytes += more;
        run.push(one);
    }
    runs.push(run);
    runs
}
