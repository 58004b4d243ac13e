//! The decision: an event, lists and measures in, a verdict out.
//!
//! This crate touches nothing: no clock, no I/O, no randomness, no tokio. Modules stand in the
//! order in which an event goes through them.

pub mod time;
pub mod vocabulary;

pub mod event;
pub mod identifier;
pub mod name;

pub mod entry;
pub mod lists;

pub mod book;
pub mod catalogue;
pub mod condition;

pub mod clocks;

pub mod case;
mod decide;
pub mod verdict;

pub mod canonical;

pub use decide::{Because, Found, NotMatched, Question, RowExplained, decide, explain};
