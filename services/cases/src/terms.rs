//! What the book in force and the deployment say about cases.

use std::collections::BTreeMap;
use std::sync::Arc;

use creditgate_measures::book::Book;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::vocabulary::Colour;
use creditgate_proto::v1;

use crate::state::{Refusal, Stage, Terms, View};

/// How long cases and what is to be done in them may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Days after its last event on which a case still is open.
    pub open_days: u16,
    /// Working days for a decision about what is proposed.
    pub decide_days: u16,
    /// Working days in which a lift order is to be acknowledged.
    pub lift_days: u16,
    /// Measures that two officials must confirm; `all`: every one.
    pub four_eyes: Vec<String>,
    /// Whether implementers are told of lift orders by a topic.
    pub announces: bool,
}

/// See the module.
pub(crate) struct BookTerms {
    book: Arc<Book>,
    settings: Settings,
    scenarios: BTreeMap<String, Scenario>,
    said: String,
}

/// What the book says of a scenario.
#[derive(Debug)]
struct Scenario {
    go_live: Option<Date>,
    stages: Vec<Stage>,
}

impl BookTerms {
    pub(crate) fn new(book: Arc<Book>, settings: Settings) -> Self {
        for id in settings.four_eyes.iter().filter(|id| *id != "all") {
            if !book.measures().iter().any(|row| row.id.as_str() == id) {
                tracing::warn!(
                    measure = id,
                    "`cases.four_eyes` names a measure that the book in force does not have"
                );
            }
        }
        let scenarios: BTreeMap<String, Scenario> = book
            .scenarios()
            .map(|scenario| {
                let stages = scenario.stages.iter().map(|stage| Stage {
                    code: stage.code.as_str().to_owned(),
                    decisive: stage.decisive,
                    after: stage.after.as_ref().map(|after| after.as_str().to_owned()),
                });
                let of = Scenario {
                    go_live: scenario.go_live,
                    stages: stages.collect(),
                };
                (scenario.code.as_str().to_owned(), of)
            })
            .collect();
        let said = format!("{settings:?} {scenarios:?}");
        Self {
            book,
            settings,
            scenarios,
            said,
        }
    }

    pub(crate) fn is_of(&self, book: &Arc<Book>) -> bool {
        Arc::ptr_eq(&self.book, book)
    }

    pub(crate) const fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// What rows of the tables rest on, in one text.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// By what a case is shown now.
    pub(crate) fn view(&self, now: Time) -> View<'_> {
        View {
            now,
            overdue_after_micros: now.since(self.overdue_before(now)),
            terms: self,
        }
    }

    /// Whether the list on which a failed inspection proposes an entry is one of key attention: nothing else
    /// may come of an inspection by itself.
    pub(crate) fn may_propose(&self, feedback: &v1::Feedback) -> Result<(), Refusal> {
        let inspection = feedback.inspection.as_ref();
        let list = inspection.map_or("", |inspection| inspection.attention_list.as_str());
        let refuse = |rule: &str| {
            Err(Refusal::Field {
                field: "inspection.attention_list",
                rule: rule.to_owned(),
            })
        };
        match (list, self.book.list(list)) {
            ("", _) => Ok(()),
            (_, None) => refuse("is no list of the book in force"),
            (_, Some(list)) if list.colour != Colour::Attention => {
                refuse("is no key-attention list; an inspection proposes nothing else")
            }
            (_, Some(_)) => Ok(()),
        }
    }

    /// Before which day an order must have been given to be overdue now.
    pub(crate) fn overdue_before(&self, now: Time) -> Time {
        // The longest run of days off is shorter than this many days.
        let today = now.date();
        let mut day = today;
        for _ in 0..usize::from(self.settings.lift_days) * 3 + 30 {
            day = day.prev_day();
            let (last, _) = self
                .book
                .calendar()
                .add_working_days(day, self.settings.lift_days);
            if last < today {
                return day.next_day().start();
            }
        }
        day.start()
    }
}

impl Terms for BookTerms {
    fn stages(&self, scenario: &str) -> &[Stage] {
        let scenario = self.scenarios.get(scenario);
        scenario.map_or(&[], |scenario| scenario.stages.as_slice())
    }

    fn go_live(&self, scenario: &str) -> Option<Date> {
        self.scenarios.get(scenario)?.go_live
    }

    fn open_days(&self, _scenario: &str) -> Option<u32> {
        Some(u32::from(self.settings.open_days))
    }

    fn decide_by(&self, _measure_id: &str, proposed_at: Time) -> Option<Date> {
        let (day, _) = self
            .book
            .calendar()
            .add_working_days(proposed_at.date(), self.settings.decide_days);
        Some(day)
    }

    fn announces(&self) -> bool {
        self.settings.announces
    }

    fn lift_by(&self, ordered_at: Time) -> Option<Date> {
        let calendar = self.book.calendar();
        let (day, _) = calendar.add_working_days(ordered_at.date(), self.settings.lift_days);
        Some(day)
    }

    fn tells_missing(&self) -> bool {
        true
    }

    fn four_eyes(&self, measure_id: &str) -> bool {
        let named = |one: &String| one == "all" || one == measure_id;
        self.settings.four_eyes.iter().any(named)
    }
}
