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

use super::load::Report;
use super::process::Process;
use crate::app::{App, BookFiles};
use crate::book;
use crate::cli::BenchGateArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::world;

const MODES: [&str; 2] = ["unary", "stream"];
const SERVERS: [&str; 2] = ["bare", "real"];

/// Sums over the runs of one server in one mode.
#[derive(Default, Clone)]
struct Sums {
    runs: Vec<Run>,
}

#[derive(Clone)]
struct Run {
    report: Report,
    cpu_us: f64,
}

impl Run {
    fn rate(&self) -> f64 {
        self.report.answers as f64 / self.report.seconds
    }
}

impl Sums {
    /// The middle value of a figure over the runs.
    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.runs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(0.0)
    }
}

/// Starts both servers, lets the client run against each in turn, and prints the comparison.
pub async fn run(args: &BenchGateArgs) -> Result<ExitCode, Failure> {
    let (rounds, seconds) = if args.quick { (3, 2.0) } else { (5, 8.0) };
    let temporary = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let data_dir = args.data_dir.as_deref().unwrap_or(temporary.path());
    let entries = args.entries.to_string();
    let dir = data_dir.display().to_string();
    let mut bare = Process::start(&["bench", "part", "bare"])?;
    let bare_addr = bare.line()?;
    let mut real = Process::start(&[
        "bench",
        "part",
        "real",
        "--data-dir",
        &dir,
        "--entries",
        &entries,
    ])?;
    let real_addr = real.line()?;
    let http_addr = real.line()?;
    note!("{entries} entries on the lists; {rounds} rounds of {seconds} s, servers in turn");

    let mut sums: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
    let before = figures(&http_addr)?;
    for round in 0..=rounds {
        for mode in MODES {
            for server in SERVERS {
                let (process, address) = match server {
                    "bare" => (&bare, &bare_addr),
                    _ => (&real, &real_addr),
                };
                // The first round warms up and is short; its figures are left out.
                let seconds = if round == 0 { 0.5 } else { seconds };
                let cpu = process.cpu_seconds();
                let report = client(args, address, mode, seconds, &format!("{mode}-{round}"))?;
                let cpu_us = (process.cpu_seconds() - cpu) * 1e6 / report.answers.max(1) as f64;
                if round > 0 {
                    sums.entry((mode, server))
                        .or_default()
                        .runs
                        .push(Run { report, cpu_us });
                } else if server == "real" {
                    sums.entry(("warm-up", mode))
                        .or_default()
                        .runs
                        .push(Run { report, cpu_us });
                }
            }
            note_part!(".");
        }
    }
    note!();
    let after = settled_figures(&http_addr).await?;
    tell(&sums, &before, &after, &real);
    Ok(ExitCode::SUCCESS)
}

fn client(
    args: &BenchGateArgs,
    server: &str,
    mode: &str,
    seconds: f64,
    run: &str,
) -> Result<Report, Failure> {
    let (seconds, in_flight, connections) = (
        seconds.to_string(),
        args.in_flight.to_string(),
        args.connections.to_string(),
    );
    let mut client = Process::start(&[
        "bench",
        "part",
        "client",
        "--server",
        server,
        "--mode",
        mode,
        "--seconds",
        &seconds,
        "--in-flight",
        &in_flight,
        "--connections",
        &connections,
        "--run",
        run,
    ])?;
    serde_json::from_str(&client.line()?)
        .map_err(|error| Failure::new("read the client's report", error))
}

fn tell(
    sums: &BTreeMap<(&str, &str), Sums>,
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
    real: &Process,
) {
    say!("mode    server   checks/s    p50 us    p99 us   server CPU us/check   refused");
    for mode in MODES {
        for server in SERVERS {
            let Some(sum) = sums.get(&(mode, server)) else {
                continue;
            };
            say!(
                "{mode:<7} {server:<6} {:>10.0} {:>9.0} {:>9.0} {:>21.1} {:>9}",
                sum.median(Run::rate),
                sum.median(|run| run.report.p50_us.into()),
                sum.median(|run| run.report.p99_us.into()),
                sum.median(|run| run.cpu_us),
                sum.runs.iter().map(|run| run.report.refused).sum::<u64>(),
            );
        }
    }
    let real_answers: u64 = sums
        .iter()
        .filter(|((first, second), _)| *second == "real" || *first == "warm-up")
        .flat_map(|(_, sum)| &sum.runs)
        .map(|run| run.report.answers)
        .sum();
    let grown = |name: &str| {
        let of = |figures: &BTreeMap<String, f64>| figures.get(name).copied().unwrap_or(0.0);
        of(after) - of(before)
    };
    say!();
    say!("answers given             {real_answers}");
    say!(
        "records in the journal    {:.0}",
        grown("creditgate_journal_records_total")
    );
    say!(
        "fsyncs                    {:.0}",
        grown("creditgate_journal_fsyncs_total")
    );
    say!(
        "peak memory               {:.0} MiB (VmHWM)",
        real.memory_mib("VmHWM")
    );
    say!(
        "memory now                {:.0} MiB of its own (RssAnon)",
        real.memory_mib("RssAnon")
    );
    say!();
    for mode in MODES {
        let (Some(bare), Some(real)) = (sums.get(&(mode, "bare")), sums.get(&(mode, "real")))
        else {
            continue;
        };
        // Round by round, since both of a round met the same machine.
        let mut ratios: Vec<f64> = real
            .runs
            .iter()
            .zip(&bare.runs)
            .map(|(real, bare)| real.rate() / bare.rate())
            .collect();
        ratios.sort_by(f64::total_cmp);
        let above = real.median(|run| run.cpu_us) - bare.median(|run| run.cpu_us);
        say!("{mode} CPU above bare {above:.1} us/check");
        say!(
            "{mode} ratio {:.2}",
            ratios.get(ratios.len() / 2).copied().unwrap_or(0.0)
        );
    }
    // A full pipe or a closed terminal changes nothing about what was measured.
    let _ = std::io::stdout().flush();
}

/// The counters once they stand still: the journal's are published a moment after its answers.
async fn settled_figures(http_addr: &str) -> Result<BTreeMap<String, f64>, Failure> {
    const RECORDS: &str = "creditgate_journal_records_total";
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
    app.run()
        .await
        .map_err(|error| Failure::new("serve", error))?;
    Ok(ExitCode::SUCCESS)
}
