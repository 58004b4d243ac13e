//! What stands in the cells of each table.

use super::super::{Basis, Book, List, Measure};
use super::words;
use crate::event::{ListCode, ScenarioCode, StageCode};
use crate::time::Date;
use crate::vocabulary::{Class, Confidence, Direction, ListKind};

pub(super) type Cells = (Vec<&'static str>, Vec<Vec<String>>);

/// Rows of the columns of the national list (domain 1.1), with what a reader must know beside them.
pub(super) fn penalties(book: &Book) -> Cells {
    let headings = vec![
        "类别",
        "惩戒措施（事项）",
        "惩戒内容",
        "惩戒对象",
        "法规政策依据",
        "实施主体",
        "编号",
        "国家清单事项",
        "约束力",
        "效果",
        "期限和数值",
        "适用环节",
        "有效期间",
        "是否施行",
        "核对情况",
        "来源",
    ];
    let mut rows: Vec<&Measure> = of(book, Direction::Penalty).collect();
    // As in the national list: by class; what rests on none of its items comes last.
    rows.sort_by_key(|row| row.class.map_or(Class::ALL.len(), |class| class as usize));
    let cells = |row: &&Measure| {
        vec![
            row.class.map_or("", words::class).to_owned(),
            row.title.zh.clone(),
            row.content.zh.clone(),
            targets(book, row),
            bases(row),
            row.implementer.zh.clone(),
            row.id.to_string(),
            item(book, row),
            force(row),
            effect(row),
            figures(row),
            places(book, row).join("；"),
            period(row),
            in_force(row),
            words::confidence(row.confidence).to_owned(),
            source(book, row.supplement.as_deref()),
        ]
    };
    (headings, rows.iter().map(cells).collect())
}

/// Rows of the columns in which places publish incentives since 2025 (domain 1.1).
pub(super) fn incentives(book: &Book) -> Cells {
    let headings = vec![
        "序号",
        "守信激励事项",
        "激励内容",
        "激励对象",
        "政策依据",
        "实施层级",
        "实施频次",
        "实施主体",
        "编号",
        "约束力",
        "效果",
        "数值",
        "排除名单",
        "有效期间",
        "是否施行",
        "核对情况",
        "来源",
    ];
    let cells = |(at, row): (usize, &Measure)| {
        vec![
            (at + 1).to_string(),
            row.title.zh.clone(),
            row.content.zh.clone(),
            targets(book, row),
            bases(row),
            words::tier(row.region).to_owned(),
            format!("每次办理（{}）", places(book, row).join("；")),
            row.implementer.zh.clone(),
            row.id.to_string(),
            force(row),
            effect(row),
            figures(row),
            names(book, row.excluded_by.iter().map(|(list, _)| list)).join("、"),
            period(row),
            in_force(row),
            words::confidence(row.confidence).to_owned(),
            source(book, row.supplement.as_deref()),
        ]
    };
    let rows = of(book, Direction::Incentive).enumerate();
    (headings, rows.map(cells).collect())
}

pub(super) fn lists(book: &Book) -> Cells {
    let headings = vec![
        "编号",
        "颜色",
        "名称",
        "认定部门",
        "依据",
        "领域",
        "范围",
        "最长期限",
        "修复规则",
        "数据时限",
        "引用条目",
        "核对情况",
        "来源",
    ];
    let cells = |list: &&std::sync::Arc<List>| {
        vec![
            list.code.to_string(),
            words::colour(list.colour).to_owned(),
            list_name(list),
            list.authority.to_string(),
            laws(&list.bases, list.confidence),
            list.field.to_string(),
            reach(list),
            longest(list),
            list.repair
                .iter()
                .map(|(version, _)| version.to_string())
                .collect::<Vec<_>>()
                .join("、"),
            format!("{}小时", list.freshness_budget_micros / 3_600_000_000),
            naming(book, &list.code).join("、"),
            words::confidence(list.confidence).to_owned(),
            source(book, list.supplement.as_deref()),
        ]
    };
    (headings, book.lists().iter().map(cells).collect())
}

pub(super) fn scenarios(book: &Book) -> Cells {
    let headings = vec![
        "编号",
        "名称",
        "办理主体",
        "环节（*为决定环节）",
        "属性",
        "启用日期",
    ];
    let cells = |scenario: &super::super::Scenario| {
        let stages = scenario.stages.iter().map(|stage| {
            let decisive = if stage.decisive { "*" } else { "" };
            format!("{}（{}）{decisive}", stage.title.zh, stage.code)
        });
        let attributes = scenario
            .attributes
            .iter()
            .map(|(name, ty)| format!("{name}: {}", ty.code()));
        vec![
            scenario.code.to_string(),
            scenario.title.zh.clone(),
            words::actor(scenario.actor).to_owned(),
            stages.collect::<Vec<_>>().join("、"),
            attributes.collect::<Vec<_>>().join("、"),
            scenario
                .go_live
                .map_or(String::new(), |day| day.to_string()),
        ]
    };
    (headings, book.scenarios().map(cells).collect())
}

pub(super) fn not_expressed(book: &Book) -> Cells {
    let cells = |left_out: &super::super::NotExpressed| {
        vec![
            left_out.id.to_string(),
            left_out.title.zh.clone(),
            left_out.reason.zh.clone(),
        ]
    };
    (
        vec!["编号", "名称", "未收录原因"],
        book.not_expressed().iter().map(cells).collect(),
    )
}

fn of(book: &Book, direction: Direction) -> impl Iterator<Item = &Measure> {
    book.measures()
        .iter()
        .map(AsRef::as_ref)
        .filter(move |row| row.action.direction() == direction)
}

/// Whom the row reaches: the lists by name, then what narrows and what widens it.
pub(super) fn targets(book: &Book, row: &Measure) -> String {
    let mut parts = Vec::new();
    if row.needs_entry() {
        parts.push(format!(
            "列入{}的主体",
            names(book, row.lists.iter()).join("、")
        ));
    } else {
        parts.push("不以列入名单为条件".to_owned());
    }
    let mut narrowed = |what: &str, words: Vec<&str>| {
        if !words.is_empty() {
            parts.push(format!("{what}：{}", words.join("、")));
        }
    };
    narrowed(
        "失信程度",
        row.severities.iter().map(|s| words::severity(*s)).collect(),
    );
    narrowed(
        "主体类别",
        row.kinds.iter().map(|k| words::kind(*k)).collect(),
    );
    narrowed("身份", row.roles.iter().map(|r| words::role(*r)).collect());
    narrowed(
        "延伸至",
        row.extends_to.iter().map(|r| words::role(*r)).collect(),
    );
    if let Some(region) = row.region {
        parts.push(format!("地区：{region}"));
    }
    if let Some((_, condition)) = &row.condition {
        parts.push(format!("条件：{condition}"));
    }
    parts.join("；")
}

/// Lists by name and code.
pub(super) fn names<'l>(book: &Book, codes: impl Iterator<Item = &'l ListCode>) -> Vec<String> {
    let name = |code: &ListCode| match book.list(code.as_str()) {
        Some(list) => format!("{}（{code}）", list.name.zh),
        None => code.to_string(),
    };
    codes.map(name).collect()
}

