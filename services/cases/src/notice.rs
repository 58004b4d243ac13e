//! The notice to a subject when an official has confirmed a measure: measure, basis, reason, remedies.

use creditgate_measures::book::{Basis, Book};
use creditgate_measures::clocks::notice::{Occasion, Placeholder, render};
use creditgate_measures::time::Time;
use creditgate_proto::v1;

use crate::cases::Cases;
use crate::state::CaseMeasure;

/// The text, by the template of the book; empty where the book has none, or the entry is gone.
pub(crate) fn confirmed(
    cases: &Cases,
    measure: &CaseMeasure,
    asked: &v1::DecideProposalRequest,
    now: Time,
) -> String {
    let generation = cases.live().load_full();
    let (lists, book) = (&generation.lists, &generation.book);
    let entry = measure.basis.entries.iter().find_map(|id| lists.entry(id));
    let (Some(template), Some(entry)) = (book.notice_on(Occasion::MeasureBitten), entry) else {
        return String::new();
    };
    let Some(list) = book.list(entry.list.as_str()) else {
        return String::new();
    };
    let (basis, remedies) = row(&measure.measure_id, book);
    let today = now.date().to_string();
    let extra = [
        (Placeholder::Measure, measure.title.as_str()),
        (Placeholder::MeasureBasis, basis.as_str()),
        (Placeholder::Reason, asked.reason.as_str()),
        (Placeholder::Implementer, asked.by.as_str()),
        (Placeholder::Remedies, remedies.as_str()),
        (Placeholder::NoticeDate, today.as_str()),
    ];
    render(template, &entry, list, book, &extra)
        .reveal()
        .to_owned()
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
