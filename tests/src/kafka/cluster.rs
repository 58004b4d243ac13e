//! Three brokers that are one cluster, as production has them: every record three times, two before it is confirmed.
//!
//! Each node can be stopped, killed, paused and started again. Clients and the other nodes reach it through
//! [links](super::link) alone, so it can also be cut off; the test itself has addresses that are never cut.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::broker::{brokers, fetch, format, java, keep, quiet_port};
use super::clients::kcat;
use super::link::{Link, Plan};
use super::told;
use crate::root;

/// How many nodes.
const NODES: u32 = 3;
/// Longest time until all nodes answer, and until all copies are level, on a busy machine.
const WITHIN: Duration = Duration::from_secs(180);

/// Small, since there are three of them.
const JVM: [&str; 5] = [
    "-Xms128m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
];

/// Three nodes with data of their own; they end with the test.
pub struct Cluster {
    nodes: Vec<Node>,
}

/// One of the three.
pub struct Node {
    number: u32,
    dir: TempDir,
    direct: SocketAddr,
    /// For clients.
    client: Link,
    /// For the other nodes: as a broker, and as a controller.
    peer: Link,
    controller: Link,
    keeper: Mutex<Option<Child>>,
}

impl Cluster {
    /// Starts three nodes and waits until they know each other.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Cluster::start`], with the data of some nodes elsewhere: their numbers, from 1, and directories.
    #[must_use]
    pub fn start_with(elsewhere: &[(u32, &Path)]) -> Self {
        fetch();
        let nodes: Vec<(Node, [SocketAddr; 4])> = (1..=NODES).map(Node::new).collect();
        let voters: Vec<String> = nodes
            .iter()
            .map(|(node, _)| format!("{}@{}", node.number, node.controller.address()))
            .collect();
        let voters = voters.join(",");
        let formatting: Vec<Child> = nodes
            .iter()
            .map(|(node, own)| {
                let other = elsewhere.iter().find(|(number, _)| *number == node.number);
                let data = match other {
                    Some((_, data)) => (*data).to_owned(),
                    None => node.dir.path().join("data"),
                };
                std::fs::write(node.properties(), node.settings(own, &voters, &data))
                    .expect("a file");
                format(&mut java(&JVM), &node.properties())
            })
            .collect();
        for child in formatting {
            let formatted = child.wait_with_output().expect("its end");
            assert!(formatted.status.success(), "{}", told(&formatted));
        }
        let cluster = Self {
            nodes: nodes.into_iter().map(|(node, _)| node).collect(),
        };
        cluster.nodes.iter().for_each(Node::begin);
        cluster.wait_until_level();
        cluster
    }

    /// The cluster that the stories of one binary share; each leaves it whole, and keeps to topics with a prefix of its own.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Where the test finds it, whatever is cut.
    #[must_use]
    pub fn direct(&self) -> String {
        self.addresses(|node| node.direct)
    }

