//! Which change took a measure's support away, where that shows before the reviews of the change have told
//! it: an official decides, and what a measure rests on is looked at first.

use std::collections::BTreeMap;

use creditgate_measures::verdict::Cause;
use creditgate_proto::journal::v1::{MeasureSupport, SupportChanged};
use creditgate_runtime::ports::{Change, Changed};

use crate::cases::Cases;
use crate::error::Error;
use crate::review::{Known, Supports};
use crate::state::{CaseState, Resting};

/// Changes read at once.
const READ: usize = 256;
/// Changes that are looked at one by one; of more the last ones.
const LOOKED_AT: usize = 32;

/// What measures turned out to rest on as of `then`, each under the change that brought it about. Blocks on
/// the disk.
pub(crate) fn told(
    cases: &Cases,
    state: &CaseState,
    found: SupportChanged,
    then: &Known,
) -> Result<Vec<SupportChanged>, Error> {
    let touched = Touched::by(state, &found.measures);
    let mut causes: BTreeMap<String, Cause> = BTreeMap::new();
    for change in touched.changes(cases, then.seq())? {
        let Some(cause) = cause_of(&change) else {
            continue;
        };
        let known = Known::after(&change, cases.live(), cases.history().as_ref())?;
        let supports = Supports {
            reviews: cases.reviews().as_ref(),
            history: cases.history().as_ref(),
            then: &known,
        };
        let measures = supports.of(state, &cause)?.map(|one| one.measures);
        let otherwise: Vec<String> = measures.into_iter().flatten().map(|one| one.key).collect();
        // What was lost for a while and came back was not lost by that.
        causes.retain(|key, _| otherwise.contains(key));
        for key in otherwise {
            causes.entry(key).or_insert_with(|| cause.clone());
        }
    }
    let mut by_cause: BTreeMap<String, Vec<MeasureSupport>> = BTreeMap::new();
    for measure in found.measures {
        // Nothing that was looked at explains it: it is told as what is known now.
        let cause = causes.get(&measure.key).map(Cause::to_string);
        let cause = cause.unwrap_or_else(|| found.cause.clone());
        by_cause.entry(cause).or_default().push(measure);
    }
    let changed = by_cause
        .into_iter()
        .map(|(cause, measures)| SupportChanged {
            measures,
            cause,
            list_seq: found.list_seq,
        });
    Ok(changed.collect())
}

/// What makes a change one that these measures may feel.
struct Touched<'a> {
    state: &'a CaseState,
    measures: Vec<Resting<'a>>,
}

impl<'a> Touched<'a> {
    fn by(state: &'a CaseState, changed: &[MeasureSupport]) -> Self {
        let changed = |resting: &Resting<'_>| changed.iter().any(|one| one.key == resting.key);
        Self {
            state,
            measures: state.resting().filter(changed).collect(),
        }
    }

    /// The changes since their basis was known, up to this number.
    fn changes(&self, cases: &Cases, up_to: u64) -> Result<Vec<Change>, Error> {
        let known = self.measures.iter().map(|resting| resting.list_seq);
        let mut following = cases.changes().follow(known.min().unwrap_or(up_to));
        let mut found: Vec<Change> = Vec::new();
        let lookups = self.state.lookups();
        loop {
            let read = following.next(READ)?;
            let ends = read.last().is_none_or(|last| last.seq >= up_to);
            let until = read.into_iter().filter(|change| change.seq <= up_to);
            found.extend(until.filter(|change| match &change.what {
                Changed::Entry { entry_id, keys } | Changed::EntryClock { entry_id, keys } => {
                    keys.iter().any(|key| lookups.contains(key)) || self.rests_on(entry_id)
                }
                Changed::RowClock(row) => {
                    let mut measures = self.measures.iter();
                    measures.any(|resting| *resting.measure_id == **row)
                }
                Changed::Book => true,
                Changed::Nothing => false,
            }));
            let more = found.len().saturating_sub(LOOKED_AT);
            found.drain(..more);
            if ends {
                return Ok(found);
            }
        }
    }

    fn rests_on(&self, entry: &str) -> bool {
        let mut measures = self.measures.iter();
        measures.any(|resting| resting.basis.entries.iter().any(|id| id == entry))
    }
}

/// A change as verdicts name it.
fn cause_of(change: &Change) -> Option<Cause> {
    match &change.what {
        Changed::Entry { .. } => Some(Cause::ListChange(change.seq)),
        Changed::EntryClock { .. } | Changed::RowClock(_) => Some(Cause::Clock(change.seq)),
        Changed::Book => change.book.map(Cause::Book),
        Changed::Nothing => None,
    }
}
