//! The index on disk: SQLite, made from the journal and thrown away whenever it is in doubt.
//!
//! `synchronous=NORMAL`, not `OFF`: after a power cut the file may lack its last transactions, which
//! the journal gives back, but must never hold the mark of a transaction without its rows. A row
//! that is missing below the mark would let an event be judged twice.

use std::fs;
use std::path::{Path, PathBuf};

use creditgate_measures::verdict::VerdictId;
use creditgate_runtime::journal::Position;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Transaction, params};
use uuid::Uuid;

use super::filter::{Filter, Filters};
use super::slots::Unindexed;
use super::successors::Successor;
use super::verdict_key;

/// Of the tables and of the key functions; another one is a foreign file.
const FORMAT: i64 = 2;
/// `crgt`, in the file's header.
const APPLICATION: i64 = 0x6372_6774;
const FILE: &str = "verdicts.sqlite";

/// How far the journal is indexed: the last record whose rows are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub sequence: u64,
    pub position: u64,
}

/// The writing side, in the hands of one thread.
pub(crate) struct Table {
    connection: Connection,
    mark: Mark,
}

/// The reading side, for any thread that may block.
pub(crate) struct Lookup {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Table {
    /// Opens the file of this journal.
    ///
    /// # Errors
    /// When there is none, or it is not fit for use.
    pub(crate) fn open(dir: &Path, log_id: &[u8; 16]) -> Result<Self, String> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Err("there is none".to_owned());
        }
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .and_then(|connection| prepare_writing(&connection).map(|()| connection))
            .map_err(|error| error.to_string())?;
        let read = || -> rusqlite::Result<(i64, i64, Vec<u8>, i64, i64, i64)> {
            connection.query_row(
                "SELECT (SELECT application_id FROM pragma_application_id),
                    (SELECT user_version FROM pragma_user_version),
                    log_id, sequence, position, (SELECT count(*) FROM verdicts)
                FROM mark",
                [],
                |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                    ))
                },
            )
        };
        let (application, format, of_log, sequence, position, rows) =
            read().map_err(|error| error.to_string())?;
        if application != APPLICATION || format != FORMAT {
            return Err(format!("it has format {format}"));
        }
        if of_log != log_id {
            return Err("it belongs to another journal".to_owned());
        }
        if rows != sequence {
            return Err(format!("it holds {rows} of {sequence} records"));
        }
        let mark = Mark {
            sequence: sequence.cast_unsigned(),
            position: position.cast_unsigned(),
        };
        Ok(Self { connection, mark })
    }

    /// Throws away what is there and begins with an empty file.
    pub(crate) fn create(dir: &Path, log_id: &[u8; 16]) -> Result<Self, super::Error> {
        let path = dir.join(FILE);
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let file = dir.join(format!("{FILE}{suffix}"));
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(super::Error::io("remove index file", &file)(error));
                }
                _ => {}
            }
        }
        let make = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            let connection = connect(&path, flags)?;
            connection.pragma_update(None, "page_size", 8192)?;
            prepare_writing(&connection)?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", FORMAT)?;
            connection.execute_batch(
                "CREATE TABLE mark (log_id BLOB NOT NULL, sequence INTEGER NOT NULL, position INTEGER NOT NULL);
                CREATE TABLE verdicts (key INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (key, position)) WITHOUT ROWID;
                CREATE TABLE cases (key INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (key, position)) WITHOUT ROWID;
                CREATE TABLE successors (superseded BLOB NOT NULL, position INTEGER NOT NULL, verdict BLOB NOT NULL, PRIMARY KEY (superseded, position)) WITHOUT ROWID;",
            )?;
            connection.execute("INSERT INTO mark VALUES (?1, 0, 0)", params![&log_id[..]])?;
            Ok(connection)
        };
        let connection = make().map_err(|source| super::Error::Index {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            connection,
            mark: Mark::default(),
        })
    }

    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Filters of every key.
    pub(crate) fn filters(&self) -> rusqlite::Result<Filters> {
        // Room for as many again.
        let twice = |known: u64| usize::try_from(known).unwrap_or(usize::MAX / 2) * 2;
        let superseded: i64 =
            self.connection
                .query_row("SELECT count(*) FROM successors", [], |row| row.get(0))?;
        let filters =
            Filters::for_records(twice(self.mark.sequence), twice(superseded.cast_unsigned()));
        let each = |sql: &str, of: fn(&Row<'_>) -> rusqlite::Result<u64>, filter: &Filter| {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                filter.add([of(row)?]);
            }
            Ok::<_, rusqlite::Error>(())
        };
        let key = |row: &Row<'_>| row.get(0).map(i64::cast_unsigned);
        each("SELECT key FROM verdicts", key, &filters.verdicts)?;
        each("SELECT DISTINCT key FROM cases", key, &filters.cases)?;
        let superseded = |row: &Row<'_>| id(row, 0).map(verdict_key);
        let sql = "SELECT DISTINCT superseded FROM successors";
        each(sql, superseded, &filters.superseded)?;
        Ok(filters)
    }

    /// Adds records that continue the mark, and moves it, in one transaction.
    pub(crate) fn add(&mut self, records: &[Unindexed]) -> rusqlite::Result<()> {
        let Some(last) = records.last() else {
            return Ok(());
        };
        let mark = Mark {
            sequence: last.sequence,
            position: last.position.0,
        };
        let transaction = self.connection.transaction()?;
        // In the order of the keys: neighbours share a page.
        let insert = |sql: &str, key: &dyn Fn(&Unindexed) -> u64| -> rusqlite::Result<()> {
            let mut rows: Vec<(i64, i64)> = records
                .iter()
                .map(|one| (key(one).cast_signed(), one.position.0.cast_signed()))
                .collect();
            rows.sort_unstable();
            let mut statement = transaction.prepare_cached(sql)?;
            for (key, position) in rows {
                statement.execute(params![key, position])?;
            }
            Ok(())
        };
        insert("INSERT OR IGNORE INTO verdicts VALUES (?1, ?2)", &|one| {
            verdict_key(one.verdict)
        })?;
        insert("INSERT OR IGNORE INTO cases VALUES (?1, ?2)", &|one| {
            one.case.key
        })?;
        insert_successors(&transaction, records)?;
        transaction
            .prepare_cached("UPDATE mark SET sequence = ?1, position = ?2")?
            .execute(params![
                mark.sequence.cast_signed(),
                mark.position.cast_signed()
            ])?;
        transaction.commit()?;
        self.mark = mark;
        Ok(())
    }
}

