//! The story of two bids for state land, from the registration to the lifted measure: who bids, what becomes of the
//! bidder, and what every service must know of it, however the story reaches it.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_proto::v1::apply_request::Change;
use tonic::Code;

use crate::cases::{case, latest, until};
use crate::{Service, now, root};

/// The notice of this land says that seriously untrustworthy bidders may not bid.
pub const WITH_CLAUSE: &str = "LAND-1";
/// The notice of that one says nothing of the kind.
pub const WITHOUT_CLAUSE: &str = "LAND-2";
/// What lists the bidder.
pub const ENTRY: &str = "E-LAND-STORY";

const NAME: &str = "示例竞买置业有限公司";
const OFFICIAL: &str = "示例市自然资源局 经办人甲";

/// The file that confirms the rows of the story.
#[must_use]
pub fn confirmations() -> String {
    root()
        .join("services/creditgate/demo/confirmations.yaml")
        .display()
        .to_string()
}

/// The identifier of the bidder.
#[must_use]
pub fn bidder() -> String {
    invented::uscc(90_210)
}

/// A step of the bidder's in a case, whose time the service fills in.
#[must_use]
pub fn event(case_id: &str, stage: &str) -> v1::Event {
    let text = |text: &str| pbjson_types::Value {
        kind: Some(pbjson_types::value::Kind::StringValue(text.to_owned())),
    };
    let mut attributes = BTreeMap::new();
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
            id: bidder(),
            name: NAME.to_owned(),
            kind: "enterprise".to_owned(),
            ..v1::Subject::default()
        }],
        attributes,
        ..v1::Event::default()
    }
}

/// An entry for a firm of the bidder's name.
#[must_use]
pub fn entry(entry_id: &str, id: String, list: &str, from: &str) -> v1::Entry {
    v1::Entry {
        entry_id: entry_id.to_owned(),
        list: list.to_owned(),
        id_type: "USCC".to_owned(),
        id,
        name: NAME.to_owned(),
        kind: "enterprise".to_owned(),
        severity: "serious".to_owned(),
        document_no: format!("演示〔2026〕{entry_id}号"),
        served_at: from.to_owned(),
        valid_from: from.to_owned(),
        state: "EFFECTIVE".to_owned(),
        ..v1::Entry::default()
    }
}

/// The bidder is put on the list of serious violations today, and the decision is served.
#[must_use]
pub fn listed() -> Change {
    let today = now().date().to_string();
    Change::Put(v1::PutEntry {
        entry: Some(entry(ENTRY, bidder(), "B03", &today)),
        reason: String::new(),
    })
}

/// The bidder is repaired.
#[must_use]
pub fn repaired() -> Change {
    Change::ChangeState(v1::ChangeState {
        entry_id: ENTRY.to_owned(),
        to: "REPAIRED".to_owned(),
        effective_at: None,
        document_no: "演示修复〔2026〕5号".to_owned(),
        reason: "已履行义务".to_owned(),
    })
}

/// The department reports that it refused the deal that this verdict barred.
#[must_use]
pub fn feedback(verdict_id: &str) -> v1::Feedback {
    v1::Feedback {
        feedback_id: "F-1".to_owned(),
        verdict_id: verdict_id.to_owned(),
        measure_id: "M13a".to_owned(),
        subject: 0,
        status: "executed".to_owned(),
        operator: "经办人乙".to_owned(),
        department: "示例市自然资源局".to_owned(),
        division_code: "320505".to_owned(),
        executed_at: Some(creditgate_proto::encode::time_to_proto(now())),
        implementer: "自然资源主管部门".to_owned(),
        ..v1::Feedback::default()
    }
}

/// A report that says otherwise, under an id of its own or the same.
#[must_use]
pub fn otherwise(feedback: &v1::Feedback, feedback_id: &str) -> v1::Feedback {
    v1::Feedback {
        feedback_id: feedback_id.to_owned(),
        status: "partly".to_owned(),
        reason: "部分".to_owned(),
        ..feedback.clone()
    }
}

/// Both open cases are reviewed once the bidder is listed: where the notice has the clause the deal is barred, where not
/// an official is asked. Gives the id of the verdict that took the place of the registration with the clause.
///
/// # Panics
/// When a case is not so, or not in time.
pub async fn assert_reviewed(service: &Service, cause: &str, registered: &str) -> String {
    let barred = until(service, WITH_CLAUSE, |case| latest(case).cause == cause).await;
    let review = latest(&barred);
    assert_eq!(
        (review.stage.as_str(), review.outcome.as_str()),
        ("deal", "PROHIBIT")
    );
    assert_eq!(review.supersedes, registered);
    assert_eq!(barred.verdicts.len(), 2, "reviewed once: {barred:#?}");
    assert_eq!(
        (barred.state.as_str(), barred.next_stage.as_str()),
        ("open", "deal")
    );
    // The review governs what is to come; the registration stands as it was.
    assert_eq!(barred.verdicts[0].outcome, "PASS");
    assert_eq!(barred.checks.len(), 1);

    let held = until(service, WITHOUT_CLAUSE, |case| latest(case).cause == cause).await;
    assert_eq!(latest(&held).outcome, "MANUAL_REVIEW");
    let proposed: Vec<_> = held
        .measures
        .iter()
        .map(|m| (m.measure_id.as_str(), m.state.as_str()))
        .collect();
    assert_eq!(proposed, [("M12c", "proposed")]);
    review.verdict_id.clone()
}

