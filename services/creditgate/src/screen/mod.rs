//! `creditgate screen`: a list of names and codes in, a masked check table out, for honours and appointments.
//!
//! The list is read whole and each row made an event whose id follows from list, options and row. Events go to the
//! service in batches; what has its answer is kept beside the table. So whatever ends a run, the next one asks what is
//! missing, and the service answers what it had recorded with the first verdict: nothing is lost, nothing doubled.

mod kept;
pub mod line;
pub mod mask;
mod progress;
mod roster;
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use creditgate_measures::vocabulary::Outcome;
use creditgate_proto::v1;
use creditgate_proto::v1::check_result::Result as Checked;
use creditgate_registry::files::{Participant, Row};
use tonic::Code;
use tonic_types::StatusExt;

use self::kept::Kept;
use self::line::Line;
use self::progress::Bar;
use self::roster::Roster;
use self::table::Kind;
use crate::cli::ScreenArgs;
use crate::client::Client;
use crate::failure::{Failure, status_text};

/// Events of one request; each request that is answered is kept.
const BATCH: usize = 500;

/// How often rows are asked again that the service could not take.
const ATTEMPTS: u32 = 8;

/// First wait before that; each further one is twice as long, up to the longest.
const WAIT: Duration = Duration::from_millis(200);

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Refused rows that are shown; the table has them all.
const SHOWN: usize = 20;

/// Some row is not PASS, or was refused.
const NOT_ALL: u8 = 1;

/// A row that can be asked about.
type Asked<'a> = (&'a Row<Participant>, &'a Participant);

/// Reads the list, asks what is not known yet, and writes the table.
pub async fn run(args: ScreenArgs) -> Result<ExitCode, Failure> {
    let kind = Kind::of(&args.out)?;
    let roster = Roster::read(&args)?;
    if args.dry_run {
        return Ok(rehearse(&roster));
    }
    free(&args)?;
    let mut client = Client::connect(&args.server).await?;
    let mut kept = Kept::open(&args.out, roster.digest(), roster.rows.len())?;
    if kept.is_resumed() {
        note!("going on: {} rows were checked before", kept.len());
    }
    let asked = ask(&mut client, &roster, &mut kept).await;
    asked.map_err(|failure| {
        Failure::plain(format!(
            "{failure}\nWhat is done is kept ({} of {} rows); the same command goes on from there.",
            kept.len(),
            roster.rows.len()
        ))
    })?;
    let lines = lines(&roster, &kept);
    table::write(&args.out, kind, &lines)?;
    kept.finish()?;
    Ok(tell(&args, &lines))
}

/// Reads and counts, and does nothing.
fn rehearse(roster: &Roster) -> ExitCode {
    let refused = roster.refused().count();
    for (row, why) in roster.refused().take(SHOWN) {
        note!("row {}: {why}", row.line);
    }
    if refused > SHOWN {
        note!("… and {} more", refused - SHOWN);
    }
    let sound = || roster.rows.iter().filter_map(|row| row.entry.as_ref().ok());
    let numbered = sound().filter(|who| !who.subject.id.is_empty()).count();
    say!("rows      {}", roster.rows.len());
    say!("by number {numbered}");
    say!("by name   {}", sound().count() - numbered);
    say!("refused   {refused}");
    say!("dry run: nothing was asked and nothing written");
    match refused {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(NOT_ALL),
    }
}

/// A table that is there is somebody's work, unless this very run was writing it.
fn free(args: &ScreenArgs) -> Result<(), Failure> {
    let same = || {
        let (list, out) = (
            args.file.canonicalize().ok()?,
            args.out.canonicalize().ok()?,
        );
        (list == out).then_some(())
    };
    if same().is_some() {
        return Err(Failure::plain("--out: this is the list itself"));
    }
    if args.out.exists() && !args.overwrite && !Kept::place(&args.out).exists() {
        return Err(Failure::plain(format!(
            "`{}` exists; name another --out, or write over it (--overwrite)",
            args.out.display()
        )));
    }
    Ok(())
}

/// Asks about every row that has no answer yet.
async fn ask(client: &mut Client, roster: &Roster, kept: &mut Kept) -> Result<(), Failure> {
    let todo: Vec<Asked<'_>> = roster
        .rows
        .iter()
        .filter(|row| !kept.has(row.number))
        .filter_map(|row| Some((row, row.entry.as_ref().ok()?)))
        .collect();
    let bar = Bar::over(kept.len(), kept.len() + todo.len());
    bar.draw(kept.len());
    for batch in todo.chunks(BATCH) {
        let mut open = batch.to_vec();
        let mut wait = WAIT;
        for attempt in 1.. {
            let (lines, left) = ask_once(client, roster, &open).await?;
            kept.keep(lines)?;
            bar.draw(kept.len());
            let Some(Left {
                rows,
                why,
                at_least,
            }) = left
            else {
                break;
            };
            if attempt >= ATTEMPTS {
                return Err(Failure::plain(format!(
                    "the service cannot check now: {why}"
                )));
            }
            bar.note(&format!("trying again: {why}"));
            tokio::time::sleep(wait.max(at_least)).await;
            wait = (wait * 2).min(WAIT_MAX);
            open = rows;
        }
    }
    Ok(())
}

