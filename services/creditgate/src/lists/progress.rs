//! How far an import is, where somebody watches: one line on standard error, in plain ASCII and as wide as the terminal
//! at most. (Blocks and shades are two columns wide in a Chinese terminal, and a line that wraps is left behind.)

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use creditgate_registry::files::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// How often the line is drawn anew.
pub const EVERY: Duration = Duration::from_millis(250);

/// Cells of the bar.
const CELLS: u64 = 10;

/// Before it nobody can tell how long the rest takes.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// A line about an import; nothing where standard error is no terminal.
#[derive(Clone)]
pub struct Bar {
    line: Option<ProgressBar>,
    progress: Arc<Progress>,
    /// Bytes of the files; none: one of them is standard input.
    bytes: Option<u64>,
    began: Instant,
    /// All rows were sent.
    sent: bool,
    taking: Option<Taking>,
}

/// How far the service is with rows that were all sent: each record of the import is one version more.
#[derive(Clone, Copy)]
struct Taking {
    /// Version of the lists when all rows were sent.
    first: u64,
    now: u64,
    /// Since when rows are taken; before that the service goes through all of them.
    since: Instant,
}

impl Bar {
    /// About an import of these files.
    pub fn over(files: &[PathBuf], progress: Arc<Progress>) -> Self {
        let bytes = files
            .iter()
            .map(|file| match file == Path::new("-") {
                true => None,
                false => file.metadata().ok().map(|about| about.len()),
            })
            .sum();
        let line = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_msg}");
            ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            line,
            progress,
            bytes,
            began: Instant::now(),
            sent: false,
            taking: None,
        }
    }

    /// Whether somebody watches.
    pub fn is_watched(&self) -> bool {
        self.line.is_some()
    }

    /// All rows are sent; the service works.
    pub fn all_sent(&mut self) {
        self.sent = true;
    }

    /// The lists have come to this version.
    pub fn recorded(&mut self, seq: u64) {
        let begun = self.taking.filter(|taking| taking.now > taking.first);
        self.taking = Some(Taking {
            first: self.taking.map_or(seq, |taking| taking.first),
            now: seq,
            since: begun.map_or_else(Instant::now, |taking| taking.since),
        });
    }

    /// Draws it as far as the import is.
    pub fn draw(&self) {
        let Some(line) = &self.line else { return };
        let rows = self.progress.rows.load(Ordering::Relaxed);
        let taken = self.taking.filter(|taking| taking.now > taking.first);
        let told = match taken {
            Some(taking) => {
                let taken = (taking.now - taking.first).min(rows);
                Seen {
                    what: "taking",
                    rows: taken,
                    of: Some(rows),
                    share: Some((taken, rows)),
                    took: taking.since.elapsed(),
                }
            }
            // Rows that change nothing leave no record: how many of them are done is not known.
            None if self.sent => Seen {
                what: "all sent, checking",
                rows,
                of: None,
                share: None,
                took: Duration::ZERO,
            },
            None => Seen {
                what: "sending",
                rows,
                of: None,
                // A workbook and an archive count only when they have been read.
                share: self.bytes.and_then(|all| {
                    let read = self.progress.bytes.load(Ordering::Relaxed);
                    (read > 0 && all > 0).then(|| (read.min(all), all))
                }),
                took: self.began.elapsed(),
            },
        };
        line.set_message(told.line(self.began.elapsed()));
    }

    /// Says something above the line.
    pub fn note(&self, told: &str) {
        match &self.line {
            Some(line) => line.suspend(|| note!("{told}")),
            None => note!("{told}"),
        }
    }

    /// Takes the line away, and says how long it took.
    pub fn finish(self) {
        let Some(line) = self.line else { return };
        line.finish_and_clear();
        let rows = self.progress.rows.load(Ordering::Relaxed);
        let took = self.began.elapsed();
        note!(
            "{} rows in {}, {}",
            grouped(rows),
            duration(took),
            rate(rows, took)
        );
    }
}

/// What the line says.
struct Seen {
    what: &'static str,
    rows: u64,
    /// Of how many, where that is known.
    of: Option<u64>,
    share: Option<(u64, u64)>,
    took: Duration,
}

impl Seen {
    /// The line, what matters most first: a narrow terminal shows its beginning. `all` is the time since the import
    /// began; it is told where nobody knows how much is left.
    fn line(&self, all: Duration) -> String {
        let mut line = self.what.to_owned();
        let told = self.took > TOLD_AFTER;
        let mut left = None;
        if let Some((done, all)) = self.share {
            let all = all.max(1);
            let full = |cell| cell * all <= done * CELLS;
            let cells = (1..=CELLS).map(|cell| if full(cell) { '#' } else { '-' });
            let bar: String = cells.collect();
            let _ = write!(line, " [{bar}] {} %", done * 100 / all);
            if told && done > 0 && done < all {
                left = Some(self.took.mul_f64((all - done) as f64 / done as f64));
            }
        }
        if let Some(left) = left {
            let _ = write!(line, ", {} left", duration(left));
        }
        let _ = write!(line, ", {}", grouped(self.rows));
        if let Some(of) = self.of {
            let _ = write!(line, " of {}", grouped(of));
        }
        line.push_str(" rows");
        if told {
            let _ = write!(line, ", {}", rate(self.rows, self.took));
        }
        if left.is_none() {
            let _ = write!(line, ", {} so far", duration(all));
        }
        line
    }
}

fn rate(rows: u64, took: Duration) -> String {
    let rate = rows as f64 / took.as_secs_f64().max(0.001);
    format!("{}/s", grouped(rate as u64))
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn duration(of: Duration) -> String {
    match of.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_share_rows_rate_and_what_is_left_and_fits_a_terminal() {
        let check = |what, rows, of, share, seconds, expected: &str| {
            let took = Duration::from_secs(seconds);
            let seen = Seen {
                what,
                rows,
                of,
                share,
                took,
            };
            assert_eq!(seen.line(took), expected);
            assert!(expected.len() < 90 && expected.is_ascii());
        };
        check(
            "sending",
            75_000,
            None,
            Some((25, 100)),
            10,
            "sending [##--------] 25 %, 30 s left, 75,000 rows, 7,500/s",
        );
        check(
            "sending",
            1_200,
            None,
            None,
            60,
            "sending, 1,200 rows, 20/s, 1 min 00 s so far",
        );
        check(
            "taking",
            5_000_000,
            Some(10_000_000),
            Some((1, 2)),
            3_599,
            "taking [#####-----] 50 %, 59 min 59 s left, 5,000,000 of 10,000,000 rows, 1,389/s",
        );
        check(
            "sending",
            0,
            None,
            Some((0, 0)),
            0,
            "sending [----------] 0 %, 0 rows, 0 s so far",
        );
    }
}
