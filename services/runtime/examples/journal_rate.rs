//! How fast the journal is here: 64 tasks append 1 KiB records and wait for each.
//!
//! `cargo run --release -p creditgate-runtime --example journal_rate [directory] [seconds]`
#![allow(clippy::print_stdout, reason = "an example that prints its figures")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use creditgate_runtime::journal::{Journal, Options};

const TASKS: usize = 64;
const PAYLOAD_BYTES: usize = 1024;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    for preallocate in [true, false, true] {
        let dir = parent.join(format!("journal-rate-{}", std::process::id()));
        one_round(&dir, preallocate, Duration::from_secs(seconds)).await?;
        fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

async fn one_round(
    dir: &PathBuf,
    preallocate: bool,
    time: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let (journal, _) = Journal::open(
        dir,
        Options {
            preallocate,
            ..Options::default()
        },
    )?;
    let payload = Bytes::from(vec![7; PAYLOAD_BYTES]);
    let (start, cpu) = (Instant::now(), cpu_ticks()?);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (journal, payload) = (journal.clone(), payload.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < time {
                    let asked = Instant::now();
                    journal
                        .append(1, 0, payload.clone())
                        .await
                        .expect("the disk takes records");
                    latencies.push(asked.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await?);
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_ticks()? - cpu);
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    let stats = journal.stats();
    println!(
        "preallocate {preallocate}: {:.0} records/s, p50 {:?}, p99 {:?}, max {:?}, {} records, {} fsyncs, {:.1} per batch, {} rolls, {:.2} us cpu per record",
        stats.records as f64 / elapsed.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
        stats.records,
        stats.fsyncs,
        stats.records as f64 / stats.batches as f64,
        stats.rolls,
        cpu as f64 * 10_000.0 / stats.records as f64,
    );
    journal.close().await?;
    Ok(())
}

/// User and system time of this process in hundredths of a second.
fn cpu_ticks() -> Result<u64, Box<dyn std::error::Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("no process name")?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next().ok_or("too few fields");
    Ok(next()?.parse::<u64>()? + next()?.parse::<u64>()?)
}
