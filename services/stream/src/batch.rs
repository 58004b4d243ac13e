//! What one transaction holds, and when it is full.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use creditgate_runtime::kafka::Incoming;
use creditgate_runtime::metrics::StreamEnd;

/// While events are there at once a transaction takes them longer, up to so many times its age: under a
/// load that is too high, each transaction costs what some of them would.
pub const AGES_UNDER_LOAD: u32 = 2;

/// The records of a transaction, in order, from the first that is not committed.
///
/// They stay here until their transaction is confirmed, so that it can be done again.
pub(crate) struct Batch<H> {
    /// The records, judged or not.
    records: Vec<Incoming>,
    /// What became of those that are judged and written, from the first.
    ends: Vec<StreamEnd>,
    /// Their verdicts.
    held: Vec<H>,
    /// Cases of those. A further event of the same case would be judged without knowing of them.
    cases: HashSet<String>,
    /// When the transaction was begun.
    since: Option<Instant>,
}

/// What a committed transaction held.
pub(crate) struct Confirmed<H> {
    /// What became of its records.
    pub ends: Vec<StreamEnd>,
    /// Their verdicts.
    pub held: Vec<H>,
    /// The cases of those.
    pub cases: HashSet<String>,
}

impl<H> Batch<H> {
    pub(crate) fn new() -> Self {
        Self {
            records: Vec::new(),
            ends: Vec::new(),
            held: Vec::new(),
            cases: HashSet::new(),
            since: None,
        }
    }

    /// Adds a record that was read.
    pub(crate) fn push(&mut self, record: Incoming) {
        self.records.push(record);
    }

    /// The next record to be judged.
    pub(crate) fn due(&self) -> Option<&Incoming> {
        self.records.get(self.ends.len())
    }

    /// The record due is judged, and what became of it is written.
    pub(crate) fn advance(&mut self, end: StreamEnd, verdict: Option<(H, String)>) {
        self.ends.push(end);
        self.since.get_or_insert_with(Instant::now);
        if let Some((held, case)) = verdict {
            self.held.push(held);
            self.cases.insert(case);
        }
    }

    /// Whether nothing is written that waits for a commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether an event of this case must wait for the commit.
    pub(crate) fn has_case(&self, case: &str) -> bool {
        self.cases.contains(case)
    }

    /// Whether it should be committed now; `more` are there to be judged at once.
    pub(crate) fn is_full(&self, events: usize, age: Duration, more: bool) -> bool {
        let age = match more {
            true => age * AGES_UNDER_LOAD,
            false => age,
        };
        self.ends.len() >= events || self.since.is_some_and(|since| since.elapsed() >= age)
    }

    /// How long ago it was begun.
    pub(crate) fn age(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// How long it may still wait for further events; without end while it is empty.
    pub(crate) fn patience(&self, age: Duration) -> Option<Duration> {
        self.since.map(|since| age.saturating_sub(since.elapsed()))
    }

    /// How many records are written and not yet confirmed.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The offset after the last written record.
    pub(crate) fn next_offset(&self) -> Option<i64> {
        let last = self.records.get(self.ends.len().checked_sub(1)?)?;
        Some(last.offset + 1)
    }

    /// What was written is confirmed and goes.
    pub(crate) fn confirmed(&mut self) -> Confirmed<H> {
        self.records.drain(..self.ends.len());
        Confirmed {
            ends: std::mem::take(&mut self.ends),
            cases: std::mem::take(&mut self.cases),
            held: self.give_up(),
        }
    }

    /// Nobody knows whether what was written stands: all of it is due again, its slots free.
    pub(crate) fn give_up(&mut self) -> Vec<H> {
        self.ends.clear();
        self.since = None;
        self.cases.clear();
        std::mem::take(&mut self.held)
    }

    /// What lies before this offset stands; what lies behind it is due.
    pub(crate) fn resume_at(&mut self, committed: i64) {
        self.records.retain(|record| record.offset >= committed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64) -> Incoming {
        Incoming {
            partition: 0,
            offset,
            timestamp_ms: None,
            key: None,
            headers: Vec::new(),
            payload: None,
        }
    }

    fn batch() -> Batch<&'static str> {
        let mut batch = Batch::new();
        for offset in [5, 6, 9] {
            batch.push(record(offset));
        }
        batch.advance(StreamEnd::Verdict, Some(("v5", "a".to_owned())));
        batch.advance(StreamEnd::Refused, None);
        batch
    }

    #[test]
    fn the_place_is_behind_the_last_written_record_and_not_behind_the_last_read() {
        let mut batch = batch();
        assert_eq!((batch.len(), batch.next_offset()), (2, Some(7)));
        let confirmed = batch.confirmed();
        assert_eq!(confirmed.ends, [StreamEnd::Verdict, StreamEnd::Refused]);
        assert_eq!(confirmed.held, ["v5"]);
        assert_eq!(confirmed.cases, HashSet::from(["a".to_owned()]));
        assert_eq!((batch.len(), batch.next_offset()), (0, None));
        assert_eq!(batch.due().map(|due| due.offset), Some(9));
    }

    #[test]
    fn after_a_doubt_everything_from_the_committed_place_is_due_again() {
        let check = |committed: i64, due: i64| {
            let mut batch = batch();
            batch.give_up();
            batch.resume_at(committed);
            assert!(batch.is_empty() && !batch.has_case("a"));
            assert_eq!(batch.due().map(|due| due.offset), Some(due), "{committed}");
        };
        check(5, 5);
        check(6, 6);
        check(7, 9);
    }

    #[test]
    fn while_there_is_more_it_waits_longer_and_not_without_end() {
        let mut batch = batch();
        let age = Duration::from_secs(100);
        let mut is_full_after = |seconds, more| {
            batch.since = Instant::now().checked_sub(Duration::from_secs(seconds));
            batch.is_full(9, age, more)
        };
        assert!(is_full_after(150, false) && !is_full_after(150, true));
        assert!(is_full_after(201, true) && !is_full_after(50, true));
    }

    #[test]
    fn it_is_full_by_number_and_by_age_and_an_empty_one_waits_without_end() {
        let mut batch = batch();
        let hour = Duration::from_secs(3_600);
        assert!(!batch.is_full(3, hour, false) && batch.is_full(2, hour, false));
        assert!(batch.is_full(3, Duration::ZERO, false));
        assert!(batch.patience(hour).is_some_and(|left| left <= hour));
        batch.confirmed();
        assert!(!batch.is_full(1, Duration::ZERO, false) && batch.patience(hour).is_none());
        assert!(!batch.has_case("a"));
    }
}
