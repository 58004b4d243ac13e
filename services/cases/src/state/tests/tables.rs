//! The tables: what they allow, and that they allow nothing else.

use crate::state::table::{
    CASE, CaseStep, MEASURE, MeasureState, MeasureStep, Named, Next, ORDER, OrderState, OrderStep,
    Phase, step,
};

/// Every step of a table as text, one line a state.
fn told<S, T, N>(
    table: &[(S, T, N)],
    states: &[S],
    steps: &[T],
    next: impl Fn(N) -> &'static str,
) -> String
where
    S: Copy + PartialEq + Named,
    T: Copy + PartialEq + Named,
    N: Copy,
{
    let of_state = |state: &S| {
        let steps = steps.iter().filter_map(|by| {
            let to = step(table, "machine", *state, *by).ok()?;
            Some(format!(" {}>{}", by.code(), next(to)))
        });
        format!("{}:{}\n", state.code(), steps.collect::<String>())
    };
    states.iter().map(of_state).collect()
}

#[test]
fn a_case_and_an_order_go_these_steps() {
    let case = told(CASE, Phase::ALL, CaseStep::ALL, Named::code);
    assert_eq!(
        case,
        "open: event>open review>open close>closed\nclosed: event>open review>closed\n"
    );
    let order = told(ORDER, OrderState::ALL, OrderStep::ALL, Named::code);
    assert_eq!(
        order,
        "open: acknowledge>acknowledged cancel>cancelled\nacknowledged:\ncancelled:\n"
    );
}

#[test]
fn a_measure_goes_these_steps() {
    let next = |next| match next {
        Next::To(state) => MeasureState::code(state),
        Next::Before => "before",
    };
    let expected = "\
in_effect: apply>in_effect propose>proposed propose_same>proposed lose_support>unsupported
proposed: apply>in_effect propose>proposed propose_same>proposed claim>claimed escalate>proposed lose_support>unsupported
claimed: apply>in_effect propose>claimed propose_same>claimed release>proposed second>seconded confirm>confirmed reject>rejected escalate>claimed lose_support>unsupported
seconded: apply>in_effect propose>proposed propose_same>seconded claim>seconded release>seconded confirm>confirmed reject>rejected escalate>seconded lose_support>unsupported
confirmed: apply>confirmed propose>proposed propose_same>confirmed lose_support>unsupported
rejected: apply>in_effect propose>proposed propose_same>rejected lose_support>unsupported
unsupported: apply>in_effect propose>proposed propose_same>proposed lose_support>unsupported regain_support>before
";
    assert_eq!(
        told(MEASURE, MeasureState::ALL, MeasureStep::ALL, next),
        expected
    );
}

#[test]
fn no_table_says_two_things_about_one_step() {
    for (at, (state, by, _)) in MEASURE.iter().enumerate() {
        let again = MEASURE[at + 1..]
            .iter()
            .any(|(s, b, _)| s == state && b == by);
        assert!(!again, "{state:?} {by:?}");
    }
}

#[test]
fn what_a_verdict_shows_and_the_loss_of_support_are_never_refused() {
    for state in MeasureState::ALL {
        for by in [
            MeasureStep::Apply,
            MeasureStep::Propose,
            MeasureStep::ProposeSame,
            MeasureStep::Lose,
        ] {
            assert!(step(MEASURE, "measure", *state, by).is_ok());
        }
    }
}

#[test]
fn a_refusal_names_state_and_step() {
    let refused = step(
        MEASURE,
        "measure",
        MeasureState::Rejected,
        MeasureStep::Claim,
    );
    assert_eq!(
        refused.expect_err("refused").to_string(),
        "the measure is `rejected`: `claim` is not possible"
    );
}
