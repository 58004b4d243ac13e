//! Journal records: their kinds, and conversions of their parts.

use creditgate_measures::case::{CaseCheck, CaseView};
use creditgate_measures::event::StageCode;
use creditgate_measures::identifier::Key;
use creditgate_measures::verdict::Explained;

use crate::encode::{time_from_proto, time_to_proto};
use crate::journal::v1;

/// What the payload of a journal record is. FENCED: journals keep these numbers for decades; a
/// number is never given a second meaning, and 0 is none.
pub mod kind {
    /// A [`VerdictRecord`](crate::journal::v1::VerdictRecord): an answered event.
    pub const VERDICT: u16 = 1;
    /// A [`ListChange`](crate::journal::v1::ListChange): one accepted change of the lists.
    pub const LIST_CHANGE: u16 = 2;
    /// A [`BookRecord`](crate::journal::v1::BookRecord): a book that came into force.
    pub const BOOK: u16 = 3;
    /// A [`DeskRecord`](crate::journal::v1::DeskRecord): a step of what is under way around the lists.
    pub const DESK: u16 = 4;
    /// A [`CaseRecord`](crate::journal::v1::CaseRecord): something that happened to a case besides its
    /// verdicts.
    pub const CASE: u16 = 5;
    /// A [`CallRecord`](crate::v1::CallRecord): somebody called.
    pub const CALL: u16 = 6;
    /// A [`SimulationRecord`](crate::v1::SimulationRecord): recorded events decided with another book.
    pub const SIMULATION: u16 = 20;
    /// A [`ShadowDifference`](crate::v1::ShadowDifference): a verdict for which the shadow says
    /// something else.
    pub const SHADOW_DIFFERENCE: u16 = 21;
}

/// An entry found and not used, for the journal.
#[must_use]
pub fn explained_to_proto(explained: &Explained) -> v1::Explained {
    v1::Explained {
        subject: u32::try_from(explained.subject).unwrap_or(u32::MAX),
        entry_id: explained.entry_id.as_str().to_owned(),
        list: explained.list.as_str().to_owned(),
        path: explained.path.to_string(),
        reason: explained.reason.code().to_owned(),
    }
}

/// What is known of a case, for the journal.
#[must_use]
pub fn case_view_to_proto(case: &CaseView) -> v1::CaseView {
    v1::CaseView {
        opened_at: case.opened_at.map(time_to_proto),
        checks: case
            .checks
            .iter()
            .map(|check| v1::CaseCheck {
                subject_key: check.subject.0,
                stage: check.stage.as_str().to_owned(),
                at: Some(time_to_proto(check.at)),
            })
            .collect(),
    }
}

/// What was known of a case. A record never lacks a time; should one be lost, the check is left out.
#[must_use]
pub fn case_view_from_proto(case: &v1::CaseView) -> CaseView {
    CaseView {
        opened_at: case.opened_at.as_ref().and_then(time_from_proto),
        checks: case
            .checks
            .iter()
            .filter_map(|check| {
                Some(CaseCheck {
                    subject: Key(check.subject_key),
                    stage: StageCode::new(check.stage.as_str()),
                    at: check.at.as_ref().and_then(time_from_proto)?,
                })
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use creditgate_measures::time::Time;

    use super::*;

    #[test]
    fn kinds_are_fenced() {
        assert_eq!(
            [
                kind::VERDICT,
                kind::LIST_CHANGE,
                kind::BOOK,
                kind::DESK,
                kind::CASE
            ],
            [1, 2, 3, 4, 5]
        );
        assert_eq!([kind::SIMULATION, kind::SHADOW_DIFFERENCE], [20, 21]);
    }

    #[test]
    fn a_case_view_survives_the_journal() {
        let mut case = CaseView::default();
        assert_eq!(case_view_from_proto(&case_view_to_proto(&case)), case);
        case.record([CaseCheck {
            subject: Key(u64::MAX),
            stage: StageCode::new("evaluate"),
            at: Time::from_micros(1_750_000_000_123_456),
        }]);
        assert_eq!(case_view_from_proto(&case_view_to_proto(&case)), case);
    }
}
