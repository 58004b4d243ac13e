//! The product's own decision: the rule part alone, and all of it.

use bytes::Bytes;
use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::lists::{Base, ListVersion, Lists};
use creditgate_measures::time::Time;
use creditgate_measures::verdict::PartyVerdict;
use creditgate_measures::{Found, Question, decide};

use super::{Engine, Fault};
use crate::policy::{self, LISTS, Row};
use crate::world::{Step, World};

/// What a decision is given besides the event. It lives as long as the process: what has been found
/// borrows from it, and a comparison needs it until its end.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    book: &'static Book,
    lists: &'static Lists,
    case: &'static CaseView,
    at: Time,
}

impl Given {
    /// The book of these rows and the lists with every entry of the world.
    pub fn new(rows: &[Row], world: &World, at: Time) -> Result<Self, Fault> {
        let book = Book::load(&policy::book(rows), &Deployment::default())
            .map_err(|errors| errors.to_string())?;
        let bodies: Vec<Vec<u8>> = (0..world.listed)
            .flat_map(|party| world.stored_entries(party))
            .map(|entry| entry.to_stored())
            .collect();
        let base = Base::build(bodies.iter().map(Vec::as_slice), book.simplify());
        let base = Base::open(Bytes::from(base)).map_err(|error| error.to_string())?;
        let version = ListVersion {
            log_id: uuid::Uuid::nil(),
            seq: bodies.len() as u64,
        };
        let confirmed = LISTS.iter().map(|code| ((*code).into(), at)).collect();
        let lists = Lists::over(base, version, confirmed, book.simplify());
        Ok(Self {
            book: Box::leak(Box::new(book)),
            lists: Box::leak(Box::new(lists)),
            case: Box::leak(Box::new(CaseView::default())),
            at,
        })
    }

    /// How many entries there are.
    pub fn entries(&self) -> usize {
        self.lists.len()
    }
}

fn push(parties: &[PartyVerdict], ranks: &mut Vec<u8>) -> Result<(), Fault> {
    for party in parties {
        let outcome = party.decision.outcome().code();
        ranks.push(
            policy::rank(outcome)
                .ok_or_else(|| format!("{outcome} is no outcome of this comparison"))?,
        );
    }
    Ok(())
}

/// The steps as events; kept by number, since the same are prepared before every round.
#[derive(Default)]
struct Events {
    of: Vec<u64>,
    events: &'static [Event],
}

impl Events {
    fn prepare(&mut self, steps: &[Step], at: Time) -> Result<&'static [Event], Fault> {
        let of: Vec<u64> = steps.iter().map(|step| step.number).collect();
        if of != self.of {
            let events: Option<Vec<Event>> = steps.iter().map(|step| step.to_event(at)).collect();
            self.events = events.ok_or("a code of the comparison is unknown")?.leak();
            self.of = of;
        }
        Ok(self.events)
    }
}

/// Measures matched for subjects whose entries have been found.
pub struct Rules {
    given: Given,
    events: Events,
    found: Vec<Found<'static>>,
}

impl Rules {
    /// Over what is given.
    pub fn new(given: Given) -> Self {
        Self {
            given,
            events: Events::default(),
            found: Vec::new(),
        }
    }
}

impl Engine for Rules {
    fn name(&self) -> &'static str {
        "creditgate, rule part"
    }

    fn prepare(&mut self, _: &World, steps: &[Step]) -> Result<(), Fault> {
        let Given {
            book,
            lists,
            case,
            at,
        } = self.given;
        // Anew before every round: what the first look at a subject works out is kept with it.
        self.found = self
            .events
            .prepare(steps, at)?
            .iter()
            .map(|event| Found::of(Question::about(event), at, case, lists, book))
            .collect();
        Ok(())
    }

    fn judge(&mut self, step: usize, ranks: &mut Vec<u8>) -> Result<(), Fault> {
        push(&self.found[step].parties(), ranks)
    }
}

/// All of it: identifiers and names looked up among every entry, validity, measures with their
/// reasons, flags, the verdict with its id and its digest.
pub struct Whole {
    given: Given,
    events: Events,
}

impl Whole {
    /// Over what is given.
    pub fn new(given: Given) -> Self {
        Self {
            given,
            events: Events::default(),
        }
    }
}

impl Engine for Whole {
    fn name(&self) -> &'static str {
        "creditgate, whole decision"
    }

    fn prepare(&mut self, _: &World, steps: &[Step]) -> Result<(), Fault> {
        self.events.prepare(steps, self.given.at).map(|_| ())
    }

    fn judge(&mut self, step: usize, ranks: &mut Vec<u8>) -> Result<(), Fault> {
        let Given {
            book,
            lists,
            case,
            at,
        } = self.given;
        let verdict = decide(
            Question::about(&self.events.events[step]),
            at,
            case,
            lists,
            book,
        );
        push(&verdict.parties, ranks)
    }
}
