//! Reports that came by their topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::ReportsRead;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::{v1, verdict_id_from_text};
use creditgate_runtime::kafka::letter::{Code, Reason, bare_letter, letter};
use creditgate_runtime::kafka::{Incoming, Topic, Unwritten, message};

use super::{Keeper, one};
use crate::error::Error;
use crate::log::{Fault, Happened};
use crate::service::NO_VERDICT;
use crate::state::{CaseState, Refusal};

/// Who reports, as records name it: the topic's own rules say who may write there.
const CALLER: &str = "kafka";

/// Why a letter has nothing but the place of its report.
const TOO_LARGE: &str =
    "the report is larger than the topic of the dead letters takes; it lies at its place";

/// How long after a report the verdict that it names may become known here.
const COMES_WITHIN: Duration = Duration::from_secs(10);

/// What becomes of a report.
enum Found {
    /// It stands in a case, or is known there.
    Case(String, Vec<What>),
    /// It never will: why.
    Refused(Reason),
    /// No verdict of which something may be reported is known here under this id.
    NoVerdict,
}

impl Keeper {
    /// Keeps reports, or lays them with the dead letters, each with the place behind it in one
    /// transaction. Gives how many of the first are done with; none: they cannot be looked at now.
    pub(super) fn reports(
        &mut self,
        batch: &[Incoming],
        moved: &[(i32, i64)],
    ) -> Result<Option<usize>, Error> {
        if !self.reviews.knows_all() {
            return Ok(None);
        }
        let Some(topic) = &self.log.topic else {
            return Ok(None);
        };
        let topic = topic.cluster().topic(Topic::Feedback);
        self.take_in_all()?;
        let now = self.now();
        let mut happened = Happened::default();
        let mut laid_down = Vec::new();
        let mut cases = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut places: BTreeMap<i32, i64> = moved.iter().copied().collect();
        // One that this process read before it took over again may be done with.
        let mut read = self.lookup.reports_read()?;
        read.extend(moved.iter().copied());
        let is_read = |one: &Incoming| read.get(&one.partition).is_some_and(|at| one.offset < *at);
        let mut done = 0;
        for incoming in batch {
            if is_read(incoming) {
                done += 1;
                continue;
            }
            let place = (incoming.partition, incoming.offset);
            let laid = |reason: &Reason| match self.too_large.contains(&place) {
                true => bare_letter(&topic, incoming, &Reason::new(Code::TooLarge, TOO_LARGE)),
                false => letter(&topic, incoming, reason),
            };
            let letters = happened.messages.len();
            let feedback = message::feedback(incoming);
            // Whether its id is new is asked of what is recorded: one of this batch is not yet.
            if let Ok(feedback) = &feedback
                && !ids.insert(feedback.feedback_id.clone())
            {
                break;
            }
            match self.report(feedback, now)? {
                Found::NoVerdict if may_still_come(incoming, now) => break,
                Found::NoVerdict => {
                    let reason = Reason::new(Code::Refused, NO_VERDICT);
                    happened.messages.push(laid(&reason));
                }
                Found::Refused(reason) => happened.messages.push(laid(&reason)),
                // It is made of what the one before leaves.
                Found::Case(case_id, _) if cases.contains(&case_id) => break,
                Found::Case(case_id, what) => {
                    let what = what.into_iter().map(|what| (case_id.clone(), what));
                    happened.records.extend(what);
                    cases.insert(case_id);
                }
            }
            if happened.messages.len() > letters {
                laid_down.push(place);
            }
            places.insert(incoming.partition, incoming.offset + 1);
            done += 1;
        }
        let read = places.into_iter().map(|(partition, offset)| {
            let read = ReportsRead { partition, offset };
            (String::new(), What::ReportsRead(read))
        });
        happened.records.extend(read);
        let recorded = self.record(happened, CALLER, now);
        if let Err(Error::Topic(fault)) = &recorded
            && let Fault::Unwritten(Unwritten::TooLarge(index)) = **fault
        {
            // The next time only its place is told.
            self.too_large.extend(laid_down.get(index));
        }
        recorded?;
        Ok(Some(done))
    }

    fn report(&self, feedback: Result<v1::Feedback, Reason>, now: Time) -> Result<Found, Error> {
        let feedback = match feedback {
            Ok(feedback) => feedback,
            Err(reason) => return Ok(Found::Refused(reason)),
        };
        let verdict = verdict_id_from_text(&feedback.verdict_id);
        let verdict = verdict.map(|verdict| verdict.0.into_bytes());
        let found = verdict.map(|id| self.lookup.bitten_by(&id)).transpose()?;
        let Some(found) = found.flatten() else {
            return Ok(Found::NoVerdict);
        };
        let state = CaseState::from_stored(&found.state)?;
        let known = self.lookup.reported_by(&feedback.feedback_id)?;
        let elsewhere = known.is_some_and(|known| known.case_id != found.case_id);
        let terms = self.shared.terms(&self.live);
        let made = match elsewhere {
            true => Err(Refusal::OtherContent(feedback.feedback_id.clone())),
            // What is recorded already is not asked again.
            false => {
                one(What::Feedback(feedback.clone()))(&state, now, CALLER).and_then(|new| match new
                    .is_empty()
                {
                    true => Ok(new),
                    false => terms.may_propose(&feedback).map(|()| new),
                })
            }
        };
        Ok(match made {
            Ok(what) => Found::Case(found.case_id, what),
            Err(refusal) => {
                let code = match refusal {
                    Refusal::OtherContent(_) => Code::Conflict,
                    _ => Code::Refused,
                };
                Found::Refused(Reason::new(code, refusal))
            }
        })
    }
}

/// Whether the verdict may only be late: whoever reports has had it from another process a moment ago.
fn may_still_come(incoming: &Incoming, now: Time) -> bool {
    let reported = incoming.timestamp_ms.unwrap_or_default();
    let age = u128::try_from(now.micros() / 1_000 - reported);
    age.is_ok_and(|age| age < COMES_WITHIN.as_millis())
}
