//! Callers known by JSON Web Tokens (RFC 7519): whose tokens are taken, what one must say, and which were verified.
//!
//! Nobody waits for the network here: [`Tokens::follow`] brings keys in beside the calls, and a token for which there
//! are none yet is refused, in words that say so.

mod key_set;
mod signature;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use self::key_set::KeySet;
use self::source::Source;
use crate::clock::Clock;

pub use self::source::{Error, Pace, discovery};

/// The name under which the issuer's keys speak to readiness; only once something is wrong.
pub const COMPONENT: &str = "tokens";
/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Most tokens that are remembered as verified.
const VERIFIED_MAX: u64 = 10_000;

/// Whose tokens are taken, and what one must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What `iss` must be, to the letter.
    pub issuer: String,
    /// What must be in `aud`: the name of this service.
    pub audience: String,
    /// The claim that names the caller.
    pub claim: String,
    /// By how much the issuer's clock may differ from this machine's.
    pub clock_skew: Duration,
    /// Where the issuer's public keys come from.
    pub keys: Keys,
}

/// Where the public keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// A file with a JWK set (RFC 7517), read again when it changes.
    File(PathBuf),
    /// The issuer itself, found by discovery and asked again from time to time.
    Issuer {
        /// Who vouches for it over https; none: whom the system trusts.
        ca_file: Option<PathBuf>,
        /// When it is asked.
        pace: Pace,
    },
}

/// Why a token is not taken. None of them repeats anything of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is longer than any that is read.
    #[error("the token is longer than 8 KiB")]
    TooLong,
    /// It is none.
    #[error("the token cannot be read as a signed JSON Web Token")]
    Malformed,
    /// It is not signed, or signed with a secret that both sides would know.
    #[error(
        "the token is not signed in a way that is taken here: RS256 to RS512, PS256 to PS512, ES256, ES384 or EdDSA"
    )]
    Algorithm,
    /// It demands what is not understood here.
    #[error("the token has a `crit` header, and none is understood here")]
    Critical,
    /// No key of the issuer fits.
    #[error("the token is signed with a key that is not known to be the issuer's")]
    KeyUnknown,
    /// It was changed, or signed by somebody else.
    #[error("the token's signature does not hold")]
    Signature,
    /// Somebody else issued it.
    #[error("the token's `iss` is not the issuer whose tokens are taken here")]
    Issuer,
    /// It is meant for others.
    #[error("the token's `aud` does not name this service")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// It does not say what it must.
    #[error(
        "the token lacks a claim that is needed here: `aud`, `exp` or the one that names the caller"
    )]
    ClaimMissing,
    /// The issuer has not told its keys, or too long ago. It passes by itself.
    #[error("the keys of the token's issuer are not available yet: try again later")]
    KeysAwaited,
}

/// Verifies tokens of one issuer; cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    settings: Settings,
    clock: Clock,
    source: Source,
    /// None until the issuer has told its keys, and once they are too old.
    known: ArcSwapOption<Known>,
    /// Somebody showed a token of a key that is not known.
    unknown_key: Notify,
}

/// Keys, and the tokens that they verified: other keys begin without any.
struct Known {
    keys: KeySet,
    /// By the SHA-256 of the token.
    verified: Cache<[u8; 32], Verified>,
}

/// What a token says whose signature, issuer and audience are right.
#[derive(Clone)]
struct Verified {
    subject: Arc<str>,
    /// Seconds since 1970, as `expires`.
    not_before: Option<i64>,
    expires: i64,
}

