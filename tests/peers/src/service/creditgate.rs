//! The product as a service: every entry in its lists, every verdict durable before it is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use creditgate_measures::book::SourceFile;
use creditgate_proto::v1;
use creditgate_proto::v1::lists_client::ListsClient;
use prost::Message;
use tonic::transport::Channel;

use super::load::GrpcConnection;
use super::process::Process;
use super::{Connection, Later, Mode, Service};
use crate::inside::Fault;
use crate::policy::{LISTS, Row, book, rank};
use crate::world::{Step, World};

/// Entries of one import.
const IMPORT: u64 = 200_000;

/// See the module.
pub struct Creditgate {
    process: Process,
    address: String,
}

impl Creditgate {
    /// Starts it over a fresh directory, with the book of these rows and all entries of the world.
    pub async fn start(
        program: &Path,
        dir: &Path,
        port: u16,
        rows: &[Row],
        world: &World,
    ) -> Result<Self, Fault> {
        let catalogue = dir.join("catalogue");
        write(&catalogue, &book(rows))?;
        let data = dir.join("data");
        std::fs::create_dir_all(&data)?;
        let (grpc, http) = (
            format!("127.0.0.1:{port}"),
            format!("127.0.0.1:{}", port + 1),
        );
        let args = [
            "serve",
            "--data-dir",
            &data.display().to_string(),
            "--catalogue-dir",
            &catalogue.display().to_string(),
            "--grpc-addr",
            &grpc,
            "--http-addr",
            &http,
        ];
        let mut process = Process::start(program, &args, &dir.join("creditgate.log"))?;
        let address = format!("http://{grpc}");
        let channel = connected(&address, &mut process, &dir.join("creditgate.log")).await?;
        import(ListsClient::new(channel), world).await?;
        Ok(Self { process, address })
    }
}

/// A channel to a server, as soon as it listens.
pub async fn connected(
    address: &str,
    process: &mut Process,
    words: &PathBuf,
) -> Result<Channel, Fault> {
    for _ in 0..1_200 {
        if let Ok(channel) = tonic::transport::Endpoint::from_shared(address.to_owned())?
            .connect()
            .await
        {
            return Ok(channel);
        }
        if process.has_ended() {
            let words = std::fs::read_to_string(words).unwrap_or_default();
            return Err(format!("the server ended: {words}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("nobody listens at {address} after a minute").into())
}

fn write(dir: &Path, files: &[SourceFile]) -> Result<(), Fault> {
    for file in files {
        let path = dir.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, &file.text)?;
    }
    Ok(())
}

async fn import(mut lists: ListsClient<Channel>, world: &World) -> Result<(), Fault> {
    let part = |part| v1::ImportRequest { part: Some(part) };
    let mut first = 0;
    while first < world.listed {
        let end = world.listed.min(first + IMPORT);
        let header = v1::ImportHeader {
            source_unit: "虚构单位 (invented)".to_owned(),
            confirm_lists: LISTS.iter().map(|code| (*code).to_owned()).collect(),
            ..v1::ImportHeader::default()
        };
        let header = part(v1::import_request::Part::Header(header));
        let world = *world;
        let entries = (first..end).flat_map(move |party| world.entries_to_import(party));
        let rows = (1..).zip(entries).map(move |(row, entry)| {
            let row = v1::ImportRow {
                entry: Some(entry),
                row,
                ..v1::ImportRow::default()
            };
            part(v1::import_request::Part::Row(row))
        });
        let summary = lists
            .import(tokio_stream::iter(std::iter::once(header).chain(rows)))
            .await?
            .into_inner();
        if let Some(refused) = summary.refused.first() {
            return Err(format!("row {} is refused: {}", refused.row, refused.reason).into());
        }
        first = end;
    }
    Ok(())
}

fn ranks(verdict: &v1::Verdict) -> Result<Vec<u8>, Fault> {
    let rank = |party: &v1::PartyVerdict| {
        rank(&party.outcome).ok_or_else(|| {
            Fault::from(format!(
                "{} is no outcome of this comparison",
                party.outcome
            ))
        })
    };
    verdict.parties.iter().map(rank).collect()
}

/// How many results of a batch are verdicts: looks at the first byte of each and decodes nothing.
fn verdicts(mut answer: &[u8]) -> usize {
    /// Field 1 with a length: a result in the answer, and a verdict in a result.
    const FIRST_FIELD: u8 = 0x0a;
    let mut count = 0;
    while let Some((&FIRST_FIELD, rest)) = answer.split_first() {
        let mut rest = rest;
        let Some(result) = prost::decode_length_delimiter(&mut rest)
            .ok()
            .and_then(|length| rest.split_at_checked(length))
        else {
            break;
        };
        count += usize::from(result.0.first() == Some(&FIRST_FIELD));
        answer = result.1;
    }
    count
}

impl Service for Creditgate {
    fn name(&self) -> &'static str {
        "creditgate"
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn steps_a_call(&self, mode: Mode) -> usize {
        if mode == Mode::Batch { 1_000 } else { 1 }
    }

    fn request(&self, run: &str, steps: &[Step], mode: Mode) -> Bytes {
        let mut events: Vec<v1::Event> = steps.iter().map(|step| step.to_request(run)).collect();
        let body = match mode {
            Mode::Unary => v1::CheckRequest {
                event: events.pop(),
            }
            .encode_to_vec(),
            Mode::Batch => v1::CheckBatchRequest { events }.encode_to_vec(),
        };
        body.into()
    }

    fn answered(&self, mode: Mode) -> Option<fn(&[u8]) -> usize> {
        (mode == Mode::Batch).then_some(verdicts)
    }

    fn connect(&self, mode: Mode) -> Later<'_, Box<dyn Connection>> {
        let path = match mode {
            Mode::Unary => "/creditgate.v1.Gate/Check",
            Mode::Batch => "/creditgate.v1.Gate/CheckBatch",
        };
        Box::pin(async move {
            let connection = GrpcConnection::connect(&self.address, path).await?;
            Ok(Box::new(connection) as Box<dyn Connection>)
        })
    }

    fn multiplexes(&self) -> bool {
        true
    }

    fn ranks(&self, answer: &[u8], _: &[Step], mode: Mode) -> Result<Vec<Vec<u8>>, Fault> {
        match mode {
            Mode::Unary => {
                let verdict = v1::CheckResponse::decode(answer)?
                    .verdict
                    .ok_or("no verdict")?;
                Ok(vec![ranks(&verdict)?])
            }
            Mode::Batch => {
                let results = v1::CheckBatchResponse::decode(answer)?.results;
                let of_one = |result: v1::CheckResult| match result.result {
                    Some(v1::check_result::Result::Verdict(verdict)) => ranks(&verdict),
                    Some(v1::check_result::Result::Error(error)) => Err(error.message.into()),
                    None => Err("a result without a verdict".into()),
                };
                results.into_iter().map(of_one).collect()
            }
        }
    }
}
