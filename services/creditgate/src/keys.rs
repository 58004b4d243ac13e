//! `creditgate keys`: a bearer key for a caller.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use creditgate_runtime::callers;

use crate::cli::KeysArgs;
use crate::failure::Failure;

/// Writes the lines for the keys file, and tells the key itself once, on standard error.
pub fn run(args: &KeysArgs) -> Result<ExitCode, Failure> {
    const KNOWN: [&str; 5] = ["check", "lists", "read", "watch", "simulate"];
    if let Some(unknown) = args.may.iter().find(|may| !KNOWN.contains(&may.as_str())) {
        return Err(Failure::plain(format!(
            "unknown permission `{unknown}`; write check, lists, read, watch or simulate"
        )));
    }
    let key = callers::generate_key().map_err(|error| Failure::new("make a key", error))?;
    let lines = format!(
        "  - name: {}\n    key_sha256: {}\n    may: [{}]\n",
        serde_json::Value::from(args.name.as_str()),
        callers::hash_key(key.reveal()),
        args.may.join(", ")
    );
    match &args.file {
        Some(file) => add(file, &lines)
            .map_err(|error| Failure::new(format!("write `{}`", file.display()), error))?,
        None => say_part!("callers:\n{lines}"),
    }
    eprintln!("key of {}, shown this once: {}", args.name, key.reveal());
    Ok(ExitCode::SUCCESS)
}

/// Adds lines to the keys file; a new one is its owner's alone.
fn add(file: &Path, lines: &str) -> std::io::Result<()> {
    let mut open = std::fs::File::options();
    open.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut opened = open.open(file)?;
    if opened.metadata()?.len() == 0 {
        opened.write_all(b"callers:\n")?;
    }
    opened.write_all(lines.as_bytes())
}
