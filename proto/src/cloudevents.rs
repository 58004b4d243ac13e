//! CloudEvents 1.0 around our messages, in both modes: attributes in headers, or all in one JSON.
//!
//! Headers are pairs of texts, so HTTP (`ce-id`) and Kafka (`ce_id`) are the same here; this module
//! knows nothing of either library. Of an event, `id` and `source` must be its own, or fill them when
//! it leaves them out; so does `time` for `occurred_at`. How a report comes stands in [`feedback`],
//! what we write ourselves in [`written`]. Batched mode is refused.

use base64::Engine as _;
use prost::Message;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::refused::{Refused, Violation};
use crate::{json, v1};

mod feedback;
mod written;

pub use feedback::{FEEDBACK_TYPE, NotFeedback, feedback_from_message};
pub use written::{
    CASES_SOURCE, LIFT_ORDER_TYPE, NOTICE_TYPE, VERDICT_SOURCE, VERDICT_TYPE, lift_order_event,
    lift_order_headers, notice_event, verdict_event, verdict_headers,
};

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

/// Reads an event from headers and a body; the content type says which mode it is.
///
/// # Errors
/// What is wrong and where; never with a value of the event.
pub fn from_message<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> Result<CloudEvent, Refused> {
    let headers = Headers::read(headers)?;
    match Mode::of(&headers)? {
        Mode::Structured => {
            let Envelope { attributes, data } = structured(body)?;
            joined(data, attributes, headers.trace, "")
        }
        Mode::Binary(media) => {
            let event = payload(&media, "content-type", body)?;
            joined(event, headers.attributes, headers.trace, "ce-")
        }
    }
}

/// What a CloudEvent may hold.
trait Data: Message + Default + DeserializeOwned {
    /// What it is, for whoever left it out.
    const WHAT: &'static str;
    /// Its name in the contract.
    const MESSAGE: &'static str;
}

impl Data for v1::Event {
    const WHAT: &'static str = "event";
    const MESSAGE: &'static str = "creditgate.v1.Event";
}

impl Data for v1::Feedback {
    const WHAT: &'static str = "report";
    const MESSAGE: &'static str = "creditgate.v1.Feedback";
}

/// How a message lies in headers and body.
enum Mode {
    Structured,
    /// With the media type of the body.
    Binary(String),
}

impl Mode {
    fn of(headers: &Headers) -> Result<Self, Refused> {
        let media = media_type(&headers.content_type);
        if media == STRUCTURED {
            Ok(Self::Structured)
        } else if media.starts_with("application/cloudevents") {
            let rule = format!("expected `{STRUCTURED}`, or binary mode");
            Err(Refused::one("content-type", rule))
        } else {
            Ok(Self::Binary(media))
        }
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

/// A structured message as it is written. Extensions we do not know are let through, as the format
/// asks.
#[derive(Debug, Deserialize)]
struct Written<T> {
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
    data: Option<T>,
    data_base64: Option<String>,
}

/// A structured message, read.
struct Envelope<T> {
    attributes: Attributes,
    data: T,
}

/// W3C trace context.
#[derive(Debug, Default)]
struct Trace {
    parent: Option<String>,
    state: Option<String>,
}

#[derive(Debug, Default)]
struct Headers {
    content_type: String,
    attributes: Attributes,
    /// Outside the CloudEvent: it counts when the event has none of its own.
    trace: Trace,
}

impl Headers {
    fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Refused> {
        let mut headers = Self::default();
        for (name, value) in pairs {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "content-type" => headers.content_type = value.to_owned(),
                "traceparent" => headers.trace.parent = Some(value.to_owned()),
                "tracestate" => headers.trace.state = Some(value.to_owned()),
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

fn structured<T: Data>(body: &[u8]) -> Result<Envelope<T>, Refused> {
    let written: Written<T> = json::from_json(body)?;
    let media = media_type(written.datacontenttype.as_deref().unwrap_or_default());
    let data = match (written.data, written.data_base64) {
        (Some(_), Some(_)) => {
            return Err(Refused::one(
                "data_base64",
                "stands beside `data`; one of them must go",
            ));
        }
        (None, None) => {
            return Err(Refused::one("data", format!("required: the {}", T::WHAT)));
        }
        (Some(data), None) => {
            if !is_json(&media) {
                let rule = "`data` is JSON: expected `application/json`, or use `data_base64`";
                return Err(Refused::one("datacontenttype", rule));
            }
            data
        }
        (None, Some(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|_| Refused::one("data_base64", "not base64"))?;
            payload(&media, "datacontenttype", &bytes)?
        }
    };
    let attributes = Attributes {
        specversion: written.specversion,
        id: written.id,
        source: written.source,
        kind: written.kind,
        time: written.time,
        minlistversion: written.minlistversion,
        traceparent: written.traceparent,
        tracestate: written.tracestate,
    };
    Ok(Envelope { attributes, data })
}

/// What a payload in JSON or protobuf holds.
fn payload<T: Data>(media: &str, at: &str, bytes: &[u8]) -> Result<T, Refused> {
    if is_json(media) {
        return json::from_json(bytes);
    }
    if matches!(media, "application/protobuf" | "application/x-protobuf") {
        return from_protobuf(bytes);
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
    from_protobuf(bytes)
}

fn from_protobuf<T: Data>(bytes: &[u8]) -> Result<T, Refused> {
    T::decode(bytes)
        .map_err(|_| Refused::one("body", format!("not a protobuf message `{}`", T::MESSAGE)))
}

/// What makes a message a CloudEvent, whatever it holds; its `id` and `source` are looked at apart.
fn is_cloud_event(v: &mut Vec<Violation>, prefix: &str, attributes: &Attributes) {
    match attributes.specversion.as_deref() {
        Some("1.0") => {}
        Some(_) => v.push(at(prefix, "specversion", "expected `1.0`")),
        None => v.push(at(prefix, "specversion", "required: `1.0`")),
    }
    if attributes.kind.as_deref().is_none_or(str::is_empty) {
        v.push(at(prefix, "type", "required"));
    }
}

/// The event with the CloudEvent's attributes checked against it and filled in.
fn joined(
    mut event: v1::Event,
    attributes: Attributes,
    outer: Trace,
    prefix: &str,
) -> Result<CloudEvent, Refused> {
    let mut violations = Vec::new();
    let v = &mut violations;
    is_cloud_event(v, prefix, &attributes);
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
        traceparent: attributes.traceparent.or(outer.parent),
        tracestate: attributes.tracestate.or(outer.state),
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
