//! The one loop that owns the lists: changes come in over a bounded channel, go to the log, and
//! are published when they are durable. Where it follows a topic, records come instead of changes.
//!
//! INVARIANT (durable first): lists are changed and published only after the journal has answered.
//! The loop runs on a thread of its own, since it waits for the disk and reads rows by the million.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_measures::event::{EntryId, ListCode};
use creditgate_measures::lists::{Base, ListVersion, Lists, is_ahead};
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::State as EntryState;
use creditgate_proto::journal::v1::{ClockStruck, DeskRecord, EntryPut, desk_record};
use creditgate_proto::{Refused, v1};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::{Readiness, State};
use creditgate_runtime::journal::{AppendError, Appended, NewRecord, Position};
use creditgate_runtime::live::{Generation, Live};
use creditgate_runtime::metrics::Metrics;
use creditgate_runtime::threads::{self, Rank};
use prost::Message;
use rustc_hash::FxHashSet;
use tokio::sync::{mpsc, oneshot};

use crate::base_file::{self, Names};
use crate::book::{BookChange, InForce, PublishError, TrustedKeys};
use crate::change::Change;
use crate::desk::{Desk, Stamp};
use crate::error::{ChangeError, Error};
use crate::follow::moves;
use crate::history::Past;
use crate::identity::complete::{self, Statement};
use crate::import::Job;
use crate::import::differ::SourceRules;
use crate::life::{self, Known, Step};
use crate::log::{self, Beside, ChangeLog, Confirmation};
use crate::registry::Options;
use crate::sealing::Sealing;
use crate::upstream::{News, Recorded, Source};

/// The readiness component of the lists.
pub const COMPONENT: &str = "lists";

/// An overlay smaller than this is not worth a new base at the end.
const MERGE_AT_END_MIN: usize = 2_000;
/// Lists larger than this get none at the end: a stop has seconds. The next start reads the overlay from
/// the log.
const ENTRIES_AT_END_MAX: usize = 1_000_000;

/// What the loop is asked for.
pub enum Command {
    /// One change.
    Change {
        /// The change.
        change: Box<Change>,
        /// Who asks, by name.
        caller: Arc<str>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Applied, ChangeError>>,
    },
    /// A change that is planned when its turn comes, against what is known then.
    Plan {
        /// What makes the plan.
        plan: Plan,
        /// Who asks, by name.
        caller: Arc<str>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<ListVersion, ChangeError>>,
    },
    /// The rows of an import, all of them there.
    Import {
        /// The import.
        job: Box<Job>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<v1::ImportSummary, ChangeError>>,
    },
    /// What is decided about an import that waits.
    Hold {
        /// The decision.
        decision: v1::DecideHoldRequest,
        /// Who decides, by name.
        caller: Arc<str>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<v1::DecideHoldResponse, ChangeError>>,
    },
    /// Another book, or a row of it confirmed.
    Book {
        /// The change.
        change: Box<BookChange>,
        /// Who asks, by name.
        caller: Arc<str>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<InForce, PublishError>>,
    },
    /// News of the topic.
    Upstream(News),
    /// A base was built, or was not.
    Merged(Box<Merged>),
    /// The end: what is under way is finished, what waits is refused.
    Close {
        /// Answered when the log is closed.
        reply: oneshot::Sender<()>,
    },
}

/// Makes the records of a change from what is known when its turn comes.
pub(crate) type Plan = Box<dyn FnOnce(&View<'_>) -> Result<Vec<Planned>, ChangeError> + Send>;

/// What is known when a change's turn comes: nothing else changes before its records are made.
pub(crate) struct View<'a> {
    /// The lists.
    pub lists: &'a Lists,
    /// What is under way around them.
    pub desk: &'a Desk,
    /// The book in force.
    pub book: &'a Arc<Book>,
    /// The time that the records will bear.
    pub now: Time,
    /// Who asks, by name.
    pub caller: &'a str,
}

