//! The decision reads like the way of an event: subjects, lists, measures, verdict.

mod explain;
mod found;
mod incentives;
mod matching;
mod missing;
mod parties;
mod penalties;
mod setting;
mod subject;

use crate::book::Book;
use crate::canonical;
use crate::case::CaseView;
use crate::event::Event;
use crate::lists::Lists;
use crate::time::Time;
use crate::verdict::{
    Cause, Decision, ENGINE_VERSION, Explained, PartyVerdict, SubjectVerdict, Verdict,
    VerdictDigest, VerdictId,
};

pub use explain::{Because, NotMatched, RowExplained, explain};
pub use found::Found;
use parties::Seats;
use setting::Setting;
use smallvec::SmallVec;
use subject::Known;

/// An event with the reason why it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The event.
    pub event: &'a Event,
    /// What made the decision necessary.
    pub cause: &'a Cause,
    /// The verdict that the answer takes the place of.
    pub supersedes: Option<VerdictId>,
    /// The event asked for later lists than these, and whoever asks could not wait for them
    /// (spec 7, `min_list_version`): the answer is for review.
    pub lists_behind: bool,
}

impl<'a> Question<'a> {
    /// The first question about an event.
    #[must_use]
    pub const fn about(event: &'a Event) -> Self {
        Self {
            event,
            cause: &Cause::Event,
            supersedes: None,
            lists_behind: false,
        }
    }
}

/// Judges an event at the instant `at` with what is known of its case, of the lists and the book.
///
/// Pure, total and deterministic: the same arguments give the same verdict, byte for byte.
#[must_use]
pub fn decide(
    question: Question<'_>,
    at: Time,
    case: &CaseView,
    lists: &Lists,
    book: &Book,
) -> Verdict {
    let event = question.event;
    let setting = Setting::of(question, at, lists, book);
    let seats = Seats::of(event);
    let known: Vec<Known<'_>> = event
        .subjects
        .iter()
        .map(|s| Known::of(s, &setting))
        .collect();
    let (subjects, parties) = measure(&setting, case, &seats, &known);
    seal(question, setting, &known, subjects, parties)
}

/// Measures of each subject, and what its party comes to.
fn measure<'a>(
    setting: &Setting<'a>,
    case: &CaseView,
    seats: &Seats<'_>,
    known: &[Known<'a>],
) -> (Vec<SubjectVerdict>, Vec<PartyVerdict>) {
    let mut subjects = Vec::with_capacity(known.len());
    let mut reaching = Reaching::new();
    for (index, known) in known.iter().enumerate() {
        let (verdict, reaches_party) = judge(setting, case, seats, index, known);
        subjects.push(verdict);
        reaching.push(reaches_party);
    }
    let parties = seats.decide(setting.event, &subjects, &reaching);
    (subjects, parties)
}

/// What of each subject's verdict reaches its party from outside the lead roles.
type Reaching = SmallVec<[Decision; 4]>;

fn judge<'a>(
    setting: &Setting<'a>,
    case: &CaseView,
    seats: &Seats<'_>,
    index: usize,
    known: &Known<'a>,
) -> (SubjectVerdict, Decision) {
    let lead_role = seats.lead_role(index, setting.event);
    let penalties = penalties::judge(setting, known, lead_role);
    let incentives = incentives::judge(setting, known, lead_role);
    let mut flags = known.flags(setting);
    flags.extend(penalties.flags);
    flags.extend(missing::check(setting, case, known));
    flags.sort_unstable();
    flags.dedup();
    let needs_review = setting.review || penalties.review || known.needs_review(setting);
    let verdict = SubjectVerdict {
        party: seats.party(index),
        role: known.given.role,
        kind: known.kind,
        identity: known.identity,
        decision: Decision {
            effect: penalties.decision.effect,
            review: setting.may_review && needs_review,
            proposed: penalties.decision.proposed,
            result_code: known.result_code(),
        },
        flags,
        triggered: penalties.triggered,
        offered: incentives.offered,
        withheld: incentives.withheld,
    };
    (verdict, penalties.reaches_party)
}

fn seal(
    question: Question<'_>,
    setting: Setting<'_>,
    known: &[Known<'_>],
    subjects: Vec<SubjectVerdict>,
    parties: Vec<PartyVerdict>,
) -> Verdict {
    let Question {
        event,
        cause,
        supersedes,
        lists_behind: _,
    } = question;
    let mut decision = Decision::default();
    parties
        .iter()
        .for_each(|party| decision.join(&party.decision));
    let mut verdict = Verdict {
        verdict_id: canonical::verdict_id(&event.source, &event.id, cause),
        digest: VerdictDigest([0; 32]),
        source: event.source.clone(),
        event_id: event.id.clone(),
        case_id: event.case_id.clone(),
        scenario: event.scenario.clone(),
        stage: event.stage.clone(),
        cause: cause.clone(),
        decision,
        parties,
        subjects,
        flags: setting.flags,
        not_checked: setting.not_checked,
        list_version: setting.lists.version(),
        lists_as_of: setting.lists_as_of,
        list_age_ms: setting
            .lists_as_of
            .map(|confirmed| setting.at.since(confirmed) / 1_000),
        book_version: setting.book.version(),
        engine_version: ENGINE_VERSION,
        occurred_at: event.occurred_at,
        evaluated_at: setting.at,
        supersedes,
        explanation: not_used(known),
    };
    verdict.digest = canonical::verdict_digest(&verdict);
    verdict
}

/// The entries found and not used, for the journal.
fn not_used(known: &[Known<'_>]) -> Vec<Explained> {
    let of_subject = |(subject, known): (usize, &Known<'_>)| {
        let explained = known.not_used.iter().map(move |hit| Explained {
            subject,
            entry_id: hit.entry_id.into(),
            list: hit.list.code.clone(),
            path: hit.path,
            reason: hit.reason,
        });
        explained.collect::<Vec<_>>()
    };
    known.iter().enumerate().flat_map(of_subject).collect()
}
