//! What stands in a sealed file of tables, and what does not.

use std::path::Path;

use creditgate_measures::identifier::{KeyKind, invented};
use creditgate_runtime::sealed::Keyring;

use super::*;
use crate::table::{Children, Error, Logs, Mark, Row, Table, Which};

const LOGS: Logs = Logs {
    verdicts: [1; 16],
    cases: [2; 16],
};

fn sealed(keyring: &Keyring) -> Seal {
    Seal::new(Some(keyring.sealer("cases-table")))
}

/// Everything below a directory, one after the other.
fn bytes_in(dir: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(dir).expect("a directory").flatten();
    files
        .flat_map(|file| std::fs::read(file.path()).expect("a file"))
        .collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A case with a subject, an entry and a report; the state is what it says of them.
struct Case {
    key: Key,
    entry: String,
    feedback: String,
    state: Vec<u8>,
}

impl Case {
    fn new() -> Self {
        let subject = invented::uscc(1);
        Self {
            key: Key::of(KeyKind::Identifier, subject.as_bytes()),
            entry: format!("E-{subject}"),
            feedback: format!("F-{subject}"),
            state: format!("{subject} 示例建设有限公司 未履行生效判决").into_bytes(),
        }
    }

    /// Writes it to a file, with this mark.
    fn put(&self, dir: &Path, seal: &Seal, mark: Mark) -> Table {
        let mut table = Table::open(dir, LOGS, seal).expect("tables");
        let row = Row {
            case_id: "T-2026-1",
            scenario: "tender",
            region: "329900",
            open: true,
            tracked: true,
            open_until: i64::MAX,
            missing_from: None,
            last_event_at: 0,
            state: self.state.clone(),
            children: Children {
                keys: vec![self.key],
                entries: vec![self.entry.clone()],
                said: vec![self.feedback.clone()],
                ..Children::default()
            },
        };
        let put = table.write(mark, |change| change.put(None, &row).map(drop));
        put.expect("written");
        table
    }

    /// What must not be found: each text, and the key as SQLite writes it.
    fn told(&self) -> [Vec<u8>; 6] {
        [
            invented::uscc(1).into_bytes(),
            "示例建设有限公司".into(),
            "未履行生效判决".into(),
            self.entry.clone().into_bytes(),
            self.feedback.clone().into_bytes(),
            self.key.0.to_be_bytes().to_vec(),
        ]
    }

    fn is_found(&self, table: &Table) {
        let state = table.load("T-2026-1").expect("read").expect("a case").1;
        assert_eq!(state, self.state);
        let lookup = table.lookup();
        let keys = [self.key];
        let none: &[Key] = &[];
        for asked in [(&keys[..], ""), (none, self.entry.as_str())] {
            let touched = lookup.touched(std::iter::once(asked)).expect("asked");
            assert_eq!(touched, [vec![(1, true)]]);
        }
        let of_subject = lookup.of_subject(Which::All, &keys, i64::MAX, 10);
        assert_eq!(of_subject.expect("asked"), [1]);
        let reported = lookup.reported_by(&self.feedback).expect("asked");
        assert_eq!(reported.expect("a case").state, self.state);
        let another = lookup.reported_by("F-other").expect("asked");
        assert!(another.is_none());
    }
}

#[test]
fn nothing_of_people_stands_in_a_sealed_file_and_all_of_it_is_found() {
    let case = Case::new();
    let clear = tempfile::tempdir().expect("a directory");
    let table = case.put(clear.path(), &Seal::default(), Mark::default());
    case.is_found(&table);
    let bytes = bytes_in(clear.path());
    assert!(case.told().iter().all(|part| holds(&bytes, part)));

    let dir = tempfile::tempdir().expect("a directory");
    let keyring = Keyring::generate();
    let table = case.put(dir.path(), &sealed(&keyring), Mark::default());
    case.is_found(&table);
    let tells_nothing = || {
        let bytes = bytes_in(dir.path());
        for part in case.told() {
            let text = String::from_utf8_lossy(&part);
            assert!(!holds(&bytes, &part), "{text}");
        }
        // The number of a case is what callers know it by.
        assert!(holds(&bytes, b"T-2026-1"));
    };
    tells_nothing();
    drop(table);
    tells_nothing();
    let table = Table::open(dir.path(), LOGS, &sealed(&keyring)).expect("tables");
    case.is_found(&table);
}

#[test]
fn an_entry_that_is_gone_leads_to_no_case_any_more() {
    let case = Case::new();
    let dir = tempfile::tempdir().expect("a directory");
    let seal = sealed(&Keyring::generate());
    let mut table = case.put(dir.path(), &seal, Mark::default());
    let before = Children {
        keys: vec![case.key],
        entries: vec![case.entry.clone()],
        said: vec![case.feedback.clone()],
        ..Children::default()
    };
    let row = Row {
        case_id: "T-2026-1",
        scenario: "tender",
        region: "329900",
        open: true,
        tracked: true,
        open_until: i64::MAX,
        missing_from: None,
        last_event_at: 0,
        state: Vec::new(),
        children: Children {
            said: vec![case.feedback.clone()],
            ..Children::default()
        },
    };
    let put = table.write(Mark::default(), |change| {
        change.put(Some((1, &before)), &row).map(drop)
    });
    put.expect("written");
    let keys = [case.key];
    let asked = std::iter::once((&keys[..], case.entry.as_str()));
    let touched = table.lookup().touched(asked).expect("asked");
    assert_eq!((touched.len(), touched.concat().len()), (1, 0));
}

#[test]
fn another_number_of_the_key_makes_a_file_anew_and_another_key_of_its_number_is_refused() {
    let case = Case::new();
    let dir = tempfile::tempdir().expect("a directory");
    let mut keyring = Keyring::generate();
    let mark = Mark {
        verdicts: 7,
        ..Mark::default()
    };
    drop(case.put(dir.path(), &sealed(&keyring), mark));
    let opened = |seal: Seal| Table::open(dir.path(), LOGS, &seal).map(|table| table.mark());
    assert_eq!(opened(sealed(&keyring)).expect("as before"), mark);

    let foreign = Keyring::generate();
    let refused = opened(sealed(&foreign)).expect_err("another keyring");
    assert!(matches!(refused, Error::OtherKey { .. }), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("put the right keyring in place"), "{told}");
    // Nothing was lost by it.
    assert_eq!(opened(sealed(&keyring)).expect("as before"), mark);

    keyring.rotate();
    assert_eq!(opened(sealed(&keyring)).expect("anew"), Mark::default());
    drop(case.put(dir.path(), &sealed(&keyring), mark));
    assert_eq!(opened(Seal::default()).expect("anew"), Mark::default());
    drop(case.put(dir.path(), &Seal::default(), mark));
    assert_eq!(opened(sealed(&keyring)).expect("anew"), Mark::default());
}

#[test]
fn what_was_sealed_for_one_row_opens_for_no_other() {
    let seal = sealed(&Keyring::generate());
    let stored = seal.close("cases", "T-2026-1", b"state").into_owned();
    let opened = seal.open("cases", "T-2026-1", stored.clone());
    assert_eq!(opened.expect("its own row"), b"state");
    assert!(seal.open("cases", "T-2026-2", stored.clone()).is_err());
    assert!(seal.open("outbox.body", "T-2026-1", stored).is_err());
    assert!(seal.close("cases", "T-2026-1", b"").is_empty());
}
