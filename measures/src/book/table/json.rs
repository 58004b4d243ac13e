//! Everything a book knows as JSON: keys as in the files, sorted, absent where nothing is known.

use serde_json::{Map, Value, json};

use super::super::{
    Agreement, Basis, Book, Edition, List, Measure, NotExpressed, RepairRule, Scenario, Supplement,
    Text,
};
use super::{Part, cells};
use crate::clocks::calendar::CalendarYear;
use crate::clocks::{Limit, Notice, Procedure};
use crate::event::{ListCode, ScenarioCode, StageCode};
use crate::time::Date;
use crate::vocabulary::Direction;

/// The whole of one part, headed by the book it stands in.
#[must_use]
pub fn part(book: &Book, part: Part) -> Value {
    let mut value = head(book);
    let rows = |direction| {
        let rows = book.measures().iter();
        rows.filter(|row| row.action.direction() == direction)
            .map(|measure| row(measure))
            .collect()
    };
    let (key, items): (&str, Vec<Value>) = match part {
        Part::Penalties => ("penalties", rows(Direction::Penalty)),
        Part::Incentives => ("incentives", rows(Direction::Incentive)),
        Part::Lists => ("lists", book.lists().iter().map(|one| list(one)).collect()),
        Part::Scenarios => ("scenarios", book.scenarios().map(scenario).collect()),
        Part::NotExpressed => (
            "not_expressed",
            book.not_expressed().iter().map(not_expressed).collect(),
        ),
        // The head of every part holds the rules already.
        Part::Repair => return Value::from(value),
        Part::Calendar => ("calendar", book.calendar().years().map(year).collect()),
        Part::Notices => ("notices", book.notices().iter().map(notice).collect()),
    };
    value.insert(key.to_owned(), Value::from(items));
    Value::from(value)
}

/// Every version of the row, or the list or notice, with this id; none when the book has none.
#[must_use]
pub fn one(book: &Book, id: &str) -> Option<Value> {
    let rows: Vec<Value> = book
        .measures()
        .iter()
        .filter(|row| row.id.as_str() == id)
        .map(|measure| row(measure))
        .collect();
    let mut value = Map::from_iter([
        ("book".to_owned(), Value::from(book.name())),
        (
            "version".to_owned(),
            Value::from(book.version().to_string()),
        ),
    ]);
    if rows.is_empty()
        && let Some(found) = book.notice(id)
    {
        value.insert("notice".to_owned(), notice(found));
    } else if rows.is_empty() {
        let found = book.list(id)?;
        value.insert("list".to_owned(), list(found));
        value.insert(
            "named_by".to_owned(),
            json!(cells::naming(book, &found.code)),
        );
    } else {
        value.insert("rows".to_owned(), Value::from(rows));
    }
    Some(Value::from(value))
}

fn head(book: &Book) -> Map<String, Value> {
    let mut value = Map::new();
    let head = json!({
        "book": book.name(),
        "title": text(book.title()),
        "version": book.version().to_string(),
        "covers_from": book.covers_from().to_string(),
        "edition": edition(book.edition()),
        "supplements": book.supplements().iter().map(supplement).collect::<Vec<_>>(),
        "repair_rules": book.repair_rules().iter().map(repair_rule).collect::<Vec<_>>(),
        "agreements": book.agreements().iter().map(agreement).collect::<Vec<_>>(),
    });
    if let Value::Object(head) = head {
        value.extend(head);
    }
    value
}

/// Without the keys of which nothing is known.
fn known(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            _ => true,
        });
    }
    value
}

fn text(text: &Text) -> Value {
    json!({ "zh": text.zh, "en": text.en })
}

fn day(day: Option<crate::time::Date>) -> Option<String> {
    day.map(|day| day.to_string())
}

fn edition(edition: &Edition) -> Value {
    let item = |(code, item): (&String, &super::super::Item)| {
        json!({
            "code": code,
            "class": item.class.code(),
            "title": text(&item.title),
            "confidence": item.confidence.code(),
        })
    };
    known(json!({
        "code": &*edition.code,
        "title": text(&edition.title),
        "document_no": edition.document_no.as_deref(),
        "published_at": day(edition.published_at),
        "effective_from": day(edition.effective_from),
        "effective_to": day(edition.effective_to),
        "items": edition.items.iter().map(item).collect::<Vec<_>>(),
    }))
}

