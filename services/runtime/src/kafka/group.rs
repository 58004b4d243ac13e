//! A consumer group: the partitions of a topic shared among processes, one loop for each.
//!
//! One thread polls and hands each record to the loop of its partition; what the library calls
//! back becomes a message to a loop. A loop that is slow pauses its partition, not the others. When
//! a partition goes to another process, its loop is asked to end and waited for, up to a deadline:
//! what it has not committed by then, the next owner does again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Cluster, Logged, SetDefault};
use super::error::{Error, code_of};
use super::reader::passing;
use super::record::Incoming;
use super::topics::Topic;
use super::writer::{Offsets, Place};

/// Bytes that may wait for one loop before its partition is paused, and at which it goes on.
const PAUSE_ABOVE: usize = 16 << 20;
const RESUME_BELOW: usize = 8 << 20;
/// How long the polling thread sleeps at most.
const POLL: Duration = Duration::from_millis(50);
/// Time for the group's coordinator to say where the group stands.
const ASK_WITHIN: Duration = Duration::from_secs(30);

/// A member of a group. Dropped or stopped, it leaves, and others take its partitions.
pub struct Group {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Result<(), Error>>>,
}

/// What a group tells while it runs.
#[derive(Debug)]
pub enum News {
    /// These partitions are this process's now, besides those it had.
    Assigned(Vec<i32>),
    /// These went elsewhere.
    Revoked(Vec<i32>),
    /// Something is wrong; the library goes on trying.
    Trouble(Error),
}

/// One partition's records, for the loop that owns it.
pub struct Lane {
    /// The partition.
    pub partition: i32,
    topic: String,
    inbox: mpsc::Receiver<Incoming>,
    waiting: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    consumer: Arc<BaseConsumer<Callbacks>>,
}

/// What came for a lane.
#[derive(Debug)]
pub enum Next {
    /// A record.
    Record(Incoming),
    /// Nothing in the time allowed.
    Nothing,
    /// The partition goes elsewhere: commit what is under way, and end.
    Stop,
}

/// A running loop, seen from the polling thread.
struct Running {
    inbox: mpsc::Sender<Incoming>,
    waiting: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    paused: bool,
    /// Closed when the loop has ended.
    ended: mpsc::Receiver<()>,
}

struct Callbacks {
    lanes: Mutex<HashMap<i32, Running>>,
    assigned: Mutex<Vec<i32>>,
    drain: Duration,
    news: Box<dyn Fn(News) + Send + Sync>,
}

