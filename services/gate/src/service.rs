//! The gate as the gRPC service `Gate`, and as the port by which HTTP asks it.

use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_measures::canonical;
use creditgate_measures::event::{EventId, Source};
use creditgate_measures::verdict::{Cause, VerdictId};
use creditgate_measures::vocabulary::Outcome;
use creditgate_proto::v1::gate_server::{self, GateServer};
use creditgate_proto::{BATCH_EVENTS_MAX, Refused, status, v1, verdict_id_from_text};
use creditgate_runtime::callers::{Caller, Permission};
use creditgate_runtime::errors::Chain;
use creditgate_runtime::metrics::{Refusal, Transport};
use creditgate_runtime::ports::{self, HistoryError};
use creditgate_runtime::telemetry::names::{field, span};
use creditgate_runtime::telemetry::{adopt, extract_from};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, Streaming};
use tracing::{Instrument, Span};

use crate::batch::Item;
use crate::check::{Arrival, LateLists, settle, unreadable};
use crate::failure::Failure;
use crate::gate::Gate;
use crate::records::Recorded;
use crate::replay;
use crate::stream::{Responses, receipt_to_proto, result_to_proto};
use crate::watch::Verdicts;

/// What is left of a deadline for everything but waiting for lists.
const ANSWER_TIME: Duration = Duration::from_millis(20);

impl Gate {
    /// The gRPC service. Callers are taken from the request's extensions, where the server's own
    /// interceptor puts them; a request without a caller is refused.
    #[must_use]
    pub fn service(&self) -> GateServer<Gate> {
        GateServer::new(self.clone())
    }

    /// One check of a caller, whatever way it came.
    async fn check_one(
        &self,
        event: Option<v1::Event>,
        caller: Option<Caller>,
        transport: Transport,
        deadline: Option<Duration>,
        parent: Option<&MetadataMap>,
    ) -> Result<v1::CheckResponse, Status> {
        let pending = self.inner.metrics.received(transport);
        let caller = match permitted(caller.as_ref(), Permission::Check) {
            Ok(caller) => caller,
            Err(failure) => {
                pending.refused(failure.refusal());
                return Err(failure.status());
            }
        };
        let Some(event) = event else {
            pending.refused(Refusal::Invalid);
            return Err(status::refused_status(&Refused::one("event", "required")));
        };
        let cap = self.inner.limits.min_list_version_wait;
        let wait = deadline.map_or(cap, |deadline| {
            cap.min(deadline.saturating_sub(ANSWER_TIME))
        });
        let arrival = Arrival {
            event,
            caller: caller.clone(),
            transport,
            lists_until: pending.started() + wait,
            late_lists: LateLists::Refuse,
        };
        let span = check_span(caller, transport);
        let result = if span.is_disabled() {
            self.inner.check(arrival).await
        } else {
            adopt(&span, parent.and_then(|map| extract_from(map.as_ref())));
            let result = self.inner.check(arrival).instrument(span.clone()).await;
            tell(&span, &result);
            result
        };
        settle(pending, &result);
        match result {
            Ok(answer) => Ok(v1::CheckResponse {
                repeated: answer.repeated(),
                receipt: receipt_to_proto(answer.receipt),
                verdict: Some(answer.told()),
            }),
            Err(failure) => Err(failure.status()),
        }
    }

    /// The record of a verdict. One that is not the caller's to read is as if it were not there.
    async fn record(&self, verdict: VerdictId, reader: &Caller) -> Result<Recorded, Status> {
        let found = self.inner.records.find(verdict).await;
        let found = found.map_err(|error| unreadable(error).status())?;
        let readable = found.filter(|recorded| reader.reads(recorded.record.event.as_ref()));
        readable
            .ok_or_else(|| status::not_found_status("verdict_unknown", "there is no such verdict"))
    }
}

#[tonic::async_trait]
impl gate_server::Gate for Gate {
    async fn check(
        &self,
        request: Request<v1::CheckRequest>,
    ) -> Result<Response<v1::CheckResponse>, Status> {
        let (metadata, mut extensions, v1::CheckRequest { event }) = request.into_parts();
        let wants_lists = |event: &v1::Event| !event.min_list_version.is_empty();
        let deadline = event
            .as_ref()
            .filter(|event| wants_lists(event))
            .and_then(|_| deadline(&metadata));
        let caller = extensions.remove::<Caller>();
        self.check_one(
            event,
            caller,
            Transport::GrpcCheck,
            deadline,
            Some(&metadata),
        )
        .await
        .map(Response::new)
    }

