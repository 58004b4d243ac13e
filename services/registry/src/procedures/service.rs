//! Service `Procedures` over gRPC: who may, what is asked, what the registry says.

use creditgate_measures::clocks::Occasion;
use creditgate_proto::v1::procedures_server::{Procedures, ProceduresServer};
use creditgate_proto::{status, v1};
use creditgate_runtime::callers::{Caller, Permission, permitted, permitted_by, permitted_to_see};
use creditgate_runtime::metrics::ChangeRefusal;
use tonic::{Request, Response, Status};

use super::form::{Opening, Stepping};
use super::measures::{self, Recording};
use super::notices::{self, Serving};
use super::table::Kind;
use super::{due, open, shown, step};
use crate::error::ChangeError;
use crate::history::record_of;
use crate::keeper::View;
use crate::registry::Registry;
use crate::seen::{self, Seen};
use crate::service::blocking;

/// The service; cheap to clone.
#[derive(Clone, Debug)]
pub struct ProceduresService {
    registry: Registry,
}

impl ProceduresService {
    /// The service of a registry. An interceptor of the server puts the [`Caller`] into the
    /// extensions of each request; without one every call is refused.
    #[must_use]
    pub const fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// The tonic server of the service.
    #[must_use]
    pub fn server(registry: Registry) -> ProceduresServer<Self> {
        ProceduresServer::new(Self::new(registry))
    }

    fn may_change<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        permitted(request, Permission::Lists)
            .inspect_err(|_| self.registry.count_refused(ChangeRefusal::Forbidden))
    }

    /// Objections and repairs are handed in at a window too; who sets a rule aside, or talks to a subject, is an authority.
    /// A clerk says for whom, see [`Opening::at_a_window`].
    fn may_open(&self, request: &Request<v1::OpenProcedureRequest>) -> Result<Caller, Status> {
        let asked = request.get_ref();
        let at_a_window = matches!(
            Kind::parse(&asked.kind),
            None | Some(Kind::Objection | Kind::Repair)
        );
        if !at_a_window || asked.force {
            return self.may_change(request);
        }
        permitted_by(request, &[Permission::Lists, Permission::Subject])
            .inspect_err(|_| self.registry.count_refused(ChangeRefusal::Forbidden))
    }

    /// A request whose form is wrong counts as a change that was refused.
    fn read<A, B>(
        &self,
        asked: A,
        read: impl FnOnce(A) -> Result<B, creditgate_proto::Refused>,
    ) -> Result<B, Status> {
        read(asked).map_err(|refused| {
            self.registry.count_refused(ChangeRefusal::Invalid);
            status::refused_status(&refused)
        })
    }

    /// An entry as the caller sees it.
    fn entry(&self, id: &str, caller: &Caller) -> Option<v1::EntryRecord> {
        let live = self.registry.live().load();
        let sees = caller.sees();
        let seen = Seen::new(&sees, &live.book, self.registry.now());
        let entry = live.lists.entry(id).filter(|it| seen.has_entry(it))?;
        let mut record = record_of(&entry, Vec::new());
        seen.record(&mut record);
        Some(record)
    }

    /// The procedure as it stands, with its entry for those who bring lists: at a window it may be somebody else's.
    fn stands(
        &self,
        id: &str,
        list_version: String,
        caller: &Caller,
    ) -> Result<v1::ProcedureResponse, Status> {
        let desk = self.registry.desk();
        let procedure = desk
            .procedures
            .get(id)
            .ok_or_else(|| Status::from(ChangeError::Unknown("procedure")))?;
        let entry = |id: &str| match caller.may(Permission::Lists) {
            true => self.entry(id, caller),
            false => None,
        };
        Ok(v1::ProcedureResponse {
            procedure: Some(shown::procedure(procedure)),
            entry: entry(&procedure.entry_id),
            list_version,
            proposed: entry(&procedure.proposed_entry_id),
        })
    }
}

#[tonic::async_trait]
impl Procedures for ProceduresService {
    async fn open(
        &self,
        request: Request<v1::OpenProcedureRequest>,
    ) -> Result<Response<v1::ProcedureResponse>, Status> {
        let caller = self.may_open(&request)?;
        let asked = self.read(request.into_inner(), |asked| {
            let asked = Opening::read(asked)?;
            match caller.may(Permission::Lists) {
                true => Ok(asked),
                false => asked.at_a_window(),
            }
        })?;
        let plan = move |view: &View<'_>| open::plan(&asked, view);
        let (version, id) = self.registry.transact(&caller, plan).await?;
        let stands = self.stands(&id, version.to_string(), &caller)?;
        Ok(Response::new(stands))
    }

