//! Gathers the raw records of one verdict from a data directory, and what is to be said about them.

use std::path::Path;
use std::sync::Arc;

use creditgate_gate::{replay, verdict_record};
use creditgate_measures::book::BookVersion;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{ENGINE_VERSION, VerdictId};
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::list_version_from_text;
use creditgate_registry::Archive;
use creditgate_runtime::check_points::{self, CheckPoint, Kind, covering};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::journal::{Journal, OpenError, Position, Record};
use creditgate_runtime::ports::History;
use creditgate_runtime::sealed::purpose;
use creditgate_runtime::signing::PublicKeys;

use super::about::{About, Again, FORM, Uncovered};
use super::keys::RecordKeys;
use super::parts::entries_used;
use super::{BOOK, CHAIN, CHECK_POINT, ENTRY_RECORDS, Files, RECORD, RECORD_KEYS};
use crate::cli::EvidenceArgs;
use crate::failure::Failure;
use crate::journal::{CHANGES, TOLD_EVERY, VERDICTS, bar};

/// The raw files, and how they came about.
pub struct Collected {
    pub files: Files,
    pub about: About,
}

/// Finds the verdict, decides it again, and takes out of the journals what proves it.
pub fn collect(
    args: &EvidenceArgs,
    id: VerdictId,
    keys: &PublicKeys,
) -> Result<Collected, Failure> {
    let dir = args.data_dir.as_path();
    let keyring = args.keyring.load()?;
    let sealer = |purpose: &str| keyring.as_ref().map(|keyring| keyring.sealer(purpose));
    let (verdicts, _) = open(dir, VERDICTS, |place| {
        Journal::open_read_only_with(place, sealer(purpose::VERDICTS))
    })?;
    let found = find(&verdicts, dir, id)?;
    let record = found.read()?;
    // Opened behind the verdicts, so that it reaches as far as they do.
    let archive = open(dir, CHANGES, |place| {
        Archive::open(place, sealer(purpose::LISTS))
    })?;
    let decided_again = decide_again(&record, &archive)?;
    let entries = entries(&record, &archive)?;
    let book = book(&record, &archive)?;
    let mut record_keys = RecordKeys::default();
    record_keys.hand_out(RECORD, &verdicts, std::slice::from_ref(&found.record))?;
    let changes = archive.log().journal();
    record_keys.hand_out(ENTRY_RECORDS, changes, &entries)?;
    record_keys.hand_out(BOOK, changes, std::slice::from_ref(&book))?;
    let mut files = Files::new();
    let mut put = |name: &str, bytes| files.insert(name.to_owned(), bytes);
    put(RECORD, found.record.to_bytes());
    put(
        ENTRY_RECORDS,
        entries.iter().flat_map(Record::to_bytes).collect(),
    );
    put(BOOK, book.to_bytes());
    if let Some(json) = record_keys.to_json()? {
        put(RECORD_KEYS, json);
    }
    let covered = match args.chain_mib {
        0 => Err(Uncovered::LeftOut),
        mib => cover(&verdicts, dir, &found.record, mib << 20, keys)?,
    };
    let uncovered = match covered {
        Ok((point, chain)) => {
            let line = point
                .line()
                .map_err(|error| Failure::new("write the check point", error))?;
            put(CHECK_POINT, line.into_bytes());
            put(CHAIN, chain);
            None
        }
        Err(uncovered) => Some(uncovered),
    };
    let about = About {
        form: FORM,
        verdict_id: id.to_string(),
        made_at: Time::from_micros(Clock::system().now_micros()).to_string(),
        made_by: ENGINE_VERSION.to_owned(),
        masked: !args.unmasked,
        verdicts_up_to: found.up_to,
        decided_again,
        superseded_by: found.superseded_by,
        further_answers: found.further_answers,
        uncovered,
    };
    Ok(Collected { files, about })
}

/// Opens what lies in a part of the data directory.
fn open<T>(
    dir: &Path,
    part: &str,
    open: impl FnOnce(&Path) -> Result<T, OpenError>,
) -> Result<T, Failure> {
    open(&dir.join(part)).map_err(|error| match error {
        OpenError::Absent { .. } => none_here(dir, part),
        OpenError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            none_here(dir, part)
        }
        error => Failure::new(format!("open the journal of {part}"), error),
    })
}

fn none_here(dir: &Path, part: &str) -> Failure {
    Failure::plain(format!(
        "`{}` holds no journal of {part}: name the directory that `serve` was given by `--data-dir`, or a copy of it",
        dir.display()
    ))
}

/// A verdict as the journal holds it.
struct Found {
    record: Record,
    superseded_by: Option<String>,
    further_answers: u64,
    up_to: u64,
}

impl Found {
    /// What its record says, when that is all there.
    fn read(&self) -> Result<VerdictRecord, Failure> {
        let read = verdict_record(&self.record)
            .map_err(|error| Failure::new("read the record of the verdict", error))?;
        let read = read.unwrap_or_default();
        match read.event {
            Some(_) => Ok(read),
            None => Err(Failure::plain(
                "ERASED: the record no longer holds what the verdict rested on, so nothing can be shown of it",
            )),
        }
    }
}

