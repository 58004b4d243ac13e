//! Small books, entries and events for tests, and a verdict as text.
//!
//! A test writes only what it turns on; what it leaves out is filled in from the tables below.

#![allow(dead_code, reason = "each test target uses its own part")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use creditgate_measures::book::{Book, BookErrors, Deployment, Signing, SourceFile};
use creditgate_measures::case::CaseView;
use creditgate_measures::entry::{Entry, Related, StateChange};
use creditgate_measures::event::{
    AttributeValue, Event, GivenIdentifier, ListCode, Region, Sensitive, Subject,
};
use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_measures::lists::Lists;
use creditgate_measures::name::SimplifyTable;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::verdict::{Decision, EntryHit, Verdict, Why};
use creditgate_measures::vocabulary::{Role, State, SubjectKind};
use creditgate_measures::{Question, decide};

/// When events take place unless a test says otherwise.
pub const NOW: &str = "2026-06-01 10:00";

const BOOK: &str = r#"
book: small
title: { zh: 小册, en: small }
edition:
  code: "2024"
  title: { zh: 清单, en: list }
  items:
    - { code: MKT_ENTRY, class: A, title: { zh: 限制准入, en: entry }, confidence: verified }
    - { code: SUPERVISION, class: B, title: { zh: 重点监管, en: supervision }, confidence: verified }
    - { code: CREDIT_GRANT, class: C, title: { zh: 从严授信, en: credit }, confidence: verified }
covers_from: "2020-01-01"
"#;

/// One pair a line, as in `names/simplify.txt`.
pub const SIMPLIFY: &str = "東 东\n貿 贸\n廣 广\n";

const NOTICE_ATTRIBUTES: &str = r#"
attributes:
  - { name: notice_no, type: string, title: { zh: 公告编号, en: notice } }
  - { name: notice_clause, type: string, title: { zh: 条款, en: clause } }
  - { name: notice_published_at, type: date, title: { zh: 公告日, en: day } }
  - { name: trade, type: string, title: { zh: 行业, en: trade } }
  - { name: project_kind, type: string, title: { zh: 项目类别, en: project } }
"#;

/// Scenario, actor, stages as spec 2 has them; `*` marks a decisive one, `<x` one after `x`.
const SCENARIOS: &[(&str, &str, &str)] = &[
    (
        "permit",
        "public",
        "apply accept* review decide*<accept issue<decide",
    ),
    (
        "tender",
        "public",
        "register prequalify bid evaluate* award<evaluate contract<evaluate",
    ),
    (
        "land",
        "public",
        "register* apply deal*<register contract<deal supply*<deal",
    ),
    (
        "procurement",
        "public",
        "register bid evaluate* award<evaluate contract perform",
    ),
    ("lending", "third_party", "before_loan after_loan"),
    ("customs", "public", "file declare inspect"),
];

fn scenario(code: &str, actor: &str, stages: &str) -> String {
    let mut text = format!(
        "scenario: {code}\ntitle: {{ zh: 场景, en: scenario }}\nactor: {actor}\ngo_live: \"2026-04-01\"\nstages:\n"
    );
    for stage in stages.split(' ') {
        let (stage, after) = match stage.split_once('<') {
            Some((stage, after)) => (stage, format!(", after: {after}")),
            None => (stage, String::new()),
        };
        let decisive = stage.ends_with('*');
        let stage = stage.trim_end_matches('*');
        let _ = writeln!(
            text,
            "  - {{ code: {stage}, title: {{ zh: 阶段, en: stage }}, decisive: {decisive}{after} }}"
        );
    }
    text + NOTICE_ATTRIBUTES
}

