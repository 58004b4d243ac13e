//! What a token must say, each reason to refuse one, and whom it names among the callers.

mod issuer;
mod sign;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use self::sign::{Signer, text, unsigned};
use super::{Keys, Refused, Settings, Tokens};
use crate::callers::{self, Caller, Callers, Given, Shown, hash_key};
use crate::clock::{Clock, Hand};
use crate::tls::Certificate;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://id.city.example";

fn settings(keys: Keys) -> Settings {
    Settings {
        issuer: ISSUER.to_owned(),
        audience: "creditgate".to_owned(),
        claim: "sub".to_owned(),
        clock_skew: Duration::from_secs(60),
        keys,
    }
}

fn taking(tokens: Option<Tokens>) -> Given<'static> {
    Given {
        policy: None,
        tokens,
    }
}

/// A file of keys, and the tokens that they verify.
struct Place {
    dir: tempfile::TempDir,
    tokens: Tokens,
    hand: Hand,
}

impl Place {
    fn new(keys: &[Value]) -> Self {
        Self::with(keys, |_| {})
    }

    fn with(keys: &[Value], change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jwks.json");
        std::fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
        let mut settings = settings(Keys::File(file));
        change(&mut settings);
        let (clock, hand) = Clock::stepped(NOW * 1_000_000);
        let tokens = Tokens::load(settings, clock).unwrap();
        Self { dir, tokens, hand }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.file(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Whom a token names, or why it is refused.
    fn says(&self, token: &str) -> Result<String, Refused> {
        let subject = self.tokens.subject_of(token);
        subject.map(|subject| subject.to_string())
    }

    fn is_remembered(&self, token: &str) -> bool {
        use sha2::{Digest, Sha256};
        let known = self.tokens.0.known.load();
        let digest: [u8; 32] = Sha256::digest(token).into();
        known.as_ref().unwrap().verified.contains_key(&digest)
    }
}

/// The claims of a token that holds.
fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "creditgate", "sub": "land", "exp": NOW + 300})
}

/// The same with another value, or without where it is none.
fn with(mut object: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value,
    }
    object
}

fn land() -> Result<String, Refused> {
    Ok("land".to_owned())
}

#[test]
fn every_algorithm_that_is_taken_verifies_with_keys_of_its_kind_alone() {
    let signers = [
        Signer::rsa("rsa"),
        Signer::p256("p256"),
        Signer::p384("p384"),
        Signer::ed25519("ed"),
    ];
    let place = Place::new(&signers.each_ref().map(Signer::jwk));
    let [rsa, ec @ ..] = &signers;
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let header = with(rsa.header(), "alg", algorithm.into());
        assert_eq!(
            place.says(&rsa.token_with(&header, &claims())),
            land(),
            "{algorithm}"
        );
        let nameless = with(header, "kid", Value::Null);
        assert_eq!(
            place.says(&rsa.token_with(&nameless, &claims())),
            land(),
            "{algorithm}"
        );
    }
    for signer in ec {
        assert_eq!(
            place.says(&signer.token(&claims())),
            land(),
            "{}",
            signer.id
        );
        // The key that is named is of another kind.
        let header = with(signer.header(), "kid", "rsa".into());
        let token = signer.token_with(&header, &claims());
        assert_eq!(
            place.says(&token),
            Err(Refused::KeyUnknown),
            "{}",
            signer.id
        );
    }
}

#[test]
fn a_token_must_say_who_issued_it_for_whom_and_until_when() {
    let signer = Signer::ed25519("a");
    let place = Place::new(&[signer.jwk()]);
    let check = |claim: &str, value: Value, expected: Result<String, Refused>| {
        let claims = with(claims(), claim, value.clone());
        let said = place.says(&signer.token(&claims));
        assert_eq!(said, expected, "{claim}: {value}");
    };
    check("exp", (NOW - 59).into(), land());
    check("exp", (NOW - 60).into(), Err(Refused::Expired));
    check("exp", json!((NOW + 1) as f64 + 0.5), land());
    check("exp", json!(1e300), land());
    check("exp", json!("2100-01-01"), Err(Refused::ClaimMissing));
    check("exp", Value::Null, Err(Refused::ClaimMissing));
    check("nbf", (NOW + 60).into(), land());
    check("nbf", (NOW + 61).into(), Err(Refused::NotYet));
    check("nbf", json!("soon"), Err(Refused::Malformed));
    check("aud", json!(["other", "creditgate"]), land());
    check("aud", json!(["other"]), Err(Refused::Audience));
    check("aud", json!("creditgate2"), Err(Refused::Audience));
    check("aud", json!(7), Err(Refused::ClaimMissing));
    check("aud", Value::Null, Err(Refused::ClaimMissing));
    check(
        "iss",
        json!("https://id.city.example/"),
        Err(Refused::Issuer),
    );
    check("iss", json!([ISSUER]), Err(Refused::Issuer));
    check("iss", Value::Null, Err(Refused::Issuer));
    check("sub", json!(""), Err(Refused::ClaimMissing));
    check("sub", json!(7), Err(Refused::ClaimMissing));
    check("sub", json!(["land"]), Err(Refused::Malformed));
    check("sub", Value::Null, Err(Refused::ClaimMissing));
}

