//! Who called: everybody who was refused, and everybody who did something else than have an event decided.
//!
//! A check leaves its verdict in the journal of verdicts, with who asked. All other calls leave a record here, in a journal
//! of its own, chained like the others, and covered by check points where there are any. Calls of one second that are alike
//! become one record with their number, so that whoever is refused a million times fills no disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use creditgate_measures::identifier::Identifier;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::records::kind;
use creditgate_proto::v1::{self, CallRecord};
use http::uri::PathAndQuery;
use parking_lot::Mutex;
use prost::Message as _;

use super::about::{About, ReportAsked, SubjectKey};
use crate::clock::Clock;
use crate::errors::Chain;
use crate::health::Readiness;
use crate::journal::{self, AppendError, Journal, NewRecord, Position, ReadError, Reader};
use crate::sealed::Sealer;
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
/// The same of callers that nobody knows. They are few, so that whoever calls from many addresses fills no disk, and hides
/// nobody who is known.
const STRANGERS_APART_MAX: usize = 32;
/// Records that are appended at once.
const RUN: usize = 256;
/// Size of its files: far fewer records come here than elsewhere.
const SEGMENT_BYTES: u64 = 4 << 20;

/// Where a call comes from, and what it calls.
#[derive(Debug, Clone)]
pub struct Call {
    /// The address of the peer; none: not known.
    pub address: Option<IpAddr>,
    /// What is called: a call or route that there is. What callers make up would make records without end.
    pub path: PathAndQuery,
    /// Who takes note of it.
    pub calls: Calls,
}

impl Call {
    /// Takes note of what became of it.
    pub fn note(&self, noted: Noted) {
        self.calls.note(noted);
    }

    /// What is kept of a report that is asked for.
    #[must_use]
    pub fn about(&self, asked: &ReportAsked<'_>) -> About {
        let digest = asked.subject.and_then(|subject| self.calls.digest(subject));
        About {
            document_no: asked.document_no.to_owned(),
            reason: asked.reason.to_owned(),
            subject_digest: digest.unwrap_or_default(),
        }
    }
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
    /// Of a subject's report: by which document it was asked for, why, and about whom; else empty.
    pub about: About,
    /// Why people were shown in full, as the caller said; else empty. But for this and the report nothing that a caller
    /// sent is kept.
    pub unmasked_for: String,
}

impl Noted {
    /// About this call. Of its path the query is no part: it may hold anything.
    #[must_use]
    pub fn of(call: &Call, outcome: Outcome, why: String) -> Self {
        Self {
            address: call.address.map(|address| address.to_canonical()),
            call: call.path.path().to_owned(),
            ..Self::many(outcome, why)
        }
    }

    /// About calls that are not told apart.
    fn many(outcome: Outcome, why: String) -> Self {
        Self {
            caller: None,
            department: None,
            address: None,
            call: String::new(),
            outcome,
            why,
            about: About::default(),
            unmasked_for: String::new(),
        }
    }
}

/// Takes note of calls. Cheap to clone; the default keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Calls(Option<Arc<Kept>>);

