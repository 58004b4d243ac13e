//! What can be typed to follow the lists.

use clap::{Args, Subcommand};

use super::ServerArgs;

/// Which changes are wanted: kinds combine with "and", values of one kind with "or".
#[derive(Debug, Clone, Args)]
pub struct FilterArgs {
    /// Only these lists, separated by commas.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub list: Vec<String>,
    /// Only lists of these fields, such as taxation.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub field: Vec<String>,
    /// Only entries that concern these regions, six digits; national entries concern every region.
    #[arg(long, value_name = "REGIONS", value_delimiter = ',')]
    pub region: Vec<String>,
    /// Only lists of these colours: red, attention, black.
    #[arg(long, value_name = "COLOURS", value_delimiter = ',')]
    pub colour: Vec<String>,
}

/// `lists watch`.
#[derive(Debug, Args)]
#[command(
    after_help = "An entry that is moved out of the filter is shown once more, as it then is. Names are masked; \
--json shows changes as the service gives them.

Examples:
  creditgate lists watch --follow
  creditgate lists watch --region 320500 --colour black --follow
  creditgate lists watch --field taxation,customs --from 1200 --json"
)]
pub struct WatchArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Which changes.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// First sequence number wanted; 0 is the beginning.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub from: u64,
    /// Stay, and print what comes.
    #[arg(long, short)]
    pub follow: bool,
    /// Print as JSON, a line each.
    #[arg(long)]
    pub json: bool,
}

/// `lists subscriptions`.
#[derive(Debug, Subcommand)]
pub enum SubscriptionsCommand {
    /// Subscribe a department, or change its subscription.
    Put(PutSubscriptionArgs),
    /// End a subscription.
    End(NamedArgs),
    /// Show subscriptions, and how far each has come.
    List(ListSubscriptionsArgs),
    /// Let a subscription go on, or send again from an earlier place.
    Resume(ResumeArgs),
    /// Acknowledge changes that were sent.
    Ack(AckArgs),
}

/// `lists subscriptions put`.
#[derive(Debug, Args)]
#[command(
    after_help = "Changes are sent as CloudEvents in batches by POST, signed with the secret (header \
creditgate-signature). The receiver acknowledges by the header creditgate-acknowledged of its answer, or by \
`lists subscriptions ack`; what is not acknowledged is sent again. The host must be allowed by `webhooks.allow`.

Examples:
  creditgate lists subscriptions put sz-housing --department 示例市住房城乡建设局 \\
    --url https://hooks.example.gov.cn/credit --secret-id sz-housing --region 320500 --colour black"
)]
pub struct PutSubscriptionArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the subscription.
    pub name: String,
    /// The department.
    #[arg(long)]
    pub department: String,
    /// Where changes are sent.
    #[arg(long)]
    pub url: String,
    /// Name of the file in `webhooks.secrets_dir` with the secret that signs.
    #[arg(long, value_name = "ID")]
    pub secret_id: String,
    /// Which changes.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Caller that may acknowledge besides the one who puts this.
    #[arg(long, value_name = "NAME")]
    pub follower: Option<String>,
    /// First sequence number wanted, 1 is the beginning; left out: what comes from now on.
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,
    /// Why.
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `lists subscriptions end`.
#[derive(Debug, Args)]
pub struct NamedArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the subscription.
    pub name: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
}

/// `lists subscriptions list`.
#[derive(Debug, Args)]
pub struct ListSubscriptionsArgs {
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

/// `lists subscriptions resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the subscription.
    pub name: String,
    /// Send again from here; left out: go on where it stands.
    #[arg(long, value_name = "SEQ")]
    pub from: Option<u64>,
    /// Why.
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `lists subscriptions ack`.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Name of the subscription.
    pub name: String,
    /// Everything up to here.
    pub seq: u64,
}
