//! How fresh lists are: a version that a change gave is waited for wherever a check comes in.

use std::time::Duration;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::evaluation;
use creditgate_tests::kafka::Broker;
use tonic::Code;

use super::lists::{apply_state, import_one};
use super::{Deployment, GATE, REGISTRY};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn a_change_at_the_leader_is_seen_by_a_check_elsewhere_that_asks_for_its_version() {
    let broker = Broker::shared();
    let here = Deployment::new(broker, "fresh");
    let registry = here.serve("registry", REGISTRY);
    let other = here.serve("gate", GATE);
    super::lists::wait_for_lead(&registry);
    creditgate_tests::import_entries(&registry);
    assert!(import_one(&registry, 900_001).status.success());
    let mut lists = registry.lists().await;
    let mut gates = [registry.gate().await, other.gate().await];
    let mut version = String::new();
    for n in 0..20 {
        let (to, outcome) = match n % 2 {
            0 => ("SUSPENDED", "PASS"),
            _ => ("EFFECTIVE", "PROHIBIT"),
        };
        let applied = apply_state(&mut lists, 900_001, to)
            .await
            .expect("a change");
        version = applied.list_version;
        for (at, gate) in gates.iter_mut().enumerate() {
            let mut event = evaluation(&format!("e-{n}-{at}"), &invented::uscc(900_001));
            event.min_list_version.clone_from(&version);
            let request = v1::CheckRequest { event: Some(event) };
            let answer = gate.check(request).await.expect("a verdict").into_inner();
            let verdict = answer.verdict.expect("a verdict");
            assert_eq!(verdict.outcome, outcome, "{n} at {at}: {verdict:?}");
        }
    }

    // A version that never comes, of this log and of none that is known.
    let (log, seq) = version.rsplit_once(':').expect("log and number");
    let next = seq.parse::<u64>().expect("a number") + 1_000;
    for asked in [format!("{log}:{next}"), next.to_string()] {
        let mut event = evaluation(&format!("never-{}", asked.len()), &invented::uscc(900_001));
        event.min_list_version = asked;
        let mut request = tonic::Request::new(v1::CheckRequest { event: Some(event) });
        request.set_timeout(Duration::from_secs(20));
        let refused = gates[1].check(request).await.expect_err("it never comes");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert!(refused.message().contains("not yet"), "{refused:?}");
    }

    // Each replica says how long changes took; what was there at its start is not among them.
    for service in [&registry, &other] {
        let count = service.metric("creditgate_list_change_to_effect_seconds_count");
        assert!(count >= 20.0, "{count}");
        let sum = service.metric("creditgate_list_change_to_effect_seconds_sum");
        println!("a change took {:.1} ms to its effect", sum / count * 1e3);
    }
    let late = here.serve("late", GATE);
    assert_eq!(
        late.metric("creditgate_list_change_to_effect_seconds_count"),
        0.0
    );
    for service in [late, other, registry] {
        service.stop();
    }
}
