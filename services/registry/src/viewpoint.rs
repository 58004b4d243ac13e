//! From where somebody looks at the past: a version (what was known) and a moment (what was true).

use std::sync::Arc;

use creditgate_proto::{MinListVersion, Refused};
use creditgate_runtime::live::Generation;
use pbjson_types::Timestamp;
use tonic::Status;

use crate::change::time;
use crate::error::ChangeError;
use crate::follow::log_unreadable;
use crate::past_entries::Viewpoint;
use crate::registry::Registry;

/// The viewpoint that a question names. Without a version it is what is known now, and without a
/// moment the time of the version, or now.
///
/// # Errors
/// When the version is none of this log, or the moment none at all.
pub(crate) fn read(
    registry: &Registry,
    current: &Generation,
    as_of: &str,
    at: Option<Timestamp>,
) -> Result<Viewpoint, Status> {
    let refused = |refused: Refused| Status::from(ChangeError::Invalid(refused));
    let at = time("at", at).map_err(refused)?;
    let now = registry.now();
    let newest = current.lists.version();
    if as_of.trim().is_empty() {
        return Ok(Viewpoint {
            version: newest,
            earlier: false,
            known_at: now,
            at: at.unwrap_or(now),
            book: Arc::clone(&current.book),
        });
    }
    let seq = number(as_of.trim(), newest.log_id).map_err(refused)?;
    if seq == 0 || seq > newest.seq {
        let rule = format!("expected a version from 1 to {}", newest.seq);
        return Err(refused(Refused::one("as_of", rule)));
    }
    let past = registry.past();
    let record = past.record(seq).map_err(|error| log_unreadable(&error))?;
    let record = record.ok_or_else(|| Status::internal("the version has no record"))?;
    let known_at = record.recorded_at;
    Ok(Viewpoint {
        version: past.log().version(seq),
        earlier: true,
        known_at,
        at: at.unwrap_or(known_at),
        book: past.book_at(record.position, &current.book),
    })
}

fn number(text: &str, log_id: uuid::Uuid) -> Result<u64, Refused> {
    let version: MinListVersion = text
        .parse()
        .map_err(|_| Refused::one("as_of", "expected `<log_id>:<seq>`, or the number alone"))?;
    if version.log_id.is_some_and(|named| named != log_id) {
        let rule = "is a version of another change log";
        return Err(Refused::one("as_of", rule));
    }
    Ok(version.seq)
}
