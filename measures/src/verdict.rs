//! The verdict: the answer for one event, with everything that explains it (spec 7).

use std::sync::Arc;

use crate::book::{BookVersion, Measure};
use crate::event::{
    CaseId, EntryId, EventId, ListCode, MeasureId, PartyId, ScenarioCode, Source, StageCode,
};
use crate::lists::ListVersion;
use crate::time::Time;
use crate::vocabulary::{Effect, Identity, NotUsable, Outcome, Role, SubjectKind};

/// Version of the deciding code, told in every verdict and left out of its digest.
pub const ENGINE_VERSION: &str = concat!("creditgate ", env!("CARGO_PKG_VERSION"));

/// Names the decision slot: UUIDv8 over (source, event id, cause).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerdictId(pub uuid::Uuid);

impl std::fmt::Display for VerdictId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

/// SHA-256 of the canonical bytes of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerdictDigest(pub [u8; 32]);

impl std::fmt::Display for VerdictDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_hex(f, &self.0)
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(f: &mut std::fmt::Formatter<'_>, bytes: &[u8]) -> std::fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// What made the decision necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The event itself.
    Event,
    /// A change of the lists, by its sequence number.
    ListChange(u64),
    /// A clock record, by its sequence number.
    Clock(u64),
    /// A change of the book.
    Book(BookVersion),
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Event => f.write_str("event"),
            Self::ListChange(seq) => write!(f, "list_change:{seq}"),
            Self::Clock(seq) => write!(f, "clock:{seq}"),
            Self::Book(version) => write!(f, "book:{version}"),
        }
    }
}

impl Cause {
    /// Reads a cause as it prints.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "event" {
            return Some(Self::Event);
        }
        let (kind, value) = text.split_once(':')?;
        match kind {
            "list_change" => value.parse().ok().map(Self::ListChange),
            "clock" => value.parse().ok().map(Self::Clock),
            "book" => BookVersion::parse(value).map(Self::Book),
            _ => None,
        }
    }
}

/// What is decided for an event, a party or a subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decision {
    /// Strongest effect that applies now.
    pub effect: Option<Effect>,
    /// Whether an official must judge.
    pub review: bool,
    /// Strongest effect that waits for an official.
    pub proposed: Option<Effect>,
    /// Bits 2 red, 4 attention, 8 black of usable entries hit by identifier.
    pub result_code: u8,
}

impl Decision {
    /// The outcome (spec 5): `PROHIBIT`, else review, else the effect, else `PASS`.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match (self.effect, self.review) {
            (Some(Effect::Prohibit), _) => Outcome::Prohibit,
            (_, true) => Outcome::ManualReview,
            (Some(effect), false) => effect.into(),
            (None, false) => Outcome::Pass,
        }
    }

    /// Takes the stronger of each part.
    pub fn join(&mut self, other: &Self) {
        self.effect = self.effect.max(other.effect);
        self.review |= other.review;
        self.proposed = self.proposed.max(other.proposed);
        self.result_code |= other.result_code;
    }
}

/// Something the receiver must know about the verdict or a subject; a closed set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// The inner organisation code of the USCC does not hold (spec 2).
    InnerOrgCode,
    /// An organisation at a decisive stage whose identifier is linked to no USCC; review.
    SubjectUnlinked,
    /// No valid identifier; review.
    SubjectUnverified,
    /// The name is none of those known for the identifier.
    NameDiffers,
    /// The kind stated contradicts the identifier or the list.
    KindConflict,
    /// Found by name, not by identifier.
    NameOnly,
    /// An entry in force at the event has ended since; review.
    ChangedSinceEvent,
    /// An entry without any end; review.
    NoEndDate,
    /// A condition could not be judged.
    ConditionError,
    /// The subject was not checked at this decisive stage (spec 8).
    MissingCheck(StageCode),
    /// Judged more than 24 hours after the event.
    Late,
    /// The event lies before the first day the book covers; review.
    BeforeCoversFrom,
    /// The stage has penalty rows, none of them active; review.
    RowsInactive,
    /// A needed list is older than its freshness budget; review.
    ListsStale,
    /// The lists asked for had not arrived; review (Kafka only).
    ListsBehind,
    /// The book does not know the scenario or stage; review.
    ScenarioUnknown,
    /// Nobody has signed the book.
    BookUnsigned,
}

impl Flag {
    /// The code, without the stage of a missing check.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InnerOrgCode => "inner_org_code",
            Self::SubjectUnlinked => "subject_unlinked",
            Self::SubjectUnverified => "subject_unverified",
            Self::NameDiffers => "name_differs",
            Self::KindConflict => "kind_conflict",
            Self::NameOnly => "name_only",
            Self::ChangedSinceEvent => "changed_since_event",
            Self::NoEndDate => "no_end_date",
            Self::ConditionError => "condition_error",
            Self::MissingCheck(_) => "missing_check",
            Self::Late => "late",
            Self::BeforeCoversFrom => "before_covers_from",
            Self::RowsInactive => "rows_inactive",
            Self::ListsStale => "lists_stale",
            Self::ListsBehind => "lists_behind",
            Self::ScenarioUnknown => "scenario_unknown",
            Self::BookUnsigned => "book_unsigned",
        }
    }
}

impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MissingCheck(stage) => write!(f, "missing_check:{stage}"),
            other => f.write_str(other.code()),
        }
    }
}

/// A list that should have been asked and could not be, and why (spec 6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotChecked {
    /// The list.
    pub list: ListCode,
    /// Why.
    pub why: NotCheckedWhy,
}

/// Why a list was not checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotCheckedWhy {
    /// No source has ever delivered it; review.
    NotLoaded,
    /// Its last confirmation is older than its budget; review.
    Stale,
    /// The deployment names it as not connected, for this reason.
    NotConnected(Arc<str>),
}

impl std::fmt::Display for NotCheckedWhy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotLoaded => f.write_str("not_loaded"),
            Self::Stale => f.write_str("stale"),
            Self::NotConnected(reason) => write!(f, "not_connected: {reason}"),
        }
    }
}

/// Whether a measure applies now or waits for an official.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contribution {
    /// Waits for an official.
    Proposed,
    /// Applies now.
    Effect,
}

impl Contribution {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Effect => "effect",
        }
    }
}

/// Why a measure is proposed, weakened or withheld; a closed set, in order of telling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The law says `may`, `factor` or `refer`: an official decides.
    Discretion,
    /// The subject is a natural person, an individual business or may be one.
    Protected,
    /// Found by name, not by identifier.
    NameOnly,
    /// The name is none of those known for the identifier.
    NameDiffers,
    /// The condition could not be judged.
    ConditionError,
    /// The scope is missing in the entry or in the event.
    ScopeMissing,
    /// This attribute is missing in the event.
    AttributeMissing(Arc<str>),
    /// The entry has no severity and the list no default.
    SeverityMissing,
    /// The kind of the subject is not known.
    KindMissing,
    /// An objection against the entry is marked.
    ObjectionMarked,
    /// The entry has no end.
    NoEndDate,
    /// The entry was recorded after the event and never served.
    RecordedAfterEvent,
    /// The list is older than its freshness budget.
    ListStale,
    /// The row was recalled, not read, and no deployment has confirmed it.
    RecalledRow,
    /// Minor severity: at most `NOTICE`.
    MinorSeverity,
    /// The list's basis carries no more than `NOTICE` here.
    ListBelowLaw,
    /// The entry is recognised from another region by this agreement, within its limits.
    Agreement(Arc<str>),
    /// A third party decides for itself: at most `NOTICE`.
    ThirdParty,
    /// The row leaves the decision to its addressee: at most `NOTICE`.
    OwnDecision,
    /// Withheld: a usable entry on this list excludes the incentive.
    ExcludedBy(ListCode),
    /// Withheld: no valid identifier.
    SubjectUnverified,
    /// Withheld: the identifier is linked to no USCC.
    SubjectUnlinked,
    /// Withheld: this list is not loaded.
    ListNotLoaded(ListCode),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Discretion => f.write_str("discretion"),
            Self::Protected => f.write_str("protected"),
            Self::NameOnly => f.write_str("name_only"),
            Self::NameDiffers => f.write_str("name_differs"),
            Self::ConditionError => f.write_str("condition_error"),
            Self::ScopeMissing => f.write_str("scope_missing"),
            Self::AttributeMissing(name) => write!(f, "attribute_missing:{name}"),
            Self::SeverityMissing => f.write_str("severity_missing"),
            Self::KindMissing => f.write_str("kind_missing"),
            Self::ObjectionMarked => f.write_str("objection_marked"),
            Self::NoEndDate => f.write_str("no_end_date"),
            Self::RecordedAfterEvent => f.write_str("recorded_after_event"),
            Self::ListStale => f.write_str("list_stale"),
            Self::RecalledRow => f.write_str("recalled_row"),
            Self::MinorSeverity => f.write_str("minor_severity"),
            Self::ListBelowLaw => f.write_str("list_below_law"),
            Self::Agreement(id) => write!(f, "agreement:{id}"),
            Self::ThirdParty => f.write_str("third_party"),
            Self::OwnDecision => f.write_str("own_decision"),
            Self::ExcludedBy(list) => write!(f, "excluded_by:{list}"),
            Self::SubjectUnverified => f.write_str("subject_unverified"),
            Self::SubjectUnlinked => f.write_str("subject_unlinked"),
            Self::ListNotLoaded(list) => write!(f, "list_not_loaded:{list}"),
        }
    }
}

/// How a subject was found on an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// By the identifier of the listed subject, or an alias of it.
    Identifier,
    /// By its name.
    Name,
    /// As a relation of the listed subject in this role, by identifier.
    Related(Role),
}

