//! Notices to be served: templates of the book, and the text that one makes of an entry (DP-07, DP-09).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ClockKind, Procedure, clocks, limits};
use crate::book::table::words::role;
use crate::book::{Basis, Book, List, Text};
use crate::entry::Entry;
use crate::event::Sensitive;
use crate::identifier::Identifier;
use crate::time::{Date, Time};
use crate::vocabulary::{Confidence, Role, Severity, State, vocabulary};

vocabulary! {
    /// On which occasion a notice is due.
    Occasion {
        /// 列入告知书: a designation is planned (PROPOSED).
        ListingPlanned = "listing_planned",
        /// 列入决定书: the decision (NOTIFIED to EFFECTIVE), until it was served.
        Listing = "listing",
        /// 信用修复告知书: goes with the decision, two documents together (两书同达, DP-09).
        RepairNotice = "repair_notice",
        /// The shortest display period is over.
        RepairPossible = "repair_possible",
        /// A measure was applied to the subject on the strength of an entry.
        MeasureBitten = "measure_bitten",
        /// 约谈通知书.
        Talk = "talk",
        /// The entry was repaired.
        Repaired = "repaired",
        /// The entry was revoked.
        Revoked = "revoked",
        /// An objection was decided.
        ObjectionResult = "objection_result",
    }
}

vocabulary! {
    /// What a template may have filled in.
    Placeholder {
        /// Name of the subject that the notice is for: the listed one, unless the caller tells another.
        Subject = "subject",
        /// Its identifier.
        Identifier = "identifier",
        /// Who stands on the list, said to the subject: itself, unless the caller tells of a relation.
        Listed = "listed",
        /// Name of the list.
        List = "list",
        /// Designating authority.
        DesignatedBy = "designated_by",
        /// Number of the document.
        DocumentNo = "document_no",
        /// Designation basis.
        Basis = "basis",
        /// Reason for listing.
        Reason = "reason",
        /// How grave the breach is.
        Severity = "severity",
        /// Unit the data came from.
        SourceUnit = "source_unit",
        /// First day.
        ValidFrom = "valid_from",
        /// Last day, or until the duty is performed.
        LastDay = "last_day",
        /// Day from which repair may be applied for.
        RepairFrom = "repair_from",
        /// Day on which the last change of state took effect.
        ChangedOn = "changed_on",
        /// Title of the rule on repair.
        RepairRule = "repair_rule",
        /// Within how many days an objection is decided.
        ObjectionDays = "objection_days",
        /// Within how many days it is decided whether a repair is accepted.
        AcceptDays = "accept_days",
        /// Within how many days a repair is decided.
        RepairDays = "repair_days",
        /// Within how many days a record is deleted.
        DeletionDays = "deletion_days",
        /// Where and how to object or appeal; told by the caller.
        Remedies = "remedies",
        /// Title of a measure; told by the caller.
        Measure = "measure",
        /// Basis of the measure; told by the caller.
        MeasureBasis = "measure_basis",
        /// Why the measure was decided on, and by which document; told by the caller.
        Decision = "decision",
        /// Who carried the measure out; told by the caller.
        Implementer = "implementer",
        /// What was decided; told by the caller.
        Result = "result",
        /// When a talk takes place; told by the caller.
        TalkAt = "talk_at",
        /// Where a talk takes place; told by the caller.
        TalkPlace = "talk_place",
        /// Whom to ask; told by the caller.
        Contact = "contact",
        /// Day of the notice; told by the caller as YYYY-MM-DD, so that the limits of that day are
        /// told.
        NoticeDate = "notice_date",
    }
}

/// What stands in a text where nothing is known.
pub const NOT_STATED: &str = "（未载明）";

/// How a notice addresses its subject.
const YOU: &str = "你（单位）";

