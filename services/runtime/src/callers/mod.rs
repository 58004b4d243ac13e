//! Who may call and what: names in a file, each with the SHA-256 of its bearer key or the name in its certificate or its
//! tokens; the keys themselves are kept nowhere. What they may do stands in the same file, or in an access policy.

mod caller;
mod file;
mod follow;
mod permission;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use creditgate_proto::status;
use creditgate_proto::who::names_somebody;
use http::uri::PathAndQuery;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use crate::access::{Call, Calls, Noted, Outcome, Policy, ReportAsked, Sees};
use crate::config::Secret;
use crate::hex::{from_hex, hex};
use crate::tls::Certificate;
use crate::tokens::{self, Tokens};

use self::caller::Became;

pub use self::caller::{Caller, NotPermitted};
pub use self::follow::Followed;
pub use self::permission::{Permission, Permissions};
pub use self::standing::{Ended, Standing};

/// The name that journal records bear for callers on loopback when there is no keys file; no file may give it away.
pub const LOCAL: &str = "local";

/// The name that records bear for what the watched folder imports; no file may give it away.
pub const INBOX: &str = "inbox";

/// The name that records bear for events from Kafka, which does not tell who published them.
pub const KAFKA: &str = "kafka";

/// The metadata of a call in which it says why it asks to be shown people in full, as ASCII.
pub const REASON: &str = "creditgate-reason";

/// The same as UTF-8.
pub const REASON_BIN: &str = "creditgate-reason-bin";

/// Longest such reason.
const REASON_CHARS_MAX: usize = 200;

/// What every generated key begins with, so that scanners for leaked secrets can know one.
const KEY_PREFIX: &str = "cgk_";

/// What a call shows of its caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// The value of `authorization`.
    pub authorization: Option<&'a str>,
    /// The certificate of the connection, vouched for by an authority that is trusted here.
    pub certificate: Option<&'a Certificate>,
    /// Whether the call comes from this machine.
    pub is_local: bool,
    /// From where it comes, and what it calls, for the record of calls.
    pub call: Option<&'a Arc<Call>>,
}

impl<'a> Shown<'a> {
    /// Nothing, from this machine.
    pub const LOCAL: Shown<'static> = Shown {
        authorization: None,
        certificate: None,
        is_local: true,
        call: None,
    };

    /// The value of `authorization`, from another machine.
    #[must_use]
    pub const fn authorization(value: &'a str) -> Self {
        Self {
            authorization: Some(value),
            certificate: None,
            is_local: false,
            call: None,
        }
    }
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
    /// The certificate is nobody's.
    #[error(
        "the certificate names no caller that is known here; send a key, or have the certificate's name registered"
    )]
    CertificateUnknown,
    /// The token does not hold.
    #[error(transparent)]
    Token(#[from] tokens::Refused),
    /// The token holds, and is nobody's.
    #[error("the token names no caller that is known here; have what it names registered")]
    SubjectUnknown,
    /// Key or token and certificate, or two names of one certificate, are of different callers.
    #[error("what the call shows names two different callers")]
    TwoCallers,
    /// There is no keys file and the caller is on another machine.
    #[error("without a keys file only callers on this machine are served")]
    NotLocal,
}

/// What a keys file is read with.
#[derive(Clone, Debug, Default)]
pub struct Given<'a> {
    /// What its callers may do; none: the file says it.
    pub policy: Option<&'a Policy>,
    /// Whose tokens are taken; none: nobody's.
    pub tokens: Option<Tokens>,
}

/// Everybody who may call. Clones are of the same: what [`Callers::renew`] says of one holds for all.
#[derive(Clone, Debug)]
pub struct Callers {
    known: Arc<ArcSwap<Known>>,
    calls: Calls,
}

#[derive(Debug)]
enum Known {
    /// No keys file: loopback only.
    Loopback(Caller),
    /// A keys file.
    Registered(Registered),
}

#[derive(Clone, Debug, Default)]
struct Registered {
    /// In the order of the file.
    keys: Vec<(KeyDigest, Caller)>,
    certificates: BTreeMap<CertificateName, Caller>,
    /// By what their tokens say.
    subjects: BTreeMap<String, Caller>,
    /// None: no token is taken.
    tokens: Option<Tokens>,
}

