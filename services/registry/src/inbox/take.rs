//! One file of the watched folder becomes one import.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::SystemTime;

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use creditgate_runtime::errors::Chain;
use serde_json::json;

use super::Inbox;
use super::folder::Place;
use super::source::Source;
use crate::error::ChangeError;
use crate::files::report::Places;
use crate::files::{self, Row};

/// What became of a file.
pub enum Taken {
    /// It is settled.
    Done(Box<Done>),
    /// It ends too soon; what becomes of it unless more of it arrives.
    CutOff(Box<Done>),
    /// It is not, for no fault of the file; why.
    Later(String),
    /// What the folder says of its source is refused; the files can wait.
    SourceRefused(String),
}

/// A file that is settled.
pub struct Done {
    /// Where it goes.
    pub place: Place,
    /// Its name.
    pub file: String,
    /// What was asked.
    pub header: v1::ImportHeader,
    /// Where its rows stood.
    pub places: Places,
    /// What was noted while it was read.
    pub notes: Vec<String>,
    /// What became of its rows; none: it could not be read.
    pub summary: Option<v1::ImportSummary>,
    /// Why nothing of it was taken.
    pub error: Option<String>,
}

impl Done {
    /// The summary as it is written beside the file; the refused rows stand in the report.
    pub fn told(&self) -> serde_json::Value {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let at = Time::from_millis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        let summary = self.summary.as_ref().map(|summary| v1::ImportSummary {
            refused: Vec::new(),
            ..summary.clone()
        });
        json!({
            "file": self.file,
            "at": at.to_string(),
            "outcome": self.place.name(),
            "error": self.error,
            "source_unit": self.header.source_unit,
            "list": self.header.list,
            "mode": self.header.mode,
            "notes": self.notes,
            "summary": summary,
        })
    }
}

/// Imports a file.
pub(super) fn take(inbox: &Inbox, path: &Path, source: &Source) -> Taken {
    // What a file can do at worst is to lie there refused: it must not end the service.
    catch_unwind(AssertUnwindSafe(|| import(inbox, path, source))).unwrap_or_else(|_| {
        Taken::Done(Box::new(unread(
            path,
            source,
            "reading it failed; send it in another form".to_owned(),
        )))
    })
}

/// As of when a file tells: when it was last changed, where that was earlier than now.
pub(super) fn stated_at(path: &Path) -> Option<Time> {
    let changed = path.metadata().and_then(|about| about.modified()).ok()?;
    if changed >= SystemTime::now() {
        return None;
    }
    let since = changed.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let micros = i64::try_from(since.as_micros()).ok()?;
    Some(Time::from_micros(micros))
}

fn import(inbox: &Inbox, path: &Path, source: &Source) -> Taken {
    let header = v1::ImportHeader {
        confirmed_at: stated_at(path).map(time_to_proto),
        ..source.header()
    };
    let mut import = match inbox.registry.begin_import(header, &inbox.caller) {
        Ok(import) => import,
        Err(why) if why.is_refusal() => return Taken::SourceRefused(why.to_string()),
        Err(why) => return Taken::Later(Chain(&why).to_string()),
    };
    let mut places = Places::default();
    let mut stopped = None;
    let options = source.options();
    let mut on_row = |row: Row| {
        places.note(&row);
        if let Err(why) = import.push(files::import_row(row, &options.progress)) {
            stopped = Some(Chain(&why).to_string());
        } else if inbox.shutdown.requested() {
            stopped = Some("the service is stopping".to_owned());
        }
        if stopped.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let mut notes = Vec::new();
    let mut on_note = |file: &str, note: files::Note| notes.push(format!("{file}: {note}"));
    let read = files::read(&[path.to_owned()], &options, &mut on_row, &mut on_note);
    if let Some(why) = stopped {
        return Taken::Later(why);
    }
    if let Err(failed) = read {
        let why = Chain(&failed.error).to_string();
        return match failed.error {
            files::Error::CutOff(_) => Taken::CutOff(Box::new(unread(path, source, why))),
            error if error.is_of_the_file() => Taken::Done(Box::new(unread(path, source, why))),
            _ => Taken::Later(why),
        };
    }
    let summary = match inbox.handle.block_on(import.finish()) {
        Ok(summary) => summary,
        Err(why) if why.is_refusal() => {
            return Taken::Done(Box::new(unread(path, source, told(&why))));
        }
        Err(why) => return Taken::Later(Chain(&why).to_string()),
    };
    let (place, error) = if !summary.hold_id.is_empty() {
        (Place::Held, None)
    } else if summary.refused_count > 0 && source.header().on_error != "skip" {
        let why = format!(
            "{} of {} rows are refused, so none was taken; mend them, or let the source skip them (`on_error: skip`)",
            summary.refused_count, summary.received
        );
        (Place::Refused, Some(why))
    } else {
        (Place::Done, None)
    };
    Taken::Done(Box::new(Done {
        place,
        file: name(path),
        header: source.header(),
        places,
        notes,
        summary: Some(summary),
        error,
    }))
}

fn told(why: &ChangeError) -> String {
    Chain(why).to_string()
}

fn unread(path: &Path, source: &Source, why: String) -> Done {
    Done {
        place: Place::Refused,
        file: name(path),
        header: source.header(),
        places: Places::default(),
        notes: Vec::new(),
        summary: None,
        error: Some(why),
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
