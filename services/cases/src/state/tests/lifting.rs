//! Support lost and regained, and the orders that follow.

use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{MeasureSupport, OrderAcknowledged, SupportChanged};

use super::{Story, at, bidder, bites, event, proposed, report, review};
use crate::state::orders::OrderName;
use crate::state::{About, Basis, Happened, OrderState, Refusal};

#[test]
fn a_measure_without_support_is_lifted_by_everyone_who_may_have_carried_it_out() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story
        .feedback("f1", 1, "not_executed", "乙局")
        .expect("taken");
    let taken = story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(taken.happened.len(), 2);
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open");
    let order = &story.shown().orders[0];
    assert_eq!(
        (order.cause.as_str(), &order.entry_ids[..]),
        ("list_change:5", &["E1".to_owned()][..])
    );
    assert!(!order.overdue);
    story.now += 60;
    assert!(story.shown().orders[0].overdue);
    story.acknowledge(0).expect("acknowledged");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:acknowledged");
}

/// The bar shown by two verdicts of one case, the registration's and the deal's.
fn barred_twice() -> Story {
    Story::of(&[
        event(1, "register", &[bites("M1", &["E1"])]),
        event(2, "deal", &[bites("M1", &["E1"])]),
    ])
}

#[test]
fn what_was_carried_out_for_one_verdict_is_lifted_though_it_was_not_for_another() {
    for statuses in [["executed", "not_executed"], ["not_executed", "partly"]] {
        let mut story = barred_twice();
        for (verdict, status) in (1..).zip(statuses) {
            let id = format!("f{verdict}");
            story.feedback(&id, verdict, status, "甲局").expect("taken");
        }
        let shown = story.shown();
        assert!(shown.feedback.iter().all(|report| report.flags.is_empty()));
        assert_eq!(story.case.counting().count(), 2);
        story.support("0/M1", &[], 5).expect("taken");
        assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
    }
}

#[test]
fn silence_about_one_verdict_is_not_answered_by_what_was_said_of_another() {
    for said in [1, 2] {
        let mut story = barred_twice();
        story
            .feedback("f1", said, "not_executed", "")
            .expect("taken");
        story.support("0/M1", &[], 5).expect("taken");
        assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
    }
    // A verdict that only proposed it asks for no report, until it is confirmed.
    for confirmed in [false, true] {
        let mut story = Story::of(&[
            event(1, "register", &[bites("M1", &["E1"])]),
            event(2, "deal", &[proposed("M1", &["E1", "E2"])]),
        ]);
        story.feedback("f1", 1, "not_executed", "").expect("taken");
        if confirmed {
            story.claim("0/M1", "王五", false).expect("claimed");
            story.decide("0/M1", "王五", "confirm").expect("confirmed");
        }
        story.support("0/M1", &[], 5).expect("taken");
        let orders = if confirmed {
            " 甲局:open 乙局:open"
        } else {
            ""
        };
        assert_eq!(story.states(), format!("0/M1=unsupported{orders}"));
    }
}

#[test]
fn no_order_where_no_verdict_was_carried_out() {
    let mut story = barred_twice();
    story.feedback("f1", 1, "executed", "甲局").expect("taken");
    story.feedback("f2", 2, "not_executed", "").expect("taken");
    // The first report is put right, and nobody else did it.
    story.feedback("f3", 1, "not_executed", "").expect("taken");
    assert_eq!(story.shown().feedback[2].flags, ["contradicts"]);
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported");
    // And one of them was carried out after all.
    story.feedback("f4", 2, "executed", "甲局").expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open");
}

#[test]
fn a_report_about_another_verdict_does_not_bring_back_what_was_lifted() {
    let mut story = barred_twice();
    story.feedback("f1", 1, "executed", "甲局").expect("taken");
    story.support("0/M1", &[], 5).expect("taken");
    story.acknowledge(0).expect("acknowledged");
    let mut before = report("f2", 2, "executed", "甲局", 0);
    before.executed_at = Some(time_to_proto(at(300)));
    story.take(What::Feedback(before)).expect("taken");
    let states = "0/M1=unsupported 甲局:acknowledged 乙局:open";
    assert_eq!(story.states(), states);
    story.now += 100;
    story.feedback("f3", 2, "partly", "甲局").expect("taken");
    assert_eq!(story.states(), format!("{states} 甲局:open"));
    // Lifted is only what the reports of every verdict lie before.
    story
        .feedback("f4", 1, "not_executed", "甲局")
        .expect("taken");
    let early = OrderAcknowledged {
        order_id: story.case.orders[2].id().to_string(),
        by: "甲局".to_owned(),
        document_no: String::new(),
        at: Some(time_to_proto(at(301))),
    };
    assert!(story.take(What::Acknowledged(early)).is_err());
    story.acknowledge(2).expect("acknowledged");
}

