//! The form in which people write a book: YAML, unknown fields refused, places kept for messages.
//!
//! Nothing here is trusted yet. [`super::load`] turns it into [`super::Book`] or refuses the
//! whole, naming file, line, rule and mend (spec 4).

mod clocks;

pub use super::spanned::Spanned;
pub use clocks::{
    CalendarFile, HolidaySource, LimitSource, LimitsSource, NoticeSource, NoticesFile,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::time::text::DateText;

/// A text in the language of the law and in English.
#[derive(Debug, Clone, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The Chinese text, as the law or list writes it.
    pub zh: String,
    /// The English text.
    pub en: String,
}

/// `book.yaml`: what the book is and which national edition it stands on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BookFile {
    /// Short name of the book.
    pub book: String,
    /// Its title.
    pub title: Text,
    /// The edition of the national list of penalty measures.
    pub edition: EditionSource,
    /// The first day for which the book can judge; earlier events go to review (spec 7).
    pub covers_from: DateText,
}

/// The edition of the national list: the only items that may reduce rights (spec 4).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditionSource {
    /// Short name, such as `2024`.
    pub code: String,
    /// Title of the document.
    pub title: Text,
    /// Document number.
    pub document_no: Option<String>,
    /// Day on which it was published.
    pub published_at: Option<DateText>,
    /// First day in force.
    pub effective_from: Option<DateText>,
    /// Last day in force.
    pub effective_to: Option<DateText>,
    /// The items.
    pub items: Vec<ItemSource>,
}

/// One national item, such as 限制市场或行业准入.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemSource {
    /// Code used by rows, such as `MKT_ENTRY`.
    pub code: Spanned<String>,
    /// Class of the item: `A`, `B` or `C`.
    pub class: Spanned<String>,
    /// Its name.
    pub title: Text,
    /// `verified` or `recalled`.
    pub confidence: Spanned<String>,
}

/// `scenarios/*.yaml`: one scenario a file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Code, one of those that spec 2 fixes.
    pub scenario: Spanned<String>,
    /// Its name.
    pub title: Text,
    /// `public` or `third_party`.
    pub actor: Spanned<String>,
    /// Cases opened before this day are not asked for missing checks (spec 8).
    pub go_live: Option<DateText>,
    /// The stages in their order.
    pub stages: Vec<Spanned<StageSource>>,
    /// The attributes an event of this scenario may carry.
    #[serde(default)]
    pub attributes: Vec<Spanned<AttributeSource>>,
}

/// One stage of a scenario.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageSource {
    /// Code, one of those that spec 2 fixes for the scenario.
    pub code: Spanned<String>,
    /// Its name.
    pub title: Text,
    /// Whether the stage is a decisive check point.
    #[serde(default)]
    pub decisive: bool,
    /// The decisive stage at which the subject must have been checked before this one.
    pub after: Option<Spanned<String>>,
}

/// One attribute that a scenario declares.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeSource {
    /// Name, as `event.attributes` and conditions use it.
    pub name: Spanned<String>,
    /// `string`, `int`, `bool`, `date` or `string_list`.
    pub r#type: Spanned<String>,
    /// What it is.
    pub title: Text,
    /// A score of natural persons (个人积分): no penalty may read it. To be said where the name
    /// sounds like one; else it is none.
    pub personal_score: Option<bool>,
}

/// `lists/*.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListsFile {
    /// The list definitions.
    pub lists: Vec<Spanned<ListSource>>,
}