/// A template of a notice.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Id.
    pub id: Arc<str>,
    /// Title.
    pub title: Text,
    /// Its occasion.
    pub when: Occasion,
    /// Ids of the notices that are served together with it.
    pub together_with: Vec<Arc<str>>,
    /// Whether the proof that it was served tells when the decision was served (`served_at`).
    pub proves_service: bool,
    /// The text as it is written in the book.
    pub text: Arc<str>,
    /// On which rules it is sent; the highest first.
    pub bases: Vec<Basis>,
    /// How sure we are of them.
    pub confidence: Confidence,
    pub(crate) pieces: Vec<Piece>,
}

impl Notice {
    /// The placeholders of its text, each once, in their fixed order.
    #[must_use]
    pub fn placeholders(&self) -> Vec<Placeholder> {
        let fills = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Fill(placeholder) => Some(*placeholder),
            Piece::Text(_) => None,
        });
        let mut all: Vec<Placeholder> = fills.collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Fill(Placeholder),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// A name in braces that is no placeholder.
    Unknown(String),
    /// A brace without its other.
    Unbalanced,
}

/// Takes a template apart.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, opened)) = rest.split_once('{') {
        let (name, behind) = opened.split_once('}').ok_or(TemplateError::Unbalanced)?;
        let known = Placeholder::parse(name);
        let placeholder = known.ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Fill(placeholder));
        rest = behind;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    let closed = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('}'));
    if pieces.iter().any(closed) {
        return Err(TemplateError::Unbalanced);
    }
    Ok(pieces)
}

/// The text of a notice about an entry. It is about a person or firm and prints masked.
///
/// What `extra` tells counts before what the entry says; what neither knows stands as
/// [`NOT_STATED`]. Values are put in as they are: a brace in them means nothing. The limits told are
/// those of a procedure opened on the day of the notice; where [`Placeholder::NoticeDate`] is not
/// told as a day, on the day on which the entry was last recorded.
#[must_use]
pub fn render(
    template: &Notice,
    entry: &Entry,
    list: &List,
    book: &Book,
    extra: &[(Placeholder, &str)],
) -> Sensitive {
    let dated = extra
        .iter()
        .find(|(told, _)| *told == Placeholder::NoticeDate)
        .and_then(|(_, value)| Date::parse(value).ok());
    let about = About {
        entry,
        list,
        book,
        dated,
    };
    let mut text = String::new();
    for piece in &template.pieces {
        match piece {
            Piece::Text(written) => text.push_str(written),
            Piece::Fill(placeholder) => {
                let told = match (placeholder, dated) {
                    (Placeholder::NoticeDate, Some(day)) => Some(day_zh(day)),
                    _ => extra
                        .iter()
                        .find(|(told, _)| told == placeholder)
                        .map(|(_, value)| (*value).to_owned()),
                };
                let value = told
                    .or_else(|| of_entry(*placeholder, &about))
                    .filter(|value| !value.trim().is_empty());
                text.push_str(value.as_deref().unwrap_or(NOT_STATED));
            }
        }
    }
    Sensitive::new(text)
}

/// What a notice is about.
struct About<'a> {
    entry: &'a Entry,
    list: &'a List,
    book: &'a Book,
    /// Day of the notice.
    dated: Option<Date>,
}

