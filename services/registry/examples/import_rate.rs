//! How fast entries come in, what they take in memory, and how long a restart takes.
//!
//! `cargo run --release -p creditgate-registry --example import_rate -- 1000000`

#![allow(clippy::print_stdout, reason = "a program for people")]

mod common;

use std::time::{Duration, Instant};

use common::open;
use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_registry::{OVERLAY_MIN, Registry};
use creditgate_runtime::callers::{Callers, Shown};

// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if let Some(dir) = std::env::var_os("IMPORT_RATE_REOPEN") {
        return reopen(dir.as_ref());
    }
    let rows = common::rows_asked();
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let caller = Callers::loopback_only()
        .authenticate(&Shown::LOCAL)
        .expect("local");

    memory("empty", 0);
    let registry = open(dir.path());
    memory("open", 0);
    let started = Instant::now();
    runtime.block_on(common::import(&registry, rows, entry, &caller));
    let took = started.elapsed();
    println!(
        "imported {rows} rows in {:.1} s: {:.0} rows/s",
        took.as_secs_f64(),
        rows as f64 / took.as_secs_f64()
    );
    settle(&registry);
    memory("imported", rows);

    let started = Instant::now();
    runtime.block_on(common::import(&registry, rows, entry, &caller));
    println!(
        "the same rows again, unchanged: {:.1} s",
        started.elapsed().as_secs_f64()
    );

    let started = Instant::now();
    runtime.block_on(registry.close());
    drop(registry);
    println!("closed in {:.2} s", started.elapsed().as_secs_f64());

    let fresh = std::process::Command::new(std::env::current_exe().expect("this program"))
        .env("IMPORT_RATE_REOPEN", dir.path())
        .status()
        .expect("a fresh process");
    assert!(fresh.success());

    std::fs::remove_dir_all(dir.path().join("lists")).expect("remove the base");
    let started = Instant::now();
    let registry = open(dir.path());
    println!(
        "rebuilt from the log in {:.2} s",
        started.elapsed().as_secs_f64()
    );
    assert_eq!(registry.live().load().lists.len() as u64, rows);
    memory("rebuilt", rows);
    runtime.block_on(registry.close());
    for part in ["changes", "lists"] {
        let bytes: u64 = std::fs::read_dir(dir.path().join(part))
            .expect("a directory")
            .flatten()
            .filter_map(|file| file.metadata().ok())
            .map(|file| file.len())
            .sum();
        println!("{part}: {} bytes on disk per entry", bytes / rows.max(1));
    }
}

/// A start in a process of its own: what a service that only serves takes.
fn reopen(dir: &std::path::Path) {
    let started = Instant::now();
    let registry = open(dir);
    println!(
        "a fresh process was ready in {:.2} s",
        started.elapsed().as_secs_f64()
    );
    let rows = registry.live().load().lists.len() as u64;
    memory("fresh", rows);
    // The allocator gives back what the start needed a little later, when it is asked for more.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        drop(std::hint::black_box(vec![1_u8; 3 << 20]));
    }
    memory("fresh, a second later", rows);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(registry.close());
}

fn entry(n: u64) -> v1::Entry {
    v1::Entry {
        entry_id: format!("E-{n:09}"),
        list: if n.is_multiple_of(3) { "B02" } else { "B01" }.to_owned(),
        id_type: "USCC".to_owned(),
        id: invented::uscc(n),
        name: format!("示例第{n}号建筑工程有限公司"),
        kind: "enterprise".to_owned(),
        severity: "serious".to_owned(),
        designated_by: "示例市人民法院".to_owned(),
        document_no: format!("（2026）示例执{n}号"),
        reason: "有履行能力而拒不履行生效法律文书确定义务".to_owned(),
        valid_from: "2026-01-05".to_owned(),
        valid_to: "2028-01-04".to_owned(),
        ..Default::default()
    }
}

/// Waits until no merge is under way and the overlay is small.
fn settle(registry: &Registry) {
    for _ in 0..600 {
        let live = registry.live().load();
        if live.lists.overlay_len() <= OVERLAY_MIN.max(live.lists.len() / 20) {
            break;
        }
        drop(live);
        std::thread::sleep(Duration::from_millis(100));
    }
    println!(
        "overlay: {} entries",
        registry.live().load().lists.overlay_len()
    );
}

fn memory(when: &str, rows: u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |field: &str| -> u64 {
        status
            .lines()
            .find(|line| line.starts_with(field))
            .and_then(|line| line.split_whitespace().nth(1))
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    let per = |kib: u64| kib * 1024 / rows.max(1);
    let (rss, anon, peak) = (value("VmRSS:"), value("RssAnon:"), value("VmHWM:"));
    println!("{when}: VmRSS {rss} KiB, RssAnon {anon} KiB, VmHWM {peak} KiB");
    if rows > 0 {
        println!(
            "  per entry: RSS {} B, of it anonymous {} B",
            per(rss),
            per(anon)
        );
    }
}
