//! Where the records of an entry stand in the change log, and under which keys it was ever found:
//! SQLite, made from the log, and thrown away whenever it is in doubt. Where the registry seals, keys stand in it as
//! keyed hashes; it is made anew when that is switched on or off, or another keyring comes.
//!
//! A question about the past then reads the records of the entries it is about, not the whole log.
//! The index follows the log on a thread of its own; a question brings it up to date first.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use creditgate_measures::entry::StoredEntry;
use creditgate_measures::event::ListCode;
use creditgate_measures::identifier::Key;
use creditgate_measures::lists::{entry_id_key, keys};
use creditgate_measures::name::SimplifyTable;
use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::desk_record::What as Noted;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::Position;
use creditgate_runtime::live::Live;
use creditgate_runtime::threads::{self, Rank};
use rusqlite::{Connection, OpenFlags, params};

use crate::error::Error;
use crate::log::{ChangeLog, Entered, What};
use crate::sealing::Sealing;

/// Of the tables and of the keys; another one is a foreign file.
const FORMAT: i64 = 4;
/// `cglx`, in the file's header.
const APPLICATION: i64 = 0x6367_6c78;
const FILE: &str = "entries.sqlite";

/// Records that one transaction takes.
const BATCH: usize = 20_000;
/// Marks are this many records apart.
const MARK_EVERY: u64 = 64;
/// How often the thread looks whether the log has grown.
const TICK: Duration = Duration::from_millis(250);

/// Why the index gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// SQLite refused, or the file is damaged.
    #[error("use the index of entries")]
    Sql(#[from] rusqlite::Error),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] Error),
    /// It says what the log does not bear out.
    #[error("the index of entries does not fit the change log: {0}")]
    Foreign(&'static str),
    /// Names are asked for as another book writes them.
    #[error("the index of entries has names as the book in force writes them")]
    OtherNames,
}

/// The index of one change log.
#[derive(Debug)]
pub(crate) struct Index {
    log: ChangeLog,
    live: Live,
    path: PathBuf,
    sealing: Sealing,
    /// One reader or writer at a time; questions about the past are asked by people and replays.
    table: Mutex<Option<Table>>,
}

#[derive(Debug)]
struct Table {
    connection: Connection,
    seq: u64,
    position: Position,
    simplify_hash: [u8; 32],
    sealing: Sealing,
}

/// An entry as the index names it: by its key, or by the keyed hash of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EntryRow(i64);

/// What is asked; the answer is right up to the version it was opened at.
pub(crate) struct Asked<'a>(&'a Table);

impl Index {
    pub fn new(log: ChangeLog, live: Live, dir: &Path, sealing: Sealing) -> Arc<Self> {
        Arc::new(Self {
            log,
            live,
            path: dir.join(FILE),
            sealing,
            table: Mutex::new(None),
        })
    }

    /// Follows the log until nobody holds the index any more.
    pub fn follow(self: &Arc<Self>) -> std::io::Result<()> {
        let index = Arc::downgrade(self);
        let follow = move || {
            let mut failed = false;
            loop {
                std::thread::sleep(TICK);
                let Some(index) = index.upgrade() else {
                    return;
                };
                let grown = index.step();
                if let Err(error) = &grown
                    && !failed
                {
                    tracing::warn!(error = %Chain(error), "the index of entries does not follow the change log; questions about the past read the log itself");
                }
                failed = grown.is_err();
            }
        };
        threads::spawn("entries-index", Rank::Upkeep, follow).map(drop)
    }

    /// Takes up to one batch of what the log has more.
    fn step(&self) -> Result<(), Unfit> {
        let mut held = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.opened(&mut held)?;
        if table.seq < self.log.head().sequence {
            table.take(&self.log, self.live.load().book.simplify())?;
        }
        Ok(())
    }

