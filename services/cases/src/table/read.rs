//! Questions to the tables, from any thread that may block.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use creditgate_measures::event::Region;
use creditgate_measures::identifier::Key;
use parking_lot::Mutex;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row, params, params_from_iter};

use super::keys::TOUCHED;
use super::{Error, Seal, Whose, connect};

/// Connections that are kept for the next question.
const IDLE_MAX: usize = 8;

/// The reading side. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lookup(Arc<Inner>);

struct Inner {
    path: PathBuf,
    seal: Seal,
    idle: Mutex<Vec<Connection>>,
}

/// A case by its row.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub case_id: String,
    pub state: Vec<u8>,
}

/// A review that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    pub case: i64,
    pub seq: u64,
    pub at: i64,
    pub cause: String,
}

/// Which cases are asked for.
#[derive(Debug, Default)]
pub(crate) struct CaseFilter {
    pub whose: Whose,
    pub open: Option<bool>,
    pub scenario: String,
    pub measure: String,
    /// Only those in which a check may be missing at this time, in microseconds.
    pub missing: Option<i64>,
    /// Only those with answers of the gate that differ.
    pub differing: bool,
    pub after: String,
}

/// Which proposals are asked for.
#[derive(Debug, Default)]
pub(crate) struct ProposalFilter {
    pub whose: Whose,
    pub state: String,
    pub escalated: bool,
    pub measure: String,
    /// Last day, case and key of the last one seen.
    pub after: Option<(String, i64, String)>,
}

/// Which orders are asked for.
#[derive(Debug, Default)]
pub(crate) struct OrderFilter {
    pub whose: Whose,
    pub state: String,
    pub implementer: String,
    /// Only open ones given before this.
    pub before: Option<i64>,
    /// When the last one seen was given, and its id.
    pub after: Option<(i64, String)>,
}

/// A condition with its values.
#[derive(Default)]
pub(super) struct Where {
    parts: Vec<String>,
    values: Vec<Value>,
}

impl Where {
    pub(super) fn and(&mut self, part: &str, values: impl IntoIterator<Item = Value>) {
        self.parts.push(part.to_owned());
        self.values.extend(values);
    }

    fn text(&self) -> String {
        match self.parts.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", self.parts.join(" AND ")),
        }
    }
}

impl Lookup {
    pub(super) fn new(path: PathBuf, seal: Seal) -> Self {
        Self(Arc::new(Inner {
            path,
            seal,
            idle: Mutex::default(),
        }))
    }

    /// How values about people stand in the tables.
    pub(crate) fn seal(&self) -> &Seal {
        &self.0.seal
    }

