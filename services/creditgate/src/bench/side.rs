//! One of the two that are compared: its topics, and the process between them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use creditgate_measures::time::Time;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::config::{Config, Environment, Overrides, ProcessEnvironment, Sources};
use creditgate_runtime::kafka::{Cluster, Incoming, Read, Reader, Sender, Topic};
use tokio::runtime::Handle;

use super::process::{Process, is_about_kafka};
use super::samples::Samples;
use super::traffic::{self, Steady, Tally};
use crate::cli::BenchKafka;
use crate::client::Client;
use crate::failure::Failure;
use crate::world;

/// Time for a process to be ready, and for the next verdict to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time for a process to end well.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// How often a reader without records looks around.
const LOOK: Duration = Duration::from_millis(200);
/// Events by which a process shows that it runs, before a steady load begins.
pub(super) const FIRST_SIGNS: u64 = 200;
/// The beginning of a steady load, of which no time is taken.
const WARM_UP: Duration = Duration::from_secs(1);

/// What stands between events and verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but the transactions, and one record in them for each event.
    Copy,
    /// The same with two records that the pipeline wrote for each event.
    Double,
    /// The service.
    Pipeline,
}

impl Kind {
    /// All, in the order of a round.
    pub const ALL: [Self; 3] = [Self::Copy, Self::Double, Self::Pipeline];

    /// What the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Double => "double",
            Self::Pipeline => "pipeline",
        }
    }
}

/// See the module.
pub struct Side {
    kind: Kind,
    kafka: BenchKafka,
    pub(super) cluster: Cluster,
    partitions: u32,
    reader: Reader,
    pub(super) sender: Sender,
    dir: PathBuf,
    /// How often each outcome came; only verdicts have one.
    outcomes: BTreeMap<String, u64>,
    /// The number of the next event; no two rounds share one.
    next: u64,
    /// Set when somebody wants the benchmark to end.
    pub(super) stopped: Arc<AtomicBool>,
}

/// A round at full load.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Verdicts a second, from the first to the last.
    pub rate: f64,
    /// CPU of the process for each event, in microseconds.
    pub cpu_us: f64,
    /// The most memory it had, in MiB.
    pub peak_mib: f64,
}

/// The cluster as one side sees it.
pub fn cluster(kafka: &BenchKafka, prefix: &str) -> Result<Cluster, Failure> {
    let config = Config::load(Sources {
        file: None,
        environment: &OnlyKafka,
        overrides: Overrides {
            kafka: Some(kafka.kafka.clone()),
            kafka_config: kafka.kafka_config.clone(),
            kafka_topic_prefix: Some(prefix.to_owned()),
            ..Overrides::default()
        },
    })
    .map_err(|errors| Failure::new("configure Kafka", errors.to_string()))?;
    Cluster::of(&config.kafka).ok_or_else(|| Failure::plain("`--kafka` names no broker"))
}

/// What the environment says about Kafka, and nothing else.
struct OnlyKafka;

impl Environment for OnlyKafka {
    fn get(&self, name: &str) -> Option<std::ffi::OsString> {
        ProcessEnvironment
            .get(name)
            .filter(|_| is_about_kafka(name))
    }

    fn names(&self) -> Vec<String> {
        let mut names = ProcessEnvironment.names();
        names.retain(|name| is_about_kafka(name));
        names
    }
}

impl Side {
    /// A side whose topics are there.
    pub fn new(
        kind: Kind,
        kafka: &BenchKafka,
        cluster: &Cluster,
        partitions: u32,
        dir: &Path,
        stopped: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::new("use Kafka", error);
        let places = places(partitions);
        Ok(Self {
            kind,
            kafka: kafka.clone(),
            cluster: cluster.clone(),
            partitions,
            reader: Reader::open(cluster, Topic::Verdicts, &places).map_err(failed)?,
            sender: Sender::open(cluster, PATIENCE).map_err(failed)?,
            dir: dir.to_owned(),
            outcomes: BTreeMap::new(),
            next: 0,
            stopped,
        })
    }

    /// Brings invented entries onto the lists of the service; copies have none.
    pub fn prepare(&self, entries: u64) -> Result<(), Failure> {
        if self.kind != Kind::Pipeline {
            return Ok(());
        }
        let (mut process, service) = self.serve(0)?;
        service.wait_until_ready(&mut process, &self.stopped)?;
        let now = Time::from_micros(Clock::system().now_micros());
        let listed = (world::FIRST..world::FIRST + entries)
            .map(|n| world::entry(n, now))
            .collect();
        Handle::current().block_on(async {
            let mut client = Client::to(&service.grpc.to_string(), None).await?;
            world::import(&mut client, listed, world::all_lists()).await
        })?;
        process.stop(STOP_WITHIN)
    }

