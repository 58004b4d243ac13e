//! Facts about snapshots.

mod collisions;

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::entry::{Related, StateChange};
use crate::event::Sensitive;
use crate::identifier::{IdType, Identifier, invented};
use crate::vocabulary::{Role, State};

fn simplify() -> SimplifyTable {
    SimplifyTable::parse("東 东\n").expect("a table")
}

fn uscc(n: u64) -> Identifier {
    Identifier::parse(IdType::Uscc, &invented::uscc(n), None).expect("valid")
}

fn person(n: u64) -> Identifier {
    Identifier::parse(IdType::Id18, &invented::person(n), None).expect("valid")
}

fn listed(entry_id: &str, identifier: Option<Identifier>, name: Option<&str>) -> Entry {
    let since = Time::parse("2026-01-01").expect("a day");
    Entry {
        entry_id: entry_id.into(),
        list: "B07".into(),
        identifier,
        name: name.map(Sensitive::new),
        former_names: Vec::new(),
        kind: None,
        severity: None,
        grade: None,
        designated_by: None,
        document_no: None,
        basis: Some("某法".into()),
        reason: None,
        region: None,
        scope: vec!["trade:E47".into()],
        act_date: None,
        served_at: Some(since),
        valid_from: since,
        valid_to: None,
        display_min_until: None,
        display_max_until: None,
        repeat_count: 0,
        related: Vec::new(),
        aliases: Vec::new(),
        source_unit: None,
        rule_version: None,
        objection_marked: false,
        recorded_at: since,
        changes: vec![StateChange {
            to: State::Effective,
            effective_at: since,
            recorded_at: since,
        }],
    }
}

fn firm(n: u64) -> Entry {
    listed(&format!("E{n}"), Some(uscc(n)), None)
}

fn empty() -> Lists {
    Lists::empty(uuid::Uuid::nil(), &simplify())
}

fn overlay(entries: impl IntoIterator<Item = Entry>) -> Lists {
    let mut lists = empty();
    for entry in entries {
        lists.put(&entry, &simplify());
    }
    lists
}

/// The same knowledge in a base alone.
fn based(lists: &Lists) -> Lists {
    let base = Base::open(lists.to_base(&simplify()).into()).expect("a base");
    lists.rebased(base)
}

/// Ids of the entries under the key, sorted.
fn under(lists: &Lists, key: Key) -> String {
    let mut found = Vec::new();
    lists.find(key, |body| {
        let stored = StoredEntry::read(body).expect("an entry");
        let id = StoredEntry::id_of(body).expect("an id");
        assert_eq!(id, stored.entry_id);
        found.push(stored.entry_id.to_owned());
    });
    found.sort();
    found.join(" ")
}

/// What a decision finds for a subject: its result code, how many measures, how many entries that it
/// does not use.
fn judged(lists: &Lists, subject: crate::event::Subject) -> (u8, usize, usize) {
    static BOOK: LazyLock<crate::book::Book> = LazyLock::new(|| {
        let files = crate::catalogue::built_in();
        crate::book::Book::load(&files, &crate::book::Deployment::default())
            .unwrap_or_else(|errors| panic!("{errors}"))
    });
    let event = crate::event::Event {
        source: "系统".into(),
        id: "1".into(),
        case_id: "1".into(),
        scenario: "tender".into(),
        stage: "evaluate".into(),
        occurred_at: Time::parse("2026-06-01").expect("a day"),
        clock_filled: false,
        region: crate::event::Region::NATION,
        item_code: None,
        amount_fen: None,
        purpose: None,
        subjects: vec![subject],
        attributes: BTreeMap::new(),
    };
    let verdict = crate::decide(
        crate::Question::about(&event),
        event.occurred_at,
        &crate::case::CaseView::default(),
        lists,
        &BOOK,
    );
    let subject = verdict.subjects.first().expect("a subject");
    (
        subject.decision.result_code,
        subject.triggered.len(),
        verdict.explanation.len(),
    )
}

