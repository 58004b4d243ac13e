//! How a process ends: on a signal, or because a task ended that nobody asked to stop; then a drain with a deadline.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::telemetry::names::field;

/// An error of a task, whatever its type.
pub type TaskError = Box<dyn StdError + Send + Sync>;

/// The wish to stop, handed down a tree: cancelling a handle cancels its children and leaves its parent alone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

/// The tasks whose end matters. Cheap to clone; a clone may spawn from anywhere.
#[derive(Clone, Debug)]
pub struct Tasks {
    shutdown: Shutdown,
    exits: mpsc::UnboundedSender<Exit>,
    running: Arc<Mutex<Running>>,
}

/// Waits for the end of the process. There is one; it is made together with its [`Tasks`].
#[derive(Debug)]
pub struct Supervisor {
    tasks: Tasks,
    exits: mpsc::UnboundedReceiver<Exit>,
}

/// Why a process ended other than well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task failed, or ended though nobody had asked it to.
    #[error("task `{task}` {how}")]
    Task {
        /// The name it was spawned under.
        task: &'static str,
        /// `failed`, `panicked` or `ended though nobody asked it to stop`.
        how: &'static str,
        /// Its error, where it had one.
        #[source]
        source: Option<TaskError>,
    },
    /// Some tasks were still at work when the time was up; they were cut off.
    #[error("drain: after {} ms still at work: `{}`", timeout.as_millis(), tasks.join("`, `"))]
    Drain {
        /// The time they had.
        timeout: Duration,
        /// Their names.
        tasks: Vec<&'static str>,
    },
    /// A second signal came before the drain was over.
    #[error("drain: cut off by a second signal; still at work: `{}`", tasks.join("`, `"))]
    Impatient {
        /// The tasks that were cut off.
        tasks: Vec<&'static str>,
    },
    /// Signals cannot be listened for.
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
}

/// A request of the operating system to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: a service manager.
    Terminate,
}

#[derive(Debug)]
struct Exit {
    id: u64,
    task: &'static str,
    how: How,
}

#[derive(Debug)]
enum How {
    Done,
    Failed(TaskError),
    Panicked,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    tasks: BTreeMap<u64, (&'static str, AbortHandle)>,
}

impl Shutdown {
    /// A wish nobody has had yet.
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// A handle below this one.
    pub fn child(&self) -> Shutdown {
        Shutdown(self.0.child_token())
    }

    /// Asks everything below to stop. Asking twice is asking once.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether somebody asked.
    pub fn requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until somebody asks.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// The same as an owned future, for servers that take one.
    pub fn waited(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.clone().cancelled_owned()
    }

    /// The token itself, for code that speaks tokio's language.
    pub fn token(&self) -> &CancellationToken {
        &self.0
    }
}

impl Tasks {
    /// The wish to stop that these tasks obey.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Spawns a task whose end matters: before a stop was asked for, its end in whatever way ends the process.
    pub fn spawn_named<F, E>(&self, task: &'static str, work: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<TaskError> + Send + 'static,
    {
        // Locked across the spawn, so that the exit cannot be reported before the task is entered.
        let mut running = self.running.lock();
        let id = running.next;
        running.next += 1;
        let inner = tokio::spawn(work);
        running.tasks.insert(id, (task, inner.abort_handle()));
        let exits = self.exits.clone();
        tokio::spawn(async move {
            let how = match inner.await {
                Ok(Ok(())) => How::Done,
                Ok(Err(error)) => How::Failed(error.into()),
                // Only `cut_off` aborts, and by then nobody listens.
                Err(error) if error.is_cancelled() => How::Done,
                Err(_) => How::Panicked,
            };
            // Nobody listens any more when the supervisor has returned; the process is ending anyway.
            let _ = exits.send(Exit { id, task, how });
        });
    }

    fn names(&self) -> Vec<&'static str> {
        self.running
            .lock()
            .tasks
            .values()
            .map(|(name, _)| *name)
            .collect()
    }

