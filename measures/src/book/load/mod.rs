//! From the files that people write to a book, or to the list of everything that is wrong with them.

mod calendar;
mod lists;
mod notices;
mod parts;
mod places;
mod rebuild;
mod repair;
mod rows;
mod scenarios;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::book::source::Spanned;
use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::source::{BookFile, ConfirmationSource, ConfirmationsFile, MeasureSource};
use super::terms::{StageRow, Terms};
use super::{Book, BookVersion, Edition, List, Measure, Scenario, StageRows, cases, guards};
use crate::event::{ListCode, Region, ScenarioCode};
use crate::name::SimplifyTable;
use crate::vocabulary::{Colour, Confidence, Effect};
use parts::Part;

pub(super) use rebuild::Written;

const HOUR_MICROS: i64 = 3_600 * 1_000_000;

/// A file of a book: its path within the catalogue, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path with `/`, such as `measures/tender.yaml`; the folder says what the file holds.
    pub path: String,
    /// The text.
    pub text: String,
}

impl SourceFile {
    /// A file.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

/// What one deployment says about the book; it belongs to the book version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Files that confirm inactive or recalled rows.
    pub confirmations: Vec<SourceFile>,
    /// Lists that are not connected, with the reason.
    pub not_connected: BTreeMap<String, String>,
    /// Who vouches for the files.
    pub signing: Signing,
}

/// Who vouches for the files of a book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Signing {
    /// Nobody said: books recorded before books were signed.
    #[default]
    Untold,
    /// Nobody does; every verdict says so.
    Unsigned,
    /// The holder of a key, whose signature was verified.
    Signed {
        /// Id of the key.
        key_id: Arc<str>,
    },
}

/// One thing that is wrong with a book.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {subject}: {rule}; {mend}")]
pub struct BookError {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 when no line is at fault.
    pub line: u64,
    /// The row, list or scenario at fault.
    pub subject: String,
    /// The rule that is broken.
    pub rule: String,
    /// What to do.
    pub mend: String,
}

/// Everything that is wrong with a book: it is refused whole, and the last good book stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookErrors(pub Vec<BookError>);

impl std::error::Error for BookErrors {}

impl std::fmt::Display for BookErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the book is refused for {} reason(s)", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n{error}"))
    }
}

impl Book {
    /// SHA-256 over the files alone, in the order of their paths: what is signed.
    #[must_use]
    pub fn content_hash(files: &[SourceFile]) -> [u8; 32] {
        let mut sorted: Vec<&SourceFile> = files.iter().collect();
        sorted.sort_by(|a, b| a.path.cmp(&b.path));
        let mut hash = Sha256::new();
        for file in sorted {
            add(&mut hash, &file.path);
            add(&mut hash, &file.text);
        }
        hash.finalize().into()
    }

    /// Loads a book from its files, in any order.
    ///
    /// # Errors
    /// With everything that is wrong, each with file, line, rule and mend (spec 4).
    pub fn load(files: &[SourceFile], deployment: &Deployment) -> Result<Self, BookErrors> {
        let mut loader = Loader::default();
        let book = loader.load(files, deployment);
        match book {
            Some(book) if loader.errors.is_empty() && loader.broken.is_empty() => {
                let failed = cases::run(&book, &loader.rows);
                if failed.is_empty() {
                    Ok(book)
                } else {
                    Err(BookErrors(failed.into_iter().map(Into::into).collect()))
                }
            }
            _ => {
                loader.errors.append(&mut loader.broken);
                loader.errors.sort();
                Err(BookErrors(loader.errors))
            }
        }
    }

    /// Loads a book that was in force once, as a change log recorded it: to decide again as then.
    ///
    /// Its guards held and its cases passed by the rules of the program that took it; rules that
    /// came later do not reach back.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub fn load_recorded(
        files: &[SourceFile],
        deployment: &Deployment,
    ) -> Result<Self, BookErrors> {
        let mut loader = Loader::default();
        match loader.load(files, deployment) {
            Some(book) if loader.errors.is_empty() => Ok(book),
            _ => {
                loader.errors.sort();
                Err(BookErrors(loader.errors))
            }
        }
    }
}

/// A row as it was written, beside the row it became.
pub(super) struct Row {
    pub file: String,
    pub line: u64,
    pub source: MeasureSource,
    pub measure: Arc<Measure>,
}

/// Where something stands: the file, and the row, list or scenario.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub file: &'a str,
    pub subject: &'a str,
}

impl Place<'_> {
    fn error(self, line: u64, rule: impl Into<String>, mend: impl Into<String>) -> BookError {
        BookError {
            file: self.file.to_owned(),
            line,
            subject: self.subject.to_owned(),
            rule: rule.into(),
            mend: mend.into(),
        }
    }
}

