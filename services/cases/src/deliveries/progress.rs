//! How far each delivery has come, as the process that delivers knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// How far a delivery has come. Nothing of it outlives the process: what counts is recorded.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Place of the record that put or resumed the delivery; what came before it is void.
    pub since: u64,
    /// Nothing up to here is still to be delivered.
    pub clear_up_to: u64,
    /// When the oldest thing came about that is still to be delivered, in microseconds.
    pub oldest: Option<i64>,
    /// Things that were taken.
    pub delivered: u64,
    /// Failed attempts of what is to be tried again.
    pub failures: u32,
    /// Why the oldest of it failed, or what was put aside last; empty after a success.
    pub last_error: String,
    /// When the first of it is tried again, in microseconds.
    pub next_attempt_at: Option<i64>,
}

/// All of them, by name. Held for a look-up only.
#[derive(Debug, Clone, Default)]
pub(super) struct Progresses(Arc<Mutex<BTreeMap<String, Progress>>>);

impl Progresses {
    /// That of a delivery since it was put or resumed; none: nothing is sent to it from here.
    pub fn get(&self, name: &str, since: u64) -> Option<Progress> {
        let all = self.0.lock();
        all.get(name).filter(|of| of.since == since).cloned()
    }

    /// Changes that of a delivery.
    pub fn set(&self, name: &str, progress: &Progress) {
        self.0.lock().insert(name.to_owned(), progress.clone());
    }

    /// Nothing is sent to it from here any more.
    pub fn remove(&self, name: &str) {
        self.0.lock().remove(name);
    }
}