fn bidder(number: Option<u64>, name: Option<&str>) -> crate::event::Subject {
    let given = number.map(|n| crate::event::GivenIdentifier {
        id_type: IdType::Uscc,
        value: Sensitive::new(invented::uscc(n)),
        issuer: None,
    });
    let name = name.map(Sensitive::new);
    crate::event::Subject::new(None, Role::Bidder, None, given, name)
}

fn named(name: &str) -> Key {
    Key::name(&NormalName::new(name, &simplify()).expect("a name"))
}

fn name_only(name: &str) -> Key {
    Key::name_only(&NormalName::new(name, &simplify()).expect("a name"))
}

#[test]
fn an_entry_is_found_in_the_overlay_in_the_base_and_across_both() {
    let overlay = overlay([firm(1), firm(2)]);
    let base = based(&overlay);
    let mut mixed = base.clone();
    mixed.put(&listed("E3", Some(uscc(1)), None), &simplify());
    for (lists, first) in [(&overlay, "E1"), (&base, "E1"), (&mixed, "E1 E3")] {
        assert_eq!(under(lists, uscc(1).key()), first);
        assert_eq!(under(lists, uscc(2).key()), "E2");
        assert_eq!(under(lists, uscc(3).key()), "");
    }
    assert_eq!((overlay.len(), base.len(), mixed.len()), (2, 2, 3));
    assert_eq!((overlay.overlay_len(), base.overlay_len()), (2, 0));
}

#[test]
fn every_way_to_find_an_entry_leads_to_it() {
    let entry = Entry {
        former_names: vec![Sensitive::new("旧名有限公司")],
        aliases: vec![Identifier::parse(IdType::Reg15, &invented::reg15(7), None).expect("valid")],
        related: vec![Related {
            role: Role::LegalRepresentative,
            identifier: Some(person(1)),
            name: Some(Sensitive::new("张三")),
        }],
        ..listed("E1", Some(uscc(1)), Some("東方有限公司"))
    };
    let nameless = listed("E2", None, Some("西方有限公司"));
    let overlay = overlay([entry.clone(), nameless]);
    for lists in [&overlay, &based(&overlay)] {
        assert_eq!(under(lists, uscc(1).key()), "E1");
        let number = entry.aliases.first().expect("an alias");
        assert_eq!(under(lists, number.key()), "E1");
        assert_eq!(under(lists, person(1).key()), "E1");
        assert_eq!(under(lists, named("东方有限公司")), "E1");
        assert_eq!(under(lists, named("旧名有限公司")), "E1");
        assert_eq!(under(lists, named("张三")), "", "relations have no name");
        assert_eq!(under(lists, name_only("东方有限公司")), "");
        assert_eq!(under(lists, name_only("西方有限公司")), "E2");
        assert_eq!(lists.entry("E1"), Some(entry.clone()));
        assert_eq!(lists.entry("E9"), None);
    }
}

#[test]
fn persons_are_never_found_by_name() {
    let by_number = listed("E1", Some(person(1)), Some("张三"));
    let by_kind = Entry {
        kind: Some(SubjectKind::NaturalPerson),
        ..listed("E2", None, Some("张三"))
    };
    let passport = Identifier::parse(IdType::Other, "E1234567", Some("某国")).expect("valid");
    let by_alias = Entry {
        aliases: vec![person(2)],
        ..listed("E3", Some(passport), Some("张三"))
    };
    let overlay = overlay([by_number, by_kind, by_alias]);
    for lists in [&overlay, &based(&overlay)] {
        assert_eq!(under(lists, named("张三")), "");
        assert_eq!(under(lists, name_only("张三")), "");
        assert_eq!(under(lists, person(1).key()), "E1");
    }
}

