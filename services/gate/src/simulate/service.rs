//! The gRPC service `Simulation`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use creditgate_measures::book::{Book, BookErrors, BookVersion, SourceFile};
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::Outcome;
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::v1::simulation_server::{self, SimulationServer};
use creditgate_proto::{Refused, Violation, status, v1};
use creditgate_runtime::callers::{Caller, Permission};
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::{Journal, ReadError};
use creditgate_runtime::ports::{HistoryError, NoCandidate};
use creditgate_runtime::telemetry::names::field;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Extensions, Request, Response, Status};

use super::{Done, Error, Progress, Samples, Scope, Simulation, random_id, workers};
use crate::failure::Failure;
use crate::gate::{Gate, Inner};
use crate::service::permitted;
use crate::shadow;
use crate::watch::boundary;

/// Most samples of one transition, and most examples of persons.
const SAMPLES_MAX: u32 = 1_000;
const SAMPLES_DEFAULT: u32 = 10;
const PERSONS_DEFAULT: u32 = 20;
/// Longest purpose, in characters.
const PURPOSE_CHARS_MAX: usize = 512;
/// Parts of an answer that may wait for the client.
const AHEAD: usize = 16;

type Part = Result<v1::SimulateResponse, Status>;

/// A candidate, or everything that is wrong with it.
enum Candidate {
    /// The book, and the hash of its files.
    Sound(Arc<Book>, BookVersion),
    Refused(BookErrors),
}

/// What a caller asked, understood.
struct Asked {
    caller: Arc<str>,
    purpose: String,
    scope: Scope,
    samples: Samples,
}

impl Gate {
    /// The gRPC service `Simulation`; callers come as for [`Gate::service`].
    #[must_use]
    pub fn simulation_service(&self) -> SimulationServer<Gate> {
        SimulationServer::new(self.clone())
    }

    /// The content hash of the candidate of a simulation, hexadecimal and empty for the book in force;
    /// none when no such simulation is kept here. Blocks.
    ///
    /// # Errors
    /// When the records of simulations cannot be read.
    pub fn simulated(&self, simulation_id: &str) -> Result<Option<String>, Status> {
        let found = self.inner.simulations.find(simulation_id);
        let found = found.map_err(|error| kept_status(&error))?;
        Ok(found.map(|simulation| simulation.content_hash))
    }
}

#[tonic::async_trait]
impl simulation_server::Simulation for Gate {
    type SimulateStream = ReceiverStream<Part>;

    async fn simulate(
        &self,
        request: Request<v1::SimulateRequest>,
    ) -> Result<Response<Self::SimulateStream>, Status> {
        let (_, extensions, mut request) = request.into_parts();
        let caller = may_simulate(&extensions)?.shared_name();
        let book = request.book.take();
        let asked = Asked::of(caller, request)?;
        self.inner
            .admission
            .open()
            .map_err(|failure| failure.status())?;
        let inner = Arc::clone(&self.inner);
        let (sender, parts) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            if let Err(refused) = inner.simulate(book, asked, &sender).await {
                // Nobody may be left to hear it.
                let _ = sender.send(Err(refused)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(parts)))
    }

