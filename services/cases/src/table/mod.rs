//! What cases are, on disk: SQLite, made from the two journals, and thrown away whenever it is in doubt.
//!
//! One thread writes. A transaction holds whole records only and moves the mark with them, so what is
//! there is always what follows from the records up to the mark.

mod counts;
mod keys;
mod read;
mod row;
mod sealing;
mod subject;
mod whose;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Transaction, params};

use self::sealing::Fits;
use crate::state::stored;

pub(crate) use read::{CaseFilter, Lookup, OrderFilter, Pending, ProposalFilter, Wanted};
pub(crate) use row::{Children, OrderRow, ProposalRow, ReportRow, Row};
pub(crate) use sealing::Seal;
pub(crate) use subject::Which;
pub(crate) use whose::Whose;

/// Of the tables and of the stored states; another one is a foreign file. Higher than 700, with which tables were sealed and
/// subjects and entries became keyed hashes, and than 610, with which a case stayed where the system that began it has it: a
/// file of either lacks what the other brought.
const FORMAT: i64 = 800 + stored::VERSION as i64;
/// `cgca`, in the file's header.
const APPLICATION: i64 = 0x6367_6361;
const FILE: &str = "cases.sqlite";

/// Why the tables cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused, or the file is damaged.
    #[error("use the tables of cases in `{}`", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The file system refused.
    #[error("prepare `{}`", path.display())]
    Io {
        /// On what.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// They are sealed with another key than the one at hand.
    #[error(
        "the tables of cases in `{}` are sealed with another key of the same number: put the right keyring in place, or remove the file to have the tables made anew from the journals",
        path.display()
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
    },
}

/// Why the file that is there is not used.
enum Unfit {
    /// It is made anew.
    Anew(String),
    /// It stays: the key at hand is not its own.
    OtherKey,
}

/// How far the journals are taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Records of the journal of verdicts.
    pub verdicts: u64,
    /// Where the next of them begins, or the last one taken in stands.
    pub verdicts_at: u64,
    /// Records of the journal of cases.
    pub cases: u64,
    /// As `verdicts_at`.
    pub cases_at: u64,
    /// Changes of the lists whose cases are known to wait or to have been reviewed.
    pub scanned: u64,
    /// Records of both journals, in the order in which they were taken in: positions of deliveries.
    pub taken: u64,
}

/// The journals that the tables are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logs {
    /// Name of the journal of verdicts.
    pub verdicts: [u8; 16],
    /// Name of the journal of cases.
    pub cases: [u8; 16],
}

/// A review that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The case, by its row.
    pub case: i64,
    /// Number of the change.
    pub seq: u64,
    /// When the change was recorded, in microseconds.
    pub at: i64,
    /// What made it necessary, as a verdict prints it.
    pub cause: String,
    /// Whether the case was open.
    pub open: bool,
}

/// The writing side, in the hands of one thread.
pub(crate) struct Table {
    connection: Connection,
    path: PathBuf,
    mark: Mark,
    seal: Seal,
}

/// The tables as they are at one moment.
pub(crate) struct View<'a>(
    #[expect(dead_code, reason = "held until it is dropped")] Transaction<'a>,
);

/// What one transaction changes.
pub(crate) struct Change<'a> {
    transaction: Transaction<'a>,
    path: &'a Path,
    seal: &'a Seal,
}

