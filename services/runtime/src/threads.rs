//! Threads for work that can wait a moment: they stand back behind those that answer checks, in a process that answers any.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// Whether this process answers checks.
static ANSWERS: AtomicBool = AtomicBool::new(true);

/// The furthest that Linux knows.
#[cfg(target_os = "linux")]
const NICE_MAX: i32 = 19;

/// Says whether this process answers checks; until then it is taken to. In one that does not, what follows changes is what it
/// is there for, and other processes of the machine are none that it would have to let pass.
pub fn answers_checks(answers: bool) {
    ANSWERS.store(answers, Ordering::Relaxed);
}

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
    const fn nice(self, answers: bool) -> i32 {
        match (self, answers) {
            (Self::Changes, true) => 5,
            (Self::Upkeep | Self::Following, true) => 10,
            (Self::Upkeep, false) => 5,
            (Self::Changes | Self::Following, false) => 0,
        }
    }

    /// Has the calling thread stand back, and those that it starts. Linux keeps the value for each thread; nothing depends on
    /// it but the time that others wait.
    #[cfg(target_os = "linux")]
    fn take(self) {
        use rustix::process::{getpid, getpriority_process, setpriority_process};
        let own = rustix::thread::gettid();
        let nice = |thread| getpriority_process(Some(thread)).unwrap_or(0);
        let behind = nice(getpid()) + self.nice(ANSWERS.load(Ordering::Relaxed));
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
            let behind = (before + rank.nice(true)).min(super::NICE_MAX);
            assert_eq!(heard.recv().expect("told"), behind);
        }
        assert_eq!(own(), before);
    }
}
