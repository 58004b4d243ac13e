//! A system that verdicts, lift orders and notices are sent to: it answers over HTTP as it is told to, and keeps
//! what came.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for something on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Got {
    /// By this it is known again.
    pub id: String,
    /// Its position; 0 where it has none.
    pub position: u64,
    /// Name of the delivery; empty where it is of none.
    pub delivery: String,
    /// Media type of the body.
    pub media: String,
    /// How it is signed.
    pub signature: String,
    /// The body, as it came.
    pub raw: Vec<u8>,
    /// The CloudEvent in it.
    pub event: serde_json::Value,
    /// How it was answered.
    pub status: u16,
}

impl Got {
    /// The business number.
    #[must_use]
    pub fn case(&self) -> &str {
        self.event["subject"].as_str().unwrap_or_default()
    }

    /// A text of the data.
    #[must_use]
    pub fn data(&self, field: &str) -> &str {
        self.event["data"][field].as_str().unwrap_or_default()
    }
}

type Answer = Box<dyn FnMut(&Got) -> u16 + Send>;

/// See the module.
#[derive(Clone)]
pub struct Target {
    port: u16,
    answer: Arc<Mutex<Answer>>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Target {
    /// Listens on a port of its own, and answers each request with the status that this says.
    #[must_use]
    pub fn start(answer: impl FnMut(&Got) -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let target = Self {
            port: listener.local_addr().expect("its address").port(),
            answer: Arc::new(Mutex::new(Box::new(answer))),
            got: Arc::default(),
        };
        let own = target.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                // Whoever hangs up in the middle was killed: it comes again.
                std::thread::spawn(move || own.serve(stream));
            }
        });
        target
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/credit", self.port)
    }

    /// Answers otherwise from now on.
    pub fn answers(&self, answer: impl FnMut(&Got) -> u16 + Send + 'static) {
        *self.answer.lock().expect("a lock") = Box::new(answer);
    }

    /// Everything that came.
    #[must_use]
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().expect("a lock").clone()
    }

    /// What it took, in the order in which it came.
    #[must_use]
    pub fn taken(&self) -> Vec<Got> {
        let mut got = self.got();
        got.retain(|one| (200..300).contains(&one.status));
        got
    }

    /// Waits until what came is as it should be, and gives it.
    ///
    /// # Panics
    /// When it is not so in time.
    pub fn until(&self, what: &str, holds: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let begun = Instant::now();
        loop {
            let got = self.got();
            if holds(&got) {
                return got;
            }
            assert!(begun.elapsed() < WITHIN, "never {what}: {got:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            let mut part = [0; 4_096];
            match stream.read(&mut part).ok()? {
                0 => return None,
                read => bytes.extend_from_slice(part.get(..read)?),
            }
        };
        let head = String::from_utf8(bytes.get(..end)?.to_vec()).ok()?;
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut named = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.to_owned())
        };
        let mut raw = bytes.split_off(end + 4);
        let length: usize = header("content-length")?.parse().ok()?;
        while raw.len() < length {
            let mut part = vec![0; length - raw.len()];
            match stream.read(&mut part).ok()? {
                0 => return None,
                read => raw.extend_from_slice(part.get(..read)?),
            }
        }
        let mut got = Got {
            id: header("creditgate-id")?,
            position: match header("creditgate-position") {
                Some(position) => position.parse().ok()?,
                None => 0,
            },
            delivery: header("creditgate-delivery").unwrap_or_default(),
            media: header("content-type")?,
            signature: header("creditgate-signature")?,
            event: serde_json::from_slice(&raw).expect("a CloudEvent"),
            raw,
            status: 0,
        };
        got.status = (self.answer.lock().expect("a lock"))(&got);
        let status = got.status;
        self.got.lock().expect("a lock").push(got);
        let answer =
            format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).ok()
    }
}
