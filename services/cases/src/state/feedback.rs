//! What is reported about measures carried out (奖惩案例): kept as it comes, with what is odd about it.

use creditgate_measures::event::Region;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::{v1, verdict_id_from_text};
use serde::{Deserialize, Serialize};

use super::case::{Recorded, Shown, number};
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
    /// Place of the measure among the case's.
    pub measure: u32,
    /// Round of the measure when the verdict showed it.
    pub round: u32,
    /// When it was carried out.
    pub executed_at: Time,
    /// When it was recorded.
    pub recorded_at: Time,
    /// Name of the caller.
    pub caller: String,
    /// What is odd about it: `late`, `contradicts`, `not_confirmed`, `before_event`.
    pub flags: Vec<String>,
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

    /// Whether it is about this measure as this verdict showed it. A verdict shows a measure in one
    /// round, so nothing of an earlier round is meant.
    fn is_about(&self, verdict: VerdictId, measure: u32) -> bool {
        self.verdict == verdict && self.measure == measure
    }
}

impl CaseState {
    /// The reports that count: of each verdict, measure and implementer the last one.
    pub fn counting(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter().enumerate().filter_map(|(at, report)| {
            let later = self.reports.get(at + 1..)?;
            let replaced = later.iter().any(|other| {
                other.is_about(report.verdict, report.measure)
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
        let (of, shown) = self.reported_measure(feedback)?;
        let verdict = of.verdict;
        let place = usize::try_from(shown.measure).unwrap_or(usize::MAX);
        let flags = self.odd(of, place, feedback, executed_at);
        self.reports.push(Report {
            feedback: feedback.clone(),
            verdict,
            measure: shown.measure,
            round: shown.round,
            executed_at,
            recorded_at: recording.at,
            caller: recording.caller.to_owned(),
            flags,
        });
        let mut happened = Vec::new();
        if feedback.status != NOT_EXECUTED {
            self.give_orders(place, recording.at, &mut happened);
        }
        Ok(Taken::new(happened))
    }

    /// The verdict and the measure that a report is about, as the verdict showed it.
    fn reported_measure(&self, feedback: &v1::Feedback) -> Result<(&Recorded, Shown), Refusal> {
        let verdict = verdict_id_from_text(&feedback.verdict_id)
            .and_then(|id| self.recorded(id))
            .ok_or_else(|| Refusal::not_found("verdict", &feedback.verdict_id))?;
        let place = usize::try_from(feedback.subject).unwrap_or(usize::MAX);
        if verdict.subjects.get(place).is_none() {
            let name = feedback.subject.to_string();
            let what = "subject in that verdict with position";
            return Err(Refusal::not_found(what, &name));
        }
        // Whoever had another answer of this slot reports what that one shows.
        let (shown, measure) = self
            .answers(verdict.verdict)
            .find_map(|answer| {
                let subject = answer.subjects.get(place)?;
                let mut shown = answer.shown.iter().filter_map(|shown| {
                    let measure = self.measures.get(usize::try_from(shown.measure).ok()?)?;
                    Some((shown, measure))
                });
                shown.find(|(_, measure)| {
                    measure.subject == *subject && measure.measure_id == feedback.measure_id
                })
            })
            .ok_or_else(|| {
                Refusal::not_found("measure of that verdict's subject", &feedback.measure_id)
            })?;
        let implementer = &feedback.implementer;
        if !implementer.is_empty() && !measure.implementers.contains(implementer) {
            let rule = match measure.implementers.is_empty() {
                true => "must be empty: the measure names nobody".to_owned(),
                false => format!("must be one of {}", measure.implementers.join("、")),
            };
            return Err(Refusal::field("implementer", rule));
        }
        Ok((verdict, *shown))
    }

    /// What is odd about a report, in the order of the words.
    fn odd(
        &self,
        verdict: &Recorded,
        place: usize,
        feedback: &v1::Feedback,
        executed_at: Time,
    ) -> Vec<String> {
        let Some(measure) = self.measures.get(place) else {
            return Vec::new();
        };
        let done = feedback.status != NOT_EXECUTED;
        let unsupported = measure.state == MeasureState::Unsupported;
        let stood = measure.before.unwrap_or(measure.state);
        let contradicts = self
            .reports
            .iter()
            .filter(|report| report.is_about(verdict.verdict, number(place)))
            .filter(|report| {
                report.speaks_for(&feedback.implementer) || feedback.implementer.is_empty()
            })
            .any(|report| report.feedback.status != feedback.status);
        let flags = [
            ("late", unsupported || measure.lacked_support(executed_at)),
            ("contradicts", contradicts),
            (
                "not_confirmed",
                done && (!measure.carried || stood == MeasureState::Rejected),
            ),
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
    let required = [
        ("feedback_id", &feedback.feedback_id),
        ("verdict_id", &feedback.verdict_id),
        ("measure_id", &feedback.measure_id),
        ("status", &feedback.status),
        ("operator", &feedback.operator),
        ("department", &feedback.department),
    ];
    for (field, value) in required {
        if value.trim().is_empty() {
            return Err(Refusal::field(field, "is required"));
        }
    }
    if !STATUSES.contains(&feedback.status.as_str()) {
        let rule = format!("must be one of {}", STATUSES.join(", "));
        return Err(Refusal::field("status", rule));
    }
    if feedback.status != EXECUTED && feedback.reason.trim().is_empty() {
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
