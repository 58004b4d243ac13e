//! `lists sources`, `lists held`, `lists approve`, `lists reject`, `lists differences`.

use clap::Args;

use super::ServerArgs;

/// `lists sources`.
#[derive(Debug, Args)]
#[command(
    after_help = "A list is `stale` when its last confirmation is older than its freshness budget: its hits \
then wait for an official. `not_loaded`: no source ever confirmed it. A list is as fresh as the stalest of \
the sources declared for it (`lists.precedence`), or of all that ever confirmed it where none are declared.

Exit code: 0 every list is fresh or not connected, 1 another one is not, 2 it could not be told.

Examples:
  creditgate lists sources
  creditgate lists sources B07 --json"
)]
pub struct SourcesArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only this list.
    pub list: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists held`.
#[derive(Debug, Args)]
#[command(
    after_help = "A full import that would end more than a set share of what its source has in force \
(`lists.removal_percent`), has no rows, or whose file ends in the middle of a row, waits for somebody's approval.

Examples:
  creditgate lists held
  creditgate lists held --decided --json"
)]
pub struct HeldArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Also those that were approved or rejected.
    #[arg(long)]
    pub decided: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists approve` and `lists reject`.
#[derive(Debug, Args)]
#[command(
    after_help = "Whoever sent an import does not approve it. One that a later import of the same source has \
overtaken can only be rejected.

Examples:
  creditgate lists approve hold-1764000000000-42 --reason \"来源单位已书面确认\"
  creditgate lists reject hold-1764000000000-42 --reason \"文件不完整\""
)]
pub struct DecideHoldArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the import that waits.
    pub hold_id: String,
    /// Why; it is recorded with your name.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `lists differences`.
#[derive(Debug, Args)]
#[command(
    after_help = "Where two sources state different things about one entry, the one named first in \
`lists.precedence` stands; of two that are not named there, the one that stated the entry first.

Examples:
  creditgate lists differences
  creditgate lists differences --list B01 --json"
)]
pub struct DifferencesArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only this list.
    #[arg(long, value_name = "CODE")]
    pub list: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}
