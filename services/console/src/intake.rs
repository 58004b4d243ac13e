//! A request's body within its limits, and what ends a request before the gate sees an event.

use axum::body::Body;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use creditgate_proto::Refused;
use creditgate_runtime::metrics::{Metrics, Refusal, Transport};
use futures::StreamExt as _;

use crate::Limits;
use crate::problem::{Kind, Problem};

/// The end of a request that the gate never saw.
///
/// INVARIANT (balance): the gate counts what it is handed, and [`Early::answer`] counts what it is not, so that every
/// check that arrived is counted once.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) reason: Refusal,
    pub(crate) problem: Problem,
}

impl Early {
    pub(crate) fn answer(self, metrics: &Metrics, transport: Transport) -> Response {
        metrics.received(transport).refused(self.reason);
        self.problem.into_response()
    }
}

impl From<Refused> for Early {
    fn from(refused: Refused) -> Self {
        Self {
            reason: Refusal::Invalid,
            problem: Problem::refused(refused),
        }
    }
}

/// The form of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    Json,
    Protobuf,
}

impl Payload {
    /// The media type answers bear.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/protobuf",
        }
    }

    /// By a media type without parameters.
    pub(crate) fn named(media: &str) -> Option<Self> {
        match media {
            "application/json" => Some(Self::Json),
            "application/protobuf" | "application/x-protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }
}

/// The media type of the body without parameters, in lower case; empty when there is none.
pub(crate) fn media_type(head: &Parts) -> String {
    let value = head.headers.get(header::CONTENT_TYPE);
    let text = value.map_or("", |value| value.to_str().unwrap_or("?"));
    let media = text.split(';').next().unwrap_or_default();
    media.trim().to_ascii_lowercase()
}

/// The answer to a media type the route does not take.
pub(crate) fn unsupported(expected: &str) -> Early {
    Early {
        reason: Refusal::Invalid,
        problem: Problem::new(
            Kind::UnsupportedMediaType,
            format!("expected `content-type: {expected}`"),
        ),
    }
}

/// The whole body.
pub(crate) async fn read(limits: &Limits, head: &Parts, body: Body) -> Result<Bytes, Early> {
    let encoded = head.headers.get(header::CONTENT_ENCODING);
    if encoded.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Early {
            reason: Refusal::Invalid,
            problem: Problem::new(
                Kind::UnsupportedMediaType,
                "expected no `content-encoding`: compressed bodies are not read",
            ),
        });
    }
    let announced = head
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced
        .is_some_and(|length| length > u64::try_from(limits.body_bytes_max).unwrap_or(u64::MAX))
    {
        return Err(too_large(limits));
    }
    tokio::time::timeout(limits.body_timeout, gather(limits, body))
        .await
        .unwrap_or_else(|_| {
            let detail = format!(
                "the body took more than {} ms",
                limits.body_timeout.as_millis()
            );
            Err(Early {
                reason: Refusal::Deadline,
                problem: Problem::new(Kind::BodyTimeout, detail),
            })
        })
}

async fn gather(limits: &Limits, body: Body) -> Result<Bytes, Early> {
    let mut chunks = body.into_data_stream();
    let mut gathered = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Early {
            reason: Refusal::Cancelled,
            problem: Problem::new(Kind::InvalidArgument, "the body broke off"),
        })?;
        if gathered.len() + chunk.len() > limits.body_bytes_max {
            return Err(too_large(limits));
        }
        gathered.extend_from_slice(&chunk);
    }
    Ok(gathered.freeze())
}

fn too_large(limits: &Limits) -> Early {
    let detail = format!("a body may have {} bytes", limits.body_bytes_max);
    Early {
        reason: Refusal::TooLarge,
        problem: Problem::new(Kind::TooLarge, detail),
    }
}
