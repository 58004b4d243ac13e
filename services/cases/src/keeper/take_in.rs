//! Takes in what is recorded, in its order.

use std::collections::BTreeMap;

use creditgate_runtime::journal::Position;
use creditgate_runtime::ports::Change as ListChange;

use super::copy::numbered;
use super::own::OwnRecords;
use super::work::{Behind, TakenIn, Work};
use super::{BATCH, Keeper, SCANNED, cause_of, slim};
use crate::deliveries;
use crate::error::Error;
use crate::log::Happened;
use crate::rows;
use crate::table::{Due, Mark};
use crate::terms::BookTerms;

impl Keeper {
    /// Takes in what is recorded, in its order: verdicts, and the cases' own records where they stand.
    /// Gives whether there may be more.
    pub(super) fn take_in(&mut self) -> Result<bool, Error> {
        match self.log.topic {
            None => self.take_in_journals(),
            Some(_) => self.take_in_copy(),
        }
    }

    fn take_in_journals(&mut self) -> Result<bool, Error> {
        let mark = self.table.mark();
        let terms = self.shared.terms(&self.live);
        let mut own = OwnRecords::after(&self.log.journal, mark);
        let mut next = mark;
        let mut work = Work::on(&self.table, &terms)?;
        work.records_due(&mut own, &mut next)?;
        let mut more = own.is_full() || work.taken.ends_here();
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
            if taken >= BATCH as u64 || more {
                more = true;
                break;
            }
            work.verdict(&record, mark.scanned)?;
            (next.verdicts, next.verdicts_at) = (record.sequence, record.position.0);
            work.records_due(&mut own, &mut next)?;
            more |= own.is_full() || work.taken.ends_here();
        }
        if next == mark {
            return Ok(false);
        }
        let taken = work.end();
        self.store(taken, next, &terms)?;
        Ok(more)
    }

    /// Takes in whatever is recorded by now; what comes meanwhile waits.
    pub(super) fn take_in_all(&mut self) -> Result<(), Error> {
        let verdicts = self.reviews.verdicts().head().sequence;
        while !self.shared.stop.is_cancelled() {
            let more = self.take_in()?;
            let own = self.log.journal.head().sequence > self.table.mark().cases;
            if !own && (!more || self.table.mark().verdicts >= verdicts) {
                break;
            }
        }
        Ok(())
    }

    /// Writes what was taken in, with the reviews that it shows to be needed, and records what follows
    /// from it by itself.
    pub(super) fn store(
        &mut self,
        taken: TakenIn,
        mark: Mark,
        terms: &BookTerms,
    ) -> Result<(), Error> {
        let TakenIn {
            held,
            behind,
            requested,
            numbers,
            reports_read,
            differing,
            reviewed,
            position,
            outbox,
            deliveries,
        } = taken;
        let due = self.missed(&behind)?;
        let (now, before) = (self.now(), self.table.mark());
        let (mut mark, new) = numbered(mark, &self.ahead, numbers);
        mark.scanned = mark.scanned.max(reviewed.unwrap_or_default());
        mark.taken = position;
        self.table.write(mark, |change| {
            for (case_id, held) in &held {
                let row = rows::row(&held.state, terms);
                let known = held.id.map(|id| (id, &held.before));
                let id = change.put(known, &row)?;
                let missed = due.get(case_id).into_iter().flatten();
                let others = differing.iter().filter(|(of, _)| of == case_id);
                let missed = missed.chain(others.map(|(_, due)| due));
                let due: Vec<Due> = missed
                    .map(|due| Due {
                        case: id,
                        ..due.clone()
                    })
                    .collect();
                change.wait(&due)?;
                if differing.iter().any(|(of, _)| of == case_id) {
                    change.differs(id)?;
                }
            }
            for (asked, at) in &requested {
                let cause = format!("book:{}", asked.book_version);
                change.wait_for_all(asked.list_seq, at.micros(), &cause)?;
            }
            for read in &reports_read {
                change.read_reports(read.partition, read.offset)?;
            }
            if let Some(list_seq) = reviewed {
                change.reviewed(list_seq)?;
            }
            outbox.iter().try_for_each(|item| item.write(change))?;
            for (place, record) in &deliveries {
                deliveries::noted(change, *place, record)?;
            }
            change.ahead(mark.verdicts, &new)
        })?;
        self.shared.metrics.set_cases_taken_in(mark.cases);
        self.shared.outbox.send_replace(mark.taken);
        self.ahead.extend(new);
        while let Some(known) = self.ahead.first_entry()
            && *known.key() <= mark.verdicts
        {
            known.remove();
        }
        if mark.scanned > before.scanned {
            // Between these and the changes to come some were looked through by another process.
            self.recent.clear();
        }
        if !due.is_empty() || !requested.is_empty() || !differing.is_empty() {
            self.noted = None;
            self.shared.due.notify_one();
        }
        if !self.log.leads() {
            // Whoever leads records what follows.
            return Ok(());
        }
        // In the middle of what was recorded it is not known yet what was done about it; what is owed at
        // the end, the rows tell (`by_time`).
        if mark.cases != self.log.journal.head().sequence {
            return Ok(());
        }
        let mut owed = Happened::default();
        for held in held.into_values() {
            self.owe(&held.state, now, terms, &mut owed)?;
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
}
