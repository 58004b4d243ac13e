//! A lease among processes: whoever has the one partition of a topic in a group may lead.
//!
//! The group's coordinator notices a member that died or hangs, and gives the partition to another.
//! Nothing is read by way of the group. A lease says who *may* begin; it fences nobody: a member
//! that was stopped for a while believes in its lease until it has spoken to the coordinator again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;

use super::client::{self, Cluster, SetDefault};
use super::error::Error;
use super::reader::passing;
use super::topics::Topic;

/// How long the thread sleeps at most.
const POLL: Duration = Duration::from_millis(50);

/// A member of the group. Dropped, it leaves, and another may lead.
#[derive(Debug)]
pub struct Lease {
    shared: Arc<Shared>,
    /// Closed when the group was left.
    left: mpsc::Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    held: AtomicBool,
    stop: AtomicBool,
    /// Milliseconds for which the member shall stand back; 0: it shall not.
    stand_back_ms: AtomicI64,
}

struct Callbacks {
    shared: Arc<Shared>,
    told: Box<dyn Fn(bool) + Send + Sync>,
}

impl Lease {
    /// Joins the group of this name on a topic of one partition. `told` is called at each decision
    /// of the coordinator: true when this member may lead, false when another one may. It is called
    /// from a thread of the lease and must not wait.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn stand(
        cluster: &Cluster,
        topic: Topic,
        name: &str,
        told: impl Fn(bool) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut config = cluster.consumer();
        config
            .set("group.id", cluster.name(name))
            // Who leads goes on leading when another one joins.
            .set("partition.assignment.strategy", "cooperative-sticky")
            // Nothing is read, so no place can be lost.
            .set("auto.offset.reset", "latest")
            .set_default("session.timeout.ms", "10000")
            .set_default("heartbeat.interval.ms", "1000");
        let shared = Arc::new(Shared {
            held: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            stand_back_ms: AtomicI64::new(0),
        });
        let callbacks = Callbacks {
            shared: Arc::clone(&shared),
            told: Box::new(told),
        };
        let consumer: BaseConsumer<Callbacks> =
            config
                .create_with_context(callbacks)
                .map_err(|source| Error::Client {
                    purpose: "a lease",
                    source,
                })?;
        let topic = cluster.topic(topic);
        consumer
            .subscribe(&[&topic])
            .map_err(Error::asked("subscribe to", topic.as_str()))?;
        let (leaving, left) = mpsc::channel::<()>();
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("kafka-lease".to_owned())
            .spawn(move || {
                // Dropped after the consumer, which leaves the group when it is dropped.
                let _leaving = leaving;
                run(consumer, &topic, &of_thread);
            })
            .expect("the operating system has room for a thread");
        Ok(Self { shared, left })
    }

    /// Whether this member may lead, as far as it knows.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.shared.held.load(Ordering::Acquire)
    }

    /// Leaves the group for a while, so that another may lead.
    pub fn stand_back(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.shared.stand_back_ms.store(millis, Ordering::Release);
    }

    /// Leaves the group, and waits for it this long at most.
    pub fn leave(self, within: Duration) {
        self.shared.stop.store(true, Ordering::Release);
        if let Err(RecvTimeoutError::Timeout) = self.left.recv_timeout(within) {
            tracing::warn!(
                "Kafka did not answer to the end of a lease; it ends by itself when the session does"
            );
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn run(consumer: BaseConsumer<Callbacks>, topic: &str, shared: &Shared) {
    let mut back_at: Option<Instant> = None;
    while !shared.stop.load(Ordering::Acquire) {
        let away = shared.stand_back_ms.swap(0, Ordering::AcqRel);
        if away > 0 {
            consumer.unsubscribe();
            back_at = Some(Instant::now() + Duration::from_millis(away.unsigned_abs()));
        }
        if back_at.is_some_and(|at| Instant::now() >= at) {
            back_at = None;
            if let Err(error) = consumer.subscribe(&[topic]) {
                tracing::error!(%error, "this process stands for the lead no more; restart it");
                break;
            }
        }
        match consumer.poll(POLL) {
            None | Some(Ok(_)) => {}
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                tracing::error!(%error, "this process stands for the lead no more; restart it");
                break;
            }
            Some(Err(error)) => {
                if !passing(&error) {
                    tracing::warn!(topic, %error, "a lease cannot be asked for; trying again");
                }
            }
        }
    }
    consumer.context().tell(Some(false));
}

impl Callbacks {
    /// Tells what is held now; none: as before.
    fn tell(&self, held: Option<bool>) {
        if let Some(held) = held {
            self.shared.held.store(held, Ordering::Release);
        }
        (self.told)(self.shared.held.load(Ordering::Acquire));
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::failed(&error, reason);
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance
            && list.count() > 0
        {
            self.tell(Some(false));
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let has_it = list.count() > 0;
                if has_it && let Err(error) = consumer.pause(list) {
                    tracing::debug!(%error, "kafka: the records of a lease are read for nothing");
                }
                self.tell(has_it.then_some(true));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => {
                tracing::warn!(%error, "kafka: a lease could not be given");
            }
        }
    }
}