    /// Asks something, with everything up to a version in the index. What is in doubt is made again,
    /// once.
    pub fn ask<T>(
        &self,
        up_to: u64,
        question: impl Fn(&Asked<'_>) -> Result<T, Unfit>,
    ) -> Result<T, Unfit> {
        let mut held = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match self.try_ask(&mut held, up_to, &question) {
            Err(error @ (Unfit::Sql(_) | Unfit::Foreign(_))) => {
                tracing::warn!(error = %Chain(&error), "the index of entries is made again from the change log");
                *held = None;
                *held = Some(self.made_anew()?);
                self.try_ask(&mut held, up_to, &question)
            }
            answer => answer,
        }
    }

    fn try_ask<T>(
        &self,
        held: &mut Option<Table>,
        up_to: u64,
        question: &impl Fn(&Asked<'_>) -> Result<T, Unfit>,
    ) -> Result<T, Unfit> {
        let table = self.opened(held)?;
        while table.seq < up_to.min(self.log.head().sequence) {
            table.take(&self.log, self.live.load().book.simplify())?;
        }
        question(&Asked(table))
    }

    fn opened<'a>(&self, held: &'a mut Option<Table>) -> Result<&'a mut Table, Unfit> {
        let hash = self.live.load().book.simplify().content_hash();
        if held
            .as_ref()
            .is_some_and(|table| table.simplify_hash != hash)
        {
            // Names are written in another way.
            *held = None;
        }
        let table = match held.take() {
            Some(table) => table,
            None => match Table::open(&self.path, &self.log, hash, &self.sealing) {
                Ok(table) => table,
                Err(why) => {
                    tracing::info!(why, "making the index of entries from the change log");
                    self.made_anew()?
                }
            },
        };
        Ok(held.insert(table))
    }

    fn made_anew(&self) -> Result<Table, Unfit> {
        Table::create(&self.path, &self.log, &self.live, &self.sealing)
    }
}

impl Table {
    fn open(
        path: &Path,
        log: &ChangeLog,
        simplify_hash: [u8; 32],
        sealing: &Sealing,
    ) -> Result<Self, String> {
        if !path.exists() {
            return Err("there is none".to_owned());
        }
        let read = || -> rusqlite::Result<_> {
            let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let row = connection.query_row(
                "SELECT (SELECT application_id FROM pragma_application_id),
                    (SELECT user_version FROM pragma_user_version),
                    log_id, simplify, seq, position, rows, (SELECT count(*) FROM records), sealed
                FROM mark",
                [],
                |row| {
                    let form: (i64, i64) = (row.get(0)?, row.get(1)?);
                    let of: (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
                    let mark: (i64, i64) = (row.get(4)?, row.get(5)?);
                    let rows: (i64, i64) = (row.get(6)?, row.get(7)?);
                    let sealed: Vec<u8> = row.get(8)?;
                    Ok((form, of, mark, rows, sealed))
                },
            )?;
            Ok((connection, row))
        };
        let (connection, (form, (of_log, names), (seq, position), rows, sealed)) =
            read().map_err(|error| error.to_string())?;
        if form != (APPLICATION, FORMAT) {
            return Err("it is of another format".to_owned());
        }
        if of_log != log.log_id().as_bytes() || names != simplify_hash {
            return Err(
                "it belongs to another change log, or to names written otherwise".to_owned(),
            );
        }
        if sealed != sealing.proof() {
            return Err("its keys are hashed in another way".to_owned());
        }
        if rows.0 != rows.1 {
            return Err(format!("it holds {} of {} records", rows.1, rows.0));
        }
        let (seq, position) = (seq.cast_unsigned(), Position(position.cast_unsigned()));
        if seq > 0 && !log.at(position).is_ok_and(|entered| entered.seq == seq) {
            return Err("it is ahead of the change log".to_owned());
        }
        Ok(Self {
            connection,
            seq,
            position,
            simplify_hash,
            sealing: sealing.clone(),
        })
    }

    fn create(path: &Path, log: &ChangeLog, live: &Live, sealing: &Sealing) -> Result<Self, Unfit> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            let file = PathBuf::from(file);
            if let Err(source) = std::fs::remove_file(&file)
                && source.kind() != std::io::ErrorKind::NotFound
            {
                return Err(Unfit::Log(Error::Io {
                    action: "remove index file",
                    path: file,
                    source,
                }));
            }
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(path, flags)?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
        connection.execute_batch(
            "CREATE TABLE mark (log_id BLOB NOT NULL, simplify BLOB NOT NULL, seq INTEGER NOT NULL, position INTEGER NOT NULL, rows INTEGER NOT NULL, sealed BLOB NOT NULL);
            CREATE TABLE records (entry INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (entry, position)) WITHOUT ROWID;
            CREATE TABLE found_by (key INTEGER NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (key, entry)) WITHOUT ROWID;
            CREATE TABLE confirmed (seq INTEGER PRIMARY KEY, list TEXT NOT NULL, at INTEGER NOT NULL, of_all INTEGER NOT NULL, recorded INTEGER NOT NULL);
            CREATE TABLE noted (seq INTEGER PRIMARY KEY, position INTEGER NOT NULL);
            CREATE TABLE marks (seq INTEGER PRIMARY KEY, position INTEGER NOT NULL);",
        )?;
        let simplify_hash = live.load().book.simplify().content_hash();
        connection.execute(
            "INSERT INTO mark VALUES (?1, ?2, 0, 0, 0, ?3)",
            params![
                &log.log_id().as_bytes()[..],
                &simplify_hash[..],
                sealing.proof()
            ],
        )?;
        Ok(Self {
            connection,
            seq: 0,
            position: Position(0),
            simplify_hash,
            sealing: sealing.clone(),
        })
    }

