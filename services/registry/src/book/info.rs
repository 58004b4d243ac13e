//! What a book record tells to people and programs.

use creditgate_measures::book::Signing;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::BookRecord;
use creditgate_proto::v1;
use creditgate_runtime::hex::hex;
use creditgate_runtime::journal::Position;

use crate::error::Error;
use crate::log::{self, ChangeLog};

/// The book whose record stands at a position.
pub(crate) fn at(log: &ChangeLog, position: Position) -> Result<v1::BookInfo, Error> {
    let (record, seq, recorded_at) = log.book_entered_at(position)?;
    Ok(of(&record, seq, recorded_at))
}

/// The book of a record.
pub(crate) fn of(record: &BookRecord, seq: u64, recorded_at: Time) -> v1::BookInfo {
    let signing = log::signing_of(record);
    v1::BookInfo {
        version: hex(&record.book_version),
        content_hash: hex(&record.content_hash),
        name: record.name.clone(),
        edition: record.edition.clone(),
        seq,
        recorded_at: Some(time_to_proto(recorded_at)),
        origin: match record.origin.as_str() {
            // Recorded before there was another way.
            "" => log::BookOrigin::Started.code(),
            origin => origin,
        }
        .to_owned(),
        published_by: record.published_by.clone(),
        reason: record.reason.clone(),
        simulation_id: record.simulation_id.clone(),
        signing: match signing {
            Signing::Untold => "untold",
            Signing::Unsigned => "unsigned",
            Signing::Signed { .. } => "signed",
        }
        .to_owned(),
        key_id: record.key_id.clone(),
    }
}
