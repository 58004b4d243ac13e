//! Cases by business number, page by page.

use creditgate_proto::v1;

use crate::error::Error;
use crate::pages;
use crate::state::{CaseState, View};
use crate::table::{CaseFilter, Lookup};

/// A page of the cases that are asked for, and the token for the next.
///
/// That a check is missing rests on the book too, so the tables only lead to cases where it may be; the
/// cases themselves say, and a page is filled up with those behind.
pub(crate) fn listed(
    lookup: &Lookup,
    mut filter: CaseFilter,
    size: usize,
    view: View<'_>,
) -> Result<(Vec<v1::CaseSummary>, String), Error> {
    let mut cases = Vec::new();
    loop {
        let found = lookup.cases(&filter, size + 1)?;
        for one in &found {
            let summary = CaseState::from_stored(&one.state)?.summary(view);
            if filter.missing.is_none() || summary.missing > 0 {
                cases.push(summary);
            }
        }
        match found.last() {
            Some(last) if found.len() > size && cases.len() <= size => {
                filter.after.clone_from(&last.case_id);
            }
            _ => break,
        }
    }
    Ok(pages::cut(cases, size, |last| last.case_id.clone()))
}

#[cfg(test)]
mod tests;
