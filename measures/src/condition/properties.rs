//! Properties over generated conditions and records: nothing panics, and what is accepted can be decided.

use super::tests::{outcome, schema};
use super::{Bindings, Condition, Field, Record, Type, Value};
use proptest::prelude::*;
use proptest::sample::select;

/// A generated int as text; optional fields are guarded about as often as not.
fn int(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        select(vec![
            "event.amount_fen",
            "event.workers",
            "size(event.tags)",
            "event.trade.size()"
        ])
        .prop_map(str::to_owned),
        (-9..10_i64).prop_map(|number| number.to_string()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || int(depth - 1);
    prop_oneof![
        2 => leaf,
        2 => (inner(), select(vec!["+", "-", "*"]), inner()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (inner(), select(vec!["/", "%"]), -3..4_i64).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => inner().prop_map(|a| format!("-({a})")),
        1 => (bool(depth - 1), inner(), inner()).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
        1 => inner().prop_map(|a| format!("(has(event.workers) ? {a} : 0)")),
    ]
    .boxed()
}

fn text() -> impl Strategy<Value = &'static str> {
    select(vec![
        "event.trade",
        "event.notice_no",
        "subject.kind",
        "subject.region",
        "entry.severity",
        "'a'",
        "'建'",
        "''",
        "x",
    ])
}

fn date() -> impl Strategy<Value = &'static str> {
    select(vec![
        "event.occurred_on",
        "event.signed_on",
        "entry.until",
        "'2025-01-31'",
        "'2025-02-30'",
    ])
}

fn optional() -> impl Strategy<Value = &'static str> {
    select(vec![
        "event.notice_no",
        "event.workers",
        "event.signed_on",
        "event.parts",
        "event.renewal",
        "subject.region",
        "entry.until",
    ])
}

fn bool(depth: u32) -> BoxedStrategy<String> {
    let compare = || select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (text(), compare(), text()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (date(), compare(), date()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (text(), text()).prop_map(|(a, b)| format!("{a}.contains({b})")),
        (
            text(),
            select(vec!["event.tags", "event.parts", "['a', '建']"])
        )
            .prop_map(|(a, b)| format!("{a} in {b}")),
        (date(), date()).prop_map(|(a, b)| format!("{a} in [{b}, '2025-06-01']")),
        optional().prop_map(|field| format!("has({field})")),
        optional().prop_map(|field| format!("!has({field})")),
        select(vec!["event.urgent", "event.renewal", "true"]).prop_map(str::to_owned),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || bool(depth - 1);
    let fold = (
        select(vec!["event.tags", "event.parts", "['a']"]),
        select(vec!["all", "exists"]),
        inner(),
    );
    prop_oneof![
        2 => leaf,
        3 => (inner(), inner()).prop_map(|(a, b)| format!("({a} && {b})")),
        3 => (inner(), inner()).prop_map(|(a, b)| format!("({a} || {b})")),
        1 => inner().prop_map(|a| format!("!({a})")),
        2 => (inner(), inner(), inner()).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
        2 => (optional(), inner()).prop_map(|(field, a)| format!("(has({field}) && {a})")),
        2 => (optional(), inner()).prop_map(|(field, a)| format!("(!has({field}) || {a})")),
        2 => (int(depth - 1), compare(), int(depth - 1)).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => fold.prop_map(|(list, fold, a)| format!("{list}.{fold}(x, {a})")),
    ]
    .boxed()
}

/// A record as the schema says, with any of its optional fields. Its ints are small: an overflow is the one
/// failure that an accepted condition may have.
fn record(fields: Vec<Field>) -> BoxedStrategy<Record<'static>> {
    let value = |ty| match ty {
        Type::Int => (-3..4_i64).prop_map(Value::Int).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::String => select(vec!["", "a", "建筑"]).prop_map(Value::from).boxed(),
        Type::Date => select(vec!["2025-01-31", "2025-06-01"])
            .prop_map(Value::from)
            .boxed(),
        Type::StringList => prop::collection::vec(select(vec!["a", "建"]), 0..3)
            .prop_map(|texts| texts.into_iter().collect())
            .boxed(),
    };
    let field = |field: Field| {
        let there = if field.optional {
            any::<bool>().boxed()
        } else {
            Just(true).boxed()
        };
        (Just(field.name.to_string()), there, value(field.ty))
    };
    let fields: Vec<_> = fields.into_iter().map(field).collect();
    fields
        .prop_map(|fields| {
            let there = fields.into_iter().filter(|(_, there, _)| *there);
            there.map(|(name, _, value)| (name, value)).collect()
        })
        .boxed()
}

fn records() -> impl Strategy<Value = (Record<'static>, Record<'static>, Record<'static>)> {
    let schema = schema();
    (
        record(schema.event),
        record(schema.subject),
        record(schema.entry.unwrap_or_default()),
    )
}

const TOKENS: &str = "event subject entry . amount_fen trade tags has ( ) [ ] { } size all exists map in == < && || ! ? : \
    , + - / % 'a' \" ' 1 9223372036854775807 1.5 null true x // \\ r' ` 建 0x 1u .? [? @ \u{0} '''";

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_compiles_or_is_refused(source in ".{0,60}") {
        let _ = outcome(&source, &schema());
    }

    #[test]
    fn any_tokens_compile_or_are_refused(
        tokens in prop::collection::vec(select(TOKENS.split(' ').chain(["\n", " "]).collect::<Vec<_>>()), 0..24),
    ) {
        let _ = outcome(&tokens.concat(), &schema());
    }

    #[test]
    fn what_is_accepted_is_decided(source in bool(3), all in prop::collection::vec(records(), 8)) {
        if let Ok(condition) = Condition::compile(&source, &schema()) {
            for (event, subject, entry) in &all {
                let bindings = Bindings { event, subject, entry: Some(entry) };
                let decided = condition.evaluate(&bindings);
                prop_assert!(decided.is_ok(), "{source}\n  {event:?} {subject:?} {entry:?}\n  {decided:?}");
                prop_assert_eq!(decided, condition.evaluate(&bindings));
            }
        }
    }
}
