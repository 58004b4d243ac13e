//! Limits of the system: file handles and memory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use creditgate_proto::v1;
use creditgate_tests::faults::{Habits, Load, event, memory_mib, told, until_ready_is};
use creditgate_tests::{Service, binary, import_entries};
use tokio::net::TcpStream;

use super::small::run;
use super::{RECOVERS_WITHIN, looked_at, places, seconds};

/// File handles of the whole process in the story.
const HANDLES: u32 = 128;
/// Clients that connect and send nothing.
const IDLE: usize = 300;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "changes limits of a process: run by tests/faults.sh"]
async fn without_file_handles_it_serves_whom_it_has_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--nofile={HANDLES}:{HANDLES}"))
        .arg(binary());
    let log = dir.path().join("service.log");
    let mut service = Service::launch(limited, dir.path(), &log, &[]);
    service.wait_until_ready();
    import_entries(&service);
    let eager = Habits {
        pause: Duration::ZERO,
        ..Habits::default()
    };
    let load = Load::start(&places(&service), &eager);
    load.on(200).await;

    let mut idle = Vec::new();
    for _ in 0..IDLE {
        // The system takes some for the service until it accepts them; others time out.
        let connecting = TcpStream::connect(service.grpc);
        if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), connecting).await {
            idle.push(stream);
        }
        if idle.len() > HANDLES as usize {
            break;
        }
    }
    let (_, said) = until_ready_is(&service, false, RECOVERS_WITHIN).await;
    assert!(said.contains("limit of open files"), "{said}");
    // Segments are begun and checks answered all the same.
    load.on(2_000).await;
    let clients = idle.len();
    drop(idle);
    let (recovered, _) = until_ready_is(&service, true, RECOVERS_WITHIN).await;

    // Now not even a handle for a new segment is left.
    let pid = service.pid().to_string();
    run("prlimit", &["--pid", &pid, "--nofile=8:128"]);
    let (_, scarce) = until_ready_without_http(&service).await;
    run("prlimit", &["--pid", &pid, "--nofile=128:128"]);
    let (again, _) = until_ready_is(&service, true, RECOVERS_WITHIN).await;
    load.on(100).await;
    let account = load.finish().await;
    account.assert_none_failed();
    let seen = looked_at(&service, &account).await;
    service.stop();
    told(
        "too few file handles: idle clients take them, then the limit drops below what is open",
        "connected clients are served, new ones wait, not ready with the reason, no end of the process, ready again by itself",
        &format!(
            "{clients} idle connections at {HANDLES} handles: `limit of open files leaves no room`, 2000 checks answered meanwhile, \
             ready {} after they hung up; with no handle at all {scarce}, ready {} after; {seen}",
            seconds(recovered),
            seconds(again),
        ),
    );
}

/// With no handle left nobody can ask whether it is ready; the log tells.
async fn until_ready_without_http(service: &Service) -> (Duration, String) {
    let began = std::time::Instant::now();
    loop {
        let log = service.logged();
        if log.contains("accept a connection") || log.contains("stalled") {
            let journal = if log.contains("stalled") {
                "stalled and said so"
            } else {
                "went on"
            };
            tokio::time::sleep(Duration::from_secs(5)).await;
            return (began.elapsed(), format!("the journal {journal}"));
        }
        // Somebody tries to connect, which shows the lack.
        let connecting = TcpStream::connect(service.http);
        let _ = tokio::time::timeout(Duration::from_millis(100), connecting).await;
        assert!(began.elapsed() < Duration::from_secs(60), "{log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A group of processes with a bound on their memory; it goes with the story.
struct Cage(PathBuf);

impl Cage {
    fn new(mib: u64) -> Self {
        let (old, new) = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup");
        let name = format!("creditgate-faults-{}", std::process::id());
        let (dir, limit) = match PathBuf::from(old).join("memory.limit_in_bytes").exists() {
            true => (PathBuf::from(old).join(name), "memory.limit_in_bytes"),
            false => (PathBuf::from(new).join(name), "memory.max"),
        };
        fs::create_dir(&dir).expect("a control group (needs root)");
        let cage = Self(dir);
        fs::write(cage.0.join(limit), (mib << 20).to_string()).expect("a limit of memory");
        cage
    }

    /// A command whose process lives in it.
    fn command(&self) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"echo $$ > "$0" && exec "$@""#])
            .arg(self.0.join("cgroup.procs"))
            .arg(binary());
        command
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "changes limits of a process: run by tests/faults.sh"]
async fn without_memory_it_is_killed_and_nothing_is_lost() {
    // Room for a start and a little more.
    const MIB: u64 = 320;
    let dir = tempfile::tempdir().expect("a directory");
    let cage = Cage::new(MIB);
    let log = dir.path().join("service.log");
    let mut service = Service::launch(cage.command(), dir.path(), &log, &[]);
    service.wait_until_ready();
    import_entries(&service);
    let at_rest = memory_mib(&service, "VmRSS");
    let places = places(&service);
    let load = Load::start(&places, &Habits::default());
    load.on(300).await;
    // Batches as large as they may be, from many at once.
    let grpc = service.gate().await;
    let mut batches = tokio::task::JoinSet::new();
    for client in 0..24_u64 {
        let mut gate = grpc.clone().max_decoding_message_size(256 << 20);
        batches.spawn(async move {
            for round in 0..4_u64 {
                let id = |n: u64| format!("batch-{client}-{round}-{n}");
                let events = (0..1_000).map(|n| event(&id(n), n)).collect();
                if gate
                    .check_batch(v1::CheckBatchRequest { events })
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
    }
    let mut killed = false;
    while !batches.is_empty() && !killed {
        let _ = tokio::time::timeout(Duration::from_millis(100), batches.join_next()).await;
        killed = service.ended().is_some();
    }
    drop(batches);
    let peak = (!killed).then(|| memory_mib(&service, "VmHWM"));
    let lived = match peak {
        Some(peak) => format!("it lived, VmHWM {peak} MiB"),
        None => "the kernel killed it".to_owned(),
    };
    if !killed {
        service.kill();
    }
    let service = Service::start(dir.path());
    places.set("one", &service);
    load.on(100).await;
    let account = load.finish().await;
    account.assert_none_failed();
    let seen = looked_at(&service, &account).await;
    service.stop();
    told(
        &format!(
            "memory limit of {MIB} MiB (control group) under batches of 1000 events from 24 clients"
        ),
        "lives within it or is killed by the kernel; nothing answered is lost, a start is all it takes",
        &format!("{at_rest} MiB at rest; {lived}; started again: {seen}"),
    );
}
