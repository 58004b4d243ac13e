//! Imports that wait for approval: a source that suddenly shows little or nothing has more likely
//! failed than repaired everybody, of a file that ends in the middle of a row nobody knows what came behind, and an
//! older whole list would bring back what its source has changed since.
//!
//! The rows wait in `<data_dir>/held/`, sealed where the registry seals, and their digest in the change log, a keyed one
//! then. They belong to this machine:
//! where another one has taken over, the source sends them again.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use creditgate_measures::entry::Entry;
use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::{ImportDecided, ImportHeld, desk_record::What};
use creditgate_proto::v1;
use creditgate_runtime::callers::LOCAL;
use prost::Message;
use sha2::{Digest, Sha256};

use super::{Header, Job};
use crate::desk::{Hold, WhyHeld};
use crate::error::ChangeError;
use crate::files::is_cut_off;
use crate::keeper::{Keeper, View};
use crate::log::What as Stated;
use crate::sealed_file::{self, Kind, SealedReader, SealedWriter};
use crate::sealing::Sealing;

/// What an import would end.
pub(super) struct Shrinks {
    pub in_force: u64,
    pub removed: u64,
    /// Its file ends in the middle of a row.
    pub cut_off: bool,
    /// Its file ends behind a row that reads as a whole one, without a line end.
    pub unended: bool,
    /// As of when the import tells, and what its source has confirmed of the list, where that is later.
    pub older: Option<(Time, Time)>,
}

impl Shrinks {
    /// Why the import waits; none: it does not.
    pub fn held(&self, rows: u64, percent: u8) -> Option<WhyHeld> {
        if self.cut_off || (self.unended && self.removed > 0) {
            return Some(WhyHeld::CutOff);
        }
        if self.older.is_some() {
            return Some(WhyHeld::Older);
        }
        if rows == 0 {
            return Some(WhyHeld::Empty);
        }
        let limit = u128::from(self.in_force) * u128::from(percent);
        (u128::from(self.removed) * 100 > limit).then_some(WhyHeld::RemovesMany)
    }

    /// The same in words.
    pub fn told(&self, why: WhyHeld) -> String {
        match why {
            WhyHeld::Older => {
                let (this, known) = self.older.map_or_else(Default::default, |(this, known)| {
                    (format!(" ({this})"), format!(", of {known}"))
                });
                format!(
                    "it is an older file{this} than the one known{known}; it would bring back what has changed since, and end {} of {} entries that this source has in force on the list",
                    self.removed, self.in_force
                )
            }
            WhyHeld::Empty => format!(
                "it has no rows and would end all {} entries of this source on the list",
                self.in_force
            ),
            WhyHeld::RemovesMany => format!(
                "it would end {} of {} entries that this source has in force on the list",
                self.removed, self.in_force
            ),
            WhyHeld::CutOff if !self.cut_off => format!(
                "its last row has no line end, so its file may end in the middle of it; the row itself may be sound, but if the file is cut off there, what came behind is missing; it would end {} of {} entries that this source has in force on the list",
                self.removed, self.in_force
            ),
            WhyHeld::CutOff => format!(
                "its file ends in the middle of a row, so what came behind it is missing; without it, it would end {} of {} entries that this source has in force on the list",
                self.removed, self.in_force
            ),
        }
    }
}

impl Keeper {
    /// Puts the rows of an import aside until somebody approves it. Gives the id of the hold.
    pub(super) fn hold(
        &mut self,
        job: &Job,
        why: WhyHeld,
        shrinks: &Shrinks,
    ) -> Result<String, ChangeError> {
        let now = self.now();
        // Ids in the order of arrival, and never twice.
        let id = format!(
            "hold-{}-{}",
            now.micros() / 1_000,
            self.lists.version().seq + 1
        );
        let (digest, rows) =
            write_rows(&self.held_dir(), &id, job, &self.sealing).map_err(ChangeError::Spool)?;
        let header = &job.header;
        let what = What::ImportHeld(ImportHeld {
            hold_id: id.clone(),
            source_unit: header.source_unit.clone(),
            list: header
                .list
                .as_ref()
                .map_or_else(String::new, |list| list.as_str().to_owned()),
            why: why.code().to_owned(),
            in_force: shrinks.in_force,
            removed: shrinks.removed,
            rows,
            rows_digest: digest.to_vec(),
            header: header.asked.encode_to_vec(),
        });
        let caller = &job.caller;
        let planned = vec![self.view(now, caller).noted(what, &shrinks.told(why))];
        self.commit(planned, caller, now)?;
        tracing::warn!(
            hold = %id,
            why = why.code(),
            removed = shrinks.removed,
            in_force = shrinks.in_force,
            "an import waits for approval"
        );
        Ok(id)
    }

