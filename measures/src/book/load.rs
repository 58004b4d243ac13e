//! From the files that people write to a book, or to the list of everything that is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;
use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};

use super::source::{
    AgreementsFile, BasisSource, BookFile, ConfirmationSource, ConfirmationsFile, ListSource,
    ListsFile, MeasureSource, MeasuresFile, ScenarioFile,
};
use super::{
    Action, Agreement, Basis, Book, BookVersion, List, Measure, Scenario, Stage, StageRows, cases,
    fixed, guards, schema,
};
use crate::condition::Condition;
use crate::event::{ListCode, MeasureId, Region, ScenarioCode, StageCode};
use crate::name::SimplifyTable;
use crate::time::Date;
use crate::vocabulary::{
    Actor, AttributeType, Benefit, Class, Colour, Confidence, Direction, Effect, Force, Level,
    ListKind, Reach, Role, Severity, SubjectKind,
};

const HOUR_MICROS: i64 = 3_600 * 1_000_000;

/// A file of a book: its path within the catalogue, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path with `/`, such as `measures/tender.yaml`; the folder says what the file holds.
    pub path: String,
    /// The text.
    pub text: String,
}

impl SourceFile {
    /// A file.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

/// What one deployment says about the book; it belongs to the book version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Files that confirm inactive or recalled rows.
    pub confirmations: Vec<SourceFile>,
    /// Lists that are not connected, with the reason.
    pub not_connected: BTreeMap<String, String>,
}

/// One thing that is wrong with a book.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {subject}: {rule}; {mend}")]
pub struct BookError {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 when no line is at fault.
    pub line: u64,
    /// The row, list or scenario at fault.
    pub subject: String,
    /// The rule that is broken.
    pub rule: String,
    /// What to do.
    pub mend: String,
}

/// Everything that is wrong with a book: it is refused whole, and the last good book stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookErrors(pub Vec<BookError>);

impl std::error::Error for BookErrors {}

impl std::fmt::Display for BookErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the book is refused for {} reason(s)", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n{error}"))
    }
}

impl Book {
    /// Loads a book from its files, in any order.
    ///
    /// # Errors
    /// With everything that is wrong, each with file, line, rule and mend (spec 4).
    pub fn load(files: &[SourceFile], deployment: &Deployment) -> Result<Self, BookErrors> {
        let mut loader = Loader::default();
        let book = loader.load(files, deployment);
        match book {
            Some(book) if loader.errors.is_empty() => {
                let failed = cases::run(&book, &loader.rows);
                if failed.is_empty() {
                    Ok(book)
                } else {
                    Err(BookErrors(failed))
                }
            }
            _ => {
                loader.errors.sort();
                Err(BookErrors(loader.errors))
            }
        }
    }
}

/// A row as it was written, beside the row it became.
pub(super) struct Row {
    pub file: String,
    pub line: u64,
    pub source: MeasureSource,
    pub measure: Arc<Measure>,
}

/// Where something stands: the file, and the row, list or scenario.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub file: &'a str,
    pub subject: &'a str,
}

#[derive(Default)]
struct Loader {
    errors: Vec<BookError>,
    rows: Vec<Row>,
    items: BTreeMap<String, Class>,
}

fn line<T>(spanned: &Spanned<T>) -> u64 {
    spanned.referenced.line()
}

fn shared(text: Option<&String>) -> Option<Arc<str>> {
    text.map(|text| Arc::from(text.as_str()))
}

impl Loader {
    fn refuse(
        &mut self,
        place: Place<'_>,
        line: u64,
        rule: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.errors.push(BookError {
            file: place.file.to_owned(),
            line,
            subject: place.subject.to_owned(),
            rule: rule.into(),
            mend: mend.into(),
        });
    }

