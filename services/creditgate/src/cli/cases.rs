//! What can be typed about cases: what bites in them, who decides it, carries it out and lifts it.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use creditgate_measures::time::{Date, Time};

use super::ServerArgs;
use super::procedures::{day, moment};

/// What measures carried out may be counted by.
pub const GROUPS: [&str; 6] = [
    "measure",
    "department",
    "division",
    "status",
    "month",
    "direction",
];

/// `cases`.
#[derive(Debug, Subcommand)]
pub enum CasesCommand {
    /// Show a case with everything that happened in it.
    Show(CaseShowArgs),
    /// Show cases, a line each.
    List(CaseListArgs),
    /// End a case before its last stage.
    Close(CaseCloseArgs),
    /// Show what waits for an official.
    Proposals(ProposalsArgs),
    /// Take a proposal into one's own hands, or give it back.
    Claim(ClaimArgs),
    /// Confirm or reject a proposal.
    Decide(DecideArgs),
    /// Show lift orders (解除措施通知).
    Orders(OrdersArgs),
    /// Acknowledge a lift order: the measure has been lifted.
    Acknowledge(AcknowledgeArgs),
    /// Report how measures were carried out (奖惩案例).
    Feedback(Box<FeedbackArgs>),
    /// Have every open case judged again by the book in force.
    Review(ReviewArgs),
    /// Show how far the review of open cases has come.
    Progress(ProgressArgs),
    /// Count measures carried out (奖惩案例统计).
    Count(CountArgs),
}

/// `cases show`.
#[derive(Debug, Args)]
#[command(
    after_help = "Subjects are shown by their position in the case, never by name or identifier. What looks like an \
identifier in a text that somebody wrote is masked; --json shows texts as the service gives them.

Exit code: 0 shown, 2 it could not be shown.

Examples:
  creditgate cases show 示例办件1号
  creditgate cases show 示例办件1号 --json"
)]
pub struct CaseShowArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Business number (办件号).
    pub case: String,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases list`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 shown, 2 it could not be shown.

Examples:
  creditgate cases list --state open --scenario land
  creditgate cases list --measure M07 --limit 1000
  creditgate cases list --missing --json")]
pub struct CaseListArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only open ones (办理中), or closed ones (已办结).
    #[arg(long, value_parser = ["open", "closed"])]
    pub state: Option<String>,
    /// Only this scenario.
    #[arg(long)]
    pub scenario: Option<String>,
    /// Only cases in which this measure bites or was proposed.
    #[arg(long, value_name = "ID")]
    pub measure: Option<String>,
    /// Only cases that lack a check which had to come first.
    #[arg(long)]
    pub missing: bool,
    /// Only cases in which two gates answered an event differently.
    #[arg(long)]
    pub differing: bool,
    /// Most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases close`.
#[derive(Debug, Args)]
#[command(
    after_help = "Measures that bite in it stay, and what nothing supports any more is still to be lifted.

Exit code: 0 closed, 2 it could not be closed.

Example:
  creditgate cases close 示例办件1号 --reason 申请人撤回 --document 示例撤1号"
)]
pub struct CaseCloseArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Business number (办件号).
    pub case: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// Number of the document.
    #[arg(long, value_name = "NUMBER")]
    pub document: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases proposals`.
#[derive(Debug, Args)]
#[command(
    after_help = "What is due first comes first. States: proposed (待确认), claimed (已认领), seconded (待复核: one of \
two officials has confirmed).

Exit code: 0 shown, 2 it could not be shown.

Examples:
  creditgate cases proposals
  creditgate cases proposals --escalated
  creditgate cases proposals --state claimed --measure M07 --json"
)]
pub struct ProposalsArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only those in this state.
    #[arg(long, value_parser = ["proposed", "claimed", "seconded"])]
    pub state: Option<String>,
    /// Only those whose time for a decision has passed.
    #[arg(long)]
    pub escalated: bool,
    /// Only this measure.
    #[arg(long, value_name = "ID")]
    pub measure: Option<String>,
    /// Most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases claim`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 done, 2 it could not be done.

Examples:
  creditgate cases claim 示例办件1号 0/M07 --by 示例局审批科
  creditgate cases claim 示例办件1号 0/M07 --by 示例局审批科 --release")]
