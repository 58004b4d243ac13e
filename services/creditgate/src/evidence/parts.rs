//! What a package says: its raw files read, each held against what the others say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use creditgate_gate::verdict_record;
use creditgate_measures::book::{Book, BookVersion, Measure};
use creditgate_measures::canonical;
use creditgate_measures::entry::Entry;
use creditgate_measures::event::{EventId, Source};
use creditgate_measures::lists::ListVersion;
use creditgate_measures::verdict::Cause;
use creditgate_proto::{encode, list_version_from_text, v1};
use creditgate_registry::log::{What, load_book};
use creditgate_runtime::check_points::CheckPoint;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::{Record, read_apart};

use super::about::{About, FORM};
use super::keys::RecordKeys;
use super::{ABOUT, BOOK, CHAIN, CHECK_POINT, ENTRY_RECORDS, Files, RECORD};
use crate::journal::VERDICTS;

/// A file of a package that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    /// The file.
    pub file: &'static str,
    /// Why.
    pub why: String,
}

impl Fault {
    /// A fault of a file.
    pub fn new(file: &'static str, why: impl Into<String>) -> Self {
        Self {
            file,
            why: why.into(),
        }
    }
}

/// What a package says.
pub struct Parts {
    pub about: About,
    /// The verdict's record.
    pub record: Record,
    pub verdict: v1::Verdict,
    pub event: v1::Event,
    /// The entries that the verdict used, in the order of their records.
    pub entries: Vec<Listed>,
    pub book: Book,
    /// The rows that the verdict names.
    pub rows: Vec<Arc<Measure>>,
    pub proof: Option<Proof>,
}

/// An entry as it was recorded.
pub struct Listed {
    pub record: Record,
    pub entry: Entry,
}

/// That the verdict's record is the one that a check point covers.
pub struct Proof {
    pub point: CheckPoint,
    /// How many records lie behind the verdict's, up to the last that the check point names.
    pub between: u64,
}

impl Parts {
    /// Reads the raw files.
    ///
    /// # Errors
    /// The first that is not what it should be.
    pub fn read(files: &Files) -> Result<Self, Fault> {
        let about = about(files)?;
        let mut keys = RecordKeys::read(files)?;
        let record = keys.open(RECORD, single(files, RECORD)?)?;
        let (event, verdict) = said(&record, &about)?;
        let version = list_version_from_text(&verdict.list_version)
            .map_err(|error| Fault::new(RECORD, error.to_string()))?;
        let entries = entries(files, &mut keys, &verdict, version)?;
        let book = book(files, &mut keys, &verdict, version)?;
        keys.are_all_used()?;
        let rows = rows(&book, &verdict)?;
        let proof = proof(files, &record, &about)?;
        Ok(Self {
            about,
            record,
            verdict,
            event,
            entries,
            book,
            rows,
            proof,
        })
    }

    /// The entry with this id.
    pub fn entry(&self, entry_id: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter().map(|listed| &listed.entry);
        entries.find(|entry| entry.entry_id.as_str() == entry_id)
    }

    /// The codes of the lists on which the entries stand, each once.
    pub fn list_codes(&self) -> BTreeSet<&str> {
        let entries = self.entries.iter();
        entries.map(|listed| listed.entry.list.as_str()).collect()
    }

    /// The row of a measure that the verdict names.
    pub fn row(&self, measure: &v1::Measure) -> Option<&Arc<Measure>> {
        row_of(&self.rows, measure)
    }
}

/// The entries that a verdict rests on, each with its list.
pub fn entries_used(verdict: &v1::Verdict) -> BTreeMap<String, String> {
    let mut used = BTreeMap::new();
    for subject in &verdict.subjects {
        let triggered = subject.triggered.iter().map(|one| &one.entry);
        let incentives = subject.offered.iter().chain(&subject.withheld);
        let hits = triggered.chain(incentives.map(|one| &one.entry));
        for hit in hits.flatten() {
            used.insert(hit.entry_id.clone(), hit.list.clone());
        }
    }
    used
}

