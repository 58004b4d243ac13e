//! A TCP proxy before a broker that holds back the end of transactions (`EndTxn`), nothing else.
//!
//! It knows three things of Kafka's protocol: a frame is four bytes of length and its body, a request's body begins
//! with the number of its kind, and request and answer carry the same correlation id. A broker answers the requests of
//! one connection in their order, so what is held holds up everything behind it, as a slow network would.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Number of the request that ends a transaction, for good or by giving it up.
const END_TXN: [u8; 2] = 26_i16.to_be_bytes();
/// Longer frames end the connection: no test sends as much.
const FRAME_BYTES_MAX: usize = 128 << 20;

/// What happens to the end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It passes.
    Through,
    /// The request reaches the broker late, even when the client has gone by then.
    HoldRequest(Duration),
    /// The broker does it at once, and the client learns of it late.
    HoldAnswer(Duration),
}

/// A proxy that listens on a port of its own until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    requests_held: AtomicU64,
    answers_held: AtomicU64,
}

struct State {
    mode: Mode,
    closed: bool,
    /// Every socket that is open, to close it at the end.
    sockets: Vec<TcpStream>,
}

impl Proxy {
    /// Listens on a free port and passes everything on to `upstream`.
    #[must_use]
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::new(State {
                mode: Mode::Through,
                closed: false,
                sockets: Vec::new(),
            }),
            requests_held: AtomicU64::new(0),
            answers_held: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens from now on; what is held already stays held for its time.
    pub fn set(&self, mode: Mode) {
        self.shared.state().mode = mode;
    }

    /// How many ends of transactions were held on their way to the broker so far.
    #[must_use]
    pub fn requests_held(&self) -> u64 {
        self.shared.requests_held.load(Ordering::Relaxed)
    }

