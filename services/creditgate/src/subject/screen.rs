//! A subject's report for people: at a terminal, and to be printed.

use std::fmt::Write;

use creditgate_proto::v1;

use crate::cases::screen::one_line;
use crate::identity::moment;
use crate::procedures::table_text;

/// The whole report.
pub fn report(report: &v1::GetSubjectReportResponse) -> String {
    let mut out = String::from("主体信用信息查询报告\n\n");
    let head = [
        ("查询时间", moment(&report.at)),
        ("查询文书", one_line(&report.document_no)),
        ("名单版本", report.list_version.clone()),
        ("清单版本", report.book_version.clone()),
    ];
    for (word, what) in head {
        line(&mut out, format_args!("{word}  {what}"));
    }
    for known in &report.identifiers {
        let alias = known.identifier.clone().unwrap_or_default();
        line(&mut out, format_args!("主体代码  {}", code(&alias)));
    }
    for name in &report.names {
        let what = if name.current { "名称" } else { "曾用名" };
        line(&mut out, format_args!("{what}  {}", one_line(&name.name)));
    }
    line(&mut out, format_args!("\n{}", report.statement));
    let relations = report.relations.iter().map(relation);
    section(&mut out, "关联主体", &["关系", "名称", "代码"], relations);
    if !report.entries.is_empty() {
        out.push_str("\n名单记录\n");
        report.entries.iter().for_each(|one| entry(&mut out, one));
    }
    let titles = ["办件", "环节", "措施", "效果", "状态", "实施", "依据"];
    section(
        &mut out,
        "惩戒措施",
        &titles,
        report.measures.iter().map(measure),
    );
    for one in &report.measures {
        let remedies = one.measure.as_ref().and_then(|row| row.remedies.as_ref());
        if let Some(text) = remedies.filter(|text| !text.zh.is_empty()) {
            let (id, how) = (measure_id(one), one_line(&text.zh));
            line(&mut out, format_args!("{id} 救济途径：{how}"));
        }
    }
    if report.more_measures {
        out.push_str("尚有其他惩戒措施未列出。\n");
    }
    let titles = [
        "时间",
        "查询单位",
        "来源",
        "事项",
        "环节",
        "角色",
        "结论",
        "办件",
    ];
    section(
        &mut out,
        "核查记录",
        &titles,
        report.inquiries.iter().map(inquiry),
    );
    if !report.next_page_token.is_empty() {
        out.push_str("尚有更早的核查记录未列出。\n");
    }
    let titles = ["编号", "事项", "名单记录", "进展", "办理单位", "期限"];
    section(
        &mut out,
        "办理事项",
        &titles,
        report.procedures.iter().map(procedure),
    );
    section(
        &mut out,
        "其他记录",
        &["时间", "记录", "文书", "内容", "单位"],
        report.moments.iter().map(other),
    );
    out
}

fn relation(known: &v1::KnownRelation) -> Vec<String> {
    let other = known.other.clone().unwrap_or_default();
    let role = match known.inverse {
        true => format!("本主体为其{}", other.role),
        false => other.role.clone(),
    };
    vec![role, one_line(&other.name), other.id]
}

