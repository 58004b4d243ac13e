//! A process of a benchmark: started, asked what it used, ended.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::failure::Failure;

/// Clock ticks a second in `/proc/<pid>/stat`; fixed at 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child that is ended when this goes.
pub struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    /// Starts this very program with other arguments.
    pub fn start(args: &[&str]) -> Result<Self, Failure> {
        let failed = |error| Failure::new("start a process of the benchmark", error);
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
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

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about either answer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
