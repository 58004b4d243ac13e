//! The disk: the few calls by which bytes become durable, so that a test can play a failing one.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What the writer asks of the disk. Every method does the real thing unless overridden.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Writes all bytes at an offset, without moving a cursor.
    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    /// Makes the content durable, and the length if it changed.
    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Makes content and all metadata durable; also used on directories.
    fn sync_all(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Cuts the file off, or grows it by zeros.
    fn set_len(&self, file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }
}

/// The disk of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {}
