//! Cases, proposals and lift orders for people at a terminal.
//!
//! Subjects are positions here. Reasons and names of officials go through [`plain`], which masks what looks like an
//! identifier; ids and document numbers are whole, since they are what one acts by.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use creditgate_proto::v1;

use crate::identity::moment;
use crate::procedures::table_text;
use crate::sources::span;

/// A case with everything that happened in it.
pub fn case(case: &v1::CaseShown) -> String {
    let mut out = head(case);
    section(&mut out, "核查结论", verdicts(&case.verdicts));
    section(&mut out, "另一答复", other_answers(&case.other_answers));
    section(&mut out, "已核查", checks(&case.checks));
    section(&mut out, "缺少核查", missing(&case.missing));
    section(&mut out, "措施", measures(&case.measures));
    section(&mut out, "守信激励", rewards(&case.rewards));
    section(&mut out, "审核决定", decisions(&case.measures));
    section(&mut out, "执行反馈", feedback(&case.feedback));
    section(&mut out, "解除通知", order_rows(&case.orders, false));
    out
}

fn head(case: &v1::CaseShown) -> String {
    let why = match case.closed_why.as_str() {
        "" => "",
        "last_stage" => "，末环节已完成",
        "by_request" => "，申请办结",
        "time_limit" => "，期限届满",
        other => other,
    };
    let mut out = format!(
        "办件 {}（{}）：{}{why}\n",
        case.case_id,
        case.scenario,
        case_state(&case.state)
    );
    let mut said = |word: &str, what: &str| {
        if !what.is_empty() {
            push(&mut out, format_args!("{word} {what}"));
        }
    };
    said("首次事项", &moment(&case.opened_at));
    said("办结时间", &moment(&case.closed_at));
    if let Some(closing) = &case.closing {
        said("办结理由", &plain(&closing.reason));
        said("办结文书", &one_line(&closing.document_no));
        said("办结人", &one_line(&closing.caller));
    }
    said("办理至", &case.open_until);
    said("下一环节", &case.next_stage);
    out
}

fn verdicts(verdicts: &[v1::CaseVerdict]) -> Vec<Vec<String>> {
    let row = |verdict: &v1::CaseVerdict| {
        let replaced = match verdict.superseded_by.as_str() {
            "" => String::new(),
            by => format!("被 {by} 取代"),
        };
        vec![
            moment(&verdict.evaluated_at),
            verdict.stage.clone(),
            cause(&verdict.cause),
            verdict.outcome.clone(),
            verdict.verdict_id.clone(),
            verdict.list_version.clone(),
            replaced,
        ]
    };
    let titles = ["时间", "环节", "起因", "结论", "编号", "名单版本", ""];
    rows(&titles, verdicts.iter().map(row))
}

/// What another replica of the gate answered under the same id.
fn other_answers(answers: &[v1::OtherAnswer]) -> Vec<Vec<String>> {
    let row = |other: &v1::OtherAnswer| {
        let differs = match other.differs.is_empty() {
            true => "一致".to_owned(),
            false => format!("不一致：{}", other.differs.join(", ")),
        };
        vec![
            moment(&other.evaluated_at),
            other.outcome.clone(),
            other.verdict_id.clone(),
            other.answer.clone(),
            other.list_version.clone(),
            differs,
        ]
    };
    let titles = ["时间", "结论", "编号", "摘要", "名单版本", ""];
    rows(&titles, answers.iter().map(row))
}

fn checks(checks: &[v1::StageCheck]) -> Vec<Vec<String>> {
    let row = |check: &v1::StageCheck| {
        vec![
            subject(check.subject, &check.role),
            check.stage.clone(),
            moment(&check.at),
        ]
    };
    rows(&["主体", "环节", "时间"], checks.iter().map(row))
}

fn missing(missing: &[v1::MissingCheck]) -> Vec<Vec<String>> {
    let row = |missing: &v1::MissingCheck| {
        vec![
            missing.subject.to_string(),
            missing.stage.clone(),
            missing.verdict_id.clone(),
        ]
    };
    rows(&["主体", "环节", "核查编号"], missing.iter().map(row))
}

