//! Changes of identity as messages.

use creditgate_measures::entry::Related;
use creditgate_measures::event::Sensitive;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::subject::{alias_to_proto, related_to_proto};
use creditgate_proto::v1;

use crate::desk::identity::{Fact, IdentityChange};

/// A change as a message, in clear.
pub(crate) fn change(number: u64, change: &IdentityChange) -> v1::IdentityChange {
    let undone = change.undone.as_ref();
    let mut shown = v1::IdentityChange {
        change: number,
        kind: change.what.kind().to_owned(),
        document_no: change.document_no.clone(),
        reason: change.reason.clone(),
        caller: change.caller.clone(),
        recorded_at: Some(time_to_proto(change.recorded.at)),
        undone_by: undone.map_or(0, |undone| undone.recorded.seq),
        undone_caller: undone.map_or_else(String::new, |undone| undone.caller.clone()),
        undone_reason: undone.map_or_else(String::new, |undone| undone.reason.clone()),
        undone_at: undone.map(|undone| time_to_proto(undone.recorded.at)),
        ..Default::default()
    };
    match &change.what {
        Fact::Name {
            subject,
            name,
            since,
            until,
            ..
        } => {
            shown.subject = Some(alias_to_proto(subject));
            shown.name.clone_from(name);
            shown.since = since.to_string();
            shown.until = until.map_or_else(String::new, |until| until.to_string());
        }
        Fact::Link {
            one, other, forced, ..
        } => {
            shown.subject = Some(alias_to_proto(one));
            shown.other = Some(alias_to_proto(other));
            shown.forced = *forced;
        }
        Fact::Relation {
            subject,
            role,
            identifier,
            name,
            since,
            ..
        } => {
            shown.subject = Some(alias_to_proto(subject));
            shown.related = Some(related_to_proto(&Related {
                role: *role,
                identifier: identifier.clone(),
                name: name.as_deref().map(Sensitive::new),
            }));
            shown.since = since.map_or_else(String::new, |since| since.to_string());
        }
        Fact::Code {
            entry_id,
            identifier,
            ..
        } => {
            shown.other = Some(alias_to_proto(identifier));
            shown.entry_id.clone_from(entry_id);
        }
    }
    shown
}
