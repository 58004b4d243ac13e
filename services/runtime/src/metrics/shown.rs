//! The numbers as shown: one list of families that both the text and the export are made from.

use creditgate_measures::vocabulary::Outcome;

use super::Metrics;
use super::cells::DurationCounts;
use super::labels::{
    ChangeRefusal, DeliveryEnd, ListsRole, NotCompared, PostEnd, Refusal, Signal, StreamEnd,
    TransactionEnd, Transport,
};
use crate::telemetry::names::metric::{self, Metric};

/// One metric with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Which.
    pub metric: Metric,
    /// One per set of label values.
    pub samples: Vec<Sample>,
}

/// One number with the values of its metric's labels, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The values.
    pub labels: Vec<String>,
    /// The number.
    pub number: Number,
}

/// A number as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// Of a counter.
    Count(u64),
    /// Of a gauge that counts things.
    Whole(i64),
    /// Of a gauge that measures.
    Real(f64),
    /// Of a histogram.
    Durations(Box<DurationCounts>),
}

impl Metrics {
    /// Everything as it stands now, in the order of the names file.
    ///
    /// What has left the flight is read before the flight and the flight before the arrivals, so that a check that moves
    /// while this reads can only be missing from what left: arrivals are never fewer than the rest together.
    pub fn families(&self) -> Vec<Family> {
        let cells = &*self.0;
        let by = |label: &str, number: Number| Sample {
            labels: vec![label.to_owned()],
            number,
        };
        let verdicts = cells.verdicts.read();
        let verdicts = verdicts
            .iter()
            .map(|((scenario, outcome), counter)| Sample {
                labels: vec![scenario.clone(), (*outcome).to_owned()],
                number: Number::Count(counter.0.get()),
            })
            .collect();
        let repeated = Number::Count(cells.repeated.get());
        let refused = Refusal::ALL
            .iter()
            .map(|reason| {
                by(
                    reason.label(),
                    Number::Count(cells.refused[reason.index()].get()),
                )
            })
            .collect();
        let in_flight = Number::Whole(cells.in_flight.get());
        let received = Transport::ALL
            .iter()
            .map(|transport| {
                by(
                    transport.label(),
                    Number::Count(cells.received[transport.index()].get()),
                )
            })
            .collect();
        let durations = Transport::ALL
            .iter()
            .map(|transport| {
                let counts = cells.durations[transport.index()].get();
                by(transport.label(), Number::Durations(Box::new(counts)))
            })
            .collect();
        let reviews = Outcome::ALL
            .iter()
            .map(|outcome| {
                let count = cells.reviews[*outcome as usize].get();
                by(outcome.code(), Number::Count(count))
            })
            .collect();
        let stream_events = StreamEnd::ALL
            .iter()
            .map(|end| {
                let count = cells.stream_events[end.index()].get();
                by(end.label(), Number::Count(count))
            })
            .collect();
        let stream_transactions = TransactionEnd::ALL
            .iter()
            .map(|end| {
                let count = cells.stream_transactions[end.index()].get();
                by(end.label(), Number::Count(count))
            })
            .collect();
        let changes_refused = ChangeRefusal::ALL
            .iter()
            .map(|reason| {
                by(
                    reason.label(),
                    Number::Count(cells.changes_refused[reason.index()].get()),
                )
            })
            .collect();
        let deliveries = DeliveryEnd::ALL
            .iter()
            .map(|end| {
                let count = cells.deliveries[end.index()].get();
                by(end.label(), Number::Count(count))
            })
            .collect();
        let posts = PostEnd::ALL
            .iter()
            .map(|end| by(end.label(), Number::Count(cells.posts[end.index()].get())))
            .collect();
        let compared = vec![
            by("same", Number::Count(cells.shadow_same.get())),
            by("different", Number::Count(cells.shadow_different.get())),
        ];
        let not_compared = NotCompared::ALL
            .iter()
            .map(|reason| {
                let count = cells.shadow_not_compared[reason.index()].get();
                by(reason.label(), Number::Count(count))
            })
            .collect();
        let transitions = cells.shadow_transitions.read();
        let transitions = transitions
            .iter()
            .map(|((old, new), count)| Sample {
                labels: vec![(*old).to_owned(), (*new).to_owned()],
                number: Number::Count(*count),
            })
            .collect();
        let shadow_rows = cells.shadow_rows.read();
        let shadow_rows = shadow_rows
            .iter()
            .map(|(row, count)| by(row, Number::Count(*count)))
            .collect();
        let exports = Signal::ALL
            .iter()
            .map(|signal| {
                by(
                    signal.label(),
                    Number::Count(cells.export_failures[signal.index()].get()),
                )
            })
            .collect();

        let now = cells.clock.now_micros();
        let lists = cells.lists.read();
        let entries = lists
            .iter()
            .map(|(code, list)| by(code, Number::Whole(list.entries.get())))
            .collect();
        let ages = lists.iter().filter_map(|(code, list)| {
            let age_micros = now.saturating_sub(list.confirmed_at()?).max(0);
            Some(by(code, Number::Real(age_micros as f64 / 1e6)))
        });
        let ages = ages.collect();
        drop(lists);
        let oldest = cells.unacknowledged_since.read();
        let oldest = oldest
            .iter()
            .map(|(subscription, since)| {
                let age_micros = since.map_or(0, |since| now.saturating_sub(since).max(0));
                by(subscription, Number::Real(age_micros as f64 / 1e6))
            })
            .collect();

        let undelivered = cells.undelivered_since.read();
        let undelivered = undelivered
            .iter()
            .map(|(delivery, since)| {
                let age_micros = since.map_or(0, |since| now.saturating_sub(since).max(0));
                by(delivery, Number::Real(age_micros as f64 / 1e6))
            })
            .collect();

        let anchors = cells.anchors_behind_since.read();
        let anchors = anchors
            .iter()
            .map(|(anchor, since)| {
                let behind_micros = since.map_or(0, |since| now.saturating_sub(since).max(0));
                by(anchor, Number::Real(behind_micros as f64 / 1e6))
            })
            .collect();

        let role = self.lists_role();
        let roles = ListsRole::ALL
            .iter()
            .filter(|_| role.is_some())
            .map(|one| by(one.label(), Number::Whole(i64::from(role == Some(*one)))))
            .collect();
        let behind = self.lists_behind().map(|behind| Sample {
            labels: Vec::new(),
            number: Number::Real(behind.as_secs_f64()),
        });
        let behind = behind.into_iter().collect();

        let book = cells
            .book
            .read()
            .iter()
            .map(|version| by(version, Number::Whole(1)))
            .collect();
        let rows = vec![
            by("active", Number::Whole(cells.rows_active.get())),
            by("inactive", Number::Whole(cells.rows_inactive.get())),
        ];
        let build = vec![Sample {
            labels: vec![
                cells.build.version.to_owned(),
                cells.build.commit.to_owned(),
            ],
            number: Number::Whole(1),
        }];
        let journal = &cells.journal;
        let of = |metric: Metric, samples: Vec<Sample>| Family { metric, samples };
        let one = |metric: Metric, number: Number| {
            of(
                metric,
                vec![Sample {
                    labels: Vec::new(),
                    number,
                }],
            )
        };
        let mut families = vec![
            of(metric::CHECKS_RECEIVED, received),
            of(metric::VERDICTS, verdicts),
            one(metric::CHECKS_REPEATED, repeated),
            of(metric::CHECKS_REFUSED, refused),
            one(metric::CHECKS_IN_FLIGHT, in_flight),
            of(metric::CHECK_DURATION, durations),
            of(metric::REVIEWS, reviews),
            one(
                metric::REVIEWS_REPEATED,
                Number::Count(cells.reviews_repeated.get()),
            ),
        ];
        families.extend(self.case_families());
        families.extend([
            of(metric::STREAM_EVENTS, stream_events),
            of(metric::STREAM_TRANSACTIONS, stream_transactions),
            one(
                metric::JOURNAL_RECORDS,
                Number::Count(journal.records.get()),
            ),
            one(metric::JOURNAL_BYTES, Number::Count(journal.bytes.get())),
            one(metric::JOURNAL_FSYNCS, Number::Count(journal.fsyncs.get())),
            one(
                metric::JOURNAL_QUEUE_RECORDS,
                Number::Whole(journal.queue_records.get()),
            ),
            one(
                metric::INDEX_LAG_RECORDS,
                Number::Whole(cells.index_lag.get()),
            ),
            of(metric::LIST_ENTRIES, entries),
            of(metric::LIST_AGE, ages),
            one(
                metric::LIST_VERSION_SEQ,
                Number::Whole(cells.list_version_seq.get()),
            ),
            of(metric::LIST_FOLLOW_LAG, behind),
            one(
                metric::LIST_CHANGE_TO_EFFECT,
                Number::Durations(Box::new(cells.change_to_effect.get())),
            ),
            of(metric::LISTS_ROLE, roles),
            one(
                metric::LIST_CHANGES_ACCEPTED,
                Number::Count(cells.changes_accepted.get()),
            ),
            of(metric::LIST_CHANGES_REFUSED, changes_refused),
            of(metric::WEBHOOK_DELIVERIES, deliveries),
            of(metric::WEBHOOK_OLDEST, oldest),
            of(metric::DELIVERY_REQUESTS, posts),
            one(
                metric::DELIVERY_PUT_ASIDE,
                Number::Count(cells.put_aside.get()),
            ),
            of(metric::DELIVERY_OLDEST, undelivered),
            of(metric::ANCHOR_BEHIND, anchors),
            of(metric::BOOK_INFO, book),
            of(metric::BOOK_ROWS, rows),
            one(
                metric::BOOK_REFUSED,
                Number::Count(cells.book_refused.get()),
            ),
            of(metric::SHADOW_COMPARED, compared),
            of(metric::SHADOW_NOT_COMPARED, not_compared),
            of(metric::SHADOW_TRANSITIONS, transitions),
            of(metric::SHADOW_ROWS, shadow_rows),
            of(metric::EXPORT_FAILURES, exports),
            one(
                metric::CLOCK_JUMPS_BACK,
                Number::Count(cells.clock.jumps_back()),
            ),
            one(
                metric::UPTIME,
                Number::Real(cells.started.elapsed().as_secs_f64()),
            ),
            of(metric::RESIDENT_MEMORY, resident_memory()),
            of(metric::BUILD_INFO, build),
        ]);
        families
    }
}

/// Absent where the system does not tell.
fn resident_memory() -> Vec<Sample> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return Vec::new();
    };
    let kib = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<i64>()
            .ok()
    });
    kib.map(|kib| Sample {
        labels: Vec::new(),
        number: Number::Whole(kib * 1024),
    })
    .into_iter()
    .collect()
}
