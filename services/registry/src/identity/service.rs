//! Service `Identity` over gRPC: who may, what is asked, what the registry says.

use std::sync::Arc;

use creditgate_proto::subject::alias_from_proto;
use creditgate_proto::v1::identity_server::{Identity, IdentityServer};
use creditgate_proto::{Refused, status, v1};
use creditgate_runtime::access::ReportAsked;
use creditgate_runtime::callers::{
    Caller, Callers, Permission, permitted, permitted_report, permitted_to_see,
};
use creditgate_runtime::metrics::ChangeRefusal;
use creditgate_runtime::ports::{Answer, CasesOfSubject, OfSubject, SubjectCases};
use tonic::{Request, Response, Status};

use super::change::Asked;
use super::view_cache::{BYTES_MAX, ViewCache};
use super::{codes, report, subject, wrong};
use crate::error::ChangeError;
use crate::follow::log_unreadable;
use crate::keeper::{Planned, View};
use crate::life::action;
use crate::log::What;
use crate::registry::Registry;
use crate::seen;
use crate::service::blocking;

/// The service; cheap to clone.
#[derive(Clone, Debug)]
pub struct IdentityService {
    registry: Registry,
    views: ViewCache,
    cases: Arc<dyn SubjectCases>,
    /// Who tells the departments of those who asked.
    callers: Callers,
}

/// Stands where a process does not follow cases: it says so.
#[derive(Debug)]
struct NoCases;

impl SubjectCases for NoCases {
    fn of_subject(&self, _: OfSubject) -> Answer<'_, Result<CasesOfSubject, Status>> {
        Box::pin(async {
            Err(Status::unimplemented(
                "this process follows no cases, and without them a report would not be whole: ask one with the role \
                 `cases`",
            ))
        })
    }
}

