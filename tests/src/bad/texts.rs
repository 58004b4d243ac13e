//! Texts that become values: identifiers, names, times, versions, conditions.

use std::sync::LazyLock;

use creditgate_measures::book::BookVersion;
use creditgate_measures::condition::{
    Bindings, Condition, EvaluationError, Field, Record, Root, Schema, Type, Value,
};
use creditgate_measures::event::Region;
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::name::{NormalName, SimplifyTable, mask_name};
use creditgate_measures::time::{Date, Time};
use creditgate_proto::{MinListVersion, list_version_from_text, verdict_id_from_text};

use super::{choice, shows_nobody};

/// Type, then value and issuer on a line each: what is valid stays itself, and prints masked.
pub fn identifier(input: &[u8]) {
    let (first, rest) = choice(input);
    let text = String::from_utf8_lossy(rest);
    let (raw, issuer) = match text.split_once('\n') {
        Some((raw, issuer)) => (raw, Some(issuer)),
        None => (text.as_ref(), None),
    };
    let id_type = IdType::ALL[usize::from(first) % IdType::ALL.len()];
    let identifier = match Identifier::parse(id_type, raw, issuer) {
        Ok(identifier) => identifier,
        Err(why) => return shows_nobody("why it is invalid", &why.to_string()),
    };
    let (held, value) = (identifier.id_type(), identifier.reveal());
    let parse = |text: &str| Identifier::parse(held, text, identifier.issuer());
    let again = parse(value).expect("a normal form is valid");
    assert_eq!(
        (again.reveal(), again.issuer(), again.key()),
        (value, identifier.issuer(), identifier.key()),
        "a normal form is its own"
    );
    assert!(again.same_subject(&identifier));
    if value.is_ascii() {
        let written = format!("\u{3000}{} ", value.to_ascii_lowercase());
        let again = parse(&written).expect("blanks and small letters change nothing");
        assert_eq!(again.reveal(), value);
    }
    let json = serde_json::to_string(&identifier).expect("it is written");
    let read: Identifier = serde_json::from_str(&json).expect("what was written is read");
    assert_eq!(read, identifier);
    if let Some(alias) = identifier.org9_alias() {
        assert_eq!(
            alias.key(),
            identifier.key(),
            "an alias is the same subject"
        );
        assert!(Identifier::parse(IdType::Org9, alias.reveal(), None).is_ok());
    }
    assert_eq!(
        identifier.is_natural_person(),
        identifier.birth_date().is_some()
    );
    // Shorter ones may stand in the words around them.
    if value.chars().count() > 5 {
        for printed in [identifier.to_string(), format!("{identifier:?}")] {
            assert!(!printed.contains(value), "it prints unmasked: {printed}");
        }
    }
}

static SIMPLIFY: LazyLock<SimplifyTable> = LazyLock::new(|| {
    let files = creditgate_measures::catalogue::built_in();
    let table = files.iter().find(|file| file.path == "names/simplify.txt");
    SimplifyTable::parse(&table.expect("the table of the book").text).expect("a table")
});

/// The table of the book by which names are simplified.
pub(super) fn simplify() -> &'static SimplifyTable {
    &SIMPLIFY
}

/// A name, or a table of characters: a normal form is its own, whatever the table.
pub fn name(input: &[u8]) {
    let (first, rest) = choice(input);
    let text = String::from_utf8_lossy(rest);
    if first % 4 == 0 {
        return table(&text);
    }
    one_name(&text, simplify());
    one_name(&text, &SimplifyTable::empty());
}

fn one_name(text: &str, table: &SimplifyTable) {
    for person in [true, false] {
        let masked = mask_name(text, person);
        let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
        assert!(letters < 2 || masked != text, "a name prints unmasked");
    }
    let Some(name) = NormalName::new(text, table) else {
        return;
    };
    let again = NormalName::new(name.reveal(), table).expect("a normal form is a name");
    assert_eq!(again, name, "a normal form is its own");
    let json = serde_json::to_string(&name).expect("it is written");
    let read: NormalName = serde_json::from_str(&json).expect("what was written is read");
    assert_eq!(read, name);
    let wide = format!("\u{3000}{} ", name.reveal());
    assert_eq!(NormalName::new(&wide, table).as_ref(), Some(&name));
}

fn table(text: &str) {
    match SimplifyTable::parse(text) {
        Ok(table) => {
            for c in text.chars() {
                let to = table.simplify(c);
                assert_eq!(table.simplify(to), to, "simplified in one step");
            }
            one_name(text.lines().next().unwrap_or_default(), &table);
            let backwards: Vec<&str> = text.lines().rev().collect();
            let other = SimplifyTable::parse(&backwards.join("\n")).expect("lines have no order");
            assert_eq!(other.content_hash(), table.content_hash());
        }
        Err(error) => assert!(error.line >= 1 && error.line <= text.lines().count()),
    }
}

