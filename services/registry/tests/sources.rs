//! Sources that go wrong: they show too little, speak of one entry twice over, or name no id.

mod support;

use std::io::Write;
use std::ops::ControlFlow;

use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::State;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use creditgate_registry::change::Change;
use creditgate_registry::{ChangeError, Registry, files};
use creditgate_runtime::callers::{Caller, Callers, Shown};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::ports::History;
use flate2::write::GzEncoder;
use support::{Place, rows};

fn full() -> v1::ImportHeader {
    v1::ImportHeader {
        mode: "full".to_owned(),
        list: "B01".to_owned(),
        confirm_lists: vec!["B01".to_owned()],
        ..support::header()
    }
}

/// The first entries of B01.
fn of_b01(count: usize) -> Vec<v1::Entry> {
    rows(0..1_000)
        .into_iter()
        .filter(|row| row.list == "B01")
        .take(count)
        .collect()
}

fn in_force(registry: &Registry) -> usize {
    let live = registry.live().load_full();
    live.lists
        .bodies()
        .filter_map(|body| creditgate_measures::entry::Entry::from_stored(body).ok())
        .filter(|entry| entry.last_state() == State::Effective)
        .count()
}

fn now() -> Time {
    Time::from_micros(Clock::system().now_micros())
}

/// Somebody with a key of their own.
fn other_caller() -> Caller {
    let key = "cgk_test";
    let digest: String = <sha2::Sha256 as sha2::Digest>::digest(key.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text =
        format!("callers:\n  - name: other-reviewer\n    key_sha256: {digest}\n    may: [lists]\n");
    std::fs::write(file.path(), text).expect("written");
    let loaded = Callers::load(file.path()).expect("a keys file");
    loaded
        .callers
        .authenticate(&Shown::authorization(&format!("Bearer {key}")))
        .expect("known")
}

async fn decide(
    registry: &Registry,
    hold_id: &str,
    approve: bool,
    caller: &Caller,
) -> Result<v1::DecideHoldResponse, ChangeError> {
    let decision = v1::DecideHoldRequest {
        hold_id: hold_id.to_owned(),
        approve,
        reason: "与来源单位核实".to_owned(),
    };
    registry.decide_hold(decision, caller).await
}

#[tokio::test]
async fn a_shrunk_file_waits_and_changes_nothing_until_it_is_approved() {
    let place = Place::new();
    let registry = place.open();
    place.import(&registry, full(), of_b01(100)).await;
    let version = registry.live().load().lists.version();

    // A fifth less is taken, a little more waits.
    let tried = v1::ImportHeader {
        dry_run: true,
        ..full()
    };
    let would = place.import(&registry, tried.clone(), of_b01(80)).await;
    assert_eq!((would.revoked_absent, would.hold_reason.as_str()), (20, ""));
    let would = place.import(&registry, tried, of_b01(79)).await;
    assert_eq!(would.revoked_absent, 21);
    assert!(
        would.hold_reason.contains("end 21 of 100"),
        "{}",
        would.hold_reason
    );
    assert!(would.hold_id.is_empty());
    assert_eq!(registry.live().load().lists.version(), version);

    let held = place.import(&registry, full(), of_b01(79)).await;
    assert_eq!(support::counts(&held), "received 79 held 79");
    assert!(!held.hold_id.is_empty());
    assert_eq!(in_force(&registry), 100);

    // It waits over a restart, with the same state of everything around it.
    let desk = registry.desk();
    registry.close().await;
    let registry = place.open();
    assert_eq!(registry.desk(), desk);
    let waiting: Vec<_> = desk.holds.waiting().map(|hold| hold.id.clone()).collect();
    assert_eq!(waiting, [held.hold_id.as_str()]);

    let decided = decide(&registry, &held.hold_id, true, &place.caller).await;
    let summary = decided.expect("approved").summary.expect("a summary");
    assert_eq!((summary.unchanged, summary.revoked_absent), (79, 21));
    assert_eq!(in_force(&registry), 79);
    let again = decide(&registry, &held.hold_id, true, &place.caller).await;
    let why = again.expect_err("decided already").to_string();
    assert!(why.starts_with("it was approved already"), "{why}");
    registry.close().await;
}

/// An import of files as the command line and the watched folder send them.
async fn import_file(
    place: &Place,
    registry: &Registry,
    header: v1::ImportHeader,
    name: &str,
    bytes: &[u8],
) -> Result<v1::ImportSummary, files::Failed> {
    let path = place.dir().join(name);
    std::fs::write(&path, bytes).expect("a file");
    let mut import = registry
        .begin_import(header, &place.caller)
        .expect("a sound header");
    let options = files::Options::default();
    let mut on_row = |row| {
        let row = files::import_row(row, &options.progress);
        import.push(row).expect("room");
        ControlFlow::Continue(())
    };
    files::read(&[path], &options, &mut on_row, &mut |_, _| ())?;
    Ok(import.finish().await.expect("an import"))
}

fn as_csv(rows: &[v1::Entry]) -> String {
    let head = "entry_id,id_type,id,name,document_no,valid_from,valid_to\n".to_owned();
    rows.iter().fold(head, |text, row| {
        let cells = [
            &row.entry_id,
            &row.id_type,
            &row.id,
            &row.name,
            &row.document_no,
            &row.valid_from,
            &row.valid_to,
        ];
        text + &cells.map(String::as_str).join(",") + "\n"
    })
}

#[tokio::test]
async fn a_whole_list_that_ends_in_the_middle_of_a_row_waits_however_little_is_missing() {
    let place = Place::new();
    let registry = place.open();
    let whole = as_csv(&of_b01(100));
    let taken = import_file(&place, &registry, full(), "a.csv", whole.as_bytes()).await;
    assert_eq!(
        support::counts(&taken.expect("read")),
        "received 100 accepted 100"
    );
    let confirmed = registry.live().load().lists.confirmed_at("B01");
    // The end of row 98 and all of 99 and 100 are missing.
    let cut = whole.lines().take(98).collect::<Vec<_>>().join("\n") + "\nE-0";
    let would = v1::ImportHeader {
        dry_run: true,
        ..full()
    };
    for header in [would, full()] {
        let dry = header.dry_run;
        let held = import_file(&place, &registry, header, "b.csv", cut.as_bytes()).await;
        let held = held.expect("read");
        assert_eq!(held.refused_count, 1);
        assert_eq!(held.refused[0].row, 99);
        assert!(held.refused[0].reason.contains("looks cut off"), "{held:?}");
        assert!(
            held.hold_reason.starts_with("its file ends in the middle")
                && held.hold_reason.contains("end 3 of 100"),
            "{}",
            held.hold_reason
        );
        assert_eq!(held.hold_id.is_empty(), dry);
    }
    assert_eq!(in_force(&registry), 100);
    assert_eq!(registry.live().load().lists.confirmed_at("B01"), confirmed);
    let desk = registry.desk();
    let hold = desk.holds.waiting().next().expect("it waits");
    assert_eq!(
        (hold.why.code(), hold.rows, hold.removed),
        ("cut_off", 97, 3)
    );

    // Somebody knows that the list ends there.
    let decided = decide(&registry, &hold.id, true, &place.caller).await;
    let summary = decided.expect("approved").summary.expect("a summary");
    assert_eq!(support::counts(&summary), "received 97 unchanged 97");
    assert_eq!(summary.revoked_absent, 3);
    assert_eq!(in_force(&registry), 97);

    // A row that is wrong for another reason lets nothing wait: nothing is taken.
    let wrong = cut.replacen(",USCC,", ",USCX,", 1);
    let refused = import_file(&place, &registry, full(), "c.csv", wrong.as_bytes()).await;
    let refused = refused.expect("read");
    assert_eq!((refused.refused_count, refused.hold_id.as_str()), (2, ""));
    assert_eq!(in_force(&registry), 97);
    registry.close().await;
}

#[tokio::test]
async fn a_whole_list_without_a_last_line_end_waits_where_it_would_end_something() {
    let place = Place::new();
    let registry = place.open();
    let as_jsonl = |rows: &[v1::Entry]| {
        let line = |row: &v1::Entry| {
            let (id, list) = (&row.entry_id, &row.list);
            let of = format!(r#""id_type":"{}","id":"{}""#, row.id_type, row.id);
            let (name, from) = (&row.name, &row.valid_from);
            let what = format!(
                r#""document_no":"{}","valid_to":"{}""#,
                row.document_no, row.valid_to
            );
            format!(
                r#"{{"entry_id":"{id}","list":"{list}",{of},"name":"{name}",{what},"valid_from":"{from}"}}"#
            )
        };
        rows.iter()
            .map(line)
            .fold(String::new(), |text, line| text + &line + "\n")
    };
    let whole = as_csv(&of_b01(100));
    // Nothing is missing from it: it is taken with or without its last line end.
    let taken = import_file(
        &place,
        &registry,
        full(),
        "a.csv",
        whole.trim_end().as_bytes(),
    )
    .await;
    assert_eq!(
        support::counts(&taken.expect("read")),
        "received 100 accepted 100"
    );
    let confirmed = registry.live().load().lists.confirmed_at("B01");
    // The line end of row 98 is missing, and 99 and 100 are.
    let cut = as_csv(&of_b01(98));
    let cut = cut.trim_end();
    let lines = as_jsonl(&of_b01(98));
    for (name, bytes) in [("b.csv", cut), ("b.jsonl", lines.trim_end())] {
        let delta = v1::ImportHeader {
            mode: "delta".to_owned(),
            dry_run: true,
            ..full()
        };
        let would = import_file(&place, &registry, delta, name, bytes.as_bytes()).await;
        assert_eq!(would.expect("read").hold_reason, "", "{name}");
        let held = import_file(&place, &registry, full(), name, bytes.as_bytes()).await;
        let held = held.expect("read");
        assert!(
            held.hold_reason.starts_with("its last row has no line end")
                && held.hold_reason.contains("end 2 of 100"),
            "{held:?}"
        );
        let desk = registry.desk();
        let hold = desk.holds.get(&held.hold_id).expect("it waits");
        assert_eq!((hold.why.code(), hold.rows), ("cut_off", 98));
    }
    assert_eq!(in_force(&registry), 100);
    assert_eq!(registry.live().load().lists.confirmed_at("B01"), confirmed);
    // With its line end it is the source's word.
    let fewer = as_csv(&of_b01(98));
    let taken = import_file(&place, &registry, full(), "c.csv", fewer.as_bytes()).await;
    assert_eq!(taken.expect("read").revoked_absent, 2);
    registry.close().await;
}

#[tokio::test]
async fn a_compressed_file_that_is_cut_off_changes_nothing() {
    let place = Place::new();
    let registry = place.open();
    let whole = as_csv(&of_b01(100));
    let taken = import_file(&place, &registry, full(), "a.csv", whole.as_bytes()).await;
    taken.expect("read");
    let version = registry.live().load().lists.version();
    let fewer = as_csv(&of_b01(99));
    let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(fewer.as_bytes()).expect("bytes");
    let gz = gz.finish().expect("its end");
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (row, line) in (0..).zip(fewer.lines()) {
        for (column, cell) in (0..).zip(line.split(',')) {
            sheet.write(row, column, cell).expect("a cell");
        }
    }
    let xlsx = book.save_to_buffer().expect("a workbook");
    for (name, bytes) in [("b.csv.gz", gz), ("b.xlsx", xlsx)] {
        for cut in [bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
            let failed = import_file(&place, &registry, full(), name, &bytes[..cut]).await;
            let why = failed.expect_err("cut off").error.to_string();
            assert!(why.contains("cut off"), "{name}: {why}");
        }
        assert_eq!(registry.live().load().lists.version(), version);
        let dry = v1::ImportHeader {
            dry_run: true,
            ..full()
        };
        let whole = import_file(&place, &registry, dry, name, &bytes).await;
        assert_eq!(whole.expect("read").revoked_absent, 1, "{name}");
    }
    assert_eq!(in_force(&registry), 100);
    registry.close().await;
}

#[tokio::test]
async fn an_import_confirms_as_of_when_its_source_stated_it_and_never_moves_back() {
    let place = Place::new();
    let registry = place.open();
    let as_of = |at: Time| v1::ImportHeader {
        confirmed_at: Some(time_to_proto(at)),
        confirm_lists: Vec::new(),
        confirm_named_lists: true,
        ..support::header()
    };
    let known = |registry: &Registry| {
        let desk = registry.desk();
        let (_, age) = desk.sources.of_list("B01").next().expect("confirmed");
        let list = registry.live().load().lists.confirmed_at("B01");
        assert_eq!(list, Some(age.confirmed_at));
        age.confirmed_at
    };
    let stated = now().plus_seconds(-7 * 86_400);
    place.import(&registry, as_of(stated), of_b01(2)).await;
    assert_eq!(known(&registry), stated);
    let earlier = as_of(stated.plus_seconds(-86_400));
    place.import(&registry, earlier, of_b01(2)).await;
    assert_eq!(known(&registry), stated);
    let later = stated.plus_seconds(86_400);
    place.import(&registry, as_of(later), of_b01(2)).await;
    assert_eq!(known(&registry), later);
    // One from the future is refused before a row is taken.
    let future = as_of(now().plus_seconds(86_400));
    let refused = registry.begin_import(future, &place.caller);
    let why = refused.expect_err("refused").to_string();
    assert!(why.contains("confirmed_at: lies in the future"), "{why}");
    registry.close().await;
    assert_eq!(known(&place.open()), later);
}

#[tokio::test]
async fn a_whole_list_older_than_the_one_known_waits() {
    let place = Place::new();
    let registry = place.open();
    let other = other_caller();
    let as_of = |day: &str| v1::ImportHeader {
        confirmed_at: Some(time_to_proto(Time::parse(day).expect("a day"))),
        ..full()
    };
    let told = |summary: &v1::ImportSummary| summary.hold_reason.clone();
    place
        .import(&registry, as_of("2026-03-05"), of_b01(100))
        .await;
    let known = registry.live().load().lists.confirmed_at("B01");
    // The file of the day before has one more party, and ends nobody.
    let dry = v1::ImportHeader {
        dry_run: true,
        ..as_of("2026-03-04")
    };
    let would = place.import(&registry, dry, of_b01(101)).await;
    assert!(told(&would).contains("an older file"), "{would:?}");
    assert!(would.hold_id.is_empty());
    let held = place
        .import(&registry, as_of("2026-03-04"), of_b01(101))
        .await;
    assert_eq!(support::counts(&held), "received 101 held 101");
    assert!(
        told(&held).contains("than the one known, of 2026-03-05"),
        "{}",
        told(&held)
    );
    let hold = registry.desk().holds.get(&held.hold_id).cloned();
    assert_eq!(hold.expect("it waits").why.code(), "older");
    assert_eq!(in_force(&registry), 100);
    assert_eq!(registry.live().load().lists.confirmed_at("B01"), known);

    // The same day again is no older one, nor is another source's.
    let again = place
        .import(&registry, as_of("2026-03-05"), of_b01(100))
        .await;
    assert_eq!(support::counts(&again), "received 100 unchanged 100");
    let others = v1::ImportHeader {
        source_unit: "另一单位".to_owned(),
        ..as_of("2026-03-04")
    };
    let taken = place.import(&registry, others, Vec::new()).await;
    assert!(told(&taken).contains("no rows"), "{taken:?}");

    // Somebody knows that it is right after all; the list does not become fresher by it.
    let held = place
        .import(&registry, as_of("2026-03-04"), of_b01(101))
        .await;
    let decided = decide(&registry, &held.hold_id, true, &other).await;
    let summary = decided.expect("approved").summary.expect("a summary");
    assert_eq!(
        support::counts(&summary),
        "received 101 accepted 1 unchanged 100"
    );
    assert_eq!(in_force(&registry), 101);
    assert_eq!(registry.live().load().lists.confirmed_at("B01"), known);
    registry.close().await;
}

#[tokio::test]
async fn an_empty_file_waits_whatever_it_would_end() {
    let place = Place::new();
    let registry = place.open();
    let held = place.import(&registry, full(), Vec::new()).await;
    assert!(held.hold_reason.contains("no rows"), "{}", held.hold_reason);
    // Nobody learns from it that the list is complete.
    assert!(registry.live().load().lists.confirmed_at("B01").is_none());
    let rejected = decide(&registry, &held.hold_id, false, &place.caller).await;
    assert!(rejected.expect("rejected").summary.is_none());
    assert_eq!(registry.desk().holds.waiting().count(), 0);
    let held = std::fs::read_dir(place.dir().join("held")).expect("a directory");
    assert_eq!(held.count(), 0, "the rows of a decided import are gone");
    registry.close().await;
}

#[tokio::test]
async fn an_import_that_waits_is_not_taken_over_a_later_one_nor_by_who_sent_it() {
    let place = Place::new();
    let registry = place.open();
    let other = other_caller();
    place.import(&registry, full(), of_b01(100)).await;
    let held = place.import(&registry, full(), of_b01(10)).await;

    let unknown = decide(&registry, "hold-0-0", true, &other).await;
    assert!(
        matches!(unknown, Err(ChangeError::Unknown(_))),
        "{unknown:?}"
    );
    let blank = v1::DecideHoldRequest {
        hold_id: held.hold_id.clone(),
        approve: true,
        reason: " ".to_owned(),
    };
    let blank = registry.decide_hold(blank, &other).await;
    assert!(
        blank
            .expect_err("no reason")
            .to_string()
            .starts_with("reason")
    );

    let later = place.import(&registry, full(), of_b01(99)).await;
    assert_eq!(support::counts(&later), "received 99 unchanged 99");
    let outdated = decide(&registry, &held.hold_id, true, &other).await;
    let why = outdated.expect_err("a later import came").to_string();
    assert!(why.contains("a later import of this source"), "{why}");
    assert_eq!(in_force(&registry), 99);

    // Sent by somebody with a key, it needs somebody else.
    let mut import = registry.begin_import(full(), &other).expect("a header");
    import
        .push(v1::ImportRow {
            entry: of_b01(1).pop(),
            ..Default::default()
        })
        .expect("room");
    let held = import.finish().await.expect("held");
    let own = decide(&registry, &held.hold_id, true, &other).await;
    let why = own.expect_err("four eyes").to_string();
    assert!(why.contains("somebody else"), "{why}");

    // Rows that are not the ones put aside are refused, and everything stays.
    let path = place
        .dir()
        .join("held")
        .join(format!("{}.rows", held.hold_id));
    std::fs::write(&path, b"other rows").expect("written");
    let damaged = decide(&registry, &held.hold_id, true, &place.caller).await;
    let why = damaged.expect_err("another file").to_string();
    assert!(why.contains("another one than was put aside"), "{why}");
    assert_eq!(in_force(&registry), 99);
    registry.close().await;
}

#[tokio::test]
async fn rows_without_id_and_lists_by_name_find_their_entries_again() {
    let place = Place::new();
    let registry = place.open();
    let list = registry
        .live()
        .load()
        .book
        .list("B01")
        .expect("a list")
        .name
        .zh
        .to_string();
    let nameless = || {
        of_b01(50).into_iter().map(|row| v1::Entry {
            entry_id: String::new(),
            list: list.clone(),
            ..row
        })
    };
    let summary = place
        .import(&registry, support::header(), nameless().collect())
        .await;
    assert_eq!(support::counts(&summary), "received 50 accepted 50");
    let summary = place
        .import(&registry, support::header(), nameless().collect())
        .await;
    assert_eq!(support::counts(&summary), "received 50 unchanged 50");

    // Some leave out the word for a list at the end of its name.
    let shorter = nameless().map(|row| v1::Entry {
        list: row.list.trim_end_matches("名单").to_owned(),
        ..row
    });
    let summary = place
        .import(&registry, support::header(), shorter.collect())
        .await;
    assert_eq!(support::counts(&summary), "received 50 unchanged 50");

    // The same decision stands for the same entry, whoever reports it and however its name is written.
    let mut rows: Vec<_> = nameless().take(1).collect();
    rows[0].name = rows[0].name.replace("公司", " 公司 ");
    rows[0].source_unit = "另一单位".to_owned();
    let summary = place.import(&registry, support::header(), rows).await;
    assert_eq!(summary.accepted + summary.differing, 1);
    assert_eq!(registry.live().load().lists.len(), 50);

    let unknown = v1::Entry {
        list: "不存在的名单".to_owned(),
        ..of_b01(1).remove(0)
    };
    let refused = place
        .import(&registry, support::header(), vec![unknown])
        .await;
    assert_eq!(refused.refused_count, 1);
    registry.close().await;
}

#[tokio::test]
async fn of_two_sources_the_declared_one_stands_and_the_difference_is_seen() {
    let mut place = Place::new();
    let order = vec!["示例法院".to_owned(), "示例平台".to_owned()];
    place.source_rules.precedence.insert("B01".into(), order);
    let registry = place.open();
    let from = |source: &str| v1::ImportHeader {
        source_unit: source.to_owned(),
        confirm_lists: vec!["B01".to_owned()],
        ..Default::default()
    };
    let stated = |state: &str| v1::Entry {
        state: state.to_owned(),
        ..of_b01(1).remove(0)
    };
    let entry_id = of_b01(1).remove(0).entry_id;
    let state = |registry: &Registry| {
        let live = registry.live().load_full();
        live.lists.entry(&entry_id).expect("an entry").last_state()
    };

    place
        .import(&registry, from("示例平台"), vec![stated("EFFECTIVE")])
        .await;
    // The one that goes before it is taken at its word.
    let taken = place
        .import(&registry, from("示例法院"), vec![stated("REPAIRED")])
        .await;
    assert_eq!(support::counts(&taken), "received 1 accepted 1");
    assert_eq!(state(&registry), State::Repaired);
    // The other one agrees now: the difference that was noted is gone, and then nothing is new.
    for expected in ["received 1 accepted 1", "received 1 unchanged 1"] {
        let stated = vec![stated("REPAIRED")];
        let agrees = place.import(&registry, from("示例平台"), stated).await;
        assert_eq!(support::counts(&agrees), expected);
    }
    let mut late = stated("REPAIRED");
    late.severity = "minor".to_owned();
    let noted = place.import(&registry, from("示例平台"), vec![late]).await;
    assert_eq!(support::counts(&noted), "received 1 differing 1");
    let desk = registry.desk();
    let differences: Vec<_> = desk.sources.differences_of(&entry_id).collect();
    assert_eq!(differences.len(), 1);
    let (source, difference) = differences[0];
    assert_eq!(
        (source, difference.stands.as_str()),
        ("示例平台", "示例法院")
    );
    assert_eq!(difference.fields, ["severity"]);
    assert_eq!(state(&registry), State::Repaired);
    // Once both say the same it is gone.
    place
        .import(&registry, from("示例平台"), vec![stated("REPAIRED")])
        .await;
    assert_eq!(registry.desk().sources.differences_of(&entry_id).count(), 0);

    let desk = registry.desk();
    let sources: Vec<&str> = desk
        .sources
        .of_list("B01")
        .map(|(source, _)| source)
        .collect();
    assert_eq!(
        sources.len(),
        2,
        "the age of each source is known: {sources:?}"
    );
    registry.close().await;
    assert_eq!(place.open().desk(), desk);
}

#[tokio::test]
async fn a_list_is_as_fresh_as_the_stalest_of_its_sources() {
    let from = |source: &str, day: &str| v1::ImportHeader {
        source_unit: source.to_owned(),
        confirm_lists: vec!["B01".to_owned()],
        confirmed_at: Time::parse(day)
            .ok()
            .map(creditgate_proto::encode::time_to_proto),
        ..Default::default()
    };
    let age = |registry: &Registry| registry.live().load().lists.confirmed_at("B01");
    let day = |day: &str| Some(Time::parse(day).expect("a day"));

    // None are declared: all that ever confirmed it count.
    let place = Place::new();
    let registry = place.open();
    place
        .import(&registry, from("示例法院", "2026-03-01"), Vec::new())
        .await;
    assert_eq!(age(&registry), day("2026-03-01"));
    place
        .import(&registry, from("示例平台", "2026-03-09"), Vec::new())
        .await;
    assert_eq!(age(&registry), day("2026-03-01"), "the court is silent");
    place
        .import(&registry, from("示例法院", "2026-03-05"), Vec::new())
        .await;
    assert_eq!(age(&registry), day("2026-03-05"));
    // One that names no source speaks for all of them.
    let by_hand = Change::Confirm {
        list: "B01".into(),
        at: day("2026-03-07"),
        source_unit: String::new(),
    };
    registry
        .apply(by_hand, &place.caller)
        .await
        .expect("confirmed");
    assert_eq!(age(&registry), day("2026-03-07"));
    registry.close().await;
    // A restart knows the same, with and without the base.
    let registry = place.open();
    assert_eq!(age(&registry), day("2026-03-07"));
    registry.close().await;
    for file in support::base_files(place.dir()) {
        std::fs::remove_file(file).expect("removed");
    }
    assert_eq!(age(&place.open()), day("2026-03-07"));

    // A staler source that joins makes the list staler, live, as of that version, and after a restart.
    let place = Place::new();
    let registry = place.open();
    place
        .import(&registry, from("示例法院", "2026-03-05"), of_b01(1))
        .await;
    let before = registry.live().load().lists.version();
    place
        .import(&registry, from("示例平台", "2026-03-01"), Vec::new())
        .await;
    assert_eq!(age(&registry), day("2026-03-01"));
    let joined = registry.live().load().lists.version();
    place
        .import(&registry, from("示例平台", "2026-03-09"), Vec::new())
        .await;
    assert_eq!(age(&registry), day("2026-03-05"));
    let event = support::evaluation(1, now());
    let (book, past) = (registry.live().load().book.clone(), registry.past());
    for (version, expected) in [(before, "2026-03-05"), (joined, "2026-03-01")] {
        let known = past.lists_as_of(version, &event, &book).expect("known");
        assert_eq!(known.confirmed_at("B01"), day(expected), "{version}");
    }
    registry.close().await;
    for file in support::base_files(place.dir()) {
        std::fs::remove_file(file).expect("removed");
    }
    assert_eq!(age(&place.open()), day("2026-03-05"));

    // Declared: they alone count, and a list that one of them never confirmed is not loaded.
    let mut place = Place::new();
    let order = vec!["示例法院".to_owned(), "示例平台".to_owned()];
    place.source_rules.precedence.insert("B01".into(), order);
    let registry = place.open();
    place
        .import(&registry, from("示例平台", "2026-03-01"), Vec::new())
        .await;
    place
        .import(&registry, from("示例他处", "2026-03-02"), Vec::new())
        .await;
    assert_eq!(age(&registry), None);
    place
        .import(&registry, from("示例法院", "2026-03-03"), Vec::new())
        .await;
    assert_eq!(age(&registry), day("2026-03-01"));
    place
        .import(&registry, from("示例平台", "2026-03-04"), Vec::new())
        .await;
    assert_eq!(age(&registry), day("2026-03-03"));
}

#[tokio::test]
async fn what_an_official_decided_a_source_does_not_undo() {
    let place = Place::new();
    let registry = place.open();
    let stated = || -> Vec<v1::Entry> {
        let in_force = |row| v1::Entry {
            state: "EFFECTIVE".to_owned(),
            objection_marked: Some(false),
            ..row
        };
        of_b01(10).into_iter().map(in_force).collect()
    };
    let ids: Vec<String> = stated().into_iter().map(|row| row.entry_id).collect();
    place.import(&registry, full(), stated()).await;
    for (id, to) in [(&ids[0], "SUSPENDED"), (&ids[1], "REPAIRED")] {
        let applied = registry.apply(support::state(id, to), &place.caller).await;
        applied.expect("a step");
    }
    let objection = Change::Objection {
        entry_id: ids[2].as_str().into(),
        marked: true,
        reason: "异议".to_owned(),
    };
    registry
        .apply(objection, &place.caller)
        .await
        .expect("marked");

    // The whole list again, as it was: the rest is taken, and what differs is seen.
    let again = place.import(&registry, full(), stated()).await;
    assert_eq!(
        support::counts(&again),
        "received 10 unchanged 8 differing 2"
    );
    assert!(again.hold_id.is_empty() && registry.live().load().lists.confirmed_at("B01").is_some());
    let entry = |id: &str| registry.live().load().lists.entry(id).expect("an entry");
    assert_eq!(entry(&ids[0]).last_state(), State::Suspended);
    assert_eq!(entry(&ids[1]).last_state(), State::Repaired);
    assert!(entry(&ids[2]).objection_marked);
    let desk = registry.desk();
    let (_, difference) = desk.sources.differences_of(&ids[1]).next().expect("noted");
    assert_eq!(
        (difference.fields.as_slice(), difference.state.as_str()),
        (&["state".to_owned()][..], "EFFECTIVE")
    );

    let again = place.import(&registry, full(), stated()).await;
    assert_eq!(
        support::counts(&again),
        "received 10 unchanged 8 differing 2"
    );

    // That it has ended, the source may always say; once it agrees, no difference is left.
    let mut ended = stated();
    for row in &mut ended[..2] {
        row.state = "REPAIRED".to_owned();
    }
    place.import(&registry, full(), ended).await;
    assert_eq!(entry(&ids[0]).last_state(), State::Repaired);
    let desk = registry.desk();
    assert_eq!(desk.sources.differences_after("").count(), 0);
    registry.close().await;
}

#[tokio::test]
async fn a_repair_lifts_at_once_though_a_suspension_was_planned() {
    let place = Place::new();
    let registry = place.open();
    let row = of_b01(1).remove(0);
    place
        .import(&registry, support::header(), vec![row.clone()])
        .await;
    let later = now().plus_seconds(30 * 86_400);
    let planned = Change::State {
        entry_id: row.entry_id.as_str().into(),
        to: State::Suspended,
        effective_at: Some(later),
        document_no: "示例裁定1号".to_owned(),
        reason: "重整计划".to_owned(),
    };
    registry
        .apply(planned, &place.caller)
        .await
        .expect("planned");
    let repaired = registry
        .apply(support::state(&row.entry_id, "REPAIRED"), &place.caller)
        .await;
    let entry = repaired.expect("repaired").entry.expect("the entry");
    let now = now();
    assert_eq!(entry.state_at(now), State::Repaired);
    assert_eq!(entry.state_at(later), State::Repaired);
    registry.close().await;
}

#[tokio::test]
async fn an_id_of_another_source_does_not_become_another_subject() {
    let place = Place::new();
    let registry = place.open();
    let own = of_b01(1).remove(0);
    place
        .import(&registry, support::header(), vec![own.clone()])
        .await;
    let others = v1::Entry {
        id: of_b01(2).remove(1).id,
        source_unit: "另一单位".to_owned(),
        ..own.clone()
    };
    let refused = place
        .import(&registry, support::header(), vec![others])
        .await;
    assert_eq!(refused.refused_count, 1);
    assert!(
        refused.refused[0].reason.contains("for another subject"),
        "{refused:?}"
    );
    // Nor does another source end it, as long as nobody said that it goes before.
    let ended = v1::Entry {
        state: "REVOKED".to_owned(),
        source_unit: "另一单位".to_owned(),
        ..own.clone()
    };
    let noted = place
        .import(&registry, support::header(), vec![ended])
        .await;
    assert_eq!(support::counts(&noted), "received 1 differing 1");
    let live = registry.live().load_full();
    let entry = live.lists.entry(&own.entry_id).expect("an entry");
    assert_eq!(entry.last_state(), State::Effective);
    registry.close().await;
}