#[derive(Default)]
struct Loader {
    /// What cannot be read.
    errors: Vec<BookError>,
    /// What can be read and breaks a guard.
    broken: Vec<BookError>,
    /// What is said not to be expressed: file, line and id.
    left_out: Vec<(String, u64, String)>,
    rows: Vec<Row>,
}

fn line<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

fn shared(text: Option<&String>) -> Option<Arc<str>> {
    text.map(|text| Arc::from(text.as_str()))
}

impl Loader {
    fn refuse(
        &mut self,
        place: Place<'_>,
        line: u64,
        rule: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.errors.push(place.error(line, rule, mend));
    }

    /// As [`Loader::refuse`], for a guard: it holds for books that are to come into force.
    fn guard(
        &mut self,
        place: Place<'_>,
        line: u64,
        rule: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.broken.push(place.error(line, rule, mend));
    }

    fn parse<T: DeserializeOwned>(&mut self, file: &SourceFile) -> Option<T> {
        match serde_saphyr::from_str(&file.text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let line = error.location().map_or(0, |location| location.line());
                let place = Place {
                    file: &file.path,
                    subject: "form",
                };
                let (rule, mend) = form_error(&error.without_snippet().to_string());
                self.refuse(place, line, rule, mend);
                None
            }
        }
    }

    /// A word of a closed set.
    fn word<T: Copy>(
        &mut self,
        place: Place<'_>,
        what: &str,
        written: &Spanned<String>,
        parse: fn(&str) -> Option<T>,
        known: impl IntoIterator<Item = &'static str>,
    ) -> Option<T> {
        let parsed = parse(&written.value);
        if parsed.is_none() {
            let known: Vec<_> = known.into_iter().collect();
            self.refuse(
                place,
                line(written),
                format!("unknown {what} `{}`", written.value),
                format!("write one of {}", known.join(", ")),
            );
        }
        parsed
    }

    fn region(&mut self, place: Place<'_>, written: &Spanned<String>) -> Option<Region> {
        let region = Region::parse(&written.value);
        if region.is_none() {
            self.refuse(
                place,
                line(written),
                format!("`{}` is not a region", written.value),
                "write the six digits of GB/T 2260, in quotes",
            );
        }
        region
    }

    fn load(&mut self, files: &[SourceFile], deployment: &Deployment) -> Option<Book> {
        let mut sorted: Vec<&SourceFile> = files.iter().collect();
        sorted.sort_by(|a, b| a.path.cmp(&b.path));
        self.guard_places(&sorted);
        let head = sorted.iter().find(|file| file.path == "book.yaml");
        let Some(head) = head else {
            let place = Place {
                file: "book.yaml",
                subject: "book",
            };
            self.refuse(
                place,
                0,
                "the file is missing",
                "add it with name, edition and covers_from",
            );
            return None;
        };
        let head_file: BookFile = self.parse(head)?;
        let edition = self.load_edition(&head.path, &head_file);
        let file = |path: &str| sorted.iter().copied().find(|file| file.path == path);
        let simplify = self.load_names(file("names/simplify.txt"));
        let not_expressed = self.load_not_expressed(file("not-expressed.yaml"));
        let parts = self.parts(&sorted);
        let repair_rules = self.load_repair_rules(inside(&parts, "repair"));
        let calendar = self.load_calendar(inside(&parts, "calendar"));
        let notices = self.load_notices(inside(&parts, "notices"));
        let lists = self.load_lists(&parts, &repair_rules);
        let mut scenarios = self.load_scenarios(inside(&parts, "scenarios"));
        let agreements = self.load_agreements(&parts, &lists);
        let confirmations = self.load_confirmations(deployment);
        let around = Around {
            edition: &edition,
            lists: &lists,
            scenarios: &scenarios,
            confirmations: &confirmations,
        };
        let measures = self.load_measures(&parts, &around);
        self.guard_expressed(&lists, &measures);
        for (id, (file, line)) in &confirmations.places {
            if !measures.iter().any(|row| row.id.as_str() == id) {
                let place = Place { file, subject: id };
                self.refuse(
                    place,
                    *line,
                    "no row has this id",
                    "confirm a row of the book",
                );
            }
        }
        for list in deployment.not_connected.keys() {
            if !lists.contains_key(list.as_str()) {
                let place = Place {
                    file: "configuration",
                    subject: list,
                };
                self.refuse(
                    place,
                    0,
                    "lists.not_connected names an unknown list",
                    "name a list of the book",
                );
            }
        }
        index(&mut scenarios, &measures, &lists);
        Some(Book {
            name: head_file.book.into(),
            title: head_file.title,
            edition,
            supplements: parts
                .into_iter()
                .filter_map(|part| part.supplement)
                .collect(),
            version: version(&sorted, deployment),
            covers_from: head_file.covers_from.0,
            simplify,
            scenarios,
            repair_rules,
            calendar,
            notices,
            lists,
            measures,
            agreements,
            signing: deployment.signing.clone(),
            not_expressed,
            not_connected: deployment
                .not_connected
                .iter()
                .map(|(list, why)| (ListCode::new(list.as_str()), Arc::from(why.as_str())))
                .collect(),
        })
    }

    fn load_names(&mut self, file: Option<&SourceFile>) -> SimplifyTable {
        let Some(file) = file else {
            return SimplifyTable::empty();
        };
        SimplifyTable::parse(&file.text).unwrap_or_else(|error| {
            let place = Place {
                file: &file.path,
                subject: "names",
            };
            let line = error.line as u64;
            self.refuse(
                place,
                line,
                error.reason.to_string(),
                "write one pair a line",
            );
            SimplifyTable::empty()
        })
    }

    fn confidence(&mut self, place: Place<'_>, written: &Spanned<String>) -> Confidence {
        self.word(
            place,
            "confidence",
            written,
            Confidence::parse,
            codes(Confidence::ALL, Confidence::code),
        )
        .unwrap_or(Confidence::Recalled)
    }

    fn colour(&mut self, place: Place<'_>, written: &Spanned<String>) -> Option<Colour> {
        self.word(
            place,
            "colour",
            written,
            Colour::parse,
            codes(Colour::ALL, Colour::code),
        )
    }

    fn load_confirmations(&mut self, deployment: &Deployment) -> Confirmations {
        let mut confirmations = Confirmations::default();
        for file in &deployment.confirmations {
            let Some(parsed) = self.parse::<ConfirmationsFile>(file) else {
                continue;
            };
            for source in parsed.confirmations {
                let id = source.value.measure.value.clone();
                let place = (file.path.clone(), line(&source));
                if confirmations.places.insert(id.clone(), place).is_some() {
                    let place = Place {
                        file: &file.path,
                        subject: &id,
                    };
                    self.refuse(
                        place,
                        line(&source),
                        "the row is confirmed twice",
                        "remove one",
                    );
                }
                let texts = [
                    ("confirmed_by", vec![source.value.confirmed_by.as_str()]),
                    ("document", vec![source.value.document.as_str()]),
                ];
                let place = source.value.published_in.as_deref();
                let texts = texts
                    .into_iter()
                    .chain(place.map(|p| ("published_in", vec![p])));
                for (rule, mend) in guards::blank(texts) {
                    let place = Place {
                        file: &file.path,
                        subject: &id,
                    };
                    self.guard(place, line(&source), rule, mend);
                }
                confirmations.by_id.insert(id, source.value);
            }
        }
        confirmations
    }
}

