//! The whole service with as many entries: how long they take to come in, how long a restart takes,
//! what memory they hold, and what live checks feel of changes and of a merge.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use creditgate_measures::time::Time;
use creditgate_proto::v1;
use creditgate_runtime::clock::Clock;

use super::super::report::{Aim, Row};
use super::super::times::percentiles;
use super::live::{Live, Phase};
use super::{BENCH, once};
use crate::bench::process::Process;
use crate::bench::side::Service;
use crate::cli::BenchScaleArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::world;

/// Rows of one import.
const IMPORT_ROWS: u64 = 1_000_000;
/// Time for a process to end well.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// Longest time for it to be ready.
const READY_WITHIN: Duration = Duration::from_secs(900);
/// Changes a second, one by one.
const CHANGES_A_SECOND: u64 = 20;
/// Live checks that warm up.
const WARM_UP: Duration = Duration::from_secs(3);
/// Longest time for a merge to begin, and to end.
const MERGED_WITHIN: Duration = Duration::from_secs(1_800);
/// How often it is looked whether a merge goes on.
const LOOK: Duration = Duration::from_millis(20);
/// Restarts that are timed.
const RESTARTS: usize = 3;
/// The aims: seconds of a restart, MiB of memory, growth of p99.
const RESTART_S: f64 = 10.0;
const MEMORY_MIB: f64 = 1_024.0;
const P99_GROWTH: f64 = 2.0;

/// Measures the service in a directory of its own, with so many entries. Where an earlier run has brought
/// them in, they are used again.
pub async fn measure(dir: &Path, entries: u64, args: &BenchScaleArgs) -> Result<Vec<Row>, Failure> {
    let mut figures = Vec::new();
    match dir.join("changes").exists() {
        true => note!("{} is used as it is: nothing is imported", dir.display()),
        false => bring_in(dir, entries, &mut figures).await?,
    }
    let mut restarts = Vec::new();
    for _ in 1..RESTARTS {
        let (process, _, took) = restart(dir)?;
        restarts.push(took);
        process.stop(STOP_WITHIN)?;
    }
    let (mut process, service, took) = restart(dir)?;
    restarts.push(took);
    let what = format!("restart to ready, {entries} entries");
    figures.push(Row::new(BENCH, what, "s", restarts).aim(Aim::AtMost(RESTART_S)));
    tell_memory(&process, "when ready", &mut figures);
    live(dir, &service, entries, args, &mut figures).await?;
    tell_memory(&process, "after the load", &mut figures);
    figures.push(once(
        "most memory since the restart (VmHWM)",
        "MiB",
        process.memory_mib("VmHWM"),
    ));
    if let Some(status) = process.ended() {
        return Err(Failure::plain(format!("the service ended with {status}")));
    }
    process.stop(STOP_WITHIN)?;
    if args.data_dir.is_none() {
        // A temporary directory goes by itself, but only at the end of all benchmarks.
        let _ = std::fs::remove_dir_all(dir);
    }
    Ok(figures)
}

/// Imports the entries, and stops.
async fn bring_in(dir: &Path, entries: u64, figures: &mut Vec<Row>) -> Result<(), Failure> {
    let (mut process, service) = start(dir)?;
    ready(&service, &mut process)?;
    let mut client = Client::to(&service.grpc.to_string(), None).await?;
    let began = Instant::now();
    let mut from = 0;
    while from < entries {
        let to = (from + IMPORT_ROWS).min(entries);
        import(&mut client, from..to).await?;
        from = to;
        note!(
            "{to} entries imported after {:.0} s, {:.0} MiB",
            began.elapsed().as_secs_f64(),
            process.memory_mib("VmRSS")
        );
    }
    let seconds = began.elapsed().as_secs_f64();
    let mut add = |name: String, unit, value| figures.push(once(name, unit, value));
    add(format!("import of {entries} entries"), "s", seconds);
    add(
        "rows imported a second".into(),
        "1/s",
        entries as f64 / seconds,
    );
    add(
        "most memory until then (VmHWM)".into(),
        "MiB",
        process.memory_mib("VmHWM"),
    );
    idle(dir).await?;
    let began = Instant::now();
    drop(client);
    process.stop(STOP_WITHIN)?;
    add(
        "stop after the import".into(),
        "s",
        began.elapsed().as_secs_f64(),
    );
    Ok(())
}

