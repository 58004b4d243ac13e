//! The policy that all share: rows of a book, and what each comes to.
//!
//! It is the part of the product's job that the others can do as well: a row names a stage, a list and what else must
//! fit; the strongest fitting row decides for the party. Names of outcomes are those of the product.

use std::fmt::Write as _;

use creditgate_measures::book::SourceFile;
use creditgate_measures::time::Date;

use crate::world::Random;

/// Scenario and stage at which rows apply.
pub const PLACES: [(&str, &str); 5] = [
    ("tender", "evaluate"),
    ("procurement", "evaluate"),
    ("permit", "accept"),
    ("funding", "review"),
    ("qualification", "apply"),
];

/// The lists.
pub const LISTS: [&str; 10] = [
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10",
];

/// The roles of subjects; each leads its own party.
pub const ROLES: [&str; 3] = ["applicant", "bidder", "supplier"];

/// Severities of entries.
pub const SEVERITIES: [&str; 2] = ["general", "serious"];

/// Provinces in which events take place; the first two digits of a region.
pub const PROVINCES: [&str; 8] = ["11", "31", "32", "33", "37", "42", "44", "51"];

/// Outcomes of a party, weakest first; an outcome's rank is its place here.
pub const OUTCOMES: [&str; 6] = [
    "PASS",
    "NOTICE",
    "HEIGHTENED_SCRUTINY",
    "RESTRICT",
    "MANUAL_REVIEW",
    "PROHIBIT",
];

/// The rank of an outcome.
pub fn rank(outcome: &str) -> Option<u8> {
    let at = OUTCOMES.iter().position(|known| *known == outcome)?;
    u8::try_from(at).ok()
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Place of its stage in [`PLACES`].
    pub place: usize,
    /// Place of its list in [`LISTS`].
    pub list: usize,
    /// The one role it asks for; none: any.
    pub role: Option<usize>,
    /// The one severity it asks for; none: any.
    pub severity: Option<usize>,
    /// The province it holds in; none: everywhere.
    pub province: Option<usize>,
    /// First day.
    pub from: Date,
    /// Last day; none: open.
    pub to: Option<Date>,
    /// The least amount of the event, in fen; none: any. This is its condition (`when`).
    pub min_amount_fen: Option<i64>,
    /// Effect.
    pub effect: &'static str,
    /// Whether the law leaves no choice (`must`) or some (`may`).
    pub must: bool,
}

impl Row {
    /// The rank of what it comes to when it fits.
    pub fn rank(&self) -> u8 {
        let waits = !self.must && matches!(self.effect, "RESTRICT" | "PROHIBIT");
        rank(if waits { "MANUAL_REVIEW" } else { self.effect }).unwrap_or_default()
    }

    /// Last day as a number, far ahead when it is open.
    pub fn last_day(&self) -> i32 {
        self.to.map_or(1_000_000, Date::days)
    }

    /// Least amount as a number.
    pub fn least_amount(&self) -> i64 {
        self.min_amount_fen.unwrap_or(0)
    }
}

/// So many rows. None begins or ends within a month of `today`, so that a run may pass midnight.
pub fn rows(count: usize, seed: u64, today: Date) -> Vec<Row> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|n| {
            let from = today.plus_days(-random.between(40, 1_500));
            let (from, to) = match random.below(20) {
                // Repealed.
                0 | 1 => (
                    from.plus_days(-1_000),
                    Some(today.plus_days(-random.between(40, 400))),
                ),
                // Not in force yet.
                2 => (today.plus_days(random.between(40, 400)), None),
                3..=6 => (from, Some(today.plus_days(random.between(40, 900)))),
                _ => (from, None),
            };
            let one_of = |random: &mut Random, share: u64, values: usize| {
                (random.below(10) < share).then(|| random.below(values as u64) as usize)
            };
            Row {
                id: format!("R{n:05}"),
                // Every place and list has its share, whatever the size.
                place: n % PLACES.len(),
                list: n / PLACES.len() % LISTS.len(),
                role: one_of(&mut random, 4, ROLES.len()),
                severity: one_of(&mut random, 4, SEVERITIES.len()),
                province: one_of(&mut random, 3, PROVINCES.len()),
                from,
                to,
                min_amount_fen: (random.below(2) == 0)
                    .then(|| [5_000_000, 40_000_000, 200_000_000][random.below(3) as usize]),
                effect: ["NOTICE", "HEIGHTENED_SCRUTINY", "RESTRICT", "PROHIBIT"]
                    [random.below(4) as usize],
                must: random.below(10) < 6,
            }
        })
        .collect()
}

