//! How long each request took, kept as counts so that the times of several runs add up.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::report::{Row, Spread};

/// The longest time that is told apart, in microseconds: an hour.
const MICROS_MAX: u64 = 3_600_000_000;
/// Figures of a time that are kept: an error of at most one in a thousand.
const DIGITS: u8 = 3;
/// The percentiles of every benchmark.
const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// Counts of times, to the microsecond and to three figures.
///
/// Between processes they travel as pairs of a time in microseconds and a count.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Vec<(u64, u64)>", from = "Vec<(u64, u64)>")]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        let counts = Histogram::new_with_bounds(1, MICROS_MAX, DIGITS);
        Self(counts.expect("an hour in microseconds to three figures can be counted"))
    }
}

impl Times {
    /// One more request took this long.
    pub fn note(&mut self, took: Duration) {
        self.0
            .saturating_record(u64::try_from(took.as_micros()).unwrap_or(MICROS_MAX));
    }

    /// Takes in the times of another run.
    pub fn merge(&mut self, other: &Self) {
        for (micros, count) in Vec::from(other.clone()) {
            self.0.saturating_record_n(micros, count);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time in milliseconds that this share of the requests did not exceed; 0 without any.
    pub fn ms(&self, share: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        self.0.value_at_quantile(share) as f64 / 1e3
    }
}

impl From<Times> for Vec<(u64, u64)> {
    fn from(times: Times) -> Self {
        let recorded = times.0.iter_recorded();
        recorded
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
            .collect()
    }
}

impl From<Vec<(u64, u64)>> for Times {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let mut times = Self::default();
        for (micros, count) in pairs {
            times.0.saturating_record_n(micros, count);
        }
        times
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(took: I) -> Self {
        let mut times = Self::default();
        took.into_iter().for_each(|took| times.note(took));
        times
    }
}

/// Rows of p50, p99 and p99.9, in milliseconds.
///
/// The middle value is that of all requests of all rounds, least and greatest are those of single
/// rounds.
pub fn percentiles(bench: &str, what: &str, rounds: &[Times]) -> Vec<Row> {
    let mut all = Times::default();
    rounds.iter().for_each(|times| all.merge(times));
    let measured: Vec<&Times> = rounds.iter().filter(|times| times.count() > 0).collect();
    let row = |(name, share): (&str, f64)| {
        let spread = Spread::of(measured.iter().map(|times| times.ms(share)));
        let spread = spread.map(|spread| Spread {
            median: all.ms(share),
            ..spread
        });
        Row::of_spread(bench, format!("{what}: {name}"), "ms", spread)
    };
    SHARES.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(micros: impl IntoIterator<Item = u64>) -> Times {
        micros.into_iter().map(Duration::from_micros).collect()
    }

    #[test]
    fn percentiles_are_those_of_the_requests() {
        let times = times(1..=1_000);
        assert_eq!(times.count(), 1_000);
        assert_eq!(times.ms(0.5), 0.5);
        assert_eq!(times.ms(0.99), 0.99);
        assert_eq!(times.ms(0.999), 0.999);
        assert_eq!(times.ms(1.0), 1.0);
        assert_eq!(Times::default().ms(0.99), 0.0);
    }

    #[test]
    fn a_longer_time_is_kept_to_three_figures() {
        let ms = times([1_234_567]).ms(1.0);
        assert!((ms - 1_234.567).abs() < 1.3, "{ms}");
        assert!(times([u64::MAX]).ms(1.0) >= 3_600_000.0);
    }

    #[test]
    fn times_of_runs_add_up_also_after_they_have_travelled() {
        let mut all = times([100; 99]);
        let text = serde_json::to_string(&times([5_000_000])).expect("JSON");
        let other: Times = serde_json::from_str(&text).expect("times");
        let before = times([5_000_000]).ms(1.0);
        assert_eq!(other.ms(1.0), before);
        all.merge(&other);
        assert_eq!(all.count(), 100);
        assert_eq!(all.ms(0.99), 0.1);
        assert_eq!(all.ms(1.0), before);
    }

    #[test]
    fn the_middle_is_of_all_requests_and_the_ends_are_of_rounds() {
        let rounds = [times([1_000; 10]), times([2_000; 90]), Times::default()];
        let rows = percentiles("gate", "unary", &rounds);
        let names: Vec<&str> = rows.iter().map(|row| row.what.as_str()).collect();
        assert_eq!(names, ["unary: p50", "unary: p99", "unary: p99.9"]);
        let spread = rows[0].spread.expect("values");
        assert_eq!((spread.min, spread.max), (1.0, 2.0));
        assert!((spread.median - 2.0).abs() < 0.01);
        assert_eq!(percentiles("gate", "unary", &[])[0].spread, None);
    }
}
