//! Different values whose keys are the same when a base cuts them short: what they lead to is
//! compared in full, so that nobody is held for another one and nothing takes another's place.
//!
//! The pairs were found by trying numbers one after the other; among twenty million entries there
//! are hundreds of them.

use super::*;

/// Numbers of firms with one short key.
const FIRMS: [(u64, u64); 3] = [
    (1_035_952, 1_283_492),
    (433_802, 1_805_755),
    (588_217, 1_881_762),
];
/// Numbers of names with one short key, as names of any entry.
const NAMES: [(u64, u64); 2] = [(23_512, 316_731), (537_526, 783_373)];
/// Numbers of names with one short key, as names of entries without an identifier.
const NAMES_ONLY: (u64, u64) = (925_778, 1_217_634);
/// Numbers of entry ids with one short key.
const IDS: (u64, u64) = (50_089, 498_290);

fn name(n: u64) -> String {
    format!("示例{n}有限公司")
}

/// The same knowledge in a base alone, and in a base made of another one and an overlay.
fn forms(entries: &[Entry]) -> [(&'static str, Lists); 3] {
    let whole = overlay(entries.iter().cloned());
    let (first, rest) = entries.split_at(entries.len() / 2);
    let mut grown = based(&overlay(first.iter().cloned()));
    rest.iter().for_each(|entry| grown.put(entry, &simplify()));
    let mut bytes = Vec::new();
    let header = grown.write_base(&simplify(), |part| -> Result<(), ()> {
        bytes.extend_from_slice(part);
        Ok(())
    });
    let mut merged = header.expect("nothing refuses").to_vec();
    merged.append(&mut bytes);
    let merged = grown.rebased(Base::open(merged.into()).expect("a base"));
    [
        ("a base", based(&whole)),
        ("a base with an overlay", grown),
        ("a base merged from both", merged),
    ]
}

fn meet(one: Key, other: Key) {
    assert_ne!(one, other, "different keys");
    assert_eq!(one.0 >> 25, other.0 >> 25, "the same when cut short");
}

#[test]
fn a_firm_that_is_not_listed_is_clean_though_it_has_the_key_of_one_that_is() {
    for (one, other) in FIRMS {
        for (listed, clean) in [(one, other), (other, one)] {
            meet(uscc(listed).key(), uscc(clean).key());
            let lists = based(&overlay([firm(listed)]));
            let found = under(&lists, uscc(clean).key());
            assert_eq!(found, format!("E{listed}"), "the entry is looked at");
            assert_eq!(judged(&lists, bidder(Some(clean), None)), (0, 0, 0));
            assert_eq!(judged(&lists, bidder(Some(listed), None)).0, 8);
        }
    }
}

#[test]
fn each_of_two_firms_with_one_key_has_its_own_entry() {
    for (one, other) in FIRMS {
        let red = Entry {
            list: "G01".into(),
            ..firm(other)
        };
        for (form, lists) in forms(&[firm(one), firm(7), red, firm(8)]) {
            let code = |n| judged(&lists, bidder(Some(n), None)).0;
            assert_eq!((code(one), code(other), code(9)), (8, 2, 0), "{form}");
        }
    }
}

#[test]
fn an_entry_by_name_is_not_that_of_another_name_with_its_key() {
    for (one, other) in NAMES {
        meet(named(&name(one)), named(&name(other)));
        let of_one = listed("E1", Some(uscc(1)), Some(&name(one)));
        for (form, lists) in forms(&[of_one, firm(7)]) {
            let found = |n| judged(&lists, bidder(None, Some(&name(n)))).1 > 0;
            assert!(found(one), "{form}");
            assert!(!found(other), "{form}");
        }
    }
    let (one, other) = NAMES_ONLY;
    meet(name_only(&name(one)), name_only(&name(other)));
    let of_one = listed("E1", None, Some(&name(one)));
    for (form, lists) in forms(&[of_one, firm(7)]) {
        // Their numbers hold, so that only entries without one are asked for by name.
        let found = |n| judged(&lists, bidder(Some(n), Some(&name(n)))).1 > 0;
        assert!(found(one), "{form}");
        assert!(!found(other), "{form}");
    }
}

#[test]
fn an_entry_takes_the_place_of_its_own_id_and_of_no_other_with_its_key() {
    let (one, other) = IDS;
    let id = |n| entry_id_key(&format!("E{n}"));
    meet(id(one), id(other));
    let other_name = Entry {
        name: Some(Sensitive::new("新名有限公司")),
        ..firm(other)
    };
    for (form, mut lists) in forms(&[firm(one), firm(7), firm(other), firm(8)]) {
        lists.put(&other_name, &simplify());
        for lists in [&lists, &based(&lists)] {
            assert_eq!(lists.len(), 4, "{form}");
            let entry = |n: u64| lists.entry(&format!("E{n}"));
            assert_eq!(entry(one), Some(firm(one)), "{form}");
            assert_eq!(entry(other), Some(other_name.clone()), "{form}");
            let mut of_other = 0;
            lists.find(uscc(other).key(), |_| of_other += 1);
            assert_eq!(of_other, 1, "{form}: the older form is gone");
        }
        let mut absent = based(&overlay([firm(one)]));
        absent.put(&firm(other), &simplify());
        assert_eq!(absent.len(), 2, "{form}: nothing was replaced");
    }
}

#[test]
fn two_keys_of_one_entry_that_meet_lead_to_it_once() {
    let (one, other) = FIRMS.first().copied().expect("a pair");
    let both = Entry {
        aliases: vec![uscc(other)],
        ..firm(one)
    };
    for (form, lists) in forms(&[both, firm(7)]) {
        for n in [one, other] {
            assert_eq!(under(&lists, uscc(n).key()), format!("E{one}"), "{form}");
            assert_eq!(judged(&lists, bidder(Some(n), None)).0, 8, "{form}");
        }
    }
}
