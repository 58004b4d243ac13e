//! Who may call and what: names in a file, each with the SHA-256 of its bearer key; the keys themselves are kept nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tonic::{Request, Status};

use crate::config::Secret;

/// The name that journal records bear for callers on loopback when there is no keys file; no file may give it away.
pub const LOCAL: &str = "local";

/// The name that records bear for what the watched folder imports; no file may give it away.
pub const INBOX: &str = "inbox";

/// What every generated key begins with, so that scanners for leaked secrets can know one.
const KEY_PREFIX: &str = "cgk_";

/// Something a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Have events decided.
    Check,
    /// Bring and change lists.
    Lists,
    /// Read verdicts and entries, replay.
    Read,
    /// Follow verdicts and entries as they come.
    Watch,
    /// Put books in force, and confirm rows of them.
    Publish,
    /// Decide recorded events again with another book, and let one run beside the book in force.
    Simulate,
    /// Close cases, decide what is proposed in them, and have them reviewed.
    Cases,
    /// Report how measures were carried out, and acknowledge lift orders.
    Feedback,
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u8);

/// Somebody who was recognised. Only [`Callers::authenticate`] makes one for a call; [`Caller::inbox`] is no call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    name: Arc<str>,
    may: Permissions,
    shared: bool,
}

/// Why a call was not recognised. None of them repeats what the caller sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No `authorization` came.
    #[error("a key is needed: send `authorization: Bearer <key>`")]
    KeyMissing,
    /// `authorization` is of another kind.
    #[error("the `authorization` is not of the form `Bearer <key>`")]
    NotBearer,
    /// The key is nobody's.
    #[error("the key is not known here")]
    KeyUnknown,
    /// There is no keys file and the caller is on another machine.
    #[error("without a keys file only callers on this machine are served")]
    NotLocal,
}

/// Everybody who may call.
#[derive(Clone, Debug)]
pub struct Callers(Arc<Known>);

#[derive(Debug)]
enum Known {
    /// No keys file: loopback only.
    Loopback(Caller),
    /// In the order of the file.
    Keys(Vec<(KeyDigest, Caller)>),
}

/// A keys file that was read.
#[derive(Debug)]
pub struct Loaded {
    /// The callers it names.
    pub callers: Callers,
    /// What an operator should mend though it works; to be logged by whoever loads.
    pub warnings: Vec<String>,
}

/// Why a keys file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("read keys file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// What it says is not right.
    #[error("keys file `{}`: {}", path.display(), faults.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Every fault with its line.
        faults: Vec<String>,
    },
}

impl Callers {
    /// Without a keys file: callers on loopback are `local` and may do everything, all others nothing.
    pub fn loopback_only() -> Callers {
        let local = Caller {
            name: LOCAL.into(),
            may: Permissions::ALL,
            shared: true,
        };
        Callers(Arc::new(Known::Loopback(local)))
    }

    /// Reads a keys file.
    pub fn load(path: &Path) -> Result<Loaded, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let callers = Callers::parse(&text).map_err(|faults| Error::Invalid {
            path: path.to_owned(),
            faults,
        })?;
        let warnings = exposure(path).into_iter().collect();
        Ok(Loaded { callers, warnings })
    }

    /// Says who calls. With a keys file the key decides, wherever the call comes from; without one the address does.
    ///
    /// The digests of all keys are compared to the end and in constant time, so that an answer's timing tells nothing
    /// of how much of a digest was right or whose it was.
    pub fn authenticate(
        &self,
        authorization: Option<&str>,
        peer_is_loopback: bool,
    ) -> Result<Caller, Refused> {
        match &*self.0 {
            Known::Loopback(local) if peer_is_loopback => Ok(local.clone()),
            Known::Loopback(_) => Err(Refused::NotLocal),
            Known::Keys(keys) => {
                let key =
                    bearer(authorization.ok_or(Refused::KeyMissing)?).ok_or(Refused::NotBearer)?;
                let presented = KeyDigest::of(key);
                let mut found = NOBODY;
                for (index, (digest, _)) in (0..NOBODY).zip(keys) {
                    found.conditional_assign(&index, digest.0.ct_eq(&presented.0));
                }
                let known = usize::try_from(found)
                    .ok()
                    .and_then(|index| keys.get(index));
                known
                    .map(|(_, caller)| caller.clone())
                    .ok_or(Refused::KeyUnknown)
            }
        }
    }

    /// The names, for a report at start.
    pub fn names(&self) -> Vec<&str> {
        match &*self.0 {
            Known::Loopback(local) => vec![local.name()],
            Known::Keys(keys) => keys.iter().map(|(_, caller)| caller.name()).collect(),
        }
    }

    fn parse(text: &str) -> Result<Callers, Vec<String>> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            let message = error.without_snippet().to_string();
            vec![format!(
                "line {line}: {}",
                message.lines().next().unwrap_or_default()
            )]
        })?;
        written.validate()
    }
}

