//! The fast decision held against the plain one, and what must hold of it whatever the input.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use creditgate_measures::book::Book;
use creditgate_measures::case::CaseView;
use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::event::{Event, ListCode};
use creditgate_measures::identifier::IdType;
use creditgate_measures::lists::{Base, Lists};
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Decision, Flag, Incentive, Triggered, Verdict};
use creditgate_measures::vocabulary::{
    Actor, Effect, Identity, NotUsable, Outcome, Role, State, SubjectKind,
};
use creditgate_measures::{Question, decide};

use crate::decide as plain;
use crate::generate::{self, Dice, People, Registry, Shelf};

const CASES_IN_A_FULL_RUN: u64 = 10_000;
const EVENTS_PER_REGISTRY: usize = 10;
const REGISTRIES_PER_SHELF: usize = 6;
/// How often each thing must have occurred in a full run.
const OFTEN: usize = 100;

#[test]
fn the_fast_decision_equals_the_plain_one() {
    let number = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let cases = number("CREDITGATE_CASES").unwrap_or(2_000);
    let seed = number("CREDITGATE_SEED").unwrap_or_else(some_seed);
    println!("CREDITGATE_SEED={seed} CREDITGATE_CASES={cases}");

    let people = People::new();
    let mut seen = Seen::default();
    let mut case: u64 = 0;
    for shelf_number in 0.. {
        // Each shelf has dice of its own, so that a change of one leaves the others as they are.
        let mut dice = Dice::new(seed.wrapping_add(shelf_number << 32));
        let shelf = generate::shelf(&mut dice);
        for _ in 0..REGISTRIES_PER_SHELF {
            let registry = generate::registry(&mut dice, &people);
            let forms = Forms::of(&registry, &shelf.book, &mut dice);
            for _ in 0..EVENTS_PER_REGISTRY {
                let (event, at, view) =
                    generate::question(&mut dice, &people, &registry, &shelf.book, case);
                let trial = Trial {
                    name: format!("CREDITGATE_SEED={seed} CREDITGATE_CASES={cases}, case {case}"),
                    shelf: &shelf,
                    registry: &registry,
                    event: &event,
                    lists_behind: case % 16 == 7,
                    at,
                    view: &view,
                };
                let verdict = trial.run(&forms, &people, &mut dice);
                seen.count(&verdict);
                case += 1;
                if case == cases {
                    println!("{seen}");
                    if cases >= CASES_IN_A_FULL_RUN {
                        seen.is_everything();
                    }
                    return;
                }
            }
        }
    }
}

/// Another one in each run: what is found is replayed by its print.
fn some_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish() >> 16
}

/// The same knowledge in every form a snapshot can have.
struct Forms {
    overlay: Lists,
    others: Vec<(&'static str, Lists)>,
}

impl Forms {
    fn of(registry: &Registry, book: &Book, dice: &mut Dice) -> Self {
        let simplify = book.simplify();
        let overlay = lists(&registry.entries, &registry.confirmed, book);
        let based = |lists: &Lists| {
            let base = Base::open(Bytes::from(lists.to_base(simplify))).expect("our own base");
            lists.rebased(base)
        };

        let mut shuffled = registry.entries.clone();
        dice.shuffle(&mut shuffled);
        // Part base, part overlay; some of the base are older forms that the overlay replaces.
        let (first, rest) = shuffled.split_at(shuffled.len() / 2);
        let mut older = first.to_vec();
        let mut newer = rest.to_vec();
        for (entry, old) in first.iter().zip(&mut older) {
            if dice.percent(25) {
                newer.push(entry.clone());
                old.list = ListCode::new("B1");
                old.name = None;
                old.identifier = registry.entries.iter().find_map(|e| e.identifier.clone());
            }
        }
        let mut mixed = based(&lists(&older, &registry.confirmed, book));
        newer.iter().for_each(|entry| mixed.put(entry, simplify));
        let others = vec![
            ("a base", based(&overlay)),
            ("part base, part overlay", mixed),
            (
                "another order of entries",
                lists(&shuffled, &registry.confirmed, book),
            ),
        ];
        for (form, lists) in &others {
            assert_eq!(lists.len(), registry.entries.len(), "{form}");
        }
        Self { overlay, others }
    }
}

fn lists(entries: &[Entry], confirmed: &[(ListCode, Time)], book: &Book) -> Lists {
    let mut lists = Lists::empty(uuid::Uuid::nil(), book.simplify());
    for (list, at) in confirmed {
        lists.confirm(list.clone(), *at);
    }
    for entry in entries {
        lists.put(entry, book.simplify());
    }
    lists
}

/// One generated case.
struct Trial<'a> {
    name: String,
    shelf: &'a Shelf,
    registry: &'a Registry,
    event: &'a Event,
    lists_behind: bool,
    at: Time,
    view: &'a CaseView,
}