fn start(dir: &Path) -> Result<(Process, Service), Failure> {
    let service = Service::nowhere()?;
    let data_dir = dir.display().to_string();
    let (grpc, http) = (service.grpc.to_string(), service.http.to_string());
    let mut args = vec!["serve", "--roles", "registry,gate,http"];
    args.extend(["--data-dir", &data_dir]);
    args.extend(["--grpc-addr", &grpc, "--http-addr", &http]);
    args.extend(["--log-filter", "warn,creditgate::app=error"]);
    Ok((Process::start(&args)?, service))
}

/// Waits until the service is ready, longer than a benchmark of small lists would.
fn ready(service: &Service, process: &mut Process) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        match service.wait_until_ready(process, &AtomicBool::new(false)) {
            Err(_) if process.ended().is_none() && began.elapsed() < READY_WITHIN => {}
            answer => return answer,
        }
    }
}

/// Starts the service over what it has, and says how many seconds it took to be ready.
fn restart(dir: &Path) -> Result<(Process, Service, f64), Failure> {
    let began = Instant::now();
    let (mut process, service) = start(dir)?;
    ready(&service, &mut process)?;
    Ok((process, service, began.elapsed().as_secs_f64()))
}

/// Memory of its own, and of files that are mapped: the index, and bodies that were looked at.
fn tell_memory(process: &Process, when: &str, figures: &mut Vec<Row>) {
    let own = process.memory_mib("RssAnon");
    let mapped = process.memory_mib("RssFile");
    figures
        .push(once(format!("memory of its own, {when}"), "MiB", own).aim(Aim::AtMost(MEMORY_MIB)));
    let name = format!("mapped files in memory, {when} (the system takes them back)");
    figures.push(once(name, "MiB", mapped));
}

/// Imports the invented entries of these numbers, each row looked at once.
async fn import(client: &mut Client, numbers: std::ops::Range<u64>) -> Result<(), Failure> {
    let now = Time::from_micros(Clock::system().now_micros());
    let header = v1::ImportHeader {
        source_unit: "演示数据 (invented)".to_owned(),
        confirm_lists: world::all_lists(),
        on_error: "skip".to_owned(),
        ..v1::ImportHeader::default()
    };
    let part = |part| v1::ImportRequest { part: Some(part) };
    let wanted = numbers.end - numbers.start;
    let rows = numbers.map(move |n| {
        part(v1::import_request::Part::Row(v1::ImportRow {
            entry: Some(world::entry(world::FIRST + n, now)),
            ..v1::ImportRow::default()
        }))
    });
    let header = part(v1::import_request::Part::Header(header));
    let stream = tokio_stream::iter(std::iter::once(header).chain(rows));
    let answer = client.lists.import(stream).await;
    let summary = answer
        .map_err(|status| Failure::new("import the invented lists", status))?
        .into_inner();
    if summary.refused_count > 0 || summary.received != wanted {
        let why = summary.refused.first().map(|row| row.reason.clone());
        return Err(Failure::plain(format!(
            "{} of {wanted} rows of the invented lists are refused: {}",
            summary.refused_count,
            why.unwrap_or_default()
        )));
    }
    Ok(())
}