impl Group {
    /// Joins the group of this name on a topic. `lane` runs on a thread of its own for each
    /// partition, and returns when it is told [`Next::Stop`].
    ///
    /// # Errors
    /// When the client cannot be made, or the group's place cannot be told or set.
    pub fn join(
        cluster: &Cluster,
        topic: Topic,
        partitions: u32,
        name: &str,
        news: impl Fn(News) + Send + Sync + 'static,
        lane: impl Fn(Lane) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut config = cluster.consumer();
        config
            .set("group.id", cluster.name(name))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set_default("session.timeout.ms", "10000")
            .set_default("heartbeat.interval.ms", "1000")
            .set_default("queued.max.messages.kbytes", "16384")
            .set_default("fetch.wait.max.ms", "50");
        let callbacks = Callbacks {
            lanes: Mutex::default(),
            assigned: Mutex::default(),
            drain: cluster.settings().revoke_drain,
            news: Box::new(news),
        };
        let consumer: BaseConsumer<Callbacks> =
            config
                .create_with_context(callbacks)
                .map_err(|source| Error::Client {
                    purpose: "a consumer group",
                    source,
                })?;
        let topic = cluster.topic(topic);
        begin_where_nobody_was(&config, &topic, partitions)?;
        consumer
            .subscribe(&[&topic])
            .map_err(Error::asked("subscribe to", topic.as_str()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let polling = Polling {
            consumer: Arc::new(consumer),
            topic,
            stop: Arc::clone(&stop),
            lane: Arc::new(lane),
        };
        let thread = thread::Builder::new()
            .name("kafka-group".to_owned())
            .spawn(move || polling.run())
            .expect("the operating system has room for a thread");
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Whether it has ended, asked or not.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread
            .as_ref()
            .is_none_or(thread::JoinHandle::is_finished)
    }

    /// Asks the loops to end, waits for them as long as for a revoked partition, and leaves.
    ///
    /// # Errors
    /// The reason for which it had ended before.
    pub fn leave(mut self) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(thread::JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Where the group was never before it begins with the oldest record, and says so to the broker:
/// from then on a missing place is an error and not a reason to jump.
fn begin_where_nobody_was(
    config: &ClientConfig,
    topic: &str,
    partitions: u32,
) -> Result<(), Error> {
    // Only whether there is a place is asked. A member asks for one that no open transaction can
    // move; of all partitions at once, under load, there is hardly ever a moment for that.
    let consumer: BaseConsumer<Logged> = config
        .clone()
        .set("isolation.level", "read_uncommitted")
        .create_with_context(Logged)
        .map_err(|source| Error::Client {
            purpose: "a consumer group",
            source,
        })?;
    let deadline = Instant::now() + ASK_WITHIN;
    loop {
        match try_to_begin(&consumer, topic, partitions) {
            Ok(()) => return Ok(()),
            // A coordinator that was just chosen needs a moment.
            Err(error) if passing(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(200));
            }
            Err(error) => return Err(Error::asked("ask where the group stands on", topic)(error)),
        }
    }
}

fn try_to_begin(
    consumer: &BaseConsumer<Logged>,
    topic: &str,
    partitions: u32,
) -> Result<(), KafkaError> {
    let mut asked = TopicPartitionList::new();
    for partition in 0..partitions.cast_signed() {
        asked.add_partition(topic, partition);
    }
    let without_place = || -> Result<Vec<i32>, KafkaError> {
        let committed = consumer.committed_offsets(asked.clone(), ASK_WITHIN)?;
        let elements = committed.elements();
        Ok(elements
            .iter()
            .filter(|element| !matches!(element.offset(), Offset::Offset(_)))
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
            .collect())
    };
    let new = without_place()?;
    if new.is_empty() {
        return Ok(());
    }
    let mut beginnings = TopicPartitionList::new();
    for partition in new {
        let (low, _) = consumer.fetch_watermarks(topic, partition, ASK_WITHIN)?;
        beginnings.add_partition_offset(topic, partition, Offset::Offset(low))?;
    }
    consumer
        .commit(&beginnings, CommitMode::Sync)
        .or_else(|error| match without_place()?.is_empty() {
            // Others are members already, and have done it.
            true => Ok(()),
            false => Err(error),
        })
}

/// The thread that polls.
struct Polling<L> {
    consumer: Arc<BaseConsumer<Callbacks>>,
    topic: String,
    stop: Arc<AtomicBool>,
    lane: Arc<L>,
}

impl<L: Fn(Lane) + Send + Sync + 'static> Polling<L> {
    fn run(self) -> Result<(), Error> {
        let polled = self.poll();
        let callbacks = self.consumer.context();
        let all = callbacks.lanes.lock().keys().copied().collect::<Vec<_>>();
        callbacks.end(&all);
        polled
    }

    fn poll(&self) -> Result<(), Error> {
        while !self.stop.load(Ordering::Relaxed) {
            let polled = self.consumer.poll(POLL);
            self.open_lanes();
            match polled {
                None => {}
                Some(Ok(message)) => self.hand_over(Incoming::of(&message))?,
                Some(Err(error)) => self.face(error)?,
            }
            self.resume();
        }
        Ok(())
    }

    fn face(&self, error: KafkaError) -> Result<(), Error> {
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        match code_of(&error) {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(Error::Gone {
                    topic: self.topic.clone(),
                })
            }
            Some(RDKafkaErrorCode::PartitionEOF) => Ok(()),
            _ => {
                let trouble = Error::asked("read", self.topic.as_str())(error);
                match fatal {
                    true => Err(trouble),
                    false => {
                        (self.consumer.context().news)(News::Trouble(trouble));
                        Ok(())
                    }
                }
            }
        }
    }

    fn open_lanes(&self) {
        let callbacks = self.consumer.context();
        let assigned = std::mem::take(&mut *callbacks.assigned.lock());
        if assigned.is_empty() {
            return;
        }
        let mut lanes = callbacks.lanes.lock();
        for partition in assigned {
            // A pause outlives the loop that made it, and would hold this one up for ever.
            let _ = self.consumer.resume(&self.list(partition));
            let (inbox, received) = mpsc::channel();
            let (ending, ended) = mpsc::channel::<()>();
            let waiting = Arc::new(AtomicUsize::new(0));
            let stopping = Arc::new(AtomicBool::new(false));
            let lane = Lane {
                partition,
                topic: self.topic.clone(),
                inbox: received,
                waiting: Arc::clone(&waiting),
                stopping: Arc::clone(&stopping),
                consumer: Arc::clone(&self.consumer),
            };
            let run = Arc::clone(&self.lane);
            thread::Builder::new()
                .name(format!("partition-{partition}"))
                .spawn(move || {
                    // Dropped last, also by a panic.
                    let _ending = ending;
                    run(lane);
                })
                .expect("the operating system has room for a thread");
            lanes.insert(
                partition,
                Running {
                    inbox,
                    waiting,
                    stopping,
                    paused: false,
                    ended,
                },
            );
        }
    }

    fn hand_over(&self, record: Incoming) -> Result<(), Error> {
        let mut lanes = self.consumer.context().lanes.lock();
        let Some(lane) = lanes.get_mut(&record.partition) else {
            return Ok(());
        };
        let partition = record.partition;
        let weight = record.weight();
        let waiting = lane.waiting.fetch_add(weight, Ordering::Relaxed) + weight;
        if lane.inbox.send(record).is_err() {
            return Err(Error::LaneEnded(partition));
        }
        if waiting > PAUSE_ABOVE && !lane.paused {
            lane.paused = self.consumer.pause(&self.list(partition)).is_ok();
        }
        Ok(())
    }

    fn resume(&self) {
        let mut lanes = self.consumer.context().lanes.lock();
        for (partition, lane) in lanes.iter_mut().filter(|(_, lane)| lane.paused) {
            if lane.waiting.load(Ordering::Relaxed) < RESUME_BELOW {
                lane.paused = self.consumer.resume(&self.list(*partition)).is_err();
            }
        }
    }

    fn list(&self, partition: i32) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.topic, partition);
        list
    }
}

