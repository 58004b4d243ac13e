//! A server's process: started, asked what it used, ended. Only this very process is ever ended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::inside::Fault;

/// Clock ticks a second in `/proc/<pid>/stat`; fixed at 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child that is ended when this goes.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program whose words go into a file.
    pub fn start(program: &Path, args: &[&str], words: &Path) -> Result<Self, Fault> {
        let out = std::fs::File::create(words)?;
        let child = Command::new(program)
            .args(args)
            .env("CERBOS_NO_TELEMETRY", "1")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        Ok(Self(child))
    }

    /// Starts a program that prints its address first.
    pub fn with_address(program: &Path, args: &[&str]) -> Result<(Self, String), Fault> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let out = child.stdout.take().ok_or("no output")?;
        let own = Self(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if line.is_empty() {
            return Err(format!("{} ended before it listened", program.display()).into());
        }
        Ok((own, line.trim_end().to_owned()))
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Seconds of CPU it has used, of its own and in the kernel.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        // Fields count from after the name, which stands in parentheses and may hold anything.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let ticks = |field: usize| {
            let field = after.split_whitespace().nth(field);
            field
                .and_then(|ticks| ticks.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        (ticks(11) + ticks(12)) / TICKS_PER_SECOND
    }

    /// A line of `/proc/<pid>/status` such as `VmHWM`, in MiB.
    pub fn memory_mib(&self, name: &str) -> f64 {
        self.proc("status")
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
            .map_or(0.0, |kib| kib / 1024.0)
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about either answer.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
