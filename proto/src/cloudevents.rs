//! CloudEvents 1.0 around our events, in both modes: attributes in headers, or all in one JSON.
//!
//! Headers are pairs of texts, so HTTP (`ce-id`) and Kafka (`ce_id`) are the same here; this module
//! knows nothing of either library. `id` and `source` must be the event's own, or fill them when
//! the event leaves them out; so does `time` for `occurred_at`. Batched mode is refused.

use base64::Engine as _;
use prost::Message as _;
use serde::Deserialize;

use crate::json;
use crate::refused::{Refused, Violation};
use crate::v1;

/// The media type of structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";

/// An event that came in a CloudEvent.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudEvent {
    /// The event, with `min_list_version` taken from the extension `minlistversion`.
    pub event: v1::Event,
    /// W3C trace context, as it came.
    pub traceparent: Option<String>,
    /// W3C trace state, as it came.
    pub tracestate: Option<String>,
}

/// Reads a CloudEvent from headers and a body; the content type says which mode it is.
///
/// # Errors
/// What is wrong and where; never with a value of the event.
pub fn from_message<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> Result<CloudEvent, Refused> {
    let headers = Headers::read(headers)?;
    let media = media_type(&headers.content_type);
    if media == STRUCTURED {
        structured(headers, body)
    } else if media.starts_with("application/cloudevents") {
        Err(Refused::one(
            "content-type",
            format!("expected `{STRUCTURED}`, or binary mode"),
        ))
    } else {
        binary(headers, &media, body)
    }
}

/// The attributes we read, wherever they stand.
#[derive(Debug, Default, Deserialize)]
struct Attributes {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time: Option<String>,
    minlistversion: Option<VersionText>,
    traceparent: Option<String>,
    tracestate: Option<String>,
}

/// A list version; one that is a bare sequence number may come as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum VersionText {
    Text(String),
    Seq(u64),
}

/// A structured message. Extensions we do not know are let through, as the format asks.
#[derive(Debug, Default, Deserialize)]
struct Envelope {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time: Option<String>,
    minlistversion: Option<VersionText>,
    traceparent: Option<String>,
    tracestate: Option<String>,
    datacontenttype: Option<String>,
    data: Option<v1::Event>,
    data_base64: Option<String>,
}

#[derive(Debug, Default)]
struct Headers {
    content_type: String,
    attributes: Attributes,
    /// Trace context outside the CloudEvent, which counts when the event has none of its own.
    traceparent: Option<String>,
    tracestate: Option<String>,
}

impl Headers {
    fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Refused> {
        let mut headers = Self::default();
        for (name, value) in pairs {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "content-type" => headers.content_type = value.to_owned(),
                "traceparent" => headers.traceparent = Some(value.to_owned()),
                "tracestate" => headers.tracestate = Some(value.to_owned()),
                _ => {}
            }
            // HTTP carries other characters than ASCII percent-encoded, Kafka as they are.
            let (attribute, value) = if let Some(attribute) = name.strip_prefix("ce-") {
                (attribute, percent_decoded(attribute, value)?)
            } else if let Some(attribute) = name.strip_prefix("ce_") {
                (attribute, value.to_owned())
            } else {
                continue;
            };
            let a = &mut headers.attributes;
            match attribute {
                "specversion" => a.specversion = Some(value),
                "id" => a.id = Some(value),
                "source" => a.source = Some(value),
                "type" => a.kind = Some(value),
                "time" => a.time = Some(value),
                "minlistversion" => a.minlistversion = Some(VersionText::Text(value)),
                "traceparent" => a.traceparent = Some(value),
                "tracestate" => a.tracestate = Some(value),
                _ => {}
            }
        }
        Ok(headers)
    }
}

fn binary(headers: Headers, media: &str, body: &[u8]) -> Result<CloudEvent, Refused> {
    let event = event_of(media, "content-type", body)?;
    joined(
        event,
        headers.attributes,
        headers.traceparent,
        headers.tracestate,
        "ce-",
    )
}

fn structured(headers: Headers, body: &[u8]) -> Result<CloudEvent, Refused> {
    let envelope: Envelope = json::from_json(body)?;
    let event = match (envelope.data, envelope.data_base64) {
        (Some(_), Some(_)) => {
            return Err(Refused::one(
                "data_base64",
                "stands beside `data`; one of them must go",
            ));
        }
        (None, None) => return Err(Refused::one("data", "required: the event")),
        (Some(event), None) => {
            let media = media_type(envelope.datacontenttype.as_deref().unwrap_or_default());
            if !is_json(&media) {
                let rule = "`data` is JSON: expected `application/json`, or use `data_base64`";
                return Err(Refused::one("datacontenttype", rule));
            }
            event
        }
        (None, Some(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|_| Refused::one("data_base64", "not base64"))?;
            let media = media_type(envelope.datacontenttype.as_deref().unwrap_or_default());
            event_of(&media, "datacontenttype", &bytes)?
        }
    };
    let attributes = Attributes {
        specversion: envelope.specversion,
        id: envelope.id,
        source: envelope.source,
        kind: envelope.kind,
        time: envelope.time,
        minlistversion: envelope.minlistversion,
        traceparent: envelope.traceparent,
        tracestate: envelope.tracestate,
    };
    joined(
        event,
        attributes,
        headers.traceparent,
        headers.tracestate,
        "",
    )
}

