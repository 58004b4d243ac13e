//! How far a file of reports is, where somebody watches: one line on standard error, in plain ASCII.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Before it nobody can tell how long the rest takes.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// A line about a file; nothing where standard error is no terminal.
pub struct Line {
    line: Option<ProgressBar>,
    /// Answers are shown where the line is: it makes way for each of them.
    same_terminal: bool,
    /// Length of the file in bytes; none where nobody knows it.
    bytes: Option<u64>,
    began: Instant,
}

impl Line {
    /// About a file of so many bytes.
    pub fn over(bytes: Option<u64>) -> Self {
        let line = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_msg}");
            ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            line,
            same_terminal: std::io::stdout().is_terminal(),
            bytes,
            began: Instant::now(),
        }
    }

    /// Draws it: so many reports were answered, so many of them refused, so many bytes done.
    pub fn draw(&self, answered: u64, refused: u64, done: u64) {
        if let Some(line) = &self.line {
            let share = self.bytes.map(|all| (done.min(all), all));
            line.set_message(told(answered, refused, share, self.began.elapsed()));
        }
    }

    /// Says something on standard output, above the line where both go to a terminal.
    pub fn above(&self, say: impl FnOnce()) {
        match &self.line {
            Some(line) if self.same_terminal => line.suspend(say),
            _ => say(),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

/// What the line says, what matters most first: a narrow terminal shows its beginning.
fn told(answered: u64, refused: u64, share: Option<(u64, u64)>, took: Duration) -> String {
    let known = took > TOLD_AFTER;
    let mut told = match share {
        Some((done, all)) if all > 0 => format!("sending {} %", done * 100 / all),
        _ => "sending".to_owned(),
    };
    if let Some((done, all)) = share
        && known
        && done > 0
    {
        let left = took.mul_f64((all - done) as f64 / done as f64);
        told.push_str(&format!(", {} s left", left.as_secs()));
    }
    told.push_str(&format!(", {answered} reports"));
    if refused > 0 {
        told.push_str(&format!(", {refused} refused"));
    }
    if known {
        let rate = answered as f64 / took.as_secs_f64();
        told.push_str(&format!(", {}/s", rate as u64));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_share_reports_rate_and_what_is_left() {
        let check = |answered, refused, share, seconds, expected: &str| {
            let told = told(answered, refused, share, Duration::from_secs(seconds));
            assert_eq!(told, expected);
        };
        check(0, 0, Some((0, 0)), 0, "sending, 0 reports");
        check(0, 0, Some((0, 10)), 9, "sending 0 %, 0 reports, 0/s");
        check(
            500,
            3,
            Some((25, 100)),
            10,
            "sending 25 %, 30 s left, 500 reports, 3 refused, 50/s",
        );
        check(7, 0, None, 1, "sending, 7 reports");
    }
}
