//! What every benchmark can be told.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ServerArgs, name_and_value};

/// Where the figures go besides the terminal.
#[derive(Debug, Clone, Default, Args)]
pub struct ReportArgs {
    /// Write the figures as Markdown into this file, too.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the figures as JSON into this file, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What the invented events of a benchmark follow from when nothing else is said.
pub const SEED: u64 = 1;

/// How a service is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Mode {
    /// One event a call.
    Unary,
    /// Events on a stream.
    Stream,
    /// Several events a call.
    Batch,
}

impl Mode {
    /// The word for it, as it is typed and printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Stream => "stream",
            Self::Batch => "batch",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client of a benchmark calls.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// Address of the server.
    #[arg(long)]
    pub server: String,
    /// Who vouches for it over https.
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    /// The client's certificate with its key.
    #[arg(long)]
    pub certificate_file: Option<PathBuf>,
    /// How.
    #[arg(long)]
    pub mode: Mode,
    /// Seconds.
    #[arg(long)]
    pub seconds: f64,
    /// Connections.
    #[arg(long)]
    pub connections: usize,
    /// Events of a call of the mode `batch`.
    #[arg(long)]
    pub batch: u64,
    /// Distinguishes the events of one run from those of another.
    #[arg(long)]
    pub run: String,
    /// What the events follow from.
    #[arg(long)]
    pub seed: u64,
    /// Entries on the lists, from which the listed parties are drawn.
    #[arg(long)]
    pub entries: u64,
}

impl CallArgs {
    /// As the words of a command line.
    pub fn words(&self) -> Vec<String> {
        let pairs = [
            ("--server", self.server.clone()),
            ("--mode", self.mode.name().to_owned()),
            ("--seconds", self.seconds.to_string()),
            ("--connections", self.connections.to_string()),
            ("--batch", self.batch.to_string()),
            ("--run", self.run.clone()),
            ("--seed", self.seed.to_string()),
            ("--entries", self.entries.to_string()),
        ];
        let files = [
            ("--ca-file", &self.ca_file),
            ("--certificate-file", &self.certificate_file),
        ];
        let files = files.into_iter().filter_map(|(name, file)| {
            let file = file.as_ref()?.display().to_string();
            Some((name, file))
        });
        let words = pairs.into_iter().chain(files);
        words
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect()
    }

    /// Where the server is, and what the client shows of itself.
    pub fn server(&self) -> ServerArgs {
        ServerArgs {
            server: self.server.clone(),
            key_file: None,
            ca_file: self.ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            unmasked_for: None,
        }
    }
}

/// `bench sustained`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Calls are due at fixed times, whatever becomes of those before, and a call's time counts from when it was \
due: a service that stands still for a second cannot hide it. First the rate is doubled until the service falls behind, \
then the step is halved a few times; 85 % of the largest rate is held. In a stall window of 100 ms no call was answered \
although some were due; in a gap window fewer than half of those due were.

Examples:
  creditgate bench sustained
  creditgate bench sustained --quick --mode unary
  creditgate bench sustained --mode stream --rate 20000 --seconds 600 --json held.json"
)]
pub struct BenchSustainedArgs {
    /// Holds the rate for 15 seconds instead of two minutes.
    #[arg(long)]
    pub quick: bool,
    /// How the service is called.
    #[arg(long, value_name = "MODE,…", value_delimiter = ',', default_values_t = [Mode::Unary, Mode::Stream], value_parser = paced_mode)]
    pub mode: Vec<Mode>,
    /// How long the rate is held, in seconds [default: 120; 15 if quick].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: Option<u64>,
    /// Holds this rate, in calls a second, instead of looking for the largest one.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: Option<u64>,
    /// How long each rate is tried, in milliseconds [default: 4000; 2000 if quick].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(200..=60_000))]
    pub step_ms: Option<u64>,
    /// Entries on the lists.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub entries: u64,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub connections: usize,
    /// What the invented events follow from.
    #[arg(long, value_name = "N", default_value_t = SEED)]
    pub seed: u64,
    /// Directory for the journals; a temporary one when left out. Two minutes can take several GiB.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the figures go.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// `bench access`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Needs openssl, with which it makes certificates for the run.

Examples:
  creditgate bench access --quick"
)]
pub struct BenchAccessArgs {
    /// Short runs: about a minute in all.
    #[arg(long)]
    pub quick: bool,
    /// How long each run takes, in seconds [default: 8; 2 if quick].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: Option<u64>,
    /// Entries on the lists.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub entries: u64,
    /// Calls in flight.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub in_flight: usize,
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub connections: usize,
    /// What the invented events follow from.
    #[arg(long, value_name = "N", default_value_t = SEED)]
    pub seed: u64,
    /// Where the figures go.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// `bench all`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "What needs Kafka runs only when --kafka names a cluster; else a line says that it was left out. A \
benchmark that breaks off is told in the table, the others still run, and the exit code is 2.

Examples:
  creditgate bench all --quick
  creditgate bench all --quick --only gate,sustained
  creditgate bench all --kafka localhost:9092 --markdown report.md --json report.json"
)]
pub struct BenchAllArgs {
    /// Short runs: less than 15 minutes in all.
    #[arg(long)]
    pub quick: bool,
    /// Only these.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub only: Vec<Which>,
    /// Kafka brokers to begin with, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub kafka: Option<String>,
    /// A setting of librdkafka, such as `security.protocol=SSL`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", requires = "kafka", value_parser = name_and_value)]
    pub kafka_config: Vec<(String, String)>,
    /// Entries on the lists.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub entries: u64,
    /// What the invented events follow from.
    #[arg(long, value_name = "N", default_value_t = SEED)]
    pub seed: u64,
    /// Where the figures go.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// A benchmark that `bench all` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// `bench gate`.
    Gate,
    /// `bench sustained`.
    Sustained,
    /// `bench access`.
    Access,
    /// `bench scale`.
    Scale,
    /// `bench lists`, and once more with Kafka if there is one.
    Lists,
    /// `bench cases`.
    Cases,
    /// `bench stream`, which needs Kafka.
    Stream,
}

/// Batches have no fixed times: they are as long as whoever sends them likes.
fn paced_mode(text: &str) -> Result<Mode, String> {
    match Mode::from_str(text, false)? {
        Mode::Batch => Err("batches are measured by `bench gate`".to_owned()),
        mode => Ok(mode),
    }
}