impl View<'_> {
    /// The entry with this id.
    pub fn entry(&self, entry_id: &str) -> Result<Entry, ChangeError> {
        self.lists.entry(entry_id).ok_or(ChangeError::UnknownEntry)
    }

    /// The record of a step, with who asks and why.
    pub fn noted(&self, what: desk_record::What, reason: &str) -> Planned {
        Planned::Noted(Box::new(DeskRecord {
            caller: self.caller.to_owned(),
            reason: reason.to_owned(),
            what: Some(what),
        }))
    }
}

/// A change that was made, or was known already.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The version of the lists with it.
    pub version: ListVersion,
    /// The entry afterwards; none for a confirmation.
    pub entry: Option<Entry>,
}

/// A base that holds everything up to a version, as far as it could be written.
pub struct Merged {
    lists: Lists,
    next: Position,
    base: Result<Base, Error>,
}

/// One record to be written.
pub(crate) enum Planned {
    Put(EntryPut),
    Confirmed(Confirmation),
    Clock(ClockStruck),
    Noted(Box<DeskRecord>),
}

impl Planned {
    /// Bytes of its record, about.
    pub fn weight(&self) -> usize {
        match self {
            Self::Put(put) => put.stored.len(),
            Self::Noted(record) => record.encoded_len(),
            Self::Confirmed(_) | Self::Clock(_) => 0,
        }
    }
}

/// The owner of the lists.
pub(crate) struct Keeper {
    pub log: ChangeLog,
    pub source: Source,
    pub past: Past,
    pub lists: Lists,
    pub beside: Beside,
    pub book: Arc<Book>,
    /// What the deployment says about any book.
    pub deployment: Deployment,
    /// Who may sign books.
    pub trusted_keys: TrustedKeys,
    pub live: Live,
    /// What is under way, for readers.
    pub desk: Arc<ArcSwap<Desk>>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub readiness: Readiness,
    /// The readiness while nothing is wrong.
    pub well: State,
    pub lists_dir: PathBuf,
    /// How files stand on the disk.
    pub sealing: Sealing,
    /// The smallest overlay that is worth a new base.
    pub overlay_min: usize,
    /// What the registry was opened with: one that takes over chooses its book anew.
    pub options: Box<Options>,
    /// How far lists may shrink at once, and which source goes before which.
    pub source_rules: SourceRules,
    pub commands: mpsc::Receiver<Command>,
    /// Weak, or the loop would keep itself alive.
    pub own: mpsc::WeakSender<Command>,
    pub waiting: VecDeque<Command>,
    pub merging: bool,
    /// No merge before the overlay has reached this size: the last one failed.
    pub merge_not_before: usize,
    /// Entries of an import that is checked and not yet written; nobody else may change them.
    pub reserved: FxHashSet<Box<str>>,
    /// Set at the end: a merge under way is given up.
    pub ending: Arc<AtomicBool>,
}

impl Keeper {
    /// Runs until it is closed or nobody can ask any more.
    pub fn run(mut self) {
        let closed = loop {
            match self.next_command() {
                Some(Command::Close { reply }) => break Some(reply),
                Some(command) => self.serve(command),
                None => break None,
            }
            if self.source.must_end() {
                break None;
            }
        };
        self.finish();
        if let Some(reply) = closed {
            let _ = reply.send(());
        }
    }

    fn next_command(&mut self) -> Option<Command> {
        self.waiting
            .pop_front()
            .or_else(|| self.commands.blocking_recv())
    }

