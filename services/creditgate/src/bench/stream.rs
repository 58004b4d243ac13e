//! `creditgate bench stream`: what the pipeline costs above a copy with the same transactions.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use creditgate_runtime::errors::Chain;
use creditgate_runtime::kafka::{Cluster, topics};
use creditgate_runtime::shutdown;

use super::side::{self, Kind, Round, Side};
use super::traffic::quantile;
use crate::cli::BenchStreamArgs;
use crate::failure::Failure;

/// The first round warms up, is this part of the others, and does not count.
const WARM_UP_PART: u64 = 4;

/// How much is measured.
#[derive(Clone, Copy)]
struct Extent {
    events: u64,
    rounds: u64,
    steady: Duration,
    entries: u64,
}

impl Extent {
    fn of(args: &BenchStreamArgs) -> Self {
        let (events, rounds, steady) = match args.quick {
            true => (20_000, 3, Duration::from_secs(5)),
            false => (100_000, 5, Duration::from_secs(10)),
        };
        Self {
            events: args.events.unwrap_or(events),
            rounds: args.rounds.unwrap_or(rounds),
            steady,
            entries: args.entries,
        }
    }
}

/// What was measured of one side.
struct Figures {
    rounds: Vec<Round>,
    /// At half load, from event to verdict, sorted.
    took: Vec<Duration>,
}

/// Makes the topics, measures, and deletes them, however it went.
pub async fn run(args: &BenchStreamArgs) -> Result<ExitCode, Failure> {
    let random = uuid::Uuid::new_v4().simple().to_string();
    let random = random.get(..8).unwrap_or_default();
    let clusters = Kind::BOTH.map(|kind| {
        side::cluster(
            &args.kafka,
            &format!("creditgate-bench-{random}-{}", kind.name()),
        )
    });
    let [copy, pipeline] = clusters;
    let clusters = [copy?, pipeline?];
    let mut tried = Vec::new();
    let measured = measure(args, &clusters, &mut tried).await;
    let mut deleted = Ok(());
    for cluster in tried {
        if let Err(error) = topics::delete(cluster).await {
            note!("{}", Chain(&error));
            deleted = Err(Failure::new("delete the topics of the benchmark", error));
        }
    }
    let (figures, half) = measured?;
    tell(&figures, half);
    deleted.map(|()| ExitCode::SUCCESS)
}

/// The figures of both sides, and half of the pipeline's rate. Whatever topics were tried to be made,
/// even in vain, must be deleted afterwards.
async fn measure<'a>(
    args: &BenchStreamArgs,
    clusters: &'a [Cluster; 2],
    tried: &mut Vec<&'a Cluster>,
) -> Result<([Figures; 2], f64), Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    let mut signals =
        shutdown::signals().map_err(|error| Failure::new("listen for signals", error))?;
    let watching = tokio::spawn({
        let stopped = Arc::clone(&stopped);
        async move {
            signals.recv().await;
            stopped.store(true, Ordering::Relaxed);
        }
    });
    let mut partitions = 0;
    for cluster in clusters {
        note!(
            "makes the topics {}.* on {}, and deletes them at the end",
            cluster.settings().topic_prefix,
            args.kafka.kafka
        );
        tried.push(cluster);
        let ready = topics::ensure(cluster)
            .await
            .map_err(|error| Failure::new("make the topics of the benchmark", error))?;
        partitions = ready.partitions;
    }
    let extent = Extent::of(args);
    let settings = clusters[0].settings();
    note!(
        "{} entries on the lists; {} rounds of {} events, sides in turn; {partitions} partitions, \
             transactions of {} events or {} ms",
        extent.entries,
        extent.rounds,
        extent.events,
        settings.batch_events,
        settings.batch.as_millis(),
    );
    let temporary = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let dir = temporary.path().to_owned();
    let (kafka, clusters) = (args.kafka.clone(), clusters.clone());
    let measuring = tokio::task::spawn_blocking(move || {
        let [copy, pipeline] = clusters;
        let side = |kind, cluster| {
            Side::new(
                kind,
                &kafka,
                cluster,
                partitions,
                &dir,
                Arc::clone(&stopped),
            )
        };
        let sides = [side(Kind::Copy, &copy)?, side(Kind::Pipeline, &pipeline)?];
        compare(sides, extent)
    });
    let measured = measuring
        .await
        .map_err(|error| Failure::new("run the benchmark", error))?;
    watching.abort();
    measured
}