#[test]
fn only_what_the_issuer_signed_is_believed() {
    let (signer, foreign) = (Signer::p256("a"), Signer::p256("a"));
    let place = Place::new(&[signer.jwk()]);
    let refused = |token: &str| place.says(token).unwrap_err();
    let header = signer.header();
    let nameless = with(header.clone(), "kid", Value::Null);

    assert_eq!(refused(&foreign.token(&claims())), Refused::Signature);
    let token = foreign.token_with(&nameless, &claims());
    assert_eq!(refused(&token), Refused::KeyUnknown);
    let unknown = with(header.clone(), "kid", "b".into());
    let token = signer.token_with(&unknown, &claims());
    assert_eq!(refused(&token), Refused::KeyUnknown);

    // The signature of other claims.
    let signed = signer.token(&with(claims(), "sub", "other".into()));
    let (_, signature) = signed.rsplit_once('.').unwrap();
    let changed = format!("{}.{signature}", unsigned(&header, &claims()));
    assert_eq!(refused(&changed), Refused::Signature);

    // No signature at all.
    for algorithm in ["none", "None", ""] {
        let header = with(header.clone(), "alg", algorithm.into());
        let token = format!("{}.", unsigned(&header, &claims()));
        assert_eq!(refused(&token), Refused::Algorithm, "{algorithm}");
    }
    let emptied = format!("{}.", unsigned(&header, &claims()));
    assert_eq!(refused(&emptied), Refused::Signature);

    // Signed with what everybody can read.
    let public = signer.jwk().to_string();
    for secret in [public.as_bytes(), b""] {
        let header = with(header.clone(), "alg", "HS256".into());
        let message = unsigned(&header, &claims());
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let tag = ring::hmac::sign(&key, message.as_bytes());
        let token = format!("{message}.{}", text(tag.as_ref()));
        assert_eq!(refused(&token), Refused::Algorithm);
    }

    // The token brings its own key.
    let own = with(header.clone(), "jwk", foreign.jwk());
    let token = foreign.token_with(&own, &claims());
    assert_eq!(refused(&token), Refused::Signature);

    let critical = with(header, "crit", json!(["exp"]));
    let token = signer.token_with(&critical, &claims());
    assert_eq!(refused(&token), Refused::Critical);
}

#[test]
fn what_is_no_token_is_said_to_be_none() {
    let signer = Signer::ed25519("a");
    let place = Place::new(&[signer.jwk()]);
    let whole = signer.token(&claims());
    for token in [
        "..",
        "a.b.c",
        "e30.e30.e30",
        &whole[1..],
        &format!("{whole}="),
    ] {
        assert_eq!(place.says(token), Err(Refused::Malformed), "{token}");
    }
    let long = signer.token(&with(claims(), "more", "x".repeat(8 * 1024).into()));
    assert_eq!(place.says(&long), Err(Refused::TooLong));
    assert!(Tokens::is_form_of(&whole));
    assert!(!Tokens::is_form_of("cgk_0123"));
}

#[test]
fn a_token_of_which_one_character_differs_is_refused() {
    let signer = Signer::ed25519("a");
    let place = Place::new(&[signer.jwk()]);
    let token = signer.token(&claims());
    for at in 0..token.len() {
        let other = if token.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        let mut changed = token.clone();
        changed.replace_range(at..=at, other);
        assert!(place.says(&changed).is_err(), "{changed}");
    }
    assert_eq!(place.says(&token), land());
}

