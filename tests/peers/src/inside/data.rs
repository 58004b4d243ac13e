//! The rows as data for Rego, in a process and as a service.

use serde_json::{Value as Json, json};

use crate::policy::{LISTS, PLACES, PROVINCES, ROLES, Row, SEVERITIES, slice};

/// The rows as Rego reads them fastest: sets of what fits are objects, asked by key.
pub fn rows_as_data(rows: &[Row]) -> Json {
    let set = |only: Option<usize>, all: &[&str]| -> Json {
        let codes = all
            .iter()
            .enumerate()
            .filter(|(at, _)| only.is_none_or(|only| only == *at));
        Json::Object(
            codes
                .map(|(_, code)| ((*code).to_owned(), Json::Bool(true)))
                .collect(),
        )
    };
    let row = |row: &Row| {
        json!({
            "rank": row.rank(),
            "roles": set(row.role, &ROLES),
            "severities": set(row.severity, &SEVERITIES),
            "provinces": set(row.province, &PROVINCES),
            "from": row.from.days(),
            "to": row.last_day(),
            "least": row.least_amount(),
        })
    };
    let mut places = serde_json::Map::new();
    for (place, (scenario, stage)) in PLACES.iter().enumerate() {
        let mut lists = serde_json::Map::new();
        for (list, code) in LISTS.iter().enumerate() {
            let rows: Vec<Json> = slice(rows, place, list).into_iter().map(row).collect();
            lists.insert((*code).to_owned(), Json::Array(rows));
        }
        places.insert(format!("{scenario}/{stage}"), Json::Object(lists));
    }
    Json::Object(places)
}
