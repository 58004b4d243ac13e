//! `creditgate journal`: whether what was recorded is still what was recorded.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use creditgate_runtime::check_points::{self, Kind, Said, SeriesError};
use creditgate_runtime::errors::Chain;
use creditgate_runtime::hex::hex;
use creditgate_runtime::journal::{
    Head, Journal, OpenError, Position, ReadError, Receipt, VerifyError,
};
use creditgate_runtime::signing::PublicKeys;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{JournalCommand, Start, VerifyArgs};
use crate::evidence;
use crate::failure::Failure;

mod start;
mod topic;

use start::Begin;

/// The journal of verdicts: its name, and where it lies in a data directory.
pub const VERDICTS: &str = "verdicts";
/// The same of the change log.
pub const CHANGES: &str = "changes";

/// The journals of a data directory, and where they lie in it.
const JOURNALS: [(&str, &str); 4] = [
    (CHANGES, CHANGES),
    (VERDICTS, VERDICTS),
    ("cases", "cases/journal"),
    ("calls", "calls"),
];

/// What the check points beside the journals, and those elsewhere, are called.
const CHECK_POINTS: &str = "check points";
const ANCHOR: &str = "anchor";

/// What reading them was for.
const AGAINST: &str = "hold the journals against check points";

/// How often an end that is no record is looked at before it is believed, and after which pause.
const LOOKS: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Records after which it is told how far a walk is.
pub const TOLD_EVERY: u64 = 4_096;

/// Runs a command about journals.
pub fn run(command: &JournalCommand) -> Result<ExitCode, Failure> {
    match command {
        JournalCommand::Verify(args) => verify(args),
        JournalCommand::VerifyTopic(args) => topic::verify(args),
        JournalCommand::Evidence(args) => evidence::make(args),
        JournalCommand::VerifyEvidence(args) => evidence::verify(args),
    }
}

fn verify(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let dir = &args.data_dir;
    let kept = JOURNALS.map(|(name, place)| (name, dir.join(place)));
    let own = dir.join(check_points::FILE);
    if !own.exists() && !kept.iter().any(|(_, place)| place.is_dir()) {
        return Err(Failure::plain(format!(
            "`{}` holds no journal: name the directory that `serve` was given by `--data-dir`, or a copy of it",
            dir.display()
        )));
    }
    let keys = PublicKeys::load(&args.keys)
        .map_err(|error| Failure::new("read the keys of check points", error))?;
    let mut broken = false;
    let mut witnesses = Vec::new();
    if !keys.is_empty() {
        let anchor = args.anchor.as_ref();
        let files = [(CHECK_POINTS, Kind::Own, Some(&own))].into_iter().chain([(
            ANCHOR,
            Kind::Anchor,
            anchor,
        )]);
        for (what, kind, file) in files {
            let Some(file) = file else { continue };
            match testify(what, kind, file, &keys)? {
                Some(witness) => witnesses.push(witness),
                None => broken = true,
            }
        }
    }
    for (kind, number, place) in check_points::taken(dir) {
        say!(
            "{kind} anchor: the {place} took check points up to number {number}, as the service remembers it"
        );
    }
    if matches!(args.from, Some(Start::Anchor(_))) && args.anchor.is_none() {
        return Err(Failure::plain(
            "`--from anchor:…` begins at a check point of the anchor: name its file (`--anchor`) and the public key (`--key`)",
        ));
    }
    let begin = match args.from {
        None => None,
        Some(start) => match Begin::find(start, &own, &keys, &witnesses)? {
            Some(begin) => Some(begin),
            None => {
                say!(
                    "nothing was read: the check points to begin at are BROKEN; verify without `--from`"
                );
                return Ok(ExitCode::from(1));
            }
        },
    };
    let unread = begin.as_ref().and_then(|begin| begin.of(VERDICTS));
    let unread = unread.map_or(0, |head| head.sequence);
    if let Some(receipt) = args
        .receipts
        .iter()
        .find(|receipt| receipt.sequence < unread)
    {
        return Err(Failure::plain(format!(
            "the receipt of record {} cannot be looked at: `--from` begins behind record {unread}; verify from an earlier start, \
             or without `--from`",
            receipt.sequence
        )));
    }
    // They are of verdicts.
    let receipts_of = |name: &str| match name {
        VERDICTS => args.receipts.as_slice(),
        _ => &[],
    };
    for (name, place) in &kept {
        if place.is_dir() {
            broken |= !hold(name, place, begin.as_ref(), &witnesses, receipts_of(name))?;
        } else if let Some(witness) = witnesses.iter().find(|witness| witness.knows(name)) {
            broken = true;
            say!(
                "{name:<9} BROKEN: it is gone, and the {} name it",
                witness.what
            );
        } else if !receipts_of(name).is_empty() {
            broken = true;
            say!("{name:<9} BROKEN: it is gone, and a receipt names a record of it");
        } else {
            say!("{name:<9} none here: a process without that role keeps none, else it is gone");
        }
    }
    if broken {
        say!("what is BROKEN proves nothing about what follows the place that is named");
        return Ok(ExitCode::from(1));
    }
    let since = match &begin {
        None => "the first record".to_owned(),
        Some(begin) => format!("what check point {} names", begin.number()),
    };
    say!(
        "proven: order and completeness from {since} to the last that is there. Not proven: {}",
        match (keys.is_empty(), &args.anchor) {
            (false, Some(_)) => "what lies behind the last check point of the anchor",
            (false, None) =>
                "what lies behind the last check point, and that none of this is an older copy, or the work of \
                 somebody who has the key, or could write here while no service did: hold it against an anchor (`--anchor`)",
            (true, _) if own.is_file() =>
                "that nothing was cut off behind the last, and that no tail, or the whole, was written anew with all its \
                 hashes; there are check points: name the public key of the service (`--key`)",
            (true, _) =>
                "that nothing was cut off behind the last, and that no tail, or the whole, was written anew with all its \
                 hashes; keep the hashes above elsewhere, and compare, or let the service sign check points \
                 (`journal.signing_key_file`)",
        }
    );
    Ok(ExitCode::SUCCESS)
}

