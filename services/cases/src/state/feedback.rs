//! What is reported about measures carried out (奖惩案例), penalties and rewards, and what inspections found:
//! kept as it comes, with what is odd about it.

use creditgate_measures::event::Region;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::{v1, verdict_id_from_text};
use serde::{Deserialize, Serialize};

use super::case::Recorded;
use super::table::MeasureState;
use super::{CaseState, Recording, Refusal, Taken, stored};

/// It was carried out.
const EXECUTED: &str = "executed";
/// It was carried out in part.
const PARTLY: &str = "partly";
/// It was not carried out.
const NOT_EXECUTED: &str = "not_executed";

const STATUSES: [&str; 3] = [EXECUTED, PARTLY, NOT_EXECUTED];

/// A report as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The report.
    #[serde(with = "stored::message")]
    pub feedback: v1::Feedback,
    /// The verdict that it is about.
    #[serde(with = "stored::id")]
    pub verdict: VerdictId,
    /// What of that verdict.
    pub about: About,
    /// When it was carried out.
    pub executed_at: Time,
    /// When it was recorded.
    pub recorded_at: Time,
    /// Name of the caller.
    pub caller: String,
    /// What is odd about it: `late`, `contradicts`, `not_confirmed`, `before_event`.
    pub flags: Vec<String>,
    /// The lists are told of it.
    pub lists_told: bool,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum About {
    /// A penalty that the verdict showed.
    Penalty {
        /// Its place among the case's measures.
        measure: u32,
        /// Its round when the verdict showed it.
        round: u32,
    },
    /// A reward that the verdict offered: its place among the case's.
    Reward(u32),
    /// What an inspection found.
    Inspection,
}

impl About {
    /// As it is shown.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Penalty { .. } => "penalty",
            Self::Reward(_) => "incentive",
            Self::Inspection => "inspection",
        }
    }
}

impl Report {
    /// Whether it speaks for this implementer; one without an implementer speaks for all.
    #[must_use]
    pub fn speaks_for(&self, implementer: &str) -> bool {
        self.feedback.implementer.is_empty() || self.feedback.implementer == implementer
    }

    /// Whether it says that the measure was carried out, in part too.
    #[must_use]
    pub fn says_executed(&self) -> bool {
        self.feedback.status != NOT_EXECUTED
    }

    /// Whether it is about this measure of this verdict. A verdict shows a measure in one round, so
    /// nothing of an earlier round is meant. Of inspections each stands for itself.
    fn is_about(&self, verdict: VerdictId, about: About) -> bool {
        self.verdict == verdict && self.about == about && about != About::Inspection
    }
}

impl CaseState {
    /// The reports that count: of each verdict, measure and implementer the last one.
    pub fn counting(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter().enumerate().filter_map(|(at, report)| {
            let later = self.reports.get(at + 1..)?;
            let replaced = later.iter().any(|other| {
                other.is_about(report.verdict, report.about)
                    && other.speaks_for(&report.feedback.implementer)
            });
            (!replaced).then_some(report)
        })
    }

    pub(super) fn report(
        &mut self,
        feedback: &v1::Feedback,
        recording: &Recording<'_>,
    ) -> Result<Taken, Refusal> {
        let known = self
            .reports
            .iter()
            .find(|report| report.feedback.feedback_id == feedback.feedback_id);
        if let Some(known) = known {
            return match known.feedback == *feedback {
                true => Ok(Taken::REPEATED),
                false => Err(Refusal::OtherContent(feedback.feedback_id.clone())),
            };
        }
        let executed_at = check_fields(feedback, recording.at)?;
        let (of, about) = self.reported(feedback)?;
        let verdict = of.verdict;
        let flags = self.odd(of, about, feedback, executed_at);
        self.reports.push(Report {
            feedback: feedback.clone(),
            verdict,
            about,
            executed_at,
            recorded_at: recording.at,
            caller: recording.caller.to_owned(),
            flags,
            lists_told: false,
        });
        let mut happened = Vec::new();
        if let (About::Penalty { measure, .. }, true) = (about, feedback.status != NOT_EXECUTED) {
            let place = usize::try_from(measure).unwrap_or(usize::MAX);
            self.give_orders(place, recording.at, &mut happened);
        }
        Ok(Taken::new(happened))
    }

