//! Cerbos over gRPC: an entry is a resource of a kind for its stage and list, an outcome is an action.
//!
//! Cerbos holds policies and no data, so the caller looks entries up and sends them; the time that takes is not
//! counted against Cerbos. A party without an entry in force is a resource of a kind that has no policy. The messages
//! are written down here as far as they are used, with the field numbers of `cerbos.svc.v1`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use pbjson_types::Value;
use pbjson_types::value::Kind;
use prost::Message;

use super::creditgate::connected;
use super::load::GrpcConnection;
use super::process::Process;
use super::{Connection, Later, Mode, Service};
use crate::inside::Fault;
use crate::policy::{LISTS, PLACES, PROVINCES, ROLES, Row, SEVERITIES, slice};
use crate::world::{Listing, Step, World};

/// Actions by the rank they stand for, from 1.
const ACTIONS: [&str; 5] = ["notice", "scrutiny", "restrict", "review", "prohibit"];

/// `EFFECT_ALLOW`.
const ALLOW: i32 = 1;

/// Steps in a batch: with up to three parties of three entries each, well below the 500 resources
/// that a request may hold.
const BATCH: usize = 100;

#[derive(Clone, PartialEq, Message)]
struct CheckResourcesRequest {
    #[prost(message, optional, tag = "3")]
    principal: Option<Principal>,
    #[prost(message, repeated, tag = "4")]
    resources: Vec<ResourceEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct Principal {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, repeated, tag = "3")]
    roles: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceEntry {
    #[prost(string, repeated, tag = "1")]
    actions: Vec<String>,
    #[prost(message, optional, tag = "2")]
    resource: Option<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    id: String,
    #[prost(map = "string, message", tag = "4")]
    attr: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct CheckResourcesResponse {
    #[prost(message, repeated, tag = "2")]
    results: Vec<ResultEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct ResultEntry {
    #[prost(map = "string, int32", tag = "2")]
    actions: HashMap<String, i32>,
}

/// See the module.
pub struct Cerbos {
    process: Process,
    address: String,
    world: World,
}

impl Cerbos {
    /// Starts it with a policy for each stage and list.
    pub async fn start(
        program: &Path,
        dir: &Path,
        port: u16,
        rows: &[Row],
        world: &World,
    ) -> Result<Self, Fault> {
        let policies = dir.join("policies");
        std::fs::create_dir_all(&policies)?;
        for place in 0..PLACES.len() {
            for list in 0..LISTS.len() {
                let rows = slice(rows, place, list);
                if !rows.is_empty() {
                    let kind = kind(place, list);
                    std::fs::write(policies.join(format!("{kind}.yaml")), policy(&kind, &rows))?;
                }
            }
        }
        let config = dir.join("cerbos.yaml");
        let grpc = format!("127.0.0.1:{port}");
        std::fs::write(
            &config,
            format!(
                "server:\n  httpListenAddr: \"127.0.0.1:{}\"\n  grpcListenAddr: \"{grpc}\"\n  requestLimits:\n    \
                 maxActionsPerResource: 50\n    maxResourcesPerRequest: 500\ntelemetry:\n  disabled: true\n\
                 storage:\n  driver: disk\n  disk:\n    directory: \"{}\"\n    watchForChanges: false\n",
                port + 1,
                policies.display(),
            ),
        )?;
        let words = dir.join("cerbos.log");
        let config = format!("--config={}", config.display());
        let mut process =
            Process::start(program, &["server", "--log-level=error", &config], &words)?;
        let address = format!("http://{grpc}");
        connected(&address, &mut process, &words).await?;
        Ok(Self {
            process,
            address,
            world: *world,
        })
    }

    /// The resources of a step, party by party.
    fn resources(&self, step: &Step) -> Vec<Vec<ResourceEntry>> {
        let of_party = |party: &u64| {
            let listings = self.world.in_force(*party);
            if listings.is_empty() {
                return vec![entry("clean".to_owned(), self.attributes(step, None))];
            }
            let resource =
                |l: &Listing| entry(kind(step.place, l.list), self.attributes(step, Some(l)));
            listings.iter().map(resource).collect()
        };
        step.parties.iter().map(of_party).collect()
    }

    fn attributes(&self, step: &Step, listing: Option<&Listing>) -> HashMap<String, Value> {
        let text = |value: &str| Value {
            kind: Some(Kind::StringValue(value.to_owned())),
        };
        let number = |value: f64| Value {
            kind: Some(Kind::NumberValue(value)),
        };
        let mut attributes = HashMap::from([
            ("role".to_owned(), text(ROLES[step.role])),
            ("province".to_owned(), text(PROVINCES[step.province])),
            ("day".to_owned(), number(f64::from(self.world.today.days()))),
            // Whole numbers of this size are exact in a float.
            ("amount".to_owned(), number(step.amount_fen as f64)),
        ]);
        if let Some(listing) = listing {
            attributes.insert("severity".to_owned(), text(SEVERITIES[listing.severity]));
        }
        attributes
    }
}

fn kind(place: usize, list: usize) -> String {
    let (scenario, stage) = PLACES[place];
    format!("{scenario}_{stage}_{}", LISTS[list])
}

fn entry(kind: String, attr: HashMap<String, Value>) -> ResourceEntry {
    ResourceEntry {
        actions: ACTIONS.map(str::to_owned).to_vec(),
        resource: Some(Resource {
            kind,
            id: "entry".to_owned(),
            attr,
        }),
    }
}

/// The rows of a stage and list; what a row does not ask for is not in its condition.
fn policy(kind: &str, rows: &[&Row]) -> String {
    let mut text = format!(
        "apiVersion: api.cerbos.dev/v1\nresourcePolicy:\n  version: default\n  resource: {kind}\n  rules:\n"
    );
    for row in rows {
        let mut when = format!("R.attr.day >= {}.0", row.from.days());
        if row.to.is_some() {
            let _ = write!(when, " && R.attr.day <= {}.0", row.last_day());
        }
        if let Some(severity) = row.severity {
            let _ = write!(when, " && R.attr.severity == \"{}\"", SEVERITIES[severity]);
        }
        if let Some(role) = row.role {
            let _ = write!(when, " && R.attr.role == \"{}\"", ROLES[role]);
        }
        if let Some(province) = row.province {
            let _ = write!(when, " && R.attr.province == \"{}\"", PROVINCES[province]);
        }
        if let Some(least) = row.min_amount_fen {
            let _ = write!(when, " && R.attr.amount >= {least}.0");
        }
        let action = ACTIONS[usize::from(row.rank()) - 1];
        let _ = write!(
            text,
            "    - name: {id}\n      actions: [\"{action}\"]\n      effect: EFFECT_ALLOW\n      roles: [\"*\"]\n      \
             condition:\n        match:\n          expr: '{when}'\n",
            id = row.id,
        );
    }
    text
}

impl Service for Cerbos {
    fn name(&self) -> &'static str {
        "Cerbos 0.51.0"
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn steps_a_call(&self, mode: Mode) -> usize {
        if mode == Mode::Batch { BATCH } else { 1 }
    }

    fn request(&self, _: &str, steps: &[Step], _: Mode) -> Bytes {
        let request = CheckResourcesRequest {
            principal: Some(Principal {
                id: "gate".to_owned(),
                roles: vec!["gate".to_owned()],
            }),
            resources: steps
                .iter()
                .flat_map(|step| self.resources(step))
                .flatten()
                .collect(),
        };
        request.encode_to_vec().into()
    }

    fn connect(&self, _: Mode) -> Later<'_, Box<dyn Connection>> {
        Box::pin(async move {
            let path = "/cerbos.svc.v1.CerbosService/CheckResources";
            let connection = GrpcConnection::connect(&self.address, path).await?;
            Ok(Box::new(connection) as Box<dyn Connection>)
        })
    }

    fn multiplexes(&self) -> bool {
        true
    }

    fn ranks(&self, answer: &[u8], steps: &[Step], _: Mode) -> Result<Vec<Vec<u8>>, Fault> {
        let mut results = CheckResourcesResponse::decode(answer)?.results.into_iter();
        let rank_of = |result: &ResultEntry| {
            let allowed = |action: &&str| result.actions.get(*action) == Some(&ALLOW);
            ACTIONS
                .iter()
                .rposition(allowed)
                .map_or(0, |at| at as u8 + 1)
        };
        let mut ranks = Vec::with_capacity(steps.len());
        for step in steps {
            let mut parties = Vec::with_capacity(step.parties.len());
            for resources in self.resources(step) {
                let mut strongest = 0;
                for _ in resources {
                    strongest =
                        strongest.max(rank_of(&results.next().ok_or("a result is missing")?));
                }
                parties.push(strongest);
            }
            ranks.push(parties);
        }
        Ok(ranks)
    }
}
