//! Two gates that have one event at one moment: both answers are kept, whoever leads the cases shows the same, and
//! where they differ the case goes to review (specification, 7).

use std::time::Instant;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_proto::v1::apply_request::Change;
use creditgate_tests::cases::{apply, check, everything, reviewed, until};
use creditgate_tests::kafka::Broker;
use creditgate_tests::{Service, evaluation, import_entries, land};

use super::{Deployment, GATE, REGISTRY, SOON};

/// Cases over lists and checks of other processes.
const CASES: &str = "gate,http,cases";
/// Killed processes must not be waited for long; the last word on a setting counts.
const SOONER: [&str; 2] = ["--kafka-config", "session.timeout.ms=2000"];
/// Firms by whose numbers nothing else is listed.
const FIRMS: std::ops::Range<u64> = 910_000..910_400;
/// So many events with two answers, and so many whose answers differ, are enough.
const ENOUGH: (usize, usize) = (20, 3);

/// An event that both gates answered for themselves.
struct Twice {
    case_id: String,
    /// As the two gates answered it.
    answers: [v1::Verdict; 2],
}

impl Twice {
    fn differs(&self) -> bool {
        let [one, other] = &self.answers;
        one.outcome != other.outcome
    }
}

fn listed(number: u64) -> Change {
    let id = invented::uscc(number);
    Change::Put(v1::PutEntry {
        entry: Some(land::entry(
            &format!("E-ANSWERS-{number}"),
            id,
            "B07",
            "2026-03-01",
        )),
        reason: String::new(),
    })
}

/// Asks both gates at once, each time right after the firm was listed: one of them may not know of it yet.
async fn asked_at_once(first: &Service, second: &Service) -> Vec<Twice> {
    let mut twice: Vec<Twice> = Vec::new();
    for number in FIRMS {
        apply(first, listed(number)).await;
        let event = evaluation(&format!("answers-{number}"), &invented::uscc(number));
        let case_id = event.case_id.clone();
        let (one, other) = tokio::join!(check(first, event.clone()), check(second, event));
        assert_eq!(one.verdict_id, other.verdict_id);
        if one.verdict_digest != other.verdict_digest {
            let answers = [one, other];
            twice.push(Twice { case_id, answers });
        }
        let differ = twice.iter().filter(|one| one.differs()).count();
        if twice.len() >= ENOUGH.0 && differ >= ENOUGH.1 {
            break;
        }
    }
    twice
}

/// What the case has to say of both answers.
fn assert_told(twice: &Twice, case: &v1::CaseShown) {
    let [other] = case.other_answers.as_slice() else {
        panic!("{case:#?}");
    };
    assert_eq!(case.verdicts[0].verdict_id, other.verdict_id, "{case:#?}");
    let digests = twice.answers.each_ref().map(|one| &one.verdict_digest);
    assert!(
        digests
            .iter()
            .any(|digest| digest.starts_with(&other.answer))
    );
    let mut outcomes = [&case.verdicts[0].outcome, &other.outcome];
    let mut expected = twice.answers.each_ref().map(|one| &one.outcome);
    outcomes.sort();
    expected.sort();
    assert_eq!(outcomes, expected, "{case:#?}");
    let differs = other.differs.iter().any(|what| what == "outcome");
    assert_eq!(differs, twice.differs(), "{case:#?}");
    if differs {
        let last = case.verdicts.last().expect("a review");
        assert_ne!(last.cause, "event", "it was reviewed: {case:#?}");
        assert_eq!(last.outcome, "PROHIBIT");
        let own = |verdict: &v1::CaseVerdict| verdict.cause.starts_with("book:");
        assert_eq!(
            case.verdicts.iter().filter(|one| own(one)).count(),
            1,
            "{case:#?}"
        );
        assert!(!case.measures.is_empty(), "{case:#?}");
    }
}

/// A report about a measure that one of the answers shows: whoever had that one may have carried it out.
fn report(twice: &Twice) -> v1::Feedback {
    let barred = twice.answers.iter().find(|one| one.outcome == "PROHIBIT");
    let barred = barred.expect("one of them bars the firm");
    let mut triggered = barred
        .subjects
        .iter()
        .flat_map(|subject| &subject.triggered);
    let measure = triggered.find_map(|one| one.measure.as_ref());
    v1::Feedback {
        feedback_id: format!("F-{}", twice.case_id),
        measure_id: measure.expect("a measure").id.clone(),
        implementer: String::new(),
        ..land::feedback(&barred.verdict_id)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn two_gates_that_answer_one_event_leave_one_case_whoever_leads() {
    let broker = Broker::shared();
    let here = Deployment::new(broker, "answers");
    let serve = |data: &str, roles: &str| {
        let more = [&SOON[..], &SOONER].concat();
        here.serve_at(&broker.bootstrap(), data, roles, &more)
    };
    let first = serve("first", REGISTRY);
    import_entries(&first);
    let second = serve("second", GATE);
    let leader = serve("cases", CASES);

    let twice = asked_at_once(&first, &second).await;
    let differ = twice.iter().filter(|one| one.differs()).count();
    println!(
        "{} events with two answers, {differ} of them differ",
        twice.len()
    );
    assert!(
        twice.len() >= ENOUGH.0 && differ >= ENOUGH.1,
        "two gates hardly ever meet"
    );
    for one in &twice {
        until(&leader, &one.case_id, |case| !case.other_answers.is_empty()).await;
    }
    reviewed(&leader).await;
    for one in twice.iter().filter(|one| one.differs()) {
        let mut cases = leader.cases().await;
        let feedback = Some(report(one));
        let kept = cases
            .report_feedback(v1::ReportFeedbackRequest { feedback })
            .await;
        kept.expect("either answer can be reported about");
    }
    let mut cases = leader.cases().await;
    let found = cases.list_cases(v1::ListCasesRequest {
        differing_answers: true,
        ..v1::ListCasesRequest::default()
    });
    let found = found.await.expect("cases").into_inner().cases;
    assert_eq!(found.len(), differ);
    assert!(
        found.iter().all(|case| case.differing_answers == 1),
        "{found:?}"
    );
    let before = everything(&leader).await;
    for one in &twice {
        assert_told(one, &before[&one.case_id]);
    }

    // Who begins with nothing reads the answers in another order, and has the same cases.
    let killed = Instant::now();
    leader.kill();
    let leader = serve("empty", CASES);
    until(&leader, &twice[0].case_id, |_| true).await;
    reviewed(&leader).await;
    assert_eq!(everything(&leader).await, before);
    println!(
        "the same {} cases, {:?} after the leader was killed",
        before.len(),
        killed.elapsed()
    );
    // Each gate stands by what it answered first.
    for one in &twice {
        let number = one.case_id.trim_start_matches("case-answers-");
        let number: u64 = number.parse().expect("a number");
        let event = || evaluation(&format!("answers-{number}"), &invented::uscc(number));
        for (gate, answer) in [&first, &second].into_iter().zip(&one.answers) {
            let again = check(gate, event()).await;
            assert_eq!(again.verdict_digest, answer.verdict_digest);
        }
    }
    for service in [leader, second, first] {
        service.stop();
    }
}
