//! The way of one check: decoded, lists reached, known or first, judged, kept, answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use creditgate_measures::book::Book;
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Cause, Verdict, VerdictId};
use creditgate_measures::{Question, canonical, decide};
use creditgate_proto::decode::{
    DecodedEvent, book_violations, event_from_proto, event_from_record,
};
use creditgate_proto::{MinListVersion, Refused, v1, verdict_id_from_text};
use creditgate_runtime::access::View;
use creditgate_runtime::callers::Caller;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::journal::{AppendError, Receipt};
use creditgate_runtime::kafka;
use creditgate_runtime::live::{Behind, Generation};
use creditgate_runtime::metrics::{Pending, Transport, VerdictCounter};
use creditgate_runtime::telemetry::names::field;

use crate::admission::Room;
use crate::content::ContentDigest;
use crate::failure::Failure;
use crate::final_check::Basis;
use crate::gate::{COMPONENT, Inner};
use crate::persist::Persistent;
use crate::records::{self, Claim, Claimed, Draft, Fresh, Recorded};

/// An event as it came in.
pub(crate) struct Arrival {
    pub event: v1::Event,
    pub caller: Caller,
    pub transport: Transport,
    /// When the answer is due, as far as waiting for lists goes.
    pub lists_until: Instant,
    /// What happens when they have not come by then.
    pub late_lists: LateLists,
}

/// What happens to an event whose lists do not come in time (spec 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LateLists {
    /// It is refused: somebody waits who can ask again.
    Refuse,
    /// It is judged for review: nobody waits.
    Review,
}

/// A verdict that may be told: its record is durable.
pub(crate) struct Answer {
    /// The whole verdict, as it is recorded and published. In a box, since it is half a kilobyte and changes hands often.
    pub verdict: Box<v1::Verdict>,
    /// Through which its caller sees it; none: it sees the whole.
    pub view: Option<Arc<View>>,
    /// The counter of a new verdict; none for one that was there before.
    pub counter: Option<VerdictCounter>,
    /// What proves the record; none before it is durable, and where Kafka keeps the journal.
    pub receipt: Option<Receipt>,
}

/// What judging leads to.
pub(crate) enum Judged {
    /// The event had its verdict before.
    Before(Box<Before>),
    /// It has one now, which may not be told yet.
    Now(Box<Decided>),
}

/// A verdict that was recorded before.
#[derive(Debug)]
pub(crate) struct Before {
    verdict: Box<v1::Verdict>,
    receipt: Receipt,
    view: Option<Arc<View>>,
}

/// A verdict that is not recorded yet.
pub(crate) struct Decided {
    pub draft: Draft,
    pub answer: Answer,
    /// What it rests on; none where its answer is final as it is.
    pub basis: Option<Basis>,
}

/// A decoded event with what it is known by.
pub(crate) struct Asked {
    event: Event,
    given: v1::Event,
    min_list_version: Option<MinListVersion>,
    verdict: VerdictId,
    digest: ContentDigest,
    caller: Caller,
    transport: Transport,
    lists_until: Instant,
    late_lists: LateLists,
}

impl Answer {
    pub(crate) fn repeated(&self) -> bool {
        self.counter.is_none()
    }

    /// The verdict as its caller sees it.
    pub(crate) fn told(self) -> v1::Verdict {
        let mut verdict = self.verdict;
        if let Some(view) = &self.view {
            view.show(&mut verdict);
        }
        *verdict
    }
}

impl Inner {
    /// One check, from its arrival to its answer.
    pub(crate) async fn check(&self, arrival: Arrival) -> Result<Answer, Failure> {
        let room = self.admission.one()?;
        if self.records.is_saturated() {
            return Err(Failure::Overloaded);
        }
        match self.judge(arrival).await? {
            // Boxed: as rare as the long way of judging.
            Judged::Before(before) => Box::pin(self.repeated(*before)).await,
            Judged::Now(decided) => self.keep(*decided, Some(room)).await,
        }
    }

    /// Everything up to the verdict.
    pub(crate) async fn judge(&self, arrival: Arrival) -> Result<Judged, Failure> {
        match self.judge_at_once(arrival)? {
            AtOnce::Judged(decided) => Ok(Judged::Now(decided)),
            // Boxed: the rare way is long, and every check would carry room for it.
            AtOnce::Waits(asked) => Box::pin(self.judge_waiting(*asked)).await,
        }
    }

