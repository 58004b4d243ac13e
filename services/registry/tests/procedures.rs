//! Objections, repairs, talks, commitments, notices and the life of an entry, as they are recorded.

mod support;

use creditgate_measures::vocabulary::State;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use creditgate_proto::v1::procedures_server::Procedures;
use creditgate_registry::change::Change;
use creditgate_registry::procedures::table::{self, Kind, Outcome, Step};
use creditgate_registry::{ChangeError, ProceduresService, Registry};
use creditgate_runtime::clock::{Clock, Hand};
use support::{Place, hour, id, row};
use tonic::{Code, Request, Status};

/// A registry whose clock stands still at a day, and a client of its procedures.
struct Desk {
    place: Place,
    registry: Registry,
    hand: Hand,
}

impl Desk {
    async fn on(day: &str, rows: Vec<v1::Entry>) -> Self {
        let (clock, hand) = Clock::stepped(hour(day, 9).micros());
        let place = Place::new().with_clock(clock);
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

    fn day(&self, day: &str) {
        self.hand.set(hour(day, 9).micros());
    }

    async fn open(&self, asked: v1::OpenProcedureRequest) -> Result<v1::Procedure, Status> {
        let opened = self.service().open(self.asked(asked)).await?.into_inner();
        Ok(opened.procedure.expect("a procedure"))
    }

    async fn step(&self, asked: v1::StepProcedureRequest) -> Result<v1::ProcedureResponse, Status> {
        let stepped = self.service().step(self.asked(asked)).await?;
        Ok(stepped.into_inner())
    }

    fn seq(&self) -> u64 {
        self.registry.live().load().lists.version().seq
    }

    fn entry(&self, id: &str) -> creditgate_measures::entry::Entry {
        let live = self.registry.live().load();
        live.lists.entry(id).expect("an entry")
    }
}

fn opening(kind: Kind, entry_id: &str) -> v1::OpenProcedureRequest {
    v1::OpenProcedureRequest {
        kind: kind.code().to_owned(),
        entry_id: entry_id.to_owned(),
        by: "示例申请人".to_owned(),
        document_no: "示例收1号".to_owned(),
        reason: "示例事由".to_owned(),
        authority: "示例认定机关".to_owned(),
        ..Default::default()
    }
}

fn stepping(id: &str, step: Step, outcome: Option<Outcome>) -> v1::StepProcedureRequest {
    v1::StepProcedureRequest {
        procedure_id: id.to_owned(),
        step: step.code().to_owned(),
        outcome: outcome.map_or("", Outcome::code).to_owned(),
        by: "示例认定机关".to_owned(),
        document_no: "示例决2号".to_owned(),
        reason: "示例理由".to_owned(),
        scheduled_for: (step == Step::Scheduled).then(|| time_to_proto(hour("2026-07-01", 9))),
        place: match step {
            Step::Scheduled => "示例会议室".to_owned(),
            _ => String::new(),
        },
        attention_list: match step {
            Step::Broken => "A05".to_owned(),
            _ => String::new(),
        },
        region: match step {
            Step::Broken => "320500".to_owned(),
            _ => String::new(),
        },
        ..Default::default()
    }
}

/// An entry of a list on which repair is possible at once.
fn minor(n: u64) -> v1::Entry {
    v1::Entry {
        list: "B02".to_owned(),
        severity: "minor".to_owned(),
        valid_from: "2026-04-10".to_owned(),
        valid_to: String::new(),
        designated_by: "示例认定机关".to_owned(),
        ..row(n)
    }
}

/// Every way through a procedure: steps with their outcome.
fn ways(kind: Kind) -> Vec<Vec<(Step, Option<Outcome>)>> {
    let mut ways = Vec::new();
    let mut begun = vec![vec![]];
    while let Some(way) = begun.pop() {
        let first = match kind {
            // An objection is marked when it is opened.
            Kind::Objection => Step::Marked,
            kind => kind.opening(),
        };
        let state = way.last().map_or(first, |(step, _)| *step);
        for rule in table::TABLE {
            if rule.kind != kind || rule.after != Some(state) {
                continue;
            }
            let outcomes: Vec<_> = match rule.outcomes {
                [] => vec![None],
                outcomes => outcomes.iter().copied().map(Some).collect(),
            };
            for outcome in outcomes {
                let mut way = way.clone();
                way.push((rule.step, outcome));
                begun.push(way);
            }
        }
        ways.push(way);
    }
    ways
}

#[tokio::test]
async fn a_procedure_takes_the_steps_of_its_table_and_no_other() {
    let all: Vec<_> = Kind::ALL
        .iter()
        .flat_map(|kind| ways(*kind).into_iter().map(|way| (*kind, way)))
        .collect();
    let rows = (0..all.len() as u64).map(minor).collect();
    let desk = Desk::on("2026-06-01", rows).await;
    let (mut taken, mut refused) = (0, 0);
    for (n, (kind, way)) in (0..).zip(&all) {
        let opened = desk.open(opening(*kind, &id(n))).await.expect("it opens");
        let mut state = opened.possible;
        for (step, outcome) in way {
            let asked = stepping(&opened.procedure_id, *step, *outcome);
            let stepped = desk.step(asked).await.expect("a step of the table");
            state = stepped.procedure.expect("it").possible;
            taken += 1;
        }
        // Here everything that is not possible is refused, and leaves no trace.
        let before = desk.seq();
        for step in Step::ALL {
            let named = |told: &String| told.split('(').next() == Some(step.code());
            if state.iter().any(named) {
                continue;
            }
            let outcome = (*step == Step::Decided).then_some(Outcome::Upheld);
            let asked = stepping(&opened.procedure_id, *step, outcome);
            let status = desk.step(asked).await.expect_err("not in the table");
            assert_eq!(
                status.code(),
                Code::FailedPrecondition,
                "{kind:?} {way:?} {step:?}"
            );
            for possible in &state {
                assert!(status.message().contains(possible.as_str()), "{status:?}");
            }
            refused += 1;
        }
        assert_eq!(desk.seq(), before);
    }
    assert!(taken > 20 && refused > 200, "{taken} {refused}");
    desk.registry.close().await;
}

#[tokio::test]
async fn an_objection_is_marked_at_once_and_an_upheld_one_revokes() {
    let desk = Desk::on("2026-06-01", vec![row(1), row(2)]).await;
    let opened = desk
        .open(opening(Kind::Objection, &id(1)))
        .await
        .expect("it opens");
    assert_eq!(opened.state, "marked");
    assert!(desk.entry(&id(1)).objection_marked);
    let second = desk
        .open(opening(Kind::Objection, &id(1)))
        .await
        .expect_err("one is open");
    assert!(
        second.message().contains(&opened.procedure_id),
        "{second:?}"
    );

    // While it is with the provider it is only withdrawn.
    let at = &opened.procedure_id;
    desk.step(stepping(at, Step::PassedOn, None))
        .await
        .expect("passed on");
    let early = stepping(at, Step::Decided, Some(Outcome::Upheld));
    let early = desk.step(early).await.expect_err("no reply yet");
    assert!(early.message().contains("withdrawn"), "{early:?}");
    desk.step(stepping(at, Step::Replied, None))
        .await
        .expect("replied");
    let upheld = stepping(at, Step::Decided, Some(Outcome::Upheld));
    let upheld = desk.step(upheld).await.expect("decided");
    let entry = desk.entry(&id(1));
    assert_eq!(
        (entry.last_state(), entry.objection_marked),
        (State::Revoked, false)
    );
    let procedure = upheld.procedure.expect("it");
    assert_eq!(
        (procedure.open, procedure.outcome.as_str()),
        (false, "upheld")
    );
    let ids = [id(1)].into_iter().collect();
    let history = desk
        .registry
        .past()
        .changes_of(&ids, u64::MAX)
        .expect("a history");
    let revoked = history[&id(1)]
        .iter()
        .find(|change| change.to.as_deref() == Some("REVOKED"));
    let revoked = revoked.expect("a change");
    let told = (
        revoked.document_no.as_str(),
        revoked.reason.as_str(),
        revoked.caller.as_str(),
    );
    assert_eq!(told, ("示例决2号", "示例理由", "local"));

    // One that is rejected leaves the entry in force.
    let opened = desk
        .open(opening(Kind::Objection, &id(2)))
        .await
        .expect("it opens");
    let rejected = stepping(&opened.procedure_id, Step::Decided, Some(Outcome::Rejected));
    desk.step(rejected).await.expect("decided");
    let entry = desk.entry(&id(2));
    assert_eq!(
        (entry.last_state(), entry.objection_marked),
        (State::Effective, false)
    );
    desk.registry.close().await;
}

fn limits(procedure: &v1::Procedure) -> Vec<(&str, &str, &str)> {
    let limits = procedure.deadlines.iter();
    limits
        .map(|limit| {
            (
                limit.step.as_str(),
                limit.day.as_str(),
                limit.calendar.as_str(),
            )
        })
        .collect()
}

#[tokio::test]
async fn limits_count_over_the_national_day_by_the_calendar() {
    // Holiday from the 1st to the 7th; Saturday the 10th is worked.
    let desk = Desk::on("2026-09-30", vec![row(1)]).await;
    let opened = desk
        .open(opening(Kind::Objection, &id(1)))
        .await
        .expect("it opens");
    assert_eq!(
        limits(&opened),
        [
            ("decide", "2026-10-13", "declared"),
            ("pass_on", "2026-10-09", "declared")
        ]
    );
    desk.day("2026-10-09");
    let passed = stepping(&opened.procedure_id, Step::PassedOn, None);
    let passed = desk
        .step(passed)
        .await
        .expect("passed on")
        .procedure
        .expect("it");
    assert_eq!(limits(&passed), [("reply", "2026-10-15", "declared")]);

    // What is due is told, and when the day has passed that it is overdue.
    desk.day("2026-10-16");
    let asked = v1::ListDueRequest {
        kinds: vec!["limit".to_owned()],
        overdue: true,
        ..Default::default()
    };
    let due = desk
        .service()
        .due(desk.asked(asked))
        .await
        .expect("due")
        .into_inner()
        .due;
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].day.as_str(), due[0].overdue), ("2026-10-15", true));
    assert_eq!(due[0].title, "异议：信息提供单位作出处理决定");
    desk.registry.close().await;
}