/// Live checks before and during changes, during an import, and during the merge that it leads to.
async fn live(
    dir: &Path,
    service: &Service,
    entries: u64,
    args: &BenchScaleArgs,
    figures: &mut Vec<Row>,
) -> Result<(), Failure> {
    let seconds = Duration::from_secs(if args.quick { 5 } else { 20 });
    let address = service.grpc.to_string();
    let mut client = Client::to(&address, None).await?;
    // An earlier run may have brought in more.
    let state = client.lists.state(v1::StateRequest::default()).await;
    let known = state.map_err(|status| Failure::new("ask for the state of the lists", status))?;
    let known = known.into_inner().entries;
    if known < entries || known / 2 > entries {
        return Err(Failure::plain(format!(
            "{} holds {known} entries, not {entries}: name as many (`--entries`), or another directory",
            dir.display()
        )));
    }
    let mut live = Live::begin(Client::to(&address, None).await?.gate, args.rate);
    tokio::time::sleep(WARM_UP).await;
    live.phase(Phase::Before);
    tokio::time::sleep(seconds).await;
    live.phase(Phase::Changes);
    change(&mut client, seconds).await?;
    live.phase(Phase::Import);
    // More than a twentieth of all, and than the least overlay that is merged.
    let rows = (entries / 16).max(25_000);
    import(&mut client, known..known + rows).await?;
    let (merged, whole) = merging(dir, &live).await?;
    let refused = live.end().await;

    let before = live.times(Phase::Before).ms(0.99);
    for phase in Phase::COUNTED {
        let times = live.times(phase);
        let at = format!("live checks {}", phase.name());
        figures.push(once(format!("{at}: how many"), "", times.count() as f64));
        if phase != Phase::Before {
            let what = format!("{at}: p99 against before");
            let ratio = once(what, "×", times.ms(0.99) / before);
            figures.push(ratio.aim(Aim::AtMost(P99_GROWTH)));
        }
        figures.extend(percentiles(BENCH, &at, &[times]));
    }
    figures.push(once("live checks refused", "", refused as f64).aim(Aim::AtMost(0.0)));
    let name = match whole {
        true => "the merge took",
        false => "the merge took, from after the import on",
    };
    figures.push(once(name, "s", merged.as_secs_f64()));
    Ok(())
}

/// Suspends entries and puts them in force again.
async fn change(client: &mut Client, time: Duration) -> Result<(), Failure> {
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(1_000 / CHANGES_A_SECOND));
    for n in 0.. {
        tick.tick().await;
        if began.elapsed() >= time {
            break;
        }
        let change = v1::ChangeState {
            entry_id: world::entry(world::FIRST + n / 2, Time::from_micros(0)).entry_id,
            to: if n % 2 == 0 { "SUSPENDED" } else { "EFFECTIVE" }.to_owned(),
            document_no: "演示".to_owned(),
            reason: "演示用虚构事由 (invented)".to_owned(),
            ..v1::ChangeState::default()
        };
        let request = v1::ApplyRequest {
            change: Some(v1::apply_request::Change::ChangeState(change)),
        };
        let applied = client.lists.apply(request).await;
        applied.map_err(|status| Failure::new("change an entry", status))?;
    }
    Ok(())
}

/// Counts what falls into a merge, and says how long it took and whether all of it was seen: a
/// small one is over before the import is.
async fn merging(dir: &Path, live: &Live) -> Result<(Duration, bool), Failure> {
    let began = Instant::now();
    let mut since = None;
    let at_once = is_merging(dir);
    loop {
        match (is_merging(dir), since) {
            (true, None) => {
                live.phase(Phase::Merge);
                since = Some(Instant::now());
            }
            (false, Some(since)) => {
                live.phase(Phase::Between);
                return Ok((since.elapsed(), !at_once));
            }
            // It began and ended during the import.
            (false, None) if began.elapsed() > Duration::from_secs(5) => {
                live.phase(Phase::Between);
                return Ok((Duration::ZERO, false));
            }
            _ if began.elapsed() > MERGED_WITHIN => {
                return Err(Failure::plain("the overlay is not merged in time"));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Waits until no merge goes on.
async fn idle(dir: &Path) -> Result<(), Failure> {
    let began = Instant::now();
    while is_merging(dir) {
        if began.elapsed() > MERGED_WITHIN {
            return Err(Failure::plain("the overlay is not merged in time"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Whether a base file is being written.
fn is_merging(dir: &Path) -> bool {
    std::fs::read_dir(dir.join("lists"))
        .into_iter()
        .flatten()
        .flatten()
        .any(|file| file.path().extension().is_some_and(|end| end == "new"))
}
