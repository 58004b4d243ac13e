//! Another book before it is in force: simulated over what was recorded, and run as a shadow.

use std::path::Path;
use std::time::{Duration, Instant};

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::{Service, evaluation, root, run};
use serde_json::Value;

/// Two rows: one bars, one looks harder.
const ROWS: [&str; 2] = [
    r#"
  - id: T1
    title: { zh: 取消投标资格, en: barred }
    content: { zh: 取消投标资格, en: barred }
    field: tendering
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: must
    effect: PROHIBIT
    applies:
      - { scenario: tender, stages: [evaluate] }
    lists: [B07]
    roles: [bidder]
    basis:
      - { law: 中华人民共和国招标投标法, article: 第五十三条, level: law, issuer: 全国人民代表大会常务委员会 }
    published_at: "1999-08-30"
    published_in: 中华人民共和国主席令第二十一号
    effective_from: "2000-01-01"
    implementer: { zh: 招标人, en: tenderer }
    remedies: { zh: 可申请复议, en: review }
    confidence: verified
    cases:
      - { name: on the list, expect: effect PROHIBIT }
"#,
    r#"
  - id: T2
    title: { zh: 重点审查, en: looked at harder }
    content: { zh: 重点审查, en: looked at harder }
    field: market_regulation
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: must
    effect: HEIGHTENED_SCRUTINY
    applies:
      - { scenario: tender, stages: [evaluate] }
    lists: [B03]
    roles: [bidder]
    basis:
      - { law: 企业信息公示暂行条例, article: 第十八条, level: administrative_regulation, issuer: 国务院 }
    published_at: "2014-08-07"
    published_in: 国务院令第654号
    effective_from: "2014-10-01"
    implementer: { zh: 评标委员会, en: committee }
    remedies: { zh: 可申请复议, en: review }
    confidence: verified
    cases:
      - { name: on the list, expect: effect HEIGHTENED_SCRUTINY }
"#,
];

/// Writes a book: lists and scenarios of the catalogue, and these rows.
fn write_book(dir: &Path, rows: &str) {
    let catalogue = root().join("measures/catalogue");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args(
            ["book.yaml", "lists", "names", "repair", "scenarios"].map(|part| catalogue.join(part)),
        )
        .arg(dir)
        .status()
        .expect("cp runs");
    assert!(copied.success());
    std::fs::create_dir_all(dir.join("measures")).expect("a directory");
    std::fs::write(dir.join("measures/own.yaml"), format!("measures:{rows}")).expect("a file");
}

struct Books {
    _dir: tempfile::TempDir,
    live: String,
    candidate: String,
}

/// The live book with both rows; the candidate without the first, and the second stricter.
fn books() -> Books {
    let dir = tempfile::tempdir().expect("a directory");
    let make = |name: &str, rows: &str| {
        let book = dir.path().join(name);
        std::fs::create_dir(&book).expect("a directory");
        write_book(&book, rows);
        book.display().to_string()
    };
    let live = make("live", &ROWS.concat());
    let stricter = ROWS[1].replace("HEIGHTENED_SCRUTINY", "RESTRICT");
    let candidate = make("candidate", &stricter);
    Books {
        _dir: dir,
        live,
        candidate,
    }
}

