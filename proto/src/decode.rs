//! Messages as values of our own: an event with every rule of its form kept, or what it breaks.
//!
//! Form is judged here, against nothing but limits. What the book knows (scenarios, stages,
//! attributes) is asked by [`book_violations`]. A wrong check digit breaks no rule: the subject is
//! then `unverified`, and the verdict says so.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use creditgate_measures::book::{Book, Scenario};
use creditgate_measures::event::{
    AttributeValue, CaseId, Event, EventId, GivenIdentifier, PartyId, Region, ScenarioCode,
    Sensitive, Source, StageCode, Subject,
};
use creditgate_measures::identifier::IdType;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::{AttributeType, Role, SubjectKind};
use pbjson_types::value::Kind;

use crate::encode::time_from_proto;
use crate::refused::{Refused, Violation, is_word, quoted};
use crate::v1;
use crate::version::MinListVersion;

/// How much one event may hold, and how far ahead it may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most subjects.
    pub subjects_max: usize,
    /// Most attributes.
    pub attributes_max: usize,
    /// How far ahead of the service's clock an event may lie, in seconds (specification 7).
    pub ahead_seconds_max: i64,
}

impl Limits {
    /// Of what the journal keeps nothing is refused for a limit that was lowered since.
    const NONE: Self = Self {
        subjects_max: usize::MAX,
        attributes_max: usize::MAX,
        ahead_seconds_max: i64::MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            subjects_max: 200,
            attributes_max: 64,
            ahead_seconds_max: 300,
        }
    }
}

/// An event, and what its sender asks besides.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedEvent {
    /// The event.
    pub event: Event,
    /// The oldest list version the answer may rest on.
    pub min_list_version: Option<MinListVersion>,
}

pub(crate) const ID_CHARS_MAX: usize = 128;
pub(crate) const NAME_CHARS_MAX: usize = 256;
pub(crate) const TEXT_CHARS_MAX: usize = 512;
const ATTRIBUTE_NAME_CHARS_MAX: usize = 64;
const ATTRIBUTE_TEXT_CHARS_MAX: usize = 1_024;
const ATTRIBUTE_LIST_MAX: usize = 64;
/// Whole numbers travel as doubles in JSON and `google.protobuf.Value`; beyond ±2^53 they are not
/// exact, and a number read wrongly would be judged wrongly.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The event, with all rules of its form kept; `received_at` is the service's clock.
///
/// # Errors
/// All violations, when there are any.
pub fn event_from_proto(
    event: &v1::Event,
    limits: &Limits,
    received_at: Time,
) -> Result<DecodedEvent, Refused> {
    let mut violations = Vec::new();
    let v = &mut violations;
    let source = required_id(v, "source", &event.source);
    let id = required_id(v, "id", &event.id);
    let case_id = required_id(v, "case_id", &event.case_id);
    let scenario = required_id(v, "scenario", &event.scenario);
    let stage = required_id(v, "stage", &event.stage);
    let (occurred_at, clock_filled) = occurred_at(v, event, limits, received_at);
    let region = region(v, "region", &event.region);
    id_text(v, "item_code", &event.item_code);
    amount(v, event.amount_fen);
    let min_list_version = min_list_version(v, &event.min_list_version);
    chars_at_most(v, "purpose", &event.purpose, TEXT_CHARS_MAX);
    let subjects = subjects(v, &event.subjects, limits);
    let attributes = attributes(v, event, limits);
    let region = region.unwrap_or(Region::NATION);
    Refused::unless_empty(violations)?;
    let event = Event {
        source: Source::new(source),
        id: EventId::new(id),
        case_id: CaseId::new(case_id),
        scenario: ScenarioCode::new(scenario),
        stage: StageCode::new(stage),
        occurred_at,
        clock_filled,
        region,
        item_code: shared(&event.item_code),
        amount_fen: event.amount_fen,
        purpose: shared(&event.purpose),
        subjects,
        attributes,
    };
    Ok(DecodedEvent {
        event,
        min_list_version,
    })
}