    /// A case and its state.
    fn wanted(&self, row: &Row<'_>) -> rusqlite::Result<Wanted> {
        let case_id: String = row.get(0)?;
        let state = self.seal().open("cases", &case_id, row.get(1)?)?;
        Ok(Wanted { case_id, state })
    }

    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let inner = &self.0;
        let kept = inner.idle.lock().pop();
        let connection = match kept {
            Some(connection) => Ok(connection),
            None => connect(&inner.path, OpenFlags::SQLITE_OPEN_READ_ONLY),
        };
        let answer = connection.and_then(|connection| {
            let answer = question(&connection)?;
            let mut idle = inner.idle.lock();
            if idle.len() < IDLE_MAX {
                idle.push(connection);
            }
            Ok(answer)
        });
        answer.map_err(|source| Error::Sql {
            path: inner.path.clone(),
            source,
        })
    }

    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| read(row))?;
            rows.collect()
        })
    }

    /// A case by its business number.
    pub(crate) fn case(&self, case_id: &str) -> Result<Option<Wanted>, Error> {
        let sql = "SELECT case_id, state FROM cases WHERE case_id = ?1";
        let found = self.rows(sql, vec![Value::from(case_id.to_owned())], |row| {
            self.wanted(row)
        })?;
        Ok(found.into_iter().next())
    }

    /// A case by its row.
    pub(crate) fn case_of(&self, id: i64) -> Result<Option<Wanted>, Error> {
        let sql = "SELECT case_id, state FROM cases WHERE id = ?1";
        let found = self.rows(sql, vec![Value::from(id)], |row| self.wanted(row))?;
        Ok(found.into_iter().next())
    }

    /// The case of a verdict of which something may be reported.
    pub(crate) fn bitten_by(&self, verdict: &[u8; 16]) -> Result<Option<Wanted>, Error> {
        let sql = "SELECT case_id, state FROM cases WHERE id IN
            (SELECT \"case\" FROM bites WHERE verdict = ?1)";
        let found = self.rows(sql, vec![Value::from(verdict.to_vec())], |row| {
            self.wanted(row)
        })?;
        Ok(found.into_iter().next())
    }

    /// The case with the report of this id.
    pub(crate) fn reported_by(&self, feedback_id: &str) -> Result<Option<Wanted>, Error> {
        let sql = "SELECT case_id, state FROM cases WHERE id IN
            (SELECT \"case\" FROM said WHERE id = ?1)";
        let id = self.seal().id("said", feedback_id).into_owned();
        let found = self.rows(sql, vec![Value::from(id)], |row| self.wanted(row))?;
        Ok(found.into_iter().next())
    }

    /// The case of an order.
    pub(crate) fn ordered_by(&self, order_id: &str) -> Result<Option<Wanted>, Error> {
        let sql = "SELECT case_id, state FROM cases WHERE id IN
            (SELECT \"case\" FROM orders WHERE id = ?1)";
        let found = self.rows(sql, vec![Value::from(order_id.to_owned())], |row| {
            self.wanted(row)
        })?;
        Ok(found.into_iter().next())
    }

    /// For each of these: open or tracked cases with a subject of one of the keys, or a measure that
    /// rests on the entry; rows, and whether they are open.
    pub(crate) fn touched<'a>(
        &self,
        asked: impl Iterator<Item = (&'a [Key], &'a str)>,
    ) -> Result<Vec<Vec<(i64, bool)>>, Error> {
        self.ask(|connection| {
            // One look at the file for all of them: each by itself would lock it anew.
            let _view = connection.unchecked_transaction()?;
            let mut by_key = connection.prepare_cached(TOUCHED)?;
            let mut by_entry = connection.prepare_cached(
                "SELECT id, open FROM rests JOIN cases ON id = \"case\" WHERE entry = ?1 AND (open OR tracked)",
            )?;
            asked
                .map(|(keys, entry)| {
                    let mut found = Vec::new();
                    for key in keys {
                        for row in by_key.query_map(params![self.seal().key(*key)], of_row)? {
                            found.push(row?);
                        }
                    }
                    let entry = self.seal().id("rests", entry);
                    for row in by_entry.query_map(params![entry], of_row)? {
                        found.push(row?);
                    }
                    found.sort_unstable();
                    found.dedup();
                    Ok(found)
                })
                .collect()
        })
    }

    /// Open or tracked cases of these scenarios, all of them where none is named.
    pub(crate) fn of_scenarios(&self, scenarios: &[String]) -> Result<Vec<(i64, bool)>, Error> {
        let mut which = Where::default();
        which.and("(open OR tracked)", []);
        if !scenarios.is_empty() {
            let places = vec!["?"; scenarios.len()].join(", ");
            let values = scenarios.iter().map(|one| Value::from(one.clone()));
            which.and(&format!("scenario IN ({places})"), values);
        }
        let sql = format!("SELECT id, open FROM cases {}", which.text());
        self.rows(&sql, which.values, of_row)
    }

    /// Reviews that wait, the urgent ones first; of each case one.
    pub(crate) fn pending(&self, most: usize) -> Result<Vec<Pending>, Error> {
        let sql = "SELECT p.\"case\", p.seq, p.at, p.cause FROM pending p
            WHERE NOT EXISTS (SELECT 1 FROM pending q WHERE q.\"case\" = p.\"case\"
                AND (q.urgency, q.seq, q.cause) < (p.urgency, p.seq, p.cause))
            ORDER BY p.urgency, p.seq, p.\"case\" LIMIT ?1";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.rows(sql, vec![Value::from(most)], |row| {
            Ok(Pending {
                case: row.get(0)?,
                seq: row.get::<_, i64>(1)?.cast_unsigned(),
                at: row.get(2)?,
                cause: row.get(3)?,
            })
        })
    }

    /// The number up to which every change was looked through and its reviews were made.
    pub(crate) fn reviewed_to(&self) -> Result<u64, Error> {
        self.count(
            "SELECT coalesce((SELECT min(seq) - 1 FROM pending), (SELECT scanned FROM mark))",
            Vec::new(),
        )
    }

    /// Whether any case is known, open or not.
    pub(crate) fn has_cases(&self) -> Result<bool, Error> {
        let found = self.count("SELECT EXISTS (SELECT 1 FROM cases)", Vec::new())?;
        Ok(found > 0)
    }

    /// The number up to which changes were looked through.
    pub(crate) fn scanned(&self) -> Result<u64, Error> {
        self.count("SELECT scanned FROM mark", Vec::new())
    }

    /// How many reviews wait.
    pub(crate) fn waiting(&self) -> Result<u64, Error> {
        self.count("SELECT count(*) FROM pending", Vec::new())
    }

    /// Whether reviews of all cases were asked for with this cause.
    pub(crate) fn was_requested(&self, cause: &str) -> Result<bool, Error> {
        let sql = "SELECT count(*) FROM requested WHERE cause = ?1";
        Ok(self.count(sql, vec![Value::from(cause.to_owned())])? > 0)
    }

    /// How far reports were read, by partition of their topic.
    pub(crate) fn reports_read(&self) -> Result<BTreeMap<i32, i64>, Error> {
        let sql = "SELECT partition, offset FROM reports_read";
        let rows = self.rows(sql, Vec::new(), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// How many reviews of these cases wait.
    pub(crate) fn waiting_of(&self, whose: &Whose) -> Result<u64, Error> {
        let mut which = Where::default();
        whose.limit_children(&mut which);
        let sql = format!("SELECT count(*) FROM pending {}", which.text());
        self.count(&sql, which.values)
    }

    /// How many of these cases are open.
    pub(crate) fn open_cases(&self, whose: &Whose) -> Result<u64, Error> {
        let mut which = Where::default();
        which.and("open", []);
        whose.limit(&mut which);
        let sql = format!("SELECT count(*) FROM cases {}", which.text());
        self.count(&sql, which.values)
    }

    fn count(&self, sql: &str, values: Vec<Value>) -> Result<u64, Error> {
        let counted = self.rows(sql, values, |row| row.get::<_, i64>(0))?;
        Ok(counted.first().copied().unwrap_or_default().cast_unsigned())
    }

    /// Cases whose day has passed, or to which something is owed.
    pub(crate) fn past_their_day(&self, now: i64, most: usize) -> Result<Vec<Wanted>, Error> {
        let sql = "SELECT case_id, state FROM cases WHERE open_until < ?1 LIMIT ?2";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.rows(sql, vec![Value::from(now), Value::from(most)], |row| {
            self.wanted(row)
        })
    }

    /// Cases with proposals that should have been decided before this day.
    pub(crate) fn past_decision(&self, today: &str, most: usize) -> Result<Vec<Wanted>, Error> {
        let sql = "SELECT case_id, state FROM cases WHERE id IN
            (SELECT \"case\" FROM proposals WHERE NOT escalated AND decide_by < ?1 LIMIT ?2)";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let values = vec![Value::from(today.to_owned()), Value::from(most)];
        self.rows(sql, values, |row| self.wanted(row))
    }

    /// Cases by business number.
    pub(crate) fn cases(&self, filter: &CaseFilter, most: usize) -> Result<Vec<Wanted>, Error> {
        let mut which = Where::default();
        if let Some(open) = filter.open {
            which.and("open = ?", [Value::from(i64::from(open))]);
        }
        if !filter.scenario.is_empty() {
            which.and("scenario = ?", [Value::from(filter.scenario.clone())]);
        }
        if !filter.measure.is_empty() {
            let part = "id IN (SELECT \"case\" FROM measures WHERE measure = ?)";
            which.and(part, [Value::from(filter.measure.clone())]);
        }
        if let Some(now) = filter.missing {
            which.and("missing_from <= ?", [Value::from(now)]);
        }
        if filter.differing {
            which.and("id IN (SELECT \"case\" FROM differing)", []);
        }
        if !filter.after.is_empty() {
            which.and("case_id > ?", [Value::from(filter.after.clone())]);
        }
        filter.whose.limit(&mut which);
        let sql = format!(
            "SELECT case_id, state FROM cases {} ORDER BY case_id LIMIT {most}",
            which.text()
        );
        self.rows(&sql, which.values, |row| self.wanted(row))
    }

    /// Proposals, the one that is due first first: last day, case and key.
    pub(crate) fn proposals(
        &self,
        filter: &ProposalFilter,
        most: usize,
    ) -> Result<Vec<(String, i64, String)>, Error> {
        let mut which = Where::default();
        if !filter.state.is_empty() {
            which.and("state = ?", [Value::from(filter.state.clone())]);
        }
        if filter.escalated {
            which.and("escalated", []);
        }
        if !filter.measure.is_empty() {
            which.and("measure = ?", [Value::from(filter.measure.clone())]);
        }
        if let Some((day, case, key)) = &filter.after {
            let values = [
                Value::from(day.clone()),
                Value::from(*case),
                Value::from(key.clone()),
            ];
            which.and("(decide_by, \"case\", key) > (?, ?, ?)", values);
        }
        filter.whose.limit_children(&mut which);
        let sql = format!(
            "SELECT decide_by, \"case\", key FROM proposals {} ORDER BY decide_by, \"case\", key LIMIT {most}",
            which.text()
        );
        self.rows(&sql, which.values, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    }

    /// Orders, the oldest first: when it was given, its id, its case.
    pub(crate) fn orders(
        &self,
        filter: &OrderFilter,
        most: usize,
    ) -> Result<Vec<(i64, String, i64)>, Error> {
        let mut which = Where::default();
        if !filter.state.is_empty() {
            which.and("state = ?", [Value::from(filter.state.clone())]);
        }
        if !filter.implementer.is_empty() {
            which.and("implementer = ?", [Value::from(filter.implementer.clone())]);
        }
        if let Some(before) = filter.before {
            which.and("state = 'open' AND ordered_at < ?", [Value::from(before)]);
        }
        if let Some((at, id)) = &filter.after {
            let values = [Value::from(*at), Value::from(id.clone())];
            which.and("(ordered_at, id) > (?, ?)", values);
        }
        filter.whose.limit_children(&mut which);
        let sql = format!(
            "SELECT ordered_at, id, \"case\" FROM orders {} ORDER BY ordered_at, id LIMIT {most}",
            which.text()
        );
        self.rows(&sql, which.values, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    }

    /// Counts the last report of each verdict, measure, subject and implementer between two days, by
    /// columns of the table of reports: their values, how many, sum of the amounts. What was not
    /// carried out is left out unless the status is one of the columns.
    pub(crate) fn counts(
        &self,
        by: &[&'static str],
        (from, until): (&str, &str),
        divisions: Option<Region>,
        whose: &Whose,
    ) -> Result<Vec<(Vec<String>, u64, i64)>, Error> {
        let mut which = Where::default();
        which.and(
            "day BETWEEN ? AND ?",
            [Value::from(from.to_owned()), Value::from(until.to_owned())],
        );
        if !by.contains(&"status") {
            which.and("status <> 'not_executed'", []);
        }
        if let Some(region) = divisions {
            let prefix = region.prefix();
            let digits = i64::try_from(prefix.len()).unwrap_or(6);
            which.and(
                "substr(division, 1, ?) = ?",
                [Value::from(digits), Value::from(prefix)],
            );
        }
        whose.limit_children(&mut which);
        let columns = by.join(", ");
        let sql = format!(
            "SELECT {columns}, count(*), sum(amount) FROM reports {} GROUP BY {columns} ORDER BY {columns}",
            which.text()
        );
        let count = by.len();
        self.rows(&sql, which.values, |row| {
            let of = (0..count)
                .map(|at| row.get(at))
                .collect::<rusqlite::Result<_>>()?;
            let reports = row.get::<_, i64>(count)?.cast_unsigned();
            Ok((of, reports, row.get(count + 1)?))
        })
    }
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<(i64, bool)> {
    Ok((row.get(0)?, row.get(1)?))
}
