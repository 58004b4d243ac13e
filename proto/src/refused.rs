//! Why an input is refused: every rule it does not keep, with the path of the field.

use std::fmt;

/// One rule that the input does not keep.
///
/// INVARIANT (no persons): neither part ever holds the value of an identifier or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `subjects[3].role`.
    pub field: String,
    /// The rule, and how to keep it.
    pub rule: String,
}

impl Violation {
    /// A violation of this rule at this field.
    pub fn new(field: impl fmt::Display, rule: impl Into<String>) -> Self {
        Self {
            field: field.to_string(),
            rule: rule.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.rule)
    }
}

/// An input that is refused, with all its violations; trying again as it is will not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The violations in the order of the fields; never empty.
    pub violations: Vec<Violation>,
}

impl Refused {
    /// A refusal for one reason.
    pub fn one(field: impl fmt::Display, rule: impl Into<String>) -> Self {
        Self {
            violations: vec![Violation::new(field, rule)],
        }
    }

    /// Nothing when there are no violations.
    ///
    /// # Errors
    /// The refusal, when there are.
    pub fn unless_empty(violations: Vec<Violation>) -> Result<(), Self> {
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Self { violations })
        }
    }
}

/// Names the first few; a hostile input may have a thousand.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        for (at, violation) in self.violations.iter().take(SHOWN).enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        match self.violations.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Refused {}

/// The sender's word in backticks where it can only be a word; else that it is none.
///
/// A number or a name that landed in the wrong field must not come back in an error, so what is
/// shown has letters only, or begins with a lower-case letter and has no capitals.
pub(crate) fn quoted(word: &str) -> String {
    if is_word(word) {
        format!("`{word}`")
    } else {
        "a text that is no code".to_owned()
    }
}

/// Whether a text can be shown, see [`quoted`].
pub(crate) fn is_word(word: &str) -> bool {
    const SHOWN_MAX: usize = 40;
    const DIGITS_SHOWN_MAX: usize = 4;
    let joins = |b: u8| b == b'_' || b == b'-';
    let letters = word.bytes().all(|b| b.is_ascii_alphabetic() || joins(b));
    let lower = word.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || joins(b));
    // Behind a letter a number would be shown too.
    let numbers = word
        .as_bytes()
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    let short = numbers
        .filter(|run| run.first().is_some_and(u8::is_ascii_digit))
        .all(|run| run.len() <= DIGITS_SHOWN_MAX);
    !word.is_empty() && word.len() <= SHOWN_MAX && (letters || lower) && short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_are_shown() {
        let check = |word: &str, expected: &str| assert_eq!(quoted(word), expected);
        check("NOPE", "`NOPE`");
        check("consortium_membr", "`consortium_membr`");
        check("line2", "`line2`");
        check("measur219999199003071231id", "a text that is no code");
        check("", "a text that is no code");
        check("91320505MA1", "a text that is no code");
        check("E12345678", "a text that is no code");
        check("张三", "a text that is no code");
        check("a b", "a text that is no code");
    }

    #[test]
    fn a_refusal_names_the_first_few() {
        let refused = |n: usize| {
            Refused {
                violations: vec![Violation::new("f", "rule"); n],
            }
            .to_string()
        };
        assert_eq!(refused(1), "f: rule");
        assert_eq!(refused(5), "f: rule; f: rule; f: rule; and 2 more");
    }
}
