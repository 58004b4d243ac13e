//! What can be typed behind `creditgate lists` about who a subject is.

use clap::{Args, Subcommand, ValueEnum};

use super::ServerArgs;

/// Commands of `lists` about subjects.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Show all of a subject on one screen: who it is, what it is listed for, its history.
    Subject(SubjectArgs),
    /// Give a subject another name, from a day on (更名).
    Rename(RenameArgs),
    /// Declare a further identifier of a subject.
    Alias(AliasArgs),
    /// Begin or end a relation of a subject, such as its legal representative.
    Relate(RelateArgs),
    /// Make two subjects one (主体合并): entries of either are found under both.
    Merge(MergeArgs),
    /// Take a change of identity back; exactly what it brought goes.
    Undo(UndoArgs),
    /// Show entries without a code, and the codes that may be theirs (关联补正).
    Codes(CodesArgs),
    /// Confirm a code for an entry.
    ConfirmCode(CodeArgs),
    /// Reject a code for an entry; it is not proposed again.
    RejectCode(CodeArgs),
    /// The register of wrong hits: who was hit wrongly, corrected when, told when.
    #[command(subcommand)]
    WrongHit(WrongHitCommand),
}

/// `lists subject`.
#[derive(Debug, Args)]
#[command(
    after_help = "What was known then (--as-of) and what was true then (--at) are two questions; both may be asked.

Examples:
  creditgate lists subject --id USCC:91219999MAYG58BR3Q
  creditgate lists subject --name 示例建设有限公司 --json
  creditgate lists subject --id USCC:91219999MAYG58BR3Q --as-of 1200 --at 2026-03-01"
)]
pub struct SubjectArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// An identifier as TYPE:VALUE, or as OTHER:ISSUER:VALUE.
    #[arg(long, value_name = "TYPE:VALUE", required_unless_present = "name")]
    pub id: Option<String>,
    /// A name; organisations only.
    #[arg(long)]
    pub name: Option<String>,
    /// The moment to look from.
    #[command(flatten)]
    pub when: WhenArgs,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// From where to look at the past.
#[derive(Debug, Clone, Args)]
pub struct WhenArgs {
    /// Show what was known at this version of the lists, `<log_id>:<seq>` or the number alone.
    #[arg(long, value_name = "VERSION")]
    pub as_of: Option<String>,
    /// Judge at this day or time; the time of the version, or now, when left out.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// Why, and by which document.
#[derive(Debug, Clone, Args)]
pub struct WhyArgs {
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// Number of the document that says so.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub document: String,
}

/// `lists rename`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  creditgate lists rename USCC:91219999MAYG58BR3Q 示例新名有限公司 --since 2026-03-01 --reason 企业更名 --document 示变2026-1")]
pub struct RenameArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// An identifier of the subject, as TYPE:VALUE.
    pub subject: String,
    /// The name.
    pub name: String,
    /// Its first day.
    #[arg(long, value_name = "DAY")]
    pub since: String,
    /// Its last day, where it is a former name; without it, the name is the current one.
    #[arg(long, value_name = "DAY", default_value = "")]
    pub until: String,
    /// Why.
    #[command(flatten)]
    pub why: WhyArgs,
}

/// `lists alias`.
#[derive(Debug, Args)]
pub struct AliasArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// An identifier of the subject, as TYPE:VALUE.
    pub subject: String,
    /// The further one, as TYPE:VALUE.
    pub alias: String,
    /// Declare it although both have a valid code of their own.
    #[arg(long)]
    pub force: bool,
    /// Why.
    #[command(flatten)]
    pub why: WhyArgs,
}

/// `lists relate`.
#[derive(Debug, Args)]
pub struct RelateArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// An identifier of the subject, as TYPE:VALUE.
    pub subject: String,
    /// `legal_representative`, `principal`, `responsible_person` or `actual_controller`.
    #[arg(long)]
    pub role: String,
    /// Identifier of the related person, as TYPE:VALUE.
    #[arg(long, value_name = "TYPE:VALUE", required_unless_present = "name")]
    pub id: Option<String>,
    /// Name of the related person.
    #[arg(long)]
    pub name: Option<String>,
    /// The relation ends; else it begins.
    #[arg(long)]
    pub ended: bool,
    /// From which day.
    #[arg(long, value_name = "DAY", default_value = "")]
    pub since: String,
    /// Why.
    #[command(flatten)]
    pub why: WhyArgs,
}

