//! A broker inside this process, for showing and trying: the one that librdkafka carries for tests.
//!
//! It speaks the protocol over loopback, so that clients are the real ones, and that is all: it
//! keeps records in memory up to 5 MiB a partition and then drops the oldest, it shows readers what
//! was aborted or is still open, it forgets offsets that were sent with a transaction, and it fences
//! nobody. Nothing that was seen with it says anything about exactly once.

use rdkafka::admin::AdminClient;
use rdkafka::bindings;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use super::client::{Cluster, Logged};
use super::error::Error;
use super::topics::Topic;
use crate::config;

/// See the module. It ends when dropped: clients first, or they look for it in vain.
pub struct InProcessBroker {
    cluster: Cluster,
    /// The library ties the broker to a client, and ends it with that client.
    _host: AdminClient<Logged>,
}

impl InProcessBroker {
    /// Starts the broker on a free port and makes our topics as these settings say; brokers that
    /// they name are passed over.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn start(settings: config::Kafka) -> Result<Self, Error> {
        let host: AdminClient<Logged> = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .set_log_level(RDKafkaLogLevel::Warning)
            .create_with_context(Logged)
            .map_err(refused)?;
        let cluster = prepare(&host, settings)?;
        do_not_wait_for_members(&host);
        Ok(Self {
            cluster,
            _host: host,
        })
    }

    /// Where it is, for clients of ours.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

/// Makes the topics: the broker has no administration that clients could use for it.
fn prepare(host: &AdminClient<Logged>, settings: config::Kafka) -> Result<Cluster, Error> {
    let broker = host
        .inner()
        .mock_cluster()
        .ok_or(KafkaError::Canceled)
        .map_err(refused)?;
    let settings = config::Kafka {
        brokers: vec![broker.bootstrap_servers()],
        ..settings
    };
    let cluster = Cluster::of(&settings).expect("the settings name a broker");
    for topic in Topic::ALL {
        let partitions = match topic.rule().by_case {
            true => settings.partitions.cast_signed(),
            false => 1,
        };
        let name = cluster.topic(topic);
        broker
            .create_topic(&name, partitions, 1)
            .map_err(Error::asked("make the topic", name))?;
    }
    Ok(cluster)
}

fn refused(source: KafkaError) -> Error {
    Error::Client {
        purpose: "the broker inside this process",
        source,
    }
}

/// A group has its first member at once, and not after the three seconds in which others might
/// come; the library's safe interface has no word for it.
#[expect(
    unsafe_code,
    reason = "the host owns the broker and is borrowed for the call, which takes the broker's lock and sets a number"
)]
fn do_not_wait_for_members(host: &AdminClient<Logged>) {
    // SAFETY: the client's pointer is valid while it is borrowed, and so is the broker's, which
    // lives as long as its client; a client without a broker gives null, which is not passed on.
    unsafe {
        let broker = bindings::rd_kafka_handle_mock_cluster(host.inner().native_ptr());
        if !broker.is_null() {
            bindings::rd_kafka_mock_group_initial_rebalance_delay_ms(broker, 0);
        }
    }
}

