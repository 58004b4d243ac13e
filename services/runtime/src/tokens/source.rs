//! Where the keys of an issuer come from: a file that is followed, or the issuer, found by discovery (OpenID Connect
//! Discovery 1.0) and asked over https.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::key_set::KeySet;
use super::{COMPONENT, Keys, Settings, Tokens};
use crate::errors::Chain;
use crate::health::Readiness;
use crate::shutdown::Shutdown;
use crate::telemetry::names::field;
use crate::trust::{CertificatesError, connector};
use crate::webhook::{Target, pause};

/// How often it is looked whether the file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest time until the issuer has told its keys.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// Most of an answer of the issuer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// When an issuer is asked for its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often, as long as it answers.
    pub every: Duration,
    /// How soon after it answered a token of an unknown key has it asked again, however many there are.
    pub again_after: Duration,
    /// The shortest and the longest pause after it did not answer.
    pub retry: (Duration, Duration),
    /// For how long its keys stay in use when it does not answer any more.
    pub kept_for: Duration,
}

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("read the keys of tokens from `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("`{}` holds no JWK set", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The issuer has no address that may be asked.
    #[error("ask the issuer `{issuer}` for its keys: {rule}")]
    Issuer {
        /// The issuer.
        issuer: String,
        /// What it should be.
        rule: &'static str,
    },
    /// Nobody can vouch for the issuer.
    #[error("prepare to ask the issuer of tokens")]
    Certificates(#[from] CertificatesError),
    /// The issuer did not tell them.
    #[error("ask `{url}`")]
    Ask {
        /// What was asked.
        url: String,
        /// The cause.
        source: AskError,
    },
}

/// Why the issuer did not tell its keys.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It leads to what is no address.
    #[error("this is no address that can be asked")]
    Address,
    /// It leads to where everybody could change the answer.
    #[error("keys are asked for over https only")]
    Plain,
    /// No connection.
    #[error("no connection")]
    Connect(#[source] std::io::Error),
    /// No trust.
    #[error("no trusted connection")]
    Tls(#[source] std::io::Error),
    /// The exchange broke off.
    #[error("the exchange broke off")]
    Exchange(#[from] hyper::Error),
    /// The request cannot be made.
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    /// It said no, or pointed elsewhere.
    #[error("the answer has the status {0}")]
    Status(u16),
    /// The answer broke off, or is too long.
    #[error("the answer is not read to its end")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is something else.
    #[error("the answer is not of the form that the standard says")]
    Form(#[from] serde_json::Error),
    /// It speaks for somebody else.
    #[error("the answer speaks for another issuer than `tokens.issuer`")]
    OtherIssuer,
    /// It took too long.
    #[error("no answer within {} s", TOLD_WITHIN.as_secs())]
    TimedOut,
}

/// Where keys come from.
pub(super) enum Source {
    File {
        path: PathBuf,
        /// Of what was read at the start.
        digest: [u8; 32],
    },
    Issuer(Issuer),
}

/// An issuer that is asked.
pub(super) struct Issuer {
    name: String,
    /// Where it tells of itself.
    discovery: String,
    tls: TlsConnector,
    pace: Pace,
}

/// What is read of the discovery document.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5 * 60),
            again_after: Duration::from_secs(10),
            retry: (Duration::from_secs(1), Duration::from_secs(60)),
            kept_for: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Where an issuer tells of itself.
///
/// # Errors
/// What the issuer must be to be asked.
pub fn discovery(issuer: &str) -> Result<String, &'static str> {
    const FORM: &str = "must be an https address such as `https://id.city.example`, without user, query or fragment; http \
                        only on this machine";
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let target = Target::parse(&url).ok();
    let target = target.filter(|target| target.https || is_here(target));
    match target.is_some() && !issuer.contains('?') {
        true => Ok(url),
        false => Err(FORM),
    }
}

/// Whether an address names this machine.
fn is_here(target: &Target) -> bool {
    let address = target.host.parse::<IpAddr>();
    target.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Source {
    /// Opens the source that the settings name, and reads what is there at once.
    pub(super) fn open(settings: &Settings) -> Result<(Self, Option<KeySet>), Error> {
        match &settings.keys {
            Keys::File(path) => {
                let text = std::fs::read(path).map_err(|source| Error::Read {
                    path: path.clone(),
                    source,
                })?;
                let keys = key_set(&text, path)?;
                let source = Self::File {
                    path: path.clone(),
                    digest: Sha256::digest(&text).into(),
                };
                Ok((source, Some(keys)))
            }
            Keys::Issuer { ca_file, pace } => {
                let issuer = Issuer {
                    name: settings.issuer.clone(),
                    discovery: discovery(&settings.issuer).map_err(|rule| Error::Issuer {
                        issuer: settings.issuer.clone(),
                        rule,
                    })?,
                    tls: connector(ca_file.as_deref())?,
                    pace: *pace,
                };
                Ok((Self::Issuer(issuer), None))
            }
        }
    }
}

impl Tokens {
    /// Brings keys in until a stop is asked for: from the file whenever it changes, or from the issuer at once, from
    /// time to time, and when a token is signed with a key that is not known.
    pub async fn follow(self, readiness: Readiness, shutdown: Shutdown) {
        let follow = async {
            match &self.0.source {
                Source::File { path, digest } => self.follow_file(path, *digest).await,
                Source::Issuer(issuer) => self.follow_issuer(issuer, &readiness).await,
            }
        };
        tokio::select! {
            () = shutdown.wait() => {}
            () = follow => {}
        }
    }

    async fn follow_file(&self, path: &Path, digest: [u8; 32]) {
        let mut seen = Some(digest);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look(path, &mut seen).await;
        }
    }

    /// Takes up a file that has changed. What cannot be used is logged, and what was in use stays.
    ///
    /// `seen` is of what is in use, or was refused last; none: the file could not be read.
    pub(super) async fn look(&self, path: &Path, seen: &mut Option<[u8; 32]>) {
        let read = tokio::fs::read(path).await;
        let digest = read.as_ref().ok().map(|text| Sha256::digest(text).into());
        // Told once, however long it stays so.
        if digest == *seen {
            return;
        }
        *seen = digest;
        let read = read.map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        });
        match read.and_then(|text| key_set(&text, path)) {
            Ok(keys) => {
                tracing::info!(
                    { field::COUNT } = keys.len(),
                    "the keys of tokens that changed are in use"
                );
                self.take(Some(keys));
            }
            Err(error) => tracing::error!(
                { field::ERROR } = %Chain(&error),
                "keys of tokens that changed cannot be used; those before stay in use"
            ),
        }
    }

    async fn follow_issuer(&self, issuer: &Issuer, readiness: &Readiness) {
        let pace = issuer.pace;
        let mut told: Option<Told> = None;
        let mut failures = 0;
        loop {
            let wait = match issuer.keys().await {
                Ok((keys, digest)) => {
                    if failures > 0 {
                        tracing::info!("the issuer of tokens answers again");
                        readiness.ready(COMPONENT);
                    }
                    failures = 0;
                    // The same keys keep the tokens that they verified.
                    if told.as_ref().is_none_or(|before| before.digest != digest) {
                        tracing::info!(
                            { field::COUNT } = keys.len(),
                            "the issuer of tokens told its keys"
                        );
                        self.take(Some(keys));
                    }
                    let at = Instant::now();
                    told = Some(Told { digest, at });
                    pace.every
                }
                Err(error) => {
                    let error = Chain(&error);
                    // Told once, however long it stays so.
                    if failures == 0 {
                        tracing::error!(
                            { field::ERROR } = %error,
                            "the issuer of tokens does not tell its keys"
                        );
                    }
                    failures += 1;
                    if told
                        .take_if(|told| told.at.elapsed() > pace.kept_for)
                        .is_some()
                    {
                        tracing::error!("the keys of tokens are too old: tokens are refused");
                        self.take(None);
                    }
                    let meanwhile = match told {
                        Some(_) => "those that it told last stay in use",
                        None => "tokens are refused",
                    };
                    let reason = "the issuer of tokens does not tell its keys";
                    readiness.ready_but(COMPONENT, format!("{reason}, {meanwhile}: {error}"));
                    pause(failures, pace.retry, None)
                }
            };
            // Nothing has the issuer asked earlier.
            let quiet = wait.min(pace.again_after);
            tokio::time::sleep(quiet).await;
            // Either of them is a reason to ask.
            let _ = tokio::time::timeout(wait - quiet, self.0.unknown_key.notified()).await;
        }
    }
}

/// What the issuer told last.
struct Told {
    digest: [u8; 32],
    at: Instant,
}

impl Issuer {
    /// The keys, and the digest of their text.
    async fn keys(&self) -> Result<(KeySet, [u8; 32]), Error> {
        let mut asked = self.discovery.clone();
        let found = async {
            let document: Document = serde_json::from_slice(&self.get(&asked).await?)?;
            if document.issuer != self.name {
                return Err(AskError::OtherIssuer);
            }
            asked = document.jwks_uri;
            let text = self.get(&asked).await?;
            Ok((KeySet::parse(&text)?, Sha256::digest(&text).into()))
        };
        let found = tokio::time::timeout(TOLD_WITHIN, found).await;
        found
            .unwrap_or(Err(AskError::TimedOut))
            .map_err(|source| Error::Ask { url: asked, source })
    }

    async fn get(&self, url: &str) -> Result<Bytes, AskError> {
        let target = Target::parse(url).map_err(|_| AskError::Address)?;
        // An issuer elsewhere must not lead to what listens on this machine.
        let may_be_plain = self.discovery.starts_with("http:") && is_here(&target);
        if !target.https && !may_be_plain {
            return Err(AskError::Plain);
        }
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await;
        let stream = stream.map_err(AskError::Connect)?;
        if !target.https {
            // `localhost`, too, is what a name service says it is.
            let peer = stream.peer_addr().map_err(AskError::Connect)?;
            return match peer.ip().to_canonical().is_loopback() {
                true => exchange(stream, &target).await,
                false => Err(AskError::Plain),
            };
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| AskError::Tls(std::io::Error::other(error)))?;
        let stream = self.tls.connect(name, stream).await;
        exchange(stream.map_err(AskError::Tls)?, &target).await
    }
}

/// One GET. A redirect is an answer like others: keys are taken from where they were looked for.
async fn exchange<S>(stream: S, target: &Target) -> Result<Bytes, AskError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = hyper::Request::get(&target.path_and_query)
        .header("host", &target.authority)
        .header("connection", "close")
        .header("accept", "application/json")
        .header(
            "user-agent",
            concat!("creditgate/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Dropped with this call, so that nothing goes on after the deadline.
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await?;
    if answer.status() != hyper::StatusCode::OK {
        return Err(AskError::Status(answer.status().as_u16()));
    }
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
    let body = body.collect().await.map_err(AskError::Body)?;
    Ok(body.to_bytes())
}

fn key_set(text: &[u8], path: &Path) -> Result<KeySet, Error> {
    KeySet::parse(text).map_err(|source| Error::Form {
        path: path.to_owned(),
        source,
    })
}
