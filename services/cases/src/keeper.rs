//! The one loop that knows and changes cases: it takes in verdicts in their order, notes which cases a
//! change of the lists concerns, and records what people and reviews bring.
//!
//! INVARIANT (one order): a record of the journal of cases is made of a state that has taken in exactly
//! the first `verdicts` records of the journal of verdicts, and is applied before any other. So the
//! journals alone give the same states again.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_measures::identifier::Key;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::Cause;
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{CaseRecord, ReviewRequested, VerdictRecord};
use creditgate_proto::records::kind;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal::{Journal, NewRecord, Position, Record};
use creditgate_runtime::live::Live;
use creditgate_runtime::ports::{Change as ListChange, Changed, Changes, Following, Reviews};
use creditgate_runtime::telemetry::names::field;
use prost::Message;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::cases::Shared;
use crate::error::{ActError, Error};
use crate::facts::VerdictFacts;
use crate::rows;
use crate::state::{CaseState, Refusal};
use crate::table::{Children, Due, Lookup, Mark, Pending, Table};
use crate::terms::BookTerms;

/// Records taken in by one transaction.
const BATCH: usize = 2_000;
/// Changes of the lists looked through by one transaction.
const SCANNED: usize = 128;
/// The head moves thousands of times a second; cases need not follow each step.
const PAUSE: Duration = Duration::from_millis(10);
/// How often it is looked what the passing of time has brought.
const TICK: Duration = Duration::from_secs(10);
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

/// What happens to a case, made of what it is when the turn comes.
pub(crate) type Make = Box<dyn FnOnce(&CaseState, Time) -> Result<Vec<What>, Refusal> + Send>;

/// What the loop is asked to do.
pub(crate) enum Command {
    /// Something happens to a case.
    Act {
        case_id: String,
        caller: Arc<str>,
        make: Make,
        reply: oneshot::Sender<Result<CaseState, ActError>>,
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
    /// Every open case is to be reviewed by the book in force. Gives its version, and how many they are.
    ReviewAll {
        caller: Arc<str>,
        reason: String,
        reply: oneshot::Sender<Result<(String, u64), ActError>>,
    },
}

pub(crate) struct Keeper {
    pub table: Table,
    pub lookup: Lookup,
    pub journal: Journal,
    pub reviews: Arc<dyn Reviews>,
    pub changes: Arc<dyn Changes>,
    pub live: Live,
    pub clock: Clock,
    pub shared: Arc<Shared>,
    pub readiness: Readiness,
    pub commands: mpsc::Receiver<Command>,
    /// Changes that were looked through last, for verdicts that were judged before them.
    pub recent: VecDeque<ListChange>,
}

/// A record of the journal of cases, with its place.
struct Own {
    sequence: u64,
    position: u64,
    record: CaseRecord,
}

/// A case on its way from the table and back.
struct Held {
    id: Option<i64>,
    before: Children,
    state: CaseState,
}

/// A case with a verdict that rests on older lists than were looked through.
#[derive(Default)]
struct Behind {
    /// Number of those lists.
    seq: u64,
    keys: Vec<Key>,
    entries: Vec<String>,
}

impl Behind {
    fn is_touched_by(&self, change: &ListChange) -> bool {
        match &change.what {
            Changed::Entry { entry_id, keys } | Changed::EntryClock { entry_id, keys } => {
                keys.iter().any(|key| self.keys.contains(key))
                    || self.entries.iter().any(|entry| **entry == **entry_id)
            }
            // Which scenarios a row concerns, only its book tells: all of them is never wrong.
            Changed::RowClock(_) => true,
            Changed::Book | Changed::Nothing => false,
        }
    }
}

/// What one transaction takes in.
#[derive(Default)]
struct TakenIn {
    held: BTreeMap<String, Held>,
    behind: BTreeMap<String, Behind>,
    /// Reviews of all open cases that were asked for, with the time.
    requested: Vec<(ReviewRequested, Time)>,
}

/// Takes records in, beside the table.
struct Work<'a> {
    table: &'a Table,
    terms: &'a BookTerms,
    taken: TakenIn,
}

