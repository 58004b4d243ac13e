//! The service as a tender platform and an operator meet it.

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::{Service, evaluation, import_entries, run};
use tonic::Code;
use tonic_types::StatusExt;

/// Stands on B07 in the invented entries.
const BARRED: &str = "91219999MAYG58BR3Q";

fn request(event: v1::Event) -> v1::CheckRequest {
    v1::CheckRequest { event: Some(event) }
}

#[tokio::test]
async fn a_barred_bidder_is_stopped_and_a_repair_frees_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    let mut gate = service.gate().await;

    let empty = gate
        .check(request(evaluation("0", BARRED)))
        .await
        .expect("a verdict")
        .into_inner();
    let verdict = empty.verdict.expect("a verdict");
    assert_eq!(
        verdict.outcome, "MANUAL_REVIEW",
        "an empty system never says PASS"
    );
    assert!(
        verdict
            .not_checked
            .iter()
            .any(|n| n.list == "B07" && n.why == "not_loaded")
    );

    import_entries(&service);
    let stopped = gate
        .check(request(evaluation("1", BARRED)))
        .await
        .expect("a verdict")
        .into_inner();
    let verdict = stopped.verdict.expect("a verdict");
    assert_eq!(verdict.outcome, "PROHIBIT");
    let triggered = &verdict.subjects[0].triggered[0];
    let measure = triggered.measure.as_ref().expect("its row");
    assert!(!measure.basis.is_empty() && measure.remedies.is_some());

    let repaired = v1::ChangeState {
        entry_id: "E-B07-1".to_owned(),
        to: "REPAIRED".to_owned(),
        document_no: "演示修复1号".to_owned(),
        reason: "invented".to_owned(),
        ..v1::ChangeState::default()
    };
    let change = Some(v1::apply_request::Change::ChangeState(repaired));
    let applied = service
        .lists()
        .await
        .apply(v1::ApplyRequest { change })
        .await
        .expect("accepted")
        .into_inner();

    let mut event = evaluation("2", BARRED);
    event.min_list_version = applied.list_version;
    let freed = gate
        .check(request(event))
        .await
        .expect("a verdict")
        .into_inner();
    assert_eq!(freed.verdict.expect("a verdict").outcome, "PASS");
    service.stop();
}

#[tokio::test]
async fn bad_input_gets_its_clear_error_and_the_process_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    import_entries(&service);
    let mut gate = service.gate().await.max_encoding_message_size(64 << 20);
    let clean = invented::uscc(1);

    let mut unknown_scenario = evaluation("a", &clean);
    unknown_scenario.scenario = "tendering".to_owned();
    let mut unknown_stage = evaluation("b", &clean);
    unknown_stage.stage = "evaluation".to_owned();
    let mut crowd = evaluation("c", &clean);
    crowd.subjects = vec![crowd.subjects[0].clone(); 201];
    let mut future = evaluation("d", &clean);
    future.occurred_at = Some(pbjson_types::Timestamp {
        seconds: 4_000_000_000,
        nanos: 0,
    });
    let cases = [
        (unknown_scenario, "scenario"),
        (unknown_stage, "stage"),
        (crowd, "subjects"),
        (future, "occurred_at"),
    ];
    for (event, field) in cases {
        let refused = gate.check(request(event)).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        let bad = refused
            .get_details_bad_request()
            .expect("google.rpc.BadRequest");
        assert!(
            bad.field_violations.iter().any(|v| v.field == field),
            "{field}: {bad:?}"
        );
    }

    let mut huge = evaluation("e", &clean);
    huge.purpose = "x".repeat(5 << 20);
    let refused = gate.check(request(huge)).await.expect_err("refused");
    assert!(
        matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{refused:?}"
    );

    gate.check(request(evaluation("f", &clean)))
        .await
        .expect("the first content");
    let other = gate
        .check(request(evaluation("f", BARRED)))
        .await
        .expect_err("other content");
    assert_eq!(other.code(), Code::AlreadyExists);

    let wrong_digit = evaluation("g", "91219999MAYG58BR3R");
    let answer = gate
        .check(request(wrong_digit))
        .await
        .expect("no error")
        .into_inner();
    let verdict = answer.verdict.expect("a verdict");
    assert_eq!(verdict.outcome, "MANUAL_REVIEW");
    assert_eq!(verdict.subjects[0].flags, ["subject_unverified"]);

    let invalid_utf8 = "\u{fffd}";
    let answer = service.post("/v1/check", invalid_utf8).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    let after = gate
        .check(request(evaluation("h", &clean)))
        .await
        .expect("it goes on")
        .into_inner();
    assert_eq!(after.verdict.expect("a verdict").outcome, "PASS");
    let received = service.metric("creditgate_checks_received_total");
    let ended = service.metric("creditgate_verdicts_total")
        + service.metric("creditgate_checks_repeated_total")
        + service.metric("creditgate_checks_refused_total")
        + service.metric("creditgate_checks_in_flight");
    assert!(
        (received - ended).abs() < f64::EPSILON,
        "{received} received, {ended} ended"
    );
}

