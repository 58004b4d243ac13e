//! What can be typed behind `creditgate subject`: at the window where subjects are served.

use clap::{Args, Subcommand};

use super::ServerArgs;

/// `subject`.
#[derive(Debug, Subcommand)]
pub enum SubjectCommand {
    /// Tell a subject what is kept of it, which measures stand, who asked about it, and how it objects (主体信用信息查询).
    Report(SubjectReportArgs),
}

/// `subject report`.
#[derive(Debug, Args)]
#[command(
    after_help = "For whoever serves subjects at a window (窗口人员): needs the permission `subject`. Identifiers of other parties \
are masked. Of whom nothing is kept the report says so. Document and reason stand in the record of calls, with a keyed digest of the subject.

An objection or an application for repair that is handed in is opened with `creditgate lists procedure open … --id TYPE:VALUE`.

Example:
  creditgate subject report USCC:91219999MAYG58BR3Q --reason 本人申请查询 --document 示例窗〔2026〕1号"
)]
pub struct SubjectReportArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// An identifier of the subject, as TYPE:VALUE, or as OTHER:ISSUER:VALUE.
    #[arg(value_name = "TYPE:VALUE")]
    pub subject: String,
    /// Why it is asked for; at most 200 characters.
    #[arg(long)]
    pub reason: String,
    /// Number of the document by which it is asked for, such as that of the application.
    #[arg(long, value_name = "NUMBER")]
    pub document: String,
    /// Most verdicts to show; the report says when there are more.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub limit: usize,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}
