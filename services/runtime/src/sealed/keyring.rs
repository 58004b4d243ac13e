//! The keyring: a file with the keys that seal, one of them active.
//!
//! It is YAML, of its owner alone:
//!
//! ```yaml
//! active: 2
//! index: "base64 of 32 bytes"        # of keyed digests; stays for ever
//! keys:
//!   - id: 1
//!     created: "2026-01-05T02:00:00Z"
//!     secret: "base64 of 32 bytes"
//!   - id: 2
//!     created: "2027-01-05T02:00:00Z"
//!     secret: "base64 of 32 bytes"
//! ```
//!
//! A rotation adds a key and makes it the active one. A service reads the keyring at its start, so it seals with the new key
//! from its next start on.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use creditgate_measures::time::Time;
use serde::Deserialize;

use super::{KEY_BYTES, Sealer};
use crate::clock::Clock;

/// What stands at the top of a file.
const HEAD: &str = "\
# Keys that seal what creditgate keeps. Whoever has them can read it; without them nobody can, so keep a copy elsewhere.
# `creditgate keyring rotate` adds one. A key must stay as long as anything is there that was sealed with it, the index always.
";

/// The number of a key in its keyring, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(NonZeroU32);

impl KeyId {
    /// The first one of a keyring.
    const FIRST: Self = Self(NonZeroU32::MIN);

    /// As it stands in sealed bytes.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Keys that seal and open; prints only their ids.
#[derive(Clone)]
pub struct Keyring {
    active: KeyId,
    index: [u8; KEY_BYTES],
    /// INVARIANT (active key): it has the active one.
    keys: BTreeMap<KeyId, Key>,
}

#[derive(Clone)]
struct Key {
    created: Time,
    secret: [u8; KEY_BYTES],
}

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file could not be read.
    #[error("read keyring `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The text is none. Never says what stands there.
    #[error("{place} is none as `creditgate keyring new` writes it: {why}")]
    Form {
        /// Where it stands.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The file could not be written.
    #[error("write keyring `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    active: u32,
    index: String,
    keys: Vec<WrittenKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    id: u32,
    created: String,
    secret: String,
}

impl Keyring {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no keyring.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        let text = fs::read_to_string(path).map_err(|source| KeyringError::Read {
            path: path.to_owned(),
            source,
        })?;
        parse(&text).map_err(|why| KeyringError::Form {
            place: format!("keyring `{}`", path.display()),
            why,
        })
    }

