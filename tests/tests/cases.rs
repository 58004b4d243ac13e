//! The story of two bids for state land, from the registration to the lifted measure, over gRPC; and the
//! same with the service killed between any two steps.

use std::path::Path;
use std::process::Command;

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

/// Brings these entries in at once.
async fn import(service: &Service, entries: Vec<v1::Entry>) {
    use v1::import_request::Part;
    let header = v1::ImportHeader {
        source_unit: "演示数据".to_owned(),
        ..v1::ImportHeader::default()
    };
    let rows = entries.into_iter().map(|entry| {
        Part::Row(v1::ImportRow {
            entry: Some(entry),
            ..v1::ImportRow::default()
        })
    });
    let parts: Vec<_> = std::iter::once(Part::Header(header))
        .chain(rows)
        .map(|part| v1::ImportRequest { part: Some(part) })
        .collect();
    let sent = parts.len() - 1;
    let done = service
        .lists()
        .await
        .import(tokio_stream::iter(parts))
        .await;
    let summary = done.expect("imported").into_inner();
    assert_eq!(summary.received, sent as u64, "{summary:?}");
    assert_eq!(summary.refused_count, 0, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_come_in_before_the_first_case_hide_no_later_change_from_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = start(dir.path());
    import_entries(&service);
    let others = |from: u64| -> Vec<v1::Entry> {
        let numbers = from..from + 600;
        let one = |n| land::entry(&format!("E-{n}"), invented::uscc(n), "B03", "2026-06-01");
        numbers.map(one).collect()
    };
    import(&service, others(91_000)).await;
    // All of them are passed by: there is no case.
    reviewed(&service).await;
    check(&service, land::event(WITH_CLAUSE, "register")).await;
    let mut rows = others(92_000);
    let today = creditgate_tests::now().date().to_string();
    rows[300] = land::entry("E-BIDDER", land::bidder(), "B03", &today);
    import(&service, rows).await;
    reviewed(&service).await;
    let case = case(&service, WITH_CLAUSE).await;
    assert_eq!(latest(&case).outcome, "PROHIBIT", "{case:#?}");
    service.stop();
}

/// The catalogue with a remark: another book that says the same.
fn another_book(dir: &Path) -> String {
    let folder = dir.join("another").display().to_string();
    let from = creditgate_tests::root().join("measures/catalogue");
    let copied = Command::new("cp").arg("-r").arg(from).arg(&folder).status();
    assert!(copied.expect("cp runs").success());
    let head = Path::new(&folder).join("book.yaml");
    let text = std::fs::read_to_string(&head).expect("its head");
    std::fs::write(&head, text + "\n# another\n").expect("its head");
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_asked_for_again_judges_what_another_book_decided_since() {
    let mut world = World::new(false);
    let request = async |service: &Service| {
        let asked = v1::RequestReviewRequest {
            reason: "清单调整".to_owned(),
        };
        let asked = service.cases().await.request_review(asked).await;
        let asked = asked.expect("asked for").into_inner();
        reviewed(service).await;
        asked
    };
    world.check(WITH_CLAUSE, "register").await;
    world.check("STAYS-1", "register").await;
    let first = request(&world.service).await;
    assert!(!first.repeated);
    let again = request(&world.service).await;
    assert!(again.repeated, "{again:?}");
    for case_id in [WITH_CLAUSE, "STAYS-1"] {
        let case = case(&world.service, case_id).await;
        assert_eq!(case.verdicts.len(), 2, "reviewed once: {case:#?}");
    }

    // By another book the bidder is listed, and the first book comes back.
    let confirmations = land::confirmations();
    let folder = another_book(world.dir.path());
    let other = [
        "--confirmations",
        &confirmations,
        "--catalogue-dir",
        &folder,
    ];
    world.service.stop();
    world.service = Service::start_with(world.dir.path(), &other);
    apply(&world.service, land::listed()).await;
    reviewed(&world.service).await;
    world.service.stop();
    world.service = start(world.dir.path());
    let before = case(&world.service, WITH_CLAUSE).await;
    assert_eq!(before.verdicts.len(), 3, "{before:#?}");

    let asked = request(&world.service).await;
    assert!(asked.repeated, "{asked:?}");
    assert_eq!(asked.book_version, first.book_version);
    let judged = case(&world.service, WITH_CLAUSE).await;
    assert_eq!(judged.verdicts.len(), 4, "{judged:#?}");
    let [.., by_other, last] = judged.verdicts.as_slice() else {
        panic!("{judged:#?}");
    };
    assert_eq!(last.supersedes, by_other.verdict_id);
    assert_eq!(last.outcome, "PROHIBIT");
    assert!(last.cause.starts_with("list_change:"), "{last:?}");
    // It is by the book in force now, and stays when it is asked for once more.
    request(&world.service).await;
    assert_eq!(case(&world.service, WITH_CLAUSE).await, judged);

    // Without its tables the service finds the same.
    let before = everything(&world.service).await;
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

/// An official confirms what is proposed in a case; gives the notice, which is the same when it is asked for again.
async fn confirmed(service: &Service, case_id: &str) -> String {
    const OFFICIAL: &str = "示例市审批局";
    let held = until(service, case_id, |case| !case.measures.is_empty()).await;
    let [proposed] = held.measures.as_slice() else {
        panic!("one measure: {held:#?}");
    };
    let mut cases = service.cases().await;
    let claimed = cases.claim_proposal(v1::ClaimProposalRequest {
        case_id: case_id.to_owned(),
        key: proposed.key.clone(),
        by: OFFICIAL.to_owned(),
        release: false,
    });
    claimed.await.expect("claimed");
    let asked = v1::DecideProposalRequest {
        case_id: case_id.to_owned(),
        key: proposed.key.clone(),
        decision: "confirm".to_owned(),
        by: OFFICIAL.to_owned(),
        reason: "审查后认为应当限制".to_owned(),
        document_no: "示例决〔2026〕1号".to_owned(),
    };
    let mut told = Vec::new();
    for _ in 0..2 {
        let decided = cases.decide_proposal(asked.clone()).await;
        told.push(decided.expect("confirmed").into_inner().notice);
    }
    assert_eq!(told[0], told[1]);
    told.swap_remove(0)
}

fn assert_tells(notice: &str, parts: &[&str]) {
    for part in parts {
        assert!(notice.contains(part), "{part}: {notice}");
    }
}

/// Decided and listed for reasons of their own.
const REASONS: &str = "\n列入事由：拖欠工资\n决定理由：审查后认为应当限制（示例决〔2026〕1号）\n";

fn for_arrears(list: &str, firm: &str, id: String) -> v1::Entry {
    v1::Entry {
        name: firm.to_owned(),
        designated_by: "示例市人社局".to_owned(),
        reason: "拖欠工资".to_owned(),
        ..land::entry(&format!("E-NOTICE-{list}"), id, list, "2026-11-01")
    }
}

fn put(entry: v1::Entry) -> Change {
    Change::Put(v1::PutEntry {
        entry: Some(entry),
        reason: "更正".to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_measure_is_told_to_whom_it_falls_on_with_the_reasons_of_both() {
    let world = World::new(false);
    let service = &world.service;
    let (person, firm) = (invented::person(7), invented::uscc(90_220));

    // A firm applies whose legal representative is that of another firm, which is listed.
    let related = v1::RelatedSubject {
        role: "legal_representative".to_owned(),
        id_type: "ID18".to_owned(),
        id: person.clone(),
        ..v1::RelatedSubject::default()
    };
    let listed = v1::Entry {
        related: vec![related],
        ..for_arrears("B04", "示例欠薪劳务有限公司", firm.clone())
    };
    apply(service, put(listed)).await;
    let mut event = land::event("PERMIT-1", "accept");
    event.scenario = "permit".to_owned();
    event.subjects[0].role = "applicant".to_owned();
    event.subjects.push(v1::Subject {
        role: "legal_representative".to_owned(),
        id_type: "ID18".to_owned(),
        id: person.clone(),
        name: "某甲".to_owned(),
        kind: "natural_person".to_owned(),
        ..v1::Subject::default()
    });
    check(service, event).await;
    let notice = confirmed(service, "PERMIT-1").await;
    let to = format!("\n某甲（{person}）：\n");
    let relation = "\n因以你（单位）为法定代表人的示例欠薪劳务有限公司被示例市人社局列入";
    assert_tells(
        &notice,
        &[&to, relation, REASONS, "拖欠农民工工资限制：市场准入"],
    );
    assert!(!notice.contains(&firm), "{notice}");

    // The listed bidder itself, and one that gives no identifier and has its name.
    let listed = for_arrears("B03", "示例同名置业有限公司", firm.clone());
    apply(service, put(listed)).await;
    for (case_id, id, shown) in [
        ("OWN-1", firm.as_str(), firm.as_str()),
        ("NAME-1", "", "（未载明）"),
    ] {
        let mut event = land::event(case_id, "register");
        event.subjects[0].name = "示例同名置业有限公司".to_owned();
        event.subjects[0].id = id.to_owned();
        if id.is_empty() {
            event.subjects[0].id_type.clear();
        }
        check(service, event).await;
        let notice = confirmed(service, case_id).await;
        let to = format!("\n示例同名置业有限公司（{shown}）：\n");
        assert_tells(&notice, &[&to, "\n因你（单位）被示例市人社局列入", REASONS]);
        assert_eq!(notice.contains(&firm), !id.is_empty(), "{notice}");
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