impl Caller {
    /// The watched folder of this process: it brings lists, and may do nothing else. Who may put files there, the
    /// operating system decides.
    pub fn inbox() -> Caller {
        Caller {
            name: INBOX.into(),
            may: [Permission::Lists].into_iter().collect(),
            shared: true,
        }
    }

    /// The name, as kept with every record.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Whether several people call by this name: then it tells nobody from another, and whoever holds the key
    /// answers for the names of officials that it sends. Who calls without a key is one of them.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether this caller may do that.
    pub fn may(&self, permission: Permission) -> bool {
        self.may.contains(permission)
    }
}

impl Permissions {
    /// Every permission there is.
    pub const ALL: Permissions = Permissions(u8::MAX);

    /// Whether the permission is in the set.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }
}

impl Permission {
    /// Every one there is.
    pub const EVERY: [Permission; 8] = [
        Permission::Check,
        Permission::Lists,
        Permission::Read,
        Permission::Watch,
        Permission::Publish,
        Permission::Simulate,
        Permission::Cases,
        Permission::Feedback,
    ];

    /// The word for it, as a keys file writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Permission::Check => "check",
            Permission::Lists => "lists",
            Permission::Read => "read",
            Permission::Watch => "watch",
            Permission::Publish => "publish",
            Permission::Simulate => "simulate",
            Permission::Cases => "cases",
            Permission::Feedback => "feedback",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Permission::Check => 1,
            Permission::Lists => 2,
            Permission::Read => 4,
            Permission::Watch => 8,
            Permission::Publish => 32,
            Permission::Simulate => 16,
            Permission::Cases => 64,
            Permission::Feedback => 128,
        }
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Permissions {
        Permissions(
            permissions
                .into_iter()
                .fold(0, |bits, permission| bits | permission.bit()),
        )
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Permission::EVERY.iter().filter(|one| self.contains(**one)))
            .finish()
    }
}

/// The caller of a request, if it may do this. An interceptor of the server puts it into the extensions
/// of each request; without one every call is refused.
///
/// # Errors
/// `UNAUTHENTICATED` and `PERMISSION_DENIED`, with the permission that it lacks.
pub fn permitted<T>(request: &Request<T>, permission: Permission) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>();
    let caller = caller.ok_or_else(|| Status::unauthenticated("the caller is not known"))?;
    if caller.may(permission) {
        return Ok(caller.clone());
    }
    let (name, word) = (caller.name(), permission.word());
    Err(Status::permission_denied(format!(
        "caller `{name}` may not do this: it needs the permission `{word}`"
    )))
}

/// The SHA-256 of a key in hexadecimal digits, as a keys file holds it.
pub fn hash_key(key: &str) -> String {
    hex(&KeyDigest::of(key).0)
}

/// A new key of 256 random bits. It is shown to the operator once; only its hash is kept.
pub fn generate_key() -> Result<Secret, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(format!("{KEY_PREFIX}{}", hex(&bytes))))
}

const NOBODY: u32 = u32::MAX;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct KeyDigest([u8; 32]);

impl KeyDigest {
    fn of(key: &str) -> KeyDigest {
        KeyDigest(Sha256::digest(key.as_bytes()).into())
    }

    fn from_hex(text: &str) -> Option<KeyDigest> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (index, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(KeyDigest(digest))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::config::HIDDEN)
    }
}

/// The file as people write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    callers: Vec<WrittenCaller>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCaller {
    name: Spanned<String>,
    key_sha256: Spanned<String>,
    may: Vec<Permission>,
    /// Several officials call with this key: their names alone tell them apart.
    #[serde(default)]
    shared: bool,
}