fn supplement(supplement: &Supplement) -> Value {
    known(json!({
        "supplement": &*supplement.code,
        "title": text(&supplement.title),
        "level": supplement.level.code(),
        "region": supplement.region.to_string(),
        "basis": basis(&supplement.basis),
        "example": supplement.example,
        "effective_from": day(supplement.effective_from),
        "effective_to": day(supplement.effective_to),
    }))
}

/// A version of a rule on repair.
#[must_use]
pub fn repair_rule(rule: &RepairRule) -> Value {
    let months = |period: &super::super::source::PeriodSource| {
        known(json!({ "months_min": period.months_min, "months_max": period.months_max }))
    };
    known(json!({
        "version": &*rule.version,
        "title": text(&rule.title),
        "basis": basis(&rule.basis),
        "effective_from": day(rule.effective_from),
        "effective_to": day(rule.effective_to),
        "periods": known(json!({
            "minor": rule.periods.minor.as_ref().map(months),
            "general": rule.periods.general.as_ref().map(months),
            "serious": rule.periods.serious.as_ref().map(months),
        })),
        "general": rule.general.then_some(true),
        "limits": rule.limits.iter().map(limit).collect::<Vec<_>>(),
        "confidence": rule.confidence.code(),
    }))
}

fn limit((procedure, limit): (Procedure, &Limit)) -> Value {
    known(json!({
        "procedure": procedure.code(),
        "step": &*limit.step,
        "title": { "zh": &*limit.title_zh, "en": &*limit.title_en },
        "days": limit.days,
        "unit": limit.unit.code(),
        "counted_from": &*limit.counted_from,
        "basis": limit.law.as_ref().map(basis),
        "default": limit.is_default.then_some(true),
        "confidence": limit.confidence.code(),
    }))
}

fn year(year: &CalendarYear) -> Value {
    let holiday = |(title, from, to): &(Text, Date, Date)| json!({ "title": text(title), "from": from.to_string(), "to": to.to_string() });
    known(json!({
        "year": year.year,
        "title": text(&year.title),
        "basis": basis(&year.basis),
        "off": year.holidays.iter().map(holiday).collect::<Vec<_>>(),
        "works": year.works.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "confidence": year.confidence.code(),
    }))
}

fn notice(notice: &Notice) -> Value {
    known(json!({
        "id": &*notice.id,
        "title": text(&notice.title),
        "when": notice.when.code(),
        "together_with": notice.together_with.iter().map(|id| &**id).collect::<Vec<_>>(),
        "proves_service": notice.proves_service.then_some(true),
        "basis": bases(&notice.bases),
        "text": &*notice.text,
        "confidence": notice.confidence.code(),
    }))
}

fn basis(basis: &Basis) -> Value {
    known(json!({
        "law": &*basis.law,
        "article": basis.article.as_deref(),
        "document_no": basis.document_no.as_deref(),
        "level": basis.level.code(),
        "issuer": basis.issuer.as_deref(),
        "region": basis.region.map(|region| region.to_string()),
        "reaches": basis.reaches.iter().map(|field| &**field).collect::<Vec<_>>(),
    }))
}

fn bases(bases: &[Basis]) -> Vec<Value> {
    bases.iter().map(basis).collect()
}

