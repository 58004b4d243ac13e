//! What comes by time alone: recorded once, in order, also after a stop, and seen by a decision.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::State;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1::{self, lists_server::Lists as _};
use creditgate_registry::change::Change;
use creditgate_registry::{Registry, Service};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::ports::History;
use support::{Place, hour, id, row, rows, struck, until, used};
use tonic::Request;

const CHILD: &str = "REGISTRY_CLOCK_CHILD";

/// An entry whose last day this is.
fn ending(n: u64, last_day: &str) -> v1::Entry {
    v1::Entry {
        valid_to: last_day.to_owned(),
        ..row(n)
    }
}

/// The kinds and ids recorded so far, without marks.
fn recorded(registry: &Registry) -> Vec<(String, String)> {
    let struck = struck(registry).into_iter();
    let told = struck.map(|(_, kind, id, _)| (kind, id));
    told.filter(|(kind, _)| kind != "mark").collect()
}

fn told(kind: &str, n: u64) -> (String, String) {
    (kind.to_owned(), id(n))
}

#[tokio::test]
async fn an_entry_expires_by_time_alone_and_a_check_at_that_version_sees_it() {
    let (clock, hand) = Clock::stepped(hour("2026-06-01", 9).micros());
    let place = Place::new().with_clock(clock);
    let registry = place.open();
    let taken = vec![ending(1, "2026-06-02"), ending(2, "2026-06-30")];
    place.import(&registry, support::header(), taken).await;

    let last_moment = hour("2026-06-03", 0).plus_micros(-1);
    hand.set(last_moment.micros());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(recorded(&registry), [], "the last day is included");
    assert_eq!(used(&registry, 1, last_moment), (vec![id(1)], vec![]));

    hand.set(hour("2026-06-03", 0).micros());
    until("the end is recorded", || !recorded(&registry).is_empty()).await;
    assert_eq!(recorded(&registry), [told("ends", 1)]);
    // Before it stands the mark of the day that was passed over.
    let last = struck(&registry).pop();
    let (seq, _, _, due) = last.expect("a record");
    assert_eq!(due, hour("2026-06-03", 0));
    let log_id = Some(registry.past().log().log_id());
    let reached = registry.live().reach(log_id, seq, Duration::from_secs(5));
    reached.await.expect("the version is there");
    let (used, why) = used(&registry, 1, hour("2026-06-03", 0));
    assert_eq!((used, why), (vec![], vec!["expired".to_owned()]));

    // The entry stands as it was, and its history tells what came.
    let entry = registry
        .live()
        .load()
        .lists
        .entry(&id(1))
        .expect("it is there");
    assert_eq!(entry.last_state(), State::Effective);
    let ids = [id(1)].into_iter().collect();
    let history = registry
        .past()
        .changes_of(&ids, u64::MAX)
        .expect("a history");
    let last = history[&id(1)].last().expect("a change");
    assert_eq!(
        (last.action.as_str(), last.reason.as_str()),
        ("clock", "ends")
    );
    assert_eq!(last.seq, seq);
    registry.close().await;
}

#[tokio::test]
async fn what_came_while_nobody_ran_is_made_up_for_once() {
    let (clock, hand) = Clock::stepped(hour("2026-06-01", 9).micros());
    let place = Place::new().with_clock(clock.clone());
    let registry = place.open();
    let taken = vec![ending(1, "2026-06-02"), ending(2, "2026-06-05")];
    place.import(&registry, support::header(), taken).await;
    registry.close().await;

    hand.set(hour("2026-06-04", 9).micros());
    let registry = place.open();
    until("the first end", || recorded(&registry) == [told("ends", 1)]).await;
    registry.close().await;

    // Again at the same time, and with a clock that is behind: nothing is recorded twice.
    for now in [hour("2026-06-04", 9), hour("2026-06-01", 9)] {
        let place = Place::given(place.dir()).with_clock(Clock::stepped(now.micros()).0);
        let registry = place.open();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(recorded(&registry), [told("ends", 1)]);
        registry.close().await;
    }

    // A leap of a year brings everything, in order of time.
    let registry = place.open();
    hand.set(hour("2027-06-04", 9).micros());
    until("the second end", || recorded(&registry).len() >= 2).await;
    let ends: Vec<_> = recorded(&registry);
    let of = |n: u64| {
        let own: Vec<_> = ends.iter().filter(|(_, of)| *of == id(n)).collect();
        own.len()
    };
    assert_eq!((of(1), of(2)), (1, 1), "{ends:?}");
    let due: Vec<Time> = struck(&registry).into_iter().map(|(.., due)| due).collect();
    assert!(due.is_sorted(), "{due:?}");
    registry.close().await;
}

#[tokio::test]
async fn entries_that_had_expired_when_they_came_strike_nothing() {
    let (clock, hand) = Clock::stepped(hour("2026-06-01", 9).micros());
    let place = Place::new().with_clock(clock);
    let registry = place.open();
    let taken = (0..2_500).map(|n| ending(n, "2026-05-31")).collect();
    place.import(&registry, support::header(), taken).await;
    hand.set(hour("2026-06-03", 9).micros());
    until("the day's mark", || !struck(&registry).is_empty()).await;
    assert_eq!(recorded(&registry), []);
    registry.close().await;
    let registry = place.open();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(struck(&registry).len(), 1, "one mark a day");
    registry.close().await;
}

