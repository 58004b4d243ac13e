//! Reports in the tables: what is counted of them.

use creditgate_proto::journal::v1::case_record::What;

use super::{Land, Story, bites, event, report};
use crate::rows::row;
use crate::table::{Logs, Seal, Table, Whose};

/// What the tables count of a case, by these columns: a line for each group.
fn counted(story: &Story, by: &[&'static str]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let logs = Logs {
        verdicts: [1; 16],
        cases: [2; 16],
    };
    let mut table = Table::open(dir.path(), logs, &Seal::default()).expect("tables");
    let row = row(&story.case, &Land::new());
    let put = table.write(table.mark(), |change| change.put(None, &row).map(drop));
    put.expect("written");
    let days = ("0000-00-00", "9999-12-31");
    let counts = table
        .lookup()
        .counts(by, days, None, &Whose::default())
        .expect("counted");
    let line = |(of, reports, amount): (Vec<String>, u64, i64)| {
        format!("{} {reports} {amount}", of.join(","))
    };
    counts.into_iter().map(line).collect()
}

/// The bar shown by two verdicts, with these reports of one implementer: verdict, status, amount.
fn reported(reports: &[(u64, &str, i64)]) -> Story {
    let mut story = Story::of(&[
        event(1, "register", &[bites("M1", &["E1"])]),
        event(2, "deal", &[bites("M1", &["E1"])]),
    ]);
    for (nth, (verdict, status, amount)) in reports.iter().enumerate() {
        let mut report = report(&format!("f{nth}"), *verdict, status, "甲局", story.now);
        report.amount_fen = Some(*amount);
        story.take(What::Feedback(report)).expect("taken");
    }
    story
}

#[test]
fn of_each_verdict_the_last_report_counts() {
    let story = reported(&[(1, "partly", 5), (1, "executed", 7), (2, "executed", 20)]);
    assert_eq!(counted(&story, &["measure"]), ["M1 2 27"]);
    assert_eq!(
        counted(&story, &["measure", "status"]),
        ["M1,executed 2 27"]
    );
}

#[test]
fn what_was_not_carried_out_counts_only_beside_its_status() {
    let story = reported(&[(1, "executed", 7), (2, "not_executed", 20)]);
    assert_eq!(
        counted(&story, &["status", "measure"]),
        ["executed,M1 1 7", "not_executed,M1 1 20"]
    );
    assert_eq!(counted(&story, &["measure"]), ["M1 1 7"]);
    assert_eq!(counted(&story, &["substr(day, 1, 7)"]), ["2026-03 1 7"]);
    let nothing = reported(&[(1, "not_executed", 7)]);
    assert!(counted(&nothing, &["measure"]).is_empty());
}