impl std::fmt::Debug for InProcessBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcessBroker")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config::{Config, Overrides, Sources};
    use crate::kafka::chain::{self, Chain};
    use crate::kafka::{Incoming, Outgoing, Read, Reader, Sender, Writer};

    const PATIENCE: Duration = Duration::from_secs(10);

    fn settings() -> config::Kafka {
        let nothing: BTreeMap<String, String> = BTreeMap::new();
        let sources = Sources {
            file: None,
            environment: &nothing,
            overrides: Overrides::default(),
        };
        config::Kafka {
            partitions: 3,
            ..Config::load(sources).expect("defaults").kafka
        }
    }

    fn event(key: &str, partition: Option<i32>) -> Outgoing {
        Outgoing {
            topic: Topic::Events,
            partition,
            key: key.as_bytes().to_vec(),
            headers: Vec::new(),
            payload: vec![b'x'],
        }
    }

    /// The first so many events, in whatever order their partitions give them.
    fn read(broker: &InProcessBroker, count: usize) -> Vec<Incoming> {
        let places = [(0, None), (1, None), (2, None)];
        let reader = Reader::open(broker.cluster(), Topic::Events, &places).expect("a reader");
        let mut read = Vec::new();
        let since = Instant::now();
        while read.len() < count && since.elapsed() < PATIENCE {
            if let Read::Record(record) = reader.next(Duration::from_millis(50)).expect("read") {
                read.push(record);
            }
        }
        read
    }

    #[tokio::test]
    async fn what_was_sent_to_a_partition_is_read_back_from_it() {
        let broker = InProcessBroker::start(settings()).expect("a broker");
        let sender = Sender::open(broker.cluster(), PATIENCE).expect("a sender");
        for partition in [2, 0] {
            let record = event("case", Some(partition));
            assert_eq!(sender.send(&record).await.expect("taken"), partition);
        }
        let mut places: Vec<(i32, i64)> = read(&broker, 2)
            .iter()
            .map(|record| (record.partition, record.offset))
            .collect();
        places.sort_unstable();
        assert_eq!(places, [(0, 0), (2, 0)]);
    }

    /// Keys with the values that Java's clients have for them (their own test of murmur2), modulo 3.
    #[tokio::test]
    async fn a_key_lies_where_java_puts_it_whichever_way_it_is_written() {
        let due = BTreeMap::from([
            ("21", 0),
            ("foobar", 0),
            ("abc", 0),
            ("a-little-bit-long-string", 2),
            ("a-little-bit-longer-string", 2),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 2),
        ]);
        let events: Vec<Outgoing> = due.keys().map(|key| event(key, None)).collect();
        let broker = InProcessBroker::start(settings()).expect("a broker");
        let sender = Sender::open(broker.cluster(), PATIENCE).expect("a sender");
        for (record, partition) in events.iter().zip(due.values()) {
            assert_eq!(sender.send(record).await.expect("taken"), *partition);
        }
        let mut writer = Writer::new(broker.cluster(), "keys");
        writer.renew(PATIENCE).expect("a writer");
        writer.write(&events).expect("written");
        let read = read(&broker, 2 * events.len());
        assert_eq!(read.len(), 2 * events.len());
        for record in read {
            let key = String::from_utf8(record.key.expect("a key")).expect("text");
            assert_eq!(due.get(key.as_str()), Some(&record.partition), "{key}");
        }
    }

    #[tokio::test]
    async fn the_head_of_a_chain_is_found_before_its_barrier_however_far_back() {
        let broker = InProcessBroker::start(settings()).expect("a broker");
        let mut writer = Writer::new(broker.cluster(), "stream-1");
        writer.renew(PATIENCE).expect("a writer");
        let barrier = |number| chain::barrier("stream-1", number, 1);
        writer.write(&[barrier(1)]).expect("written");
        let head = writer.chain_head("stream-1", 1, 1).expect("read");
        assert_eq!(head, None);

        let mut chain = Chain::new("stream-1".to_owned(), 1);
        chain.resume(None);
        let opening = chain.open().expect("an opening");
        let mut record = event("case", Some(1));
        chain.add(&mut record);
        let head = chain.head().expect("a head");
        writer.write(&[opening, record, head]).expect("written");
        // More than are looked at first.
        let barriers: Vec<Outgoing> = (2..200).map(barrier).collect();
        writer.write(&barriers).expect("written");
        let head = writer.chain_head("stream-1", 1, 199).expect("read");
        let head = head.expect("a head");
        assert_eq!((head.segment, head.sequence), (1, 1));
        // Nobody else's is taken for it, and nothing behind the barrier.
        let other = writer.chain_head("stream-2", 1, 199).expect("read");
        assert_eq!(other, None);
        chain.resume(Some(&head));
        chain.add(&mut event("case", Some(1)));
        let later = chain.head().expect("a head");
        writer.write(&[barrier(200), later]).expect("written");
        let head = writer.chain_head("stream-1", 1, 200).expect("read");
        assert_eq!(head.map(|head| head.sequence), Some(1));
    }
}
