//! `creditgate bench lists`: how long a change takes until checks use it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use creditgate_measures::time::Time;
use creditgate_proto::v1;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::kafka::topics;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::load;
use super::process::Process;
use super::report::{Aim, Row};
use super::side::{self, Service};
use super::times::{Times, percentiles};
use crate::cli::{BenchKafka, BenchListsArgs};
use crate::client::{Client, Gate};
use crate::failure::Failure;
use crate::world;

const BENCH: &str = "lists";
/// Changes that warm up and do not count.
const WARM_UP: u64 = 50;
/// Checks of the changed party that are under way at each gate: the finer, the more of them.
const PROBES: usize = 4;
/// Time for a change to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// Time between two changes.
const PAUSE: Duration = Duration::from_millis(20);
/// Time for a process to end well.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Parties that are changed, one after the other. Numbers of the same remainder are on a black list.
const PARTIES: u64 = 40;
/// How far apart their numbers are.
const APART: u64 = 14;

/// A gate that is measured.
struct Measured {
    name: &'static str,
    process: Process,
    service: Service,
}

/// What one gate saw.
struct Figures {
    name: &'static str,
    /// From the call of `Apply`.
    from_call: Times,
    /// From its answer; zero when the check was answered before.
    from_answer: Times,
}

impl Figures {
    fn rows(&self) -> Vec<Row> {
        let of = |from: &str, times: &Times| {
            let what = format!("{}: a change is used, from the {from}", self.name);
            percentiles(BENCH, &what, std::slice::from_ref(times))
        };
        let mut rows = of("call", &self.from_call);
        rows.extend(of("answer", &self.from_answer));
        rows
    }
}

/// A check of the changed party that was answered.
struct Seen {
    at: Instant,
    seq: u64,
    party: u64,
    listed: bool,
}

/// Load and probes of all gates.
#[derive(Default)]
struct Shared {
    /// The party that is changed now.
    party: AtomicU64,
    next: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Probes that were answered.
    probed: AtomicU64,
    over: AtomicBool,
}

/// Starts the gates, changes entries one after the other, and measures how long each change took.
pub async fn measure(args: &BenchListsArgs) -> Result<Vec<Row>, Failure> {
    let dir = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let Some(brokers) = &args.kafka else {
        let gates = vec![start(
            "the only one",
            "registry,gate,http",
            dir.path(),
            &[],
        )?];
        return under_load(args, gates).await;
    };
    let kafka = BenchKafka {
        kafka: brokers.clone(),
        kafka_config: args.kafka_config.clone(),
    };
    let random = uuid::Uuid::new_v4().simple().to_string();
    let prefix = format!("creditgate-bench-{}", random.get(..8).unwrap_or_default());
    let cluster = side::cluster(&kafka, &prefix)?;
    let mut more = vec!["--kafka".to_owned(), brokers.clone()];
    more.extend(["--kafka-topic-prefix".to_owned(), prefix.clone()]);
    for (name, value) in &args.kafka_config {
        more.extend(["--kafka-config".to_owned(), format!("{name}={value}")]);
    }
    note!("makes the topics {prefix}.* on {brokers}, and deletes them at the end");
    let measured = async {
        let leads = start("leads", "registry,gate,http", dir.path(), &more)?;
        let follows = start("follows", "gate,http", dir.path(), &more)?;
        under_load(args, vec![leads, follows]).await
    };
    let measured = measured.await;
    if let Err(error) = topics::delete(&cluster).await {
        note!("{}", Chain(&error));
    }
    measured
}

fn start(
    name: &'static str,
    roles: &str,
    dir: &Path,
    more: &[String],
) -> Result<Measured, Failure> {
    let service = Service::nowhere()?;
    let data_dir = dir.join(name).display().to_string();
    let (grpc, http) = (service.grpc.to_string(), service.http.to_string());
    let mut args = vec!["serve", "--roles", roles, "--data-dir", &data_dir];
    args.extend(["--grpc-addr", &grpc, "--http-addr", &http]);
    args.extend(["--log-filter", "warn,creditgate::app=error"]);
    args.extend(more.iter().map(String::as_str));
    let mut process = Process::start(&args)?;
    let never = AtomicBool::new(false);
    // One that follows waits for the first record of the one that leads, which is ready by then.
    service.wait_until_ready(&mut process, &never)?;
    Ok(Measured {
        name,
        process,
        service,
    })
}

