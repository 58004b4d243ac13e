//! The book as tables: the published list (公布清单) with its columns, and what stands beside it.
//!
//! Pure: a table is cells of text; how it is written down is [`Table::markdown`] or [`Table::csv`].
//! Everything a book knows, without loss, is [`json`].

mod cells;
mod clocks;
mod detail;
pub mod json;
pub mod words;

pub use detail::{list, notice, row};

use super::Book;
use crate::vocabulary::Direction;

/// The mark by which spreadsheets know that a CSV is UTF-8.
pub const UTF8_MARK: &str = "\u{feff}";

/// Which part of a book a table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// 失信惩戒措施清单.
    Penalties,
    /// 守信激励措施清单.
    Incentives,
    /// The lists of subjects.
    Lists,
    /// The scenarios with their stages.
    Scenarios,
    /// What the sources name and the book does not hold.
    NotExpressed,
    /// The rules on credit repair, with their periods and limits.
    Repair,
    /// The working calendars.
    Calendar,
    /// The templates of notices.
    Notices,
}

/// A table: a title, headings, and rows of as many cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Title.
    pub title: String,
    /// Headings.
    pub headings: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

impl Part {
    /// The table of this part.
    #[must_use]
    pub fn table(self, book: &Book) -> Table {
        let title = match self {
            Self::Penalties => "失信惩戒措施清单",
            Self::Incentives => "守信激励措施清单",
            Self::Lists => "信用名单",
            Self::Scenarios => "业务场景",
            Self::NotExpressed => "未收录事项",
            Self::Repair => "信用修复规则和办理时限",
            Self::Calendar => "工作日历",
            Self::Notices => "告知文书",
        };
        let (headings, rows) = match self {
            Self::Penalties => cells::penalties(book),
            Self::Incentives => cells::incentives(book),
            Self::Lists => cells::lists(book),
            Self::Scenarios => cells::scenarios(book),
            Self::NotExpressed => cells::not_expressed(book),
            Self::Repair => clocks::repair(book),
            Self::Calendar => clocks::calendar(book),
            Self::Notices => clocks::notices(book),
        };
        Table {
            title: format!("{title}（{}）", book.title().zh),
            headings,
            rows,
        }
    }

    const fn of(direction: Direction) -> Self {
        match direction {
            Direction::Penalty => Self::Penalties,
            Direction::Incentive => Self::Incentives,
        }
    }
}

/// The table's rows of one id, or the one row of a list or notice; none when the book has none.
#[must_use]
pub fn of(book: &Book, id: &str) -> Option<Table> {
    let row = book.measures().iter().find(|row| row.id.as_str() == id);
    let part = match row {
        Some(row) => Part::of(row.action.direction()),
        None if book.list(id).is_some() => Part::Lists,
        None => book.notice(id).map(|_| Part::Notices)?,
    };
    Some(part.table(book).only(id))
}

impl Table {
    /// The rows whose 编号 is this one.
    fn only(mut self, id: &str) -> Self {
        let column = self.headings.iter().position(|heading| *heading == "编号");
        self.rows.retain(|row| {
            column
                .and_then(|at| row.get(at))
                .is_some_and(|cell| cell == id)
        });
        self
    }

    /// As Markdown; a row stays on its line.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n", self.title);
        let mut line = |cells: &mut dyn Iterator<Item = String>| {
            let cells: Vec<String> = cells.collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        };
        line(&mut self.headings.iter().map(|heading| (*heading).to_owned()));
        line(&mut self.headings.iter().map(|_| "---".to_owned()));
        for row in &self.rows {
            line(&mut row.iter().map(|cell| escaped(cell)));
        }
        out
    }

    /// As CSV of RFC 4180, without a mark.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut out = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells.map(quoted).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        };
        line(&mut self.headings.iter().copied());
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str));
        }
        out
    }
}

/// Markdown takes `|` for the next cell and a line break for the next row.
fn escaped(cell: &str) -> String {
    cell.trim()
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('\n', "<br>")
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_a_cell_whatever_stands_in_it() {
        let table = Table {
            title: "题".to_owned(),
            headings: vec!["一", "二"],
            rows: vec![vec!["a|b\nc".to_owned(), "d,\"e\"".to_owned()]],
        };
        assert_eq!(
            table.markdown(),
            "# 题\n\n| 一 | 二 |\n| --- | --- |\n| a\\|b<br>c | d,\"e\" |\n"
        );
        assert_eq!(table.csv(), "一,二\r\n\"a|b\nc\",\"d,\"\"e\"\"\"\r\n");
    }
}
