//! Working days: which days are worked in the mainland, as the State Council's notices declare them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::book::{Basis, Text};
use crate::time::Date;
use crate::vocabulary::{Confidence, vocabulary};

vocabulary! {
    /// In what the days of a limit are counted.
    DayUnit {
        /// 工作日.
        Working = "working",
        /// 自然日.
        Calendar = "calendar",
    }
}

impl DayUnit {
    /// As a notice writes it after the number.
    #[must_use]
    pub const fn title_zh(self) -> &'static str {
        match self {
            Self::Working => "个工作日",
            Self::Calendar => "日",
        }
    }
}

vocabulary! {
    /// Whether a day was counted by a declared calendar.
    CalendarUse {
        /// Every year it went through is declared.
        Declared = "declared",
        /// It went through a year that the book has no calendar for: Saturdays and Sundays only
        /// were taken as days off, and this is to be shown.
        Undeclared = "undeclared",
        /// No working days were counted.
        None = "none",
    }
}

/// The working calendar of the years that a book declares.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    years: BTreeMap<i32, CalendarYear>,
}

/// The working calendar of one year.
#[derive(Debug, Clone)]
pub struct CalendarYear {
    /// The year.
    pub year: i32,
    /// Title of the notice.
    pub title: Text,
    /// Where it stands.
    pub basis: Basis,
    /// Its holidays: name, first and last day.
    pub holidays: Vec<(Text, Date, Date)>,
    /// Every day off that a holiday names, Saturdays and Sundays within it included.
    pub off: BTreeSet<Date>,
    /// Saturdays and Sundays that are worked.
    pub works: BTreeSet<Date>,
    /// How sure we are of it.
    pub confidence: Confidence,
}

impl CalendarYear {
    /// Whether this day of the year is a working day.
    #[must_use]
    pub fn works_on(&self, day: Date) -> bool {
        self.works.contains(&day) || !(is_weekend(day) || self.off.contains(&day))
    }

    /// How many working days the year has: a figure that a person can compare.
    #[must_use]
    pub fn working_days(&self) -> usize {
        let bounds = Date::from_ymd(self.year, 1, 1).zip(Date::from_ymd(self.year, 12, 31));
        bounds.map_or(0, |(first, last)| {
            (first.days()..=last.days())
                .filter(|day| self.works_on(Date::from_days(*day)))
                .count()
        })
    }
}

/// What the calendar says of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalendarDay {
    /// Whether it is a working day.
    pub working: bool,
    /// Whether its year is declared; else only Saturdays and Sundays are days off.
    pub declared: bool,
}

impl Calendar {
    /// Of these years; of two calendars of one year the later counts.
    pub(crate) fn of(years: impl IntoIterator<Item = CalendarYear>) -> Self {
        Self {
            years: years.into_iter().map(|year| (year.year, year)).collect(),
        }
    }

    /// The years it declares, in order.
    pub fn years(&self) -> impl Iterator<Item = &CalendarYear> {
        self.years.values()
    }

    /// Whether this is a working day.
    #[must_use]
    pub fn is_working_day(&self, day: Date) -> CalendarDay {
        match self.years.get(&day.year()) {
            Some(year) => CalendarDay {
                working: year.works_on(day),
                declared: true,
            },
            None => CalendarDay {
                working: !is_weekend(day),
                declared: false,
            },
        }
    }

    /// The `days`-th working day after `from`, which is not counted itself.
    ///
    /// No days give `from` back and count nothing.
    #[must_use]
    pub fn add_working_days(&self, from: Date, days: u16) -> (Date, CalendarUse) {
        let (mut day, mut left) = (from, days);
        let mut used = CalendarUse::None;
        while left > 0 {
            let next = day.next_day();
            if next == day {
                // The last day that can be written down: nothing comes after it.
                break;
            }
            day = next;
            let on = self.is_working_day(day);
            left -= u16::from(on.working);
            used = match (used, on.declared) {
                (CalendarUse::Undeclared, _) | (_, false) => CalendarUse::Undeclared,
                (_, true) => CalendarUse::Declared,
            };
        }
        (day, used)
    }

    /// The last day of a limit of so many days in this unit; `from` is not counted.
    #[must_use]
    pub fn add(&self, from: Date, days: u16, unit: DayUnit) -> (Date, CalendarUse) {
        match unit {
            DayUnit::Working => self.add_working_days(from, days),
            DayUnit::Calendar => (from.plus_days(i32::from(days)), CalendarUse::None),
        }
    }
}

/// Whether it is a Saturday or a Sunday.
pub(crate) const fn is_weekend(day: Date) -> bool {
    // 1970-01-01, day 0, was a Thursday.
    matches!(day.days().rem_euclid(7), 2 | 3)
}