impl Written {
    fn validate(self) -> Result<Callers, Vec<String>> {
        let mut faults = Vec::new();
        let mut names: BTreeMap<String, u64> = BTreeMap::new();
        let mut digests: BTreeMap<KeyDigest, u64> = BTreeMap::new();
        let mut keys = Vec::new();
        for caller in self.callers {
            let (name, line) = (caller.name.value, caller.name.referenced.line());
            if name == LOCAL {
                faults.push(format!(
                    "line {line}: `{LOCAL}` is the name of callers without a key; choose another"
                ));
            } else if name == INBOX {
                faults.push(format!(
                    "line {line}: `{INBOX}` is the name of the watched folder; choose another"
                ));
            } else if !is_name(&name) {
                faults.push(format!(
                    "line {line}: `{name}` must be 1 to 64 of the characters a-z, 0-9, `-`, `_`, `.`"
                ));
            }
            if let Some(first) = names.insert(name.clone(), line) {
                faults.push(format!(
                    "line {line}: `{name}` is also the caller of line {first}"
                ));
            }
            if caller.may.is_empty() {
                faults.push(format!(
                    "line {line}: `{name}` may do nothing; name at least one permission in `may`"
                ));
            }
            let key_line = caller.key_sha256.referenced.line();
            let Some(digest) = KeyDigest::from_hex(&caller.key_sha256.value) else {
                // The value is not repeated: it might be the key itself, pasted by mistake.
                faults.push(format!(
                    "line {key_line}: `key_sha256` must be the 64 hexadecimal digits of the SHA-256 of the key, \
                     never the key itself"
                ));
                continue;
            };
            if let Some(first) = digests.insert(digest.clone(), key_line) {
                faults.push(format!(
                    "line {key_line}: the key is also the key of line {first}"
                ));
            }
            let may = caller.may.into_iter().collect();
            keys.push((
                digest,
                Caller {
                    name: name.into(),
                    may,
                    shared: caller.shared,
                },
            ));
        }
        if faults.is_empty() {
            Ok(Callers(Arc::new(Known::Keys(keys))))
        } else {
            Err(faults)
        }
    }
}

fn is_name(text: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// The key in an `authorization` header. The scheme's name is compared without case, as HTTP asks.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

#[cfg(unix)]
fn exposure(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;

    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| {
        format!(
            "keys file `{0}` can be read by every user of this machine: `chmod o-rwx {0}`",
            path.display()
        )
    })
}