    async fn step(
        &self,
        request: Request<v1::StepProcedureRequest>,
    ) -> Result<Response<v1::ProcedureResponse>, Status> {
        let caller = self.may_change(&request)?;
        let asked = self.read(request.into_inner(), Stepping::read)?;
        let id = asked.procedure_id.clone();
        let plan = move |view: &View<'_>| Ok((step::plan(&asked, view)?, ()));
        let (version, ()) = self.registry.transact(&caller, plan).await?;
        let stands = self.stands(&id, version.to_string(), &caller)?;
        Ok(Response::new(stands))
    }

    async fn list(
        &self,
        request: Request<v1::ListProceduresRequest>,
    ) -> Result<Response<v1::ListProceduresResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        seen::sees_entry(&self.registry, &sees, &request.get_ref().entry_id)?;
        let desk = self.registry.desk();
        let mut answer = shown::procedures(&desk, request.get_ref())?;
        seen::procedures(&sees, &mut answer.procedures);
        Ok(Response::new(answer))
    }

    async fn due(
        &self,
        request: Request<v1::ListDueRequest>,
    ) -> Result<Response<v1::ListDueResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        let (asked, registry) = (request.into_inner(), self.registry.clone());
        blocking(move || {
            let mut answer = due::list(&registry, &asked, registry.now())?;
            answer
                .due
                .retain(|one| one.list.is_empty() || sees.list(&one.list));
            Ok(answer)
        })
        .await
    }

    async fn list_notices(
        &self,
        request: Request<v1::ListNoticesRequest>,
    ) -> Result<Response<v1::ListNoticesResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        seen::sees_entry(&self.registry, &sees, &request.get_ref().entry_id)?;
        let now = self.registry.now();
        let notices = shown::notices(&self.registry, request.get_ref(), now)?;
        Ok(Response::new(notices))
    }

    async fn render_notice(
        &self,
        request: Request<v1::RenderNoticeRequest>,
    ) -> Result<Response<v1::RenderNoticeResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        seen::sees_entry(&self.registry, &sees, &request.get_ref().entry_id)?;
        if sees.masked {
            // Its text is made to name whom it is for.
            return Err(status::failed_precondition_status(
                "masked",
                "a notice names its subject in full: say why you ask, in `creditgate-reason-bin`, as a caller to whom the \
                 access policy gives `unmasked: true`",
            ));
        }
        let rendered = shown::rendered(&self.registry, request.get_ref())?;
        Ok(Response::new(rendered))
    }

    async fn record_service(
        &self,
        request: Request<v1::RecordServiceRequest>,
    ) -> Result<Response<v1::RecordServiceResponse>, Status> {
        let caller = self.may_change(&request)?;
        let entry_id = request.get_ref().entry_id.trim().to_owned();
        let asked = self.read(request.into_inner(), Serving::read)?;
        let plan = move |view: &View<'_>| notices::plan(&asked, view);
        let (version, served_at_set) = self.registry.transact(&caller, plan).await?;
        Ok(Response::new(v1::RecordServiceResponse {
            entry: self.entry(&entry_id, &caller),
            served_at_set,
            list_version: version.to_string(),
        }))
    }

    async fn record_measure(
        &self,
        request: Request<v1::RecordMeasureRequest>,
    ) -> Result<Response<v1::RecordMeasureResponse>, Status> {
        let caller = self.may_change(&request)?;
        let asked = self.read(request.into_inner(), Recording::read)?;
        let ids = (
            asked.entry_id.clone(),
            asked.verdict_id.clone(),
            asked.measure_id.clone(),
        );
        let plan = move |view: &View<'_>| {
            let planned = measures::plan(&asked, view)?;
            let known = planned.is_empty();
            Ok((planned, known))
        };
        let (version, known) = self.registry.transact(&caller, plan).await?;
        let generation = self.registry.live().load_full();
        let (entry_id, verdict_id, measure_id) = ids;
        let desk = self.registry.desk();
        let waits = desk
            .measures
            .waits(&entry_id, &verdict_id, &measure_id, None);
        let notice = generation.book.notice_on(Occasion::MeasureBitten);
        let notice = notice.filter(|_| waits);
        Ok(Response::new(v1::RecordMeasureResponse {
            entry: self.entry(&entry_id, &caller),
            known,
            notice: notice.map_or_else(String::new, |notice| notice.id.to_string()),
            list_version: version.to_string(),
        }))
    }
}
