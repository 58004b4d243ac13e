//! A plain version of the decision, and the fast one held against it on generated input.
//!
//! `CREDITGATE_CASES` says how many events are judged, `CREDITGATE_SEED` replays a printed seed.

mod compare;
mod decide;
mod explained;
mod generate;