    /// Reads the text of such a file, as a variable may hold it.
    ///
    /// # Errors
    /// When it is no keyring.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        parse(text).map_err(|why| KeyringError::Form {
            place: "the text of the keyring".to_owned(),
            why,
        })
    }

    /// A new keyring with one key.
    ///
    /// # Panics
    /// When the machine gives no random numbers: then nothing may be sealed.
    #[must_use]
    pub fn generate() -> Self {
        let mut index = [0; KEY_BYTES];
        random(&mut index);
        Self {
            active: KeyId::FIRST,
            index,
            keys: BTreeMap::from([(KeyId::FIRST, Key::new())]),
        }
    }

    /// Adds a key and makes it the active one. The others stay, for reading.
    ///
    /// # Panics
    /// When the machine gives no random numbers, or all ids are used up.
    pub fn rotate(&mut self) -> KeyId {
        let last = self.keys.keys().next_back().copied();
        let last = last.unwrap_or(self.active);
        let next = last
            .0
            .checked_add(1)
            .expect("ids of a file end long before");
        self.active = KeyId(next);
        self.keys.insert(self.active, Key::new());
        self.active
    }

    /// The key that seals now.
    #[must_use]
    pub const fn active(&self) -> KeyId {
        self.active
    }

    /// All keys, in the order in which they came.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.keys().copied()
    }

    /// The same, with the time at which each was made.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, Time)> + '_ {
        self.keys.iter().map(|(id, key)| (*id, key.created))
    }

    /// What seals and opens for one purpose.
    #[must_use]
    pub fn sealer(&self, purpose: &str) -> Sealer {
        Sealer::new(Arc::new(self.clone()), purpose)
    }

    /// Writes a file that is not there yet, of its owner alone, durably.
    ///
    /// # Errors
    /// When it is there already or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyringError> {
        create(path, self.text().as_bytes())
            .and_then(|_| sync_directory_of(path))
            .map_err(|source| KeyringError::Write {
                path: path.to_owned(),
                source,
            })
    }

    /// Replaces a file at once and durably. It keeps owner and group; nobody else may read it afterwards.
    ///
    /// # Errors
    /// When it is not there or cannot be written; then the old one stands.
    pub fn replace(&self, path: &Path) -> Result<(), KeyringError> {
        self.try_replace(path)
            .map_err(|source| KeyringError::Write {
                path: path.to_owned(),
                source,
            })
    }

    fn try_replace(&self, path: &Path) -> io::Result<()> {
        // A link stays one.
        let path = path.canonicalize()?;
        let before = fs::metadata(&path)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = create(&temporary, self.text().as_bytes())?;
        let kept = keep_access(&file, &before).and_then(|()| file.sync_all());
        if let Err(error) = kept.and_then(|()| fs::rename(&temporary, &path)) {
            drop(fs::remove_file(&temporary));
            return Err(error);
        }
        sync_directory_of(&path)
    }

    /// As it is written.
    fn text(&self) -> String {
        let mut text = format!(
            "{HEAD}active: {}\nindex: \"{}\"\nkeys:\n",
            self.active,
            STANDARD.encode(self.index)
        );
        for (id, key) in &self.keys {
            text.push_str(&format!(
                "  - id: {id}\n    created: \"{}\"\n    secret: \"{}\"\n",
                key.created,
                STANDARD.encode(key.secret)
            ));
        }
        text
    }

    pub(super) fn active_secret(&self) -> &[u8; KEY_BYTES] {
        // INVARIANT (active key).
        &self.keys[&self.active].secret
    }

    pub(super) const fn index_secret(&self) -> &[u8; KEY_BYTES] {
        &self.index
    }

    pub(super) fn secret(&self, id: u32) -> Option<&[u8; KEY_BYTES]> {
        let id = KeyId(NonZeroU32::new(id)?);
        self.keys.get(&id).map(|key| &key.secret)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("active", &self.active.get())
            .field("ids", &self.ids().map(KeyId::get).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Key {
    fn new() -> Self {
        let mut secret = [0; KEY_BYTES];
        random(&mut secret);
        let seconds = Clock::system().now_micros().div_euclid(1_000_000);
        Self {
            created: Time::from_micros(seconds * 1_000_000),
            secret,
        }
    }
}

/// What to tell of a keyring that everybody may read.
#[must_use]
pub fn exposure(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| {
        format!(
            "keyring `{0}` can be read by every user of this machine: `chmod o-rwx {0}`, and rotate it",
            path.display()
        )
    })
}

/// # Panics
/// When the machine gives none: a key that can be guessed would be worse than an end.
pub(super) fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the machine gives random numbers");
}

/// The reason tells of no value: it may be a secret.
fn parse(text: &str) -> Result<Keyring, String> {
    let written: Written = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        format!("line {line} cannot be read; it has `active`, `index` and `keys` with `id`, `created` and `secret`")
    })?;
    let index = bytes(&written.index).ok_or("`index` is not 32 bytes in base64")?;
    let mut keys = BTreeMap::new();
    for key in written.keys {
        let id = id(key.id)?;
        let of = |why: &str| format!("key {id}: {why}");
        let created =
            Time::parse(&key.created).map_err(|_| of("`created` is no time of RFC 3339"))?;
        let secret = bytes(&key.secret).ok_or_else(|| of("`secret` is not 32 bytes in base64"))?;
        if keys.insert(id, Key { created, secret }).is_some() {
            return Err(of("it stands there twice"));
        }
    }
    let active = id(written.active)?;
    match keys.contains_key(&active) {
        true => Ok(Keyring {
            active,
            index,
            keys,
        }),
        false => Err(format!("key {active} is to be active and is not there")),
    }
}

fn id(id: u32) -> Result<KeyId, String> {
    const LAST: u32 = i32::MAX as u32;
    match NonZeroU32::new(id) {
        Some(number) if id <= LAST => Ok(KeyId(number)),
        _ => Err(format!("{id} is no id of a key: they go from 1 to {LAST}")),
    }
}

fn bytes(text: &str) -> Option<[u8; KEY_BYTES]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn create(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// Gives a file the owner of the one that it replaces, and of its mode what owner and group may do.
fn keep_access(file: &File, before: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
        fchown(file, Some(before.uid()), Some(before.gid()))?;
    }
    let mode = before.permissions().mode() & 0o660;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Makes a new name outlive a power cut.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
