//! What cases tell of their reports is taken in once, whatever is read again.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use creditgate_measures::identifier::invented;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::journal::v1::{CasesRead, InspectionReported, ListsTold, MeasureTaken};
use creditgate_proto::v1;
use creditgate_proto::v1::procedures_server::Procedures;
use creditgate_registry::{ProceduresService, Registry, told};
use creditgate_runtime::ports::{NotFound, Telling, Tellings, TellingsRead};
use creditgate_runtime::shutdown::Shutdown;
use support::{Place, hour, id};
use tonic::{Code, Request};

/// A log of cases with these records.
struct Log {
    name: u8,
    records: Vec<Option<ListsTold>>,
    /// How often it was opened.
    opened: AtomicUsize,
}

struct Read {
    records: Vec<(u64, Option<ListsTold>)>,
    name: u8,
}

impl Tellings for Log {
    fn follow(&self, after: Option<&CasesRead>) -> Result<Box<dyn TellingsRead>, NotFound> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let after = after.filter(|after| after.log == [self.name]);
        let place = after.map_or(0, |after| after.place);
        let records = (1..).zip(self.records.iter().cloned());
        Ok(Box::new(Read {
            records: records.filter(|(number, _)| *number > place).collect(),
            name: self.name,
        }))
    }
}

impl TellingsRead for Read {
    fn next(&mut self, most: usize) -> Result<Vec<Telling>, NotFound> {
        if self.records.is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let next = self.records.drain(..most.min(self.records.len()));
        Ok(next
            .map(|(number, told)| Telling {
                place: CasesRead {
                    log: vec![self.name],
                    place: number,
                    position: number * 100,
                },
                told,
            })
            .collect())
    }
}

fn row(n: u64) -> v1::Entry {
    v1::Entry {
        list: "B07".to_owned(),
        ..support::row(n)
    }
}

fn measure(entry: u64, verdict: &str, on: Option<u32>) -> MeasureTaken {
    MeasureTaken {
        entry_id: id(entry),
        verdict_id: verdict.to_owned(),
        measure_id: "M02".to_owned(),
        case_id: "示例办件1号".to_owned(),
        by: "示例审批局".to_owned(),
        at: Some(time_to_proto(hour("2026-06-01", 8))),
        document_no: "示例决1号".to_owned(),
        on: on.map(|_| v1::RelatedSubject {
            role: "legal_representative".to_owned(),
            name: "某甲".to_owned(),
            ..v1::RelatedSubject::default()
        }),
        verdict_subject: on,
    }
}

fn tells(feedback_id: &str, measures: Vec<MeasureTaken>) -> Option<ListsTold> {
    Some(ListsTold {
        feedback_id: feedback_id.to_owned(),
        measures,
        reason: "依法限制".to_owned(),
        inspection: None,
    })
}

fn inspected(feedback_id: &str, list: &str) -> Option<ListsTold> {
    Some(ListsTold {
        feedback_id: feedback_id.to_owned(),
        inspection: Some(InspectionReported {
            feedback_id: feedback_id.to_owned(),
            subject: Some(v1::SubjectQuery {
                id_type: "USCC".to_owned(),
                id: invented::uscc(77),
                name: "示例受检公司".to_owned(),
                ..v1::SubjectQuery::default()
            }),
            kind: "enterprise".to_owned(),
            authority: "示例局".to_owned(),
            at: Some(time_to_proto(hour("2026-06-01", 8))),
            item: "消防安全".to_owned(),
            result: "failed".to_owned(),
            finding: "通道堵塞".to_owned(),
            attention_list: list.to_owned(),
            region: "320500".to_owned(),
            ..InspectionReported::default()
        }),
        ..ListsTold::default()
    })
}

/// Has a registry take in a log up to its end.
async fn take_in(registry: &Registry, log: &Arc<Log>) {
    let stop = Shutdown::new();
    let follow = told::follow(registry.clone(), Arc::clone(log) as Arc<_>, stop.clone());
    let following = tokio::spawn(follow);
    let last = log.records.len() as u64;
    let name = [log.name];
    let read = || registry.desk().cases.read.clone();
    while read().is_none_or(|read| read.log != name || read.place < last) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.request();
    following.await.expect("it ended").expect("well");
}

fn asked<T>(place: &Place, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(place.caller.clone());
    request
}