/// The event of a journal record, for which no limit of today counts.
///
/// # Errors
/// When the record holds no event, or one that this code would never have recorded.
pub fn event_from_record(record: &crate::journal::v1::VerdictRecord) -> Result<Event, Refused> {
    let Some(stored) = &record.event else {
        return Err(Refused::one("event", "missing in the record"));
    };
    if stored.occurred_at.is_none() {
        return Err(Refused::one("event.occurred_at", "missing in the record"));
    }
    let mut event = event_from_proto(stored, &Limits::NONE, Time::MAX)?.event;
    event.clock_filled = record.clock_filled;
    Ok(event)
}

/// What the book does not know of an event: its scenario, its stage, an attribute or its type.
///
/// Allocates nothing when all is well.
#[must_use]
pub fn book_violations(event: &Event, book: &Book) -> Vec<Violation> {
    let mut violations = Vec::new();
    let Some(scenario) = book.scenario(event.scenario.as_str()) else {
        let known = listed(book.scenarios().map(|s| s.code.as_str()));
        let rule = format!(
            "unknown scenario {}; known: {known}",
            quoted(event.scenario.as_str())
        );
        violations.push(Violation::new("scenario", rule));
        return violations;
    };
    if scenario.stage(event.stage.as_str()).is_none() {
        let known = listed(scenario.stages.iter().map(|s| s.code.as_str()));
        let rule = format!(
            "scenario `{}` has no stage {}; known: {known}",
            scenario.code,
            quoted(event.stage.as_str()),
        );
        violations.push(Violation::new("stage", rule));
    }
    for (name, value) in &event.attributes {
        attribute_violation(&mut violations, scenario, name, value);
    }
    violations
}

fn attribute_violation(
    v: &mut Vec<Violation>,
    scenario: &Scenario,
    name: &str,
    value: &AttributeValue,
) {
    let rule = match scenario.attributes.get(name) {
        None => {
            let known = listed(scenario.attributes.keys().map(AsRef::as_ref));
            format!(
                "scenario `{}` declares no such attribute; it declares: {known}",
                scenario.code
            )
        }
        Some(declared) => match (declared, value) {
            (AttributeType::String, AttributeValue::Text(_))
            | (AttributeType::Int, AttributeValue::Int(_))
            | (AttributeType::Bool, AttributeValue::Bool(_))
            | (AttributeType::StringList, AttributeValue::List(_)) => return,
            (AttributeType::Date, AttributeValue::Text(text)) if is_day(text) => return,
            (AttributeType::String, _) => "expected a text".to_owned(),
            (AttributeType::Int, _) => "expected a whole number".to_owned(),
            (AttributeType::Bool, _) => "expected true or false".to_owned(),
            (AttributeType::Date, _) => "expected a day as `YYYY-MM-DD`".to_owned(),
            (AttributeType::StringList, _) => "expected a list of texts".to_owned(),
        },
    };
    v.push(Violation::new(AttributePath(name), rule));
}

/// One form only, since conditions compare days as they stand.
fn is_day(text: &str) -> bool {
    text.len() == 10 && text.as_bytes().get(4) == Some(&b'-') && Date::parse(text).is_ok()
}

fn occurred_at(
    v: &mut Vec<Violation>,
    event: &v1::Event,
    limits: &Limits,
    received_at: Time,
) -> (Time, bool) {
    let Some(stamp) = &event.occurred_at else {
        return (received_at, true);
    };
    match time_from_proto(stamp).filter(in_years) {
        None => v.push(Violation::new(
            "occurred_at",
            "expected a time in the years 1900 to 9999",
        )),
        Some(time) if time > received_at.plus_seconds(limits.ahead_seconds_max) => {
            let rule = format!(
                "lies more than {} seconds ahead of the service's clock",
                limits.ahead_seconds_max
            );
            v.push(Violation::new("occurred_at", rule));
        }
        Some(time) => return (time, false),
    }
    (received_at, true)
}

/// The years 1900 to 9999 in Asia/Shanghai.
pub(crate) fn in_years(time: &Time) -> bool {
    (1_900..=9_999).contains(&time.date().year())
}

pub(crate) fn amount(v: &mut Vec<Violation>, amount_fen: Option<i64>) {
    if amount_fen.is_some_and(|amount| amount < 0) {
        v.push(Violation::new("amount_fen", "must not be negative"));
    }
}

