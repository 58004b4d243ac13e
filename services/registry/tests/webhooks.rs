//! Facts about subscriptions, against a receiver that answers over HTTP as it is told to.

mod support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use creditgate_proto::v1::lists_server::Lists;
use creditgate_proto::v1::subscriptions_server::Subscriptions;
use creditgate_proto::v1::{self, PutSubscriptionRequest};
use creditgate_registry::subscriptions::{Options, Pace, SubscriptionsService, Webhooks};
use creditgate_registry::{Registry, Service};
use creditgate_runtime::callers::{Caller, Callers, Shown, hash_key};
use creditgate_runtime::shutdown::Shutdown;
use creditgate_runtime::targets::Allowed;
use support::Place;
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};

const SECRET: &str = "0123456789abcdef-of-a-test";
/// Longest wait for a state; a busy machine may take long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the receiver answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    /// Acknowledges everything by header.
    Acknowledge,
    /// The same in the body.
    InBody,
    /// Acknowledges the first change only.
    First,
    /// Acknowledges more than it got.
    TooMuch,
    /// Takes it.
    Take,
    /// This status.
    Status(u16),
    /// This status, and a pause of an hour.
    Pause(u16),
    /// Never.
    Hang,
}

/// One request, as it came.
#[derive(Debug, Clone)]
struct Got {
    ids: Vec<String>,
    path: String,
    answer: Answer,
    signature: String,
}

impl Got {
    fn seqs(&self) -> Vec<u64> {
        let seq = |id: &String| id.rsplit(':').next().and_then(|seq| seq.parse().ok());
        self.ids
            .iter()
            .map(|id| seq(id).expect("a number"))
            .collect()
    }
}

/// Answers as it is told to: first the queue, then always the same.
#[derive(Clone)]
struct Receiver {
    queue: Arc<Mutex<VecDeque<Answer>>>,
    then: Arc<Mutex<Answer>>,
    got: Arc<Mutex<Vec<Got>>>,
    port: u16,
}

