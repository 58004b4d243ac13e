//! The case itself: its events, who was checked where, its chain of verdicts, and its end.

use creditgate_measures::identifier::Key;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::journal::v1::CaseClosed;
use serde::{Deserialize, Serialize};

use super::stored::Masked;
use super::table::{self, CaseStep, Phase};
use super::{CaseState, Happened, Life, Recording, Refusal, Said, Taken, Terms, stored};
use crate::facts::{self, VerdictFacts};

/// A subject of the case in a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseSubject {
    /// By what it is known again.
    pub who: Who,
    /// Its role.
    pub role: String,
    /// Every key under which decisions look for it, as far as its verdicts tell; ascending.
    pub lookups: Vec<Key>,
}

/// By what a case knows a subject again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// Its identifier, else its name.
    Key(Key),
    /// It has neither: its place in the event.
    Place(u32),
}

/// A check of a subject at a stage. Reviews are no checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Number of the subject in the case.
    pub subject: u32,
    /// The stage.
    pub stage: String,
    /// When the step took place; of several the earliest.
    pub at: Time,
}

/// A decisive check that a step came without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Number of the subject in the case.
    pub subject: u32,
    /// The stage whose check was missing.
    pub stage: String,
    /// The verdict of that step.
    #[serde(with = "stored::id")]
    pub verdict: VerdictId,
}

/// The last event of a case: the latest, by the time of the step and then by its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEvent {
    /// When the step took place.
    pub occurred_at: Time,
    /// Sequence number of its record in the journal of verdicts.
    pub sequence: u64,
    /// Position of its record.
    pub position: u64,
    /// Its stage.
    pub stage: String,
    /// Where the case is, six digits: where the last event of the system that began it took place.
    pub region: String,
    /// Its verdict, not that of a review.
    #[serde(with = "stored::id")]
    pub verdict: VerdictId,
}

/// How somebody had a case closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Why.
    pub reason: Masked,
    /// Number of the document.
    pub document_no: String,
    /// Name of the caller.
    pub caller: String,
}

/// A verdict of the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The verdict.
    #[serde(with = "stored::id")]
    pub verdict: VerdictId,
    /// Position of its record in the journal of verdicts.
    pub position: u64,
    /// Who sent the event, and the event's id.
    pub event: (String, String),
    /// Its stage.
    pub stage: String,
    /// What made it necessary.
    pub cause: String,
    /// What it says.
    pub said: Said,
    /// When the step that it judges took place.
    pub occurred_at: Time,
    /// When it was judged.
    pub evaluated_at: Time,
    /// Version of the lists.
    pub list_version: String,
    /// The sequence number in it.
    pub list_seq: u64,
    /// Version of the book.
    pub book_version: String,
    /// The verdict whose place it took.
    #[serde(with = "stored::id::maybe")]
    pub supersedes: Option<VerdictId>,
    /// For each subject of the event its number in the case.
    pub subjects: Vec<u32>,
    /// The measures that it shows.
    pub shown: Vec<Shown>,
    /// The rewards that it offers, by their place among the case's.
    pub offered: Vec<u32>,
    /// It judges a step at which somebody is inspected.
    pub inspects: bool,
}

/// A measure as a verdict shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its place among the case's measures.
    pub measure: u32,
    /// Its round then.
    pub round: u32,
    /// It applied by this verdict, in part too, or was confirmed as this verdict showed it: implementers
    /// may have carried it out for it.
    pub applied: bool,
}

impl Recorded {
    /// As [`VerdictFacts::is_review`].
    #[must_use]
    pub fn is_review(&self) -> bool {
        facts::is_review(&self.cause)
    }
}

