//! What the rows of a file are: entries of a list, or subjects to be checked. The readers of the formats know cells and
//! lines; what they mean is said here.

use creditgate_proto::{Refused, json, v1};

use super::headers::{self, COLUMNS};
use super::mapping::{self, Mapping};
use super::values::Cell;
use super::{entry, participant};

/// What a row of a file becomes.
pub trait Record: Sized {
    /// Columns of our own, as a message names them.
    const COLUMNS: &'static [&'static str];
    /// What a mapping file may look like.
    const MAPPING: &'static str;

    /// The field that a header names; none: not known.
    fn field_of(header: &str) -> Option<&'static str>;

    /// The field of this name; none: there is none.
    fn field_named(name: &str) -> Option<&'static str>;

    /// The names of all fields, for a message.
    fn fields() -> String;

    /// The record of a row of cells.
    ///
    /// # Errors
    /// Why it is none; never with a value of the row.
    fn of_cells<'a>(
        cells: impl Iterator<Item = (&'static str, &'a Cell)>,
        mapping: &'a Mapping,
    ) -> Result<Self, Refused>;

    /// The record of a line of JSON.
    ///
    /// # Errors
    /// Why it is none; never with a value of the line.
    fn of_json_line(line: &[u8]) -> Result<Self, Refused>;
}

impl Record for v1::Entry {
    const COLUMNS: &'static [&'static str] = &COLUMNS;
    const MAPPING: &'static str = mapping::EXAMPLE;

    fn field_of(header: &str) -> Option<&'static str> {
        headers::field_of(header)
    }

    fn field_named(name: &str) -> Option<&'static str> {
        headers::field_named(name)
    }

    fn fields() -> String {
        mapping::fields()
    }

    fn of_cells<'a>(
        cells: impl Iterator<Item = (&'static str, &'a Cell)>,
        mapping: &'a Mapping,
    ) -> Result<Self, Refused> {
        entry::entry(cells, mapping)
    }

    fn of_json_line(line: &[u8]) -> Result<Self, Refused> {
        json::entry_from_json_line(line)
    }
}

impl Record for participant::Participant {
    const COLUMNS: &'static [&'static str] = &participant::COLUMNS;
    const MAPPING: &'static str = participant::EXAMPLE;

    fn field_of(header: &str) -> Option<&'static str> {
        participant::field_of(header)
    }

    fn field_named(name: &str) -> Option<&'static str> {
        participant::field_named(name)
    }

    fn fields() -> String {
        participant::fields()
    }

    fn of_cells<'a>(
        cells: impl Iterator<Item = (&'static str, &'a Cell)>,
        mapping: &'a Mapping,
    ) -> Result<Self, Refused> {
        participant::of_cells(cells, mapping)
    }

    fn of_json_line(line: &[u8]) -> Result<Self, Refused> {
        participant::of_json_line(line)
    }
}
