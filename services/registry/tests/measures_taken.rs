//! That a measure has bitten is told to its subject: due from its record on, until its service.

mod support;

use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use creditgate_proto::v1::procedures_server::Procedures;
use creditgate_registry::{ProceduresService, Registry};
use creditgate_runtime::clock::{Clock, Hand};
use support::{Place, hour, id};
use tonic::{Code, Request, Status};

const NOTICE: &str = "N05";

/// A registry whose clock stands still at a day.
struct Desk {
    place: Place,
    registry: Registry,
    hand: Hand,
}

impl Desk {
    async fn on(day: &str, overlay_min: usize, rows: Vec<v1::Entry>) -> Self {
        let (clock, hand) = Clock::stepped(hour(day, 9).micros());
        let place = Place::new().with_clock(clock).with_overlay_min(overlay_min);
        let registry = place.open();
        let taken = rows.len() as u64;
        let summary = place.import(&registry, support::header(), rows).await;
        assert_eq!(summary.accepted, taken, "{summary:?}");
        Self {
            place,
            registry,
            hand,
        }
    }

    fn service(&self) -> ProceduresService {
        ProceduresService::new(self.registry.clone())
    }

    fn asked<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(self.place.caller.clone());
        request
    }

    async fn record(
        &self,
        asked: v1::RecordMeasureRequest,
    ) -> Result<v1::RecordMeasureResponse, Status> {
        let recorded = self.service().record_measure(self.asked(asked)).await?;
        Ok(recorded.into_inner())
    }

    async fn serve(&self, asked: v1::RecordServiceRequest) -> Result<(), Status> {
        let served = self.service().record_service(self.asked(asked)).await;
        served.map(drop)
    }

    /// Verdict and measure of each notice that is due, with its day and whether it is late.
    async fn due(&self) -> Vec<(String, String, String, bool)> {
        let asked = v1::ListDueRequest {
            kinds: vec!["notice".to_owned()],
            page_size: 1_000,
            ..Default::default()
        };
        let due = self.service().due(self.asked(asked)).await.expect("due");
        let due = due.into_inner().due.into_iter();
        due.filter(|due| due.notice == NOTICE)
            .inspect(|due| assert_eq!(due.authority, "示例审批局", "who carried it out"))
            .map(|due| (due.verdict_id, due.measure_id, due.day, due.overdue))
            .collect()
    }

    /// Verdict and measure of each notice of an entry, whether it is due, and its proof.
    async fn notices(&self, n: u64) -> Vec<(String, String, bool, String)> {
        let asked = v1::ListNoticesRequest { entry_id: id(n) };
        let notices = self.service().list_notices(self.asked(asked)).await;
        let notices = notices.expect("notices").into_inner().notices.into_iter();
        notices
            .filter(|notice| notice.notice == NOTICE)
            .map(|notice| {
                let due = notice.due_since.is_some();
                (notice.verdict_id, notice.measure_id, due, notice.proof)
            })
            .collect()
    }

    async fn text(&self, asked: v1::RenderNoticeRequest) -> Result<(String, Vec<String>), Status> {
        let asked = v1::RenderNoticeRequest {
            notice: NOTICE.to_owned(),
            entry_id: id(1),
            ..asked
        };
        let rendered = self.service().render_notice(self.asked(asked)).await?;
        let rendered = rendered.into_inner();
        Ok((rendered.text, rendered.missing))
    }

    fn seq(&self) -> u64 {
        self.registry.live().load().lists.version().seq
    }
}

/// An entry of the list on which M02, M03 and M04 rest.
fn row(n: u64) -> v1::Entry {
    v1::Entry {
        list: "B07".to_owned(),
        ..support::row(n)
    }
}

fn measure(verdict: &str, measure: &str) -> v1::RecordMeasureRequest {
    v1::RecordMeasureRequest {
        entry_id: id(1),
        verdict_id: verdict.to_owned(),
        measure_id: measure.to_owned(),
        case_id: "办件1".to_owned(),
        by: "示例审批局".to_owned(),
        at: Some(time_to_proto(hour("2026-06-01", 8))),
        document_no: "示例审1号".to_owned(),
        reason: "示例事由".to_owned(),
    }
}

fn service(verdict: &str, measure: &str, day: &str) -> v1::RecordServiceRequest {
    v1::RecordServiceRequest {
        entry_id: id(1),
        notices: vec![NOTICE.to_owned()],
        how: "post".to_owned(),
        proof: format!("示例回执{verdict}"),
        served_at: Some(time_to_proto(hour(day, 0))),
        by: "示例审批局".to_owned(),
        verdict_id: verdict.to_owned(),
        measure_id: measure.to_owned(),
        ..Default::default()
    }
}

