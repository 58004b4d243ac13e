//! A verdict of the real book as the message a caller sees.

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::case::CaseView;
use creditgate_measures::catalogue;
use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::event::ListCode;
use creditgate_measures::identifier::invented;
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::Verdict;
use creditgate_measures::vocabulary::{Colour, State};
use creditgate_measures::{Question, decide};
use creditgate_proto::decode::{Limits, event_from_proto};
use creditgate_proto::encode::verdict_to_proto;
use creditgate_proto::json::verdict_to_json;
use creditgate_proto::records::explained_to_proto;
use creditgate_proto::{entry_from_proto, v1};

fn time(text: &str) -> Time {
    Time::parse(text).expect("a time")
}

/// An entry of the firm on every black list, in force or repaired.
fn entries(book: &Book, firm: &str, state: State) -> Vec<Entry> {
    let black = book
        .lists()
        .into_iter()
        .filter(|list| list.colour == Colour::Black);
    black
        .map(|list| {
            let draft = entry_from_proto(&v1::Entry {
                entry_id: format!("{}-1", list.code),
                list: list.code.to_string(),
                id_type: "USCC".into(),
                id: firm.into(),
                severity: "serious".into(),
                region: "320500".into(),
                document_no: "样罚〔2026〕1号".into(),
                valid_to: "2028-01-14".into(),
                ..Default::default()
            })
            .expect("a draft");
            let from = time("2026-04-01");
            Entry {
                entry_id: draft.entry_id,
                list: draft.list,
                identifier: draft.identifier,
                name: None,
                former_names: Vec::new(),
                kind: None,
                severity: draft.severity,
                grade: None,
                designated_by: None,
                document_no: draft.document_no,
                basis: None,
                reason: None,
                region: draft.region,
                scope: Vec::new(),
                act_date: None,
                served_at: Some(from),
                valid_from: from,
                valid_to: draft.valid_to,
                display_min_until: None,
                display_max_until: None,
                repeat_count: 0,
                related: Vec::new(),
                aliases: Vec::new(),
                source_unit: None,
                rule_version: None,
                objection_marked: false,
                recorded_at: from,
                changes: vec![StateChange {
                    to: state,
                    effective_at: from,
                    recorded_at: from,
                }],
            }
        })
        .collect()
}

fn judged(state: State) -> Verdict {
    let book = Book::load(&catalogue::built_in(), &Deployment::default()).expect("the catalogue");
    let firm = invented::uscc(1);
    let mut lists = Lists::empty(
        "0198c0de-0000-7000-8000-000000000001"
            .parse()
            .expect("a log"),
        book.simplify(),
    );
    for entry in entries(&book, &firm, state) {
        lists.put(&entry, book.simplify());
    }
    let codes: Vec<ListCode> = book.lists().iter().map(|list| list.code.clone()).collect();
    for code in codes {
        lists.confirm(code, time("2026-05-05T08:00:00+08:00"));
    }
    let subject = |party: &str, id: String| v1::Subject {
        party: party.into(),
        role: "bidder".into(),
        id_type: "USCC".into(),
        id,
        ..Default::default()
    };
    let event = v1::Event {
        source: "s".into(),
        id: "e".into(),
        case_id: "c".into(),
        scenario: "tender".into(),
        stage: "evaluate".into(),
        region: "320500".into(),
        subjects: vec![subject("bid-1", firm), subject("bid-2", invented::uscc(2))],
        ..Default::default()
    };
    let now = time("2026-05-05T09:00:00+08:00");
    let event = event_from_proto(&event, &Limits::default(), now)
        .expect("an event")
        .event;
    decide(
        Question::about(&event),
        now,
        &CaseView::default(),
        &lists,
        &book,
    )
}

#[test]
fn a_caller_sees_the_verdict_with_its_measures() {
    let verdict = judged(State::Effective);
    let seen = verdict_to_proto(&verdict);
    assert_eq!(seen.verdict_id, verdict.verdict_id.to_string());
    assert_eq!(seen.verdict_digest, verdict.digest.to_string());
    assert_eq!(seen.book_version, verdict.book_version.to_string());
    assert_eq!(seen.list_version, verdict.list_version.to_string());
    assert_eq!(seen.cause, "event");
    assert_eq!(seen.outcome, verdict.outcome().code());
    assert_eq!(seen.result_code, 8);
    let parties: Vec<_> = seen
        .parties
        .iter()
        .map(|p| (p.party.as_str(), p.result_code))
        .collect();
    assert_eq!(parties, [("bid-1", 8), ("bid-2", 0)]);
    let [listed, clean] = seen.subjects.as_slice() else {
        panic!("two subjects")
    };
    assert_eq!(
        (
            listed.index,
            listed.party.as_str(),
            listed.identity.as_str()
        ),
        (0, "bid-1", "verified")
    );
    assert_eq!(
        (clean.index, clean.party.as_str(), clean.triggered.len()),
        (1, "bid-2", 0)
    );
    let of_core = &verdict.subjects[0].triggered;
    assert!(!of_core.is_empty());
    assert_eq!(listed.triggered.len(), of_core.len());
    for (seen, core) in listed.triggered.iter().zip(of_core) {
        let measure = seen.measure.as_ref().expect("a measure");
        assert_eq!(measure.id, core.measure.id.as_str());
        assert_eq!(measure.basis.len(), core.measure.bases.len());
        assert_eq!(seen.contributes, core.contributes.code());
        assert_eq!(
            seen.why,
            core.why.iter().map(ToString::to_string).collect::<Vec<_>>()
        );
        assert_eq!(
            seen.entry.as_ref().map(|hit| hit.path.as_str()),
            Some("identifier")
        );
    }
    let json = verdict_to_json(&seen).expect("json");
    assert_eq!(
        serde_json::from_slice::<v1::Verdict>(&json).expect("json"),
        seen
    );
}

/// Specification 3: no answer names or counts entries that are not usable.
#[test]
fn entries_that_are_not_used_are_in_no_answer() {
    let verdict = judged(State::Repaired);
    assert!(!verdict.explanation.is_empty());
    let seen = verdict_to_proto(&verdict);
    assert_eq!(seen.result_code, 0);
    let json = verdict_to_json(&seen).expect("json");
    let json = String::from_utf8(json).expect("UTF-8");
    for explained in &verdict.explanation {
        assert!(!json.contains(explained.entry_id.as_str()), "{json}");
        let kept = explained_to_proto(explained);
        assert_eq!(
            (kept.subject, kept.entry_id.as_str()),
            (0, explained.entry_id.as_str())
        );
    }
    assert!(!json.contains("repaired"), "{json}");
}
