//! An import: rows put aside as they come, then taken in runs, all of them or those that are sound.
//! What a row leaves open is filled in ([`stated`]); a statement of a source that stands behind
//! another one is kept beside ([`differ`]); an import that would end too much waits ([`held`]).

pub(crate) mod differ;
mod held;
pub(crate) mod stated;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use creditgate_measures::book::Book;
use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_measures::event::ListCode;
use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::desk_record;
use creditgate_proto::{Refused, Violation, v1};
use rustc_hash::FxHashSet;

use crate::change;
use crate::error::ChangeError;
use crate::files::is_cut_off;
use crate::identity::complete::{self, Statement};
use crate::keeper::{Keeper, Planned, as_of, stated_put};
use crate::life::{self, ABSENT_FROM_SOURCE, Step};
use crate::sealing::Sealing;
use crate::spool::Spool;

use held::Shrinks;
use stated::ListNames;

/// Rows that go to the log in one run, and are published together.
const RUN_ROWS: usize = 1_000;

/// Bytes of entries that go to the log in one run, about.
const RUN_BYTES: usize = 4 << 20;

/// Refused rows that are named where the header does not say how many; more are counted.
const REFUSED_SHOWN: usize = 1_000;

/// Most refused rows that a header may ask for: the answer is one message.
const REFUSED_SHOWN_MAX: u32 = 200_000;

/// Most characters of what a sender says of a row that it could not read.
const UNREADABLE_CHARS_MAX: usize = 4_096;

/// Most bytes of rows in one import.
const SPOOL_BYTES_MAX: u64 = 8 << 30;

const SOURCE_UNIT_CHARS_MAX: usize = 512;

/// What the rows say about entries that are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Delta,
    /// Those of this source unit and list have ended.
    Full,
}

/// What a refused row does to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// None is taken.
    Hold,
    /// The others are taken.
    Skip,
}

/// How to take the rows, checked.
#[derive(Debug, Clone)]
pub struct Header {
    /// As it was asked for, to be asked again.
    asked: v1::ImportHeader,
    source_unit: String,
    list: Option<ListCode>,
    mode: Mode,
    confirm: Vec<ListCode>,
    confirm_named: bool,
    confirmed_at: Option<Time>,
    dry_run: bool,
    on_error: OnError,
    refused_shown: usize,
}

impl Header {
    /// The header that a message states, held against the book.
    ///
    /// # Errors
    /// When it breaks a rule.
    pub fn read(mut header: v1::ImportHeader, book: &Book, now: Time) -> Result<Self, ChangeError> {
        let asked = header.clone();
        let mut violations = Vec::new();
        if header.source_unit.trim().is_empty() {
            violations.push(Violation::new("source_unit", "required"));
        }
        if header.source_unit.chars().count() > SOURCE_UNIT_CHARS_MAX {
            let rule = format!("at most {SOURCE_UNIT_CHARS_MAX} characters");
            violations.push(Violation::new("source_unit", rule));
        }
        let mode = match header.mode.as_str() {
            "" | "delta" => Mode::Delta,
            "full" => Mode::Full,
            _ => {
                violations.push(Violation::new("mode", "unknown mode; known: delta, full"));
                Mode::Delta
            }
        };
        let on_error = match header.on_error.as_str() {
            "" | "hold" => OnError::Hold,
            "skip" => OnError::Skip,
            _ => {
                violations.push(Violation::new(
                    "on_error",
                    "unknown word; known: hold, skip",
                ));
                OnError::Hold
            }
        };
        if mode == Mode::Full && header.list.is_empty() {
            violations.push(Violation::new("list", "required with mode `full`"));
        }
        if mode == Mode::Full && on_error == OnError::Skip {
            violations.push(Violation::new(
                "on_error",
                "`full` ends what is not among the rows, so no row may be left out: use `hold`",
            ));
        }
        if header.refused_max > REFUSED_SHOWN_MAX {
            let rule = format!("at most {REFUSED_SHOWN_MAX}");
            violations.push(Violation::new("refused_max", rule));
        }
        let refused_shown = match header.refused_max {
            0 => REFUSED_SHOWN,
            shown => shown as usize,
        };
        Refused::unless_empty(violations)?;
        let names = ListNames::of(book);
        for list in std::iter::once(&mut header.list).chain(&mut header.confirm_lists) {
            names.resolve(list, book)?;
        }
        let list = (!header.list.is_empty()).then(|| ListCode::new(header.list));
        let confirm: Vec<ListCode> = header
            .confirm_lists
            .into_iter()
            .map(ListCode::new)
            .collect();
        let confirmed_at = change::time("confirmed_at", header.confirmed_at)?;
        list.iter()
            .try_for_each(|list| life::known_list(list.as_str(), book).map(|_| ()))?;
        // Also where no list is named: it must not be found out after the rows were taken.
        as_of(confirmed_at, now)?;
        confirm
            .iter()
            .try_for_each(|list| life::known_list(list.as_str(), book).map(|_| ()))?;
        Ok(Self {
            asked,
            source_unit: header.source_unit,
            list,
            mode,
            confirm,
            confirm_named: header.confirm_named_lists,
            confirmed_at,
            dry_run: header.dry_run,
            on_error,
            refused_shown,
        })
    }
}

