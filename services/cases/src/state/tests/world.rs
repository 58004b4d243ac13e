//! A case to which anything may happen, beside a plain account of it and the rules that always hold.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_measures::case::{CaseCheck, CaseView};
use creditgate_measures::event::StageCode;
use creditgate_measures::identifier::Key;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{
    CaseClosed, CaseRecord, MeasureSupport, OrderAcknowledged, ProposalClaimed, ProposalDecided,
    ProposalEscalated, SupportChanged,
};
use creditgate_proto::v1;

use super::{CASE, DAY, Land, at, bidder, event, record, report, review, triggered};
use crate::facts::{OfferedFacts, TriggeredFacts, VerdictFacts};
use crate::state::table::Named;
use crate::state::{
    About, CaseState, Decision, Happened, MeasureState, OrderState, Report, Terms, View, Who,
};

const STAGES: [&str; 5] = ["register", "apply", "deal", "contract", "supply"];
const ENTRIES: [&str; 3] = ["E1", "E2", "E3"];
const OFFICIALS: [&str; 3] = ["王五", "赵六", "钱七"];
const CALLERS: [(&str, bool); 3] = [("desk", false), ("wang", true), ("zhao", true)];
const IMPLEMENTERS: [&str; 3] = ["", "甲局", "乙局"];
const STATUSES: [&str; 3] = ["executed", "partly", "not_executed"];
/// An even id needs four eyes.
const MEASURES: [&str; 2] = ["M1", "M2"];
/// What some verdicts offer.
const REWARD: &str = "R1";

/// What the journals hold, in the order in which a case takes it in.
#[derive(Clone)]
pub(super) enum Step {
    Verdict(VerdictFacts),
    Record(u64, CaseRecord),
}

pub(super) fn take(case: &mut CaseState, step: &Step) -> bool {
    match step {
        Step::Verdict(facts) => case.take_verdict(facts).repeated,
        Step::Record(position, record) => {
            let taken = case.take_record(*position, record);
            taken.expect("what was written fits").repeated
        }
    }
}

