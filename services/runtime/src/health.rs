//! Which parts of the process can serve, and why not: read by `/readyz` and by gRPC health.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::watch;

/// Whether one component can serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum State {
    /// It can.
    Ready,
    /// It can, and a person should look at this; words as below.
    ReadyBut(String),
    /// It cannot, for this reason: plain words for an operator, never an identifier or a name of a person.
    NotReady(String),
}

/// Every component at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// True when there is at least one component and all of them are ready.
    pub ready: bool,
    /// The components by name.
    pub components: BTreeMap<&'static str, State>,
}

/// The registry of readiness conditions. Cheap to clone; every clone speaks of the same process.
#[derive(Clone, Debug)]
pub struct Readiness(watch::Sender<Snapshot>);

impl Readiness {
    /// Starts with every component that must be ready, each not ready because it is `starting`. Naming them up front keeps
    /// a process from calling itself ready before a slow component has spoken for the first time.
    pub fn expecting(components: impl IntoIterator<Item = &'static str>) -> Readiness {
        let components = components
            .into_iter()
            .map(|name| (name, State::NotReady("starting".to_owned())));
        Readiness(watch::Sender::new(Snapshot {
            ready: false,
            components: components.collect(),
        }))
    }

    /// Records the state of a component; followers wake only when it differs from before.
    pub fn set(&self, component: &'static str, state: State) {
        self.0.send_if_modified(|snapshot| {
            if snapshot.components.get(component) == Some(&state) {
                return false;
            }
            snapshot.components.insert(component, state);
            snapshot.ready = snapshot
                .components
                .values()
                .all(|state| !matches!(state, State::NotReady(_)));
            true
        });
    }

    /// Records that a component can serve.
    pub fn ready(&self, component: &'static str) {
        self.set(component, State::Ready);
    }

    /// Records that a component can serve, and what a person should look at.
    pub fn ready_but(&self, component: &'static str, reason: impl Into<String>) {
        self.set(component, State::ReadyBut(reason.into()));
    }

    /// Records that a component cannot serve, and why.
    pub fn not_ready(&self, component: &'static str, reason: impl Into<String>) {
        self.set(component, State::NotReady(reason.into()));
    }

    /// Everything as it stands now.
    pub fn snapshot(&self) -> Snapshot {
        self.0.borrow().clone()
    }

    /// A receiver that sees every later state, for gRPC health and for waiting in tests.
    pub fn follow(&self) -> watch::Receiver<Snapshot> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_every_component_is() {
        let readiness = Readiness::expecting(["journal", "lists"]);
        assert!(!readiness.snapshot().ready);
        readiness.ready("journal");
        assert!(!readiness.snapshot().ready);
        readiness.ready("lists");
        assert!(readiness.snapshot().ready);
        readiness.not_ready("lists", "replaying the change log");
        assert!(!readiness.snapshot().ready);
        readiness.ready_but("lists", "the new book is refused");
        assert!(readiness.snapshot().ready);
    }

    #[test]
    fn a_process_without_components_is_not_ready() {
        assert!(!Readiness::expecting([]).snapshot().ready);
    }

    #[test]
    fn a_snapshot_prints_as_json_with_reasons() {
        let readiness = Readiness::expecting(["journal", "lists"]);
        readiness.ready("journal");
        let json = serde_json::to_string(&readiness.snapshot()).unwrap();
        assert_eq!(
            json,
            r#"{"ready":false,"components":{"journal":{"state":"ready"},"lists":{"state":"not_ready","reason":"starting"}}}"#
        );
    }

    #[test]
    fn followers_wake_only_on_a_change() {
        let readiness = Readiness::expecting(["journal"]);
        let mut follower = readiness.follow();
        readiness.ready("journal");
        assert!(follower.has_changed().unwrap());
        follower.mark_unchanged();
        readiness.ready("journal");
        assert!(!follower.has_changed().unwrap());
    }
}