    fn parse<T: DeserializeOwned>(&mut self, file: &SourceFile) -> Option<T> {
        match serde_saphyr::from_str(&file.text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let line = error.location().map_or(0, |location| location.line());
                let place = Place {
                    file: &file.path,
                    subject: "form",
                };
                let (rule, mend) = form_error(&error.without_snippet().to_string());
                self.refuse(place, line, rule, mend);
                None
            }
        }
    }

    /// A word of a closed set.
    fn word<T: Copy>(
        &mut self,
        place: Place<'_>,
        what: &str,
        written: &Spanned<String>,
        parse: fn(&str) -> Option<T>,
        known: impl IntoIterator<Item = &'static str>,
    ) -> Option<T> {
        let parsed = parse(&written.value);
        if parsed.is_none() {
            let known: Vec<_> = known.into_iter().collect();
            self.refuse(
                place,
                line(written),
                format!("unknown {what} `{}`", written.value),
                format!("write one of {}", known.join(", ")),
            );
        }
        parsed
    }

    fn region(&mut self, place: Place<'_>, written: &Spanned<String>) -> Option<Region> {
        let region = Region::parse(&written.value);
        if region.is_none() {
            self.refuse(
                place,
                line(written),
                format!("`{}` is not a region", written.value),
                "write the six digits of GB/T 2260, in quotes",
            );
        }
        region
    }

    fn load(&mut self, files: &[SourceFile], deployment: &Deployment) -> Option<Book> {
        let mut sorted: Vec<&SourceFile> = files.iter().collect();
        sorted.sort_by(|a, b| a.path.cmp(&b.path));
        let inside = |folder: &'static str| {
            sorted.iter().copied().filter(move |file| {
                file.path
                    .strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let head = sorted.iter().find(|file| file.path == "book.yaml");
        let Some(head) = head else {
            let place = Place {
                file: "book.yaml",
                subject: "book",
            };
            self.refuse(
                place,
                0,
                "the file is missing",
                "add it with name, edition and covers_from",
            );
            return None;
        };
        let head_file: BookFile = self.parse(head)?;
        self.load_items(&head.path, &head_file);
        let simplify = self.load_names(sorted.iter().find(|f| f.path == "names/simplify.txt"));
        let lists = self.load_lists(inside("lists"));
        let mut scenarios = self.load_scenarios(inside("scenarios"));
        let agreements = self.load_agreements(inside("agreements"), &lists);
        let confirmations = self.load_confirmations(deployment);
        let measures = self.load_measures(inside("measures"), &lists, &scenarios, &confirmations);
        for (id, (file, line)) in &confirmations.places {
            if !measures.iter().any(|row| row.id.as_str() == id) {
                let place = Place { file, subject: id };
                self.refuse(
                    place,
                    *line,
                    "no row has this id",
                    "confirm a row of the book",
                );
            }
        }
        for list in deployment.not_connected.keys() {
            if !lists.contains_key(list.as_str()) {
                let place = Place {
                    file: "configuration",
                    subject: list,
                };
                self.refuse(
                    place,
                    0,
                    "lists.not_connected names an unknown list",
                    "name a list of the book",
                );
            }
        }
        index(&mut scenarios, &measures);
        Some(Book {
            name: head_file.book.into(),
            title: head_file.title,
            edition: head_file.edition.code.into(),
            version: version(&sorted, deployment),
            covers_from: head_file.covers_from.0,
            simplify,
            scenarios,
            lists,
            measures,
            agreements,
            not_connected: deployment
                .not_connected
                .iter()
                .map(|(list, why)| (ListCode::new(list.as_str()), Arc::from(why.as_str())))
                .collect(),
        })
    }

    fn load_items(&mut self, file: &str, head: &BookFile) {
        for item in &head.edition.items {
            let place = Place {
                file,
                subject: &item.code.value,
            };
            self.confidence(place, &item.confidence);
            let class = self.word(
                place,
                "class",
                &item.class,
                Class::parse,
                codes(Class::ALL, Class::code),
            );
            if let Some(class) = class
                && self.items.insert(item.code.value.clone(), class).is_some()
            {
                self.refuse(
                    place,
                    line(&item.code),
                    "the item stands twice",
                    "remove one",
                );
            }
        }
    }

    fn load_names(&mut self, file: Option<&&SourceFile>) -> SimplifyTable {
        let Some(file) = file else {
            return SimplifyTable::empty();
        };
        SimplifyTable::parse(&file.text).unwrap_or_else(|error| {
            let place = Place {
                file: &file.path,
                subject: "names",
            };
            let line = error.line as u64;
            self.refuse(
                place,
                line,
                error.reason.to_string(),
                "write one pair a line",
            );
            SimplifyTable::empty()
        })
    }

    fn confidence(&mut self, place: Place<'_>, written: &Spanned<String>) -> Confidence {
        self.word(
            place,
            "confidence",
            written,
            Confidence::parse,
            codes(Confidence::ALL, Confidence::code),
        )
        .unwrap_or(Confidence::Recalled)
    }

    fn colour(&mut self, place: Place<'_>, written: &Spanned<String>) -> Option<Colour> {
        self.word(
            place,
            "colour",
            written,
            Colour::parse,
            codes(Colour::ALL, Colour::code),
        )
    }

    fn load_lists<'f>(
        &mut self,
        files: impl Iterator<Item = &'f SourceFile>,
    ) -> FxHashMap<ListCode, Arc<List>> {
        let mut lists = FxHashMap::default();
        for file in files {
            let Some(parsed) = self.parse::<ListsFile>(file) else {
                continue;
            };
            for source in parsed.lists {
                let code = source.value.code.value.clone();
                let place = Place {
                    file: &file.path,
                    subject: &code,
                };
                let Some(list) = self.list(place, &source) else {
                    continue;
                };
                if lists.insert(list.code.clone(), Arc::new(list)).is_some() {
                    self.refuse(place, line(&source), "the list stands twice", "remove one");
                }
            }
        }
        lists
    }

    fn list(&mut self, place: Place<'_>, spanned: &Spanned<ListSource>) -> Option<List> {
        let source = &spanned.value;
        let bases = self.bases(place, &source.basis);
        if bases.is_empty() {
            self.refuse(
                place,
                line(spanned),
                "the list has no basis",
                "add its `basis`",
            );
        }
        if source.until_performed && source.max_period_months.is_some() {
            self.refuse(
                place,
                line(spanned),
                "a list has either `max_period_months` or `until_performed`",
                "remove one of the two",
            );
        }
        let colour = self.colour(place, &source.colour);
        let reach = self.word(
            place,
            "reach",
            &source.reach,
            Reach::parse,
            codes(Reach::ALL, Reach::code),
        );
        let kind = match &source.kind {
            None => Some(ListKind::List),
            Some(kind) => self.word(
                place,
                "kind of list",
                kind,
                ListKind::parse,
                codes(ListKind::ALL, ListKind::code),
            ),
        };
        let default_severity = source.default_severity.as_ref().and_then(|written| {
            self.word(
                place,
                "severity",
                written,
                Severity::parse,
                codes(Severity::ALL, Severity::code),
            )
        });
        let default_region = source
            .default_region
            .as_ref()
            .and_then(|written| self.region(place, written));
        Some(List {
            code: ListCode::new(source.code.value.as_str()),
            colour: colour?,
            name: source.name.clone(),
            authority: source.authority.as_str().into(),
            bases,
            field: source.field.as_str().into(),
            reach: reach?,
            kind: kind?,
            max_period_months: source.max_period_months,
            until_performed: source.until_performed,
            repair: source
                .repair
                .as_ref()
                .map(|repair| (repair.rule.clone(), Arc::from(repair.version.as_str()))),
            freshness_budget_micros: i64::from(source.freshness_budget_hours) * HOUR_MICROS,
            default_severity,
            default_region,
            confidence: self.confidence(place, &source.confidence),
        })
    }

    fn bases(&mut self, place: Place<'_>, sources: &[Spanned<BasisSource>]) -> Vec<Basis> {
        let mut bases: Vec<Basis> = sources
            .iter()
            .filter_map(|source| self.basis(place, &source.value))
            .collect();
        bases.sort_by_key(|basis| basis.level);
        bases
    }

    fn basis(&mut self, place: Place<'_>, source: &BasisSource) -> Option<Basis> {
        let level = self.word(
            place,
            "level of basis",
            &source.level,
            Level::parse,
            codes(Level::ALL, Level::code),
        )?;
        let region = source
            .region
            .as_ref()
            .and_then(|written| self.region(place, written));
        if level == Level::LocalRegulation && region.is_none() {
            self.refuse(
                place,
                line(&source.level),
                "a local regulation holds in the region of its legislature, and none is named",
                "add `region` to the basis",
            );
        }
        Some(Basis {
            law: source.law.as_str().into(),
            article: shared(source.article.as_ref()),
            document_no: shared(source.document_no.as_ref()),
            level,
            issuer: shared(source.issuer.as_ref()),
            region,
        })
    }

    fn load_scenarios<'f>(
        &mut self,
        files: impl Iterator<Item = &'f SourceFile>,
    ) -> BTreeMap<ScenarioCode, Scenario> {
        let mut scenarios = BTreeMap::new();
        for file in files {
            let Some(parsed) = self.parse::<ScenarioFile>(file) else {
                continue;
            };
            let code = parsed.scenario.value.clone();
            let place = Place {
                file: &file.path,
                subject: &code,
            };
            let Some(scenario) = self.scenario(place, &parsed) else {
                continue;
            };
            if scenarios.insert(scenario.code.clone(), scenario).is_some() {
                self.refuse(
                    place,
                    line(&parsed.scenario),
                    "the scenario stands twice",
                    "remove one",
                );
            }
        }
        scenarios
    }

    fn scenario(&mut self, place: Place<'_>, source: &ScenarioFile) -> Option<Scenario> {
        let Some(fixed_stages) = fixed::stages(&source.scenario.value) else {
            let known: Vec<_> = fixed::scenarios().collect();
            self.refuse(
                place,
                line(&source.scenario),
                format!("unknown scenario `{}`", source.scenario.value),
                format!("write one of {}", known.join(", ")),
            );
            return None;
        };
        let mut order = 0;
        for stage in &source.stages {
            match fixed_stages
                .iter()
                .position(|fixed| *fixed == stage.value.code.value)
            {
                Some(at) if at >= order => order = at + 1,
                _ => self.refuse(
                    place,
                    line(&stage.value.code),
                    format!(
                        "unknown stage `{}`, or not in its order",
                        stage.value.code.value
                    ),
                    format!("the stages are, in order, {}", fixed_stages.join(", ")),
                ),
            }
            if let Some(after) = &stage.value.after
                && !source
                    .stages
                    .iter()
                    .any(|s| s.value.decisive && s.value.code.value == after.value)
            {
                self.refuse(
                    place,
                    line(after),
                    format!(
                        "`after` names `{}`, which is no decisive stage here",
                        after.value
                    ),
                    "name a decisive stage of the scenario",
                );
            }
        }
        let attributes = self.attributes(place, source);
        let actor = self.word(
            place,
            "actor",
            &source.actor,
            Actor::parse,
            codes(Actor::ALL, Actor::code),
        )?;
        Some(Scenario {
            code: ScenarioCode::new(source.scenario.value.as_str()),
            title: source.title.clone(),
            actor,
            go_live: source.go_live.as_ref().map(|day| day.0),
            stages: source
                .stages
                .iter()
                .map(|stage| Stage {
                    code: StageCode::new(stage.value.code.value.as_str()),
                    title: stage.value.title.clone(),
                    decisive: stage.value.decisive,
                    after: stage
                        .value
                        .after
                        .as_ref()
                        .map(|s| StageCode::new(s.value.as_str())),
                    rows: StageRows::default(),
                })
                .collect(),
            attributes,
        })
    }

    fn attributes(
        &mut self,
        place: Place<'_>,
        source: &ScenarioFile,
    ) -> BTreeMap<Arc<str>, AttributeType> {
        let mut attributes = BTreeMap::new();
        let own = schema::of_row(&BTreeMap::new(), &[], false).event;
        for attribute in &source.attributes {
            let name = &attribute.value.name;
            let ty = self.word(
                place,
                "type",
                &attribute.value.r#type,
                AttributeType::parse,
                codes(AttributeType::ALL, AttributeType::code),
            );
            let taken = own.iter().any(|field| *field.name == *name.value);
            let Some(ty) = ty else { continue };
            if taken
                || attributes
                    .insert(Arc::from(name.value.as_str()), ty)
                    .is_some()
            {
                self.refuse(
                    place,
                    line(name),
                    format!(
                        "attribute `{}` stands twice, or every event has it",
                        name.value
                    ),
                    "give it a name of its own",
                );
            }
        }
        attributes
    }

    fn load_agreements<'f>(
        &mut self,
        files: impl Iterator<Item = &'f SourceFile>,
        lists: &FxHashMap<ListCode, Arc<List>>,
    ) -> Vec<Agreement> {
        let mut agreements: Vec<Agreement> = Vec::new();
        for file in files {
            let Some(parsed) = self.parse::<AgreementsFile>(file) else {
                continue;
            };
            for source in &parsed.agreements {
                let place = Place {
                    file: &file.path,
                    subject: &source.value.id.value,
                };
                let bases = self.bases(place, &source.value.basis);
                if bases.is_empty() {
                    self.refuse(
                        place,
                        line(source),
                        "the agreement has no basis",
                        "add its `basis`",
                    );
                }
                let from = self.region(place, &source.value.from);
                let to = self.region(place, &source.value.to);
                self.known_lists(place, &source.value.lists, lists);
                let id: Arc<str> = source.value.id.value.as_str().into();
                if agreements.iter().any(|other| other.id == id) {
                    self.refuse(
                        place,
                        line(source),
                        "the agreement stands twice",
                        "remove one",
                    );
                }
                let (Some(from), Some(to)) = (from, to) else {
                    continue;
                };
                agreements.push(Agreement {
                    id,
                    lists: list_codes(&source.value.lists),
                    from,
                    to,
                    bases,
                    effective_from: source.value.effective_from.0,
                    effective_to: source.value.effective_to.as_ref().map(|day| day.0),
                });
            }
        }
        agreements.sort_by(|a, b| a.id.cmp(&b.id));
        agreements
    }

    fn known_lists(
        &mut self,
        place: Place<'_>,
        written: &[Spanned<String>],
        lists: &FxHashMap<ListCode, Arc<List>>,
    ) {
        for code in written {
            if !lists.contains_key(code.value.as_str()) {
                self.refuse(
                    place,
                    line(code),
                    format!("unknown list `{}`", code.value),
                    "name a list of the book, or define it under `lists/`",
                );
            }
        }
    }

    fn load_confirmations(&mut self, deployment: &Deployment) -> Confirmations {
        let mut confirmations = Confirmations::default();
        for file in &deployment.confirmations {
            let Some(parsed) = self.parse::<ConfirmationsFile>(file) else {
                continue;
            };
            for source in parsed.confirmations {
                let id = source.value.measure.value.clone();
                let place = (file.path.clone(), line(&source));
                if confirmations.places.insert(id.clone(), place).is_some() {
                    let place = Place {
                        file: &file.path,
                        subject: &id,
                    };
                    self.refuse(
                        place,
                        line(&source),
                        "the row is confirmed twice",
                        "remove one",
                    );
                }
                confirmations.by_id.insert(id, source.value);
            }
        }
        confirmations
    }

    fn load_measures<'f>(
        &mut self,
        files: impl Iterator<Item = &'f SourceFile>,
        lists: &FxHashMap<ListCode, Arc<List>>,
        scenarios: &BTreeMap<ScenarioCode, Scenario>,
        confirmations: &Confirmations,
    ) -> Vec<Arc<Measure>> {
        for file in files {
            let Some(parsed) = self.parse::<MeasuresFile>(file) else {
                continue;
            };
            for source in parsed.measures {
                let line = line(&source);
                let source = source.value;
                let id = source.id.value.clone();
                let place = Place {
                    file: &file.path,
                    subject: &id,
                };
                let confirmation = confirmations.by_id.get(&id);
                let Some(measure) =
                    self.measure(place, line, &source, lists, scenarios, confirmation)
                else {
                    continue;
                };
                for (rule, mend) in guards::broken(&measure, &source, &self.items, scenarios) {
                    self.refuse(place, line, rule, mend);
                }
                let measure = Arc::new(measure);
                self.rows.push(Row {
                    file: file.path.clone(),
                    line,
                    source,
                    measure,
                });
            }
        }
        self.rows.sort_by(|a, b| {
            (&a.measure.id, a.measure.effective_from)
                .cmp(&(&b.measure.id, b.measure.effective_from))
        });
        self.refuse_overlaps();
        self.rows
            .iter()
            .map(|row| Arc::clone(&row.measure))
            .collect()
    }

    /// Rows of one id are versions: sorted by first day, each ends before the next begins.
    fn refuse_overlaps(&mut self) {
        let mut overlapping = Vec::new();
        for (a, b) in self.rows.iter().zip(self.rows.iter().skip(1)) {
            let apart = match (a.measure.effective_to, b.measure.effective_from) {
                (Some(end), Some(start)) => end < start,
                _ => false,
            };
            if a.measure.id == b.measure.id && !apart {
                overlapping.push((b.file.clone(), b.line, b.measure.id.clone()));
            }
        }
        for (file, line, id) in overlapping {
            let place = Place {
                file: &file,
                subject: id.as_str(),
            };
            self.refuse(
                place,
                line,
                "the row overlaps another version of itself in time",
                "end the earlier version before this one begins",
            );
        }
    }

    fn measure(
        &mut self,
        place: Place<'_>,
        row_line: u64,
        source: &MeasureSource,
        lists: &FxHashMap<ListCode, Arc<List>>,
        scenarios: &BTreeMap<ScenarioCode, Scenario>,
        confirmation: Option<&ConfirmationSource>,
    ) -> Option<Measure> {
        let before = self.errors.len();
        let action = self.action(place, source);
        let force = self.word(
            place,
            "force",
            &source.force,
            Force::parse,
            codes(Force::ALL, Force::code),
        );
        let class = source.class.as_ref().and_then(|written| {
            self.word(
                place,
                "class",
                written,
                Class::parse,
                codes(Class::ALL, Class::code),
            )
        });
        let applies = self.applies(place, source, scenarios);
        let row_lists = self.row_lists(place, source, lists);
        let excluded_by: Vec<(ListCode, Basis)> = source
            .excluded_by
            .iter()
            .filter_map(|excluding| {
                self.known_lists(place, std::slice::from_ref(&excluding.list), lists);
                let basis = self.basis(place, &excluding.basis)?;
                Some((ListCode::new(excluding.list.value.as_str()), basis))
            })
            .collect();
        let severities = self.words(
            place,
            "severity",
            &source.severities,
            Severity::parse,
            codes(Severity::ALL, Severity::code),
        );
        let kinds = self.words(
            place,
            "kind of subject",
            &source.kinds,
            SubjectKind::parse,
            codes(SubjectKind::ALL, SubjectKind::code),
        );
        let roles = self.words(
            place,
            "role",
            &source.roles,
            Role::parse,
            codes(Role::ALL, Role::code),
        );
        let extends_to = self.words(
            place,
            "relation",
            &source.extends_to,
            relation,
            codes(Role::ALL, Role::code).filter(|code| relation(code).is_some()),
        );
        let region = source
            .region
            .as_ref()
            .and_then(|written| self.region(place, written));
        let bases = self.bases(place, &source.basis);
        let required: Vec<Arc<str>> = source
            .required
            .iter()
            .map(|name| Arc::from(name.value.as_str()))
            .collect();
        let attributes = self.common_attributes(place, source, scenarios);
        self.known_attributes(place, source, &attributes);
        let condition =
            self.condition(place, source, &attributes, &required, !row_lists.is_empty());
        let confidence = self.confidence(place, &source.confidence);
        if self.errors.len() > before {
            return None;
        }
        let day = |confirmed: Option<Date>,
                   written: &Option<Spanned<crate::time::text::DateText>>| {
            confirmed.or_else(|| written.as_ref().map(|day| day.value.0))
        };
        let published_at = day(
            confirmation.and_then(|c| c.published_at.as_ref().map(|d| d.0)),
            &source.published_at,
        );
        let effective_from = day(
            confirmation.and_then(|c| c.effective_from.as_ref().map(|d| d.0)),
            &source.effective_from,
        );
        let published_in = confirmation
            .and_then(|c| shared(c.published_in.as_ref()))
            .or_else(|| shared(source.published_in.as_ref()));
        let active = published_at.is_some() && published_in.is_some() && effective_from.is_some();
        if confirmation.is_some() && !active {
            self.refuse(
                place,
                row_line,
                "the row is confirmed without publication or first day",
                "add `published_at`, `published_in` and `effective_from` to the confirmation",
            );
        }
        Some(Measure {
            id: MeasureId::new(source.id.value.as_str()),
            title: source.title.clone(),
            content: source.content.clone(),
            action: action?,
            item: source
                .item
                .as_ref()
                .map(|item| Arc::from(item.value.as_str())),
            class,
            force: force?,
            parameters: source.parameters.clone(),
            excluded_by,
            applies,
            lists: row_lists,
            severities,
            kinds,
            roles,
            scoped: source.scoped,
            extends_to,
            reaches_party: source.reaches_party,
            region,
            condition,
            required,
            bases,
            published_at,
            published_in,
            effective_from,
            effective_to: source.effective_to.as_ref().map(|day| day.value.0),
            active,
            confirmed: confirmation.map(|c| {
                (
                    Arc::from(c.confirmed_by.as_str()),
                    Arc::from(c.document.as_str()),
                )
            }),
            implementer: source.implementer.clone(),
            remedies: source.remedies.clone(),
            confidence: if confirmation.is_some() {
                Confidence::Verified
            } else {
                confidence
            },
            cases: source.cases.len(),
        })
    }

    fn action(&mut self, place: Place<'_>, source: &MeasureSource) -> Option<Action> {
        let direction = self.word(
            place,
            "direction",
            &source.direction,
            Direction::parse,
            codes(Direction::ALL, Direction::code),
        )?;
        match direction {
            Direction::Penalty => self
                .word(
                    place,
                    "penalty effect",
                    &source.effect,
                    Effect::parse,
                    codes(Effect::ALL, Effect::code),
                )
                .map(Action::Penalty),
            Direction::Incentive => self
                .word(
                    place,
                    "incentive effect",
                    &source.effect,
                    Benefit::parse,
                    codes(Benefit::ALL, Benefit::code),
                )
                .map(Action::Incentive),
        }
    }

    fn words<T: Copy + Ord>(
        &mut self,
        place: Place<'_>,
        what: &str,
        written: &[Spanned<String>],
        parse: fn(&str) -> Option<T>,
        known: impl Iterator<Item = &'static str> + Clone,
    ) -> Vec<T> {
        let mut words: Vec<T> = written
            .iter()
            .filter_map(|word| self.word(place, what, word, parse, known.clone()))
            .collect();
        words.sort_unstable();
        words.dedup();
        words
    }

    fn applies(
        &mut self,
        place: Place<'_>,
        source: &MeasureSource,
        scenarios: &BTreeMap<ScenarioCode, Scenario>,
    ) -> Vec<(ScenarioCode, Vec<StageCode>)> {
        for applies in &source.applies {
            let Some(scenario) = scenarios.get(applies.scenario.value.as_str()) else {
                self.refuse(
                    place,
                    line(&applies.scenario),
                    format!("unknown scenario `{}`", applies.scenario.value),
                    "name a scenario of the book",
                );
                continue;
            };
            for stage in &applies.stages {
                if scenario.stage(&stage.value).is_none() {
                    let known: Vec<_> = scenario.stages.iter().map(|s| s.code.as_str()).collect();
                    self.refuse(
                        place,
                        line(stage),
                        format!("unknown stage `{}` of `{}`", stage.value, scenario.code),
                        format!("write one of {}", known.join(", ")),
                    );
                }
            }
        }
        source
            .applies
            .iter()
            .map(|applies| {
                let stages = applies
                    .stages
                    .iter()
                    .map(|s| StageCode::new(s.value.as_str()));
                (
                    ScenarioCode::new(applies.scenario.value.as_str()),
                    stages.collect(),
                )
            })
            .collect()
    }

    fn row_lists(
        &mut self,
        place: Place<'_>,
        source: &MeasureSource,
        lists: &FxHashMap<ListCode, Arc<List>>,
    ) -> Vec<ListCode> {
        self.known_lists(place, &source.lists, lists);
        let mut chosen: BTreeSet<ListCode> = list_codes(&source.lists).into_iter().collect();
        if let Some(by_colour) = &source.lists_of {
            let colour = self.colour(place, &by_colour.value.colour);
            let before = chosen.len();
            chosen.extend(
                lists
                    .values()
                    .filter(|list| {
                        Some(list.colour) == colour
                            && by_colour
                                .value
                                .field
                                .as_ref()
                                .is_none_or(|f| **f == *list.field)
                    })
                    .map(|list| list.code.clone()),
            );
            if colour.is_some() && chosen.len() == before {
                self.refuse(
                    place,
                    line(by_colour),
                    "`lists_of` chooses no list",
                    "name a colour and field that lists of the book have",
                );
            }
        }
        chosen.into_iter().collect()
    }

    /// The attributes that every scenario of the row declares with the same type.
    fn common_attributes(
        &mut self,
        place: Place<'_>,
        source: &MeasureSource,
        scenarios: &BTreeMap<ScenarioCode, Scenario>,
    ) -> BTreeMap<Arc<str>, AttributeType> {
        let mut declared = source
            .applies
            .iter()
            .filter_map(|applies| scenarios.get(applies.scenario.value.as_str()))
            .map(|scenario| &scenario.attributes);
        let Some(first) = declared.next() else {
            // A scenario that the book does not know has been told.
            if source.applies.is_empty() {
                self.refuse(
                    place,
                    line(&source.id),
                    "the row applies nowhere",
                    "add a scenario to `applies`",
                );
            }
            return BTreeMap::new();
        };
        let mut common = first.clone();
        for other in declared {
            common.retain(|name, ty| other.get(name) == Some(ty));
        }
        common
    }

    fn known_attributes(
        &mut self,
        place: Place<'_>,
        source: &MeasureSource,
        attributes: &BTreeMap<Arc<str>, AttributeType>,
    ) {
        for name in &source.required {
            let known = attributes.contains_key(name.value.as_str())
                || schema::EVENT_OPTIONAL.contains(&name.value.as_str());
            if !known {
                self.refuse(
                    place,
                    line(name),
                    format!("required attribute `{}` is not declared", name.value),
                    "declare it in every scenario of the row",
                );
            }
        }
    }

    fn condition(
        &mut self,
        place: Place<'_>,
        source: &MeasureSource,
        attributes: &BTreeMap<Arc<str>, AttributeType>,
        required: &[Arc<str>],
        needs_entry: bool,
    ) -> Option<(Condition, Arc<str>)> {
        let written = source.when.as_ref()?;
        let schema = schema::of_row(attributes, required, needs_entry);
        match Condition::compile(&written.value, &schema) {
            Ok(condition) => Some((condition, written.value.as_str().into())),
            Err(error) => {
                // Exact for blocks and single lines: a block's place is its first line of text.
                let line = line(written) + u64::from(error.line.saturating_sub(1));
                self.refuse(
                    place,
                    line,
                    format!("`when`: {}", error.message),
                    error.mend,
                );
                None
            }
        }
    }
}

