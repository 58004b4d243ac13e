//! Facts about files of entries: what is read, and what is said of what is not. Every file here is real bytes.

mod archives;
mod columns;
mod damage;
mod json_lines;
mod participants;
mod text;
mod workbooks;

use std::io::Write;

use super::*;

/// A valid code, invented.
pub(super) const USCC: &str = "91219999MAYG58BR3Q";

/// Reads a file of these bytes and shows its rows, or why it cannot be read.
pub(super) fn shown(name: &str, bytes: &[u8], options: &Options) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    let mut lines = Vec::new();
    let mut on_row = |row: Row| {
        let what = match &row.entry {
            Ok(entry) => format!("{} {} {}", entry.entry_id, entry.list, entry.name),
            Err(why) => format!("refused: {why}"),
        };
        lines.push(format!("{} {}", row.line, what.trim_end()));
        ControlFlow::Continue(())
    };
    let mut notes = Vec::new();
    let mut on_note = |_: &str, note: Note| notes.push(note.to_string());
    match read(&[path], options, &mut on_row, &mut on_note) {
        Ok(()) => {
            notes.extend(lines);
            notes.join("\n")
        }
        Err(error) => error.error.to_string(),
    }
}

/// The entries of a file all of whose rows are sound.
pub(super) fn entries(name: &str, bytes: &[u8], options: &Options) -> Vec<v1::Entry> {
    let mut file = tempfile::Builder::new()
        .suffix(name)
        .tempfile()
        .expect("a file");
    file.write_all(bytes).expect("its bytes");
    let rows = read_all(file.path(), options).expect("readable");
    rows.into_iter()
        .map(|row| row.entry.expect("an entry"))
        .collect()
}

/// The one entry of a table of these columns and cells.
pub(super) fn one(columns: &[&str], cells: &[&str]) -> Result<v1::Entry, Refused> {
    let text = format!("{}\n{}\n", columns.join("\t"), cells.join("\t"));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("its bytes");
    let mut rows = read_all(file.path(), &Options::default()).expect("readable");
    assert_eq!(rows.len(), 1);
    rows.remove(0).entry
}

pub(super) fn mapped(mapping: &str) -> Options {
    Options {
        mapping: Mapping::parse::<v1::Entry>(mapping).expect("a mapping"),
        mapped: true,
        ..Options::default()
    }
}
