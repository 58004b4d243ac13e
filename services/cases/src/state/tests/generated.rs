//! Generated histories: everything that may happen to a case in any order, each step perhaps
//! delivered twice, with a crash between any two.

use std::collections::BTreeSet;

use proptest::prelude::{ProptestConfig, any, proptest};

use super::CASE;
use super::world::{Step, World, take};
use crate::state::table::Named;
use crate::state::{CaseState, MeasureState, OrderState};

/// The same journals read anew, with steps delivered again and the process killed in between.
fn read_anew(journal: &[Step], trouble: &[u8]) -> CaseState {
    let mut case = CaseState::new(CASE);
    for (at, step) in journal.iter().enumerate() {
        take(&mut case, step);
        let trouble = trouble
            .get(at % trouble.len().max(1))
            .copied()
            .unwrap_or_default();
        if trouble & 1 != 0 {
            case = CaseState::from_stored(&case.to_stored()).expect("stored");
        }
        if trouble & 2 != 0 {
            // From some point on everything comes again.
            let from = at.saturating_sub(usize::from(trouble >> 4));
            for again in &journal[from..=at] {
                assert!(take(&mut case, again), "taken in twice");
            }
        }
    }
    case
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(
        steps in proptest::collection::vec(any::<[u8; 4]>(), 1..80),
        trouble in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut world = World::new();
        for step in steps {
            world.check(step);
        }
        assert_eq!(read_anew(&world.journal, &trouble), world.case);
        assert_eq!(read_anew(&world.journal, &[]), world.case);
    }
}

#[test]
fn the_generator_reaches_every_state() {
    // A plain generator: the histories above are only worth something when they go everywhere.
    let mut seed = 7_u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let (mut states, mut orders) = (BTreeSet::new(), BTreeSet::new());
    let (mut flags, mut counts) = (BTreeSet::new(), [0; 4]);
    for _ in 0..100 {
        let mut world = World::new();
        for _ in 0..60 {
            world.check([next(), next(), next(), next()]);
            states.extend(world.case.measures.iter().map(|m| m.state.code()));
            orders.extend(world.case.orders.iter().map(|o| o.state.code()));
        }
        let reports = &world.case.reports;
        flags.extend(reports.iter().flat_map(|report| report.flags.clone()));
        for (sum, count) in counts.iter_mut().zip(world.counts) {
            *sum += count;
        }
    }
    assert_eq!(states.len(), MeasureState::ALL.len(), "{states:?}");
    assert_eq!(orders.len(), OrderState::ALL.len(), "{orders:?}");
    assert_eq!(flags.len(), 4, "{flags:?}");
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}
