//! Where the log of the cases is a topic: verdicts are named there before they are taken in, and taken
//! in by their names.

use std::collections::{BTreeMap, HashMap};

use creditgate_measures::verdict::VerdictId;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{CaseRecord, VerdictRecord, VerdictsTaken};
use creditgate_proto::records::kind;
use creditgate_proto::{AnswerDigest, verdict_id_from_text};
use creditgate_runtime::journal::{Position, Record};
use prost::Message as _;
use uuid::Uuid;

use super::own::OwnRecords;
use super::work::Work;
use super::{BATCH, Keeper};
use crate::error::Error;
use crate::table::Mark;

/// A verdict as the log names it: its slot, and which answer of it. Records of earlier versions name the slot
/// alone, which means its first answer.
pub(super) type Name = (VerdictId, Option<AnswerDigest>);

/// Verdicts that were named a moment ago, with their records.
pub(crate) type Fresh = HashMap<Name, Record>;

fn names(taken: &VerdictsTaken) -> impl Iterator<Item = Name> + '_ {
    let mut answers = taken.answers.iter().copied().map(AnswerDigest);
    taken.verdict_ids.iter().map(move |id| {
        let id = VerdictId(Uuid::from_slice(id).unwrap_or_default());
        (id, answers.next())
    })
}

impl Keeper {
    /// Takes in the records of the copy; where there are no more and this process leads, names what the
    /// gate has recorded besides. Gives whether there may be more.
    pub(super) fn take_in_copy(&mut self) -> Result<bool, Error> {
        let mark = self.table.mark();
        // Behind those that stood there already there may be verdicts that are not named yet.
        let mut more = self.log.journal.head().sequence > mark.cases;
        if !more && !self.name_verdicts(mark)? {
            return Ok(false);
        }
        let last = self.log.journal.head().sequence;
        let mut own = OwnRecords::after(&self.log.journal, mark);
        let terms = self.shared.terms(&self.live);
        let mut next = mark;
        let mut work = Work::on(&self.table, &terms)?;
        let mut fresh = std::mem::take(&mut self.fresh);
        while let Some(one) = own.take()? {
            let found = match self.verdicts_of(&one.record, &mut fresh) {
                // What stands before it is taken in already; it is tried again by itself.
                Err(error) if error.is_to_come() && next != mark => break,
                found => found?,
            };
            for record in &found {
                work.verdict(record, mark.scanned)?;
                let place = (record.sequence, record.position.0);
                work.taken.numbers.push(place);
            }
            if !matches!(one.record.what, Some(What::Taken(_))) {
                work.record(one.position, &one.record)?;
            }
            (next.cases, next.cases_at) = (one.sequence, one.position);
            if work.taken.numbers.len() >= BATCH || own.is_full() || work.taken.ends_here() {
                break;
            }
        }
        let taken = work.end();
        more |= taken.numbers.len() >= BATCH || next.cases < last;
        self.store(taken, next, &terms)?;
        Ok(more)
    }

