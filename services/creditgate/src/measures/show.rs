//! `measures show`: the book as it is published, or everything about one row or list.

use std::process::ExitCode;

use creditgate_measures::book::Book;
use creditgate_measures::book::table::{self, Part, Table, UTF8_MARK, json};

use super::{load_named, pretty};
use crate::cli::{BookPart, BookShowArgs, TableFormat};
use crate::failure::Failure;

/// Prints a table, or what the book knows of one id.
pub fn show(args: &BookShowArgs) -> Result<ExitCode, Failure> {
    let book = load_named(&args.book)?;
    let told = match &args.id {
        Some(id) => one(&book, id, args)?,
        None => part(&book, args),
    };
    say_part!("{told}");
    Ok(ExitCode::SUCCESS)
}

fn part(book: &Book, args: &BookShowArgs) -> String {
    let part = match args.list {
        None | Some(BookPart::Penalties) => Part::Penalties,
        Some(BookPart::Incentives) => Part::Incentives,
        Some(BookPart::Lists) => Part::Lists,
        Some(BookPart::Scenarios) => Part::Scenarios,
        Some(BookPart::NotExpressed) => Part::NotExpressed,
        Some(BookPart::Repair) => Part::Repair,
        Some(BookPart::Calendar) => Part::Calendar,
        Some(BookPart::Notices) => Part::Notices,
    };
    match args.format {
        TableFormat::Md => part.table(book).markdown(),
        TableFormat::Json => pretty(&json::part(book, part)),
        TableFormat::Csv => csv(&part.table(book), args.bom),
    }
}

fn one(book: &Book, id: &str, args: &BookShowArgs) -> Result<String, Failure> {
    let found = match args.format {
        TableFormat::Md => table::row(book, id)
            .or_else(|| table::list(book, id))
            .or_else(|| table::notice(book, id)),
        TableFormat::Json => json::one(book, id).map(|value| pretty(&value)),
        TableFormat::Csv => table::of(book, id).map(|table| csv(&table, args.bom)),
    };
    found.ok_or_else(|| Failure::plain(absent(book, id)))
}

/// What to say of an id that the book does not hold.
fn absent(book: &Book, id: &str) -> String {
    let left_out = book.not_expressed().iter().find(|other| *other.id == *id);
    let parts: Vec<&str> = book
        .measures()
        .iter()
        .map(|row| row.id.as_str())
        .filter(|row| row.strip_prefix(id).is_some_and(|rest| rest.len() == 1))
        .collect();
    match left_out {
        _ if !parts.is_empty() => format!(
            "`{id}` stands in the book in parts: {}; show one of them",
            parts.join(", ")
        ),
        Some(left_out) => format!(
            "`{id}` {} is not expressed in the book: {}",
            left_out.title.zh, left_out.reason.zh
        ),
        None => format!(
            "no row, list or notice `{id}`; `measures show` and `measures show --list lists` tell which there are"
        ),
    }
}

fn csv(table: &Table, mark: bool) -> String {
    let mark = if mark { UTF8_MARK } else { "" };
    format!("{mark}{}", table.csv())
}
