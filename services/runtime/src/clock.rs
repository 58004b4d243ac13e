//! The time of day as the service sees it: microseconds since 1970 that never run backwards within a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Behind the newest reading by less than this is two threads reading at once, not a clock that was set back.
const JUMP_MICROS_MIN: i64 = 1_000;

/// Tells the time. Cheap to clone; every clone shares the same newest reading.
///
/// When the system's clock is set back, the newest reading is held until the system has caught up, and
/// [`Clock::jumps_back`] counts it: positions in the journal and times in verdicts stay in one order.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

/// Moves a clock made by [`Clock::stepped`]. Whoever holds it is a test or a demonstration.
#[derive(Debug)]
pub struct Hand(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    newest: AtomicI64,
    holding: AtomicBool,
    jumps_back: AtomicU64,
}

#[derive(Debug)]
enum Source {
    System,
    Stepped(AtomicI64),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Clock {
        Clock::over(Source::System)
    }

    /// A clock that stands still at `micros` until its hand is moved.
    pub fn stepped(micros: i64) -> (Clock, Hand) {
        let clock = Clock::over(Source::Stepped(AtomicI64::new(micros)));
        let hand = Hand(clock.0.clone());
        (clock, hand)
    }

    fn over(source: Source) -> Clock {
        Clock(Arc::new(Inner {
            source,
            newest: AtomicI64::new(i64::MIN),
            holding: AtomicBool::new(false),
            jumps_back: AtomicU64::new(0),
        }))
    }

    /// Microseconds since 1970-01-01T00:00:00Z; never less than any earlier answer of this clock.
    pub fn now_micros(&self) -> i64 {
        let read = self.0.source.read();
        let newest = self.0.newest.fetch_max(read, Ordering::AcqRel);
        if read >= newest {
            // Loaded first so that the common case writes nothing shared.
            if self.0.holding.load(Ordering::Relaxed) {
                self.0.holding.store(false, Ordering::Relaxed);
            }
            return read;
        }
        if newest - read >= JUMP_MICROS_MIN && !self.0.holding.swap(true, Ordering::Relaxed) {
            self.0.jumps_back.fetch_add(1, Ordering::Relaxed);
        }
        newest
    }

    /// By how many microseconds the machine's clock is behind the newest reading, which is held for as
    /// long; 0 when it is not.
    pub fn held_micros(&self) -> i64 {
        let newest = self.0.newest.load(Ordering::Acquire);
        newest.saturating_sub(self.0.source.read()).max(0)
    }

    /// How often the clock was found set back and held.
    pub fn jumps_back(&self) -> u64 {
        self.0.jumps_back.load(Ordering::Relaxed)
    }
}

impl Hand {
    /// Sets the hand; an earlier time than before is a clock set back.
    pub fn set(&self, micros: i64) {
        if let Source::Stepped(now) = &self.0.source {
            now.store(micros, Ordering::Release);
        }
    }

    /// Moves the hand on.
    pub fn advance(&self, by: Duration) {
        if let Source::Stepped(now) = &self.0.source {
            now.fetch_add(micros(by), Ordering::AcqRel);
        }
    }
}

impl Source {
    fn read(&self) -> i64 {
        match self {
            Source::System => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => micros(since),
                Err(before) => -micros(before.duration()),
            },
            Source::Stepped(now) => now.load(Ordering::Acquire),
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_clock_moves_only_by_its_hand() {
        let (clock, hand) = Clock::stepped(1_000);
        assert_eq!((clock.now_micros(), clock.now_micros()), (1_000, 1_000));
        hand.advance(Duration::from_secs(1));
        assert_eq!(clock.now_micros(), 1_001_000);
        assert_eq!(clock.jumps_back(), 0);
    }

    #[test]
    fn a_clock_set_back_is_held_and_counted_once_per_jump() {
        let (clock, hand) = Clock::stepped(10_000_000);
        clock.now_micros();
        hand.set(4_000_000);
        assert_eq!(
            (clock.now_micros(), clock.now_micros()),
            (10_000_000, 10_000_000)
        );
        assert_eq!((clock.jumps_back(), clock.held_micros()), (1, 6_000_000));
        hand.set(10_000_001);
        assert_eq!(clock.held_micros(), 0);
        assert_eq!(clock.now_micros(), 10_000_001);
        hand.set(0);
        assert_eq!(clock.now_micros(), 10_000_001);
        assert_eq!(clock.jumps_back(), 2);
    }

    #[test]
    fn readings_of_several_threads_at_once_are_no_jump() {
        let clock = Clock::system();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let clock = clock.clone();
                scope.spawn(move || {
                    let mut last = 0;
                    for _ in 0..10_000 {
                        let now = clock.now_micros();
                        assert!(now >= last);
                        last = now;
                    }
                });
            }
        });
        assert!(clock.now_micros() > 1_700_000_000_000_000);
    }
}
