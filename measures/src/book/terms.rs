//! What a row asks of day, place, subject and entry, as a few numbers.
//!
//! A book has thousands of rows, of which few fit one subject of one event. Their terms lie side by side, so that a row
//! that does not fit is passed by without being read. Whether a row matches, and why not, is told by the row itself.

use std::sync::Arc;

use super::Measure;
use crate::event::Region;
use crate::time::Date;
use crate::vocabulary::{Role, Severity, SubjectKind};

/// A row laid out for the decision.
#[derive(Debug, Clone)]
pub(crate) struct StageRow {
    /// What can be asked of it without reading it.
    pub terms: Terms,
    /// Its place among the rows of the book: by id, then first day.
    pub place: usize,
    /// The number of its national item, the same for all rows of a stage that name it.
    pub item: Option<usize>,
    /// All of it.
    pub measure: Arc<Measure>,
}

/// What a row asks; see the module. A set of words is a bit for each; a row that names none takes every one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    from: i32,
    to: i32,
    region: Region,
    roles: u16,
    extends_to: u16,
    kinds: u16,
    severities: u16,
}

/// What of an event, a subject and an entry the terms of a row are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// The first and the last of the days on which the row must have been in force.
    pub days: (Date, Date),
    /// Where the event takes place.
    pub region: Region,
    /// The roles in which the subject is judged.
    pub roles: u16,
    /// The relation through which it is reached, when it is not the listed one; then roles and kinds are not asked.
    pub relation: u16,
    /// Its kind.
    pub kinds: u16,
    /// The severity of the entry.
    pub severities: u16,
}

/// Takes every row: what is not known, or not asked for.
pub(crate) const ANY: u16 = u16::MAX;

const _: () = assert!(
    Role::ALL.len() <= 16 && SubjectKind::ALL.len() <= 16 && Severity::ALL.len() <= 16,
    "a set of words has sixteen bits"
);

macro_rules! bits {
    ($($bit:ident of $word:ty),+) => {
        $(
            /// The word as a set of one.
            pub(crate) const fn $bit(word: $word) -> u16 {
                1 << word as u16
            }
        )+
    };
}
bits!(role of Role, kind of SubjectKind, severity of Severity);

/// The words as a set.
fn set<T: Copy>(words: &[T], bit: impl Fn(T) -> u16) -> u16 {
    words.iter().fold(0, |set, word| set | bit(*word))
}

/// The words as a set; no word at all stands for every one.
fn set_or_any<T: Copy>(words: &[T], bit: impl Fn(T) -> u16) -> u16 {
    if words.is_empty() {
        ANY
    } else {
        set(words, bit)
    }
}

impl Terms {
    /// The terms of a row.
    pub fn of(row: &Measure) -> Self {
        Self {
            from: row.effective_from.map_or(i32::MIN, Date::days),
            to: row.effective_to.map_or(i32::MAX, Date::days),
            region: row.region.unwrap_or(Region::NATION),
            roles: set_or_any(&row.roles, role),
            extends_to: set(&row.extends_to, role),
            kinds: set_or_any(&row.kinds, kind),
            severities: set_or_any(&row.severities, severity),
        }
    }

    /// Whether the row can match; where not, it does not.
    pub fn allow(&self, asked: &Asked) -> bool {
        let in_force = self.from <= asked.days.0.days() && asked.days.1.days() <= self.to;
        let subject = if asked.relation == 0 {
            (self.roles & asked.roles != 0) & (self.kinds & asked.kinds != 0)
        } else {
            self.extends_to & asked.relation != 0
        };
        (in_force & subject & (self.severities & asked.severities != 0))
            && self.region.contains(asked.region)
    }
}