impl<'a> Work<'a> {
    fn on(table: &'a Table, terms: &'a BookTerms) -> Self {
        Self {
            table,
            terms,
            taken: TakenIn::default(),
        }
    }

    /// The case, as it is stored; a new one where there is none.
    fn case(&mut self, case_id: &str) -> Result<&mut Held, Error> {
        match self.taken.held.entry(case_id.to_owned()) {
            Entry::Occupied(held) => Ok(held.into_mut()),
            Entry::Vacant(place) => {
                let held = match self.table.load(case_id)? {
                    Some((id, stored)) => {
                        let state = CaseState::from_stored(&stored)?;
                        Held {
                            id: Some(id),
                            before: rows::children(&state, self.terms),
                            state,
                        }
                    }
                    None => Held {
                        id: None,
                        before: Children::default(),
                        state: CaseState::new(case_id),
                    },
                };
                Ok(place.insert(held))
            }
        }
    }

    fn verdict(&mut self, record: &Record, scanned: u64) -> Result<(), Error> {
        if record.kind != kind::VERDICT {
            return Ok(());
        }
        let (sequence, position) = (record.sequence, record.position.0);
        let verdict = VerdictRecord::decode(&*record.payload)?;
        let terms = self.terms;
        let simplify = terms.book().simplify();
        let facts = match VerdictFacts::of(&verdict, sequence, position, simplify) {
            Ok(facts) => facts,
            Err(part) => {
                // The journal is kept for decades; one record must not stop all cases.
                tracing::error!(
                    sequence,
                    part,
                    "a recorded verdict tells nothing about its case"
                );
                return Ok(());
            }
        };
        let held = self.case(&facts.case_id)?;
        held.state.take_verdict(&facts);
        if facts.list_seq < scanned && !facts.is_review() {
            let children = rows::children(&held.state, terms);
            let behind = self
                .taken
                .behind
                .entry(facts.case_id.clone())
                .or_insert(Behind {
                    seq: facts.list_seq,
                    ..Behind::default()
                });
            behind.seq = behind.seq.min(facts.list_seq);
            (behind.keys, behind.entries) = (children.keys, children.entries);
        }
        Ok(())
    }

    fn record(&mut self, position: u64, record: &CaseRecord) -> Result<(), Error> {
        if let Some(What::ReviewRequested(asked)) = &record.what {
            let at = record.recorded_at.as_ref().and_then(time_from_proto);
            self.taken
                .requested
                .push((asked.clone(), at.unwrap_or(Time::from_micros(0))));
            return Ok(());
        }
        let held = self.case(&record.case_id)?;
        if let Err(refusal) = held.state.take_record(position, record) {
            // It was possible when it was recorded, so another version of this program reads it.
            tracing::error!(case = %record.case_id, %refusal, "a record of a case has no effect");
        }
        Ok(())
    }

    /// Applies the own records that stand at this place of the journal of verdicts.
    fn records_due(&mut self, own: &mut VecDeque<Own>, mark: &mut Mark) -> Result<(), Error> {
        // A review that was asked for is about the cases as they are here: nothing is taken in behind it.
        while self.taken.requested.is_empty()
            && own
                .front()
                .is_some_and(|one| one.record.verdicts <= mark.verdicts)
        {
            if let Some(one) = own.pop_front() {
                self.record(one.position, &one.record)?;
                (mark.cases, mark.cases_at) = (one.sequence, one.position);
            }
        }
        Ok(())
    }
}

