//! A registry in a directory of its own, and invented rows.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod random;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use creditgate_measures::book::{Deployment, SourceFile};
use creditgate_measures::case::CaseView;
use creditgate_measures::catalogue;
use creditgate_measures::entry::Entry;
use creditgate_measures::event::{Event, GivenIdentifier, Region, Sensitive, Subject};
use creditgate_measures::identifier::{IdType, invented};
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::{Role, State};
use creditgate_measures::{Question, decide};
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::v1;
use creditgate_registry::book::{Signature, TrustedKeys};
use creditgate_registry::change::Change;
use creditgate_registry::log::What;
use creditgate_registry::{Error, OVERLAY_MIN, Options, Registry, SourceRules};
use creditgate_runtime::callers::{Caller, Callers, Shown};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal;
use creditgate_runtime::metrics::{Build, Metrics};
use creditgate_runtime::sealed::Sealer;

pub struct Place {
    dir: Dir,
    pub book: Vec<SourceFile>,
    pub signature: Option<Signature>,
    pub trusted_keys: TrustedKeys,
    pub deployment: Deployment,
    overlay_min: usize,
    pub source_rules: SourceRules,
    pub sealer: Option<Sealer>,
    pub caller: Caller,
    pub metrics: Metrics,
    pub readiness: Readiness,
    clock: Clock,
}

enum Dir {
    Own(tempfile::TempDir),
    Given(PathBuf),
}

impl Place {
    pub fn new() -> Self {
        Self::at(Dir::Own(tempfile::tempdir().expect("a directory")))
    }

    pub fn given(dir: &Path) -> Self {
        Self::at(Dir::Given(dir.to_owned()))
    }

    fn at(dir: Dir) -> Self {
        let clock = Clock::system();
        let build = Build {
            version: "test",
            commit: "unknown",
        };
        Self {
            dir,
            book: catalogue::built_in(),
            signature: None,
            trusted_keys: TrustedKeys::default(),
            deployment: Deployment::default(),
            overlay_min: OVERLAY_MIN,
            source_rules: SourceRules::default(),
            sealer: None,
            caller: Callers::loopback_only()
                .authenticate(&Shown::LOCAL)
                .expect("local"),
            metrics: Metrics::new(clock.clone(), build),
            readiness: Readiness::expecting(["lists"]),
            clock,
        }
    }

    pub fn with_overlay_min(mut self, overlay_min: usize) -> Self {
        self.overlay_min = overlay_min;
        self
    }

    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub fn with_book(mut self, book: Vec<SourceFile>) -> Self {
        self.book = book;
        self
    }

    pub fn dir(&self) -> &Path {
        match &self.dir {
            Dir::Own(dir) => dir.path(),
            Dir::Given(dir) => dir,
        }
    }

    pub fn try_open(&self) -> Result<Registry, Error> {
        Registry::open(Options {
            data_dir: self.dir().to_owned(),
            book: self.book.clone(),
            book_named: true,
            signature: self.signature.clone(),
            trusted_keys: self.trusted_keys.clone(),
            deployment: self.deployment.clone(),
            upstream: None,
            journal: journal::Options {
                segment_bytes: 1 << 20,
                preallocate: false,
                ..Default::default()
            },
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            readiness: self.readiness.clone(),
            overlay_min: self.overlay_min,
            source_rules: self.source_rules.clone(),
            sealer: self.sealer.clone(),
        })
    }

    pub fn open(&self) -> Registry {
        self.try_open().expect("the registry opens")
    }

    pub async fn import(
        &self,
        registry: &Registry,
        header: v1::ImportHeader,
        rows: Vec<v1::Entry>,
    ) -> v1::ImportSummary {
        let mut import = registry
            .begin_import(header, &self.caller)
            .expect("a sound header");
        for entry in rows {
            let row = v1::ImportRow {
                entry: Some(entry),
                row: 0,
                ..v1::ImportRow::default()
            };
            import.push(row).expect("room");
        }
        import.finish().await.expect("an import")
    }
}

pub fn header() -> v1::ImportHeader {
    v1::ImportHeader {
        source_unit: "示例数据中心".to_owned(),
        ..Default::default()
    }
}

pub fn id(n: u64) -> String {
    format!("E-{n:06}")
}

/// An invented entry: of every four one is on B02, the others on B01.
pub fn row(n: u64) -> v1::Entry {
    v1::Entry {
        entry_id: id(n),
        list: if n.is_multiple_of(4) { "B02" } else { "B01" }.to_owned(),
        id_type: "USCC".to_owned(),
        id: invented::uscc(n),
        name: format!("示例第{n}号公司"),
        kind: "enterprise".to_owned(),
        severity: "serious".to_owned(),
        document_no: format!("示例{n}号"),
        valid_from: "2026-01-05".to_owned(),
        valid_to: "2028-01-04".to_owned(),
        ..Default::default()
    }
}

