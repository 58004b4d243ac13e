//! `creditgate bench`: this build against the limit, measured in the same run, and how fresh lists are.
//!
//! Each server and the client are processes of their own. Runs alternate between the servers, so
//! that a machine whose speed drifts cannot favour one of them.

mod bare;
mod cases;
mod copy;
mod gate;
mod instances;
mod lists;
mod load;
mod process;
mod samples;
mod side;
mod stream;
mod traffic;

use std::process::ExitCode;

use crate::cli::{BenchArgs, BenchCommand, BenchPart};
use crate::failure::Failure;

/// Runs a benchmark, or one of its processes.
pub fn run(args: BenchArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("start the benchmark", error))?;
    runtime.block_on(async {
        match args.what {
            BenchCommand::Gate(args) => gate::run(&args).await,
            BenchCommand::Stream(args) => stream::run(&args).await,
            BenchCommand::Lists(args) => lists::run(&args).await,
            BenchCommand::Cases(args) => cases::run(&args).await,
            BenchCommand::Part(BenchPart::Copy {
                kafka,
                kafka_topic_prefix,
                samples,
            }) => {
                let cluster = side::cluster(&kafka, &kafka_topic_prefix)?;
                copy::serve(&cluster, samples.as_deref()).await
            }
            BenchCommand::Part(BenchPart::Bare) => bare::serve().await,
            BenchCommand::Part(BenchPart::Real { data_dir, entries }) => {
                gate::serve_real(&data_dir, entries).await
            }
            BenchCommand::Part(BenchPart::Client {
                server,
                mode,
                seconds,
                in_flight,
                connections,
                run,
            }) => {
                let load = load::Load {
                    server,
                    seconds,
                    in_flight,
                    connections,
                    run,
                };
                load.print(&mode).await
            }
        }
    })
}
