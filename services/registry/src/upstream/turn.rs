//! The turns of a registry among others: it leads, it stands by, it reads on after trouble.
//!
//! Every turn happens in the loop that owns the lists, so that none falls between the writing of a
//! record and its publication. A turn that fails leaves a follower: it serves what it has.

use std::time::Duration;

use creditgate_runtime::errors::Chain as ErrorChain;
use creditgate_runtime::journal::{AppendError, Health};
use creditgate_runtime::kafka::{self, Reader, Topic};
use creditgate_runtime::metrics::ListsRole;

use super::fault::Fault;
use super::follow::{self, Following};
use super::keep::Unsettled;
use super::lead::{Leader, Standing};
use super::record::PARTITION;
use super::{Found, News, Source};
use crate::book;
use crate::error::{ChangeError, Error};
use crate::keeper::{COMPONENT, Command, Keeper};
use crate::log;

/// How long taking over waits for the cluster.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(10);
/// Time between two tries to lead.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(5);
/// How long one that cannot lead lets others do it.
const STAND_BACK: Duration = Duration::from_secs(60);
/// Time before the first try to read on; it doubles with each failure, up to the longest.
const READ_ON_AFTER: Duration = Duration::from_millis(500);
/// The longest.
const READ_ON_AFTER_MAX: Duration = Duration::from_secs(30);

