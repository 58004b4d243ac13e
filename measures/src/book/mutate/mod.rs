//! Whether the cases of a book hold its law fast: each field of each row is changed a little, and
//! the change must be refused or make a case of the row fail.
//!
//! A change that nothing notices *survives*: the field could be written wrongly and nobody would
//! know.

mod changes;
mod integers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cases::{self, FailedCase};
use super::load::{Row, Written};
use super::source::{CaseSource, MeasureSource, ParametersSource};
use super::{Book, BookError, BookErrors, Deployment, Measure, SourceFile};
use crate::event::MeasureId;

/// What became of every change, by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// The rows by id, then first day.
    pub rows: Vec<RowMutation>,
}

/// The changes of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowMutation {
    /// Id of the row.
    pub id: MeasureId,
    /// The file it stands in.
    pub file: String,
    /// Its first line.
    pub line: u64,
    /// Its changes, in the order of the fields.
    pub mutants: Vec<Mutant>,
}

/// One change of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// The field.
    pub field: &'static str,
    /// What was changed, such as `RESTRICT → PROHIBIT`.
    pub change: String,
    /// What became of it.
    pub fate: Fate,
}

/// What becomes of a changed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The book refuses it.
    Refused,
    /// One of its cases fails.
    CaseFailed,
    /// Nothing notices.
    Survived,
}

impl Mutant {
    /// Whether the change was noticed.
    #[must_use]
    pub fn killed(&self) -> bool {
        self.fate != Fate::Survived
    }
}

impl RowMutation {
    /// The changes that nothing noticed.
    pub fn survivors(&self) -> impl Iterator<Item = &Mutant> {
        self.mutants.iter().filter(|mutant| !mutant.killed())
    }

    /// How many changes were noticed.
    #[must_use]
    pub fn killed(&self) -> usize {
        self.mutants.iter().filter(|mutant| mutant.killed()).count()
    }
}

impl Mutation {
    /// How many changes were noticed.
    #[must_use]
    pub fn killed(&self) -> usize {
        self.rows.iter().map(RowMutation::killed).sum()
    }

    /// How many changes there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.rows.iter().map(|row| row.mutants.len()).sum()
    }

    /// Noticed changes and all of them, by field.
    #[must_use]
    pub fn by_field(&self) -> BTreeMap<&'static str, (usize, usize)> {
        let mut fields: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for mutant in self.rows.iter().flat_map(|row| &row.mutants) {
            let (killed, total) = fields.entry(mutant.field).or_default();
            *killed += usize::from(mutant.killed());
            *total += 1;
        }
        fields
    }
}

/// What became of the cases of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// How many rows there are.
    pub rows: usize,
    /// How many cases they carry.
    pub cases: usize,
    /// The cases that fail.
    pub failed: Vec<FailedCase>,
}

/// Judges the cases of a book that otherwise holds.
///
/// # Errors
/// When the book is refused for anything but its cases.
pub fn test(files: &[SourceFile], deployment: &Deployment) -> Result<Tested, BookErrors> {
    let (written, failed) = Written::load(files, deployment)?;
    Ok(Tested {
        rows: written.rows.len(),
        cases: written.rows.iter().map(|row| row.measure.cases).sum(),
        failed,
    })
}

/// Changes every field of every row of a book; `progress` hears how many rows are done of how many.
///
/// # Errors
/// When the book itself is refused.
pub fn mutate(
    files: &[SourceFile],
    deployment: &Deployment,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Mutation, BookErrors> {
    let (written, failed) = Written::load(files, deployment)?;
    if !failed.is_empty() {
        let errors = failed.into_iter().map(BookError::from);
        return Err(BookErrors(errors.collect()));
    }
    let bare = written.book.with_rows(Vec::new());
    let total = written.rows.len();
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, RowMutation>> = Mutex::default();
    let work = || {
        while let Some((index, row)) = next_row(&next, &written.rows) {
            let mutants = of_row(row, &written, &bare);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.insert(index, of(row, mutants));
            progress(done.len(), total);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Mutation {
        rows: done.into_values().collect(),
    })
}

fn next_row<'r>(next: &AtomicUsize, rows: &'r [Row]) -> Option<(usize, &'r Row)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    rows.get(index).map(|row| (index, row))
}

fn of(row: &Row, mutants: Vec<Mutant>) -> RowMutation {
    RowMutation {
        id: row.measure.id.clone(),
        file: row.file.clone(),
        line: row.line,
        mutants,
    }
}

/// The changes of a row that make another row of it, each once.
fn of_row(row: &Row, written: &Written, bare: &Book) -> Vec<Mutant> {
    let mut seen = BTreeSet::new();
    let own = written.rebuild(row, &row.source);
    seen.extend(own.map(|own| format!("{own:?}")));
    let mut mutants = Vec::new();
    for change in changes::of(&row.source, &written.book) {
        let built = written.rebuild(row, &change.source);
        let reads = match &built {
            Some(measure) => format!("{measure:?}"),
            None => format!("{:?}", change.source),
        };
        if !seen.insert(reads) {
            continue;
        }
        let guarded = |built: &Measure| written.guarded(row, built, &change.source);
        let fate = match built.filter(|built| !guarded(built)) {
            None => Fate::Refused,
            Some(measure) => by_cases(measure, &change.source, bare),
        };
        mutants.push(Mutant {
            field: change.field,
            change: change.how,
            fate,
        });
    }
    mutants
}

fn by_cases(measure: Measure, source: &MeasureSource, bare: &Book) -> Fate {
    let told = measure.told();
    let alone = bare.with_row_alone(Measure {
        active: true,
        ..measure.clone()
    });
    let holds = |case: &CaseSource| cases::difference(&alone, &measure, &told, case).is_none();
    if source.cases.iter().all(|case| holds(&case.value)) {
        Fate::Survived
    } else {
        Fate::CaseFailed
    }
}
