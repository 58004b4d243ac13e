//! What of a book is compared: each field as one value, a standing, or members, and which way it bears.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::super::table::json;
use super::super::{Basis, Book, List, Measure, Text};
use super::{About, Bearing, Every, FieldChange, Held, What};
use crate::clocks::calendar::CalendarYear;
use crate::clocks::{Limit, Notice, Procedure};
use crate::event::ListCode;
use crate::time::Date;
use crate::vocabulary::{Confidence, Direction, Effect, Force};

/// One field of something.
#[derive(Debug, Clone)]
pub(super) struct Facet {
    field: &'static str,
    value: Value,
    bears: Bears,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    One(Option<String>),
    /// A value on a scale, and how it is told.
    Standing(i64, String),
    Members(Vec<String>),
}

/// Which way a field bears on people when it is part of a burden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bears {
    Nothing,
    /// What it means, only a person can say.
    Unclear,
    /// More, or higher, is stricter.
    Wider,
    /// As [`Bears::Wider`], where no member means every one.
    WiderFromEvery,
    /// More is milder.
    Narrower,
}

impl Facet {
    /// What became of the field; none when it is the same.
    pub fn change(was: &Self, is: &Self) -> Option<FieldChange> {
        if was.value == is.value {
            return None;
        }
        let (what, grows) = match (&was.value, &is.value) {
            (Value::Standing(before, was), Value::Standing(after, is)) => {
                let (was, is) = (was.clone(), is.clone());
                match before.cmp(after) {
                    Ordering::Less => (What::Rose { was, is }, Some(true)),
                    Ordering::Greater => (What::Fell { was, is }, Some(false)),
                    // Two words for one place on the scale.
                    Ordering::Equal => {
                        let (was, is) = (Some(was), Some(is));
                        (What::Became { was, is }, None)
                    }
                }
            }
            (Value::Members(before), Value::Members(after)) => {
                members(before, after, was.bears == Bears::WiderFromEvery)
            }
            (was, is) => (
                What::Became {
                    was: was.told(),
                    is: is.told(),
                },
                None,
            ),
        };
        Some(FieldChange {
            field: is.field,
            bearing: is.bears.bearing(grows),
            what,
        })
    }
}

impl Value {
    fn told(&self) -> Option<String> {
        match self {
            Self::One(text) => text.clone(),
            Self::Standing(_, text) => Some(text.clone()),
            Self::Members(members) => Some(members.join("; ")),
        }
    }
}

impl Bears {
    const fn bearing(self, grows: Option<bool>) -> Bearing {
        match (self, grows) {
            (Self::Nothing, _) => Bearing::Nothing,
            (Self::Unclear, _) | (_, None) => Bearing::Unclear,
            (Self::Wider | Self::WiderFromEvery, Some(true)) | (Self::Narrower, Some(false)) => {
                Bearing::Stricter
            }
            _ => Bearing::Milder,
        }
    }
}

/// Members that came and went; whether that is more or less, where it is one of the two.
fn members(was: &[String], is: &[String], empty_is_every: bool) -> (What, Option<bool>) {
    let without = |all: &[String], others: &[String]| -> Vec<String> {
        all.iter()
            .filter(|one| !others.contains(one))
            .cloned()
            .collect()
    };
    let (added, removed) = (without(is, was), without(was, is));
    let every = match (empty_is_every, was.is_empty(), is.is_empty()) {
        (true, true, _) => Some(Every::Before),
        (true, _, true) => Some(Every::Now),
        _ => None,
    };
    let grows = match (every, added.is_empty(), removed.is_empty()) {
        (Some(Every::Before), ..) => Some(false),
        (Some(Every::Now), ..) => Some(true),
        (None, false, true) => Some(true),
        (None, true, false) => Some(false),
        _ => None,
    };
    let what = What::Members {
        added,
        removed,
        every,
    };
    (what, grows)
}

fn one(field: &'static str, value: Option<String>, bears: Bears) -> Facet {
    Facet {
        field,
        value: Value::One(value),
        bears,
    }
}

fn standing(field: &'static str, rank: i64, told: impl Into<String>, bears: Bears) -> Facet {
    Facet {
        field,
        value: Value::Standing(rank, told.into()),
        bears,
    }
}

