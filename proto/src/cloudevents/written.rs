//! What we write as CloudEvents: verdicts, lift orders and notices, as headers for Kafka in binary mode, or whole
//! in structured mode for webhooks.

use pbjson_types::Timestamp;

use crate::{json, v1};

/// The type of every CloudEvent that holds a verdict. Consumers subscribe to it: it never changes.
pub const VERDICT_TYPE: &str = "cn.creditgate.verdict.v1";
/// Its source; with the verdict's id, which is unique by itself, it names the CloudEvent.
pub const VERDICT_SOURCE: &str = "urn:creditgate:gate";

/// The type of every CloudEvent that holds a lift order (解除措施通知). Consumers subscribe to it: it
/// never changes.
pub const LIFT_ORDER_TYPE: &str = "cn.creditgate.lift-order.v1";
/// The type of every CloudEvent that holds a notice of a case. Consumers subscribe to it: it never changes.
pub const NOTICE_TYPE: &str = "cn.creditgate.case-notice.v1";
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

/// A verdict as one CloudEvent in JSON: the attributes and the data that it has on its topic.
///
/// # Errors
/// When the verdict holds a time that cannot be written, which none of ours does.
pub fn verdict_event(verdict: &v1::Verdict) -> Result<Vec<u8>, serde_json::Error> {
    let data = json::verdict_to_json(verdict)?;
    structured(verdict_headers(verdict, JSON), &data)
}

/// A lift order as one CloudEvent in JSON, as [`verdict_event`].
///
/// # Errors
/// When the order holds a time that cannot be written, which none of ours does.
pub fn lift_order_event(order: &v1::LiftOrder) -> Result<Vec<u8>, serde_json::Error> {
    let data = json::lift_order_to_json(order)?;
    structured(lift_order_headers(&order.case_id, order, JSON), &data)
}

/// A notice of a case as one CloudEvent in JSON, as [`verdict_event`]. The id is the notice's.
///
/// # Errors
/// When the notice holds a time that cannot be written, which none of ours does.
pub fn notice_event(notice: &v1::CaseNotice) -> Result<Vec<u8>, serde_json::Error> {
    let data = serde_json::to_vec(notice)?;
    let attributes = headers(&Attributes {
        id: &notice.notice_id,
        source: CASES_SOURCE,
        kind: NOTICE_TYPE,
        case_id: &notice.case_id,
        at: notice.at.as_ref(),
        media: JSON,
    });
    structured(attributes, &data)
}

const JSON: &str = "application/json";

/// Attributes, named as headers, with their data in one JSON object.
fn structured(
    attributes: Vec<(&'static str, String)>,
    data: &[u8],
) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = b"{".to_vec();
    for (name, value) in attributes {
        let name = name.strip_prefix("ce_").unwrap_or("datacontenttype");
        serde_json::to_writer(&mut text, name)?;
        text.push(b':');
        serde_json::to_writer(&mut text, &value)?;
        text.push(b',');
    }
    text.extend_from_slice(b"\"data\":");
    text.extend_from_slice(data);
    text.push(b'}');
    Ok(text)
}
