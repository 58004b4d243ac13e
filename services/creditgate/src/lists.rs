//! `creditgate lists`: a file of entries in, and what the service then knows.

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

use creditgate_proto::v1;
use creditgate_proto::v1::import_request::Part;
use creditgate_registry::files::{self, Format};
use tokio_stream::StreamExt;

use crate::cli::{FileFormat, ImportArgs, OnError, ShowArgs, StateArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::identity;

/// Rows between two words about progress.
const PROGRESS_EVERY: u64 = 10_000;

/// Sends a file of entries to the service and tells what became of it.
pub async fn import(args: ImportArgs) -> Result<ExitCode, Failure> {
    let format = format(&args)?;
    let (rows, unreadable) = read(&args.file, format)?;
    for (row, reason) in unreadable.iter().take(20) {
        note!("row {row}: {reason}");
    }
    if !unreadable.is_empty() && matches!(args.on_error, OnError::Hold) {
        return Err(Failure::plain(format!(
            "{} row(s) cannot be read; nothing was imported (--on-error skip takes the others)",
            unreadable.len()
        )));
    }
    // A row that cannot be read may be of any list: then none is known to be complete.
    let confirms = !args.no_confirm && unreadable.is_empty();
    let header = v1::ImportHeader {
        source_unit: args.source_unit.clone(),
        list: args.list.clone().unwrap_or_default(),
        mode: "delta".to_owned(),
        confirm_lists: if confirms {
            args.confirm.clone()
        } else {
            Vec::new()
        },
        confirm_named_lists: confirms,
        confirmed_at: None,
        dry_run: args.dry_run,
        on_error: match args.on_error {
            OnError::Hold => "hold",
            OnError::Skip => "skip",
        }
        .to_owned(),
    };
    let mut client = Client::connect(&args.server).await?;
    let summary = client
        .lists
        .import(requests(header, rows))
        .await
        .map_err(|status| Failure::new("import the file", status))?
        .into_inner();
    tell(&summary);
    if !unreadable.is_empty() {
        say!(
            "unreadable {} (not sent; no list was confirmed)",
            unreadable.len()
        );
    }
    let refused = summary.refused_count > 0 || !unreadable.is_empty();
    Ok(if refused {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn format(args: &ImportArgs) -> Result<Format, Failure> {
    match args.format {
        Some(FileFormat::Csv) => Ok(Format::Csv),
        Some(FileFormat::Jsonl) => Ok(Format::JsonLines),
        None => Format::of_name(&args.file.to_string_lossy()).ok_or_else(|| {
            Failure::plain("the name does not tell the format; add --format csv or jsonl")
        }),
    }
}

/// Rows of a file with their lines.
pub type Rows = Vec<(u64, v1::Entry)>;
/// Rows that are no entry, with the reason.
pub type Unreadable = Vec<(u64, String)>;

/// Reads a file of entries; `-` is standard input.
pub fn read(file: &Path, format: Format) -> Result<(Rows, Unreadable), Failure> {
    let attempted = format!("read `{}`", file.display());
    let reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| Failure::new(attempted.clone(), error))?)
    };
    let mut rows = Rows::new();
    let mut unreadable = Unreadable::new();
    let failed = |error| Failure::new(attempted.clone(), error);
    for read in files::read(reader, format, |_| ()).map_err(failed)? {
        match read.map_err(failed)? {
            (row, Ok(entry)) => rows.push((row, entry)),
            (row, Err(refused)) => unreadable.push((row, refused.to_string())),
        }
    }
    Ok((rows, unreadable))
}

/// The header and the rows, with a word about progress where somebody watches.
fn requests(
    header: v1::ImportHeader,
    rows: Rows,
) -> impl tokio_stream::Stream<Item = v1::ImportRequest> + Send + 'static {
    let watched = std::io::stderr().is_terminal();
    let total = rows.len();
    let parts = rows
        .into_iter()
        .enumerate()
        .map(move |(sent, (row, entry))| {
            if watched && (sent as u64).is_multiple_of(PROGRESS_EVERY) {
                note_part!("\r{sent} of {total} rows");
            }
            v1::ImportRequest {
                part: Some(Part::Row(v1::ImportRow {
                    entry: Some(entry),
                    row,
                })),
            }
        });
    let header = v1::ImportRequest {
        part: Some(Part::Header(header)),
    };
    tokio_stream::once(header).chain(tokio_stream::iter(parts))
}

