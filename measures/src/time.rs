//! Moments and days: what an event happened at, and the calendar days lists are kept in (spec sections 3 and 4).
//!
//! All civil time is Asia/Shanghai at a fixed +08:00: mainland China has had no other offset since
//! 1991, and a fixed offset lets the decision do without a time-zone database. Nothing here asks a
//! clock. Calendar arithmetic is written out instead of taken from `jiff`, because a value read
//! from a file may lie outside the years `jiff` can hold and must still neither panic nor be
//! refused; `jiff` reads RFC 3339.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const MICROS_PER_DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;
const SHANGHAI_OFFSET_MICROS: i64 = 8 * 3_600 * MICROS_PER_SECOND;

/// A moment, in microseconds since 1970-01-01T00:00Z.
///
/// Prints as RFC 3339 at +08:00 with the shortest fraction; (de)serialises as one integer. For
/// text formats see [`text::TimeText`].
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

/// A calendar day in Asia/Shanghai, in days since 1970-01-01.
///
/// Prints as `YYYY-MM-DD`; (de)serialises as one integer. For text formats see [`text::DateText`].
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(i32);

/// Why a text is not a time or a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TimeError {
    /// Neither RFC 3339 with an offset nor a bare day.
    #[error("not a time: expected RFC 3339 with an offset, or a day as YYYY-MM-DD")]
    Time,
    /// None of the accepted forms of a day.
    #[error("not a day: expected YYYY-MM-DD, YYYY/MM/DD or YYYYMMDD")]
    Date,
    /// The right form, but the calendar has no such day.
    #[error("no such day in the calendar")]
    NoSuchDay,
}

impl Time {
    /// The earliest moment that can be written down; earlier than any event.
    pub const MIN: Time = Time(i64::MIN);
    /// The latest moment that can be written down; later than any event.
    pub const MAX: Time = Time(i64::MAX);

    /// From microseconds since 1970-01-01T00:00Z.
    pub const fn from_micros(micros: i64) -> Time {
        Time(micros)
    }

    /// From milliseconds since 1970-01-01T00:00Z, stopping at [`Time::MIN`] and [`Time::MAX`].
    pub const fn from_millis(millis: i64) -> Time {
        Time(millis.saturating_mul(1_000))
    }

    /// Microseconds since 1970-01-01T00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970-01-01T00:00Z, rounded towards the past.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Reads RFC 3339 with any offset, or a bare `YYYY-MM-DD`, which is the start of that day in
    /// Asia/Shanghai. Finer than a microsecond is cut off towards the past.
    ///
    /// A time without an offset is refused: guessing one would move an event by eight hours.
    pub fn parse(text: &str) -> Result<Time, TimeError> {
        let text = text.trim();
        let bytes = text.as_bytes();
        if bytes.len() == 10 {
            return match dashed(bytes, b'-') {
                Some((year, month, day)) => Date::from_ymd(year, month, day)
                    .map(Date::start)
                    .ok_or(TimeError::NoSuchDay),
                None => Err(TimeError::Time),
            };
        }
        // `jiff` accepts more than RFC 3339 (signed six-digit years, annotations in brackets).
        let day_first = bytes
            .get(..10)
            .is_some_and(|day| dashed(day, b'-').is_some());
        if !day_first || bytes.contains(&b'[') {
            return Err(TimeError::Time);
        }
        let moment: jiff::Timestamp = text.parse().map_err(|_| TimeError::Time)?;
        i64::try_from(moment.as_nanosecond().div_euclid(1_000))
            .map(Time)
            .map_err(|_| TimeError::Time)
    }

    /// The day in Asia/Shanghai.
    pub const fn date(self) -> Date {
        // Stays within i32: the whole of i64 in microseconds is under 107 million days each way.
        Date(
            self.0
                .saturating_add(SHANGHAI_OFFSET_MICROS)
                .div_euclid(MICROS_PER_DAY) as i32,
        )
    }

