//! Callers known by tokens of an OpenID provider that others wrote (`oidc-provider`, put there by `tests/oidc/fetch.sh`).

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_runtime::callers::hash_key;
use creditgate_tests::{Service, binary, evaluation, free_port, root};
use tonic::transport::Channel;
use tonic::{Code, Request};

/// The name of the service in its tokens.
const AUDIENCE: &str = "https://credit.city.example";
/// Longest wait for a state on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The provider, in a process of its own.
struct Provider {
    port: u16,
    child: Option<Child>,
    /// Its certificate and the key to it, where it speaks https.
    card: Option<[PathBuf; 2]>,
}

impl Provider {
    /// One that does not run yet.
    fn new(card: Option<[PathBuf; 2]>) -> Self {
        Self {
            port: free_port(),
            child: None,
            card,
        }
    }

    fn issuer(&self) -> String {
        match &self.card {
            None => format!("http://127.0.0.1:{}", self.port),
            Some(_) => format!("https://localhost:{}", self.port),
        }
    }

    /// Starts it, with a key that it never had before.
    fn start(&mut self) {
        self.stop();
        let installed = root().join("target/oidc");
        assert!(
            installed.join("fetched.json").exists(),
            "run tests/oidc/fetch.sh first"
        );
        let child = Command::new("node")
            .arg(root().join("tests/oidc/provider.mjs"))
            .arg(self.port.to_string())
            .args(self.card.iter().flatten())
            .current_dir(installed)
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.expect("node runs"));
        wait("the provider", || {
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process");
            child.wait().expect("its end");
        }
    }

    /// A token for a service, by the grant `client_credentials`.
    fn token_for(&self, service: &str) -> String {
        let answer = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body"])
            .args(["--data", "grant_type=client_credentials&scope=check"])
            .args(["--data", "client_id=land-platform"])
            .args([
                "--data-urlencode",
                "client_secret=an invented secret of a test",
            ])
            .args(["--data-urlencode", &format!("resource={service}")])
            .args(
                self.card
                    .iter()
                    .flat_map(|[card, _]| ["--cacert".as_ref(), card.as_os_str()]),
            )
            .arg(format!("{}/token", self.issuer()))
            .output()
            .expect("curl runs");
        let said: serde_json::Value =
            serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{answer:?}"));
        let token = said["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{said}")).to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A service that takes the provider's tokens.
struct Place {
    dir: tempfile::TempDir,
    provider: Provider,
    service: Service,
}

impl Place {
    /// With more lines of the section `tokens`.
    fn new(provider: Provider, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| -> PathBuf {
            let file = dir.path().join(name);
            std::fs::write(&file, text).expect("written");
            file
        };
        let keys = write(
            "keys.yaml",
            &format!(
                "callers:\n- {{name: land, token: land-platform, may: [check]}}\n\
                 - {{name: tender, key_sha256: {}, may: [check]}}\n",
                hash_key("cgk_tender")
            ),
        );
        let config = write(
            "config.yaml",
            &format!(
                "keys_file: {}\ntokens:\n  issuer: {}\n  audience: {AUDIENCE}\n{more}",
                keys.display(),
                provider.issuer()
            ),
        );
        let log = dir.path().join("service.log");
        let more = ["--config", &config.display().to_string()];
        let mut service = Service::launch(Command::new(binary()), dir.path(), &log, &more);
        service.wait_until_ready();
        Self {
            dir,
            provider,
            service,
        }
    }

