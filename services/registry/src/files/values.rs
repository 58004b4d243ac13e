//! Values of cells as entries have them: texts, days and instants as they are written in tables.

use creditgate_measures::time::{Date, Time};
use creditgate_proto::Refused;

use super::headers::NOTHING;

/// Days from 1899-12-30, the day 0 of serial numbers from March 1900 on, to 1970-01-01.
const SERIAL_OF_1970: i32 = 25_569;
/// Days between the two ways in which workbooks count.
const DAYS_OF_1904: f64 = 1_462.0;
/// Days of serial numbers: March 1900 to the year 9999. Before it workbooks count a day that never was.
const SERIALS: std::ops::RangeInclusive<f64> = 61.0..=2_958_465.999_999;
/// Larger whole numbers may have lost digits when they were stored as a number: 15 digits are kept.
const EXACT_BELOW: f64 = 1e15;

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
    /// A day with a time of day, as a serial number of the usual way.
    Serial(f64),
    /// Something that cannot be read, and why.
    Bad(&'static str),
}

impl Cell {
    /// A day of a workbook.
    pub fn serial(value: f64, since_1904: bool) -> Self {
        Self::Serial(if since_1904 {
            value + DAYS_OF_1904
        } else {
            value
        })
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Number(_) | Self::Serial(_) | Self::Bad(_) => false,
        }
    }

    /// The text, trimmed, whole numbers without a decimal point; none: nothing is said.
    ///
    /// # Errors
    /// When it cannot be told which text was meant.
    pub fn text(&self) -> Result<Option<String>, &'static str> {
        let text = match self {
            Self::Empty => return Ok(None),
            Self::Text(text) => text.trim(),
            Self::Number(number) if number.abs() >= EXACT_BELOW || !number.is_finite() => {
                return Err(
                    "a number of more than 15 digits, of which the workbook has lost some; format the column as text and enter it again",
                );
            }
            // Never in exponent form; a whole one without `.0`.
            Self::Number(number) => return Ok(Some(number.to_string())),
            Self::Serial(_) => {
                let when = self.when(None)?;
                return Ok(when.map(|when| when.to_string()));
            }
            Self::Bad(why) => return Err(why),
        };
        Ok((!NOTHING.contains(&text) && !text.is_empty()).then(|| text.to_owned()))
    }

    /// The day or instant; none: nothing is said. `format` is tried before the usual forms.
    ///
    /// # Errors
    /// When it is neither.
    pub fn when(&self, format: Option<&DateFormat>) -> Result<Option<When>, &'static str> {
        const UNREADABLE: &str = "not a day; write 2026-01-05, 2026/1/5, 20260105 or 2026年1月5日, or name the form in a mapping file (`date_format`)";
        let found = match self {
            Self::Empty => return Ok(None),
            Self::Bad(why) => return Err(why),
            Self::Serial(serial) => of_serial(*serial),
            Self::Number(number) if SERIALS.contains(number) => of_serial(*number),
            Self::Number(number) => written(&number.to_string()),
            Self::Text(text) => {
                let text = narrow(text.trim());
                if text.is_empty() || NOTHING.contains(&text.as_str()) {
                    return Ok(None);
                }
                format
                    .and_then(|format| format.read(&text))
                    .map(When::Day)
                    .or_else(|| written(&text))
            }
        };
        found.map(Some).ok_or(UNREADABLE)
    }
}

/// A day, or a moment of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// A day.
    Day(Date),
    /// A moment.
    Moment(Time),
}

impl When {
    /// The day in Asia/Shanghai.
    pub fn day(&self) -> Date {
        match self {
            Self::Day(day) => *day,
            Self::Moment(time) => time.date(),
        }
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::Moment(time) => time.fmt(f),
        }
    }
}

fn of_serial(serial: f64) -> Option<When> {
    if !SERIALS.contains(&serial) {
        return None;
    }
    // In range, so that neither conversion can cut anything off.
    let day = Date::from_days(serial.floor() as i32 - SERIAL_OF_1970);
    let seconds = (serial.fract() * 86_400.0).round() as i64;
    Some(moment(day, seconds))
}

fn moment(day: Date, seconds: i64) -> When {
    match seconds {
        0 => When::Day(day),
        seconds => When::Moment(day.start().plus_seconds(seconds)),
    }
}