    /// Later by `seconds` (earlier when negative), stopping at the ends.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Time {
        Time(
            self.0
                .saturating_add(seconds.saturating_mul(MICROS_PER_SECOND)),
        )
    }

    /// Earlier by `seconds`, stopping at the ends.
    #[must_use]
    pub const fn minus_seconds(self, seconds: i64) -> Time {
        Time(
            self.0
                .saturating_sub(seconds.saturating_mul(MICROS_PER_SECOND)),
        )
    }

    /// Later by `seconds`, or `None` beyond what can be written down.
    pub fn checked_plus_seconds(self, seconds: i64) -> Option<Time> {
        let micros = seconds.checked_mul(MICROS_PER_SECOND)?;
        self.0.checked_add(micros).map(Time)
    }

    /// Earlier by `seconds`, or `None` beyond what can be written down.
    pub fn checked_minus_seconds(self, seconds: i64) -> Option<Time> {
        let micros = seconds.checked_mul(MICROS_PER_SECOND)?;
        self.0.checked_sub(micros).map(Time)
    }

    /// Later by `micros` microseconds (earlier when negative), stopping at the ends.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Time {
        Time(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to here; negative when `earlier` is later, stopping at the ends.
    pub const fn since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Date {
    /// From days since 1970-01-01.
    pub const fn from_days(days: i32) -> Date {
        Date(days)
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The day of that year (1 to 9999), month and day of the month, or `None` if there is none.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Date> {
        let real = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        if !real {
            return None;
        }
        i32::try_from(days_from_civil(
            i64::from(year),
            i64::from(month),
            i64::from(day),
        ))
        .ok()
        .map(Date)
    }

    /// Reads `YYYY-MM-DD`, `YYYY/MM/DD` or `YYYYMMDD`.
    pub fn parse(text: &str) -> Result<Date, TimeError> {
        let bytes = text.trim().as_bytes();
        let parts = match bytes.len() {
            8 => compact(bytes),
            10 => dashed(bytes, b'-').or_else(|| dashed(bytes, b'/')),
            _ => None,
        };
        let (year, month, day) = parts.ok_or(TimeError::Date)?;
        Date::from_ymd(year, month, day).ok_or(TimeError::NoSuchDay)
    }

    /// The first moment of the day, 00:00 at +08:00.
    pub const fn start(self) -> Time {
        Time(
            (self.0 as i64)
                .saturating_mul(MICROS_PER_DAY)
                .saturating_sub(SHANGHAI_OFFSET_MICROS),
        )
    }

    /// The year.
    pub fn year(self) -> i32 {
        self.civil().0
    }

    /// The month, 1 to 12.
    pub fn month(self) -> u32 {
        self.civil().1
    }

    /// The day of the month, from 1.
    pub fn day(self) -> u32 {
        self.civil().2
    }

    /// Later by `days` (earlier when negative), stopping at the ends.
    #[must_use]
    pub const fn plus_days(self, days: i32) -> Date {
        Date(self.0.saturating_add(days))
    }

    /// The same day of the month `months` later; the last day of that month where it has no such
    /// day (31 January plus one month is 28 or 29 February).
    #[must_use]
    pub fn plus_months(self, months: u32) -> Date {
        let (year, month, day) = self.civil();
        let total = i64::from(year) * 12 + i64::from(month) - 1 + i64::from(months);
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        let day = day.min(match (i32::try_from(year), u32::try_from(month)) {
            (Ok(year), Ok(month)) => days_in_month(year, month),
            _ => 28,
        });
        Date(clamp_days(days_from_civil(year, month, i64::from(day))))
    }

    /// The same day `years` later; 29 February becomes 28 February where there is none.
    #[must_use]
    pub fn plus_years(self, years: u32) -> Date {
        self.plus_months(years.saturating_mul(12))
    }

    /// The day before.
    #[must_use]
    pub const fn prev_day(self) -> Date {
        self.plus_days(-1)
    }

    /// The day after.
    #[must_use]
    pub const fn next_day(self) -> Date {
        self.plus_days(1)
    }

    /// Year, month and day by the proleptic Gregorian calendar, for every `i32` of days
    /// (Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
    fn civil(self) -> (i32, u32, u32) {
        let shifted = i64::from(self.0) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        // Years stay below six million and the rest below 32: the casts lose nothing.
        (year as i32, month as u32, day as u32)
    }
}

/// Days since 1970-01-01 (the same source, `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn clamp_days(days: i64) -> i32 {
    days.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn compact(bytes: &[u8]) -> Option<(i32, u32, u32)> {
    Some((
        number(bytes.get(..4)?)? as i32,
        number(bytes.get(4..6)?)?,
        number(bytes.get(6..)?)?,
    ))
}

fn dashed(bytes: &[u8], separator: u8) -> Option<(i32, u32, u32)> {
    if *bytes.get(4)? != separator || *bytes.get(7)? != separator {
        return None;
    }
    Some((
        number(bytes.get(..4)?)? as i32,
        number(bytes.get(5..7)?)?,
        number(bytes.get(8..)?)?,
    ))
}

/// At most four decimal digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + u32::from(digit - b'0'))
    })
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = i128::from(self.0) + i128::from(SHANGHAI_OFFSET_MICROS);
        let of_day = micros.rem_euclid(i128::from(MICROS_PER_DAY)) as i64;
        let day = micros.div_euclid(i128::from(MICROS_PER_DAY)) as i32;
        let (seconds, mut fraction) = (of_day / MICROS_PER_SECOND, of_day % MICROS_PER_SECOND);
        write!(
            f,
            "{}T{:02}:{:02}:{:02}",
            Date(day),
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        )?;
        if fraction != 0 {
            let mut width = 6;
            while fraction % 10 == 0 {
                fraction /= 10;
                width -= 1;
            }
            write!(f, ".{fraction:0width$}")?;
        }
        f.write_str("+08:00")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Time, TimeError> {
        Time::parse(text)
    }
}

