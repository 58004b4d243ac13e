//! The gate over a real journal in a directory of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_measures::book::{Book, BookVersion, Deployment};
use creditgate_measures::catalogue;
use creditgate_measures::event::Event;
use creditgate_measures::identifier::invented;
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_measures::time::Time;
use creditgate_proto::v1;
use creditgate_proto::v1::gate_server::Gate as _;
use creditgate_runtime::callers::{Caller, Callers, Shown};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal;
use creditgate_runtime::live::{Generation, Live};
use creditgate_runtime::metrics::{Build, Metrics, Number};
use creditgate_runtime::ports::{History, HistoryError};
use tempfile::TempDir;
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};

use crate::gate::{Gate, Limits, Options};

mod acknowledged;
mod answers;
mod disk;
mod groups;
mod index;
mod one;
mod replicas;
mod review;
mod simulate;
mod successors;
mod wire;

/// 2026-06-01T02:00:00Z.
const NOW: i64 = 1_780_279_200_000_000;

/// A book and lists that never change, and their history.
pub(super) struct World {
    dir: TempDir,
    live: Live,
    metrics: Metrics,
    readiness: Readiness,
    clock: Clock,
    history: Arc<Known>,
    limits: Limits,
    journal: journal::Options,
}

struct Known {
    lists: Lists,
    book: Arc<Book>,
}

impl History for Known {
    fn lists_as_of(
        &self,
        version: ListVersion,
        _: &Event,
        _: &Book,
    ) -> Result<Lists, HistoryError> {
        if version.log_id != self.lists.version().log_id {
            return Err(HistoryError::Unknown("the log".into()));
        }
        let mut lists = self.lists.clone();
        lists.advance(version.seq);
        Ok(lists)
    }

    fn book(&self, version: BookVersion) -> Result<Arc<Book>, HistoryError> {
        if version == self.book.version() {
            Ok(Arc::clone(&self.book))
        } else {
            Err(HistoryError::Unknown(version.to_string()))
        }
    }
}

impl World {
    pub(super) fn new() -> Self {
        let book = Book::load(&catalogue::built_in(), &Deployment::default());
        let book = Arc::new(book.expect("the built-in catalogue"));
        let log_id = uuid::Uuid::from_u128(7);
        let mut lists = Lists::empty(log_id, book.simplify());
        for list in book.lists() {
            lists.confirm(list.code.clone(), Time::from_micros(NOW - 60_000_000));
        }
        lists.advance(10);
        let clock = Clock::stepped(NOW).0;
        let build = Build {
            version: "0",
            commit: "unknown",
        };
        Self {
            dir: tempfile::tempdir().unwrap(),
            live: Live::new(Generation {
                lists: lists.clone(),
                book: Arc::clone(&book),
            }),
            metrics: Metrics::new(clock.clone(), build),
            readiness: Readiness::expecting([crate::COMPONENT]),
            clock,
            history: Arc::new(Known { lists, book }),
            limits: Limits::default(),
            journal: journal::Options {
                segment_bytes: 1 << 20,
                preallocate: false,
                ..Default::default()
            },
        }
    }

