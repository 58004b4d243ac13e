//! The book: the validated set of lists, scenarios, measures and agreements in force (spec 3, 4).

pub mod diff;
pub mod form;
pub mod source;
pub mod table;

mod cases;
mod fixed;
mod guards;
mod load;
mod mutate;
mod schema;
mod spanned;
pub(crate) mod terms;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::clocks::calendar::Calendar;
use crate::clocks::limits::Limits;
use crate::clocks::notice::{Notice, Occasion};
use crate::condition::Condition;
use crate::event::{ListCode, MeasureId, Region, ScenarioCode, StageCode};
use crate::name::SimplifyTable;
use crate::time::Date;
use crate::vocabulary::{
    Actor, AttributeType, Benefit, Class, Colour, Confidence, Direction, Effect, Force, Level,
    ListKind, Reach, Role, Severity, SubjectKind, SupplementLevel,
};

pub use cases::{Difference, FailedCase};
pub use load::{BookError, BookErrors, Deployment, Signing, SourceFile};
pub use mutate::{Fate, Mutant, Mutation, RowMutation, Tested, mutate, test};
pub use source::Text;
use terms::StageRow;

/// Content hash of a book and of what the deployment says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookVersion(pub [u8; 32]);

impl std::fmt::Display for BookVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::verdict::write_hex(f, &self.0)
    }
}

impl BookVersion {
    /// Reads a version as it prints: 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        // `from_str_radix` alone would take a plus sign.
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// The validated set of lists, scenarios, measures and agreements in force.
#[derive(Debug)]
pub struct Book {
    name: Arc<str>,
    title: Text,
    edition: Edition,
    supplements: Vec<Supplement>,
    version: BookVersion,
    covers_from: Date,
    simplify: SimplifyTable,
    scenarios: BTreeMap<ScenarioCode, Scenario>,
    repair_rules: Vec<RepairRule>,
    calendar: Calendar,
    notices: Vec<Notice>,
    lists: FxHashMap<ListCode, Arc<List>>,
    measures: Vec<Arc<Measure>>,
    agreements: Vec<Agreement>,
    not_expressed: Vec<NotExpressed>,
    not_connected: BTreeMap<ListCode, Arc<str>>,
    signing: Signing,
}

/// The edition of the national list (全国失信惩戒措施基础清单): what may reduce rights at all.
#[derive(Debug, Clone)]
pub struct Edition {
    /// Short name, such as `2024`.
    pub code: Arc<str>,
    /// Title of the document.
    pub title: Text,
    /// Document number.
    pub document_no: Option<Arc<str>>,
    /// Day of publication.
    pub published_at: Option<Date>,
    /// First day in force.
    pub effective_from: Option<Date>,
    /// Last day in force.
    pub effective_to: Option<Date>,
    /// Its items with their classes, by code.
    pub items: BTreeMap<String, Item>,
}

/// One item of the national list.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its class.
    pub class: Class,
    /// Its name.
    pub title: Text,
    /// How sure we are of it.
    pub confidence: Confidence,
}

/// What a province or city adds in its own region (补充清单).
#[derive(Debug, Clone)]
pub struct Supplement {
    /// Code.
    pub code: Arc<str>,
    /// Title.
    pub title: Text,
    /// Province or city.
    pub level: SupplementLevel,
    /// Its region.
    pub region: Region,
    /// The local regulation that carries it.
    pub basis: Basis,
    /// It shows how a supplement is written, and is nobody's law.
    pub example: bool,
    /// First day in force.
    pub effective_from: Option<Date>,
    /// Last day in force.
    pub effective_to: Option<Date>,
}

/// A version of a rule on credit repair.
#[derive(Debug, Clone)]
pub struct RepairRule {
    /// Code, such as `order-36`.
    pub version: Arc<str>,
    /// Name.
    pub title: Text,
    /// Where it stands.
    pub basis: Basis,
    /// First day in force.
    pub effective_from: Option<Date>,
    /// Last day in force.
    pub effective_to: Option<Date>,
    /// How long entries are shown, by severity.
    pub periods: source::PeriodsSource,
    /// Whether it is a general order, which holds beside the rules of single fields.
    pub general: bool,
    /// The limits of its procedures.
    pub limits: Limits,
    /// How sure we are of it.
    pub confidence: Confidence,
}