#[tokio::test]
async fn a_repair_before_its_time_is_refused_with_the_day() {
    let serious = v1::Entry {
        severity: "serious".to_owned(),
        valid_from: "2026-04-10".to_owned(),
        valid_to: "2029-04-09".to_owned(),
        ..row(4)
    };
    let desk = Desk::on("2026-06-01", vec![serious]).await;
    let early = desk
        .open(opening(Kind::Repair, &id(4)))
        .await
        .expect_err("too early");
    assert_eq!(early.code(), Code::FailedPrecondition);
    assert!(early.message().contains("2027-04-10"), "{early:?}");
    // A day before is too early too; with the reason it is taken and marked as such.
    desk.day("2027-04-09");
    desk.open(opening(Kind::Repair, &id(4)))
        .await
        .expect_err("a day too early");
    let forced = v1::OpenProcedureRequest {
        force: true,
        ..opening(Kind::Repair, &id(4))
    };
    let forced = desk.open(forced).await.expect("with a reason");
    assert!(forced.steps[0].forced);
    let rejected = stepping(&forced.procedure_id, Step::Rejected, None);
    desk.step(rejected).await.expect("not accepted");

    desk.day("2027-04-10");
    let opened = desk
        .open(opening(Kind::Repair, &id(4)))
        .await
        .expect("in time");
    assert!(!opened.steps[0].forced);
    assert_eq!(
        opened
            .deadlines
            .iter()
            .map(|l| l.step.as_str())
            .collect::<Vec<_>>(),
        ["accept", "decide"]
    );
    let at = &opened.procedure_id;
    desk.step(stepping(at, Step::Accepted, None))
        .await
        .expect("accepted");
    desk.step(stepping(at, Step::Granted, None))
        .await
        .expect("granted");
    assert_eq!(desk.entry(&id(4)).last_state(), State::Repaired);
    desk.registry.close().await;
}

