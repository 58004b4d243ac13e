//! `creditgate journal`: whether what was recorded is still what was recorded.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::{Head, Journal, OpenError, Position, ReadError, VerifyError};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{JournalCommand, VerifyArgs};
use crate::failure::Failure;

/// The journals of a data directory, and where they lie in it.
const JOURNALS: [(&str, &str); 3] = [
    ("changes", "changes"),
    ("verdicts", "verdicts"),
    ("cases", "cases/journal"),
];

/// How often an end that is no record is looked at before it is believed, and after which pause.
const LOOKS: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Runs a command about journals.
pub fn run(command: &JournalCommand) -> Result<ExitCode, Failure> {
    match command {
        JournalCommand::Verify(args) => verify(args),
    }
}

fn verify(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let dir = &args.data_dir;
    let kept = JOURNALS.map(|(name, place)| (name, dir.join(place)));
    if !kept.iter().any(|(_, place)| place.is_dir()) {
        return Err(Failure::plain(format!(
            "`{}` holds no journal: name the directory that `serve` was given by `--data-dir`, or a copy of it",
            dir.display()
        )));
    }
    let mut broken = false;
    for (name, place) in kept {
        if !place.is_dir() {
            say!("{name:<9} none here: a process without that role keeps none, else it is gone");
            continue;
        }
        let began = Instant::now();
        match walk(name, &place)? {
            Ok(head) => {
                let seconds = began.elapsed().as_secs_f64().max(1e-3);
                say!(
                    "{name:<9} {} records hold ({:.0} records/s, {:.0} MiB/s); the last is {}",
                    head.sequence,
                    head.sequence as f64 / seconds,
                    head.next_position.0 as f64 / seconds / f64::from(1 << 20),
                    hex(&head.hash)
                );
            }
            Err(why) => {
                broken = true;
                say!("{name:<9} BROKEN: {why}");
            }
        }
    }
    if broken {
        return Ok(ExitCode::from(1));
    }
    say!(
        "proven: order and completeness from the first record to the last that is there. Not proven: that nothing was \
         cut off behind the last, and that no tail, or the whole, was written anew with all its hashes; keep the hashes \
         above elsewhere, and compare"
    );
    Ok(ExitCode::SUCCESS)
}

/// Reads a journal to its end: where that leads, or what is wrong with it.
fn walk(name: &str, dir: &Path) -> Result<Result<Head, String>, Failure> {
    let unreadable = || format!("read the journal of {name}");
    let mut tries = 0;
    let (journal, opened) = loop {
        let (journal, opened) = match Journal::open_read_only(dir) {
            Ok(opened) => opened,
            Err(error @ OpenError::Io { .. }) => return Err(Failure::new(unreadable(), error)),
            Err(error) => return Ok(Err(Chain(&error).to_string())),
        };
        tries += 1;
        if opened.torn.is_none() || tries >= LOOKS {
            break (journal, opened);
        }
        // Somebody may be writing it at this moment.
        std::thread::sleep(LOOK_AGAIN);
    };
    if let Some(torn) = opened.torn {
        return Ok(Err(format!(
            "behind record {} lie {} bytes, from position {} on, that are no record: what a crash interrupted, or what was \
             done to it. A start of the service takes the former away and refuses what it can tell from it",
            opened.head.sequence, torn.bytes, torn.position
        )));
    }
    let bar = bar(name, opened.head.next_position);
    let walked = journal.verify_telling(|at| bar.set_position(at.0));
    bar.finish_and_clear();
    match walked {
        Ok(head) => Ok(Ok(head)),
        Err(error @ VerifyError::Read(ReadError::Io { .. })) => {
            Err(Failure::new(unreadable(), error))
        }
        Err(error) => Ok(Err(Chain(&error).to_string())),
    }
}

/// A line about how far it is, where somebody watches.
fn bar(name: &str, end: Position) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{msg} {bytes} of {total_bytes} {bytes_per_sec}, {eta} left");
    ProgressBar::new(end.0)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(name.to_owned())
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
