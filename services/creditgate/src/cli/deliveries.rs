//! What can be typed about deliveries: who is sent verdicts, lift orders and notices of cases.

use clap::{Args, Subcommand, ValueEnum};
use creditgate_measures::time::Time;

use super::ServerArgs;
use super::procedures::moment;

/// `deliveries`.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// Make a delivery, or change one.
    Put(Box<PutArgs>),
    /// End a delivery.
    End(ReasonArgs),
    /// Show deliveries, and how far each has come.
    List(ListArgs),
    /// Send nothing until it is resumed; nothing is lost meanwhile.
    Pause(ReasonArgs),
    /// Let a delivery go on, or send again from an earlier position or time.
    Resume(ResumeArgs),
    /// Show what was put aside (死信).
    Dead(DeadArgs),
    /// Send again what was put aside.
    Resend(ResendArgs),
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Of {
    /// Verdicts (核查结果).
    Verdicts,
    /// Lift orders, given and called off (解除措施通知).
    LiftOrders,
    /// Notices: what somebody should look at (提示).
    Notices,
}

impl Of {
    /// As requests name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Verdicts => "verdicts",
            Self::LiftOrders => "lift_orders",
            Self::Notices => "notices",
        }
    }
}

/// `deliveries put`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each thing goes in a POST of its own as one CloudEvent, signed with the secret (header \
creditgate-signature); by the header creditgate-id the target knows what it had. Any answer 2xx takes it. 4xx other than \
408, 425 and 429 puts it aside at once (see `dead`), everything else is tried again with longer and longer pauses for \
`webhooks.give_up_hours`. Things of one case come in their order. Positions count what cases have taken in. The host must \
be allowed by `webhooks.allow`.

Exit code: 0 put, 2 it could not be put.

Examples:
  creditgate deliveries put sz-land --department 示例市自然资源和规划局 --of verdicts --scenario land --findings \\
    --url https://hooks.example.gov.cn/verdicts --secret-id sz-land
  creditgate deliveries put sz-lift --department 示例市自然资源和规划局 --of lift-orders,notices \\
    --implementer 自然资源主管部门 --url https://hooks.example.gov.cn/lift --secret-id sz-land --from 1"
)]
pub struct PutArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the delivery.
    pub name: String,
    /// The department.
    #[arg(long)]
    pub department: String,
    /// Where it is sent.
    #[arg(long)]
    pub url: String,
    /// What is sent, separated by commas.
    #[arg(long, required = true, value_delimiter = ',')]
    pub of: Vec<Of>,
    /// Name of the file in `webhooks.secrets_dir` with the secret that signs.
    #[arg(long, value_name = "ID")]
    pub secret_id: String,
    /// Only cases of these scenarios.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub scenario: Vec<String>,
    /// Only events of these regions, six digits, with the regions inside.
    #[arg(long, value_name = "REGIONS", value_delimiter = ',')]
    pub region: Vec<String>,
    /// Only events from these source systems.
    #[arg(long, value_name = "SOURCES", value_delimiter = ',')]
    pub source: Vec<String>,
    /// Only what concerns measures of these implementers (主管部门).
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub implementer: Vec<String>,
    /// Of verdicts only those with an outcome other than PASS.
    #[arg(long)]
    pub findings: bool,
    /// Of notices only these kinds.
    #[arg(long, value_name = "KINDS", value_delimiter = ',',
        value_parser = ["proposal_escalated", "order_overdue", "basis_changed", "missing_check"])]
    pub notice: Vec<String>,
    /// First position wanted, 1 is the beginning; left out: what comes from now on.
    #[arg(long, value_name = "POSITION")]
    pub from: Option<u64>,
    /// Why.
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `deliveries end`, `deliveries pause`.
#[derive(Debug, Args)]
pub struct ReasonArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the delivery.
    pub name: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
}

/// `deliveries list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Also those that ended.
    #[arg(long)]
    pub ended: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `deliveries resume`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate deliveries resume sz-land
  creditgate deliveries resume sz-land --from 1200
  creditgate deliveries resume sz-land --since 2026-11-20")]
pub struct ResumeArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the delivery.
    pub name: String,
    /// Send again from this position; left out: go on where it stands.
    #[arg(long, value_name = "POSITION", conflicts_with = "since")]
    pub from: Option<u64>,
    /// Send again what came at this day or time, or later.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Time>,
    /// Why.
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `deliveries dead`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 shown, 2 it could not be shown.

Example:
  creditgate deliveries dead sz-land")]
pub struct DeadArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the delivery.
    pub name: String,
    /// Most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print as JSON, a line each.
    #[arg(long)]
    pub json: bool,
}

/// `deliveries resend`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate deliveries resend sz-land 1207 1311
  creditgate deliveries resend sz-land --all")]
pub struct ResendArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the delivery.
    pub name: String,
    /// Positions of dead letters.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub positions: Vec<u64>,
    /// All of them.
    #[arg(long)]
    pub all: bool,
}
