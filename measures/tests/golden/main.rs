//! What a verdict must be, worked out by hand from the specification and compared as a whole.
//!
//! `numbered` holds the golden cases of spec 10; the other modules what its text implies.

#[path = "../support/mod.rs"]
mod support;

mod entries;
mod identity;
mod missing;
mod numbered;
mod outcome;
mod rows;
