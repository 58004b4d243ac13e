//! A broker that stops, dies, stands still or is cut off; each of the three in its turn.

use std::thread::sleep;
use std::time::Duration;

use creditgate_tests::kafka::{Cluster, Node};

use super::{Here, PROMISE};

/// Longer than the cluster waits for a silent broker (4 s): its partitions have other leaders by then.
const GONE: Duration = Duration::from_secs(9);

/// Each node is hurt in its turn, while events come in.
fn each(prefix: &'static str, fault: &str, hurts: impl Fn(&Cluster, &Node)) {
    let cluster = Cluster::shared();
    let here = Here::new(cluster, prefix);
    for node in cluster.nodes() {
        let name = format!("broker {}", node.number());
        here.round(&name, &cluster.bootstrap(), || hurts(cluster, node));
    }
    here.end(fault, PROMISE, "");
}

#[test]
#[ignore = "needs Java: run by tests/faults.sh"]
fn a_broker_that_stops_and_starts_again_costs_no_event() {
    each("stops", "a broker stops and starts again", |_, node| {
        node.stop();
        sleep(GONE);
        node.begin();
    });
}

#[test]
#[ignore = "needs Java: run by tests/faults.sh"]
fn a_broker_that_is_killed_costs_no_event() {
    each("killed", "a broker is killed (kill -9)", |_, node| {
        node.kill();
        sleep(GONE);
        node.begin();
    });
}

#[test]
#[ignore = "needs Java: run by tests/faults.sh"]
fn a_broker_that_stands_still_and_goes_on_costs_no_event() {
    each(
        "paused",
        "a broker stands still for 9 s (SIGSTOP)",
        |_, node| {
            node.pause();
            sleep(GONE);
            node.resume();
        },
    );
}

#[test]
#[ignore = "needs Java: run by tests/faults.sh"]
fn a_broker_that_is_cut_off_from_clients_and_brokers_costs_no_event() {
    each("cutoff", "a broker is cut off for 9 s", |cluster, node| {
        cluster.cut_off(node);
        sleep(GONE);
        cluster.heal();
    });
}
