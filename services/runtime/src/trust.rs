//! Whom this process trusts when it connects to others over TLS: the authorities of a file, or those of the system.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Why the certificates are not right.
#[derive(Debug, thiserror::Error)]
#[error("read certificates from `{path}`: {why}")]
pub struct CertificatesError {
    path: String,
    why: String,
}

/// Connections to those for whom the file vouches, or the system where none is named.
///
/// # Errors
/// When the certificates cannot be read.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, CertificatesError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => add_file(&mut roots, path)?,
        None => {
            let loaded = rustls_native_certs::load_native_certs();
            let (_, refused) = roots.add_parsable_certificates(loaded.certs);
            if roots.is_empty() || refused > 0 || !loaded.errors.is_empty() {
                tracing::debug!(
                    trusted = roots.len(),
                    refused,
                    errors = loaded.errors.len(),
                    "not all certificates of the system could be read"
                );
            }
        }
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| CertificatesError {
            path: String::new(),
            why: error.to_string(),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), CertificatesError> {
    let failed = |why: String| CertificatesError {
        path: path.display().to_string(),
        why,
    };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    for certificate in read {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        let added = roots.add(certificate);
        added.map_err(|error| failed(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(failed("it holds no certificate".to_owned())),
        false => Ok(()),
    }
}
