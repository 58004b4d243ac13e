//! The pipeline in one and in several processes that share the partitions.
//!
//! They run and have shared the partitions before any event can be read: the events come in one
//! transaction, so that neither a start nor the handing over of partitions is in what is measured.

use std::time::Duration;

use tokio::runtime::Handle;

use super::process::Process;
use super::side::{FIRST_SIGNS, Side, cpu_seconds, rate};
use super::traffic;
use crate::failure::Failure;

/// Time for a group to share its partitions anew, which it tells nobody when it has done.
const SHARING: Duration = Duration::from_secs(4);

/// What so many processes did together.
#[derive(Debug, Clone, Copy)]
pub struct Shared {
    /// Verdicts a second, from the first to the last.
    pub rate: f64,
    /// CPU of all of them for each event, in microseconds.
    pub cpu_us: f64,
    /// The part of that CPU which the least busy one used.
    pub least: f64,
}

/// One round with so many processes.
pub fn round(side: &mut Side, instances: u32, events: u64) -> Result<Shared, Failure> {
    let mut processes = Vec::new();
    for instance in 0..instances {
        let (mut process, service) = side.serve(instance)?;
        service.wait_until_ready(&mut process, &side.stopped)?;
        processes.push(process);
    }
    std::thread::sleep(SHARING);
    let first_signs = side.take(FIRST_SIGNS);
    Handle::current().block_on(traffic::fill(&side.sender, first_signs.clone()))?;
    side.collect(&mut processes, first_signs, |_, _| {})?;

    let numbers = side.take(events);
    let used: Vec<f64> = processes.iter().map(Process::cpu_seconds).collect();
    let cluster = side.cluster.clone();
    let filling = std::thread::spawn({
        let numbers = numbers.clone();
        move || traffic::fill_at_once(&cluster, numbers)
    });
    let mut at_first = None;
    let tally = side.collect(&mut processes, numbers, |processes, _| {
        at_first.get_or_insert_with(|| cpu_seconds(processes));
    });
    let filled = filling
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    filled?;
    let arrivals = tally?.arrivals();
    let cpu = cpu_seconds(&processes) - at_first.unwrap_or_default();
    let each = processes.iter().zip(used);
    let each: Vec<f64> = each
        .map(|(process, before)| process.cpu_seconds() - before)
        .collect();
    let least = each.iter().copied().fold(f64::INFINITY, f64::min);
    for process in processes {
        side.end(process)?;
    }
    Ok(Shared {
        rate: rate(&arrivals),
        cpu_us: cpu * 1e6 / events as f64,
        least: least / each.iter().sum::<f64>().max(1e-3),
    })
}