    fn serve(&mut self, command: Command) {
        match command {
            Command::Change {
                change,
                caller,
                reply,
            } => {
                let done = self.change(*change, &caller);
                if let Err(refused) = &done {
                    self.metrics.change_refused(refused.counted_as());
                }
                // Nobody waits any more: the change stands all the same.
                let _ = reply.send(done);
            }
            Command::Plan {
                plan,
                caller,
                reply,
            } => {
                let done = self.carry_out(plan, &caller);
                if let Err(refused) = &done {
                    self.metrics.change_refused(refused.counted_as());
                }
                let _ = reply.send(done);
            }
            Command::Import { job, reply } => {
                let taken = self.source.may_change().and_then(|()| self.import(*job));
                let _ = reply.send(taken);
            }
            Command::Hold {
                decision,
                caller,
                reply,
            } => {
                let _ = reply.send(self.decide_hold(&decision, &caller));
            }
            Command::Book {
                change,
                caller,
                reply,
            } => {
                let _ = reply.send(self.change_book(*change, &caller));
            }
            Command::Upstream(news) => self.upstream(news),
            Command::Merged(merged) => self.adopt(*merged),
            Command::Close { .. } => self.waiting.push_back(command),
        }
    }

    /// Serves what has come while an import is being taken: changes at once, imports later.
    pub fn serve_between(&mut self) {
        const AT_MOST: usize = 64;
        for _ in 0..AT_MOST {
            match self.commands.try_recv() {
                Ok(
                    command @ (Command::Change { .. } | Command::Plan { .. } | Command::Merged(_)),
                ) => self.serve(command),
                Ok(later) => self.waiting.push_back(later),
                Err(_) => return,
            }
        }
    }

    pub fn now(&self) -> Time {
        Time::from_micros(self.clock.now_micros())
    }

    pub fn known(&self, entry_id: &str) -> Option<Known> {
        let entry = self.lists.entry(entry_id)?;
        let absent = self.beside.absent.contains(entry_id);
        Some(Known { entry, absent })
    }

    fn change(&mut self, change: Change, caller: &str) -> Result<Applied, ChangeError> {
        self.source.may_change()?;
        let reserved = |id: &EntryId| self.reserved.contains(id.as_str());
        if change.entry_id().is_some_and(reserved) {
            return Err(ChangeError::ImportUnderWay);
        }
        let now = self.now();
        let found = |id: &EntryId| {
            self.lists
                .entry(id.as_str())
                .ok_or(ChangeError::UnknownEntry)
        };
        let (planned, entry) = match change {
            Change::State {
                entry_id,
                to,
                effective_at,
                document_no,
                reason,
            } => {
                let known = found(&entry_id)?;
                let absent = self.beside.absent.contains(entry_id.as_str());
                let step = match absent && to == EntryState::Revoked {
                    true => life::revoke_absent(&Known {
                        entry: known,
                        absent,
                    }),
                    false => life::change_state(&known, to, effective_at, now)?,
                };
                let put = put_of(&step, caller, &reason, &document_no);
                (vec![put], Some(step.entry))
            }
            Change::Put { mut draft, reason } => {
                let known = self.known(draft.entry_id.as_str());
                let document_no = draft.document_no.clone().unwrap_or_default();
                let by = Statement::OfPerson(known.as_ref().map(|known| &known.entry));
                let of = life::decided_at(&draft, known.as_ref(), self.now());
                let kept = complete::statement(&mut draft, of, by, &self.beside.desk.identity);
                let steps = life::put(*draft, known.as_ref(), &self.book, now)?;
                let kept = kept.map(|what| self.view(now, caller).noted(what, ""));
                let puts = steps
                    .iter()
                    .map(|step| put_of(step, caller, &reason, &document_no))
                    .chain(kept)
                    .collect();
                let last = steps.into_iter().next_back().map(|step| step.entry);
                (puts, last.or(known.map(|known| known.entry)))
            }
            Change::Objection {
                entry_id,
                marked,
                reason,
            } => {
                let known = found(&entry_id)?;
                match life::mark_objection(&known, marked) {
                    Some(step) => (vec![put_of(&step, caller, &reason, "")], Some(step.entry)),
                    None => (Vec::new(), Some(known)),
                }
            }
            Change::Confirm {
                list,
                at,
                source_unit,
            } => (vec![self.confirmation(&list, at, source_unit, now)?], None),
        };
        self.commit(planned, caller, now)?;
        Ok(Applied {
            version: self.lists.version(),
            entry,
        })
    }

