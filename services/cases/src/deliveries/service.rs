//! Service `Deliveries` over gRPC: who may, what is asked, what is known.

use std::sync::Arc;

use creditgate_measures::time::Time;
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::v1::deliveries_server::Deliveries as Service;
use creditgate_proto::{Refused, status, v1};
use creditgate_runtime::callers::{Permission, permitted, permitted_by};
use tonic::{Request, Response, Status};

use super::known::{self, Known, Letter};
use super::{Inner, change};
use crate::error::ActError;
use crate::pages;
use crate::service::{form, invalid, told, unreadable};

/// Who may end, stop and resume deliveries, and send again; what is sent to whom, `cases` alone says.
const CHANGE: [Permission; 2] = [Permission::Cases, Permission::Operate];
/// Who may see them.
const SEE: [Permission; 2] = [Permission::Read, Permission::Operate];

/// Longest name and reason, in characters.
const TEXT_MAX: usize = 256;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct DeliveriesService {
    inner: Arc<Inner>,
}

impl DeliveriesService {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// What was recorded a moment ago is known here, and this process keeps the cases.
    async fn ready(&self) -> Result<(), Status> {
        self.inner.cases.sync().await.map_err(told)?;
        match self.inner.cases.shared().is_leading() {
            true => Ok(()),
            false => Err(told(ActError::StandsBy)),
        }
    }

    /// A delivery that is recorded.
    async fn known(&self, name: &str) -> Result<Known, Status> {
        let name = name.to_owned();
        let found = self
            .inner
            .ask(move |lookup| known::named(lookup, &name))
            .await;
        let found = found.map_err(unreadable)?;
        found.ok_or_else(|| Status::not_found("no delivery has this name"))
    }

    /// The delivery after what was asked for.
    async fn answer(&self, name: &str) -> Result<Response<v1::DeliveryResponse>, Status> {
        let known = self.known(name).await?;
        Ok(Response::new(v1::DeliveryResponse {
            delivery: Some(shown(&self.inner, &known)),
        }))
    }
}

#[tonic::async_trait]
impl Service for DeliveriesService {
    async fn put(
        &self,
        request: Request<v1::PutDeliveryRequest>,
    ) -> Result<Response<v1::DeliveryResponse>, Status> {
        let caller = permitted(&request, Permission::Cases)?;
        if caller.sight().is_some_and(|sight| sight.lists.is_some()) {
            return Err(status::failed_precondition_status(
                "lists",
                "verdicts are delivered whole, and this caller does not see every list: have it put by one who does",
            ));
        }
        let asked = request.into_inner();
        let name = asked.name.clone();
        let (inner, looked_at) = (Arc::clone(&self.inner), asked.clone());
        // The secret is read from its file.
        let violations =
            tokio::task::spawn_blocking(move || change::violations(&inner, &looked_at));
        let violations = violations
            .await
            .map_err(|_| Status::internal("the work ended without an answer"))?;
        Refused::unless_empty(violations).map_err(|refused| status::refused_status(&refused))?;
        let put = change::put(&self.inner, asked, &caller).await;
        put.map_err(told)?;
        self.answer(&name).await
    }

    async fn end(
        &self,
        request: Request<v1::EndDeliveryRequest>,
    ) -> Result<Response<v1::DeliveryResponse>, Status> {
        let caller = permitted_by(&request, &CHANGE)?;
        let v1::EndDeliveryRequest { name, reason } = request.into_inner();
        form(&[("reason", &reason, true, TEXT_MAX)])?;
        self.ready().await?;
        self.known(&name).await?;
        let ended = change::end(&self.inner, name.clone(), reason, &caller).await;
        ended.map_err(told)?;
        self.answer(&name).await
    }

    async fn list(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        permitted_by(&request, &SEE)?;
        let ended = request.get_ref().ended;
        self.ready().await?;
        let found = self
            .inner
            .ask(|lookup| Ok((known::all(lookup)?, known::head(lookup)?)))
            .await;
        let (all, head) = found.map_err(unreadable)?;
        let wanted = all.iter().filter(|known| ended || !known.has_ended());
        Ok(Response::new(v1::ListDeliveriesResponse {
            deliveries: wanted.map(|known| shown(&self.inner, known)).collect(),
            head,
        }))
    }

