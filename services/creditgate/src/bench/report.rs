//! What a benchmark found: rows of figures, each with its aim, in one form for every benchmark.
//!
//! A benchmark makes [`Row`]s and nothing else. [`Report`] prints them for the terminal and writes
//! them as Markdown and JSON, with the machine and the command line they belong to.

use std::fmt;
use std::fs::{self, OpenOptions};

use serde::{Serialize, Serializer};

use super::machine::About;
use super::table;
use crate::cli::bench::ReportArgs;
use crate::failure::Failure;

/// The least, the middle and the greatest of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of the values of some rounds; none when there is no value that is a number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        Some(Self {
            min: *values.first()?,
            median: *values.get(values.len() / 2)?,
            max: *values.last()?,
        })
    }
}

/// What a figure should reach; compared with the middle value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
    /// Less than this.
    Under(f64),
}

impl Aim {
    fn is_reached_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Under(bound) => value < bound,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {}", table::figure(*bound)),
            Self::AtMost(bound) => write!(f, "≤ {}", table::figure(*bound)),
            Self::Under(bound) => write!(f, "< {}", table::figure(*bound)),
        }
    }
}

impl Serialize for Aim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether a figure is what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reached {
    /// It is.
    Yes,
    /// It is not, or there is no figure where there should be one.
    No,
    /// Nobody said what it should be.
    None,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The benchmark, as it is called on the command line.
    pub bench: String,
    /// What was measured.
    pub what: String,
    /// The unit of the values; empty for a count, `×` for a ratio.
    pub unit: String,
    /// The values over the rounds; none when nothing was measured.
    #[serde(flatten)]
    pub spread: Option<Spread>,
    /// What it should be.
    pub aim: Option<Aim>,
    /// Whether it is.
    pub reached: Reached,
    /// What a reader must know besides, such as why there are no values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Row {
    /// A figure that was measured in several rounds.
    pub fn new(
        bench: &str,
        what: impl Into<String>,
        unit: &str,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        Self::of_spread(bench, what, unit, Spread::of(values))
    }

    /// A figure that was measured once.
    pub fn once(bench: &str, what: impl Into<String>, unit: &str, value: f64) -> Self {
        Self::new(bench, what, unit, [value])
    }

    /// A figure whose spread is known.
    pub fn of_spread(
        bench: &str,
        what: impl Into<String>,
        unit: &str,
        spread: Option<Spread>,
    ) -> Self {
        Self {
            bench: bench.to_owned(),
            what: what.into(),
            unit: unit.to_owned(),
            spread,
            aim: None,
            reached: Reached::None,
            note: None,
        }
    }

    /// A benchmark that did not run, and why.
    pub fn left_out(bench: &str, why: impl fmt::Display) -> Self {
        Self::of_spread(bench, "everything", "", None).note(format!("left out: {why}"))
    }

    /// A benchmark that broke off, and why.
    pub fn failed(bench: &str, why: impl fmt::Display) -> Self {
        let mut row = Self::of_spread(bench, "everything", "", None).note(format!("failed: {why}"));
        row.reached = Reached::No;
        row
    }

    /// What it should be.
    #[must_use]
    pub fn aim(mut self, aim: Aim) -> Self {
        let reached = self
            .spread
            .is_some_and(|spread| aim.is_reached_by(spread.median));
        self.reached = if reached { Reached::Yes } else { Reached::No };
        self.aim = Some(aim);
        self
    }

    /// What a reader must know besides.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// The rows of a run, and what they belong to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Machine, program and command line.
    pub about: About,
    /// The figures.
    pub rows: Vec<Row>,
}

impl Report {
    /// Prints the table on standard output and writes the files that were asked for.
    pub fn tell(&self, args: &ReportArgs) -> Result<(), Failure> {
        for line in table::lines(&self.rows) {
            say!("{line}");
        }
        say!();
        for (name, value) in self.about.pairs() {
            say!("{name:<13} {value}");
        }
        if let Some(path) = &args.markdown {
            fs::write(path, table::markdown(self))
                .map_err(|error| Failure::new(format!("write `{}`", path.display()), error))?;
        }
        if let Some(path) = &args.json {
            let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
                Failure::new(format!("write `{}`", path.display()), error)
            };
            let mut text =
                serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
            text.push('\n');
            fs::write(path, text).map_err(|error| failed(error.into()))?;
        }
        Ok(())
    }
}

