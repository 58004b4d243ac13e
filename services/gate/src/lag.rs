//! How late this process is: by how much its tasks run after they could.
//!
//! A processor that has more to do than it can shows nowhere else: no queue of ours grows, each request waits in the
//! runtime's own before anything of it is looked at. A task that wakes at fixed times and then stands in that line sees how
//! long it is. When it is long twice in a row while many checks come, fewer of the further ones are taken, the fewer the
//! longer it is, and bit by bit more again while the line is short, the longer it has been short the more. By little at a
//! time: whoever is turned away comes back a second later, and if many are at once, they come back at once; and what is
//! just enough is kept longest. One late time alone is a pause of the machine, after
//! which everything goes on as before; and where few checks come, they are not what keeps the processor busy.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(5);

/// A wait this long, as often in a row as [`TIMES`] says, is too much work.
const LATE: Duration = Duration::from_millis(15);

/// A wait longer than [`LATE`] by this would be answered with taking none, if not at least [`KEPT_PERMILLE`] of the share
/// were kept each time.
const NONE_AT: u32 = 60;

/// What is kept of the share at a look that was late, at least and at most, in thousandths.
const KEPT_PERMILLE: std::ops::RangeInclusive<u32> = 500..=980;

/// A shorter wait leaves time for more.
const IN_TIME: Duration = Duration::from_millis(8);

/// See [`LATE`].
const TIMES: u32 = 2;

/// Checks of a second that are many; fewer are not what keeps the processor busy.
const MANY: f64 = 500.0;

/// The share of checks that are taken when there is time for all, and the least there may be: some must be taken for it to
/// be seen whether there is time again.
const ALL: u32 = 256;
const LEAST: u32 = 8;

/// The share grows with each look that was in time by one of these parts of a step for each such look in a row: slowly
/// where there has just been too much, and to all within half a second where there is not.
const PARTS: u32 = 16;

/// See the module. Cheap to ask.
#[derive(Debug)]
pub(crate) struct Lag(Arc<Told>);

#[derive(Debug)]
struct Told {
    /// Of [`ALL`], those that are taken.
    share: AtomicU32,
    /// Checks since the last look.
    arrived: AtomicU32,
    /// Checks since the beginning.
    asked: AtomicU64,
}

impl Lag {
    /// Looks from now on, within this runtime; outside of one it is never late. Ends when nobody asks any more.
    pub(crate) fn watch() -> Self {
        let lag = Self(Arc::new(Told {
            share: AtomicU32::new(ALL),
            arrived: AtomicU32::new(0),
            asked: AtomicU64::new(0),
        }));
        let Ok(runtime) = Handle::try_current() else {
            return lag;
        };
        let told = Arc::downgrade(&lag.0);
        runtime.spawn(async move {
            let mut seen = Seen::default();
            loop {
                let due = Instant::now() + EVERY;
                tokio::time::sleep_until(due.into()).await;
                stand_in_line().await;
                let Some(told) = told.upgrade() else {
                    return;
                };
                let arrived = told.arrived.swap(0, Ordering::Relaxed);
                let share = seen.note(due.elapsed(), arrived);
                told.share.store(share, Ordering::Relaxed);
            }
        });
        lag
    }

    /// Counts a check that has come; false when it is one of those that there is no time for.
    pub(crate) fn takes_one(&self) -> bool {
        let told = &*self.0;
        told.arrived.fetch_add(1, Ordering::Relaxed);
        let share = told.share.load(Ordering::Relaxed);
        if share == ALL {
            return true;
        }
        // Those taken are spread evenly among those who come.
        let nth = told.asked.fetch_add(1, Ordering::Relaxed) % u64::from(ALL);
        let taken = |count: u64| count * u64::from(share) / u64::from(ALL);
        taken(nth + 1) > taken(nth)
    }

    #[cfg(test)]
    pub(crate) fn set_share(&self, share: u32) {
        self.0.share.store(share, Ordering::Relaxed);
    }
}