#[test]
fn what_was_carried_out_again_after_it_was_lifted_counts_beside_the_first_time() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story.feedback("f1", 1, "executed", "甲局").expect("taken");
    story.support("0/M1", &[], 5).expect("taken");
    story.acknowledge(0).expect("acknowledged");
    let again = event(8, "deal", &[bites("M1", &["E3"])]);
    story.case.take_verdict(&again);
    story.feedback("f2", 8, "executed", "甲局").expect("taken");
    let counting = story.case.counting();
    let rounds: Vec<u32> = counting
        .filter_map(|report| match report.about {
            About::Penalty { round, .. } => Some(round),
            _ => None,
        })
        .collect();
    assert_eq!(rounds, [0, 1]);
    // What is said now about the first time says nothing about the second.
    story
        .feedback("f3", 1, "not_executed", "甲局")
        .expect("taken");
    story.support("0/M1", &[], 9).expect("taken");
    let open = story.shown().orders.into_iter();
    let open: Vec<_> = open.filter(|order| order.state == "open").collect();
    assert!(open.iter().any(|order| order.implementer == "甲局"));
}

#[test]
fn while_another_entry_supports_it_there_is_no_order_but_a_notice() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1", "E2"])])]);
    let taken = story.support("0/M1", &["E2"], 5).expect("taken");
    assert_eq!(taken.happened, [Happened::BasisChanged("0/M1".to_owned())]);
    assert_eq!(story.states(), "0/M1=in_effect");
    assert_eq!(story.shown().measures[0].former_entry_ids, ["E1", "E2"]);
}

#[test]
fn support_again_cancels_what_is_open_and_the_measure_is_as_before() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story.support("0/M1", &[], 5).expect("taken");
    story.support("0/M1", &["E1"], 6).expect("taken");
    assert_eq!(
        story.states(),
        "0/M1=in_effect 甲局:cancelled 乙局:cancelled"
    );
    // And lost again: new orders, with ids of their own.
    story.support("0/M1", &[], 7).expect("taken");
    assert_eq!(
        story.states(),
        "0/M1=unsupported 甲局:cancelled 乙局:cancelled 甲局:open 乙局:open"
    );
}

#[test]
fn what_was_lifted_needs_a_new_verdict() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story.support("0/M1", &[], 5).expect("taken");
    story.acknowledge(0).expect("acknowledged");
    story.support("0/M1", &["E1"], 6).expect("taken");
    assert_eq!(
        story.states(),
        "0/M1=unsupported 甲局:acknowledged 乙局:cancelled"
    );
    // Lost again: who lifted it is not asked twice, who did not is.
    story.support("0/M1", &[], 7).expect("taken");
    assert_eq!(
        story.states(),
        "0/M1=unsupported 甲局:acknowledged 乙局:cancelled 乙局:open"
    );
    story
        .case
        .take_verdict(&event(8, "deal", &[bites("M1", &["E3"])]));
    assert_eq!(
        story.states(),
        "0/M1=in_effect 甲局:acknowledged 乙局:cancelled 乙局:cancelled"
    );
    // This time everybody is told again.
    story.support("0/M1", &[], 9).expect("taken");
    let open = story
        .case
        .orders
        .iter()
        .filter(|o| o.state == OrderState::Open);
    assert_eq!(open.count(), 2);
}

#[test]
fn a_proposal_lapses_without_an_order_and_comes_back_as_it_was() {
    let mut story = Story::of(&[event(1, "register", &[proposed("M1", &["E1"])])]);
    story.claim("0/M1", "王五", false).expect("claimed");
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported");
    assert!(story.claim("0/M1", "王五", false).is_err());
    story.support("0/M1", &["E1"], 6).expect("taken");
    assert_eq!(story.states(), "0/M1=claimed");
    assert_eq!(story.shown().measures[0].claimed_by, "王五");
}

#[test]
fn what_was_in_effect_once_is_lifted_though_it_is_only_proposed_now() {
    let mut story = Story::of(&[
        event(1, "register", &[bites("M1", &["E1"])]),
        event(2, "deal", &[proposed("M1", &["E1"])]),
    ]);
    assert_eq!(story.states(), "0/M1=proposed");
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
}

#[test]
fn a_proposal_that_was_carried_out_all_the_same_is_lifted() {
    let mut story = Story::of(&[event(1, "register", &[proposed("M1", &["E1"])])]);
    story.feedback("f1", 1, "executed", "甲局").expect("taken");
    assert_eq!(story.shown().feedback[0].flags, ["not_confirmed"]);
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open");
}

#[test]
fn a_measure_that_a_review_shows_again_is_supported_again() {
    let first = event(1, "register", &[bites("M1", &["E1"])]);
    let mut story = Story::of(std::slice::from_ref(&first));
    story.support("0/M1", &[], 5).expect("taken");
    story
        .case
        .take_verdict(&review(6, &first, "deal", &[bites("M1", &["E2"])]));
    assert_eq!(
        story.states(),
        "0/M1=in_effect 甲局:cancelled 乙局:cancelled"
    );
}

#[test]
fn a_verdict_of_another_stage_says_nothing_about_a_measure_it_lacks() {
    let story = Story::of(&[
        event(1, "register", &[bites("M1", &["E1"])]),
        event(2, "deal", &[]),
    ]);
    assert_eq!(story.states(), "0/M1=in_effect");
}

