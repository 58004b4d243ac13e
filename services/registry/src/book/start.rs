//! Which book is in force when a process starts.
//!
//! A book that was published stays, whatever the process is started with; before one was, the book
//! that the process is given is in force, and the last good one when that is refused.

use std::sync::Arc;

use creditgate_measures::book::{Book, BookVersion, Deployment};
use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::BookRecord;
use creditgate_runtime::health::State;
use creditgate_runtime::journal::Position;

use super::confirmed::{self, Confirmation};
use super::error::Refusal;
use super::force::{distrusted, load_with, shown, with_confirmed};
use super::pack::signature_of;
use crate::error::Error;
use crate::log::{self, BookOrigin, ChangeLog, NewBook};
use crate::registry::Options;
use crate::upstream::{self, Source};

/// The book of a start.
pub(crate) struct Chosen {
    pub book: Arc<Book>,
    /// How it stands with it.
    pub well: State,
    /// Why the book that was given is not in force.
    pub refused: Option<Refusal>,
}

impl Chosen {
    fn well(book: Book) -> Self {
        Self {
            book: Arc::new(book),
            well: State::Ready,
            refused: None,
        }
    }

    fn instead(book: Book, refused: Refusal) -> Self {
        Self {
            book: Arc::new(book),
            well: State::ReadyBut(shown(&refused)),
            refused: Some(refused),
        }
    }
}

/// The book of this start, recorded when it is new. The books of the log come in their order.
pub(crate) fn choose(
    options: &Options,
    log: &ChangeLog,
    source: &mut Source,
    recorded: &[(BookVersion, Position)],
) -> Result<Chosen, Error> {
    if let Source::Follows(_) = source {
        return followed(options, log, recorded);
    }
    let last = match recorded.last() {
        Some((version, at)) => Some((*version, log.book_at(*at)?)),
        None => None,
    };
    if let Some((version, record)) = &last
        && record.stays
        && let Some(kept) = published(options, log, source, *version, record)?
    {
        return Ok(kept);
    }
    given(options, log, source, last)
}

/// One that follows has the book that was recorded last. While it does not trust that one, it has
/// the last that it trusts, and is not ready.
fn followed(
    options: &Options,
    log: &ChangeLog,
    recorded: &[(BookVersion, Position)],
) -> Result<Chosen, Error> {
    let mut distrust = None;
    for (version, at) in recorded.iter().rev() {
        let record = log.book_at(*at)?;
        if let Err(why) = options.trusted_keys.verify_record(&record) {
            distrust.get_or_insert((*version, why));
            continue;
        }
        let book = upstream::book_of(*version, record).map_err(upstream::Error::from)?;
        let mut chosen = Chosen::well(book);
        if let Some((version, why)) = &distrust {
            options.metrics.book_refused();
            let told = distrusted(*version, why);
            tracing::error!(kept = %chosen.book.version(), "{told}");
            chosen.well = State::NotReady(told);
        }
        return Ok(chosen);
    }
    Err(distrust.map_or(Error::NoBook, |(_, why)| Error::Untrusted(why)))
}

