//! What only the whole shows: the binary as its users meet it.