fn many(field: &'static str, members: impl Iterator<Item = String>, bears: Bears) -> Facet {
    let mut members: Vec<String> = members.collect();
    // In which order members are written says nothing.
    members.sort();
    members.dedup();
    Facet {
        field,
        value: Value::Members(members),
        bears,
    }
}

fn zh(field: &'static str, text: &Text) -> Facet {
    one(field, Some(text.zh.clone()), Bears::Nothing)
}

fn en(field: &'static str, text: &Text) -> Facet {
    one(field, Some(text.en.clone()), Bears::Nothing)
}

/// A first day: the earlier, the more it reaches; an unknown one reaches nothing.
fn first_day(day: Option<Date>, bears: Bears) -> Facet {
    let rank = day.map_or(i64::MIN, |day| -days(day));
    standing("effective_from", rank, told(day), bears)
}

/// A last day: the later, the more it reaches.
fn last_day(day: Option<Date>, bears: Bears) -> Facet {
    let rank = day.map_or(i64::MAX, days);
    standing("effective_to", rank, told(day), bears)
}

fn days(day: Date) -> i64 {
    day.start().micros() / 86_400_000_000
}

fn told(day: Option<Date>) -> String {
    day.map_or_else(|| "none".to_owned(), |day| day.to_string())
}

fn bases(bases: &[Basis]) -> Facet {
    many("basis", bases.iter().map(Basis::told), Bears::Nothing)
}

fn list_name(book: &Book, code: &ListCode) -> String {
    book.list(code.as_str()).map_or_else(
        || code.to_string(),
        |list| format!("{code} {}", list.name.zh),
    )
}

/// `tender/evaluate 招标投标 评标`: each stage a member, so that one more is one more.
fn stages(book: &Book, row: &Measure) -> Vec<String> {
    let mut all = Vec::new();
    for (code, stages) in &row.applies {
        for stage in stages {
            let names = book.scenario(code.as_str()).and_then(|scenario| {
                let known = scenario.stage(stage.as_str())?;
                Some(format!(" {} {}", scenario.title.zh, known.title.zh))
            });
            all.push(format!("{code}/{stage}{}", names.unwrap_or_default()));
        }
    }
    all
}

/// The fields of a row.
pub(super) fn row(book: &Book, row: &Measure) -> Vec<Facet> {
    let burdens = row.action.direction() == Direction::Penalty;
    let mut facets = what_it_does(row, burdens);
    facets.extend(whom_it_reaches(book, row));
    facets.extend([
        bases(&row.bases),
        one(
            "published_at",
            row.published_at.map(|day| day.to_string()),
            Bears::Nothing,
        ),
        one(
            "published_in",
            row.published_in.as_deref().map(str::to_owned),
            Bears::Nothing,
        ),
        first_day(row.effective_from, Bears::Wider),
        last_day(row.effective_to, Bears::Wider),
        standing(
            "active",
            i64::from(row.active),
            if row.active { "active" } else { "inactive" },
            Bears::Wider,
        ),
        zh("implementer.zh", &row.implementer),
        en("implementer.en", &row.implementer),
        zh("remedies.zh", &row.remedies),
        en("remedies.en", &row.remedies),
        standing(
            "confidence",
            i64::from(row.confidence == Confidence::Verified),
            row.confidence.code(),
            // A recalled penalty waits for an official; a recalled reward is offered all the same.
            if burdens {
                Bears::Wider
            } else {
                Bears::Nothing
            },
        ),
        one(
            "supplement",
            row.supplement.as_deref().map(str::to_owned),
            Bears::Nothing,
        ),
        one(
            "varies",
            row.varies.as_ref().map(ToString::to_string),
            Bears::Nothing,
        ),
    ]);
    facets
}

fn what_it_does(row: &Measure, burdens: bool) -> Vec<Facet> {
    let rank = |effect: Effect| effect as i64;
    // The words of force stand with the strongest first.
    let force = Force::ALL.len() as i64 - row.force as i64;
    vec![
        zh("title.zh", &row.title),
        en("title.en", &row.title),
        // Another wording may be another measure.
        one("content.zh", Some(row.content.zh.clone()), Bears::Unclear),
        en("content.en", &row.content),
        one("field", Some(row.field.to_string()), Bears::Nothing),
        one(
            "direction",
            Some(row.action.direction().code().to_owned()),
            Bears::Unclear,
        ),
        match row.penalty() {
            Some(effect) => standing("effect", rank(effect), effect.code(), Bears::Wider),
            None => one("effect", Some(row.action.code().to_owned()), Bears::Unclear),
        },
        standing(
            "force",
            force,
            row.force.code(),
            if burdens {
                Bears::Wider
            } else {
                Bears::Nothing
            },
        ),
        one(
            "item",
            row.item.as_deref().map(str::to_owned),
            Bears::Nothing,
        ),
        one(
            "class",
            row.class.map(|class| class.code().to_owned()),
            Bears::Unclear,
        ),
        one(
            "parameters",
            row.parameters
                .as_ref()
                .map(|figures| figures.told().collect::<Vec<_>>().join(", ")),
            Bears::Unclear,
        ),
    ]
}

