//! The gate: check, batch, stream, replay, over gRPC.
//!
//! The way of one check stands in [`check`]: admitted, decoded, known or first, lists reached,
//! judged, kept, answered. INVARIANT (durable first): no verdict leaves this crate before its
//! record is durable. [`records`] holds what was recorded and finds it again.

mod admission;
mod batch;
mod check;
mod content;
mod failure;
mod gate;
mod persist;
mod records;
mod replay;
mod service;
mod stream;
mod tally;
mod watch;

#[cfg(test)]
mod tests;

pub use failure::Failure;
pub use gate::{COMPONENT, Error, Gate, Limits, Options};
pub use records::Error as RecordsError;
