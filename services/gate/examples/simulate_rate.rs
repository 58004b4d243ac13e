//! How many recorded events a second are decided with another book, and what that takes in memory;
//! a sample is compared with `decide` over the lists that the history gives for each event alone.
//!
//! `cargo run --release -p creditgate-gate --example simulate_rate -- 1000000`

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use creditgate_gate::{COMPONENT, Gate, Limits, Options, Samples, Scope};
use creditgate_measures::book::{Book, Deployment, SourceFile};
use creditgate_measures::case::CaseView;
use creditgate_measures::identifier::invented;
use creditgate_measures::time::Time;
use creditgate_measures::{Question, catalogue, decide};
use creditgate_proto::decode::{Limits as EventLimits, event_from_proto, event_from_record};
use creditgate_proto::encode::{time_from_proto, time_to_proto, verdict_to_proto};
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::records::{explained_to_proto, kind};
use creditgate_proto::{list_version_from_text, v1};
use creditgate_registry::change::Change;
use creditgate_registry::{OVERLAY_MIN, Registry};
use creditgate_runtime::callers::{Caller, Callers, Shown};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal::{self, Journal, NewRecord, Position};
use creditgate_runtime::metrics::{Build, Metrics};
use creditgate_runtime::ports::History;
use prost::Message;

// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Firms that take part in events; the first few stand on lists.
const FIRMS: u64 = 100_000;
const LISTED: u64 = 1_000;
/// Changes of the lists between events.
const CHANGES: u64 = 1_000;
const COMPARED: u64 = 10_000;
const BATCH: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let events = numbers.next().transpose()?.unwrap_or(100_000);
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let clock = Clock::system();
    let build = Build {
        version: "example",
        commit: "unknown",
    };
    let metrics = Metrics::new(clock.clone(), build);
    let registry = Registry::open(creditgate_registry::Options {
        data_dir: dir.path().to_owned(),
        book: catalogue::built_in(),
        deployment: Deployment::default(),
        book_named: true,
        signature: None,
        trusted_keys: creditgate_registry::book::TrustedKeys::default(),
        upstream: None,
        journal: journal::Options::default(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        readiness: Readiness::expecting([creditgate_registry::COMPONENT]),
        overlay_min: OVERLAY_MIN,
        source_rules: Default::default(),
        sealer: None,
    })?;
    let caller = Callers::loopback_only().authenticate(&Shown::LOCAL)?;
    let began = Instant::now();
    runtime.block_on(import(&registry, &caller))?;
    fill(&runtime, &registry, &caller, dir.path(), events)?;
    println!(
        "{events} events recorded in {:.1} s, list version {}",
        began.elapsed().as_secs_f64(),
        registry.live().load().lists.version().seq
    );

    let began = Instant::now();
    let gate = Gate::open(Options {
        data_dir: dir.path().to_owned(),
        live: registry.live().clone(),
        history: Arc::new(registry.past().clone()),
        journal: journal::Options::default(),
        clock,
        metrics,
        readiness: Readiness::expecting([COMPONENT]),
        limits: Limits::default(),
        digest_key: None,
        kafka: None,
    })?;
    println!("gate open in {:.1} s", began.elapsed().as_secs_f64());
    let candidate = Arc::new(Book::load(&without("M12a"), &Deployment::default())?);
    memory("before");
    for _ in 0..3 {
        let began = Instant::now();
        let result = gate.simulate_seeing(
            &candidate,
            &Scope::default(),
            &Samples::default(),
            &|_, _| {},
        )?;
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "simulated in {seconds:.2} s: {:.0} events/s",
            events as f64 / seconds
        );
        let totals = result.totals.unwrap_or_default();
        assert_eq!((totals.events, totals.not_decidable), (events, 0));
        println!(
            "unchanged {}, other outcome {}, other measures {}",
            totals.unchanged, totals.changed_outcome, totals.changed_measures
        );
    }
    memory("after");
    compare(&gate, &registry, &candidate, dir.path(), events)?;
    runtime.block_on(gate.close(std::time::Duration::from_secs(10)))?;
    runtime.block_on(registry.close());
    Ok(())
}

/// The built-in catalogue without a row.
fn without(row: &str) -> Vec<SourceFile> {
    let mut files = catalogue::built_in();
    for file in &mut files {
        let begin = format!("  - id: {row}\n");
        let Some((before, rest)) = file.text.split_once(&begin) else {
            continue;
        };
        let after = rest.find("\n  - id: ").map_or("", |at| &rest[at + 1..]);
        file.text = format!("{before}{after}");
    }
    files
}

async fn import(registry: &Registry, caller: &Caller) -> Result<(), Box<dyn Error>> {
    let lists: Vec<String> = {
        let live = registry.live().load();
        let lists = live.book.lists();
        lists
            .iter()
            .map(|list| list.code.as_str().to_owned())
            .collect()
    };
    let header = v1::ImportHeader {
        source_unit: "示例数据中心".to_owned(),
        confirm_lists: lists,
        ..Default::default()
    };
    let mut import = registry.begin_import(header, caller)?;
    for n in 0..LISTED {
        let list = ["A11", "B03", "B07", "A01"][usize::try_from(n % 4)?];
        let row = v1::ImportRow {
            entry: Some(v1::Entry {
                entry_id: format!("E-{n}"),
                list: list.to_owned(),
                id_type: "USCC".to_owned(),
                id: invented::uscc(n * 20),
                name: format!("虚构第{n}号公司"),
                kind: "enterprise".to_owned(),
                severity: "serious".to_owned(),
                document_no: format!("示例{n}号"),
                region: "320500".to_owned(),
                served_at: "2026-01-05".to_owned(),
                valid_from: "2026-01-05".to_owned(),
                valid_to: "2027-12-31".to_owned(),
                ..Default::default()
            }),
            row: n + 1,
            ..Default::default()
        };
        import.push(row)?;
    }
    let summary = import.finish().await?;
    assert_eq!(summary.accepted, LISTED, "{:?}", summary.refused.first());
    Ok(())
}

