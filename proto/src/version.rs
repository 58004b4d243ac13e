//! List versions and verdict ids as callers write them.

use creditgate_measures::lists::ListVersion;
use creditgate_measures::verdict::VerdictId;
use uuid::Uuid;

/// The oldest list version an answer may rest on, as a request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinListVersion {
    /// The change log; absent: whichever the service has.
    pub log_id: Option<Uuid>,
    /// The sequence number.
    pub seq: u64,
}

/// A text that is no list version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list version: expected `<log_id>:<seq>` or `<seq>`")]
pub struct NotAVersion;

impl std::str::FromStr for MinListVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let (log_id, seq) = match text.split_once(':') {
            Some((log_id, seq)) => (Some(Uuid::try_parse(log_id).map_err(|_| NotAVersion)?), seq),
            None => (None, text),
        };
        // `parse` alone would take a plus sign.
        if !seq.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAVersion);
        }
        Ok(Self {
            log_id,
            seq: seq.parse().map_err(|_| NotAVersion)?,
        })
    }
}

impl std::fmt::Display for MinListVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.log_id {
            Some(log_id) => write!(f, "{log_id}:{}", self.seq),
            None => write!(f, "{}", self.seq),
        }
    }
}

/// Reads a full list version, `<log_id>:<seq>`, as verdicts print it.
///
/// # Errors
/// When it is none, or names no log.
pub fn list_version_from_text(text: &str) -> Result<ListVersion, NotAVersion> {
    let min: MinListVersion = text.parse()?;
    Ok(ListVersion {
        log_id: min.log_id.ok_or(NotAVersion)?,
        seq: min.seq,
    })
}

/// Reads a verdict id.
#[must_use]
pub fn verdict_id_from_text(text: &str) -> Option<VerdictId> {
    Uuid::try_parse(text).ok().map(VerdictId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_printed() {
        let check = |text: &str, expected: &str| {
            let shown = text
                .parse::<MinListVersion>()
                .map_or("none".to_owned(), |v| v.to_string());
            assert_eq!(shown, expected, "{text}");
        };
        let log = "0198c0de-0000-7000-8000-000000000001";
        check("17", "17");
        check(&format!("{log}:17"), &format!("{log}:17"));
        check(&format!("{log}:"), "none");
        check("", "none");
        check("+1", "none");
        check("-1", "none");
        check("18446744073709551616", "none");
        check("x:1", "none");
        assert!(list_version_from_text("17").is_err());
        let full = list_version_from_text(&format!("{log}:17")).expect("a version");
        assert_eq!(full.to_string(), format!("{log}:17"));
    }
}
