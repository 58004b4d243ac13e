//! Recovery: where a log ends, whether its end is torn, and whether anything before it is damaged.
//!
//! INVARIANT (torn or damaged): the first place without an intact record is the torn end of the log
//! only if nothing proves that this place had been synced. Proof is: it lies in a segment that has a
//! successor, it lies below the mark, or an intact record after it says so in `durable before`.
//! With proof, opening is refused. Without, no caller was ever told that the bytes are durable.

use std::fs;
use std::path::{Path, PathBuf};

use super::envelope::{self, Defect, HEADER_BYTES, Record};
use super::error::{Corruption, OpenError};
use super::mark::Mark;
use super::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::{Check, Head, Position, TornTail};

/// What was found in a directory. Finding it changes nothing.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    pub log_id: [u8; 16],
    pub bases: Vec<u64>,
    pub head: Head,
    pub torn: Option<TornTail>,
    /// From here on nothing proves that the bytes were synced.
    pub unproven: Position,
    /// What was recorded last, where that is sealed; for the writer, who must be able to read on.
    pub closed: Option<Record>,
}

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// The one writer, who holds the lock.
    Nobody,
    /// A reader, while a writer may be at work: what looks damaged may be half written.
    Writer,
}

/// Looks through the log of a directory; `None` if there never was one.
pub(super) fn survey(
    dir: &Path,
    check: Check,
    beside: Beside,
) -> Result<Option<Survey>, OpenError> {
    // The order matters beside a writer: first the mark, then the segments, each of which can only
    // be further than what was read before.
    let mark = Mark::read(dir)?;
    let bases = segment::list(dir).map_err(OpenError::io("list journal directory", dir))?;
    let Some((&last, sealed)) = bases.split_last() else {
        return match mark {
            None => Ok(None),
            Some(mark) => Err(missing(dir, 0, mark.head.next_position).into()),
        };
    };
    if bases[0] != 0 {
        return Err(missing(dir, 0, Position(bases[0])).into());
    }
    let last_header = Segment::load_header(dir, last)?;
    if let Some(mark) = &mark
        && mark.log_id != last_header.log_id
    {
        return Err(foreign(segment::path(dir, last)).into());
    }
    for (&base, &next) in sealed.iter().zip(&bases[1..]) {
        if check == Check::Whole {
            let next = Segment::load_header(dir, next)?;
            Segment::load(dir, base)?.check_sealed(&next)?;
        }
    }
    let mut attempts = 0;
    let mut survey = loop {
        attempts += 1;
        match Segment::load(dir, last)?.check_last(mark.as_ref()) {
            Err(_) if beside == Beside::Writer && attempts < 5 => {}
            outcome => break outcome?,
        }
    };
    // A crash while a new segment was begun leaves it empty.
    if beside == Beside::Nobody
        && survey.head.next_position.0 == last
        && let Some(&before) = sealed.last()
    {
        let segment = Segment::load(dir, before)?;
        survey.closed = segment.closed(&segment.scan());
    }
    Ok(Some(Survey { bases, ..survey }))
}

/// A segment read into memory.
struct Segment {
    file: PathBuf,
    header: SegmentHeader,
    bytes: Vec<u8>,
}

/// How far the intact records of a segment reach.
struct Scan {
    end: usize,
    next_sequence: u64,
    last_record: Option<(usize, u64)>,
    defect: Option<Defect>,
}

impl Segment {
    fn load(dir: &Path, base: u64) -> Result<Self, OpenError> {
        let file = segment::path(dir, base);
        let bytes = fs::read(&file).map_err(OpenError::io("read journal file", &file))?;
        let header = parse_header(&file, base, &bytes)?;
        Ok(Self {
            file,
            header,
            bytes,
        })
    }

    fn load_header(dir: &Path, base: u64) -> Result<SegmentHeader, OpenError> {
        use std::io::Read as _;
        let file = segment::path(dir, base);
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        fs::File::open(&file)
            .and_then(|open| {
                open.take(SEGMENT_HEADER_BYTES as u64)
                    .read_to_end(&mut bytes)
            })
            .map_err(OpenError::io("read journal file", &file))?;
        Ok(parse_header(&file, base, &bytes)?)
    }

    fn position_at(&self, offset: usize) -> u64 {
        self.header
            .base
            .saturating_add((offset - SEGMENT_HEADER_BYTES) as u64)
    }

    fn scan(&self) -> Scan {
        let mut scan = Scan {
            end: SEGMENT_HEADER_BYTES,
            next_sequence: self.header.first_sequence,
            last_record: None,
            defect: None,
        };
        while scan.end < self.bytes.len() {
            match envelope::decode(&self.bytes[scan.end..], self.position_at(scan.end)) {
                Ok((header, _)) if header.sequence != scan.next_sequence => {
                    scan.defect = Some(Defect::Sequence {
                        due: scan.next_sequence,
                        found: header.sequence,
                    });
                    break;
                }
                Ok((header, payload)) => {
                    scan.last_record = Some((scan.end, header.durable_before));
                    scan.end += envelope::record_bytes(payload);
                    scan.next_sequence += 1;
                }
                Err(defect) => {
                    scan.defect = Some(defect);
                    break;
                }
            }
        }
        scan
    }

