//! Which incentives are offered and which withheld; they never change the outcome (spec 5).

use std::sync::Arc;

use super::explain::NotMatched;
use super::matching;
use super::penalties::{entry_hit, place};
use super::setting::{Readiness, Setting};
use super::subject::{Hit, Known};
use crate::book::Measure;
use crate::event::ListCode;
use crate::verdict::{Incentive, Why};
use crate::vocabulary::{Identity, Role};

/// The incentives of one subject, by id then entry.
#[derive(Default)]
pub(super) struct Incentives {
    pub offered: Vec<Incentive>,
    pub withheld: Vec<Incentive>,
}

/// Judges every incentive row that may apply to the subject.
pub(super) fn judge<'a>(
    setting: &Setting<'a>,
    known: &Known<'a>,
    lead_role: Option<Role>,
) -> Incentives {
    let mut incentives = Incentives::default();
    let Some(stage) = setting.stage else {
        return incentives;
    };
    let rows = &stage.rows.incentives;
    for (row, hit) in matching::candidates(rows, setting, known, lead_role) {
        incentives.add(&row.measure, setting, known, lead_role, hit);
    }
    order(&mut incentives.offered);
    order(&mut incentives.withheld);
    incentives
}

impl Incentives {
    fn add<'a>(
        &mut self,
        row: &Arc<Measure>,
        setting: &Setting<'a>,
        known: &Known<'a>,
        lead_role: Option<Role>,
        hit: Option<&Hit<'a>>,
    ) {
        let Ok(incentive) = weigh(row, setting, known, lead_role, hit) else {
            return;
        };
        if incentive.withheld.is_empty() {
            self.offered.push(incentive);
        } else {
            self.withheld.push(incentive);
        }
    }
}

/// Whether the row is offered or for which reasons withheld; else why it does not match.
pub(super) fn weigh<'a>(
    row: &Arc<Measure>,
    setting: &Setting<'a>,
    known: &Known<'a>,
    lead_role: Option<Role>,
    hit: Option<&Hit<'a>>,
) -> Result<Incentive, NotMatched> {
    let doubts = matching::matches(row, setting, known, lead_role, hit)?;
    let mut withheld: Vec<Why> = doubts.into_vec();
    withheld.extend(identity_doubt(known));
    if let Some(hit) = hit {
        withheld.extend(list_doubt(&hit.list.code, setting));
    }
    for (excluding, _) in &row.excluded_by {
        withheld.extend(list_doubt(excluding, setting));
        // Being related to somebody listed is not being listed: nothing spreads without a row.
        let holds = |hit: &Hit<'_>| hit.list.code == *excluding && hit.path.relation().is_none();
        if known.hits.iter().any(holds) {
            withheld.push(Why::ExcludedBy(excluding.clone()));
        }
    }
    withheld.sort_unstable();
    withheld.dedup();
    Ok(Incentive {
        measure: Arc::clone(row),
        withheld,
        entry: hit.map(entry_hit),
    })
}

fn identity_doubt(known: &Known<'_>) -> Option<Why> {
    match known.identity {
        Identity::Verified => None,
        Identity::Unlinked => Some(Why::SubjectUnlinked),
        Identity::Unverified => Some(Why::SubjectUnverified),
    }
}

fn list_doubt(list: &ListCode, setting: &Setting<'_>) -> Option<Why> {
    match setting.readiness(list) {
        Readiness::Fresh(_) => None,
        Readiness::Stale(_) => Some(Why::ListStale),
        Readiness::NotLoaded => Some(Why::ListNotLoaded(list.clone())),
    }
}

fn order(incentives: &mut [Incentive]) {
    incentives.sort_by(|a, b| {
        let by_place = || place(a.entry.as_ref()).cmp(&place(b.entry.as_ref()));
        a.measure.id.cmp(&b.measure.id).then_with(by_place)
    });
}