#[cfg(not(unix))]
fn exposure(_path: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `abc`, as FIPS 180 prints it.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn two() -> Callers {
        let other = hash_key("other-key");
        Callers::parse(&format!(
            "callers:\n- {{name: tender-platform, key_sha256: {ABC}, may: [check, read]}}\n\
             - {{name: registry.feed, key_sha256: {other}, may: [lists]}}\n"
        ))
        .unwrap()
    }

    #[test]
    fn a_key_hashes_to_the_published_vector() {
        assert_eq!(hash_key("abc"), ABC);
    }

    #[test]
    fn with_a_keys_file_the_key_decides_wherever_the_call_comes_from() {
        let check = |header: Option<&str>, loopback: bool, expected: Result<&str, Refused>| {
            let answer = two().authenticate(header, loopback);
            assert_eq!(
                answer
                    .as_ref()
                    .map(Caller::name)
                    .map_err(|refused| *refused),
                expected,
                "{header:?}"
            );
        };
        check(Some("Bearer abc"), false, Ok("tender-platform"));
        check(Some("bearer abc"), true, Ok("tender-platform"));
        check(Some("Bearer other-key"), false, Ok("registry.feed"));
        check(Some("Bearer abd"), true, Err(Refused::KeyUnknown));
        check(
            Some(&format!("Bearer {ABC}")),
            true,
            Err(Refused::KeyUnknown),
        );
        check(Some("Basic abc"), true, Err(Refused::NotBearer));
        check(Some("Bearer "), true, Err(Refused::NotBearer));
        check(Some("abc"), true, Err(Refused::NotBearer));
        check(None, true, Err(Refused::KeyMissing));
    }

    #[test]
    fn a_caller_may_only_what_the_file_says() {
        let caller = two().authenticate(Some("Bearer abc"), false).unwrap();
        let may: Vec<bool> = Permission::EVERY
            .iter()
            .map(|one| caller.may(*one))
            .collect();
        assert_eq!(may, [true, false, true, false, false, false, false, false]);
        assert_eq!(
            Permission::EVERY.into_iter().collect::<Permissions>(),
            Permissions::ALL
        );
    }

    #[test]
    fn a_key_is_of_one_official_unless_the_file_says_that_it_is_shared() {
        let other = hash_key("other-key");
        let callers = Callers::parse(&format!(
            "callers:\n- {{name: desk.system, key_sha256: {ABC}, may: [cases], shared: true}}\n\
             - {{name: wang.wu, key_sha256: {other}, may: [cases]}}\n"
        ))
        .unwrap();
        let shared = |key: &str| callers.authenticate(Some(key), false).unwrap().is_shared();
        assert!(shared("Bearer abc"));
        assert!(!shared("Bearer other-key"));
        // Everybody on the machine is one caller.
        let local = Callers::loopback_only().authenticate(None, true).unwrap();
        assert!(local.is_shared());
    }

    #[test]
    fn without_a_keys_file_only_loopback_may_call_and_is_local() {
        let callers = Callers::loopback_only();
        let local = callers.authenticate(None, true).unwrap();
        assert_eq!(local.name(), LOCAL);
        assert!(Permission::EVERY.iter().all(|one| local.may(*one)));
        assert_eq!(
            callers.authenticate(Some("Bearer abc"), false),
            Err(Refused::NotLocal)
        );
    }

    #[test]
    fn the_watched_folder_brings_lists_and_its_name_is_its_own() {
        let inbox = Caller::inbox();
        assert!(inbox.may(Permission::Lists));
        assert!(
            !Permission::EVERY
                .iter()
                .any(|one| inbox.may(*one) && *one != Permission::Lists)
        );
        let faults = Callers::parse(&format!(
            "callers:\n- {{name: inbox, key_sha256: {ABC}, may: [lists]}}\n"
        ))
        .unwrap_err();
        assert!(
            faults[0].contains("`inbox` is the name of the watched folder"),
            "{faults:?}"
        );
    }

    #[test]
    fn a_file_without_callers_recognises_nobody() {
        let callers = Callers::parse("callers: []\n").unwrap();
        assert_eq!(
            callers.authenticate(Some("Bearer abc"), true),
            Err(Refused::KeyUnknown)
        );
        assert_eq!(callers.authenticate(None, true), Err(Refused::KeyMissing));
    }

    #[test]
    fn a_bad_file_is_refused_with_every_fault() {
        let check = |yaml: &str, expected: &[&str]| {
            let faults = Callers::parse(yaml).unwrap_err();
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            for (fault, part) in faults.iter().zip(expected) {
                assert!(fault.contains(part), "`{fault}` should contain `{part}`");
            }
        };
        let caller = |name: &str, digest: &str| {
            format!("- {{name: {name}, key_sha256: {digest}, may: [read]}}\n")
        };
        check(
            &format!("callers:\n{}{}", caller("a", ABC), caller("a", ABC)),
            &[
                "line 3: `a` is also the caller of line 2",
                "line 3: the key is also the key of line 2",
            ],
        );
        check(
            &format!(
                "callers:\n{}{}",
                caller("local", ABC),
                caller("Zhang San", "cgk_secret")
            ),
            &[
                "line 2: `local` is",
                "line 3: `Zhang San` must be",
                "line 3: `key_sha256` must be",
            ],
        );
        check(
            &format!("callers:\n- {{name: a, key_sha256: {ABC}, may: []}}\n"),
            &["`a` may do nothing"],
        );
        check(
            &format!("callers:\n- {{name: a, key_sha256: {ABC}, may: [fly]}}\n"),
            &["line 2"],
        );
        check(
            &format!("callers:\n- {{name: a, key_sha256: {ABC}, may: [read], key: x}}\n"),
            &["line 2"],
        );
        check("calers: []\n", &["calers"]);
    }

    #[test]
    fn a_key_pasted_for_its_hash_is_not_repeated_in_the_error() {
        let faults = Callers::parse("callers:\n- {name: a, key_sha256: cgk_secret, may: [read]}\n")
            .unwrap_err();
        assert!(!faults.concat().contains("cgk_secret"), "{faults:?}");
    }

    #[test]
    fn generated_keys_differ_and_never_print() {
        let (one, two) = (generate_key().unwrap(), generate_key().unwrap());
        assert_ne!(one.reveal(), two.reveal());
        assert_eq!(one.reveal().len(), KEY_PREFIX.len() + 64);
        assert_eq!(format!("{one:?}"), "***");
        assert!(
            !format!("{:?}", super::tests::two()).contains("186"),
            "digests print redacted"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_can_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.yaml");
        std::fs::write(&path, "callers: []\n").unwrap();
        let warnings = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Callers::load(&path).unwrap().warnings
        };
        assert_eq!(warnings(0o600).len(), 0);
        assert_eq!(warnings(0o644).len(), 1);
    }

    #[test]
    fn a_missing_file_names_its_path_and_keeps_its_cause() {
        let error = Callers::load(Path::new("/nowhere/keys.yaml")).unwrap_err();
        assert_eq!(
            crate::errors::Chain(&error).to_string(),
            "read keys file `/nowhere/keys.yaml`: No such file or directory (os error 2)"
        );
    }
}