impl Trial<'_> {
    fn decide(&self, lists: &Lists, book: &Book) -> Verdict {
        let question = Question {
            lists_behind: self.lists_behind,
            ..Question::about(self.event)
        };
        decide(question, self.at, self.view, lists, book)
    }

    fn run(&self, forms: &Forms, people: &People, dice: &mut Dice) -> Verdict {
        let book = &self.shelf.book;
        let verdict = self.decide(&forms.overlay, book);
        let answer = told(&verdict);
        let expected = plain::decide(
            self.event,
            self.lists_behind,
            self.at,
            self.view,
            &self.registry.entries,
            &self.registry.confirmed,
            book,
        );
        if answer != expected {
            self.fail(
                "the fast decision differs from the plain one",
                &expected,
                &answer,
            );
        }
        assert_eq!(verdict.outcome(), expected.sum.outcome(), "{}", self.name);

        let again = self.decide(&forms.overlay, book);
        assert_eq!(again.digest, verdict.digest, "{}: decided twice", self.name);
        for (form, lists) in &forms.others {
            let other = self.decide(lists, book);
            if other.digest != verdict.digest || told(&other) != answer {
                self.fail(form, &answer, &told(&other));
            }
        }
        let other = told(&self.decide(&forms.overlay, &self.shelf.shuffled));
        if other != answer {
            self.fail("another order of rows", &answer, &other);
        }
        self.persons_and_third_parties_are_never_limited(&verdict);
        self.no_answer_names_an_unusable_entry(&verdict);
        self.an_unusable_entry_changes_nothing(&verdict);
        self.one_entry_more_weakens_nobody(&verdict, &forms.overlay, people, dice);
        self.one_penalty_more_weakens_nobody(&verdict, &forms.overlay);
        verdict
    }

    fn fail(&self, what: &str, expected: &plain::Answer, seen: &plain::Answer) -> ! {
        let (expected, seen) = (format!("{expected:#?}"), format!("{seen:#?}"));
        let mut difference = String::new();
        let (mut a, mut b) = (expected.lines().peekable(), seen.lines().peekable());
        // Lines from the first that differs on: enough to see what it is.
        while a.peek().is_some() && a.peek() == b.peek() {
            a.next();
            b.next();
        }
        for (sign, rest) in [
            ('-', a.take(30).collect::<Vec<_>>()),
            ('+', b.take(30).collect()),
        ] {
            for line in rest {
                difference.push_str(&format!("{sign} {line}\n"));
            }
        }
        panic!(
            "{what}: {}\n{difference}\nexpected {expected}\nevent {:#?}\nat {}",
            self.name, self.event, self.at
        );
    }

    fn persons_and_third_parties_are_never_limited(&self, verdict: &Verdict) {
        for (given, subject) in self.event.subjects.iter().zip(&verdict.subjects) {
            let number = given.valid_identifier(self.at);
            let protected = matches!(
                subject.kind,
                Some(SubjectKind::NaturalPerson | SubjectKind::IndividualBusiness)
            ) || number.is_some_and(|i| {
                i.is_natural_person()
                    || i.is_individual_business_code()
                    || (i.id_type() == IdType::Other && subject.kind.is_none())
            });
            if protected {
                let effect = subject.decision.effect;
                assert!(effect <= Some(Effect::Notice), "{}: {effect:?}", self.name);
            }
        }
        let third_party = self
            .shelf
            .book
            .scenario(self.event.scenario.as_str())
            .is_some_and(|scenario| scenario.actor == Actor::ThirdParty);
        if third_party && !verdict.flags.contains(&Flag::ScenarioUnknown) {
            for decision in decisions(verdict) {
                assert!(
                    !decision.review && decision.proposed.is_none(),
                    "{}",
                    self.name
                );
                assert!(decision.effect <= Some(Effect::Notice), "{}", self.name);
            }
        }
    }

    fn no_answer_names_an_unusable_entry(&self, verdict: &Verdict) {
        let mut named_at_all = BTreeSet::new();
        for (index, subject) in verdict.subjects.iter().enumerate() {
            let penalties = subject.triggered.iter().filter_map(|t| t.entry.as_ref());
            let rewards = subject.offered.iter().chain(&subject.withheld);
            let entries = penalties.chain(rewards.filter_map(|i| i.entry.as_ref()));
            for entry in entries {
                named_at_all.insert(entry.entry_id.clone());
                let unusable = verdict
                    .explanation
                    .iter()
                    .any(|e| e.subject == index && e.entry_id == entry.entry_id);
                assert!(!unusable, "{}: {} is named", self.name, entry.entry_id);
            }
        }
        let answer = format!("{:?}{:?}", verdict.subjects, verdict.not_checked);
        for explained in &verdict.explanation {
            let name = format!("{:?}", explained.entry_id);
            let elsewhere = named_at_all.contains(&explained.entry_id);
            assert!(
                elsewhere || !answer.contains(&name),
                "{}: {name}",
                self.name
            );
        }
    }

    /// Without the entries found and not used the answer is the same, but for the links they give
    /// and the review of `changed_since_event`. Asked of events with one subject: for another one
    /// the same entry may be usable.
    fn an_unusable_entry_changes_nothing(&self, verdict: &Verdict) {
        let [subject] = &verdict.subjects[..] else {
            return;
        };
        if verdict.explanation.is_empty() || subject.flags.contains(&Flag::ChangedSinceEvent) {
            return;
        }
        let keep = |entry: &&Entry| {
            let mut explained = verdict.explanation.iter();
            !entry.aliases.is_empty() || !explained.any(|e| e.entry_id == entry.entry_id)
        };
        let entries = &self.registry.entries;
        let kept: Vec<Entry> = entries.iter().filter(keep).cloned().collect();
        let book = &self.shelf.book;
        let without = self.decide(&lists(&kept, &self.registry.confirmed, book), book);
        let answers = [verdict, &without].map(|verdict| plain::Answer {
            explanation: Vec::new(),
            ..told(verdict)
        });
        if identities(&without) == identities(verdict) && answers[0] != answers[1] {
            self.fail("without the unusable entries", &answers[0], &answers[1]);
        }
    }

    /// The added entry says nothing but that the subject is listed: a name, a kind or a link that
    /// it brought along would change what is known of the subject, not what is held against it.
    fn one_entry_more_weakens_nobody(
        &self,
        before: &Verdict,
        lists: &Lists,
        people: &People,
        dice: &mut Dice,
    ) {
        let book = &self.shelf.book;
        let subjects = &self.event.subjects;
        let listed = subjects[dice.below(subjects.len())].valid_identifier(self.at);
        let Some(identifier) = listed else { return };
        let since = self.event.occurred_at.minus_seconds(30 * 86_400);
        let mut added = generate::entry(dice, people, 99);
        added.list = ListCode::new(dice.pick(&["B1", "B2", "B3", "B4"]));
        added.identifier = Some(identifier.clone());
        added.aliases.clear();
        added.related.clear();
        added.name = None;
        added.former_names.clear();
        added.kind = None;
        (added.valid_from, added.recorded_at, added.served_at) = (since, since, Some(since));
        (added.valid_to, added.display_max_until) = (None, None);
        added.changes = vec![StateChange {
            to: State::Effective,
            effective_at: since,
            recorded_at: since,
        }];
        let mut more = lists.clone();
        more.put(&added, book.simplify());
        let after = self.decide(&more, book);
        // The code of one subject may be the link that another one lacked.
        if identities(&after) == identities(before) {
            self.nobody_is_weaker(before, &after, "one entry more");
        }
    }

    /// A stage whose rows were all inactive asks for review; with an active one it has an answer.
    fn one_penalty_more_weakens_nobody(&self, before: &Verdict, lists: &Lists) {
        if before.flags.contains(&Flag::RowsInactive) {
            return;
        }
        let after = self.decide(lists, &self.shelf.with_penalty);
        self.nobody_is_weaker(before, &after, "one penalty more");
    }

    fn nobody_is_weaker(&self, before: &Verdict, after: &Verdict, what: &str) {
        let (answer, changed) = (told(before), told(after));
        for (before, after) in decisions(before).zip(decisions(after)) {
            let weaker = before.outcome() > after.outcome()
                || before.effect > after.effect
                || (before.review && !after.review)
                || before.proposed > after.proposed;
            if weaker {
                self.fail(what, &answer, &changed);
            }
        }
    }
}

