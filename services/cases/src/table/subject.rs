//! The cases of a subject, by the keys of its identifiers: all of them, closed ones too.

use std::collections::BTreeSet;

use creditgate_measures::identifier::Key;
use rusqlite::params;

use super::keys::{BEFORE, TRACKED};
use super::{Error, Lookup};

/// Which cases of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// Those in which measures stand or are still to be lifted.
    Tracked,
}

impl Lookup {
    /// Rows of cases with a subject of one of these keys, the one that began last first: those before this row, at most
    /// so many.
    pub(crate) fn of_subject(
        &self,
        which: Which,
        keys: &[Key],
        before: i64,
        most: usize,
    ) -> Result<Vec<i64>, Error> {
        let sql = match which {
            Which::All => BEFORE,
            Which::Tracked => TRACKED,
        };
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        self.ask(|connection| {
            let _view = connection.unchecked_transaction()?;
            let mut statement = connection.prepare_cached(sql)?;
            let mut found = BTreeSet::new();
            for key in keys {
                let values = params![self.seal().key(*key), before, limit];
                for row in statement.query_map(values, |row| row.get::<_, i64>(0))? {
                    found.insert(row?);
                }
            }
            Ok(found.into_iter().rev().take(most).collect())
        })
    }
}