fn compare(mut sides: [Side; 2], extent: Extent) -> Result<([Figures; 2], f64), Failure> {
    let mut figures = [(); 2].map(|()| Figures {
        rounds: Vec::new(),
        took: Vec::new(),
    });
    for side in &sides {
        side.prepare(extent.entries)?;
    }
    for round in 0..=extent.rounds {
        for (side, figures) in sides.iter_mut().zip(&mut figures) {
            match round {
                0 => {
                    side.round((extent.events / WARM_UP_PART).max(1))?;
                }
                _ => figures.rounds.push(side.round(extent.events)?),
            }
            note_part!(".");
        }
    }
    let [_, pipeline] = &figures;
    let half = rates(pipeline).median / 2.0;
    for (side, figures) in sides.iter_mut().zip(&mut figures) {
        figures.took = side.steady(half, extent.steady)?;
        note_part!(".");
    }
    let [_, pipeline] = &sides;
    note!("\nverdicts of the rounds: {}", pipeline.outcomes());
    Ok((figures, half))
}

/// The least, the middle and the greatest of some values.
#[derive(Debug, PartialEq)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self {
            min: quantile(&values, 0.0),
            median: quantile(&values, 0.5),
            max: quantile(&values, 1.0),
        }
    }
}

fn rates(figures: &Figures) -> Spread {
    Spread::of(figures.rounds.iter().map(|round| round.rate))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn tell(figures: &[Figures; 2], half: f64) {
    for line in table(figures, half) {
        say!("{line}");
    }
    // A full pipe or a closed terminal changes nothing about what was measured.
    let _ = std::io::stdout().flush();
}

/// What is printed.
fn table(figures: &[Figures; 2], half: f64) -> Vec<String> {
    let mut lines = vec![
        "side        events/s: min    median       max   CPU us/event   peak MiB    p50 ms    p99 ms    max ms"
            .to_owned(),
    ];
    for (kind, figures) in Kind::BOTH.iter().zip(figures) {
        let rates = rates(figures);
        let took = |share| millis(quantile(&figures.took, share));
        lines.push(format!(
            "{:<10} {:>14.0} {:>9.0} {:>9.0} {:>14.1} {:>10.0} {:>9.0} {:>9.0} {:>9.0}",
            kind.name(),
            rates.min,
            rates.median,
            rates.max,
            Spread::of(figures.rounds.iter().map(|round| round.cpu_us)).median,
            Spread::of(figures.rounds.iter().map(|round| round.peak_mib)).max,
            took(0.50),
            took(0.99),
            took(1.0),
        ));
    }
    let [copy, pipeline] = figures;
    lines.push(String::new());
    lines.push(format!(
        "half load is {half:.0} events/s, on both sides; each event had exactly one verdict"
    ));
    lines.push(format!(
        "pipeline ratio {:.2}",
        rates(pipeline).median / rates(copy).median
    ));
    lines.push(format!(
        "p99 event-to-verdict {:.0} ms at half load",
        millis(quantile(&pipeline.took, 0.99))
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rates: [f64; 3], took_ms: [u64; 3]) -> Figures {
        Figures {
            rounds: rates
                .map(|rate| Round {
                    rate,
                    cpu_us: 40.0,
                    peak_mib: 120.0,
                })
                .to_vec(),
            took: took_ms.map(Duration::from_millis).to_vec(),
        }
    }

    #[test]
    fn the_table_ends_with_ratio_and_latency() {
        let copy = figures([40_000.0, 20_000.0, 30_000.0], [10, 20, 30]);
        let pipeline = figures([12_000.0, 15_000.0, 18_000.0], [50, 60, 70]);
        let expected = "\
side        events/s: min    median       max   CPU us/event   peak MiB    p50 ms    p99 ms    max ms
copy                20000     30000     40000           40.0        120        20        30        30
pipeline            12000     15000     18000           40.0        120        60        70        70

half load is 7500 events/s, on both sides; each event had exactly one verdict
pipeline ratio 0.50
p99 event-to-verdict 70 ms at half load";
        assert_eq!(table(&[copy, pipeline], 7_500.0).join("\n"), expected);
    }
}