/// How a certificate is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CertificateName {
    /// By its SHA-256: this one and no other.
    Fingerprint([u8; 32]),
    /// By an alternative name, a URI or a DNS name: any that a trusted authority gives to it.
    Alternative(String),
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
        let local = Caller::shared_by_all(LOCAL, Permissions::ALL);
        Callers::of(Known::Loopback(local))
    }

    /// Reads a keys file that says what its callers may do, where no tokens are taken.
    pub fn load(path: &Path) -> Result<Loaded, Error> {
        Callers::load_with(path, Given::default())
    }

    /// Reads a keys file, with what else is given.
    pub fn load_with(path: &Path, given: Given<'_>) -> Result<Loaded, Error> {
        let policy = given.policy;
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let callers = file::parse(&text, given).map_err(|faults| Error::Invalid {
            path: path.to_owned(),
            faults,
        })?;
        let mut warnings: Vec<String> = file::exposure(path).into_iter().collect();
        warnings.extend(
            policy
                .map(|policy| callers.unlike(policy))
                .unwrap_or_default(),
        );
        if callers.take_tokens_of_nobody() {
            warnings.push(format!(
                "`tokens.issuer` is set, and no caller of keys file `{}` has a `token`: every token is refused",
                path.display()
            ));
        }
        Ok(Loaded { callers, warnings })
    }

    fn of(known: Known) -> Callers {
        Callers {
            known: Arc::new(ArcSwap::from_pointee(known)),
            calls: Calls::default(),
        }
    }

    /// From now on it is others who may call. Each call is looked at by itself; streams that stand go on with what holds
    /// now, or end ([`Standing`]). What was counted of a caller is counted on, where as much is agreed with it as before.
    pub fn renew(&self, others: &Callers) {
        let before = self.known.load_full();
        let now = others.known.load().counting_on(&before);
        self.known.store(Arc::new(now));
        // Only now, for whoever is told looks at what is known.
        before.became(&self.known.load());
    }

    /// The same callers, whose calls are noted.
    #[must_use]
    pub fn noted_by(self, calls: Calls) -> Callers {
        Callers { calls, ..self }
    }

    /// A call that comes in from an address, to be shown with what else it shows.
    #[must_use]
    pub fn call(&self, address: Option<IpAddr>, path: PathAndQuery) -> Arc<Call> {
        Arc::new(Call {
            address,
            path,
            calls: self.calls.clone(),
        })
    }

    /// Whom only one of the two files names.
    fn unlike(&self, policy: &Policy) -> Vec<String> {
        let names = self.names();
        let without_key = policy
            .members()
            .filter(|(name, _)| !names.iter().any(|known| **known == **name))
            .map(|(name, member)| {
                let line = member.line;
                format!("line {line} of the access policy: the keys file does not name `{name}`")
            });
        let without_role = names
            .iter()
            .filter(|name| policy.member(name).is_none())
            .map(|name| format!("the access policy does not name `{name}`: it may do nothing"));
        without_key.chain(without_role).collect()
    }

    /// Says who calls. With a keys file the key, the token or the certificate decides, wherever the call comes from, and
    /// all must mean the same caller; without one the address does.
    pub fn authenticate(&self, shown: &Shown<'_>) -> Result<Caller, Refused> {
        let known = self.known.load();
        let recognised = match &**known {
            Known::Loopback(local) if shown.is_local => Ok(local),
            Known::Loopback(_) => Err(Refused::NotLocal),
            Known::Registered(registered) => registered.authenticate(shown),
        };
        match recognised {
            Ok(caller) => Ok(caller.calling(shown.call.cloned())),
            Err(refused) => {
                if let Some(call) = shown.call {
                    call.note(Noted::of(
                        call,
                        Outcome::Unauthenticated,
                        refused.to_string(),
                    ));
                }
                Err(refused)
            }
        }
    }

    /// The caller of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Caller> {
        let known = self.known.load();
        let found = match &**known {
            Known::Loopback(local) => Some(local).filter(|local| local.name() == name),
            Known::Registered(registered) => registered.all().find(|one| one.name() == name),
        };
        found.cloned()
    }

    /// The names, for a report at start.
    pub fn names(&self) -> Vec<Arc<str>> {
        match &**self.known.load() {
            Known::Loopback(local) => vec![local.shared_name()],
            Known::Registered(registered) => {
                let names: BTreeSet<Arc<str>> = registered.all().map(Caller::shared_name).collect();
                names.into_iter().collect()
            }
        }
    }

    /// Whether tokens are taken, and none can name anybody.
    fn take_tokens_of_nobody(&self) -> bool {
        matches!(&**self.known.load(), Known::Registered(known) if known.tokens.is_some() && known.subjects.is_empty())
    }
}

impl Known {
    /// The same, which goes on counting what another one counted.
    fn counting_on(&self, before: &Known) -> Known {
        match (self, before) {
            (Known::Registered(now), Known::Registered(before)) => {
                Known::Registered(now.counting_on(before))
            }
            (Known::Registered(now), Known::Loopback(_)) => Known::Registered(now.clone()),
            (Known::Loopback(local), _) => Known::Loopback(local.clone()),
        }
    }