/// `lists merge`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  creditgate lists merge USCC:91219999MAYG58BR3Q REG15:319999143641659 --reason 新旧代码为同一主体")]
pub struct MergeArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// An identifier of the one, as TYPE:VALUE.
    pub one: String,
    /// An identifier of the other, as TYPE:VALUE.
    pub other: String,
    /// Merge them although each has a valid code of its own.
    #[arg(long)]
    pub force: bool,
    /// Why.
    #[command(flatten)]
    pub why: WhyArgs,
}

/// `lists undo`.
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Number of the change, as it was told; `lists subject` shows it.
    pub change: u64,
    /// Why.
    #[command(flatten)]
    pub why: WhyArgs,
}

/// `lists codes`.
#[derive(Debug, Args)]
pub struct CodesArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only this list.
    #[arg(long, value_name = "CODE", default_value = "")]
    pub list: String,
    /// Also entries for which there is no candidate.
    #[arg(long)]
    pub all: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists confirm-code` and `lists reject-code`.
#[derive(Debug, Args)]
pub struct CodeArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the entry.
    pub entry: String,
    /// The code, as TYPE:VALUE.
    pub code: String,
    /// Why.
    #[command(flatten)]
    pub why: WhyArgs,
}

/// `lists wrong-hit`.
#[derive(Debug, Subcommand)]
pub enum WrongHitCommand {
    /// Note that somebody was hit wrongly.
    Open(WrongHitOpenArgs),
    /// Note by which change of its entry a wrong hit was corrected.
    Correct(WrongHitCorrectArgs),
    /// Note that whoever was hit wrongly was told.
    Told(WrongHitToldArgs),
    /// Show wrong hits, the oldest first.
    List(WrongHitListArgs),
}

/// What was wrong.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum WhatWrong {
    /// Somebody else is listed.
    WrongPerson,
    /// The entry says what is not so.
    WrongData,
    /// It had ended.
    Outdated,
    /// The name is the same, the subject is not.
    SameName,
}

/// `lists wrong-hit open`.
#[derive(Debug, Args)]
pub struct WrongHitOpenArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the entry that was hit by.
    #[arg(long)]
    pub entry: String,
    /// Who was hit, as TYPE:VALUE.
    #[arg(long, value_name = "TYPE:VALUE", required_unless_present = "name")]
    pub id: Option<String>,
    /// Name of who was hit.
    #[arg(long)]
    pub name: Option<String>,
    /// The verdict.
    #[arg(long, required_unless_present = "case_id")]
    pub verdict_id: Option<String>,
    /// The case.
    #[arg(long)]
    pub case_id: Option<String>,
    /// What was wrong.
    #[arg(long, value_enum)]
    pub what: WhatWrong,
    /// When it was discovered; now when left out.
    #[arg(long, value_name = "TIME")]
    pub discovered: Option<String>,
    /// What happened.
    #[arg(long)]
    pub reason: String,
}

/// `lists wrong-hit correct`.
#[derive(Debug, Args)]
pub struct WrongHitCorrectArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Number of the wrong hit.
    pub wrong_hit: u64,
    /// Number of the change of the entry, as `lists show` tells it.
    #[arg(long, value_name = "SEQ")]
    pub correction: u64,
    /// Why.
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `lists wrong-hit told`.
#[derive(Debug, Args)]
pub struct WrongHitToldArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Number of the wrong hit.
    pub wrong_hit: u64,
    /// How, such as letter.
    #[arg(long)]
    pub how: String,
    /// What proves it.
    #[arg(long)]
    pub proof: String,
    /// When; now when left out.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// `lists wrong-hit list`.
#[derive(Debug, Args)]
pub struct WrongHitListArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Also those that were corrected and told.
    #[arg(long)]
    pub closed: bool,
    /// Only those open for at least so many days.
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    pub open_days: u32,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}
