//! The role as one value: joined, run, left.

use std::sync::Arc;
use std::time::Duration;

use creditgate_runtime::errors::Chain;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::kafka::group::News;
use creditgate_runtime::kafka::{self, Cluster, Group, Topic};
use creditgate_runtime::metrics::Metrics;
use creditgate_runtime::ports::Judge;
use creditgate_runtime::shutdown::Shutdown;
use creditgate_runtime::telemetry::names::field;
use tokio::runtime::Handle;

use crate::lane::{Loop, Shop};

/// The name under which the stream speaks to readiness.
pub const COMPONENT: &str = "stream";

/// The group's name after the prefix.
const GROUP: &str = "stream";

/// How often it is looked whether the group still runs.
const LOOK: Duration = Duration::from_millis(200);

/// What a stream is made of.
pub struct Options<J> {
    /// Who judges.
    pub judge: Arc<J>,
    /// The cluster.
    pub cluster: Cluster,
    /// Partitions of the events topic.
    pub partitions: u32,
    /// Where events are counted.
    pub metrics: Metrics,
    /// Where the stream says whether it can serve.
    pub readiness: Readiness,
}

/// A member of the group that shares the events topic.
pub struct Stream {
    group: Group,
    readiness: Readiness,
    /// Whether whoever judges still knows what others decide.
    follows: Box<dyn Fn() -> bool + Send>,
}

/// Why a stream does not start, or could not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka.
    #[error("share the events topic")]
    Kafka(#[from] kafka::Error),
    /// The thread that ends it failed.
    #[error("leave the group")]
    Leaving(#[from] tokio::task::JoinError),
}

impl Stream {
    /// Joins the group; partitions come as the group gives them. Called within a runtime; blocks on
    /// the cluster.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn join<J: Judge>(options: Options<J>) -> Result<Self, Error> {
        let Options {
            judge,
            cluster,
            partitions,
            metrics,
            readiness,
        } = options;
        let judging = Arc::clone(&judge);
        let shop = Shop {
            judge,
            cluster: cluster.clone(),
            metrics,
            runtime: Handle::current(),
        };
        let told = readiness.clone();
        let group = Group::join(
            &cluster,
            Topic::Events,
            partitions,
            GROUP,
            move |news| tell(&told, news),
            move |lane| Loop::new(&shop, lane).run(),
        )?;
        Ok(Self {
            group,
            readiness,
            follows: Box::new(move || judging.follows()),
        })
    }

    /// Runs until the shutdown is asked for; then partitions are left to others, each after its
    /// transaction.
    ///
    /// A group that ends by itself, as when events were deleted unread, makes the process not ready
    /// and leaves its other roles alone: a person decides where to go on. So does a copy of the case
    /// state that is not followed any more: others take the partitions.
    ///
    /// # Errors
    /// When it could not end.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let Self {
            group,
            readiness,
            follows,
        } = self;
        while !shutdown.requested() && !group.has_ended() && follows() {
            tokio::select! {
                () = shutdown.wait() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        let ended = tokio::task::spawn_blocking(move || group.leave()).await?;
        match ended {
            Ok(()) if shutdown.requested() => readiness.not_ready(COMPONENT, "shutting down"),
            Ok(()) => readiness.not_ready(
                COMPONENT,
                "the case state is not followed any more, so no events are judged here",
            ),
            Err(error) => {
                let error = Chain(&error).to_string();
                tracing::error!({ field::ERROR } = error, "events are not read any more");
                readiness.not_ready(COMPONENT, error);
            }
        }
        shutdown.wait().await;
        Ok(())
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

fn tell(readiness: &Readiness, news: News) {
    match news {
        News::Assigned(partitions) => {
            tracing::info!(
                ?partitions,
                "the group gave partitions of events to this process"
            );
            readiness.ready(COMPONENT);
        }
        News::Revoked(partitions) => {
            tracing::info!(?partitions, "partitions of events went elsewhere");
        }
        News::Trouble(error) => {
            tracing::warn!({ field::ERROR } = %Chain(&error), "events cannot be read; trying again");
        }
    }
}