/// The first gate is the one that takes changes.
async fn under_load(args: &BenchListsArgs, gates: Vec<Measured>) -> Result<Vec<Row>, Failure> {
    let address = |gate: &Measured| gate.service.grpc.to_string();
    let first = gates.first().ok_or_else(|| Failure::plain("no gate"))?;
    let mut leader = Client::to(&address(first), None).await?;
    let now = Time::from_micros(Clock::system().now_micros());
    let listed = (world::FIRST..world::FIRST + args.entries.max(PARTIES * APART + APART))
        .map(|n| world::entry(n, now))
        .collect();
    world::import(&mut leader, listed, world::all_lists()).await?;

    let shared = Arc::new(Shared::default());
    let mut tasks = JoinSet::new();
    let mut probes = Vec::new();
    let each = args.rate as f64 / gates.len() as f64;
    for gate in &gates {
        let (seen, probe) = mpsc::unbounded_channel();
        for number in 0..PROBES {
            let client = Client::to(&address(gate), None).await?;
            let name = format!("{}-{number}", gate.name);
            tasks.spawn(probe_on(
                client.gate,
                name,
                Arc::clone(&shared),
                seen.clone(),
            ));
        }
        let client = Client::to(&address(gate), None).await?;
        tasks.spawn(load_on(client.gate, each, Arc::clone(&shared)));
        probes.push(probe);
    }
    let cpu = || -> f64 { gates.iter().map(|gate| gate.process.cpu_seconds()).sum() };
    let (began, used) = (Instant::now(), cpu());
    let changed = change_all(args, &mut leader, &shared, &gates, &mut probes).await;
    shared.over.store(true, Ordering::Relaxed);
    let seconds = began.elapsed().as_secs_f64();
    while tasks.join_next().await.is_some() {}
    let used = cpu() - used;
    let changed = changed?;
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
    let answered = count(&shared.answered);
    let checks = answered + count(&shared.probed);
    let mut rows: Vec<Row> = changed.iter().flat_map(Figures::rows).collect();
    rows.extend([
        Row::once(
            BENCH,
            "checks besides the probes",
            "checks/s",
            answered / seconds,
        )
        .note(format!("{} were due", args.rate)),
        Row::once(BENCH, "refused", "", count(&shared.refused)).aim(Aim::AtMost(0.0)),
        Row::once(
            BENCH,
            "server CPU, all gates",
            "µs/check",
            used * 1e6 / checks,
        ),
    ]);
    for gate in gates.into_iter().rev() {
        let peak = gate.process.memory_mib("VmHWM");
        let what = format!("{}: peak memory (VmHWM)", gate.name);
        rows.push(Row::once(BENCH, what, "MiB", peak));
        rows.extend(gate.process.stop_and_tell(BENCH, STOP_WITHIN));
    }
    Ok(rows)
}