fn measures(measures: &[v1::CaseMeasure]) -> Vec<Vec<String>> {
    let row = |measure: &v1::CaseMeasure| {
        let former = match measure.former_entry_ids.is_empty() {
            true => String::new(),
            false => format!("（原 {}）", measure.former_entry_ids.join(", ")),
        };
        vec![
            measure.key.clone(),
            subject(measure.subject, &measure.role),
            measure.title.clone(),
            measure.effect.clone(),
            standing(measure),
            measure.stage.clone(),
            format!("{}{former}", measure.entry_ids.join(", ")),
            measure.implementers.join("、"),
            in_verdict(&measure.verdict_id, measure.verdict_subject),
        ]
    };
    let titles = [
        "措施",
        "主体",
        "名称",
        "效力",
        "状态",
        "环节",
        "依据记录",
        "实施单位",
        "结论#主体",
    ];
    rows(&titles, measures.iter().map(row))
}

fn rewards(rewards: &[v1::CaseReward]) -> Vec<Vec<String>> {
    let row = |reward: &v1::CaseReward| {
        vec![
            reward.measure_id.clone(),
            subject(reward.subject, &reward.role),
            reward.title.clone(),
            reward.stage.clone(),
            reward.implementers.join("、"),
            in_verdict(&reward.verdict_id, reward.verdict_subject),
        ]
    };
    let titles = ["措施", "主体", "名称", "环节", "实施单位", "结论#主体"];
    rows(&titles, rewards.iter().map(row))
}

/// What a report names: the verdict, and where the subject stands in it.
fn in_verdict(verdict_id: &str, subject: u32) -> String {
    match verdict_id {
        "" => String::new(),
        id => format!("{id}#{subject}"),
    }
}

fn decisions(measures: &[v1::CaseMeasure]) -> Vec<Vec<String>> {
    let decided = measures.iter().flat_map(|measure| {
        let row = |decision: &v1::ProposalDecision| {
            let word = match decision.decision.as_str() {
                "confirm" => "确认",
                "reject" => "不予采取",
                other => other,
            };
            vec![
                moment(&decision.recorded_at),
                measure.key.clone(),
                word.to_owned(),
                plain(&decision.by),
                one_line(&decision.document_no),
                plain(&decision.reason),
            ]
        };
        measure.decisions.iter().map(row)
    });
    rows(
        &["时间", "措施", "决定", "决定人", "文书号", "理由"],
        decided,
    )
}

fn feedback(feedback: &[v1::FeedbackShown]) -> Vec<Vec<String>> {
    let row = |shown: &v1::FeedbackShown| {
        let of = shown.feedback.clone().unwrap_or_default();
        let flags: Vec<&str> = shown.flags.iter().map(|flag| self::flag(flag)).collect();
        let (what, how) = match &of.inspection {
            Some(found) => (one_line(&found.item), result(&found.result).to_owned()),
            None => (of.measure_id, status(&of.status).to_owned()),
        };
        vec![
            moment(&of.executed_at),
            one_line(&of.feedback_id),
            what,
            in_verdict(&of.verdict_id, of.subject),
            how,
            one_line(&of.department),
            one_line(&of.implementer),
            of.amount_fen.map_or_else(String::new, yuan),
            one_line(&of.document_no),
            flags.join("、"),
            plain(&of.reason),
        ]
    };
    let titles = [
        "执行时间",
        "反馈编号",
        "措施",
        "结论#主体",
        "执行情况",
        "部门",
        "实施单位",
        "金额（元）",
        "文书号",
        "标注",
        "说明",
    ];
    rows(&titles, feedback.iter().map(row))
}

/// Cases, a line each.
pub fn cases(cases: &[v1::CaseSummary]) -> String {
    if cases.is_empty() {
        return "no such case is known\n".to_owned();
    }
    let row = |case: &v1::CaseSummary| {
        vec![
            case.case_id.clone(),
            case.scenario.clone(),
            case_state(&case.state).to_owned(),
            case.stage.clone(),
            case.outcome.clone(),
            moment(&case.last_event_at),
            case.in_effect.to_string(),
            case.proposed.to_string(),
            case.open_orders.to_string(),
            case.missing.to_string(),
        ]
    };
    let titles = [
        "办件",
        "场景",
        "状态",
        "环节",
        "结论",
        "最近事项",
        "生效措施",
        "待确认",
        "待解除",
        "缺少核查",
    ];
    table_text(&rows(&titles, cases.iter().map(row)))
}

