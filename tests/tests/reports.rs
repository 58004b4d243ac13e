//! What becomes of reports: whoever a penalty fell on is to be told of it, rewards are counted, and what an
//! inspection found is recorded of its subject, whenever the service is killed in between.

use std::path::Path;

use creditgate_measures::identifier::invented;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use creditgate_proto::v1::apply_request::Change;
use creditgate_tests::cases::{apply, case, check, to_be_told, until, until_to_be_told};
use creditgate_tests::land::{self, WITH_CLAUSE};
use creditgate_tests::{Service, import_entries, now, run};
use tonic::{Code, Status};

/// The notice that a penalty was carried out.
const NOTICE: &str = "N05";

fn start(dir: &Path) -> Service {
    Service::start_with(dir, &["--confirmations", &land::confirmations()])
}

fn begun(dir: &Path) -> Service {
    let service = start(dir);
    import_entries(&service);
    service
}

/// Where a command finds the service.
fn server(service: &Service) -> String {
    format!("http://{}", service.grpc)
}

fn killed(service: Service, dir: &Path) -> Service {
    service.kill();
    start(dir)
}

fn put(entry: v1::Entry) -> Change {
    Change::Put(v1::PutEntry {
        entry: Some(entry),
        reason: "更正".to_owned(),
    })
}

async fn report(
    service: &Service,
    feedback: &v1::Feedback,
) -> Result<v1::ReportFeedbackResponse, Status> {
    let asked = v1::ReportFeedbackRequest {
        feedback: Some(feedback.clone()),
    };
    let reported = service.cases().await.report_feedback(asked).await?;
    Ok(reported.into_inner())
}

fn served(of: &v1::DueItem) -> v1::RecordServiceRequest {
    v1::RecordServiceRequest {
        entry_id: of.entry_id.clone(),
        notices: vec![NOTICE.to_owned()],
        how: "post".to_owned(),
        proof: "示例回执1号".to_owned(),
        served_at: Some(time_to_proto(now())),
        by: "示例局".to_owned(),
        verdict_id: of.verdict_id.clone(),
        measure_id: of.measure_id.clone(),
        ..v1::RecordServiceRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_carried_out_is_to_be_told_once_whenever_the_service_dies() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut service = begun(dir);
    check(&service, land::event(WITH_CLAUSE, "register")).await;
    apply(&service, land::listed()).await;
    until(&service, WITH_CLAUSE, |case| case.verdicts.len() == 2).await;
    let deal = check(&service, land::event(WITH_CLAUSE, "deal")).await;
    assert_eq!(deal.outcome, "PROHIBIT");
    assert!(to_be_told(&service).await.is_empty());

    let feedback = land::feedback(&deal.verdict_id);
    let declined = v1::Feedback {
        feedback_id: "F-0".to_owned(),
        status: "not_executed".to_owned(),
        reason: "尚未办理".to_owned(),
        ..feedback.clone()
    };
    report(&service, &declined).await.expect("reported");
    let first = report(&service, &feedback).await.expect("reported");
    service = killed(service, dir);
    let due = until_to_be_told(&service, 1).await;
    assert_eq!(
        (due[0].entry_id.as_str(), due[0].measure_id.as_str()),
        (land::ENTRY, "M13a")
    );
    assert_eq!(due[0].verdict_id, deal.verdict_id);
    assert_eq!(due[0].authority, "示例市自然资源局");
    assert_eq!(due[0].verdict_subject, None, "the listed one itself");

    // Told again, and by another implementer too, it is told once.
    let again = report(&service, &feedback).await.expect("known");
    assert!(again.repeated);
    assert_eq!(again.feedback, first.feedback, "the first answer");
    let other = v1::Feedback {
        feedback_id: "F-3".to_owned(),
        implementer: "公共资源交易机构".to_owned(),
        ..feedback.clone()
    };
    report(&service, &other).await.expect("reported");
    let told = |case: &v1::CaseShown| case.feedback.iter().filter(|one| one.lists_told).count();
    until(&service, WITH_CLAUSE, |case| told(case) == 2).await;
    until_to_be_told(&service, 1).await;

    let mut procedures = service.procedures().await;
    let done = procedures.record_service(served(&due[0])).await;
    done.expect("served");
    assert!(to_be_told(&service).await.is_empty());
    // The tables of cases made anew tell nothing twice.
    service.stop();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.join(format!("cases/cases.sqlite{suffix}")));
    }
    let service = killed(start(dir), dir);
    until(&service, WITH_CLAUSE, |case| told(case) == 2).await;
    assert!(to_be_told(&service).await.is_empty());
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_related_to_the_listed_one_is_told_of_what_fell_on_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = begun(dir.path());
    let (person, firm) = (invented::person(7), invented::uscc(90_220));
    let related = v1::RelatedSubject {
        role: "legal_representative".to_owned(),
        id_type: "ID18".to_owned(),
        id: person.clone(),
        ..v1::RelatedSubject::default()
    };
    let listed = v1::Entry {
        related: vec![related],
        name: "示例欠薪劳务有限公司".to_owned(),
        designated_by: "示例市人社局".to_owned(),
        reason: "拖欠工资".to_owned(),
        ..land::entry("E-ARREARS", firm.clone(), "B04", "2026-11-01")
    };
    apply(&service, put(listed)).await;
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
    let verdict = check(&service, event).await;
    let held = until(&service, "PERMIT-1", |case| !case.measures.is_empty()).await;
    let measure = &held.measures[0];
    assert_eq!(measure.verdict_subject, 1, "the person");
    let feedback = v1::Feedback {
        measure_id: measure.measure_id.clone(),
        subject: 1,
        implementer: String::new(),
        reason: "审查后认为应当限制".to_owned(),
        document_no: "示例决〔2026〕9号".to_owned(),
        ..land::feedback(&verdict.verdict_id)
    };
    report(&service, &feedback).await.expect("reported");
    let due = until_to_be_told(&service, 1).await;
    assert_eq!(due[0].verdict_subject, Some(1));
    let mut procedures = service.procedures().await;
    let rendered = procedures.render_notice(v1::RenderNoticeRequest {
        notice: NOTICE.to_owned(),
        entry_id: due[0].entry_id.clone(),
        verdict_id: due[0].verdict_id.clone(),
        measure_id: due[0].measure_id.clone(),
        ..v1::RenderNoticeRequest::default()
    });
    let text = rendered.await.expect("a text").into_inner().text;
    for part in [
        &format!("\n某甲（{person}）：\n"),
        "\n因以你（单位）为法定代表人的示例欠薪劳务有限公司被示例市人社局列入",
        "\n决定理由：审查后认为应当限制（示例决〔2026〕9号）\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(&firm), "{text}");
    let service_of = procedures.record_service(served(&due[0])).await;
    service_of.expect("served");
    assert!(to_be_told(&service).await.is_empty());
    service.stop();
}

