//! The decision once more, in plain form: scans over all entries and all rows, no index, no hash.
//!
//! Written from the specification, section by section, so that the fast version can be compared
//! with it. What is told (reasons, flags) is kept as text and sorted; what decides is kept as is.

use std::collections::BTreeSet;

use creditgate_measures::book::{Agreement, Book, List, Measure, Signing};
use creditgate_measures::case::{CaseView, subject_key};
use creditgate_measures::condition::{Bindings, Record, Value};
use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::event::{
    AttributeValue, Event, ListCode, Region, Sensitive, Subject, SubjectIdentifier,
};
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::name::NormalName;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::verdict::Path;
use creditgate_measures::vocabulary::{
    Actor, Class, Colour, Confidence, Effect, Force, Identity, Level, NotUsable, Outcome, Reach,
    Role, Severity, State, SubjectKind,
};

/// What is decided for an event, a party or a subject.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sum {
    pub effect: Option<Effect>,
    pub review: bool,
    pub proposed: Option<Effect>,
    pub result_code: u8,
}

impl Sum {
    pub fn outcome(self) -> Outcome {
        match self.effect {
            Some(Effect::Prohibit) => Outcome::Prohibit,
            _ if self.review => Outcome::ManualReview,
            Some(effect) => effect.into(),
            None => Outcome::Pass,
        }
    }

    fn strongest(self, other: Self) -> Self {
        Self {
            effect: self.effect.max(other.effect),
            review: self.review || other.review,
            proposed: self.proposed.max(other.proposed),
            result_code: self.result_code | other.result_code,
        }
    }
}

/// The answer for one subject.
#[derive(Debug, PartialEq)]
pub struct OfSubject {
    pub party: usize,
    pub kind: Option<SubjectKind>,
    pub identity: Identity,
    pub sum: Sum,
    pub flags: BTreeSet<String>,
    pub triggered: Vec<Matched>,
    pub offered: Vec<Matched>,
    pub withheld: Vec<Matched>,
}

/// A row that matched. `contributes` is empty for an incentive.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    pub measure: String,
    pub effect: String,
    pub contributes: &'static str,
    pub why: BTreeSet<String>,
    pub also: BTreeSet<String>,
    /// Entry, list, document, path.
    pub entry: Option<(String, String, Option<String>, String)>,
}

/// The answer for an event.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub sum: Sum,
    pub parties: Vec<(String, Sum)>,
    pub subjects: Vec<OfSubject>,
    pub flags: BTreeSet<String>,
    pub not_checked: Vec<(String, String)>,
    pub lists_as_of: Option<Time>,
    /// Subject, entry, list, path, reason.
    pub explanation: Vec<(usize, String, String, String, NotUsable)>,
}

/// Everything a decision may look at, and what section 6 and 7 say of the whole event.
struct Scene<'a> {
    event: &'a Event,
    lists_behind: bool,
    at: Time,
    case: &'a CaseView,
    entries: Vec<&'a Entry>,
    confirmed: &'a [(ListCode, Time)],
    book: &'a Book,
    third_party: bool,
    decisive: bool,
    review: bool,
    stale: Vec<ListCode>,
}

/// A subject with all that is known of it.
struct Who<'a> {
    given: &'a Subject,
    identifier: Option<&'a Identifier>,
    identity: Identity,
    kind: Option<SubjectKind>,
    protected: bool,
    name_differs: bool,
    lead_role: Option<Role>,
    hits: Vec<Hit<'a>>,
}

/// A usable entry.
struct Hit<'a> {
    entry: &'a Entry,
    list: &'a List,
    path: Path,
    agreement: Option<&'a Agreement>,
    no_end_date: bool,
    recorded_after_event: bool,
    /// It gives the subject a name: an entry without one has nothing to differ from.
    names_subject: bool,
}

pub fn decide(
    event: &Event,
    lists_behind: bool,
    at: Time,
    case: &CaseView,
    entries: &[Entry],
    confirmed: &[(ListCode, Time)],
    book: &Book,
) -> Answer {
    let scenario = book.scenario(event.scenario.as_str());
    let stage = scenario.and_then(|scenario| scenario.stage(event.stage.as_str()));
    let mut scene = Scene {
        event,
        lists_behind,
        at,
        case,
        entries: entries.iter().collect(),
        confirmed,
        book,
        third_party: scenario.is_some_and(|scenario| scenario.actor == Actor::ThirdParty),
        decisive: stage.is_some_and(|stage| stage.decisive),
        review: false,
        stale: Vec::new(),
    };
    scene.entries.sort_by_key(|entry| entry.entry_id.clone());
    let mut answer = Answer {
        sum: Sum::default(),
        parties: Vec::new(),
        subjects: Vec::new(),
        flags: BTreeSet::new(),
        not_checked: Vec::new(),
        lists_as_of: None,
        explanation: Vec::new(),
    };
    scene.look_at_event(stage.is_some(), &mut answer);

    let party_of = parties(event);
    let mut reaching = Vec::new();
    for (index, subject) in event.subjects.iter().enumerate() {
        let lead_role = lead_role(event, &party_of, index);
        let (of_subject, reaches_party) =
            scene.of_subject(index, subject, party_of[index], lead_role, &mut answer);
        answer.subjects.push(of_subject);
        reaching.push(reaches_party);
    }
    answer.parties = (0..=party_of.iter().copied().max().unwrap_or(0))
        .map(|party| of_party(event, party, &answer.subjects, &reaching))
        .collect();
    answer.sum = answer
        .parties
        .iter()
        .fold(Sum::default(), |sum, (_, party)| sum.strongest(*party));
    answer
}

