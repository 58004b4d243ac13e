//! The form of a report of a measure carried out: what is required, and how long its texts may be.
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
    let required = [
        ("feedback_id", &feedback.feedback_id),
        ("verdict_id", &feedback.verdict_id),
        ("measure_id", &feedback.measure_id),
        ("operator", &feedback.operator),
        ("department", &feedback.department),
    ];
    for (field, text) in required {
        if text.trim().is_empty() {
            v.push(Violation::new(field, "required"));
        }
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
}
