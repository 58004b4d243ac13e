//! What a report asks for besides its own case: an id that no other has, and that the lists are told.

use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_runtime::journal::Position;
use creditgate_runtime::telemetry::names::field;
use prost::Message as _;

use super::Keeper;
use crate::error::{ActError, Error};
use crate::state::{CaseState, Refusal};
use crate::tell;

impl Keeper {
    /// Whether no report of another case has this id.
    pub(super) fn is_new(&self, case_id: &str, feedback_id: &str) -> Result<(), ActError> {
        let known = self.lookup.reported_by(feedback_id).map_err(Error::from)?;
        match known.filter(|known| known.case_id != case_id) {
            None => Ok(()),
            Some(_) => Err(Refusal::OtherContent(feedback_id.to_owned()).into()),
        }
    }

    /// What the lists are told of a report; none: the verdict's record cannot be read as one.
    pub(super) fn telling(
        &self,
        state: &CaseState,
        feedback_id: &str,
    ) -> Result<Option<What>, Error> {
        let report = state.report_of(feedback_id);
        let found = report.and_then(|report| Some((report, state.shown_at(report)?)));
        let Some((report, position)) = found else {
            return Ok(None);
        };
        let record = self.reviews.verdicts().read_at(Position(position))?;
        let record = match VerdictRecord::decode(record.payload) {
            Ok(record) => record,
            // It would stop all cases otherwise, and never be read.
            Err(error) => {
                tracing::error!(case = %state.case_id, { field::ERROR } = %error, "the lists are told nothing of a report: its verdict cannot be read");
                return Ok(None);
            }
        };
        let told = tell::lists_told(state, report, &record);
        Ok(Some(What::ListsTold(told)))
    }
}