fn min_list_version(v: &mut Vec<Violation>, text: &str) -> Option<MinListVersion> {
    if text.is_empty() {
        return None;
    }
    match text.parse() {
        Ok(version) => Some(version),
        Err(error) => {
            v.push(Violation::new("min_list_version", format!("{error}")));
            None
        }
    }
}

fn subjects(v: &mut Vec<Violation>, subjects: &[v1::Subject], limits: &Limits) -> Vec<Subject> {
    if subjects.is_empty() {
        v.push(Violation::new("subjects", "required: at least one"));
    }
    if subjects.len() > limits.subjects_max {
        let rule = format!("at most {}, got {}", limits.subjects_max, subjects.len());
        v.push(Violation::new("subjects", rule));
        return Vec::new();
    }
    subjects
        .iter()
        .enumerate()
        .filter_map(|(index, s)| subject(v, index, s))
        .collect()
}

fn subject(v: &mut Vec<Violation>, index: usize, subject: &v1::Subject) -> Option<Subject> {
    let at = |name: &'static str| Item {
        list: "subjects",
        index,
        name,
    };
    id_text(v, at("party"), &subject.party);
    let role = role(v, at("role"), &subject.role);
    let given = given(
        v,
        at("id_type"),
        at("id"),
        at("issuer"),
        &GivenText::of(subject),
    );
    let name = name(v, at("name"), &subject.name);
    let kind = kind(v, at("kind"), &subject.kind);
    let party = (!subject.party.is_empty()).then(|| PartyId::new(subject.party.as_str()));
    Some(Subject::new(party, role?, kind, given, name))
}

/// An identifier with its type and issuer, as a message writes it.
pub(crate) struct GivenText<'a> {
    pub(crate) id_type: &'a str,
    pub(crate) id: &'a str,
    pub(crate) issuer: &'a str,
}

impl<'a> GivenText<'a> {
    fn of(subject: &'a v1::Subject) -> Self {
        Self {
            id_type: &subject.id_type,
            id: &subject.id,
            issuer: &subject.issuer,
        }
    }
}

/// The identifier as it came. A type without an identifier is none: forms fill types in advance.
pub(crate) fn given(
    v: &mut Vec<Violation>,
    id_type_at: impl fmt::Display,
    id_at: impl fmt::Display,
    issuer_at: impl fmt::Display,
    text: &GivenText<'_>,
) -> Option<GivenIdentifier> {
    chars_at_most(v, id_at, text.id, ID_CHARS_MAX);
    chars_at_most(v, &issuer_at, text.issuer, ID_CHARS_MAX);
    let id_type = match IdType::parse(text.id_type) {
        Some(id_type) => id_type,
        None if text.id_type.is_empty() && text.id.is_empty() => return None,
        None => {
            let what = if text.id_type.is_empty() {
                "required with an identifier".to_owned()
            } else {
                format!("unknown identifier type {}", quoted(text.id_type))
            };
            let known = listed(IdType::ALL.iter().map(|t| t.code()));
            v.push(Violation::new(
                id_type_at,
                format!("{what}; known: {known}"),
            ));
            return None;
        }
    };
    if text.id.is_empty() {
        return None;
    }
    if id_type == IdType::Other && text.issuer.is_empty() {
        v.push(Violation::new(issuer_at, "required for `OTHER`"));
    }
    Some(GivenIdentifier {
        id_type,
        value: Sensitive::new(text.id),
        issuer: shared(text.issuer),
    })
}

pub(crate) fn role(v: &mut Vec<Violation>, at: impl fmt::Display, code: &str) -> Option<Role> {
    let role = Role::parse(code);
    if role.is_none() {
        let known = listed(Role::ALL.iter().map(|role| role.code()));
        let what = if code.is_empty() {
            "required".to_owned()
        } else {
            format!("unknown role {}", quoted(code))
        };
        v.push(Violation::new(at, format!("{what}; known: {known}")));
    }
    role
}

pub(crate) fn kind(
    v: &mut Vec<Violation>,
    at: impl fmt::Display,
    code: &str,
) -> Option<SubjectKind> {
    let kind = SubjectKind::parse(code);
    if kind.is_none() && !code.is_empty() {
        let known = listed(SubjectKind::ALL.iter().map(|kind| kind.code()));
        v.push(Violation::new(
            at,
            format!("unknown kind {}; known: {known}", quoted(code)),
        ));
    }
    kind
}