/// The usual forms.
fn written(text: &str) -> Option<When> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.len() {
        5 if digits => return of_serial(text.parse().ok()?),
        8 if digits => return Date::parse(text).ok().map(When::Day),
        14 if digits => {
            let day = Date::parse(text.get(..8)?).ok()?;
            let part = |from: usize| text.get(from..from + 2)?.parse().ok();
            return Some(moment(day, seconds(part(8)?, part(10)?, part(12)?)?));
        }
        _ => {}
    }
    if let Ok(time) = Time::parse(text) {
        let bare = text.len() == 10;
        return Some(if bare {
            When::Day(time.date())
        } else {
            When::Moment(time)
        });
    }
    let (mut numbers, mut rest) = ([0_u32; 3], text);
    for (place, number) in numbers.iter_mut().enumerate() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let lengths = if place == 0 { 4..=4 } else { 1..=2 };
        if !lengths.contains(&end) {
            return None;
        }
        *number = rest.get(..end)?.parse().ok()?;
        rest = rest.get(end..)?;
        let joint = rest.chars().next();
        let joins = match place {
            0 => matches!(joint, Some('-' | '/' | '.' | '年')),
            1 => matches!(joint, Some('-' | '/' | '.' | '月')),
            _ => matches!(joint, None | Some('日' | ' ' | 'T')),
        };
        if !joins {
            return None;
        }
        rest = joint.map_or("", |joint| rest.get(joint.len_utf8()..).unwrap_or(""));
    }
    let [year, month, day] = numbers;
    let day = Date::from_ymd(i32::try_from(year).ok()?, month, day)?;
    Some(moment(day, time_of_day(rest.trim())?))
}

/// Seconds since midnight of `10:30`, `10:30:00`, `10:30:00.000`, `10时30分`; nothing is midnight.
fn time_of_day(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let plain = text.replace('时', ":").replace('分', ":").replace('秒', "");
    let mut parts = plain.trim_end_matches(':').split(':');
    let mut number = |or: Option<i64>| match parts.next() {
        None => or,
        Some(part) => part.trim().split('.').next()?.parse().ok(),
    };
    let (hour, minute, second) = (number(None)?, number(Some(0))?, number(Some(0))?);
    parts.next().is_none().then_some(())?;
    seconds(hour, minute, second)
}

fn seconds(hour: i64, minute: i64, second: i64) -> Option<i64> {
    let real = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    real.then_some(hour * 3_600 + minute * 60 + second)
}

/// How a file writes its days: `YYYY`, `MM` and `DD` once each, the rest as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat(String);

impl DateFormat {
    /// The format that a text states.
    ///
    /// # Errors
    /// When a part is missing or stands twice.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let once = |part: &str| text.matches(part).count() == 1;
        if once("YYYY") && once("MM") && once("DD") {
            Ok(Self(text.to_owned()))
        } else {
            let rule = "write YYYY, MM and DD once each, such as `DD.MM.YYYY`";
            Err(Refused::one("date_format", rule))
        }
    }

    fn read(&self, text: &str) -> Option<Date> {
        let (mut year, mut month, mut day) = (0, 0, 0);
        let (mut form, mut rest) = (self.0.as_str(), text);
        while let Some(next) = form.chars().next() {
            let places = [
                ("YYYY", 4, &mut year),
                ("MM", 2, &mut month),
                ("DD", 2, &mut day),
            ];
            let place = places
                .into_iter()
                .find(|(part, _, _)| form.starts_with(part));
            if let Some((part, longest, number)) = place {
                let end = rest
                    .bytes()
                    .take(longest)
                    .take_while(u8::is_ascii_digit)
                    .count();
                *number = rest.get(..end)?.parse().ok()?;
                rest = rest.get(end..)?;
                form = form.get(part.len()..)?;
            } else {
                rest = rest.strip_prefix(next)?;
                form = form.get(next.len_utf8()..)?;
            }
        }
        rest.is_empty().then_some(())?;
        Date::from_ymd(i32::try_from(year).ok()?, month, day)
    }
}

/// Full-width digits, letters and signs as ASCII.
pub fn narrow(text: &str) -> String {
    let narrowed = text.chars().map(|c| match c {
        '\u{3000}' => ' ',
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        c => c,
    });
    narrowed.collect()
}

/// Several values of one cell.
pub fn several(text: &str) -> Vec<String> {
    text.split(['|', '；', ';', '、', '\n'])
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .map(str::to_owned)
        .collect()
}
