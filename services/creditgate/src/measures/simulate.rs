//! `creditgate measures simulate` and `creditgate measures shadow`: another book, before it is in force.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use creditgate_measures::time::Time;
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::v1;
use creditgate_proto::v1::simulate_response::Part;

use crate::book;
use crate::cli::ServerArgs;
use crate::client::Client;
use crate::failure::Failure;

/// `measures simulate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 nothing would be different, 1 something would, 2 it could not be told, or no
recorded event lies in the range.

Times are RFC 3339, or days as YYYY-MM-DD in Shanghai. The purpose is kept with the name of the caller.

Examples:
  creditgate measures simulate --book ./book --purpose \"before publishing\"
  creditgate measures simulate --book ./book --from 2026-09-01 --to 2026-10-01 --scenario tender \\
    --row M07 --out report.json --purpose \"row M07 made stricter\""
)]
pub struct SimulateArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Directory or pack of the candidate; the book in force when left out.
    #[arg(long, value_name = "BOOK")]
    pub book: Option<PathBuf>,
    /// Directory of a supplement to compose with it; may be repeated.
    #[arg(long, value_name = "DIR", requires = "book")]
    pub supplement: Vec<PathBuf>,
    /// Only events judged at this time or later.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only events judged before this time.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// First journal position.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from_position: u64,
    /// Journal position before which to end; 0: the end of the journal.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub to_position: u64,
    /// Why recorded events are to be decided again.
    #[arg(long, value_name = "TEXT")]
    pub purpose: String,
    /// Only events of this scenario; may be repeated.
    #[arg(long)]
    pub scenario: Vec<String>,
    /// Samples only of changes that touch this row; may be repeated.
    #[arg(long)]
    pub row: Vec<String>,
    /// Samples only of this transition, as `PASS->PROHIBIT`; may be repeated.
    #[arg(long)]
    pub transition: Vec<String>,
    /// Most samples of one transition.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub samples: u32,
    /// Most examples of persons newly limited.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub persons: u32,
    /// Write the whole result to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the whole result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `measures shadow`.
#[derive(Debug, Subcommand)]
pub enum ShadowCommand {
    /// Let a book decide every new event beside the one in force.
    Set(SetArgs),
    /// End it.
    Clear(ClearArgs),
    /// Show what was compared.
    Status(StatusArgs),
    /// Show verdicts for which the shadow says something else.
    Differences(DifferencesArgs),
}

/// `measures shadow set`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  creditgate measures shadow set --book ./book --purpose \"a month beside the book in force\"")]
pub struct SetArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Directory or pack of the book.
    #[arg(long, value_name = "BOOK")]
    pub book: PathBuf,
    /// Directory of a supplement to compose with it; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub supplement: Vec<PathBuf>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub purpose: String,
}

/// `measures shadow clear`.
#[derive(Debug, Args)]
pub struct ClearArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    pub purpose: String,
}

/// `measures shadow status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `measures shadow differences`.
#[derive(Debug, Args)]
pub struct DifferencesArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Position to begin at; 0 is the beginning.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Only differences that touch this row; may be repeated.
    #[arg(long)]
    pub row: Vec<String>,
    /// Only this transition, as `PASS->PROHIBIT`; may be repeated.
    #[arg(long)]
    pub transition: Vec<String>,
    /// Print as JSON, a line each.
    #[arg(long)]
    pub json: bool,
}

/// Asks the service what another book would have said.
pub async fn simulate(args: SimulateArgs) -> Result<ExitCode, Failure> {
    let book = args.book.as_deref();
    let request = v1::SimulateRequest {
        book: book
            .map(|dir| candidate(dir, &args.supplement))
            .transpose()?,
        from: time("--from", args.from.as_deref())?,
        to: time("--to", args.to.as_deref())?,
        from_position: args.from_position,
        to_position: args.to_position,
        purpose: args.purpose,
        scenarios: args.scenario,
        rows: args.row,
        transitions: args.transition,
        samples_max: Some(args.samples),
        persons_max: Some(args.persons),
    };
    let failed = |status| Failure::new("simulate", status);
    let mut client = Client::connect(&args.server).await?;
    let mut parts = client
        .simulation
        .simulate(request)
        .await
        .map_err(failed)?
        .into_inner();
    let mut bar = Bar::new();
    let mut result = None;
    let mut refused = None;
    loop {
        match parts.message().await {
            Ok(Some(next)) => match next.part {
                Some(Part::Progress(progress)) => bar.show(&progress),
                Some(Part::Result(last)) => result = Some(last),
                Some(Part::Refused(faults)) => refused = Some(faults),
                None => {}
            },
            Ok(None) => break,
            Err(status) => {
                bar.clear();
                return Err(refused.map_or_else(|| failed(status), |faults| told(&faults)));
            }
        }
    }
    bar.clear();
    let result = result.ok_or_else(|| Failure::plain("the service ended without a result"))?;
    if args.json || args.out.is_some() {
        let text = serde_json::to_string_pretty(&result)
            .map_err(|error| Failure::new("print the result", error))?;
        if let Some(out) = &args.out {
            std::fs::write(out, format!("{text}\n"))
                .map_err(|error| Failure::new(format!("write `{}`", out.display()), error))?;
        }
        if args.json {
            say!("{text}");
        }
    }
    if !args.json {
        print(&result);
    }
    let totals = result.totals.unwrap_or_default();
    if totals.events == 0 {
        return Err(Failure::plain(
            "no recorded event lies in the range: look at the times, positions and scenarios",
        ));
    }
    let different = totals.changed_outcome + totals.changed_measures > 0;
    Ok(ExitCode::from(u8::from(different)))
}

