//! The journal in use: what is appended comes back, in order, across files, restarts and readers.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use creditgate_runtime::journal::{
    Ack, AppendError, Check, Health, Journal, NewRecord, OpenError, Options, PAYLOAD_BYTES_MAX,
    Position, ReadError, Record, WriterId,
};

fn small() -> Options {
    Options {
        segment_bytes: 4 << 10,
        preallocate: false,
        writer: WriterId(*b"the-test-writer!"),
        ..Options::default()
    }
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, small()).expect("open the journal").0
}

fn all(journal: &Journal) -> Vec<Record> {
    journal
        .read_from(Position(0))
        .collect::<Result<_, _>>()
        .expect("read every record")
}

#[test]
fn a_record_comes_back_as_it_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let appended = journal.append_blocking(7, -5, "credit").unwrap();
    assert_eq!((appended.position, appended.sequence), (Position(0), 1));
    let record = journal.read_at(appended.position).unwrap();
    assert_eq!(
        (
            record.sequence,
            record.kind,
            record.format,
            record.time_micros,
            record.key_id
        ),
        (1, 7, 1, -5, 0)
    );
    assert_eq!(record.writer, *b"the-test-writer!");
    assert_eq!(&record.payload[..], b"credit");
    assert_eq!(all(&journal), [record]);
    let head = journal.head();
    assert_eq!((head.next_position, head.sequence), (Position(102), 1));
    assert_eq!(journal.verify().unwrap(), head);
}

#[test]
fn an_empty_and_the_largest_payload_are_taken_and_a_larger_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let largest = journal
        .append_blocking(1, 0, vec![3; PAYLOAD_BYTES_MAX])
        .unwrap();
    let empty = journal.append_blocking(1, 0, "").unwrap();
    let refused = journal.append_blocking(1, 0, vec![3; PAYLOAD_BYTES_MAX + 1]);
    assert!(
        matches!(refused, Err(AppendError::PayloadTooLarge { bytes }) if bytes == PAYLOAD_BYTES_MAX + 1)
    );
    assert_eq!(
        journal.read_at(largest.position).unwrap().payload.len(),
        PAYLOAD_BYTES_MAX
    );
    assert!(journal.read_at(empty.position).unwrap().payload.is_empty());
    assert_eq!(all(&journal).len(), 2);
}

#[test]
fn a_reopened_journal_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut log_id = None;
    for round in 0..5_u64 {
        let (journal, opened) = Journal::open(dir.path(), small()).unwrap();
        assert_eq!((opened.head.sequence, opened.torn), (round * 10, None));
        assert_eq!(*log_id.get_or_insert(opened.log_id), opened.log_id);
        for i in 0..10 {
            let appended = journal
                .append_blocking(1, 0, format!("{round}/{i}"))
                .unwrap();
            assert_eq!(appended.sequence, round * 10 + i + 1);
        }
        let head = journal.close_blocking().unwrap();
        assert_eq!(head.sequence, (round + 1) * 10);
        assert!(matches!(
            journal.append_blocking(1, 0, "late"),
            Err(AppendError::Closed)
        ));
        assert!(matches!(journal.health(), Health::Closed));
    }
    let journal = open(dir.path());
    let payloads: Vec<_> = all(&journal)
        .into_iter()
        .map(|record| record.payload)
        .collect();
    let expected: Vec<_> = (0..50).map(|n| format!("{}/{}", n / 10, n % 10)).collect();
    assert_eq!(payloads, expected);
    journal.verify().unwrap();
}

#[test]
fn records_of_all_sizes_roll_over_many_files() {
    for preallocate in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            preallocate,
            ..small()
        };
        let (journal, _) = Journal::open(dir.path(), options.clone()).unwrap();
        let appended: Vec<_> = (0..600)
            .map(|i| {
                journal
                    .append_blocking(1, i, vec![i as u8; (i as usize * 37) % 9000])
                    .unwrap()
            })
            .collect();
        let rolls = journal.stats().rolls;
        assert!(rolls > 300, "{rolls} rolls");
        let check = |journal: &Journal| {
            let records = all(journal);
            assert_eq!(records.len(), 600);
            for (i, record) in records.iter().enumerate() {
                assert_eq!(
                    (record.position, record.sequence),
                    (appended[i].position, appended[i].sequence)
                );
                assert_eq!(record.payload, vec![i as u8; (i * 37) % 9000]);
            }
            for appended in appended.iter().step_by(7) {
                assert_eq!(
                    journal.read_at(appended.position).unwrap().sequence,
                    appended.sequence
                );
            }
            assert_eq!(journal.verify().unwrap(), journal.head());
        };
        check(&journal);
        journal.close_blocking().unwrap();
        for check_on_open in [Check::Whole, Check::LastSegment] {
            let (journal, opened) = Journal::open(
                dir.path(),
                Options {
                    check: check_on_open,
                    ..options.clone()
                },
            )
            .unwrap();
            assert_eq!(
                (opened.head.sequence, opened.segments as u64),
                (600, rolls + 1)
            );
            check(&journal);
            journal.close_blocking().unwrap();
        }
        let leftovers = std::fs::read_dir(dir.path()).unwrap().filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|extension| extension == "tmp")
        });
        assert_eq!(leftovers.count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_get_dense_numbers_and_runs_stay_together() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(
        dir.path(),
        Options {
            segment_bytes: 64 << 10,
            queue_bytes_max: 32 << 10,
            ..small()
        },
    )
    .unwrap();
    let tasks: Vec<_> = (0..64_u64)
        .map(|task| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let mut sequences = Vec::new();
                for i in 0..40_u64 {
                    if i % 10 == 9 {
                        let run = (0..5)
                            .map(|n| NewRecord::new(2, 0, format!("{task}/{i}/{n}")))
                            .collect();
                        let run = journal.append_all(run).await.unwrap();
                        assert!(
                            run.windows(2)
                                .all(|pair| pair[1].sequence == pair[0].sequence + 1)
                        );
                        sequences.extend(run.iter().map(|appended| appended.sequence));
                    } else {
                        sequences.push(
                            journal
                                .append(1, 0, format!("{task}/{i}"))
                                .await
                                .unwrap()
                                .sequence,
                        );
                    }
                    assert!(journal.head().sequence >= *sequences.last().unwrap());
                }
                assert!(sequences.is_sorted(), "one caller's records are in order");
                sequences
            })
        })
        .collect();
    let mut sequences = BTreeSet::new();
    for task in tasks {
        sequences.extend(task.await.unwrap());
    }
    let total = 64 * (36 + 4 * 5);
    assert_eq!(sequences, (1..=total).collect());
    let stats = journal.stats();
    assert_eq!((stats.records, stats.queue_records), (total, 0));
    assert!(
        stats.batches < total && stats.largest_batch > 1,
        "{stats:?}"
    );
    assert_eq!(journal.verify().unwrap().sequence, total);
}

