//! Everything about one row or one list, for reading.

use std::fmt::Display;

use super::super::{Basis, Book, List, Measure, Text};
use super::{cells, words};
use crate::vocabulary::Confidence;

/// Width of the labels, so that what they say stands in one column.
const LABEL_WIDTH: usize = 14;

/// A text made of labelled lines; what is not known gets no line.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn heading(&mut self, heading: impl Display) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(&format!("# {heading}\n\n"));
    }

    fn say(&mut self, label: &str, told: impl Display) {
        let told = told.to_string();
        let mut label = label;
        for line in told.lines().filter(|line| !line.is_empty()) {
            self.0.push_str(&format!("{label:<LABEL_WIDTH$}{line}\n"));
            label = "";
        }
    }

    fn both(&mut self, label: &str, text: &Text) {
        self.say(label, format!("{}\n{}", text.zh, text.en));
    }

    fn words(&mut self, label: &str, words: impl Iterator<Item = String>) {
        self.say(label, words.collect::<Vec<_>>().join(", "));
    }

    /// The bases; one that is recalled says so itself, since it reads like a quotation.
    fn bases(&mut self, bases: &[Basis], confidence: Confidence) {
        let mark = match confidence {
            Confidence::Verified => String::new(),
            Confidence::Recalled => format!("{}: ", words::confidence(confidence)),
        };
        let told = bases.iter().map(|one| format!("{mark}{}", basis(one)));
        self.say("basis", told.collect::<Vec<_>>().join("\n"));
    }
}

/// `应当/不得 (must)`.
fn word(zh: &str, code: &str) -> String {
    format!("{zh} ({code})")
}

fn basis(basis: &Basis) -> String {
    let mut told = cells::law(basis);
    told.push_str(&format!(
        ", {}",
        word(words::level(basis.level), basis.level.code())
    ));
    if let Some(issuer) = &basis.issuer {
        told.push_str(&format!(", {issuer}"));
    }
    if let Some(region) = basis.region {
        told.push_str(&format!(", in {region}"));
    }
    if !basis.reaches.is_empty() {
        told.push_str(&format!(", reaches {}", basis.reaches.join(", ")));
    }
    told
}

/// Confidence, with what it means where the row was not read in the law.
fn confidence(confidence: Confidence) -> String {
    let told = word(words::confidence(confidence), confidence.code());
    match confidence {
        Confidence::Verified => told,
        Confidence::Recalled => format!("{told}: not quoted law; a penalty waits for an official"),
    }
}

/// Every version of the row with this id, readable; none when the book has no such row.
#[must_use]
pub fn row(book: &Book, id: &str) -> Option<String> {
    let versions: Vec<&Measure> = book
        .measures()
        .iter()
        .filter(|row| row.id.as_str() == id)
        .map(AsRef::as_ref)
        .collect();
    let mut lines = Lines::default();
    for (at, row) in versions.iter().enumerate() {
        let version = match versions.len() {
            1 => String::new(),
            all => format!(" (version {} of {all})", at + 1),
        };
        lines.heading(format!("{} {}{version}", row.id, row.title.zh));
        version_of(&mut lines, book, row);
    }
    (!versions.is_empty()).then_some(lines.0)
}

fn version_of(lines: &mut Lines, book: &Book, row: &Measure) {
    lines.say("title", &row.title.en);
    lines.both("content", &row.content);
    what_it_is(lines, book, row);
    whom_it_reaches(lines, book, row);
    lines.bases(&row.bases, row.confidence);
    for (list, because) in &row.excluded_by {
        let list = cells::names(book, std::iter::once(list)).concat();
        lines.say("excluded by", format!("{list}: {}", basis(because)));
    }
    let published = [
        row.published_at.map(|day| day.to_string()),
        row.published_in.as_deref().map(str::to_owned),
    ];
    lines.words("published", published.into_iter().flatten());
    lines.say("effective", cells::period(row));
    match (row.active, &row.confirmed) {
        (true, None) => lines.say("in force", "active"),
        (true, Some((by, document))) => {
            lines.say(
                "in force",
                format!("active, confirmed by {by} with {document}"),
            );
        }
        (false, _) => lines.say(
            "in force",
            format!(
                "inactive: {} not known; a deployment may confirm it",
                cells::lacking(row).join(", ")
            ),
        ),
    }
    lines.both("implementer", &row.implementer);
    lines.both("remedies", &row.remedies);
    lines.say("confidence", confidence(row.confidence));
    lines.say("cases", row.cases);
}

fn what_it_is(lines: &mut Lines, book: &Book, row: &Measure) {
    lines.say("source", cells::source(book, row.supplement.as_deref()));
    if let Some(varies) = &row.varies {
        lines.say("local form of", varies);
    }
    lines.say("direction", row.action.direction().code());
    lines.say("field", &row.field);
    if let Some(code) = &row.item {
        let item = book.edition().items.get(&**code);
        lines.say(
            "item",
            word(item.map_or("", |item| item.title.zh.as_str()), code),
        );
    }
    if let Some(class) = row.class {
        lines.say("class", words::class(class));
    }
    lines.say("force", word(words::force(row.force), row.force.code()));
    let effect = match row.action {
        super::super::Action::Penalty(effect) => words::effect(effect),
        super::super::Action::Incentive(benefit) => words::benefit(benefit),
    };
    lines.say("effect", word(effect, row.action.code()));
    lines.say("figures", cells::figures(row));
}

