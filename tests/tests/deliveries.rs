//! Verdicts, lift orders and notices reach a system that cannot hold a stream, with commands as the README prints them,
//! through failures and kills.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_tests::cases::{apply, check, until};
use creditgate_tests::land::{self, WITH_CLAUSE};
use creditgate_tests::target::Target;
use creditgate_tests::{Service, import_entries, run};

/// Longest wait for a state on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "an invented secret of a test\n";

fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let secrets = dir.path().join("secrets");
    std::fs::create_dir(&secrets).expect("a directory");
    std::fs::write(secrets.join("test"), SECRET).expect("a secret");
    let text = format!(
        "webhooks:\n  allow: [127.0.0.1]\n  secrets_dir: {}\n",
        secrets.display()
    );
    std::fs::write(dir.path().join("c.yaml"), text).expect("a configuration");
    dir
}

fn start(dir: &Path) -> Service {
    let config = dir.join("c.yaml").display().to_string();
    let confirmations = land::confirmations();
    Service::start_with(
        dir,
        &["--config", &config, "--confirmations", &confirmations],
    )
}

/// A command on deliveries; its output, or its complaint.
fn command(service: &Service, args: &[&str]) -> Result<String, String> {
    let server = format!("http://{}", service.grpc);
    let done = run(
        &[&["deliveries"], args, &["--server", &server]].concat(),
        "",
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match done.status.success() {
        true => Ok(text(&done.stdout)),
        false => Err(text(&done.stderr)),
    }
}

fn put(service: &Service, name: &str, of: &str, url: &str) -> Result<String, String> {
    command(
        service,
        &[
            "put",
            name,
            "--department",
            "示例市自然资源和规划局",
            "--of",
            of,
            "--url",
            url,
            "--secret-id",
            "test",
            "--from",
            "1",
        ],
    )
}

fn shown(service: &Service) -> BTreeMap<String, v1::Delivery> {
    let text = command(service, &["list", "--json"]).expect("a list");
    let all: v1::ListDeliveriesResponse = serde_json::from_str(&text).expect("JSON");
    let named = all
        .deliveries
        .into_iter()
        .map(|one| (one.name.clone(), one));
    named.collect()
}

fn until_shown(service: &Service, what: &str, holds: impl Fn(&v1::Delivery) -> bool) {
    let began = Instant::now();
    loop {
        let all = shown(service);
        if all.values().all(&holds) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "never {what}: {all:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn even(delivery: &v1::Delivery) -> bool {
    delivery.behind == 0 && delivery.behind_ms.is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_case_comes_through_failures_and_kills() {
    let dir = prepared();
    let mut service = start(dir.path());
    import_entries(&service);
    let inside = put(&service, "inside", "verdicts", "http://10.1.2.3/hook");
    assert!(inside.expect_err("not allowed").contains("webhooks.allow"));
    let mut seen = BTreeSet::new();
    let target = Target::start(move |got| match seen.insert(got.id.clone()) {
        true => 500,
        false => 200,
    });
    let told = put(
        &service,
        "land",
        "verdicts,lift-orders,notices",
        &target.url(),
    );
    assert!(
        told.expect("put")
            .contains("of            verdicts, lift_orders, notices")
    );

    let again = |service: Service| {
        service.kill();
        start(dir.path())
    };
    let mut verdicts = vec![check(&service, land::event(WITH_CLAUSE, "register")).await];
    service = again(service);
    apply(&service, land::listed()).await;
    service = again(service);
    until(&service, WITH_CLAUSE, |case| case.verdicts.len() == 2).await;
    verdicts.push(check(&service, land::event(WITH_CLAUSE, "deal")).await);
    service = again(service);
    apply(&service, land::repaired()).await;
    service = again(service);
    let case = until(&service, WITH_CLAUSE, |case| case.orders.len() >= 2).await;
    until_shown(&service, "even", even);

    let taken = target.taken();
    let ids: BTreeSet<&str> = taken.iter().map(|got| got.id.as_str()).collect();
    for verdict in &case.verdicts {
        let of = |id: &&str| id.starts_with(&verdict.verdict_id);
        assert!(ids.iter().any(of), "{verdict:?} in {ids:#?}");
    }
    for order in &case.orders {
        assert!(
            ids.contains(format!("{}.open", order.order_id).as_str()),
            "{ids:#?}"
        );
    }
    assert_eq!(ids.len(), case.verdicts.len() + case.orders.len());
    for verdict in &verdicts {
        let got = taken
            .iter()
            .find(|got| got.id.starts_with(&verdict.verdict_id));
        assert_eq!(got.expect("it").data("outcome"), verdict.outcome);
    }
    assert!(service.metric("creditgate_delivery_requests_total") > 0.0);

    // What is refused lies there, is shown, and goes out again.
    target.answers(|_| 422);
    check(&service, land::event("LAND-9", "register")).await;
    until_shown(&service, "aside", |delivery| delivery.dead_letters == 1);
    let dead = command(&service, &["dead", "land"]).expect("letters");
    assert!(
        dead.contains("case LAND-9") && dead.contains("answered 422"),
        "{dead}"
    );
    assert!(service.metric("creditgate_delivery_dead_letters_total") > 0.0);
    target.answers(|_| 200);
    let resent = command(&service, &["resend", "land", "--all"]).expect("resent");
    assert_eq!(resent, "resending     1\n");
    until_shown(&service, "none aside", |delivery| {
        delivery.dead_letters == 0
    });

    let known = target.got().len();
    command(&service, &["resume", "land", "--from", "1"]).expect("resumed");
    target.until("everything again", |got| got.len() > known + ids.len());
    let paused = command(&service, &["pause", "land", "--reason", "对方停机维护"]);
    assert!(
        paused
            .expect("paused")
            .contains("state         paused: 对方停机维护")
    );
    let ended = command(&service, &["end", "land", "--reason", "对方改用消息"]);
    assert!(ended.expect("ended").contains("state         ended"));
    let log = service.logged();
    assert!(!log.contains(SECRET.trim()), "the secret is in the log");
    assert!(
        !log.contains(&land::bidder()),
        "somebody is named in the log"
    );
    service.stop();
}