/// Records verdicts as the gate does, with changes of the lists between them.
fn fill(
    runtime: &tokio::runtime::Runtime,
    registry: &Registry,
    caller: &Caller,
    dir: &Path,
    events: u64,
) -> Result<(), Box<dyn Error>> {
    let (journal, _) = Journal::open(dir.join("verdicts"), journal::Options::default())?;
    let every = (events / CHANGES).max(1);
    let limits = EventLimits::default();
    let mut batch = Vec::with_capacity(BATCH);
    for n in 0..events {
        if n % every == 0 {
            let change = Change::State {
                entry_id: format!("E-{}", (n / every) % LISTED).as_str().into(),
                to: creditgate_measures::vocabulary::State::Repaired,
                effective_at: None,
                document_no: "示例修复1号".to_owned(),
                reason: String::new(),
            };
            runtime.block_on(registry.apply(change, caller))?;
        }
        let generation = registry.live().load();
        let at = Time::from_micros(Clock::system().now_micros());
        let mut given = event(n);
        given.occurred_at = Some(time_to_proto(at));
        let event = event_from_proto(&given, &limits, at)?.event;
        let verdict = decide(
            Question::about(&event),
            at,
            &CaseView::default(),
            &generation.lists,
            &generation.book,
        );
        let record = VerdictRecord {
            event: Some(given),
            verdict: Some(verdict_to_proto(&verdict)),
            explanation: verdict.explanation.iter().map(explained_to_proto).collect(),
            content_digest: vec![7; 32],
            caller: "local".to_owned(),
            transport: "grpc".to_owned(),
            ..Default::default()
        };
        batch.push(NewRecord::new(
            kind::VERDICT,
            at.micros(),
            record.encode_to_vec(),
        ));
        if batch.len() == BATCH || n + 1 == events {
            journal.append_all_blocking(std::mem::take(&mut batch))?;
        }
    }
    journal.close_blocking()?;
    Ok(())
}

/// A tender evaluation with one bidder.
fn event(n: u64) -> v1::Event {
    let firm = n.wrapping_mul(2_654_435_761) % FIRMS;
    v1::Event {
        source: format!("platform-{}", n % 8),
        id: format!("event-{n}"),
        case_id: format!("case-{n}"),
        scenario: "tender".to_owned(),
        stage: "evaluate".to_owned(),
        region: "320505".to_owned(),
        amount_fen: Some(120_000_000),
        subjects: vec![v1::Subject {
            role: "bidder".to_owned(),
            id_type: "USCC".to_owned(),
            id: invented::uscc(firm),
            name: format!("虚构第{}号公司", firm / 20),
            kind: "enterprise".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Compares a sample with what each event alone gives.
fn compare(
    gate: &Gate,
    registry: &Registry,
    candidate: &Arc<Book>,
    dir: &Path,
    events: u64,
) -> Result<(), Box<dyn Error>> {
    let (journal, _) = Journal::open_read_only(dir.join("verdicts"))?;
    let every = (events / COMPARED).max(1);
    let mut sampled = BTreeMap::new();
    for record in journal.read_from(Position(0)) {
        let record = record?;
        if (record.sequence - 1).is_multiple_of(every) {
            sampled.insert(record.position.0, record.payload);
        }
    }
    let seen = Mutex::new(BTreeMap::new());
    let positions: std::collections::BTreeSet<u64> = sampled.keys().copied().collect();
    gate.simulate_seeing(
        candidate,
        &Scope::default(),
        &Samples::default(),
        &|position, verdict| {
            if positions.contains(&position)
                && let Ok(mut seen) = seen.lock()
            {
                seen.insert(position, (verdict.digest, format!("{verdict:?}")));
            }
        },
    )?;
    let seen = seen.into_inner()?;
    assert_eq!(seen.len(), sampled.len());
    let began = Instant::now();
    let mut hits = 0;
    for (position, payload) in &sampled {
        let record = VerdictRecord::decode(payload.clone())?;
        let event = event_from_record(&record)?;
        let stored = record.verdict.ok_or("a verdict")?;
        let at = stored.evaluated_at.as_ref().and_then(time_from_proto);
        let version = list_version_from_text(&stored.list_version)?;
        let lists = registry.past().lists_as_of(version, &event, candidate)?;
        let verdict = decide(
            Question::about(&event),
            at.ok_or("a time")?,
            &CaseView::default(),
            &lists,
            candidate,
        );
        hits += u64::from(verdict.decision.result_code != 0 || !verdict.explanation.is_empty());
        assert_eq!(
            seen.get(position),
            Some(&(verdict.digest, format!("{verdict:?}"))),
            "the event at {position}"
        );
    }
    assert!(hits > 0, "the sample met no entry");
    println!(
        "{} events compared with `decide` at their own version, {hits} of them with entries: all equal ({:.0} s)",
        sampled.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

fn memory(when: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |field: &str| -> u64 {
        status
            .lines()
            .find(|line| line.starts_with(field))
            .and_then(|line| line.split_whitespace().nth(1))
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    println!(
        "{when}: VmRSS {} MiB, at most {} MiB",
        value("VmRSS:") / 1024,
        value("VmHWM:") / 1024
    );
}
