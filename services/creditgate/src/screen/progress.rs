//! How far a screening is, where somebody watches: one line on standard error, in plain ASCII and as wide as the terminal
//! at most.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Cells of the bar.
const CELLS: usize = 10;

/// Before it nobody can tell how long the rest takes.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// A line about a screening; nothing where standard error is no terminal.
pub struct Bar {
    line: Option<ProgressBar>,
    began: Instant,
    /// Rows that were done before this run.
    before: usize,
    all: usize,
}

impl Bar {
    /// About so many rows.
    pub fn over(before: usize, all: usize) -> Self {
        let line = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_msg}");
            ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            line,
            began: Instant::now(),
            before,
            all,
        }
    }

    /// Draws it; so many rows are done.
    pub fn draw(&self, done: usize) {
        if let Some(line) = &self.line {
            line.set_message(told(self.before, done, self.all, self.began.elapsed()));
            line.tick();
        }
    }

    /// Says something above the line.
    pub fn note(&self, told: &str) {
        match &self.line {
            Some(line) => line.suspend(|| note!("{told}")),
            None => note!("{told}"),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

/// What matters most first: a narrow terminal shows the beginning.
fn told(before: usize, done: usize, all: usize, took: Duration) -> String {
    let all = all.max(1);
    let cell = |at| {
        if at * all < done * CELLS { '#' } else { '-' }
    };
    let bar: String = (0..CELLS).map(cell).collect();
    let mut line = format!("checking [{bar}] {} %", done * 100 / all);
    let now = done.saturating_sub(before);
    if took > TOLD_AFTER && now > 0 && done < all {
        let left = took.mul_f64((all - done) as f64 / now as f64).as_secs();
        line.push_str(&format!(", {} min {:02} s left", left / 60, left % 60));
    }
    line.push_str(&format!(", {done} of {all} rows"));
    if took > TOLD_AFTER && now > 0 {
        line.push_str(&format!(", {:.0}/s", now as f64 / took.as_secs_f64()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_share_rows_rate_and_what_is_left_of_this_run() {
        let check = |before, done, seconds, expected: &str| {
            let line = told(before, done, 1_000, Duration::from_secs(seconds));
            assert_eq!(line, expected);
            assert!(line.is_ascii() && line.len() < 80);
        };
        check(0, 0, 0, "checking [----------] 0 %, 0 of 1000 rows");
        check(
            500,
            750,
            10,
            "checking [########--] 75 %, 0 min 10 s left, 750 of 1000 rows, 25/s",
        );
        check(
            0,
            1_000,
            10,
            "checking [##########] 100 %, 1000 of 1000 rows, 100/s",
        );
    }
}
