//! Webhooks: one signed request to a host that the deployment allows, and when to try again.
//!
//! What is sent, to whom and in which order is the business of whoever sends.

mod send;
mod sign;
mod target;

use std::time::Duration;

pub use send::{Answer, SendError, Sender};
pub use sign::{SecretError, Secrets, signature};
pub use target::Target;

pub use crate::trust::CertificatesError;

/// The pause after so many failures in a row: it doubles with each, between two bounds, and is at least
/// what the receiver asked for.
#[must_use]
pub fn pause(failures: u32, (min, max): (Duration, Duration), asked: Option<Duration>) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let most = min.saturating_mul(1 << doublings).min(max);
    // Half to all of it: those that failed together do not come back together.
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    most.mul_f64(0.5 + share / 2.0)
        .max(asked.unwrap_or_default())
}
