//! The keyed digest by which an event that comes again is compared with the first.
//!
//! Keyed, since the events of a case can be guessed: whoever sees a digest must not be able to try
//! numbers until one fits. The key is given, where one keyring gives all replicas the same, or drawn once and kept in the
//! data directory, where whoever has that finds it. With another key repeats are compared by their content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use creditgate_measures::canonical;
use creditgate_measures::event::Event;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The digest of an event's content: HMAC-SHA-256, cut to 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentDigest(pub [u8; 16]);

/// The key, made ready once: each digest begins with a copy of its state.
pub(crate) struct ContentKey(Hmac<Sha256>);

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

const FILE: &str = "digest.key";

impl ContentKey {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// The key of a data directory, made at the first start.
    ///
    /// Should the file be lost, a new one is made: repeats are then compared by content, see
    /// `check::known`.
    pub(crate) fn of_directory(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut key = [0; KEY_BYTES];
        match File::open(&path) {
            Ok(mut file) => file.read_exact(&mut key)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                getrandom::fill(&mut key).map_err(io::Error::other)?;
                let fresh = path.with_extension("key.new");
                let mut file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&fresh)?;
                file.write_all(&key)?;
                file.sync_all()?;
                fs::rename(&fresh, &path)?;
                File::open(dir)?.sync_all()?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self::new(&key))
    }

    pub(crate) fn digest(&self, event: &Event) -> ContentDigest {
        let mut mac = self.0.clone();
        mac.update(&canonical::event_bytes(event));
        let full = mac.finalize().into_bytes();
        let mut digest = [0; 16];
        digest
            .iter_mut()
            .zip(full)
            .for_each(|(to, from)| *to = from);
        ContentDigest(digest)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        ContentKey::of_directory(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        let first = fs::read(&path).unwrap();
        assert_eq!(first.len(), KEY_BYTES);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        ContentKey::of_directory(dir.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
    }

    #[test]
    fn a_key_file_cut_short_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), [1; 5]).unwrap();
        assert!(ContentKey::of_directory(dir.path()).is_err());
    }
}
