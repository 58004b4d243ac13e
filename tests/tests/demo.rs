//! The demonstration plays its script, and notices when the law of the book changes.

use std::path::Path;

use creditgate_tests::{root, run};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for item in std::fs::read_dir(from).expect("a directory") {
        let path = item.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn the_script_gives_its_expected_table() {
    let played = run(&["demo", "--once"], "");
    let told = String::from_utf8_lossy(&played.stdout).into_owned();
    assert!(
        played.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&played.stderr)
    );
    for outcome in [
        "PASS",
        "NOTICE",
        "HEIGHTENED_SCRUTINY",
        "REQUIRE_DOCUMENT",
        "RESTRICT",
        "MANUAL_REVIEW",
        "PROHIBIT",
        "offered",
        "refused:",
    ] {
        assert!(told.contains(outcome), "no {outcome} in the demonstration");
    }
}

#[test]
fn another_row_in_the_book_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    copy(&root().join("measures/catalogue"), dir.path());
    let file = dir.path().join("measures/cross-field.yaml");
    let text = std::fs::read_to_string(&file).expect("text");
    // Wage arrears: what the law says `must` becomes a matter of discretion.
    let (before, row) = text.split_once("- id: M09a").expect("the row");
    let row = row.replacen("force: must", "force: may", 1).replacen(
        "effect RESTRICT",
        "proposed RESTRICT",
        9,
    );
    std::fs::write(&file, format!("{before}- id: M09a{row}")).expect("written");
    let played = run(
        &[
            "demo",
            "--once",
            "--catalogue-dir",
            &dir.path().display().to_string(),
        ],
        "",
    );
    let told = String::from_utf8_lossy(&played.stdout).into_owned();
    assert_eq!(
        played.status.code(),
        Some(1),
        "{told}\n{}",
        String::from_utf8_lossy(&played.stderr)
    );
    assert!(
        told.contains("NOT as expected") && told.contains("M09a"),
        "{told}"
    );
}

#[test]
fn the_book_is_linted_and_tested_from_the_command_line() {
    let linted = run(&["measures", "lint", "measures/catalogue"], "");
    assert!(
        linted.status.success(),
        "{}",
        String::from_utf8_lossy(&linted.stderr)
    );
    let tested = run(&["measures", "test", "measures/catalogue"], "");
    assert!(
        String::from_utf8_lossy(&tested.stdout).contains("cases"),
        "cases are counted"
    );
    let nowhere = run(&["measures", "lint", "/nowhere"], "");
    assert_eq!(nowhere.status.code(), Some(2));
}
