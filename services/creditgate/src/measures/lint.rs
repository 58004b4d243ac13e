//! `measures lint`: every guard checked, and what the book holds counted.

use std::collections::BTreeMap;
use std::process::ExitCode;

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
    let lists = book.lists();
    say!(
        "lists      {}",
        counts(lists.iter().map(|list| list.colour.code()))
    );
    say!("scenarios  {}", book.scenarios().count());
    let rows = book.measures();
    say!(
        "rows       {}",
        counts(rows.iter().map(|row| row.action.direction().code()))
    );
    say!(
        "active     {}",
        counts(
            rows.iter()
                .map(|row| if row.active { "active" } else { "inactive" })
        )
    );
    say!(
        "class      {}",
        counts(
            rows.iter()
                .map(|row| row.class.map_or("none", |class| class.code()))
        )
    );
    say!(
        "force      {}",
        counts(rows.iter().map(|row| row.force.code()))
    );
    say!(
        "effect     {}",
        counts(rows.iter().map(|row| row.action.code()))
    );
    say!(
        "confidence {}",
        counts(rows.iter().map(|row| row.confidence.code()))
    );
    say!("agreements {}", book.agreements().len());
    say!("every guard holds");
    Ok(ExitCode::SUCCESS)
}

/// `9: black 5, red 4`, the most frequent first.
fn counts(words: impl Iterator<Item = &'static str>) -> String {
    let mut by_word: BTreeMap<&str, usize> = BTreeMap::new();
    words.for_each(|word| *by_word.entry(word).or_default() += 1);
    let total: usize = by_word.values().sum();
    let mut sorted: Vec<_> = by_word.into_iter().collect();
    sorted.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
    let told: Vec<String> = sorted
        .iter()
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    format!("{total}: {}", told.join(", "))
}
