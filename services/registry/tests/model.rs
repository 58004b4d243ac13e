//! Random changes against a simple model: every record of the log is the one the model expects, and
//! at every version the lists of then are the model's of then.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use creditgate_measures::entry::Entry;
use creditgate_measures::event::{Event, GivenIdentifier, Region, Sensitive, Subject};
use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_measures::lists::ListVersion;
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Role, State};
use creditgate_proto::v1::{self, identity_server::Identity as _};
use creditgate_registry::change::Change;
use creditgate_registry::life::action;
use creditgate_registry::log::What;
use creditgate_registry::{IdentityService, Registry};
use creditgate_runtime::clock::{Clock, Hand};
use creditgate_runtime::ports::History;
use support::Place;
use support::random::Random;
use tonic::Request;

const ENTRIES: u64 = 16;
const STEPS: usize = 250;
/// 2026-06-01 in Shanghai.
const START: i64 = 1_780_243_200_000_000;

/// What the model keeps of an entry.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    severity: String,
    document_no: String,
    valid_from: i64,
    objection: bool,
    changes: Vec<(State, i64, i64)>,
    absent: bool,
    /// An official decided its state, which a source does not undo.
    decided_here: bool,
    /// An objection was marked by an official.
    marked_here: bool,
    /// The other firms that are one subject with it.
    one_with: BTreeSet<u64>,
}

impl Kept {
    fn last(&self) -> State {
        let last = self.changes.last();
        last.map_or(State::Proposed, |change| change.0)
    }

    /// As a change may take effect: not before the one it follows.
    fn not_before_last(&self, at: i64) -> i64 {
        self.changes
            .iter()
            .map(|change| change.1)
            .fold(at, i64::max)
    }

    /// Without what was planned for later, where an end comes before it.
    fn without_planned(&self, to: State, now: i64) -> Self {
        let mut rest = self.clone();
        rest.changes.retain(|change| change.1 <= now);
        let last = rest
            .changes
            .last()
            .map_or(State::Proposed, |change| change.0);
        let ends = matches!(to, State::Repaired | State::Revoked);
        if ends && last.may_become(to) {
            rest
        } else {
            self.clone()
        }
    }

    fn step(&self, to: State, effective_at: i64, now: i64) -> Self {
        let mut next = self.clone();
        next.changes.push((to, effective_at, now));
        next.absent = false;
        next
    }
}

/// A row as the model reads it.
#[derive(Debug, Clone)]
struct Row {
    n: u64,
    severity: &'static str,
    document_no: &'static str,
    valid_from: Option<&'static str>,
    state: Option<State>,
}

impl Row {
    fn random(random: &mut Random, n: u64) -> Self {
        let state = match random.below(3) {
            0 => Some(*random.one_of(State::ALL)),
            _ => None,
        };
        Self {
            n,
            severity: *random.one_of(&["minor", "general", "serious"]),
            document_no: *random.one_of(&["", "示例1号"]),
            valid_from: *random.one_of(&[None, Some("2026-01-05"), Some("2026-06-10")]),
            state,
        }
    }

    fn entry(&self) -> v1::Entry {
        v1::Entry {
            entry_id: support::id(self.n),
            list: "B01".to_owned(),
            id_type: "USCC".to_owned(),
            id: invented::uscc(self.n),
            severity: self.severity.to_owned(),
            document_no: self.document_no.to_owned(),
            valid_from: self.valid_from.unwrap_or_default().to_owned(),
            state: self
                .state
                .map_or_else(String::new, |state| state.code().to_owned()),
            ..Default::default()
        }
    }

    fn valid_from(&self) -> Option<i64> {
        // Midnight in Shanghai.
        self.valid_from.map(|day| match day {
            "2026-01-05" => 1_767_542_400_000_000,
            _ => 1_781_020_800_000_000,
        })
    }

    fn implied(&self) -> State {
        match !self.document_no.is_empty() && self.valid_from.is_some() {
            true => State::Effective,
            false => State::Proposed,
        }
    }
}