impl Receiver {
    async fn start(first: &[Answer], then: Answer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let receiver = Self {
            queue: Arc::new(Mutex::new(first.iter().copied().collect())),
            then: Arc::new(Mutex::new(then)),
            got: Arc::default(),
            port: listener.local_addr().expect("its address").port(),
        };
        let own = receiver.clone();
        let app = axum::Router::new().fallback(
            move |uri: axum::http::Uri, headers: HeaderMap, body: Bytes| {
                let own = own.clone();
                async move { own.answer(&uri, &headers, &body).await }
            },
        );
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    async fn answer(&self, uri: &axum::http::Uri, headers: &HeaderMap, body: &Bytes) -> Response {
        let header = |name: &str| {
            let value = headers.get(name).expect(name);
            value.to_str().expect("a text").to_owned()
        };
        assert_eq!(header("content-type"), "application/cloudevents-batch+json");
        let events: Vec<serde_json::Value> = serde_json::from_slice(body).expect("a batch");
        let ids: Vec<String> = events
            .iter()
            .map(|event| event["id"].as_str().expect("an id").to_owned())
            .collect();
        let next = self.queue.lock().expect("a lock").pop_front();
        let answer = next.unwrap_or(*self.then.lock().expect("a lock"));
        let got = Got {
            ids,
            path: uri.path().to_owned(),
            answer,
            signature: header("creditgate-signature"),
        };
        let seqs = got.seqs();
        let (first, last) = (seqs[0], header("creditgate-up-to"));
        assert_eq!(last, seqs[seqs.len() - 1].to_string());
        self.got.lock().expect("a lock").push(got);
        let acknowledged = |seq: String| [("creditgate-acknowledged", seq)].into_response();
        match answer {
            Answer::Acknowledge => acknowledged(last),
            Answer::InBody => axum::Json(serde_json::json!({"acknowledged": last})).into_response(),
            Answer::First => acknowledged(first.to_string()),
            Answer::TooMuch => acknowledged("999999".to_owned()),
            Answer::Take => StatusCode::NO_CONTENT.into_response(),
            Answer::Status(status) => (
                StatusCode::from_u16(status).expect("a status"),
                [("location", "/elsewhere")],
            )
                .into_response(),
            Answer::Pause(status) => (
                StatusCode::from_u16(status).expect("a status"),
                [("retry-after", "3600")],
            )
                .into_response(),
            Answer::Hang => std::future::pending().await,
        }
    }

    fn then(&self, answer: Answer) {
        *self.then.lock().expect("a lock") = answer;
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().expect("a lock").clone()
    }

    /// Numbers of the changes that it acknowledged or took, in the order they came.
    fn taken(&self) -> Vec<u64> {
        let got = self.got();
        let taken = got.iter().filter(|got| {
            matches!(
                got.answer,
                Answer::Acknowledge | Answer::InBody | Answer::Take
            )
        });
        taken.flat_map(Got::seqs).collect()
    }
}

/// A registry with its subscriptions, running.
struct Sending {
    registry: Registry,
    webhooks: Webhooks,
    service: SubscriptionsService,
    shutdown: Shutdown,
    caller: Caller,
}

impl Sending {
    fn start(place: &Place, allow: &[&str]) -> Self {
        let secrets = place.dir().join("secrets");
        std::fs::create_dir_all(&secrets).expect("a directory");
        std::fs::write(secrets.join("test"), SECRET).expect("a secret");
        let registry = place.open();
        let options = Options {
            allow: allow
                .iter()
                .map(|text| Allowed::parse(text).expect("a host"))
                .collect(),
            secrets_dir: Some(secrets),
            timeout: Duration::from_millis(400),
            resend: Duration::from_millis(300),
            ca_file: None,
            pace: Pace {
                changes_max: 4,
                retry_min: Duration::from_millis(10),
                retry_max: Duration::from_millis(50),
                refusals_max: 3,
                passed_max: 20,
                ..Pace::default()
            },
        };
        let webhooks = Webhooks::new(registry.clone(), options).expect("webhooks");
        let shutdown = Shutdown::new();
        let (running, asked) = (webhooks.clone(), shutdown.clone());
        tokio::spawn(async move { running.run(asked).await });
        Self {
            service: webhooks.service(),
            registry,
            webhooks,
            shutdown,
            caller: place.caller.clone(),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(self.caller.clone());
        request
    }

    async fn put(&self, url: &str, from_seq: Option<u64>) -> Result<v1::Subscription, Status> {
        let asked = PutSubscriptionRequest {
            name: "test".to_owned(),
            department: "示例市税务局".to_owned(),
            url: url.to_owned(),
            lists: vec!["B01".to_owned()],
            secret_id: "test".to_owned(),
            follower: "follower".to_owned(),
            from_seq,
            ..Default::default()
        };
        let put = self.service.put(self.request(asked)).await?;
        Ok(put.into_inner().subscription.expect("a subscription"))
    }

    async fn acknowledge(&self, seq: u64) -> Result<u64, Status> {
        let asked = v1::AcknowledgeChangesRequest {
            subscription: "test".to_owned(),
            seq,
        };
        let done = self
            .service
            .acknowledge_changes(self.request(asked))
            .await?;
        Ok(done.into_inner().acknowledged)
    }

    async fn resume(&self, from_seq: Option<u64>) -> Result<v1::Subscription, Status> {
        let asked = v1::ResumeSubscriptionRequest {
            name: "test".to_owned(),
            from_seq,
            reason: String::new(),
        };
        let done = self.service.resume(self.request(asked)).await?;
        Ok(done.into_inner().subscription.expect("a subscription"))
    }

    async fn shown(&self) -> v1::Subscription {
        let asked = self.request(v1::ListSubscriptionsRequest { ended: true });
        let all = self.service.list(asked).await.expect("a list").into_inner();
        let named = all.subscriptions.into_iter().find(|one| one.name == "test");
        named.expect("a subscription")
    }

    async fn until(
        &self,
        what: &str,
        holds: impl Fn(&v1::Subscription) -> bool,
    ) -> v1::Subscription {
        let reached = async {
            loop {
                let shown = self.shown().await;
                if holds(&shown) {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(shown) => shown,
            Err(_) => panic!("never {what}: {:?}", self.shown().await),
        }
    }

    /// Waits until nothing is left to be acknowledged.
    async fn until_even(&self) -> v1::Subscription {
        let even = |shown: &v1::Subscription| shown.behind == 0 && shown.behind_ms.is_none();
        self.until("even", even).await
    }

    /// Numbers of all changes of the list, as a watcher sees them.
    async fn all(&self) -> Vec<u64> {
        let asked = v1::WatchEntriesRequest {
            lists: vec!["B01".to_owned()],
            ..Default::default()
        };
        let lists = Service::new(self.registry.clone());
        let stream = lists
            .watch_entries(self.request(asked))
            .await
            .expect("a stream");
        let seqs = stream
            .into_inner()
            .map(|change| change.expect("a change").seq);
        seqs.collect().await
    }

    /// Ends everything at once, as if the process were gone.
    async fn end(self) {
        self.shutdown.request();
        drop(self.webhooks);
        self.registry.close().await;
    }
}

fn url(receiver: &Receiver) -> String {
    format!("http://127.0.0.1:{}/hook", receiver.port)
}

#[tokio::test]
async fn every_wanted_change_is_sent_in_order_and_in_bounded_requests() {
    let place = Place::new();
    let sending = Sending::start(&place, &["127.0.0.1"]);
    place
        .import(&sending.registry, support::header(), support::rows(0..30))
        .await;
    let receiver = Receiver::start(&[Answer::InBody], Answer::Acknowledge).await;
    sending.put(&url(&receiver), Some(0)).await.expect("put");
    sending.until_even().await;
    let changed = sending
        .registry
        .apply(support::state(&support::id(1), "SUSPENDED"), &place.caller);
    changed.await.expect("a change");
    sending.until_even().await;
    assert_eq!(receiver.taken(), sending.all().await);
    let log_id = sending
        .registry
        .live()
        .load()
        .lists
        .version()
        .log_id
        .to_string();
    for got in receiver.got() {
        assert!(got.ids.len() <= 4 && got.path == "/hook", "{got:?}");
        assert!(got.ids.iter().all(|id| id.starts_with(&log_id)), "{got:?}");
        assert!(got.signature.starts_with("t=") && got.signature.contains(",v1="));
    }
    let metrics = place.metrics.render();
    let counted = format!(
        "creditgate_webhook_deliveries_total{{result=\"acknowledged\"}} {}",
        receiver.got().len()
    );
    assert!(metrics.contains(&counted), "{metrics}");
    let oldest = "creditgate_webhook_oldest_unacknowledged_seconds{subscription=\"test\"} 0";
    assert!(metrics.contains(oldest), "{metrics}");
    sending.end().await;
}

#[tokio::test]
async fn what_fails_is_sent_again_with_the_same_ids_and_nothing_is_skipped() {
    let place = Place::new();
    let sending = Sending::start(&place, &["127.0.0.1"]);
    place
        .import(&sending.registry, support::header(), support::rows(0..12))
        .await;
    let answers = [
        Answer::Status(500),
        Answer::Hang,
        Answer::First,
        Answer::TooMuch,
        Answer::Status(503),
        Answer::Take,
        Answer::Status(429),
    ];
    let receiver = Receiver::start(&answers, Answer::Acknowledge).await;
    sending.put(&url(&receiver), Some(1)).await.expect("put");
    sending.until_even().await;
    let all = sending.all().await;
    let got = receiver.got();
    assert_eq!(got[0].ids, got[1].ids);
    assert_eq!(got[1].ids, got[2].ids);
    assert_eq!(got[3].seqs(), all[1..5], "the first one is acknowledged");
    assert_eq!(got[3].ids, got[4].ids);
    let mut acknowledged: Vec<u64> = got
        .iter()
        .filter(|got| got.answer == Answer::Acknowledge)
        .flat_map(Got::seqs)
        .collect();
    acknowledged.insert(0, all[0]);
    assert_eq!(acknowledged, all);
    sending.end().await;
}

#[tokio::test]
async fn an_acknowledgement_by_a_call_counts_for_what_was_sent_and_from_whom_it_may() {
    let place = Place::new();
    let mut sending = Sending::start(&place, &["127.0.0.1"]);
    place
        .import(&sending.registry, support::header(), support::rows(0..12))
        .await;
    let receiver = Receiver::start(&[], Answer::Take).await;
    sending.put(&url(&receiver), Some(0)).await.expect("put");
    let all = sending.all().await;
    let delivered = |shown: &v1::Subscription| shown.state == "delivered";
    let shown = sending.until("delivered", delivered).await;
    assert_eq!(shown.delivered, all[3]);
    assert!(shown.behind_ms.is_some() && shown.delivered_at.is_some());
    assert_eq!(shown.acknowledged, all[0] - 1);
    let refused = sending.acknowledge(all[4]).await.expect_err("not sent");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    // What is not acknowledged comes again.
    while receiver.got().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(receiver.got()[0].ids, receiver.got()[1].ids);

    let keys = place.dir().join("keys.yaml");
    let text = ["stranger", "follower"].map(|name| {
        let hash = hash_key(&format!("cgk_{name}"));
        format!("  - name: {name}\n    key_sha256: \"{hash}\"\n    may: [watch]\n")
    });
    std::fs::write(&keys, format!("callers:\n{}", text.concat())).expect("keys");
    let callers = Callers::load(&keys).expect("keys").callers;
    let known =
        |name: &str| callers.authenticate(&Shown::authorization(&format!("Bearer cgk_{name}")));
    sending.caller = known("stranger").expect("known");
    let refused = sending.acknowledge(all[3]).await.expect_err("a stranger");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = sending
        .put(&url(&receiver), None)
        .await
        .expect_err("may only watch");
    assert_eq!(refused.code(), Code::PermissionDenied);
    sending.caller = known("follower").expect("known");
    assert_eq!(
        sending.acknowledge(all[3]).await.expect("its follower"),
        all[3]
    );
    sending.caller = place.caller.clone();
    sending
        .until("further", |shown| shown.delivered == all[7])
        .await;
    receiver.then(Answer::Acknowledge);
    sending.until_even().await;
    sending.end().await;
}

#[tokio::test]
async fn who_refuses_is_stopped_and_can_be_resumed_and_sent_everything_again() {
    let place = Place::new();
    let sending = Sending::start(&place, &["127.0.0.1"]);
    place
        .import(&sending.registry, support::header(), support::rows(0..6))
        .await;
    let receiver = Receiver::start(&[Answer::Status(302)], Answer::Status(400)).await;
    sending.put(&url(&receiver), Some(0)).await.expect("put");
    let shown = sending
        .until("stopped", |shown| shown.state == "stopped")
        .await;
    assert!(shown.reason.contains("400"), "{shown:?}");
    assert_eq!(receiver.got().len(), 3);
    assert!(
        receiver.got().iter().all(|got| got.path == "/hook"),
        "a redirect was followed"
    );
    let refused = sending
        .resume(Some(5))
        .await
        .expect_err("changes would be skipped");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    receiver.then(Answer::Acknowledge);
    sending.resume(None).await.expect("resumed");
    sending.until_even().await;
    let all = sending.all().await;
    assert_eq!(receiver.taken(), all);
    sending.resume(Some(all[1])).await.expect("again");
    sending.until_even().await;
    assert_eq!(receiver.taken(), [&all[..], &all[1..]].concat());
    sending.end().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_ends_its_subscription() {
    let place = Place::new();
    let sending = Sending::start(&place, &["127.0.0.1"]);
    place
        .import(&sending.registry, support::header(), support::rows(0..6))
        .await;
    let receiver = Receiver::start(&[], Answer::Status(410)).await;
    sending.put(&url(&receiver), Some(0)).await.expect("put");
    let shown = sending.until("ended", |shown| shown.state == "ended").await;
    assert!(shown.reason.contains("410"), "{shown:?}");
    assert_eq!(receiver.got().len(), 1);
    let refused = sending.resume(None).await.expect_err("it has ended");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    receiver.then(Answer::Acknowledge);
    // Put anew without a place, it gets what comes from now on.
    sending.put(&url(&receiver), None).await.expect("anew");
    sending.until_even().await;
    assert_eq!(receiver.got().len(), 1);
    sending.end().await;
}

#[tokio::test]
async fn a_pause_that_the_receiver_asks_for_is_kept() {
    let place = Place::new();
    let sending = Sending::start(&place, &["127.0.0.1"]);
    place
        .import(&sending.registry, support::header(), support::rows(0..6))
        .await;
    let receiver = Receiver::start(&[Answer::Pause(429)], Answer::Acknowledge).await;
    sending.put(&url(&receiver), Some(0)).await.expect("put");
    let shown = sending
        .until("retrying", |shown| shown.state == "retrying")
        .await;
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a time")
        .as_secs();
    let next = shown.next_attempt_at.expect("a next attempt").seconds;
    assert!(
        u64::try_from(next).expect("a time") > now + 3_000,
        "{shown:?}"
    );
    // Putting it anew is asking to try at once.
    sending.put(&url(&receiver), None).await.expect("put");
    sending.until_even().await;
    sending.end().await;
}

#[tokio::test]
async fn after_a_restart_it_goes_on_from_what_was_acknowledged() {
    let place = Place::new();
    let receiver = Receiver::start(&[Answer::Acknowledge], Answer::Take).await;
    let sending = Sending::start(&place, &["127.0.0.1"]);
    place
        .import(&sending.registry, support::header(), support::rows(0..20))
        .await;
    sending.put(&url(&receiver), Some(0)).await.expect("put");
    let all = sending.all().await;
    sending
        .until("delivered", |shown| shown.delivered == all[7])
        .await;
    sending.end().await;
    let before = receiver.got().len();
    receiver.then(Answer::Acknowledge);
    let sending = Sending::start(&place, &["127.0.0.1"]);
    sending.until_even().await;
    assert_eq!(receiver.got()[before].seqs(), all[4..8]);
    let after: Vec<u64> = receiver.got()[before..]
        .iter()
        .flat_map(Got::seqs)
        .collect();
    assert_eq!(after, all[4..]);
    sending.end().await;
}

#[tokio::test]
async fn a_place_that_many_foreign_records_have_passed_is_recorded() {
    let place = Place::new();
    let receiver = Receiver::start(&[], Answer::Acknowledge).await;
    let sending = Sending::start(&place, &["127.0.0.1"]);
    sending.put(&url(&receiver), Some(0)).await.expect("put");
    let foreign = (0..200).step_by(4).map(support::row).collect();
    place
        .import(&sending.registry, support::header(), foreign)
        .await;
    sending.until_even().await;
    let recorded = || {
        let desk = sending.registry.desk();
        let known = desk.subscriptions.get("test").expect("a subscription");
        known.acknowledged
    };
    let waited = async {
        while recorded() < 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited)
        .await
        .expect("its place");
    assert!(receiver.got().is_empty());
    sending.end().await;
}

#[tokio::test]
async fn what_may_not_be_sent_to_is_refused_by_name_and_by_address() {
    let place = Place::new();
    let receiver = Receiver::start(&[], Answer::Acknowledge).await;
    let sending = Sending::start(&place, &["localhost", "hooks.example.cn"]);
    place
        .import(&sending.registry, support::header(), support::rows(0..6))
        .await;
    let refused = sending.put(&url(&receiver), Some(0)).await;
    let refused = refused.expect_err("nobody named the address");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = tonic_types::StatusExt::get_details_bad_request(&refused).expect("details");
    assert_eq!(details.field_violations[0].field, "url");
    // The name is allowed; that it leads to this machine is found out when it is connected to.
    let named = format!("http://localhost:{}/hook", receiver.port);
    sending.put(&named, Some(0)).await.expect("put");
    let shown = sending
        .until("stopped", |shown| shown.state == "stopped")
        .await;
    assert!(shown.reason.contains("not public"), "{shown:?}");
    assert!(receiver.got().is_empty());
    sending.end().await;
    let sending = Sending::start(&place, &["localhost", "127.0.0.0/8"]);
    sending.resume(None).await.expect("resumed");
    sending.until_even().await;
    assert_eq!(receiver.taken(), sending.all().await);
    sending.end().await;
}
