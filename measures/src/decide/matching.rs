//! Whether a row matches a subject and an entry, and what about it cannot be judged (spec 4).

use smallvec::SmallVec;

use super::explain::NotMatched;
use super::setting::Setting;
use super::subject::{Hit, Known};
use crate::book::terms::{self, Asked, StageRow};
use crate::book::{Measure, RowsByList};
use crate::condition::{Bindings, Record, Value};
use crate::event::{AttributeValue, Event, Region};
use crate::verdict::Why;
use crate::vocabulary::{Direction, Role, Severity};

/// What about a match cannot be judged; empty when all of it can.
pub(super) type Doubts = SmallVec<[Why; 2]>;

/// The rows that may apply to the subject, those without an entry and those of each hit's list; without those that
/// their terms alone rule out.
pub(super) fn candidates<'r, 'k, 'a>(
    rows: &'r RowsByList,
    setting: &'k Setting<'a>,
    known: &'k Known<'a>,
    lead_role: Option<Role>,
) -> impl Iterator<Item = (&'r StageRow, Option<&'k Hit<'a>>)> {
    let allowed = move |rows: &'r [StageRow], hit: Option<&'k Hit<'a>>| {
        let asked = asked(setting, known, lead_role, hit);
        let may_match = move |row: &&StageRow| {
            let allows = row.terms.allow(&asked);
            debug_assert!(
                allows || matches(&row.measure, setting, known, lead_role, hit).is_err(),
                "the terms of {} rule out what matches",
                row.measure.id
            );
            allows
        };
        let allowed = rows.iter().filter(may_match);
        allowed.map(move |row| (row, hit))
    };
    let on_hit = move |hit: &'k Hit<'a>| allowed(rows.naming(&hit.list.code), Some(hit));
    allowed(&rows.without_entry, None).chain(known.hits.iter().flat_map(on_hit))
}

/// What the terms of a row are asked about.
fn asked(
    setting: &Setting<'_>,
    known: &Known<'_>,
    lead_role: Option<Role>,
    hit: Option<&Hit<'_>>,
) -> Asked {
    let notice_day = setting.notice_day.unwrap_or(setting.day);
    let relation = hit.and_then(|hit| hit.path.relation());
    Asked {
        days: (setting.day.min(notice_day), setting.day.max(notice_day)),
        region: setting.event.region,
        roles: terms::role(known.given.role) | lead_role.map_or(0, terms::role),
        relation: relation.map_or(0, terms::role),
        kinds: known.kind.map_or(terms::ANY, terms::kind),
        severities: hit.and_then(severity).map_or(terms::ANY, terms::severity),
    }
}

/// What about the match cannot be judged, or the first reason why the row does not match.
pub(super) fn matches<'a>(
    row: &Measure,
    setting: &Setting<'a>,
    known: &Known<'a>,
    lead_role: Option<Role>,
    hit: Option<&Hit<'a>>,
) -> Result<Doubts, NotMatched> {
    let mut doubts = Doubts::new();
    if let Some(reason) = apart(row, setting) {
        return Err(reason);
    }
    subject_fits(row, known, lead_role, hit, &mut doubts)?;
    let asked = |fits: bool, reason| if fits { Ok(()) } else { Err(reason) };
    asked(severity_fits(row, hit, &mut doubts), NotMatched::Severity)?;
    asked(
        scope_fits(row, setting.event, hit, &mut doubts),
        NotMatched::Scope,
    )?;
    asked(
        condition_holds(row, setting, known, hit, &mut doubts),
        NotMatched::Condition,
    )?;
    Ok(doubts)
}

/// Why the row cannot match in this event, whoever the subject is.
pub(super) fn apart(row: &Measure, setting: &Setting<'_>) -> Option<NotMatched> {
    setting.apart(row).or_else(|| {
        (!notice_is_carried(row, setting.event)).then_some(NotMatched::NoticeNotCarried)
    })
}

/// A row that rests on the notice of the event applies only where the event carries it.
fn notice_is_carried(row: &Measure, event: &Event) -> bool {
    let carried = |name| event.text(name).is_some_and(|text| !text.is_empty());
    !row.rests_on_notice() || (carried("notice_no") && carried("notice_clause"))
}

/// Role and kind; a relation of the listed subject is asked for neither.
fn subject_fits(
    row: &Measure,
    known: &Known<'_>,
    lead_role: Option<Role>,
    hit: Option<&Hit<'_>>,
    doubts: &mut Doubts,
) -> Result<(), NotMatched> {
    if let Some(relation) = hit.and_then(|hit| hit.path.relation()) {
        return match row.extends_to.contains(&relation) {
            true => Ok(()),
            false => Err(NotMatched::Relation(relation)),
        };
    }
    let role_fits = row.roles.is_empty()
        || row.roles.contains(&known.given.role)
        || lead_role.is_some_and(|role| row.roles.contains(&role));
    if !role_fits {
        return Err(NotMatched::Role);
    }
    match known.kind {
        _ if row.kinds.is_empty() => Ok(()),
        Some(kind) if row.kinds.contains(&kind) => Ok(()),
        Some(_) => Err(NotMatched::Kind),
        None => {
            doubts.push(Why::KindMissing);
            Ok(())
        }
    }
}

/// Severity, the entry's own or the list's default. Rewards ask for it only when they name one.
fn severity_fits(row: &Measure, hit: Option<&Hit<'_>>, doubts: &mut Doubts) -> bool {
    let Some(hit) = hit else { return true };
    if row.action.direction() == Direction::Incentive && row.severities.is_empty() {
        return true;
    }
    match severity(hit) {
        Some(severity) => row.severities.is_empty() || row.severities.contains(&severity),
        None => {
            doubts.push(Why::SeverityMissing);
            true
        }
    }
}