/// What the model says a row leads to, step by step; none: it is refused.
fn expect_row(known: Option<&Kept>, row: &Row, now: i64) -> Option<Vec<Kept>> {
    use State::{Effective, Notified, Proposed, Repaired, Revoked, Suspended};
    let Some(before) = known else {
        let state = row.state.unwrap_or_else(|| row.implied());
        if matches!(row.state, Some(Effective | Suspended | Repaired)) && row.valid_from.is_none() {
            return None;
        }
        let since = match state {
            Effective => row.valid_from().unwrap_or(now),
            Proposed | Notified => row.valid_from().map_or(now, |from| from.min(now)),
            Suspended | Repaired | Revoked => now,
        };
        return Some(vec![Kept {
            severity: row.severity.to_owned(),
            document_no: row.document_no.to_owned(),
            valid_from: row.valid_from().unwrap_or(now),
            objection: false,
            changes: vec![(state, since, now)],
            absent: false,
            decided_here: false,
            marked_here: false,
            one_with: BTreeSet::new(),
        }]);
    };
    let corrected = Kept {
        severity: row.severity.to_owned(),
        document_no: row.document_no.to_owned(),
        valid_from: row.valid_from().unwrap_or(before.valid_from),
        ..before.clone()
    };
    // A source does not bring back what an official has ended or suspended.
    let against = before.decided_here
        && !before.absent
        && row.state != Some(before.last())
        && matches!(row.state, Some(Proposed | Notified | Effective | Suspended));
    let row = &Row {
        state: row.state.filter(|_| !against),
        ..row.clone()
    };
    if before.absent && row.state == Some(Revoked) {
        // Said by the source itself, it is no mere absence any more.
        return Some(vec![Kept {
            absent: false,
            ..corrected
        }]);
    }
    let before = &match row.state {
        Some(to) if to != before.last() && !before.absent => before.without_planned(to, now),
        _ => before.clone(),
    };
    let corrected = Kept {
        changes: before.changes.clone(),
        ..corrected
    };
    let mut from = before.last();
    let brings_document = before.document_no.is_empty()
        && matches!(from, Proposed | Notified)
        && row.implied() == Effective;
    let target = row.state.or(brings_document.then_some(Effective));
    let mut way = Vec::new();
    if before.absent && target != Some(Revoked) {
        from = before.changes[before.changes.len() - 2].0;
        way.push(from);
    }
    match target {
        None => {}
        Some(to) if to == from => {}
        Some(Effective) if from == Proposed => way.extend([Notified, Effective]),
        Some(to) if from.may_become(to) => way.push(to),
        Some(_) => return None,
    }
    if way.is_empty() {
        let unchanged = corrected == *before;
        // A correction without a state says nothing of whether the source shows it.
        let corrected = Kept {
            absent: false,
            ..corrected
        };
        return Some(if unchanged {
            Vec::new()
        } else {
            vec![corrected]
        });
    }
    let mut steps: Vec<Kept> = Vec::new();
    for (at, to) in way.iter().enumerate() {
        let last = steps.last().unwrap_or(&corrected);
        let default = match (*to, last.last()) {
            (Effective, Proposed | Notified) => last.valid_from,
            (Notified, _) if way.get(at + 1) == Some(&Effective) => last.valid_from,
            _ => now,
        };
        steps.push(last.step(*to, last.not_before_last(default), now));
    }
    Some(steps)
}

/// The part of an entry that the model keeps.
fn kept(entry: &Entry, step: &Kept) -> Kept {
    Kept {
        decided_here: step.decided_here,
        marked_here: step.marked_here,
        severity: entry
            .severity
            .map_or_else(String::new, |s| s.code().to_owned()),
        document_no: entry.document_no.as_deref().unwrap_or_default().to_owned(),
        valid_from: entry.valid_from.micros(),
        objection: entry.objection_marked,
        changes: entry
            .changes
            .iter()
            .map(|c| (c.to, c.effective_at.micros(), c.recorded_at.micros()))
            .collect(),
        absent: step.absent,
        one_with: entry.aliases.iter().map(firm_of).collect(),
    }
}

/// The firm that an identifier is of.
fn firm_of(identifier: &Identifier) -> u64 {
    let is_of = |n: &u64| identifier.reveal() == invented::uscc(*n);
    (0..ENTRIES).find(is_of).expect("a firm of the model")
}

