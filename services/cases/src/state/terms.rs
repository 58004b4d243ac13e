//! What the book and the deployment say about cases: never part of what a case is, so that a rebuild
//! under another book gives the same case.

use creditgate_measures::time::{Date, Time};

/// A stage of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its code.
    pub code: String,
    /// It is a decisive check point.
    pub decisive: bool,
    /// The decisive stage at which its subjects must have been checked.
    pub after: Option<String>,
}

/// What the book in force and the deployment say about cases.
pub trait Terms {
    /// The stages of a scenario in their order; none for an unknown one.
    fn stages(&self, scenario: &str) -> &[Stage];

    /// Cases opened before this day are not asked for missing checks; `None`: none is.
    fn go_live(&self, scenario: &str) -> Option<Date>;

    /// Days for which a case stays open after its last event; `None`: without limit.
    fn open_days(&self, scenario: &str) -> Option<u32>;

    /// The last day for a decision about a measure proposed then; `None`: without limit.
    fn decide_by(&self, measure_id: &str, proposed_at: Time) -> Option<Date>;

    /// Whether implementers are told of lift orders by a topic.
    fn announces(&self) -> bool {
        false
    }

    /// The last day for the acknowledgement of a lift order given then, where somebody is to be told that it
    /// has passed.
    fn lift_by(&self, _ordered_at: Time) -> Option<Date> {
        None
    }

    /// Whether somebody is to be told of missing checks.
    fn tells_missing(&self) -> bool {
        false
    }

    /// Whether two officials must confirm the measure.
    fn four_eyes(&self, measure_id: &str) -> bool;
}
