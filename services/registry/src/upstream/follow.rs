//! A thread reads the topic and hands what comes to the loop that owns the lists. One that leads
//! reads too: records that it did not write tell that another has taken over.

use std::time::{Duration, Instant};

use creditgate_runtime::kafka::{self, Incoming, Read, Reader};
use creditgate_runtime::metrics::ListsRole;
use tokio::sync::mpsc;

use super::place::Copy;
use super::record::PARTITION;
use super::stand::{Feed, Term};
use super::{Found, News};
use crate::keeper::Command;

/// Records handed over at once.
const BATCH_RECORDS: usize = 1_000;
/// Bytes handed over at once, about.
const BATCH_BYTES: usize = 1 << 20;
/// How long the thread waits for a record.
const WAIT: Duration = Duration::from_millis(200);
/// How often an idle thread asks whether the cluster is there at all.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long the cluster may take to say so.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// One that takes what comes.
#[derive(Debug)]
pub(crate) struct Follower {
    pub copy: Copy,
    pub feed: Feed,
    pub following: Following,
    /// Readiness tells of a trouble that ends when records are taken again.
    pub troubled: bool,
    /// It has led before: what it published then was true, or it must not serve.
    pub has_led: bool,
}

/// Whether records are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Following {
    /// They are.
    Yes,
    /// Not now; it is tried again.
    Paused,
    /// No more: a person has to look.
    Stopped,
    /// No more, and what is published may be wrong: the process ends.
    Doubtful,
}

/// What was read in one go.
#[derive(Debug)]
pub(super) struct Batch {
    pub records: Vec<Incoming>,
    /// The topic ended after them.
    pub at_end: bool,
}

impl Follower {
    pub const fn new(copy: Copy, feed: Feed) -> Self {
        Self {
            copy,
            feed,
            following: Following::Yes,
            troubled: false,
            has_led: false,
        }
    }

    /// What this process is to the lists.
    pub const fn role(&self) -> ListsRole {
        match self.feed.stand {
            Some(_) => ListsRole::StandsBy,
            None => ListsRole::Follows,
        }
    }
}

/// Begins to read on where `reader` is, for a loop that may end at any time and as long as the term
/// lasts.
pub(crate) fn start(
    reader: Reader,
    term: Term,
    keeper: mpsc::WeakSender<Command>,
) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name("lists-follow".to_owned())
        .spawn(move || run(&reader, &term, &keeper))?;
    Ok(())
}

/// Reads what is there; only for the first record it waits.
pub(super) fn read_batch(reader: &Reader, wait: Duration) -> Result<Batch, kafka::Error> {
    let mut records = Vec::new();
    let mut bytes = 0;
    while records.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
        let wait = if records.is_empty() {
            wait
        } else {
            Duration::ZERO
        };
        match reader.next(wait)? {
            Read::Record(record) => {
                bytes += record.weight();
                records.push(record);
            }
            Read::End(_) => {
                return Ok(Batch {
                    records,
                    at_end: true,
                });
            }
            Read::Nothing => break,
        }
    }
    Ok(Batch {
        records,
        at_end: false,
    })
}

/// Ends when the loop has ended, or the term.
fn run(reader: &Reader, term: &Term, keeper: &mpsc::WeakSender<Command>) {
    let tell = |found| {
        let command = Command::Upstream(News::Read(term.number, found));
        let keeper = keeper.upgrade().filter(|_| !term.is_over());
        keeper.is_some_and(|keeper| keeper.blocking_send(command).is_ok())
    };
    let mut at_end = true;
    let mut told = Instant::now();
    loop {
        let batch = match read_batch(reader, WAIT) {
            Ok(batch) => batch,
            Err(error) => {
                tell(Found::Lost(error));
                return;
            }
        };
        let idle = batch.records.is_empty() && !batch.at_end;
        if !batch.records.is_empty() {
            at_end = batch.at_end;
            if !tell(Found::Arrived(batch.records)) {
                return;
            }
        }
        at_end |= batch.at_end;
        // Silence of a cluster that answers is the end of the topic; of one that does not, nothing.
        let due = batch.at_end || (idle && told.elapsed() >= ASK_EVERY);
        if due && at_end && (batch.at_end || reader.is_answered(PARTITION, ANSWER_WITHIN)) {
            told = Instant::now();
            if !tell(Found::Complete) {
                return;
            }
        } else if keeper.strong_count() == 0 || term.is_over() {
            return;
        }
    }
}
