//! Figures over rounds, and lines of a Markdown table.

/// A figure over the rounds.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// Adds a round's.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The smallest, 0 without a round.
    pub fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(0.0)
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.sorted().get(self.0.len() / 2).copied().unwrap_or(0.0)
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(0.0)
    }

    /// This figure over another one, round by round: both of a round met the same machine.
    pub fn over(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(own, other)| own / other)
                .collect(),
        )
    }

    /// Smallest, middle and largest with so many decimals.
    pub fn spread(&self, decimals: usize) -> String {
        format!(
            "{:.decimals$} / {:.decimals$} / {:.decimals$}",
            self.min(),
            self.median(),
            self.max()
        )
    }
}

/// Prints a line of a table.
pub fn line(cells: &[&str]) {
    println!("| {} |", cells.join(" | "));
}

/// Prints the head of a table, its first column to the left and the others to the right.
pub fn head(cells: &[&str]) {
    line(cells);
    let rules: Vec<&str> = (0..cells.len())
        .map(|at| if at == 0 { "---" } else { "---:" })
        .collect();
    line(&rules);
}

/// Says of an aim whether it was reached.
pub fn aim(what: &str, seen: &Figures, least: f64) {
    let seen_median = seen.median();
    let word = if seen_median >= least {
        "reached"
    } else if seen_median >= 1.0 {
        "missed"
    } else {
        "missed, and ours is the slower one"
    };
    println!(
        "- {what}: {} (min / median / max), aim {least}: {word}",
        seen.spread(1)
    );
}
