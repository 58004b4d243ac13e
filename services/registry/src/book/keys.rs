//! Who signs books, and whom a deployment trusts to.

use std::path::PathBuf;
use std::sync::Arc;

use creditgate_measures::book::{Book, Signing, SourceFile};
use creditgate_proto::journal::v1::BookRecord;
use creditgate_runtime::signing::{KeyError, PublicKeys, Refused, SigningKey};

use super::pack::signature_of;
use crate::log;

/// What stands before the content hash in the text that is signed. FENCED: signatures of books
/// rest on it.
const DOMAIN: &[u8] = b"creditgate book v1\0";

/// A signature over the files of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Id of the key.
    pub key_id: Arc<str>,
    /// The 64 bytes.
    pub bytes: Vec<u8>,
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
pub struct TrustedKeys(PublicKeys);

impl Signature {
    /// Signs files by their content hash.
    #[must_use]
    pub fn of(content_hash: &[u8; 32], key: &SigningKey) -> Self {
        Self {
            key_id: key.key_id().into(),
            bytes: key.sign(&signed_text(content_hash)),
        }
    }
}

impl TrustedKeys {
    /// Reads public keys, a PEM file each.
    ///
    /// # Errors
    /// When one cannot be read, is none, or stands twice.
    pub fn load(paths: &[PathBuf]) -> Result<Self, KeyError> {
        PublicKeys::load(paths).map(Self)
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
        let held = self
            .0
            .verify(&key_id, &signed_text(content_hash), &signature.bytes);
        match held {
            Ok(()) => Ok(Signing::Signed { key_id }),
            Err(Refused::OtherKey) => Err(Untrusted::OtherKey { key_id }),
            Err(Refused::Wrong) => Err(Untrusted::Wrong { key_id }),
        }
    }

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

fn signed_text(content_hash: &[u8; 32]) -> Vec<u8> {
    [DOMAIN, content_hash].concat()
}