/// One list definition (spec 3).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSource {
    /// Code, such as `B07`.
    pub code: Spanned<String>,
    /// `red`, `attention` or `black`.
    pub colour: Spanned<String>,
    /// Its names.
    pub name: Text,
    /// Who designates (认定部门).
    pub authority: String,
    /// On which basis the list is kept; the highest level counts.
    #[serde(default)]
    pub basis: Vec<Spanned<BasisSource>>,
    /// The field (领域) it belongs to.
    pub field: String,
    /// `national` or `local`.
    pub reach: Spanned<String>,
    /// `list` (the default), or `decision` where single decisions take the place of a list.
    pub kind: Option<Spanned<String>>,
    /// Longest time an entry may stand, in months.
    pub max_period_months: Option<u32>,
    /// Whether an entry stands until the duty is performed.
    #[serde(default)]
    pub until_performed: bool,
    /// By which rules an entry is repaired: the list's own and the general ones.
    #[serde(default, deserialize_with = "one_or_many")]
    pub repair: Vec<RepairSource>,
    /// How old the source's last confirmation may be, in hours.
    pub freshness_budget_hours: u32,
    /// Severity of entries that state none.
    pub default_severity: Option<Spanned<String>>,
    /// Region of entries that state none.
    pub default_region: Option<Spanned<String>>,
    /// A score of natural persons (个人积分): no penalty may rest on it. To be said where the name
    /// sounds like one; else it is none.
    pub personal_score: Option<bool>,
    /// `verified` or `recalled`.
    pub confidence: Spanned<String>,
    /// Marks of the sources the definition rests on.
    #[serde(default)]
    pub mark: Option<String>,
}

/// Books recorded earlier name a single rule without brackets.
fn one_or_many<'de, D>(deserializer: D) -> Result<Vec<RepairSource>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    #[derive(Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<RepairSource>),
        One(RepairSource),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(many) => many,
        OneOrMany::One(one) => vec![one],
    })
}

/// One rule by which entries of a list are repaired (信用修复).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairSource {
    /// Version of the rule, defined under `repair/`, such as `order-36`.
    pub version: String,
    /// What is special to this list, in words.
    pub rule: Option<Text>,
}

/// `repair/*.yaml`: the versions of the rules on credit repair.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairFile {
    /// The rules.
    pub repair_rules: Vec<Spanned<RepairRuleSource>>,
}

/// A version of a rule on credit repair, with its periods.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairRuleSource {
    /// Its code, such as `order-36`.
    pub version: Spanned<String>,
    /// Its name.
    pub title: Text,
    /// Where it stands.
    pub basis: BasisSource,
    /// First day in force.
    pub effective_from: Option<DateText>,
    /// Last day in force.
    pub effective_to: Option<DateText>,
    /// How long entries are shown, by severity.
    pub periods: Option<PeriodsSource>,
    /// A general order: it holds beside the rules of single fields, one at a time.
    #[serde(default)]
    pub general: bool,
    /// The limits of its procedures.
    #[serde(default)]
    pub limits: LimitsSource,
    /// `verified` or `recalled`.
    pub confidence: Spanned<String>,
    /// Marks of the sources it rests on.
    #[serde(default)]
    pub mark: Option<String>,
}

/// Periods of display (公示期) by severity.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PeriodsSource {
    /// Minor (轻微).
    pub minor: Option<PeriodSource>,
    /// General (一般).
    pub general: Option<PeriodSource>,
    /// Serious (严重).
    pub serious: Option<PeriodSource>,
}

/// Shortest and longest time in months.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PeriodSource {
    /// Shortest; repair may be asked for after it.
    pub months_min: Option<u32>,
    /// Longest; display stops by itself.
    pub months_max: Option<u32>,
}

/// A legal basis (法规政策依据).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasisSource {
    /// Name of the law or document, in Chinese.
    pub law: String,
    /// Article or clause.
    pub article: Option<String>,
    /// Document number.
    pub document_no: Option<String>,
    /// One of the levels of spec 4.
    pub level: Spanned<String>,
    /// Who issued it.
    pub issuer: Option<String>,
    /// For a local regulation: the region of that legislature.
    pub region: Option<Spanned<String>>,
    /// Other fields whose lists this basis names; `any` where it names every one (DP-04).
    #[serde(default)]
    pub reaches: Vec<Spanned<String>>,
}

