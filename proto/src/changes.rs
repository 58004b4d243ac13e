//! CloudEvents 1.0 around changes of the lists, as they are sent to departments.

use serde::Serialize;

use crate::encode::time_from_proto;
use crate::v1;
use crate::v1::watch_entries_response::What;

/// The media type of batched mode.
pub const BATCH: &str = "application/cloudevents-batch+json";
/// The type of every CloudEvent that holds a change. Receivers choose by it: it never changes.
pub const CHANGE_TYPE: &str = "cn.creditgate.list-change.v1";
/// Its source. With the id it names the change, however often it is sent.
pub const CHANGE_SOURCE: &str = "urn:creditgate:lists";

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    datacontenttype: &'static str,
    /// The extension `sequence` of CloudEvents.
    sequence: String,
    data: &'a v1::WatchEntriesResponse,
}

/// A change as one CloudEvent in JSON. Its id is `<log_id>:<seq>`: one that comes again is known by
/// it. The subject is the entry, the list or the row of the book.
///
/// # Errors
/// When the change cannot be written as JSON.
pub fn change_event(
    log_id: uuid::Uuid,
    change: &v1::WatchEntriesResponse,
) -> Result<String, serde_json::Error> {
    let subject = match &change.what {
        Some(What::Entry(watched)) => watched
            .entry
            .as_ref()
            .map_or("", |entry| entry.entry_id.as_str()),
        Some(What::Confirmed(confirmed)) => &confirmed.list,
        Some(What::Clock(clock)) if clock.entry_id.is_empty() => &clock.row_id,
        Some(What::Clock(clock)) => &clock.entry_id,
        None => "",
    };
    let time = change.recorded_at.as_ref().and_then(time_from_proto);
    serde_json::to_string(&Envelope {
        specversion: "1.0",
        id: format!("{log_id}:{}", change.seq),
        source: CHANGE_SOURCE,
        kind: CHANGE_TYPE,
        subject,
        time: time.map(|time| time.to_string()),
        datacontenttype: "application/json",
        sequence: change.seq.to_string(),
        data: change,
    })
}
