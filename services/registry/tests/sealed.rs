//! What stands on the disk where the registry seals: nothing of a person, and all of it is found.
//!
//! The change log itself is the journal's own affair; here it stands in clear, so that what is made from it can be
//! told apart.

mod support;

use std::path::Path;

use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_proto::v1;
use creditgate_registry::{ChangeError, Registry};
use creditgate_runtime::ports::History;
use creditgate_runtime::sealed::{Keyring, Sealer};
use support::{Place, hour, row, rows};

/// A name that no other text holds, and a reason.
const NAME: &str = "示例霁明建设有限公司";
const REASON: &str = "拒不履行生效法律文书";

fn sealer(keyring: &Keyring) -> Option<Sealer> {
    Some(keyring.sealer("registry"))
}

fn listed() -> v1::Entry {
    v1::Entry {
        name: NAME.to_owned(),
        reason: REASON.to_owned(),
        ..row(7)
    }
}

/// Everything in a directory, one file after the other; nothing where there is none.
fn bytes_in(dir: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .flat_map(|file| std::fs::read(file.path()).expect("a file"))
        .collect()
}

/// Which of the texts and keys of the listed firm stand in these bytes.
fn told(bytes: &[u8]) -> Vec<&'static str> {
    let id = invented::uscc(7);
    let identifier = Identifier::parse(IdType::Uscc, &id, None).expect("an invented one");
    let key = identifier.key().0.to_be_bytes();
    let parts: [(&str, &[u8]); 4] = [
        ("id", id.as_bytes()),
        ("name", NAME.as_bytes()),
        ("reason", REASON.as_bytes()),
        ("key", &key[..]),
    ];
    parts
        .into_iter()
        .filter(|(_, part)| bytes.windows(part.len()).any(|window| window == *part))
        .map(|(what, _)| what)
        .collect()
}

/// The number of the key of each base file; none for one in clear.
fn keys_of_bases(place: &Place) -> Vec<Option<u32>> {
    support::base_files(place.dir())
        .iter()
        .map(|file| {
            let bytes = std::fs::read(file).expect("a base");
            let is_sealed = bytes.starts_with(b"CGSEALF");
            is_sealed
                .then(|| u32::from_le_bytes(*bytes[24..].first_chunk::<4>().expect("a number")))
        })
        .collect()
}

/// Whether the index leads from the firm to its entry: that one decides as the lists themselves do.
fn is_found_in_the_past(registry: &Registry) {
    let live = registry.live().load_full();
    let at = hour("2026-03-02", 10);
    let event = support::evaluation(7, at);
    // The version now is answered by the lists themselves.
    let mut before = live.lists.version();
    before.seq -= 1;
    let past = registry
        .past()
        .lists_as_of(before, &event, &live.book)
        .expect("a version of this log");
    let entry = past.entry(&support::id(7)).expect("the entry");
    assert_eq!(Some(entry), live.lists.entry(&support::id(7)));
}

/// A place whose base has the listed firm and some more.
async fn filled(sealer: Option<Sealer>) -> Place {
    let mut place = Place::new().with_overlay_min(1);
    place.sealer = sealer;
    let registry = place.open();
    let others = rows(0..40).into_iter().filter(|row| row.id != listed().id);
    let entries = std::iter::once(listed()).chain(others).collect();
    let taken = place.import(&registry, support::header(), entries).await;
    assert_eq!(support::counts(&taken), "received 40 accepted 40");
    is_found_in_the_past(&registry);
    registry.close().await;
    assert!(!support::base_files(place.dir()).is_empty());
    place
}

#[tokio::test]
async fn nothing_of_people_stands_in_sealed_files_and_all_of_it_is_found() {
    let clear = filled(None).await;
    let in_clear = told(&bytes_in(&clear.dir().join("lists")));
    assert!(in_clear.contains(&"name") && in_clear.contains(&"reason"));
    assert!(in_clear.contains(&"key"), "{in_clear:?}");

    let keyring = Keyring::generate();
    let mut place = filled(sealer(&keyring)).await;
    assert_eq!(told(&bytes_in(&place.dir().join("lists"))), [""; 0]);
    assert!(keys_of_bases(&place).iter().all(Option::is_some));

    // After a restart, with another sealer of the same keyring.
    place.sealer = sealer(&keyring);
    let registry = place.open();
    let live = registry.live().load_full();
    let entry = live.lists.entry(&support::id(7)).expect("the entry");
    assert_eq!(entry.name.as_ref().map(|name| name.reveal()), Some(NAME));
    assert_eq!(live.lists.len(), 40);
    assert!(live.lists.overlay_len() < 40, "the base was read");
    is_found_in_the_past(&registry);
    registry.close().await;
    assert_eq!(told(&bytes_in(&place.dir().join("lists"))), [""; 0]);
}

