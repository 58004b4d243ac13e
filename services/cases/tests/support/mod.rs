//! Lists, gate, cases and deliveries in one process, with a clock that the test turns.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_cases::deliveries::{Deliveries, DeliveriesService, Options, Pace};
use creditgate_cases::{Cases, CasesService, Settings};
use creditgate_gate::{self as gate, Gate};
use creditgate_measures::book::{Deployment, SourceFile};
use creditgate_measures::catalogue;
use creditgate_measures::identifier::invented;
use creditgate_measures::time::{Date, Time};
use creditgate_proto::v1;
use creditgate_proto::v1::apply_request::Change;
use creditgate_proto::v1::cases_server::Cases as _;
use creditgate_proto::v1::deliveries_server::Deliveries as _;
use creditgate_proto::v1::gate_server::Gate as _;
use creditgate_proto::v1::lists_server::Lists as _;
use creditgate_registry::book::TrustedKeys;
use creditgate_registry::{self as registry, Registry};
use creditgate_runtime::callers::{Caller, Callers, Shown};
use creditgate_runtime::clock::{Clock, Hand};
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal;
use creditgate_runtime::metrics::{Build, Metrics};
use creditgate_runtime::shutdown::Shutdown;
use creditgate_runtime::targets::Allowed;
use tempfile::TempDir;
use tonic::{Request, Status};

/// The secret of every delivery.
pub const SECRET: &str = "0123456789abcdef-of-a-test";
/// Longest wait for a state; a busy machine may take long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What lies on the disk, and the time.
pub struct Place {
    pub dir: TempDir,
    pub clock: Clock,
    pub hand: Hand,
    pub give_up: Duration,
    pub refusals_max: u32,
}

/// Everything that runs.
pub struct World {
    pub registry: Registry,
    gate: Gate,
    cases: Cases,
    pub service: DeliveriesService,
    asked: CasesService,
    shutdown: Shutdown,
    running: tokio::task::JoinHandle<()>,
    caller: Caller,
}

impl Place {
    pub fn new() -> Self {
        let begins = Date::from_ymd(2026, 6, 1).expect("a day").start();
        let (clock, hand) = Clock::stepped(begins.plus_seconds(36_000).micros());
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("secrets")).expect("a directory");
        std::fs::write(dir.path().join("secrets/test"), SECRET).expect("a secret");
        Self {
            dir,
            clock,
            hand,
            give_up: Duration::from_secs(3_600),
            refusals_max: 100,
        }
    }

    pub fn secrets(&self) -> PathBuf {
        self.dir.path().join("secrets")
    }

    pub fn now(&self) -> Time {
        Time::from_micros(self.clock.now_micros())
    }

    /// Starts everything over what lies there.
    pub async fn start(&self) -> World {
        let build = Build {
            version: "test",
            commit: "unknown",
        };
        let metrics = Metrics::new(self.clock.clone(), build);
        let components = [
            registry::COMPONENT,
            gate::COMPONENT,
            creditgate_cases::COMPONENT,
        ];
        let readiness = Readiness::expecting(components);
        let journal = || journal::Options {
            segment_bytes: 1 << 20,
            preallocate: false,
            ..journal::Options::default()
        };
        let path = || self.dir.path().to_owned();
        let confirmations = std::fs::read_to_string(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../creditgate/demo/confirmations.yaml"),
        );
        let confirmations = confirmations.expect("the confirmations");
        let registry = Registry::open(registry::Options {
            data_dir: path(),
            book: catalogue::built_in(),
            book_named: true,
            signature: None,
            trusted_keys: TrustedKeys::default(),
            deployment: Deployment {
                confirmations: vec![SourceFile::new("confirmations.yaml", confirmations)],
                ..Deployment::default()
            },
            upstream: None,
            journal: journal(),
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            overlay_min: registry::OVERLAY_MIN,
            source_rules: registry::SourceRules::default(),
            sealer: None,
        });
        let registry = registry.expect("the registry opens");
        let gate = Gate::open(gate::Options {
            data_dir: path(),
            live: registry.live().clone(),
            history: Arc::new(registry.past().clone()),
            journal: journal(),
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            limits: gate::Limits::default(),
            digest_key: None,
            kafka: None,
        });
        let gate = gate.expect("the gate opens");
        let cases = Cases::open(creditgate_cases::Options {
            data_dir: path(),
            reviews: Arc::new(gate.clone()),
            changes: Arc::new(registry.past().clone()),
            history: Arc::new(registry.past().clone()),
            live: registry.live().clone(),
            journal: journal(),
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            readiness,
            settings: Settings {
                open_days: 365,
                decide_days: 5,
                lift_days: 5,
                four_eyes: Vec::new(),
                announces: false,
            },
            kafka: None,
            sealer: None,
        });
        let cases = cases.expect("the cases open");
        let options = Options {
            allow: vec![Allowed::parse("127.0.0.1").expect("an address")],
            secrets_dir: Some(self.secrets()),
            timeout: Duration::from_secs(5),
            ca_file: None,
            give_up: self.give_up,
            pace: Pace {
                retry_min: Duration::from_millis(10),
                retry_max: Duration::from_millis(50),
                refusals_max: self.refusals_max,
                ..Pace::default()
            },
        };
        let deliveries = Deliveries::new(cases.clone(), metrics.clone(), options);
        let deliveries = deliveries.expect("deliveries");
        let shutdown = Shutdown::new();
        let (runs, asked) = (deliveries.clone(), shutdown.clone());
        World {
            registry,
            gate,
            asked: CasesService::new(cases.clone()),
            cases,
            service: deliveries.service(),
            shutdown,
            running: tokio::spawn(async move { runs.run(asked).await }),
            caller: Callers::loopback_only()
                .authenticate(&Shown::LOCAL)
                .expect("local"),
        }
    }
}

