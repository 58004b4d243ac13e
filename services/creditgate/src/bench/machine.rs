//! What figures belong to: the machine, the program and its command line.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use creditgate_measures::time::Time;
use creditgate_runtime::clock::Clock;
use serde::Serialize;

/// Writes that are timed.
const SYNCS: usize = 60;
/// Bytes of each.
const SYNC_BYTES: usize = 4_096;
/// No more time than this goes into them.
const SYNCS_WITHIN: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug, Serialize)]
pub struct About {
    /// The command line; values of Kafka's settings are hidden.
    pub command: String,
    /// When it began, in China's time.
    pub date: String,
    /// Version of the program.
    pub version: String,
    /// What it was built from, as far as it is known.
    pub commit: String,
    /// Whether the compiler optimised; figures of a debug build say nothing.
    pub optimised: bool,
    /// What the invented data follow from.
    pub seed: Option<u64>,
    /// Cores that this process may use.
    pub cores: usize,
    /// The model of the processor.
    pub cpu: String,
    /// Memory of the machine, in MiB.
    pub memory_mib: u64,
    /// Version of the kernel.
    pub kernel: String,
    /// Median time until 4 KiB at the end of a file are on disk, in microseconds.
    pub fsync_p50_us: Option<f64>,
}

impl About {
    /// This run, with its data below `dir`. Takes a moment, for the disk.
    pub fn now(dir: &Path, seed: Option<u64>) -> Self {
        Self {
            command: command_line(std::env::args()),
            date: Time::from_micros(Clock::system().now_micros()).to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: commit(),
            optimised: !cfg!(debug_assertions),
            seed,
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpu: line_of("/proc/cpuinfo", "model name"),
            memory_mib: line_of("/proc/meminfo", "MemTotal")
                .split_whitespace()
                .next()
                .and_then(|kib| kib.parse::<u64>().ok())
                .unwrap_or(0)
                / 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            fsync_p50_us: fsync_p50(dir).ok().map(|time| time.as_secs_f64() * 1e6),
        }
    }

    /// What is printed, by name.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut version = format!("creditgate {}, commit {}", self.version, self.commit);
        if !self.optimised {
            version.push_str(", not optimised: the figures say nothing");
        }
        let fsync = self.fsync_p50_us.map_or_else(
            || "unknown".to_owned(),
            |us| format!("{us:.0} µs for 4 KiB (median)"),
        );
        let mut pairs = vec![
            ("command", self.command.clone()),
            ("version", version),
            ("date", self.date.clone()),
            (
                "machine",
                format!(
                    "{} cores, {}, {} MiB",
                    self.cores, self.cpu, self.memory_mib
                ),
            ),
            ("kernel", self.kernel.clone()),
            ("fsync", fsync),
        ];
        pairs.extend(self.seed.map(|seed| ("seed", seed.to_string())));
        pairs
    }
}

/// The words of a command line; a setting of Kafka may be a password.
fn command_line(words: impl Iterator<Item = String>) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut is_setting = false;
    for (at, word) in words.enumerate() {
        const FLAG: &str = "--kafka-config";
        let setting = |text: &str| format!("{}=***", text.split('=').next().unwrap_or_default());
        told.push(match word.strip_prefix(FLAG) {
            _ if at == 0 => Path::new(&word)
                .file_name()
                .map_or_else(|| word.clone(), |name| name.to_string_lossy().into_owned()),
            _ if is_setting => setting(&word),
            Some(rest) if rest.starts_with('=') => format!("{FLAG}={}", setting(&rest[1..])),
            _ => word.clone(),
        });
        is_setting = word == FLAG;
    }
    told.join(" ")
}

/// What was named when it was built, else what git says of the tree in which the program lies.
fn commit() -> String {
    if let Some(commit) = option_env!("CREDITGATE_COMMIT") {
        return commit.to_owned();
    }
    let told = std::env::current_exe().ok().and_then(|program| {
        let output = Command::new("git")
            .arg("-C")
            .arg(program.parent()?)
            .args(["describe", "--always", "--dirty", "--exclude=*"])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        (output.status.success() && !text.trim().is_empty())
            .then(|| format!("{} (of the tree it lies in)", text.trim()))
    });
    told.unwrap_or_else(|| "unknown".to_owned())
}

/// What stands behind a name and a colon in a file of `/proc`.
fn line_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| {
        let (before, after) = line.split_once(':')?;
        (before.trim() == name).then(|| after.trim().to_owned())
    });
    line.unwrap_or_else(|| "unknown".to_owned())
}

/// The median time until some bytes at the end of a file are on disk.
fn fsync_p50(dir: &Path) -> std::io::Result<Duration> {
    // Without a name: another run may be beside this one.
    let mut file = tempfile::tempfile_in(dir)?;
    let mut times = Vec::with_capacity(SYNCS);
    let began = Instant::now();
    while times.len() < SYNCS && (times.is_empty() || began.elapsed() < SYNCS_WITHIN) {
        let begins = Instant::now();
        file.write_all(&[0x5a; SYNC_BYTES])?;
        file.sync_data()?;
        times.push(begins.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_kafka_are_hidden() {
        let words = "/x/creditgate bench stream --kafka b:9092 --kafka-config sasl.password=abc \
                     --kafka-config=ssl.key.password=d=e --quick";
        let told = command_line(words.split_whitespace().map(str::to_owned));
        assert_eq!(
            told,
            "creditgate bench stream --kafka b:9092 --kafka-config sasl.password=*** \
             --kafka-config=ssl.key.password=*** --quick"
        );
    }

    #[test]
    fn the_disk_is_asked_and_left_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let about = About::now(dir.path(), None);
        assert!(about.fsync_p50_us.is_some_and(|us| us > 0.0));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }
}
