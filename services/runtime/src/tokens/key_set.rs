//! The public keys of an issuer: a JWK set (RFC 7517), and which of them may have signed a token.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Most keys of one set; further ones are passed over.
const KEYS_MAX: usize = 64;
/// Most keys that are tried for a token that does not name its own.
const TRIED_MAX: usize = 8;

/// Keys that may sign tokens.
pub(super) struct KeySet(Vec<PublicKey>);

struct PublicKey {
    /// Its `kid`.
    id: Option<String>,
    /// What it may sign by.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// As it is written.
#[derive(Deserialize)]
struct Written {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. A key of a kind that is not understood, of another use or damaged is passed over, as the standard
    /// asks: it may be for others.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let written: Written = serde_json::from_slice(text)?;
        let keys = written.keys.into_iter().filter_map(PublicKey::of);
        Ok(Self(keys.take(KEYS_MAX).collect()))
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that may have signed a token: by this algorithm, and the one that it names, if it names one.
    pub(super) fn fitting(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> impl Iterator<Item = &DecodingKey> {
        let fits = move |key: &&PublicKey| {
            key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id)
        };
        let fitting = self.0.iter().filter(fits).take(TRIED_MAX);
        fitting.map(|key| &key.key)
    }
}

impl PublicKey {
    fn of(written: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(written).ok()?;
        let algorithms = algorithms(&jwk);
        if algorithms.is_empty() {
            return None;
        }
        Some(Self {
            key: DecodingKey::from_jwk(&jwk).ok()?,
            id: jwk.common.key_id,
            algorithms,
        })
    }
}

/// By what a key may sign: what its kind can, narrowed by what it says of itself. A secret never may.
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    let of_kind: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(key) => match key.curve {
            EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            _ => &[],
        },
        _ => &[],
    };
    let common = &jwk.common;
    let is_to_sign = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let operations = common.key_operations.as_deref();
    let is_to_verify = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
    let named = |algorithm: &Algorithm| match common.key_algorithm {
        Some(named) => named == KeyAlgorithm::from(*algorithm),
        None => true,
    };
    match is_to_sign && is_to_verify {
        true => of_kind.iter().copied().filter(named).collect(),
        false => Vec::new(),
    }
}
