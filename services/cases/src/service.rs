//! Service `Cases` over gRPC: who may, what is asked, what the cases say.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use creditgate_measures::event::Region;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::verdict::Cause;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{
    CaseClosed, OrderAcknowledged, ProposalClaimed, ProposalDecided,
};
use creditgate_proto::v1::cases_server::{Cases as Service, CasesServer};
use creditgate_proto::{Refused, Violation, feedback, status, v1, verdict_id_from_text};
use creditgate_runtime::callers::{Caller, Permission, permitted};
use creditgate_runtime::errors::Chain;
use creditgate_runtime::ports::{Answer, Reports};
use creditgate_runtime::telemetry::names::field;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::cases::Cases;
use crate::cause;
use crate::error::{ActError, Error};
use crate::keeper::{Make, one};
use crate::listed::listed;
use crate::notice;
use crate::pages;
use crate::review::{Known, Supports};
use crate::state::{CaseState, MeasureState, Refusal, Terms};
use crate::table::{CaseFilter, Lookup, OrderFilter, ProposalFilter, Wanted, Whose};

const TEXT_CHARS_MAX: usize = 512;
const PROSE_CHARS_MAX: usize = 4_096;
/// Why a report belongs to no case.
pub(crate) const NO_VERDICT: &str =
    "no verdict of this id shows a penalty measure, offers a reward or judges an inspection";

/// The service; cheap to clone.
#[derive(Clone, Debug)]
pub struct CasesService {
    cases: Cases,
}

impl CasesService {
    /// The tonic server of the service. An interceptor of the server puts the [`Caller`] into the
    /// extensions of each request; without one every call is refused.
    #[must_use]
    pub fn server(cases: Cases) -> CasesServer<Self> {
        CasesServer::new(Self::new(cases))
    }

    /// The service of cases.
    #[must_use]
    pub const fn new(cases: Cases) -> Self {
        Self { cases }
    }

    fn now(&self) -> Time {
        Time::from_micros(self.cases.clock().now_micros())
    }

    fn shown(&self, state: &CaseState) -> v1::CaseShown {
        state.shown(self.cases.terms().view(self.now()))
    }

