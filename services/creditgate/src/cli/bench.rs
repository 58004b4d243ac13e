//! What every benchmark can be told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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

/// What a client of a benchmark calls.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// Address of the server.
    #[arg(long)]
    pub server: String,
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
        let words = pairs.map(|(name, value)| [name.to_owned(), value]);
        words.into_iter().flatten().collect()
    }
}