/// What waits for an official, a line each.
pub fn proposals(proposals: &[v1::Proposal]) -> String {
    if proposals.is_empty() {
        return "nothing waits for an official\n".to_owned();
    }
    let row = |proposal: &v1::Proposal| {
        let measure = proposal.measure.clone().unwrap_or_default();
        let late = if measure.escalated { " 逾期" } else { "" };
        vec![
            format!("{}{late}", measure.decide_by),
            proposal.case_id.clone(),
            measure.key.clone(),
            proposal.scenario.clone(),
            subject(measure.subject, &measure.role),
            measure.title.clone(),
            measure.effect.clone(),
            standing(&measure),
            measure.entry_ids.join(", "),
        ]
    };
    let titles = [
        "限期",
        "办件",
        "措施",
        "场景",
        "主体",
        "名称",
        "效力",
        "状态",
        "依据记录",
    ];
    table_text(&rows(&titles, proposals.iter().map(row)))
}

/// A proposal as it is now, and the notice where there is one.
pub fn decided(answer: &v1::ProposalResponse) -> String {
    let proposal = answer.proposal.clone().unwrap_or_default();
    let measure = proposal.measure.unwrap_or_default();
    let mut out = format!(
        "办件 {} 措施 {} {}（{}）：{}\n",
        proposal.case_id,
        measure.key,
        measure.title,
        measure.effect,
        standing(&measure)
    );
    if !measure.decide_by.is_empty() && waits(&measure.state) {
        let late = if measure.escalated { "，逾期" } else { "" };
        push(&mut out, format_args!("限期 {}{late}", measure.decide_by));
    }
    out.push_str(&table_text(&decisions(std::slice::from_ref(&measure))));
    if !answer.notice.is_empty() {
        out.push('\n');
        for line in answer.notice.trim_end().lines() {
            push(&mut out, format_args!("{}", plain(line)));
        }
    }
    out
}

/// Lift orders, a line each.
pub fn orders(orders: &[v1::LiftOrder]) -> String {
    match orders.is_empty() {
        true => "there is no such lift order\n".to_owned(),
        false => table_text(&order_rows(orders, true)),
    }
}

/// A lift order as it is now.
pub fn order(order: &v1::LiftOrder) -> String {
    table_text(&order_rows(std::slice::from_ref(order), true))
}

fn order_rows(orders: &[v1::LiftOrder], with_case: bool) -> Vec<Vec<String>> {
    /// Where the business number stands.
    const CASE: usize = 1;
    let row = |order: &v1::LiftOrder| {
        let late = if order.overdue { " 逾期" } else { "" };
        let age = match order.state.as_str() {
            "open" => span(order.age_ms),
            _ => String::new(),
        };
        let mut row = vec![
            order.order_id.clone(),
            order.case_id.clone(),
            order.measure_id.clone(),
            order.title.clone(),
            subject(order.subject, &order.role),
            order.implementer.clone(),
            format!("{}{late}", order_state(&order.state)),
            moment(&order.ordered_at),
            age,
            cause(&order.cause),
            order.entry_ids.join(", "),
            plain(&order.acknowledged_by),
            moment(&order.acknowledged_at),
            one_line(&order.document_no),
            in_verdict(&order.verdict_id, order.verdict_subject),
        ];
        if !with_case {
            row.remove(CASE);
        }
        row
    };
    let mut titles = vec![
        "通知",
        "办件",
        "措施",
        "名称",
        "主体",
        "实施单位",
        "状态",
        "发出时间",
        "历时",
        "起因",
        "原依据记录",
        "解除人",
        "解除时间",
        "文书号",
        "结论#主体",
    ];
    if !with_case {
        titles.remove(CASE);
    }
    rows(&titles, orders.iter().map(row))
}

/// How far the review of open cases has come.
pub fn progress(progress: &v1::ReviewProgress) -> String {
    format!(
        "reviewed to  {}\nlists        {}\nwaiting      {}\nreviewed     {} since the start\nopen cases   {}\n",
        progress.reviewed_to,
        progress.list_version,
        progress.waiting,
        progress.reviewed,
        progress.open_cases
    )
}

/// Which subject, by position and role.
fn subject(position: u32, role: &str) -> String {
    format!("{position} {role}").trim_end().to_owned()
}