    async fn check_batch(
        &self,
        request: Request<v1::CheckBatchRequest>,
    ) -> Result<Response<v1::CheckBatchResponse>, Status> {
        let transport = Transport::GrpcBatch;
        let metrics = &self.inner.metrics;
        let (metadata, extensions, v1::CheckBatchRequest { events }) = request.into_parts();
        let caller = match permitted(extensions.get(), Permission::Check) {
            Ok(caller) => caller,
            Err(failure) => {
                metrics.received(transport).refused(failure.refusal());
                return Err(failure.status());
            }
        };
        if events.len() > BATCH_EVENTS_MAX {
            metrics.received(transport).refused(Refusal::TooLarge);
            let rule = format!("at most {BATCH_EVENTS_MAX}, got {}", events.len());
            return Err(status::refused_status(&Refused::one("events", rule)));
        }
        let count = events.len();
        let cap = self.inner.limits.min_list_version_wait;
        let wait = deadline(&metadata).map_or(cap, |deadline| {
            cap.min(deadline.saturating_sub(ANSWER_TIME))
        });
        let lists_until = Instant::now() + wait;
        let arrive = |event| {
            let arrival = Arrival {
                event,
                caller: caller.clone(),
                transport,
                lists_until,
                late_lists: LateLists::Refuse,
            };
            Item::Arrived(Box::new(arrival), metrics.received(transport))
        };
        let items: Vec<Item> = events.into_iter().map(arrive).collect();
        let span = tracing::info_span!(
            span::BATCH,
            { field::CALLER } = caller.name(),
            { field::TRANSPORT } = transport.label(),
            { field::COUNT } = count
        );
        adopt(&span, extract_from(metadata.as_ref()));
        let room = self.inner.admit_group(count).await;
        let group = Arc::clone(&self.inner).check_group(items, room);
        let results = tokio::spawn(group.instrument(span))
            .await
            .map_err(|_| Failure::Internal.status())?;
        Ok(Response::new(v1::CheckBatchResponse {
            results: results.into_iter().map(result_to_proto).collect(),
        }))
    }

    type CheckStreamStream = Responses;

    async fn check_stream(
        &self,
        request: Request<Streaming<v1::CheckStreamRequest>>,
    ) -> Result<Response<Responses>, Status> {
        let (metadata, extensions, requests) = request.into_parts();
        let caller =
            permitted(extensions.get(), Permission::Check).map_err(|failure| failure.status())?;
        let span = check_span(caller, Transport::GrpcStream);
        adopt(&span, extract_from(metadata.as_ref()));
        self.inner
            .admission
            .open()
            .map_err(|failure| failure.status())?;
        let responses = self.answer_stream(requests, caller.clone(), span);
        Ok(Response::new(responses))
    }

    async fn get_verdict(
        &self,
        request: Request<v1::GetVerdictRequest>,
    ) -> Result<Response<v1::GetVerdictResponse>, Status> {
        use v1::get_verdict_request::Key;

        let (_, extensions, request) = request.into_parts();
        let reader = permits(&extensions, Permission::Read)?;
        let verdict = match request.key {
            Some(Key::VerdictId(text)) => verdict_id(&text)?,
            Some(Key::Event(key)) => canonical::verdict_id(
                &Source::new(key.source),
                &EventId::new(key.event_id),
                &Cause::Event,
            ),
            None => {
                let refused = Refused::one("key", "required: `verdict_id` or `event`");
                return Err(status::refused_status(&refused));
            }
        };
        let mut recorded = self.record(verdict, reader).await?;
        if let Some(verdict) = &mut recorded.record.verdict {
            let told = self.inner.tell_successor(verdict).await;
            told.map_err(|failure| failure.status())?;
            reader.show(verdict, recorded.record.event.as_ref());
        }
        Ok(Response::new(v1::GetVerdictResponse {
            receipt: receipt_to_proto(self.inner.shown(recorded.receipt())),
            verdict: recorded.record.verdict,
        }))
    }

