//! Service `Lists` over gRPC: who may, what is asked, what the registry says.

use std::collections::BTreeMap;
use std::pin::Pin;

use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_proto::v1::lists_server::{Lists, ListsServer};
use creditgate_proto::{Refused, status, v1};
use creditgate_runtime::access::Sees;
use creditgate_runtime::callers::{Caller, Permission, Standing, permitted, permitted_to_see};
use creditgate_runtime::metrics::ChangeRefusal;
use rustc_hash::FxHashSet;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::change::Change;
use crate::desk::shown;
use crate::error::ChangeError;
use crate::follow::{Filter, log_unreadable, watch};
use crate::history::record_of;
use crate::lookup::{self, Subject};
use crate::past_entries::entry_standing;
use crate::registry::Registry;
use crate::seen::Seen;
use crate::viewpoint;

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// Changes read ahead for one watcher.
const WATCH_AHEAD: usize = 256;

/// The service; cheap to clone.
#[derive(Clone, Debug)]
pub struct Service {
    registry: Registry,
}

impl Service {
    /// The service of a registry. An interceptor of the server puts the [`Caller`] into the
    /// extensions of each request; without one every call is refused.
    #[must_use]
    pub const fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// The tonic server of the service.
    #[must_use]
    pub fn server(registry: Registry) -> ListsServer<Self> {
        ListsServer::new(Self::new(registry))
    }
}

#[tonic::async_trait]
impl Lists for Service {
    async fn import(
        &self,
        request: Request<Streaming<v1::ImportRequest>>,
    ) -> Result<Response<v1::ImportSummary>, Status> {
        let caller = self.may_change(&request)?;
        let mut messages = request.into_inner();
        let header = match messages.message().await? {
            Some(v1::ImportRequest {
                part: Some(v1::import_request::Part::Header(header)),
            }) => header,
            _ => return Err(invalid("part", "the first message is the header")),
        };
        let mut import = self.registry.begin_import(header, &caller)?;
        while let Some(message) = messages.message().await? {
            match message.part {
                Some(v1::import_request::Part::Row(row)) => import.push(row)?,
                _ => return Err(invalid("part", "every message after the first is a row")),
            }
        }
        Ok(Response::new(import.finish().await?))
    }

    async fn apply(
        &self,
        request: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let (caller, sees) = permitted_to_see(&request, Permission::Lists)
            .inspect_err(|_| self.registry.count_refused(ChangeRefusal::Forbidden))?;
        let request = request.into_inner();
        // What a caller has stated itself comes back as it is.
        let is_its_own = matches!(request.change, Some(v1::apply_request::Change::Put(_)));
        let sees = if is_its_own { Sees::default() } else { sees };
        let change = Change::from_proto(request)
            .map_err(ChangeError::Invalid)
            .inspect_err(|why| self.registry.count_refused(why.counted_as()))?;
        let applied = self.registry.apply(change, &caller).await?;
        let generation = self.registry.live().load_full();
        let seen = Seen::new(&sees, &generation.book, self.registry.now());
        let entry = applied.entry.filter(|entry| seen.has_entry(entry));
        let mut entry = entry.map(|entry| record_of(&entry, Vec::new()));
        entry.iter_mut().for_each(|record| seen.record(record));
        Ok(Response::new(v1::ApplyResponse {
            list_version: applied.version.to_string(),
            entry,
        }))
    }

    async fn get_entry(
        &self,
        request: Request<v1::GetEntryRequest>,
    ) -> Result<Response<v1::GetEntryResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        let asked = request.into_inner();
        let registry = self.registry.clone();
        blocking(move || {
            let generation = registry.live().load_full();
            let from = viewpoint::read(&registry, &generation, &asked.as_of, asked.at)?;
            let entry = match from.earlier {
                false => generation.lists.entry(&asked.entry_id),
                true => registry
                    .past()
                    .entry_as_of(&asked.entry_id, from.version.seq)
                    .map_err(|error| log_unreadable(&error))?,
            };
            let seen = Seen::new(&sees, &generation.book, registry.now());
            let entry = entry
                .filter(|entry| seen.has_entry(entry))
                .ok_or_else(|| Status::from(ChangeError::UnknownEntry))?;
            let standing = entry_standing(&entry, &from);
            let entries = BTreeMap::from([(asked.entry_id, entry)]);
            let seq = from.version.seq;
            let mut records = with_history(&registry, entries, asked.with_history, seq)?;
            records.iter_mut().for_each(|record| seen.record(record));
            Ok(v1::GetEntryResponse {
                entry: records.into_iter().next(),
                list_version: from.version.to_string(),
                standing: Some(standing),
            })
        })
        .await
    }

    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<v1::ListEntriesResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        let asked = request.into_inner();
        let registry = self.registry.clone();
        blocking(move || page(&registry, &sees, asked)).await
    }

    type WatchEntriesStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchEntriesResponse, Status>> + Send>>;

    async fn watch_entries(
        &self,
        request: Request<v1::WatchEntriesRequest>,
    ) -> Result<Response<Self::WatchEntriesStream>, Status> {
        let (watcher, sees) = permitted_to_see(&request, Permission::Watch)?;
        let asked = request.into_inner();
        let filter = Filter::of_watch(&asked, &self.registry.live().load().book)
            .map_err(|refused| status::refused_status(&refused))?;
        let (out, stream) = mpsc::channel(WATCH_AHEAD);
        let standing = Standing::new(watcher, Permission::Watch);
        let span = (asked.from_seq, asked.follow);
        let registry = self.registry.clone();
        tokio::spawn(watch(registry, span, filter, sees, standing, out));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn list_sources(
        &self,
        request: Request<v1::ListSourcesRequest>,
    ) -> Result<Response<v1::ListSourcesResponse>, Status> {
        permitted(&request, Permission::Read)?;
        let now = self.registry.now();
        let ages = shown::list_ages(&self.registry, request.get_ref(), now)?;
        Ok(Response::new(ages))
    }

    async fn list_holds(
        &self,
        request: Request<v1::ListHoldsRequest>,
    ) -> Result<Response<v1::ListHoldsResponse>, Status> {
        permitted(&request, Permission::Read)?;
        let holds = shown::holds(&self.registry, request.get_ref());
        Ok(Response::new(holds))
    }

    async fn decide_hold(
        &self,
        request: Request<v1::DecideHoldRequest>,
    ) -> Result<Response<v1::DecideHoldResponse>, Status> {
        let caller = self.may_change(&request)?;
        let decided = self
            .registry
            .decide_hold(request.into_inner(), &caller)
            .await
            .inspect_err(|why| self.registry.count_refused(why.counted_as()))?;
        Ok(Response::new(decided))
    }

    async fn list_differences(
        &self,
        request: Request<v1::ListDifferencesRequest>,
    ) -> Result<Response<v1::ListDifferencesResponse>, Status> {
        let (_, sees) = permitted_to_see(&request, Permission::Read)?;
        let mut differences = shown::differences(&self.registry, request.get_ref())?;
        differences.differences.retain(|one| sees.list(&one.list));
        Ok(Response::new(differences))
    }

    async fn state(
        &self,
        request: Request<v1::StateRequest>,
    ) -> Result<Response<v1::StateResponse>, Status> {
        permitted(&request, Permission::Read)?;
        let registry = self.registry.clone();
        blocking(move || Ok(state(&registry))).await
    }
}