    /// Decides about an import that waits. An approved one is taken first and marked afterwards: cut
    /// off in between it still waits, and the next file of its source completes it.
    pub(crate) fn decide_hold(
        &mut self,
        decision: &v1::DecideHoldRequest,
        caller: &str,
    ) -> Result<v1::DecideHoldResponse, ChangeError> {
        self.source.may_change()?;
        let hold = self.decidable(decision, caller)?;
        let summary = match decision.approve {
            false => None,
            true => Some(self.take_held(&hold)?),
        };
        if let Some(refused) = summary.as_ref().filter(|taken| taken.refused_count > 0) {
            let first = refused
                .refused
                .first()
                .map_or("", |row| row.reason.as_str());
            let why = format!(
                "{} of its rows cannot be taken any more, and none was; reject it, and let the source send it again (the first: {first})",
                refused.refused_count
            );
            return Err(ChangeError::not_possible("hold_outdated", why));
        }
        let what = What::ImportDecided(ImportDecided {
            hold_id: hold.id.clone(),
            approved: decision.approve,
        });
        let now = self.now();
        let planned = vec![self.view(now, caller).noted(what, &decision.reason)];
        self.commit(planned, caller, now)?;
        let path = rows_path(&self.held_dir(), &hold.id);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "rows of a decided import stay");
        }
        Ok(v1::DecideHoldResponse {
            summary,
            list_version: self.lists.version().to_string(),
        })
    }

    fn decidable(
        &self,
        decision: &v1::DecideHoldRequest,
        caller: &str,
    ) -> Result<Hold, ChangeError> {
        let view = self.view(self.now(), caller);
        let hold = view
            .desk
            .holds
            .get(&decision.hold_id)
            .ok_or(ChangeError::Unknown("import that waits"))?;
        if let Some(decided) = &hold.decided {
            let what = if decided.approved {
                "approved"
            } else {
                "rejected"
            };
            let why = format!("it was {what} already, by {}", decided.by);
            return Err(ChangeError::not_possible("hold_decided", why));
        }
        if decision.approve {
            approvable(hold, &view)?;
            if self.source_went_on(hold)? {
                return Err(outdated());
            }
        }
        Ok(hold.clone())
    }

    /// Whether rows of its source were taken on its list since it was held.
    fn source_went_on(&self, hold: &Hold) -> Result<bool, ChangeError> {
        for entered in self.log.read_from_seq(hold.held.seq + 1) {
            let entered = entered.map_err(|_| {
                ChangeError::not_possible("change_log", "the change log cannot be read")
            })?;
            if let Stated::Put(put) = &entered.what
                && put.by_source
                && let Ok(entry) = Entry::from_stored(&put.stored)
                && entry.list.as_str() == hold.list
                && entry.source_unit.as_deref() == Some(hold.source_unit.as_str())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the rows that waited, as their import asked.
    fn take_held(&mut self, hold: &Hold) -> Result<v1::ImportSummary, ChangeError> {
        let header = v1::ImportHeader::decode(hold.header.as_slice()).map_err(|_| {
            ChangeError::not_possible(
                "hold_not_readable",
                "its header cannot be read; reject it, and let the source send it again".to_owned(),
            )
        })?;
        let mut header = Header::read(header, &self.book, self.now())?;
        // It tells of the day on which it came, whenever it is approved; a clock that ran ahead when it came, and was
        // set back, tells nothing later than now.
        let came = hold.held.at.min(self.now());
        header.confirmed_at = header.confirmed_at.or(Some(came));
        let caller = hold.caller.as_str().into();
        let mut job = Job::new(header, caller, &self.lists_dir, &self.sealing);
        job.approved = true;
        let path = rows_path(&self.held_dir(), &hold.id);
        read_rows(&path, &hold.rows_digest, &mut job, &self.sealing)?;
        self.import(job)
    }

    fn held_dir(&self) -> PathBuf {
        self.lists_dir.with_file_name("held")
    }
}

/// Whether an import that waits may still be taken, and by whom.
fn approvable(hold: &Hold, view: &View<'_>) -> Result<(), ChangeError> {
    if view.caller == hold.caller && view.caller != LOCAL {
        return Err(ChangeError::not_possible(
            "four_eyes",
            "whoever sent an import does not approve it; let somebody else do so".to_owned(),
        ));
    }
    let newer_waits = view.desk.holds.waiting().any(|other| {
        other.id != hold.id
            && other.held.seq > hold.held.seq
            && other.list == hold.list
            && other.source_unit == hold.source_unit
    });
    let newer_taken = view
        .desk
        .sources
        .of_list(&hold.list)
        .any(|(source, age)| source == hold.source_unit && age.recorded.seq > hold.held.seq);
    if newer_waits || newer_taken {
        return Err(outdated());
    }
    Ok(())
}

fn outdated() -> ChangeError {
    let why = "a later import of this source came since; reject this one";
    ChangeError::not_possible("hold_outdated", why)
}

fn rows_path(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.rows"))
}

/// Writes the rows of an import durably, without those in the middle of which a file ends; gives their digest and how
/// many they are.
fn write_rows(dir: &Path, id: &str, job: &Job, sealing: &Sealing) -> io::Result<([u8; 32], u64)> {
    fs::create_dir_all(dir)?;
    let path = rows_path(dir, id);
    let unfinished = path.with_extension("new");
    let file = io::BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
    let mut out = match sealing.sealer() {
        None => Out::Clear(file),
        Some(sealer) => Out::Sealed(SealedWriter::new(file, sealer, Kind::Held)?),
    };
    let mut hash = Sha256::new();
    let mut buffer = Vec::new();
    let mut rows = 0;
    for row in job.rows.read()? {
        let row = row?;
        if is_cut_off(&row.unreadable) {
            continue;
        }
        rows += 1;
        buffer.clear();
        row.encode_length_delimited(&mut buffer)
            .map_err(io::Error::other)?;
        hash.update(&buffer);
        out.write_all(&buffer)?;
    }
    out.end()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(&unfinished, &path)?;
    File::open(dir)?.sync_all()?;
    Ok((sealing.keyed(hash.finalize().into()), rows))
}

/// The file of an import that waits, while it is written.
enum Out {
    Clear(io::BufWriter<File>),
    Sealed(SealedWriter<io::BufWriter<File>>),
}

impl Out {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(out) => out.write_all(bytes),
            Self::Sealed(out) => out.write_all(bytes),
        }
    }

    fn end(self) -> io::Result<io::BufWriter<File>> {
        match self {
            Self::Clear(out) => Ok(out),
            Self::Sealed(out) => out.end(&[]),
        }
    }
}

