//! Two answers of one decision slot: another process answered an event that was answered here too.

use creditgate_measures::verdict::VerdictId;
use creditgate_proto::{AnswerDigest, verdict_id_from_text};
use creditgate_runtime::config::VerdictData;
use creditgate_runtime::journal::Position;
use creditgate_runtime::kafka::{InProcessBroker, Sender, message};
use creditgate_runtime::ports::Reviews as _;

use super::replicas::{broker, replica};
use super::*;

/// What a process that knows other lists answers to the same event: the verdict and its whole record.
async fn answered_elsewhere(event: v1::Event, seq: u64) -> (v1::Verdict, Vec<u8>) {
    let world = World::new();
    world.publish(seq);
    let gate = world.open();
    let told = verdict(&gate, event).await;
    let record = gate.inner.records.journal().read_from(Position(0)).next();
    (told, record.unwrap().unwrap().payload.to_vec())
}

/// Writes it where that process would.
async fn publish(broker: &InProcessBroker, verdict: &v1::Verdict, record: &[u8]) {
    let sender = Sender::open(broker.cluster(), Duration::from_secs(10)).unwrap();
    let shown = message::verdict(verdict, VerdictData::Json, &[], None).unwrap();
    let partition = sender.send(&shown).await.unwrap();
    let state = message::case_state(verdict, record, partition);
    sender.send(&state).await.unwrap();
}

fn slot(verdict: &v1::Verdict) -> (VerdictId, AnswerDigest) {
    let id = verdict_id_from_text(&verdict.verdict_id).unwrap();
    (id, AnswerDigest::of(verdict))
}

async fn place(gate: &Gate, verdict: &v1::Verdict) -> Option<Position> {
    let (id, answer) = slot(verdict);
    gate.recorded_answer(id, answer).await.unwrap()
}

async fn wait_for(gate: &Gate, verdict: &v1::Verdict) -> Position {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(place) = place(gate, verdict).await {
            return place;
        }
        assert!(Instant::now() < until, "{verdict:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each answer has its own place, and the first stands for whoever asks for the slot.
async fn assert_both(gate: &Gate, event: &v1::Event, first: &v1::Verdict, second: &v1::Verdict) {
    let (stands, beside) = (wait_for(gate, first).await, wait_for(gate, second).await);
    assert!(stands < beside);
    let recorded = gate.recorded(slot(first).0).await.unwrap();
    assert_eq!(recorded, Some(stands));
    let repeated = check(gate, event.clone()).await.unwrap();
    assert!(repeated.repeated);
    assert_eq!(repeated.verdict.as_ref(), Some(first));
    let read = gate.inner.records.read(beside).await.unwrap();
    assert_eq!(read.record.verdict.as_ref(), Some(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_answer_is_kept_beside_the_first_and_found_by_its_digest() {
    let (broker, world) = (broker(), World::new());
    let gate = replica(&world, &broker);
    let asked = at(event(1, 1, "bid"), NOW - 3_600_000_000);
    let first = verdict(&gate, asked.clone()).await;
    let (second, record) = answered_elsewhere(asked.clone(), 12).await;
    assert_eq!(first.verdict_id, second.verdict_id);
    assert_ne!(first.verdict_digest, second.verdict_digest);
    assert_eq!(place(&gate, &second).await, None);
    publish(&broker, &second, &record).await;
    assert_both(&gate, &asked, &first, &second).await;

    // The same answers again are no new ones, in memory and behind the index.
    let (third, another) = answered_elsewhere(asked.clone(), 13).await;
    publish(&broker, &second, &record).await;
    publish(&broker, &third, &another).await;
    wait_for(&gate, &third).await;
    gate.index_now();
    assert_both(&gate, &asked, &first, &second).await;
    assert_both(&gate, &asked, &first, &third).await;
    publish(&broker, &second, &record).await;
    let (last, next) = answered_elsewhere(at(event(2, 1, "bid"), NOW - 3_600_000_000), 13).await;
    publish(&broker, &last, &next).await;
    wait_for(&gate, &last).await;
    assert_eq!(gate.inner.records.journal().head().sequence, 4);
    gate.close(Duration::from_secs(10)).await.unwrap();
    drop(gate);

    // Read from its beginning once more, the topic has nothing new.
    std::fs::remove_file(crate::case_state::places(world.dir.path())).unwrap();
    let gate = replica(&world, &broker);
    let until = Instant::now() + Duration::from_secs(30);
    while !gate.knows_all() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(gate.inner.records.journal().head().sequence, 4);
    assert_both(&gate, &asked, &first, &second).await;
    gate.close(Duration::from_secs(10)).await.unwrap();

    // Who begins with nothing finds all of them, in the order of the topic.
    let empty = World::new();
    let other = replica(&empty, &broker);
    wait_for(&other, &last).await;
    assert_both(&other, &asked, &first, &second).await;
    assert_both(&other, &asked, &first, &third).await;
    other.close(Duration::from_secs(10)).await.unwrap();
}