fn due(verdict: &str, measure: &str, late: bool) -> (String, String, String, bool) {
    let (verdict, measure) = (verdict.to_owned(), measure.to_owned());
    (verdict, measure, "2026-06-01".to_owned(), late)
}

fn told(verdict: &str, measure: &str, is_due: bool) -> (String, String, bool, String) {
    let proof = match is_due {
        true => String::new(),
        false => format!("示例回执{verdict}"),
    };
    (verdict.to_owned(), measure.to_owned(), is_due, proof)
}

#[tokio::test]
async fn what_was_carried_out_is_due_for_each_verdict_and_measure_until_it_is_served() {
    // With a base at each step, and from the log alone.
    for overlay_min in [0, 20_000] {
        let mut desk = Desk::on("2026-06-01", overlay_min, vec![row(1), row(2)]).await;
        assert_eq!(desk.due().await, []);
        for (verdict, of) in [("V1", "M02"), ("V1", "M03"), ("V2", "M02")] {
            let recorded = desk.record(measure(verdict, of)).await.expect("recorded");
            let (known, notice) = (recorded.known, recorded.notice.as_str());
            assert_eq!((known, notice), (false, NOTICE));
        }
        let three = |late| {
            [
                due("V1", "M02", late),
                due("V1", "M03", late),
                due("V2", "M02", late),
            ]
        };
        assert_eq!(desk.due().await, three(false));
        desk.hand.set(hour("2026-06-02", 9).micros());
        assert_eq!(desk.due().await, three(true));

        desk.serve(service("V1", "M02", "2026-06-01"))
            .await
            .expect("served by its day");
        let left = [due("V1", "M03", true), due("V2", "M02", true)];
        assert_eq!(desk.due().await, left);
        let shown = [
            told("V1", "M03", true),
            told("V2", "M02", true),
            told("V1", "M02", false),
        ];
        assert_eq!(desk.notices(1).await, shown);
        assert_eq!(desk.notices(2).await, []);

        // All of it stands after a restart, and what was served is not due again when it is told again.
        if overlay_min == 0 {
            let rows = (10..60).map(row).collect();
            desk.place
                .import(&desk.registry, support::header(), rows)
                .await;
        }
        let before = desk.registry.desk();
        desk.registry.close().await;
        let bases = support::base_files(desk.place.dir()).len();
        assert_eq!(bases > 0, overlay_min == 0);
        desk.registry = desk.place.open();
        assert_eq!(desk.registry.desk().measures, before.measures);
        assert_eq!(desk.due().await, left);
        let again = desk.record(measure("V1", "M02")).await.expect("known");
        assert_eq!((again.known, again.notice.as_str()), (true, ""));
        assert_eq!(desk.due().await, left);
        assert_eq!(desk.notices(1).await, shown);
        desk.registry.close().await;
    }
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_other_content_is_refused_with_what_is_known() {
    let desk = Desk::on("2026-06-01", 20_000, vec![row(1)]).await;
    desk.record(measure("V1", "M02")).await.expect("recorded");
    let before = desk.seq();
    let again = desk.record(measure("V1", "M02")).await.expect("known");
    assert_eq!((again.known, again.notice.as_str()), (true, NOTICE));
    let other = v1::RecordMeasureRequest {
        document_no: "示例审2号".to_owned(),
        by: "另一示例局".to_owned(),
        ..measure("V1", "M02")
    };
    let refused = desk.record(other).await.expect_err("another content");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    for named in ["示例审1号", "2026-06-01", "by, document_no"] {
        assert!(refused.message().contains(named), "{refused:?}");
    }
    assert!(!refused.message().contains("示例审批局"), "{refused:?}");
    assert_eq!(desk.seq(), before);
    desk.registry.close().await;
}

#[tokio::test]
async fn a_measure_is_told_whole_of_an_entry_in_force_and_in_its_time() {
    let proposed = v1::Entry {
        state: "PROPOSED".to_owned(),
        ..row(2)
    };
    let honour = v1::Entry {
        list: "G02".to_owned(),
        severity: String::new(),
        ..row(3)
    };
    let desk = Desk::on("2026-06-01", 20_000, vec![row(1), proposed, honour]).await;
    let part = |change: fn(&mut v1::RecordMeasureRequest)| {
        let mut part = measure("V1", "M02");
        change(&mut part);
        part
    };
    let at = |day, hours| Some(time_to_proto(hour(day, hours)));
    let mut early = measure("V1", "M02");
    early.at = at("2026-01-04", 23);
    let mut future = measure("V1", "M02");
    future.at = at("2026-06-01", 10);
    let before = desk.seq();
    for (asked, field) in [
        (part(|asked| asked.entry_id.clear()), "entry_id"),
        (part(|asked| asked.verdict_id.clear()), "verdict_id"),
        (
            part(|asked| asked.verdict_id = "V 1".to_owned()),
            "verdict_id",
        ),
        (part(|asked| asked.measure_id.clear()), "measure_id"),
        (
            part(|asked| asked.measure_id = "M00".to_owned()),
            "measure_id",
        ),
        (
            part(|asked| asked.measure_id = "M15".to_owned()),
            "`M15` rests on D02, and the entry stands on B07",
        ),
        (
            part(|asked| asked.measure_id = "R01".to_owned()),
            "measure_id",
        ),
        (part(|asked| asked.by.clear()), "by"),
        (part(|asked| asked.at = None), "at"),
        (part(|asked| asked.document_no.clear()), "document_no"),
        (part(|asked| asked.reason = " ".to_owned()), "reason"),
        (early, "2026-01-05"),
        (future, "at: lies in the future"),
    ] {
        let refused = desk.record(asked).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().contains(field), "{field}: {refused:?}");
    }
    for (n, code, why) in [
        (2, Code::FailedPrecondition, "PROPOSED"),
        (3, Code::FailedPrecondition, "red list"),
        (9, Code::NotFound, "no entry"),
    ] {
        let asked = v1::RecordMeasureRequest {
            entry_id: id(n),
            ..measure("V1", "M02")
        };
        let refused = desk.record(asked).await.expect_err(why);
        assert_eq!(refused.code(), code, "{refused:?}");
        assert!(refused.message().contains(why), "{refused:?}");
    }
    assert_eq!(desk.seq(), before);
    assert_eq!(desk.due().await, []);
    desk.registry.close().await;
}

