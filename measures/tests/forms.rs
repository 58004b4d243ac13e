//! The schemas in the tree are those of the types, and every file of the catalogue has its form.

use std::path::Path;

use creditgate_measures::book::form::{FORMS, Form};
use creditgate_measures::catalogue;

/// The command that writes the schemas anew.
const COMMAND: &str = "cargo run -p creditgate -- measures schema --out measures/schema";

#[test]
fn the_schemas_in_the_tree_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for form in FORMS {
        let path = folder.join(form.file_name());
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == form.schema(),
            "{} is not the schema of its type; run `{COMMAND}`",
            path.display()
        );
    }
    let files = std::fs::read_dir(&folder).expect("the folder").count();
    assert_eq!(files, FORMS.len(), "a schema of no form; remove it");
}

#[test]
fn every_file_of_the_catalogue_has_its_form() {
    for file in catalogue::built_in() {
        let Some(form) = Form::of(&file.path) else {
            assert!(file.path.ends_with(".txt"), "{} has no form", file.path);
            continue;
        };
        let schema: serde_json::Value = serde_json::from_str(&form.schema()).expect("JSON");
        let written: serde_json::Value = serde_saphyr::from_str(&file.text).expect("YAML");
        let checked = jsonschema::validator_for(&schema).expect("a schema");
        let wrong: Vec<String> = checked
            .iter_errors(&written)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", file.path);
    }
}

#[test]
fn a_word_outside_its_set_and_an_unknown_field_are_told() {
    let schema = Form::named("lists").expect("the form of lists").schema();
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    let checked = jsonschema::validator_for(&schema).expect("a schema");
    let list = |more: &str| -> serde_json::Value {
        serde_saphyr::from_str(&format!(
            "lists: [{{ code: B01, name: {{ zh: 名单, en: list }}, authority: 法院, field: judicial, \
             reach: national, freshness_budget_hours: 24, confidence: verified, {more} }}]"
        ))
        .expect("YAML")
    };
    assert!(checked.is_valid(&list("colour: black")));
    assert!(!checked.is_valid(&list("colour: grey")));
    assert!(!checked.is_valid(&list("colour: black, color: black")));
}
