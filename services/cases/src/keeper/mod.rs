//! The one loop that knows and changes cases: it takes in verdicts in their order, notes which cases a
//! change of the lists concerns, and records what people and reviews bring.
//!
//! Records alone give the same states again: [`log`](crate::log) says in which order they are taken in.

mod copy;
mod lead;
mod own;
mod reported;
mod reports;
mod take_in;
mod told;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_measures::identifier::Key;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::Cause;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{CaseRecord, ReviewRequested};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::kafka::Incoming;
use creditgate_runtime::live::Live;
use creditgate_runtime::ports::{Change as ListChange, Changed, Changes, Following, Reviews};
use creditgate_runtime::telemetry::names::field;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::cases::Shared;
use crate::error::{ActError, Error};
use crate::log::{Happened, Log, Reports};
use crate::state::{CaseState, Owed, Refusal};
use crate::table::{Children, Due, Lookup, Pending, Table};
use crate::terms::BookTerms;
pub(crate) use copy::Fresh;
use work::Work;

/// Records taken in by one transaction.
const BATCH: usize = 2_000;
/// Verdicts taken in at once from which on the next are given time to be as many.
const MANY: u64 = 500;
/// How long they are given.
const GATHER: Duration = Duration::from_millis(50);
/// Changes of the lists looked through by one transaction.
const SCANNED: usize = 128;
/// How often it is looked what the passing of time has brought.
const TICK: Duration = Duration::from_secs(10);
/// How often it is counted what stands open.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Longest time for which changes of the lists wait behind verdicts.
const SCAN_EVERY: Duration = Duration::from_millis(500);
/// Cases that time alone changes at once.
const BY_TIME: usize = 500;
/// Pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Commands that are done before it is looked what else has come.
const COMMANDS: usize = 64;
/// Changes that are kept for verdicts that come late.
const RECENT: usize = 20_000;

/// What happens to a case, made of what it is when the turn comes, then, and by whose wish.
pub(crate) type Make = Box<dyn FnOnce(&CaseState, Time, &str) -> Result<Vec<What>, Refusal> + Send>;

/// What is written that concerns no case, made when the turn comes of what is recorded then.
pub(crate) type Plan = Box<dyn FnOnce(&Lookup, Time) -> Result<Vec<What>, ActError> + Send>;

/// A record that is written if the case lets it, and nothing where it is known already.
pub(crate) fn one(what: What) -> Make {
    Box::new(move |state: &CaseState, now: Time, caller: &str| {
        let record = CaseRecord {
            case_id: state.case_id.clone(),
            caller: caller.to_owned(),
            recorded_at: Some(time_to_proto(now)),
            what: Some(what),
            ..CaseRecord::default()
        };
        let taken = state.check_record(&record)?;
        Ok(match taken.repeated {
            true => Vec::new(),
            false => record.what.into_iter().collect(),
        })
    })
}

/// What the loop is asked to do.
pub(crate) enum Command {
    /// Something happens to a case.
    Act {
        case_id: String,
        caller: Arc<str>,
        make: Make,
        reply: oneshot::Sender<Result<CaseState, ActError>>,
    },
    /// Something is written that concerns no case.
    Write {
        caller: Arc<str>,
        plan: Plan,
        reply: oneshot::Sender<Result<(), ActError>>,
    },
    /// Whatever is recorded is taken in.
    Sync {
        reply: oneshot::Sender<Result<(), ActError>>,
    },
    /// Reviews that were made, or that turned out to be needless, with what they showed.
    Done {
        reviews: Vec<Pending>,
        /// Those that cannot be made now.
        failed: Vec<Pending>,
        shown: Vec<(String, What)>,
        reply: oneshot::Sender<()>,
    },
    /// Reports from their topic, in its order. Gives how many of the first are done with; the rest is
    /// asked for again. None: they could not be looked at now.
    Reports {
        batch: Vec<Incoming>,
        /// Places of partitions that were moved over a gap before.
        moved: Vec<(i32, i64)>,
        reply: oneshot::Sender<Option<usize>>,
    },
    /// Every open case is to be reviewed by the book in force.
    ReviewAll {
        caller: Arc<str>,
        reason: String,
        reply: oneshot::Sender<Result<Requested, ActError>>,
    },
}

/// A review of all open cases, as it was asked for.
#[derive(Debug)]
pub(crate) struct Requested {
    /// The book by which they are judged.
    pub book_version: String,
    /// Cases that are looked at.
    pub cases: u64,
    /// It was asked for by this book before: what was reviewed by it stays.
    pub repeated: bool,
}

