//! One request: what is sent of one thing, signed, and what the answer means.

use std::time::Duration;

use bytes::Bytes;
use creditgate_proto::cloudevents::{STRUCTURED, lift_order_event, notice_event, verdict_event};
use creditgate_proto::journal::v1::{DeliveryPut, VerdictRecord};
use creditgate_proto::v1;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::Position;
use creditgate_runtime::metrics::PostEnd;
use creditgate_runtime::telemetry::names::field;
use creditgate_runtime::webhook::{Answer, SendError, Target, signature};
use prost::Message as _;

use super::Inner;
use super::item::{Item, Kind};
use crate::error::Error;

/// An attempt.
pub(super) struct Posted {
    /// The id of what was sent; empty where it could not be read.
    pub id: String,
    pub outcome: Outcome,
}

/// What became of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken.
    Taken,
    /// It may work later.
    Later {
        why: String,
        /// The pause that the target asks for.
        pause: Option<Duration>,
        end: PostEnd,
    },
    /// It will not work as it is.
    Refused { why: String },
    /// The target is gone for good.
    Gone,
}

/// Something as it is sent.
struct Letter {
    /// By this a target knows again what it had already.
    id: String,
    body: Vec<u8>,
}

/// Why something cannot be written.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    /// Its record cannot be read.
    #[error(transparent)]
    Unread(#[from] Error),
    /// It holds what JSON cannot.
    #[error("it cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The record has no verdict.
    #[error("its record holds no verdict")]
    Empty,
}

/// Sends one thing.
pub(super) async fn post(inner: &Inner, put: &DeliveryPut, item: &Item) -> Posted {
    let letter = match read(inner, item).await {
        Ok(letter) => letter,
        Err(error) => {
            tracing::error!({ field::ERROR } = %Chain(&error), { field::POSITION } = item.position, "something that is to be delivered cannot be read");
            return Posted {
                id: String::new(),
                outcome: later("it cannot be read", PostEnd::NotSent),
            };
        }
    };
    let id = letter.id.clone();
    let outcome = send(inner, put, item, letter).await;
    Posted { id, outcome }
}

fn later(why: impl Into<String>, end: PostEnd) -> Outcome {
    Outcome::Later {
        why: why.into(),
        pause: None,
        end,
    }
}

async fn send(inner: &Inner, put: &DeliveryPut, item: &Item, letter: Letter) -> Outcome {
    let target = match Target::parse(&put.url) {
        Ok(target) => target,
        Err(why) => return later(why, PostEnd::NotSent),
    };
    let key = match inner.secrets.key(&put.secret_id) {
        Ok(key) => key,
        // Somebody may put it in its place.
        Err(error) => return later(error.to_string(), PostEnd::NotSent),
    };
    let seconds = inner.cases.clock().now_micros().div_euclid(1_000_000);
    let headers = vec![
        ("content-type", STRUCTURED.to_owned()),
        ("creditgate-delivery", put.name.clone()),
        ("creditgate-id", letter.id),
        ("creditgate-position", item.position.to_string()),
        (
            "creditgate-signature",
            signature(&key, seconds, &letter.body),
        ),
    ];
    match inner
        .sender
        .post(&target, headers, Bytes::from(letter.body))
        .await
    {
        Ok(answer) => answered(answer),
        // The operator may allow it, or mend the name.
        Err(error @ (SendError::NotAllowed(_) | SendError::PlainPublic)) => {
            later(error.to_string(), PostEnd::NotSent)
        }
        Err(error) => later(Chain(&error).to_string(), PostEnd::Unreachable),
    }
}

fn answered(answer: Answer) -> Outcome {
    let status = answer.status;
    let why = format!("the target answered {status}");
    match status {
        200..=299 => Outcome::Taken,
        410 => Outcome::Gone,
        // Too slow, too early, too many: these pass.
        408 | 425 | 429 | 500..=599 => Outcome::Later {
            why,
            pause: answer.retry_after,
            end: PostEnd::Failed,
        },
        300..=399 => Outcome::Refused {
            why: format!("{why}, and redirects are not followed"),
        },
        _ => Outcome::Refused { why },
    }
}

/// Reads what is sent of something, on a thread that may block.
async fn read(inner: &Inner, item: &Item) -> Result<Letter, Unwritten> {
    if item.kind != Kind::Verdict {
        return written(item, None);
    }
    let journal = inner.cases.reviews().verdicts().clone();
    let (place, item) = (Position(item.place), item.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let record = journal.read_at(place).map_err(Error::from)?;
        let record = VerdictRecord::decode(&*record.payload).map_err(Error::from)?;
        written(&item, record.verdict.as_ref())
    });
    reading.await.unwrap_or(Err(Unwritten::Empty))
}

fn written(item: &Item, verdict: Option<&v1::Verdict>) -> Result<Letter, Unwritten> {
    Ok(match item.kind {
        Kind::Verdict => {
            let verdict = verdict.ok_or(Unwritten::Empty)?;
            Letter {
                // Two answers of one slot differ by their digests.
                id: format!("{}.{}", verdict.verdict_id, verdict.verdict_digest),
                body: verdict_event(verdict)?,
            }
        }
        Kind::LiftOrder => {
            let order = v1::LiftOrder::decode(&*item.body).map_err(Error::from)?;
            Letter {
                id: format!("{}.{}", order.order_id, order.state),
                body: lift_order_event(&order)?,
            }
        }
        Kind::Notice => {
            let notice = v1::CaseNotice::decode(&*item.body).map_err(Error::from)?;
            Letter {
                id: notice.notice_id.clone(),
                body: notice_event(&notice)?,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_it_is_worth_trying_again() {
        let check = |status: u16, expected: &str| {
            let outcome = answered(Answer {
                status,
                acknowledged: None,
                retry_after: None,
            });
            let shown = match outcome {
                Outcome::Taken => "taken",
                Outcome::Later { .. } => "later",
                Outcome::Refused { .. } => "refused",
                Outcome::Gone => "gone",
            };
            assert_eq!(shown, expected, "{status}");
        };
        check(200, "taken");
        check(204, "taken");
        check(302, "refused");
        check(400, "refused");
        check(404, "refused");
        check(408, "later");
        check(410, "gone");
        check(425, "later");
        check(429, "later");
        check(500, "later");
        check(503, "later");
    }
}