fn whom_it_reaches(book: &Book, row: &Measure) -> Vec<Facet> {
    let excluded = row
        .excluded_by
        .iter()
        .map(|(list, basis)| format!("{} ({})", list_name(book, list), basis.told()));
    vec![
        many("applies", stages(book, row).into_iter(), Bears::Wider),
        // A row without lists needs no entry, so it reaches more than any list does.
        many(
            "lists",
            row.lists.iter().map(|code| list_name(book, code)),
            Bears::WiderFromEvery,
        ),
        many(
            "severities",
            row.severities.iter().map(|word| word.code().to_owned()),
            Bears::WiderFromEvery,
        ),
        many(
            "kinds",
            row.kinds.iter().map(|word| word.code().to_owned()),
            Bears::WiderFromEvery,
        ),
        many(
            "roles",
            row.roles.iter().map(|word| word.code().to_owned()),
            Bears::WiderFromEvery,
        ),
        many(
            "extends_to",
            row.extends_to.iter().map(|word| word.code().to_owned()),
            Bears::Wider,
        ),
        standing(
            "reaches_party",
            i64::from(row.reaches_party),
            row.reaches_party.to_string(),
            Bears::Wider,
        ),
        standing(
            "scoped",
            i64::from(row.scoped),
            row.scoped.to_string(),
            Bears::Narrower,
        ),
        one(
            "region",
            row.region.map(|region| region.to_string()),
            Bears::Unclear,
        ),
        one(
            "when",
            row.condition.as_ref().map(|(_, text)| text.to_string()),
            Bears::Unclear,
        ),
        many(
            "required",
            row.required.iter().map(|name| name.to_string()),
            Bears::Unclear,
        ),
        many("excluded_by", excluded, Bears::Narrower),
    ]
}

/// A kind of thing, and how a book holds it.
pub(super) type Kind = (About, fn(&Book) -> Held);

/// What is compared beside rows.
pub(super) const BESIDE_ROWS: [Kind; 10] = [
    (About::Book, head),
    (About::Edition, edition),
    (About::Supplement, supplements),
    (About::List, lists),
    (About::RepairRule, repair_rules),
    (About::Calendar, calendar),
    (About::Notice, notices),
    (About::Scenario, scenarios),
    (About::Agreement, agreements),
    (About::NotExpressed, not_expressed),
];

fn head(book: &Book) -> Held {
    let facets = vec![
        zh("title.zh", book.title()),
        en("title.en", book.title()),
        one(
            "covers_from",
            Some(book.covers_from().to_string()),
            Bears::Nothing,
        ),
    ];
    BTreeMap::from([(book.name().to_owned(), (book.title().zh.clone(), facets))])
}

/// The edition under the name `edition`, and each of its items under its code.
fn edition(book: &Book) -> Held {
    let edition = book.edition();
    let facets = vec![
        one("code", Some(edition.code.to_string()), Bears::Nothing),
        zh("title.zh", &edition.title),
        en("title.en", &edition.title),
        one(
            "document_no",
            edition.document_no.as_deref().map(str::to_owned),
            Bears::Nothing,
        ),
        one(
            "published_at",
            edition.published_at.map(|day| day.to_string()),
            Bears::Nothing,
        ),
        first_day(edition.effective_from, Bears::Nothing),
        last_day(edition.effective_to, Bears::Nothing),
    ];
    let mut held = Held::from([("edition".to_owned(), (edition.title.zh.clone(), facets))]);
    for (code, item) in &edition.items {
        let facets = vec![
            zh("title.zh", &item.title),
            en("title.en", &item.title),
            one("class", Some(item.class.code().to_owned()), Bears::Nothing),
            one(
                "confidence",
                Some(item.confidence.code().to_owned()),
                Bears::Nothing,
            ),
        ];
        held.insert(code.clone(), (item.title.zh.clone(), facets));
    }
    held
}