// Section 2: parties.

/// The number of each subject's party, in order of first appearance.
fn parties(event: &Event) -> Vec<usize> {
    let own = |index: usize| {
        let subject = &event.subjects[index];
        match &subject.party {
            Some(party) => Some((Some(party), 0)),
            None => subject.role.leads().then_some((None, index)),
        }
    };
    let all = 0..event.subjects.len();
    let known: Vec<_> = all.clone().filter_map(own).collect();
    let only = known
        .first()
        .filter(|first| known.iter().all(|other| other == *first));
    let mut names = Vec::new();
    all.map(|index| {
        let name = own(index).or(only.copied()).unwrap_or((None, index));
        if !names.contains(&name) {
            names.push(name);
        }
        names.iter().position(|other| *other == name).unwrap_or(0)
    })
    .collect()
}

fn lead_role(event: &Event, party_of: &[usize], index: usize) -> Option<Role> {
    let by_scenario = match event.scenario.as_str() {
        "procurement" => Role::Supplier,
        "land" => Role::LandBidder,
        _ => Role::Bidder,
    };
    let first = event
        .subjects
        .iter()
        .zip(party_of)
        .find(|(subject, party)| **party == party_of[index] && subject.role.leads())
        .map(|(subject, _)| subject.role);
    (event.subjects[index].role == Role::ConsortiumMember).then(|| first.unwrap_or(by_scenario))
}

/// Section 5: the strongest of the lead-role and consortium subjects, or of all.
fn of_party(
    event: &Event,
    party: usize,
    subjects: &[OfSubject],
    reaching: &[Sum],
) -> (String, Sum) {
    let members: Vec<usize> = (0..subjects.len())
        .filter(|index| subjects[*index].party == party)
        .collect();
    let leads = |index: &usize| {
        let role = event.subjects[*index].role;
        role.leads() || role == Role::ConsortiumMember
    };
    let led = members.iter().any(leads);
    let sum = members.iter().fold(Sum::default(), |sum, index| {
        sum.strongest(if !led || leads(index) {
            subjects[*index].sum
        } else {
            reaching[*index]
        })
    });
    let name = members
        .iter()
        .find_map(|index| event.subjects[*index].party.as_ref())
        .map_or_else(
            || format!("#{}", named_after(event, &members)),
            ToString::to_string,
        );
    (name, sum)
}

/// A party without a name is called after its lead-role subject, or the one subject that it is.
fn named_after(event: &Event, members: &[usize]) -> usize {
    let lead = members
        .iter()
        .find(|index| event.subjects[**index].role.leads());
    *lead.unwrap_or(&members[0])
}

// Section 3: usable entries.

fn identifiers(entry: &Entry) -> impl Iterator<Item = &Identifier> {
    entry.identifier.iter().chain(&entry.aliases)
}

/// One subject: the same number, or organisation codes that are the same (section 2, rule 1).
fn same(a: &Identifier, b: &Identifier) -> bool {
    let code = |i: &Identifier| match i.id_type() {
        IdType::Org9 => Some(i.reveal().to_owned()),
        _ => i.org9_alias().map(|alias| alias.reveal().to_owned()),
    };
    let number = |i: &Identifier| {
        let issuer = i.issuer().map(str::to_owned);
        (i.id_type(), i.reveal().to_owned(), issuer)
    };
    number(a) == number(b) || (code(a).is_some() && code(a) == code(b))
}

/// By effect: the last change that took effect, the later recorded of two at one instant.
fn state(entry: &Entry, at: Time) -> State {
    let mut taken: Vec<_> = entry
        .changes
        .iter()
        .filter(|change| change.effective_at <= at)
        .collect();
    taken.sort_by_key(|change| change.effective_at);
    taken.last().map_or(State::Proposed, |change| change.to)
}

fn last_day(entry: &Entry, list: &List) -> Option<Date> {
    let months = list.max_period_months;
    let period = months.map(|months| entry.valid_from.date().plus_months(months).prev_day());
    let ends = [entry.valid_to, period, entry.display_max_until];
    ends.into_iter().flatten().min()
}

fn why_not(state: State) -> Option<NotUsable> {
    match state {
        State::Effective => None,
        State::Proposed | State::Notified => Some(NotUsable::NotEffective),
        State::Suspended => Some(NotUsable::Suspended),
        State::Repaired => Some(NotUsable::Repaired),
        State::Revoked => Some(NotUsable::Revoked),
    }
}

fn severity(hit: &Hit<'_>) -> Option<Severity> {
    hit.entry.severity.or(hit.list.default_severity)
}

