//! What is told of each row held against the verdict: told as matched is what the verdict shows.

use std::collections::BTreeSet;

use creditgate_measures::book::Book;
use creditgate_measures::event::Event;
use creditgate_measures::verdict::{Incentive, SubjectVerdict, Triggered, Verdict};
use creditgate_measures::{Because, NotMatched, RowExplained};

/// Every row is told of for every subject, and matched ones are exactly those of the verdict.
pub fn agrees(name: &str, told: &[RowExplained], verdict: &Verdict, event: &Event, book: &Book) {
    let rows = book.measures();
    let asked: BTreeSet<(usize, usize)> = told
        .iter()
        .map(|row| {
            let own = |other: &std::sync::Arc<_>| std::sync::Arc::ptr_eq(other, &row.measure);
            (
                row.subject,
                rows.iter().position(own).expect("a row of the book"),
            )
        })
        .collect();
    assert_eq!(asked.len(), rows.len() * event.subjects.len(), "{name}");
    for (index, subject) in verdict.subjects.iter().enumerate() {
        let of_subject = || told.iter().filter(|row| row.subject == index);
        let mut triggered = Vec::new();
        let mut incentives = Vec::new();
        for row in of_subject() {
            match &row.because {
                Because::Triggered(one) => triggered.push(one),
                Because::Incentive(one) => incentives.push(one),
                Because::NotMatched(reason) => holds(name, *reason, row, event),
            }
        }
        penalties_agree(name, &triggered, subject);
        let shown = subject.offered.iter().chain(&subject.withheld);
        assert_eq!(
            sorted(incentives.into_iter()),
            sorted(shown),
            "{name}: incentives of subject {index}"
        );
    }
}

fn penalties_agree(name: &str, told: &[&Triggered], subject: &SubjectVerdict) {
    for one in told {
        let same_entry =
            |shown: &&Triggered| shown.entry == one.entry && shown.contributes == one.contributes;
        let found = subject.triggered.iter().filter(same_entry).any(|shown| {
            let itself = shown.measure.id == one.measure.id
                && shown.effect == one.effect
                && shown.why == one.why;
            itself || shown.also.contains(&one.measure.id)
        });
        assert!(found, "{name}: told as matched and not shown: {one:?}");
    }
    let shown = subject.triggered.iter();
    let shown: usize = shown.map(|shown| 1 + shown.also.len()).sum();
    assert_eq!(
        told.len(),
        shown,
        "{name}: told {told:?}\nshown {subject:?}"
    );
}

fn sorted<'i>(incentives: impl Iterator<Item = &'i Incentive>) -> Vec<String> {
    let mut texts: Vec<String> = incentives
        .map(|one| format!("{} {:?} {:?}", one.measure.id, one.entry, one.withheld))
        .collect();
    texts.sort();
    texts
}

/// The reason given is one: what can be seen from outside bears it out.
fn holds(name: &str, reason: NotMatched, row: &RowExplained, event: &Event) {
    let measure = &row.measure;
    let day = event.occurred_at.date();
    let of_scenario = measure.applies.iter().filter(|(s, _)| *s == event.scenario);
    let of_stage = |(_, stages): &(_, Vec<_>)| stages.contains(&event.stage);
    let true_reason = match reason {
        NotMatched::Scenario => of_scenario.count() == 0,
        NotMatched::Stage => !of_scenario.clone().any(of_stage),
        NotMatched::Inactive => !measure.active,
        NotMatched::Day => !measure.in_force_on(day),
        NotMatched::NoticeDay => measure.in_force_on(day),
        NotMatched::Region => measure.region.is_some_and(|r| !r.contains(event.region)),
        NotMatched::NoticeNotCarried => measure.rests_on_notice(),
        NotMatched::NotListed => measure.needs_entry() && row.entry.is_none(),
        NotMatched::NotUsable(_) | NotMatched::Scope => row.entry.is_some(),
        NotMatched::Relation(relation) => !measure.extends_to.contains(&relation),
        NotMatched::Role => !measure.roles.contains(&event.subjects[row.subject].role),
        NotMatched::Kind => !measure.kinds.is_empty(),
        NotMatched::Severity => !measure.severities.is_empty(),
        NotMatched::Condition => measure.condition.is_some(),
    };
    assert!(true_reason, "{name}: {reason:?} of {row:?}");
}
