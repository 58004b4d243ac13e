//! One line of the check table: what a caller may see of a verdict, and nothing else.

use creditgate_measures::book::table::words;
use creditgate_measures::vocabulary::{Effect, Outcome};
use creditgate_proto::v1;
use creditgate_registry::files::{Participant, Row};
use serde::{Deserialize, Serialize};

use super::mask;
use crate::identity::moment;

/// Stands for the outcome of a row that was not checked.
pub const REFUSED: &str = "REFUSED";

/// What was found about one row. Names and numbers are masked in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// Its place among all rows of the list.
    pub number: u64,
    /// The file in the archive; empty where there is one file only.
    pub file: String,
    /// The line, of a workbook the row.
    pub line: u64,
    /// The sender's own name of the row.
    pub row_id: String,
    /// The name, masked.
    pub name: String,
    /// The number, masked.
    pub id: String,
    /// Code of the outcome, or [`REFUSED`].
    pub outcome: String,
    /// Strongest effect that applies now.
    pub effect: String,
    /// Strongest effect that waits for an official.
    pub proposed: String,
    /// Measures that matched.
    pub measures: Vec<Measure>,
    /// Their legal bases.
    pub basis: Vec<String>,
    /// Codes of the lists they rest on.
    pub lists: Vec<String>,
    /// How to object or repair.
    pub remedies: Vec<String>,
    /// Lists that were not checked, with the reason; never to be read as "not listed".
    pub not_checked: Vec<(String, String)>,
    /// Id of the verdict.
    pub verdict_id: String,
    /// Version of the lists.
    pub list_version: String,
    /// When it was judged.
    pub evaluated_at: String,
    /// What must be known about the verdict.
    pub flags: Vec<String>,
    /// Why the row was refused.
    pub reason: String,
    /// The event had been judged before.
    pub repeated: bool,
    /// The verdict that took the place of this one.
    pub superseded_by: String,
}

/// A measure that matched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Id of the row of the book.
    pub id: String,
    /// Its Chinese title.
    pub title: String,
    /// What it does here.
    pub effect: String,
    /// `effect` or `proposed`.
    pub contributes: String,
}

impl Line {
    /// A row that could not be read.
    pub fn unread(row: &Row<Participant>, several: bool, reason: String) -> Self {
        Self {
            outcome: REFUSED.to_owned(),
            reason,
            ..Self::of_row(row, several)
        }
    }

    /// A row that the service refused.
    pub fn refused(row: &Row<Participant>, several: bool, error: &v1::ItemError) -> Self {
        let rules: Vec<String> = error
            .violations
            .iter()
            .map(|violation| {
                let field = violation.field.trim_start_matches("subjects[0].");
                format!("{field}: {}", violation.rule)
            })
            .collect();
        let reason = match (rules.is_empty(), error.reason.as_str()) {
            (false, _) => rules.join("; "),
            (true, "other_content") => {
                "this row was checked before with other content; name another --case".to_owned()
            }
            (true, _) => error.message.clone(),
        };
        Self::unread(row, several, reason)
    }

    /// A row with its verdict.
    pub fn checked(
        row: &Row<Participant>,
        several: bool,
        verdict: &v1::Verdict,
        repeated: bool,
    ) -> Self {
        let mut line = Self {
            outcome: verdict.outcome.clone(),
            effect: verdict.effect.clone().unwrap_or_default(),
            proposed: verdict.proposed.clone().unwrap_or_default(),
            verdict_id: verdict.verdict_id.clone(),
            list_version: verdict.list_version.clone(),
            evaluated_at: moment(&verdict.evaluated_at),
            not_checked: verdict
                .not_checked
                .iter()
                .map(|not| (not.list.clone(), not.why.clone()))
                .collect(),
            repeated,
            superseded_by: verdict.superseded_by.clone().unwrap_or_default(),
            ..Self::of_row(row, several)
        };
        let of_subjects = verdict.subjects.iter().flat_map(|subject| &subject.flags);
        for flag in verdict.flags.iter().chain(of_subjects) {
            // It tells of an entry that was found and is not usable: a caller sees only the review.
            if flag != "changed_since_event" {
                push(&mut line.flags, flag.clone());
            }
        }
        for triggered in verdict.subjects.iter().flat_map(|one| &one.triggered) {
            line.take(triggered);
        }
        line
    }

    /// Who it is, and where the row stands.
    fn of_row(row: &Row<Participant>, several: bool) -> Self {
        let who = row.entry.as_ref().ok();
        Self {
            number: row.number,
            file: match several {
                true => row.file.to_string(),
                false => String::new(),
            },
            line: row.line,
            row_id: who.map_or_else(String::new, |who| mask::label(&who.row_id)),
            name: who.map_or_else(String::new, |who| mask::name(&who.subject)),
            id: who.map_or_else(String::new, |who| mask::number(&who.subject)),
            ..Self::default()
        }
    }

    fn take(&mut self, triggered: &v1::Triggered) {
        let measure = triggered.measure.clone().unwrap_or_default();
        let shown = Measure {
            title: measure.title.unwrap_or_default().zh,
            id: measure.id,
            effect: triggered.effect.clone(),
            contributes: triggered.contributes.clone(),
        };
        push(&mut self.measures, shown);
        for basis in &measure.basis {
            push(&mut self.basis, told(basis));
        }
        if let Some(remedies) = measure.remedies.filter(|text| !text.zh.is_empty()) {
            push(&mut self.remedies, remedies.zh);
        }
        if let Some(entry) = &triggered.entry {
            push(&mut self.lists, entry.list.clone());
        }
    }

