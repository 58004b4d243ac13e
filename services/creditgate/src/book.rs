//! Book files from the disk, from a pack, or from the binary.

use std::path::{Path, PathBuf};

use creditgate_measures::book::SourceFile;
use creditgate_measures::catalogue;
use creditgate_registry::book::{self as packed, PackError, Signature};

/// What belongs to a book beside `book.yaml` and `not-expressed.yaml`.
const FOLDERS: [&str; 9] = [
    "agreements",
    "commitments",
    "incentives",
    "lists",
    "measures",
    "names",
    "repair",
    "scenarios",
    "supplements",
];
/// What belongs to a supplement beside `supplement.yaml`.
const OF_SUPPLEMENT: [&str; 5] = [
    "agreements",
    "commitments",
    "incentives",
    "lists",
    "measures",
];

/// A book that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system refused.
    #[error("read `{}`", path.display())]
    File {
        /// What was read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no pack, or was changed.
    #[error("open `{}`", path.display())]
    Pack {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PackError,
    },
}

/// The files of a book that lies in a directory or in a pack, and the signature of a pack that has
/// one. Nobody has verified it yet.
///
/// # Errors
/// When a file cannot be read, or is no pack.
pub fn source_of(path: &Path) -> Result<(Vec<SourceFile>, Option<Signature>), ReadError> {
    if path.is_dir() {
        return Ok((files(Some(path))?, None));
    }
    let bytes = std::fs::read(path).map_err(|source| ReadError::File {
        path: path.to_owned(),
        source,
    })?;
    let pack = packed::open(&bytes).map_err(|source| ReadError::Pack {
        path: path.to_owned(),
        source,
    })?;
    Ok((pack.files, pack.signature))
}

/// The files of a book: those below a directory, those of a pack, or the built-in catalogue.
///
/// # Errors
/// When a directory or file cannot be read as text.
pub fn files(dir: Option<&Path>) -> Result<Vec<SourceFile>, ReadError> {
    let Some(dir) = dir else {
        return Ok(catalogue::built_in());
    };
    if dir.is_file() {
        return source_of(dir).map(|(files, _)| files);
    }
    let mut files = vec![SourceFile::new("book.yaml", text(&dir.join("book.yaml"))?)];
    let left_out = dir.join("not-expressed.yaml");
    if left_out.exists() {
        files.push(SourceFile::new("not-expressed.yaml", text(&left_out)?));
    }
    for folder in FOLDERS {
        let inside = dir.join(folder);
        if inside.is_dir() {
            below(&inside, folder, &mut files)?;
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The files of a supplement that lies in a directory of its own, as part of a book.
///
/// # Errors
/// When a directory or file cannot be read as text.
pub fn supplement(dir: &Path) -> Result<Vec<SourceFile>, ReadError> {
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    let head = format!("supplements/{name}/supplement.yaml");
    let mut files = vec![SourceFile::new(head, text(&dir.join("supplement.yaml"))?)];
    for folder in OF_SUPPLEMENT {
        let inside = dir.join(folder);
        if inside.is_dir() {
            below(&inside, &format!("supplements/{name}/{folder}"), &mut files)?;
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The files of a book with those of supplements.
///
/// # Errors
/// As [`files`] and [`supplement`].
pub fn composed(dir: Option<&Path>, supplements: &[PathBuf]) -> Result<Vec<SourceFile>, ReadError> {
    let mut files = files(dir)?;
    for supplement_dir in supplements {
        files.extend(supplement(supplement_dir)?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Files of confirmations, named by their paths as given.
///
/// # Errors
/// When a file cannot be read as text.
pub fn confirmations(paths: &[PathBuf]) -> Result<Vec<SourceFile>, ReadError> {
    paths
        .iter()
        .map(|path| Ok(SourceFile::new(path.display().to_string(), text(path)?)))
        .collect()
}

fn below(dir: &Path, under: &str, files: &mut Vec<SourceFile>) -> Result<(), ReadError> {
    let failed = |source| ReadError::File {
        path: dir.to_owned(),
        source,
    };
    for item in std::fs::read_dir(dir).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // Editors leave hidden files and backups; a book is `.yaml` and `.txt`.
        if name.starts_with('.') {
            continue;
        }
        let inside = format!("{under}/{name}");
        if path.is_dir() {
            below(&path, &inside, files)?;
        } else if path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "txt")
        {
            files.push(SourceFile::new(inside, text(&path)?));
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, ReadError> {
    std::fs::read_to_string(path).map_err(|source| ReadError::File {
        path: path.to_owned(),
        source,
    })
}
