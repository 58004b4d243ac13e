//! Open cases are judged again when something changed, and what measures rest on is looked at again
//! (specification, 8).
//!
//! A review's slot has an id of its own, so one that is made twice, after a crash, is one verdict. Live
//! checks go first: after each round the reviewer rests as long as it worked, but never for long, since
//! somebody may be barred until his review is made.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use creditgate_measures::book::{Book, BookVersion};
use creditgate_measures::case::CaseView;
use creditgate_measures::event::{Event, StageCode};
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Cause, Verdict};
use creditgate_measures::vocabulary::Effect;
use creditgate_measures::{Question, decide};
use creditgate_proto::decode::event_from_record;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{MeasureSupport, SupportChanged, VerdictRecord};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::Position;
use creditgate_runtime::live::Live;
use creditgate_runtime::ports::{Change, Changes, History, NotReviewed, Review, Reviewed, Reviews};
use creditgate_runtime::telemetry::names::field;
use futures::future::join_all;
use prost::Message;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::cases::Shared;
use crate::error::Error;
use crate::keeper::Command;
use crate::state::{CaseState, MeasureState, OrderState, Recorded};
use crate::table::{Lookup, Pending};

/// Reviews of one round: they become durable together.
const ROUND: usize = 64;
/// How long an idle reviewer waits before it looks again.
const IDLE: Duration = Duration::from_secs(1);
/// Longest rest after a round: most of a long one was spent waiting for others.
const REST_MAX: Duration = Duration::from_millis(50);
/// Pause after a round in which something failed.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Reviewer {
    pub lookup: Lookup,
    pub shared: Arc<Shared>,
    pub reviews: Arc<dyn Reviews>,
    pub changes: Arc<dyn Changes>,
    pub history: Arc<dyn History>,
    pub live: Live,
    pub clock: Clock,
    pub keeper: mpsc::Sender<Command>,
}

/// What was known right after a change.
#[derive(Clone)]
pub(crate) struct Known {
    /// The lists; none: they are read for each event.
    lists: Option<Lists>,
    version: ListVersion,
    book: Arc<Book>,
    /// The moment at which is judged.
    at: Time,
}

/// A review to be made, if any, of this case, and what its measures turn out to rest on.
type Prepared = (Option<Review>, String, Option<SupportChanged>);

impl Reviewer {
    pub fn run(self, runtime: &Handle) {
        while !self.shared.stop.is_cancelled() {
            let begun = Instant::now();
            let round = match self.shared.has_caught_up() {
                true => self.round(runtime),
                false => Ok(0),
            };
            let pause = match round {
                Ok(0) => IDLE,
                Ok(_) => begun.elapsed().min(REST_MAX),
                Err(error) => {
                    tracing::error!({ field::ERROR } = %Chain(&error), "cases could not be reviewed; trying again");
                    RETRY
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = self.shared.due.notified(), if pause == IDLE => {}
                    () = self.shared.stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            });
        }
    }

    /// Makes the reviews that are most urgent. Gives how many.
    fn round(&self, runtime: &Handle) -> Result<usize, Error> {
        let begun = Instant::now();
        // Before what waits is read: whatever is looked through by then waits, or is reviewed.
        let scanned = self.lookup.scanned()?;
        let pending = self.lookup.pending(ROUND)?;
        if pending.is_empty() {
            self.shared.snapshots.forget(scanned);
            return Ok(0);
        }
        let mut known: BTreeMap<(u64, String), Known> = BTreeMap::new();
        let (mut made, mut waiting, mut shown) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed = Vec::new();
        for pending in pending {
            let (review, case_id, support) = match self.prepare(&pending, &mut known) {
                Ok(prepared) => prepared,
                // Others are not kept waiting by one that cannot be made now.
                Err(error) => {
                    tracing::error!(
                        case = pending.case,
                        cause = %pending.cause,
                        { field::ERROR } = %Chain(&error),
                        "a case could not be reviewed; it is tried again after others"
                    );
                    failed.push(pending);
                    continue;
                }
            };
            match review {
                Some(review) => {
                    waiting.push((pending, case_id, support, self.reviews.review(review)));
                }
                None => {
                    shown.extend(support.map(|support| (case_id, What::Support(support))));
                    made.push(pending);
                }
            }
        }
        let prepared = begun.elapsed();
        let judged = runtime.block_on(join_all(waiting.into_iter().map(
            async |(pending, case_id, support, review)| (pending, case_id, support, review.await),
        )));
        let judged_after = begun.elapsed();
        let mut later = None;
        for (pending, case_id, support, result) in judged {
            match result {
                Ok(Reviewed::Now(_)) => {
                    self.shared.reviewed.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Reviewed::Before(_)) => {}
                Err(NotReviewed::Later(why)) => {
                    later = Some(why);
                    continue;
                }
                // It never will be; the case goes on with what it has.
                Err(error @ NotReviewed::Record(_)) => {
                    tracing::error!(case = %case_id, { field::ERROR } = %error, "a case cannot be reviewed");
                }
            }
            shown.extend(support.map(|support| (case_id, What::Support(support))));
            made.push(pending);
        }
        let count = made.len();
        let (reply, done) = oneshot::channel();
        let told = Command::Done {
            reviews: made,
            failed,
            shown,
            reply,
        };
        runtime.block_on(async {
            // Whoever does not answer has ended, and so does this thread.
            if self.keeper.send(told).await.is_ok() {
                let _ = done.await;
            }
        });
        tracing::debug!(
            count,
            prepared_us = prepared.as_micros(),
            judged_us = judged_after.as_micros(),
            noted_us = begun.elapsed().as_micros(),
            "reviewed"
        );
        if let Some(why) = later {
            tracing::warn!({ field::REASON } = %why, "reviews wait");
            runtime.block_on(tokio::time::sleep(RETRY));
        }
        Ok(count)
    }

