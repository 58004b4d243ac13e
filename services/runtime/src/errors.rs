//! An error with all its causes, on one line, for whoever handles it.

use std::error::Error;
use std::fmt;

/// Prints `error: cause: cause of the cause`. An error of this project names what was attempted and leaves its cause to
/// `source()`, so only this prints the whole story, and it is printed once: where the error ends.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("open the journal")]
    struct Open(#[source] std::io::Error);

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = Open(std::io::Error::other("disk on fire"));
        assert_eq!(Chain(&error).to_string(), "open the journal: disk on fire");
    }
}
