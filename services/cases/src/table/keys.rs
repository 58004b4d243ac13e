//! Which cases have a subject, by the key of the subject, or by its keyed hash where the tables are sealed.
//!
//! Keys are random numbers. In one tree almost every new case would change a page of its own, and that page
//! would be written twice, into SQLite's log and from there into the file. So keys gather in a small tree, the
//! run 0, whose few pages serve a whole transaction; a full one goes, sorted, to the end as a run of its own,
//! and a row of such runs becomes one. Whoever looks for a key looks into each run: [`TOUCHED`], one step down
//! a tree for every 65,536 keys.

use creditgate_measures::identifier::Key;
use rusqlite::params;

use super::{Change, Error};

/// Tables of the keys and of their runs.
pub(super) const SCHEMA: &str = "
CREATE TABLE runs (run INTEGER PRIMARY KEY, large INTEGER NOT NULL);
INSERT INTO runs VALUES (0, 1);
CREATE TABLE keys (run INTEGER NOT NULL, key INTEGER NOT NULL, \"case\" INTEGER NOT NULL,
    PRIMARY KEY (run, key, \"case\")) WITHOUT ROWID;
";

/// Rows and openness of the open or tracked cases with a subject of this key, not in order, some perhaps twice.
pub(super) const TOUCHED: &str =
    "SELECT id, open FROM runs JOIN keys USING (run) JOIN cases ON id = \"case\"
    WHERE key = ?1 AND (open OR tracked)";

/// Rows of the cases with a subject of this key that stand before a row, the last first. The joins stand as they are to
/// be made: by the rows of the keys, never by all cases.
pub(super) const BEFORE: &str =
    "SELECT DISTINCT \"case\" FROM runs CROSS JOIN keys USING (run) WHERE key = ?1 AND \"case\" < ?2
    ORDER BY \"case\" DESC LIMIT ?3";

/// As [`BEFORE`], only those in which measures may have to be lifted yet.
pub(super) const TRACKED: &str =
    "SELECT DISTINCT id FROM runs CROSS JOIN keys USING (run) CROSS JOIN cases ON id = \"case\"
    WHERE key = ?1 AND id < ?2 AND tracked ORDER BY id DESC LIMIT ?3";

/// Keys in a full run 0.
const SMALL: i64 = 4_096;
/// Small runs that become one, which becomes no larger.
const TOGETHER: i64 = 16;

impl Change<'_> {
    /// The keys of the subjects of a case are these now.
    pub(super) fn keys(&self, before: &[Key], now: &[Key], case: i64) -> Result<(), Error> {
        for key in before.iter().filter(|key| !now.contains(key)) {
            self.run(
                "DELETE FROM keys WHERE run IN (SELECT run FROM runs) AND key = ?1 AND \"case\" = ?2",
                params![self.seal.key(*key), case],
            )?;
        }
        for key in now.iter().filter(|key| !before.contains(key)) {
            self.run(
                "INSERT OR IGNORE INTO keys VALUES (0, ?1, ?2)",
                params![self.seal.key(*key), case],
            )?;
        }
        Ok(())
    }

    /// Has the run 0 begin anew where it is full, and makes one of many small ones.
    pub(super) fn sort_keys(&self) -> Result<(), Error> {
        if self.number("SELECT count(*) FROM keys WHERE run = 0")? < SMALL {
            return Ok(());
        }
        self.run(
            "INSERT INTO runs SELECT max(run) + 1, 0 FROM runs",
            params![],
        )?;
        self.run(
            "INSERT INTO keys SELECT (SELECT max(run) FROM runs), key, \"case\" FROM keys WHERE run = 0",
            params![],
        )?;
        self.run("DELETE FROM keys WHERE run = 0", params![])?;
        if self.number("SELECT count(*) FROM runs WHERE NOT large")? < TOGETHER {
            return Ok(());
        }
        self.run(
            "INSERT INTO runs SELECT max(run) + 1, 1 FROM runs",
            params![],
        )?;
        // A case whose row was made anew may stand in two of them.
        self.run(
            "INSERT OR IGNORE INTO keys SELECT (SELECT max(run) FROM runs), key, \"case\" FROM keys
                WHERE run IN (SELECT run FROM runs WHERE NOT large) ORDER BY key, \"case\"",
            params![],
        )?;
        self.run(
            "DELETE FROM keys WHERE run IN (SELECT run FROM runs WHERE NOT large)",
            params![],
        )?;
        self.run("DELETE FROM runs WHERE NOT large", params![])
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::{Children, Logs, Mark, Row, Seal, Table};
    use super::*;

    const CASES: u64 = 12_000;
    const KEYS_EACH: u64 = 9;

    fn put(change: &Change<'_>, case: u64, known: Option<(i64, &Children)>, keys: &[Key]) -> i64 {
        let row = Row {
            case_id: &format!("T-{case}"),
            scenario: "tender",
            region: "329900",
            open: !case.is_multiple_of(10),
            tracked: false,
            open_until: i64::MAX,
            missing_from: None,
            last_event_at: 0,
            state: Vec::new(),
            children: Children {
                keys: keys.to_vec(),
                ..Children::default()
            },
        };
        change.put(known, &row).expect("a case is written")
    }

    #[test]
    fn every_open_case_is_found_by_its_keys_in_whatever_run_they_stand() {
        let dir = tempfile::tempdir().expect("a directory");
        let logs = Logs {
            verdicts: [1; 16],
            cases: [2; 16],
        };
        let mut table = Table::create(dir.path(), logs, &Seal::default()).expect("tables");
        // A key in twenty is that of many cases.
        let key = |case: u64, n: u64| match n {
            0 => Key(case % 20),
            _ => Key((case * KEYS_EACH + n).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        };
        let keys = |case| (0..KEYS_EACH).map(|n| key(case, n)).collect::<Vec<_>>();
        let mut known: BTreeMap<Key, BTreeSet<i64>> = BTreeMap::new();
        let mut write = |table: &mut Table, cases: std::ops::Range<u64>, again: bool| {
            let written = table.write(Mark::default(), |change| {
                for case in cases {
                    let before = Children {
                        keys: keys(case),
                        ..Children::default()
                    };
                    let row = i64::try_from(case + 1).unwrap_or_default();
                    // Written again, a case loses its second key.
                    let (before, now) = match again {
                        true => (
                            Some((row, &before)),
                            [&keys(case)[..1], &keys(case)[2..]].concat(),
                        ),
                        false => (None, keys(case)),
                    };
                    assert_eq!(put(change, case, before, &now), row);
                    for key in keys(case) {
                        known.entry(key).or_default().remove(&row);
                    }
                    if !case.is_multiple_of(10) {
                        for key in now {
                            known.entry(key).or_default().insert(row);
                        }
                    }
                }
                Ok(())
            });
            written.expect("written");
        };
        for first in (0..CASES).step_by(150) {
            write(&mut table, first..first + 150, false);
        }
        write(&mut table, 100..300, true);
        let runs = table
            .lookup()
            .ask(|connection| {
                connection.query_row(
                    "SELECT count(*), max(large AND run > 0) FROM runs",
                    [],
                    |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)),
                )
            })
            .expect("runs");
        assert!(runs.1 && runs.0 <= TOGETHER + 2, "{runs:?}");
        // The keys of many cases, and some of the others.
        let some = known.iter().take(20).chain(known.iter().step_by(40));
        for (key, cases) in some {
            let asked = std::iter::once((std::slice::from_ref(key), ""));
            let found = table.lookup().touched(asked).expect("found").concat();
            let found: BTreeSet<i64> = found.into_iter().map(|(case, _)| case).collect();
            assert_eq!(&found, cases, "{key:?}");
        }
    }

    #[test]
    fn all_cases_of_a_subject_are_found_page_by_page_the_last_first() {
        use super::super::Which;

        let dir = tempfile::tempdir().expect("a directory");
        let logs = Logs {
            verdicts: [1; 16],
            cases: [2; 16],
        };
        let mut table = Table::create(dir.path(), logs, &Seal::default()).expect("tables");
        // Two keys of one subject: every third case has the one, every fifth the other.
        let of = |case: u64| -> Vec<Key> {
            let keys = [(3, Key(1)), (5, Key(2)), (1, Key(1_000 + case))];
            let keys = keys
                .into_iter()
                .filter(|(every, _)| case.is_multiple_of(*every));
            keys.map(|(_, key)| key).collect()
        };
        for first in (0..3_000_u64).step_by(150) {
            let written = table.write(Mark::default(), |change| {
                for case in first..first + 150 {
                    put(change, case, None, &of(case));
                }
                Ok(())
            });
            written.expect("written");
        }
        let expected: Vec<i64> = (0..3_000_u64)
            .filter(|case| case.is_multiple_of(3) || case.is_multiple_of(5))
            .map(|case| i64::try_from(case + 1).unwrap_or_default())
            .rev()
            .collect();
        let lookup = table.lookup();
        let (mut found, mut before) = (Vec::new(), i64::MAX);
        loop {
            let page = lookup.of_subject(Which::All, &[Key(1), Key(2)], before, 97);
            let page = page.expect("cases");
            let Some(last) = page.last() else { break };
            before = *last;
            found.extend(page);
        }
        assert_eq!(found, expected);
        let none = lookup.of_subject(Which::Tracked, &[Key(1)], i64::MAX, 10);
        assert_eq!(none.expect("cases"), Vec::<i64>::new());
    }
}
