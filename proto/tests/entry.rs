//! Entries: what a row says, every rule of its form, and the way back.

use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::identifier::invented;
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::State;
use creditgate_proto::json::entry_from_json_line;
use creditgate_proto::{EntryDraft, Refused, entry_from_proto, entry_to_proto, v1};

fn line() -> String {
    let firm = invented::uscc(1);
    let person = invented::person(2);
    let org = invented::org9(3);
    format!(
        r#"{{"entry_id":"E1","list":"B07","id_type":"USCC","id":"{firm}","name":"样例甲","former_names":["样例乙"],"kind":"enterprise","severity":"serious","grade":"2","designated_by":"苏州市住建局","document_no":"苏住建罚〔2026〕1号","basis":"条例第八条","reason":"串通投标","region":"320500","scope":["trade:building"],"act_date":"2025-12-01","served_at":"2026-01-10T09:00:00+08:00","valid_from":"2026-01-15","valid_to":"2028-01-14","display_min_until":"2026-04-14","display_max_until":"2029-01-14","state":"EFFECTIVE","state_since":"2026-01-15","objection_marked":true,"repeat_count":1,"source_unit":"苏州市信用中心","rule_version":"2024","related":[{{"role":"legal_representative","id_type":"ID18","id":"{person}","name":"某某"}}],"aliases":[{{"id_type":"ORG9","id":"{org}"}}]}}"#
    )
}

fn message() -> v1::Entry {
    entry_from_json_line(line().as_bytes()).expect("an entry")
}

#[track_caller]
fn check(change: impl FnOnce(&mut v1::Entry), expected: &str) {
    let mut entry = message();
    change(&mut entry);
    let shown = entry_from_proto(&entry)
        .err()
        .map(|r: Refused| r.to_string())
        .unwrap_or_default();
    assert_eq!(shown, expected);
}

/// The draft as the registry would keep it.
fn kept(draft: EntryDraft) -> Entry {
    let recorded_at = Time::parse("2026-01-16").expect("a day");
    let valid_from = draft.valid_from.expect("stated");
    let change = StateChange {
        to: draft.state.expect("stated"),
        effective_at: draft.state_since.expect("stated"),
        recorded_at,
    };
    Entry {
        entry_id: draft.entry_id,
        list: draft.list,
        identifier: draft.identifier,
        name: draft.name,
        former_names: draft.former_names,
        kind: draft.kind,
        severity: draft.severity,
        grade: draft.grade,
        designated_by: draft.designated_by,
        document_no: draft.document_no,
        basis: draft.basis,
        reason: draft.reason,
        region: draft.region,
        scope: draft.scope,
        act_date: draft.act_date,
        served_at: draft.served_at,
        valid_from,
        valid_to: draft.valid_to,
        display_min_until: draft.display_min_until,
        display_max_until: draft.display_max_until,
        repeat_count: draft.repeat_count.unwrap_or_default(),
        related: draft.related,
        aliases: draft.aliases,
        source_unit: draft.source_unit,
        rule_version: draft.rule_version,
        objection_marked: draft.objection_marked.unwrap_or_default(),
        recorded_at,
        changes: vec![change],
    }
}

#[test]
fn an_entry_goes_in_and_out_again() {
    let draft = entry_from_proto(&message()).expect("a draft");
    assert_eq!(draft.state, Some(State::Effective));
    let entry = kept(draft.clone());
    let shown = entry_to_proto(&entry);
    assert_eq!(entry_from_proto(&shown).expect("a draft"), draft);
    let json = serde_json::to_vec(&shown).expect("json");
    assert_eq!(entry_from_json_line(&json).expect("an entry"), shown);
}

#[test]
fn what_is_not_said_stays_open() {
    let entry = v1::Entry {
        entry_id: "E".into(),
        list: "B07".into(),
        name: "样例".into(),
        ..Default::default()
    };
    let draft = entry_from_proto(&entry).expect("a draft");
    assert_eq!(
        (draft.state, draft.severity, draft.region),
        (None, None, None)
    );
    assert_eq!(
        (draft.objection_marked, draft.repeat_count, draft.valid_from),
        (None, None, None)
    );
}

