//! Why each row of the book did or did not match: the decision told row by row.
//!
//! Nothing here decides. Rows are asked by the same functions as in [`super::decide`]; what a
//! verdict does not show, the rows that did not match, is shown with the first reason.

use std::sync::Arc;

use super::parties::Seats;
use super::setting::Setting;
use super::subject::{Hit, Known, NotUsed};
use super::{Question, incentives, penalties};
use crate::book::{Action, Book, Measure};
use crate::lists::Lists;
use crate::time::Time;
use crate::verdict::{EntryHit, Incentive, Triggered};
use crate::vocabulary::{NotUsable, Role};

/// What became of one row for one subject, on one entry where it needs one.
#[derive(Debug, Clone)]
pub struct RowExplained {
    /// Position of the subject in the event.
    pub subject: usize,
    /// The row.
    pub measure: Arc<Measure>,
    /// The entry that was looked at.
    pub entry: Option<EntryHit>,
    /// What became of it.
    pub because: Because,
}

/// What became of a row.
#[derive(Debug, Clone)]
pub enum Because {
    /// A penalty that matched, with what it contributes and why.
    Triggered(Triggered),
    /// An incentive that matched: offered, or withheld for the reasons it names.
    Incentive(Incentive),
    /// It did not match, for this reason before any other.
    NotMatched(NotMatched),
}

impl Because {
    /// Whether the row matched.
    #[must_use]
    pub const fn matched(&self) -> bool {
        !matches!(self, Self::NotMatched(_))
    }
}

/// Why a row does not match; what is asked first stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotMatched {
    /// It is not of the event's scenario.
    Scenario,
    /// It is not of the event's stage.
    Stage,
    /// It is inactive: not published as far as known, and no deployment has confirmed it.
    Inactive,
    /// It was not in force on the day of the event.
    Day,
    /// It was not in force on the day of the notice.
    NoticeDay,
    /// It holds in another region.
    Region,
    /// It rests on the notice of the event, and the event carries no `notice_no` and clause.
    NoticeNotCarried,
    /// The subject stands on none of its lists.
    NotListed,
    /// An entry on one of its lists was found and is not usable.
    NotUsable(NotUsable),
    /// It does not extend to this relation of the listed subject.
    Relation(Role),
    /// It is for other roles.
    Role,
    /// It is for other kinds of subject.
    Kind,
    /// It is for other severities.
    Severity,
    /// The entry's scope is another than the event's.
    Scope,
    /// Its condition does not hold.
    Condition,
}

impl NotMatched {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Stage => "stage",
            Self::Inactive => "inactive",
            Self::Day => "not_in_force",
            Self::NoticeDay => "not_in_force_at_notice",
            Self::Region => "region",
            Self::NoticeNotCarried => "notice_not_carried",
            Self::NotListed => "not_listed",
            Self::NotUsable(_) => "entry_not_usable",
            Self::Relation(_) => "relation",
            Self::Role => "role",
            Self::Kind => "kind",
            Self::Severity => "severity",
            Self::Scope => "scope",
            Self::Condition => "condition",
        }
    }
}

/// Tells of every row of the book, for each subject, whether it matched, and why not.
///
/// By subject, then in the order of the book's rows, then of the entries. What is told as matched
/// is what [`super::decide`] shows for the same arguments, `also` included.
#[must_use]
pub fn explain(question: Question<'_>, at: Time, lists: &Lists, book: &Book) -> Vec<RowExplained> {
    let event = question.event;
    let setting = Setting::of(question, at, lists, book);
    let seats = Seats::of(event);
    let mut told = Vec::new();
    for (index, given) in event.subjects.iter().enumerate() {
        let known = Known::of(given, &setting);
        let asked = Asked {
            subject: index,
            setting: &setting,
            lead_role: seats.lead_role(index, event),
            known: &known,
        };
        for row in book.measures() {
            asked.tell(row, &mut told);
        }
    }
    told
}

/// One subject, of which every row is asked.
struct Asked<'s, 'a> {
    subject: usize,
    setting: &'s Setting<'a>,
    lead_role: Option<Role>,
    known: &'s Known<'a>,
}

impl<'a> Asked<'_, 'a> {
    fn tell(&self, row: &Arc<Measure>, told: &mut Vec<RowExplained>) {
        if let Some(reason) = self.apart(row) {
            told.push(self.not_matched(row, None, reason));
            return;
        }
        if !row.needs_entry() {
            told.push(self.ask(row, None));
            return;
        }
        let before = told.len();
        let names = |list| row.lists.contains(list);
        let hits = self.known.hits.iter();
        let hits = hits.filter(|hit| names(&hit.list.code));
        told.extend(hits.map(|hit| self.ask(row, Some(hit))));
        let not_used = self.known.not_used.iter();
        let not_used = not_used.filter(|entry| names(&entry.list.code));
        told.extend(not_used.map(|entry| {
            let reason = NotMatched::NotUsable(entry.reason);
            self.not_matched(row, Some(unused_hit(entry)), reason)
        }));
        if told.len() == before {
            told.push(self.not_matched(row, None, NotMatched::NotListed));
        }
    }

    /// Why the row is not asked at all for this event.
    fn apart(&self, row: &Measure) -> Option<NotMatched> {
        let event = self.setting.event;
        let mut of_scenario = row
            .applies
            .iter()
            .filter(|(scenario, _)| *scenario == event.scenario)
            .peekable();
        if of_scenario.peek().is_none() {
            Some(NotMatched::Scenario)
        } else if !of_scenario.any(|(_, stages)| stages.contains(&event.stage)) {
            Some(NotMatched::Stage)
        } else if !row.active {
            Some(NotMatched::Inactive)
        } else {
            super::matching::apart(row, self.setting)
        }
    }

    fn ask(&self, row: &Arc<Measure>, hit: Option<&Hit<'a>>) -> RowExplained {
        let (setting, known, lead_role) = (self.setting, self.known, self.lead_role);
        let asked = match row.action {
            Action::Penalty(effect) => {
                penalties::weigh(row, effect, setting, known, lead_role, hit)
                    .map(|weighed| Because::Triggered(weighed.shown(row, hit)))
            }
            Action::Incentive(_) => {
                incentives::weigh(row, setting, known, lead_role, hit).map(Because::Incentive)
            }
        };
        RowExplained {
            subject: self.subject,
            measure: Arc::clone(row),
            entry: hit.map(penalties::entry_hit),
            because: asked.unwrap_or_else(Because::NotMatched),
        }
    }

    fn not_matched(
        &self,
        row: &Arc<Measure>,
        entry: Option<EntryHit>,
        reason: NotMatched,
    ) -> RowExplained {
        RowExplained {
            subject: self.subject,
            measure: Arc::clone(row),
            entry,
            because: Because::NotMatched(reason),
        }
    }
}

fn unused_hit(entry: &NotUsed<'_>) -> EntryHit {
    EntryHit {
        entry_id: entry.entry_id.into(),
        list: entry.list.code.clone(),
        document_no: None,
        path: entry.path,
    }
}
