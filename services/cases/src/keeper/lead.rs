//! Which of several processes keeps the cases: one leads, the others stand by. Embedded it is this one.

use std::time::Duration;

use creditgate_runtime::errors::Chain;
use creditgate_runtime::telemetry::names::field;

use super::{Command, Keeper, RETRY};
use crate::error::{ActError, Error};
use crate::log::{Fault, Reports};

/// How often one that stands by looks whether it may lead.
const LOOK: Duration = Duration::from_millis(100);

impl Keeper {
    /// Whether this process leads now, after it has tried to where it may. Whoever asks meanwhile is told
    /// to ask another.
    pub(super) fn lead(&mut self) -> bool {
        let Some(topic) = &mut self.log.topic else {
            return true;
        };
        if !topic.may_lead() {
            self.shared.stands_by(&self.readiness);
            self.turn_away(LOOK);
            return false;
        }
        match topic.take_over(&self.log.journal) {
            Ok(()) => {
                tracing::info!("this process leads the cases");
                self.shared.leads();
                true
            }
            Err(Fault::StandsBy) => false,
            Err(fault) => {
                let error = Error::from(fault);
                tracing::error!({ field::ERROR } = %Chain(&error), "the cases cannot be led; trying again");
                self.shared.fell_behind(&self.readiness, error.advice());
                self.turn_away(RETRY);
                false
            }
        }
    }

    /// Reads reports from their topic for as long as this process leads.
    pub(super) fn start_reports(&mut self) -> Option<Reports> {
        let topic = self.log.topic.as_ref()?;
        let started = self
            .lookup
            .reports_read()
            .map_err(Error::from)
            .and_then(|places| {
                let keeper = self.own.clone();
                Reports::start(topic.cluster(), topic.partitions(), &places, keeper)
                    .map_err(Error::Thread)
            });
        started
            .inspect_err(|error| {
                tracing::error!({ field::ERROR } = %Chain(error), "reports are not read from their topic; restart this process");
            })
            .ok()
    }

    /// Answers for a while that another process leads.
    fn turn_away(&mut self, time: Duration) {
        let stop = self.shared.stop.clone();
        let runtime = self.runtime.clone();
        runtime.block_on(async {
            let end = tokio::time::sleep(time);
            tokio::pin!(end);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = &mut end => return,
                    command = self.commands.recv() => match command {
                        Some(command) => command.turn_away(),
                        None => return,
                    },
                }
            }
        });
    }
}

impl Command {
    /// Whoever asked has gone where the answer is not taken.
    fn turn_away(self) {
        match self {
            Self::Act { reply, .. } => drop(reply.send(Err(ActError::StandsBy))),
            Self::Sync { reply } => drop(reply.send(Err(ActError::StandsBy))),
            Self::ReviewAll { reply, .. } => drop(reply.send(Err(ActError::StandsBy))),
            // They are read or made again by whoever leads.
            Self::Done { .. } | Self::Reports { .. } => {}
        }
    }
}
