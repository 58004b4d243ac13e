//! What officials do with proposals.

use creditgate_proto::journal::v1::ProposalDecided;
use creditgate_proto::journal::v1::case_record::What;

use super::{Story, bites, claimed, decided, event, proposed, triggered};
use crate::state::{Happened, Refusal};

fn one(measure: &str) -> Story {
    Story::of(&[event(1, "register", &[proposed(measure, &["E1"])])])
}

fn text<T: std::fmt::Debug>(refused: Result<T, Refusal>) -> String {
    refused.expect_err("refused").to_string()
}

#[test]
fn one_official_claims_and_decides() {
    let mut story = one("M1");
    assert!(text(story.decide("0/M1", "王五", "confirm")).contains("must be claimed first"));
    story.claim("0/M1", "王五", false).expect("claimed");
    assert!(story.claim("0/M1", "王五", false).expect("known").repeated);
    assert_eq!(
        text(story.claim("0/M1", "赵六", false)),
        "somebody else has the proposal in hand"
    );
    assert!(text(story.claim("0/M1", "赵六", true)).contains("only they can give it back"));
    assert_eq!(
        text(story.decide("0/M1", "赵六", "reject")),
        "somebody else has the proposal in hand"
    );
    let taken = story.decide("0/M1", "王五", "confirm").expect("confirmed");
    assert_eq!(taken.happened, [Happened::Confirmed("0/M1".to_owned())]);
    assert_eq!(story.states(), "0/M1=confirmed");
    assert!(
        story
            .decide("0/M1", "王五", "confirm")
            .expect("known")
            .repeated
    );
    assert_eq!(
        text(story.decide("0/M1", "王五", "reject")),
        "the measure is `confirmed`: `reject` is not possible"
    );
}

#[test]
fn a_proposal_given_back_is_anybodys() {
    let mut story = one("M1");
    assert!(story.claim("0/M1", "王五", true).is_err());
    story.claim("0/M1", "王五", false).expect("claimed");
    story.claim("0/M1", "王五", true).expect("released");
    assert_eq!(story.states(), "0/M1=proposed");
    story.claim("0/M1", "赵六", false).expect("claimed");
    story.decide("0/M1", "赵六", "reject").expect("rejected");
    assert_eq!(story.states(), "0/M1=rejected");
}

#[test]
fn four_eyes_are_two_officials() {
    let mut story = one("M2");
    story.claim("0/M2", "王五", false).expect("claimed");
    story.decide("0/M2", "王五", "confirm").expect("seconded");
    assert_eq!(story.states(), "0/M2=seconded");
    assert!(
        story
            .decide("0/M2", "王五", "confirm")
            .expect("known")
            .repeated
    );
    assert!(text(story.claim("0/M2", "王五", false)).contains("two officials"));
    assert!(text(story.decide("0/M2", "王五", "reject")).contains("two officials"));
    assert!(text(story.decide("0/M2", "赵六", "confirm")).contains("must be claimed first"));
    story.claim("0/M2", "赵六", false).expect("claimed");
    story.claim("0/M2", "赵六", true).expect("released");
    story.claim("0/M2", "赵六", false).expect("claimed");
    let taken = story.decide("0/M2", "赵六", "confirm").expect("confirmed");
    assert_eq!(taken.happened, [Happened::Confirmed("0/M2".to_owned())]);
    assert_eq!(story.shown().measures[0].decisions.len(), 2);
}

#[test]
fn four_eyes_are_two_keys_where_each_official_has_one() {
    for (own_key, shared) in [(true, false), (false, true)] {
        let mut story = one("M2");
        let mut by = |caller: &str, what: What| story.take_from(caller, what);
        by("wang", claimed("0/M2", "王五", false, own_key)).expect("claimed");
        by("wang", decided("0/M2", "王五", "confirm", own_key)).expect("seconded");
        // The same key under another name.
        let again = by("wang", claimed("0/M2", "赵六", false, own_key));
        match shared {
            true => drop(again.expect("its holder answers for the names")),
            false => {
                assert!(text(again).contains("keys of their own"));
                by("zhao", claimed("0/M2", "赵六", false, true)).expect("another key");
                let first = by("wang", decided("0/M2", "赵六", "confirm", true));
                assert!(text(first).contains("keys of their own"));
            }
        }
        let caller = if shared { "wang" } else { "zhao" };
        let done = by(caller, decided("0/M2", "赵六", "confirm", own_key)).expect("confirmed");
        assert_eq!(done.happened, [Happened::Confirmed("0/M2".to_owned())]);
    }
}

