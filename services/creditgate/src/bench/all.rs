//! `creditgate bench all`: every benchmark that can run here, and one table of all figures.
//!
//! A new benchmark is a variant of [`Which`] and an arm of [`measure`]; the compiler asks for both.

use std::process::ExitCode;
use std::time::Instant;

use clap::ValueEnum;

use super::machine::About;
use super::report::{self, Report, Row};
use super::{access, cases, gate, lists, scale, stream, sustained};
use crate::cli::bench::{
    BenchAccessArgs, BenchAllArgs, BenchSustainedArgs, Mode, ReportArgs, Which,
};
use crate::cli::{
    BenchCasesArgs, BenchGateArgs, BenchKafka, BenchListsArgs, BenchScaleArgs, BenchStreamArgs,
};
use crate::failure::Failure;

/// Exit code when a benchmark broke off.
const BROKE_OFF: u8 = 2;

/// Runs them one after the other; one that breaks off does not keep the others from running.
pub async fn run(args: &BenchAllArgs) -> Result<ExitCode, Failure> {
    report::try_files(&args.report)?;
    let about = About::now(&std::env::temp_dir(), Some(args.seed));
    let chosen: Vec<Which> = Which::value_variants()
        .iter()
        .copied()
        .filter(|which| args.only.is_empty() || args.only.contains(which))
        .collect();
    let began = Instant::now();
    let mut rows = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for (nth, &which) in chosen.iter().enumerate() {
        let (bench, begins) = (name(which), Instant::now());
        note!("[{}/{}] {bench}", nth + 1, chosen.len());
        match measure(which, args).await {
            Ok(measured) => rows.extend(measured),
            Err(failure) => {
                note!("{bench}: {failure}");
                rows.push(Row::failed(bench, failure));
                code = ExitCode::from(BROKE_OFF);
            }
        }
        note!(
            "[{}/{}] {bench}: {:.0} s",
            nth + 1,
            chosen.len(),
            begins.elapsed().as_secs_f64()
        );
    }
    note!("all of it in {:.0} s", began.elapsed().as_secs_f64());
    Report { about, rows }.tell(&args.report)?;
    Ok(code)
}

/// The word for a benchmark on the command line.
fn name(which: Which) -> &'static str {
    match which {
        Which::Gate => "gate",
        Which::Sustained => "sustained",
        Which::Access => "access",
        Which::Scale => "scale",
        Which::Lists => "lists",
        Which::Cases => "cases",
        Which::Stream => "stream",
    }
}

async fn measure(which: Which, args: &BenchAllArgs) -> Result<Vec<Row>, Failure> {
    match which {
        Which::Gate => gate::measure(&of_gate(args)).await,
        Which::Sustained => sustained::measure(&of_sustained(args)).await,
        Which::Access => access::measure(&of_access(args)).await,
        Which::Scale => scale::measure(&of_scale(args)).await,
        Which::Lists => {
            let mut rows = lists::measure(&of_lists(args, None)).await?;
            match &args.kafka {
                Some(kafka) => rows.extend(lists::measure(&of_lists(args, Some(kafka))).await?),
                None => rows.push(without_kafka("lists")),
            }
            Ok(rows)
        }
        Which::Cases => cases::measure(&of_cases(args)).await,
        Which::Stream => match &args.kafka {
            Some(kafka) => stream::measure(&of_stream(args, kafka)).await,
            None => Ok(vec![without_kafka("stream")]),
        },
    }
}

fn without_kafka(bench: &str) -> Row {
    let mut row = Row::left_out(bench, "no --kafka given");
    row.what = "behind Kafka".to_owned();
    row
}

fn of_gate(args: &BenchAllArgs) -> BenchGateArgs {
    BenchGateArgs {
        quick: args.quick,
        entries: args.entries,
        in_flight: 128,
        connections: 4,
        batch: 500,
        seed: args.seed,
        data_dir: None,
        report: ReportArgs::default(),
    }
}

fn of_access(args: &BenchAllArgs) -> BenchAccessArgs {
    BenchAccessArgs {
        quick: args.quick,
        seconds: None,
        entries: args.entries,
        in_flight: 128,
        connections: 4,
        seed: args.seed,
        report: ReportArgs::default(),
    }
}

fn of_sustained(args: &BenchAllArgs) -> BenchSustainedArgs {
    BenchSustainedArgs {
        quick: args.quick,
        mode: vec![Mode::Unary, Mode::Stream],
        seconds: None,
        rate: None,
        step_ms: None,
        entries: args.entries,
        connections: 4,
        seed: args.seed,
        data_dir: None,
        report: ReportArgs::default(),
    }
}

fn of_scale(args: &BenchAllArgs) -> BenchScaleArgs {
    BenchScaleArgs {
        quick: args.quick,
        entries: None,
        rate: 1_000,
        seed: args.seed,
        without_index: false,
        without_service: false,
        data_dir: None,
        report: ReportArgs::default(),
    }
}

fn of_lists(args: &BenchAllArgs, kafka: Option<&String>) -> BenchListsArgs {
    BenchListsArgs {
        kafka: kafka.cloned(),
        kafka_config: args.kafka_config.clone(),
        changes: if args.quick { 200 } else { 500 },
        rate: 2_000,
        entries: args.entries,
        report: ReportArgs::default(),
    }
}

fn of_cases(args: &BenchAllArgs) -> BenchCasesArgs {
    let (cases, changes, before) = match args.quick {
        true => (20_000, 200, 10),
        false => (100_000, 1_000, 20),
    };
    BenchCasesArgs {
        cases,
        changes,
        rate: 2_000,
        before,
        report: ReportArgs::default(),
    }
}

fn of_stream(args: &BenchAllArgs, kafka: &str) -> BenchStreamArgs {
    BenchStreamArgs {
        kafka: BenchKafka {
            kafka: kafka.to_owned(),
            kafka_config: args.kafka_config.clone(),
        },
        events: None,
        rounds: None,
        quick: args.quick,
        entries: args.entries,
        instances: Some(2),
        report: ReportArgs::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for which in Which::value_variants() {
            let value = which.to_possible_value().expect("a value");
            assert_eq!(value.get_name(), name(*which));
        }
    }
}