/// Suspends entries and puts them in force again, and waits each time until every gate has seen it.
async fn change_all(
    args: &BenchListsArgs,
    leader: &mut Client,
    shared: &Shared,
    gates: &[Measured],
    probes: &mut [mpsc::UnboundedReceiver<Seen>],
) -> Result<Vec<Figures>, Failure> {
    let mut figures: Vec<Figures> = gates
        .iter()
        .map(|gate| Figures {
            name: gate.name,
            from_call: Times::default(),
            from_answer: Times::default(),
        })
        .collect();
    for n in 0..WARM_UP + args.changes {
        let party = black_party(n % PARTIES);
        let suspends = (n / PARTIES).is_multiple_of(2);
        shared.party.store(party, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
        let change = v1::ChangeState {
            entry_id: world::entry(party, Time::from_micros(0)).entry_id,
            to: if suspends { "SUSPENDED" } else { "EFFECTIVE" }.to_owned(),
            document_no: "演示".to_owned(),
            reason: "演示用虚构事由 (invented)".to_owned(),
            ..v1::ChangeState::default()
        };
        let request = v1::ApplyRequest {
            change: Some(v1::apply_request::Change::ChangeState(change)),
        };
        let called = Instant::now();
        let applied = leader.lists.apply(request).await;
        let answered = Instant::now();
        let applied = applied
            .map_err(|status| Failure::new("change an entry", status))?
            .into_inner();
        let wanted = seq_of(&applied.list_version);
        for (probe, figures) in probes.iter_mut().zip(&mut figures) {
            let at = tokio::time::timeout(SEEN_WITHIN, first_seen(probe, wanted, party, !suspends))
                .await
                .map_err(|_| {
                    Failure::plain(format!("a change is not seen for {SEEN_WITHIN:?}"))
                })??;
            if n >= WARM_UP {
                figures.from_call.note(at.duration_since(called));
                let after = at.saturating_duration_since(answered);
                figures.from_answer.note(after);
            }
        }
    }
    Ok(figures)
}

/// When the first check was answered that used a change; it must say what the change makes of it.
async fn first_seen(
    probe: &mut mpsc::UnboundedReceiver<Seen>,
    wanted: u64,
    party: u64,
    listed: bool,
) -> Result<Instant, Failure> {
    while let Some(seen) = probe.recv().await {
        if seen.seq < wanted || seen.party != party {
            continue;
        }
        if seen.listed != listed {
            return Err(Failure::plain(
                "a check that used a change says what was before it",
            ));
        }
        return Ok(seen.at);
    }
    Err(Failure::plain("the checks have ended"))
}

/// Checks the changed party, one check after the other.
async fn probe_on(
    mut gate: Gate,
    name: String,
    shared: Arc<Shared>,
    seen: mpsc::UnboundedSender<Seen>,
) {
    for n in 0_u64.. {
        if shared.over.load(Ordering::Relaxed) {
            return;
        }
        let party = shared.party.load(Ordering::Relaxed);
        if party == 0 {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut event = load::event(&format!("probe-{name}"), n);
        event.subjects = load::event("", party).subjects;
        for subject in &mut event.subjects {
            subject.id = creditgate_measures::identifier::invented::uscc(party);
            subject.name = world::name(party);
        }
        let Ok(answer) = gate.check(v1::CheckRequest { event: Some(event) }).await else {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        shared.probed.fetch_add(1, Ordering::Relaxed);
        let verdict = answer.into_inner().verdict.unwrap_or_default();
        let told = seen.send(Seen {
            at: Instant::now(),
            seq: seq_of(&verdict.list_version),
            party,
            listed: verdict.result_code & 8 != 0,
        });
        if told.is_err() {
            return;
        }
    }
}

/// So many checks a second, whatever becomes of those before.
async fn load_on(gate: Gate, rate: f64, shared: Arc<Shared>) {
    let began = Instant::now();
    let mut sent = 0_u64;
    let mut calls = JoinSet::new();
    while !shared.over.load(Ordering::Relaxed) {
        // Rates and times of a benchmark are far from where a float cannot count any more.
        let due = (rate * began.elapsed().as_secs_f64()) as u64;
        while sent < due {
            sent += 1;
            let n = shared.next.fetch_add(1, Ordering::Relaxed);
            let (mut gate, shared) = (gate.clone(), Arc::clone(&shared));
            calls.spawn(async move {
                let event = Some(load::event("lists", n));
                let count = match gate.check(v1::CheckRequest { event }).await {
                    Ok(_) => &shared.answered,
                    Err(_) => &shared.refused,
                };
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
        while calls.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while calls.join_next().await.is_some() {}
}

/// The number of an invented party that stands on a black list.
fn black_party(n: u64) -> u64 {
    world::FIRST.next_multiple_of(APART) + n * APART
}

/// The sequence number of a version of the lists; 0 when it has none.
fn seq_of(version: &str) -> u64 {
    let seq = version.rsplit(':').next().and_then(|seq| seq.parse().ok());
    seq.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parties_that_are_changed_stand_on_a_black_list() {
        for n in 0..PARTIES {
            let entry = world::entry(black_party(n), Time::from_micros(0));
            assert!(entry.list.starts_with('B'), "{}", entry.list);
        }
    }

    #[test]
    fn a_version_tells_its_number() {
        assert_eq!(seq_of("5d5e0c58-0000-0000-0000-000000000000:17"), 17);
        assert_eq!(seq_of(""), 0);
    }
}
