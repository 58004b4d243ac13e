//! The same events the Kafka way: published, judged by the role `stream`, their answers read back.
//!
//! Topics, clients and loops are those of a deployment; the broker is not. It sits inside this
//! process and keeps nothing, so what is seen here says how Kafka is used and nothing about exactly
//! once. A gate of its own judges by the lists of the service, so that each event is decided once
//! over gRPC and once over Kafka, and the two can be compared.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_gate::{self as gate, Gate, OnKafka};
use creditgate_proto::v1;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::config;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal;
use creditgate_runtime::kafka::{self, InProcessBroker, Outgoing, Read, Reader, Topic};
use creditgate_runtime::shutdown::Shutdown;
use creditgate_stream::{self as stream, Stream};
use tokio::task::JoinHandle;

use super::rows::{Expected, Row, is_as_expected, take};
use crate::app::{self, App};
use crate::failure::Failure;

/// Partitions of the topics by case: few enough that each has something to show.
const PARTITIONS: u32 = 3;
/// Longest time for an event to be answered; the first wait until the stream has its partitions.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked whether something came.
const LOOK: Duration = Duration::from_millis(5);
/// Time for one record to be taken by the broker, and for the gate to close.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this demonstration says of its broker, before anything is shown of it.
pub const ABOUT: &str = "\
The broker is librdkafka's own, inside this process: it keeps nothing, fences nobody and undoes no
transaction, so it shows the way and proves nothing about exactly once. tests/all.sh goes the same
way with Apache Kafka.";

/// A stream with its gate, a client that publishes, and clients that read the topics back.
pub struct KafkaWay {
    rows: Vec<Row>,
    /// Answers to nothing that was asked.
    strays: usize,
    readiness: Readiness,
    stream: JoinHandle<Result<(), stream::Error>>,
    shutdown: Shutdown,
    clients: Clients,
}

/// All that speaks to the broker, and the broker last: dropped in this order.
struct Clients {
    gate: Gate,
    sender: kafka::Sender,
    readers: Vec<(Topic, Reader)>,
    _broker: InProcessBroker,
}

