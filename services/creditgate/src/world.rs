//! Invented lists: thousands of entries of parties that cannot exist.

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::catalogue;
use creditgate_measures::identifier::invented;
use creditgate_measures::time::Time;
use creditgate_proto::v1;

use crate::client::Client;
use crate::failure::Failure;

/// Entries on the invented lists.
pub const ENTRIES: u64 = 5_000;
/// First number of an invented party that stands on a list; the scripts use the numbers below.
pub const FIRST: u64 = 100_000;

/// Lists with the months for which their entries hold here, and severity.
const LISTS: [(&str, u32, &str); 14] = [
    ("B01", 24, "serious"),
    ("B02", 30, "serious"),
    ("B03", 30, "serious"),
    ("B04", 30, "serious"),
    ("B05", 30, "serious"),
    ("B06", 20, "serious"),
    ("B07", 20, "serious"),
    ("A01", 30, "general"),
    ("A04", 11, "general"),
    ("A11", 11, "general"),
    ("A13", 11, "general"),
    ("G01", 11, ""),
    ("G02", 30, ""),
    ("G03", 20, ""),
];

/// The list on which a party of this number stands, with its months and severity.
fn list(n: u64) -> (&'static str, u32, &'static str) {
    let index = usize::try_from(n % 14).unwrap_or_default();
    LISTS.get(index).copied().unwrap_or(("A11", 11, "general"))
}

/// The name of an invented party.
pub fn name(n: u64) -> String {
    const WORDS: [&str; 8] = [
        "晨光", "远山", "清河", "金桥", "瑞丰", "东篱", "松石", "云帆",
    ];
    const TRADES: [&str; 5] = ["建设", "实业", "商贸", "科技", "置业"];
    let pick = |words: &[&'static str], n: u64| {
        let length = u64::try_from(words.len()).unwrap_or(1);
        usize::try_from(n % length)
            .ok()
            .and_then(|i| words.get(i).copied())
            .unwrap_or_default()
    };
    format!("示例{}{}{n}有限公司", pick(&WORDS, n), pick(&TRADES, n / 8))
}

/// One invented entry, in force since a month before `now`.
pub fn entry(n: u64, now: Time) -> v1::Entry {
    let (list, months, severity) = list(n);
    let since = now.date().plus_days(-30);
    v1::Entry {
        entry_id: format!("DEMO-{list}-{n}"),
        list: list.to_owned(),
        id_type: "USCC".to_owned(),
        id: invented::uscc(n),
        name: name(n),
        kind: "enterprise".to_owned(),
        severity: severity.to_owned(),
        designated_by: "演示机关 (invented)".to_owned(),
        document_no: format!("演示〔2026〕{n}号"),
        reason: "演示用虚构事由 (invented)".to_owned(),
        region: "320500".to_owned(),
        served_at: since.to_string(),
        valid_from: since.to_string(),
        valid_to: since.plus_months(months).prev_day().to_string(),
        state: "EFFECTIVE".to_owned(),
        source_unit: "演示数据 (invented)".to_owned(),
        ..v1::Entry::default()
    }
}

/// Brings entries in and has every list of the book confirmed.
pub async fn import(
    client: &mut Client,
    entries: Vec<v1::Entry>,
    lists: Vec<String>,
) -> Result<v1::ImportSummary, Failure> {
    let header = v1::ImportHeader {
        source_unit: "演示数据 (invented)".to_owned(),
        confirm_lists: lists,
        ..v1::ImportHeader::default()
    };
    let part = |part| v1::ImportRequest { part: Some(part) };
    let rows = (1..).zip(entries).map(move |(row, entry)| {
        part(v1::import_request::Part::Row(v1::ImportRow {
            entry: Some(entry),
            row,
            ..v1::ImportRow::default()
        }))
    });
    let header = part(v1::import_request::Part::Header(header));
    let stream = tokio_stream::iter(std::iter::once(header).chain(rows));
    let summary = client
        .lists
        .import(stream)
        .await
        .map_err(|status| Failure::new("import the invented lists", status))?
        .into_inner();
    if let Some(refused) = summary.refused.first() {
        return Err(Failure::plain(format!(
            "the invented lists are refused: row {} ({}): {}",
            refused.row, refused.entry_id, refused.reason
        )));
    }
    Ok(summary)
}

/// Codes of every list in the built-in catalogue; none if it were refused, which a test rules out.
pub fn all_lists() -> Vec<String> {
    // Its guards and cases were asked when the service took it.
    let book = Book::load_recorded(&catalogue::built_in(), &Deployment::default());
    book.iter()
        .flat_map(Book::lists)
        .map(|list| list.code.to_string())
        .collect()
}
