//! Over a real socket: requests as bytes, slow and oversized ones, and the drain.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use creditgate_console::{Options, serve};
use creditgate_runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use common::{FakeGate, event, options};

/// Longer than anything here may take.
const LONG: Duration = Duration::from_secs(20);

struct Served {
    address: std::net::SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn start(options: Options) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(serve(listener, options, shutdown.clone()));
        Served {
            address,
            shutdown,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.request();
        tokio::time::timeout(LONG, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

fn check(headers: &str) -> Vec<u8> {
    let body = event().to_string();
    let length = body.len();
    format!(
        "POST /v1/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn two_checks_over_one_connection() {
    let gate = FakeGate::passing();
    let served = Served::start(options(gate.clone())).await;
    let mut stream = served.connect().await;
    stream.write_all(&check("")).await.unwrap();
    stream
        .write_all(&check("connection: close\r\n"))
        .await
        .unwrap();
    let text = rest(&mut stream).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    assert_eq!(text.matches("\"outcome\":\"PASS\"").count(), 2, "{text}");
    assert_eq!(gate.asked()[0].caller, "local");
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_stalls_is_a_408() {
    let mut options = options(FakeGate::passing());
    options.limits.body_timeout = Duration::from_millis(50);
    let served = Served::start(options).await;
    let mut stream = served.connect().await;
    let all = check("");
    stream.write_all(&all[..all.len() - 5]).await.unwrap();
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(
        text.contains("urn:creditgate:problem:body_timeout"),
        "{text}"
    );
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_a_413() {
    let mut options = options(FakeGate::passing());
    options.limits.body_bytes_max = 1_000;
    let served = Served::start(options).await;
    let mut stream = served.connect().await;
    let head = "POST /v1/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n3e9\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b' '; 1_001]).await.unwrap();
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.contains("urn:creditgate:problem:too_large"), "{text}");
    served.stop().await;
}

#[tokio::test]
async fn headers_that_stall_end_the_connection() {
    let mut options = options(FakeGate::passing());
    options.limits.header_timeout = Duration::from_millis(50);
    let served = Served::start(options).await;
    for begun in ["", "P", "POST /v1/check HTTP/1.1\r\nhost: loc"] {
        let mut stream = served.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let text = rest(&mut stream).await;
        assert!(!text.contains("200"), "{text}");
    }
    served.stop().await;
}

#[tokio::test]
async fn headers_that_are_too_large_are_a_431() {
    let served = Served::start(options(FakeGate::passing())).await;
    let mut stream = served.connect().await;
    let long = "a".repeat(17 << 10);
    // The connection may be closed before everything was written.
    let _ = stream
        .write_all(&check(&format!("x-long: {long}\r\n")))
        .await;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 431");
    served.stop().await;
}

#[tokio::test]
async fn a_stop_waits_for_the_answer_and_takes_no_more() {
    let gate = FakeGate::slow(Duration::from_millis(300), |event| Ok(common::pass(event)));
    let served = Served::start(options(gate.clone())).await;
    // One connection that has said nothing must not hold up the end.
    let _silent = served.connect().await;
    let mut stream = served.connect().await;
    stream.write_all(&check("")).await.unwrap();
    while gate.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let address = served.address;
    let stopped = std::time::Instant::now();
    served.stop().await;
    assert_eq!(gate.answered(), 1, "the stop did not wait");
    assert!(stopped.elapsed() < Duration::from_secs(5));
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_room() {
    let mut options = options(FakeGate::passing());
    options.limits.connections_max = 1;
    let served = Served::start(options).await;
    let mut first = served.connect().await;
    first.write_all(&check("")).await.unwrap();
    let mut start = [0; 15];
    first.read_exact(&mut start).await.unwrap();
    let mut second = served.connect().await;
    second
        .write_all(&check("connection: close\r\n"))
        .await
        .unwrap();
    let early =
        tokio::time::timeout(Duration::from_millis(50), second.read_exact(&mut start)).await;
    assert!(early.is_err(), "answered beyond the limit");
    drop(first);
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 200 OK"));
    served.stop().await;
}
