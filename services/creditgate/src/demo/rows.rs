//! What was published to Kafka, event by event: where it stands, what came back, whether that was due.

use std::fmt;

use creditgate_proto::v1;
use creditgate_runtime::kafka::{Incoming, Topic};

use crate::failure::Failure;

/// Characters of a dead letter's reason that are shown.
const REASON_SHOWN: usize = 90;

/// An event that was published, and what became of it.
pub struct Row {
    /// Its step in the script, if it has one.
    pub step: Option<usize>,
    /// The event's id.
    pub id: String,
    /// Its case, which chooses the partition.
    pub key: String,
    place: Option<Place>,
    answer: Option<Answer>,
    expected: Option<Expected>,
}

/// Where a record stands.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    topic: Topic,
    partition: i32,
    offset: i64,
}

/// What came back for an event.
enum Answer {
    Verdict {
        place: Place,
        outcome: String,
        digest: String,
    },
    Letter {
        place: Place,
        code: String,
        reason: String,
    },
}

/// What should come back, told by the answer over gRPC.
pub enum Expected {
    /// The same verdict, to the digest.
    Verdict {
        /// Its outcome.
        outcome: String,
        /// Its digest.
        digest: String,
    },
    /// A dead letter with this code.
    Letter(&'static str),
    /// Nothing: the event was judged before, and its first verdict stands.
    Nothing,
}

impl Expected {
    /// What an answer over gRPC lets expect.
    pub fn of(answer: &Result<v1::CheckResponse, tonic::Status>) -> Self {
        match answer {
            Ok(answer) if answer.repeated => Self::Nothing,
            Ok(answer) => {
                let verdict = answer.verdict.clone().unwrap_or_default();
                Self::Verdict {
                    outcome: verdict.outcome,
                    digest: verdict.verdict_digest,
                }
            }
            Err(status) if status.code() == tonic::Code::AlreadyExists => Self::Letter("conflict"),
            Err(_) => Self::Letter("refused"),
        }
    }
}

/// Puts a record that was read where it belongs; false when it belongs nowhere.
pub fn take(rows: &mut [Row], topic: Topic, record: &Incoming) -> Result<bool, Failure> {
    let place = Place {
        topic,
        partition: record.partition,
        offset: record.offset,
    };
    let header = |name| {
        let value = record.header(name).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    };
    let row = match topic {
        Topic::Events => {
            let id = header("ce_id");
            let row = |row: &&mut Row| row.id == id && row.place.is_none();
            rows.iter_mut().find(row).map(|row| row.place = Some(place))
        }
        Topic::Verdicts => {
            let payload = record.payload.as_deref().unwrap_or_default();
            let verdict: v1::Verdict = serde_json::from_slice(payload)
                .map_err(|error| Failure::new("read a verdict", error))?;
            let row = |row: &&mut Row| row.id == verdict.event_id && row.answer.is_none();
            rows.iter_mut().find(row).map(|row| {
                row.answer = Some(Answer::Verdict {
                    place,
                    outcome: verdict.outcome,
                    digest: verdict.verdict_digest,
                });
            })
        }
        Topic::DeadLetters => {
            let id = header("ce_id");
            // An event whose id came before has its verdict under that id; the letter is the later one's.
            let row = |row: &&mut Row| row.id == id && row.answer.is_none();
            rows.iter_mut().rfind(row).map(|row| {
                row.answer = Some(Answer::Letter {
                    place,
                    code: header("creditgate-code"),
                    reason: header("creditgate-reason"),
                });
            })
        }
        Topic::ListChanges
        | Topic::CaseState
        | Topic::CaseLog
        | Topic::LiftOrders
        | Topic::Feedback
        | Topic::Chain => None,
    };
    Ok(row.is_some())
}

/// Whether the same came back for an event as over gRPC.
pub fn is_as_expected(rows: &[Row], row: &Row) -> bool {
    match (&row.expected, &row.answer) {
        (
            Some(Expected::Verdict { outcome, digest }),
            Some(Answer::Verdict {
                outcome: seen,
                digest: seen_digest,
                ..
            }),
        ) => outcome == seen && digest == seen_digest,
        (Some(Expected::Letter(code)), Some(Answer::Letter { code: seen, .. })) => code == seen,
        (Some(Expected::Nothing), None) => is_passed(rows, row),
        (None, _) => true,
        _ => false,
    }
}

/// Whether an event behind this one, in its partition, has its answer.
fn is_passed(rows: &[Row], row: &Row) -> bool {
    let Some(place) = row.place else {
        return false;
    };
    rows.iter().any(|later| {
        later.answer.is_some()
            && later
                .place
                .is_some_and(|at| at.partition == place.partition && at.offset > place.offset)
    })
}

impl Row {
    /// An event that is about to be published.
    pub fn new(step: Option<usize>, id: &str, case_id: &str, expected: Option<Expected>) -> Self {
        Self {
            step,
            id: id.to_owned(),
            key: case_id.to_owned(),
            place: None,
            answer: None,
            expected,
        }
    }