/// Why this process does not lead though it may.
#[derive(Debug, thiserror::Error)]
enum NotLed {
    #[error(transparent)]
    Unsettled(#[from] Unsettled),
    #[error("take over the book")]
    Book(#[from] Error),
}

impl From<kafka::Error> for NotLed {
    fn from(error: kafka::Error) -> Self {
        Self::Unsettled(error.into())
    }
}

impl Keeper {
    /// News of the topic.
    pub(crate) fn upstream(&mut self, news: News) {
        match news {
            News::Read(term, found) => {
                if self
                    .source
                    .feed()
                    .is_some_and(|feed| feed.term().number == term)
                {
                    self.found(found);
                }
            }
            News::FollowOn(term) => {
                if self
                    .source
                    .feed()
                    .is_some_and(|feed| feed.term().number == term)
                {
                    self.follow_on();
                }
            }
            News::Settle => self.settle_again(),
            News::Lease(true) | News::TakeOver => self.take_over(),
            News::Lease(false) => self.lose_lease(),
        }
    }

    fn found(&mut self, found: Found) {
        match found {
            Found::Arrived(records) => self.arrived(records),
            Found::Complete => self.complete(),
            Found::Lost(error) => self.lost(&error),
        }
    }

    /// Shows what this process is to the lists.
    pub(crate) fn show_role(&self) {
        self.metrics.set_lists_role(self.source.role());
    }

    /// Another process may lead now.
    fn lose_lease(&mut self) {
        if matches!(self.source, Source::Leads(_)) && !self.source.may_lead() {
            tracing::warn!(
                "another instance may lead the lists now; this one writes nothing any more"
            );
            self.step_down();
        }
    }

    /// Writes nothing any more, and follows from what was confirmed last.
    pub(super) fn step_down(&mut self) {
        // The place is empty for these lines only.
        match std::mem::replace(&mut self.source, Source::Embedded) {
            Source::Leads(leader) => self.source = Source::Follows(Box::new(leader.step_down())),
            other => {
                self.source = other;
                return;
            }
        }
        self.show_role();
        if let Health::Failed(source) = self.log.journal().health() {
            self.follow_no_more(&Fault::Append(AppendError::Failed { source }));
            return;
        }
        // What was unsettled shows in what is read.
        self.readiness.set(COMPONENT, self.well.clone());
        tracing::info!(list_version = %self.lists.version(), "this instance stands by: it follows the lists and takes no changes");
        self.follow_on();
        if self.source.may_lead() {
            self.later(TAKE_OVER_EVERY, News::TakeOver);
        }
    }

    /// Leads, when that is this process's turn.
    fn take_over(&mut self) {
        let Source::Follows(follower) = &self.source else {
            return;
        };
        if !follower.feed.may_lead() {
            return;
        }
        if matches!(follower.following, Following::Stopped | Following::Doubtful) {
            tracing::error!("this instance cannot lead: it follows the lists no more");
            self.stand_back();
            return;
        }
        match self.try_to_lead() {
            Ok(()) => {
                tracing::info!(list_version = %self.lists.version(), "this instance leads the lists now");
            }
            Err(why) => {
                tracing::error!(error = %ErrorChain(&why), "this instance could not take over the lists");
                self.step_down();
                match why {
                    NotLed::Unsettled(Unsettled::Fault(fault)) => {
                        self.not_taken(&fault);
                        self.stand_back();
                    }
                    NotLed::Unsettled(_) | NotLed::Book(Error::Upstream(_)) => {
                        self.follow_on();
                        self.later(TAKE_OVER_EVERY, News::TakeOver);
                    }
                    NotLed::Book(error) => self.follow_no_more(&error),
                }
            }
        }
    }

    fn try_to_lead(&mut self) -> Result<(), NotLed> {
        let Source::Follows(follower) = &mut self.source else {
            return Ok(());
        };
        let Some(cluster) = follower.feed.cluster.clone() else {
            return Ok(());
        };
        tracing::info!("the one that led the lists is gone: this instance takes over");
        follower.feed.end_term();
        follower.copy.fall_back();
        let writer = Leader::take_over(&cluster, TAKE_OVER_WITHIN)?;
        // From here on nobody else writes, so the end that is read is the end.
        self.read_to_end(&cluster, TAKE_OVER_WITHIN, None)?;
        match std::mem::replace(&mut self.source, Source::Embedded) {
            Source::Follows(follower) => {
                let leader = Leader::new(writer, follower.copy, follower.feed);
                self.source = Source::Leads(Box::new(leader));
            }
            other => self.source = other,
        }
        self.take_given_book()?;
        self.show_role();
        self.readiness.set(COMPONENT, self.well.clone());
        // One that leads reads too: what it did not write tells that another has taken over.
        self.follow_on();
        Ok(())
    }

    /// The book that is in force when this process leads, as at a start.
    fn take_given_book(&mut self) -> Result<(), Error> {
        let recorded: Vec<_> = self
            .beside
            .books
            .iter()
            .map(|(version, at)| (*version, creditgate_runtime::journal::Position(*at)))
            .collect();
        let chosen = book::choose(&self.options, &self.log, &mut self.source, &recorded)?;
        let next = self.lists.version().seq + 1;
        let entered: Vec<_> = self.log.read_from_seq(next).collect::<Result<_, _>>()?;
        for entered in &entered {
            let simplify = self.book.simplify();
            log::apply(entered, &mut self.lists, &mut self.beside, simplify)?;
        }
        if chosen.book.version() != self.book.version() {
            let lists = self.indexed_for(chosen.book.simplify())?;
            self.go_over_to(chosen.book, lists);
        }
        self.well = chosen.well;
        self.publish();
        self.merge_if_due();
        Ok(())
    }

    /// Lets another lead: this process cannot.
    fn stand_back(&self) {
        if let Some(stand) = self.source.feed().and_then(|feed| feed.stand.as_ref()) {
            stand.stand_back(STAND_BACK);
        }
    }

    /// Reads on from the end of the copy.
    fn follow_on(&mut self) {
        if let Err(error) = self.try_to_follow_on() {
            tracing::warn!(error = %ErrorChain(&*error), "the list changes cannot be read; trying again");
            self.follow_later();
        }
    }

    fn try_to_follow_on(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if let Source::Follows(follower) = &mut self.source {
            if matches!(follower.following, Following::Stopped | Following::Doubtful) {
                return Ok(());
            }
            follower.following = Following::Yes;
        }
        let Some((copy, feed)) = self.source.copy_and_feed() else {
            return Ok(());
        };
        copy.fall_back();
        if copy.place().seq > 0 && copy.place().offset.is_none() {
            // Without an address the record after the last is found from the beginning.
            copy.begin_again(&self.log)?;
        }
        let term = feed.end_term();
        let Some(cluster) = &feed.cluster else {
            return Ok(());
        };
        let places = [(PARTITION, copy.place().offset)];
        let reader = Reader::open(cluster, Topic::ListChanges, &places)?;
        follow::start(reader, term, self.own.clone())?;
        Ok(())
    }

    /// Reads on after a while.
    fn follow_later(&mut self) {
        let Some((_, feed)) = self.source.copy_and_feed() else {
            return;
        };
        let wait = READ_ON_AFTER * 2_u32.saturating_pow(feed.failures.min(16));
        feed.failures += 1;
        let term = feed.end_term().number;
        self.later(wait.min(READ_ON_AFTER_MAX), News::FollowOn(term));
    }

    /// Tells the loop something after a while.
    pub(super) fn later(&self, wait: Duration, news: News) {
        let keeper = self.own.clone();
        let started = std::thread::Builder::new()
            .name("lists-later".to_owned())
            .spawn(move || {
                std::thread::sleep(wait);
                if let Some(keeper) = keeper.upgrade() {
                    let _ = keeper.blocking_send(Command::Upstream(news));
                }
            });
        if let Err(error) = started {
            tracing::error!(%error, "Kafka is not asked again; restart the service");
        }
    }

    /// The topic cannot be read on from here.
    fn lost(&mut self, why: &kafka::Error) {
        if let Source::Leads(_) = &self.source {
            tracing::warn!(error = %ErrorChain(why), "whether another instance writes is seen at the next change only, until the topic is read again");
            self.follow_later();
            return;
        }
        let Source::Follows(follower) = &mut self.source else {
            return;
        };
        let again = matches!(why, kafka::Error::Gone { .. }) && follower.feed.failures == 0;
        if again {
            tracing::warn!(error = %ErrorChain(why), "the place in the list changes is gone; they are read from the beginning");
            follower.copy.forget_address();
            self.follow_later();
        } else if let kafka::Error::Gone { .. } = why {
            self.follow_no_more(why);
        } else {
            self.be_troubled(format!(
                "the list changes cannot be read: {}; it is tried again",
                ErrorChain(why)
            ));
            self.follow_later();
        }
    }

    /// A record was not taken.
    pub(super) fn not_taken(&mut self, why: &Fault) {
        match why {
            // Nothing of it was written, and the journal takes records again as soon as the disk does.
            Fault::Append(AppendError::Stalled { .. }) => {
                self.be_troubled(format!(
                    "the disk takes no list changes ({}); the lists stay as they are, and it is tried again",
                    ErrorChain(why)
                ));
                if let Source::Follows(follower) = &mut self.source {
                    follower.following = Following::Paused;
                }
                self.follow_later();
            }
            _ => self.follow_no_more(why),
        }
    }

    fn be_troubled(&mut self, reason: String) {
        if let Source::Follows(follower) = &mut self.source {
            if !follower.troubled {
                tracing::error!(reason, "the lists are not followed for now");
            }
            follower.troubled = true;
            self.readiness.not_ready(COMPONENT, reason);
        }
    }

    /// Records are taken again.
    pub(super) fn recovered(&mut self) {
        let Source::Follows(follower) = &mut self.source else {
            return;
        };
        follower.feed.failures = 0;
        if std::mem::take(&mut follower.troubled) {
            tracing::info!(list_version = %self.lists.version(), "the lists are followed again");
            self.readiness.set(COMPONENT, self.well.clone());
        }
    }

    /// Takes nothing any more; a person has to look.
    fn follow_no_more(&mut self, why: &(dyn std::error::Error + 'static)) {
        let Source::Follows(follower) = &mut self.source else {
            return;
        };
        follower.feed.end_term();
        // Of one that has led, the topic must continue what it published.
        follower.following = match follower.has_led {
            true => Following::Doubtful,
            false => Following::Stopped,
        };
        let reason = ErrorChain(why).to_string();
        tracing::error!(error = %reason, "the lists are followed no more; they stay as they are");
        self.readiness.not_ready(COMPONENT, reason);
        self.stand_back();
    }

    /// Whether another process has taken over while this one wrote.
    pub(super) fn fenced(&mut self) -> ChangeError {
        tracing::warn!(
            "another instance has taken over the lists; this one writes nothing any more"
        );
        self.step_down();
        ChangeError::Fenced
    }

    /// One more try to find out what the topic holds.
    fn settle_again(&mut self) {
        match &self.source {
            Source::Leads(leader) if leader.standing == Standing::Unsettled => {}
            _ => return,
        }
        self.try_to_settle();
    }
}

impl Source {
    /// Whether the process must end: what it published may be wrong.
    pub(crate) fn must_end(&self) -> bool {
        matches!(self, Self::Follows(follower) if follower.following == Following::Doubtful)
    }

    /// Whether this process may lead, as far as it knows.
    pub(super) fn may_lead(&self) -> bool {
        self.feed().is_some_and(super::stand::Feed::may_lead)
    }

    /// Begins to listen: to the topic where `reader` is, and to who may lead.
    pub(crate) fn listen(
        &mut self,
        reader: Option<Reader>,
        keeper: &tokio::sync::mpsc::Sender<Command>,
    ) -> std::io::Result<()> {
        let Some((_, feed)) = self.copy_and_feed() else {
            return Ok(());
        };
        if let Some(reader) = reader {
            follow::start(reader, feed.term(), keeper.downgrade())?;
        }
        match &mut feed.stand {
            Some(stand) => stand.tell(keeper.downgrade()),
            None => Ok(()),
        }
    }
}

/// Whether changes may be asked of a process of this role.
pub(crate) const fn refused_for(role: Option<ListsRole>) -> Result<(), ChangeError> {
    match role {
        Some(ListsRole::Follows) => Err(ChangeError::Follows),
        Some(ListsRole::StandsBy) => Err(ChangeError::StandsBy),
        Some(ListsRole::Embedded | ListsRole::Leads) | None => Ok(()),
    }
}
