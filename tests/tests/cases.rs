//! The story of two bids for state land, from the registration to the lifted measure, over gRPC; and the
//! same with the service killed between any two steps.

use std::path::Path;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_proto::v1::apply_request::Change;
use creditgate_tests::cases::{apply, case, check, everything, latest, orders, reviewed, until};
use creditgate_tests::land::{self, WITH_CLAUSE, WITHOUT_CLAUSE};
use creditgate_tests::{Service, import_entries};
use tonic::Code;

/// The service, which may be killed and started again between two steps.
struct World {
    dir: tempfile::TempDir,
    service: Service,
    /// Whether it is killed between any two steps.
    dies: bool,
}

fn start(dir: &Path) -> Service {
    Service::start_with(dir, &["--confirmations", &land::confirmations()])
}

impl World {
    fn new(dies: bool) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let service = start(dir.path());
        import_entries(&service);
        Self { dir, service, dies }
    }

    /// What is told between two steps; here the service may die.
    #[expect(clippy::print_stdout, reason = "the story is told in words")]
    fn then(self, tells: &str) -> Self {
        println!("{tells}");
        if !self.dies {
            return self;
        }
        let Self { dir, service, dies } = self;
        service.kill();
        let service = start(dir.path());
        Self { dir, service, dies }
    }

    async fn check(&self, case_id: &str, stage: &str) -> v1::Verdict {
        check(&self.service, land::event(case_id, stage)).await
    }
}