    /// How many answers to them were held on their way back so far.
    #[must_use]
    pub fn answers_held(&self) -> u64 {
        self.shared.answers_held.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        for socket in state.sockets.drain(..) {
            // One that the other side closed is closed.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        // The listener waits for a connection; this one tells it that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.state().closed {
                return;
            }
            let Ok(client) = client else { continue };
            // A broker that is down is met as it is without a proxy: the connection ends.
            let Ok(broker) = TcpStream::connect(self.upstream) else {
                continue;
            };
            // A connection that breaks while it is set up was not one.
            let _ = self.connect(client, broker);
        }
    }

    /// One thread for each direction; what one leaves for the other are the correlation ids of held answers.
    fn connect(self: &Arc<Self>, client: TcpStream, broker: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let mut state = self.state();
        state.sockets.push(client.try_clone()?);
        state.sockets.push(broker.try_clone()?);
        drop(state);
        let held = Arc::new(Mutex::new(HashSet::new()));
        let (answers_to, requests_to) = (client.try_clone()?, broker.try_clone()?);
        let (proxy, ids) = (Arc::clone(self), Arc::clone(&held));
        thread::spawn(move || proxy.requests(client, requests_to, &ids));
        let proxy = Arc::clone(self);
        thread::spawn(move || proxy.answers(broker, answers_to, &held));
        Ok(())
    }

    fn requests(&self, mut from: TcpStream, mut to: TcpStream, held: &Mutex<HashSet<[u8; 4]>>) {
        while let Some(frame) = read_frame(&mut from) {
            // Kind (2 bytes), version (2), correlation id (4).
            if frame.get(4..6) == Some(END_TXN.as_slice()) {
                let mode = self.state().mode;
                match mode {
                    Mode::Through => {}
                    Mode::HoldRequest(time) => {
                        self.requests_held.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(time);
                    }
                    Mode::HoldAnswer(_) => {
                        ids(held).extend(four(&frame, 8));
                    }
                }
            }
            if to.write_all(&frame).is_err() {
                break;
            }
        }
        // The broker may still answer what it has; then its side ends too.
        let _ = to.shutdown(Shutdown::Write);
    }

    fn answers(&self, mut from: TcpStream, mut to: TcpStream, held: &Mutex<HashSet<[u8; 4]>>) {
        while let Some(frame) = read_frame(&mut from) {
            let is_held = four(&frame, 4).is_some_and(|id| ids(held).remove(&id));
            let mode = self.state().mode;
            if let (true, Mode::HoldAnswer(time)) = (is_held, mode) {
                self.answers_held.fetch_add(1, Ordering::Relaxed);
                thread::sleep(time);
            }
            if to.write_all(&frame).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn ids(held: &Mutex<HashSet<[u8; 4]>>) -> MutexGuard<'_, HashSet<[u8; 4]>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn four(frame: &[u8], at: usize) -> Option<[u8; 4]> {
    frame.get(at..at + 4)?.try_into().ok()
}

/// A frame with its length before it; `None` when the connection is over.
pub(crate) fn read_frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let bytes = usize::try_from(u32::from_be_bytes(length)).ok()?;
    if bytes > FRAME_BYTES_MAX {
        return None;
    }
    let mut frame = vec![0; 4 + bytes];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const HOLD: Duration = Duration::from_millis(300);
    const FETCH: i16 = 1;
    const END: i16 = 26;

    /// A broker that tells when a request came and answers with its correlation id.
    fn broker() -> (SocketAddr, mpsc::Receiver<(i16, Instant)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (came, received) = mpsc::channel();
        thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let came = came.clone();
                thread::spawn(move || {
                    while let Some(frame) = read_frame(&mut connection) {
                        let kind = i16::from_be_bytes([frame[4], frame[5]]);
                        // The test may have ended, or its client gone.
                        let _ = came.send((kind, Instant::now()));
                        let mut answer = 4_u32.to_be_bytes().to_vec();
                        answer.extend_from_slice(&frame[8..12]);
                        let _ = connection.write_all(&answer);
                    }
                });
            }
        });
        (address, received)
    }

    fn ask(client: &mut TcpStream, kind: i16, correlation: i32) {
        let mut frame = 8_u32.to_be_bytes().to_vec();
        frame.extend(kind.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(correlation.to_be_bytes());
        client.write_all(&frame).expect("written");
    }

    fn answered(client: &mut TcpStream) -> i32 {
        let frame = read_frame(client).expect("an answer");
        i32::from_be_bytes(four(&frame, 4).expect("a correlation id"))
    }

    #[test]
    fn everything_passes_unchanged_when_nothing_is_held() {
        let (address, received) = broker();
        let proxy = Proxy::start(address);
        let mut client = TcpStream::connect(proxy.address()).expect("the proxy");
        for (n, kind) in [FETCH, END, FETCH].into_iter().enumerate() {
            let correlation = i32::try_from(n).expect("small");
            ask(&mut client, kind, correlation);
            assert_eq!(answered(&mut client), correlation);
            assert_eq!(received.recv().expect("a request").0, kind);
        }
        assert_eq!((proxy.requests_held(), proxy.answers_held()), (0, 0));
    }

    #[test]
    fn a_held_request_comes_late_and_only_the_end_of_a_transaction_is_held() {
        let (address, received) = broker();
        let proxy = Proxy::start(address);
        proxy.set(Mode::HoldRequest(HOLD));
        let mut client = TcpStream::connect(proxy.address()).expect("the proxy");
        let began = Instant::now();
        ask(&mut client, FETCH, 1);
        let (_, came) = received.recv().expect("a request");
        assert!(came - began < HOLD, "what ends nothing passes at once");
        let began = Instant::now();
        ask(&mut client, END, 2);
        let (_, came) = received.recv().expect("a request");
        assert!(came - began >= HOLD);
        assert_eq!((proxy.requests_held(), proxy.answers_held()), (1, 0));

        proxy.set(Mode::Through);
        let began = Instant::now();
        ask(&mut client, END, 3);
        let (_, came) = received.recv().expect("a request");
        assert!(came - began < HOLD, "switched while it runs");
    }

    #[test]
    fn a_held_request_reaches_the_broker_although_its_client_has_gone() {
        let (address, received) = broker();
        let proxy = Proxy::start(address);
        proxy.set(Mode::HoldRequest(HOLD));
        let mut client = TcpStream::connect(proxy.address()).expect("the proxy");
        ask(&mut client, END, 1);
        drop(client);
        let (kind, _) = received.recv_timeout(HOLD * 10).expect("the request");
        assert_eq!(kind, END);
    }

    #[test]
    fn a_held_answer_comes_late_although_the_broker_did_it_at_once() {
        let (address, received) = broker();
        let proxy = Proxy::start(address);
        proxy.set(Mode::HoldAnswer(HOLD));
        let mut client = TcpStream::connect(proxy.address()).expect("the proxy");
        let began = Instant::now();
        ask(&mut client, FETCH, 7);
        assert_eq!(answered(&mut client), 7);
        assert!(began.elapsed() < HOLD, "what ends nothing passes at once");
        assert_eq!(received.recv().expect("a request").0, FETCH);
        let began = Instant::now();
        ask(&mut client, END, 8);
        assert_eq!(answered(&mut client), 8);
        assert!(began.elapsed() >= HOLD);
        let (_, came) = received.recv().expect("a request");
        assert!(came - began < HOLD);
        assert_eq!((proxy.requests_held(), proxy.answers_held()), (0, 1));
    }

    #[test]
    fn a_broker_that_is_down_ends_the_connection() {
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = nobody.local_addr().expect("its address");
        drop(nobody);
        let proxy = Proxy::start(address);
        let mut client = TcpStream::connect(proxy.address()).expect("the proxy");
        assert!(read_frame(&mut client).is_none());
    }
}