    /// Whether nothing should come back for it.
    pub fn is_silent(&self) -> bool {
        matches!(self.expected, Some(Expected::Nothing))
    }

    /// Whether it was read back, and something came back for it.
    pub fn is_answered(&self) -> bool {
        self.place.is_some() && self.answer.is_some()
    }

    /// Whether something that should come is not there yet.
    pub fn is_awaited(&self) -> bool {
        self.place.is_none() || (self.answer.is_none() && !self.is_silent())
    }
}

/// A width, where one is given, is that of the event's id.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.map(|place| place.to_string());
        let place = place.as_deref().unwrap_or("events");
        let id = f.width().unwrap_or(13);
        write!(f, "{:<id$} {place:<11} → ", self.id)?;
        match &self.answer {
            Some(Answer::Verdict { place, outcome, .. }) => {
                write!(f, "{:<17} {outcome}", place.to_string())
            }
            Some(Answer::Letter {
                place,
                code,
                reason,
            }) => {
                // A long one stands in full above, in the answer over gRPC.
                let told: String = reason.chars().take(REASON_SHOWN).collect();
                let more = if told.len() < reason.len() { "…" } else { "" };
                write!(f, "{:<17} {code}: {told}{more}", place.to_string())
            }
            None => write!(f, "nothing: judged before, the first verdict stands"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            partition,
            offset,
        } = self;
        write!(f, "{}/{partition}@{offset}", topic.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, expected: Option<Expected>) -> Row {
        Row::new(None, id, "case", expected)
    }

    fn pass() -> Option<Expected> {
        Some(Expected::Verdict {
            outcome: "PASS".to_owned(),
            digest: "d".to_owned(),
        })
    }

    fn record(offset: i64, headers: &[(&str, &str)], payload: &str) -> Incoming {
        let header =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
        Incoming {
            partition: 0,
            offset,
            timestamp_ms: None,
            key: None,
            headers: headers.iter().map(header).collect(),
            payload: Some(payload.as_bytes().to_vec()),
        }
    }

    /// Events `a`, `a` again with the given expectation, and `b`, at offsets 0, 1 and 2.
    fn published(second: Option<Expected>) -> Vec<Row> {
        let mut rows = vec![
            row("a", pass()),
            row("a", second),
            row("b", Some(Expected::Letter("undecodable"))),
        ];
        for (offset, id) in (0..).zip(["a", "a", "b"]) {
            let read = record(offset, &[("ce_id", id)], "");
            assert!(take(&mut rows, Topic::Events, &read).expect("an event"));
        }
        rows
    }

    fn verdict(rows: &mut [Row], outcome: &str) -> bool {
        let json = format!(r#"{{"event_id":"a","outcome":"{outcome}","verdict_digest":"d"}}"#);
        take(rows, Topic::Verdicts, &record(0, &[], &json)).expect("a verdict")
    }

    fn letter(rows: &mut [Row], id: &str, code: &str) -> bool {
        let headers = [("ce_id", id), ("creditgate-code", code)];
        take(rows, Topic::DeadLetters, &record(0, &headers, "")).expect("a letter")
    }

    fn compared(rows: &[Row]) -> Vec<bool> {
        rows.iter().map(|row| is_as_expected(rows, row)).collect()
    }

    #[test]
    fn an_event_judged_before_is_passed_over_once_something_behind_it_came_back() {
        let mut rows = published(Some(Expected::Nothing));
        assert!(verdict(&mut rows, "PASS"));
        assert_eq!(compared(&rows), [true, false, false]);
        assert!(letter(&mut rows, "b", "undecodable"));
        assert_eq!(compared(&rows), [true, true, true]);
    }

    #[test]
    fn a_second_verdict_another_outcome_and_another_code_are_noticed() {
        let mut rows = published(Some(Expected::Nothing));
        assert!(verdict(&mut rows, "PROHIBIT"));
        assert!(verdict(&mut rows, "PASS"));
        assert!(letter(&mut rows, "b", "refused"));
        assert_eq!(compared(&rows), [false, false, false]);
        assert!(!verdict(&mut rows, "PASS"), "nobody asked for a third");
    }

    #[test]
    fn the_letter_of_an_id_that_came_before_belongs_to_the_later_event() {
        let mut rows = published(Some(Expected::Letter("conflict")));
        assert!(letter(&mut rows, "a", "conflict"));
        assert!(verdict(&mut rows, "PASS"));
        assert!(letter(&mut rows, "b", "undecodable"));
        assert_eq!(compared(&rows), [true, true, true]);
    }
}
