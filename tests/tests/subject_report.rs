//! What a subject is told of itself at the window: before anything is kept, while measures stand, and after they ended;
//! by whom it may be asked for, and the objection that is handed in there.

use std::time::{Duration, Instant};

use creditgate_measures::identifier::invented;
use creditgate_measures::time::Date;
use creditgate_proto::v1;
use creditgate_proto::v1::access_client::AccessClient;
use creditgate_proto::v1::apply_request::Change;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_proto::v1::identity_client::IdentityClient;
use creditgate_proto::v1::lists_client::ListsClient;
use creditgate_proto::v1::procedures_client::ProceduresClient;
use creditgate_tests::cases::{apply, check, orders, reviewed, until};
use creditgate_tests::land::{self, ENTRY, WITH_CLAUSE};
use creditgate_tests::policy::{self, Guarded};
use creditgate_tests::{Service, now, retry_after, run};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const PATIENCE: Duration = Duration::from_secs(60);

/// The legal representative of the bidder.
fn person() -> String {
    invented::person(90_210)
}

/// Somebody else who is named in a reason.
fn third() -> String {
    invented::person(90_211)
}

/// The bidder is listed, with its legal representative, for a reason that names somebody else.
fn listed() -> Change {
    let today = now().date().to_string();
    let related = v1::RelatedSubject {
        role: "legal_representative".to_owned(),
        id_type: "ID18".to_owned(),
        id: person(),
        name: "某甲某".to_owned(),
        ..v1::RelatedSubject::default()
    };
    let entry = v1::Entry {
        related: vec![related],
        reason: format!("与{}共同提供虚假材料", third()),
        designated_by: "示例市市场监督管理局".to_owned(),
        ..land::entry(ENTRY, land::bidder(), "B03", &today)
    };
    Change::Put(v1::PutEntry {
        entry: Some(entry),
        reason: String::new(),
    })
}

fn asked(id_type: &str, id: &str) -> v1::GetSubjectReportRequest {
    v1::GetSubjectReportRequest {
        subject: Some(v1::Alias {
            id_type: id_type.to_owned(),
            id: id.to_owned(),
            ..v1::Alias::default()
        }),
        reason: "本人申请查询".to_owned(),
        document_no: "示例窗〔2026〕7号".to_owned(),
        ..v1::GetSubjectReportRequest::default()
    }
}

async fn report(
    service: &Service,
    asked: v1::GetSubjectReportRequest,
) -> v1::GetSubjectReportResponse {
    let mut identity = service.identity().await;
    let report = identity.get_subject_report(asked).await;
    report.expect("a report").into_inner()
}

async fn bidder(service: &Service) -> v1::GetSubjectReportResponse {
    report(service, asked("USCC", &land::bidder())).await
}

