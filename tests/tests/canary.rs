//! Canaries: an identifier and a name that nobody else has go in wherever somebody could write them, in every form, rightly
//! and wrongly. Whatever the service says of itself, to operators or to a caller it refuses, must show them masked or not at
//! all.
//!
//! Journals, tables and topics hold what was decided, and are not among what is looked at here: they are not encrypted.

use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_proto::v1;
use creditgate_tests::{Service, evaluation, import_entries, run};
use tonic::Status;

const NAME: &str = "金丝雀丙丁戊";
/// Numbers of invented identifiers that no other test has.
const PERSON: u64 = 7_700_001;
const FIRM: u64 = 7_700_002;

/// What was said, and where.
#[derive(Default)]
struct Said(Vec<(String, String)>);

impl Said {
    fn note(&mut self, sink: impl Into<String>, text: impl Into<String>) {
        self.0.push((sink.into(), text.into()));
    }

    fn note_status(&mut self, sink: &str, refused: &Status) {
        let details = String::from_utf8_lossy(refused.details()).into_owned();
        self.note(sink, format!("{} {details}", refused.message()));
    }

    fn note_output(&mut self, sink: &str, output: &Output) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.note(sink, text(&output.stdout) + &text(&output.stderr));
    }

    /// Nothing of it shows a canary.
    fn assert_nothing_in_clear(&self, canaries: &[&str]) {
        let mut shown = Vec::new();
        for (sink, text) in &self.0 {
            let plain = text.to_uppercase().replace(['-', ' '], "");
            for canary in canaries {
                let last: String = canary
                    .chars()
                    .skip(canary.chars().count() - 8.min(canary.chars().count() - 1))
                    .collect();
                if plain.contains(&canary.to_uppercase()) || plain.contains(&last.to_uppercase()) {
                    shown.push(format!("{sink} shows {canary}: {}", around(text, canary)));
                }
                if text.contains(&STANDARD.encode(canary)) {
                    shown.push(format!("{sink} shows {canary} in Base64"));
                }
            }
        }
        assert!(shown.is_empty(), "{shown:#?}");
    }
}

/// The line of a text that shows it, where it does so as it stands.
fn around<'a>(text: &'a str, canary: &str) -> &'a str {
    let line = text.lines().find(|line| line.contains(canary));
    line.unwrap_or("in another form")
}

/// An identifier as people and programs write it.
fn forms(canary: &str) -> Vec<String> {
    let hyphenated: Vec<&str> = [canary.get(..6), canary.get(6..14), canary.get(14..)]
        .into_iter()
        .flatten()
        .collect();
    vec![
        canary.to_owned(),
        canary.to_lowercase(),
        hyphenated.join("-"),
        STANDARD.encode(canary),
        canary.chars().skip(canary.len() - 8).collect(),
        format!("{canary}0"),
        format!(" {canary}\u{202e}"),
    ]
}

/// Asks about it in every form, as every kind of identifier.
async fn ask(service: &Service, said: &mut Said, canary: &str) {
    let mut gate = service.gate().await;
    for (nth, form) in forms(canary).into_iter().enumerate() {
        for id_type in ["USCC", "ID18", "ORG9", "OTHER", &form] {
            for kind in ["", "natural_person", "enterprise", &form] {
                let mut event = evaluation(
                    &format!("canary-{canary:.2}-{nth}-{id_type:.4}-{kind:.4}"),
                    &form,
                );
                let subject = &mut event.subjects[0];
                id_type.clone_into(&mut subject.id_type);
                kind.clone_into(&mut subject.kind);
                NAME.clone_into(&mut subject.name);
                let asked = v1::CheckRequest { event: Some(event) };
                if let Err(refused) = gate.check(asked).await {
                    said.note_status("a refused check", &refused);
                }
            }
        }
    }
    // Where something else belongs. (A version of the lists is a number, and is told.)
    for field in ["source", "scenario", "stage", "region", "role", "purpose"] {
        let mut event = evaluation("canary-elsewhere", &invented::uscc(FIRM + 1));
        let place = match field {
            "source" => &mut event.source,
            "scenario" => &mut event.scenario,
            "stage" => &mut event.stage,
            "region" => &mut event.region,
            "role" => &mut event.subjects[0].role,
            _ => &mut event.purpose,
        };
        canary.clone_into(place);
        let asked = v1::CheckRequest { event: Some(event) };
        if let Err(refused) = gate.check(asked).await {
            said.note_status(&format!("a check with another {field}"), &refused);
        }
    }
}

