//! The measures of a page: what they do, the entries and the law on which they rest, and how to object or repair.

use creditgate_measures::book::table::words;
use creditgate_measures::vocabulary::{Benefit, Force, Level};
use creditgate_proto::v1;

use super::super::html::Html;
use super::super::parts::Parts;
use super::list;
use super::who::Names;
use crate::screen::line;

/// The penalties that matched.
pub fn penalties(parts: &Parts, names: &Names<'_>) -> Html {
    let mut told = Vec::new();
    for subject in &parts.verdict.subjects {
        for triggered in &subject.triggered {
            let contributes = match triggered.contributes.as_str() {
                "effect" => Html::both("现即适用", "applies now"),
                "proposed" => Html::both("待工作人员决定", "waits for an official"),
                other => Html::value(other),
            };
            let effect = Html::both(line::effect(&triggered.effect), &triggered.effect);
            told.push(measure(
                parts,
                names,
                subject,
                triggered.measure.as_ref(),
                Html::lines([effect, contributes]),
                &triggered.why,
                triggered.entry.as_ref(),
            ));
        }
    }
    let inner = match told.is_empty() {
        true => Html::paragraph("未触发惩戒措施。", "No penalty measure matched."),
        false => told.into_iter().fold(Html::default(), Html::and),
    };
    Html::section("措施及法律依据", "Measures with their legal basis", inner)
}

/// The incentives that matched, offered and withheld.
pub fn incentives(parts: &Parts, names: &Names<'_>) -> Html {
    let mut told = Vec::new();
    for subject in &parts.verdict.subjects {
        let offered = subject.offered.iter().map(|one| (one, "提供", "offered"));
        let withheld = subject
            .withheld
            .iter()
            .map(|one| (one, "暂不提供", "withheld"));
        for (incentive, zh, en) in offered.chain(withheld) {
            let effect = incentive
                .measure
                .as_ref()
                .map_or("", |measure| measure.effect.as_str());
            let benefit = word(Benefit::parse(effect), words::benefit, effect);
            told.push(measure(
                parts,
                names,
                subject,
                incentive.measure.as_ref(),
                Html::lines([Html::both(benefit, effect), Html::both(zh, en)]),
                &incentive.why,
                incentive.entry.as_ref(),
            ));
        }
    }
    match told.is_empty() {
        true => Html::default(),
        false => Html::section(
            "守信激励",
            "Incentives",
            told.into_iter().fold(Html::default(), Html::and),
        ),
    }
}

fn measure(
    parts: &Parts,
    names: &Names<'_>,
    subject: &v1::SubjectVerdict,
    measure: Option<&v1::Measure>,
    effect: Html,
    why: &[String],
    hit: Option<&v1::EntryHit>,
) -> Html {
    let Some(measure) = measure else {
        return Html::default();
    };
    let title = measure.title.clone().unwrap_or_default();
    let row = parts.row(measure);
    let heading = Html::value(&measure.id)
        .and(Html::fixed(" "))
        .and(Html::both(&title.zh, &title.en))
        .within("h3");
    let force = word(Force::parse(&measure.force), words::force, &measure.force);
    let confidence = match measure.confidence.as_str() {
        "recalled" => Html::both("依据文本未核对", "text of the basis was not verified"),
        _ => Html::default(),
    };
    let bases = measure.basis.iter().map(basis);
    let facts = Html::facts([
        (
            "适用对象",
            "falls on subject",
            Html::value(&(u64::from(subject.index) + 1).to_string()),
        ),
        ("效力", "effect", effect),
        (
            "内容",
            "content",
            row.map(|row| Html::both(&row.content.zh, &row.content.en))
                .unwrap_or_default(),
        ),
        (
            "法律依据",
            "legal basis",
            Html::lines(bases.chain([confidence])),
        ),
        ("约束程度", "force", Html::both(force, &measure.force)),
        (
            "清单条目",
            "item of the national list",
            measure.item.as_deref().map(Html::value).unwrap_or_default(),
        ),
        ("触发依据", "rests on entry", entry(parts, names, hit)),
        (
            "说明",
            "why so",
            Html::lines(why.iter().map(|why| Html::both(told(why), why))),
        ),
        (
            "实施单位",
            "carried out by",
            both(measure.implementer.as_ref()),
        ),
        (
            "救济途径",
            "how to object or repair",
            both(measure.remedies.as_ref()),
        ),
    ]);
    heading.and(facts)
}

fn both(text: Option<&v1::Text>) -> Html {
    text.map(|text| Html::both(&text.zh, &text.en))
        .unwrap_or_default()
}

fn basis(basis: &v1::Basis) -> Html {
    let level = word(Level::parse(&basis.level), words::level, &basis.level);
    let mut told = Html::value(&line::told(basis))
        .and(Html::fixed(" · "))
        .and(Html::value(level));
    if let Some(issuer) = &basis.issuer {
        told = told.and(Html::fixed(" · ")).and(Html::value(issuer));
    }
    told
}

