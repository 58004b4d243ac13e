//! Keys that sign books (Ed25519), and those that a deployment trusts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use creditgate_measures::book::{Book, Signing, SourceFile};
use creditgate_proto::journal::v1::BookRecord;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use sha2::{Digest, Sha256};

use super::pack::signature_of;
use crate::log;

/// What stands before the content hash in the text that is signed. FENCED: signatures of books
/// rest on it.
const DOMAIN: &[u8] = b"creditgate book v1\0";

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

/// A signature over the files of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Id of the key.
    pub key_id: Arc<str>,
    /// The 64 bytes.
    pub bytes: Vec<u8>,
}

/// A key that signs books.
#[derive(Debug)]
pub struct SigningKey(Ed25519KeyPair);

/// A new pair of keys, as texts for two files.
pub struct NewKeys {
    /// The private key: whoever has it can put any book in force.
    pub private_pem: String,
    /// The public key.
    pub public_pem: String,
    /// Its id.
    pub key_id: String,
}

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

/// Why nobody who is trusted vouches for a book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Nobody signed it.
    #[error(
        "the book is not signed, and this deployment takes signed books only: pack it with a key that it trusts (`book.trusted_keys`)"
    )]
    Unsigned,
    /// It is signed with a key that is not trusted here.
    #[error(
        "the book is signed with key {key_id}, which this deployment does not trust: pack it with a key that it trusts, or add that key to `book.trusted_keys`"
    )]
    OtherKey {
        /// Id of the key.
        key_id: Arc<str>,
    },
    /// The signature does not hold.
    #[error(
        "the signature of key {key_id} does not hold for these files: they are not what was signed; take the pack again from where it was made"
    )]
    Wrong {
        /// Id of the key that is said to have made it.
        key_id: Arc<str>,
    },
}

/// The keys that a deployment trusts to sign books; none: it takes unsigned ones.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys(BTreeMap<Arc<str>, [u8; 32]>);

impl SigningKey {
    /// Reads a private key: PKCS#8 in PEM, as `creditgate keys book` and `openssl genpkey` write it.
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

    /// Its id.
    #[must_use]
    pub fn key_id(&self) -> String {
        key_id(self.0.public_key().as_ref())
    }

    /// Signs files by their content hash.
    #[must_use]
    pub fn sign(&self, content_hash: &[u8; 32]) -> Signature {
        Signature {
            key_id: self.key_id().into(),
            bytes: self.0.sign(&signed_text(content_hash)).as_ref().to_vec(),
        }
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

impl TrustedKeys {
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

    /// Whether no key is named, and unsigned books are taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who vouches for files of this hash. Without trusted keys a signature is not looked at: nobody
    /// could tell whose it is.
    ///
    /// # Errors
    /// When keys are trusted and none of them signed the files.
    pub fn verify(
        &self,
        content_hash: &[u8; 32],
        signature: Option<&Signature>,
    ) -> Result<Signing, Untrusted> {
        if self.is_empty() {
            return Ok(Signing::Unsigned);
        }
        let signature = signature.ok_or(Untrusted::Unsigned)?;
        let key_id = Arc::clone(&signature.key_id);
        let Some(public) = self.0.get(&key_id) else {
            return Err(Untrusted::OtherKey { key_id });
        };
        let held = UnparsedPublicKey::new(&ED25519, public)
            .verify(&signed_text(content_hash), &signature.bytes);
        match held {
            Ok(()) => Ok(Signing::Signed { key_id }),
            Err(_) => Err(Untrusted::Wrong { key_id }),
        }
    }
}

impl TrustedKeys {
    /// Who vouches for a book of the change log: its signature is verified again where keys are
    /// trusted; else it is as it was when it was recorded.
    ///
    /// # Errors
    /// As [`TrustedKeys::verify`].
    pub(crate) fn verify_record(&self, record: &BookRecord) -> Result<Signing, Untrusted> {
        if self.is_empty() {
            return Ok(log::signing_of(record));
        }
        let files: Vec<_> = record
            .files
            .iter()
            .map(|file| SourceFile::new(file.path.as_str(), file.text.as_str()))
            .collect();
        let signature = signature_of(&record.key_id, record.signature.clone());
        self.verify(&Book::content_hash(&files), signature.as_ref())
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

fn signed_text(content_hash: &[u8; 32]) -> Vec<u8> {
    [DOMAIN, content_hash].concat()
}

/// The first digits of the SHA-256 of a public key.
fn key_id(public: &[u8]) -> String {
    let mut digits = super::hex(&Sha256::digest(public));
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