/// The event of a payload in JSON or protobuf.
fn event_of(media: &str, at: &str, bytes: &[u8]) -> Result<v1::Event, Refused> {
    if is_json(media) {
        return json::event_from_json(bytes);
    }
    if matches!(media, "application/protobuf" | "application/x-protobuf") {
        return event_from_protobuf(bytes);
    }
    Err(Refused::one(
        at,
        "expected `application/json` or `application/protobuf`",
    ))
}

/// An event from protobuf bytes.
///
/// # Errors
/// When they are not an event.
pub fn event_from_protobuf(bytes: &[u8]) -> Result<v1::Event, Refused> {
    v1::Event::decode(bytes)
        .map_err(|_| Refused::one("body", "not a protobuf message `creditgate.v1.Event`"))
}

/// The event with the CloudEvent's attributes checked against it and filled in.
fn joined(
    mut event: v1::Event,
    attributes: Attributes,
    traceparent: Option<String>,
    tracestate: Option<String>,
    prefix: &str,
) -> Result<CloudEvent, Refused> {
    let mut violations = Vec::new();
    let v = &mut violations;
    match attributes.specversion.as_deref() {
        Some("1.0") => {}
        Some(_) => v.push(at(prefix, "specversion", "expected `1.0`")),
        None => v.push(at(prefix, "specversion", "required: `1.0`")),
    }
    if attributes.kind.is_none_or(|kind| kind.is_empty()) {
        v.push(at(prefix, "type", "required"));
    }
    agree(v, prefix, "id", attributes.id, &mut event.id);
    agree(v, prefix, "source", attributes.source, &mut event.source);
    if event.occurred_at.is_none()
        && let Some(time) = attributes.time
    {
        match creditgate_measures::time::Time::parse(&time) {
            Ok(time) => event.occurred_at = Some(crate::encode::time_to_proto(time)),
            Err(_) => v.push(at(
                prefix,
                "time",
                "expected a time of RFC 3339 with an offset",
            )),
        }
    }
    if let Some(version) = attributes.minlistversion {
        let version = match version {
            VersionText::Text(text) => text,
            VersionText::Seq(seq) => seq.to_string(),
        };
        if event.min_list_version.is_empty() {
            event.min_list_version = version;
        } else if event.min_list_version != version {
            v.push(at(
                prefix,
                "minlistversion",
                "is not the event's `min_list_version`",
            ));
        }
    }
    Refused::unless_empty(violations)?;
    Ok(CloudEvent {
        event,
        traceparent: attributes.traceparent.or(traceparent),
        tracestate: attributes.tracestate.or(tracestate),
    })
}

fn agree(
    v: &mut Vec<Violation>,
    prefix: &str,
    name: &'static str,
    outer: Option<String>,
    inner: &mut String,
) {
    match outer {
        None => v.push(at(prefix, name, "required")),
        Some(outer) if outer.is_empty() => v.push(at(prefix, name, "required")),
        Some(outer) if inner.is_empty() => *inner = outer,
        Some(outer) if outer != *inner => {
            v.push(at(
                prefix,
                name,
                &format!("is not the event's own `{name}`"),
            ));
        }
        Some(_) => {}
    }
}

fn at(prefix: &str, name: &str, rule: &str) -> Violation {
    Violation::new(format_args!("{prefix}{name}"), rule)
}

/// JSON is what a payload without a content type is taken for.
fn is_json(media: &str) -> bool {
    media.is_empty()
        || media == "application/json"
        || media.ends_with("+json")
        || media == "text/json"
}

/// The media type without parameters, in lower case.
fn media_type(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn percent_decoded(attribute: &str, value: &str) -> Result<String, Refused> {
    if !value.contains('%') {
        return Ok(value.to_owned());
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        // A per cent sign that begins no escape stands for itself, as the binding asks.
        let mut ahead = rest.clone();
        let escaped = match (byte, ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (b'%', Some(high), Some(low)) => Some(high * 16 + low),
            _ => None,
        };
        if escaped.is_some() {
            rest = ahead;
        }
        bytes.push(escaped.unwrap_or(byte));
    }
    String::from_utf8(bytes).map_err(|_| {
        let at = if crate::refused::is_word(attribute) {
            attribute
        } else {
            "?"
        };
        Refused::one(format_args!("ce-{at}"), "not UTF-8 once percent-decoded")
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// The type of every CloudEvent that holds a verdict. Consumers subscribe to it: it never changes.
pub const VERDICT_TYPE: &str = "cn.creditgate.verdict.v1";
/// Its source; with the verdict's id, which is unique by itself, it names the CloudEvent.
pub const VERDICT_SOURCE: &str = "urn:creditgate:gate";

/// The headers of a verdict as a CloudEvent in binary mode, named as Kafka's binding asks. The id is
/// the verdict's: a verdict that was written twice is recognised by it. The subject is the case, and
/// `outcome` an extension, so that a reader can choose without opening the data.
#[must_use]
pub fn verdict_headers(verdict: &v1::Verdict, media: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", verdict.verdict_id.clone()),
        ("ce_source", VERDICT_SOURCE.to_owned()),
        ("ce_type", VERDICT_TYPE.to_owned()),
        ("ce_outcome", verdict.outcome.clone()),
        ("content-type", media.to_owned()),
    ];
    if !verdict.case_id.is_empty() {
        headers.push(("ce_subject", verdict.case_id.clone()));
    }
    if let Some(at) = verdict
        .evaluated_at
        .as_ref()
        .and_then(crate::encode::time_from_proto)
    {
        headers.push(("ce_time", at.to_string()));
    }
    headers
}
