//! Gates over one broker: what one has recorded the others know.

use std::collections::BTreeMap;

use creditgate_runtime::config::{self, Config, Overrides, Sources};
use creditgate_runtime::kafka::InProcessBroker;
use creditgate_runtime::ports::{NotReviewed, Review, Reviews as _};

use super::review::{HOUR, before, now, review, view};
use super::*;
use crate::gate::OnKafka;

/// A gate with a directory of its own; those over one broker are replicas of each other.
pub(super) fn replica(world: &World, broker: &InProcessBroker) -> Gate {
    Gate::open(Options {
        kafka: Some(OnKafka {
            cluster: broker.cluster().clone(),
            partitions: 2,
        }),
        ..world.options()
    })
    .unwrap()
}

pub(super) fn broker() -> InProcessBroker {
    let nothing: BTreeMap<String, String> = BTreeMap::new();
    let sources = Sources {
        file: None,
        environment: &nothing,
        overrides: Overrides::default(),
    };
    let settings = config::Kafka {
        partitions: 2,
        ..Config::load(sources).unwrap().kafka
    };
    InProcessBroker::start(settings).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_kafka_a_review_of_another_process_is_known_and_no_check_either() {
    let broker = broker();
    let (world, other_world) = (World::new(), World::new());
    let gate = replica(&world, &broker);
    let first = verdict(&gate, at(event(1, 1, "bid"), NOW - 2 * HOUR)).await;
    let asked = async || {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let asked = Review {
                at: Time::from_micros(NOW - HOUR - HOUR / 2),
                ..review(&world, &gate, &first, "evaluate").await
            };
            match gate.review(asked).await {
                Err(NotReviewed::Later(why)) => assert!(Instant::now() < until, "{why}"),
                reviewed => return reviewed,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let told = now(asked().await);
    assert_eq!(before(asked().await), told);

    let other = replica(&other_world, &broker);
    let until = Instant::now() + Duration::from_secs(30);
    let reviewed = loop {
        let asked = review(&world, &gate, &first, "award").await;
        match other.review(asked).await {
            Err(NotReviewed::Later(why)) => assert!(Instant::now() < until, "{why}"),
            reviewed => break reviewed,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(before(reviewed), told);
    // Each of them tells it from its own copy.
    for gate in [&gate, &other] {
        let repeated = check(gate, at(event(1, 1, "bid"), NOW - 2 * HOUR));
        let repeated = repeated.await.unwrap();
        assert!(repeated.repeated);
        let by = repeated.verdict.unwrap().superseded_by;
        assert_eq!(by.as_ref(), Some(&told.verdict_id));
    }
    let known = view(&other_world, &other).await;
    assert_eq!(known.checks.len(), 1);
    assert_eq!(view(&world, &gate).await, known);
    let award = verdict(&other, at(event(2, 1, "award"), NOW - HOUR)).await;
    assert_eq!(award.subjects[0].flags, ["missing_check:evaluate"]);
    for gate in [gate, other] {
        gate.close(Duration::from_secs(10)).await.unwrap();
    }
}