/// Makes sure that the files can be written, before minutes go into what they shall hold.
pub fn try_files(args: &ReportArgs) -> Result<(), Failure> {
    for path in args.markdown.iter().chain(&args.json) {
        // What is in a file stays until there is something new.
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| Failure::new(format!("open `{}`", path.display()), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_least_middle_and_greatest() {
        let spread = Spread::of([3.0, 1.0, f64::NAN, 2.0]);
        assert_eq!(
            spread,
            Some(Spread {
                min: 1.0,
                median: 2.0,
                max: 3.0
            })
        );
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::INFINITY]), None);
    }

    #[test]
    fn an_aim_is_compared_with_the_middle_value() {
        let reached = |aim, values: [f64; 3]| Row::new("gate", "x", "", values).aim(aim).reached;
        assert_eq!(reached(Aim::AtLeast(0.9), [0.1, 0.9, 1.0]), Reached::Yes);
        assert_eq!(reached(Aim::AtLeast(0.9), [0.1, 0.8, 1.0]), Reached::No);
        assert_eq!(reached(Aim::AtMost(3.0), [1.0, 3.0, 9.0]), Reached::Yes);
        assert_eq!(reached(Aim::AtMost(3.0), [1.0, 3.1, 9.0]), Reached::No);
        assert_eq!(reached(Aim::Under(3.0), [1.0, 3.0, 9.0]), Reached::No);
    }

    #[test]
    fn an_aim_without_a_figure_is_not_reached() {
        let row = Row::new("gate", "x", "ms", []).aim(Aim::AtMost(1.0));
        assert_eq!(row.reached, Reached::No);
        assert_eq!(
            Row::left_out("stream", "no --kafka given").reached,
            Reached::None
        );
        assert_eq!(Row::failed("stream", "no broker").reached, Reached::No);
    }

    #[test]
    fn json_has_the_figures_beside_what_they_are() {
        let row = Row::new("gate", "unary: ratio", "×", [0.4, 0.5, 0.6]).aim(Aim::AtLeast(0.9));
        let expected = serde_json::json!({
            "bench": "gate", "what": "unary: ratio", "unit": "×",
            "min": 0.4, "median": 0.5, "max": 0.6,
            "aim": "≥ 0.90", "reached": "no",
        });
        assert_eq!(serde_json::to_value(row).expect("JSON"), expected);
        let left_out = serde_json::json!({
            "bench": "stream", "what": "everything", "unit": "",
            "aim": null, "reached": "none", "note": "left out: no --kafka given",
        });
        let row = Row::left_out("stream", "no --kafka given");
        assert_eq!(serde_json::to_value(row).expect("JSON"), left_out);
    }

    #[test]
    fn a_report_is_written_in_both_forms() {
        let dir = tempfile::tempdir().expect("a directory");
        let args = ReportArgs {
            markdown: Some(dir.path().join("report.md")),
            json: Some(dir.path().join("report.json")),
        };
        try_files(&args).expect("files");
        let report = Report {
            about: About::now(dir.path(), Some(7)),
            rows: vec![Row::once("gate", "unary: rate", "checks/s", 20_000.0)],
        };
        report.tell(&args).expect("files");
        let read = |path: &Option<std::path::PathBuf>| {
            fs::read_to_string(path.as_deref().expect("a path")).expect("text")
        };
        let json: serde_json::Value = serde_json::from_str(&read(&args.json)).expect("JSON");
        assert_eq!(json["about"]["seed"], 7);
        assert_eq!(json["rows"][0]["median"], 20_000.0);
        assert!(
            json["about"]["cores"]
                .as_u64()
                .is_some_and(|cores| cores > 0)
        );
        assert!(json["about"]["fsync_p50_us"].is_number());
        let markdown = read(&args.markdown);
        assert!(
            markdown.contains("| gate | unary: rate | 20,000 |"),
            "{markdown}"
        );
        let elsewhere = ReportArgs {
            json: Some(dir.path().join("missing").join("report.json")),
            ..ReportArgs::default()
        };
        assert!(try_files(&elsewhere).is_err());
    }
}
