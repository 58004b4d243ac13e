//! What the matched rows come to, for subjects and parties (spec 2, 5).

use creditgate_measures::entry::Entry;
use creditgate_measures::event::Subject;
use creditgate_measures::identifier::{IdType, invented};
use creditgate_measures::vocabulary::Role;

use crate::support::*;

const BARRED: &str = "
    id: P1
    lists: [B07]
";

#[test]
fn force_decides_between_effect_and_proposal() {
    let check = |force: &str, effect: &str, expected: &str| {
        row(&format!(
            "id: P1\nlists: [B07]\nforce: {force}\neffect: {effect}"
        ))
        .with([listed("E1", "B07", uscc(1))])
        .check(
            &evaluation([bidder(1)]),
            &format!(
                "event {0}\nparty #0 {0}\nbidder verified {expected}",
                expected.lines().next().unwrap_or_default()
            ),
        );
    };
    for effect in ["RESTRICT", "REQUIRE_DOCUMENT", "PROHIBIT"] {
        check(
            "must",
            effect,
            &format!(
                "{effect} effect={effect} code=8\n  P1 effect {effect} on E1 of B07 by identifier"
            ),
        );
        for force in ["may", "factor", "refer"] {
            check(
                force,
                effect,
                &format!(
                    "MANUAL_REVIEW review proposed={effect} code=8\n  \
                     P1 proposed {effect} (discretion) on E1 of B07 by identifier"
                ),
            );
        }
        check(
            "own",
            effect,
            "NOTICE effect=NOTICE code=8\n  P1 effect NOTICE (own_decision) on E1 of B07 by identifier",
        );
    }
    check(
        "may",
        "HEIGHTENED_SCRUTINY",
        "HEIGHTENED_SCRUTINY effect=HEIGHTENED_SCRUTINY code=8\n  \
         P1 effect HEIGHTENED_SCRUTINY on E1 of B07 by identifier",
    );
}

#[test]
fn a_protected_subject_may_get_a_notice_at_once_and_no_more() {
    let check = |effect: &str, expected: &str| {
        let entry = listed("E1", "B07", identifier(IdType::Id18, &invented::person(1)));
        row(&format!("id: P1\nlists: [B07]\neffect: {effect}"))
            .with([entry])
            .check(&evaluation([person(Role::Bidder, 1)]), expected);
    };
    check(
        "NOTICE",
        "
        event NOTICE effect=NOTICE code=8
        party #0 NOTICE effect=NOTICE code=8
        bidder natural_person verified NOTICE effect=NOTICE code=8
          P1 effect NOTICE on E1 of B07 by identifier
        ",
    );
    check(
        "HEIGHTENED_SCRUTINY",
        "
        event MANUAL_REVIEW review proposed=HEIGHTENED_SCRUTINY code=8
        party #0 MANUAL_REVIEW review proposed=HEIGHTENED_SCRUTINY code=8
        bidder natural_person verified MANUAL_REVIEW review proposed=HEIGHTENED_SCRUTINY code=8
          P1 proposed HEIGHTENED_SCRUTINY (protected) on E1 of B07 by identifier
        ",
    );
}

