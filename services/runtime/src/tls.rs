//! TLS towards callers: who this service is, and whom a client certificate names.
//!
//! Versions and ciphers are those of rustls: TLS 1.2 and 1.3 with authenticated ciphers and forward
//! secrecy, nothing older. Certificates are read again when their files change; connections that
//! stand keep what they were made with.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::errors::Chain;
use crate::look::next_look;
use crate::shutdown::Shutdown;

/// Longest time for a handshake; who takes longer holds a connection for nothing.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A connection with a caller, in clear or over TLS.
pub type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Where certificates are, all of them PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The chain that this service shows, its own certificate first.
    pub certificate: PathBuf,
    /// The key to it.
    pub key: PathBuf,
    /// Who vouches for callers; none: no certificate is asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether a caller without a certificate is refused before it can say anything.
    pub required: bool,
}

/// What is spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2.
    Grpc,
    /// HTTP/1.1.
    Http,
}

/// What this service shows of itself and asks of callers; cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    current: ArcSwap<Current>,
    /// Of the files that are in use, or were refused last; none: they could not be read.
    seen: Mutex<Option<[u8; 32]>>,
}

struct Current {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

/// A client certificate that somebody trusted here vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate(Arc<Shown>);

#[derive(Debug, PartialEq, Eq)]
struct Shown {
    fingerprint: [u8; 32],
    names: Vec<String>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{}` holds no {wanted} in PEM form", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// Certificate and key do not fit, or a certificate is damaged.
    #[error("use the certificates of `{}`", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
    /// Those who vouch for callers cannot be used.
    #[error("use the authorities of `{}`", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rustls::server::VerifierBuilderError,
    },
}

/// The files as they were read at one moment.
struct Read {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// When one cannot be read or used.
    pub fn load(files: &Files) -> Result<Self, Error> {
        let read = Read::of(files)?;
        Ok(Self(Arc::new(Inner {
            files: files.clone(),
            current: ArcSwap::from_pointee(read.configure(files)?),
            seen: Mutex::new(Some(read.digest())),
        })))
    }

    /// Reads the files again whenever they change, until a stop is asked for. What cannot be used is
    /// logged, and what was in use stays.
    pub async fn follow(self, shutdown: Shutdown) {
        loop {
            let looking = self.clone();
            let look = move || looking.look();
            let Some(looked) = next_look(LOOK_EVERY, &shutdown, look).await else {
                return;
            };
            match looked {
                Ok(Ok(true)) => {
                    tracing::info!("new connections have the certificates that changed")
                }
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => tracing::error!(
                    error = %Chain(&error),
                    "certificates that changed cannot be used; those before stay in use"
                ),
            }
        }
    }

    /// Takes up files that have changed. Gives whether they had.
    fn look(&self) -> Result<bool, Error> {
        let mut seen = self.0.seen.lock();
        let read = match Read::of(&self.0.files) {
            Ok(read) => read,
            // Told once, however long it stays so.
            Err(_) if seen.is_none() => return Ok(false),
            Err(error) => {
                *seen = None;
                return Err(error);
            }
        };
        let digest = Some(read.digest());
        if *seen == digest {
            return Ok(false);
        }
        *seen = digest;
        let current = read.configure(&self.0.files)?;
        self.0.current.store(Arc::new(current));
        Ok(true)
    }

    /// Makes a connection one over TLS, and says whose it is, if the caller showed a certificate.
    ///
    /// # Errors
    /// When the caller breaks off, takes too long, or shows a certificate that nobody trusted here
    /// vouches for.
    pub async fn accept(
        &self,
        protocol: Protocol,
        stream: TcpStream,
    ) -> io::Result<(Stream, Option<Certificate>)> {
        let current = self.0.current.load();
        let config = match protocol {
            Protocol::Grpc => &current.grpc,
            Protocol::Http => &current.http,
        };
        let shaken = TlsAcceptor::from(Arc::clone(config)).accept(stream);
        drop(current);
        let stream = tokio::time::timeout(HANDSHAKE_WITHIN, shaken).await??;
        let shown = stream.get_ref().1.peer_certificates();
        let certificate = shown.and_then(|chain| chain.first()).map(Certificate::of);
        Ok((Either::Right(Box::new(stream)), certificate))
    }
}

impl Certificate {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let names = webpki::EndEntityCert::try_from(certificate).map(|read| {
            // A URI is told from a DNS name by its colon: one without is none, and must not pass for one.
            let uris = read.valid_uri_names().filter(|name| name.contains(':'));
            let names = uris.chain(read.valid_dns_names());
            names.map(str::to_owned).collect()
        });
        Self(Arc::new(Shown {
            fingerprint: Sha256::digest(certificate).into(),
            // It was verified before, so it can be read.
            names: names.unwrap_or_default(),
        }))
    }

    /// The SHA-256 of the whole certificate.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.0.fingerprint
    }

    /// The alternative names in it, URIs and DNS names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(String::as_str)
    }

    /// One as a caller may show it; for tests of those who ask for one.
    #[must_use]
    pub fn with(fingerprint: [u8; 32], names: &[&str]) -> Self {
        Self(Arc::new(Shown {
            fingerprint,
            names: names.iter().map(|&name| name.to_owned()).collect(),
        }))
    }
}

impl Read {
    fn of(files: &Files) -> Result<Self, Error> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| Error::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            authorities: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [&self.certificate, &self.key];
        let parts = parts.into_iter().chain(&self.authorities);
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(Sha256::digest(part));
        }
        digest.finalize().into()
    }

    fn configure(&self, files: &Files) -> Result<Current, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| Error::Pem {
            path: files.key.clone(),
            wanted: "private key",
        })?;
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Unusable { path, source }
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable(&files.certificate))?;
        let builder = match (&self.authorities, &files.client_ca) {
            (Some(authorities), Some(path)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(authorities, path)? {
                    roots.add(authority).map_err(unusable(path))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match files.required {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build().map_err(|source| Error::Authorities {
                    path: path.clone(),
                    source,
                })?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut http = builder
            .with_single_cert(chain, key)
            .map_err(unusable(&files.certificate))?;
        let mut grpc = http.clone();
        // A session that is taken up again is not verified again: an expired certificate would live on in it.
        http.session_storage = Arc::new(NoServerSessionStorage {});
        http.send_tls13_tickets = 0;
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        grpc.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Current {
            grpc: Arc::new(grpc),
            http: Arc::new(http),
        })
    }
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| Error::Pem {
            path: path.to_owned(),
            wanted: "certificate",
        })
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}