/// Entry, verdict and place in it of each notice of a measure that is due.
async fn due(place: &Place, registry: &Registry) -> Vec<(String, String, Option<u32>)> {
    let service = ProceduresService::new(registry.clone());
    let wanted = v1::ListDueRequest {
        kinds: vec!["notice".to_owned()],
        page_size: 1_000,
        ..Default::default()
    };
    let due = service.due(asked(place, wanted)).await.expect("due");
    let due = due.into_inner().due.into_iter();
    due.filter(|due| !due.measure_id.is_empty())
        .map(|due| (due.entry_id, due.verdict_id, due.verdict_subject))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_taken_in_once_also_when_the_log_is_another_one() {
    let place = Place::new();
    let registry = place.open();
    place
        .import(&registry, support::header(), vec![row(1), row(2)])
        .await;
    let records = vec![
        None,
        // Of two reports about one measure the first stands; what is not known holds up nobody.
        tells("f1", vec![measure(1, "V1", None), measure(9, "V1", None)]),
        tells("f2", vec![measure(1, "V1", None)]),
        None,
        tells("f3", vec![measure(1, "V2", None), measure(2, "V2", None)]),
        inspected("i1", "A01"),
        // No key-attention list: the inspection is recorded, and nothing is proposed.
        inspected("i2", "B03"),
    ];
    let log = |name: u8| {
        Arc::new(Log {
            name,
            records: records.clone(),
            opened: AtomicUsize::new(0),
        })
    };
    take_in(&registry, &log(1)).await;
    let expected = |places: &[(u64, &str)]| -> Vec<_> {
        let of = |(entry, verdict): &(u64, &str)| (id(*entry), (*verdict).to_owned(), None);
        places.iter().map(of).collect()
    };
    let told = expected(&[(1, "V1"), (1, "V2"), (2, "V2")]);
    assert_eq!(due(&place, &registry).await, told);
    let desk = registry.desk();
    let uscc = invented::uscc(77);
    let found = || {
        let inspections = desk.cases.inspections_of("USCC", &uscc);
        inspections
            .map(|one| (one.feedback_id.clone(), !one.proposed_entry_id.is_empty()))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(), [("i1".to_owned(), true), ("i2".to_owned(), false)]);
    let lists = registry.live().load_full();
    let proposed = desk.cases.inspections_of("USCC", &uscc);
    let proposed: Vec<_> = proposed
        .filter_map(|one| lists.lists.entry(&one.proposed_entry_id))
        .collect();
    assert_eq!(proposed.len(), 1);
    assert_eq!(proposed[0].last_state().code(), "PROPOSED");
    let entries = lists.lists.len();
    registry.close().await;

    // After a restart it reads on; a log of another name is read from its beginning, and everything is known.
    let registry = place.open();
    take_in(&registry, &log(1)).await;
    take_in(&registry, &log(2)).await;
    assert_eq!(due(&place, &registry).await, told);
    assert_eq!(registry.live().load_full().lists.len(), entries);
    registry.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_related_ones_each_is_told() {
    let place = Place::new();
    let registry = place.open();
    place
        .import(&registry, support::header(), vec![row(1)])
        .await;
    let log = Arc::new(Log {
        name: 1,
        records: vec![
            tells("f1", vec![measure(1, "V1", Some(1))]),
            tells("f2", vec![measure(1, "V1", Some(3))]),
            tells("f3", vec![measure(1, "V2", Some(2))]),
        ],
        opened: AtomicUsize::new(0),
    });
    take_in(&registry, &log).await;
    let of = |verdict: &str, place| (id(1), verdict.to_owned(), Some(place));
    assert_eq!(
        due(&place, &registry).await,
        [of("V1", 1), of("V1", 3), of("V2", 2)]
    );
    let service = ProceduresService::new(registry.clone());
    let served = |verdict: &str, on: Option<u32>| v1::RecordServiceRequest {
        entry_id: id(1),
        notices: vec!["N05".to_owned()],
        how: "post".to_owned(),
        proof: "示例回执1号".to_owned(),
        served_at: Some(time_to_proto(hour("2026-06-02", 8))),
        by: "示例局".to_owned(),
        verdict_id: verdict.to_owned(),
        measure_id: "M02".to_owned(),
        verdict_subject: on,
        ..v1::RecordServiceRequest::default()
    };
    let refused = service.record_service(asked(&place, served("V1", None)));
    let refused = refused.await.expect_err("whom?");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("1, 3"), "{refused:?}");
    for (verdict, on) in [("V1", Some(3)), ("V2", None)] {
        let done = service.record_service(asked(&place, served(verdict, on)));
        done.await.expect("served");
    }
    assert_eq!(due(&place, &registry).await, [of("V1", 1)]);
    let text = service.render_notice(asked(
        &place,
        v1::RenderNoticeRequest {
            notice: "N05".to_owned(),
            entry_id: id(1),
            ..v1::RenderNoticeRequest::default()
        },
    ));
    let text = text.await.expect("a text").into_inner().text;
    assert!(text.contains("\n某甲（（未载明））：\n"), "{text}");
    registry.close().await;
}
