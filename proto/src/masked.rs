//! `Debug` of messages that hold identifiers or names: a log line may print any message.

use std::fmt::{Debug, Formatter, Result};

use crate::journal::v1::{
    CaseClosed, EntryPut, InspectionReported, ListsTold, MeasureTaken, NameChanged, NoticeServed,
    ProcedureStep, ProposalDecided, StatementKept,
};
use crate::v1::{
    Alias, CaseClosing, ChangeNameRequest, CloseCaseRequest, CodeProposal, DecideProposalRequest,
    Entry, Event, Feedback, FieldChange, GetSubjectReportRequest, IdentityChange, Inquiry,
    KnownName, OpenProcedureRequest, OpenWrongHitRequest, ProcedureStepTaken, ProposalDecision,
    ProposalResponse, RecordMeasureRequest, RecordServiceRequest, RelatedSubject,
    RenderNoticeRequest, RenderNoticeResponse, ReportedEntry, StepProcedureRequest, Subject,
    SubjectMoment, SubjectQuery, WrongHit,
};

/// Prints what is there as ＊＊＊ and what is not as empty.
struct Hidden<'a>(&'a str);

impl Debug for Hidden<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(if self.0.is_empty() {
            "\"\""
        } else {
            "＊＊＊"
        })
    }
}

/// A word of a closed set, as far as it looks like one: whoever sends the wrong field puts a person's number or name
/// there.
struct Word<'a>(&'a str);

impl Debug for Word<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let digits = self.0.bytes().filter(u8::is_ascii_digit).count();
        if digits <= 2 && self.0.bytes().all(is_word) {
            Debug::fmt(self.0, f)
        } else {
            Hidden(self.0).fmt(f)
        }
    }
}

impl Debug for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Event")
            .field("source", &self.source)
            .field("id", &self.id)
            .field("case_id", &self.case_id)
            .field("scenario", &self.scenario)
            .field("stage", &self.stage)
            .field("occurred_at", &self.occurred_at)
            .field("region", &self.region)
            .field("min_list_version", &self.min_list_version)
            .field("subjects", &self.subjects)
            .field("attributes", &self.attributes.len())
            .finish_non_exhaustive()
    }
}

impl Debug for Subject {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Subject")
            .field("party", &self.party)
            .field("role", &Word(&self.role))
            .field("id_type", &Word(&self.id_type))
            .field("id", &Hidden(&self.id))
            .field("name", &Hidden(&self.name))
            .field("kind", &Word(&self.kind))
            .finish_non_exhaustive()
    }
}

impl Debug for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Entry")
            .field("entry_id", &self.entry_id)
            .field("list", &self.list)
            .field("id_type", &Word(&self.id_type))
            .field("id", &Hidden(&self.id))
            .field("name", &Hidden(&self.name))
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Debug for RelatedSubject {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RelatedSubject")
            .field("role", &Word(&self.role))
            .field("id", &Hidden(&self.id))
            .field("name", &Hidden(&self.name))
            .finish_non_exhaustive()
    }
}

impl Debug for Alias {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Alias")
            .field("id_type", &Word(&self.id_type))
            .field("id", &Hidden(&self.id))
            .finish_non_exhaustive()
    }
}

impl Debug for SubjectQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SubjectQuery")
            .field("id_type", &Word(&self.id_type))
            .field("id", &Hidden(&self.id))
            .field("name", &Hidden(&self.name))
            .finish_non_exhaustive()
    }
}

impl Debug for EntryPut {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("EntryPut")
            .field("stored_bytes", &self.stored.len())
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl Debug for OpenProcedureRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("OpenProcedureRequest")
            .field("kind", &self.kind)
            .field("entry_id", &self.entry_id)
            .field("subject", &self.subject)
            .field("by", &Hidden(&self.by))
            .field("at", &self.at)
            .field("reason", &Hidden(&self.reason))
            .field("force", &self.force)
            .field("of_subject", &self.of_subject)
            .finish_non_exhaustive()
    }
}

impl Debug for StepProcedureRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("StepProcedureRequest")
            .field("procedure_id", &self.procedure_id)
            .field("step", &self.step)
            .field("outcome", &self.outcome)
            .field("by", &Hidden(&self.by))
            .field("at", &self.at)
            .field("reason", &Hidden(&self.reason))
            .finish_non_exhaustive()
    }
}