pub(crate) fn name(v: &mut Vec<Violation>, at: impl fmt::Display, text: &str) -> Option<Sensitive> {
    chars_at_most(v, at, text, NAME_CHARS_MAX);
    (!text.is_empty()).then(|| Sensitive::new(text))
}

pub(crate) fn region(v: &mut Vec<Violation>, at: impl fmt::Display, text: &str) -> Option<Region> {
    let region = Region::parse(text);
    if region.is_none() {
        v.push(Violation::new(
            at,
            "required: six digits of GB/T 2260, such as `320500`",
        ));
    }
    region
}

fn attributes(
    v: &mut Vec<Violation>,
    event: &v1::Event,
    limits: &Limits,
) -> BTreeMap<Arc<str>, AttributeValue> {
    if event.attributes.len() > limits.attributes_max {
        let rule = format!(
            "at most {}, got {}",
            limits.attributes_max,
            event.attributes.len()
        );
        v.push(Violation::new("attributes", rule));
        return BTreeMap::new();
    }
    let mut attributes = BTreeMap::new();
    for (name, value) in &event.attributes {
        if name.is_empty() || longer_than(name, ATTRIBUTE_NAME_CHARS_MAX) {
            let rule = format!("names have 1 to {ATTRIBUTE_NAME_CHARS_MAX} characters");
            v.push(Violation::new(AttributePath(name), rule));
        }
        match attribute(value.kind.as_ref()) {
            Ok(value) => {
                attributes.insert(Arc::from(name.as_str()), value);
            }
            Err(rule) => v.push(Violation::new(AttributePath(name), rule)),
        }
    }
    attributes
}

fn attribute(kind: Option<&Kind>) -> Result<AttributeValue, String> {
    match kind {
        Some(Kind::StringValue(text)) => attribute_text(text).map(AttributeValue::Text),
        Some(Kind::NumberValue(number)) => whole(*number).map(AttributeValue::Int),
        Some(Kind::BoolValue(bool)) => Ok(AttributeValue::Bool(*bool)),
        Some(Kind::ListValue(list)) if list.values.len() > ATTRIBUTE_LIST_MAX => Err(format!(
            "at most {ATTRIBUTE_LIST_MAX} texts, got {}",
            list.values.len()
        )),
        Some(Kind::ListValue(list)) => list
            .values
            .iter()
            .map(|value| match &value.kind {
                Some(Kind::StringValue(text)) => attribute_text(text),
                _ => Err("a list holds texts only".to_owned()),
            })
            .collect::<Result<_, _>>()
            .map(AttributeValue::List),
        Some(Kind::NullValue(_)) | None => {
            Err("null is refused: leave the attribute out".to_owned())
        }
        Some(Kind::StructValue(_)) => Err("an object is refused".to_owned()),
    }
}

fn attribute_text(text: &str) -> Result<Arc<str>, String> {
    if longer_than(text, ATTRIBUTE_TEXT_CHARS_MAX) {
        return Err(format!("at most {ATTRIBUTE_TEXT_CHARS_MAX} characters"));
    }
    Ok(Arc::from(text))
}

fn whole(number: f64) -> Result<i64, String> {
    if number.fract() != 0.0 || number.abs() > WHOLE_MAX {
        // NaN and the infinities have a fraction of NaN, which is not 0.
        return Err("expected a whole number within ±2^53".to_owned());
    }
    // Exact within ±2^53.
    Ok(number as i64)
}

fn required_id<'a>(v: &mut Vec<Violation>, at: &'static str, text: &'a str) -> &'a str {
    if text.trim().is_empty() {
        v.push(Violation::new(at, "required"));
    } else {
        id_text(v, at, text);
    }
    text
}

/// An id: short, and without characters that cannot be seen in a log or a path.
pub(crate) fn id_text(v: &mut Vec<Violation>, at: impl fmt::Display, text: &str) {
    if text.chars().any(char::is_control) {
        v.push(Violation::new(&at, "must not hold control characters"));
    }
    chars_at_most(v, at, text, ID_CHARS_MAX);
}

