//! `POST /v1/feedback`: how a measure was carried out, in JSON or protobuf, and what became of the report.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use creditgate_proto::{Refused, json, v1};
use creditgate_runtime::callers::{Caller, Permission};
use prost::Message as _;

use crate::Options;
use crate::admit::admit;
use crate::check::json_response;
use crate::intake::{self, Early, Payload};
use crate::problem::{Kind, Problem};

pub(crate) async fn feedback(State(options): State<Arc<Options>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (caller, payload, feedback) = match receive(&options, &head, body).await {
        Ok(received) => received,
        // Checks are counted where they are turned away; a report is none.
        Err(early) => return early.problem.into_response(),
    };
    let reported = options.reports.report(feedback, caller);
    match tokio::time::timeout(options.limits.check_timeout, reported).await {
        Ok(Ok(answer)) => match payload {
            Payload::Json => json_response(payload.media_type(), &answer),
            Payload::Protobuf => {
                let content_type = [(header::CONTENT_TYPE, payload.media_type())];
                (content_type, Bytes::from(answer.encode_to_vec())).into_response()
            }
        },
        Ok(Err(status)) => Problem::from(status).into_response(),
        Err(_) => {
            let why = "no answer in time; send the same report again, it is kept once";
            Problem::new(Kind::DeadlineExceeded, why).into_response()
        }
    }
}

async fn receive(
    options: &Options,
    head: &Parts,
    body: Body,
) -> Result<(Caller, Payload, v1::Feedback), Early> {
    let caller = admit(options, head, Permission::Feedback)?;
    let payload = Payload::named(&intake::media_type(head))
        .ok_or_else(|| intake::unsupported("application/json` or `application/protobuf"))?;
    let body = intake::read(&options.limits, head, body).await?;
    let feedback = match payload {
        Payload::Json => json::from_json(&body)?,
        Payload::Protobuf => v1::Feedback::decode(body)
            .map_err(|_| Refused::one("body", "is no message of the type `Feedback`"))?,
    };
    Ok((caller, payload, feedback))
}