fn identities(verdict: &Verdict) -> Vec<(Identity, Option<SubjectKind>)> {
    let subjects = verdict.subjects.iter();
    subjects.map(|s| (s.identity, s.kind)).collect()
}

/// Of the event, each party and each subject.
fn decisions(verdict: &Verdict) -> impl Iterator<Item = &Decision> {
    let parties = verdict.parties.iter().map(|party| &party.decision);
    let subjects = verdict.subjects.iter().map(|subject| &subject.decision);
    std::iter::once(&verdict.decision)
        .chain(parties)
        .chain(subjects)
}

/// A verdict in the form of the plain version.
fn told(verdict: &Verdict) -> plain::Answer {
    plain::Answer {
        sum: sum(&verdict.decision),
        parties: verdict
            .parties
            .iter()
            .map(|party| (party.party.to_string(), sum(&party.decision)))
            .collect(),
        subjects: verdict
            .subjects
            .iter()
            .map(|subject| plain::OfSubject {
                party: subject.party,
                kind: subject.kind,
                identity: subject.identity,
                sum: sum(&subject.decision),
                flags: subject.flags.iter().map(ToString::to_string).collect(),
                triggered: subject.triggered.iter().map(penalty).collect(),
                offered: subject.offered.iter().map(incentive).collect(),
                withheld: subject.withheld.iter().map(incentive).collect(),
            })
            .collect(),
        flags: verdict.flags.iter().map(ToString::to_string).collect(),
        not_checked: verdict
            .not_checked
            .iter()
            .map(|n| (n.list.to_string(), n.why.to_string()))
            .collect(),
        lists_as_of: verdict.lists_as_of,
        explanation: verdict
            .explanation
            .iter()
            .map(|e| {
                let (entry, list) = (e.entry_id.to_string(), e.list.to_string());
                (e.subject, entry, list, e.path.to_string(), e.reason)
            })
            .collect(),
    }
}

