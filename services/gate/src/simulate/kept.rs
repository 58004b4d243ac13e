//! The records of simulations: who asked what, why, and what came of it. A journal of their own.

use std::path::{Path, PathBuf};

use creditgate_proto::records::kind;
use creditgate_proto::v1;
use creditgate_runtime::journal::{AppendError, Journal, OpenError, Options, Position, ReadError};
use creditgate_runtime::sealed::{Sealer, purpose};
use parking_lot::Mutex;
use prost::Message;

/// One file holds some thousand simulations.
const SEGMENT_BYTES: u64 = 1 << 20;

/// See the module. The journal is opened with the first record that is written or looked for.
pub(crate) struct Kept {
    dir: PathBuf,
    sealer: Option<Sealer>,
    journal: Mutex<Option<Journal>>,
}

/// Why a record was not kept or found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("open the journal of simulations")]
    Open(#[from] OpenError),
    #[error("keep the record of a simulation")]
    Append(#[from] AppendError),
    #[error("read the journal of simulations")]
    Read(#[from] ReadError),
    #[error("read the record of a simulation")]
    Record(#[from] prost::DecodeError),
}

impl Kept {
    /// The records below a data directory, sealed or not as those of verdicts are.
    pub(crate) fn new(data_dir: &Path, verdicts: Option<&Sealer>) -> Self {
        Self {
            dir: data_dir.join("simulations"),
            sealer: verdicts.map(|sealer| sealer.sibling(purpose::SIMULATIONS)),
            journal: Mutex::default(),
        }
    }

    fn journal(&self) -> Result<Journal, OpenError> {
        let mut journal = self.journal.lock();
        if let Some(journal) = &*journal {
            return Ok(journal.clone());
        }
        let options = small_journal(SEGMENT_BYTES, self.sealer.clone());
        let (opened, _) = Journal::open(&self.dir, options)?;
        Ok(journal.insert(opened).clone())
    }

    /// Keeps a record. Blocks until it is durable.
    pub(crate) fn append(&self, record: &v1::SimulationRecord, now: i64) -> Result<(), Error> {
        let payload = record.encode_to_vec();
        self.journal()?
            .append_blocking(kind::SIMULATION, now, payload)?;
        Ok(())
    }

    /// The record with this id. Blocks.
    pub(crate) fn find(&self, id: &str) -> Result<Option<v1::SimulationRecord>, Error> {
        for record in self.journal()?.read_from(Position(0)) {
            let record = record?;
            if record.kind != kind::SIMULATION {
                continue;
            }
            let simulation = v1::SimulationRecord::decode(record.payload)?;
            if simulation.simulation_id == id {
                return Ok(Some(simulation));
            }
        }
        Ok(None)
    }

    /// Closes the journal, if it was opened.
    pub(crate) async fn close(&self) {
        let journal = self.journal.lock().take();
        if let Some(journal) = journal {
            // What was answered is durable, whatever the journal says now.
            let _ = journal.close().await;
        }
    }
}

/// How journals beside that of verdicts are written.
pub(crate) fn small_journal(segment_bytes: u64, sealer: Option<Sealer>) -> Options {
    Options {
        segment_bytes,
        preallocate: false,
        sealer,
        ..Options::default()
    }
}

#[cfg(test)]
mod tests {
    use creditgate_runtime::sealed::Keyring;

    use super::*;

    #[test]
    fn a_sealed_record_is_found_and_does_not_lie_in_clear() {
        const ID: &str = "simulation-PP9999";
        let dir = tempfile::tempdir().unwrap();
        let verdicts = Keyring::generate().sealer(purpose::VERDICTS);
        let kept = Kept::new(dir.path(), Some(&verdicts));
        let record = v1::SimulationRecord {
            simulation_id: ID.to_owned(),
            ..v1::SimulationRecord::default()
        };
        kept.append(&record, 1).unwrap();
        assert_eq!(kept.find(ID).unwrap(), Some(record));
        let file = format!("simulations/{:020}.log", 0);
        let bytes = std::fs::read(dir.path().join(file)).unwrap();
        let mut windows = bytes.windows(ID.len());
        assert!(!windows.any(|window| window == ID.as_bytes()));
    }
}