fn json<T: serde::Serialize>(message: &T) -> String {
    serde_json::to_string(message).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_is_told_what_is_kept_what_stands_and_who_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start_with(dir.path(), &["--confirmations", &land::confirmations()]);
    creditgate_tests::import_entries(&service);

    // Of whom nothing is kept the answer says so.
    let before = bidder(&service).await;
    assert!(before.nothing_kept, "{before:#?}");
    assert!(before.statement.contains("未保存"), "{}", before.statement);
    assert_eq!(before.identifiers.len(), 1);
    assert_eq!(before.document_no, "示例窗〔2026〕7号");
    assert!(before.entries.is_empty() && before.inquiries.is_empty());

    // Asked about, then listed, then stopped.
    check(&service, land::event(WITH_CLAUSE, "register")).await;
    let after_check = bidder(&service).await;
    assert!(!after_check.nothing_kept);
    assert_eq!(after_check.inquiries.len(), 1, "{after_check:#?}");
    assert!(after_check.measures.is_empty());
    apply(&service, listed()).await;
    reviewed(&service).await;
    let deal = check(&service, land::event(WITH_CLAUSE, "deal")).await;
    assert_eq!(deal.outcome, "PROHIBIT");

    let told = bidder(&service).await;
    let [entry] = told.entries.as_slice() else {
        panic!("one entry: {told:#?}");
    };
    let standing = entry.standing.clone().expect("its standing");
    assert!(standing.usable && !entry.ended, "{entry:#?}");
    assert_eq!(entry.found_by, "identifier");
    assert_eq!(entry.colour, "black");
    assert!(!entry.list_title.is_empty() && !entry.list_basis.is_empty());
    let own = entry.entry.clone().expect("the entry");
    assert_eq!((own.id.as_str(), &*own.list), (&*land::bidder(), "B03"));
    let remedies: Vec<_> = entry.remedies.iter().map(|one| &*one.kind).collect();
    assert_eq!(remedies, ["objection", "repair"]);
    let [objection, repair] = entry.remedies.as_slice() else {
        panic!("{entry:#?}");
    };
    assert!(objection.possible && !objection.limits.is_empty());
    assert_eq!(objection.authority, "示例市市场监督管理局");
    assert!(!repair.rules.is_empty(), "{repair:#?}");
    let names: Vec<_> = told.names.iter().map(|one| one.current).collect();
    assert_eq!(names, [true]);

    let measure = told.measures.iter().find(|one| {
        let row = one.measure.as_ref();
        row.is_some_and(|row| row.id == "M13a")
    });
    let measure = measure.unwrap_or_else(|| panic!("M13a stands: {told:#?}"));
    assert_eq!(measure.state, "in_effect");
    assert_eq!((&*measure.case_id, &*measure.source), (WITH_CLAUSE, "land"));
    assert_eq!(measure.entry_ids, [ENTRY]);
    let row = measure.measure.clone().expect("its row");
    assert!(!row.basis.is_empty() && row.remedies.is_some(), "{row:#?}");
    assert_eq!(told.inquiries.len(), 3, "{:#?}", told.inquiries);
    let last = &told.inquiries[0];
    assert_eq!(last.verdict_id, deal.verdict_id);
    assert_eq!((&*last.outcome, &*last.cause), ("PROHIBIT", "event"));
    assert_eq!((&*last.role, &*last.stage), ("land_bidder", "deal"));
    assert_eq!(last.caller, "local");
    assert!(!last.scenario_title.is_empty() && !last.stage_title.is_empty());
    assert!(told.inquiries[1].cause.starts_with("list_change:"));

    // Page by page the same verdicts; what stands is told with the first.
    let mut paged = Vec::new();
    let mut page = v1::GetSubjectReportRequest {
        page_size: 1,
        ..asked("USCC", &land::bidder())
    };
    loop {
        let part = report(&service, page.clone()).await;
        assert_eq!(part.measures.is_empty(), !page.page_token.is_empty());
        assert!(!part.nothing_kept);
        paged.extend(part.inquiries);
        page.page_token = part.next_page_token;
        if page.page_token.is_empty() {
            break;
        }
        assert!(paged.len() < 10, "{paged:#?}");
    }
    assert_eq!(paged, told.inquiries);

    // Of others only as much as one needs to know them again.
    let text = json(&told);
    assert!(text.contains(&land::bidder()));
    for other in [person(), third(), "某甲某".to_owned()] {
        assert!(!text.contains(&other), "{other} in {text}");
    }
    let [relation] = told.relations.as_slice() else {
        panic!("{:#?}", told.relations);
    };
    let other = relation.other.clone().expect("the other one");
    assert_eq!(other.name, "某＊");
    assert!(other.id.contains("****"), "{}", other.id);
    let representative = report(&service, asked("ID18", &person())).await;
    assert!(!representative.nothing_kept);
    assert_eq!(representative.entries.len(), 1);
    assert_eq!(representative.entries[0].found_by, "related");
    assert!(representative.entries[0].remedies.is_empty());
    assert!(representative.inquiries.is_empty());
    let text = json(&representative);
    assert!(text.contains(&person()) && !text.contains(&land::bidder()));

    // Carried out, repaired, lifted.
    let mut cases = service.cases().await;
    let carried_out = v1::ReportFeedbackRequest {
        feedback: Some(land::feedback(&deal.verdict_id)),
    };
    cases.report_feedback(carried_out).await.expect("kept");
    let told = bidder(&service).await;
    let departments: Vec<_> = told
        .measures
        .iter()
        .flat_map(|one| &one.carried_out_by)
        .collect();
    assert_eq!(departments, ["示例市自然资源局"]);
    apply(&service, land::repaired()).await;
    reviewed(&service).await;
    until(&service, WITH_CLAUSE, |case| !case.orders.is_empty()).await;
    let told = bidder(&service).await;
    let [entry] = told.entries.as_slice() else {
        panic!("it is kept: {told:#?}");
    };
    assert!(entry.ended, "{entry:#?}");
    assert_eq!(entry.standing.clone().expect("it").why_not, "repaired");
    assert!(entry.remedies.iter().all(|one| !one.possible), "{entry:#?}");
    assert!(entry.history.iter().all(|change| change.caller.is_empty()));
    let to_lift =
        |one: &v1::StandingMeasure| one.state == "unsupported" && !one.to_be_lifted_by.is_empty();
    assert!(!told.measures.is_empty());
    assert!(told.measures.iter().all(to_lift), "{:#?}", told.measures);
    for order in orders(&service, "open").await {
        land::acknowledge(&service, &order).await;
    }
    let told = bidder(&service).await;
    assert!(told.measures.is_empty(), "{:#?}", told.measures);
    assert!(told.statement.contains("已终止1条"), "{}", told.statement);

    // A number that is none is refused, and not repeated.
    let mut identity = service.identity().await;
    let wrong = "91219999MAYG58BR3X";
    let refused = identity.get_subject_report(asked("USCC", wrong)).await;
    let refused = refused.expect_err("its check digit is wrong");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(!refused.message().contains(wrong), "{refused:?}");
    let bare = v1::GetSubjectReportRequest {
        document_no: String::new(),
        ..asked("USCC", &land::bidder())
    };
    let refused = identity.get_subject_report(bare).await;
    assert_eq!(
        refused.expect_err("no document").code(),
        Code::InvalidArgument
    );

    // As a clerk types it.
    let server = format!("http://{}", service.grpc);
    let subject = format!("USCC:{}", land::bidder());
    let line = [
        "subject",
        "report",
        &subject,
        "--reason",
        "本人申请",
        "--document",
        "示例窗8号",
        "--server",
        &server,
    ];
    let shown = run(&line, "");
    let text = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.status.success(), "{text}");
    for part in [ENTRY, "已修复", "核查记录", "示例窗8号", "PROHIBIT"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let shown = run(&[line.as_slice(), &["--json", "--limit", "2"]].concat(), "");
    let parsed: v1::GetSubjectReportResponse =
        serde_json::from_slice(&shown.stdout).expect("an answer");
    assert_eq!(parsed.inquiries.len(), 2);
    assert!(!parsed.next_page_token.is_empty());
    service.stop();
}