impl CaseState {
    /// Gives each subject of a verdict its number in the case.
    pub(super) fn number_subjects(&mut self, facts: &VerdictFacts) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(facts.subjects.len());
        for subject in &facts.subjects {
            let who = subject.key.map_or(Who::Place(subject.index), Who::Key);
            let known = self
                .subjects
                .iter()
                .position(|known| known.who == who && known.role == subject.role);
            let place = known.unwrap_or_else(|| {
                self.subjects.push(CaseSubject {
                    who,
                    role: subject.role.clone(),
                    lookups: Vec::new(),
                });
                self.subjects.len() - 1
            });
            if let Some(known) = self.subjects.get_mut(place) {
                known.lookups.extend(&subject.lookups);
                known.lookups.sort_unstable();
                known.lookups.dedup();
            }
            numbers.push(number(place));
        }
        numbers
    }

    /// What the verdict means for the course of the case.
    pub(super) fn take_step(
        &mut self,
        facts: &VerdictFacts,
        subjects: &[u32],
        happened: &mut Vec<Happened>,
    ) {
        if facts.is_review() {
            // It leaves the phase as it is; the table says so for both.
            return;
        }
        let last = LastEvent {
            occurred_at: facts.occurred_at,
            sequence: facts.sequence,
            position: facts.position,
            stage: facts.stage.clone(),
            region: facts.region.clone(),
            verdict: facts.verdict_id,
        };
        let was = self.life.as_ref().map(|life| life.phase);
        if was != Some(Phase::Open) {
            happened.push(Happened::Opened);
        }
        // The case stays the matter of the system whose events it began with: another one, which may have numbers of its own
        // that are alike, neither takes it to its region nor makes another scenario of it.
        let at_home = self.began_with(&facts.source);
        let moves = at_home || facts.scenario == self.scenario;
        // Of two at one time the one that was taken in later: that order is the same everywhere.
        let later = |known: &LastEvent| last.occurred_at >= known.occurred_at;
        match &mut self.life {
            None => {
                self.scenario.clone_from(&facts.scenario);
                self.latest = Some(facts.verdict_id);
                self.life = Some(Life {
                    phase: Phase::Open,
                    opened_at: facts.occurred_at,
                    last,
                    closed_at: None,
                    closed_why: String::new(),
                    closing: None,
                });
            }
            Some(life) => {
                life.phase = table::step(table::CASE, "case", life.phase, CaseStep::Event)
                    .unwrap_or(Phase::Open);
                life.closed_at = None;
                life.closed_why.clear();
                life.closing = None;
                life.opened_at = life.opened_at.min(facts.occurred_at);
                if moves && later(&life.last) {
                    self.scenario.clone_from(&facts.scenario);
                    self.latest = Some(facts.verdict_id);
                    let region = match at_home {
                        true => last.region.clone(),
                        false => life.last.region.clone(),
                    };
                    life.last = LastEvent { region, ..last };
                }
            }
        }
        self.take_checks(facts, subjects);
    }

    /// Whether the first event of the case came from this system.
    fn began_with(&self, source: &str) -> bool {
        let first = self.verdicts.first();
        first.is_none_or(|first| first.event.0 == source)
    }

    fn take_checks(&mut self, facts: &VerdictFacts, subjects: &[u32]) {
        for (subject, of) in subjects.iter().zip(&facts.subjects) {
            let known = self
                .checks
                .iter_mut()
                .find(|check| check.subject == *subject && check.stage == facts.stage);
            match known {
                Some(check) => check.at = check.at.min(facts.occurred_at),
                None => self.checks.push(Check {
                    subject: *subject,
                    stage: facts.stage.clone(),
                    at: facts.occurred_at,
                }),
            }
            for stage in &of.missing {
                let known = |noted: &Noted| noted.subject == *subject && noted.stage == *stage;
                if !self.noted.iter().any(known) {
                    self.noted.push(Noted {
                        subject: *subject,
                        stage: stage.clone(),
                        verdict: facts.verdict_id,
                    });
                }
            }
        }
    }

    /// Adds the verdict to the chain. A review becomes the latest when it judges the last event; one
    /// of an earlier event came too late to say how the case stands.
    pub(super) fn link_verdict(
        &mut self,
        facts: &VerdictFacts,
        subjects: Vec<u32>,
        shown: Vec<Shown>,
        offered: Vec<u32>,
    ) {
        let event = (facts.source.clone(), facts.event_id.clone());
        if facts.is_review() {
            let last = self.life.as_ref().map(|life| life.last.verdict);
            let of_last = last
                .and_then(|verdict| self.recorded(verdict))
                .is_some_and(|last| last.event == event);
            let newer = self
                .latest
                .and_then(|verdict| self.recorded(verdict))
                .is_none_or(|latest| latest.list_seq <= facts.list_seq);
            if of_last && newer {
                self.latest = Some(facts.verdict_id);
            }
        }
        self.verdicts.push(Recorded {
            verdict: facts.verdict_id,
            position: facts.position,
            event,
            stage: facts.stage.clone(),
            cause: facts.cause.clone(),
            said: Said::of(facts),
            occurred_at: facts.occurred_at,
            evaluated_at: facts.evaluated_at,
            list_version: facts.list_version.clone(),
            list_seq: facts.list_seq,
            book_version: facts.book_version.clone(),
            supersedes: facts.supersedes,
            subjects,
            shown,
            offered,
            inspects: facts.inspects(),
        });
    }

    /// A verdict of the case.
    #[must_use]
    pub fn recorded(&self, verdict: VerdictId) -> Option<&Recorded> {
        self.verdicts.iter().find(|known| known.verdict == verdict)
    }

    /// The verdict that says how the case stands.
    #[must_use]
    pub fn latest(&self) -> Option<&Recorded> {
        self.recorded(self.latest?)
    }

    /// The verdict that took this one's place directly; of several the last recorded.
    #[must_use]
    pub fn superseded_by(&self, verdict: VerdictId) -> Option<VerdictId> {
        self.verdicts
            .iter()
            .rfind(|known| known.supersedes == Some(verdict) && known.verdict != verdict)
            .map(|known| known.verdict)
    }

    /// The verdict at the end of the chain that begins with this one.
    #[must_use]
    pub fn successor(&self, verdict: VerdictId) -> Option<VerdictId> {
        let mut last = None;
        // No longer than there are verdicts, should a chain ever lead back to itself.
        for _ in 0..self.verdicts.len() {
            match self.superseded_by(last.unwrap_or(verdict)) {
                Some(next) => last = Some(next),
                None => break,
            }
        }
        last
    }

    /// Every key under which decisions look for the case's subjects, ascending.
    #[must_use]
    pub fn lookups(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self
            .subjects
            .iter()
            .flat_map(|subject| subject.lookups.iter().copied())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether it is reviewed when something changes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.life
            .as_ref()
            .is_some_and(|life| life.phase == Phase::Open)
    }

    /// Where the last event of the system that began it took place, six digits; empty where no verdict of it was taken in.
    #[must_use]
    pub fn region(&self) -> &str {
        self.life.as_ref().map_or("", |life| &life.last.region)
    }

    /// The decisive stage after that of the last event; `None`: none is left.
    #[must_use]
    pub fn next_decisive<'t>(&self, terms: &'t dyn Terms) -> Option<&'t str> {
        let last = &self.life.as_ref()?.last.stage;
        let stages = terms.stages(&self.scenario);
        let here = stages.iter().position(|stage| stage.code == *last)?;
        stages
            .get(here + 1..)?
            .iter()
            .find(|stage| stage.decisive)
            .map(|stage| stage.code.as_str())
    }

    /// The stage that a review judges: the next decisive one, or that of the last event.
    #[must_use]
    pub fn review_stage(&self, terms: &dyn Terms) -> Option<String> {
        let last = &self.life.as_ref()?.last;
        Some(self.next_decisive(terms).unwrap_or(&last.stage).to_owned())
    }

    /// The day after which an open case counts as closed.
    #[must_use]
    pub fn open_until(&self, terms: &dyn Terms) -> Option<Date> {
        let last = &self.life.as_ref()?.last;
        let days = i32::try_from(terms.open_days(&self.scenario)?).ok()?;
        Some(last.occurred_at.date().plus_days(days))
    }

    pub(super) fn close(
        &mut self,
        closed: &CaseClosed,
        recording: &Recording<'_>,
    ) -> Result<Taken, Refusal> {
        if !CLOSED_WHY.contains(&closed.why.as_str()) {
            let rule = format!("is none of {}", CLOSED_WHY.join(", "));
            return Err(Refusal::field("why", rule));
        }
        if closed.why == BY_REQUEST && closed.reason.trim().is_empty() {
            return Err(Refusal::field(
                "reason",
                "is required: say why the case ends",
            ));
        }
        let Some(life) = &mut self.life else {
            return Err(Refusal::NoCase(self.case_id.clone()));
        };
        if life.phase == Phase::Closed {
            return match life.was_closed_so(closed) {
                true => Ok(Taken::REPEATED),
                false => Err(life.closed_already()),
            };
        }
        life.phase = table::step(table::CASE, "case", life.phase, CaseStep::Close)?;
        life.closed_at = Some(recording.at);
        life.closed_why.clone_from(&closed.why);
        life.closing = (closed.why == BY_REQUEST).then(|| Closing {
            reason: closed.reason.as_str().into(),
            document_no: closed.document_no.clone(),
            caller: recording.caller.to_owned(),
        });
        Ok(Taken::new(vec![Happened::Closed]))
    }
}

