//! Rules on credit repair: periods of display, and limits of procedures.

use super::super::source::{LimitSource, LimitsSource, RepairFile, RepairRuleSource};
use super::super::{RepairRule, guards};
use super::{Loader, Place, SourceFile, codes, line};
use crate::book::source::Spanned;
use crate::clocks::{DayUnit, Limit, Limits, NO_LAW, OPENED, Procedure};
use std::sync::Arc;

impl Loader {
    pub(super) fn load_repair_rules<'f>(
        &mut self,
        files: impl Iterator<Item = &'f SourceFile>,
    ) -> Vec<RepairRule> {
        let mut rules: Vec<RepairRule> = Vec::new();
        for file in files {
            let Some(parsed) = self.parse::<RepairFile>(file) else {
                continue;
            };
            for spanned in &parsed.repair_rules {
                let place = Place {
                    file: &file.path,
                    subject: &spanned.value.version.value,
                };
                let Some(rule) = self.repair_rule(place, &spanned.value) else {
                    continue;
                };
                if rules.iter().any(|other| other.version == rule.version) {
                    self.refuse(place, line(spanned), "the rule stands twice", "remove one");
                }
                for (broken, mend) in guards::rule_broken(&rule, &rules) {
                    self.guard(place, line(spanned), broken, mend);
                }
                rules.push(rule);
            }
        }
        rules.sort_by(|a, b| a.version.cmp(&b.version));
        rules
    }

    fn repair_rule(&mut self, place: Place<'_>, source: &RepairRuleSource) -> Option<RepairRule> {
        let confidence = self.confidence(place, &source.confidence);
        let basis = self.basis(place, &source.basis)?;
        Some(RepairRule {
            version: source.version.value.as_str().into(),
            title: source.title.clone(),
            basis,
            effective_from: source.effective_from.as_ref().map(|day| day.0),
            effective_to: source.effective_to.as_ref().map(|day| day.0),
            periods: source.periods.clone().unwrap_or_default(),
            general: source.general,
            limits: self.limits(place, &source.limits),
            confidence,
        })
    }

    fn limits(&mut self, place: Place<'_>, source: &LimitsSource) -> Limits {
        let by_procedure = [
            (Procedure::Objection, &source.objection),
            (Procedure::Repair, &source.repair),
            (Procedure::Deletion, &source.deletion),
            (Procedure::Talk, &source.talk),
            (Procedure::Commitment, &source.commitment),
        ];
        let mut limits = Limits::default();
        for (procedure, written) in by_procedure {
            let mut of_procedure: Vec<Limit> = Vec::new();
            for spanned in written {
                let Some(limit) = self.limit(place, spanned) else {
                    continue;
                };
                for (rule, mend) in guards::limit_broken(procedure, &limit, &of_procedure) {
                    self.guard(place, line(spanned), rule, mend);
                }
                of_procedure.push(limit);
            }
            limits.by_procedure.push((procedure, of_procedure));
        }
        limits
    }

    fn limit(&mut self, place: Place<'_>, spanned: &Spanned<LimitSource>) -> Option<Limit> {
        let source = &spanned.value;
        let unit = match &source.unit {
            None => Some(DayUnit::Working),
            Some(written) => self.word(
                place,
                "unit of days",
                written,
                DayUnit::parse,
                codes(DayUnit::ALL, DayUnit::code),
            ),
        };
        let law = match &source.basis {
            None => None,
            Some(basis) => Some(self.basis(place, basis)?),
        };
        let confidence = self.confidence(place, &source.confidence);
        let from = source.counted_from.as_ref();
        Some(Limit {
            step: source.step.value.as_str().into(),
            title_zh: source.title.zh.as_str().into(),
            title_en: source.title.en.as_str().into(),
            // What does not fit is out of range for the guard too.
            days: u16::try_from(source.days).unwrap_or(u16::MAX),
            unit: unit?,
            counted_from: from.map_or_else(|| Arc::from(OPENED), |from| from.value.as_str().into()),
            basis: law
                .as_ref()
                .map_or_else(|| NO_LAW.into(), |law| law.cited().into()),
            law,
            is_default: source.default,
            confidence,
        })
    }
}
