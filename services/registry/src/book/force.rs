//! The loop's part: verify, validate, record, switch. Whatever is wrong, the last good book stays.

use std::sync::Arc;

use creditgate_measures::book::{Book, BookErrors, BookVersion, Deployment, Measure, SourceFile};
use creditgate_measures::lists::{ListVersion, Lists};
use creditgate_measures::name::SimplifyTable;
use creditgate_measures::vocabulary::Confidence;
use creditgate_proto::Refused;
use creditgate_proto::journal::v1::BookRecord;
use creditgate_runtime::health::State;
use creditgate_runtime::journal::{PAYLOAD_BYTES_MAX, Position};

use super::confirmed::{self, Confirmation, Withdrawal};
use super::error::{PublishError, Refusal};
use super::keys::Untrusted;
use super::pack::{self, signature_of};
use crate::base_file::{self, Names};
use crate::desk::Stamp;
use crate::error::Error;
use crate::keeper::{COMPONENT, Keeper};
use crate::log::{self, BookOrigin, NewBook};
use crate::upstream::Recorded;

/// What stands before the reason where a refused book is shown.
const SHOWN_REFUSED: &str = "the last good book stays in force: ";

/// Most characters of a reason in readiness: it is looked at, not read through.
const SHOWN_MAX: usize = 2_000;

/// Most bytes of a pack and of the record of a book: what a record of the change log holds, and a
/// record of Kafka with room for what stands around it.
const BYTES_MAX: usize = PAYLOAD_BYTES_MAX - (64 << 10);

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
    Withdraw(Withdrawal),
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
    /// Rows whose confirmation through the service goes on with it.
    pub confirmations_kept: Vec<String>,
}

