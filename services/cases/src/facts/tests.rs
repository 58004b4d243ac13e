//! Records read.

use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::time::Date;
use creditgate_proto::encode::time_to_proto;

use super::*;

const USCC: &str = "91219999MAYG58BR3Q";

fn at() -> Time {
    Date::from_ymd(2026, 3, 1).expect("a day").start()
}

fn subject(role: &str, id: Option<(&str, &str)>, name: Option<&str>) -> v1::Subject {
    let (id_type, id) = id.unwrap_or_default();
    v1::Subject {
        role: role.to_owned(),
        id_type: id_type.to_owned(),
        id: id.to_owned(),
        name: name.unwrap_or_default().to_owned(),
        ..v1::Subject::default()
    }
}

fn hit(measure: &str, effect: &str, contributes: &str, entry: Option<&str>) -> v1::Triggered {
    let text = |zh: &str| {
        Some(v1::Text {
            zh: zh.to_owned(),
            en: "some".to_owned(),
        })
    };
    v1::Triggered {
        measure: Some(v1::Measure {
            id: measure.to_owned(),
            title: text("限制供地"),
            implementer: text("自然资源部门、 住房城乡建设部门、自然资源部门、"),
            ..v1::Measure::default()
        }),
        effect: effect.to_owned(),
        contributes: contributes.to_owned(),
        entry: entry.map(|entry_id| v1::EntryHit {
            entry_id: entry_id.to_owned(),
            ..v1::EntryHit::default()
        }),
        ..v1::Triggered::default()
    }
}

fn record(subjects: Vec<v1::Subject>) -> VerdictRecord {
    let shown = (0..)
        .zip(&subjects)
        .map(|(index, subject)| v1::SubjectVerdict {
            index,
            party: format!("#{index}"),
            role: subject.role.clone(),
            ..v1::SubjectVerdict::default()
        })
        .collect();
    VerdictRecord {
        event: Some(v1::Event {
            source: "urn:land".to_owned(),
            id: "e1".to_owned(),
            case_id: "LAND-1".to_owned(),
            scenario: "land".to_owned(),
            stage: "register".to_owned(),
            region: "320500".to_owned(),
            occurred_at: Some(time_to_proto(at())),
            subjects,
            ..v1::Event::default()
        }),
        verdict: Some(v1::Verdict {
            verdict_id: "0198c0de-0000-8000-8000-000000000007".to_owned(),
            source: "urn:land".to_owned(),
            event_id: "e1".to_owned(),
            case_id: "LAND-1".to_owned(),
            scenario: "land".to_owned(),
            stage: "register".to_owned(),
            cause: "event".to_owned(),
            outcome: "PASS".to_owned(),
            list_version: "0198c0de-0000-7000-8000-000000000001:17".to_owned(),
            occurred_at: Some(time_to_proto(at())),
            evaluated_at: Some(time_to_proto(at().plus_seconds(1))),
            subjects: shown,
            ..v1::Verdict::default()
        }),
        ..VerdictRecord::default()
    }
}

fn read(record: &VerdictRecord) -> Result<VerdictFacts, &'static str> {
    VerdictFacts::of(record, 4, 4_096, &SimplifyTable::default())
}

#[test]
fn a_record_is_told_as_it_is() {
    let facts = read(&record(vec![subject(
        "land_bidder",
        Some(("USCC", USCC)),
        None,
    )]))
    .expect("readable");
    assert_eq!(
        (facts.sequence, facts.position, facts.list_seq),
        (4, 4_096, 17)
    );
    assert_eq!((facts.region.as_str(), facts.occurred_at), ("320500", at()));
    assert!(!facts.is_review());
    let mut again = record(Vec::new());
    let verdict = again.verdict.as_mut().expect("there");
    verdict.cause = "clock:17".to_owned();
    verdict.supersedes = Some("0198c0de-0000-8000-8000-000000000006".to_owned());
    // An event without subjects is none that would have been recorded.
    assert_eq!(read(&again), Err("event"));
    again.event = record(vec![subject("agent", None, Some("示例公司"))]).event;
    let facts = read(&again).expect("readable");
    assert!(facts.is_review() && facts.supersedes.is_some());
}

