//! `screen`.

use std::path::PathBuf;

use clap::Args;

use super::{FileFormat, ServerArgs};

/// `screen`.
#[derive(Debug, Args)]
#[command(
    after_help = "For honours (评优评先) and appointments (任职): a list of names and codes in, a masked check \
table (核查表) out. Each row is an event of its own, recorded and replayable like any other check.

The list: CSV (UTF-8, GB18030/GBK, UTF-16), XLSX or JSON Lines, also as .gz or several in a .zip. Columns: row_id, \
party, name, id_type, id, issuer, kind, role; or the usual headers: 序号, 名称, 姓名, 单位名称, 候选人, \
统一社会信用代码, 组织机构代码, 身份证号, 证件类型, 证件号码, 主体类别, 角色 … Other headers through a mapping file:
  columns: {入围名称: name, 代码: org_code}       header: field
  constants: {role: candidate}                  field: value of all rows
  ignore: [推荐意见]

The table, by the ending of --out: .csv, .xlsx, or .jsonl for programs. Names and numbers are masked in it; a row that \
could not be checked stands in it with the reason. What a caller may not see is not in it.

An aborted run goes on where it stood when the same command runs again: OUT.progress keeps what is done, masked, \
until the table is written. The same list with the same options is the same events: asked again, they have their \
first verdicts. To have the list judged anew, name another --case.

Exit code: 0 every row is PASS, 1 some row is not or was refused, 2 it could not be done or not finished.

Examples:
  creditgate screen 推荐名单.xlsx -o 核查表.xlsx --scenario honour --region 320500 --purpose 2026年度评优审核
  creditgate screen 拟任名单.csv -o table.csv --scenario appointment --stage approve --region 320500 \\
    --case RM-2026-07 --purpose 任前审核 --attribute appointment_kind=promotion
  creditgate screen 推荐名单.xlsx -o 核查表.xlsx --scenario honour --region 320500 --purpose 评优审核 --dry-run"
)]
pub struct ScreenArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The list of names and codes.
    pub file: PathBuf,
    /// The check table: .csv, .xlsx or .jsonl.
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Write over a table that is there.
    #[arg(long)]
    pub overwrite: bool,
    /// Scenario, such as honour or appointment.
    #[arg(long)]
    pub scenario: String,
    /// Stage [default: `screen` for honour, `qualify` for appointment].
    #[arg(long)]
    pub stage: Option<String>,
    /// Region, six digits; local lists hold in their own region only.
    #[arg(long)]
    pub region: String,
    /// Why the list is checked, such as 评优审核; kept with every check.
    #[arg(long, value_name = "TEXT")]
    pub purpose: String,
    /// What the business numbers begin with; the row's own number or its line follows. Made from the list and the
    /// options when left out.
    #[arg(long = "case", value_name = "PREFIX")]
    pub case: Option<String>,
    /// Role of rows that name none [default: `candidate` for honour and appointment].
    #[arg(long)]
    pub role: Option<String>,
    /// An attribute of every event as name=value, such as honour_kind=…; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub attribute: Vec<String>,
    /// Source of the events.
    #[arg(long, default_value = "creditgate-screen")]
    pub source: String,
    /// Read the list and count, ask and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// What the columns mean, where they have other names (YAML).
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Leave out columns that are not known.
    #[arg(long)]
    pub ignore_unknown: bool,
    /// Encoding of text: utf-8, gb18030, utf-16le, utf-16be; told from the file when left out.
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// Sheet of a workbook; the first when left out.
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Format; told from name and content when left out.
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
}
