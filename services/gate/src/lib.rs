//! The gate: check, batch, stream, replay, over gRPC.
//!
//! The way of one check stands in [`check`]: admitted, decoded, known or first, lists reached,
//! judged, kept, answered; that of a case judged again in [`review`]. INVARIANT (durable first): no verdict leaves this crate before its
//! record is durable. [`records`] holds what was recorded and finds it again.

mod admission;
mod batch;
mod case_state;
mod check;
mod content;
mod failure;
mod final_check;
mod gate;
mod judge;
mod lag;
mod outbox;
mod persist;
mod records;
mod replay;
mod review;
mod service;
mod shadow;
mod simulate;
mod stream;
mod tally;
mod turn_away;
mod watch;

#[cfg(test)]
mod tests;

pub use case_state::COMPONENT as CASE_STATE_COMPONENT;
pub use failure::Failure;
pub use gate::{COMPONENT, Error, Gate, Limits, OnKafka, Options};
pub use judge::{Held, Waiting};
pub use records::Error as RecordsError;
pub use replay::{Error as ReplayError, replay, verdict_record};
pub use simulate::{Error as SimulationError, Progress, Samples, Scope};
pub use turn_away::TurnAway;
