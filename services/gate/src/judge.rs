//! The gate as the port `Judge`: events from Kafka, whose records become durable in a transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_runtime::callers::{Caller, KAFKA};
use creditgate_runtime::journal::AppendError;
use creditgate_runtime::metrics::{Pending, Transport, VerdictCounter};
use creditgate_runtime::ports::{self, Answer, Asked, NotJudged};
use creditgate_runtime::telemetry::names::{field, span};
use creditgate_runtime::telemetry::{adopt, extract_parent, inject, passed_on};
use tracing::Instrument as _;

use crate::check::{self, Arrival, Decided, LateLists, settle};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::records::Draft;

/// Longest wait of one event for the lists it asks for; the partition waits with it.
const LISTS_WAIT: Duration = Duration::from_millis(500);

/// Lists that did not come are not waited for again until then: one after the other, events that
/// ask for lists of tomorrow would hold up all others.
const NO_WAIT_AFTER: Duration = Duration::from_secs(10);

/// A verdict that holds its slot until it is kept.
pub struct Held {
    draft: Draft,
    verdict: Box<v1::Verdict>,
    counter: Option<VerdictCounter>,
    pending: Pending,
    trace: Vec<(String, String)>,
}

/// An event that must wait.
pub struct Waiting {
    asked: Box<check::Asked>,
    pending: Pending,
    span: tracing::Span,
    trace: Vec<(String, String)>,
}

impl Held {
    fn new(decided: Decided, pending: Pending, trace: Vec<(String, String)>) -> Self {
        let Decided { draft, answer, .. } = decided;
        Self {
            draft,
            verdict: answer.verdict,
            counter: answer.counter,
            pending,
            trace,
        }
    }
}

impl ports::Held for Held {
    fn verdict(&self) -> &v1::Verdict {
        &self.verdict
    }

    fn record(&self) -> &[u8] {
        &self.draft.record.payload
    }

    fn trace(&self) -> &[(String, String)] {
        &self.trace
    }

    fn written(&mut self) {
        *self.verdict = v1::Verdict::default();
        self.trace = Vec::new();
    }
}

impl ports::Judge for Gate {
    type Held = Held;
    type Waiting = Waiting;

    fn asks_for_case(&self, event: &v1::Event) -> bool {
        let generation = self.inner.live.load();
        check::asks_for_case(&event.scenario, &event.stage, &generation.book)
    }

    fn judge_at_once(&self, asked: Asked) -> Result<ports::AtOnce<Held, Waiting>, NotJudged> {
        let Asked { event, trace } = asked;
        let pending = self.inner.metrics.received(Transport::Kafka);
        let (span, trace) = traced(trace);
        let late = *self.inner.lists_were_late.lock();
        let wait = match late {
            Some(late) if late.elapsed() < NO_WAIT_AFTER => Duration::ZERO,
            _ => LISTS_WAIT,
        };
        let arrival = Arrival {
            event,
            caller: Caller::kafka(),
            transport: Transport::Kafka,
            lists_until: Instant::now() + wait,
            late_lists: LateLists::Review,
        };
        match span.in_scope(|| self.inner.judge_at_once(arrival)) {
            Ok(check::AtOnce::Judged(decided)) => {
                let held = Held::new(*decided, pending, trace);
                Ok(ports::AtOnce::Judged(ports::Judged::Now(held)))
            }
            Ok(check::AtOnce::Waits(asked)) => Ok(ports::AtOnce::Waits(Waiting {
                asked,
                pending,
                span,
                trace,
            })),
            Err(failure) => Err(refused(pending, &failure)),
        }
    }

    fn judge_waiting(
        &self,
        waiting: Waiting,
    ) -> Answer<'_, Result<ports::Judged<Held>, NotJudged>> {
        let Waiting {
            asked,
            pending,
            span,
            trace,
        } = waiting;
        Box::pin(async move {
            match self.inner.judge_waiting(*asked).instrument(span).await {
                Ok(check::Judged::Now(decided)) => {
                    Ok(ports::Judged::Now(Held::new(*decided, pending, trace)))
                }
                Ok(check::Judged::Before(_)) => {
                    pending.repeated();
                    Ok(ports::Judged::Before)
                }
                Err(failure) => Err(refused(pending, &failure)),
            }
        })
    }

    fn keep(&self, held: Vec<Held>) -> Answer<'_, Result<(), AppendError>> {
        let mut drafts = Vec::with_capacity(held.len());
        let mut answers = Vec::with_capacity(held.len());
        for held in held {
            drafts.push(held.draft);
            answers.push((held.verdict, held.counter, held.pending));
        }
        let records = Arc::clone(&self.inner.records);
        Box::pin(async move {
            let kept = records.append_in_runs(drafts).await;
            // The verdicts are durable on their topic, whatever became of the copy.
            for (verdict, counter, pending) in answers {
                let answer = check::Answer {
                    verdict,
                    view: None,
                    counter,
                    receipt: None,
                };
                settle(pending, &Ok(answer));
            }
            kept.map(|_| ())
        })
    }

    fn has_read(&self, partition: i32, barrier: u64) -> bool {
        self.inner
            .case_state
            .as_ref()
            .is_some_and(|case_state| case_state.has_read(partition, barrier))
    }

    fn follows(&self) -> bool {
        let case_state = self.inner.case_state.as_ref();
        case_state.is_none_or(|case_state| case_state.follows())
    }

    fn is_saturated(&self) -> bool {
        self.inner.records.is_saturated()
    }
}

/// The span of an event, and the trace context to hand on with its verdict.
fn traced(given: Vec<(String, String)>) -> (tracing::Span, Vec<(String, String)>) {
    let span = tracing::debug_span!(
        span::CHECK,
        { field::CALLER } = KAFKA,
        { field::TRANSPORT } = Transport::Kafka.label()
    );
    let value = |name: &str| {
        let known = given.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.as_str())
    };
    let parent = extract_parent(value);
    if span.is_disabled() {
        // Malformed context is not handed on.
        return (span, parent.map(|_| given).unwrap_or_default());
    }
    adopt(&span, parent.clone());
    let mut trace = Vec::new();
    if let Some(context) = passed_on(&span, parent.as_ref()) {
        inject(&context, |name, value| trace.push((name.to_owned(), value)));
    }
    (span, trace)
}

/// What a failure means where nobody waits for an answer.
fn refused(pending: Pending, failure: &Failure) -> NotJudged {
    pending.refused(failure.refusal());
    let why = failure.to_string();
    match failure {
        Failure::Invalid(_)
        | Failure::NotPermitted(_)
        | Failure::NotRecorded(AppendError::PayloadTooLarge { .. }) => NotJudged::Refused(why),
        Failure::OtherContent => NotJudged::Conflict(why),
        Failure::Overloaded
        | Failure::ListsBehind(_)
        | Failure::ShuttingDown
        | Failure::TooMany(_)
        | Failure::Unauthenticated
        | Failure::NotRecorded(_)
        | Failure::NotPublished(_)
        | Failure::Unknown
        | Failure::Unreadable
        | Failure::Internal => NotJudged::Later(why),
    }
}