fn sum(decision: &Decision) -> plain::Sum {
    plain::Sum {
        effect: decision.effect,
        review: decision.review,
        proposed: decision.proposed,
        result_code: decision.result_code,
    }
}

fn penalty(triggered: &Triggered) -> plain::Matched {
    plain::Matched {
        measure: triggered.measure.id.to_string(),
        effect: triggered.effect.to_string(),
        contributes: triggered.contributes.code(),
        why: triggered.why.iter().map(ToString::to_string).collect(),
        also: triggered.also.iter().map(ToString::to_string).collect(),
        entry: triggered.entry.as_ref().map(entry),
    }
}

fn incentive(incentive: &Incentive) -> plain::Matched {
    plain::Matched {
        measure: incentive.measure.id.to_string(),
        effect: incentive.measure.action.code().to_owned(),
        contributes: "",
        why: incentive.withheld.iter().map(ToString::to_string).collect(),
        also: BTreeSet::new(),
        entry: incentive.entry.as_ref().map(entry),
    }
}

fn entry(hit: &creditgate_measures::verdict::EntryHit) -> (String, String, Option<String>, String) {
    (
        hit.entry_id.to_string(),
        hit.list.to_string(),
        hit.document_no.as_deref().map(str::to_owned),
        hit.path.to_string(),
    )
}