impl Lookup {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            path: dir.join(FILE),
            idle: Mutex::default(),
        }
    }

    /// Positions under which a verdict may be, the first first. Blocks.
    pub(crate) fn verdict(&self, key: u64) -> rusqlite::Result<Vec<Position>> {
        self.positions(
            "SELECT position FROM verdicts WHERE key = ?1 ORDER BY position",
            key,
        )
    }

    /// Positions of the events of a case. Blocks.
    pub(crate) fn case(&self, key: u64) -> rusqlite::Result<Vec<Position>> {
        self.positions(
            "SELECT position FROM cases WHERE key = ?1 ORDER BY position",
            key,
        )
    }

    /// The verdict that took this one's place; of several the last recorded. Blocks.
    pub(crate) fn successor(&self, verdict: VerdictId) -> rusqlite::Result<Option<Successor>> {
        self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT position, verdict FROM successors WHERE superseded = ?1
                    ORDER BY position DESC LIMIT 1",
                )?
                .query_row([verdict.0.as_bytes().as_slice()], |row| {
                    Ok(Successor {
                        position: position(row)?,
                        verdict: id(row, 1)?,
                    })
                })
                .optional()
        })
    }

    fn positions(&self, sql: &str, key: u64) -> rusqlite::Result<Vec<Position>> {
        self.ask(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map([key.cast_signed()], position)?
                .collect()
        })
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let answer = question(&connection)?;
        self.idle.lock().push(connection);
        Ok(answer)
    }
}

/// Few: only reviews take the place of a verdict.
fn insert_successors(transaction: &Transaction<'_>, records: &[Unindexed]) -> rusqlite::Result<()> {
    let mut rows: Vec<(VerdictId, i64, VerdictId)> = records
        .iter()
        .filter_map(|one| Some((one.supersedes?, one.position.0.cast_signed(), one.verdict)))
        .collect();
    rows.sort_unstable();
    let mut statement =
        transaction.prepare_cached("INSERT OR IGNORE INTO successors VALUES (?1, ?2, ?3)")?;
    for (superseded, position, verdict) in rows {
        statement.execute(params![
            superseded.0.as_bytes().as_slice(),
            position,
            verdict.0.as_bytes().as_slice()
        ])?;
    }
    Ok(())
}

fn position(row: &Row<'_>) -> rusqlite::Result<Position> {
    Ok(Position(row.get::<_, i64>(0)?.cast_unsigned()))
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<VerdictId> {
    Ok(VerdictId(Uuid::from_bytes(row.get(column)?)))
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

fn prepare_writing(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    // A checkpoint syncs, beside the journal's own syncs: seldom.
    connection.pragma_update(None, "wal_autocheckpoint", 8_192)
}