    /// Reads, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        if !self.cases.shared().is_leading() {
            return Err(told(ActError::StandsBy));
        }
        let service = self.clone();
        tokio::task::spawn_blocking(move || read(&service))
            .await
            .map_err(|_| Status::internal("the work ended without an answer"))?
            .map(Response::new)
    }

    async fn act(&self, case_id: &str, caller: &Caller, make: Make) -> Result<CaseState, Status> {
        let acted = self
            .cases
            .act(case_id.to_owned(), caller.shared_name(), make);
        acted.await.map_err(told)
    }

    /// The state of a case of the matters that a caller deals with; others are as if they were not there.
    fn state_for(&self, case_id: &str, caller: &Caller) -> Result<CaseState, Status> {
        let state = self.state(case_id)?;
        match deals_with(caller, &state) {
            true => Ok(state),
            false => Err(told(ActError::UnknownCase)),
        }
    }

    /// Before a caller does something in a case.
    async fn is_for(&self, case_id: &str, caller: &Caller) -> Result<(), Status> {
        if caller.matters().is_none() {
            return Ok(());
        }
        self.cases.sync().await.map_err(told)?;
        let (case_id, caller) = (case_id.to_owned(), caller.clone());
        let read = self.read(move |service| service.state_for(&case_id, &caller).map(drop));
        read.await.map(drop)
    }

    /// The state of a case.
    fn state(&self, case_id: &str) -> Result<CaseState, Status> {
        let found = self.cases.lookup().case(case_id).map_err(unreadable)?;
        let found = found.ok_or_else(|| told(ActError::UnknownCase))?;
        CaseState::from_stored(&found.state).map_err(unreadable)
    }

    fn proposal(&self, state: &CaseState, key: &str) -> Result<v1::Proposal, Status> {
        let measure = state.measure(key);
        let measure = measure.ok_or_else(|| Status::not_found("no such measure in this case"))?;
        Ok(state.proposal_shown(measure, &*self.cases.terms()))
    }

    /// Keeps a report, under the case of the verdict that it names. Its id is unique among all cases.
    async fn keep_report(
        &self,
        feedback: v1::Feedback,
        caller: &Caller,
    ) -> Result<v1::ReportFeedbackResponse, Status> {
        feedback::check(&feedback).map_err(|refused| status::refused_status(&refused))?;
        let verdict = verdict_id_from_text(&feedback.verdict_id)
            .ok_or_else(|| invalid("verdict_id", "expected the id of a verdict"))?;
        let id = feedback.feedback_id.clone();
        self.cases.sync().await.map_err(told)?;
        let lookup = self.cases.lookup().clone();
        let found = tokio::task::spawn_blocking(move || lookup.bitten_by(&verdict.0.into_bytes()));
        let found = found
            .await
            .map_err(|_| Status::internal("the work ended without an answer"))?;
        // Whom a report names, the measure must name too.
        let names = |_: &CaseState, department: &str| feedback.implementer == department;
        let case_id = carried_out_by(caller, found.map_err(unreadable)?, names)?
            .ok_or_else(|| Status::not_found(NO_VERDICT))?;
        // Known only when its turn has come: it may arrive twice at one moment.
        let repeated = Arc::new(AtomicBool::new(false));
        let (known, terms) = (Arc::clone(&repeated), self.cases.terms());
        let make: Make = Box::new(move |state, now, caller| {
            let new = one(What::Feedback(feedback.clone()))(state, now, caller)?;
            match new.is_empty() {
                true => known.store(true, Ordering::Relaxed),
                false => terms.may_propose(&feedback)?,
            }
            Ok(new)
        });
        let state = self.act(&case_id, caller, make).await?;
        let shown = self.shown(&state).feedback.into_iter();
        let of_id = |shown: &v1::FeedbackShown| {
            shown
                .feedback
                .as_ref()
                .is_some_and(|feedback| feedback.feedback_id == id)
        };
        Ok(v1::ReportFeedbackResponse {
            repeated: repeated.load(Ordering::Relaxed),
            feedback: shown.into_iter().find(of_id),
        })
    }

    /// Looks at the measures of a case as of now, before an official decides: what nothing supports any
    /// more is recorded so (spec 8).
    async fn look_again(&self, case_id: String) -> Result<(), Status> {
        let service = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let state = service.state(&case_id)?;
            let then = Known::now(service.cases.live(), service.now());
            let supports = Supports {
                reviews: service.cases.reviews().as_ref(),
                history: service.cases.history().as_ref(),
                then: &then,
            };
            let cause = Cause::ListChange(then.seq());
            let Some(found) = supports.of(&state, &cause).map_err(unreadable)? else {
                return Ok::<_, Status>(Vec::new());
            };
            let changed = cause::told(&service.cases, &state, found, &then).map_err(unreadable)?;
            let changed = changed.into_iter();
            Ok(changed
                .map(|one| (case_id.clone(), What::Support(one)))
                .collect())
        });
        let changed = looked
            .await
            .map_err(|_| Status::internal("the work ended without an answer"))??;
        match changed.is_empty() {
            false => self.cases.shown(changed).await.map_err(told),
            true => Ok(()),
        }
    }
}

impl Reports for CasesService {
    fn report(
        &self,
        feedback: v1::Feedback,
        caller: Caller,
    ) -> Answer<'_, Result<v1::ReportFeedbackResponse, Status>> {
        Box::pin(async move { self.keep_report(feedback, &caller).await })
    }
}

#[tonic::async_trait]
impl Service for CasesService {
    async fn get_case(
        &self,
        request: Request<v1::GetCaseRequest>,
    ) -> Result<Response<v1::GetCaseResponse>, Status> {
        let caller = permitted(&request, Permission::Read)?;
        let case_id = request.into_inner().case_id;
        self.cases.sync().await.map_err(told)?;
        self.read(move |service| {
            let state = service.state_for(&case_id, &caller)?;
            Ok(v1::GetCaseResponse {
                case: Some(service.shown(&state)),
            })
        })
        .await
    }