    /// Fills the events topic while nobody reads it, then starts the process and sees how fast it is.
    pub fn round(&mut self, events: u64) -> Result<Round, Failure> {
        let numbers = self.take(events);
        Handle::current().block_on(traffic::fill(&self.sender, numbers.clone()))?;
        let mut process = self.start()?;
        let mut cpu_at_first = None;
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let one = std::slice::from_mut(&mut process);
        let tally = self.collect(one, numbers, |processes, verdict| {
            cpu_at_first.get_or_insert_with(|| cpu_seconds(processes));
            if let Some(outcome) = verdict.header("ce_outcome") {
                let outcome = String::from_utf8_lossy(outcome).into_owned();
                *outcomes.entry(outcome).or_default() += 1;
            }
        })?;
        self.outcomes = outcomes;
        let cpu = process.cpu_seconds() - cpu_at_first.unwrap_or_default();
        let peak_mib = process.memory_mib("VmHWM");
        self.end(process)?;
        Ok(Round {
            rate: rate(&tally.arrivals()),
            cpu_us: cpu * 1e6 / events as f64,
            peak_mib,
        })
    }

    /// A steady load of so many events a second; returns how long each verdict took, sorted.
    pub fn steady(&mut self, rate: f64, time: Duration) -> Result<Vec<Duration>, Failure> {
        let mut process = self.start()?;
        let first_signs = self.take(FIRST_SIGNS);
        Handle::current().block_on(traffic::fill(&self.sender, first_signs.clone()))?;
        let one = std::slice::from_mut(&mut process);
        self.collect(one, first_signs, |_, _| {})?;

        let load = Steady::new(self.next, rate, WARM_UP + time);
        self.next = load.numbers().end;
        let (runtime, sender, stopped) = (Handle::current(), &self.sender, &self.stopped);
        let goes_on = || !stopped.load(Ordering::Relaxed);
        let (sent, tally) = std::thread::scope(|scope| {
            let sending = scope.spawn(|| runtime.block_on(load.send(sender, goes_on)));
            let one = std::slice::from_mut(&mut process);
            let tally = self.collect(one, load.numbers(), |_, _| {});
            let sent = sending
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (sent, tally)
        });
        let (sent, arrivals) = (sent?, tally?.arrivals());
        self.end(process)?;
        let warm = sent.first().map(|first| *first + WARM_UP);
        let mut took: Vec<Duration> = sent
            .iter()
            .zip(&arrivals)
            .filter(|(sent, _)| warm.is_some_and(|warm| **sent >= warm))
            .map(|(sent, arrived)| arrived.saturating_duration_since(*sent))
            .collect();
        took.sort_unstable();
        Ok(took)
    }

    /// The outcomes of all verdicts of its rounds, as a line.
    pub fn outcomes(&self) -> String {
        let each = |(outcome, count): (&String, &u64)| format!("{outcome} {count}");
        self.outcomes
            .iter()
            .map(each)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The first records of its topics, for the side that copies them.
    pub fn samples(&self) -> Result<Samples, Failure> {
        Samples::of(&self.cluster, &places(self.partitions))
    }

    /// Where the samples lie that are copied.
    pub fn samples_path(&self) -> PathBuf {
        self.dir.join("samples.json")
    }

    pub(super) fn take(&mut self, events: u64) -> Range<u64> {
        let first = self.next;
        self.next += events;
        first..self.next
    }

    /// Starts the process; it takes up where the one before it ended.
    fn start(&self) -> Result<Process, Failure> {
        match self.kind {
            Kind::Pipeline => self.serve(0).map(|(process, _)| process),
            Kind::Copy | Kind::Double => {
                let mut args = vec!["bench".to_owned(), "part".to_owned(), "copy".to_owned()];
                args.extend(self.kafka_args());
                if self.kind == Kind::Double {
                    let samples = self.samples_path().display().to_string();
                    args.extend(["--samples".to_owned(), samples]);
                }
                start(&args)
            }
        }
    }

    /// Starts a process of the service. The first one keeps the lists; the others share its work.
    pub(super) fn serve(&self, instance: u32) -> Result<(Process, Service), Failure> {
        let service = Service::nowhere()?;
        let roles = match instance {
            0 => "registry,gate,stream,http",
            _ => "gate,stream,http",
        };
        let mut args: Vec<String> = [
            "serve",
            "--roles",
            roles,
            // What it says of the cluster at each start is not news.
            "--log-filter",
            "warn,creditgate::app=error",
            "--data-dir",
        ]
        .map(str::to_owned)
        .to_vec();
        let data_dir = self.dir.join(format!("instance-{instance}"));
        args.push(data_dir.display().to_string());
        args.extend(["--grpc-addr".to_owned(), service.grpc.to_string()]);
        args.extend(["--http-addr".to_owned(), service.http.to_string()]);
        args.extend(self.kafka_args());
        Ok((start(&args)?, service))
    }

    fn kafka_args(&self) -> Vec<String> {
        let prefix = &self.cluster.settings().topic_prefix;
        let mut args = vec!["--kafka".to_owned(), self.kafka.kafka.clone()];
        args.extend(["--kafka-topic-prefix".to_owned(), prefix.clone()]);
        for (name, value) in &self.kafka.kafka_config {
            args.extend(["--kafka-config".to_owned(), format!("{name}={value}")]);
        }
        args
    }

    /// Reads until each of these events has its verdict.
    pub(super) fn collect(
        &self,
        processes: &mut [Process],
        numbers: Range<u64>,
        mut seen: impl FnMut(&[Process], &Incoming),
    ) -> Result<Tally, Failure> {
        let mut tally = Tally::new(numbers);
        let mut last = Instant::now();
        while tally.missing() > 0 {
            unless_stopped(&self.stopped)?;
            if let Some(record) = self.next_record(LOOK)? {
                last = Instant::now();
                self.note(&mut tally, &record, last)?;
                seen(processes, &record);
            } else if let Some(status) = processes.iter_mut().find_map(Process::ended) {
                return Err(self.failed(format!("the process ended with {status}")));
            } else if last.elapsed() > PATIENCE {
                return Err(self.failed(format!(
                    "{} of {} events have no verdict, and none came for {PATIENCE:?}{}",
                    tally.missing(),
                    tally.awaited(),
                    self.first_dead_letter(),
                )));
            }
        }
        Ok(tally)
    }

    /// Stops the process, and makes sure that there is no verdict too many.
    pub(super) fn end(&self, process: Process) -> Result<(), Failure> {
        process.stop(STOP_WITHIN)?;
        match self.next_record(LOOK)? {
            None => Ok(()),
            Some(record) => self.note(&mut Tally::new(0..0), &record, Instant::now()),
        }
    }

    fn note(&self, tally: &mut Tally, record: &Incoming, now: Instant) -> Result<(), Failure> {
        let key = record.key.as_deref().unwrap_or_default();
        tally
            .note(key, now)
            .map_err(|odd| self.failed(odd.to_string()))
    }

    /// The next verdict; none when none comes in this time.
    fn next_record(&self, wait: Duration) -> Result<Option<Incoming>, Failure> {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let read = self.reader.next(left);
            match read.map_err(|error| Failure::new("read the verdicts", error))? {
                Read::Record(record) => return Ok(Some(record)),
                _ if left.is_zero() => return Ok(None),
                Read::End(_) | Read::Nothing => {}
            }
        }
    }

