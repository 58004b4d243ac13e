//! What check points say about journals, and whether the journals agree.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{CheckPoint, Kind, Last, Lines, LogHead, SeriesError, Wrong, unread};
use crate::errors::Chain;
use crate::journal::Head;
use crate::signing::PublicKeys;

/// What a file of check points says. The file is read anew for each journal that is held against it, in step with the
/// records: years of check points take no memory.
#[derive(Clone, Debug)]
pub struct Said {
    kind: Kind,
    path: PathBuf,
    /// How many there are.
    pub points: u64,
    /// The first one.
    pub first: Option<CheckPoint>,
    /// The last one.
    pub last: Option<CheckPoint>,
    /// The end of each journal, in the first check point that names it so.
    ends: BTreeMap<String, Claim>,
}

/// One journal, in one check point.
#[derive(Clone, Debug)]
struct Claim {
    number: u64,
    head: LogHead,
}

/// A journal beside what was said about it.
pub struct Compared<'a> {
    journal: &'a str,
    again: Again<'a>,
    /// What is said next.
    due: Option<Claim>,
    /// The last thing that is said.
    end: Option<&'a Claim>,
    log_id: [u8; 16],
    /// What is said of records before this one is passed over.
    from: u64,
    /// The last record that was held against a check point.
    agreed: u64,
}

/// The check points of a file once more. INVARIANT (the same): each follows the one before it and the last is the one that
/// was the last, so by their hashes all are those that were verified.
struct Again<'a> {
    kind: Kind,
    lines: Lines<'a>,
    before: Option<Last>,
    till: Option<Last>,
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
    /// The file of check points is not the one that was verified a moment ago.
    #[error("the check points changed while they were read: {0}; verify again, or verify a copy")]
    Unsteady(String),
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
        Self::read_with(kind, path, |point| point.verify(keys))
    }

    /// As [`Said::read`], without asking who signed: what the file says proves nothing by itself.
    ///
    /// # Errors
    /// As there.
    pub fn read_unsigned(kind: Kind, path: &Path) -> Result<Option<Self>, SeriesError> {
        Self::read_with(kind, path, |_| Ok(()))
    }

    fn read_with(
        kind: Kind,
        path: &Path,
        vouched: impl Fn(&CheckPoint) -> Result<(), Wrong>,
    ) -> Result<Option<Self>, SeriesError> {
        let Some(mut lines) = Lines::open(kind, path)? else {
            return Ok(None);
        };
        let mut said = Self {
            kind,
            path: path.to_owned(),
            points: 0,
            first: None,
            last: None,
            ends: BTreeMap::new(),
        };
        let mut last: Option<Last> = None;
        while let Some(point) = lines.next()? {
            placed(kind, &point, last.as_ref())
                .and_then(|()| vouched(&point))
                .map_err(|why| lines.wrong(why))?;
            for (name, head) in &point.heads {
                // What did not move is said already.
                if said.ends.get(name).is_none_or(|end| end.head != *head) {
                    let claim = Claim {
                        number: point.number,
                        head: head.clone(),
                    };
                    said.ends.insert(name.clone(), claim);
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
        self.ends.get(journal).map(|end| end.head.sequence)
    }

    /// The check point with this number. None: there is none.
    ///
    /// # Errors
    /// When the file changed since it was read.
    pub fn point(&self, number: u64) -> Result<Option<CheckPoint>, SeriesError> {
        self.find(|point| point.number == number)
    }

    /// The last check point that names a record of this journal before this one. None: all name later ones.
    ///
    /// # Errors
    /// When the file changed since it was read.
    pub fn before(&self, journal: &str, record: u64) -> Result<Option<CheckPoint>, SeriesError> {
        self.find(|point| {
            let head = point.heads.get(journal);
            head.is_some_and(|head| head.sequence < record)
        })
    }

    /// The last check point that is so.
    fn find(&self, is: impl Fn(&CheckPoint) -> bool) -> Result<Option<CheckPoint>, SeriesError> {
        let mut again = self.again()?;
        let mut found = None;
        // To the end: only there it shows that they are the same.
        while let Some(point) = again.next()? {
            if is(&point) {
                found = Some(point);
            }
        }
        Ok(found)
    }

    /// Begins to compare a journal: [`Compared::record`] is to see this head, and every one behind it.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn compare<'a>(
        &'a self,
        journal: &'a str,
        log_id: [u8; 16],
        from: &Head,
    ) -> Result<Compared<'a>, SeriesError> {
        Ok(Compared {
            journal,
            again: self.again()?,
            due: None,
            end: self.ends.get(journal),
            log_id,
            from: from.sequence,
            // Of what lies before it nothing was read.
            agreed: 0,
        })
    }

    fn again(&self) -> Result<Again<'_>, SeriesError> {
        let gone = || unread(&self.path, io::ErrorKind::NotFound.into());
        Ok(Again {
            kind: self.kind,
            lines: Lines::open(self.kind, &self.path)?.ok_or_else(gone)?,
            before: None,
            till: self.last.as_ref().map(Last::of),
        })
    }
}

