//! Events, checks, the chain of verdicts and the end of a case.

use creditgate_proto::journal::v1::CaseClosed;
use creditgate_proto::journal::v1::case_record::What;

use super::{CASE, DAY, Land, Story, at, bidder, bites, event, id, proposed, review};
use crate::state::{CaseState, Happened, Owed, Refusal};

fn closed(why: &str, reason: &str) -> What {
    What::Closed(CaseClosed {
        why: why.to_owned(),
        reason: reason.to_owned(),
        document_no: String::new(),
    })
}

#[test]
fn a_review_takes_the_place_of_the_latest_and_is_no_check() {
    let first = event(1, "register", &[]);
    let story = Story::of(&[
        first.clone(),
        review(2, &first, "deal", &[bites("M1", &["E1"])]),
    ]);
    assert_eq!(story.case.latest, Some(id(2)));
    assert_eq!(story.case.successor(id(1)), Some(id(2)));
    assert_eq!(story.case.successor(id(2)), None);
    let shown = story.shown();
    let stages: Vec<_> = shown
        .checks
        .iter()
        .map(|check| check.stage.as_str())
        .collect();
    assert_eq!(stages, ["register"]);
    assert_eq!(shown.verdicts[0].superseded_by, id(2).to_string());
    assert_eq!(shown.next_stage, "deal");
    assert_eq!(story.states(), "0/M1=in_effect");
}

#[test]
fn a_later_event_becomes_the_latest_and_supersedes_nothing() {
    let first = event(1, "register", &[]);
    let mut story = Story::of(&[first.clone(), event(3, "deal", &[])]);
    assert_eq!(story.case.latest, Some(id(3)));
    // A review of the event before came too late to say how the case stands.
    story.case.take_verdict(&review(4, &first, "deal", &[]));
    assert_eq!(story.case.latest, Some(id(3)));
    assert_eq!(story.case.successor(id(1)), Some(id(4)));
    assert_eq!(story.case.successor(id(3)), None);
}

#[test]
fn an_event_of_another_system_takes_the_case_nowhere() {
    let first = event(1, "register", &[]);
    let mut story = Story::of(&[first]);
    let place = |story: &Story| {
        let life = story.case.life.as_ref().expect("a case");
        let at = (story.case.scenario.clone(), story.case.region().to_owned());
        (at, life.last.stage.clone(), story.case.latest)
    };
    let here = |stage: &str, n| {
        let at = ("land".to_owned(), "320500".to_owned());
        (at, stage.to_owned(), Some(id(n)))
    };
    // Another scenario, elsewhere, with the same number: it joins, and the case stays what it is.
    let mut other = event(2, "bid", &[]);
    other.source = "urn:tender".to_owned();
    other.scenario = "tender".to_owned();
    other.region = "110000".to_owned();
    story.case.take_verdict(&other);
    assert_eq!(place(&story), here("register", 1));
    assert_eq!(story.case.verdicts.len(), 2);
    // Its next step, told by another system: the course goes on where the case is.
    let mut next = event(3, "deal", &[]);
    next.source = "urn:deals".to_owned();
    next.region = "110000".to_owned();
    story.case.take_verdict(&next);
    assert_eq!(place(&story), here("deal", 3));
    // The system that began it may take it elsewhere.
    let mut moved = event(4, "contract", &[]);
    moved.region = "320505".to_owned();
    story.case.take_verdict(&moved);
    assert_eq!(story.case.region(), "320505");
    assert_eq!(story.case.latest, Some(id(4)));
}

#[test]
fn events_out_of_order_leave_the_last_one_last() {
    let mut early = event(5, "register", &[]);
    early.occurred_at = at(1);
    let story = Story::of(&[event(2, "deal", &[]), early]);
    let life = story.case.life.as_ref().expect("a case");
    assert_eq!((life.last.stage.as_str(), life.opened_at), ("deal", at(1)));
    assert_eq!(story.case.latest, Some(id(2)));
}

#[test]
fn a_slot_is_taken_once() {
    let mut again = event(1, "deal", &[bites("M1", &["E1"])]);
    let mut story = Story::of(&[event(1, "register", &[])]);
    let before = story.case.clone();
    again.sequence = 9;
    assert!(story.case.take_verdict(&again).repeated);
    assert_eq!(story.case, before);
}

#[test]
fn subjects_are_numbered_by_who_they_are_and_what_they_do() {
    let mut first = event(1, "register", &[]);
    first.subjects = vec![bidder(0, 7, &[]), bidder(1, 8, &[])];
    first.subjects[1].key = None;
    let mut second = event(2, "deal", &[]);
    second.subjects = vec![
        bidder(0, 9, &[]),
        bidder(1, 7, &[bites("M1", &["E1"])]),
        bidder(2, 7, &[bites("M1", &["E2"])]),
    ];
    second.subjects[2].role = "agent".to_owned();
    let story = Story::of(&[first, second]);
    assert_eq!(story.case.subjects.len(), 4);
    assert_eq!(story.case.verdicts[1].subjects, [2, 0, 3]);
    assert_eq!(story.states(), "0/M1=in_effect 3/M1=in_effect");
}

