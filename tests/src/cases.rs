//! What a service tells of its cases: asked for, and waited for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_proto::v1::apply_request::Change;
use tonic::{Code, Status};

use crate::Service;

/// Longest time for a review on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// The verdict of an event that is checked over gRPC.
pub async fn check(service: &Service, event: v1::Event) -> v1::Verdict {
    let event = Some(event);
    let mut gate = service.gate().await;
    let answer = gate.check(v1::CheckRequest { event }).await;
    let answer = answer.expect("an answer").into_inner();
    answer.verdict.expect("a verdict")
}

/// A change of the lists; gives its number.
pub async fn apply(service: &Service, change: Change) -> u64 {
    let change = Some(change);
    let mut lists = service.lists().await;
    let applied = lists.apply(v1::ApplyRequest { change }).await;
    let version = applied.expect("applied").into_inner().list_version;
    let (_, seq) = version.split_once(':').expect("a version");
    seq.parse().expect("a number")
}

async fn asked(service: &Service, case_id: &str) -> Result<v1::CaseShown, Status> {
    let mut cases = service.cases().await;
    let case_id = case_id.to_owned();
    let shown = cases.get_case(v1::GetCaseRequest { case_id }).await?;
    Ok(shown.into_inner().case.expect("it"))
}

/// A case with everything that happened in it.
pub async fn case(service: &Service, case_id: &str) -> v1::CaseShown {
    asked(service, case_id).await.expect("a case")
}

/// Waits until a case is as it should be; it may have to come up first, and its service to lead.
///
/// # Panics
/// When it is not so in time; with what the service has logged.
pub async fn until(
    service: &Service,
    case_id: &str,
    wanted: impl Fn(&v1::CaseShown) -> bool,
) -> v1::CaseShown {
    const NOT_YET: [Code; 3] = [Code::NotFound, Code::FailedPrecondition, Code::Unavailable];
    let begun = Instant::now();
    loop {
        let shown = asked(service, case_id).await;
        match &shown {
            Ok(case) if wanted(case) => return case.clone(),
            Ok(_) => {}
            Err(status) => assert!(NOT_YET.contains(&status.code()), "{case_id}: {status:?}"),
        }
        assert!(
            begun.elapsed() < WITHIN,
            "{case_id}: {shown:#?}\n{}",
            service.logged()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The verdict that came last.
#[must_use]
pub fn latest(case: &v1::CaseShown) -> &v1::CaseVerdict {
    case.verdicts.last().expect("a verdict")
}

/// The lift orders in a state.
pub async fn orders(service: &Service, state: &str) -> Vec<v1::LiftOrder> {
    let mut cases = service.cases().await;
    let asked = v1::ListLiftOrdersRequest {
        state: state.to_owned(),
        ..v1::ListLiftOrdersRequest::default()
    };
    let shown = cases.list_lift_orders(asked).await;
    shown.expect("orders").into_inner().orders
}

/// Every case as the service shows it, without what moves with the time.
pub async fn everything(service: &Service) -> BTreeMap<String, v1::CaseShown> {
    let mut cases = service.cases().await;
    let mut all = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let asked = v1::ListCasesRequest {
            page_size: 7,
            page_token,
            ..v1::ListCasesRequest::default()
        };
        let page = cases.list_cases(asked).await.expect("cases").into_inner();
        for found in page.cases {
            let mut shown = case(service, &found.case_id).await;
            shown.orders.iter_mut().for_each(|order| order.age_ms = 0);
            all.insert(found.case_id, shown);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

/// Waits until nothing is left to review.
///
/// # Panics
/// When something is left after a long time.
pub async fn reviewed(service: &Service) {
    let begun = Instant::now();
    loop {
        let mut cases = service.cases().await;
        let asked = cases.get_review_progress(v1::GetReviewProgressRequest {});
        let progress = asked.await.expect("progress").into_inner();
        if progress.waiting == 0 && progress.reviewed_to == progress.list_version {
            return;
        }
        assert!(begun.elapsed() < WITHIN, "{progress:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The notices that tell of measures carried out and wait to be served.
pub async fn to_be_told(service: &Service) -> Vec<v1::DueItem> {
    let mut procedures = service.procedures().await;
    let asked = v1::ListDueRequest {
        kinds: vec!["notice".to_owned()],
        page_size: 1_000,
        ..v1::ListDueRequest::default()
    };
    let due = procedures.due(asked).await.expect("what is due");
    let due = due.into_inner().due.into_iter();
    due.filter(|due| !due.measure_id.is_empty()).collect()
}

/// Waits until so many notices wait that tell of measures carried out.
///
/// # Panics
/// When they are not as many in time; with what the service has logged.
pub async fn until_to_be_told(service: &Service, count: usize) -> Vec<v1::DueItem> {
    let begun = Instant::now();
    loop {
        let due = to_be_told(service).await;
        if due.len() == count {
            return due;
        }
        assert!(begun.elapsed() < WITHIN, "{due:#?}\n{}", service.logged());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
