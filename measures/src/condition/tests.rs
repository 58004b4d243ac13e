//! Short cases of what conditions accept, refuse and decide, and properties over generated ones.

use super::{Bindings, Condition, EvaluationError, Field, Record, Root, Schema, Type, Value};
use proptest::prelude::*;
use std::sync::Arc;

fn field(name: &str, ty: Type) -> Field {
    Field { name: Arc::from(name), ty, optional: false }
}

fn optional(name: &str, ty: Type) -> Field {
    Field { optional: true, ..field(name, ty) }
}

fn schema() -> Schema {
    Schema {
        event: vec![
            field("amount_fen", Type::Int),
            field("trade", Type::String),
            field("tags", Type::StringList),
            field("occurred_on", Type::Date),
            field("urgent", Type::Bool),
            optional("notice_no", Type::String),
            optional("workers", Type::Int),
            optional("signed_on", Type::Date),
            optional("parts", Type::StringList),
            optional("renewal", Type::Bool),
        ],
        subject: vec![field("kind", Type::String), optional("region", Type::String)],
        entry: Some(vec![field("severity", Type::String), optional("until", Type::Date)]),
    }
}

fn without_entry() -> Schema {
    Schema { entry: None, ..schema() }
}

/// What `source` comes to with the event, the subject and the entry of the cases: `true`, `false`, a refusal
/// as `line:column: message; mend`, or `cannot be decided: why`.
fn outcome(source: &str, schema: &Schema) -> String {
    let event: Record<'_> = [
        ("amount_fen", Value::Int(500)),
        ("trade", Value::from("建筑")),
        ("tags", ["a", "bc"].into_iter().collect()),
        ("occurred_on", Value::from("2025-06-01")),
        ("urgent", Value::Bool(true)),
        ("workers", Value::Int(i64::MAX)),
    ]
    .into_iter()
    .collect();
    let subject = Record::new([("kind", Value::from("company"))]);
    let entry = Record::new([("severity", Value::from("serious")), ("until", Value::from("2026-01-01"))]);
    match Condition::compile(source, schema) {
        Err(refusal) => refusal.to_string(),
        Ok(condition) => {
            let bindings = Bindings { event: &event, subject: &subject, entry: schema.entry.as_ref().map(|_| &entry) };
            match condition.evaluate(&bindings) {
                Ok(truth) => truth.to_string(),
                Err(error) => format!("cannot be decided: {error}"),
            }
        }
    }
}

#[track_caller]
fn check(source: &str, expected: &str) {
    assert_eq!(outcome(source, &schema()), expected, "\n  in {source}");
}

#[test]
fn scratch() {
    for s in [
        "event.amuont_fen > 5", "event.amount_fen > 5", "'中文' == event.trade && event.amuont > 1", "event.trade == '中文' && ",
        "event.amount_fen ==", "event.amount_fen = 5", "(event.amount_fen > 5", "event.amount_fen > 99999999999999999999",
        "has(event)", "'中文' == event.trade && has(event)", "event.trade == 'abc", "event.?x", "true\n&& event.trade.matches('a')", "event.tags.map(x, x)", "event.tags.exists (x, x=='a')",
        "event.tags.all(event.x, true)","@", "event.trade == '中文' @", "event['trade'] == 'x'", "event.tags[0] == 'a'", "{}", "a{}", "if",
        "-event.workers - 2 < 0", "event.workers + 1 > 0", "has(event.workers) && event.workers + 1 > 0",
        "event.amount_fen < 'x'", "event.urgent < true", "event.amount_fen + 'x' > 1", "!event.amount_fen", "event.amount_fen ? true : false","foo.bar(1)", "size(event) > 1", "event.a.b", "event.trade.b", "event.tags.startsWith('a')",
        "event.occurred_on > '2025-02-30'", "event.occurred_on in ['2025-06-01', 'x']", "1", "'a' in event.trade", "1 in event.tags", "[1,'a'] == [1]",
        "1 in [[1]]", "event.trade in []", "9223372036854775807 + 1 > 0", "1 / 0 > 1", "event.amount_fen / event.amount_fen > 1", "-9223372036854775808 < event.amount_fen", "-(-9223372036854775808) > 0",
        "'\\q' == event.trade", "1.5 < 2.0", "1u < 2u", "b'a' == b'b'", "null == null", "a ? b : c", "event.tags.exists_one(x, true)", "existz(event.tags)", "dyn(1) == 1", "startsWith('a','b')", "[1].all(x, x > 0)", "true == 1", "x.all(y, y)", "event.tags.all(t, t.x == 1)", "event.tags.all(t, t == s)", "has(event.trade)", "has(event.notice_no.x)", "has(event.notic_no)", "event.amount_fen > 5 // comment", "event.amount_fen > 5 // 中文", ".event.amount_fen > 5", "event.`amount_fen` > 5",
        "\u{1F600}", "1 < 2 < 3", "event.occurred_on == event.trade", "event.occurred_on.startsWith('2')", "r'\\d' == event.trade","event.trade == \"\"\"a\nb\"\"\" && x"
    ] { println!("{s:60} => {}", outcome(s, &schema())); }
}

#[test]
fn stress() {
    for (name, s) in [
        ("paren", "(".repeat(4000)), ("paren closed", format!("{}1{}", "(".repeat(2000), ")".repeat(2000))), ("plus", format!("1{}", "+1".repeat(2000))),
        ("lt", format!("1{}", "<1".repeat(2000))), ("not", format!("{}true", "!".repeat(4000))), ("minus", format!("{}1", "-".repeat(4000))),
        ("minus sp", format!("{}1", "- ".repeat(2000))), ("minus paren", format!("{}1", "-(".repeat(2000))),
        ("dot", format!("a{}", ".a".repeat(2000))), ("call", format!("a{}", ".a()".repeat(1000))), ("idx", format!("a{}", "[0]".repeat(1300))),
        ("tern", "1?1:".repeat(1000)), ("tern2", format!("{}1", "1?1:".repeat(1000))), ("tern3", format!("1{}", "?1:1".repeat(1000))), ("tern4", "1?".repeat(2000)), ("list", "[".repeat(4000)), ("map", "{".repeat(4000)), ("map2", "{1:".repeat(1300)),
        ("and", format!("true{}", "&&true".repeat(600))), ("or", format!("true{}", "||!true".repeat(500))), ("commas", ",".repeat(4000)), ("q", "?".repeat(4000)), ("quote", "'".repeat(4001)), ("backslash", format!("'{}'", "\\".repeat(3999))),
        ("list long", format!("[{}1]", "1,".repeat(2000))), ("msg", "a{a:".repeat(1000)), ("f(", "f(".repeat(2000)), ("all", "a.all(x,".repeat(500)), ("has", "has(".repeat(1000)), ("close", ")".repeat(4000)), ("dots", ".".repeat(4000)), ("eq", "=".repeat(4000)), ("mix", "a.b(".repeat(1000)), ("mul", format!("1{}", "*(1+1)".repeat(600))),
        ("uni", "中".repeat(1300)), ("esc", "`".repeat(4000)), ("at", "@".repeat(4000)), ("slash", "/".repeat(4000)), ("in", "1 in ".repeat(800)), ("minus a", "-a".repeat(2000)), ("notp", "!(".repeat(2000)),
    ] { let t = std::time::Instant::now(); let o = outcome(&s, &schema()); println!("{name:10} {:?} {}", t.elapsed(), o.chars().take(150).collect::<String>()); }
}
