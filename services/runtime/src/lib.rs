//! What every role needs: configuration, telemetry, shutdown, health, callers, journal.

pub mod access;
pub mod callers;
pub mod check_points;
pub mod clock;
pub mod config;
pub mod errors;
pub mod health;
pub mod hex;
pub mod journal;
pub mod kafka;
pub mod live;
mod look;
pub mod metrics;
pub mod origin;
pub mod ports;
pub mod sealed;
pub mod shutdown;
pub mod signing;
pub mod targets;
pub mod telemetry;
pub mod threads;
pub mod tls;
pub mod tokens;
pub mod trust;
pub mod webhook;