impl World {
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(self.caller.clone());
        request
    }

    /// Every list of the book is confirmed: whoever is on none passes.
    pub async fn confirm_lists(&self) {
        let live = self.registry.live().load_full();
        for list in live.book.lists() {
            self.apply(Change::Confirm(v1::ConfirmList {
                list: list.code.as_str().to_owned(),
                source_unit: "示例数据中心".to_owned(),
                ..v1::ConfirmList::default()
            }))
            .await;
        }
    }

    pub async fn apply(&self, change: Change) {
        let lists = registry::Service::new(self.registry.clone());
        let change = Some(change);
        let applied = lists.apply(self.request(v1::ApplyRequest { change })).await;
        applied.expect("applied");
    }

    pub async fn check(&self, event: v1::Event) -> v1::Verdict {
        let event = Some(event);
        let answer = self
            .gate
            .check(self.request(v1::CheckRequest { event }))
            .await;
        answer.expect("an answer").into_inner().verdict.expect("it")
    }

    pub async fn case(&self, case_id: &str) -> v1::CaseShown {
        let case_id = case_id.to_owned();
        let shown = self
            .asked
            .get_case(self.request(v1::GetCaseRequest { case_id }));
        shown.await.expect("a case").into_inner().case.expect("it")
    }

    /// Waits until a case is as it should be.
    pub async fn until_case(&self, case_id: &str, holds: impl Fn(&v1::CaseShown) -> bool) {
        let begun = Instant::now();
        loop {
            let case = self.case(case_id).await;
            if holds(&case) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{case:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn put(&self, asked: v1::PutDeliveryRequest) -> Result<v1::Delivery, Status> {
        let put = self.service.put(self.request(asked)).await?;
        Ok(put.into_inner().delivery.expect("it"))
    }

    pub async fn resume(&self, asked: v1::ResumeDeliveryRequest) -> Result<v1::Delivery, Status> {
        let resumed = self.service.resume(self.request(asked)).await?;
        Ok(resumed.into_inner().delivery.expect("it"))
    }

    pub async fn shown(&self) -> v1::Delivery {
        let asked = self.request(v1::ListDeliveriesRequest { ended: true });
        let all = self.service.list(asked).await.expect("a list").into_inner();
        all.deliveries.into_iter().next().expect("a delivery")
    }

    pub async fn dead(&self) -> Vec<v1::DeadLetter> {
        let asked = self.request(v1::ListDeadLettersRequest {
            name: "test".to_owned(),
            ..v1::ListDeadLettersRequest::default()
        });
        let found = self.service.list_dead_letters(asked).await;
        found.expect("letters").into_inner().letters
    }

    pub async fn resend(&self, positions: Vec<u64>) -> Result<u64, Status> {
        let name = "test".to_owned();
        let asked = self.request(v1::ResendRequest { name, positions });
        Ok(self.service.resend(asked).await?.into_inner().letters)
    }

    pub async fn until(&self, what: &str, holds: impl Fn(&v1::Delivery) -> bool) -> v1::Delivery {
        let begun = Instant::now();
        loop {
            let shown = self.shown().await;
            if holds(&shown) {
                return shown;
            }
            assert!(begun.elapsed() < PATIENCE, "never {what}: {shown:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until nothing is left to be delivered.
    pub async fn until_even(&self) -> v1::Delivery {
        let even = |shown: &v1::Delivery| shown.behind == 0 && shown.behind_ms.is_none();
        self.until("even", even).await
    }

    /// Ends everything; what was delivered and not recorded is delivered again.
    pub async fn end(self) {
        self.running.abort();
        let _ = self.running.await;
        self.shutdown.request();
        self.cases.close().await.expect("closed");
        self.gate
            .close(Duration::from_secs(10))
            .await
            .expect("closed");
        self.registry.close().await;
    }
}

/// A delivery of everything to this address, from the beginning.
pub fn delivery(url: &str, of: &[&str]) -> v1::PutDeliveryRequest {
    v1::PutDeliveryRequest {
        name: "test".to_owned(),
        department: "示例市自然资源和规划局".to_owned(),
        url: url.to_owned(),
        of: of.iter().map(|of| (*of).to_owned()).collect(),
        secret_id: "test".to_owned(),
        from_position: Some(1),
        ..v1::PutDeliveryRequest::default()
    }
}

fn bidder() -> String {
    invented::uscc(90_210)
}

/// A step of a bidder for land whose notice bars those seriously untrustworthy.
pub fn step(case_id: &str, stage: &str) -> v1::Event {
    let text = |text: &str| pbjson_types::Value {
        kind: Some(pbjson_types::value::Kind::StringValue(text.to_owned())),
    };
    let attributes = [
        ("notice_no", "演示土告〔2026〕1号"),
        ("notice_clause", "第五条第二款"),
        ("notice_published_at", "2026-05-06"),
    ];
    let with_clause = case_id.starts_with("CLAUSE");
    let attributes = attributes.iter().filter(|_| with_clause);
    v1::Event {
        source: "land".to_owned(),
        id: format!("{case_id}-{stage}"),
        case_id: case_id.to_owned(),
        scenario: "land".to_owned(),
        stage: stage.to_owned(),
        region: "320505".to_owned(),
        subjects: vec![v1::Subject {
            role: "land_bidder".to_owned(),
            id_type: "USCC".to_owned(),
            id: bidder(),
            name: "示例竞买置业有限公司".to_owned(),
            kind: "enterprise".to_owned(),
            ..v1::Subject::default()
        }],
        attributes: attributes
            .map(|(name, value)| ((*name).to_owned(), text(value)))
            .collect(),
        ..v1::Event::default()
    }
}

/// The bidder is put on the list of serious violations.
pub fn listed(entry_id: &str, day: &str) -> Change {
    Change::Put(v1::PutEntry {
        entry: Some(v1::Entry {
            entry_id: entry_id.to_owned(),
            list: "B03".to_owned(),
            id_type: "USCC".to_owned(),
            id: bidder(),
            name: "示例竞买置业有限公司".to_owned(),
            kind: "enterprise".to_owned(),
            severity: "serious".to_owned(),
            document_no: format!("演示〔2026〕{entry_id}号"),
            served_at: day.to_owned(),
            valid_from: day.to_owned(),
            state: "EFFECTIVE".to_owned(),
            ..v1::Entry::default()
        }),
        reason: String::new(),
    })
}

/// An entry changes its state.
pub fn becomes(entry_id: &str, to: &str) -> Change {
    Change::ChangeState(v1::ChangeState {
        entry_id: entry_id.to_owned(),
        to: to.to_owned(),
        effective_at: None,
        document_no: "演示〔2026〕5号".to_owned(),
        reason: "示例".to_owned(),
    })
}
