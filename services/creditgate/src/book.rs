//! Book files from the disk, from a pack, or from the binary.

use std::path::{Path, PathBuf};

use creditgate_measures::book::SourceFile;
use creditgate_measures::catalogue;
use creditgate_registry::book::{self as packed, PackError, Signature};

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
    /// A directory that is no book.
    #[error("`{}` is no book: one has `book.yaml`, and penalties under `measures/`", path.display())]
    NoBook {
        /// The directory.
        path: PathBuf,
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
    let mut files = Vec::new();
    below(dir, "", &mut files)?;
    let holds = |folder| {
        files
            .iter()
            .any(|file: &SourceFile| file.path.starts_with(folder))
    };
    if !holds("book.yaml") || !holds("measures/") {
        return Err(ReadError::NoBook {
            path: dir.to_owned(),
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The files of a supplement that lies in a directory of its own, as part of a book.
///
/// # Errors
/// When a directory or file cannot be read as text.
pub fn supplement(dir: &Path) -> Result<Vec<SourceFile>, ReadError> {
    let whole = dir.canonicalize().map_err(|source| ReadError::File {
        path: dir.to_owned(),
        source,
    })?;
    let name = whole.file_name().unwrap_or(whole.as_os_str());
    let mut files = Vec::new();
    below(
        dir,
        &format!("supplements/{}", name.to_string_lossy()),
        &mut files,
    )?;
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
        // Hidden files, backups of editors and explanations are no part of a book, nor are documents.
        if name.starts_with('.') || name.ends_with('~') || name.ends_with(".md") {
            continue;
        }
        let inside = match under {
            "" => name,
            under => format!("{under}/{name}"),
        };
        if path.is_dir() {
            below(&path, &inside, files)?;
        } else if inside.ends_with(".yaml") || inside.ends_with(".txt") {
            files.push(SourceFile::new(inside, text(&path)?));
        } else if is_nearly_yaml(&inside) {
            // Not read, and not passed over either: the book is refused for it by name.
            files.push(SourceFile::new(inside, ""));
        }
    }
    Ok(())
}

/// Whether somebody may have meant a file of the book; tables and documents beside it are none.
fn is_nearly_yaml(path: &str) -> bool {
    let ending = path.rsplit('.').next().unwrap_or_default();
    ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml")
}

fn text(path: &Path) -> Result<String, ReadError> {
    std::fs::read_to_string(path).map_err(|source| ReadError::File {
        path: path.to_owned(),
        source,
    })
}
