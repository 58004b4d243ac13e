//! Limits of procedures: within how many days what is to be done (DP-15, DP-19, DP-20).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calendar::DayUnit;
use crate::book::{Basis, Book, List, RepairRule};
use crate::entry::Entry;
use crate::time::Date;
use crate::vocabulary::{Confidence, vocabulary};

vocabulary! {
    /// A procedure around an entry that has limits.
    Procedure {
        /// 异议.
        Objection = "objection",
        /// 信用修复.
        Repair = "repair",
        /// 撤销后的删除.
        Deletion = "deletion",
        /// 约谈.
        Talk = "talk",
        /// 信用承诺.
        Commitment = "commitment",
    }
}

/// In [`Limit::counted_from`]: the day on which the procedure was opened.
pub const OPENED: &str = "opened";

/// In [`Limit::basis`]: no law sets the limit, this system does.
pub const NO_LAW: &str = "本系统缺省值，无法定时限";

/// A limit of one step of a procedure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Code of the step, such as `accept`.
    pub step: Arc<str>,
    /// What is to be done.
    pub title_zh: Arc<str>,
    /// The same in English.
    pub title_en: Arc<str>,
    /// How many days; at least one.
    pub days: u16,
    /// In what they are counted.
    pub unit: DayUnit,
    /// From which day: [`OPENED`], or the code of an earlier step of the procedure, for the day on
    /// which that was done.
    pub counted_from: Arc<str>,
    /// Where it stands, in words; [`NO_LAW`] for a time of work that no law sets.
    pub basis: Arc<str>,
    /// Where it stands.
    pub law: Option<Basis>,
    /// It fills a gap: the basis does not bind everywhere, or there is none. To be shown as such.
    pub is_default: bool,
    /// How sure we are of it.
    pub confidence: Confidence,
}

/// The limits that a rule sets, by procedure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    pub(crate) by_procedure: Vec<(Procedure, Vec<Limit>)>,
}

impl Limits {
    /// Those of this procedure; empty when the rule sets none.
    #[must_use]
    pub fn of(&self, procedure: Procedure) -> &[Limit] {
        self.by_procedure
            .iter()
            .find(|(known, _)| *known == procedure)
            .map_or(&[], |(_, limits)| limits.as_slice())
    }

    /// Every limit with its procedure.
    pub fn iter(&self) -> impl Iterator<Item = (Procedure, &Limit)> {
        let all = self.by_procedure.iter();
        all.flat_map(|(procedure, limits)| limits.iter().map(|limit| (*procedure, limit)))
    }
}

/// The rule on repair that governs an entry: the version it names, else the general one in force on
/// the day of its decision.
#[must_use]
pub fn rule_of<'a>(entry: &Entry, book: &'a Book) -> Option<&'a RepairRule> {
    let named = entry.rule_version.as_deref();
    named
        .and_then(|version| book.rule(version))
        .or_else(|| book.general_rule(entry.valid_from.date()))
}

/// The limits of a procedure, by its code: those of the rule version that the entry names, else of a
/// rule of its list in force at `on`, else of the general rule in force at `on`. The first of these
/// that sets any counts; empty when none does, and for an unknown procedure.
///
/// `on` is the day on which the procedure is opened.
#[must_use]
pub fn limits<'a>(
    procedure: &str,
    list: Option<&List>,
    rule_version: Option<&str>,
    on: Date,
    book: &'a Book,
) -> &'a [Limit] {
    Procedure::parse(procedure)
        .and_then(|procedure| set_by(procedure, list, rule_version, on, book))
        .map_or(&[], |(_, limits)| limits)
}

/// As [`limits`], with the rule that sets them.
#[must_use]
pub fn set_by<'a>(
    procedure: Procedure,
    list: Option<&List>,
    rule_version: Option<&str>,
    on: Date,
    book: &'a Book,
) -> Option<(&'a RepairRule, &'a [Limit])> {
    let named = rule_version.and_then(|version| book.rule(version));
    let of_list = list.into_iter().flat_map(|list| &list.repair);
    let of_list = of_list
        .filter_map(|(version, _)| book.rule(version))
        .filter(|rule| rule.in_force_on(on));
    named
        .into_iter()
        .chain(of_list)
        .chain(book.general_rule(on))
        .map(|rule| (rule, rule.limits.of(procedure)))
        .find(|(_, limits)| !limits.is_empty())
}