/// What a row that says nothing else is: in tenders, whoever is listed may not be chosen.
const ROW: &[(&str, &str)] = &[
    ("title", "{ zh: 措施, en: measure }"),
    ("content", "{ zh: 内容, en: content }"),
    ("field", "market"),
    ("direction", "penalty"),
    ("item", "MKT_ENTRY"),
    ("class", "A"),
    ("force", "must"),
    ("effect", "PROHIBIT"),
    ("applies", "[{ scenario: tender, stages: [evaluate] }]"),
    ("basis", "[{ law: 某法, article: 第一条, level: law }]"),
    ("published_at", "\"2020-01-01\""),
    ("published_in", "公报"),
    ("effective_from", "\"2020-01-01\""),
    ("implementer", "{ zh: 某机关, en: authority }"),
    ("remedies", "{ zh: 可以申诉, en: objection }"),
    ("confidence", "verified"),
    (
        "cases",
        "[{ name: elsewhere, event: { stage: nowhere }, expect: no match }]",
    ),
];

const LIST: &[(&str, &str)] = &[
    ("colour", "black"),
    ("name", "{ zh: 名单, en: list }"),
    ("authority", "某机关"),
    ("basis", "[{ law: 某法, level: law }]"),
    ("field", "market"),
    ("reach", "national"),
    ("until_performed", "true"),
    ("freshness_budget_hours", "24"),
    ("default_severity", "serious"),
    ("confidence", "verified"),
];

const AGREEMENT: &[(&str, &str)] = &[
    ("basis", "[{ law: 合作协议, level: paper }]"),
    ("effective_from", "\"2020-01-01\""),
];

const STANDARD_LISTS: &[(&str, &str)] = &[
    ("B01", "black"),
    ("B02", "black"),
    ("B07", "black"),
    ("B08", "black"),
    ("A01", "attention"),
    ("G02", "red"),
];

/// The text without the margin of its first line, and without empty lines around it.
pub fn dedent(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| line.trim().is_empty())
        .collect();
    let margin = lines
        .first()
        .map_or(0, |line| line.len() - line.trim_start().len());
    let cut = lines
        .iter()
        .map(|line| line.get(margin..).unwrap_or(line.trim_start()));
    cut.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// One item of a YAML list: the text, then every default that it neither states nor, in a last
/// line `without: …`, leaves out. What the test wrote keeps its lines.
fn item(text: &str, defaults: &[(&str, &str)]) -> String {
    let text = dedent(text);
    let mut stated: Vec<&str> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(without) = line.strip_prefix("without: ") {
            stated.extend(without.split(' '));
            continue;
        }
        if let Some((key, _)) = line.split_once(':')
            && !key.starts_with(' ')
        {
            stated.push(key);
        }
        lines.push(line.to_owned());
    }
    if text.contains("direction: incentive") {
        stated.extend(["item", "class"]);
    }
    if stated.contains(&"max_period_months") {
        stated.push("until_performed");
    }
    for (key, value) in defaults {
        if !stated.contains(key) {
            lines.push(format!("{key}: {value}"));
        }
    }
    format!("  - {}\n", lines.join("\n    "))
}

/// A book in the making.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    lists: String,
    agreements: String,
    rows: String,
    head: Option<String>,
    extra: Vec<SourceFile>,
    pub deployment: Deployment,
}

/// A book with one row.
pub fn row(text: &str) -> Catalogue {
    Catalogue::default().row(text)
}

impl Catalogue {
    /// Adds a row to `measures/own.yaml`.
    pub fn row(mut self, text: &str) -> Self {
        self.rows += &item(text, ROW);
        self
    }

    /// Closes the file of rows, so that the next row begins another: a file may not grow without end.
    pub fn next_file(mut self) -> Self {
        let rows = std::mem::take(&mut self.rows);
        let path = format!("measures/part-{:03}.yaml", self.extra.len());
        self.extra
            .push(SourceFile::new(path, format!("measures:\n{rows}")));
        self
    }

    /// Adds a list to `lists/own.yaml`, or replaces the standard one of that code.
    pub fn list(mut self, text: &str) -> Self {
        self.lists += &item(text, LIST);
        self
    }

    /// Adds an agreement to `agreements/own.yaml`.
    pub fn agreement(mut self, text: &str) -> Self {
        self.agreements += &item(text, AGREEMENT);
        self
    }

    /// Replaces `book.yaml`.
    pub fn head(mut self, text: &str) -> Self {
        self.head = Some(text.to_owned());
        self
    }