    /// The last of the intact records, where that is sealed.
    fn closed(&self, scan: &Scan) -> Option<Record> {
        let (offset, _) = scan.last_record?;
        let bytes = &self.bytes[offset..scan.end];
        let (header, payload) = envelope::decode(bytes, self.position_at(offset)).ok()?;
        (header.key_id != 0).then(|| header.with_payload(payload))
    }

    fn hash_after(&self, scan: &Scan) -> [u8; 32] {
        match scan.last_record {
            Some((offset, _)) => envelope::hash(&self.bytes[offset..scan.end]),
            None => self.header.hash_before,
        }
    }

    fn damaged(&self, offset: usize, reason: String, advice: &'static str) -> Corruption {
        Corruption {
            file: self.file.clone(),
            offset: offset as u64,
            position: Position(self.position_at(offset)),
            reason,
            advice,
        }
    }

    /// A segment with a successor must lead exactly to it.
    fn check_sealed(&self, next: &SegmentHeader) -> Result<(), Corruption> {
        let scan = self.scan();
        if self.header.log_id != next.log_id {
            return Err(foreign(self.file.clone()));
        }
        let leads_on = self.position_at(scan.end) == next.base
            && scan.next_sequence == next.first_sequence
            && self.hash_after(&scan) == next.hash_before;
        if leads_on {
            return Ok(());
        }
        let reason = match scan.defect {
            Some(defect) => format!(
                "{defect}, but the next segment begins at position {}",
                next.base
            ),
            None => format!(
                "the records do not lead to the next segment at position {}",
                next.base
            ),
        };
        Err(self.damaged(scan.end, reason, Corruption::RESTORE))
    }

    /// The last segment may end torn, unless something proves otherwise.
    fn check_last(&self, mark: Option<&Mark>) -> Result<Survey, Corruption> {
        let scan = self.scan();
        let end = self.position_at(scan.end);
        match scan.defect {
            Some(defect @ Defect::Format(_)) => {
                return Err(self.damaged(scan.end, defect.to_string(), Corruption::UPGRADE));
            }
            Some(defect @ Defect::Sequence { .. }) => {
                return Err(self.damaged(scan.end, defect.to_string(), Corruption::RESTORE));
            }
            _ => {}
        }
        let reason = || scan.defect.unwrap_or(Defect::Short);
        if let Some(mark) = mark
            && mark.head.next_position.0 > end
        {
            let reason = format!(
                "{}, but the log was durable up to position {}",
                reason(),
                mark.head.next_position
            );
            return Err(self.damaged(scan.end, reason, Corruption::RESTORE));
        }
        let rest = &self.bytes[scan.end..];
        let torn_bytes = rest
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last as u64 + 1);
        if torn_bytes > 0
            && let Some(witness) = self.witness_after(scan.end)
        {
            let reason = format!(
                "{}, but the intact record at position {witness} was written after it",
                reason()
            );
            return Err(self.damaged(scan.end, reason, Corruption::RESTORE));
        }
        let hash = self.hash_after(&scan);
        let torn = (torn_bytes > 0).then_some(TornTail {
            position: Position(end),
            bytes: torn_bytes,
        });
        Ok(Survey {
            log_id: self.header.log_id,
            bases: Vec::new(),
            head: Head {
                next_position: Position(end),
                sequence: scan.next_sequence.saturating_sub(1),
                hash,
            },
            torn,
            unproven: Position(
                scan.last_record
                    .map_or(end, |(_, durable)| durable.clamp(self.header.base, end)),
            ),
            closed: self.closed(&scan),
        })
    }

    /// An intact record after a broken place that proves the broken place had been synced.
    fn witness_after(&self, broken: usize) -> Option<Position> {
        let broken_position = self.position_at(broken);
        let last_start = self.bytes.len().checked_sub(HEADER_BYTES)?;
        (broken + 1..=last_start).find_map(|offset| {
            let (bytes, position) = (&self.bytes[offset..], self.position_at(offset));
            if envelope::position_field(bytes) != Ok(position) {
                return None;
            }
            let (header, _) = envelope::decode(bytes, position).ok()?;
            (header.durable_before > broken_position).then_some(Position(position))
        })
    }
}

fn parse_header(file: &Path, base: u64, bytes: &[u8]) -> Result<SegmentHeader, Corruption> {
    let parsed = SegmentHeader::from_bytes(bytes).and_then(|header| {
        if header.base == base {
            Ok(header)
        } else {
            Err("the file name and the segment header disagree")
        }
    });
    parsed.map_err(|reason| Corruption {
        file: file.to_owned(),
        offset: 0,
        position: Position(base),
        reason: reason.to_owned(),
        advice: Corruption::RESTORE,
    })
}

fn missing(dir: &Path, base: u64, until: Position) -> Corruption {
    Corruption {
        file: segment::path(dir, base),
        offset: 0,
        position: Position(base),
        reason: format!("the file is missing, but the log was durable up to position {until}"),
        advice: Corruption::RESTORE,
    }
}

fn foreign(file: PathBuf) -> Corruption {
    Corruption {
        file,
        offset: 16,
        position: Position(0),
        reason: "the file belongs to another log than the rest of the directory".to_owned(),
        advice: Corruption::RESTORE,
    }
}
