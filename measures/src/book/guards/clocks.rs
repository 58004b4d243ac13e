//! What a rule on repair, its limits and a notice may not be.

use super::super::{Basis, RepairRule};
use super::text::{blank, both, code_broken};
use super::{Broken, broken_if};
use crate::clocks::notice::{Notice, Occasion, Placeholder};
use crate::clocks::{Limit, OPENED, Procedure};
use crate::vocabulary::Level;

/// Most days of a limit: a year.
const LIMIT_DAYS_MAX: u16 = 366;

/// Every guard that a rule on repair breaks beside those read before it.
pub(in super::super) fn rule_broken(rule: &RepairRule, others: &[RepairRule]) -> Vec<Broken> {
    let before = |a: &RepairRule, b: &RepairRule| {
        let (end, start) = (a.effective_to, b.effective_from);
        end.zip(start).is_some_and(|(end, start)| end < start)
    };
    let overlaps = |other: &&RepairRule| {
        other.general
            && other.version != rule.version
            && !before(rule, other)
            && !before(other, rule)
    };
    let mut broken = Vec::new();
    broken.extend(broken_if(
        rule.general && rule.effective_from.is_none(),
        "a general rule without a first day",
        "write `effective_from`: it says which decisions it governs",
    ));
    if rule.general
        && let Some(other) = others.iter().find(overlaps)
    {
        broken.push((
            format!(
                "two general rules hold on one day, this and `{}`",
                other.version
            ),
            "end one before the other begins".to_owned(),
        ));
    }
    broken
}

/// Every guard that a limit breaks beside those before it in its procedure.
pub(in super::super) fn limit_broken(
    procedure: Procedure,
    limit: &Limit,
    earlier: &[Limit],
) -> Vec<Broken> {
    let law = limit.law.iter().map(|basis| ("law", vec![&*basis.law]));
    let title = ("title", vec![&*limit.title_zh, &*limit.title_en]);
    let mut broken = blank(law.chain([title]));
    broken.extend(broken_if(
        limit.law.is_none() && !limit.is_default,
        "the limit has no basis",
        "add its `basis`, or write `default: true` where no law sets it",
    ));
    let local = |law: &Basis| law.level == Level::LocalRegulation;
    broken.extend(broken_if(
        limit.law.as_ref().is_some_and(local) && !limit.is_default,
        "a local regulation binds in its own region only, and the rule holds everywhere",
        "write `default: true`: there it is shown as filling a gap",
    ));
    broken.extend(code_broken("step", &limit.step));
    let known = |code: &str| earlier.iter().any(|other| *other.step == *code);
    if known(&limit.step) || *limit.step == *OPENED {
        broken.push((
            format!("step `{}` of `{procedure}` stands twice", limit.step),
            "remove one, or write another code".to_owned(),
        ));
    }
    if *limit.counted_from != *OPENED && !known(&limit.counted_from) {
        broken.push((
            format!(
                "`{}` is counted from `{}`, which is no earlier step of `{procedure}`",
                limit.step, limit.counted_from
            ),
            "write `opened`, or a step that stands before it".to_owned(),
        ));
    }
    broken.extend(broken_if(
        !(1..=LIMIT_DAYS_MAX).contains(&limit.days),
        "a limit of no days, or of more than a year",
        "write `days` from 1 to 366",
    ));
    broken
}

/// Every guard that a notice breaks beside those read before it.
pub(in super::super) fn notice_broken(notice: &Notice, others: &[Notice]) -> Vec<Broken> {
    let laws = notice.bases.iter().map(|basis| ("law", vec![&*basis.law]));
    let own = [
        ("title", both(&notice.title)),
        ("text", vec![&*notice.text]),
    ];
    let mut broken = blank(own.into_iter().chain(laws));
    broken.extend(code_broken("id", &notice.id));
    broken.extend(broken_if(
        notice.bases.is_empty(),
        "the notice has no basis",
        "add its `basis`",
    ));
    broken.extend(broken_if(
        !notice.placeholders().contains(&Placeholder::Subject),
        "the notice does not name whom it is for",
        "write `{subject}` in the text",
    ));
    broken.extend(broken_if(
        notice.proves_service && notice.when != Occasion::Listing,
        "only the service of the decision itself tells when the decision was served",
        "write `proves_service` with `when: listing` only",
    ));
    if let Some(other) = others.iter().find(|other| other.when == notice.when) {
        broken.push((
            format!("two notices for `{}`, this and `{}`", notice.when, other.id),
            "remove one".to_owned(),
        ));
    }
    broken
}