impl Table {
    /// Opens the file of these journals, or begins with an empty one where it is of another format, of other
    /// journals, or sealed otherwise.
    ///
    /// # Errors
    /// When the directory or the file cannot be used, or the file is sealed with another key of this number.
    pub(crate) fn open(dir: &Path, logs: Logs, seal: &Seal) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|source| Error::Io {
            path: dir.to_owned(),
            source,
        })?;
        match Self::in_use(dir, logs, seal) {
            Ok(table) => Ok(table),
            Err(Unfit::Anew(reason)) => {
                tracing::info!(reason, "making the tables of cases from the journals");
                Self::create(dir, logs, seal)
            }
            Err(Unfit::OtherKey) => Err(Error::OtherKey {
                path: dir.join(FILE),
            }),
        }
    }

    fn in_use(dir: &Path, logs: Logs, seal: &Seal) -> Result<Self, Unfit> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Err(Unfit::Anew("there are none".to_owned()));
        }
        let connect = || -> rusqlite::Result<(Connection, i64, i64, Logs, Mark)> {
            let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            prepare(&connection)?;
            let id = |bytes: Vec<u8>| <[u8; 16]>::try_from(bytes).unwrap_or_default();
            let (application, format, logs, mark) = connection.query_row(
                "SELECT (SELECT application_id FROM pragma_application_id),
                    (SELECT user_version FROM pragma_user_version),
                    verdict_log, case_log, verdicts, verdicts_at, cases, cases_at, scanned, taken FROM mark",
                [],
                |row| {
                    let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        Logs {
                            verdicts: id(row.get(2)?),
                            cases: id(row.get(3)?),
                        },
                        Mark {
                            verdicts: number(4)?,
                            verdicts_at: number(5)?,
                            cases: number(6)?,
                            cases_at: number(7)?,
                            scanned: number(8)?,
                            taken: number(9)?,
                        },
                    ))
                },
            )?;
            Ok((connection, application, format, logs, mark))
        };
        let (connection, application, format, of, mark) =
            connect().map_err(|error| Unfit::Anew(error.to_string()))?;
        if application != APPLICATION || format != FORMAT {
            return Err(Unfit::Anew(format!("they have format {format}")));
        }
        if of != logs {
            return Err(Unfit::Anew("they belong to other journals".to_owned()));
        }
        match seal.fits(&connection) {
            Ok(Fits::Yes) => {}
            Ok(Fits::Anew) => {
                let why = "they are in clear, or sealed under another number of the key";
                return Err(Unfit::Anew(why.to_owned()));
            }
            Ok(Fits::No) => return Err(Unfit::OtherKey),
            Err(error) => return Err(Unfit::Anew(error.to_string())),
        }
        Ok(Self {
            connection,
            path,
            mark,
            seal: seal.clone(),
        })
    }

    /// Throws away what is there and begins with an empty file.
    pub(crate) fn create(dir: &Path, logs: Logs, seal: &Seal) -> Result<Self, Error> {
        let path = dir.join(FILE);
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let file = dir.join(format!("{FILE}{suffix}"));
            match fs::remove_file(&file) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Io { path: file, source });
                }
                _ => {}
            }
        }
        let make = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            let connection = connect(&path, flags)?;
            prepare(&connection)?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", FORMAT)?;
            connection.execute_batch(SCHEMA)?;
            connection.execute_batch(keys::SCHEMA)?;
            connection.execute_batch(sealing::SCHEMA)?;
            seal.note(&connection)?;
            connection.execute(
                "INSERT INTO mark VALUES (?1, ?2, 0, 0, 0, 0, 0, 0)",
                params![&logs.verdicts[..], &logs.cases[..]],
            )?;
            Ok(connection)
        };
        match make() {
            Ok(connection) => Ok(Self {
                connection,
                path,
                mark: Mark::default(),
                seal: seal.clone(),
            }),
            Err(source) => Err(Error::Sql { path, source }),
        }
    }

    /// Rows that rest on the settings and on the book's scenarios are due to be made anew where these are
    /// others than before. Until then a check may be missing in any case.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn under(&self, terms: &str) -> Result<(), Error> {
        let run = || -> rusqlite::Result<()> {
            let known: Vec<String> = self
                .connection
                .prepare("SELECT said FROM settings")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            if known == [terms] {
                return Ok(());
            }
            self.connection.execute_batch(
                "UPDATE cases SET open_until = 0;
                UPDATE cases SET missing_from = -1;
                UPDATE proposals SET decide_by = '';
                DELETE FROM settings;",
            )?;
            self.connection
                .execute("INSERT INTO settings VALUES (?1)", params![terms])?;
            Ok(())
        };
        run().map_err(|source| self.error(source))
    }

    /// Verdicts that were taken in by their names, by number and position, behind others that were not.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn ahead(&self) -> Result<BTreeMap<u64, u64>, Error> {
        let read = || -> rusqlite::Result<BTreeMap<u64, u64>> {
            let mut statement = self
                .connection
                .prepare("SELECT number, position FROM ahead")?;
            let number =
                |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            let rows = statement.query_map([], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
            rows.collect()
        };
        read().map_err(|source| self.error(source))
    }

    pub(crate) const fn mark(&self) -> Mark {
        self.mark
    }

    /// Where readers find the file.
    pub(crate) fn lookup(&self) -> Lookup {
        Lookup::new(self.path.clone(), self.seal.clone())
    }

    /// One view of the tables for many looks at them; it ends before something is written.
    pub(crate) fn view(&self) -> Result<View<'_>, Error> {
        let begun = self.connection.unchecked_transaction();
        begun.map(View).map_err(|source| self.error(source))
    }

    /// The state of a case as it is stored, with its row.
    pub(crate) fn load(&self, case_id: &str) -> Result<Option<(i64, Vec<u8>)>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, state FROM cases WHERE case_id = ?1")
            .map_err(|source| self.error(source))?;
        let mut rows = statement
            .query(params![case_id])
            .map_err(|source| self.error(source))?;
        let row = rows.next().map_err(|source| self.error(source))?;
        row.map(|row| {
            let state = self.seal.open("cases", case_id, row.get(1)?)?;
            Ok((row.get(0)?, state))
        })
        .transpose()
        .map_err(|source| self.error(source))
    }

    /// Writes what this does, with the mark, in one transaction.
    pub(crate) fn write(
        &mut self,
        mark: Mark,
        change: impl FnOnce(&Change<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let path = self.path.clone();
        let sql = |source| Error::Sql {
            path: path.clone(),
            source,
        };
        let transaction = self.connection.transaction().map_err(sql)?;
        let writing = Change {
            transaction,
            path: &path,
            seal: &self.seal,
        };
        change(&writing)?;
        writing.sort_keys()?;
        writing.run(
            "UPDATE mark SET verdicts = ?1, verdicts_at = ?2, cases = ?3, cases_at = ?4, scanned = ?5, taken = ?6",
            params![
                mark.verdicts.cast_signed(),
                mark.verdicts_at.cast_signed(),
                mark.cases.cast_signed(),
                mark.cases_at.cast_signed(),
                mark.scanned.cast_signed(),
                mark.taken.cast_signed(),
            ],
        )?;
        writing.transaction.commit().map_err(sql)?;
        self.mark = mark;
        Ok(())
    }

    fn error(&self, source: rusqlite::Error) -> Error {
        Error::Sql {
            path: self.path.clone(),
            source,
        }
    }
}

