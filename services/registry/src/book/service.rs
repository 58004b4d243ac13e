//! Service `Books` over gRPC: who may, what is asked, what the registry says.

use std::sync::Arc;

use creditgate_measures::book::BookVersion;
use creditgate_measures::time::Date;
use creditgate_proto::v1::books_server::{Books, BooksServer};
use creditgate_proto::{Refused, Violation, status, v1};
use creditgate_runtime::callers::{Permission, permitted};
use creditgate_runtime::hex::hex;
use tonic::{Request, Response, Status};

use super::confirmed::{Confirmation, Withdrawal};
use super::force::Publication;
use super::{info, pack};
use crate::registry::Registry;
use crate::service::blocking;

/// Books told when nobody says how many.
const LIST_DEFAULT: u32 = 100;
/// The field of a publication that names a simulation.
const SIMULATION: &str = "simulation_id";
/// Longest text of a request: a reason, a document, an office.
const TEXT_MAX: usize = 500;

/// Tells the content hash of the candidate of a simulation by its id, hexadecimal, empty where the
/// book in force was simulated; none when there is no such simulation. May block.
pub type Simulations = Arc<dyn Fn(&str) -> Result<Option<String>, Status> + Send + Sync>;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct BooksService {
    registry: Registry,
    simulations: Option<Simulations>,
}

impl std::fmt::Debug for BooksService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BooksService")
            .field("registry", &self.registry)
            .field("simulations", &self.simulations.is_some())
            .finish()
    }
}

impl BooksService {
    /// The tonic server of the service; as for [`crate::Service`], an interceptor tells who calls.
    /// Without `simulations` they are kept elsewhere, and their ids are recorded as they are given.
    #[must_use]
    pub fn server(registry: Registry, simulations: Option<Simulations>) -> BooksServer<Self> {
        BooksServer::new(Self {
            registry,
            simulations,
        })
    }
}

#[tonic::async_trait]
impl Books for BooksService {
    async fn publish(
        &self,
        request: Request<v1::PublishBookRequest>,
    ) -> Result<Response<v1::PublishBookResponse>, Status> {
        let caller = permitted(&request, Permission::Publish)?;
        let asked = request.into_inner();
        let mut form = Form::default();
        if asked.pack.is_empty() {
            form.refuse("pack", "required");
        }
        let publication = Publication {
            reason: form.required("reason", asked.reason),
            simulation_id: form.text(SIMULATION, asked.simulation_id),
            expected: Some(asked.expected_version).filter(|version| !version.is_empty()),
            pack: asked.pack,
        };
        let id = &publication.simulation_id;
        if !id.is_empty() && uuid::Uuid::try_parse(id).is_err() {
            form.refuse(SIMULATION, "write the id as the simulation told it: a UUID");
        }
        form.check()?;
        self.simulated(&publication).await?;
        let done = self.registry.publish_book(publication, &caller).await?;
        Ok(Response::new(v1::PublishBookResponse {
            book: Some(self.recorded(done.book).await?),
            list_version: done.lists.to_string(),
            unchanged: done.unchanged,
            confirmations_ended: done.confirmations_ended,
            confirmations_kept: done.confirmations_kept,
        }))
    }

    async fn confirm(
        &self,
        request: Request<v1::ConfirmMeasureRequest>,
    ) -> Result<Response<v1::ConfirmMeasureResponse>, Status> {
        let caller = permitted(&request, Permission::Publish)?;
        let asked = request.into_inner();
        let mut form = Form::default();
        let confirmation = Confirmation {
            measure: form.required("measure_id", asked.measure_id),
            confirmed_by: form.required("confirmed_by", asked.confirmed_by),
            document: form.required("document", asked.document),
            published_at: form.day("published_at", asked.published_at),
            published_in: Some(form.text("published_in", asked.published_in))
                .filter(|text| !text.is_empty()),
            effective_from: form.day("effective_from", asked.effective_from),
        };
        let given = &confirmation;
        let days = [
            &given.published_at,
            &given.published_in,
            &given.effective_from,
        ];
        if asked.withdraw && days.into_iter().any(Option::is_some) {
            form.refuse(
                "withdraw",
                "days and place belong to a confirmation; leave them out",
            );
        }
        form.check()?;
        let done = match asked.withdraw {
            true => {
                let withdrawal = Withdrawal {
                    measure: confirmation.measure,
                    withdrawn_by: confirmation.confirmed_by,
                    document: confirmation.document,
                };
                self.registry.withdraw_row(withdrawal, &caller).await?
            }
            false => self.registry.confirm_row(confirmation, &caller).await?,
        };
        Ok(Response::new(v1::ConfirmMeasureResponse {
            book: Some(self.recorded(done.book).await?),
            list_version: done.lists.to_string(),
        }))
    }

