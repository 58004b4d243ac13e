//! What the loop tells beside answers: numbers for operators, and, to whoever reads the log later, how far
//! changes of the lists were reviewed.

use creditgate_proto::journal::v1::ChangesReviewed;
use creditgate_proto::journal::v1::case_record::What;

use super::Keeper;
use crate::error::Error;

impl Keeper {
    /// Counts what stands open. The tables have an index for each number, so it costs little however many
    /// cases there are.
    pub(super) fn count(&self) -> Result<(), Error> {
        let now = self.now();
        let terms = self.shared.terms(&self.live);
        let overdue_before = terms.overdue_before(now).micros();
        let counts = self.lookup.standing(now.micros(), overdue_before)?;
        self.shared.metrics.set_cases(Some(counts));
        Ok(())
    }

    /// Records on a topic that every review is made that changes of the lists asked for: another process
    /// that takes over then looks at later changes only.
    pub(super) fn note_reviewed(&mut self) -> Result<(), Error> {
        let list_seq = self.table.mark().scanned;
        let noted = self.noted == Some(list_seq) || list_seq == 0;
        if self.log.topic.is_none() || noted || self.lookup.anything_waits()? {
            return Ok(());
        }
        let reviewed = What::Reviewed(ChangesReviewed { list_seq });
        self.record(vec![(String::new(), reviewed)], "", self.now())?;
        self.noted = Some(list_seq);
        Ok(())
    }
}
