//! The keys file: read, and refused with every fault it has.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::Spanned;
use tokio::sync::watch;

use super::caller::KnownAs;
use super::permission::{DUTIES, in_words};
use super::{
    Caller, Callers, CertificateName, Given, INBOX, KAFKA, KeyDigest, Known, LOCAL, Permission,
    Registered,
};
use crate::access::Scope;

/// Reads the text of a keys file.
pub(super) fn parse(text: &str, given: Given<'_>) -> Result<Callers, Vec<String>> {
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
                became: watch::Sender::default(),
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

#[cfg(unix)]
pub(super) fn exposure(path: &Path) -> Option<String> {
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
pub(super) fn exposure(_path: &Path) -> Option<String> {
    None
}
