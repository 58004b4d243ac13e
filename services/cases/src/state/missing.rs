//! Decisive checks that a step came without (spec 8): those that its verdict says, and those that only
//! show once the time for re-ordering has passed, since a step judged at once is not judged again.

use creditgate_measures::case::REORDERING_SECONDS;
use creditgate_measures::identifier::Key;
use creditgate_measures::time::Time;

use super::case::Check;
use super::{CaseState, Noted, Terms, Who};

/// A check that is missing from some time on, should it not come.
struct Wanting {
    from: Time,
    noted: Noted,
}

impl CaseState {
    /// Decisive checks that an event came without and that have not come since, whatever the order in
    /// which they came, and in whatever role the subject was checked.
    #[must_use]
    pub fn missing(&self, now: Time, terms: &dyn Terms) -> Vec<Noted> {
        let wanting = self.wanting(terms).into_iter();
        let due = wanting.filter(|wanting| wanting.from <= now);
        due.map(|wanting| wanting.noted).collect()
    }

    /// From when on [`CaseState::missing`] gives something, should nothing more happen; `None`: never.
    #[must_use]
    pub fn missing_from(&self, terms: &dyn Terms) -> Option<Time> {
        self.wanting(terms).iter().map(|one| one.from).min()
    }

    /// The same for what nobody was told of.
    pub(super) fn untold_from(&self, terms: &dyn Terms) -> Option<Time> {
        let wanting = self.wanting(terms);
        let untold = wanting.iter().filter(|one| !self.is_told(&one.noted));
        untold.map(|one| one.from).min()
    }

    fn wanting(&self, terms: &dyn Terms) -> Vec<Wanting> {
        let noted = self.noted.iter().filter(|noted| !self.came(noted));
        let mut wanting: Vec<Wanting> = noted
            .map(|noted| Wanting {
                from: Time::from_micros(0),
                noted: noted.clone(),
            })
            .collect();
        let go_live = terms.go_live(&self.scenario);
        let asked = |day| Some(day) <= self.life.as_ref().map(|life| life.opened_at.date());
        if !go_live.is_some_and(asked) {
            return wanting;
        }
        let stages = terms.stages(&self.scenario);
        for check in &self.checks {
            let stage = stages.iter().find(|stage| stage.code == check.stage);
            let Some(before) = stage.and_then(|stage| stage.after.as_ref()) else {
                continue;
            };
            let Some(noted) = self.without(check, before) else {
                continue;
            };
            let from = check.at.plus_seconds(REORDERING_SECONDS);
            let known = wanting.iter_mut().find(|known| {
                known.noted.stage == *before && self.same(known.noted.subject, check.subject)
            });
            match known {
                Some(known) if known.from <= from => {}
                Some(known) => *known = Wanting { from, noted },
                None => wanting.push(Wanting { from, noted }),
            }
        }
        wanting
    }

    /// What is to be noted where the step came without the check before it. Nobody can tell of one who
    /// has neither identifier nor name.
    fn without(&self, check: &Check, before: &str) -> Option<Noted> {
        self.who(check.subject)?;
        let step = self.verdicts.iter().find(|verdict| {
            !verdict.is_review()
                && verdict.stage == check.stage
                && verdict.subjects.contains(&check.subject)
        })?;
        let noted = Noted {
            subject: check.subject,
            stage: before.to_owned(),
            verdict: step.verdict,
        };
        (!self.came(&noted)).then_some(noted)
    }

    /// Whether the check was made, if only later.
    fn came(&self, noted: &Noted) -> bool {
        self.checks
            .iter()
            .any(|check| check.stage == noted.stage && self.same(check.subject, noted.subject))
    }

    /// Whether these are one subject, in whatever role.
    pub(super) fn same(&self, one: u32, other: u32) -> bool {
        one == other
            || self
                .who(one)
                .is_some_and(|who| self.who(other) == Some(who))
    }

    fn who(&self, subject: u32) -> Option<Key> {
        match self.subjects.get(usize::try_from(subject).ok()?)?.who {
            Who::Key(key) => Some(key),
            Who::Place(_) => None,
        }
    }
}
