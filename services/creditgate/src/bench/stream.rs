//! `creditgate bench stream`: what the pipeline costs above copies with the same transactions.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use creditgate_runtime::errors::Chain;
use creditgate_runtime::kafka::{Cluster, topics};
use creditgate_runtime::shutdown;

use super::instances::{self, Shared};
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

/// Everything that was measured.
struct Measured {
    figures: [Figures; 3],
    /// Half of the pipeline's rate.
    half: f64,
    /// The rounds of one process and of several, with how many these are.
    scaling: Option<(u32, [Vec<Shared>; 2])>,
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
    let clusters = Kind::ALL.map(|kind| {
        side::cluster(
            &args.kafka,
            &format!("creditgate-bench-{random}-{}", kind.name()),
        )
    });
    let [copy, double, pipeline] = clusters;
    let clusters = [copy?, double?, pipeline?];
    let mut tried = Vec::new();
    let measured = measure(args, &clusters, &mut tried).await;
    let mut deleted = Ok(());
    for cluster in tried {
        if let Err(error) = topics::delete(cluster).await {
            note!("{}", Chain(&error));
            deleted = Err(Failure::new("delete the topics of the benchmark", error));
        }
    }
    tell(&measured?);
    deleted.map(|()| ExitCode::SUCCESS)
}

/// The figures of all sides. Whatever topics were tried to be made, even in vain, must be deleted
/// afterwards.
async fn measure<'a>(
    args: &BenchStreamArgs,
    clusters: &'a [Cluster; 3],
    tried: &mut Vec<&'a Cluster>,
) -> Result<Measured, Failure> {
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
    let instances = args.instances;
    let measuring = tokio::task::spawn_blocking(move || -> Result<Measured, Failure> {
        let [copy, double, pipeline] = clusters;
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
        let mut sides = [
            side(Kind::Copy, &copy)?,
            side(Kind::Double, &double)?,
            side(Kind::Pipeline, &pipeline)?,
        ];
        let mut measured = compare(&mut sides, extent)?;
        let [_, _, pipeline] = &mut sides;
        if let Some(instances) = instances {
            measured.scaling = Some((instances, scaling(pipeline, instances, extent)?));
        }
        note!("\nverdicts of the rounds: {}", pipeline.outcomes());
        Ok(measured)
    });
    let measured = measuring
        .await
        .map_err(|error| Failure::new("run the benchmark", error))?;
    watching.abort();
    measured
}

fn compare(sides: &mut [Side; 3], extent: Extent) -> Result<Measured, Failure> {
    let mut figures = Kind::ALL.map(|_| Figures {
        rounds: Vec::new(),
        took: Vec::new(),
    });
    for side in sides.iter() {
        side.prepare(extent.entries)?;
    }
    warm_up(sides, (extent.events / WARM_UP_PART).max(1))?;
    for _ in 0..extent.rounds {
        for (side, figures) in sides.iter_mut().zip(&mut figures) {
            figures.rounds.push(side.round(extent.events)?);
            note_part!(".");
        }
    }
    let [_, _, pipeline] = &figures;
    let half = rates(pipeline).median / 2.0;
    for (side, figures) in sides.iter_mut().zip(&mut figures) {
        figures.took = side.steady(half, extent.steady)?;
        note_part!(".");
    }
    Ok(Measured {
        figures,
        half,
        scaling: None,
    })
}

/// A round of each that does not count; what the pipeline writes in it, the double copies afterwards.
fn warm_up(sides: &mut [Side; 3], events: u64) -> Result<(), Failure> {
    let [copy, double, pipeline] = sides;
    copy.round(events)?;
    pipeline.round(events)?;
    pipeline.samples()?.write(&double.samples_path())?;
    double.round(events)?;
    note_part!("...");
    Ok(())
}

