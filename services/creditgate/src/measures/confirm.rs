//! `creditgate measures confirm`: a deployment takes responsibility for a row.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use creditgate_measures::book::{Book, Deployment, SourceFile};
use creditgate_proto::v1;

use super::publish::tell;
use crate::book;
use crate::cli::ConfirmArgs;
use crate::client::Client;
use crate::failure::Failure;

/// Asks the service, which may also take a confirmation back, or adds the row to a file.
pub fn confirm(args: ConfirmArgs) -> Result<ExitCode, Failure> {
    match args.file.clone() {
        Some(file) => in_file(&args, &file),
        None => crate::block_on(in_service(args)),
    }
}

async fn in_service(args: ConfirmArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let done = client
        .books
        .confirm(v1::ConfirmMeasureRequest {
            measure_id: args.id,
            document: args.document,
            published_at: args.published_at.unwrap_or_default(),
            published_in: args.published_in.unwrap_or_default(),
            effective_from: args.effective_from.unwrap_or_default(),
            confirmed_by: args.by,
            withdraw: args.withdraw,
        })
        .await
        .map_err(|status| Failure::new("confirm the row", status))?
        .into_inner();
    tell(&done.book.unwrap_or_default(), &done.list_version);
    Ok(ExitCode::SUCCESS)
}

/// Adds the row when the book loads with the whole file; else the file stays as it is.
fn in_file(args: &ConfirmArgs, path: &Path) -> Result<ExitCode, Failure> {
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::new(format!("read `{}`", path.display()), error)),
    };
    let after = with_row(&before, args);
    let files = book::composed(args.book.as_deref(), &args.supplement)
        .map_err(|error| Failure::new("read the book", error))?;
    let deployment = Deployment {
        confirmations: vec![SourceFile::new(path.display().to_string(), after.as_str())],
        ..Deployment::default()
    };
    Book::load(&files, &deployment).map_err(|errors| Failure::plain(errors.to_string()))?;
    replace(path, &after)
        .map_err(|error| Failure::new(format!("write `{}`", path.display()), error))?;
    say!(
        "row {} is confirmed in {}; it counts from the next start",
        args.id,
        path.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// The text with one confirmation more, written as the others are.
fn with_row(before: &str, args: &ConfirmArgs) -> String {
    let mut text = before.to_owned();
    if text.trim().is_empty() {
        text = "confirmations:\n".to_owned();
    } else if !text.ends_with('\n') {
        text.push('\n');
    }
    let indent = before
        .lines()
        .find_map(|line| {
            line.find("- measure:")
                .filter(|at| line[..*at].trim().is_empty())
        })
        .unwrap_or(2);
    let fields = [
        ("measure", Some(&args.id)),
        ("confirmed_by", Some(&args.by)),
        ("document", Some(&args.document)),
        ("published_at", args.published_at.as_ref()),
        ("published_in", args.published_in.as_ref()),
        ("effective_from", args.effective_from.as_ref()),
    ];
    let mut mark = "- ";
    for (name, value) in fields {
        if let Some(value) = value {
            // A text of JSON is one of YAML.
            let value = serde_json::Value::from(value.as_str());
            text.push_str(&format!("{:indent$}{mark}{name}: {value}\n", ""));
            mark = "  ";
        }
    }
    text
}

/// Writes beside the file and renames: it is the old one or the new one, never half of it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut new = tempfile::NamedTempFile::new_in(dir.unwrap_or_else(|| Path::new(".")))?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    if let Ok(there) = std::fs::metadata(path) {
        new.as_file().set_permissions(there.permissions())?;
    }
    new.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, MeasuresCommand};

    fn args(more: &[&str]) -> ConfirmArgs {
        let line = [
            "creditgate",
            "measures",
            "confirm",
            "M1",
            "--document",
            "示例：1号",
        ];
        let line = line.iter().chain(&["--by", "示例\"办\""]).chain(more);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Measures(MeasuresCommand::Confirm(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_is_added_as_the_others_are_written() {
        let first = with_row("", &args(&["--published-at", "2025-01-01"]));
        assert_eq!(
            first,
            "confirmations:\n  - measure: \"M1\"\n    confirmed_by: \"示例\\\"办\\\"\"\n    document: \"示例：1号\"\n    published_at: \"2025-01-01\"\n"
        );
        let flat = "confirmations:\n- measure: M0\n  confirmed_by: a\n  document: b";
        let second = with_row(flat, &args(&[]));
        assert!(
            second.starts_with(flat) && second.contains("b\n- measure: \"M1\"\n  confirmed_by")
        );
    }
}