    /// Whether the row was not checked.
    pub fn is_refused(&self) -> bool {
        self.outcome == REFUSED
    }

    /// What stands under [`HEADERS`]; `place` is the number of the line in the table, from 1.
    pub fn cells(&self, place: usize) -> [String; HEADERS.len()] {
        let line = match self.file.as_str() {
            "" => self.line.to_string(),
            file => format!("{file}:{}", self.line),
        };
        let measures: Vec<String> = self.measures.iter().map(Measure::told).collect();
        let not_checked: Vec<String> = self
            .not_checked
            .iter()
            .map(|(list, why)| format!("{list}（{}）", why_not(why)))
            .collect();
        [
            place.to_string(),
            line,
            self.row_id.clone(),
            self.name.clone(),
            self.id.clone(),
            coded(outcome(&self.outcome), &self.outcome),
            coded(effect(&self.effect), &self.effect),
            coded(effect(&self.proposed), &self.proposed),
            measures.join("；"),
            self.basis.join("；"),
            self.lists.join("、"),
            self.remedies.join("；"),
            not_checked.join("、"),
            self.told(),
            self.verdict_id.clone(),
            self.list_version.clone(),
            self.evaluated_at.clone(),
        ]
    }

    /// What must be known besides.
    fn told(&self) -> String {
        let flags = self.flags.iter().map(|flag| flag_told(flag));
        let reason = (!self.reason.is_empty()).then(|| self.reason.clone());
        let superseded = (!self.superseded_by.is_empty())
            .then(|| format!("已有后续核查结果（{}）", self.superseded_by));
        let all: Vec<String> = reason.into_iter().chain(superseded).chain(flags).collect();
        all.join("；")
    }
}

/// The columns of the table.
pub const HEADERS: [&str; 17] = [
    "序号",
    "行号",
    "编号",
    "主体名称",
    "证件号码",
    "核查结果",
    "效力",
    "待审",
    "触发措施",
    "依据",
    "名单",
    "救济途径",
    "未核查名单",
    "说明",
    "核查编号",
    "名单版本",
    "核查时间",
];

impl Measure {
    fn told(&self) -> String {
        let waits = match self.contributes.as_str() {
            "proposed" => "，待审",
            _ => "",
        };
        format!(
            "{} {}（{}{waits}）",
            self.id,
            self.title,
            effect(&self.effect)
        )
    }
}

/// The Chinese word of an outcome; its code where there is none.
pub fn outcome(code: &str) -> &str {
    match Outcome::parse(code) {
        Some(Outcome::Pass) => "通过",
        Some(Outcome::ManualReview) => "待人工审核",
        _ if code == REFUSED => "未核查",
        _ => effect(code),
    }
}

/// The Chinese word of the effect of a penalty; its code where there is none.
pub fn effect(code: &str) -> &str {
    match Effect::parse(code) {
        Some(effect) => words::effect(effect),
        None => code,
    }
}

fn coded(word: &str, code: &str) -> String {
    match word == code {
        true => code.to_owned(),
        false => format!("{word} {code}"),
    }
}

/// A legal basis on one line.
pub fn told(basis: &v1::Basis) -> String {
    let mut told = basis.law.clone();
    told.push_str(basis.article.as_deref().unwrap_or_default());
    if let Some(number) = &basis.document_no {
        told.push_str(&format!("（{number}）"));
    }
    told
}

/// Why a list was not checked, for people.
pub fn why_not(why: &str) -> String {
    match why.split_once(": ") {
        Some(("not_connected", reason)) => format!("未接入：{reason}"),
        _ => match why {
            "not_loaded" => "未导入".to_owned(),
            "stale" => "已过期".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// What a flag says, for people; its code where there are no words for it.
pub fn flag_told(flag: &str) -> String {
    let told = match flag.split(':').next().unwrap_or_default() {
        "subject_unverified" => "无有效证件号码，须人工核实身份",
        "subject_unlinked" => "证件号码未关联到统一社会信用代码，须人工核实身份",
        "inner_org_code" => "统一社会信用代码中的组织机构代码校验不符",
        "name_differs" => "名称与该证件号码的已知名称不一致",
        "kind_conflict" => "主体类别与证件号码不一致",
        "name_only" => "仅按名称匹配，须人工核实",
        "no_end_date" => "名单条目无截止日期，须人工核实",
        "missing_check" => "前序环节未核查",
        "late" => "核查晚于事项发生24小时以上",
        "rows_inactive" => "本环节措施未启用，须人工审核",
        "lists_stale" => "名单已过更新期限，须人工审核",
        "lists_behind" => "名单未更新到要求的版本，须人工审核",
        "before_covers_from" => "事项早于措施清单适用期间，须人工审核",
        "scenario_unknown" => "措施清单无此事项或环节，须人工审核",
        "condition_error" => "措施条件无法判断，须人工审核",
        "book_unsigned" => "措施清单未签名",
        _ => return flag.to_owned(),
    };
    match flag.split_once(':') {
        Some((_, of)) => format!("{told}（{of}）"),
        None => told.to_owned(),
    }
}

fn push<T: PartialEq>(into: &mut Vec<T>, one: T) {
    if !into.contains(&one) {
        into.push(one);
    }
}

#[cfg(test)]
mod tests;
