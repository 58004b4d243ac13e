//! Where the records of a data directory come from: a small file that says it, so that a directory
//! is never carried on from somewhere else.
//!
//! `<data_dir>/upstream` holds `embedded`, or `kafka`, the topics' prefix and the id of the change log.
//! A directory made before there was this file and that holds a change log is embedded.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of the file.
const FILE: &str = "upstream";

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This process alone: the directory is the truth.
    Embedded,
    /// Topics, of which the directory is a copy.
    Kafka {
        /// What their names begin with.
        prefix: String,
        /// The change log of lists that they carry.
        log_id: uuid::Uuid,
    },
}

/// Why a directory is not opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was made from something else.
    #[error(
        "`{}` was made {found} and would now be opened {asked}: nothing was changed; use a new data directory, or the settings it was made with",
        dir.display()
    )]
    Other {
        /// The data directory.
        dir: PathBuf,
        /// Where its records come from.
        found: Origin,
        /// What was asked for.
        asked: String,
    },
    /// The file says nothing that this version knows.
    #[error(
        "`{}` is not understood: use the version that wrote it, or a later one",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded, without Kafka"),
            Self::Kafka { prefix, log_id } => {
                write!(f, "from the topics `{prefix}.*` with change log {log_id}")
            }
        }
    }
}

impl Origin {
    /// What a directory was made from; none: nothing is in it yet.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn of(data_dir: &Path) -> Result<Option<Self>, Error> {
        let path = data_dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_text(&text)
                .map(Some)
                .ok_or(Error::Unknown { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made_before = data_dir.join("changes").join("mark").exists();
                Ok(made_before.then_some(Self::Embedded))
            }
            Err(source) => Err(io_error("read", path)(source)),
        }
    }

    /// Makes sure that a directory is of this origin, and says so in one that is new.
    ///
    /// # Errors
    /// When it is of another one, or that cannot be read or written.
    pub fn claim(&self, data_dir: &Path) -> Result<(), Error> {
        match Self::of(data_dir)? {
            Some(found) if found == *self => Ok(()),
            Some(found) => Err(Error::Other {
                dir: data_dir.to_owned(),
                found,
                asked: self.to_string(),
            }),
            None => self.write(data_dir),
        }
    }

    fn write(&self, data_dir: &Path) -> Result<(), Error> {
        let path = data_dir.join(FILE);
        let unfinished = data_dir.join("upstream.new");
        fs::create_dir_all(data_dir)
            .and_then(|()| {
                let mut file = File::create(&unfinished)?;
                file.write_all(self.to_text().as_bytes())?;
                file.sync_all()?;
                fs::rename(&unfinished, &path)?;
                File::open(data_dir)?.sync_all()
            })
            .map_err(io_error("write", path))
    }

    fn to_text(&self) -> String {
        match self {
            Self::Embedded => "embedded\n".to_owned(),
            Self::Kafka { prefix, log_id } => format!("kafka {prefix} {log_id}\n"),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["embedded"] => Some(Self::Embedded),
            ["kafka", prefix, log_id] => Some(Self::Kafka {
                prefix: (*prefix).to_owned(),
                log_id: log_id.parse().ok()?,
            }),
            _ => None,
        }
    }
}

fn io_error(action: &'static str, path: PathBuf) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(prefix: &str) -> Origin {
        Origin::Kafka {
            prefix: prefix.to_owned(),
            log_id: uuid::Uuid::from_bytes([7; 16]),
        }
    }

    #[test]
    fn a_directory_stays_with_what_it_was_made_from() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Origin::of(dir.path()).unwrap(), None);
        kafka("a").claim(dir.path()).unwrap();
        kafka("a").claim(dir.path()).unwrap();
        assert_eq!(Origin::of(dir.path()).unwrap(), Some(kafka("a")));
        for other in [Origin::Embedded, kafka("b")] {
            let refused = other.claim(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("from the topics `a.*`"), "{refused}");
            assert!(refused.contains("use a new data directory"), "{refused}");
        }
    }

    #[test]
    fn a_change_log_without_a_word_about_it_is_embedded() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("changes")).unwrap();
        fs::write(dir.path().join("changes/mark"), "").unwrap();
        assert_eq!(Origin::of(dir.path()).unwrap(), Some(Origin::Embedded));
        assert!(kafka("a").claim(dir.path()).is_err());
        Origin::Embedded.claim(dir.path()).unwrap();
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "pulsar x").unwrap();
        assert!(matches!(Origin::of(dir.path()), Err(Error::Unknown { .. })));
    }
}
