//! The limit: the generated server without layers and with a constant reply.

use std::pin::Pin;
use std::process::ExitCode;

use creditgate_proto::v1;
use creditgate_proto::v1::gate_server::{Gate, GateServer};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::failure::Failure;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// As long as those of the service.
const RECEIPT: &str = "1234567:0000000000000000000000000000000000000000000000000000000000000000";

/// Answers every check with the same verdict.
struct Bare {
    verdict: v1::Verdict,
}

impl Bare {
    fn result(&self) -> v1::CheckResult {
        v1::CheckResult {
            result: Some(v1::check_result::Result::Verdict(self.verdict.clone())),
            repeated: false,
            receipt: RECEIPT.to_owned(),
        }
    }
}

#[tonic::async_trait]
impl Gate for Bare {
    async fn check(
        &self,
        _: Request<v1::CheckRequest>,
    ) -> Result<Response<v1::CheckResponse>, Status> {
        let verdict = Some(self.verdict.clone());
        Ok(Response::new(v1::CheckResponse {
            verdict,
            repeated: false,
            receipt: RECEIPT.to_owned(),
        }))
    }

    async fn check_batch(
        &self,
        request: Request<v1::CheckBatchRequest>,
    ) -> Result<Response<v1::CheckBatchResponse>, Status> {
        let events = request.into_inner().events;
        let results = events.iter().map(|_| self.result()).collect();
        Ok(Response::new(v1::CheckBatchResponse { results }))
    }

    type CheckStreamStream = Answers<v1::CheckStreamResponse>;

    async fn check_stream(
        &self,
        request: Request<Streaming<v1::CheckStreamRequest>>,
    ) -> Result<Response<Self::CheckStreamStream>, Status> {
        let result = self.result();
        let answers = request.into_inner().map(move |item| {
            Ok(v1::CheckStreamResponse {
                result: Some(result.clone()),
                correlation: item?.correlation,
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_verdict(
        &self,
        _: Request<v1::GetVerdictRequest>,
    ) -> Result<Response<v1::GetVerdictResponse>, Status> {
        Err(Status::unimplemented("the bare server keeps nothing"))
    }

    async fn replay(
        &self,
        _: Request<v1::ReplayRequest>,
    ) -> Result<Response<v1::ReplayResponse>, Status> {
        Err(Status::unimplemented("the bare server keeps nothing"))
    }

    type WatchVerdictsStream = Answers<v1::WatchVerdictsResponse>;

    async fn watch_verdicts(
        &self,
        _: Request<v1::WatchVerdictsRequest>,
    ) -> Result<Response<Self::WatchVerdictsStream>, Status> {
        Err(Status::unimplemented("the bare server keeps nothing"))
    }
}

/// A verdict as long as one for a clean subject.
fn constant() -> v1::Verdict {
    v1::Verdict {
        verdict_id: "00000000-0000-8000-8000-000000000000".to_owned(),
        verdict_digest: "0".repeat(64),
        source: "bench".to_owned(),
        event_id: "unary-0-00000000".to_owned(),
        case_id: "unary-0-00000000".to_owned(),
        scenario: "procurement".to_owned(),
        stage: "evaluate".to_owned(),
        cause: "event".to_owned(),
        outcome: "PASS".to_owned(),
        parties: vec![v1::PartyVerdict {
            party: "#0".to_owned(),
            outcome: "PASS".to_owned(),
            ..v1::PartyVerdict::default()
        }],
        subjects: vec![v1::SubjectVerdict {
            party: "#0".to_owned(),
            role: "supplier".to_owned(),
            kind: Some("enterprise".to_owned()),
            identity: "verified".to_owned(),
            outcome: "PASS".to_owned(),
            ..v1::SubjectVerdict::default()
        }],
        list_version: "00000000-0000-4000-8000-000000000000:100000".to_owned(),
        book_version: "0".repeat(64),
        engine_version: "creditgate 0.0.0".to_owned(),
        ..v1::Verdict::default()
    }
}

/// Serves until it is ended; prints its address first.
pub async fn serve() -> Result<ExitCode, Failure> {
    let failed = |error| Failure::new("serve the bare gate", error);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(|error| Failure::new("listen", error))?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::new("listen", error))?;
    say!("{address}");
    tonic::transport::Server::builder()
        .add_service(GateServer::new(Bare {
            verdict: constant(),
        }))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}
