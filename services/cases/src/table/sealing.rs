//! How values about people stand in the tables: sealed where they are only read, as keyed hashes where they are
//! looked for. Without a sealer they stand as they are.
//!
//! Sealed: the states of cases, messages of the outbox, what defines a delivery, who put it, and why something was
//! paused or put aside. Hashed: keys of subjects, ids of entries and of reports. In clear stay what is sorted or
//! counted by, and names nobody: numbers of cases (办件号), which callers choose, scenarios, regions, measures,
//! departments, days, amounts, states, ids of verdicts and orders.

use std::borrow::Cow;
use std::fmt::Display;

use creditgate_measures::identifier::Key;
use creditgate_runtime::sealed::Sealer;
use rusqlite::types::Type;
use rusqlite::{Connection, params};

/// Bytes of a keyed hash in the place of an id.
const HASH_BYTES: usize = 16;

/// What a file of tables says of its key; one row.
pub(super) const SCHEMA: &str = "
CREATE TABLE sealing (key INTEGER, proof BLOB NOT NULL);
";

/// How a file stands to the key at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fits {
    /// It can be read and written.
    Yes,
    /// It was made in clear, or under another number of the key: it is made anew.
    Anew,
    /// It was made with another key of the same number: somebody put the wrong keyring in place.
    No,
}

/// Seals what goes into the tables and opens what comes out; does nothing without a sealer. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Seal(Option<Sealer>);

impl Seal {
    pub(crate) const fn new(sealer: Option<Sealer>) -> Self {
        Self(sealer)
    }

    /// The bytes as a row of a table keeps them. Nothing stays nothing.
    pub(crate) fn close<'a>(
        &self,
        table: &str,
        row: impl Display,
        plain: &'a [u8],
    ) -> Cow<'a, [u8]> {
        match &self.0 {
            Some(sealer) if !plain.is_empty() => {
                Cow::Owned(sealer.seal(&context(table, row), plain))
            }
            _ => Cow::Borrowed(plain),
        }
    }

    /// What [`Seal::close`] was given.
    ///
    /// # Errors
    /// When the bytes were not sealed for this row with a key at hand.
    pub(crate) fn open(
        &self,
        table: &str,
        row: impl Display,
        stored: Vec<u8>,
    ) -> rusqlite::Result<Vec<u8>> {
        match &self.0 {
            Some(sealer) if !stored.is_empty() => sealer
                .open(&context(table, row), &stored)
                .map_err(|error| unreadable(Box::new(error))),
            _ => Ok(stored),
        }
    }

    /// As [`Seal::open`], of a text.
    ///
    /// # Errors
    /// As [`Seal::open`], or when it is none.
    pub(crate) fn open_text(
        &self,
        table: &str,
        row: impl Display,
        stored: Vec<u8>,
    ) -> rusqlite::Result<String> {
        let plain = self.open(table, row, stored)?;
        String::from_utf8(plain).map_err(|error| unreadable(Box::new(error.utf8_error())))
    }

    /// The key of a subject as the tables hold it: the hash of an identifier can be reversed by trying all
    /// identifiers, a keyed one only by whoever has the key.
    pub(crate) fn key(&self, key: Key) -> i64 {
        let Some(sealer) = &self.0 else {
            return key.0.cast_signed();
        };
        let mut value = *b"subject\0\0\0\0\0\0\0\0\0";
        let places = value.iter_mut().skip(8);
        places
            .zip(key.0.to_le_bytes())
            .for_each(|(place, byte)| *place = byte);
        let hash = sealer.keyed_hash(&value);
        let head = hash.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_le_bytes(head)
    }

    /// An id by which rows are found, as the tables hold it.
    pub(crate) fn id<'a>(&self, table: &str, id: &'a str) -> Cow<'a, [u8]> {
        match &self.0 {
            None => Cow::Borrowed(id.as_bytes()),
            Some(sealer) => {
                let hash = sealer.keyed_hash(&context(table, id));
                Cow::Owned(hash.into_iter().take(HASH_BYTES).collect())
            }
        }
    }

    /// Notes in a new file what it is made with.
    pub(super) fn note(&self, connection: &Connection) -> rusqlite::Result<()> {
        let key = self.0.as_ref().map(Sealer::key_id);
        let proof = self.proof();
        let proof = self.close("sealing", "proof", &proof);
        connection
            .execute("INSERT INTO sealing VALUES (?1, ?2)", params![key, proof])
            .map(drop)
    }

    /// Whether a file was made with this.
    pub(super) fn fits(&self, connection: &Connection) -> rusqlite::Result<Fits> {
        let (key, proof): (Option<u32>, Vec<u8>) =
            connection.query_row("SELECT key, proof FROM sealing", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if key != self.0.as_ref().map(Sealer::key_id) {
            return Ok(Fits::Anew);
        }
        Ok(match self.open("sealing", "proof", proof) {
            Ok(proof) if proof == self.proof() => Fits::Yes,
            _ => Fits::No,
        })
    }

    /// What only this sealer hashes so; empty without one.
    fn proof(&self) -> Vec<u8> {
        let sealer = self.0.as_ref();
        sealer.map_or_else(Vec::new, |sealer| sealer.keyed_hash(b"proof\0").to_vec())
    }
}

/// FENCE (sealed rows): table, a zero, row. With another one no row that is there opens any more; a change goes with
/// another format of the tables.
fn context(table: &str, row: impl Display) -> Vec<u8> {
    format!("{table}\0{row}").into_bytes()
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, error)
}

#[cfg(test)]
mod tests;
