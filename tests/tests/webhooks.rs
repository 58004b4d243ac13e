//! Changes of the lists reach a department's webhook that somebody else wrote, whatever happens.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_tests::{Service, import_entries, root, run};
use serde::Deserialize;
use tokio_stream::StreamExt;

const SECRET: &str = "an invented secret of a test\n";
/// Longest wait for a state on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as the receiver noted it.
#[derive(Debug, Deserialize)]
struct Got {
    signed: bool,
    recent: bool,
    media: String,
    types: Vec<String>,
    versions: Vec<String>,
    ids: Vec<String>,
    mode: String,
}

/// The receiver, in a process of its own.
struct Receiver {
    child: Child,
    dir: PathBuf,
    url: String,
}

impl Receiver {
    /// Starts it; over https, with a certificate for `localhost` that only `ca.pem` vouches for.
    fn start(dir: &Path, https: bool) -> Self {
        let file = |name: &str| dir.join(name).display().to_string();
        let script = root().join("tests/clients/webhook_receiver.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(dir).arg(dir.join("secrets/test"));
        if https {
            let made = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                ])
                .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
                .args(["-addext", "subjectAltName=DNS:localhost"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .args(["-keyout", &file("key.pem"), "-out", &file("ca.pem")])
                .stderr(Stdio::null())
                .status();
            assert!(made.expect("openssl runs").success());
            command.arg(dir.join("ca.pem")).arg(dir.join("key.pem"));
        }
        let child = command.spawn().expect("python runs");
        let mut receiver = Self {
            child,
            dir: dir.to_owned(),
            url: String::new(),
        };
        receiver.answer("ack");
        let port = wait("a port", || std::fs::read_to_string(dir.join("port")).ok());
        let (scheme, host) = if https {
            ("https", "localhost")
        } else {
            ("http", "127.0.0.1")
        };
        receiver.url = format!("{scheme}://{host}:{port}/credit");
        receiver
    }

    fn answer(&self, mode: &str) {
        let part = self.dir.join("mode.part");
        std::fs::write(&part, mode).expect("written");
        std::fs::rename(part, self.dir.join("mode")).expect("renamed");
    }

    fn got(&self) -> Vec<Got> {
        let text = std::fs::read_to_string(self.dir.join("requests")).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let read = |line| serde_json::from_str(line).expect("a request");
        whole.lines().map(read).collect()
    }

    fn wait_for(&self, mode: &str) {
        wait(mode, || {
            self.got().iter().any(|got| got.mode == mode).then_some(())
        });
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(found) = found() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("never {what}");
}

/// A directory with a secret and a configuration that allows this machine.
fn prepared(allow: &str, more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let secrets = dir.path().join("secrets");
    std::fs::create_dir(&secrets).expect("a directory");
    std::fs::write(secrets.join("test"), SECRET).expect("a secret");
    let text = format!(
        "webhooks:\n  allow: [{allow}]\n  secrets_dir: {}\n  timeout_ms: 1500\n{more}",
        secrets.display()
    );
    std::fs::write(dir.path().join("c.yaml"), text).expect("a configuration");
    dir
}

fn start(dir: &Path) -> Service {
    let config = dir.join("c.yaml").display().to_string();
    Service::start_with(dir, &["--config", &config])
}

/// A command on subscriptions; its output, or its complaint.
fn command(service: &Service, args: &[&str]) -> Result<String, String> {
    let server = format!("http://{}", service.grpc);
    let done = run(
        &[&["lists", "subscriptions"], args, &["--server", &server]].concat(),
        "",
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match done.status.success() {
        true => Ok(text(&done.stdout)),
        false => Err(text(&done.stderr)),
    }
}

fn put(service: &Service, url: &str, more: &[&str]) -> Result<String, String> {
    let args = [
        "put",
        "test",
        "--department",
        "示例市住房城乡建设局",
        "--secret-id",
        "test",
    ];
    command(service, &[&args, more, &["--url", url]].concat())
}

fn shown(service: &Service) -> v1::Subscription {
    let text = command(service, &["list", "--ended", "--json"]).expect("a list");
    let all: v1::ListSubscriptionsResponse = serde_json::from_str(&text).expect("json");
    all.subscriptions
        .into_iter()
        .next()
        .expect("a subscription")
}

fn until(service: &Service, what: &str, holds: impl Fn(&v1::Subscription) -> bool) {
    let began = Instant::now();
    while !holds(&shown(service)) {
        assert!(
            began.elapsed() < PATIENCE,
            "never {what}: {:?}",
            shown(service)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn even(subscription: &v1::Subscription) -> bool {
    subscription.behind == 0 && subscription.behind_ms.is_none()
}

/// Ids of all changes of black lists, as a watcher sees them.
async fn all(service: &Service) -> Vec<String> {
    let asked = v1::WatchEntriesRequest {
        colours: vec!["black".to_owned()],
        ..Default::default()
    };
    let mut lists = service.lists().await;
    let state = lists
        .state(v1::StateRequest {})
        .await
        .expect("a state")
        .into_inner();
    let (log_id, _) = state.list_version.rsplit_once(':').expect("a version");
    let changes = lists
        .watch_entries(asked)
        .await
        .expect("a stream")
        .into_inner();
    let id = |change: Result<v1::WatchEntriesResponse, _>| {
        format!("{log_id}:{}", change.expect("a change").seq)
    };
    changes.map(id).collect().await
}

async fn change(service: &Service, to: &str) {
    let change = v1::ChangeState {
        entry_id: "E-B07-1".to_owned(),
        to: to.to_owned(),
        document_no: "演示".to_owned(),
        reason: "invented".to_owned(),
        ..Default::default()
    };
    let change = Some(v1::apply_request::Change::ChangeState(change));
    let applied = service
        .lists()
        .await
        .apply(v1::ApplyRequest { change })
        .await;
    applied.expect("a change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_department_gets_every_change_through_failures_and_kills() {
    let dir = prepared("127.0.0.1", "");
    let receiver = Receiver::start(dir.path(), false);
    let service = start(dir.path());
    import_entries(&service);
    let told = put(
        &service,
        &receiver.url,
        &["--colour", "black", "--from", "1"],
    );
    assert!(told.expect("put").contains("colours       black"));
    until(&service, "even", even);

    // Fails, then says nothing, and the service is killed while it waits.
    receiver.answer("500");
    change(&service, "SUSPENDED").await;
    receiver.wait_for("500");
    receiver.answer("hang");
    receiver.wait_for("hang");
    service.kill();
    receiver.answer("take");
    let service = start(dir.path());
    until(&service, "delivered", |shown| shown.state == "delivered");
    // Taken and not acknowledged: killed once more, it comes again.
    service.kill();
    let before = receiver.got().len();
    let service = start(dir.path());
    until(&service, "delivered", |shown| shown.state == "delivered");
    assert!(receiver.got().len() > before);

    // Acknowledged by a call.
    let delivered = shown(&service).delivered.to_string();
    command(&service, &["ack", "test", &delivered]).expect("acknowledged");
    until(&service, "even", even);
    receiver.answer("ack");
    change(&service, "EFFECTIVE").await;
    until(&service, "even", even);

    let got = receiver.got();
    for got in &got {
        assert!(got.signed && got.recent, "{got:?}");
        assert_eq!(got.media, "application/cloudevents-batch+json");
        assert_eq!(got.types, ["cn.creditgate.list-change.v1"]);
        assert_eq!(got.versions, ["1.0"]);
    }
    let mut first_seen: Vec<&String> = Vec::new();
    for id in got.iter().flat_map(|got| &got.ids) {
        if !first_seen.contains(&id) {
            first_seen.push(id);
        }
    }
    assert_eq!(first_seen, all(&service).await.iter().collect::<Vec<_>>());
    let failed = &got
        .iter()
        .find(|got| got.mode == "500")
        .expect("a failure")
        .ids;
    for mode in ["hang", "take"] {
        let again = got.iter().find(|got| got.mode == mode).expect(mode);
        assert_eq!(&again.ids, failed, "{mode}");
    }
    assert!(service.metric("creditgate_webhook_deliveries_total") > 0.0);
    let log = service.logged();
    assert!(!log.contains(SECRET.trim()), "the secret is in the log");

    // Gone for good.
    receiver.answer("410");
    change(&service, "SUSPENDED").await;
    until(&service, "ended", |shown| shown.state == "ended");
    assert!(shown(&service).reason.contains("410"));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_only_who_is_vouched_for_gets_anything() {
    let dir = prepared("localhost, 127.0.0.0/8, \"::1\"", "");
    let receiver = Receiver::start(dir.path(), true);
    let service = start(dir.path());
    import_entries(&service);
    put(&service, &receiver.url, &["--from", "1"]).expect("put");
    until(&service, "failing", |shown| {
        shown.last_error.contains("no trusted connection")
    });
    assert!(receiver.got().is_empty());
    service.stop();

    let config = dir.path().join("c.yaml");
    let text = std::fs::read_to_string(&config).expect("read");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&config, format!("{text}  ca_file: {}\n", ca.display())).expect("written");
    let service = start(dir.path());
    until(&service, "even", even);
    assert!(
        receiver
            .got()
            .iter()
            .all(|got| got.signed && got.mode == "ack")
    );
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_inside_is_refused_unless_it_is_named() {
    let dir = prepared("localhost", "");
    let receiver = Receiver::start(dir.path(), false);
    let service = start(dir.path());
    import_entries(&service);
    let refused = put(&service, &receiver.url, &["--from", "1"]).expect_err("not named");
    assert!(refused.contains("webhooks.allow"), "{refused}");
    let by_name = receiver.url.replace("127.0.0.1", "localhost");
    put(&service, &by_name, &["--from", "1"]).expect("its name is allowed");
    until(&service, "refused", |shown| {
        shown.last_error.contains("not public")
    });
    assert!(receiver.got().is_empty());
    service.stop();
}
