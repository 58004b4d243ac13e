//! A proxy before one listener of one broker, as bad as a network can be: by plan it delays, loses and repeats requests
//! of a kind, and it can be cut, wholly or for what comes from one node.
//!
//! Beyond frames and correlation ids, as [`proxy`](crate::proxy) knows them, it reads the client's name in the first
//! request of a connection: nodes of a cluster bear their number in it.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::proxy::{four, read_frame};

/// Requests of Kafka's protocol that matter to transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
#[expect(missing_docs, reason = "named as in Kafka's protocol")]
pub enum Request {
    Produce = 0,
    InitProducerId = 22,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    TxnOffsetCommit = 28,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It reaches the broker late, even when the client has gone by then.
    Late(Duration),
    /// The broker does it at once, and the client learns of it late.
    AnswerLate(Duration),
    /// The connection ends before the broker hears of it.
    Lost,
    /// The broker does it, and the connection ends instead of an answer.
    AnswerLost,
    /// The broker hears it twice in a row; one of the answers is kept back.
    Twice,
    /// The connection ends at once, and the broker hears of it late: the client has asked again by then, been answered,
    /// and gone on.
    Straggles(Duration),
}

/// Which requests meet what.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Requests of this kind,
    pub request: Request,
    /// each so many-th of them,
    pub every: u64,
    /// meet this.
    pub fate: Fate,
}

/// A proxy that listens on a port of its own until it is dropped.
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    /// Requests of the planned kind so far, and those that met their fate.
    seen: u64,
    met: u64,
    /// Nothing passes, from anybody or from these nodes.
    cut: bool,
    cut_from: Vec<u32>,
    closed: bool,
    /// Every socket that is open, to close it at the end.
    sockets: Vec<TcpStream>,
}

/// What happens to an answer.
enum Answer {
    Pass,
    Wait(Duration),
    End,
    Keep,
}

/// One client and the broker.
#[derive(Default)]
struct Connection {
    /// The node that the client is; none: no node, or it has asked nothing yet.
    node: Mutex<Option<u32>>,
    /// What awaits answers, by correlation id; those that are not here pass.
    answers: Mutex<HashMap<[u8; 4], VecDeque<Answer>>>,
}

impl Link {
    /// Listens on a free port and passes everything on to `upstream`.
    #[must_use]
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
            changed: Condvar::new(),
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

    /// Changes what happens to requests from now on; what is late already stays so.
    pub fn plan(&self, plan: Option<Plan>) {
        let mut state = self.shared.state();
        state.plan = plan;
        state.seen = 0;
        state.met = 0;
    }