#[tokio::test]
async fn switching_on_rotating_and_switching_off_lose_nothing() {
    let mut place = filled(None).await;
    let registry = place.open();
    let before = support::dump(&registry);
    registry.close().await;
    let mut keyring = Keyring::generate();
    let first = keyring.active().get();

    // The base in clear is read, and goes.
    place.sealer = sealer(&keyring);
    let registry = place.open();
    assert_eq!(keys_of_bases(&place), [Some(first)]);
    assert_eq!(support::dump(&registry), before);
    is_found_in_the_past(&registry);
    registry.close().await;
    assert_eq!(told(&bytes_in(&place.dir().join("lists"))), [""; 0]);

    let second = keyring.rotate().get();
    assert_ne!(first, second);
    place.sealer = sealer(&keyring);
    let registry = place.open();
    assert_eq!(keys_of_bases(&place), [Some(second)]);
    assert_eq!(support::dump(&registry), before);
    is_found_in_the_past(&registry);
    registry.close().await;

    // Without the key everything is read from the log, here one in clear.
    for sealing in [sealer(&Keyring::generate()), None] {
        place.sealer = sealing;
        let registry = place.open();
        assert_eq!(support::dump(&registry), before);
        is_found_in_the_past(&registry);
        registry.close().await;
    }
}

#[tokio::test]
async fn rows_that_wait_are_sealed_and_stay_while_their_key_is_not_there() {
    let keyring = Keyring::generate();
    let mut place = Place::new();
    place.sealer = sealer(&keyring);
    let full = v1::ImportHeader {
        mode: "full".to_owned(),
        list: "B01".to_owned(),
        ..support::header()
    };
    let of_b01 = |count: usize| -> Vec<v1::Entry> {
        let others = rows(8..200).into_iter().filter(|row| row.list == "B01");
        std::iter::once(listed())
            .chain(others)
            .take(count)
            .collect()
    };
    let registry = place.open();
    place.import(&registry, full.clone(), of_b01(100)).await;
    let held = place.import(&registry, full, of_b01(50)).await;
    assert_eq!(support::counts(&held), "received 50 held 50");
    registry.close().await;
    let waiting = place.dir().join("held");
    let bytes = bytes_in(&waiting);
    assert!(bytes.starts_with(b"CGSEALF"));
    assert_eq!(told(&bytes), [""; 0]);

    for sealing in [None, sealer(&Keyring::generate())] {
        place.sealer = sealing;
        let registry = place.open();
        let refused = approve(&place, &registry, &held.hold_id).await;
        let why = refused.expect_err("without its key").to_string();
        assert!(why.contains("sealed and do not open"), "{why}");
        assert!(why.contains("start the service with the keyring"), "{why}");
        registry.close().await;
        assert!(bytes_in(&waiting) == bytes, "the rows stay as they are");
    }

    place.sealer = sealer(&keyring);
    let registry = place.open();
    let taken = approve(&place, &registry, &held.hold_id).await;
    let summary = taken.expect("approved").summary.expect("a summary");
    assert_eq!((summary.unchanged, summary.revoked_absent), (50, 50));
    registry.close().await;
    assert!(bytes_in(&waiting).is_empty());
}

async fn approve(
    place: &Place,
    registry: &Registry,
    hold_id: &str,
) -> Result<v1::DecideHoldResponse, ChangeError> {
    let decision = v1::DecideHoldRequest {
        hold_id: hold_id.to_owned(),
        approve: true,
        reason: "与来源单位核实".to_owned(),
    };
    registry.decide_hold(decision, &place.caller).await
}