pub struct ClaimArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Business number (办件号).
    pub case: String,
    /// The measure, as `cases show` and `cases proposals` name it.
    pub key: String,
    /// Which official or office.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Give it back.
    #[arg(long)]
    pub release: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases decide`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("decision").required(true).args(["confirm", "reject"])),
    after_help = "The entry and the row of the book are checked again first. Whoever decides has claimed it; where the \
measure asks for four eyes, two different officials confirm. When it is confirmed, the notice to the subject is \
printed: measure, basis, reason, remedies. Identifiers are masked in it; --json gives it whole.

Exit code: 0 decided, 2 it could not be decided.

Examples:
  creditgate cases decide 示例办件1号 0/M07 --confirm --by 示例局审批科 --reason 名单有效，依据充分 --document 示例决1号
  creditgate cases decide 示例办件1号 0/M07 --reject --by 示例局审批科 --reason 同名不同人"
)]
pub struct DecideArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Business number (办件号).
    pub case: String,
    /// The measure, as `cases show` and `cases proposals` name it.
    pub key: String,
    /// Take the measure.
    #[arg(long)]
    pub confirm: bool,
    /// Do not take it.
    #[arg(long)]
    pub reject: bool,
    /// Which official or office.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// Number of the document; needed to confirm.
    #[arg(long, value_name = "NUMBER", required_if_eq("confirm", "true"))]
    pub document: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases orders`.
#[derive(Debug, Args)]
#[command(
    after_help = "The oldest comes first. States: open (待解除), acknowledged (已解除), cancelled (已撤销: something \
supports the measure again).

Exit code: 0 shown, 2 it could not be shown.

Examples:
  creditgate cases orders --state open
  creditgate cases orders --implementer 示例市自然资源和规划局 --overdue --json"
)]
pub struct OrdersArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only those in this state.
    #[arg(long, value_parser = ["open", "acknowledged", "cancelled"])]
    pub state: Option<String>,
    /// Only those of this implementer (实施单位).
    #[arg(long, value_name = "NAME")]
    pub implementer: Option<String>,
    /// Only those that should have been acknowledged by now.
    #[arg(long)]
    pub overdue: bool,
    /// Most to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases acknowledge`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 acknowledged, 2 it could not be done.

Examples:
  creditgate cases acknowledge 5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b --by 示例局 --document 示例解1号
  creditgate cases acknowledge 5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b --by 示例局 --at 2026-06-10T09:00:00+08:00")]
pub struct AcknowledgeArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the order.
    pub order: String,
    /// Who lifted the measure.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Number of the document.
    #[arg(long, value_name = "NUMBER")]
    pub document: Option<String>,
    /// When it was lifted, as a day or RFC 3339; now when left out.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Time>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases feedback`.
#[derive(Debug, Args)]
#[command(
    after_help = "The same id with the same content changes nothing, so whatever was interrupted is simply sent again.

A file has one report in JSON per line: feedback_id, verdict_id, measure_id, subject, status, reason, basis, \
amount_fen, period, operator, department, division_code, executed_at, document_no, implementer; of an inspection, in \
place of measure_id and status, inspection with item, result and attention_list. Lines are sent in \
their order. Every line is answered: recorded, repeated (it was known), or refused with its number and the reason. With \
--json each answer is a line of JSON.

Flags: late (the measure had lost its support), contradicts (an earlier report about the same verdict says otherwise), \
not_confirmed (the measure was only proposed), before_event (it was carried out before the step that the verdict judges).

Exit code: 0 all taken or known, 1 reports were refused, 2 it ended before all were answered.

