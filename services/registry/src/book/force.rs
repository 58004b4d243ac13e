//! The loop's part: verify, validate, record, switch. Whatever is wrong, the last good book stays.

use std::sync::Arc;

use creditgate_measures::book::{Book, BookErrors, BookVersion, Deployment, SourceFile};
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_measures::name::SimplifyTable;
use creditgate_proto::Refused;
use creditgate_proto::journal::v1::BookRecord;
use creditgate_runtime::health::State;
use creditgate_runtime::journal::Position;

use super::confirmed::{self, Confirmation};
use super::error::{PublishError, Refusal};
use super::keys::Untrusted;
use super::pack::{self, signature_of};
use crate::base_file::{self, Names};
use crate::error::Error;
use crate::keeper::{COMPONENT, Keeper};
use crate::log::{self, BookOrigin, NewBook};
use crate::upstream::Recorded;

/// What stands before the reason where a refused book is shown.
const SHOWN_REFUSED: &str = "the last good book stays in force: ";

/// Most characters of a reason in readiness: it is looked at, not read through.
const SHOWN_MAX: usize = 2_000;

/// A pack that is to be in force.
#[derive(Debug, Clone, Default)]
pub struct Publication {
    /// The pack.
    pub pack: Vec<u8>,
    /// Why.
    pub reason: String,
    /// The simulation that was looked at before; may be empty.
    pub simulation_id: String,
    /// The version that must still be in force; none: any.
    pub expected: Option<String>,
}

/// What the loop is asked to do with the book.
pub(crate) enum BookChange {
    Publish(Publication),
    Confirm(Confirmation),
}

/// A book that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its version.
    pub book: BookVersion,
    /// The version of the lists with it.
    pub lists: ListVersion,
    /// It was in force already, and nothing was recorded.
    pub unchanged: bool,
    /// Rows whose confirmation through the service ended with it.
    pub confirmations_ended: Vec<String>,
}

/// A book that may come into force.
struct Candidate {
    book: Book,
    files: Vec<SourceFile>,
    deployment: Deployment,
    signature: Option<super::Signature>,
}

/// Why, by whom.
struct Told<'a> {
    origin: BookOrigin,
    caller: &'a str,
    reason: &'a str,
    simulation_id: &'a str,
}

impl Keeper {
    /// Publishes or confirms; what is refused is counted, and shown until a book is taken.
    pub(crate) fn change_book(
        &mut self,
        change: BookChange,
        caller: &str,
    ) -> Result<InForce, PublishError> {
        self.source.may_change()?;
        match change {
            BookChange::Confirm(confirmation) => self.confirm_row(confirmation, caller),
            BookChange::Publish(publication) => {
                let done = self.publish_book(publication, caller);
                match &done {
                    Ok(_) => self.be(State::Ready),
                    Err(error) => self.book_refused(error),
                }
                done
            }
        }
    }

    fn publish_book(
        &mut self,
        publication: Publication,
        caller: &str,
    ) -> Result<InForce, PublishError> {
        let current = self.book.version();
        if let Some(expected) = &publication.expected
            && *expected != current.to_string()
        {
            return Err(PublishError::OtherBook { current });
        }
        let pack = pack::open(&publication.pack).map_err(Refusal::from)?;
        let signing = self
            .trusted_keys
            .verify(&pack.content_hash, pack.signature.as_ref())
            .map_err(Refusal::from)?;
        let last = self.last_book()?;
        let given = Deployment {
            signing,
            ..self.deployment.clone()
        };
        let confirmed = confirmed::of(&log::book_sources(last.clone()).1.confirmations);
        let (book, deployment, ended) =
            load_with(&pack.files, &given, &confirmed).map_err(Refusal::from)?;
        // Another signature is news to those who follow and trust its key.
        let same_signature = signature_of(&last.key_id, last.signature) == pack.signature;
        if book.version() == current && last.stays && same_signature {
            return Ok(self.in_force(true, ended));
        }
        let candidate = Candidate {
            book,
            files: pack.files,
            deployment,
            signature: pack.signature,
        };
        let told = Told {
            origin: BookOrigin::Published,
            caller,
            reason: &publication.reason,
            simulation_id: &publication.simulation_id,
        };
        self.put_in_force(candidate, &told)?;
        Ok(self.in_force(false, ended))
    }

