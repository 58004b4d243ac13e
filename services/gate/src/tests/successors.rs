//! Which verdict took the place of which: told in answers to repeats, whatever became of the index.

use creditgate_measures::verdict::Cause;
use creditgate_runtime::metrics::Transport;
use creditgate_runtime::ports::{Check, Review, Reviews as _};

use super::review::{HOUR, id, now, record, replayed, review};
use super::*;

fn given() -> v1::Event {
    at(event(1, 1, "bid"), NOW - HOUR)
}

/// The change with this number has the case of `first` judged again, in the place of `before`.
async fn reviewed(
    world: &World,
    gate: &Gate,
    first: &v1::Verdict,
    before: &v1::Verdict,
    change: u64,
) -> v1::Verdict {
    let asked = Review {
        cause: Cause::ListChange(change),
        supersedes: id(&before.verdict_id),
        ..review(world, gate, first, "evaluate").await
    };
    now(gate.review(asked).await)
}

async fn shown(gate: &Gate, verdict: &v1::Verdict) -> v1::Verdict {
    let key = v1::get_verdict_request::Key::VerdictId(verdict.verdict_id.clone());
    let asked = request(v1::GetVerdictRequest { key: Some(key) });
    let shown = gate.get_verdict(asked).await.unwrap().into_inner();
    shown.verdict.unwrap()
}

/// What each verdict is told to have been superseded by.
async fn told(gate: &Gate, verdicts: &[&v1::Verdict]) -> Vec<Option<String>> {
    let mut told = Vec::new();
    for verdict in verdicts {
        told.push(shown(gate, verdict).await.superseded_by);
    }
    told
}

#[tokio::test]
async fn every_answer_to_a_repeat_tells_it() {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, given()).await;
    assert_eq!(first.superseded_by, None);
    assert_eq!(verdict(&gate, given()).await, first);
    let by = reviewed(&world, &gate, &first, &first, 10).await;
    let expected = v1::Verdict {
        superseded_by: Some(by.verdict_id.clone()),
        ..first.clone()
    };
    for indexed in [false, true] {
        if indexed {
            gate.index_now();
        }
        let by_grpc = check(&gate, given()).await.unwrap();
        assert!(by_grpc.repeated);
        assert_eq!(by_grpc.verdict.as_ref(), Some(&expected));
        let by_http = Check::check(&gate, given(), caller(), Transport::HttpCheck);
        let by_http = by_http.await.unwrap();
        assert_eq!(by_http.verdict.as_ref(), Some(&expected));
        let mut waiting = given();
        waiting.min_list_version = "99".into();
        let known_already = check(&gate, waiting).await.unwrap();
        assert_eq!(known_already.verdict.as_ref(), Some(&expected));
        // The second one of this batch has no successor.
        let results = batch(&gate, vec![given(), event(2, 2, "bid"), event(2, 2, "bid")]).await;
        let told: Vec<_> = results.into_iter().map(of_item).collect();
        assert_eq!(told[0], expected);
        assert!(told[1..].iter().all(|one| one.superseded_by.is_none()));
        let item = v1::CheckStreamRequest {
            event: Some(given()),
            ..Default::default()
        };
        let items = tokio_stream::iter([Ok(item)]);
        let answers = gate.answer_stream(items, caller(), tracing::Span::none());
        let answers: Vec<_> = answers.collect().await;
        let answer = answers.into_iter().next().unwrap().unwrap();
        assert_eq!(of_item(answer.result.unwrap()), expected);
        assert_eq!(shown(&gate, &first).await, expected);
        // Nothing took the place of the review.
        assert_eq!(shown(&gate, &by).await, by);
    }
    // What is kept stays as it was.
    assert_eq!(
        record(&gate, &first.verdict_id).await.verdict,
        Some(first.clone())
    );
    assert!(replayed(&gate, &first).await.same);
    let all = watched(&gate, v1::WatchVerdictsRequest::default()).await;
    let all: Vec<_> = all.iter().map(|(_, event)| event.as_str()).collect();
    assert_eq!(all, ["e1", "e1", "e2"]);
}

