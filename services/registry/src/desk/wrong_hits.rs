//! The register of wrong hits: who was hit wrongly, corrected when, told when.

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::journal::v1::{DeskRecord, WrongHitOpened, desk_record::What};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Stamp;

/// Who was hit wrongly, as the register was told.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WhoHit {
    /// Type of the identifier.
    pub id_type: String,
    /// Identifier.
    pub id: String,
    /// Issuer, for OTHER.
    pub issuer: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Debug for WhoHit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WhoHit(＊＊＊)")
    }
}

/// A wrong hit.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct WrongHit {
    /// Who was hit.
    pub who: WhoHit,
    /// The verdict.
    pub verdict_id: String,
    /// The case.
    pub case_id: String,
    /// The entry.
    pub entry_id: String,
    /// What was wrong.
    pub what: String,
    /// When it was discovered.
    pub discovered_at: Time,
    /// What happened.
    pub reason: String,
    /// Who noted it.
    pub caller: String,
    /// Where and when it was noted.
    pub opened: Stamp,
    /// The correction.
    pub corrected: Option<Corrected>,
    /// How the subject was told.
    pub told: Option<Told>,
}

impl std::fmt::Debug for WrongHit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WrongHit")
            .field("entry_id", &self.entry_id)
            .field("what", &self.what)
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

/// How a wrong hit was corrected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Corrected {
    /// Number of the change of the entry.
    pub correction: u64,
    /// When that was recorded.
    pub at: Time,
    /// Who noted it.
    pub caller: String,
    /// Where and when it was noted.
    pub noted: Stamp,
}

/// How somebody was told of a wrong hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: Time,
    /// How.
    pub how: String,
    /// What proves it.
    pub proof: String,
    /// Who noted it.
    pub caller: String,
    /// Where and when it was noted.
    pub noted: Stamp,
}

impl WrongHit {
    /// Whether nothing is left to be done.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.corrected.is_some() && self.told.is_some()
    }
}

/// All of them, by number.
///
/// Each was entered by an official, and none is forgotten: the register has to answer who was hit
/// wrongly for as long as it is kept. It grows by some hundred bytes with each, and not by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WrongHits(OrdMap<u64, WrongHit>);

impl WrongHits {
    /// The one with this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&WrongHit> {
        self.0.get(&number)
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = (u64, &WrongHit)> {
        self.0.iter().map(|(number, hit)| (*number, hit))
    }

    pub(super) fn note(&mut self, record: &DeskRecord, stamp: Stamp) {
        let time = |at: &Option<pbjson_types::Timestamp>| {
            at.as_ref().and_then(time_from_proto).unwrap_or(stamp.at)
        };
        let caller = record.caller.clone();
        match &record.what {
            Some(What::WrongHitOpened(opened)) => {
                let at = time(&opened.discovered_at);
                self.0
                    .insert(stamp.seq, opened_hit(opened, record, at, stamp));
            }
            Some(What::WrongHitCorrected(corrected)) => {
                if let Some(hit) = self.0.get_mut(&corrected.wrong_hit) {
                    hit.corrected = Some(Corrected {
                        correction: corrected.correction,
                        at: time(&corrected.corrected_at),
                        caller,
                        noted: stamp,
                    });
                }
            }
            Some(What::WrongHitTold(told)) => {
                if let Some(hit) = self.0.get_mut(&told.wrong_hit) {
                    hit.told = Some(Told {
                        at: time(&told.told_at),
                        how: told.how.clone(),
                        proof: told.proof.clone(),
                        caller,
                        noted: stamp,
                    });
                }
            }
            _ => {}
        }
    }
}

fn opened_hit(opened: &WrongHitOpened, record: &DeskRecord, at: Time, stamp: Stamp) -> WrongHit {
    let who = opened.subject.clone().unwrap_or_default();
    WrongHit {
        who: WhoHit {
            id_type: who.id_type,
            id: who.id,
            issuer: who.issuer,
            name: who.name,
        },
        verdict_id: opened.verdict_id.clone(),
        case_id: opened.case_id.clone(),
        entry_id: opened.entry_id.clone(),
        what: opened.what.clone(),
        discovered_at: at,
        reason: record.reason.clone(),
        caller: record.caller.clone(),
        opened: stamp,
        corrected: None,
        told: None,
    }
}
