//! Whether the clock is behind what is recorded: one that ran ahead was set back, or this one is wrong.

use std::time::Duration;

use creditgate_measures::time::Time;
use creditgate_runtime::clock::Clock;

/// Clocks of two machines may differ by less without a word.
const TOLD_FROM: Duration = Duration::from_secs(5);

/// A machine that has just begun may set its clock yet: what is recorded is not told to be of a wrong
/// future before, unless something comes.
const GRACE: Duration = Duration::from_secs(60);

/// Since when the clock is behind, and what was said of it.
#[derive(Debug, Default)]
pub struct Behind {
    since: Option<Time>,
    told: bool,
    told_held: bool,
}

impl Behind {
    /// Looks at the clock; whether it is behind now and was not, or the other way round.
    pub fn look(&mut self, now: Time, clock: &Clock, newest: Option<Time>) -> bool {
        self.tell_held(clock);
        let ahead = newest.map_or(0, |newest| newest.since(now));
        if ahead <= 0 {
            self.told = false;
            return self.since.take().is_some();
        }
        if !self.told && ahead > micros(TOLD_FROM) {
            self.told = true;
            tracing::warn!(
                ahead_seconds = ahead / 1_000_000,
                newest = newest.map(|newest| newest.to_string()),
                now = %now,
                "the newest record of the change log is later than this machine's clock: compare the \
                 clock with a good one. If this clock is wrong, stop the service and set it right \
                 before anything is recorded. If it is right, another one ran ahead: what came by \
                 time too early is recorded again when it comes, and a list that was confirmed in that \
                 future counts as stale until its source confirms it again"
            );
        }
        match self.since {
            Some(_) => false,
            None => {
                self.since = Some(now);
                true
            }
        }
    }

    /// The clock was set back while this process runs: its time stands still until the clock has
    /// caught up.
    fn tell_held(&mut self, clock: &Clock) {
        let held = clock.held_micros();
        let holds = held > micros(TOLD_FROM);
        if holds && !self.told_held {
            tracing::warn!(
                behind_seconds = held / 1_000_000,
                "this machine's clock was set back while the service runs, and the service's time \
                 stands still until the clock has caught up: when the clock is right now, restart \
                 the service"
            );
        }
        self.told_held = holds;
    }

    /// Since when it is behind.
    pub const fn since(&self) -> Option<Time> {
        self.since
    }

    /// Whether it has been behind for so long that it will not be set right any more.
    pub fn for_long(&self, now: Time) -> bool {
        let long = |since: Time| now.since(since) >= micros(GRACE);
        self.since.is_some_and(long)
    }

    /// It is recorded that it was set back, and what was recorded is behind it no more.
    pub const fn recorded(&mut self) {
        self.since = None;
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