    async fn list_cases(
        &self,
        request: Request<v1::ListCasesRequest>,
    ) -> Result<Response<v1::ListCasesResponse>, Status> {
        let caller = permitted(&request, Permission::Read)?;
        let asked = request.into_inner();
        let size = pages::size(asked.page_size)?;
        let open = match asked.state.as_str() {
            "" => None,
            "open" => Some(true),
            "closed" => Some(false),
            _ => {
                return Err(invalid(
                    "state",
                    "write `open` or `closed`, or leave it empty",
                ));
            }
        };
        let now = self.now();
        let filter = CaseFilter {
            whose: Whose::of(&caller),
            open,
            scenario: asked.scenario,
            measure: asked.measure_id,
            missing: asked.missing_check.then(|| now.micros()),
            differing: asked.differing_answers,
            after: asked.page_token,
        };
        self.cases.sync().await.map_err(told)?;
        self.read(move |service| {
            let terms = service.cases.terms();
            let (cases, next_page_token) =
                listed(service.cases.lookup(), filter, size, terms.view(now))
                    .map_err(unreadable)?;
            Ok(v1::ListCasesResponse {
                cases,
                next_page_token,
            })
        })
        .await
    }

    async fn close_case(
        &self,
        request: Request<v1::CloseCaseRequest>,
    ) -> Result<Response<v1::CloseCaseResponse>, Status> {
        let caller = permitted(&request, Permission::Cases)?;
        let asked = request.into_inner();
        form(&[
            ("case_id", &asked.case_id, true, TEXT_CHARS_MAX),
            ("reason", &asked.reason, true, PROSE_CHARS_MAX),
            ("document_no", &asked.document_no, false, TEXT_CHARS_MAX),
        ])?;
        let what = What::Closed(CaseClosed {
            why: "by_request".to_owned(),
            reason: asked.reason,
            document_no: asked.document_no,
        });
        self.is_for(&asked.case_id, &caller).await?;
        let state = self.act(&asked.case_id, &caller, one(what)).await?;
        Ok(Response::new(v1::CloseCaseResponse {
            case: Some(self.shown(&state)),
        }))
    }

    async fn report_feedback(
        &self,
        request: Request<v1::ReportFeedbackRequest>,
    ) -> Result<Response<v1::ReportFeedbackResponse>, Status> {
        let caller = permitted(&request, Permission::Feedback)?;
        let feedback = request.into_inner().feedback;
        let feedback = feedback.ok_or_else(|| invalid("feedback", "required"))?;
        self.keep_report(feedback, &caller).await.map(Response::new)
    }

    async fn list_proposals(
        &self,
        request: Request<v1::ListProposalsRequest>,
    ) -> Result<Response<v1::ListProposalsResponse>, Status> {
        let caller = permitted(&request, Permission::Read)?;
        let asked = request.into_inner();
        let size = pages::size(asked.page_size)?;
        if !matches!(
            asked.state.as_str(),
            "" | "proposed" | "claimed" | "seconded"
        ) {
            let rule = "write `proposed`, `claimed` or `seconded`, or leave it empty";
            return Err(invalid("state", rule));
        }
        let filter = ProposalFilter {
            whose: Whose::of(&caller),
            state: asked.state,
            escalated: asked.escalated,
            measure: asked.measure_id,
            after: pages::place(&asked.page_token, |first, second, third| {
                Some((first.to_owned(), second.parse().ok()?, third.to_owned()))
            })?,
        };
        self.cases.sync().await.map_err(told)?;
        self.read(move |service| {
            let lookup = service.cases.lookup();
            let found = lookup.proposals(&filter, size + 1).map_err(unreadable)?;
            let (found, next_page_token) = pages::cut(found, size, |(day, case, key)| {
                format!("{day}\t{case}\t{key}")
            });
            let mut proposals = Vec::with_capacity(found.len());
            let mut states = States::of(lookup);
            for (_, case, key) in &found {
                if let Some(state) = states.get(*case)? {
                    proposals.push(service.proposal(state, key)?);
                }
            }
            Ok(v1::ListProposalsResponse {
                proposals,
                next_page_token,
            })
        })
        .await
    }

    async fn claim_proposal(
        &self,
        request: Request<v1::ClaimProposalRequest>,
    ) -> Result<Response<v1::ProposalResponse>, Status> {
        let caller = permitted(&request, Permission::Cases)?;
        let asked = request.into_inner();
        form(&[
            ("case_id", &asked.case_id, true, TEXT_CHARS_MAX),
            ("key", &asked.key, true, TEXT_CHARS_MAX),
            ("by", &asked.by, true, TEXT_CHARS_MAX),
        ])?;
        self.is_for(&asked.case_id, &caller).await?;
        let what = What::Claimed(ProposalClaimed {
            key: asked.key.clone(),
            by: asked.by,
            released: asked.release,
            own_key: !caller.is_shared(),
        });
        let state = self.act(&asked.case_id, &caller, one(what)).await?;
        Ok(Response::new(v1::ProposalResponse {
            proposal: Some(self.proposal(&state, &asked.key)?),
            notice: String::new(),
        }))
    }

