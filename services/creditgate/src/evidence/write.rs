//! Packages on the disk: written whole or not at all, and never over another.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{Files, NAMES};
use crate::failure::Failure;
use crate::keys::write_new;

/// The largest file that is read: what a chain of the largest size takes.
const FILE_BYTES_MAX: u64 = 5 << 30;

/// Refuses a place where something is.
pub fn free(out: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(out) {
        Ok(_) => Err(Failure::plain(format!(
            "`{}` is there already: a package is never written over; name another place (--out)",
            out.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::new(format!("look at `{}`", out.display()), error)),
    }
}

/// Writes a package beside its place, and gives it its name once all of it is on the disk. Its files are their
/// owner's alone.
pub fn write(out: &Path, files: &Files) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::new(format!("write the package `{}`", out.display()), error);
    let parent = out.parent().filter(|dir| !dir.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let dir = tempfile::Builder::new()
        .prefix(".evidence-")
        .tempdir_in(parent)
        .map_err(failed)?;
    for (name, bytes) in files {
        write_new(&dir.path().join(name), bytes, 0o600).map_err(failed)?;
    }
    let synced = |dir: &Path| File::open(dir).and_then(|dir| dir.sync_all());
    synced(dir.path()).map_err(failed)?;
    free(out)?;
    fs::rename(dir.path(), out).map_err(failed)?;
    // It has its name: nothing is left to be removed.
    let _ = dir.keep();
    synced(parent).map_err(failed)
}

/// Reads a package. What is no file, or has no name of ours, is refused: nobody would look at it.
pub fn read(dir: &Path) -> Result<Files, Failure> {
    let failed = |what: &Path| format!("read `{}`", what.display());
    let unread = |error| Failure::new(failed(dir), error);
    let mut files = Files::new();
    for item in fs::read_dir(dir).map_err(unread)? {
        let item = item.map_err(unread)?;
        let path = item.path();
        let unread = |error| Failure::new(failed(&path), error);
        let metadata = fs::symlink_metadata(&path).map_err(unread)?;
        let name = item.file_name().to_string_lossy().into_owned();
        // It is told of by its name.
        let is_ours = NAMES.contains(&name.as_str()) && metadata.is_file();
        let bytes = match is_ours && metadata.len() <= FILE_BYTES_MAX {
            true => fs::read(&path).map_err(unread)?,
            false => Vec::new(),
        };
        files.insert(name, bytes);
    }
    Ok(files)
}
