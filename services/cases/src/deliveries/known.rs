//! What is recorded of deliveries, as the tables hold it, and the questions to it.

use creditgate_measures::event::Region;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{CaseRecord, DeliveryPut};
use prost::Message as _;
use rusqlite::types::Value;
use rusqlite::{Row, params};

use super::item::{Item, Kind, OUTBOX, outbox_row};
use crate::table::{Change, Error, Lookup, Seal};

/// Sealed columns, each with the name or place of its row.
const DEFINITION: &str = "deliveries.definition";
const CALLER: &str = "deliveries.caller";
const REASON: &str = "deliveries.reason";
const LETTER_REASON: &str = "letters.reason";

/// States as the tables hold them.
pub(super) const ACTIVE: &str = "active";
/// Somebody paused it.
pub(super) const PAUSED: &str = "paused";
/// The service paused it.
pub(super) const STOPPED: &str = "stopped";
/// Nothing is sent to it any more.
pub(super) const ENDED: &str = "ended";

/// A delivery as it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub put: DeliveryPut,
    /// Who put it.
    pub caller: String,
    pub state: String,
    pub reason: String,
    /// Everything up to here was taken, put aside, or does not concern it.
    pub position: u64,
    /// Place of the record that put or resumed it. What was sent before that counts for nothing after it.
    pub since: u64,
    /// When that was, in microseconds.
    pub since_at: i64,
    /// Things put aside.
    pub letters: u64,
}

/// Something that was put aside.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub position: u64,
    pub at: i64,
    pub id: String,
    pub reason: String,
    pub attempts: u32,
    pub resending: bool,
    pub kind: Option<Kind>,
    pub case_id: String,
}

impl Known {
    pub fn is_active(&self) -> bool {
        self.state == ACTIVE
    }

    pub fn has_ended(&self) -> bool {
        self.state == ENDED
    }

    /// Whether this is one of the things that it is to get.
    pub fn wants(&self, item: &Item) -> bool {
        let put = &self.put;
        let among = |wanted: &[String], value: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == value)
        };
        let region = || {
            let Some(here) = Region::parse(&item.region) else {
                return false;
            };
            let wanted = put.regions.iter().filter_map(|text| Region::parse(text));
            wanted.into_iter().any(|region| region.contains(here))
        };
        let whom = || {
            let mut named = item.whom.lines();
            named.any(|one| put.implementers.iter().any(|wanted| wanted == one))
        };
        put.of.iter().any(|of| of == item.kind.of())
            && match item.kind {
                Kind::Verdict => !put.findings_only || item.what != "PASS",
                Kind::LiftOrder => true,
                Kind::Notice => among(&put.notices, &item.what),
            }
            && among(&put.scenarios, &item.scenario)
            && among(&put.sources, &item.source)
            && (put.regions.is_empty() || region())
            && (put.implementers.is_empty() || whom())
    }
}

/// Whether a record is about deliveries.
pub(crate) const fn concerns(what: &What) -> bool {
    matches!(
        what,
        What::DeliveryPut(_)
            | What::DeliveryEnded(_)
            | What::DeliveryPaused(_)
            | What::DeliveryResumed(_)
            | What::DeliveryProgress(_)
            | What::DeliveryPutAside(_)
            | What::DeliveryResent(_)
            | What::DeliveryTaken(_)
    )
}