/// What the entry, its list and the book say.
fn of_entry(placeholder: Placeholder, about: &About<'_>) -> Option<String> {
    let About {
        entry, list, book, ..
    } = *about;
    let owned = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let revealed = |text: &Option<Sensitive>| text.as_ref().map(|text| text.reveal().to_owned());
    match placeholder {
        Placeholder::Subject => revealed(&entry.name),
        Placeholder::Identifier => {
            let identifier = entry.identifier.as_ref().map(Identifier::reveal);
            identifier.map(str::to_owned)
        }
        Placeholder::Listed => Some(YOU.to_owned()),
        Placeholder::List => Some(list.name.zh.clone()),
        Placeholder::DesignatedBy => owned(&entry.designated_by),
        Placeholder::DocumentNo => owned(&entry.document_no),
        Placeholder::Basis => owned(&entry.basis),
        Placeholder::Reason => revealed(&entry.reason),
        Placeholder::Severity => {
            let severity = entry.severity.or(list.default_severity)?;
            Some(severity_zh(severity).to_owned())
        }
        Placeholder::SourceUnit => owned(&entry.source_unit),
        Placeholder::ValidFrom => Some(day_zh(entry.valid_from.date())),
        Placeholder::LastDay => last_day_zh(entry, list),
        Placeholder::RepairFrom => clocks(entry, book)
            .iter()
            .find(|due| due.kind == ClockKind::RepairFrom)
            .map(|due| day_zh(due.day)),
        Placeholder::ChangedOn => {
            let last = entry.changes.last()?;
            Some(day_zh(last.effective_at.date()))
        }
        Placeholder::RepairRule => limits::rule_of(entry, book).map(|rule| rule.title.zh.clone()),
        Placeholder::ObjectionDays => about
            .days(Procedure::Objection, "decide")
            .or_else(|| about.days(Procedure::Objection, "reply")),
        Placeholder::AcceptDays => about.days(Procedure::Repair, "accept"),
        Placeholder::RepairDays => about.days(Procedure::Repair, "decide"),
        Placeholder::DeletionDays => about.days(Procedure::Deletion, "delete"),
        Placeholder::Remedies
        | Placeholder::Measure
        | Placeholder::MeasureBasis
        | Placeholder::Decision
        | Placeholder::Implementer
        | Placeholder::Result
        | Placeholder::TalkAt
        | Placeholder::TalkPlace
        | Placeholder::Contact
        | Placeholder::NoticeDate => None,
    }
}

/// The last day; an entry without one on a list that stands until the duty is performed says so.
fn last_day_zh(entry: &Entry, list: &List) -> Option<String> {
    let last = crate::lists::Dates::of_entry(entry).last_day(list.max_period_months);
    match last {
        Some(day) => Some(day_zh(day)),
        None if list.until_performed => Some("义务履行完毕之日".to_owned()),
        None => None,
    }
}

impl About<'_> {
    /// The days of one step, as a notice writes them.
    fn days(&self, procedure: Procedure, step: &str) -> Option<String> {
        let version = self.entry.rule_version.as_deref();
        let on = self.dated.unwrap_or_else(|| self.recorded());
        let (_, limits) = limits::set_by(procedure, Some(self.list), version, on, self.book)?;
        let limit = limits.iter().find(|limit| *limit.step == *step)?;
        Some(format!("{}{}", limit.days, limit.unit.title_zh()))
    }

    /// The day on which the entry was last recorded, and never before that of its decision.
    fn recorded(&self) -> Date {
        let changes = self.entry.changes.iter().map(|change| change.recorded_at);
        let last = changes.fold(self.entry.recorded_at, Time::max);
        last.max(self.entry.valid_from).date()
    }
}

/// Whom the subject of a notice leads to as a relation, for [`Placeholder::Listed`].
#[must_use]
pub fn related_zh(relation: Role, listed: Option<&str>) -> String {
    format!("以{YOU}为{}的{}", role(relation), listed.unwrap_or("单位"))
}

/// A decision as a notice writes it, for [`Placeholder::Decision`]; what is not known of it is left out.
#[must_use]
pub fn decision_zh(reason: &str, document_no: &str) -> String {
    match (reason.is_empty(), document_no.is_empty()) {
        (_, true) => reason.to_owned(),
        (true, false) => document_no.to_owned(),
        (false, false) => format!("{reason}（{document_no}）"),
    }
}

/// A day as documents write it.
#[must_use]
pub fn day_zh(day: Date) -> String {
    format!("{}年{}月{}日", day.year(), day.month(), day.day())
}

const fn severity_zh(severity: Severity) -> &'static str {
    match severity {
        Severity::Minor => "轻微",
        Severity::General => "一般",
        Severity::Serious => "严重",
    }
}

/// Which notice a change of state calls for.
#[must_use]
pub const fn occasion_of(state: State) -> Option<Occasion> {
    match state {
        State::Proposed => Some(Occasion::ListingPlanned),
        State::Effective => Some(Occasion::Listing),
        State::Repaired => Some(Occasion::Repaired),
        State::Revoked => Some(Occasion::Revoked),
        State::Notified | State::Suspended => None,
    }
}
