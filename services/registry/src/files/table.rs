//! A table of cells: which of its first rows names the columns, and what each column is.

use creditgate_proto::Refused;

use super::mapping::Mapping;
use super::values::Cell;
use super::{Error, Note, Record};

/// How many rows may stand above the names of the columns, such as titles, and one more.
pub const HEADER_WITHIN: usize = 10;

/// What the columns of a table are.
#[derive(Debug)]
pub struct Columns {
    fields: Vec<Option<&'static str>>,
    headers: Vec<String>,
}

/// How many cells of a row name a column that is known.
pub fn known_names<'a, T: Record>(
    cells: impl Iterator<Item = &'a str>,
    mapping: &Mapping,
) -> usize {
    cells
        .filter(|cell| field_of::<T>(cell, mapping).is_some())
        .count()
}

/// Which of the first rows names the columns: the one that knows the most names.
pub fn header_of<T: Record>(rows: &[Vec<String>], mapping: &Mapping) -> Option<usize> {
    let known = |row: &Vec<String>| known_names::<T>(row.iter().map(String::as_str), mapping);
    let (at, most) = rows
        .iter()
        .map(known)
        .enumerate()
        .rev()
        .max_by_key(|(_, known)| *known)?;
    (most > 0).then_some(at)
}

fn field_of<T: Record>(header: &str, mapping: &Mapping) -> Option<&'static str> {
    mapping.field_of(header).or_else(|| T::field_of(header))
}

/// A header as it is shown: enough of it to be found.
fn shown(header: &str) -> String {
    header.trim().chars().take(64).collect()
}

impl Columns {
    /// The columns that a row names.
    ///
    /// # Errors
    /// When a name is not known or two columns are the same field.
    pub fn of<T: Record>(
        header: &[String],
        mapping: &Mapping,
        ignore_unknown: bool,
        note: &mut dyn FnMut(Note),
    ) -> Result<Self, Error> {
        let mut fields: Vec<Option<&'static str>> = Vec::with_capacity(header.len());
        let mut left_out = Vec::new();
        for (at, name) in header.iter().enumerate() {
            let called = shown(name);
            let field = match field_of::<T>(name, mapping) {
                _ if called.is_empty() => None,
                Some("ignore") => {
                    left_out.push(called);
                    None
                }
                None if ignore_unknown => {
                    left_out.push(called);
                    None
                }
                None => {
                    return Err(Error::UnknownColumn {
                        column: called,
                        known: T::COLUMNS.join(", "),
                        example: T::MAPPING,
                    });
                }
                field => field,
            };
            let twice = fields
                .iter()
                .position(|known| known.is_some() && *known == field);
            if let Some(first) = twice {
                return Err(Error::ColumnTwice {
                    column: shown(name),
                    first: header
                        .get(first)
                        .map(|name| shown(name))
                        .unwrap_or_default(),
                    number: at + 1,
                });
            }
            fields.push(field);
        }
        if !left_out.is_empty() {
            note(Note::ColumnsLeftOut(left_out));
        }
        let headers = header.iter().map(|name| shown(name)).collect();
        Ok(Self { fields, headers })
    }

    /// The record of a row.
    ///
    /// # Errors
    /// Why it is none.
    pub fn entry<T: Record>(&self, cells: &[Cell], mapping: &Mapping) -> Result<T, Refused> {
        let beyond = cells
            .iter()
            .skip(self.fields.len())
            .any(|cell| !cell.is_empty());
        if beyond {
            let rule = format!(
                "{} cells under {} columns; quote cells that hold a delimiter",
                cells.len(),
                self.fields.len()
            );
            return Err(Refused::one("row", rule));
        }
        let named = self.fields.iter().zip(cells);
        T::of_cells(
            named.filter_map(|(field, cell)| Some(((*field)?, cell))),
            mapping,
        )
        .map_err(|refused| self.in_words_of_the_file(refused))
    }

    /// Names the column beside our name of the field, where the file calls it something else.
    fn in_words_of_the_file(&self, mut refused: Refused) -> Refused {
        for violation in &mut refused.violations {
            let at = self
                .fields
                .iter()
                .position(|field| *field == Some(violation.field.as_str()));
            let header = at.and_then(|at| self.headers.get(at));
            if let Some(header) = header.filter(|header| **header != violation.field) {
                violation.rule = format!("column `{header}`: {}", violation.rule);
            }
        }
        refused
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }
}