impl Service {
    fn may_change<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        permitted(request, Permission::Lists)
            .inspect_err(|_| self.registry.count_refused(ChangeRefusal::Forbidden))
    }
}

fn invalid(field: &str, rule: &str) -> Status {
    status::refused_status(&Refused::one(field, rule))
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<Response<T>, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Status::internal("the work ended without an answer"))?
        .map(Response::new)
}

fn state(registry: &Registry) -> v1::StateResponse {
    let behind = registry.behind();
    let generation = registry.live().load_full();
    let lists = &generation.lists;
    let hash = lists.state_hash();
    v1::StateResponse {
        list_version: lists.version().to_string(),
        entries: lists.len() as u64,
        state: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        book_version: generation.book.version().to_string(),
        follows: registry.follows(),
        role: registry.role().label().to_owned(),
        behind_ms: behind.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn page(
    registry: &Registry,
    sees: &Sees,
    asked: v1::ListEntriesRequest,
) -> Result<v1::ListEntriesResponse, Status> {
    let size = match asked.page_size {
        0 => PAGE_DEFAULT,
        size @ 1..=PAGE_MAX => size,
        _ => return Err(invalid("page_size", "at most 1000")),
    } as usize;
    let generation = registry.live().load_full();
    let (lists, book) = (&generation.lists, &generation.book);
    if !asked.list.is_empty() {
        crate::life::known_list(&asked.list, book).map_err(Status::from)?;
    }
    let from = viewpoint::read(registry, &generation, &asked.as_of, None)?;
    if from.earlier && asked.subject.is_none() {
        return Err(invalid("as_of", "asked with a subject only"));
    }
    let after = asked.page_token.as_str();
    let seen = Seen::new(sees, book, registry.now());
    let mut found: BTreeMap<String, Entry> = match &asked.subject {
        Some(subject) => {
            let subject = Subject::read(subject, book.simplify())
                .map_err(|refused| status::refused_status(&refused))?;
            let mut entries = match from.earlier {
                false => subject.entries(lists, book.simplify()),
                true => {
                    let past = registry.past();
                    let then = past.lists_of(from.version.seq, book, subject.keys());
                    let then = then.map_err(|error| log_unreadable(&error))?;
                    subject.entries(&then, book.simplify())
                }
            };
            entries.retain(|id, entry| {
                id.as_str() > after
                    && (asked.list.is_empty() || entry.list.as_str() == asked.list)
                    && seen.has_entry(entry)
            });
            entries
        }
        None if asked.list.is_empty() => {
            return Err(invalid("subject", "required: a subject, a list, or both"));
        }
        None => {
            let wanted = |entry: &StoredEntry<'_>| seen.has(entry);
            lookup::of_list(lists, &asked.list, after, size + 1, wanted)
        }
    };
    let more = found.len() > size;
    while found.len() > size {
        found.pop_last();
    }
    let next_page_token = found
        .last_key_value()
        .filter(|_| more)
        .map(|(id, _)| id.clone())
        .unwrap_or_default();
    let version = from.version;
    let mut entries = with_history(registry, found, asked.with_history, version.seq)?;
    entries.iter_mut().for_each(|record| seen.record(record));
    Ok(v1::ListEntriesResponse {
        entries,
        next_page_token,
        list_version: version.to_string(),
    })
}

fn with_history(
    registry: &Registry,
    entries: BTreeMap<String, Entry>,
    wanted: bool,
    up_to: u64,
) -> Result<Vec<v1::EntryRecord>, Status> {
    let mut changes = BTreeMap::new();
    if wanted && !entries.is_empty() {
        let ids: FxHashSet<String> = entries.keys().cloned().collect();
        changes = registry
            .past()
            .changes_of(&ids, up_to)
            .map_err(|error| log_unreadable(&error))?;
    }
    let record =
        |(id, entry): (String, Entry)| record_of(&entry, changes.remove(&id).unwrap_or_default());
    Ok(entries.into_iter().map(record).collect())
}
