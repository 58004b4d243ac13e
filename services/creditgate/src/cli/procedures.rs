//! What can be typed about the life of entries: changes, procedures, notices, and what is due.

use clap::{Args, Subcommand};
use creditgate_measures::time::{Date, Time};

use super::{ServerArgs, name_and_value};

/// `lists change`.
#[derive(Debug, Args)]
#[command(
    after_help = "States: PROPOSED → NOTIFIED | REVOKED; NOTIFIED → EFFECTIVE | REVOKED;
EFFECTIVE → SUSPENDED | REPAIRED | REVOKED; SUSPENDED → EFFECTIVE | REPAIRED | REVOKED.

Examples:
  creditgate lists change E-B07-1 --to REPAIRED --document 示例修复1号 --reason 履行完毕
  creditgate lists change E-B07-1 --to SUSPENDED --document 示例裁定1号 --reason 重整计划 --effective-at 2026-07-01"
)]
pub struct ChangeArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the entry.
    pub id: String,
    /// The new state.
    #[arg(long, value_name = "STATE")]
    pub to: String,
    /// Document that orders it (文书号).
    #[arg(long, value_name = "NUMBER")]
    pub document: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// When it takes effect, as a day or RFC 3339; now when left out.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub effective_at: Option<Time>,
}

/// `lists due`.
#[derive(Debug, Args)]
#[command(
    after_help = "Kinds: begins, changes, ends, repair_from, display_ends, delete_by, limit, notice.

Examples:
  creditgate lists due --until 2026-12-31 --kind ends,repair_from
  creditgate lists due --overdue
  creditgate lists due --kind notice --list B07 --json"
)]
pub struct DueArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Last day; today when left out.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub until: Option<Date>,
    /// First day of what comes to entries by time; today when left out.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub from: Option<Date>,
    /// Only entries of this list.
    #[arg(long, value_name = "CODE")]
    pub list: Option<String>,
    /// Only these kinds, separated by commas.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// Only entries of this region and those inside it.
    #[arg(long, value_name = "CODE")]
    pub region: Option<String>,
    /// Only what should have been done before today.
    #[arg(long)]
    pub overdue: bool,
    /// Most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists procedure`.
#[derive(Debug, Subcommand)]
pub enum ProcedureCommand {
    /// Open an objection (异议), a repair (信用修复), a talk (约谈) or a commitment (信用承诺).
    Open(OpenProcedureArgs),
    /// Take a step of a procedure.
    Step(StepProcedureArgs),
    /// Show procedures.
    List(ProceduresArgs),
}

/// Who, when, by which document and why.
#[derive(Debug, Args)]
pub struct ToldArgs {
    /// Who: the applicant, or the office that acts.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Number of the document.
    #[arg(long, value_name = "NUMBER")]
    pub document: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// When, as a day or RFC 3339; now when left out.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
}

/// `lists procedure open`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate lists procedure open objection E-B07-1 --by 示例公司 --document 示例收1号 --reason 已履行完毕
  creditgate lists procedure open repair E-B02-1 --by 示例公司 --document 示例收2号 --reason 已纠正
  creditgate lists procedure open objection E-B07-1 --id USCC:91219999MAYG58BR3Q --by 示例公司 \\
    --document 示例窗收3号 --reason 已履行完毕
  creditgate lists procedure open commitment --id USCC:91219999MAYG58BR3Q --authority 示例局 \\
    --by 示例公司 --document 示例诺1号 --reason 容缺受理 --until 2026-12-31")]
pub struct OpenProcedureArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// objection, repair, talk or commitment.
    pub kind: String,
    /// Id of the entry it is about.
    #[arg(required_unless_present = "id")]
    pub entry: Option<String>,
    /// The subject, as TYPE:VALUE or OTHER:ISSUER:VALUE: of a talk or commitment that is about no entry; or whose the entry
    /// has to be, which a clerk at a window says.
    #[arg(long, value_name = "TYPE:VALUE")]
    pub id: Option<String>,
    /// Name of a subject without an entry.
    #[arg(long, requires = "id", conflicts_with = "entry")]
    pub name: Option<String>,
    /// Who, when and why.
    #[command(flatten)]
    pub told: ToldArgs,
    /// The authority that is to act; that of the entry when left out.
    #[arg(long, value_name = "NAME")]
    pub authority: Option<String>,
    /// Last day by which a commitment is to be kept.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub until: Option<Date>,
    /// Take a repair although it is too early; the reason says why.
    #[arg(long)]
    pub force: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists procedure step`.
#[derive(Debug, Args)]
#[command(
    after_help = "Steps: objection: passed_on, replied, decided (upheld, rejected, withdrawn) · repair: accepted,
rejected, granted, refused · talk: scheduled, held, declined · commitment: kept, broken.

Examples:
  creditgate lists procedure step P1780000000000-12 decided --outcome upheld --by 示例局 --document 示例决1号 --reason 查证属实
  creditgate lists procedure step P1780000000000-15 scheduled --for 2026-07-01T09:00:00+08:00 --place 示例会议室 \\
    --by 示例局 --document 示例约1号 --reason 风险提示"
)]
pub struct StepProcedureArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the procedure.
    pub id: String,
    /// The step.
    pub step: String,
    /// What was decided, for `decided`.
    #[arg(long)]
    pub outcome: Option<String>,
    /// Who, when and why.
    #[command(flatten)]
    pub told: ToldArgs,
    /// When a talk is to be held, for `scheduled`.
    #[arg(long = "for", value_name = "TIME", value_parser = moment)]
    pub scheduled_for: Option<Time>,
    /// Where a talk is to be held, for `scheduled`.
    #[arg(long)]
    pub place: Option<String>,
    /// Key-attention list on which an entry is proposed, for `broken`.
    #[arg(long, value_name = "CODE")]
    pub attention_list: Option<String>,
    /// Region of that entry; that of the entry it is about when left out.
    #[arg(long, value_name = "CODE")]
    pub region: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists procedure list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate lists procedure list --open
  creditgate lists procedure list --entry E-B07-1 --json")]
pub struct ProceduresArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only those of this entry.
    #[arg(long, value_name = "ID")]
    pub entry: Option<String>,
    /// Only this kind.
    #[arg(long)]
    pub kind: Option<String>,
    /// Only those to which further steps follow.
    #[arg(long)]
    pub open: bool,
    /// Most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists notices`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate lists notices                       the templates of the book
  creditgate lists notices E-B07-1            what is to be served, and what was
  creditgate lists notices E-B07-1 --render N02 --value contact=示例电话 --value remedies=示例救济途径")]
