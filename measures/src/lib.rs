//! The decision: an event, lists and measures in, a verdict out; no clock, no I/O, no tokio.

pub mod condition;
