//! The fence around canonical bytes: other systems keep the ids and digests made of them.
//!
//! When a test here fails, ids and digests have changed: every verdict in every journal would fail
//! its replay. Mend the code, not the values.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use creditgate_measures::Question;
use creditgate_measures::book::{BookVersion, Measure};
use creditgate_measures::canonical::{event_bytes, verdict_digest, verdict_id};
use creditgate_measures::event::{AttributeValue, Event, EventId, Source};
use creditgate_measures::verdict::{
    Cause, Contribution, Explained, Flag, NotChecked, NotCheckedWhy, Path, Verdict, VerdictDigest,
    VerdictId, Why,
};
use creditgate_measures::vocabulary::{Effect, Identity, NotUsable, Role, SubjectKind};
use support::*;

/// A change of one field, and its name.
type Change<T> = (&'static str, fn(&mut T));

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn id(source: &str, event: &str, cause: &Cause) -> String {
    verdict_id(&Source::new(source), &EventId::new(event), cause).to_string()
}

#[test]
fn the_id_of_a_verdict_is_fenced() {
    // UUIDv8 (RFC 9562) over SHA-256 of each part behind its length as eight bytes, lowest first.
    let check = |cause: Cause, expected: &str| {
        assert_eq!(id("系统", "1", &cause), expected, "{cause}");
    };
    check(Cause::Event, "67dd29da-ecaf-8e94-b6fc-be55b77a21d8");
    check(Cause::ListChange(7), "d09834ba-9e08-8244-97a7-6a0710ae089a");
    check(Cause::Clock(7), "de9be7dd-3eee-85ff-8351-483a416e5782");
    check(
        Cause::Book(BookVersion([7; 32])),
        "6886a1c2-b06c-823b-adc3-1b87b65296d8",
    );
}

#[test]
fn an_id_has_version_8_and_its_variant() {
    let id = verdict_id(&"系统".into(), &"1".into(), &Cause::Event);
    assert_eq!(id.0.get_version_num(), 8);
    assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
}

#[test]
fn parts_of_an_id_do_not_run_into_each_other() {
    assert_ne!(id("ab", "c", &Cause::Event), id("a", "bc", &Cause::Event));
    assert_ne!(id("", "abc", &Cause::Event), id("abc", "", &Cause::Event));
    assert_ne!(
        id("a", "event", &Cause::Event),
        id("aevent", "", &Cause::Event)
    );
    assert_ne!(
        id("a", "b", &Cause::ListChange(7)),
        id("a", "b", &Cause::Clock(7))
    );
    assert_ne!(
        id("a", "b", &Cause::ListChange(7)),
        id("a", "b", &Cause::ListChange(8))
    );
}

/// An event that has a value of every kind.
fn full_event() -> Event {
    let attributes = [
        ("days", AttributeValue::Int(-1)),
        ("green", AttributeValue::Bool(true)),
        (
            "parts",
            AttributeValue::List(vec!["甲".into(), "乙".into()]),
        ),
        ("trade", AttributeValue::Text("E47".into())),
    ];
    Event {
        item_code: Some("0001".into()),
        amount_fen: Some(100_000),
        purpose: Some("evaluation".into()),
        attributes: attributes.map(|(name, value)| (name.into(), value)).into(),
        ..evaluation([
            of_party("一标", named(bidder(1), "东方广贸有限公司")),
            nameless(Role::Agent, "某代理有限公司"),
        ])
    }
}

#[test]
fn the_bytes_of_an_event_are_fenced() {
    use sha2::{Digest, Sha256};
    let bytes = event_bytes(&full_event());
    assert_eq!(
        hex(&Sha256::digest(&bytes)),
        "2fb3029edc806cdd1f77f22a9cbd249a4460f740f735696978d5dacd7662566c"
    );
    // A small one in full: tag, length, value.
    let small = Event {
        source: "s".into(),
        id: "e".into(),
        case_id: "c".into(),
        scenario: "t".into(),
        stage: "b".into(),
        clock_filled: true,
        ..evaluation([])
    };
    let text = |tag: u8, text: &str| {
        // A length below 128 is one byte.
        let mut bytes = vec![tag, u8::try_from(text.len()).expect("a short text")];
        bytes.extend(text.bytes());
        bytes
    };
    let expected = [
        (1, "s"),
        (2, "e"),
        (3, "c"),
        (4, "t"),
        (5, "b"),
        (7, "320500"),
    ];
    let expected: Vec<u8> = expected.iter().flat_map(|(tag, t)| text(*tag, t)).collect();
    assert_eq!(hex(&event_bytes(&small)), hex(&expected));
}

#[test]
fn every_field_of_an_event_changes_its_bytes() {
    let changes: &[Change<Event>] = &[
        ("source", |e| e.source = "x".into()),
        ("id", |e| e.id = "x".into()),
        ("case", |e| e.case_id = "x".into()),
        ("scenario", |e| e.scenario = "x".into()),
        ("stage", |e| e.stage = "x".into()),
        ("occurred_at", |e| {
            e.occurred_at = e.occurred_at.plus_micros(1)
        }),
        ("clock_filled", |e| e.clock_filled = true),
        ("region", |e| e.region = region("320505")),
        ("item_code", |e| e.item_code = None),
        ("item_code empty", |e| e.item_code = Some("".into())),
        ("amount", |e| e.amount_fen = Some(100_001)),
        ("amount absent", |e| e.amount_fen = None),
        ("purpose", |e| e.purpose = None),
        ("subject gone", |e| drop(e.subjects.pop())),
        ("subjects swapped", |e| e.subjects.reverse()),
        ("party", |e| e.subjects[0].party = None),
        ("role", |e| e.subjects[0].role = Role::Supplier),
        ("kind", |e| e.subjects[0].kind = None),
        ("given", |e| e.subjects[0].given = None),
        ("given raw value", |e| {
            // One subject, written in lower case: what was given is kept as it came.
            let given = e.subjects[0].given.as_mut().expect("given");
            let lower = given.value.reveal().to_lowercase();
            given.value = creditgate_measures::event::Sensitive::new(lower);
        }),
        ("issuer", |e| {
            e.subjects[0].given.as_mut().expect("given").issuer = Some("某市".into());
        }),
        ("name", |e| e.subjects[0].name = None),
        ("attribute gone", |e| drop(e.attributes.remove("trade"))),
        ("attribute renamed", |e| {
            let value = e.attributes.remove("trade").expect("trade");
            e.attributes.insert("trades".into(), value);
        }),
        ("text to list", |e| {
            let list = AttributeValue::List(vec!["E47".into()]);
            e.attributes.insert("trade".into(), list);
        }),
        ("int to text", |e| {
            let text = AttributeValue::Text("-1".into());
            e.attributes.insert("days".into(), text);
        }),
        ("bool", |e| {
            e.attributes
                .insert("green".into(), AttributeValue::Bool(false));
        }),
        ("bool to int", |e| {
            e.attributes.insert("green".into(), AttributeValue::Int(1));
        }),
        ("list joined", |e| {
            e.attributes
                .insert("parts".into(), AttributeValue::List(vec!["甲乙".into()]));
        }),
        ("list swapped", |e| {
            let list = vec!["乙".into(), "甲".into()];
            e.attributes
                .insert("parts".into(), AttributeValue::List(list));
        }),
    ];
    let mut seen = BTreeMap::from([(event_bytes(&full_event()), "unchanged")]);
    for (what, change) in changes {
        let mut event = full_event();
        change(&mut event);
        let same = seen.insert(event_bytes(&event), what);
        assert_eq!(same, None, "{what}");
    }
}

#[test]
fn what_the_clock_filled_in_is_left_out_of_an_event() {
    let filled = |when: &str| Event {
        occurred_at: on(when),
        clock_filled: true,
        ..full_event()
    };
    assert_eq!(
        event_bytes(&filled("2026-06-01 10:00")),
        event_bytes(&filled("2026-06-01 10:01"))
    );
}

/// A verdict that has something of everything.
fn full_verdict() -> Verdict {
    use std::cell::OnceCell;
    thread_local! { static MADE: OnceCell<Verdict> = const { OnceCell::new() }; }
    MADE.with(|made| made.get_or_init(make_full_verdict).clone())
}

fn make_full_verdict() -> Verdict {
    let catalogue = row("
        id: P1
        lists: [B07]
    ")
    .row(
        "
        id: P2
        lists: [B07]
        effect: NOTICE
    ",
    )
    .row(
        "
        id: P3
        lists: [B02]
        force: may
    ",
    )
    .row(
        "
        id: R1
        direction: incentive
        effect: PRIORITY
        lists: [G02]
    ",
    )
    .row(
        "
        id: R2
        direction: incentive
        effect: BONUS
        lists: [G02]
        excluded_by: [{ list: B07, basis: { law: 某令, level: department_rule } }]
    ",
    );
    let mut world = catalogue
        .with([
            listed("E1", "B07", uscc(1)),
            listed("E2", "B02", uscc(1)),
            listed("E3", "G02", uscc(1)),
        ])
        .confirmed("B02", "2026-05-31 09:00");
    world.lists.advance(42);
    let event = full_event();
    let cause = Cause::ListChange(42);
    let question = Question {
        event: &event,
        cause: &cause,
        supersedes: Some(VerdictId(uuid::Uuid::nil())),
        lists_behind: false,
    };
    let mut verdict = world.judge(question, on("2026-06-01 10:30"));
    // The version of the book is the hash of its files, which this test is not about.
    verdict.book_version = BookVersion([7; 32]);
    verdict
}

#[test]
fn the_digest_of_a_verdict_is_fenced() {
    let verdict = full_verdict();
    assert_eq!(
        told(&verdict),
        dedent(
            "
            event PROHIBIT effect=PROHIBIT review proposed=PROHIBIT code=10 [lists_stale]
            not checked B02: stale
            party 一标 PROHIBIT effect=PROHIBIT review proposed=PROHIBIT code=10
            bidder verified PROHIBIT effect=PROHIBIT review proposed=PROHIBIT code=10
              P1 effect PROHIBIT on E1 of B07 by identifier also P2
              P3 proposed PROHIBIT (discretion, list_stale) on E2 of B02 by identifier
              R1 offered PRIORITY on E3 of G02 by identifier
              R2 withheld BONUS (excluded_by:B07) on E3 of G02 by identifier
            agent unverified MANUAL_REVIEW review [subject_unverified]
            "
        )
    );
    assert_eq!(
        verdict_digest(&verdict).to_string(),
        "ceba86d9578620450359a4435437f3948e4637e01efb8af38ed9fb4ce6debdfd"
    );
}

#[test]
fn the_digest_leaves_out_engine_itself_and_explanation() {
    let verdict = full_verdict();
    let digest = verdict_digest(&verdict);
    let check = |what: &str, change: &dyn Fn(&mut Verdict)| {
        let mut changed = full_verdict();
        change(&mut changed);
        assert_eq!(verdict_digest(&changed), digest, "{what}");
    };
    check("engine", &|v| v.engine_version = "another");
    check("digest", &|v| v.digest = VerdictDigest([9; 32]));
    check("explanation", &|v| {
        v.explanation.push(Explained {
            subject: 0,
            entry_id: "E9".into(),
            list: "B07".into(),
            path: Path::Identifier,
            reason: NotUsable::Repaired,
        });
    });
}

/// The row under another id or first day.
fn other_row(row: &Arc<Measure>, change: impl Fn(&mut Measure)) -> Arc<Measure> {
    let mut other = Measure::clone(row);
    change(&mut other);
    Arc::new(other)
}

#[test]
fn every_other_field_changes_the_digest() {
    let changes: &[Change<Verdict>] = &[
        ("verdict_id", |v| {
            v.verdict_id = VerdictId(uuid::Uuid::max())
        }),
        ("source", |v| v.source = "x".into()),
        ("event_id", |v| v.event_id = "x".into()),
        ("case_id", |v| v.case_id = "x".into()),
        ("scenario", |v| v.scenario = "x".into()),
        ("stage", |v| v.stage = "x".into()),
        ("cause", |v| v.cause = Cause::Event),
        ("effect", |v| v.decision.effect = None),
        ("effect weaker", |v| {
            v.decision.effect = Some(Effect::Restrict)
        }),
        ("review", |v| v.decision.review = false),
        ("proposed", |v| v.decision.proposed = None),
        ("result code", |v| v.decision.result_code = 8),
        ("party name", |v| v.parties[0].party = "x".into()),
        ("party effect", |v| v.parties[0].decision.effect = None),
        ("party review", |v| v.parties[0].decision.review = false),
        ("party proposed", |v| v.parties[0].decision.proposed = None),
        ("party code", |v| v.parties[0].decision.result_code = 0),
        ("party twice", |v| v.parties.push(v.parties[0].clone())),
        ("subject party", |v| v.subjects[0].party = 1),
        ("subject role", |v| v.subjects[0].role = Role::Supplier),
        ("subject kind", |v| v.subjects[0].kind = None),
        ("subject other kind", |v| {
            v.subjects[0].kind = Some(SubjectKind::GovernmentBody);
        }),
        ("subject identity", |v| {
            v.subjects[0].identity = Identity::Unlinked
        }),
        ("subject effect", |v| v.subjects[0].decision.effect = None),
        ("subject review", |v| v.subjects[0].decision.review = false),
        ("subject proposed", |v| {
            v.subjects[0].decision.proposed = None
        }),
        ("subject code", |v| v.subjects[0].decision.result_code = 0),
        ("subject flag", |v| {
            v.subjects[0].flags.push(Flag::KindConflict)
        }),
        ("missing check", |v| {
            v.subjects[0].flags.push(Flag::MissingCheck("bid".into()))
        }),
        ("missing other", |v| {
            v.subjects[0].flags.push(Flag::MissingCheck("award".into()))
        }),
        ("subjects swapped", |v| v.subjects.reverse()),
        ("subject gone", |v| drop(v.subjects.pop())),
        ("row", |v| {
            let t = &mut v.subjects[0].triggered[0];
            t.measure = other_row(&t.measure, |row| row.id = "P9".into());
        }),
        ("version of the row", |v| {
            let t = &mut v.subjects[0].triggered[0];
            t.measure = other_row(&t.measure, |row| {
                row.effective_from = Some(day("2021-01-01"))
            });
        }),
        ("row effect", |v| {
            v.subjects[0].triggered[0].effect = Effect::Restrict
        }),
        ("contributes", |v| {
            v.subjects[0].triggered[0].contributes = Contribution::Proposed;
        }),
        ("why", |v| {
            v.subjects[0].triggered[0].why.push(Why::NameOnly)
        }),
        ("why with list", |v| {
            v.subjects[0].triggered[0]
                .why
                .push(Why::AttributeMissing("a".into()));
        }),
        ("also", |v| v.subjects[0].triggered[0].also.clear()),
        ("entry", |v| v.subjects[0].triggered[0].entry = None),
        ("entry id", |v| {
            v.subjects[0].triggered[0]
                .entry
                .as_mut()
                .expect("entry")
                .entry_id = "E9".into();
        }),
        ("entry list", |v| {
            v.subjects[0].triggered[0]
                .entry
                .as_mut()
                .expect("entry")
                .list = "B09".into();
        }),
        ("entry document", |v| {
            v.subjects[0].triggered[0]
                .entry
                .as_mut()
                .expect("entry")
                .document_no = None;
        }),
        ("entry path", |v| {
            v.subjects[0].triggered[0]
                .entry
                .as_mut()
                .expect("entry")
                .path = Path::Name;
        }),
        ("triggered gone", |v| drop(v.subjects[0].triggered.pop())),
        ("offered gone", |v| drop(v.subjects[0].offered.pop())),
        ("withheld why", |v| {
            v.subjects[0].withheld[0].withheld = vec![Why::ListStale]
        }),
        ("offered is withheld", |v| {
            let offered = v.subjects[0].offered.pop().expect("offered");
            v.subjects[0].withheld.push(offered);
        }),
        ("reward row", |v| {
            let i = &mut v.subjects[0].offered[0];
            i.measure = other_row(&i.measure, |row| row.id = "R9".into());
        }),
        ("reward entry", |v| v.subjects[0].offered[0].entry = None),
        ("flags", |v| v.flags.clear()),
        ("flag more", |v| v.flags.push(Flag::ScenarioUnknown)),
        ("flag of the book", |v| v.flags.push(Flag::BookUnsigned)),
        ("not checked list", |v| v.not_checked[0].list = "B03".into()),
        ("not checked why", |v| {
            v.not_checked[0].why = NotCheckedWhy::NotLoaded
        }),
        ("not checked more", |v| {
            v.not_checked.push(NotChecked {
                list: "B09".into(),
                why: NotCheckedWhy::NotConnected("尚未归集".into()),
            });
        }),
        ("log", |v| v.list_version.log_id = uuid::Uuid::max()),
        ("seq", |v| v.list_version.seq = 43),
        ("lists as of", |v| v.lists_as_of = None),
        ("list age", |v| v.list_age_ms = None),
        ("book", |v| v.book_version = BookVersion([8; 32])),
        ("occurred", |v| v.occurred_at = v.occurred_at.plus_micros(1)),
        ("evaluated", |v| {
            v.evaluated_at = v.evaluated_at.plus_micros(1)
        }),
        ("supersedes", |v| v.supersedes = None),
    ];
    let mut seen = BTreeMap::from([(verdict_digest(&full_verdict()), "unchanged")]);
    for (what, change) in changes {
        let mut verdict = full_verdict();
        change(&mut verdict);
        let same = seen.insert(verdict_digest(&verdict), what);
        assert_eq!(same, None, "{what}");
    }
}

#[test]
fn causes_are_read_as_they_are_printed() {
    let check = |text: &str, expected: &str| {
        let shown = Cause::parse(text).map_or("none".to_owned(), |cause| cause.to_string());
        assert_eq!(shown, expected);
    };
    check("event", "event");
    check("list_change:17", "list_change:17");
    check("clock:1", "clock:1");
    let book = format!("book:{}", "0a".repeat(32));
    check(&book, &book);
    check("book:0a", "none");
    check("clock:", "none");
    check("moon:1", "none");
}
