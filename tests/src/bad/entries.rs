//! Entries as sources state them, and as snapshots keep them.

use creditgate_measures::entry::{Entry, StateChange, StoredEntry};
use creditgate_measures::identifier::Identifier;
use creditgate_measures::lists::keys;
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::State;
use creditgate_proto::json::entry_from_json_line;
use creditgate_proto::{EntryDraft, entry_from_proto, entry_to_proto, v1};
use prost::Message;

use super::texts::simplify;
use super::{refuses, shows_nobody};

/// An entry as a line of JSON.
pub fn json(input: &[u8]) {
    match entry_from_json_line(input) {
        Ok(message) => entry(&message),
        Err(refused) => refuses(&refused),
    }
}

/// An entry in protobuf.
pub fn protobuf(input: &[u8]) {
    if let Ok(message) = v1::Entry::decode(input) {
        let bytes = message.encode_to_vec();
        let again = v1::Entry::decode(bytes.as_slice()).expect("what was written is read");
        assert_eq!(again, message);
        entry(&message);
    }
}

/// An entry that was read survives the wire, JSON and the snapshot.
pub(super) fn entry(message: &v1::Entry) {
    let draft = match entry_from_proto(message) {
        Ok(draft) => draft,
        Err(refused) => return refuses(&refused),
    };
    let entry = recorded(&draft);
    let written = entry_to_proto(&entry);
    let again = entry_from_proto(&written).expect("what was written keeps the rules");
    assert_eq!(recorded(&again), entry);
    let json = serde_json::to_vec(&written).expect("an entry is written as JSON");
    let read = entry_from_json_line(&json).expect("and read");
    assert_eq!(read, written);
    survives_the_snapshot(&entry);
}

fn survives_the_snapshot(entry: &Entry) {
    let bytes = entry.to_stored();
    let stored = StoredEntry::read(&bytes).expect("a stored entry is read");
    assert_eq!(stored.entry_id, entry.entry_id.as_str());
    assert_eq!(stored.identifier, entry.identifier);
    assert_eq!(Entry::from_stored(&bytes).as_ref(), Ok(entry));
    let found = keys(&stored, simplify());
    if let Some(identifier) = &entry.identifier {
        assert!(
            found.contains(&identifier.key()),
            "it is found by its number"
        );
    }
}

/// Bytes of a snapshot that are an entry are that entry, whoever reads them.
pub fn stored(input: &[u8]) {
    let head = StoredEntry::read(input);
    match Entry::from_stored(input) {
        Ok(entry) => {
            let head = head.expect("the head of an entry is read alone");
            assert_eq!(head.entry_id, entry.entry_id.as_str());
            survives_the_snapshot(&entry);
        }
        Err(error) => shows_nobody("no stored entry", &error.to_string()),
    }
}

/// The entry that a registry might make of a draft: what is not said filled with something.
pub(super) fn recorded(draft: &EntryDraft) -> Entry {
    let first_day = draft.valid_to.map(|day| day.start());
    let valid_from = draft.valid_from.or(first_day);
    let valid_from = valid_from.unwrap_or(Time::from_micros(1_750_000_000_000_000));
    let effective_at = draft.state_since.unwrap_or(valid_from);
    Entry {
        entry_id: draft.entry_id.clone(),
        list: draft.list.clone(),
        identifier: draft.identifier.as_ref().map(held),
        name: draft.name.clone(),
        former_names: draft.former_names.clone(),
        kind: draft.kind,
        severity: draft.severity,
        grade: draft.grade.clone(),
        designated_by: draft.designated_by.clone(),
        document_no: draft.document_no.clone(),
        basis: draft.basis.clone(),
        reason: draft.reason.clone(),
        region: draft.region,
        scope: draft.scope.clone(),
        act_date: draft.act_date,
        served_at: draft.served_at,
        valid_from,
        valid_to: draft.valid_to,
        display_min_until: draft.display_min_until,
        display_max_until: draft.display_max_until,
        repeat_count: draft.repeat_count.unwrap_or_default(),
        related: draft
            .related
            .iter()
            .cloned()
            .map(|mut related| {
                related.identifier = related.identifier.as_ref().map(held);
                related
            })
            .collect(),
        aliases: draft.aliases.iter().map(held).collect(),
        source_unit: draft.source_unit.clone(),
        rule_version: draft.rule_version.clone(),
        objection_marked: draft.objection_marked.unwrap_or_default(),
        recorded_at: valid_from,
        changes: vec![StateChange {
            to: draft.state.unwrap_or(State::Effective),
            effective_at,
            recorded_at: valid_from,
        }],
    }
}

/// As it is held: an `ID15` as the `ID18` it became.
fn held(identifier: &Identifier) -> Identifier {
    let (id_type, issuer) = (identifier.id_type(), identifier.issuer());
    Identifier::parse(id_type, identifier.reveal(), issuer).expect("a normal form is valid")
}
