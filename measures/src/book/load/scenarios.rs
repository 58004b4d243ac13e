//! Scenarios: their stages, in the fixed order, and the attributes that their events may carry.

use super::super::source::ScenarioFile;
use super::super::{Scenario, Stage, StageRows, fixed, guards, schema};
use super::{Loader, Place, SourceFile, codes, line};
use crate::event::{ScenarioCode, StageCode};
use crate::vocabulary::{Actor, AttributeType};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The scenario in which others than public bodies act.
const LENDING: &str = "lending";

impl Loader {
    pub(super) fn load_scenarios<'f>(
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
        if source.scenario.value == LENDING && actor != Actor::ThirdParty {
            self.guard(
                place,
                line(&source.actor),
                "lenders decide for themselves: they are third parties",
                format!("write `actor: {}`", Actor::ThirdParty.code()),
            );
        }
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
            personal_scores: source
                .attributes
                .iter()
                .filter(|attribute| attribute.value.personal_score == Some(true))
                .map(|attribute| Arc::from(attribute.value.name.value.as_str()))
                .collect(),
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
            if attribute.value.personal_score.is_none()
                && guards::names_personal_score(&attribute.value.title)
            {
                self.guard(
                    place,
                    line(name),
                    format!(
                        "attribute `{}` is by its title a score of persons",
                        name.value
                    ),
                    "write `personal_score: true`: no penalty may read it; or `false` when it scores no persons",
                );
            }
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
}
