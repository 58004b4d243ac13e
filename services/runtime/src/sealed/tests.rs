//! What is sealed opens again, and nothing else does.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A keyring that is the same each time.
const KEYRING: &str = r#"
active: 3
index: "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="
keys:
  - id: 3
    created: "2026-01-05T02:00:00Z"
    secret: "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
"#;

fn keyring() -> Keyring {
    Keyring::parse(KEYRING).unwrap()
}

/// Always draws the same salt, so that its bytes are known.
fn fixed() -> Sealer {
    let salt = std::array::from_fn(|i| i as u8);
    Sealer::with_salt(Arc::new(keyring()), purpose::VERDICTS, salt)
}

fn hex(bytes: &[u8]) -> String {
    crate::hex::hex(bytes)
}

/// Made by another implementation. If this test fails, what was sealed can no longer be read: make a form 2 instead.
#[test]
fn the_form_is_the_one_on_disk() {
    let sealer = fixed();
    let first = sealer.seal(b"context", b"credit");
    assert_eq!(
        hex(&first),
        concat!(
            "01",
            "03000000",
            "000102030405060708090a0b0c0d0e0f",
            "0000000000000000",
            "1b2c124037ceb90e634eb17a22570de7fa5db611fd5cce80cb4ad517727de45a",
            "c11ca5112da2",
            "5c715b3a19e84fc57084372a45d6e575",
        )
    );
    let second = sealer.seal(b"context", b"credit");
    assert_eq!(
        hex(&second[21..]),
        concat!(
            "0100000000000000",
            "94010fc029204cf7eb1f4fc6b97ebb3fbcc1bd5825a203722003df8c47560e77",
            "97daca8620b3",
            "49acea42e75018ad52ef3f2af141f640",
        )
    );
    let key = sealer.record_key(b"context", &first).unwrap();
    assert_eq!(
        key.to_base64(),
        "HrxM51aLuNFTBl0ZCk5JuDMY4XWlLDcp18DTK6+tLY4="
    );
    assert_eq!(
        hex(&sealer.keyed_hash(b"PP9999")),
        "9893c1485931c2fcedbfe89f3c63ff7439ca29e2ce5bf9abd19b06c39abd6b9c"
    );
}

#[test]
fn what_was_sealed_opens_for_another_sealer_of_the_same_keyring_and_purpose() {
    let keyring = keyring();
    for plain in [&b""[..], b"credit", &[7; 70_000]] {
        let sealed = keyring.sealer("cases").seal(b"context", plain);
        assert_eq!(sealed.len(), plain.len() + OVERHEAD_BYTES);
        let opened = keyring.sealer("cases").open(b"context", &sealed);
        assert_eq!(opened.as_deref(), Ok(plain));
    }
}

#[test]
fn every_changed_byte_and_every_cut_is_refused() {
    let sealer = fixed();
    let sealed = sealer.seal(b"context", b"credit");
    let key = sealer.record_key(b"context", &sealed).unwrap();
    for at in 0..sealed.len() {
        assert!(sealer.open(b"context", &sealed[..at]).is_err(), "cut {at}");
        assert!(key.open(b"context", &sealed[..at]).is_err(), "cut {at}");
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(sealer.open(b"context", &changed).is_err(), "changed {at}");
            assert!(key.open(b"context", &changed).is_err(), "changed {at}");
        }
    }
    let mut longer = sealed.clone();
    longer.push(0);
    assert_eq!(
        sealer.open(b"context", &longer),
        Err(Unsealable::Damaged(3))
    );
    assert_eq!(sealer.open(b"context", &[]), Err(Unsealable::CutOff));
    let mut later = sealed;
    later[0] = 2;
    assert_eq!(
        sealer.open(b"context", &later),
        Err(Unsealable::UnknownForm(2))
    );
}

#[test]
fn another_context_purpose_or_keyring_opens_nothing() {
    let sealer = fixed();
    let sealed = sealer.seal(b"context", b"credit");
    let damaged = Err(Unsealable::Damaged(3));
    assert_eq!(sealer.open(b"contexts", &sealed), damaged);
    assert_eq!(sealer.open(b"", &sealed), damaged);
    assert_eq!(sealer.sibling("cases").open(b"context", &sealed), damaged);
    let same = sealer.sibling(purpose::VERDICTS);
    assert_eq!(same.open(b"context", &sealed).unwrap(), b"credit");
    // Another key under the same id.
    let other = KEYRING.replace("BwcHBwcH", "BwcHBwcI");
    let other = Keyring::parse(&other).unwrap().sealer(purpose::VERDICTS);
    assert_eq!(other.open(b"context", &sealed), damaged);
}

#[test]
fn two_records_never_have_the_same_bytes() {
    let keyring = keyring();
    let sealers = [keyring.sealer("cases"), keyring.sealer("cases")];
    let clone = sealers[0].clone();
    let mut seen = std::collections::BTreeSet::new();
    for sealer in [&sealers[0], &sealers[1], &clone, &sealers[0]] {
        let sealed = sealer.seal(b"", b"the same text, which is long enough to tell");
        // Neither what says which key it is, nor what is under it.
        assert!(seen.insert(sealed[..29].to_vec()));
        assert!(seen.insert(sealed[HEAD_BYTES..].to_vec()));
    }
}

