//! The forms of a book's files as JSON Schema: for editors that complete and check while one writes.
//!
//! The schema says less than the loader, which alone decides.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::borrow::Cow;

use super::fixed;
use super::source::{
    AgreementsFile, BookFile, CalendarFile, CommitmentsFile, ConfirmationsFile, ListsFile,
    MeasuresFile, NotExpressedFile, NoticesFile, RepairFile, ScenarioFile, SupplementFile,
};
use crate::clocks::{DayUnit, Occasion};
use crate::time::text::DateText;
use crate::vocabulary::{
    Actor, AttributeType, Benefit, Class, Colour, Confidence, Direction, Effect, Force, Level,
    ListKind, Reach, Role, Severity, State, SubjectKind, SupplementLevel,
};

/// The form of a file of a book.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Its name, as `measures schema` takes it.
    pub name: &'static str,
    /// The files that have it, as paths within a book; `*` stands for a name.
    pub files: &'static [&'static str],
    schema: fn(SchemaGenerator) -> Schema,
}

const fn form<T: JsonSchema>(name: &'static str, files: &'static [&'static str]) -> Form {
    Form {
        name,
        files,
        schema: SchemaGenerator::into_root_schema_for::<T>,
    }
}

/// Every form, in the order in which a book is read.
pub const FORMS: [Form; 12] = [
    form::<BookFile>("book", &["book.yaml"]),
    form::<ScenarioFile>("scenario", &["scenarios/*.yaml"]),
    form::<RepairFile>("repair", &["repair/*.yaml"]),
    form::<CalendarFile>("calendar", &["calendar/*.yaml"]),
    form::<NoticesFile>("notices", &["notices/*.yaml"]),
    form::<ListsFile>("lists", &["lists/*.yaml", "supplements/*/lists/*.yaml"]),
    form::<MeasuresFile>(
        "measures",
        &[
            "measures/*.yaml",
            "incentives/*.yaml",
            "supplements/*/measures/*.yaml",
            "supplements/*/incentives/*.yaml",
        ],
    ),
    form::<CommitmentsFile>(
        "commitments",
        &["commitments/*.yaml", "supplements/*/commitments/*.yaml"],
    ),
    form::<AgreementsFile>(
        "agreements",
        &["agreements/*.yaml", "supplements/*/agreements/*.yaml"],
    ),
    form::<SupplementFile>("supplement", &["supplements/*/supplement.yaml"]),
    form::<NotExpressedFile>("not-expressed", &["not-expressed.yaml"]),
    form::<ConfirmationsFile>("confirmations", &[]),
];

impl Form {
    /// The form with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FORMS.iter().find(|form| form.name == name)
    }

    /// The form of the file at this path within a book.
    #[must_use]
    pub fn of(path: &str) -> Option<&'static Self> {
        FORMS
            .iter()
            .find(|form| form.files.iter().any(|pattern| fits(pattern, path)))
    }

    /// The file of its schema under `measures/schema`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.schema.json", self.name)
    }

    /// The JSON Schema, laid out for a file in the tree.
    #[must_use]
    pub fn schema(&self) -> String {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let mut value = Value::from((self.schema)(generator));
        close(&mut value);
        let mut text = format!("{value:#}");
        text.push('\n');
        text
    }
}

/// Whether the path has the form of the pattern; the last `*` may reach into folders.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((front, rest)) => path.strip_prefix(front).is_some_and(|inside| {
            if rest.contains('*') || rest.contains('/') {
                inside
                    .split_once('/')
                    .is_some_and(|(_, below)| fits(rest.trim_start_matches('/'), below))
            } else {
                inside.ends_with(rest)
            }
        }),
    }
}

/// The words of a closed set.
type Words = fn() -> Vec<&'static str>;

/// A field whose words form a closed set that the loader knows.
struct Closed {
    /// Name of the type in `source.rs`.
    of: &'static str,
    field: &'static str,
    words: Words,
}

macro_rules! closed {
    ($($of:literal . $field:literal: $($set:ident)|+,)+) => {
        &[$(Closed {
            of: $of,
            field: $field,
            words: || {
                let mut words = Vec::new();
                $(words.extend($set::ALL.iter().map(|word| word.code()));)+
                words
            },
        },)+]
    };
}