    /// Why an event got no verdict, for the error.
    fn first_dead_letter(&self) -> String {
        let told = || {
            let places = places(self.partitions);
            let reader = Reader::open(&self.cluster, Topic::DeadLetters, &places).ok()?;
            (0..50).find_map(|_| match reader.next(LOOK).ok()? {
                Read::Record(letter) => Some(format!(
                    "; the first dead letter: {}",
                    letter
                        .headers
                        .iter()
                        .filter(|(name, _)| name.starts_with("creditgate"))
                        .map(|(_, value)| value.as_deref().unwrap_or_default())
                        .map(String::from_utf8_lossy)
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
                Read::End(_) | Read::Nothing => None,
            })
        };
        told().unwrap_or_default()
    }

    fn failed(&self, why: String) -> Failure {
        Failure::new(format!("measure the {}", self.kind.name()), why)
    }
}

/// Seconds of CPU that these processes have used.
pub(super) fn cpu_seconds(processes: &[Process]) -> f64 {
    processes.iter().map(Process::cpu_seconds).sum()
}

/// How many came in a second, from the first to the last.
pub(super) fn rate(arrivals: &[Instant]) -> f64 {
    let seconds = match (arrivals.iter().min(), arrivals.iter().max()) {
        (Some(first), Some(last)) => last.duration_since(*first).as_secs_f64(),
        _ => 0.0,
    };
    arrivals.len() as f64 / seconds.max(1e-3)
}

/// Where a service is.
pub struct Service {
    /// Its gRPC.
    pub grpc: SocketAddr,
    /// Its HTTP.
    pub http: SocketAddr,
}

impl Service {
    /// Addresses that nobody listens on now.
    pub fn nowhere() -> Result<Self, Failure> {
        Ok(Self {
            grpc: free_address()?,
            http: free_address()?,
        })
    }

    /// Waits until it answers that it is ready.
    pub fn wait_until_ready(
        &self,
        process: &mut Process,
        stopped: &AtomicBool,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            unless_stopped(stopped)?;
            if let Some(status) = process.ended() {
                return Err(Failure::plain(format!("the service ended with {status}")));
            }
            if self.is_ready().unwrap_or(false) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::plain(format!(
            "the service is not ready after {PATIENCE:?}"
        )))
    }

    fn is_ready(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b" 200"))
    }
}

fn unless_stopped(stopped: &AtomicBool) -> Result<(), Failure> {
    match stopped.load(Ordering::Relaxed) {
        true => Err(Failure::plain("stopped before the end")),
        false => Ok(()),
    }
}

/// All partitions, from their beginning.
fn places(partitions: u32) -> Vec<(i32, Option<i64>)> {
    (0..partitions.cast_signed())
        .map(|partition| (partition, None))
        .collect()
}

fn start(args: &[String]) -> Result<Process, Failure> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Process::start(&args)
}

/// An address that nobody listens on now.
fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| Failure::new("find a free port", error))
}