/// Every firm of the model, asked for at once.
fn everybody() -> Event {
    let subject = |n| {
        let given = GivenIdentifier {
            id_type: IdType::Uscc,
            value: Sensitive::new(invented::uscc(n)),
            issuer: None,
        };
        Subject::new(None, Role::Bidder, None, Some(given), None)
    };
    Event {
        source: "test".into(),
        id: "1".into(),
        case_id: "C1".into(),
        scenario: "tender".into(),
        stage: "evaluate".into(),
        occurred_at: Time::from_micros(START),
        clock_filled: false,
        region: Region::parse("320500").expect("a region"),
        item_code: None,
        amount_fen: None,
        purpose: None,
        subjects: (0..ENTRIES).map(subject).collect(),
        attributes: BTreeMap::new(),
    }
}

/// The model beside the registry.
struct Story {
    place: Place,
    registry: Registry,
    hand: Hand,
    now: i64,
    kept: BTreeMap<u64, Kept>,
    /// Mergers that stand, by the number of their record.
    merged: BTreeMap<u64, (u64, u64)>,
    /// What the model knows at each version.
    then: BTreeMap<u64, BTreeMap<u64, Kept>>,
    read_up_to: u64,
}

impl Story {
    fn begin() -> Self {
        let (clock, hand) = Clock::stepped(START);
        let place = Place::new().with_overlay_min(8).with_clock(clock);
        let registry = place.open();
        let read_up_to = registry.live().load().lists.version().seq;
        let then = BTreeMap::from([(read_up_to, BTreeMap::new())]);
        Self {
            place,
            registry,
            hand,
            now: START,
            kept: BTreeMap::new(),
            merged: BTreeMap::new(),
            then,
            read_up_to,
        }
    }

    /// Time goes by, some hours or some weeks.
    fn wait(&mut self, random: &mut Random) {
        let hours = match random.below(10) {
            0 => random.below(24 * 40),
            _ => random.below(48),
        };
        self.now += i64::try_from(hours).expect("small") * 3_600_000_000;
        self.hand.set(self.now);
    }

    /// The records since the last look are those that the model expects, one for each step.
    fn meets(&mut self, expected: &[(u64, Kept)], told: &str) {
        let mut expected = expected.iter();
        let log = self.registry.past().log().clone();
        for entered in log.read_from_seq(self.read_up_to + 1) {
            let entered = entered.expect("a record");
            self.read_up_to = entered.seq;
            if let What::Put(put) = &entered.what
                && put.action == action::IDENTITY
            {
                self.joins(&Entry::from_stored(&put.stored).expect("an entry"), told);
            } else if let What::Put(put) = &entered.what {
                let entry = Entry::from_stored(&put.stored).expect("an entry");
                let (n, step) = expected
                    .next()
                    .unwrap_or_else(|| panic!("{told}: a record nobody expects: {entry:?}"));
                assert_eq!(entry.entry_id.as_str(), support::id(*n), "{told}");
                let step = Kept {
                    one_with: self.one_with(*n),
                    ..step.clone()
                };
                assert_eq!(kept(&entry, &step), step, "{told}");
                self.kept.insert(*n, step);
            }
            self.then.insert(entered.seq, self.kept.clone());
        }
        assert_eq!(expected.next(), None, "{told}: a record is missing");
    }

    /// The firms that are one subject with this one, counted anew from the mergers that stand.
    fn one_with(&self, n: u64) -> BTreeSet<u64> {
        let mut all = BTreeSet::from([n]);
        loop {
            let before = all.len();
            for (one, other) in self.merged.values() {
                if all.contains(one) || all.contains(other) {
                    all.extend([*one, *other]);
                }
            }
            if all.len() == before {
                all.remove(&n);
                return all;
            }
        }
    }