fn bytes<'a>(files: &'a Files, file: &'static str) -> Result<&'a [u8], Fault> {
    let found = files.get(file).map(Vec::as_slice);
    found.ok_or_else(|| Fault::new(file, "it is missing"))
}

fn about(files: &Files) -> Result<About, Fault> {
    let about: About = serde_json::from_slice(bytes(files, ABOUT)?)
        .map_err(|error| Fault::new(ABOUT, error.to_string()))?;
    if about.form != FORM {
        return Err(Fault::new(
            ABOUT,
            format!(
                "it is of form {}, and this version reads form {FORM}",
                about.form
            ),
        ));
    }
    Ok(about)
}

/// The one record of a file.
fn single(files: &Files, file: &'static str) -> Result<Record, Fault> {
    let mut records = read_apart(bytes(files, file)?);
    match (records.next(), records.next()) {
        (Some(Ok(record)), None) => Ok(record),
        (Some(Err(error)), _) | (_, Some(Err(error))) => Err(Fault::new(file, error.to_string())),
        _ => Err(Fault::new(file, "it must hold one record")),
    }
}

/// The event and the verdict of the verdict's record.
fn said(record: &Record, about: &About) -> Result<(v1::Event, v1::Verdict), Fault> {
    let fault = |why: &str| Fault::new(RECORD, why);
    let said = verdict_record(record).map_err(|error| fault(&error.to_string()))?;
    let said = said.ok_or_else(|| fault("its record is of another kind than verdicts"))?;
    let (Some(event), Some(verdict)) = (said.event, said.verdict) else {
        return Err(fault("its record lacks the event or the verdict"));
    };
    let cause = Cause::parse(&verdict.cause).ok_or_else(|| fault("it has no cause"))?;
    let source = Source::new(verdict.source.as_str());
    let event_id = EventId::new(verdict.event_id.as_str());
    let id = canonical::verdict_id(&source, &event_id, &cause);
    if id.to_string() != verdict.verdict_id {
        return Err(fault(
            "the id of its verdict does not follow from its event",
        ));
    }
    if verdict.verdict_id != about.verdict_id {
        return Err(fault("it holds another verdict than the one that is named"));
    }
    if (&event.source, &event.id) != (&verdict.source, &verdict.event_id) {
        return Err(fault("its event is not the one that was judged"));
    }
    Ok((event, verdict))
}

fn entries(
    files: &Files,
    keys: &mut RecordKeys,
    verdict: &v1::Verdict,
    version: ListVersion,
) -> Result<Vec<Listed>, Fault> {
    let fault = |why: String| Fault::new(ENTRY_RECORDS, why);
    let mut due = entries_used(verdict);
    let mut listed: Vec<Listed> = Vec::new();
    for record in read_apart(bytes(files, ENTRY_RECORDS)?) {
        let record = record.map_err(|error| fault(error.to_string()))?;
        let record = keys.open(ENTRY_RECORDS, record)?;
        let number = record.sequence;
        let what = What::of(number, record.kind, record.payload.clone())
            .map_err(|error| fault(Chain(&error).to_string()))?;
        let What::Put(put) = what else {
            return Err(fault(format!("record {number} is of no entry")));
        };
        let entry = Entry::from_stored(&put.stored)
            .map_err(|error| fault(format!("record {number}: {error}")))?;
        if number > version.seq {
            return Err(fault(format!(
                "record {number} came after version {}, by which was decided",
                version.seq
            )));
        }
        if due.remove(entry.entry_id.as_str()).as_deref() != Some(entry.list.as_str()) {
            return Err(fault(format!(
                "record {number} is of an entry that the verdict does not rest on"
            )));
        }
        listed.push(Listed { record, entry });
    }
    match due.into_keys().next() {
        None => Ok(listed),
        Some(entry_id) => Err(fault(format!(
            "the verdict rests on entry {entry_id}, which is not here"
        ))),
    }
}

