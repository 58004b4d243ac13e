//! A gate that says what it is told to, and everything else an HTTP role needs.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use creditgate_console::{Limits, Options};
use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::lists::Lists;
use creditgate_proto::v1;
use creditgate_runtime::callers::{Caller, Callers, Given, hash_key};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::live::{Generation, Live};
use creditgate_runtime::metrics::{Build, Metrics, Transport};
use creditgate_runtime::ports::{Answer, Check, Reports};
use creditgate_runtime::telemetry::{inject, passed_on};
use creditgate_runtime::tokens::{self, Tokens};
use serde_json::{Value, json};
use tonic::Status;
use tower::ServiceExt as _;

pub const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the gate was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub event: v1::Event,
    pub caller: String,
    pub transport: &'static str,
    /// The trace context that was current meanwhile.
    pub traceparent: Option<String>,
}

type Says = dyn Fn(&v1::Event) -> Result<v1::CheckResponse, Status> + Send + Sync;

pub struct FakeGate {
    says: Box<Says>,
    delay: Duration,
    asked: Mutex<Vec<Asked>>,
    answered: AtomicUsize,
}

impl FakeGate {
    pub fn new(
        says: impl Fn(&v1::Event) -> Result<v1::CheckResponse, Status> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::slow(Duration::ZERO, says)
    }

    /// One that takes its time over the first answer.
    pub fn slow(
        delay: Duration,
        says: impl Fn(&v1::Event) -> Result<v1::CheckResponse, Status> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            says: Box::new(says),
            delay,
            asked: Mutex::default(),
            answered: AtomicUsize::new(0),
        })
    }

    pub fn passing() -> Arc<Self> {
        Self::new(|event| Ok(pass(event)))
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

impl Check for FakeGate {
    fn check(
        &self,
        event: v1::Event,
        caller: Caller,
        transport: Transport,
    ) -> Answer<'_, Result<v1::CheckResponse, Status>> {
        Box::pin(async move {
            let mut traceparent = None;
            if let Some(context) = passed_on(&tracing::Span::current(), None) {
                inject(&context, |name, value| {
                    if name == "traceparent" {
                        traceparent = Some(value);
                    }
                });
            }
            let answer = (self.says)(&event);
            self.asked.lock().unwrap().push(Asked {
                event,
                caller: caller.name().to_owned(),
                transport: transport.label(),
                traceparent,
            });
            if self.asked().len() == 1 && !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            self.answered.fetch_add(1, Ordering::SeqCst);
            answer
        })
    }
}

/// As an answer bears it.
pub const RECEIPT: &str = "7:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

pub fn pass(event: &v1::Event) -> v1::CheckResponse {
    let evaluated_at = creditgate_measures::time::Time::parse("2026-03-01T09:30:00+08:00").unwrap();
    v1::CheckResponse {
        verdict: Some(v1::Verdict {
            verdict_id: "0198c0de-0000-8000-8000-000000000001".into(),
            source: event.source.clone(),
            event_id: event.id.clone(),
            case_id: event.case_id.clone(),
            outcome: "PASS".into(),
            evaluated_at: Some(creditgate_proto::encode::time_to_proto(evaluated_at)),
            ..v1::Verdict::default()
        }),
        repeated: false,
        receipt: RECEIPT.to_owned(),
    }
}

pub fn event() -> Value {
    json!({
        "source": "land-office", "id": "e-1", "case_id": "办件 1%", "scenario": "land", "stage": "apply",
        "region": "320500", "subjects": [{"role": "applicant", "name": "某公司"}],
    })
}

fn live() -> Live {
    static BOOK: OnceLock<Arc<Book>> = OnceLock::new();
    let book = BOOK.get_or_init(|| {
        let files = creditgate_measures::catalogue::built_in();
        Arc::new(Book::load(&files, &Deployment::default()).unwrap())
    });
    let lists = Lists::empty(uuid::Uuid::from_u128(7), book.simplify());
    let book = book.clone();
    Live::new(Generation { lists, book })
}