    /// Takes one batch of what the log has more, and moves the mark, in one transaction.
    fn take(&mut self, log: &ChangeLog, simplify: &SimplifyTable) -> Result<(), Unfit> {
        let (mut records, mut found_by) = (Vec::new(), Vec::new());
        let (mut others, mut marks) = (Vec::new(), Vec::new());
        let number = |key| self.sealing.number(key);
        let (mut seq, mut position) = (self.seq, self.position);
        let mut taken = 0;
        for entered in log.read_from(self.position) {
            let entered = entered?;
            if entered.seq <= self.seq {
                continue;
            }
            (seq, position) = (entered.seq, entered.position);
            if seq.is_multiple_of(MARK_EVERY) {
                marks.push((seq, position));
            }
            match &entered.what {
                What::Put(put) => {
                    if let Ok(stored) = StoredEntry::read(&put.stored) {
                        let entry = entry_id_key(stored.entry_id);
                        records.push((number(entry), position.0.cast_signed()));
                        let by = keys(&stored, simplify)
                            .into_iter()
                            .filter(|key| *key != entry);
                        found_by.extend(by.map(|key| (number(key), number(entry))));
                    }
                }
                What::Confirmed(_) | What::Desk(_) => others.push(entered),
                What::Clock(struck) if !struck.entry_id.is_empty() => {
                    let entry = entry_id_key(&struck.entry_id);
                    records.push((number(entry), position.0.cast_signed()));
                }
                What::Clock(_) | What::Book(_) | What::Other => {}
            }
            taken += 1;
            if taken >= BATCH {
                break;
            }
        }
        let transaction = self.connection.transaction()?;
        let mut added = 0;
        // In the order of the keys: neighbours share a page.
        for (sql, rows, counts) in [
            (
                "INSERT OR IGNORE INTO records VALUES (?1, ?2)",
                &mut records,
                true,
            ),
            (
                "INSERT OR IGNORE INTO found_by VALUES (?1, ?2)",
                &mut found_by,
                false,
            ),
        ] {
            rows.sort_unstable();
            let mut insert = transaction.prepare_cached(sql)?;
            for (key, value) in rows.iter() {
                let inserted = insert.execute(params![key, value])?;
                added += if counts { inserted } else { 0 };
            }
        }
        for entered in &others {
            note(&transaction, entered)?;
        }
        for (seq, position) in marks {
            transaction.execute(
                "INSERT OR IGNORE INTO marks VALUES (?1, ?2)",
                params![seq.cast_signed(), position.0.cast_signed()],
            )?;
        }
        transaction.execute(
            "UPDATE mark SET rows = rows + ?3, seq = max(seq, ?1), position = max(position, ?2)",
            params![
                seq.cast_signed(),
                position.0.cast_signed(),
                i64::try_from(added).unwrap_or(i64::MAX)
            ],
        )?;
        transaction.commit()?;
        (self.seq, self.position) = (seq, position);
        Ok(())
    }
}

