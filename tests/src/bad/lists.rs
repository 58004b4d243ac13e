//! The base of a snapshot: what was laid out is found again, and nothing that was changed is taken.

use bytes::Bytes;
use creditgate_measures::entry::StoredEntry;
use creditgate_measures::identifier::invented;
use creditgate_measures::lists::{Base, entry_id_key, keys};
use creditgate_proto::{entry_from_proto, v1};

use super::entries::recorded;
use super::texts::simplify;

/// Four bytes that say what is damaged, then bytes that each stand for an entry.
pub fn base(input: &[u8]) {
    let (damage, chosen) = input.split_at(input.len().min(4));
    let bodies: Vec<Vec<u8>> = chosen.iter().take(64).map(|byte| body(*byte)).collect();
    let built = Base::build(bodies.iter().map(Vec::as_slice), simplify());
    let base = Base::open(Bytes::from(built.clone())).expect("what was laid out is opened");
    let kept: Vec<&[u8]> = base.bodies().map(|(_, body)| body).collect();
    assert_eq!(kept, bodies);
    assert_eq!(base.len(), bodies.len());
    for body in &bodies {
        let stored = StoredEntry::read(body).expect("an entry");
        let by_id = [entry_id_key(stored.entry_id)];
        for key in keys(&stored, simplify()).into_iter().chain(by_id) {
            let mut found = false;
            base.find(key, |_, other| found |= other == body);
            assert!(found, "an entry is found by each of its keys");
        }
    }
    let &[mode, low, high, value] = damage else {
        return;
    };
    let at = usize::from(u16::from_le_bytes([low, high])) % built.len().max(1);
    let mut changed = built.clone();
    match mode % 4 {
        0 => changed[at] ^= value,
        1 => changed.truncate(at),
        2 => changed.extend(std::iter::repeat_n(value, at % 64)),
        _ => changed[at..]
            .iter_mut()
            .take(8)
            .for_each(|byte| *byte = value),
    }
    if changed != built {
        let opened = Base::open(Bytes::from(changed));
        assert!(opened.is_err(), "a base that was changed is taken");
    }
    // No base at all.
    let _ = Base::open(Bytes::copy_from_slice(input));
}

/// An invented entry of this number.
fn body(number: u8) -> Vec<u8> {
    let n = u64::from(number);
    let (id_type, id) = match number % 4 {
        0 => ("USCC", invented::uscc(n)),
        1 => ("ID18", invented::person(n)),
        2 => ("ORG9", invented::org9(n)),
        _ => ("", String::new()),
    };
    let message = v1::Entry {
        entry_id: format!("PP9999-{number}"),
        list: "B01".to_owned(),
        id_type: id_type.to_owned(),
        id,
        name: format!("样例{}有限公司", number / 2),
        valid_from: "2026-01-05".to_owned(),
        ..v1::Entry::default()
    };
    let draft = entry_from_proto(&message).expect("an entry");
    recorded(&draft).to_stored()
}