#[test]
fn after_a_rotation_old_records_open_and_new_ones_have_the_new_key() {
    let mut keyring = keyring();
    let before = keyring.sealer("cases");
    let old = before.seal(b"", b"old");
    assert_eq!((before.key_id(), old[1]), (3, 3));
    let id = keyring.rotate();
    assert_eq!((id.get(), keyring.active()), (4, id));
    let after = keyring.sealer("cases");
    let new = after.seal(b"", b"new");
    assert_eq!((after.key_id(), new[1]), (4, 4));
    assert_eq!(after.open(b"", &old).unwrap(), b"old");
    assert_eq!(after.open(b"", &new).unwrap(), b"new");
    // One that was opened before the rotation names the key it lacks.
    let unknown = before.open(b"", &new).unwrap_err();
    assert_eq!(unknown, Unsealable::UnknownKey(4));
    assert!(unknown.to_string().contains("with key 4"), "{unknown}");
    // What is looked up by its digest is still found, and for another purpose it is another digest.
    assert_eq!(before.keyed_hash(b"PP9999"), after.keyed_hash(b"PP9999"));
    let other = after.sibling("lists").keyed_hash(b"PP9999");
    assert_ne!(after.keyed_hash(b"PP9999"), other);
}

#[test]
fn the_key_of_a_record_opens_that_record_only() {
    let sealer = fixed();
    let (first, second) = (sealer.seal(b"1", b"first"), sealer.seal(b"2", b"second"));
    let key = sealer.record_key(b"1", &first).unwrap();
    let handed = RecordKey::from_base64(&key.to_base64()).unwrap();
    assert_eq!(handed.open(b"1", &first).unwrap(), b"first");
    assert_eq!(handed.open(b"2", &second), Err(Unsealable::Damaged(3)));
    assert_eq!(handed.open(b"2", &first), Err(Unsealable::Damaged(3)));
    // None is given for what it does not open.
    assert!(sealer.record_key(b"2", &first).is_err());
    for no_key in ["", "AAAA", "no base64 at all", &"A".repeat(44)] {
        assert!(RecordKey::from_base64(no_key).is_err(), "{no_key}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let keyring = keyring();
    let sealer = fixed();
    let key = sealer.record_key(b"", &sealer.seal(b"", b"")).unwrap();
    assert_eq!(format!("{key:?}"), "***");
    let shown = format!("{keyring:?} {sealer:?}");
    assert_eq!(
        shown,
        "Keyring { active: 3, ids: [3], .. } Sealer { purpose: \"verdicts\", key_id: 3, .. }"
    );
}

#[test]
fn a_keyring_is_written_for_its_owner_alone_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyring.yaml");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let mut keyring = Keyring::generate();
    keyring.write_new(&path).unwrap();
    assert_eq!((mode(), exposure(&path)), (0o600, None));
    let refused = Keyring::generate().write_new(&path).unwrap_err();
    assert!(refused.to_string().contains("keyring.yaml"), "{refused}");
    let sealed = keyring.sealer("cases").seal(b"", b"credit");

    keyring.rotate();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(exposure(&path).is_some_and(|told| told.contains("every user")));
    keyring.replace(&path).unwrap();
    assert_eq!((mode(), exposure(&path)), (0o640, None));
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(files.len(), 1);

    let read = Keyring::read(&path).unwrap();
    assert_eq!(read.ids().map(KeyId::get).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(read.active().get(), 2);
    assert!(read.keys().eq(keyring.keys()));
    assert_eq!(read.sealer("cases").open(b"", &sealed).unwrap(), b"credit");
    assert_eq!(
        read.sealer("cases").keyed_hash(b"PP9999"),
        keyring.sealer("cases").keyed_hash(b"PP9999")
    );
}

#[test]
fn what_is_no_keyring_is_refused_without_showing_it() {
    let absent = Keyring::read(std::path::Path::new("/nowhere/keyring")).unwrap_err();
    assert!(absent.to_string().contains("/nowhere/keyring"), "{absent}");
    for (from, to, why) in [
        (
            "active: 3",
            "active: 4",
            "key 4 is to be active and is not there",
        ),
        ("active: 3", "active: 0", "0 is no id of a key"),
        ("id: 3", "id: 4000000000", "4000000000 is no id of a key"),
        ("index: \"CQkJ", "index: \"CQk", "`index` is not 32 bytes"),
        (
            "secret: \"BwcH",
            "secret: \"Bwc",
            "key 3: `secret` is not 32 bytes",
        ),
        (
            "2026-01-05T02:00:00Z",
            "yesterday",
            "key 3: `created` is no time",
        ),
        ("created:", "made:", "cannot be read"),
        ("active: 3", "active: BwcHBwcH", "cannot be read"),
    ] {
        let text = KEYRING.replace(from, to);
        assert_ne!(text, KEYRING);
        let refused = Keyring::parse(&text).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
        assert!(
            !refused.contains("BwcH") && !refused.contains("CQkJ"),
            "{refused}"
        );
    }
    let (head, keys) = KEYRING.split_once("keys:").unwrap();
    let twice = format!("{head}keys:{keys}{}", keys.trim_start_matches('\n'));
    let refused = Keyring::parse(&twice).unwrap_err().to_string();
    assert!(
        refused.contains("key 3: it stands there twice"),
        "{refused}"
    );
}
