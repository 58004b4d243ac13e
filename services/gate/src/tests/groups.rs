//! Batches and streams.

use creditgate_runtime::callers::hash_key;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_are_answered_in_order_and_one_more_is_too_many() {
    let world = World::new();
    let gate = world.open();
    let events: Vec<_> = (0..10_000)
        .map(|n| event(n, n % 3_000, "evaluate"))
        .collect();
    let results = batch(&gate, events.clone()).await;
    assert_eq!(results.len(), 10_000);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(told(result), format!("e{n}"));
    }
    // One run, apart from its division by size.
    let stats = gate.inner.records.journal().stats();
    assert_eq!(stats.records, 10_000);
    assert!(stats.batches <= 8, "{stats:?}");

    let mut more = events;
    more.push(event(10_000, 1, "evaluate"));
    let message = v1::CheckBatchRequest { events: more };
    let status = gate.check_batch(request(message)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("at most 10000, got 10001"));
    assert_eq!(world.balance(), [10_000, 0, 1]);
}

#[tokio::test]
async fn a_batch_may_hold_the_same_event_twice_and_bad_ones() {
    let world = World::new();
    let gate = world.open();
    let mut other = event(1, 1, "evaluate");
    other.amount_fen = Some(5);
    let mut bad = event(3, 3, "evaluate");
    bad.subjects.clear();
    let events = vec![
        event(1, 1, "evaluate"),
        event(1, 1, "evaluate"),
        other,
        bad,
        event(2, 2, "evaluate"),
        event(1, 1, "evaluate"),
    ];
    let told: Vec<_> = batch(&gate, events).await.iter().map(told).collect();
    assert_eq!(
        told,
        [
            "e1",
            "e1+",
            "AlreadyExists other_content",
            "InvalidArgument ",
            "e2",
            "e1+"
        ]
    );
    assert!(batch(&gate, Vec::new()).await.is_empty());
    assert_eq!(world.balance(), [2, 2, 2]);
}

fn item(event: Option<v1::Event>, correlation: impl Into<String>) -> v1::CheckStreamRequest {
    v1::CheckStreamRequest {
        event,
        correlation: correlation.into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_keeps_its_order_whatever_delays_there_are() {
    let world = World::new();
    let gate = world.open();
    let (sender, requests) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut random = 88_172_645_463_325_252_u64;
        for n in 0..3_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut event = event(n, n, "evaluate");
            if random.is_multiple_of(100) {
                // Waits, and in the end is not answered.
                event.min_list_version = "11".into();
            }
            if random.is_multiple_of(50) {
                tokio::time::sleep(Duration::from_micros(random % 2_000)).await;
            }
            sender
                .send(Ok(item(Some(event), n.to_string())))
                .await
                .unwrap();
        }
    });
    let requests = ReceiverStream::new(requests);
    let responses = gate.answer_stream(requests, caller(), tracing::Span::none());
    let responses: Vec<_> = responses.collect().await;
    assert_eq!(responses.len(), 3_000);
    for (n, response) in responses.into_iter().enumerate() {
        let response = response.unwrap();
        assert_eq!(response.correlation, n.to_string());
        let told = told(&response.result.unwrap());
        assert!(
            told == format!("e{n}") || told == "Unavailable lists_behind",
            "{told}"
        );
    }
    world.balance();
}

