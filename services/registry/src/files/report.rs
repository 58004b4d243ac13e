//! The report of an import: every refused row with its file and line, as a table that any spreadsheet opens.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use creditgate_proto::v1;

use super::Row;

/// Spreadsheets take text without this mark for the system's old encoding.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Which file a row came from, by its number; small however many rows there are.
#[derive(Debug, Clone, Default)]
pub struct Places {
    files: Vec<(u64, Arc<str>)>,
}

impl Places {
    /// Notes where a row came from; rows in the order in which they were read.
    pub fn note<T>(&mut self, row: &Row<T>) {
        let known = self
            .files
            .last()
            .is_some_and(|(_, file)| Arc::ptr_eq(file, &row.file));
        if !known {
            self.files
                .push((row.number - row.line, Arc::clone(&row.file)));
        }
    }

    /// File and line of the row with this number; 0 where no row is spoken of; without files the number
    /// itself.
    #[must_use]
    pub fn of(&self, number: u64) -> (&str, u64) {
        if self.files.is_empty() {
            return ("", number);
        }
        let after = self.files.partition_point(|(before, _)| *before < number);
        let found = after.checked_sub(1).and_then(|at| self.files.get(at));
        found.map_or(("", 0), |(before, file)| (file, number - before))
    }

    /// Whether there was more than one file.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.files.len() > 1
    }
}

/// Writes the report: a line for each rule that a refused row breaks.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, places: &Places, summary: &v1::ImportSummary) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(MARK)?;
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(file);
    out.write_record(["file", "line", "entry_id", "field", "reason"])?;
    for refused in &summary.refused {
        let (file, line) = places.of(refused.row);
        let line = if line == 0 {
            String::new()
        } else {
            line.to_string()
        };
        let mut write = |field: &str, reason: &str| {
            out.write_record(
                [text(file), &line, text(&refused.entry_id), field, reason].map(str::to_owned),
            )
        };
        if refused.violations.is_empty() {
            write("", &refused.reason)?;
        }
        for violation in &refused.violations {
            write(&violation.field, &violation.rule)?;
        }
    }
    let named = summary
        .refused
        .iter()
        .filter(|refused| refused.row > 0)
        .count() as u64;
    if summary.refused_count > named {
        let more = format!(
            "{} more rows were refused and are not named here",
            summary.refused_count - named
        );
        out.write_record(["", "", "", "", &more])?;
    }
    out.flush()?;
    out.into_inner()
        .map_err(|error| error.into_error())?
        .flush()
}

/// A text of the sender's that no spreadsheet may take for a formula.
fn text(text: &str) -> &str {
    text.trim_start_matches(['=', '+', '-', '@', '\t', '\r'])
}
