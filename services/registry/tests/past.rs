//! What was known at an earlier version decides as it did then; compared on random changes.

mod support;

use creditgate_measures::case::CaseView;
use creditgate_measures::event::{Event, GivenIdentifier, Region, Sensitive, Subject};
use creditgate_measures::identifier::{IdType, invented};
use creditgate_measures::lists::ListVersion;
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Role, State};
use creditgate_measures::{Question, decide};
use creditgate_proto::v1;
use creditgate_registry::change::Change;
use creditgate_runtime::ports::{History, HistoryError};
use support::random::Random;
use support::{Place, confirm};

const FIRMS: u64 = 12;

fn name(n: u64) -> String {
    format!("示例{n}号公司")
}

/// An entry of few firms, with identifiers of several kinds, aliases, relations, or a name only.
fn entry(random: &mut Random) -> v1::Entry {
    let firm = random.below(FIRMS);
    let (id_type, id) = match random.below(5) {
        0 => ("ORG9", invented::org9(firm)),
        1 => ("REG15", invented::reg15(firm)),
        2 => ("", String::new()),
        _ => ("USCC", invented::uscc(firm)),
    };
    let alias = random.below(FIRMS);
    v1::Entry {
        entry_id: support::id(random.below(40)),
        list: "B01".to_owned(),
        id_type: id_type.to_owned(),
        id,
        name: name(random.below(FIRMS)),
        severity: "serious".to_owned(),
        document_no: "示例1号".to_owned(),
        valid_from: "2026-01-05".to_owned(),
        aliases: match random.below(3) {
            0 if !id_type.is_empty() => vec![v1::Alias {
                id_type: "REG15".to_owned(),
                id: invented::reg15(alias),
                issuer: String::new(),
            }],
            _ => Vec::new(),
        },
        related: match random.below(3) {
            0 => vec![v1::RelatedSubject {
                role: "actual_controller".to_owned(),
                id_type: "USCC".to_owned(),
                id: invented::uscc(random.below(FIRMS)),
                ..Default::default()
            }],
            _ => Vec::new(),
        },
        ..Default::default()
    }
}

fn event(random: &mut Random, at: Time) -> Event {
    let mut subjects = Vec::new();
    for _ in 0..=random.below(3) {
        let firm = random.below(FIRMS);
        let given = match random.below(4) {
            0 => Some((IdType::Reg15, invented::reg15(firm))),
            1 => Some((IdType::Org9, invented::org9(firm))),
            2 => None,
            _ => Some((IdType::Uscc, invented::uscc(firm))),
        };
        let given = given.map(|(id_type, value)| GivenIdentifier {
            id_type,
            value: Sensitive::new(value),
            issuer: None,
        });
        let called = Some(Sensitive::new(name(random.below(FIRMS))));
        subjects.push(Subject::new(None, Role::Bidder, None, given, called));
    }
    Event {
        source: "test".into(),
        id: "1".into(),
        case_id: "C1".into(),
        scenario: "tender".into(),
        stage: "evaluate".into(),
        occurred_at: at,
        clock_filled: false,
        region: Region::parse("320500").expect("a region"),
        item_code: None,
        amount_fen: None,
        purpose: None,
        subjects,
        attributes: std::collections::BTreeMap::new(),
    }
}

#[tokio::test]
async fn lists_as_of_a_version_decide_as_all_lists_did_then() {
    let mut random = Random::seeded(0x5eed_0000_0001);
    let place = Place::new().with_overlay_min(25);
    let mut registry = place.open();
    let mut then = Vec::new();
    for round in 0..60 {
        match random.below(8) {
            0 => {
                let _ = registry.apply(confirm("B01"), &place.caller).await;
            }
            1 | 2 => {
                let to = *random.one_of(State::ALL);
                let id = support::id(random.below(40));
                let _ = registry
                    .apply(support::state(&id, to.code()), &place.caller)
                    .await;
            }
            3 => {
                let objection = Change::Objection {
                    entry_id: support::id(random.below(40)).as_str().into(),
                    marked: random.below(2) == 0,
                    reason: String::new(),
                };
                let _ = registry.apply(objection, &place.caller).await;
            }
            _ => {
                let skip = v1::ImportHeader {
                    on_error: "skip".to_owned(),
                    ..support::header()
                };
                let rows = (0..=random.below(6)).map(|_| entry(&mut random)).collect();
                place.import(&registry, skip, rows).await;
            }
        }
        if round == 30 {
            registry.close().await;
            registry = place.open();
        }
        then.push(registry.live().load_full());
    }
    let at = then
        .last()
        .expect("a round")
        .lists
        .confirmations()
        .values()
        .next()
        .copied();
    let at = at
        .unwrap_or(Time::from_micros(1_800_000_000_000_000))
        .plus_seconds(60);
    let (mut hits, mut compared) = (0, 0);
    for _ in 0..400 {
        let event = event(&mut random, at);
        let generation = random.one_of(&then);
        let version = generation.lists.version();
        let lists = registry
            .past()
            .lists_as_of(version, &event, &generation.book)
            .expect("a version of this log");
        let judge = |lists| {
            decide(
                Question::about(&event),
                at,
                &CaseView::default(),
                lists,
                &generation.book,
            )
        };
        let (expected, found) = (judge(&generation.lists), judge(&lists));
        assert_eq!(
            format!("{found:?}"),
            format!("{expected:?}"),
            "version {version}"
        );
        assert_eq!(found.digest, expected.digest);
        compared += 1;
        hits += usize::from(expected.decision.result_code != 0 || !expected.explanation.is_empty());
    }
    println!("{compared} compared, {hits} with entries found");
    assert!(
        hits > 100,
        "too few entries were found for this to say anything"
    );
    registry.close().await;
}

#[tokio::test]
async fn a_version_of_another_log_or_of_the_future_is_unknown() {
    let place = Place::new();
    let registry = place.open();
    let version = registry.live().load().lists.version();
    let mut random = Random(7);
    let event = event(&mut random, Time::from_micros(1_800_000_000_000_000));
    let book = registry.live().load().book.clone();
    let check = |version| {
        let told = registry.past().lists_as_of(version, &event, &book);
        assert!(matches!(told, Err(HistoryError::Unknown(_))));
    };
    check(ListVersion {
        seq: version.seq + 1,
        ..version
    });
    check(ListVersion {
        log_id: uuid::Uuid::nil(),
        ..version
    });
    registry.close().await;
}

#[tokio::test]
async fn earlier_books_are_told_from_the_log() {
    let mut place = Place::new();
    let registry = place.open();
    let first = registry.live().load().book.version();
    registry.close().await;
    place.book[0]
        .text
        .push_str("\n# another edition of the same\n");
    let registry = place.open();
    let second = registry.live().load().book.version();
    assert_ne!(first, second);
    let told = registry.past().book(first).expect("an earlier book");
    assert_eq!(told.version(), first);
    let unknown = registry
        .past()
        .book(creditgate_measures::book::BookVersion([1; 32]));
    assert!(matches!(unknown, Err(HistoryError::Unknown(_))));
    registry.close().await;
}