#[tokio::test]
async fn a_talk_needs_its_record_and_a_broken_commitment_only_proposes() {
    let desk = Desk::on("2026-06-01", vec![minor(1), minor(2)]).await;
    let talk = desk
        .open(opening(Kind::Talk, &id(1)))
        .await
        .expect("proposed");
    assert_eq!(talk.authority, "示例认定机关");
    let at = &talk.procedure_id;
    let scheduled = desk
        .step(stepping(at, Step::Scheduled, None))
        .await
        .expect("scheduled");
    assert_eq!(
        scheduled.procedure.as_ref().expect("it").place,
        "示例会议室"
    );
    // From the day that was set for it, the talk wants its record within three working days.
    let of_talk = |procedure: &v1::Procedure| {
        let limits = procedure.deadlines.iter();
        let limits = limits.map(|limit| {
            let (step, day) = (limit.step.as_str(), limit.day.as_str());
            format!("{step} {day} from {}", limit.counted_from)
        });
        limits.collect::<Vec<_>>()
    };
    let scheduled = scheduled.procedure.expect("it");
    assert_eq!(
        of_talk(&scheduled),
        [
            "hold 2026-06-15 from 2026-06-01",
            "record 2026-07-06 from 2026-07-01"
        ]
    );
    let record_due = |until: &str, overdue| v1::ListDueRequest {
        kinds: vec!["limit".to_owned()],
        until: until.to_owned(),
        overdue,
        ..Default::default()
    };
    let titles = |due: v1::ListDueResponse| {
        let due = due.due.into_iter();
        due.map(|due| (due.title, due.day, due.overdue))
            .collect::<Vec<_>>()
    };
    let hold = ("约谈：组织约谈".to_owned(), "2026-06-15".to_owned(), true);
    let record = |late| {
        let title = "约谈：形成约谈记录".to_owned();
        (title, "2026-07-06".to_owned(), late)
    };
    for (day, overdue, expected) in [
        ("2026-07-06", false, vec![hold.clone(), record(false)]),
        ("2026-07-06", true, vec![hold.clone()]),
        ("2026-07-07", true, vec![hold, record(true)]),
    ] {
        desk.day(day);
        let asked = desk.asked(record_due("", overdue));
        let due = desk.service().due(asked).await.expect("due");
        assert_eq!(titles(due.into_inner()), expected, "on {day}");
    }
    let no_record = v1::StepProcedureRequest {
        document_no: String::new(),
        ..stepping(at, Step::Held, None)
    };
    let no_record = desk.step(no_record).await.expect_err("no record");
    assert_eq!(no_record.code(), Code::InvalidArgument);
    let held = desk.step(stepping(at, Step::Held, None)).await;
    assert_eq!(
        of_talk(&held.expect("held").procedure.expect("it")),
        [""; 0]
    );
    let asked = desk.asked(record_due("", false));
    let due = desk.service().due(asked).await.expect("due");
    assert_eq!(titles(due.into_inner()), []);

    let made = v1::OpenProcedureRequest {
        until: "2026-07-30".to_owned(),
        ..opening(Kind::Commitment, &id(2))
    };
    let made = desk.open(made).await.expect("made");
    assert_eq!(limits(&made)[0], ("keep", "2026-07-30", "none"));
    let at = &made.procedure_id;
    let black = v1::StepProcedureRequest {
        attention_list: "B02".to_owned(),
        ..stepping(at, Step::Broken, None)
    };
    let black = desk.step(black).await.expect_err("no attention list");
    assert_eq!(black.code(), Code::InvalidArgument);
    let broken = desk
        .step(stepping(at, Step::Broken, None))
        .await
        .expect("broken");
    let proposed = broken.proposed.expect("an entry").entry.expect("it");
    assert_eq!(
        (proposed.state.as_str(), proposed.list.as_str()),
        ("PROPOSED", "A05")
    );
    assert_eq!(proposed.source_unit, "示例认定机关");
    assert_eq!(proposed.id, minor(2).id);
    assert_eq!(
        desk.entry(&id(2)).last_state(),
        State::Effective,
        "the other one stays"
    );
    desk.registry.close().await;
}