    /// The verdict that a report is about, and what of it.
    fn reported(&self, feedback: &v1::Feedback) -> Result<(&Recorded, About), Refusal> {
        let verdict = verdict_id_from_text(&feedback.verdict_id)
            .and_then(|id| self.recorded(id))
            .ok_or_else(|| Refusal::not_found("verdict", &feedback.verdict_id))?;
        let place = usize::try_from(feedback.subject).unwrap_or(usize::MAX);
        let Some(subject) = verdict.subjects.get(place) else {
            let name = feedback.subject.to_string();
            let what = "subject in that verdict with position";
            return Err(Refusal::not_found(what, &name));
        };
        if feedback.inspection.is_some() {
            let rule = "belongs to a verdict of scenario `inspection`, or of a stage `inspect`";
            return match verdict.inspects {
                true => Ok((verdict, About::Inspection)),
                false => Err(Refusal::field("inspection", rule)),
            };
        }
        // Whoever had another answer of this slot reports what that one shows.
        let penalty = self.answers(verdict.verdict).find_map(|answer| {
            let subject = answer.subjects.get(place)?;
            let mut shown = answer.shown.iter().filter_map(|shown| {
                let measure = self.measures.get(usize::try_from(shown.measure).ok()?)?;
                Some((shown, measure))
            });
            shown.find(|(_, measure)| {
                measure.subject == *subject && measure.measure_id == feedback.measure_id
            })
        });
        let (about, implementers) = match penalty {
            Some((shown, measure)) => {
                let (measure_at, round) = (shown.measure, shown.round);
                let about = About::Penalty {
                    measure: measure_at,
                    round,
                };
                (about, &measure.implementers)
            }
            None => {
                let offered = self.offered_by(verdict.verdict, *subject, &feedback.measure_id);
                let (place, reward) = offered.ok_or_else(|| {
                    let what = "measure of that verdict's subject";
                    Refusal::not_found(what, &feedback.measure_id)
                })?;
                (About::Reward(place), &reward.implementers)
            }
        };
        let implementer = &feedback.implementer;
        if !implementer.is_empty() && !implementers.contains(implementer) {
            let rule = match implementers.is_empty() {
                true => "must be empty: the measure names nobody".to_owned(),
                false => format!("must be one of {}", implementers.join("、")),
            };
            return Err(Refusal::field("implementer", rule));
        }
        Ok((verdict, about))
    }

    /// What is odd about a report, in the order of the words.
    fn odd(
        &self,
        verdict: &Recorded,
        about: About,
        feedback: &v1::Feedback,
        executed_at: Time,
    ) -> Vec<String> {
        let done = feedback.status != NOT_EXECUTED;
        let measure = match about {
            About::Penalty { measure, .. } => usize::try_from(measure).ok(),
            About::Reward(_) | About::Inspection => None,
        };
        let measure = measure.and_then(|place| self.measures.get(place));
        let late = measure.is_some_and(|measure| {
            measure.state == MeasureState::Unsupported || measure.lacked_support(executed_at)
        });
        let not_confirmed = measure.is_some_and(|measure| {
            let stood = measure.before.unwrap_or(measure.state);
            done && (!measure.carried || stood == MeasureState::Rejected)
        });
        let contradicts = self
            .reports
            .iter()
            .filter(|report| report.is_about(verdict.verdict, about))
            .filter(|report| {
                report.speaks_for(&feedback.implementer) || feedback.implementer.is_empty()
            })
            .any(|report| report.feedback.status != feedback.status);
        let flags = [
            ("late", late),
            ("contradicts", contradicts),
            ("not_confirmed", not_confirmed),
            (
                "before_event",
                lies_before(executed_at, verdict.occurred_at),
            ),
        ];
        flags
            .into_iter()
            .filter_map(|(flag, holds)| holds.then_some(flag))
            .map(str::to_owned)
            .collect()
    }
}

/// Whether it was carried out before the step that the verdict judges. A day without a time, which
/// reads as its first instant, stands for the whole day.
fn lies_before(executed_at: Time, occurred_at: Time) -> bool {
    let day = executed_at.date();
    match executed_at == day.start() {
        true => day < occurred_at.date(),
        false => executed_at < occurred_at,
    }
}

/// What every report must say; gives the time of execution.
fn check_fields(feedback: &v1::Feedback, now: Time) -> Result<Time, Refusal> {
    let of_measure = feedback.inspection.is_none();
    let required = [
        ("feedback_id", &feedback.feedback_id, true),
        ("verdict_id", &feedback.verdict_id, true),
        ("measure_id", &feedback.measure_id, of_measure),
        ("status", &feedback.status, of_measure),
        ("operator", &feedback.operator, true),
        ("department", &feedback.department, true),
    ];
    for (field, value, required) in required {
        if required && value.trim().is_empty() {
            return Err(Refusal::field(field, "is required"));
        }
    }
    if of_measure && !STATUSES.contains(&feedback.status.as_str()) {
        let rule = format!("must be one of {}", STATUSES.join(", "));
        return Err(Refusal::field("status", rule));
    }
    if of_measure && feedback.status != EXECUTED && feedback.reason.trim().is_empty() {
        return Err(Refusal::field(
            "reason",
            "is required unless it was executed",
        ));
    }
    if !feedback.division_code.is_empty() && Region::parse(&feedback.division_code).is_none() {
        let rule = "must be a division code of six digits (行政区划代码)";
        return Err(Refusal::field("division_code", rule));
    }
    let executed_at = feedback
        .executed_at
        .as_ref()
        .and_then(time_from_proto)
        .ok_or_else(|| Refusal::field("executed_at", "is required"))?;
    if executed_at > now {
        return Err(Refusal::field("executed_at", "lies in the future"));
    }
    Ok(executed_at)
}