/// The files of a folder in every part.
fn inside<'f>(
    parts: &[Part<'f>],
    folder: &'static str,
) -> impl Iterator<Item = &'f SourceFile> + use<'f> {
    let files: Vec<_> = parts.iter().flat_map(|part| part.inside(folder)).collect();
    files.into_iter()
}

/// What a row is read against.
#[derive(Clone, Copy)]
struct Around<'a> {
    edition: &'a Edition,
    lists: &'a FxHashMap<ListCode, Arc<List>>,
    scenarios: &'a BTreeMap<ScenarioCode, Scenario>,
    confirmations: &'a Confirmations,
}

#[derive(Default)]
struct Confirmations {
    by_id: BTreeMap<String, ConfirmationSource>,
    places: BTreeMap<String, (String, u64)>,
}

fn list_codes(written: &[Spanned<String>]) -> Vec<ListCode> {
    written
        .iter()
        .map(|code| ListCode::new(code.value.as_str()))
        .collect()
}

/// What the YAML reader says, in words for the person who wrote the file, and how to mend it.
fn form_error(told: &str) -> (String, String) {
    // The line stands in front of the message already.
    let told = told
        .rfind(" at line ")
        .and_then(|at| told.get(..at))
        .unwrap_or(told);
    let mended = |rule: &str, mend: &str| (rule.to_owned(), mend.to_owned());
    if let Some((rule, known)) = told.split_once(", expected one of ") {
        return (rule.to_owned(), format!("write one of {known}"));
    }
    if let Some(rest) = told.strip_prefix("duplicate mapping key: ") {
        let key = rest.split(',').next().unwrap_or(rest);
        return (format!("`{key}` stands twice"), "remove one".to_owned());
    }
    match told {
        "unexpected end of input" => mended(
            "the file is empty, or holds comments only",
            "write the fields of its form, or remove the file",
        ),
        _ if told.starts_with("multiple YAML documents") => mended(
            "the file holds several documents, divided by `---`",
            "write one document a file",
        ),
        "expected sequence start" => mended("expected a list", "write the values in `[` and `]`"),
        "expected mapping start" => mended("expected fields", "write `field: value`"),
        "expected string scalar" => mended("expected a text", "write a text, in quotes if need be"),
        "invalid boolean" => mended("expected true or false", "write `true` or `false`"),
        "invalid u32" | "invalid i64" => mended(
            "not a whole number, or out of range",
            "write a whole number",
        ),
        _ if told.starts_with("budget breached") => mended(
            "the file is larger than one file of a book may be",
            "split it into several files of the same folder",
        ),
        _ if told.starts_with("missing field ") => (told.to_owned(), "add it".to_owned()),
        _ => mended(told, "write the field as the form of the file says"),
    }
}

