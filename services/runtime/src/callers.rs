//! Who may call and what: names in a file, each with the SHA-256 of its bearer key or the name in its certificate or its
//! tokens; the keys themselves are kept nowhere. What they may do stands in the same file, or in an access policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use creditgate_measures::event::Region;
use creditgate_proto::v1;
use http::uri::PathAndQuery;
use serde::Deserialize;
use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tonic::{Request, Status};

use crate::access::{Answered, Call, Calls, Noted, Outcome, Outside, Policy, Question, Scope};
use crate::config::Secret;
use crate::hex::{from_hex, hex};
use crate::tls::Certificate;
use crate::tokens::{self, Tokens};

/// The name that journal records bear for callers on loopback when there is no keys file; no file may give it away.
pub const LOCAL: &str = "local";

/// The name that records bear for what the watched folder imports; no file may give it away.
pub const INBOX: &str = "inbox";

/// The name that records bear for events from Kafka, which does not tell who published them.
pub const KAFKA: &str = "kafka";

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
    /// Look after the systems that changes, verdicts and notices are sent to.
    Operate,
    /// See who may do what.
    Secure,
    /// See who called.
    Audit,
}

/// Duties of administrators, of whom nobody may hold two (GB/T 22239, level 3).
const DUTIES: [Permission; 3] = [Permission::Operate, Permission::Secure, Permission::Audit];

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u16);

/// Somebody who was recognised. Only [`Callers::authenticate`] makes one for a call; [`Caller::inbox`] and
/// [`Caller::kafka`] are no calls.
#[derive(Clone, Debug)]
pub struct Caller {
    known: Arc<KnownAs>,
    /// What this is: none where it is no call.
    call: Option<Arc<Call>>,
}

/// What is known of a caller.
#[derive(Debug)]
struct KnownAs {
    name: Arc<str>,
    may: Permissions,
    shared: bool,
    /// None where there is no access policy: then permissions are all that limits.
    scope: Option<Arc<Scope>>,
}

/// Nobody else has the name.
impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        self.known.name == other.known.name
    }
}

impl Eq for Caller {}

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

/// A recognised caller may not do this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// It lacks the permission.
    #[error("this caller may not do this: it needs the permission {}", in_words(.0))]
    Lacks(&'static [Permission]),
    /// It does not deal with it.
    #[error(transparent)]
    Outside(#[from] Outside),
}

/// What a keys file is read with.
#[derive(Clone, Debug, Default)]
pub struct Given<'a> {
    /// What its callers may do; none: the file says it.
    pub policy: Option<&'a Policy>,
    /// Whose tokens are taken; none: nobody's.
    pub tokens: Option<Tokens>,
}

/// Everybody who may call.
#[derive(Clone, Debug)]
pub struct Callers {
    known: Arc<Known>,
    calls: Calls,
}

#[derive(Debug)]
enum Known {
    /// No keys file: loopback only.
    Loopback(Caller),
    /// A keys file.
    Registered(Registered),
}

#[derive(Debug, Default)]
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
        let callers = Callers::parse(&text, given).map_err(|faults| Error::Invalid {
            path: path.to_owned(),
            faults,
        })?;
        let mut warnings: Vec<String> = exposure(path).into_iter().collect();
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
            known: Arc::new(known),
            calls: Calls::default(),
        }
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
            .filter(|(name, _)| !names.contains(name))
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
        let recognised = match &*self.known {
            Known::Loopback(local) if shown.is_local => Ok(local),
            Known::Loopback(_) => Err(Refused::NotLocal),
            Known::Registered(registered) => registered.authenticate(shown),
        };
        match recognised {
            Ok(caller) => Ok(Caller {
                call: shown.call.cloned(),
                known: Arc::clone(&caller.known),
            }),
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
    pub fn named(&self, name: &str) -> Option<&Caller> {
        match &*self.known {
            Known::Loopback(local) => Some(local).filter(|local| local.name() == name),
            Known::Registered(registered) => registered.all().find(|one| one.name() == name),
        }
    }

    /// The names, for a report at start.
    pub fn names(&self) -> Vec<&str> {
        match &*self.known {
            Known::Loopback(local) => vec![local.name()],
            Known::Registered(registered) => {
                let names: BTreeSet<&str> = registered.all().map(Caller::name).collect();
                names.into_iter().collect()
            }
        }
    }

    /// Whether tokens are taken, and none can name anybody.
    fn take_tokens_of_nobody(&self) -> bool {
        matches!(&*self.known, Known::Registered(known) if known.tokens.is_some() && known.subjects.is_empty())
    }

    fn parse(text: &str, given: Given<'_>) -> Result<Callers, Vec<String>> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            let message = error.without_snippet().to_string();
            vec![format!(
                "line {line}: {}",
                message.lines().next().unwrap_or_default()
            )]
        })?;
        written.validate(given)
    }
}

