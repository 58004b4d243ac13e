//! The probe: whether a disk that refused writes, or did not confirm one, takes them again.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::disk::Disk;

/// Room that is asked for: more than a batch of a few records, so that a disk with next to none left does not pass for
/// one that has room, and fails again at the next batch.
const PROBE_BYTES: usize = 1 << 20;

/// The file that is written and removed; one that a crash leaves is removed at the next open.
pub(super) const PROBE_FILE: &str = "probe.tmp";

/// Writes a file beside the segments, syncs it and removes it. Nothing of the log is touched.
pub(super) fn takes_writes(dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    let path = dir.join(PROBE_FILE);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let written = options.open(&path).and_then(|file| {
        disk.write_all_at(&file, &vec![0; PROBE_BYTES], 0)?;
        disk.sync_all(&file)
    });
    // One that cannot be removed now is at the next open.
    drop(fs::remove_file(&path));
    written
}
