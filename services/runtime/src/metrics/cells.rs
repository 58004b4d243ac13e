//! The cells that hold the numbers: atomic, split over threads where every check writes, summed only when shown.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;

/// Parts of a split cell. A power of two, so that finding a thread's part is one mask.
const PARTS: usize = 8;

/// Upper bounds of the ranges of a duration, in nanoseconds: 50 µs to 5 s. Everything above falls into one range more.
pub(super) const BOUNDS_NANOS: [u64; 16] = [
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
];

const RANGES: usize = BOUNDS_NANOS.len() + 1;

/// A number that only grows. Adding touches a cache line that other threads seldom write.
#[derive(Debug, Default)]
pub struct Counter([CachePadded<AtomicU64>; PARTS]);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds a number.
    #[inline]
    pub fn add(&self, number: u64) {
        // Release and Acquire (free on x86-64) let a reader that saw a check leave also see that it had arrived.
        self.0[part()].fetch_add(number, Ordering::Release);
    }

    /// The sum.
    pub fn get(&self) -> u64 {
        self.0
            .iter()
            .map(|part| part.load(Ordering::Acquire))
            .fold(0, u64::wrapping_add)
    }
}

/// A number that goes up and down by steps, from many threads.
#[derive(Debug, Default)]
pub struct UpDown([CachePadded<AtomicI64>; PARTS]);

impl UpDown {
    /// Adds a number, which may be negative. A thread may take away what another has added.
    #[inline]
    pub fn add(&self, number: i64) {
        self.0[part()].fetch_add(number, Ordering::Relaxed);
    }

    /// The sum.
    pub fn get(&self) -> i64 {
        self.0
            .iter()
            .map(|part| part.load(Ordering::Relaxed))
            .fold(0, i64::wrapping_add)
    }
}

/// A number that is set.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, number: i64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// Sets it to a number of things; what does not fit is shown as the largest number there is.
    pub fn set_count(&self, count: usize) {
        self.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Reads it.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often each range of durations occurred.
#[derive(Debug, Default)]
pub struct Durations([CachePadded<Part>; PARTS]);

#[derive(Debug, Default)]
struct Part {
    ranges: [AtomicU64; RANGES],
    sum_nanos: AtomicU64,
}

/// A histogram's numbers at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationCounts {
    /// Occurrences per range; the last one is everything above the highest bound.
    pub ranges: [u64; RANGES],
    /// Sum of all durations.
    pub sum_nanos: u64,
}

impl Durations {
    /// Records one duration.
    #[inline]
    pub fn record(&self, duration: Duration) {
        self.record_times(duration, 1);
    }

    /// Records so many equal ones.
    #[inline]
    pub fn record_times(&self, duration: Duration, times: u64) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // A bound belongs to the range below it (`le`).
        let range = BOUNDS_NANOS.partition_point(|bound| *bound < nanos);
        let part = &self.0[part()];
        part.ranges[range].fetch_add(times, Ordering::Relaxed);
        part.sum_nanos
            .fetch_add(nanos.wrapping_mul(times), Ordering::Relaxed);
    }

    /// The sums.
    pub fn get(&self) -> DurationCounts {
        let mut counts = DurationCounts {
            ranges: [0; RANGES],
            sum_nanos: 0,
        };
        for part in &self.0 {
            for (sum, range) in counts.ranges.iter_mut().zip(&part.ranges) {
                *sum += range.load(Ordering::Relaxed);
            }
            counts.sum_nanos = counts
                .sum_nanos
                .wrapping_add(part.sum_nanos.load(Ordering::Relaxed));
        }
        counts
    }
}

impl DurationCounts {
    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.ranges.iter().sum()
    }
}

/// The part of a split cell that belongs to this thread.
#[inline]
fn part() -> usize {
    const UNASSIGNED: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PART: Cell<usize> = const { Cell::new(UNASSIGNED) };
    }
    PART.with(|part| {
        if part.get() == UNASSIGNED {
            part.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        part.get() & (PARTS - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_cells_sum_over_threads() {
        let (counter, up_down, durations) =
            (Counter::default(), UpDown::default(), Durations::default());
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counter.inc();
                        up_down.add(3);
                        up_down.add(-2);
                        durations.record(Duration::from_micros(70));
                    }
                });
            }
        });
        assert_eq!((counter.get(), up_down.get()), (12_000, 12_000));
        let counts = durations.get();
        assert_eq!((counts.count(), counts.ranges[1]), (12_000, 12_000));
        assert_eq!(counts.sum_nanos, 12_000 * 70_000);
    }

    #[test]
    fn a_bound_belongs_to_the_range_below_it() {
        let check = |nanos: u64, range: usize| {
            let durations = Durations::default();
            durations.record(Duration::from_nanos(nanos));
            assert_eq!(
                durations.get().ranges.iter().position(|count| *count == 1),
                Some(range),
                "{nanos}"
            );
        };
        check(0, 0);
        check(50_000, 0);
        check(50_001, 1);
        check(5_000_000_000, 15);
        check(5_000_000_001, 16);
    }
}
