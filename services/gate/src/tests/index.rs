//! What a restart finds, whatever became of the index.

use super::*;

fn index_files(world: &World) -> Vec<std::path::PathBuf> {
    let dir = std::fs::read_dir(world.dir.path().join("index")).unwrap();
    dir.map(|file| file.unwrap().path()).collect()
}

async fn judge(gate: &Gate, range: std::ops::Range<u64>) -> Vec<v1::Verdict> {
    let events = range.map(|n| event(n, n, "evaluate")).collect();
    let results = batch(gate, events).await;
    results
        .into_iter()
        .map(|result| match result.result.unwrap() {
            v1::check_result::Result::Verdict(verdict) => verdict,
            v1::check_result::Result::Error(error) => panic!("{error:?}"),
        })
        .collect()
}

/// Opens again after `harm` and compares every answer.
async fn survives(close: bool, harm: impl FnOnce(&World)) {
    let world = World::new();
    let gate = world.open();
    let verdicts = judge(&gate, 0..500).await;
    if close {
        gate.close(Duration::from_secs(10)).await.unwrap();
    }
    drop(gate);
    // The lock is free when the journal's writer has ended.
    drop(world.open());
    harm(&world);
    let gate = world.open();
    for (n, first) in (0..).zip(&verdicts) {
        let again = check(&gate, event(n, n, "evaluate")).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.verdict.as_ref(), Some(first));
    }
    assert!(
        !check(&gate, event(900, 900, "evaluate"))
            .await
            .unwrap()
            .repeated
    );
    assert_eq!(gate.inner.records.journal().head().sequence, 501);
}

#[tokio::test]
async fn an_answered_verdict_survives_a_sudden_end() {
    survives(false, |_| ()).await;
}

#[tokio::test]
async fn an_answered_verdict_survives_an_orderly_end() {
    survives(true, |_| ()).await;
}

