//! What a simulation counts: by worker, put together at the end. Nothing in it depends on the order
//! in which events were decided.

use std::collections::BTreeMap;

use creditgate_measures::book::Book;
use creditgate_measures::event::{Event, Subject};
use creditgate_measures::identifier::IdType;
use creditgate_measures::verdict::Verdict;
use creditgate_measures::vocabulary::{Outcome, SubjectKind};
use creditgate_proto::v1;
use rustc_hash::{FxHashMap, FxHashSet};

use super::compare::{Change, RowChange, Told};

const OUTCOMES: usize = Outcome::ALL.len();

/// What subjects of unknown kind are counted under.
const UNKNOWN: &str = "unknown";

/// What is wanted of samples.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// Most samples of one transition.
    pub per_transition: usize,
    /// Most examples of persons newly limited.
    pub persons: usize,
    /// Only changes that touch one of these rows; empty: all.
    pub rows: Vec<String>,
    /// Only these transitions of the outcome; empty: all.
    pub transitions: Vec<(Outcome, Outcome)>,
}

impl Samples {
    /// Whether a change is wanted as a sample.
    pub(crate) fn want(&self, old: Outcome, new: Outcome, rows: &[RowChange<'_>]) -> bool {
        let by_row = self.rows.is_empty()
            || rows
                .iter()
                .any(|change| self.rows.iter().any(|row| row == change.row));
        let by_transition = self.transitions.is_empty() || self.transitions.contains(&(old, new));
        by_row && by_transition
    }
}

/// Why an event could not be decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NotDecidable {
    /// Its lists are those of another change log.
    OtherLog,
    /// Its lists lie ahead of the change log that is here.
    AheadOfLog,
    /// What a decision needs was erased.
    Erased,
    /// The record is not what this version reads.
    Unreadable,
}

impl NotDecidable {
    const fn code(self) -> &'static str {
        match self {
            Self::OtherLog => "other_log",
            Self::AheadOfLog => "ahead_of_log",
            Self::Erased => "erased",
            Self::Unreadable => "unreadable",
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Report {
    unchanged: u64,
    changed_outcome: u64,
    changed_measures: u64,
    /// How many, and the position of the first.
    not_decidable: BTreeMap<NotDecidable, (u64, u64)>,
    all: Matrix,
    scenarios: Groups,
    stages: Groups,
    departments: Groups,
    kinds: Groups,
    rows: FxHashMap<Box<str>, Row>,
    /// By transition, then position in the journal.
    samples: BTreeMap<(Outcome, Outcome), BTreeMap<u64, v1::SimulationSample>>,
    persons: FxHashSet<u64>,
    others: FxHashSet<u64>,
    /// Those without an identifier that tells them apart.
    persons_unnamed: u64,
    others_unnamed: u64,
    times_limited: u64,
    /// By position in the journal and subject.
    limited: BTreeMap<(u64, usize), v1::LimitedPerson>,
    /// Room in which a name is put together.
    key: String,
}

/// How often each outcome became each.
#[derive(Debug, Clone, Default)]
struct Matrix([[u64; OUTCOMES]; OUTCOMES]);

/// One group.
#[derive(Debug, Clone, Default)]
struct Group {
    total: u64,
    different: u64,
    matrix: Matrix,
}

type Groups = FxHashMap<Box<str>, Group>;

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    added: u64,
    removed: u64,
    changed: u64,
}

/// A verdict decided again.
pub(crate) struct Again<'a> {
    pub position: u64,
    pub event: &'a Event,
    pub stored: &'a v1::Verdict,
    pub old: &'a Told<'a>,
    pub new: &'a Verdict,
}

impl Report {
    pub(crate) fn not_decidable(&mut self, why: NotDecidable, position: u64) {
        let (count, first) = self.not_decidable.entry(why).or_insert((0, position));
        *count += 1;
        *first = position.min(*first);
    }

