//! Proves a package by nothing but itself and a public key.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use creditgate_runtime::hex::hex;
use creditgate_runtime::signing::PublicKeys;
use sha2::{Digest, Sha256};

use super::parts::{Fault, Parts};
use super::{ABOUT, CHECK_POINT, Files, NAMES, SUMS, derived};
use crate::failure::Failure;

/// What is wrong, by file.
type Faults = BTreeMap<String, Vec<String>>;

/// Tells of each file whether it holds, and what that proves.
pub fn check(files: &Files, keys: &PublicKeys) -> Result<ExitCode, Failure> {
    let mut faults = Faults::new();
    let mut wrong = |file: &str, why: String| {
        faults.entry(file.to_owned()).or_default().push(why);
    };
    names(files, &mut wrong);
    digests(files, &mut wrong);
    let parts = match Parts::read(files) {
        Ok(parts) => Some(parts),
        Err(Fault { file, why }) => {
            wrong(file, why);
            None
        }
    };
    if let Some(parts) = &parts {
        follows(files, parts, &mut wrong)?;
        signed(parts, keys, &mut wrong);
    }
    let ours = files.keys().filter(|name| NAMES.contains(&name.as_str()));
    for file in ours.chain(faults.keys()).collect::<BTreeSet<_>>() {
        match faults.get(file) {
            Some(why) => say!("{file:<16} BROKEN: {}", shown(&why.join("; "))),
            None => say!("{file:<16} {}", unless_read(file, parts.is_some())),
        }
    }
    match parts {
        Some(parts) if faults.is_empty() => {
            prove(&parts, keys);
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            say!("this package proves nothing: some of it is BROKEN");
            Ok(ExitCode::from(1))
        }
    }
}

/// What is said of a file of which nothing is wrong.
fn unless_read(file: &str, read: bool) -> &'static str {
    match read || file == SUMS {
        true => "holds",
        false => "is the one that was listed; what it says was not looked at",
    }
}

/// Only files of ours, and no manifest missing.
fn names(files: &Files, wrong: &mut impl FnMut(&str, String)) {
    for name in files.keys() {
        if !NAMES.contains(&name.as_str()) {
            wrong(&shown(name), "it belongs to no package".to_owned());
        }
    }
    if !files.contains_key(SUMS) {
        wrong(SUMS, "it is missing".to_owned());
    }
}

/// Each file is the one that the manifest lists.
fn digests(files: &Files, wrong: &mut impl FnMut(&str, String)) {
    let Some(sums) = files.get(SUMS) else {
        return;
    };
    let mut listed = BTreeMap::new();
    for line in String::from_utf8_lossy(sums).lines() {
        match line.split_once("  ") {
            Some((digest, name)) if NAMES.contains(&name) && name != SUMS => {
                listed.insert(name.to_owned(), digest.to_owned());
            }
            _ => wrong(
                SUMS,
                "it has a line that names no file of a package".to_owned(),
            ),
        }
    }
    for (name, bytes) in files.iter().filter(|(name, _)| name.as_str() != SUMS) {
        match listed.remove(name) {
            Some(digest) if digest == hex(&Sha256::digest(bytes)) => {}
            Some(_) => wrong(&shown(name), format!("it is not the one that {SUMS} lists")),
            None => wrong(&shown(name), format!("{SUMS} does not list it")),
        }
    }
    for name in listed.keys() {
        wrong(name, "it is missing".to_owned());
    }
}

/// Each file that follows from the raw ones is what follows from them.
fn follows(
    files: &Files,
    parts: &Parts,
    wrong: &mut impl FnMut(&str, String),
) -> Result<(), Failure> {
    for (name, due) in derived::derived(parts)? {
        match files.get(&name) {
            None => wrong(&name, "it is missing".to_owned()),
            Some(found) if *found == due => {}
            Some(_) => wrong(
                &name,
                format!(
                    "it is not what the records say; or another version made it ({ABOUT} says {})",
                    shown(&parts.about.made_by)
                ),
            ),
        }
    }
    Ok(())
}

/// The check point is signed by one of the keys, where any is named.
fn signed(parts: &Parts, keys: &PublicKeys, wrong: &mut impl FnMut(&str, String)) {
    if keys.is_empty() {
        return;
    }
    match &parts.proof {
        Some(proof) => {
            if let Err(why) = proof.point.verify(keys) {
                wrong(CHECK_POINT, format!("it {why}"));
            }
        }
        None => wrong(
            CHECK_POINT,
            "there is none, so no key shows that the verdict was recorded; hold the receipt against the journal \
             (`creditgate journal verify --receipt`), or have the package made again"
                .to_owned(),
        ),
    }
}

fn prove(parts: &Parts, keys: &PublicKeys) {
    let (verdict, about) = (&parts.verdict, &parts.about);
    say!(
        "verdict {} {} {}/{}, digest {}",
        shown(&verdict.verdict_id),
        shown(&verdict.outcome),
        shown(&verdict.scenario),
        shown(&verdict.stage),
        shown(&verdict.verdict_digest)
    );
    let rows = "what is shown is what the record of the verdict says, its rows are those of the book that it names, and its \
                entries have their numbers";
    let unsaid = "that the entries stood in the change log so (`creditgate journal verify` there), that no other answer to this \
                  event came before, and what came later";
    match &parts.proof {
        Some(proof) if !keys.is_empty() => say!(
            "proven: record {} is the one that check point {} of {} covers, signed with key {}, {} records further; {rows}. \
             Not proven: {unsaid}; that this check point is the service's last word: hold it against an anchor",
            parts.record.sequence,
            proof.point.number,
            proof.point.at,
            proof.point.key_id,
            proof.between
        ),
        Some(proof) => say!(
            "proven: record {} leads to the one that check point {} of {} names; {rows}. Not proven: who signed that check \
             point: name the public key of the service (`--key`); {unsaid}",
            parts.record.sequence,
            proof.point.number,
            proof.point.at
        ),
        None => say!(
            "proven: {rows}. Not proven: that record {} was ever recorded, there being no check point ({}): hold the receipt \
             against the journal (`creditgate journal verify --receipt {}`); {unsaid}",
            parts.record.sequence,
            about.uncovered.map_or("", |uncovered| uncovered.told()),
            parts.record.receipt()
        ),
    }
    let superseded = match &about.superseded_by {
        Some(by) => format!("verdict {} took its place", shown(by)),
        None => "no other verdict had taken its place".to_owned(),
    };
    let again = match about.decided_again.is_same() {
        true => "the same",
        false => "ANOTHER verdict",
    };
    say!(
        "said by whoever made it, at {}: decided again it gave {again}; up to record {} {superseded}",
        shown(&about.made_at),
        about.verdicts_up_to
    );
}

/// A text of the package that may be anything, on a terminal.
fn shown(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\'' | '"' | '\\' => character.to_string(),
            character => character.escape_debug().to_string(),
        })
        .collect()
}