/// What is read of a token before anything of it is believed.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Tokens {
    /// Reads the files that the settings name. The issuer is asked only by [`Tokens::follow`].
    ///
    /// # Errors
    /// When a file cannot be read or used, or the issuer is nobody who can be asked.
    pub fn load(settings: Settings, clock: Clock) -> Result<Self, Error> {
        signature::install();
        let (source, keys) = Source::open(&settings)?;
        Ok(Self(Arc::new(Inner {
            settings,
            clock,
            source,
            known: ArcSwapOption::new(keys.map(Known::new)),
            unknown_key: Notify::new(),
        })))
    }

    /// Whether a bearer value has the form of a token: three parts. No key that is made here has it.
    #[must_use]
    pub fn is_form_of(value: &str) -> bool {
        value.bytes().filter(|&byte| byte == b'.').count() == 2
    }

    /// Whom a token names, when it holds now.
    ///
    /// # Errors
    /// Why it does not.
    pub fn subject_of(&self, token: &str) -> Result<Arc<str>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        let known = self.0.known.load();
        let known = known.as_ref().ok_or(Refused::KeysAwaited)?;
        let digest = Sha256::digest(token).into();
        if let Some(verified) = known.verified.get(&digest) {
            self.in_force(&verified)?;
            return Ok(verified.subject);
        }
        let verified = self.verify(token, &known.keys).inspect_err(|refused| {
            // The issuer may have made a key since; how often it is asked at most, its source decides.
            if *refused == Refused::KeyUnknown {
                self.0.unknown_key.notify_one();
            }
        })?;
        self.in_force(&verified)?;
        let subject = Arc::clone(&verified.subject);
        known.verified.insert(digest, verified);
        Ok(subject)
    }

    /// Everything that does not depend on the time.
    fn verify(&self, token: &str, keys: &KeySet) -> Result<Verified, Refused> {
        let header = Header::of(token).ok_or(Refused::Malformed)?;
        let algorithm: Option<Algorithm> = header.alg.parse().ok();
        let algorithm = algorithm.filter(|&one| signature::verifies(one));
        let algorithm = algorithm.ok_or(Refused::Algorithm)?;
        if header.crit.is_some() {
            return Err(Refused::Critical);
        }
        let validation = self.validation(algorithm);
        let mut unfit = Refused::KeyUnknown;
        for key in keys.fitting(algorithm, header.kid.as_deref()) {
            match jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation) {
                Ok(decoded) => return self.read(&decoded.claims),
                Err(error) => match error.kind() {
                    // Where the token names its key, that was it.
                    ErrorKind::InvalidSignature if header.kid.is_some() => {
                        unfit = Refused::Signature;
                    }
                    ErrorKind::InvalidSignature => {}
                    ErrorKind::InvalidAudience => return Err(Refused::Audience),
                    ErrorKind::MissingRequiredClaim(_) => return Err(Refused::ClaimMissing),
                    _ => return Err(Refused::Malformed),
                },
            }
        }
        Err(unfit)
    }

    /// What the library checks. The time is checked here, as it is again for a token that was verified before; so is
    /// the issuer, of whom the library would also take one among several.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.0.settings.audience]);
        validation.set_required_spec_claims(&["aud"]);
        validation.validate_exp = false;
        validation
    }

    fn read(&self, claims: &Map<String, Value>) -> Result<Verified, Refused> {
        let settings = &self.0.settings;
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        if text("iss") != Some(&settings.issuer) {
            return Err(Refused::Issuer);
        }
        let subject = text(&settings.claim).filter(|subject| !subject.is_empty());
        let expires = claims.get("exp").and_then(seconds);
        let not_before = claims.get("nbf").map(seconds);
        Ok(Verified {
            subject: subject.ok_or(Refused::ClaimMissing)?.into(),
            not_before: not_before
                .map(|time| time.ok_or(Refused::Malformed))
                .transpose()?,
            expires: expires.ok_or(Refused::ClaimMissing)?,
        })
    }

    /// What does: whether a token's time has come and is not over.
    fn in_force(&self, verified: &Verified) -> Result<(), Refused> {
        let now = self.0.clock.now_micros() / 1_000_000;
        let skew = i64::try_from(self.0.settings.clock_skew.as_secs()).unwrap_or(i64::MAX);
        if now.saturating_sub(skew) >= verified.expires {
            return Err(Refused::Expired);
        }
        let too_early = |from| now.saturating_add(skew) < from;
        if verified.not_before.is_some_and(too_early) {
            return Err(Refused::NotYet);
        }
        Ok(())
    }

    /// Takes keys in use, or none. Tokens that others verified are forgotten with those.
    fn take(&self, keys: Option<KeySet>) {
        self.0.known.store(keys.map(Known::new));
    }
}

impl Known {
    fn new(keys: KeySet) -> Arc<Self> {
        Arc::new(Self {
            keys,
            verified: Cache::new(VERIFIED_MAX),
        })
    }
}

impl Header {
    fn of(token: &str) -> Option<Self> {
        let (header, _) = token.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        serde_json::from_slice(&header).ok()
    }
}

/// Seconds since 1970; a token may give parts of them, which do not count.
fn seconds(time: &Value) -> Option<i64> {
    time.as_i64()
        .or_else(|| time.as_f64().map(|time| time as i64))
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.0.settings).finish()
    }
}