    /// Adds a file as it is, in the place of a standard one of that path.
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.extra.push(SourceFile::new(path, text));
        self
    }

    /// The deployment leaves this list unconnected.
    pub fn not_connected(mut self, list: &str, why: &str) -> Self {
        self.deployment
            .not_connected
            .insert(list.into(), why.into());
        self
    }

    /// Who vouches for the book.
    pub fn signing(mut self, signing: Signing) -> Self {
        self.deployment.signing = signing;
        self
    }

    /// The deployment confirms rows by this file.
    pub fn confirmations(mut self, text: &str) -> Self {
        self.deployment
            .confirmations
            .push(SourceFile::new("confirmations.yaml", text));
        self
    }

    pub fn files(&self) -> Vec<SourceFile> {
        let standard: String = STANDARD_LISTS
            .iter()
            .filter(|(code, _)| !self.lists.contains(&format!("- code: {code}\n")))
            .map(|(code, colour)| item(&format!("code: {code}\ncolour: {colour}"), LIST))
            .collect();
        let mut files = vec![
            SourceFile::new(
                "book.yaml",
                self.head.clone().unwrap_or_else(|| BOOK.into()),
            ),
            SourceFile::new("names/simplify.txt", SIMPLIFY),
            SourceFile::new("lists/standard.yaml", format!("lists:\n{standard}")),
        ];
        for (folder, key, items) in [
            ("lists", "lists", &self.lists),
            ("agreements", "agreements", &self.agreements),
            ("measures", "measures", &self.rows),
        ] {
            if !items.is_empty() {
                files.push(SourceFile::new(
                    format!("{folder}/own.yaml"),
                    format!("{key}:\n{items}"),
                ));
            }
        }
        for (code, actor, stages) in SCENARIOS {
            files.push(SourceFile::new(
                format!("scenarios/{code}.yaml"),
                scenario(code, actor, stages),
            ));
        }
        files.retain(|file| !self.extra.iter().any(|extra| extra.path == file.path));
        files.extend(self.extra.iter().cloned());
        files
    }

    pub fn load(&self) -> Result<Book, BookErrors> {
        Book::load(&self.files(), &self.deployment)
    }

    pub fn book(&self) -> Book {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The book with these entries; every list was confirmed when the event is judged.
    pub fn with(&self, entries: impl IntoIterator<Item = Entry>) -> World {
        let book = self.book();
        let mut lists = Lists::empty(uuid::Uuid::nil(), book.simplify());
        for entry in entries {
            lists.put(&entry, book.simplify());
        }
        World {
            book,
            lists,
            case: CaseView::default(),
            confirmed: BTreeMap::new(),
        }
    }
}

/// Everything that a decision is given besides the event.
pub struct World {
    pub book: Book,
    pub lists: Lists,
    pub case: CaseView,
    confirmed: BTreeMap<&'static str, Option<Time>>,
}

impl World {
    /// The source last confirmed the list then.
    pub fn confirmed(mut self, list: &'static str, when: &str) -> Self {
        self.confirmed.insert(list, Some(on(when)));
        self
    }

    /// The list was never delivered.
    pub fn not_loaded(mut self, list: &'static str) -> Self {
        self.confirmed.insert(list, None);
        self
    }

    pub fn put(&mut self, entry: &Entry) {
        self.lists.put(entry, self.book.simplify());
    }

    pub fn judge(&self, question: Question<'_>, at: Time) -> Verdict {
        let mut lists = self.lists.clone();
        for list in self.book.lists() {
            match self.confirmed.get(list.code.as_str()) {
                Some(Some(when)) => lists.confirm(list.code.clone(), *when),
                Some(None) => {}
                None => lists.confirm(list.code.clone(), at),
            }
        }
        let verdict = decide(question, at, &self.case, &lists, &self.book);
        let again = decide(question, at, &self.case, &lists, &self.book);
        assert_eq!(
            verdict.digest, again.digest,
            "deciding twice gives the same"
        );
        verdict
    }

    /// Judges the event when it takes place, and compares the verdict as text.
    #[track_caller]
    pub fn check(&self, event: &Event, expected: &str) {
        self.check_at(event, event.occurred_at, expected);
    }

