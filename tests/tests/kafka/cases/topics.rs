//! What the story sends to its topics, and what has to lie in them.

use std::collections::BTreeMap;

use creditgate_proto::v1;
use creditgate_tests::kafka::{Envelope, Record, committed, send_messages};
use creditgate_tests::land::{self, WITH_CLAUSE, WITHOUT_CLAUSE};
use creditgate_tests::now;
use serde_json::{Value, json};

use super::World;
use crate::kinds::EVENT;
use crate::{assert_not_torn, wait_until};

const FEEDBACK: &str = "cn.creditgate.feedback.v1";
const LIFT_ORDER: &str = "cn.creditgate.lift-order.v1";
/// Ways in which messages are no reports, in their order.
const FAULTS: [&str; 6] = ["type", "json", "status", "verdict", "conflict", "elsewhere"];

impl World<'_> {
    pub fn send(&self, topic: &str, messages: &[Value]) {
        send_messages(&self.bootstrap(), &self.here.topic(topic), messages);
    }

    fn read(&self, topic: &str) -> Vec<Record> {
        committed(&self.bootstrap(), &self.here.topic(topic))
    }

    /// Waits until so many records lie in a topic.
    fn wait_for(&self, topic: &str, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        wait_until(&format!("{count} records in {topic}"), || {
            records = self.read(topic);
            records.len() >= count
        });
        records
    }

    /// Waits until so many verdicts of a kind lie in their topic.
    fn wait_for_verdicts(
        &self,
        count: usize,
        wanted: impl Fn(&v1::Verdict) -> bool,
    ) -> Vec<(Record, v1::Verdict)> {
        let mut found = Vec::new();
        wait_until(&format!("{count} verdicts of a kind"), || {
            let records = self.read("verdicts").into_iter();
            let verdicts = records.map(|record| (record.clone(), record.json()));
            found = verdicts.filter(|(_, verdict)| wanted(verdict)).collect();
            found.len() >= count
        });
        found
    }

    /// The verdict of the event of a stage.
    pub fn verdict(&self, case_id: &str, stage: &str) -> v1::Verdict {
        let event_id = land::event(case_id, stage).id;
        let mut found = self.wait_for_verdicts(1, |verdict| {
            verdict.event_id == event_id && verdict.cause == "event"
        });
        assert_eq!(found.len(), 1, "one verdict: {found:#?}");
        found.remove(0).1
    }

    /// The same report twice, and what is none in five ways, all of one case and so in one order.
    pub fn reports(&self) {
        let report = &self.report;
        let fault = |of: &str, mut message: Value| {
            message["headers"]["x-fault"] = json!(of);
            message
        };
        let mut unknown = report_message(&land::otherwise(report, "F-UNKNOWN"));
        unknown["headers"]["ce_type"] = json!(EVENT);
        let mut cut_off = report_message(&land::otherwise(report, "F-CUT"));
        cut_off["value"] = json!("{");
        let done = v1::Feedback {
            status: "done".to_owned(),
            ..land::otherwise(report, "F-STATUS")
        };
        let nowhere = v1::Feedback {
            verdict_id: "00000000-0000-8000-8000-000000000000".to_owned(),
            ..land::otherwise(report, "F-NOWHERE")
        };
        let conflict = land::otherwise(report, &report.feedback_id);
        // Its id is that of a report of another case.
        let elsewhere = v1::Feedback {
            verdict_id: self.verdict(WITHOUT_CLAUSE, "deal").verdict_id,
            measure_id: "M12c".to_owned(),
            implementer: String::new(),
            ..report.clone()
        };
        let messages = [
            report_message(report),
            report_message(report),
            fault("type", unknown),
            fault("json", cut_off),
            fault("status", report_message(&done)),
            fault("verdict", report_message(&nowhere)),
            fault("conflict", report_message(&conflict)),
            fault("elsewhere", report_message(&elsewhere)),
        ];
        self.send("feedback", &messages);
    }

    /// What is no report is a dead letter, once, with its reason and where it lay.
    pub fn assert_faults_buried(&self) {
        let reason = |letter: &Record| {
            let reason = letter.header("creditgate-reason");
            assert!(!reason.is_empty(), "{letter:#?}");
            assert_eq!(
                letter.header("creditgate-topic"),
                self.here.topic("feedback")
            );
            assert_eq!(letter.key, WITH_CLAUSE);
            let code = letter.header("creditgate-code").to_owned();
            (letter.header("x-fault").to_owned(), code)
        };
        let letters = self.wait_for("dead-letters", FAULTS.len());
        let letters: Vec<_> = letters.iter().map(reason).collect();
        let faults: Vec<_> = letters.iter().map(|(fault, _)| fault.as_str()).collect();
        assert_eq!(faults, FAULTS);
        let codes: BTreeMap<_, _> = letters.iter().cloned().collect();
        assert_eq!(codes["json"], "undecodable");
        assert_eq!(codes["conflict"], "conflict");
        assert_eq!(codes["elsewhere"], "conflict");
    }

    /// The verdicts of the cases are those of the topic, once and in the same order, and every event has its own.
    pub fn assert_in_topics(&self, cases: &BTreeMap<String, v1::CaseShown>) {
        // Two registrations, a deal, another registration, and the first once more.
        let mut account = self.here.records(5);
        wait_until("every event is read", || {
            if account.committed < account.events {
                account = self.here.records(5);
            }
            account.committed >= account.events
        });
        account.assert_exactly_once();
        assert_not_torn(&account);
        assert_eq!((account.events, account.committed), (5, 5), "{account:#?}");
        assert_eq!(account.dead_letters, FAULTS.len() as u64, "{account:#?}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut written: BTreeMap<String, Vec<[String; 4]>> = BTreeMap::new();
        for record in &account.verdict_records {
            let verdict = &record.verdict;
            let line = ["verdict_id", "cause", "outcome", "supersedes"];
            let line = line.map(|name| text(&verdict[name]));
            assert_eq!(record.key.as_deref(), verdict["case_id"].as_str());
            let of_case = written.entry(text(&verdict["case_id"]));
            of_case.or_default().push(line);
        }
        let line = |v: &v1::CaseVerdict| {
            [&v.verdict_id, &v.cause, &v.outcome, &v.supersedes].map(Clone::clone)
        };
        let shown: BTreeMap<String, Vec<[String; 4]>> = cases
            .iter()
            .map(|(case_id, case)| (case_id.clone(), case.verdicts.iter().map(line).collect()))
            .collect();
        assert_eq!(written, shown);
    }

    /// Each open case has one verdict by the last change, with its case and in its place.
    pub fn assert_reviews_in_topic(&self, outcomes: &[&str]) {
        let reviews = self.wait_for_verdicts(outcomes.len(), |v| v.cause == self.cause);
        let mut found: Vec<_> = reviews.iter().map(|(_, v)| v.outcome.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, outcomes);
        let verdicts = self.wait_for_verdicts(0, |_| true);
        for (record, review) in &reviews {
            assert_eq!(record.key, review.case_id);
            assert_eq!(record.header("ce_id"), review.verdict_id);
            let before: Vec<_> = verdicts
                .iter()
                .filter(|(_, verdict)| review.supersedes() == verdict.verdict_id)
                .collect();
            let [(place, before)] = &before[..] else {
                panic!("it takes the place of one verdict: {before:#?}");
            };
            assert_eq!(before.case_id, review.case_id);
            assert_eq!(place.partition, record.partition);
        }
    }

    /// Each order lies once in its topic, as whoever is asked for orders shows it.
    pub fn assert_orders_in_topic(&self) {
        let records = self.wait_for("lift-orders", self.orders.len());
        assert_eq!(records.len(), self.orders.len(), "{records:#?}");
        let written: BTreeMap<String, (String, v1::LiftOrder)> = records
            .iter()
            .map(|record| {
                assert_eq!(record.header("ce_specversion"), "1.0");
                assert_eq!(record.header("ce_type"), LIFT_ORDER);
                assert_eq!(record.header("content-type"), "application/json");
                let order: v1::LiftOrder = record.json();
                (
                    record.header("ce_id").to_owned(),
                    (record.key.clone(), without_age(order)),
                )
            })
            .collect();
        let shown: BTreeMap<String, (String, v1::LiftOrder)> = self
            .orders
            .iter()
            .map(|order| {
                let order = without_age(order.clone());
                (order.order_id.clone(), (order.case_id.clone(), order))
            })
            .collect();
        assert_eq!(written, shown);
    }
}

/// A step of the bidder's that takes place now.
pub fn happens(case_id: &str, stage: &str) -> v1::Event {
    v1::Event {
        occurred_at: Some(creditgate_proto::encode::time_to_proto(now())),
        ..land::event(case_id, stage)
    }
}

pub fn message(event: &v1::Event) -> Value {
    let body = serde_json::to_value(event).expect("JSON");
    let envelope = Envelope {
        kind: EVENT,
        source: &event.source,
        id: &event.id,
        time: body["occurred_at"].as_str().expect("a time"),
    };
    envelope.message(&event.case_id, &body)
}

/// A report of the case with the clause.
fn report_message(report: &v1::Feedback) -> Value {
    let body = serde_json::to_value(report).expect("JSON");
    let envelope = Envelope {
        kind: FEEDBACK,
        source: "land",
        id: &report.feedback_id,
        time: body["executed_at"].as_str().expect("a time"),
    };
    envelope.message(WITH_CLAUSE, &body)
}

fn without_age(order: v1::LiftOrder) -> v1::LiftOrder {
    v1::LiftOrder { age_ms: 0, ..order }
}