/// Sets, clears or shows the shadow.
pub async fn shadow(command: ShadowCommand) -> Result<ExitCode, Failure> {
    match command {
        ShadowCommand::Set(args) => set(args).await,
        ShadowCommand::Clear(args) => clear(args).await,
        ShadowCommand::Status(args) => status(args).await,
        ShadowCommand::Differences(args) => differences(args).await,
    }
}

async fn set(args: SetArgs) -> Result<ExitCode, Failure> {
    let request = v1::SetShadowRequest {
        book: Some(candidate(&args.book, &args.supplement)?),
        purpose: args.purpose,
    };
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .simulation
        .set_shadow(request)
        .await
        .map_err(|status| Failure::new("set the shadow", status))?;
    print_state(&answer.into_inner().state.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn clear(args: ClearArgs) -> Result<ExitCode, Failure> {
    let request = v1::ClearShadowRequest {
        purpose: args.purpose,
    };
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .simulation
        .clear_shadow(request)
        .await
        .map_err(|status| Failure::new("clear the shadow", status))?;
    match answer.into_inner().ended {
        Some(state) => print_state(&state),
        None => say!("there was no shadow"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(args: StatusArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .simulation
        .shadow_status(v1::ShadowStatusRequest {})
        .await
        .map_err(|status| Failure::new("ask for the shadow", status))?
        .into_inner();
    if args.json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !answer.not_running.is_empty() {
        say!("the shadow does not run: {}", answer.not_running);
    }
    match &answer.state {
        Some(state) => print_state(state),
        None => say!("there is no shadow"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn differences(args: DifferencesArgs) -> Result<ExitCode, Failure> {
    let request = v1::ShadowDifferencesRequest {
        from_position: args.from,
        rows: args.row,
        transitions: args.transition,
    };
    let failed = |status| Failure::new("read the differences", status);
    let mut client = Client::connect(&args.server).await?;
    let mut stream = client
        .simulation
        .shadow_differences(request)
        .await
        .map_err(failed)?
        .into_inner();
    while let Some(next) = stream.message().await.map_err(failed)? {
        if args.json {
            let line = serde_json::to_string(&next)
                .map_err(|error| Failure::new("print a difference", error))?;
            say!("{line}");
        } else if let Some(difference) = &next.difference {
            say!(
                "{:>12}  {}  {}/{}  {} → {}  {}",
                next.position,
                difference.verdict_id,
                difference.scenario,
                difference.stage,
                difference.old,
                difference.new,
                rows_text(&difference.rows)
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The files of a book in a directory or a pack, with supplements.
fn candidate(dir: &Path, supplements: &[PathBuf]) -> Result<v1::CandidateBook, Failure> {
    let files = book::composed(Some(dir), supplements)
        .map_err(|error| Failure::new("read the book", error))?;
    let files = files.into_iter().map(|file| v1::CandidateFile {
        path: file.path,
        text: file.text,
    });
    Ok(v1::CandidateBook {
        files: files.collect(),
    })
}

/// Reads a time, or the beginning of a day in Shanghai.
fn time(flag: &str, text: Option<&str>) -> Result<Option<pbjson_types::Timestamp>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    let whole = match text.len() {
        10 => format!("{text}T00:00:00+08:00"),
        _ => text.to_owned(),
    };
    Time::parse(&whole)
        .map(|time| Some(time_to_proto(time)))
        .map_err(|error| Failure::new(format!("read {flag}"), error))
}

/// Everything that is wrong with a refused candidate.
fn told(refused: &v1::CandidateRefused) -> Failure {
    let mut text = format!("the book is refused for {} reason(s)", refused.faults.len());
    for fault in &refused.faults {
        text.push_str(&format!(
            "\n{}:{}: {}: {}; {}",
            fault.file, fault.line, fault.subject, fault.rule, fault.mend
        ));
    }
    Failure::plain(text)
}

/// Progress on one line, where somebody watches.
struct Bar {
    watched: bool,
    shown: usize,
}

impl Bar {
    const WIDTH: u64 = 30;

    fn new() -> Self {
        Self {
            watched: std::io::stderr().is_terminal(),
            shown: 0,
        }
    }

    fn show(&mut self, progress: &v1::SimulationProgress) {
        if !self.watched {
            return;
        }
        let v1::SimulationProgress {
            phase,
            done,
            total,
            per_second,
        } = progress;
        let full = (done * Self::WIDTH).checked_div(*total).unwrap_or(0);
        let bar: String = (0..Self::WIDTH)
            .map(|at| if at < full { '█' } else { '░' })
            .collect();
        let line = match total {
            0 => format!("{phase} {done} events, {per_second:.0}/s"),
            _ => format!("{phase} {bar} {done} of {total}, {per_second:.0}/s"),
        };
        let length = line.chars().count();
        let room = self.shown.saturating_sub(length);
        eprint!("\r{line}{}", " ".repeat(room));
        self.shown = length;
    }

    fn clear(&mut self) {
        if self.shown > 0 {
            eprint!("\r{}\r", " ".repeat(self.shown));
            self.shown = 0;
        }
    }
}

fn print(result: &v1::SimulationResult) {
    let none = v1::NewlyLimited::default();
    print_limited(result.newly_limited.as_ref().unwrap_or(&none));
    let totals = result.totals.clone().unwrap_or_default();
    say!("## Events");
    table(
        &[
            "events",
            "unchanged",
            "other outcome",
            "other measures",
            "not decidable",
        ],
        &[vec![
            totals.events.to_string(),
            totals.unchanged.to_string(),
            totals.changed_outcome.to_string(),
            totals.changed_measures.to_string(),
            totals.not_decidable.to_string(),
        ]],
    );
    for why in &totals.why {
        say!(
            "not decidable: {} of them {}, the first at position {}",
            why.events,
            why.reason,
            why.first_position
        );
    }
    say!("## Outcomes");
    transitions(&result.transitions);
    groups("## Scenarios", &result.scenarios);
    groups("## Stages", &result.stages);
    groups("## Departments", &result.departments);
    groups("## Kinds of subject", &result.kinds);
    rows("## Rows", &result.rows);
    rows("## Implementers", &result.implementers);
    if !result.samples.is_empty() {
        say!("## Samples");
        let samples = result.samples.iter().map(|sample| {
            vec![
                format!("{} → {}", sample.old, sample.new),
                sample.verdict_id.clone(),
                format!("{}/{}", sample.scenario, sample.stage),
                sample.source.clone(),
                rows_text(&sample.rows),
            ]
        });
        table(
            &["outcome", "verdict", "stage", "department", "rows"],
            &samples.collect::<Vec<_>>(),
        );
    }
    say!("simulation {}", result.simulation_id);
    say!("candidate  {}", result.book_version);
    if !result.content_hash.is_empty() {
        say!("its files  {}", result.content_hash);
    }
    say!("in force   {}", result.live_book_version);
    say!("took       {} ms", result.took_ms);
}

/// Persons come first: a book that limits them more must not be published unseen.
fn print_limited(limited: &v1::NewlyLimited) {
    say!("## Persons newly limited");
    if limited.times == 0 {
        say!("none");
        say!();
        return;
    }
    say!(
        "!! {} natural person(s) and {} other(s) under protection, {} time(s)",
        limited.persons,
        limited.others,
        limited.times
    );
    let standing = |standing: Option<&v1::Standing>| {
        let none = v1::Standing::default();
        let standing = standing.unwrap_or(&none);
        let mut text = standing.outcome.clone();
        for (word, effect) in [
            ("effect", &standing.effect),
            ("proposed", &standing.proposed),
        ] {
            if !effect.is_empty() {
                text.push_str(&format!(", {word} {effect}"));
            }
        }
        text
    };
    let examples = limited.examples.iter().map(|person| {
        vec![
            person.identifier.clone(),
            format!("{} {}", person.kind, person.role),
            format!("{}/{}", person.scenario, person.stage),
            standing(person.old.as_ref()),
            standing(person.new.as_ref()),
            person.rows.join(", "),
            person.verdict_id.clone(),
        ]
    });
    table(
        &[
            "identifier",
            "who",
            "stage",
            "was told",
            "would be told",
            "rows",
            "verdict",
        ],
        &examples.collect::<Vec<_>>(),
    );
}

fn print_state(state: &v1::ShadowState) {
    let when = |stamp: Option<&pbjson_types::Timestamp>| {
        stamp
            .and_then(time_from_proto)
            .map(|time| time.to_string())
            .unwrap_or_default()
    };
    say!("shadow    {}", state.shadow_id);
    say!("book      {}", state.book_version);
    say!(
        "set by    {} at {}",
        state.caller,
        when(state.set_at.as_ref())
    );
    say!("purpose   {}", state.purpose);
    say!("counted since {}", when(state.counted_since.as_ref()));
    say!("compared  {}", state.compared);
    say!("same      {}", state.same);
    say!("different {}", state.different);
    for not_compared in &state.not_compared {
        say!(
            "not compared: {} ({})",
            not_compared.count,
            not_compared.reason
        );
    }
    say!(
        "kept      {} differences, {} more only counted",
        state.kept,
        state.not_kept
    );
    if !state.transitions.is_empty() {
        say!("## Outcomes");
        transitions(&state.transitions);
    }
    rows("## Rows", &state.rows);
}

fn print_json(message: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(message)
        .map_err(|error| Failure::new("print the answer", error))?;
    say!("{text}");
    Ok(())
}

fn transitions(counts: &[v1::TransitionCount]) {
    let rows = counts.iter().map(|count| {
        vec![
            count.old.clone(),
            count.new.clone(),
            count.count.to_string(),
        ]
    });
    table(
        &["was told", "would be told", "events"],
        &rows.collect::<Vec<_>>(),
    );
}

/// Groups in which something is different, with their transitions.
fn groups(title: &str, groups: &[v1::GroupCounts]) {
    if groups.is_empty() {
        return;
    }
    say!("{title}");
    let rows = groups.iter().map(|group| {
        let changed = group
            .transitions
            .iter()
            .filter(|count| count.old != count.new);
        let changed: Vec<String> = changed
            .map(|count| format!("{} → {}: {}", count.old, count.new, count.count))
            .collect();
        vec![
            group.name.clone(),
            group.total.to_string(),
            group.different.to_string(),
            changed.join(", "),
        ]
    });
    table(
        &["", "all", "different", "outcomes"],
        &rows.collect::<Vec<_>>(),
    );
}

fn rows(title: &str, rows: &[v1::RowCounts]) {
    if rows.is_empty() {
        return;
    }
    say!("{title}");
    let rows = rows.iter().map(|row| {
        vec![
            row.name.clone(),
            row.title.clone(),
            row.added.to_string(),
            row.removed.to_string(),
            row.changed.to_string(),
        ]
    });
    table(
        &["", "title", "newly", "no longer", "otherwise"],
        &rows.collect::<Vec<_>>(),
    );
}

fn rows_text(rows: &[v1::RowChange]) -> String {
    let rows = rows.iter().map(|change| {
        let word = |counts: &str| match counts {
            "" => "-".to_owned(),
            counts => counts.to_owned(),
        };
        format!(
            "{}: {} → {}",
            change.row,
            word(&change.old),
            word(&change.new)
        )
    });
    rows.collect::<Vec<_>>().join(", ")
}

/// A table as Markdown writes it, with even columns.
fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = head.iter().map(|cell| width(cell)).collect();
    for row in rows {
        for (known, cell) in widths.iter_mut().zip(row) {
            *known = width(cell).max(*known);
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).map(|(cell, wide)| {
            let room = wide.saturating_sub(width(cell));
            format!(" {cell}{} ", " ".repeat(room))
        });
        format!("|{}|", cells.collect::<Vec<_>>().join("|"))
    };
    say!("{}", line(&mut head.iter().copied()));
    let rule: Vec<String> = widths.iter().map(|wide| "-".repeat(wide + 2)).collect();
    say!("|{}|", rule.join("|"));
    for row in rows {
        say!("{}", line(&mut row.iter().map(String::as_str)));
    }
    say!();
}

/// Columns of a terminal: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|character| match character {
            '\u{2E80}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{FE30}'..='\u{FE4F}'
            | '\u{FF00}'..='\u{FF60}' => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_in_shanghai() {
        let day = time("--from", Some("2026-09-01")).ok().flatten();
        let instant = time("--from", Some("2026-08-31T16:00:00Z")).ok().flatten();
        assert!(day.is_some() && day == instant);
        assert!(time("--from", Some("yesterday")).is_err());
    }

    #[test]
    fn chinese_characters_take_two_columns() {
        assert_eq!(width("限制投标 M07"), 12);
    }
}
