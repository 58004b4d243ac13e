//! What is committed, on its way into the local copy, while the next events are judged.
//!
//! The copy waits for the disk, and nobody waits for the copy: a verdict is durable on its topic. Only
//! an event that asks what is known of its case waits until the events before it are kept.

use std::collections::HashSet;
use std::sync::Arc;

use creditgate_runtime::journal::AppendError;
use creditgate_runtime::ports::Judge;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// See the module. INVARIANT (in order): one batch is kept at a time, so that the copy has the events of a
/// partition in their order, and what waits for the disk stays bounded.
pub(crate) struct Keeping {
    runtime: Handle,
    under_way: Option<UnderWay>,
    /// The loop waits for each batch: a simulation repeats a schedule step by step.
    #[cfg(test)]
    pub waits: bool,
}

struct UnderWay {
    task: JoinHandle<Result<(), AppendError>>,
    cases: HashSet<String>,
}

impl Keeping {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            under_way: None,
            #[cfg(test)]
            waits: false,
        }
    }

    /// Begins to keep verdicts of these cases, once the ones before them are kept.
    pub(crate) fn begin<J: Judge>(
        &mut self,
        judge: &Arc<J>,
        held: Vec<J::Held>,
        cases: HashSet<String>,
    ) {
        self.finish();
        if held.is_empty() {
            return;
        }
        #[cfg(test)]
        if self.waits {
            told(self.runtime.block_on(judge.keep(held)));
            return;
        }
        let judge = Arc::clone(judge);
        let task = self.runtime.spawn(async move { judge.keep(held).await });
        self.under_way = Some(UnderWay { task, cases });
    }

    /// Whether an event of this case may be among those under way.
    pub(crate) fn has_case(&self, case: &str) -> bool {
        let under_way = self.under_way.as_ref();
        under_way.is_some_and(|under_way| under_way.cases.contains(case))
    }

    /// Waits until everything is kept.
    pub(crate) fn finish(&mut self) {
        let Some(UnderWay { task, .. }) = self.under_way.take() else {
            return;
        };
        match self.runtime.block_on(task) {
            Ok(kept) => told(kept),
            Err(ended) => {
                // Else the runtime is ending, and the process with it; the next start reads them back.
                if let Ok(panic) = ended.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}

fn told(kept: Result<(), AppendError>) {
    if let Err(error) = kept {
        tracing::warn!(%error, "verdicts are committed, and the local copy does not take them; it reads them back");
    }
}
