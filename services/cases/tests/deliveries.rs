//! Facts about deliveries, against a target that answers over HTTP as it is told to.

mod support;
#[path = "../../../tests/src/target.rs"]
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use creditgate_proto::v1::deliveries_server::Deliveries as _;
use creditgate_runtime::webhook::{Secrets, signature};
use support::{Place, becomes, delivery, listed, step};
use target::{Got, Target};
use tonic::Code;
use tonic_types::StatusExt as _;

const DAY: Duration = Duration::from_secs(86_400);

fn distinct(got: &[Got]) -> BTreeSet<&str> {
    got.iter().map(|got| got.id.as_str()).collect()
}

fn id_of(verdict: &v1::Verdict) -> String {
    format!("{}.{}", verdict.verdict_id, verdict.verdict_digest)
}

/// Positions rise within each case.
fn assert_in_order(taken: &[Got]) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for got in taken {
        let before = last.insert(got.case(), got.position);
        assert!(
            before.is_none_or(|before| before <= got.position),
            "{taken:#?}"
        );
    }
}

fn assert_signed(place: &Place, got: &Got) {
    let time = got
        .signature
        .split(',')
        .next()
        .and_then(|t| t.strip_prefix("t="));
    let seconds: i64 = time.and_then(|time| time.parse().ok()).expect("a time");
    let key = Secrets(Some(place.secrets())).key("test").expect("the key");
    assert_eq!(got.signature, signature(&key, seconds, &got.raw));
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_come_signed_and_in_order_whatever_fails_first() {
    let place = Place::new();
    let world = place.start().await;
    world.confirm_lists().await;
    let mut tried = BTreeSet::new();
    let target = Target::start(move |got| match tried.insert(got.id.clone()) {
        true => 503,
        false => 204,
    });
    world
        .put(delivery(&target.url(), &["verdicts"]))
        .await
        .expect("put");
    let mut verdicts = Vec::new();
    for stage in ["register", "apply", "deal"] {
        for n in 0..5 {
            verdicts.push(world.check(step(&format!("LAND-{n}"), stage)).await);
        }
    }
    target.until("all taken", |got| {
        got.iter().filter(|got| got.status == 204).count() == verdicts.len()
    });
    let taken = target.taken();
    assert_in_order(&taken);
    let expected: BTreeSet<String> = verdicts.iter().map(id_of).collect();
    assert_eq!(
        distinct(&taken),
        expected.iter().map(String::as_str).collect()
    );
    for got in &target.got() {
        assert_signed(&place, got);
        assert_eq!(got.media, "application/cloudevents+json");
        let verdict = verdicts.iter().find(|verdict| id_of(verdict) == got.id);
        let verdict = verdict.expect("one of them");
        let mut data = got.event["data"].clone();
        assert_eq!(data.take(), serde_json::to_value(verdict).expect("JSON"));
        assert_eq!(got.event["type"], "cn.creditgate.verdict.v1");
        assert_eq!(got.event["id"], verdict.verdict_id.as_str());
        assert_eq!(got.event["outcome"], "PASS");
        assert_eq!(got.delivery, "test");
    }
    let shown = world.until_even().await;
    assert_eq!((shown.state.as_str(), shown.delivered), ("active", 15));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_wanted_comes() {
    let place = Place::new();
    let world = place.start().await;
    world.confirm_lists().await;
    let target = Target::start(|_| 200);
    let mut asked = delivery(&target.url(), &["verdicts"]);
    asked.findings_only = true;
    asked.scenarios = vec!["land".to_owned()];
    asked.regions = vec!["320500".to_owned()];
    asked.sources = vec!["land".to_owned()];
    asked.implementers = vec!["自然资源主管部门".to_owned()];
    world.put(asked).await.expect("put");
    world.check(step("CLAUSE-1", "register")).await;
    let mut elsewhere = step("CLAUSE-2", "register");
    elsewhere.region = "210100".to_owned();
    world.check(elsewhere).await;
    let mut other = step("CLAUSE-3", "register");
    other.source = "other".to_owned();
    world.check(other).await;
    world.apply(listed("E-1", "2026-06-01")).await;
    let got = target.until("the review", |got| !got.is_empty());
    for case in ["CLAUSE-2", "CLAUSE-3"] {
        world
            .until_case(case, |case| case.verdicts.len() == 2)
            .await;
    }
    world.until_even().await;
    assert_eq!(target.got().len(), 1, "{got:#?}");
    assert_eq!(
        (got[0].case(), got[0].data("outcome")),
        ("CLAUSE-1", "PROHIBIT")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_put_aside_and_sent_again_on_request() {
    let mut place = Place::new();
    place.refusals_max = 1_000;
    let world = place.start().await;
    world.confirm_lists().await;
    let target = Target::start(|got| match got.case() {
        "LAND-1" => 422,
        _ => 200,
    });
    world
        .put(delivery(&target.url(), &["verdicts"]))
        .await
        .expect("put");
    for n in 0..3 {
        world.check(step(&format!("LAND-{n}"), "register")).await;
        world.check(step(&format!("LAND-{n}"), "apply")).await;
    }
    let shown = world
        .until("put aside", |shown| shown.dead_letters == 2)
        .await;
    assert_eq!(shown.state, "active");
    world.until_even().await;
    let dead = world.dead().await;
    assert!(dead.iter().all(|letter| letter.case_id == "LAND-1"
        && letter.kind == "verdict"
        && letter.attempts == 1
        && letter.reason.contains("422")));
    assert_eq!(target.taken().len(), 4);

    let unknown = world.resend(vec![999_999]).await.expect_err("no letter");
    assert_eq!(unknown.code(), Code::InvalidArgument);
    // Refused once more, they lie there as before.
    assert_eq!(world.resend(Vec::new()).await.expect("resent"), 2);
    target.until("refused again", |got| {
        got.iter().filter(|got| got.status == 422).count() == 4
    });
    world
        .until("aside again", |shown| shown.dead_letters == 2)
        .await;

    // They outlive the process.
    let positions: Vec<u64> = dead.iter().map(|letter| letter.position).collect();
    world.end().await;
    let world = place.start().await;
    target.answers(|_| 200);
    world.resend(positions).await.expect("resent");
    world
        .until("none aside", |shown| shown.dead_letters == 0)
        .await;
    assert!(world.dead().await.is_empty());
    let taken = target.taken();
    assert_eq!(distinct(&taken).len(), 6, "{taken:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_too_long_is_put_aside_and_holds_up_nobody() {
    let mut place = Place::new();
    place.give_up = Duration::from_millis(300);
    let world = place.start().await;
    world.confirm_lists().await;
    let target = Target::start(|got| match got.case() {
        "LAND-0" => 500,
        _ => 200,
    });
    world
        .put(delivery(&target.url(), &["verdicts"]))
        .await
        .expect("put");
    world.check(step("LAND-0", "register")).await;
    for n in 1..20 {
        world.check(step(&format!("LAND-{n}"), "register")).await;
    }
    let shown = world.until("aside", |shown| shown.dead_letters == 1).await;
    assert_eq!(shown.name, "test");
    world.until_even().await;
    let dead = world.dead().await;
    assert!(
        dead[0].attempts > 1 && dead[0].reason.contains("given up"),
        "{dead:?}"
    );
    assert_eq!(target.taken().len(), 19);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_refuses_everything_or_is_gone_is_left_alone() {
    let mut place = Place::new();
    place.refusals_max = 3;
    let world = place.start().await;
    world.confirm_lists().await;
    let target = Target::start(|_| 404);
    world
        .put(delivery(&target.url(), &["verdicts"]))
        .await
        .expect("put");
    for n in 0..30 {
        world.check(step(&format!("LAND-{n}"), "register")).await;
    }
    let shown = world
        .until("stopped", |shown| shown.state == "stopped")
        .await;
    assert!(shown.reason.contains("404"), "{shown:?}");
    assert!(
        shown.dead_letters < 30,
        "most of them still wait in their turn"
    );

    target.answers(|_| 410);
    let resume = || v1::ResumeDeliveryRequest {
        name: "test".to_owned(),
        ..v1::ResumeDeliveryRequest::default()
    };
    world.resume(resume()).await.expect("resumed");
    let shown = world
        .until("gone", |shown| shown.reason.contains("410"))
        .await;
    assert_eq!(shown.state, "stopped");

    target.answers(|_| 200);
    world.resume(resume()).await.expect("resumed");
    world.until_even().await;
    world.resend(Vec::new()).await.expect("resent");
    world.until("all", |shown| shown.dead_letters == 0).await;
    assert_eq!(distinct(&target.taken()).len(), 30);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_paused_resumed_and_told_again_from_a_position_or_a_time() {
    let place = Place::new();
    let world = place.start().await;
    world.confirm_lists().await;
    let target = Target::start(|_| 200);
    world
        .put(delivery(&target.url(), &["verdicts"]))
        .await
        .expect("put");
    for n in 0..3 {
        world.check(step(&format!("LAND-{n}"), "register")).await;
    }
    target.until("three", |got| got.len() == 3);
    world.until_even().await;
    place.hand.advance(Duration::from_secs(60));
    let pause = v1::PauseDeliveryRequest {
        name: "test".to_owned(),
        reason: "对方停机维护".to_owned(),
    };
    let paused = world.service.pause(world.request(pause)).await;
    let paused = paused.expect("paused").into_inner().delivery.expect("it");
    assert_eq!(
        (paused.state.as_str(), paused.reason.as_str()),
        ("paused", "对方停机维护")
    );
    let later = place.now();
    let verdict = world.check(step("LAND-9", "register")).await;
    let ahead = world.resume(v1::ResumeDeliveryRequest {
        name: "test".to_owned(),
        from_position: Some(paused.position + 100),
        ..v1::ResumeDeliveryRequest::default()
    });
    assert_eq!(
        ahead.await.expect_err("skips").code(),
        Code::InvalidArgument
    );
    let resume = |from_position, since| v1::ResumeDeliveryRequest {
        name: "test".to_owned(),
        from_position,
        since,
        reason: String::new(),
    };
    world.resume(resume(None, None)).await.expect("resumed");
    let got = target.until("the fourth", |got| got.len() == 4);
    assert_eq!(got[3].id, id_of(&verdict));
    world.until_even().await;

    // From the second on: the same things, with the same ids and bodies.
    let mut positions: Vec<u64> = got.iter().map(|got| got.position).collect();
    positions.sort_unstable();
    world
        .resume(resume(Some(positions[1]), None))
        .await
        .expect("resumed");
    let again = target.until("three more", |got| got.len() == 7);
    assert_eq!(distinct(&again), distinct(&got));
    for one in &again[4..] {
        assert!(one.position >= positions[1]);
        let before = got.iter().find(|got| got.id == one.id).expect("it");
        assert_eq!(one.raw, before.raw);
    }
    world.until_even().await;
    // What came at that time or later.
    world
        .resume(resume(None, Some(time_to_proto(later))))
        .await
        .expect("resumed");
    let again = target.until("one more", |got| got.len() == 8);
    assert_eq!(again[7].id, id_of(&verdict));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_process_ends_at_any_moment() {
    let place = Place::new();
    let target = Target::start(|got| match got.position % 3 {
        0 => 500,
        _ => 200,
    });
    let mut expected = BTreeSet::new();
    for round in 0..4 {
        let world = place.start().await;
        if round == 0 {
            world.confirm_lists().await;
            world
                .put(delivery(&target.url(), &["verdicts"]))
                .await
                .expect("put");
        }
        for n in 0..10 {
            let verdict = world
                .check(step(&format!("LAND-{round}-{n}"), "register"))
                .await;
            expected.insert(id_of(&verdict));
        }
        world.end().await;
    }
    let world = place.start().await;
    target.answers(|_| 200);
    world.until_even().await;
    let taken = target.taken();
    assert_eq!(
        distinct(&taken),
        expected.iter().map(String::as_str).collect()
    );
    assert_in_order_of_first(&taken);
    // The tables are made anew from the journals: positions, and what was delivered, are the same.
    let before = world.shown().await.position;
    world.end().await;
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("cases/cases.sqlite{suffix}");
        let _ = std::fs::remove_file(place.dir.path().join(file));
    }
    let seen = target.got().len();
    let world = place.start().await;
    let shown = world.until_even().await;
    assert!(shown.position >= before, "{shown:?}");
    let repeated = target.got().split_off(seen);
    assert!(repeated.iter().all(|got| expected.contains(&got.id)));
    let places = |got: &[Got]| -> BTreeSet<(String, u64)> {
        got.iter()
            .map(|got| (got.id.clone(), got.position))
            .collect()
    };
    let (told, seen) = (places(&target.got()), target.got().len());
    let again = v1::ResumeDeliveryRequest {
        name: "test".to_owned(),
        from_position: Some(1),
        ..v1::ResumeDeliveryRequest::default()
    };
    world.resume(again).await.expect("resumed");
    target.until("everything again", |got| places(&got[seen..]) == told);
    world.end().await;
}

/// Each case's things came for the first time in the order of their positions.
fn assert_in_order_of_first(taken: &[Got]) {
    let mut seen = BTreeSet::new();
    let first: Vec<Got> = taken
        .iter()
        .filter(|got| seen.insert(got.id.clone()))
        .cloned()
        .collect();
    assert_in_order(&first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lift_order_comes_when_it_is_given_and_when_it_is_called_off() {
    let place = Place::new();
    let world = place.start().await;
    world.confirm_lists().await;
    let target = Target::start(|_| 200);
    let mut asked = delivery(&target.url(), &["lift_orders"]);
    asked.implementers = vec!["自然资源主管部门".to_owned()];
    world.put(asked).await.expect("put");
    world.check(step("CLAUSE-1", "register")).await;
    world.apply(listed("E-1", "2026-06-01")).await;
    world
        .until_case("CLAUSE-1", |case| case.verdicts.len() == 2)
        .await;
    let deal = world.check(step("CLAUSE-1", "deal")).await;
    assert_eq!(deal.outcome, "PROHIBIT");
    place.hand.advance(Duration::from_secs(60));
    world.apply(becomes("E-1", "SUSPENDED")).await;
    let got = target.until("an order", |got| !got.is_empty());
    place.hand.advance(Duration::from_secs(60));
    assert_signed(&place, &got[0]);
    let order = got[0].data("order_id").to_owned();
    assert_eq!(got[0].id, format!("{order}.open"));
    assert_eq!(got[0].event["type"], "cn.creditgate.lift-order.v1");
    assert_eq!(got[0].event["id"], order.as_str());
    assert_eq!(got[0].data("implementer"), "自然资源主管部门");
    world.apply(becomes("E-1", "EFFECTIVE")).await;
    let cancelled = format!("{order}.cancelled");
    let got = target.until("it called off", |got| {
        got.iter().any(|got| got.id == cancelled)
    });
    let last = got.iter().find(|got| got.id == cancelled).expect("it");
    assert_eq!(last.data("state"), "cancelled");
    assert_eq!(last.data("order_id"), order);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_told_of_what_was_left_lying() {
    let place = Place::new();
    let world = place.start().await;
    world.confirm_lists().await;
    let target = Target::start(|_| 200);
    world
        .put(delivery(&target.url(), &["notices"]))
        .await
        .expect("put");
    let kinds = |got: &[Got]| -> Vec<String> {
        let mut kinds: Vec<_> = got
            .iter()
            .map(|got| format!("{} {}", got.data("kind"), got.case()))
            .collect();
        kinds.sort();
        kinds
    };
    // A deal without the check before it shows after the time for re-ordering.
    for (case, stage) in [
        ("LATE-1", "deal"),
        ("CLAUSE-1", "register"),
        ("OPEN-1", "register"),
    ] {
        world.check(step(case, stage)).await;
    }
    world.apply(listed("E-1", "2026-06-01")).await;
    place.hand.advance(Duration::from_secs(700));
    target.until("the missing check", |got| {
        kinds(got).contains(&"missing_check LATE-1".to_owned())
    });
    // Another entry supports the bar: its basis changes when one is repaired.
    world.apply(listed("E-2", "2026-06-01")).await;
    for case in ["CLAUSE-1", "OPEN-1"] {
        world
            .until_case(case, |case| case.verdicts.len() == 3)
            .await;
    }
    let deal = world.check(step("CLAUSE-1", "deal")).await;
    assert_eq!(deal.outcome, "PROHIBIT");
    world.apply(becomes("E-1", "REPAIRED")).await;
    target.until("the other basis", |got| {
        kinds(got).contains(&"basis_changed CLAUSE-1".to_owned())
    });
    // Nobody decides what is proposed.
    place.hand.advance(DAY * 10);
    target.until("the escalation", |got| {
        kinds(got).contains(&"proposal_escalated OPEN-1".to_owned())
    });
    // Nobody acknowledges the lift orders.
    world.apply(becomes("E-2", "REPAIRED")).await;
    world
        .until_case("CLAUSE-1", |case| !case.orders.is_empty())
        .await;
    place.hand.advance(DAY * 10);
    let got = target.until("the overdue order", |got| {
        kinds(got).contains(&"order_overdue CLAUSE-1".to_owned())
    });
    for got in &got {
        assert_signed(&place, got);
        assert_eq!(got.event["type"], "cn.creditgate.case-notice.v1");
        assert_eq!(got.event["id"], got.id.as_str());
        assert_eq!(got.data("region"), "320505");
        assert!(got.event["data"]["measure"]["decisions"].is_null());
    }
    assert_eq!(distinct(&got).len(), got.len(), "each once: {got:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_cannot_be_is_refused_with_every_reason() {
    let place = Place::new();
    let world = place.start().await;
    let refused = |asked: v1::PutDeliveryRequest| {
        let world = &world;
        async move { world.put(asked).await.expect_err("refused") }
    };
    let inside = refused(delivery("http://10.1.2.3/hook", &["verdicts"])).await;
    assert!(inside.message().contains("webhooks.allow"), "{inside:?}");
    let mut wrong = delivery("ftp://127.0.0.1/", &["letters"]);
    wrong.name = "Wrong Name".to_owned();
    wrong.department.clear();
    wrong.scenarios = vec!["no-such".to_owned()];
    wrong.regions = vec!["32".to_owned()];
    wrong.findings_only = true;
    wrong.notices = vec!["gossip".to_owned()];
    wrong.secret_id = "none".to_owned();
    let wrong = refused(wrong).await.get_details_bad_request();
    let wrong = wrong.expect("details").field_violations;
    for field in [
        "name",
        "department",
        "url",
        "of",
        "scenarios",
        "regions",
        "findings_only",
        "notices",
        "secret_id",
    ] {
        assert!(
            wrong.iter().any(|one| one.field == field),
            "{field}: {wrong:?}"
        );
    }
    let mut ahead = delivery("http://127.0.0.1:9/", &["verdicts"]);
    ahead.from_position = Some(1_000);
    assert!(refused(ahead).await.message().contains("lies ahead"));
    let unknown = world.resume(v1::ResumeDeliveryRequest::default()).await;
    assert_eq!(unknown.expect_err("unknown").code(), Code::NotFound);

    // Whoever may only read changes nothing.
    let bare = tonic::Request::new(delivery("http://127.0.0.1:9/", &["verdicts"]));
    assert!(world.service.put(bare).await.is_err());
    world.end().await;
}