fn of_item(result: v1::CheckResult) -> v1::Verdict {
    match result.result.unwrap() {
        v1::check_result::Result::Verdict(verdict) => verdict,
        v1::check_result::Result::Error(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_chain_is_told_to_its_end_wherever_its_links_are() {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, given()).await;
    let second = reviewed(&world, &gate, &first, &first, 10).await;
    let one_link = [Some(second.verdict_id.clone()), None];
    assert_eq!(told(&gate, &[&first, &second]).await, one_link);
    gate.index_now();
    assert_eq!(told(&gate, &[&first, &second]).await, one_link);

    // The first link is on disk, the second in memory; then both are on disk.
    let third = reviewed(&world, &gate, &first, &second, 11).await;
    let chain = [&first, &second, &third];
    let last = Some(third.verdict_id.clone());
    let expected = [last.clone(), last, None];
    assert_eq!(told(&gate, &chain).await, expected);
    gate.index_now();
    assert_eq!(told(&gate, &chain).await, expected);
    // Both in memory, in a case of its own.
    let other = at(event(2, 2, "bid"), NOW - HOUR);
    let other = verdict(&gate, other).await;
    let next = reviewed(&world, &gate, &other, &other, 10).await;
    let end = reviewed(&world, &gate, &other, &next, 11).await;
    let ends = [Some(end.verdict_id.clone()), Some(end.verdict_id), None];
    assert_eq!(told(&gate, &[&other, &next, &third]).await, ends);
    assert_eq!(told(&gate, &chain).await, expected);
}

#[tokio::test]
async fn of_several_that_took_its_place_the_last_recorded_counts() {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, given()).await;
    for change in 10..13 {
        let by = reviewed(&world, &gate, &first, &first, change).await;
        let expected = [Some(by.verdict_id)];
        assert_eq!(told(&gate, &[&first]).await, expected);
        if change == 11 {
            gate.index_now();
            assert_eq!(told(&gate, &[&first]).await, expected);
        }
    }
    let before = told(&gate, &[&first]).await;
    gate.index_now();
    assert_eq!(told(&gate, &[&first]).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_told_at_every_moment_on_the_way_into_the_index() {
    let world = World::new();
    let gate = world.open();
    let mut asking = Vec::new();
    for n in 0..40 {
        let given = move || at(event(n, n, "bid"), NOW - HOUR);
        let first = verdict(&gate, given()).await;
        let by = reviewed(&world, &gate, &first, &first, 10).await;
        let other = gate.clone();
        asking.push(tokio::spawn(async move {
            for _ in 0..50 {
                let told = verdict(&other, given()).await.superseded_by;
                assert_eq!(told.as_ref(), Some(&by.verdict_id));
            }
        }));
        if n % 4 == 3 {
            tokio::task::block_in_place(|| gate.index_now());
        }
    }
    for one in asking {
        one.await.unwrap();
    }
}

/// Opens again after `harm`: what is told is the same, and so is the index once all is in it.
async fn survives(close: bool, harm: impl FnOnce(&World)) {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, given()).await;
    let second = reviewed(&world, &gate, &first, &first, 10).await;
    let third = reviewed(&world, &gate, &first, &second, 11).await;
    let fourth = reviewed(&world, &gate, &first, &second, 12).await;
    let chain = [&first, &second, &third, &fourth];
    let last = Some(fourth.verdict_id.clone());
    let expected = [last.clone(), last, None, None];
    assert_eq!(told(&gate, &chain).await, expected);
    let before = close.then(|| {
        gate.index_now();
        gate.inner.records.indexed_successors()
    });
    if close {
        gate.close(Duration::from_secs(10)).await.unwrap();
    }
    drop(gate);
    // The lock is free when the journal's writer has ended.
    drop(world.open());
    harm(&world);
    let gate = world.open();
    assert_eq!(told(&gate, &chain).await, expected);
    let repeated = check(&gate, given()).await.unwrap();
    assert!(repeated.repeated);
    assert_eq!(repeated.verdict.unwrap().superseded_by, expected[0]);
    let after = gate.inner.records.indexed_successors();
    assert_eq!(after.len(), 3);
    assert!(before.is_none_or(|before| before == after));
    // The chain goes on from there.
    let fifth = reviewed(&world, &gate, &first, &fourth, 13).await;
    let end = Some(fifth.verdict_id);
    assert_eq!(told(&gate, &[&first, &fourth]).await, [end.clone(), end]);
}

#[tokio::test]
async fn it_survives_a_sudden_end() {
    survives(false, |_| ()).await;
}

#[tokio::test]
async fn it_survives_an_orderly_end() {
    survives(true, |_| ()).await;
}

#[tokio::test]
async fn it_survives_the_loss_of_the_index() {
    survives(true, |world| {
        std::fs::remove_dir_all(world.dir.path().join("index")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_review_that_nobody_settled_is_found_in_the_journal() {
    let elsewhere = World::new();
    let gate = elsewhere.open();
    let first = verdict(&gate, given()).await;
    let by = reviewed(&elsewhere, &gate, &first, &first, 10).await;
    let mut records = gate.verdicts().read_from(Default::default());
    let orphan = records.nth(1).unwrap().unwrap();
    drop(records);

    let world = World::new();
    let gate = world.open();
    assert_eq!(
        verdict(&gate, given()).await.verdict_digest,
        first.verdict_digest
    );
    let journal = gate.inner.records.journal();
    journal
        .append(orphan.kind, orphan.time_micros, orphan.payload)
        .await
        .unwrap();
    assert_eq!(told(&gate, &[&first]).await, [None]);
    verdict(&gate, event(2, 2, "bid")).await;
    gate.index_now();
    assert_eq!(told(&gate, &[&first]).await, [Some(by.verdict_id)]);
}