impl Callbacks {
    /// Asks loops to end, all at once, and waits for them up to the deadline.
    fn end(&self, partitions: &[i32]) {
        let ending: Vec<(i32, mpsc::Receiver<()>)> = {
            let mut lanes = self.lanes.lock();
            partitions
                .iter()
                .filter_map(|partition| {
                    let lane = lanes.remove(partition)?;
                    lane.stopping.store(true, Ordering::Relaxed);
                    // With the inbox gone, a loop that waits is told at once.
                    Some((*partition, lane.ended))
                })
                .collect()
        };
        let deadline = Instant::now() + self.drain;
        for (partition, ended) in ending {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(left) {
                tracing::warn!(
                    partition,
                    "the partition went elsewhere before its transaction had ended; the next owner does it again"
                );
            }
        }
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
        if let Rebalance::Revoke(list) = rebalance {
            let partitions = partitions_of(list);
            self.end(&partitions);
            self.assigned
                .lock()
                .retain(|assigned| !partitions.contains(assigned));
            (self.news)(News::Revoked(partitions));
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions_of(list);
                self.assigned.lock().extend(&partitions);
                (self.news)(News::Assigned(partitions));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => {
                tracing::warn!(%error, "kafka: the group could not share its partitions");
            }
        }
    }
}

fn partitions_of(list: &TopicPartitionList) -> Vec<i32> {
    list.elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
        .collect()
}

impl Lane {
    /// The next record.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Next {
        match self.inbox.recv_timeout(wait) {
            Ok(record) => {
                self.waiting.fetch_sub(record.weight(), Ordering::Relaxed);
                Next::Record(record)
            }
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Stop,
        }
    }

    /// Whether [`Lane::next`] has a record without waiting.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Whether the partition goes elsewhere; [`Lane::next`] says so once it has nothing more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Where the group stands in this partition: the next offset to be read.
    ///
    /// # Errors
    /// When the coordinator does not answer.
    pub fn committed(&self) -> Result<i64, Error> {
        let asking = || Error::asked("ask where the group stands on", self.topic.as_str());
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.topic, self.partition);
        let committed = self
            .consumer
            .committed_offsets(list, ASK_WITHIN)
            .map_err(asking())?;
        match committed.elements().first().map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Ok(offset),
            _ => Err(Error::Gone {
                topic: self.topic.clone(),
            }),
        }
    }

    /// The group's place for a transaction: the next offset to be read.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn offsets(&self, next: i64) -> Result<Offsets, Error> {
        let asking = || Error::asked("tell where the group stands on", self.topic.as_str());
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&self.topic, self.partition, Offset::Offset(next))
            .map_err(asking())?;
        let member = self
            .consumer
            .group_metadata()
            .ok_or_else(|| asking()(KafkaError::Canceled))?;
        Ok(Offsets(Arc::new(Place { list, member })))
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}
