//! `creditgate lists import`: rows go to the service as they are read, so that a file of any length takes little memory.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use creditgate_proto::v1::import_request::Part;
use creditgate_registry::files::report::{self, Places};
use creditgate_registry::files::{self, Encoding, Format, Mapping, Options, Row};
use creditgate_runtime::errors::Chain;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::progress::{self, Bar};
use crate::cli::{FileFormat, ImportArgs, OnError};
use crate::client::{Client, Lists};
use crate::failure::Failure;

/// Rows read ahead of what the service takes.
const AHEAD: usize = 1_024;

/// Refused rows that are shown; a report has them all.
const SHOWN: usize = 20;

/// Refused rows that a report names; as many as the service gives.
const REPORTED: u32 = 200_000;

/// How often it is asked how many rows the service has taken, where somebody watches.
const TAKING_ASKED_EVERY: Duration = Duration::from_secs(1);

/// Rows were refused, or the import waits for approval.
const NOT_ALL: u8 = 1;

/// Sends files of entries to the service as one import and tells what became of it.
pub async fn import(args: ImportArgs) -> Result<ExitCode, Failure> {
    let options = options(&args)?;
    for file in &args.files {
        readable(file)?;
    }
    let mut client = Client::connect(&args.server).await?;
    let (summary, places) = send(&mut client, &args, options).await?;
    tell(&summary, &places, args.report.as_deref());
    if let Some(path) = &args.report {
        report::write(path, &places, &summary).map_err(|error| {
            Failure::new(format!("write the report `{}`", path.display()), error)
        })?;
    }
    let all = summary.refused_count == 0 && summary.held == 0 && summary.hold_reason.is_empty();
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_ALL)
    })
}

/// How the files are to be read.
fn options(args: &ImportArgs) -> Result<Options, Failure> {
    let encoding = args
        .encoding
        .as_deref()
        .map(|name| {
            Encoding::parse(name).ok_or_else(|| {
                Failure::plain(
                    "--encoding: known are utf-8, gb18030 (gbk, gb2312), utf-16le, utf-16be",
                )
            })
        })
        .transpose()?;
    let mapping = args
        .mapping
        .as_deref()
        .map(Mapping::load::<v1::Entry>)
        .transpose();
    let mapping = mapping.map_err(|error| Failure::plain(Chain(&error).to_string()))?;
    Ok(Options {
        format: args.format.map(|format| match format {
            FileFormat::Csv => Format::Table,
            FileFormat::Jsonl => Format::JsonLines,
        }),
        encoding,
        sheet: args.sheet.clone(),
        mapped: mapping.is_some(),
        mapping: mapping.unwrap_or_default(),
        ignore_unknown: args.ignore_unknown,
        ..Options::default()
    })
}

/// Before anything is sent: a name that is wrong should not cost half an import.
fn readable(file: &Path) -> Result<(), Failure> {
    if file == Path::new("-") {
        return Ok(());
    }
    let opened = std::fs::File::open(file);
    opened
        .map(drop)
        .map_err(|error| Failure::new(format!("read `{}`", file.display()), error))
}

fn header(args: &ImportArgs) -> v1::ImportHeader {
    v1::ImportHeader {
        source_unit: args.source_unit.clone(),
        list: args.list.clone().unwrap_or_default(),
        mode: if args.full { "full" } else { "delta" }.to_owned(),
        confirm_lists: args.confirm.clone(),
        confirm_named_lists: !args.no_confirm,
        confirmed_at: args.confirmed_at.map(time_to_proto),
        dry_run: args.dry_run,
        on_error: match args.on_error {
            OnError::Hold => "hold",
            OnError::Skip => "skip",
        }
        .to_owned(),
        refused_max: if args.report.is_some() { REPORTED } else { 0 },
    }
}

/// Sends the rows while they are read. Where the reading fails the service takes
/// nothing.
async fn send(
    client: &mut Client,
    args: &ImportArgs,
    options: Options,
) -> Result<(v1::ImportSummary, Places), Failure> {
    let mut bar = Bar::over(&args.files, Arc::clone(&options.progress));
    let (out, rows) = mpsc::channel(AHEAD);
    let places = Arc::new(Mutex::new(Places::default()));
    let header = v1::ImportRequest {
        part: Some(Part::Header(header(args))),
    };
    let mut beside = client.lists.clone();
    let call = client
        .lists
        .import(tokio_stream::once(header).chain(ReceiverStream::new(rows)));
    let (files, noted, above) = (args.files.clone(), Arc::clone(&places), bar.clone());
    let mut reading =
        tokio::task::spawn_blocking(move || read(&files, &options, &out, &noted, &above));
    let mut read = None;
    let mut tick = tokio::time::interval(progress::EVERY);
    let mut taking = tokio::time::interval(TAKING_ASKED_EVERY);
    tokio::pin!(call);
    let answer = loop {
        tokio::select! {
            done = &mut reading, if read.is_none() => {
                read = Some(done);
                bar.all_sent();
            }
            answer = &mut call => break answer,
            _ = tick.tick() => bar.draw(),
            _ = taking.tick(), if read.is_some() && bar.is_watched() => {
                if let Some(seq) = newest(&mut beside).await {
                    bar.recorded(seq);
                }
            }
        }
    };
    bar.finish();
    // A file that could not be read is the cause; the service's answer only follows from it.
    let read = match read {
        Some(read) => read,
        None => reading.await,
    };
    read.map_err(|error| Failure::new("read the files", error))?
        .map_err(|error| Failure::plain(Chain(&error).to_string()))?;
    let summary = answer
        .map_err(|status| Failure::new(attempted(&status), status))?
        .into_inner();
    let places = places
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    Ok((summary, places))
}

