//! Ed25519 keys of a deployment, and whose word it takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// PKCS#8 of an Ed25519 key (RFC 8410): what stands before the 32 bytes of the seed.
const PRIVATE_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// The same for the 32 bytes of the public key.
const PUBLIC_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Digits of a key's id.
const ID_DIGITS: usize = 16;

/// A private key. What it signs begins with a text of its own for each use, so that no signature
/// can be taken for one of another use.
#[derive(Debug)]
pub struct SigningKey(Ed25519KeyPair);

/// A new pair of keys, as texts for two files.
pub struct NewKeys {
    /// The private key: whoever has it can sign.
    pub private_pem: String,
    /// The public key.
    pub public_pem: String,
    /// Its id.
    pub key_id: String,
}

/// Public keys whose signatures are taken.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(BTreeMap<Arc<str>, [u8; 32]>);

/// A key that is none.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It could not be read.
    #[error("read key `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("key `{}` is no {expected}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// Two keys go by one id.
    #[error("key `{}` is trusted twice ({key_id}): name each key once", path.display())]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The id.
        key_id: Arc<str>,
    },
    /// The machine gave no random numbers.
    #[error("make a key")]
    Random,
}

/// Why a signature is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is of a key that is not among those that are trusted.
    OtherKey,
    /// It does not hold for what is said to be signed.
    Wrong,
}

impl SigningKey {
    /// Reads a private key: PKCS#8 in PEM, as `creditgate keys` and `openssl genpkey` write it.
    ///
    /// # Errors
    /// When it cannot be read or is no such key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let bytes = read(path)?;
        PrivatePkcs8KeyDer::from_pem_slice(&bytes)
            .ok()
            .and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).ok())
            .map(Self)
            .ok_or_else(|| KeyError::Form {
                path: path.to_owned(),
                expected: "private Ed25519 key (PKCS#8 in PEM)",
            })
    }

    /// The id of the pair.
    #[must_use]
    pub fn key_id(&self) -> String {
        key_id(self.0.public_key().as_ref())
    }

    /// The public key to it alone.
    #[must_use]
    pub fn public(&self) -> PublicKeys {
        let public = self.0.public_key().as_ref().try_into();
        let key = public.map(|public: [u8; 32]| (key_id(&public).into(), public));
        PublicKeys(key.into_iter().collect())
    }

    /// The signature of a text, 64 bytes.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).as_ref().to_vec()
    }
}

/// Makes a pair of keys.
///
/// # Errors
/// When the machine gives no random numbers.
pub fn generate() -> Result<NewKeys, KeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| KeyError::Random)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Random)?;
    let public = pair.public_key().as_ref();
    Ok(NewKeys {
        private_pem: pem("PRIVATE KEY", &[&PRIVATE_HEAD[..], &seed].concat()),
        public_pem: pem("PUBLIC KEY", &[&PUBLIC_HEAD[..], public].concat()),
        key_id: key_id(public),
    })
}

impl PublicKeys {
    /// Reads public keys, a PEM file each.
    ///
    /// # Errors
    /// When one cannot be read, is none, or stands twice.
    pub fn load(paths: &[PathBuf]) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        for path in paths {
            let public = public_key(path)?;
            let id: Arc<str> = key_id(&public).into();
            if keys.insert(Arc::clone(&id), public).is_some() {
                return Err(KeyError::Twice {
                    path: path.clone(),
                    key_id: id,
                });
            }
        }
        Ok(Self(keys))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of these keys signed a text.
    ///
    /// # Errors
    /// When it is another key, or another text.
    pub fn verify(&self, key_id: &str, text: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let public = self.0.get(key_id).ok_or(Refused::OtherKey)?;
        UnparsedPublicKey::new(&ED25519, public)
            .verify(text, signature)
            .map_err(|_| Refused::Wrong)
    }
}

fn public_key(path: &Path) -> Result<[u8; 32], KeyError> {
    let bytes = read(path)?;
    SubjectPublicKeyInfoDer::from_pem_slice(&bytes)
        .ok()
        .and_then(|der| {
            let key = der.as_ref().strip_prefix(&PUBLIC_HEAD[..])?;
            key.try_into().ok()
        })
        .ok_or_else(|| KeyError::Form {
            path: path.to_owned(),
            expected: "public Ed25519 key (PEM)",
        })
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    std::fs::read(path).map_err(|source| KeyError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The first digits of the SHA-256 of a public key.
fn key_id(public: &[u8]) -> String {
    let mut digits = hex(&Sha256::digest(public));
    digits.truncate(ID_DIGITS);
    digits
}

fn pem(label: &str, der: &[u8]) -> String {
    // At most 48 bytes: one line.
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}
