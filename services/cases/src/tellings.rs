//! The log of the cases for whoever keeps the lists: what cases tell of their reports.
//!
//! Embedded it is the journal; on Kafka the topic, since the process that keeps the lists need not be the
//! one that keeps the cases, and need not keep any.

use std::time::Duration;

use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{CaseRecord, CasesRead, ListsTold};
use creditgate_runtime::journal::{Journal, Position};
use creditgate_runtime::kafka::{self, Cluster, Incoming, Read, Reader, Topic};
use creditgate_runtime::ports::{NotFound, Telling, Tellings, TellingsRead};
use prost::Message as _;

use crate::cases::Cases;
use crate::log::number_of;

/// The one partition of the topic.
const PARTITION: i32 = 0;
/// For how long a reading waits for something to come.
const WAIT: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug, Clone)]
pub struct CaseLog(Where);

#[derive(Debug, Clone)]
enum Where {
    Journal(Journal),
    Topic(Cluster),
}

impl CaseLog {
    /// The journal of an embedded service.
    #[must_use]
    pub fn of(cases: &Cases) -> Self {
        Self(Where::Journal(cases.journal().clone()))
    }

    /// The topic, whoever writes it.
    #[must_use]
    pub const fn on(cluster: Cluster) -> Self {
        Self(Where::Topic(cluster))
    }
}

impl Tellings for CaseLog {
    fn follow(&self, after: Option<&CasesRead>) -> Result<Box<dyn TellingsRead>, NotFound> {
        Ok(match &self.0 {
            Where::Journal(journal) => {
                let log = journal.log_id();
                let after = after.filter(|after| after.log == log);
                let head = journal.head().sequence;
                let lost = after.filter(|after| after.place > head);
                if let Some(lost) = lost {
                    // What was taken in is known; what stands there now is not.
                    tracing::warn!(
                        read = lost.place,
                        head,
                        "the journal of cases has lost its end: it is read from its beginning"
                    );
                }
                let after = after.filter(|_| lost.is_none());
                Box::new(OfJournal {
                    read: after.cloned().unwrap_or_else(|| CasesRead {
                        log: log.to_vec(),
                        ..CasesRead::default()
                    }),
                    journal: journal.clone(),
                })
            }
            Where::Topic(cluster) => {
                let after = after.filter(|after| after.log.is_empty());
                Box::new(OfTopic::open(cluster, after)?)
            }
        })
    }
}

/// Reading of the journal.
struct OfJournal {
    journal: Journal,
    read: CasesRead,
}

impl TellingsRead for OfJournal {
    fn next(&mut self, most: usize) -> Result<Vec<Telling>, NotFound> {
        if self.journal.head().sequence <= self.read.place {
            std::thread::sleep(WAIT);
            return Ok(Vec::new());
        }
        let mut tellings = Vec::new();
        for record in self.journal.read_from(Position(self.read.position)) {
            let record = record?;
            if record.sequence <= self.read.place {
                continue;
            }
            if tellings.len() >= most {
                break;
            }
            self.read.place = record.sequence;
            self.read.position = record.position.0;
            tellings.push(Telling {
                place: self.read.clone(),
                told: told(&record.payload, record.sequence),
            });
        }
        Ok(tellings)
    }
}

/// Reading of the topic. Offsets are only addresses: they are others once the topic was restored from a copy,
/// so the place is the number of a record, and reading begins with the very one that was read last.
struct OfTopic {
    cluster: Cluster,
    reader: Reader,
    /// Number of the record that must come first.
    last: Option<u64>,
}

impl OfTopic {
    fn open(cluster: &Cluster, after: Option<&CasesRead>) -> Result<Self, kafka::Error> {
        let offset = after.and_then(|after| i64::try_from(after.position).ok());
        Ok(Self {
            cluster: cluster.clone(),
            reader: Reader::open(cluster, Topic::CaseLog, &[(PARTITION, offset)])?,
            last: after.map(|after| after.place),
        })
    }

    /// Everything is read again, and what was taken in is known.
    fn begin_again(&mut self) -> Result<(), kafka::Error> {
        tracing::warn!(
            "the topic of the cases is not the one that was read before: it is read from its beginning"
        );
        *self = Self::open(&self.cluster.clone(), None)?;
        Ok(())
    }

    fn take(&mut self, record: &Incoming) -> Result<Option<Telling>, NotFound> {
        let number = number_of(record);
        if let Some(last) = self.last.take() {
            if number != Some(last) {
                self.begin_again()?;
            }
            return Ok(None);
        }
        let number = number.ok_or("a record of the topic of the cases has no number")?;
        Ok(Some(Telling {
            place: CasesRead {
                log: Vec::new(),
                place: number,
                position: record.offset.cast_unsigned(),
            },
            told: told(record.payload.as_deref().unwrap_or_default(), number),
        }))
    }
}

impl TellingsRead for OfTopic {
    fn next(&mut self, most: usize) -> Result<Vec<Telling>, NotFound> {
        let mut tellings: Vec<Telling> = Vec::new();
        while tellings.len() < most {
            let wait = match tellings.is_empty() {
                true => WAIT,
                false => Duration::ZERO,
            };
            match self.reader.next(wait) {
                Ok(Read::Record(record)) => tellings.extend(self.take(&record)?),
                Ok(Read::End(_) | Read::Nothing) => break,
                Err(kafka::Error::Gone { .. }) => {
                    self.last = None;
                    self.begin_again()?;
                }
                // What came before is taken in first; the error is met again.
                Err(error) if tellings.is_empty() => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(tellings)
    }
}

/// What a record tells the lists.
fn told(payload: &[u8], place: u64) -> Option<ListsTold> {
    match CaseRecord::decode(payload) {
        Ok(record) => match record.what {
            Some(What::ListsTold(told)) => Some(told),
            _ => None,
        },
        Err(error) => {
            tracing::error!(place, %error, "a record of the cases cannot be read, and the lists are told nothing of it");
            None
        }
    }
}
