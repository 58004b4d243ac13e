//! How many checks a second, and how much processor each takes: in one process, without gRPC,
//! against the durable journal. `cargo run --release -p creditgate-gate --example check_rate`
//!
//! The parts of a check are then run alone, to see where the time goes.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use creditgate_gate::{COMPONENT, Gate, Limits, Options};
use creditgate_measures::book::{Book, BookVersion, Deployment};
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::identifier::invented;
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_measures::time::Time;
use creditgate_measures::verdict::Cause;
use creditgate_measures::{Question, canonical, catalogue, decide};
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::v1::gate_server::Gate as _;
use creditgate_proto::{decode, encode, v1};
use creditgate_runtime::callers::{Callers, Shown};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal::{self, Journal};
use creditgate_runtime::live::{Generation, Live};
use creditgate_runtime::metrics::{Build, Metrics};
use creditgate_runtime::ports::{History, HistoryError};
use prost::Message;
use tonic::Request;

#[global_allocator]
static ALLOCATOR: Counting = Counting(mimalloc::MiMalloc);

/// The allocator of the service; counts while it is told to.
struct Counting(mimalloc::MiMalloc);

static COUNT: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator can be written no other way")]
// SAFETY: everything is handed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNT.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if COUNT.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { self.0.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(old, layout) }
    }
}

const TASKS: u64 = 64;
const SECONDS: u64 = 4;

struct NoHistory;

impl History for NoHistory {
    fn lists_as_of(&self, _: ListVersion, _: &Event, _: &Book) -> Result<Lists, HistoryError> {
        Err(HistoryError::Unknown("lists".into()))
    }

    fn book(&self, version: BookVersion) -> Result<Arc<Book>, HistoryError> {
        Err(HistoryError::Unknown(version.to_string()))
    }
}

#[expect(clippy::print_stdout, reason = "a report for a person")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = match std::env::args().nth(1) {
        Some(under) => tempfile::tempdir_in(under)?,
        None => tempfile::tempdir()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let book = Arc::new(Book::load(&catalogue::built_in(), &Deployment::default())?);
    let clock = Clock::system();
    let mut lists = Lists::empty(uuid::Uuid::from_u128(7), book.simplify());
    for list in book.lists() {
        lists.confirm(list.code.clone(), Time::from_micros(clock.now_micros()));
    }
    let live = Live::new(Generation {
        lists,
        book: Arc::clone(&book),
    });
    let build = Build {
        version: "0",
        commit: "unknown",
    };
    let metrics = Metrics::new(clock.clone(), build);
    let gate = Gate::open(Options {
        data_dir: dir.path().join("gate"),
        live: live.clone(),
        history: Arc::new(NoHistory),
        journal: journal::Options::default(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        readiness: Readiness::expecting([COMPONENT]),
        limits: Limits::default(),
        digest_key: None,
        kafka: None,
    })?;
    println!("{:<34}{:>11}{:>10}  of which", "", "checks/s", "CPU µs");
    let next = Arc::new(AtomicU64::new(0));
    for stage in ["evaluate", "award", "evaluate"] {
        let caller = Callers::loopback_only().authenticate(&Shown::LOCAL)?;
        let (gate, next) = (gate.clone(), Arc::clone(&next));
        measure(&runtime, &format!("one by one, {stage}"), move || {
            let (gate, next, caller) = (gate.clone(), Arc::clone(&next), caller.clone());
            async move {
                let event = event(next.fetch_add(1, Ordering::Relaxed), stage);
                let mut request = Request::new(v1::CheckRequest { event: Some(event) });
                request.extensions_mut().insert(caller);
                black_box(gate.check(request).await.expect("a verdict"));
                1
            }
        });
    }
    let caller = Callers::loopback_only().authenticate(&Shown::LOCAL)?;
    let batches = gate.clone();
    measure(&runtime, "batches of 256", move || {
        let (gate, next, caller) = (batches.clone(), Arc::clone(&next), caller.clone());
        async move {
            let first = next.fetch_add(256, Ordering::Relaxed);
            let events = (first..first + 256).map(|n| event(n, "evaluate")).collect();
            let mut request = Request::new(v1::CheckBatchRequest { events });
            request.extensions_mut().insert(caller);
            black_box(gate.check_batch(request).await.expect("verdicts"));
            256
        }
    });
    let caller = Callers::loopback_only().authenticate(&Shown::LOCAL)?;
    for stage in ["evaluate", "award"] {
        let requests: Vec<_> = (0..1_000)
            .map(|n| {
                let event = event((1 << 40) + (stage.len() as u64) * 1_000 + n, stage);
                let mut request = Request::new(v1::CheckRequest { event: Some(event) });
                request.extensions_mut().insert(caller.clone());
                request
            })
            .collect();
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        COUNT.store(true, Ordering::Relaxed);
        runtime.block_on(async {
            for request in requests {
                black_box(gate.check(request).await).ok();
            }
        });
        COUNT.store(false, Ordering::Relaxed);
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        println!("{stage}: {} allocations per check", allocations / 1_000);
    }
    let started = Instant::now();
    runtime.block_on(gate.close(Duration::from_secs(10)))?;
    println!("closed in {:.1?}", started.elapsed());
    println!("{:<34}{:>11}{:>10}", "parts alone", "per s", "CPU µs");
    parts(&runtime, dir.path(), &live)?;
    Ok(())
}