impl Registered {
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

impl Caller {
    fn new(known: KnownAs) -> Caller {
        Caller {
            known: Arc::new(known),
            call: None,
        }
    }

    /// Somebody who is not one person.
    fn shared_by_all(name: &str, may: Permissions) -> Caller {
        Caller::new(KnownAs {
            name: name.into(),
            may,
            shared: true,
            scope: None,
        })
    }

    /// The watched folder of this process: it brings lists, and may do nothing else. Who may put files there, the
    /// operating system decides.
    pub fn inbox() -> Caller {
        Caller::shared_by_all(INBOX, [Permission::Lists].into_iter().collect())
    }

    /// Whoever published an event on Kafka: it has events decided, and may do nothing else. Who may publish there, the
    /// broker decides.
    pub fn kafka() -> Caller {
        static ANYBODY: LazyLock<Caller> = LazyLock::new(|| {
            Caller::shared_by_all(KAFKA, [Permission::Check].into_iter().collect())
        });
        ANYBODY.clone()
    }

    /// The name, as kept with every record.
    pub fn name(&self) -> &str {
        &self.known.name
    }

    /// The name, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.known.name.clone()
    }

    /// Whether several people call by this name: then it tells nobody from another, and whoever holds the key
    /// answers for the names of officials that it sends. Who calls without a key is one of them.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.known.shared
    }

    /// The department it belongs to, as the access policy says.
    #[must_use]
    pub fn department(&self) -> Option<&str> {
        self.known.scope.as_ref().map(|scope| &*scope.department)
    }

    /// Whether this caller may do that.
    pub fn may(&self, permission: Permission) -> bool {
        self.known.may.contains(permission)
    }

    /// Lets this caller do that, and takes note of it; of checks only where they are refused, for they leave verdicts.
    ///
    /// # Errors
    /// When it may not.
    pub fn permit(&self, permission: Permission) -> Result<(), NotPermitted> {
        self.permit_by(permission.alone())
    }

    /// As [`Caller::permit`], where each of several permissions is enough.
    ///
    /// # Errors
    /// When it has none of them.
    pub fn permit_by(&self, permissions: &'static [Permission]) -> Result<(), NotPermitted> {
        if permissions.iter().any(|one| self.may(*one)) {
            if permissions != [Permission::Check] {
                self.note(Outcome::Allowed, String::new);
            }
            return Ok(());
        }
        let refused = NotPermitted::Lacks(permissions);
        self.note(Outcome::PermissionDenied, || refused.to_string());
        Err(refused)
    }

    /// Lets this caller have an event decided, as far as what it is about goes, and takes note when not.
    ///
    /// # Errors
    /// When it does not deal with that.
    pub fn asks_about<'a>(&self, question: impl Into<Question<'a>>) -> Result<(), NotPermitted> {
        let Some(scope) = &self.known.scope else {
            return Ok(());
        };
        scope.covers(&question.into()).map_err(|outside| {
            self.note(Outcome::Outside, || outside.to_string());
            outside.into()
        })
    }

    /// What it may do.
    pub(crate) fn answer(&self, needs: Permission, question: Option<&Question<'_>>) -> Answered {
        Answered::of(self.known.may, self.known.scope.as_deref(), needs, question)
    }

    /// Whether the verdict on this event is this caller's to read; takes note when not.
    #[must_use]
    pub fn reads(&self, event: Option<&v1::Event>) -> bool {
        let deals = self.deals_with(event);
        if !deals {
            self.note(Outcome::Outside, || {
                "asked for a verdict of matters that it does not deal with".to_owned()
            });
        }
        deals
    }

    /// Whether it deals with such events, whatever for. Without an event nobody knows, and only those may have it to whom no
    /// policy sets limits.
    #[must_use]
    pub fn deals_with(&self, event: Option<&v1::Event>) -> bool {
        let Some(scope) = &self.known.scope else {
            return true;
        };
        event.is_some_and(|event| {
            let region = Region::parse(&event.region);
            region.is_some_and(|region| {
                scope
                    .covers_reading(&event.scenario, &event.stage, region)
                    .is_ok()
            })
        })
    }

    /// Counts one check against what was agreed with this caller.
    ///
    /// # Errors
    /// When that is used up: how long to wait.
    pub fn take_one(&self) -> Result<(), Duration> {
        let Some(scope) = &self.known.scope else {
            return Ok(());
        };
        scope.take_one().inspect_err(|_| {
            self.note(Outcome::TooMany, || {
                "more checks a second than the access policy allows".to_owned()
            });
        })
    }

    fn note(&self, outcome: Outcome, why: impl FnOnce() -> String) {
        // What is no call is recorded by those who do it.
        let Some(call) = &self.call else { return };
        let scope = self.known.scope.as_ref();
        call.note(Noted {
            caller: Some(self.shared_name()),
            department: scope.map(|scope| Arc::clone(&scope.department)),
            ..Noted::of(call, outcome, why())
        });
    }
}