fn entry(out: &mut String, shown: &v1::ReportedEntry) {
    let entry = shown.entry.clone().unwrap_or_default();
    let standing = shown.standing.clone().unwrap_or_default();
    let why = match standing.why_not.as_str() {
        "" => "现行",
        "expired" => "已到期",
        "repaired" => "已修复",
        "revoked" => "已撤销",
        "suspended" => "中止",
        other => other,
    };
    let whose = match shown.found_by.as_str() {
        "identifier" => String::new(),
        _ => format!("  列入的是关联主体 {}", one_line(&entry.name)),
    };
    line(
        out,
        format_args!(
            "{}  {} {}  {} {why}{whose}",
            entry.entry_id, entry.list, shown.list_title, standing.state
        ),
    );
    let mut said = |word: &str, what: &str| {
        if !what.trim().is_empty() {
            line(out, format_args!("    {word}  {}", one_line(what)));
        }
    };
    said("认定单位", &entry.designated_by);
    said("文书号", &entry.document_no);
    said("列入事由", &entry.reason);
    said("认定依据", &entry.basis);
    let bases: Vec<String> = shown.list_basis.iter().map(cited).collect();
    said("名单依据", &bases.join("；"));
    said("数据来源", &entry.source_unit);
    said(
        "有效期",
        &format!("{} 至 {}", entry.valid_from, standing.last_day),
    );
    if !entry.display_max_until.is_empty() || !entry.display_min_until.is_empty() {
        let (least, most) = (&entry.display_min_until, &entry.display_max_until);
        said("公示期", &format!("最短至 {least} 最长至 {most}"));
    }
    if entry.objection_marked == Some(true) {
        said("异议标注", "已标注");
    }
    for remedy in &shown.remedies {
        let limits: Vec<String> = remedy.limits.iter().map(limit).collect();
        let may = match remedy.possible {
            true => format!("可以提出，受理单位 {}", remedy.authority),
            false => remedy.why_not.clone(),
        };
        said(&remedy.title, &may);
        said("  办理期限", &limits.join("；"));
        remedy.rules.iter().for_each(|rule| said("  规定", rule));
    }
}

fn limit(limit: &v1::Deadline) -> String {
    let unit = match limit.unit.as_str() {
        "working" => "个工作日",
        _ => "日",
    };
    format!("{} {}{unit}（至 {}）", limit.title, limit.days, limit.day)
}

fn measure_id(measure: &v1::StandingMeasure) -> &str {
    let row = measure.measure.as_ref();
    row.map_or("", |row| row.id.as_str())
}

fn measure(one: &v1::StandingMeasure) -> Vec<String> {
    let row = one.measure.clone().unwrap_or_default();
    let title = row.title.unwrap_or_default().zh;
    let bases: Vec<String> = row.basis.iter().map(cited).collect();
    let published = match one.published_in.is_empty() {
        true => String::new(),
        false => format!("；公布于 {} {}", one.published_in, one.published_at),
    };
    let state = match one.state.as_str() {
        "in_effect" => "适用",
        "confirmed" => "已确认",
        "unsupported" | "rejected" => "待解除",
        "proposed" | "claimed" | "seconded" => "待决定",
        other => other,
    };
    let who = match (
        one.to_be_lifted_by.as_slice(),
        one.carried_out_by.as_slice(),
    ) {
        ([], []) => row.implementer.unwrap_or_default().zh,
        ([], by) => by.join("、"),
        (by, _) => by.join("、"),
    };
    vec![
        one.case_id.clone(),
        named(&one.stage_title, &one.stage),
        format!("{} {title}", row.id),
        one.effect.clone(),
        state.to_owned(),
        who,
        format!("{}{published}", bases.join("；")),
    ]
}

fn inquiry(one: &v1::Inquiry) -> Vec<String> {
    let who = match (one.cause.as_str(), one.department.is_empty()) {
        ("event", true) => one_line(&one.caller),
        ("event", false) => one_line(&one.department),
        _ => "（名单变化后重新核查）".to_owned(),
    };
    let item = match one.item_code.is_empty() {
        true => String::new(),
        false => format!(" {}", one_line(&one.item_code)),
    };
    vec![
        moment(&one.evaluated_at),
        who,
        one_line(&one.source),
        format!("{}{item}", named(&one.scenario_title, &one.scenario)),
        named(&one.stage_title, &one.stage),
        one.role.clone(),
        one.outcome.clone(),
        one_line(&one.case_id),
    ]
}

fn procedure(one: &v1::Procedure) -> Vec<String> {
    let limits = one.deadlines.iter();
    let limits: Vec<String> = limits
        .map(|limit| format!("{} {}", limit.title, limit.day))
        .collect();
    vec![
        one.procedure_id.clone(),
        one.title.clone(),
        one.entry_id.clone(),
        one.state_title.clone(),
        one_line(&one.authority),
        limits.join("；"),
    ]
}