/// Rows that the service could not take now.
struct Left<'a> {
    rows: Vec<Asked<'a>>,
    why: String,
    at_least: Duration,
}

/// Asks once. Lines of the rows that have their answer, and the rows that have not.
async fn ask_once<'a>(
    client: &mut Client,
    roster: &Roster,
    open: &[Asked<'a>],
) -> Result<(Vec<Line>, Option<Left<'a>>), Failure> {
    let events = open.iter().map(|(row, who)| roster.event(row, who));
    let request = v1::CheckBatchRequest {
        events: events.collect(),
    };
    let results = match client.gate.check_batch(request).await {
        Ok(answer) => answer.into_inner().results,
        Err(status) if may_pass(status.code()) => {
            let asked_to_wait = status
                .get_details_retry_info()
                .and_then(|info| info.retry_delay);
            let left = Left {
                rows: open.to_vec(),
                why: status_text(&status),
                at_least: asked_to_wait.unwrap_or_default(),
            };
            return Ok((Vec::new(), Some(left)));
        }
        Err(status) => return Err(Failure::new("check the list", status)),
    };
    if results.len() != open.len() {
        return Err(Failure::plain(
            "the service answered with another number of results than it was asked for",
        ));
    }
    let mut lines = Vec::with_capacity(open.len());
    let mut left: Option<Left<'a>> = None;
    for ((row, who), answer) in open.iter().zip(results) {
        let line = match answer.result {
            Some(Checked::Verdict(verdict)) => {
                Line::checked(row, roster.several, &verdict, answer.repeated)
            }
            Some(Checked::Error(error)) if may_pass(Code::from_i32(error.code)) => {
                let left = left.get_or_insert_with(|| Left {
                    rows: Vec::new(),
                    why: error.message.clone(),
                    at_least: error
                        .retry_delay
                        .and_then(|delay| Duration::try_from(delay).ok())
                        .unwrap_or_default(),
                });
                left.rows.push((row, who));
                continue;
            }
            Some(Checked::Error(error)) => {
                of_the_options(&error)?;
                Line::refused(row, roster.several, &error)
            }
            None => {
                return Err(Failure::plain("the service answered without a result"));
            }
        };
        lines.push(line);
    }
    Ok((lines, left))
}

/// Whether the same may be answered when it is asked later. A connection that breaks is `Unknown` or `Cancelled`; asking
/// again doubles nothing.
const fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
    )
}

/// A rule that no row can keep, since an option breaks it: the run ends before it fills a table with it.
fn of_the_options(error: &v1::ItemError) -> Result<(), Failure> {
    let of_event = |violation: &&v1::FieldViolation| !violation.field.starts_with("subjects");
    let broken: Vec<String> = error
        .violations
        .iter()
        .filter(of_event)
        .map(|violation| format!("\n  {}: {}", violation.field, violation.rule))
        .collect();
    match broken.is_empty() {
        true => Ok(()),
        false => Err(Failure::plain(format!(
            "the service refuses what the options say:{}",
            broken.concat()
        ))),
    }
}

/// Every row of the list, in its order.
fn lines(roster: &Roster, kept: &Kept) -> Vec<Line> {
    let unread = roster
        .refused()
        .map(|(row, why)| Line::unread(row, roster.several, why.to_string()));
    let all = kept.lines().cloned().chain(unread);
    let in_order: BTreeMap<u64, Line> = all.map(|line| (line.number, line)).collect();
    in_order.into_values().collect()
}

/// Tells what came out.
fn tell(args: &ScreenArgs, lines: &[Line]) -> ExitCode {
    let refused = || lines.iter().filter(|line| line.is_refused());
    for line in refused().take(SHOWN) {
        note!("row {}: {}", line.line, line.reason);
    }
    let count = |code: &str| lines.iter().filter(|line| line.outcome == code).count();
    say!("rows      {}", lines.len());
    for outcome in Outcome::ALL {
        let code = outcome.code();
        match count(code) {
            0 => {}
            rows => say!("  {code:<19} {rows}  {}", line::outcome(code)),
        }
    }
    say!("refused   {}", refused().count());
    let repeated = lines.iter().filter(|line| line.repeated).count();
    if repeated > 0 {
        say!(
            "repeated  {repeated} (judged before; these are the first verdicts, --case NAME judges anew)"
        );
    }
    let mut versions: Vec<&str> = lines
        .iter()
        .map(|line| line.list_version.as_str())
        .filter(|version| !version.is_empty())
        .collect();
    versions.sort_unstable();
    versions.dedup();
    match versions.as_slice() {
        [] => {}
        [one] => say!("lists     {one}"),
        several => say!(
            "lists     {} versions; each row says its own",
            several.len()
        ),
    }
    say!("table     {}", args.out.display());
    match count(Outcome::Pass.code()) == lines.len() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NOT_ALL),
    }
}
