//! Events that go in and verdicts that come out, each counted once.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::kafka::{Cluster, Outgoing, Sender, Topic, Writer};

use super::load;
use crate::failure::Failure;

/// What the numbers of the cases begin with.
const RUN: &str = "stream";
/// Records on their way at once when a topic is filled.
const ON_THEIR_WAY: usize = 50_000;
/// Time for the coordinator to give a transactional id to a new producer.
const RENEW_WITHIN: Duration = Duration::from_secs(30);

/// The event of this number as a record: a CloudEvent in binary mode, keyed by its case.
fn record(n: u64, now: Time) -> Result<Outgoing, Failure> {
    let mut event = load::event(RUN, n);
    event.occurred_at = Some(time_to_proto(now));
    let payload =
        serde_json::to_vec(&event).map_err(|error| Failure::new("write an event", error))?;
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", &event.id),
        ("ce_source", &event.source),
        ("ce_type", "creditgate.event.v1"),
        ("content-type", "application/json"),
    ];
    Ok(Outgoing {
        topic: Topic::Events,
        partition: None,
        headers: headers
            .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())))
            .to_vec(),
        key: event.case_id.into_bytes(),
        payload,
    })
}

/// The case that a key begins with, on whatever topic.
pub fn case(key: &[u8]) -> Option<&[u8]> {
    let case = key.split(|byte| *byte == b'/').next()?;
    number(case).map(|_| case)
}

/// The number of the event that a record with this key is about; keys are cases on every topic.
pub fn number(key: &[u8]) -> Option<u64> {
    let key = std::str::from_utf8(key).ok()?;
    key.strip_prefix(RUN)?.strip_prefix('-')?.parse().ok()
}

/// Sends the events of these numbers as fast as the cluster takes them.
pub async fn fill(sender: &Sender, numbers: Range<u64>) -> Result<(), Failure> {
    let failed = |error| Failure::new("send an event", error);
    let clock = Clock::system();
    let mut on_their_way = VecDeque::with_capacity(ON_THEIR_WAY);
    for n in numbers {
        let record = record(n, Time::from_micros(clock.now_micros()))?;
        on_their_way.push_back(sender.begin(&record).map_err(failed)?);
        if on_their_way.len() == ON_THEIR_WAY
            && let Some(oldest) = on_their_way.pop_front()
        {
            oldest.await.map_err(failed)?;
        }
    }
    for sent in on_their_way {
        sent.await.map_err(failed)?;
    }
    Ok(())
}

/// Sends the events of these numbers in one transaction: readers see them all at once, when it is
/// committed. It must be done within the time that the broker gives a transaction.
pub fn fill_at_once(cluster: &Cluster, numbers: Range<u64>) -> Result<(), Failure> {
    let failed = |error| Failure::new("send events in a transaction", error);
    let clock = Clock::system();
    let mut writer = Writer::of_batches(cluster, "bench-fill");
    writer
        .renew(RENEW_WITHIN)
        .map_err(|error| Failure::new("begin to send events", error))?;
    writer.begin().map_err(failed)?;
    for n in numbers {
        let record = record(n, Time::from_micros(clock.now_micros()))?;
        writer.add(&record).map_err(failed)?;
    }
    writer.commit(None).map_err(failed)
}

/// Events of a steady load, and when each was sent.
pub struct Steady {
    numbers: Range<u64>,
    rate: f64,
}

impl Steady {
    /// So many a second for this time, counted from a number.
    pub fn new(first: u64, rate: f64, time: Duration) -> Self {
        Self {
            numbers: first..first + due(rate, time).max(1),
            rate,
        }
    }

    /// The numbers of its events.
    pub fn numbers(&self) -> Range<u64> {
        self.numbers.clone()
    }