/// An official takes in hand what is proposed where the notice has no clause.
///
/// # Panics
/// When it cannot be claimed, or not in time.
pub async fn claim(service: &Service) {
    // With its registration, its review and its deal.
    let held = until(service, WITHOUT_CLAUSE, |case| case.verdicts.len() == 3).await;
    let mut cases = service.cases().await;
    let claimed = cases.claim_proposal(v1::ClaimProposalRequest {
        case_id: WITHOUT_CLAUSE.to_owned(),
        key: held.measures[0].key.clone(),
        by: OFFICIAL.to_owned(),
        release: false,
    });
    let claimed = claimed.await.expect("claimed").into_inner();
    let measure = claimed.proposal.expect("it").measure.expect("its measure");
    assert_eq!(
        (measure.state.as_str(), measure.four_eyes),
        ("claimed", false)
    );
}

/// Only the official who claimed it may confirm it, with a document; the notice to the bidder says what it may do.
///
/// # Panics
/// When it cannot be confirmed, or another way than that.
pub async fn confirm(service: &Service) {
    let held = case(service, WITHOUT_CLAUSE).await;
    let decide = |by: &str, document_no: &str| v1::DecideProposalRequest {
        case_id: WITHOUT_CLAUSE.to_owned(),
        key: held.measures[0].key.clone(),
        decision: "confirm".to_owned(),
        by: by.to_owned(),
        reason: "依法限制".to_owned(),
        document_no: document_no.to_owned(),
    };
    const DOCUMENT: &str = "演示决〔2026〕1号";
    let mut cases = service.cases().await;
    let other = cases.decide_proposal(decide("别人", DOCUMENT)).await;
    assert_eq!(
        other.expect_err("not the claimer").code(),
        Code::FailedPrecondition
    );
    let bare = cases.decide_proposal(decide(OFFICIAL, "")).await;
    assert_eq!(bare.expect_err("no document").code(), Code::InvalidArgument);
    let decided = cases.decide_proposal(decide(OFFICIAL, DOCUMENT)).await;
    let decided = decided.expect("confirmed").into_inner();
    for part in [
        "惩戒措施实施告知书",
        "国有土地出让中依法限制或者禁入",
        "企业信息公示暂行条例",
        "决定理由：依法限制（演示决〔2026〕1号）",
        "异议",
    ] {
        assert!(decided.notice.contains(part), "{part}: {}", decided.notice);
    }
    let measure = decided.proposal.expect("it").measure.expect("its measure");
    assert_eq!(measure.state, "confirmed");
}

/// Once the bidder is repaired nothing supports a measure any more, and whoever carries one out gets a lift order. Gives
/// the orders of all cases, which are open.
///
/// # Panics
/// When a case is not so, or not in time.
pub async fn assert_lifted(service: &Service, cause: &str) -> Vec<v1::LiftOrder> {
    for case_id in [WITH_CLAUSE, WITHOUT_CLAUSE] {
        let case = until(service, case_id, |case| latest(case).cause == cause).await;
        assert_eq!(latest(&case).outcome, "PASS", "{case_id}: {case:#?}");
        let case = until(service, case_id, |case| !case.orders.is_empty()).await;
        assert!(
            case.measures.iter().all(|m| m.state == "unsupported"),
            "{case:#?}"
        );
    }
    let open = crate::cases::orders(service, "open").await;
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
    let ids: BTreeSet<_> = open.iter().map(|order| &order.order_id).collect();
    assert_eq!(ids.len(), open.len(), "no order twice");
    open
}

/// Whoever has to lift a measure says that it is lifted.
///
/// # Panics
/// When the order is not acknowledged then.
pub async fn acknowledge(service: &Service, order: &v1::LiftOrder) {
    let mut cases = service.cases().await;
    let done = cases.acknowledge_lift_order(v1::AcknowledgeLiftOrderRequest {
        order_id: order.order_id.clone(),
        by: order.implementer.clone(),
        document_no: "演示解除〔2026〕1号".to_owned(),
        at: None,
    });
    let done = done.await.expect("acknowledged").into_inner();
    assert_eq!(done.order.expect("it").state, "acknowledged");
}