/// One version of a row.
#[must_use]
pub fn row(row: &Measure) -> Value {
    let applies = |(scenario, stages): &(ScenarioCode, Vec<StageCode>)| {
        json!({
            "scenario": scenario.as_str(),
            "stages": stages.iter().map(StageCode::as_str).collect::<Vec<_>>(),
        })
    };
    let excluded = |(list, because): &(ListCode, Basis)| json!({ "list": list.as_str(), "basis": basis(because) });
    let confirmed = row
        .confirmed
        .as_ref()
        .map(|(by, document)| json!({ "confirmed_by": &**by, "document": &**document }));
    known(json!({
        "id": row.id.as_str(),
        "title": text(&row.title),
        "content": text(&row.content),
        "field": &*row.field,
        "supplement": row.supplement.as_deref(),
        "varies": row.varies.as_ref().map(|id| id.as_str()),
        "direction": row.action.direction().code(),
        "effect": row.action.code(),
        "item": row.item.as_deref(),
        "class": row.class.map(|class| class.code()),
        "force": row.force.code(),
        "parameters": row.parameters.as_ref().map(parameters),
        "excluded_by": row.excluded_by.iter().map(excluded).collect::<Vec<_>>(),
        "applies": row.applies.iter().map(applies).collect::<Vec<_>>(),
        "lists": row.lists.iter().map(ListCode::as_str).collect::<Vec<_>>(),
        "severities": row.severities.iter().map(|word| word.code()).collect::<Vec<_>>(),
        "kinds": row.kinds.iter().map(|word| word.code()).collect::<Vec<_>>(),
        "roles": row.roles.iter().map(|word| word.code()).collect::<Vec<_>>(),
        "scoped": row.scoped,
        "extends_to": row.extends_to.iter().map(|word| word.code()).collect::<Vec<_>>(),
        "reaches_party": row.reaches_party,
        "region": row.region.map(|region| region.to_string()),
        "when": row.condition.as_ref().map(|(_, text)| &**text),
        "required": row.required.iter().map(|name| &**name).collect::<Vec<_>>(),
        "basis": bases(&row.bases),
        "published_at": day(row.published_at),
        "published_in": row.published_in.as_deref(),
        "effective_from": day(row.effective_from),
        "effective_to": day(row.effective_to),
        "active": row.active,
        "inactive_without": cells::lacking(row),
        "confirmed": confirmed,
        "implementer": text(&row.implementer),
        "remedies": text(&row.remedies),
        "confidence": row.confidence.code(),
        "cases": row.cases,
    }))
}

fn parameters(figures: &super::super::source::ParametersSource) -> Value {
    known(json!({
        "ratio": figures.ratio,
        "points": figures.points,
        "percent": figures.percent,
        "cap_fen": figures.cap_fen,
        "period": figures.period,
    }))
}

/// A list definition.
#[must_use]
pub fn list(list: &List) -> Value {
    let repair = |(version, rule): &(std::sync::Arc<str>, Option<Text>)| {
        known(json!({ "version": &**version, "rule": rule.as_ref().map(text) }))
    };
    known(json!({
        "code": list.code.as_str(),
        "colour": list.colour.code(),
        "name": text(&list.name),
        "authority": &*list.authority,
        "basis": bases(&list.bases),
        "field": &*list.field,
        "reach": list.reach.code(),
        "kind": list.kind.code(),
        "max_period_months": list.max_period_months,
        "until_performed": list.until_performed,
        "repair": list.repair.iter().map(repair).collect::<Vec<_>>(),
        "freshness_budget_hours": list.freshness_budget_micros / 3_600_000_000,
        "default_severity": list.default_severity.map(|severity| severity.code()),
        "default_region": list.default_region.map(|region| region.to_string()),
        "personal_score": list.personal_score,
        "supplement": list.supplement.as_deref(),
        "confidence": list.confidence.code(),
    }))
}

/// A scenario with its stages.
#[must_use]
pub fn scenario(scenario: &Scenario) -> Value {
    let stage = |stage: &super::super::Stage| {
        known(json!({
            "code": stage.code.as_str(),
            "title": text(&stage.title),
            "decisive": stage.decisive,
            "after": stage.after.as_ref().map(StageCode::as_str),
        }))
    };
    let attribute = |(name, ty): (&std::sync::Arc<str>, &crate::vocabulary::AttributeType)| {
        json!({
            "name": &**name,
            "type": ty.code(),
            "personal_score": scenario.personal_scores.contains(name),
        })
    };
    known(json!({
        "scenario": scenario.code.as_str(),
        "title": text(&scenario.title),
        "actor": scenario.actor.code(),
        "go_live": day(scenario.go_live),
        "stages": scenario.stages.iter().map(stage).collect::<Vec<_>>(),
        "attributes": scenario.attributes.iter().map(attribute).collect::<Vec<_>>(),
    }))
}

/// An agreement.
#[must_use]
pub fn agreement(agreement: &Agreement) -> Value {
    known(json!({
        "id": &*agreement.id,
        "lists": agreement.lists.iter().map(ListCode::as_str).collect::<Vec<_>>(),
        "from": agreement.from.to_string(),
        "to": agreement.to.to_string(),
        "basis": bases(&agreement.bases),
        "supplement": agreement.supplement.as_deref(),
        "effective_from": agreement.effective_from.to_string(),
        "effective_to": day(agreement.effective_to),
    }))
}

fn not_expressed(left_out: &NotExpressed) -> Value {
    json!({
        "id": &*left_out.id,
        "title": text(&left_out.title),
        "reason": text(&left_out.reason),
    })
}
