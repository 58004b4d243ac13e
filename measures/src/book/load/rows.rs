//! Rows of measure lists: every word known, every condition checked, no version over another.

use super::super::source::{ConfirmationSource, MeasureSource, MeasuresFile};
use super::super::{Action, Basis, List, Measure, Scenario, guards, schema};
use super::parts::Part;
use super::{Around, Loader, Place, Row, SourceFile, codes, line, list_codes, shared};
use crate::book::source::Spanned;
use crate::condition::Condition;
use crate::event::{ListCode, MeasureId, ScenarioCode, StageCode};
use crate::time::Date;
use crate::time::text::DateText;
use crate::vocabulary::{
    AttributeType, Benefit, Class, Confidence, Direction, Effect, Force, Role, Severity,
    SubjectKind,
};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Loader {
    pub(super) fn load_measures(
        &mut self,
        parts: &[Part<'_>],
        around: &Around<'_>,
    ) -> Vec<Arc<Measure>> {
        for part in parts {
            for file in part.inside("measures") {
                let rows = self.row_sources(file);
                self.take_rows(part, file, rows, around);
            }
            for file in part.inside("incentives") {
                let rows = self.row_sources(file);
                for (line, row) in &rows {
                    self.refuse_penalty(file, *line, row);
                }
                self.take_rows(part, file, rows, around);
            }
            for file in part.inside("commitments") {
                let rows = self.commitments(file);
                self.take_rows(part, file, rows, around);
            }
        }
        self.rows.sort_by(|a, b| {
            (&a.measure.id, a.measure.effective_from)
                .cmp(&(&b.measure.id, b.measure.effective_from))
        });
        self.refuse_overlaps();
        self.guard_supplements(parts);
        self.rows
            .iter()
            .map(|row| Arc::clone(&row.measure))
            .collect()
    }

    fn row_sources(&mut self, file: &SourceFile) -> Vec<(u64, MeasureSource)> {
        let parsed = self.parse::<MeasuresFile>(file);
        let rows = parsed.map(|parsed| parsed.measures).unwrap_or_default();
        rows.into_iter()
            .map(|row| (line(&row), row.value))
            .collect()
    }

    fn refuse_penalty(&mut self, file: &SourceFile, line: u64, row: &MeasureSource) {
        if row.direction.value != Direction::Incentive.code() {
            let place = Place {
                file: &file.path,
                subject: &row.id.value,
            };
            self.guard(
                place,
                line,
                "`incentives/` holds rewards only",
                "move the row to `measures/`",
            );
        }
    }

    fn take_rows(
        &mut self,
        part: &Part<'_>,
        file: &SourceFile,
        rows: Vec<(u64, MeasureSource)>,
        around: &Around<'_>,
    ) {
        for (line, source) in rows {
            let id = source.id.value.clone();
            let place = Place {
                file: &file.path,
                subject: &id,
            };
            let Some(measure) = self.measure(place, line, &source, part, around) else {
                continue;
            };
            for (rule, mend) in guards::broken(&measure, &source, around.edition, around.scenarios)
                .into_iter()
                .chain(guards::coupling(
                    &measure,
                    source.field.is_some(),
                    around.lists,
                    around.scenarios,
                ))
            {
                self.guard(place, line, rule, mend);
            }
            self.rows.push(Row {
                file: file.path.clone(),
                line,
                source,
                measure: Arc::new(measure),
            });
        }
    }

    /// What a supplement may not do to the national list.
    fn guard_supplements(&mut self, parts: &[Part<'_>]) {
        let mut broken = Vec::new();
        for row in &self.rows {
            let supplement = parts
                .iter()
                .filter_map(|part| part.supplement.as_ref())
                .find(|supplement| row.measure.supplement.as_ref() == Some(&supplement.code));
            let others = self.rows.iter().map(|row| &row.measure);
            for (rule, mend) in guards::supplement_broken(&row.measure, supplement, others) {
                broken.push((
                    row.file.clone(),
                    row.line,
                    row.measure.id.clone(),
                    rule,
                    mend,
                ));
            }
        }
        for (file, line, id, rule, mend) in broken {
            let place = Place {
                file: &file,
                subject: id.as_str(),
            };
            self.guard(place, line, rule, mend);
        }
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

    pub(super) fn measure(
        &mut self,
        place: Place<'_>,
        row_line: u64,
        source: &MeasureSource,
        part: &Part<'_>,
        around: &Around<'_>,
    ) -> Option<Measure> {
        let Around {
            lists,
            scenarios,
            confirmations,
            ..
        } = *around;
        let confirmation = confirmations.by_id.get(&source.id.value);
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
            .and_then(|written| self.region(place, written))
            .or_else(|| part.supplement.as_ref().map(|supplement| supplement.region));
        if source.field.is_none() {
            self.guard(
                place,
                row_line,
                "the row names no field (领域)",
                "add `field`: the field whose lists it may name",
            );
        }
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
        for stated in confirmation.into_iter().flat_map(|c| differing(source, c)) {
            self.guard(
                place,
                row_line,
                format!("the confirmation states another `{stated}` than the row has"),
                format!(
                    "remove `{stated}` from the confirmation: it supplies what the row leaves open"
                ),
            );
        }
        // In a book that comes into force both say the same; one that was in force once keeps what
        // its confirmations said.
        let day = |confirmed: Option<Date>, written: &Option<Spanned<DateText>>| {
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
            field: source
                .field
                .as_ref()
                .map_or_else(Arc::default, |field| field.value.as_str().into()),
            supplement: part.code(),
            varies: source
                .varies
                .as_ref()
                .map(|varied| MeasureId::new(varied.value.as_str())),
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

/// What a confirmation states otherwise than the row itself.
fn differing(source: &MeasureSource, confirmation: &ConfirmationSource) -> Vec<&'static str> {
    let days = |confirmed: &Option<DateText>, written: &Option<Spanned<DateText>>| {
        let confirmed = confirmed.as_ref().map(|day| day.0);
        let written = written.as_ref().map(|day| day.value.0);
        confirmed.zip(written).is_some_and(|(a, b)| a != b)
    };
    let place = confirmation
        .published_in
        .as_ref()
        .zip(source.published_in.as_ref());
    [
        (
            "published_at",
            days(&confirmation.published_at, &source.published_at),
        ),
        ("published_in", place.is_some_and(|(a, b)| a != b)),
        (
            "effective_from",
            days(&confirmation.effective_from, &source.effective_from),
        ),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn relation(code: &str) -> Option<Role> {
    Role::parse(code).filter(|role| role.is_relation())
}
