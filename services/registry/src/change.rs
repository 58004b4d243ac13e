//! One change as it is asked for: its form checked, nothing looked up yet.

use creditgate_measures::event::{EntryId, ListCode};
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::State;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::{EntryDraft, Refused, v1};

use crate::life::{self, ABSENT_FROM_SOURCE};

const TEXT_CHARS_MAX: usize = 512;
const PROSE_CHARS_MAX: usize = 4_096;

/// A change of the lists.
#[derive(Debug, Clone)]
pub enum Change {
    /// Another state of an entry.
    State {
        /// The entry.
        entry_id: EntryId,
        /// The new state.
        to: State,
        /// When it takes effect; none: now.
        effective_at: Option<Time>,
        /// Document that orders it.
        document_no: String,
        /// Why.
        reason: String,
    },
    /// A new entry, or a correction of a known one.
    Put {
        /// The entry in full.
        draft: Box<EntryDraft>,
        /// Why.
        reason: String,
    },
    /// An objection marked or cleared.
    Objection {
        /// The entry.
        entry_id: EntryId,
        /// Marked, or cleared.
        marked: bool,
        /// Why.
        reason: String,
    },
    /// A source confirms a list.
    Confirm {
        /// The list.
        list: ListCode,
        /// As of when; none: now.
        at: Option<Time>,
        /// Who confirms it.
        source_unit: String,
    },
}

impl Change {
    /// The entry it speaks of.
    #[must_use]
    pub fn entry_id(&self) -> Option<&EntryId> {
        match self {
            Self::State { entry_id, .. } | Self::Objection { entry_id, .. } => Some(entry_id),
            Self::Put { draft, .. } => Some(&draft.entry_id),
            Self::Confirm { .. } => None,
        }
    }

    /// The change that a request asks for.
    ///
    /// # Errors
    /// When the request breaks a rule of its form.
    pub fn from_proto(request: v1::ApplyRequest) -> Result<Self, Refused> {
        use v1::apply_request::Change as Asked;
        match request.change {
            None => Err(Refused::one("change", "required: say what to change")),
            Some(Asked::ChangeState(asked)) => {
                if asked.reason.trim() == ABSENT_FROM_SOURCE {
                    let rule = "`absent_from_source` is what a full import writes; give a reason";
                    return Err(Refused::one("change_state.reason", rule));
                }
                Ok(Self::State {
                    entry_id: entry_id("change_state.entry_id", &asked.entry_id)?,
                    to: State::parse(&asked.to).ok_or_else(|| {
                        let known: Vec<_> = State::ALL.iter().map(|state| state.code()).collect();
                        let rule = format!("unknown state; known: {}", known.join(", "));
                        Refused::one("change_state.to", rule)
                    })?,
                    effective_at: time("change_state.effective_at", asked.effective_at)?,
                    document_no: told(
                        "change_state.document_no",
                        asked.document_no,
                        TEXT_CHARS_MAX,
                        "the number of the document that orders it",
                    )?,
                    reason: told("change_state.reason", asked.reason, PROSE_CHARS_MAX, "why")?,
                })
            }
            Some(Asked::Put(asked)) => {
                let entry = asked
                    .entry
                    .ok_or_else(|| Refused::one("put.entry", "required"))?;
                let draft = life::draft(&entry).map_err(|mut refused| {
                    for violation in &mut refused.violations {
                        violation.field.insert_str(0, "put.entry.");
                    }
                    refused
                })?;
                Ok(Self::Put {
                    draft: Box::new(draft),
                    reason: text("put.reason", asked.reason, PROSE_CHARS_MAX)?,
                })
            }
            Some(Asked::MarkObjection(asked)) => Ok(Self::Objection {
                entry_id: entry_id("mark_objection.entry_id", &asked.entry_id)?,
                marked: asked.marked,
                reason: told(
                    "mark_objection.reason",
                    asked.reason,
                    PROSE_CHARS_MAX,
                    "why",
                )?,
            }),
            Some(Asked::Confirm(asked)) => Ok(Self::Confirm {
                list: ListCode::new(asked.list),
                at: time("confirm.at", asked.at)?,
                source_unit: text("confirm.source_unit", asked.source_unit, TEXT_CHARS_MAX)?,
            }),
        }
    }
}

/// A stamp as a moment; absent stays absent.
///
/// # Errors
/// When it is no moment.
pub fn time(field: &str, stamp: Option<pbjson_types::Timestamp>) -> Result<Option<Time>, Refused> {
    stamp
        .map(|stamp| {
            time_from_proto(&stamp)
                .filter(|time| (1_900..=9_999).contains(&time.date().year()))
                .ok_or_else(|| Refused::one(field, "expected a time in the years 1900 to 9999"))
        })
        .transpose()
}

fn entry_id(field: &str, id: &str) -> Result<EntryId, Refused> {
    if id.trim().is_empty() {
        return Err(Refused::one(field, "required"));
    }
    Ok(EntryId::new(id))
}

/// What an official decides is told with its document and its reason (specification, 3).
fn told(field: &str, told: String, chars_max: usize, ask: &str) -> Result<String, Refused> {
    if told.trim().is_empty() {
        return Err(Refused::one(field, format!("required: say {ask}")));
    }
    text(field, told, chars_max)
}

fn text(field: &str, text: String, chars_max: usize) -> Result<String, Refused> {
    if text.chars().count() > chars_max {
        let rule = format!("at most {chars_max} characters");
        return Err(Refused::one(field, rule));
    }
    Ok(text)
}
