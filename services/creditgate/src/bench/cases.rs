//! `creditgate bench cases`: how fast open cases are reviewed, and what live checks feel of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use creditgate_measures::identifier::invented;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::v1;
use creditgate_runtime::clock::Clock;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::load;
use super::process::Process;
use super::report::{Aim, Row};
use super::side::Service;
use super::times::{Times, percentiles};
use crate::cli::BenchCasesArgs;
use crate::client::{Client, Gate};
use crate::failure::Failure;
use crate::world;

const BENCH: &str = "cases";
/// Numbers of the parties whose entries change; live checks are about others.
const PARTIES_FROM: u64 = 50_000;
/// Cases opened by one call.
const BATCH: u64 = 500;
/// Live checks that warm up.
const WARM_UP: Duration = Duration::from_secs(3);
/// Longest time for all reviews.
const REVIEWED_WITHIN: Duration = Duration::from_secs(900);
/// Time for a process to end well.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// What live checks are counted for.
#[derive(Default)]
struct Live {
    /// 0: not counted; else the place in `times`.
    phase: AtomicU64,
    times: [Mutex<Times>; 2],
    refused: AtomicU64,
    over: AtomicBool,
}

/// Opens cases, changes the lists, and measures how fast the cases are reviewed.
pub async fn measure(args: &BenchCasesArgs) -> Result<Vec<Row>, Failure> {
    let dir = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let service = Service::nowhere()?;
    let data_dir = dir.path().display().to_string();
    let (grpc, http) = (service.grpc.to_string(), service.http.to_string());
    let mut process = Process::start(&[
        "serve",
        "--data-dir",
        &data_dir,
        "--grpc-addr",
        &grpc,
        "--http-addr",
        &http,
        "--log-filter",
        "warn,creditgate::app=error",
    ])?;
    service.wait_until_ready(&mut process, &AtomicBool::new(false))?;
    let mut client = Client::to(&grpc, None).await?;
    world::import(&mut client, Vec::new(), world::all_lists()).await?;
    let opening = open_cases(&mut client, args).await?;
    let opened = reviewed(&mut client).await?;
    note!(
        "{} open cases; the service uses {:.0} MiB",
        opened.open_cases,
        process.memory_mib("VmRSS")
    );

    let live = Arc::new(Live::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(live_checks(
        Client::to(&grpc, None).await?.gate,
        args.rate as f64,
        Arc::clone(&live),
    ));
    tokio::time::sleep(WARM_UP).await;
    live.phase.store(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(args.before)).await;

    let watched = Arc::new(Mutex::new(Times::default()));
    let watching = watch(Client::to(&grpc, None).await?.gate, Arc::clone(&watched)).await?;
    live.phase.store(2, Ordering::Relaxed);
    let (began, used) = (Instant::now(), process.cpu_seconds());
    let now = Time::from_micros(Clock::system().now_micros());
    let listed = (0..args.changes).map(|n| world::entry(PARTIES_FROM + n, now));
    world::import(&mut client, listed.collect(), Vec::new()).await?;
    let imported = began.elapsed();
    let before = opened.reviewed;
    let made = loop {
        let progress = reviewed(&mut client).await?;
        let seq = |version: &str| {
            version
                .rsplit(':')
                .next()
                .and_then(|seq| seq.parse::<u64>().ok())
        };
        if progress.waiting == 0 && seq(&progress.reviewed_to) >= seq(&progress.list_version) {
            break progress.reviewed - before;
        }
        if began.elapsed() > REVIEWED_WITHIN {
            let waiting = progress.waiting;
            return Err(Failure::plain(format!("{waiting} reviews still wait")));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let took = began.elapsed();
    let used = process.cpu_seconds() - used;
    live.phase.store(0, Ordering::Relaxed);
    live.over.store(true, Ordering::Relaxed);
    while tasks.join_next().await.is_some() {}
    watching.abort();
    note!(
        "{} changes, imported in {:.1} s, touched {made} open cases: reviewed in {:.1} s",
        args.changes,
        imported.as_secs_f64(),
        took.as_secs_f64(),
    );
    let delays = std::mem::take(&mut *watched.lock());
    let seen = format!("{} of {made} seen", delays.count());
    let [before, during] = live.times.each_ref().map(|times| times.lock().clone());
    let checks = during.count() as f64 + made as f64;
    let refused = live.refused.load(Ordering::Relaxed) as f64;
    let mut rows = vec![
        Row::once(BENCH, "cases opened by batches", "checks/s", opening),
        Row::once(
            BENCH,
            "cases reviewed",
            "reviews/s",
            made as f64 / took.as_secs_f64(),
        )
        .note(format!("{made} reviews after {} changes", args.changes)),
    ];
    rows.extend(
        percentiles(BENCH, "a change to the verdict that follows", &[delays])
            .into_iter()
            .map(|row| row.note(seen.clone())),
    );
    let ratio = during.ms(0.99) / before.ms(0.99);
    rows.extend(percentiles(BENCH, "live checks before", &[before]));
    rows.extend(percentiles(
        BENCH,
        "live checks during the reviews",
        &[during],
    ));
    rows.extend([
        Row::once(BENCH, "live checks: p99 during against before", "×", ratio)
            .aim(Aim::AtMost(2.0)),
        Row::once(BENCH, "live checks: refused", "", refused).aim(Aim::AtMost(0.0)),
        Row::once(
            BENCH,
            "server CPU during the reviews",
            "µs/check",
            used * 1e6 / checks,
        )
        .note("live checks and reviews together"),
        Row::once(
            BENCH,
            "peak memory (VmHWM)",
            "MiB",
            process.memory_mib("VmHWM"),
        ),
    ]);
    rows.extend(process.stop_and_tell(BENCH, STOP_WITHIN));
    Ok(rows)
}

/// Opens cases whose next stage is still to come, evenly over the parties that will change; returns
/// how many checks a second that took.
async fn open_cases(client: &mut Client, args: &BenchCasesArgs) -> Result<f64, Failure> {
    let began = Instant::now();
    let mut opened = 0;
    while opened < args.cases {
        let until = (opened + BATCH).min(args.cases);
        let events = (opened..until).map(|n| {
            let mut event = load::event("open", n);
            let party = PARTIES_FROM + n % args.changes;
            for subject in &mut event.subjects {
                subject.id = invented::uscc(party);
                subject.name = world::name(party);
            }
            event
        });
        let request = v1::CheckBatchRequest {
            events: events.collect(),
        };
        client
            .gate
            .check_batch(request)
            .await
            .map_err(|status| Failure::new("open cases", status))?;
        opened = until;
    }
    let rate = opened as f64 / began.elapsed().as_secs_f64();
    // Those that follow are told when the last one is taken in.
    let last = v1::GetCaseRequest {
        case_id: load::event("open", args.cases - 1).case_id,
    };
    let taken_in = client.cases.get_case(last).await;
    taken_in.map_err(|status| Failure::new("find the last case", status))?;
    note!("taken in after {:.1} s", began.elapsed().as_secs_f64());
    Ok(rate)
}

async fn reviewed(client: &mut Client) -> Result<v1::ReviewProgress, Failure> {
    let progress = client
        .cases
        .get_review_progress(v1::GetReviewProgressRequest {})
        .await;
    Ok(progress
        .map_err(|status| Failure::new("ask how far the review is", status))?
        .into_inner())
}

/// Notes for each review how long after its change it was seen.
async fn watch(
    mut gate: Gate,
    delays: Arc<Mutex<Times>>,
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let begins = Clock::system().now_micros();
    let asked = v1::WatchVerdictsRequest {
        follow: true,
        ..v1::WatchVerdictsRequest::default()
    };
    let answer = gate.watch_verdicts(asked).await;
    let mut verdicts = answer
        .map_err(|status| Failure::new("follow verdicts", status))?
        .into_inner();
    Ok(tokio::spawn(async move {
        while let Ok(Some(one)) = verdicts.message().await {
            let verdict = one.verdict.unwrap_or_default();
            let at = verdict.evaluated_at.as_ref().and_then(time_from_proto);
            let Some(at) = at.filter(|at| verdict.cause != "event" && at.micros() >= begins) else {
                continue;
            };
            let delay = Clock::system().now_micros() - at.micros();
            let delay = Duration::from_micros(u64::try_from(delay).unwrap_or(0));
            delays.lock().note(delay);
        }
    }))
}

/// So many checks a second, whatever becomes of those before.
async fn live_checks(gate: Gate, rate: f64, live: Arc<Live>) {
    let began = Instant::now();
    let mut sent = 0_u64;
    let mut calls = JoinSet::new();
    while !live.over.load(Ordering::Relaxed) {
        // Rates and times of a benchmark are far from where a float cannot count any more.
        let due = (rate * began.elapsed().as_secs_f64()) as u64;
        while sent < due {
            let (mut gate, live, n) = (gate.clone(), Arc::clone(&live), sent);
            sent += 1;
            calls.spawn(async move {
                let event = Some(load::event("live", n));
                let called = Instant::now();
                let answer = gate.check(v1::CheckRequest { event }).await;
                let took = called.elapsed();
                let phase = usize::try_from(live.phase.load(Ordering::Relaxed)).unwrap_or(0);
                match answer {
                    Ok(_) => {
                        let times = phase.checked_sub(1).and_then(|at| live.times.get(at));
                        times.into_iter().for_each(|times| times.lock().note(took));
                    }
                    Err(_) => {
                        live.refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while calls.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while calls.join_next().await.is_some() {}
}