#[test]
fn a_later_version_takes_the_place_of_the_entry() {
    let corrected = Entry {
        repeat_count: 3,
        ..firm(1)
    };
    let mut overlay = overlay([firm(1), firm(2)]);
    let mut mixed = based(&overlay);
    for lists in [&mut overlay, &mut mixed] {
        lists.put(&corrected, &simplify());
        assert_eq!(lists.entry("E1"), Some(corrected.clone()));
        assert_eq!(under(lists, uscc(1).key()), "E1");
        assert_eq!(lists.len(), 2);
        // And again, now that the overlay holds it.
        lists.put(&firm(1), &simplify());
        assert_eq!(lists.entry("E1"), Some(firm(1)));
        assert_eq!(lists.len(), 2);
        assert_eq!(lists.bodies().count(), 2);
    }
}

#[test]
fn a_corrected_identifier_leaves_nothing_under_the_old_one() {
    let moved = Entry {
        aliases: vec![uscc(8)],
        ..listed("E1", Some(uscc(9)), Some("新名有限公司"))
    };
    let was = listed("E1", Some(uscc(1)), Some("旧名有限公司"));
    let mut overlay = overlay([was, firm(2)]);
    let mut mixed = based(&overlay);
    for lists in [&mut overlay, &mut mixed] {
        lists.put(&moved, &simplify());
        assert_eq!(under(lists, uscc(1).key()), "");
        assert_eq!(under(lists, named("旧名有限公司")), "");
        assert_eq!(under(lists, uscc(8).key()), "E1");
        assert_eq!(under(lists, uscc(9).key()), "E1");
        assert_eq!(under(lists, named("新名有限公司")), "E1");
        assert_eq!(under(&based(lists), uscc(1).key()), "");
        assert_eq!(under(&based(lists), uscc(9).key()), "E1");
        // And back: the aliases go with the version that had them.
        lists.put(&firm(1), &simplify());
        assert_eq!(under(lists, uscc(8).key()), "");
        assert_eq!(under(lists, uscc(9).key()), "");
        assert_eq!(under(lists, uscc(1).key()), "E1");
    }
}

#[test]
fn an_older_snapshot_keeps_what_it_knew() {
    let before = overlay([firm(1)]);
    let mut after = before.clone();
    after.put(&listed("E1", Some(uscc(9)), None), &simplify());
    after.confirm("B07".into(), Time::from_micros(5));
    assert_eq!(under(&before, uscc(1).key()), "E1");
    assert_eq!(before.confirmed_at("B07"), None);
    assert_eq!(under(&after, uscc(1).key()), "");
}

#[test]
fn a_confirmation_never_goes_back() {
    let mut lists = empty();
    assert_eq!(lists.confirmed_at("B07"), None);
    lists.confirm("B07".into(), Time::from_micros(5));
    lists.confirm("B07".into(), Time::from_micros(3));
    assert_eq!(lists.confirmed_at("B07"), Some(Time::from_micros(5)));
    assert_eq!(lists.confirmed_at("B08"), None);

    // What a clock that ran ahead confirmed does not stand in the way of the next one.
    let second = |s: i64| Time::from_micros(s * 1_000_000);
    lists.confirm("B07".into(), second(1_000));
    lists.confirm_recorded("B07".into(), second(690), second(700));
    assert_eq!(
        lists.confirmed_at("B07"),
        Some(second(1_000)),
        "five minutes"
    );
    lists.confirm_recorded("B07".into(), second(690), second(699));
    assert_eq!(lists.confirmed_at("B07"), Some(second(690)));

    // What was computed from all sources stands as it is.
    lists.confirm_whole("B07".into(), second(600));
    assert_eq!(lists.confirmed_at("B07"), Some(second(600)));
}

#[test]
fn bytes_that_are_no_entry_change_nothing() {
    let mut lists = overlay([firm(1)]);
    lists.put_stored(&[], &simplify());
    lists.put_stored(&[0xFF; 40], &simplify());
    assert_eq!(lists.len(), 1);
}

