//! What a subject is told of itself (主体信用信息查询): what the lists keep of it, and what the cases tell.
//!
//! By identifier only, so that nobody is told of whoever bears the same name. Of other parties as much is shown as one
//! needs to know them again ([`others`]).

mod others;

use creditgate_measures::book::Book;
use creditgate_measures::clocks::notice::day_zh;
use creditgate_measures::identifier::Identifier;
use creditgate_proto::encode::{self, time_from_proto};
use creditgate_proto::subject::{alias_from_proto, alias_to_proto};
use creditgate_proto::who::{hidden, names_somebody};
use creditgate_proto::{Refused, Violation, v1};
use creditgate_runtime::access::Sees;
use creditgate_runtime::callers::{Caller, Callers};
use creditgate_runtime::ports::{CasesOfSubject, OfSubject};
use tonic::Status;

use self::others::{hide_listed, hide_related};
use super::subject;
use super::view_cache::ViewCache;
use crate::procedures::remedies::Now;
use crate::registry::Registry;

const REASON_CHARS_MAX: usize = 200;
const DOCUMENT_CHARS_MAX: usize = 128;

/// Why an entry that was in force is not any more, as [`v1::EntryStanding::why_not`] has it.
const ENDED: [&str; 3] = ["expired", "repaired", "revoked"];

/// A number of a document that may be recorded; none: it is too long, or somebody's code or number.
pub(super) fn document_no(text: &str) -> Option<&str> {
    recordable(text, DOCUMENT_CHARS_MAX)
}

/// A reason that may be recorded; none: as for [`document_no`].
pub(super) fn reason(text: &str) -> Option<&str> {
    recordable(text, REASON_CHARS_MAX)
}

fn recordable(text: &str, chars_max: usize) -> Option<&str> {
    let text = text.trim();
    let fits = text.chars().count() <= chars_max && !text.chars().any(char::is_control);
    (fits && !names_somebody(text)).then_some(text)
}

/// Why a text is refused that would be recorded.
fn not_recordable(chars_max: usize) -> String {
    format!(
        "at most {chars_max} characters, no control characters, and no code or number of a subject: it is recorded"
    )
}

/// Whose report is asked for.
pub(super) struct Asked {
    identifier: Identifier,
    document_no: String,
    page_size: u32,
    page_token: String,
}

impl Asked {
    /// What a request asks for.
    ///
    /// # Errors
    /// All rules of its form that it breaks.
    pub(super) fn read(asked: v1::GetSubjectReportRequest) -> Result<Self, Refused> {
        let (identifier, mut violations) = match alias_from_proto("subject", asked.subject.as_ref())
        {
            Ok(identifier) => (Some(identifier), Vec::new()),
            Err(refused) => (None, refused.violations),
        };
        match reason(&asked.reason) {
            Some("") => {
                let rule = "required: say why it is asked for";
                violations.push(Violation::new("reason", rule));
            }
            Some(_) => {}
            None => {
                let rule = not_recordable(REASON_CHARS_MAX);
                violations.push(Violation::new("reason", rule));
            }
        }
        match document_no(&asked.document_no) {
            Some("") => {
                let rule = "required: say by which document, such as the application";
                violations.push(Violation::new("document_no", rule));
            }
            Some(_) => {}
            None => {
                let rule = not_recordable(DOCUMENT_CHARS_MAX);
                violations.push(Violation::new("document_no", rule));
            }
        }
        Refused::unless_empty(violations)?;
        // Told above.
        let identifier = identifier.ok_or_else(|| Refused::one("subject", "required"))?;
        Ok(Self {
            identifier,
            document_no: asked.document_no.trim().to_owned(),
            page_size: asked.page_size,
            page_token: asked.page_token,
        })
    }