/// A day, a moment or a region: what is read prints as something that is read as the same.
pub fn time(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Time::parse(&text) {
        Ok(time) => {
            let again = Time::parse(&time.to_string()).expect("a printed moment is one");
            assert_eq!(again, time);
            assert!(time.date().start() <= time && time < time.date().next_day().start());
        }
        Err(error) => shows_nobody("no moment", &error.to_string()),
    }
    match Date::parse(&text) {
        Ok(date) => {
            assert_eq!(Date::parse(&date.to_string()), Ok(date));
            let parts = Date::from_ymd(date.year(), date.month(), date.day());
            assert_eq!(parts, Some(date));
            assert_eq!(date.next_day().prev_day(), date);
            assert!(date.plus_months(1) > date && date.plus_years(1) > date);
        }
        Err(error) => shows_nobody("no day", &error.to_string()),
    }
    if let Some(region) = Region::parse(&text) {
        assert_eq!(region.to_string(), text);
        assert!(Region::NATION.contains(region) && region.contains(region));
    }
}

/// Versions of lists and books, and ids of verdicts.
pub fn version(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match text.parse::<MinListVersion>() {
        Ok(version) => {
            let again: MinListVersion = version.to_string().parse().expect("a printed one is one");
            assert_eq!(again, version);
            let full = list_version_from_text(&text);
            assert_eq!(full.is_ok(), version.log_id.is_some());
        }
        Err(error) => shows_nobody("no version", &error.to_string()),
    }
    if let Some(version) = BookVersion::parse(&text) {
        assert_eq!(version.to_string(), text.to_ascii_lowercase());
    }
    if let Some(id) = verdict_id_from_text(&text) {
        assert_eq!(verdict_id_from_text(&id.to_string()), Some(id));
    }
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let field = |name: &str, ty: Type, optional: bool| Field {
        name: name.into(),
        ty,
        optional,
    };
    Schema {
        event: vec![
            field("amount_fen", Type::Int, false),
            field("trade", Type::String, false),
            field("tags", Type::StringList, false),
            field("occurred_on", Type::Date, false),
            field("urgent", Type::Bool, false),
            field("notice_no", Type::String, true),
            field("workers", Type::Int, true),
            field("parts", Type::StringList, true),
        ],
        subject: vec![
            field("kind", Type::String, false),
            field("region", Type::String, true),
        ],
        entry: Some(vec![
            field("severity", Type::String, false),
            field("until", Type::Date, true),
        ]),
    }
});

/// A condition: one that is accepted can be decided for every record that is as the schema says; all
/// that can go wrong is a whole number that leaves its range.
pub fn condition(input: &[u8]) {
    let source = String::from_utf8_lossy(input);
    let condition = match Condition::compile(&source, &SCHEMA) {
        Ok(condition) => condition,
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1, "{error:?}");
            assert!(!error.message.is_empty() && !error.mend.is_empty());
            return;
        }
    };
    for (root, name) in condition.reads() {
        let fields = match root {
            Root::Event => &SCHEMA.event,
            Root::Subject => &SCHEMA.subject,
            Root::Entry => SCHEMA.entry.as_ref().expect("the schema has entries"),
        };
        assert!(fields.iter().any(|field| field.name == *name), "{name}");
    }
    for optional in [false, true] {
        let event = event(optional);
        let subject = [("kind", Value::from("enterprise"))].into_iter();
        let subject =
            Record::new(subject.chain(optional.then(|| ("region", Value::from("219999")))));
        let entry = [("severity", Value::from("serious"))].into_iter();
        let entry =
            Record::new(entry.chain(optional.then(|| ("until", Value::from("2027-01-01")))));
        let bindings = Bindings {
            event: &event,
            subject: &subject,
            entry: Some(&entry),
        };
        let first = condition.evaluate(&bindings);
        assert_eq!(first, condition.evaluate(&bindings), "it is deterministic");
        if let Err(error) = first {
            assert_eq!(error, EvaluationError::Overflow, "{source}");
        }
    }
}

fn event(optional: bool) -> Record<'static> {
    let all = [
        ("amount_fen", Value::Int(500)),
        ("trade", Value::from("建筑")),
        ("tags", ["a", "bc"].into_iter().collect()),
        ("occurred_on", Value::from("2026-06-01")),
        ("urgent", Value::Bool(true)),
        ("notice_no", Value::from("2026-1")),
        ("workers", Value::Int(i64::MAX)),
        ("parts", std::iter::empty::<&str>().collect()),
    ];
    Record::new(all.into_iter().take(if optional { 8 } else { 5 }))
}