const CLOSED: &[Closed] = closed! {
    "ItemSource"."class": Class,
    "ItemSource"."confidence": Confidence,
    "ScenarioFile"."actor": Actor,
    "AttributeSource"."type": AttributeType,
    "ListSource"."colour": Colour,
    "ListSource"."reach": Reach,
    "ListSource"."kind": ListKind,
    "ListSource"."default_severity": Severity,
    "ListSource"."confidence": Confidence,
    "RepairRuleSource"."confidence": Confidence,
    "LimitSource"."unit": DayUnit,
    "LimitSource"."confidence": Confidence,
    "CalendarFile"."confidence": Confidence,
    "NoticeSource"."when": Occasion,
    "NoticeSource"."confidence": Confidence,
    "BasisSource"."level": Level,
    "SupplementFile"."level": SupplementLevel,
    "CommitmentSource"."confidence": Confidence,
    "MeasureSource"."direction": Direction,
    "MeasureSource"."class": Class,
    "MeasureSource"."force": Force,
    "MeasureSource"."effect": Effect | Benefit,
    "MeasureSource"."severities": Severity,
    "MeasureSource"."kinds": SubjectKind,
    "MeasureSource"."roles": Role,
    "MeasureSource"."extends_to": Role,
    "MeasureSource"."confidence": Confidence,
    "ListsOfSource"."colour": Colour,
    "CaseSubject"."role": Role,
    "CaseEntry"."severity": Severity,
    "CaseEntry"."state": State,
    "CaseEntry"."related_as": Role,
};

/// Fields that hold the fixed names of spec 2.
const FIXED: [(&str, &str, Words); 6] = [
    ("ScenarioFile", "scenario", scenarios),
    ("StageSource", "code", stages),
    ("AppliesSource", "scenario", scenarios),
    ("AppliesSource", "stages", stages),
    ("CommitmentSource", "scenario", scenarios),
    ("CommitmentSource", "stages", stages),
];

fn scenarios() -> Vec<&'static str> {
    fixed::scenarios().collect()
}

fn stages() -> Vec<&'static str> {
    let mut all: Vec<_> = scenarios()
        .into_iter()
        .filter_map(fixed::stages)
        .flatten()
        .copied()
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Writes the closed sets into the schema.
fn close(root: &mut Value) {
    let own = CLOSED
        .iter()
        .map(|closed| (closed.of, closed.field, closed.words));
    for (of, field, words) in own.chain(FIXED) {
        if let Some(property) = property(root, of, field) {
            let words = words();
            restrict(property, &words);
        }
    }
}

/// The schema of a field, when the root holds the type.
fn property<'v>(root: &'v mut Value, of: &str, field: &str) -> Option<&'v mut Value> {
    let holder = if root.get("title").is_some_and(|title| title == of) {
        root
    } else {
        root.get_mut("$defs")?.get_mut(of)?
    };
    holder.get_mut("properties")?.get_mut(field)
}

/// A text of the set, several of them, or none where the field may be left out.
fn restrict(property: &mut Value, words: &[&str]) {
    if let Some(items) = property.get_mut("items") {
        return restrict(items, words);
    }
    let may_be_null = property.get("type").is_some_and(|types| {
        types
            .as_array()
            .is_some_and(|types| types.contains(&Value::from("null")))
    });
    let mut allowed: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
    if may_be_null {
        allowed.push(Value::Null);
    }
    if let Some(object) = property.as_object_mut() {
        object.insert("enum".to_owned(), Value::from(allowed));
    }
}

impl JsonSchema for DateText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]{4}(-[0-9]{2}-[0-9]{2}|/[0-9]{2}/[0-9]{2}|[0-9]{4})$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_closed_field_is_one_of_a_form() {
        let known = CLOSED.iter().map(|closed| (closed.of, closed.field));
        let fixed = FIXED.iter().map(|(of, field, _)| (*of, *field));
        for (of, field) in known.chain(fixed) {
            let stands = FORMS.iter().any(|form| {
                let mut schema = serde_json::from_str(&form.schema()).unwrap();
                property(&mut schema, of, field).is_some_and(|property| {
                    property.get("enum").is_some() || property.pointer("/items/enum").is_some()
                })
            });
            assert!(stands, "no form has `{of}.{field}`");
        }
    }

    #[test]
    fn a_path_tells_the_form_of_its_file() {
        let told = |path: &str| Form::of(path).map_or("-", |form| form.name);
        assert_eq!(told("book.yaml"), "book");
        assert_eq!(told("incentives/red.yaml"), "measures");
        assert_eq!(told("measures/land/all.yaml"), "measures");
        assert_eq!(told("supplements/320500/supplement.yaml"), "supplement");
        assert_eq!(told("supplements/320500/lists/own.yaml"), "lists");
        assert_eq!(told("names/simplify.txt"), "-");
    }
}