/// A book that may come into force.
struct Candidate {
    book: Book,
    files: Vec<SourceFile>,
    deployment: Deployment,
    signature: Option<super::Signature>,
    /// It was published, now or earlier: what a start names does not replace it.
    stays: bool,
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
        let done = match change {
            BookChange::Confirm(confirmation) => self.confirm_row(confirmation, caller),
            BookChange::Withdraw(withdrawal) => self.withdraw(&withdrawal, caller),
            BookChange::Publish(publication) => {
                let done = self.publish_book(publication, caller);
                if let Err(error) = &done {
                    self.book_refused(error);
                }
                done
            }
        };
        if done.is_ok() {
            self.be(State::Ready);
        }
        done
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
        fits("pack", publication.pack.len())?;
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
        if !ended.is_empty() {
            tracing::warn!(rows = ended.join(", "), "confirmations end with a new book");
        }
        // Another signature is news to those who follow and trust its key.
        let same_signature = signature_of(&last.key_id, last.signature) == pack.signature;
        if book.version() == current && last.stays && same_signature {
            return Ok(self.in_force(true, ended, &deployment));
        }
        let candidate = Candidate {
            book,
            files: pack.files,
            deployment: deployment.clone(),
            signature: pack.signature,
            stays: true,
        };
        let told = Told {
            origin: BookOrigin::Published,
            caller,
            reason: &publication.reason,
            simulation_id: &publication.simulation_id,
        };
        self.put_in_force(candidate, &told)?;
        Ok(self.in_force(false, ended, &deployment))
    }

    /// A row that is to count, or to count as verified.
    fn confirm_row(
        &mut self,
        confirmation: Confirmation,
        caller: &str,
    ) -> Result<InForce, PublishError> {
        let id = confirmation.measure.clone();
        let versions = || {
            let rows = self.book.measures().iter();
            rows.filter(|row| row.id.as_str() == id)
        };
        if versions().next().is_none() {
            return Err(Refused::one("measure_id", "the book in force has no such row").into());
        }
        // One that was confirmed before may be confirmed anew, by another document.
        let needs_nothing = |row: &Arc<Measure>| {
            row.active && row.confidence == Confidence::Verified && row.confirmed.is_none()
        };
        if versions().all(needs_nothing) {
            let rule = format!("{id} is in force and verified: there is nothing to confirm");
            return Err(Refused::one("measure_id", rule).into());
        }
        let reason = confirmation.told();
        self.with_rows(&reason, caller, |confirmed| {
            confirmed.retain(|earlier| earlier.measure != id);
            confirmed.push(confirmation);
            Ok(())
        })
    }

    /// Takes a confirmation back: the row is again what its book says of it.
    fn withdraw(&mut self, withdrawal: &Withdrawal, caller: &str) -> Result<InForce, PublishError> {
        self.with_rows(&withdrawal.told(), caller, |confirmed| {
            let before = confirmed.len();
            confirmed.retain(|earlier| earlier.measure != withdrawal.measure);
            match confirmed.len() == before {
                true => Err(Refused::one(
                    "measure_id",
                    "no confirmation of this row was made through the service; one that stands in a file ends when it is taken out of the file and the service restarts",
                )),
                false => Ok(()),
            }
        })
    }

    /// The book in force, with other rows confirmed.
    fn with_rows(
        &mut self,
        reason: &str,
        caller: &str,
        change: impl FnOnce(&mut Vec<Confirmation>) -> Result<(), Refused>,
    ) -> Result<InForce, PublishError> {
        let last = self.last_book()?;
        let stays = last.stays;
        let signature = signature_of(&last.key_id, last.signature.clone());
        let (files, before) = log::book_sources(last);
        let mut confirmed = confirmed::of(&before.confirmations);
        change(&mut confirmed)?;
        let signing = self
            .trusted_keys
            .verify(&Book::content_hash(&files), signature.as_ref())
            .map_err(Refusal::from)?;
        let given = Deployment {
            signing,
            ..self.deployment.clone()
        };
        let deployment = with_confirmed(&given, &confirmed);
        let book = Book::load(&files, &deployment).map_err(Refusal::from)?;
        if book.version() == self.book.version() {
            return Ok(self.in_force(true, Vec::new(), &deployment));
        }
        let candidate = Candidate {
            book,
            files,
            deployment: deployment.clone(),
            signature,
            stays,
        };
        let told = Told {
            origin: BookOrigin::Confirmed,
            caller,
            reason,
            simulation_id: "",
        };
        self.put_in_force(candidate, &told)?;
        Ok(self.in_force(false, Vec::new(), &deployment))
    }

    /// Records the book and goes over to it. Everything that can fail comes before the record.
    fn put_in_force(&mut self, candidate: Candidate, told: &Told<'_>) -> Result<(), PublishError> {
        let now = self.now();
        let record = log::book_record(
            now,
            &NewBook {
                book: &candidate.book,
                files: &candidate.files,
                deployment: &candidate.deployment,
                signature: candidate.signature.as_ref(),
                origin: told.origin,
                stays: candidate.stays,
                published_by: told.caller,
                reason: told.reason,
                simulation_id: told.simulation_id,
            },
        );
        fits("record", record.payload.len())?;
        let lists = self.indexed_for(candidate.book.simplify())?;
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
            let (seq, at) = (at.sequence, now);
            self.beside.desk.recorded(Stamp { seq, at });
            self.lists.advance(seq);
        }
        self.go_over_to(candidate.book, None);
        self.publish();
        self.metrics.changes_in_effect(now.micros(), 1);
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
        let (dir, lists, beside) = (&self.lists_dir, &self.lists, &self.beside);
        let how = (&self.sealing, &base_file::NEVER);
        let base = base_file::write(dir, lists, beside, next, names, how)?;
        let (version, confirmed) = (self.lists.version(), self.lists.confirmations().clone());
        Ok(Some(Lists::over(base, version, confirmed, simplify)))
    }

    /// Goes over to the book that was recorded last, with these lists when names changed.
    pub(crate) fn go_over_to(&mut self, book: impl Into<Arc<Book>>, lists: Option<Lists>) {
        let book = book.into();
        self.note_last_book();
        if let Some(lists) = lists {
            self.lists = lists;
        }
        tracing::info!(book_version = %book.version(), "a new book is in force");
        crate::registry::show_book(&self.metrics, &book);
        self.book = book;
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
        if let Refusal::Pack(why) = refused {
            // Nobody's book was refused: whoever sent it is told.
            tracing::warn!("what was published is no book: {why}");
            return;
        }
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

    fn in_force(
        &self,
        unchanged: bool,
        confirmations_ended: Vec<String>,
        deployment: &Deployment,
    ) -> InForce {
        let kept = confirmed::of(&deployment.confirmations).into_iter();
        InForce {
            book: self.book.version(),
            lists: self.lists.version(),
            unchanged,
            confirmations_ended,
            confirmations_kept: kept.map(|confirmation| confirmation.measure).collect(),
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
    Ok((book, deployment, ended))
}

/// Loads files as they would be in force if they were published after a book of this deployment.
pub(crate) fn load_after(
    files: &[SourceFile],
    before: Deployment,
) -> Result<(Book, Vec<String>), BookErrors> {
    let confirmed = confirmed::of(&before.confirmations);
    let given = confirmed::without(before);
    load_with(files, &given, &confirmed).map(|(book, _, ended)| (book, ended))
}

/// A record of the change log that is too large is refused before anything else is done for it.
fn fits(what: &str, bytes: usize) -> Result<(), Refused> {
    match bytes > BYTES_MAX {
        true => Err(Refused::one(
            "pack",
            format!(
                "the {what} has {bytes} bytes, and a book may have at most {BYTES_MAX}: leave out files and rows that are not needed, or make texts shorter, and pack it again"
            ),
        )),
        false => Ok(()),
    }
}