/// Lets all who can go on now go on before.
///
/// Whoever a timer wakes goes first, and so does whoever yields by the runtime's own means, as soon as it has looked at its
/// timers and sockets. Only a task that wakes itself while it runs is put at the end.
async fn stand_in_line() {
    let mut stood = false;
    poll_fn(|context| {
        if std::mem::replace(&mut stood, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What the looks before this one saw.
#[derive(Debug)]
struct Seen {
    late_in_a_row: u32,
    in_time_in_a_row: u32,
    /// Of [`PARTS`], what the share has grown by beyond whole steps.
    parts: u32,
    share: u32,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            late_in_a_row: 0,
            in_time_in_a_row: 0,
            parts: 0,
            share: ALL,
        }
    }
}

impl Seen {
    /// The share that is taken from now on.
    fn note(&mut self, late_by: Duration, arrived: u32) -> u32 {
        let many = f64::from(arrived) >= MANY * (EVERY + late_by).as_secs_f64();
        if late_by >= LATE && many {
            self.late_in_a_row += 1;
            self.in_time_in_a_row = 0;
            if self.late_in_a_row >= TIMES {
                self.share = (self.share * kept_permille(late_by) / 1_000).max(LEAST);
            }
        } else {
            self.late_in_a_row = 0;
            if late_by < IN_TIME || !many {
                self.in_time_in_a_row = (self.in_time_in_a_row + 1).min(PARTS * ALL);
                self.parts += self.in_time_in_a_row;
                self.share = (self.share + self.parts / PARTS).min(ALL);
                self.parts %= PARTS;
            } else {
                self.in_time_in_a_row = 0;
            }
        }
        self.share
    }
}

/// What is kept of the share after a wait that was too long.
fn kept_permille(late_by: Duration) -> u32 {
    let over = late_by.saturating_sub(LATE).as_millis();
    let over = u32::try_from(over).unwrap_or(NONE_AT).min(NONE_AT);
    let kept = 1_000 - 1_000 * over / NONE_AT;
    kept.clamp(*KEPT_PERMILLE.start(), *KEPT_PERMILLE.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pause_is_no_overload_and_several_in_a_row_are() {
        let mut seen = Seen::default();
        let mut note = |(millis, arrived)| seen.note(Duration::from_millis(millis), arrived);
        let many = [500, 2, 15, 15, 30, 45, 900].map(|millis| (millis, 1_000));
        assert_eq!(many.map(&mut note), [256, 256, 256, 250, 187, 93, 46]);
        // Between late and in time it stays.
        let many = [14, 15, 14, 8].map(|millis| (millis, 1_000));
        assert_eq!(many.map(&mut note), [46; 4]);
        // 22 in 45 ms are fewer than 500 a second.
        assert_eq!(
            [(40, 22); 8].map(&mut note),
            [46, 46, 46, 46, 47, 47, 47, 48]
        );
        assert_eq!([(40, 23); 2].map(&mut note), [48, 28]);
        let never_none = [(45, 1_000); 20].map(&mut note);
        assert_eq!(never_none[19], LEAST);
        // Twice as much after 16 looks in time, all after 89: half a second.
        let more = [(7, 1_000); 89].map(&mut note);
        assert_eq!([more[15], more[87], more[88]], [16, 253, ALL]);
        // A pause after every few looks keeps it from growing fast, and not from growing.
        let _ = [(45, 1_000); 20].map(&mut note);
        let paused = [7, 7, 7, 7, 7, 15].map(|millis| (millis, 1_000));
        let grown = [paused; 300].map(|looks| looks.map(&mut note)[5]);
        assert!(grown[0] <= LEAST + 1 && grown[299] == ALL, "{grown:?}");
    }

    #[test]
    fn the_share_is_the_share_of_those_taken() {
        let lag = Lag::watch();
        assert!((0..1_000).all(|_| lag.takes_one()), "nothing is late");
        for share in [LEAST, 64, 255] {
            lag.set_share(share);
            let taken = (0..ALL).filter(|_| lag.takes_one()).count();
            assert_eq!(taken, share as usize);
        }
    }
}
