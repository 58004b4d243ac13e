//! Who gets in: at most so many checks at once, none that would only be answered late, and none once the gate is
//! closing (spec 6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::failure::Failure;
use crate::lag::Lag;

/// How long a group of a batch or stream waits for room before it is turned away.
const GROUP_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Admission {
    room: Arc<Semaphore>,
    most: u32,
    closing: AtomicBool,
    closed: watch::Sender<bool>,
    lag: Lag,
}

/// Room for one check or several, given back when dropped.
pub(crate) type Room = OwnedSemaphorePermit;

impl Admission {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            room: Arc::new(Semaphore::new(most as usize)),
            most,
            closing: AtomicBool::new(false),
            closed: watch::Sender::new(false),
            lag: Lag::watch(),
        }
    }

    /// Room for one check, now or not at all: who waits in line here would only be answered late.
    pub(crate) fn one(&self) -> Result<Room, Failure> {
        self.open()?;
        Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|_| self.open().err().unwrap_or(Failure::Overloaded))
    }

    /// Counts a check that has come; false while further ones would only be answered late.
    pub(crate) fn in_time(&self) -> bool {
        self.lag.takes_one()
    }

    #[cfg(test)]
    pub(crate) fn take_only(&self, share: u32) {
        self.lag.set_share(share);
    }

    /// Room for a group, which waits a little: its sender is held back meanwhile.
    pub(crate) async fn group(&self, checks: usize) -> Result<Room, Failure> {
        self.open()?;
        let checks = u32::try_from(checks).unwrap_or(u32::MAX).min(self.most);
        let room = Arc::clone(&self.room).acquire_many_owned(checks);
        match tokio::time::timeout(GROUP_PATIENCE, room).await {
            Ok(Ok(room)) => {
                self.open()?;
                Ok(room)
            }
            _ => Err(self.open().err().unwrap_or(Failure::Overloaded)),
        }
    }

    /// Whether checks are taken.
    pub(crate) fn open(&self) -> Result<(), Failure> {
        if self.closing.load(Ordering::Acquire) {
            Err(Failure::ShuttingDown)
        } else {
            Ok(())
        }
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.closed.send_replace(true);
    }

    /// Returns once [`Admission::close`] was called.
    pub(crate) async fn closed(&self) {
        // The sender lives in `self`.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Waits until everybody has left, after [`Admission::close`]; false when that takes too long.
    pub(crate) async fn drained(&self, patience: Duration) -> bool {
        let everybody = self.room.acquire_many(self.most);
        match tokio::time::timeout(patience, everybody).await {
            Ok(Ok(room)) => {
                room.forget();
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_given_once_and_given_back() {
        let admission = Admission::new(2);
        let first = admission.one().unwrap();
        let _second = admission.one().unwrap();
        assert!(matches!(admission.one(), Err(Failure::Overloaded)));
        drop(first);
        assert!(admission.one().is_ok());
    }

    #[tokio::test]
    async fn whoever_would_be_answered_late_is_told_so() {
        let admission = Admission::new(2);
        assert!(admission.in_time());
        admission.take_only(8);
        assert!((0..32).any(|_| !admission.in_time()));
        // The watch looks again.
        let looks_again = async {
            while !(0..256).all(|_| admission.in_time()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let within = Duration::from_secs(60);
        let all_are_taken = tokio::time::timeout(within, looks_again).await;
        assert!(all_are_taken.is_ok());
    }

    #[tokio::test]
    async fn closing_waits_for_those_inside_and_takes_nobody_in() {
        let admission = Admission::new(2);
        let inside = admission.one().unwrap();
        admission.close();
        admission.closed().await;
        assert!(matches!(admission.one(), Err(Failure::ShuttingDown)));
        assert!(matches!(
            admission.group(1).await,
            Err(Failure::ShuttingDown)
        ));
        assert!(!admission.drained(Duration::from_millis(5)).await);
        drop(inside);
        assert!(admission.drained(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_group_larger_than_the_limit_takes_all_of_it() {
        let admission = Admission::new(2);
        let all = admission.group(10_000).await.unwrap();
        assert!(matches!(admission.one(), Err(Failure::Overloaded)));
        drop(all);
        assert!(admission.one().is_ok());
    }
}
