//! What we write as CloudEvents in binary mode: verdicts and lift orders, as headers for Kafka.

use pbjson_types::Timestamp;

use crate::v1;

/// The type of every CloudEvent that holds a verdict. Consumers subscribe to it: it never changes.
pub const VERDICT_TYPE: &str = "cn.creditgate.verdict.v1";
/// Its source; with the verdict's id, which is unique by itself, it names the CloudEvent.
pub const VERDICT_SOURCE: &str = "urn:creditgate:gate";

/// The type of every CloudEvent that holds a lift order (解除措施通知). Consumers subscribe to it: it
/// never changes.
pub const LIFT_ORDER_TYPE: &str = "cn.creditgate.lift-order.v1";
/// Its source; with the order's id, which is unique by itself, it names the CloudEvent.
pub const CASES_SOURCE: &str = "urn:creditgate:cases";

/// The headers of a verdict as a CloudEvent in binary mode, named as Kafka's binding asks. The id is
/// the verdict's: a verdict that was written twice is recognised by it. The subject is the case, and
/// `outcome` an extension, so that a reader can choose without opening the data.
#[must_use]
pub fn verdict_headers(verdict: &v1::Verdict, media: &str) -> Vec<(&'static str, String)> {
    let mut headers = headers(&Attributes {
        id: &verdict.verdict_id,
        source: VERDICT_SOURCE,
        kind: VERDICT_TYPE,
        case_id: &verdict.case_id,
        at: verdict.evaluated_at.as_ref(),
        media,
    });
    headers.push(("ce_outcome", verdict.outcome.clone()));
    headers
}

/// The headers of a lift order of this case, as those of a verdict. The id is the order's, so that an
/// order is recognised however often it comes; that of one that was called off has its state behind it.
/// The time is that at which the order was given.
#[must_use]
pub fn lift_order_headers(
    case_id: &str,
    order: &v1::LiftOrder,
    media: &str,
) -> Vec<(&'static str, String)> {
    let called_off = format!("{}.{}", order.order_id, order.state);
    headers(&Attributes {
        id: match order.state.as_str() {
            "open" => &order.order_id,
            _ => &called_off,
        },
        source: CASES_SOURCE,
        kind: LIFT_ORDER_TYPE,
        case_id,
        at: order.ordered_at.as_ref(),
        media,
    })
}

struct Attributes<'a> {
    id: &'a str,
    source: &'static str,
    kind: &'static str,
    case_id: &'a str,
    at: Option<&'a Timestamp>,
    media: &'a str,
}

fn headers(attributes: &Attributes<'_>) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", attributes.id.to_owned()),
        ("ce_source", attributes.source.to_owned()),
        ("ce_type", attributes.kind.to_owned()),
        ("content-type", attributes.media.to_owned()),
    ];
    if !attributes.case_id.is_empty() {
        headers.push(("ce_subject", attributes.case_id.to_owned()));
    }
    if let Some(at) = attributes.at.and_then(crate::encode::time_from_proto) {
        headers.push(("ce_time", at.to_string()));
    }
    headers
}