    pub(crate) fn count(&mut self, again: &Again<'_>, wanted: &Samples) {
        let Again {
            event, old, new, ..
        } = again;
        let new = Told::by(new);
        let change = old.change_to(&new);
        match change {
            Change::Nothing => self.unchanged += 1,
            Change::Outcome => self.changed_outcome += 1,
            Change::Measures => self.changed_measures += 1,
        }
        let different = change != Change::Nothing;
        let (from, to) = (old.decision.outcome, new.decision.outcome);
        self.all.count(from, to);
        let (scenario, stage) = (event.scenario.as_str(), event.stage.as_str());
        self.key.clear();
        self.key.extend([scenario, "/", stage]);
        for (groups, name) in [
            (&mut self.scenarios, scenario),
            (&mut self.stages, self.key.as_str()),
            (&mut self.departments, event.source.as_str()),
        ] {
            with(groups, name, |group| group.count(from, to, different));
        }
        for (old, new) in old.subjects.iter().zip(&new.subjects) {
            let kind = new.kind.or(old.kind).map_or(UNKNOWN, SubjectKind::code);
            let (old, new) = (old.stand, new.stand);
            with(&mut self.kinds, kind, |group| {
                group.count(old.outcome, new.outcome, old != new);
            });
        }
        if different {
            self.keep(again, &new, wanted);
        }
    }

    /// Counts what is different, and keeps it as a sample.
    fn keep(&mut self, again: &Again<'_>, new: &Told<'_>, wanted: &Samples) {
        let Again {
            position,
            event,
            stored,
            old,
            ..
        } = again;
        let changes = old.row_changes(new);
        for change in &changes {
            with(&mut self.rows, change.row, |row| row.count(change));
        }
        let (from, to) = (old.decision.outcome, new.decision.outcome);
        if wanted.want(from, to, &changes) {
            let of_transition = self.samples.entry((from, to)).or_default();
            keep_first(of_transition, *position, wanted.per_transition, || {
                v1::SimulationSample {
                    old: from.code().to_owned(),
                    new: to.code().to_owned(),
                    verdict_id: stored.verdict_id.clone(),
                    position: *position,
                    scenario: event.scenario.as_str().to_owned(),
                    stage: event.stage.as_str().to_owned(),
                    source: event.source.as_str().to_owned(),
                    rows: changes.iter().map(|change| change.to_proto()).collect(),
                }
            });
        }
        self.keep_limited(again, new, &changes, wanted.persons);
    }

