//! The comparison of services: equal first, then timed in turn.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::cerbos::Cerbos;
use super::creditgate::Creditgate;
use super::load::{self, Round};
use super::opa::{Files, Opa};
use super::{Mode, Service};
use crate::inside::Fault;
use crate::policy::{OUTCOMES, Row, rows};
use crate::table::{self, Figures};
use crate::world::{Step, World};

/// What is compared, and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Steps whose outcomes must be equal before anything is timed.
    pub equal: u64,
    /// Rounds of which the figures are taken; one before warms up.
    pub rounds: usize,
    /// Time of a round of one service in one mode.
    pub time: Duration,
    /// Rows of the book.
    pub rows: usize,
    /// The peers to start: `cerbos`, `opa-embedded`, `opa-server`.
    pub peers: Vec<String>,
    /// The product's binary.
    pub creditgate: PathBuf,
    /// Cerbos' binary.
    pub cerbos: PathBuf,
    /// The binary of `opa/`.
    pub opa: PathBuf,
    /// Where servers keep what they keep.
    pub dir: PathBuf,
}

/// First parties on a list, of a hundred.
const LISTED: u64 = 10;
/// Where the numbers of timed steps begin, beyond those compared.
const TIMED: u64 = 50_000_000;
/// Calls in flight.
const IN_FLIGHT: [(Mode, usize); 2] = [(Mode::Unary, 64), (Mode::Batch, 4)];
/// The first of the ports used; the service, Cerbos and OPA take a few from here on.
const PORT: u16 = 17_420;

/// Figures of one service in one mode.
#[derive(Default, Clone)]
struct Sums {
    rate: Figures,
    p50: Figures,
    p99: Figures,
    cpu: Figures,
    refused: usize,
}

impl Sums {
    fn push(&mut self, round: Round) {
        self.rate.push(round.rate);
        self.p50.push(round.p50_us);
        self.p99.push(round.p99_us);
        self.cpu.push(round.cpu_us);
        self.refused += round.refused;
    }
}

/// Starts all, compares them, and prints one table.
pub async fn run(world: &World, plan: &Plan) -> Result<(), Fault> {
    println!("\n## As a service\n");
    let rows = rows(plan.rows, world.seed, world.today);
    let services = start(world, &rows, plan).await?;
    let told = equal(world, &rows, &services, plan.equal).await?;
    println!(
        "A book of {} rows; {} steps with equal outcomes one by one and in batches ({told}). Of a hundred steps {LISTED} \
         have a listed party.\n",
        plan.rows, plan.equal
    );
    for (mode, in_flight) in IN_FLIGHT {
        let mut sums = vec![Sums::default(); services.len()];
        for round in 0..=plan.rounds {
            for (service, sums) in services.iter().zip(&mut sums) {
                let before = if round == 0 { 2_000.0 } else { sums_rate(sums) };
                let time = if round == 0 {
                    plan.time.min(Duration::from_secs(1))
                } else {
                    plan.time
                };
                let figures = one(world, &**service, mode, in_flight, round, before, time).await?;
                if round < 2 {
                    // The warm-up tells how many bodies the first round needs; it is left out of the figures.
                    *sums = Sums::default();
                }
                sums.push(figures);
            }
        }
        print(&services, &sums, mode, in_flight);
    }
    Ok(())
}

fn sums_rate(sums: &Sums) -> f64 {
    sums.rate.max()
}

async fn start(world: &World, rows: &[Row], plan: &Plan) -> Result<Vec<Box<dyn Service>>, Fault> {
    let dir = &plan.dir;
    let began = Instant::now();
    let note = |service: &dyn Service| {
        let after = began.elapsed().as_secs_f64();
        eprintln!("{} ready after {after:.0} s", service.name());
    };
    let mut services: Vec<Box<dyn Service>> = Vec::new();
    let ours = Creditgate::start(&plan.creditgate, dir, PORT, rows, world).await?;
    services.push(Box::new(ours));
    note(&*services[0]);
    let files = Files::write(dir, rows, world)?;
    for peer in &plan.peers {
        let service: Box<dyn Service> = match peer.as_str() {
            "cerbos" => Box::new(Cerbos::start(&plan.cerbos, dir, PORT + 10, rows, world).await?),
            "opa-embedded" => Box::new(Opa::embedded(&plan.opa, &files, world)?),
            "opa-server" => Box::new(Opa::server(&plan.opa, &files, PORT + 20, world, dir).await?),
            _ => {
                return Err(
                    format!("`{peer}` is no peer: cerbos, opa-embedded, opa-server").into(),
                );
            }
        };
        note(&*service);
        services.push(service);
    }
    Ok(services)
}