    async fn decide_proposal(
        &self,
        request: Request<v1::DecideProposalRequest>,
    ) -> Result<Response<v1::ProposalResponse>, Status> {
        let caller = permitted(&request, Permission::Cases)?;
        let asked = request.into_inner();
        form(&[
            ("case_id", &asked.case_id, true, TEXT_CHARS_MAX),
            ("key", &asked.key, true, TEXT_CHARS_MAX),
            ("by", &asked.by, true, TEXT_CHARS_MAX),
            ("reason", &asked.reason, true, PROSE_CHARS_MAX),
            ("document_no", &asked.document_no, false, TEXT_CHARS_MAX),
        ])?;
        self.is_for(&asked.case_id, &caller).await?;
        self.cases.sync().await.map_err(told)?;
        self.look_again(asked.case_id.clone()).await?;
        let measure_id = asked.key.split_once('/').map_or("", |(_, measure)| measure);
        let what = What::Decided(ProposalDecided {
            key: asked.key.clone(),
            decision: asked.decision.clone(),
            by: asked.by.clone(),
            reason: asked.reason.clone(),
            document_no: asked.document_no.clone(),
            four_eyes: self.cases.terms().four_eyes(measure_id),
            own_key: !caller.is_shared(),
        });
        let state = self.act(&asked.case_id, &caller, one(what)).await?;
        let proposal = self.proposal(&state, &asked.key)?;
        // Whoever gets an error here decides the same again, and gets the notice.
        self.read(move |service| {
            let notice = match state.measure(&asked.key) {
                Some(measure) if measure.state == MeasureState::Confirmed => {
                    let (cases, now) = (&service.cases, service.now());
                    notice::confirmed(cases, &state, measure, &asked, now).map_err(unreadable)?
                }
                _ => String::new(),
            };
            Ok(v1::ProposalResponse {
                proposal: Some(proposal),
                notice,
            })
        })
        .await
    }

    async fn list_lift_orders(
        &self,
        request: Request<v1::ListLiftOrdersRequest>,
    ) -> Result<Response<v1::ListLiftOrdersResponse>, Status> {
        let caller = permitted(&request, Permission::Read)?;
        let asked = request.into_inner();
        let size = pages::size(asked.page_size)?;
        if !matches!(
            asked.state.as_str(),
            "" | "open" | "acknowledged" | "cancelled"
        ) {
            let rule = "write `open`, `acknowledged` or `cancelled`, or leave it empty";
            return Err(invalid("state", rule));
        }
        let before = self.cases.terms().overdue_before(self.now()).micros();
        let filter = OrderFilter {
            whose: Whose::of(&caller),
            state: asked.state,
            implementer: asked.implementer,
            before: asked.overdue.then_some(before),
            after: pages::place(&asked.page_token, |first, second, _| {
                Some((first.parse().ok()?, second.to_owned()))
            })?,
        };
        self.cases.sync().await.map_err(told)?;
        self.read(move |service| {
            let lookup = service.cases.lookup();
            let found = lookup.orders(&filter, size + 1).map_err(unreadable)?;
            let (found, next_page_token) =
                pages::cut(found, size, |(at, id, _)| format!("{at}\t{id}\t"));
            let terms = service.cases.terms();
            let view = terms.view(service.now());
            let mut orders = Vec::with_capacity(found.len());
            let mut states = States::of(lookup);
            for (_, id, case) in &found {
                let order = states.get(*case)?.and_then(|state| {
                    let order = state.order(Uuid::try_parse(id).ok()?)?;
                    Some(state.order_shown(order, view))
                });
                orders.extend(order);
            }
            Ok(v1::ListLiftOrdersResponse {
                orders,
                next_page_token,
            })
        })
        .await
    }