fn supplements(book: &Book) -> Held {
    let facets = |part: &super::super::Supplement| {
        vec![
            zh("title.zh", &part.title),
            en("title.en", &part.title),
            one("level", Some(part.level.code().to_owned()), Bears::Nothing),
            one("region", Some(part.region.to_string()), Bears::Unclear),
            bases(std::slice::from_ref(&part.basis)),
            one("example", Some(part.example.to_string()), Bears::Nothing),
            first_day(part.effective_from, Bears::Nothing),
            last_day(part.effective_to, Bears::Nothing),
        ]
    };
    book.supplements()
        .iter()
        .map(|part| (part.code.to_string(), (part.title.zh.clone(), facets(part))))
        .collect()
}

fn lists(book: &Book) -> Held {
    book.lists()
        .iter()
        .map(|list| {
            (
                list.code.to_string(),
                (list.name.zh.clone(), list_facets(list)),
            )
        })
        .collect()
}

fn list_facets(list: &List) -> Vec<Facet> {
    let repair = list.repair.iter().map(|(version, rule)| match rule {
        Some(rule) => format!("{version} {}", rule.zh),
        None => version.to_string(),
    });
    // How long an entry may stand: for ever without a limit.
    let longest = list.max_period_months.map_or(i64::MAX, i64::from);
    let period = match (list.max_period_months, list.until_performed) {
        (Some(months), _) => format!("{months} months"),
        (None, true) => "until performed".to_owned(),
        (None, false) => "none".to_owned(),
    };
    vec![
        zh("name.zh", &list.name),
        en("name.en", &list.name),
        one(
            "colour",
            Some(list.colour.code().to_owned()),
            Bears::Unclear,
        ),
        one(
            "authority",
            Some(list.authority.to_string()),
            Bears::Nothing,
        ),
        bases(&list.bases),
        one("field", Some(list.field.to_string()), Bears::Nothing),
        one("reach", Some(list.reach.code().to_owned()), Bears::Unclear),
        one("kind", Some(list.kind.code().to_owned()), Bears::Nothing),
        standing(
            "max_period_months",
            longest,
            period,
            match list.colour {
                crate::vocabulary::Colour::Red => Bears::Narrower,
                _ => Bears::Wider,
            },
        ),
        many("repair", repair, Bears::Unclear),
        one(
            "freshness_budget_hours",
            Some((list.freshness_budget_micros / 3_600_000_000).to_string()),
            Bears::Nothing,
        ),
        one(
            "default_severity",
            list.default_severity.map(|word| word.code().to_owned()),
            Bears::Unclear,
        ),
        one(
            "default_region",
            list.default_region.map(|region| region.to_string()),
            Bears::Unclear,
        ),
        one(
            "personal_score",
            Some(list.personal_score.to_string()),
            Bears::Nothing,
        ),
        one(
            "supplement",
            list.supplement.as_deref().map(str::to_owned),
            Bears::Nothing,
        ),
        one(
            "confidence",
            Some(list.confidence.code().to_owned()),
            Bears::Nothing,
        ),
    ]
}

fn repair_rules(book: &Book) -> Held {
    book.repair_rules()
        .iter()
        .map(|rule| {
            let periods = json::repair_rule(rule)
                .get("periods")
                .map(ToString::to_string);
            let facets = vec![
                zh("title.zh", &rule.title),
                en("title.en", &rule.title),
                bases(std::slice::from_ref(&rule.basis)),
                first_day(rule.effective_from, Bears::Unclear),
                last_day(rule.effective_to, Bears::Unclear),
                one("periods", periods, Bears::Unclear),
                one("general", rule.general.then(String::new), Bears::Unclear),
                many("limits", rule.limits.iter().map(limit), Bears::Unclear),
                one(
                    "confidence",
                    Some(rule.confidence.code().to_owned()),
                    Bears::Nothing,
                ),
            ];
            (rule.version.to_string(), (rule.title.zh.clone(), facets))
        })
        .collect()
}

fn limit((procedure, limit): (Procedure, &Limit)) -> String {
    let default = if limit.is_default { " (default)" } else { "" };
    format!(
        "{procedure} {} {}: {} {} days from {}, {}{default}",
        limit.step, limit.title_zh, limit.days, limit.unit, limit.counted_from, limit.basis
    )
}