impl Life {
    /// Whether it was closed in just this way.
    fn was_closed_so(&self, closed: &CaseClosed) -> bool {
        self.closed_why == closed.why
            && self.closing.as_ref().is_none_or(|closing| {
                closing.reason.0 == closed.reason && closing.document_no == closed.document_no
            })
    }

    /// Why it cannot be closed otherwise. The reason itself may name somebody, so whoever may read the case
    /// finds it there.
    fn closed_already(&self) -> Refusal {
        let because = match (self.closed_why.as_str(), &self.closing) {
            (LAST_STAGE, _) => "its last stage was reached".to_owned(),
            (TIME_LIMIT, _) => "its time limit had passed".to_owned(),
            (_, None) => "somebody asked for it".to_owned(),
            (_, Some(closing)) => {
                let document = match closing.document_no.as_str() {
                    "" => String::new(),
                    number => format!(" with document `{number}`"),
                };
                let caller = &closing.caller;
                format!("`{caller}` asked for it{document}: the case itself shows the reason")
            }
        };
        let day = self
            .closed_at
            .map_or(String::new(), |at| at.date().to_string());
        Refusal::Closed { day, because }
    }
}

pub(super) const LAST_STAGE: &str = "last_stage";
pub(super) const BY_REQUEST: &str = "by_request";
pub(super) const TIME_LIMIT: &str = "time_limit";

const CLOSED_WHY: [&str; 3] = [LAST_STAGE, BY_REQUEST, TIME_LIMIT];

/// A place as a number; a case never has so many of anything that it would not fit.
pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
