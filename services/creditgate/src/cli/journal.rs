//! `journal`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use creditgate_runtime::journal::Receipt;

/// `journal`.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Prove that no record of a data directory was changed, dropped or moved since it was written.
    Verify(VerifyArgs),
}

/// `journal verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each record carries the hash of the one before it. The journals of changes, verdicts and cases are read from \
their first record to their last, beside a running service or from a copy; nothing is written. (Simulations and shadow runs \
are not among them.) Ends with 0 when all links hold, and with 1 when one does not: the first bad record is named, or the one before it. What broke off behind the last record counts \
as one that does not, unless check points show that everything signed is there. 2: it could not be read.

Hashes alone do not show that an end was cut off, or that a tail or the whole was written anew. With the public key of the \
service (`journal.signing_key_file`) its check points are held against the journals; with an anchor (`journal.anchor_file`) \
those that it cannot take back. Copy the anchor first, then check-points.jsonl, then the journals: what is copied later goes \
further.

Examples:
  creditgate journal verify --data-dir ./data
  creditgate journal verify --data-dir ./copy --key journal-key.pub.pem --anchor /mnt/audit/anchor.jsonl"
)]
pub struct VerifyArgs {
    /// The data directory, or a copy of it.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Public key that signed check points; may be named again, for each key there was.
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// Check points that were kept elsewhere.
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub anchor: Option<PathBuf>,
    /// What an answer bore as its receipt (SEQUENCE:HASH): whether the verdict's record is still there.
    #[arg(long = "receipt", value_name = "RECEIPT")]
    pub receipts: Vec<Receipt>,
}