/// An import whose rows are all there.
#[derive(Debug)]
pub struct Job {
    /// How to take them.
    pub header: Header,
    /// The rows.
    pub rows: Spool,
    /// Who sent them, by name.
    pub caller: Arc<str>,
    /// Somebody has approved what it ends.
    pub approved: bool,
}

impl Job {
    /// An import without rows yet.
    #[must_use]
    pub(crate) fn new(header: Header, caller: Arc<str>, dir: &Path, sealing: &Sealing) -> Self {
        Self {
            header,
            rows: Spool::new(dir, sealing),
            caller,
            approved: false,
        }
    }

    /// Puts a row aside.
    ///
    /// # Errors
    /// When there is no room.
    pub fn push(&mut self, mut row: v1::ImportRow) -> Result<(), ChangeError> {
        if row.row == 0 {
            row.row = self.rows.rows() + 1;
        }
        if self.rows.bytes() >= SPOOL_BYTES_MAX {
            return Err(ChangeError::Spool(std::io::Error::other(
                "the import is larger than 8 GiB; split it",
            )));
        }
        self.rows.push(&row).map_err(ChangeError::Spool)
    }
}

/// What became of the rows so far.
#[derive(Default)]
struct Tally {
    dry_run: bool,
    refused_shown: usize,
    received: u64,
    accepted: u64,
    unchanged: u64,
    refused_count: u64,
    /// Refused rows in the middle of which their file ends.
    cut_off: u64,
    /// Rows that read as whole ones and have no line end behind them.
    unended: u64,
    revoked_absent: u64,
    differing: u64,
    hold: Option<(String, String)>,
    refused: Vec<v1::RefusedRow>,
    /// Lists of refused rows; the empty text where it could not be read.
    refused_lists: BTreeSet<String>,
    /// Lists of the rows taken; the empty text where the header names the list.
    taken_lists: BTreeSet<String>,
}

impl Tally {
    fn taken(&mut self, list: String) {
        if !self.taken_lists.contains(&list) {
            self.taken_lists.insert(list);
        }
    }
}

/// A row that is sound, or is not.
enum Taken {
    Changes(Vec<Planned>),
    /// Another source's statement stands; what differs is noted.
    Differs(Vec<Planned>),
    Unchanged,
    Refused(ChangeError),
}