#[test]
fn a_key_verifies_only_what_it_is_said_to_be_for() {
    let signer = Signer::rsa("a");
    let token = signer.token(&claims());
    let check = |name: &str, value: Value, expected: Result<String, Refused>| {
        let place = Place::new(&[with(signer.jwk(), name, value.clone())]);
        assert_eq!(place.says(&token), expected, "{name}: {value}");
    };
    check("use", "sig".into(), land());
    check("use", "enc".into(), Err(Refused::KeyUnknown));
    check("alg", "RS256".into(), land());
    check("alg", "PS256".into(), Err(Refused::KeyUnknown));
    check("alg", "RSA-OAEP".into(), Err(Refused::KeyUnknown));
    check("key_ops", json!(["verify"]), land());
    check("key_ops", json!(["encrypt"]), Err(Refused::KeyUnknown));
    check("n", "!".into(), Err(Refused::KeyUnknown));

    // What is not understood does not spoil the rest.
    let others = [
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "a"}),
        json!({"kty": "of the future"}),
        json!("none"),
        signer.jwk(),
    ];
    assert_eq!(Place::new(&others).says(&token), land());
}

#[test]
fn another_claim_may_name_the_caller() {
    let signer = Signer::ed25519("a");
    let place = Place::with(&[signer.jwk()], |settings| {
        settings.claim = "client_id".to_owned();
    });
    let token = signer.token(&with(claims(), "client_id", "tender".into()));
    assert_eq!(place.says(&token), Ok("tender".to_owned()));
    let token = signer.token(&claims());
    assert_eq!(place.says(&token), Err(Refused::ClaimMissing));
}

#[test]
fn a_verified_token_is_remembered_until_it_ends_or_the_keys_change() {
    let signer = Signer::ed25519("a");
    let place = Place::new(&[signer.jwk()]);
    let token = signer.token(&claims());
    assert_eq!(place.says(&token), land());
    assert!(place.is_remembered(&token));
    assert_eq!(place.says(&token), land());

    place.hand.advance(Duration::from_secs(359));
    assert_eq!(place.says(&token), land());
    place.hand.advance(Duration::from_secs(1));
    assert_eq!(place.says(&token), Err(Refused::Expired));

    let early = with(claims(), "exp", (NOW + 9_000).into());
    let early = signer.token(&with(early, "nbf", (NOW + 5_000).into()));
    assert_eq!(place.says(&early), Err(Refused::NotYet));
    assert!(!place.is_remembered(&early));
    place.hand.set((NOW + 5_000) * 1_000_000);
    assert_eq!(place.says(&early), land());
    assert!(place.is_remembered(&early));

    place
        .tokens
        .take(Some(super::KeySet::parse(b"{\"keys\": []}").unwrap()));
    assert_eq!(place.says(&early), Err(Refused::KeyUnknown));
    place.tokens.take(None);
    assert_eq!(place.says(&early), Err(Refused::KeysAwaited));
}

#[tokio::test]
async fn a_file_that_changes_is_taken_up_and_a_bad_one_is_not() {
    let (first, second) = (Signer::ed25519("a"), Signer::ed25519("b"));
    let place = Place::new(&[first.jwk()]);
    let (old, new) = (first.token(&claims()), second.token(&claims()));
    let file = place.file("jwks.json");
    let mut seen = None;
    assert_eq!(place.says(&old), land());

    for bad in ["", "{}", "[]", "{\"keys\": 7}"] {
        std::fs::write(&file, bad).unwrap();
        place.tokens.look(&file, &mut seen).await;
        assert_eq!(place.says(&old), land(), "{bad}");
    }
    std::fs::remove_file(&file).unwrap();
    place.tokens.look(&file, &mut seen).await;
    assert_eq!((seen, place.says(&old)), (None, land()));

    place.write("jwks.json", &json!({"keys": [second.jwk()]}).to_string());
    place.tokens.look(&file, &mut seen).await;
    assert_eq!(place.says(&new), land());
    assert_eq!(place.says(&old), Err(Refused::KeyUnknown));

    // A set without keys is one: they were all taken back.
    place.write("jwks.json", "{\"keys\": []}");
    place.tokens.look(&file, &mut seen).await;
    assert_eq!(place.says(&new), Err(Refused::KeyUnknown));
}

#[test]
fn a_file_that_cannot_be_used_is_told_at_the_start() {
    let place = Place::new(&[]);
    let load = |file: PathBuf| {
        let loaded = Tokens::load(settings(Keys::File(file)), Clock::system());
        crate::errors::Chain(&loaded.unwrap_err()).to_string()
    };
    let missing = load("/nowhere/jwks.json".into());
    assert!(
        missing.starts_with("read the keys of tokens from `/nowhere/jwks.json`: No such"),
        "{missing}"
    );
    let bad = load(place.write("bad.json", "-----BEGIN PUBLIC KEY-----"));
    assert!(bad.contains("bad.json` holds no JWK set: "), "{bad}");
}

