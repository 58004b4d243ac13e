//! Working calendars of the book, one file a year.

use std::collections::BTreeSet;

use super::super::guards;
use super::super::source::CalendarFile;
use super::{Loader, Place, SourceFile, line};
use crate::clocks::calendar::{Calendar, CalendarYear, is_weekend};
use crate::time::Date;

/// Days of the longest holiday that is believed; a slip in a year would else name thousands.
const HOLIDAY_DAYS_MAX: i32 = 31;

/// Years that a calendar may be of.
const YEARS: std::ops::RangeInclusive<i32> = 1949..=9999;

impl Loader {
    pub(super) fn load_calendar<'f>(
        &mut self,
        files: impl Iterator<Item = &'f SourceFile>,
    ) -> Calendar {
        let mut years: Vec<CalendarYear> = Vec::new();
        for file in files {
            let Some(parsed) = self.parse::<CalendarFile>(file) else {
                continue;
            };
            let subject = parsed.year.value.to_string();
            let place = Place {
                file: &file.path,
                subject: &subject,
            };
            let Some(year) = self.calendar_year(place, &parsed) else {
                continue;
            };
            if years.iter().any(|other| other.year == year.year) {
                self.refuse(
                    place,
                    line(&parsed.year),
                    "the year has two calendars",
                    "remove one",
                );
            }
            years.push(year);
        }
        Calendar::of(years)
    }

    fn calendar_year(&mut self, place: Place<'_>, source: &CalendarFile) -> Option<CalendarYear> {
        let texts = [
            (
                "title",
                vec![source.title.zh.as_str(), source.title.en.as_str()],
            ),
            ("law", vec![source.basis.law.as_str()]),
        ];
        for (rule, mend) in guards::blank(texts) {
            self.guard(place, line(&source.year), rule, mend);
        }
        if !YEARS.contains(&source.year.value) {
            self.guard(
                place,
                line(&source.year),
                "the year is out of range",
                "write a year from 1949 to 9999",
            );
        }
        let mut seen = BTreeSet::new();
        let mut off = BTreeSet::new();
        let mut holidays = Vec::new();
        for spanned in &source.off {
            let holiday = &spanned.value;
            let (from, to) = (holiday.from.0, holiday.to.0);
            let days = from.days()..=to.days();
            if from > to || to.days().saturating_sub(from.days()) >= HOLIDAY_DAYS_MAX {
                self.guard(
                    place,
                    line(spanned),
                    "the holiday ends before it begins, or lasts longer than a month",
                    "mend `from` or `to`",
                );
                continue;
            }
            let days: Vec<Date> = days.map(Date::from_days).collect();
            if days.iter().all(|day| is_weekend(*day)) {
                self.guard(
                    place,
                    line(spanned),
                    "the holiday has no day off besides Saturday and Sunday",
                    "mend its days, or remove it",
                );
            }
            for day in days {
                self.calendar_day(place, line(spanned), source.year.value, day, &mut seen);
                off.insert(day);
            }
            holidays.push((holiday.title.clone(), from, to));
        }
        let mut works = BTreeSet::new();
        for spanned in &source.works {
            let day = spanned.value.0;
            if !is_weekend(day) {
                self.guard(
                    place,
                    line(spanned),
                    format!("`{day}` is neither a Saturday nor a Sunday: it is worked in any case"),
                    "mend the day, or remove it",
                );
            }
            self.calendar_day(place, line(spanned), source.year.value, day, &mut seen);
            works.insert(day);
        }
        let basis = self.basis(place, &source.basis)?;
        Some(CalendarYear {
            year: source.year.value,
            title: source.title.clone(),
            basis,
            holidays,
            off,
            works,
            confidence: self.confidence(place, &source.confidence),
        })
    }

    /// A day belongs to its year and stands once.
    fn calendar_day(
        &mut self,
        place: Place<'_>,
        line: u64,
        year: i32,
        day: Date,
        seen: &mut BTreeSet<Date>,
    ) {
        if day.year() != year {
            self.guard(
                place,
                line,
                format!("`{day}` is not a day of {year}"),
                "write it into the calendar of its year",
            );
        }
        if !seen.insert(day) {
            self.guard(
                place,
                line,
                format!("`{day}` stands twice"),
                "say of a day once whether it is off or worked",
            );
        }
    }
}
