//! Whose cases are looked at: those of the matters that a caller deals with.

use creditgate_runtime::callers::Caller;
use rusqlite::types::Value;

use super::read::Where;

/// The cases that a caller sees; without limits all of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whose(Option<Vec<Of>>);

/// Cases of one scenario that take place in one region.
#[derive(Debug, Clone)]
struct Of {
    /// None: of every scenario.
    scenario: Option<String>,
    /// As [`creditgate_measures::event::Region::prefix`].
    region: String,
}

impl Whose {
    /// What a caller sees by the matters it deals with.
    ///
    /// INVARIANT (one rule): what is listed is what [`Caller::deals_with_case`] says of each case.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self(caller.matters().map(|matters| {
            let each = matters.iter().flat_map(|matter| {
                matter.regions.iter().map(|region| Of {
                    scenario: matter.scenario.as_deref().map(str::to_owned),
                    region: region.prefix(),
                })
            });
            each.collect()
        }))
    }

    /// Limits a question to `cases`.
    pub(super) fn limit(&self, which: &mut Where) {
        if let Some((condition, values)) = self.condition() {
            which.and(&condition, values);
        }
    }

    /// Limits a question to a table whose rows name their case.
    pub(super) fn limit_children(&self, which: &mut Where) {
        if let Some((condition, values)) = self.condition() {
            // Row by row: the other way round, all cases of a large city would be gathered for one page.
            let part =
                format!("EXISTS (SELECT 1 FROM cases WHERE cases.id = \"case\" AND {condition})");
            which.and(&part, values);
        }
    }

    fn condition(&self) -> Option<(String, Vec<Value>)> {
        let all = self.0.as_ref()?;
        let mut values = Vec::new();
        let mut parts = Vec::new();
        for one in all {
            // Where it is nobody knows: then it is nobody's.
            let mut part = "cases.region <> '' AND substr(cases.region, 1, ?) = ?".to_owned();
            values.push(Value::from(i64::try_from(one.region.len()).unwrap_or(6)));
            values.push(Value::from(one.region.clone()));
            if let Some(scenario) = &one.scenario {
                part.push_str(" AND cases.scenario = ?");
                values.push(Value::from(scenario.clone()));
            }
            parts.push(part);
        }
        match parts.is_empty() {
            true => Some(("FALSE".to_owned(), values)),
            false => Some((format!("({})", parts.join(" OR ")), values)),
        }
    }
}

#[cfg(test)]
mod tests {
    use creditgate_runtime::access::Policy;
    use creditgate_runtime::callers::{Callers, Given, Shown, hash_key};

    use super::*;
    use crate::table::{CaseFilter, Children, Due, Logs, Mark, Row, Seal, Table};

    const CASES: [(&str, &str); 7] = [
        ("land", "329905"),
        ("land", "329900"),
        ("land", "320000"),
        ("land", "100000"),
        ("land", ""),
        ("tender", "329905"),
        ("tender", "110000"),
    ];

    fn caller(dir: &std::path::Path, matters: &str) -> Caller {
        let text = format!(
            "callers:\n- {{name: reviewer, department: 示例市, roles: [reviewer], matters: [{matters}]}}\n"
        );
        let policy = Policy::parse(&text).expect("a policy");
        let keys = dir.join("keys.yaml");
        let key = hash_key("k");
        let text = format!("callers:\n- {{name: reviewer, key_sha256: {key}}}\n");
        std::fs::write(&keys, text).expect("written");
        let given = Given {
            policy: Some(&policy),
            tokens: None,
        };
        let callers = Callers::load_with(&keys, given).expect("callers").callers;
        callers
            .authenticate(&Shown::authorization("Bearer k"))
            .expect("known")
    }

    #[test]
    fn what_is_listed_is_what_is_shown_one_by_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let logs = Logs {
            verdicts: [1; 16],
            cases: [2; 16],
        };
        let mut table = Table::open(dir.path(), logs, &Seal::default()).expect("tables");
        let ids = (0..CASES.len())
            .map(|n| format!("C{n}"))
            .collect::<Vec<_>>();
        let written = table.write(Mark::default(), |change| {
            for (id, (scenario, region)) in ids.iter().zip(CASES) {
                let row = Row {
                    case_id: id,
                    scenario,
                    region,
                    open: true,
                    tracked: false,
                    open_until: i64::MAX,
                    missing_from: None,
                    last_event_at: 0,
                    state: Vec::new(),
                    children: Children::default(),
                };
                let case = change.put(None, &row)?;
                change.wait(&[Due {
                    case,
                    seq: 7,
                    at: 70,
                    cause: "list_change:7".to_owned(),
                    open: true,
                }])?;
            }
            Ok(())
        });
        written.expect("written");
        let lookup = table.lookup();
        for (matters, expected) in [
            (r#"{scenario: "*", regions: ["100000"]}"#, 6),
            (r#"{scenario: "*", regions: ["320000"]}"#, 4),
            (r#"{scenario: land, regions: ["329900"]}"#, 2),
            (
                r#"{scenario: land, regions: ["329905"]}, {scenario: tender, regions: ["110000"]}"#,
                2,
            ),
            (r#"{scenario: permit, regions: ["100000"]}"#, 0),
        ] {
            let caller = caller(dir.path(), matters);
            let filter = CaseFilter {
                whose: Whose::of(&caller),
                ..CaseFilter::default()
            };
            let listed = lookup.cases(&filter, 100).expect("cases").into_iter();
            let listed: Vec<_> = listed.map(|case| case.case_id).collect();
            let cases = ids.iter().zip(CASES);
            let one_by_one: Vec<_> = cases
                .filter(|(_, (scenario, region))| caller.deals_with_case(scenario, region))
                .map(|(id, _)| id.clone())
                .collect();
            assert_eq!(listed, one_by_one, "{matters}");
            assert_eq!(listed.len(), expected, "{matters}");
            let whose = Whose::of(&caller);
            let counted = expected as u64;
            assert_eq!(lookup.open_cases(&whose).expect("counted"), counted);
            assert_eq!(lookup.waiting_of(&whose).expect("counted"), counted);
        }
        let everything = Whose::default();
        assert_eq!(lookup.open_cases(&everything).expect("counted"), 7);
        assert_eq!(lookup.waiting_of(&everything).expect("counted"), 7);
    }
}