#[test]
fn each_rule_of_an_entry() {
    check(|_| {}, "");
    check(|e| e.entry_id = String::new(), "entry_id: required");
    check(
        |e| e.entry_id = "a\tb".into(),
        "entry_id: must not hold control characters",
    );
    check(|e| e.list = String::new(), "list: required");
    check(
        |e| {
            e.id = String::new();
            e.name = String::new();
        },
        "id: required: an identifier or a name",
    );
    check(
        |e| e.id = "91320505MA1MABCD01".into(),
        "id: not a valid USCC: wrong check digit",
    );
    check(
        |e| e.id_type = "XX".into(),
        "id_type: unknown identifier type `XX`; known: USCC, ID18, ORG9, REG15, ID15, OTHER",
    );
    check(
        |e| e.id_type = "OTHER".into(),
        "issuer: required for `OTHER`",
    );
    check(
        |e| e.severity = "grave".into(),
        "severity: unknown word `grave`; known: minor, general, serious",
    );
    check(
        |e| e.state = "effective".into(),
        "state: unknown word `effective`; known: PROPOSED, NOTIFIED, EFFECTIVE, SUSPENDED, \
         REPAIRED, REVOKED",
    );
    check(
        |e| e.scope = vec!["trade:a".into(), "colour:red".into()],
        "scope[1]: expected `item:`, `trade:`, `region:` or `project:` and a code",
    );
    check(
        |e| e.scope = vec!["item:".into()],
        "scope[0]: expected `item:`, `trade:`, `region:` or `project:` and a code",
    );
    check(
        |e| e.act_date = "2025-02-29".into(),
        "act_date: no such day in the calendar",
    );
    check(
        |e| e.served_at = "2026-01-10T09:00:00".into(),
        "served_at: not a time: expected RFC 3339 with an offset, or a day as YYYY-MM-DD",
    );
    check(
        |e| e.valid_from = "1899-12-31".into(),
        "valid_from: expected a day in the years 1900 to 9999",
    );
    check(|e| e.valid_to = "2026-01-15".into(), "");
    check(
        |e| e.valid_to = "2026-01-14".into(),
        "valid_to: lies before `valid_from`",
    );
    check(
        |e| e.display_max_until = "2026-01-01".into(),
        "display_max_until: lies before `display_min_until`",
    );
    check(
        |e| e.related[0].role = "bidder".into(),
        "related[0].role: `bidder` is no relation; known: legal_representative, principal, \
         responsible_person, actual_controller",
    );
    check(
        |e| e.aliases[0].id = "12".into(),
        "aliases[0].id: not a valid ORG9: wrong length",
    );
    check(
        |e| e.aliases[0].id = String::new(),
        "aliases[0].id: required",
    );
    check(
        |e| e.region = "3205".into(),
        "region: required: six digits of GB/T 2260, such as `320500`",
    );
    check(
        |e| e.former_names = vec!["x".into(); 65],
        "former_names: at most 64, got 65",
    );
    check(
        |e| e.former_names = vec!["x".repeat(257)],
        "former_names[0]: at most 256 characters",
    );
    check(
        |e| e.reason = "x".repeat(4_097),
        "reason: at most 4096 characters",
    );
    check(
        |e| e.grade = "x".repeat(513),
        "grade: at most 512 characters",
    );
}

#[test]
fn errors_and_debug_show_no_identifier_and_no_name() {
    let person = invented::person(7);
    let mut entry = message();
    entry.id = format!("{person}9");
    entry.name = "张三丰".repeat(100);
    entry.related[0].id = format!("{person}9");
    entry.aliases[0].id = format!("{person}9");
    let refused = entry_from_proto(&entry).expect_err("wrong");
    assert_eq!(refused.violations.len(), 4);
    for shown in [format!("{refused} {refused:?}"), format!("{entry:?}")] {
        assert!(
            !shown.contains(&person) && !shown.contains("张三丰"),
            "{shown}"
        );
    }
}
