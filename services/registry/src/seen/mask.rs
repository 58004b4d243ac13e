//! Messages with identifiers, names of natural persons and reasons masked. Names of organisations stay as they are, and so
//! does what tells of an act without telling of anybody: list, authority, document, dates, state.

use creditgate_measures::name::mask_name;
use creditgate_proto::v1;
use creditgate_proto::who::{Who, hidden, hide};

/// Fields of an entry whose earlier values tell of nobody.
const OPEN_FIELDS: [&str; 19] = [
    "list",
    "id_type",
    "kind",
    "severity",
    "grade",
    "designated_by",
    "document_no",
    "region",
    "scope",
    "act_date",
    "served_at",
    "valid_from",
    "valid_to",
    "display_min_until",
    "display_max_until",
    "objection_marked",
    "repeat_count",
    "source_unit",
    "rule_version",
];

pub fn entry(entry: &mut v1::Entry) {
    let (name, number, is_organisation) = {
        let who = Who::of_entry(entry);
        (who.person(), who.number(), who.is_organisation())
    };
    (entry.name, entry.id) = (name, number);
    if !is_organisation {
        for name in &mut entry.former_names {
            *name = mask_name(name, true);
        }
    }
    entry.aliases.iter_mut().for_each(alias);
    entry.related.iter_mut().for_each(related);
    hide(&mut entry.reason);
    entry.basis = hidden(&entry.basis, &[]);
}

pub fn record(record: &mut v1::EntryRecord) {
    record.entry.iter_mut().for_each(entry);
    record.history.iter_mut().for_each(change);
}

pub fn change(change: &mut v1::EntryChange) {
    hide(&mut change.reason);
    change.fields.iter_mut().for_each(field);
}

fn field(field: &mut v1::FieldChange) {
    if !OPEN_FIELDS.contains(&field.field.as_str()) {
        hide(&mut field.old);
        hide(&mut field.new);
    }
}

fn alias(alias: &mut v1::Alias) {
    let number = Who::of_alias(alias).number();
    alias.id = number;
}

fn related(related: &mut v1::RelatedSubject) {
    let (name, number) = {
        let who = Who::of_related(related);
        (who.person(), who.number())
    };
    (related.name, related.id) = (name, number);
}

fn query(query: &mut v1::SubjectQuery) {
    let (name, number) = {
        let who = Who::of_query(query);
        (who.person(), who.number())
    };
    (query.name, query.id) = (name, number);
}

pub fn subject(answer: &mut v1::GetSubjectResponse) {
    let is_organisation = is_organisation(answer);
    for known in &mut answer.identifiers {
        known.identifier.iter_mut().for_each(alias);
    }
    if !is_organisation {
        for known in &mut answer.names {
            known.name = mask_name(&known.name, true);
        }
    }
    for shown in &mut answer.entries {
        shown.record.iter_mut().for_each(record);
    }
    for known in &mut answer.relations {
        known.other.iter_mut().for_each(related);
    }
    for change in &mut answer.changes {
        if !is_organisation {
            change.name = mask_name(&change.name, true);
        }
        change.subject.iter_mut().for_each(alias);
        change.other.iter_mut().for_each(alias);
        change.related.iter_mut().for_each(related);
        hide(&mut change.reason);
        hide(&mut change.undone_reason);
    }
    answer.wrong_hits.iter_mut().for_each(wrong_hit);
    for moment in &mut answer.timeline {
        hide(&mut moment.reason);
        moment.fields.iter_mut().for_each(field);
    }
}

/// Whether the subject is known to be one, by all of its identifiers and by every entry that lists it.
fn is_organisation(answer: &v1::GetSubjectResponse) -> bool {
    let mut identifiers = answer
        .identifiers
        .iter()
        .filter_map(|known| known.identifier.as_ref());
    let mut listed = answer
        .entries
        .iter()
        .filter(|shown| shown.found_by != "related")
        .filter_map(|shown| shown.record.as_ref()?.entry.as_ref());
    !answer.identifiers.is_empty()
        && identifiers.all(|alias| Who::of_alias(alias).is_organisation())
        && listed.all(|entry| Who::of_entry(entry).is_organisation())
}

pub fn wrong_hit(hit: &mut v1::WrongHit) {
    hit.subject.iter_mut().for_each(query);
    hide(&mut hit.reason);
}

/// Whose code it may be is not known, so the name is masked as a person's.
pub fn proposal(proposal: &mut v1::CodeProposal) {
    proposal.name = mask_name(&proposal.name, true);
    for candidate in &mut proposal.candidates {
        candidate.identifier.iter_mut().for_each(alias);
    }
}

