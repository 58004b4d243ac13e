//! A CloudEvent as a record carries it: headers that are text, and a value.

use crate::kafka::letter::{Code, Reason};
use crate::kafka::record::Incoming;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// The headers in order, those of others that are no text left out.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The value.
    pub body: &'a [u8],
}

/// What a record carries.
///
/// # Errors
/// When it has no value, or a header that we would have to read is no text.
pub fn carried(record: &Incoming) -> Result<Carried<'_>, Reason> {
    let Some(body) = &record.payload else {
        return Err(Reason::new(Code::Undecodable, "the record has no value"));
    };
    let headers = headers(record)?;
    Ok(Carried { headers, body })
}

/// Headers as text. One that is not, and that we would have to read, makes the event unreadable;
/// others are somebody else's.
fn headers(record: &Incoming) -> Result<Vec<(&str, &str)>, Reason> {
    let mut headers = Vec::with_capacity(record.headers.len());
    for (name, value) in &record.headers {
        match std::str::from_utf8(value.as_deref().unwrap_or_default()) {
            Ok(value) => headers.push((name.as_str(), value)),
            Err(_) if is_ours(name) => {
                return Err(Reason::new(
                    Code::Undecodable,
                    "a header of the CloudEvent is not UTF-8",
                ));
            }
            Err(_) => {}
        }
    }
    Ok(headers)
}

fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("ce_") || name.starts_with("ce-") || name == "content-type"
}
