//! The page of a package, for people: Chinese with English beside it, on A4, with nothing that runs or is loaded.

mod measures;
mod proven;
mod who;

use creditgate_proto::v1;

use self::who::Names;
use super::html::Html;
use super::parts::Parts;
use crate::identity::moment;
use crate::screen::line;

/// What stands before the body. Nothing may run or be loaded, whatever a reader's browser would do.
const HEAD: &str = r#"<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>信用核查证据 Evidence of a credit check</title>
<style>
@page { size: A4; margin: 18mm 15mm; }
body { font: 10.5pt/1.5 "Noto Serif CJK SC", "Source Han Serif SC", "Songti SC", SimSun, serif; color: #000; background: #fff; max-width: 180mm; margin: 0 auto; padding: 4mm; }
h1 { font-size: 18pt; margin: 0 0 2mm; }
h2 { font-size: 12.5pt; border-bottom: 1px solid #000; margin: 6mm 0 2mm; break-after: avoid; }
h3 { font-size: 11pt; margin: 4mm 0 1mm; break-after: avoid; }
table { width: 100%; border-collapse: collapse; margin: 0 0 3mm; }
th, td { border: 1px solid #888; padding: 1mm 1.5mm; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: #eee; font-weight: 600; }
.facts th { width: 34%; }
tr { break-inside: avoid; }
thead { display: table-header-group; }
code { font-family: "Noto Sans Mono", Consolas, monospace; font-size: 8.5pt; overflow-wrap: anywhere; }
[lang=en] { color: #333; font-size: 9pt; }
strong { font-size: 14pt; }
@media print { body { max-width: none; padding: 0; } }
</style>
</head>
<body>
"#;

/// The whole page.
pub fn render(parts: &Parts) -> String {
    let names = Names::of(parts);
    let body = [
        heading(parts),
        outcome(parts, &names),
        who::section(parts, &names),
        matter(parts, &names),
        measures::penalties(parts, &names),
        measures::incentives(parts, &names),
        measures::remedies(parts),
        not_checked(parts),
        proven::versions(parts),
        proven::proof(parts),
        proven::how(parts),
    ];
    let body = body.into_iter().fold(Html::default(), Html::and);
    format!("{HEAD}{}</body>\n</html>\n", body.into_text())
}

fn heading(parts: &Parts) -> Html {
    let masked = match parts.about.masked {
        true => Html::paragraph(
            "本页已隐去证件号码和自然人姓名；同一证据包中的其他文件为全文，仅供有权查阅者使用。",
            "Identifiers and names of natural persons are hidden on this page; the other files of the package hold them in \
             full and are for those who may see them.",
        ),
        false => Html::paragraph(
            "注意：本页含完整的证件号码和姓名，仅供有权查阅者使用，不得公开。",
            "Attention: this page shows identifiers and names in full. For those who may see them; not to be published.",
        ),
    };
    Html::fixed("信用核查证据 <span lang=\"en\">Evidence of a credit check</span>")
        .within("h1")
        .and(masked)
}

fn outcome(parts: &Parts, names: &Names<'_>) -> Html {
    let verdict = &parts.verdict;
    let effect = |code: &Option<String>| {
        let code = code.as_deref().unwrap_or_default();
        Html::both(line::effect(code), code)
    };
    let rows = verdict
        .parties
        .iter()
        .map(|party| {
            vec![
                Html::value(&names.hide(&party.party)),
                Html::both(line::outcome(&party.outcome), &party.outcome),
                effect(&party.effect),
                effect(&party.proposed),
            ]
        })
        .collect();
    let facts = Html::facts([
        (
            "核查结论",
            "outcome",
            Html::both(line::outcome(&verdict.outcome), &verdict.outcome).within("strong"),
        ),
        ("核查编号", "verdict id", Html::code(&verdict.verdict_id)),
        (
            "核查时间",
            "judged at",
            Html::value(&moment(&verdict.evaluated_at)),
        ),
        ("说明", "flags", flags(&verdict.flags)),
        ("被取代", "superseded", superseded(parts)),
    ]);
    let parties = Html::table(
        &[
            ("参与方", "party"),
            ("结论", "outcome"),
            ("生效", "applies now"),
            ("待审", "waits for an official"),
        ],
        rows,
    );
    let note = Html::paragraph(
        "各参与方以其自身结论为准；事项结论为汇总。结论供经办机关参考，具体行政行为以机关决定为准。",
        "Each party stands by its own outcome; that of the event is a summary. A verdict is advice to the deciding organ, \
         whose decision is the administrative act.",
    );
    Html::section("结论", "Outcome", facts.and(parties).and(note))
}

fn superseded(parts: &Parts) -> Html {
    match &parts.about.superseded_by {
        Some(by) => {
            Html::fixed("已有后续核查 <span lang=\"en\">a later verdict took its place</span> ")
                .and(Html::code(by))
        }
        None => Html::default(),
    }
}

/// What must be known besides. That an entry was found and is not usable, nobody is told: they see only the review.
fn flags(flags: &[String]) -> Html {
    let shown = flags.iter().filter(|flag| *flag != "changed_since_event");
    Html::lines(shown.map(|flag| Html::both(&line::flag_told(flag), flag)))
}

fn matter(parts: &Parts, names: &Names<'_>) -> Html {
    let (event, book) = (&parts.event, &parts.book);
    let scenario = book.scenario(&event.scenario);
    let stage = scenario.and_then(|scenario| scenario.stage(&event.stage));
    let titled = |title: Option<&creditgate_measures::book::Text>, code: &str| match title {
        Some(title) => Html::both(&title.zh, &title.en),
        None => Html::value(code),
    };
    let amount = event.amount_fen.map(|fen| {
        let sign = if fen < 0 { "-" } else { "" };
        let fen = fen.unsigned_abs();
        Html::value(&format!("{sign}{}.{:02} 元 CNY", fen / 100, fen % 100))
    });
    let shown = |text: &str| match text.is_empty() {
        true => Html::default(),
        false => Html::value(&names.hide(text)),
    };
    let facts = Html::facts([
        (
            "业务场景",
            "scenario",
            titled(scenario.map(|scenario| &scenario.title), &event.scenario),
        ),
        (
            "环节",
            "stage",
            titled(stage.map(|stage| &stage.title), &event.stage),
        ),
        ("办件号", "case", shown(&event.case_id)),
        ("来源系统", "source", shown(&event.source)),
        ("事件编号", "event id", shown(&event.id)),
        ("行政区划", "region", shown(&event.region)),
        ("事项编码", "item code", shown(&event.item_code)),
        ("金额", "amount", amount.unwrap_or_default()),
        ("查询目的", "purpose", shown(&event.purpose)),
        (
            "发生时间",
            "took place at",
            Html::value(&moment(&parts.verdict.occurred_at)),
        ),
    ]);
    Html::section("事项", "Matter", facts)
}

fn not_checked(parts: &Parts) -> Html {
    let rows: Vec<Vec<Html>> = parts
        .verdict
        .not_checked
        .iter()
        .map(|not| skipped(parts, not))
        .collect();
    if rows.is_empty() {
        return Html::default();
    }
    let table = Html::table(&[("名单", "list"), ("原因", "why")], rows);
    let note = Html::paragraph(
        "未核查不等于未列入。",
        "Not checked is never to be read as not listed.",
    );
    Html::section("未核查名单", "Lists not checked", table.and(note))
}

fn skipped(parts: &Parts, not: &v1::NotChecked) -> Vec<Html> {
    vec![
        list(parts, &not.list),
        Html::both(&line::why_not(&not.why), &not.why),
    ]
}

/// A list by its names.
fn list(parts: &Parts, code: &str) -> Html {
    let named = parts.book.list(code);
    let named = named.map(|list| Html::both(&list.name.zh, &list.name.en));
    Html::lines([Html::value(code), named.unwrap_or_default()])
}
