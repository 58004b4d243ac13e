//! What only the whole shows.