    async fn replay(
        &self,
        request: Request<v1::ReplayRequest>,
    ) -> Result<Response<v1::ReplayResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let reader = permits(&extensions, Permission::Read)?;
        let verdict = verdict_id(&request.verdict_id)?;
        let span = tracing::info_span!(span::REPLAY, { field::VERDICT_ID } = %verdict);
        adopt(&span, extract_from(metadata.as_ref()));
        let record = self
            .record(verdict, reader)
            .instrument(span.clone())
            .await?
            .record;
        let (reader, event) = (reader.clone(), record.event.clone());
        let history = Arc::clone(&self.inner.history);
        let work = move || span.in_scope(|| replay::replay(&record, &history));
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(mut response)) => {
                if let Some(verdict) = &mut response.verdict {
                    reader.show(verdict, event.as_ref());
                }
                Ok(Response::new(response))
            }
            Ok(Err(error)) => Err(replay_status(&error)),
            Err(_) => Err(Failure::Internal.status()),
        }
    }

    type WatchVerdictsStream = Verdicts;

    async fn watch_verdicts(
        &self,
        request: Request<v1::WatchVerdictsRequest>,
    ) -> Result<Response<Verdicts>, Status> {
        let (_, extensions, request) = request.into_parts();
        let reader = permits(&extensions, Permission::Watch)?.clone();
        let known = |outcome: &String| Outcome::parse(outcome).is_some();
        if let Some(at) = request.outcomes.iter().position(|outcome| !known(outcome)) {
            let known: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.code()).collect();
            let rule = format!("unknown outcome; known: {}", known.join(", "));
            let refused = Refused::one(format!("outcomes[{at}]"), rule);
            return Err(status::refused_status(&refused));
        }
        Ok(Response::new(self.watch(request, reader)))
    }
}

impl ports::Check for Gate {
    fn check(
        &self,
        event: v1::Event,
        caller: Caller,
        transport: Transport,
    ) -> ports::Answer<'_, Result<v1::CheckResponse, Status>> {
        if self.inner.admission.in_time() {
            return Box::pin(self.check_one(Some(event), Some(caller), transport, None, None));
        }
        let pending = self.inner.metrics.received(transport);
        pending.refused(Refusal::Overloaded);
        Box::pin(ready(Err(Failure::Overloaded.status())))
    }
}

/// The caller, if it may do this.
pub(crate) fn permitted(
    caller: Option<&Caller>,
    permission: Permission,
) -> Result<&Caller, Failure> {
    let caller = caller.ok_or(Failure::Unauthenticated)?;
    caller.permit(permission)?;
    Ok(caller)
}

/// As [`permitted`], for a call that is refused by its status.
fn permits(extensions: &Extensions, permission: Permission) -> Result<&Caller, Status> {
    permitted(extensions.get(), permission).map_err(|failure| failure.status())
}

fn verdict_id(text: &str) -> Result<VerdictId, Status> {
    verdict_id_from_text(text).ok_or_else(|| {
        status::refused_status(&Refused::one("verdict_id", "expected the id of a verdict"))
    })
}

fn replay_status(error: &replay::Error) -> Status {
    tracing::warn!({ field::ERROR } = %Chain(error), "a verdict could not be decided again");
    match error {
        replay::Error::History(HistoryError::Unknown(_)) => status::failed_precondition_status(
            "history_unknown",
            "the lists or the book of this verdict are not in the change log",
        ),
        replay::Error::History(HistoryError::Log(_) | HistoryError::Cancelled)
        | replay::Error::Record(_) => Failure::Unreadable.status(),
    }
}

/// The span of a check; disabled, and then free, when nobody looks at spans.
fn check_span(caller: &Caller, transport: Transport) -> Span {
    tracing::debug_span!(
        span::CHECK,
        { field::CALLER } = caller.name(),
        { field::TRANSPORT } = transport.label(),
        { field::SCENARIO } = tracing::field::Empty,
        { field::STAGE } = tracing::field::Empty,
        { field::OUTCOME } = tracing::field::Empty,
        { field::VERDICT_ID } = tracing::field::Empty,
        { field::REASON } = tracing::field::Empty,
    )
}

fn tell(span: &Span, result: &Result<crate::check::Answer, Failure>) {
    match result {
        Ok(answer) => {
            span.record(field::SCENARIO, answer.verdict.scenario.as_str());
            span.record(field::STAGE, answer.verdict.stage.as_str());
            span.record(field::OUTCOME, answer.verdict.outcome.as_str());
            span.record(field::VERDICT_ID, answer.verdict.verdict_id.as_str());
        }
        Err(failure) => {
            span.record(field::REASON, failure.refusal().label());
        }
    }
}

/// What `grpc-timeout` says; a malformed one is none.
fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_grpc_writes_it() {
        let check = |text: &'static str, expected: Option<Duration>| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(deadline(&metadata), expected, "{text}");
        };
        check("250m", Some(Duration::from_millis(250)));
        check("1S", Some(Duration::from_secs(1)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3_600)));
        check("100000000m", None);
        check("m", None);
        check("", None);
        check("5x", None);
        check("-5m", None);
    }
}
