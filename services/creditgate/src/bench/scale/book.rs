//! A book of as many rows as asked for, of which a known number apply to each subject.

use std::fmt::Write as _;

use creditgate_measures::book::{Book, Deployment, SourceFile};

use crate::failure::Failure;

/// The list on which one row turns at the evaluation.
pub const ONE_ROW: &str = "B01";
/// The list on which ten rows turn at the evaluation.
pub const TEN_ROWS: &str = "B07";
/// Rows that turn on [`TEN_ROWS`].
const TEN: usize = 10;
/// The other lists; each has rows at the award, and one at the evaluation, so that it is needed.
const OTHERS: [&str; 4] = ["B02", "B03", "B04", "B05"];
/// Rows of one file.
const ROWS_OF_FILE: usize = 500;

const HEAD: &str = r#"book: scale
title: { zh: 规模, en: scale }
edition:
  code: "2024"
  title: { zh: 清单, en: list }
  items:
    - { code: MKT_ENTRY, class: A, title: { zh: 限制准入, en: entry }, confidence: verified }
covers_from: "2020-01-01"
"#;

const SCENARIO: &str = r"scenario: procurement
title: { zh: 政府采购, en: procurement }
actor: public
stages:
  - { code: register, title: { zh: 登记, en: register }, decisive: false }
  - { code: bid, title: { zh: 投标, en: bid }, decisive: false }
  - { code: evaluate, title: { zh: 评审, en: evaluate }, decisive: true }
  - { code: award, title: { zh: 中标, en: award }, decisive: false, after: evaluate }
  - { code: contract, title: { zh: 签约, en: contract }, decisive: false }
  - { code: perform, title: { zh: 履约, en: perform }, decisive: false }
attributes:
  - { name: notice_no, type: string, title: { zh: 公告编号, en: notice } }
  - { name: notice_clause, type: string, title: { zh: 条款, en: clause } }
  - { name: notice_published_at, type: date, title: { zh: 公告日, en: day } }
";

/// The book; every row of it carries a case, which is asked here as everywhere.
pub fn of(rows: usize) -> Result<Book, Failure> {
    Book::load(&files(rows), &Deployment::default())
        .map_err(|errors| Failure::new("make a book for the benchmark", errors.to_string()))
}

/// Its files, as a folder would hold them.
fn files(rows: usize) -> Vec<SourceFile> {
    let mut files = vec![
        SourceFile::new("book.yaml", HEAD),
        SourceFile::new("names/simplify.txt", "東 东\n"),
        SourceFile::new("scenarios/procurement.yaml", SCENARIO),
        SourceFile::new("lists/all.yaml", lists()),
    ];
    let numbers: Vec<usize> = (0..rows).collect();
    for (file, numbers) in numbers.chunks(ROWS_OF_FILE).enumerate() {
        let rows: String = numbers.iter().map(|n| row(*n)).collect();
        let path = format!("measures/{file}.yaml");
        files.push(SourceFile::new(path, format!("measures:\n{rows}")));
    }
    files
}

fn lists() -> String {
    let mut text = "lists:\n".to_owned();
    for code in [ONE_ROW, TEN_ROWS].into_iter().chain(OTHERS) {
        // Writing into a text has no way to fail.
        let _ = write!(
            text,
            "  - code: {code}
    colour: black
    name: {{ zh: 名单, en: list }}
    authority: 某机关
    basis: [{{ law: 某法, level: law }}]
    field: market
    reach: national
    until_performed: true
    freshness_budget_hours: 24
    default_severity: serious
    confidence: verified
"
        );
    }
    text
}

/// The row of a number: first those that are looked for, then those that only stand there.
fn row(n: usize) -> String {
    let other = OTHERS.get(n % OTHERS.len()).copied().unwrap_or(ONE_ROW);
    let (list, stage) = match n {
        0 => (ONE_ROW, "evaluate"),
        1..=TEN => (TEN_ROWS, "evaluate"),
        11..=14 => (other, "evaluate"),
        _ => (other, "award"),
    };
    format!(
        "  - id: S{n:05}
    title: {{ zh: 措施, en: measure }}
    content: {{ zh: 内容, en: content }}
    field: market
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: must
    effect: RESTRICT
    applies: [{{ scenario: procurement, stages: [{stage}] }}]
    lists: [{list}]
    basis: [{{ law: 某法, article: 第一条, level: law }}]
    published_at: \"2020-01-01\"
    published_in: 公报
    effective_from: \"2020-01-01\"
    implementer: {{ zh: 某机关, en: authority }}
    remedies: {{ zh: 可以申诉, en: objection }}
    confidence: verified
    cases: [{{ name: elsewhere, event: {{ stage: register }}, expect: no match }}]
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_loads_with_all_its_rows() {
        for rows in [75, 600] {
            let book = of(rows).unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(book.measures().len(), rows);
            assert!(book.measures().iter().all(|row| row.active));
        }
    }
}