/// Whether a check point may stand behind another one; the first of an anchor stands anywhere.
fn placed(kind: Kind, point: &CheckPoint, last: Option<&Last>) -> Result<(), Wrong> {
    match kind == Kind::Anchor && last.is_none() {
        true => Ok(()),
        false => point.follows(last),
    }
}

impl Again<'_> {
    /// The next one; none behind the one that was the last.
    fn next(&mut self) -> Result<Option<CheckPoint>, SeriesError> {
        if self.before == self.till {
            return Ok(None);
        }
        let lines = &mut self.lines;
        let Some(point) = lines.next()? else {
            return Err(lines.wrong(Wrong::Unsteady));
        };
        let here = Last::of(&point);
        let same = self
            .till
            .as_ref()
            .is_some_and(|till| here.number < till.number || here == *till);
        placed(self.kind, &point, self.before.as_ref())
            .and(if same { Ok(()) } else { Err(Wrong::Unsteady) })
            .map_err(|why| lines.wrong(why))?;
        self.before = Some(here);
        Ok(Some(point))
    }
}

impl Compared<'_> {
    /// The head after the next record.
    ///
    /// # Errors
    /// When a check point says otherwise.
    pub fn record(&mut self, head: &Head) -> Result<(), Mismatch> {
        while let Some(claim) = self.due()? {
            if claim.head.log_id != self.log_id {
                return Err(Mismatch::Other {
                    number: claim.number,
                });
            }
            // One of an empty journal says no more than its name.
            if claim.head.sequence > head.sequence {
                self.due = Some(claim);
                return Ok(());
            }
            if claim.head.sequence == 0 || claim.head.sequence < self.from {
                continue;
            }
            if claim.head != LogHead::of(self.log_id, head) {
                return Err(Mismatch::Rewritten {
                    number: claim.number,
                    sequence: claim.head.sequence,
                    agreed: self.agreed,
                });
            }
            self.agreed = claim.head.sequence;
        }
        Ok(())
    }

    /// The journal ends here.
    ///
    /// # Errors
    /// When a check point names what comes later.
    pub fn end(mut self, head: &Head) -> Result<(), Mismatch> {
        self.record(head)?;
        match (self.due.is_some(), self.end) {
            (true, Some(claim)) => Err(Mismatch::CutOff {
                number: claim.number,
                sequence: claim.head.sequence,
                end: head.sequence,
            }),
            _ => Ok(()),
        }
    }

    /// What is said next, taken out.
    fn due(&mut self) -> Result<Option<Claim>, Mismatch> {
        if let Some(claim) = self.due.take() {
            return Ok(Some(claim));
        }
        loop {
            let point = self.again.next();
            let Some(point) =
                point.map_err(|error| Mismatch::Unsteady(Chain(&error).to_string()))?
            else {
                return Ok(None);
            };
            if let Some(head) = point.heads.get(self.journal) {
                return Ok(Some(Claim {
                    number: point.number,
                    head: head.clone(),
                }));
            }
        }
    }
}
