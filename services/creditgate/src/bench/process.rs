//! A process of a benchmark: started, asked what it used, ended.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use creditgate_runtime::config::{KEYS, OTHER_VARIABLES};

use super::report::Row;
use crate::failure::Failure;

/// Clock ticks a second in `/proc/<pid>/stat`; fixed at 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child that is ended when this goes.
pub struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    /// Starts this very program with other arguments. Of the environment's configuration it sees what
    /// is about Kafka, as [`super::side`] does: the rest is the benchmark's to say.
    pub fn start(args: &[&str]) -> Result<Self, Failure> {
        let failed = |error| Failure::new("start a process of the benchmark", error);
        let program = std::env::current_exe().map_err(failed)?;
        let keys = KEYS.iter().map(|key| key.variable);
        let others = OTHER_VARIABLES.iter().map(|(name, _)| *name);
        let mut command = Command::new(program);
        for name in keys.chain(others).filter(|name| !is_about_kafka(name)) {
            command.env_remove(name);
        }
        let mut child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let out = child
            .stdout
            .take()
            .ok_or_else(|| Failure::plain("the process has no output"))?;
        Ok(Self {
            child,
            out: BufReader::new(out),
        })
    }

    /// The next line it prints.
    pub fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.out
            .read_line(&mut line)
            .map_err(|error| Failure::new("read from a process of the benchmark", error))?;
        if line.is_empty() {
            return Err(Failure::plain(
                "a process of the benchmark ended before it answered",
            ));
        }
        Ok(line.trim_end().to_owned())
    }

    /// How it ended, when it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to stop, and waits until it has done so well.
    pub fn stop(mut self, patience: Duration) -> Result<(), Failure> {
        let failed = |error| Failure::new("stop a process of the benchmark", error);
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .map_err(failed)?;
        let began = Instant::now();
        loop {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(Failure::plain(format!(
                        "a process of the benchmark ended with {status}"
                    )));
                }
                None if began.elapsed() > patience => {
                    return Err(Failure::plain(format!(
                        "a process of the benchmark does not end within {patience:?}"
                    )));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Asks it to stop. That it does not end well is told in a row: what was measured before holds
    /// all the same.
    pub fn stop_and_tell(self, bench: &str, patience: Duration) -> Option<Row> {
        let failure = self.stop(patience).err()?;
        let mut row = Row::failed(bench, failure);
        "the end of the service".clone_into(&mut row.what);
        Some(row)
    }

    /// Seconds of CPU it has used, of its own and in the kernel.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        // Fields count from after the name, which stands in parentheses and may hold anything.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let ticks = |field: usize| {
            after
                .split_whitespace()
                .nth(field)
                .and_then(|t| t.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        (ticks(11) + ticks(12)) / TICKS_PER_SECOND
    }

    /// A line of `/proc/<pid>/status`, in MiB.
    pub fn memory_mib(&self, name: &str) -> f64 {
        self.proc("status")
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
            .map_or(0.0, |kib| kib / 1024.0)
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }
}

/// Whether a variable says how Kafka is used.
pub fn is_about_kafka(variable: &str) -> bool {
    variable.starts_with("CREDITGATE_KAFKA_")
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about either answer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
