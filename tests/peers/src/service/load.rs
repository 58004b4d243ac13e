//! The load generator: the same for every service, whatever it speaks.
//!
//! Bodies are made before the clock starts and answers are not read further than their length, so that of the two
//! cores the client takes as little as it can, and the same for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::{Connection, Later, Mode, Service};
use crate::inside::Fault;

/// Longest answer that is taken.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What came of a round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Steps answered a second.
    pub rate: f64,
    /// Median time of a call, in microseconds.
    pub p50_us: f64,
    /// Time that 99 of 100 calls did not exceed, in microseconds.
    pub p99_us: f64,
    /// CPU of the server for each step, in microseconds.
    pub cpu_us: f64,
    /// Calls that were turned away, all of their steps or some; those are in no other figure.
    pub refused: usize,
}

/// How long somebody who was turned away waits.
const WAIT: Duration = Duration::from_millis(20);
/// How often somebody who must have an answer asks again.
const ATTEMPTS: usize = 250;

/// Asks until there is an answer; the service may turn callers away while much is behind.
pub async fn patiently(connection: &mut Box<dyn Connection>, body: Bytes) -> Result<Bytes, Fault> {
    for _ in 1..ATTEMPTS {
        if let Ok(answer) = connection.call(body.clone()).await {
            return Ok(answer);
        }
        tokio::time::sleep(WAIT).await;
    }
    connection.call(body).await
}

/// Plays these bodies, `in_flight` at a time, until they or the time are over.
pub async fn play(
    service: &dyn Service,
    mode: Mode,
    bodies: Vec<Bytes>,
    in_flight: usize,
    time: Duration,
) -> Result<Round, Fault> {
    let mut connections = Vec::with_capacity(in_flight);
    if service.multiplexes() {
        // Two connections: one for each core of the smallest machine that this is for.
        let two = [service.connect(mode).await?, service.connect(mode).await?];
        for at in 0..in_flight {
            connections.push(
                two[at % 2]
                    .again()
                    .ok_or("the connection takes one call only")?,
            );
        }
    } else {
        for _ in 0..in_flight {
            connections.push(service.connect(mode).await?);
        }
    }
    let bodies = Arc::new(bodies);
    let next = Arc::new(AtomicUsize::new(0));
    let (size, answered) = (service.steps_a_call(mode), service.answered(mode));
    let cpu = service.process().cpu_seconds();
    let began = Instant::now();
    let ends = began + time;
    let mut tasks = tokio::task::JoinSet::new();
    for mut connection in connections {
        let (bodies, next) = (Arc::clone(&bodies), Arc::clone(&next));
        tasks.spawn(async move {
            let (mut micros, mut steps, mut refused) = (Vec::new(), 0, 0);
            while Instant::now() < ends {
                let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    break;
                };
                let began = Instant::now();
                if let Ok(answer) = connection.call(body.clone()).await {
                    micros.push(began.elapsed().as_micros() as f64);
                    let answered = answered.map_or(size, |answered| answered(&answer));
                    steps += answered;
                    refused += usize::from(answered < size);
                } else {
                    refused += 1;
                    tokio::time::sleep(WAIT).await;
                }
            }
            (micros, steps, refused)
        });
    }
    let (mut micros, mut steps, mut refused) = (Vec::new(), 0, 0);
    while let Some(done) = tasks.join_next().await {
        let (more, answered, away) = done?;
        micros.extend(more);
        steps += answered;
        refused += away;
    }
    let seconds = began.elapsed().as_secs_f64();
    let steps = steps as f64;
    let cpu_us = (service.process().cpu_seconds() - cpu) * 1e6 / steps.max(1.0);
    micros.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (micros.len() as f64 * share) as usize;
        micros
            .get(index.min(micros.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    Ok(Round {
        rate: steps / seconds,
        p50_us: at(0.50),
        p99_us: at(0.99),
        cpu_us,
        refused,
    })
}

/// A gRPC connection that takes bodies as they are.
pub struct GrpcConnection {
    grpc: Grpc<Channel>,
    path: PathAndQuery,
}

impl GrpcConnection {
    /// Connects for calls of one method.
    pub async fn connect(address: &str, path: &'static str) -> Result<Self, Fault> {
        let channel = Endpoint::from_shared(address.to_owned())?
            .tcp_nodelay(true)
            .connect()
            .await?;
        let grpc = Grpc::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self {
            grpc,
            path: PathAndQuery::from_static(path),
        })
    }
}

impl Connection for GrpcConnection {
    fn call(&mut self, body: Bytes) -> Later<'_, Bytes> {
        Box::pin(async move {
            self.grpc.ready().await?;
            let answer = self
                .grpc
                .unary(Request::new(body), self.path.clone(), RawCodec)
                .await?;
            Ok(answer.into_inner())
        })
    }

    fn again(&self) -> Option<Box<dyn Connection>> {
        Some(Box::new(Self {
            grpc: self.grpc.clone(),
            path: self.path.clone(),
        }))
    }
}

/// Messages as the bytes they are.
#[derive(Debug, Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, body: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(body);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

/// An HTTP/1.1 connection that is kept alive.
pub struct HttpConnection {
    send: SendRequest<Full<Bytes>>,
    host: String,
    path: &'static str,
}

impl HttpConnection {
    /// Connects for POST requests to one path.
    pub async fn connect(address: &str, path: &'static str) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            send,
            host: address.to_owned(),
            path,
        })
    }
}

impl Connection for HttpConnection {
    fn call(&mut self, body: Bytes) -> Later<'_, Bytes> {
        Box::pin(async move {
            self.send.ready().await?;
            let request = http::Request::post(self.path)
                .header("host", &self.host)
                .header("content-type", "application/json")
                .body(Full::new(body))?;
            let answer = self.send.send_request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            if !status.is_success() {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
            }
            Ok(body)
        })
    }

    fn again(&self) -> Option<Box<dyn Connection>> {
        None
    }
}