impl RepairRule {
    /// Whether it is in force on this day.
    #[must_use]
    pub fn in_force_on(&self, day: Date) -> bool {
        self.effective_from.is_none_or(|from| from <= day)
            && self.effective_to.is_none_or(|to| day <= to)
    }

    /// How long entries of this severity are shown, where it says so.
    #[must_use]
    pub const fn period(&self, severity: Severity) -> Option<source::PeriodSource> {
        match severity {
            Severity::Minor => self.periods.minor,
            Severity::General => self.periods.general,
            Severity::Serious => self.periods.serious,
        }
    }
}

/// What the sources name and the book does not hold; it counts in no figure.
#[derive(Debug, Clone)]
pub struct NotExpressed {
    /// Id or code.
    pub id: Arc<str>,
    /// What it is.
    pub title: Text,
    /// Why it is not in the book.
    pub reason: Text,
}

impl Book {
    /// Short name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Title.
    #[must_use]
    pub const fn title(&self) -> &Text {
        &self.title
    }

    /// The edition of the national list it stands on.
    #[must_use]
    pub const fn edition(&self) -> &Edition {
        &self.edition
    }

    /// What provinces and cities add, by code.
    #[must_use]
    pub fn supplements(&self) -> &[Supplement] {
        &self.supplements
    }

    /// The rules on credit repair, by version.
    #[must_use]
    pub fn repair_rules(&self) -> &[RepairRule] {
        &self.repair_rules
    }

    /// The rule on credit repair of this version.
    #[must_use]
    pub fn rule(&self, version: &str) -> Option<&RepairRule> {
        self.repair_rules
            .iter()
            .find(|rule| *rule.version == *version)
    }

    /// The general rule on credit repair in force on this day.
    #[must_use]
    pub fn general_rule(&self, on: Date) -> Option<&RepairRule> {
        self.repair_rules
            .iter()
            .find(|rule| rule.general && rule.in_force_on(on))
    }

    /// The working calendar; it knows the years that the book declares.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The templates of notices, by id.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The template with this id.
    #[must_use]
    pub fn notice(&self, id: &str) -> Option<&Notice> {
        self.notices.iter().find(|notice| *notice.id == *id)
    }

    /// The template of the notice for this occasion; a book has at most one.
    #[must_use]
    pub fn notice_on(&self, when: Occasion) -> Option<&Notice> {
        self.notices.iter().find(|notice| notice.when == when)
    }

    /// What the sources name and the book does not hold, by id.
    #[must_use]
    pub fn not_expressed(&self) -> &[NotExpressed] {
        &self.not_expressed
    }

    /// Content hash.
    #[must_use]
    pub const fn version(&self) -> BookVersion {
        self.version
    }

    /// First day for which the book can judge.
    #[must_use]
    pub const fn covers_from(&self) -> Date {
        self.covers_from
    }

    /// Table that turns traditional into simplified characters.
    #[must_use]
    pub const fn simplify(&self) -> &SimplifyTable {
        &self.simplify
    }

    /// The scenario with this code.
    #[must_use]
    pub fn scenario(&self, code: &str) -> Option<&Scenario> {
        self.scenarios.get(code)
    }

    /// The scenarios by code.
    pub fn scenarios(&self) -> impl Iterator<Item = &Scenario> {
        self.scenarios.values()
    }

    /// The list with this code.
    #[must_use]
    pub fn list(&self, code: &str) -> Option<&Arc<List>> {
        self.lists.get(code)
    }

    /// The lists by code.
    #[must_use]
    pub fn lists(&self) -> Vec<&Arc<List>> {
        let mut lists: Vec<_> = self.lists.values().collect();
        lists.sort_by(|a, b| a.code.cmp(&b.code));
        lists
    }