#[tokio::test]
async fn a_moment_that_is_taken_back_does_not_come() {
    let (clock, hand) = Clock::stepped(hour("2026-06-01", 9).micros());
    let place = Place::new().with_clock(clock);
    let registry = place.open();
    let taken = (1..=4).map(|n| ending(n, "2026-06-01")).collect();
    place.import(&registry, support::header(), taken).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // One ends later now, one was revoked, one is corrected to have ended long ago.
    let corrected = vec![ending(1, "2026-06-02"), ending(3, "2026-03-01")];
    place.import(&registry, support::header(), corrected).await;
    let revoke = support::state(&id(2), "REVOKED");
    registry.apply(revoke, &place.caller).await.expect("a step");
    hand.set(hour("2026-06-02", 1).micros());
    until("the end of the last", || !recorded(&registry).is_empty()).await;
    assert_eq!(recorded(&registry), [told("ends", 4)]);
    hand.set(hour("2026-06-03", 1).micros());
    until("the end of the first", || recorded(&registry).len() == 2).await;
    assert_eq!(recorded(&registry), [told("ends", 4), told("ends", 1)]);
    registry.close().await;
}

#[tokio::test]
async fn a_change_for_the_future_comes_in_its_time() {
    let (clock, hand) = Clock::stepped(hour("2026-06-01", 9).micros());
    let place = Place::new().with_clock(clock);
    let registry = place.open();
    place
        .import(&registry, support::header(), vec![row(1)])
        .await;
    let suspend = Change::State {
        entry_id: id(1).as_str().into(),
        to: State::Suspended,
        effective_at: Some(hour("2026-06-01", 12)),
        document_no: "示例1号".to_owned(),
        reason: "重整计划".to_owned(),
    };
    registry
        .apply(suspend, &place.caller)
        .await
        .expect("a step");
    assert_eq!(used(&registry, 1, hour("2026-06-01", 9)).0, [id(1)]);
    hand.set(hour("2026-06-01", 12).micros());
    until("the change", || !recorded(&registry).is_empty()).await;
    assert_eq!(recorded(&registry), [told("changes", 1)]);
    let (used, why) = used(&registry, 1, hour("2026-06-01", 12));
    assert_eq!((used, why), (vec![], vec!["suspended".to_owned()]));
    registry.close().await;
}

const MANY: u64 = 6_000;

/// The ends recorded so far of these entries, in order, by number.
fn ends(registry: &Registry) -> Vec<u64> {
    let recorded = recorded(registry).into_iter();
    let ends = recorded.filter(|(kind, _)| kind == "ends");
    ends.map(|(_, of)| (1..=9).find(|n| id(*n) == of).expect("one of these"))
        .collect()
}

/// A registry in whose directory a clock ran ahead by a year: entries 1 to 4 were struck, and 5 was
/// recorded in that future.
async fn ran_ahead(overlay_min: usize) -> Place {
    let (clock, hand) = Clock::stepped(hour("2026-06-01", 9).micros());
    let place = Place::new().with_clock(clock).with_overlay_min(overlay_min);
    let registry = place.open();
    let ended = ["2026-06-02", "2026-06-05", "2026-06-20", "2026-08-31"];
    let taken = (1..).zip(ended).map(|(n, day)| ending(n, day)).collect();
    place.import(&registry, support::header(), taken).await;
    hand.set(hour("2027-06-01", 9).micros());
    until("all ends", || ends(&registry).len() == 4).await;
    let taken = vec![ending(5, "2026-06-08")];
    place.import(&registry, support::header(), taken).await;
    let confirmed = registry.apply(support::confirm("B01"), &place.caller).await;
    confirmed.expect("confirmed in that future");
    assert_eq!(ends(&registry), [1, 2, 3, 4]);
    registry.close().await;
    place
}

#[tokio::test]
async fn what_a_clock_that_ran_ahead_had_struck_comes_again_when_it_is_set_back() {
    for overlay_min in [0, 20_000] {
        let place = ran_ahead(overlay_min).await;
        let (clock, hand) = Clock::stepped(hour("2026-06-03", 9).micros());
        let place = place.with_clock(clock);
        let registry = place.open();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(ends(&registry), [1, 2, 3, 4], "nothing has come");

        hand.set(hour("2026-06-06", 0).micros());
        until("its end", || ends(&registry).len() == 5).await;
        assert_eq!(ends(&registry), [1, 2, 3, 4, 2]);
        // Before it stands why it comes again.
        let before = struck(&registry).into_iter().rev().nth(1).expect("a mark");
        assert_eq!(
            (before.1.as_str(), before.3),
            ("mark", hour("2026-06-03", 9))
        );
        let newest = Some(hour("2026-06-06", 0));
        until("what is known", || registry.desk().newest == newest).await;
        registry.close().await;

        // What came while nobody ran is made up for, also of the entry that bears the wrong time.
        hand.set(hour("2026-06-21", 9).micros());
        let registry = place.open();
        until("two ends", || ends(&registry).len() == 7).await;
        assert_eq!(ends(&registry), [1, 2, 3, 4, 2, 5, 3]);
        registry.close().await;
        // Only now: a mark may come behind the ends.
        let desk = registry.desk();
        let registry = place.open();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(*registry.desk(), *desk);
        assert_eq!(ends(&registry).len(), 7, "each once");

        // The time that the wrong clock had been at comes and goes: nothing more.
        hand.set(hour("2027-09-01", 9).micros());
        until("the last end", || ends(&registry).len() == 8).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(ends(&registry), [1, 2, 3, 4, 2, 5, 3, 4]);
        registry.close().await;
    }
}