    async fn get_simulation(
        &self,
        request: Request<v1::GetSimulationRequest>,
    ) -> Result<Response<v1::GetSimulationResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        may_simulate(&extensions)?;
        let inner = Arc::clone(&self.inner);
        let find = move || inner.simulations.find(&request.simulation_id);
        match tokio::task::spawn_blocking(find).await {
            Ok(Ok(Some(simulation))) => Ok(Response::new(v1::GetSimulationResponse {
                simulation: Some(simulation),
            })),
            Ok(Ok(None)) => Err(status::not_found_status(
                "simulation_unknown",
                "there is no such simulation",
            )),
            Ok(Err(error)) => Err(kept_status(&error)),
            Err(_) => Err(Failure::Internal.status()),
        }
    }

    async fn set_shadow(
        &self,
        request: Request<v1::SetShadowRequest>,
    ) -> Result<Response<v1::SetShadowResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let caller = may_simulate(&extensions)?.shared_name();
        let purpose = purposed(&request.purpose)?;
        let book = request.book.ok_or_else(book_missing)?;
        // Held until the work is done, also when the caller goes away meanwhile.
        let alone = Arc::clone(&self.inner.setting_shadow)
            .try_lock_owned()
            .map_err(|_| {
                Status::resource_exhausted(
                    "the shadow is being set or cleared; try again when it is done",
                )
            })?;
        let files = book.clone();
        let candidate = match candidate(Arc::clone(&self.inner), files).await? {
            Candidate::Sound(book, _) => book,
            Candidate::Refused(errors) => return Err(refused_status(&errors)),
        };
        self.inner
            .admission
            .open()
            .map_err(|failure| failure.status())?;
        if !self
            .inner
            .live
            .load()
            .lists
            .normalised_by(candidate.simplify())
        {
            return Err(status::failed_precondition_status(
                "name_table",
                "the book has another table of characters than the one by which the lists are \
                 indexed: simulate it instead",
            ));
        }
        let now = Time::from_micros(self.inner.clock.now_micros());
        let version = candidate.version().to_string();
        let record = shadow::record_of(new_id()?, version, &book, &caller, purpose.clone(), now);
        let inner = Arc::clone(&self.inner);
        let set = move || {
            let _alone = alone;
            let (shadow_id, book_version) = (record.shadow_id.clone(), record.book_version.clone());
            inner.shadow.set(record, candidate, now)?;
            tracing::info!(
                { field::CALLER } = %caller,
                purpose,
                shadow_id,
                book_version,
                "the shadow was set"
            );
            Ok(inner.shadow.status().0)
        };
        let state = on_disk(set).await?;
        Ok(Response::new(v1::SetShadowResponse { state }))
    }

    async fn clear_shadow(
        &self,
        request: Request<v1::ClearShadowRequest>,
    ) -> Result<Response<v1::ClearShadowResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let caller = may_simulate(&extensions)?.shared_name();
        let purpose = purposed(&request.purpose)?;
        let alone = Arc::clone(&self.inner.setting_shadow).lock_owned().await;
        let inner = Arc::clone(&self.inner);
        let clear = move || {
            let _alone = alone;
            let ended = inner.shadow.clear()?;
            tracing::info!({ field::CALLER } = %caller, purpose, "the shadow was cleared");
            Ok(ended)
        };
        let ended = on_disk(clear).await?;
        Ok(Response::new(v1::ClearShadowResponse { ended }))
    }

    async fn shadow_status(
        &self,
        request: Request<v1::ShadowStatusRequest>,
    ) -> Result<Response<v1::ShadowStatusResponse>, Status> {
        may_simulate(request.extensions())?;
        let (state, not_running) = self.inner.shadow.status();
        Ok(Response::new(v1::ShadowStatusResponse {
            state,
            not_running,
        }))
    }

    type ShadowDifferencesStream = ReceiverStream<Result<v1::ShadowDifferencesResponse, Status>>;

    async fn shadow_differences(
        &self,
        request: Request<v1::ShadowDifferencesRequest>,
    ) -> Result<Response<Self::ShadowDifferencesStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        may_simulate(&extensions)?;
        let mut violations = Vec::new();
        let transitions = transitions(&mut violations, &request.transitions);
        refuse(violations)?;
        let journal = self.inner.shadow.journal().ok_or_else(|| {
            status::failed_precondition_status("no_shadow", "no shadow runs here")
        })?;
        let (sender, differences) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = send_differences(&journal, &request, &transitions, &sender) {
                let _ = sender.blocking_send(Err(status_of(&Error::Read(error))));
            }
        });
        Ok(Response::new(ReceiverStream::new(differences)))
    }
}

/// Sends the differences that are wanted until nobody takes them any more. Blocks.
fn send_differences(
    journal: &Journal,
    wanted: &v1::ShadowDifferencesRequest,
    transitions: &[(Outcome, Outcome)],
    sender: &mpsc::Sender<Result<v1::ShadowDifferencesResponse, Status>>,
) -> Result<(), ReadError> {
    let start = boundary(journal, wanted.from_position)?;
    for record in journal.read_from(start) {
        let record = record?;
        let Ok(difference) = v1::ShadowDifference::decode(record.payload) else {
            continue;
        };
        let told = (difference.old.as_str(), difference.new.as_str());
        let is_told = |(old, new): &(Outcome, Outcome)| (old.code(), new.code()) == told;
        let fits = (transitions.is_empty() || transitions.iter().any(is_told))
            && (wanted.rows.is_empty()
                || difference
                    .rows
                    .iter()
                    .any(|change| wanted.rows.contains(&change.row)));
        let response = v1::ShadowDifferencesResponse {
            position: record.position.0,
            difference: Some(difference),
        };
        if fits && sender.blocking_send(Ok(response)).is_err() {
            break;
        }
    }
    Ok(())
}