impl Keeper {
    /// Takes an import.
    pub(crate) fn import(&mut self, job: Job) -> Result<v1::ImportSummary, ChangeError> {
        let header = &job.header;
        let caller = Arc::clone(&job.caller);
        let looked_through = header.dry_run || header.on_error == OnError::Hold;
        let mut tally = Tally {
            dry_run: header.dry_run,
            refused_shown: header.refused_shown,
            ..Tally::default()
        };
        let mut held = 0;
        if looked_through {
            let seen = self.look_through(&job, &mut tally)?;
            let shrinks = self.shrinks(&job, &seen, &tally);
            // What came behind the cut is missing as if the source had ended it: somebody must say that it has.
            let cut_off = shrinks.is_some() && tally.cut_off > 0;
            let waits = shrinks.as_ref().and_then(|shrinks| {
                let percent = self.source_rules.removal_percent;
                Some((shrinks, shrinks.held(job.rows.rows(), percent)?))
            });
            let otherwise_refused = match cut_off {
                true => tally.refused_count - tally.cut_off,
                false => tally.refused_count,
            };
            if otherwise_refused > 0 && header.on_error == OnError::Hold {
                held = std::mem::take(&mut tally.accepted);
            } else if header.dry_run {
                tally.revoked_absent = shrinks.as_ref().map_or(0, |shrinks| shrinks.removed);
                tally.hold = waits.map(|(shrinks, why)| (String::new(), shrinks.told(why)));
            } else if let Some((shrinks, why)) = waits.filter(|_| !job.approved) {
                let id = self.hold(&job, why, shrinks)?;
                held = tally.accepted + tally.unchanged + tally.differing;
                (tally.accepted, tally.unchanged, tally.differing) = (0, 0, 0);
                tally.hold = Some((id, shrinks.told(why)));
            } else {
                self.reserved = seen;
                let taken = self.take(&job, &caller);
                self.reserved = FxHashSet::default();
                tally = taken?;
            }
        } else {
            tally = self.take(&job, &caller)?;
        }
        let waits = tally.hold.is_some();
        if !job.header.dry_run
            && held == 0
            && !waits
            && (tally.refused_count == 0 || !looked_through)
        {
            self.confirm_lists(&job.header, &mut tally, &caller)?;
        }
        tracing::info!(
            received = tally.received,
            accepted = tally.accepted,
            unchanged = tally.unchanged,
            refused = tally.refused_count,
            held,
            dry_run = job.header.dry_run,
            "an import ended"
        );
        let (hold_id, hold_reason) = tally.hold.unwrap_or_default();
        Ok(v1::ImportSummary {
            received: tally.received,
            accepted: tally.accepted,
            unchanged: tally.unchanged,
            refused_count: tally.refused_count,
            held,
            revoked_absent: tally.revoked_absent,
            refused: tally.refused,
            list_version: self.lists.version().to_string(),
            dry_run: job.header.dry_run,
            hold_id,
            hold_reason,
            differing: tally.differing,
        })
    }

    /// What a full import would end; none for one that ends nothing by itself.
    fn shrinks(&self, job: &Job, seen: &FxHashSet<Box<str>>, tally: &Tally) -> Option<Shrinks> {
        (job.header.mode == Mode::Full).then(|| {
            let in_force = self.absent(&job.header, &FxHashSet::default()).len();
            let removed = self.absent(&job.header, seen).len();
            Shrinks {
                in_force: in_force as u64,
                removed: removed as u64,
                cut_off: tally.cut_off > 0,
                unended: tally.unended > 0,
                older: self.older(&job.header),
            }
        })
    }

    /// As of when an import tells, and as of when its source confirmed the list before, where that is
    /// later. What a clock that ran ahead recorded stands in nobody's way.
    fn older(&self, header: &Header) -> Option<(Time, Time)> {
        let now = self.now();
        let this = header.confirmed_at.unwrap_or(now);
        let sources = &self.beside.desk.sources;
        let mut known = sources.of_list(header.list.as_ref()?.as_str());
        let (_, age) = known.find(|(source, _)| *source == header.source_unit)?;
        let known = age.confirmed_at;
        (this < known && known <= now).then_some((this, known))
    }

    /// Checks every row and changes nothing. Gives the ids that the rows speak of.
    fn look_through(
        &mut self,
        job: &Job,
        tally: &mut Tally,
    ) -> Result<FxHashSet<Box<str>>, ChangeError> {
        let lists = ListNames::of(&self.book);
        let mut seen = FxHashSet::default();
        for (at, row) in job.rows.read().map_err(ChangeError::Spool)?.enumerate() {
            let row = row.map_err(ChangeError::Spool)?;
            let number = row.row;
            tally.cut_off += u64::from(is_cut_off(&row.unreadable));
            tally.unended += u64::from(row.unended);
            let unreadable = unreadable(&row.unreadable);
            let mut entry = row.entry.unwrap_or_default();
            let taken = unreadable
                .unwrap_or_else(|| self.plan(&mut entry, job, &lists, &mut seen, self.now()));
            let (id, list) = (entry.entry_id, entry.list);
            match taken {
                Taken::Changes(_) => {
                    tally.accepted += 1;
                    tally.taken(list);
                }
                Taken::Differs(_) => {
                    tally.differing += 1;
                    tally.taken(list);
                }
                Taken::Unchanged => {
                    tally.unchanged += 1;
                    tally.taken(list);
                }
                Taken::Refused(why) => self.refuse(tally, number, &id, list, &why),
            }
            tally.received += 1;
            if (at + 1).is_multiple_of(RUN_ROWS) {
                // A dry run promises nothing about what it has read.
                if job.header.dry_run {
                    self.serve_between();
                } else {
                    self.reserved = seen;
                    self.serve_between();
                    seen = std::mem::take(&mut self.reserved);
                }
            }
        }
        Ok(seen)
    }

