//! Which of several processes keeps the cases: one leads, the others stand by and take in what it records, so
//! that little is left to be read when one of them takes over. Embedded it is this one.

use std::time::{Duration, Instant};

use creditgate_runtime::errors::Chain;
use creditgate_runtime::telemetry::names::field;

use super::{Command, Keeper, RETRY};
use crate::error::{ActError, Error};
use crate::log::{Fault, Reports};

/// How often one that stands by looks whether it may lead.
const LOOK: Duration = Duration::from_millis(100);
/// How long one that stands by waits for what comes by other topics before it says so.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause before one that stands by begins to follow anew.
const FOLLOW_AGAIN: Duration = Duration::from_secs(5);

/// How far one that stands by came.
enum Followed {
    /// It has everything that was recorded.
    Everything,
    /// It may have more to read.
    Something,
    /// It stands by no more.
    MayLead,
}

impl Keeper {
    /// Whether this process leads now, after it has tried to where it may. Whoever asks meanwhile is told
    /// to ask another.
    pub(super) fn lead(&mut self) -> bool {
        let Some(topic) = &mut self.log.topic else {
            return true;
        };
        if !topic.may_lead() {
            topic.step_down();
            self.shared.stands_by(&self.readiness);
            self.follow();
            return false;
        }
        match topic.take_over(&self.log.journal) {
            Ok(()) => {
                let list_seq = self.table.mark().scanned;
                // Later ones are looked through now.
                tracing::info!(
                    { field::LIST_SEQ } = list_seq,
                    "this process leads the cases"
                );
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

    /// Takes in what another process records, until this one may lead.
    fn follow(&mut self) {
        let mut heard = Instant::now();
        while !self.shared.stop.is_cancelled() {
            while let Ok(command) = self.commands.try_recv() {
                command.turn_away();
            }
            match self.follow_on() {
                Ok(Followed::MayLead) => return,
                Ok(Followed::Everything) => {
                    heard = Instant::now();
                    self.shared.follows(&self.readiness);
                }
                Ok(Followed::Something) => heard = Instant::now(),
                // The copy waits for what is on its way by other topics.
                Err(error) if error.is_to_come() && heard.elapsed() < PATIENCE => {
                    self.turn_away(LOOK);
                }
                Err(error) => {
                    tracing::error!({ field::ERROR } = %Chain(&error), "the cases cannot be followed; trying again");
                    self.shared.cannot_follow(&self.readiness, error.advice());
                    self.turn_away(FOLLOW_AGAIN);
                }
            }
        }
    }

    fn follow_on(&mut self) -> Result<Followed, Error> {
        let Some(topic) = &mut self.log.topic else {
            return Ok(Followed::MayLead);
        };
        if topic.may_lead() {
            return Ok(Followed::MayLead);
        }
        let at_end = topic.follow(&self.log.journal, LOOK)?;
        while self.take_in()? {
            if self.shared.stop.is_cancelled() {
                return Ok(Followed::Something);
            }
        }
        Ok(match at_end {
            true => Followed::Everything,
            false => Followed::Something,
        })
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
            Self::Write { reply, .. } => drop(reply.send(Err(ActError::StandsBy))),
            Self::Sync { reply } => drop(reply.send(Err(ActError::StandsBy))),
            Self::ReviewAll { reply, .. } => drop(reply.send(Err(ActError::StandsBy))),
            // They are read or made again by whoever leads.
            Self::Done { .. } | Self::Reports { .. } => {}
        }
    }
}
