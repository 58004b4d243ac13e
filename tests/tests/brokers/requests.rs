//! Requests that are late, lost or repeated on their way between creditgate and the brokers.

use std::thread::sleep;
use std::time::Duration;

use creditgate_tests::kafka::Cluster;
use creditgate_tests::kafka::link::{Fate, Plan, Request};

use super::{Here, PROMISE, wait_until};

/// How long requests meet their fate in a round.
const BAD: Duration = Duration::from_secs(8);
/// Beyond the limit of a transaction, which is 10 s.
const PAST_ITS_LIMIT: Duration = Duration::from_secs(13);
/// The library asks again after 100 to 200 ms, so this comes while a later transaction is open.
const INTO_A_LATER_ONE: Duration = Duration::from_millis(400);

/// One round for each plan; gives how many requests met their fate.
fn rounds(here: &Here<'_>, plans: &[(&str, Plan)]) -> u64 {
    let cluster = here.cluster;
    let mut all = 0;
    for (name, plan) in plans {
        here.round(name, &cluster.direct(), || {
            cluster.plan(Some(*plan));
            wait_until("one is met", || cluster.met() > 0);
            sleep(BAD);
            let met = cluster.met();
            cluster.plan(None);
            println!("{name}: {met}");
            all += met;
        });
    }
    all
}

const fn plan(request: Request, every: u64, fate: Fate) -> Plan {
    Plan {
        request,
        every,
        fate,
    }
}

#[test]
#[ignore = "needs Java: run by tests/faults.sh"]
fn the_end_of_a_transaction_that_is_late_lost_or_repeated_tears_nothing() {
    let end = |every, fate| plan(Request::EndTxn, every, fate);
    let here = Here::new(Cluster::shared(), "ends");
    let met = rounds(
        &here,
        &[
            ("late past its limit", end(40, Fate::Late(PAST_ITS_LIMIT))),
            (
                "answered late past its limit",
                end(40, Fate::AnswerLate(PAST_ITS_LIMIT)),
            ),
            ("lost", end(5, Fate::Lost)),
            ("answer lost", end(5, Fate::AnswerLost)),
            ("twice", end(2, Fate::Twice)),
        ],
    );
    let more = format!("; {met} requests met their fate");
    here.end("EndTxn is late, lost or repeated", PROMISE, &more);
}

#[test]
#[ignore = "needs Java: run by tests/faults.sh"]
fn the_end_of_a_transaction_that_is_overtaken_by_its_repetition_tears_no_later_one() {
    let here = Here::new(Cluster::shared(), "late");
    let straggles = |time| plan(Request::EndTxn, 3, Fate::Straggles(time));
    let met = rounds(
        &here,
        &[
            ("400 ms", straggles(INTO_A_LATER_ONE)),
            (
                "700 ms",
                straggles(INTO_A_LATER_ONE + Duration::from_millis(300)),
            ),
        ],
    );
    let more = format!("; {met} requests met their fate");
    here.end(
        "EndTxn is overtaken by its own repetition (librdkafka issue 5423)",
        PROMISE,
        &more,
    );
}

#[test]
#[ignore = "needs Java: run by tests/faults.sh"]
fn other_requests_of_a_transaction_that_are_late_lost_or_repeated_tear_nothing() {
    let here = Here::new(Cluster::shared(), "parts");
    let straggles = Fate::Straggles(INTO_A_LATER_ONE);
    let plans = [
        (
            "Produce answer lost",
            plan(Request::Produce, 9, Fate::AnswerLost),
        ),
        ("Produce twice", plan(Request::Produce, 2, Fate::Twice)),
        (
            "AddPartitionsToTxn lost",
            plan(Request::AddPartitionsToTxn, 9, Fate::Lost),
        ),
        (
            "AddPartitionsToTxn overtaken",
            plan(Request::AddPartitionsToTxn, 9, straggles),
        ),
        (
            "TxnOffsetCommit answer lost",
            plan(Request::TxnOffsetCommit, 9, Fate::AnswerLost),
        ),
        (
            "TxnOffsetCommit overtaken",
            plan(Request::TxnOffsetCommit, 9, straggles),
        ),
    ];
    let met = rounds(&here, &plans);
    let more = format!("; {met} requests met their fate");
    here.end(
        "Produce, AddPartitionsToTxn and TxnOffsetCommit are lost, repeated or overtaken",
        PROMISE,
        &more,
    );
}
