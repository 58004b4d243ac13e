//! Service `Access` over gRPC: who may ask what, and who called.

use creditgate_measures::event::Region;
use creditgate_proto::subject::alias_from_proto;
use creditgate_proto::v1::access_server::{Access, AccessServer};
use creditgate_proto::{Refused, status, v1};
use tonic::{Request, Response, Status};

use super::calls::{Asked, Calls};
use super::scope::Question;
use super::trial::Answered;
use super::view::Sight;
use crate::callers::{Caller, Callers, Permission, permitted};
use crate::errors::Chain;
use crate::telemetry::names::field;

/// Calls of one answer where nobody says how many.
const CALLS: u32 = 100;
/// Most calls of one answer.
const CALLS_MAX: u32 = 1_000;

/// The service; cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessService {
    callers: Callers,
    calls: Calls,
}

impl AccessService {
    /// The service about these callers and their calls.
    #[must_use]
    pub fn server(callers: Callers, calls: Calls) -> AccessServer<Self> {
        AccessServer::new(Self { callers, calls })
    }
}

/// A text of a question, if it says any.
fn stated(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[tonic::async_trait]
impl Access for AccessService {
    async fn explain(
        &self,
        request: Request<v1::ExplainAccessRequest>,
    ) -> Result<Response<v1::ExplainAccessResponse>, Status> {
        permitted(&request, Permission::Secure)?;
        let asked = request.into_inner();
        let needs = match asked.permission.as_str() {
            "" => Permission::Check,
            word => Permission::EVERY
                .into_iter()
                .find(|one| one.word() == word)
                .ok_or_else(|| invalid("permission", "no such permission"))?,
        };
        let about = needs == Permission::Check || !asked.scenario.is_empty();
        let region = match about {
            true => Region::parse(&asked.region)
                .ok_or_else(|| invalid("region", "six digits of GB/T 2260"))?,
            false => Region::NATION,
        };
        let question = Question {
            source: &asked.source,
            scenario: &asked.scenario,
            stage: &asked.stage,
            region,
            purpose: stated(&asked.purpose),
            item: stated(&asked.item_code),
        };
        let caller = self.callers.named(&asked.caller);
        let answered = caller.as_ref().map_or(Answered::Unknown, |caller| {
            caller.answer(needs, about.then_some(&question))
        });
        // What is seen of a verdict, and of entries, is told of whoever is told anything.
        let sight = caller
            .as_ref()
            .filter(|_| answered == Answered::Allowed)
            .and_then(Caller::sight);
        let of_verdicts = matches!(
            needs,
            Permission::Check | Permission::Read | Permission::Watch
        );
        let view = sight
            .filter(|_| of_verdicts)
            .and_then(|sight| sight.view(question.purpose));
        let of_entries = matches!(
            needs,
            Permission::Read | Permission::Watch | Permission::Lists
        );
        let entries = sight.filter(|_| of_entries).map(Sight::in_words);
        Ok(Response::new(v1::ExplainAccessResponse {
            answer: answered.word().to_owned(),
            why: answered.to_string(),
            view: view.map_or_else(String::new, |view| view.name.to_string()),
            shows: view.map_or_else(String::new, |view| view.in_words()),
            entries: entries.unwrap_or_default(),
            department: caller
                .as_ref()
                .and_then(Caller::department)
                .unwrap_or_default()
                .to_owned(),
        }))
    }

    async fn list_calls(
        &self,
        request: Request<v1::ListCallsRequest>,
    ) -> Result<Response<v1::ListCallsResponse>, Status> {
        permitted(&request, Permission::Audit)?;
        let asked = request.into_inner();
        let limit = match asked.limit {
            0 => CALLS,
            limit if limit <= CALLS_MAX => limit,
            _ => return Err(invalid("limit", "at most 1000")),
        };
        let calls = self.calls.clone();
        let subject = asked.subject.as_ref();
        let subject = subject.map(|alias| alias_from_proto("subject", Some(alias)));
        let subject = subject
            .transpose()
            .map_err(|refused| status::refused_status(&refused))?;
        let wanted = Asked {
            caller: Some(asked.caller).filter(|name| !name.is_empty()),
            refused: asked.refused,
            subject_digest: subject.map(|subject| calls.digest(&subject).unwrap_or_default()),
        };
        let from = asked.from_position;
        let reading = tokio::task::spawn_blocking(move || {
            if !calls.is_place(from) {
                return Err(invalid(
                    "from_position",
                    "the `next_position` of an answer, or 0",
                ));
            }
            calls.page(&wanted, from, limit as usize).map_err(|error| {
                tracing::error!({ field::ERROR } = %Chain(&error), "the record of calls cannot be read");
                status::unavailable_status("records_unreadable", "what was recorded cannot be read now")
            })
        });
        let page = reading.await;
        page.map_err(|_| Status::internal("the work ended without an answer"))?
            .map(Response::new)
    }
}

fn invalid(field: &str, rule: &str) -> Status {
    status::refused_status(&Refused::one(field, rule))
}