    /// Judges the event at this instant, and compares the verdict as text.
    #[track_caller]
    pub fn check_at(&self, event: &Event, at: Time, expected: &str) {
        let told = told(&self.judge(Question::about(event), at));
        assert_eq!(told, dedent(expected), "\n--- seen:\n{told}\n");
    }
}

/// `2026-06-01 10:00` in Shanghai.
pub fn on(text: &str) -> Time {
    let text = match text.split_once(' ') {
        Some((day, time)) => format!("{day}T{time}:00+08:00"),
        None => text.to_owned(),
    };
    Time::parse(&text).expect("a time")
}

pub fn day(text: &str) -> Date {
    Date::parse(text).expect("a day")
}

pub fn region(text: &str) -> Region {
    Region::parse(text).expect("a region")
}

pub fn identifier(id_type: IdType, value: &str) -> Identifier {
    Identifier::parse(id_type, value, Some("某市")).expect("valid")
}

/// The USCC of an invented firm.
pub fn uscc(n: u64) -> Identifier {
    identifier(IdType::Uscc, &invented::uscc(n))
}

pub fn given(role: Role, id_type: IdType, value: &str) -> Subject {
    let given = GivenIdentifier {
        id_type,
        value: Sensitive::new(value),
        issuer: (id_type == IdType::Other).then(|| "某市".into()),
    };
    Subject::new(None, role, None, Some(given), None)
}

/// An invented firm in this role; its kind is stated.
pub fn firm(role: Role, n: u64) -> Subject {
    Subject {
        kind: Some(SubjectKind::Enterprise),
        ..given(role, IdType::Uscc, &invented::uscc(n))
    }
}

pub fn bidder(n: u64) -> Subject {
    firm(Role::Bidder, n)
}

/// An invented adult in this role.
pub fn person(role: Role, n: u64) -> Subject {
    Subject {
        kind: Some(SubjectKind::NaturalPerson),
        ..given(role, IdType::Id18, &invented::person(n))
    }
}

/// A firm of which only the name is known.
pub fn nameless(role: Role, name: &str) -> Subject {
    let kind = Some(SubjectKind::Enterprise);
    Subject::new(None, role, kind, None, Some(Sensitive::new(name)))
}

pub fn named(subject: Subject, name: &str) -> Subject {
    Subject {
        name: Some(Sensitive::new(name)),
        ..subject
    }
}

pub fn of_party(party: &str, subject: Subject) -> Subject {
    Subject {
        party: Some(party.into()),
        ..subject
    }
}

/// An event such as `tender/evaluate` in Suzhou.
pub fn event(place: &str, occurred: &str, subjects: impl Into<Vec<Subject>>) -> Event {
    let (scenario, stage) = place.split_once('/').expect("scenario/stage");
    Event {
        source: "系统".into(),
        id: "1".into(),
        case_id: "2026-1".into(),
        scenario: scenario.into(),
        stage: stage.into(),
        occurred_at: on(occurred),
        clock_filled: false,
        region: region("320500"),
        item_code: None,
        amount_fen: None,
        purpose: None,
        subjects: subjects.into(),
        attributes: BTreeMap::new(),
    }
}

/// The evaluation of one bid, at [`NOW`].
pub fn evaluation(subjects: impl Into<Vec<Subject>>) -> Event {
    event("tender/evaluate", NOW, subjects)
}

pub fn with_text(mut event: Event, name: &str, value: &str) -> Event {
    event
        .attributes
        .insert(name.into(), AttributeValue::Text(value.into()));
    event
}

/// An entry in force and served since the beginning of 2026.
pub fn listed(entry_id: &str, list: &str, identifier: Identifier) -> Entry {
    Entry {
        identifier: Some(identifier),
        ..unidentified(entry_id, list)
    }
}

/// As [`listed`], by name alone.
pub fn listed_name(entry_id: &str, list: &str, name: &str) -> Entry {
    Entry {
        name: Some(Sensitive::new(name)),
        ..unidentified(entry_id, list)
    }
}

