//! Keys that the issuer tells: awaited, changed, asked for again, kept for a while when it is silent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{NOW, Signer, claims, settings, with};
use crate::clock::Clock;
use crate::health::{Readiness, State};
use crate::shutdown::Shutdown;
use crate::tokens::{COMPONENT, Keys, Known, Pace, Refused, Settings, Tokens};

const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// An issuer that tells its keys at once and is asked by itself no more.
const CALM: Pace = Pace {
    every: Duration::from_secs(3_600),
    again_after: AGAIN_AFTER,
    retry: (Duration::from_millis(10), Duration::from_millis(20)),
    kept_for: Duration::from_secs(3_600),
};

/// What an issuer tells.
struct Says {
    /// None: it answers with an error.
    keys: Option<Vec<Value>>,
    issuer: String,
    jwks_uri: String,
    /// How often it was asked for its keys.
    asked: usize,
}

/// An issuer on this machine, and whoever takes its tokens.
struct Place {
    says: Arc<Mutex<Says>>,
    tokens: Tokens,
    readiness: Readiness,
    shutdown: Shutdown,
    issuer: String,
}

impl Place {
    /// Nobody asks the issuer yet.
    async fn new(pace: Pace, keys: Option<Vec<Value>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new(Says {
            keys,
            issuer: issuer.clone(),
            jwks_uri: format!("{issuer}/keys"),
            asked: 0,
        }));
        let answering = Arc::clone(&says);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &answering).await;
            }
        });
        let (clock, _) = Clock::stepped(NOW * 1_000_000);
        let settings = Settings {
            issuer: issuer.clone(),
            ..settings(Keys::Issuer {
                ca_file: None,
                pace,
            })
        };
        Self {
            says,
            tokens: Tokens::load(settings, clock).unwrap(),
            readiness: Readiness::expecting([]),
            shutdown: Shutdown::new(),
            issuer,
        }
    }

    fn follow(&self) {
        let (readiness, shutdown) = (self.readiness.clone(), self.shutdown.clone());
        tokio::spawn(self.tokens.clone().follow(readiness, shutdown));
    }

    fn token(&self, signer: &Signer) -> String {
        signer.token(&with(claims(), "iss", self.issuer.as_str().into()))
    }

    fn refused(&self, token: &str) -> Option<Refused> {
        self.tokens.subject_of(token).err()
    }

    /// Shows a token until the answer is that.
    async fn until(&self, token: &str, expected: Option<Refused>) {
        until(|| self.refused(token) == expected).await;
    }

    /// The keys in use.
    fn known(&self) -> Arc<Known> {
        self.tokens.0.known.load_full().expect("keys")
    }

    fn state(&self) -> Option<State> {
        let components = self.readiness.snapshot().components;
        components.get(COMPONENT).cloned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn answer(mut stream: TcpStream, says: &Mutex<Says>) {
    let mut request = vec![0; 4_096];
    let read = stream.read(&mut request).await.unwrap_or_default();
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    let (status, body) = {
        let mut says = says.lock();
        match request.split(' ').nth(1) {
            Some("/.well-known/openid-configuration") => {
                let document = json!({"issuer": says.issuer, "jwks_uri": says.jwks_uri});
                (200, document.to_string())
            }
            Some("/keys") => {
                says.asked += 1;
                match &says.keys {
                    Some(keys) => (200, json!({ "keys": keys }).to_string()),
                    None => (503, String::new()),
                }
            }
            _ => (404, String::new()),
        }
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn until_the_issuer_tells_its_keys_a_token_is_refused_for_now_only() {
    let signer = Signer::ed25519("a");
    let place = Place::new(CALM, None).await;
    let token = place.token(&signer);
    assert_eq!(place.refused(&token), Some(Refused::KeysAwaited));
    place.follow();
    until(|| place.says.lock().asked >= 3).await;
    assert_eq!(place.refused(&token), Some(Refused::KeysAwaited));
    let Some(State::ReadyBut(reason)) = place.state() else {
        panic!("{:?}", place.state());
    };
    assert!(
        reason.contains("tokens are refused: ask `http://127.0.0.1"),
        "{reason}"
    );
    assert!(
        reason.ends_with("/keys`: the answer has the status 503"),
        "{reason}"
    );

    place.says.lock().keys = Some(vec![signer.jwk()]);
    place.until(&token, None).await;
    until(|| place.state() == Some(State::Ready)).await;
}

#[tokio::test]
async fn a_token_of_an_unknown_key_has_the_issuer_asked_again() {
    let (first, second) = (Signer::ed25519("a"), Signer::p256("b"));
    let place = Place::new(CALM, Some(vec![first.jwk()])).await;
    let (old, new) = (place.token(&first), place.token(&second));
    place.follow();
    place.until(&old, None).await;
    assert_eq!(place.refused(&new), Some(Refused::KeyUnknown));

    place.says.lock().keys = Some(vec![second.jwk()]);
    place.until(&new, None).await;
    assert_eq!(place.refused(&old), Some(Refused::KeyUnknown));
}

#[tokio::test]
async fn however_many_unknown_keys_are_named_the_issuer_is_asked_seldom() {
    let signer = Signer::ed25519("a");
    let place = Place::new(CALM, Some(vec![signer.jwk()])).await;
    let token = place.token(&signer);
    place.follow();
    place.until(&token, None).await;
    let known = place.known();
    let began = Instant::now();
    let asked_before = place.says.lock().asked;
    for turn in 0..2_000 {
        let header = with(signer.header(), "kid", format!("invented-{turn}").into());
        let token = signer.token_with(&header, &claims());
        assert_eq!(place.refused(&token), Some(Refused::KeyUnknown));
        tokio::task::yield_now().await;
    }
    let asked = place.says.lock().asked - asked_before;
    let most = began.elapsed().as_millis() / AGAIN_AFTER.as_millis() + 1;
    assert!(asked as u128 <= most, "{asked} > {most}");
    // The same keys, told again, keep what they verified.
    assert!(Arc::ptr_eq(&known, &place.known()));
}

#[tokio::test]
async fn keys_of_a_silent_issuer_stay_in_use_for_a_while() {
    let signer = Signer::ed25519("a");
    let pace = Pace {
        every: Duration::from_millis(20),
        kept_for: Duration::from_millis(400),
        ..CALM
    };
    let place = Place::new(pace, Some(vec![signer.jwk()])).await;
    let token = place.token(&signer);
    place.follow();
    place.until(&token, None).await;

    place.says.lock().keys = None;
    until(
        || matches!(place.state(), Some(State::ReadyBut(reason)) if reason.contains("stay in use")),
    )
    .await;
    assert_eq!(place.refused(&token), None);
    place.until(&token, Some(Refused::KeysAwaited)).await;

    place.says.lock().keys = Some(vec![signer.jwk()]);
    place.until(&token, None).await;
}

#[tokio::test]
async fn an_issuer_that_speaks_for_another_or_leads_elsewhere_is_not_believed() {
    let signer = Signer::ed25519("a");
    let check = async |change: fn(&mut Says), expected: &str| {
        let place = Place::new(CALM, Some(vec![signer.jwk()])).await;
        change(&mut place.says.lock());
        place.follow();
        until(|| place.state().is_some()).await;
        let state = format!("{:?}", place.state());
        assert!(state.contains(expected), "{state}");
        let token = place.token(&signer);
        assert_eq!(place.refused(&token), Some(Refused::KeysAwaited));
    };
    check(|says| says.issuer.push('/'), "speaks for another issuer").await;
    let elsewhere = |says: &mut Says| says.jwks_uri = "http://id.city.example/keys".to_owned();
    check(elsewhere, "over https only").await;
    check(
        |says| says.jwks_uri = "file:///etc/passwd".to_owned(),
        "no address that can be asked",
    )
    .await;
    check(|says| says.jwks_uri.push_str("/none"), "status 404").await;
}

#[test]
fn an_issuer_elsewhere_is_asked_over_https_only() {
    let load = |issuer: &str| {
        let keys = Keys::Issuer {
            ca_file: None,
            pace: CALM,
        };
        let settings = Settings {
            issuer: issuer.to_owned(),
            ..settings(keys)
        };
        Tokens::load(settings, Clock::system()).map_err(|error| error.to_string())
    };
    assert!(load("https://id.city.example/realms/city/").is_ok());
    assert!(load("http://localhost:8080").is_ok());
    let error = load("http://id.city.example").unwrap_err();
    assert!(
        error.contains("`http://id.city.example` for its keys: must be an https"),
        "{error}"
    );
}