/// The entry as it was known then.
fn entry(parts: &Parts, names: &Names<'_>, hit: Option<&v1::EntryHit>) -> Html {
    let Some(hit) = hit else {
        return Html::default();
    };
    let mut lines = vec![
        list(parts, &hit.list),
        Html::both("编号", "entry")
            .and(Html::fixed(" "))
            .and(Html::value(&names.hide(&hit.entry_id))),
    ];
    let mut say = |zh: &str, en: &str, text: Option<String>| {
        if let Some(text) = text {
            let named = Html::both(zh, en).and(Html::fixed(" "));
            lines.push(named.and(Html::value(&names.hide(&text))));
        }
    };
    say("文书号", "document", hit.document_no.clone());
    if let Some(entry) = parts.entry(&hit.entry_id) {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        say("认定部门", "designated by", text(&entry.designated_by));
        say("认定依据", "designation basis", text(&entry.basis));
        say("自", "from", Some(entry.valid_from.date().to_string()));
        say("至", "to", entry.valid_to.map(|day| day.to_string()));
    }
    let path = match hit.path.as_str() {
        "identifier" => "按证件号码",
        "name" => "按名称",
        _ => "按关联关系",
    };
    say(path, "found by", Some(hit.path.clone()));
    Html::lines(lines)
}

/// Where to object, and by which rule an entry is repaired.
pub fn remedies(parts: &Parts) -> Html {
    let rows: Vec<Vec<Html>> = parts
        .list_codes()
        .into_iter()
        .filter_map(|code| parts.book.list(code))
        .map(|known| {
            let rules = known.repair.iter().flat_map(|(version, special)| {
                let special = special.as_ref();
                let rule = parts.book.rule(version);
                [
                    rule.map(|rule| Html::both(&rule.title.zh, &rule.title.en))
                        .unwrap_or_default(),
                    special
                        .map(|special| Html::both(&special.zh, &special.en))
                        .unwrap_or_default(),
                ]
            });
            vec![
                list(parts, known.code.as_str()),
                Html::value(&known.authority),
                Html::lines(rules),
            ]
        })
        .collect();
    let note = Html::paragraph(
        "对名单记录或者措施有异议的，可以向认定部门、实施单位或者信用平台提出异议；符合条件的，可以申请信用修复。\
         各项措施的具体救济途径见上。对行政行为不服的，可以依法申请行政复议或者提起行政诉讼。",
        "Whoever disputes an entry or a measure may object (异议) to the designating authority, the implementer or the credit \
         platform, and may apply for credit repair (信用修复) where its conditions are met. The remedies of each measure stand \
         with it above. Against an administrative act the law gives reconsideration and suit.",
    );
    let inner = match rows.is_empty() {
        true => note,
        false => note.and(Html::table(
            &[
                ("名单", "list"),
                ("认定部门（异议受理）", "authority, where to object"),
                ("信用修复规则", "rule of repair"),
            ],
            rows,
        )),
    };
    Html::section("异议与信用修复", "Objection and repair", inner)
}

/// The word for a code; the code where this version has none.
fn word<T>(known: Option<T>, told: impl FnOnce(T) -> &'static str, code: &str) -> &str {
    match known {
        Some(known) => told(known),
        None => code,
    }
}

/// What a reason says, for people; its code where there are no words for it.
fn told(why: &str) -> &str {
    match why.split(':').next().unwrap_or_default() {
        "discretion" => "依法由工作人员裁量",
        "protected" => "涉及个人，须由工作人员决定",
        "name_only" => "仅按名称匹配",
        "name_differs" => "名称与已知名称不一致",
        "condition_error" => "措施条件无法判断",
        "scope_missing" => "缺少适用范围",
        "attribute_missing" => "缺少事项属性",
        "severity_missing" => "缺少失信程度",
        "kind_missing" => "主体类别不明",
        "objection_marked" => "存在异议标注",
        "no_end_date" => "名单条目无截止日期",
        "recorded_after_event" => "事项发生后才登记且未送达",
        "list_stale" => "名单已过更新期限",
        "recalled_row" => "措施依据未核对",
        "minor_severity" => "轻微失信，仅作提示",
        "list_below_law" => "名单依据层级不足，仅作提示",
        "agreement" => "依跨区域互认协议",
        "third_party" => "由第三方自主决定",
        "own_decision" => "由实施单位自主决定",
        "excluded_by" => "因列入其他名单而不适用",
        "subject_unverified" => "身份未核验",
        "subject_unlinked" => "证件号码未关联",
        "list_not_loaded" => "名单未导入",
        _ => why,
    }
}
