//! Every route with a gate that says what it is told to: forms, errors, callers, limits, trace context.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use creditgate_console::ROUTES;
use creditgate_proto::{status, v1};
use creditgate_runtime::metrics::CONTENT_TYPE;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};

use common::{
    FakeGate, PARENT, RECEIPT, awaiting_keys, event, get, keyed, options, post, send, send_from,
};

const JSON: &str = "application/json";
const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn structured() -> Value {
    json!({
        "specversion": "1.0", "id": "e-1", "source": "land-office", "type": "cn.example.step",
        "minlistversion": "17", "data": event(),
    })
}

fn binary(media: &str) -> axum::http::request::Builder {
    Request::post("/v1/events")
        .header("content-type", media)
        .header("ce-specversion", "1.0")
        .header("ce-id", "e-1")
        .header("ce-source", "land-office")
        .header("ce-type", "cn.example.step")
}

#[tokio::test]
async fn an_event_in_json_is_answered_in_json() {
    let gate = FakeGate::passing();
    let request = post(
        "/v1/check",
        "Application/JSON; charset=utf-8",
        event().to_string(),
    );
    let got = send(options(gate.clone()), request).await;
    assert_eq!(
        (got.status.as_u16(), got.header("content-type")),
        (200, JSON)
    );
    assert_eq!(got.json()["verdict"]["outcome"], "PASS");
    assert_eq!(got.json()["verdict"]["case_id"], "办件 1%");
    assert_eq!(got.header("cache-control"), "no-store");
    let asked = gate.asked();
    assert_eq!(
        (&*asked[0].caller, asked[0].transport),
        ("local", "http_check")
    );
    assert_eq!(asked[0].event.subjects[0].name, "某公司");
}

#[tokio::test]
async fn an_event_in_protobuf_is_answered_in_protobuf() {
    let gate = FakeGate::passing();
    let event: v1::Event = serde_json::from_value(event()).unwrap();
    let request = post("/v1/check", "application/protobuf", event.encode_to_vec());
    let got = send(options(gate.clone()), request).await;
    assert_eq!(got.header("content-type"), "application/protobuf");
    let answer = v1::CheckResponse::decode(&*got.body).unwrap();
    assert_eq!(answer, common::pass(&event));
    assert_eq!(gate.asked()[0].event, event);
}

#[tokio::test]
async fn each_status_of_the_gate_is_a_problem() {
    async fn check(status: Status, expected: &str, retry_after: &str) {
        let gate = FakeGate::new(move |_| Err(status.clone()));
        let got = send(options(gate), post("/v1/check", JSON, event().to_string())).await;
        assert_eq!(got.problem(), expected);
        assert_eq!(got.header("retry-after"), retry_after, "{expected}");
    }
    let refused = creditgate_proto::Refused::one("subjects[3].role", "unknown role `NOPE`");
    check(
        status::refused_status(&refused),
        "400 invalid_argument [subjects[3].role: unknown role `NOPE`]",
        "",
    )
    .await;
    check(
        status::already_exists_status("other_content", "m"),
        "409 already_exists other_content",
        "",
    )
    .await;
    check(status::not_found_status("x", "m"), "404 not_found x", "").await;
    check(
        status::overloaded_status(Duration::from_millis(2_250)),
        "429 resource_exhausted overloaded",
        "3",
    )
    .await;
    check(
        status::unavailable_status("lists_behind", "m"),
        "503 unavailable lists_behind",
        "1",
    )
    .await;
    for (code, expected) in [
        (Code::PermissionDenied, "403 permission_denied"),
        (Code::Unauthenticated, "401 unauthenticated"),
        (Code::DeadlineExceeded, "504 deadline_exceeded"),
        (Code::FailedPrecondition, "400 failed_precondition"),
        (Code::Aborted, "409 aborted"),
        (Code::Unimplemented, "501 unimplemented"),
        (Code::Internal, "500 internal"),
        (Code::Unknown, "500 internal"),
    ] {
        check(Status::new(code, "m"), expected, "").await;
    }
    check(Status::cancelled("m"), "503 cancelled", "1").await;
}

#[tokio::test]
async fn what_a_fault_says_stays_inside() {
    let gate = FakeGate::new(|_| Err(Status::internal("/var/lib/secret: disk on fire")));
    let got = send(options(gate), post("/v1/check", JSON, event().to_string())).await;
    assert!(!String::from_utf8(got.body).unwrap().contains("secret"));
}