/// Rows that are there and do not open: they stay.
fn unopened(error: &dyn std::fmt::Display) -> ChangeError {
    ChangeError::not_possible(
        "hold_sealed",
        format!(
            "its rows are sealed and do not open ({error}): start the service with the keyring that has their key and decide again; or reject it, and let the source send it again"
        ),
    )
}

/// Reads the rows back, which must be the very ones that were put aside.
fn read_rows(
    path: &Path,
    digest: &[u8],
    job: &mut Job,
    sealing: &Sealing,
) -> Result<(), ChangeError> {
    let gone = |error: &dyn std::fmt::Display| {
        ChangeError::not_possible(
            "hold_not_readable",
            format!(
                "its rows are not on this machine any more ({error}); reject it, and let the source send it again"
            ),
        )
    };
    let mut file = File::open(path).map_err(|e| gone(&e))?;
    let head = sealed_file::head_of(&file).map_err(|e| gone(&e))?;
    file.rewind().map_err(|e| gone(&e))?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut bytes = Vec::new();
    let is_sealed = sealed_file::is_sealed(&head);
    match is_sealed.then(|| sealing.sealer()) {
        None => file.read_to_end(&mut bytes).map_err(|e| gone(&e))?,
        Some(None) => return Err(unopened(&"no keyring is configured")),
        Some(Some(sealer)) => SealedReader::new(file, sealer, Kind::Held)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|e| unopened(&e))?,
    };
    // Rows that were put aside in clear have a digest without a key.
    let plain: [u8; 32] = Sha256::digest(&bytes).into();
    let of_rows = match is_sealed {
        true => sealing.keyed(plain),
        false => plain,
    };
    if of_rows.as_slice() != digest {
        return Err(gone(&"the file is another one than was put aside"));
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let row = v1::ImportRow::decode_length_delimited(&mut rest).map_err(|e| gone(&e))?;
        job.push(row)?;
    }
    Ok(())
}