fn bases(row: &Measure) -> String {
    laws(&row.bases, row.confidence)
}

/// 《law》(number) article, one a line; what is recalled says so where it would read as quoted.
pub(super) fn laws(bases: &[Basis], confidence: Confidence) -> String {
    let told: Vec<String> = bases.iter().map(law).collect();
    match confidence {
        Confidence::Verified => told.join("\n"),
        Confidence::Recalled => {
            format!("（{}）{}", words::confidence(confidence), told.join("\n"))
        }
    }
}

/// One basis, as tables cite it.
pub(super) fn law(basis: &Basis) -> String {
    basis.cited()
}

fn item(book: &Book, row: &Measure) -> String {
    let Some(code) = &row.item else {
        return String::new();
    };
    match book.edition().items.get(&**code) {
        Some(item) => format!("{}（{code}）", item.title.zh),
        None => code.to_string(),
    }
}

fn force(row: &Measure) -> String {
    format!("{}（{}）", words::force(row.force), row.force.code())
}

fn effect(row: &Measure) -> String {
    let zh = match row.action {
        super::super::Action::Penalty(effect) => words::effect(effect),
        super::super::Action::Incentive(benefit) => words::benefit(benefit),
    };
    format!("{zh}（{}）", row.action.code())
}

pub(super) fn figures(row: &Measure) -> String {
    let figures = row.parameters.iter().flat_map(|figures| figures.told());
    figures.collect::<Vec<_>>().join("；")
}

