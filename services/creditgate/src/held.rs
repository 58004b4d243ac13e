//! The clock of the machine set back under a running service: told, and not lived with for long.
//!
//! Times of a process never run back; while the machine's clock is behind, the newest time is held. Held for a moment
//! that is harmless. Held for long, lists would not grow old and dates would not pass, so that what is stale would look
//! fresh. A new start takes the machine's time, and whoever was confirmed at a time to come counts as stale.

use std::time::Duration;

use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::Readiness;
use creditgate_runtime::shutdown::Shutdown;

/// The name under which the clock speaks to readiness; only once something is wrong.
const COMPONENT: &str = "clock";
/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// From this on it is told: less is a correction of the kind that clocks get every day.
const TOLD_FROM: Duration = Duration::from_secs(1);
/// From this on the process ends.
const HELD_MAX: Duration = Duration::from_secs(600);

/// The clock is too far back.
#[derive(Debug, thiserror::Error)]
#[error(
    "the clock of the machine was set back by {} s: whoever starts this service anew takes its time",
    by.as_secs()
)]
pub struct SetBack {
    by: Duration,
}

/// What is done about a time that is held.
#[derive(Debug, PartialEq, Eq)]
enum Held {
    Not,
    Told(String),
    TooLong,
}

/// Looks until a stop is asked for.
///
/// # Errors
/// When the time would have to be held for long.
pub async fn watch(clock: Clock, readiness: Readiness, shutdown: Shutdown) -> Result<(), SetBack> {
    let mut told = false;
    loop {
        tokio::select! {
            () = shutdown.wait() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        // Asked for, so that an idle service notices too.
        clock.now_micros();
        let by = Duration::from_micros(clock.held_micros().unsigned_abs());
        match held(by) {
            Held::Not if told => {
                told = false;
                readiness.ready(COMPONENT);
            }
            Held::Not => {}
            Held::Told(why) => {
                told = true;
                readiness.ready_but(COMPONENT, why);
            }
            Held::TooLong => {
                let error = SetBack { by };
                readiness.not_ready(COMPONENT, error.to_string());
                return Err(error);
            }
        }
    }
}

fn held(by: Duration) -> Held {
    if by < TOLD_FROM {
        Held::Not
    } else if by < HELD_MAX {
        Held::Told(format!(
            "the clock of the machine was set back; times are held for another {} s",
            by.as_secs()
        ))
    } else {
        Held::TooLong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_and_a_long_time_is_too_long() {
        assert_eq!(held(Duration::from_millis(999)), Held::Not);
        let Held::Told(why) = held(Duration::from_secs(59)) else {
            panic!("it is told");
        };
        assert!(why.contains("another 59 s"), "{why}");
        assert_eq!(held(Duration::from_secs(600)), Held::TooLong);
    }

    #[tokio::test]
    async fn a_clock_set_far_back_ends_the_process_and_says_by_how_much() {
        let (clock, hand) = Clock::stepped(10_000_000_000);
        let readiness = Readiness::expecting(["gate"]);
        clock.now_micros();
        hand.set(9_000_000_000);
        let ended = watch(clock, readiness.clone(), Shutdown::new()).await;
        let said = ended.unwrap_err().to_string();
        assert!(said.contains("set back by 1000 s"), "{said}");
        assert!(format!("{:?}", readiness.snapshot()).contains("set back"));
    }
}
