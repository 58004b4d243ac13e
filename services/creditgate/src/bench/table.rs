//! A report as text: aligned columns for the terminal, and Markdown.

use super::report::{Reached, Report, Row, Spread};

/// The columns.
const HEAD: [&str; 8] = [
    "bench", "what", "median", "min", "max", "unit", "aim", "reached",
];
/// Which of them stand to the right.
const NUMBERS: std::ops::Range<usize> = 2..5;

/// A value with as many digits as are worth reading.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        return grouped(value);
    }
    let digits = match size {
        _ if value.fract() == 0.0 => 0,
        100.0.. => 0,
        10.0.. => 1,
        0.1.. => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}

/// A great value, rounded, with a comma after each three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn cells(row: &Row) -> [String; 8] {
    // The ends say something only where they differ from the middle.
    let end = |of: fn(&Spread) -> f64| {
        let spread = row.spread.filter(|spread| spread.min < spread.max);
        spread.map_or_else(String::new, |spread| figure(of(&spread)))
    };
    let middle = row
        .spread
        .map_or_else(|| "-".to_owned(), |spread| figure(spread.median));
    let reached = match row.reached {
        Reached::Yes => "yes",
        Reached::No => "no",
        Reached::None => "",
    };
    let note = row.note.as_deref().unwrap_or_default();
    [
        row.bench.clone(),
        row.what.clone(),
        middle,
        end(|spread| spread.min),
        end(|spread| spread.max),
        row.unit.clone(),
        row.aim.map(|aim| aim.to_string()).unwrap_or_default(),
        match (reached, note) {
            (reached, "") => reached.to_owned(),
            ("", note) => note.to_owned(),
            (reached, note) => format!("{reached}; {note}"),
        },
    ]
}

/// The rows for the terminal: a head, and one line for each.
pub fn lines(rows: &[Row]) -> Vec<String> {
    let mut all = vec![HEAD.map(str::to_owned)];
    all.extend(rows.iter().map(cells));
    let mut widths = [0; HEAD.len()];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 8]| {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = match NUMBERS.contains(&at) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            };
            line.push_str(&cell);
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

/// A report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from("# Benchmark\n\n");
    for (name, value) in report.about.pairs() {
        text.push_str(&format!("- {name}: {value}\n"));
    }
    text.push('\n');
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    };
    line(&HEAD.map(str::to_owned));
    line(&std::array::from_fn::<_, { HEAD.len() }, _>(|at| {
        String::from(if NUMBERS.contains(&at) { "--:" } else { "---" })
    }));
    for row in &report.rows {
        line(&cells(row));
    }
    text
}

/// A cell must not end early, nor may it hold a line's end.
fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::report::Aim;
    use super::*;

    fn rows() -> Vec<Row> {
        vec![
            Row::new(
                "gate",
                "unary: checks",
                "checks/s",
                [19_800.0, 21_000.4, 20_123.0],
            ),
            Row::new("gate", "unary: ratio", "×", [0.41, 0.44, 0.43]).aim(Aim::AtLeast(0.9)),
            Row::once("sustained", "errors", "", 0.0).aim(Aim::AtMost(0.0)),
            Row::left_out("stream", "no --kafka given"),
        ]
    }

    #[test]
    fn figures_have_the_digits_that_are_worth_reading() {
        for (value, text) in [
            (0.0, "0"),
            (0.0123, "0.0123"),
            (0.9, "0.90"),
            (3.0, "3"),
            (3.25, "3.25"),
            (42.25, "42.2"),
            (123.6, "124"),
            (1_234.4, "1,234"),
            (-200_000.0, "-200,000"),
            (12_345_678.0, "12,345,678"),
        ] {
            assert_eq!(figure(value), text, "{value}");
        }
    }

    #[test]
    fn the_table_stands_in_columns() {
        let expected = "\
bench      what           median     min     max  unit      aim     reached
gate       unary: checks  20,123  19,800  21,000  checks/s
gate       unary: ratio     0.43    0.41    0.44  ×         ≥ 0.90  no
sustained  errors              0                            ≤ 0     yes
stream     everything          -                                    left out: no --kafka given";
        assert_eq!(lines(&rows()).join("\n"), expected);
    }

    #[test]
    fn a_cell_of_markdown_ends_where_it_should() {
        assert_eq!(escaped("a|b\nc"), "a\\|b c");
    }
}