#[tokio::test]
async fn who_when_why_and_the_document_are_told_or_nothing_is_taken() {
    let desk = Desk::on("2026-06-01", vec![row(1)]).await;
    let whole = opening(Kind::Talk, &id(1));
    let part = |change: fn(&mut v1::OpenProcedureRequest)| {
        let mut part = whole.clone();
        change(&mut part);
        part
    };
    let future = time_to_proto(hour("2026-06-02", 9));
    for (asked, field) in [
        (part(|asked| asked.by.clear()), "by"),
        (part(|asked| asked.document_no.clear()), "document_no"),
        (part(|asked| asked.reason.clear()), "reason"),
        (part(|asked| asked.entry_id.clear()), "entry_id"),
        (part(|asked| asked.kind = "praise".to_owned()), "kind"),
        (
            v1::OpenProcedureRequest {
                at: Some(future),
                ..whole.clone()
            },
            "at",
        ),
    ] {
        let before = desk.seq();
        let status = desk.open(asked).await.expect_err(field);
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        assert!(status.message().contains(field), "{field}: {status:?}");
        assert_eq!(desk.seq(), before);
    }
    // A step is not before the one before it.
    let opened = desk.open(whole.clone()).await.expect("it opens");
    let earlier = v1::StepProcedureRequest {
        at: Some(time_to_proto(hour("2026-05-31", 9))),
        ..stepping(&opened.procedure_id, Step::Declined, None)
    };
    let earlier = desk.step(earlier).await.expect_err("before");
    assert_eq!(earlier.code(), Code::InvalidArgument);
    assert!(!format!("{whole:?}").contains("示例申请人"));
    desk.registry.close().await;
}