/// A firm on B07 (1), one on B03 (2) and a person on B03 (3).
fn import(dir: &Path, server: &str, key: &[&str]) {
    let file = dir.join("entries.csv");
    let row = |n: u64, list: &str, id_type: &str, id: &str, kind: &str| {
        format!(
            "E-{n},{list},{id_type},{id},{kind},serious,示例{n}号,2026-01-05,2026-01-05,2027-12-31\n"
        )
    };
    let rows = [
        "entry_id,list,id_type,id,kind,severity,document_no,served_at,valid_from,valid_to\n"
            .to_owned(),
        row(1, "B07", "USCC", &invented::uscc(1), "enterprise"),
        row(2, "B03", "USCC", &invented::uscc(2), "enterprise"),
        row(3, "B03", "ID18", &invented::person(3), "natural_person"),
    ];
    std::fs::write(&file, rows.concat()).expect("a file");
    let file = file.display().to_string();
    let import = [
        "lists",
        "import",
        &file,
        "--source-unit",
        "演示数据",
        "--server",
        server,
    ];
    let done = run(&[&import, key].concat(), "");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// 3 of the barred firm, 4 of the one looked at harder, 2 of the person, 5 of a clean one.
async fn check_fourteen(service: &Service, run: &str) -> Vec<String> {
    let mut gate = service.gate().await;
    let mut outcomes = Vec::new();
    let subjects = [
        (3, "USCC", invented::uscc(1)),
        (4, "USCC", invented::uscc(2)),
        (2, "ID18", invented::person(3)),
        (5, "USCC", invented::uscc(4)),
    ];
    for (times, id_type, id) in subjects {
        for _ in 0..times {
            let mut event = evaluation(&format!("{run}-{}", outcomes.len()), &id);
            event.subjects[0].id_type = id_type.to_owned();
            event.subjects[0].kind = String::new();
            let request = v1::CheckRequest { event: Some(event) };
            let answer = gate.check(request).await.expect("a verdict").into_inner();
            outcomes.push(answer.verdict.expect("a verdict").outcome);
        }
    }
    outcomes
}

fn command(args: &[&str], server: &str) -> (Option<i32>, String, String) {
    let done = run(&[&["measures"], args, &["--server", server]].concat(), "");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

fn json(args: &[&str], server: &str) -> (Option<i32>, Value) {
    let (code, out, err) = command(&[args, &["--json"]].concat(), server);
    let value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}\n{err}"));
    (code, value)
}

/// A number of a JSON answer, where whole numbers of 64 bits are texts and nought is left out.
fn number(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::String(text) => text.parse().expect("a number"),
        other => other.as_u64().expect("a number"),
    }
}

#[tokio::test]
async fn a_simulation_counts_as_computed_by_hand_and_changes_nothing() {
    let books = books();
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start_with(dir.path(), &["--catalogue-dir", &books.live]);
    let server = format!("http://{}", service.grpc);
    import(dir.path(), &server, &[]);
    let before = check_fourteen(&service, "a").await;

    let purpose = ["--purpose", "row T2 made stricter"];
    let simulate = ["simulate", "--book", &books.candidate];
    let (code, told) = json(&[&simulate[..], &purpose].concat(), &server);
    assert_eq!(code, Some(1));
    let totals = &told["totals"];
    let of = |name: &str| number(&totals[name]);
    assert_eq!(
        [
            of("events"),
            of("unchanged"),
            of("changed_outcome"),
            of("changed_measures")
        ],
        [14, 5, 7, 2],
        "{told:#}"
    );
    let transitions: Vec<String> = told["transitions"]
        .as_array()
        .expect("transitions")
        .iter()
        .map(|t| {
            format!(
                "{}->{} {}",
                t["old"].as_str().unwrap_or_default(),
                t["new"].as_str().unwrap_or_default(),
                number(&t["count"])
            )
        })
        .collect();
    assert_eq!(
        transitions,
        [
            "PASS->PASS 5",
            "HEIGHTENED_SCRUTINY->RESTRICT 4",
            "MANUAL_REVIEW->MANUAL_REVIEW 2",
            "PROHIBIT->PASS 3"
        ]
    );
    let limited = &told["newly_limited"];
    assert_eq!(
        (number(&limited["persons"]), number(&limited["times"])),
        (1, 2)
    );

    let (_, text, _) = command(&[&simulate[..], &purpose].concat(), &server);
    assert!(
        text.starts_with("## Persons newly limited\n!! 1 natural person"),
        "{text}"
    );
    assert!(!text.contains(&invented::person(3)), "{text}");
    let row = text
        .lines()
        .find(|line| line.starts_with("| T1 "))
        .unwrap_or_default();
    assert!(row.contains("| 0     | 3         | 0"), "{text}");

    // The same book, and no book at all: nothing is different.
    let same = ["simulate", "--book", &books.live];
    for simulate in [&same[..], &["simulate"]] {
        let (code, told) = json(&[simulate, &purpose].concat(), &server);
        assert_eq!(code, Some(0));
        assert_eq!(number(&told["totals"]["unchanged"]), 14, "{told:#}");
    }

    let (code, _, err) = command(&[&simulate[..], &["--purpose", " "]].concat(), &server);
    assert_eq!(code, Some(2));
    assert!(err.contains("purpose: required"), "{err}");

    // A broken candidate is refused with everything that is wrong with it.
    let broken = Path::new(&books.candidate).join("measures/own.yaml");
    let sound = std::fs::read_to_string(&broken).expect("a file");
    std::fs::write(&broken, sound.replace("[B03]", "[X98, X99]")).expect("a file");
    let (code, _, err) = command(&[&simulate[..], &purpose].concat(), &server);
    assert_eq!(code, Some(2));
    assert!(err.contains("X98") && err.contains("X99"), "{err}");
    std::fs::write(&broken, sound).expect("a file");

    // What no book knows is refused, and a range without events does not pass for a sound book.
    for (flag, unknown) in [("--scenario", "tendr"), ("--row", "T9")] {
        let narrowed = [&simulate[..], &purpose, &[flag, unknown]].concat();
        let (code, _, err) = command(&narrowed, &server);
        assert_eq!(code, Some(2));
        assert!(err.contains(unknown), "{err}");
    }
    let empty = ["simulate", "--to", "2020-01-01"];
    let (code, _, err) = command(&[&empty[..], &purpose].concat(), &server);
    assert_eq!(code, Some(2));
    assert!(err.contains("no recorded event"), "{err}");

    assert_eq!(check_fourteen(&service, "b").await, before);
    service.stop();
}

