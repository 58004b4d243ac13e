//! A book beside its rows as they were written, from which changed rows can be built.

use super::super::source::MeasureSource;
use super::super::{Book, BookErrors, Deployment, Measure, cases};
use super::{Loader, Place, Row, SourceFile};
use crate::vocabulary::Class;
use std::collections::BTreeMap;

/// A loaded book and what its rows were made of.
pub(in super::super) struct Written {
    pub book: Book,
    pub rows: Vec<Row>,
    pub items: BTreeMap<String, Class>,
}

impl Written {
    /// As [`Book::load`], keeping what the rows were made of.
    pub fn load(files: &[SourceFile], deployment: &Deployment) -> Result<Self, BookErrors> {
        let mut loader = Loader::default();
        let Some(book) = loader.load(files, deployment) else {
            return Err(loader.refusal());
        };
        if loader.errors.is_empty() {
            loader.errors = cases::run(&book, &loader.rows);
        }
        if !loader.errors.is_empty() {
            return Err(loader.refusal());
        }
        Ok(Self {
            book,
            rows: loader.rows,
            items: loader.items,
        })
    }

    /// The row as it would be if it were written so, without any confirmation; `None` when the
    /// book refuses it.
    pub fn rebuild(&self, row: &Row, source: &MeasureSource) -> Option<Measure> {
        let place = Place {
            file: &row.file,
            subject: row.measure.id.as_str(),
        };
        let mut loader = Loader::default();
        let (lists, scenarios) = (&self.book.lists, &self.book.scenarios);
        loader
            .measure(place, row.line, source, lists, scenarios, None)
            .filter(|_| loader.errors.is_empty())
    }
}

impl Loader {
    fn refusal(mut self) -> BookErrors {
        self.errors.sort();
        BookErrors(self.errors)
    }
}
