//! The form of a report of a measure carried out, or of what an inspection found: what is required, and
//! how long its texts may be.
//!
//! Whether verdict and measure are known, and whether the report fits them, is asked of the cases.

use crate::decode::{ID_CHARS_MAX, TEXT_CHARS_MAX, amount, chars_at_most};
use crate::refused::{Refused, Violation};
use crate::{v1, verdict_id_from_text};

const MEASURE_CHARS_MAX: usize = 64;
const PROSE_CHARS_MAX: usize = 4_096;
/// In fen; amounts are summed, and no sum may leave 64 bits.
const AMOUNT_FEN_MAX: i64 = 1_000_000_000_000_000;

/// Whether a report keeps the rules of its form.
///
/// # Errors
/// All violations, when there are any; never with a value of the report.
pub fn check(feedback: &v1::Feedback) -> Result<(), Refused> {
    let mut violations = Vec::new();
    let v = &mut violations;
    let mut required = vec![
        ("feedback_id", &feedback.feedback_id),
        ("verdict_id", &feedback.verdict_id),
        ("operator", &feedback.operator),
        ("department", &feedback.department),
    ];
    match &feedback.inspection {
        None => required.push(("measure_id", &feedback.measure_id)),
        Some(inspection) => {
            required.push(("inspection.item", &inspection.item));
            required.push(("inspection.result", &inspection.result));
        }
    }
    for (field, text) in required {
        if text.trim().is_empty() {
            v.push(Violation::new(field, "required"));
        }
    }
    if let Some(inspection) = &feedback.inspection {
        check_inspection(v, feedback, inspection);
    }
    let texts = [
        ("feedback_id", &feedback.feedback_id, ID_CHARS_MAX),
        ("measure_id", &feedback.measure_id, MEASURE_CHARS_MAX),
        ("operator", &feedback.operator, TEXT_CHARS_MAX),
        ("department", &feedback.department, TEXT_CHARS_MAX),
        ("reason", &feedback.reason, PROSE_CHARS_MAX),
        ("basis", &feedback.basis, PROSE_CHARS_MAX),
        ("period", &feedback.period, TEXT_CHARS_MAX),
        ("document_no", &feedback.document_no, TEXT_CHARS_MAX),
        ("implementer", &feedback.implementer, TEXT_CHARS_MAX),
    ];
    for (field, text, chars_max) in texts {
        chars_at_most(v, field, text, chars_max);
    }
    let verdict = &feedback.verdict_id;
    if !verdict.trim().is_empty() && verdict_id_from_text(verdict).is_none() {
        v.push(Violation::new("verdict_id", "expected the id of a verdict"));
    }
    amount(v, feedback.amount_fen);
    if feedback.amount_fen.is_some_and(|fen| fen > AMOUNT_FEN_MAX) {
        v.push(Violation::new(
            "amount_fen",
            format!("at most {AMOUNT_FEN_MAX}"),
        ));
    }
    Refused::unless_empty(violations)
}

/// A failed inspection: the only one that may propose an entry.
const FAILED: &str = "failed";
/// A passed one: nothing need be said of it.
const PASSED: &str = "passed";
/// What an inspection may end with.
const RESULTS: [&str; 4] = [PASSED, FAILED, "corrected", "not_done"];

