//! What the lists are told of reports: each once.
//!
//! What is told is read from the verdict that a report names, since a case keeps no identifiers; so the
//! record is made where the verdicts are read ([`crate::tell`]), and the case only remembers it.

use creditgate_proto::journal::v1::ListsTold;

use super::answers::Answer;
use super::feedback::{About, Report};
use super::{CaseState, Refusal, Taken};

impl Report {
    /// Whether the lists are to be told: of a penalty that was carried out, so that its subject is told, and
    /// of what an inspection found.
    #[must_use]
    pub fn is_to_be_told(&self) -> bool {
        !self.lists_told
            && match self.about {
                About::Penalty { .. } => self.says_executed(),
                About::Reward(_) => false,
                About::Inspection => true,
            }
    }
}

impl CaseState {
    /// A report of the case.
    #[must_use]
    pub fn report_of(&self, feedback_id: &str) -> Option<&Report> {
        let mut reports = self.reports.iter();
        reports.find(|report| report.feedback.feedback_id == feedback_id)
    }

    /// Position of the answer that shows what a report is about: of several answers of a slot the one that
    /// stands, unless only another one shows it.
    #[must_use]
    pub fn shown_at(&self, report: &Report) -> Option<u64> {
        let mut answers = self.answers(report.verdict);
        let stands = answers.next()?;
        let About::Penalty { measure, .. } = report.about else {
            return Some(stands.position);
        };
        let shows = |answer: &Answer<'_>| answer.shown.iter().any(|one| one.measure == measure);
        let other = answers.find(shows).filter(|_| !shows(&stands));
        Some(other.map_or(stands.position, |other| other.position))
    }

    pub(super) fn tell_lists(&mut self, told: &ListsTold) -> Result<Taken, Refusal> {
        let mut reports = self.reports.iter_mut();
        let report = reports.find(|report| report.feedback.feedback_id == told.feedback_id);
        let report = report.ok_or_else(|| Refusal::not_found("report", &told.feedback_id))?;
        if report.lists_told {
            return Ok(Taken::REPEATED);
        }
        report.lists_told = true;
        Ok(Taken::new(Vec::new()))
    }
}