    fn confirm_row(
        &mut self,
        confirmation: Confirmation,
        caller: &str,
    ) -> Result<InForce, PublishError> {
        let last = self.last_book()?;
        let signature = signature_of(&last.key_id, last.signature.clone());
        let (files, before) = log::book_sources(last);
        let mut rows = self.book.measures().iter();
        if !rows.any(|row| row.id.as_str() == confirmation.measure) {
            return Err(Refused::one("measure_id", "the book in force has no such row").into());
        }
        let mut confirmed = confirmed::of(&before.confirmations);
        confirmed.retain(|earlier| earlier.measure != confirmation.measure);
        let reason = format!("{} 确认：{}", confirmation.measure, confirmation.document);
        confirmed.push(confirmation);
        let given = Deployment {
            signing: before.signing,
            ..self.deployment.clone()
        };
        let deployment = with_confirmed(&given, &confirmed);
        let book = Book::load(&files, &deployment).map_err(Refusal::from)?;
        if book.version() == self.book.version() {
            return Ok(self.in_force(true, Vec::new()));
        }
        let candidate = Candidate {
            book,
            files,
            deployment,
            signature,
        };
        let told = Told {
            origin: BookOrigin::Confirmed,
            caller,
            reason: &reason,
            simulation_id: "",
        };
        self.put_in_force(candidate, &told)?;
        Ok(self.in_force(false, Vec::new()))
    }

    /// Records the book and goes over to it. Everything that can fail comes before the record.
    fn put_in_force(&mut self, candidate: Candidate, told: &Told<'_>) -> Result<(), PublishError> {
        let lists = self.indexed_for(candidate.book.simplify())?;
        let record = log::book_record(
            self.now(),
            &NewBook {
                book: &candidate.book,
                files: &candidate.files,
                deployment: &candidate.deployment,
                signature: candidate.signature.as_ref(),
                origin: told.origin,
                stays: true,
                published_by: told.caller,
                reason: told.reason,
                simulation_id: told.simulation_id,
            },
        );
        let Recorded::Appended(at) = self.record(vec![record])? else {
            // It was read back from the topic, and the loop has gone over to it.
            return Ok(());
        };
        let version = candidate.book.version();
        if let Some(lists) = lists {
            self.lists = lists;
        }
        for at in at {
            self.beside.books.push((version, at.position.0));
            self.lists.advance(at.sequence);
        }
        self.go_over_to(candidate.book, None);
        self.publish();
        self.merge_if_due();
        Ok(())
    }

    /// The lists with their names as this table writes them; none when they are so already.
    pub(crate) fn indexed_for(&self, simplify: &SimplifyTable) -> Result<Option<Lists>, Error> {
        if self.lists.normalised_by(simplify) {
            return Ok(None);
        }
        tracing::info!("the book writes names in another way; they are indexed anew");
        let next = self.log.head().next_position;
        let names = Names::Anew(simplify);
        let base = base_file::write(&self.lists_dir, &self.lists, &self.beside, next, names)?;
        let (version, confirmed) = (self.lists.version(), self.lists.confirmations().clone());
        Ok(Some(Lists::over(base, version, confirmed, simplify)))
    }

    /// Goes over to the book that was recorded last, with these lists when names changed.
    pub(crate) fn go_over_to(&mut self, book: Book, lists: Option<Lists>) {
        self.note_last_book();
        if let Some(lists) = lists {
            self.lists = lists;
        }
        tracing::info!(book_version = %book.version(), "a new book is in force");
        crate::registry::show_book(&self.metrics, &book);
        self.book = Arc::new(book);
    }

