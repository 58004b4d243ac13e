//! The records of the cases' own log that are not taken in, read one by one as they are asked for.

use creditgate_proto::journal::v1::CaseRecord;
use creditgate_runtime::journal::{Journal, Position, Reader};

use super::BATCH;
use crate::error::Error;
use crate::table::Mark;

/// A record of the journal of cases, with its place.
pub(super) struct Own {
    pub sequence: u64,
    pub position: u64,
    pub record: CaseRecord,
}

/// See the module.
pub(super) struct OwnRecords {
    /// None: there is nothing to be read.
    records: Option<Reader>,
    /// Number of the last one that was taken in before.
    after: u64,
    /// Read, and not taken.
    next: Option<Own>,
    taken: usize,
}

impl OwnRecords {
    /// Those behind the mark.
    pub fn after(journal: &Journal, mark: Mark) -> Self {
        let new = journal.head().sequence > mark.cases;
        Self {
            records: new.then(|| journal.read_from(Position(mark.cases_at))),
            after: mark.cases,
            next: None,
            taken: 0,
        }
    }

    /// The next one, which stays.
    pub fn peek(&mut self) -> Result<Option<&Own>, Error> {
        if self.next.is_none() {
            self.next = self.read()?;
        }
        Ok(self.next.as_ref())
    }

    /// The next one.
    pub fn take(&mut self) -> Result<Option<Own>, Error> {
        self.peek()?;
        let next = self.next.take();
        self.taken += usize::from(next.is_some());
        Ok(next)
    }

    /// Whether as many were taken as one transaction takes.
    pub const fn is_full(&self) -> bool {
        self.taken >= BATCH
    }

    fn read(&mut self) -> Result<Option<Own>, Error> {
        let records = self.records.iter_mut().flatten();
        for record in records {
            let record = record?;
            if record.sequence > self.after {
                return Ok(Some(Own {
                    sequence: record.sequence,
                    position: record.position.0,
                    record: prost::Message::decode(record.payload)?,
                }));
            }
        }
        Ok(None)
    }
}