/// Takes in a record about a delivery, with its place in the journal.
pub(crate) fn noted(to: &Change<'_>, place: u64, record: &CaseRecord) -> Result<(), Error> {
    let at = record.recorded_at.as_ref().and_then(time_from_proto);
    let at = at.map_or(0, |at| at.micros());
    let (place, seal) = (place.cast_signed(), to.seal());
    let sets_back = |name: &str, position: u64| {
        // What is sent again in its turn needs no second way.
        to.run(
            "DELETE FROM letters WHERE delivery = ?1 AND position > ?2",
            params![name, position.cast_signed()],
        )
    };
    match &record.what {
        Some(What::DeliveryPut(put)) => {
            sets_back(&put.name, put.position)?;
            to.run(
                "INSERT OR REPLACE INTO deliveries VALUES (?1, ?2, ?3, ?4, x'', ?5, ?6, ?7)",
                params![
                    put.name,
                    seal.close(DEFINITION, &put.name, &put.encode_to_vec()),
                    seal.close(CALLER, &put.name, record.caller.as_bytes()),
                    ACTIVE,
                    put.position.cast_signed(),
                    place,
                    at
                ],
            )
        }
        Some(What::DeliveryEnded(ended)) => to.run(
            "UPDATE deliveries SET state = ?2, reason = ?3 WHERE name = ?1",
            params![
                ended.name,
                ENDED,
                seal.close(REASON, &ended.name, ended.reason.as_bytes())
            ],
        ),
        Some(What::DeliveryPaused(paused)) => {
            let state = match paused.by_itself {
                true => STOPPED,
                false => PAUSED,
            };
            to.run(
                "UPDATE deliveries SET state = ?2, reason = ?3 WHERE name = ?1",
                params![
                    paused.name,
                    state,
                    seal.close(REASON, &paused.name, paused.reason.as_bytes())
                ],
            )
        }
        Some(What::DeliveryResumed(resumed)) => {
            sets_back(&resumed.name, resumed.position)?;
            to.run(
                "UPDATE deliveries SET state = ?2, reason = x'', position = ?3, since = ?4, since_at = ?5
                    WHERE name = ?1",
                params![
                    resumed.name,
                    ACTIVE,
                    resumed.position.cast_signed(),
                    place,
                    at
                ],
            )
        }
        Some(What::DeliveryProgress(progress)) => to.run(
            "UPDATE deliveries SET position = max(position, ?2) WHERE name = ?1",
            params![progress.name, progress.position.cast_signed()],
        ),
        Some(What::DeliveryPutAside(aside)) => to.run(
            "INSERT OR REPLACE INTO letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
            params![
                aside.name,
                aside.position.cast_signed(),
                aside.nth,
                at,
                aside.id,
                seal.close(
                    LETTER_REASON,
                    letter_row(&aside.name, aside.position, aside.nth),
                    aside.reason.as_bytes()
                ),
                aside.attempts
            ],
        ),
        Some(What::DeliveryResent(resent)) if resent.positions.is_empty() => to.run(
            "UPDATE letters SET resending = 1 WHERE delivery = ?1",
            params![resent.name],
        ),
        Some(What::DeliveryResent(resent)) => {
            for position in &resent.positions {
                to.run(
                    "UPDATE letters SET resending = 1 WHERE delivery = ?1 AND position = ?2",
                    params![resent.name, position.cast_signed()],
                )?;
            }
            Ok(0)
        }
        Some(What::DeliveryTaken(taken)) => to.run(
            "DELETE FROM letters WHERE delivery = ?1 AND position = ?2 AND nth = ?3",
            params![taken.name, taken.position.cast_signed(), taken.nth],
        ),
        _ => Ok(0),
    }
    .map(drop)
}

const KNOWN: &str = "SELECT definition, caller, state, reason, position, since, since_at,
    (SELECT count(*) FROM letters WHERE delivery = name), name FROM deliveries";
const ITEM: &str =
    "SELECT position, nth, kind, at, case_id, scenario, region, source, whom, what, place, body
    FROM outbox";
const LETTER: &str =
    "SELECT l.position, l.at, l.id, l.reason, l.attempts, l.resending, o.kind, o.case_id, l.nth
    FROM letters l LEFT JOIN outbox o ON o.position = l.position AND o.nth = l.nth";

fn whole(number: u64) -> Value {
    Value::from(number.cast_signed())
}

/// Deliveries, by name.
pub(super) fn all(lookup: &Lookup) -> Result<Vec<Known>, Error> {
    let sql = format!("{KNOWN} ORDER BY name");
    lookup.rows(&sql, Vec::new(), |row| known(lookup.seal(), row))
}

/// One of them.
pub(super) fn named(lookup: &Lookup, name: &str) -> Result<Option<Known>, Error> {
    let sql = format!("{KNOWN} WHERE name = ?1");
    let name = vec![Value::from(name.to_owned())];
    let found = lookup.rows(&sql, name, |row| known(lookup.seal(), row))?;
    Ok(found.into_iter().next())
}

/// The position that was taken in last.
pub(super) fn head(lookup: &Lookup) -> Result<u64, Error> {
    let found = lookup.rows("SELECT taken FROM mark", Vec::new(), |row| {
        row.get::<_, i64>(0).map(i64::cast_unsigned)
    })?;
    Ok(found.first().copied().unwrap_or_default())
}

/// The next items after one, up to a position, without those that were put aside.
pub(super) fn items(
    lookup: &Lookup,
    name: &str,
    (position, nth): (u64, u32),
    up_to: u64,
    most: usize,
) -> Result<Vec<Item>, Error> {
    let sql = format!(
        "{ITEM} o WHERE (position, nth) > (?1, ?2) AND position <= ?3 AND NOT EXISTS
            (SELECT 1 FROM letters l WHERE l.delivery = ?4 AND l.position = o.position AND l.nth = o.nth)
            ORDER BY position, nth LIMIT {most}"
    );
    let name = Value::from(name.to_owned());
    let values = vec![whole(position), Value::from(nth), whole(up_to), name];
    lookup.rows(&sql, values, |row| item(lookup.seal(), row))
}