/// `agreements/*.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementsFile {
    /// The agreements.
    pub agreements: Vec<Spanned<AgreementSource>>,
}

/// An agreement by which one region recognises named lists of another (spec 3c).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementSource {
    /// Id.
    pub id: Spanned<String>,
    /// Codes of the lists.
    pub lists: Vec<Spanned<String>>,
    /// Region in which the entry is listed.
    pub from: Spanned<String>,
    /// Region of the event.
    pub to: Spanned<String>,
    /// On which basis.
    #[serde(default)]
    pub basis: Vec<Spanned<BasisSource>>,
    /// First day.
    pub effective_from: DateText,
    /// Last day.
    pub effective_to: Option<DateText>,
}

/// `supplements/*/supplement.yaml`: what a province or city adds in its own region.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SupplementFile {
    /// Its code.
    pub supplement: Spanned<String>,
    /// Its title.
    pub title: Text,
    /// `province` or `city`.
    pub level: Spanned<String>,
    /// The region it holds in.
    pub region: Spanned<String>,
    /// The local regulation that carries it.
    pub basis: Spanned<BasisSource>,
    /// It shows how a supplement is written, and is nobody's law.
    #[serde(default)]
    pub example: bool,
    /// First day in force; its rows and lists name their own days.
    pub effective_from: Option<DateText>,
    /// Last day in force.
    pub effective_to: Option<DateText>,
}

/// `commitments/*.yaml`: matters for which a commitment may take the place of proof (信用承诺事项).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitmentsFile {
    /// The matters.
    pub commitments: Vec<Spanned<CommitmentSource>>,
}

/// One matter for which a commitment may be used.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitmentSource {
    /// Id of the row it becomes.
    pub id: Spanned<String>,
    /// Title.
    pub title: Text,
    /// What may be promised instead of proved.
    pub content: Text,
    /// Its field (领域).
    pub field: Spanned<String>,
    /// Matter code (事项编码) of the event.
    pub matter: String,
    /// Scenario in which the commitment is given.
    pub scenario: Spanned<String>,
    /// Stages of that scenario.
    pub stages: Vec<Spanned<String>>,
    /// Lists that exclude a subject, each with the basis for that.
    #[serde(default)]
    pub excluded_by: Vec<ExcludedBySource>,
    /// Region in which it holds.
    pub region: Option<Spanned<String>>,
    /// Legal bases.
    #[serde(default)]
    pub basis: Vec<Spanned<BasisSource>>,
    /// Day on which the list of matters was published.
    pub published_at: Option<Spanned<DateText>>,
    /// Where it was published.
    pub published_in: Option<String>,
    /// First day in force.
    pub effective_from: Option<Spanned<DateText>>,
    /// Last day in force.
    pub effective_to: Option<Spanned<DateText>>,
    /// Who takes the commitment.
    pub implementer: Text,
    /// How to object.
    pub remedies: Text,
    /// `verified` or `recalled`.
    pub confidence: Spanned<String>,
    /// Marks of the sources it rests on.
    #[serde(default)]
    pub mark: Option<String>,
    /// Its cases.
    #[serde(default)]
    pub cases: Vec<Spanned<CaseSource>>,
}

/// `not-expressed.yaml`: what the sources name and the book does not hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotExpressedFile {
    /// The rows, lists and items.
    pub not_expressed: Vec<Spanned<NotExpressedSource>>,
}

/// A row, list or item that is not expressed, in whole or in part.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotExpressedSource {
    /// Its id or code.
    pub id: Spanned<String>,
    /// What it is.
    pub title: Text,
    /// Why it is not in the book.
    pub reason: Text,
}

/// A deployment's file of confirmations.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmationsFile {
    /// The confirmations.
    pub confirmations: Vec<Spanned<ConfirmationSource>>,
}

