//! A case as rows: itself, and what leads to it.

use std::collections::HashSet;

use creditgate_measures::identifier::Key;
use rusqlite::ToSql;
use rusqlite::types::Value;

use super::{Error, Seal};

/// A case.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub case_id: &'a str,
    pub scenario: &'a str,
    /// Where it is ([`crate::state::CaseState::region`]), six digits; empty: nobody knows.
    pub region: &'a str,
    pub open: bool,
    /// Measures in it may still have to be lifted.
    pub tracked: bool,
    /// The end of the day up to which it is open, in microseconds.
    pub open_until: i64,
    /// From when on a check may be missing, in microseconds; 0: from the beginning, -1: that is not known.
    pub missing_from: Option<i64>,
    pub last_event_at: i64,
    pub state: Vec<u8>,
    pub children: Children,
}

/// What leads to a case. Each list is sorted and names nothing twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Children {
    /// Keys of its subjects.
    pub keys: Vec<Key>,
    /// Entries on which its measures rest.
    pub entries: Vec<String>,
    /// Its measures.
    pub measures: Vec<String>,
    /// Verdicts of which something may be reported.
    pub bites: Vec<[u8; 16]>,
    /// What waits for an official.
    pub proposals: Vec<ProposalRow>,
    /// Its lift orders.
    pub orders: Vec<OrderRow>,
    /// Of each measure, verdict and implementer, the last report.
    pub reports: Vec<ReportRow>,
    /// Ids of all its reports.
    pub said: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProposalRow {
    pub key: String,
    pub state: &'static str,
    pub measure: String,
    pub decide_by: String,
    pub escalated: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub id: String,
    pub implementer: String,
    pub state: &'static str,
    pub ordered_at: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReportRow {
    pub key: String,
    pub verdict: [u8; 16],
    pub implementer: String,
    pub measure: String,
    pub direction: &'static str,
    pub status: String,
    pub department: String,
    pub division: String,
    pub day: String,
    pub amount: i64,
}

/// Runs a statement with values.
type Run<'a> = dyn Fn(&str, &[&dyn ToSql]) -> Result<(), Error> + 'a;

impl Children {
    /// Writes what differs from what was there.
    pub(super) fn replace(
        &self,
        before: &Self,
        case: i64,
        seal: &Seal,
        run: &Run<'_>,
    ) -> Result<(), Error> {
        let clear = |table: &str| {
            run(
                &format!("DELETE FROM {table} WHERE \"case\" = ?1"),
                &[&case],
            )
        };
        let hashed = |entry: &str| Value::from(seal.id("rests", entry).into_owned());
        names(
            ("rests", "entry"),
            &self.entries,
            &before.entries,
            case,
            &hashed,
            run,
        )?;
        let as_it_is = |measure: &str| Value::from(measure.to_owned());
        names(
            ("measures", "measure"),
            &self.measures,
            &before.measures,
            case,
            &as_it_is,
            run,
        )?;
        let known: HashSet<&[u8; 16]> = before.bites.iter().collect();
        for bite in self.bites.iter().filter(|bite| !known.contains(bite)) {
            run(
                "INSERT OR IGNORE INTO bites VALUES (?1, ?2)",
                &[&&bite[..], &case],
            )?;
        }
        if self.proposals != before.proposals {
            clear("proposals")?;
            for one in &self.proposals {
                run(
                    "INSERT INTO proposals VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    &[
                        &case,
                        &one.key,
                        &one.state,
                        &one.measure,
                        &one.decide_by,
                        &one.escalated,
                    ],
                )?;
            }
        }
        if self.orders != before.orders {
            for one in &self.orders {
                run(
                    "INSERT OR REPLACE INTO orders VALUES (?1, ?2, ?3, ?4, ?5)",
                    &[
                        &one.id,
                        &case,
                        &one.implementer,
                        &one.state,
                        &one.ordered_at,
                    ],
                )?;
            }
        }
        if self.reports != before.reports {
            clear("reports")?;
            for one in &self.reports {
                run(
                    "INSERT OR REPLACE INTO reports VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                    &[
                        &case,
                        &one.key,
                        &&one.verdict[..],
                        &one.implementer,
                        &one.measure,
                        &one.direction,
                        &one.status,
                        &one.department,
                        &one.division,
                        &one.day,
                        &one.amount,
                    ],
                )?;
            }
        }
        // The first one under an id stands, and none is ever taken back.
        let known: HashSet<&String> = before.said.iter().collect();
        for id in self.said.iter().filter(|id| !known.contains(id)) {
            run(
                "INSERT OR IGNORE INTO said VALUES (?1, ?2)",
                &[&seal.id("said", id), &case],
            )?;
        }
        Ok(())
    }
}

/// Writes names that lead to a case, as a column of a table holds them.
fn names(
    (table, column): (&str, &str),
    now: &[String],
    before: &[String],
    case: i64,
    held: &dyn Fn(&str) -> Value,
    run: &Run<'_>,
) -> Result<(), Error> {
    for gone in before.iter().filter(|name| !now.contains(name)) {
        let sql = format!("DELETE FROM {table} WHERE {column} = ?1 AND \"case\" = ?2");
        run(&sql, &[&held(gone), &case])?;
    }
    for new in now.iter().filter(|name| !before.contains(name)) {
        run(
            &format!("INSERT OR IGNORE INTO {table} VALUES (?1, ?2)"),
            &[&held(new), &case],
        )?;
    }
    Ok(())
}
