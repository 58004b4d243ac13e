//! The gate as the port `Reviews`: open cases judged again (spec 8).
//!
//! A review is no check. It claims its slot and is recorded like one; the balance of checks, the
//! shadow and what is known of its case do not learn of it.

use std::sync::Arc;

use creditgate_measures::book::Book;
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Cause, VerdictId};
use creditgate_measures::{Question, canonical, decide};
use creditgate_proto::decode::event_from_record;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::{AnswerDigest, v1};
use creditgate_runtime::journal::{AppendError, Journal, Position};
use creditgate_runtime::kafka;
use creditgate_runtime::ports::{self, NotReviewed, Review, Reviewed};
use creditgate_runtime::telemetry::names::{field, span};
use tracing::Instrument as _;

use crate::check::{Answer, Decided, asks_for_case, unreadable};
use crate::failure::Failure;
use crate::gate::{Gate, Inner};
use crate::records::{Claim, Claimed, Fresh};

/// Who asks, as records name it.
const CALLER: &str = "creditgate";

/// How it came. FENCED: records keep this word.
const TRANSPORT: &str = "review";

impl ports::Reviews for Gate {
    fn verdicts(&self) -> &Journal {
        self.inner.records.journal()
    }

    fn recorded(
        &self,
        verdict: VerdictId,
    ) -> ports::Answer<'_, Result<Option<Position>, ports::NotFound>> {
        Box::pin(async move {
            let found = self.inner.records.find(verdict).await;
            found
                .map(|found| found.map(|found| found.position()))
                .map_err(ports::NotFound::from)
        })
    }

    fn recorded_answer(
        &self,
        verdict: VerdictId,
        answer: AnswerDigest,
    ) -> ports::Answer<'_, Result<Option<Position>, ports::NotFound>> {
        Box::pin(async move {
            let found = self.inner.records.answered(verdict, answer).await;
            found.map_err(ports::NotFound::from)
        })
    }

    fn opened_with(&self) -> u64 {
        self.inner.opened_with
    }

    fn knows_all(&self) -> bool {
        self.inner.knows_what_others_decided()
    }

    fn review(&self, review: Review) -> ports::Answer<'_, Result<Reviewed, NotReviewed>> {
        Box::pin(self.inner.review(review))
    }
}

/// A review whose event is decoded, with the slot it is for.
struct Asked {
    slot: VerdictId,
    event: Event,
    given: v1::Event,
    at: Time,
    cause: Cause,
    supersedes: VerdictId,
    lists: Lists,
    book: Arc<Book>,
}

/// What a slot is for whoever comes for it.
enum Slot {
    First(Claim),
    Before(Box<v1::Verdict>),
}

impl Asked {
    /// Makes the event of a review from that of the case's last event. It goes through a record, so
    /// that a replay gets the same one.
    fn of(review: Review) -> Result<Self, NotReviewed> {
        let Review {
            last,
            stage,
            at,
            cause,
            lists,
            book,
            supersedes,
        } = review;
        if cause == Cause::Event {
            let why = "its event has a verdict, which no review takes the place of in its slot";
            return Err(NotReviewed::Record(why.to_owned()));
        }
        if !lists.normalised_by(book.simplify()) {
            let why = "the lists are indexed with another table of characters than the book's";
            return Err(NotReviewed::Later(why.to_owned()));
        }
        let given = last.event.map(|event| v1::Event {
            stage: stage.as_str().to_owned(),
            occurred_at: Some(time_to_proto(at)),
            ..event
        });
        let record = VerdictRecord {
            event: given,
            clock_filled: last.clock_filled,
            ..VerdictRecord::default()
        };
        let event = event_from_record(&record)
            .map_err(|refused| NotReviewed::Record(refused.to_string()))?;
        Ok(Self {
            slot: canonical::verdict_id(&event.source, &event.id, &cause),
            event,
            given: record.event.unwrap_or_default(),
            at,
            cause,
            supersedes,
            lists,
            book,
        })
    }
}