/// What failed: an answer that the service did not give leaves open how far it was.
fn attempted(status: &tonic::Status) -> &'static str {
    match std::error::Error::source(status) {
        None => "import",
        Some(_) => {
            "import (the connection to the service was lost; what it had taken by then stands, and the same command completes it)"
        }
    }
}

/// The newest version of the lists; none: this caller may not know.
async fn newest(lists: &mut Lists) -> Option<u64> {
    let asked = v1::ListSourcesRequest::default();
    let answer = lists.list_sources(asked).await.ok()?.into_inner();
    let (_, seq) = answer.list_version.rsplit_once(':')?;
    seq.parse().ok()
}

/// Reads the files and passes rows on.
fn read(
    files: &[PathBuf],
    options: &Options,
    out: &mpsc::Sender<v1::ImportRequest>,
    places: &Mutex<Places>,
    bar: &Bar,
) -> Result<(), files::Failed> {
    let mut on_row = |row: Row| {
        places
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(&row);
        let part = Some(Part::Row(files::import_row(row, &options.progress)));
        match out.blocking_send(v1::ImportRequest { part }) {
            Ok(()) => ControlFlow::Continue(()),
            // The call has ended; its answer says why.
            Err(_) => ControlFlow::Break(()),
        }
    };
    let mut on_note = |file: &str, note: files::Note| bar.note(&format!("{file}: {note}"));
    let read = files::read(files, options, &mut on_row, &mut on_note);
    if read.is_err() {
        // A message that is none: the service refuses the import. The end of the rows alone would look like all of them.
        let _ = out.blocking_send(v1::ImportRequest { part: None });
    }
    read
}

/// Tells what became of an import.
pub(crate) fn tell(summary: &v1::ImportSummary, places: &Places, report: Option<&Path>) {
    for refused in summary.refused.iter().take(SHOWN) {
        let (file, line) = places.of(refused.row);
        let id = match refused.entry_id.as_str() {
            "" => String::new(),
            id => format!(" ({id})"),
        };
        match line {
            0 => note!("{}", refused.reason),
            _ if places.are_several() => note!("{file}, row {line}{id}: {}", reason(refused)),
            _ => note!("row {line}{id}: {}", reason(refused)),
        }
    }
    let more = summary.refused.len().saturating_sub(SHOWN);
    if more > 0 {
        match report {
            Some(path) => note!("… all of them are in {}", path.display()),
            None => note!(
                "… and {} more (--report FILE writes all)",
                summary.refused_count.max(more as u64) - SHOWN as u64
            ),
        }
    }
    say!("received  {}", summary.received);
    say!("accepted  {}", summary.accepted);
    say!("unchanged {}", summary.unchanged);
    say!("refused   {}", summary.refused_count);
    if summary.revoked_absent > 0 {
        say!(
            "revoked   {} (no longer shown by the source)",
            summary.revoked_absent
        );
    }
    if summary.differing > 0 {
        say!(
            "differing {} (a source that goes before this one states something else: `creditgate lists differences`)",
            summary.differing
        );
    }
    if summary.held > 0 {
        let why = match summary.hold_reason.as_str() {
            "" => "since others were refused",
            _ => "since the import waits for approval",
        };
        say!("held      {} (sound rows, not taken {why})", summary.held);
    }
    say!("lists     {}", summary.list_version);
    if !summary.hold_reason.is_empty() {
        let waits = if summary.dry_run {
            "it would wait"
        } else {
            "it waits"
        };
        say!("{waits} for approval: {}", summary.hold_reason);
    }
    if !summary.hold_id.is_empty() {
        say!(
            "to take it: creditgate lists approve {} --reason …",
            summary.hold_id
        );
    }
    if summary.dry_run {
        say!("dry run: nothing was changed");
    }
}

/// The reason, or each rule on a line of its own where there are several.
fn reason(refused: &v1::RefusedRow) -> String {
    match refused.violations.as_slice() {
        [] | [_] => refused.reason.clone(),
        several => several.iter().fold(String::new(), |told, violation| {
            format!("{told}\n  {}: {}", violation.field, violation.rule)
        }),
    }
}
