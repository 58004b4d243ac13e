//! Procedures around entries as an authority meets them, and what a check says after each step.

use creditgate_proto::v1;
use creditgate_tests::{Service, evaluation, import_entries, run};

/// Stands on B07 in the invented entries.
const BARRED: &str = "91219999MAYG58BR3Q";
const ENTRY: &str = "E-B07-1";

/// Runs a command of `lists` as an authority; gives what it prints, as JSON when it is asked for so.
fn lists(service: &Service, args: &[&str]) -> (bool, String) {
    let server = format!("http://{}", service.grpc);
    let told = [
        "--by",
        "示例机关",
        "--document",
        "示例1号",
        "--reason",
        "示例理由",
    ];
    let mut line = vec!["lists"];
    line.extend_from_slice(args);
    if args[0] == "procedure" && args[1] != "list" {
        line.extend(told);
    }
    line.extend(["--server", &server]);
    let done = run(&line, "");
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8(text).expect("UTF-8"),
    )
}

/// The procedure that a command with `--json` tells of, and the version of the lists with it.
fn procedure(service: &Service, args: &[&str]) -> (v1::Procedure, String) {
    let (done, text) = lists(service, &[args, &["--json"]].concat());
    assert!(done, "{text}");
    let answer: v1::ProcedureResponse = serde_json::from_str(&text).expect("an answer");
    (answer.procedure.expect("a procedure"), answer.list_version)
}

#[tokio::test]
async fn an_objection_holds_a_penalty_back_and_an_upheld_one_ends_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    import_entries(&service);
    let mut gate = service.gate().await;
    let mut outcome = async |id: &str, version: &str| {
        let mut event = evaluation(id, BARRED);
        event.min_list_version = version.to_owned();
        let event = Some(event);
        let answer = gate.check(v1::CheckRequest { event }).await;
        let verdict = answer.expect("an answer").into_inner().verdict;
        verdict.expect("a verdict").outcome
    };
    assert_eq!(outcome("1", "").await, "PROHIBIT");

    let (opened, version) = procedure(&service, &["procedure", "open", "objection", ENTRY]);
    assert_eq!(outcome("2", &version).await, "MANUAL_REVIEW");
    let limits: Vec<_> = opened.deadlines.iter().map(|limit| &limit.step).collect();
    assert_eq!(limits, ["decide", "pass_on"]);

    let (done, text) = lists(
        &service,
        &["due", "--until", "2099-12-31", "--kind", "limit"],
    );
    assert!(
        done && text.contains("异议：转交信息提供单位") && text.contains(ENTRY),
        "{text}"
    );
    let id = opened.procedure_id.as_str();
    let (done, text) = lists(&service, &["procedure", "step", id, "granted"]);
    assert!(
        !done && text.contains("passed_on, decided(upheld|rejected|withdrawn)"),
        "{text}"
    );

    let upheld = ["procedure", "step", id, "decided", "--outcome", "upheld"];
    let (closed, version) = procedure(&service, &upheld);
    assert!(!closed.open);
    assert_eq!(outcome("3", &version).await, "PASS");
    let (done, text) = lists(&service, &["notices", ENTRY]);
    assert!(done && text.contains("撤销列入决定告知书"), "{text}");
    let (done, text) = lists(&service, &["notices", ENTRY, "--render", "N08"]);
    assert!(
        done && text.contains(BARRED) && text.contains("contact"),
        "{text}"
    );
    service.stop();
}