    /// The verdicts that a record of the log names, all of them.
    fn verdicts_of(&self, record: &CaseRecord, fresh: &mut Fresh) -> Result<Vec<Record>, Error> {
        match &record.what {
            Some(What::Taken(taken)) => {
                let known = |name| match fresh.remove(&name) {
                    Some(record) => Ok(record),
                    None => self.named(name),
                };
                names(taken).map(known).collect()
            }
            // Which of these changes concern a verdict that comes behind, the lists here must be able to say.
            Some(What::Reviewed(reviewed)) => {
                let here = self.live.load().lists.version().seq;
                match reviewed.list_seq <= here {
                    true => Ok(Vec::new()),
                    false => Err(Error::ListsBehind(reviewed.list_seq)),
                }
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Writes down which verdicts are taken in next: those of the gate that were not named yet.
    fn name_verdicts(&mut self, mark: Mark) -> Result<bool, Error> {
        if !self.log.leads() {
            return Ok(false);
        }
        self.fresh.clear();
        let mut taken = VerdictsTaken::default();
        let records = self.reviews.verdicts();
        for record in records.read_from(Position(mark.verdicts_at)) {
            let record = record?;
            let known =
                record.sequence <= mark.verdicts || self.ahead.contains_key(&record.sequence);
            if known || record.kind != kind::VERDICT {
                continue;
            }
            let verdict = VerdictRecord::decode(&*record.payload)?.verdict;
            let Some(verdict) = verdict else { continue };
            let Some(id) = verdict_id_from_text(&verdict.verdict_id) else {
                continue;
            };
            let answer = AnswerDigest::of(&verdict);
            taken.verdict_ids.push(id.0.into_bytes().to_vec());
            taken.answers.push(answer.0);
            self.fresh.insert((id, Some(answer)), record);
            if taken.verdict_ids.len() >= BATCH {
                break;
            }
        }
        if taken.verdict_ids.is_empty() {
            return Ok(false);
        }
        let record = CaseRecord {
            recorded_at: Some(time_to_proto(self.now())),
            what: Some(What::Taken(taken)),
            ..CaseRecord::default()
        };
        self.log.write(&[record], Vec::new())?;
        Ok(true)
    }

    /// The record of a verdict that the log names: the gate has it, or will have it soon.
    fn named(&self, (id, answer): Name) -> Result<Record, Error> {
        let found = match answer {
            Some(answer) => self.reviews.recorded_answer(id, answer),
            None => self.reviews.recorded(id),
        };
        let position = self.runtime.block_on(found).map_err(Error::NotFound)?;
        let position = position.ok_or(Error::NotHereYet(id))?;
        Ok(self.reviews.verdicts().read_at(position)?)
    }
}

/// The mark with verdicts that were taken in by their names, and those of them that stand in the gate's
/// journal behind others that were not. `ahead` are those known before; up to the new mark they are needed
/// no more.
pub(super) fn numbered(
    mut mark: Mark,
    ahead: &BTreeMap<u64, u64>,
    numbers: Vec<(u64, u64)>,
) -> (Mark, BTreeMap<u64, u64>) {
    let later = numbers.into_iter().filter(|(one, _)| *one > mark.verdicts);
    let mut new: BTreeMap<u64, u64> = later.collect();
    loop {
        let due = mark.verdicts + 1;
        match new.remove(&due).or_else(|| ahead.get(&due).copied()) {
            Some(position) => (mark.verdicts, mark.verdicts_at) = (due, position),
            None => return (mark, new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_earlier_version_names_slots_and_a_new_one_their_answers() {
        let ids = [1, 2].map(Uuid::from_u128);
        let mut taken = VerdictsTaken {
            verdict_ids: ids.map(|id| id.into_bytes().to_vec()).into(),
            answers: Vec::new(),
        };
        let [first, second] = ids.map(VerdictId);
        let named: Vec<Name> = names(&taken).collect();
        assert_eq!(named, [(first, None), (second, None)]);
        taken.answers = vec![7, 8];
        let named: Vec<Name> = names(&taken).collect();
        let answers = [7, 8].map(|answer| Some(AnswerDigest(answer)));
        assert_eq!(named, [(first, answers[0]), (second, answers[1])]);
    }

    #[test]
    fn what_is_taken_in_out_of_turn_is_remembered_until_its_turn_has_come() {
        let (mark, new) = numbered(Mark::default(), &BTreeMap::new(), vec![(1, 10), (2, 20)]);
        assert_eq!((mark.verdicts, mark.verdicts_at), (2, 20));
        assert!(new.is_empty());
        // Another process took them in in another order.
        let (mark, ahead) = numbered(mark, &BTreeMap::new(), vec![(5, 50), (4, 40)]);
        assert_eq!((mark.verdicts, mark.verdicts_at), (2, 20));
        assert_eq!(ahead, BTreeMap::from([(4, 40), (5, 50)]));
        // One that was taken in before, one that is out of turn too, and the one that was missing.
        let (mark, new) = numbered(mark, &ahead, vec![(1, 10), (7, 70), (3, 30)]);
        assert_eq!((mark.verdicts, mark.verdicts_at), (5, 50));
        assert_eq!(new, BTreeMap::from([(7, 70)]));
    }
}