    async fn acknowledge_lift_order(
        &self,
        request: Request<v1::AcknowledgeLiftOrderRequest>,
    ) -> Result<Response<v1::LiftOrderResponse>, Status> {
        let caller = permitted(&request, Permission::Feedback)?;
        let asked = request.into_inner();
        form(&[
            ("order_id", &asked.order_id, true, TEXT_CHARS_MAX),
            ("by", &asked.by, true, TEXT_CHARS_MAX),
            ("document_no", &asked.document_no, false, TEXT_CHARS_MAX),
        ])?;
        self.cases.sync().await.map_err(told)?;
        let lookup = self.cases.lookup().clone();
        let id = asked.order_id.clone();
        let found = tokio::task::spawn_blocking(move || lookup.ordered_by(&id))
            .await
            .map_err(|_| Status::internal("the work ended without an answer"))?
            .map_err(unreadable)?;
        let is_told = |state: &CaseState, department: &str| {
            let order = Uuid::try_parse(&asked.order_id).ok();
            let order = order.and_then(|id| state.order(id));
            order.is_some_and(|order| order.implementer == department)
        };
        let case_id = carried_out_by(&caller, found, is_told)?
            .ok_or_else(|| Status::not_found("no lift order has this id"))?;
        let what = What::Acknowledged(OrderAcknowledged {
            order_id: asked.order_id.clone(),
            by: asked.by,
            document_no: asked.document_no,
            at: asked.at,
        });
        let state = self.act(&case_id, &caller, one(what)).await?;
        let mut orders = self.shown(&state).orders.into_iter();
        Ok(Response::new(v1::LiftOrderResponse {
            order: orders.find(|order| order.order_id == asked.order_id),
        }))
    }

    async fn request_review(
        &self,
        request: Request<v1::RequestReviewRequest>,
    ) -> Result<Response<v1::RequestReviewResponse>, Status> {
        let caller = permitted(&request, Permission::Cases)?;
        let reason = request.into_inner().reason;
        form(&[("reason", &reason, true, PROSE_CHARS_MAX)])?;
        let asked = self.cases.review_all(caller.shared_name(), reason);
        let asked = asked.await.map_err(told)?;
        Ok(Response::new(v1::RequestReviewResponse {
            book_version: asked.book_version,
            cases: asked.cases,
            repeated: asked.repeated,
        }))
    }

    async fn get_review_progress(
        &self,
        request: Request<v1::GetReviewProgressRequest>,
    ) -> Result<Response<v1::ReviewProgress>, Status> {
        let caller = permitted(&request, Permission::Read)?;
        self.cases.sync().await.map_err(told)?;
        self.read(move |service| {
            let (lookup, whose) = (service.cases.lookup(), Whose::of(&caller));
            let live = service.cases.live().load().lists.version();
            let reviewed = lookup.reviewed_to().map_err(unreadable)?;
            Ok(v1::ReviewProgress {
                reviewed_to: creditgate_measures::lists::ListVersion {
                    seq: reviewed,
                    ..live
                }
                .to_string(),
                list_version: live.to_string(),
                waiting: lookup.waiting_of(&whose).map_err(unreadable)?,
                // Of whose cases they were is not counted.
                reviewed: match caller.matters() {
                    None => service.cases.shared().reviewed(),
                    Some(_) => 0,
                },
                open_cases: lookup.open_cases(&whose).map_err(unreadable)?,
            })
        })
        .await
    }

    async fn count_measures(
        &self,
        request: Request<v1::CountMeasuresRequest>,
    ) -> Result<Response<v1::CountMeasuresResponse>, Status> {
        let caller = permitted(&request, Permission::Read)?;
        let asked = request.into_inner();
        let by = match asked.by.is_empty() {
            true => vec!["measure", "status"],
            false => asked
                .by
                .iter()
                .map(|by| column(by))
                .collect::<Result<_, _>>()?,
        };
        let day = |field: &'static str, text: &str, otherwise: &str| match text {
            "" => Ok(otherwise.to_owned()),
            text => Date::parse(text)
                .map(|day| day.to_string())
                .map_err(|_| invalid(field, "expected a day such as 2026-03-01")),
        };
        let from = day("from", &asked.from, "0000-00-00")?;
        let until = day("until", &asked.until, &self.now().date().to_string())?;
        let region = match asked.region.as_str() {
            "" => None,
            text => Some(Region::parse(text).ok_or_else(|| {
                invalid("region", "write a region as six digits, such as 320500")
            })?),
        };
        self.cases.sync().await.map_err(told)?;
        self.read(move |service| {
            let lookup = service.cases.lookup();
            let counted = lookup.counts(&by, (&from, &until), region, &Whose::of(&caller));
            let counts = counted.map_err(unreadable)?.into_iter();
            Ok(v1::CountMeasuresResponse {
                counts: counts
                    .map(|(of, reports, amount_fen)| v1::MeasureCount {
                        of,
                        reports,
                        amount_fen,
                    })
                    .collect(),
            })
        })
        .await
    }
}