fn whom_it_reaches(lines: &mut Lines, book: &Book, row: &Measure) {
    lines.say("applies", cells::places(book, row).join("\n"));
    if row.needs_entry() {
        lines.say("lists", cells::names(book, row.lists.iter()).join("\n"));
    } else {
        lines.say("lists", "none: it needs no entry");
    }
    let severities = row.severities.iter();
    lines.words(
        "severities",
        severities.map(|s| word(words::severity(*s), s.code())),
    );
    lines.words(
        "kinds",
        row.kinds.iter().map(|k| word(words::kind(*k), k.code())),
    );
    lines.words(
        "roles",
        row.roles.iter().map(|r| word(words::role(*r), r.code())),
    );
    let extends = row.extends_to.iter();
    lines.words(
        "extends to",
        extends.map(|r| word(words::role(*r), r.code())),
    );
    if row.reaches_party {
        lines.say("party", "a hit outside the lead roles touches the party");
    }
    if row.scoped {
        lines.say("scope", "the entry's scope must fit the event");
    }
    if let Some(region) = row.region {
        lines.say("region", region);
    }
    if let Some((_, condition)) = &row.condition {
        lines.say("when", condition);
    }
    lines.words("required", row.required.iter().map(|name| name.to_string()));
}

/// Everything about the list with this code, readable; none when the book has no such list.
#[must_use]
pub fn list(book: &Book, code: &str) -> Option<String> {
    let list = book.list(code)?;
    let mut lines = Lines::default();
    lines.heading(format!("{} {}", list.code, list.name.zh));
    lines.say("name", &list.name.en);
    lines.say(
        "colour",
        word(words::colour(list.colour), list.colour.code()),
    );
    lines.say("source", cells::source(book, list.supplement.as_deref()));
    lines.say("authority", &list.authority);
    lines.bases(&list.bases, list.confidence);
    lines.say("field", &list.field);
    lines.say("reach", word(words::reach(list.reach), list.reach.code()));
    lines.say("kind", list.kind.code());
    times(&mut lines, list);
    for (version, special) in &list.repair {
        repair(&mut lines, book, version, special.as_ref());
    }
    if let Some(severity) = list.default_severity {
        let severity = word(words::severity(severity), severity.code());
        lines.say("severity", format!("{severity} where an entry states none"));
    }
    if let Some(region) = list.default_region {
        lines.say("region", format!("{region} where an entry states none"));
    }
    if list.personal_score {
        lines.say("score", "of natural persons: no penalty may rest on it");
    }
    if let Some(why) = book.not_connected(&list.code) {
        lines.say("not connected", why);
    }
    lines.say("confidence", confidence(list.confidence));
    lines.words("named by", cells::naming(book, &list.code).into_iter());
    Some(lines.0)
}

/// Everything about the notice with this id, readable; none when the book has no such notice.
#[must_use]
pub fn notice(book: &Book, id: &str) -> Option<String> {
    let notice = book.notice(id)?;
    let mut lines = Lines::default();
    lines.heading(format!("{} {}", notice.id, notice.title.zh));
    lines.say("title", &notice.title.en);
    lines.say("when", notice.when.code());
    let together = notice.together_with.iter();
    lines.words("served with", together.map(ToString::to_string));
    if notice.proves_service {
        lines.say(
            "proof",
            "that it was served tells when the decision was served",
        );
    }
    lines.bases(&notice.bases, notice.confidence);
    lines.say("text", &notice.text);
    Some(lines.0)
}

fn times(lines: &mut Lines, list: &List) {
    match (list.max_period_months, list.until_performed) {
        (Some(months), _) => lines.say("period", format!("at most {months} months")),
        (None, true) => lines.say("period", "until the duty is performed"),
        (None, false) => lines.say(
            "period",
            "none stated: an entry without an end is for review",
        ),
    }
    let hours = list.freshness_budget_micros / 3_600_000_000;
    lines.say(
        "freshness",
        format!("the source confirms within {hours} hours"),
    );
}

fn repair(lines: &mut Lines, book: &Book, version: &str, special: Option<&Text>) {
    let rule = book
        .repair_rules()
        .iter()
        .find(|rule| *rule.version == *version);
    let Some(rule) = rule else {
        return lines.say("repair", version);
    };
    let days = match (rule.effective_from, rule.effective_to) {
        (Some(from), Some(to)) => format!(", {from} to {to}"),
        (Some(from), None) => format!(", from {from}"),
        (None, Some(to)) => format!(", until {to}"),
        (None, None) => String::new(),
    };
    lines.say("repair", format!("{version}: {}{days}", rule.title.zh));
    lines.say("", format!("  {}", basis(&rule.basis)));
    let periods = [
        ("轻微", &rule.periods.minor),
        ("一般", &rule.periods.general),
        ("严重", &rule.periods.serious),
    ];
    for (severity, period) in periods {
        let Some(period) = period else { continue };
        let shortest = period
            .months_min
            .map(|months| format!("at least {months} months"));
        let longest = period
            .months_max
            .map(|months| format!("at most {months} months"));
        let told: Vec<String> = shortest.into_iter().chain(longest).collect();
        lines.say("", format!("  {severity}: {}", told.join(", ")));
    }
    if rule.confidence == Confidence::Recalled {
        lines.say("", format!("  {}", words::confidence(rule.confidence)));
    }
    if let Some(special) = special {
        lines.say("", format!("  {}\n  {}", special.zh, special.en));
    }
}
