//! What the registry promises: one change after the other, durable before it is seen, and the same
//! after a restart.

mod support;

use creditgate_measures::entry::Entry;
use creditgate_proto::v1;
use creditgate_registry::ChangeError;
use creditgate_registry::change::Change;
use support::{Place, confirm, row, rows, state};

#[tokio::test]
async fn rows_are_taken_and_known_rows_change_nothing() {
    let place = Place::new();
    let registry = place.open();
    let summary = place
        .import(&registry, support::header(), rows(0..2_500))
        .await;
    assert_eq!(support::counts(&summary), "received 2500 accepted 2500");
    let version = registry.live().load().lists.version();
    let again = place
        .import(&registry, support::header(), rows(0..2_500))
        .await;
    assert_eq!(support::counts(&again), "received 2500 unchanged 2500");
    assert_eq!(registry.live().load().lists.version(), version);
    assert_eq!(again.list_version, version.to_string());
    registry.close().await;
}

#[tokio::test]
async fn one_refused_row_holds_them_all_unless_others_may_be_taken() {
    let place = Place::new();
    let registry = place.open();
    let mut bad = rows(0..10);
    bad[3].list = "B99".to_owned();
    bad[5].entry_id = bad[4].entry_id.clone();
    let before = registry.live().load().lists.version();
    let held = place
        .import(&registry, support::header(), bad.clone())
        .await;
    assert_eq!(support::counts(&held), "received 10 refused 2 held 8");
    assert_eq!(registry.live().load().lists.version(), before);
    let shown: Vec<_> = held
        .refused
        .iter()
        .map(|r| (r.row, r.reason.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (
                4,
                "the book has no list `B99`; name a list of the book by its code or its Chinese name (`creditgate lists sources` shows them)"
            ),
            (6, "entry_id: stands twice in this import; keep one row"),
        ]
    );
    let skip = v1::ImportHeader {
        on_error: "skip".to_owned(),
        confirm_lists: vec!["B01".to_owned(), "B02".to_owned()],
        ..support::header()
    };
    let dry = v1::ImportHeader {
        dry_run: true,
        ..skip.clone()
    };
    let tried = place.import(&registry, dry, bad.clone()).await;
    assert_eq!(support::counts(&tried), "received 10 accepted 8 refused 2");
    assert_eq!(registry.live().load().lists.version(), before);
    let taken = place.import(&registry, skip, bad).await;
    assert_eq!(support::counts(&taken), "received 10 accepted 8 refused 2");
    let live = registry.live().load_full();
    assert_eq!(live.lists.len(), 8);
    // B01 had a refused row, so it does not pass for complete; B02 had none.
    assert!(live.lists.confirmed_at("B01").is_none());
    assert!(live.lists.confirmed_at("B02").is_some());
    assert!(
        taken
            .refused
            .iter()
            .any(|r| r.row == 0 && r.reason.contains("`B01`"))
    );
    registry.close().await;
}

#[tokio::test]
async fn a_header_that_cannot_be_kept_is_refused_before_any_row() {
    let place = Place::new();
    let registry = place.open();
    let check = |header: v1::ImportHeader, expected: &str| {
        let refused = registry.begin_import(header, &place.caller).map(|_| ());
        let refused = refused.expect_err("a refusal").to_string();
        assert!(refused.starts_with(expected), "{refused}");
    };
    check(v1::ImportHeader::default(), "source_unit: required");
    check(
        v1::ImportHeader {
            mode: "all".to_owned(),
            ..support::header()
        },
        "mode: unknown mode",
    );
    check(
        v1::ImportHeader {
            mode: "full".to_owned(),
            on_error: "skip".to_owned(),
            ..support::header()
        },
        "list: required with mode `full`; on_error: `full` ends",
    );
    check(
        v1::ImportHeader {
            confirm_lists: vec!["B99".to_owned()],
            ..support::header()
        },
        "the book has no list `B99`",
    );
    registry.close().await;
}