#[test]
fn one_of_two_officials_is_enough_to_reject() {
    let mut story = one("M2");
    story.claim("0/M2", "王五", false).expect("claimed");
    story.decide("0/M2", "王五", "confirm").expect("seconded");
    story.claim("0/M2", "赵六", false).expect("claimed");
    story.decide("0/M2", "赵六", "reject").expect("rejected");
    assert_eq!(story.states(), "0/M2=rejected");
}

#[test]
fn the_first_confirmation_falls_with_what_it_was_about() {
    let mut story = one("M2");
    story.claim("0/M2", "王五", false).expect("claimed");
    story.decide("0/M2", "王五", "confirm").expect("seconded");
    story.support("0/M2", &["E1", "E9"], 5).expect("taken");
    assert_eq!(story.states(), "0/M2=proposed");
    story
        .claim("0/M2", "王五", false)
        .expect("anybody may begin again");
}

#[test]
fn what_is_decided_stays_so_until_something_new_supports_it() {
    for decision in ["confirm", "reject"] {
        let mut story = one("M1");
        story.claim("0/M1", "王五", false).expect("claimed");
        story.decide("0/M1", "王五", decision).expect("decided");
        let decided = story.states();
        story
            .case
            .take_verdict(&event(2, "deal", &[proposed("M1", &["E1"])]));
        assert_eq!(story.states(), decided);
        story
            .case
            .take_verdict(&event(3, "supply", &[proposed("M1", &["E1", "E2"])]));
        assert_eq!(story.states(), "0/M1=proposed");
    }
}

#[test]
fn what_was_confirmed_of_a_weaker_effect_is_proposed_again() {
    let mut story = one("M1");
    story.claim("0/M1", "王五", false).expect("claimed");
    story.decide("0/M1", "王五", "confirm").expect("decided");
    let mut stronger = triggered("M1", false, &["E1"]);
    stronger.proposed = Some("PROHIBIT".to_owned());
    story.case.take_verdict(&event(2, "deal", &[stronger]));
    assert_eq!(story.states(), "0/M1=proposed");
}

#[test]
fn what_is_proposed_beyond_what_applies_waits_and_is_lifted_in_any_case() {
    let mut both = bites("M1", &["E1", "E2"]);
    both.proposed = Some("PROHIBIT".to_owned());
    let mut story = Story::of(&[event(1, "register", &[both])]);
    assert_eq!(story.states(), "0/M1=proposed");
    assert_eq!(story.shown().measures[0].effect, "PROHIBIT");
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
}

#[test]
fn what_a_verdict_applies_needs_nobody() {
    let mut story = one("M1");
    story.claim("0/M1", "王五", false).expect("claimed");
    story
        .case
        .take_verdict(&event(2, "deal", &[bites("M1", &["E1"])]));
    assert_eq!(story.states(), "0/M1=in_effect");
    assert_eq!(
        text(story.decide("0/M1", "王五", "confirm")),
        "the measure is `in_effect`: `confirm` is not possible"
    );
}

#[test]
fn a_decision_says_who_why_and_by_which_document() {
    let mut story = one("M1");
    story.claim("0/M1", "王五", false).expect("claimed");
    let mut check = |change: fn(&mut ProposalDecided), expected: &str| {
        let mut decided = ProposalDecided {
            key: "0/M1".to_owned(),
            decision: "confirm".to_owned(),
            by: "王五".to_owned(),
            reason: "核实".to_owned(),
            document_no: "文1".to_owned(),
            four_eyes: false,
            own_key: false,
        };
        change(&mut decided);
        assert_eq!(text(story.take(What::Decided(decided))), expected);
    };
    check(
        |d| d.by.clear(),
        "`by` is required: say which official or office",
    );
    check(|d| d.reason.clear(), "`reason` is required: say why");
    check(
        |d| d.document_no.clear(),
        "`document_no` is required to confirm: the document by which it is confirmed",
    );
    check(
        |d| d.decision.clear(),
        "`decision` must be confirm or reject",
    );
    check(
        |d| d.key = "0/M7".to_owned(),
        "no measure `0/M7` in this case",
    );
}
