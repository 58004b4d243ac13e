//! Sealed bytes: what is encrypted before it goes to the disk, and opened when it is read.
//!
//! A sealed payload, all numbers little-endian:
//!
//! | offset | bytes | field | meaning |
//! | --- | --- | --- | --- |
//! | 0 | 1 | form | version of this layout, now 1 |
//! | 1 | 4 | key id | the key of the keyring |
//! | 5 | 16 | salt | drawn by the sealer when it was made |
//! | 21 | 8 | counter | of what this sealer has sealed |
//! | 29 | 32 | commitment | follows from the key of this record, so that no other key opens it |
//! | 61 | … | ciphertext | as long as the plain text |
//! | … | 16 | tag | of AES-256-GCM |
//!
//! Keys, by HKDF-SHA-256: a session key from the key of the keyring, the salt and the purpose; from it and the counter the
//! [`RecordKey`]; from that the key of AES-256-GCM and the commitment. So each record has a key of its own, which may be
//! handed out without the others, and the nonce is always zero. Everything before the ciphertext, and the caller's context,
//! is authenticated with it.
//!
//! Why not one key and random nonces: they allow 2^32 records a key before two are likely to share a nonce, which gives both
//! away, and several processes, several journals and every restart share a key. Here two records would have to share a salt
//! of 128 bits and a counter. What breaks it is a machine whose memory is copied while it runs and which then goes on twice:
//! both would count on under one salt.
//!
//! FENCE: what lies on disk is kept for years. The layout, the labels and the purposes can only be followed by a form 2,
//! never changed. The golden test pins them.
//!
//! This module knows nothing of journals or tables, and does not hide how long a text is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use moka::sync::Cache;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::hmac;

mod keyring;

pub use keyring::{KeyId, Keyring, KeyringError, exposure};

use crate::config::HIDDEN;

/// What is sealed for. One purpose cannot open what was sealed for another.
///
/// FENCE: a changed name makes what was sealed under it unreadable.
pub mod purpose {
    /// The journal of verdicts.
    pub const VERDICTS: &str = "verdicts";
    /// The change log of the lists.
    pub const LISTS: &str = "lists";
    /// The journal of cases.
    pub const CASES: &str = "cases";
    /// The record of calls.
    pub const CALLS: &str = "calls";
    /// The journal of simulations.
    pub const SIMULATIONS: &str = "simulations";
    /// What a shadow found different.
    pub const SHADOW: &str = "shadow";
    /// Bases, rows that wait and the index of entries.
    pub const REGISTRY: &str = "registry";
    /// The tables of cases.
    pub const CASES_TABLE: &str = "cases-table";
    /// Not sealed, but told apart by: the content of events.
    pub const CONTENT: &str = "content digests";
}

/// Bytes by which a sealed text is longer than the plain one.
pub const OVERHEAD_BYTES: usize = HEAD_BYTES + TAG_BYTES;

const FORM: u8 = 1;
const SALT_BYTES: usize = 16;
const COMMITMENT_BYTES: usize = 32;
/// Form, key id, salt, counter, commitment.
const HEAD_BYTES: usize = 1 + 4 + SALT_BYTES + 8 + COMMITMENT_BYTES;
const TAG_BYTES: usize = 16;
/// Bytes of every key.
const KEY_BYTES: usize = 32;

/// What each derived key is for.
const SESSION: &[u8] = b"creditgate/sealed/1/session/";
const RECORD: &[u8] = b"creditgate/sealed/1/record/";
const CIPHER: &[u8] = b"creditgate/sealed/1/cipher";
const INDEX: &[u8] = b"creditgate/sealed/1/index/";

/// Session keys of earlier sealers that are kept for reading: there is one for each start of a service.
const SESSIONS_MAX: u64 = 256;

/// Why a key that was asked for is always there.
const DERIVED: &str = "HKDF-SHA-256 gives up to 8160 bytes";

/// Seals and opens for one purpose. Cheap to clone; clones count on together.
#[derive(Clone)]
pub struct Sealer(Arc<Inner>);

struct Inner {
    keyring: Arc<Keyring>,
    purpose: String,
    index: hmac::Key,
    salt: [u8; SALT_BYTES],
    session: Prk,
    counter: AtomicU64,
    /// By key id and salt.
    sessions: Cache<(u32, [u8; SALT_BYTES]), Prk>,
}

