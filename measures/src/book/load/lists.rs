//! List definitions and agreements: who keeps a list, on which basis, and how far it reaches.

use super::super::source::{AgreementsFile, BasisSource, ListSource, ListsFile};
use super::super::{Agreement, Basis, List, RepairRule, guards};
use super::parts::Part;
use super::{HOUR_MICROS, Loader, Place, codes, line, list_codes, shared};
use crate::book::source::Spanned;
use crate::event::ListCode;
use crate::vocabulary::{Level, ListKind, Reach, Severity};
use rustc_hash::FxHashMap;
use std::sync::Arc;

impl Loader {
    pub(super) fn load_lists(
        &mut self,
        parts: &[Part<'_>],
        repair_rules: &[RepairRule],
    ) -> FxHashMap<ListCode, Arc<List>> {
        let mut lists = FxHashMap::default();
        let files = parts
            .iter()
            .flat_map(|part| part.inside("lists").map(move |file| (part, file)));
        for (part, file) in files {
            let Some(parsed) = self.parse::<ListsFile>(file) else {
                continue;
            };
            for source in parsed.lists {
                let code = source.value.code.value.clone();
                let place = Place {
                    file: &file.path,
                    subject: &code,
                };
                let Some(mut list) = self.list(place, &source) else {
                    continue;
                };
                list.supplement = part.code();
                for (rule, mend) in guards::list_broken(
                    &list,
                    source.value.personal_score,
                    part.supplement.as_ref(),
                    repair_rules,
                ) {
                    self.guard(place, line(&source), rule, mend);
                }
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
                .iter()
                .map(|repair| (Arc::from(repair.version.as_str()), repair.rule.clone()))
                .collect(),
            freshness_budget_micros: i64::from(source.freshness_budget_hours) * HOUR_MICROS,
            default_severity,
            default_region,
            personal_score: source.personal_score.unwrap_or(false),
            supplement: None,
            confidence: self.confidence(place, &source.confidence),
        })
    }

    pub(super) fn bases(
        &mut self,
        place: Place<'_>,
        sources: &[Spanned<BasisSource>],
    ) -> Vec<Basis> {
        let mut bases: Vec<Basis> = sources
            .iter()
            .filter_map(|source| self.basis(place, &source.value))
            .collect();
        bases.sort_by_key(|basis| basis.level);
        bases
    }

    pub(super) fn basis(&mut self, place: Place<'_>, source: &BasisSource) -> Option<Basis> {
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
            reaches: source
                .reaches
                .iter()
                .map(|field| Arc::from(field.value.as_str()))
                .collect(),
        })
    }

    pub(super) fn load_agreements(
        &mut self,
        parts: &[Part<'_>],
        lists: &FxHashMap<ListCode, Arc<List>>,
    ) -> Vec<Agreement> {
        let mut agreements: Vec<Agreement> = Vec::new();
        let files = parts
            .iter()
            .flat_map(|part| part.inside("agreements").map(move |file| (part, file)));
        for (part, file) in files {
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
                let outside = part
                    .supplement
                    .as_ref()
                    .is_some_and(|supplement| !supplement.region.contains(to));
                if outside {
                    self.guard(
                        place,
                        line(&source.value.to),
                        "an agreement of a supplement speaks for another region",
                        "write `to` inside the region of the supplement",
                    );
                }
                let agreement = Agreement {
                    supplement: part.code(),
                    id,
                    lists: list_codes(&source.value.lists),
                    from,
                    to,
                    bases,
                    effective_from: source.value.effective_from.0,
                    effective_to: source.value.effective_to.as_ref().map(|day| day.0),
                };
                for (rule, mend) in guards::agreement_broken(&agreement) {
                    self.guard(place, line(source), rule, mend);
                }
                agreements.push(agreement);
            }
        }
        agreements.sort_by(|a, b| a.id.cmp(&b.id));
        agreements
    }

    pub(super) fn known_lists(
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
}
