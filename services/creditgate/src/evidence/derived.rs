//! The files of a package that follow from its raw ones.

use creditgate_measures::book::table::json;
use creditgate_measures::time::Time;
use creditgate_proto::entry_to_proto;
use creditgate_runtime::hex::hex;
use serde::Serialize;
use serde_json::{Value, json};

use super::parts::{Listed, Parts};
use super::{ENTRIES, EVENT, Files, MEASURES, PAGE, RECEIPT, VERDICT, page};
use crate::failure::Failure;

/// Every file that follows from what a package says: the same bytes each time.
pub fn derived(parts: &Parts) -> Result<Files, Failure> {
    let files = [
        (VERDICT, pretty(&parts.verdict)?),
        (EVENT, pretty(&parts.event)?),
        (ENTRIES, pretty(&entries(&parts.entries)?)?),
        (MEASURES, pretty(&measures(parts))?),
        (
            RECEIPT,
            format!("{}\n", parts.record.receipt()).into_bytes(),
        ),
        (PAGE, page::render(parts).into_bytes()),
    ];
    Ok(files
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect())
}

/// The entries as recorded, each with the number, the time and the hash of its record.
fn entries(entries: &[Listed]) -> Result<Value, Failure> {
    entries
        .iter()
        .map(|Listed { record, entry }| {
            let entry = serde_json::to_value(entry_to_proto(entry))
                .map_err(|error| Failure::new("write an entry", error))?;
            Ok(json!({
                "seq": record.sequence,
                "recorded_at": Time::from_micros(record.time_micros).to_string(),
                "record_hash": hex(&record.receipt().hash),
                "entry": entry,
            }))
        })
        .collect::<Result<Vec<_>, Failure>>()
        .map(Value::from)
}

/// The rows with their legal bases, and the lists on which the entries stand.
fn measures(parts: &Parts) -> Value {
    let rows: Vec<Value> = parts.rows.iter().map(|row| json::row(row)).collect();
    let lists: Vec<Value> = parts
        .list_codes()
        .into_iter()
        .filter_map(|code| parts.book.list(code))
        .map(|list| json::list(list))
        .collect();
    json!({
        "book": parts.book.name(),
        "book_version": parts.verdict.book_version,
        "rows": rows,
        "lists": lists,
    })
}

fn pretty(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut json = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::new("write a part of the package", error))?;
    json.push(b'\n');
    Ok(json)
}