    fn cut_off(&self) {
        for (_, abort) in self.running.lock().tasks.values() {
            abort.abort();
        }
    }
}

impl Supervisor {
    /// A supervisor of tasks that obey `shutdown`.
    pub fn new(shutdown: Shutdown) -> (Tasks, Supervisor) {
        let (sender, exits) = mpsc::unbounded_channel();
        let tasks = Tasks {
            shutdown,
            exits: sender,
            running: Arc::default(),
        };
        (tasks.clone(), Supervisor { tasks, exits })
    }

    /// Runs until a signal comes, somebody calls [`Shutdown::request`] or a task ends unasked; then asks all to stop, and
    /// gives them `drain_timeout` to end. A second signal ends the wait at once.
    pub async fn run(self, drain_timeout: Duration) -> Result<(), Error> {
        let signals = signals().map_err(Error::Signals)?;
        self.run_with(signals, drain_timeout).await
    }

    /// [`Supervisor::run`] with signals of the caller's making.
    pub async fn run_with(
        mut self,
        mut signals: mpsc::Receiver<Signal>,
        drain_timeout: Duration,
    ) -> Result<(), Error> {
        let unasked = self.until_asked(&mut signals).await;
        self.tasks.shutdown.request();
        let drained = self.drain(&mut signals, drain_timeout).await;
        // The first cause is the one to report; what the drain met after it is only logged.
        match (unasked, drained) {
            (Err(cause), Err(later)) => {
                tracing::warn!({ field::ERROR } = %crate::errors::Chain(&later), "drain after a failure");
                Err(cause)
            }
            (Err(cause), Ok(())) => Err(cause),
            (Ok(()), drained) => drained,
        }
    }

    async fn until_asked(&mut self, signals: &mut mpsc::Receiver<Signal>) -> Result<(), Error> {
        let shutdown = self.tasks.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.wait() => {
                tracing::info!({ field::CAUSE } = "request", "stopping");
                Ok(())
            }
            Some(signal) = signals.recv() => {
                tracing::info!({ field::CAUSE } = signal.name(), "stopping");
                Ok(())
            }
            Some(exit) = self.exits.recv() => {
                self.leave(&exit);
                // A task may obey a request that was made after this select looked for one.
                if shutdown.requested() && matches!(exit.how, How::Done) { Ok(()) } else { Err(exit.into_error()) }
            }
        }
    }

    async fn drain(
        &mut self,
        signals: &mut mpsc::Receiver<Signal>,
        timeout: Duration,
    ) -> Result<(), Error> {
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        let mut first_failure = Ok(());
        while !self.tasks.names().is_empty() {
            tokio::select! {
                biased;
                Some(exit) = self.exits.recv() => {
                    self.leave(&exit);
                    if first_failure.is_ok() && !matches!(exit.how, How::Done) {
                        first_failure = Err(exit.into_error());
                    }
                }
                Some(_) = signals.recv() => {
                    let tasks = self.tasks.names();
                    self.tasks.cut_off();
                    return Err(Error::Impatient { tasks });
                }
                () = &mut deadline => {
                    let tasks = self.tasks.names();
                    self.tasks.cut_off();
                    return Err(Error::Drain { timeout, tasks });
                }
            }
        }
        first_failure
    }

    fn leave(&self, exit: &Exit) {
        self.tasks.running.lock().tasks.remove(&exit.id);
        tracing::debug!({ field::TASK } = exit.task, "task ended");
    }
}

impl Exit {
    fn into_error(self) -> Error {
        let (how, source) = match self.how {
            How::Done => ("ended though nobody asked it to stop", None),
            How::Failed(error) => ("failed", Some(error)),
            How::Panicked => ("panicked", None),
        };
        Error::Task {
            task: self.task,
            how,
            source,
        }
    }
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        }
    }
}

