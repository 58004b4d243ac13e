//! The commands of `creditgate`, and [`app::App`], which wires the roles together.

#![expect(clippy::print_stderr, reason = "commands speak to a terminal")]

/// Prints a line; a reader that has gone, such as `head`, ends the command in peace.
macro_rules! say {
    () => { $crate::terminal::write(format_args!("\n")) };
    ($($part:tt)*) => { $crate::terminal::write(format_args!("{}\n", format_args!($($part)*))) };
}

/// As [`say`], without the end of the line.
macro_rules! say_part {
    ($($part:tt)*) => { $crate::terminal::write(format_args!($($part)*)) };
}

/// Prints a line on standard error, where nobody may be reading.
macro_rules! note {
    () => { $crate::terminal::note(format_args!("\n")) };
    ($($part:tt)*) => { $crate::terminal::note(format_args!("{}\n", format_args!($($part)*))) };
}

/// As [`note`], without the end of the line.
macro_rules! note_part {
    ($($part:tt)*) => { $crate::terminal::note(format_args!($($part)*)) };
}

mod access;
mod admission;
pub mod app;
mod bench;
pub mod book;
mod cases;
mod check;
mod cli;
mod client;
mod deliveries;
mod demo;
mod evidence;
mod failure;
mod held;
mod identity;
mod incoming;
mod journal;
mod keyring;
mod keys;
mod lists;
mod lists_watch;
mod measures;
mod procedures;
mod render;
mod replay;
mod screen;
mod serve;
mod sources;
mod subject;
mod subscriptions;
mod terminal;
mod verdicts;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, ListsCommand, MeasuresCommand, ProcedureCommand, VerdictsCommand};
use crate::failure::Failure;

/// Runs the command that the command line names.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => block_on(check::run(args)),
        Command::Lists(ListsCommand::Import(args)) => block_on(lists::import(args)),
        Command::Lists(ListsCommand::Show(args)) => block_on(lists::show(args)),
        Command::Lists(ListsCommand::Sources(args)) => block_on(sources::sources(args)),
        Command::Lists(ListsCommand::Held(args)) => block_on(sources::held(args)),
        Command::Lists(ListsCommand::Approve(args)) => block_on(sources::decide(args, true)),
        Command::Lists(ListsCommand::Reject(args)) => block_on(sources::decide(args, false)),
        Command::Lists(ListsCommand::Differences(args)) => block_on(sources::differences(args)),
        Command::Lists(ListsCommand::State(args)) => block_on(lists::state(args)),
        Command::Lists(ListsCommand::Watch(args)) => block_on(lists_watch::run(args)),
        Command::Lists(ListsCommand::Subscriptions(command)) => {
            block_on(subscriptions::run(command))
        }
        Command::Lists(ListsCommand::Change(args)) => block_on(procedures::change(args)),
        Command::Lists(ListsCommand::Due(args)) => block_on(procedures::due(args)),
        Command::Lists(ListsCommand::Procedure(command)) => match command {
            ProcedureCommand::Open(args) => block_on(procedures::open(args)),
            ProcedureCommand::Step(args) => block_on(procedures::step(args)),
            ProcedureCommand::List(args) => block_on(procedures::list(args)),
        },
        Command::Lists(ListsCommand::Notices(args)) => block_on(procedures::notices(args)),
        Command::Lists(ListsCommand::Served(args)) => block_on(procedures::served(args)),
        Command::Lists(ListsCommand::MeasureTaken(args)) => {
            block_on(procedures::measure_taken(args))
        }
        Command::Lists(ListsCommand::Identity(command)) => block_on(identity::run(command)),
        Command::Subject(command) => block_on(subject::run(command)),
        Command::Measures(MeasuresCommand::Lint(args)) => measures::lint(&args),
        Command::Measures(MeasuresCommand::Test(args)) => measures::test(&args),
        Command::Measures(MeasuresCommand::Show(args)) => measures::show(&args),
        Command::Measures(MeasuresCommand::Diff(args)) => measures::diff(&args),
        Command::Measures(MeasuresCommand::Import(args)) => measures::import(&args),
        Command::Measures(MeasuresCommand::Schema(args)) => measures::schema(&args),
        Command::Measures(MeasuresCommand::Explain(args)) => measures::explain(&args),
        Command::Measures(MeasuresCommand::Pack(args)) => measures::pack(&args),
        Command::Measures(MeasuresCommand::Publish(args)) => block_on(measures::publish(args)),
        Command::Measures(MeasuresCommand::Books(args)) => block_on(measures::books(args)),
        Command::Measures(MeasuresCommand::Confirm(args)) => measures::confirm(args),
        Command::Measures(MeasuresCommand::Simulate(args)) => block_on(measures::simulate(args)),
        Command::Measures(MeasuresCommand::Shadow(command)) => block_on(measures::shadow(command)),
        Command::Screen(args) => block_on(screen::run(args)),
        Command::Journal(command) => journal::run(&command),
        Command::Replay(args) => block_on(replay::run(args)),
        Command::Verdicts(VerdictsCommand::Tail(args)) => block_on(verdicts::tail(args)),
        Command::Cases(command) => block_on(cases::run(command)),
        Command::Deliveries(command) => block_on(deliveries::run(command)),
        Command::Keys(args) => keys::run(&args),
        Command::Keyring(command) => keyring::run(&command),
        Command::Access(command) => access::run(&command),
        Command::Bench(args) => bench::run(args),
    };
    done.unwrap_or_else(|failure| failure.report())
}

/// Runs a client command; one thread is enough for it.
pub(crate) fn block_on(
    work: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("start the command", error))?
        .block_on(work)
}
