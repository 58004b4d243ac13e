//! Connections: accepted up to a limit, given a time for each request's head, and drained at the end.
//!
//! HTTP/1.1 only: who wants many calls on one connection has gRPC. `axum::serve` would be shorter, but it sets no time
//! for headers, so that a client that sends nothing would stay for ever.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::shutdown::Shutdown;
use creditgate_runtime::telemetry::names::field;
use creditgate_runtime::tls::Protocol;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::either::Either;
use tower::ServiceExt as _;

use crate::{Limits, Options, router};

/// Time before the next attempt when the system has no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until a stop is asked for, then takes no more connections and returns when every request that has begun has
/// its answer. How long that may take is the supervisor's to say; each part of a request has its own time anyway.
///
/// # Errors
/// When the listener is broken for good.
pub async fn serve(listener: TcpListener, options: Options, shutdown: Shutdown) -> io::Result<()> {
    let limits = options.limits;
    let tls = options.tls.clone();
    let router = router(options);
    let http = connection_rules(&limits);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, peer, permit) = accepted?;
        // A small answer must not wait for the acknowledgement of an earlier one.
        let _ = stream.set_nodelay(true);
        let (router, tls, http) = (router.clone(), tls.clone(), http.clone());
        let shutdown = shutdown.clone();
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            // A connection that breaks off or never sends a whole request is the client's affair.
            let shaken = match &tls {
                Some(tls) => tokio::select! {
                    shaken = tls.accept(Protocol::Http, stream) => shaken,
                    // Nothing was asked yet.
                    () = shutdown.wait() => return,
                },
                None => Ok((Either::Left(stream), None)),
            };
            let (stream, certificate) = match shaken {
                Ok(shaken) => shaken,
                Err(error) => {
                    tracing::debug!({ field::ERROR } = %Chain(&error), "a caller did not agree on TLS");
                    return;
                }
            };
            let service = service_fn(move |mut request| {
                let extensions = request.extensions_mut();
                extensions.insert(ConnectInfo(peer));
                if let Some(certificate) = &certificate {
                    extensions.insert(certificate.clone());
                }
                router.clone().oneshot(request)
            });
            let connection = http.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!({ field::ERROR } = %Chain(&error), "connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

fn connection_rules(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes_max);
    http
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = room
        .clone()
        .acquire_owned()
        .await
        .expect("it is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Ok((stream, peer, permit)),
            Err(error) if is_of_one_connection(&error) => {}
            // Too many open files, most often: it passes when others close.
            Err(error) => {
                tracing::warn!({ field::ERROR } = %Chain(&error), "accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