/// What made a verdict necessary; of a book the beginning of its version, as verdicts show it.
fn cause(cause: &str) -> String {
    const SHOWN: usize = "book:".len() + 16;
    match cause.starts_with("book:") {
        true => cause.get(..SHOWN).unwrap_or(cause).to_owned(),
        false => cause.to_owned(),
    }
}

fn case_state(state: &str) -> &str {
    match state {
        "open" => "办理中",
        "closed" => "已办结",
        other => other,
    }
}

/// The state of a measure with who has it in hand.
fn standing(measure: &v1::CaseMeasure) -> String {
    let word = match measure.state.as_str() {
        "in_effect" => "生效",
        "proposed" => "待确认",
        "claimed" => "已认领",
        "seconded" => "待复核",
        "confirmed" => "已确认",
        "rejected" => "不予采取",
        "unsupported" => "依据已失",
        other => other,
    };
    let mut of = Vec::new();
    if measure.four_eyes && waits(&measure.state) {
        of.push("须两人确认".to_owned());
    }
    if !measure.claimed_by.is_empty() && waits(&measure.state) {
        of.push(plain(&measure.claimed_by));
    }
    match of.is_empty() {
        true => word.to_owned(),
        false => format!("{word}（{}）", of.join("，")),
    }
}

fn waits(state: &str) -> bool {
    matches!(state, "proposed" | "claimed" | "seconded")
}

fn order_state(state: &str) -> &str {
    match state {
        "open" => "待解除",
        "acknowledged" => "已解除",
        "cancelled" => "已撤销",
        other => other,
    }
}

/// How far a measure was carried out.
pub fn status(status: &str) -> &str {
    match status {
        "executed" => "已执行",
        "partly" => "部分执行",
        "not_executed" => "未执行",
        other => other,
    }
}

/// What an inspection found.
fn result(result: &str) -> &str {
    match result {
        "passed" => "检查合格",
        "failed" => "检查不合格",
        "corrected" => "责令改正后合格",
        "not_done" => "未能检查",
        other => other,
    }
}

/// A penalty or a reward.
pub fn direction(direction: &str) -> &str {
    match direction {
        "penalty" => "惩戒",
        "incentive" => "激励",
        other => other,
    }
}

/// What is odd about a report.
pub fn flag(flag: &str) -> &str {
    match flag {
        "late" => "迟报",
        "contradicts" => "前后不一",
        "not_confirmed" => "未经确认",
        "before_event" => "早于事项",
        other => other,
    }
}

/// An amount of money in yuan.
pub fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

/// A text on one line, without what would steer a terminal.
pub fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(shown).collect()
}

/// A text that somebody wrote: on one line, and with what looks like an identifier masked, whether or not its check
/// digit holds.
pub fn plain(text: &str) -> String {
    const SHORTEST: usize = 15;
    /// A credit code has so many at least: its division.
    const DIGITS: usize = 8;
    const SHOWN: usize = 2;
    let of_identifier = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '\u{FF10}'..='\u{FF19}' | '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}')
    };
    let digit = |c: &&char| c.is_ascii_digit() || matches!(**c, '\u{FF10}'..='\u{FF19}');
    let mut out = String::with_capacity(text.len());
    let mut run: Vec<char> = Vec::new();
    // A last character that belongs to no run ends the last one.
    for c in one_line(text).chars().chain([' ']) {
        if of_identifier(c) {
            run.push(c);
            continue;
        }
        let hidden = run.len() >= SHORTEST && run.iter().filter(digit).count() >= DIGITS;
        let length = run.len();
        out.extend(run.drain(..).enumerate().map(|(at, c)| {
            let shown = at < SHOWN || at + SHOWN >= length;
            if hidden && !shown { '*' } else { c }
        }));
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// A table with its titles; without rows nothing.
fn rows(titles: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut table: Vec<Vec<String>> = rows.collect();
    if !table.is_empty() {
        table.insert(0, titles.iter().map(|title| (*title).to_owned()).collect());
    }
    table
}

/// A titled table below what is there; nothing where it has no rows.
fn section(out: &mut String, title: &str, rows: Vec<Vec<String>>) {
    if !rows.is_empty() {
        push(out, format_args!("\n{title}"));
        out.push_str(&table_text(&rows));
    }
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{line}");
}
