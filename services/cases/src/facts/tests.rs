//! Records read.