/// The book that was published last, with what the deployment says of it today; none when it is not
/// trusted any more and the one given is.
fn published(
    options: &Options,
    log: &ChangeLog,
    source: &mut Source,
    version: BookVersion,
    record: &BookRecord,
) -> Result<Option<Chosen>, Error> {
    let content_hash = Book::content_hash(&options.book);
    let other = content_hash.as_slice() != record.content_hash;
    // What the deployment trusts today counts, and not what it trusted when it was recorded.
    let signature = signature_of(&record.key_id, record.signature.clone());
    let recorded: [u8; 32] = Book::content_hash(&log::book_sources(record.clone()).0);
    let signing = match options.trusted_keys.verify(&recorded, signature.as_ref()) {
        Ok(signing) => signing,
        Err(why) => {
            let trusted = &options.trusted_keys;
            if trusted
                .verify(&content_hash, options.signature.as_ref())
                .is_err()
            {
                return Err(Error::Untrusted(why));
            }
            tracing::warn!(published = %version, "the published book is not trusted any more; the one given is in force: {why}");
            return Ok(None);
        }
    };
    if options.book_named && other {
        tracing::warn!(
            in_force = %version,
            "a published book is in force, and the one that the configuration names is not used; to change the book, pack it and publish it (`creditgate measures publish`)"
        );
    }
    let (files, before) = log::book_sources(record.clone());
    let today = Deployment {
        signing,
        ..options.deployment.clone()
    };
    let confirmed = confirmed::of(&before.confirmations);
    let load_before = || Book::load_recorded(&files, &before).map_err(Error::Published);
    if with_confirmed(&today, &confirmed) == before {
        return load_before().map(|book| Some(Chosen::well(book)));
    }
    let (book, deployment, ended) = match load_with(&files, &today, &confirmed) {
        Ok(loaded) => loaded,
        Err(errors) => {
            options.metrics.book_refused();
            let refused = Refusal::Errors(errors);
            tracing::error!(kept = %version, "the published book is refused with what the deployment says of it now, and stays as it was: {refused}");
            return Ok(Some(Chosen::instead(load_before()?, refused)));
        }
    };
    tell_ended(&ended);
    if book.version() != version {
        let new = NewBook {
            book: &book,
            files: &files,
            deployment: &deployment,
            signature: signature.as_ref(),
            origin: BookOrigin::Started,
            stays: true,
            published_by: "",
            reason: "what the deployment says of the book has changed",
            simulation_id: "",
        };
        enter(options, log, source, &new)?;
    }
    Ok(Some(Chosen::well(book)))
}

/// The book that was given, recorded when it is new; or the last good one, with the reason.
fn given(
    options: &Options,
    log: &ChangeLog,
    source: &mut Source,
    last: Option<(BookVersion, BookRecord)>,
) -> Result<Chosen, Error> {
    // What was confirmed through the service holds for the book of this start too.
    let confirmed = match &last {
        Some((_, record)) => confirmed::of(&log::book_sources(record.clone()).1.confirmations),
        None => Vec::new(),
    };
    let refused = match load_given(options, &confirmed) {
        Ok((book, deployment)) => {
            if last.is_none_or(|(version, _)| version != book.version()) {
                let new = NewBook {
                    book: &book,
                    files: &options.book,
                    deployment: &deployment,
                    signature: options.signature.as_ref(),
                    origin: BookOrigin::Started,
                    stays: false,
                    published_by: "",
                    reason: "",
                    simulation_id: "",
                };
                enter(options, log, source, &new)?;
            }
            return Ok(Chosen::well(book));
        }
        Err(refused) => refused,
    };
    options.metrics.book_refused();
    let Some((version, record)) = last else {
        return Err(Error::Book(refused));
    };
    options
        .trusted_keys
        .verify_record(&record)
        .map_err(Error::Untrusted)?;
    tracing::error!(
        kept = %version,
        "the book is refused and the last good one stays in force: {refused}"
    );
    let (files, deployment) = log::book_sources(record);
    match Book::load_recorded(&files, &deployment) {
        Ok(last) => Ok(Chosen::instead(last, refused)),
        Err(last) => Err(Error::LastBook { new: refused, last }),
    }
}

fn load_given(
    options: &Options,
    confirmed: &[Confirmation],
) -> Result<(Book, Deployment), Refusal> {
    let content_hash = Book::content_hash(&options.book);
    let signing = options
        .trusted_keys
        .verify(&content_hash, options.signature.as_ref())?;
    let given = Deployment {
        signing,
        ..options.deployment.clone()
    };
    let (book, deployment, ended) = load_with(&options.book, &given, confirmed)?;
    tell_ended(&ended);
    Ok((book, deployment))
}

fn tell_ended(rows: &[String]) {
    if !rows.is_empty() {
        let rows = rows.join(", ");
        tracing::warn!(rows, "confirmations end with the book of this start");
    }
}

fn enter(
    options: &Options,
    log: &ChangeLog,
    source: &mut Source,
    new: &NewBook<'_>,
) -> Result<(), Error> {
    let now = Time::from_micros(options.clock.now_micros());
    source.record_at_open(log, vec![log::book_record(now, new)])?;
    tracing::info!(book_version = %new.book.version(), "a new book is in force");
    Ok(())
}
