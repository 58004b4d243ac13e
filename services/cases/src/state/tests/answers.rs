//! Two answers of one decision slot.

use super::*;

/// The same event, answered by another replica of the gate.
fn other(of: &VerdictFacts, answer: u64, triggered: &[TriggeredFacts]) -> VerdictFacts {
    VerdictFacts {
        answer: AnswerDigest(answer),
        position: of.position + 1,
        subjects: vec![bidder(0, 1, triggered)],
        ..of.clone()
    }
}

fn barred(of: &VerdictFacts, answer: u64, triggered: &[TriggeredFacts]) -> VerdictFacts {
    VerdictFacts {
        outcome: "RESTRICT".to_owned(),
        effect: Some("RESTRICT".to_owned()),
        ..other(of, answer, triggered)
    }
}

#[test]
fn one_that_says_the_same_is_kept_and_changes_nothing_else() {
    let first = event(1, "register", &[bites("M1", &["E1"])]);
    let mut story = Story::of(std::slice::from_ref(&first));
    let before = story.shown();
    let again = other(&first, 9, &[bites("M1", &["E1"])]);
    let taken = story.case.take_verdict(&again);
    assert!(!taken.repeated && taken.happened.is_empty());
    let mut after = story.shown();
    assert_eq!(after.other_answers.len(), 1);
    assert!(after.other_answers[0].differs.is_empty());
    after.other_answers.clear();
    assert_eq!(after, before);
    // Each of them is known now.
    for known in [&first, &again] {
        assert!(story.case.take_verdict(known).repeated);
    }
}

#[test]
fn one_that_differs_sends_the_case_to_review_and_the_first_stands() {
    let first = event(1, "register", &[]);
    let mut story = Story::of(std::slice::from_ref(&first));
    let second = barred(&first, 9, &[bites("M1", &["E1"])]);
    let taken = story.case.take_verdict(&second);
    assert_eq!(taken.happened, [Happened::AnswersDiffer(id(1))]);
    let shown = story.shown();
    assert_eq!(shown.verdicts.len(), 1);
    assert_eq!(shown.verdicts[0].outcome, "PASS");
    let other = &shown.other_answers[0];
    assert_eq!(other.answer, "0000000000000009");
    assert_eq!(other.outcome, "RESTRICT");
    assert_eq!(other.differs, ["outcome", "effect", "triggered"]);
    // What it triggered may have been carried out: it is there, can be reported, and is lifted.
    assert_eq!(story.states(), "0/M1=in_effect");
    assert_eq!(shown.measures[0].verdict_subject, 0);
    let taken = story.feedback("F1", 1, "executed", "甲局").expect("taken");
    assert!(!taken.repeated);
    let position = story.case.resting().next().map(|resting| resting.position);
    assert_eq!(position, Some(second.position), "it rests on its own event");
    story.support("0/M1", &[], 20).expect("lost");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
}

#[test]
fn the_first_says_how_a_measure_stands_that_both_show() {
    let first = event(1, "register", &[proposed("M1", &["E1"])]);
    let mut story = Story::of(std::slice::from_ref(&first));
    let second = barred(
        &first,
        9,
        &[bites("M1", &["E1", "E2"]), bites("M3", &["E3"])],
    );
    story.case.take_verdict(&second);
    assert_eq!(story.states(), "0/M1=proposed 0/M3=in_effect");
    assert_eq!(story.shown().measures[0].entry_ids, ["E1"]);
    // The other one applied it: it may have been carried out, and has to be lifted.
    story.support("0/M1", &[], 20).expect("lost");
    let states = "0/M1=unsupported 0/M3=in_effect 甲局:open 乙局:open";
    assert_eq!(story.states(), states);
}

#[test]
fn of_three_answers_each_is_compared_with_the_one_that_stands() {
    let first = event(1, "register", &[]);
    let mut story = Story::of(std::slice::from_ref(&first));
    let waits = VerdictFacts {
        outcome: "MANUAL_REVIEW".to_owned(),
        review: true,
        proposed: Some("RESTRICT".to_owned()),
        ..other(&first, 8, &[proposed("M1", &["E1"])])
    };
    story.case.take_verdict(&waits);
    story.case.take_verdict(&other(&first, 9, &[]));
    story.case.take_verdict(&waits);
    let shown = story.shown().other_answers;
    let differs: Vec<&[String]> = shown.iter().map(|other| &*other.differs).collect();
    let expected = ["outcome", "proposed", "triggered"].map(str::to_owned);
    assert_eq!(differs, [&expected[..], &[]]);
    assert_eq!(story.case.differing_answers(), 1);
}

#[test]
fn a_case_with_two_answers_is_kept_as_it_is() {
    let first = event(1, "register", &[bites("M1", &["E1"])]);
    let mut story = Story::of(std::slice::from_ref(&first));
    let second = barred(&first, 9, &[bites("M2", &["E2"])]);
    story.case.take_verdict(&second);
    let stored = CaseState::from_stored(&story.case.to_stored());
    assert_eq!(stored, Ok(story.case));
}

#[test]
fn an_answer_by_older_lists_brings_no_lifted_measure_back() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story.support("0/M1", &[], 20).expect("lost");
    let orders: Vec<String> = story
        .shown()
        .orders
        .into_iter()
        .map(|o| o.order_id)
        .collect();
    let known = VerdictFacts {
        list_seq: 20,
        ..event(2, "deal", &[])
    };
    story.case.take_verdict(&known);
    let older = VerdictFacts {
        list_seq: 19,
        ..barred(&known, 9, &[bites("M1", &["E1"])])
    };
    story.case.take_verdict(&older);
    // The same orders are open, for the same reason.
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
    let after: Vec<String> = story
        .shown()
        .orders
        .into_iter()
        .map(|o| o.order_id)
        .collect();
    assert_eq!(after, orders);
}

#[test]
fn what_older_lists_applied_after_it_was_lifted_is_lifted_again() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story.support("0/M1", &[], 20).expect("lost");
    for order in 0..2 {
        story.acknowledge(order).expect("taken");
    }
    let older = VerdictFacts {
        list_seq: 19,
        ..event(2, "deal", &[bites("M1", &["E1"])])
    };
    story.case.take_verdict(&older);
    let open = story.shown().orders.into_iter();
    let open: Vec<_> = open.filter(|order| order.state == "open").collect();
    assert_eq!(open.len(), 2, "{open:#?}");
    assert!(open.iter().all(|order| order.cause == "list_change:20"));
}
