//! How late this process is: by how much its tasks run after they could.
//!
//! A processor that has more to do than it can shows nowhere else: no queue of ours grows, each request waits in the
//! runtime's own before anything of it is looked at. A task that wakes at fixed times sees how long that wait is. When it
//! is long several times in a row while many checks come, further ones are turned away before work is spent on them. One
//! late time alone is a pause of the machine, after which everything goes on as before; and where few checks come, they
//! are not what keeps the processor busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(5);

/// A wait this long, as often in a row as [`TIMES`] says, is too much work.
const LATE: Duration = Duration::from_millis(30);

/// See [`LATE`].
const TIMES: u32 = 3;

/// Checks that must have come between two looks for them to be too many.
const MANY: u32 = 128;

/// See the module. Cheap to ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lag(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    high: AtomicBool,
    /// Checks since the last look.
    arrived: AtomicU32,
}

impl Lag {
    /// Looks from now on, within this runtime; outside of one it is never late. Ends when nobody asks any more.
    pub(crate) fn watch() -> Self {
        let lag = Self::default();
        let Ok(runtime) = Handle::try_current() else {
            return lag;
        };
        let told = Arc::downgrade(&lag.0);
        runtime.spawn(async move {
            let mut seen = Seen::default();
            loop {
                let due = Instant::now() + EVERY;
                tokio::time::sleep_until(due.into()).await;
                let Some(told) = told.upgrade() else {
                    return;
                };
                let arrived = told.arrived.swap(0, Ordering::Relaxed);
                let high = seen.note(due.elapsed(), arrived);
                told.high.store(high, Ordering::Relaxed);
            }
        });
        lag
    }

    /// Counts a check that has come; false when there is more work than this process can do.
    pub(crate) fn takes_one(&self) -> bool {
        self.0.arrived.fetch_add(1, Ordering::Relaxed);
        !self.0.high.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn set_high(&self, high: bool) {
        self.0.high.store(high, Ordering::Relaxed);
    }
}

/// How often in a row it was late with many checks.
#[derive(Debug, Default)]
struct Seen(u32);

impl Seen {
    fn note(&mut self, late_by: Duration, arrived: u32) -> bool {
        self.0 = match late_by >= LATE && arrived >= MANY {
            true => (self.0 + 1).min(TIMES),
            false => 0,
        };
        self.0 == TIMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pause_is_no_overload_and_several_in_a_row_are() {
        let mut seen = Seen::default();
        let mut note = |(millis, arrived)| seen.note(Duration::from_millis(millis), arrived);
        let many = [500, 2, 40, 40].map(|millis| (millis, 1_000));
        assert_eq!(many.map(&mut note), [false; 4]);
        let many = [40, 40, 1, 40].map(|millis| (millis, 1_000));
        assert_eq!(many.map(&mut note), [true, true, false, false]);
        assert_eq!([(40, 10); 6].map(&mut note), [false; 6]);
    }

    #[test]
    fn outside_of_a_runtime_nothing_is_late() {
        assert!(Lag::watch().takes_one());
    }
}