    /// Makes the records of a change and commits them.
    fn carry_out(&mut self, plan: Plan, caller: &str) -> Result<ListVersion, ChangeError> {
        self.source.may_change()?;
        let now = self.now();
        let planned = plan(&self.view(now, caller))?;
        if planned.iter().any(|planned| self.is_reserved(planned)) {
            return Err(ChangeError::ImportUnderWay);
        }
        self.commit(planned, caller, now)?;
        Ok(self.lists.version())
    }

    /// What a plan sees.
    pub(crate) fn view<'a>(&'a self, now: Time, caller: &'a str) -> View<'a> {
        View {
            lists: &self.lists,
            desk: &self.beside.desk,
            book: &self.book,
            now,
            caller,
        }
    }

    /// The record by which a source confirms a list.
    pub(crate) fn confirmation(
        &self,
        list: &ListCode,
        at: Option<Time>,
        source_unit: String,
        now: Time,
    ) -> Result<Planned, ChangeError> {
        life::known_list(list.as_str(), &self.book)?;
        let at = as_of(at, now)?;
        let declared = self.source_rules.declared(list);
        let sources = &self.beside.desk.sources;
        Ok(Planned::Confirmed(Confirmation {
            whole: sources.whole(list.as_str(), (&source_unit, at), declared, now),
            of_all: true,
            list: list.clone(),
            at,
            source_unit,
        }))
    }

    fn is_reserved(&self, planned: &Planned) -> bool {
        let Planned::Put(put) = planned else {
            return false;
        };
        !self.reserved.is_empty()
            && StoredEntry::read(&put.stored)
                .is_ok_and(|stored| self.reserved.contains(stored.entry_id))
    }

    /// Writes the records, and when they are durable applies and publishes them.
    pub fn commit(
        &mut self,
        mut planned: Vec<Planned>,
        caller: &str,
        now: Time,
    ) -> Result<(), ChangeError> {
        if planned.is_empty() {
            return Ok(());
        }
        moves::note(&mut planned, &self.lists);
        let first = self.lists.version().seq + 1;
        let records = (first..).zip(&planned).map(|(seq, planned)| match planned {
            Planned::Put(put) => log::entry_record(seq, now, put.clone()),
            Planned::Confirmed(confirmed) => log::confirmed_record(seq, now, confirmed, caller),
            Planned::Clock(struck) => log::clock_record(seq, now, struck.clone()),
            Planned::Noted(record) => log::desk_record(now, record),
        });
        let count = planned.len() as u64;
        match self.record(records.collect())? {
            Recorded::Appended(_) => {
                self.apply(first, planned, now);
                self.metrics.changes_in_effect(now.micros(), count);
            }
            // The lists have them already.
            Recorded::Taken => {}
        }
        self.metrics.changes_accepted(count);
        Ok(())
    }

    /// Appends records to the log, which must be the next ones.
    pub(crate) fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Appended>, AppendError> {
        let (due, count) = (self.lists.version().seq + 1, records.len());
        let appended = self
            .log
            .journal()
            .append_all_blocking(records)
            .inspect_err(|error| self.log_failed(error))?;
        // INVARIANT (one number): a record of a number other than the list version's would make
        // every version that was ever given out lie.
        assert!(
            appended.first().is_some_and(|at| at.sequence == due) && appended.len() == count,
            "the change log has records that the registry did not write"
        );
        self.log.appended(&appended);
        Ok(appended)
    }