impl Permissions {
    /// Every permission there is.
    pub const ALL: Permissions = Permissions(u16::MAX);

    /// Whether the permission is in the set.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }
}

impl Permission {
    /// Every one there is.
    pub const EVERY: [Permission; 11] = [
        Permission::Check,
        Permission::Lists,
        Permission::Read,
        Permission::Watch,
        Permission::Publish,
        Permission::Simulate,
        Permission::Cases,
        Permission::Feedback,
        Permission::Operate,
        Permission::Secure,
        Permission::Audit,
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
            Permission::Operate => "operate",
            Permission::Secure => "secure",
            Permission::Audit => "audit",
        }
    }

    /// A list of this one.
    fn alone(self) -> &'static [Permission] {
        static EVERY: [Permission; 11] = Permission::EVERY;
        std::slice::from_ref(&EVERY[self as usize])
    }

    const fn bit(self) -> u16 {
        1 << self as u16
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
    let caller = request.extensions().get::<Caller>();
    let caller = caller.ok_or_else(|| Status::unauthenticated("the caller is not known"))?;
    match caller.permit_by(permissions) {
        Ok(()) => Ok(caller.clone()),
        Err(refused) => Err(Status::permission_denied(refused.to_string())),
    }
}

fn in_words(permissions: &[Permission]) -> String {
    let words: Vec<String> = permissions
        .iter()
        .map(|one| format!("`{}`", one.word()))
        .collect();
    words.join(" or ")
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
    #[serde(default)]
    key_sha256: Option<Spanned<String>>,
    #[serde(default)]
    certificate: Option<Spanned<String>>,
    #[serde(default)]
    token: Option<Spanned<String>>,
    /// Left out where an access policy says it.
    #[serde(default)]
    may: Option<Vec<Permission>>,
    /// Several officials call with this key: their names alone tell them apart.
    #[serde(default)]
    shared: bool,
}