    /// The rows by id, then first day.
    #[must_use]
    pub fn measures(&self) -> &[Arc<Measure>] {
        &self.measures
    }

    /// Agreements by which regions recognise each other's lists.
    #[must_use]
    pub fn agreements(&self) -> &[Agreement] {
        &self.agreements
    }

    /// Who vouches for its files.
    #[must_use]
    pub const fn signing(&self) -> &Signing {
        &self.signing
    }

    /// Why the deployment has not connected this list, if so.
    #[must_use]
    pub fn not_connected(&self, list: &ListCode) -> Option<&Arc<str>> {
        self.not_connected.get(list)
    }
}

/// A scenario with its stages (spec 2).
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Code.
    pub code: ScenarioCode,
    /// Name.
    pub title: Text,
    /// Who acts.
    pub actor: Actor,
    /// Cases opened before this day are not asked for missing checks.
    pub go_live: Option<Date>,
    /// Stages in their order.
    pub stages: Vec<Stage>,
    /// Attributes it declares.
    pub attributes: BTreeMap<Arc<str>, AttributeType>,
    /// Those of them that are scores of natural persons: no penalty may read them.
    pub personal_scores: BTreeSet<Arc<str>>,
}

impl Scenario {
    /// The stage with this code.
    #[must_use]
    pub fn stage(&self, code: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.code.as_str() == code)
    }

    /// Whether rows must also have been in force when the notice was published (spec 4).
    #[must_use]
    pub fn follows_notice(&self) -> bool {
        notice_scenario(self.code.as_str())
    }
}

/// Whether events of this scenario follow a notice of their own: land, tender, procurement.
pub(crate) fn notice_scenario(code: &str) -> bool {
    matches!(code, "land" | "tender" | "procurement")
}

/// A stage, with the rows that may apply in it laid out for the decision.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Code.
    pub code: StageCode,
    /// Name.
    pub title: Text,
    /// Whether it is a decisive check point.
    pub decisive: bool,
    /// The decisive stage that comes before it.
    pub after: Option<StageCode>,
    /// Rows of this stage.
    pub(crate) rows: StageRows,
}

/// Rows of one direction, each list in order of id.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowsByList {
    /// By the list they name.
    named: FxHashMap<ListCode, Vec<StageRow>>,
    /// Those that need no entry.
    pub without_entry: Vec<StageRow>,
}

impl RowsByList {
    /// The rows that name the list.
    pub fn naming(&self, list: &ListCode) -> &[StageRow] {
        self.named.get(list).map_or(&[], Vec::as_slice)
    }

    /// Adds a row under everything it names.
    pub fn add(&mut self, row: &StageRow) {
        if !row.measure.needs_entry() {
            self.without_entry.push(row.clone());
        }
        for list in &row.measure.lists {
            let named = self.named.entry(list.clone()).or_default();
            named.push(row.clone());
        }
    }
}

/// The rows of a stage, indexed; everything here can be derived from the rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct StageRows {
    /// Active penalty rows.
    pub penalties: RowsByList,
    /// Active incentive rows.
    pub incentives: RowsByList,
    /// Active penalty rows above heightened scrutiny, by the lists they need, sorted by list.
    pub needs: Vec<(Arc<List>, Vec<Arc<Measure>>)>,
    /// Whether there are penalty rows, and whether any of them is active.
    pub inactive_penalties: bool,
    /// Whether any penalty row is active.
    pub active_penalties: bool,
}