fn local_regulation_of(bases: &[creditgate_measures::book::Basis], region: Region) -> bool {
    bases.iter().any(|basis| {
        basis.level == Level::LocalRegulation
            && basis.region.is_some_and(|inside| inside.contains(region))
    })
}

/// Whether a list carries more than `NOTICE` here.
fn carries_effects(list: &List, region: Region) -> bool {
    use Level::{AdministrativeRegulation, CentralDocument, DepartmentRule, Law};
    let enough = [
        Law,
        AdministrativeRegulation,
        CentralDocument,
        DepartmentRule,
    ];
    list.colour != Colour::Black
        || list.bases.iter().any(|basis| enough.contains(&basis.level))
        || local_regulation_of(&list.bases, region)
}

impl<'a> Scene<'a> {
    /// Rows of this scenario and stage.
    fn rows(&self) -> impl Iterator<Item = &'a Measure> {
        let here = |row: &&Measure| {
            row.applies.iter().any(|(scenario, stages)| {
                *scenario == self.event.scenario && stages.contains(&self.event.stage)
            })
        };
        self.book.measures().iter().map(AsRef::as_ref).filter(here)
    }

    /// Whether the row's days and region fit the event.
    fn in_force(&self, row: &Measure) -> bool {
        let follows_notice = ["tender", "procurement", "land"];
        let notice = self
            .event
            .text("notice_published_at")
            .filter(|_| follows_notice.contains(&self.event.scenario.as_str()))
            .and_then(|day| Date::parse(day).ok());
        let inside = |day: Date| {
            row.effective_from.is_none_or(|from| from <= day)
                && row.effective_to.is_none_or(|to| day <= to)
        };
        inside(self.event.occurred_at.date())
            && notice.is_none_or(inside)
            && row
                .region
                .is_none_or(|region| region.contains(self.event.region))
    }

    fn confirmed(&self, list: &ListCode) -> Option<Time> {
        let of_list = self.confirmed.iter().filter(|(code, _)| code == list);
        of_list.map(|(_, at)| *at).max()
    }

    fn is_stale(&self, list: &List, confirmed: Time) -> bool {
        // Confirmed in the future: nobody knows how old it is.
        let ahead = confirmed.since(self.at) > 300 * 1_000_000;
        ahead || self.at.since(confirmed) > list.freshness_budget_micros
    }

    /// Sections 6 and 7: what is missing or out of time for the event as a whole.
    fn look_at_event(&mut self, known_stage: bool, answer: &mut Answer) {
        let day = 24 * 3_600 * 1_000_000;
        let occurred_at = self.event.occurred_at;
        let active: Vec<&Measure> = self.rows().filter(|row| row.active).collect();
        let is_penalty = |row: &&Measure| row.penalty().is_some();
        let inactive_only =
            self.rows().any(|row| is_penalty(&row)) && !active.iter().any(is_penalty);
        let flags = [
            ("late", self.at.since(occurred_at) > day, false),
            (
                "before_covers_from",
                occurred_at.date() < self.book.covers_from(),
                true,
            ),
            ("scenario_unknown", !known_stage, true),
            ("lists_behind", self.lists_behind, true),
            (
                "book_unsigned",
                *self.book.signing() == Signing::Unsigned,
                false,
            ),
            ("rows_inactive", self.decisive && inactive_only, true),
        ];
        for (flag, _, review) in flags.into_iter().filter(|(_, holds, _)| *holds) {
            answer.flags.insert(flag.to_owned());
            self.review |= review;
        }

        for list in self.book.lists() {
            let needed = active.iter().any(|row| {
                row.penalty() > Some(Effect::HeightenedScrutiny)
                    && row.lists.contains(&list.code)
                    && self.in_force(row)
            });
            if !needed {
                continue;
            }
            let why = if let Some(reason) = self.book.not_connected(&list.code) {
                Some(format!("not_connected: {reason}"))
            } else if let Some(confirmed) = self.confirmed(&list.code) {
                let oldest = answer.lists_as_of.map_or(confirmed, |t| t.min(confirmed));
                answer.lists_as_of = Some(oldest);
                let stale = self.is_stale(list, confirmed);
                if stale {
                    self.stale.push(list.code.clone());
                    self.review = true;
                    answer.flags.insert("lists_stale".to_owned());
                }
                stale.then(|| "stale".to_owned())
            } else {
                self.review = true;
                Some("not_loaded".to_owned())
            };
            let code = list.code.to_string();
            answer.not_checked.extend(why.map(|why| (code, why)));
        }
    }

    /// Rules (a) to (d). A refusal says also whether only (b) failed.
    fn usable(
        &self,
        entry: &'a Entry,
        list: &'a List,
        path: Path,
        births: &[Date],
    ) -> Result<Hit<'a>, (NotUsable, bool)> {
        let occurred_at = self.event.occurred_at;
        let minor = |birth: Date| {
            let listed = entry.valid_from.date();
            let mut days = vec![listed, occurred_at.date()];
            days.extend(entry.act_date);
            days.into_iter().any(|day| day <= birth.plus_years(18))
        };
        let listed = identifiers(entry).filter_map(Identifier::birth_date);
        if list.colour != Colour::Red && births.iter().copied().chain(listed).any(minor) {
            return Err((NotUsable::Minor, false));
        }
        let agreement = match self.reach(entry, list) {
            Some(agreement) => agreement,
            None => return Err((NotUsable::OutOfReach, false)),
        };
        let begins = entry
            .served_at
            .unwrap_or(entry.valid_from)
            .max(entry.valid_from);
        let ever = entry.changes.iter().any(|c| c.to == State::Effective);
        let last = last_day(entry, list);
        let ended = |at: Time| last.is_some_and(|last| last < at.date());
        match state(entry, occurred_at) {
            State::Effective if occurred_at >= begins => {}
            State::Effective => return Err((NotUsable::ListedAfterTheFact, false)),
            State::Proposed | State::Notified if ever => {
                return Err((NotUsable::ListedAfterTheFact, false));
            }
            other => return Err((why_not(other).unwrap_or(NotUsable::NotEffective), false)),
        }
        if ended(occurred_at) {
            return Err((NotUsable::Expired, false));
        }
        let now = why_not(state(entry, self.at));
        if let Some(why) = now.or(ended(self.at).then_some(NotUsable::Expired)) {
            return Err((why, true));
        }
        Ok(Hit {
            entry,
            list,
            path,
            agreement,
            no_end_date: last.is_none() && !list.until_performed,
            recorded_after_event: entry.served_at.is_none()
                && (entry.recorded_at > occurred_at || put_in_force_after(entry, occurred_at)),
            names_subject: false,
        })
    }

    /// Rule (c): by itself, or by which agreement; one that carries every effect is preferred.
    fn reach(&self, entry: &Entry, list: &List) -> Option<Option<&'a Agreement>> {
        let here = self.event.region;
        if list.reach == Reach::National {
            return Some(None);
        }
        let region = entry.region.or(list.default_region)?;
        if region.contains(here) {
            return Some(None);
        }
        let day = self.event.occurred_at.date();
        let holds = |agreement: &&Agreement| {
            agreement.lists.contains(&list.code)
                && agreement.from.contains(region)
                && agreement.to.contains(here)
                && agreement.effective_from <= day
                && agreement.effective_to.is_none_or(|to| day <= to)
        };
        let mut holding: Vec<_> = self.book.agreements().iter().filter(holds).collect();
        holding.sort_by_key(|agreement| local_regulation_of(&agreement.bases, here));
        holding.last().map(|agreement| Some(*agreement))
    }

    fn normal(&self, name: Option<&Sensitive>) -> Option<NormalName> {
        NormalName::new(name?.reveal(), self.book.simplify())
    }

    /// Section 2: all identifiers of one subject, as entries link them.
    fn linked(&self, own: &Identifier) -> Vec<Identifier> {
        let mut known = vec![own.clone()];
        loop {
            let before = known.len();
            for entry in &self.entries {
                if identifiers(entry).any(|i| known.iter().any(|own| same(own, i))) {
                    let new: Vec<_> = identifiers(entry).filter(|i| !known.contains(i)).collect();
                    known.extend(new.into_iter().cloned());
                }
            }
            if known.len() == before {
                return known;
            }
        }
    }

    /// Sections 2 to 5 for one subject; also what reaches its party from outside the lead roles.
    fn of_subject(
        &self,
        index: usize,
        given: &'a Subject,
        party: usize,
        lead_role: Option<Role>,
        answer: &mut Answer,
    ) -> (OfSubject, Sum) {
        let identifier = given.valid_identifier(self.at);
        let own = identifier.map_or(Vec::new(), |own| self.linked(own));
        let is_own = |i: &Identifier| own.iter().any(|own| same(own, i));
        let births: Vec<Date> = own.iter().filter_map(Identifier::birth_date).collect();
        let firm = |i: &Identifier| matches!(i.id_type(), IdType::Uscc | IdType::Id18);
        let identity = match identifier {
            None => Identity::Unverified,
            Some(_) if own.iter().any(firm) => Identity::Verified,
            Some(_) => Identity::Unlinked,
        };
        let mut who = Who {
            given,
            identifier,
            identity,
            kind: None,
            protected: false,
            name_differs: false,
            lead_role,
            hits: Vec::new(),
        };

        let mut found: BTreeSet<(usize, Path)> = BTreeSet::new();
        for (place, entry) in self.entries.iter().enumerate() {
            if identifiers(entry).any(is_own) {
                found.insert((place, Path::Identifier));
            }
            for related in &entry.related {
                if related.identifier.as_ref().is_some_and(is_own) {
                    found.insert((place, Path::Related(related.role)));
                }
            }
        }
        let says = |place: usize| self.book.list(self.entries[place].list.as_str());
        let is_usable = |(place, path): (usize, Path)| {
            says(place).is_some_and(|list| {
                self.usable(self.entries[place], list, path, &births)
                    .is_ok()
            })
        };
        let kinds: Vec<SubjectKind> = found
            .iter()
            .filter(|(place, path)| *path == Path::Identifier && is_usable((*place, *path)))
            .filter_map(|(place, _)| self.entries[*place].kind)
            .collect();
        let certain = if own.iter().any(|i| i.id_type() == IdType::Id18) {
            Some(SubjectKind::NaturalPerson)
        } else if own
            .iter()
            .any(|i| i.id_type() == IdType::Uscc && i.reveal().starts_with("92"))
            || kinds.contains(&SubjectKind::IndividualBusiness)
        {
            Some(SubjectKind::IndividualBusiness)
        } else {
            None
        };
        who.kind = certain.or(given.kind).or(kinds.first().copied());
        who.protected = match who.kind {
            Some(SubjectKind::NaturalPerson | SubjectKind::IndividualBusiness) => true,
            Some(_) => false,
            None => identifier.is_some_and(|i| i.id_type() == IdType::Other),
        };

        let name = self.normal(given.name.as_ref());
        if let Some(name) = name.as_ref().filter(|_| may_be_organisation(&who)) {
            for (place, entry) in self.entries.iter().enumerate() {
                let mut names = entry.name.iter().chain(&entry.former_names);
                let asked = identity != Identity::Verified || identifiers(entry).next().is_none();
                let person = entry.kind == Some(SubjectKind::NaturalPerson)
                    || identifiers(entry).any(|i| i.id_type() == IdType::Id18);
                if asked
                    && !person
                    && !found.contains(&(place, Path::Identifier))
                    && names.any(|known| self.normal(Some(known)).as_ref() == Some(name))
                {
                    found.insert((place, Path::Name));
                }
            }
        }

        let mut changed = false;
        for (place, path) in found {
            let Some(list) = says(place) else { continue };
            let entry = self.entries[place];
            match self.usable(entry, list, path, &births) {
                Ok(hit) => who.hits.push(hit),
                Err((reason, ended_since)) => {
                    let named = self.rows().any(|row| {
                        row.active && row.penalty().is_some() && row.lists.contains(&list.code)
                    });
                    changed |= ended_since && self.decisive && named && list.colour != Colour::Red;
                    answer.explanation.push((
                        index,
                        entry.entry_id.to_string(),
                        list.code.to_string(),
                        path.to_string(),
                        reason,
                    ));
                }
            }
        }
        let names_on = |hit: &Hit<'_>| -> Vec<NormalName> {
            let entry = hit.entry;
            let of_own = |r: &&creditgate_measures::entry::Related| {
                r.identifier.as_ref().is_some_and(is_own)
            };
            let names: Vec<&Sensitive> = match hit.path {
                Path::Identifier => entry.name.iter().chain(&entry.former_names).collect(),
                Path::Related(_) => {
                    let related = entry.related.iter().filter(of_own);
                    related.filter_map(|r| r.name.as_ref()).collect()
                }
                Path::Name => Vec::new(),
            };
            let normal = names.into_iter().map(|name| self.normal(Some(name)));
            normal.flatten().collect()
        };
        let known_names: Vec<NormalName> = who.hits.iter().flat_map(names_on).collect();
        for hit in &mut who.hits {
            hit.names_subject = !names_on(hit).is_empty();
        }
        who.name_differs =
            !known_names.is_empty() && name.is_some_and(|n| !known_names.contains(&n));

        let unlinked = identity == Identity::Unlinked
            && self.decisive
            && who.kind != Some(SubjectKind::NaturalPerson);
        let conflict = certain.is_some() && given.kind.is_some() && given.kind != certain;
        let missing = self.missing_check(given);
        let flags = [
            (
                identifier.is_some_and(|i| !i.inner_org_code_holds()),
                "inner_org_code",
            ),
            (unlinked, "subject_unlinked"),
            (identity == Identity::Unverified, "subject_unverified"),
            (who.name_differs, "name_differs"),
            (conflict, "kind_conflict"),
            (who.hits.iter().any(|h| h.path == Path::Name), "name_only"),
            (changed && !self.third_party, "changed_since_event"),
            (missing.is_some(), missing.as_deref().unwrap_or_default()),
        ];
        let mut result = OfSubject {
            party,
            kind: who.kind,
            identity,
            sum: Sum {
                review: self.review || changed || unlinked || identity == Identity::Unverified,
                ..Sum::default()
            },
            flags: flags
                .into_iter()
                .filter(|(holds, _)| *holds)
                .map(|(_, flag)| flag.to_owned())
                .collect(),
            triggered: Vec::new(),
            offered: Vec::new(),
            withheld: Vec::new(),
        };
        for hit in who.hits.iter().filter(|hit| hit.path == Path::Identifier) {
            result.sum.result_code |= match hit.list.colour {
                Colour::Red => 2,
                Colour::Attention => 4,
                Colour::Black => 8,
            };
        }
        let reaches_party = self.measures(&who, &mut result);
        result.sum.review &= !self.third_party;
        (result, reaches_party)
    }

    /// Section 8: a stage reached without the decisive check before it.
    fn missing_check(&self, subject: &Subject) -> Option<String> {
        let scenario = self.book.scenario(self.event.scenario.as_str())?;
        let before = scenario.stage(self.event.stage.as_str())?.after.as_ref()?;
        let occurred_at = self.event.occurred_at;
        let opened = self.case.opened_at.unwrap_or(occurred_at);
        let until = occurred_at.plus_seconds(600);
        let key = subject_key(subject, self.at, self.book.simplify())?;
        let checks = &self.case.checks;
        let made = checks
            .iter()
            .any(|c| c.subject == key && c.stage == *before && c.at <= until);
        let due = scenario.go_live? <= opened.date() && self.at >= until;
        (due && !made).then(|| format!("missing_check:{before}"))
    }

    // Sections 4 and 5: measures.

    fn measures(&self, who: &Who<'a>, result: &mut OfSubject) -> Sum {
        let mut reaches_party = Sum::default();
        let mut penalties: Vec<(Effect, Matched, Option<&str>)> = Vec::new();
        let hits = || who.hits.iter().map(Some);
        for row in self.rows().filter(|row| row.active) {
            let hits: Vec<Option<&Hit<'_>>> = match row.lists.is_empty() {
                true => vec![None],
                false => hits()
                    .filter(|hit| hit.is_some_and(|h| row.lists.contains(&h.list.code)))
                    .collect(),
            };
            for hit in hits {
                let Some(doubts) = self.matches(row, who, hit) else {
                    continue;
                };
                let Some(stated) = row.penalty() else {
                    self.incentive(row, who, hit, doubts, result);
                    continue;
                };
                let (part, effect, matched) = self.penalty(row, stated, who, hit, doubts);
                for flag in ["condition_error", "no_end_date"] {
                    if matched.why.contains(flag) {
                        result.flags.insert(flag.to_owned());
                    }
                }
                result.sum = result.sum.strongest(part);
                if row.reaches_party {
                    reaches_party = reaches_party.strongest(part);
                }
                penalties.push((effect, matched, row.item.as_deref()));
            }
        }
        // Descending contribution, then measure; rows and entries come in order of id already.
        penalties.sort_by_key(|(effect, matched, _)| {
            std::cmp::Reverse((*effect, matched.contributes == "effect"))
        });
        let mut shown: Vec<(Matched, Option<&str>)> = Vec::new();
        for (_, matched, item) in penalties {
            let stronger = shown.iter_mut().find(|(strong, other)| {
                item.is_some()
                    && *other == item
                    && strong.entry.is_some()
                    && strong.entry == matched.entry
                    && strong.contributes == matched.contributes
            });
            match stronger {
                Some((strong, _)) => drop(strong.also.insert(matched.measure)),
                None => shown.push((matched, item)),
            }
        }
        result.triggered = shown.into_iter().map(|(matched, _)| matched).collect();
        if self.third_party {
            reaches_party.review = false;
        }
        reaches_party
    }

    /// Whether the row matches; if so, what about it cannot be judged.
    fn matches(
        &self,
        row: &Measure,
        who: &Who<'_>,
        hit: Option<&Hit<'_>>,
    ) -> Option<BTreeSet<String>> {
        let event = self.event;
        let mut doubts = BTreeSet::new();
        let on_notice_alone = row
            .bases
            .iter()
            .map(|basis| basis.level)
            .min()
            .is_some_and(|best| best == Level::PublishedNotice);
        let given = |name| event.text(name).is_some_and(|text| !text.is_empty());
        if !self.in_force(row)
            || (on_notice_alone && !(given("notice_no") && given("notice_clause")))
        {
            return None;
        }
        match hit.and_then(|hit| hit.path.relation()) {
            Some(relation) if !row.extends_to.contains(&relation) => return None,
            Some(_) => {}
            None => {
                let roles = [Some(who.given.role), who.lead_role];
                let role_fits = roles.iter().flatten().any(|role| row.roles.contains(role));
                if !row.roles.is_empty() && !role_fits {
                    return None;
                }
                match who.kind {
                    _ if row.kinds.is_empty() => {}
                    Some(kind) if !row.kinds.contains(&kind) => return None,
                    Some(_) => {}
                    None => drop(doubts.insert("kind_missing".to_owned())),
                }
            }
        }
        if let Some(hit) = hit {
            match severity(hit) {
                Some(severity)
                    if !row.severities.is_empty() && !row.severities.contains(&severity) =>
                {
                    return None;
                }
                Some(_) => {}
                None if row.penalty().is_none() && row.severities.is_empty() => {}
                None => drop(doubts.insert("severity_missing".to_owned())),
            }
            if row.scoped {
                match self.scope_fits(&hit.entry.scope) {
                    Some(true) => {}
                    Some(false) => return None,
                    None => drop(doubts.insert("scope_missing".to_owned())),
                }
            }
        }
        let missing = row.required.iter().filter(|name| match name.as_ref() {
            "item_code" => event.item_code.is_none(),
            "amount_fen" => event.amount_fen.is_none(),
            "purpose" => event.purpose.is_none(),
            name => !event.attributes.contains_key(name),
        });
        let missing: Vec<_> = missing.map(|m| format!("attribute_missing:{m}")).collect();
        if !missing.is_empty() {
            doubts.extend(missing);
        } else if let Some((condition, _)) = &row.condition {
            let entry = hit.map(entry_record);
            let bindings = Bindings {
                event: &event_record(event),
                subject: &subject_record(who),
                entry: entry.as_ref(),
            };
            match condition.evaluate(&bindings) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => drop(doubts.insert("condition_error".to_owned())),
            }
        }
        Some(doubts)
    }

    /// Every dimension that the entry names must hold the event's value; `None` when one is missing.
    fn scope_fits(&self, scope: &[std::sync::Arc<str>]) -> Option<bool> {
        let event = self.event;
        let values = [
            ("item:", event.item_code.as_deref()),
            ("trade:", event.text("trade")),
            ("project:", event.text("project_kind")),
        ];
        let of = |dimension: &'static str| {
            let codes = scope.iter().filter_map(move |c| c.strip_prefix(dimension));
            codes.collect::<Vec<_>>()
        };
        let mut missing = scope.is_empty();
        let mut differs = false;
        for (dimension, value) in values {
            let codes = of(dimension);
            missing |= !codes.is_empty() && value.is_none();
            differs |= !codes.is_empty() && value.is_some_and(|value| !codes.contains(&value));
        }
        let regions: Vec<_> = of("region:").into_iter().map(Region::parse).collect();
        differs |= !regions.is_empty()
            && !regions
                .into_iter()
                .flatten()
                .any(|region| region.contains(event.region));
        if differs {
            Some(false)
        } else {
            (!missing).then_some(true)
        }
    }

    fn penalty(
        &self,
        row: &Measure,
        stated: Effect,
        who: &Who<'_>,
        hit: Option<&Hit<'_>>,
        doubts: BTreeSet<String>,
    ) -> (Sum, Effect, Matched) {
        // Reasons for review whatever the effect, then reasons that only make a strong one wait.
        let mut for_review = doubts;
        let mut to_proposed = BTreeSet::new();
        if let Some(hit) = hit {
            let by_name = hit.path == Path::Name;
            let stale = self.stale.contains(&hit.list.code);
            for (holds, why) in [
                (hit.no_end_date, "no_end_date"),
                (hit.recorded_after_event, "recorded_after_event"),
            ] {
                for_review.extend(holds.then(|| why.to_owned()));
            }
            for (holds, why) in [
                (by_name, "name_only"),
                (who.name_differs && hit.names_subject, "name_differs"),
                (hit.entry.objection_marked, "objection_marked"),
                (stale, "list_stale"),
            ] {
                to_proposed.extend(holds.then(|| why.to_owned()));
            }
        }
        let mut effect = stated;
        let mut why: BTreeSet<String> = BTreeSet::new();
        let mut at_most = |holds: bool, limit: Effect, reason: String| {
            if holds && effect > limit {
                effect = limit;
                why.insert(reason);
            }
        };
        if let Some(hit) = hit {
            let minor = severity(hit) == Some(Severity::Minor);
            at_most(minor, Effect::Notice, "minor_severity".to_owned());
            let low = !carries_effects(hit.list, self.event.region);
            at_most(low, Effect::Notice, "list_below_law".to_owned());
            if let Some(agreement) = hit.agreement {
                let full = local_regulation_of(&agreement.bases, self.event.region);
                let reason = format!("agreement:{}", agreement.id);
                at_most(!full, Effect::HeightenedScrutiny, reason);
            }
        }
        let own = row.force == Force::Own || row.class == Some(Class::C);
        at_most(own, Effect::Notice, "own_decision".to_owned());
        at_most(self.third_party, Effect::Notice, "third_party".to_owned());

        let strong = effect > Effect::HeightenedScrutiny;
        if strong && row.confidence == Confidence::Recalled {
            to_proposed.insert("recalled_row".to_owned());
        }
        if strong && matches!(row.force, Force::May | Force::Factor | Force::Refer) {
            to_proposed.insert("discretion".to_owned());
        }
        let limited_person = who.protected && effect > Effect::Notice;
        why.extend(limited_person.then(|| "protected".to_owned()));
        let doubtful = !for_review.is_empty() || !to_proposed.is_empty();
        let waits = limited_person || (strong && doubtful);
        let part = Sum {
            effect: (!waits).then_some(effect),
            review: waits || !for_review.is_empty(),
            proposed: waits.then_some(effect),
            result_code: 0,
        };
        why.extend(for_review);
        why.extend(to_proposed);
        let contributes = if waits { "proposed" } else { "effect" };
        let matched = Matched {
            contributes,
            why,
            ..told(row, effect.code(), hit)
        };
        (part, effect, matched)
    }

    fn incentive(
        &self,
        row: &Measure,
        who: &Who<'_>,
        hit: Option<&Hit<'_>>,
        doubts: BTreeSet<String>,
        result: &mut OfSubject,
    ) {
        let mut why = doubts;
        match who.identity {
            Identity::Verified => {}
            Identity::Unlinked => drop(why.insert("subject_unlinked".to_owned())),
            Identity::Unverified => drop(why.insert("subject_unverified".to_owned())),
        }
        let excluding = row.excluded_by.iter().map(|(list, _)| list);
        for list in excluding.clone() {
            // Being related to somebody listed is not being listed: nothing spreads without a row.
            let holds = |h: &Hit<'_>| h.list.code == *list && h.path.relation().is_none();
            if who.hits.iter().any(holds) {
                why.insert(format!("excluded_by:{list}"));
            }
        }
        for list in excluding.chain(hit.map(|hit| &hit.list.code)) {
            match (self.confirmed(list), self.book.list(list.as_str())) {
                (Some(at), Some(known)) if self.is_stale(known, at) => {
                    why.insert("list_stale".to_owned());
                }
                (Some(_), _) => {}
                (None, _) => drop(why.insert(format!("list_not_loaded:{list}"))),
            }
        }
        let to = match why.is_empty() {
            true => &mut result.offered,
            false => &mut result.withheld,
        };
        to.push(Matched {
            why,
            ..told(row, row.action.code(), hit)
        });
    }
}

