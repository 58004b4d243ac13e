//! `measures import`: a published table becomes drafts that a person finishes.

mod draft;
mod layout;
mod propose;
mod sheet;
mod yaml;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use creditgate_measures::book::Book;

use crate::cli::{TableArgs, TableLayout};
use crate::failure::Failure;
use draft::{Draft, Item};
use layout::Layout;

/// Rows of one file; a file of a book may not grow without end.
const FILE_ROWS_MAX: usize = 60;

/// Reads a published table and writes drafts in the form of the book.
pub fn import(args: &TableArgs, book: &Book) -> Result<ExitCode, Failure> {
    let wanted = args.layout.map(|layout| match layout {
        TableLayout::Penalties => Layout::Penalties,
        TableLayout::Incentives => Layout::Incentives,
    });
    let failed = |told: String| Failure::plain(format!("read `{}`: {told}", args.file.display()));
    let sheets = sheet::read(&args.file, args.sheet.as_deref()).map_err(failed)?;
    let table = layout::recognise(&sheets, wanted).map_err(failed)?;
    let items = items(book);
    let source = match table.sheet {
        "" => name_of(&args.file),
        sheet => format!("{}, sheet {sheet}", name_of(&args.file)),
    };
    let drafts: Vec<Draft> = table
        .rows()
        .iter()
        .map(|row| draft::draft(table.layout, row, &items))
        .collect();
    if drafts.is_empty() {
        return Err(failed(
            "the table has no rows below its headings".to_owned(),
        ));
    }
    match &args.out {
        Some(dir) => {
            for (path, text) in files(&drafts, &args.file, &source, dir) {
                write(&path, &text)?;
                say!("wrote {}", path.display());
            }
            say!("{}", told(&drafts));
        }
        None => {
            say_part!("{}", yaml::file(&drafts, &source));
            note!("{}", told(&drafts));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The national items by code, for rows that name them.
fn items(book: &Book) -> Vec<Item> {
    let items = book.edition().items.iter();
    items
        .map(|(code, item)| (code.clone(), item.title.zh.clone()))
        .collect()
}

fn name_of(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The files of drafts: in the folder that holds such rows, named after the table.
fn files(drafts: &[Draft], table: &Path, source: &str, dir: &Path) -> Vec<(PathBuf, String)> {
    let stem = table.file_stem().unwrap_or_default().to_string_lossy();
    let parts = drafts.chunks(FILE_ROWS_MAX);
    let several = parts.len() > 1;
    parts
        .enumerate()
        .map(|(at, part)| {
            let folder = match part.first().map(|draft| draft.layout) {
                Some(Layout::Incentives) => "incentives",
                _ => "measures",
            };
            let number = if several {
                format!("-{}", at + 1)
            } else {
                String::new()
            };
            let path = dir.join(folder).join(format!("draft-{stem}{number}.yaml"));
            (path, yaml::file(part, source))
        })
        .collect()
}

/// Writes a new file; a draft on which a person has worked is never written over.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("write `{}`", path.display()), error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)
}

/// Row by row, what is missing and what is to be checked.
fn told(drafts: &[Draft]) -> String {
    let mut lines = Vec::new();
    for draft in drafts {
        let title = draft.title.as_deref().unwrap_or("(no title)");
        lines.push(format!("row {}: {} {title}", draft.number, draft.id));
        lines.push(format!("  to fill in: {}", draft.missing().join(", ")));
        let proposed = draft.proposed();
        if !proposed.is_empty() {
            lines.push(format!("  to check:   {}", proposed.join(", ")));
        }
        if draft.several_forces {
            lines.push("  to split:   its words bind differently".to_owned());
        }
    }
    lines.push(format!(
        "{}; lint refuses a book that holds drafts until they are filled in",
        draft::counted(drafts.len(), "draft", "drafts")
    ));
    lines.join("\n")
}