/// One caller for each role that matters here; what follows `k-` is its key.
const POLICY: &str = r#"
callers:
- {name: platform, department: 示例市公共资源交易中心, roles: [business], sources: ["*"], matters: [{scenario: "*", regions: ["100000"]}]}
- {name: feeder, department: 示例市市场监督管理局, roles: [list_source]}
- {name: reviewer, department: 示例市信用中心, roles: [reviewer], matters: [{scenario: "*", regions: ["100000"]}]}
- {name: publisher, department: 示例市信用中心, roles: [publisher], matters: [{scenario: "*", regions: ["100000"]}]}
- {name: operator, department: 示例市大数据局, roles: [system_administrator]}
- {name: guard, department: 示例市大数据局, roles: [security_administrator]}
- {name: auditor, department: 示例市审计局, roles: [auditor], matters: [{scenario: "*", regions: ["100000"]}]}
- {name: clerk, department: 示例市政务服务中心, roles: [window_clerk]}
- {name: trainee, department: 示例市政务服务中心, roles: [window_clerk], reports_per_hour: 1}
"#;

struct Place {
    dir: tempfile::TempDir,
    service: Service,
    channel: Channel,
}

impl Place {
    async fn new() -> Self {
        let confirmations = land::confirmations();
        let more = ["--confirmations", &confirmations];
        let Guarded {
            dir,
            service,
            channel,
        } = Guarded::start(POLICY, &more).await;
        Self {
            dir,
            service,
            channel,
        }
    }

    async fn report(
        &self,
        caller: &str,
        asked: v1::GetSubjectReportRequest,
    ) -> Result<v1::GetSubjectReportResponse, Status> {
        let mut identity = IdentityClient::new(self.channel.clone());
        let report = identity.get_subject_report(with_key(asked, caller)).await?;
        Ok(report.into_inner())
    }

    async fn open(
        &self,
        caller: &str,
        asked: v1::OpenProcedureRequest,
    ) -> Result<v1::ProcedureResponse, Status> {
        let mut procedures = ProceduresClient::new(self.channel.clone());
        let opened = procedures.open(with_key(asked, caller)).await?;
        Ok(opened.into_inner())
    }