    /// What is known for a review: for a change of the lists what was known right after it, for a book
    /// that was asked for what is known now.
    fn known_for(&self, pending: &Pending) -> Result<Known, Error> {
        let generation = self.live.load_full();
        if let Some(asked) = pending.cause.strip_prefix("book:") {
            return Ok(Known {
                book: match BookVersion::parse(asked) {
                    Some(version) => self.history.book(version)?,
                    None => Arc::clone(&generation.book),
                },
                lists: Some(generation.lists.clone()),
                version: generation.lists.version(),
                at: Time::from_micros(self.clock.now_micros()),
            });
        }
        let change = match self.shared.snapshots.get(pending.seq) {
            Some(change) => Some(change),
            // It was looked through before a restart, or there were too many.
            None => {
                let mut following = self.changes.follow(pending.seq.saturating_sub(1));
                following.next(1)?.pop()
            }
        };
        match change {
            Some(change) if change.seq == pending.seq => {
                Known::after(&change, &self.live, self.history.as_ref())
            }
            _ => Ok(Known {
                lists: None,
                version: ListVersion {
                    seq: pending.seq,
                    ..generation.lists.version()
                },
                book: Arc::clone(&generation.book),
                at: Time::from_micros(pending.at),
            }),
        }
    }

    fn prepare(
        &self,
        pending: &Pending,
        known: &mut BTreeMap<(u64, String), Known>,
    ) -> Result<Prepared, Error> {
        let Some(found) = self.lookup.case_of(pending.case)? else {
            return Ok((None, String::new(), None));
        };
        let state = CaseState::from_stored(&found.state)?;
        let (Some(cause), Some(life)) = (Cause::parse(&pending.cause), &state.life) else {
            return Ok((None, found.case_id, None));
        };
        let then = match known.entry((pending.seq, pending.cause.clone())) {
            Entry::Occupied(then) => then.into_mut(),
            Entry::Vacant(place) => place.insert(self.known_for(pending)?),
        };
        let supports = Supports {
            reviews: self.reviews.as_ref(),
            history: self.history.as_ref(),
            then,
        };
        let support = supports.of(&state, &cause)?;
        // One that its last stage has closed is reviewed too where its answers differ: spec 7 knows no end there.
        let reviewed = |latest: &Recorded| state.is_open() || state.has_other_answer(latest);
        let Some(latest) = state.latest().filter(|latest| reviewed(latest)) else {
            return Ok((None, found.case_id, support));
        };
        let Some((cause, then)) = self.due(pending, cause, &state, latest, then)? else {
            return Ok((None, found.case_id, support));
        };
        let last = record_at(self.reviews.as_ref(), life.last.position)?;
        let terms = self.shared.terms(&self.live);
        let stage = state.review_stage(&*terms).unwrap_or_default();
        let lists = match &then.lists {
            Some(lists) => lists.clone(),
            None => match event_from_record(&last) {
                Ok(event) => self.history.lists_as_of(then.version, &event, &then.book)?,
                Err(_) => return Ok((None, found.case_id, support)),
            },
        };
        let review = Review {
            last,
            stage: StageCode::new(stage),
            at: then.at,
            cause,
            lists,
            book: Arc::clone(&then.book),
            supersedes: latest.verdict,
        };
        Ok((Some(review), found.case_id, support))
    }

    /// What the review is made for, and what it is made of; none: the case stands as it would leave it.
    ///
    /// The slot of a book is an event's only once. Where a review was asked for again after verdicts by another
    /// book, it is made by the lists of that request, whose number names a slot that is free: whatever was
    /// decided by it before was decided by the book that was in force then, which is the one asked for.
    fn due(
        &self,
        pending: &Pending,
        cause: Cause,
        state: &CaseState,
        latest: &Recorded,
        then: &Known,
    ) -> Result<Option<(Cause, Known)>, Error> {
        let Cause::Book(book) = &cause else {
            let due = latest.list_seq < pending.seq;
            return Ok(due.then(|| (cause, then.clone())));
        };
        // What was decided after the request knows the book that was in force then, or a later one.
        if latest.cause == pending.cause || latest.list_seq > pending.seq {
            return Ok(None);
        }
        let mut verdicts = state.verdicts.iter();
        let taken = verdicts.any(|one| one.cause == pending.cause && one.event == latest.event);
        if !taken {
            return Ok(Some((cause, then.clone())));
        }
        let by = record_at(self.reviews.as_ref(), latest.position)?.verdict;
        let by = by.and_then(|verdict| BookVersion::parse(&verdict.book_version));
        if by == Some(*book) || latest.list_seq == pending.seq {
            return Ok(None);
        }
        let version = ListVersion {
            seq: pending.seq,
            ..then.version
        };
        let asked = Known {
            lists: then.lists.clone().filter(|_| then.version == version),
            version,
            book: Arc::clone(&then.book),
            at: Time::from_micros(pending.at),
        };
        Ok(Some((Cause::ListChange(pending.seq), asked)))
    }
}

