//! What stands in the cells of the tables that clocks follow: rules on repair, calendars, notices.

use super::super::{Book, RepairRule};
use super::cells::{Cells, days, law, laws};
use super::words;
use crate::clocks::calendar::CalendarYear;
use crate::clocks::{Limit, Notice, Procedure};

pub(super) fn repair(book: &Book) -> Cells {
    let headings = vec![
        "编号",
        "名称",
        "是否一般规则",
        "公示期（月）",
        "办理时限",
        "有效期间",
        "法规政策依据",
        "核对情况",
    ];
    let cells = |rule: &RepairRule| {
        let limits: Vec<String> = rule.limits.iter().map(limit).collect();
        vec![
            rule.version.to_string(),
            rule.title.zh.clone(),
            if rule.general { "是" } else { "" }.to_owned(),
            periods(rule),
            limits.join("\n"),
            days(rule.effective_from, rule.effective_to),
            law(&rule.basis),
            words::confidence(rule.confidence).to_owned(),
        ]
    };
    (headings, book.repair_rules().iter().map(cells).collect())
}

fn periods(rule: &RepairRule) -> String {
    let periods = [
        ("轻微", rule.periods.minor),
        ("一般", rule.periods.general),
        ("严重", rule.periods.serious),
    ];
    let told = periods.into_iter().filter_map(|(severity, period)| {
        let period = period?;
        let shortest = period.months_min.map(|months| format!("最短{months}"));
        let longest = period.months_max.map(|months| format!("最长{months}"));
        let told: Vec<String> = shortest.into_iter().chain(longest).collect();
        Some(format!("{severity}：{}", told.join("，")))
    });
    told.collect::<Vec<_>>().join("\n")
}

fn limit((procedure, limit): (Procedure, &Limit)) -> String {
    let procedure = match procedure {
        Procedure::Objection => "异议",
        Procedure::Repair => "修复",
        Procedure::Deletion => "删除",
        Procedure::Talk => "约谈",
        Procedure::Commitment => "承诺",
    };
    let default = if limit.is_default { "；缺省值" } else { "" };
    format!(
        "{procedure}：{} {}{}（自{}起；{}{default}）",
        limit.title_zh,
        limit.days,
        limit.unit.title_zh(),
        limit.counted_from,
        limit.basis
    )
}

pub(super) fn calendar(book: &Book) -> Cells {
    let headings = vec![
        "编号",
        "名称",
        "放假",
        "上班",
        "工作日数",
        "依据",
        "核对情况",
    ];
    let cells = |year: &CalendarYear| {
        let off = year
            .holidays
            .iter()
            .map(|(title, from, to)| format!("{} {from} — {to}", title.zh));
        let works: Vec<String> = year.works.iter().map(ToString::to_string).collect();
        vec![
            year.year.to_string(),
            year.title.zh.clone(),
            off.collect::<Vec<_>>().join("\n"),
            works.join("\n"),
            year.working_days().to_string(),
            law(&year.basis),
            words::confidence(year.confidence).to_owned(),
        ]
    };
    (headings, book.calendar().years().map(cells).collect())
}

pub(super) fn notices(book: &Book) -> Cells {
    let headings = vec![
        "编号",
        "名称",
        "时机",
        "一并送达",
        "证明送达",
        "依据",
        "正文",
        "核对情况",
    ];
    let cells = |notice: &Notice| {
        vec![
            notice.id.to_string(),
            notice.title.zh.clone(),
            notice.when.code().to_owned(),
            notice.together_with.join("、"),
            if notice.proves_service { "是" } else { "" }.to_owned(),
            laws(&notice.bases, notice.confidence),
            notice.text.to_string(),
            words::confidence(notice.confidence).to_owned(),
        ]
    };
    (headings, book.notices().iter().map(cells).collect())
}