/// Reads the journal to its end: the first answer of a slot stands, and what took its place comes later.
fn find(journal: &Journal, dir: &Path, id: VerdictId) -> Result<Found, Failure> {
    let wanted = id.to_string();
    let head = journal.head();
    let (mut first, mut superseded_by) = (None, None);
    let (mut further_answers, mut unread) = (0, 0_u64);
    let bar = bar(VERDICTS, head.next_position);
    for record in journal.read_from(Position(0)) {
        let record = record.map_err(|error| Failure::new("read the journal of verdicts", error))?;
        if record.sequence.is_multiple_of(TOLD_EVERY) {
            bar.set_position(record.position.0);
        }
        let Ok(said) = verdict_record(&record) else {
            unread += 1;
            continue;
        };
        let Some(verdict) = said.and_then(|said| said.verdict) else {
            continue;
        };
        if verdict.supersedes.as_ref() == Some(&wanted) {
            superseded_by = Some(verdict.verdict_id.clone());
        }
        if verdict.verdict_id == wanted {
            match first {
                None => first = Some(record),
                Some(_) => further_answers += 1,
            }
        }
    }
    bar.finish_and_clear();
    let Some(record) = first else {
        let unread = match unread {
            0 => String::new(),
            unread => format!(" ({unread} of them cannot be read)"),
        };
        return Err(Failure::plain(format!(
            "verdict {wanted} is not among the {} records in `{}`{unread}: another service gave it, or it is younger than this \
             copy",
            head.sequence,
            dir.join(VERDICTS).display()
        )));
    };
    Ok(Found {
        record,
        superseded_by,
        further_answers,
        up_to: head.sequence,
    })
}

fn decide_again(record: &VerdictRecord, archive: &Archive) -> Result<Again, Failure> {
    let history: Arc<dyn History> = Arc::new(archive.clone());
    let replayed = replay(record, &history)
        .map_err(|error| Failure::new("decide the verdict again", error))?;
    Ok(match replayed.same && replayed.explanation_same {
        true => Again::Same,
        false => Again::Different,
    })
}

/// The records of the entries that the verdict used, in the order in which they were made.
fn entries(record: &VerdictRecord, archive: &Archive) -> Result<Vec<Record>, Failure> {
    let verdict = record.verdict.clone().unwrap_or_default();
    let version = list_version_from_text(&verdict.list_version)
        .map_err(|error| Failure::new("read the list version of the verdict", error))?;
    let used = entries_used(&verdict).into_keys().collect();
    let found = archive
        .entry_records(&used, version.seq)
        .map_err(|error| Failure::new("read the entries of then", error))?;
    if let Some(entry_id) = used.iter().find(|entry_id| !found.contains_key(*entry_id)) {
        return Err(Failure::plain(format!(
            "entry {entry_id}, on which the verdict rests, is not in the change log up to version {version}"
        )));
    }
    let mut records: Vec<Record> = found.into_values().collect();
    records.sort_by_key(|record| record.sequence);
    Ok(records)
}

fn book(record: &VerdictRecord, archive: &Archive) -> Result<Record, Failure> {
    let verdict = record.verdict.as_ref();
    let version = verdict.map_or("", |verdict| verdict.book_version.as_str());
    let found = BookVersion::parse(version)
        .map(|version| archive.book_record(version))
        .transpose()
        .map_err(|error| Failure::new("read the book of then", error))?;
    found.flatten().ok_or_else(|| {
        Failure::plain(format!(
            "book `{version}`, by which the verdict was decided, is not in the change log"
        ))
    })
}

/// The first check point that covers a record, and the records from behind that one up to it.
fn cover(
    verdicts: &Journal,
    dir: &Path,
    record: &Record,
    bytes_max: u64,
    keys: &PublicKeys,
) -> Result<Result<(CheckPoint, Vec<u8>), Uncovered>, Failure> {
    let file = dir.join(check_points::FILE);
    let log_id = verdicts.log_id();
    let point = covering(Kind::Own, &file, VERDICTS, log_id, record.sequence)
        .map_err(|error| Failure::new("find the check point that covers the verdict", error))?;
    let Some(point) = point else {
        return Ok(Err(match file.is_file() {
            true => Uncovered::NoneCovers,
            false => Uncovered::NoneMade,
        }));
    };
    if !keys.is_empty() {
        point.verify(keys).map_err(|why| {
            Failure::plain(format!(
                "check point {} in `{}` {why}",
                point.number,
                file.display()
            ))
        })?;
    }
    // It may have been made since the journal was opened.
    verdicts
        .refresh()
        .map_err(|error| Failure::new("read the journal of verdicts", error))?;
    let chain = chain(verdicts, record, &point, bytes_max)?;
    Ok(Ok((point, chain)))
}

fn chain(
    verdicts: &Journal,
    record: &Record,
    point: &CheckPoint,
    bytes_max: u64,
) -> Result<Vec<u8>, Failure> {
    let number = point.number;
    let contradicted = |why: &str| {
        Failure::plain(format!(
            "the journal of verdicts is not what check point {number} names: {why}; `creditgate journal verify` tells where"
        ))
    };
    let Some(said) = point.heads.get(VERDICTS) else {
        return Err(contradicted("it names none"));
    };
    let mut head = record.head();
    let bytes = said.next_position.saturating_sub(head.next_position.0);
    if bytes > bytes_max {
        return Err(Failure::plain(format!(
            "between the verdict and check point {number} lie {} records of {} MiB: allow more (`--chain-mib`), or leave \
             the check point out (`--chain-mib 0`): then only the receipt proves it, against the journal",
            said.sequence - record.sequence,
            bytes.div_ceil(1 << 20)
        )));
    }
    let mut chain = Vec::new();
    let mut records = verdicts.read_from(head.next_position);
    while head.sequence < said.sequence {
        let next = records
            .next()
            .ok_or_else(|| contradicted("it ends before that"))?
            .map_err(|error| Failure::new("read the journal of verdicts", error))?;
        if !head.is_continued_by(&next) {
            return Err(contradicted("its records do not continue one another"));
        }
        head = next.head();
        chain.extend(next.to_bytes());
    }
    match point.names(VERDICTS, &head) {
        true => Ok(chain),
        false => Err(contradicted("it was written anew")),
    }
}