    /// As far as an event gets without waiting: nearly always to its verdict.
    pub(crate) fn judge_at_once(&self, arrival: Arrival) -> Result<AtOnce, Failure> {
        let asked = self.decode(arrival)?;
        let lists_are_there = asked
            .min_list_version
            .is_none_or(|MinListVersion { log_id, seq }| self.live.has(log_id, seq));
        if !lists_are_there {
            return Ok(AtOnce::Waits(Box::new(asked)));
        }
        let Some(claim) = self.records.claim_fresh(asked.verdict) else {
            return Ok(AtOnce::Waits(Box::new(asked)));
        };
        let generation = self.live.load();
        fits(&asked.event, &generation.book)?;
        let case = match asked.asks_for_case(&generation.book) {
            false => CaseView::default(),
            true => match self.records.case_view_at_once(&asked.event.case_id) {
                Some(view) => view,
                None => return Ok(AtOnce::Waits(Box::new(asked))),
            },
        };
        let decided = self.decide_now(asked, claim, &case, &generation, false);
        Ok(AtOnce::Judged(Box::new(decided)))
    }

    /// The way of an event that must wait: for lists, for another check of the same event, or for
    /// what the disk knows of it or of its case.
    pub(crate) async fn judge_waiting(&self, asked: Asked) -> Result<Judged, Failure> {
        let lists_behind = match self.reach_lists(&asked).await {
            Ok(None) => false,
            Ok(Some(before)) => return Ok(Judged::Before(before)),
            Err(Failure::ListsBehind(_)) if asked.late_lists == LateLists::Review => true,
            Err(failure) => return Err(failure),
        };
        let claim = match self.known(&asked).await? {
            Known::Before(before) => return Ok(Judged::Before(before)),
            Known::First(claim) => claim,
        };
        let generation = self.live.load_full();
        fits(&asked.event, &generation.book)?;
        let case = match asked.asks_for_case(&generation.book) {
            false => CaseView::default(),
            true => {
                let view = self
                    .records
                    .case_view(&asked.event.case_id, &generation.book);
                view.await.map_err(unreadable)?
            }
        };
        let decided = self.decide_now(asked, claim, &case, &generation, lists_behind);
        Ok(Judged::Now(Box::new(decided)))
    }

    fn decide_now(
        &self,
        asked: Asked,
        claim: Claim,
        case: &CaseView,
        generation: &Arc<Generation>,
        lists_behind: bool,
    ) -> Decided {
        let question = Question {
            lists_behind,
            ..Question::about(&asked.event)
        };
        let verdict = decide(
            question,
            self.now(),
            case,
            &generation.lists,
            &generation.book,
        );
        self.shadow.offer(
            &asked.event,
            case,
            &generation.lists,
            lists_behind,
            &verdict,
        );
        self.decided(asked, claim, verdict, case, generation, lists_behind)
    }

    /// Records a verdict; after that it may be told. The room is kept until the record is settled.
    pub(crate) async fn keep(
        &self,
        decided: Decided,
        room: Option<Room>,
    ) -> Result<Answer, Failure> {
        let Decided {
            draft,
            answer,
            basis,
        } = decided;
        let records = Arc::clone(&self.records);
        let outbox = self.outbox.clone();
        let kept = Persistent::new(async move {
            if let Some(outbox) = &outbox {
                let published = outbox.publish(&answer.verdict, &draft.record.payload);
                published.await.map_err(not_published)?;
            }
            let kept = records.append(draft).await;
            drop(room);
            Ok::<_, Failure>((kept, answer))
        });
        let (kept, answer) = kept.await?;
        match kept {
            Ok(receipt) => Ok(self.acknowledged(answer, Some(receipt), basis)),
            Err(error) if self.outbox.is_some() => {
                self.copy_failed(&error);
                Ok(self.acknowledged(answer, None, basis))
            }
            Err(error) => Err(self.not_kept(error)),
        }
    }

    /// On Kafka the journal is a copy: the verdict is durable without it.
    pub(crate) fn copy_failed(&self, error: &AppendError) {
        tracing::error!(%error, "a verdict is on its topic, and the local copy does not take it");
        if let AppendError::Stalled { .. } = error {
            // Whoever follows the topic takes it from there once there is room; the indexer tells until then.
            return;
        }
        self.readiness.not_ready(
            COMPONENT,
            "the local copy of verdicts takes no records: look at the disk, and restart",
        );
    }