#[tokio::test]
async fn a_clock_that_stays_behind_the_log_is_recorded_as_set_back() {
    let place = ran_ahead(20_000).await;
    let (clock, hand) = Clock::stepped(hour("2026-06-03", 9).micros());
    let place = place.with_clock(clock);
    let registry = place.open();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(registry.desk().ran_ahead, None, "it may be set right yet");
    hand.advance(Duration::from_secs(61));
    until("the mark", || registry.desk().ran_ahead.is_some()).await;
    let desk = registry.desk();
    let ran_ahead = desk.ran_ahead.expect("it");
    assert_eq!(ran_ahead.set_back_to, hour("2026-06-03", 9));
    assert_eq!(ran_ahead.until, hour("2027-06-01", 9));
    assert_eq!(desk.clock_up_to, Some(ran_ahead.set_back_to));
    assert_eq!(ends(&registry), [1, 2, 3, 4]);
    registry.close().await;
}

#[tokio::test]
async fn a_list_confirmed_by_a_clock_that_ran_ahead_is_stale_until_it_is_confirmed_again() {
    for overlay_min in [0, 20_000] {
        let place = ran_ahead(overlay_min).await;
        let now = hour("2026-06-03", 9);
        let place = place.with_clock(Clock::stepped(now.micros()).0);
        let state = |registry: &Registry| {
            let service = Service::new(registry.clone());
            let mut asked = Request::new(v1::ListSourcesRequest {
                list: "B01".to_owned(),
            });
            asked.extensions_mut().insert(place.caller.clone());
            async move {
                let ages = service.list_sources(asked).await.expect("ages");
                let age = ages.into_inner().lists.remove(0);
                let of_source = age.sources.into_iter().map(|source| source.confirmed_at);
                (
                    age.state,
                    of_source.max_by_key(|at| at.map(|at| at.seconds)),
                )
            }
        };
        let registry = place.open();
        let (told, _) = state(&registry).await;
        assert_eq!(told, "stale");
        registry
            .apply(support::confirm("B01"), &place.caller)
            .await
            .expect("confirmed");
        let known = |registry: &Registry| {
            let live = registry.live().load();
            let event = support::evaluation(1, now);
            let then = registry
                .past()
                .lists_as_of(live.lists.version(), &event, &live.book)
                .expect("the lists of now");
            (live.lists.confirmed_at("B01"), then.confirmed_at("B01"))
        };
        assert_eq!(known(&registry), (Some(now), Some(now)));
        let (told, of_source) = state(&registry).await;
        assert_eq!(
            (told.as_str(), of_source),
            ("fresh", Some(Some(time_to_proto(now))))
        );
        registry.close().await;
        let registry = place.open();
        assert_eq!(known(&registry), (Some(now), Some(now)));
        registry.close().await;
    }
}

/// Not a test of its own: the process that is killed while it strikes.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let (clock, hand) = Clock::stepped(hour("2026-06-01", 9).micros());
    let place = Place::given(dir.as_ref()).with_clock(clock);
    let registry = place.open();
    let taken = (0..MANY).map(|n| ending(n, "2026-06-01")).collect();
    place.import(&registry, support::header(), taken).await;
    hand.set(hour("2026-06-02", 9).micros());
    until("the first run", || registry.desk().clock_place.is_some()).await;
    println!("\nstriking");
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn killed_between_two_runs_it_goes_on_where_it_was() {
    let (clock, _hand) = Clock::stepped(hour("2026-06-02", 10).micros());
    let place = Place::new().with_clock(clock);
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, place.dir())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut lines = lines.map(|line| line.expect("a line"));
    assert!(lines.any(|line| line == "striking"));
    child.kill().expect("kill it");
    child.wait().expect("its end");
    let registry = place.open();
    let last = (MANY - 1) as usize;
    until("all ends", || recorded(&registry).len() > last).await;
    let mut ends: Vec<_> = recorded(&registry).into_iter().map(|(_, id)| id).collect();
    ends.sort_unstable();
    assert!(ends.iter().eq((0..MANY).map(id).collect::<Vec<_>>().iter()));
    registry.close().await;
}

#[tokio::test]
async fn rows_that_came_before_strike_nothing_at_first() {
    let place = Place::new();
    let registry = place.open();
    place
        .import(&registry, support::header(), rows(0..10))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(struck(&registry), []);
    registry.close().await;
}
