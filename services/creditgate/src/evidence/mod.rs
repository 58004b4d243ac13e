//! `creditgate journal evidence`: what proves one verdict, in a directory for the file of its matter.
//!
//! Some files of a package are raw: records as they lie in the journals, a signed check point, and where the journals are
//! sealed the [`keys`] of the records that are shown. What they say is read by [`parts`], and all other files follow from that by [`derived`]. So a package is made and proven on one way: whoever proves
//! it makes those files again and compares.

mod about;
mod check;
mod collect;
mod derived;
mod html;
mod keys;
mod page;
mod parts;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use creditgate_proto::verdict_id_from_text;
use creditgate_runtime::hex::hex;
use creditgate_runtime::signing::PublicKeys;
use sha2::{Digest, Sha256};

use self::collect::Collected;
use self::parts::Parts;
use crate::cli::{EvidenceArgs, VerifyEvidenceArgs};
use crate::failure::Failure;

/// The verdict's record.
const RECORD: &str = "record.bin";
/// The records behind it, up to the check point.
const CHAIN: &str = "chain.bin";
/// The check point.
const CHECK_POINT: &str = "check-point.json";
/// The records of the entries that were used.
const ENTRY_RECORDS: &str = "entries.bin";
/// The record of the book.
const BOOK: &str = "book.bin";
/// The keys of those records that are shown, where they are sealed.
const RECORD_KEYS: &str = "record-keys.json";
/// How the package was made.
const ABOUT: &str = "package.json";
/// The verdict.
const VERDICT: &str = "verdict.json";
/// The event as judged.
const EVENT: &str = "event.json";
/// The entries that were used.
const ENTRIES: &str = "entries.json";
/// The rows that were used, and the lists that their entries stand on.
const MEASURES: &str = "measures.json";
/// The receipt.
const RECEIPT: &str = "receipt.txt";
/// What people read.
const PAGE: &str = "evidence.html";
/// The digests of all others.
const SUMS: &str = "SHA256SUMS";

/// Every name that a package may hold.
const NAMES: [&str; 14] = [
    RECORD,
    CHAIN,
    CHECK_POINT,
    ENTRY_RECORDS,
    BOOK,
    RECORD_KEYS,
    ABOUT,
    VERDICT,
    EVENT,
    ENTRIES,
    MEASURES,
    RECEIPT,
    PAGE,
    SUMS,
];

/// Files of a package, by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Writes a package.
pub fn make(args: &EvidenceArgs) -> Result<ExitCode, Failure> {
    let verdict = verdict_id_from_text(&args.verdict_id).ok_or_else(|| {
        Failure::plain(format!(
            "`{}` is no id of a verdict: an answer bears it as `verdict_id`",
            args.verdict_id
        ))
    })?;
    write::free(&args.out)?;
    let keys = load(&args.keys)?;
    let Collected { mut files, about } = collect::collect(args, verdict, &keys)?;
    files.insert(ABOUT.to_owned(), about.to_json()?);
    // What is handed on is what holds.
    let parts = Parts::read(&files)
        .map_err(|fault| Failure::new(format!("read `{}` again", fault.file), fault))?;
    files.extend(derived::derived(&parts)?);
    let sums = sums(&files);
    files.insert(SUMS.to_owned(), sums.into_bytes());
    write::write(&args.out, &files)?;
    tell(args, &parts, &keys);
    Ok(ExitCode::SUCCESS)
}

/// Proves a package.
pub fn verify(args: &VerifyEvidenceArgs) -> Result<ExitCode, Failure> {
    let keys = load(&args.keys)?;
    let files = write::read(&args.dir)?;
    check::check(&files, &keys)
}

fn load(keys: &[PathBuf]) -> Result<PublicKeys, Failure> {
    PublicKeys::load(keys).map_err(|error| Failure::new("read the keys of check points", error))
}

/// The digests of all files but this one, as `sha256sum` writes and checks them.
fn sums(files: &Files) -> String {
    let others = files.iter().filter(|(name, _)| name.as_str() != SUMS);
    others
        .map(|(name, bytes)| format!("{}  {name}\n", hex(&Sha256::digest(bytes))))
        .collect()
}

fn tell(args: &EvidenceArgs, parts: &Parts, keys: &PublicKeys) {
    let verdict = &parts.verdict;
    say!(
        "verdict      {} {} {}/{}",
        verdict.verdict_id,
        verdict.outcome,
        verdict.scenario,
        verdict.stage
    );
    say!("digest       {}", verdict.verdict_digest);
    match parts.about.decided_again.is_same() {
        true => say!("decided now  the same"),
        false => {
            say!("decided now  DIFFERENT");
            note!(
                "warning: what was known then, decided again by this version, gives another verdict than the one that stands \
                 in the journal; the package says so. Ask why before it is handed on (`creditgate replay`)"
            );
        }
    }
    if let Some(by) = &parts.about.superseded_by {
        say!("superseded   by {by}");
    }
    say!("receipt      {}", parts.record.receipt());
    match &parts.proof {
        Some(proof) => {
            let signed = match keys.is_empty() {
                true => "its signature was not looked at (`--key`)",
                false => "its signature holds",
            };
            say!(
                "check point  number {} of {}, key {}: {signed}; {} records in between",
                proof.point.number,
                proof.point.at,
                proof.point.key_id,
                proof.between
            );
        }
        None => say!(
            "check point  NONE: {}",
            parts
                .about
                .uncovered
                .map_or("", |uncovered| uncovered.told())
        ),
    }
    say!("package      {}", args.out.display());
    if args.unmasked {
        note!(
            "warning: `{PAGE}` shows identifiers and names of persons in full (`--unmasked`): hand it only to those who may \
             know them"
        );
    }
    let others = match parts.proof.as_ref().map_or(0, |proof| proof.between) {
        0 => String::new(),
        between => format!(", and `{CHAIN}` {between} further records, of other matters"),
    };
    note!(
        "note: the other files hold identifiers and names in full{others}: without them nothing is proven. They are for those \
         who may read the journal"
    );
}
