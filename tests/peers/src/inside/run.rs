//! The comparison inside a process: equal first, then timed in turn.

use std::hint::black_box;
use std::time::Instant;

use super::ours::{Given, Rules, Whole};
use super::{Engine, Fault, peers};
use crate::policy::{OUTCOMES, Row, rows};
use crate::table::{self, Figures};
use crate::world::{Step, World};

/// What is compared, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Steps whose outcomes must be equal before anything is timed.
    pub equal: u64,
    /// Rounds of which the figures are taken; one before warms up.
    pub rounds: usize,
    /// Steps in a round.
    pub steps: u64,
}

/// Steps compared at a time, so that inputs of all engines fit into memory.
const CHUNK: u64 = 10_000;
/// All first parties are listed: without an entry no engine has anything to do.
const LISTED: u64 = 100;
/// Where the numbers of timed steps begin, beyond those compared.
const TIMED: u64 = 50_000_000;

/// Compares over books of these sizes and prints one table.
pub fn run(
    world: &World,
    at: creditgate_measures::time::Time,
    sizes: &[usize],
    plan: Plan,
) -> Result<(), Fault> {
    println!("\n## In one process\n");
    for size in sizes {
        let rows = rows(*size, world.seed, world.today);
        let given = Given::new(&rows, world, at)?;
        let mut engines: Vec<Box<dyn Engine>> =
            vec![Box::new(Rules::new(given)), Box::new(Whole::new(given))];
        engines.extend(peers(&rows)?);
        let told = equal(world, &rows, &mut engines, plan.equal)?;
        println!(
            "A book of {size} rows, {} entries; {} steps with equal outcomes ({told}).\n",
            given.entries(),
            plan.equal
        );
        timed(world, &mut engines, plan)?;
    }
    Ok(())
}

/// Compares every engine with the plainest reading, and stops at the first difference.
fn equal(
    world: &World,
    rows: &[Row],
    engines: &mut [Box<dyn Engine>],
    steps: u64,
) -> Result<String, Fault> {
    let mut seen = [0_u64; OUTCOMES.len()];
    let mut first = 0;
    while first < steps {
        let chunk: Vec<Step> = (first..steps.min(first + CHUNK))
            .map(|n| world.step(n, LISTED))
            .collect();
        first += CHUNK;
        let expected: Vec<Vec<u8>> = chunk
            .iter()
            .map(|step| world.expected(rows, step))
            .collect();
        for rank in expected.iter().flatten() {
            seen[usize::from(*rank)] += 1;
        }
        for engine in engines.iter_mut() {
            engine.prepare(world, &chunk)?;
            for (at, expected) in expected.iter().enumerate() {
                let mut ranks = Vec::new();
                engine.judge(at, &mut ranks)?;
                if ranks != *expected {
                    return Err(format!(
                        "{} says {ranks:?} where {expected:?} is right: {:?}, entries {:?}",
                        engine.name(),
                        chunk[at],
                        chunk[at]
                            .parties
                            .iter()
                            .map(|p| world.in_force(*p))
                            .collect::<Vec<_>>(),
                    )
                    .into());
                }
            }
        }
    }
    let told: Vec<String> = OUTCOMES
        .iter()
        .zip(seen)
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    Ok(told.join(", "))
}

fn timed(world: &World, engines: &mut [Box<dyn Engine>], plan: Plan) -> Result<(), Fault> {
    let steps: Vec<Step> = (TIMED..TIMED + plan.steps)
        .map(|n| world.step(n, LISTED))
        .collect();
    let parties: usize = steps.iter().map(|step| step.parties.len()).sum();
    let mut figures = vec![Figures::default(); engines.len()];
    for round in 0..=plan.rounds {
        for (engine, figures) in engines.iter_mut().zip(&mut figures) {
            engine.prepare(world, &steps)?;
            let mut ranks = Vec::with_capacity(parties);
            let began = Instant::now();
            for at in 0..steps.len() {
                engine.judge(at, &mut ranks)?;
            }
            let nanos = began.elapsed().as_nanos() as f64 / steps.len() as f64;
            black_box(&ranks);
            if round > 0 {
                figures.push(nanos);
            }
        }
    }
    table::head(&[
        "engine",
        "ns a step, min / median / max",
        "times our rule part",
        "times our whole decision",
    ]);
    for (engine, own) in engines.iter().zip(&figures) {
        table::line(&[
            engine.name(),
            &own.spread(0),
            &format!("{:.1}", own.over(&figures[0]).median()),
            &format!("{:.1}", own.over(&figures[1]).median()),
        ]);
    }
    println!();
    // The best peer is the one with the smallest median.
    let best = engines
        .iter()
        .zip(&figures)
        .skip(2)
        .min_by(|a, b| a.1.median().total_cmp(&b.1.median()));
    if let Some((engine, best)) = best {
        table::aim(
            &format!("rule part against the best crate, {}", engine.name()),
            &best.over(&figures[0]),
            10.0,
        );
        table::aim(
            &format!(
                "whole decision against the same rule part of {}",
                engine.name()
            ),
            &best.over(&figures[1]),
            10.0,
        );
        println!();
    }
    Ok(())
}