#[tokio::test]
async fn a_full_import_ends_what_its_source_does_not_show_and_takes_it_back() {
    let place = Place::new();
    let registry = place.open();
    let full = || v1::ImportHeader {
        mode: "full".to_owned(),
        list: "B01".to_owned(),
        ..support::header()
    };
    place
        .import(&registry, support::header(), rows(0..20))
        .await;
    let shown: Vec<_> = rows(0..20)
        .into_iter()
        .filter(|row| row.list == "B01")
        .skip(2)
        .collect();
    let summary = place.import(&registry, full(), shown).await;
    assert_eq!(summary.revoked_absent, 2);
    let states = |registry: &creditgate_registry::Registry| -> Vec<String> {
        let live = registry.live().load_full();
        (0..4)
            .map(|n| {
                live.lists
                    .entry(&support::id(n))
                    .expect("an entry")
                    .last_state()
                    .to_string()
            })
            .collect()
    };
    // B02 has rows of the same source and is not touched.
    assert_eq!(
        states(&registry),
        ["EFFECTIVE", "REVOKED", "REVOKED", "EFFECTIVE"]
    );
    registry.close().await;
    let registry = place.open();
    let all: Vec<_> = rows(0..20)
        .into_iter()
        .filter(|row| row.list == "B01")
        .collect();
    let summary = place.import(&registry, full(), all).await;
    assert_eq!((summary.accepted, summary.revoked_absent), (2, 0));
    assert_eq!(states(&registry), ["EFFECTIVE"; 4]);
    registry.close().await;
}

#[tokio::test]
async fn a_proposal_comes_into_force_by_two_changes() {
    let place = Place::new();
    let registry = place.open();
    let proposed = v1::Entry {
        state: "PROPOSED".to_owned(),
        ..row(1)
    };
    place
        .import(&registry, support::header(), vec![proposed])
        .await;
    let before = registry.live().load().lists.version().seq;
    let effective = v1::Entry {
        state: "EFFECTIVE".to_owned(),
        ..row(1)
    };
    place
        .import(&registry, support::header(), vec![effective])
        .await;
    assert_eq!(registry.live().load().lists.version().seq, before + 2);
    registry.close().await;
}

#[tokio::test]
async fn changes_are_made_and_refused_with_their_reason() {
    let place = Place::new();
    let registry = place.open();
    place.import(&registry, support::header(), rows(0..3)).await;
    let apply = |change: Change| registry.apply(change, &place.caller);
    let applied = apply(state(&support::id(1), "SUSPENDED"))
        .await
        .expect("a step");
    assert_eq!(applied.version, registry.live().load().lists.version());
    let refused = apply(state(&support::id(1), "NOTIFIED"))
        .await
        .expect_err("no step");
    assert!(
        matches!(refused, ChangeError::Transition { .. }),
        "{refused}"
    );
    let refused = apply(state("nobody", "REVOKED"))
        .await
        .expect_err("no entry");
    assert!(matches!(refused, ChangeError::UnknownEntry), "{refused}");
    let refused = apply(confirm("B99")).await.expect_err("no list");
    assert!(matches!(refused, ChangeError::UnknownList(_)), "{refused}");
    apply(confirm("B01")).await.expect("a confirmation");
    assert!(registry.live().load().lists.confirmed_at("B01").is_some());
    let objection = || Change::Objection {
        entry_id: support::id(2).as_str().into(),
        marked: true,
        reason: "异议".to_owned(),
    };
    let first = apply(objection()).await.expect("an objection").version;
    let second = apply(objection()).await.expect("known already").version;
    assert_eq!(first, second);
    let text = place.metrics.render();
    assert!(text.contains("creditgate"), "{text}");
    registry.close().await;
    let closed = registry.apply(confirm("B01"), &place.caller).await;
    assert!(matches!(closed, Err(ChangeError::Closed)));
}