/// Posts JSON that holds it where it does not belong.
fn post(service: &Service, said: &mut Said, canary: &str) {
    let bodies = [
        format!("\"{canary}\""),
        format!("{{\"{canary}\": 1}}"),
        format!("{{\"subjects\": \"{canary}\"}}"),
        format!("{{\"subjects\": [\"{canary}\"]}}"),
        format!("{{\"subjects\": [{{\"id\": [\"{canary}\"]}}]}}"),
        format!(
            "{{\"subjects\": [{{\"id\": \"{canary}\", \"name\": \"{NAME}\", \"{NAME}\": 1}}]}}"
        ),
        format!("{{\"occurred_at\": \"{canary}\"}}"),
        format!("{{\"attributes\": \"{canary}\"}}"),
        format!("{{\"id\": \"{canary}\", \"subjects\": [{{\"id_type\": \"{canary}\"}}]}}"),
        format!("{{\"subjects\": [{{\"id\": \"{canary}\"}}"),
        format!("{canary} {NAME}"),
    ];
    for path in [
        "/v1/check",
        "/v1/events",
        "/v1/feedback",
        &format!("/v1/{canary}"),
    ] {
        for body in &bodies {
            let answer = service.post(path, body).expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
            // A route that is not there may be named by whoever asked for it.
            if !path.contains(canary) {
                said.note(format!("{path} with {body:.20}…"), answer);
            }
        }
    }
}

/// Imports rows that hold it in each column in turn.
fn import(service: &Service, said: &mut Said, canary: &str, id_type: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let head = "entry_id,list,id_type,id,name,kind,severity,designated_by,document_no,reason,region,scope,served_at,valid_from,valid_to,state";
    let good = format!(
        "E-CANARY-{id_type},B01,{id_type},{canary},{NAME},,serious,演示法院,（2026）演示执9号,虚构事由,320500,,2026-03-10,2026-03-10,2028-03-09,EFFECTIVE"
    );
    let columns: Vec<&str> = good.split(',').collect();
    let mut rows = vec![good.clone()];
    for place in 0..columns.len() {
        for text in [canary, NAME] {
            let mut row = columns.clone();
            let entry_id = format!("E-CANARY-{id_type}-{place}");
            row[0] = &entry_id;
            row[place] = text;
            rows.push(row.join(","));
        }
    }
    let server = format!("http://{}", service.grpc);
    for (nth, row) in rows.iter().enumerate() {
        let file = dir.path().join(format!("{nth}.csv"));
        std::fs::write(&file, format!("{head}\n{row}\n")).expect("written");
        let file = file.display().to_string();
        let done = run(
            &[
                "lists",
                "import",
                &file,
                "--source-unit",
                "演示数据",
                "--server",
                &server,
            ],
            "",
        );
        said.note_output(
            &format!("an import, column {}", nth.saturating_sub(1) / 2),
            &done,
        );
    }
}

/// Screens a list for honours with both in it. What comes back is for whoever sent it, and may lie about: masked.
fn screen(service: &Service, said: &mut Said, person: &str, firm: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let roster = format!("姓名,证件号码\n{NAME},{person}\n示例企业金丝雀有限公司,{firm}\n");
    std::fs::write(at("list.csv"), roster).expect("written");
    let server = format!("http://{}", service.grpc);
    let (list, out) = (at("list.csv"), at("out.csv"));
    let what = [
        "--scenario",
        "honour",
        "--region",
        "320500",
        "--purpose",
        "评优审核",
    ];
    let from = ["screen", &list, "-o", &out, "--server", &server];
    let done = run(&[&from[..], &what[..]].concat(), "");
    said.note_output("a screening", &done);
    let table = std::fs::read_to_string(&out);
    said.note(
        "what a screening wrote",
        table.unwrap_or_else(|_| panic!("{done:?}")),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_service_says_of_itself_shows_whom_it_is_about() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start_with(dir.path(), &["--log-filter", "trace"]);
    import_entries(&service);
    let (person, firm) = (invented::person(PERSON), invented::uscc(FIRM));
    let mut said = Said::default();
    for (canary, id_type) in [(&person, "ID18"), (&firm, "USCC")] {
        ask(&service, &mut said, canary).await;
        post(&service, &mut said, canary);
        import(&service, &mut said, canary, id_type);
    }
    screen(&service, &mut said, &person, &firm);
    said.note("the metrics", service.get("/metrics").expect("metrics"));
    said.note("the readiness", service.get("/readyz").expect("an answer"));
    let log = dir.path().join("service.log");
    service.stop();
    let data_dir = dir.path().display().to_string();
    for command in [["access", "calls"], ["journal", "verify"]] {
        let done = run(&[&command[..], &["--data-dir", &data_dir]].concat(), "");
        assert!(done.status.success(), "{done:?}");
        said.note_output(&command.join(" "), &done);
    }
    let logged = std::fs::read_to_string(&log).expect("a log");
    let masked = |id: &str, id_type: IdType| {
        Identifier::parse(id_type, id, None)
            .expect("an identifier")
            .masked()
    };
    said.note("the log", logged);
    for shown in [masked(&person, IdType::Id18), masked(&firm, IdType::Uscc)] {
        let shows = |(_, text): &&(String, String)| text.contains(&shown);
        assert!(
            said.0.iter().any(|one| shows(&one)),
            "{shown} came by nowhere"
        );
    }
    assert!(said.0.len() > 200, "{}", said.0.len());
    said.assert_nothing_in_clear(&[&person, &firm, NAME]);
}