/// Natural persons are never looked up by name, nor who may be one.
fn may_be_organisation(who: &Who<'_>) -> bool {
    let person_role = matches!(
        who.given.role,
        Role::LegalRepresentative | Role::Principal | Role::ResponsiblePerson
    );
    let person_number = who
        .given
        .given
        .as_ref()
        .is_some_and(|given| matches!(given.id_type, IdType::Id18 | IdType::Id15));
    let broken =
        !matches!(who.given.identifier, SubjectIdentifier::Absent) && who.identifier.is_none();
    match who.kind {
        Some(kind) => kind != SubjectKind::NaturalPerson,
        None => !(person_role || (broken && person_number)),
    }
}

fn told(row: &Measure, effect: &str, hit: Option<&Hit<'_>>) -> Matched {
    Matched {
        measure: row.id.to_string(),
        effect: effect.to_owned(),
        contributes: "",
        why: BTreeSet::new(),
        also: BTreeSet::new(),
        entry: hit.map(|hit| {
            (
                hit.entry.entry_id.to_string(),
                hit.list.code.to_string(),
                hit.entry.document_no.as_deref().map(str::to_owned),
                hit.path.to_string(),
            )
        }),
    }
}

// Section 4: what conditions read.

fn text(name: &str, value: impl ToString) -> Option<(String, Value<'static>)> {
    Some((name.to_owned(), Value::from(value.to_string())))
}

