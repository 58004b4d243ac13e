//! The two layouts in which lists of measures are published, recognised by their column headings.

use super::sheet::{Line, Sheet};

/// Lines above the headings: a title, a unit, a day.
const LINES_ABOVE_MAX: usize = 20;

/// Which table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// 惩戒内容 | 惩戒对象 | 法规政策依据 | 实施主体, the class on the left.
    Penalties,
    /// 序号 | 守信激励事项 | 激励内容 | 激励对象 | 政策依据 | 实施层级 | 实施频次.
    Incentives,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// 类别.
    Class,
    /// 国家清单事项.
    Item,
    /// 惩戒措施, 守信激励事项.
    Title,
    /// 惩戒内容, 激励内容.
    Content,
    /// 惩戒对象, 激励对象.
    Targets,
    /// 法规政策依据, 政策依据.
    Basis,
    /// 实施主体.
    Implementer,
    /// 实施层级.
    Level,
    /// 实施频次.
    Frequency,
}

/// A column with its headings, without which the table is not of the layout.
struct Known {
    column: Column,
    headings: &'static [&'static str],
    needed: bool,
}

const fn known(column: Column, needed: bool, headings: &'static [&'static str]) -> Known {
    Known {
        column,
        headings,
        needed,
    }
}

const PENALTIES: [Known; 7] = [
    known(Column::Item, false, &["国家清单事项", "清单事项"]),
    known(
        Column::Class,
        false,
        &["类别", "措施类别", "惩戒类别", "惩戒措施类别"],
    ),
    known(
        Column::Title,
        false,
        &["惩戒措施", "惩戒事项", "惩戒措施(事项)", "措施名称", "事项"],
    ),
    known(Column::Content, true, &["惩戒内容"]),
    known(Column::Targets, true, &["惩戒对象"]),
    known(
        Column::Basis,
        true,
        &["法规政策依据", "法律法规政策依据", "政策依据", "实施依据"],
    ),
    known(Column::Implementer, true, &["实施主体", "实施单位"]),
];

const INCENTIVES: [Known; 7] = [
    known(
        Column::Title,
        true,
        &["守信激励事项", "激励事项", "激励措施", "守信激励措施"],
    ),
    known(Column::Content, true, &["激励内容"]),
    known(Column::Targets, true, &["激励对象"]),
    known(
        Column::Basis,
        true,
        &["政策依据", "法规政策依据", "实施依据"],
    ),
    known(Column::Level, false, &["实施层级"]),
    known(Column::Frequency, false, &["实施频次"]),
    known(Column::Implementer, false, &["实施主体", "实施单位"]),
];

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 2] = [Self::Penalties, Self::Incentives];

    const fn columns(self) -> &'static [Known] {
        match self {
            Self::Penalties => &PENALTIES,
            Self::Incentives => &INCENTIVES,
        }
    }

    /// Its name, as `--layout` takes it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Penalties => "penalties",
            Self::Incentives => "incentives",
        }
    }

    /// The headings by which it is known, for messages.
    fn expected(self) -> String {
        let needed = self.columns().iter().filter(|known| known.needed);
        let headings: Vec<&str> = needed
            .filter_map(|known| known.headings.first().copied())
            .collect();
        format!("{}: {}", self.code(), headings.join(" | "))
    }

    /// Where the columns stand in a line of headings, when all that are needed are there.
    fn columns_of(self, line: &Line) -> Option<Vec<(Column, usize)>> {
        let headings: Vec<String> = line.cells.iter().map(|cell| heading(cell)).collect();
        let place = |known: &Known| {
            headings
                .iter()
                .position(|heading| known.headings.contains(&heading.as_str()))
                .map(|at| (known.column, at))
        };
        let all_needed = self
            .columns()
            .iter()
            .all(|known| !known.needed || place(known).is_some());
        let mut columns: Vec<_> = self.columns().iter().filter_map(place).collect();
        let has = |column| columns.iter().any(|(known, _)| *known == column);
        // In the national list the left-hand column is the class, often without a heading.
        let unnamed = headings.first().is_some_and(String::is_empty);
        if self == Self::Penalties && unnamed && !has(Column::Class) {
            columns.push((Column::Class, 0));
        }
        all_needed.then_some(columns)
    }
}

/// A heading without white space, its brackets of one kind.
fn heading(cell: &str) -> String {
    cell.chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            other => other,
        })
        .collect()
}