    /// Takes the sound rows, run by run, and ends what a full import does not show.
    fn take(&mut self, job: &Job, caller: &str) -> Result<Tally, ChangeError> {
        let mut tally = Tally {
            refused_shown: job.header.refused_shown,
            ..Tally::default()
        };
        let lists = ListNames::of(&self.book);
        let mut seen = FxHashSet::default();
        let mut run = Vec::with_capacity(RUN_ROWS);
        let mut run_bytes = 0;
        // One time for all of a run: what an entry says of itself is what its record says.
        let mut now = self.now();
        for row in job.rows.read().map_err(ChangeError::Spool)? {
            let row = row.map_err(ChangeError::Spool)?;
            let number = row.row;
            let unreadable = unreadable(&row.unreadable);
            let mut entry = row.entry.unwrap_or_default();
            let taken =
                unreadable.unwrap_or_else(|| self.plan(&mut entry, job, &lists, &mut seen, now));
            let (id, list) = (entry.entry_id, entry.list);
            match taken {
                Taken::Changes(changes) => {
                    tally.accepted += 1;
                    tally.taken(list);
                    run_bytes += changes.iter().map(Planned::weight).sum::<usize>();
                    run.extend(changes);
                }
                Taken::Differs(noted) => {
                    tally.differing += 1;
                    tally.taken(list);
                    run.extend(noted);
                }
                Taken::Unchanged => {
                    tally.unchanged += 1;
                    tally.taken(list);
                }
                Taken::Refused(why) => self.refuse(&mut tally, number, &id, list, &why),
            }
            tally.received += 1;
            if run.len() >= RUN_ROWS || run_bytes >= RUN_BYTES {
                self.commit(std::mem::take(&mut run), caller, now)?;
                run_bytes = 0;
                self.serve_between();
                now = self.now();
            }
        }
        self.commit(run, caller, now)?;
        if job.header.mode == Mode::Full {
            tally.revoked_absent = self.end_absent(&job.header, &seen, caller)?;
        }
        Ok(tally)
    }

