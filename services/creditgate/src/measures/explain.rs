//! `measures explain`: why each row of a book did or did not match an event, without a service.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use creditgate_measures::book::{Book, Measure};
use creditgate_measures::case::CaseView;
use creditgate_measures::event::{EntryId, Event, Subject};
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Verdict, Why};
use creditgate_measures::{
    Because, NotMatched, Question, RowExplained, decide, explain as told_of,
};
use creditgate_proto::decode::{self, Limits};
use creditgate_proto::{encode, v1};
use creditgate_registry::files::{self, Options};
use creditgate_registry::life;
use creditgate_runtime::errors::Chain;

use super::load;
use crate::check;
use crate::cli::{BookArgs, ExplainArgs};
use crate::failure::Failure;

/// Lists that a line names before it counts the others.
const LISTS_NAMED: usize = 6;

/// Judges one event against a book and files of entries, and tells it row by row.
pub fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let book = load(&BookArgs {
        dir: args.book.clone(),
        supplement: args.supplement.clone(),
        confirmations: args.confirmations.clone(),
    })?;
    if let Some(id) = &args.row
        && !book.measures().iter().any(|row| row.id.as_str() == id)
    {
        return Err(Failure::plain(format!("the book has no row `{id}`")));
    }
    let at = args.at.as_deref().map(Time::parse).transpose();
    let at = at.map_err(|error| Failure::new("read --at", error))?;
    let event = event(args, &book, at)?;
    let at = at.unwrap_or(event.occurred_at);
    let lists = entries(args, &book, &event, at)?;
    let question = Question::about(&event);
    let verdict = decide(question, at, &CaseView::default(), &lists, &book);
    let told = told_of(question, at, &lists, &book);
    let shown: Vec<&RowExplained> = told.iter().filter(|row| shows(args, row)).collect();
    if args.json {
        let json = json(&verdict, &event, at, &shown);
        let text = serde_json::to_string_pretty(&json)
            .map_err(|error| Failure::new("print the rows", error))?;
        say!("{text}");
    } else {
        tell(&verdict, &event, at, &shown);
        let left_out = told.len() - shown.len();
        if left_out > 0 && args.row.is_none() {
            say!();
            say!("{left_out} of other scenarios; --all shows them");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The event as `creditgate check --file` reads it; the book must know what it names.
fn event(args: &ExplainArgs, book: &Book, at: Option<Time>) -> Result<Event, Failure> {
    let message = check::from_file(&args.event)?;
    // Whoever asks "what if" may ask of a day to come.
    let limits = Limits {
        ahead_seconds_max: i64::MAX,
        ..Limits::default()
    };
    let refused = |error: creditgate_proto::Refused| Failure::new("read the event", error);
    let decoded = decode::event_from_proto(&message, &limits, at.unwrap_or_else(now));
    let event = decoded.map_err(refused)?.event;
    let violations = decode::book_violations(&event, book);
    if !violations.is_empty() {
        return Err(refused(creditgate_proto::Refused { violations }));
    }
    Ok(event)
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    Time::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The entries of the files, as known when the event took place; every list of the book is
/// confirmed when it is judged.
fn entries(args: &ExplainArgs, book: &Book, event: &Event, at: Time) -> Result<Lists, Failure> {
    let mut known: BTreeMap<EntryId, life::Known> = BTreeMap::new();
    let recorded_at = event.occurred_at.min(at);
    for file in &args.lists {
        let name = file.display();
        let rows = files::read_all(file, &Options::default())
            .map_err(|error| Failure::plain(Chain(&error).to_string()))?;
        for row in rows {
            let failed =
                |why: String| Failure::plain(format!("`{name}`, line {}: {why}", row.line));
            let entry = row.entry.map_err(|refused| failed(refused.to_string()))?;
            let draft = life::draft(&entry).map_err(|refused| failed(refused.to_string()))?;
            let id = draft.entry_id.clone();
            let steps = life::put(draft, known.get(&id), book, recorded_at)
                .map_err(|refused| failed(refused.to_string()))?;
            if let Some(last) = steps.into_iter().next_back() {
                let entry = last.entry;
                known.insert(
                    id,
                    life::Known {
                        entry,
                        absent: false,
                    },
                );
            }
        }
    }
    let mut lists = Lists::empty(uuid::Uuid::nil(), book.simplify());
    for list in book.lists() {
        lists.confirm(list.code.clone(), at);
    }
    for known in known.values() {
        lists.put(&known.entry, book.simplify());
    }
    Ok(lists)
}

/// Whether the row is asked for: of the event's scenario, or all, or the one named.
fn shows(args: &ExplainArgs, row: &RowExplained) -> bool {
    match &args.row {
        Some(id) => row.measure.id.as_str() == id,
        None => args.all || !matches!(row.because, Because::NotMatched(NotMatched::Scenario)),
    }
}

fn tell(verdict: &Verdict, event: &Event, at: Time, shown: &[&RowExplained]) {
    say!(
        "{}  {}/{}  case {}",
        verdict.outcome(),
        event.scenario,
        event.stage,
        event.case_id
    );
    if !verdict.flags.is_empty() {
        say!("  flags: {}", joined(&verdict.flags));
    }
    for (index, (subject, judged)) in event.subjects.iter().zip(&verdict.subjects).enumerate() {
        say!();
        say!(
            "subject {index} ({}) {}: {}, identity {}",
            subject.role,
            masked(subject, at),
            judged.decision.outcome(),
            judged.identity
        );
        if !judged.flags.is_empty() {
            say!("  flags: {}", joined(&judged.flags));
        }
        let of_subject = || shown.iter().filter(|row| row.subject == index);
        for row in of_subject().filter(|row| row.because.matched()) {
            tell_matched(row);
        }
        let mut others = of_subject().filter(|row| !row.because.matched()).peekable();
        if others.peek().is_some() {
            say!("  not matched");
        }
        for row in others {
            if let Because::NotMatched(reason) = &row.because {
                let reason = sentence(*reason, row, event);
                say!(
                    "    {:<6} {} · {reason}",
                    row.measure.id.as_str(),
                    row.measure.title.zh
                );
            }
        }
    }
}

fn tell_matched(row: &RowExplained) {
    let measure = &row.measure;
    let (what, why) = contribution(&row.because);
    say!(
        "  {what} {} · {} {}",
        measure.id,
        measure.title.zh,
        measure.title.en
    );
    if !why.is_empty() {
        say!("    because {}", joined(why));
    }
    if let Some(entry) = &row.entry {
        say!(
            "    entry {} on {}, found by {}",
            entry.entry_id,
            entry.list,
            entry.path
        );
    }
    let bases: Vec<String> = measure.bases.iter().map(|basis| basis.told()).collect();
    say!("    basis: {}", bases.join("; "));
}

/// What a matched row comes to, such as `proposed RESTRICT`, and why.
fn contribution(because: &Because) -> (String, &[Why]) {
    match because {
        Because::Triggered(one) => {
            let what = format!("{} {}", one.contributes.code(), one.effect);
            (what, &one.why)
        }
        Because::Incentive(one) => {
            let word = if one.withheld.is_empty() {
                "offered"
            } else {
                "withheld"
            };
            (
                format!("{word} {}", one.measure.action.code()),
                &one.withheld,
            )
        }
        Because::NotMatched(_) => (String::new(), &[]),
    }
}

/// Why the row does not match, with what it asks and what the event has.
fn sentence(reason: NotMatched, row: &RowExplained, event: &Event) -> String {
    let measure = &row.measure;
    let entry = row.entry.as_ref().map_or_else(String::new, |entry| {
        format!(" (entry {} on {})", entry.entry_id, entry.list)
    });
    match reason {
        NotMatched::Scenario => {
            let own = measure.applies.iter().map(|(scenario, _)| scenario);
            format!("only in {}", joined(own))
        }
        NotMatched::Stage => {
            let own = measure.applies.iter().filter(|(s, _)| *s == event.scenario);
            format!("only at {}", joined(own.flat_map(|(_, stages)| stages)))
        }
        NotMatched::Inactive => format!(
            "inactive: without {}, and nobody has confirmed it",
            joined(unpublished(measure))
        ),
        NotMatched::Day => {
            let day = event.occurred_at.date();
            format!("in force {}, the event is of {day}", days(measure))
        }
        NotMatched::NoticeDay => {
            let day = event.text("notice_published_at").unwrap_or_default();
            format!("in force {}, the notice is of {day}", days(measure))
        }
        NotMatched::Region => {
            let own = measure.region.map_or_else(String::new, |r| r.to_string());
            format!("holds in {own}, the event is in {}", event.region)
        }
        NotMatched::NoticeNotCarried => {
            "rests on the notice, and the event carries no notice_no with notice_clause".to_owned()
        }
        NotMatched::NotListed => {
            let named = measure.lists.iter().take(LISTS_NAMED);
            let more = measure.lists.len().saturating_sub(LISTS_NAMED);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!(
                "the subject is on none of its lists: {}{more}",
                joined(named)
            )
        }
        NotMatched::NotUsable(why) => format!("listed, and not usable: {why}{entry}"),
        NotMatched::Relation(role) => {
            format!("does not extend to the {role} of the listed subject{entry}")
        }
        NotMatched::Role => format!("only for {}{entry}", joined(&measure.roles)),
        NotMatched::Kind => format!("only for {}{entry}", joined(&measure.kinds)),
        NotMatched::Severity => {
            format!("only for severity {}{entry}", joined(&measure.severities))
        }
        NotMatched::Scope => format!("the entry's scope is another than the event's{entry}"),
        NotMatched::Condition => {
            let text = measure.condition.as_ref().map_or("", |(_, text)| text);
            format!("its condition does not hold: {text}{entry}")
        }
    }
}

/// Which facts of publication an inactive row lacks.
fn unpublished(measure: &Measure) -> Vec<&'static str> {
    [
        ("published_at", measure.published_at.is_none()),
        ("published_in", measure.published_in.is_none()),
        ("effective_from", measure.effective_from.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, missing)| missing.then_some(name))
    .collect()
}

fn days(measure: &Measure) -> String {
    let from = measure.effective_from.map(|day| format!("from {day}"));
    let to = measure.effective_to.map(|day| format!("to {day}"));
    let both: Vec<String> = from.into_iter().chain(to).collect();
    both.join(" ")
}

fn joined(words: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| word.to_string()).collect();
    words.join(", ")
}

/// The subject's identifier, masked.
fn masked(subject: &Subject, at: Time) -> String {
    subject
        .valid_identifier(at)
        .map_or_else(|| "without a valid identifier".to_owned(), |id| id.masked())
}

fn json(verdict: &Verdict, event: &Event, at: Time, shown: &[&RowExplained]) -> serde_json::Value {
    let of_row = |row: &&RowExplained| {
        let (contributes, why) = contribution(&row.because);
        let reason = match row.because {
            Because::NotMatched(reason) => Some(reason),
            _ => None,
        };
        let subject = event.subjects.get(row.subject);
        serde_json::json!({
            "subject": row.subject,
            "identifier": subject.map(|subject| masked(subject, at)),
            "measure": row.measure.id.as_str(),
            "title": { "zh": row.measure.title.zh, "en": row.measure.title.en },
            "basis": row.measure.bases.iter().map(|basis| basis.told()).collect::<Vec<_>>(),
            "entry": row.entry.as_ref().map(|entry| serde_json::json!({
                "entry_id": entry.entry_id.as_str(),
                "list": entry.list.as_str(),
                "path": entry.path.to_string(),
            })),
            "matched": row.because.matched(),
            "contributes": row.because.matched().then_some(contributes),
            "why": why.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "reason": reason.map(NotMatched::code),
            "told": reason.map(|reason| sentence(reason, row, event)),
        })
    };
    let verdict: v1::Verdict = encode::verdict_to_proto(verdict);
    serde_json::json!({
        "verdict": verdict,
        "rows": shown.iter().map(of_row).collect::<Vec<_>>(),
    })
}
