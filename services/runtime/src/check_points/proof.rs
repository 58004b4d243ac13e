//! What check points say about journals, and whether the journals agree.

use std::collections::BTreeMap;
use std::path::Path;

use super::{CheckPoint, Kind, Last, Lines, LogHead, SeriesError};
use crate::journal::Head;
use crate::signing::PublicKeys;

/// What a file of check points says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// How many there are.
    pub points: u64,
    /// The first one.
    pub first: Option<CheckPoint>,
    /// The last one.
    pub last: Option<CheckPoint>,
    /// Of each journal, in order.
    journals: BTreeMap<String, Vec<Claim>>,
}

/// One journal, in one check point.
#[derive(Clone, Debug)]
struct Claim {
    number: u64,
    head: LogHead,
}

/// A journal beside what was said about it.
#[derive(Clone, Debug)]
pub struct Compared<'a> {
    claims: &'a [Claim],
    log_id: [u8; 16],
    /// The last record that was held against a check point.
    agreed: u64,
}

/// A journal that is not what a check point says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is another one.
    #[error("check point {number} is about another journal that had this name: it was begun anew")]
    Other {
        /// The check point.
        number: u64,
    },
    /// It holds something else.
    #[error(
        "record {sequence} is not what check point {number} names: from one of the records {} to {sequence} on it was written \
         anew with all hashes",
        agreed + 1
    )]
    Rewritten {
        /// The check point.
        number: u64,
        /// The last record it names.
        sequence: u64,
        /// The last record before it that is what a check point names.
        agreed: u64,
    },
    /// It ends before that.
    #[error(
        "it ends at record {end}, but check point {number} names record {sequence}: {} records were cut off, or this is an \
         older copy, or one that was made before that check point: copy the anchor first, then the check points, then the rest",
        sequence - end
    )]
    CutOff {
        /// The check point.
        number: u64,
        /// The last record it names.
        sequence: u64,
        /// The last record there is.
        end: u64,
    },
}

/// The first check point of a file that names this record of a journal, or a later one. None: none does, or there is no
/// file. Who signed it is not looked at: [`CheckPoint::verify`] does.
///
/// # Errors
/// When the file cannot be read, or a line up to there is none.
pub fn covering(
    kind: Kind,
    path: &Path,
    journal: &str,
    log_id: [u8; 16],
    sequence: u64,
) -> Result<Option<CheckPoint>, SeriesError> {
    let Some(mut lines) = Lines::open(kind, path)? else {
        return Ok(None);
    };
    while let Some(point) = lines.next()? {
        let said = point.heads.get(journal);
        if said.is_some_and(|said| said.log_id == log_id && said.sequence >= sequence) {
            return Ok(Some(point));
        }
    }
    Ok(None)
}

impl Said {
    /// Reads a file of check points, each signed by one of these keys and following the one before it. An anchor may
    /// begin with any number; what the service keeps begins with 1. None: there is no file.
    ///
    /// # Errors
    /// When it cannot be read, or a line does not belong there.
    pub fn read(kind: Kind, path: &Path, keys: &PublicKeys) -> Result<Option<Self>, SeriesError> {
        let Some(mut lines) = Lines::open(kind, path)? else {
            return Ok(None);
        };
        let mut said = Self::default();
        let mut last: Option<Last> = None;
        while let Some(point) = lines.next()? {
            let begins_elsewhere = kind == Kind::Anchor && last.is_none();
            let placed = match begins_elsewhere {
                true => Ok(()),
                false => point.follows(last.as_ref()),
            };
            placed
                .and_then(|()| point.verify(keys))
                .map_err(|why| lines.wrong(why))?;
            for (name, head) in &point.heads {
                let claims = said.journals.entry(name.clone()).or_default();
                // What did not move is said already.
                if claims.last().is_none_or(|claim| claim.head != *head) {
                    claims.push(Claim {
                        number: point.number,
                        head: head.clone(),
                    });
                }
            }
            last = Some(Last::of(&point));
            said.points += 1;
            said.first.get_or_insert_with(|| point.clone());
            said.last = Some(point);
        }
        Ok(Some(said))
    }

    /// How far a journal is spoken of: its last record named. None: it is not.
    #[must_use]
    pub fn reaches(&self, journal: &str) -> Option<u64> {
        let last = self.journals.get(journal)?.last()?;
        Some(last.head.sequence)
    }

    /// Begins to compare a journal: [`Compared::record`] is to see every head it ever had, from its first record on.
    #[must_use]
    pub fn compare(&self, journal: &str, log_id: [u8; 16]) -> Compared<'_> {
        Compared {
            claims: self.journals.get(journal).map_or(&[], Vec::as_slice),
            log_id,
            agreed: 0,
        }
    }
}

impl Compared<'_> {
    /// The head after the next record.
    ///
    /// # Errors
    /// When a check point says otherwise.
    pub fn record(&mut self, head: &Head) -> Result<(), Mismatch> {
        while let Some((claim, later)) = self.claims.split_first() {
            if claim.head.log_id != self.log_id {
                return Err(Mismatch::Other {
                    number: claim.number,
                });
            }
            // One of an empty journal says no more than its name.
            if claim.head.sequence > head.sequence {
                return Ok(());
            }
            if claim.head.sequence > 0 && claim.head != LogHead::of(self.log_id, head) {
                return Err(Mismatch::Rewritten {
                    number: claim.number,
                    sequence: claim.head.sequence,
                    agreed: self.agreed,
                });
            }
            self.agreed = claim.head.sequence;
            self.claims = later;
        }
        Ok(())
    }

    /// The journal ends here.
    ///
    /// # Errors
    /// When a check point names what comes later.
    pub fn end(mut self, head: &Head) -> Result<(), Mismatch> {
        self.record(head)?;
        match self.claims.last() {
            None => Ok(()),
            Some(claim) => Err(Mismatch::CutOff {
                number: claim.number,
                sequence: claim.head.sequence,
                end: head.sequence,
            }),
        }
    }
}
