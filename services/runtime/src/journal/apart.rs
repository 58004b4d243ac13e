//! Records apart from their journal: bytes that somebody took out of it, one record behind the other.

use super::envelope::{self, Record};

/// Bytes that are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no intact record begins at byte {at}: {why}")]
pub struct NoRecord {
    /// Where among the bytes.
    pub at: usize,
    /// What is wrong there.
    pub why: String,
}

/// The records of some bytes. It ends behind the first that is none.
#[derive(Clone, Debug)]
pub struct Apart<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The records that lie in these bytes as on disk. Whether one continues the other is asked by
/// [`Head::is_continued_by`](super::Head::is_continued_by).
#[must_use]
pub const fn read_apart(bytes: &[u8]) -> Apart<'_> {
    Apart { bytes, at: 0 }
}

impl Iterator for Apart<'_> {
    type Item = Result<Record, NoRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let decoded =
            envelope::position_field(rest).and_then(|position| envelope::decode(rest, position));
        Some(match decoded {
            Ok((header, payload)) => {
                self.at = at + envelope::record_bytes(payload);
                Ok(header.with_payload(payload))
            }
            Err(defect) => {
                self.at = self.bytes.len();
                Err(NoRecord {
                    at,
                    why: defect.to_string(),
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Journal, Options, Position};
    use super::*;

    #[test]
    fn records_taken_out_are_the_same_and_each_continues_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            segment_bytes: 4 << 10,
            preallocate: false,
            ..Options::default()
        };
        let (journal, _) = Journal::open(dir.path(), options).unwrap();
        for n in 0..40_u8 {
            let payload = vec![n; 10 * usize::from(n)];
            journal.append_blocking(1, i64::from(n), payload).unwrap();
        }
        let kept: Vec<Record> = journal
            .read_from(Position(0))
            .collect::<Result<_, _>>()
            .unwrap();
        let bytes: Vec<u8> = kept.iter().flat_map(Record::to_bytes).collect();
        let apart: Vec<Record> = read_apart(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(apart, kept);
        for pair in apart.windows(2) {
            assert!(pair[0].head().is_continued_by(&pair[1]));
            assert!(!pair[1].head().is_continued_by(&pair[0]));
        }
        let last = apart.last().unwrap();
        assert_eq!(last.head(), journal.head());
        assert_eq!(last.receipt().hash, journal.head().hash);
        journal.close_blocking().unwrap();
    }

    #[test]
    fn what_is_no_record_ends_it_and_is_named() {
        assert!(read_apart(&[]).next().is_none());
        let mut records = read_apart(&[0; 300]);
        let refused = records.next().unwrap().unwrap_err();
        assert_eq!(
            (refused.at, refused.why.as_str()),
            (0, "no record begins here")
        );
        assert!(records.next().is_none());
        let refused = read_apart(b"short").next().unwrap().unwrap_err();
        assert_eq!(refused.why, "the record is cut off");
    }
}
