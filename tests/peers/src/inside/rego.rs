//! regorus: Rego compiled for its virtual machine, rows as data under their stage and list.

use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine as Builder, Value};
use serde_json::{Value as Json, json};

use super::data::rows_as_data;
use super::{Engine, Fault};
use crate::policy::{LISTS, PLACES, PROVINCES, ROLES, Row, SEVERITIES};
use crate::world::{Step, World};

const POLICY: &str = include_str!("peers.rego");
const ENTRY_POINT: &str = "data.peers.outcomes";

/// See the module.
pub struct Regorus {
    vm: RegoVM,
    inputs: Vec<Value>,
}

impl Regorus {
    /// Compiles the policy and loads the rows.
    pub fn new(rows: &[Row]) -> Result<Self, Fault> {
        let mut builder = Builder::new();
        builder.add_policy("peers.rego".to_owned(), POLICY.to_owned())?;
        let policy = builder.compile_with_entrypoint(&ENTRY_POINT.into())?;
        let program: Arc<_> = Compiler::compile_from_policy(&policy, &[ENTRY_POINT])
            .map_err(|error| error.to_string())?;
        let mut vm = RegoVM::new();
        vm.load_program(program);
        let data = json!({ "rows": rows_as_data(rows) });
        vm.set_data(Value::from_json_str(&data.to_string())?)
            .map_err(|error| error.to_string())?;
        vm.set_max_instructions(usize::MAX);
        Ok(Self {
            vm,
            inputs: Vec::new(),
        })
    }
}

fn input(world: &World, step: &Step) -> Json {
    let entry = |party: &u64| {
        let entries = world.in_force(*party);
        let entries = entries
            .iter()
            .map(|listing| json!([LISTS[listing.list], SEVERITIES[listing.severity]]));
        Json::Array(entries.collect())
    };
    let (scenario, stage) = PLACES[step.place];
    json!({
        "place": format!("{scenario}/{stage}"),
        "role": ROLES[step.role],
        "province": PROVINCES[step.province],
        "day": world.today.days(),
        "amount": step.amount_fen,
        "parties": step.parties.iter().map(entry).collect::<Vec<_>>(),
    })
}

impl Engine for Regorus {
    fn name(&self) -> &'static str {
        "regorus 0.14.1"
    }

    fn prepare(&mut self, world: &World, steps: &[Step]) -> Result<(), Fault> {
        let inputs: Result<_, _> = steps
            .iter()
            .map(|step| Value::from_json_str(&input(world, step).to_string()))
            .collect();
        self.inputs = inputs?;
        Ok(())
    }

    fn judge(&mut self, step: usize, ranks: &mut Vec<u8>) -> Result<(), Fault> {
        // Cloning counts a reference; the machine wants a value of its own.
        self.vm.set_input(self.inputs[step].clone());
        let outcomes = self.vm.execute().map_err(|error| error.to_string())?;
        for outcome in outcomes.as_array()?.iter() {
            ranks.push(outcome.as_u8()?);
        }
        Ok(())
    }
}
