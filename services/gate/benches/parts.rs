//! The parts of a check around the decision, each alone: bytes to an event, a verdict to bytes, and
//! the journal that keeps both.
//!
//! `cargo bench -p creditgate-gate --bench parts`; the decision itself is in the crate `measures`,
//! a whole check in this crate's example `check_rate`. Everything in it is invented.

use std::hint::black_box;

use bytes::Bytes;
use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::identifier::invented;
use creditgate_measures::lists::Lists;
use creditgate_measures::time::Time;
use creditgate_measures::verdict::{Cause, Verdict};
use creditgate_measures::{Question, canonical, catalogue, decide};
use creditgate_proto::journal::v1::VerdictRecord;
use creditgate_proto::{decode, encode, json, v1};
use creditgate_runtime::journal::{Ack, Journal, NewRecord, Options};
use creditgate_runtime::sealed::{Keyring, purpose};
use criterion::{BatchSize, Criterion, Throughput};
use prost::Message;

/// The allocator of the service: without it these figures would be of another program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A moment of 2026.
const NOW: Time = Time::from_micros(1_770_000_000_000_000);
/// Records that are appended together.
const RUN: usize = 256;

fn event() -> v1::Event {
    v1::Event {
        source: "bench".into(),
        id: "event-1".into(),
        case_id: "case-1".into(),
        scenario: "tender".into(),
        stage: "evaluate".into(),
        region: "320500".into(),
        amount_fen: Some(120_000_000),
        subjects: vec![v1::Subject {
            role: "bidder".into(),
            id_type: "USCC".into(),
            id: invented::uscc(1),
            name: "虚构建设有限公司".into(),
            kind: "enterprise".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The event as the decision sees it, and the verdict of the book that comes with the program.
fn judged() -> (Event, Verdict) {
    let book = Book::load(&catalogue::built_in(), &Deployment::default()).expect("a book");
    let mut lists = Lists::empty(uuid::Uuid::from_u128(7), book.simplify());
    for list in book.lists() {
        lists.confirm(list.code.clone(), NOW);
    }
    let event = decode::event_from_proto(&event(), &decode::Limits::default(), NOW)
        .expect("an event")
        .event;
    let verdict = decide(
        Question::about(&event),
        NOW,
        &CaseView::default(),
        &lists,
        &book,
    );
    (event, verdict)
}

/// What comes in and what goes out.
fn messages(criterion: &mut Criterion, event_asked: &Event, verdict: &Verdict) -> Vec<u8> {
    let limits = decode::Limits::default();
    let given = event();
    let request = v1::CheckRequest {
        event: Some(given.clone()),
    };
    let binary = request.encode_to_vec();
    let text = serde_json::to_vec(&given).expect("JSON");
    let mut group = criterion.benchmark_group("messages");
    group.bench_function("an event from protobuf", |bencher| {
        bencher.iter(|| {
            let request = v1::CheckRequest::decode(black_box(binary.as_slice())).expect("bytes");
            let given = request.event.expect("an event");
            decode::event_from_proto(&given, &limits, NOW).is_ok()
        });
    });
    group.bench_function("an event from JSON", |bencher| {
        bencher.iter(|| {
            let given = json::event_from_json(black_box(&text)).expect("JSON");
            decode::event_from_proto(&given, &limits, NOW).is_ok()
        });
    });
    group.bench_function("the id and the canonical bytes", |bencher| {
        bencher.iter(|| {
            let event = black_box(event_asked);
            let id = canonical::verdict_id(&event.source, &event.id, &Cause::Event);
            (id, canonical::event_bytes(event))
        });
    });
    group.bench_function("the digest of a verdict", |bencher| {
        bencher.iter(|| canonical::verdict_digest(black_box(verdict)));
    });
    group.bench_function("a verdict to protobuf", |bencher| {
        bencher.iter(|| encode::verdict_to_proto(black_box(verdict)).encode_to_vec());
    });
    let record = VerdictRecord {
        event: Some(given),
        verdict: Some(encode::verdict_to_proto(verdict)),
        ..Default::default()
    };
    group.bench_function("a record of the journal", |bencher| {
        bencher.iter(|| black_box(&record).encode_to_vec());
    });
    group.finish();
    record.encode_to_vec()
}

/// Appends, each answered: alone, where the disk is what is measured, and in runs; in clear and sealed.
fn journal(criterion: &mut Criterion, payload: &Bytes) {
    let dir = tempfile::tempdir().expect("a directory");
    let keyring = Keyring::generate();
    let sealer = || Some(keyring.sealer(purpose::VERDICTS));
    let mut group = criterion.benchmark_group("journal");
    for (ack, name, sealer) in [
        (Ack::Durable, "durable", None),
        (Ack::Written, "written", None),
        (Ack::Durable, "durable, sealed", sealer()),
        (Ack::Written, "written, sealed", sealer()),
    ] {
        let options = Options {
            ack,
            sealer,
            ..Options::default()
        };
        let (journal, _) = Journal::open(dir.path().join(name), options).expect("a journal");
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("one record, {name}"), |bencher| {
            bencher.iter(|| journal.append_blocking(1, 0, payload.clone()).is_ok());
        });
        group.throughput(Throughput::Elements(RUN as u64));
        group.bench_function(format!("{RUN} records, {name}"), |bencher| {
            bencher.iter_batched(
                || vec![NewRecord::new(1, 0, payload.clone()); RUN],
                |records| journal.append_all_blocking(records).is_ok(),
                BatchSize::SmallInput,
            );
        });
        journal.close_blocking().expect("closed");
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (event, verdict) = judged();
    let payload = Bytes::from(messages(&mut criterion, &event, &verdict));
    journal(&mut criterion, &payload);
    criterion.final_summary();
}