/// Whether a case is of the matters that a caller deals with.
fn deals_with(caller: &Caller, state: &CaseState) -> bool {
    caller.deals_with_case(&state.scenario, state.region())
}

/// The number of a case in which a caller may say how a measure was carried out or lifted: one of the matters that it deals
/// with, or one in which its department (the second) carries that measure out.
fn carried_out_by(
    caller: &Caller,
    found: Option<Wanted>,
    does: impl Fn(&CaseState, &str) -> bool,
) -> Result<Option<String>, Status> {
    let Some(found) = found else { return Ok(None) };
    let Some(department) = caller.department() else {
        return Ok(Some(found.case_id));
    };
    let state = CaseState::from_stored(&found.state).map_err(unreadable)?;
    let is_its_own = does(&state, department) || deals_with(caller, &state);
    Ok(is_its_own.then_some(found.case_id))
}

/// The cases of one page, each read once.
struct States<'a> {
    lookup: &'a Lookup,
    read: HashMap<i64, Option<CaseState>>,
}

impl<'a> States<'a> {
    fn of(lookup: &'a Lookup) -> Self {
        Self {
            lookup,
            read: HashMap::new(),
        }
    }

    fn get(&mut self, case: i64) -> Result<Option<&CaseState>, Status> {
        let state = match self.read.entry(case) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let found = self.lookup.case_of(case).map_err(unreadable)?;
                let state = found.map(|found| CaseState::from_stored(&found.state));
                place.insert(state.transpose().map_err(unreadable)?)
            }
        };
        Ok(state.as_ref())
    }
}

/// The column, or what stands for one, by which it is counted.
fn column(by: &str) -> Result<&'static str, Status> {
    Ok(match by {
        "measure" => "measure",
        "department" => "department",
        "division" => "division",
        "status" => "status",
        "direction" => "direction",
        "month" => "substr(day, 1, 7)",
        _ => {
            let rule = "write measure, department, division, status, direction or month";
            return Err(invalid("by", rule));
        }
    })
}

/// Texts of a request: field, text, whether it is required, most characters.
pub(crate) fn form(texts: &[(&'static str, &str, bool, usize)]) -> Result<(), Status> {
    let violations: Vec<Violation> = texts
        .iter()
        .filter_map(|(field, text, required, most)| {
            if *required && text.trim().is_empty() {
                return Some(Violation::new(*field, "required"));
            }
            let long = text.chars().count() > *most;
            long.then(|| Violation::new(*field, format!("at most {most} characters")))
        })
        .collect();
    Refused::unless_empty(violations).map_err(|refused| status::refused_status(&refused))
}

pub(crate) fn invalid(field: &'static str, rule: &str) -> Status {
    status::refused_status(&Refused::one(field, rule))
}

pub(crate) fn told(error: ActError) -> Status {
    match error {
        ActError::UnknownCase => Status::not_found(error.to_string()),
        ActError::Closed => Status::unavailable(error.to_string()),
        ActError::StandsBy => Status::unavailable(error.to_string()),
        ActError::Failed(error) => unreadable(error),
        ActError::Refused(refusal) => match refusal {
            Refusal::Field { field, rule } => invalid(field, &rule),
            Refusal::NoCase(_) | Refusal::NotFound { .. } => Status::not_found(refusal.to_string()),
            Refusal::OtherContent(_) => Status::already_exists(refusal.to_string()),
            Refusal::Step { .. } | Refusal::Closed { .. } | Refusal::NotBy(_) => {
                Status::failed_precondition(refusal.to_string())
            }
        },
    }
}

/// Tells the operator; the caller learns only that it cannot be read.
pub(crate) fn unreadable(error: impl Into<Error>) -> Status {
    let error = error.into();
    tracing::error!({ field::ERROR } = %Chain(&error), "cases cannot be read or written");
    Status::unavailable("cases cannot be read or written now; ask again later")
}