pub struct NoticesArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the entry; without it the templates are shown.
    pub entry: Option<String>,
    /// Print the text of this notice.
    #[arg(long, value_name = "NOTICE", requires = "entry")]
    pub render: Option<String>,
    /// What the entry does not say; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value, requires = "render")]
    pub value: Vec<(String, String)>,
    /// The verdict by which the measure it tells of was carried out.
    #[arg(long, value_name = "ID", requires = "render")]
    pub verdict: Option<String>,
    /// The measure it tells of; the only one that waits to be told when left out.
    #[arg(long, value_name = "ID", requires = "render")]
    pub measure: Option<String>,
    /// Whom related to the listed one it fell on, by the place in the verdict: what stands behind `#` where the
    /// notices are shown.
    #[arg(long, value_name = "N", requires = "verdict")]
    pub subject: Option<u32>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists served`.
#[derive(Debug, Args)]
#[command(
    after_help = "Notices that belong together are served by one act (两书同达): name them all.

Example:
  creditgate lists served E-B07-1 --notice N02,N03 --how post --proof 示例回执1号 --at 2026-06-10 --by 示例局"
)]
pub struct ServedArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the entry.
    pub entry: String,
    /// Ids of the notices, separated by commas.
    #[arg(long, value_name = "NOTICES", value_delimiter = ',', required = true)]
    pub notice: Vec<String>,
    /// post, electronic, personal or public_notice.
    #[arg(long)]
    pub how: String,
    /// Number of the document that proves it.
    #[arg(long, value_name = "NUMBER")]
    pub proof: String,
    /// When, as a day or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Time,
    /// Who served them.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Why, where there is more to say.
    #[arg(long)]
    pub reason: Option<String>,
    /// The verdict by which a measure was applied, for the notice that tells of it.
    #[arg(long, value_name = "ID")]
    pub verdict: Option<String>,
    /// That measure.
    #[arg(long, value_name = "ID")]
    pub measure: Option<String>,
    /// Whom related to the listed one it fell on, by the place in the verdict; needed where it fell on several.
    #[arg(long, value_name = "N", requires = "verdict")]
    pub subject: Option<u32>,
}

/// `lists measure-taken`.
#[derive(Debug, Args)]
#[command(
    after_help = "From then on its subject is to be told: the notice is due until `lists served` names the same verdict and
measure. The same again changes nothing; with other content it is refused.

Example:
  creditgate lists measure-taken E-B07-1 --verdict 0197f0c2-9d31-8c44-9a6b-2f51c3d07e11 --measure M02 \\
    --by 示例审批局 --at 2026-06-10 --document 示例审1号 --reason 依据失信联合惩戒措施清单"
)]
pub struct MeasureTakenArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the entry by reason of which it was carried out.
    pub entry: String,
    /// The verdict.
    #[arg(long, value_name = "ID")]
    pub verdict: String,
    /// The measure, as the verdict names it.
    #[arg(long, value_name = "ID")]
    pub measure: String,
    /// The business number (办件号), where there is one.
    #[arg(long, value_name = "ID")]
    pub case: Option<String>,
    /// The office that carried it out.
    #[arg(long, value_name = "OFFICE")]
    pub by: String,
    /// When, as a day or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Time,
    /// Number of the document.
    #[arg(long, value_name = "NUMBER")]
    pub document: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
}

/// A day in Asia/Shanghai.
pub(super) fn day(text: &str) -> Result<Date, String> {
    Date::parse(text).map_err(|_| "write a day as YYYY-MM-DD".to_owned())
}

/// A moment; a bare day is its first one.
pub(super) fn moment(text: &str) -> Result<Time, String> {
    let of_day = || Date::parse(text).ok().map(Date::start);
    let rule = "write a day as YYYY-MM-DD, or a time as 2026-06-10T09:00:00+08:00";
    Time::parse(text)
        .ok()
        .or_else(of_day)
        .ok_or_else(|| rule.to_owned())
}