    /// The book that was recorded last can be asked for, whether or not it is in force here.
    fn note_last_book(&self) {
        if let Some((version, at)) = self.beside.books.last() {
            self.past.note_book(*version, Position(*at));
        }
    }

    /// A book came whose signature this process does not trust: it goes on with the one before, and
    /// is not ready, for the registry and the others judge by another book now.
    pub(crate) fn distrust(&mut self, version: BookVersion, why: &Untrusted) {
        self.note_last_book();
        self.metrics.book_refused();
        let told = distrusted(version, why);
        tracing::error!(kept = %self.book.version(), "{told}");
        self.be(State::NotReady(told));
    }

    /// After a book that is trusted.
    pub(crate) fn trust_again(&mut self) {
        if matches!(self.well, State::NotReady(_)) {
            self.well = State::Ready;
            self.readiness.ready(COMPONENT);
        }
    }

    fn book_refused(&mut self, error: &PublishError) {
        let PublishError::Refused(refused) = error else {
            return;
        };
        self.metrics.book_refused();
        tracing::error!(
            kept = %self.book.version(),
            "a book that was published is refused and the last good one stays in force: {refused}"
        );
        self.be(State::ReadyBut(shown(refused)));
    }

    /// How it stands with the book; what keeps the lists from being served is not covered up.
    fn be(&mut self, well: State) {
        let snapshot = self.readiness.snapshot();
        let stands = snapshot.components.get(COMPONENT);
        let other_trouble =
            matches!(stands, Some(State::NotReady(_))) && stands != Some(&self.well);
        self.well = well.clone();
        if !other_trouble {
            self.readiness.set(COMPONENT, well);
        }
    }

    fn in_force(&self, unchanged: bool, confirmations_ended: Vec<String>) -> InForce {
        InForce {
            book: self.book.version(),
            lists: self.lists.version(),
            unchanged,
            confirmations_ended,
        }
    }

    /// The record of the book that was recorded last, which is the one in force where books are made.
    fn last_book(&self) -> Result<BookRecord, Error> {
        let (_, at) = self.beside.books.last().ok_or(Error::NoBook)?;
        self.log.book_at(Position(*at))
    }
}

/// What a process says that does not trust the book of the change log.
pub(crate) fn distrusted(version: BookVersion, why: &Untrusted) -> String {
    format!(
        "book {version} of the list changes is not trusted here and the one before it stays: {why}"
    )
}

/// A refusal as readiness shows it.
pub(crate) fn shown(refused: &Refusal) -> String {
    let told = format!("{SHOWN_REFUSED}{refused}");
    match told.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{} …", &told[..end]),
        None => told,
    }
}

/// The deployment with what was confirmed through the service.
pub(crate) fn with_confirmed(given: &Deployment, confirmed: &[Confirmation]) -> Deployment {
    let mut deployment = given.clone();
    deployment.confirmations.extend(confirmed::file(confirmed));
    deployment
}

/// Loads a book; what was confirmed of rows that it has no more, or otherwise, ends with it.
pub(crate) fn load_with(
    files: &[SourceFile],
    given: &Deployment,
    confirmed: &[Confirmation],
) -> Result<(Book, Deployment, Vec<String>), BookErrors> {
    let deployment = with_confirmed(given, confirmed);
    let errors = match Book::load(files, &deployment) {
        Ok(book) => return Ok((book, deployment, Vec::new())),
        Err(errors) => errors,
    };
    let Some((kept, ended)) = confirmed::without_refused(confirmed, &errors) else {
        return Err(errors);
    };
    let deployment = with_confirmed(given, &kept);
    let book = Book::load(files, &deployment)?;
    tracing::warn!(rows = ended.join(", "), "confirmations end with a new book");
    Ok((book, deployment, ended))
}