pub(crate) fn chars_at_most(
    v: &mut Vec<Violation>,
    at: impl fmt::Display,
    text: &str,
    chars_max: usize,
) {
    if longer_than(text, chars_max) {
        v.push(Violation::new(
            at,
            format!("at most {chars_max} characters"),
        ));
    }
}

fn longer_than(text: &str, chars_max: usize) -> bool {
    text.len() > chars_max && text.chars().nth(chars_max).is_some()
}

pub(crate) fn shared(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| Arc::from(text))
}

pub(crate) fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(word);
    }
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}

/// Path of a field inside a list; a text only when there is something to tell.
#[derive(Clone, Copy)]
pub(crate) struct Item {
    pub(crate) list: &'static str,
    pub(crate) index: usize,
    pub(crate) name: &'static str,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.list, self.index)?;
        if self.name.is_empty() {
            Ok(())
        } else {
            write!(f, ".{}", self.name)
        }
    }
}

/// Path of an attribute; its name is the sender's text, see [`quoted`].
struct AttributePath<'a>(&'a str);

impl fmt::Display for AttributePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_word(self.0) {
            write!(f, "attributes.{}", self.0)
        } else {
            f.write_str("attributes.?")
        }
    }
}

#[cfg(test)]
mod tests {
    use creditgate_measures::book::Text;
    use creditgate_measures::vocabulary::Actor;

    use super::*;

    #[test]
    fn the_book_says_which_attributes_a_scenario_declares() {
        let attributes = [
            ("notice_no", AttributeType::String),
            ("rounds", AttributeType::Int),
            ("mandatory_tender", AttributeType::Bool),
            ("notice_published_at", AttributeType::Date),
            ("trades", AttributeType::StringList),
        ];
        let scenario = Scenario {
            code: ScenarioCode::new("tender"),
            title: Text {
                zh: String::new(),
                en: String::new(),
            },
            actor: Actor::Public,
            go_live: None,
            stages: Vec::new(),
            attributes: attributes
                .map(|(name, kind)| (Arc::from(name), kind))
                .into(),
            personal_scores: std::collections::BTreeSet::new(),
        };
        let check = |name: &str, value: AttributeValue, expected: &str| {
            let mut v = Vec::new();
            attribute_violation(&mut v, &scenario, name, &value);
            assert_eq!(
                v.first().map(ToString::to_string).unwrap_or_default(),
                expected,
                "{name}"
            );
        };
        let text = |text: &str| AttributeValue::Text(Arc::from(text));
        check("notice_no", text("苏2026-1"), "");
        check(
            "notice_no",
            AttributeValue::Int(1),
            "attributes.notice_no: expected a text",
        );
        check("rounds", AttributeValue::Int(1), "");
        check(
            "rounds",
            text("1"),
            "attributes.rounds: expected a whole number",
        );
        check("mandatory_tender", AttributeValue::Bool(false), "");
        check(
            "mandatory_tender",
            text("false"),
            "attributes.mandatory_tender: expected true or false",
        );
        check("notice_published_at", text("2026-02-28"), "");
        let day = "attributes.notice_published_at: expected a day as `YYYY-MM-DD`";
        check("notice_published_at", text("2026-02-29"), day);
        check("notice_published_at", text("2026/02/28"), day);
        check("notice_published_at", text("20260228"), day);
        check("trades", AttributeValue::List(Vec::new()), "");
        check(
            "trades",
            text("a"),
            "attributes.trades: expected a list of texts",
        );
        let undeclared = "scenario `tender` declares no such attribute; it declares: \
            mandatory_tender, notice_no, notice_published_at, rounds, trades";
        check(
            "amount",
            text("a"),
            &format!("attributes.amount: {undeclared}"),
        );
        check("张三", text("a"), &format!("attributes.?: {undeclared}"));
    }

    #[test]
    fn whole_numbers_are_taken_where_doubles_are_exact() {
        let check = |number: f64, expected: Option<i64>| assert_eq!(whole(number).ok(), expected);
        check(9_007_199_254_740_992.0, Some(1 << 53));
        check(-9_007_199_254_740_992.0, Some(-(1 << 53)));
        check(9_007_199_254_740_994.0, None);
        check(0.5, None);
        check(-0.0, Some(0));
        check(f64::NAN, None);
        check(f64::INFINITY, None);
    }
}