    /// What a check over gRPC is answered with.
    async fn check(&self, bearer: &str) -> Code {
        let address = format!("http://{}", self.service.grpc);
        let channel = Channel::from_shared(address).expect("an address");
        let channel = channel.connect().await.expect("the service");
        let mut request = Request::new(v1::CheckRequest {
            event: Some(evaluation("token-1", "91219999MAYG58BR3Q")),
        });
        let bearer = format!("Bearer {bearer}").parse().expect("plain text");
        request.metadata_mut().insert("authorization", bearer);
        let answer = GateClient::new(channel).check(request).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    /// Status and body of the answer to the same over HTTP.
    fn post(&self, bearer: &str) -> (u16, String) {
        let event = r#"{"source":"t","id":"1","case_id":"c","scenario":"tender","stage":"evaluate","region":"320505","subjects":[{"role":"bidder","id_type":"USCC","id":"91219999MAYG58BR3Q","kind":"enterprise"}]}"#;
        // Not on the command line, which others can read.
        let header = self.dir.path().join("header");
        std::fs::write(&header, format!("authorization: Bearer {bearer}")).expect("written");
        let answer = Command::new("curl")
            .args(["--silent", "--show-error", "--write-out", "\n%{http_code}"])
            .args(["--header", &format!("@{}", header.display())])
            .args([
                "--header",
                "content-type: application/json",
                "--data",
                event,
            ])
            .arg(format!("http://{}/v1/check", self.service.http))
            .output()
            .expect("curl runs");
        let said = String::from_utf8(answer.stdout).expect("text");
        let (body, status) = said.rsplit_once('\n').expect("a status");
        (status.parse().expect("a number"), body.to_owned())
    }

    /// Shows a token until it is answered like that.
    async fn until(&self, token: &str, expected: Code) {
        let began = Instant::now();
        loop {
            let code = self.check(token).await;
            if code == expected {
                return;
            }
            let logged = self.service.logged();
            assert!(began.elapsed() < PATIENCE, "{code:?}\n{logged}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn wait<T>(for_what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{for_what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node: tests/all.sh runs it"]
async fn tokens_of_a_provider_are_taken_also_after_it_was_away_and_changed_its_key() {
    let mut provider = Provider::new(None);
    provider.start();
    let of_first_key = provider.token_for(AUDIENCE);
    provider.stop();

    // Without its issuer the service starts, knows keys, and says of tokens that it cannot know yet.
    let mut place = Place::new(provider, "");
    assert_eq!(place.check("cgk_tender").await, Code::Ok);
    assert_eq!(place.check(&of_first_key).await, Code::Unavailable);
    let (status, said) = place.post(&of_first_key);
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("not available yet"), "{said}");

    place.provider.start();
    let token = place.provider.token_for(AUDIENCE);
    place.until(&token, Code::Ok).await;
    let (status, said) = place.post(&token);
    assert_eq!(status, 200, "{said}");
    assert_eq!(place.check(&of_first_key).await, Code::Unauthenticated);

    let of_others = place.provider.token_for("https://other.city.example");
    assert_eq!(place.check(&of_others).await, Code::Unauthenticated);
    let (status, said) = place.post(&of_others);
    assert_eq!(status, 401, "{said}");
    assert!(said.contains("`aud` does not name this service"), "{said}");
    assert!(!said.contains(&of_others), "{said}");

    // Its keys stay in use while it is away; back with another, it is asked again.
    place.provider.stop();
    assert_eq!(place.check(&token).await, Code::Ok);
    place.provider.start();
    let rotated = place.provider.token_for(AUDIENCE);
    place.until(&rotated, Code::Ok).await;
    assert_eq!(place.post(&rotated).0, 200);
    assert_eq!(place.check(&token).await, Code::Unauthenticated);
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node: tests/all.sh runs it"]
async fn over_https_a_provider_is_believed_for_whom_the_deployment_vouches() {
    let dir = tempfile::tempdir().expect("a directory");
    let card = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a card");
        let files = ["pem", "key"].map(|ending| dir.path().join(format!("{name}.{ending}")));
        std::fs::write(&files[0], made.cert.pem()).expect("written");
        std::fs::write(&files[1], made.signing_key.serialize_pem()).expect("written");
        files
    };
    let (trusted, foreign) = (card("trusted"), card("foreign"));
    let mut provider = Provider::new(Some(foreign));
    provider.start();
    let token = provider.token_for(AUDIENCE);
    let ca_file = format!("  ca_file: {}\n", trusted[0].display());
    let mut place = Place::new(provider, &ca_file);
    wait("a word of the certificate", || {
        let logged = place.service.logged();
        logged.contains("no trusted connection").then_some(())
    });
    assert_eq!(place.check(&token).await, Code::Unavailable);

    place.provider.card = Some(trusted);
    place.provider.start();
    let token = place.provider.token_for(AUDIENCE);
    place.until(&token, Code::Ok).await;
    place.service.stop();
}
