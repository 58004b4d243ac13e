//! `creditgate bench`: this build against the limit, measured in the same run, and how fresh lists are.
//!
//! Each server and the client are processes of their own. Runs alternate between the servers, so
//! that a machine whose speed drifts cannot favour one of them. Every benchmark makes rows of one
//! form ([`report`]); `deploy/benchmarks.md` tells the method.

mod access;
mod all;
mod bare;
mod cases;
mod copy;
mod gate;
mod instances;
mod lists;
mod load;
mod machine;
mod paced;
mod process;
mod report;
mod samples;
mod scale;
mod side;
mod stream;
mod sustained;
mod table;
mod times;
mod traffic;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::bench::{ReportArgs, SEED};
use crate::cli::{BenchArgs, BenchCommand, BenchPart};
use crate::failure::Failure;
use machine::About;
use report::{Report, Row};

pub use side::cluster;

/// Runs a benchmark, or one of its processes.
pub fn run(args: BenchArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("start the benchmark", error))?;
    runtime.block_on(async {
        match args.what {
            BenchCommand::Gate(args) => {
                let dir = args.data_dir.as_deref();
                told(&args.report, dir, args.seed, gate::measure(&args)).await
            }
            BenchCommand::Sustained(args) => {
                let dir = args.data_dir.as_deref();
                told(&args.report, dir, args.seed, sustained::measure(&args)).await
            }
            BenchCommand::Stream(args) => {
                told(&args.report, None, SEED, stream::measure(&args)).await
            }
            BenchCommand::Lists(args) => {
                told(&args.report, None, SEED, lists::measure(&args)).await
            }
            BenchCommand::Cases(args) => {
                told(&args.report, None, SEED, cases::measure(&args)).await
            }
            BenchCommand::Scale(args) => {
                let dir = args.data_dir.as_deref();
                told(&args.report, dir, args.seed, scale::measure(&args)).await
            }
            BenchCommand::Access(args) => {
                told(&args.report, None, args.seed, access::measure(&args)).await
            }
            BenchCommand::All(args) => all::run(&args).await,
            BenchCommand::Part(part) => play(part).await,
        }
    })
}

/// Measures, then prints and writes what was found.
async fn told(
    args: &ReportArgs,
    data_dir: Option<&Path>,
    seed: u64,
    measuring: impl Future<Output = Result<Vec<Row>, Failure>>,
) -> Result<ExitCode, Failure> {
    report::try_files(args)?;
    let temporary = std::env::temp_dir();
    let about = About::now(data_dir.unwrap_or(&temporary), Some(seed));
    let rows = measuring.await?;
    Report { about, rows }.tell(args)?;
    Ok(ExitCode::SUCCESS)
}

/// One of the processes of a run.
async fn play(part: BenchPart) -> Result<ExitCode, Failure> {
    match part {
        BenchPart::Copy {
            kafka,
            kafka_topic_prefix,
            samples,
        } => {
            let cluster = side::cluster(&kafka, &kafka_topic_prefix)?;
            copy::serve(&cluster, samples.as_deref()).await
        }
        BenchPart::Bare => bare::serve().await,
        BenchPart::Real { data_dir, entries } => gate::serve_real(&data_dir, entries).await,
        BenchPart::Client { calls, in_flight } => load::print(&calls, in_flight).await,
        BenchPart::Paced {
            calls,
            rate,
            warm_up,
        } => paced::print(&calls, rate, Duration::from_secs_f64(warm_up)).await,
    }
}