    async fn pause(
        &self,
        request: Request<v1::PauseDeliveryRequest>,
    ) -> Result<Response<v1::DeliveryResponse>, Status> {
        let caller = permitted_by(&request, &CHANGE)?;
        let v1::PauseDeliveryRequest { name, reason } = request.into_inner();
        form(&[("reason", &reason, true, TEXT_MAX)])?;
        self.ready().await?;
        self.known(&name).await?;
        let paused = change::pause(&self.inner, name.clone(), reason, &caller).await;
        paused.map_err(told)?;
        self.answer(&name).await
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeDeliveryRequest>,
    ) -> Result<Response<v1::DeliveryResponse>, Status> {
        let caller = permitted_by(&request, &CHANGE)?;
        let asked = request.into_inner();
        form(&[("reason", &asked.reason, false, TEXT_MAX)])?;
        let since = asked
            .since
            .as_ref()
            .map(|since| time_from_proto(since).ok_or_else(|| invalid("since", "is no time")));
        let since = since.transpose()?;
        if since.is_some() && asked.from_position.is_some() {
            return Err(invalid("since", "stands beside `from_position`: give one"));
        }
        self.ready().await?;
        let name = asked.name.clone();
        self.known(&name).await?;
        let resumed = change::resume(&self.inner, asked, since, &caller).await;
        resumed.map_err(told)?;
        self.answer(&name).await
    }

    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        permitted_by(&request, &SEE)?;
        let asked = request.into_inner();
        let size = pages::size(asked.page_size)?;
        self.ready().await?;
        self.known(&asked.name).await?;
        let found = self
            .inner
            .ask(move |lookup| known::letters(lookup, &asked.name, asked.after, size + 1))
            .await;
        let (mut letters, more) = whole_positions(found.map_err(unreadable)?, size);
        Ok(Response::new(v1::ListDeadLettersResponse {
            letters: letters.drain(..).map(letter).collect(),
            more,
        }))
    }

    async fn resend(
        &self,
        request: Request<v1::ResendRequest>,
    ) -> Result<Response<v1::ResendResponse>, Status> {
        let caller = permitted_by(&request, &CHANGE)?;
        let asked = request.into_inner();
        self.ready().await?;
        let known = self.known(&asked.name).await?;
        let letters = match asked.positions.is_empty() {
            true => known.letters,
            false => asked.positions.len() as u64,
        };
        let resent = change::resend(&self.inner, asked, &caller).await;
        resent.map_err(told)?;
        Ok(Response::new(v1::ResendResponse { letters }))
    }
}

/// A page that does not end between two letters of one position, and whether there are more: the next page
/// begins behind a position. One that holds a single position is not cut.
fn whole_positions(mut letters: Vec<Letter>, size: usize) -> (Vec<Letter>, bool) {
    if letters.len() <= size {
        return (letters, false);
    }
    let beyond = letters.pop().map_or(0, |letter| letter.position);
    let first = letters.first().map_or(0, |letter| letter.position);
    if first != beyond {
        letters.retain(|letter| letter.position != beyond);
    }
    (letters, true)
}

fn letter(letter: Letter) -> v1::DeadLetter {
    v1::DeadLetter {
        position: letter.position,
        kind: letter.kind.map_or("", |kind| kind.one()).to_owned(),
        id: letter.id,
        case_id: letter.case_id,
        reason: letter.reason,
        attempts: letter.attempts,
        at: Some(time_to_proto(Time::from_micros(letter.at))),
        resending: letter.resending,
    }
}

fn shown(inner: &Inner, known: &Known) -> v1::Delivery {
    let head = *inner.cases.shared().outbox.borrow();
    let progress = inner.progresses.get(&known.put.name, known.since);
    let progress = progress.filter(|_| known.is_active()).unwrap_or_default();
    let put = known.put.clone();
    let state = match known.is_active() && progress.failures > 0 {
        true => "retrying",
        false => known.state.as_str(),
    };
    let position = known.position.max(progress.clear_up_to);
    let now = inner.cases.clock().now_micros();
    let age = |oldest: i64| u64::try_from((now - oldest) / 1_000).unwrap_or_default();
    v1::Delivery {
        name: put.name,
        department: put.department,
        url: put.url,
        of: put.of,
        scenarios: put.scenarios,
        regions: put.regions,
        sources: put.sources,
        implementers: put.implementers,
        findings_only: put.findings_only,
        notices: put.notices,
        secret_id: put.secret_id,
        caller: known.caller.clone(),
        state: state.to_owned(),
        reason: known.reason.clone(),
        position,
        behind: head.saturating_sub(position),
        behind_ms: progress.oldest.map(age),
        delivered: progress.delivered,
        dead_letters: known.letters,
        last_error: progress.last_error,
        failures: progress.failures,
        next_attempt_at: progress
            .next_attempt_at
            .map(|at| time_to_proto(Time::from_micros(at))),
        since: Some(time_to_proto(Time::from_micros(known.since_at))),
    }
}