    /// A change of identity leaves an entry as it was but for the firms it is one with.
    fn joins(&mut self, entry: &Entry, told: &str) {
        let of = |n: &&u64| support::id(**n) == entry.entry_id.as_str();
        let n = *self.kept.keys().find(of).expect("an entry of the model");
        let step = Kept {
            one_with: self.one_with(n),
            ..self.kept[&n].clone()
        };
        assert_ne!(step, self.kept[&n], "{told}: nothing changed");
        assert_eq!(kept(entry, &step), step, "{told}");
        self.kept.insert(n, step);
    }

    async fn merge_or_undo(&mut self, random: &mut Random) {
        let alias = |n| {
            let (id_type, id) = ("USCC".to_owned(), invented::uscc(n));
            let issuer = String::new();
            Some(v1::Alias {
                id_type,
                id,
                issuer,
            })
        };
        let identity = IdentityService::new(self.registry.clone());
        let undone = self.merged.keys().next_back().copied();
        let told = match undone.filter(|_| random.below(2) == 0) {
            Some(change) => {
                let asked = v1::UndoChangeRequest {
                    change,
                    reason: "合并有误".to_owned(),
                    ..Default::default()
                };
                let done = identity.undo_change(self.ask(asked)).await;
                done.expect("taken back");
                self.merged.remove(&change);
                format!("merger {change} is taken back")
            }
            None => {
                let (one, other) = (random.below(ENTRIES), random.below(ENTRIES));
                if one == other || self.one_with(one).contains(&other) {
                    return;
                }
                let asked = v1::MergeSubjectsRequest {
                    one: alias(one),
                    other: alias(other),
                    reason: "重复主体".to_owned(),
                    force: true,
                    ..Default::default()
                };
                let done = identity.merge_subjects(self.ask(asked)).await;
                let change = done.expect("merged").into_inner().change;
                self.merged.insert(change, (one, other));
                format!("{one} and {other} are one")
            }
        };
        self.meets(&[], &told);
        for (n, kept) in &self.kept {
            assert_eq!(kept.one_with, self.one_with(*n), "{told}: entry {n}");
        }
    }

    fn ask<T>(&self, asked: T) -> Request<T> {
        let mut request = Request::new(asked);
        request.extensions_mut().insert(self.place.caller.clone());
        request
    }

    async fn import(&mut self, random: &mut Random, full: bool) {
        let mut numbers: Vec<u64> = (0..ENTRIES).filter(|_| random.below(3) > 0).collect();
        if full {
            numbers.retain(|_| random.below(8) > 0);
        }
        let rows: Vec<Row> = numbers.iter().map(|n| Row::random(random, *n)).collect();
        let mut next = self.kept.clone();
        let (mut steps, mut refused) = (Vec::new(), 0);
        for row in &rows {
            match expect_row(next.get(&row.n), row, self.now) {
                None => refused += 1,
                Some(led) => {
                    if let Some(last) = led.last() {
                        next.insert(row.n, last.clone());
                    }
                    steps.extend(led.into_iter().map(|step| (row.n, step)));
                }
            }
        }
        let header = v1::ImportHeader {
            mode: if full { "full" } else { "delta" }.to_owned(),
            list: "B01".to_owned(),
            on_error: if full { "hold" } else { "skip" }.to_owned(),
            ..support::header()
        };
        let sent = rows.iter().map(Row::entry).collect();
        let told = format!("import {rows:?} full {full}");
        let summary = self.place.import(&self.registry, header, sent).await;
        assert_eq!(summary.refused_count, refused, "{told}");
        if full {
            let open = |kept: &Kept| {
                let rest = kept.without_planned(State::Revoked, self.now);
                rest.last().may_become(State::Revoked)
            };
            let in_force = self.kept.values().filter(|kept| open(kept)).count();
            let missing = |n: &u64| !numbers.contains(n);
            let gone: Vec<u64> = self
                .kept
                .iter()
                .filter(|(n, kept)| missing(n) && open(kept))
                .map(|(n, _)| *n)
                .collect();
            let waits = refused == 0 && (rows.is_empty() || gone.len() * 5 > in_force);
            assert_eq!(!summary.hold_id.is_empty(), waits, "{told}");
            if waits || refused > 0 {
                steps.clear();
            } else {
                steps.extend(gone.into_iter().map(|n| {
                    let known = &self.kept[&n];
                    let known = known.without_planned(State::Revoked, self.now);
                    let at = known.not_before_last(self.now);
                    let mut step = known.step(State::Revoked, at, self.now);
                    step.absent = true;
                    (n, step)
                }));
            }
        }
        self.meets(&steps, &told);
    }

