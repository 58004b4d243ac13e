//! `measures test`: the cases of the rows judged, and the law changed to see whether they notice.

use std::io::IsTerminal;
use std::process::ExitCode;

use creditgate_measures::book::{self, Difference, FailedCase, Mutation, Tested};

use super::{read, refused};
use crate::cli::TestArgs;
use crate::failure::Failure;

/// Of a hundred changes of the law, so many must be noticed.
const ENOUGH_PERCENT: usize = 90;

/// Judges the cases of every row.
pub fn test(args: &TestArgs) -> Result<ExitCode, Failure> {
    if args.mutate {
        return mutate(args);
    }
    let (files, deployment) = read(&args.book)?;
    let tested = book::test(&files, &deployment).map_err(refused)?;
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
    let mutation = book::mutate(&files, &deployment, args.row.as_deref(), |done, total| {
        if watched {
            note_part!("\r{done} of {total} rows");
        }
    })
    .map_err(refused)?;
    if watched {
        note_part!("\r                        \r");
    }
    if let (Some(id), true) = (&args.row, mutation.rows.is_empty()) {
        return Err(Failure::plain(format!(
            "no row of the book has the id `{id}`"
        )));
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