    /// Those under protection who would be limited more than they were told.
    fn keep_limited(
        &mut self,
        again: &Again<'_>,
        new: &Told<'_>,
        changes: &[RowChange<'_>],
        examples_max: usize,
    ) {
        let told = again.old.subjects.iter().zip(&new.subjects);
        for (index, (subject, (old, new))) in again.event.subjects.iter().zip(told).enumerate() {
            let kind = new.kind.or(old.kind);
            let Some(is_person) = protected(kind, subject) else {
                continue;
            };
            if !new.stand.limits_more_than(&old.stand) {
                continue;
            }
            self.times_limited += 1;
            let identifier = subject.valid_identifier(again.new.evaluated_at);
            match (identifier, is_person) {
                (Some(identifier), true) => {
                    self.persons.insert(identifier.key().0);
                }
                (Some(identifier), false) => {
                    self.others.insert(identifier.key().0);
                }
                (None, true) => self.persons_unnamed += 1,
                (None, false) => self.others_unnamed += 1,
            }
            keep_first(
                &mut self.limited,
                (again.position, index),
                examples_max,
                || v1::LimitedPerson {
                    verdict_id: again.stored.verdict_id.clone(),
                    identifier: identifier.map(|i| i.masked()).unwrap_or_default(),
                    kind: kind.map_or("", SubjectKind::code).to_owned(),
                    role: subject.role.code().to_owned(),
                    scenario: again.event.scenario.as_str().to_owned(),
                    stage: again.event.stage.as_str().to_owned(),
                    old: Some(old.stand.to_proto()),
                    new: Some(new.stand.to_proto()),
                    rows: changes
                        .iter()
                        .filter(|change| change.subject == index && change.new.is_some())
                        .map(|change| change.row.to_owned())
                        .collect(),
                },
            );
        }
    }

    /// Takes what another worker counted.
    pub(crate) fn join(&mut self, other: Self, wanted: &Samples) {
        self.unchanged += other.unchanged;
        self.changed_outcome += other.changed_outcome;
        self.changed_measures += other.changed_measures;
        for (why, (count, first)) in other.not_decidable {
            let own = self.not_decidable.entry(why).or_insert((0, first));
            own.0 += count;
            own.1 = own.1.min(first);
        }
        self.all.join(&other.all);
        for (own, others) in [
            (&mut self.scenarios, other.scenarios),
            (&mut self.stages, other.stages),
            (&mut self.departments, other.departments),
            (&mut self.kinds, other.kinds),
        ] {
            for (name, other) in others {
                own.entry(name).or_default().join(&other);
            }
        }
        for (name, other) in other.rows {
            self.rows.entry(name).or_default().join(other);
        }
        for (transition, samples) in other.samples {
            let own = self.samples.entry(transition).or_default();
            own.extend(samples);
            cut(own, wanted.per_transition);
        }
        self.persons.extend(other.persons);
        self.others.extend(other.others);
        self.persons_unnamed += other.persons_unnamed;
        self.others_unnamed += other.others_unnamed;
        self.times_limited += other.times_limited;
        self.limited.extend(other.limited);
        cut(&mut self.limited, wanted.persons);
    }

    /// As a message; the books, the candidate first, say what a row is called.
    pub(crate) fn into_result(self, books: &[&Book]) -> v1::SimulationResult {
        let measures = || books.iter().flat_map(|book| book.measures());
        let mut implementers: BTreeMap<&str, Row> = BTreeMap::new();
        let mut rows = Vec::new();
        for (name, row) in sorted(self.rows) {
            let measure = measures().find(|measure| measure.id.as_str() == &*name);
            let implementer = measure.map_or("", |measure| measure.implementer.zh.as_str());
            implementers.entry(implementer).or_default().join(row);
            let title = measure.map_or("", |measure| measure.title.zh.as_str());
            rows.push(row.to_proto(name.into(), title.to_owned()));
        }
        let implementers = implementers
            .into_iter()
            .map(|(name, row)| row.to_proto(name.to_owned(), String::new()))
            .collect();
        let undecided: u64 = self.not_decidable.values().map(|(count, _)| count).sum();
        let why = self
            .not_decidable
            .iter()
            .map(|(why, (events, first))| v1::NotDecidable {
                reason: why.code().to_owned(),
                events: *events,
                first_position: *first,
            })
            .collect();
        let decided = self.unchanged + self.changed_outcome + self.changed_measures;
        let count = |set: &FxHashSet<u64>, unnamed: u64| set.len() as u64 + unnamed;
        v1::SimulationResult {
            totals: Some(v1::SimulationTotals {
                events: decided + undecided,
                unchanged: self.unchanged,
                changed_outcome: self.changed_outcome,
                changed_measures: self.changed_measures,
                not_decidable: undecided,
                why,
            }),
            newly_limited: Some(v1::NewlyLimited {
                persons: count(&self.persons, self.persons_unnamed),
                others: count(&self.others, self.others_unnamed),
                times: self.times_limited,
                examples: self.limited.into_values().collect(),
            }),
            transitions: self.all.to_proto(),
            scenarios: groups(self.scenarios),
            stages: groups(self.stages),
            departments: groups(self.departments),
            kinds: groups(self.kinds),
            rows,
            implementers,
            samples: self
                .samples
                .into_values()
                .flat_map(BTreeMap::into_values)
                .collect(),
            ..Default::default()
        }
    }
}

impl Matrix {
    fn count(&mut self, old: Outcome, new: Outcome) {
        if let Some(count) = self
            .0
            .get_mut(old as usize)
            .and_then(|row| row.get_mut(new as usize))
        {
            *count += 1;
        }
    }

    fn join(&mut self, other: &Self) {
        let own = self.0.iter_mut().flatten();
        for (own, other) in own.zip(other.0.iter().flatten()) {
            *own += other;
        }
    }

