//! Lists in pages: how many, from where on, and the token for the next.

use tonic::Status;

use crate::service::invalid;

const DEFAULT: u32 = 100;
const MAX: u32 = 1_000;

/// How many stand on a page.
pub(crate) fn size(asked: u32) -> Result<usize, Status> {
    match asked {
        0 => Ok(DEFAULT as usize),
        size if size <= MAX => Ok(size as usize),
        _ => Err(invalid("page_size", "at most 1000")),
    }
}

/// The place that a token names: three texts, of which this reads what it needs. None: the beginning.
pub(crate) fn place<T>(
    token: &str,
    read: impl FnOnce(&str, &str, &str) -> Option<T>,
) -> Result<Option<T>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let mut parts = token.splitn(3, '\t');
    let parts = (parts.next(), parts.next(), parts.next());
    let read = match parts {
        (Some(first), Some(second), Some(third)) => read(first, second, third),
        _ => None,
    };
    let unknown = || invalid("page_token", "is none that this service gave");
    read.map(Some).ok_or_else(unknown)
}

/// A page of what was found, which is one more where there are more, and the token for the next page;
/// empty: this is the last.
pub(crate) fn cut<T>(
    mut found: Vec<T>,
    size: usize,
    token: impl FnOnce(&T) -> String,
) -> (Vec<T>, String) {
    let more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| more);
    let next = last.map(token).unwrap_or_default();
    (found, next)
}
