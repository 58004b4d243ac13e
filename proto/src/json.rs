//! JSON: events, entries, verdicts, reports and orders under the names of the proto fields.
//!
//! Input takes snake_case and camelCase and refuses unknown fields. Output is proto3 JSON: 64-bit
//! numbers are texts, and fields that are false, 0 or empty are left out.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::refused::{Refused, Violation, is_word};
use crate::v1;

/// An event from JSON text in UTF-8.
///
/// # Errors
/// What is wrong and where; never with a value of the text.
pub fn event_from_json(bytes: &[u8]) -> Result<v1::Event, Refused> {
    from_json(bytes)
}

/// An entry from one line of JSON Lines.
///
/// # Errors
/// What is wrong and where; never with a value of the line.
pub fn entry_from_json_line(line: &[u8]) -> Result<v1::Entry, Refused> {
    from_json(line)
}

/// A verdict as one line of JSON.
///
/// # Errors
/// When the verdict holds a time that cannot be written, which none of ours does.
pub fn verdict_to_json(verdict: &v1::Verdict) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(verdict)
}

/// A lift order as one line of JSON.
///
/// # Errors
/// When the order holds a time that cannot be written, which none of ours does.
pub fn lift_order_to_json(order: &v1::LiftOrder) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(order)
}

/// Any value from JSON text in UTF-8, unknown fields refused where its type refuses them.
///
/// # Errors
/// What is wrong and where; never with a value of the text.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let text = text(bytes)?;
    // To keep track of where a fault is costs as much as reading: only where there is one.
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = path(error.path());
        Refused {
            violations: vec![violation(path, error.inner())],
        }
    })?;
    json.end()
        .map_err(|error| Refused::one("body", place("text after the end", &error)))?;
    Ok(value)
}

/// The text of a body; a byte order mark before it is let through.
fn text(bytes: &[u8]) -> Result<&str, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Refused::one("body", format!("not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Refused::one("body", "empty: expected a JSON object"));
    }
    Ok(text)
}

/// Our own words for what went wrong: the reader's would quote the value.
fn violation(path: String, error: &serde_json::Error) -> Violation {
    use serde_json::error::Category;
    match error.classify() {
        Category::Eof => Violation::new("body", place("not JSON: it ends too early", error)),
        Category::Syntax | Category::Io => {
            let message = error.to_string();
            let what = SYNTAX.iter().find(|known| message.starts_with(**known));
            let what =
                what.map_or_else(|| "not JSON".to_owned(), |what| format!("not JSON: {what}"));
            Violation::new("body", place(&what, error))
        }
        Category::Data => Violation::new(at(&path), data_rule(&path, &error.to_string())),
    }
}

/// Messages of the JSON reader that quote nothing.
const SYNTAX: [&str; 10] = [
    "expected `:`",
    "expected `,` or `]`",
    "expected `,` or `}`",
    "expected value",
    "expected ident",
    "invalid escape",
    "control character (\\u0000-\\u001F) found while parsing a string",
    "key must be a string",
    "trailing comma",
    "recursion limit exceeded",
];

fn data_rule(path: &str, message: &str) -> String {
    // The name that follows is a field's, not a value; it is shown where it can only be a word.
    let named = |prefix: &str| {
        let rest = message.strip_prefix(prefix)?;
        rest.split('`').next().filter(|name| is_word(name))
    };
    if message.starts_with("unknown field") {
        return match named("unknown field `") {
            Some(name) => format!("unknown field `{name}`"),
            None => "unknown field".to_owned(),
        };
    }
    if let Some(name) = named("duplicate field `") {
        return format!("field `{name}` stands twice");
    }
    if let Some(name) = named("missing field `") {
        return format!("field `{name}` is missing");
    }
    let got = got(message);
    match expected(path) {
        Some(expected) => format!("expected {expected}{got}"),
        None => format!("a value of the wrong type{got}"),
    }
}

/// The kind of value that was met, without the value.
fn got(message: &str) -> &'static str {
    let Some(rest) = message.strip_prefix("invalid type: ") else {
        return "";
    };
    const KINDS: [(&str, &str); 7] = [
        ("null", ", got null"),
        ("boolean", ", got true or false"),
        ("integer", ", got a number"),
        ("floating point", ", got a fraction"),
        ("string", ", got a text"),
        ("sequence", ", got a list"),
        ("map", ", got an object"),
    ];
    KINDS
        .iter()
        .find(|(kind, _)| rest.starts_with(kind))
        .map_or("", |(_, shown)| shown)
}

/// What a field takes, by the last name of its path.
fn expected(path: &str) -> Option<&'static str> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let (name, indexed) = match last.split_once('[') {
        Some((name, _)) => (name, true),
        None => (last, false),
    };
    Some(match (name, indexed) {
        ("", _) => "a JSON object",
        ("occurred_at" | "occurredAt" | "executed_at" | "executedAt", _) => {
            "a time of RFC 3339 with an offset, such as `2026-03-01T09:30:00+08:00`"
        }
        ("amount_fen" | "amountFen", _) => "a whole number of fen",
        ("repeat_count" | "repeatCount" | "subject", _) => "a whole number, not negative",
        ("objection_marked" | "objectionMarked", _) => "true or false",
        ("subjects" | "related" | "aliases", true) | ("data", _) => "an object",
        ("subjects" | "related" | "aliases", false) => "a list of objects",
        ("former_names" | "formerNames" | "scope", false) => "a list of texts",
        ("attributes", _) => "an object of attributes",
        _ if path.starts_with("attributes.") => {
            "a text, a whole number, true or false, or a list of texts"
        }
        _ => "a text",
    })
}

fn at(path: &str) -> &str {
    if path.is_empty() { "body" } else { path }
}

fn place(what: &str, error: &serde_json::Error) -> String {
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// The path with names that can only be words; others are the sender's text and shown as `?`.
fn path(path: &serde_path_to_error::Path) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => {
                // Writing into a string cannot fail.
                let _ = write!(text, "[{index}]");
                continue;
            }
            Segment::Map { key } | Segment::Enum { variant: key } if is_word(key) => key.as_str(),
            Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => "?",
        };
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(name);
    }
    text
}
