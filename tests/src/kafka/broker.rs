//! Apache Kafka itself, from the jars that `tests/kafka/fetch.sh` puts under `target/`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::told;
use crate::proxy::Proxy;
use crate::root;

/// Longest time a broker may take to answer on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// Any id will do: each broker is a cluster of its own.
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

/// The JVM as a test wants it: soon there and small.
const JVM: [&str; 5] = [
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
];

/// Runs a broker as its child, sends it the signals that it is told, and ends with it; or when the test that holds the
/// other end of standard input is gone, in whatever way it went: then the broker ends and its data goes too. The first
/// argument is the data, the others the command. An interrupt at the terminal is for the test; the keeper stays to clear up.
const KEEPER: &str = r#"
trap '' INT HUP
data=$1; shift
"$@" & broker=$!
while read -r signal; do
    kill -s "$signal" "$broker"
    case $signal in TERM|KILL) wait "$broker"; exit ;; esac
done
kill -s KILL "$broker"; wait "$broker"; rm -rf "$data"
"#;

/// A broker with data of its own; it ends with the test.
pub struct Broker {
    dir: TempDir,
    direct: SocketAddr,
    proxy: Proxy,
    keeper: Mutex<Option<Child>>,
}

impl Broker {
    /// Starts a broker and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        fetch();
        let dir = tempfile::tempdir().expect("a directory");
        let [direct, proxied, controller] =
            [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], quiet_port())));
        let proxy = Proxy::start(proxied);
        let fixed = std::fs::read_to_string(root().join("tests/kafka/server.properties"))
            .expect("the broker's properties");
        let properties = format!(
            "{fixed}\n\
             listeners=DIRECT://{direct},PROXIED://{proxied},CONTROLLER://{controller}\n\
             advertised.listeners=DIRECT://{direct},PROXIED://{}\n\
             controller.quorum.voters=1@{controller}\n\
             log.dirs={}\n",
            proxy.address(),
            dir.path().join("data").display(),
        );
        let file = dir.path().join("server.properties");
        std::fs::write(&file, properties).expect("a file");
        let formatted = format(&mut java(&JVM), &file).wait_with_output();
        let formatted = formatted.expect("its end");
        assert!(formatted.status.success(), "{}", told(&formatted));
        let broker = Self {
            dir,
            direct,
            proxy,
            keeper: Mutex::new(None),
        };
        broker.restart();
        broker
    }

    /// The broker that all tests of one binary share; each keeps to topics with a prefix of its own.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Where clients find it.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.direct.to_string()
    }

    /// Where clients find it through the proxy; they stay with the proxy then.
    #[must_use]
    pub fn proxied(&self) -> String {
        self.proxy.address().to_string()
    }

    /// What can hold back the end of transactions of those who came through it.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Ends it at once, as `kill -9` does. Its data stays.
    pub fn kill(&self) {
        self.end("KILL");
    }

    /// Asks it to stop and waits until it has. Its data stays.
    pub fn stop(&self) {
        self.end("TERM");
    }

    /// Starts it again over the same data, at the same addresses, and waits until it answers.
    ///
    /// # Panics
    /// When it runs already, and when it does not answer.
    pub fn restart(&self) {
        let mut keeper = self.keeper();
        assert!(keeper.is_none(), "the broker runs already");
        let properties = self.dir.path().join("server.properties");
        *keeper = Some(keep(self.dir.path(), &java(&JVM), &properties, &self.log()));
        drop(keeper);
        self.wait_until_ready();
    }

    /// What it has logged.
    #[must_use]
    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("broker.log")
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Child>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, signal: &str) {
        let mut child = self.keeper().take().expect("a broker that runs");
        let mut stdin = child.stdin.take().expect("its standard input");
        writeln!(stdin, "{signal}").expect("its keeper listens");
        child.wait().expect("its end");
    }

    fn wait_until_ready(&self) {
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if brokers(self.direct).is_some_and(|brokers| brokers > 0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "the broker does not answer after {READY_WITHIN:?}:\n{}",
            self.logged()
        );
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.keeper().take() {
            // Without its input the keeper ends the broker; it removes the directory, and so does ours.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// Begins to prepare the data directory that the properties name.
pub(super) fn format(java: &mut Command, properties: &Path) -> Child {
    java.arg("kafka.tools.StorageTool")
        .args(["format", "-t", CLUSTER, "-c"])
        .arg(properties)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("java runs")
}

/// Runs a broker; its keeper reads signals from its standard input. `data` goes when the test does not end it.
pub(super) fn keep(data: &Path, java: &Command, properties: &Path, log: &Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("a log file");
    Command::new("sh")
        .args(["-c", KEEPER, "sh"])
        .arg(data)
        .arg(java.get_program())
        .args(java.get_args())
        .arg("kafka.Kafka")
        .arg(properties)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("a log file"))
        .stderr(log)
        .spawn()
        .expect("sh runs")
}

/// A free port below those that the system gives to outgoing connections: a broker that is down for a while must find
/// its port again, and a client that tries meanwhile must not happen to take it.
pub(super) fn quiet_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() * 16;
    (0..10_000)
        .map(|_| {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            20_000 + u16::try_from((start + step) % 10_000).expect("below 10,000")
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// How many brokers the one at this address knows to be up; `None` when it does not answer.
pub(super) fn brokers(address: SocketAddr) -> Option<i32> {
    // Metadata, version 1, correlation id 7, no client id, no topics.
    const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
    let wait = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, wait).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    stream.write_all(&REQUEST).ok()?;
    // Length, correlation id, number of brokers.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    Some(i32::from_be_bytes(answer[8..].try_into().ok()?))
}

pub(super) fn fetch() {
    static FETCHED: OnceLock<()> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let done = Command::new("tests/kafka/fetch.sh")
            .current_dir(root())
            .output()
            .expect("fetch.sh runs");
        assert!(done.status.success(), "{}", told(&done));
    });
}

/// Java with these options and the broker's jars; the class comes next.
pub(super) fn java(options: &[&str]) -> Command {
    let kafka = root().join("tests/kafka/log4j2.properties");
    let jars = root().join("target/kafka/lib").join("*");
    let mut java = Command::new("java");
    java.args(options)
        .arg(format!("-Dlog4j2.configurationFile={}", kafka.display()))
        .arg("-cp")
        .arg(jars);
    java
}