/// A step of an inspection in Shanghai.
fn inspection(case_id: &str, stage: &str) -> v1::Event {
    let mut event = land::event(case_id, stage);
    event.source = "inspection".to_owned();
    event.scenario = "inspection".to_owned();
    event.region = "310000".to_owned();
    event.subjects[0].role = "applicant".to_owned();
    event
}

fn found(id: &str, verdict_id: &str, result: &str, list: &str) -> v1::Feedback {
    v1::Feedback {
        feedback_id: id.to_owned(),
        measure_id: String::new(),
        status: String::new(),
        implementer: String::new(),
        reason: match result {
            "passed" => String::new(),
            _ => "安全通道堵塞".to_owned(),
        },
        document_no: "示例检〔2026〕1号".to_owned(),
        inspection: Some(v1::InspectionResult {
            item: "消防安全".to_owned(),
            result: result.to_owned(),
            attention_list: list.to_owned(),
        }),
        ..land::feedback(verdict_id)
    }
}

/// What inspections of the bidder found, as it is known of the bidder, with the entries that they propose.
async fn known(service: &Service) -> Vec<(String, String)> {
    let asked = v1::GetSubjectRequest {
        subject: Some(v1::SubjectQuery {
            id_type: "USCC".to_owned(),
            id: land::bidder(),
            ..v1::SubjectQuery::default()
        }),
        ..v1::GetSubjectRequest::default()
    };
    let shown = service.identity().await.get_subject(asked).await;
    let timeline = shown.expect("the subject").into_inner().timeline;
    let inspections = timeline
        .into_iter()
        .filter(|moment| moment.action.starts_with("inspection:"));
    inspections
        .map(|moment| (moment.action, moment.entry_id))
        .collect()
}

