//! The counters of verdicts, resolved once per book so that counting formats no text.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use creditgate_measures::book::{Book, BookVersion};
use creditgate_measures::event::ScenarioCode;
use creditgate_measures::vocabulary::Outcome;
use creditgate_runtime::metrics::{Metrics, VerdictCounter};

pub(crate) struct Tally {
    metrics: Metrics,
    of_book: ArcSwap<OfBook>,
}

/// The counters of a book's scenarios, in the order of [`Outcome::ALL`].
struct OfBook {
    book: BookVersion,
    scenarios: BTreeMap<ScenarioCode, Vec<VerdictCounter>>,
}

impl Tally {
    pub(crate) fn new(metrics: Metrics, book: &Book) -> Self {
        let of_book = ArcSwap::from_pointee(OfBook::new(&metrics, book));
        Self { metrics, of_book }
    }

    /// The counter for a verdict of this book.
    pub(crate) fn counter(
        &self,
        book: &Book,
        scenario: &ScenarioCode,
        outcome: Outcome,
    ) -> Option<VerdictCounter> {
        let current = self.of_book.load();
        if current.book == book.version() {
            return current.counter(scenario, outcome);
        }
        let fresh = Arc::new(OfBook::new(&self.metrics, book));
        self.of_book.store(Arc::clone(&fresh));
        fresh.counter(scenario, outcome)
    }
}

impl OfBook {
    fn new(metrics: &Metrics, book: &Book) -> Self {
        let counters = |scenario: &ScenarioCode| {
            Outcome::ALL
                .iter()
                .map(|outcome| metrics.verdict_counter(scenario.as_str(), outcome.code()))
                .collect()
        };
        Self {
            book: book.version(),
            scenarios: book
                .scenarios()
                .map(|scenario| (scenario.code.clone(), counters(&scenario.code)))
                .collect(),
        }
    }

    fn counter(&self, scenario: &ScenarioCode, outcome: Outcome) -> Option<VerdictCounter> {
        self.scenarios
            .get(scenario.as_str())?
            .get(outcome as usize)
            .cloned()
    }
}
