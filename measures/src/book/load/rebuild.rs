//! A book beside its rows as they were written, from which changed rows can be built.

use super::super::cases::{self, FailedCase};
use super::super::source::MeasureSource;
use super::super::{Book, BookError, BookErrors, Deployment, Measure, Supplement, guards};
use super::parts::Part;
use super::{Around, Confirmations, Loader, Place, Row, SourceFile};

/// A loaded book and what its rows were made of.
pub(in super::super) struct Written {
    pub book: Book,
    pub rows: Vec<Row>,
    confirmations: Confirmations,
}

impl Written {
    /// As [`Book::load`], keeping what the rows were made of, with the cases that fail.
    pub fn load(
        files: &[SourceFile],
        deployment: &Deployment,
    ) -> Result<(Self, Vec<FailedCase>), BookErrors> {
        let mut loader = Loader::default();
        let book = loader.load(files, deployment);
        let mut errors = loader.errors;
        errors.append(&mut loader.broken);
        // Asked of those who write a book; what loads and passes is not refused for it.
        errors.extend(loader.rows.iter().filter_map(one_sided));
        match book {
            Some(book) if errors.is_empty() => {
                let failed = cases::run(&book, &loader.rows);
                let written = Self {
                    book,
                    rows: loader.rows,
                    confirmations: Confirmations::default(),
                };
                Ok((written, failed))
            }
            _ => {
                errors.sort();
                Err(BookErrors(errors))
            }
        }
    }

    /// The row as it would be if it were written so, without any confirmation; `None` when it
    /// cannot be read.
    pub fn rebuild(&self, row: &Row, source: &MeasureSource) -> Option<Measure> {
        let place = Place {
            file: &row.file,
            subject: row.measure.id.as_str(),
        };
        let around = Around {
            edition: &self.book.edition,
            lists: &self.book.lists,
            scenarios: &self.book.scenarios,
            confirmations: &self.confirmations,
        };
        let part = Part::of(self.supplement(&row.measure).cloned());
        let mut loader = Loader::default();
        loader
            .measure(place, row.line, source, &part, &around)
            .filter(|_| loader.errors.is_empty() && loader.broken.is_empty())
    }

    /// Whether a guard refuses this row in the place of the other.
    pub fn guarded(&self, row: &Row, changed: &Measure, source: &MeasureSource) -> bool {
        let Book {
            edition,
            lists,
            scenarios,
            ..
        } = &self.book;
        let others = self.rows.iter().filter(|other| !std::ptr::eq(*other, row));
        let supplement = self.supplement(&row.measure);
        let measures = others.clone().map(|other| &other.measure);
        let versions = measures.clone().filter(|other| other.id == changed.id);
        !guards::broken(changed, source, edition, scenarios).is_empty()
            || !guards::coupling(changed, source.field.is_some(), lists, scenarios).is_empty()
            || !guards::supplement_broken(changed, supplement, measures).is_empty()
            || versions.into_iter().any(|other| overlap(other, changed))
    }

    fn supplement(&self, row: &Measure) -> Option<&Supplement> {
        let code = row.supplement.as_ref()?;
        let mut known = self.book.supplements.iter();
        known.find(|supplement| supplement.code == *code)
    }
}

/// A row whose cases hold fast one side of it only.
fn one_sided(row: &Row) -> Option<BookError> {
    let place = Place {
        file: &row.file,
        subject: row.measure.id.as_str(),
    };
    let (rule, mend) = guards::one_sided(&row.source)?;
    Some(place.error(row.line, rule, mend))
}

/// Whether two versions of a row hold on the same day.
fn overlap(a: &Measure, b: &Measure) -> bool {
    let before = |a: &Measure, b: &Measure| {
        let (end, start) = (a.effective_to, b.effective_from);
        end.zip(start).is_some_and(|(end, start)| end < start)
    };
    !before(a, b) && !before(b, a)
}