#[tokio::test]
async fn a_run_that_can_never_fit_is_refused_and_an_empty_one_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(
        dir.path(),
        Options {
            queue_bytes_max: 1000,
            ..small()
        },
    )
    .unwrap();
    let run = vec![NewRecord::new(1, 0, vec![0; 500]); 2];
    assert!(matches!(
        journal.append_all(run).await,
        Err(AppendError::RunTooLarge {
            bytes: 1192,
            limit: 1000
        })
    ));
    assert_eq!(journal.append_all(Vec::new()).await.unwrap(), []);
    assert_eq!(
        journal.append(1, 0, vec![0; 5000]).await.unwrap().sequence,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_sees_every_record_of_a_live_writer_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let mut moved = journal.subscribe();
    let mut reader = journal.read_from(Position(0));
    let follower = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 2000 {
            seen.extend(reader.by_ref().map(|record| record.unwrap().sequence));
            if seen.len() < 2000 {
                moved.changed().await.unwrap();
            }
        }
        seen
    });
    for i in 0..2000 {
        journal
            .append(1, i, vec![0; (i as usize * 13) % 300])
            .await
            .unwrap();
    }
    let seen = tokio::time::timeout(Duration::from_secs(30), follower)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen, (1..=2000).collect::<Vec<_>>());
}

#[test]
fn only_one_writer_may_open_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let error = Journal::open(dir.path(), small()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    let message = error.to_string();
    assert!(
        message.contains(dir.path().to_str().unwrap())
            && message.contains("one process per directory"),
        "{message}"
    );
    journal.close_blocking().unwrap();
    open(dir.path());
}

#[test]
fn a_reader_beside_the_writer_reads_and_never_writes() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Journal::open_read_only(dir.path()),
        Err(OpenError::Absent { .. })
    ));
    let journal = open(dir.path());
    journal.append_blocking(1, 0, "before").unwrap();
    let (beside, opened) = Journal::open_read_only(dir.path()).unwrap();
    assert_eq!(opened.head, journal.head());
    for _ in 0..100 {
        journal.append_blocking(1, 0, vec![1; 200]).unwrap();
    }
    assert_eq!(all(&beside).len(), 1);
    assert_eq!(beside.refresh().unwrap(), journal.head());
    assert_eq!(all(&beside).len(), 101);
    assert!(matches!(
        beside.append_blocking(1, 0, "no"),
        Err(AppendError::ReadOnly)
    ));
    beside.close_blocking().unwrap();
    journal.append_blocking(1, 0, "still the writer").unwrap();
}

#[test]
fn reading_past_the_head_or_beside_a_record_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    journal.append_blocking(1, 0, "one").unwrap();
    let head = journal.head().next_position;
    assert!(matches!(
        journal.read_at(head),
        Err(ReadError::BeyondHead { .. })
    ));
    assert!(matches!(
        journal.read_at(Position(5)),
        Err(ReadError::Corrupt(_))
    ));
    assert_eq!(journal.read_from(head).count(), 0);
}

#[test]
fn a_dropped_journal_writes_what_is_in_line_and_frees_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let give_up = std::time::Instant::now() + Duration::from_secs(10);
    while matches!(
        Journal::open(dir.path(), small()),
        Err(OpenError::Locked { .. })
    ) {
        assert!(
            std::time::Instant::now() < give_up,
            "the writer did not end"
        );
        std::thread::yield_now();
    }
}

#[test]
fn written_records_are_synced_without_further_appends() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(
        dir.path(),
        Options {
            ack: Ack::Written,
            ..small()
        },
    )
    .unwrap();
    journal.append_blocking(1, 0, "soon").unwrap();
    let give_up = std::time::Instant::now() + Duration::from_secs(10);
    while journal.stats().fsyncs == 0 {
        assert!(std::time::Instant::now() < give_up, "never synced");
        std::thread::sleep(Duration::from_millis(5));
    }
    for i in 0..200 {
        journal.append_blocking(1, i, vec![0; 100]).unwrap();
    }
    journal.close_blocking().unwrap();
    assert_eq!(open(dir.path()).verify().unwrap().sequence, 201);
}