    /// Tells streams that stand what has become of their callers.
    fn became(&self, now: &Known) {
        let (Known::Registered(before), Known::Registered(now)) = (self, now) else {
            return;
        };
        let (ways, ways_now) = (before.ways(), now.ways());
        let callers_now = now.by_name();
        for caller in before.all() {
            // Whose key was replaced is somebody else: who holds the old one must be out.
            let known = match (ways.get(caller.name()), ways_now.get(caller.name())) {
                (Some(before), Some(now)) => before.is_subset(now),
                _ => false,
            };
            caller.becomes(match callers_now.get(caller.name()) {
                Some(now) if known => Became::Another((*now).clone()),
                _ => Became::Nobody,
            });
        }
    }
}

/// By what a caller is known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Way<'a> {
    Key(&'a KeyDigest),
    Certificate(&'a CertificateName),
    Token(&'a str),
}

impl Registered {
    /// Everything by which each caller is known.
    fn ways(&self) -> BTreeMap<&str, BTreeSet<Way<'_>>> {
        let mut ways = BTreeMap::<&str, BTreeSet<Way<'_>>>::new();
        for (digest, caller) in &self.keys {
            ways.entry(caller.name())
                .or_default()
                .insert(Way::Key(digest));
        }
        for (name, caller) in &self.certificates {
            ways.entry(caller.name())
                .or_default()
                .insert(Way::Certificate(name));
        }
        for (subject, caller) in &self.subjects {
            ways.entry(caller.name())
                .or_default()
                .insert(Way::Token(subject));
        }
        ways
    }

    /// Everybody, once.
    fn by_name(&self) -> BTreeMap<&str, &Caller> {
        self.all().map(|caller| (caller.name(), caller)).collect()
    }

    /// See [`Known::counting_on`]. Who is known in several ways stays one caller.
    fn counting_on(&self, before: &Registered) -> Registered {
        let counted = before.by_name();
        let callers: BTreeMap<&str, Caller> = self
            .by_name()
            .into_iter()
            .map(|(name, caller)| {
                let before = counted.get(name);
                let on = before.map(|before| caller.counting_on(before));
                (name, on.unwrap_or_else(|| caller.clone()))
            })
            .collect();
        let on = |caller: &Caller| {
            let on = callers.get(caller.name());
            on.unwrap_or(caller).clone()
        };
        let keys = self.keys.iter();
        let certificates = self.certificates.iter();
        let subjects = self.subjects.iter();
        Registered {
            keys: keys
                .map(|(digest, caller)| (digest.clone(), on(caller)))
                .collect(),
            certificates: certificates
                .map(|(name, caller)| (name.clone(), on(caller)))
                .collect(),
            subjects: subjects
                .map(|(subject, caller)| (subject.clone(), on(caller)))
                .collect(),
            tokens: self.tokens.clone(),
        }
    }

    /// Everybody; who is known in several ways comes several times.
    fn all(&self) -> impl Iterator<Item = &Caller> {
        let with_key = self.keys.iter().map(|(_, caller)| caller);
        let with_certificate = self.certificates.values();
        with_key
            .chain(with_certificate)
            .chain(self.subjects.values())
    }

    fn authenticate(&self, shown: &Shown<'_>) -> Result<&Caller, Refused> {
        let by_bearer = shown.authorization.map(|text| self.by_bearer(text));
        let by_bearer = by_bearer.transpose()?;
        let mut callers = by_bearer.into_iter().chain(
            shown
                .certificate
                .into_iter()
                .flat_map(|one| self.by_certificate(one)),
        );
        let caller = callers.next().ok_or(match shown.certificate {
            Some(_) => Refused::CertificateUnknown,
            None => Refused::KeyMissing,
        })?;
        match callers.all(|other| other == caller) {
            true => Ok(caller),
            false => Err(Refused::TwoCallers),
        }
    }

    /// A key that is known is one, whatever its form; else it may be a token.
    fn by_bearer(&self, authorization: &str) -> Result<&Caller, Refused> {
        let value = bearer(authorization).ok_or(Refused::NotBearer)?;
        match (self.by_key(value), &self.tokens) {
            (Err(Refused::KeyUnknown), Some(tokens)) if Tokens::is_form_of(value) => {
                let subject = tokens.subject_of(value)?;
                self.subjects.get(&*subject).ok_or(Refused::SubjectUnknown)
            }
            (by_key, _) => by_key,
        }
    }

    /// The digests of all keys are compared to the end and in constant time, so that an answer's timing tells nothing
    /// of how much of a digest was right or whose it was.
    fn by_key(&self, key: &str) -> Result<&Caller, Refused> {
        let presented = KeyDigest::of(key);
        let mut found = NOBODY;
        for (index, (digest, _)) in (0..NOBODY).zip(&self.keys) {
            found.conditional_assign(&index, digest.0.ct_eq(&presented.0));
        }
        let known = usize::try_from(found)
            .ok()
            .and_then(|index| self.keys.get(index));
        known.map(|(_, caller)| caller).ok_or(Refused::KeyUnknown)
    }

    fn by_certificate(&self, certificate: &Certificate) -> impl Iterator<Item = &Caller> {
        let names = certificate.names().map(str::to_owned);
        let names = names.map(CertificateName::Alternative);
        std::iter::once(CertificateName::Fingerprint(*certificate.fingerprint()))
            .chain(names.collect::<Vec<_>>())
            .filter_map(|name| self.certificates.get(&name))
    }
}

impl Refused {
    /// Whether it passes by itself, so that the caller may try again with what it has.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Refused::Token(tokens::Refused::KeysAwaited))
    }
}