fn tell(summary: &v1::ImportSummary) {
    if std::io::stderr().is_terminal() {
        note_part!("\r");
    }
    for refused in &summary.refused {
        note!(
            "row {} ({}): {}",
            refused.row,
            refused.entry_id,
            refused.reason
        );
        for violation in &refused.violations {
            note!("  {}: {}", violation.field, violation.rule);
        }
    }
    say!("received  {}", summary.received);
    say!("accepted  {}", summary.accepted);
    say!("unchanged {}", summary.unchanged);
    say!("refused   {}", summary.refused_count);
    if summary.held > 0 {
        say!(
            "held      {} (sound rows, not taken since others were refused)",
            summary.held
        );
    }
    say!("lists     {}", summary.list_version);
    if summary.dry_run {
        say!("dry run: nothing was changed");
    }
}

/// Shows an entry with its history, as it was known and as it stood.
pub async fn show(args: ShowArgs) -> Result<ExitCode, Failure> {
    let (as_of, at) = identity::when(&args.when)?;
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .lists
        .get_entry(v1::GetEntryRequest {
            entry_id: args.id,
            with_history: true,
            as_of,
            at,
        })
        .await
        .map_err(|status| Failure::new("show the entry", status))?
        .into_inner();
    let unprintable = |error| Failure::new("print the entry", error);
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&answer).map_err(unprintable)?
        );
        return Ok(ExitCode::SUCCESS);
    }
    let record = answer.entry.unwrap_or_default();
    let entry = record.entry.unwrap_or_default();
    let fields = serde_json::to_value(&entry).map_err(unprintable)?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(text) => say!("{name:<18} {text}"),
            None => say!("{name:<18} {value}"),
        }
    }
    let standing = answer.standing.unwrap_or_default();
    say!(
        "known              at version {}, recorded by {}",
        answer.list_version,
        identity::moment(&standing.known_at)
    );
    say!(
        "true               at {}: {}, {}",
        identity::moment(&standing.at),
        standing.state,
        match standing.usable {
            true => "usable".to_owned(),
            false => format!("not usable ({})", standing.why_not),
        }
    );
    say!("history");
    for change in &record.history {
        say!(
            "  {:>8}  {:<10} {:<10} effective {}  recorded {}  by {} {} {}",
            change.seq,
            change.action,
            change.to.as_deref().unwrap_or_default(),
            identity::moment(&change.effective_at),
            identity::moment(&change.recorded_at),
            change.caller,
            change.document_no,
            change.reason
        );
        identity::fields(&change.fields);
    }
    say!("lists              {}", answer.list_version);
    Ok(ExitCode::SUCCESS)
}

/// Shows what the service knows, by one hash.
pub async fn state(args: StateArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let state = client
        .lists
        .state(v1::StateRequest {})
        .await
        .map_err(|status| Failure::new("show the state of the lists", status))?
        .into_inner();
    if args.json {
        let json = serde_json::to_string_pretty(&state);
        say!(
            "{}",
            json.map_err(|error| Failure::new("print the state", error))?
        );
        return Ok(ExitCode::SUCCESS);
    }
    say!("version {}", state.list_version);
    say!("entries {}", state.entries);
    say!("book    {}", state.book_version);
    say!("state   {}", state.state);
    if state.follows {
        say!("behind  {} ms", state.behind_ms.unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}