fn service(notices: &[&str], entry: u64, day: &str) -> v1::RecordServiceRequest {
    v1::RecordServiceRequest {
        entry_id: id(entry),
        notices: notices.iter().map(|notice| (*notice).to_owned()).collect(),
        how: "post".to_owned(),
        proof: "示例回执1号".to_owned(),
        served_at: Some(time_to_proto(hour(day, 8))),
        by: "示例认定机关".to_owned(),
        ..Default::default()
    }
}

fn due_notices(notices: &[v1::NoticeState]) -> Vec<&str> {
    let due = notices.iter().filter(|notice| notice.due_since.is_some());
    due.map(|notice| notice.notice.as_str()).collect()
}

#[tokio::test]
async fn two_documents_are_served_together_and_the_entry_counts_from_then() {
    let listed = || v1::Entry {
        valid_from: "2026-06-01".to_owned(),
        ..row(1)
    };
    let desk = Desk::on("2026-06-02", vec![listed()]).await;
    desk.day("2026-06-11");
    let of_entry = || v1::ListNoticesRequest { entry_id: id(1) };
    let notices = desk.service().list_notices(desk.asked(of_entry())).await;
    let notices = notices.expect("notices").into_inner().notices;
    assert_eq!(due_notices(&notices), ["N02", "N03"]);

    for alone in [&["N02"], &["N03"]] {
        let alone = desk.asked(service(alone, 1, "2026-06-10"));
        let alone = desk.service().record_service(alone).await;
        let alone = alone.expect_err("two documents together");
        assert_eq!(alone.code(), Code::FailedPrecondition);
        assert!(alone.message().contains("两书同达"), "{alone:?}");
    }
    assert_eq!(desk.entry(&id(1)).served_at, None);
    let both = service(&["N02", "N03"], 1, "2026-06-10");
    let served = desk
        .service()
        .record_service(desk.asked(both))
        .await
        .expect("served");
    assert!(served.into_inner().served_at_set);
    assert_eq!(desk.entry(&id(1)).served_at, Some(hour("2026-06-10", 8)));
    let notices = desk.service().list_notices(desk.asked(of_entry())).await;
    let notices = notices.expect("notices").into_inner().notices;
    assert_eq!(due_notices(&notices), [""; 0]);
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[0].proof, "示例回执1号");

    // It counts from the service on: not for an event before it.
    let used = |day| support::used(&desk.registry, 1, hour(day, 9));
    assert_eq!(
        used("2026-06-05"),
        (vec![], vec!["listed_after_the_fact".to_owned()])
    );
    assert_eq!(used("2026-06-10"), (vec![id(1)], vec![]));

    // The source knows nothing of it and says the same as before: nothing changes.
    let again = desk
        .place
        .import(&desk.registry, support::header(), vec![listed()])
        .await;
    assert_eq!(support::counts(&again), "received 1 unchanged 1");
    desk.registry.close().await;
}