impl FromStr for Date {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Date, TimeError> {
        Date::parse(text)
    }
}

/// Times and dates as people write them, for YAML and JSON.
pub mod text {
    use std::borrow::Cow;
    use std::fmt;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Date, Time};

    /// A [`Time`] that serialises as RFC 3339 text and reads what [`Time::parse`] reads.
    #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct TimeText(pub Time);

    /// A [`Date`] that serialises as `YYYY-MM-DD` and reads what [`Date::parse`] reads.
    #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct DateText(pub Date);

    macro_rules! as_text {
        ($text:ident, $value:ident) => {
            impl From<$text> for $value {
                fn from(text: $text) -> $value {
                    text.0
                }
            }

            impl From<$value> for $text {
                fn from(value: $value) -> $text {
                    $text(value)
                }
            }

            impl fmt::Display for $text {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(&self.0, f)
                }
            }

            impl fmt::Debug for $text {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(&self.0, f)
                }
            }

            impl Serialize for $text {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(&self.0)
                }
            }

            impl<'de> Deserialize<'de> for $text {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = Cow::<'de, str>::deserialize(deserializer)?;
                    $value::parse(&text).map($text).map_err(D::Error::custom)
                }
            }
        };
    }

    as_text!(TimeText, Time);
    as_text!(DateText, Date);
}

#[cfg(test)]
mod tests {
    use super::text::{DateText, TimeText};
    use super::*;

