//! `journal`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `journal`.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Prove that no record of a data directory was changed, dropped or moved since it was written.
    Verify(VerifyArgs),
}

/// `journal verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each record carries the hash of the one before it. Every journal of the directory is read from its first \
record to its last, beside a running service or from a copy; nothing is written. Ends with 0 when all links hold, and \
with 1 when one does not: the first bad record is named, or the one before it. 2: it could not be read.

Example:
  creditgate journal verify --data-dir ./data"
)]
pub struct VerifyArgs {
    /// The data directory, or a copy of it.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub data_dir: PathBuf,
}