    /// What the lists keep of the subject. Blocks on the disk.
    ///
    /// # Errors
    /// When the change log cannot be read.
    pub(super) fn kept(self, registry: &Registry, views: &ViewCache) -> Result<Kept, Status> {
        let alias = alias_to_proto(&self.identifier);
        let query = v1::SubjectQuery {
            id_type: alias.id_type,
            id: alias.id,
            issuer: alias.issuer,
            name: String::new(),
        };
        let view = subject::get(
            registry,
            views,
            // Told of itself, a subject sees all of it, in full and however old (上海条例 art. 34).
            &Sees::default(),
            &v1::GetSubjectRequest {
                subject: Some(query),
                ..v1::GetSubjectRequest::default()
            },
        )?;
        let known = view.identifiers.iter();
        let known = known.filter_map(|known| {
            // Kept as valid; one that is not read back is none to look for.
            alias_from_proto("subject", known.identifier.as_ref()).ok()
        });
        let identifiers: Vec<Identifier> = known.collect();
        let (desk, generation) = (registry.desk(), registry.live().load_full());
        let now = Now {
            desk: &desk,
            book: &generation.book,
            now: registry.now(),
        };
        let own_entries: Vec<String> = view
            .entries
            .iter()
            .filter(|shown| is_own(shown))
            .map(|shown| entry_id(shown).to_owned())
            .collect();
        let procedures = now.procedures(&own_entries, &identifiers);
        let is_known = !view.changes.is_empty() || identifiers.len() > 1;
        let mut report = v1::GetSubjectReportResponse {
            list_version: view.list_version,
            at: view.at,
            book_version: view.book_version,
            document_no: self.document_no,
            nothing_kept: !is_known,
            moments: moments(view.timeline, &view.wrong_hits, &identifiers),
            identifiers: view.identifiers,
            names: view.names,
            relations: view.relations,
            procedures: procedures_shown(procedures, &identifiers),
            ..v1::GetSubjectReportResponse::default()
        };
        for relation in &mut report.relations {
            if let Some(other) = &mut relation.other {
                hide_related(other, &identifiers);
            }
        }
        let entries = view.entries.into_iter().map(|shown| {
            let mut entry = reported(shown, &generation.book, &identifiers);
            let of = entry.entry.as_ref().filter(|_| !is_related(&entry));
            let stands = of.and_then(|of| generation.lists.entry(&of.entry_id));
            entry.remedies = stands.map_or_else(Vec::new, |stands| now.remedies(&stands));
            entry
        });
        report.entries = entries.collect();
        // Each half keeps its order.
        report.entries.sort_by_key(|entry| entry.ended);
        Ok(Kept {
            report,
            identifiers,
            page_size: self.page_size,
            page_token: self.page_token,
        })
    }
}

/// A report without what the cases tell.
pub(super) struct Kept {
    report: v1::GetSubjectReportResponse,
    identifiers: Vec<Identifier>,
    page_size: u32,
    page_token: String,
}

impl Kept {
    /// What the cases are to tell.
    pub(super) fn of_subject(&self) -> OfSubject {
        OfSubject {
            identifiers: self.identifiers.clone(),
            page_size: self.page_size,
            page_token: self.page_token.clone(),
        }
    }

    /// The whole report; departments as the access policy knows them now.
    pub(super) fn with(
        self,
        told: CasesOfSubject,
        callers: &Callers,
    ) -> v1::GetSubjectReportResponse {
        let department = |caller: &str| {
            let known = callers.named(caller);
            let department = known.as_ref().and_then(Caller::department);
            department.unwrap_or_default().to_owned()
        };
        let mut report = self.report;
        report.measures = told.measures;
        for measure in &mut report.measures {
            measure.department = department(&measure.caller);
        }
        report.more_measures = told.more_measures;
        report.inquiries = told.inquiries;
        for inquiry in &mut report.inquiries {
            inquiry.department = department(&inquiry.caller);
            inquiry.purpose = hidden(&inquiry.purpose, &self.identifiers);
        }
        report.next_page_token = told.next_page_token;
        report.nothing_kept &= self.page_token.is_empty() && is_empty(&report);
        report.statement = statement(&report);
        report
    }
}

