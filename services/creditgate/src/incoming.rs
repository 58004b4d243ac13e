//! Connections of gRPC: taken as long as there are file handles for them, and never the end of the service.
//!
//! Each connection takes a file handle, and so does each segment of a journal. Without a bound, clients that connect and
//! send nothing take all of them; tonic's own listener then ends the server. Here connections have a share, the others
//! wait to be accepted, and readiness says so.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use creditgate_runtime::errors::Chain;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::telemetry::names::field;
use creditgate_runtime::tls::{Certificate, Protocol, Stream, Tls};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::either::Either;
use tonic::transport::server::Connected;

/// The name under which connections speak to readiness; only once something is wrong.
const COMPONENT: &str = "connections";
/// Time before the next attempt when the system has no handle for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// File handles that connections never get: for journals, tables and other listeners.
const KEPT_HANDLES: u64 = 256;
/// Most connections where the system sets no limit.
const CONNECTIONS_MAX: u64 = 1 << 20;
/// Connections accepted ahead of the server.
const AHEAD: usize = 16;

/// Asks the system for as many file handles as it would give, and says how many connections may have one.
pub fn connections_max() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let wanted = Rlimit {
            current: maximum,
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!({ field::ERROR } = %error, "the limit of open files stays as it is");
        }
    }
    let handles = getrlimit(Resource::Nofile).current;
    let handles = handles.unwrap_or(CONNECTIONS_MAX).min(CONNECTIONS_MAX);
    usize::try_from(share(handles)).unwrap_or(usize::MAX)
}

/// The share of so many file handles that connections may have.
const fn share(handles: u64) -> u64 {
    let without_kept = handles.saturating_sub(KEPT_HANDLES);
    let half = handles / 2;
    let most = if without_kept > half {
        without_kept
    } else {
        half
    };
    if most == 0 { 1 } else { most }
}

/// Accepts connections until nobody takes them any more.
pub fn incoming(
    listener: TcpListener,
    tls: Option<Tls>,
    connections_max: usize,
    readiness: Readiness,
) -> ReceiverStream<io::Result<Connection>> {
    let (accepted, connections) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        tokio::select! {
            () = accept(listener, tls, connections_max, readiness, &accepted) => {}
            () = accepted.closed() => {}
        }
    });
    ReceiverStream::new(connections)
}

async fn accept(
    listener: TcpListener,
    tls: Option<Tls>,
    connections_max: usize,
    readiness: Readiness,
    accepted: &mpsc::Sender<io::Result<Connection>>,
) {
    let room = Arc::new(Semaphore::new(connections_max));
    loop {
        let Ok(permit) = place(&room, connections_max, &readiness).await else {
            return;
        };
        let (stream, address) = next(&listener, &readiness).await;
        // A small answer must not wait for the acknowledgement of an earlier one.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &tls else {
            let connection = Connection::new(Either::Left(stream), address, None, permit);
            if accepted.send(Ok(connection)).await.is_err() {
                return;
            }
            continue;
        };
        // A handshake waits for the caller; others must not.
        let (tls, accepted) = (tls.clone(), accepted.clone());
        tokio::spawn(async move {
            match tls.accept(Protocol::Grpc, stream).await {
                Ok((stream, certificate)) => {
                    let connection = Connection::new(stream, address, certificate, permit);
                    // Nobody takes any: the service ends.
                    let _ = accepted.send(Ok(connection)).await;
                }
                Err(error) => {
                    tracing::debug!({ field::ERROR } = %Chain(&error), "a caller did not agree on TLS");
                }
            }
        });
    }
}

/// A place for one more connection; readiness says so while there is none.
async fn place(
    room: &Arc<Semaphore>,
    connections_max: usize,
    readiness: &Readiness,
) -> Result<OwnedSemaphorePermit, AcquireError> {
    if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
        return Ok(permit);
    }
    readiness.not_ready(
        COMPONENT,
        format!("{connections_max} are open, and the limit of open files leaves no room for more"),
    );
    let permit = Arc::clone(room).acquire_owned().await?;
    readiness.ready(COMPONENT);
    Ok(permit)
}

/// The next connection, however long the system has no handle for it; readiness says so meanwhile.
async fn next(listener: &TcpListener, readiness: &Readiness) -> (TcpStream, SocketAddr) {
    let mut trouble = false;
    let next = loop {
        let accepted = match trouble {
            false => listener.accept().await,
            true => match tokio::time::timeout(ACCEPT_PAUSE, listener.accept()).await {
                Ok(accepted) => accepted,
                // Nobody waits, so nobody is kept waiting.
                Err(_) => {
                    trouble = false;
                    readiness.ready(COMPONENT);
                    continue;
                }
            },
        };
        match accepted {
            Ok(next) => break next,
            Err(error) if is_of_one_connection(&error) => {}
            // Too many open files, most often: it passes when others close.
            Err(error) => {
                if !trouble {
                    tracing::warn!({ field::ERROR } = %Chain(&error), "accept a connection");
                }
                trouble = true;
                readiness.not_ready(COMPONENT, format!("none can be accepted: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    };
    if trouble {
        readiness.ready(COMPONENT);
    }
    next
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// A connection that holds its place among those that may be open.
pub struct Connection {
    stream: Stream,
    peer: Peer,
    _permit: OwnedSemaphorePermit,
}

/// Who is at the other end of a connection; stands in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    /// What it showed of itself over TLS.
    pub certificate: Option<Certificate>,
}

impl Peer {
    /// Its address.
    pub const fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

impl Connection {
    const fn new(
        stream: Stream,
        address: SocketAddr,
        certificate: Option<Certificate>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            stream,
            peer: Peer {
                address,
                certificate,
            },
            _permit: permit,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt as _;

    #[test]
    fn connections_leave_file_handles_for_the_rest() {
        let shares = [0, 1, 64, 512, 1_024, 65_536].map(share);
        assert_eq!(shares, [1, 1, 32, 256, 768, 65_280]);
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_and_readiness_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let readiness = Readiness::expecting(["gate"]);
        readiness.ready("gate");
        let mut follow = readiness.follow();
        let mut connections = incoming(listener, None, 1, readiness);
        let _clients = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let first = connections.next().await.unwrap().unwrap();
        follow.wait_for(|snapshot| !snapshot.ready).await.unwrap();
        drop(first);
        assert!(connections.next().await.unwrap().is_ok());
        // The second took the only place again; without it there is room.
        follow.wait_for(|snapshot| !snapshot.ready).await.unwrap();
    }
}
