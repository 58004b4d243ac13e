//! The limits that run in a procedure: as the book sets them, counted when a step is recorded.

use creditgate_measures::book::Book;
use creditgate_measures::clocks::{OPENED, limits};
use creditgate_measures::time::Date;
use creditgate_proto::v1;

use super::table::{Kind, Step};

/// A commitment is to be kept by its day; the book knows no such limit.
const KEEP: &str = "keep";

/// In the book, that a talk is held.
const HOLD: &str = "hold";

/// What limits are counted from.
pub struct Course<'a> {
    /// What the procedure is about.
    pub kind: Kind,
    /// Code of the entry's list.
    pub list: &'a str,
    /// Version of the rules that the entry names.
    pub rule_version: Option<&'a str>,
    /// Last day of a commitment.
    pub until: Option<Date>,
    /// The day on which a talk is to be held.
    pub held_on: Option<Date>,
    /// The steps taken, with the day of each; the first one opened it.
    pub steps: &'a [(Step, Date)],
}

/// The limits that run after the last of the steps.
pub fn running(course: &Course<'_>, book: &Book) -> Vec<v1::Deadline> {
    let Some((_, opened)) = course.steps.first() else {
        return Vec::new();
    };
    let list = book.list(course.list).map(AsRef::as_ref);
    let ended = |code: &str| {
        let mut steps = course.steps.iter();
        steps.any(|(step, _)| step.ends_limits().contains(&code))
    };
    let of_book = limits(
        course.kind.in_book().code(),
        list,
        course.rule_version,
        *opened,
        book,
    );
    let counted = of_book
        .iter()
        .filter(|limit| !ended(&limit.step))
        .filter_map(|limit| {
            let from = from_day(&limit.counted_from, course)?;
            let (day, calendar) = book.calendar().add(from, limit.days, limit.unit);
            Some(v1::Deadline {
                step: limit.step.to_string(),
                title: limit.title_zh.to_string(),
                day: day.to_string(),
                counted_from: from.to_string(),
                days: u32::from(limit.days),
                unit: limit.unit.code().to_owned(),
                calendar: calendar.code().to_owned(),
                basis: limit.basis.to_string(),
                is_default: limit.is_default,
            })
        });
    let kept = course.until.map(|until| v1::Deadline {
        step: KEEP.to_owned(),
        title: "履行承诺".to_owned(),
        day: until.to_string(),
        counted_from: opened.to_string(),
        unit: "calendar".to_owned(),
        calendar: "none".to_owned(),
        ..v1::Deadline::default()
    });
    kept.into_iter().chain(counted).collect()
}

/// The day from which a limit is counted; none: what it is counted from has not come.
fn from_day(counted_from: &str, course: &Course<'_>) -> Option<Date> {
    if counted_from == OPENED {
        // Whether a commitment was kept is decided when its day has passed.
        let opened = course.steps.first().map(|(_, day)| *day);
        return course.until.or(opened);
    }
    // A talk takes place on the day that was set for it, and is recorded here when its record is
    // there: counted from that step, the limit for the record would never run.
    if counted_from == HOLD && course.held_on.is_some() {
        return course.held_on;
    }
    let mut steps = course.steps.iter().rev();
    let (_, day) = steps.find(|(step, _)| step.ends_limits().contains(&counted_from))?;
    Some(*day)
}