    /// What a row leads to. No two rows of an import speak of one entry, so rows of one run do not
    /// depend on each other.
    fn plan(
        &self,
        entry: &mut v1::Entry,
        job: &Job,
        lists: &ListNames,
        seen: &mut FxHashSet<Box<str>>,
        now: Time,
    ) -> Taken {
        if let Err(refused) = self.fill_in(entry, &job.header, lists, seen) {
            return Taken::Refused(ChangeError::Invalid(refused));
        }
        let put = |steps: &[Step]| {
            let put = |step| stated_put(step, &job.caller, "", &entry.document_no);
            steps.iter().map(put).collect::<Vec<_>>()
        };
        let mut draft = match life::draft(entry) {
            Ok(draft) => draft,
            Err(refused) => return Taken::Refused(ChangeError::Invalid(refused)),
        };
        let desk = &self.beside.desk;
        let known = self.known(draft.entry_id.as_str());
        let source = draft.source_unit.clone().unwrap_or_default();
        let own = known.as_ref().and_then(|known| {
            let own = known.entry.source_unit.as_deref()?;
            (own != &*source).then_some(own)
        });
        if let (Some(known), Some(_)) = (&known, own)
            && differ::of_another(&draft, &known.entry, &self.book)
        {
            let rule = "another source uses this id for another subject; choose another id, or leave it empty";
            return Taken::Refused(ChangeError::Invalid(Refused::one("entry_id", rule)));
        }
        let stands = own.is_none_or(|own| self.source_rules.goes_before(&draft.list, &source, own));
        let not_taken = known
            .as_ref()
            .and_then(|known| differ::hold_back(&mut draft, known, stands, desk));
        let overruled = differ::overruled(&draft, &source, &desk.identity)
            .filter(|differ| !desk.sources.knows(differ))
            .map(desk_record::What::SourcesDiffer);
        let of = life::decided_at(&draft, known.as_ref(), now);
        let kept = complete::statement(&mut draft, of, Statement::OfSource, &desk.identity);
        let view = self.view(now, &job.caller);
        let told = kept.into_iter().chain(overruled);
        let told: Vec<_> = told.map(|what| view.noted(what, "")).collect();
        let steps = match life::put(draft, known.as_ref(), &self.book, now) {
            Ok(steps) => steps,
            Err(why) => return Taken::Refused(why),
        };
        let differed = desk.sources.differed(entry.entry_id.as_str(), &source);
        let differs = own.is_some() || not_taken.is_some() || differed;
        let Some(known) = known.as_ref().filter(|_| differs) else {
            return match steps.is_empty() && told.is_empty() {
                true => Taken::Unchanged,
                false => Taken::Changes(put(&steps).into_iter().chain(told).collect()),
            };
        };
        let differ = match (own, stands) {
            (None, _) => differ::state_only(&known.entry, &source, not_taken),
            (Some(own), true) => differ::differs(&known.entry, &steps, &source, own, not_taken),
            (Some(own), false) => differ::differs(&known.entry, &steps, own, &source, not_taken),
        };
        let noted = (!desk.sources.knows(&differ)).then(|| {
            let what = desk_record::What::SourcesDiffer(differ.clone());
            view.noted(what, "")
        });
        let agree = differ.fields.is_empty();
        if !stands || (own.is_some() && agree) {
            // The entry stays the one of its own source.
            return match noted {
                noted if !agree => Taken::Differs(noted.into_iter().collect()),
                None => Taken::Unchanged,
                Some(noted) => Taken::Changes(vec![noted]),
            };
        }
        let records: Vec<_> = put(&steps).into_iter().chain(told).chain(noted).collect();
        match (records.is_empty(), steps.is_empty()) {
            (_, true) if not_taken.is_some() => Taken::Differs(records),
            (true, _) => Taken::Unchanged,
            (false, _) => Taken::Changes(records),
        }
    }

    /// Fills in what a row leaves open, and sees that it belongs to this import.
    fn fill_in(
        &self,
        entry: &mut v1::Entry,
        header: &Header,
        lists: &ListNames,
        seen: &mut FxHashSet<Box<str>>,
    ) -> Result<(), Refused> {
        if let Some(list) = header.list.as_ref().filter(|_| entry.list.is_empty()) {
            entry.list = list.as_str().to_owned();
        }
        lists.resolve(&mut entry.list, &self.book)?;
        if entry.source_unit.is_empty() {
            entry.source_unit.clone_from(&header.source_unit);
        }
        let nobody = entry.id.is_empty() && entry.name.is_empty();
        if entry.entry_id.is_empty() && !entry.list.is_empty() && !nobody {
            entry.entry_id = stated::derived_id(entry, &self.book);
        }
        if !entry.entry_id.is_empty() && !seen.insert(entry.entry_id.as_str().into()) {
            let rule = "stands twice in this import; keep one row";
            return Err(Refused::one("entry_id", rule));
        }
        let other_list = header
            .list
            .as_ref()
            .is_some_and(|list| list.as_str() != entry.list);
        if header.mode == Mode::Full && (other_list || header.source_unit != entry.source_unit) {
            let rule = "a full import holds rows of its one list and source unit only";
            return Err(Refused::one("list", rule));
        }
        Ok(())
    }