/// How often each thing occurred.
#[derive(Default)]
struct Seen(BTreeMap<(&'static str, String), usize>);

impl Seen {
    fn count(&mut self, verdict: &Verdict) {
        let mut one = |kind: &'static str, code: &str| {
            // `agreement:AG1` and `agreement:AG2` are one thing.
            let code = code.split(':').next().unwrap_or_default().to_owned();
            *self.0.entry((kind, code)).or_default() += 1;
        };
        one("outcome of the event", verdict.outcome().code());
        for party in &verdict.parties {
            one("outcome of a party", party.decision.outcome().code());
        }
        for not_checked in &verdict.not_checked {
            one("not checked", &not_checked.why.to_string());
        }
        for explained in &verdict.explanation {
            one("not usable", explained.reason.code());
        }
        let subject_flags = verdict.subjects.iter().flat_map(|s| &s.flags);
        for flag in verdict.flags.iter().chain(subject_flags) {
            one("flag", flag.code());
        }
        for subject in &verdict.subjects {
            one("result code", &subject.decision.result_code.to_string());
            one("identity", subject.identity.code());
            subject
                .offered
                .iter()
                .for_each(|_| one("incentive", "offered"));
            let penalties = subject.triggered.iter();
            for triggered in penalties {
                one("contribution", triggered.contributes.code());
                triggered
                    .also
                    .iter()
                    .for_each(|_| one("contribution", "also"));
                triggered
                    .why
                    .iter()
                    .for_each(|why| one("why of a penalty", &why.to_string()));
                match &triggered.entry {
                    Some(hit) => one("path", &hit.path.to_string().replace(':', " ")),
                    None => one("path", "without entry"),
                }
            }
            for withheld in &subject.withheld {
                let why = &withheld.withheld;
                why.iter()
                    .for_each(|why| one("why an incentive is withheld", &why.to_string()));
            }
        }
    }

    /// Everything of the closed sets occurred often; what cannot occur is named with the reason.
    fn is_everything(&self) {
        let mut expected: Vec<(&str, String)> = Vec::new();
        let mut all = |kind, codes: &[&str]| {
            expected.extend(codes.iter().map(|code| (kind, (*code).to_owned())));
        };
        let outcomes: Vec<&str> = Outcome::ALL.iter().map(|o| o.code()).collect();
        all("outcome of the event", &outcomes);
        all("outcome of a party", &outcomes);
        all("not checked", &["not_loaded", "stale", "not_connected"]);
        let reasons: Vec<&str> = NotUsable::ALL.iter().map(|r| r.code()).collect();
        all("not usable", &reasons);
        let identities: Vec<&str> = Identity::ALL.iter().map(|i| i.code()).collect();
        all("identity", &identities);
        all("result code", &["0", "2", "4", "6", "8", "10", "12", "14"]);
        all("contribution", &["effect", "proposed", "also"]);
        all("incentive", &["offered"]);
        all("path", &["without entry", "identifier", "name"]);
        for role in Role::ALL.iter().filter(|role| role.is_relation()) {
            all("path", &[&format!("related {role}")]);
        }
        all(
            "flag",
            &[
                "inner_org_code",
                "subject_unlinked",
                "subject_unverified",
                "name_differs",
                "kind_conflict",
                "name_only",
                "changed_since_event",
                "no_end_date",
                "condition_error",
                "missing_check",
                "late",
                "before_covers_from",
                "rows_inactive",
                "lists_stale",
                "scenario_unknown",
                "lists_behind",
                "book_unsigned",
            ],
        );
        // `third_party` cannot be told: the book refuses rows above NOTICE in such scenarios.
        all(
            "why of a penalty",
            &[
                "discretion",
                "protected",
                "name_only",
                "name_differs",
                "condition_error",
                "scope_missing",
                "attribute_missing",
                "severity_missing",
                "kind_missing",
                "objection_marked",
                "no_end_date",
                "recorded_after_event",
                "list_stale",
                "recalled_row",
                "minor_severity",
                "list_below_law",
                "agreement",
                "own_decision",
            ],
        );
        all(
            "why an incentive is withheld",
            &[
                "condition_error",
                "scope_missing",
                "attribute_missing",
                "severity_missing",
                "kind_missing",
                "list_stale",
                "excluded_by",
                "subject_unverified",
                "subject_unlinked",
                "list_not_loaded",
            ],
        );
        let rare: Vec<String> = expected
            .into_iter()
            .map(|key| (self.0.get(&key).copied().unwrap_or_default(), key))
            .filter(|(count, _)| *count < OFTEN)
            .map(|(count, (kind, code))| format!("{kind} {code}: {count}"))
            .collect();
        assert!(rare.is_empty(), "seen less than {OFTEN} times: {rare:#?}");
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|((kind, code), count)| writeln!(f, "{count:>8}  {kind}: {code}"))
    }
}
