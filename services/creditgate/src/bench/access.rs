//! `creditgate bench access`: what it costs that every caller is known and limited.
//!
//! One service speaks in clear and answers whoever calls from this machine. The other asks for client certificates and reads
//! an access policy, and its callers are those that the policy names.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use creditgate_measures::time::Time;
use creditgate_runtime::callers::hash_key;
use creditgate_runtime::clock::Clock;

use super::gate::{Run, client};
use super::process::Process;
use super::report::{Aim, Row};
use super::side::Service;
use super::times::{Times, percentiles};
use crate::cli::ServerArgs;
use crate::cli::bench::{BenchAccessArgs, CallArgs, Mode};
use crate::client::Client;
use crate::failure::Failure;
use crate::world;

const BENCH: &str = "access";
const MODES: [Mode; 3] = [Mode::Unary, Mode::Stream, Mode::Batch];
/// Events of a call of the mode `batch`.
const BATCH: u64 = 500;
/// Longest time until a service can be called.
const PATIENCE: Duration = Duration::from_secs(30);
/// The key with which lists are brought; it opens a service that lives as long as the benchmark.
const LISTS_KEY: &str = "cgk_bench_lists";
/// The name in the certificate of those who check.
const ASKS: &str = "spiffe://bench.invalid/asks";

/// How callers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Callers {
    /// Whoever calls from this machine.
    Anybody,
    /// By certificate, within an access policy.
    Known,
}

type Runs = BTreeMap<(Mode, Callers), Vec<Run>>;

/// A service and how it is called.
struct Side {
    process: Process,
    server: String,
    ca_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
}

/// Starts both services, lets the client run against each in turn, and compares.
pub async fn measure(args: &BenchAccessArgs) -> Result<Vec<Row>, Failure> {
    let (rounds, seconds) = if args.quick { (3, 2) } else { (5, 8) };
    let seconds = args.seconds.unwrap_or(seconds);
    let dir = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let anybody = Side::start(dir.path(), Callers::Anybody, args.entries).await?;
    let known = Side::start(dir.path(), Callers::Known, args.entries).await?;
    note!(
        "{} entries on the lists; {rounds} rounds of {seconds} s for each of {} modes, services in turn",
        args.entries,
        MODES.len()
    );
    let mut runs = Runs::new();
    for round in 0..=rounds {
        for mode in MODES {
            let turns = match round % 2 {
                0 => [Callers::Anybody, Callers::Known],
                _ => [Callers::Known, Callers::Anybody],
            };
            for callers in turns {
                let side = match callers {
                    Callers::Anybody => &anybody,
                    Callers::Known => &known,
                };
                // The first round warms up and is short; its figures are left out.
                let lasts = if round == 0 { 0.5 } else { seconds as f64 };
                let run = side.run(args, mode, round, lasts)?;
                if round > 0 {
                    runs.entry((mode, callers)).or_default().push(run);
                }
            }
            note_part!(".");
        }
    }
    note!();
    Ok(MODES
        .into_iter()
        .flat_map(|mode| of_mode(mode, &runs))
        .collect())
}

/// The rows of one mode.
fn of_mode(mode: Mode, runs: &Runs) -> Vec<Row> {
    let none = Vec::new();
    let of = |callers| runs.get(&(mode, callers)).unwrap_or(&none);
    let (anybody, known) = (of(Callers::Anybody), of(Callers::Known));
    let row = |what: &str, unit: &str, values: Vec<f64>| {
        Row::new(BENCH, format!("{}: {what}", mode.name()), unit, values)
    };
    let each = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).collect();
    // Round by round, since both of a round met the same machine.
    let pairs = |figure: fn(&Run, &Run) -> f64| {
        let pairs = known.iter().zip(anybody);
        pairs
            .map(|(known, anybody)| figure(known, anybody))
            .collect()
    };
    let mut ratio = row(
        "ratio to a service without",
        "×",
        pairs(|known, anybody| known.rate() / anybody.rate()),
    );
    if mode == Mode::Unary {
        ratio = ratio.aim(Aim::AtLeast(0.85));
    }
    let mut rows = vec![
        row(
            "checks with certificates and policy",
            "checks/s",
            each(known, Run::rate),
        ),
        row("checks without", "checks/s", each(anybody, Run::rate)),
        ratio,
        row(
            "server CPU above a service without",
            "µs/check",
            pairs(|known, anybody| known.cpu_us - anybody.cpu_us),
        ),
    ];
    let times: Vec<Times> = known.iter().map(|run| run.outcome.times.clone()).collect();
    let whole = match mode {
        Mode::Batch => format!("{}: a call of {BATCH}", mode.name()),
        Mode::Unary | Mode::Stream => mode.name().to_owned(),
    };
    rows.extend(percentiles(BENCH, &whole, &times));
    let runs = known.iter().chain(anybody);
    let refused = runs.map(|run| run.outcome.refused as f64).sum();
    rows.push(row("refused", "", vec![refused]).aim(Aim::AtMost(0.0)));
    rows
}