impl KafkaWay {
    /// Starts the broker, the gate and the stream, which judges by the lists of `app`.
    pub async fn start(
        app: &App,
        clock: &Clock,
        settings: config::Kafka,
        data_dir: PathBuf,
    ) -> Result<Self, Failure> {
        let readiness = Readiness::expecting([
            gate::COMPONENT,
            gate::CASE_STATE_COMPONENT,
            stream::COMPONENT,
        ]);
        let metrics = app::metrics(clock);
        let options = gate::Options {
            data_dir,
            live: app.live().clone(),
            history: app.history(),
            journal: journal::Options::default(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            limits: gate::Limits::default(),
            digest_key: None,
            kafka: None,
        };
        let ready = readiness.clone();
        let starting = tokio::task::spawn_blocking(move || start(settings, options, ready));
        let (clients, stream) = starting
            .await
            .map_err(|error| Failure::new("start Kafka's part of the demonstration", error))??;
        let shutdown = Shutdown::new();
        Ok(Self {
            rows: Vec::new(),
            strays: 0,
            readiness,
            stream: tokio::spawn(stream.run(shutdown.clone())),
            shutdown,
            clients,
        })
    }

    /// Publishes an event as a CloudEvent, as a business system would: attributes in the headers,
    /// the event as JSON, the case as key.
    pub async fn publish(
        &mut self,
        event: &v1::Event,
        step: Option<usize>,
        expected: Option<Expected>,
    ) -> Result<(), Failure> {
        let json = serde_json::to_vec(event)
            .map_err(|error| Failure::new("write an event as JSON", error))?;
        self.rows
            .push(Row::new(step, &event.id, &event.case_id, expected));
        self.send(&event.source, &event.id, &event.case_id, json)
            .await
    }

    /// Publishes something that is no event, in the partition of this case.
    pub async fn publish_malformed(&mut self, id: &str, case_id: &str) -> Result<(), Failure> {
        let expected = Some(Expected::Letter("undecodable"));
        self.rows.push(Row::new(None, id, case_id, expected));
        self.send("demo", id, case_id, b"{ not JSON".to_vec()).await
    }

    async fn send(
        &self,
        source: &str,
        id: &str,
        case_id: &str,
        payload: Vec<u8>,
    ) -> Result<(), Failure> {
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_type", "demo.event"),
            ("ce_source", source),
            ("ce_id", id),
            ("content-type", "application/json"),
        ];
        let record = Outgoing {
            topic: Topic::Events,
            partition: None,
            key: case_id.as_bytes().to_vec(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())))
                .to_vec(),
            payload,
        };
        let sent = self.clients.sender.send(&record).await;
        sent.map(|_| ())
            .map_err(|error| Failure::new("publish an event", error))
    }

    /// Waits until every event that was published has its answer.
    pub async fn settle(&mut self) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            self.look()?;
            let Some(row) = self.rows.iter().find(|row| row.is_awaited()) else {
                return Ok(());
            };
            if since.elapsed() > ANSWERED_WITHIN {
                return Err(Failure::plain(format!(
                    "event {} got no answer over Kafka; {:?}",
                    row.id,
                    self.readiness.snapshot().components
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes what has come on the topics by now.
    pub fn look(&mut self) -> Result<(), Failure> {
        for (topic, reader) in &self.clients.readers {
            loop {
                match reader.next(Duration::ZERO) {
                    Ok(Read::Record(record)) => {
                        let taken = take(&mut self.rows, *topic, &record)?;
                        self.strays += usize::from(!taken);
                    }
                    Ok(Read::End(_)) => {}
                    Ok(Read::Nothing) => break,
                    Err(error) => return Err(Failure::new("read an answer", error)),
                }
            }
        }
        Ok(())
    }

    /// Events that have their answer; they are forgotten here.
    pub fn answered(&mut self) -> Vec<Row> {
        self.rows.extract_if(.., |row| row.is_answered()).collect()
    }

    /// Publishes the last event, one that is malformed, waits for its letter, and shows all that
    /// was published as a table. True when each came back as over gRPC.
    pub async fn conclude(&mut self) -> Result<bool, Failure> {
        // Behind an event that gets no answer, in its partition: what comes back for this one
        // comes after all that could have come back for that one.
        let silent = self.rows.iter().rfind(|row| row.is_silent());
        let case_id = silent.map(|row| row.key.clone());
        self.publish_malformed("MALFORMED", &case_id.unwrap_or_default())
            .await?;
        self.settle().await?;
        let mut same = true;
        for row in &self.rows {
            let told = match is_as_expected(&self.rows, row) {
                true => "",
                false => "   NOT as over gRPC",
            };
            same &= told.is_empty();
            let step = row.step.map(|step| step.to_string()).unwrap_or_default();
            say!("{step:>2}  {row}{told}");
        }
        if self.strays > 0 {
            say!("NOT asked for: {} more answers", self.strays);
        }
        Ok(same && self.strays == 0)
    }

    /// Leaves the group, closes the gate, then ends clients and broker.
    pub async fn close(self) -> Result<(), Failure> {
        let closing = |error| Failure::new("end Kafka's part of the demonstration", error);
        self.shutdown.request();
        let left = self.stream.await;
        let closed = self.clients.gate.close(PATIENCE).await;
        let clients = self.clients;
        let dropped = tokio::task::spawn_blocking(move || drop(clients)).await;
        left.map_err(Into::into)
            .and_then(|left| left.map_err(Into::into))
            .and_then(|()| closed.map_err(Into::into))
            .and_then(|()| dropped.map_err(Box::<dyn std::error::Error + Send + Sync>::from))
            .map_err(closing)
    }
}

/// Blocks on the broker, as all that is started here does.
fn start(
    settings: config::Kafka,
    options: gate::Options,
    readiness: Readiness,
) -> Result<(Clients, Stream), Failure> {
    let failed = |error| Failure::new("use the broker inside this process", error);
    let settings = config::Kafka {
        partitions: PARTITIONS,
        ..settings
    };
    let broker = InProcessBroker::start(settings).map_err(failed)?;
    let cluster = broker.cluster();
    let places: Vec<_> = (0..PARTITIONS.cast_signed())
        .map(|partition| (partition, None))
        .collect();
    let readers = [Topic::Events, Topic::Verdicts, Topic::DeadLetters]
        .into_iter()
        .map(|topic| Ok((topic, Reader::open(cluster, topic, &places)?)))
        .collect::<Result<_, kafka::Error>>()
        .map_err(failed)?;
    let sender = kafka::Sender::open(cluster, PATIENCE).map_err(failed)?;
    let metrics = options.metrics.clone();
    let gate = Gate::open(gate::Options {
        kafka: Some(OnKafka {
            cluster: cluster.clone(),
            partitions: PARTITIONS,
        }),
        ..options
    })
    .map_err(|error| Failure::new("open a gate on Kafka", error))?;
    let stream = Stream::join(stream::Options {
        judge: Arc::new(gate.clone()),
        cluster: cluster.clone(),
        partitions: PARTITIONS,
        metrics,
        readiness,
    })
    .map_err(|error| Failure::new("read events from Kafka", error))?;
    let clients = Clients {
        gate,
        sender,
        readers,
        _broker: broker,
    };
    Ok((clients, stream))
}