    /// What did not stay at nought, weakest first.
    fn to_proto(&self) -> Vec<v1::TransitionCount> {
        let mut counts = Vec::new();
        for (old, row) in Outcome::ALL.iter().zip(&self.0) {
            for (new, &count) in Outcome::ALL.iter().zip(row) {
                if count > 0 {
                    counts.push(v1::TransitionCount {
                        old: old.code().to_owned(),
                        new: new.code().to_owned(),
                        count,
                    });
                }
            }
        }
        counts
    }
}

impl Group {
    fn count(&mut self, old: Outcome, new: Outcome, different: bool) {
        self.total += 1;
        self.different += u64::from(different);
        self.matrix.count(old, new);
    }

    fn join(&mut self, other: &Self) {
        self.total += other.total;
        self.different += other.different;
        self.matrix.join(&other.matrix);
    }
}

impl Row {
    fn count(&mut self, change: &RowChange<'_>) {
        match (change.old, change.new) {
            (None, _) => self.added += 1,
            (_, None) => self.removed += 1,
            _ => self.changed += 1,
        }
    }

    fn join(&mut self, other: Self) {
        self.added += other.added;
        self.removed += other.removed;
        self.changed += other.changed;
    }

    fn to_proto(self, name: String, title: String) -> v1::RowCounts {
        let Self {
            added,
            removed,
            changed,
        } = self;
        v1::RowCounts {
            name,
            title,
            added,
            removed,
            changed,
        }
    }
}

/// Counts transitions, outside a simulation.
#[derive(Debug, Default)]
pub(crate) struct TransitionTally(Matrix);

impl TransitionTally {
    pub(crate) fn count(&mut self, old: Outcome, new: Outcome) {
        self.0.count(old, new);
    }

    pub(crate) fn to_proto(&self) -> Vec<v1::TransitionCount> {
        self.0.to_proto()
    }
}

/// Counts rows that are different, outside a simulation.
#[derive(Debug, Default)]
pub(crate) struct RowTally(FxHashMap<Box<str>, Row>);

impl RowTally {
    pub(crate) fn count(&mut self, change: &RowChange<'_>) {
        with(&mut self.0, change.row, |row| row.count(change));
    }

    pub(crate) fn to_proto(&self) -> Vec<v1::RowCounts> {
        let rows: BTreeMap<_, _> = self.0.iter().collect();
        rows.into_iter()
            .map(|(name, row)| row.to_proto(name.to_string(), String::new()))
            .collect()
    }
}

/// Whether the subject is under protection; then whether it is a natural person.
fn protected(kind: Option<SubjectKind>, subject: &Subject) -> Option<bool> {
    match kind {
        Some(SubjectKind::NaturalPerson) => Some(true),
        Some(SubjectKind::IndividualBusiness) => Some(false),
        Some(_) => None,
        None => {
            let other = |given: &creditgate_measures::event::GivenIdentifier| {
                given.id_type == IdType::Other
            };
            subject.given.as_ref().is_some_and(other).then_some(false)
        }
    }
}

/// Changes the value under a name, which is copied for the first only.
fn with<T: Default>(map: &mut FxHashMap<Box<str>, T>, name: &str, change: impl FnOnce(&mut T)) {
    match map.get_mut(name) {
        Some(value) => change(value),
        None => change(map.entry(name.into()).or_default()),
    }
}

/// Keeps the first so many by key, whatever order they come in.
fn keep_first<K: Ord, V>(kept: &mut BTreeMap<K, V>, key: K, most: usize, make: impl FnOnce() -> V) {
    if kept.len() >= most && kept.last_key_value().is_none_or(|(last, _)| *last < key) {
        return;
    }
    kept.insert(key, make());
    cut(kept, most);
}

fn cut<K: Ord, V>(kept: &mut BTreeMap<K, V>, most: usize) {
    while kept.len() > most {
        kept.pop_last();
    }
}

fn sorted<T>(map: FxHashMap<Box<str>, T>) -> BTreeMap<Box<str>, T> {
    map.into_iter().collect()
}

fn groups(groups: Groups) -> Vec<v1::GroupCounts> {
    sorted(groups)
        .into_iter()
        .map(|(name, group)| v1::GroupCounts {
            name: name.into(),
            total: group.total,
            different: group.different,
            transitions: group.matrix.to_proto(),
        })
        .collect()
}