#[test]
fn what_applies_and_what_is_proposed_are_told_side_by_side() {
    // PROHIBIT applies; the RESTRICT that an official may add is still told.
    row("
        id: P1
        lists: [B07]
    ")
    .row(
        "
        id: P2
        lists: [B02]
        force: may
        effect: RESTRICT
    ",
    )
    .with([listed("E1", "B07", uscc(1)), listed("E2", "B02", uscc(1))])
    .check(
        &evaluation([bidder(1)]),
        "
        event PROHIBIT effect=PROHIBIT review proposed=RESTRICT code=8
        party #0 PROHIBIT effect=PROHIBIT review proposed=RESTRICT code=8
        bidder verified PROHIBIT effect=PROHIBIT review proposed=RESTRICT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
          P2 proposed RESTRICT (discretion) on E2 of B02 by identifier
        ",
    );
}

#[test]
fn several_rows_of_one_item_on_one_entry_are_shown_once() {
    row("
        id: P1
        lists: [B07]
        effect: NOTICE
    ")
    .row(
        "
        id: P2
        lists: [B07]
    ",
    )
    .row(
        "
        id: P3
        lists: [B07]
        effect: RESTRICT
    ",
    )
    .row(
        "
        id: P4
        item: SUPERVISION
        class: B
        lists: [B07]
        effect: HEIGHTENED_SCRUTINY
    ",
    )
    .with([listed("E1", "B07", uscc(1)), listed("E2", "B07", uscc(1))])
    .check(
        &evaluation([bidder(1)]),
        "
        event PROHIBIT effect=PROHIBIT code=8
        party #0 PROHIBIT effect=PROHIBIT code=8
        bidder verified PROHIBIT effect=PROHIBIT code=8
          P2 effect PROHIBIT on E1 of B07 by identifier also P1, P3
          P2 effect PROHIBIT on E2 of B07 by identifier also P1, P3
          P4 effect HEIGHTENED_SCRUTINY on E1 of B07 by identifier
          P4 effect HEIGHTENED_SCRUTINY on E2 of B07 by identifier
        ",
    );
}

#[test]
fn folding_never_hides_what_is_proposed_behind_what_applies() {
    row("
        id: P1
        lists: [B07]
        effect: RESTRICT
    ")
    .row(
        "
        id: P2
        lists: [B07]
        force: may
    ",
    )
    .with([listed("E1", "B07", uscc(1))])
    .check(
        &evaluation([bidder(1)]),
        "
        event MANUAL_REVIEW effect=RESTRICT review proposed=PROHIBIT code=8
        party #0 MANUAL_REVIEW effect=RESTRICT review proposed=PROHIBIT code=8
        bidder verified MANUAL_REVIEW effect=RESTRICT review proposed=PROHIBIT code=8
          P2 proposed PROHIBIT (discretion) on E1 of B07 by identifier
          P1 effect RESTRICT on E1 of B07 by identifier
        ",
    );
}

#[test]
fn each_lead_subject_without_a_party_stands_alone() {
    row(BARRED).with([listed("E1", "B07", uscc(1))]).check(
        &evaluation([bidder(1), bidder(2), firm(Role::Guarantor, 3)]),
        "
        event PROHIBIT effect=PROHIBIT code=8
        party #0 PROHIBIT effect=PROHIBIT code=8
        party #1 PASS
        party #2 PASS
        bidder verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
        bidder verified PASS
        guarantor verified PASS
        ",
    );
}

#[test]
fn others_without_a_party_join_the_only_one() {
    // A consortium member, wherever it stands in the event, falls with its lead.
    row(BARRED).with([listed("E1", "B07", uscc(1))]).check(
        &evaluation([
            firm(Role::ConsortiumMember, 1),
            of_party("一标", bidder(2)),
            firm(Role::Agent, 3),
        ]),
        "
        event PROHIBIT effect=PROHIBIT code=8
        party 一标 PROHIBIT effect=PROHIBIT code=8
        consortium_member verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
        bidder verified PASS
        agent verified PASS
        ",
    );
}

#[test]
fn a_party_without_lead_or_member_has_the_strongest_of_all() {
    row(BARRED).with([listed("E1", "B07", uscc(2))]).check(
        &evaluation([
            of_party("专家", firm(Role::Evaluator, 1)),
            of_party("专家", firm(Role::Evaluator, 2)),
        ]),
        "
        event PROHIBIT effect=PROHIBIT code=8
        party 专家 PROHIBIT effect=PROHIBIT code=8
        evaluator verified PASS
        evaluator verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier
        ",
    );
}

#[test]
fn an_unverified_agent_does_not_reach_the_party() {
    row(BARRED).with([]).check(
        &evaluation([bidder(1), nameless(Role::Agent, "某代理有限公司")]),
        "
        event PASS
        party #0 PASS
        bidder verified PASS
        agent unverified MANUAL_REVIEW review [subject_unverified]
        ",
    );
}

#[test]
fn a_member_without_a_lead_takes_the_rows_of_the_scenario() {
    let check = |place: &str, role: &str, expected: &str| {
        let (scenario, stage) = place.split_once('/').expect("scenario/stage");
        row(&format!(
            "id: P1\nlists: [B07]\nroles: [{role}]\n\
             applies: [{{ scenario: {scenario}, stages: [{stage}] }}]"
        ))
        .with([listed("E1", "B07", uscc(1))])
        .check(
            &event(place, NOW, [firm(Role::ConsortiumMember, 1)]),
            expected,
        );
    };
    let stopped = "
        event PROHIBIT effect=PROHIBIT code=8
        party #0 PROHIBIT effect=PROHIBIT code=8
        consortium_member verified PROHIBIT effect=PROHIBIT code=8
          P1 effect PROHIBIT on E1 of B07 by identifier";
    let untouched = "
        event PASS code=8
        party #0 PASS code=8
        consortium_member verified PASS code=8";
    check("tender/evaluate", "bidder", stopped);
    check("tender/evaluate", "supplier", untouched);
    check("tender/evaluate", "consortium_member", stopped);
    check("procurement/evaluate", "supplier", stopped);
    check("procurement/evaluate", "bidder", untouched);
    check("land/register", "land_bidder", stopped);
}

const REWARD: &str = "
    id: R1
    direction: incentive
    effect: DEPOSIT_RELIEF
    lists: [G02]
    excluded_by: [{ list: B08, basis: { law: 某令, level: department_rule } }]
";

/// What the line of the reward says.
#[track_caller]
fn check_reward(world: &World, subject: Subject, expected: &str) {
    let event = evaluation([subject]);
    let verdict = world.judge(
        creditgate_measures::Question::about(&event),
        event.occurred_at,
    );
    let told = told(&verdict);
    let line = told.lines().find(|line| line.starts_with("  R1"));
    assert_eq!(line.unwrap_or("nothing").trim(), expected);
}

#[test]
fn rewards_are_withheld_with_the_reason() {
    let red = || listed("E1", "G02", uscc(1));
    let offered = "R1 offered DEPOSIT_RELIEF on E1 of G02 by identifier";
    let withheld =
        |why: &str| format!("R1 withheld DEPOSIT_RELIEF ({why}) on E1 of G02 by identifier");
    check_reward(&row(REWARD).with([red()]), bidder(1), offered);
    check_reward(&row(REWARD).with([]), bidder(1), "nothing");
    check_reward(
        &row(REWARD).with([red(), listed("E2", "B08", uscc(1))]),
        bidder(1),
        &withheld("excluded_by:B08"),
    );
    // Another black list that the row does not name.
    check_reward(
        &row(REWARD).with([red(), listed("E2", "B07", uscc(1))]),
        bidder(1),
        offered,
    );
    check_reward(
        &row(REWARD)
            .with([red()])
            .confirmed("G02", "2026-05-01 00:00"),
        bidder(1),
        &withheld("list_stale"),
    );
    check_reward(
        &row(REWARD).with([red()]).not_loaded("B08"),
        bidder(1),
        &withheld("list_not_loaded:B08"),
    );
    let number = invented::reg15(7);
    check_reward(
        &row(REWARD).with([listed("E1", "G02", identifier(IdType::Reg15, &number))]),
        given(Role::Bidder, IdType::Reg15, &number),
        &withheld("subject_unlinked"),
    );
    let by_name = Entry {
        identifier: Some(uscc(1)),
        ..listed_name("E1", "G02", "东方广贸有限公司")
    };
    check_reward(
        &row(REWARD).with([by_name]),
        nameless(Role::Bidder, "东方广贸有限公司"),
        "R1 withheld DEPOSIT_RELIEF (subject_unverified) on E1 of G02 by name",
    );
}

#[test]
fn what_would_send_a_penalty_to_review_withholds_a_reward() {
    let scoped = row("
        id: R1
        direction: incentive
        effect: PRIORITY
        lists: [G02]
        scoped: true
    ");
    check_reward(
        &scoped.with([listed("E1", "G02", uscc(1))]),
        bidder(1),
        "R1 withheld PRIORITY (scope_missing) on E1 of G02 by identifier",
    );
    let of_kind = row("
        id: R1
        direction: incentive
        effect: PRIORITY
        lists: [G02]
        kinds: [enterprise]
    ");
    check_reward(
        &of_kind.with([listed("E1", "G02", uscc(1))]),
        given(Role::Bidder, IdType::Uscc, &invented::uscc(1)),
        "R1 withheld PRIORITY (kind_missing) on E1 of G02 by identifier",
    );
}

#[test]
fn a_relation_of_an_excluded_firm_is_not_excluded_itself() {
    // Nothing spreads without a row: the bidder is related to the listed firm, not listed.
    let other = Entry {
        related: vec![relation(Role::ActualController, uscc(1))],
        ..listed("E2", "B08", uscc(2))
    };
    check_reward(
        &row(REWARD).with([listed("E1", "G02", uscc(1)), other]),
        bidder(1),
        "R1 offered DEPOSIT_RELIEF on E1 of G02 by identifier",
    );
}

#[test]
fn a_reward_open_to_anyone_needs_an_identity() {
    let open = row("
        id: R1
        direction: incentive
        effect: COMMITMENT_ALLOWED
    ");
    check_reward(&open.with([]), bidder(1), "R1 offered COMMITMENT_ALLOWED");
    check_reward(
        &open.with([]),
        nameless(Role::Bidder, "东方广贸有限公司"),
        "R1 withheld COMMITMENT_ALLOWED (subject_unverified)",
    );
}
