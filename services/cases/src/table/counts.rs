//! How much stands open, for operators: each number from an index of its own.

use creditgate_runtime::metrics::CaseCounts;
use rusqlite::params;

use super::{Error, Lookup};

impl Lookup {
    /// What stands open at this time, in microseconds; orders given before the other one are overdue.
    pub(crate) fn standing(&self, now: i64, overdue_before: i64) -> Result<CaseCounts, Error> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT (SELECT count(*) FROM cases WHERE open),
                    (SELECT count(*) FROM orders WHERE state = 'open'),
                    (SELECT count(*) FROM orders WHERE state = 'open' AND ordered_at < ?2),
                    (SELECT count(*) FROM proposals),
                    (SELECT count(*) FROM proposals WHERE escalated),
                    (SELECT count(*) FROM cases WHERE missing_from BETWEEN 0 AND ?1),
                    (SELECT count(*) FROM pending),
                    (SELECT at FROM pending ORDER BY seq LIMIT 1)",
            )?;
            statement.query_row(params![now, overdue_before], |row| {
                let count = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
                Ok(CaseCounts {
                    open_cases: count(0)?,
                    lift_orders_open: count(1)?,
                    lift_orders_overdue: count(2)?,
                    proposals_open: count(3)?,
                    proposals_escalated: count(4)?,
                    missing_checks: count(5)?,
                    reviews_waiting: count(6)?,
                    oldest_review_at_micros: row.get(7)?,
                })
            })
        })
    }

    /// Whether a review waits.
    pub(crate) fn anything_waits(&self) -> Result<bool, Error> {
        self.ask(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM pending)")?;
            statement.query_row([], |row| row.get(0))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::table::{Children, Due, Logs, Mark, OrderRow, ProposalRow, Row, Seal, Table};

    fn table(dir: &Path) -> Table {
        let logs = Logs {
            verdicts: [1; 16],
            cases: [2; 16],
        };
        Table::open(dir, logs, &Seal::default()).expect("tables")
    }

    /// A case with a proposal and an order that was given then, and from when on a check is missing in it.
    fn row(case_id: &str, open: bool, ordered_at: i64, missing_from: Option<i64>) -> Row<'_> {
        Row {
            case_id,
            scenario: "land",
            region: "329900",
            open,
            tracked: true,
            open_until: i64::MAX,
            missing_from,
            last_event_at: 0,
            state: Vec::new(),
            children: Children {
                proposals: vec![ProposalRow {
                    key: "0/M1".to_owned(),
                    state: "proposed",
                    measure: "M1".to_owned(),
                    decide_by: "2026-03-06".to_owned(),
                    escalated: open,
                }],
                orders: vec![OrderRow {
                    id: format!("{case_id}-1"),
                    implementer: "甲局".to_owned(),
                    state: if open { "open" } else { "acknowledged" },
                    ordered_at,
                }],
                ..Children::default()
            },
        }
    }

    fn due(case: i64, seq: u64, at: i64) -> Due {
        Due {
            case,
            seq,
            at,
            cause: format!("list_change:{seq}"),
            open: true,
        }
    }

    #[test]
    fn what_stands_open_is_counted_and_what_another_has_reviewed_waits_no_more() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut table = table(dir.path());
        let lookup = table.lookup();
        assert_eq!(
            lookup.standing(0, 0).expect("counted"),
            CaseCounts::default()
        );
        let mark = table.mark();
        let put = table.write(mark, |change| {
            let first = change.put(None, &row("A", true, 100, Some(50)))?;
            let second = change.put(None, &row("B", true, 300, Some(500)))?;
            change.put(None, &row("C", false, 100, None))?;
            // One whose row was made under other terms.
            change.put(None, &row("D", false, 100, Some(-1)))?;
            change.wait(&[due(first, 7, 70), due(second, 9, 90), due(second, 7, 70)])?;
            Ok(())
        });
        put.expect("written");
        let expected = CaseCounts {
            open_cases: 2,
            missing_checks: 1,
            proposals_open: 4,
            proposals_escalated: 2,
            lift_orders_open: 2,
            lift_orders_overdue: 1,
            reviews_waiting: 3,
            oldest_review_at_micros: Some(70),
        };
        assert_eq!(lookup.standing(400, 200).expect("counted"), expected);

        let reviewed = |table: &mut Table, seq| {
            let mark = Mark {
                scanned: seq,
                ..table.mark()
            };
            table
                .write(mark, |change| change.reviewed(seq))
                .expect("written");
        };
        reviewed(&mut table, 8);
        let left = lookup.standing(400, 200).expect("counted");
        assert_eq!(
            (left.reviews_waiting, left.oldest_review_at_micros),
            (1, Some(90))
        );
        assert!(lookup.anything_waits().expect("asked"));
        reviewed(&mut table, 9);
        assert!(!lookup.anything_waits().expect("asked"));
        assert_eq!(lookup.scanned().expect("asked"), 9);
    }
}