#[derive(Default)]
struct Confirmations {
    by_id: BTreeMap<String, ConfirmationSource>,
    places: BTreeMap<String, (String, u64)>,
}

fn relation(code: &str) -> Option<Role> {
    Role::parse(code).filter(|role| role.is_relation())
}

fn list_codes(written: &[Spanned<String>]) -> Vec<ListCode> {
    written
        .iter()
        .map(|code| ListCode::new(code.value.as_str()))
        .collect()
}

/// What the YAML reader says, in words for the person who wrote the file, and how to mend it.
fn form_error(told: &str) -> (String, String) {
    // The line stands in front of the message already.
    let told = told
        .rfind(" at line ")
        .and_then(|at| told.get(..at))
        .unwrap_or(told);
    let mended = |rule: &str, mend: &str| (rule.to_owned(), mend.to_owned());
    if let Some((rule, known)) = told.split_once(", expected one of ") {
        return (rule.to_owned(), format!("write one of {known}"));
    }
    if let Some(rest) = told.strip_prefix("duplicate mapping key: ") {
        let key = rest.split(',').next().unwrap_or(rest);
        return (format!("`{key}` stands twice"), "remove one".to_owned());
    }
    match told {
        "expected sequence start" => mended("expected a list", "write the values in `[` and `]`"),
        "expected mapping start" => mended("expected fields", "write `field: value`"),
        "expected string scalar" => mended("expected a text", "write a text, in quotes if need be"),
        "invalid boolean" => mended("expected true or false", "write `true` or `false`"),
        "invalid u32" | "invalid i64" => mended(
            "not a whole number, or out of range",
            "write a whole number",
        ),
        _ if told.starts_with("budget breached") => mended(
            "the file is larger than one file of a book may be",
            "split it into several files of the same folder",
        ),
        _ if told.starts_with("missing field ") => (told.to_owned(), "add it".to_owned()),
        _ => mended(told, "write the field as the form of the file says"),
    }
}