/// Looks what measures rest on at a moment.
pub(crate) struct Supports<'a> {
    pub reviews: &'a dyn Reviews,
    pub history: &'a dyn History,
    pub then: &'a Known,
}

impl Known {
    /// What was known right after a change of the lists or the book.
    pub(crate) fn after(
        change: &Change,
        live: &Live,
        history: &dyn History,
    ) -> Result<Self, Error> {
        let generation = live.load_full();
        Ok(Self {
            lists: change.lists.clone(),
            version: ListVersion {
                seq: change.seq,
                ..generation.lists.version()
            },
            book: match change.book {
                Some(book) => history.book(book)?,
                None => Arc::clone(&generation.book),
            },
            at: change.at,
        })
    }

    /// Number of the change.
    pub(crate) const fn seq(&self) -> u64 {
        self.version.seq
    }

    /// What is known now.
    pub(crate) fn now(live: &Live, at: Time) -> Self {
        let generation = live.load_full();
        Self {
            version: generation.lists.version(),
            lists: Some(generation.lists.clone()),
            book: Arc::clone(&generation.book),
            at,
        }
    }
}

impl Supports<'_> {
    /// The measures of a case that rest on something else than is known; none: on the same.
    pub(crate) fn of(
        &self,
        state: &CaseState,
        cause: &Cause,
    ) -> Result<Option<SupportChanged>, Error> {
        let mut decided: BTreeMap<u64, Option<(Event, Verdict)>> = BTreeMap::new();
        let mut measures = Vec::new();
        for resting in state.resting() {
            let waits_for_return = resting.state == MeasureState::Unsupported
                && state
                    .orders
                    .iter()
                    .any(|order| order.state == OrderState::Open);
            let looked_at = match resting.state {
                MeasureState::Rejected => false,
                MeasureState::Unsupported => waits_for_return,
                _ => true,
            };
            if !looked_at || resting.list_seq > self.then.version.seq {
                continue;
            }
            let verdict = match decided.entry(resting.position) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.decide_again(resting.position, cause)?),
            };
            let Some((_, verdict)) = verdict else {
                continue;
            };
            let mut support = MeasureSupport {
                key: resting.key.clone(),
                ..MeasureSupport::default()
            };
            let mut strongest = None;
            for place in &resting.places {
                let subject = verdict
                    .subjects
                    .get(usize::try_from(*place).unwrap_or(usize::MAX));
                let triggered = subject.into_iter().flat_map(|subject| &subject.triggered);
                for one in triggered.filter(|one| one.measure.id.as_str() == resting.measure_id) {
                    match &one.entry {
                        Some(hit) => support.entry_ids.push(hit.entry_id.as_str().to_owned()),
                        None => support.by_row = true,
                    }
                    strongest = strongest.max(Some(one.effect));
                }
            }
            // Whether it applies or is proposed, as of a verdict that shows it.
            let effect = strongest.map(|effect: Effect| effect.to_string());
            support.effect = effect.unwrap_or_default();
            support.entry_ids.sort_unstable();
            support.entry_ids.dedup();
            let same = support.entry_ids == resting.basis.entries
                && support.by_row == resting.basis.by_row
                && [resting.basis.effect.as_str(), ""].contains(&support.effect.as_str());
            if !same {
                measures.push(support);
            }
        }
        Ok((!measures.is_empty()).then(|| SupportChanged {
            measures,
            cause: cause.to_string(),
            list_seq: self.then.version.seq,
        }))
    }

    /// Decides the event of a record again, as if it took place at the moment; gives both. None: the
    /// event cannot be read.
    pub(crate) fn decide_again(
        &self,
        position: u64,
        cause: &Cause,
    ) -> Result<Option<(Event, Verdict)>, Error> {
        let record = record_at(self.reviews, position)?;
        let Ok(mut event) = event_from_record(&record) else {
            return Ok(None);
        };
        event.occurred_at = self.then.at;
        let then = self.then;
        let read;
        let lists = match &then.lists {
            Some(lists) => lists,
            None => {
                read = self.history.lists_as_of(then.version, &event, &then.book)?;
                &read
            }
        };
        let question = Question {
            cause,
            ..Question::about(&event)
        };
        let case = CaseView::default();
        let verdict = decide(question, then.at, &case, lists, &then.book);
        Ok(Some((event, verdict)))
    }
}

pub(crate) fn record_at(reviews: &dyn Reviews, position: u64) -> Result<VerdictRecord, Error> {
    let record = reviews.verdicts().read_at(Position(position))?;
    Ok(VerdictRecord::decode(record.payload)?)
}