impl Path {
    /// Whether the name alone made the hit.
    #[must_use]
    pub const fn by_name(self) -> bool {
        matches!(self, Self::Name)
    }

    /// The relation, when the subject is not the listed one.
    #[must_use]
    pub const fn relation(self) -> Option<Role> {
        match self {
            Self::Identifier | Self::Name => None,
            Self::Related(role) => Some(role),
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Identifier => f.write_str("identifier"),
            Self::Name => f.write_str("name"),
            Self::Related(role) => write!(f, "related:{role}"),
        }
    }
}

/// The entry on which a measure rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHit {
    /// Its id.
    pub entry_id: EntryId,
    /// Its list.
    pub list: ListCode,
    /// Number of the document that listed the subject.
    pub document_no: Option<Arc<str>>,
    /// How the subject was found.
    pub path: Path,
}

/// A penalty measure that matched.
#[derive(Debug, Clone)]
pub struct Triggered {
    /// The row.
    pub measure: Arc<Measure>,
    /// What it does here, after all limits.
    pub effect: Effect,
    /// Whether it applies now.
    pub contributes: Contribution,
    /// Why it is proposed or weakened.
    pub why: Vec<Why>,
    /// Weaker rows of the same item on the same entry; display only.
    pub also: Vec<MeasureId>,
    /// The entry, unless the row needs none.
    pub entry: Option<EntryHit>,
}

/// An incentive that is offered or withheld.
#[derive(Debug, Clone)]
pub struct Incentive {
    /// The row.
    pub measure: Arc<Measure>,
    /// Why it is withheld; empty when it is offered.
    pub withheld: Vec<Why>,
    /// The entry, unless the row needs none.
    pub entry: Option<EntryHit>,
}

/// An entry that was found and is not used, with the reason. For the journal, never for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Position of the subject in the event.
    pub subject: usize,
    /// The entry.
    pub entry_id: EntryId,
    /// Its list.
    pub list: ListCode,
    /// How the subject was found.
    pub path: Path,
    /// Why it is not used.
    pub reason: NotUsable,
}

/// What is decided for one subject.
#[derive(Debug, Clone)]
pub struct SubjectVerdict {
    /// Position of its party in [`Verdict::parties`].
    pub party: usize,
    /// Its role.
    pub role: Role,
    /// Its kind, as far as known.
    pub kind: Option<SubjectKind>,
    /// How well its identity is known.
    pub identity: Identity,
    /// The decision.
    pub decision: Decision,
    /// What must be known about it, in order.
    pub flags: Vec<Flag>,
    /// Penalties, by descending contribution then id then entry.
    pub triggered: Vec<Triggered>,
    /// Incentives offered, by id then entry.
    pub offered: Vec<Incentive>,
    /// Incentives withheld, by id then entry.
    pub withheld: Vec<Incentive>,
}

/// What is decided for one party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyVerdict {
    /// Its name; a lead-role subject without one is its own party, named by its position.
    pub party: PartyId,
    /// The decision.
    pub decision: Decision,
}

/// The answer for one event.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Names the decision slot.
    pub verdict_id: VerdictId,
    /// Digest of everything below except the engine version and `superseded_by`.
    pub digest: VerdictDigest,
    /// Source of the event.
    pub source: Source,
    /// Id of the event.
    pub event_id: EventId,
    /// Business number.
    pub case_id: CaseId,
    /// Scenario.
    pub scenario: ScenarioCode,
    /// Stage.
    pub stage: StageCode,
    /// What made the decision necessary.
    pub cause: Cause,
    /// Summary over the parties.
    pub decision: Decision,
    /// The parties, in order of their first subject.
    pub parties: Vec<PartyVerdict>,
    /// The subjects, in the order of the event.
    pub subjects: Vec<SubjectVerdict>,
    /// What must be known about the verdict, in order.
    pub flags: Vec<Flag>,
    /// Lists that were not checked, by code.
    pub not_checked: Vec<NotChecked>,
    /// Version of the lists.
    pub list_version: ListVersion,
    /// Oldest confirmation among the lists the stage needs.
    pub lists_as_of: Option<Time>,
    /// Age of that confirmation at `evaluated_at`, in milliseconds.
    pub list_age_ms: Option<i64>,
    /// Version of the book.
    pub book_version: BookVersion,
    /// Version of the deciding code.
    pub engine_version: &'static str,
    /// When the step took place.
    pub occurred_at: Time,
    /// When it was judged.
    pub evaluated_at: Time,
    /// The verdict this one takes the place of.
    pub supersedes: Option<VerdictId>,
    /// Entries found and not used; kept in the journal, in no answer and not in the digest.
    pub explanation: Vec<Explained>,
}

impl Verdict {
    /// The outcome of the event, a summary: clients read parties.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.decision.outcome()
    }
}
