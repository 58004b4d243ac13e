//! `creditgate bench cases`: how fast open cases are reviewed, and what live checks feel of it.

use std::process::ExitCode;
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
use super::side::Service;
use super::traffic::quantile;
use crate::cli::BenchCasesArgs;
use crate::client::{Client, Gate};
use crate::failure::Failure;
use crate::world;

/// Numbers of the parties whose entries change; live checks are about others.
const PARTIES_FROM: u64 = 50_000;
/// Cases opened by one call.
const BATCH: u64 = 500;
/// How long live checks are measured before the burst.
const BEFORE: Duration = Duration::from_secs(20);
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
    times: [Mutex<Vec<Duration>>; 2],
    refused: AtomicU64,
    over: AtomicBool,
}

/// Opens cases, changes the lists, and prints how fast the cases are reviewed.
pub async fn run(args: &BenchCasesArgs) -> Result<ExitCode, Failure> {
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
    open_cases(&mut client, args).await?;
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
    tokio::time::sleep(BEFORE).await;

    let watched = Arc::new(Mutex::new(Vec::new()));
    let watching = watch(Client::to(&grpc, None).await?.gate, Arc::clone(&watched)).await?;
    live.phase.store(2, Ordering::Relaxed);
    let began = Instant::now();
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
    live.phase.store(0, Ordering::Relaxed);
    live.over.store(true, Ordering::Relaxed);
    while tasks.join_next().await.is_some() {}
    watching.abort();
    let mut delays = std::mem::take(&mut *watched.lock());
    delays.sort_unstable();

    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    say!(
        "{} changes, imported in {:.1} s, touched {} open cases: reviewed in {:.1} s, {:.0} a second",
        args.changes,
        imported.as_secs_f64(),
        made,
        took.as_secs_f64(),
        made as f64 / took.as_secs_f64()
    );
    say!(
        "change to superseding verdict, as a follower sees it: p50 {:.0} ms, p99 {:.0} ms, {} seen",
        ms(quantile(&delays, 0.5)),
        ms(quantile(&delays, 0.99)),
        delays.len()
    );
    say!(
        "live checks, {} a second   p50 ms   p99 ms    checks",
        args.rate
    );
    let [before, during] = &live.times;
    let mut quantiles = Vec::new();
    for (name, times) in [("before", before), ("during the burst", during)] {
        let mut times = times.lock();
        times.sort_unstable();
        let (p50, p99) = (ms(quantile(&times, 0.5)), ms(quantile(&times, 0.99)));
        say!("{name:<26} {p50:>8.2} {p99:>8.2} {:>9}", times.len());
        quantiles.push(p99);
    }
    if let [before, during] = quantiles[..] {
        say!("p99 during against before: {:.2}", during / before);
    }
    say!(
        "{} live checks refused; memory {:.0} MiB",
        live.refused.load(Ordering::Relaxed),
        process.memory_mib("VmHWM")
    );
    process.stop(STOP_WITHIN)?;
    Ok(ExitCode::SUCCESS)
}

/// Opens cases whose next stage is still to come, evenly over the parties that will change.
async fn open_cases(client: &mut Client, args: &BenchCasesArgs) -> Result<(), Failure> {
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
    let seconds = began.elapsed().as_secs_f64();
    note!(
        "{opened} checks in {seconds:.1} s, {:.0} a second",
        opened as f64 / seconds
    );
    // Those that follow are told when the last one is taken in.
    let last = v1::GetCaseRequest {
        case_id: load::event("open", args.cases - 1).case_id,
    };
    let taken_in = client.cases.get_case(last).await;
    taken_in.map_err(|status| Failure::new("find the last case", status))?;
    note!("taken in after {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
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
    delays: Arc<Mutex<Vec<Duration>>>,
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
            delays.lock().push(delay);
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
                        times.into_iter().for_each(|times| times.lock().push(took));
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