/// A deployment takes responsibility for a row that is inactive or was only recalled (spec 4).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmationSource {
    /// Id of the row.
    pub measure: Spanned<String>,
    /// Who confirms it.
    pub confirmed_by: String,
    /// By which document.
    pub document: String,
    /// Day of publication, where the row has none.
    pub published_at: Option<DateText>,
    /// Place of publication, where the row has none.
    pub published_in: Option<String>,
    /// First day in force, where the row has none.
    pub effective_from: Option<DateText>,
}

/// `measures/*.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasuresFile {
    /// The rows.
    pub measures: Vec<Spanned<MeasureSource>>,
}

/// One row of a measure list (spec 4).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureSource {
    /// Id, such as `M07`. Rows of one id are versions and must not overlap in time.
    pub id: Spanned<String>,
    /// Title.
    pub title: Text,
    /// What is done (惩戒内容, 激励内容).
    pub content: Text,
    /// The row's own field (领域): it names lists of this field, and of those its bases reach.
    /// Books recorded before rows had fields lack it; a new book may not.
    pub field: Option<Spanned<String>>,
    /// In a supplement: the national row of which this is the local form.
    pub varies: Option<Spanned<String>>,
    /// `penalty` or `incentive`.
    pub direction: Spanned<String>,
    /// National item, such as `MKT_ENTRY`; its class comes with it.
    pub item: Option<Spanned<String>>,
    /// `A`, `B` or `C`; must agree with the item's.
    pub class: Option<Spanned<String>>,
    /// `must`, `may`, `factor`, `refer` or `own`.
    pub force: Spanned<String>,
    /// One of the effects of spec 4.
    pub effect: Spanned<String>,
    /// Figures that belong to the measure.
    pub parameters: Option<ParametersSource>,
    /// Incentives only: lists that withhold it, each with the basis for that.
    #[serde(default)]
    pub excluded_by: Vec<ExcludedBySource>,
    /// Scenarios and stages in which it applies.
    pub applies: Vec<AppliesSource>,
    /// Lists by code; none for a row that needs no entry.
    #[serde(default)]
    pub lists: Vec<Spanned<String>>,
    /// Lists by colour and field, instead of by code.
    pub lists_of: Option<Spanned<ListsOfSource>>,
    /// Severities; none means every one.
    #[serde(default)]
    pub severities: Vec<Spanned<String>>,
    /// Kinds of subject; none means every one.
    #[serde(default)]
    pub kinds: Vec<Spanned<String>>,
    /// Roles; none means every one.
    #[serde(default)]
    pub roles: Vec<Spanned<String>>,
    /// Whether the entry's scope must fit the event.
    #[serde(default)]
    pub scoped: bool,
    /// Relations of the listed subject that the row reaches, in their own capacity.
    #[serde(default)]
    pub extends_to: Vec<Spanned<String>>,
    /// Whether a hit on a subject outside the lead roles touches the party.
    #[serde(default)]
    pub reaches_party: bool,
    /// Region in which the row holds; none means everywhere.
    pub region: Option<Spanned<String>>,
    /// Condition in CEL over `event`, `subject` and `entry`.
    pub when: Option<Spanned<String>>,
    /// Attributes without which the row cannot be judged.
    #[serde(default)]
    pub required: Vec<Spanned<String>>,
    /// Legal bases; the highest level counts.
    #[serde(default)]
    pub basis: Vec<Spanned<BasisSource>>,
    /// Day on which the statute or the published list that carries the row was published.
    pub published_at: Option<Spanned<DateText>>,
    /// Where it was published.
    pub published_in: Option<String>,
    /// First day in force.
    pub effective_from: Option<Spanned<DateText>>,
    /// Last day in force.
    pub effective_to: Option<Spanned<DateText>>,
    /// Who carries it out (实施主体).
    pub implementer: Text,
    /// How to object or repair.
    pub remedies: Text,
    /// `verified` or `recalled`.
    pub confidence: Spanned<String>,
    /// Marks of the sources the row rests on.
    #[serde(default)]
    pub mark: Option<String>,
    /// The row's own cases; the book is refused when one fails.
    #[serde(default)]
    pub cases: Vec<Spanned<CaseSource>>,
}