#[test]
fn the_last_stage_and_the_time_limit_are_owed() {
    let story = Story::of(&[event(1, "register", &[])]);
    let owed = |story: &Story, now| story.case.owed(now, &Land::new());
    assert_eq!(owed(&story, at(0)), []);
    assert_eq!(story.shown().open_until, "2026-03-31");
    assert_eq!(owed(&story, at(31 * DAY - 1)), []);
    assert_eq!(owed(&story, at(31 * DAY)), [Owed::Close("time_limit")]);

    let mut story = Story::of(&[event(1, "supply", &[])]);
    let due = owed(&story, at(0));
    assert_eq!(due, [Owed::Close("last_stage")]);
    for one in due {
        let taken = story.take(one.into_record()).expect("taken");
        assert_eq!(taken.happened, [Happened::Closed]);
    }
    assert_eq!(owed(&story, at(90 * DAY)), []);
    assert_eq!(story.shown().closed_why, "last_stage");
}

#[test]
fn an_event_opens_a_closed_case_again_and_a_review_does_not() {
    let first = event(1, "register", &[]);
    let mut story = Story::of(std::slice::from_ref(&first));
    story.take(closed("by_request", "撤回")).expect("closed");
    assert!(!story.case.is_open());
    assert!(
        story
            .take(closed("by_request", "撤回"))
            .expect("known")
            .repeated
    );
    let again = story.take(closed("time_limit", ""));
    assert!(matches!(again, Err(Refusal::Closed { .. })));
    story.case.take_verdict(&review(2, &first, "deal", &[]));
    assert!(!story.case.is_open());
    let taken = story.case.take_verdict(&event(3, "deal", &[]));
    assert_eq!(taken.happened, [Happened::Opened]);
    assert!(story.case.is_open());
    assert_eq!(story.shown().closed_why, "");
}

#[test]
fn how_a_case_was_closed_is_shown_and_stands() {
    let mut story = Story::of(&[event(1, "register", &[])]);
    let asked = |reason: &str, document_no: &str| {
        What::Closed(CaseClosed {
            why: "by_request".to_owned(),
            reason: reason.to_owned(),
            document_no: document_no.to_owned(),
        })
    };
    story
        .take(asked("竞买人撤回", "撤〔2026〕1号"))
        .expect("closed");
    let closing = story.shown().closing.expect("closed by request");
    assert_eq!(
        (
            closing.reason.as_str(),
            closing.document_no.as_str(),
            closing.caller.as_str()
        ),
        ("竞买人撤回", "撤〔2026〕1号", "desk")
    );
    let again = story.take(asked("竞买人撤回", "撤〔2026〕1号"));
    assert!(again.expect("known").repeated);
    for (reason, document_no) in [("重复", "撤〔2026〕1号"), ("竞买人撤回", "")] {
        let refused = story.take(asked(reason, document_no)).expect_err("another");
        assert_eq!(
            refused.to_string(),
            "closed already on 2026-03-01 because `desk` asked for it with document `撤〔2026〕1号`: \
             the case itself shows the reason"
        );
    }
    // Open again, nothing is left of it.
    story.case.take_verdict(&event(2, "apply", &[]));
    assert_eq!(story.shown().closing, None);

    let mut story = Story::of(&[event(1, "supply", &[])]);
    story.take(closed("last_stage", "")).expect("closed");
    assert_eq!(story.shown().closing, None);
    let refused = story.take(asked("撤回", "")).expect_err("it has ended");
    let tells = "closed already on 2026-03-01 because its last stage was reached";
    assert_eq!(refused.to_string(), tells);
}

#[test]
fn closing_asks_for_a_reason_that_is_one() {
    let mut story = Story::of(&[event(1, "register", &[])]);
    let text = |refused: Result<_, Refusal>| refused.expect_err("refused").to_string();
    assert_eq!(
        text(story.take(closed("by_request", " "))),
        "`reason` is required: say why the case ends"
    );
    assert_eq!(
        text(story.take(closed("tired", "x"))),
        "`why` is none of last_stage, by_request, time_limit"
    );
    let unknown = CaseState::new(CASE).check_record(&super::record(1, closed("by_request", "x")));
    assert_eq!(
        text(unknown),
        format!("case `{CASE}` is not known: no event of it was checked")
    );
}

#[test]
fn a_proposal_is_escalated_once_after_its_day() {
    let mut story = Story::of(&[event(1, "register", &[proposed("M1", &["E1"])])]);
    assert_eq!(story.shown().measures[0].decide_by, "2026-03-06");
    let owed = |story: &Story, now| story.case.owed(now, &Land::new());
    assert_eq!(owed(&story, at(6 * DAY - 1)), []);
    let due = owed(&story, at(6 * DAY));
    assert_eq!(due, [Owed::Escalate("0/M1".to_owned())]);
    for one in due {
        story.take(one.into_record()).expect("taken");
    }
    assert_eq!(owed(&story, at(7 * DAY)), []);
    assert!(story.shown().measures[0].escalated);
    // It stays what it was: neither an effect nor a PASS.
    assert_eq!(story.states(), "0/M1=proposed");
}

#[test]
fn a_case_is_stored_with_its_version_and_prints_no_person() {
    let mut story = Story::of(&[event(1, "register", &[proposed("M1", &["E1"])])]);
    story.claim("0/M1", "王五", false).expect("claimed");
    story.feedback("f1", 1, "executed", "").expect("taken");
    let bytes = story.case.to_stored();
    assert_eq!(CaseState::from_stored(&bytes).as_ref(), Ok(&story.case));
    let mut other = bytes.clone();
    other[0] += 1;
    assert!(CaseState::from_stored(&other).is_err());
    assert!(CaseState::from_stored(&bytes[..bytes.len() - 1]).is_err());
    assert!(CaseState::from_stored(&[]).is_err());
    assert!(CaseState::from_stored(&[&bytes[..], &[0]].concat()).is_err());
    let printed = format!("{:?}", story.case);
    assert!(
        !printed.contains("王五") && !printed.contains("张三"),
        "{printed}"
    );
}