/// Check points that journals are held against.
struct Witness {
    what: &'static str,
    said: Said,
}

impl Witness {
    /// Whether it speaks of a journal.
    fn knows(&self, journal: &str) -> bool {
        self.said.reaches(journal).is_some()
    }
}

/// Reads check points and tells of them. None: they are not what was signed, which is told.
fn testify(
    what: &'static str,
    kind: Kind,
    file: &Path,
    keys: &PublicKeys,
) -> Result<Option<Witness>, Failure> {
    match Said::read(kind, file, keys) {
        Ok(Some(said)) => match (&said.first, &said.last) {
            (Some(first), Some(last)) => {
                say!(
                    "{what}: {} hold, from number {} of {} to number {} of {}, the last signed with key {}",
                    said.points,
                    first.number,
                    first.at,
                    last.number,
                    last.at,
                    last.key_id
                );
                Ok(Some(Witness { what, said }))
            }
            _ => {
                say!(
                    "{what} BROKEN: there is none in `{}`: a service signs the first at its start, so they were taken away",
                    file.display()
                );
                Ok(None)
            }
        },
        Ok(None) => {
            say!(
                "{what} BROKEN: `{}` is not there: none were made, or they were taken away",
                file.display()
            );
            Ok(None)
        }
        Err(error @ SeriesError::Read { .. }) => Err(Failure::new(AGAINST, error)),
        Err(error) => {
            say!("{what} BROKEN: {}", Chain(&error));
            Ok(None)
        }
    }
}

/// Whether a journal holds, which is told.
fn hold(
    name: &str,
    place: &Path,
    begin: Option<&Begin>,
    witnesses: &[Witness],
    receipts: &[Receipt],
) -> Result<bool, Failure> {
    let began = Instant::now();
    let head = match walk(name, place, begin, witnesses, receipts)? {
        Ok(head) => head,
        Err(why) => {
            say!("{name:<9} BROKEN: {why}");
            return Ok(false);
        }
    };
    let seconds = began.elapsed().as_secs_f64().max(1e-3);
    let start = begin.and_then(|begin| begin.of(name));
    let (unread, unread_bytes) = start.map_or((0, 0), |said| (said.sequence, said.next_position));
    let records = head.sequence - unread;
    say!(
        "{name:<9} {records} records hold ({:.0} records/s, {:.0} MiB/s); the last is {}",
        records as f64 / seconds,
        (head.next_position.0 - unread_bytes) as f64 / seconds / f64::from(1 << 20),
        hex(&head.hash)
    );
    match (begin, start) {
        (Some(begin), Some(_)) if unread > 0 => {
            say!(
                "          records 1 to {unread} were not read: {}",
                begin.word()
            );
        }
        (Some(begin), None) => say!(
            "          check point {} does not name it: it was read from its first record",
            begin.number()
        ),
        _ => {}
    }
    for Witness { what, said } in witnesses {
        let Some(to) = said.reaches(name) else {
            say!(
                "{name:<9} BROKEN: the {what} do not name it: it was put there, or they are of another service"
            );
            return Ok(false);
        };
        say!(
            "          {what}: it is what was signed up to record {to}; {} behind it",
            head.sequence - to
        );
    }
    for Receipt { sequence, .. } in receipts {
        say!("          receipt: record {sequence} is the one it names");
    }
    Ok(true)
}