fn listing(entry_id: &str, aliases: Vec<v1::Alias>, id: String, list: &str) -> Change {
    Change::Put(v1::PutEntry {
        entry: Some(v1::Entry {
            aliases,
            ..land::entry(entry_id, id, list, "2026-11-01")
        }),
        reason: "更正".to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_can_be_thrown_away_and_a_requested_review_never_goes_back() {
    let mut world = World::new(false);
    for n in 0..12 {
        world.check(&format!("LAND-{n}"), "register").await;
    }
    let request = || v1::RequestReviewRequest {
        reason: "新版清单".to_owned(),
    };
    let mut cases = world.service.cases().await;
    cases.request_review(request()).await.expect("asked for");
    let listed = listing("E-R-1", Vec::new(), land::bidder(), "B03");
    apply(&world.service, listed).await;
    cases.request_review(request()).await.expect("asked for");
    // One that begins after the request is not part of it.
    let after = world.check("AFTER-1", "register").await;
    reviewed(&world.service).await;
    let before = everything(&world.service).await;
    let case = &before[WITH_CLAUSE];
    assert_eq!(latest(case).outcome, "PROHIBIT", "{case:#?}");
    assert_eq!(before["AFTER-1"].verdicts[0].verdict_id, after.verdict_id);
    for case in before.values() {
        let taken_by = |v: &v1::CaseVerdict| v.supersedes.clone();
        let mut places: Vec<_> = case
            .verdicts
            .iter()
            .map(taken_by)
            .filter(|id| !id.is_empty())
            .collect();
        let count = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), count, "no chain forks: {case:#?}");
    }

    world.service.stop();
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("cases/cases.sqlite{suffix}");
        let _ = std::fs::remove_file(world.dir.path().join(file));
    }
    world.service = start(world.dir.path());
    reviewed(&world.service).await;
    assert_eq!(everything(&world.service).await, before);
    world.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_a_correction_takes_away_lifts_what_rested_on_it() {
    let world = World::new(false);
    let bidder = || v1::Alias {
        id_type: "USCC".to_owned(),
        id: land::bidder(),
        ..v1::Alias::default()
    };
    world.check(WITH_CLAUSE, "register").await;
    // Two entries of one subject; one of them says that the bidder is the same.
    let barred = invented::uscc(90_211);
    apply(
        &world.service,
        listing("E-LINK", vec![bidder()], barred.clone(), "A01"),
    )
    .await;
    apply(
        &world.service,
        listing("E-BARS", Vec::new(), barred.clone(), "B03"),
    )
    .await;
    reviewed(&world.service).await;
    let case = case(&world.service, WITH_CLAUSE).await;
    assert_eq!(latest(&case).outcome, "PROHIBIT", "{case:#?}");
    let deal = world.check(WITH_CLAUSE, "deal").await;
    assert_eq!(deal.outcome, "PROHIBIT");
    apply(&world.service, listing("E-LINK", Vec::new(), barred, "A01")).await;
    reviewed(&world.service).await;
    let case = until(&world.service, WITH_CLAUSE, |case| !case.orders.is_empty()).await;
    assert_ne!(latest(&case).outcome, "PROHIBIT", "{case:#?}");
    let order = case.orders[0].clone();
    let asked = || v1::AcknowledgeLiftOrderRequest {
        order_id: order.order_id.clone(),
        by: order.implementer.clone(),
        ..v1::AcknowledgeLiftOrderRequest::default()
    };
    let mut cases = world.service.cases().await;
    for _ in 0..2 {
        let done = cases
            .acknowledge_lift_order(asked())
            .await
            .expect("acknowledged");
        assert_eq!(done.into_inner().order.expect("it").state, "acknowledged");
    }
    world.service.stop();
}

async fn story(dies: bool) {
    let mut world = World::new(dies);

    let registered = world.check(WITH_CLAUSE, "register").await;
    assert_eq!(registered.outcome, "PASS");
    assert_eq!(
        world.check(WITHOUT_CLAUSE, "register").await.outcome,
        "PASS"
    );
    world = world.then("the bidder registers for two pieces of land: nothing is known against it");

    let listed = apply(&world.service, land::listed()).await;
    let cause = format!("list_change:{listed}");
    world = world.then("it is put on the list of serious violations, and the decision is served");

    let review = land::assert_reviewed(&world.service, &cause, &registered.verdict_id).await;
    let again = world.check(WITH_CLAUSE, "register").await;
    assert_eq!(again.verdict_id, registered.verdict_id);
    assert_eq!(again.superseded_by, Some(review));
    world = world.then("both open cases are reviewed: where the notice has the clause the deal is barred, where not an official is asked");

    let deal = world.check(WITH_CLAUSE, "deal").await;
    assert_eq!(deal.outcome, "PROHIBIT");
    assert_eq!(
        world.check(WITHOUT_CLAUSE, "deal").await.outcome,
        "MANUAL_REVIEW"
    );
    world = world.then("the deal is stopped for the one, and held for the other");

    land::claim(&world.service).await;
    world = world.then("an official takes the proposal in hand");

    land::confirm(&world.service).await;
    world = world.then("and confirms it, with a document and the notice to the bidder");

    report(&world.service, &deal.verdict_id).await;
    world = world.then("the department reports that it refused the deal");

    let mut cases = world.service.cases().await;
    let counted = cases.count_measures(v1::CountMeasuresRequest::default());
    let counts = counted.await.expect("counted").into_inner().counts;
    let counts: Vec<_> = counts
        .iter()
        .map(|count| (count.of.join(" "), count.reports))
        .collect();
    assert_eq!(
        counts,
        [("M13a partly".to_owned(), 1)],
        "the last report counts"
    );

    let repaired = apply(&world.service, land::repaired()).await;
    let cause = format!("list_change:{repaired}");
    world = world.then("the bidder is repaired");

    let open = land::assert_lifted(&world.service, &cause).await;
    world = world
        .then("repair lifts everything at once: whoever carried a measure out gets a lift order");

    assert_eq!(orders(&world.service, "open").await.len(), open.len());
    for order in &open {
        land::acknowledge(&world.service, order).await;
    }
    world = world.then("the orders are followed and acknowledged");

    assert!(orders(&world.service, "open").await.is_empty());
    assert_eq!(
        orders(&world.service, "acknowledged").await.len(),
        open.len()
    );
    assert_eq!(world.check("LAND-3", "register").await.outcome, "PASS");
    let case = case(&world.service, WITH_CLAUSE).await;
    let ids: std::collections::BTreeSet<_> = case.verdicts.iter().map(|v| &v.verdict_id).collect();
    assert_eq!(ids.len(), case.verdicts.len(), "no slot twice");
    assert_eq!(case.verdicts.len(), 4, "{case:#?}");
    world.then("a new registration passes").service.stop();
}

/// The department reports what it did, by gRPC and by HTTP; the same twice is one report, and another under its id none.
async fn report(service: &Service, verdict_id: &str) {
    let case = until(service, WITH_CLAUSE, |case| case.verdicts.len() == 3).await;
    let measure = case
        .measures
        .iter()
        .find(|measure| measure.measure_id == "M13a");
    let measure = measure.expect("the bar");
    assert_eq!(
        measure.implementers,
        ["自然资源主管部门", "公共资源交易机构"]
    );
    let feedback = land::feedback(verdict_id);
    let report = |feedback: &v1::Feedback| v1::ReportFeedbackRequest {
        feedback: Some(feedback.clone()),
    };
    let mut cases = service.cases().await;
    let reported = cases
        .report_feedback(report(&feedback))
        .await
        .expect("reported");
    let reported = reported.into_inner();
    assert!(!reported.repeated && reported.feedback.expect("it").flags.is_empty());
    let repeated = cases
        .report_feedback(report(&feedback))
        .await
        .expect("repeated");
    assert!(repeated.into_inner().repeated);
    let other = land::otherwise(&feedback, &feedback.feedback_id);
    let refused = cases
        .report_feedback(report(&other))
        .await
        .expect_err("other content");
    assert_eq!(refused.code(), Code::AlreadyExists);
    let other = land::otherwise(&feedback, "F-2");
    let body = serde_json::to_string(&other).expect("JSON");
    let odd = service.post("/v1/feedback", &body).expect("an answer");
    assert!(odd.starts_with("HTTP/1.1 200"), "{odd}");
    assert!(odd.contains(r#""flags":["contradicts"]"#), "{odd}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_land_case_is_reviewed_stopped_reported_repaired_and_lifted() {
    story(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_story_with_the_service_killed_between_any_two_steps() {
    story(true).await;
}