impl Keeper {
    /// Runs until it is told to stop. What was recorded is never lost by its end.
    pub fn run(mut self, runtime: &Handle) {
        let mut head = self.reviews.verdicts().subscribe();
        let mut lists = self.live.follow();
        let mut following = self.changes.follow(self.table.mark().scanned);
        let mut ticked: Option<Instant> = None;
        let mut scanned = Instant::now();
        let mut caught_up = false;
        while !self.shared.stop.is_cancelled() {
            head.mark_unchanged();
            lists.mark_unchanged();
            let taken = self.take_in();
            let mut more = self.heard("verdicts", taken, runtime);
            // Verdicts first: a case that is known is found. Under a load that never ends both go on.
            if !more || (caught_up && scanned.elapsed() >= SCAN_EVERY) {
                let looked = self.scan(following.as_mut());
                if looked.is_err() {
                    // It has read on; what was not noted is read again.
                    following = self.changes.follow(self.table.mark().scanned);
                }
                more |= self.heard("changes of the lists", looked, runtime);
                scanned = Instant::now();
            }
            if !more {
                caught_up = true;
                self.shared.caught_up(&self.readiness);
            }
            if caught_up && ticked.is_none_or(|ticked| ticked.elapsed() >= TICK) {
                let by_time = self.by_time();
                if !self.heard("what time has brought", by_time, runtime) {
                    ticked = Some(Instant::now());
                }
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
                    _ = head.changed() => {
                        tokio::time::sleep(PAUSE).await;
                        None
                    }
                    _ = lists.changed() => None,
                    () = tokio::time::sleep(patience) => None,
                }
            });
            match command {
                None => {}
                Some(None) => return,
                Some(Some(command)) => {
                    self.command(command);
                    for _ in 0..COMMANDS {
                        match self.commands.try_recv() {
                            Ok(command) => self.command(command),
                            Err(_) => break,
                        }
                    }
                }
            }
        }
    }

    /// What failed is tried again; nothing is lost by it, since the journals have it.
    fn heard(&self, what: &'static str, result: Result<bool, Error>, runtime: &Handle) -> bool {
        match result {
            Ok(more) => more,
            Err(error) => {
                tracing::error!({ field::ERROR } = %Chain(&error), what, "cases could not take in; trying again");
                self.shared.fell_behind(
                    &self.readiness,
                    "cases could not be written: look at the disk",
                );
                runtime.block_on(async {
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

    /// Takes in what is recorded, in its order: verdicts, and the cases' own records where they stand.
    /// Gives whether there may be more.
    fn take_in(&mut self) -> Result<bool, Error> {
        let mark = self.table.mark();
        let terms = self.shared.terms(&self.live);
        let mut own = self.own_records(mark)?;
        // Behind the last of them others stand that were not read yet.
        let truncated = own.len() >= BATCH;
        let mut next = mark;
        let mut work = Work::on(&self.table, &terms);
        work.records_due(&mut own, &mut next)?;
        let mut more = (truncated && own.is_empty()) || !work.taken.requested.is_empty();
        let records = self
            .reviews
            .verdicts()
            .read_from(Position(mark.verdicts_at));
        for record in records {
            let record = record?;
            if record.sequence <= mark.verdicts {
                continue;
            }
            let taken = next.verdicts - mark.verdicts;
            if taken >= BATCH as u64 || more || (truncated && own.is_empty()) {
                more = true;
                break;
            }
            work.verdict(&record, mark.scanned)?;
            (next.verdicts, next.verdicts_at) = (record.sequence, record.position.0);
            work.records_due(&mut own, &mut next)?;
            more |= !work.taken.requested.is_empty();
        }
        if next == mark {
            return Ok(false);
        }
        let taken = work.taken;
        self.store(taken, next, &terms)?;
        Ok(more)
    }

    /// Takes in whatever is recorded by now; what comes meanwhile waits.
    fn take_in_all(&mut self) -> Result<(), Error> {
        let verdicts = self.reviews.verdicts().head().sequence;
        while !self.shared.stop.is_cancelled() {
            let more = self.take_in()?;
            let own = self.journal.head().sequence > self.table.mark().cases;
            if !own && (!more || self.table.mark().verdicts >= verdicts) {
                break;
            }
        }
        Ok(())
    }

    /// The own records that are not taken in; there are some after a crash only.
    fn own_records(&self, mark: Mark) -> Result<VecDeque<Own>, Error> {
        if self.journal.head().sequence <= mark.cases {
            return Ok(VecDeque::new());
        }
        let mut own = VecDeque::new();
        for record in self.journal.read_from(Position(mark.cases_at)) {
            let record = record?;
            if record.sequence <= mark.cases {
                continue;
            }
            if own.len() >= BATCH {
                break;
            }
            own.push_back(Own {
                sequence: record.sequence,
                position: record.position.0,
                record: CaseRecord::decode(record.payload)?,
            });
        }
        Ok(own)
    }

    /// Writes what was taken in, with the reviews that it shows to be needed, and records what follows
    /// from it by itself.
    fn store(&mut self, taken: TakenIn, mark: Mark, terms: &BookTerms) -> Result<(), Error> {
        let TakenIn {
            held,
            behind,
            requested,
        } = taken;
        let due = self.missed(&behind)?;
        let now = self.now();
        let mut owed = Vec::new();
        self.table.write(mark, |change| {
            for (case_id, held) in &held {
                let row = rows::row(&held.state, terms);
                let known = held.id.map(|id| (id, &held.before));
                let id = change.put(known, &row)?;
                let missed = due.get(case_id).into_iter().flatten();
                let due: Vec<Due> = missed
                    .map(|due| Due {
                        case: id,
                        ..due.clone()
                    })
                    .collect();
                change.wait(&due)?;
            }
            for (asked, at) in &requested {
                let cause = format!("book:{}", asked.book_version);
                change.wait_for_all(asked.list_seq, at.micros(), &cause)?;
            }
            Ok(())
        })?;
        if !due.is_empty() || !requested.is_empty() {
            self.shared.due.notify_one();
        }
        for (case_id, held) in held {
            let what = held.state.owed(now, terms);
            owed.extend(
                what.into_iter()
                    .map(|owed| (case_id.clone(), owed.into_record())),
            );
        }
        self.record(owed, "", now)
    }

    /// The changes that verdicts did not know although cases were looked through for them.
    fn missed(
        &self,
        behind: &BTreeMap<String, Behind>,
    ) -> Result<BTreeMap<String, Vec<Due>>, Error> {
        let mut missed: BTreeMap<String, Vec<Due>> = BTreeMap::new();
        let Some(oldest) = behind.values().map(|behind| behind.seq).min() else {
            return Ok(missed);
        };
        let scanned = self.table.mark().scanned;
        let reaches = self
            .recent
            .front()
            .is_some_and(|first| first.seq <= oldest + 1);
        let read: Vec<ListChange>;
        let changes: Box<dyn Iterator<Item = &ListChange>> = match reaches {
            true => Box::new(self.recent.iter()),
            false => {
                let mut following = self.changes.follow(oldest);
                let mut all = Vec::new();
                loop {
                    let more = following.next(SCANNED)?;
                    let last = more.last().map_or(scanned, |last| last.seq);
                    all.extend(more.into_iter().map(slim));
                    if last >= scanned {
                        break;
                    }
                }
                read = all;
                Box::new(read.iter())
            }
        };
        for change in changes.filter(|change| change.seq <= scanned) {
            let Some(cause) = cause_of(change) else {
                continue;
            };
            for (case_id, behind) in behind.iter().filter(|(_, one)| one.seq < change.seq) {
                if behind.is_touched_by(change) {
                    missed.entry(case_id.clone()).or_default().push(Due {
                        case: 0,
                        seq: change.seq,
                        at: change.at.micros(),
                        cause: cause.clone(),
                        open: true,
                    });
                }
            }
        }
        Ok(missed)
    }

    /// Looks which cases the next changes of the lists concern. Gives whether there may be more.
    fn scan(&mut self, following: &mut dyn Following) -> Result<bool, Error> {
        let changes = following.next(SCANNED)?;
        let Some(last) = changes.last() else {
            return Ok(false);
        };
        let mut mark = self.table.mark();
        mark.scanned = last.seq;
        let lookup = self.lookup.clone();
        let mut due = Vec::new();
        for change in &changes {
            let Some(cause) = cause_of(change) else {
                continue;
            };
            let cases = match &change.what {
                Changed::Entry { entry_id, keys } | Changed::EntryClock { entry_id, keys } => {
                    lookup.touched(keys, entry_id)?
                }
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
            self.shared.due.notify_one();
        }
        Ok(true)
    }

    /// Records what the passing of time brings: cases that end, proposals that are escalated. Gives
    /// whether there may be more.
    fn by_time(&mut self) -> Result<bool, Error> {
        self.take_in_all()?;
        let now = self.now();
        let terms = self.shared.terms(&self.live);
        let today = now.date().to_string();
        let mut found = self.lookup.past_their_day(now.micros(), BY_TIME)?;
        found.extend(self.lookup.past_decision(&today, BY_TIME)?);
        let more = found.len() >= BY_TIME;
        let mut owed = Vec::new();
        let mut work = Work::on(&self.table, &terms);
        for case in found {
            let what = CaseState::from_stored(&case.state)?.owed(now, &*terms);
            if what.is_empty() {
                // The row was made under other terms: it is made anew.
                work.case(&case.case_id)?.before = Children::default();
            }
            owed.extend(
                what.into_iter()
                    .map(|owed| (case.case_id.clone(), owed.into_record())),
            );
        }
        let (anew, mark) = (work.taken, self.table.mark());
        if !anew.held.is_empty() {
            self.store(anew, mark, &terms)?;
        }
        self.record(owed, "", now)?;
        Ok(more)
    }

    /// Records what happened to cases, and applies it. Each was made of the state as it is.
    fn record(
        &mut self,
        happened: Vec<(String, What)>,
        caller: &str,
        now: Time,
    ) -> Result<(), Error> {
        if happened.is_empty() {
            return Ok(());
        }
        let mut mark = self.table.mark();
        if self.journal.head().sequence != mark.cases {
            // An earlier one could not be taken in yet.
            return Err(Error::Behind);
        }
        let records: Vec<CaseRecord> = happened
            .into_iter()
            .map(|(case_id, what)| CaseRecord {
                case_id,
                caller: caller.to_owned(),
                recorded_at: Some(time_to_proto(now)),
                verdicts: mark.verdicts,
                what: Some(what),
            })
            .collect();
        let new = records
            .iter()
            .map(|record| NewRecord::new(kind::CASE, now.micros(), record.encode_to_vec()));
        let appended = self.journal.append_all_blocking(new.collect())?;
        let terms = self.shared.terms(&self.live);
        let mut work = Work::on(&self.table, &terms);
        for (record, at) in records.iter().zip(appended) {
            work.record(at.position.0, record)?;
            (mark.cases, mark.cases_at) = (at.sequence, at.position.0);
        }
        let taken = work.taken;
        self.store(taken, mark, &terms)
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
        let what = make(&state, now)?;
        if what.is_empty() {
            return Ok(state);
        }
        let happened = what.into_iter().map(|what| (case_id.to_owned(), what));
        self.record(happened.collect(), caller, now)?;
        self.state_of(case_id)?.ok_or(ActError::UnknownCase)
    }

    fn state_of(&self, case_id: &str) -> Result<Option<CaseState>, Error> {
        let stored = self.table.load(case_id)?;
        Ok(stored
            .map(|(_, stored)| CaseState::from_stored(&stored))
            .transpose()?)
    }

    /// Records that every open case is to be reviewed by the book in force.
    fn review_all(&mut self, caller: &str, reason: String) -> Result<(String, u64), ActError> {
        self.take_in_all()?;
        let generation = self.live.load_full();
        let version = generation.book.version();
        let asked = What::ReviewRequested(ReviewRequested {
            book_version: version.to_string(),
            reason,
            list_seq: generation.lists.version().seq,
        });
        let before = self.lookup.waiting().map_err(Error::from)?;
        self.record(vec![(String::new(), asked)], caller, self.now())?;
        let now = self.lookup.waiting().map_err(Error::from)?;
        let new = now.saturating_sub(before);
        Ok((version.to_string(), new))
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
