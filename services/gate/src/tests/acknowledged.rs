//! Verdicts whose lists change while their records are written.

use creditgate_runtime::metrics::Transport;

use super::simulate::{Place, bidder, entry, evaluation};
use super::*;
use crate::check::{Arrival, Decided, Judged, LateLists};

fn firm(n: u64) -> v1::Entry {
    entry(n, "B07", "USCC", invented::uscc(n), "示例公司")
}

/// A verdict that is not recorded yet.
async fn decided(gate: &Gate, n: u64) -> Decided {
    let arrival = Arrival {
        event: evaluation(n, vec![bidder("USCC", invented::uscc(n), "")]),
        caller: Caller::kafka(),
        transport: Transport::GrpcCheck,
        lists_until: Instant::now(),
        late_lists: LateLists::Refuse,
    };
    match gate.inner.judge(arrival).await {
        Ok(Judged::Now(decided)) => *decided,
        Ok(Judged::Before(verdict)) => panic!("{verdict:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_that_a_change_in_between_makes_another_one_of_it() {
    let place = Place::new();
    let gate = place.gate();
    place.import(vec![firm(8)]).await;
    let (passes, stays, barred) = (
        decided(&gate, 1).await,
        decided(&gate, 2).await,
        decided(&gate, 8).await,
    );
    place.import(vec![firm(1)]).await;
    let version = place.registry.live().load().lists.version().to_string();
    let mut told = Vec::new();
    for one in [passes, stays, barred] {
        match gate.inner.keep(one, None).await {
            Ok(answer) => told.push(*answer.verdict),
            Err(failure) => panic!("{failure}"),
        }
    }
    let outcomes: Vec<&str> = told.iter().map(|one| one.outcome.as_str()).collect();
    assert_eq!(outcomes, ["PASS", "PASS", "PROHIBIT"]);
    let outdated: Vec<Option<&str>> = told.iter().map(|one| one.outdated_by.as_deref()).collect();
    assert_eq!(outdated, [Some(version.as_str()), None, None]);
    // The record has the verdict as it was decided.
    let again = evaluation(1, vec![bidder("USCC", invented::uscc(1), "")]);
    let stands = v1::Verdict {
        outdated_by: None,
        ..told.swap_remove(0)
    };
    assert_eq!(verdict(&gate, again).await, stands);
    // With nothing in between, nothing is said.
    let after = evaluation(3, vec![bidder("USCC", invented::uscc(3), "")]);
    assert_eq!(verdict(&gate, after).await.outdated_by, None);
}
