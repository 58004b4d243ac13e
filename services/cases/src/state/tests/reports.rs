//! Feedback: once, complete, and with what is odd about it.

use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::v1;

use super::{DAY, Story, at, bites, event, proposed, report};
use crate::state::Refusal;
use creditgate_proto::encode::time_to_proto;

fn one() -> Story {
    Story::of(&[event(1, "register", &[bites("M1", &["E1"])])])
}

#[test]
fn the_same_report_counts_once_and_another_under_its_id_is_refused() {
    let mut story = one();
    let first = report("f1", 1, "executed", "甲局", 0);
    assert!(
        !story
            .take(What::Feedback(first.clone()))
            .expect("taken")
            .repeated
    );
    assert!(
        story
            .take(What::Feedback(first.clone()))
            .expect("known")
            .repeated
    );
    let other = v1::Feedback {
        status: "partly".to_owned(),
        ..first
    };
    let refused = story.take(What::Feedback(other));
    assert_eq!(refused, Err(Refusal::OtherContent("f1".to_owned())));
    assert_eq!(story.case.reports.len(), 1);
}

#[test]
fn odd_reports_are_kept_and_flagged() {
    let mut story = one();
    let flags = |story: &Story| story.shown().feedback.last().expect("one").flags.join(" ");
    story.feedback("f1", 1, "executed", "甲局").expect("taken");
    assert_eq!(flags(&story), "");
    story
        .feedback("f2", 1, "not_executed", "乙局")
        .expect("taken");
    assert_eq!(flags(&story), "");
    story
        .feedback("f3", 1, "not_executed", "甲局")
        .expect("taken");
    assert_eq!(flags(&story), "contradicts");
    story.support("0/M1", &[], 5).expect("taken");
    story
        .feedback("f4", 1, "not_executed", "乙局")
        .expect("taken");
    assert_eq!(flags(&story), "late");
}

#[test]
fn one_report_may_speak_for_all() {
    let mut story = one();
    story.feedback("f1", 1, "not_executed", "").expect("taken");
    story.feedback("f2", 1, "executed", "乙局").expect("taken");
    assert_eq!(story.shown().feedback[1].flags, ["contradicts"]);
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 乙局:open");
    assert_eq!(story.case.counting().count(), 2);
    story.feedback("f3", 1, "executed", "").expect("taken");
    assert_eq!(story.case.counting().count(), 1);
    assert_eq!(story.states(), "0/M1=unsupported 乙局:open 甲局:open");
}

#[test]
fn who_carried_it_out_after_all_gets_an_order_then() {
    let mut story = one();
    story.feedback("f1", 1, "not_executed", "").expect("taken");
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported");
    story.feedback("f2", 1, "executed", "甲局").expect("taken");
    assert_eq!(story.shown().feedback[1].flags, ["late", "contradicts"]);
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open");
    // Once lifted, only what was carried out after that is lifted again.
    story.acknowledge(0).expect("acknowledged");
    let mut before = report("f3", 1, "partly", "甲局", 0);
    before.executed_at = Some(time_to_proto(at(1)));
    story.take(What::Feedback(before)).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:acknowledged");
    story.now += 100;
    story.feedback("f4", 1, "executed", "甲局").expect("taken");
    assert_eq!(
        story.states(),
        "0/M1=unsupported 甲局:acknowledged 甲局:open"
    );
}

#[test]
fn carried_out_without_support_is_late_even_when_it_is_supported_again() {
    let mut story = one();
    story.support("0/M1", &[], 5).expect("taken");
    let during = story.now;
    story.support("0/M1", &["E1"], 6).expect("taken");
    let late = report("f1", 1, "executed", "甲局", during);
    story.take(What::Feedback(late)).expect("taken");
    assert_eq!(story.shown().feedback[0].flags, ["late"]);
    story.feedback("f2", 1, "executed", "乙局").expect("taken");
    assert!(story.shown().feedback[1].flags.is_empty());
}

#[test]
fn carried_out_before_the_step_that_its_verdict_judges_is_odd() {
    let mut first = event(1, "register", &[bites("M1", &["E1"])]);
    first.occurred_at = at(9_000);
    let mut story = Story::of(&[first]);
    // A day alone stands for the whole day.
    for (seconds, flags) in [
        (8_999, &["before_event"][..]),
        (9_000, &[]),
        (0, &[]),
        (-DAY, &["before_event"]),
    ] {
        let id = format!("f{seconds}");
        let report = report(&id, 1, "executed", "甲局", seconds);
        story.take(What::Feedback(report)).expect("taken");
        let shown = story.shown();
        assert_eq!(shown.feedback.last().expect("one").flags, flags, "{id}");
    }
}

#[test]
fn what_was_rejected_or_only_proposed_was_not_confirmed() {
    let mut story = Story::of(&[event(1, "register", &[proposed("M1", &["E1"])])]);
    story
        .feedback("f1", 1, "not_executed", "甲局")
        .expect("taken");
    assert!(story.shown().feedback[0].flags.is_empty());
    story.claim("0/M1", "王五", false).expect("claimed");
    story.decide("0/M1", "王五", "reject").expect("rejected");
    story.feedback("f2", 1, "executed", "乙局").expect("taken");
    assert_eq!(story.shown().feedback[1].flags, ["not_confirmed"]);
}

#[test]
fn a_report_names_a_verdict_subject_and_measure_of_the_case() {
    let mut story = one();
    let mut check = |change: fn(&mut v1::Feedback), expected: &str| {
        let mut feedback = report("f1", 1, "partly", "甲局", 0);
        change(&mut feedback);
        let refused = story.take(What::Feedback(feedback)).expect_err(expected);
        assert_eq!(refused.to_string(), expected);
    };
    check(
        |f| f.verdict_id = "x".to_owned(),
        "no verdict `x` in this case",
    );
    check(
        |f| f.subject = 3,
        "no subject in that verdict with position `3` in this case",
    );
    check(
        |f| f.measure_id = "M9".to_owned(),
        "no measure of that verdict's subject `M9` in this case",
    );
    check(
        |f| f.implementer = "丙局".to_owned(),
        "`implementer` must be one of 甲局、乙局",
    );
    check(|f| f.feedback_id.clear(), "`feedback_id` is required");
    check(|f| f.operator.clear(), "`operator` is required");
    check(
        |f| f.reason.clear(),
        "`reason` is required unless it was executed",
    );
    check(
        |f| f.status = "done".to_owned(),
        "`status` must be one of executed, partly, not_executed",
    );
    check(|f| f.executed_at = None, "`executed_at` is required");
    check(
        |f| f.executed_at = Some(time_to_proto(at(1_000_000))),
        "`executed_at` lies in the future",
    );
    check(
        |f| f.division_code = "32".to_owned(),
        "`division_code` must be a division code of six digits (行政区划代码)",
    );
}
