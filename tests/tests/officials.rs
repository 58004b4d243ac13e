//! What officials do with cases over gRPC and the command line: closed with a reason that stands, confirmed with a notice
//! also where nobody is listed, and found without support by the change that took it away.

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::cases::{apply, case, check, until};
use creditgate_tests::land::{self, WITH_CLAUSE};
use creditgate_tests::{Service, import_entries, run};
use tonic::{Code, Status};

/// A service with the demonstration's lists, and with these arguments.
fn start(more: &[&str]) -> (tempfile::TempDir, Service) {
    let dir = tempfile::tempdir().expect("a directory");
    let service = Service::start_with(dir.path(), more);
    import_entries(&service);
    (dir, service)
}

fn text(text: &str) -> pbjson_types::Value {
    pbjson_types::Value {
        kind: Some(pbjson_types::value::Kind::StringValue(text.to_owned())),
    }
}

async fn close(
    service: &Service,
    reason: &str,
    document_no: &str,
) -> Result<v1::CaseShown, Status> {
    let asked = v1::CloseCaseRequest {
        case_id: WITH_CLAUSE.to_owned(),
        reason: reason.to_owned(),
        document_no: document_no.to_owned(),
    };
    let closed = service.cases().await.close_case(asked).await?;
    Ok(closed.into_inner().case.expect("it"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_tells_how_it_was_closed_and_is_not_closed_otherwise() {
    let (_dir, service) = start(&[]);
    check(&service, land::event(WITH_CLAUSE, "register")).await;
    let closed = close(&service, "竞买人撤回申请", "撤〔2026〕1号").await;
    let closing = v1::CaseClosing {
        reason: "竞买人撤回申请".to_owned(),
        document_no: "撤〔2026〕1号".to_owned(),
        caller: "local".to_owned(),
    };
    let closed = closed.expect("closed");
    assert_eq!(closed.closing, Some(closing.clone()));
    let same = close(&service, "竞买人撤回申请", "撤〔2026〕1号").await;
    assert_eq!(same.expect("known").closed_at, closed.closed_at);
    for (reason, document_no) in [("重复登记", "撤〔2026〕1号"), ("竞买人撤回申请", "")]
    {
        let refused = close(&service, reason, document_no).await;
        let refused = refused.expect_err("it was closed otherwise");
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        let tells = refused.message();
        assert!(tells.starts_with("closed already on 20"), "{tells}");
        assert!(tells.contains("撤〔2026〕1号"), "{tells}");
        assert!(!tells.contains("竞买人撤回申请"), "{tells}");
    }
    let server = format!("http://{}", service.grpc);
    let shown = run(&["cases", "show", WITH_CLAUSE, "--server", &server], "");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for part in [
        "办结理由 竞买人撤回申请",
        "办结文书 撤〔2026〕1号",
        "办结人 local",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    // What happens later in it opens it again.
    check(&service, land::event(WITH_CLAUSE, "apply")).await;
    let open = until(&service, WITH_CLAUSE, |case| case.state == "open").await;
    assert_eq!(open.closing, None);
    service.stop();
}

/// A case in which a measure waits for an official; gives its key. Nobody is listed: the tender document asks for a
/// report, and a natural person's business waits for an official.
async fn proposed(service: &Service, case_id: &str, bidder: &str) -> String {
    let mut event = land::event(case_id, "bid");
    event.scenario = "tender".to_owned();
    event.amount_fen = Some(300_000_000);
    event.subjects[0] = v1::Subject {
        role: "bidder".to_owned(),
        id_type: "USCC".to_owned(),
        id: bidder.to_owned(),
        name: "示例个体商行".to_owned(),
        kind: "individual_business".to_owned(),
        ..v1::Subject::default()
    };
    for (name, value) in [
        ("notice_no", "演示招〔2026〕1号"),
        ("notice_clause", "3.4"),
        ("notice_published_at", "2026-05-06"),
    ] {
        event.attributes.insert(name.to_owned(), text(value));
    }
    check(service, event).await;
    let held = until(service, case_id, |case| !case.measures.is_empty()).await;
    let report = held.measures.iter().find(|m| m.measure_id == "M68");
    let report = report.unwrap_or_else(|| panic!("a report is asked for: {held:#?}"));
    assert_eq!(
        (report.state.as_str(), report.entry_ids.len()),
        ("proposed", 0)
    );
    report.key.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_measure_that_rests_on_its_row_alone_has_a_notice() {
    const CASE: &str = "TENDER-1";
    let (_dir, service) = start(&["--confirmations", &land::confirmations()]);
    let bidder = invented::individual_business(90_230);
    let key = proposed(&service, CASE, &bidder).await;
    let mut cases = service.cases().await;
    let claimed = cases.claim_proposal(v1::ClaimProposalRequest {
        case_id: CASE.to_owned(),
        key: key.clone(),
        by: "示例招标人".to_owned(),
        release: false,
    });
    claimed.await.expect("claimed");
    let decided = cases.decide_proposal(v1::DecideProposalRequest {
        case_id: CASE.to_owned(),
        key: key.clone(),
        decision: "confirm".to_owned(),
        by: "示例招标人".to_owned(),
        reason: "金额超过二百万元".to_owned(),
        document_no: "示例决〔2026〕8号".to_owned(),
    });
    let notice = decided.await.expect("confirmed").into_inner().notice;
    for part in [
        &format!("示例个体商行（{bidder}）："),
        "措施：要求提交第三方信用报告",
        "措施依据：《本项目的招标公告或者招标文件》文件载明的信用条款",
        "决定理由：金额超过二百万元（示例决〔2026〕8号）",
        "救济途径：可按公告或者招标文件载明的方式提出异议",
        "不以名单记录为依据",
    ] {
        assert!(notice.contains(part), "{part}: {notice}");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lost_its_support_is_told_by_the_change_that_took_it() {
    let (_dir, service) = start(&[]);
    let withdrawn = v1::ConfirmMeasureRequest {
        measure_id: "M13a".to_owned(),
        document: "演示自然资〔2026〕1号".to_owned(),
        confirmed_by: "演示市自然资源局".to_owned(),
        withdraw: true,
        ..v1::ConfirmMeasureRequest::default()
    };
    let confirmed = v1::ConfirmMeasureRequest {
        published_at: "2026-03-01".to_owned(),
        published_in: "演示公报".to_owned(),
        effective_from: "2026-04-01".to_owned(),
        withdraw: false,
        ..withdrawn.clone()
    };
    let mut books = service.books().await;
    books.confirm(confirmed).await.expect("confirmed");
    apply(&service, land::listed()).await;
    check(&service, land::event(WITH_CLAUSE, "deal")).await;
    let barred = until(&service, WITH_CLAUSE, |case| !case.measures.is_empty()).await;
    let bar = barred.measures.iter().find(|m| m.measure_id == "M13a");
    let bar = bar.unwrap_or_else(|| panic!("the deal is barred: {barred:#?}"));
    assert_eq!(bar.state, "in_effect");
    let key = bar.key.clone();

    // Nobody asks for a review by the other book, and then an official looks at the case.
    let without = books.confirm(withdrawn).await.expect("taken back");
    let book = without.into_inner().book.expect("a book").version;
    let mut cases = service.cases().await;
    let decided = cases.decide_proposal(v1::DecideProposalRequest {
        case_id: WITH_CLAUSE.to_owned(),
        key,
        decision: "reject".to_owned(),
        by: "示例局".to_owned(),
        reason: "复核".to_owned(),
        document_no: String::new(),
    });
    let refused = decided.await.expect_err("nothing is proposed");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    let lifted = case(&service, WITH_CLAUSE).await;
    let of_bar = lifted.orders.iter().filter(|o| o.measure_id == "M13a");
    let causes: Vec<&str> = of_bar.map(|order| order.cause.as_str()).collect();
    let expected = format!("book:{book}");
    assert_eq!(
        causes,
        [expected.as_str(), expected.as_str()],
        "{lifted:#?}"
    );
    service.stop();
}

/// A key of an official's own.
fn key(name: &str, file: &str) -> String {
    let made = run(&["keys", name, "--may", "read,cases", "--file", file], "");
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    told.trim().rsplit(' ').next().expect("the key").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_eyes_are_two_keys_whatever_names_they_give() {
    const CASE: &str = "TENDER-2";
    let (dir, service) = start(&["--confirmations", &land::confirmations()]);
    let measure = proposed(&service, CASE, &invented::individual_business(90_231)).await;
    service.stop();

    let (file, config) = (dir.path().join("keys.yaml"), dir.path().join("four.yaml"));
    let file = file.display().to_string();
    let [one, two] = ["one", "two"].map(|name| key(name, &file));
    std::fs::write(&config, "cases:\n  four_eyes: [all]\n").expect("written");
    let config = config.display().to_string();
    let confirmations = land::confirmations();
    let keys = ["--config", &config, "--keys-file", &file];
    let more = [&keys[..], &["--confirmations", &confirmations]].concat();
    let service = Service::start_with(dir.path(), &more);
    fn with_key<T>(message: T, key: &str) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let value = format!("Bearer {key}").parse().expect("a header");
        request.metadata_mut().insert("authorization", value);
        request
    }
    let claim = async |with: &str, by: &str| {
        let asked = v1::ClaimProposalRequest {
            case_id: CASE.to_owned(),
            key: measure.clone(),
            by: by.to_owned(),
            release: false,
        };
        let mut cases = service.cases().await;
        let claimed = cases.claim_proposal(with_key(asked, with)).await;
        claimed.map(drop).map_err(|status| status.code())
    };
    let confirm = async |with: &str, by: &str| {
        let asked = v1::DecideProposalRequest {
            case_id: CASE.to_owned(),
            key: measure.clone(),
            decision: "confirm".to_owned(),
            by: by.to_owned(),
            reason: "金额超过二百万元".to_owned(),
            document_no: "示例决〔2026〕8号".to_owned(),
        };
        let mut cases = service.cases().await;
        let decided = cases.decide_proposal(with_key(asked, with)).await;
        let decided = decided.map_err(|status| status.code())?.into_inner();
        Ok::<_, Code>(decided.proposal.and_then(|p| p.measure).expect("it").state)
    };
    let refused = Code::FailedPrecondition;
    claim(&one, "甲").await.expect("claimed");
    // Nobody else decides under the name of who has it in hand.
    assert_eq!(confirm(&two, "甲").await, Err(refused));
    assert_eq!(confirm(&one, "甲").await.as_deref(), Ok("seconded"));
    assert_eq!(claim(&one, "乙").await, Err(refused));
    claim(&two, "乙").await.expect("claimed");
    assert_eq!(confirm(&one, "乙").await, Err(refused));
    assert_eq!(confirm(&two, "乙").await.as_deref(), Ok("confirmed"));
    service.stop();
}
