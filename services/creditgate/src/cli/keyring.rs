//! `keyring`, and how other commands name one.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use creditgate_runtime::config::{KEYRING_FILE_VARIABLE, KEYRING_VARIABLE};
use creditgate_runtime::sealed::Keyring;

use crate::failure::Failure;

/// `keyring`.
#[derive(Debug, Subcommand)]
pub enum KeyringCommand {
    /// Write a new keyring with one key; a file that is there stays.
    New(KeyringFileArgs),
    /// Add a key that seals from the next start of the service on; the others stay, for reading.
    Rotate(KeyringFileArgs),
    /// Show which keys there are, never the keys themselves.
    List(KeyringFileArgs),
}

/// The file of `keyring`.
#[derive(Debug, Args)]
#[command(
    after_help = "A service that has one (`sealing.keyring_file`) encrypts what it records from then on; what was recorded \
before stays as it is. The file is its owner's alone, and read at the start. Whoever has it can read the journals; without it \
nobody can, so keep a copy apart from the data, and of each key as long as anything is there that was sealed with it.

To rotate: `rotate` the file, copy it to wherever it is kept, restart the service. What was sealed before is not sealed anew.

Examples:
  creditgate keyring new /etc/creditgate/keyring.yaml
  creditgate keyring rotate /etc/creditgate/keyring.yaml
  creditgate keyring list /etc/creditgate/keyring.yaml"
)]
pub struct KeyringFileArgs {
    /// The keyring.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What opens sealed records.
#[derive(Debug, Args)]
pub struct KeyringArgs {
    /// Keyring of the service, where its journals are sealed; the variable CREDITGATE_SEALING_KEYRING may hold its text.
    #[arg(long, env = KEYRING_FILE_VARIABLE, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
}

impl KeyringArgs {
    /// The keyring, if one is named.
    pub fn load(&self) -> Result<Option<Keyring>, Failure> {
        let read = match &self.keyring {
            Some(file) => Some(Keyring::read(file)),
            None => std::env::var(KEYRING_VARIABLE)
                .ok()
                .filter(|text| !text.is_empty())
                .map(|text| Keyring::parse(&text)),
        };
        read.transpose()
            .map_err(|error| Failure::new("read the keys that open what is sealed", error))
    }
}
