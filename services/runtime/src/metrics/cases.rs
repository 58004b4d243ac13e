//! What stands open in cases, as whoever keeps them counts it from time to time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::shown::{Family, Number, Sample};
use super::{CasesRole, Metrics};
use crate::telemetry::names::metric::{self, Metric};

/// How much stands open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaseCounts {
    /// Open cases.
    pub open_cases: u64,
    /// Cases in which a check is missing.
    pub missing_checks: u64,
    /// Measures that wait for an official.
    pub proposals_open: u64,
    /// Those of them whose time has passed.
    pub proposals_escalated: u64,
    /// Lift orders that are not acknowledged.
    pub lift_orders_open: u64,
    /// Those of them whose time has passed.
    pub lift_orders_overdue: u64,
    /// Reviews that wait.
    pub reviews_waiting: u64,
    /// When the oldest change was recorded that they are about, in microseconds since 1970.
    pub oldest_review_at_micros: Option<i64>,
}

/// The cells.
#[derive(Debug)]
pub(super) struct Cases {
    /// Index of the role; beyond all of them: this process follows no cases.
    role: AtomicUsize,
    taken_in: AtomicU64,
    /// None: this process does not keep them.
    counts: RwLock<Option<CaseCounts>>,
}

impl Default for Cases {
    fn default() -> Self {
        Self {
            role: AtomicUsize::new(usize::MAX),
            taken_in: AtomicU64::default(),
            counts: RwLock::default(),
        }
    }
}

impl Metrics {
    /// Says what this process is to the cases.
    pub fn set_cases_role(&self, role: CasesRole) {
        self.0.cases.role.store(role.index(), Ordering::Relaxed);
    }

    /// What this process is to the cases; none: it follows none.
    pub fn cases_role(&self) -> Option<CasesRole> {
        let index = self.0.cases.role.load(Ordering::Relaxed);
        CasesRole::ALL.get(index).copied()
    }

    /// Says how many records of the log of cases are taken in here.
    pub fn set_cases_taken_in(&self, records: u64) {
        self.0.cases.taken_in.store(records, Ordering::Relaxed);
    }

    /// Says what stands open; none: this process does not keep the cases.
    pub fn set_cases(&self, counts: Option<CaseCounts>) {
        *self.0.cases.counts.write() = counts;
    }

    /// The families of cases, in the order of the names file.
    pub(super) fn case_families(&self) -> Vec<Family> {
        let role = self.cases_role();
        let roles = CasesRole::ALL
            .iter()
            .filter(|_| role.is_some())
            .map(|one| Sample {
                labels: vec![one.label().to_owned()],
                number: Number::Whole(i64::from(role == Some(*one))),
            })
            .collect();
        let counts = *self.0.cases.counts.read();
        let whole = |number: u64| Number::Whole(i64::try_from(number).unwrap_or(i64::MAX));
        let of = |metric: Metric, number: fn(&CaseCounts) -> u64| Family {
            metric,
            samples: alone(counts.as_ref().map(|counts| whole(number(counts)))),
        };
        let taken_in = self.0.cases.taken_in.load(Ordering::Relaxed);
        let now = self.0.clock.now_micros();
        let oldest = counts.map(|counts| {
            let since = counts.oldest_review_at_micros.unwrap_or(now);
            Number::Real(now.saturating_sub(since).max(0) as f64 / 1e6)
        });
        vec![
            Family {
                metric: metric::CASES_ROLE,
                samples: roles,
            },
            Family {
                metric: metric::CASES_TAKEN_IN,
                samples: alone(role.map(|_| whole(taken_in))),
            },
            of(metric::CASES_OPEN, |counts| counts.open_cases),
            of(metric::CASES_MISSING_CHECKS, |counts| counts.missing_checks),
            of(metric::PROPOSALS_OPEN, |counts| counts.proposals_open),
            of(metric::PROPOSALS_ESCALATED, |counts| {
                counts.proposals_escalated
            }),
            of(metric::LIFT_ORDERS_OPEN, |counts| counts.lift_orders_open),
            of(metric::LIFT_ORDERS_OVERDUE, |counts| {
                counts.lift_orders_overdue
            }),
            of(metric::REVIEWS_WAITING, |counts| counts.reviews_waiting),
            Family {
                metric: metric::REVIEWS_OLDEST,
                samples: alone(oldest),
            },
        ]
    }
}

/// A number without labels, where there is one.
fn alone(number: Option<Number>) -> Vec<Sample> {
    let sample = number.map(|number| Sample {
        labels: Vec::new(),
        number,
    });
    sample.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::metrics::Build;

    #[test]
    fn only_who_keeps_cases_tells_how_much_stands_open() {
        let (clock, hand) = Clock::stepped(1_000_000_000);
        let build = Build {
            version: "0.1.0",
            commit: "unknown",
        };
        let metrics = Metrics::new(clock, build);
        let told = |line: &str| metrics.render().lines().any(|one| one == line);
        assert!(!metrics.render().contains("\ncreditgate_cases_role"));
        metrics.set_cases_role(CasesRole::Reading);
        assert!(told("creditgate_cases_role{role=\"reading\"} 1"));
        assert!(told("creditgate_cases_role{role=\"leads\"} 0"));
        assert!(!metrics.render().contains("\ncreditgate_reviews_waiting"));

        metrics.set_cases_role(CasesRole::Leads);
        metrics.set_cases(Some(CaseCounts {
            proposals_escalated: 3,
            reviews_waiting: 2,
            oldest_review_at_micros: Some(1_000_000_000),
            ..CaseCounts::default()
        }));
        hand.advance(Duration::from_millis(90_500));
        assert!(told("creditgate_proposals_escalated 3"));
        assert!(told("creditgate_lift_orders_overdue 0"));
        assert!(told("creditgate_reviews_waiting 2"));
        assert!(told("creditgate_reviews_oldest_seconds 90.5"));

        metrics.set_cases_role(CasesRole::StandsBy);
        metrics.set_cases(None);
        assert_eq!(metrics.cases_role(), Some(CasesRole::StandsBy));
        assert!(!metrics.render().contains("\ncreditgate_cases_open"));
    }
}