    /// Makes the changes that the log has, and publishes them.
    fn apply(&mut self, first: u64, planned: Vec<Planned>, now: Time) {
        for (seq, planned) in (first..).zip(planned) {
            let stamp = Stamp { seq, at: now };
            self.beside.desk.recorded(stamp);
            match planned {
                Planned::Put(put) => {
                    if let Ok(stored) = StoredEntry::read(&put.stored) {
                        self.beside.note(&stored, &put);
                    }
                    self.lists.put_stored(&put.stored, self.book.simplify());
                }
                Planned::Confirmed(confirmed) => {
                    self.beside.desk.sources.confirmed(&confirmed, stamp);
                    confirmed.put_into(&mut self.lists, now);
                }
                Planned::Clock(struck) => self.beside.desk.struck(&struck, stamp),
                Planned::Noted(record) => self.beside.desk.note(&record, stamp),
            }
            self.lists.advance(seq);
        }
        self.publish();
        self.merge_if_due();
    }

    fn log_failed(&self, error: &AppendError) {
        tracing::error!(%error, "a change of the lists could not be recorded");
        let for_good = !matches!(
            error,
            AppendError::Stalled { .. }
                | AppendError::PayloadTooLarge { .. }
                | AppendError::RunTooLarge { .. }
        );
        if for_good {
            self.readiness.not_ready(
                COMPONENT,
                "the change log takes no records: restart the service, and look at its disk",
            );
        }
    }

    pub(crate) fn publish(&self) {
        // Before the lists: whoever sees a version finds what is under way up to it, or more.
        self.desk.store(Arc::new(self.beside.desk.clone()));
        self.live.publish(Generation {
            lists: self.lists.clone(),
            book: Arc::clone(&self.book),
        });
        show(&self.metrics, &self.lists, &self.beside);
    }

    pub(crate) fn merge_if_due(&mut self) {
        let overlay = self.lists.overlay_len();
        let due = overlay > self.overlay_min.max(self.lists.len() / 20)
            && overlay >= self.merge_not_before;
        if self.merging || !due {
            return;
        }
        let Some(own) = self.own.upgrade() else {
            return;
        };
        let merge = self.merge(Arc::clone(&self.ending));
        let started = threads::spawn("lists-merge", Rank::Upkeep, move || {
            // The loop has ended: the file stays and is as good at the next start.
            let _ = own.blocking_send(Command::Merged(Box::new(merge())));
        });
        match started {
            Ok(_) => self.merging = true,
            Err(error) => tracing::warn!(%error, "the lists are not merged into a new base"),
        }
    }

    /// The work of building a base from everything up to now, unless it is given up.
    fn merge(&self, given_up: Arc<AtomicBool>) -> impl FnOnce() -> Merged + Send + use<> {
        let lists = self.lists.clone();
        let beside = self.beside.clone();
        let next = self.log.head().next_position;
        let dir = self.lists_dir.clone();
        let sealing = self.sealing.clone();
        let book = Arc::clone(&self.book);
        move || {
            let names = Names::AsIndexed(book.simplify());
            let how = (&sealing, &*given_up);
            let base = base_file::write(&dir, &lists, &beside, next, names, how);
            Merged { lists, next, base }
        }
    }

    /// Goes over to a new base, and makes the changes again that came while it was built.
    fn adopt(&mut self, merged: Merged) {
        self.merging = false;
        if !merged.lists.normalised_by(self.book.simplify()) {
            // A new book came meanwhile: this base finds names as the old one wrote them.
            return;
        }
        let adopted = merged.base.and_then(|base| {
            let mut lists = merged.lists.rebased(base);
            let mut seen = Beside::default();
            for entered in self.log.read_from(merged.next) {
                log::apply(&entered?, &mut lists, &mut seen, self.book.simplify())?;
            }
            Ok(lists)
        });
        match adopted {
            Ok(lists) => {
                assert!(
                    lists.version() == self.lists.version() && lists.len() == self.lists.len(),
                    "the lists over a new base differ from those before it"
                );
                self.lists = lists;
                self.merge_not_before = 0;
                self.publish();
                base_file::remove_older(&self.lists_dir, merged.lists.version().seq);
            }
            Err(error) => {
                self.merge_not_before = self.lists.overlay_len() + self.overlay_min;
                tracing::warn!(
                    error = %creditgate_runtime::errors::Chain(&error),
                    "the lists could not be merged into a new base; they stay as they are"
                );
            }
        }
    }