#[test]
fn the_keys_file_says_whom_a_token_means() {
    let signer = Signer::ed25519("a");
    let place = Place::new(&[signer.jwk()]);
    let file = place.write(
        "keys.yaml",
        &format!(
            "callers:\n- {{name: land-platform, token: land, key_sha256: {}, may: [check]}}\n\
             - {{name: tender, certificate: tender.example, token: \"auth0|7\", may: [read]}}\n\
             - {{name: old, key_sha256: {}, may: [read]}}\n",
            hash_key("abc"),
            hash_key("a.key.with-dots"),
        ),
    );
    let callers = Callers::load_with(&file, taking(Some(place.tokens.clone()))).unwrap();
    let check =
        |value: &str, certificate: Option<&str>, expected: Result<&str, callers::Refused>| {
            let certificate = certificate.map(|name| Certificate::with([1; 32], &[name]));
            let answer = callers.callers.authenticate(&Shown {
                authorization: Some(&format!("Bearer {value}")),
                certificate: certificate.as_ref(),
                is_local: false,
                call: None,
            });
            let name = answer.as_ref().map(Caller::name);
            assert_eq!(name.map_err(|refused| *refused), expected, "{value}");
        };
    let of = |subject: &str| signer.token(&with(claims(), "sub", subject.into()));
    check(&of("land"), None, Ok("land-platform"));
    check("abc", None, Ok("land-platform"));
    check(&of("auth0|7"), None, Ok("tender"));
    check(&of("auth0|7"), Some("tender.example"), Ok("tender"));
    check(&of("land"), Some("proxy.example"), Ok("land-platform"));
    check(
        &of("land"),
        Some("tender.example"),
        Err(callers::Refused::TwoCallers),
    );
    check(
        &of("land-platform"),
        None,
        Err(callers::Refused::SubjectUnknown),
    );
    check("a.key.with-dots", None, Ok("old"));
    check(
        "another.key.with-dots",
        None,
        Err(Refused::Malformed.into()),
    );
    check("abd", None, Err(callers::Refused::KeyUnknown));
    let names = ["land-platform", "old", "tender"].map(Arc::from);
    assert_eq!(callers.callers.names(), names);

    place.tokens.take(None);
    let shown = format!("Bearer {}", of("land"));
    let refused = callers.callers.authenticate(&Shown::authorization(&shown));
    assert!(refused.unwrap_err().passes());
    check("abc", None, Ok("land-platform"));
}

#[test]
fn a_keys_file_with_tokens_needs_an_issuer_and_the_other_way_round() {
    let place = Place::new(&[]);
    let load = |name: &str, yaml: &str, tokens: Option<Tokens>| {
        let file = place.write(name, &format!("callers:\n{yaml}"));
        Callers::load_with(&file, taking(tokens))
    };
    let land = "- {name: land, token: land, may: [check]}\n";
    let error = load("a.yaml", land, None).unwrap_err().to_string();
    assert!(
        error.contains(
            "line 2: `token` says whose tokens are taken, and none are: set `tokens.issuer`"
        ),
        "{error}"
    );
    let with_key = format!(
        "- {{name: land, key_sha256: {}, may: [check]}}\n",
        hash_key("abc")
    );
    let loaded = load("b.yaml", &with_key, Some(place.tokens.clone())).unwrap();
    let warned = |warning: &String| warning.contains("every token is refused");
    assert!(loaded.warnings.iter().any(warned), "{:?}", loaded.warnings);
    let loaded = load("c.yaml", land, Some(place.tokens.clone())).unwrap();
    assert!(!loaded.warnings.iter().any(warned), "{:?}", loaded.warnings);

    let twice = format!("{land}- {{name: other, token: land, may: [check]}}\n");
    let error = load("d.yaml", &twice, Some(place.tokens.clone())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("line 3: the token is also the token of line 2"),
        "{error}"
    );
    let pasted = format!(
        "- {{name: land, token: {}, may: [check]}}\n",
        "x".repeat(256)
    );
    let error = load("e.yaml", &pasted, Some(place.tokens.clone())).unwrap_err();
    assert!(
        error.to_string().contains("never a token itself"),
        "{error}"
    );
    assert!(!error.to_string().contains("xxx"), "{error}");
}