/// Compares every service with the plainest reading, and stops at the first difference.
async fn equal(
    world: &World,
    rows: &[Row],
    services: &[Box<dyn Service>],
    steps: u64,
) -> Result<String, Fault> {
    let all: Vec<Step> = (0..steps).map(|n| world.step(n, LISTED)).collect();
    let expected: Vec<Vec<u8>> = all.iter().map(|step| world.expected(rows, step)).collect();
    let mut seen = [0_u64; OUTCOMES.len()];
    for rank in expected.iter().flatten() {
        seen[usize::from(*rank)] += 1;
    }
    for service in services {
        for (mode, _) in IN_FLIGHT {
            let size = service.steps_a_call(mode);
            let first = service.connect(mode).await?;
            let tasks = if mode == Mode::Unary { 16 } else { 2 };
            let mut connections = vec![first];
            while connections.len() < tasks {
                let more = connections[0].again();
                connections.push(match more {
                    Some(more) => more,
                    None => service.connect(mode).await?,
                });
            }
            let mut chunks = all.chunks(size).zip(expected.chunks(size));
            loop {
                // As many calls at a time as there are connections.
                let asked: Vec<_> = chunks.by_ref().take(connections.len()).collect();
                if asked.is_empty() {
                    break;
                }
                let bodies = asked
                    .iter()
                    .map(|(steps, _)| service.request(&format!("equal-{mode:?}"), steps, mode));
                let calls = connections.iter_mut().zip(bodies).map(
                    |(connection, body)| -> super::Later<'_, Bytes> {
                        Box::pin(load::patiently(connection, body))
                    },
                );
                let answers = join(calls.collect()).await?;
                for ((steps, expected), answer) in asked.iter().zip(answers) {
                    let ranks = service.ranks(&answer, steps, mode)?;
                    compare(world, service.name(), steps, expected, &ranks)?;
                }
            }
        }
        eprintln!("{} says the same about {steps} steps", service.name());
    }
    let told: Vec<String> = OUTCOMES
        .iter()
        .zip(seen)
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    Ok(told.join(", "))
}

fn compare(
    world: &World,
    name: &str,
    steps: &[Step],
    expected: &[Vec<u8>],
    ranks: &[Vec<u8>],
) -> Result<(), Fault> {
    if ranks.len() != steps.len() {
        return Err(format!("{name} answers {} of {} steps", ranks.len(), steps.len()).into());
    }
    for ((step, expected), ranks) in steps.iter().zip(expected).zip(ranks) {
        if ranks != expected {
            let listings: Vec<_> = step
                .parties
                .iter()
                .map(|party| world.listings(*party))
                .collect();
            return Err(format!(
                "{name} says {ranks:?} where {expected:?} is right: {step:?}, entries {listings:?}"
            )
            .into());
        }
    }
    Ok(())
}

async fn join(calls: Vec<super::Later<'_, Bytes>>) -> Result<Vec<Bytes>, Fault> {
    // Driven together: each call is polled whenever any may go on.
    let mut calls: Vec<_> = calls.into_iter().map(|call| (Some(call), None)).collect();
    std::future::poll_fn(move |context| {
        let mut waits = false;
        for (call, answer) in &mut calls {
            if let Some(running) = call {
                match running.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => {
                        *answer = Some(done);
                        *call = None;
                    }
                    std::task::Poll::Pending => waits = true,
                }
            }
        }
        if waits {
            return std::task::Poll::Pending;
        }
        let answers = calls.iter_mut().filter_map(|(_, answer)| answer.take());
        std::task::Poll::Ready(answers.collect::<Result<Vec<_>, _>>())
    })
    .await
}

async fn one(
    world: &World,
    service: &dyn Service,
    mode: Mode,
    in_flight: usize,
    round: usize,
    rate: f64,
    time: Duration,
) -> Result<Round, Fault> {
    let size = service.steps_a_call(mode);
    // More than can be answered in the time; what is left over is thrown away.
    let wanted = (rate * time.as_secs_f64() * 1.7) as usize + 4 * in_flight * size;
    let calls = if round == 0 {
        (40_000 / size).max(8 * in_flight)
    } else {
        wanted / size
    };
    let first = TIMED + 10_000_000 * round as u64;
    let run = format!("{mode:?}-{round}");
    let bodies: Vec<Bytes> = (0..calls)
        .map(|call| {
            let from = first + (call * size) as u64;
            let steps: Vec<Step> = (from..from + size as u64)
                .map(|n| world.step(n, LISTED))
                .collect();
            service.request(&run, &steps, mode)
        })
        .collect();
    load::play(service, mode, bodies, in_flight, time).await
}

fn print(services: &[Box<dyn Service>], sums: &[Sums], mode: Mode, in_flight: usize) {
    println!("### {mode:?}, {in_flight} calls in flight\n");
    table::head(&[
        "service",
        "steps a call",
        "steps/s, min / median / max",
        "p50 of a call, µs",
        "p99 of a call, µs",
        "server CPU a step, µs",
        "peak memory, MiB",
        "its own now, MiB",
        "calls turned away",
    ]);
    for (service, sums) in services.iter().zip(sums) {
        table::line(&[
            service.name(),
            &service.steps_a_call(mode).to_string(),
            &sums.rate.spread(0),
            &format!("{:.0}", sums.p50.median()),
            &format!("{:.0}", sums.p99.median()),
            &sums.cpu.spread(1),
            &format!("{:.0}", service.process().memory_mib("VmHWM")),
            &format!("{:.0}", service.process().memory_mib("RssAnon")),
            &sums.refused.to_string(),
        ]);
    }
    println!();
    let Some((ours, peers)) = sums.split_first() else {
        return;
    };
    let least = if mode == Mode::Unary { 6.0 } else { 5.0 };
    for (service, peer) in services.iter().skip(1).zip(peers) {
        let what = format!("{mode:?} against {}", service.name());
        table::aim(
            &format!("{what}, by steps a second"),
            &ours.rate.over(&peer.rate),
            least,
        );
        table::aim(
            &format!("{what}, by the server's CPU for a step"),
            &peer.cpu.over(&ours.cpu),
            least,
        );
    }
    println!();
}
