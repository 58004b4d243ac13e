//! One request to a webhook: resolved, checked, connected, asked, answered, within one deadline.
//!
//! hyper's own connection over tokio-rustls, without a pool and without a connector: the address
//! that was checked must be the one that is connected to, and a redirect is an answer like others.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::Target;
use crate::targets::{Allowed, NotAllowed, check_address, check_host, is_public};
use crate::trust::{CertificatesError, connector};

/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The header by which an answer acknowledges.
const ACKNOWLEDGED: &str = "creditgate-acknowledged";
/// A receiver may not ask for a longer pause.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Up to where the answer acknowledges.
    pub acknowledged: Option<u64>,
    /// The pause that the receiver asks for.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The target may not be sent to.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// People's data would go in the clear over the public internet.
    #[error("the host has a public address, and that is sent to over https only")]
    PlainPublic,
    /// The host has no address.
    #[error("the host cannot be resolved: {0}")]
    Resolve(std::io::Error),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    /// No trust.
    #[error("no trusted connection: {0}")]
    Tls(std::io::Error),
    /// The exchange broke off.
    #[error("the exchange broke off: {0}")]
    Exchange(#[from] hyper::Error),
    /// The request cannot be made.
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    allow: Arc<[Allowed]>,
    timeout: Duration,
    tls: TlsConnector,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Sender {
    /// One that sends where it may, and trusts whom the file names, or whom the system trusts.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(
        allow: &[Allowed],
        timeout: Duration,
        ca_file: Option<&Path>,
    ) -> Result<Self, CertificatesError> {
        Ok(Self {
            allow: allow.into(),
            timeout,
            tls: connector(ca_file)?,
        })
    }

    /// Whether a target may be sent to, as far as its name tells.
    ///
    /// # Errors
    /// When nobody allowed it.
    pub fn check(&self, target: &Target) -> Result<(), NotAllowed> {
        check_host(&self.allow, &target.host)
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When there is no answer in time, or the target may not be sent to.
    pub async fn post(
        &self,
        target: &Target,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    ) -> Result<Answer, SendError> {
        let exchange = self.exchange(target, headers, body);
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(done) => done,
            Err(_) => Err(SendError::TimedOut(self.timeout)),
        }
    }

    async fn exchange(
        &self,
        target: &Target,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    ) -> Result<Answer, SendError> {
        let mut request = hyper::Request::post(&target.path_and_query)
            .header("host", &target.authority)
            .header("connection", "close")
            .header(
                "user-agent",
                concat!("creditgate/", env!("CARGO_PKG_VERSION")),
            );
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body))?;
        let stream = self.connect(target).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Dropped with this call, so that nothing goes on after the deadline.
        let mut driver = tokio::task::JoinSet::new();
        driver.spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let mut told = Answer {
            status,
            acknowledged: number(answer.headers(), ACKNOWLEDGED),
            retry_after: retry_after(answer.headers()),
        };
        if told.acknowledged.is_none() && answer.status().is_success() && is_json(answer.headers())
        {
            // A body that is too long or breaks off acknowledges nothing; the answer stands.
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await;
            told.acknowledged = body.ok().and_then(|body| acknowledged_in(&body.to_bytes()));
        }
        Ok(told)
    }

    async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, SendError> {
        self.check(target)?;
        let addresses = self.resolve(target).await?;
        let mut failed = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.secure(target, stream).await,
                Err(error) => failed = Some(error),
            }
        }
        let none = || std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        Err(SendError::Connect(failed.unwrap_or_else(none)))
    }

    /// The addresses of the host that may be connected to. INVARIANT (checked address): exactly these
    /// are connected to, so that an answer of the name service that changes later changes nothing.
    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, SendError> {
        let found: Vec<SocketAddr> = match target.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, target.port)],
            Err(_) => tokio::net::lookup_host((target.host.as_str(), target.port))
                .await
                .map_err(SendError::Resolve)?
                .collect(),
        };
        let mut refused = SendError::NotAllowed(NotAllowed::Address);
        let mut addresses = Vec::new();
        for address in found {
            match check_address(&self.allow, address.ip()) {
                Ok(()) if !target.https && is_public(address.ip()) => {
                    refused = SendError::PlainPublic;
                }
                Ok(()) => addresses.push(address),
                Err(_) => {}
            }
        }
        match addresses.is_empty() {
            true => Err(refused),
            false => Ok(addresses),
        }
    }

    async fn secure(
        &self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<Box<dyn Stream>, SendError> {
        if !target.https {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| SendError::Tls(std::io::Error::other(error)))?;
        let stream = self.tls.connect(name, stream).await;
        Ok(Box::new(stream.map_err(SendError::Tls)?))
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// A number of seconds, or a time; one that has passed asks for no pause.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = number(headers, RETRY_AFTER.as_str()).map(Duration::from_secs);
    let until = || {
        let at = httpdate::parse_http_date(headers.get(RETRY_AFTER)?.to_str().ok()?).ok()?;
        at.duration_since(SystemTime::now()).ok()
    };
    seconds
        .or_else(until)
        .map(|pause| pause.min(RETRY_AFTER_MAX))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.trim_start().starts_with("application/json"))
}

/// `{"acknowledged": 12}`, or the number as a text, as JSON of protobuf has it.
fn acknowledged_in(body: &[u8]) -> Option<u64> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let value = body.get("acknowledged")?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