#[tokio::test]
async fn a_shadow_counts_differences_and_survives_a_restart_while_answers_stay() {
    let books = books();
    let dir = tempfile::tempdir().expect("a directory");
    let arguments = ["--catalogue-dir", books.live.as_str()];
    let service = Service::start_with(dir.path(), &arguments);
    let server = format!("http://{}", service.grpc);
    import(dir.path(), &server, &[]);
    let without = check_fourteen(&service, "a").await;
    let purpose = ["--purpose", "a month beside the book in force"];
    let set = ["shadow", "set", "--book", &books.candidate];
    let (code, _, err) = command(&[&set[..], &purpose].concat(), &server);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(check_fourteen(&service, "b").await, without);

    let began = Instant::now();
    let state = loop {
        let (_, told) = json(&["shadow", "status"], &server);
        let state = told["state"].clone();
        if number(&state["compared"]) == 14 && number(&state["kept"]) == 9 {
            break state;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{told:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(
        (number(&state["same"]), number(&state["different"])),
        (5, 9)
    );
    assert_eq!(service.metric("creditgate_shadow_transitions_total"), 9.0);
    assert_eq!(service.metric("creditgate_shadow_compared_total"), 14.0);
    let (_, barred, _) = command(&["shadow", "differences", "--row", "T1"], &server);
    assert_eq!(barred.lines().count(), 3, "{barred}");
    assert!(
        barred.lines().all(|line| line.contains("PROHIBIT → PASS")),
        "{barred}"
    );
    service.stop();

    let service = Service::start_with(dir.path(), &arguments);
    let server = format!("http://{}", service.grpc);
    let (_, told) = json(&["shadow", "status"], &server);
    assert_eq!(told["state"]["shadow_id"], state["shadow_id"], "{told:#}");
    assert_eq!(check_fourteen(&service, "c").await, without);
    let clear = ["shadow", "clear", "--purpose", "done"];
    let (code, _, err) = command(&clear, &server);
    assert_eq!(code, Some(0), "{err}");
    let (_, text, _) = command(&["shadow", "status"], &server);
    assert_eq!(text, "there is no shadow\n");
    service.stop();
}

#[tokio::test]
async fn only_who_may_simulate_does() {
    let books = books();
    let dir = tempfile::tempdir().expect("a directory");
    let keys = dir.path().join("keys.yaml").display().to_string();
    let key_file = |name: &str, may: &str| {
        let made = run(&["keys", name, "--may", may, "--file", &keys], "");
        let told = String::from_utf8_lossy(&made.stderr).into_owned();
        let key = told
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        let file = dir.path().join(name);
        std::fs::write(&file, key).expect("a file");
        file.display().to_string()
    };
    let reader = key_file("reader", "check,read,lists,watch");
    let analyst = key_file("analyst", "simulate");
    let arguments = ["--catalogue-dir", &books.live, "--keys-file", &keys];
    let service = Service::start_with(dir.path(), &arguments);
    let server = format!("http://{}", service.grpc);
    let simulate = [
        "simulate",
        "--book",
        &books.candidate,
        "--purpose",
        "a test",
    ];
    let status = ["shadow", "status"];
    // Nothing was recorded yet, which whoever may simulate is told.
    for (asked, told, why) in [(&simulate[..], 2, "no recorded event"), (&status, 0, "")] {
        let (code, _, err) = command(&[asked, &["--key-file", &reader]].concat(), &server);
        assert_eq!(code, Some(2));
        assert!(err.contains("PermissionDenied"), "{err}");
        let (code, _, err) = command(&[asked, &["--key-file", &analyst]].concat(), &server);
        assert_eq!(code, Some(told), "{err}");
        assert!(err.contains(why), "{err}");
    }
    service.stop();
}