    /// Opens the gate; the directory may still be held for a moment by one that was dropped.
    pub(super) fn open(&self) -> Gate {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match Gate::open(self.options()) {
                Ok(gate) => return gate,
                Err(error) => assert!(Instant::now() < until, "{error:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn options(&self) -> Options {
        Options {
            data_dir: self.dir.path().to_owned(),
            live: self.live.clone(),
            history: self.history.clone(),
            journal: self.journal.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            readiness: self.readiness.clone(),
            limits: self.limits,
            digest_key: None,
            kafka: None,
        }
    }

    /// The lists as they are, under a later version.
    pub(super) fn publish(&self, seq: u64) {
        let mut lists = self.history.lists.clone();
        lists.advance(seq);
        let book = Arc::clone(&self.history.book);
        self.live.publish(Generation { lists, book });
    }

    /// A metric, summed over its labels.
    pub(super) fn sum(&self, name: &str) -> i64 {
        let families = self.metrics.families();
        let family = families.iter().find(|f| f.metric.name == name).unwrap();
        let numbers = family.samples.iter().map(|sample| match &sample.number {
            Number::Count(count) => i64::try_from(*count).unwrap(),
            Number::Whole(whole) => *whole,
            other => panic!("{other:?}"),
        });
        numbers.sum()
    }

    /// INVARIANT (balance), and how many of each kind there were.
    pub(super) fn balance(&self) -> [u64; 3] {
        let sum = |name| self.sum(name);
        let verdicts = sum("creditgate_verdicts_total");
        let repeated = sum("creditgate_checks_repeated_total");
        let refused = sum("creditgate_checks_refused_total");
        let in_flight = sum("creditgate_checks_in_flight");
        assert_eq!(
            sum("creditgate_checks_received_total"),
            verdicts + repeated + refused + in_flight
        );
        assert_eq!(in_flight, 0);
        [verdicts, repeated, refused].map(|count| u64::try_from(count).unwrap())
    }
}

pub(super) fn caller() -> Caller {
    Callers::loopback_only()
        .authenticate(&Shown::LOCAL)
        .unwrap()
}

pub(super) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller());
    request
}

/// The n-th event of a case, at a stage of a tender.
pub(super) fn event(n: u64, case: u64, stage: &str) -> v1::Event {
    v1::Event {
        source: "test".into(),
        id: format!("e{n}"),
        case_id: format!("c{case}"),
        scenario: "tender".into(),
        stage: stage.into(),
        region: "320500".into(),
        subjects: vec![v1::Subject {
            role: "bidder".into(),
            id_type: "USCC".into(),
            id: invented::uscc(case),
            name: format!("虚构建设{case}有限公司"),
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(super) fn at(mut event: v1::Event, micros: i64) -> v1::Event {
    event.occurred_at = Some(creditgate_proto::encode::time_to_proto(Time::from_micros(
        micros,
    )));
    event
}

pub(super) async fn check(gate: &Gate, event: v1::Event) -> Result<v1::CheckResponse, Status> {
    let message = v1::CheckRequest { event: Some(event) };
    gate.check(request(message)).await.map(|r| r.into_inner())
}

pub(super) async fn verdict(gate: &Gate, event: v1::Event) -> v1::Verdict {
    check(gate, event).await.unwrap().verdict.unwrap()
}

pub(super) fn reason(status: &Status) -> String {
    let reason = creditgate_proto::status::item_error(status).reason;
    format!("{:?} {reason}", status.code())
}

pub(super) async fn batch(gate: &Gate, events: Vec<v1::Event>) -> Vec<v1::CheckResult> {
    let message = v1::CheckBatchRequest { events };
    let response = gate.check_batch(request(message)).await.unwrap();
    response.into_inner().results
}

/// A result in a word: the verdict's event, a plus for a repeat, or the error.
pub(super) fn told(result: &v1::CheckResult) -> String {
    use v1::check_result::Result as Outcome;

    match result.result.as_ref().unwrap() {
        Outcome::Verdict(verdict) if result.repeated => format!("{}+", verdict.event_id),
        Outcome::Verdict(verdict) => verdict.event_id.clone(),
        Outcome::Error(error) => format!("{:?} {}", Code::from_i32(error.code), error.reason),
    }
}

pub(super) async fn watched(gate: &Gate, message: v1::WatchVerdictsRequest) -> Vec<(u64, String)> {
    let stream = gate.watch_verdicts(request(message)).await.unwrap();
    let items: Vec<_> = stream.into_inner().collect().await;
    items
        .into_iter()
        .map(|item| {
            let item = item.unwrap();
            (item.position, item.verdict.unwrap().event_id)
        })
        .collect()
}