#[tokio::test]
async fn a_service_tells_of_a_measure_that_is_recorded_and_not_before_it() {
    let desk = Desk::on("2026-06-01", 20_000, vec![row(1)]).await;
    desk.record(measure("V1", "M02")).await.expect("recorded");
    let refused = desk.serve(service("V2", "M02", "2026-06-01")).await;
    let refused = refused.expect_err("a slip in the id");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("`M02` of verdict `V1`"));
    let other = v1::RecordServiceRequest {
        notices: vec!["N02".to_owned(), "N03".to_owned()],
        ..service("V1", "M02", "2026-06-01")
    };
    for (asked, field) in [
        (service("", "", "2026-06-01"), "verdict_id"),
        (service("V1", "", "2026-06-01"), "verdict_id"),
        (service("V1", "M02", "2026-05-31"), "served_at"),
        (other, "verdict_id"),
    ] {
        let refused = desk.serve(asked).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert!(refused.message().contains(field), "{refused:?}");
    }
    assert_eq!(desk.due().await, [due("V1", "M02", false)]);
    desk.serve(service("V1", "M02", "2026-06-01"))
        .await
        .expect("served");
    assert_eq!(desk.due().await, []);
    desk.registry.close().await;
}

#[tokio::test]
async fn its_text_takes_the_measure_and_its_basis_from_the_book() {
    let whole = v1::Entry {
        designated_by: "示例认定机关".to_owned(),
        reason: "示例列入事由".to_owned(),
        ..row(1)
    };
    let desk = Desk::on("2026-06-01", 20_000, vec![whole]).await;
    let (_, missing) = desk.text(Default::default()).await.expect("a text");
    for unknown in [
        "measure",
        "measure_basis",
        "decision",
        "implementer",
        "remedies",
    ] {
        assert!(missing.contains(&unknown.to_owned()), "{missing:?}");
    }
    desk.record(measure("V1", "M02")).await.expect("recorded");
    let (text, missing) = desk.text(Default::default()).await.expect("a text");
    for known in [
        "措施：取消投标资格一年至二年",
        "《中华人民共和国招标投标法》第五十三条",
        "示例审批局在办理",
        "期限届满自行恢复资格",
        "列入事由：示例列入事由\n决定理由：示例事由（示例审1号）\n",
    ] {
        assert!(text.contains(known), "{known}: {text}");
    }
    assert_eq!(missing, ["contact", "notice_date"]);

    // Of several, the one that is named; what the caller tells counts first.
    desk.record(measure("V2", "M03")).await.expect("recorded");
    let (_, missing) = desk.text(Default::default()).await.expect("a text");
    assert!(missing.contains(&"measure".to_owned()), "{missing:?}");
    let named = v1::RenderNoticeRequest {
        measure_id: "M02".to_owned(),
        values: [("implementer".to_owned(), "示例科".to_owned())].into(),
        ..Default::default()
    };
    let (text, _) = desk.text(named).await.expect("a text");
    assert!(text.contains("取消投标资格一年至二年") && text.contains("示例科在办理"));
    let unknown = v1::RenderNoticeRequest {
        measure_id: "M00".to_owned(),
        ..Default::default()
    };
    let refused = desk.text(unknown).await.expect_err("no such measure");
    assert_eq!(refused.code(), Code::InvalidArgument);
    desk.registry.close().await;
}