#[tokio::test]
async fn a_notice_is_written_with_what_is_known_and_names_what_is_not() {
    let desk = Desk::on("2026-06-02", vec![minor(1)]).await;
    let asked = |values: &[(&str, &str)]| v1::RenderNoticeRequest {
        notice: "N02".to_owned(),
        entry_id: id(1),
        values: values
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..Default::default()
    };
    let rendered = desk.service().render_notice(desk.asked(asked(&[]))).await;
    let rendered = rendered.expect("a text").into_inner();
    assert!(rendered.text.contains("示例第1号公司"), "{}", rendered.text);
    assert!(
        rendered.missing.contains(&"contact".to_owned()),
        "{:?}",
        rendered.missing
    );
    assert!(!rendered.missing.contains(&"subject".to_owned()));
    let told = asked(&[("contact", "示例电话")]);
    let rendered = desk.service().render_notice(desk.asked(told)).await;
    let rendered = rendered.expect("a text").into_inner();
    assert!(rendered.text.contains("示例电话"));
    assert!(!rendered.missing.contains(&"contact".to_owned()));
    let wrong = desk
        .service()
        .render_notice(desk.asked(asked(&[("phone", "1")])))
        .await;
    assert_eq!(
        wrong.expect_err("no such place").code(),
        Code::InvalidArgument
    );
    desk.registry.close().await;
}

