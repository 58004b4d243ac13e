//! `creditgate bench sustained`: the largest rate, and how the service does at 85 % of it.

use std::time::Duration;

use super::gate::start_real;
use super::paced::{Held, WINDOW};
use super::process::Process;
use super::report::{Aim, Row};
use super::times::percentiles;
use crate::cli::bench::{BenchSustainedArgs, CallArgs, Mode};
use crate::failure::Failure;

const BENCH: &str = "sustained";
/// This part of the largest rate is held.
const PART: f64 = 0.85;
/// A rate counts as reached when this part of its calls is answered while it lasts.
const ANSWERED: f64 = 0.98;
/// The first rate that is tried.
const FIRST_RATE: f64 = 1_000.0;
/// A rate below this is none.
const LEAST_RATE: f64 = 1.0;
/// How often the step between a rate that is reached and one that is not is halved.
const HALVINGS: u32 = 4;
/// The beginning of what is held, which does not count; steps have a quarter of their time.
const WARM_UP: Duration = Duration::from_secs(1);
/// The service comes to rest.
const REST: Duration = Duration::from_millis(500);

/// Finds and holds a rate for each mode.
pub async fn measure(args: &BenchSustainedArgs) -> Result<Vec<Row>, Failure> {
    let temporary = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let data_dir = args.data_dir.as_deref().unwrap_or(temporary.path());
    let (real, address, _) = start_real(data_dir, args.entries)?;
    let (holds_for, step) = match args.quick {
        true => (15, 2_000),
        false => (120, 4_000),
    };
    let holds_for = Duration::from_secs(args.seconds.unwrap_or(holds_for));
    let step = Duration::from_millis(args.step_ms.unwrap_or(step));
    let mut rows = Vec::new();
    for &mode in &args.mode {
        let mut runs = 0;
        let mut call = |rate: f64, warm_up: Duration, lasts: Duration| {
            runs += 1;
            let calls = CallArgs {
                server: address.clone(),
                ca_file: None,
                certificate_file: None,
                mode,
                seconds: lasts.as_secs_f64(),
                connections: args.connections,
                batch: 1,
                run: format!("sustained-{}-{runs}", mode.name()),
                seed: args.seed,
                entries: args.entries,
            };
            client(&calls, rate, warm_up)
        };
        let (largest, rate) = match args.rate {
            Some(rate) => (None, rate as f64),
            None => {
                let reaches = |rate: f64| -> Result<bool, Failure> {
                    // A disk may stand still just then: what fails once is tried once more.
                    for _ in 0..2 {
                        let held = call(rate, step / 4, step)?;
                        std::thread::sleep(REST);
                        note!("{}: {}", mode.name(), step_told(rate, &held));
                        if is_reached(&held) {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                };
                let largest = largest_rate(reaches)?.ok_or_else(|| {
                    Failure::plain("the service does not reach a single call a second")
                })?;
                (Some(largest), largest * PART)
            }
        };
        note!("{}: holds {rate:.0} calls/s for {holds_for:?}", mode.name());
        let (memory, cpu) = (real.memory_mib("RssAnon"), real.cpu_seconds());
        let held = call(rate, WARM_UP, holds_for)?;
        let use_of = Use {
            cpu_seconds: real.cpu_seconds() - cpu,
            memory_mib: [memory, real.memory_mib("RssAnon")],
            peak_mib: real.memory_mib("VmHWM"),
        };
        rows.extend(rows_of(mode, largest, rate, &held, &use_of));
        std::thread::sleep(REST);
    }
    Ok(rows)
}

/// What the service used while a rate was held.
struct Use {
    cpu_seconds: f64,
    memory_mib: [f64; 2],
    peak_mib: f64,
}

fn client(calls: &CallArgs, rate: f64, warm_up: Duration) -> Result<Held, Failure> {
    let mut words = ["bench", "part", "paced"].map(str::to_owned).to_vec();
    words.extend(calls.words());
    words.extend(["--rate".to_owned(), rate.to_string()]);
    words.extend(["--warm-up".to_owned(), warm_up.as_secs_f64().to_string()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut client = Process::start(&words)?;
    serde_json::from_str(&client.line()?)
        .map_err(|error| Failure::new("read what the client saw", error))
}

/// The part of the calls that was answered while they were due.
fn answered(held: &Held) -> f64 {
    let (due, answers) = held.windows.iter().fold((0_u64, 0_u64), |sum, window| {
        (sum.0 + u64::from(window.0), sum.1 + u64::from(window.1))
    });
    answers as f64 / due.max(1) as f64
}

fn is_reached(held: &Held) -> bool {
    held.refused == 0 && answered(held) >= ANSWERED
}

fn step_told(rate: f64, held: &Held) -> String {
    format!(
        "{rate:.0} calls/s due, {:.1} % answered in time, {} refused, p99 {:.1} ms",
        answered(held) * 100.0,
        held.refused,
        held.times.ms(0.99)
    )
}

/// Doubles the rate until it is not reached, or halves it until it is; then goes closer. None when
/// not even the least rate is reached.
fn largest_rate<E>(mut reaches: impl FnMut(f64) -> Result<bool, E>) -> Result<Option<f64>, E> {
    let mut below = FIRST_RATE;
    let mut above;
    if reaches(below)? {
        above = below * 2.0;
        while reaches(above)? {
            below = above;
            above *= 2.0;
        }
    } else {
        loop {
            above = below;
            below /= 2.0;
            if below < LEAST_RATE {
                return Ok(None);
            }
            if reaches(below)? {
                break;
            }
        }
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(below, above);
        if reaches(middle)? {
            below = middle;
        } else {
            above = middle;
        }
    }
    Ok(Some(below))
}

/// Windows in which the service fell behind what was due.
#[derive(Debug, PartialEq, Eq, Default)]
struct Behind {
    /// Windows without an answer.
    stalls: u64,
    /// Windows with fewer answers than half of what was due; those without one are among them.
    gaps: u64,
    /// The most gaps in a row.
    longest: u64,
}

impl Behind {
    fn of(windows: &[(u32, u32)]) -> Self {
        let mut behind = Self::default();
        let mut in_a_row = 0;
        for &(due, answers) in windows {
            let is_gap = u64::from(answers) * 2 < u64::from(due);
            in_a_row = if is_gap { in_a_row + 1 } else { 0 };
            behind.stalls += u64::from(due > 0 && answers == 0);
            behind.gaps += u64::from(is_gap);
            behind.longest = behind.longest.max(in_a_row);
        }
        behind
    }
}

fn rows_of(mode: Mode, largest: Option<f64>, rate: f64, held: &Held, used: &Use) -> Vec<Row> {
    let row = |what: &str, unit: &str, value: f64| {
        Row::once(BENCH, format!("{}: {what}", mode.name()), unit, value)
    };
    let mut rows: Vec<Row> = largest
        .map(|largest| row("largest rate", "checks/s", largest))
        .into_iter()
        .collect();
    let windows = held.windows.len();
    let seconds = windows as f64 * WINDOW.as_secs_f64();
    rows.push(row("rate held", "checks/s", rate).note(format!("for {seconds:.0} s")));
    rows.push(row("answered in time", "%", answered(held) * 100.0).aim(Aim::AtLeast(99.0)));
    let times = std::slice::from_ref(&held.times);
    rows.extend(percentiles(BENCH, mode.name(), times));
    let behind = Behind::of(&held.windows);
    let longest = Duration::from_secs_f64(behind.longest as f64 * WINDOW.as_secs_f64());
    rows.extend([
        row("longest call", "ms", held.times.ms(1.0)),
        row("stall windows", "", behind.stalls as f64).note(format!("of {windows}")),
        row("gap windows", "", behind.gaps as f64).note(format!("of {windows}")),
        row("longest gap", "ms", longest.as_secs_f64() * 1e3),
        row("refused", "", held.refused as f64).aim(Aim::AtMost(0.0)),
        row("without an answer", "", held.unanswered as f64).aim(Aim::AtMost(0.0)),
        row("client's own lateness: p99", "ms", held.lateness.ms(0.99)),
        row(
            "server CPU",
            "µs/check",
            used.cpu_seconds * 1e6 / held.answers_in_all as f64,
        ),
        row(
            "memory of its own at the start (RssAnon)",
            "MiB",
            used.memory_mib[0],
        ),
        row(
            "memory of its own at the end (RssAnon)",
            "MiB",
            used.memory_mib[1],
        ),
        row("peak memory (VmHWM)", "MiB", used.peak_mib),
    ]);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest rate of a service with this capacity, and the rates that were tried.
    fn found(capacity: f64) -> (Option<f64>, Vec<f64>) {
        let mut tried = Vec::new();
        let largest = largest_rate(|rate| {
            tried.push(rate);
            Ok::<_, ()>(rate <= capacity)
        });
        (largest.expect("a rate"), tried)
    }

    #[test]
    fn the_largest_rate_is_found_from_below() {
        for capacity in [3.0, 150.0, 1_000.0, 23_456.0, 250_000.0] {
            let largest = found(capacity).0.expect("a rate");
            assert!(
                largest <= capacity && largest > capacity * 0.93,
                "{largest} of {capacity}"
            );
        }
        let (largest, tried) = found(23_456.0);
        assert_eq!(largest, Some(23_000.0));
        assert_eq!(tried.len(), 10);
        assert_eq!(found(0.5).0, None);
    }

    #[test]
    fn stalls_and_gaps_are_windows_behind_what_was_due() {
        let windows = [
            (100, 100),
            (100, 0),
            (100, 49),
            (100, 51),
            (0, 0),
            (100, 300),
        ];
        let behind = Behind {
            stalls: 1,
            gaps: 2,
            longest: 2,
        };
        assert_eq!(Behind::of(&windows), behind);
        assert_eq!(Behind::of(&[]), Behind::default());
    }

    #[test]
    fn a_rate_is_reached_when_its_calls_are_answered_while_it_lasts() {
        let held = |answers, refused| Held {
            windows: vec![(100, answers), (100, 100)],
            refused,
            ..Held::default()
        };
        assert!(is_reached(&held(96, 0)));
        assert!(!is_reached(&held(95, 0)));
        assert!(!is_reached(&held(100, 1)));
    }
}
