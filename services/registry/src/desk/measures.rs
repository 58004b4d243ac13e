//! Measures that were carried out by reason of an entry, until their subjects are told of them.

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::{DeskRecord, MeasureTaken, NoticeServed};
use creditgate_proto::v1;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::procedures::Masked;
use super::{Service, Stamp};

/// Measures whose subjects were told that are remembered; the change log has all. Without them the
/// same measure, stated again, would be due once more.
const TOLD_KEPT: usize = 10_000;

/// Entry, verdict, measure, and whom it fell on: the place in the verdict of somebody related to the
/// listed one, which goes before all of them.
type Key = (String, String, String, Option<u32>);

/// Somebody related to the listed one, on whom a measure fell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FellOn {
    /// Place in the verdict.
    pub place: u32,
    /// Role for the listed one.
    pub role: String,
    /// Identifier; empty: none is known.
    pub id: Masked,
    /// Name; empty: none is known.
    pub name: Masked,
}

impl FellOn {
    fn of(place: u32, on: &v1::RelatedSubject) -> Self {
        Self {
            place,
            role: on.role.clone(),
            id: Masked(on.id.clone()),
            name: Masked(on.name.clone()),
        }
    }
}

/// A measure that was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CarriedOut {
    /// The business number; empty: none was told.
    pub case_id: String,
    /// The office that carried it out.
    pub by: Masked,
    /// When.
    pub at: Time,
    /// By which document.
    pub document_no: String,
    /// Why.
    pub reason: Masked,
    /// Who recorded it.
    pub caller: String,
    /// When and where it was recorded.
    pub recorded: Stamp,
    /// Whom it fell on, where that is not the listed one.
    pub on: Option<FellOn>,
}

impl CarriedOut {
    /// Place in the verdict of whom it fell on, where that is not the listed one.
    #[must_use]
    pub fn place(&self) -> Option<u32> {
        self.on.as_ref().map(|on| on.place)
    }
}

/// A measure whose subject was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The measure.
    pub measure: CarriedOut,
    /// How the subject was told.
    pub service: Service,
}

/// All of them: those that wait to be told, and the last ones that were.
///
/// What waits is bounded by what departments record and do not serve; it leaves with its service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    waiting: OrdMap<Key, CarriedOut>,
    told: OrdMap<Key, Told>,
    /// Those that were told, by the number of the record of their service.
    told_by_seq: OrdMap<u64, Key>,
}

impl Measures {
    /// What is known of a measure, whether its subject was told or not.
    #[must_use]
    pub fn get(
        &self,
        entry_id: &str,
        verdict_id: &str,
        measure_id: &str,
        on: Option<u32>,
    ) -> Option<&CarriedOut> {
        let key = key(entry_id, verdict_id, measure_id, on);
        let told = || self.told.get(&key).map(|told| &told.measure);
        self.waiting.get(&key).or_else(told)
    }

    /// Whether its subject is still to be told.
    #[must_use]
    pub fn waits(
        &self,
        entry_id: &str,
        verdict_id: &str,
        measure_id: &str,
        on: Option<u32>,
    ) -> bool {
        let key = key(entry_id, verdict_id, measure_id, on);
        self.waiting.contains_key(&key)
    }

    /// Whom a measure of a verdict fell on, by reason of an entry, whether they were told or not.
    #[must_use]
    pub fn places(&self, entry_id: &str, verdict_id: &str, measure_id: &str) -> Vec<Option<u32>> {
        let waiting = self.waiting_of(entry_id);
        let told = self.told_of(entry_id);
        let all =
            waiting.chain(told.map(|(verdict, measure, told)| (verdict, measure, &told.measure)));
        let mut places: Vec<_> = all
            .filter(|(verdict, measure, _)| *verdict == verdict_id && *measure == measure_id)
            .map(|(.., known)| known.place())
            .collect();
        places.sort_unstable();
        places
    }

