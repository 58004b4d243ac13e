//! What is kept of a call that asks for somebody's report: by which document, why, and about whom.
//!
//! About whom stands there as a keyed digest: whoever has the identifier and the data directory finds the call, and who
//! reads the records alone finds nobody. Keyed, since identifiers can be tried one after the other.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use creditgate_measures::identifier::Identifier;
use ring::hmac;

use crate::hex::hex;

/// The file of the key, beside the records.
const FILE: &str = "subject.key";
const KEY_BYTES: usize = 32;
/// Bytes of a digest.
const DIGEST_BYTES: usize = 16;

/// What a call says of the report that it asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReportAsked<'a> {
    /// Number of the document; empty: none that may be kept.
    pub document_no: &'a str,
    /// Why; empty: nothing that may be kept.
    pub reason: &'a str,
    /// About whom; none: nobody that is one.
    pub subject: Option<&'a Identifier>,
}

/// The same as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct About {
    /// Number of the document; empty: none.
    pub document_no: String,
    /// Why; empty: not told.
    pub reason: String,
    /// Keyed digest of the subject; empty: none.
    pub subject_digest: String,
}

/// The key of a data directory's digests.
#[derive(Debug, Clone)]
pub struct SubjectKey(hmac::Key);

impl SubjectKey {
    /// The key beside the records of a directory, made at the first start.
    ///
    /// Should the file be lost, a new one is made: what was recorded before is then found by document and time only.
    ///
    /// # Errors
    /// When it cannot be read, written or made.
    pub(super) fn of_directory(dir: &Path) -> io::Result<Self> {
        if let Some(known) = Self::read(dir)? {
            return Ok(known);
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let path = dir.join(FILE);
        let fresh = path.with_extension("key.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&key)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        File::open(dir)?.sync_all()?;
        Ok(Self::new(&key))
    }

    /// The key beside the records of a directory; none where there is no such file.
    ///
    /// # Errors
    /// When it cannot be read, or is too short.
    pub(super) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let mut key = [0; KEY_BYTES];
        match File::open(dir.join(FILE)) {
            Ok(mut file) => file.read_exact(&mut key).map(|()| Some(Self::new(&key))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The digest of a subject: HMAC-SHA-256 of its identifier, cut to 16 bytes, in hexadecimal digits. A credit code and
    /// the organisation code inside it have one digest; further identifiers that the registry knows have their own.
    ///
    /// FENCED: records keep it.
    #[must_use]
    pub fn digest(&self, subject: &Identifier) -> String {
        let inner = subject.org9_alias();
        let subject = inner.as_ref().unwrap_or(subject);
        // U+001F is a control character, which no part can contain.
        let text = format!(
            "{}\u{1F}{}\u{1F}{}",
            subject.id_type(),
            subject.issuer().unwrap_or_default(),
            subject.reveal()
        );
        let tag = hmac::sign(&self.0, text.as_bytes());
        let digits = hex(tag.as_ref());
        digits.chars().take(2 * DIGEST_BYTES).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use creditgate_measures::identifier::{IdType, invented};

    use super::*;

    fn firm(n: u64) -> Identifier {
        Identifier::parse(IdType::Uscc, &invented::uscc(n), None).unwrap()
    }

    #[test]
    fn the_key_is_made_once_and_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        assert!(SubjectKey::read(dir.path()).unwrap().is_none());
        let made = SubjectKey::of_directory(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = SubjectKey::of_directory(dir.path()).unwrap();
        let read = SubjectKey::read(dir.path()).unwrap().expect("a key");
        assert_eq!(made.digest(&firm(1)), again.digest(&firm(1)));
        assert_eq!(made.digest(&firm(1)), read.digest(&firm(1)));
        std::fs::write(&path, [1; 5]).unwrap();
        assert!(SubjectKey::of_directory(dir.path()).is_err());
    }

    #[test]
    fn a_digest_is_of_a_subject_and_of_a_key_and_shows_neither() {
        let key = SubjectKey::new(&[7; KEY_BYTES]);
        let digest = key.digest(&firm(1));
        assert_eq!(digest.len(), 2 * DIGEST_BYTES);
        assert!(!digest.contains(firm(1).reveal()));
        assert_ne!(digest, key.digest(&firm(2)));
        assert_ne!(digest, SubjectKey::new(&[8; KEY_BYTES]).digest(&firm(1)));
        let inner = firm(1).org9_alias().expect("an organisation code");
        assert_eq!(digest, key.digest(&inner));
    }
}