/// Figures of a measure. What is not stated is not known.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ParametersSource {
    /// A share, such as 0.2 for an inspection ratio of 20 %.
    pub ratio: Option<String>,
    /// Points added or taken.
    pub points: Option<i64>,
    /// Per cent.
    pub percent: Option<i64>,
    /// Highest amount, in fen.
    pub cap_fen: Option<i64>,
    /// Period, as the law words it, such as `1–3 years`.
    pub period: Option<String>,
}

/// A list that withholds an incentive.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExcludedBySource {
    /// Code of the list.
    pub list: Spanned<String>,
    /// Basis of the exclusion.
    pub basis: BasisSource,
}

/// A scenario with the stages in which a row applies.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppliesSource {
    /// Code of the scenario.
    pub scenario: Spanned<String>,
    /// Codes of its stages.
    pub stages: Vec<Spanned<String>>,
}

/// Lists chosen by colour and field.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListsOfSource {
    /// `red`, `attention` or `black`.
    pub colour: Spanned<String>,
    /// Field; none means every field of the colour.
    pub field: Option<String>,
}

/// A case of a row: one event, one entry, and what must come of it.
///
/// What a case leaves out takes the plainest value that matches: the row's first scenario, stage,
/// list, role and severity, an enterprise with a valid code, an entry in force.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseSource {
    /// The fact it shows.
    pub name: String,
    /// The event.
    #[serde(default)]
    pub event: CaseEvent,
    /// The subject.
    #[serde(default)]
    pub subject: CaseSubject,
    /// The entry on which the subject is found.
    pub entry: Option<CaseEntry>,
    /// The subject is on no list at all.
    #[serde(default)]
    pub unlisted: bool,
    /// A second list on which the subject stands, such as one that excludes a reward.
    pub also_on: Option<Spanned<String>>,
    /// `effect E`, `proposed E`, `offered`, `withheld` or `no match`.
    pub expect: Spanned<String>,
    /// Fragments that must stand in what the row tells: its law, figures, dates, who and how.
    #[serde(default)]
    pub shows: Vec<String>,
}

/// The event of a case.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseEvent {
    /// Scenario code.
    pub scenario: Option<String>,
    /// Stage code.
    pub stage: Option<String>,
    /// Region of the event.
    pub region: Option<String>,
    /// Matter code.
    pub item_code: Option<String>,
    /// Amount in fen.
    pub amount_fen: Option<i64>,
    /// When it took place; a day or an instant.
    pub occurred_at: Option<String>,
    /// Attributes.
    #[serde(default)]
    pub attributes: std::collections::BTreeMap<String, CaseValue>,
}

/// A value of an attribute in a case.
#[derive(Debug, Clone, Deserialize, JsonSchema, PartialEq)]
#[serde(untagged)]
pub enum CaseValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text or a date.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// The subject of a case.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseSubject {
    /// Role code.
    pub role: Option<String>,
    /// Kind code, or `unknown`.
    pub kind: Option<String>,
}

/// The entry of a case.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseEntry {
    /// List code.
    pub list: Option<String>,
    /// `minor`, `general` or `serious`.
    pub severity: Option<String>,
    /// Grade, as the list has it.
    pub grade: Option<String>,
    /// Region of the entry.
    pub region: Option<String>,
    /// Scope codes.
    #[serde(default)]
    pub scope: Vec<String>,
    /// State: `EFFECTIVE` unless stated.
    pub state: Option<String>,
    /// First day.
    pub valid_from: Option<String>,
    /// Last day.
    pub valid_to: Option<String>,
    /// How often the subject was listed.
    pub repeat_count: Option<u32>,
    /// Whether an objection is marked.
    #[serde(default)]
    pub objection_marked: bool,
    /// The subject is not the listed one but related to it in this role.
    pub related_as: Option<String>,
}