impl Side {
    async fn start(dir: &Path, callers: Callers, entries: u64) -> Result<Self, Failure> {
        let (name, scheme) = match callers {
            Callers::Anybody => ("anybody", "http"),
            Callers::Known => ("known", "https"),
        };
        let dir = dir.join(name);
        fs::create_dir(&dir).map_err(|error| Failure::new("make a directory", error))?;
        let at = |file: &str| dir.join(file);
        let config = match callers {
            Callers::Anybody => "{}\n".to_owned(),
            Callers::Known => secured(&dir)?,
        };
        write(&at("config.yaml"), &config)?;
        let SocketAddr::V4(address) = Service::nowhere()?.grpc else {
            return Err(Failure::plain("the benchmark needs 127.0.0.1"));
        };
        let process = Process::start(&[
            "serve",
            "--config",
            &at("config.yaml").display().to_string(),
            "--roles",
            "registry,gate",
            "--log-filter",
            "warn",
            "--data-dir",
            &at("data").display().to_string(),
            "--grpc-addr",
            &address.to_string(),
        ])?;
        let is_known = callers == Callers::Known;
        let side = Self {
            process,
            server: format!("{scheme}://{address}"),
            ca_file: is_known.then(|| at("ca.pem")),
            certificate_file: is_known.then(|| at("asks.pem")),
        };
        let lists = ServerArgs {
            server: side.server.clone(),
            key_file: is_known.then(|| at("lists.key")),
            ca_file: side.ca_file.clone(),
            certificate_file: None,
            unmasked_for: None,
        };
        let mut client = reached(&lists).await?;
        let now = Time::from_micros(Clock::system().now_micros());
        let listed = (world::FIRST..world::FIRST + entries)
            .map(|n| world::entry(n, now))
            .collect();
        world::import(&mut client, listed, world::all_lists()).await?;
        Ok(side)
    }

    fn run(
        &self,
        args: &BenchAccessArgs,
        mode: Mode,
        round: u32,
        seconds: f64,
    ) -> Result<Run, Failure> {
        let calls = CallArgs {
            server: self.server.clone(),
            ca_file: self.ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            mode,
            seconds,
            connections: args.connections,
            batch: BATCH,
            run: format!("{}-{round}", mode.name()),
            seed: args.seed,
            entries: args.entries,
        };
        let cpu = self.process.cpu_seconds();
        let outcome = client(&calls, args.in_flight)?;
        let cpu = self.process.cpu_seconds() - cpu;
        Ok(Run {
            cpu_us: cpu * 1e6 / outcome.answers.max(1) as f64,
            outcome,
            index_lag: 0.0,
        })
    }
}

/// Tries until the service is there.
async fn reached(server: &ServerArgs) -> Result<Client, Failure> {
    let began = Instant::now();
    loop {
        match Client::connect(server).await {
            Err(_) if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
}

/// Certificates, keys and a policy in a directory, and the configuration that names them.
fn secured(dir: &Path) -> Result<String, Failure> {
    certificate(dir, "ca", "basicConstraints=critical,CA:TRUE", None)?;
    certificate(dir, "server", "subjectAltName=IP:127.0.0.1", Some("ca"))?;
    certificate(
        dir,
        "asks",
        &format!("subjectAltName=URI:{ASKS}"),
        Some("ca"),
    )?;
    let read = |file: &str| {
        let failed = |error| Failure::new("read a certificate", error);
        fs::read_to_string(dir.join(file)).map_err(failed)
    };
    let both = read("asks.pem")? + &read("asks.key")?;
    write(&dir.join("asks.pem"), &both)?;
    write(&dir.join("lists.key"), LISTS_KEY)?;
    let keys = format!(
        "callers:\n- {{name: bench, certificate: \"{ASKS}\"}}\n- {{name: lists, key_sha256: {}}}\n",
        hash_key(LISTS_KEY)
    );
    write(&dir.join("keys.yaml"), &keys)?;
    let policy = "callers:
- name: bench
  department: 示例市财政局
  roles: [business]
  matters:
  - {scenario: tender, regions: [\"320500\"]}
  - {scenario: procurement, stages: [evaluate, award], regions: [\"320500\"]}
- {name: lists, department: 示例市信用中心, roles: [list_source]}
";
    write(&dir.join("access.yaml"), policy)?;
    let at = |file: &str| dir.join(file).display().to_string();
    Ok(format!(
        "keys_file: {}\naccess: {{policy_file: {}}}\ntls: {{certificate_file: {}, key_file: {}, client_ca_file: {}}}\n",
        at("keys.yaml"),
        at("access.yaml"),
        at("server.pem"),
        at("server.key"),
        at("ca.pem"),
    ))
}

/// Makes `NAME.pem` and `NAME.key`, vouched for by another one, or by itself.
fn certificate(dir: &Path, name: &str, says: &str, by: Option<&str>) -> Result<(), Failure> {
    // The machine's own settings would add what they like.
    write(
        &dir.join("openssl.cnf"),
        "[req]\ndistinguished_name = none\n[none]\n",
    )?;
    let mut openssl = Command::new("openssl");
    openssl.current_dir(dir).args([
        "req",
        "-x509",
        "-config",
        "openssl.cnf",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
    ]);
    openssl.args([&format!("/CN={name}"), "-addext", says]);
    openssl.args([
        "-keyout",
        &format!("{name}.key"),
        "-out",
        &format!("{name}.pem"),
    ]);
    if let Some(by) = by {
        openssl.args(["-CA", &format!("{by}.pem"), "-CAkey", &format!("{by}.key")]);
    }
    let done = openssl.output().map_err(|error| {
        Failure::new(
            "make certificates with `openssl`, which this benchmark needs",
            error,
        )
    })?;
    match done.status.success() {
        true => Ok(()),
        false => Err(Failure::new(
            "make certificates with `openssl` (version 3 or later)",
            String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        )),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::new("write a file of the benchmark", error))
}
