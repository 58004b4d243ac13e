//! Short cases of what conditions accept, refuse and decide.

use super::{Bindings, Condition, EvaluationError, Field, Record, Schema, Type, Value};
use std::sync::Arc;

fn field(name: &str, ty: Type) -> Field {
    Field {
        name: Arc::from(name),
        ty,
        optional: false,
    }
}

fn optional(name: &str, ty: Type) -> Field {
    Field {
        optional: true,
        ..field(name, ty)
    }
}

pub(super) fn schema() -> Schema {
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
        subject: vec![
            field("kind", Type::String),
            optional("region", Type::String),
        ],
        entry: Some(vec![
            field("severity", Type::String),
            optional("until", Type::Date),
        ]),
    }
}

fn without_entry() -> Schema {
    Schema {
        entry: None,
        ..schema()
    }
}

/// What `source` comes to with the event, the subject and the entry of the cases: `true`, `false`, a refusal
/// as `line:column: message; mend`, or `cannot be decided: why`.
pub(super) fn outcome(source: &str, schema: &Schema) -> String {
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
    let entry = Record::new([
        ("severity", Value::from("serious")),
        ("until", Value::from("2026-01-01")),
    ]);
    match Condition::compile(source, schema) {
        Err(refusal) => refusal.to_string(),
        Ok(condition) => {
            let bindings = Bindings {
                event: &event,
                subject: &subject,
                entry: schema.entry.as_ref().map(|_| &entry),
            };
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

#[track_caller]
fn refused(source: &str, message: &str, mend: &str) {
    let refusal = Condition::compile(source, &schema()).expect_err(source);
    assert_eq!(
        (refusal.message.as_str(), refusal.mend.as_str()),
        (message, mend),
        "\n  in {source}"
    );
}

#[test]
fn a_mistyped_field_is_refused() {
    check(
        "event.amuont_fen > 5",
        "1:1: unknown field `event.amuont_fen`; did you mean `event.amount_fen`?",
    );
}

#[test]
fn comparisons_decide() {
    check("event.amount_fen > 499", "true");
    check("event.amount_fen > 500", "false");
    check(
        "event.amount_fen >= 500 && entry.severity == 'serious'",
        "true",
    );
    check(
        "event.amount_fen == 500 || entry.severity == 'minor'",
        "true",
    );
    check("event.amount_fen != 500", "false");
    check("event.trade == '建筑'", "true");
    check("event.trade < '建'", "false");
    check("event.urgent", "true");
    check("!event.urgent", "false");
    check("event.urgent == false", "false");
    check("true", "true");
}

#[test]
fn lists_decide() {
    check("'a' in event.tags", "true");
    check("'b' in event.tags", "false");
    check("subject.kind in ['company', 'person']", "true");
    check("event.amount_fen in [1, 2]", "false");
    check("event.tags.exists(tag, tag.startsWith('b'))", "true");
    check("event.tags.all(tag, size(tag) == 1)", "false");
    check(
        "event.tags.all(one, event.tags.exists(other, one == other))",
        "true",
    );
    check(
        "event.tags.exists(tag, tag in ['x', 'bc'] && event.amount_fen > 1)",
        "true",
    );
    check("[1, 2].all(n, n * 2 < event.amount_fen)", "true");
    check("size(event.tags) == 2 && event.tags.size() == 2", "true");
}

#[test]
fn strings_decide() {
    check("event.trade.startsWith('建')", "true");
    check("event.trade.endsWith('建')", "false");
    check("event.trade.contains('筑')", "true");
    check("size(event.trade) == 2", "true");
    check("event.trade == \"it's\"", "false");
    check("event.trade == 'a (' // a comment, isn't it", "false");
}

#[test]
fn numbers_decide() {
    check("event.amount_fen + 1 == 501", "true");
    check("event.amount_fen - 600 == -100", "true");
    check("event.amount_fen * 2 / 3 == 333", "true");
    check("event.amount_fen % 7 == 3", "true");
    check("-event.amount_fen < 0", "true");
    check("event.amount_fen > -9223372036854775808", "true");
}

#[test]
fn dates_decide() {
    check("event.occurred_on >= '2025-06-01'", "true");
    check("'2025-06-01' < event.occurred_on", "false");
    check("event.occurred_on in ['2025-05-31', '2025-06-01']", "true");
    check(
        "has(entry.until) && entry.until > event.occurred_on",
        "true",
    );
    check(
        "(has(event.signed_on) ? event.signed_on : '2024-02-29') < event.occurred_on",
        "true",
    );
}

#[test]
fn an_overflow_cannot_be_decided() {
    check(
        "has(event.workers) && event.workers + 1 > 0",
        "cannot be decided: an integer overflowed",
    );
    check(
        "has(event.workers) && -event.workers - 2 < 0",
        "cannot be decided: an integer overflowed",
    );
    check(
        "has(event.workers) && event.workers * 2 > 0",
        "cannot be decided: an integer overflowed",
    );
    check(
        "has(event.workers) && event.workers + 1 > 0 && event.amount_fen > 500",
        "false",
    );
    check("has(event.workers) && event.workers + 0 > 0", "true");
}

#[test]
fn a_guard_lets_an_optional_field_be_read() {
    check("has(event.notice_no) && event.notice_no == 'x'", "false");
    check("!has(event.notice_no) || event.notice_no == 'x'", "true");
    check(
        "has(event.notice_no) ? event.notice_no == 'x' : true",
        "true",
    );
    check(
        "!has(event.notice_no) ? true : event.notice_no == 'x'",
        "true",
    );
    check(
        "event.urgent && has(event.workers) && event.amount_fen > 1 && event.workers > 5",
        "true",
    );
    check(
        "!(has(event.notice_no) && has(event.workers)) || event.notice_no == 'x' || event.workers > 1",
        "true",
    );
    check(
        "(!has(event.notice_no) || !has(event.workers)) || event.notice_no.size() < event.workers",
        "true",
    );
    check(
        "(has(event.workers) && event.urgent || has(event.workers) && !event.urgent) && event.workers > 1",
        "true",
    );
    check(
        "(event.urgent ? has(event.workers) : has(event.workers) && true) && event.workers > 1",
        "true",
    );
    check(
        "has(event.parts) && event.parts.all(part, part in event.parts)",
        "false",
    );
    check(
        "event.tags.all(tag, has(event.notice_no) && event.notice_no == tag)",
        "false",
    );
    check("!!has(event.workers) && event.workers > 1", "true");
    check("has(event.renewal) && event.renewal", "false");
}

#[test]
fn an_optional_field_without_a_guard_is_refused() {
    let unguarded = |source| {
        let mend = "write `has(event.workers) && …` in front of it";
        refused(
            source,
            "`event.workers` is optional and read without a guard",
            mend,
        );
    };
    unguarded("event.workers > 5");
    unguarded("event.workers > 5 && has(event.workers)");
    unguarded("has(event.workers) || event.workers > 5");
    unguarded("!has(event.workers) && event.workers > 5");
    unguarded("has(event.notice_no) && event.workers > 5");
    unguarded("has(event.workers) ? true : event.workers > 5");
    unguarded("(has(event.workers) || event.urgent) && event.workers > 5");
    unguarded("!(has(event.workers) && event.urgent) && event.workers > 5");
    unguarded("(has(event.workers) && event.urgent) || event.workers > 5");
    unguarded("(event.urgent ? has(event.workers) : true) && event.workers > 5");
    unguarded("event.tags.exists(tag, has(event.workers)) && event.workers > 5");
    unguarded("has(event.workers) == true && event.workers > 5");
    unguarded("has(event.workers.x)");
}

#[test]
fn has_is_asked_of_optional_fields() {
    check(
        "has(event.trade)",
        "1:5: `event.trade` is always there; drop the has()",
    );
    check(
        "has(event.notic_no)",
        "1:5: unknown field `event.notic_no`; did you mean `event.notice_no`?",
    );
    check(
        "has(event)",
        "1:5: has() takes one field; write it as `has(event.field)`",
    );
}

#[test]
fn names_are_known() {
    check(
        "evnt.amount_fen > 5",
        "1:1: unknown name `evnt`; did you mean `event`?",
    );
    check(
        "foo > 5",
        "1:1: unknown name `foo`; conditions ask about event, subject, entry",
    );
    check(
        ".event.amount_fen > 5",
        "1:2: unknown name `.event`; did you mean `event`?",
    );
    check(
        "subject.x == 'x'",
        "1:1: unknown field `subject.x`; name one of its fields: kind, region",
    );
    check(
        "subject.kidn == 'x'",
        "1:1: unknown field `subject.kidn`; did you mean `subject.kind`?",
    );
    check(
        "subject == subject",
        "1:1: `subject` is not a value by itself; name one of its fields: kind, region",
    );
    check(
        "event.tags.all(t, t == s)",
        "1:24: unknown name `s`; did you mean `t`?",
    );
    check(
        "exist(1)",
        "1:1: unknown function `exist`; did you mean `exists`?",
    );
    refused(
        "subject.kind.x == 'x'",
        "`subject.kind` is a string and has no field `x`",
        "fields are written `event.field`, `subject.field` or `entry.field`",
    );
    refused(
        "dyn(1) == 1",
        "unknown function `dyn`",
        "conditions have has(), size(), startsWith(), endsWith(), contains(), all(), exists()",
    );
}

#[test]
fn a_row_without_entry_does_not_name_it() {
    let check = |source, expected| assert_eq!(outcome(source, &without_entry()), expected);
    check(
        "entry.severity == 'serious'",
        "1:1: `entry` does not exist in a row that needs no entry; name lists in the row, or ask about event and subject",
    );
    check(
        "entri.severity == 'x'",
        "1:1: unknown name `entri`; conditions ask about event, subject",
    );
    check("event.urgent", "true");
}

#[test]
fn types_fit() {
    let same = "use the same type on both sides";
    refused(
        "event.amount_fen == 'x'",
        "`==` takes two values of one type, but `event.amount_fen` is an int and `'x'` is a string",
        same,
    );
    refused(
        "true < 1",
        "`<` takes two values of one type, but `true` is a bool and `1` is an int",
        same,
    );
    refused(
        "event.urgent ? 1 : 'a'",
        "`?:` takes two values of one type, but `1` is an int and `'a'` is a string",
        same,
    );
    refused(
        "event.urgent < true",
        "`<` does not compare bools",
        "use it for ints, dates and strings",
    );
    refused(
        "event.tags < ['a']",
        "`<` does not compare lists",
        "use it for ints, dates and strings",
    );
    refused(
        "event.tags == ['a']",
        "`==` does not compare lists",
        "use in, size(), all() or exists()",
    );
    let ints = "use ints on both sides";
    refused(
        "event.trade + 'x' == 'x'",
        "`+` calculates with ints, but `event.trade` is a string",
        ints,
    );
    refused(
        "!event.amount_fen",
        "`!` takes a bool, but `event.amount_fen` is an int",
        "compare it first",
    );
    refused(
        "event.urgent && event.trade",
        "`&&` takes bools, but `event.trade` is a string",
        "compare it first",
    );
    refused(
        "1 ? true : false",
        "`?:` takes bools, but `1` is an int",
        "compare it first",
    );
    refused(
        "event.tags.all(tag, tag)",
        "`all` takes bools, but `tag` is a string",
        "compare it first",
    );
    refused(
        "event.amount_fen",
        "the condition is an int, not a bool",
        "make it a question, such as a comparison",
    );
    refused(
        "1 in event.tags",
        "`in` looks for an int in a list of strings",
        "both must have the same type",
    );
    let contains = "write a list, or use contains() for a part of a string";
    refused(
        "'a' in event.trade",
        "`in` looks into a list, but `event.trade` is a string",
        contains,
    );
    refused(
        "event.tags in event.tags",
        "`in` looks for a single value, but `event.tags` is a list of strings",
        "use all() or exists() to compare two lists",
    );
    refused(
        "1 in ['a', 1]",
        "an int in a list of strings",
        "a list holds values of one type",
    );
    refused("1 in []", "an empty list", "name the values it should hold");
    refused(
        "1 in [[1]]",
        "a list of lists may not be used",
        "a list holds single values",
    );
    refused(
        "event.trade.startsWith(1)",
        "startsWith() takes strings, but `1` is an int",
        "compare it with ==",
    );
    refused(
        "size(1) == 1",
        "size() takes a string or a list, but `1` is an int",
        "leave size() away",
    );
    let itself = "ask about the value itself";
    refused(
        "event.trade.all(x, true)",
        "all() takes a list, but `event.trade` is a string",
        itself,
    );
}

#[test]
fn dates_are_days_of_the_calendar() {
    let mend = "write a date as 'YYYY-MM-DD'";
    refused(
        "event.occurred_on > '2025-02-29'",
        "`'2025-02-29'` is not a date",
        mend,
    );
    refused(
        "'20250228' == event.occurred_on",
        "`'20250228'` is not a date",
        mend,
    );
    refused(
        "event.occurred_on in ['2025-06-01', '2025-6-1']",
        "`'2025-6-1'` is not a date",
        mend,
    );
    refused("event.occurred_on == ''", "`''` is not a date", mend);
    refused(
        "event.occurred_on == event.trade",
        "`event.trade` is a string and cannot be compared with a date",
        "compare dates with dates, or with a literal 'YYYY-MM-DD'",
    );
    refused(
        "event.occurred_on.startsWith('2025')",
        "startsWith() takes strings, but `event.occurred_on` is a date",
        "compare dates with < <= > >=",
    );
    let both = "both must have the same type";
    refused(
        "event.occurred_on in event.tags",
        "`in` looks for a date in a list of strings",
        both,
    );
}

#[test]
fn constant_calculations_stay_in_range() {
    check(
        "event.amount_fen > 9223372036854775808",
        "1:20: an integer literal is out of range; write a number between -9223372036854775808 and 9223372036854775807",
    );
    check(
        "9223372036854775807 + 1 > 0",
        "1:21: this calculation overflows; keep it within 64 bits",
    );
    check(
        "-(-9223372036854775808) > 0",
        "1:1: this calculation overflows; keep it within 64 bits",
    );
    check(
        "event.amount_fen / 0 > 1",
        "1:20: division by zero; divide by another number",
    );
    check(
        "event.amount_fen % (1 - 1) > 1",
        "1:21: division by zero; divide by another number",
    );
    check(
        "1 / event.amount_fen > 1",
        "1:5: `event.amount_fen` may be zero; divide by a literal",
    );
}

#[test]
fn the_rest_of_cel_is_refused() {
    refused(
        "event.trade.matches('[')",
        "matches() may not be used: conditions have no regular expressions",
        "use startsWith(), endsWith() or contains()",
    );
    let folds = "use all() or exists()";
    refused(
        "event.tags.map(x, x) == event.tags",
        "map() may not be used",
        folds,
    );
    refused(
        "event.tags.filter(x, true) == event.tags",
        "filter() may not be used",
        folds,
    );
    refused(
        "event.tags.exists_one(x, x == 'a')",
        "exists_one() may not be used",
        folds,
    );
    let look_up = "`[…]` may not be used to look something up";
    refused("event['trade'] == 'x'", look_up, "write `event.trade`");
    refused(
        "event[event.trade] == 'x'",
        look_up,
        "write the field's name, such as `event.field`",
    );
    refused(
        "event.tags[0] == 'a'",
        look_up,
        "use in, all() or exists() to look into a list",
    );
    refused(
        "1.5 < 2.0",
        "a decimal number may not be used",
        "write a whole number; amounts are in fen",
    );
    refused(
        "1u < 2u",
        "an unsigned number may not be used",
        "write it without the `u`",
    );
    refused(
        "b'a' == b'b'",
        "bytes may not be used",
        "write it without the `b`",
    );
    refused(
        "event.trade == null",
        "null may not be used",
        "ask `has(event.field)` whether a field is there",
    );
    refused(
        "{} == {}",
        "a map may not be used",
        super::check::MAY_BE_USED,
    );
    refused(
        "a{b: 1} == 1",
        "a message may not be used",
        super::check::MAY_BE_USED,
    );
    refused(
        "event.tags.all(event, true)",
        "`event` cannot be a variable of all()",
        "give it a name of its own",
    );
    refused(
        "startsWith(event.trade, 'x')",
        "startsWith() is written in another way",
        "write `event.field.startsWith('…')`, also endsWith and contains",
    );
}

#[test]
fn positions_are_lines_and_characters() {
    check(
        "event.trade == '建筑' && x",
        "1:24: unknown name `x`; conditions ask about event, subject, entry",
    );
    check(
        "true\n  && event.trade.sise('筑') > 1",
        "2:18: unknown function `sise`; did you mean `size`?",
    );
    check(
        "event.trade == '建筑' &&",
        "1:23: the condition ends too early; finish the expression, or close its brackets and quotes",
    );
    check(
        "event.trade == '建筑' && '筑",
        "1:24: the string does not end on its line; close its quotes",
    );
}

#[test]
fn the_shape_is_bounded() {
    check(
        "  \n",
        "1:1: the condition is empty; leave it out for a row that always applies",
    );
    let long = format!("event.trade == '{}'", "x".repeat(4096));
    check(
        &long,
        "1:1: the condition has 4113 bytes; keep it within 4096 bytes, or write several rows",
    );
    let brackets = |depth| format!("{}event.urgent{}", "(".repeat(depth), ")".repeat(depth));
    check(&brackets(8), "true");
    check(
        &brackets(9),
        "1:9: the condition is nested too deeply; write it flatter, or write several rows",
    );
    check(&vec!["event.amount_fen > 1"; 150].join(" && "), "true");
    check(
        r"event.trade == '\n'",
        "1:17: a backslash may not be used; write the character itself",
    );
    check(
        "event.trade == '''x'''",
        "1:18: quotes follow each other; write one string in one pair of quotes",
    );
    check(
        "event.`trade` == 'x'",
        "1:7: a backtick may not be used; write the plain name of the field",
    );
}

/// The costliest shapes that are let through, on the 2 MiB of a test thread.
#[test]
fn no_shape_overflows_the_stack() {
    let openings = [
        "(", "[", "{1:", "a{a:", "f(", "a.b(", "a.all(x,", "has(", "!(", "-(", "1?", "1?1:", "1+(",
        "'('+(",
    ];
    let repeated = [
        "1+", "1<", "!", "-", "- ", "a.", ".a()", "[0]", "1 in ", "1 ", "?1:1", "&&true",
        "||!true", "1,", "'('",
    ];
    for opening in openings {
        for part in repeated {
            for (times, count) in [(8, 1), (8, 40), (8, 800), (1300, 1)] {
                let source = format!("{}{}", opening.repeat(times), part.repeat(count));
                let _ = outcome(&source.chars().take(4096).collect::<String>(), &schema());
            }
        }
    }
}

#[test]
fn it_tells_what_it_reads() {
    let source = "subject.kind == 'x' || has(event.workers) && event.workers > 1 && entry.severity == 'minor'";
    let condition = Condition::compile(source, &schema()).expect("valid");
    let reads: Vec<String> = condition
        .reads()
        .iter()
        .map(|(root, field)| format!("{root}.{field}"))
        .collect();
    assert_eq!(reads, ["event.workers", "subject.kind", "entry.severity"]);
}

#[test]
fn a_record_that_breaks_its_schema_is_an_error() {
    let condition = Condition::compile("event.amount_fen > 5 && subject.kind == 'x'", &schema())
        .expect("valid");
    let decide = |event: &Record<'_>, subject: &Record<'_>| {
        condition.evaluate(&Bindings {
            event,
            subject,
            entry: None,
        })
    };
    let empty = Record::default();
    let event = Record::new([("amount_fen", Value::Int(6))]);
    let text = Record::new([("amount_fen", Value::from("6"))]);
    let subject = Record::new([("kind", Value::from("x"))]);
    assert_eq!(decide(&event, &subject), Ok(true));
    assert_eq!(
        decide(&empty, &subject),
        Err(EvaluationError::Missing("amount_fen".to_owned()))
    );
    assert_eq!(
        decide(&event, &empty),
        Err(EvaluationError::Missing("kind".to_owned()))
    );
    assert_eq!(decide(&text, &subject), Err(EvaluationError::NotAsDeclared));
    let entry = Condition::compile("entry.severity == 'x'", &schema()).expect("valid");
    let bindings = Bindings {
        event: &event,
        subject: &subject,
        entry: None,
    };
    assert_eq!(
        entry.evaluate(&bindings),
        Err(EvaluationError::NotAsDeclared)
    );
}

#[test]
fn values_are_not_printed() {
    let record = Record::new([("name", Value::from("张三")), ("amount", Value::Int(7))]);
    assert_eq!(
        format!("{record:?} {:?}", Value::from("张三")),
        r#"Record {"name", "amount"} Str(…)"#
    );
}

#[test]
fn conditions_and_records_cross_threads() {
    fn crosses<T: Send + Sync + Clone>() {}
    crosses::<Condition>();
    crosses::<Record<'static>>();
}

/// What CEL alone makes of each mistake: it compiles them all, and most even evaluate.
#[test]
fn cel_alone_finds_none_of_these_when_compiling() {
    let mistakes = [
        ("event.amount_fen == 'x'", "Ok(Bool(false))"),
        ("false && event.nope", "Ok(Bool(false))"),
        ("true || event.nope", "Ok(Bool(true))"),
        ("has(event.nope)", "Ok(Bool(false))"),
        ("event.amount_fen >= 1.5", "Ok(Bool(true))"),
        ("event.amount_fen + 1", "Ok(Int(501))"),
        ("true || nope(1)", "Ok(Bool(true))"),
        ("event.amuont_fen > 5", "Err(NoSuchKey(\"amuont_fen\"))"),
        ("evnt.amount_fen > 5", "Err(UndeclaredReference(\"evnt\"))"),
    ];
    for (source, alone) in mistakes {
        let program = cel::Program::compile(source).expect("cel compiles it");
        let event = std::collections::HashMap::from([("amount_fen", 500_i64)]);
        let mut context = cel::Context::default();
        context
            .add_variable("event", event)
            .expect("a map is a value");
        assert_eq!(
            format!("{:?}", program.execute(&context)),
            alone,
            "\n  in {source}"
        );
        assert!(Condition::compile(source, &schema()).is_err(), "{source}");
    }
}