/// Severity of an entry, or its list's default.
pub(super) fn severity(hit: &Hit<'_>) -> Option<Severity> {
    hit.entry.severity.or(hit.list.default_severity)
}

/// Scope of a scoped row: each dimension that the entry names must hold the event's value.
fn scope_fits(row: &Measure, event: &Event, hit: Option<&Hit<'_>>, doubts: &mut Doubts) -> bool {
    let Some(hit) = hit.filter(|_| row.scoped) else {
        return true;
    };
    let scope = &hit.entry.scope;
    let mut missing = scope.is_empty();
    for dimension in ["item", "trade", "region", "project"] {
        let mut codes = scope
            .iter()
            .filter_map(|code| code.strip_prefix(dimension)?.strip_prefix(':'))
            .peekable();
        if codes.peek().is_none() {
            continue;
        }
        let fits = match dimension {
            "region" => Some(codes.any(|code| {
                Region::parse(code).is_some_and(|region| region.contains(event.region))
            })),
            "item" => event
                .item_code
                .as_deref()
                .map(|own| codes.any(|code| code == own)),
            "trade" => event.text("trade").map(|own| codes.any(|code| code == own)),
            _ => event
                .text("project_kind")
                .map(|own| codes.any(|code| code == own)),
        };
        match fits {
            Some(true) => {}
            Some(false) => return false,
            None => missing = true,
        }
    }
    if missing {
        doubts.push(Why::ScopeMissing);
    }
    true
}

/// Required attributes and the condition. Without the attributes the condition is not asked.
fn condition_holds<'a>(
    row: &Measure,
    setting: &Setting<'a>,
    known: &Known<'a>,
    hit: Option<&Hit<'a>>,
    doubts: &mut Doubts,
) -> bool {
    let missing = row
        .required
        .iter()
        .filter(|name| !carries(setting.event, name));
    let before = doubts.len();
    doubts.extend(missing.map(|name| Why::AttributeMissing(name.clone())));
    if doubts.len() > before {
        return true;
    }
    let Some((condition, _)) = &row.condition else {
        return true;
    };
    let bindings = Bindings {
        event: setting.record.get_or_init(|| event_record(setting.event)),
        subject: known.record.get_or_init(|| subject_record(known)),
        entry: hit.map(|hit| hit.record.get_or_init(|| entry_record(hit))),
    };
    condition.evaluate(&bindings).unwrap_or_else(|_| {
        doubts.push(Why::ConditionError);
        true
    })
}

/// Whether the event carries the field or attribute.
fn carries(event: &Event, name: &str) -> bool {
    match name {
        "item_code" => event.item_code.is_some(),
        "amount_fen" => event.amount_fen.is_some(),
        "purpose" => event.purpose.is_some(),
        _ => event.attributes.contains_key(name),
    }
}

fn text(value: &str) -> Value<'_> {
    Value::Str(value.into())
}

/// The event as conditions see it; [`crate::book`] declares the same fields.
fn event_record(event: &Event) -> Record<'_> {
    let own = [
        Some(("scenario", text(event.scenario.as_str()))),
        Some(("stage", text(event.stage.as_str()))),
        Some(("region", Value::Str(event.region.to_string().into()))),
        Some((
            "occurred_on",
            Value::Str(event.occurred_at.date().to_string().into()),
        )),
        event
            .item_code
            .as_deref()
            .map(|code| ("item_code", text(code))),
        event
            .amount_fen
            .map(|amount| ("amount_fen", Value::Int(amount))),
        event
            .purpose
            .as_deref()
            .map(|purpose| ("purpose", text(purpose))),
    ];
    let attributes = event.attributes.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::Text(value) => text(value),
            AttributeValue::Int(value) => Value::Int(*value),
            AttributeValue::Bool(value) => Value::Bool(*value),
            AttributeValue::List(values) => {
                Value::List(values.iter().map(|value| value.as_ref().into()).collect())
            }
        };
        (name.as_ref(), value)
    });
    Record::new(own.into_iter().flatten().chain(attributes))
}

/// The subject as conditions see it.
fn subject_record<'a>(known: &Known<'a>) -> Record<'a> {
    let fields = [
        Some(("role", text(known.given.role.code()))),
        known.kind.map(|kind| ("kind", text(kind.code()))),
        known
            .identifier
            .map(|identifier| ("id_type", text(identifier.id_type().code()))),
        Some(("identity", text(known.identity.code()))),
    ];
    Record::new(fields.into_iter().flatten())
}

/// The entry as conditions see it.
fn entry_record<'a>(hit: &Hit<'a>) -> Record<'a> {
    let entry = &hit.entry;
    let fields = [
        Some(("list", text(entry.list))),
        severity(hit).map(|severity| ("severity", text(severity.code()))),
        entry.grade.map(|grade| ("grade", text(grade))),
        entry.kind.map(|kind| ("kind", text(kind.code()))),
        entry
            .designated_by
            .map(|authority| ("designated_by", text(authority))),
        entry
            .document_no
            .map(|number| ("document_no", text(number))),
        entry
            .region
            .or(hit.list.default_region)
            .map(|region| ("region", Value::Str(region.to_string().into()))),
        Some(("repeat_count", Value::Int(entry.repeat_count.into()))),
        Some((
            "valid_from",
            Value::Str(entry.valid_from.date().to_string().into()),
        )),
    ];
    Record::new(fields.into_iter().flatten())
}
