//! Facts about packs and keys: what was packed comes out, and nothing else passes for it.

use std::path::{Path, PathBuf};

use creditgate_measures::book::{Book, Signing, SourceFile};
use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::BookPack;
use creditgate_runtime::hex::hex;
use creditgate_runtime::signing::{KeyError, SigningKey, generate};
use prost::Message;
use tempfile::TempDir;

use super::keys::{Signature, TrustedKeys, Untrusted};
use super::{PackError, open, seal};

const AT: Time = Time::from_micros(1_790_000_000_000_000);

fn files() -> Vec<SourceFile> {
    vec![
        SourceFile::new("lists/black.yaml", "lists: []\n"),
        SourceFile::new("book.yaml", "book: 示例\n"),
    ]
}

/// A pair of keys on disk, as `creditgate keys book` leaves them.
struct Keys {
    _dir: TempDir,
    key: SigningKey,
    public: PathBuf,
}

fn keys() -> Keys {
    let dir = tempfile::tempdir().unwrap();
    let made = generate().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let private = write("key.pem", &made.private_pem);
    let public = write("key.pub.pem", &made.public_pem);
    let key = SigningKey::load(&private).unwrap();
    assert_eq!(key.key_id(), made.key_id);
    Keys {
        _dir: dir,
        key,
        public,
    }
}

fn trusting(keys: &[&Keys]) -> TrustedKeys {
    let paths: Vec<PathBuf> = keys.iter().map(|keys| keys.public.clone()).collect();
    TrustedKeys::load(&paths).unwrap()
}

#[test]
fn what_is_packed_comes_out_and_the_same_gives_the_same_bytes() {
    let keys = keys();
    let packed = seal(&files(), Some(&keys.key), AT, "creditgate 1");
    let mut turned = files();
    turned.reverse();
    assert_eq!(seal(&turned, Some(&keys.key), AT, "creditgate 1"), packed);
    let pack = open(&packed).unwrap();
    turned.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(pack.files, turned);
    assert_eq!(pack.content_hash, Book::content_hash(&files()));
    assert_eq!(
        (pack.packed_at, &*pack.packed_by),
        (Some(AT), "creditgate 1")
    );
    let vouched = trusting(&[&keys]).verify(&pack.content_hash, pack.signature.as_ref());
    let signed = Signing::Signed {
        key_id: keys.key.key_id().into(),
    };
    assert_eq!(vouched, Ok(signed));
}

#[test]
fn without_trusted_keys_nobody_vouches_and_with_them_only_they_do() {
    let (ours, other) = (keys(), keys());
    let hash = Book::content_hash(&files());
    let by = |keys: &Keys| Some(Signature::of(&hash, &keys.key));
    let nobody = TrustedKeys::default();
    assert_eq!(nobody.verify(&hash, None), Ok(Signing::Unsigned));
    assert_eq!(
        nobody.verify(&hash, by(&ours).as_ref()),
        Ok(Signing::Unsigned)
    );
    let trusted = trusting(&[&ours]);
    assert_eq!(trusted.verify(&hash, None), Err(Untrusted::Unsigned));
    assert!(matches!(
        trusted.verify(&hash, by(&other).as_ref()),
        Err(Untrusted::OtherKey { .. })
    ));
    assert!(
        trusting(&[&other, &ours])
            .verify(&hash, by(&ours).as_ref())
            .is_ok()
    );
    // Another's signature under our id, ours under another's hash, and ours cut short.
    let mut borrowed = by(&other).unwrap();
    borrowed.key_id = ours.key.key_id().into();
    let mut short = by(&ours).unwrap();
    short.bytes.pop();
    let of_other_files = Signature::of(&Book::content_hash(&files()[1..]), &ours.key);
    for wrong in [borrowed, short, of_other_files] {
        assert!(matches!(
            trusted.verify(&hash, Some(&wrong)),
            Err(Untrusted::Wrong { .. })
        ));
    }
}

#[test]
fn a_changed_pack_does_not_open() {
    let keys = keys();
    let packed = seal(&files(), Some(&keys.key), AT, "creditgate 1");
    let changed = |change: &dyn Fn(&mut BookPack)| {
        let mut pack = BookPack::decode(packed.as_slice()).unwrap();
        change(&mut pack);
        open(&pack.encode_to_vec()).map(|_| ())
    };
    for change in [
        &(|pack: &mut BookPack| pack.files[0].text.push(' ')) as &dyn Fn(&mut BookPack),
        &|pack| pack.files[0].path.push('x'),
        &|pack| drop(pack.files.pop()),
        &|pack| pack.content_hash[0] ^= 1,
        &|pack| pack.content_hash.clear(),
    ] {
        assert_eq!(changed(change), Err(PackError::Changed));
    }
    let twice = changed(&|pack| pack.files.push(pack.files[0].clone()));
    assert_eq!(twice, Err(PackError::Twice("book.yaml".to_owned())));
    assert_eq!(changed(&|pack| pack.form = 2), Err(PackError::OtherForm(2)));
    assert_eq!(changed(&|pack| pack.form = 0), Err(PackError::NotAPack));
    for bytes in [&b""[..], b"book: x\n", &packed[..packed.len() / 2]] {
        assert!(open(bytes).is_err());
    }
}

#[test]
fn a_pack_with_files_exchanged_and_hashed_anew_is_not_what_was_signed() {
    let keys = keys();
    let packed = seal(&files(), Some(&keys.key), AT, "creditgate 1");
    let mut pack = BookPack::decode(packed.as_slice()).unwrap();
    pack.files[1].text.push_str("# more\n");
    let files: Vec<_> = pack
        .files
        .iter()
        .map(|file| SourceFile::new(&*file.path, &*file.text))
        .collect();
    pack.content_hash = Book::content_hash(&files).to_vec();
    let pack = open(&pack.encode_to_vec()).unwrap();
    assert!(matches!(
        trusting(&[&keys]).verify(&pack.content_hash, pack.signature.as_ref()),
        Err(Untrusted::Wrong { .. })
    ));
}

#[test]
fn keys_that_are_none_are_named() {
    let keys = keys();
    let twice = TrustedKeys::load(&[keys.public.clone(), keys.public.clone()]);
    assert!(matches!(twice, Err(KeyError::Twice { .. })));
    let private_for_public = SigningKey::load(&keys.public).map(|_| ());
    assert!(matches!(private_for_public, Err(KeyError::Form { .. })));
    let nowhere = TrustedKeys::load(&[PathBuf::from("/nowhere.pem")]);
    assert!(matches!(nowhere, Err(KeyError::Read { .. })));
}

/// FENCED: the form in which OpenSSL writes keys, and the text that is signed; the signature was
/// made with `openssl pkeyutl -sign -rawin`. Ed25519 gives the same one every time.
#[test]
fn keys_of_other_tools_are_read_and_signatures_stay() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    // The first test vector of RFC 8032, in PKCS#8 and PEM.
    let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let key = SigningKey::load(&write("key.pem", private)).unwrap();
    let public: &Path = &write("key.pub.pem", public);
    let trusted = TrustedKeys::load(&[public.to_owned()]).unwrap();
    assert_eq!(key.key_id(), "21fe31dfa154a261");
    let signature = Signature::of(&[7; 32], &key);
    assert!(trusted.verify(&[7; 32], Some(&signature)).is_ok());
    assert_eq!(
        hex(&signature.bytes),
        "5f558688a48bd8e321ceb1c23802bf66c49a8ac5facd1e9f7960ee097c8260ce28b9db6567258cfae265d07c2bd1e167fa8e509734e03ce830ac3fb62b016c0b"
    );
}
