//! Cases: from the first check of a business number to the last measure that is lifted
//! (specification, 8).
//!
//! What a case is follows from its verdicts and from the records of its own journal; tables are
//! projections that can be thrown away.

pub mod facts;
pub mod state;
