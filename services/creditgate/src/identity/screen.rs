//! A subject, its codes and its wrong hits for people at a terminal.

use creditgate_proto::encode::time_from_proto;
use creditgate_proto::v1;
use pbjson_types::Timestamp;

use crate::cases::screen::plain;

/// All of a subject.
pub fn subject(view: &v1::GetSubjectResponse) {
    say!(
        "known     at version {}, recorded by {}",
        view.list_version,
        moment(&view.known_at)
    );
    say!(
        "true      at {} (book {})",
        moment(&view.at),
        view.book_version
    );
    for known in &view.identifiers {
        let shown = known.identifier.as_ref().map_or_else(String::new, alias);
        say!("id        {shown}  ({})", known.how);
    }
    for name in &view.names {
        let what = if name.current { "name" } else { "former" };
        let days = match (name.since.as_str(), name.until.as_str()) {
            ("", "") => String::new(),
            (since, until) => format!("  {since}..{until}"),
        };
        say!("{what:<9} {}{days}", name.name);
    }
    if view.entries.is_empty() {
        say!("entries   none is known");
    }
    for entry in &view.entries {
        self::entry(entry);
    }
    for relation in &view.relations {
        let other = relation.other.clone().unwrap_or_default();
        let way = if relation.inverse { "of" } else { "has" };
        let id = match other.id.is_empty() {
            true => String::new(),
            false => format!("  {}:{}", other.id_type, other.id),
        };
        say!("{way:<9} {} {}{id}", other.role, other.name);
    }
    for change in &view.changes {
        let undone = match change.undone_by {
            0 => String::new(),
            by => format!(
                "  taken back by {} in {by}: {}",
                change.undone_caller,
                plain(&change.undone_reason)
            ),
        };
        let other = change.other.as_ref().map_or_else(String::new, alias);
        say!(
            "change    {} {} {}{other} {} by {}: {}{undone}",
            change.change,
            change.kind,
            change.name,
            change.document_no,
            change.caller,
            plain(&change.reason)
        );
    }
    view.wrong_hits.iter().for_each(wrong_hit);
    say!("history   (by the time it became known)");
    view.timeline.iter().for_each(timeline);
}

fn entry(shown: &v1::SubjectEntry) {
    let record = shown.record.clone().unwrap_or_default();
    let entry = record.entry.unwrap_or_default();
    let standing = shown.standing.clone().unwrap_or_default();
    let usable = match standing.usable {
        true => "usable".to_owned(),
        false => format!("not usable: {}", standing.why_not),
    };
    say!(
        "entry     {}  {} {} {}  {} ({usable})  found by {}",
        entry.entry_id,
        shown.colour,
        entry.list,
        shown.list_title,
        standing.state,
        shown.found_by
    );
    let objection = match entry.objection_marked {
        Some(true) => "  objection marked (异议标注)",
        _ => "",
    };
    say!(
        "          {}  {} from {} to {}{objection}",
        entry.designated_by,
        entry.document_no,
        entry.valid_from,
        standing.last_day
    );
    for difference in &shown.differences {
        say!(
            "          {} states otherwise: {} {}",
            difference.differs,
            difference.fields.join(", "),
            difference.state
        );
    }
}

fn timeline(at: &v1::SubjectMoment) {
    let effective = match at.effective_at {
        None => String::new(),
        Some(_) => format!("  effective {}", moment(&at.effective_at)),
    };
    say!(
        "  {:>8}  {}  {:<14} {:<14} {}{effective}  {} by {} {}",
        at.seq,
        moment(&at.recorded_at),
        at.entry_id,
        at.action,
        at.to,
        at.document_no,
        at.caller,
        plain(&at.reason)
    );
    fields(&at.fields);
}

/// The fields that a correction changed.
pub fn fields(changed: &[v1::FieldChange]) {
    for field in changed {
        say!(
            "            {}: {} → {}",
            field.field,
            nothing(&field.old),
            nothing(&field.new)
        );
    }
}

fn nothing(text: &str) -> &str {
    if text.is_empty() { "(nothing)" } else { text }
}

/// An entry without a code.
pub fn proposal(proposal: &v1::CodeProposal) {
    say!(
        "entry     {}  {}  {}",
        proposal.entry_id,
        proposal.list,
        proposal.name
    );
    for candidate in &proposal.candidates {
        let code = candidate
            .identifier
            .as_ref()
            .map_or_else(String::new, alias);
        say!("          {code}");
        for evidence in &candidate.evidence {
            let by = match evidence.change {
                0 => evidence.entry_id.clone(),
                change => format!("change {change}"),
            };
            say!("            {} ({by})", evidence.kind);
        }
    }
}

/// A wrong hit.
pub fn wrong_hit(hit: &v1::WrongHit) {
    let who = hit.subject.clone().unwrap_or_default();
    let open = match hit.state.as_str() {
        "closed" => String::new(),
        _ => format!(", open for {} day(s)", hit.open_days),
    };
    say!(
        "wrong hit {} {} ({}{open}): entry {} hit {}{} {}",
        hit.wrong_hit,
        hit.what,
        hit.state,
        hit.entry_id,
        who.id,
        who.name,
        plain(&hit.reason)
    );
    say!(
        "          discovered {}  corrected {}  told {} {}",
        moment(&hit.discovered_at),
        match hit.correction {
            0 => "not yet".to_owned(),
            by => format!("{} by change {by}", moment(&hit.corrected_at)),
        },
        match hit.told_at {
            None => "not yet".to_owned(),
            Some(_) => moment(&hit.told_at),
        },
        hit.how
    );
}

fn alias(alias: &v1::Alias) -> String {
    match alias.issuer.is_empty() {
        true => format!("{}:{}", alias.id_type, alias.id),
        false => format!("{}:{}:{}", alias.id_type, alias.issuer, alias.id),
    }
}

/// A time as people read it; empty where there is none.
pub fn moment(at: &Option<Timestamp>) -> String {
    at.as_ref()
        .and_then(time_from_proto)
        .map_or_else(String::new, |time| time.to_string())
}
