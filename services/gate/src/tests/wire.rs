//! The service over a socket, as a client sees it.

use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use v1::gate_client::GateClient;

use super::*;
use crate::turn_away::TurnAway;

async fn served(gate: &Gate) -> GateClient<Channel> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = tonic::service::interceptor::InterceptedService::new(
        TurnAway::before(gate.service(), gate.clone()),
        |mut request: Request<()>| {
            request.extensions_mut().insert(caller());
            Ok(request)
        },
    );
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    GateClient::new(channel.connect().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_checks_streams_and_watches() {
    let world = World::new();
    let gate = world.open();
    let mut client = served(&gate).await;
    let message = v1::CheckRequest {
        event: Some(event(0, 0, "evaluate")),
    };
    let first = client.check(message).await.unwrap().into_inner();
    assert!(!first.repeated);

    let requests = tokio_stream::iter((0..2_000).map(|n| v1::CheckStreamRequest {
        event: Some(event(n, n, "evaluate")),
        correlation: n.to_string(),
    }));
    let responses = client.check_stream(requests).await.unwrap().into_inner();
    let responses: Vec<_> = responses.collect().await;
    assert_eq!(responses.len(), 2_000);
    for (n, response) in responses.into_iter().enumerate() {
        assert_eq!(response.unwrap().correlation, n.to_string());
    }
    let seen = client
        .watch_verdicts(v1::WatchVerdictsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let seen: Vec<_> = seen.collect().await;
    assert_eq!(seen.len(), 2_000);
    assert_eq!(world.balance(), [2_000, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_turned_away_is_told_when_to_come_again_and_counted() {
    let world = World::new();
    let gate = world.open();
    let mut client = served(&gate).await;
    let mut turned_away = 0;
    for n in 0..64 {
        // The watch of the line takes more as soon as it looks.
        gate.inner.admission.take_only(8);
        let event = Some(event(n, n, "evaluate"));
        let Err(status) = client.check(v1::CheckRequest { event }).await else {
            continue;
        };
        turned_away += 1;
        assert_eq!(status.code(), Code::ResourceExhausted);
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        let millis: u64 = pushback.unwrap().to_str().unwrap().parse().unwrap();
        assert!((600..=1_400).contains(&millis), "{millis}");
    }
    assert!((32..64).contains(&turned_away), "{turned_away}");
    // Everything else goes on.
    let verdicts = client.watch_verdicts(v1::WatchVerdictsRequest::default());
    assert!(verdicts.await.is_ok());
    assert_eq!(world.balance(), [64 - turned_away, 0, turned_away]);
}
