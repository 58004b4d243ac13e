//! `measures lint`: every guard checked, and what the book holds counted.

use std::collections::BTreeMap;
use std::process::ExitCode;

use creditgate_measures::book::Book;

use super::load;
use crate::cli::BookArgs;
use crate::failure::Failure;

/// Checks the book against every guard and counts what it holds.
pub fn lint(args: &BookArgs) -> Result<ExitCode, Failure> {
    let book = load(args)?;
    say!(
        "{} ({}), edition {}",
        book.name(),
        book.title().zh,
        book.edition().code
    );
    say!("version {}", book.version());
    count_lists(&book);
    count_rows(&book);
    say!("scenarios  {}", book.scenarios().count());
    say!("agreements {}", book.agreements().len());
    say!("repair     {}", book.repair_rules().len());
    count_clocks(&book);
    say!(
        "cases      {}",
        book.measures().iter().map(|row| row.cases).sum::<usize>()
    );
    for example in book.supplements().iter().filter(|part| part.example) {
        say!(
            "example    supplement {} is an example and nobody's law",
            example.code
        );
    }
    say!("every guard holds");
    // Last and apart: what is not in the book is part of no figure above.
    say!(
        "not expressed {} (in no figure above; `measures show --list not-expressed` tells why)",
        book.not_expressed().len()
    );
    Ok(ExitCode::SUCCESS)
}

/// What clocks follow: limits, working calendars, notices.
fn count_clocks(book: &Book) {
    let limits = book.repair_rules().iter().flat_map(|rule| {
        let limits = rule.limits.iter();
        limits.map(|(procedure, _)| procedure.code())
    });
    say!("  limits     {}", counts(limits));
    let years = book.calendar().years();
    let told: Vec<String> = years
        .map(|year| format!("{} ({} working days)", year.year, year.working_days()))
        .collect();
    say!("calendar   {}: {}", told.len(), told.join(", "));
    say!("notices    {}", book.notices().len());
}

fn count_lists(book: &Book) {
    let lists = book.lists();
    say!(
        "lists      {}",
        counts(lists.iter().map(|list| list.colour.code()))
    );
    say!(
        "  part       {}",
        counts(lists.iter().map(|list| part(list.supplement.as_deref())))
    );
    say!(
        "  confidence {}",
        counts(lists.iter().map(|list| list.confidence.code()))
    );
}

fn count_rows(book: &Book) {
    let rows = book.measures();
    say!(
        "rows       {}",
        counts(rows.iter().map(|row| row.action.direction().code()))
    );
    say!(
        "  part       {}",
        counts(rows.iter().map(|row| part(row.supplement.as_deref())))
    );
    let active = |active| if active { "active" } else { "inactive" };
    say!(
        "  active     {}",
        counts(rows.iter().map(|row| active(row.active)))
    );
    say!(
        "  class      {}",
        counts(
            rows.iter()
                .map(|row| row.class.map_or("none", |class| class.code()))
        )
    );
    say!(
        "  force      {}",
        counts(rows.iter().map(|row| row.force.code()))
    );
    say!(
        "  effect     {}",
        counts(rows.iter().map(|row| row.action.code()))
    );
    say!(
        "  confidence {}",
        counts(rows.iter().map(|row| row.confidence.code()))
    );
}

/// `national`, or the supplement.
fn part(supplement: Option<&str>) -> String {
    supplement.map_or_else(
        || "national".to_owned(),
        |code| format!("supplement {code}"),
    )
}

/// `9: black 5, red 4`, the most frequent first.
fn counts(words: impl Iterator<Item = impl Into<String>>) -> String {
    let mut by_word: BTreeMap<String, usize> = BTreeMap::new();
    words.for_each(|word| *by_word.entry(word.into()).or_default() += 1);
    let total: usize = by_word.values().sum();
    let mut sorted: Vec<_> = by_word.into_iter().collect();
    sorted.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
    let told: Vec<String> = sorted
        .iter()
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    format!("{total}: {}", told.join(", "))
}
