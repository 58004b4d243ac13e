//! The notice to a subject when an official has confirmed a measure: measure, basis, reason, remedies.

use creditgate_measures::book::{Basis, Book};
use creditgate_measures::clocks::notice::{
    NOT_STATED, Occasion, Placeholder, day_zh, decision_zh, related_zh, render,
};
use creditgate_measures::entry::Entry;
use creditgate_measures::event::{Event, Sensitive, Subject};
use creditgate_measures::identifier::Identifier;
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Cause, Path, Triggered, Verdict};
use creditgate_proto::v1;

use crate::cases::Cases;
use crate::error::Error;
use crate::review::{Known, Supports};
use crate::state::{CaseMeasure, CaseState, Resting};

/// The text for the subject of the event on whom the measure falls: by the template of the book where an
/// entry supports it, which may be none; else, where a row supports it that needs no entry, by a form of
/// ours. Empty where nothing supports it now. Blocks on the disk.
pub(crate) fn confirmed(
    cases: &Cases,
    state: &CaseState,
    measure: &CaseMeasure,
    asked: &v1::DecideProposalRequest,
    now: Time,
) -> Result<String, Error> {
    let generation = cases.live().load_full();
    let (lists, book) = (&generation.lists, &generation.book);
    let resting = state.resting().find(|resting| resting.key == asked.key);
    let Some(resting) = resting else {
        return Ok(String::new());
    };
    let then = Known::now(cases.live(), now);
    let supports = Supports {
        reviews: cases.reviews().as_ref(),
        history: cases.history().as_ref(),
        then: &then,
    };
    // The verdict may rest on other entries than the measure does now, found in another way.
    let again = supports.decide_again(resting.position, &Cause::ListChange(then.seq()))?;
    let (basis, remedies) = row(&measure.measure_id, book);
    let decision = decision_zh(&asked.reason, &asked.document_no);
    let found = again.as_ref().and_then(|(event, verdict)| {
        let (subject, entry, path) = bitten(&resting, event, verdict, lists)?;
        let list = book.list(entry.list.as_str())?;
        Some((subject, entry, path, list))
    });
    let Some((subject, entry, path, list)) = found else {
        let alone = again.as_ref().and_then(|(event, verdict)| {
            let subject = by_row(&resting, event, verdict)?;
            Some(ByRow {
                subject,
                measure: &measure.title,
                basis: &basis,
                remedies: &remedies,
                decision: &decision,
                implementer: &asked.by,
                now,
            })
        });
        return Ok(alone.map(|of| of.text()).unwrap_or_default());
    };
    let Some(template) = book.notice_on(Occasion::MeasureBitten) else {
        return Ok(String::new());
    };
    let today = now.date().to_string();
    let own_name = subject.name.as_ref().map(Sensitive::reveal);
    let entry_name = entry.name.as_ref().map(Sensitive::reveal);
    let identifier = subject.valid_identifier(now).map(Identifier::reveal);
    let related = path.relation().map(|role| related_zh(role, entry_name));
    // What the event does not tell of somebody else than the listed one is not known: of the entry only
    // the name of the very same subject is taken.
    let name = own_name.or(entry_name.filter(|_| path == Path::Identifier));
    let mut extra = vec![
        (Placeholder::Subject, name.unwrap_or_default()),
        (Placeholder::Identifier, identifier.unwrap_or_default()),
        (Placeholder::Measure, measure.title.as_str()),
        (Placeholder::MeasureBasis, basis.as_str()),
        (Placeholder::Decision, decision.as_str()),
        (Placeholder::Implementer, asked.by.as_str()),
        (Placeholder::Remedies, remedies.as_str()),
        (Placeholder::NoticeDate, today.as_str()),
    ];
    let related = related.as_deref();
    extra.extend(related.map(|related| (Placeholder::Listed, related)));
    let text = render(template, &entry, list, book, &extra);
    Ok(text.reveal().to_owned())
}

