//! How far each subscription has come, as the process that sends knows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use creditgate_measures::time::Time;

/// How far a subscription has come. Nothing of it outlives the process: what counts is recorded.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Number of the record that put or resumed the subscription; what came before it is void.
    pub since: u64,
    /// Nothing up to here is still to be acknowledged.
    pub clear_up_to: u64,
    /// Last change that was sent, whatever became of it; 0: none.
    pub sent_up_to: u64,
    /// Last change that was taken and not acknowledged, with when that was.
    pub delivered: Option<(u64, Time)>,
    /// When the oldest change was recorded that is not acknowledged.
    pub oldest: Option<Time>,
    /// Failures since the last success.
    pub failures: u32,
    /// Refusals since the last success.
    pub refusals: u32,
    /// Why the last attempt failed.
    pub last_error: String,
    /// When it is tried again.
    pub next_attempt_at: Option<Time>,
}

impl Progress {
    /// The end of all failures.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.refusals = 0;
        self.last_error.clear();
        self.next_attempt_at = None;
    }
}

/// All of them, by name. Held for a look-up only.
#[derive(Debug, Clone, Default)]
pub(super) struct Progresses(Arc<Mutex<BTreeMap<String, Progress>>>);

impl Progresses {
    /// That of a subscription since it was put or resumed; none: nothing is sent to it from here.
    pub fn get(&self, name: &str, since: u64) -> Option<Progress> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).filter(|of| of.since == since).cloned()
    }

    /// Changes that of a subscription.
    pub fn set(&self, name: &str, progress: &Progress) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), progress.clone());
    }

    /// Nothing is sent to it from here any more.
    pub fn remove(&self, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(name);
    }
}
