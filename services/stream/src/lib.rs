//! Kafka: events in; verdicts, case state and dead letters out, exactly once.
//!
//! The way of one event stands in [`lane`]: read, decoded, judged, written, committed with its
//! offset, kept. One loop owns one partition, with a transactional producer of its own. What makes
//! a transaction is [`batch`], what an event is made of stands in [`incoming`], how verdicts come into the
//! local copy in [`keeping`], and what gets no verdict becomes a [`letter`](creditgate_runtime::kafka::letter).
//!
//! INVARIANT (all or nothing): a verdict, its case state, the dead letters and the place in the
//! events topic become visible together or not at all; what is not confirmed is done again.

mod batch;
mod incoming;
mod keeping;
mod lane;
mod port;
mod stream;

pub use batch::AGES_UNDER_LOAD;
pub use stream::{COMPONENT, Error, Options, Stream};
