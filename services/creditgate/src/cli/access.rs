//! `access`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{KeyringArgs, WhichBook};

/// `access`.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Check an access policy: its form, who holds what, and whether the book knows what it speaks of.
    Lint(LintAccessArgs),
    /// Put the cases of an access policy to it.
    Test(PolicyArgs),
    /// Tell whether a caller may have an event decided, and why not, or by which view it sees the verdict.
    Explain(ExplainAccessArgs),
    /// Show who called, from a data directory: whoever was refused, and all calls but checks.
    Calls(CallsArgs),
}

/// Which policy.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 every case holds, 1 one does not, 2 the policy is refused.

Example:
  creditgate access test deploy/access.yaml"
)]
pub struct PolicyArgs {
    /// The access policy (`access.policy_file` of the service).
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
}

/// `access lint`.
#[derive(Debug, Args)]
#[command(
    after_help = "Roles and what they may do (words of `may` in a keys file):
  business                check, feedback      has events decided, reports what was carried out
  list_source             lists                brings lists
  reviewer                read, cases          decides what is proposed
  publisher               read, publish, simulate
  system_administrator    operate              looks after systems that something is sent to
  security_administrator  secure               sees who may do what
  auditor                 read, watch, audit   sees who did what
  window_clerk            subject              tells subjects what is kept of them, takes their objections
The three before the last are duties of administrators: nobody may hold two of them. Matters bound what business callers
ask, and which verdicts and cases others read, `lists` which entries they see; simulations, deliveries and subjects'
reports are open to whoever has the role. `views` say what a purpose may know of a verdict. `checks_per_second` bounds
checks, `reports_per_hour` (60 where it is not said) the reports of a window_clerk.

A policy whose cases do not hold is refused, by the service, too.

Whether it and the keys file name the same callers, `creditgate serve --config FILE --check-config` tells.

Exit code: 0 sound, 1 it speaks of lists, scenarios or stages that the book does not know, 2 it is refused.

Examples:
  creditgate access lint deploy/access.yaml
  creditgate access lint access.yaml --book measures/catalogue"
)]
pub struct LintAccessArgs {
    /// The access policy.
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// The book that knows lists, scenarios and stages.
    #[command(flatten)]
    pub book: WhichBook,
}

/// `access explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 it may, 1 it may not, 2 the policy is refused.

Example:
  creditgate access explain deploy/access.yaml --caller tender-platform --scenario tender --stage evaluate --region 329905"
)]
pub struct ExplainAccessArgs {
    /// The access policy.
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// The caller.
    #[arg(long, value_name = "NAME")]
    pub caller: String,
    /// The business system of the event; the caller's name when left out.
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Scenario of the event.
    #[arg(long, value_name = "CODE")]
    pub scenario: String,
    /// Stage of the event.
    #[arg(long, value_name = "CODE")]
    pub stage: String,
    /// Region of the event, six digits.
    #[arg(long, value_name = "CODE")]
    pub region: String,
    /// The purpose that the event states.
    #[arg(long, value_name = "TEXT")]
    pub purpose: Option<String>,
    /// The matter code (事项编码) that the event states.
    #[arg(long, value_name = "CODE")]
    pub item: Option<String>,
}

/// `access calls`.
#[derive(Debug, Args)]
#[command(
    after_help = "Calls of one second that are alike are one line with their number. Read beside the running service or from a \
copy; `creditgate journal verify` proves it like the other journals.

Examples:
  creditgate access calls --data-dir ./data --refused
  creditgate access calls --data-dir ./data --caller li.si --json
  creditgate access calls --data-dir ./data --subject USCC:91219999MAYG58BR3Q"
)]
pub struct CallsArgs {
    /// The data directory, or a copy of it.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// What opens sealed records.
    #[command(flatten)]
    pub keyring: KeyringArgs,
    /// Only calls of this caller.
    #[arg(long, value_name = "NAME")]
    pub caller: Option<String>,
    /// Only calls that were refused.
    #[arg(long)]
    pub refused: bool,
    /// Only reports of this subject, as TYPE:VALUE or OTHER:ISSUER:VALUE; the records name it by a digest.
    #[arg(long, value_name = "TYPE:VALUE")]
    pub subject: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}