/// The rows of a place and list, strongest first.
pub fn slice(rows: &[Row], place: usize, list: usize) -> Vec<&Row> {
    let mut rows: Vec<&Row> = rows
        .iter()
        .filter(|row| row.place == place && row.list == list)
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.rank()));
    rows
}

/// The rows as a book of the product.
pub fn book(rows: &[Row]) -> Vec<SourceFile> {
    let mut lists = "lists:\n".to_owned();
    for code in LISTS {
        let _ = write!(
            lists,
            r#"  - code: {code}
    colour: black
    name: {{ zh: 名单, en: list }}
    authority: 某机关
    basis: [{{ law: 某法, level: law }}]
    field: market
    reach: national
    until_performed: true
    freshness_budget_hours: 8760
    default_severity: serious
    confidence: verified
"#
        );
    }
    let mut files = vec![
        SourceFile::new(
            "book.yaml",
            r#"book: peers
title: { zh: 比较, en: comparison }
edition:
  code: "2024"
  title: { zh: 清单, en: list }
  items:
    - { code: MKT_ENTRY, class: A, title: { zh: 限制准入, en: entry }, confidence: verified }
covers_from: "2015-01-01"
"#,
        ),
        SourceFile::new("names/simplify.txt", "東 东\n"),
        SourceFile::new("lists/lists.yaml", lists),
    ];
    for (scenario, stage) in PLACES {
        let text = format!(
            "scenario: {scenario}\ntitle: {{ zh: 场景, en: scenario }}\nactor: public\ngo_live: \"2015-01-01\"\n\
             stages:\n  - {{ code: {stage}, title: {{ zh: 阶段, en: stage }}, decisive: true }}\n"
        );
        files.push(SourceFile::new(format!("scenarios/{scenario}.yaml"), text));
    }
    for (n, chunk) in rows.chunks(200).enumerate() {
        let text = chunk.iter().fold("measures:\n".to_owned(), |text, row| {
            text + row_of_book(row).as_str()
        });
        files.push(SourceFile::new(format!("measures/part-{n:03}.yaml"), text));
    }
    files
}

fn row_of_book(row: &Row) -> String {
    let (scenario, stage) = PLACES[row.place];
    let mut text = format!(
        r#"  - id: {id}
    title: {{ zh: 措施, en: measure }}
    content: {{ zh: 内容, en: content }}
    field: market
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: {force}
    effect: {effect}
    applies: [{{ scenario: {scenario}, stages: [{stage}] }}]
    lists: [{list}]
    basis: [{{ law: 某法, article: 第一条, level: law }}]
    published_at: "2015-01-01"
    published_in: 公报
    effective_from: "{from}"
    implementer: {{ zh: 某机关, en: authority }}
    remedies: {{ zh: 可以申诉, en: objection }}
    confidence: verified
    cases: [{{ name: elsewhere, event: {{ stage: nowhere }}, expect: no match }}]
"#,
        id = row.id,
        force = if row.must { "must" } else { "may" },
        effect = row.effect,
        list = LISTS[row.list],
        from = row.from,
    );
    if let Some(to) = row.to {
        let _ = writeln!(text, "    effective_to: \"{to}\"");
    }
    if let Some(role) = row.role {
        let _ = writeln!(text, "    roles: [{}]", ROLES[role]);
    }
    if let Some(severity) = row.severity {
        let _ = writeln!(text, "    severities: [{}]", SEVERITIES[severity]);
    }
    if let Some(province) = row.province {
        let _ = writeln!(text, "    region: \"{}0000\"", PROVINCES[province]);
    }
    if let Some(amount) = row.min_amount_fen {
        let _ = writeln!(
            text,
            "    required: [amount_fen]\n    when: event.amount_fen >= {amount}"
        );
    }
    text
}
