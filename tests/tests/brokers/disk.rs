//! One of three brokers on a disk that fills up.

use std::path::Path;
use std::process::Command;

use creditgate_tests::kafka::Cluster;
use tempfile::TempDir;

use super::{Here, PROMISE};

/// A file system of its own, in memory; it goes with the value.
struct Disk(TempDir);

impl Disk {
    fn mount(mib: u32) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mib}m"),
                "creditgate-test",
            ])
            .arg(dir.path())
            .status()
            .expect("mount runs");
        assert!(
            mounted.success(),
            "this story mounts a disk: run it as root"
        );
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last byte; gives how much went in.
    fn fill(&self) -> u64 {
        let filler = self.path().join("filler");
        let mut file = std::fs::File::create(&filler).expect("a file");
        // It ends when nothing goes in any more, which is what is wanted.
        let full = std::io::copy(&mut std::io::repeat(0), &mut file);
        assert!(full.is_err(), "the disk has an end");
        std::fs::metadata(&filler).expect("the file").len()
    }

    fn clear(&self) {
        std::fs::remove_file(self.path().join("filler")).expect("the file");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A broker may still hold files on it: it goes when they are closed.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs Java and root: run by tests/faults.sh"]
fn a_broker_whose_disk_is_full_costs_no_event() {
    let disk = Disk::mount(160);
    let data = disk.path().join("data");
    let cluster = Cluster::start_with(&[(3, &data)]);
    let here = Here::new(&cluster, "disk");
    let full = &cluster.nodes()[2];
    let mut left = 0;
    here.round("disk full", &cluster.bootstrap(), || {
        left = disk.fill();
        // Kafka gives up a disk that takes nothing any more, and ends with its last one.
        full.wait_for_end();
        disk.clear();
        full.begin();
    });
    here.round("afterwards", &cluster.bootstrap(), || {});
    let more = format!(
        "; the broker ended by itself when its last {} MiB were gone and came back when there was room",
        left >> 20
    );
    here.end("the disk of a broker is full", PROMISE, &more);
}