#[test]
fn a_base_goes_through_bytes_and_back() {
    for count in [0, 1, 2, 7, 64, 1_000] {
        let lists = overlay((0..count).map(firm));
        let bytes = lists.to_base(&simplify());
        let base = Base::open(bytes.clone().into()).expect("a base");
        assert_eq!(base.len() as u64, count);
        assert_eq!(base.is_empty(), count == 0);
        assert_eq!(base.bodies().count() as u64, count);
        let again = lists.rebased(base);
        for n in 0..count {
            assert_eq!(
                again.entry(&format!("E{n}")),
                Some(firm(n)),
                "{n} of {count}"
            );
        }
        assert_eq!(under(&again, uscc(count).key()), "");
        // The same entries over a base: the same base.
        let mut sorted: [Vec<Vec<u8>>; 2] =
            [&lists, &again].map(|l| l.bodies().map(<[u8]>::to_vec).collect());
        sorted.iter_mut().for_each(|bodies| bodies.sort());
        assert_eq!(sorted[0], sorted[1]);
    }
}

#[test]
fn a_base_made_from_another_is_the_one_built_anew() {
    let check = |lists: &Lists| {
        let mut bytes = Vec::new();
        let header = lists.write_base(&simplify(), |part| -> Result<(), ()> {
            bytes.extend_from_slice(part);
            Ok(())
        });
        let mut whole = header.expect("nothing refuses").to_vec();
        whole.append(&mut bytes);
        assert!(whole == lists.to_base(&simplify()), "the same bytes");
        lists.rebased(Base::open(whole.into()).expect("a base"))
    };
    let mut lists = check(&overlay((0..300).map(firm)));
    for round in 0..4_u64 {
        for n in (round..300).step_by(7) {
            let renamed = format!("东方{n}号{}有限公司", "长".repeat(round as usize));
            lists.put(
                &listed(&format!("E{n}"), Some(uscc(n)), Some(&renamed)),
                &simplify(),
            );
        }
        (0..50).for_each(|n| lists.put(&firm(1_000 * (round + 1) + n), &simplify()));
        lists = check(&lists);
        assert_eq!(lists.len() as u64, 300 + 50 * (round + 1));
        assert_eq!(lists.overlay_len(), 0);
        assert!(lists.entry("E299").is_some());
    }
}

/// A small base with overlapping kinds of keys.
fn small() -> Vec<u8> {
    overlay([firm(1), firm(2), listed("E3", None, Some("东方有限公司"))]).to_base(&simplify())
}

#[test]
fn a_base_cut_anywhere_is_refused() {
    let whole = small();
    for length in 0..whole.len() {
        let cut = Bytes::copy_from_slice(&whole[..length]);
        let expected = if length < 8 {
            BaseError::Magic
        } else {
            BaseError::Length
        };
        assert_eq!(Base::open(cut).err(), Some(expected), "cut at {length}");
    }
    let mut longer = whole;
    longer.push(0);
    assert_eq!(Base::open(longer.into()).err(), Some(BaseError::Length));
}

#[test]
fn a_base_with_any_bit_changed_is_refused() {
    let whole = small();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            let refused = Base::open(changed.into()).err();
            assert!(refused.is_some(), "bit {bit} of byte {at}");
            if at < 8 {
                assert_eq!(refused, Some(BaseError::Magic));
            }
        }
    }
}

#[test]
fn entries_under_one_key_are_all_given_and_none_of_them_believed() {
    // A firm by USCC, by its organisation code, and as a relation of another: one key, three
    // entries. Who visits them has to compare in full to know which is which.
    let code = Identifier::parse(IdType::Org9, &invented::org9(1), None).expect("valid");
    assert_eq!(code.key(), uscc(1).key());
    let of_another = Entry {
        related: vec![Related {
            role: Role::ActualController,
            identifier: Some(uscc(1)),
            name: None,
        }],
        ..listed("E3", Some(uscc(2)), None)
    };
    let overlay = overlay([firm(1), listed("E2", Some(code), None), of_another]);
    for lists in [&overlay, &based(&overlay)] {
        assert_eq!(under(lists, uscc(1).key()), "E1 E2 E3");
        let mut own = 0;
        lists.find(uscc(1).key(), |body| {
            let stored = StoredEntry::read(body).expect("an entry");
            own += usize::from(stored.identifier.is_some_and(|i| i.same_subject(&uscc(1))));
        });
        assert_eq!(own, 2, "E3 is of another subject");
    }
}