/// Reads a journal to its end: where that leads, or what is wrong with it.
fn walk(
    name: &str,
    dir: &Path,
    begin: Option<&Begin>,
    witnesses: &[Witness],
    receipts: &[Receipt],
) -> Result<Result<Head, String>, Failure> {
    let start = begin.and_then(|begin| Some((begin, begin.of(name)?)));
    let unreadable = || format!("read the journal of {name}");
    let mut tries = 0;
    let (journal, opened) = loop {
        let opening = match start {
            None => Journal::open_read_only(dir),
            Some(_) => Journal::open_end_read_only(dir),
        };
        let (journal, opened) = match opening {
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
    let from = start.map_or_else(|| journal.beginning(), |(_, said)| said.head());
    if let Some((begin, said)) = start
        && let Some(why) = begin.misplaced(said, &opened, &opened.head)
    {
        return Ok(Err(why.to_string()));
    }
    let mut compared = Vec::new();
    for Witness { what, said } in witnesses {
        let with = said.compare(name, opened.log_id, &from);
        let mut with = with.map_err(|error| Failure::new(AGAINST, error))?;
        if let Err(why) = with.record(&from) {
            return Ok(Err(format!("against the {what}: {why}")));
        }
        compared.push((*what, with));
    }
    let mut mismatch = None;
    let mut other = receipts
        .iter()
        .find(|receipt| receipt.sequence == from.sequence && receipt.hash != from.hash);
    let bar = bar(name, opened.head.next_position);
    let walked = journal.verify_behind(from, |head| {
        if head.sequence.is_multiple_of(TOLD_EVERY) {
            bar.set_position(head.next_position.0);
        }
        let wrong =
            |receipt: &&Receipt| receipt.sequence == head.sequence && receipt.hash != head.hash;
        other = other.or_else(|| receipts.iter().find(wrong));
        if mismatch.is_none() {
            mismatch = compared
                .iter_mut()
                .find_map(|(what, with)| Some((*what, with.record(head).err()?)));
        }
    });
    bar.finish_and_clear();
    let head = match walked {
        Ok(head) => head,
        Err(error @ VerifyError::Read(ReadError::Io { .. })) => {
            return Err(Failure::new(unreadable(), error));
        }
        Err(error) => {
            let behind = start.map(|(begin, said)| {
                let number = begin.number();
                format!(
                    "behind record {}, which check point {number} names: ",
                    said.sequence
                )
            });
            return Ok(Err(format!(
                "{}{}",
                behind.unwrap_or_default(),
                Chain(&error)
            )));
        }
    };
    if let Some((begin, said)) = start
        && let Some(why) = begin.misplaced(said, &opened, &head)
    {
        return Ok(Err(why.to_string()));
    }
    let missing = receipts
        .iter()
        .find(|receipt| receipt.sequence > head.sequence);
    if let Some(Receipt { sequence, .. }) = missing {
        return Ok(Err(format!(
            "it ends at record {}, but a receipt names record {sequence}: records were cut off, or an older copy was put in \
             its place",
            head.sequence
        )));
    }
    if let Some(Receipt { sequence, .. }) = other {
        return Ok(Err(format!(
            "record {sequence} is not the one that a receipt names: it, or one before it, was written anew with all hashes"
        )));
    }
    let mut ends = compared.into_iter();
    let mismatch =
        mismatch.or_else(|| ends.find_map(|(what, with)| Some((what, with.end(&head).err()?))));
    if let Some((what, why)) = mismatch {
        return Ok(Err(format!("against the {what}: {why}")));
    }
    let Some(torn) = opened.torn else {
        return Ok(Ok(head));
    };
    let broken_off = format!(
        "behind record {} lie {} bytes, from position {} on, that are no record: what a crash interrupted, or what was \
         done to it. A start of the service takes the former away and refuses what it can tell from it",
        head.sequence, torn.bytes, torn.position
    );
    if witnesses.is_empty() {
        return Ok(Err(broken_off));
    }
    // Everything that was signed is there.
    say!("{name:<9} {broken_off}");
    Ok(Ok(head))
}

/// A line about how far it is, where somebody watches.
pub fn bar(name: &str, end: Position) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{msg} {bytes} of {total_bytes} {bytes_per_sec}, {eta} left");
    ProgressBar::new(end.0)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(name.to_owned())
}