    async fn change_state(&mut self, random: &mut Random) {
        let (n, to) = (random.below(ENTRIES), *random.one_of(State::ALL));
        let step = self.kept.get(&n).and_then(|known| {
            if known.absent && to == State::Revoked {
                // The authority's word in the place of the source's silence.
                let (absent, decided_here) = (false, true);
                return Some(Kept {
                    absent,
                    decided_here,
                    ..known.clone()
                });
            }
            let known = known.without_planned(to, self.now);
            let mut step = known
                .last()
                .may_become(to)
                .then(|| known.step(to, known.not_before_last(self.now), self.now))?;
            step.decided_here |= match to {
                State::Suspended | State::Repaired | State::Revoked => true,
                State::Effective => known.last() == State::Suspended,
                State::Proposed | State::Notified => false,
            };
            Some(step)
        });
        let told = format!("{n} becomes {to}");
        let change = support::state(&support::id(n), to.code());
        let applied = self.registry.apply(change, &self.place.caller).await;
        assert_eq!(applied.is_ok(), step.is_some(), "{told}: {applied:?}");
        let steps: Vec<_> = step.map(|step| (n, step)).into_iter().collect();
        self.meets(&steps, &told);
    }

    async fn mark_objection(&mut self, random: &mut Random) {
        let (n, marked) = (random.below(ENTRIES), random.below(2) == 0);
        let change = Change::Objection {
            entry_id: support::id(n).as_str().into(),
            marked,
            reason: "异议".to_owned(),
        };
        let applied = self.registry.apply(change, &self.place.caller).await;
        assert_eq!(applied.is_ok(), self.kept.contains_key(&n));
        let step = self.kept.get(&n).filter(|known| known.objection != marked);
        let steps: Vec<_> = step
            .map(|known| {
                let step = Kept {
                    objection: marked,
                    marked_here: marked,
                    ..known.clone()
                };
                (n, step)
            })
            .into_iter()
            .collect();
        self.meets(&steps, &format!("objection on {n}: {marked}"));
    }

    async fn start_again(&mut self) {
        let (_, confirmed, bodies) = support::dump(&self.registry);
        self.registry.close().await;
        self.registry = self.place.open();
        // The clock may have recorded what came meanwhile, which changes no entry.
        let (_, confirmed_after, bodies_after) = support::dump(&self.registry);
        assert!(confirmed_after == confirmed && bodies_after == bodies);
    }

    /// What was known at every version is what the model knew.
    fn compare_every_version(&self) {
        let event = everybody();
        let book = self.registry.live().load().book.clone();
        let log_id = self.registry.past().log().log_id();
        for (seq, expected) in &self.then {
            let version = ListVersion { log_id, seq: *seq };
            let lists = self
                .registry
                .past()
                .lists_as_of(version, &event, &book)
                .expect("a version of this log");
            assert_eq!(lists.len(), expected.len(), "at {seq}");
            for (n, step) in expected {
                let entry = lists.entry(&support::id(*n)).expect("an entry");
                assert_eq!(&kept(&entry, step), step, "entry {n} at {seq}");
            }
        }
    }
}

#[tokio::test]
async fn random_changes_are_those_of_the_model_at_every_version() {
    let mut random = Random::seeded(u64::from(std::process::id()) << 20 | 0x5eed);
    let mut story = Story::begin();
    for _ in 0..STEPS {
        story.wait(&mut random);
        match random.below(40) {
            0..=3 => story.import(&mut random, true).await,
            4..=12 => story.import(&mut random, false).await,
            13..=30 => story.change_state(&mut random).await,
            31..=35 => story.mark_objection(&mut random).await,
            36..=38 => story.merge_or_undo(&mut random).await,
            _ => story.start_again().await,
        }
    }
    story.compare_every_version();
    println!("{} versions compared", story.then.len());
    story.registry.close().await;
}
