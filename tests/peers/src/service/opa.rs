//! Open Policy Agent, twice: its own server with its REST interface, and its evaluator in a small server.
//!
//! Both hold every entry in memory, by party. A batch is one query over many steps.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::load::HttpConnection;
use super::process::Process;
use super::{Connection, Later, Mode, Service};
use crate::inside::Fault;
use crate::inside::data::rows_as_data;
use crate::policy::{LISTS, PLACES, PROVINCES, ROLES, Row, SEVERITIES};
use crate::world::{Step, World};

const POLICY: &str = include_str!("peers.rego");

/// Files that both servers load.
#[derive(Debug)]
pub struct Files {
    policy: PathBuf,
    data: PathBuf,
}

impl Files {
    /// Writes policy, rows and entries.
    pub fn write(dir: &Path, rows: &[Row], world: &World) -> Result<Self, Fault> {
        let files = Self {
            policy: dir.join("peers.rego"),
            data: dir.join("data.json"),
        };
        std::fs::write(&files.policy, POLICY)?;
        let mut data = std::io::BufWriter::new(std::fs::File::create(&files.data)?);
        write!(data, "{{\"rows\":{},\"entries\":{{", rows_as_data(rows))?;
        for party in 0..world.listed {
            let listings = world.listings(party);
            let entries: Vec<Json> = listings
                .iter()
                .map(|l| {
                    json!([
                        LISTS[l.list],
                        SEVERITIES[l.severity],
                        l.from.days(),
                        l.to.days()
                    ])
                })
                .collect();
            let comma = if party == 0 { "" } else { "," };
            write!(data, "{comma}\"{}\":{}", id(party), Json::Array(entries))?;
        }
        write!(data, "}}}}")?;
        data.flush()?;
        Ok(files)
    }
}

fn id(party: u64) -> String {
    creditgate_measures::identifier::invented::uscc(party)
}

/// See the module.
pub struct Opa {
    name: &'static str,
    process: Process,
    address: String,
    path: &'static str,
    /// Its own server wants `input` around the input and gives `result` around the result.
    wrapped: bool,
    today: i32,
}

impl Opa {
    /// The evaluator, prepared once, in a server that reads and writes no more than it must.
    pub fn embedded(program: &Path, files: &Files, world: &World) -> Result<Self, Fault> {
        let (policy, data) = (
            files.policy.display().to_string(),
            files.data.display().to_string(),
        );
        let args = [
            "embedded",
            "--addr",
            "127.0.0.1:0",
            "--policy",
            &policy,
            "--data",
            &data,
        ];
        let (process, address) = Process::with_address(program, &args)?;
        Ok(Self {
            name: "OPA 1.22.2, embedded",
            process,
            address,
            path: "/check",
            wrapped: false,
            today: world.today.days(),
        })
    }

    /// Its own server.
    pub async fn server(
        program: &Path,
        files: &Files,
        port: u16,
        world: &World,
        dir: &Path,
    ) -> Result<Self, Fault> {
        let address = format!("127.0.0.1:{port}");
        let (policy, data) = (
            files.policy.display().to_string(),
            files.data.display().to_string(),
        );
        let args = [
            "run",
            "--server",
            "--addr",
            &address,
            "--log-level",
            "error",
            "--disable-telemetry",
            "--optimize-store-for-read-speed",
            &policy,
            &data,
        ];
        let mut process = Process::start(program, &args, &dir.join("opa.log"))?;
        for _ in 0..2_400 {
            if tokio::net::TcpStream::connect(&address).await.is_ok() {
                let today = world.today.days();
                return Ok(Self {
                    name: "OPA 1.22.2, own server",
                    process,
                    address,
                    path: "/v1/data/peers/outcomes",
                    wrapped: true,
                    today,
                });
            }
            if process.has_ended() {
                return Err("OPA ended before it listened; its words are in opa.log".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("OPA does not listen after two minutes".into())
    }
}

impl Service for Opa {
    fn name(&self) -> &'static str {
        self.name
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn steps_a_call(&self, mode: Mode) -> usize {
        if mode == Mode::Batch { 1_000 } else { 1 }
    }

    fn request(&self, _: &str, steps: &[Step], _: Mode) -> Bytes {
        let step = |step: &Step| {
            let (scenario, stage) = PLACES[step.place];
            json!({
                "place": format!("{scenario}/{stage}"),
                "role": ROLES[step.role],
                "province": PROVINCES[step.province],
                "amount": step.amount_fen,
                "parties": step.parties.iter().map(|party| id(*party)).collect::<Vec<_>>(),
            })
        };
        let mut body =
            json!({ "day": self.today, "steps": steps.iter().map(step).collect::<Vec<_>>() });
        if self.wrapped {
            body = json!({ "input": body });
        }
        body.to_string().into()
    }

    fn connect(&self, _: Mode) -> Later<'_, Box<dyn Connection>> {
        Box::pin(async move {
            let connection = HttpConnection::connect(&self.address, self.path).await?;
            Ok(Box::new(connection) as Box<dyn Connection>)
        })
    }

    fn multiplexes(&self) -> bool {
        false
    }

    fn ranks(&self, answer: &[u8], _: &[Step], _: Mode) -> Result<Vec<Vec<u8>>, Fault> {
        let mut answer: Json = serde_json::from_slice(answer)?;
        if self.wrapped {
            answer = answer
                .get_mut("result")
                .map(Json::take)
                .ok_or("no result")?;
        }
        Ok(serde_json::from_value(answer)?)
    }
}