fn event_record(event: &Event) -> Record<'static> {
    let own = [
        text("scenario", &event.scenario),
        text("stage", &event.stage),
        text("region", event.region),
        text("occurred_on", event.occurred_at.date()),
        event.item_code.as_ref().and_then(|c| text("item_code", c)),
        event
            .amount_fen
            .map(|n| ("amount_fen".to_owned(), n.into())),
        event.purpose.as_ref().and_then(|p| text("purpose", p)),
    ];
    let attributes = event.attributes.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::Text(text) => Value::from(text.to_string()),
            AttributeValue::Int(number) => Value::from(*number),
            AttributeValue::Bool(truth) => Value::from(*truth),
            AttributeValue::List(texts) => texts.iter().map(ToString::to_string).collect(),
        };
        (name.to_string(), value)
    });
    Record::new(own.into_iter().flatten().chain(attributes))
}

fn subject_record(who: &Who<'_>) -> Record<'static> {
    let fields = [
        text("role", who.given.role),
        text("identity", who.identity),
        who.kind.and_then(|kind| text("kind", kind)),
        who.identifier.and_then(|i| text("id_type", i.id_type())),
    ];
    Record::new(fields.into_iter().flatten())
}

fn entry_record(hit: &Hit<'_>) -> Record<'static> {
    let entry = hit.entry;
    let region = entry.region.or(hit.list.default_region);
    let fields = [
        text("list", &entry.list),
        severity(hit).and_then(|severity| text("severity", severity)),
        Some((
            "repeat_count".to_owned(),
            i64::from(entry.repeat_count).into(),
        )),
        text("valid_from", entry.valid_from.date()),
        entry.grade.as_ref().and_then(|g| text("grade", g)),
        entry.kind.and_then(|kind| text("kind", kind)),
        entry
            .designated_by
            .as_ref()
            .and_then(|d| text("designated_by", d)),
        entry
            .document_no
            .as_ref()
            .and_then(|n| text("document_no", n)),
        region.and_then(|region| text("region", region)),
    ];
    Record::new(fields.into_iter().flatten())
}

/// Whether the registry learned only after `at` of the change by which the entry was in force then.
fn put_in_force_after(entry: &Entry, at: Time) -> bool {
    let mut last: Option<&StateChange> = None;
    for change in &entry.changes {
        if change.effective_at <= at && last.is_none_or(|l| l.effective_at <= change.effective_at) {
            last = Some(change);
        }
    }
    last.is_some_and(|change| change.recorded_at > at)
}
