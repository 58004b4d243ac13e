//! What can be typed, and what is then asked of the service.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clap::Parser;
use creditgate_proto::v1::cases_server::{Cases, CasesServer};
use tonic::{Request, Response};

use super::*;
use crate::cli::{Cli, Command};

fn parsed(line: &str) -> Result<CasesCommand, String> {
    let words = ["creditgate", "cases"].into_iter().chain(line.split(' '));
    match Cli::try_parse_from(words)
        .map_err(|error| error.to_string())?
        .command
    {
        Command::Cases(command) => Ok(command),
        _ => Err("another command".to_owned()),
    }
}

const FEEDBACK: &str = "feedback --verdict V --measure M07 --operator o --department d";

#[test]
fn what_is_wrong_on_the_command_line_is_told() {
    let check = |line: &str, told: &str| {
        let error = parsed(line).expect_err(line);
        assert!(error.contains(told), "{line}: {error}");
    };
    check("show", "<CASE>");
    check("list --state gone", "[possible values: open, closed]");
    check("close K1", "--reason");
    check("claim K1 --by a", "<KEY>");
    check("decide K1 0/M --by a --reason r", "--confirm|--reject");
    check("decide K1 0/M --by a --reason r --confirm", "--document");
    check(
        "decide K1 0/M --by a --reason r --confirm --reject --document D",
        "cannot be used with",
    );
    check(
        "orders --state lifted",
        "[possible values: open, acknowledged, cancelled]",
    );
    check("acknowledge O1 --by a --at June", "YYYY-MM-DD");
    check("feedback", "--verdict");
    check("feedback --file f --verdict V", "cannot be used with");
    check(&format!("{FEEDBACK} --status executed"), "--executed-at");
    check(
        &format!("{FEEDBACK} --status partly --executed-at 2026-06-10"),
        "--reason",
    );
    check("review", "--reason");
    check("count --by colour", "[possible values: measure, department");
    check("count --from June", "YYYY-MM-DD");
    check("count --out counts.ods", ".csv or .xlsx");
}

/// Keeps what it was asked, by whoever has the key.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Vec<String>>>);

impl Fake {
    fn noted<T: serde::Serialize, A>(
        &self,
        call: &str,
        request: Request<T>,
        answer: A,
    ) -> Result<Response<A>, Status> {
        let key = request.metadata().get("authorization");
        if key.is_none_or(|key| key != "Bearer cgk_test") {
            return Err(Status::unauthenticated("no key came"));
        }
        let asked = serde_json::to_string(request.get_ref()).expect("JSON");
        let mut calls = self.0.lock().expect("nobody panicked");
        calls.push(format!("{call} {asked}"));
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl Cases for Fake {
    async fn get_case(
        &self,
        request: Request<v1::GetCaseRequest>,
    ) -> Result<Response<v1::GetCaseResponse>, Status> {
        self.noted("get", request, v1::GetCaseResponse::default())
    }

    async fn list_cases(
        &self,
        request: Request<v1::ListCasesRequest>,
    ) -> Result<Response<v1::ListCasesResponse>, Status> {
        let asked = request.get_ref();
        let cases = vec![v1::CaseSummary::default(); asked.page_size.min(2) as usize];
        let next_page_token = format!("{}x", asked.page_token);
        let answer = v1::ListCasesResponse {
            cases,
            next_page_token,
        };
        self.noted("list", request, answer)
    }

    async fn close_case(
        &self,
        request: Request<v1::CloseCaseRequest>,
    ) -> Result<Response<v1::CloseCaseResponse>, Status> {
        self.noted("close", request, v1::CloseCaseResponse::default())
    }

    async fn report_feedback(
        &self,
        request: Request<v1::ReportFeedbackRequest>,
    ) -> Result<Response<v1::ReportFeedbackResponse>, Status> {
        let of = request.get_ref().feedback.clone().unwrap_or_default();
        if of.verdict_id == "unknown" {
            return Err(Status::not_found("the verdict is not known"));
        }
        self.noted("feedback", request, v1::ReportFeedbackResponse::default())
    }

    async fn list_proposals(
        &self,
        request: Request<v1::ListProposalsRequest>,
    ) -> Result<Response<v1::ListProposalsResponse>, Status> {
        self.noted("proposals", request, v1::ListProposalsResponse::default())
    }

    async fn claim_proposal(
        &self,
        request: Request<v1::ClaimProposalRequest>,
    ) -> Result<Response<v1::ProposalResponse>, Status> {
        self.noted("claim", request, v1::ProposalResponse::default())
    }

    async fn decide_proposal(
        &self,
        request: Request<v1::DecideProposalRequest>,
    ) -> Result<Response<v1::ProposalResponse>, Status> {
        self.noted("decide", request, v1::ProposalResponse::default())
    }

    async fn list_lift_orders(
        &self,
        request: Request<v1::ListLiftOrdersRequest>,
    ) -> Result<Response<v1::ListLiftOrdersResponse>, Status> {
        self.noted("orders", request, v1::ListLiftOrdersResponse::default())
    }

    async fn acknowledge_lift_order(
        &self,
        request: Request<v1::AcknowledgeLiftOrderRequest>,
    ) -> Result<Response<v1::LiftOrderResponse>, Status> {
        self.noted("acknowledge", request, v1::LiftOrderResponse::default())
    }

    async fn request_review(
        &self,
        request: Request<v1::RequestReviewRequest>,
    ) -> Result<Response<v1::RequestReviewResponse>, Status> {
        self.noted("review", request, v1::RequestReviewResponse::default())
    }

    async fn get_review_progress(
        &self,
        request: Request<v1::GetReviewProgressRequest>,
    ) -> Result<Response<v1::ReviewProgress>, Status> {
        let answer = v1::ReviewProgress {
            waiting: 1,
            ..v1::ReviewProgress::default()
        };
        self.noted("progress", request, answer)
    }

    async fn count_measures(
        &self,
        request: Request<v1::CountMeasuresRequest>,
    ) -> Result<Response<v1::CountMeasuresResponse>, Status> {
        let answer = v1::CountMeasuresResponse {
            counts: vec![v1::MeasureCount {
                of: vec!["示例局".to_owned()],
                reports: 2,
                amount_fen: 100,
            }],
        };
        self.noted("count", request, answer)
    }
}

async fn served(fake: Fake) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("its address");
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(CasesServer::new(fake))
            .serve_with_incoming(incoming),
    );
    address
}

