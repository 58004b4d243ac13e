//! What lies in the watched folder, and where it goes: plain files only, in the order of their names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::take::Done;
use crate::files::report;

/// Endings of files that are still being written, and of those that are settings.
const PASSED_OVER: [&str; 8] = [
    "part",
    "partial",
    "tmp",
    "filepart",
    "crdownload",
    "swp",
    "yaml",
    "yml",
];

/// Names that one file may find taken.
const NAMES_TRIED: u32 = 10_000;

/// A file as it lies there; the same again: it has not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// Where a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Its rows are taken; of some sources those that are sound.
    Done,
    /// Nothing of it was taken.
    Refused,
    /// It waits for approval.
    Held,
}

impl Place {
    /// The folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Held => "held",
        }
    }
}

/// The folders of the sources, by name.
pub fn folders(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// The files of a source, by name. Links are passed over: what they lead to was not put here.
pub fn files(dir: &Path) -> io::Result<Vec<(PathBuf, Found)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() || passed_over(&entry.file_name().to_string_lossy()) {
            continue;
        }
        // It may have gone since.
        if let Ok(about) = entry.metadata() {
            let found = Found {
                bytes: about.len(),
                modified: about.modified().ok(),
            };
            files.push((entry.path(), found));
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(files)
}

fn passed_over(name: &str) -> bool {
    let ending = name
        .rsplit_once('.')
        .map_or("", |(_, ending)| ending)
        .to_ascii_lowercase();
    // `~$` is what a spreadsheet puts beside an open workbook, `~` at the end a copy that an editor keeps.
    name.starts_with(['.', '~'])
        || name.ends_with('~')
        || name == "Thumbs.db"
        || PASSED_OVER.contains(&ending.as_str())
}

/// Moves a file to its place, with its summary and, where rows were refused, its report. Those come first: whoever sees
/// the file there finds them.
///
/// # Errors
/// When the disk refuses; then the file lies where it lay.
pub fn put_away(path: &Path, done: &Done) -> io::Result<()> {
    let dir = path
        .parent()
        .unwrap_or(Path::new("."))
        .join(done.place.name());
    fs::create_dir_all(&dir)?;
    let name = free_name(
        &dir,
        &path.file_name().unwrap_or_default().to_string_lossy(),
    )?;
    let beside = |what: &str| dir.join(format!("{name}.{what}"));
    if let Some(summary) = done
        .summary
        .as_ref()
        .filter(|summary| !summary.refused.is_empty())
    {
        written(&beside("report.csv"), |path| {
            report::write(path, &done.places, summary)
        })?;
    }
    let text = serde_json::to_vec_pretty(&done.told()).map_err(io::Error::other)?;
    written(&beside("summary.json"), |path| fs::write(path, &text))?;
    fs::rename(path, dir.join(name))
}

/// Writes a file under another name first, so that nobody reads half of it.
fn written(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let unfinished = path.with_extension("part");
    write(&unfinished)?;
    fs::rename(unfinished, path)
}

/// The name, or the first of `name~2`, `name~3` … that no file has: what came before under the same name stays.
fn free_name(dir: &Path, name: &str) -> io::Result<String> {
    let numbered = (2..NAMES_TRIED).map(|number| format!("{name}~{number}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !dir.join(name).exists())
        .ok_or_else(|| io::Error::other("too many files of this name; clear the folder"))
}