    /// How many requests have met their fate since the plan was made.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.shared.state().met
    }

    /// Nothing passes any more, and nobody is told: connections stay, new ones are taken and not answered.
    pub fn cut(&self) {
        self.shared.state().cut = true;
    }

    /// As [`Link::cut`], for what a node sends and is answered.
    pub fn cut_from(&self, node: u32) {
        self.shared.state().cut_from.push(node);
    }

    /// Everything passes again, what was kept back first.
    pub fn heal(&self) {
        let mut state = self.shared.state();
        state.cut = false;
        state.cut_from.clear();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        for socket in state.sockets.drain(..) {
            // One that the other side closed is closed.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // The listener waits for a connection; this one tells it that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as the link is cut; says whether it still stands.
    fn passes(&self, node: Option<u32>) -> bool {
        let stopped = |state: &mut State| {
            !state.closed && (state.cut || node.is_some_and(|node| state.cut_from.contains(&node)))
        };
        let waited = self.changed.wait_while(self.state(), stopped);
        !waited.unwrap_or_else(PoisonError::into_inner).closed
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            // Those that come meanwhile are connected, as far as they can see.
            if !self.passes(None) {
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

    fn connect(self: &Arc<Self>, client: TcpStream, broker: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let mut state = self.state();
        state.sockets.push(client.try_clone()?);
        state.sockets.push(broker.try_clone()?);
        drop(state);
        let connection = Arc::new(Connection::default());
        let (answers_to, requests_to) = (client.try_clone()?, broker.try_clone()?);
        let (link, same) = (Arc::clone(self), Arc::clone(&connection));
        thread::spawn(move || link.requests(client, requests_to, &same));
        let link = Arc::clone(self);
        thread::spawn(move || link.answers(broker, answers_to, &connection));
        Ok(())
    }

    fn requests(&self, mut from: TcpStream, mut to: TcpStream, connection: &Connection) {
        let mut node = None;
        let mut first = true;
        while let Some(frame) = read_frame(&mut from) {
            if std::mem::take(&mut first) {
                node = node_of(&frame);
                *lock(&connection.node) = node;
            }
            if !self.passes(node) {
                break;
            }
            let passed = match self.fate(&frame) {
                None => to.write_all(&frame).is_ok(),
                Some(fate) => meet(fate, &frame, &from, &mut to, connection),
            };
            if !passed {
                break;
            }
        }
        // The broker may still answer what it has; then its side ends too.
        let _ = to.shutdown(Shutdown::Write);
    }

    /// What a request meets, counted.
    fn fate(&self, frame: &[u8]) -> Option<Fate> {
        let mut state = self.state();
        let plan = state.plan?;
        // Kind (2 bytes), version (2), correlation id (4).
        if frame.get(4..6) != Some((plan.request as i16).to_be_bytes().as_slice()) {
            return None;
        }
        state.seen += 1;
        if !state.seen.is_multiple_of(plan.every) {
            return None;
        }
        state.met += 1;
        Some(plan.fate)
    }

    fn answers(&self, mut from: TcpStream, mut to: TcpStream, connection: &Connection) {
        while let Some(frame) = read_frame(&mut from) {
            if !self.passes(*lock(&connection.node)) {
                break;
            }
            let passed = match connection.due(&frame) {
                Answer::Pass => to.write_all(&frame).is_ok(),
                Answer::Wait(time) => {
                    thread::sleep(time);
                    to.write_all(&frame).is_ok()
                }
                Answer::End => false,
                Answer::Keep => true,
            };
            if !passed {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Does to a request what its fate is; says whether the connection goes on.
fn meet(
    fate: Fate,
    frame: &[u8],
    client: &TcpStream,
    broker: &mut TcpStream,
    connection: &Connection,
) -> bool {
    match fate {
        Fate::Late(time) => thread::sleep(time),
        Fate::AnswerLate(time) => connection.expect(frame, [Answer::Wait(time)]),
        Fate::Lost => {
            let _ = client.shutdown(Shutdown::Both);
            return false;
        }
        Fate::AnswerLost => connection.expect(frame, [Answer::End]),
        Fate::Twice => {
            connection.expect(frame, [Answer::Pass, Answer::Keep]);
            if broker.write_all(frame).is_err() {
                return false;
            }
        }
        Fate::Straggles(time) => {
            let _ = client.shutdown(Shutdown::Both);
            thread::sleep(time);
            connection.expect(frame, [Answer::Keep]);
        }
    }
    broker.write_all(frame).is_ok()
}

impl Connection {
    fn expect<const N: usize>(&self, frame: &[u8], due: [Answer; N]) {
        if let Some(id) = four(frame, 8) {
            lock(&self.answers).entry(id).or_default().extend(due);
        }
    }

    fn due(&self, frame: &[u8]) -> Answer {
        let Some(id) = four(frame, 4) else {
            return Answer::Pass;
        };
        let mut answers = lock(&self.answers);
        let due = answers.get_mut(&id).and_then(VecDeque::pop_front);
        if answers.get(&id).is_some_and(VecDeque::is_empty) {
            answers.remove(&id);
        }
        due.unwrap_or(Answer::Pass)
    }
}

/// The number in a client's name, as nodes have it: `raft-client-1`, `broker-1-fetcher-0`, `1`.
fn node_of(frame: &[u8]) -> Option<u32> {
    // Length (4), kind (2), version (2), correlation id (4), length of the name (2), name.
    let length = i16::from_be_bytes(frame.get(12..14)?.try_into().ok()?);
    let name = frame.get(14..14 + usize::try_from(length).ok()?)?;
    let name = std::str::from_utf8(name).ok()?;
    let is_node = name.starts_with("raft-client-")
        || name.starts_with("broker-")
        || name.bytes().all(|byte| byte.is_ascii_digit());
    name.split('-')
        .find_map(|part| part.parse().ok())
        .filter(|_| is_node)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const HOLD: Duration = Duration::from_millis(300);

    /// A broker that tells which request came and answers with its correlation id.
    fn broker() -> (SocketAddr, mpsc::Receiver<i32>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (came, received) = mpsc::channel();
        thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let came = came.clone();
                thread::spawn(move || {
                    while let Some(frame) = read_frame(&mut connection) {
                        let id = four(&frame, 8).expect("a correlation id");
                        // The test may have ended, or its client gone.
                        let _ = came.send(i32::from_be_bytes(id));
                        let _ = connection.write_all(&[&4_u32.to_be_bytes()[..], &id].concat());
                    }
                });
            }
        });
        (address, received)
    }

    fn ask(client: &mut TcpStream, request: Request, correlation: i32, name: &str) {
        let mut body = (request as i16).to_be_bytes().to_vec();
        body.extend([0, 0]);
        body.extend(correlation.to_be_bytes());
        body.extend(u16::try_from(name.len()).expect("short").to_be_bytes());
        body.extend(name.as_bytes());
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        client
            .write_all(&[&length[..], &body].concat())
            .expect("written");
    }

    fn answered(client: &mut TcpStream) -> Option<i32> {
        let frame = read_frame(client)?;
        Some(i32::from_be_bytes(four(&frame, 4).expect("an id")))
    }

    /// The first end of a transaction meets its fate; what the client sees and what the broker heard.
    fn meets(fate: Fate) -> (Option<i32>, Duration, Vec<i32>) {
        let (address, received) = broker();
        let link = Link::start(address);
        link.plan(Some(Plan {
            request: Request::EndTxn,
            every: 1,
            fate,
        }));
        let mut client = TcpStream::connect(link.address()).expect("the link");
        ask(&mut client, Request::Produce, 1, "c");
        assert_eq!(answered(&mut client), Some(1), "others pass");
        assert_eq!(received.recv(), Ok(1));
        let began = Instant::now();
        ask(&mut client, Request::EndTxn, 2, "c");
        let answer = answered(&mut client);
        let took = began.elapsed();
        assert_eq!(link.met(), 1);
        let mut heard = Vec::new();
        while let Ok(id) = received.recv_timeout(HOLD * 2) {
            heard.push(id);
        }
        (answer, took, heard)
    }

    #[test]
    fn a_request_meets_its_fate() {
        let (answer, took, heard) = meets(Fate::Late(HOLD));
        assert_eq!((answer, heard), (Some(2), vec![2]));
        assert!(took >= HOLD);
        let (answer, took, heard) = meets(Fate::AnswerLate(HOLD));
        assert_eq!((answer, heard), (Some(2), vec![2]));
        assert!(took >= HOLD);
        let (answer, _, heard) = meets(Fate::Lost);
        assert_eq!((answer, heard), (None, vec![]));
        let (answer, _, heard) = meets(Fate::AnswerLost);
        assert_eq!((answer, heard), (None, vec![2]));
        let (answer, _, heard) = meets(Fate::Twice);
        assert_eq!((answer, heard), (Some(2), vec![2, 2]));
        let (answer, took, heard) = meets(Fate::Straggles(HOLD));
        assert_eq!((answer, heard), (None, vec![2]));
        assert!(took < HOLD, "the client does not wait for it");
    }

    #[test]
    fn the_second_answer_to_a_request_that_came_twice_is_for_nobody() {
        let (address, _received) = broker();
        let link = Link::start(address);
        link.plan(Some(Plan {
            request: Request::EndTxn,
            every: 2,
            fate: Fate::Twice,
        }));
        let mut client = TcpStream::connect(link.address()).expect("the link");
        for id in 1..6 {
            ask(&mut client, Request::EndTxn, id, "c");
            assert_eq!(answered(&mut client), Some(id));
        }
        assert_eq!(link.met(), 2, "each second one");
    }

    #[test]
    fn a_cut_keeps_everything_back_until_it_is_healed() {
        let (address, received) = broker();
        let link = Link::start(address);
        let mut client = TcpStream::connect(link.address()).expect("the link");
        ask(&mut client, Request::Produce, 1, "raft-client-2");
        assert_eq!(answered(&mut client), Some(1));
        assert_eq!(received.recv(), Ok(1));

        link.cut_from(1);
        ask(&mut client, Request::Produce, 2, "raft-client-2");
        assert_eq!(answered(&mut client), Some(2), "another node is cut off");
        assert_eq!(received.recv(), Ok(2));

        for node in [2, 0] {
            match node {
                0 => link.cut(),
                node => link.cut_from(node),
            }
            ask(&mut client, Request::Produce, 3, "raft-client-2");
            assert!(received.recv_timeout(HOLD).is_err());
            link.heal();
            assert_eq!(answered(&mut client), Some(3));
            assert_eq!(received.recv(), Ok(3));
        }
    }

    #[test]
    fn nodes_are_told_by_their_names() {
        let check = |name: &str, node: Option<u32>| {
            let mut frame = vec![0; 12];
            frame.extend(u16::try_from(name.len()).expect("short").to_be_bytes());
            frame.extend(name.as_bytes());
            assert_eq!(node_of(&frame), node, "{name}");
        };
        check("raft-client-3", Some(3));
        check("broker-2-fetcher-0", Some(2));
        check("broker-1-txn-marker-sender", Some(1));
        check("2", Some(2));
        check("creditgate", None);
        check("kill-9", None);
        check("", None);
    }
}