pub fn procedure(procedure: &mut v1::Procedure) {
    procedure.subject.iter_mut().for_each(query);
    for step in &mut procedure.steps {
        hide(&mut step.by);
        hide(&mut step.reason);
    }
}

#[cfg(test)]
mod tests {
    use creditgate_measures::identifier::invented;

    use super::*;

    const FIRM: &str = "91219999MAYG58BR3Q";

    fn listed(id_type: &str, id: &str, name: &str) -> v1::Entry {
        v1::Entry {
            entry_id: "E-1".to_owned(),
            list: "B01".to_owned(),
            id_type: id_type.to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            former_names: vec![format!("旧{name}")],
            document_no: "示例〔2026〕1号".to_owned(),
            reason: "拖欠某甲工资".to_owned(),
            basis: format!("依据，见{id}"),
            related: vec![v1::RelatedSubject {
                role: "principal".to_owned(),
                name: "某甲某".to_owned(),
                ..v1::RelatedSubject::default()
            }],
            ..v1::Entry::default()
        }
    }

    /// Whatever a message holds, its JSON would show.
    fn text(entry: &v1::Entry) -> String {
        serde_json::to_string(entry).expect("JSON")
    }

    #[test]
    fn an_entry_of_a_person_tells_neither_who_nor_why() {
        let person = invented::person(1);
        let mut shown = listed("ID18", &person, "某乙某");
        entry(&mut shown);
        let told = text(&shown);
        for secret in [&*person, "某乙某", "某甲", "工资"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
        assert_eq!((&*shown.name, &*shown.former_names[0]), ("某＊", "旧＊"));
        assert_eq!(shown.document_no, "示例〔2026〕1号");
        assert_eq!(shown.reason, "＊＊＊");
    }

    #[test]
    fn an_entry_of_a_firm_keeps_its_name() {
        let mut shown = listed("USCC", FIRM, "示例建设有限公司");
        entry(&mut shown);
        let told = text(&shown);
        for secret in [FIRM, "某甲", "工资"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
        assert_eq!(shown.name, "示例建设有限公司");
        assert_eq!(shown.former_names, ["旧示例建设有限公司"]);
        assert_eq!(shown.id, "91**************3Q");
    }

    #[test]
    fn a_correction_tells_which_field_and_not_whose() {
        let changed = |field: &str| v1::FieldChange {
            field: field.to_owned(),
            old: "某乙某".to_owned(),
            new: String::new(),
        };
        let mut shown = v1::EntryChange {
            reason: "更名".to_owned(),
            fields: vec![changed("name"), changed("grade")],
            ..v1::EntryChange::default()
        };
        change(&mut shown);
        let old: Vec<&str> = shown.fields.iter().map(|one| one.old.as_str()).collect();
        assert_eq!(old, ["＊＊＊", "某乙某"]);
        assert_eq!((&*shown.reason, &*shown.fields[0].new), ("＊＊＊", ""));
    }

    #[test]
    fn a_subject_is_masked_wherever_it_is_named() {
        let person = invented::person(1);
        let alias = v1::Alias {
            id_type: "ID18".to_owned(),
            id: person.clone(),
            issuer: String::new(),
        };
        let query = v1::SubjectQuery {
            id_type: "ID18".to_owned(),
            id: person.clone(),
            name: "某乙某".to_owned(),
            ..v1::SubjectQuery::default()
        };
        let mut answer = v1::GetSubjectResponse {
            identifiers: vec![v1::KnownIdentifier {
                identifier: Some(alias.clone()),
                how: "asked".to_owned(),
            }],
            names: vec![v1::KnownName {
                name: "某乙某".to_owned(),
                ..v1::KnownName::default()
            }],
            entries: vec![v1::SubjectEntry {
                record: Some(v1::EntryRecord {
                    entry: Some(listed("ID18", &person, "某乙某")),
                    ..v1::EntryRecord::default()
                }),
                ..v1::SubjectEntry::default()
            }],
            changes: vec![v1::IdentityChange {
                subject: Some(alias.clone()),
                other: Some(alias),
                name: "某乙某".to_owned(),
                reason: "某乙某更名".to_owned(),
                ..v1::IdentityChange::default()
            }],
            wrong_hits: vec![v1::WrongHit {
                subject: Some(query),
                reason: "某乙某".to_owned(),
                ..v1::WrongHit::default()
            }],
            timeline: vec![v1::SubjectMoment {
                reason: "某乙某".to_owned(),
                ..v1::SubjectMoment::default()
            }],
            ..v1::GetSubjectResponse::default()
        };
        subject(&mut answer);
        let told = serde_json::to_string(&answer).expect("JSON");
        for secret in [&*person, "某乙", "工资"] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
        assert!(told.contains("某＊"), "{told}");
    }
}