    /// The failure for a record that the journal did not take.
    pub(crate) fn not_kept(&self, error: AppendError) -> Failure {
        if let AppendError::Indefinite { .. }
        | AppendError::Failed { .. }
        | AppendError::Unanswered = error
        {
            self.readiness.not_ready(
                COMPONENT,
                "the disk did not confirm a record: restart, to find what is there",
            );
        }
        Failure::NotRecorded(error)
    }

    fn decode(&self, arrival: Arrival) -> Result<Asked, Failure> {
        let Arrival {
            event: given,
            caller,
            transport,
            lists_until,
            late_lists,
        } = arrival;
        // First: whoever tries what it likes does not try it as often as it likes.
        caller.take_one().map_err(Failure::TooMany)?;
        let DecodedEvent {
            event,
            min_list_version,
        } = event_from_proto(&given, &self.limits.event, self.now())?;
        caller.asks_about(&event)?;
        Ok(Asked {
            verdict: canonical::verdict_id(&event.source, &event.id, &Cause::Event),
            digest: self.content.digest(&event),
            event,
            given,
            min_list_version,
            caller,
            transport,
            lists_until,
            late_lists,
        })
    }

    /// Waits for the lists asked for, unless the event has its verdict already. No slot is claimed
    /// meanwhile: others with the same event need not wait for lists they did not ask for.
    async fn reach_lists(&self, asked: &Asked) -> Result<Option<Box<Before>>, Failure> {
        let Some(MinListVersion { log_id, seq }) = asked.min_list_version else {
            return Ok(None);
        };
        if self.live.reach(log_id, seq, Duration::ZERO).await.is_ok() {
            return Ok(None);
        }
        let before = self.records.find(asked.verdict).await;
        if let Some(recorded) = before.map_err(unreadable)? {
            return self.same_content(asked, recorded).map(Some);
        }
        let patience = asked.lists_until.saturating_duration_since(Instant::now());
        let reached = self.live.reach(log_id, seq, patience).await;
        if let Err(Behind::NotYet { .. }) = reached
            && !patience.is_zero()
        {
            *self.lists_were_late.lock() = Some(Instant::now());
        }
        reached?;
        Ok(None)
    }

    /// The verdict that the event had before, or the right to be the first.
    async fn known(&self, asked: &Asked) -> Result<Known, Failure> {
        loop {
            match self.records.claim(asked.verdict) {
                Claimed::Mine(claim) => {
                    let before = self.records.recorded_before(asked.verdict).await;
                    return match before.map_err(unreadable)? {
                        None => Ok(Known::First(claim)),
                        Some(recorded) => self.same_content(asked, recorded).map(Known::Before),
                    };
                }
                // If the first fails, the next one is the first.
                Claimed::Theirs(end) => end.await,
                Claimed::Before(_, digest) if digest != asked.digest => {
                    return Err(Failure::OtherContent);
                }
                Claimed::Before(position, _) => {
                    let recorded = self.records.read(position).await.map_err(unreadable)?;
                    return self.same_content(asked, recorded).map(Known::Before);
                }
                Claimed::Unknown => return Err(Failure::Unknown),
            }
        }
    }

    /// The recorded verdict, if the event's content is the recorded one.
    ///
    /// Digests made with another key say nothing, so the stored event has the last word.
    fn same_content(&self, asked: &Asked, recorded: Recorded) -> Result<Box<Before>, Failure> {
        let receipt = recorded.receipt();
        let record = recorded.record;
        let same = record.content_digest == asked.digest.0
            || event_from_record(&record)
                .is_ok_and(|event| self.content.digest(&event) == asked.digest);
        if !same {
            return Err(Failure::OtherContent);
        }
        let verdict = record.verdict.map(Box::new).ok_or(Failure::Unreadable)?;
        Ok(Box::new(Before {
            verdict,
            receipt,
            view: asked.view(),
        }))
    }

    /// The answer to a repeat.
    pub(crate) async fn repeated(&self, before: Before) -> Result<Answer, Failure> {
        let Before {
            mut verdict,
            receipt,
            view,
        } = before;
        self.tell_successor(&mut verdict).await?;
        Ok(Answer {
            view,
            receipt: self.shown(receipt),
            ..Answer::before(verdict)
        })
    }

