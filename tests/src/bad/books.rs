//! Books as people write them and as one file: refused whole with every fault, or the same whoever reads them.

use creditgate_measures::book::{Book, Deployment, SourceFile};
use creditgate_measures::time::Time;
use creditgate_registry::book as pack;

use super::choice;

/// Files, each behind a line `=== path`.
pub fn book(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let files = files_of(&text);
    let deployment = Deployment::default();
    let loaded = Book::load(&files, &deployment);
    let mut backwards = files.clone();
    backwards.reverse();
    assert_eq!(
        Book::content_hash(&files),
        Book::content_hash(&backwards),
        "files have no order"
    );
    match loaded {
        Ok(book) => {
            let again = Book::load(&backwards, &deployment).expect("files have no order");
            assert_eq!(again.version(), book.version());
            let recorded = Book::load_recorded(&files, &deployment);
            let recorded = recorded.expect("what was in force can be read again");
            assert_eq!(recorded.version(), book.version());
        }
        Err(errors) => {
            assert!(!errors.0.is_empty(), "refused without a fault");
            for error in &errors.0 {
                assert!(
                    !error.rule.is_empty() && !error.mend.is_empty(),
                    "{error:?}"
                );
            }
        }
    }
}

/// Each path once: a directory has no file twice, and a pack that has is refused.
pub(super) fn files_of(text: &str) -> Vec<SourceFile> {
    let mut files: Vec<SourceFile> = Vec::new();
    for part in text.split("=== ").skip(1) {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        if !files.iter().any(|file| file.path == path) {
            files.push(SourceFile::new(path, text));
        }
    }
    files
}

/// Any bytes as a pack; or, after a first byte 0, files that are packed, and the place that is damaged.
pub fn pack(input: &[u8]) {
    let (first, rest) = choice(input);
    if let Ok(opened) = pack::open(rest) {
        assert_eq!(Book::content_hash(&opened.files), opened.content_hash);
        let at = opened.packed_at.unwrap_or(Time::from_micros(0));
        let sealed = pack::seal(&opened.files, None, at, &opened.packed_by);
        let again = pack::open(&sealed).expect("what was packed is opened");
        assert_eq!(again.content_hash, opened.content_hash);
        assert_eq!(again.files.len(), opened.files.len());
    }
    if first % 2 == 0 {
        let (damage, text) = rest.split_at(rest.len().min(3));
        sealed(damage, &String::from_utf8_lossy(text));
    }
}

fn sealed(damage: &[u8], text: &str) {
    let mut files = files_of(text);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let at = Time::from_micros(1_780_000_000_000_000);
    let mut bytes = pack::seal(&files, None, at, "tests");
    let opened = pack::open(&bytes).expect("what was packed is opened");
    assert_eq!(opened.files, files);
    let &[low, high, value] = damage else {
        return;
    };
    let place = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
    bytes[place] ^= value;
    if let Ok(opened) = pack::open(&bytes) {
        assert_eq!(opened.files, files, "files that were changed are taken");
    }
}