impl Debug for ProcedureStepTaken {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ProcedureStepTaken")
            .field("step", &self.step)
            .field("outcome", &self.outcome)
            .field("by", &Hidden(&self.by))
            .field("at", &self.at)
            .field("reason", &Hidden(&self.reason))
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

impl Debug for RenderNoticeRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RenderNoticeRequest")
            .field("notice", &self.notice)
            .field("entry_id", &self.entry_id)
            .field("values", &self.values.len())
            .finish()
    }
}

impl Debug for RenderNoticeResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RenderNoticeResponse")
            .field("title", &self.title)
            .field("text", &Hidden(&self.text))
            .field("missing", &self.missing)
            .finish()
    }
}

impl Debug for RecordServiceRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RecordServiceRequest")
            .field("entry_id", &self.entry_id)
            .field("notices", &self.notices)
            .field("how", &self.how)
            .field("served_at", &self.served_at)
            .field("by", &Hidden(&self.by))
            .field("reason", &Hidden(&self.reason))
            .finish_non_exhaustive()
    }
}

impl Debug for ProcedureStep {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ProcedureStep")
            .field("procedure_id", &self.procedure_id)
            .field("kind", &self.kind)
            .field("entry_id", &self.entry_id)
            .field("subject", &self.subject)
            .field("step", &self.step)
            .field("outcome", &self.outcome)
            .field("by", &Hidden(&self.by))
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Debug for NoticeServed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("NoticeServed")
            .field("notice", &self.notice)
            .field("entry_id", &self.entry_id)
            .field("how", &self.how)
            .field("served_at", &self.served_at)
            .field("by", &Hidden(&self.by))
            .finish_non_exhaustive()
    }
}

impl Debug for RecordMeasureRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("RecordMeasureRequest")
            .field("entry_id", &self.entry_id)
            .field("verdict_id", &self.verdict_id)
            .field("measure_id", &self.measure_id)
            .field("by", &Hidden(&self.by))
            .field("at", &self.at)
            .field("reason", &Hidden(&self.reason))
            .finish_non_exhaustive()
    }
}

impl Debug for MeasureTaken {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("MeasureTaken")
            .field("entry_id", &self.entry_id)
            .field("verdict_id", &self.verdict_id)
            .field("measure_id", &self.measure_id)
            .field("by", &Hidden(&self.by))
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Debug for InspectionReported {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("InspectionReported")
            .field("feedback_id", &self.feedback_id)
            .field("case_id", &self.case_id)
            .field("subject", &self.subject)
            .field("authority", &self.authority)
            .field("at", &self.at)
            .field("result", &self.result)
            .field("finding", &Hidden(&self.finding))
            .finish_non_exhaustive()
    }
}

impl Debug for ListsTold {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ListsTold")
            .field("feedback_id", &self.feedback_id)
            .field("measures", &self.measures)
            .field("reason", &Hidden(&self.reason))
            .field("inspection", &self.inspection)
            .finish()
    }
}

impl Debug for FieldChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("FieldChange")
            .field("field", &self.field)
            .field("old", &Hidden(&self.old))
            .field("new", &Hidden(&self.new))
            .finish_non_exhaustive()
    }
}

impl Debug for KnownName {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("KnownName")
            .field("name", &Hidden(&self.name))
            .field("current", &self.current)
            .field("since", &self.since)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Debug for IdentityChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("IdentityChange")
            .field("change", &self.change)
            .field("kind", &self.kind)
            .field("subject", &self.subject)
            .field("other", &self.other)
            .field("name", &Hidden(&self.name))
            .field("related", &self.related)
            .field("since", &self.since)
            .field("entry_id", &self.entry_id)
            .field("undone_by", &self.undone_by)
            .finish_non_exhaustive()
    }
}

impl Debug for ChangeNameRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ChangeNameRequest")
            .field("subject", &self.subject)
            .field("name", &Hidden(&self.name))
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

impl Debug for CodeProposal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CodeProposal")
            .field("entry_id", &self.entry_id)
            .field("list", &self.list)
            .field("name", &Hidden(&self.name))
            .field("candidates", &self.candidates)
            .finish_non_exhaustive()
    }
}

