//! What is under way, as messages.

use creditgate_measures::lists::is_ahead;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::{Refused, v1};

use super::{Difference, Hold};
use crate::error::ChangeError;
use crate::life;
use crate::registry::Registry;

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// How old each list is, and by which source.
pub(crate) fn list_ages(
    registry: &Registry,
    asked: &v1::ListSourcesRequest,
    now: Time,
) -> Result<v1::ListSourcesResponse, ChangeError> {
    let generation = registry.live().load_full();
    let (lists, book) = (&generation.lists, &generation.book);
    if !asked.list.is_empty() {
        life::known_list(&asked.list, book)?;
    }
    let desk = registry.desk();
    let micros = |micros: i64| u64::try_from(micros / 1_000).unwrap_or(0);
    let ages = book
        .lists()
        .into_iter()
        .filter(|list| asked.list.is_empty() || list.code.as_str() == asked.list)
        .map(|list| {
            let code = list.code.as_str();
            let confirmed_at = lists.confirmed_at(code);
            let ahead = confirmed_at.is_some_and(|at| is_ahead(at, now));
            let age = confirmed_at.map(|at| (now.micros() - at.micros()).max(0));
            let not_connected = book.not_connected(&list.code);
            let state = match (not_connected, age) {
                (Some(_), _) => "not_connected",
                (None, None) => "not_loaded",
                // By a clock that ran ahead: how old it is, nobody knows.
                (None, Some(_)) if ahead => "stale",
                (None, Some(age)) if age > list.freshness_budget_micros => "stale",
                (None, Some(_)) => "fresh",
            };
            let rules = registry.source_rules();
            let known = |source: &str| desk.sources.of_list(code).any(|(of, _)| of == source);
            let declared = rules.declared(&list.code).iter();
            let sources = desk.sources.of_list(code).map(|(source, age)| {
                let rank = rules.rank(&list.code, source);
                v1::SourceAge {
                    source_unit: source.to_owned(),
                    confirmed_at: Some(time_to_proto(age.confirmed_at)),
                    seq: age.recorded.seq,
                    rank: rank.map_or(0, |rank| u32::try_from(rank).unwrap_or(u32::MAX)),
                }
            });
            v1::ListAge {
                list: code.to_owned(),
                title: list.name.zh.to_string(),
                confirmed_at: confirmed_at.map(time_to_proto),
                age_ms: age.map_or(0, micros),
                budget_ms: micros(list.freshness_budget_micros),
                state: state.to_owned(),
                not_connected: not_connected.map_or_else(String::new, ToString::to_string),
                sources: sources.collect(),
                entries: desk.entries_of(code),
                missing: declared.filter(|source| !known(source)).cloned().collect(),
            }
        });
    Ok(v1::ListSourcesResponse {
        lists: ages.collect(),
        list_version: lists.version().to_string(),
    })
}

/// Imports that wait, and those that were decided when they are asked for too.
pub(crate) fn holds(registry: &Registry, asked: &v1::ListHoldsRequest) -> v1::ListHoldsResponse {
    let desk = registry.desk();
    let holds = desk
        .holds
        .all()
        .filter(|hold| asked.decided || hold.decided.is_none())
        .map(hold);
    v1::ListHoldsResponse {
        holds: holds.collect(),
    }
}

fn hold(hold: &Hold) -> v1::Hold {
    let decided = hold.decided.as_ref();
    v1::Hold {
        hold_id: hold.id.clone(),
        source_unit: hold.source_unit.clone(),
        list: hold.list.clone(),
        why: hold.why.code().to_owned(),
        in_force: hold.in_force,
        removed: hold.removed,
        rows: hold.rows,
        caller: hold.caller.clone(),
        held_at: Some(time_to_proto(hold.held.at)),
        state: match decided {
            None => "waiting",
            Some(decided) if decided.approved => "approved",
            Some(_) => "rejected",
        }
        .to_owned(),
        decided_by: decided.map_or_else(String::new, |decided| decided.by.clone()),
        decided_at: decided.map(|decided| time_to_proto(decided.at.at)),
        reason: decided.map_or_else(String::new, |decided| decided.reason.clone()),
    }
}

/// Where sources differ, page by page.
pub(crate) fn differences(
    registry: &Registry,
    asked: &v1::ListDifferencesRequest,
) -> Result<v1::ListDifferencesResponse, ChangeError> {
    let size = match asked.page_size {
        0 => PAGE_DEFAULT,
        size @ 1..=PAGE_MAX => size,
        _ => return Err(Refused::one("page_size", "at most 1000").into()),
    } as usize;
    let desk = registry.desk();
    let mut differences: Vec<v1::Difference> = Vec::new();
    let mut next_page_token = String::new();
    // Differences of one entry stay on one page.
    for (entry_id, source, difference) in desk.sources.differences_after(&asked.page_token) {
        if !asked.list.is_empty() && difference.list != asked.list {
            continue;
        }
        if let Some(last) = differences.last()
            && differences.len() >= size
            && last.entry_id != entry_id
        {
            next_page_token.clone_from(&last.entry_id);
            break;
        }
        differences.push(self::difference(entry_id, source, difference));
    }
    Ok(v1::ListDifferencesResponse {
        differences,
        next_page_token,
    })
}

/// A difference as a message.
pub(crate) fn difference(entry_id: &str, source: &str, difference: &Difference) -> v1::Difference {
    v1::Difference {
        entry_id: entry_id.to_owned(),
        list: difference.list.clone(),
        stands: difference.stands.clone(),
        differs: source.to_owned(),
        fields: difference.fields.clone(),
        state: difference.state.clone(),
        since: Some(time_to_proto(difference.since.at)),
    }
}
