//! Facts about snapshots.