impl IdentityService {
    /// The service of a registry; as for [`crate::Service`], an interceptor tells who calls.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            views: ViewCache::new(BYTES_MAX),
            cases: Arc::new(NoCases),
            callers: Callers::loopback_only(),
        }
    }

    /// The same service, whose reports tell of these cases.
    #[must_use]
    pub fn with_cases(self, cases: Arc<dyn SubjectCases>) -> Self {
        Self { cases, ..self }
    }

    /// The same service, whose reports tell the departments of these callers.
    #[must_use]
    pub fn with_callers(self, callers: Callers) -> Self {
        Self { callers, ..self }
    }

    /// The tonic server of the service.
    #[must_use]
    pub fn server(self) -> IdentityServer<Self> {
        IdentityServer::new(self)
    }

    fn may_change<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        permitted(request, Permission::Lists)
            .inspect_err(|_| self.registry.count_refused(ChangeRefusal::Forbidden))
    }

    /// Makes a change whose form is checked.
    async fn make(
        &self,
        asked: Result<Asked, Refused>,
        caller: &Caller,
    ) -> Result<Response<v1::IdentityChangeResponse>, Status> {
        let asked = asked
            .map_err(ChangeError::Invalid)
            .inspect_err(|why| self.registry.count_refused(why.counted_as()))?;
        let made = self.registry.transact(caller, |view| asked.plan(view));
        let (version, done) = made.await?;
        Ok(Response::new(v1::IdentityChangeResponse {
            change: done.change,
            list_version: version.to_string(),
            entry_ids: done.entry_ids,
        }))
    }

    /// Makes a step of a wrong hit and shows it afterwards.
    async fn step(
        &self,
        caller: &Caller,
        plan: impl FnOnce(&View<'_>) -> Result<(Vec<Planned>, u64), ChangeError> + Send + 'static,
    ) -> Result<Response<v1::WrongHitResponse>, Status> {
        let (version, number) = self.registry.transact(caller, plan).await?;
        let (desk, now) = (self.registry.desk(), self.registry.now());
        let hit = desk.wrong_hits.get(number);
        Ok(Response::new(v1::WrongHitResponse {
            wrong_hit: hit.map(|hit| wrong::shown(number, hit, now)),
            list_version: version.to_string(),
        }))
    }
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn get_subject(
        &self,
        request: Request<v1::GetSubjectRequest>,
    ) -> Result<Response<v1::GetSubjectResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        let (registry, views) = (self.registry.clone(), self.views.clone());
        let asked = request.into_inner();
        blocking(move || subject::get(&registry, &views, &sees, &asked)).await
    }

    async fn get_subject_report(
        &self,
        request: Request<v1::GetSubjectReportRequest>,
    ) -> Result<Response<v1::GetSubjectReportResponse>, Status> {
        // The record of calls has each part only as far as it is one.
        let asked = request.get_ref();
        let subject = alias_from_proto("subject", asked.subject.as_ref()).ok();
        let noted = ReportAsked {
            document_no: report::document_no(&asked.document_no).unwrap_or_default(),
            reason: report::reason(&asked.reason).unwrap_or_default(),
            subject: subject.as_ref(),
        };
        permitted_report(&request, &noted)?;
        let asked = report::Asked::read(request.into_inner())
            .map_err(|refused| status::refused_status(&refused))?;
        let (registry, views) = (self.registry.clone(), self.views.clone());
        let kept = blocking(move || asked.kept(&registry, &views)).await?;
        let kept = kept.into_inner();
        let told = self.cases.of_subject(kept.of_subject()).await?;
        Ok(Response::new(kept.with(told, &self.callers)))
    }

    async fn change_name(
        &self,
        request: Request<v1::ChangeNameRequest>,
    ) -> Result<Response<v1::IdentityChangeResponse>, Status> {
        let caller = self.may_change(&request)?;
        self.make(Asked::name(request.into_inner()), &caller).await
    }

    async fn declare_alias(
        &self,
        request: Request<v1::DeclareAliasRequest>,
    ) -> Result<Response<v1::IdentityChangeResponse>, Status> {
        let caller = self.may_change(&request)?;
        self.make(Asked::alias(request.into_inner()), &caller).await
    }

    async fn change_relation(
        &self,
        request: Request<v1::ChangeRelationRequest>,
    ) -> Result<Response<v1::IdentityChangeResponse>, Status> {
        let caller = self.may_change(&request)?;
        self.make(Asked::relation(request.into_inner()), &caller)
            .await
    }

    async fn merge_subjects(
        &self,
        request: Request<v1::MergeSubjectsRequest>,
    ) -> Result<Response<v1::IdentityChangeResponse>, Status> {
        let caller = self.may_change(&request)?;
        self.make(Asked::merge(request.into_inner()), &caller).await
    }

    async fn undo_change(
        &self,
        request: Request<v1::UndoChangeRequest>,
    ) -> Result<Response<v1::IdentityChangeResponse>, Status> {
        let caller = self.may_change(&request)?;
        self.make(Asked::undo(request.into_inner()), &caller).await
    }

    async fn list_code_proposals(
        &self,
        request: Request<v1::ListCodeProposalsRequest>,
    ) -> Result<Response<v1::ListCodeProposalsResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        let registry = self.registry.clone();
        let asked = request.into_inner();
        blocking(move || {
            let mut answer = codes::proposals(&registry, &asked).map_err(Status::from)?;
            seen::proposals(&sees, &mut answer);
            Ok(answer)
        })
        .await
    }

    async fn decide_code(
        &self,
        request: Request<v1::DecideCodeRequest>,
    ) -> Result<Response<v1::IdentityChangeResponse>, Status> {
        let caller = self.may_change(&request)?;
        self.make(Asked::code(request.into_inner()), &caller).await
    }

    async fn open_wrong_hit(
        &self,
        request: Request<v1::OpenWrongHitRequest>,
    ) -> Result<Response<v1::WrongHitResponse>, Status> {
        let caller = self.may_change(&request)?;
        let asked = request.into_inner();
        self.step(&caller, move |view| wrong::open(asked, view))
            .await
    }

    async fn correct_wrong_hit(
        &self,
        request: Request<v1::CorrectWrongHitRequest>,
    ) -> Result<Response<v1::WrongHitResponse>, Status> {
        let caller = self.may_change(&request)?;
        let asked = request.into_inner();
        let past = self.registry.past().clone();
        let number = asked.correction;
        // Records never change, so what is read now holds when the turn comes.
        let record = blocking(move || past.record(number).map_err(|e| log_unreadable(&e))).await?;
        let (entry_id, created, recorded_at) = match record.into_inner() {
            Some(entered) => {
                let (of, created) = match &entered.what {
                    What::Put(put) => (entry_id_of(&put.stored), put.action == action::CREATED),
                    _ => (None, false),
                };
                (of, created, entered.recorded_at)
            }
            None => (None, false, self.registry.now()),
        };
        self.step(&caller, move |view| {
            let hit = view.desk.wrong_hits.get(asked.wrong_hit);
            if hit.is_some_and(|hit| entry_id.as_deref() != Some(&*hit.entry_id)) {
                let rule = "expected the number of a change of the entry that was hit by; `lists show` tells them";
                return Err(Refused::one("correction", rule).into());
            }
            if created {
                let rule = "is the change that created the entry, which corrects nothing; expected a later one; `lists show` tells them";
                return Err(Refused::one("correction", rule).into());
            }
            wrong::correct(&asked, recorded_at, view)
        })
        .await
        .map(|stepped| shown_to(&caller, stepped))
    }

    async fn tell_wrong_hit(
        &self,
        request: Request<v1::TellWrongHitRequest>,
    ) -> Result<Response<v1::WrongHitResponse>, Status> {
        let caller = self.may_change(&request)?;
        let asked = request.into_inner();
        self.step(&caller, move |view| wrong::tell(asked, view))
            .await
            .map(|stepped| shown_to(&caller, stepped))
    }

    async fn list_wrong_hits(
        &self,
        request: Request<v1::ListWrongHitsRequest>,
    ) -> Result<Response<v1::ListWrongHitsResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        let (desk, now) = (self.registry.desk(), self.registry.now());
        let asked = request.get_ref();
        let wrong_hits = desk
            .wrong_hits
            .all()
            .filter(|(_, hit)| asked.closed || !hit.is_closed())
            .map(|(number, hit)| wrong::shown(number, hit, now))
            .filter(|hit| hit.open_days >= asked.open_days);
        let mut wrong_hits = wrong_hits.collect();
        seen::wrong_hits(&self.registry, &sees, &mut wrong_hits);
        Ok(Response::new(v1::ListWrongHitsResponse { wrong_hits }))
    }
}

/// Somebody else may have said who was hit.
fn shown_to(
    caller: &Caller,
    mut stepped: Response<v1::WrongHitResponse>,
) -> Response<v1::WrongHitResponse> {
    let sees = caller.sees();
    if let Some(hit) = &mut stepped.get_mut().wrong_hit {
        seen::wrong_hit(&sees, hit);
    }
    stepped
}

fn entry_id_of(stored: &[u8]) -> Option<String> {
    let stored = creditgate_measures::entry::StoredEntry::read(stored).ok()?;
    Some(stored.entry_id.to_owned())
}