    fn refuse(&self, tally: &mut Tally, row: u64, id: &str, list: String, why: &ChangeError) {
        if !tally.dry_run {
            self.metrics.change_refused(why.counted_as());
        }
        tally.refused_count += 1;
        tally.refused_lists.insert(list);
        if tally.refused.len() >= tally.refused_shown {
            return;
        }
        tally.refused.push(v1::RefusedRow {
            row,
            entry_id: id.chars().take(128).collect(),
            reason: why.to_string(),
            violations: why
                .violations()
                .iter()
                .map(|violation| v1::FieldViolation {
                    field: violation.field.clone(),
                    rule: violation.rule.clone(),
                })
                .collect(),
        });
    }

    /// The entries of the source on the list that are in force and not among the rows.
    fn absent(&self, header: &Header, seen: &FxHashSet<Box<str>>) -> Vec<Entry> {
        let Some(list) = &header.list else {
            return Vec::new();
        };
        let on_list = |body: &&[u8]| {
            StoredEntry::read(body)
                .is_ok_and(|stored| stored.list == list.as_str() && !seen.contains(stored.entry_id))
        };
        let now = self.now();
        let mut absent: Vec<Entry> = self
            .lists
            .bodies()
            .filter(on_list)
            .filter_map(|body| Entry::from_stored(body).ok())
            .filter(|entry| entry.source_unit.as_deref() == Some(header.source_unit.as_str()))
            .filter(|entry| life::end_absent(entry, now).is_some())
            .collect();
        absent.sort_by(|a, b| a.entry_id.cmp(&b.entry_id));
        absent
    }

    fn end_absent(
        &mut self,
        header: &Header,
        seen: &FxHashSet<Box<str>>,
        caller: &str,
    ) -> Result<u64, ChangeError> {
        let mut ended = 0;
        for run in self.absent(header, seen).chunks(RUN_ROWS) {
            let now = self.now();
            let planned: Vec<Planned> = run
                .iter()
                .filter_map(|entry| self.lists.entry(entry.entry_id.as_str()))
                .filter_map(|entry| life::end_absent(&entry, now))
                .map(|step| stated_put(&step, caller, ABSENT_FROM_SOURCE, ""))
                .collect();
            ended += planned.len() as u64;
            self.commit(planned, caller, now)?;
            self.serve_between();
        }
        Ok(ended)
    }

    /// Records the confirmations asked for, but none of a list whose rows were refused in part: the
    /// list here would pass for complete while a listed party is missing from it.
    fn confirm_lists(
        &mut self,
        header: &Header,
        tally: &mut Tally,
        caller: &str,
    ) -> Result<(), ChangeError> {
        let now = self.now();
        let unknown = tally.refused_lists.contains("") && header.list.is_none();
        let default = header
            .list
            .as_ref()
            .filter(|_| tally.refused_lists.contains(""));
        let mut asked: BTreeSet<ListCode> = header.confirm.iter().cloned().collect();
        if header.confirm_named {
            let named = tally.taken_lists.iter().filter(|list| !list.is_empty());
            asked.extend(named.map(|list| ListCode::new(list.as_str())));
            asked.extend(header.list.clone());
        }
        let (withheld, complete): (Vec<_>, Vec<_>) = asked.iter().partition(|list| {
            unknown || default == Some(list) || tally.refused_lists.contains(list.as_str())
        });
        let planned = complete
            .into_iter()
            .map(|list| {
                let source_unit = header.source_unit.clone();
                self.confirmation(list, header.confirmed_at, source_unit, now)
            })
            .collect::<Result<_, _>>()?;
        self.commit(planned, caller, now)?;
        tally.refused.extend(withheld.into_iter().map(|list| v1::RefusedRow {
            row: 0,
            entry_id: String::new(),
            reason: format!(
                "list `{list}` was not confirmed, since rows of it were refused; mend them, or confirm the list as it is by `Apply`"
            ),
            violations: Vec::new(),
        }));
        Ok(())
    }
}

/// What a row that its sender could not read leads to; none: it was read.
fn unreadable(why: &str) -> Option<Taken> {
    let told: String = why.chars().take(UNREADABLE_CHARS_MAX).collect();
    let violations: Vec<_> = told
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((field, rule)) if !field.contains(' ') => Violation::new(field, rule),
            _ => Violation::new("row", line),
        })
        .collect();
    let unreadable = |violations| Taken::Refused(ChangeError::Invalid(Refused { violations }));
    (!violations.is_empty()).then(|| unreadable(violations))
}