    /// Sends each event when it is due and returns when each was sent, once all are confirmed.
    pub async fn send(
        &self,
        sender: &Sender,
        goes_on: impl Fn() -> bool,
    ) -> Result<Vec<Instant>, Failure> {
        let failed = |error| Failure::new("send an event", error);
        let clock = Clock::system();
        let mut at = Vec::new();
        let mut on_their_way = Vec::new();
        let began = Instant::now();
        let mut numbers = self.numbers();
        while !numbers.is_empty() && goes_on() {
            let due = self.numbers.start + due(self.rate, began.elapsed());
            while numbers.start < due.min(numbers.end) {
                let Some(n) = numbers.next() else { break };
                let record = record(n, Time::from_micros(clock.now_micros()))?;
                at.push(Instant::now());
                on_their_way.push(sender.begin(&record).map_err(failed)?);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for sent in on_their_way {
            sent.await.map_err(failed)?;
        }
        Ok(at)
    }
}

/// How many events of a steady load are due after this time.
fn due(rate: f64, time: Duration) -> u64 {
    // Rates and times of a benchmark are far from where a float cannot count any more.
    (rate * time.as_secs_f64()) as u64
}

/// Which of the awaited events have their verdict, and since when.
pub struct Tally {
    first: u64,
    at: Vec<Option<Instant>>,
    missing: usize,
}

/// A verdict that should not be there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// A second one for the same event.
    #[error("event {0} has more than one verdict")]
    Second(u64),
    /// One for an event that nobody sent, or not now.
    #[error("there is a verdict for {0}, which was not sent in this round")]
    Strange(String),
}

impl Tally {
    /// Awaits the events of these numbers.
    pub fn new(numbers: Range<u64>) -> Self {
        let at: Vec<_> = numbers.clone().map(|_| None).collect();
        Self {
            first: numbers.start,
            missing: at.len(),
            at,
        }
    }

    /// A record with this key has come.
    pub fn note(&mut self, key: &[u8], now: Instant) -> Result<(), Odd> {
        let strange = || Odd::Strange(String::from_utf8_lossy(key).into_owned());
        let n = number(key).ok_or_else(strange)?;
        let index = n
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        let slot = index
            .and_then(|index| self.at.get_mut(index))
            .ok_or_else(strange)?;
        if slot.replace(now).is_some() {
            return Err(Odd::Second(n));
        }
        self.missing -= 1;
        Ok(())
    }

    /// How many events have none yet.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// How many were awaited.
    pub fn awaited(&self) -> usize {
        self.at.len()
    }

    /// When each came, in the order of the numbers.
    pub fn arrivals(self) -> Vec<Instant> {
        self.at.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use creditgate_proto::cloudevents;

    use super::*;

    #[test]
    fn a_record_is_an_event_of_its_own_case_and_its_key_tells_its_number() {
        let record = record(12, Time::from_micros(1_770_000_000_000_000)).expect("a record");
        let headers = record.headers.iter().map(|(name, value)| {
            let value = value.as_deref().unwrap_or_default();
            (name.as_str(), std::str::from_utf8(value).expect("text"))
        });
        let event = cloudevents::from_message(headers, &record.payload)
            .expect("an event")
            .event;
        assert_eq!(event.case_id.as_bytes(), record.key);
        assert!(event.occurred_at.is_some());
        assert_eq!(number(&record.key), Some(12));
    }

    #[test]
    fn keys_of_others_have_no_number() {
        for key in [
            &b"unary-0-00000001"[..],
            b"stream-",
            b"stream-1x",
            b"\xff",
            b"",
        ] {
            assert_eq!(number(key), None, "{key:?}");
            assert_eq!(case(key), None, "{key:?}");
        }
        assert_eq!(case(b"stream-17/id/d"), Some(&b"stream-17"[..]));
    }

    #[test]
    fn each_event_counts_once_and_only_those_that_were_sent() {
        let now = Instant::now();
        let mut tally = Tally::new(5..7);
        assert_eq!((tally.awaited(), tally.missing()), (2, 2));
        assert_eq!(tally.note(b"stream-00000006", now), Ok(()));
        assert_eq!(tally.note(b"stream-00000006", now), Err(Odd::Second(6)));
        for key in ["stream-00000004", "stream-00000007", "other"] {
            let strange = Err(Odd::Strange(key.to_owned()));
            assert_eq!(tally.note(key.as_bytes(), now), strange);
        }
        assert_eq!(tally.missing(), 1);
        assert_eq!(tally.note(b"stream-00000005", now), Ok(()));
        assert_eq!((tally.missing(), tally.arrivals().len()), (0, 2));
    }

    #[test]
    fn a_steady_load_has_as_many_events_as_its_rate_says() {
        let load = Steady::new(10, 1_500.0, Duration::from_secs(2));
        assert_eq!(load.numbers(), 10..3_010);
        assert_eq!(due(1_500.0, Duration::from_millis(1)), 1);
        assert_eq!(due(0.1, Duration::from_secs(1)), 0);
    }
}