fn unidentified(entry_id: &str, list: &str) -> Entry {
    let since = on("2026-01-01 00:00");
    Entry {
        entry_id: entry_id.into(),
        list: ListCode::new(list),
        identifier: None,
        name: None,
        former_names: Vec::new(),
        kind: None,
        severity: None,
        grade: None,
        designated_by: None,
        document_no: Some("文1".into()),
        basis: None,
        reason: None,
        region: None,
        scope: Vec::new(),
        act_date: None,
        served_at: Some(since),
        valid_from: since,
        valid_to: None,
        display_min_until: None,
        display_max_until: None,
        repeat_count: 0,
        related: Vec::new(),
        aliases: Vec::new(),
        source_unit: None,
        rule_version: None,
        objection_marked: false,
        recorded_at: since,
        changes: vec![change(State::Effective, "2026-01-01 00:00")],
    }
}

/// A change known when it takes effect.
pub fn change(to: State, when: &str) -> StateChange {
    StateChange {
        to,
        effective_at: on(when),
        recorded_at: on(when),
    }
}

/// The entry with a further change.
pub fn then(mut entry: Entry, to: State, when: &str) -> Entry {
    entry.changes.push(change(to, when));
    entry
}

pub fn relation(role: Role, identifier: Identifier) -> Related {
    Related {
        role,
        identifier: Some(identifier),
        name: None,
    }
}

pub fn simplify() -> SimplifyTable {
    SimplifyTable::parse(SIMPLIFY).expect("a table")
}

/// A verdict as text: what is none, empty or zero is left out.
pub fn told(verdict: &Verdict) -> String {
    let mut out = format!(
        "event {}{}\n",
        decision(&verdict.decision),
        several(" [", &verdict.flags, "]")
    );
    for list in &verdict.not_checked {
        let _ = writeln!(out, "not checked {}: {}", list.list, list.why);
    }
    for party in &verdict.parties {
        let _ = writeln!(out, "party {} {}", party.party, decision(&party.decision));
    }
    for (index, subject) in verdict.subjects.iter().enumerate() {
        let kind = match subject.kind {
            Some(SubjectKind::Enterprise) => String::new(),
            Some(kind) => format!(" {kind}"),
            None => " of unknown kind".to_owned(),
        };
        let _ = writeln!(
            out,
            "{}{kind} {} {}{}",
            subject.role,
            subject.identity,
            decision(&subject.decision),
            several(" [", &subject.flags, "]")
        );
        for t in &subject.triggered {
            let _ = writeln!(
                out,
                "  {} {} {}{}{}{}",
                t.measure.id,
                t.contributes.code(),
                t.effect,
                why(&t.why),
                hit(t.entry.as_ref()),
                several(" also ", &t.also, "")
            );
        }
        for (word, incentives) in [
            ("offered", &subject.offered),
            ("withheld", &subject.withheld),
        ] {
            for i in incentives {
                let _ = writeln!(
                    out,
                    "  {} {word} {}{}{}",
                    i.measure.id,
                    i.measure.action.code(),
                    why(&i.withheld),
                    hit(i.entry.as_ref())
                );
            }
        }
        for unused in verdict.explanation.iter().filter(|e| e.subject == index) {
            let _ = writeln!(
                out,
                "  unused {} of {} by {}: {}",
                unused.entry_id, unused.list, unused.path, unused.reason
            );
        }
    }
    out.trim_end().to_owned()
}

fn decision(decision: &Decision) -> String {
    let mut out = decision.outcome().code().to_owned();
    if let Some(effect) = decision.effect {
        let _ = write!(out, " effect={effect}");
    }
    if decision.review {
        out += " review";
    }
    if let Some(proposed) = decision.proposed {
        let _ = write!(out, " proposed={proposed}");
    }
    if decision.result_code != 0 {
        let _ = write!(out, " code={}", decision.result_code);
    }
    out
}

fn why(why: &[Why]) -> String {
    several(" (", why, ")")
}

fn hit(hit: Option<&EntryHit>) -> String {
    hit.map_or_else(String::new, |hit| {
        format!(" on {} of {} by {}", hit.entry_id, hit.list, hit.path)
    })
}

fn several(open: &str, items: &[impl ToString], close: &str) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    format!("{open}{}{close}", items.join(", "))
}
