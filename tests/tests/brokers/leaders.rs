//! Partitions, coordinators among them, that change hands while nothing is wrong.

use std::thread::sleep;
use std::time::Duration;

use creditgate_tests::kafka::{Cluster, elect};

use super::{Here, PROMISE};

#[test]
#[ignore = "needs Java: run by tests/faults.sh"]
fn leaders_that_change_under_load_cost_no_event() {
    let cluster = Cluster::shared();
    let here = Here::new(cluster, "leaders");
    let mut changed = Vec::new();
    for node in cluster.nodes() {
        // A node that was away leads nothing; then it gets back what is its own, at once and under load.
        node.stop();
        node.begin();
        cluster.wait_until_level();
        let name = format!("back to broker {}", node.number());
        here.round(&name, &cluster.bootstrap(), || {
            changed.push(elect(&cluster.direct()));
            sleep(Duration::from_secs(2));
        });
    }
    assert!(changed.iter().all(|changed| *changed > 0), "{changed:?}");
    let more = format!("; partitions that changed hands: {changed:?}");
    here.end("leaders change by election", PROMISE, &more);
}
