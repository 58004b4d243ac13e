//! Valid identifiers that belong to nobody, for invented data and tests.
//!
//! Each is a function of its arguments alone. Wherever a type has an area code it is `PP9999`: a
//! county suffix that GB/T 2260 does not allocate, so no office has ever issued such a number to
//! any person or firm. An organisation code has no area; those made here begin `WW`, a range not
//! known to be issued, and serve as the inner codes of the invented USCCs.

use super::checks;
use crate::time::Date;

/// Provinces in use; 83 (a permit, not a province) is left out.
const PROVINCES: [&str; 33] = [
    "11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41",
    "42", "43", "44", "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65", "71",
    "81",
];

/// Numbers of people that [`id18`] can tell apart for one date of birth.
pub const ID18_PER_BIRTH: u64 = PROVINCES.len() as u64 * 1_000;

/// Numbers of people that [`id15`] can tell apart for one date of birth; the sequences 996 to 999
/// mean another century and are not used.
pub const ID15_PER_BIRTH: u64 = PROVINCES.len() as u64 * 996;

/// The USCC of an enterprise (it begins 91). Its `ORG9` alias is `org9(n)`. Distinct for distinct
/// `n` below 31⁶ (887 million).
pub fn uscc(n: u64) -> String {
    uscc_of_category("91", n)
}

/// The USCC of an individual business (it begins 92). Its `ORG9` alias is `org9(n)`, so one `n` is
/// not to be used here and in [`uscc`].
pub fn individual_business(n: u64) -> String {
    uscc_of_category("92", n)
}

/// A USCC beginning with two characters of one's choice (`11` government body, `12` public
/// institution, `51` social organisation). Characters outside the USCC alphabet count as `9`.
pub fn uscc_of_category(category: &str, n: u64) -> String {
    let known = |c: &char| u8::try_from(*c).is_ok_and(|c| checks::USCC_ALPHABET.contains(&c));
    let mut code: String = category
        .chars()
        .chain("99".chars())
        .take(2)
        .map(|c| if known(&c) { c } else { '9' })
        .collect();
    code.push_str(&area(n));
    code.push_str(&org9(n));
    with_check(code, checks::uscc_check)
}

/// A citizen's number with that date of birth. Distinct for distinct `n` below [`ID18_PER_BIRTH`]
/// (33,000) and one date; for more people vary the date, or use [`person`].
pub fn id18(n: u64, birth: Date) -> String {
    let (year, month, day) = (birth.year(), birth.month(), birth.day());
    let sequence = n / PROVINCES.len() as u64 % 1_000;
    with_check(
        format!("{}{year:04}{month:02}{day:02}{sequence:03}", area(n)),
        checks::id18_check,
    )
}

/// A citizen's number of an adult born from 1950 on, one day after the other. Distinct for
/// distinct `n` below 600 million.
pub fn person(n: u64) -> String {
    const BIRTHS: u64 = 18_262; // 1950-01-01 to 1999-12-31
    let day = i32::try_from(n % BIRTHS).unwrap_or_default();
    // 7,305 days before 1970-01-01 is 1950-01-01.
    id18(n / BIRTHS, Date::from_days(day - 7_305))
}

/// An organisation code. Distinct for distinct `n` below 31⁶ (887 million).
pub fn org9(n: u64) -> String {
    let mut digits = [b'0'; 6];
    let mut rest = n;
    for place in digits.iter_mut().rev() {
        *place = checks::USCC_ALPHABET
            .get((rest % 31) as usize)
            .copied()
            .unwrap_or(b'0');
        rest /= 31;
    }
    let code = "WW".chars().chain(digits.map(char::from)).collect();
    with_check(code, checks::org9_check)
}

/// A registration number of a domestic enterprise. Distinct for distinct `n` below 40 million.
pub fn reg15(n: u64) -> String {
    let sequence = n % 40_000_000;
    with_check(format!("{}{sequence:08}", area(n)), |body| {
        Some(checks::reg15_check(body))
    })
}

/// An old citizen's number with that date of birth, of which it has room for the year's last two
/// digits: the year has to be in 1900 to 1999 to come back. Distinct for distinct `n` below
/// [`ID15_PER_BIRTH`] (32,868) and one date.
pub fn id15(n: u64, birth: Date) -> String {
    let (year, month, day) = (birth.year().rem_euclid(100), birth.month(), birth.day());
    let sequence = n / PROVINCES.len() as u64 % 996;
    format!("{}{year:02}{month:02}{day:02}{sequence:03}", area(n))
}

fn area(n: u64) -> String {
    let province = PROVINCES
        .get((n % PROVINCES.len() as u64) as usize)
        .copied()
        .unwrap_or("11");
    format!("{province}9999")
}

fn with_check(mut body: String, check: impl Fn(&[u8]) -> Option<u8>) -> String {
    body.push(char::from(check(body.as_bytes()).unwrap_or(b'0')));
    body
}