/// The codes of a closed set, for messages.
fn codes<T: Copy>(
    all: &'static [T],
    code: fn(T) -> &'static str,
) -> impl Iterator<Item = &'static str> + Clone {
    all.iter().map(move |word| code(*word))
}

/// Lays the rows out by stage; replaces what was laid out before.
pub(super) fn index(
    scenarios: &mut BTreeMap<ScenarioCode, Scenario>,
    measures: &[Arc<Measure>],
    lists: &FxHashMap<ListCode, Arc<List>>,
) {
    for scenario in scenarios.values_mut() {
        for stage in &mut scenario.stages {
            let here = |(_, row): &(usize, &Arc<Measure>)| {
                row.applies
                    .iter()
                    .any(|(code, stages)| *code == scenario.code && stages.contains(&stage.code))
            };
            stage.rows = StageRows::of(measures.iter().enumerate().filter(here), lists);
        }
    }
}

impl StageRows {
    fn of<'m>(
        rows: impl Iterator<Item = (usize, &'m Arc<Measure>)>,
        lists: &FxHashMap<ListCode, Arc<List>>,
    ) -> Self {
        let mut indexed = Self::default();
        let mut items: FxHashMap<&str, usize> = FxHashMap::default();
        let mut needs: BTreeMap<ListCode, Vec<Arc<Measure>>> = BTreeMap::new();
        for (place, row) in rows {
            match (row.penalty(), row.active) {
                (Some(_), false) => indexed.inactive_penalties = true,
                (Some(_), true) => indexed.active_penalties = true,
                _ => {}
            }
            if !row.active {
                continue;
            }
            let next = items.len();
            let laid_out = StageRow {
                terms: Terms::of(row),
                place,
                item: row
                    .item
                    .as_deref()
                    .map(|item| *items.entry(item).or_insert(next)),
                measure: Arc::clone(row),
            };
            let Some(effect) = row.penalty() else {
                indexed.incentives.add(&laid_out);
                continue;
            };
            indexed.penalties.add(&laid_out);
            if effect > Effect::HeightenedScrutiny {
                for list in &row.lists {
                    needs.entry(list.clone()).or_default().push(Arc::clone(row));
                }
            }
        }
        // A row that names an unknown list has refused the book.
        indexed.needs = needs
            .into_iter()
            .filter_map(|(code, rows)| Some((Arc::clone(lists.get(&code)?), rows)))
            .collect();
        indexed
    }
}

/// SHA-256 over everything the book was made of, in the order of the paths.
fn version(files: &[&SourceFile], deployment: &Deployment) -> BookVersion {
    let mut hash = Sha256::new();
    let mut part = |text: &str| add(&mut hash, text);
    let mut confirmations: Vec<_> = deployment.confirmations.iter().collect();
    confirmations.sort_by(|a, b| a.path.cmp(&b.path));
    for (kind, files) in [("book", files), ("confirmation", &confirmations)] {
        for file in files {
            part(kind);
            part(&file.path);
            part(&file.text);
        }
    }
    for (list, why) in &deployment.not_connected {
        part("not_connected");
        part(list);
        part(why);
    }
    match &deployment.signing {
        // Adds nothing: books that were recorded before keep their versions.
        Signing::Untold => {}
        Signing::Unsigned => part("unsigned"),
        Signing::Signed { key_id } => {
            part("signed");
            part(key_id);
        }
    }
    BookVersion(hash.finalize().into())
}

/// Adds a text to a hash, length first: two texts never pass for one.
fn add(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}
