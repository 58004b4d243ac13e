//! Which of several answers of one decision slot a verdict is.

use crate::v1;

/// Hexadecimal digits that are read.
const DIGITS: usize = 16;

/// The beginning of a verdict's digest: between replicas of the gate one decision slot may have several
/// answers (specification, 7), and this tells them apart. FENCED: topics keep it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnswerDigest(pub u64);

impl AnswerDigest {
    /// That of a verdict; one whose digest cannot be read, which none of ours is, has the default.
    #[must_use]
    pub fn of(verdict: &v1::Verdict) -> Self {
        Self::from_text(&verdict.verdict_digest).unwrap_or_default()
    }

    /// Reads it from a digest as verdicts print it, or from the beginning of one.
    #[must_use]
    pub fn from_text(digest: &str) -> Option<Self> {
        let digits = digest.get(..DIGITS)?;
        // The number's own reading would also take a sign.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        u64::from_str_radix(digits, 16).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_digest_is_enough_and_anything_else_is_none() {
        let whole = "0123456789abcdeffedcba9876543210";
        let known = AnswerDigest(0x0123_4567_89ab_cdef);
        assert_eq!(AnswerDigest::from_text(whole), Some(known));
        assert_eq!(AnswerDigest::from_text(&whole[..16]), Some(known));
        for text in ["", "0123456789abcde", "+123456789abcdef", "摘要摘要摘要"] {
            assert_eq!(AnswerDigest::from_text(text), None, "{text}");
        }
        let verdict = v1::Verdict {
            verdict_digest: whole.to_owned(),
            ..v1::Verdict::default()
        };
        assert_eq!(AnswerDigest::of(&verdict), known);
    }
}
