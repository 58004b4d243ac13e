//! The arithmetic of the four standards. Input is normalised ASCII of the right length.

use super::{Invalid, is_placeholder};
use crate::time::Date;

/// GB 32100: the value of a character is its place here.
pub(super) const USCC_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const NO_VALUE: u8 = u8::MAX;
/// The alphabet turned around, because every event passes here several times.
const USCC_VALUES: [u8; 128] = {
    let mut values = [NO_VALUE; 128];
    let mut value = 0;
    while value < USCC_ALPHABET.len() {
        values[USCC_ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};
const USCC_WEIGHTS: [u32; 17] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
];
const ID18_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const ID18_CHECKS: &[u8; 11] = b"10X98765432";
const ORG9_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
const BIRTH_YEAR_MIN: i32 = 1800;

/// Checks a USCC; says whether its inner organisation code holds too. An inner code that is a
/// placeholder would make one subject of many, so it does not hold although its sum does.
pub(super) fn uscc(code: &[u8]) -> Result<bool, Invalid> {
    let area = code.get(2..8).unwrap_or_default();
    if !area.iter().all(u8::is_ascii_digit) {
        return Err(Invalid::IllegalCharacter);
    }
    let (body, check) = split_check(code)?;
    if uscc_value(check).is_none() {
        return Err(Invalid::IllegalCharacter);
    }
    if uscc_check(body).ok_or(Invalid::IllegalCharacter)? != check {
        return Err(Invalid::CheckDigit);
    }
    let inner = code.get(8..17).unwrap_or_default();
    Ok(org9(inner).is_ok() && !is_placeholder(inner))
}

/// The check character of the first 17, or `None` when one of them is outside the alphabet.
pub(super) fn uscc_check(body: &[u8]) -> Option<u8> {
    let mut sum = 0;
    for (byte, weight) in body.iter().zip(USCC_WEIGHTS) {
        sum += uscc_value(*byte)? * weight;
    }
    USCC_ALPHABET.get(((31 - sum % 31) % 31) as usize).copied()
}

fn uscc_value(byte: u8) -> Option<u32> {
    match USCC_VALUES.get(usize::from(byte)) {
        Some(&value) if value != NO_VALUE => Some(u32::from(value)),
        _ => None,
    }
}

/// Checks a citizen's number of 18 characters.
pub(super) fn id18(number: &[u8]) -> Result<(), Invalid> {
    let (body, check) = split_check(number)?;
    if !body.iter().all(u8::is_ascii_digit) || !(check.is_ascii_digit() || check == b'X') {
        return Err(Invalid::IllegalCharacter);
    }
    let province = number.get(..2).map_or(0, decimal);
    if !is_province(province) {
        return Err(Invalid::Province);
    }
    let birth = birth_date(number).ok_or(Invalid::Date)?;
    if birth.year() < BIRTH_YEAR_MIN {
        return Err(Invalid::Date);
    }
    if id18_check(body) != Some(check) {
        return Err(Invalid::CheckDigit);
    }
    Ok(())
}

/// ISO 7064 MOD 11-2 over 17 digits.
pub(super) fn id18_check(body: &[u8]) -> Option<u8> {
    let sum: u32 = body
        .iter()
        .zip(ID18_WEIGHTS)
        .map(|(byte, weight)| digit(*byte) * weight)
        .sum();
    ID18_CHECKS.get((sum % 11) as usize).copied()
}

/// The 18 characters an old number of 15 digits became: the century inserted, the check appended.
///
/// Sequences 996 to 999 were kept for people older than a hundred, born 18xx (domain part 4.5); the
/// century 19 would give them a stranger's birth date.
pub(super) fn id18_of_id15(number: &[u8]) -> Result<[u8; 18], Invalid> {
    if !number.iter().all(u8::is_ascii_digit) {
        return Err(Invalid::IllegalCharacter);
    }
    let (area, rest) = number.split_at_checked(6).ok_or(Invalid::Length)?;
    let centenarian = number.get(12..).map_or(0, decimal) >= 996;
    let century = if centenarian { b"18" } else { b"19" };
    let mut id18 = [0_u8; 18];
    for (place, byte) in id18.iter_mut().zip(area.iter().chain(century).chain(rest)) {
        *place = *byte;
    }
    let check = id18.split_last().and_then(|(_, body)| id18_check(body));
    if let (Some(place), Some(check)) = (id18.last_mut(), check) {
        *place = check;
    }
    Ok(id18)
}

/// Positions 7 to 14 of a citizen's number of 18 characters.
pub(super) fn birth_date(number: &[u8]) -> Option<Date> {
    let year = decimal(number.get(6..10)?);
    let month = decimal(number.get(10..12)?);
    let day = decimal(number.get(12..14)?);
    Date::from_ymd(i32::try_from(year).ok()?, month, day)
}

fn is_province(number: u32) -> bool {
    matches!(
        number,
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83
    )
}

/// Checks an organisation code, its check character last.
pub(super) fn org9(code: &[u8]) -> Result<(), Invalid> {
    let (body, check) = split_check(code)?;
    if !(check.is_ascii_digit() || check == b'X') {
        return Err(Invalid::IllegalCharacter);
    }
    if org9_check(body).ok_or(Invalid::IllegalCharacter)? != check {
        return Err(Invalid::CheckDigit);
    }
    Ok(())
}

/// GB 11714 over 8 characters: 11 minus the sum modulo 11 (public code often forgets the "11
/// minus"), or `None` when one of them is no digit or capital letter.
pub(super) fn org9_check(body: &[u8]) -> Option<u8> {
    let mut sum = 0;
    for (byte, weight) in body.iter().zip(ORG9_WEIGHTS) {
        let value = match byte {
            b'0'..=b'9' => digit(*byte),
            b'A'..=b'Z' => u32::from(byte - b'A') + 10,
            _ => return None,
        };
        sum += value * weight;
    }
    match 11 - sum % 11 {
        10 => Some(b'X'),
        11 => Some(b'0'),
        check => Some(b'0' + check as u8),
    }
}

/// Checks a registration number.
pub(super) fn reg15(number: &[u8]) -> Result<(), Invalid> {
    if !number.iter().all(u8::is_ascii_digit) {
        return Err(Invalid::IllegalCharacter);
    }
    let (body, check) = split_check(number)?;
    if reg15_check(body) != check {
        return Err(Invalid::CheckDigit);
    }
    Ok(())
}

/// ISO 7064 MOD 11,10 over 14 digits.
pub(super) fn reg15_check(body: &[u8]) -> u8 {
    let product = body.iter().fold(10, |product, byte| {
        let sum = match (product + digit(*byte)) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    b'0' + ((11 - product) % 10) as u8
}

fn split_check(code: &[u8]) -> Result<(&[u8], u8), Invalid> {
    let (check, body) = code.split_last().ok_or(Invalid::Empty)?;
    Ok((body, *check))
}

fn digit(byte: u8) -> u32 {
    u32::from(byte.saturating_sub(b'0'))
}

/// Of at most four digits.
fn decimal(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |value, byte| value * 10 + digit(*byte))
}