#[tokio::test]
async fn the_same_event_by_every_way_is_one_verdict() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    import_entries(&service);
    let mut gate = service.gate().await;
    let event = evaluation("way", BARRED);
    let first = gate
        .check(request(event.clone()))
        .await
        .expect("a verdict")
        .into_inner();
    let first = first.verdict.expect("a verdict");

    let json = serde_json::to_string(&event).expect("JSON");
    let by_http = service.post("/v1/check", &json).expect("an answer");
    assert!(by_http.starts_with("HTTP/1.1 200"), "{by_http}");
    assert!(by_http.contains(&first.verdict_id) && by_http.contains(&first.verdict_digest));

    let server = format!("http://{}", service.grpc);
    let by_cli = run(
        &["check", "--file", "-", "--json", "--server", &server],
        &json,
    );
    assert_eq!(by_cli.status.code(), Some(1), "not PASS");
    assert!(String::from_utf8_lossy(&by_cli.stdout).contains(&first.verdict_id));

    let by_stream = gate
        .check_stream(tokio_stream::once(v1::CheckStreamRequest {
            event: Some(event.clone()),
            correlation: "mine".to_owned(),
        }))
        .await
        .expect("a stream")
        .into_inner()
        .message()
        .await
        .expect("an answer")
        .expect("an item");
    assert_eq!(by_stream.correlation, "mine");
    let batch = v1::CheckBatchRequest {
        events: vec![event],
    };
    let by_batch = gate
        .check_batch(batch)
        .await
        .expect("an answer")
        .into_inner();
    for result in by_batch.results.into_iter().chain(by_stream.result) {
        assert!(result.repeated);
        let Some(v1::check_result::Result::Verdict(verdict)) = result.result else {
            panic!("no verdict");
        };
        assert_eq!(verdict.verdict_digest, first.verdict_digest);
    }
    assert!((service.metric("creditgate_verdicts_total") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn keys_decide_who_may_do_what() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("keys.yaml");
    let path = file.display().to_string();
    let made = run(
        &["keys", "tender-platform", "--may", "check", "--file", &path],
        "",
    );
    let key = String::from_utf8_lossy(&made.stderr);
    let key = key
        .lines()
        .find_map(|line| line.split(": ").nth(1))
        .expect("the key")
        .trim()
        .to_owned();
    let service = Service::start_with(dir.path(), &["--keys-file", &path]);

    let mut without = service.gate().await;
    let refused = without
        .check(request(evaluation("1", BARRED)))
        .await
        .expect_err("no key");
    assert_eq!(refused.code(), Code::Unauthenticated);

    let with_key = |message: v1::CheckRequest| {
        let mut request = tonic::Request::new(message);
        let value = format!("Bearer {key}").parse().expect("a header");
        request.metadata_mut().insert("authorization", value);
        request
    };
    let judged = without
        .check(with_key(request(evaluation("1", BARRED))))
        .await;
    assert!(judged.is_ok(), "{judged:?}");
    let mut replay = tonic::Request::new(v1::ReplayRequest {
        verdict_id: "x".to_owned(),
    });
    let value = format!("Bearer {key}").parse().expect("a header");
    replay.metadata_mut().insert("authorization", value);
    let refused = without.replay(replay).await.expect_err("may not read");
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_list_whose_rows_could_not_all_be_read_does_not_pass_for_complete() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    let server = format!("http://{}", service.grpc);
    let entries = creditgate_tests::root().join("services/creditgate/demo/entries.csv");
    let text = std::fs::read_to_string(entries).expect("the entries");
    // The barred bidder's row loses its last cell; one more names a list that does not exist.
    let cut: Vec<&str> = text
        .lines()
        .map(|line| match line.starts_with("E-B07-1,") {
            true => line.rsplit_once(',').map_or(line, |(kept, _)| kept),
            false => line,
        })
        .collect();
    let file = dir.path().join("cut.csv");
    let unknown = "E-B99-1,B99,,,示例,,,,,,320500,,,2026-03-01,,PROPOSED";
    std::fs::write(&file, format!("{}\n{unknown}\n", cut.join("\n"))).expect("a file");
    let path = file.display().to_string();
    let import = |on_error| {
        run(
            &[
                "lists",
                "import",
                &path,
                "--source-unit",
                "演示",
                "--on-error",
                on_error,
                "--server",
                &server,
            ],
            "",
        )
    };
    assert_eq!(
        import("hold").status.code(),
        Some(1),
        "held: nothing is taken"
    );
    let skipped = import("skip");
    let told = String::from_utf8_lossy(&skipped.stdout).into_owned();
    assert_eq!(skipped.status.code(), Some(1), "{told}");
    assert!(
        told.contains("accepted  82") && told.contains("refused   2"),
        "{told}"
    );

    let mut gate = service.gate().await;
    let answer = gate
        .check(request(evaluation("1", BARRED)))
        .await
        .expect("a verdict")
        .into_inner();
    let verdict = answer.verdict.expect("a verdict");
    assert_eq!(
        verdict.outcome, "MANUAL_REVIEW",
        "a listed firm must not pass"
    );
    assert!(verdict.not_checked.iter().any(|n| n.list == "B07"));
}

#[tokio::test]
async fn twenty_thousand_small_items_of_an_eager_stream_are_all_answered_in_order() {
    const ITEMS: usize = 20_000;
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start(dir.path());
    import_entries(&service);
    let items = (0..ITEMS).map(|n| v1::CheckStreamRequest {
        event: Some(evaluation(&format!("eager-{n}"), &invented::uscc(n as u64))),
        correlation: n.to_string(),
    });
    let mut gate = service.gate().await;
    let mut answers = gate
        .check_stream(tokio_stream::iter(items))
        .await
        .expect("a stream")
        .into_inner();
    for n in 0..ITEMS {
        let answer = answers
            .message()
            .await
            .expect("no end before the last")
            .expect("an answer");
        assert_eq!(answer.correlation, n.to_string());
        let result = answer.result.and_then(|result| result.result);
        assert!(
            matches!(result, Some(v1::check_result::Result::Verdict(_))),
            "{n}: {result:?}"
        );
    }
    assert!(answers.message().await.expect("its end").is_none());
}