    /// Waits until such a call is recorded.
    async fn recorded(&self, wanted: impl Fn(&v1::CallRecord) -> bool) {
        let began = Instant::now();
        loop {
            let mut access = AccessClient::new(self.channel.clone());
            let asked = v1::ListCallsRequest {
                limit: 1_000,
                ..v1::ListCallsRequest::default()
            };
            let calls = access.list_calls(with_key(asked, "auditor")).await;
            let calls = calls.expect("calls").into_inner().calls;
            if calls.iter().any(&wanted) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{calls:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn with_key<T>(message: T, caller: &str) -> Request<T> {
    policy::with_key(message, Some(caller))
}

fn handed_in(kind: &str) -> v1::OpenProcedureRequest {
    v1::OpenProcedureRequest {
        kind: kind.to_owned(),
        entry_id: ENTRY.to_owned(),
        of_subject: asked("USCC", &land::bidder()).subject,
        by: "示例竞买置业有限公司".to_owned(),
        document_no: "示例窗收〔2026〕9号".to_owned(),
        reason: "未提供虚假材料".to_owned(),
        ..v1::OpenProcedureRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_clerk_at_the_window_asks_and_takes_an_objection_whose_clock_runs() {
    let place = Place::new().await;
    let mut lists = ListsClient::new(place.channel.clone());
    let change = v1::ApplyRequest {
        change: Some(listed()),
    };
    lists
        .apply(with_key(change, "feeder"))
        .await
        .expect("listed");
    let mut gate = GateClient::new(place.channel.clone());
    let event = v1::CheckRequest {
        event: Some(land::event(WITH_CLAUSE, "deal")),
    };
    gate.check(with_key(event, "platform"))
        .await
        .expect("a verdict");

    let bidder = || asked("USCC", &land::bidder());
    for other in [
        "platform",
        "feeder",
        "reviewer",
        "publisher",
        "operator",
        "guard",
        "auditor",
    ] {
        let refused = place.report(other, bidder()).await.expect_err(other);
        assert_eq!(refused.code(), Code::PermissionDenied, "{other}");
    }
    let told = place.report("clerk", bidder()).await.expect("a report");
    let [asked_about] = told.inquiries.as_slice() else {
        panic!("{told:#?}");
    };
    assert_eq!(asked_about.department, "示例市公共资源交易中心");
    assert_eq!(asked_about.caller, "platform");
    assert!(told.procedures.is_empty());
    let unknown = asked("USCC", &invented::uscc(90_299));
    let unknown = place.report("clerk", unknown).await.expect("a report");
    assert!(unknown.nothing_kept, "{unknown:#?}");

    // What is an authority's is not the clerk's.
    let talk = v1::OpenProcedureRequest {
        authority: "示例市市场监督管理局".to_owned(),
        ..handed_in("talk")
    };
    let forced = v1::OpenProcedureRequest {
        force: true,
        ..handed_in("repair")
    };
    for of_authority in [talk, forced] {
        let refused = place.open("clerk", of_authority).await;
        assert_eq!(refused.expect_err("refused").code(), Code::PermissionDenied);
    }
    let early = place.open("clerk", handed_in("repair")).await;
    assert_eq!(
        early.expect_err("too early").code(),
        Code::FailedPrecondition
    );
    let by_reviewer = place.open("reviewer", handed_in("objection")).await;
    assert_eq!(
        by_reviewer.expect_err("refused").code(),
        Code::PermissionDenied
    );

    // Only to an entry of whom the clerk acts for; another's is as one that is not there.
    let for_nobody = v1::OpenProcedureRequest {
        of_subject: None,
        ..handed_in("objection")
    };
    let refused = place.open("clerk", for_nobody).await;
    let refused = refused.expect_err("for nobody");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("of_subject"), "{refused:?}");
    let not_there = v1::OpenProcedureRequest {
        entry_id: "E-NONE-1".to_owned(),
        ..handed_in("objection")
    };
    let not_there = place.open("clerk", not_there).await;
    let not_there = not_there.expect_err("there is none");
    assert_eq!(not_there.code(), Code::NotFound);
    for (id_type, id) in [("USCC", invented::uscc(90_299)), ("ID18", person())] {
        let of_another = v1::OpenProcedureRequest {
            of_subject: asked(id_type, &id).subject,
            ..handed_in("objection")
        };
        let refused = place.open("clerk", of_another).await;
        let refused = refused.expect_err("somebody else's");
        assert_eq!(
            (refused.code(), refused.message()),
            (not_there.code(), not_there.message()),
            "{id_type}"
        );
    }

    let opened = place.open("clerk", handed_in("objection")).await;
    let opened = opened.expect("opened").procedure.expect("it");
    let told = place.report("clerk", bidder()).await.expect("a report");
    let [objection] = told.procedures.as_slice() else {
        panic!("{:#?}", told.procedures);
    };
    assert_eq!(objection.procedure_id, opened.procedure_id);
    let mut limits = objection.deadlines.iter();
    let decide = limits.find(|limit| limit.step == "decide");
    let decide = decide.unwrap_or_else(|| panic!("{objection:#?}"));
    let day = Date::parse(&decide.day).expect("a day");
    assert!(day > now().date() && decide.days > 0, "{decide:#?}");
    let names_the_clerk =
        |step: &v1::ProcedureStepTaken| step.by == "clerk" || !step.caller.is_empty();
    assert!(!objection.steps.iter().any(names_the_clerk));
    let entry = told.entries[0].entry.clone().expect("the entry");
    assert_eq!(entry.objection_marked, Some(true));
    let [way, _] = told.entries[0].remedies.as_slice() else {
        panic!("{:#?}", told.entries);
    };
    assert!(!way.possible && way.why_not.contains(&opened.procedure_id));
    let step = v1::StepProcedureRequest {
        procedure_id: opened.procedure_id,
        step: "decided".to_owned(),
        outcome: "upheld".to_owned(),
        ..v1::StepProcedureRequest::default()
    };
    let mut procedures = ProceduresClient::new(place.channel.clone());
    let refused = procedures.step(with_key(step, "clerk")).await;
    assert_eq!(
        refused.expect_err("not the clerk's").code(),
        Code::PermissionDenied
    );

    // As many as were agreed.
    place.report("trainee", bidder()).await.expect("the first");
    let refused = place.report("trainee", bidder()).await;
    let refused = refused.expect_err("one an hour");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(retry_after(&refused).is_some(), "{refused:?}");

    // Whose document it was stands in the record of calls, and whom it was about only for those who know the number.
    const CALL: &str = "/creditgate.v1.Identity/GetSubjectReport";
    place
        .recorded(|call| {
            call.call == CALL && call.caller == "clerk" && call.document_no == "示例窗〔2026〕7号"
        })
        .await;
    place
        .recorded(|call| {
            call.call == CALL && call.caller == "auditor" && call.outcome == "permission_denied"
        })
        .await;
    place
        .recorded(|call| {
            call.call == CALL && call.caller == "trainee" && call.outcome == "too_many"
        })
        .await;
    let mut access = AccessClient::new(place.channel.clone());
    let mut about = async |id: String| {
        let asked = v1::ListCallsRequest {
            limit: 1_000,
            subject: asked("USCC", &id).subject,
            ..v1::ListCallsRequest::default()
        };
        let calls = access.list_calls(with_key(asked, "auditor")).await;
        calls.expect("calls").into_inner().calls
    };
    let calls = about(land::bidder()).await;
    assert!(calls.iter().any(|call| call.caller == "trainee"));
    for call in &calls {
        assert_eq!((&*call.call, &*call.reason), (CALL, "本人申请查询"));
        assert_eq!(call.subject_digest.len(), 32, "{call:?}");
    }
    assert_eq!(about(invented::uscc(90_299)).await.len(), 1);
    assert!(about(invented::uscc(90_298)).await.is_empty());
    place.service.stop();
    let dir = place.dir.path().display().to_string();
    let of = |id: &str| {
        let subject = format!("USCC:{id}");
        let line = ["access", "calls", "--data-dir", &dir, "--subject", &subject];
        let shown = run(&line, "");
        assert!(shown.status.success(), "{shown:?}");
        String::from_utf8(shown.stdout).expect("text")
    };
    let shown = of(&land::bidder());
    assert!(shown.contains("示例窗〔2026〕7号: 本人申请查询"), "{shown}");
    assert!(!shown.contains(&land::bidder()), "{shown}");
    assert_eq!(of(&invented::uscc(90_298)), "");
}