#[tokio::test]
async fn bad_items_get_their_own_error_and_the_stream_goes_on() {
    let world = World::new();
    let gate = world.open();
    let mut bad = event(2, 2, "evaluate");
    bad.region = "x".into();
    let items = [
        item(Some(event(1, 1, "evaluate")), "a"),
        item(Some(bad), "b"),
        item(None, "c"),
        item(Some(event(3, 3, "evaluate")), "d".repeat(129)),
        item(Some(event(1, 1, "evaluate")), "e"),
        item(Some(event(4, 4, "evaluate")), "f"),
    ];
    let requests = tokio_stream::iter(items.map(Ok));
    let responses: Vec<_> = gate
        .answer_stream(requests, caller(), tracing::Span::none())
        .collect()
        .await;
    let told: Vec<_> = responses
        .into_iter()
        .map(|response| {
            let response = response.unwrap();
            format!(
                "{}: {}",
                response.correlation,
                told(&response.result.unwrap())
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "a: e1",
            "b: InvalidArgument ",
            "c: InvalidArgument ",
            ": InvalidArgument ",
            "e: e1+",
            "f: e4"
        ]
    );
    assert_eq!(world.balance(), [2, 1, 3]);
}

#[tokio::test]
async fn an_event_that_waits_for_lists_keeps_no_later_group_from_claiming_it() {
    let world = World::new();
    let gate = world.open();
    let (sender, requests) = mpsc::channel(8);
    let responses = gate.answer_stream(
        ReceiverStream::new(requests),
        caller(),
        tracing::Span::none(),
    );
    let mut waiting = event(1, 1, "evaluate");
    waiting.min_list_version = "11".into();
    sender.send(Ok(item(Some(waiting), "first"))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    sender
        .send(Ok(item(Some(event(1, 1, "evaluate")), "second")))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.publish(11);
    drop(sender);
    let responses: Vec<_> = responses.collect().await;
    let told: Vec<_> = responses
        .into_iter()
        .map(|response| told(&response.unwrap().result.unwrap()))
        .collect();
    assert_eq!(told, ["e1+", "e1"]);
}

#[tokio::test]
async fn a_reader_who_stops_reading_blocks_only_himself() {
    let world = World::new();
    let gate = world.open();
    let requests =
        tokio_stream::iter((0..5_000).map(|n| Ok(item(Some(event(n, n, "evaluate")), ""))));
    let mut responses = gate.answer_stream(requests, caller(), tracing::Span::none());
    let first = responses.next().await.unwrap().unwrap();
    assert_eq!(told(&first.result.unwrap()), "e0");
    // Not read any further, yet whatever it has claimed is settled.
    for n in 0..5_000 {
        check(&gate, event(n, n, "evaluate")).await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_answers_when_the_gate_closes() {
    let world = World::new();
    let gate = world.open();
    let (sender, requests) = mpsc::channel(8);
    let mut responses = gate.answer_stream(
        ReceiverStream::new(requests),
        caller(),
        tracing::Span::none(),
    );
    sender
        .send(Ok(item(Some(event(1, 1, "evaluate")), "")))
        .await
        .unwrap();
    let first = responses.next().await.unwrap().unwrap();
    assert_eq!(told(&first.result.unwrap()), "e1");
    gate.close(Duration::from_secs(10)).await.unwrap();
    assert!(responses.next().await.is_none());
}

#[tokio::test]
async fn streams_go_on_with_what_holds_now_or_end() {
    let world = World::new();
    let gate = world.open();
    let path = world.dir.path().join("keys.yaml");
    let callers = |key: &str, may: &str| {
        let key = hash_key(key);
        let file = format!("callers:\n- {{name: platform, key_sha256: {key}, may: [{may}]}}\n");
        std::fs::write(&path, file).unwrap();
        Callers::load(&path).unwrap().callers
    };
    let known = callers("first", "check, watch");
    let begin = |key: &str| {
        let caller = known.authenticate(&Shown::authorization(&format!("Bearer {key}")));
        let caller = caller.unwrap();
        let (sender, requests) = mpsc::channel(8);
        let requests = ReceiverStream::new(requests);
        let watching = v1::WatchVerdictsRequest {
            follow: true,
            ..v1::WatchVerdictsRequest::default()
        };
        let checks = gate.answer_stream(requests, caller.clone(), tracing::Span::none());
        (sender, checks, gate.watch(watching, caller))
    };
    let (sender, mut checks, mut verdicts) = begin("first");

    // Read again with the same key: it goes on.
    known.renew(&callers("first", "check, watch, read"));
    let one = item(Some(event(1, 1, "evaluate")), "");
    sender.send(Ok(one)).await.unwrap();
    let answer = checks.next().await.unwrap().unwrap();
    assert_eq!(told(&answer.result.unwrap()), "e1");
    let seen = verdicts.next().await.unwrap().unwrap();
    assert_eq!(seen.verdict.unwrap().event_id, "e1");

    // The key was given away and replaced: whoever holds the old one is out.
    known.renew(&callers("second", "check, watch"));
    let ended = checks.next().await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert!(checks.next().await.is_none());
    let ended = verdicts.next().await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);

    // Known by the same key, and may not any more.
    let (_sender, mut checks, mut verdicts) = begin("second");
    known.renew(&callers("second", "read"));
    let ended = checks.next().await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::PermissionDenied);
    let ended = verdicts.next().await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::PermissionDenied);
}