#[tokio::test]
async fn what_is_typed_is_asked_with_the_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.display().to_string()
    };
    let key = file("key", "cgk_test\n");
    let fake = Fake::default();
    let address = served(fake.clone()).await;
    let check = async |line: &str, code: &str, expected: &[&str]| {
        let typed = format!("{line} --server {address} --key-file {key}");
        let command = parsed(&typed).expect(line);
        let done = match run(command).await {
            Ok(done) => done,
            Err(failure) => failure.report(),
        };
        assert_eq!(
            format!("{done:?}"),
            format!("ExitCode(unix_exit_status({code}))"),
            "{line}"
        );
        let calls = std::mem::take(&mut *fake.0.lock().expect("nobody panicked"));
        assert_eq!(calls, expected, "{line}");
    };
    check("show K1", "0", &[r#"get {"case_id":"K1"}"#]).await;
    check(
        "list --state open --scenario land --measure M07 --missing --limit 3 --json",
        "0",
        &[
            r#"list {"state":"open","scenario":"land","measure_id":"M07","missing_check":true,"page_size":3}"#,
            r#"list {"state":"open","scenario":"land","measure_id":"M07","missing_check":true,"page_size":1,"page_token":"x"}"#,
        ],
    )
    .await;
    check(
        "close K1 --reason r --document D1",
        "0",
        &[r#"close {"case_id":"K1","reason":"r","document_no":"D1"}"#],
    )
    .await;
    check(
        "proposals --state claimed --escalated --measure M07",
        "0",
        &[r#"proposals {"state":"claimed","escalated":true,"measure_id":"M07","page_size":100}"#],
    )
    .await;
    check(
        "claim K1 0/M07 --by a --release",
        "0",
        &[r#"claim {"case_id":"K1","key":"0/M07","by":"a","release":true}"#],
    )
    .await;
    check(
        "decide K1 0/M07 --confirm --by a --reason r --document D1",
        "0",
        &[r#"decide {"case_id":"K1","key":"0/M07","decision":"confirm","by":"a","reason":"r","document_no":"D1"}"#],
    )
    .await;
    check(
        "decide K1 0/M07 --reject --by a --reason r",
        "0",
        &[r#"decide {"case_id":"K1","key":"0/M07","decision":"reject","by":"a","reason":"r"}"#],
    )
    .await;
    check(
        "orders --state open --implementer 示例局 --overdue",
        "0",
        &[r#"orders {"state":"open","implementer":"示例局","overdue":true,"page_size":100}"#],
    )
    .await;
    check(
        "acknowledge O1 --by a --at 2026-06-10",
        "0",
        &[r#"acknowledge {"order_id":"O1","by":"a","at":"2026-06-09T16:00:00+00:00"}"#],
    )
    .await;
    check(
        &format!("{FEEDBACK} --id F1 --status partly --reason r --basis b --amount-fen 5 --period p --division 320500 --executed-at 2026-06-10 --document D --implementer i --subject 1"),
        "0",
        &[r#"feedback {"feedback":{"feedback_id":"F1","verdict_id":"V","measure_id":"M07","subject":1,"status":"partly","reason":"r","basis":"b","amount_fen":"5","period":"p","operator":"o","department":"d","division_code":"320500","executed_at":"2026-06-09T16:00:00+00:00","document_no":"D","implementer":"i"}}"#],
    )
    .await;
    check(
        "feedback --verdict unknown --measure M --status executed --operator o --department d --executed-at 2026-06-10",
        "1",
        &[],
    )
    .await;
    let lines = file(
        "reports.jsonl",
        "{\"feedback_id\":\"F1\"}\n{\"verdict_id\":\"unknown\"}\n{\"feedback_id\":\"F2\"}",
    );
    check(
        &format!("feedback --file {lines}"),
        "1",
        &[
            r#"feedback {"feedback":{"feedback_id":"F1"}}"#,
            r#"feedback {"feedback":{"feedback_id":"F2"}}"#,
        ],
    )
    .await;
    check("feedback --file /nowhere/f", "2", &[]).await;
    check("review --reason r", "0", &[r#"review {"reason":"r"}"#]).await;
    check("progress", "1", &["progress {}"]).await;
    check("count", "0", &[r#"count {"by":["measure","status"]}"#]).await;
    let out = dir.path().join("counts.xlsx");
    check(
        &format!("count --by department --from 2026-01-01 --until 2026-06-30 --region 320500 --out {}", out.display()),
        "0",
        &[r#"count {"from":"2026-01-01","until":"2026-06-30","by":["department"],"region":"320500"}"#],
    )
    .await;
    assert!(out.exists());
    let without = parsed(&format!(
        "progress --server {address} --key-file {}",
        file("none", "")
    ));
    assert!(run(without.expect("it is read")).await.is_err());
}