fn other(one: &v1::SubjectMoment) -> Vec<String> {
    vec![
        moment(&one.recorded_at),
        one.action.clone(),
        one_line(&one.document_no),
        one_line(&one.reason),
        one_line(&one.caller),
    ]
}

/// What it is called, else its code.
fn named(title: &str, code: &str) -> String {
    if title.is_empty() { code } else { title }.to_owned()
}

fn cited(basis: &v1::Basis) -> String {
    let article = basis.article.as_deref().unwrap_or_default();
    match &basis.document_no {
        Some(number) => format!("《{}》（{number}）{article}", basis.law),
        None => format!("《{}》{article}", basis.law),
    }
}

fn code(alias: &v1::Alias) -> String {
    match alias.issuer.is_empty() {
        true => format!("{}:{}", alias.id_type, alias.id),
        false => format!("{}:{}:{}", alias.id_type, alias.issuer, alias.id),
    }
}

/// A titled table; nothing where it has no rows.
fn section(
    out: &mut String,
    title: &str,
    titles: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let mut table: Vec<Vec<String>> = rows.collect();
    if table.is_empty() {
        return;
    }
    table.insert(0, titles.iter().map(|title| (*title).to_owned()).collect());
    line(out, format_args!("\n{title}"));
    out.push_str(&table_text(&table));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_command_is_read() {
        let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(drop);
        let whole = "creditgate subject report USCC:1 --reason r --document d";
        read(whole).expect("read");
        read(&format!("{whole} --limit 5 --json")).expect("read");
        read("creditgate subject report USCC:1 --reason r").expect_err("no document");
    }

    #[test]
    fn an_empty_report_says_so_and_nothing_else() {
        let empty = v1::GetSubjectReportResponse {
            statement: "本系统未保存该主体的任何记录。".to_owned(),
            document_no: "示例窗1号".to_owned(),
            ..v1::GetSubjectReportResponse::default()
        };
        let text = report(&empty);
        assert!(text.contains("未保存该主体的任何记录"), "{text}");
        assert!(text.contains("示例窗1号"), "{text}");
        for title in ["名单记录", "惩戒措施", "核查记录", "办理事项"] {
            assert!(!text.contains(title), "{text}");
        }
    }

    #[test]
    fn a_report_tells_entry_measure_and_who_asked() {
        let row = v1::Measure {
            id: "M07".to_owned(),
            basis: vec![v1::Basis {
                law: "示例法".to_owned(),
                article: Some("第一条".to_owned()),
                ..v1::Basis::default()
            }],
            remedies: Some(v1::Text {
                zh: "可以申请行政复议".to_owned(),
                en: String::new(),
            }),
            ..v1::Measure::default()
        };
        let text = report(&v1::GetSubjectReportResponse {
            entries: vec![v1::ReportedEntry {
                entry: Some(v1::Entry {
                    entry_id: "E-1".to_owned(),
                    ..v1::Entry::default()
                }),
                standing: Some(v1::EntryStanding {
                    why_not: "repaired".to_owned(),
                    ..v1::EntryStanding::default()
                }),
                found_by: "identifier".to_owned(),
                remedies: vec![v1::Remedy {
                    title: "异议".to_owned(),
                    why_not: "该记录已经终止".to_owned(),
                    ..v1::Remedy::default()
                }],
                ..v1::ReportedEntry::default()
            }],
            measures: vec![v1::StandingMeasure {
                measure: Some(row),
                state: "in_effect".to_owned(),
                ..v1::StandingMeasure::default()
            }],
            inquiries: vec![v1::Inquiry {
                cause: "event".to_owned(),
                department: "示例市公共资源交易中心".to_owned(),
                ..v1::Inquiry::default()
            }],
            ..v1::GetSubjectReportResponse::default()
        });
        for part in [
            "E-1",
            "已修复",
            "该记录已经终止",
            "M07",
            "《示例法》第一条",
            "可以申请行政复议",
            "示例市公共资源交易中心",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