    async fn current(
        &self,
        request: Request<v1::CurrentBookRequest>,
    ) -> Result<Response<v1::CurrentBookResponse>, Status> {
        permitted(&request, Permission::Read)?;
        let generation = self.registry.live().load_full();
        let info = self.recorded(generation.book.version()).await?;
        let rows = generation.book.measures();
        let active = rows.iter().filter(|row| row.active).count();
        let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
        Ok(Response::new(v1::CurrentBookResponse {
            book: Some(info),
            rows_active: count(active),
            rows_inactive: count(rows.len() - active),
            refused: self.registry.book_trouble(),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListBooksRequest>,
    ) -> Result<Response<v1::ListBooksResponse>, Status> {
        permitted(&request, Permission::Read)?;
        let limit = match request.into_inner().limit {
            0 => LIST_DEFAULT,
            limit => limit,
        };
        let registry = self.registry.clone();
        blocking(move || {
            let past = registry.past();
            let books = past.books().into_iter().take(limit as usize);
            let books = books
                .map(|at| info::at(past.log(), at))
                .collect::<Result<_, _>>()
                .map_err(unreadable)?;
            Ok(v1::ListBooksResponse { books })
        })
        .await
    }
}

impl BooksService {
    /// The simulation that is named was one of these files. What is no pack is told later.
    async fn simulated(&self, publication: &Publication) -> Result<(), Status> {
        let Some(simulations) = self.simulations.clone() else {
            return Ok(());
        };
        let id = publication.simulation_id.clone();
        let (Ok(pack), false) = (pack::open(&publication.pack), id.is_empty()) else {
            return Ok(());
        };
        let wrong = blocking(move || {
            Ok(match simulations(&id)? {
                None => Some(
                    "there is no such simulation here: simulate the pack, and name the id that is told",
                ),
                Some(of) if of != hex(&pack.content_hash) => Some(
                    "that simulation was of other files: simulate this pack, and name the id that is told",
                ),
                Some(_) => None,
            })
        });
        match wrong.await?.into_inner() {
            Some(rule) => Err(status::refused_status(&Refused::one(SIMULATION, rule))),
            None => Ok(()),
        }
    }

    /// A book as it was recorded last.
    async fn recorded(&self, version: BookVersion) -> Result<v1::BookInfo, Status> {
        let registry = self.registry.clone();
        let found = blocking(move || {
            let version = version.to_string();
            for at in registry.past().books() {
                let book = info::at(registry.past().log(), at).map_err(unreadable)?;
                if book.version == version {
                    return Ok(book);
                }
            }
            Err(Status::internal(
                "the book in force is not in the change log",
            ))
        });
        found.await.map(Response::into_inner)
    }
}

fn unreadable(error: crate::error::Error) -> Status {
    super::PublishError::from(error).into()
}

/// What is wrong with a request, all of it.
#[derive(Default)]
struct Form(Vec<Violation>);

impl Form {
    fn refuse(&mut self, field: &str, rule: &str) {
        self.0.push(Violation::new(field, rule));
    }

    fn text(&mut self, field: &str, text: String) -> String {
        if text.chars().count() > TEXT_MAX {
            self.refuse(field, "at most 500 characters");
        }
        text.trim().to_owned()
    }

    fn required(&mut self, field: &str, text: String) -> String {
        let text = self.text(field, text);
        if text.is_empty() {
            self.refuse(field, "required");
        }
        text
    }

    fn day(&mut self, field: &str, text: String) -> Option<String> {
        let text = self.text(field, text);
        if text.is_empty() {
            return None;
        }
        if Date::parse(&text).is_err() {
            self.refuse(field, "write a day as YYYY-MM-DD");
        }
        Some(text)
    }

    fn check(self) -> Result<(), Status> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(status::refused_status(&Refused { violations: self.0 })),
        }
    }
}
