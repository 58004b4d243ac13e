//! `creditgate bench stream`: what the pipeline costs above copies with the same transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use creditgate_runtime::errors::Chain;
use creditgate_runtime::kafka::{Cluster, topics};
use creditgate_runtime::shutdown;

use super::instances::{self, Shared};
use super::report::{Aim, Row, Spread};
use super::side::{self, Kind, Round, Side};
use super::times::{Times, percentiles};
use crate::cli::BenchStreamArgs;
use crate::failure::Failure;

const BENCH: &str = "stream";
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
pub async fn measure(args: &BenchStreamArgs) -> Result<Vec<Row>, Failure> {
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
    let measured = on_all(args, &clusters, &mut tried).await;
    let mut deleted = Ok(());
    for cluster in tried {
        if let Err(error) = topics::delete(cluster).await {
            note!("{}", Chain(&error));
            deleted = Err(Failure::new("delete the topics of the benchmark", error));
        }
    }
    let measured = measured?;
    deleted.map(|()| rows(&measured))
}

/// The figures of all sides. Whatever topics were tried to be made, even in vain, must be deleted
/// afterwards.
async fn on_all<'a>(
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
    let rates = Spread::of(pipeline.rounds.iter().map(|round| round.rate));
    let half = rates.map_or(0.0, |rates| rates.median / 2.0);
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

/// What is told.
fn rows(measured: &Measured) -> Vec<Row> {
    let Measured {
        figures,
        half,
        scaling,
    } = measured;
    let mut rows = Vec::new();
    for (kind, figures) in Kind::ALL.iter().zip(figures) {
        let row = |what: &str, unit: &str, figure: fn(&Round) -> f64| {
            let what = format!("{}: {what}", kind.name());
            Row::new(BENCH, what, unit, figures.rounds.iter().map(figure))
        };
        rows.push(row("events", "events/s", |round| round.rate));
        rows.push(row("CPU", "µs/event", |round| round.cpu_us));
        rows.push(row("peak memory (VmHWM)", "MiB", |round| round.peak_mib));
    }
    let [copy, double, pipeline] = figures;
    // Round by round, since all of a round met the same machine.
    let ratio = |what: &str, to: &Figures| {
        let rounds = pipeline.rounds.iter().zip(&to.rounds);
        Row::new(BENCH, what, "×", rounds.map(|(own, to)| own.rate / to.rate))
    };
    rows.push(ratio("ratio to the copy", copy).aim(Aim::AtLeast(0.9)));
    rows.push(ratio("ratio to the double", double).note("which writes as many records, as large"));
    for (kind, figures) in Kind::ALL.iter().zip(figures) {
        let what = format!("{}: event to verdict at half load", kind.name());
        let times: Times = figures.took.iter().copied().collect();
        for row in percentiles(BENCH, &what, &[times]) {
            let row = row.note(format!("{half:.0} events/s"));
            let is_aimed_at = *kind == Kind::Pipeline && row.what.ends_with("p99");
            rows.push(match is_aimed_at {
                true => row.aim(Aim::Under(200.0)),
                false => row,
            });
        }
    }
    if let Some((instances, rounds)) = scaling {
        rows.extend(scaling_rows(*instances, rounds));
    }
    rows
}

/// What is told of several processes.
fn scaling_rows(instances: u32, rounds: &[Vec<Shared>; 2]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (count, rounds) in [1, instances].into_iter().zip(rounds) {
        let row = |what: &str, unit: &str, figure: fn(&Shared) -> f64| {
            let what = format!("processes, {count}: {what}");
            Row::new(BENCH, what, unit, rounds.iter().map(figure))
        };
        rows.push(row("events", "events/s", |round| round.rate));
        rows.push(row("CPU", "µs/event", |round| round.cpu_us));
        rows.push(row("part of the least busy", "×", |round| round.least));
    }
    let [one, several] = rounds;
    let ratios = several
        .iter()
        .zip(one)
        .map(|(several, one)| several.rate / one.rate);
    let what = format!("processes, {instances}: ratio to one");
    let note = "they share the machine with the broker";
    rows.push(Row::new(BENCH, what, "×", ratios).note(note));
    rows
}

#[cfg(test)]
mod tests {
    use super::super::table;
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
        let told = table::lines(&rows(&measured));
        let expected = "\
bench   what                                            median     min     max  unit      aim     reached
stream  copy: events                                    30,000  20,000  40,000  events/s
stream  copy: CPU                                           40                  µs/event
stream  copy: peak memory (VmHWM)                          120                  MiB
stream  double: events                                  20,000                  events/s
stream  double: CPU                                         40                  µs/event
stream  double: peak memory (VmHWM)                        120                  MiB
stream  pipeline: events                                15,000  12,000  18,000  events/s
stream  pipeline: CPU                                       40                  µs/event
stream  pipeline: peak memory (VmHWM)                      120                  MiB
stream  ratio to the copy                                 0.60    0.30    0.75  ×         ≥ 0.90  no
stream  ratio to the double                               0.75    0.60    0.90  ×                 which writes as many records, as large
stream  copy: event to verdict at half load: p50          20.0                  ms                7500 events/s
stream  copy: event to verdict at half load: p99          30.0                  ms                7500 events/s
stream  copy: event to verdict at half load: p99.9        30.0                  ms                7500 events/s
stream  double: event to verdict at half load: p50        20.0                  ms                7500 events/s
stream  double: event to verdict at half load: p99        30.0                  ms                7500 events/s
stream  double: event to verdict at half load: p99.9      30.0                  ms                7500 events/s
stream  pipeline: event to verdict at half load: p50      60.0                  ms                7500 events/s
stream  pipeline: event to verdict at half load: p99      70.0                  ms        < 200   yes; 7500 events/s
stream  pipeline: event to verdict at half load: p99.9    70.0                  ms                7500 events/s
stream  processes, 1: events                            10,000                  events/s
stream  processes, 1: CPU                                   20                  µs/event
stream  processes, 1: part of the least busy                 1                  ×
stream  processes, 2: events                            15,000                  events/s
stream  processes, 2: CPU                                   20                  µs/event
stream  processes, 2: part of the least busy              0.47                  ×
stream  processes, 2: ratio to one                        1.50                  ×                 they share the machine with the broker";
        assert_eq!(told.join("\n"), expected);
    }
}