#[tokio::test]
async fn what_is_due_is_told_page_by_page() {
    let ending = |n: u64, last_day: &str| v1::Entry {
        valid_to: last_day.to_owned(),
        served_at: "2026-01-06".to_owned(),
        ..row(n)
    };
    let rows = (0..30)
        .map(|n| ending(n, if n < 20 { "2026-06-10" } else { "2026-07-10" }))
        .collect();
    let desk = Desk::on("2026-06-02", rows).await;
    let asked = |token: &str| v1::ListDueRequest {
        until: "2026-06-30".to_owned(),
        kinds: vec!["ends".to_owned()],
        page_size: 7,
        page_token: token.to_owned(),
        ..Default::default()
    };
    let (mut token, mut told) = (String::new(), Vec::new());
    loop {
        let page = desk
            .service()
            .due(desk.asked(asked(&token)))
            .await
            .expect("a page");
        let page = page.into_inner();
        told.extend(page.due.into_iter().map(|due| (due.day, due.entry_id)));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (0..20).map(|n| ("2026-06-10".to_owned(), id(n))).collect();
    assert_eq!(told, expected);
    let of_list = v1::ListDueRequest {
        list: "B02".to_owned(),
        page_size: 100,
        ..asked("")
    };
    let of_list = desk
        .service()
        .due(desk.asked(of_list))
        .await
        .expect("a page");
    assert_eq!(of_list.into_inner().due.len(), 5);
    desk.registry.close().await;
}

#[tokio::test]
async fn what_is_under_way_survives_a_restart_from_the_log_and_from_a_base() {
    for overlay_min in [1, 20_000] {
        let (clock, hand) = Clock::stepped(hour("2026-06-02", 9).micros());
        let place = Place::new().with_clock(clock).with_overlay_min(overlay_min);
        let registry = place.open();
        place
            .import(&registry, support::header(), vec![minor(1), minor(2)])
            .await;
        let desk = Desk {
            place,
            registry,
            hand,
        };
        let made = desk
            .open(opening(Kind::Repair, &id(1)))
            .await
            .expect("it opens");
        let opened = desk
            .open(opening(Kind::Objection, &id(2)))
            .await
            .expect("it opens");
        let both = service(&["N02", "N03"], 1, "2026-06-01");
        desk.service()
            .record_service(desk.asked(both))
            .await
            .expect("served");
        let before = desk.registry.desk();
        desk.registry.close().await;
        let desk = Desk {
            registry: desk.place.open(),
            ..desk
        };
        assert_eq!(*desk.registry.desk(), *before);
        desk.step(stepping(&made.procedure_id, Step::Accepted, None))
            .await
            .expect("on");
        desk.step(stepping(&opened.procedure_id, Step::PassedOn, None))
            .await
            .expect("on");
        let asked = v1::ListProceduresRequest {
            open: true,
            ..Default::default()
        };
        let open = desk
            .service()
            .list(desk.asked(asked))
            .await
            .expect("a list");
        assert_eq!(open.into_inner().procedures.len(), 2);
        desk.registry.close().await;
    }
}

#[tokio::test]
async fn an_entry_takes_the_steps_of_its_life_and_each_tells_who_when_why_and_by_what() {
    let (mut taken, mut refused) = (0, 0);
    let mut n = 0;
    let place = Place::new();
    let registry = place.open();
    for from in State::ALL {
        for to in State::ALL {
            n += 1;
            let entry = v1::Entry {
                state: from.code().to_owned(),
                state_since: "2026-01-05".to_owned(),
                ..row(n)
            };
            place
                .import(&registry, support::header(), vec![entry])
                .await;
            let at = hour("2026-05-04", 10);
            let change = Change::State {
                entry_id: id(n).as_str().into(),
                to: *to,
                effective_at: Some(at),
                document_no: format!("示例令{n}号"),
                reason: format!("事由{n}"),
            };
            let done = registry.apply(change, &place.caller).await;
            let ids = [id(n)].into_iter().collect();
            let history = registry
                .past()
                .changes_of(&ids, u64::MAX)
                .expect("a history");
            let last = history[&id(n)].last().expect("a change");
            if from.may_become(*to) {
                let entry = done.expect("a step").entry.expect("an entry");
                assert_eq!((entry.last_state(), entry.state_at(at)), (*to, *to));
                assert_eq!(entry.state_at(at.plus_micros(-1)), *from);
                assert_eq!(last.to.as_deref(), Some(to.code()));
                assert_eq!(last.effective_at, Some(time_to_proto(at)));
                let told = (
                    last.caller.as_str(),
                    last.reason.as_str(),
                    last.document_no.as_str(),
                );
                assert_eq!(
                    told,
                    ("local", &*format!("事由{n}"), &*format!("示例令{n}号"))
                );
                taken += 1;
            } else {
                assert!(
                    matches!(done, Err(ChangeError::Transition { .. })),
                    "{from} {to}"
                );
                assert_eq!(last.action, "created");
                refused += 1;
            }
        }
    }
    assert_eq!((taken, refused), (10, 26));
    registry.close().await;
}