    /// A receipt as it may be told: none where Kafka keeps the journal, of which there are copies with numbers of their own
    /// here, and none of a record that a power cut may take.
    pub(crate) fn shown(&self, receipt: Receipt) -> Option<Receipt> {
        self.gives_receipts.then_some(receipt)
    }

    /// Has a recorded verdict tell which one took its place since (spec 7). Neither its record nor
    /// its digest has this.
    pub(crate) async fn tell_successor(&self, verdict: &mut v1::Verdict) -> Result<(), Failure> {
        let id = verdict_id_from_text(&verdict.verdict_id).ok_or(Failure::Unreadable)?;
        let successor = self.records.successor(id).await.map_err(unreadable)?;
        verdict.superseded_by = successor.map(|successor| successor.to_string());
        Ok(())
    }

    fn decided(
        &self,
        asked: Asked,
        claim: Claim,
        verdict: Verdict,
        case: &CaseView,
        generation: &Arc<Generation>,
        lists_behind: bool,
    ) -> Decided {
        let book = &generation.book;
        let view = asked.view();
        let Asked {
            event,
            given,
            digest,
            caller,
            transport,
            ..
        } = asked;
        let counter = self
            .tally
            .counter(book, &verdict.scenario, verdict.outcome());
        let fresh = Fresh {
            verdict: &verdict,
            event: &event,
            given,
            digest,
            case,
            book,
            caller: caller.name(),
            transport: recorded_transport(transport),
        };
        let (draft, told) = fresh.draft(claim);
        let answer = Answer {
            verdict: told,
            view,
            counter,
            receipt: None,
        };
        let basis = Basis {
            event,
            generation: Arc::clone(generation),
            lists_behind,
        };
        Decided {
            draft,
            answer,
            basis: Some(basis),
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_micros(self.clock.now_micros())
    }
}

impl Asked {
    /// The view through which whoever asks sees the verdict.
    fn view(&self) -> Option<Arc<View>> {
        self.caller.view(self.event.purpose.as_deref()).cloned()
    }

    fn asks_for_case(&self, book: &Book) -> bool {
        asks_for_case(
            self.event.scenario.as_str(),
            self.event.stage.as_str(),
            book,
        )
    }
}

/// What is known of a case is asked only for the stages that come after a decisive one.
pub(crate) fn asks_for_case(scenario: &str, stage: &str, book: &Book) -> bool {
    book.scenario(scenario)
        .filter(|scenario| scenario.go_live.is_some())
        .and_then(|scenario| scenario.stage(stage))
        .is_some_and(|stage| stage.after.is_some())
}

/// How far an event got without waiting.
pub(crate) enum AtOnce {
    Judged(Box<Decided>),
    Waits(Box<Asked>),
}

/// Whether the event is the first with its id.
enum Known {
    First(Claim),
    Before(Box<Before>),
}

impl Answer {
    pub(crate) fn before(verdict: Box<v1::Verdict>) -> Self {
        Self {
            verdict,
            view: None,
            counter: None,
            receipt: None,
        }
    }
}

/// Tells the balance what became of a check.
pub(crate) fn settle(pending: Pending, result: &Result<Answer, Failure>) {
    match result {
        Ok(answer) => match &answer.counter {
            Some(counter) => pending.verdict(counter),
            None => pending.repeated(),
        },
        Err(failure) => pending.refused(failure.refusal()),
    }
}

/// Whether the book knows the scenario, the stage and the attributes.
fn fits(event: &Event, book: &Book) -> Result<(), Failure> {
    Refused::unless_empty(book_violations(event, book)).map_err(Failure::Invalid)
}

pub(crate) fn not_published(error: kafka::Error) -> Failure {
    tracing::warn!({ field::ERROR } = %Chain(&error), "a verdict is not answered, since Kafka did not confirm it");
    Failure::NotPublished(Arc::new(error))
}

/// Tells the operator; the caller learns only that it cannot be read.
pub(crate) fn unreadable(error: records::Error) -> Failure {
    tracing::error!({ field::ERROR } = %Chain(&error), "what was recorded cannot be read");
    Failure::Unreadable
}

/// FENCED: records keep these words.
fn recorded_transport(transport: Transport) -> &'static str {
    match transport {
        Transport::GrpcCheck => "grpc",
        Transport::GrpcBatch => "grpc_batch",
        Transport::GrpcStream => "grpc_stream",
        Transport::HttpCheck => "http",
        Transport::HttpEvents => "cloudevents",
        Transport::Kafka => "kafka",
    }
}
