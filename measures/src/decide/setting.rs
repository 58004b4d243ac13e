//! What holds for the whole event: its stage, its day, and which lists could be asked.

use std::cell::OnceCell;

use smallvec::SmallVec;

use crate::book::{Book, List, Measure, Scenario, Signing, Stage};
use crate::condition::Record;
use crate::decide::{NotMatched, Question};
use crate::event::{Event, ListCode, Region};
use crate::lists::{Lists, is_ahead};
use crate::time::{Date, Time};
use crate::verdict::{Flag, NotChecked, NotCheckedWhy};
use crate::vocabulary::Actor;

/// Seconds after which an event is late (spec 7).
const LATE_AFTER_SECONDS: i64 = 24 * 3_600;

/// What holds for the whole event.
pub(super) struct Setting<'a> {
    pub event: &'a Event,
    pub at: Time,
    pub lists: &'a Lists,
    pub book: &'a Book,
    pub scenario: Option<&'a Scenario>,
    pub stage: Option<&'a Stage>,
    /// Day of the event.
    pub day: Date,
    /// Day of the notice, in scenarios that follow one.
    pub notice_day: Option<Date>,
    /// A third party decides for itself: at most `NOTICE`, never review.
    pub third_party: bool,
    pub may_review: bool,
    /// Every subject needs review, for the reasons below.
    pub review: bool,
    pub flags: Vec<Flag>,
    pub not_checked: Vec<NotChecked>,
    pub lists_as_of: Option<Time>,
    stale: SmallVec<[&'a ListCode; 2]>,
    pub record: OnceCell<Record<'a>>,
}

/// Whether a list can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Confirmed at this instant, within its budget.
    Fresh(Time),
    /// Confirmed at this instant, longer ago than its budget.
    Stale(Time),
    /// Never delivered.
    NotLoaded,
}

impl<'a> Setting<'a> {
    pub fn of(question: Question<'a>, at: Time, lists: &'a Lists, book: &'a Book) -> Self {
        let event = question.event;
        let scenario = book.scenario(event.scenario.as_str());
        let stage = scenario.and_then(|scenario| scenario.stage(event.stage.as_str()));
        let third_party = scenario.is_some_and(|scenario| scenario.actor == Actor::ThirdParty);
        let mut setting = Self {
            event,
            at,
            lists,
            book,
            scenario,
            stage,
            day: event.occurred_at.date(),
            notice_day: scenario
                .filter(|scenario| scenario.follows_notice())
                .and_then(|_| event.text("notice_published_at"))
                .and_then(|text| Date::parse(text).ok()),
            third_party,
            may_review: !third_party,
            review: false,
            flags: Vec::new(),
            not_checked: Vec::new(),
            lists_as_of: None,
            stale: SmallVec::new(),
            record: OnceCell::new(),
        };
        setting.look_at_time();
        if *book.signing() == Signing::Unsigned {
            setting.flags.push(Flag::BookUnsigned);
        }
        if question.lists_behind {
            setting.demand_review(Flag::ListsBehind);
        }
        match stage {
            None => setting.demand_review(Flag::ScenarioUnknown),
            Some(stage) => setting.look_at_stage(stage),
        }
        setting.flags.sort_unstable();
        setting
    }

    fn demand_review(&mut self, flag: Flag) {
        self.flags.push(flag);
        self.review = true;
    }

    fn look_at_time(&mut self) {
        if self.at.since(self.event.occurred_at) > LATE_AFTER_SECONDS * 1_000_000 {
            self.flags.push(Flag::Late);
        }
        if self.day < self.book.covers_from() {
            self.demand_review(Flag::BeforeCoversFrom);
        }
    }

    fn look_at_stage(&mut self, stage: &'a Stage) {
        if stage.decisive && stage.rows.inactive_penalties && !stage.rows.active_penalties {
            self.demand_review(Flag::RowsInactive);
        }
        for (list, rows) in &stage.rows.needs {
            if rows.iter().any(|row| self.could_apply(row)) {
                self.need(list);
            }
        }
    }

    /// Looks at a list that the stage needs (spec 6).
    fn need(&mut self, list: &'a List) {
        let code = &list.code;
        let why = if let Some(reason) = self.book.not_connected(code) {
            NotCheckedWhy::NotConnected(reason.clone())
        } else {
            match self.readiness_within(code, list.freshness_budget_micros) {
                Readiness::Fresh(confirmed) => return self.know_as_of(confirmed),
                Readiness::Stale(confirmed) => {
                    self.know_as_of(confirmed);
                    self.stale.push(code);
                    if !self.flags.contains(&Flag::ListsStale) {
                        self.demand_review(Flag::ListsStale);
                    }
                    NotCheckedWhy::Stale
                }
                Readiness::NotLoaded => {
                    self.review = true;
                    NotCheckedWhy::NotLoaded
                }
            }
        };
        self.not_checked.push(NotChecked {
            list: code.clone(),
            why,
        });
    }

    fn know_as_of(&mut self, confirmed: Time) {
        self.lists_as_of = Some(
            self.lists_as_of
                .map_or(confirmed, |oldest| oldest.min(confirmed)),
        );
    }

    /// Whether the list can be asked.
    pub fn readiness(&self, code: &ListCode) -> Readiness {
        let budget = self
            .book
            .list(code.as_str())
            .map_or(0, |list| list.freshness_budget_micros);
        self.readiness_within(code, budget)
    }

    /// As [`Setting::readiness`], of a list of this freshness budget in microseconds.
    fn readiness_within(&self, code: &ListCode, budget: i64) -> Readiness {
        match self.lists.confirmed_at(code.as_str()) {
            None => Readiness::NotLoaded,
            Some(confirmed) if is_ahead(confirmed, self.at) => Readiness::Stale(confirmed),
            Some(confirmed) if self.at.since(confirmed) > budget => Readiness::Stale(confirmed),
            Some(confirmed) => Readiness::Fresh(confirmed),
        }
    }

    /// Whether this stage needs the list and it is older than its budget.
    pub fn is_needed_and_stale(&self, list: &List) -> bool {
        self.stale.contains(&&list.code)
    }

    /// Whether the row could apply to some subject of this event: its days and its region fit.
    pub fn could_apply(&self, row: &Measure) -> bool {
        self.apart(row).is_none()
    }

    /// Why the row cannot apply to any subject of this event, by its days and its region.
    pub fn apart(&self, row: &Measure) -> Option<NotMatched> {
        let elsewhere = |region: Region| !region.contains(self.event.region);
        if !row.in_force_on(self.day) {
            Some(NotMatched::Day)
        } else if self.notice_day.is_some_and(|day| !row.in_force_on(day)) {
            Some(NotMatched::NoticeDay)
        } else if row.region.is_some_and(elsewhere) {
            Some(NotMatched::Region)
        } else {
            None
        }
    }
}
