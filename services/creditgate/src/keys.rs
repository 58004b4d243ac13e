//! `creditgate keys`: a bearer key for a caller, or a pair of keys that signs books or check points.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use creditgate_runtime::{callers, signing};

use crate::cli::{KeysArgs, KeysCommand};
use crate::failure::Failure;

/// Writes the lines for the keys file, and tells the key itself once, on standard error.
pub fn run(args: &KeysArgs) -> Result<ExitCode, Failure> {
    match &args.sort {
        Some(KeysCommand::Book(args)) => return pair("book-key", &args.out),
        Some(KeysCommand::Journal(args)) => return pair("journal-key", &args.out),
        None => {}
    }
    let known = callers::Permission::EVERY.map(callers::Permission::word);
    if let Some(unknown) = args.may.iter().find(|may| !known.contains(&may.as_str())) {
        return Err(Failure::plain(format!(
            "unknown permission `{unknown}`; write one of {}",
            known.join(", ")
        )));
    }
    let name = args.name.as_deref().unwrap_or_default();
    let key = callers::generate_key().map_err(|error| Failure::new("make a key", error))?;
    let may = match args.by_policy {
        true => String::new(),
        false => format!("    may: [{}]\n", args.may.join(", ")),
    };
    let lines = format!(
        "  - name: {}\n    key_sha256: {}\n{may}",
        serde_json::Value::from(name),
        callers::hash_key(key.reveal()),
    );
    match &args.file {
        Some(file) => add(file, &lines)
            .map_err(|error| Failure::new(format!("write `{}`", file.display()), error))?,
        None => say_part!("callers:\n{lines}"),
    }
    note!("key of {name}, shown this once: {}", key.reveal());
    Ok(ExitCode::SUCCESS)
}

/// Writes a new pair of keys into a directory. Keys that are there stay.
fn pair(name: &str, dir: &Path) -> Result<ExitCode, Failure> {
    let keys = signing::generate().map_err(|error| Failure::new("make the keys", error))?;
    std::fs::create_dir_all(dir)
        .map_err(|error| Failure::new(format!("make `{}`", dir.display()), error))?;
    for (name, text, mode) in [
        (format!("{name}.pem"), &keys.private_pem, 0o600),
        (format!("{name}.pub.pem"), &keys.public_pem, 0o644),
    ] {
        let path = dir.join(name);
        write_new(&path, text.as_bytes(), mode)
            .map_err(|error| Failure::new(format!("write `{}`", path.display()), error))?;
        note!("wrote {}", path.display());
    }
    say!("{}", keys.key_id);
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that is not there yet, and brings it to the disk.
#[cfg_attr(not(unix), expect(unused_variables, reason = "modes are of Unix"))]
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut open = std::fs::File::options();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, mode);
    let mut file = open.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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