Examples:
  creditgate cases feedback --verdict 5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b --measure M07 --status executed \\
    --operator 示例经办人 --department 示例市自然资源和规划局 --division 320500 --executed-at 2026-06-10
  creditgate cases feedback --verdict 5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b --measure M07 --status not_executed \\
    --reason 已终止交易 --operator 示例经办人 --department 示例局 --executed-at 2026-06-10T09:00:00+08:00 --id FK-1
  creditgate cases feedback --verdict 5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b --item 消防安全 --result failed \\
    --reason 安全通道堵塞 --operator 示例检查员 --department 示例局 --executed-at 2026-06-10 --document 示例检1号
  creditgate cases feedback --file feedback.jsonl
  cat feedback.jsonl | creditgate cases feedback --file - --json"
)]
pub struct FeedbackArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Reports as JSON Lines; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "verdict", "measure", "subject", "status", "reason",
        "basis", "amount_fen", "period", "operator", "department", "division", "executed_at", "document", "implementer",
        "item", "result", "attention_list"])]
    pub file: Option<PathBuf>,
    /// Id of the report; made up, and told, when left out.
    #[arg(long)]
    pub id: Option<String>,
    /// The verdict that showed the penalty, offered the reward or judged the inspection.
    #[arg(long, value_name = "ID", required_unless_present = "file")]
    pub verdict: Option<String>,
    /// The measure: a penalty, or a reward (激励).
    #[arg(long, value_name = "ID", required_unless_present_any = ["file", "item"])]
    pub measure: Option<String>,
    /// Position of the subject in that verdict; the first, 0, when left out.
    #[arg(long, value_name = "N")]
    pub subject: Option<u32>,
    /// How far it was carried out.
    #[arg(long, required_unless_present_any = ["file", "item"], value_parser = ["executed", "partly", "not_executed"])]
    pub status: Option<String>,
    /// Why it was carried out so; needed unless executed. Of an inspection what was found; needed unless passed.
    #[arg(long, required_if_eq_any([("status", "partly"), ("status", "not_executed"), ("result", "failed"),
        ("result", "corrected"), ("result", "not_done")]))]
    pub reason: Option<String>,
    /// What was inspected (检查事项): an inspection is told, and no measure.
    #[arg(long, requires = "result", conflicts_with_all = ["measure", "status", "amount_fen", "period", "implementer"])]
    pub item: Option<String>,
    /// What the inspection found: passed (合格), failed (不合格), corrected (责令改正后合格), not_done (未能检查).
    #[arg(long, requires = "item", value_parser = ["passed", "failed", "corrected", "not_done"])]
    pub result: Option<String>,
    /// The key-attention list on which a failed inspection proposes an entry, which an official decides.
    #[arg(long, value_name = "CODE", requires = "result")]
    pub attention_list: Option<String>,
    /// The legal basis that was cited.
    #[arg(long)]
    pub basis: Option<String>,
    /// Amount in fen.
    #[arg(long, value_name = "FEN", allow_negative_numbers = true)]
    pub amount_fen: Option<i64>,
    /// Period, such as 2026-03-01/2029-02-28.
    #[arg(long)]
    pub period: Option<String>,
    /// Who carried it out.
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    pub operator: Option<String>,
    /// The department.
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    pub department: Option<String>,
    /// Division code (行政区划代码) of the department, six digits.
    #[arg(long, value_name = "CODE")]
    pub division: Option<String>,
    /// When it was carried out, as a day or RFC 3339.
    #[arg(long, value_name = "TIME", required_unless_present = "file", value_parser = moment)]
    pub executed_at: Option<Time>,
    /// Number of the document.
    #[arg(long, value_name = "NUMBER")]
    pub document: Option<String>,
    /// For which of the measure's implementers; all of them when left out.
    #[arg(long, value_name = "NAME")]
    pub implementer: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases review`.
#[derive(Debug, Args)]
#[command(
    after_help = "Lists are followed without being asked; a new book is not. `cases progress` tells how far it is.

Exit code: 0 it is under way, 2 it could not be asked for.

Example:
  creditgate cases review --reason 措施清单2026年版施行"
)]
pub struct ReviewArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases progress`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 every open case is reviewed, 1 reviews wait, 2 it could not be told.

Examples:
  creditgate cases progress
  until creditgate cases progress; do sleep 1; done"
)]
pub struct ProgressArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `cases count`.
#[derive(Debug, Args)]
#[command(
    after_help = "Of each verdict, measure, subject and implementer the last report counts; one that says not_executed \
only where the status is asked for. Columns of a file: 措施, 部门, 行政区划, 执行情况, 月份, 方向 (those asked for, in their \
order), 件数, 金额（元）. CSV is UTF-8 with a byte order mark.

Exit code: 0 counted, 2 it could not be counted or written.

Examples:
  creditgate cases count
  creditgate cases count --by direction,measure
  creditgate cases count --by department,month --from 2026-01-01 --until 2026-06-30
  creditgate cases count --by measure,department,division,status,month --region 320500 --out 奖惩案例统计.xlsx"
)]
pub struct CountArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Count by these, separated by commas.
    #[arg(long, value_name = "GROUPS", value_delimiter = ',', value_parser = GROUPS,
        default_values_t = ["measure".to_owned(), "status".to_owned()])]
    pub by: Vec<String>,
    /// First day; the first there is when left out.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub from: Option<Date>,
    /// Last day; today when left out.
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub until: Option<Date>,
    /// Only departments of this region and those inside it, six digits.
    #[arg(long, value_name = "CODE")]
    pub region: Option<String>,
    /// Write a table, by the end of the name: .csv or .xlsx.
    #[arg(long, value_name = "FILE", value_parser = table_file)]
    pub out: Option<PathBuf>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A file whose name says how the table is written.
fn table_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let known = path.extension().is_some_and(|end| {
        ["csv", "xlsx"]
            .iter()
            .any(|known| end.eq_ignore_ascii_case(known))
    });
    known
        .then_some(path)
        .ok_or_else(|| "the name has to end in .csv or .xlsx".to_owned())
}
