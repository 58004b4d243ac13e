//! Whether an answer is final: the lists may have changed while its record was written (spec 8).
//!
//! A verdict rests on one snapshot, and stands once it is recorded. When the lists have gone on by then, its
//! event is judged as of now with the old ones and the new ones before it is acknowledged. Where the changes in
//! between make another answer of it, it says so with the version of the lists that shows it; the review of its
//! case follows by itself.

use std::sync::Arc;

use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::lists::Lists;
use creditgate_measures::verdict::Verdict;
use creditgate_measures::{Question, decide};
use creditgate_runtime::journal::Receipt;
use creditgate_runtime::live::Generation;

use crate::check::Answer;
use crate::gate::Inner;

/// What a verdict was decided from, for as long as it is not acknowledged.
pub(crate) struct Basis {
    pub event: Event,
    pub generation: Arc<Generation>,
    /// It was judged with lists older than it asked for.
    pub lists_behind: bool,
}

impl Inner {
    /// The answer as it may be acknowledged. While the lists stay as they are this is one comparison.
    pub(crate) fn acknowledged(
        &self,
        mut answer: Answer,
        receipt: Option<Receipt>,
        basis: Option<Basis>,
    ) -> Answer {
        answer.receipt = receipt.and_then(|receipt| self.shown(receipt));
        if let Some(basis) = basis
            && self.live.load().lists.version() != basis.generation.lists.version()
        {
            answer.verdict.outdated_by = self.outdated_by(basis);
        }
        answer
    }

    /// The version of the lists by which a verdict would be another one; none: it would say the same.
    fn outdated_by(&self, basis: Basis) -> Option<String> {
        let Basis {
            mut event,
            generation,
            lists_behind,
        } = basis;
        let now = self.live.load();
        let book = &generation.book;
        // Another book judges on request only, and may have another table of characters.
        if !now.lists.normalised_by(book.simplify()) {
            return None;
        }
        // As a review would: a listing is never applied backwards.
        let at = self.now();
        event.occurred_at = at;
        let judged = |lists: &Lists| {
            let question = Question {
                lists_behind,
                ..Question::about(&event)
            };
            // What is known of the case brings flags only, which nothing here turns on.
            decide(question, at, &CaseView::default(), lists, book)
        };
        let same = says_the_same(&judged(&generation.lists), &judged(&now.lists));
        (!same).then(|| now.lists.version().to_string())
    }
}

/// Whether two answers to one event say the same: outcome, effect, what is proposed, and what is triggered.
fn says_the_same(one: &Verdict, other: &Verdict) -> bool {
    let subjects = one.subjects.iter().zip(&other.subjects);
    one.outcome() == other.outcome()
        && one.decision.effect == other.decision.effect
        && one.decision.proposed == other.decision.proposed
        && subjects.into_iter().all(|(one, other)| {
            let triggered = one.triggered.iter().map(|one| {
                let entry = one.entry.as_ref().map(|entry| &entry.entry_id);
                (&one.measure.id, one.effect, one.contributes, entry)
            });
            let others = other.triggered.iter().map(|one| {
                let entry = one.entry.as_ref().map(|entry| &entry.entry_id);
                (&one.measure.id, one.effect, one.contributes, entry)
            });
            triggered.eq(others)
        })
}
