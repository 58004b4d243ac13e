//! How long a question about the past takes with the index and without it, what the index costs, and
//! what a kept screen of a subject saves.
//!
//! `cargo run --release -p creditgate-registry --example past_rate -- 1000000`

#![allow(clippy::print_stdout, reason = "a program for people")]

mod common;

use std::time::{Duration, Instant};

use creditgate_measures::entry::StoredEntry;
use creditgate_measures::identifier::invented;
use creditgate_proto::v1::{self, identity_server::Identity as _};
use creditgate_registry::IdentityService;
use creditgate_registry::log::What;
use creditgate_runtime::callers::{Callers, Shown};
use creditgate_runtime::journal::Position;
use tonic::Request;

const QUESTIONS: u64 = 200;

// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let rows = common::rows_asked();
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let caller = Callers::loopback_only()
        .authenticate(&Shown::LOCAL)
        .expect("local");
    let registry = common::open(dir.path());
    let started = Instant::now();
    runtime.block_on(common::import(&registry, rows, entry, &caller));
    println!("imported {rows} rows in {:.1} s", seconds(started));

    let past = registry.past();
    let head = past.log().head().sequence;
    let one = |n: u64| std::iter::once(format!("E-{n:09}")).collect();
    let started = Instant::now();
    let found = past.changes_of(&one(0), head).expect("readable");
    assert_eq!(found.len(), 1);
    println!(
        "the first question, which brings the index up to date: {:.2} s",
        seconds(started)
    );

    let started = Instant::now();
    let wanted = format!("E-{:09}", rows / 2);
    let read = past.log().read_from(Position(0)).filter(|entered| {
        matches!(&entered.as_ref().expect("a record").what, What::Put(put)
            if StoredEntry::read(&put.stored).is_ok_and(|stored| stored.entry_id == wanted))
    });
    assert_eq!(read.count(), 1);
    println!(
        "the whole log read for one entry: {:.2} s",
        seconds(started)
    );

    let step = (rows / QUESTIONS).max(1);
    times("changes of an entry, by the index", |n| {
        let found = past.changes_of(&one(n * step), head).expect("readable");
        assert_eq!(found.len(), 1);
    });
    times("an entry as of half the log", |n| {
        past.entry_as_of(&format!("E-{:09}", n * step), head / 2)
            .expect("readable");
    });
    let identity = IdentityService::new(registry.clone());
    let subject = |n: u64, as_of: &str| {
        let mut asked = Request::new(v1::GetSubjectRequest {
            subject: Some(v1::SubjectQuery {
                id_type: "USCC".to_owned(),
                id: invented::uscc(n * step),
                ..Default::default()
            }),
            as_of: as_of.to_owned(),
            at: None,
        });
        asked.extensions_mut().insert(caller.clone());
        let answer = runtime.block_on(identity.get_subject(asked));
        assert_eq!(answer.expect("a subject").get_ref().entries.len(), 1);
    };
    let last = head.to_string();
    times("a subject, computed", |n| subject(n, ""));
    times("a subject, kept", |n| subject(n, ""));
    times("a subject as of a version, computed", |n| subject(n, &last));
    times("a subject as of a version, kept", |n| subject(n, &last));
    drop(identity);
    runtime.block_on(registry.close());
    drop(registry);
    let index: u64 = ["entries.sqlite", "entries.sqlite-wal"]
        .iter()
        .filter_map(|file| std::fs::metadata(dir.path().join("lists").join(file)).ok())
        .map(|file| file.len())
        .sum();
    println!("index: {} bytes on disk per entry", index / rows.max(1));
}

fn times(what: &str, ask: impl Fn(u64)) {
    let mut times: Vec<Duration> = (0..QUESTIONS)
        .map(|n| {
            let started = Instant::now();
            ask(n);
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
    println!("{what}: p50 {} µs, p99 {} µs", at(50), at(99));
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn entry(n: u64) -> v1::Entry {
    v1::Entry {
        entry_id: format!("E-{n:09}"),
        list: "B01".to_owned(),
        id_type: "USCC".to_owned(),
        id: invented::uscc(n),
        name: format!("示例第{n}号建筑工程有限公司"),
        kind: "enterprise".to_owned(),
        severity: "serious".to_owned(),
        document_no: format!("（2026）示例执{n}号"),
        valid_from: "2026-01-05".to_owned(),
        valid_to: "2028-01-04".to_owned(),
        ..Default::default()
    }
}
