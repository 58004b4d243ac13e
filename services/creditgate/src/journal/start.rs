//! Where a verification begins when not at the first record: at a check point, and on whose word.

use std::path::Path;

use creditgate_runtime::check_points::{CheckPoint, Kind, LogHead, Mismatch, Said};
use creditgate_runtime::journal::{Head, Opened};
use creditgate_runtime::signing::PublicKeys;

use super::{ANCHOR, CHECK_POINTS, VERDICTS, Witness};
use crate::cli::Start;
use crate::failure::Failure;

/// A check point that a verification begins at. What lies before it is not read.
pub(super) struct Begin {
    point: CheckPoint,
    /// Whether its signature was verified.
    signed: bool,
}

impl Begin {
    /// Looks it up, among the witnesses where there is a key. None: those that were named do not hold, which is told.
    pub(super) fn find(
        start: Start,
        own: &Path,
        keys: &PublicKeys,
        witnesses: &[Witness],
    ) -> Result<Option<Self>, Failure> {
        let what = match start {
            Start::Anchor(_) => ANCHOR,
            Start::CheckPoint(_) | Start::Record(_) => CHECK_POINTS,
        };
        let unsigned;
        let said = match keys.is_empty() {
            false => match witnesses.iter().find(|witness| witness.what == what) {
                Some(witness) => &witness.said,
                None => return Ok(None),
            },
            true => {
                let read = Said::read_unsigned(Kind::Own, own)
                    .map_err(|error| Failure::new("read the check points", error))?;
                let none = || {
                    Failure::plain(format!(
                        "there are no check points in `{}` to begin at: verify without `--from`",
                        own.display()
                    ))
                };
                unsigned = read.ok_or_else(none)?;
                &unsigned
            }
        };
        let found = match start {
            Start::CheckPoint(number) | Start::Anchor(number) => said.point(number),
            Start::Record(record) => said.before(VERDICTS, record),
        };
        let found = found.map_err(|error| Failure::new("look for the start", error))?;
        let Some(point) = found else {
            return Err(Failure::plain(absent(start, what, said)));
        };
        Ok(Some(Self {
            point,
            signed: !keys.is_empty(),
        }))
    }

    /// The number of the check point.
    pub(super) fn number(&self) -> u64 {
        self.point.number
    }

    /// Where it says that a journal ended. None: it does not name it, so that one is read from its first record.
    pub(super) fn of(&self, journal: &str) -> Option<&LogHead> {
        self.point.heads.get(journal)
    }

    /// On whose word the records before it are taken.
    pub(super) fn word(&self) -> String {
        let CheckPoint { number, at, .. } = &self.point;
        match self.signed {
            true => format!("check point {number} of {at} vouches for them"),
            false => format!(
                "check point {number} of {at} names the last of them, and nobody vouches for what that file says: name the \
                 public key (`--key`)"
            ),
        }
    }

    /// What is wrong with a journal as far as its end tells, and with a walk that led to this head.
    pub(super) fn misplaced(
        &self,
        said: &LogHead,
        opened: &Opened,
        led_to: &Head,
    ) -> Option<Mismatch> {
        let (number, sequence) = (self.point.number, said.sequence);
        if said.log_id != opened.log_id {
            return Some(Mismatch::Other { number });
        }
        if opened.head.sequence < sequence {
            return Some(Mismatch::CutOff {
                number,
                sequence,
                end: opened.head.sequence,
            });
        }
        // Of the records before it none was read.
        let rewritten = Mismatch::Rewritten {
            number,
            sequence,
            agreed: 0,
        };
        (*led_to != opened.head).then_some(rewritten)
    }
}

fn absent(start: Start, what: &str, said: &Said) -> String {
    let number = |point: &Option<CheckPoint>| point.as_ref().map_or(0, |point| point.number);
    match start {
        Start::CheckPoint(wanted) | Start::Anchor(wanted) => format!(
            "there is no check point {wanted} among the {what}: they go from number {} to number {}",
            number(&said.first),
            number(&said.last)
        ),
        Start::Record(record) => format!(
            "no check point lies before record {record} of the verdicts: verify without `--from`"
        ),
    }
}