    /// Where clients find it, through the links.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.addresses(|node| node.client.address())
    }

    fn addresses(&self, of: impl Fn(&Node) -> SocketAddr) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| of(node).to_string()).collect();
        addresses.join(",")
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What happens to requests of clients from now on, at every node.
    pub fn plan(&self, plan: Option<Plan>) {
        self.nodes.iter().for_each(|node| node.client.plan(plan));
    }

    /// How many requests have met their fate since the plan was made.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.nodes.iter().map(|node| node.client.met()).sum()
    }

    /// Cuts a node off from clients and from the other nodes, both ways.
    pub fn cut_off(&self, cut: &Node) {
        for node in &self.nodes {
            if node.number == cut.number {
                let links = [&node.client, &node.peer, &node.controller];
                links.into_iter().for_each(Link::cut);
            } else {
                node.peer.cut_from(cut.number);
                node.controller.cut_from(cut.number);
            }
        }
    }

    /// Everybody reaches everybody again.
    pub fn heal(&self) {
        for node in &self.nodes {
            let links = [&node.client, &node.peer, &node.controller];
            links.into_iter().for_each(Link::heal);
        }
    }

    /// Waits until all nodes answer and every copy of every partition is level with its leader.
    ///
    /// # Panics
    /// When that does not come about.
    pub fn wait_until_level(&self) {
        let began = Instant::now();
        let mut missing = "the nodes do not answer".to_owned();
        while began.elapsed() < WITHIN {
            let known = |node: &Node| brokers(node.direct) == Some(NODES.cast_signed());
            if self.nodes.iter().all(known) {
                match self.behind() {
                    None => return,
                    Some(behind) => missing = behind,
                }
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let logs: Vec<String> = self.nodes.iter().map(Node::logged).collect();
        panic!(
            "the cluster is not level after {WITHIN:?}: {missing}\n{}",
            logs.join("\n")
        );
    }

    /// A partition that has fewer copies in step than it should have.
    fn behind(&self) -> Option<String> {
        self.partitions().into_iter().find_map(|(name, partition)| {
            let count = |copies: &str| partition[copies].as_array().map_or(0, Vec::len);
            (count("isrs") < count("replicas")).then(|| format!("{name}: {partition}"))
        })
    }

    /// Every partition, as `kcat` tells it.
    fn partitions(&self) -> Vec<(String, serde_json::Value)> {
        let told = kcat(&["-L", "-J", "-b", &self.direct()], b"");
        let known: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
        let none = Vec::new();
        let topics = known["topics"].as_array().unwrap_or(&none);
        topics
            .iter()
            .flat_map(|topic| {
                let partitions = topic["partitions"].as_array().unwrap_or(&none);
                partitions.iter().map(|partition| {
                    let name = topic["topic"].as_str().unwrap_or_default();
                    (name.to_owned(), partition.clone())
                })
            })
            .collect()
    }

    /// How many partitions of topics with a prefix each node leads, by its number.
    #[must_use]
    pub fn led(&self, prefix: &str) -> Vec<usize> {
        let partitions = self.partitions();
        self.nodes
            .iter()
            .map(|node| {
                let leads = |(name, partition): &&(String, serde_json::Value)| {
                    name.starts_with(prefix) && partition["leader"] == node.number
                };
                partitions.iter().filter(leads).count()
            })
            .collect()
    }
}

impl Node {
    fn new(number: u32) -> (Self, [SocketAddr; 4]) {
        let own = [(); 4].map(|()| SocketAddr::from(([127, 0, 0, 1], quiet_port())));
        let [direct, client, peer, controller] = own;
        let node = Self {
            number,
            dir: tempfile::tempdir().expect("a directory"),
            direct,
            client: Link::start(client),
            peer: Link::start(peer),
            controller: Link::start(controller),
            keeper: Mutex::new(None),
        };
        (node, own)
    }

    fn settings(&self, own: &[SocketAddr; 4], voters: &str, data: &Path) -> String {
        let fixed = std::fs::read_to_string(root().join("tests/kafka/cluster.properties"))
            .expect("the cluster's properties");
        let [direct, client, peer, controller] = own;
        format!(
            "{fixed}\n\
             node.id={}\n\
             listeners=DIRECT://{direct},PROXIED://{client},PEER://{peer},CONTROLLER://{controller}\n\
             advertised.listeners=DIRECT://{direct},PROXIED://{},PEER://{},CONTROLLER://{}\n\
             controller.quorum.voters={voters}\n\
             log.dirs={}\n",
            self.number,
            self.client.address(),
            self.peer.address(),
            self.controller.address(),
            data.display(),
        )
    }

    fn properties(&self) -> PathBuf {
        self.dir.path().join("server.properties")
    }

    /// Its number in the cluster, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Ends it at once, as `kill -9` does. Its data stays.
    pub fn kill(&self) {
        self.end("KILL");
    }

    /// Asks it to stop and waits until it has. Its data stays.
    pub fn stop(&self) {
        self.end("TERM");
    }

    /// It stands still, with everything it has open.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// It goes on, and believes what it believed before.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Starts it over the data it has.
    ///
    /// # Panics
    /// When it runs already.
    pub fn begin(&self) {
        let mut keeper = self.keeper();
        assert!(keeper.is_none(), "node {} runs already", self.number);
        let java = java(&JVM);
        let log = self.dir.path().join("broker.log");
        *keeper = Some(keep(self.dir.path(), &java, &self.properties(), &log));
    }

    /// What it has logged.
    #[must_use]
    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("broker.log")).unwrap_or_default()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_end(&self) {
        let began = Instant::now();
        while brokers(self.direct).is_some() {
            assert!(
                began.elapsed() < WITHIN,
                "node {} goes on:\n{}",
                self.number,
                self.logged()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        // Its keeper still waits for a signal.
        self.end("KILL");
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Child>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: &str) {
        let mut keeper = self.keeper();
        let child = keeper.as_mut().expect("a node that runs");
        let stdin = child.stdin.as_mut().expect("its standard input");
        writeln!(stdin, "{signal}").expect("its keeper listens");
    }

    fn end(&self, signal: &str) {
        self.signal(signal);
        let child = self.keeper().take();
        child.expect("a node that runs").wait().expect("its end");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.keeper().take() {
            // Without its input the keeper ends the node; it removes the directory, and so does ours.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}
