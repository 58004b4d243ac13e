//! What measures rest on: only a re-decision of the event that triggered a measure takes its support
//! away, or gives it back.

use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::{MeasureSupport, SupportChanged};
use serde::{Deserialize, Serialize};

use super::table::{MeasureState, MeasureStep};
use super::{Basis, CaseMeasure, CaseState, Happened, Recording, Refusal, Taken};

/// A time in which nothing supported a measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// When its end of support was recorded.
    pub from: Time,
    /// When it was recorded that it is supported again.
    pub until: Option<Time>,
    /// What made support end.
    pub cause: String,
    /// Sequence number of the lists that show it.
    pub list_seq: u64,
    /// The entries it rested on.
    pub entries: Vec<String>,
}

/// A measure that is decided again when something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting<'a> {
    /// Its key in the case.
    pub key: String,
    /// The measure.
    pub measure_id: &'a str,
    /// Where it stands.
    pub state: MeasureState,
    /// What it rests on.
    pub basis: &'a Basis,
    /// The version of the lists up to which that is known.
    pub list_seq: u64,
    /// Position of the verdict that showed it last.
    pub position: u64,
    /// Stage of that verdict.
    pub stage: &'a str,
    /// Places in that verdict's event where the subject stands.
    pub places: Vec<u32>,
}

impl CaseMeasure {
    /// Whether feedback at this time falls into the last time without support.
    #[must_use]
    pub fn lacked_support(&self, at: Time) -> bool {
        self.gap
            .as_ref()
            .is_some_and(|gap| gap.from <= at && gap.until.is_none_or(|until| at < until))
    }

    /// It is supported again.
    pub(super) fn close_gap(&mut self, at: Time) {
        if let Some(gap) = &mut self.gap {
            gap.until = gap.until.or(Some(at));
        }
    }
}

impl CaseState {
    /// Every measure with what it rests on, for deciding its event again.
    pub fn resting(&self) -> impl Iterator<Item = Resting<'_>> {
        self.measures.iter().filter_map(|measure| {
            let shown_by = self.shown_by(measure)?;
            let places = (0..)
                .zip(shown_by.subjects)
                .filter(|(_, subject)| **subject == measure.subject)
                .map(|(place, _)| place)
                .collect();
            Some(Resting {
                key: measure.key(),
                measure_id: &measure.measure_id,
                state: measure.state,
                basis: &measure.basis,
                list_seq: measure.list_seq,
                position: shown_by.position,
                stage: &measure.stage,
                places,
            })
        })
    }

    /// What re-decided events show about what measures rest on.
    pub(super) fn change_support(
        &mut self,
        changed: &SupportChanged,
        recording: &Recording<'_>,
    ) -> Result<Taken, Refusal> {
        let mut places = Vec::with_capacity(changed.measures.len());
        for support in &changed.measures {
            let place = self
                .place_of(&support.key)
                .ok_or_else(|| Refusal::not_found("measure", &support.key))?;
            places.push(place);
        }
        let mut happened = Vec::new();
        let before = self.measures.clone();
        for (place, support) in places.into_iter().zip(&changed.measures) {
            self.support_one(place, support, changed, recording.at, &mut happened);
        }
        let repeated = happened.is_empty() && self.measures == before;
        Ok(Taken { repeated, happened })
    }

    fn support_one(
        &mut self,
        place: usize,
        support: &MeasureSupport,
        changed: &SupportChanged,
        at: Time,
        happened: &mut Vec<Happened>,
    ) {
        let lifted = self.is_lifted(place);
        let Some(measure) = self.measures.get_mut(place) else {
            return;
        };
        if changed.list_seq < measure.list_seq {
            // Older knowledge never takes the place of newer.
            return;
        }
        let mut entries = support.entry_ids.clone();
        entries.sort_unstable();
        entries.dedup();
        let basis = Basis {
            entries,
            by_row: support.by_row,
            effect: match support.effect.as_str() {
                "" => measure.basis.effect.clone(),
                effect => effect.to_owned(),
            },
        };
        measure.list_seq = changed.list_seq;
        match (measure.basis.supports(), basis.supports()) {
            (true, true) => {
                let judged_before = measure.state == MeasureState::Seconded
                    && measure.step_of(true, &basis) == MeasureStep::Propose;
                if judged_before && measure.go(MeasureStep::Propose).is_ok() {
                    measure.leave_hands();
                }
                if measure.rest_on(basis) {
                    happened.push(Happened::BasisChanged(measure.key()));
                }
            }
            (true, false) => {
                measure.gap = Some(Gap {
                    from: at,
                    until: None,
                    cause: changed.cause.clone(),
                    list_seq: changed.list_seq,
                    entries: measure.basis.entries.clone(),
                });
                let gone = measure.go(MeasureStep::Lose);
                debug_assert!(gone.is_ok(), "support can be lost in every state");
                measure.rest_on(basis);
                happened.push(Happened::Unsupported(measure.key()));
                self.give_orders(place, at, happened);
            }
            (false, true) => {
                measure.rest_on(basis);
                measure.close_gap(at);
                if !lifted {
                    let gone = measure.go(MeasureStep::Regain);
                    debug_assert!(gone.is_ok(), "the way back is in the table");
                }
                happened.push(Happened::Supported(measure.key()));
                self.cancel_orders(place, happened);
            }
            (false, false) => {}
        }
    }
}