fn note(connection: &Connection, entered: &Entered) -> rusqlite::Result<()> {
    match &entered.what {
        What::Confirmed(confirmed) => confirmed.whole.map_or(Ok(0), |whole| {
            connection.execute(
                "INSERT OR IGNORE INTO confirmed VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    entered.seq.cast_signed(),
                    confirmed.list.as_str(),
                    whole.micros(),
                    confirmed.of_all,
                    entered.recorded_at.micros()
                ],
            )
        }),
        What::Desk(record) if tells_of_subjects(record.what.as_ref()) => connection.execute(
            "INSERT OR IGNORE INTO noted VALUES (?1, ?2)",
            params![entered.seq.cast_signed(), entered.position.0.cast_signed()],
        ),
        _ => Ok(0),
    }
    .map(drop)
}

/// Whether a record belongs into the history of a subject.
fn tells_of_subjects(what: Option<&Noted>) -> bool {
    matches!(
        what,
        Some(
            Noted::SourcesDiffer(_)
                | Noted::NameChanged(_)
                | Noted::SubjectsLinked(_)
                | Noted::RelationChanged(_)
                | Noted::CodeDecided(_)
                | Noted::IdentityUndone(_)
                | Noted::StatementKept(_)
                | Noted::WrongHitOpened(_)
                | Noted::WrongHitCorrected(_)
                | Noted::WrongHitTold(_)
        )
    )
}

impl Asked<'_> {
    /// The entries with this key, as the index names them.
    pub fn row(&self, entry: Key) -> EntryRow {
        EntryRow(self.0.sealing.number(entry))
    }

    /// Whether names are found as this table writes them.
    pub fn normalised_by(&self, simplify: &SimplifyTable) -> bool {
        self.0.simplify_hash == simplify.content_hash()
    }

    /// The records of every entry in this row, in their order.
    pub fn records(&self, entry: EntryRow) -> rusqlite::Result<Vec<Position>> {
        self.positions(
            "SELECT position FROM records WHERE entry = ?1 ORDER BY position",
            entry.0,
        )
    }

    /// The entries that were ever found under a key.
    pub fn found_by(&self, key: Key) -> rusqlite::Result<Vec<EntryRow>> {
        let mut statement = self
            .0
            .connection
            .prepare_cached("SELECT entry FROM found_by WHERE key = ?1")?;
        let key = self.0.sealing.number(key);
        let rows = statement.query_map([key], |row| row.get(0))?;
        rows.map(|row| row.map(EntryRow)).collect()
    }

    /// The confirmations up to a version, in their order: list, as of when, whether that was computed from all of its
    /// sources, when it was recorded.
    pub fn confirmed(&self, up_to: u64) -> rusqlite::Result<Vec<(ListCode, Time, bool, Time)>> {
        let mut statement = self.0.connection.prepare_cached(
            "SELECT list, at, of_all, recorded FROM confirmed WHERE seq <= ?1 ORDER BY seq",
        )?;
        let rows = statement.query_map([up_to.cast_signed()], |row| {
            let list: String = row.get(0)?;
            let (at, of_all, recorded) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((
                ListCode::new(list),
                Time::from_micros(at),
                of_all,
                Time::from_micros(recorded),
            ))
        })?;
        rows.collect()
    }

    /// The records that tell of subjects besides their entries, up to a version, in their order.
    pub fn noted(&self, up_to: u64) -> rusqlite::Result<Vec<Position>> {
        self.positions(
            "SELECT position FROM noted WHERE seq <= ?1 ORDER BY seq",
            up_to.cast_signed(),
        )
    }

    /// A record at or before a number, less than [`MARK_EVERY`] before it.
    pub fn before(&self, seq: u64) -> rusqlite::Result<Position> {
        let found = self.positions(
            "SELECT position FROM marks WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
            seq.cast_signed(),
        )?;
        Ok(found.first().copied().unwrap_or(Position(0)))
    }

    fn positions(&self, sql: &str, key: i64) -> rusqlite::Result<Vec<Position>> {
        let mut statement = self.0.connection.prepare_cached(sql)?;
        let rows = statement.query_map([key], |row| row.get::<_, i64>(0))?;
        rows.map(|row| row.map(|at| Position(at.cast_unsigned())))
            .collect()
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may lose the last transactions, which the log gives back, never tear one.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    Ok(connection)
}