/// A case that grows, and what a plain account of it knows.
pub(super) struct World {
    pub(super) case: CaseState,
    pub(super) journal: Vec<Step>,
    verdicts: u64,
    position: u64,
    now: i64,
    list_seq: u64,
    /// What each measure rests on, by the last that was said about it: entries, by its row alone.
    rests: BTreeMap<String, (BTreeSet<String>, bool)>,
    view: CaseView,
    /// Measures that applied, in part too, with their round, by which verdicts.
    applied: BTreeMap<(String, u32), BTreeSet<String>>,
    /// Who calls, and whether the key is of one official alone.
    caller: (&'static str, bool),
    /// Feedback: asked, new, repeated, refused.
    pub(super) counts: [usize; 4],
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            case: CaseState::new(CASE),
            journal: Vec::new(),
            verdicts: 0,
            position: 0,
            now: 0,
            list_seq: 1,
            rests: BTreeMap::new(),
            view: CaseView::default(),
            applied: BTreeMap::new(),
            caller: CALLERS[0],
            counts: [0; 4],
        };
        world.verdict(0, 0, false);
        world
    }

    pub(super) fn check(&mut self, [kind, a, b, c]: [u8; 4]) {
        self.now += 7;
        self.caller = CALLERS[usize::from(kind >> 4) % CALLERS.len()];
        match kind % 12 {
            0 | 1 => self.verdict(a, b, false),
            2 => self.verdict(a, b, true),
            3 | 4 => self.support(a, b),
            5 | 6 => self.feedback(a, b, c),
            7 => self.claim(a, b, c),
            8 => self.decide(a, b, c),
            9 => self.acknowledge(a, b),
            10 => self.owed(a),
            _ => self.close_or_escalate(a, b),
        }
        for measure in self.case.measures.iter().filter(|m| m.state.bites()) {
            let of = self.applied.entry((measure.key(), measure.round));
            of.or_default().insert(measure.verdict.to_string());
        }
        self.invariants();
    }

    fn verdict(&mut self, a: u8, b: u8, again: bool) {
        self.verdicts += 1;
        let n = self.verdicts;
        let mut measures = Vec::new();
        for (bit, measure) in MEASURES.iter().enumerate() {
            if b >> bit & 1 == 1 {
                let entries = chosen(b >> 2);
                let mut one = triggered(measure, b & 0x80 != 0, &entries);
                if b & 0xC0 == 0xC0 {
                    // In part it applies, in part it is proposed.
                    one.proposed = Some("PROHIBIT".to_owned());
                }
                measures.push(one);
            }
        }
        let stage = STAGES[usize::from(a) % STAGES.len()];
        let mut facts = event(n, stage, &measures);
        if again {
            let of = self.journal.iter().rev().find_map(|step| match step {
                Step::Verdict(facts) if !facts.is_review() => Some(facts.clone()),
                _ => None,
            });
            facts = review(n, &of.expect("the first is an event"), stage, &measures);
            facts.supersedes = self.case.latest;
        } else if a & 0x80 != 0 {
            // The same firm twice, another, and one that has no name.
            facts.subjects.push(bidder(1, 1, &measures));
            facts.subjects.push(bidder(2, 2, &measures));
            facts.subjects.push(bidder(3, 3, &[]));
            facts.subjects[3].key = None;
        }
        if a & 0x20 != 0 {
            facts.subjects[0].offered.push(OfferedFacts {
                measure_id: REWARD.to_owned(),
                title: "激励".to_owned(),
                implementers: vec!["甲局".to_owned()],
            });
        }
        if a & 0x40 != 0 {
            self.list_seq += 1;
        }
        facts.list_seq = self.list_seq;
        // Events arrive out of order.
        facts.occurred_at = at(self.now - i64::from(b) * 10);
        facts.evaluated_at = at(self.now);
        self.account(&facts);
        let step = Step::Verdict(facts);
        assert!(!take(&mut self.case, &step));
        self.journal.push(step);
    }

    /// What a plain reader of the verdict would write down.
    fn account(&mut self, facts: &VerdictFacts) {
        let mut shown: BTreeMap<(Option<Key>, String), Vec<&TriggeredFacts>> = BTreeMap::new();
        for subject in &facts.subjects {
            for one in &subject.triggered {
                let of = (subject.key, one.measure_id.clone());
                shown.entry(of).or_default().push(one);
            }
        }
        if !facts.is_review() {
            self.view.opened_at = self
                .view
                .opened_at
                .min(Some(facts.occurred_at))
                .or(Some(facts.occurred_at));
            self.view
                .record(facts.subjects.iter().filter_map(|subject| {
                    Some(CaseCheck {
                        subject: subject.key?,
                        stage: StageCode::new(facts.stage.as_str()),
                        at: facts.occurred_at,
                    })
                }));
        }
        // Keys 1 and 2 are told apart by the order of appearance, which only the case knows.
        let mut case = self.case.clone();
        case.take_verdict(facts);
        for ((key, measure_id), of) in shown {
            let number = case
                .subjects
                .iter()
                .position(|subject| Some(subject.who) == key.map(Who::Key))
                .expect("numbered");
            let entries = of
                .iter()
                .flat_map(|one| one.entry_ids.iter().cloned())
                .collect();
            let by_row = of.iter().any(|one| one.by_row);
            let key = format!("{number}/{measure_id}");
            if of.iter().any(|one| one.applied.is_some()) {
                let round = case.measure(&key).expect("shown").round;
                let of = self.applied.entry((key.clone(), round));
                of.or_default().insert(facts.verdict_id.to_string());
            }
            self.rests.insert(key, (entries, by_row));
        }
    }

    /// Writes a record when the case takes it, as the service does.
    fn write(&mut self, what: What) -> Option<Vec<Happened>> {
        let mut record = record(self.now, what);
        record.caller = self.caller.0.to_owned();
        let before = self.case.clone();
        let Ok(checked) = self.case.check_record(&record) else {
            self.counts[3] += usize::from(matches!(record.what, Some(What::Feedback(_))));
            assert!(self.case.take_record(u64::MAX, &record).is_err());
            assert_eq!(self.case, before, "refused whole");
            return None;
        };
        if checked.repeated {
            self.counts[2] += usize::from(matches!(record.what, Some(What::Feedback(_))));
            return None;
        }
        self.counts[1] += usize::from(matches!(record.what, Some(What::Feedback(_))));
        self.position += 1 + u64::from(self.list_seq.is_multiple_of(3));
        let taken = self.case.take_record(self.position, &record);
        assert_eq!(taken.as_ref(), Ok(&checked));
        for one in &checked.happened {
            if let Happened::Ordered(order) = one {
                self.told_with_reason(*order);
            }
        }
        self.journal.push(Step::Record(self.position, record));
        Some(checked.happened)
    }

    /// Nobody is told to lift what they said they did not carry out, or what nobody can have.
    fn told_with_reason(&self, order: uuid::Uuid) {
        let order = self.case.order(order).expect("given");
        let measure = &self.case.measures[order.measure as usize];
        let last = self.last_reports(order.measure, &order.implementer);
        let done = last.iter().any(|report| was_done(report));
        assert!(done || self.is_silent(&measure.key(), measure.round, &last));
    }

    /// Whether nothing was reported about a verdict by which the measure applied.
    fn is_silent(&self, key: &str, round: u32, reports: &[&Report]) -> bool {
        let applied = self.applied.get(&(key.to_owned(), round));
        let said = |id: &String| reports.iter().any(|r| r.feedback.verdict_id == *id);
        !applied.into_iter().flatten().all(said)
    }

    /// Of each verdict what the implementer reported last about the measure, in its present round.
    fn last_reports(&self, measure: u32, implementer: &str) -> Vec<&Report> {
        let round = self.case.measures[measure as usize].round;
        let mut last: BTreeMap<&str, &Report> = BTreeMap::new();
        for report in &self.case.reports {
            let of = &report.feedback;
            let speaks = of.implementer.is_empty() || of.implementer == implementer;
            if speaks && report.about == (About::Penalty { measure, round }) {
                last.insert(&of.verdict_id, report);
            }
        }
        last.into_values().collect()
    }

    fn key(&self, a: u8) -> Option<String> {
        let measures = &self.case.measures;
        let place = usize::from(a).checked_rem(measures.len())?;
        Some(measures[place].key())
    }

    fn support(&mut self, a: u8, b: u8) {
        let Some(key) = self.key(a) else {
            return;
        };
        self.list_seq += 1;
        let lost = b.is_multiple_of(2);
        let entries: Vec<String> = match lost {
            true => Vec::new(),
            false => chosen(b >> 1)
                .iter()
                .map(|&entry| entry.to_owned())
                .collect(),
        };
        let by_row = !lost && entries.is_empty();
        self.rests
            .insert(key.clone(), (entries.iter().cloned().collect(), by_row));
        self.write(What::Support(SupportChanged {
            measures: vec![MeasureSupport {
                key,
                entry_ids: entries,
                by_row,
                effect: ["", "NOTICE", "PROHIBIT"][usize::from(b >> 5) % 3].to_owned(),
            }],
            cause: format!("list_change:{}", self.list_seq),
            list_seq: self.list_seq,
        }));
    }

    fn feedback(&mut self, a: u8, b: u8, c: u8) {
        self.counts[0] += 1;
        let mut feedback = report(
            &format!("f{}", a % 16),
            u64::from(b) % (self.verdicts + 1),
            STATUSES[usize::from(c) % 3],
            IMPLEMENTERS[usize::from(c >> 2) % 3],
            self.now - i64::from(b),
        );
        feedback.measure_id = MEASURES[usize::from(a >> 4) % 2].to_owned();
        feedback.subject = u32::from(c >> 6) % 2;
        if c & 0x21 == 0x21 {
            feedback.measure_id = REWARD.to_owned();
        }
        if a & 0x80 != 0 {
            // Once more what came before.
            let known = self.case.reports.last();
            feedback = known.map_or(feedback, |report| report.feedback.clone());
        }
        let rewarded = feedback.measure_id == REWARD;
        let happened = self.write(What::Feedback(feedback));
        if rewarded {
            assert!(
                happened.is_none_or(|happened| happened.is_empty()),
                "nothing is lifted of a reward"
            );
        }
    }

    fn claim(&mut self, a: u8, b: u8, c: u8) {
        let Some(key) = self.key(a) else {
            return;
        };
        self.write(What::Claimed(ProposalClaimed {
            key,
            by: OFFICIALS[usize::from(b) % 3].to_owned(),
            released: c.is_multiple_of(4),
            own_key: self.caller.1,
        }));
    }

    fn decide(&mut self, a: u8, b: u8, c: u8) {
        let Some(key) = self.key(a) else {
            return;
        };
        let claimed = self.case.measure(&key).and_then(|m| m.claimed_by.clone());
        let by = match claimed {
            Some(by) if c & 0x80 == 0 => by.0,
            _ => OFFICIALS[usize::from(b) % 3].to_owned(),
        };
        let four_eyes = Land::new().four_eyes(&key);
        let happened = self.write(What::Decided(ProposalDecided {
            key: key.clone(),
            decision: ["confirm", "confirm", "reject"][usize::from(c) % 3].to_owned(),
            by,
            reason: "核实".to_owned(),
            document_no: "文1".to_owned(),
            four_eyes,
            own_key: self.caller.1,
        }));
        let confirmed = happened.is_some_and(|all| all.contains(&Happened::Confirmed(key.clone())));
        if confirmed && four_eyes {
            let measure = self.case.measure(&key).expect("there");
            let [.., first, second] = &measure.decisions[..] else {
                panic!("one official confirmed alone");
            };
            assert!(first.confirmed && second.confirmed && first.by != second.by);
            let of_one = |decision: &Decision| CALLERS.contains(&(decision.caller.as_str(), true));
            assert!(!of_one(first) || first.caller != second.caller);
        }
    }

    fn acknowledge(&mut self, a: u8, b: u8) {
        let orders = &self.case.orders;
        let Some(place) = usize::from(a).checked_rem(orders.len()) else {
            return;
        };
        self.write(What::Acknowledged(OrderAcknowledged {
            order_id: orders[place].id().to_string(),
            by: "甲局".to_owned(),
            document_no: "解1".to_owned(),
            at: (b.is_multiple_of(2)).then(|| time_to_proto(at(self.now - i64::from(b)))),
        }));
    }

    fn owed(&mut self, a: u8) {
        let later = at(self.now + i64::from(a % 40) * DAY);
        for owed in self.case.owed(later, &Land::new()) {
            assert!(
                self.write(owed.into_record()).is_some(),
                "what is owed is taken"
            );
        }
        assert_eq!(self.case.owed(later, &Land::new()), []);
    }

    fn close_or_escalate(&mut self, a: u8, b: u8) {
        let key = self.key(b).unwrap_or_default();
        self.write(match a % 2 {
            0 => What::Escalated(ProposalEscalated { key }),
            _ => What::Closed(CaseClosed {
                why: "by_request".to_owned(),
                reason: "撤回".to_owned(),
                document_no: String::new(),
            }),
        });
    }

    fn invariants(&self) {
        let case = &self.case;
        assert_eq!(CaseState::from_stored(&case.to_stored()).as_ref(), Ok(case));
        let slots: BTreeSet<_> = case.verdicts.iter().map(|one| one.verdict).collect();
        assert_eq!(slots.len(), case.verdicts.len(), "no slot twice");
        let ids: BTreeSet<_> = case.orders.iter().map(|order| order.id()).collect();
        assert_eq!(ids.len(), case.orders.len(), "no order twice");
        let [asked, new, repeated, refused] = self.counts;
        assert_eq!(asked, new + repeated + refused, "no report lost");
        assert_eq!(new, case.reports.len());
        self.counts_hold();
        assert_eq!(case.measures.len(), self.rests.len());
        for place in 0..case.measures.len() {
            self.measure_holds(place);
        }
        self.course_holds();
    }

    /// Every report counts unless the same implementer said something later about the same verdict.
    fn counts_hold(&self) {
        let mut last: BTreeMap<_, &str> = BTreeMap::new();
        for report in &self.case.reports {
            let (of, measure) = (&report.feedback, report.about);
            if of.implementer.is_empty() {
                last.retain(|(verdict, about, _), _| {
                    (*verdict, *about) != (of.verdict_id.as_str(), measure)
                });
            }
            last.insert(
                (of.verdict_id.as_str(), measure, of.implementer.as_str()),
                &of.feedback_id,
            );
        }
        let plain: BTreeSet<&str> = last.into_values().collect();
        let counting = self.case.counting();
        let counting: Vec<_> = counting.map(|r| r.feedback.feedback_id.as_str()).collect();
        assert_eq!(counting.len(), plain.len());
        assert!(counting.iter().all(|id| plain.contains(id)));
    }

    fn measure_holds(&self, place: usize) {
        let case = &self.case;
        let measure = &case.measures[place];
        let key = measure.key();
        let (entries, by_row) = &self.rests[&key];
        assert!(
            measure.basis.entries.iter().eq(entries),
            "{key} rests on what was said last"
        );
        assert_eq!(measure.basis.by_row, *by_row);
        let supported = *by_row || !entries.is_empty();
        let orders = || {
            let of = u32::try_from(place).expect("few");
            case.orders.iter().filter(move |order| order.measure == of)
        };
        let lifted =
            orders().any(|o| o.round == measure.round && o.state == OrderState::Acknowledged);
        let unsupported = measure.state == MeasureState::Unsupported;
        assert_eq!(
            unsupported,
            !supported || lifted,
            "{key} {}",
            measure.state.code()
        );
        if supported {
            assert!(
                orders().all(|order| order.state != OrderState::Open),
                "{key} is supported"
            );
        } else {
            for implementer in &measure.implementers {
                let told = orders().filter(|order| order.implementer == *implementer);
                let told: Vec<_> = told.filter(|order| order.round == measure.round).collect();
                let last = self.last_reports(u32::try_from(place).expect("few"), implementer);
                let done_at = last
                    .iter()
                    .filter(|report| was_done(report))
                    .map(|report| report.executed_at)
                    .max();
                let silent = self.is_silent(&key, measure.round, &last);
                let lifted_at = told
                    .iter()
                    .filter_map(|order| Some(order.acknowledged.as_ref()?.at))
                    .max();
                let again = done_at > lifted_at;
                let reason = done_at.is_none() && !silent;
                let answered = told.iter().any(|order| {
                    order.state == OrderState::Open
                        || (order.state == OrderState::Acknowledged && !again)
                });
                assert!(reason || answered, "{key}: {implementer} was never told");
            }
        }
        let seconded = measure.before.unwrap_or(measure.state) == MeasureState::Seconded;
        assert_eq!(measure.seconded_by.is_some(), seconded, "{key}");
        assert!(measure.claimed_by.is_none() || measure.claimed_by != measure.seconded_by);
    }

    fn course_holds(&self) {
        let case = &self.case;
        let life = case.life.as_ref().expect("a case");
        assert_eq!(Some(life.opened_at), self.view.opened_at);
        for check in &case.checks {
            if let Who::Key(key) = case.subjects[check.subject as usize].who {
                let stage = StageCode::new(check.stage.as_str());
                assert!(self.view.checked(key, &stage, check.at));
            }
        }
        assert_eq!(
            case.checks
                .iter()
                .filter(|c| matches!(case.subjects[c.subject as usize].who, Who::Key(_)))
                .count(),
            self.view.checks.len()
        );
        let latest = case.latest().expect("one");
        let last = case.recorded(life.last.verdict).expect("recorded");
        assert_eq!(
            latest.event, last.event,
            "the latest verdict is about the last event"
        );
        let view = View {
            now: at(self.now),
            overdue_after_micros: 0,
            terms: &Land::new(),
        };
        let (shown, summary) = (case.shown(view), case.summary(view));
        let waits = shown
            .measures
            .iter()
            .filter(|m| ["proposed", "claimed", "seconded"].contains(&m.state.as_str()));
        assert_eq!(waits.count(), summary.proposed as usize);
        assert_eq!(
            case.proposals(&Land::new()).len(),
            summary.proposed as usize
        );
        assert_eq!(shown.missing.len(), summary.missing as usize);
        self.missing_holds(&shown.missing);
        let open = shown.orders.iter().filter(|order| order.state == "open");
        assert_eq!(open.count(), summary.open_orders as usize);
    }

    /// Each check that is missing is shown once, and no other.
    fn missing_holds(&self, shown: &[v1::MissingCheck]) {
        let terms = Land::new();
        let checks = &self.view.checks;
        let mut missing = BTreeSet::new();
        for check in checks {
            let mut stages = terms.stages("land").iter();
            let stage = stages.find(|s| s.code == check.stage.as_str());
            let Some(before) = stage.and_then(|stage| stage.after.clone()) else {
                continue;
            };
            let came = checks
                .iter()
                .any(|c| c.subject == check.subject && c.stage.as_str() == before);
            if !came && check.at.plus_seconds(600) <= at(self.now) {
                missing.insert((check.subject, before));
            }
        }
        if self.view.opened_at.map(|at| at.date()) < terms.go_live("land") {
            missing.clear();
        }
        assert_eq!(shown.len(), missing.len(), "{shown:?}");
        for one in shown {
            let who = self.case.subjects[one.subject as usize].who;
            let known = |(of, stage): &(Key, String)| Who::Key(*of) == who && *stage == one.stage;
            assert!(missing.iter().any(known), "{one:?}");
        }
    }
}

fn was_done(report: &Report) -> bool {
    ["executed", "partly"].contains(&report.feedback.status.as_str())
}

fn chosen(mask: u8) -> Vec<&'static str> {
    let has = |(bit, entry): (usize, &&'static str)| (mask >> bit & 1 == 1).then_some(*entry);
    ENTRIES.iter().enumerate().filter_map(has).collect()
}
