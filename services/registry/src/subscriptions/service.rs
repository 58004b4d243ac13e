//! Service `Subscriptions` over gRPC: who may, what is asked, what is known.

use std::sync::Arc;

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1::subscriptions_server::Subscriptions;
use creditgate_proto::{Refused, v1};
use creditgate_runtime::callers::{Caller, Permission, permitted, permitted_by};
use tonic::{Request, Response, Status};

use super::{Inner, change};
use crate::desk::{Standing, Subscription};
use crate::error::ChangeError;

/// Who may end and resume subscriptions; what is sent to whom, `lists` alone says.
const CHANGE: [Permission; 2] = [Permission::Lists, Permission::Operate];
/// Who may see them.
const SEE: [Permission; 2] = [Permission::Read, Permission::Operate];

/// The service; cheap to clone.
#[derive(Clone)]
pub struct SubscriptionsService {
    inner: Arc<Inner>,
}

impl SubscriptionsService {
    pub(super) const fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    fn refused(&self, why: ChangeError) -> Status {
        self.inner.registry.count_refused(why.counted_as());
        why.into()
    }

    fn one(&self, name: &str) -> Option<v1::Subscription> {
        let desk = self.inner.registry.desk();
        desk.subscriptions
            .get(name)
            .map(|known| shown(&self.inner, known))
    }
}

/// What a caller does not see it does not have sent to anybody.
fn within_its_lists(caller: &Caller, lists: &[String]) -> Result<(), Refused> {
    let Some(seen) = caller.sight().and_then(|sight| sight.lists.as_ref()) else {
        return Ok(());
    };
    if !lists.is_empty() && lists.iter().all(|list| seen.contains(list.as_str())) {
        return Ok(());
    }
    let seen: Vec<&str> = seen.iter().map(AsRef::as_ref).collect();
    let rule = format!("name lists that this caller sees: {}", seen.join(", "));
    Err(Refused::one("lists", rule))
}

#[tonic::async_trait]
impl Subscriptions for SubscriptionsService {
    async fn put(
        &self,
        request: Request<v1::PutSubscriptionRequest>,
    ) -> Result<Response<v1::PutSubscriptionResponse>, Status> {
        let caller = permitted(&request, Permission::Lists)?;
        let asked = request.into_inner();
        within_its_lists(&caller, &asked.lists)
            .map_err(|refused| self.refused(ChangeError::Invalid(refused)))?;
        let name = asked.name.clone();
        let version = change::put(&self.inner, asked, &caller).await;
        let version = version.map_err(|why| self.refused(why))?;
        Ok(Response::new(v1::PutSubscriptionResponse {
            subscription: self.one(&name),
            list_version: version.to_string(),
        }))
    }

    async fn end(
        &self,
        request: Request<v1::EndSubscriptionRequest>,
    ) -> Result<Response<v1::EndSubscriptionResponse>, Status> {
        let caller = permitted_by(&request, &CHANGE)?;
        let asked = request.into_inner();
        let name = asked.name.clone();
        let version = change::end(&self.inner, asked, &caller).await;
        let version = version.map_err(|why| self.refused(why))?;
        Ok(Response::new(v1::EndSubscriptionResponse {
            subscription: self.one(&name),
            list_version: version.to_string(),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListSubscriptionsRequest>,
    ) -> Result<Response<v1::ListSubscriptionsResponse>, Status> {
        permitted_by(&request, &SEE)?;
        let ended = request.get_ref().ended;
        let desk = self.inner.registry.desk();
        let wanted = desk.subscriptions.all();
        let wanted = wanted.filter(|known| ended || !known.has_ended());
        let version = self.inner.registry.live().load().lists.version();
        Ok(Response::new(v1::ListSubscriptionsResponse {
            subscriptions: wanted.map(|known| shown(&self.inner, known)).collect(),
            list_version: version.to_string(),
        }))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeSubscriptionRequest>,
    ) -> Result<Response<v1::ResumeSubscriptionResponse>, Status> {
        let caller = permitted_by(&request, &CHANGE)?;
        let asked = request.into_inner();
        let name = asked.name.clone();
        let version = change::resume(&self.inner, asked, &caller).await;
        let version = version.map_err(|why| self.refused(why))?;
        Ok(Response::new(v1::ResumeSubscriptionResponse {
            subscription: self.one(&name),
            list_version: version.to_string(),
        }))
    }

    async fn acknowledge_changes(
        &self,
        request: Request<v1::AcknowledgeChangesRequest>,
    ) -> Result<Response<v1::AcknowledgeChangesResponse>, Status> {
        let caller = permitted(&request, Permission::Watch)?;
        let asked = request.into_inner();
        let desk = self.inner.registry.desk();
        let known = desk.subscriptions.get(&asked.subscription);
        let known = known.ok_or_else(|| self.refused(ChangeError::Unknown("subscription")))?;
        if caller.name() != known.caller && caller.name() != known.follower {
            return Err(Status::permission_denied(format!(
                "caller `{}` may not acknowledge for this subscription: only the caller who put it \
                 and its `follower` may",
                caller.name()
            )));
        }
        let done = change::acknowledge(&self.inner, asked, &caller).await;
        let (version, acknowledged) = done.map_err(|why| self.refused(why))?;
        Ok(Response::new(v1::AcknowledgeChangesResponse {
            acknowledged,
            list_version: version.to_string(),
        }))
    }
}

fn shown(inner: &Inner, known: &Subscription) -> v1::Subscription {
    let head = inner.registry.live().load().lists.version().seq;
    let sends = !inner.registry.follows() && known.is_active();
    let progress = inner
        .progresses
        .get(&known.name, known.since.seq)
        .filter(|_| sends);
    let progress = progress.unwrap_or_default();
    let (state, reason) = match &known.standing {
        Standing::Active if progress.failures > 0 => ("retrying", ""),
        Standing::Active if progress.delivered.is_some() => ("delivered", ""),
        Standing::Active => ("active", ""),
        Standing::Stopped(why) => ("stopped", why.as_str()),
        Standing::Ended(why) => ("ended", why.as_str()),
    };
    let list = |values: &std::collections::BTreeSet<String>| values.iter().cloned().collect();
    let acknowledged = known.acknowledged.max(progress.clear_up_to);
    let delivered = progress.delivered;
    v1::Subscription {
        name: known.name.clone(),
        department: known.department.clone(),
        url: known.url.clone(),
        lists: list(&known.filter.lists),
        fields: list(&known.filter.fields),
        regions: list(&known.filter.regions),
        colours: list(&known.filter.colours),
        secret_id: known.secret_id.clone(),
        follower: known.follower.clone(),
        caller: known.caller.clone(),
        state: state.to_owned(),
        reason: reason.to_owned(),
        acknowledged,
        delivered: delivered.map_or(0, |(last, _)| last),
        delivered_at: delivered.map(|(_, at)| time_to_proto(at)),
        behind: head.saturating_sub(acknowledged),
        behind_ms: progress.oldest.map(|at| age_ms(inner.registry.now(), at)),
        last_error: progress.last_error,
        failures: progress.failures,
        next_attempt_at: progress.next_attempt_at.map(time_to_proto),
        since: Some(time_to_proto(known.since.at)),
    }
}

fn age_ms(now: Time, at: Time) -> u64 {
    u64::try_from((now.micros() - at.micros()) / 1_000).unwrap_or_default()
}
