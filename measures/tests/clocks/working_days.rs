//! Working days, by the calendars of the catalogue.

use creditgate_measures::clocks::{CalendarUse, DayUnit};
use creditgate_measures::time::Date;

use crate::BOOK;
use crate::support::day;

/// The last day of a limit of so many working days.
#[track_caller]
fn check(from: &str, days: u16, expected: &str, used: CalendarUse) {
    let (last, how) = BOOK.calendar().add_working_days(day(from), days);
    assert_eq!((last.to_string().as_str(), how), (expected, used));
}

#[test]
fn the_national_day_of_2026_lies_between() {
    // Wednesday; 1 to 7 October are off, Saturday the 10th is worked.
    check("2026-09-30", 1, "2026-10-08", CalendarUse::Declared);
    check("2026-09-30", 2, "2026-10-09", CalendarUse::Declared);
    check("2026-09-30", 3, "2026-10-10", CalendarUse::Declared);
    check("2026-09-30", 4, "2026-10-12", CalendarUse::Declared);
    // Mid-Autumn: Friday the 25th is off, Sunday the 20th was worked.
    check("2026-09-18", 1, "2026-09-20", CalendarUse::Declared);
    check("2026-09-24", 1, "2026-09-28", CalendarUse::Declared);
}

#[test]
fn the_spring_festival_of_both_years() {
    check("2026-02-13", 1, "2026-02-14", CalendarUse::Declared);
    check("2026-02-13", 2, "2026-02-24", CalendarUse::Declared);
    check("2026-02-27", 1, "2026-02-28", CalendarUse::Declared);
    check("2025-01-25", 1, "2025-01-26", CalendarUse::Declared);
    check("2025-01-27", 1, "2025-02-05", CalendarUse::Declared);
}

#[test]
fn a_limit_goes_over_the_end_of_a_declared_year() {
    // 1 to 3 January are off, Sunday the 4th is worked.
    check("2025-12-31", 1, "2026-01-04", CalendarUse::Declared);
    check("2025-12-30", 2, "2026-01-04", CalendarUse::Declared);
}

#[test]
fn a_year_without_calendar_knows_weekends_only_and_says_so() {
    // 1 January 2027 is a Friday, and no doubt a holiday; the book does not know it.
    check("2026-12-31", 1, "2027-01-01", CalendarUse::Undeclared);
    check("2026-12-30", 1, "2026-12-31", CalendarUse::Declared);
    check("2027-01-01", 1, "2027-01-04", CalendarUse::Undeclared);
    check("2024-12-31", 2, "2025-01-03", CalendarUse::Declared);
    check("2024-12-30", 2, "2025-01-02", CalendarUse::Undeclared);
    let told = BOOK.calendar().is_working_day(day("2027-10-01"));
    assert!(told.working && !told.declared);
}

#[test]
fn the_day_itself_is_not_counted() {
    check("2026-06-01", 0, "2026-06-01", CalendarUse::None);
    check("2026-06-01", 1, "2026-06-02", CalendarUse::Declared);
    // From a Saturday: Monday is the first.
    check("2026-06-06", 1, "2026-06-08", CalendarUse::Declared);
}

#[test]
fn calendar_days_ask_no_calendar() {
    let (last, used) = BOOK.calendar().add(day("2026-09-30"), 7, DayUnit::Calendar);
    assert_eq!((last, used), (day("2026-10-07"), CalendarUse::None));
}

#[test]
fn nothing_is_counted_beyond_what_can_be_written_down() {
    let last = Date::from_days(i32::MAX);
    let (day, _) = BOOK.calendar().add_working_days(last, u16::MAX);
    assert_eq!(day, last);
    let (day, _) = BOOK
        .calendar()
        .add_working_days(Date::from_days(i32::MIN), u16::MAX);
    assert!(day > Date::from_days(i32::MIN));
}

/// The figure that offices count with, against a slip in a day.
#[test]
fn each_year_has_the_known_number_of_working_days() {
    let years = BOOK.calendar().years();
    let counted: Vec<(i32, usize)> = years.map(|year| (year.year, year.working_days())).collect();
    assert_eq!(counted, [(2025, 248), (2026, 248)]);
}
