//! Rewards that are offered and what is reported of them; inspections; and what the lists are told.

use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::ListsTold;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::{AnswerDigest, v1};

use super::{Land, Story, at, bites, event, report};
use crate::facts::{OfferedFacts, VerdictFacts};
use crate::state::{CaseState, Owed, Refusal};

fn offers(n: u64, stage: &str, measure_id: &str) -> VerdictFacts {
    let mut facts = event(n, stage, &[bites("M1", &["E1"])]);
    facts.subjects[0].offered.push(OfferedFacts {
        measure_id: measure_id.to_owned(),
        title: format!("激励 {measure_id}"),
        implementers: vec!["丙局".to_owned()],
    });
    facts
}

fn reward(id: &str, verdict: u64, status: &str, implementer: &str, now: i64) -> v1::Feedback {
    v1::Feedback {
        measure_id: "R1".to_owned(),
        ..report(id, verdict, status, implementer, now)
    }
}

fn inspected(id: &str, verdict: u64, result: &str) -> v1::Feedback {
    v1::Feedback {
        measure_id: String::new(),
        status: String::new(),
        inspection: Some(v1::InspectionResult {
            item: "消防安全".to_owned(),
            result: result.to_owned(),
            attention_list: String::new(),
        }),
        ..report(id, verdict, "", "", 0)
    }
}

/// The reports that the lists are to be told of.
fn to_tell(case: &CaseState) -> Vec<String> {
    let owed = case.owed(at(10_000), &Land::new()).into_iter();
    owed.filter_map(|owed| match owed {
        Owed::TellLists(id) => Some(id),
        _ => None,
    })
    .collect()
}

#[test]
fn a_reward_that_was_offered_is_reported_and_never_lifted() {
    let mut story = Story::of(&[offers(1, "register", "R1"), offers(2, "deal", "R1")]);
    let shown = &story.shown().rewards;
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert_eq!(
        (shown[0].stage.as_str(), shown[0].verdict_subject),
        ("deal", 0)
    );
    story
        .take(What::Feedback(reward("f1", 1, "executed", "丙局", 9_000)))
        .expect("taken");
    story
        .take(What::Feedback(reward("f2", 1, "not_executed", "", 9_000)))
        .expect("taken");
    let shown = story.shown().feedback;
    let told: Vec<_> = shown
        .iter()
        .map(|shown| (shown.about.as_str(), shown.flags.join(" ")))
        .collect();
    let contradicts = "contradicts".to_owned();
    assert_eq!(
        told,
        [("incentive", String::new()), ("incentive", contradicts)]
    );
    assert_eq!(story.case.counting().count(), 1);
    // Nobody is told of it but who asks, and nothing of it is lifted with the penalty.
    assert!(to_tell(&story.case).is_empty());
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
}

#[test]
fn only_what_a_verdict_offered_is_reported_as_a_reward_of_it() {
    let mut story = Story::of(&[offers(1, "register", "R1"), event(2, "deal", &[])]);
    let refused = story.take(What::Feedback(reward("f1", 2, "executed", "", 0)));
    assert!(
        matches!(refused, Err(Refusal::NotFound { .. })),
        "{refused:?}"
    );
    let refused = story.take(What::Feedback(reward("f1", 1, "executed", "甲局", 0)));
    assert_eq!(
        refused.expect_err("another implementer").to_string(),
        "`implementer` must be one of 丙局"
    );
    assert!(story.case.reports.is_empty());
}

#[test]
fn what_only_another_answer_offered_is_reported_too() {
    let first = event(1, "register", &[bites("M1", &["E1"])]);
    let mut story = Story::of(std::slice::from_ref(&first));
    let offered = VerdictFacts {
        answer: AnswerDigest(9),
        ..offers(1, "register", "R1")
    };
    story.case.take_verdict(&offered);
    assert!(story.shown().other_answers[0].differs.is_empty());
    assert_eq!(story.shown().rewards.len(), 1);
    let taken = story.take(What::Feedback(reward("f1", 1, "executed", "丙局", 9_000)));
    assert!(!taken.expect("taken").repeated);
    assert_eq!(story.shown().feedback[0].about, "incentive");
}

#[test]
fn an_inspection_is_told_of_a_verdict_that_judges_one_and_each_stands_for_itself() {
    let mut inspection = event(2, "inspect", &[]);
    inspection.scenario = "inspection".to_owned();
    let mut story = Story::of(&[event(1, "register", &[]), inspection]);
    let refused = story.take(What::Feedback(inspected("f1", 1, "passed")));
    assert!(
        matches!(
            refused,
            Err(Refusal::Field {
                field: "inspection",
                ..
            })
        ),
        "{refused:?}"
    );
    for (id, result) in [("f1", "failed"), ("f2", "corrected")] {
        let taken = story.take(What::Feedback(inspected(id, 2, result)));
        assert!(!taken.expect("taken").repeated);
    }
    assert!(
        story
            .take(What::Feedback(inspected("f1", 2, "failed")))
            .expect("known")
            .repeated
    );
    assert_eq!(story.case.counting().count(), 2);
    assert!(
        story
            .shown()
            .feedback
            .iter()
            .all(|one| one.about == "inspection")
    );
    assert_eq!(to_tell(&story.case), ["f1", "f2"]);
}

#[test]
fn the_lists_are_told_once_of_a_penalty_that_was_carried_out() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story
        .feedback("f1", 1, "not_executed", "甲局")
        .expect("taken");
    assert!(to_tell(&story.case).is_empty());
    story.feedback("f2", 1, "partly", "甲局").expect("taken");
    assert_eq!(to_tell(&story.case), ["f2"]);
    // A restart in between finds it owed at once.
    let owed = story.case.owed(Time::from_micros(0), &Land::new());
    assert_eq!(owed, [Owed::TellLists("f2".to_owned())]);
    let told = |id: &str| {
        What::ListsTold(ListsTold {
            feedback_id: id.to_owned(),
            ..ListsTold::default()
        })
    };
    assert!(!story.take(told("f2")).expect("told").repeated);
    assert!(story.take(told("f2")).expect("told").repeated);
    assert!(story.take(told("f9")).is_err());
    assert!(to_tell(&story.case).is_empty());
    let shown: Vec<bool> = story
        .shown()
        .feedback
        .iter()
        .map(|one| one.lists_told)
        .collect();
    assert_eq!(shown, [false, true]);
}
