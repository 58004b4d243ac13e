//! `creditgate bench stream`: what the pipeline costs above a copy with the same transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use creditgate_runtime::errors::Chain;
use creditgate_runtime::kafka::{Cluster, topics};
use creditgate_runtime::shutdown;

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
    let clusters = Kind::BOTH.map(|kind| {
        side::cluster(
            &args.kafka,
            &format!("creditgate-bench-{random}-{}", kind.name()),
        )
    });
    let [copy, pipeline] = clusters;
    let clusters = [copy?, pipeline?];
    let mut tried = Vec::new();
    let measured = on_both(args, &clusters, &mut tried).await;
    let mut deleted = Ok(());
    for cluster in tried {
        if let Err(error) = topics::delete(cluster).await {
            note!("{}", Chain(&error));
            deleted = Err(Failure::new("delete the topics of the benchmark", error));
        }
    }
    let (figures, half) = measured?;
    deleted.map(|()| rows(&figures, half))
}

/// The figures of both sides, and half of the pipeline's rate. Whatever topics were tried to be made,
/// even in vain, must be deleted afterwards.
async fn on_both<'a>(
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
    let rates = Spread::of(pipeline.rounds.iter().map(|round| round.rate));
    let half = rates.map_or(0.0, |rates| rates.median / 2.0);
    for (side, figures) in sides.iter_mut().zip(&mut figures) {
        figures.took = side.steady(half, extent.steady)?;
        note_part!(".");
    }
    let [_, pipeline] = &sides;
    note!("\nverdicts of the rounds: {}", pipeline.outcomes());
    Ok((figures, half))
}

/// What is told.
fn rows(figures: &[Figures; 2], half: f64) -> Vec<Row> {
    let [copy, pipeline] = figures;
    let each = |figures: &Figures, figure: fn(&Round) -> f64| -> Vec<f64> {
        figures.rounds.iter().map(figure).collect()
    };
    let mut rows = Vec::new();
    for (kind, figures) in Kind::BOTH.iter().zip(figures) {
        let row = |what: &str, unit: &str, figure: fn(&Round) -> f64| {
            let what = format!("{}: {what}", kind.name());
            Row::new(BENCH, what, unit, each(figures, figure))
        };
        rows.push(row("events", "events/s", |round| round.rate));
        rows.push(row("CPU", "µs/event", |round| round.cpu_us));
        rows.push(row("peak memory (VmHWM)", "MiB", |round| round.peak_mib));
    }
    // Round by round, since both of a round met the same machine.
    let rounds = pipeline.rounds.iter().zip(&copy.rounds);
    let ratios = rounds.map(|(pipeline, copy)| pipeline.rate / copy.rate);
    rows.push(Row::new(BENCH, "ratio to the copy", "×", ratios).aim(Aim::AtLeast(0.9)));
    for (kind, figures) in Kind::BOTH.iter().zip(figures) {
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
    fn the_table_has_both_sides_their_ratio_and_latency() {
        let copy = figures([40_000.0, 20_000.0, 30_000.0], [10, 20, 30]);
        let pipeline = figures([12_000.0, 15_000.0, 18_000.0], [50, 60, 70]);
        let expected = "\
bench   what                                            median     min     max  unit      aim     reached
stream  copy: events                                    30,000  20,000  40,000  events/s
stream  copy: CPU                                           40                  µs/event
stream  copy: peak memory (VmHWM)                          120                  MiB
stream  pipeline: events                                15,000  12,000  18,000  events/s
stream  pipeline: CPU                                       40                  µs/event
stream  pipeline: peak memory (VmHWM)                      120                  MiB
stream  ratio to the copy                                 0.60    0.30    0.75  ×         ≥ 0.90  no
stream  copy: event to verdict at half load: p50          20.0                  ms                7500 events/s
stream  copy: event to verdict at half load: p99          30.0                  ms                7500 events/s
stream  copy: event to verdict at half load: p99.9        30.0                  ms                7500 events/s
stream  pipeline: event to verdict at half load: p50      60.0                  ms                7500 events/s
stream  pipeline: event to verdict at half load: p99      70.0                  ms        < 200   yes; 7500 events/s
stream  pipeline: event to verdict at half load: p99.9    70.0                  ms                7500 events/s";
        let told = table::lines(&rows(&[copy, pipeline], 7_500.0));
        assert_eq!(told.join("\n"), expected);
    }
}