#[tokio::test]
async fn a_bad_request_never_reaches_the_gate_and_is_counted_once() {
    async fn check(request: Request<Body>, expected: &str, reason: &str) {
        let gate = FakeGate::passing();
        let mut options = options(gate.clone());
        options.limits.body_bytes_max = 1_000;
        let metrics = options.metrics.clone();
        let got = send(options, request).await;
        assert!(
            got.problem().starts_with(expected),
            "{} is not {expected}",
            got.problem()
        );
        assert!(gate.asked().is_empty(), "{expected}");
        let line = format!("creditgate_checks_refused_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.render().contains(&line), "{line}");
        assert_eq!(metrics.checks_in_flight(), 0);
    }
    let one = |path, media, body: &str| post(path, media, body.to_owned());
    let bad = "400 invalid_argument";
    check(
        one("/v1/check", JSON, ""),
        &format!("{bad} [body: empty"),
        "invalid",
    )
    .await;
    check(
        one("/v1/check", JSON, "{"),
        &format!("{bad} [body: not JSON"),
        "invalid",
    )
    .await;
    check(one("/v1/check", JSON, "[]"), bad, "invalid").await;
    check(
        one("/v1/check", JSON, r#"{"amuont_fen": 5}"#),
        &format!("{bad} [amuont_fen: unknown field"),
        "invalid",
    )
    .await;
    check(
        post("/v1/check", JSON, vec![b'{', 0xff]),
        &format!("{bad} [body: not UTF-8 at byte 1]"),
        "invalid",
    )
    .await;
    check(
        one("/v1/check", "application/protobuf", "\u{7}"),
        &format!("{bad} [body: not a protobuf"),
        "invalid",
    )
    .await;
    check(
        one("/v1/check", "text/plain", "{}"),
        "415 unsupported_media_type",
        "invalid",
    )
    .await;
    let untyped = Request::post("/v1/check").body(Body::from("{}")).unwrap();
    check(untyped, "415 unsupported_media_type", "invalid").await;
    let mut packed = one("/v1/check", JSON, "{}");
    packed
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    check(packed, "415 unsupported_media_type", "invalid").await;
    let long = " ".repeat(1_001);
    check(one("/v1/check", JSON, &long), "413 too_large", "too_large").await;
    let mut announced = one("/v1/check", JSON, "{}");
    announced
        .headers_mut()
        .insert("content-length", "1001".parse().unwrap());
    check(announced, "413 too_large", "too_large").await;

    check(
        one("/v1/events", "text/plain", "{}"),
        "415 unsupported_media_type",
        "invalid",
    )
    .await;
    check(
        one("/v1/events", JSON, &event().to_string()),
        &format!("{bad} [ce-specversion: required"),
        "invalid",
    )
    .await;
    check(
        one("/v1/events", STRUCTURED, ""),
        &format!("{bad} [body: empty"),
        "invalid",
    )
    .await;
    check(
        one(
            "/v1/events",
            STRUCTURED,
            r#"{"specversion":"0.3","id":"1","source":"s","type":"t","data":{}}"#,
        ),
        &format!("{bad} [specversion: expected `1.0`]"),
        "invalid",
    )
    .await;
    let twice = binary(JSON)
        .header("ce-id", "e-2")
        .body(Body::from(event().to_string()));
    check(
        twice.unwrap(),
        &format!("{bad} [ce-id: stands twice]"),
        "invalid",
    )
    .await;
    let other = binary(JSON).body(Body::from(event().to_string().replace("e-1", "e-2")));
    check(
        other.unwrap(),
        &format!("{bad} [ce-id: is not the event's own"),
        "invalid",
    )
    .await;
    check(
        one("/v1/events", BATCH, "{}"),
        &format!("{bad} [body: not a JSON array"),
        "invalid",
    )
    .await;
}

#[tokio::test]
async fn an_error_never_repeats_what_was_sent() {
    let body = r#"{"subjects": "张三 110101199003070134"}"#;
    for (path, media) in [
        ("/v1/check", JSON),
        ("/v1/events", STRUCTURED),
        ("/v1/events", BATCH),
    ] {
        for body in [
            body.to_owned(),
            format!("{body}张三"),
            format!("\"{}\"", "张三"),
        ] {
            let got = send(options(FakeGate::passing()), post(path, media, body)).await;
            assert_eq!(got.status, 400);
            let text = String::from_utf8(got.body).unwrap();
            assert!(!text.contains("张三") && !text.contains("1990"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_structured_cloud_event_is_answered_structured() {
    let gate = FakeGate::passing();
    let got = send(
        options(gate.clone()),
        post("/v1/events", STRUCTURED, structured().to_string()),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.header("content-type")),
        (200, STRUCTURED)
    );
    let mut answer = got.json();
    assert_eq!(answer["data"]["outcome"], "PASS");
    answer.as_object_mut().unwrap().remove("data");
    assert_eq!(
        answer,
        json!({
            "specversion": "1.0", "id": "0198c0de-0000-8000-8000-000000000001",
            "source": "urn:creditgate:gate", "type": "cn.creditgate.verdict.v1", "subject": "办件 1%",
            "time": "2026-03-01T09:30:00+08:00", "datacontenttype": JSON, "repeated": false, "receipt": RECEIPT,
        })
    );
    let asked = gate.asked();
    assert_eq!(
        (&*asked[0].event.min_list_version, asked[0].transport),
        ("17", "http_events")
    );
}

#[tokio::test]
async fn a_binary_cloud_event_is_answered_binary() {
    async fn check(media: &str, body: Vec<u8>) -> (common::Got, v1::Event) {
        let gate = FakeGate::passing();
        let request = binary(media)
            .header("ce-minlistversion", "17")
            .body(Body::from(body));
        let got = send(options(gate.clone()), request.unwrap()).await;
        assert_eq!(
            (got.status.as_u16(), got.header("content-type")),
            (200, media)
        );
        assert_eq!(got.header("ce-specversion"), "1.0");
        assert_eq!(got.header("ce-type"), "cn.creditgate.verdict.v1");
        assert_eq!(got.header("ce-id"), "0198c0de-0000-8000-8000-000000000001");
        assert_eq!(got.header("ce-source"), "urn:creditgate:gate");
        assert_eq!(got.header("ce-subject"), "%E5%8A%9E%E4%BB%B6%201%25");
        assert_eq!(got.header("ce-time"), "2026-03-01T09:30:00+08:00");
        assert_eq!(got.header("ce-repeated"), "false");
        assert_eq!(got.header("ce-receipt"), RECEIPT);
        let asked = gate.asked().remove(0).event;
        assert_eq!(asked.min_list_version, "17");
        (got, asked)
    }
    let (got, _) = check(JSON, event().to_string().into_bytes()).await;
    assert_eq!(got.json()["outcome"], "PASS");
    let event: v1::Event = serde_json::from_value(event()).unwrap();
    let (got, asked) = check("application/protobuf", event.encode_to_vec()).await;
    let verdict = v1::Verdict::decode(&*got.body).unwrap();
    assert_eq!(Some(verdict), common::pass(&asked).verdict);
}

#[tokio::test]
async fn a_batch_has_a_result_for_each_event_in_order() {
    let mut second = structured();
    second["data"]["subjects"] = json!(7);
    let mut third = structured();
    third["id"] = json!("e-3");
    third["data"]["id"] = json!("e-3");
    let late = Duration::from_millis(20);
    let gate = FakeGate::slow(late, |event| match &*event.id {
        "e-3" => Err(status::overloaded_status(Duration::from_millis(250))),
        _ => Ok(common::pass(event)),
    });
    let options = options(gate);
    let metrics = options.metrics.clone();
    let body = json!([structured(), second, third]).to_string();
    let got = send(options, post("/v1/events", BATCH, body)).await;
    assert_eq!(
        (got.status.as_u16(), got.header("content-type")),
        (200, JSON)
    );
    let answer = got.json();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    assert_eq!(results[0]["verdict"]["event_id"], "e-1");
    assert_eq!(results[1]["error"]["code"], 3);
    assert_eq!(
        results[1]["error"]["violations"][0]["field"],
        "data.subjects"
    );
    assert_eq!(results[2]["error"]["reason"], "overloaded");
    assert!(
        metrics
            .render()
            .contains("creditgate_checks_refused_total{reason=\"invalid\"} 1")
    );
}

#[tokio::test]
async fn an_empty_batch_has_no_results() {
    let got = send(
        options(FakeGate::passing()),
        post("/v1/events", BATCH, "[]"),
    )
    .await;
    assert_eq!((got.status.as_u16(), got.json()), (200, json!({})));
}

#[tokio::test]
async fn errors_of_events_are_problems() {
    let gate = FakeGate::new(|_| Err(status::already_exists_status("other_content", "m")));
    let got = send(
        options(gate),
        post("/v1/events", STRUCTURED, structured().to_string()),
    )
    .await;
    assert_eq!(got.problem(), "409 already_exists other_content");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_504() {
    let impatient = || {
        let gate = FakeGate::slow(Duration::from_secs(60), |event| Ok(common::pass(event)));
        let mut options = options(gate);
        options.limits.check_timeout = Duration::from_millis(20);
        options
    };
    let got = send(impatient(), post("/v1/check", JSON, event().to_string())).await;
    assert_eq!(got.problem(), "504 deadline_exceeded");
    let body = json!([structured()]).to_string();
    let got = send(impatient(), post("/v1/events", BATCH, body)).await;
    assert_eq!(got.json()["results"][0]["error"]["code"], 4);
}

#[tokio::test]
async fn a_body_that_never_ends_is_a_408() {
    let mut options = options(FakeGate::passing());
    options.limits.body_timeout = Duration::from_millis(20);
    let endless = Body::from_stream(futures::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let got = send(options, post("/v1/check", JSON, endless)).await;
    assert_eq!(got.problem(), "408 body_timeout");
    assert_eq!(got.header("connection"), "close");
}

#[tokio::test]
async fn a_stranger_needs_a_key_that_may_check() {
    async fn check(peer: &str, key: Option<&str>, expected: &str) {
        for (path, media, body) in [
            ("/v1/check", JSON, event()),
            ("/v1/events", STRUCTURED, structured()),
        ] {
            let mut options = options(FakeGate::passing());
            options.callers = keyed(&[("tender", "check"), ("reader", "read")]);
            let mut request = post(path, media, body.to_string());
            if let Some(key) = key {
                request
                    .headers_mut()
                    .insert("authorization", key.parse().unwrap());
            }
            let got = send_from(options, peer, request).await;
            let shown = if got.status == 200 {
                "200".into()
            } else {
                got.problem()
            };
            assert_eq!(shown, expected, "{key:?}");
            let asks = if got.status == 401 { "Bearer" } else { "" };
            assert_eq!(got.header("www-authenticate"), asks);
        }
    }
    const FAR: &str = "192.0.2.1:50000";
    check(FAR, Some("Bearer key-of-tender"), "200").await;
    check(FAR, Some("bearer key-of-tender"), "200").await;
    check(FAR, Some("Bearer key-of-reader"), "403 permission_denied").await;
    check(FAR, Some("Bearer nobody"), "401 unauthenticated").await;
    check(FAR, Some("Basic key-of-tender"), "401 unauthenticated").await;
    check(FAR, None, "401 unauthenticated").await;
    // With a keys file nobody is known by address.
    check("127.0.0.1:1", None, "401 unauthenticated").await;
}

#[tokio::test]
async fn a_token_whose_issuer_has_not_told_its_keys_may_come_again() {
    let mut options = options(FakeGate::passing());
    options.callers = awaiting_keys();
    let mut request = post("/v1/check", JSON, event().to_string());
    let token = "Bearer e30.e30.c2lnbmVk".parse().unwrap();
    request.headers_mut().insert("authorization", token);
    let got = send_from(options, "192.0.2.1:50000", request).await;
    assert_eq!(got.problem(), "503 unavailable");
    assert_eq!(got.header("retry-after"), "1");
}

#[tokio::test]
async fn without_keys_only_callers_on_this_machine_are_served() {
    async fn check(peer: &str, header: Option<(&'static str, &str)>, expected: &str) {
        let mut request = post("/v1/check", JSON, event().to_string());
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let got = send_from(options(FakeGate::passing()), peer, request).await;
        let shown = if got.status == 200 {
            "200".into()
        } else {
            got.problem()
        };
        assert_eq!(shown, expected, "{peer} {header:?}");
    }
    let denied = "403 permission_denied";
    check("127.0.0.1:1", None, "200").await;
    check("127.9.9.9:1", Some(("host", "127.0.0.1:7421")), "200").await;
    check("[::1]:1", Some(("host", "[::1]:7421")), "200").await;
    check(
        "[::ffff:127.0.0.1]:1",
        Some(("host", "localhost:7421")),
        "200",
    )
    .await;
    check("192.0.2.1:1", None, denied).await;
    check("[::ffff:192.0.2.1]:1", None, denied).await;
    // A page whose name was pointed here, and a proxy on this machine.
    check("127.0.0.1:1", Some(("host", "evil.example:7421")), denied).await;
    check(
        "127.0.0.1:1",
        Some(("host", "127.0.0.1.evil.example")),
        denied,
    )
    .await;
    check(
        "127.0.0.1:1",
        Some(("x-forwarded-for", "192.0.2.1")),
        denied,
    )
    .await;
    check("127.0.0.1:1", Some(("forwarded", "for=192.0.2.1")), denied).await;
}

#[tokio::test]
async fn a_request_of_unknown_origin_is_not_local() {
    let router = creditgate_console::router(options(FakeGate::passing()));
    let request = post("/v1/check", JSON, event().to_string());
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn metrics_need_a_key_from_elsewhere_only() {
    async fn check(peer: &str, key: Option<&str>, expected: u16) {
        let mut options = options(FakeGate::passing());
        options.callers = keyed(&[("tender", "check"), ("reader", "read")]);
        let metrics = options.metrics.clone();
        let mut request = get("/metrics");
        if let Some(key) = key {
            let key = format!("Bearer key-of-{key}");
            request
                .headers_mut()
                .insert("authorization", key.parse().unwrap());
        }
        let got = send_from(options, peer, request).await;
        assert_eq!(got.status, expected, "{peer} {key:?}");
        if expected == 200 {
            assert_eq!(got.header("content-type"), CONTENT_TYPE);
            assert!(
                String::from_utf8(got.body)
                    .unwrap()
                    .contains("creditgate_checks_in_flight 0")
            );
        }
        // A look at the numbers is no check.
        assert!(!metrics.render().contains("{reason=\"unauthenticated\"} 1"));
    }
    check("127.0.0.1:1", None, 200).await;
    check("192.0.2.1:1", None, 401).await;
    check("192.0.2.1:1", Some("tender"), 403).await;
    check("192.0.2.1:1", Some("reader"), 200).await;
}

#[tokio::test]
async fn health_is_for_everybody_and_readiness_says_why_not() {
    let options_not_ready = || {
        let options = options(FakeGate::passing());
        options
            .readiness
            .not_ready("journal", "replaying the change log");
        options
    };
    let far = "192.0.2.1:1";
    let got = send_from(options_not_ready(), far, get("/healthz")).await;
    assert_eq!(
        (got.status.as_u16(), got.json()),
        (200, json!({"status": "ok"}))
    );
    let got = send_from(options_not_ready(), far, get("/readyz")).await;
    assert_eq!(
        (got.status.as_u16(), got.header("content-type")),
        (503, JSON)
    );
    let journal = &got.json()["components"]["journal"];
    assert_eq!(
        journal,
        &json!({"state": "not_ready", "reason": "replaying the change log"})
    );
    // No list was ever imported, and that is no reason.
    let got = send_from(options(FakeGate::passing()), far, get("/readyz")).await;
    assert_eq!(
        (got.status.as_u16(), &got.json()["ready"]),
        (200, &json!(true))
    );
    assert_eq!(
        got.json()["list_version"],
        "00000000-0000-0000-0000-000000000007:0"
    );
    assert_eq!(got.json()["book_version"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_report_comes_in_as_json_or_protobuf_and_refusals_are_problems() {
    let report = |status: &str| {
        json!({"feedback_id": "F-1", "verdict_id": "v", "measure_id": "M07", "status": status,
            "operator": "经办人", "department": "示例局", "amount_fen": "100",
            "executed_at": "2026-06-01T10:00:00+08:00"})
    };
    let ask = |body: String| {
        send(
            options(FakeGate::passing()),
            post("/v1/feedback", JSON, body),
        )
    };
    let got = ask(report("executed").to_string()).await;
    assert_eq!(got.status, 200);
    let kept = &got.json()["feedback"];
    assert_eq!(
        (&kept["caller"], &kept["feedback"]["measure_id"]),
        (&json!("local"), &json!("M07"))
    );
    let got = ask(report("partly").to_string()).await;
    assert_eq!(got.problem(), "400 failed_precondition");
    let got = ask(json!({"feedback_id": "F-1", "amuont_fen": 1}).to_string()).await;
    assert_eq!(
        got.problem(),
        "400 invalid_argument [amuont_fen: unknown field `amuont_fen`]"
    );
    let bytes = v1::Feedback {
        feedback_id: "F-2".to_owned(),
        status: "executed".to_owned(),
        ..Default::default()
    }
    .encode_to_vec();
    let request = post("/v1/feedback", "application/protobuf", bytes);
    let got = send(options(FakeGate::passing()), request).await;
    assert_eq!(got.status, 200);
    assert_eq!(got.header("content-type"), "application/protobuf");
    // A key that may only check may not report.
    let mut keyed_options = options(FakeGate::passing());
    keyed_options.callers = keyed(&[("portal", "check")]);
    let mut request = post("/v1/feedback", JSON, report("executed").to_string());
    let key = "Bearer key-of-portal".parse().unwrap();
    request.headers_mut().insert("authorization", key);
    let got = send(keyed_options, request).await;
    assert_eq!(got.problem(), "403 permission_denied");
}

#[tokio::test]
async fn every_route_is_there_is_listed_and_is_described() {
    let description = send(options(FakeGate::passing()), get("/openapi.json"))
        .await
        .json();
    let index = send(options(FakeGate::passing()), get("/")).await;
    let index = String::from_utf8(index.body).unwrap();
    assert!(index.starts_with("creditgate 0.1.0\n"));
    for route in ROUTES {
        let method: Method = route.method.parse().unwrap();
        let request = Request::builder()
            .method(method)
            .uri(route.path)
            .body(Body::empty());
        let got = send(options(FakeGate::passing()), request.unwrap()).await;
        assert!(got.status != 404 && got.status != 405, "{route:?}");
        assert!(index.contains(route.path), "{route:?}");
        let described = &description["paths"][route.path][route.method.to_lowercase()];
        assert!(described["responses"]["200"].is_object(), "{route:?}");
    }
    let described = description["paths"].as_object().unwrap();
    assert_eq!(described.len(), ROUTES.len());
}

#[tokio::test]
async fn the_description_points_only_at_what_it_holds() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(
                    object
                        .get("$ref")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                object.values().for_each(|value| walk(value, found));
            }
            Value::Array(array) => array.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let description = send(options(FakeGate::passing()), get("/openapi.json"))
        .await
        .json();
    let mut found = Vec::new();
    walk(&description, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let got = send(options(FakeGate::passing()), get("/v2/check")).await;
    assert_eq!(got.problem(), "404 no_such_route");
    let got = send(options(FakeGate::passing()), get("/v1/check")).await;
    assert_eq!(
        (&*got.problem(), got.header("allow")),
        ("405 method_not_allowed", "POST")
    );
    let got = send(options(FakeGate::passing()), post("/healthz", JSON, "{}")).await;
    assert_eq!(
        (&*got.problem(), got.header("allow")),
        ("405 method_not_allowed", "GET,HEAD")
    );
}

#[tokio::test]
async fn trace_context_comes_back_and_that_of_the_event_counts_first() {
    const OWN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    async fn check(mut request: Request<Body>, expected: (&str, &str)) -> common::Got {
        request
            .headers_mut()
            .insert("traceparent", PARENT.parse().unwrap());
        request
            .headers_mut()
            .insert("tracestate", "vendor=1".parse().unwrap());
        let got = send(options(FakeGate::passing()), request).await;
        assert_eq!(
            (got.header("traceparent"), got.header("tracestate")),
            expected
        );
        got
    }
    check(
        post("/v1/check", JSON, event().to_string()),
        (PARENT, "vendor=1"),
    )
    .await;
    let got = check(
        post("/v1/events", STRUCTURED, structured().to_string()),
        (PARENT, "vendor=1"),
    )
    .await;
    assert_eq!(got.json()["traceparent"], PARENT);
    let mut own = structured();
    own["traceparent"] = json!(OWN);
    own["tracestate"] = json!("own=1");
    let got = check(
        post("/v1/events", STRUCTURED, own.to_string()),
        (OWN, "own=1"),
    )
    .await;
    assert_eq!(got.json()["traceparent"], OWN);
    let own = binary(JSON)
        .header("ce-traceparent", OWN)
        .header("ce-tracestate", "own=1");
    let got = check(
        own.body(Body::from(event().to_string())).unwrap(),
        (OWN, "own=1"),
    )
    .await;
    assert_eq!(got.header("ce-traceparent"), OWN);
    let mut bare = structured();
    bare["traceparent"] = json!(OWN);
    check(post("/v1/events", STRUCTURED, bare.to_string()), (OWN, "")).await;
    let mut malformed = post("/v1/check", JSON, event().to_string());
    malformed
        .headers_mut()
        .insert("traceparent", "00-0-0-00".parse().unwrap());
    let got = send(options(FakeGate::passing()), malformed).await;
    assert_eq!((got.status.as_u16(), got.header("traceparent")), (200, ""));
}