/// The caller of a request, if it may do this. An interceptor of the server puts it into the extensions
/// of each request; without one every call is refused.
///
/// # Errors
/// `UNAUTHENTICATED` and `PERMISSION_DENIED`, with the permission that it lacks.
pub fn permitted<T>(request: &Request<T>, permission: Permission) -> Result<Caller, Status> {
    permitted_by(request, permission.alone())
}

/// As [`permitted`], where each of several permissions is enough.
///
/// # Errors
/// As there.
pub fn permitted_by<T>(
    request: &Request<T>,
    permissions: &'static [Permission],
) -> Result<Caller, Status> {
    let caller = caller_of(request)?;
    match caller.permit_by(permissions) {
        Ok(()) => Ok(caller.clone()),
        Err(refused) => Err(Status::permission_denied(refused.to_string())),
    }
}

/// As [`permitted`], for a subject's report: the record of calls keeps what is said of it.
///
/// # Errors
/// As there; `RESOURCE_EXHAUSTED` with a hint when to come back, after as many as the caller may have within an hour.
pub fn permitted_report<T>(
    request: &Request<T>,
    asked: &ReportAsked<'_>,
) -> Result<Caller, Status> {
    let caller = caller_of(request)?;
    match caller.permit_report(asked) {
        Ok(()) => Ok(caller.clone()),
        Err(NotPermitted::TooManyReports(wait)) => Err(status::too_many_status(
            wait,
            &NotPermitted::TooManyReports(wait).to_string(),
        )),
        Err(refused) => Err(Status::permission_denied(refused.to_string())),
    }
}

/// As [`permitted`], for a call whose answer may show people: besides, what of them the caller sees. In full only where
/// the access policy lets it and the call says why, in the metadata `creditgate-reason-bin` (UTF-8) or `creditgate-reason`
/// (ASCII); the record of calls keeps the reason.
///
/// # Errors
/// As there, and `INVALID_ARGUMENT` for a reason that cannot be recorded.
pub fn permitted_to_see<T>(
    request: &Request<T>,
    permission: Permission,
) -> Result<(Caller, Sees), Status> {
    let caller = caller_of(request)?;
    let reason = reason_of(request.metadata())
        .map_err(|rule| status::refused_status(&creditgate_proto::Refused::one(REASON, rule)))?;
    caller
        .permit_to_see(permission, reason.as_deref())
        .map(|sees| (caller.clone(), sees))
        .map_err(|refused| Status::permission_denied(refused.to_string()))
}

/// Why a call asks to be shown people in full; none: it does not.
fn reason_of(metadata: &MetadataMap) -> Result<Option<String>, &'static str> {
    const RULE: &str =
        "expected a text of at most 200 characters, without control characters: it is recorded";
    let text = match metadata.get_bin(REASON_BIN) {
        Some(value) => {
            let bytes = value.to_bytes().map_err(|_| RULE)?;
            String::from_utf8(bytes.to_vec()).map_err(|_| RULE)?
        }
        None => match metadata.get(REASON) {
            Some(value) => value.to_str().map_err(|_| RULE)?.to_owned(),
            None => return Ok(None),
        },
    };
    let text = text.trim();
    if text.chars().count() > REASON_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(RULE);
    }
    if names_somebody(text) {
        return Err(
            "no code or number of a subject: it is recorded; name the document or the case",
        );
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn caller_of<T>(request: &Request<T>) -> Result<&Caller, Status> {
    let caller = request.extensions().get::<Caller>();
    caller.ok_or_else(|| Status::unauthenticated("the caller is not known"))
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
        from_hex(text).map(KeyDigest)
    }
}

impl CertificateName {
    fn parse(text: &str) -> Option<Self> {
        if let Some(hex) = text.strip_prefix("sha256:") {
            return from_hex(hex).map(Self::Fingerprint);
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        (plain && (1..=255).contains(&text.len())).then(|| Self::Alternative(text.to_owned()))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::config::HIDDEN)
    }
}

/// The key or token in an `authorization` header. The scheme's name is compared without case, as HTTP asks.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}