pub(crate) struct Keeper {
    pub table: Table,
    pub lookup: Lookup,
    pub log: Log,
    /// On which the gate answers.
    pub runtime: Handle,
    /// Where the loop's own commands come from.
    pub own: mpsc::WeakSender<Command>,
    pub reviews: Arc<dyn Reviews>,
    pub changes: Arc<dyn Changes>,
    pub live: Live,
    pub clock: Clock,
    pub shared: Arc<Shared>,
    pub readiness: Readiness,
    pub commands: mpsc::Receiver<Command>,
    /// Changes that were looked through last, for verdicts that were judged before them.
    pub recent: VecDeque<ListChange>,
    /// Verdicts taken in by their names, by number and position, that stand in the gate's journal behind
    /// others that were not.
    pub ahead: BTreeMap<u64, u64>,
    /// Verdicts that were named a moment ago.
    pub fresh: Fresh,
    /// Reports whose letters are larger than their topic takes, by partition and offset.
    pub too_large: BTreeSet<(i32, i64)>,
    /// Reads reports from their topic while this process leads.
    pub reports: Option<Reports>,
    /// Up to which change the log says that everything was reviewed, unless something waited since.
    pub noted: Option<u64>,
}

impl Keeper {
    /// Runs until it is told to stop. What was recorded is never lost by its end.
    pub fn run(mut self) {
        while !self.shared.stop.is_cancelled() {
            if self.lead() {
                self.keep();
            }
        }
        if let Some(topic) = self.log.topic.take() {
            topic.leave();
        }
    }

