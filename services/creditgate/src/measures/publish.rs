//! `creditgate measures publish` and `books`: books in force in a service.

use std::process::ExitCode;

use creditgate_proto::encode::time_from_proto;
use creditgate_proto::v1;

use crate::cli::{BooksArgs, PublishArgs};
use crate::client::Client;
use crate::failure::Failure;

/// Digits of a version that tell it from others at a glance.
const SHORT: usize = 12;

/// Puts a packed book in force.
pub async fn publish(args: PublishArgs) -> Result<ExitCode, Failure> {
    let pack = std::fs::read(&args.file)
        .map_err(|error| Failure::new(format!("read `{}`", args.file.display()), error))?;
    let mut client = Client::connect(&args.server).await?;
    let done = client
        .books
        .publish(v1::PublishBookRequest {
            pack,
            reason: args.reason,
            simulation_id: args.simulation.unwrap_or_default(),
            expected_version: args.expect.unwrap_or_default(),
        })
        .await
        .map_err(|status| Failure::new("publish the book; the last good one stays", status))?
        .into_inner();
    tell(&done.book.unwrap_or_default(), &done.list_version);
    if done.unchanged {
        say!("it was in force already");
    }
    if !done.confirmations_kept.is_empty() {
        let rows = done.confirmations_kept.join(", ");
        say!("rows that stay confirmed through the service: {rows}");
    }
    for row in done.confirmations_ended {
        say!("the confirmation of row {row} ended: the book has it no more, or otherwise");
    }
    Ok(ExitCode::SUCCESS)
}

/// A book that is now in force.
pub fn tell(book: &v1::BookInfo, list_version: &str) {
    say!(
        "book     {} ({}, edition {})",
        book.version,
        book.name,
        book.edition
    );
    say!("content  {}", book.content_hash);
    say!("signing  {} {}", book.signing, book.key_id);
    say!("lists    {list_version}");
}

/// Lists the books that were in force, the last one first.
pub async fn books(args: BooksArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let failed = |status| Failure::new("list the books", status);
    let current = client
        .books
        .current(v1::CurrentBookRequest {})
        .await
        .map_err(failed)?
        .into_inner();
    let books = client
        .books
        .list(v1::ListBooksRequest { limit: args.limit })
        .await
        .map_err(failed)?
        .into_inner();
    if args.json {
        let json = serde_json::to_string_pretty(&books);
        say!(
            "{}",
            json.map_err(|error| Failure::new("print the books", error))?
        );
        return Ok(ExitCode::SUCCESS);
    }
    let in_force = current.book.map(|book| book.seq);
    for book in &books.books {
        let at = book.recorded_at.as_ref().and_then(time_from_proto);
        let short = |text: &str| text.chars().take(SHORT).collect::<String>();
        say!(
            "{} {:>8}  {}  {:<9} {}  {} {}  {} {}  {}",
            if Some(book.seq) == in_force { "*" } else { " " },
            book.seq,
            at.map_or_else(String::new, |at| at.to_string()),
            book.origin,
            short(&book.version),
            book.name,
            book.edition,
            book.signing,
            book.key_id,
            [&*book.published_by, &*book.reason, &*book.simulation_id]
                .join(" ")
                .trim(),
        );
    }
    if !current.refused.is_empty() {
        say!("{}", current.refused);
    }
    Ok(ExitCode::SUCCESS)
}