/// Whom a measure falls on, by which of the entries that it rests on, and how that was found. Of several
/// an entry of the subject's own comes first.
fn bitten<'a>(
    resting: &Resting<'_>,
    event: &'a Event,
    verdict: &Verdict,
    lists: &Lists,
) -> Option<(&'a Subject, Entry, Path)> {
    let mut found = Vec::new();
    for place in &resting.places {
        let place = usize::try_from(*place).ok()?;
        let (subject, judged) = event.subjects.get(place).zip(verdict.subjects.get(place))?;
        let triggered = judged.triggered.iter();
        let of_measure = triggered.filter(|one| one.measure.id.as_str() == resting.measure_id);
        let hits = of_measure.filter_map(|one| one.entry.as_ref());
        found.extend(hits.map(|hit| (subject, hit)));
    }
    found.retain(|(_, hit)| {
        let mut entries = resting.basis.entries.iter();
        entries.any(|id| id == hit.entry_id.as_str())
    });
    found.sort_by_key(|(_, hit)| hit.path);
    found.into_iter().find_map(|(subject, hit)| {
        let entry = lists.entry(hit.entry_id.as_str())?;
        Some((subject, entry, hit.path))
    })
}

/// Whom a measure falls on that a row supports without any entry.
fn by_row<'a>(resting: &Resting<'_>, event: &'a Event, verdict: &Verdict) -> Option<&'a Subject> {
    let places = resting.places.iter().filter_map(|place| {
        let place = usize::try_from(*place).ok()?;
        event.subjects.get(place).zip(verdict.subjects.get(place))
    });
    let alone = |triggered: &Triggered| {
        triggered.measure.id.as_str() == resting.measure_id && triggered.entry.is_none()
    };
    let mut bitten = places.filter(|(_, judged)| judged.triggered.iter().any(alone));
    bitten.next().map(|(subject, _)| subject)
}

/// What the notice of a measure tells that rests on its row alone. The template of the book speaks of a
/// list on which somebody stands, and nobody does.
struct ByRow<'a> {
    subject: &'a Subject,
    measure: &'a str,
    basis: &'a str,
    remedies: &'a str,
    decision: &'a str,
    implementer: &'a str,
    now: Time,
}

impl ByRow<'_> {
    fn text(&self) -> String {
        let told = |text: &str| match text.trim() {
            "" => NOT_STATED.to_owned(),
            text => text.to_owned(),
        };
        let name = self.subject.name.as_ref().map(Sensitive::reveal);
        let identifier = self.subject.valid_identifier(self.now);
        let identifier = identifier.map(Identifier::reveal);
        format!(
            "惩戒措施实施告知书\n\n{}（{}）：\n\n\
             {}在办理有关事项时对你（单位）实施了下列措施。该措施依据有关规定直接实施，不以名单记录为依据。\n\n\
             措施：{}\n措施依据：{}\n决定理由：{}\n\n\
             对该措施有异议的，可以提出异议、依法申请行政复议或者提起行政诉讼。救济途径：{}\n\n{}\n",
            told(name.unwrap_or_default()),
            told(identifier.unwrap_or_default()),
            told(self.implementer),
            told(self.measure),
            told(self.basis),
            told(self.decision),
            told(self.remedies),
            day_zh(self.now.date()),
        )
    }
}

/// Basis and remedies of a row, as a notice writes them.
fn row(measure_id: &str, book: &Book) -> (String, String) {
    let mut rows = book.measures().iter();
    let Some(row) = rows.find(|row| row.id.as_str() == measure_id) else {
        return (String::new(), String::new());
    };
    let basis: Vec<String> = row.bases.iter().map(cited).collect();
    (basis.join("；"), row.remedies.zh.clone())
}

fn cited(basis: &Basis) -> String {
    let article = basis.article.as_deref().unwrap_or_default();
    let number = basis.document_no.as_deref().unwrap_or_default();
    match number.is_empty() {
        true => format!("《{}》{article}", basis.law),
        false => format!("《{}》（{number}）{article}", basis.law),
    }
}
