//! What a case is, as a state machine: pure, fed with verdicts and records.