#[test]
fn older_knowledge_never_takes_the_place_of_newer() {
    let mut story = Story::of(&[event(9, "register", &[bites("M1", &["E1"])])]);
    assert!(story.support("0/M1", &[], 8).expect("taken").repeated);
    assert_eq!(story.states(), "0/M1=in_effect");
}

#[test]
fn a_change_of_the_book_shows_at_the_same_version_of_the_lists() {
    let mut story = Story::of(&[event(9, "register", &[bites("M1", &["E1"])])]);
    story.support("0/M1", &[], 9).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
}

#[test]
fn what_a_measure_rests_on_names_the_record_to_decide_again() {
    let mut first = event(3, "register", &[bites("M1", &["E1"])]);
    first.subjects.insert(0, bidder(0, 9, &[]));
    first.subjects.push(bidder(2, 1, &[bites("M1", &["E2"])]));
    let mut story = Story::of(&[first]);
    let told = |story: &Story| {
        let of = story.case.resting().map(|r| {
            let Basis { entries, .. } = r.basis;
            format!(
                "{} {} {} {:?} {:?}",
                r.key, r.stage, r.position, r.places, entries
            )
        });
        of.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told(&story), r#"1/M1 register 3000 [1, 2] ["E1", "E2"]"#);
    story.support("1/M1", &[], 5).expect("taken");
    assert_eq!(told(&story), "1/M1 register 3000 [1, 2] []");
}

#[test]
fn support_of_an_unknown_measure_changes_nothing() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    for key in ["1/M1", "0/M2", "00/M1", "+0/M1", "M1", ""] {
        let refused = story.support(key, &[], 5);
        assert!(
            matches!(
                refused,
                Err(Refusal::NotFound {
                    what: "measure",
                    ..
                })
            ),
            "{key}"
        );
    }
}

#[test]
fn an_order_is_acknowledged_once_and_not_after_it_was_cancelled() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story.support("0/M1", &[], 5).expect("taken");
    story.acknowledge(0).expect("acknowledged");
    assert!(story.acknowledge(0).expect("known").repeated);
    story.support("0/M1", &["E1"], 6).expect("taken");
    assert_eq!(
        story.acknowledge(1).expect_err("cancelled").to_string(),
        "the lift order is `cancelled`: `acknowledge` is not possible"
    );
}

#[test]
fn a_measure_is_not_lifted_before_it_was_carried_out() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    story.feedback("f1", 1, "executed", "甲局").expect("taken");
    story.support("0/M1", &[], 5).expect("taken");
    let acknowledged = OrderAcknowledged {
        order_id: story.case.orders[0].id().to_string(),
        by: "甲局".to_owned(),
        document_no: String::new(),
        at: Some(time_to_proto(at(1))),
    };
    assert_eq!(
        story
            .take(What::Acknowledged(acknowledged))
            .expect_err("refused")
            .to_string(),
        "`at` lies before the time at which the measure was carried out, as was reported"
    );
    story.acknowledge(0).expect("acknowledged");
}

#[test]
fn a_row_without_entries_supports_until_it_is_repealed() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &[])])]);
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported 甲局:open 乙局:open");
}

#[test]
fn a_measure_that_names_nobody_still_has_an_order() {
    let mut nobody = bites("M1", &["E1"]);
    nobody.implementers.clear();
    let mut story = Story::of(&[event(1, "register", &[nobody])]);
    story.support("0/M1", &[], 5).expect("taken");
    assert_eq!(story.states(), "0/M1=unsupported :open");
}

#[test]
fn order_ids_are_fenced() {
    let name = OrderName {
        case_id: "LAND-2026-1",
        key: "0/M1",
        implementer: "甲局",
        list_seq: 5,
        cause: "list_change:5",
        nth: 0,
    };
    assert_eq!(
        name.id().to_string(),
        "c2e55da7-3082-89e5-9fff-40e0b3589e88"
    );
}

#[test]
fn a_change_that_only_weakens_what_a_measure_does_shows() {
    let mut story = Story::of(&[event(1, "register", &[bites("M1", &["E1"])])]);
    let weakened = |effect: &str, seq| {
        What::Support(SupportChanged {
            measures: vec![MeasureSupport {
                key: "0/M1".to_owned(),
                entry_ids: vec!["E1".to_owned()],
                by_row: false,
                effect: effect.to_owned(),
            }],
            cause: format!("list_change:{seq}"),
            list_seq: seq,
        })
    };
    let taken = story.take(weakened("NOTICE", 5)).expect("taken");
    assert!(!taken.repeated);
    let measure = &story.shown().measures[0];
    assert_eq!(measure.effect, "NOTICE");
    assert!(measure.former_entry_ids.is_empty());
    assert_eq!(story.states(), "0/M1=in_effect");
    // A record of an earlier version says nothing about it.
    story.take(weakened("", 6)).expect("taken");
    assert_eq!(story.shown().measures[0].effect, "NOTICE");
    // Knowledge from before takes the place of none.
    story.take(weakened("PROHIBIT", 4)).expect("taken");
    assert_eq!(story.shown().measures[0].effect, "NOTICE");
}
