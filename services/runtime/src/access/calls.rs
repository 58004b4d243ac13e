//! Who called: everybody who was refused, and everybody who did something else than have an event decided.
//!
//! A check leaves its verdict in the journal of verdicts, with who asked. All other calls leave a record here, in a journal
//! of its own, chained and covered by check points like the others. Calls of one second that are alike become one record
//! with their number, so that whoever is refused a million times fills no disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::records::kind;
use creditgate_proto::v1::{self, CallRecord};
use http::uri::PathAndQuery;
use parking_lot::Mutex;
use prost::Message as _;

use crate::clock::Clock;
use crate::errors::Chain;
use crate::health::Readiness;
use crate::journal::{self, Journal, NewRecord, Position, ReadError, Reader};
use crate::shutdown::Shutdown;
use crate::telemetry::names::field;

/// The directory of its journal within the data directory, and its name in check points.
const NAME: &str = "calls";
/// The name under which this speaks to readiness; only once something is wrong.
const COMPONENT: &str = "record of calls";
/// How long calls that are alike are counted before they are recorded.
const COUNTED_FOR: Duration = Duration::from_secs(1);
/// Calls of a second that are told apart.
const APART_MAX: usize = 4_096;
/// Records looked at for one answer.
const LOOKED_AT: usize = 65_536;
/// Bytes of what was called that are kept.
const CALL_BYTES_MAX: usize = 128;
/// Size of its files: far fewer records come here than elsewhere.
const SEGMENT_BYTES: u64 = 4 << 20;

/// Where a call comes from, and what it calls.
#[derive(Debug, Clone)]
pub struct Call {
    /// The address of the peer.
    pub address: IpAddr,
    /// What is called.
    pub path: PathAndQuery,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was let in.
    Allowed,
    /// Nobody knows the caller.
    Unauthenticated,
    /// The caller may not do this.
    PermissionDenied,
    /// The caller may do this, but not about that.
    Outside,
    /// The caller asks more than was agreed.
    TooMany,
}

impl Outcome {
    /// FENCED: records keep these words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::Outside => "outside",
            Self::TooMany => "too_many",
        }
    }
}

/// Something to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Noted {
    /// Name of the caller; none: not recognised.
    pub caller: Option<Arc<str>>,
    /// Its department.
    pub department: Option<Arc<str>>,
    /// From where; none: not known.
    pub address: Option<IpAddr>,
    /// What was called; empty: not known.
    pub call: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused. Never holds what the caller sent.
    pub why: String,
}

impl Noted {
    /// About this call.
    #[must_use]
    pub fn of(call: Option<&Call>, outcome: Outcome, why: String) -> Self {
        Self {
            caller: None,
            department: None,
            address: call.map(|call| call.address.to_canonical()),
            call: call.map_or_else(String::new, |call| shortened(call.path.path())),
            outcome,
            why,
        }
    }
}

/// Only the path, of which the query is no part: it may hold anything.
fn shortened(path: &str) -> String {
    let end = path.floor_char_boundary(CALL_BYTES_MAX);
    path[..end].to_owned()
}

/// Takes note of calls. Cheap to clone; the default keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Calls(Option<Arc<Kept>>);

#[derive(Debug)]
struct Kept {
    counted: Mutex<HashMap<Noted, Counted>>,
    journal: Journal,
    clock: Clock,
    readiness: Readiness,
}

/// How many calls that are alike, and when.
#[derive(Debug, Clone, Copy)]
struct Counted {
    times: u64,
    first: i64,
    last: i64,
}

impl Calls {
    /// Opens the record of a data directory. Blocks on the disk.
    ///
    /// # Errors
    /// When the journal does not open.
    pub fn open(
        data_dir: &Path,
        options: journal::Options,
        clock: Clock,
        readiness: Readiness,
    ) -> Result<Self, journal::OpenError> {
        let options = journal::Options {
            segment_bytes: SEGMENT_BYTES,
            ..options
        };
        let (journal, _) = Journal::open(directory(data_dir), options)?;
        Ok(Self(Some(Arc::new(Kept {
            counted: Mutex::default(),
            journal,
            clock,
            readiness,
        }))))
    }

    /// Its journal and the name of it; none where nothing is kept.
    #[must_use]
    pub fn journal(&self) -> Option<(&'static str, Journal)> {
        let kept = self.0.as_ref()?;
        Some((NAME, kept.journal.clone()))
    }