impl Debug for SubjectMoment {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SubjectMoment")
            .field("seq", &self.seq)
            .field("entry_id", &self.entry_id)
            .field("action", &self.action)
            .field("to", &self.to)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

impl Debug for WrongHit {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("WrongHit")
            .field("wrong_hit", &self.wrong_hit)
            .field("subject", &self.subject)
            .field("entry_id", &self.entry_id)
            .field("what", &self.what)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Debug for OpenWrongHitRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("OpenWrongHitRequest")
            .field("subject", &self.subject)
            .field("entry_id", &self.entry_id)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl Debug for GetSubjectReportRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("GetSubjectReportRequest")
            .field("subject", &self.subject)
            .field("reason", &Hidden(&self.reason))
            .field("document_no", &self.document_no)
            .finish_non_exhaustive()
    }
}

impl Debug for Inquiry {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Inquiry")
            .field("verdict_id", &self.verdict_id)
            .field("evaluated_at", &self.evaluated_at)
            .field("source", &self.source)
            .field("department", &self.department)
            .field("caller", &self.caller)
            .field("case_id", &self.case_id)
            .field("scenario", &self.scenario)
            .field("stage", &self.stage)
            .field("purpose", &Hidden(&self.purpose))
            .field("role", &self.role)
            .field("outcome", &self.outcome)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl Debug for ReportedEntry {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ReportedEntry")
            .field("entry", &self.entry)
            .field("standing", &self.standing)
            .field("ended", &self.ended)
            .field("found_by", &self.found_by)
            .finish_non_exhaustive()
    }
}

impl Debug for NameChanged {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("NameChanged")
            .field("subject", &self.subject)
            .field("name", &Hidden(&self.name))
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

impl Debug for StatementKept {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("StatementKept")
            .field("entry_id", &self.entry_id)
            .field("stored_bytes", &self.stored.len())
            .finish_non_exhaustive()
    }
}

impl Debug for Feedback {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Feedback")
            .field("feedback_id", &self.feedback_id)
            .field("verdict_id", &self.verdict_id)
            .field("measure_id", &self.measure_id)
            .field("subject", &self.subject)
            .field("status", &self.status)
            .field("reason", &Hidden(&self.reason))
            .field("operator", &Hidden(&self.operator))
            .field("department", &self.department)
            .field("executed_at", &self.executed_at)
            .field("inspection", &self.inspection)
            .finish_non_exhaustive()
    }
}

impl Debug for CloseCaseRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CloseCaseRequest")
            .field("case_id", &self.case_id)
            .field("reason", &Hidden(&self.reason))
            .finish_non_exhaustive()
    }
}

impl Debug for CaseClosing {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CaseClosing")
            .field("reason", &Hidden(&self.reason))
            .field("document_no", &self.document_no)
            .field("caller", &self.caller)
            .finish()
    }
}

impl Debug for CaseClosed {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("CaseClosed")
            .field("why", &self.why)
            .field("reason", &Hidden(&self.reason))
            .field("document_no", &self.document_no)
            .finish()
    }
}

impl Debug for DecideProposalRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("DecideProposalRequest")
            .field("case_id", &self.case_id)
            .field("key", &self.key)
            .field("decision", &self.decision)
            .field("by", &Hidden(&self.by))
            .field("reason", &Hidden(&self.reason))
            .finish_non_exhaustive()
    }
}

impl Debug for ProposalDecision {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ProposalDecision")
            .field("decision", &self.decision)
            .field("by", &Hidden(&self.by))
            .field("reason", &Hidden(&self.reason))
            .field("recorded_at", &self.recorded_at)
            .finish_non_exhaustive()
    }
}

impl Debug for ProposalDecided {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ProposalDecided")
            .field("key", &self.key)
            .field("decision", &self.decision)
            .field("by", &Hidden(&self.by))
            .field("reason", &Hidden(&self.reason))
            .finish_non_exhaustive()
    }
}

impl Debug for ProposalResponse {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ProposalResponse")
            .field("proposal", &self.proposal)
            .field("notice", &Hidden(&self.notice))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_name_in_the_place_of_a_word_is_hidden() {
        let check = |text: &str, shown: &str| assert_eq!(format!("{:?}", Word(text)), shown);
        for word in ["", "ID18", "consortium_member", "enterprise"] {
            check(word, &format!("{word:?}"));
        }
        for somebody in ["219999199003071231", "US91219999MAYG58BR3QCC", "某甲某"] {
            check(somebody, "＊＊＊");
        }
    }
}