#[test]
fn a_foreign_entry_under_the_key_is_not_the_subjects() {
    // Two identifiers with one 64-bit key cannot be made in a test, but an entry can be put under
    // a key that is not its own: the decision must not believe it.
    let mut lists = overlay([firm(2)]);
    let body: Arc<[u8]> = firm(2).to_stored().into();
    lists
        .overlay
        .entry(uscc(1).key())
        .or_default()
        .push(Arc::clone(&body));
    lists
        .overlay
        .entry(named("东方有限公司"))
        .or_default()
        .push(body);
    assert_eq!(under(&lists, uscc(1).key()), "E2");
    assert_eq!(
        judged(&lists, bidder(Some(1), None)),
        (0, 0, 0),
        "by identifier"
    );
    let named = bidder(None, Some("东方有限公司"));
    assert_eq!(judged(&lists, named), (0, 0, 0), "by name");
    assert_eq!(judged(&lists, bidder(Some(2), None)).0, 8, "its own");
}

#[test]
fn of_a_hundred_thousand_entries_none_is_lost() {
    const COUNT: u64 = 100_000;
    let bodies: Vec<Vec<u8>> = (0..COUNT).map(|n| firm(n).to_stored()).collect();
    let bytes = Base::build(bodies.iter().map(Vec::as_slice), &simplify());
    let base = Base::open(bytes.into()).expect("a base");
    assert_eq!(base.len() as u64, COUNT);
    let lists = empty().rebased(base);
    for n in 0..COUNT {
        let mut found = 0;
        lists.find(uscc(n).key(), |body| {
            let stored = StoredEntry::read(body).expect("an entry");
            found += usize::from(stored.identifier.is_some_and(|i| i.same_subject(&uscc(n))));
        });
        assert_eq!(found, 1, "{n}");
    }
    let strangers = (COUNT..2 * COUNT).filter(|n| !under(&lists, uscc(*n).key()).is_empty());
    assert_eq!(strangers.count(), 0);
}

proptest! {
    /// Puts and confirmations in two orders and cut at different places into base and overlay.
    #[test]
    fn the_state_is_the_same_however_base_and_overlay_are_cut(
        steps in prop::collection::vec((0..12_u64, 0..3_u64), 1..40),
        cuts in prop::collection::vec(any::<bool>(), 40),
    ) {
        let last = |n: u64| steps.iter().rev().find(|(of, _)| *of == n);
        let put = |lists: &mut Lists, (n, version): (u64, u64)| {
            let name = format!("示例{version}号");
            lists.put(&listed(&format!("E{n}"), Some(uscc(n)), Some(&name)), &simplify());
        };
        let mut cut = empty();
        for (step, is_cut) in steps.iter().zip(&cuts) {
            put(&mut cut, *step);
            if *is_cut {
                cut = based(&cut);
            }
        }
        // Only what holds in the end, in another order.
        let mut whole = empty();
        (0..12).rev().filter_map(last).for_each(|step| put(&mut whole, *step));
        for lists in [&mut cut, &mut whole] {
            lists.confirm("B01".into(), Time::from_micros(5));
            lists.advance(9);
        }
        prop_assert_eq!(cut.state_hash(), whole.state_hash());
        prop_assert_eq!(based(&cut).state_hash(), whole.state_hash());
        // And any difference shows.
        let state = whole.state_hash();
        let mut later = whole.clone();
        later.advance(10);
        prop_assert_ne!(later.state_hash(), state);
        let mut confirmed = whole.clone();
        confirmed.confirm("B01".into(), Time::from_micros(6));
        prop_assert_ne!(confirmed.state_hash(), state);
        put(&mut whole, (3, 7));
        prop_assert_ne!(whole.state_hash(), state);
    }
}
