//! The keys of the sealed records that a package shows: each opens one record. None is handed out for the records in
//! between, which are of others.

use std::collections::BTreeMap;

use creditgate_runtime::journal::{Journal, Record};
use creditgate_runtime::sealed::RecordKey;
use serde::{Deserialize, Serialize};

use super::parts::Fault;
use super::{Files, RECORD_KEYS};
use crate::failure::Failure;

/// Keys by the file and the number of their record.
#[derive(Debug, Default)]
pub struct RecordKeys(BTreeMap<(String, u64), RecordKey>);

/// A key as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    file: String,
    sequence: u64,
    key: String,
}

impl RecordKeys {
    /// Adds the keys of records that go into a file; those in clear have none.
    pub fn hand_out(
        &mut self,
        file: &str,
        journal: &Journal,
        records: &[Record],
    ) -> Result<(), Failure> {
        for record in records {
            let key = journal
                .key_of(record)
                .map_err(|error| Failure::new("take the key of a record", error))?;
            if let Some(key) = key {
                self.0.insert((file.to_owned(), record.sequence), key);
            }
        }
        Ok(())
    }

    /// As the file holds it; none where no record is sealed.
    pub fn to_json(&self) -> Result<Option<Vec<u8>>, Failure> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let written: Vec<Written> = self
            .0
            .iter()
            .map(|((file, sequence), key)| Written {
                file: file.clone(),
                sequence: *sequence,
                key: key.to_base64(),
            })
            .collect();
        let mut json = serde_json::to_vec_pretty(&written)
            .map_err(|error| Failure::new("write the keys of records", error))?;
        json.push(b'\n');
        Ok(Some(json))
    }

    /// Reads the file; without one there are none.
    ///
    /// # Errors
    /// When it is not what [`RecordKeys::to_json`] writes.
    pub fn read(files: &Files) -> Result<Self, Fault> {
        let Some(json) = files.get(RECORD_KEYS) else {
            return Ok(Self::default());
        };
        let fault = |why: &str| Fault::new(RECORD_KEYS, why);
        // What serde says could show a key.
        let written: Vec<Written> =
            serde_json::from_slice(json).map_err(|_| fault("it is no list of keys"))?;
        if written.is_empty() {
            return Err(fault("it has no key"));
        }
        let mut keys = BTreeMap::new();
        for Written {
            file,
            sequence,
            key,
        } in written
        {
            let key = RecordKey::from_base64(&key).map_err(|error| fault(&error.to_string()))?;
            if keys.insert((file, sequence), key).is_some() {
                return Err(fault("it has two keys of one record"));
            }
        }
        Ok(Self(keys))
    }

    /// Opens a record of a file, where it is sealed.
    ///
    /// # Errors
    /// When its key is not here, or does not open it.
    pub fn open(&mut self, file: &'static str, record: Record) -> Result<Record, Fault> {
        if !record.is_closed() {
            return Ok(record);
        }
        let number = record.sequence;
        let key = self.0.remove(&(file.to_owned(), number)).ok_or_else(|| {
            let why = format!("the key of record {number} in {file} is missing, which is sealed");
            Fault::new(RECORD_KEYS, why)
        })?;
        record
            .opened_by(&key)
            .map_err(|why| Fault::new(RECORD_KEYS, format!("record {number} in {file}: {why}")))
    }

    /// That no key is here of a record that is not shown.
    ///
    /// # Errors
    /// When there is one.
    pub fn are_all_used(&self) -> Result<(), Fault> {
        match self.0.keys().next() {
            None => Ok(()),
            Some((_, number)) => Err(Fault::new(
                RECORD_KEYS,
                format!("it has a key for record {number}, which is not sealed or not shown"),
            )),
        }
    }
}