    /// Answers what came too late; a base that was built is still taken.
    fn refuse_late(&mut self, command: Command) {
        match command {
            Command::Change { reply, .. } => {
                let _ = reply.send(Err(ChangeError::Closed));
            }
            Command::Plan { reply, .. } => {
                let _ = reply.send(Err(ChangeError::Closed));
            }
            Command::Import { reply, .. } => {
                let _ = reply.send(Err(ChangeError::Closed));
            }
            Command::Hold { reply, .. } => {
                let _ = reply.send(Err(ChangeError::Closed));
            }
            Command::Book { reply, .. } => {
                let _ = reply.send(Err(ChangeError::Closed.into()));
            }
            Command::Upstream(_) => {}
            Command::Merged(merged) => match &merged.base {
                Ok(_) if self.lists.len() <= ENTRIES_AT_END_MAX => self.adopt(*merged),
                // The file is there for the next start.
                Ok(_) => self.merging = false,
                // Given up, most likely; nothing is lost by it.
                Err(error) => {
                    tracing::debug!(error = %creditgate_runtime::errors::Chain(error), "a merge of the lists was not finished");
                    self.merging = false;
                }
            },
            Command::Close { reply } => {
                let _ = reply.send(());
            }
        }
    }

    /// Refuses what waits, gives up a merge, writes a last base when the next start gains by it.
    fn finish(&mut self) {
        self.source.close();
        self.ending.store(true, Ordering::Relaxed);
        // A merge holds a sender of its own until it has told its end.
        while self.merging {
            match self.commands.blocking_recv() {
                Some(command) => self.refuse_late(command),
                None => break,
            }
        }
        self.commands.close();
        while let Some(command) = self.next_command() {
            self.refuse_late(command);
        }
        let is_worth_it = self.lists.overlay_len() >= MERGE_AT_END_MIN.min(self.overlay_min);
        if is_worth_it && self.lists.len() <= ENTRIES_AT_END_MAX {
            let merged = self.merge(Arc::default())();
            self.adopt(merged);
        }
        if let Err(error) = self.log.journal().close_blocking() {
            tracing::warn!(%error, "the change log was not closed cleanly");
        }
        if !self.source.must_end() {
            self.readiness.not_ready(COMPONENT, "stopped");
        }
    }
}

/// The record of a step.
pub(crate) fn put_of(step: &Step, caller: &str, reason: &str, document_no: &str) -> Planned {
    Planned::Put(EntryPut {
        stored: step.entry.to_stored(),
        action: step.action.to_owned(),
        caller: caller.to_owned(),
        reason: reason.to_owned(),
        document_no: document_no.to_owned(),
        region_before: None,
        by_source: false,
    })
}

/// As [`put_of`], of what a source stated.
pub(crate) fn stated_put(step: &Step, caller: &str, reason: &str, document_no: &str) -> Planned {
    let mut put = put_of(step, caller, reason, document_no);
    if let Planned::Put(put) = &mut put {
        put.by_source = true;
    }
    put
}

/// As of when something is confirmed: now, where nothing is said.
pub(crate) fn as_of(at: Option<Time>, now: Time) -> Result<Time, ChangeError> {
    let at = at.unwrap_or(now);
    // It would hide stale lists.
    if is_ahead(at, now) {
        return Err(ChangeError::Invalid(Refused::one(
            "confirmed_at",
            "lies in the future; a list is confirmed as of a time that has come",
        )));
    }
    Ok(at)
}

/// Sets the numbers that tell of the lists.
pub(crate) fn show(metrics: &Metrics, lists: &Lists, beside: &Beside) {
    metrics.set_list_version(lists.version().seq);
    for (code, count) in beside.desk.counts() {
        metrics.list(code).set_entries(count);
    }
    for (code, at) in lists.confirmations() {
        metrics.list(code.as_str()).set_confirmed_at(at.micros());
    }
}
