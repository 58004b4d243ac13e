//! How a service ends: what is closed, and in which order.

use std::time::Duration;

use creditgate_cases::Cases;
use creditgate_gate::Gate;
use creditgate_registry::Registry;
use creditgate_runtime::access::Calls;
use creditgate_runtime::check_points::CheckPoints;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::shutdown::{Shutdown, Tasks};
use creditgate_runtime::telemetry::names::field;
use creditgate_stream::Stream;

/// Returns when nothing but a new start brings the verdicts back.
async fn worth_starting_anew(gate: Option<&Gate>) {
    match gate {
        Some(gate) => gate.worth_starting_anew().await,
        None => std::future::pending().await,
    }
}

/// What has to be closed.
pub(super) struct Ending {
    pub(super) stream: Option<Stream>,
    pub(super) cases: Option<Cases>,
    pub(super) gate: Option<Gate>,
    pub(super) registry: Registry,
    pub(super) calls: Calls,
    pub(super) check_points: Option<CheckPoints>,
}

impl Ending {
    /// When asked to stop: first partitions are left, then no new checks and the verdicts closed, then the lists, and a
    /// check point covers it all.
    pub(super) fn in_order(self, tasks: &Tasks, patience: Duration, drained: Shutdown) {
        let shutdown = tasks.shutdown().clone();
        tasks.spawn_named("journals", async move {
            let calls = self.calls.clone();
            let ended = self.all(shutdown, patience, drained).await;
            // However it ends.
            calls.close().await;
            ended
        });
    }

    async fn all(
        self,
        shutdown: Shutdown,
        patience: Duration,
        drained: Shutdown,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let streamed = async {
            match self.stream {
                Some(stream) => stream.run(shutdown).await,
                None => {
                    shutdown.wait().await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            streamed = streamed => streamed?,
            () = self.registry.ended() => {
                return Err("the writer of the lists ended".into());
            }
            () = worth_starting_anew(self.gate.as_ref()) => {
                return Err("the disk did not confirm a verdict's record, and takes records again: \
                            whoever starts this service anew finds what was recorded".into());
            }
        }
        if let Some(cases) = self.cases
            && let Err(error) = cases.close().await
        {
            tracing::error!({ field::ERROR } = %error, "the journal of cases had failed before it was closed");
        }
        let closed = match self.gate {
            Some(gate) => gate.close(patience).await,
            None => Ok(()),
        };
        self.registry.close().await;
        self.calls.record().await;
        if let Some(check_points) = &self.check_points
            && let Err(error) = check_points.put().await
        {
            tracing::error!({ field::ERROR } = %Chain(&error), "no last check point");
        }
        drained.request();
        if let Some(check_points) = &self.check_points
            && let Err(error) = check_points.send().await
        {
            tracing::error!({ field::ERROR } = %Chain(&error), "the anchor does not have the last check point");
        }
        closed.map_err(Box::<dyn std::error::Error + Send + Sync>::from)
    }
}