impl Written {
    fn validate(self, given: Given<'_>) -> Result<Callers, Vec<String>> {
        let Given { policy, tokens } = given;
        let mut faults = Vec::new();
        let mut names: BTreeMap<String, u64> = BTreeMap::new();
        let mut digests: BTreeMap<KeyDigest, u64> = BTreeMap::new();
        let mut certificates: BTreeMap<CertificateName, u64> = BTreeMap::new();
        let mut subjects: BTreeMap<String, u64> = BTreeMap::new();
        let mut registered = Registered {
            tokens,
            ..Registered::default()
        };
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
            } else if name == KAFKA {
                faults.push(format!(
                    "line {line}: `{KAFKA}` is the name of whoever published an event there; choose another"
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
            match (&caller.may, policy) {
                (Some(_), Some(_)) => faults.push(format!(
                    "line {line}: the access policy says what `{name}` may do; leave out `may`"
                )),
                (None, None) => faults.push(format!(
                    "line {line}: `{name}` may do nothing; name at least one permission in `may`, or an access policy in the \
                     configuration"
                )),
                (Some(may), None) if may.is_empty() => faults.push(format!(
                    "line {line}: `{name}` may do nothing; name at least one permission in `may`"
                )),
                (Some(_), None) | (None, Some(_)) => {}
            }
            if caller.key_sha256.is_none() && caller.certificate.is_none() && caller.token.is_none()
            {
                faults.push(format!(
                    "line {line}: nobody could tell who `{name}` is; give it a `key_sha256`, a `certificate` or a `token`"
                ));
            }
            let member = policy.and_then(|policy| policy.member(&name));
            let may = match member {
                Some(member) => member.permissions(),
                None => caller.may.into_iter().flatten().collect(),
            };
            if DUTIES.iter().filter(|duty| may.contains(**duty)).count() > 1 {
                faults.push(format!(
                    "line {line}: `{name}` may do two of {}: give each to somebody else",
                    in_words(&DUTIES)
                ));
            }
            let scope = match (policy, member) {
                (None, _) => None,
                (Some(_), Some(member)) => Some(Arc::clone(&member.scope)),
                (Some(_), None) => Some(Arc::new(Scope::nothing())),
            };
            let known = Caller::new(KnownAs {
                name: name.into(),
                may,
                shared: caller.shared,
                scope,
            });
            if let Some(key) = caller.key_sha256 {
                let line = key.referenced.line();
                let Some(digest) = KeyDigest::from_hex(&key.value) else {
                    // The value is not repeated: it might be the key itself, pasted by mistake.
                    faults.push(format!(
                        "line {line}: `key_sha256` must be the 64 hexadecimal digits of the SHA-256 of the key, \
                         never the key itself"
                    ));
                    continue;
                };
                if let Some(first) = digests.insert(digest.clone(), line) {
                    faults.push(format!(
                        "line {line}: the key is also the key of line {first}"
                    ));
                }
                registered.keys.push((digest, known.clone()));
            }
            if let Some(certificate) = caller.certificate {
                let line = certificate.referenced.line();
                let Some(certificate) = CertificateName::parse(&certificate.value) else {
                    faults.push(format!(
                        "line {line}: `certificate` must be an alternative name in the certificate, a URI or a DNS name, \
                         or `sha256:` and the 64 hexadecimal digits of the SHA-256 of the whole"
                    ));
                    continue;
                };
                if let Some(first) = certificates.insert(certificate.clone(), line) {
                    faults.push(format!(
                        "line {line}: the certificate is also the certificate of line {first}"
                    ));
                }
                registered.certificates.insert(certificate, known.clone());
            }
            if let Some(token) = caller.token {
                let (subject, line) = (token.value, token.referenced.line());
                if registered.tokens.is_none() {
                    faults.push(format!(
                        "line {line}: `token` says whose tokens are taken, and none are: set `tokens.issuer` and \
                         `tokens.audience`"
                    ));
                }
                if !is_subject(&subject) {
                    faults.push(format!(
                        "line {line}: `token` must be what the claim `tokens.claim` of the caller's tokens says: 1 to 255 \
                         characters, never a token itself"
                    ));
                    continue;
                }
                if let Some(first) = subjects.insert(subject.clone(), line) {
                    faults.push(format!(
                        "line {line}: the token is also the token of line {first}"
                    ));
                }
                registered.subjects.insert(subject, known);
            }
        }
        if faults.is_empty() {
            Ok(Callers::of(Known::Registered(registered)))
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

/// What a token may name. A token is longer than that, unless it was made to be short.
fn is_subject(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// The key or token in an `authorization` header. The scheme's name is compared without case, as HTTP asks.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
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

    fn parse(text: &str) -> Result<Callers, Vec<String>> {
        Callers::parse(text, Given::default())
    }

    fn two() -> Callers {
        let other = hash_key("other-key");
        parse(&format!(
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
            let answer = two().authenticate(&Shown {
                authorization: header,
                certificate: None,
                is_local: loopback,
                call: None,
            });
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
    fn a_certificate_is_as_good_as_a_key_and_both_must_mean_the_same_caller() {
        let callers = parse(&format!(
            "callers:\n- {{name: land, certificate: \"spiffe://city.example/land\", key_sha256: {ABC}, may: [check]}}\n\
             - {{name: tender, certificate: \"sha256:{}\", may: [check]}}\n",
            "07".repeat(32)
        ))
        .unwrap();
        let check =
            |key: Option<&str>, fingerprint, names: &[&str], expected: Result<&str, Refused>| {
                let answer = callers.authenticate(&Shown {
                    authorization: key,
                    certificate: Some(&Certificate::with([fingerprint; 32], names)),
                    is_local: false,
                    call: None,
                });
                let name = answer.as_ref().map(Caller::name);
                assert_eq!(
                    name.map_err(|refused| *refused),
                    expected,
                    "{key:?} {names:?}"
                );
            };
        let land = "spiffe://city.example/land";
        check(None, 1, &["other", land], Ok("land"));
        check(None, 7, &[], Ok("tender"));
        check(Some("Bearer abc"), 1, &[land], Ok("land"));
        // A key tells who calls with a certificate of no caller.
        check(Some("Bearer abc"), 1, &["proxy.example"], Ok("land"));
        check(
            None,
            1,
            &["spiffe://city.example/lan"],
            Err(Refused::CertificateUnknown),
        );
        check(Some("Bearer wrong"), 1, &[land], Err(Refused::KeyUnknown));
        check(Some("Bearer abc"), 7, &[], Err(Refused::TwoCallers));
        check(None, 7, &[land], Err(Refused::TwoCallers));
        assert_eq!(callers.names(), ["land", "tender"]);
    }

    #[test]
    fn each_permission_is_found_by_its_place() {
        for permission in Permission::EVERY {
            assert_eq!(permission.alone(), [permission]);
        }
    }

    #[test]
    fn a_caller_may_only_what_the_file_says() {
        let caller = two()
            .authenticate(&Shown::authorization("Bearer abc"))
            .unwrap();
        let may: Vec<bool> = Permission::EVERY
            .iter()
            .map(|one| caller.may(*one))
            .collect();
        let expected = [Permission::Check, Permission::Read];
        assert_eq!(may, Permission::EVERY.map(|one| expected.contains(&one)));
        let every = Permission::EVERY.into_iter().collect::<Permissions>();
        assert_eq!(every.0.count_ones() as usize, Permission::EVERY.len());
    }

    #[test]
    fn a_key_is_of_one_official_unless_the_file_says_that_it_is_shared() {
        let other = hash_key("other-key");
        let callers = parse(&format!(
            "callers:\n- {{name: desk.system, key_sha256: {ABC}, may: [cases], shared: true}}\n\
             - {{name: wang.wu, key_sha256: {other}, may: [cases]}}\n"
        ))
        .unwrap();
        let shared = |key: &str| {
            callers
                .authenticate(&Shown::authorization(key))
                .unwrap()
                .is_shared()
        };
        assert!(shared("Bearer abc"));
        assert!(!shared("Bearer other-key"));
        // Everybody on the machine is one caller.
        let local = Callers::loopback_only()
            .authenticate(&Shown::LOCAL)
            .unwrap();
        assert!(local.is_shared());
    }

    #[test]
    fn without_a_keys_file_only_loopback_may_call_and_is_local() {
        let callers = Callers::loopback_only();
        let local = callers.authenticate(&Shown::LOCAL).unwrap();
        assert_eq!(local.name(), LOCAL);
        assert!(Permission::EVERY.iter().all(|one| local.may(*one)));
        assert_eq!(
            callers.authenticate(&Shown::authorization("Bearer abc")),
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
        let faults = parse(&format!(
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
        let callers = parse("callers: []\n").unwrap();
        assert_eq!(
            callers.authenticate(&Shown::authorization("Bearer abc")),
            Err(Refused::KeyUnknown)
        );
        assert_eq!(
            callers.authenticate(&Shown::LOCAL),
            Err(Refused::KeyMissing)
        );
    }

    #[test]
    fn a_bad_file_is_refused_with_every_fault() {
        let check = |yaml: &str, expected: &[&str]| {
            let faults = parse(yaml).unwrap_err();
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
        check(
            &format!("callers:\n- {{name: a, key_sha256: {ABC}, may: [audit, operate]}}\n"),
            &["line 2: `a` may do two of `operate` or `secure` or `audit`"],
        );
        check("calers: []\n", &["calers"]);
        check(
            "callers:\n- {name: a, may: [read]}\n",
            &["line 2: nobody could tell who `a` is"],
        );
        check(
            "callers:\n- {name: a, certificate: \"sha256:07\", may: [read]}\n- {name: b, certificate: \"two words\", may: [read]}\n",
            &[
                "line 2: `certificate` must be",
                "line 3: `certificate` must be",
            ],
        );
        check(
            "callers:\n- {name: a, certificate: x.example, may: [read]}\n- {name: b, certificate: x.example, may: [read]}\n",
            &["line 3: the certificate is also the certificate of line 2"],
        );
    }

    #[test]
    fn a_key_pasted_for_its_hash_is_not_repeated_in_the_error() {
        let faults =
            parse("callers:\n- {name: a, key_sha256: cgk_secret, may: [read]}\n").unwrap_err();
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

    const POLICY: &str = "callers:\n- name: tender-platform\n  department: 示例市公共资源交易中心\n  roles: [business]\n  \
                          matters: [{scenario: tender, regions: [\"329900\"]}]\n- {name: gone, department: 市, roles: \
                          [list_source]}\n";

    fn under(policy: &Policy) -> Given<'_> {
        Given {
            policy: Some(policy),
            tokens: None,
        }
    }

    #[test]
    fn under_a_policy_it_alone_says_what_a_caller_may() {
        let policy = Policy::parse(POLICY).unwrap();
        let other = hash_key("other-key");
        let callers = Callers::parse(
            &format!(
                "callers:\n- {{name: tender-platform, key_sha256: {ABC}}}\n- {{name: new, key_sha256: {other}}}\n"
            ),
            under(&policy),
        )
        .unwrap();
        let known = |key: &str| callers.authenticate(&Shown::authorization(key)).unwrap();
        let platform = known("Bearer abc");
        assert_eq!(platform.permit(Permission::Check), Ok(()));
        assert_eq!(
            platform.permit(Permission::Read),
            Err(NotPermitted::Lacks(&[Permission::Read]))
        );
        let question = |region: &str| Question {
            source: "tender-platform",
            scenario: "tender",
            stage: "evaluate",
            region: Region::parse(region).unwrap(),
            purpose: None,
            item: None,
        };
        assert_eq!(platform.asks_about(question("329905")), Ok(()));
        assert_eq!(
            platform.asks_about(question("320100")),
            Err(NotPermitted::Outside(Outside::Region))
        );
        let event = |region: &str| v1::Event {
            scenario: "tender".to_owned(),
            stage: "award".to_owned(),
            region: region.to_owned(),
            ..v1::Event::default()
        };
        assert!(platform.reads(Some(&event("329900"))));
        assert!(!platform.reads(Some(&event("?"))));
        assert!(!platform.reads(None));
        assert_eq!(
            known("Bearer other-key").asks_about(question("329905")),
            Err(NotPermitted::Outside(Outside::Scenario))
        );
        assert!(
            !Permission::EVERY
                .iter()
                .any(|one| known("Bearer other-key").may(*one))
        );
        assert_eq!(
            callers.unlike(&policy),
            [
                "line 6 of the access policy: the keys file does not name `gone`",
                "the access policy does not name `new`: it may do nothing"
            ]
        );
        let faults = Callers::parse(
            &format!("callers:\n- {{name: tender-platform, key_sha256: {ABC}, may: [read]}}\n"),
            under(&policy),
        )
        .unwrap_err();
        assert!(faults[0].contains("leave out `may`"), "{faults:?}");
    }

    #[test]
    fn without_a_policy_permissions_are_all_that_limits() {
        let caller = two()
            .authenticate(&Shown::authorization("Bearer abc"))
            .unwrap();
        let question = Question {
            source: "any",
            scenario: "any",
            stage: "any",
            region: Region::NATION,
            purpose: None,
            item: None,
        };
        assert_eq!(caller.asks_about(question), Ok(()));
        assert!(caller.reads(None));
        assert_eq!(caller.take_one(), Ok(()));
        assert!(Caller::kafka().may(Permission::Check));
        assert_eq!(Caller::kafka().asks_about(question), Ok(()));
    }
}
