//! Cases judged again: recorded once, never taken for a check.

use std::collections::BTreeSet;

use creditgate_measures::canonical;
use creditgate_measures::case::CaseView;
use creditgate_measures::event::{CaseId, EventId, Source, StageCode};
use creditgate_measures::name::SimplifyTable;
use creditgate_measures::verdict::{Cause, VerdictId};
use creditgate_proto::decode::event_from_record;
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::v1::simulation_server::Simulation as _;
use creditgate_proto::verdict_id_from_text;
use creditgate_runtime::ports::{NotReviewed, Review, Reviewed, Reviews as _};

use super::simulate::{
    Place, bidder, candidate_rows, compared, entry, evaluation, fourteen, message, result, status,
};
use super::*;

pub(super) const HOUR: i64 = 3_600_000_000;

pub(super) async fn record(gate: &Gate, verdict_id: &str) -> VerdictRecord {
    let found = gate.inner.records.find(id(verdict_id)).await.unwrap();
    found.expect("a record").record
}

pub(super) fn id(text: &str) -> VerdictId {
    verdict_id_from_text(text).unwrap()
}

/// Judges the case of this verdict again, as the change numbered 10 would.
pub(super) async fn review(world: &World, gate: &Gate, of: &v1::Verdict, stage: &str) -> Review {
    Review {
        last: record(gate, &of.verdict_id).await,
        stage: StageCode::new(stage),
        at: Time::from_micros(NOW),
        cause: Cause::ListChange(10),
        lists: world.history.lists.clone(),
        book: Arc::clone(&world.history.book),
        supersedes: id(&of.verdict_id),
    }
}

pub(super) fn now(reviewed: Result<Reviewed, NotReviewed>) -> v1::Verdict {
    match reviewed {
        Ok(Reviewed::Now(verdict)) => *verdict,
        other => panic!("{other:?}"),
    }
}

