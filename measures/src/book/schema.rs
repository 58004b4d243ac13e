//! What conditions may name: the fields that [`crate::decide`] gives them, with their types.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::condition::{Field, Schema, Type};
use crate::vocabulary::AttributeType;

/// Fields of an event beside its attributes that a row may require.
pub(super) const EVENT_OPTIONAL: [&str; 3] = ["item_code", "amount_fen", "purpose"];

fn field(name: &str, ty: Type, optional: bool) -> Field {
    Field {
        name: Arc::from(name),
        ty,
        optional,
    }
}

/// The schema of a row: attributes it requires are always there when its condition is asked.
pub(super) fn of_row(
    attributes: &BTreeMap<Arc<str>, AttributeType>,
    required: &[Arc<str>],
    needs_entry: bool,
) -> Schema {
    let optional = |name: &str| !required.iter().any(|required| required.as_ref() == name);
    let mut event = vec![
        field("scenario", Type::String, false),
        field("stage", Type::String, false),
        field("region", Type::String, false),
        field("occurred_on", Type::Date, false),
    ];
    event.extend(EVENT_OPTIONAL.map(|name| {
        let ty = if name == "amount_fen" {
            Type::Int
        } else {
            Type::String
        };
        field(name, ty, optional(name))
    }));
    event.extend(attributes.iter().map(|(name, ty)| {
        let ty = match ty {
            AttributeType::String => Type::String,
            AttributeType::Int => Type::Int,
            AttributeType::Bool => Type::Bool,
            AttributeType::Date => Type::Date,
            AttributeType::StringList => Type::StringList,
        };
        field(name, ty, optional(name))
    }));
    let subject = vec![
        field("role", Type::String, false),
        field("identity", Type::String, false),
        field("kind", Type::String, true),
        field("id_type", Type::String, true),
    ];
    let entry = vec![
        field("list", Type::String, false),
        field("severity", Type::String, false),
        field("repeat_count", Type::Int, false),
        field("valid_from", Type::Date, false),
        field("grade", Type::String, true),
        field("kind", Type::String, true),
        field("designated_by", Type::String, true),
        field("document_no", Type::String, true),
        field("region", Type::String, true),
    ];
    Schema {
        event,
        subject,
        entry: needs_entry.then_some(entry),
    }
}