/// Work of the shadow on a thread that may block.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, shadow::Error> + Send + 'static,
) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::error!({ field::ERROR } = %Chain(&error), "the shadow cannot be kept");
            let message = error.to_string();
            Err(status::unavailable_status("journal_unavailable", &message))
        }
        Err(_) => Err(Failure::Internal.status()),
    }
}

impl Inner {
    /// Sends progress and result; gives back why there is none.
    async fn simulate(
        self: Arc<Self>,
        book: Option<v1::CandidateBook>,
        asked: Asked,
        sender: &mpsc::Sender<Part>,
    ) -> Result<(), Status> {
        let Ok(running) = self.simulating.try_lock() else {
            return Err(Status::resource_exhausted(
                "another simulation runs; try again when it is done",
            ));
        };
        let (candidate, content_hash) = match book {
            // Its files are known by its version.
            None => (Arc::clone(&self.live.load().book), String::new()),
            Some(book) => match candidate(Arc::clone(&self), book).await? {
                Candidate::Sound(book, files) => (book, files.to_string()),
                Candidate::Refused(errors) => {
                    drop(running);
                    let refused = part(v1::simulate_response::Part::Refused(refusal(&errors)));
                    let _ = sender.send(Ok(refused)).await;
                    return Err(refused_status(&errors));
                }
            },
        };
        known_to([&candidate, &Arc::clone(&self.live.load().book)], &asked)?;
        let cancelled = Arc::new(AtomicBool::new(false));
        let work = {
            let (inner, sender) = (Arc::clone(&self), sender.clone());
            let cancelled = Arc::clone(&cancelled);
            move || {
                let candidate = (&candidate, content_hash);
                inner.simulate_blocking(candidate, &asked, &cancelled, &sender)
            }
        };
        let mut work = tokio::task::spawn_blocking(work);
        let done = tokio::select! {
            done = &mut work => done,
            () = self.given_up(sender) => {
                cancelled.store(true, Ordering::Relaxed);
                work.await
            }
        };
        // The next one need not wait until a slow client has taken the result.
        drop(running);
        let result = done.map_err(|_| Failure::Internal.status())??;
        let last = part(v1::simulate_response::Part::Result(result));
        let _ = sender.send(Ok(last)).await;
        Ok(())
    }

    /// Waits until nobody wants a result any more.
    async fn given_up(&self, sender: &mpsc::Sender<Part>) {
        tokio::select! {
            () = sender.closed() => {}
            () = self.admission.closed() => {}
        }
    }

    fn simulate_blocking(
        &self,
        (candidate, content_hash): (&Arc<Book>, String),
        asked: &Asked,
        cancelled: &Arc<AtomicBool>,
        sender: &mpsc::Sender<Part>,
    ) -> Result<v1::SimulationResult, Status> {
        let began = Instant::now();
        let live_book_version = self.live.load().book.version().to_string();
        let tell = |progress: Progress| {
            // A slow client misses some of it.
            let _ = sender.try_send(Ok(told(progress)));
        };
        let simulation = Simulation {
            journal: self.records.journal(),
            history: self.history.as_ref(),
            live: &self.live,
            candidate,
            scope: &asked.scope,
            samples: &asked.samples,
            workers: workers(),
            cancelled,
            tell: &tell,
            see: &|_, _| {},
        };
        let Done {
            mut result,
            positions,
        } = simulation.run().map_err(|error| status_of(&error))?;
        result.simulation_id = new_id()?;
        result.book_version = candidate.version().to_string();
        result.content_hash = content_hash;
        result.live_book_version = live_book_version;
        result.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let now = self.clock.now_micros();
        let record = record_of(&result, asked, positions, Time::from_micros(now));
        self.simulations
            .append(&record, now)
            .map_err(|error| kept_status(&error))?;
        tracing::info!(
            { field::CALLER } = %asked.caller,
            simulation_id = result.simulation_id,
            book_version = result.book_version,
            "recorded events were decided with another book"
        );
        Ok(result)
    }
}