    /// Takes note. It is recorded within a second.
    pub fn note(&self, noted: Noted) {
        let Some(kept) = &self.0 else { return };
        let now = kept.clock.now_micros();
        let once = Counted {
            times: 1,
            first: now,
            last: now,
        };
        kept.count(noted, once);
    }

    /// Records what was noted, once a second, until a stop is asked for.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(COUNTED_FOR) => {}
            }
            self.record().await;
        }
    }

    /// Records what was noted and closes the journal.
    pub async fn close(&self) {
        self.record().await;
        if let Some(kept) = &self.0
            && let Err(error) = kept.journal.close().await
        {
            tracing::error!({ field::ERROR } = %error, "the record of calls had failed before it was closed");
        }
    }

    async fn record(&self) {
        let Some(kept) = &self.0 else { return };
        let counted = std::mem::take(&mut *kept.counted.lock());
        if counted.is_empty() {
            return;
        }
        let mut calls: Vec<_> = counted.into_iter().collect();
        calls.sort_by_key(|(_, counted)| counted.first);
        let records = calls.iter().map(|(noted, counted)| record(noted, *counted));
        match kept.journal.append_all(records.collect()).await {
            Ok(_) => kept.readiness.ready(COMPONENT),
            Err(error) => {
                tracing::error!({ field::ERROR } = %Chain(&error), "calls could not be recorded; they are counted until they are");
                kept.readiness
                    .not_ready(COMPONENT, "who called cannot be recorded: look at the disk");
                for (noted, counted) in calls {
                    kept.count(noted, counted);
                }
            }
        }
    }
}

impl Kept {
    fn count(&self, noted: Noted, more: Counted) {
        let mut counted = self.counted.lock();
        let noted = match counted.len() < APART_MAX || counted.contains_key(&noted) {
            true => noted,
            // Not told apart any more, but counted, and by what became of them.
            false => Noted::of(
                None,
                noted.outcome,
                "more callers, addresses and calls in one second than are told apart".to_owned(),
            ),
        };
        let all = counted.entry(noted).or_insert(Counted { times: 0, ..more });
        all.times += more.times;
        all.first = all.first.min(more.first);
        all.last = all.last.max(more.last);
    }
}

fn record(noted: &Noted, counted: Counted) -> NewRecord {
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    let record = CallRecord {
        caller: text(&noted.caller),
        department: text(&noted.department),
        address: noted.address.map(|it| it.to_string()).unwrap_or_default(),
        call: noted.call.clone(),
        outcome: noted.outcome.word().to_owned(),
        why: noted.why.clone(),
        times: counted.times,
        first: Some(time_to_proto(Time::from_micros(counted.first))),
        last: Some(time_to_proto(Time::from_micros(counted.last))),
    };
    NewRecord::new(kind::CALL, counted.first, record.encode_to_vec())
}

fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

/// Which calls are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of this caller; none: of all.
    pub caller: Option<String>,
    /// Only those that were refused.
    pub refused: bool,
}

impl Asked {
    /// Whether this is one of them.
    #[must_use]
    pub fn takes(&self, call: &CallRecord) -> bool {
        self.caller.as_ref().is_none_or(|name| *name == call.caller)
            && !(self.refused && call.outcome == Outcome::Allowed.word())
    }
}

impl Calls {
    /// Whether a record begins here, or will. Blocks on the disk.
    pub(super) fn is_place(&self, position: u64) -> bool {
        let Some(kept) = &self.0 else { return true };
        position == 0
            || position == kept.journal.head().next_position.0
            || kept.journal.read_at(Position(position)).is_ok()
    }

    /// Recorded calls from a position on. Blocks on the disk.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn page(
        &self,
        asked: &Asked,
        from: u64,
        limit: usize,
    ) -> Result<v1::ListCallsResponse, ReadError> {
        let mut page = v1::ListCallsResponse::default();
        let Some(kept) = &self.0 else {
            page.at_end = true;
            return Ok(page);
        };
        let mut records = CallRecords(kept.journal.read_from(Position(from)));
        for _ in 0..LOOKED_AT {
            let Some(call) = records.next().transpose()? else {
                page.at_end = true;
                break;
            };
            if asked.takes(&call) {
                page.calls.push(call);
                if page.calls.len() >= limit {
                    break;
                }
            }
        }
        page.next_position = records.0.position().0;
        Ok(page)
    }
}

