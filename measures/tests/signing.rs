//! What the version of a book covers, and what is signed.

use creditgate_measures::book::{Book, Deployment, Signing, SourceFile};
use creditgate_measures::catalogue;
use sha2::{Digest, Sha256};

fn version(signing: Signing) -> String {
    let deployment = Deployment {
        signing,
        ..Deployment::default()
    };
    let book = Book::load(&catalogue::built_in(), &deployment);
    book.expect("a sound book").version().to_string()
}

fn signed(key_id: &str) -> Signing {
    Signing::Signed {
        key_id: key_id.into(),
    }
}

/// FENCED: books recorded before signing was told keep their version for ever.
#[test]
fn a_book_of_which_nobody_told_has_the_version_it_always_had() {
    let mut files = catalogue::built_in();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hash = Sha256::new();
    for file in &files {
        for text in ["book", &file.path, &file.text] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
    let expected: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(version(Signing::Untold), expected);
}

#[test]
fn the_version_covers_who_signed() {
    let versions = [
        version(Signing::Untold),
        version(Signing::Unsigned),
        version(signed("0123456789abcdef")),
        version(signed("fedcba9876543210")),
    ];
    for (index, one) in versions.iter().enumerate() {
        assert!(!versions[..index].contains(one), "{index}");
    }
}

#[test]
fn what_is_signed_is_every_path_and_text_in_any_order() {
    let files = catalogue::built_in();
    let hash = Book::content_hash(&files);
    let mut turned = files.clone();
    turned.reverse();
    assert_eq!(Book::content_hash(&turned), hash);
    let moved = |from: &str, to: &str| {
        let mut files = files.clone();
        for file in &mut files {
            if file.path == from {
                file.path = to.to_owned();
            }
        }
        files
    };
    let mut changed = vec![moved("book.yaml", "book2.yaml")];
    let mut texts = files.clone();
    texts[0].text.push('\n');
    changed.push(texts);
    changed.push(files[1..].to_vec());
    let mut more = files.clone();
    more.push(SourceFile::new("lists/more.yaml", ""));
    changed.push(more);
    for changed in changed {
        assert_ne!(Book::content_hash(&changed), hash);
    }
}
