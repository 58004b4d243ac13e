//! The machine, fed by hand and by generated histories.

mod answers;
mod counts;
mod course;
mod generated;
mod lifting;
mod missing;
mod officials;
mod reports;
mod rewards;
mod tables;
mod world;

use creditgate_measures::identifier::Key;
use creditgate_measures::time::{Date, Time};
use creditgate_measures::verdict::VerdictId;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{
    CaseRecord, MeasureSupport, OrderAcknowledged, ProposalClaimed, ProposalDecided, SupportChanged,
};
use creditgate_proto::{AnswerDigest, v1};

use super::{CaseState, Happened, Refusal, Stage, Taken, Terms, View};
use crate::facts::{SubjectFacts, TriggeredFacts, VerdictFacts};

const CASE: &str = "LAND-2026-1";
const DAY: i64 = 86_400;

/// Stages of `land`, live since the day before the first; open for 30 days, 5 days for a decision, four eyes for ids ending in an even
/// digit.
struct Land(Vec<Stage>);

impl Land {
    fn new() -> Self {
        let stage = |code: &str, decisive, after: Option<&str>| Stage {
            code: code.to_owned(),
            decisive,
            after: after.map(str::to_owned),
        };
        Self(vec![
            stage("register", true, None),
            stage("apply", false, None),
            stage("deal", true, Some("register")),
            stage("contract", false, Some("deal")),
            stage("supply", true, Some("deal")),
        ])
    }
}

impl Terms for Land {
    fn stages(&self, scenario: &str) -> &[Stage] {
        match scenario {
            "land" => &self.0,
            _ => &[],
        }
    }

    fn go_live(&self, _: &str) -> Option<Date> {
        Some(at(-DAY).date())
    }

    fn open_days(&self, _: &str) -> Option<u32> {
        Some(30)
    }

    fn decide_by(&self, _: &str, proposed_at: Time) -> Option<Date> {
        Some(proposed_at.date().plus_days(5))
    }

    fn four_eyes(&self, measure_id: &str) -> bool {
        measure_id.ends_with(['0', '2', '4', '6', '8'])
    }
}

/// A moment: seconds after 2026-03-01T00:00 in Shanghai.
fn at(seconds: i64) -> Time {
    Date::from_ymd(2026, 3, 1)
        .expect("a day")
        .start()
        .plus_seconds(seconds)
}

fn id(n: u64) -> VerdictId {
    VerdictId(uuid::Uuid::from_u128(
        0x8000_0000_0000_0000_0000 + u128::from(n),
    ))
}

/// An event's verdict, its `n`th, about one bidder with key 1.
pub(crate) fn event(n: u64, stage: &str, triggered: &[TriggeredFacts]) -> VerdictFacts {
    VerdictFacts {
        case_id: CASE.to_owned(),
        scenario: "land".to_owned(),
        region: "320500".to_owned(),
        source: "urn:land".to_owned(),
        event_id: format!("e{n}"),
        stage: stage.to_owned(),
        cause: "event".to_owned(),
        verdict_id: id(n),
        answer: AnswerDigest(n),
        supersedes: None,
        outcome: "PASS".to_owned(),
        effect: None,
        review: false,
        proposed: None,
        list_version: format!("0198c0de-0000-7000-8000-000000000001:{n}"),
        list_seq: n,
        book_version: "0a".repeat(32),
        occurred_at: at(i64::try_from(n).expect("small") * 100),
        evaluated_at: at(i64::try_from(n).expect("small") * 100 + 1),
        sequence: n,
        position: n * 1_000,
        subjects: vec![bidder(0, 1, triggered)],
    }
}

/// A review of event `of`.
fn review(n: u64, of: &VerdictFacts, stage: &str, triggered: &[TriggeredFacts]) -> VerdictFacts {
    VerdictFacts {
        event_id: of.event_id.clone(),
        cause: format!("list_change:{n}"),
        supersedes: Some(of.verdict_id),
        ..event(n, stage, triggered)
    }
}

fn bidder(index: u32, key: u64, triggered: &[TriggeredFacts]) -> SubjectFacts {
    SubjectFacts {
        index,
        key: Some(Key(key)),
        lookups: vec![Key(key), Key(key + 1_000)],
        role: "land_bidder".to_owned(),
        party: format!("p{index}"),
        missing: Vec::new(),
        triggered: triggered.to_vec(),
        offered: Vec::new(),
    }
}

fn triggered(measure_id: &str, applies: bool, entries: &[&str]) -> TriggeredFacts {
    TriggeredFacts {
        measure_id: measure_id.to_owned(),
        title: format!("措施 {measure_id}"),
        applied: applies.then(|| "RESTRICT".to_owned()),
        proposed: (!applies).then(|| "RESTRICT".to_owned()),
        entry_ids: entries.iter().map(|&e| e.to_owned()).collect(),
        by_row: entries.is_empty(),
        implementers: vec!["甲局".to_owned(), "乙局".to_owned()],
    }
}