/// The calls that a data directory has recorded, beside the service or from a copy.
///
/// # Errors
/// When the journal does not open.
pub fn calls_of(data_dir: &Path) -> Result<CallRecords, journal::OpenError> {
    let (journal, _) = Journal::open_read_only(directory(data_dir))?;
    Ok(CallRecords(journal.read_from(Position(0))))
}

/// See [`calls_of`].
pub struct CallRecords(Reader);

impl Iterator for CallRecords {
    type Item = Result<CallRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next()? {
                Err(error) => return Some(Err(error)),
                Ok(record) if record.kind == kind::CALL => {
                    // Only the service writes here; what does not decode is told as empty fields, not hidden.
                    return Some(Ok(CallRecord::decode(record.payload).unwrap_or_default()));
                }
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(caller: &str, outcome: Outcome) -> Noted {
        let call = Call {
            address: "192.0.2.7".parse().unwrap(),
            path: PathAndQuery::from_static("/creditgate.v1.Gate/GetVerdict?id=secret"),
        };
        Noted {
            caller: Some(caller.into()),
            ..Noted::of(Some(&call), outcome, String::new())
        }
    }

    fn open(dir: &Path) -> Calls {
        let (clock, _hand) = Clock::stepped(1_700_000_000_000_000);
        let options = journal::Options {
            preallocate: false,
            ..journal::Options::default()
        };
        Calls::open(dir, options, clock, Readiness::expecting([])).unwrap()
    }

    #[tokio::test]
    async fn calls_that_are_alike_are_one_record() {
        let dir = tempfile::tempdir().unwrap();
        let calls = open(dir.path());
        for _ in 0..3 {
            calls.note(noted("li.si", Outcome::Allowed));
        }
        calls.note(noted("li.si", Outcome::Outside));
        calls.close().await;
        let kept: Vec<_> = calls_of(dir.path()).unwrap().map(Result::unwrap).collect();
        let told: Vec<_> = kept
            .iter()
            .map(|call| (call.outcome.as_str(), call.times))
            .collect();
        assert_eq!(kept.len(), 2, "{told:?}");
        assert!(
            told.contains(&("allowed", 3)) && told.contains(&("outside", 1)),
            "{told:?}"
        );
        assert_eq!(kept[0].caller, "li.si");
        assert_eq!(kept[0].address, "192.0.2.7");
        assert_eq!(kept[0].call, "/creditgate.v1.Gate/GetVerdict");
        // Page by page, while the service runs.
        let refused = Asked {
            refused: true,
            ..Asked::default()
        };
        let page = calls.page(&refused, 0, 1).unwrap();
        assert_eq!(
            (page.calls.len(), page.calls[0].outcome.as_str()),
            (1, "outside")
        );
        let rest = calls.page(&refused, page.next_position, 1).unwrap();
        assert!(rest.calls.is_empty() && rest.at_end);
        let other = Asked {
            caller: Some("wang.wu".to_owned()),
            ..Asked::default()
        };
        assert!(calls.page(&other, 0, 9).unwrap().calls.is_empty());
    }

    #[tokio::test]
    async fn however_many_there_are_they_take_little_and_none_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let calls = open(dir.path());
        let many = APART_MAX as u64 + 900;
        for n in 0..many {
            calls.note(noted(&format!("caller-{n}"), Outcome::PermissionDenied));
        }
        calls.close().await;
        let kept: Vec<_> = calls_of(dir.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(kept.len(), APART_MAX + 1);
        assert_eq!(kept.iter().map(|call| call.times).sum::<u64>(), many);
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_yet_is_counted_until_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let calls = open(dir.path());
        calls.note(noted("li.si", Outcome::Allowed));
        let kept = calls.0.as_ref().unwrap();
        kept.journal.close().await.unwrap();
        calls.record().await;
        assert!(!kept.readiness.snapshot().ready);
        calls.note(noted("li.si", Outcome::Allowed));
        let counted: Vec<u64> = kept.counted.lock().values().map(|all| all.times).collect();
        assert_eq!(counted, [2]);
    }

    #[test]
    fn nothing_is_kept_where_nobody_keeps() {
        let calls = Calls::default();
        calls.note(noted("li.si", Outcome::Allowed));
        assert!(calls.journal().is_none());
    }
}