fn calendar(book: &Book) -> Held {
    let facets = |year: &CalendarYear| {
        let days = |days: &BTreeSet<Date>| -> Vec<String> {
            days.iter().map(ToString::to_string).collect()
        };
        vec![
            zh("title.zh", &year.title),
            en("title.en", &year.title),
            bases(std::slice::from_ref(&year.basis)),
            many("off", days(&year.off).into_iter(), Bears::Unclear),
            many("works", days(&year.works).into_iter(), Bears::Unclear),
            confidence(year.confidence),
        ]
    };
    let years = book.calendar().years();
    years
        .map(|year| {
            let named = (year.title.zh.clone(), facets(year));
            (year.year.to_string(), named)
        })
        .collect()
}

fn notices(book: &Book) -> Held {
    let facets = |notice: &Notice| {
        let together = notice.together_with.iter().map(ToString::to_string);
        vec![
            zh("title.zh", &notice.title),
            en("title.en", &notice.title),
            one("when", Some(notice.when.code().to_owned()), Bears::Unclear),
            many("together_with", together, Bears::Unclear),
            one(
                "proves_service",
                notice.proves_service.then(String::new),
                Bears::Unclear,
            ),
            bases(&notice.bases),
            one("text", Some(notice.text.to_string()), Bears::Unclear),
            confidence(notice.confidence),
        ]
    };
    book.notices()
        .iter()
        .map(|notice| {
            let named = (notice.title.zh.clone(), facets(notice));
            (notice.id.to_string(), named)
        })
        .collect()
}

fn confidence(confidence: Confidence) -> Facet {
    let code = confidence.code().to_owned();
    one("confidence", Some(code), Bears::Nothing)
}

fn scenarios(book: &Book) -> Held {
    let facets = |scenario: &super::super::Scenario| {
        let stages = scenario.stages.iter().map(|stage| {
            let decisive = if stage.decisive { " (decisive)" } else { "" };
            let after = stage
                .after
                .as_ref()
                .map_or(String::new(), |before| format!(" after {before}"));
            format!("{} {}{decisive}{after}", stage.code, stage.title.zh)
        });
        let order: Vec<&str> = scenario.stages.iter().map(|s| s.code.as_str()).collect();
        let attributes = scenario.attributes.iter().map(|(name, ty)| {
            let score = if scenario.personal_scores.contains(name) {
                " (personal score)"
            } else {
                ""
            };
            format!("{name}: {}{score}", ty.code())
        });
        vec![
            zh("title.zh", &scenario.title),
            en("title.en", &scenario.title),
            one(
                "actor",
                Some(scenario.actor.code().to_owned()),
                Bears::Unclear,
            ),
            one(
                "go_live",
                scenario.go_live.map(|day| day.to_string()),
                Bears::Nothing,
            ),
            many("stages", stages, Bears::Unclear),
            one("order of stages", Some(order.join(", ")), Bears::Unclear),
            many("attributes", attributes, Bears::Nothing),
        ]
    };
    book.scenarios()
        .map(|scenario| {
            let named = (scenario.title.zh.clone(), facets(scenario));
            (scenario.code.to_string(), named)
        })
        .collect()
}

fn agreements(book: &Book) -> Held {
    book.agreements()
        .iter()
        .map(|agreement| {
            let facets = vec![
                many(
                    "lists",
                    agreement.lists.iter().map(|code| list_name(book, code)),
                    Bears::Unclear,
                ),
                one("from", Some(agreement.from.to_string()), Bears::Unclear),
                one("to", Some(agreement.to.to_string()), Bears::Unclear),
                bases(&agreement.bases),
                first_day(Some(agreement.effective_from), Bears::Unclear),
                last_day(agreement.effective_to, Bears::Unclear),
            ];
            let title = format!("{} → {}", agreement.from, agreement.to);
            (agreement.id.to_string(), (title, facets))
        })
        .collect()
}

fn not_expressed(book: &Book) -> Held {
    book.not_expressed()
        .iter()
        .map(|left_out| {
            let facets = vec![
                zh("title.zh", &left_out.title),
                zh("reason.zh", &left_out.reason),
                en("reason.en", &left_out.reason),
            ];
            (left_out.id.to_string(), (left_out.title.zh.clone(), facets))
        })
        .collect()
}