impl Change<'_> {
    /// Writes a case, with what leads to it where that changed. Gives its row.
    pub(crate) fn put(&self, known: Option<(i64, &Children)>, row: &Row<'_>) -> Result<i64, Error> {
        let state = self.seal.close("cases", row.case_id, &row.state);
        let fields = params![
            row.case_id,
            row.scenario,
            row.region,
            row.open,
            row.tracked,
            row.open_until,
            row.missing_from,
            row.last_event_at,
            state,
        ];
        let id = match known {
            Some((id, _)) => {
                self.run(
                    "UPDATE cases SET scenario = ?2, region = ?3, open = ?4, tracked = ?5, open_until = ?6,
                        missing_from = ?7, last_event_at = ?8, state = ?9 WHERE case_id = ?1",
                    fields,
                )?;
                id
            }
            None => {
                self.run(
                    "INSERT INTO cases (case_id, scenario, region, open, tracked, open_until, missing_from, last_event_at, state)
                        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    fields,
                )?;
                self.transaction.last_insert_rowid()
            }
        };
        let nothing = Children::default();
        let before = known.map_or(&nothing, |(_, before)| before);
        self.keys(&before.keys, &row.children.keys, id)?;
        row.children
            .replace(before, id, self.seal, &|sql, values| {
                self.run(sql, values).map(drop)
            })?;
        Ok(id)
    }

    /// Notes reviews that wait; those that are known to wait stay. Gives how many are new.
    pub(crate) fn wait(&self, due: &[Due]) -> Result<usize, Error> {
        let mut new = 0;
        for one in due {
            new += self.run(
                "INSERT OR IGNORE INTO pending (seq, \"case\", at, cause, urgency) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    one.seq.cast_signed(),
                    one.case,
                    one.at,
                    one.cause,
                    u8::from(!one.open),
                ],
            )?;
        }
        Ok(new)
    }

    /// Notes that answers to an event of a case differ.
    pub(crate) fn differs(&self, case: i64) -> Result<(), Error> {
        self.run("INSERT OR IGNORE INTO differing VALUES (?1)", params![case])
            .map(drop)
    }

    /// Notes which verdicts were taken in behind others that were not, beside those noted before; those up to
    /// `before` need no note.
    pub(crate) fn ahead(&self, before: u64, new: &BTreeMap<u64, u64>) -> Result<(), Error> {
        self.run(
            "DELETE FROM ahead WHERE number <= ?1",
            params![before.cast_signed()],
        )?;
        new.iter().try_for_each(|(number, position)| {
            self.run(
                "INSERT OR IGNORE INTO ahead VALUES (?1, ?2)",
                params![number.cast_signed(), position.cast_signed()],
            )
            .map(drop)
        })
    }

    /// Whoever led has made every review that changes up to this number asked for.
    pub(crate) fn reviewed(&self, seq: u64) -> Result<(), Error> {
        self.run(
            "DELETE FROM pending WHERE seq <= ?1",
            params![seq.cast_signed()],
        )
        .map(drop)
    }

    /// Notes how far reports were read from a partition of their topic.
    pub(crate) fn read_reports(&self, partition: i32, offset: i64) -> Result<(), Error> {
        self.run(
            "INSERT OR REPLACE INTO reports_read VALUES (?1, ?2)",
            params![partition, offset],
        )
        .map(drop)
    }

    /// Every open or tracked case waits for a review, behind all that a change of the lists asks for.
    pub(crate) fn wait_for_all(&self, seq: u64, at: i64, cause: &str) -> Result<(), Error> {
        self.run(
            "INSERT OR IGNORE INTO requested VALUES (?1)",
            params![cause],
        )?;
        self.run(
            "INSERT OR IGNORE INTO pending (seq, \"case\", at, cause, urgency)
                SELECT ?1, id, ?2, ?3, 2 FROM cases WHERE open OR tracked",
            params![seq.cast_signed(), at, cause],
        )
        .map(drop)
    }

    /// A review that cannot be made now goes behind others.
    pub(crate) fn set_back(&self, review: &Pending) -> Result<(), Error> {
        self.run(
            "UPDATE pending SET urgency = min(urgency + 1, 100)
                WHERE \"case\" = ?1 AND seq = ?2 AND cause = ?3",
            params![review.case, review.seq.cast_signed(), review.cause],
        )
        .map(drop)
    }

    /// A review waits no more.
    pub(crate) fn done(&self, review: &Pending) -> Result<(), Error> {
        self.run(
            "DELETE FROM pending WHERE \"case\" = ?1 AND seq = ?2 AND cause = ?3",
            params![review.case, review.seq.cast_signed(), review.cause],
        )
        .map(drop)
    }

    /// How values about people stand in the tables.
    pub(crate) const fn seal(&self) -> &Seal {
        self.seal
    }

    fn number(&self, sql: &str) -> Result<i64, Error> {
        self.transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(|source| self.error(source))
    }

    pub(crate) fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, Error> {
        self.transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> Error {
        Error::Sql {
            path: self.path.to_owned(),
            source,
        }
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // As for the index of verdicts: never a mark without its rows.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Pages go back in small portions, as SQLite does by itself: a large one keeps the disk from the
    // journals of those who are being answered.
    connection.pragma_update(None, "cache_size", -65_536)
}

const SCHEMA: &str = "
CREATE TABLE mark (verdict_log BLOB NOT NULL, case_log BLOB NOT NULL, verdicts INTEGER NOT NULL,
    verdicts_at INTEGER NOT NULL, cases INTEGER NOT NULL, cases_at INTEGER NOT NULL, scanned INTEGER NOT NULL, taken INTEGER NOT NULL);
CREATE TABLE settings (said TEXT NOT NULL);
CREATE TABLE cases (id INTEGER PRIMARY KEY, case_id TEXT NOT NULL UNIQUE, scenario TEXT NOT NULL,
    region TEXT NOT NULL, open INTEGER NOT NULL, tracked INTEGER NOT NULL, open_until INTEGER NOT NULL, missing_from INTEGER,
    last_event_at INTEGER NOT NULL, state BLOB NOT NULL);
CREATE INDEX cases_by_day ON cases (open_until);
CREATE INDEX cases_missing ON cases (case_id) WHERE missing_from IS NOT NULL;
CREATE INDEX cases_missing_from ON cases (missing_from) WHERE missing_from IS NOT NULL;
CREATE INDEX cases_open ON cases (open) WHERE open;
CREATE TABLE rests (entry BLOB NOT NULL, \"case\" INTEGER NOT NULL, PRIMARY KEY (entry, \"case\")) WITHOUT ROWID;
CREATE TABLE measures (measure TEXT NOT NULL, \"case\" INTEGER NOT NULL, PRIMARY KEY (measure, \"case\")) WITHOUT ROWID;
CREATE TABLE bites (verdict BLOB NOT NULL, \"case\" INTEGER NOT NULL, PRIMARY KEY (verdict, \"case\")) WITHOUT ROWID;
CREATE TABLE proposals (\"case\" INTEGER NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, measure TEXT NOT NULL,
    decide_by TEXT NOT NULL, escalated INTEGER NOT NULL, PRIMARY KEY (\"case\", key)) WITHOUT ROWID;
CREATE INDEX proposals_due ON proposals (decide_by, \"case\", key);
CREATE TABLE orders (id TEXT NOT NULL PRIMARY KEY, \"case\" INTEGER NOT NULL, implementer TEXT NOT NULL,
    state TEXT NOT NULL, ordered_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX orders_by_age ON orders (ordered_at, id);
CREATE INDEX orders_open ON orders (ordered_at) WHERE state = 'open';
CREATE TABLE reports (\"case\" INTEGER NOT NULL, key TEXT NOT NULL, verdict BLOB NOT NULL, implementer TEXT NOT NULL,
    measure TEXT NOT NULL, direction TEXT NOT NULL, status TEXT NOT NULL, department TEXT NOT NULL, division TEXT NOT NULL, day TEXT NOT NULL,
    amount INTEGER NOT NULL, PRIMARY KEY (\"case\", key, verdict, implementer)) WITHOUT ROWID;
CREATE TABLE said (id BLOB NOT NULL PRIMARY KEY, \"case\" INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pending (\"case\" INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, cause TEXT NOT NULL,
    urgency INTEGER NOT NULL, PRIMARY KEY (\"case\", seq, cause)) WITHOUT ROWID;
CREATE TABLE differing (\"case\" INTEGER PRIMARY KEY);
CREATE TABLE requested (cause TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE ahead (number INTEGER PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE reports_read (partition INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
CREATE INDEX pending_by_number ON pending (seq);
CREATE INDEX pending_by_urgency ON pending (urgency, seq, \"case\");
CREATE TABLE outbox (position INTEGER NOT NULL, nth INTEGER NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL,
    case_id TEXT NOT NULL, scenario TEXT NOT NULL, region TEXT NOT NULL, source TEXT NOT NULL, whom TEXT NOT NULL,
    what TEXT NOT NULL, place INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (position, nth)) WITHOUT ROWID;
CREATE TABLE deliveries (name TEXT NOT NULL PRIMARY KEY, definition BLOB NOT NULL, caller BLOB NOT NULL,
    state TEXT NOT NULL, reason BLOB NOT NULL, position INTEGER NOT NULL, since INTEGER NOT NULL,
    since_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE letters (delivery TEXT NOT NULL, position INTEGER NOT NULL, nth INTEGER NOT NULL, at INTEGER NOT NULL,
    id TEXT NOT NULL, reason BLOB NOT NULL, attempts INTEGER NOT NULL, resending INTEGER NOT NULL,
    PRIMARY KEY (delivery, position, nth)) WITHOUT ROWID;
";
