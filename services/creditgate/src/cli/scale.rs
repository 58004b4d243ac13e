//! `creditgate bench scale` as it is typed.

use std::path::PathBuf;

use clap::Args;

use super::bench::{ReportArgs, SEED};

/// `bench scale`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "First decisions alone, over lists of 10,000 to 20 million entries that are laid out into files and \
mapped; then the service, which imports as many, is started again, and changes and merges them under live checks. \
At 20 million this takes about 30 GB of disk.

Examples:
  creditgate bench scale --quick
  creditgate bench scale --without-service
  creditgate bench scale --without-index --entries 20000000 --data-dir /var/tmp/scale"
)]
pub struct BenchScaleArgs {
    /// Up to a million entries, and few rounds.
    #[arg(long)]
    pub quick: bool,
    /// Entries of the largest lists [default: 20000000; 1000000 if quick].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(10_000..=50_000_000))]
    pub entries: Option<u64>,
    /// Live checks a second.
    #[arg(long, value_name = "R", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub rate: u64,
    /// Which subjects are looked up; the same number, the same subjects.
    #[arg(long, value_name = "N", default_value_t = SEED)]
    pub seed: u64,
    /// Leaves the decisions out.
    #[arg(long)]
    pub without_index: bool,
    /// Leaves the service out.
    #[arg(long)]
    pub without_service: bool,
    /// Directory for the lists, used as it is where an earlier run has filled it; a temporary one when left out.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the figures go.
    #[command(flatten)]
    pub report: ReportArgs,
}