async fn until_known(service: &Service, count: usize) -> Vec<(String, String)> {
    for _ in 0..1_500 {
        let known = known(service).await;
        if known.len() == count {
            return known;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{:?}\n{}", known(service).await, service.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_is_recorded_of_its_subject_and_proposes_at_most_an_entry() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut service = begun(dir);
    let verdict = check(&service, inspection("INSPECT-1", "inspect")).await;
    let before = verdict.outcome.clone();

    let id = &verdict.verdict_id;
    for (feedback, field) in [
        (found("I-0", id, "fine", ""), "inspection.result"),
        (
            found("I-0", id, "failed", "B03"),
            "inspection.attention_list",
        ),
        (
            found("I-0", id, "failed", "X99"),
            "inspection.attention_list",
        ),
        (
            found("I-0", id, "passed", "A01"),
            "inspection.attention_list",
        ),
    ] {
        let refused = report(&service, &feedback).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert!(refused.message().contains(field), "{refused:?}");
    }
    let failed = found("I-1", id, "failed", "A01");
    report(&service, &failed).await.expect("reported");
    service = killed(service, dir);
    let recorded = until_known(&service, 1).await;
    assert_eq!(recorded[0].0, "inspection:failed");
    let entry_id = recorded[0].1.clone();

    let asked = v1::GetEntryRequest {
        entry_id,
        with_history: true,
        ..v1::GetEntryRequest::default()
    };
    let shown = service.lists().await.get_entry(asked).await;
    let record = shown.expect("the entry").into_inner().entry.expect("it");
    let proposed = record.entry.expect("an entry");
    assert_eq!(
        (proposed.list.as_str(), proposed.state.as_str()),
        ("A01", "PROPOSED")
    );
    assert_eq!(proposed.designated_by, "示例市自然资源局");
    assert_eq!(proposed.reason, "消防安全：安全通道堵塞");
    assert_eq!(record.history.len(), 1, "proposed once");
    assert_eq!(record.history[0].document_no, "示例检〔2026〕1号");

    // It decides nothing by itself.
    let mut again = inspection("INSPECT-1", "inspect");
    again.id = "INSPECT-1-again".to_owned();
    let after = check(&service, again).await;
    assert_eq!(after.outcome, before);
    assert_eq!(after.result_code, verdict.result_code);

    // A passed one is known of the subject too; told again, each is known once.
    let passed = found("I-2", &after.verdict_id, "passed", "");
    let reported = report(&service, &passed).await.expect("reported");
    assert!(!reported.repeated);
    let body = serde_json::to_string(&passed).expect("JSON");
    let again = service.post("/v1/feedback", &body).expect("an answer");
    assert!(again.contains(r#""repeated":true"#), "{again}");
    until_known(&service, 2).await;
    service = killed(service, dir);
    let recorded = until_known(&service, 2).await;
    assert_eq!(recorded[1], ("inspection:passed".to_owned(), String::new()));
    let shown = run(
        &["cases", "show", "INSPECT-1", "--server", &server(&service)],
        "",
    );
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for part in ["消防安全", "检查不合格", "检查合格"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn rewards_are_counted_beside_penalties_and_an_id_is_one_among_all_cases() {
    let dir = tempfile::tempdir().expect("a directory");
    let service = begun(dir.path());
    let honour = v1::Entry {
        severity: String::new(),
        ..land::entry("E-HONOUR", land::bidder(), "G01", "2026-03-01")
    };
    apply(&service, put(honour)).await;
    let mut verdicts = Vec::new();
    for case_id in ["REWARD-1", "REWARD-2"] {
        verdicts.push(check(&service, inspection(case_id, "draw")).await);
    }
    let offered = &verdicts[0].subjects[0].offered;
    let ids: Vec<_> = offered
        .iter()
        .filter_map(|one| Some(one.measure.as_ref()?.id.as_str()))
        .collect();
    assert_eq!(ids, ["R06"], "{:#?}", verdicts[0]);
    let granted = |id: &str, at: usize, status: &str| v1::Feedback {
        feedback_id: id.to_owned(),
        measure_id: "R06".to_owned(),
        status: status.to_owned(),
        reason: "按守信主体减少抽查".to_owned(),
        implementer: String::new(),
        ..land::feedback(&verdicts[at].verdict_id)
    };
    let first = granted("R-1", 0, "executed");
    report(&service, &first).await.expect("reported");
    let elsewhere = report(&service, &granted("R-1", 1, "executed")).await;
    let elsewhere = elsewhere.expect_err("the id of another case's");
    assert_eq!(elsewhere.code(), Code::AlreadyExists, "{elsewhere:?}");
    let other = report(&service, &granted("R-1", 0, "partly")).await;
    assert_eq!(
        other.expect_err("other content").code(),
        Code::AlreadyExists
    );
    assert!(report(&service, &first).await.expect("known").repeated);
    report(&service, &granted("R-2", 1, "not_executed"))
        .await
        .expect("reported");

    let shown = case(&service, "REWARD-1").await;
    assert_eq!(shown.rewards[0].measure_id, "R06");
    assert_eq!(shown.feedback[0].about, "incentive");
    let counted = v1::CountMeasuresRequest {
        by: ["direction", "measure", "status"]
            .map(str::to_owned)
            .to_vec(),
        region: "320500".to_owned(),
        ..v1::CountMeasuresRequest::default()
    };
    let mut cases = service.cases().await;
    let counts = cases.count_measures(counted).await.expect("counted");
    let counts: Vec<_> = counts
        .into_inner()
        .counts
        .into_iter()
        .map(|count| (count.of.join(" "), count.reports))
        .collect();
    assert_eq!(
        counts,
        [
            ("incentive R06 executed".to_owned(), 1),
            ("incentive R06 not_executed".to_owned(), 1)
        ]
    );
    let to = dir.path().join("奖惩案例.csv");
    let path = to.display().to_string();
    let asked = [
        "cases",
        "count",
        "--by",
        "direction,measure",
        "--out",
        &path,
    ];
    let written = run(&[&asked[..], &["--server", &server(&service)]].concat(), "");
    assert!(written.status.success(), "{written:?}");
    let text = std::fs::read_to_string(to).expect("the file");
    assert!(text.contains("激励,R06,1"), "{text}");
    assert!(to_be_told(&service).await.is_empty());
    service.stop();
}