    /// Those of an entry that wait to be told: verdict, measure, what is known.
    pub fn waiting_of<'a>(
        &'a self,
        entry_id: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a CarriedOut)> + 'a {
        of_entry(&self.waiting, entry_id)
    }

    /// Those of an entry that were told, as far as they are remembered.
    pub fn told_of<'a>(
        &'a self,
        entry_id: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Told)> + 'a {
        of_entry(&self.told, entry_id)
    }

    pub(super) fn taken(&mut self, taken: &MeasureTaken, record: &DeskRecord, stamp: Stamp) {
        let Some(at) = taken.at.as_ref().and_then(time_from_proto) else {
            return;
        };
        let measure = CarriedOut {
            case_id: taken.case_id.clone(),
            by: Masked(taken.by.clone()),
            at,
            document_no: taken.document_no.clone(),
            reason: Masked(record.reason.clone()),
            caller: record.caller.clone(),
            recorded: stamp,
            on: taken.on.as_ref().map(|on| {
                let place = taken.verdict_subject.unwrap_or_default();
                FellOn::of(place, on)
            }),
        };
        let (entry_id, verdict_id) = (&taken.entry_id, &taken.verdict_id);
        let key = key(entry_id, verdict_id, &taken.measure_id, measure.place());
        if !self.told.contains_key(&key) {
            self.waiting.entry(key).or_insert(measure);
        }
    }

    /// A service that names a measure tells its subject of it; one told before keeps its last service.
    pub(super) fn served(&mut self, served: &NoticeServed, service: &Service) {
        let (entry_id, verdict_id) = (&served.entry_id, &served.verdict_id);
        let on = served.verdict_subject;
        let key = key(entry_id, verdict_id, &served.measure_id, on);
        let measure = match (self.waiting.remove(&key), self.told.get(&key)) {
            (Some(measure), _) => measure,
            (None, Some(told)) if told.service.at <= service.at => told.measure.clone(),
            (None, _) => return,
        };
        let told = Told {
            measure,
            service: service.clone(),
        };
        if let Some(before) = self.told.insert(key.clone(), told) {
            self.told_by_seq.remove(&before.service.recorded.seq);
        }
        self.told_by_seq.insert(service.recorded.seq, key);
        if self.told_by_seq.len() > TOLD_KEPT
            && let Some((seq, oldest)) = self.told_by_seq.get_min().cloned()
        {
            self.told_by_seq.remove(&seq);
            self.told.remove(&oldest);
        }
    }
}

fn key(entry_id: &str, verdict_id: &str, measure_id: &str, on: Option<u32>) -> Key {
    (
        entry_id.to_owned(),
        verdict_id.to_owned(),
        measure_id.to_owned(),
        on,
    )
}

fn of_entry<'a, T: Clone>(
    map: &'a OrdMap<Key, T>,
    entry_id: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str, &'a T)> + 'a {
    map.range(key(entry_id, "", "", None)..)
        .take_while(move |((of, ..), _)| of == entry_id)
        .map(|((_, verdict, measure, _), known)| (verdict.as_str(), measure.as_str(), known))
}

#[cfg(test)]
mod tests {
    use creditgate_proto::encode::time_to_proto;

    use super::*;

    fn stamp(seq: u64) -> Stamp {
        Stamp {
            seq,
            at: Time::from_micros(0),
        }
    }

    #[test]
    fn what_was_told_is_remembered_up_to_a_bound_and_what_waits_always() {
        let mut measures = Measures::default();
        let at = Some(time_to_proto(Time::from_micros(0)));
        let record = DeskRecord::default();
        let many = TOLD_KEPT as u64 + 10;
        for n in 0..many {
            let taken = MeasureTaken {
                entry_id: "E-1".to_owned(),
                verdict_id: format!("V{n}"),
                measure_id: "M1".to_owned(),
                at,
                ..MeasureTaken::default()
            };
            measures.taken(&taken, &record, stamp(2 * n));
            if n == 0 {
                continue;
            }
            let served = NoticeServed {
                entry_id: "E-1".to_owned(),
                verdict_id: format!("V{n}"),
                measure_id: "M1".to_owned(),
                ..NoticeServed::default()
            };
            let service = Service {
                at: Time::from_micros(1),
                how: "post".to_owned(),
                proof: String::new(),
                recorded: stamp(2 * n + 1),
            };
            measures.served(&served, &service);
        }
        assert_eq!(measures.told.len(), TOLD_KEPT);
        assert_eq!(measures.told_by_seq.len(), TOLD_KEPT);
        assert!(measures.waits("E-1", "V0", "M1", None));
        assert_eq!(measures.waiting_of("E-1").count(), 1);
        assert!(
            measures.get("E-1", "V1", "M1", None).is_none(),
            "the oldest"
        );
        assert!(
            measures
                .get("E-1", &format!("V{}", many - 1), "M1", None)
                .is_some()
        );
    }
}
