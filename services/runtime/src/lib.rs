//! What every role needs: configuration, telemetry, shutdown, health, callers, journal.

pub mod journal;