/// Keeps reports whose status is `executed`, and refuses others.
struct FakeCases;

impl Reports for FakeCases {
    fn report(
        &self,
        feedback: v1::Feedback,
        caller: Caller,
    ) -> Answer<'_, Result<v1::ReportFeedbackResponse, Status>> {
        Box::pin(async move {
            if feedback.status != "executed" {
                return Err(Status::failed_precondition("only `executed` here"));
            }
            Ok(v1::ReportFeedbackResponse {
                repeated: false,
                feedback: Some(v1::FeedbackShown {
                    feedback: Some(feedback),
                    caller: caller.name().to_owned(),
                    ..v1::FeedbackShown::default()
                }),
            })
        })
    }
}

pub fn options(gate: Arc<FakeGate>) -> Options {
    let build = Build {
        version: "0.1.0",
        commit: "unknown",
    };
    let readiness = Readiness::expecting(["journal"]);
    readiness.ready("journal");
    Options {
        check: gate,
        reports: Arc::new(FakeCases),
        callers: Callers::loopback_only(),
        metrics: Metrics::new(Clock::system(), build),
        readiness,
        live: live(),
        tls: None,
        limits: Limits::default(),
    }
}

/// Callers by name, each with the key `key-of-<name>`.
pub fn keyed(callers: &[(&str, &str)]) -> Callers {
    let dir = tempfile::tempdir().unwrap();
    let path: &Path = &dir.path().join("keys.yaml");
    let line = |(name, may): &(&str, &str)| {
        let hash = hash_key(&format!("key-of-{name}"));
        format!("- {{name: {name}, key_sha256: {hash}, may: [{may}]}}\n")
    };
    let lines: String = callers.iter().map(line).collect();
    std::fs::write(path, format!("callers:\n{lines}")).unwrap();
    Callers::load(path).unwrap().callers
}

/// Callers of an issuer that is never asked for its keys.
pub fn awaiting_keys() -> Callers {
    let settings = tokens::Settings {
        issuer: "https://id.city.example".to_owned(),
        audience: "creditgate".to_owned(),
        claim: "sub".to_owned(),
        clock_skew: Duration::ZERO,
        keys: tokens::Keys::Issuer {
            ca_file: None,
            pace: tokens::Pace::default(),
        },
    };
    let tokens = Tokens::load(settings, Clock::system()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.yaml");
    std::fs::write(
        &path,
        "callers:\n- {name: land, token: land, may: [check]}\n",
    )
    .unwrap();
    let given = Given {
        tokens: Some(tokens),
        ..Given::default()
    };
    Callers::load_with(&path, given).unwrap().callers
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status, word and reason of a problem, with its violations.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        let kind = problem["type"].as_str().unwrap();
        let word = kind.strip_prefix("urn:creditgate:problem:").unwrap();
        let mut shown = format!("{} {word}", self.status.as_u16());
        if let Some(reason) = problem["reason"].as_str() {
            shown += &format!(" {reason}");
        }
        for violation in problem["violations"].as_array().into_iter().flatten() {
            let text = |name: &str| violation[name].as_str().unwrap().to_owned();
            shown += &format!(" [{}: {}]", text("field"), text("rule"));
        }
        shown
    }
}

/// One request without a socket, from this address.
pub async fn send_from(options: Options, peer: &str, mut request: Request<Body>) -> Got {
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = creditgate_console::router(options)
        .oneshot(request)
        .await
        .unwrap();
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Got {
        status: head.status,
        headers: head.headers,
        body: body.to_vec(),
    }
}

pub async fn send(options: Options, request: Request<Body>) -> Got {
    send_from(options, "127.0.0.1:50000", request).await
}

pub fn post(path: &str, media: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header("content-type", media);
    request.body(body.into()).unwrap()
}

pub fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}
