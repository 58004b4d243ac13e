//! `creditgate keyring`: the keys that encrypt what a service keeps.

use std::process::ExitCode;

use creditgate_runtime::sealed::{Keyring, KeyringError};

use crate::cli::KeyringCommand;
use crate::failure::Failure;

/// Runs a command about a keyring.
pub fn run(command: &KeyringCommand) -> Result<ExitCode, Failure> {
    let done = match command {
        KeyringCommand::New(args) => {
            let keyring = Keyring::generate();
            keyring.write_new(&args.file).map(|()| {
                note!("wrote {}", args.file.display());
                say!("{}", keyring.active());
            })
        }
        KeyringCommand::Rotate(args) => Keyring::read(&args.file).and_then(|mut keyring| {
            let id = keyring.rotate();
            keyring.replace(&args.file)?;
            note!(
                "wrote {}: a service seals with key {id} from its next start on",
                args.file.display()
            );
            say!("{id}");
            Ok(())
        }),
        KeyringCommand::List(args) => Keyring::read(&args.file).map(|keyring| list(&keyring)),
    };
    done.map(|()| ExitCode::SUCCESS)
        .map_err(|error: KeyringError| Failure::new("keep the keyring", error))
}

fn list(keyring: &Keyring) {
    for (id, created) in keyring.keys() {
        let used = match id == keyring.active() {
            true => "seals",
            false => "opens",
        };
        say!("{id:<4} {created}  {used}");
    }
}
