//! Tokens of callers, and the sets of keys that verify them.

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use creditgate_runtime::clock::Clock;
use creditgate_runtime::tokens::{Error, Keys, Settings, Tokens};

use super::shows_nobody;

/// The public key of a pair whose private key nobody has any more.
const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "kFUOO_qruN4NQtPRZdVGfFtKgGyrudt9T2yHLTU-jSE"}]}"#;
/// When the one token that it signed still held.
const NOW_MICROS: i64 = 1_800_000_000_000_000;
/// That token.
const SIGNED: &str = include_str!("../../../fuzz/corpus/token/whole");

/// A token: without the private key no other than the one that was signed is taken.
pub fn token(input: &[u8]) {
    static TOKENS: LazyLock<Tokens> =
        LazyLock::new(|| load(KEYS.as_bytes()).expect("a set of keys"));
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match TOKENS.subject_of(text) {
        Ok(subject) => assert_eq!((text, &*subject), (SIGNED, "land")),
        Err(refused) => {
            assert_ne!(text, SIGNED, "{refused}");
            shows_nobody("why a token is refused", &refused.to_string());
        }
    }
}

/// A set of keys, of which none is the one above: read or refused, it verifies no token of others.
pub fn jwk_set(input: &[u8]) {
    match load(input) {
        Ok(tokens) => assert!(tokens.subject_of(SIGNED).is_err()),
        Err(error) => shows_nobody("why keys are refused", &error.to_string()),
    }
}

fn load(keys: &[u8]) -> Result<Tokens, Error> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(keys).expect("written");
    let (clock, _) = Clock::stepped(NOW_MICROS);
    Tokens::load(settings(file.path()), clock)
}

fn settings(keys: &Path) -> Settings {
    Settings {
        issuer: "https://id.city.example".to_owned(),
        audience: "creditgate".to_owned(),
        claim: "sub".to_owned(),
        clock_skew: Duration::from_secs(60),
        keys: Keys::File(keys.to_owned()),
    }
}
