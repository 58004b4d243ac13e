//! zen-engine: a decision table for each stage and list, compiled, strongest row first, asked entry by entry.
//!
//! The first row that fits decides, so that the engine may stop there and use its index over the table.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::{Value as Json, json};
use zen_engine::loader::NoopLoader;
use zen_engine::model::DecisionContent;
use zen_engine::nodes::custom::NoopCustomNode;
use zen_engine::{Decision, DecisionEngine, Variable};

use super::{Engine, Fault};
use crate::policy::{LISTS, PLACES, PROVINCES, ROLES, Row, SEVERITIES, slice};
use crate::world::{Step, World};

/// A question about one entry, and the table to ask.
type Asked = (usize, Variable);

/// See the module.
pub struct Zen {
    /// By stage, then list; none where no row stands.
    tables: Vec<Option<Decision>>,
    /// The parties of each step, with their entries.
    steps: Vec<Vec<Vec<Asked>>>,
}

impl Zen {
    /// Compiles the tables.
    pub fn new(rows: &[Row]) -> Result<Self, Fault> {
        let engine = DecisionEngine::new(
            Arc::new(NoopLoader::default()),
            Arc::new(NoopCustomNode::default()),
        );
        let mut tables = Vec::new();
        for place in 0..PLACES.len() {
            for list in 0..LISTS.len() {
                let rows = slice(rows, place, list);
                if rows.is_empty() {
                    tables.push(None);
                    continue;
                }
                let content: DecisionContent = serde_json::from_value(graph(&rows))?;
                let mut decision = engine
                    .create_decision(Arc::new(content))
                    .map_err(|error| format!("{error:?}"))?;
                decision.compile();
                tables.push(Some(decision));
            }
        }
        Ok(Self {
            tables,
            steps: Vec::new(),
        })
    }
}

/// A table as a graph of its own; an empty cell fits everything.
fn graph(rows: &[&Row]) -> Json {
    let text = |value: Option<&str>| value.map_or(String::new(), |value| format!("\"{value}\""));
    let rules = rows.iter().map(|row| {
        let days = match row.to {
            Some(_) => format!("[{}..{}]", row.from.days(), row.last_day()),
            None => format!(">= {}", row.from.days()),
        };
        json!({
            "_id": row.id,
            "severity": text(row.severity.map(|at| SEVERITIES[at])),
            "role": text(row.role.map(|at| ROLES[at])),
            "province": text(row.province.map(|at| PROVINCES[at])),
            "day": days,
            "amount": row.min_amount_fen.map_or(String::new(), |least| format!(">= {least}")),
            "rank": row.rank().to_string(),
        })
    });
    let column = |name: &str| json!({ "id": name, "name": name, "field": name });
    let inputs = ["severity", "role", "province", "day", "amount"].map(column);
    json!({
        "nodes": [
            { "id": "in", "name": "in", "type": "inputNode", "content": {} },
            { "id": "table", "name": "table", "type": "decisionTableNode", "content": {
                "hitPolicy": "first",
                "inputs": inputs,
                "outputs": [column("rank")],
                "rules": rules.collect::<Vec<_>>(),
            } },
            { "id": "out", "name": "out", "type": "outputNode", "content": {} },
        ],
        "edges": [
            { "id": "e1", "sourceId": "in", "targetId": "table" },
            { "id": "e2", "sourceId": "table", "targetId": "out" },
        ],
    })
}

/// Runs what never waits.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, Fault> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("zen-engine waits for something".into()),
    }
}

impl Engine for Zen {
    fn name(&self) -> &'static str {
        "zen-engine 2.1.6"
    }

    fn prepare(&mut self, world: &World, steps: &[Step]) -> Result<(), Fault> {
        let party = |step: &Step, party: u64| -> Vec<Asked> {
            let asked = world.in_force(party).into_iter().map(|listing| {
                let input = json!({
                    "severity": SEVERITIES[listing.severity],
                    "role": ROLES[step.role],
                    "province": PROVINCES[step.province],
                    "day": world.today.days(),
                    "amount": step.amount_fen,
                });
                (
                    step.place * LISTS.len() + listing.list,
                    Variable::from(input),
                )
            });
            asked.collect()
        };
        self.steps = steps
            .iter()
            .map(|step| {
                step.parties
                    .iter()
                    .map(|number| party(step, *number))
                    .collect()
            })
            .collect();
        Ok(())
    }

    fn judge(&mut self, step: usize, ranks: &mut Vec<u8>) -> Result<(), Fault> {
        for party in &self.steps[step] {
            let mut strongest = 0;
            for (table, input) in party {
                let Some(decision) = &self.tables[*table] else {
                    continue;
                };
                let answer = at_once(decision.evaluate(input.clone()))?
                    .map_err(|error| error.to_string())?;
                let rank = answer
                    .result
                    .dot("rank")
                    .and_then(|rank| rank.to_value().as_u64());
                strongest = strongest.max(
                    rank.and_then(|rank| u8::try_from(rank).ok())
                        .unwrap_or_default(),
                );
            }
            ranks.push(strongest);
        }
        Ok(())
    }
}
