//! A disk that refuses, or does not confirm.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU8, Ordering};

use super::*;

#[derive(Debug, Default)]
struct Failing(AtomicU8);

const WRITES_FAIL: u8 = 1;
const SYNCS_FAIL: u8 = 2;

impl journal::disk::Disk for Failing {
    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) == WRITES_FAIL {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        file.write_all_at(bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) == SYNCS_FAIL {
            return Err(io::Error::other("no answer"));
        }
        file.sync_data()
    }
}

impl World {
    /// Waits until readiness is as wanted; the reason that the gate gives.
    async fn until_ready_is(&self, wanted: bool) -> String {
        let mut follow = self.readiness.follow();
        let reached = follow.wait_for(|snapshot| snapshot.ready == wanted);
        let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
        format!("{:?}", reached.unwrap().unwrap().components)
    }
}

fn world() -> (World, Arc<Failing>) {
    let mut world = World::new();
    let disk = Arc::new(Failing::default());
    world.journal.disk = disk.clone();
    (world, disk)
}

#[tokio::test]
async fn a_full_disk_refuses_checks_until_there_is_room() {
    let (world, disk) = world();
    let gate = world.open();
    verdict(&gate, event(1, 1, "evaluate")).await;
    disk.0.store(WRITES_FAIL, Ordering::Relaxed);
    for _ in 0..3 {
        let status = check(&gate, event(2, 2, "evaluate")).await.unwrap_err();
        assert_eq!(reason(&status), "Unavailable journal_unavailable");
    }
    let told: Vec<_> = batch(
        &gate,
        vec![event(3, 3, "evaluate"), event(3, 3, "evaluate")],
    )
    .await
    .iter()
    .map(told)
    .collect();
    assert_eq!(told, ["Unavailable journal_unavailable"; 2]);
    // What is recorded can be told all the same.
    assert!(
        check(&gate, event(1, 1, "evaluate"))
            .await
            .unwrap()
            .repeated
    );
    disk.0.store(0, Ordering::Relaxed);
    assert!(
        !check(&gate, event(2, 2, "evaluate"))
            .await
            .unwrap()
            .repeated
    );
    world.until_ready_is(true).await;
    assert_eq!(world.balance(), [2, 1, 5]);
}

#[tokio::test]
async fn a_full_disk_shows_in_readiness_and_passes_though_nobody_asks() {
    let (world, disk) = world();
    let gate = world.open();
    disk.0.store(WRITES_FAIL, Ordering::Relaxed);
    check(&gate, event(1, 1, "evaluate")).await.unwrap_err();
    let reason = world.until_ready_is(false).await;
    assert!(
        reason.contains("the disk takes no records") && reason.contains("no storage space"),
        "{reason}"
    );
    disk.0.store(0, Ordering::Relaxed);
    world.until_ready_is(true).await;
    assert!(
        !check(&gate, event(1, 1, "evaluate"))
            .await
            .unwrap()
            .repeated
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_check_that_fails_tries_for_himself() {
    let (world, disk) = world();
    let gate = world.open();
    disk.0.store(WRITES_FAIL, Ordering::Relaxed);
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { check(&gate, event(1, 1, "evaluate")).await })
        })
        .collect();
    for one in asking {
        let status = one.await.unwrap().unwrap_err();
        assert_eq!(reason(&status), "Unavailable journal_unavailable");
    }
    disk.0.store(0, Ordering::Relaxed);
    assert!(
        !check(&gate, event(1, 1, "evaluate"))
            .await
            .unwrap()
            .repeated
    );
    assert_eq!(world.balance(), [1, 0, 20]);
}

#[tokio::test]
async fn an_unconfirmed_record_is_neither_told_nor_decided_again() {
    let (world, disk) = world();
    let gate = world.open();
    disk.0.store(SYNCS_FAIL, Ordering::Relaxed);
    let status = check(&gate, event(1, 1, "evaluate")).await.unwrap_err();
    assert_eq!(reason(&status), "Unavailable journal_unavailable");
    assert!(!world.readiness.snapshot().ready);
    disk.0.store(0, Ordering::Relaxed);
    for n in 1..=2 {
        let status = check(&gate, event(n, n, "evaluate")).await.unwrap_err();
        assert_eq!(reason(&status), "Unavailable journal_unavailable");
    }
    drop(gate);
    // A restart finds out; here the record was written, so it stands.
    let gate = world.open();
    assert!(world.readiness.snapshot().ready);
    assert!(
        check(&gate, event(1, 1, "evaluate"))
            .await
            .unwrap()
            .repeated
    );
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nothing_back() {
    let world = World::new();
    let gate = world.open();
    for n in 0..200 {
        let leaving = check(&gate, event(n, n, "evaluate"));
        // Polled once: the record is in line, the answer not there.
        let left = tokio::time::timeout(Duration::ZERO, leaving).await;
        drop(left);
    }
    let firsts = gate.inner.records.journal();
    for n in 0..200 {
        check(&gate, event(n, n, "evaluate")).await.unwrap();
    }
    assert_eq!(firsts.head().sequence, 200);
    world.balance();
}