#[test]
fn several_entries_of_one_measure_are_one_measure() {
    let mut record = record(vec![subject("land_bidder", Some(("USCC", USCC)), None)]);
    let verdict = record.verdict.as_mut().expect("there");
    verdict.subjects[0].flags = vec!["name_only".to_owned(), "missing_check:deal".to_owned()];
    verdict.subjects[0].triggered = vec![
        hit("M2", "PROHIBIT", "proposed", Some("E9")),
        hit("M1", "NOTICE", "effect", Some("E2")),
        hit("M1", "RESTRICT", "proposed", Some("E1")),
        hit("M1", "RESTRICT", "effect", Some("E3")),
        hit("M4", "PROHIBIT", "proposed", Some("E1")),
        hit("M4", "NOTICE", "effect", Some("E2")),
        hit("M3", "NOTICE", "effect", None),
    ];
    let facts = read(&record).expect("readable");
    let subject = &facts.subjects[0];
    assert_eq!(subject.missing, ["deal"]);
    let told: Vec<_> = subject
        .triggered
        .iter()
        .map(|t| {
            let (id, effect, waits) = (&t.measure_id, t.effect(), t.waits());
            format!("{id} {effect} {waits} {:?} {}", t.entry_ids, t.by_row)
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"M1 RESTRICT false ["E1", "E2", "E3"] false"#,
            r#"M2 PROHIBIT true ["E9"] false"#,
            "M3 NOTICE false [] true",
            r#"M4 PROHIBIT true ["E1", "E2"] false"#,
        ]
    );
    assert_eq!(
        subject.triggered[0].implementers,
        ["自然资源部门", "住房城乡建设部门"]
    );
    assert_eq!(subject.triggered[0].title, "限制供地");
}

#[test]
fn implementers_are_cut_at_the_mark_of_enumeration() {
    let check = |zh: &str, expected: &[&str]| assert_eq!(implementers(zh), expected, "{zh}");
    check("自然资源部门", &["自然资源部门"]);
    check("甲局、乙局", &["甲局", "乙局"]);
    check(" 、甲局 、、甲局", &["甲局"]);
    check("", &[]);
}

#[test]
fn a_subject_is_looked_for_where_decisions_look() {
    let simplify = SimplifyTable::default();
    let name = NormalName::new("示例公司", &simplify).expect("a name");
    let key = |id_type, id| Identifier::parse(id_type, id, None).expect("valid").key();
    let check = |subject: v1::Subject, own: Option<Key>, mut expected: Vec<Key>| {
        expected.sort_unstable();
        let facts = read(&record(vec![subject])).expect("readable");
        assert_eq!(facts.subjects[0].lookups, expected);
        assert_eq!(facts.subjects[0].key, own);
    };
    let uscc = key(IdType::Uscc, USCC);
    let org9 = &USCC[8..17];
    assert_eq!(
        uscc,
        key(IdType::Org9, org9),
        "one key for a USCC and its ORG9"
    );
    check(
        subject("bidder", Some(("USCC", USCC)), Some("示例公司")),
        Some(uscc),
        vec![uscc, Key::name_only(&name)],
    );
    check(
        subject("bidder", Some(("ORG9", org9)), Some("示例公司")),
        Some(uscc),
        vec![uscc, Key::name_only(&name), Key::name(&name)],
    );
    check(
        subject("bidder", None, Some("示例公司")),
        Some(Key::name(&name)),
        vec![Key::name_only(&name), Key::name(&name)],
    );
    check(
        subject("bidder", Some(("USCC", USCC)), None),
        Some(uscc),
        vec![uscc],
    );
}

#[test]
fn a_part_that_cannot_be_read_is_named() {
    let check = |change: fn(&mut VerdictRecord), expected: &'static str| {
        let mut record = record(vec![subject("bidder", Some(("USCC", USCC)), None)]);
        change(&mut record);
        assert_eq!(read(&record), Err(expected));
    };
    fn verdict(record: &mut VerdictRecord) -> &mut v1::Verdict {
        record.verdict.as_mut().expect("there")
    }
    check(|r| r.verdict = None, "verdict");
    check(|r| r.event = None, "event");
    check(|r| verdict(r).verdict_id.clear(), "verdict_id");
    check(
        |r| verdict(r).list_version = "17".to_owned(),
        "list_version",
    );
    check(|r| verdict(r).occurred_at = None, "occurred_at");
    check(|r| verdict(r).evaluated_at = None, "evaluated_at");
    check(
        |r| verdict(r).supersedes = Some("x".to_owned()),
        "superseded verdict",
    );
    check(|r| verdict(r).subjects[0].index = 9, "subject");
}
