//! JSON Lines.

use creditgate_proto::json;

use super::*;

#[test]
fn a_line_that_cannot_be_read_does_not_end_the_file() {
    let text = "{\"entry_id\":\"E1\",\"list\":\"B01\"}\n\n{\"entry_id\":\"E2\",\"list\":\"B01\",\"lsit\":1}\n{\"entry_id\":\"E3\"}";
    let unknown_field = json::entry_from_json_line(br#"{"entry_id":"E2","list":"B01","lsit":1}"#)
        .expect_err("an unknown field");
    let expected = format!("1 E1 B01\n3 refused: {unknown_field}\n4 E3");
    for name in ["a.jsonl", "without_ending"] {
        assert_eq!(shown(name, text.as_bytes(), &Options::default()), expected);
    }
}

#[test]
fn a_file_that_ends_in_the_middle_of_an_object_is_told() {
    let whole = "{\"entry_id\":\"E1\"}\n{\"entry_id\":\"E2\",\"name\":\"示例\"}";
    assert_eq!(
        shown("a.jsonl", whole.as_bytes(), &Options::default()),
        "1 E1\n2 E2  示例"
    );
    let last = whole.find('\n').expect("two lines") + 2;
    for cut in last..whole.len() {
        let told = shown("a.jsonl", &whole.as_bytes()[..cut], &Options::default());
        let expected =
            "1 E1\n2 refused: row: looks cut off: the object in it is not whole, and there is no";
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_line_without_end_is_refused_without_being_kept() {
    let long = format!("{}\n{{\"entry_id\":\"E2\"}}\n", "x".repeat(3 << 20));
    assert_eq!(
        shown("a.jsonl", long.as_bytes(), &Options::default()),
        "1 refused: body: the line is longer than 1 MiB\n2 E2"
    );
}

#[test]
fn a_mapping_has_nothing_to_map() {
    let told = shown("a.jsonl", b"{\"entry_id\":\"E1\"}", &mapped("ignore: [x]"));
    assert!(
        told.starts_with("JSON Lines have no columns to map"),
        "{told}"
    );
}