/// Whether a report tells of nothing but who was asked for.
fn is_empty(report: &v1::GetSubjectReportResponse) -> bool {
    report.names.is_empty()
        && report.relations.is_empty()
        && report.entries.is_empty()
        && report.measures.is_empty()
        && report.inquiries.is_empty()
        && report.procedures.is_empty()
        && report.moments.is_empty()
}

/// The report in one sentence.
fn statement(report: &v1::GetSubjectReportResponse) -> String {
    let day = report.at.as_ref().and_then(time_from_proto);
    let day = day.map_or_else(String::new, |at| day_zh(at.date()));
    if report.nothing_kept {
        return format!("截至{day}，本系统未保存该主体的任何记录。");
    }
    let own = || report.entries.iter().filter(|entry| !is_related(entry));
    let (all, ended) = (own().count(), own().filter(|entry| entry.ended).count());
    let related = report.entries.len() - all;
    let measures = report.measures.len();
    format!(
        "截至{day}，本系统保存该主体的名单记录{all}条（其中已终止{ended}条）、关联主体的名单记录{related}条；\
         所附尚在适用、待决定或者待解除的惩戒措施{measures}项、核查记录{}条{}。",
        report.inquiries.len(),
        match report.next_page_token.is_empty() && !report.more_measures {
            true => "",
            false => "，未全部列出",
        }
    )
}

fn is_own(shown: &v1::SubjectEntry) -> bool {
    shown.found_by == "identifier"
}

/// Whether somebody else is listed.
fn is_related(entry: &v1::ReportedEntry) -> bool {
    entry.found_by != "identifier"
}

fn entry_id(shown: &v1::SubjectEntry) -> &str {
    let entry = shown.record.as_ref().and_then(|one| one.entry.as_ref());
    entry.map_or("", |entry| entry.entry_id.as_str())
}

/// An entry as its subject is told of it, but for its remedies.
fn reported(shown: v1::SubjectEntry, book: &Book, own: &[Identifier]) -> v1::ReportedEntry {
    let is_own = is_own(&shown);
    let record = shown.record.unwrap_or_default();
    let mut entry = record.entry.unwrap_or_default();
    match is_own {
        true => {
            entry.reason = hidden(&entry.reason, own);
            entry.basis = hidden(&entry.basis, own);
            for related in &mut entry.related {
                hide_related(related, own);
            }
        }
        false => hide_listed(&mut entry, own),
    }
    let list = book.list(&entry.list);
    let bases = list.into_iter().flat_map(|list| &list.bases);
    let standing = shown.standing.as_ref();
    let why_not = standing.map_or("", |standing| standing.why_not.as_str());
    let history = record.history.into_iter();
    v1::ReportedEntry {
        ended: ENDED.contains(&why_not),
        recorded_at: record.recorded_at,
        standing: shown.standing,
        colour: shown.colour,
        list_title: shown.list_title,
        list_basis: bases.map(encode::basis).collect(),
        found_by: shown.found_by,
        history: history
            .map(|change| change_told(change, is_own, own))
            .collect(),
        remedies: Vec::new(),
        entry: Some(entry),
    }
}

/// A change without who recorded it. A correction tells which fields it changed; what stood there may be of others.
fn change_told(change: v1::EntryChange, is_own: bool, own: &[Identifier]) -> v1::EntryChange {
    let reason = match is_own {
        true => hidden(&change.reason, own),
        false => String::new(),
    };
    let fields = change.fields.into_iter().map(|changed| v1::FieldChange {
        field: changed.field,
        ..v1::FieldChange::default()
    });
    v1::EntryChange {
        reason,
        caller: String::new(),
        fields: fields.collect(),
        ..change
    }
}

fn procedures_shown(procedures: Vec<v1::Procedure>, own: &[Identifier]) -> Vec<v1::Procedure> {
    let procedures = procedures.into_iter().map(|mut procedure| {
        for step in &mut procedure.steps {
            // What the service did by itself bears the name of whoever called.
            step.by = match step.by == step.caller {
                true => String::new(),
                false => hidden(&step.by, own),
            };
            step.reason = hidden(&step.reason, own);
            step.caller.clear();
        }
        procedure
    });
    procedures.collect()
}

