//! The outer shape of a condition, looked at before the parser is: its size, its quotes and how deep it nests.
//!
//! The parser descends once for every bracket and takes more than 100 KiB of stack for it in a build without
//! optimisation; its own limit sets in later than a thread's stack ends. So nesting is counted here, in one pass.
//! INVARIANT (same tokens): strings and comments end here exactly where they end for the parser. Therefore whatever
//! would make that hard to see — escapes, triple quotes, backticks — is refused.

use super::ConditionError;
use super::place::Places;

/// The longest condition. Longer ones are better said as several rows.
const SOURCE_BYTES_MAX: usize = 4096;

/// How many brackets and conditionals may be open at once.
const NESTING_MAX: usize = 8;

/// How many operators may follow each other without `&&`, `||` or a comma between them.
const RUN_MAX: usize = 48;

/// Refuses what need not be parsed to be refused.
pub(super) fn admit(source: &str, places: &Places<'_>) -> Result<(), ConditionError> {
    if source.trim().is_empty() {
        return Err(places.first(
            "the condition is empty",
            "leave it out for a row that always applies",
        ));
    }
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the condition has {} bytes", source.len());
        return Err(places.first(
            message,
            format!("keep it within {SOURCE_BYTES_MAX} bytes, or write several rows"),
        ));
    }
    let too_deep = |at| {
        places.at_offset(
            at,
            "the condition is nested too deeply",
            "write it flatter, or write several rows",
        )
    };
    // For each open bracket the conditionals that were begun inside it.
    let mut open: Vec<usize> = vec![0];
    let mut nesting = 0;
    let mut run = 0;
    let mut bytes = source.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        let next = bytes.peek().map(|(_, next)| *next);
        match byte {
            b'\'' | b'"' => string(byte, at, &mut bytes, places)?,
            b'`' => {
                return Err(places.at_offset(
                    at,
                    "a backtick may not be used",
                    "write the plain name of the field",
                ));
            }
            b'/' if next == Some(b'/') => {
                while bytes.next_if(|(_, byte)| *byte != b'\n').is_some() {}
            }
            b'(' | b'[' | b'{' => {
                open.push(0);
                nesting += 1;
            }
            b')' | b']' | b'}' if open.len() > 1 => nesting -= 1 + open.pop().unwrap_or(0),
            b'?' => {
                if let Some(conditionals) = open.last_mut() {
                    *conditionals += 1;
                }
                nesting += 1;
                run = 0;
            }
            b',' | b':' | b'&' | b'|' => run = 0,
            b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' | b'.' => run += 1,
            _ => {}
        }
        if nesting > NESTING_MAX || run > RUN_MAX {
            return Err(too_deep(at));
        }
    }
    Ok(())
}

/// Passes over the string that `quote` opened.
fn string(
    quote: u8,
    opened: usize,
    bytes: &mut std::iter::Peekable<impl Iterator<Item = (usize, u8)>>,
    places: &Places<'_>,
) -> Result<(), ConditionError> {
    loop {
        match bytes.next() {
            Some((_, byte)) if byte == quote => break,
            Some((at, b'\\')) => {
                return Err(places.at_offset(
                    at,
                    "a backslash may not be used",
                    "write the character itself",
                ));
            }
            None | Some((_, b'\n' | b'\r')) => {
                return Err(places.at_offset(
                    opened,
                    "the string does not end on its line",
                    "close its quotes",
                ));
            }
            Some(_) => {}
        }
    }
    match bytes.peek() {
        Some((at, b'\'' | b'"')) => Err(places.at_offset(
            *at,
            "quotes follow each other",
            "write one string in one pair of quotes",
        )),
        _ => Ok(()),
    }
}