/// Why sealed bytes were not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// There is no keyring at all.
    #[error(
        "it is sealed with key {0}, and no keyring is named: name the one that has it (`sealing.keyring_file` of a service, \
         `--keyring` of a command, or the variable CREDITGATE_SEALING_KEYRING)"
    )]
    NoKeyring(u32),
    /// The keyring has other keys.
    #[error(
        "it is sealed with key {0}, which the keyring does not have: name the keyring that has it, or put that key back from \
         a copy (`creditgate keyring list` shows what is there)"
    )]
    UnknownKey(u32),
    /// It is not what was sealed, or not here, or not with this key.
    #[error(
        "it does not open with key {0}: it was changed, taken from another place, or sealed with the key of another keyring"
    )]
    Damaged(u32),
    /// The bytes end too early.
    #[error("what was sealed is cut off")]
    CutOff,
    /// A later version wrote it, or nobody sealed it.
    #[error(
        "it is sealed in form {0}, which this version cannot read: use the version that wrote it, or a later one"
    )]
    UnknownForm(u8),
}

/// The key of one sealed record: whoever has it can read that record and no other. Prints as `***`.
#[derive(Clone)]
pub struct RecordKey([u8; KEY_BYTES]);

/// A text that is no [`RecordKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of a record is 32 bytes in base64")]
pub struct NoRecordKey;

impl Sealer {
    fn new(keyring: Arc<Keyring>, purpose: &str) -> Self {
        let mut salt = [0; SALT_BYTES];
        keyring::random(&mut salt);
        Self::with_salt(keyring, purpose, salt)
    }

    fn with_salt(keyring: Arc<Keyring>, purpose: &str, salt: [u8; SALT_BYTES]) -> Self {
        let session = session(keyring.active_secret(), &salt, purpose);
        let index = Salt::new(HKDF_SHA256, &[]).extract(keyring.index_secret());
        let index: [u8; KEY_BYTES] = expand(&index, &[INDEX, purpose.as_bytes()]);
        Self(Arc::new(Inner {
            index: hmac::Key::new(hmac::HMAC_SHA256, &index),
            keyring,
            purpose: purpose.to_owned(),
            salt,
            session,
            counter: AtomicU64::new(0),
            sessions: Cache::new(SESSIONS_MAX),
        }))
    }

    /// A sealer of the same keyring for another purpose.
    #[must_use]
    pub fn sibling(&self, purpose: &str) -> Self {
        Self::new(Arc::clone(&self.0.keyring), purpose)
    }

    /// Seals a text. It opens only with the same context, which is not kept in it.
    #[must_use]
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let counter = self.0.counter.fetch_add(1, Ordering::Relaxed);
        // Before a number would come again: 2^64 records at a billion a second take 584 years.
        assert!(counter != u64::MAX, "a sealer has sealed 2^64 records");
        let head = Head {
            key_id: self.key_id(),
            salt: self.0.salt,
            counter,
        };
        record_key(&self.0.session, counter).seal(&head, context, plain)
    }

    /// Opens what was sealed for this purpose, with any key of the keyring.
    ///
    /// # Errors
    /// When the key is not there, or it is not what was sealed with this context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        self.key_of(&Head::read(sealed)?)?.open(context, sealed)
    }

    /// The id of the key that seals now.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.0.keyring.active().get()
    }

    /// A digest that only this keyring gives: HMAC-SHA-256 under a key of this purpose that stays the same when keys are
    /// rotated. For looking values up without keeping them.
    #[must_use]
    pub fn keyed_hash(&self, value: &[u8]) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&self.0.index, value).as_ref());
        digest
    }

    /// The key of one sealed record, to be handed out with it.
    ///
    /// # Errors
    /// As [`Sealer::open`]: a key that does not open its record is not given.
    pub fn record_key(&self, context: &[u8], sealed: &[u8]) -> Result<RecordKey, Unsealable> {
        let key = self.key_of(&Head::read(sealed)?)?;
        key.open(context, sealed)?;
        Ok(key)
    }

    fn key_of(&self, head: &Head) -> Result<RecordKey, Unsealable> {
        let inner = &self.0;
        if (head.key_id, head.salt) == (self.key_id(), inner.salt) {
            return Ok(record_key(&inner.session, head.counter));
        }
        let secret = inner.keyring.secret(head.key_id);
        let secret = secret.ok_or(Unsealable::UnknownKey(head.key_id))?;
        let session = inner.sessions.get_with((head.key_id, head.salt), || {
            session(secret, &head.salt, &inner.purpose)
        });
        Ok(record_key(&session, head.counter))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("purpose", &self.0.purpose)
            .field("key_id", &self.key_id())
            .finish_non_exhaustive()
    }
}