#[tokio::test]
async fn a_deleted_index_is_made_again() {
    survives(true, |world| {
        std::fs::remove_dir_all(world.dir.path().join("index")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_damaged_index_is_made_again() {
    survives(true, |world| {
        for file in index_files(world) {
            let bytes = std::fs::read(&file).unwrap();
            let mut harmed = bytes.clone();
            let middle = harmed.len() / 2;
            harmed[middle..].fill(0xA5);
            std::fs::write(file, harmed).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_index_cut_short_is_made_again() {
    survives(true, |world| {
        for file in index_files(world) {
            std::fs::write(file, b"CGINDEX1 and nothing else").unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_index_that_lacks_rows_is_made_again() {
    survives(true, |world| {
        for file in index_files(world) {
            let mut bytes = std::fs::read(&file).unwrap();
            bytes.truncate(bytes.len() - 16);
            std::fs::write(file, bytes).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_index_of_an_earlier_version_is_made_again_and_leaves_nothing() {
    survives(true, |world| {
        for file in index_files(world) {
            std::fs::remove_file(file).unwrap();
        }
        let earlier = world.dir.path().join("index/verdicts.sqlite");
        std::fs::write(earlier, b"SQLite format 3\0").unwrap();
    })
    .await;
    let world = World::new();
    let index = world.dir.path().join("index");
    std::fs::create_dir_all(&index).unwrap();
    std::fs::write(index.join("verdicts.sqlite"), b"SQLite format 3\0").unwrap();
    let gate = world.open();
    judge(&gate, 0..3).await;
    gate.index_now();
    let names = index_files(&world);
    assert!(names.iter().all(|file| file.extension().unwrap() == "run"));
}

#[tokio::test]
async fn the_index_of_another_journal_is_made_again() {
    let other = World::new();
    let gate = other.open();
    judge(&gate, 0..700).await;
    gate.close(Duration::from_secs(10)).await.unwrap();
    survives(true, |world| {
        for file in index_files(&other) {
            let to = world
                .dir
                .path()
                .join("index")
                .join(file.file_name().unwrap());
            std::fs::copy(file, to).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_lost_digest_key_makes_no_conflict_of_a_repeat() {
    survives(true, |world| {
        std::fs::remove_file(world.dir.path().join("digest.key")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn records_leave_memory_for_the_index_and_are_still_found() {
    let world = World::new();
    let gate = world.open();
    judge(&gate, 0..300).await;
    gate.index_now();
    assert_eq!(gate.inner.records.unindexed(), 0);
    for n in 0..300 {
        assert!(
            check(&gate, event(n, n, "evaluate"))
                .await
                .unwrap()
                .repeated
        );
    }
    let mut other = event(7, 7, "evaluate");
    other.purpose = "other".into();
    let status = check(&gate, other).await.unwrap_err();
    assert_eq!(reason(&status), "AlreadyExists other_content");
    // The case is read from the journal, then remembered, then grows.
    let hour = 3_600_000_000;
    let award = verdict(&gate, at(event(1_000, 7, "award"), NOW - hour)).await;
    assert_eq!(award.subjects[0].flags, ["missing_check:evaluate"]);
    let evaluate = at(event(1_001, 8, "evaluate"), NOW - 2 * hour);
    verdict(&gate, evaluate).await;
    gate.index_now();
    let award = verdict(&gate, at(event(1_002, 8, "award"), NOW - hour)).await;
    assert!(award.subjects[0].flags.is_empty());
}

#[tokio::test]
async fn verdicts_are_watched_from_any_position() {
    let world = World::new();
    let gate = world.open();
    judge(&gate, 0..10).await;
    let from = |position| {
        let message = v1::WatchVerdictsRequest {
            from_position: position,
            ..Default::default()
        };
        watched(&gate, message)
    };
    let all = from(0).await;
    let names: Vec<_> = all.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(
        names,
        ["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9"]
    );
    assert_eq!(from(all[4].0).await, all[4..]);
    assert_eq!(from(all[4].0 + 1).await, all[5..]);
    assert_eq!(from(all[4].0 + 50).await, all[5..]);
    assert_eq!(from(all[9].0 + 1).await, []);
    assert_eq!(from(u64::MAX).await, []);

    let only = v1::WatchVerdictsRequest {
        case_id: "c3".into(),
        scenario: "tender".into(),
        ..Default::default()
    };
    assert_eq!(watched(&gate, only).await, all[3..4]);
    let none = v1::WatchVerdictsRequest {
        outcomes: vec!["RESTRICT".into()],
        ..Default::default()
    };
    assert_eq!(watched(&gate, none).await, []);
    let mistyped = v1::WatchVerdictsRequest {
        outcomes: vec!["pass".into()],
        ..Default::default()
    };
    let refused = gate.watch_verdicts(request(mistyped)).await.map(|_| ());
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_follower_sees_what_comes_and_ends_with_the_gate() {
    let world = World::new();
    let gate = world.open();
    let message = v1::WatchVerdictsRequest {
        follow: true,
        ..Default::default()
    };
    let mut verdicts = gate
        .watch_verdicts(request(message))
        .await
        .unwrap()
        .into_inner();
    for n in 0..5 {
        verdict(&gate, event(n, n, "evaluate")).await;
        let seen = verdicts.next().await.unwrap().unwrap();
        assert_eq!(seen.verdict.unwrap().event_id, format!("e{n}"));
    }
    gate.close(Duration::from_secs(10)).await.unwrap();
    let end = verdicts.next().await.unwrap().unwrap_err();
    assert_eq!(reason(&end), "Unavailable shutting_down");
}

#[tokio::test]
async fn a_record_that_nobody_settled_is_found_in_the_journal() {
    let elsewhere = World::new();
    let gate = elsewhere.open();
    judge(&gate, 0..1).await;
    let orphan = gate.inner.records.journal().read_at(Default::default());
    let orphan = orphan.unwrap();

    let world = World::new();
    let gate = world.open();
    let journal = gate.inner.records.journal();
    journal
        .append(orphan.kind, orphan.time_micros, orphan.payload)
        .await
        .unwrap();
    judge(&gate, 1..50).await;
    gate.index_now();
    for n in 0..50 {
        assert!(
            check(&gate, event(n, n, "evaluate"))
                .await
                .unwrap()
                .repeated
        );
    }
    assert_eq!(gate.inner.records.journal().head().sequence, 50);
}