pub(super) fn before(reviewed: Result<Reviewed, NotReviewed>) -> v1::Verdict {
    match reviewed {
        Ok(Reviewed::Before(verdict)) => *verdict,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn replayed(gate: &Gate, verdict: &v1::Verdict) -> v1::ReplayResponse {
    let message = v1::ReplayRequest {
        verdict_id: verdict.verdict_id.clone(),
    };
    gate.replay(request(message)).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_review_is_recorded_once_whatever_it_asks_later() {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, at(event(1, 1, "bid"), NOW - HOUR)).await;
    let told = now(gate
        .review(review(&world, &gate, &first, "evaluate").await)
        .await);
    assert_eq!(
        (told.cause.as_str(), told.stage.as_str()),
        ("list_change:10", "evaluate")
    );
    assert_eq!(told.supersedes.as_ref(), Some(&first.verdict_id));
    assert_eq!(told.occurred_at, told.evaluated_at);
    let slot = canonical::verdict_id(
        &Source::new("test"),
        &EventId::new("e1"),
        &Cause::ListChange(10),
    );
    assert_eq!(told.verdict_id, slot.to_string());
    let kept = record(&gate, &told.verdict_id).await;
    assert_eq!(
        (kept.caller.as_str(), kept.transport.as_str()),
        ("creditgate", "review")
    );
    assert_eq!(kept.verdict.as_ref(), Some(&told));
    assert_eq!(gate.verdicts().head().sequence, 2);

    // The first verdict of a slot stands, from memory, from the index and after a restart.
    let again = || review(&world, &gate, &first, "award");
    assert_eq!(before(gate.review(again().await).await), told);
    gate.index_now();
    assert_eq!(before(gate.review(again().await).await), told);
    let again = again().await;
    gate.close(Duration::from_secs(10)).await.unwrap();
    drop(gate);
    let gate = world.open();
    assert_eq!(before(gate.review(again).await), told);
    assert_eq!(gate.verdicts().head().sequence, 2);

    let replayed = replayed(&gate, &told).await;
    assert!(replayed.same && replayed.explanation_same);
    assert_eq!(replayed.verdict, Some(told));
    // None of this was a check.
    assert_eq!(world.balance(), [1, 0, 0]);
    assert_eq!(world.sum("creditgate_reviews_total"), 1);
    assert_eq!(world.sum("creditgate_reviews_repeated_total"), 3);
}

#[tokio::test]
async fn a_review_survives_a_sudden_end() {
    let world = World::new();
    let gate = world.open();
    // Without a time of its own: the clock's counts as little for its review as for itself.
    let first = verdict(&gate, event(1, 1, "bid")).await;
    assert!(record(&gate, &first.verdict_id).await.clock_filled);
    let asked = review(&world, &gate, &first, "evaluate").await;
    let told = now(gate.review(asked).await);
    drop(gate);
    let gate = world.open();
    let asked = review(&world, &gate, &first, "evaluate").await;
    assert_eq!(before(gate.review(asked).await), told);
    assert!(replayed(&gate, &told).await.same);
}

pub(super) async fn view(world: &World, gate: &Gate) -> CaseView {
    let case = CaseId::new("c1");
    let view = gate.inner.records.case_view(&case, &world.history.book);
    view.await.unwrap()
}

#[tokio::test]
async fn a_review_is_no_check_of_its_stage_and_opens_no_case() {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, at(event(1, 1, "bid"), NOW - 2 * HOUR)).await;
    let known = view(&world, &gate).await;
    assert_eq!(known.checks.len(), 1);
    // Were it a check, it would be in time for the award below.
    let in_time = Review {
        at: Time::from_micros(NOW - HOUR - HOUR / 2),
        ..review(&world, &gate, &first, "evaluate").await
    };
    let told = now(gate.review(in_time).await);
    let earlier = Review {
        at: Time::from_micros(NOW - 90 * 24 * HOUR),
        cause: Cause::Clock(9),
        ..review(&world, &gate, &first, "contract").await
    };
    now(gate.review(earlier).await);
    assert_eq!(view(&world, &gate).await, known);
    assert_eq!(
        gate.inner.records.case_view_at_once(&CaseId::new("c1")),
        Some(known.clone())
    );

    let mut number = 1;
    let mut missing = async |gate: &Gate| {
        number += 1;
        let award = verdict(gate, at(event(number, 1, "award"), NOW - HOUR)).await;
        assert_eq!(award.subjects[0].flags, ["missing_check:evaluate"]);
    };
    missing(&gate).await;
    let known = view(&world, &gate).await;
    // Read from the index, with the reviews among its records.
    gate.index_now();
    assert_eq!(view(&world, &gate).await, known);
    drop(gate);
    let gate = world.open();
    assert_eq!(view(&world, &gate).await, known);
    missing(&gate).await;
    gate.close(Duration::from_secs(10)).await.unwrap();
    drop(gate);
    std::fs::remove_dir_all(world.dir.path().join("index")).unwrap();
    let gate = world.open();
    assert_eq!(view(&world, &gate).await, known);
    missing(&gate).await;

    // The event that takes the step is a check, review or not.
    verdict(&gate, at(event(90, 1, "evaluate"), NOW - HOUR)).await;
    let award = verdict(&gate, at(event(91, 1, "award"), NOW - HOUR)).await;
    assert!(award.subjects[0].flags.is_empty());
    assert!(replayed(&gate, &told).await.same);
}

#[tokio::test]
async fn a_review_knows_what_is_known_of_its_case() {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, at(event(1, 1, "bid"), NOW - 2 * HOUR)).await;
    // Ten minutes are left for the check to come.
    let told = now(gate
        .review(review(&world, &gate, &first, "award").await)
        .await);
    assert!(told.subjects[0].flags.is_empty());
    let kept = record(&gate, &told.verdict_id).await;
    assert_eq!(kept.case_view.unwrap().checks.len(), 1);
    verdict(&gate, at(event(2, 1, "evaluate"), NOW - HOUR)).await;
    let asked = Review {
        cause: Cause::Book(world.history.book.version()),
        ..review(&world, &gate, &first, "award").await
    };
    let told = now(gate.review(asked).await);
    let kept = record(&gate, &told.verdict_id).await;
    assert_eq!(kept.case_view.unwrap().checks.len(), 2);
    let replayed = replayed(&gate, &told).await;
    assert!(replayed.same && replayed.explanation_same);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_get_one_review_while_its_event_is_asked_again() {
    let world = World::new();
    let gate = world.open();
    let given = || at(event(1, 1, "bid"), NOW - HOUR);
    let first = verdict(&gate, given()).await;
    let mut reviewing = Vec::new();
    let mut asking = Vec::new();
    for _ in 0..25 {
        let asked = review(&world, &gate, &first, "evaluate").await;
        let (one, other) = (gate.clone(), gate.clone());
        reviewing.push(tokio::spawn(
            async move { one.review(asked).await.unwrap() },
        ));
        asking.push(tokio::spawn(async move { verdict(&other, given()).await }));
    }
    let mut firsts = 0;
    let mut reviews = BTreeSet::new();
    for one in reviewing {
        let verdict = match one.await.unwrap() {
            Reviewed::Now(verdict) => {
                firsts += 1;
                verdict
            }
            Reviewed::Before(verdict) => verdict,
        };
        reviews.insert((verdict.verdict_id, verdict.verdict_digest));
    }
    assert_eq!((firsts, reviews.len()), (1, 1));
    let (review, _) = reviews.first().unwrap();
    for one in asking {
        let told = one.await.unwrap();
        // Asked before its review was recorded, or after.
        let by = told.superseded_by.clone();
        assert!(by.is_none() || by.as_ref() == Some(review), "{by:?}");
        let superseded_by = None;
        assert_eq!(
            v1::Verdict {
                superseded_by,
                ..told
            },
            first
        );
    }
    assert_eq!(
        verdict(&gate, given()).await.superseded_by.as_ref(),
        Some(review)
    );
    assert_eq!(gate.verdicts().head().sequence, 2);
    assert_eq!(world.balance(), [1, 26, 0]);
    assert_eq!(world.sum("creditgate_reviews_repeated_total"), 24);
}

#[tokio::test]
async fn what_cannot_be_reviewed_is_told_apart_from_what_can_later() {
    let world = World::new();
    let gate = world.open();
    let first = verdict(&gate, at(event(1, 1, "bid"), NOW - HOUR)).await;
    let asked = || review(&world, &gate, &first, "evaluate");

    let mut erased = asked().await;
    erased.last.event = None;
    let refused = gate.review(erased).await.unwrap_err();
    assert!(matches!(&refused, NotReviewed::Record(_)), "{refused}");
    let no_review = Review {
        cause: Cause::Event,
        ..asked().await
    };
    let refused = gate.review(no_review).await.unwrap_err();
    assert!(matches!(&refused, NotReviewed::Record(_)), "{refused}");
    let other_names = Review {
        lists: Lists::empty(uuid::Uuid::from_u128(7), &SimplifyTable::empty()),
        ..asked().await
    };
    let refused = gate.review(other_names).await.unwrap_err();
    assert!(matches!(&refused, NotReviewed::Later(_)), "{refused}");

    let asked = asked().await;
    gate.close(Duration::from_secs(10)).await.unwrap();
    match gate.review(asked).await {
        Err(NotReviewed::Later(why)) => assert_eq!(why, "the service is stopping"),
        other => panic!("{other:?}"),
    }
    assert_eq!(gate.verdicts().head().sequence, 1);
    assert_eq!(world.sum("creditgate_reviews_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bidder_listed_after_its_bid_is_stopped_at_the_next_step() {
    let place = Place::new();
    let gate = place.gate();
    let firm = |n| entry(n, "B07", "USCC", invented::uscc(n), "示例公司");
    place.import(vec![firm(8)]).await;
    let mut bid = evaluation(1, vec![bidder("USCC", invented::uscc(1), "")]);
    bid.stage = "bid".into();
    let first = verdict(&gate, bid.clone()).await;
    assert_eq!(first.outcome, "PASS");

    place.import(vec![firm(1)]).await;
    let version = place.registry.live().load().lists.version();
    let at = Time::from_micros(place.clock.now_micros());
    place.import(vec![firm(9)]).await;
    let last = record(&gate, &first.verdict_id).await;
    let event = event_from_record(&last).unwrap();
    let book = Arc::clone(&place.registry.live().load().book);
    // Only what concerns the case, as it was right after the change.
    let past = place.registry.past();
    let lists = past.lists_as_of(version, &event, &book).unwrap();
    assert_eq!((lists.version(), lists.len()), (version, 1));
    let told = now(gate
        .review(Review {
            last,
            stage: StageCode::new("evaluate"),
            at,
            cause: Cause::ListChange(version.seq),
            lists,
            book,
            supersedes: id(&first.verdict_id),
        })
        .await);
    assert_eq!(told.outcome, "PROHIBIT");
    assert_eq!(told.list_version, version.to_string());
    let measure = told.subjects[0].triggered[0].measure.as_ref();
    assert_eq!(measure.unwrap().id, "T1");
    let replayed = replayed(&gate, &told).await;
    assert!(replayed.same && replayed.explanation_same);
    // The step that was taken stands.
    let stands = v1::Verdict {
        superseded_by: Some(told.verdict_id),
        ..first
    };
    assert_eq!(verdict(&gate, bid).await, stands);
}

#[tokio::test(flavor = "multi_thread")]
async fn simulations_and_the_shadow_leave_reviews_out() {
    let place = Place::new();
    let gate = place.gate();
    fourteen(&place, &gate).await;
    let set = v1::SetShadowRequest {
        book: Some(message(&candidate_rows())),
        purpose: "a test".to_owned(),
    };
    gate.set_shadow(request(set)).await.unwrap();
    let records = gate.verdicts().read_from(Default::default());
    let records: Vec<_> = records.collect::<Result<_, _>>().unwrap();
    let generation = place.registry.live().load_full();
    for kept in records {
        let last: VerdictRecord = prost::Message::decode(kept.payload).unwrap();
        let supersedes = id(&last.verdict.as_ref().unwrap().verdict_id);
        now(gate
            .review(Review {
                last,
                stage: StageCode::new("award"),
                at: Time::from_micros(place.clock.now_micros()),
                cause: Cause::ListChange(generation.lists.version().seq),
                lists: generation.lists.clone(),
                book: Arc::clone(&generation.book),
                supersedes,
            })
            .await);
    }
    assert_eq!(gate.verdicts().head().sequence, 28);
    let asked = v1::SimulateRequest {
        purpose: "a test".to_owned(),
        ..Default::default()
    };
    let totals = result(&gate, asked).await.totals.unwrap();
    assert_eq!(
        (totals.events, totals.unchanged, totals.not_decidable),
        (14, 14, 0)
    );
    // A check behind the reviews is the first that the shadow hears of.
    let firm = bidder("USCC", invented::uscc(4), "");
    verdict(&gate, evaluation(99, vec![firm])).await;
    assert_eq!(compared(&gate, 1).await.compared, 1);
    assert_eq!(status(&gate).await.unwrap().compared, 1);
}