#[tokio::test]
async fn a_restart_knows_what_was_known_with_base_files_and_without() {
    let place = Place::new().with_overlay_min(300);
    let registry = place.open();
    for part in 0..4 {
        place
            .import(
                &registry,
                support::header(),
                rows(part * 700..part * 700 + 800),
            )
            .await;
    }
    registry
        .apply(confirm("B02"), &place.caller)
        .await
        .expect("a confirmation");
    registry
        .apply(state(&support::id(5), "REPAIRED"), &place.caller)
        .await
        .expect("a repair");
    let before = support::dump(&registry);
    registry.close().await;
    assert!(
        !support::base_files(place.dir()).is_empty(),
        "a base was written"
    );

    let registry = place.open();
    assert_eq!(support::dump(&registry), before);
    registry.close().await;

    // Damaged: passed over and rebuilt.
    for file in support::base_files(place.dir()) {
        let mut bytes = std::fs::read(&file).expect("a base file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).expect("write");
    }
    let registry = place.open();
    assert_eq!(support::dump(&registry), before);
    registry.close().await;

    for file in support::base_files(place.dir()) {
        std::fs::write(&file, b"CGBASEF\x01 of somebody else").expect("write");
    }
    let registry = place.open();
    assert_eq!(support::dump(&registry), before);
    registry.close().await;

    for file in support::base_files(place.dir()) {
        std::fs::remove_file(file).expect("remove");
    }
    let registry = place.open();
    assert_eq!(support::dump(&registry), before);
    registry.close().await;
}

#[tokio::test]
async fn a_base_of_another_log_is_passed_over() {
    let (ours, theirs) = (Place::new(), Place::new());
    for (place, count) in [(&ours, 2_100), (&theirs, 2_500)] {
        let registry = place.open();
        place
            .import(&registry, support::header(), rows(0..count))
            .await;
        registry.close().await;
    }
    let foreign = support::base_files(theirs.dir()).pop().expect("a base");
    let target = ours
        .dir()
        .join("lists")
        .join(foreign.file_name().expect("a name"));
    std::fs::copy(foreign, target).expect("copy");
    let registry = ours.open();
    assert_eq!(registry.live().load().lists.len(), 2_100);
    registry.close().await;
}

#[tokio::test]
async fn a_refused_book_leaves_the_last_good_one_in_force() {
    let mut place = Place::new();
    let registry = place.open();
    let good = registry.live().load().book.version();
    place.import(&registry, support::header(), rows(0..3)).await;
    registry.close().await;
    place.book[0].text.push_str("\nnonsense: true\n");
    let registry = place.open();
    assert_eq!(registry.live().load().book.version(), good);
    assert!(registry.book_refused().is_some());
    let told = place.readiness.snapshot();
    assert!(told.ready);
    let told = format!("{:?}", told.components);
    assert!(told.contains("nonsense"), "{told}");
    assert_eq!(registry.live().load().lists.len(), 3);
    registry.close().await;
    let empty = Place::new().with_book(place.book.clone());
    assert!(
        empty.try_open().is_err(),
        "there is no earlier book to keep"
    );
}

#[tokio::test]
async fn a_book_with_another_name_table_finds_entries_by_the_new_names() {
    use creditgate_measures::identifier::Key;
    use creditgate_measures::name::NormalName;
    let mut place = Place::new().with_overlay_min(10);
    let registry = place.open();
    let named = v1::Entry {
        name: "示例龜甲公司".to_owned(),
        ..row(7)
    };
    place
        .import(&registry, support::header(), vec![named])
        .await;
    place
        .import(&registry, support::header(), rows(10..3_000))
        .await;
    registry.close().await;
    let names = place
        .book
        .iter_mut()
        .find(|file| file.path == "names/simplify.txt")
        .expect("a table");
    names.text = names
        .text
        .lines()
        .filter(|line| !line.starts_with('龜'))
        .collect::<Vec<_>>()
        .join("\n");
    names.text.push_str("\n龜 龟\n甲 乙\n");
    let registry = place.open();
    assert!(
        registry.book_refused().is_none(),
        "{:?}",
        registry.book_refused()
    );
    let live = registry.live().load_full();
    assert!(live.lists.normalised_by(live.book.simplify()));
    let name = NormalName::new("示例龟乙公司", live.book.simplify()).expect("a name");
    let mut found = 0;
    live.lists.find(Key::name(&name), |_| found += 1);
    assert_eq!(found, 1);
    registry.close().await;
}

#[tokio::test]
async fn a_correction_moves_an_entry_under_its_new_keys() {
    let place = Place::new();
    let registry = place.open();
    place.import(&registry, support::header(), rows(0..3)).await;
    let moved = v1::Entry {
        id: row(99).id,
        ..row(1)
    };
    place
        .import(&registry, support::header(), vec![moved])
        .await;
    let live = registry.live().load_full();
    let entry: Entry = live.lists.entry(&support::id(1)).expect("an entry");
    assert_eq!(
        entry.identifier.map(|i| i.reveal().to_owned()),
        Some(row(99).id)
    );
    assert_eq!(entry.changes.len(), 1);
    assert_eq!(live.lists.len(), 3);
    registry.close().await;
}