impl Inner {
    async fn review(&self, review: Review) -> Result<Reviewed, NotReviewed> {
        let asked = Asked::of(review)?;
        let span = tracing::info_span!(
            span::REVIEW,
            { field::VERDICT_ID } = %asked.slot,
            { field::SCENARIO } = asked.event.scenario.as_str(),
            { field::STAGE } = asked.event.stage.as_str(),
        );
        self.review_asked(asked).instrument(span).await
    }

    async fn review_asked(&self, asked: Asked) -> Result<Reviewed, NotReviewed> {
        let room = self.admission.one()?;
        if self.records.is_saturated() {
            return Err(Failure::Overloaded.into());
        }
        if !self.knows_what_others_decided() {
            let why = "what others decided is not known here now";
            return Err(NotReviewed::Later(why.to_owned()));
        }
        let claim = match self.slot(asked.slot).await? {
            Slot::First(claim) => claim,
            // The first durable verdict of a slot stands, whatever it says.
            Slot::Before(verdict) => {
                self.metrics.review_repeated();
                return Ok(Reviewed::Before(verdict));
            }
        };
        let (scenario, stage) = (asked.event.scenario.as_str(), asked.event.stage.as_str());
        let case = match asks_for_case(scenario, stage, &asked.book) {
            false => CaseView::default(),
            true => {
                let view = self.records.case_view(&asked.event.case_id, &asked.book);
                view.await.map_err(unreadable)?
            }
        };
        let question = Question {
            event: &asked.event,
            cause: &asked.cause,
            supersedes: Some(asked.supersedes),
            lists_behind: false,
        };
        let verdict = decide(question, asked.at, &case, &asked.lists, &asked.book);
        let outcome = verdict.outcome();
        let fresh = Fresh {
            verdict: &verdict,
            digest: self.content.digest(&asked.event),
            event: &asked.event,
            given: asked.given,
            case: &case,
            book: &asked.book,
            caller: CALLER,
            transport: TRANSPORT,
        };
        let (draft, told) = fresh.draft(claim);
        let answer = Answer::before(told);
        let decided = Decided {
            draft,
            answer,
            // Each change behind its own has a review of its own.
            basis: None,
        };
        let kept = self.keep(decided, Some(room)).await?;
        self.metrics.reviewed(outcome);
        Ok(Reviewed::Now(kept.verdict))
    }

    /// Where Kafka keeps the journal, a slot may look free until its record is read.
    fn knows_what_others_decided(&self) -> bool {
        let case_state = self.case_state.as_ref();
        case_state.is_none_or(|case_state| case_state.is_read() && case_state.follows())
    }

    async fn slot(&self, slot: VerdictId) -> Result<Slot, Failure> {
        let recorded = loop {
            match self.records.claim(slot) {
                Claimed::Mine(claim) => {
                    match self.records.recorded_before(slot).await {
                        Ok(None) => return Ok(Slot::First(claim)),
                        Ok(Some(recorded)) => break recorded,
                        Err(error) => return Err(unreadable(error)),
                    };
                }
                // If the first fails, the next one is the first.
                Claimed::Theirs(end) => end.await,
                Claimed::Before(position, _) => {
                    break self.records.read(position).await.map_err(unreadable)?;
                }
                Claimed::Unknown => return Err(Failure::Unknown),
            }
        };
        let verdict = recorded.record.verdict.ok_or(Failure::Unreadable)?;
        Ok(Slot::Before(Box::new(verdict)))
    }
}

impl From<Failure> for NotReviewed {
    fn from(failure: Failure) -> Self {
        let why = failure.to_string();
        match &failure {
            Failure::NotRecorded(AppendError::PayloadTooLarge { .. }) => Self::Record(why),
            Failure::NotPublished(error) if matches!(**error, kafka::Error::TooLarge { .. }) => {
                Self::Record(why)
            }
            _ => Self::Later(why),
        }
    }
}