/// The codes of a closed set, for messages.
fn codes<T: Copy>(
    all: &'static [T],
    code: fn(T) -> &'static str,
) -> impl Iterator<Item = &'static str> + Clone {
    all.iter().map(move |word| code(*word))
}

/// Lays the rows out by stage; replaces what was laid out before.
pub(super) fn index(scenarios: &mut BTreeMap<ScenarioCode, Scenario>, measures: &[Arc<Measure>]) {
    for scenario in scenarios.values_mut() {
        for stage in &mut scenario.stages {
            let here = |row: &&Arc<Measure>| {
                row.applies
                    .iter()
                    .any(|(code, stages)| *code == scenario.code && stages.contains(&stage.code))
            };
            stage.rows = StageRows::of(measures.iter().filter(here));
        }
    }
}

impl StageRows {
    fn of<'m>(rows: impl Iterator<Item = &'m Arc<Measure>>) -> Self {
        let mut indexed = Self::default();
        let mut needs: BTreeMap<ListCode, Vec<Arc<Measure>>> = BTreeMap::new();
        for row in rows {
            match (row.penalty(), row.active) {
                (Some(_), false) => indexed.inactive_penalties = true,
                (Some(_), true) => indexed.active_penalties = true,
                _ => {}
            }
            if !row.active {
                continue;
            }
            let Some(effect) = row.penalty() else {
                indexed.incentives.add(row);
                continue;
            };
            indexed.penalties.add(row);
            if effect > Effect::HeightenedScrutiny {
                for list in &row.lists {
                    needs.entry(list.clone()).or_default().push(Arc::clone(row));
                }
            }
        }
        indexed.needs = needs.into_iter().collect();
        indexed
    }
}

/// SHA-256 over everything the book was made of, in the order of the paths.
fn version(files: &[&SourceFile], deployment: &Deployment) -> BookVersion {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    let mut confirmations: Vec<_> = deployment.confirmations.iter().collect();
    confirmations.sort_by(|a, b| a.path.cmp(&b.path));
    for (kind, files) in [("book", files), ("confirmation", &confirmations)] {
        for file in files {
            part(kind);
            part(&file.path);
            part(&file.text);
        }
    }
    for (list, why) in &deployment.not_connected {
        part("not_connected");
        part(list);
        part(why);
    }
    BookVersion(hash.finalize().into())
}