fn check_inspection(
    v: &mut Vec<Violation>,
    feedback: &v1::Feedback,
    inspection: &v1::InspectionResult,
) {
    let of_measures = [
        ("measure_id", feedback.measure_id.is_empty()),
        ("status", feedback.status.is_empty()),
        ("implementer", feedback.implementer.is_empty()),
        ("amount_fen", feedback.amount_fen.is_none()),
        ("period", feedback.period.is_empty()),
    ];
    for (field, empty) in of_measures {
        if !empty {
            let rule = "belongs to a measure; leave it empty where an inspection is told";
            v.push(Violation::new(field, rule));
        }
    }
    let result = inspection.result.as_str();
    if !result.trim().is_empty() && !RESULTS.contains(&result) {
        let rule = format!("must be one of {}", RESULTS.join(", "));
        v.push(Violation::new("inspection.result", rule));
    }
    if result != PASSED && feedback.reason.trim().is_empty() {
        let rule = "required unless the inspection was passed: say what was found";
        v.push(Violation::new("reason", rule));
    }
    if result != FAILED && !inspection.attention_list.is_empty() {
        let rule = "only a failed inspection proposes an entry; leave it empty";
        v.push(Violation::new("inspection.attention_list", rule));
    }
    let (item, list) = (&inspection.item, &inspection.attention_list);
    chars_at_most(v, "inspection.item", item, TEXT_CHARS_MAX);
    chars_at_most(v, "inspection.attention_list", list, MEASURE_CHARS_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> v1::Feedback {
        v1::Feedback {
            feedback_id: "f-1".to_owned(),
            verdict_id: "01234567-89ab-8def-8123-456789abcdef".to_owned(),
            measure_id: "M57".to_owned(),
            operator: "某甲".to_owned(),
            department: "某局".to_owned(),
            ..v1::Feedback::default()
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut v1::Feedback), expected: &str) {
        let mut report = report();
        change(&mut report);
        let told = super::check(&report)
            .err()
            .map_or_else(String::new, |refused| refused.to_string());
        assert_eq!(told, expected);
    }

    #[test]
    fn a_report_keeps_the_rules_of_its_form_or_is_told_which_one_it_breaks() {
        check(|_| {}, "");
        check(
            |report| report.operator = " ".to_owned(),
            "operator: required",
        );
        check(|report| report.verdict_id.clear(), "verdict_id: required");
        check(
            |report| report.verdict_id = "v-1".to_owned(),
            "verdict_id: expected the id of a verdict",
        );
        check(|report| report.feedback_id = "f".repeat(128), "");
        check(
            |report| report.feedback_id = "f".repeat(129),
            "feedback_id: at most 128 characters",
        );
        check(|report| report.reason = "因".repeat(4_096), "");
        check(
            |report| report.reason = "因".repeat(4_097),
            "reason: at most 4096 characters",
        );
        check(|report| report.amount_fen = Some(0), "");
        check(
            |report| report.amount_fen = Some(-1),
            "amount_fen: must not be negative",
        );
        check(|report| report.amount_fen = Some(1_000_000_000_000_000), "");
        check(
            |report| report.amount_fen = Some(1_000_000_000_000_001),
            "amount_fen: at most 1000000000000000",
        );
    }

    #[test]
    fn an_inspection_says_what_was_inspected_and_what_was_found_and_nothing_of_a_measure() {
        let told = |result: &str, list: &str| v1::InspectionResult {
            item: "消防安全".to_owned(),
            result: result.to_owned(),
            attention_list: list.to_owned(),
        };
        let of = |inspection: v1::InspectionResult| {
            move |report: &mut v1::Feedback| {
                report.measure_id.clear();
                report.inspection = Some(inspection);
            }
        };
        check(of(told("passed", "")), "");
        check(
            of(v1::InspectionResult::default()),
            "inspection.item: required; inspection.result: required; reason: required unless the inspection was passed: say what was found",
        );
        check(
            of(told("fine", "")),
            "inspection.result: must be one of passed, failed, corrected, not_done; reason: required unless the inspection was passed: say what was found",
        );
        check(
            of(told("passed", "A01")),
            "inspection.attention_list: only a failed inspection proposes an entry; leave it empty",
        );
        let failed = |report: &mut v1::Feedback| {
            of(told("failed", "A01"))(report);
            report.reason = "通道堵塞".to_owned();
        };
        check(failed, "");
        check(
            |report| {
                failed(report);
                report.status = "executed".to_owned();
            },
            "status: belongs to a measure; leave it empty where an inspection is told",
        );
    }
}