/// A list definition (spec 3).
#[derive(Debug)]
pub struct List {
    /// Code.
    pub code: ListCode,
    /// Colour.
    pub colour: Colour,
    /// Names.
    pub name: Text,
    /// Designating authority.
    pub authority: Arc<str>,
    /// Bases.
    pub bases: Vec<Basis>,
    /// Field.
    pub field: Arc<str>,
    /// Reach.
    pub reach: Reach,
    /// Kind.
    pub kind: ListKind,
    /// Longest time an entry may stand, in months.
    pub max_period_months: Option<u32>,
    /// Whether an entry stands until the duty is performed.
    pub until_performed: bool,
    /// Versions of the rules by which entries are repaired, each with what is special to this list.
    pub repair: Vec<(Arc<str>, Option<Text>)>,
    /// How old the last confirmation may be, in microseconds.
    pub freshness_budget_micros: i64,
    /// Severity of entries that state none.
    pub default_severity: Option<Severity>,
    /// Region of entries that state none.
    pub default_region: Option<Region>,
    /// A score of natural persons: no penalty may rest on it.
    pub personal_score: bool,
    /// The supplement that keeps it; none for a national list.
    pub supplement: Option<Arc<str>>,
    /// How sure we are of the definition.
    pub confidence: Confidence,
}

impl List {
    /// Whether the list carries more than `NOTICE` for an event in this region (spec 3).
    #[must_use]
    pub fn carries_effects_in(&self, region: Region) -> bool {
        self.colour != Colour::Black
            || self.bases.iter().any(|basis| match basis.level {
                Level::Law
                | Level::AdministrativeRegulation
                | Level::CentralDocument
                | Level::DepartmentRule => true,
                Level::LocalRegulation => basis.region.is_some_and(|inner| inner.contains(region)),
                Level::PublishedNotice | Level::Paper => false,
            })
    }
}

/// A legal basis (法规政策依据).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Name of the law or document.
    pub law: Arc<str>,
    /// Article.
    pub article: Option<Arc<str>>,
    /// Document number.
    pub document_no: Option<Arc<str>>,
    /// Level.
    pub level: Level,
    /// Issuer.
    pub issuer: Option<Arc<str>>,
    /// For a local regulation: the region of that legislature.
    pub region: Option<Region>,
    /// Other fields whose lists it names; [`ANY_FIELD`] for every one (DP-04).
    pub reaches: Vec<Arc<str>>,
}

/// In [`Basis::reaches`]: every field.
pub const ANY_FIELD: &str = "any";

impl Basis {
    /// Whether it names lists of this field.
    #[must_use]
    pub fn reaches_field(&self, field: &str) -> bool {
        self.reaches
            .iter()
            .any(|reached| **reached == *ANY_FIELD || **reached == *field)
    }
}

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A penalty of this effect.
    Penalty(Effect),
    /// An incentive of this kind.
    Incentive(Benefit),
}

impl Action {
    /// The direction.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match self {
            Self::Penalty(_) => Direction::Penalty,
            Self::Incentive(_) => Direction::Incentive,
        }
    }

    /// The code of the effect.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Penalty(effect) => effect.code(),
            Self::Incentive(benefit) => benefit.code(),
        }
    }
}

