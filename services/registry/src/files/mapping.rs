//! A mapping file: what the columns of a table mean where its headers do not say it in words that are known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::Record;
use super::headers::{self, COLUMNS, FURTHER};
use super::values::{Cell, DateFormat};

/// What a mapping file may look like, shown where one is missing.
pub const EXAMPLE: &str = "columns: {企业名称: name, 处罚文号: document_no}\n\
                           constants: {list: 失信被执行人名单}\n\
                           ignore: [备注]";

/// The largest mapping file, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// What the columns of a table mean, besides what is known anyway. The default says nothing.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    columns: BTreeMap<String, &'static str>,
    constants: Vec<(&'static str, Cell)>,
    words: BTreeMap<&'static str, BTreeMap<String, String>>,
    date_format: Option<DateFormat>,
}

/// Why a mapping is refused.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// It could not be read.
    #[error("read the mapping file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// What it says is not right.
    #[error("mapping `{}`: {}", path.display(), faults.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Every fault with its line.
        faults: Vec<String>,
    },
}

/// The mapping as people write it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    columns: BTreeMap<String, Spanned<String>>,
    constants: BTreeMap<String, Spanned<String>>,
    words: BTreeMap<String, Spanned<BTreeMap<String, String>>>,
    date_format: Option<Spanned<String>>,
    ignore: Vec<String>,
}

impl Mapping {
    /// Reads a mapping file for rows of this sort.
    ///
    /// # Errors
    /// When it cannot be read, or breaks a rule; with every fault and its line.
    pub fn load<T: Record>(path: &Path) -> Result<Self, MappingError> {
        let read = |path: &Path| {
            let size = std::fs::metadata(path)?.len();
            if size > BYTES_MAX {
                return Err(std::io::Error::other("a mapping file has at most 1 MiB"));
            }
            std::fs::read_to_string(path)
        };
        let text = read(path).map_err(|source| MappingError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse::<T>(&text).map_err(|faults| MappingError::Invalid {
            path: path.to_owned(),
            faults,
        })
    }

    /// Reads the text of a mapping file.
    ///
    /// # Errors
    /// Every fault with its line.
    pub fn parse<T: Record>(text: &str) -> Result<Self, Vec<String>> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| vec![fault(&error)])?;
        written.validate::<T>()
    }

    pub(super) fn field_of(&self, header: &str) -> Option<&'static str> {
        self.columns.get(&headers::plain(header)).copied()
    }

    pub(super) fn constants(&self) -> impl Iterator<Item = (&'static str, &Cell)> {
        self.constants.iter().map(|(field, cell)| (*field, cell))
    }

    pub(super) fn word(&self, field: &str, word: &str) -> Option<&str> {
        self.words.get(field)?.get(word).map(String::as_str)
    }

    pub(super) fn date_format(&self) -> Option<&DateFormat> {
        self.date_format.as_ref()
    }
}

/// A fault of YAML with its line.
pub(crate) fn fault(error: &serde_saphyr::Error) -> String {
    let line = error.location().map_or(0, |location| location.line());
    let message = error.without_snippet().to_string();
    format!(
        "line {line}: {}",
        message.lines().next().unwrap_or_default()
    )
}

impl Written {
    /// The mapping that was written.
    ///
    /// # Errors
    /// Every fault with its line.
    pub fn validate<T: Record>(self) -> Result<Mapping, Vec<String>> {
        let mut faults = Vec::new();
        let mut mapping = Mapping::default();
        let mut field = |name: &str, line: u64| {
            let found = T::field_named(name);
            if found.is_none() {
                faults.push(format!(
                    "line {line}: no field `{name}`; known: {}",
                    T::fields()
                ));
            }
            found
        };
        for (header, to) in &self.columns {
            if let Some(to) = field(&to.value, to.referenced.line()) {
                mapping.columns.insert(headers::plain(header), to);
            }
        }
        for header in &self.ignore {
            mapping.columns.insert(headers::plain(header), "ignore");
        }
        for (name, value) in self.constants {
            if let Some(name) = field(&name, value.referenced.line()) {
                mapping.constants.push((name, Cell::Text(value.value)));
            }
        }
        for (name, words) in self.words {
            if let Some(name) = field(&name, words.referenced.line()) {
                mapping.words.insert(name, words.value);
            }
        }
        if let Some(written) = self.date_format {
            match DateFormat::parse(&written.value) {
                Ok(format) => mapping.date_format = Some(format),
                Err(refused) => {
                    faults.push(format!("line {}: {refused}", written.referenced.line()));
                }
            }
        }
        if faults.is_empty() {
            Ok(mapping)
        } else {
            Err(faults)
        }
    }
}

/// The names of all fields.
pub fn fields() -> String {
    let further = FURTHER.iter().map(|(name, _)| *name);
    let all: Vec<_> = COLUMNS.into_iter().chain(further).collect();
    all.join(", ")
}
