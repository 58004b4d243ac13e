//! `creditgate keys`: a bearer key for a caller.

use std::process::ExitCode;

use creditgate_runtime::callers;

use crate::cli::KeysArgs;
use crate::failure::Failure;

/// Prints the lines for the keys file, and the key itself once, on standard error.
pub fn run(args: &KeysArgs) -> Result<ExitCode, Failure> {
    const KNOWN: [&str; 4] = ["check", "lists", "read", "watch"];
    if let Some(unknown) = args.may.iter().find(|may| !KNOWN.contains(&may.as_str())) {
        return Err(Failure::plain(format!(
            "unknown permission `{unknown}`; write check, lists, read or watch"
        )));
    }
    let key = callers::generate_key().map_err(|error| Failure::new("make a key", error))?;
    eprintln!("key of {}, shown this once: {}", args.name, key.reveal());
    eprintln!("lines for the keys file (below `callers:`):");
    println!("  - name: {}", serde_json::Value::from(args.name.as_str()));
    println!("    key_sha256: {}", callers::hash_key(key.reveal()));
    println!("    may: [{}]", args.may.join(", "));
    Ok(ExitCode::SUCCESS)
}