/// What is kept of a simulation.
fn record_of(
    result: &v1::SimulationResult,
    asked: &Asked,
    (from_position, to_position): (u64, u64),
    now: Time,
) -> v1::SimulationRecord {
    let limited = result.newly_limited.as_ref();
    v1::SimulationRecord {
        simulation_id: result.simulation_id.clone(),
        caller: asked.caller.as_ref().to_owned(),
        purpose: asked.purpose.clone(),
        book_version: result.book_version.clone(),
        content_hash: result.content_hash.clone(),
        live_book_version: result.live_book_version.clone(),
        from: asked.scope.from.map(time_to_proto),
        to: asked.scope.to.map(time_to_proto),
        from_position,
        to_position,
        scenarios: asked.scope.scenarios.clone(),
        finished_at: Some(time_to_proto(now)),
        totals: result.totals.clone(),
        transitions: result.transitions.clone(),
        persons_newly_limited: limited.map_or(0, |limited| limited.persons),
        others_newly_limited: limited.map_or(0, |limited| limited.others),
    }
}

impl Asked {
    fn of(caller: Arc<str>, request: v1::SimulateRequest) -> Result<Self, Status> {
        let mut violations = Vec::new();
        let v = &mut violations;
        let purpose = purpose(v, &request.purpose);
        let from = time(v, "from", request.from.as_ref());
        let to = time(v, "to", request.to.as_ref());
        if let (Some(from), Some(to)) = (from, to)
            && to <= from
        {
            v.push(Violation::new("to", "later than `from`"));
        }
        let transitions = transitions(v, &request.transitions);
        let samples_max = at_most(v, "samples_max", request.samples_max, SAMPLES_DEFAULT);
        let persons_max = at_most(v, "persons_max", request.persons_max, PERSONS_DEFAULT);
        refuse(violations)?;
        Ok(Self {
            caller,
            purpose,
            scope: Scope {
                from,
                to,
                from_position: request.from_position,
                to_position: (request.to_position > 0).then_some(request.to_position),
                scenarios: request.scenarios,
            },
            samples: Samples {
                per_transition: samples_max,
                persons: persons_max,
                rows: request.rows,
                transitions,
            },
        })
    }
}

/// The outcomes of a transition, as `PASS->PROHIBIT`.
fn transition_of(text: &str) -> Option<(Outcome, Outcome)> {
    let (old, new) = text.split_once("->")?;
    Some((Outcome::parse(old.trim())?, Outcome::parse(new.trim())?))
}

/// The outcomes of these transitions.
fn transitions(violations: &mut Vec<Violation>, texts: &[String]) -> Vec<(Outcome, Outcome)> {
    let mut known = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        match transition_of(text) {
            Some(transition) => known.push(transition),
            None => violations.push(Violation::new(
                format!("transitions[{at}]"),
                "two outcomes, as `PASS->PROHIBIT`",
            )),
        }
    }
    known
}

/// Refuses a scenario or a row that none of these books knows: nothing would be found, which would
/// read as if nothing were different.
fn known_to(books: [&Book; 2], asked: &Asked) -> Result<(), Status> {
    let mut violations = Vec::new();
    for (at, scenario) in asked.scope.scenarios.iter().enumerate() {
        if books.iter().all(|book| book.scenario(scenario).is_none()) {
            let rule = format!("`{scenario}` is a scenario of neither book");
            violations.push(Violation::new(format!("scenarios[{at}]"), rule));
        }
    }
    for (at, row) in asked.samples.rows.iter().enumerate() {
        let mut measures = books.iter().flat_map(|book| book.measures());
        if !measures.any(|measure| measure.id.as_str() == row) {
            let rule = format!("`{row}` is a row of neither book");
            violations.push(Violation::new(format!("rows[{at}]"), rule));
        }
    }
    refuse(violations)
}

fn refuse(violations: Vec<Violation>) -> Result<(), Status> {
    Refused::unless_empty(violations).map_err(|refused| status::refused_status(&refused))
}

/// A stated purpose, or the refusal.
fn purposed(text: &str) -> Result<String, Status> {
    let mut violations = Vec::new();
    let purpose = purpose(&mut violations, text);
    refuse(violations)?;
    Ok(purpose)
}

fn purpose(violations: &mut Vec<Violation>, text: &str) -> String {
    let purpose = text.trim();
    if purpose.is_empty() {
        let rule = "required: say why recorded events are to be decided again";
        violations.push(Violation::new("purpose", rule));
    } else if purpose.chars().count() > PURPOSE_CHARS_MAX {
        let rule = format!("at most {PURPOSE_CHARS_MAX} characters");
        violations.push(Violation::new("purpose", rule));
    }
    purpose.to_owned()
}