    #[track_caller]
    fn check_time(input: &str, expected: &str) {
        let shown = match Time::parse(input) {
            Ok(time) => time.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{input}");
    }

    #[track_caller]
    fn check_date(input: &str, expected: &str) {
        let shown = match Date::parse(input) {
            Ok(date) => date.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{input}");
    }

    fn date(text: &str) -> Date {
        Date::parse(text).expect(text)
    }

    #[test]
    fn a_time_is_read_with_any_offset_and_shown_in_shanghai() {
        check_time("2026-11-21T00:00:00Z", "2026-11-21T08:00:00+08:00");
        check_time("2026-11-21T08:00:00+08:00", "2026-11-21T08:00:00+08:00");
        check_time("2026-11-20T23:30:00-00:30", "2026-11-21T08:00:00+08:00");
        check_time(
            "2026-11-21T08:00:00.120+08:00",
            "2026-11-21T08:00:00.12+08:00",
        );
        check_time(
            "2026-11-21T08:00:00.000001+08:00",
            "2026-11-21T08:00:00.000001+08:00",
        );
        check_time(
            "2026-11-21T08:00:00.0000019+08:00",
            "2026-11-21T08:00:00.000001+08:00",
        );
        check_time("1969-12-31T16:00:00Z", "1970-01-01T00:00:00+08:00");
        check_time(" 2026-11-21 ", "2026-11-21T00:00:00+08:00");
    }

    #[test]
    fn a_time_without_an_offset_or_of_another_form_is_refused() {
        let not = TimeError::Time.to_string();
        check_time("", &not);
        check_time("2026-11-21T08:00:00", &not);
        check_time("2026-11-21T08:00:00+08:00[Asia/Shanghai]", &not);
        check_time("+002026-11-21T08:00:00Z", &not);
        check_time("2026-02-30T08:00:00Z", &not);
        check_time("2026/11/21", &not);
        check_time("1795248000", &not);
        check_time("2026-02-29", "no such day in the calendar");
    }

    #[test]
    fn a_day_is_read_in_three_forms() {
        check_date("2026-11-21", "2026-11-21");
        check_date("2026/11/21", "2026-11-21");
        check_date("20261121", "2026-11-21");
        check_date("1800-01-01", "1800-01-01");
        check_date("2024-02-29", "2024-02-29");
        check_date("1900-02-29", "no such day in the calendar");
        check_date("2026-04-31", "no such day in the calendar");
        check_date("2026-00-10", "no such day in the calendar");
        check_date("0000-01-01", "no such day in the calendar");
        let not = TimeError::Date.to_string();
        check_date("", &not);
        check_date("2026-11/21", &not);
        check_date("2026-1-1", &not);
        check_date("２０２６1121", &not);
        check_date("+2026112", &not);
    }

    #[test]
    fn the_day_turns_at_midnight_in_shanghai() {
        let midnight = Time::parse("2026-11-20T16:00:00Z").expect("a time");
        assert_eq!(midnight.date(), date("2026-11-21"));
        assert_eq!(midnight.plus_micros(-1).date(), date("2026-11-20"));
        assert_eq!(date("2026-11-21").start(), midnight);
        assert_eq!(date("1970-01-01").start().micros(), -28_800_000_000);
    }

    #[test]
    fn months_and_years_stop_at_the_end_of_the_month() {
        assert_eq!(date("2026-01-31").plus_months(1), date("2026-02-28"));
        assert_eq!(date("2024-01-31").plus_months(1), date("2024-02-29"));
        assert_eq!(date("2026-11-30").plus_months(3), date("2027-02-28"));
        assert_eq!(date("2026-12-15").plus_months(1), date("2027-01-15"));
        assert_eq!(date("2024-02-29").plus_years(1), date("2025-02-28"));
        assert_eq!(date("2024-02-29").plus_years(4), date("2028-02-29"));
        assert_eq!(date("2027-01-01").prev_day(), date("2026-12-31"));
        assert_eq!(date("2024-02-28").next_day(), date("2024-02-29"));
        assert_eq!(date("2026-11-21").plus_days(-21), date("2026-10-31"));
    }

    #[test]
    fn every_day_agrees_with_the_calendar_of_jiff() {
        let mut day = jiff::civil::date(1799, 12, 30);
        let mut ours = date("1799-12-30");
        while day < jiff::civil::date(2210, 1, 1) {
            let (year, month, of_month) = (ours.year(), ours.month(), ours.day());
            assert_eq!(ours.to_string(), day.to_string());
            assert_eq!(Date::from_ymd(year, month, of_month), Some(ours));
            day = day.tomorrow().expect("within the calendar");
            ours = ours.next_day();
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends_and_never_panics() {
        assert_eq!(Time::MAX.plus_seconds(1), Time::MAX);
        assert_eq!(Time::MIN.minus_seconds(i64::MAX), Time::MIN);
        assert_eq!(Time::MAX.checked_plus_seconds(1), None);
        assert_eq!(Time::MIN.checked_minus_seconds(1), None);
        assert_eq!(
            Time::from_micros(5).checked_plus_seconds(1),
            Some(Time::from_micros(1_000_005))
        );
        assert_eq!(Time::MAX.since(Time::MIN), i64::MAX);
        assert_eq!(Time::from_millis(i64::MAX), Time::MAX);
        assert_eq!(Time::from_micros(-1).millis(), -1);
        for time in [Time::MIN, Time::MAX] {
            assert!(!time.to_string().is_empty());
            assert!(time.date().start() <= Time::MAX);
        }
        for day in [Date::from_days(i32::MIN), Date::from_days(i32::MAX)] {
            assert!(!day.to_string().is_empty());
            assert!(day.plus_years(u32::MAX) >= day);
            assert!(day.next_day() > day.prev_day());
            assert!(day.start() >= Time::MIN);
        }
    }

    #[test]
    fn binary_forms_are_integers_and_text_forms_are_text() {
        let time = Time::parse("2026-11-21T08:00:00+08:00").expect("a time");
        assert_eq!(
            serde_json::to_string(&time).expect("json"),
            "1795219200000000"
        );
        assert_eq!(
            serde_json::to_string(&date("1970-01-03")).expect("json"),
            "2"
        );
        let shown = serde_json::to_string(&TimeText(time)).expect("json");
        assert_eq!(shown, "\"2026-11-21T08:00:00+08:00\"");
        assert_eq!(
            serde_json::from_str::<TimeText>(&shown).expect("json").0,
            time
        );
        let day = serde_json::from_str::<DateText>("\"2026/11/21\"").expect("json");
        assert_eq!(serde_json::to_string(&day).expect("json"), "\"2026-11-21\"");
        assert!(serde_json::from_str::<DateText>("\"2026-13-01\"").is_err());
        let bytes = postcard::to_allocvec(&time).expect("postcard");
        assert_eq!(
            postcard::from_bytes::<Time>(&bytes).expect("postcard"),
            time
        );
        let yaml: DateText = serde_saphyr::from_str("2026-11-21").expect("yaml");
        assert_eq!(yaml.0, date("2026-11-21"));
    }
}
