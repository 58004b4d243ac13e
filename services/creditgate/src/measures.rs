//! `creditgate measures`: a book checked without a service.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;

use creditgate_measures::book::{
    self as in_book, Book, BookErrors, Deployment, Difference, FailedCase, Mutation, SourceFile,
    Tested,
};

use crate::book;
use crate::cli::{BookArgs, TestArgs};
use crate::failure::Failure;

/// Of a hundred changes of the law, so many must be noticed.
const ENOUGH_PERCENT: usize = 90;

fn read(args: &BookArgs) -> Result<(Vec<SourceFile>, Deployment), Failure> {
    let unread = |error| Failure::new("read the book", error);
    let mut files = book::files(args.dir.as_deref()).map_err(unread)?;
    for dir in &args.supplement {
        files.extend(book::supplement(dir).map_err(unread)?);
    }
    let deployment = Deployment {
        confirmations: book::confirmations(&args.confirmations).map_err(unread)?,
        not_connected: BTreeMap::new(),
    };
    Ok((files, deployment))
}

fn load(args: &BookArgs) -> Result<Book, Failure> {
    let (files, deployment) = read(args)?;
    Book::load(&files, &deployment).map_err(refused)
}

fn refused(errors: BookErrors) -> Failure {
    Failure::plain(errors.to_string())
}

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

/// Judges the cases of every row.
pub fn test(args: &TestArgs) -> Result<ExitCode, Failure> {
    if args.mutate {
        return mutate(args);
    }
    let (files, deployment) = read(&args.book)?;
    let tested = in_book::test(&files, &deployment).map_err(refused)?;
    for failed in &tested.failed {
        tell_failed(failed);
    }
    let Tested { rows, cases, .. } = tested;
    match tested.failed.len() {
        0 => {
            say!("{cases} cases of {rows} rows passed");
            Ok(ExitCode::SUCCESS)
        }
        failed => {
            say!("{failed} of {cases} cases of {rows} rows failed");
            Ok(ExitCode::from(1))
        }
    }
}

fn tell_failed(failed: &FailedCase) {
    say!(
        "{}:{}: {}: case `{}`",
        failed.file,
        failed.line,
        failed.row,
        failed.name
    );
    match &failed.difference {
        Difference::Outcome { expected, got } => {
            say!("  expected  {expected}");
            say!("  got       {got}");
        }
        Difference::NotShown { fragment, told } => {
            say!("  expected  the row tells `{fragment}`");
            say!(
                "  got       {}",
                told.trim_end().replace('\n', "\n            ")
            );
        }
        Difference::Unclear(wrong) => say!("  cannot be judged: {wrong}"),
    }
}

/// Changes each field of each row and tells which changes nothing notices.
fn mutate(args: &TestArgs) -> Result<ExitCode, Failure> {
    let (files, deployment) = read(&args.book)?;
    let watched = std::io::stderr().is_terminal();
    let mutation = in_book::mutate(&files, &deployment, |done, total| {
        if watched {
            eprint!("\r{done} of {total} rows");
        }
    })
    .map_err(refused)?;
    if watched {
        eprint!("\r                        \r");
    }
    say!("{:<16} {:>7} {:>7}", "field", "killed", "total");
    for (field, (killed, total)) in mutation.by_field() {
        say!("{field:<16} {killed:>7} {total:>7}");
    }
    say!();
    tell_survivors(&mutation, args.survivors.unwrap_or(usize::MAX));
    let (killed, total) = (mutation.killed(), mutation.total());
    // Floored, so that what is told never looks better than it is.
    let per_mille = (killed * 1_000).checked_div(total).unwrap_or(1_000);
    say!(
        "killed {killed} of {total} ({}.{} %)",
        per_mille / 10,
        per_mille % 10
    );
    let enough = killed * 100 >= total * ENOUGH_PERCENT;
    Ok(if enough {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The changes that nothing noticed, by row, and how many are left out.
fn tell_survivors(mutation: &Mutation, most: usize) {
    let mut left = most;
    let mut left_out = 0;
    for row in &mutation.rows {
        let survivors: Vec<_> = row.survivors().collect();
        let shown = survivors.len().min(left);
        left -= shown;
        left_out += survivors.len() - shown;
        if shown > 0 {
            say!(
                "{} ({}:{}) killed {} of {}",
                row.id,
                row.file,
                row.line,
                row.killed(),
                row.mutants.len()
            );
        }
        for survivor in survivors.iter().take(shown) {
            say!("  {} {} {}", row.id, survivor.field, survivor.change);
        }
    }
    if left_out > 0 {
        say!("and {left_out} more");
    }
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