/// The position of the first item that came at this time or later.
pub(super) fn since(lookup: &Lookup, micros: i64) -> Result<Option<u64>, Error> {
    let sql = "SELECT min(position) FROM outbox WHERE at >= ?1";
    let found = lookup.rows(sql, vec![Value::from(micros)], |row| {
        row.get::<_, Option<i64>>(0)
    })?;
    Ok(found.first().copied().flatten().map(i64::cast_unsigned))
}

/// When the first thing behind a position came about, in microseconds.
pub(super) fn waits_since(lookup: &Lookup, position: u64) -> Result<Option<i64>, Error> {
    let sql = "SELECT at FROM outbox WHERE position > ?1 ORDER BY position LIMIT 1";
    let found = lookup.rows(sql, vec![whole(position)], |row| row.get(0))?;
    Ok(found.first().copied())
}

/// What was put aside, after a position.
pub(super) fn letters(
    lookup: &Lookup,
    name: &str,
    after: u64,
    most: usize,
) -> Result<Vec<Letter>, Error> {
    let sql = format!(
        "{LETTER} WHERE l.delivery = ?1 AND l.position > ?2 ORDER BY l.position, l.nth LIMIT {most}"
    );
    let values = vec![Value::from(name.to_owned()), whole(after)];
    lookup.rows(&sql, values, |row| letter(lookup.seal(), name, row))
}

/// What was put aside and is sent again.
pub(super) fn resending(lookup: &Lookup, name: &str, most: usize) -> Result<Vec<Item>, Error> {
    let sql = format!(
        "{ITEM} WHERE (position, nth) IN
            (SELECT position, nth FROM letters WHERE delivery = ?1 AND resending = 1)
            ORDER BY position, nth LIMIT {most}"
    );
    let name = vec![Value::from(name.to_owned())];
    lookup.rows(&sql, name, |row| item(lookup.seal(), row))
}

/// How many letters of a delivery stand at a position, or at all.
pub(super) fn count_letters(
    lookup: &Lookup,
    name: &str,
    position: Option<u64>,
) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM letters WHERE delivery = ?1 AND (?2 IS NULL OR position = ?2)";
    let position = position.map_or(Value::Null, whole);
    let values = vec![Value::from(name.to_owned()), position];
    let found = lookup.rows(sql, values, |row| row.get::<_, i64>(0))?;
    Ok(found.first().copied().unwrap_or_default().cast_unsigned())
}

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::cast_unsigned)
}

/// By what a letter is known among those of all deliveries.
fn letter_row(delivery: &str, position: u64, nth: u32) -> String {
    format!("{delivery}/{position}/{nth}")
}

fn known(seal: &Seal, row: &Row<'_>) -> rusqlite::Result<Known> {
    let name: String = row.get(8)?;
    let bytes = seal.open(DEFINITION, &name, row.get(0)?)?;
    let put = DeliveryPut::decode(&*bytes).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(error))
    })?;
    Ok(Known {
        put,
        caller: seal.open_text(CALLER, &name, row.get(1)?)?,
        state: row.get(2)?,
        reason: seal.open_text(REASON, &name, row.get(3)?)?,
        position: number(row, 4)?,
        since: number(row, 5)?,
        since_at: row.get(6)?,
        letters: number(row, 7)?,
    })
}

fn item(seal: &Seal, row: &Row<'_>) -> rusqlite::Result<Item> {
    let (position, nth): (u64, u32) = (number(row, 0)?, row.get(1)?);
    let kind: u8 = row.get(2)?;
    let kind = Kind::numbered(kind)
        .ok_or_else(|| rusqlite::Error::IntegralValueOutOfRange(2, i64::from(kind)))?;
    Ok(Item {
        position,
        nth,
        kind,
        at: row.get(3)?,
        case_id: row.get(4)?,
        scenario: row.get(5)?,
        region: row.get(6)?,
        source: row.get(7)?,
        whom: row.get(8)?,
        what: row.get(9)?,
        place: number(row, 10)?,
        body: seal.open(OUTBOX, outbox_row(position, nth), row.get(11)?)?,
    })
}

fn letter(seal: &Seal, delivery: &str, row: &Row<'_>) -> rusqlite::Result<Letter> {
    let (position, nth): (u64, u32) = (number(row, 0)?, row.get(8)?);
    let of = letter_row(delivery, position, nth);
    let kind: Option<u8> = row.get(6)?;
    Ok(Letter {
        position,
        at: row.get(1)?,
        id: row.get(2)?,
        reason: seal.open_text(LETTER_REASON, of, row.get(3)?)?,
        attempts: row.get(4)?,
        resending: row.get(5)?,
        kind: kind.and_then(Kind::numbered),
        case_id: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