/// A table whose layout is known.
#[derive(Debug)]
pub struct Table<'s> {
    /// The layout.
    pub layout: Layout,
    /// Name of the sheet.
    pub sheet: &'s str,
    columns: Vec<(Column, usize)>,
    lines: &'s [Line],
}

/// One row of a table, cell by cell.
#[derive(Debug)]
pub struct TableRow<'s> {
    /// Its number in the file.
    pub number: u64,
    /// The last heading over a section, such as the class in the national list.
    pub section: Option<&'s str>,
    columns: &'s [(Column, usize)],
    line: &'s Line,
    class: Option<&'s str>,
    title_above: Option<&'s str>,
}

/// Finds the table among the sheets.
///
/// # Errors
/// When no sheet has the headings of a known layout; names those found and those expected.
pub fn recognise<'s>(sheets: &'s [Sheet], wanted: Option<Layout>) -> Result<Table<'s>, String> {
    let layouts: Vec<Layout> = match wanted {
        Some(layout) => vec![layout],
        None => Layout::ALL.to_vec(),
    };
    for sheet in sheets {
        for (at, line) in sheet.lines.iter().enumerate().take(LINES_ABOVE_MAX) {
            for layout in &layouts {
                if let Some(columns) = layout.columns_of(line) {
                    return Ok(Table {
                        layout: *layout,
                        sheet: &sheet.name,
                        columns,
                        lines: sheet.lines.get(at + 1..).unwrap_or_default(),
                    });
                }
            }
        }
    }
    Err(not_recognised(sheets, &layouts))
}

fn not_recognised(sheets: &[Sheet], layouts: &[Layout]) -> String {
    // The fullest of the first lines is what a person would call the headings.
    let headings = |sheet: &Sheet| {
        let filled = |line: &&Line| line.cells.iter().filter(|cell| !cell.is_empty()).count();
        let first = sheet.lines.iter().take(LINES_ABOVE_MAX).rev();
        let fullest = first.max_by_key(filled)?;
        let cells: Vec<String> = fullest.cells.iter().map(|cell| heading(cell)).collect();
        let name = match sheet.name.as_str() {
            "" => String::new(),
            name => format!("sheet `{name}`, "),
        };
        Some(format!(
            "{name}row {}: {}",
            fullest.number,
            cells.join(" | ")
        ))
    };
    let found: Vec<String> = sheets.iter().filter_map(headings).collect();
    let found = match found.as_slice() {
        [] => "  nothing, the table is empty".to_owned(),
        found => format!("  {}", found.join("\n  ")),
    };
    let expected: Vec<String> = layouts.iter().map(|layout| layout.expected()).collect();
    format!(
        "no line has the headings of a published list of measures; found\n{found}\nexpected\n  {}",
        expected.join("\n  ")
    )
}

impl<'s> Table<'s> {
    /// The rows: headings that come again are passed over, sections and classes carried on.
    pub fn rows(&'s self) -> Vec<TableRow<'s>> {
        let mut rows = Vec::new();
        let (mut section, mut class, mut title) = (None, None, None);
        for line in self.lines {
            if self.layout.columns_of(line).is_some() {
                continue;
            }
            if let Some(heading) = section_heading(line) {
                (section, class, title) = (Some(heading), None, None);
                continue;
            }
            let mut row = TableRow {
                number: line.number,
                section,
                columns: &self.columns,
                line,
                class,
                title_above: None,
            };
            if let Some(own) = row.cell(Column::Class) {
                (class, title) = (Some(own), None);
            }
            title = row.cell(Column::Title).or(title);
            (row.class, row.title_above) = (class, title);
            rows.push(row);
        }
        rows
    }
}

/// The text of a line that says one thing over its whole width, or in its first cell alone. A single
/// cell elsewhere belongs to a row, most of which is missing.
fn section_heading(line: &Line) -> Option<&str> {
    let text = line.cells.first().filter(|cell| !cell.is_empty())?;
    let others = line.cells.get(1..).unwrap_or_default();
    let alone = others.iter().all(|cell| cell.is_empty() || cell == text);
    (alone && !others.is_empty()).then_some(text.as_str())
}

impl<'s> TableRow<'s> {
    /// The cell of a column; none when the table has no such column or the cell is empty.
    pub fn cell(&self, column: Column) -> Option<&'s str> {
        let (_, at) = self.columns.iter().find(|(known, _)| *known == column)?;
        let text = self.line.cells.get(*at)?.as_str();
        (!text.is_empty()).then_some(text)
    }

