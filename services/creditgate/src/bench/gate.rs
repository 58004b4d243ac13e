//! `creditgate bench gate`: what a check costs above the bare gRPC server.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use creditgate_measures::book::Deployment;
use creditgate_measures::time::Time;
use creditgate_registry::book::TrustedKeys;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::config::{Config, Overrides, Sources};
use creditgate_runtime::shutdown;

use super::load::Outcome;
use super::process::Process;
use super::report::{Aim, Row};
use super::times::{Times, percentiles};
use crate::app::{App, BookFiles};
use crate::book;
use crate::cli::BenchGateArgs;
use crate::cli::bench::{CallArgs, Mode};
use crate::client::Client;
use crate::failure::Failure;
use crate::world;

const BENCH: &str = "gate";
const MODES: [Mode; 3] = [Mode::Unary, Mode::Stream, Mode::Batch];
/// Counter of the service: records that its journals took.
const RECORDS: &str = "creditgate_journal_records_total";
/// Counter of the service: how often its journals waited for the disk.
const FSYNCS: &str = "creditgate_journal_fsyncs_total";

/// Gauge of the service: records of its journal of verdicts that the index lacks.
const INDEX_LAG: &str = "creditgate_index_lag_records";

/// What the clients talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Server {
    Bare,
    Real,
}

/// One run of a client.
pub(super) struct Run {
    /// What the client saw.
    pub outcome: Outcome,
    /// What the server spent on each verdict, in microseconds.
    pub cpu_us: f64,
    /// What the index of the journal lacked when the run was over.
    pub index_lag: f64,
}

impl Run {
    /// Verdicts a second.
    pub(super) fn rate(&self) -> f64 {
        self.outcome.answers as f64 / self.outcome.seconds.max(1e-3)
    }
}

type Runs = BTreeMap<(Mode, Server), Vec<Run>>;

/// Starts both servers, lets the client run against each in turn, and compares.
pub async fn measure(args: &BenchGateArgs) -> Result<Vec<Row>, Failure> {
    let (rounds, seconds) = if args.quick { (3, 2.0) } else { (5, 8.0) };
    let temporary = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let data_dir = args.data_dir.as_deref().unwrap_or(temporary.path());
    let mut bare = Process::start(&["bench", "part", "bare"])?;
    let bare_addr = bare.line()?;
    let (real, real_addr, http_addr) = start_real(data_dir, args.entries)?;
    note!(
        "{} entries on the lists; {rounds} rounds of {seconds} s for each of {} modes, servers in turn",
        args.entries,
        MODES.len()
    );

    let mut runs = Runs::new();
    let mut given = 0;
    let before = figures(&http_addr)?;
    for round in 0..=rounds {
        for mode in MODES {
            // Who goes second finds a warmer machine: they take turns in that, too.
            let turns = match round % 2 {
                0 => [Server::Bare, Server::Real],
                _ => [Server::Real, Server::Bare],
            };
            for server in turns {
                let (process, address) = match server {
                    Server::Bare => (&bare, &bare_addr),
                    Server::Real => (&real, &real_addr),
                };
                let calls = CallArgs {
                    server: address.clone(),
                    ca_file: None,
                    certificate_file: None,
                    mode,
                    // The first round warms up and is short; its figures are left out.
                    seconds: if round == 0 { 0.5 } else { seconds },
                    connections: args.connections,
                    batch: args.batch,
                    run: format!("{}-{round}", mode.name()),
                    seed: args.seed,
                    entries: args.entries,
                };
                let cpu = process.cpu_seconds();
                let outcome = client(&calls, args.in_flight)?;
                let cpu = process.cpu_seconds() - cpu;
                let mut index_lag = 0.0;
                if server == Server::Real {
                    given += outcome.answers;
                    let lag = figures(&http_addr)?.get(INDEX_LAG).copied();
                    index_lag = lag.unwrap_or_default();
                }
                if round > 0 {
                    let cpu_us = cpu * 1e6 / outcome.answers.max(1) as f64;
                    let run = Run {
                        outcome,
                        cpu_us,
                        index_lag,
                    };
                    runs.entry((mode, server)).or_default().push(run);
                }
            }
            note_part!(".");
        }
    }
    note!();
    let after = settled_figures(&http_addr).await?;
    let grown = |name: &str| {
        let of = |figures: &BTreeMap<String, f64>| figures.get(name).copied().unwrap_or(0.0);
        of(&after) - of(&before)
    };
    let mut rows: Vec<Row> = MODES
        .into_iter()
        .flat_map(|mode| of_mode(mode, &runs, args.batch))
        .collect();
    let missing = (given as f64 - grown(RECORDS)).max(0.0);
    rows.extend([
        Row::once(
            BENCH,
            "answers without a record in the journal",
            "",
            missing,
        )
        .aim(Aim::AtMost(0.0))
        .note(format!("{given} answers")),
        Row::once(
            BENCH,
            "records for each fsync",
            "",
            grown(RECORDS) / grown(FSYNCS),
        ),
        Row::once(
            BENCH,
            "peak memory (VmHWM)",
            "MiB",
            real.memory_mib("VmHWM"),
        ),
        Row::once(
            BENCH,
            "memory of its own at the end (RssAnon)",
            "MiB",
            real.memory_mib("RssAnon"),
        ),
    ]);
    Ok(rows)
}

