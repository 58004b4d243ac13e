//! Threads for work that can wait a moment: they stand back behind those that answer checks.

use std::io;
use std::thread::{Builder, JoinHandle};

/// The furthest that Linux knows.
#[cfg(target_os = "linux")]
const NICE_MAX: i32 = 19;

/// How far a thread stands back when there is more to do than processors. Where there is time left,
/// each has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Changes of the lists and imports: somebody waits for them, but for many rows at once.
    Changes,
    /// What changes leave to be done: merges, indices, clocks.
    Upkeep,
    /// What follows afterwards: open cases judged again.
    Following,
}

impl Rank {
    /// As `nice` counts, behind the process as it was started.
    #[cfg(target_os = "linux")]
    const fn nice(self) -> i32 {
        match self {
            Self::Changes => 5,
            Self::Upkeep => 10,
            Self::Following => 15,
        }
    }

    /// Has the calling thread stand back, and those that it starts. Linux keeps the value for each thread; nothing depends on
    /// it but the time that others wait.
    #[cfg(target_os = "linux")]
    fn take(self) {
        use rustix::process::{getpid, getpriority_process, setpriority_process};
        let own = rustix::thread::gettid();
        let nice = |thread| getpriority_process(Some(thread)).unwrap_or(0);
        let behind = nice(getpid()) + self.nice();
        let done = setpriority_process(Some(own), behind.max(nice(own)).min(NICE_MAX));
        if let Err(error) = done {
            tracing::debug!(%error, rank = ?self, "a thread keeps its priority");
        }
    }

    /// Only Linux keeps a priority for each thread.
    #[cfg(not(target_os = "linux"))]
    fn take(self) {}
}

/// Starts a thread of this rank.
///
/// # Errors
/// When the system has no room for one.
pub fn spawn(
    name: &str,
    rank: Rank,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        rank.take();
        run();
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Rank, spawn};

    #[test]
    fn a_thread_stands_back_and_the_one_that_started_it_does_not() {
        let own = || {
            let thread = rustix::thread::gettid();
            rustix::process::getpriority_process(Some(thread)).expect("a priority")
        };
        let before = own();
        for rank in [Rank::Changes, Rank::Upkeep, Rank::Following] {
            let (told, heard) = std::sync::mpsc::channel();
            let thread = spawn("t", rank, move || told.send(own()).expect("heard"));
            thread.expect("started").join().expect("ended");
            let behind = (before + rank.nice()).min(super::NICE_MAX);
            assert_eq!(heard.recv().expect("told"), behind);
        }
        assert_eq!(own(), before);
    }
}
