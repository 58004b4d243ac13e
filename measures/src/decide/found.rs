//! The way of an event stopped between lists and measures: subjects with their entries, not judged yet.
//!
//! [`decide`](super::decide) never stops here. This is for whoever asks what the measures cost alone.

use super::parties::Seats;
use super::setting::Setting;
use super::subject::Known;
use super::{Question, measure};
use crate::book::Book;
use crate::case::CaseView;
use crate::lists::Lists;
use crate::time::Time;
use crate::verdict::PartyVerdict;

/// The subjects of one event, each with the entries found for it.
pub struct Found<'a> {
    setting: Setting<'a>,
    seats: Seats<'a>,
    known: Vec<Known<'a>>,
    case: &'a CaseView,
}

impl<'a> Found<'a> {
    /// Goes as far as the lists.
    #[must_use]
    pub fn of(
        question: Question<'a>,
        at: Time,
        case: &'a CaseView,
        lists: &'a Lists,
        book: &'a Book,
    ) -> Self {
        let event = question.event;
        let setting = Setting::of(question, at, lists, book);
        let seats = Seats::of(event);
        let known = event
            .subjects
            .iter()
            .map(|s| Known::of(s, &setting))
            .collect();
        Self {
            setting,
            seats,
            known,
            case,
        }
    }

    /// Matches the measures: what each party comes to (spec 4, 5).
    #[must_use]
    pub fn parties(&self) -> Vec<PartyVerdict> {
        measure(&self.setting, self.case, &self.seats, &self.known).1
    }
}

impl std::fmt::Debug for Found<'_> {
    /// Tells how many subjects there are and nothing of them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("subjects", &self.known.len())
            .finish_non_exhaustive()
    }
}
