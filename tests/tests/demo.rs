//! The demonstration plays its script both ways, and notices when the law of the book changes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use creditgate_tests::{binary, root, run};

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
fn the_script_comes_back_over_kafka_with_the_same_outcomes() {
    let played = run(&["demo", "--once"], "");
    let told = String::from_utf8_lossy(&played.stdout).into_owned();
    assert!(played.status.success(), "{told}");
    let (grpc, kafka) = told.split_once("the Kafka way").expect("the second table");
    for limit in ["librdkafka's own", "keeps nothing", "proves nothing"] {
        assert!(kafka.contains(limit), "the broker's limits: {limit}");
    }
    // A verdict of the first table is a line `      OUTCOME   scenario/stage CASE`.
    let outcomes = |table: &str, line: fn(&str) -> Option<&str>| -> Vec<String> {
        table.lines().filter_map(line).map(str::to_owned).collect()
    };
    let over_grpc = outcomes(grpc, |line| {
        let line = line.strip_prefix("      ")?;
        let (outcome, _) = line.split_once(' ')?;
        (!outcome.is_empty() && outcome.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
            .then_some(outcome)
    });
    let mut over_kafka = outcomes(kafka, |line| {
        let (_, answer) = line.split_once(" → verdicts/")?;
        answer.split_whitespace().last()
    });
    // The event that came twice: gRPC tells the first verdict again, Kafka tells nothing.
    assert!(kafka.contains("→ nothing: judged before"), "{kafka}");
    over_kafka.insert(14, "PROHIBIT".to_owned());
    assert_eq!(over_kafka, over_grpc);
    for letter in [
        "refused: stage: scenario `tender` has no stage",
        "conflict: an event with this source and id came before",
        "undecodable: body: not JSON",
    ] {
        let has = |line: &str| line.contains("→ dead-letters/") && line.contains(letter);
        assert!(kafka.lines().any(has), "no letter `{letter}` in {kafka}");
    }
    assert!(!kafka.contains("NOT "), "{kafka}");
}

#[test]
fn a_running_demonstration_ends_soon_after_ctrl_c() {
    let mut running = Command::new(binary())
        .args(["demo", "--rate", "50"])
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the demonstration starts");
    let mut lines = BufReader::new(running.stdout.take().expect("its output")).lines();
    let shown = lines.any(|line| line.is_ok_and(|line| line.contains("→ dead-letters/")));
    assert!(shown, "a dead letter comes in the running demonstration");
    let asked = Instant::now();
    let interrupted = Command::new("kill")
        .args(["-INT", &running.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    // Read to the end, so that it never waits for room in the pipe.
    lines.for_each(drop);
    assert!(running.wait().expect("its end").success());
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
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
