//! Why a command failed, told once, with what to do about it.

use std::error::Error;
use std::process::ExitCode;

use creditgate_runtime::errors::Chain;
use tonic_types::StatusExt;

/// Exit code of a command that could not do its work.
const ERROR: u8 = 2;

/// A failed command: what was attempted, and the cause.
#[derive(Debug)]
pub struct Failure {
    attempted: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with its cause.
    pub fn new(
        attempted: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            attempted: attempted.into(),
            cause: Some(cause.into()),
        }
    }

    /// A failure that is its own explanation.
    pub fn plain(told: impl Into<String>) -> Self {
        Self {
            attempted: told.into(),
            cause: None,
        }
    }

    /// Tells the failure on standard error.
    pub fn report(self) -> ExitCode {
        note!("creditgate: {self}");
        self.code()
    }

    /// The exit code of a failed command.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(ERROR)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.attempted)?;
        let Some(cause) = &self.cause else {
            return Ok(());
        };
        match cause.downcast_ref::<tonic::Status>() {
            Some(status) => write!(f, ": {}", status_text(status)),
            None => write!(f, ": {}", Chain(cause.as_ref())),
        }
    }
}

/// The code with the broken rules, or with the message where there are none, and when to try again.
pub fn status_text(status: &tonic::Status) -> String {
    let mut text = format!("{:?}", status.code());
    match status.get_details_bad_request() {
        Some(bad) if !bad.field_violations.is_empty() => {
            for violation in bad.field_violations {
                text.push_str(&format!(
                    "\n  {}: {}",
                    violation.field, violation.description
                ));
            }
        }
        // Nothing is served there under that name.
        _ if status.code() == tonic::Code::Unimplemented && status.message().is_empty() => {
            text.push_str(
                ": that process does not serve this: ask one with the role for it (--server)",
            );
        }
        _ => text.push_str(&format!(": {}", status.message())),
    }
    let wait = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    if let Some(wait) = wait {
        text.push_str(&format!("\n  try again in {} ms", wait.as_millis()));
    }
    text
}
