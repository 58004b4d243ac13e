//! One check at a time: first, repeated, refused, waiting.

use super::*;

#[tokio::test]
async fn the_first_verdict_stands_for_every_repeat() {
    let world = World::new();
    let gate = world.open();
    let first = check(&gate, event(1, 1, "evaluate")).await.unwrap();
    let again = check(&gate, event(1, 1, "evaluate")).await.unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!(first.verdict, again.verdict);
    assert_eq!(world.balance(), [1, 1, 0]);
}

#[tokio::test]
async fn the_same_id_with_other_content_is_refused() {
    let world = World::new();
    let gate = world.open();
    verdict(&gate, event(1, 1, "evaluate")).await;
    let mut other = event(1, 1, "evaluate");
    other.amount_fen = Some(1);
    let status = check(&gate, other).await.unwrap_err();
    assert_eq!(reason(&status), "AlreadyExists other_content");
    assert_eq!(world.balance(), [1, 0, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_with_one_event_get_one_verdict() {
    let world = World::new();
    let gate = world.open();
    let asking = (0..50).map(|_| {
        let gate = gate.clone();
        tokio::spawn(async move { check(&gate, event(1, 1, "evaluate")).await.unwrap() })
    });
    let asking: Vec<_> = asking.collect();
    let mut firsts = 0;
    let mut digests = std::collections::BTreeSet::new();
    for one in asking {
        let response = one.await.unwrap();
        firsts += usize::from(!response.repeated);
        digests.insert(response.verdict.unwrap().verdict_digest);
    }
    assert_eq!((firsts, digests.len()), (1, 1));
    assert_eq!(gate.inner.records.journal().head().sequence, 1);
    assert_eq!(world.balance(), [1, 49, 0]);
}

#[tokio::test]
async fn bad_events_are_refused_by_name_and_leave_no_trace() {
    let world = World::new();
    let gate = world.open();
    let refused = |change: fn(&mut v1::Event)| {
        let gate = gate.clone();
        async move {
            let mut bad = event(1, 1, "evaluate");
            change(&mut bad);
            let status = check(&gate, bad).await.unwrap_err();
            format!("{:?} {}", status.code(), status.message())
        }
    };
    let unknown = refused(|event| event.scenario = "nope".into()).await;
    assert!(
        unknown.starts_with("InvalidArgument scenario: unknown scenario `nope`"),
        "{unknown}"
    );
    let unknown = refused(|event| event.stage = "nope".into()).await;
    assert!(unknown.contains("has no stage `nope`"), "{unknown}");
    let many = refused(|event| event.subjects = vec![event.subjects[0].clone(); 201]).await;
    assert!(many.contains("at most 200, got 201"), "{many}");
    let early = refused(|event| *event = at(event.clone(), NOW + 301_000_000)).await;
    assert!(
        early.contains("lies more than 300 seconds ahead"),
        "{early}"
    );
    let none = gate.check(request(v1::CheckRequest { event: None })).await;
    assert_eq!(none.unwrap_err().code(), Code::InvalidArgument);
    // The id is free all the same.
    assert!(
        !check(&gate, event(1, 1, "evaluate"))
            .await
            .unwrap()
            .repeated
    );
    assert_eq!(world.balance(), [1, 0, 5]);
}

#[tokio::test]
async fn a_caller_is_needed_and_asked_for_its_permission() {
    let world = World::new();
    let gate = world.open();
    let message = v1::CheckRequest {
        event: Some(event(1, 1, "evaluate")),
    };
    let status = gate.check(Request::new(message)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    let keys = world.dir.path().join("keys.yaml");
    let hash = creditgate_runtime::callers::hash_key("k");
    let text = format!("callers:\n  - name: reader\n    key_sha256: {hash}\n    may: [read]\n");
    std::fs::write(&keys, text).unwrap();
    let reader = Callers::load(&keys).unwrap().callers;
    let reader = reader
        .authenticate(&creditgate_runtime::callers::Shown::authorization(
            "Bearer k",
        ))
        .unwrap();
    let as_reader = |event| {
        let mut request = Request::new(v1::CheckRequest { event });
        request.extensions_mut().insert(reader.clone());
        request
    };
    let status = gate.check(as_reader(Some(event(1, 1, "evaluate")))).await;
    assert_eq!(status.unwrap_err().code(), Code::PermissionDenied);
    let mut watching = Request::new(v1::WatchVerdictsRequest::default());
    watching.extensions_mut().insert(reader.clone());
    let status = gate.watch_verdicts(watching).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(world.balance(), [0, 0, 2]);
}

#[tokio::test]
async fn lists_are_waited_for_and_never_older_than_asked() {
    let mut world = World::new();
    world.limits.min_list_version_wait = Duration::from_millis(300);
    let gate = world.open();
    let wanting = |n, version: &str| {
        let mut event = event(n, n, "evaluate");
        event.min_list_version = version.into();
        event
    };
    let log = uuid::Uuid::from_u128(7);
    let ready = verdict(&gate, wanting(1, "10")).await;
    assert_eq!(ready.list_version, format!("{log}:10"));

    let status = check(&gate, wanting(2, "11")).await.unwrap_err();
    assert_eq!(reason(&status), "Unavailable lists_behind");
    let other = format!("{}:1", uuid::Uuid::from_u128(8));
    let status = check(&gate, wanting(2, &other)).await.unwrap_err();
    assert_eq!(reason(&status), "Unavailable lists_of_another_log");
    // Known already: the first verdict stands, whatever lists are asked for.
    let mut again = event(1, 1, "evaluate");
    again.min_list_version = "99".into();
    assert!(check(&gate, again).await.unwrap().repeated);

    let waiting = tokio::spawn({
        let (gate, event) = (gate.clone(), wanting(2, "12"));
        async move { verdict(&gate, event).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.publish(12);
    assert_eq!(waiting.await.unwrap().list_version, format!("{log}:12"));
    assert_eq!(world.balance(), [2, 1, 2]);
}

#[tokio::test]
async fn a_callers_deadline_ends_the_wait_before_it_passes() {
    let world = World::new();
    let gate = world.open();
    let mut event = event(1, 1, "evaluate");
    event.min_list_version = "11".into();
    let mut request = request(v1::CheckRequest { event: Some(event) });
    request.set_timeout(Duration::from_millis(120));
    let started = Instant::now();
    let status = gate.check(request).await.unwrap_err();
    assert_eq!(reason(&status), "Unavailable lists_behind");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn overload_is_shed_with_a_hint() {
    let mut world = World::new();
    world.limits.checks_in_flight = 1;
    let gate = world.open();
    let mut waiting = event(1, 1, "evaluate");
    waiting.min_list_version = "11".into();
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { check(&gate, waiting).await }
    });
    while world.metrics.checks_in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let status = check(&gate, event(2, 2, "evaluate")).await.unwrap_err();
    assert_eq!(reason(&status), "ResourceExhausted overloaded");
    assert!(
        creditgate_proto::status::item_error(&status)
            .retry_delay
            .is_some()
    );
    world.publish(11);
    waiting.await.unwrap().unwrap();
    assert!(check(&gate, event(2, 2, "evaluate")).await.is_ok());
    assert_eq!(world.balance(), [2, 0, 1]);
}

#[tokio::test]
async fn a_missing_check_is_seen_and_withdrawn_when_the_check_is_known() {
    let world = World::new();
    let gate = world.open();
    let hour = 3_600_000_000;
    let flags = |verdict: &v1::Verdict| verdict.subjects[0].flags.join(",");
    let award = at(event(1, 1, "award"), NOW - hour);
    assert_eq!(
        flags(&verdict(&gate, award).await),
        "missing_check:evaluate"
    );
    verdict(&gate, at(event(2, 2, "evaluate"), NOW - 2 * hour)).await;
    let award = at(event(3, 2, "award"), NOW - hour);
    assert_eq!(flags(&verdict(&gate, award).await), "");
    // From the journal, as memory is gone.
    drop(gate);
    let gate = world.open();
    let contract = at(event(4, 2, "contract"), NOW - hour);
    assert_eq!(flags(&verdict(&gate, contract).await), "");
    let contract = at(event(5, 1, "contract"), NOW - hour);
    let told = flags(&verdict(&gate, contract).await);
    assert_eq!(told, "missing_check:evaluate");
    // Each decides again to the same, with the view that was recorded.
    for id in ["e1", "e3", "e4", "e5"] {
        let replayed = replayed(&gate, id).await;
        assert!(replayed.same && replayed.explanation_same, "{id}");
    }
}

async fn replayed(gate: &Gate, id: &str) -> v1::ReplayResponse {
    let key = v1::get_verdict_request::Key::Event(v1::EventKey {
        source: "test".into(),
        event_id: id.into(),
    });
    let message = v1::GetVerdictRequest { key: Some(key) };
    let found = gate.get_verdict(request(message)).await.unwrap();
    let verdict = found.into_inner().verdict.unwrap();
    let message = v1::ReplayRequest {
        verdict_id: verdict.verdict_id.clone(),
    };
    let replayed = gate.replay(request(message)).await.unwrap().into_inner();
    assert_eq!(replayed.verdict, Some(verdict));
    replayed
}

#[tokio::test]
async fn verdicts_are_found_by_id_and_by_event_or_not_at_all() {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, event(1, 1, "evaluate")).await;
    assert!(replayed(&gate, "e1").await.same);
    let by_id = |id: String| {
        let key = Some(v1::get_verdict_request::Key::VerdictId(id));
        gate.get_verdict(request(v1::GetVerdictRequest { key }))
    };
    let found = by_id(first.verdict_id.clone()).await.unwrap();
    assert_eq!(found.into_inner().verdict, Some(first));
    let unknown = by_id(uuid::Uuid::nil().to_string()).await.unwrap_err();
    assert_eq!(reason(&unknown), "NotFound verdict_unknown");
    let bad = by_id("x".into()).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn closing_refuses_what_is_new_and_waits_for_what_is_under_way() {
    let world = World::new();
    let gate = world.open();
    let mut waiting = event(1, 1, "evaluate");
    waiting.min_list_version = "11".into();
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { check(&gate, waiting).await }
    });
    while world.metrics.checks_in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let closing = tokio::spawn({
        let gate = gate.clone();
        async move { gate.close(Duration::from_secs(10)).await }
    });
    gate.inner.admission.closed().await;
    let status = check(&gate, event(2, 2, "evaluate")).await.unwrap_err();
    assert_eq!(reason(&status), "Unavailable shutting_down");
    world.publish(11);
    waiting.await.unwrap().unwrap();
    closing.await.unwrap().unwrap();
    assert!(!world.readiness.snapshot().ready);
    assert_eq!(world.balance(), [1, 0, 1]);
    let gate = world.open();
    assert!(
        check(&gate, event(1, 1, "evaluate"))
            .await
            .unwrap()
            .repeated
    );
}
