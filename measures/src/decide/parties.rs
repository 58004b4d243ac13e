//! Which subjects stand or fall together, and what that comes to (spec 2, 5).

use smallvec::SmallVec;

use crate::event::{Event, PartyId};
use crate::verdict::{Decision, PartyVerdict, SubjectVerdict};
use crate::vocabulary::Role;

/// By what a party is known: the name given, or the subject that stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seat<'a> {
    Given(&'a PartyId),
    Own(usize),
}

/// Where each subject of the event sits.
pub(super) struct Seats<'a> {
    /// Parties in order of their first subject.
    parties: SmallVec<[Seat<'a>; 4]>,
    /// Party of each subject, by position.
    of_subject: SmallVec<[usize; 4]>,
}

impl<'a> Seats<'a> {
    pub fn of(event: &'a Event) -> Self {
        let own_or_given = |index: usize| {
            let subject = event.subjects.get(index)?;
            match &subject.party {
                Some(party) => Some(Seat::Given(party)),
                None => subject.role.leads().then_some(Seat::Own(index)),
            }
        };
        let mut only: Option<Seat<'_>> = None;
        let mut several = false;
        for seat in (0..event.subjects.len()).filter_map(own_or_given) {
            several |= only.is_some_and(|only| only != seat);
            only = only.or(Some(seat));
        }
        let only = only.filter(|_| !several);

        let mut seats = Self {
            parties: SmallVec::new(),
            of_subject: SmallVec::new(),
        };
        for index in 0..event.subjects.len() {
            let seat = own_or_given(index).or(only).unwrap_or(Seat::Own(index));
            let known = seats.parties.iter().position(|other| *other == seat);
            seats.of_subject.push(known.unwrap_or(seats.parties.len()));
            if known.is_none() {
                seats.parties.push(seat);
            }
        }
        seats
    }

    /// Position of the subject's party.
    pub fn party(&self, subject: usize) -> usize {
        self.of_subject.get(subject).copied().unwrap_or_default()
    }

    fn members<'e>(&'e self, party: usize) -> impl Iterator<Item = usize> + 'e {
        self.of_subject
            .iter()
            .enumerate()
            .filter(move |(_, of)| **of == party)
            .map(|(subject, _)| subject)
    }

    /// The lead role whose rows a consortium member takes besides its own.
    pub fn lead_role(&self, subject: usize, event: &Event) -> Option<Role> {
        if event.subjects.get(subject)?.role != Role::ConsortiumMember {
            return None;
        }
        let leading = self
            .members(self.party(subject))
            .filter_map(|member| event.subjects.get(member))
            .map(|member| member.role)
            .find(|role| role.leads());
        Some(leading.unwrap_or(match event.scenario.as_str() {
            "procurement" => Role::Supplier,
            "land" => Role::LandBidder,
            _ => Role::Bidder,
        }))
    }

    /// The decision of each party: the strongest of its lead-role and consortium subjects, or of
    /// all where it has none; any other reaches it only through a row with `reaches_party`.
    ///
    /// A lead-role subject is the party: what reaches it as a relation of somebody listed reaches
    /// the party too. `reaching` says of each subject what reaches its party from outside.
    pub fn decide(
        &self,
        event: &Event,
        subjects: &[SubjectVerdict],
        reaching: &[Decision],
    ) -> Vec<PartyVerdict> {
        let mut parties: Vec<PartyVerdict> = self.parties.iter().map(named).collect();
        for (party, verdict) in parties.iter_mut().enumerate() {
            let carries = |member: &usize| {
                event
                    .subjects
                    .get(*member)
                    .is_some_and(|s| s.role.leads() || s.role == Role::ConsortiumMember)
            };
            let led = self.members(party).any(|member| carries(&member));
            for member in self.members(party) {
                let decision = match !led || carries(&member) {
                    true => subjects.get(member).map(|subject| &subject.decision),
                    false => reaching.get(member),
                };
                verdict
                    .decision
                    .join(decision.unwrap_or(&Decision::default()));
            }
        }
        parties
    }
}

/// The names of the first subjects that stand alone, since nearly every event has one of them.
const OWN_NAMES: [&str; 4] = ["#0", "#1", "#2", "#3"];

fn named(seat: &Seat<'_>) -> PartyVerdict {
    let party = match seat {
        Seat::Given(party) => (*party).clone(),
        Seat::Own(index) => match OWN_NAMES.get(*index) {
            Some(name) => PartyId::from(*name),
            None => PartyId::new(format!("#{index}")),
        },
    };
    PartyVerdict {
        party,
        decision: Decision::default(),
    }
}