/// What a check consists of, one part at a time.
fn parts(
    runtime: &tokio::runtime::Runtime,
    dir: &std::path::Path,
    live: &Live,
) -> Result<(), Box<dyn std::error::Error>> {
    let generation = live.load_full();
    let at = Time::from_micros(Clock::system().now_micros());
    let limits = decode::Limits::default();
    let given = event(0, "evaluate");
    let decoded = decode::event_from_proto(&given, &limits, at)?.event;
    let case = CaseView::default();
    let judge = || {
        decide(
            Question::about(&decoded),
            at,
            &case,
            &generation.lists,
            &generation.book,
        )
    };
    let verdict = judge();
    let record = VerdictRecord {
        event: Some(given.clone()),
        verdict: Some(encode::verdict_to_proto(&verdict)),
        ..Default::default()
    };
    let payload = record.encode_to_vec();
    alone("make the event", || event(1, "evaluate"));
    alone("decode", || {
        decode::event_from_proto(&given, &limits, at).is_ok()
    });
    alone("verdict id and canonical bytes", || {
        let id = canonical::verdict_id(&decoded.source, &decoded.id, &Cause::Event);
        (id, canonical::event_bytes(&decoded))
    });
    alone("decide", judge);
    alone("of which the digest", || {
        canonical::verdict_digest(&verdict)
    });
    alone("verdict as a message", || {
        encode::verdict_to_proto(&verdict)
    });
    alone("encode the record", || record.encode_to_vec());
    let options = journal::Options::default();
    let (journal, _) = Journal::open(dir.join("alone"), options)?;
    let bytes = bytes::Bytes::from(payload);
    measure(runtime, &format!("append {} bytes", bytes.len()), {
        let journal = journal.clone();
        move || {
            let (journal, bytes) = (journal.clone(), bytes.clone());
            async move {
                black_box(journal.append(1, 0, bytes).await.expect("appended"));
                1
            }
        }
    });
    runtime.block_on(journal.close())?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a report for a person")]
fn alone<T>(name: &str, mut work: impl FnMut() -> T) {
    let started = Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < Duration::from_millis(300) {
        for _ in 0..1_000 {
            black_box(work());
        }
        count += 1_000;
    }
    let seconds = started.elapsed().as_secs_f64();
    let (rate, micros) = (count as f64 / seconds, seconds * 1e6 / count as f64);
    println!("{name:<34}{rate:>11.0}{micros:>10.2}");
}

#[expect(clippy::print_stdout, reason = "a report for a person")]
fn measure<F, R>(runtime: &tokio::runtime::Runtime, name: &str, work: F)
where
    F: Fn() -> R + Clone + Send + 'static,
    R: Future<Output = u64> + Send,
{
    let done = Arc::new(AtomicU64::new(0));
    let (started, cpu) = (Instant::now(), cpu_seconds());
    runtime.block_on(async {
        let tasks = (0..TASKS).map(|_| {
            let (done, work) = (Arc::clone(&done), work.clone());
            tokio::spawn(async move {
                while started.elapsed() < Duration::from_secs(SECONDS) {
                    let some = work().await;
                    done.fetch_add(some, Ordering::Relaxed);
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no task panics");
        }
    });
    let elapsed = started.elapsed().as_secs_f64();
    let done = done.load(Ordering::Relaxed) as f64;
    let mut total = 0.0;
    let mut of_which = String::new();
    for (thread, seconds) in cpu_seconds() {
        let micros = (seconds - cpu.get(&thread).unwrap_or(&0.0)) * 1e6 / done;
        total += micros;
        if micros >= 0.05 {
            of_which += &format!("  {thread} {micros:.1}");
        }
    }
    println!("{name:<34}{:>11.0}{total:>10.2}{of_which}", done / elapsed);
}

/// Processor time of this process by the names of its threads, in steps of 10 ms.
fn cpu_seconds() -> BTreeMap<String, f64> {
    let mut seconds = BTreeMap::new();
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    for thread in threads.flatten() {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let Some((before, after)) = stat.rsplit_once(')') else {
            continue;
        };
        let name = before.split_once('(').map_or("", |(_, name)| name);
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks =
            |at: usize| -> f64 { fields.get(at).and_then(|f| f.parse().ok()).unwrap_or(0.0) };
        *seconds.entry(name.to_owned()).or_insert(0.0) += (ticks(11) + ticks(12)) / 100.0;
    }
    seconds
}

/// A fresh event of a case of its own.
fn event(n: u64, stage: &str) -> v1::Event {
    v1::Event {
        source: "bench".into(),
        id: format!("event-{n}"),
        case_id: format!("case-{n}"),
        scenario: "tender".into(),
        stage: stage.into(),
        region: "320500".into(),
        amount_fen: Some(120_000_000),
        subjects: vec![v1::Subject {
            role: "bidder".into(),
            id_type: "USCC".into(),
            id: invented::uscc(n % 100_000),
            name: "虚构建设有限公司".into(),
            kind: "enterprise".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