/// Scenarios and stages by name.
pub(super) fn places(book: &Book, row: &Measure) -> Vec<String> {
    let place = |(code, stages): &(ScenarioCode, Vec<StageCode>)| {
        let Some(scenario) = book.scenario(code.as_str()) else {
            return code.to_string();
        };
        let stages = stages.iter().map(|stage| {
            scenario
                .stage(stage.as_str())
                .map_or(stage.as_str(), |stage| stage.title.zh.as_str())
        });
        format!(
            "{}：{}",
            scenario.title.zh,
            stages.collect::<Vec<_>>().join("、")
        )
    };
    row.applies.iter().map(place).collect()
}

pub(super) fn period(row: &Measure) -> String {
    days(row.effective_from, row.effective_to)
}

/// From a first to a last day.
pub(super) fn days(from: Option<Date>, to: Option<Date>) -> String {
    match (from, to) {
        (None, None) => String::new(),
        (Some(from), None) => format!("{from}起"),
        (Some(from), Some(to)) => format!("{from}至{to}"),
        (None, Some(to)) => format!("至{to}"),
    }
}

/// What an inactive row lacks.
pub(super) fn lacking(row: &Measure) -> Vec<&'static str> {
    if row.active {
        return Vec::new();
    }
    [
        ("published_at", row.published_at.is_none()),
        ("published_in", row.published_in.is_none()),
        ("effective_from", row.effective_from.is_none()),
    ]
    .into_iter()
    .filter_map(|(field, absent)| absent.then_some(field))
    .collect()
}

fn in_force(row: &Measure) -> String {
    match (row.active, &row.confirmed) {
        (true, None) => "施行（active）".to_owned(),
        (true, Some((by, document))) => format!("施行（active），由{by}以{document}确认"),
        (false, _) => format!("未施行（inactive）：未载明{}", lacking(row).join("、")),
    }
}

/// The supplement by its title; else the national part.
pub(super) fn source(book: &Book, supplement: Option<&str>) -> String {
    let Some(code) = supplement else {
        return "国家".to_owned();
    };
    let found = book.supplements().iter().find(|part| *part.code == *code);
    match found {
        Some(part) if part.example => format!("补充清单 {code}（示例）"),
        _ => format!("补充清单 {code}"),
    }
}

fn list_name(list: &List) -> String {
    match list.kind {
        ListKind::List => list.name.zh.clone(),
        ListKind::Decision => format!("{}（单项决定）", list.name.zh),
    }
}

fn reach(list: &List) -> String {
    match list.default_region {
        Some(region) => format!("{} {region}", words::reach(list.reach)),
        None => words::reach(list.reach).to_owned(),
    }
}

fn longest(list: &List) -> String {
    match (list.max_period_months, list.until_performed) {
        (Some(months), _) => format!("{months}个月"),
        (None, true) => "至履行完毕".to_owned(),
        (None, false) => String::new(),
    }
}

/// Ids of the rows that name a list.
pub(super) fn naming(book: &Book, list: &ListCode) -> Vec<String> {
    let mut ids: Vec<String> = book
        .measures()
        .iter()
        .filter(|row| row.lists.contains(list))
        .map(|row| row.id.to_string())
        .collect();
    ids.dedup();
    ids
}
