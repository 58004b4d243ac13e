//! Every row of `data/id_vectors.csv` against [`Identifier::parse`].
//!
//! Rows marked `edge` are decided by section 2 of the specification. All numbers are invented.

use creditgate_measures::identifier::{IdType, Identifier, Invalid};
use creditgate_measures::time::Time;

const VECTORS: &str = include_str!("data/id_vectors.csv");

/// What a row says of its value: valid, valid with the flag `inner_org_code`, or invalid.
fn expected(valid: &str, reason: &str) -> &'static str {
    match (valid, reason) {
        ("true", "ok") => "valid",
        ("edge", "inner_org_code_check_fails") => "valid, inner_org_code",
        ("edge", "placeholder_zeros") => "invalid",
        ("edge", "full_width_digits" | "lower_case" | "lower_case_x") => "valid",
        ("edge", "outer_spaces" | "hyphens" | "hyphen") => "valid",
        ("false", _) => "invalid",
        _ => "a row nobody decided",
    }
}

/// The fault for the reasons that leave no choice.
fn fault(reason: &str) -> Option<Invalid> {
    Some(match reason {
        "empty" => Invalid::Empty,
        "length" | "hyphen_replaces_digit" => Invalid::Length,
        "check_digit"
        | "wrong_formula_sum_mod_11"
        | "transposition"
        | "single_substitution"
        | "x_written_as_0" => Invalid::CheckDigit,
        "illegal_char_I"
        | "illegal_char_O"
        | "illegal_char_Z"
        | "inner_space"
        | "letter"
        | "x_inside"
        | "check_char_outside_alphabet" => Invalid::IllegalCharacter,
        "placeholder" | "placeholder_zeros" => Invalid::Placeholder,
        "masked_value" => Invalid::Masked,
        "province_00" | "province_99" => Invalid::Province,
        "date_in_the_future" => Invalid::FutureBirth,
        "date_before_1800"
        | "day_0"
        | "month_0"
        | "date_not_leap"
        | "1901_not_leap"
        | "date_1900_is_not_a_leap_year"
        | "day_31_of_june" => Invalid::Date,
        _ => return None,
    })
}

#[test]
fn every_vector_is_decided_as_the_specification_says() {
    let at = Time::parse("2026-11-21").expect("a day");
    let mut rows = csv::Reader::from_reader(VECTORS.as_bytes());
    let mut count = 0;
    let mut wrong = Vec::new();
    for row in rows.records() {
        let row = row.expect("a row of the vectors");
        let [id_type, value, valid, reason, note] =
            [0, 1, 2, 3, 4].map(|column| row.get(column).expect("five columns"));
        let id_type = IdType::parse(id_type).expect("a type of the vectors");
        let parsed =
            Identifier::parse(id_type, value, None).and_then(|identifier| identifier.valid_at(at));
        let found = match &parsed {
            Ok(identifier) if identifier.inner_org_code_holds() => "valid",
            Ok(_) => "valid, inner_org_code",
            Err(_) => "invalid",
        };
        if found != expected(valid, reason) {
            wrong.push(format!("{id_type} {value} ({reason}): {found}"));
        }
        match (&parsed, fault(reason)) {
            (Err(found), Some(expected)) if *found != expected => {
                wrong.push(format!("{id_type} {value} ({reason}): {found:?}"));
            }
            _ => {}
        }
        if let (Ok(identifier), Some(id18)) = (&parsed, note.strip_prefix("18-digit form ")) {
            assert_eq!(identifier.reveal(), id18);
        }
        if let (Ok(identifier), Some(born)) = (&parsed, note.strip_prefix("born ")) {
            let birth = identifier
                .birth_date()
                .expect("a date of birth")
                .to_string();
            assert_eq!(born.get(..10), Some(birth.as_str()));
        }
        count += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(count, 132);
}