fn book(
    files: &Files,
    keys: &mut RecordKeys,
    verdict: &v1::Verdict,
    version: ListVersion,
) -> Result<Book, Fault> {
    let fault = |why: String| Fault::new(BOOK, why);
    let record = keys.open(BOOK, single(files, BOOK)?)?;
    let number = record.sequence;
    let what = What::of(number, record.kind, record.payload)
        .map_err(|error| fault(Chain(&error).to_string()))?;
    let What::Book(book) = what else {
        return Err(fault("its record is of no book".to_owned()));
    };
    if number > version.seq {
        return Err(fault(format!(
            "it came after version {}, by which was decided",
            version.seq
        )));
    }
    let named = BookVersion::parse(&verdict.book_version)
        .ok_or_else(|| Fault::new(RECORD, "the verdict names no book"))?;
    load_book(*book, named).map_err(|error| fault(Chain(&error).to_string()))
}

/// The rows of the book that a verdict names, each as the verdict tells it.
fn rows(book: &Book, verdict: &v1::Verdict) -> Result<Vec<Arc<Measure>>, Fault> {
    let mut rows: Vec<Arc<Measure>> = Vec::new();
    let mut add = |row: &Arc<Measure>| {
        if !rows.iter().any(|other| Arc::ptr_eq(other, row)) {
            rows.push(Arc::clone(row));
        }
    };
    for subject in &verdict.subjects {
        let triggered = subject.triggered.iter().map(|one| &one.measure);
        let incentives = subject.offered.iter().chain(&subject.withheld);
        let named = triggered.chain(incentives.map(|one| &one.measure));
        for measure in named.flatten() {
            let row = row_of(book.measures(), measure).ok_or_else(|| {
                Fault::new(
                    BOOK,
                    format!("it has no row `{}` as the verdict tells it", measure.id),
                )
            })?;
            add(row);
        }
        for id in subject.triggered.iter().flat_map(|one| &one.also) {
            let rows = book.measures().iter();
            rows.filter(|row| row.id.as_str() == id).for_each(&mut add);
        }
    }
    Ok(rows)
}

fn row_of<'a>(rows: &'a [Arc<Measure>], measure: &v1::Measure) -> Option<&'a Arc<Measure>> {
    rows.iter().find(|row| encode::measure(row) == *measure)
}

/// Follows the records from the verdict's to the last one that the check point names.
fn proof(files: &Files, record: &Record, about: &About) -> Result<Option<Proof>, Fault> {
    let Some(line) = files.get(CHECK_POINT) else {
        return match (files.contains_key(CHAIN), about.uncovered) {
            (true, _) => Err(Fault::new(
                CHAIN,
                "the check point that it leads to is missing",
            )),
            (false, None) => Err(Fault::new(CHECK_POINT, "it is missing")),
            (false, Some(_)) => Ok(None),
        };
    };
    if about.uncovered.is_some() {
        return Err(Fault::new(ABOUT, "it says that there is no check point"));
    }
    let point =
        CheckPoint::parse(line).map_err(|why| Fault::new(CHECK_POINT, format!("it {why}")))?;
    let mut head = record.head();
    let mut between = 0;
    for next in read_apart(bytes(files, CHAIN)?) {
        let next = next.map_err(|error| Fault::new(CHAIN, error.to_string()))?;
        if !head.is_continued_by(&next) {
            let why = format!(
                "record {} does not continue the one before it, number {}",
                next.sequence, head.sequence
            );
            return Err(Fault::new(CHAIN, why));
        }
        head = next.head();
        between += 1;
    }
    if !point.names(VERDICTS, &head) {
        let why = format!(
            "it names another record than number {}, to which the verdict's leads",
            head.sequence
        );
        return Err(Fault::new(CHECK_POINT, why));
    }
    Ok(Some(Proof { point, between }))
}