    /// Keeps the cases for as long as this process leads.
    fn keep(&mut self) {
        let runtime = self.runtime.clone();
        let mut head = self.reviews.verdicts().subscribe();
        let mut lists = self.live.follow();
        let mut followed = self.table.mark().scanned;
        let mut following = self.changes.follow(followed);
        let mut ticked: Option<Instant> = None;
        let mut counted: Option<Instant> = None;
        let mut scanned = Instant::now();
        // What was there when it began: while verdicts and changes go on coming there may never be a moment
        // without any, and whoever waits for this process would wait for ever.
        let verdicts_due = self.reviews.verdicts().head().sequence;
        let cases_due = self.log.journal.head().sequence;
        let changes_due = self.live.load().lists.version().seq;
        let mut verdicts_in = false;
        let mut looked_through = true;
        let mut caught_up = false;
        while !self.shared.stop.is_cancelled() && self.log.leads() {
            head.mark_unchanged();
            lists.mark_unchanged();
            let known = self.table.mark().verdicts;
            let taken = self.take_in();
            let taken_in = taken.is_ok();
            let mut more = self.heard("verdicts", taken);
            let mark = self.table.mark();
            let began_with = mark.verdicts >= verdicts_due && mark.cases >= cases_due;
            verdicts_in |= taken_in && (!more || began_with);
            let pause = match self.table.mark().verdicts >= known + MANY {
                true => self.log.pause().max(GATHER),
                false => self.log.pause(),
            };
            if self.table.mark().scanned > followed {
                // The log told that others have looked through these.
                followed = self.table.mark().scanned;
                following = self.changes.follow(followed);
            }
            // Verdicts first: a case that is known is found. Under a load that never ends both go on.
            if !more || (verdicts_in && scanned.elapsed() >= SCAN_EVERY) {
                let looked = self.scan(&mut following);
                if looked.is_err() {
                    // It has read on; what was not noted is read again.
                    following = self.changes.follow(self.table.mark().scanned);
                }
                looked_through = looked.is_ok();
                followed = self.table.mark().scanned;
                more |= self.heard("changes of the lists", looked);
                scanned = Instant::now();
            }
            let is_well = taken_in && looked_through;
            if is_well && verdicts_in {
                // How far they were read, the records told that are taken in now.
                if !caught_up {
                    self.reports = self.start_reports();
                }
                caught_up = true;
                // Cases are shown and acted on meanwhile, as they are while changes go on coming.
                self.shared
                    .caught_up(&self.readiness, more && followed < changes_due);
            }
            if caught_up && ticked.is_none_or(|ticked| ticked.elapsed() >= TICK) {
                let by_time = self.by_time();
                if !self.heard("what time has brought", by_time) {
                    let noted = self.note_reviewed().map(|()| false);
                    self.heard("what was reviewed", noted);
                    ticked = Some(Instant::now());
                }
            }
            if caught_up && counted.is_none_or(|counted| counted.elapsed() >= COUNT_EVERY) {
                let count = self.count().map(|()| false);
                self.heard("what stands open", count);
                counted = Some(Instant::now());
            }
            let patience = match more {
                true => Duration::ZERO,
                false => TICK,
            };
            let command = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = self.shared.stop.cancelled() => None,
                    command = self.commands.recv() => Some(command),
                    _ = head.changed() => tokio::select! {
                        biased;
                        () = self.shared.stop.cancelled() => None,
                        command = self.commands.recv() => Some(command),
                        () = tokio::time::sleep(pause) => None,
                    },
                    _ = lists.changed() => None,
                    () = tokio::time::sleep(patience.min(self.log.look_again())) => None,
                }
            });
            match command {
                None => {}
                Some(None) => return,
                Some(Some(command)) => {
                    let mut commands = vec![command];
                    let more = std::iter::from_fn(|| self.commands.try_recv().ok());
                    commands.extend(more.take(COMMANDS));
                    self.commanded(commands);
                }
            }
        }
        self.reports = None;
    }

    /// What failed is tried again; nothing is lost by it, since the journals have it.
    fn heard(&self, what: &'static str, result: Result<bool, Error>) -> bool {
        match result {
            Ok(more) => more,
            Err(error) => {
                tracing::error!({ field::ERROR } = %Chain(&error), what, "cases could not take in; trying again");
                self.shared.fell_behind(&self.readiness, error.advice());
                self.runtime.block_on(async {
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = self.shared.stop.cancelled() => {}
                    }
                });
                true
            }
        }
    }

    fn now(&self) -> Time {
        Time::from_micros(self.clock.now_micros())
    }

    /// Looks which cases the next changes of the lists concern. Gives whether there may be more.
    fn scan(&mut self, following: &mut Box<dyn Following>) -> Result<bool, Error> {
        if self.skip_for_nobody()? {
            *following = self.changes.follow(self.table.mark().scanned);
            return Ok(true);
        }
        let changes = following.next(SCANNED)?;
        let Some(last) = changes.last() else {
            return Ok(false);
        };
        let mut mark = self.table.mark();
        mark.scanned = last.seq;
        let lookup = self.lookup.clone();
        let of_entries = changes.iter().filter_map(of_entry);
        let mut touched = lookup.touched(of_entries)?.into_iter();
        let mut due = Vec::new();
        for change in &changes {
            let of_entry = of_entry(change).and_then(|_| touched.next());
            let Some(cause) = cause_of(change) else {
                continue;
            };
            let cases = match &change.what {
                Changed::Entry { .. } | Changed::EntryClock { .. } => of_entry.unwrap_or_default(),
                Changed::RowClock(row) => {
                    let book = self.live.load_full().book.clone();
                    let rows = book.measures().iter();
                    let row = rows.filter(|measure| measure.id.as_str() == &**row);
                    let scenarios: Vec<String> = row
                        .flat_map(|measure| &measure.applies)
                        .map(|(scenario, _)| scenario.as_str().to_owned())
                        .collect();
                    match scenarios.is_empty() {
                        true => Vec::new(),
                        false => lookup.of_scenarios(&scenarios)?,
                    }
                }
                Changed::Book | Changed::Nothing => Vec::new(),
            };
            if !cases.is_empty() {
                self.shared.snapshots.keep(change);
            }
            due.extend(cases.into_iter().map(|(case, open)| Due {
                case,
                seq: change.seq,
                at: change.at.micros(),
                cause: cause.clone(),
                open,
            }));
        }
        self.table
            .write(mark, |change| change.wait(&due).map(drop))?;
        self.recent.extend(changes.into_iter().map(slim));
        while self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        if !due.is_empty() {
            self.noted = None;
            self.shared.due.notify_one();
        }
        Ok(true)
    }

    /// Passes by many changes at once while there is no case that they could concern: lists are often brought
    /// in, by the million, before the first check. A verdict that comes later and was judged by older lists
    /// has what it missed read again ([`Keeper::missed`]).
    fn skip_for_nobody(&mut self) -> Result<bool, Error> {
        let mut mark = self.table.mark();
        let head = self.live.load().lists.version().seq;
        if head <= mark.scanned + SCANNED as u64 || self.lookup.has_cases()? {
            return Ok(false);
        }
        mark.scanned = head;
        self.table.write(mark, |_| Ok(()))?;
        // What is kept must have no gap.
        self.recent.clear();
        Ok(true)
    }

    /// Records what the passing of time brings: cases that end, proposals that are escalated. Gives
    /// whether there may be more.
    fn by_time(&mut self) -> Result<bool, Error> {
        self.take_in_all()?;
        let now = self.now();
        let terms = self.shared.terms(&self.live);
        self.table.under(terms.said())?;
        let today = now.date().to_string();
        let mut found = self.lookup.past_their_day(now.micros(), BY_TIME)?;
        found.extend(self.lookup.past_decision(&today, BY_TIME)?);
        let more = found.len() >= BY_TIME;
        // Found for both, a case still owes everything once.
        found.sort_unstable_by(|one, other| one.case_id.cmp(&other.case_id));
        found.dedup_by(|one, other| one.case_id == other.case_id);
        let mut owed = Happened::default();
        let mut work = Work::on(&self.table, &terms)?;
        for case in found {
            let state = CaseState::from_stored(&case.state)?;
            if state.owed(now, &*terms).is_empty() {
                // The row was made under other terms: it is made anew.
                work.case(&case.case_id)?.before = Children::default();
            }
            self.owe(&state, now, &terms, &mut owed)?;
        }
        let (anew, mark) = (work.end(), self.table.mark());
        if !anew.held.is_empty() {
            self.store(anew, mark, &terms)?;
        }
        self.record(owed, "", now)?;
        Ok(more)
    }

    /// What follows from a case by itself, with what its implementers are told.
    fn owe(
        &self,
        state: &CaseState,
        now: Time,
        terms: &BookTerms,
        to: &mut Happened,
    ) -> Result<(), Error> {
        for owed in state.owed(now, terms) {
            if let (Owed::Announce(order, _), Some(topic)) = (&owed, &self.log.topic) {
                let order = state.order(*order);
                let view = terms.view(now);
                let shown = order.map(|order| state.order_shown(order, view));
                to.messages
                    .extend(shown.map(|shown| topic.announcement(&shown)).transpose()?);
            }
            let what = match &owed {
                Owed::TellLists(feedback_id) => self.telling(state, feedback_id)?,
                _ => None,
            };
            let what = what.unwrap_or_else(|| owed.into_record());
            to.records.push((state.case_id.clone(), what));
        }
        Ok(())
    }

    /// Records what happened to cases, and applies it. Each was made of the state as it is.
    fn record(
        &mut self,
        happened: impl Into<Happened>,
        caller: &str,
        now: Time,
    ) -> Result<(), Error> {
        let Happened { records, messages } = happened.into();
        if records.is_empty() {
            return Ok(());
        }
        let mut mark = self.table.mark();
        if self.log.journal.head().sequence != mark.cases {
            // An earlier one could not be taken in yet.
            return Err(Error::Behind);
        }
        let verdicts = match self.log.topic {
            None => mark.verdicts,
            Some(_) => 0,
        };
        let records: Vec<CaseRecord> = records
            .into_iter()
            .map(|(case_id, what)| CaseRecord {
                case_id,
                caller: caller.to_owned(),
                recorded_at: Some(time_to_proto(now)),
                verdicts,
                what: Some(what),
            })
            .collect();
        let appended = self.log.write(&records, messages)?;
        let terms = self.shared.terms(&self.live);
        let mut work = Work::on(&self.table, &terms)?;
        for (record, at) in records.iter().zip(appended) {
            work.record(at.position.0, record)?;
            (mark.cases, mark.cases_at) = (at.sequence, at.position.0);
        }
        let taken = work.end();
        self.store(taken, mark, &terms)
    }

    /// Does what was asked for. Whoever only wants to see what was recorded before is answered first, all of
    /// them after the same step: on a topic each step is a transaction.
    fn commanded(&mut self, commands: Vec<Command>) {
        let mut waiting = Vec::new();
        let mut others = Vec::new();
        for command in commands {
            match command {
                Command::Sync { reply } => waiting.push(reply),
                other => others.push(other),
            }
        }
        if !waiting.is_empty() {
            let mut taken = self.take_in_all();
            for reply in waiting {
                // One error is told whole, and once.
                let others = match &taken {
                    Ok(()) => Ok(()),
                    Err(_) => Err(Error::Behind),
                };
                let told = std::mem::replace(&mut taken, others);
                // Whoever asked may have gone.
                let _ = reply.send(told.map_err(ActError::from));
            }
        }
        for command in others {
            self.command(command);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Act {
                case_id,
                caller,
                make,
                reply,
            } => {
                // Whoever asked may have gone; what was recorded stays.
                let _ = reply.send(self.act(&case_id, &caller, make));
            }
            Command::Write {
                caller,
                plan,
                reply,
            } => {
                let _ = reply.send(self.write(&caller, plan));
            }
            Command::Sync { reply } => {
                let _ = reply.send(self.take_in_all().map_err(ActError::from));
            }
            Command::Done {
                reviews,
                failed,
                shown,
                reply,
            } => {
                if let Err(error) = self.done(&reviews, &failed, shown) {
                    // They stay due, and are found to be made the next time.
                    tracing::error!({ field::ERROR } = %Chain(&error), "reviews could not be marked as made");
                }
                let _ = reply.send(());
            }
            Command::Reports {
                batch,
                moved,
                reply,
            } => {
                let done = self.reports(&batch, &moved).unwrap_or_else(|error| {
                    tracing::error!({ field::ERROR } = %Chain(&error), "reports could not be kept; trying again");
                    None
                });
                let _ = reply.send(done);
            }
            Command::ReviewAll {
                caller,
                reason,
                reply,
            } => {
                let _ = reply.send(self.review_all(&caller, reason));
            }
        }
    }

    /// Notes reviews as made. Their verdicts are taken in first: the next review of a case goes on from
    /// there.
    fn done(
        &mut self,
        reviews: &[Pending],
        failed: &[Pending],
        shown: Vec<(String, What)>,
    ) -> Result<(), Error> {
        self.take_in_all()?;
        self.record(shown, "", self.now())?;
        let mark = self.table.mark();
        self.table.write(mark, |change| {
            reviews.iter().try_for_each(|review| change.done(review))?;
            // Others go before what cannot be made now.
            failed.iter().try_for_each(|review| change.set_back(review))
        })?;
        Ok(())
    }

    fn act(&mut self, case_id: &str, caller: &str, make: Make) -> Result<CaseState, ActError> {
        // What is recorded so far goes before.
        self.take_in_all()?;
        let now = self.now();
        let state = self.state_of(case_id)?.ok_or(ActError::UnknownCase)?;
        let what = make(&state, now, caller)?;
        if what.is_empty() {
            return Ok(state);
        }
        for one in &what {
            if let What::Feedback(feedback) = one {
                self.is_new(case_id, &feedback.feedback_id)?;
            }
        }
        let happened = what.into_iter().map(|what| (case_id.to_owned(), what));
        self.record(happened.collect::<Vec<_>>(), caller, now)?;
        self.state_of(case_id)?.ok_or(ActError::UnknownCase)
    }

    fn write(&mut self, caller: &str, plan: Plan) -> Result<(), ActError> {
        self.take_in_all()?;
        let now = self.now();
        let what = plan(&self.lookup, now)?;
        let happened = what.into_iter().map(|what| (String::new(), what));
        self.record(happened.collect::<Vec<_>>(), caller, now)?;
        Ok(())
    }

    fn state_of(&self, case_id: &str) -> Result<Option<CaseState>, Error> {
        let stored = self.table.load(case_id)?;
        Ok(stored
            .map(|(_, stored)| CaseState::from_stored(&stored))
            .transpose()?)
    }

    /// Records that every open case is to be reviewed by the book in force.
    fn review_all(&mut self, caller: &str, reason: String) -> Result<Requested, ActError> {
        self.take_in_all()?;
        let generation = self.live.load_full();
        let version = generation.book.version();
        let cause = Cause::Book(version).to_string();
        let repeated = self.lookup.was_requested(&cause).map_err(Error::from)?;
        let asked = What::ReviewRequested(ReviewRequested {
            book_version: version.to_string(),
            reason,
            list_seq: generation.lists.version().seq,
        });
        let before = self.lookup.waiting().map_err(Error::from)?;
        self.record(vec![(String::new(), asked)], caller, self.now())?;
        let now = self.lookup.waiting().map_err(Error::from)?;
        Ok(Requested {
            book_version: version.to_string(),
            cases: now.saturating_sub(before),
            repeated,
        })
    }
}

/// The keys of the subject of an entry and its id, where the change is about one.
fn of_entry(change: &ListChange) -> Option<(&[Key], &str)> {
    match &change.what {
        Changed::Entry { entry_id, keys } | Changed::EntryClock { entry_id, keys } => {
            Some((keys, entry_id))
        }
        Changed::RowClock(_) | Changed::Book | Changed::Nothing => None,
    }
}

/// What made a review necessary, as verdicts print it; none: no review.
fn cause_of(change: &ListChange) -> Option<String> {
    match change.what {
        Changed::Entry { .. } => Some(Cause::ListChange(change.seq).to_string()),
        Changed::EntryClock { .. } | Changed::RowClock(_) => {
            Some(Cause::Clock(change.seq).to_string())
        }
        Changed::Book | Changed::Nothing => None,
    }
}

/// A change without the lists, to be kept.
fn slim(change: ListChange) -> ListChange {
    ListChange {
        lists: None,
        ..change
    }
}
