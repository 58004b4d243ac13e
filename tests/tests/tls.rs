//! Calls over TLS: whom a certificate names, who is not heard, and certificates that change while the service runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_runtime::callers::hash_key;
use creditgate_tests::{Service, binary, evaluation, root};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};

const LAND: &str = "spiffe://city.example/land";
const PATIENCE: Duration = Duration::from_secs(60);

/// An authority that vouches for names.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, both PEM.
struct Card {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn vouches_for(&self, name: SanType, until_year: i32) -> Card {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until_year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Card {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn of_service(&self) -> Card {
        self.vouches_for(SanType::DnsName(text("localhost")), 2090)
    }

    fn of_caller(&self, name: &str) -> Card {
        self.vouches_for(SanType::URI(text(name)), 2090)
    }
}

fn text(text: &str) -> Ia5String {
    text.try_into().expect("plain text")
}

/// A service that speaks TLS.
struct Place {
    dir: tempfile::TempDir,
    /// Vouches for the service.
    ours: Authority,
    /// Vouches for callers.
    city: Authority,
    service: Service,
}

impl Place {
    fn new(client_certificates: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (ours, city) = (Authority::new("service"), Authority::new("city"));
        let at = |name: &str| dir.path().join(name).display().to_string();
        show(dir.path(), &ours.of_service());
        std::fs::write(at("city.pem"), &city.pem).expect("written");
        std::fs::write(
            at("keys.yaml"),
            format!(
                "callers:\n- {{name: land, certificate: \"{LAND}\", may: [check]}}\n\
                 - {{name: tender, key_sha256: {}, may: [check]}}\n",
                hash_key("cgk_tender")
            ),
        )
        .expect("written");
        let config = format!(
            "keys_file: {}\ntls:\n  certificate_file: {}\n  key_file: {}\n  client_ca_file: {}\n  \
             client_certificates: {client_certificates}\n",
            at("keys.yaml"),
            at("service.pem"),
            at("service.key"),
            at("city.pem")
        );
        std::fs::write(at("config.yaml"), config).expect("written");
        let log = dir.path().join("service.log");
        let command = Command::new(binary());
        let service = Service::launch(command, dir.path(), &log, &["--config", &at("config.yaml")]);
        Self {
            dir,
            ours,
            city,
            service,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file with a card, certificate and key.
    fn card(&self, name: &str, card: &Card) -> String {
        let file = self.at(name);
        std::fs::write(&file, format!("{}{}", card.certificate, card.key)).expect("written");
        file.display().to_string()
    }

    /// Waits until the service is ready, asked over https with a card.
    fn wait_until_ready(&self, card: &Card) {
        let began = Instant::now();
        loop {
            let answer = self.curl("/readyz", &["--cert", &self.card("ready.pem", card)]);
            if answer.status.success() {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{answer:?}\n{}",
                self.service.logged()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks over https, as somebody who trusts the service's authority.
    fn curl(&self, path: &str, more: &[&str]) -> Output {
        let trusted = self.at("trusted.pem");
        std::fs::write(&trusted, &self.ours.pem).expect("written");
        Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "--cacert"])
            .arg(trusted)
            .args(more)
            .arg(format!(
                "https://localhost:{}{path}",
                self.service.http.port()
            ))
            .output()
            .expect("curl runs")
    }

    /// Checks over gRPC, showing a card or none, a key or none.
    async fn check(
        &self,
        trusted: &Authority,
        card: Option<&Card>,
        key: Option<&str>,
    ) -> Result<v1::Verdict, Status> {
        let mut tls = ClientTlsConfig::new()
            .domain_name("localhost")
            .ca_certificate(Certificate::from_pem(&trusted.pem));
        if let Some(card) = card {
            tls = tls.identity(Identity::from_pem(&card.certificate, &card.key));
        }
        let address = format!("https://{}", self.service.grpc);
        let endpoint = Channel::from_shared(address).expect("an address");
        let endpoint = endpoint.tls_config(tls).expect("certificates");
        let channel = endpoint.connect().await;
        let channel = channel.map_err(|error| Status::unavailable(format!("{error:?}")))?;
        let mut request = Request::new(v1::CheckRequest {
            event: Some(evaluation("tls-1", "91219999MAYG58BR3Q")),
        });
        if let Some(key) = key {
            let key = format!("Bearer {key}").parse().expect("plain text");
            request.metadata_mut().insert("authorization", key);
        }
        let answer = GateClient::new(channel).check(request).await?;
        Ok(answer.into_inner().verdict.expect("a verdict"))
    }
}

/// Puts down what the service shows of itself.
fn show(dir: &Path, card: &Card) {
    std::fs::write(dir.join("service.key"), &card.key).expect("written");
    std::fs::write(dir.join("service.pem"), &card.certificate).expect("written");
}

/// Whether the connection ended without an answer. In TLS 1.3 a caller takes it for made before the service has judged
/// its certificate, so it may be the call that fails.
fn is_unheard(answer: Result<v1::Verdict, Status>) -> bool {
    matches!(
        refused(answer),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
    )
}

fn refused(answer: Result<v1::Verdict, Status>) -> Code {
    answer.expect_err("it is refused").code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_names_its_caller_and_a_foreign_one_is_not_heard() {
    let place = Place::new("optional");
    let land = place.city.of_caller(LAND);
    place.wait_until_ready(&land);
    let check =
        async |card: Option<&Card>, key: Option<&str>| place.check(&place.ours, card, key).await;

    check(Some(&land), None).await.expect("land may check");
    check(None, Some("cgk_tender"))
        .await
        .expect("tender may check");
    assert_eq!(refused(check(None, None).await), Code::Unauthenticated);
    let both = check(Some(&land), Some("cgk_tender")).await;
    assert_eq!(refused(both), Code::Unauthenticated);
    let unnamed = place.city.of_caller("spiffe://city.example/unknown");
    assert_eq!(
        refused(check(Some(&unnamed), None).await),
        Code::Unauthenticated
    );

    // Not heard at all, whatever key comes with it.
    let foreign = Authority::new("foreign").of_caller(LAND);
    let expired = place.city.vouches_for(SanType::URI(text(LAND)), 2021);
    for card in [&foreign, &expired] {
        let answer = check(Some(card), Some("cgk_tender")).await;
        assert!(is_unheard(answer));
    }
    let stranger = Authority::new("stranger");
    let answer = place.check(&stranger, Some(&land), None).await;
    assert_eq!(
        refused(answer),
        Code::Unavailable,
        "a caller knows a false service"
    );

    // The same over HTTP, and by the command line.
    let event = r#"{"source":"t","id":"1","case_id":"c","scenario":"tender","stage":"evaluate","region":"320505","subjects":[{"role":"bidder","id_type":"USCC","id":"91219999MAYG58BR3Q","kind":"enterprise"}]}"#;
    let post = [
        "--header",
        "content-type: application/json",
        "--data",
        event,
    ];
    let card = place.card("land.pem", &land);
    let with_card = place.curl("/v1/check", &[post.as_slice(), &["--cert", &card]].concat());
    let said = String::from_utf8_lossy(&with_card.stdout);
    assert!(with_card.status.success(), "{said} {with_card:?}");
    let without = place.curl("/v1/check", &post);
    let said = String::from_utf8_lossy(&without.stdout);
    assert!(said.contains("a key is needed"), "{said} {without:?}");
    let file = place.card("foreign.pem", &foreign);
    let answer = place.curl("/v1/check", &[post.as_slice(), &["--cert", &file]].concat());
    assert!(!answer.status.success(), "{answer:?}");

    let server = format!("https://localhost:{}", place.service.grpc.port());
    let trusted = place.at("trusted.pem").display().to_string();
    let told = Command::new(binary())
        .args([
            "check",
            "--scenario",
            "tender",
            "--stage",
            "evaluate",
            "--region",
            "320505",
        ])
        .args(["--subject", "role=bidder,id=USCC:91219999MAYG58BR3Q"])
        .args([
            "--server",
            &server,
            "--ca-file",
            &trusted,
            "--certificate-file",
            &card,
        ])
        .current_dir(root())
        .output()
        .expect("it runs");
    // A verdict tells by its exit code what it says; an error of the connection is told on the other channel.
    let (said, error) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(said.contains("tender"), "{said} {error}");
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_certificate_is_required_a_key_alone_is_not_heard() {
    let place = Place::new("required");
    let land = place.city.of_caller(LAND);
    place.wait_until_ready(&land);
    let check = async |card, key| place.check(&place.ours, card, key).await;
    check(Some(&land), None).await.expect("land may check");
    // Whoever holds a certificate that names no caller says by key who it is.
    let proxy = place.city.of_caller("spiffe://city.example/proxy");
    check(Some(&proxy), Some("cgk_tender"))
        .await
        .expect("tender may check");
    assert!(is_unheard(check(None, Some("cgk_tender")).await));
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_change_are_taken_up_and_bad_ones_are_not() {
    let place = Place::new("optional");
    let land = place.city.of_caller(LAND);
    place.wait_until_ready(&land);
    let check = async |trusted: &Authority| place.check(trusted, Some(&land), None).await;

    std::fs::write(place.at("service.pem"), "no certificate").expect("written");
    let began = Instant::now();
    while !place.service.logged().contains("those before stay in use") {
        assert!(began.elapsed() < PATIENCE, "{}", place.service.logged());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    check(&place.ours)
        .await
        .expect("the one before is still in use");

    let next = Authority::new("next");
    show(place.dir.path(), &next.of_service());
    let began = Instant::now();
    while check(&next).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "{}", place.service.logged());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(refused(check(&place.ours).await), Code::Unavailable);
    place.service.stop();
}
