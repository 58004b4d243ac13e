//! What is wrong with a configuration: every fault with its key, its value, its place and the rule it breaks.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The place a value was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// A line of the configuration file; 0 where the line is not known.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, counted from 1.
        line: u64,
    },
    /// An environment variable.
    Variable(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: 0 } => write!(f, "{}", path.display()),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "variable {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The key, or nothing when the file as a whole is at fault.
    pub key: Option<String>,
    /// The value as written, unless it is a secret.
    pub value: Option<String>,
    /// Where it was written.
    pub origin: Origin,
    /// The rule it breaks and, where it can be said, the mend.
    pub rule: String,
}

impl Error {
    pub(super) fn key(
        key: &str,
        value: Option<String>,
        origin: Origin,
        rule: impl Into<String>,
    ) -> Error {
        Error {
            key: Some(key.to_owned()),
            value,
            origin,
            rule: rule.into(),
        }
    }

    pub(super) fn file(origin: Origin, rule: impl Into<String>) -> Error {
        Error {
            key: None,
            value: None,
            origin,
            rule: rule.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (&self.key, &self.value) {
            (Some(key), Some(value)) => write!(f, "`{key}` = `{value}` ")?,
            (Some(key), None) => write!(f, "`{key}` ")?,
            (None, _) => {}
        }
        f.write_str(&self.rule)
    }
}

impl std::error::Error for Error {}

/// All faults found, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Error>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused")?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
