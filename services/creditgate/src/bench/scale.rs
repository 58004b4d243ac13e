//! `creditgate bench scale`: what twenty million entries cost, in a decision, in memory and at a restart.
//!
//! First the decision alone over lists of growing size ([`index`]), then the whole service with the
//! largest of them ([`service`]). Everything is invented and follows from the seed.

mod book;
mod index;
mod live;
mod service;

use std::process::ExitCode;

use crate::cli::BenchScaleArgs;
use crate::failure::Failure;

/// Sizes of the lists over which a decision is timed.
const SIZES: [u64; 5] = [10_000, 100_000, 1_000_000, 10_000_000, 20_000_000];
const SIZES_QUICK: usize = 3;

/// One figure of a benchmark.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// In which unit; `×` for a ratio.
    pub unit: &'static str,
    /// The values, one a round.
    pub values: Vec<f64>,
    /// What it should be at most.
    pub at_most: Option<f64>,
}

impl Figure {
    /// A figure that was measured once.
    fn once(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            values: vec![value],
            at_most: None,
        }
    }

    /// The same figure, which should be at most this.
    fn at_most(self, aim: f64) -> Self {
        Self {
            at_most: Some(aim),
            ..self
        }
    }

    /// The least, the middle and the greatest value.
    fn spread(&self) -> (f64, f64, f64) {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        (at(0), at(values.len() / 2), at(last))
    }
}

/// Measures and prints the table.
pub async fn run(args: &BenchScaleArgs) -> Result<ExitCode, Failure> {
    let figures = figures(args).await?;
    tell(&figures);
    Ok(ExitCode::SUCCESS)
}

/// Measures.
pub async fn figures(args: &BenchScaleArgs) -> Result<Vec<Figure>, Failure> {
    let temporary = tempfile::tempdir().map_err(|error| Failure::new("make a directory", error))?;
    let dir = args.data_dir.as_deref().unwrap_or(temporary.path());
    let most = args.entries.unwrap_or(match args.quick {
        true => 1_000_000,
        false => 20_000_000,
    });
    let mut sizes: Vec<u64> = SIZES.into_iter().filter(|size| *size <= most).collect();
    if args.quick {
        sizes.truncate(SIZES_QUICK);
    }
    let rounds = if args.quick { 5 } else { 11 };
    let mut figures = Vec::new();
    if !args.without_index {
        let dir = dir.join("index");
        std::fs::create_dir_all(&dir).map_err(|error| Failure::new("make a directory", error))?;
        let seed = args.seed;
        let measured = tokio::task::spawn_blocking({
            let dir = dir.clone();
            move || index::measure(&dir, &sizes, rounds, seed)
        });
        figures = measured
            .await
            .map_err(|error| Failure::new("measure the decision", error))??;
        std::fs::remove_dir_all(&dir).map_err(|error| Failure::new("remove a directory", error))?;
    }
    if !args.without_service {
        figures.extend(service::measure(&dir.join("service"), most, args).await?);
    }
    Ok(figures)
}

fn tell(figures: &[Figure]) {
    say!(
        "{:<64} {:>12} {:>12} {:>12}  {:<6} {:>10}",
        "",
        "least",
        "median",
        "most",
        "unit",
        "aim"
    );
    for figure in figures {
        let (least, median, most) = figure.spread();
        let aim = figure.at_most.map_or(String::new(), |aim| {
            let missed = if median > aim { " !" } else { "" };
            format!("≤ {aim}{missed}")
        });
        say!(
            "{:<64} {least:>12.2} {median:>12.2} {most:>12.2}  {:<6} {aim:>10}",
            figure.name,
            figure.unit
        );
    }
}