/// One row of a measure list (spec 4).
#[derive(Debug, Clone)]
pub struct Measure {
    /// Id.
    pub id: MeasureId,
    /// Title.
    pub title: Text,
    /// What is done.
    pub content: Text,
    /// Its own field (领域).
    pub field: Arc<str>,
    /// The supplement it stands in; none for a national row.
    pub supplement: Option<Arc<str>>,
    /// In a supplement: the national row of which it is the local form.
    pub varies: Option<MeasureId>,
    /// What it does.
    pub action: Action,
    /// National item.
    pub item: Option<Arc<str>>,
    /// Class.
    pub class: Option<Class>,
    /// Force.
    pub force: Force,
    /// Figures.
    pub parameters: Option<source::ParametersSource>,
    /// Lists that withhold the incentive, with the basis for that.
    pub excluded_by: Vec<(ListCode, Basis)>,
    /// Scenarios and stages.
    pub applies: Vec<(ScenarioCode, Vec<StageCode>)>,
    /// Lists, by code; empty for a row that needs no entry.
    pub lists: Vec<ListCode>,
    /// Severities; empty means every one.
    pub severities: Vec<Severity>,
    /// Kinds; empty means every one.
    pub kinds: Vec<SubjectKind>,
    /// Roles; empty means every one.
    pub roles: Vec<Role>,
    /// Whether the entry's scope must fit the event.
    pub scoped: bool,
    /// Relations it extends to.
    pub extends_to: Vec<Role>,
    /// Whether it touches the party through a subject outside the lead roles.
    pub reaches_party: bool,
    /// Region in which it holds.
    pub region: Option<Region>,
    /// Condition, with its text.
    pub condition: Option<(Condition, Arc<str>)>,
    /// Attributes without which it cannot be judged.
    pub required: Vec<Arc<str>>,
    /// Bases, highest first.
    pub bases: Vec<Basis>,
    /// Day of publication.
    pub published_at: Option<Date>,
    /// Place of publication.
    pub published_in: Option<Arc<str>>,
    /// First day in force.
    pub effective_from: Option<Date>,
    /// Last day in force.
    pub effective_to: Option<Date>,
    /// Whether it may match; an inactive row is shown and simulated only.
    pub active: bool,
    /// Who confirmed it in this deployment, and by which document.
    pub confirmed: Option<(Arc<str>, Arc<str>)>,
    /// Who carries it out.
    pub implementer: Text,
    /// How to object or repair.
    pub remedies: Text,
    /// How sure we are of it; a confirmation makes it verified.
    pub confidence: Confidence,
    /// How many cases it carries.
    pub cases: usize,
}

impl Measure {
    /// Whether the row turns on an entry.
    #[must_use]
    pub fn needs_entry(&self) -> bool {
        !self.lists.is_empty()
    }

    /// Whether the row rests on the notice of the event, so that the event must carry it: it names
    /// the notice, and no other basis of it is high enough. A department rule beside the notice
    /// does not carry a row of class A or B above `NOTICE`.
    #[must_use]
    pub fn rests_on_notice(&self) -> bool {
        let names_notice = self
            .bases
            .iter()
            .any(|basis| basis.level == Level::PublishedNotice);
        let without_it = match self.bases.first().map(|highest| highest.level) {
            Some(
                Level::Law
                | Level::AdministrativeRegulation
                | Level::CentralDocument
                | Level::LocalRegulation,
            ) => true,
            Some(Level::DepartmentRule) => {
                self.penalty() <= Some(Effect::Notice)
                    || !matches!(self.class, Some(Class::A | Class::B))
            }
            Some(Level::PublishedNotice | Level::Paper) | None => false,
        };
        names_notice && !without_it
    }

    /// Whether the row is in force on this day.
    #[must_use]
    pub fn in_force_on(&self, day: Date) -> bool {
        self.effective_from.is_none_or(|from| from <= day)
            && self.effective_to.is_none_or(|to| day <= to)
    }

    /// The effect, when it is a penalty.
    #[must_use]
    pub const fn penalty(&self) -> Option<Effect> {
        match self.action {
            Action::Penalty(effect) => Some(effect),
            Action::Incentive(_) => None,
        }
    }
}

/// An agreement by which one region recognises entries of another (spec 3c).
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Id.
    pub id: Arc<str>,
    /// Lists it covers.
    pub lists: Vec<ListCode>,
    /// Where the entry is listed.
    pub from: Region,
    /// Where the event takes place.
    pub to: Region,
    /// Bases.
    pub bases: Vec<Basis>,
    /// The supplement it stands in; none for a national one.
    pub supplement: Option<Arc<str>>,
    /// First day.
    pub effective_from: Date,
    /// Last day.
    pub effective_to: Option<Date>,
}

impl Agreement {
    /// Whether it carries more than `HEIGHTENED_SCRUTINY` for an event in this region.
    #[must_use]
    pub fn carries_effects_in(&self, region: Region) -> bool {
        self.bases.iter().any(|basis| {
            basis.level == Level::LocalRegulation
                && basis.region.is_some_and(|inner| inner.contains(region))
        })
    }
}