impl RecordKey {
    /// Opens the one record it is of.
    ///
    /// # Errors
    /// When it is another record, or another context, or not what was sealed.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let damaged = Unsealable::Damaged(Head::read(sealed)?.key_id);
        let (associated, ciphertext) = sealed.split_at(HEAD_BYTES);
        let (cipher, commitment) = self.parts();
        // AES-GCM alone would let somebody make a text that two keys open, each to something else.
        if !associated.ends_with(&commitment) {
            return Err(damaged);
        }
        let associated = [associated, context].concat();
        let mut opened = ciphertext.to_vec();
        let plain = cipher
            .open_in_place(nonce(), Aad::from(associated), &mut opened)
            .map_err(|_| damaged)?
            .len();
        opened.truncate(plain);
        Ok(opened)
    }

    fn seal(&self, head: &Head, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let (cipher, commitment) = self.parts();
        let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + plain.len());
        sealed.push(FORM);
        sealed.extend_from_slice(&head.key_id.to_le_bytes());
        sealed.extend_from_slice(&head.salt);
        sealed.extend_from_slice(&head.counter.to_le_bytes());
        sealed.extend_from_slice(&commitment);
        let associated = [sealed.as_slice(), context].concat();
        sealed.extend_from_slice(plain);
        let tag = cipher
            .seal_in_place_separate_tag(nonce(), Aad::from(associated), &mut sealed[HEAD_BYTES..])
            .expect("AES-GCM takes up to 64 GiB, which no text here has");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// The cipher, and what shows that it is the right one.
    fn parts(&self) -> (LessSafeKey, [u8; COMMITMENT_BYTES]) {
        let key = Prk::new_less_safe(HKDF_SHA256, &self.0);
        let derived: [u8; KEY_BYTES + COMMITMENT_BYTES] = expand(&key, &[CIPHER]);
        let (cipher, rest) = derived.split_at(KEY_BYTES);
        let cipher = UnboundKey::new(&AES_256_GCM, cipher).expect("it is as long as AES-256 wants");
        let mut commitment = [0; COMMITMENT_BYTES];
        commitment.copy_from_slice(rest);
        (LessSafeKey::new(cipher), commitment)
    }

    /// As it is handed out.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// The key that was handed out.
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_base64(text: &str) -> Result<Self, NoRecordKey> {
        let bytes = STANDARD.decode(text).map_err(|_| NoRecordKey)?;
        bytes.try_into().map(Self).map_err(|_| NoRecordKey)
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// What stands before the commitment.
struct Head {
    key_id: u32,
    salt: [u8; SALT_BYTES],
    counter: u64,
}

impl Head {
    fn read(sealed: &[u8]) -> Result<Self, Unsealable> {
        match sealed.first() {
            Some(&FORM) if sealed.len() >= OVERHEAD_BYTES => {}
            Some(&FORM) | None => return Err(Unsealable::CutOff),
            Some(&other) => return Err(Unsealable::UnknownForm(other)),
        }
        Ok(Self {
            key_id: u32::from_le_bytes(array(sealed, 1)),
            salt: array(sealed, 5),
            counter: u64::from_le_bytes(array(sealed, 5 + SALT_BYTES)),
        })
    }
}

/// Bytes whose number was looked at before.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

/// The key of all that one sealer seals.
fn session(secret: &[u8; KEY_BYTES], salt: &[u8; SALT_BYTES], purpose: &str) -> Prk {
    let info = [SESSION, purpose.as_bytes()];
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    let session = extracted.expand(&info, HKDF_SHA256).expect(DERIVED);
    Prk::from(session)
}

fn record_key(session: &Prk, counter: u64) -> RecordKey {
    RecordKey(expand(session, &[RECORD, &counter.to_le_bytes()]))
}

fn expand<const N: usize>(key: &Prk, info: &[&[u8]]) -> [u8; N] {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut bytes = [0; N];
    key.expand(info, Length(N))
        .and_then(|derived| derived.fill(&mut bytes))
        .expect(DERIVED);
    bytes
}

/// Each key seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests;