/// Rounds of one process and of several, in turn.
fn scaling(side: &mut Side, instances: u32, extent: Extent) -> Result<[Vec<Shared>; 2], Failure> {
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..extent.rounds {
        for (rounds, instances) in rounds.iter_mut().zip([1, instances]) {
            rounds.push(instances::round(side, instances, extent.events)?);
            note_part!(".");
        }
    }
    Ok(rounds)
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

fn tell(measured: &Measured) {
    for line in table(measured) {
        say!("{line}");
    }
    // A full pipe or a closed terminal changes nothing about what was measured.
    let _ = std::io::stdout().flush();
}

/// What is printed.
fn table(measured: &Measured) -> Vec<String> {
    let Measured {
        figures,
        half,
        scaling,
    } = measured;
    let mut lines = vec![
        "side        events/s: min    median       max   CPU us/event   peak MiB    p50 ms    p99 ms    max ms"
            .to_owned(),
    ];
    for (kind, figures) in Kind::ALL.iter().zip(figures) {
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
    let [copy, double, pipeline] = figures;
    let ratio = |copy| rates(pipeline).median / rates(copy).median;
    lines.push(String::new());
    lines.push(
        "copy writes each event as it is; double writes two records for it that the pipeline wrote, a verdict and \
         the state of a case"
            .to_owned(),
    );
    lines.push(format!(
        "half load is {half:.0} events/s, on all sides; each event had exactly one verdict"
    ));
    lines.push(format!(
        "pipeline ratio {:.2} of the copy, {:.2} of the double",
        ratio(copy),
        ratio(double)
    ));
    lines.push(format!(
        "p99 event-to-verdict {:.0} ms at half load",
        millis(quantile(&pipeline.took, 0.99))
    ));
    if let Some((instances, rounds)) = scaling {
        lines.extend(scaling_table(*instances, rounds));
    }
    lines
}

/// What is printed of several processes.
fn scaling_table(instances: u32, [one, several]: &[Vec<Shared>; 2]) -> Vec<String> {
    let rates = |rounds: &[Shared]| Spread::of(rounds.iter().map(|round| round.rate));
    let mut lines = vec![
        String::new(),
        "processes   events/s: min    median       max   CPU us/event   least busy".to_owned(),
    ];
    for (count, rounds) in [(1, one), (instances, several)] {
        let spread = rates(rounds);
        lines.push(format!(
            "{count:<10} {:>14.0} {:>9.0} {:>9.0} {:>14.1} {:>10.0} %",
            spread.min,
            spread.median,
            spread.max,
            Spread::of(rounds.iter().map(|round| round.cpu_us)).median,
            Spread::of(rounds.iter().map(|round| round.least)).median * 100.0,
        ));
    }
    lines.push(format!(
        "{instances} processes are {:.2} times as fast as one; they share the machine with the broker",
        rates(several).median / rates(one).median
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
    fn the_table_ends_with_ratio_latency_and_scaling() {
        let shared = |rate, least| {
            vec![Shared {
                rate,
                cpu_us: 20.0,
                least,
            }]
        };
        let measured = Measured {
            figures: [
                figures([40_000.0, 20_000.0, 30_000.0], [10, 20, 30]),
                figures([20_000.0, 20_000.0, 20_000.0], [10, 20, 30]),
                figures([12_000.0, 15_000.0, 18_000.0], [50, 60, 70]),
            ],
            half: 7_500.0,
            scaling: Some((2, [shared(10_000.0, 1.0), shared(15_000.0, 0.47)])),
        };
        let expected = "\
side        events/s: min    median       max   CPU us/event   peak MiB    p50 ms    p99 ms    max ms
copy                20000     30000     40000           40.0        120        20        30        30
double              20000     20000     20000           40.0        120        20        30        30
pipeline            12000     15000     18000           40.0        120        60        70        70

copy writes each event as it is; double writes two records for it that the pipeline wrote, a verdict and the state of a case
half load is 7500 events/s, on all sides; each event had exactly one verdict
pipeline ratio 0.50 of the copy, 0.75 of the double
p99 event-to-verdict 70 ms at half load

processes   events/s: min    median       max   CPU us/event   least busy
1                   10000     10000     10000           20.0        100 %
2                   15000     15000     15000           20.0         47 %
2 processes are 1.50 times as fast as one; they share the machine with the broker";
        assert_eq!(table(&measured).join("\n"), expected);
    }
}
