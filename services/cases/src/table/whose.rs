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
    /// What a caller sees by the matters it deals with, as [`Caller::deals_with_case`] says of one case.
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
            let mut part = "substr(cases.region, 1, ?) = ?".to_owned();
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