#[derive(Debug)]
struct Kept {
    counted: Mutex<Alike>,
    closed: Shutdown,
    journal: Journal,
    key: SubjectKey,
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
    /// When the journal does not open, or the key of its digests cannot be read.
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
        let directory = directory(data_dir);
        let (journal, _) = Journal::open(&directory, options)?;
        let key = SubjectKey::of_directory(&directory).map_err(|source| {
            let action = "read or make the key of subjects in";
            journal::OpenError::Io {
                action,
                path: directory,
                source,
            }
        })?;
        Ok(Self(Some(Arc::new(Kept {
            counted: Mutex::default(),
            closed: Shutdown::new(),
            journal,
            key,
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

    /// The digest under which a subject stands here; none where nothing is kept.
    #[must_use]
    pub fn digest(&self, subject: &Identifier) -> Option<String> {
        let kept = self.0.as_ref()?;
        Some(kept.key.digest(subject))
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
        kept.counted.lock().count(noted, once);
    }

    /// Records what was noted, once a second, until it is closed.
    pub async fn run(self) {
        let Some(kept) = &self.0 else { return };
        loop {
            tokio::select! {
                () = kept.closed.wait() => return,
                () = tokio::time::sleep(COUNTED_FOR) => {}
            }
            self.record().await;
        }
    }

    /// Records what was noted and closes the journal.
    pub async fn close(&self) {
        let Some(kept) = &self.0 else { return };
        kept.closed.request();
        self.record().await;
        if let Err(error) = kept.journal.close().await {
            tracing::error!({ field::ERROR } = %error, "the record of calls had failed before it was closed");
        }
    }

    /// Records what was noted.
    pub async fn record(&self) {
        let Some(kept) = &self.0 else { return };
        let mut calls: Vec<_> = std::mem::take(&mut *kept.counted.lock()).all();
        calls.sort_by_key(|(_, counted)| counted.first);
        while !calls.is_empty() {
            let run: Vec<_> = calls.drain(..calls.len().min(RUN)).collect();
            let records = run.iter().map(|(noted, counted)| record(noted, *counted));
            match kept.journal.append_all(records.collect()).await {
                Ok(_) => kept.recovered(),
                Err(error) => {
                    kept.failed(&error);
                    // They may have been recorded: better once than twice, and the log tells.
                    let open = matches!(
                        error,
                        AppendError::Indefinite { .. } | AppendError::Unanswered
                    );
                    let mut counted = kept.counted.lock();
                    let again = run.into_iter().filter(|_| !open).chain(calls);
                    again.for_each(|(noted, more)| counted.count(noted, more));
                    return;
                }
            }
        }
    }
}

impl Kept {
    fn recovered(&self) {
        self.readiness.ready(COMPONENT);
    }

    /// Tells that records wait. Callers go on: whoever checks must not stand still because a refusal cannot be written.
    fn failed(&self, error: &AppendError) {
        let mend = match error {
            AppendError::Failed { .. }
            | AppendError::Indefinite { .. }
            | AppendError::Unanswered => {
                "the disk did not confirm a record: restart, to find what is there"
            }
            _ => "look at the disk",
        };
        let reason = format!("who called cannot be recorded: {mend}");
        tracing::error!({ field::ERROR } = %Chain(error), "calls could not be recorded; further ones are counted until they are");
        self.readiness.not_ready(COMPONENT, reason);
    }
}

/// Calls that wait to be recorded.
#[derive(Debug, Default)]
struct Alike {
    /// Of callers that are known.
    known: HashMap<Noted, Counted>,
    /// Of others.
    strangers: HashMap<Noted, Counted>,
}

impl Alike {
    fn count(&mut self, noted: Noted, more: Counted) {
        let (counted, most) = match noted.caller {
            Some(_) => (&mut self.known, APART_MAX),
            None => (&mut self.strangers, STRANGERS_APART_MAX),
        };
        let noted = match counted.len() < most || counted.contains_key(&noted) {
            true => noted,
            // Not told apart any more, but counted, and by what became of them.
            false => Noted::many(
                noted.outcome,
                "more callers, addresses and calls in one second than are told apart".to_owned(),
            ),
        };
        let all = counted.entry(noted).or_insert(Counted { times: 0, ..more });
        all.times += more.times;
        all.first = all.first.min(more.first);
        all.last = all.last.max(more.last);
    }

    fn all(self) -> Vec<(Noted, Counted)> {
        self.known.into_iter().chain(self.strangers).collect()
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
        document_no: noted.about.document_no.clone(),
        unmasked_for: noted.unmasked_for.clone(),
        reason: noted.about.reason.clone(),
        subject_digest: noted.about.subject_digest.clone(),
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
    /// Only reports of the subject with this digest; none: of all, and all other calls.
    pub subject_digest: Option<String>,
}

impl Asked {
    /// Whether this is one of them.
    #[must_use]
    pub fn takes(&self, call: &CallRecord) -> bool {
        self.caller.as_ref().is_none_or(|name| *name == call.caller)
            && !(self.refused && call.outcome == Outcome::Allowed.word())
            && self
                .subject_digest
                .as_ref()
                .is_none_or(|digest| *digest == call.subject_digest)
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

/// The calls that a data directory has recorded, beside the service or from a copy, with what opens sealed records.
///
/// # Errors
/// When the journal does not open.
pub fn calls_of(
    data_dir: &Path,
    sealer: Option<Sealer>,
) -> Result<CallRecords, journal::OpenError> {
    let (journal, _) = Journal::open_read_only_with(directory(data_dir), sealer)?;
    Ok(CallRecords(journal.read_from(Position(0))))
}

/// The digest under which a subject stands in the records of a data directory; none where they have no key.
///
/// # Errors
/// When the key cannot be read.
pub fn digest_in(data_dir: &Path, subject: &Identifier) -> std::io::Result<Option<String>> {
    let key = SubjectKey::read(&directory(data_dir))?;
    Ok(key.map(|key| key.digest(subject)))
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
    use creditgate_measures::identifier::IdType;

    use super::*;

    fn stranger(last: u8, outcome: Outcome) -> Noted {
        let call = Call {
            address: Some(IpAddr::from([192, 0, 2, last])),
            path: PathAndQuery::from_static("/creditgate.v1.Gate/GetVerdict?id=secret"),
            calls: Calls::default(),
        };
        Noted::of(&call, outcome, String::new())
    }

    fn noted(caller: &str, outcome: Outcome) -> Noted {
        Noted {
            caller: Some(caller.into()),
            ..stranger(7, outcome)
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
        let kept: Vec<_> = calls_of(dir.path(), None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
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
    async fn why_people_were_shown_in_full_is_kept_reason_by_reason() {
        let dir = tempfile::tempdir().unwrap();
        let calls = open(dir.path());
        for reason in ["复核示例1号", "复核示例2号", "复核示例1号", ""] {
            calls.note(Noted {
                unmasked_for: reason.to_owned(),
                ..noted("li.si", Outcome::Allowed)
            });
        }
        calls.close().await;
        let kept = calls_of(dir.path(), None).unwrap().map(Result::unwrap);
        let mut told: Vec<_> = kept.map(|call| (call.unmasked_for, call.times)).collect();
        told.sort();
        let expected = [("", 1), ("复核示例1号", 2), ("复核示例2号", 1)];
        assert_eq!(told, expected.map(|(why, times)| (why.to_owned(), times)));
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
        let kept: Vec<_> = calls_of(dir.path(), None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(kept.len(), APART_MAX + 1);
        assert_eq!(kept.iter().map(|call| call.times).sum::<u64>(), many);
    }

    #[tokio::test]
    async fn strangers_hide_nobody_who_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let calls = open(dir.path());
        for last in 0..=u8::MAX {
            calls.note(stranger(last, Outcome::Unauthenticated));
        }
        calls.note(noted("li.si", Outcome::Allowed));
        calls.close().await;
        let kept: Vec<_> = calls_of(dir.path(), None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(kept.len(), STRANGERS_APART_MAX + 2);
        assert!(kept.iter().any(|call| call.caller == "li.si"));
        assert_eq!(kept.iter().map(|call| call.times).sum::<u64>(), 257);
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
        let counted = kept.counted.lock();
        let counted: Vec<u64> = counted.known.values().map(|all| all.times).collect();
        assert_eq!(counted, [2]);
    }

    #[tokio::test]
    async fn a_report_is_found_by_whoever_has_the_identifier() {
        let firm = |n| {
            let code = creditgate_measures::identifier::invented::uscc(n);
            Identifier::parse(IdType::Uscc, &code, None).unwrap()
        };
        let dir = tempfile::tempdir().unwrap();
        let calls = open(dir.path());
        let call = Call {
            address: None,
            path: PathAndQuery::from_static("/creditgate.v1.Identity/GetSubjectReport"),
            calls: calls.clone(),
        };
        for (n, reason) in [(1, "本人申请查询"), (2, "代为申请查询")] {
            let about = call.about(&ReportAsked {
                document_no: "示例窗〔2026〕1号",
                reason,
                subject: Some(&firm(n)),
            });
            call.note(Noted {
                caller: Some("window-3".into()),
                about,
                ..Noted::of(&call, Outcome::Allowed, String::new())
            });
        }
        calls.close().await;
        let found = |n| {
            let asked = Asked {
                subject_digest: digest_in(dir.path(), &firm(n)).unwrap(),
                ..Asked::default()
            };
            assert!(asked.subject_digest.is_some());
            assert_eq!(asked.subject_digest, calls.digest(&firm(n)));
            let kept = calls_of(dir.path(), None).unwrap().map(Result::unwrap);
            let kept: Vec<_> = kept.filter(|call| asked.takes(call)).collect();
            for call in &kept {
                assert!(!format!("{call:?}").contains(firm(n).reveal()));
            }
            kept.into_iter().map(|call| call.reason).collect::<Vec<_>>()
        };
        assert_eq!(found(1), ["本人申请查询"]);
        assert_eq!(found(2), ["代为申请查询"]);
        assert!(found(3).is_empty());
    }

    #[test]
    fn nothing_is_kept_where_nobody_keeps() {
        let calls = Calls::default();
        calls.note(noted("li.si", Outcome::Allowed));
        assert!(calls.journal().is_none());
    }
}
