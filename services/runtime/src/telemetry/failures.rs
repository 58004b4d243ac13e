//! Failures of the export: each is counted, few are logged.

use std::fmt::Display;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::names::field;
use crate::metrics::{Metrics, Signal};

/// At most one line of log per signal in this time: a collector that is down for a night is not worth a full disk.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The failures of one signal's export.
#[derive(Debug)]
pub(super) struct Failures {
    signal: Signal,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    logged_at: Option<Instant>,
    since_logged: u64,
}

impl Failures {
    pub fn new(signal: Signal, metrics: Metrics) -> Failures {
        Failures {
            signal,
            metrics,
            state: Mutex::default(),
        }
    }

    /// Takes note of one export.
    pub fn note<T, E: Display>(&self, result: Result<T, E>) {
        match result {
            Ok(_) => self.state.lock().since_logged = 0,
            Err(error) => {
                self.metrics.export_failed(self.signal);
                let count = self.state.lock().failed(Instant::now());
                if let Some(count) = count {
                    tracing::warn!(
                        { field::SIGNAL } = self.signal.label(),
                        { field::COUNT } = count,
                        { field::ERROR } = %error,
                        "export failed"
                    );
                }
            }
        }
    }
}

impl State {
    /// How many failures a line of log now would stand for; nothing when it is too early for one.
    fn failed(&mut self, now: Instant) -> Option<u64> {
        self.since_logged += 1;
        let early = self
            .logged_at
            .is_some_and(|then| now.duration_since(then) < LOG_INTERVAL);
        if early {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.since_logged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_tells_how_many_it_stands_for() {
        let (mut state, start) = (State::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let lines: Vec<_> = [0, 10, 20, 59, 61, 62, 200]
            .map(|seconds| state.failed(after(seconds)))
            .into();
        assert_eq!(lines, [Some(1), None, None, None, Some(4), None, Some(2)]);
    }
}