pub fn rows(numbers: std::ops::Range<u64>) -> Vec<v1::Entry> {
    numbers.map(row).collect()
}

pub fn state(entry_id: &str, to: &str) -> Change {
    Change::State {
        entry_id: entry_id.into(),
        to: State::parse(to).expect("a state"),
        effective_at: None,
        document_no: String::new(),
        reason: String::new(),
    }
}

pub fn confirm(list: &str) -> Change {
    Change::Confirm {
        list: list.into(),
        at: None,
        source_unit: "示例数据中心".to_owned(),
    }
}

/// The counts that are not zero; they balance.
pub fn counts(summary: &v1::ImportSummary) -> String {
    assert_eq!(
        summary.received,
        summary.accepted
            + summary.unchanged
            + summary.differing
            + summary.refused_count
            + summary.held
    );
    let shown: Vec<_> = [
        ("received", summary.received),
        ("accepted", summary.accepted),
        ("unchanged", summary.unchanged),
        ("differing", summary.differing),
        ("refused", summary.refused_count),
        ("held", summary.held),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(name, count)| format!("{name} {count}"))
    .collect();
    shown.join(" ")
}

/// A day in Asia/Shanghai at this hour.
pub fn hour(day: &str, hour: i64) -> Time {
    let day = Date::parse(day).expect("a day");
    day.start().plus_seconds(hour * 3_600)
}

/// A tender evaluation of this firm.
pub fn evaluation(firm: u64, occurred_at: Time) -> Event {
    let identifier = GivenIdentifier {
        id_type: IdType::Uscc,
        value: Sensitive::new(invented::uscc(firm)),
        issuer: None,
    };
    Event {
        source: "test".into(),
        id: "1".into(),
        case_id: "C1".into(),
        scenario: "tender".into(),
        stage: "evaluate".into(),
        occurred_at,
        clock_filled: false,
        region: Region::parse("320500").expect("a region"),
        item_code: None,
        amount_fen: None,
        purpose: None,
        subjects: vec![Subject::new(
            None,
            Role::Bidder,
            None,
            Some(identifier),
            None,
        )],
        attributes: BTreeMap::new(),
    }
}

/// Ids of the entries that a tender evaluation of this firm rests on, and why others are not used.
pub fn used(registry: &Registry, firm: u64, occurred_at: Time) -> (Vec<String>, Vec<String>) {
    let event = evaluation(firm, occurred_at);
    let live = registry.live().load_full();
    let question = Question::about(&event);
    let verdict = decide(
        question,
        occurred_at,
        &CaseView::default(),
        &live.lists,
        &live.book,
    );
    let hits = verdict.subjects[0].triggered.iter();
    let mut hits: Vec<_> = hits
        .filter_map(|hit| {
            hit.entry
                .as_ref()
                .map(|entry| entry.entry_id.as_str().to_owned())
        })
        .collect();
    hits.dedup();
    let not_used = verdict.explanation.iter();
    (hits, not_used.map(|e| e.reason.code().to_owned()).collect())
}

/// Waits until something is so; it comes by the work of another thread.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("waited in vain: {what}");
}

/// What the clock has recorded, in order: number, kind, entry or row, when it was due.
pub fn struck(registry: &Registry) -> Vec<(u64, String, String, Time)> {
    let log = registry.past().log();
    log.read_from_seq(1)
        .filter_map(|entered| {
            let entered = entered.expect("a record");
            let What::Clock(struck) = entered.what else {
                return None;
            };
            let due = struck.due_at.as_ref().and_then(time_from_proto);
            let id = struck.entry_id + &struck.row_id;
            Some((entered.seq, struck.kind, id, due.expect("a time")))
        })
        .collect()
}

/// Everything the lists know, in one order.
pub fn dump(registry: &Registry) -> (String, Vec<(String, i64)>, Vec<Vec<u8>>) {
    let live = registry.live().load_full();
    let confirmed = live
        .lists
        .confirmations()
        .iter()
        .map(|(code, at)| (code.as_str().to_owned(), at.micros()))
        .collect();
    let mut bodies: Vec<Vec<u8>> = live.lists.bodies().map(<[u8]>::to_vec).collect();
    assert_eq!(bodies.len(), live.lists.len());
    bodies.sort_by_key(|body| Entry::from_stored(body).expect("an entry").entry_id);
    (live.lists.version().to_string(), confirmed, bodies)
}

pub fn base_files(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir.join("lists"))
        .expect("a directory")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "lists"))
        .collect()
}