/// What inspections found, and wrong hits of the subject itself: an entry of it may have hit somebody else, too.
fn moments(
    timeline: Vec<v1::SubjectMoment>,
    wrong_hits: &[v1::WrongHit],
    own: &[Identifier],
) -> Vec<v1::SubjectMoment> {
    let was_hit = |seq: u64| {
        wrong_hits.iter().any(|hit| {
            let subject = hit.subject.as_ref();
            hit.wrong_hit == seq
                && subject.is_some_and(|subject| own.iter().any(|own| own.reveal() == subject.id))
        })
    };
    let told = timeline.into_iter().filter_map(|moment| {
        let inspected = moment.action.starts_with("inspection:");
        let hit = moment.action == "wrong_hit" && was_hit(moment.seq);
        (inspected || hit).then(|| v1::SubjectMoment {
            reason: hidden(&moment.reason, own),
            // Of an inspection it is the authority.
            caller: match inspected {
                true => moment.caller,
                false => String::new(),
            },
            ..moment
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use creditgate_measures::time::Date;

    use super::*;

    fn asked(id: &str, reason: &str, document_no: &str) -> v1::GetSubjectReportRequest {
        v1::GetSubjectReportRequest {
            subject: Some(v1::Alias {
                id_type: "USCC".to_owned(),
                id: id.to_owned(),
                issuer: String::new(),
            }),
            reason: reason.to_owned(),
            document_no: document_no.to_owned(),
            ..v1::GetSubjectReportRequest::default()
        }
    }

    #[test]
    fn a_report_is_asked_for_with_identifier_reason_and_document() {
        const FIRM: &str = "91219999MAYG58BR3Q";
        let check = |request: v1::GetSubjectReportRequest, wrong: &[&str]| {
            let refused = Asked::read(request).err();
            let violations = refused.map(|refused| refused.violations);
            let violations = violations.unwrap_or_default();
            let fields: Vec<_> = violations.iter().map(|one| one.field.as_str()).collect();
            assert_eq!(fields, wrong);
            assert!(!format!("{violations:?}").contains("MAYG"));
        };
        let number = "示例窗〔2026〕1号";
        check(asked(FIRM, "本人申请查询", number), &[]);
        check(asked("91219999MAYG58BR3X", "理由", number), &["subject.id"]);
        check(asked("", "理由", number), &["subject"]);
        check(asked(FIRM, " ", ""), &["reason", "document_no"]);
        check(asked(FIRM, "理由", FIRM), &["document_no"]);
        check(asked(FIRM, "理由", &"1".repeat(129)), &["document_no"]);
        check(asked(FIRM, &"由".repeat(200), number), &[]);
        check(asked(FIRM, &"由".repeat(201), number), &["reason"]);
        check(asked(FIRM, "理由\u{1B}[2J", number), &["reason"]);
        check(asked(FIRM, &format!("代{FIRM}查询"), number), &["reason"]);
        check(
            v1::GetSubjectReportRequest::default(),
            &["subject", "reason", "document_no"],
        );
    }

    #[test]
    fn nothing_is_kept_only_where_nothing_is_told() {
        let report = v1::GetSubjectReportResponse {
            at: Some(encode::time_to_proto(Date::from_days(20_000).start())),
            nothing_kept: true,
            ..v1::GetSubjectReportResponse::default()
        };
        assert!(is_empty(&report));
        assert_eq!(
            statement(&report),
            "截至2024年10月4日，本系统未保存该主体的任何记录。"
        );
        let asked_about = v1::GetSubjectReportResponse {
            nothing_kept: false,
            inquiries: vec![v1::Inquiry::default()],
            ..report
        };
        assert!(!is_empty(&asked_about));
        let told = statement(&asked_about);
        assert!(told.contains("核查记录1条"), "{told}");
    }
}
