//! What answers to repeats tell besides the recorded verdict: which one took its place since.

use std::sync::Arc;

use creditgate_proto::{v1, verdict_id_from_text};
use creditgate_runtime::ports::Successors;
use parking_lot::RwLock;

/// Where successors are found, once somebody has told. Before that no verdict has one.
#[derive(Default)]
pub(crate) struct Superseded(RwLock<Option<Arc<dyn Successors>>>);

impl Superseded {
    pub(crate) fn found_by(&self, successors: Arc<dyn Successors>) {
        *self.0.write() = Some(successors);
    }

    /// Lets go of whoever told, who may hold the gate.
    pub(crate) fn forget(&self) {
        *self.0.write() = None;
    }

    /// Makes a recorded verdict the answer to a repeat. Neither its record nor its digest has this.
    pub(crate) fn tell(&self, verdict: &mut v1::Verdict) {
        let successors = self.0.read().clone();
        verdict.superseded_by = successors
            .zip(verdict_id_from_text(&verdict.verdict_id))
            .and_then(|(successors, verdict)| successors.successor(verdict))
            .map(|successor| successor.to_string());
    }
}