fn time(
    violations: &mut Vec<Violation>,
    field: &str,
    stamp: Option<&pbjson_types::Timestamp>,
) -> Option<Time> {
    let stamp = stamp?;
    let time = time_from_proto(stamp);
    if time.is_none() {
        violations.push(Violation::new(field, "a time that can be"));
    }
    time
}

fn at_most(
    violations: &mut Vec<Violation>,
    field: &str,
    asked: Option<u32>,
    default: u32,
) -> usize {
    let asked = asked.unwrap_or(default);
    if asked > SAMPLES_MAX {
        violations.push(Violation::new(field, format!("at most {SAMPLES_MAX}")));
    }
    usize::try_from(asked).unwrap_or(usize::MAX)
}

fn book_missing() -> Status {
    status::refused_status(&Refused::one("book.files", "required"))
}

/// Loads a candidate with what the deployment says of the book in force.
async fn candidate(inner: Arc<Inner>, book: v1::CandidateBook) -> Result<Candidate, Status> {
    if book.files.is_empty() {
        return Err(book_missing());
    }
    let load = move || {
        let live = inner.live.load().book.version();
        let files: Vec<SourceFile> = book
            .files
            .into_iter()
            .map(|file| SourceFile::new(file.path, file.text))
            .collect();
        match inner.history.candidate(live, &files) {
            Ok(candidate) => {
                let files = BookVersion(Book::content_hash(&files));
                Ok(Candidate::Sound(Arc::new(candidate.book), files))
            }
            Err(NoCandidate::Refused(errors)) => Ok(Candidate::Refused(errors)),
            Err(NoCandidate::History(error)) => Err(error),
        }
    };
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(candidate)) => Ok(candidate),
        Ok(Err(error)) => Err(status_of(&Error::History(error))),
        Err(_) => Err(Failure::Internal.status()),
    }
}

/// INVALID_ARGUMENT with as many of the faults as a header holds.
fn refused_status(errors: &BookErrors) -> Status {
    let violations = errors
        .0
        .iter()
        .map(|error| {
            let place = format!("{}:{}", error.file, error.line);
            let rule = format!("{}: {}; {}", error.subject, error.rule, error.mend);
            Violation::new(place, rule)
        })
        .collect();
    status::refused_status(&Refused { violations })
}

fn refusal(errors: &BookErrors) -> v1::CandidateRefused {
    let faults = errors.0.iter().map(|error| v1::BookFault {
        file: error.file.clone(),
        line: error.line,
        subject: error.subject.clone(),
        rule: error.rule.clone(),
        mend: error.mend.clone(),
    });
    v1::CandidateRefused {
        faults: faults.collect(),
    }
}

fn may_simulate(extensions: &Extensions) -> Result<&Caller, Status> {
    permitted(extensions.get(), Permission::Simulate).map_err(|failure| failure.status())
}

fn part(part: v1::simulate_response::Part) -> v1::SimulateResponse {
    v1::SimulateResponse { part: Some(part) }
}

fn told(progress: Progress) -> v1::SimulateResponse {
    part(v1::simulate_response::Part::Progress(
        v1::SimulationProgress {
            phase: progress.phase.to_owned(),
            done: progress.done,
            total: progress.total,
            per_second: progress.per_second,
        },
    ))
}

/// A random id of version 4.
fn new_id() -> Result<String, Status> {
    random_id().ok_or_else(|| Failure::Internal.status())
}

fn status_of(error: &Error) -> Status {
    match error {
        Error::Cancelled | Error::History(HistoryError::Cancelled) => {
            Status::cancelled(error.to_string())
        }
        Error::History(HistoryError::Unknown(what)) => {
            tracing::warn!({ field::ERROR } = %Chain(error), "a simulation lacks its history");
            let message = format!("{what} is not in the change log of this process");
            status::failed_precondition_status("history_unknown", &message)
        }
        Error::History(HistoryError::Log(_)) | Error::Read(_) => {
            tracing::error!({ field::ERROR } = %Chain(error), "what was recorded cannot be read");
            Failure::Unreadable.status()
        }
        Error::Fault => Failure::Internal.status(),
    }
}

fn kept_status(error: &super::kept::Error) -> Status {
    tracing::error!({ field::ERROR } = %Chain(error), "the journal of simulations fails");
    status::unavailable_status("journal_unavailable", &error.to_string())
}
