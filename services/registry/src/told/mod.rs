//! What cases tell of their reports: that a penalty was carried out, so that its subject is told, and what
//! an inspection found.
//!
//! INVARIANT (once): up to where the log of the cases was taken in is recorded in one run with what it led
//! to. A process that dies in between reads on from there; one that reads the log from its beginning again
//! finds every measure and every inspection known.

mod plan;

use std::sync::Arc;
use std::time::Duration;

use creditgate_proto::journal::v1::CasesRead;
use creditgate_runtime::ports::{Telling, Tellings, TellingsRead};
use creditgate_runtime::shutdown::Shutdown;
use creditgate_runtime::telemetry::names::field;
use tokio::runtime::Handle;

use crate::error::ChangeError;
use crate::registry::Registry;

/// How often one that does not keep the lists looks whether it does.
const LOOK: Duration = Duration::from_millis(500);
/// Until what could not be read or recorded is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Records read at once.
const BATCH: usize = 500;
/// Records without anything for the lists, after which the place is recorded all the same: a start does not
/// read them again.
const REMEMBER_EVERY: u64 = 10_000;
/// Who records it.
const CALLER: &str = "cases";

/// Takes in what cases tell, until a stop is asked for. Everything happens on a thread of its own.
///
/// # Errors
/// When its thread ended otherwise.
pub async fn follow(
    registry: Registry,
    tellings: Arc<dyn Tellings>,
    shutdown: Shutdown,
) -> Result<(), tokio::task::JoinError> {
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut taking = Taking {
            registry,
            tellings,
            handle: handle.clone(),
            passed: 0,
        };
        let mut reading = None;
        while !shutdown.requested() {
            let wait = taking.turn(&mut reading);
            handle.block_on(async {
                tokio::select! {
                    () = shutdown.wait() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            });
        }
    })
    .await
}

struct Taking {
    registry: Registry,
    tellings: Arc<dyn Tellings>,
    handle: Handle,
    /// Records read since the place was recorded.
    passed: u64,
}

impl Taking {
    /// Takes in what comes next. Gives how long to wait after it.
    fn turn(&mut self, reading: &mut Option<Box<dyn TellingsRead>>) -> Duration {
        // Where another process keeps the lists, that one reads.
        if self.registry.follows() {
            *reading = None;
            return LOOK;
        }
        match self.take_next(reading) {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                *reading = None;
                match error.downcast_ref::<ChangeError>() {
                    Some(ChangeError::Closed | ChangeError::Follows | ChangeError::StandsBy) => {}
                    _ => {
                        tracing::warn!({ field::ERROR } = %error, "what cases tell of their reports cannot be taken in; trying again");
                    }
                }
                AGAIN_AFTER
            }
        }
    }

    fn take_next(
        &mut self,
        reading: &mut Option<Box<dyn TellingsRead>>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let reader = match reading {
            Some(reader) => reader,
            None => {
                let read = self.registry.desk().cases.read.clone();
                let after = read.map(|read| CasesRead {
                    log: read.log,
                    place: read.place,
                    position: read.position,
                });
                self.passed = 0;
                reading.insert(self.tellings.follow(after.as_ref())?)
            }
        };
        for telling in reader.next(BATCH)? {
            self.passed += 1;
            if telling.told.is_some() || self.passed >= REMEMBER_EVERY {
                self.take(telling)?;
                self.passed = 0;
            }
        }
        Ok(())
    }

    fn take(&self, telling: Telling) -> Result<(), ChangeError> {
        let registry = self.registry.clone();
        let feedback_id = telling.told.as_ref().map(|told| told.feedback_id.clone());
        let taken = registry.transact_as(CALLER.into(), move |view| Ok(plan::of(&telling, view)));
        let (_, not_taken) = self.handle.block_on(taken)?;
        for why in not_taken {
            tracing::warn!(
                feedback = feedback_id,
                { field::REASON } = why,
                "the lists do not take in what a report of a case says; look at the report (`creditgate cases show`)"
            );
        }
        Ok(())
    }
}