fn bites(measure_id: &str, entries: &[&str]) -> TriggeredFacts {
    triggered(measure_id, true, entries)
}

fn proposed(measure_id: &str, entries: &[&str]) -> TriggeredFacts {
    triggered(measure_id, false, entries)
}

fn record(seconds: i64, what: What) -> CaseRecord {
    CaseRecord {
        case_id: CASE.to_owned(),
        caller: "desk".to_owned(),
        recorded_at: Some(time_to_proto(at(seconds))),
        verdicts: 0,
        what: Some(what),
    }
}

/// A case with the steps that a test asks for.
struct Story {
    case: CaseState,
    records: u64,
    now: i64,
}

impl Story {
    fn of(verdicts: &[VerdictFacts]) -> Self {
        let mut story = Self {
            case: CaseState::new(CASE),
            records: 0,
            now: 10_000,
        };
        for facts in verdicts {
            story.case.take_verdict(facts);
        }
        story
    }

    /// Takes a record in; what was refused leaves no trace.
    fn take(&mut self, what: What) -> Result<Taken, Refusal> {
        self.take_from("desk", what)
    }

    fn take_from(&mut self, caller: &str, what: What) -> Result<Taken, Refusal> {
        self.records += 1;
        self.now += 10;
        let mut record = record(self.now, what);
        record.caller = caller.to_owned();
        let before = self.case.clone();
        let checked = self.case.check_record(&record);
        let taken = self.case.take_record(self.records, &record);
        assert_eq!(checked, taken);
        if taken.is_err() {
            assert_eq!(self.case, before);
        }
        taken
    }

    fn support(&mut self, key: &str, entries: &[&str], seq: u64) -> Result<Taken, Refusal> {
        self.take(What::Support(SupportChanged {
            measures: vec![MeasureSupport {
                key: key.to_owned(),
                entry_ids: entries.iter().map(|&e| e.to_owned()).collect(),
                by_row: false,
                effect: String::new(),
            }],
            cause: format!("list_change:{seq}"),
            list_seq: seq,
        }))
    }

    fn feedback(
        &mut self,
        feedback_id: &str,
        verdict: u64,
        status: &str,
        implementer: &str,
    ) -> Result<Taken, Refusal> {
        let report = report(feedback_id, verdict, status, implementer, self.now);
        self.take(What::Feedback(report))
    }

    fn claim(&mut self, key: &str, by: &str, released: bool) -> Result<Taken, Refusal> {
        self.take(claimed(key, by, released, false))
    }

    fn decide(&mut self, key: &str, by: &str, decision: &str) -> Result<Taken, Refusal> {
        self.take(decided(key, by, decision, false))
    }

    fn acknowledge(&mut self, order: usize) -> Result<Taken, Refusal> {
        let order_id = self.case.orders[order].id().to_string();
        self.take(What::Acknowledged(OrderAcknowledged {
            order_id,
            by: "甲局".to_owned(),
            document_no: "解〔2026〕1号".to_owned(),
            at: None,
        }))
    }

    /// The states of its measures and orders, as text.
    fn states(&self) -> String {
        let shown = self.shown();
        let measures = shown
            .measures
            .iter()
            .map(|m| format!("{}={}", m.key, m.state));
        let orders = shown
            .orders
            .iter()
            .map(|o| format!("{}:{}", o.implementer, o.state));
        measures.chain(orders).collect::<Vec<_>>().join(" ")
    }

    fn shown(&self) -> v1::CaseShown {
        self.shown_at(self.now)
    }

    fn shown_at(&self, now: i64) -> v1::CaseShown {
        self.case.shown(View {
            now: at(now),
            overdue_after_micros: 1_000_000,
            terms: &Land::new(),
        })
    }
}

fn claimed(key: &str, by: &str, released: bool, own_key: bool) -> What {
    What::Claimed(ProposalClaimed {
        key: key.to_owned(),
        by: by.to_owned(),
        released,
        own_key,
    })
}

fn decided(key: &str, by: &str, decision: &str, own_key: bool) -> What {
    What::Decided(ProposalDecided {
        key: key.to_owned(),
        decision: decision.to_owned(),
        by: by.to_owned(),
        reason: "核实".to_owned(),
        document_no: "文〔2026〕1号".to_owned(),
        four_eyes: Land::new().four_eyes(key),
        own_key,
    })
}

fn report(id_: &str, verdict: u64, status: &str, implementer: &str, now: i64) -> v1::Feedback {
    v1::Feedback {
        feedback_id: id_.to_owned(),
        verdict_id: id(verdict).to_string(),
        measure_id: "M1".to_owned(),
        status: status.to_owned(),
        reason: "说明".to_owned(),
        operator: "张三".to_owned(),
        department: "甲局".to_owned(),
        executed_at: Some(time_to_proto(at(now))),
        implementer: implementer.to_owned(),
        ..v1::Feedback::default()
    }
}