    /// Its title, or the last one above it in the same class: what a merged cell leaves behind in CSV.
    pub fn title_above(&self) -> Option<&'s str> {
        self.title_above
    }

    /// The class that holds for the row: its own cell, the last one above, or the section's heading.
    pub fn class(&self) -> Option<&'s str> {
        self.class.or(self.section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(lines: &[&[&str]]) -> Sheet {
        let line = |(at, cells): (usize, &&[&str])| Line {
            number: at as u64 + 1,
            cells: cells.iter().map(|cell| (*cell).to_owned()).collect(),
        };
        Sheet {
            name: "表1".to_owned(),
            lines: lines.iter().enumerate().map(line).collect(),
        }
    }

    #[test]
    fn the_published_layouts_are_known_by_their_headings() {
        let penalties = sheet(&[
            &["失信惩戒措施基础清单", "", "", "", ""],
            &["", "惩戒\n内容", "惩戒 对象", "法规政策　依据", "实施主体"],
            &["一类", "限制准入", "企业", "《某法》第一条", "某机关"],
            &["", "限制任职", "个人", "《某法》第二条", "某机关"],
        ]);
        let sheets = [penalties];
        let table = recognise(&sheets, None).expect("penalties");
        assert_eq!(table.layout, Layout::Penalties);
        let rows = table.rows();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].number, 4);
        assert_eq!(rows[1].class(), Some("一类"), "carried on");
        assert_eq!(rows[1].cell(Column::Targets), Some("个人"));

        let merged = [sheet(&[
            &[
                "类别",
                "惩戒措施",
                "惩戒内容",
                "惩戒对象",
                "政策依据",
                "实施主体",
            ],
            &["一类", "限制任职", "甲", "企业", "《某法》", "某机关"],
            &["", "", "乙", "企业", "《某法》", "某机关"],
            &["二类", "", "丙", "企业", "《某法》", "某机关"],
        ])];
        let table = recognise(&merged, None).expect("penalties");
        let above: Vec<_> = table.rows().iter().map(TableRow::title_above).collect();
        assert_eq!(above, [Some("限制任职"), Some("限制任职"), None]);

        let incentives = [sheet(&[
            &[
                "序号",
                "守信激励事项",
                "激励内容",
                "激励对象",
                "政策依据",
                "实施层级",
                "实施频次",
            ],
            &[
                "1",
                "优先办理",
                "优先",
                "企业",
                "《某条例》",
                "市级",
                "每年",
            ],
        ])];
        let table = recognise(&incentives, None).expect("incentives");
        assert_eq!(table.layout, Layout::Incentives);
        assert_eq!(table.rows()[0].cell(Column::Frequency), Some("每年"));
        assert_eq!(table.rows()[0].cell(Column::Implementer), None);
    }

    #[test]
    fn a_heading_over_a_section_is_the_class_of_its_rows() {
        let sheets = [sheet(&[
            &["惩戒内容", "惩戒对象", "法规政策依据", "实施主体"],
            &[
                "减损权益的措施",
                "减损权益的措施",
                "减损权益的措施",
                "减损权益的措施",
            ],
            &["限制准入", "企业", "《某法》第一条", "某机关"],
            &["惩戒内容", "惩戒对象", "法规政策依据", "实施主体"],
            &["从严授信", "企业", "《某法》第二条", "银行"],
            &["", "", "《某法》第三条", ""],
        ])];
        let table = recognise(&sheets, None).expect("penalties");
        let rows = table.rows();
        assert_eq!(
            rows.len(),
            3,
            "a cell of its own is a row of which much is missing"
        );
        assert_eq!(rows[1].class(), Some("减损权益的措施"));
    }

    #[test]
    fn another_table_is_refused_with_what_it_has_and_what_it_should_have() {
        let sheets = [sheet(&[&["名称", "统一社会信用代码"], &["甲", "1"]])];
        let refused = recognise(&sheets, None).expect_err("not a list of measures");
        for part in [
            "sheet `表1`, row 1: 名称 | 统一社会信用代码",
            "penalties: 惩戒内容 | 惩戒对象 | 法规政策依据 | 实施主体",
            "incentives: 守信激励事项 | 激励内容 | 激励对象 | 政策依据",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        let refused = recognise(&sheets, Some(Layout::Penalties)).expect_err("not penalties");
        assert!(!refused.contains("incentives"), "{refused}");
    }
}