/// The rows of one mode.
fn of_mode(mode: Mode, runs: &Runs, batch: u64) -> Vec<Row> {
    let none = Vec::new();
    let of = |server| runs.get(&(mode, server)).unwrap_or(&none);
    let (bare, real) = (of(Server::Bare), of(Server::Real));
    let row = |what: &str, unit: &str, values: Vec<f64>| {
        Row::new(BENCH, format!("{}: {what}", mode.name()), unit, values)
    };
    let each = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).collect();
    // Round by round, since both of a round met the same machine.
    let pairs = |figure: fn(&Run, &Run) -> f64| {
        let pairs = real.iter().zip(bare);
        pairs.map(|(real, bare)| figure(real, bare)).collect()
    };
    let mut rate = row("checks", "checks/s", each(real, Run::rate));
    if mode != Mode::Unary {
        rate = rate.aim(Aim::AtLeast(200_000.0));
    }
    let mut ratio = row(
        "ratio to the bare server",
        "×",
        pairs(|real, bare| real.rate() / bare.rate()),
    );
    if mode == Mode::Unary {
        ratio = ratio.aim(Aim::AtLeast(0.9));
    }
    let mut above = row(
        "server CPU above the bare server",
        "µs/check",
        pairs(|real, bare| real.cpu_us - bare.cpu_us),
    );
    if mode != Mode::Batch {
        above = above.aim(Aim::AtMost(3.0));
    }
    let refused = real.iter().map(|run| run.outcome.refused as f64).sum();
    let mut rows = vec![
        rate,
        row("checks, bare server", "checks/s", each(bare, Run::rate)),
        ratio,
    ];
    let times: Vec<Times> = real.iter().map(|run| run.outcome.times.clone()).collect();
    let whole = match mode {
        Mode::Batch => format!("{}: a call of {batch}", mode.name()),
        Mode::Unary | Mode::Stream => mode.name().to_owned(),
    };
    rows.extend(percentiles(BENCH, &whole, &times));
    rows.extend([
        row("server CPU", "µs/check", each(real, |run| run.cpu_us)),
        above,
        row(
            "records that the index lacks at the end",
            "",
            each(real, |run| run.index_lag),
        ),
        row("refused", "", vec![refused]).aim(Aim::AtMost(0.0)),
    ]);
    rows
}

/// The real service, its gRPC and its HTTP.
pub fn start_real(data_dir: &Path, entries: u64) -> Result<(Process, String, String), Failure> {
    let (dir, entries) = (data_dir.display().to_string(), entries.to_string());
    let words = [
        "bench",
        "part",
        "real",
        "--data-dir",
        &dir,
        "--entries",
        &entries,
    ];
    let mut real = Process::start(&words)?;
    let grpc_addr = real.line()?;
    let http_addr = real.line()?;
    Ok((real, grpc_addr, http_addr))
}

/// Runs a client with so many calls in flight.
pub(super) fn client(calls: &CallArgs, in_flight: usize) -> Result<Outcome, Failure> {
    let mut words = ["bench", "part", "client"].map(str::to_owned).to_vec();
    words.extend(calls.words());
    words.extend(["--in-flight".to_owned(), in_flight.to_string()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut client = Process::start(&words)?;
    serde_json::from_str(&client.line()?)
        .map_err(|error| Failure::new("read what the client saw", error))
}

/// The counters once they stand still: the journal's are published a moment after its answers.
async fn settled_figures(http_addr: &str) -> Result<BTreeMap<String, f64>, Failure> {
    let mut last = figures(http_addr)?;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let next = figures(http_addr)?;
        if next.get(RECORDS) == last.get(RECORDS) {
            return Ok(next);
        }
        last = next;
    }
    Ok(last)
}

/// The service's own counters, summed over their labels.
fn figures(http_addr: &str) -> Result<BTreeMap<String, f64>, Failure> {
    let failed = |error| Failure::new("read the metrics", error);
    let mut stream = TcpStream::connect(http_addr).map_err(failed)?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .map_err(failed)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(failed)?;
    let mut figures = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("creditgate_")) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let name = series.split('{').next().unwrap_or(series);
        *figures.entry(name.to_owned()).or_insert(0.0) += value.parse::<f64>().unwrap_or(0.0);
    }
    Ok(figures)
}

/// The real service with invented lists; prints its addresses and serves until it is ended.
pub async fn serve_real(data_dir: &Path, entries: u64) -> Result<ExitCode, Failure> {
    let nothing: BTreeMap<String, String> = BTreeMap::new();
    let overrides = Overrides {
        data_dir: Some(data_dir.display().to_string()),
        grpc_addr: Some("127.0.0.1:0".to_owned()),
        http_addr: Some("127.0.0.1:0".to_owned()),
        ..Overrides::default()
    };
    let config = Config::load(Sources {
        file: None,
        environment: &nothing,
        overrides,
    })
    .map_err(|errors| Failure::new("configure the service", errors.to_string()))?;
    let files = BookFiles {
        files: book::files(None).map_err(|error| Failure::new("read the book", error))?,
        named: false,
        signature: None,
        trusted_keys: TrustedKeys::default(),
        deployment: Deployment::default(),
    };
    let clock = Clock::system();
    let signals = shutdown::signals().map_err(|error| Failure::new("listen for signals", error))?;
    let app = App::start(&config, files, clock.clone())
        .await
        .map_err(|error| Failure::new("start the service", error))?;
    let mut client = Client::to(&format!("http://{}", app.grpc_addr()), None).await?;
    let now = Time::from_micros(clock.now_micros());
    let listed = (world::FIRST..world::FIRST + entries)
        .map(|n| world::entry(n, now))
        .collect();
    world::import(&mut client, listed, world::all_lists()).await?;
    say!("{}", app.grpc_addr());
    let http = app.http_addr();
    say!(
        "{}",
        http.ok_or_else(|| Failure::plain("the benchmark needs HTTP"))?
    );
    app.run(signals)
        .await
        .map_err(|error| Failure::new("serve", error))?;
    Ok(ExitCode::SUCCESS)
}
