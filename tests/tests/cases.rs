//! The story of two bids for state land, from the registration to the lifted measure, over gRPC; and the
//! same with the service killed between any two steps.

use std::time::{Duration, Instant};

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_proto::v1::apply_request::Change;
use creditgate_tests::{Service, import_entries};
use tonic::Code;

const CONFIRMATIONS: &str = "services/creditgate/demo/confirmations.yaml";
/// The notice of this land says that seriously untrustworthy bidders may not bid.
const WITH_CLAUSE: &str = "LAND-1";
/// The notice of that one says nothing of the kind.
const WITHOUT_CLAUSE: &str = "LAND-2";
const ENTRY: &str = "E-LAND-STORY";
/// Longest time for a review on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// The service, which may be killed and started again between two steps.
struct World {
    dir: tempfile::TempDir,
    service: Service,
    /// Whether it is killed between any two steps.
    dies: bool,
    listed: u64,
}

fn confirmations() -> String {
    creditgate_tests::root()
        .join(CONFIRMATIONS)
        .display()
        .to_string()
}

fn start(dir: &std::path::Path) -> Service {
    Service::start_with(dir, &["--confirmations", &confirmations()])
}

impl World {
    fn new(dies: bool) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let service = start(dir.path());
        import_entries(&service);
        Self {
            dir,
            service,
            dies,
            listed: 0,
        }
    }

    /// What is told between two steps; here the service may die.
    #[expect(clippy::print_stdout, reason = "the story is told in words")]
    fn then(self, tells: &str) -> Self {
        println!("{tells}");
        if !self.dies {
            return self;
        }
        let Self {
            dir,
            service,
            dies,
            listed,
        } = self;
        service.kill();
        let service = start(dir.path());
        Self {
            dir,
            service,
            dies,
            listed,
        }
    }

    fn event(&self, case_id: &str, stage: &str) -> v1::Event {
        let text = |text: &str| pbjson_types::Value {
            kind: Some(pbjson_types::value::Kind::StringValue(text.to_owned())),
        };
        let mut attributes = std::collections::BTreeMap::new();
        if case_id == WITH_CLAUSE {
            attributes.insert("notice_no".to_owned(), text("演示土告〔2026〕1号"));
            attributes.insert("notice_clause".to_owned(), text("第五条第二款"));
            attributes.insert("notice_published_at".to_owned(), text("2026-05-06"));
        }
        v1::Event {
            source: "land".to_owned(),
            id: format!("{case_id}-{stage}"),
            case_id: case_id.to_owned(),
            scenario: "land".to_owned(),
            stage: stage.to_owned(),
            region: "320505".to_owned(),
            subjects: vec![v1::Subject {
                role: "land_bidder".to_owned(),
                id_type: "USCC".to_owned(),
                id: invented::uscc(90_210),
                name: "示例竞买置业有限公司".to_owned(),
                kind: "enterprise".to_owned(),
                ..v1::Subject::default()
            }],
            attributes,
            ..v1::Event::default()
        }
    }

    async fn check(&self, case_id: &str, stage: &str) -> v1::Verdict {
        let event = Some(self.event(case_id, stage));
        let mut gate = self.service.gate().await;
        let answer = gate.check(v1::CheckRequest { event }).await;
        answer
            .expect("an answer")
            .into_inner()
            .verdict
            .expect("a verdict")
    }

    /// A change of the lists; gives its number.
    async fn apply(&self, change: Change) -> u64 {
        let change = Some(change);
        let mut lists = self.service.lists().await;
        let applied = lists.apply(v1::ApplyRequest { change }).await;
        let version = applied.expect("applied").into_inner().list_version;
        let (_, seq) = version.split_once(':').expect("a version");
        seq.parse().expect("a number")
    }

    async fn case(&self, case_id: &str) -> v1::CaseShown {
        let mut cases = self.service.cases().await;
        let case_id = case_id.to_owned();
        let shown = cases.get_case(v1::GetCaseRequest { case_id }).await;
        shown.expect("a case").into_inner().case.expect("it")
    }

    /// Waits until a case is as it should be.
    async fn until(&self, case_id: &str, wanted: impl Fn(&v1::CaseShown) -> bool) -> v1::CaseShown {
        let begun = Instant::now();
        loop {
            let case = self.case(case_id).await;
            if wanted(&case) {
                return case;
            }
            assert!(
                begun.elapsed() < WITHIN,
                "{case:#?}\n{}",
                self.service.logged()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn orders(&self, state: &str) -> Vec<v1::LiftOrder> {
        let mut cases = self.service.cases().await;
        let asked = v1::ListLiftOrdersRequest {
            state: state.to_owned(),
            ..v1::ListLiftOrdersRequest::default()
        };
        let shown = cases.list_lift_orders(asked).await;
        shown.expect("orders").into_inner().orders
    }
}

fn now() -> pbjson_types::Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.expect("after 1970");
    pbjson_types::Timestamp {
        seconds: i64::try_from(since.as_secs()).expect("a time"),
        nanos: 0,
    }
}

fn latest(case: &v1::CaseShown) -> &v1::CaseVerdict {
    case.verdicts.last().expect("a verdict")
}

/// Every case as the service shows it, without what moves with the time.
async fn everything(world: &World) -> std::collections::BTreeMap<String, v1::CaseShown> {
    let mut cases = world.service.cases().await;
    let mut all = std::collections::BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let asked = v1::ListCasesRequest {
            page_size: 7,
            page_token,
            ..v1::ListCasesRequest::default()
        };
        let page = cases.list_cases(asked).await.expect("cases").into_inner();
        for case in page.cases {
            let mut shown = world.case(&case.case_id).await;
            shown.orders.iter_mut().for_each(|order| order.age_ms = 0);
            all.insert(case.case_id, shown);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

/// Waits until nothing is left to review.
async fn reviewed(world: &World) {
    let begun = Instant::now();
    loop {
        let mut cases = world.service.cases().await;
        let asked = cases.get_review_progress(v1::GetReviewProgressRequest {});
        let progress = asked.await.expect("progress").into_inner();
        if progress.waiting == 0 && progress.reviewed_to == progress.list_version {
            return;
        }
        assert!(begun.elapsed() < WITHIN, "{progress:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn listing(entry_id: &str, aliases: Vec<v1::Alias>, id: String, list: &str) -> Change {
    Change::Put(v1::PutEntry {
        entry: Some(v1::Entry {
            entry_id: entry_id.to_owned(),
            list: list.to_owned(),
            id_type: "USCC".to_owned(),
            id,
            name: "示例竞买置业有限公司".to_owned(),
            kind: "enterprise".to_owned(),
            severity: "serious".to_owned(),
            document_no: format!("演示〔2026〕{entry_id}号"),
            served_at: "2026-11-01".to_owned(),
            valid_from: "2026-11-01".to_owned(),
            state: "EFFECTIVE".to_owned(),
            aliases,
            ..v1::Entry::default()
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
    let listed = listing("E-R-1", Vec::new(), invented::uscc(90_210), "B03");
    world.apply(listed).await;
    cases.request_review(request()).await.expect("asked for");
    // One that begins after the request is not part of it.
    let after = world.check("AFTER-1", "register").await;
    reviewed(&world).await;
    let before = everything(&world).await;
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
    reviewed(&world).await;
    assert_eq!(everything(&world).await, before);
    world.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_a_correction_takes_away_lifts_what_rested_on_it() {
    let world = World::new(false);
    let bidder = || v1::Alias {
        id_type: "USCC".to_owned(),
        id: invented::uscc(90_210),
        ..v1::Alias::default()
    };
    world.check(WITH_CLAUSE, "register").await;
    // Two entries of one subject; one of them says that the bidder is the same.
    let barred = invented::uscc(90_211);
    world
        .apply(listing("E-LINK", vec![bidder()], barred.clone(), "A01"))
        .await;
    world
        .apply(listing("E-BARS", Vec::new(), barred.clone(), "B03"))
        .await;
    reviewed(&world).await;
    let case = world.case(WITH_CLAUSE).await;
    assert_eq!(latest(&case).outcome, "PROHIBIT", "{case:#?}");
    let deal = world.check(WITH_CLAUSE, "deal").await;
    assert_eq!(deal.outcome, "PROHIBIT");
    world
        .apply(listing("E-LINK", Vec::new(), barred, "A01"))
        .await;
    reviewed(&world).await;
    let case = world
        .until(WITH_CLAUSE, |case| !case.orders.is_empty())
        .await;
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

    let today = creditgate_measures::time::Time::from_micros(now().seconds * 1_000_000)
        .date()
        .to_string();
    world.listed = world
        .apply(Change::Put(v1::PutEntry {
            entry: Some(v1::Entry {
                entry_id: ENTRY.to_owned(),
                list: "B03".to_owned(),
                id_type: "USCC".to_owned(),
                id: invented::uscc(90_210),
                name: "示例竞买置业有限公司".to_owned(),
                kind: "enterprise".to_owned(),
                severity: "serious".to_owned(),
                document_no: "演示市监〔2026〕190号".to_owned(),
                served_at: today.clone(),
                valid_from: today,
                state: "EFFECTIVE".to_owned(),
                ..v1::Entry::default()
            }),
            reason: String::new(),
        }))
        .await;
    let cause = format!("list_change:{}", world.listed);
    world = world.then("it is put on the list of serious violations, and the decision is served");

    let case = world
        .until(WITH_CLAUSE, |case| latest(case).cause == cause)
        .await;
    let review = latest(&case);
    assert_eq!(
        (review.stage.as_str(), review.outcome.as_str()),
        ("deal", "PROHIBIT")
    );
    assert_eq!(review.supersedes, registered.verdict_id);
    assert_eq!(case.verdicts.len(), 2, "reviewed once: {case:#?}");
    assert_eq!(
        (case.state.as_str(), case.next_stage.as_str()),
        ("open", "deal")
    );
    // The review governs what is to come; the registration stands as it was.
    assert_eq!(case.verdicts[0].outcome, "PASS");
    assert_eq!(case.checks.len(), 1);
    let case = world
        .until(WITHOUT_CLAUSE, |case| latest(case).cause == cause)
        .await;
    assert_eq!(latest(&case).outcome, "MANUAL_REVIEW");
    let proposed: Vec<_> = case
        .measures
        .iter()
        .map(|m| (m.measure_id.as_str(), m.state.as_str()))
        .collect();
    assert_eq!(proposed, [("M12c", "proposed")]);
    let again = world.check(WITH_CLAUSE, "register").await;
    assert_eq!(again.verdict_id, registered.verdict_id);
    let review = world.case(WITH_CLAUSE).await;
    assert_eq!(
        again.superseded_by.as_deref(),
        Some(latest(&review).verdict_id.as_str())
    );
    world = world.then("both open cases are reviewed: where the notice has the clause the deal is barred, where not an official is asked");

    let deal = world.check(WITH_CLAUSE, "deal").await;
    assert_eq!(deal.outcome, "PROHIBIT");
    assert_eq!(
        world.check(WITHOUT_CLAUSE, "deal").await.outcome,
        "MANUAL_REVIEW"
    );
    world = world.then("the deal is stopped for the one, and held for the other");

    let case = world
        .until(WITHOUT_CLAUSE, |case| case.verdicts.len() == 3)
        .await;
    let key = case.measures[0].key.clone();
    let mut cases = world.service.cases().await;
    let claim = v1::ClaimProposalRequest {
        case_id: WITHOUT_CLAUSE.to_owned(),
        key: key.clone(),
        by: "示例市自然资源局 经办人甲".to_owned(),
        release: false,
    };
    let claimed = cases
        .claim_proposal(claim)
        .await
        .expect("claimed")
        .into_inner();
    let measure = claimed.proposal.expect("it").measure.expect("its measure");
    assert_eq!(
        (measure.state.as_str(), measure.four_eyes),
        ("claimed", false)
    );
    world = world.then("an official takes the proposal in hand");

    let decide = |by: &str, document_no: &str| v1::DecideProposalRequest {
        case_id: WITHOUT_CLAUSE.to_owned(),
        key: key.clone(),
        decision: "confirm".to_owned(),
        by: by.to_owned(),
        reason: "依法限制".to_owned(),
        document_no: document_no.to_owned(),
    };
    let mut cases = world.service.cases().await;
    let other = cases
        .decide_proposal(decide("别人", "演示决〔2026〕1号"))
        .await;
    assert_eq!(
        other.expect_err("not the claimer").code(),
        Code::FailedPrecondition
    );
    let bare = cases
        .decide_proposal(decide("示例市自然资源局 经办人甲", ""))
        .await;
    assert_eq!(bare.expect_err("no document").code(), Code::InvalidArgument);
    let decided = cases
        .decide_proposal(decide("示例市自然资源局 经办人甲", "演示决〔2026〕1号"))
        .await;
    let decided = decided.expect("confirmed").into_inner();
    for part in [
        "惩戒措施实施告知书",
        "国有土地出让中依法限制或者禁入",
        "企业信息公示暂行条例",
        "依法限制",
        "异议",
    ] {
        assert!(decided.notice.contains(part), "{part}: {}", decided.notice);
    }
    let measure = decided.proposal.expect("it").measure.expect("its measure");
    assert_eq!(measure.state, "confirmed");
    world = world.then("and confirms it, with a document and the notice to the bidder");

    let case = world
        .until(WITH_CLAUSE, |case| case.verdicts.len() == 3)
        .await;
    let measure = case
        .measures
        .iter()
        .find(|measure| measure.measure_id == "M13a");
    let measure = measure.expect("the bar");
    assert_eq!(
        measure.implementers,
        ["自然资源主管部门", "公共资源交易机构"]
    );
    let feedback = v1::Feedback {
        feedback_id: "F-1".to_owned(),
        verdict_id: deal.verdict_id.clone(),
        measure_id: "M13a".to_owned(),
        subject: 0,
        status: "executed".to_owned(),
        operator: "经办人乙".to_owned(),
        department: "示例市自然资源局".to_owned(),
        division_code: "320505".to_owned(),
        executed_at: Some(now()),
        implementer: "自然资源主管部门".to_owned(),
        ..v1::Feedback::default()
    };
    let report = |feedback: &v1::Feedback| v1::ReportFeedbackRequest {
        feedback: Some(feedback.clone()),
    };
    let mut cases = world.service.cases().await;
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
    let other = v1::Feedback {
        status: "partly".to_owned(),
        reason: "部分".to_owned(),
        ..feedback.clone()
    };
    let refused = cases
        .report_feedback(report(&other))
        .await
        .expect_err("other content");
    assert_eq!(refused.code(), Code::AlreadyExists);
    let other = v1::Feedback {
        feedback_id: "F-2".to_owned(),
        ..other
    };
    // Over HTTP as well as over gRPC.
    let body = serde_json::to_string(&other).expect("JSON");
    let odd = world
        .service
        .post("/v1/feedback", &body)
        .expect("an answer");
    assert!(odd.starts_with("HTTP/1.1 200"), "{odd}");
    assert!(odd.contains(r#""flags":["contradicts"]"#), "{odd}");
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

    let repaired = world
        .apply(Change::ChangeState(v1::ChangeState {
            entry_id: ENTRY.to_owned(),
            to: "REPAIRED".to_owned(),
            effective_at: None,
            document_no: "演示修复〔2026〕5号".to_owned(),
            reason: "已履行义务".to_owned(),
        }))
        .await;
    let cause = format!("list_change:{repaired}");
    world = world.then("the bidder is repaired");

    for case_id in [WITH_CLAUSE, WITHOUT_CLAUSE] {
        let case = world
            .until(case_id, |case| latest(case).cause == cause)
            .await;
        assert_eq!(latest(&case).outcome, "PASS", "{case_id}: {case:#?}");
        let case = world.until(case_id, |case| !case.orders.is_empty()).await;
        assert!(
            case.measures.iter().all(|m| m.state == "unsupported"),
            "{case:#?}"
        );
    }
    let open = world.orders("open").await;
    let to: Vec<_> = open
        .iter()
        .map(|o| {
            (
                o.case_id.as_str(),
                o.measure_id.as_str(),
                o.implementer.as_str(),
            )
        })
        .collect();
    for wanted in [
        (WITH_CLAUSE, "M13a", "自然资源主管部门"),
        (WITH_CLAUSE, "M13a", "公共资源交易机构"),
        (WITHOUT_CLAUSE, "M12c", "自然资源主管部门"),
        (WITHOUT_CLAUSE, "M12c", "公共资源交易机构"),
    ] {
        assert!(to.contains(&wanted), "{wanted:?} in {to:?}");
    }
    assert!(
        open.iter()
            .all(|order| order.cause == cause && order.entry_ids == [ENTRY])
    );
    let ids: std::collections::BTreeSet<_> = open.iter().map(|order| &order.order_id).collect();
    assert_eq!(ids.len(), open.len(), "no order twice");
    let count = open.len();
    world = world
        .then("repair lifts everything at once: whoever carried a measure out gets a lift order");

    assert_eq!(world.orders("open").await.len(), count);
    for order in open {
        let mut cases = world.service.cases().await;
        let asked = v1::AcknowledgeLiftOrderRequest {
            order_id: order.order_id,
            by: order.implementer,
            document_no: "演示解除〔2026〕1号".to_owned(),
            at: None,
        };
        let done = cases
            .acknowledge_lift_order(asked)
            .await
            .expect("acknowledged");
        assert_eq!(done.into_inner().order.expect("it").state, "acknowledged");
    }
    world = world.then("the orders are followed and acknowledged");

    assert!(world.orders("open").await.is_empty());
    assert_eq!(world.orders("acknowledged").await.len(), count);
    assert_eq!(world.check("LAND-3", "register").await.outcome, "PASS");
    let case = world.case(WITH_CLAUSE).await;
    let ids: std::collections::BTreeSet<_> = case.verdicts.iter().map(|v| &v.verdict_id).collect();
    assert_eq!(ids.len(), case.verdicts.len(), "no slot twice");
    assert_eq!(case.verdicts.len(), 4, "{case:#?}");
    world.then("a new registration passes").service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_land_case_is_reviewed_stopped_reported_repaired_and_lifted() {
    story(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_story_with_the_service_killed_between_any_two_steps() {
    story(true).await;
}