/// Listens for SIGINT and SIGTERM from now on; neither ends the process by itself any more.
pub fn signals() -> std::io::Result<mpsc::Receiver<Signal>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let got = tokio::select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                else => return,
            };
            if sender.send(got).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Chain;

    const LONG: Duration = Duration::from_secs(20);

    fn supervised() -> (
        Tasks,
        Supervisor,
        mpsc::Sender<Signal>,
        mpsc::Receiver<Signal>,
    ) {
        let (tasks, supervisor) = Supervisor::new(Shutdown::new());
        let (sender, receiver) = mpsc::channel(4);
        (tasks, supervisor, sender, receiver)
    }

    fn obedient(tasks: &Tasks) {
        let wish = tasks.shutdown().clone();
        tasks.spawn_named("obedient", async move {
            wish.wait().await;
            Ok::<(), TaskError>(())
        });
    }

    #[tokio::test]
    async fn a_signal_asks_all_tasks_and_waits_for_them() {
        let (tasks, supervisor, sender, receiver) = supervised();
        obedient(&tasks);
        obedient(&tasks);
        sender.send(Signal::Terminate).await.unwrap();
        supervisor.run_with(receiver, LONG).await.unwrap();
        assert!(tasks.shutdown().requested());
    }

    #[tokio::test]
    async fn a_request_from_inside_ends_the_process_well() {
        let (tasks, supervisor, _sender, receiver) = supervised();
        obedient(&tasks);
        tasks.shutdown().request();
        supervisor.run_with(receiver, LONG).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_ends_the_process_and_the_others_drain() {
        let (tasks, supervisor, _sender, receiver) = supervised();
        obedient(&tasks);
        tasks.spawn_named("clock", async { Ok::<(), TaskError>(()) });
        let error = supervisor.run_with(receiver, LONG).await.unwrap_err();
        assert_eq!(
            Chain(&error).to_string(),
            "task `clock` ended though nobody asked it to stop"
        );
    }

    #[tokio::test]
    async fn a_failing_task_keeps_its_cause() {
        let (tasks, supervisor, _sender, receiver) = supervised();
        tasks.spawn_named("journal", async { Err(std::io::Error::other("disk full")) });
        let error = supervisor.run_with(receiver, LONG).await.unwrap_err();
        assert_eq!(
            Chain(&error).to_string(),
            "task `journal` failed: disk full"
        );
    }

    #[tokio::test]
    async fn a_panicking_task_ends_the_process() {
        let (tasks, supervisor, _sender, receiver) = supervised();
        tasks.spawn_named("gate", async {
            if true {
                panic!("a bug")
            } else {
                Ok::<(), TaskError>(())
            }
        });
        let error = supervisor.run_with(receiver, LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "task `gate` panicked");
    }

    #[tokio::test]
    async fn a_failure_while_draining_is_reported() {
        let (tasks, supervisor, sender, receiver) = supervised();
        let wish = tasks.shutdown().clone();
        tasks.spawn_named("journal", async move {
            wish.wait().await;
            Err(std::io::Error::other("last sync"))
        });
        sender.send(Signal::Interrupt).await.unwrap();
        let error = supervisor.run_with(receiver, LONG).await.unwrap_err();
        assert_eq!(
            Chain(&error).to_string(),
            "task `journal` failed: last sync"
        );
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_cut_off_at_the_deadline() {
        let (tasks, supervisor, sender, receiver) = supervised();
        tasks.spawn_named("deaf", std::future::pending::<Result<(), TaskError>>());
        sender.send(Signal::Terminate).await.unwrap();
        let error = supervisor
            .run_with(receiver, Duration::from_millis(20))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "drain: after 20 ms still at work: `deaf`"
        );
    }

    #[tokio::test]
    async fn a_second_signal_ends_at_once() {
        let (tasks, supervisor, sender, receiver) = supervised();
        tasks.spawn_named("deaf", std::future::pending::<Result<(), TaskError>>());
        sender.send(Signal::Interrupt).await.unwrap();
        sender.send(Signal::Interrupt).await.unwrap();
        let error = supervisor.run_with(receiver, LONG).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "drain: cut off by a second signal; still at work: `deaf`"
        );
    }

    #[tokio::test]
    async fn a_real_signal_arrives() {
        let mut signals = signals().unwrap();
        let pid = std::process::id().to_string();
        let killed = std::process::Command::new("sh")
            .args(["-c", "kill -TERM \"$1\"", "sh", &pid])
            .status()
            .unwrap();
        assert!(killed.success());
        assert_eq!(signals.recv().await, Some(Signal::Terminate));
    }

    #[tokio::test]
    async fn a_child_stops_without_its_parent() {
        let parent = Shutdown::new();
        let (one, two) = (parent.child(), parent.child());
        one.request();
        one.wait().await;
        assert!(!parent.requested() && !two.requested());
        parent.request();
        two.waited().await;
    }
}
