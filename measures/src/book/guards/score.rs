//! Scores of natural persons (个人积分): rewards may turn on one, nothing else may.

use std::collections::BTreeMap;

use super::super::source::Text;
use super::super::{Measure, Scenario};
use super::{Broken, broken_if};
use crate::condition::Root;
use crate::event::ScenarioCode;
use crate::vocabulary::SubjectKind;

/// Words that say whose conduct a score counts, and words for the score: a title with one of each
/// is taken for a score of persons unless the book says that it is none.
const OF_CONDUCT: [&str; 4] = ["信用", "诚信", "市民", "个人"];
const SCORES: [&str; 6] = ["积分", "评分", "得分", "信用分", "诚信分", "分数"];
/// Names that say both in a word of their own.
const BY_NAME: [&str; 1] = ["桂花分"];

/// Whether a title names a score of natural persons, as far as words can tell.
pub(in super::super) fn names_personal_score(title: &Text) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| title.zh.contains(word));
    (has(&OF_CONDUCT) && has(&SCORES))
        || has(&BY_NAME)
        || title.en.to_lowercase().contains("personal score")
}

/// A penalty that reads a score of persons.
pub(super) fn reads_personal_score(
    row: &Measure,
    scenarios: &BTreeMap<ScenarioCode, Scenario>,
) -> Option<Broken> {
    let fields = row
        .condition
        .iter()
        .flat_map(|(condition, _)| condition.reads());
    let on_event = fields.clone().filter(|(root, _)| *root == Root::Event);
    let is_score = |name: &str| {
        let of_row = row
            .applies
            .iter()
            .filter_map(|(code, _)| scenarios.get(code));
        of_row
            .into_iter()
            .any(|scenario| scenario.personal_scores.contains(name))
    };
    let read = on_event
        .map(|(_, name)| name)
        .chain(&row.required)
        .find(|name| is_score(name));
    if let Some(name) = read {
        return Some((
            format!("a penalty reads `{name}`, a score of persons"),
            "leave it out: scores of persons serve rewards only".to_owned(),
        ));
    }
    let grades = fields
        .into_iter()
        .any(|(root, name)| *root == Root::Entry && &**name == "grade");
    let of_persons = row.kinds.is_empty() || row.kinds.contains(&SubjectKind::NaturalPerson);
    broken_if(
        grades && of_persons,
        "a penalty reads `entry.grade` of any kind of subject: the grade of a person is a score",
        "name the `kinds` it is for, without natural_person",
    )
}
