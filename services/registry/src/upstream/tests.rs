//! Facts about a follower, fed as its thread feeds it: what comes is taken, or refused and kept out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use creditgate_measures::book::{Deployment, SourceFile};
use creditgate_measures::catalogue;
use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_runtime::callers::{Caller, Callers, Shown};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::health::{Readiness, State};
use creditgate_runtime::journal::{self, NewRecord, Position};
use creditgate_runtime::kafka::Incoming;
use creditgate_runtime::metrics::{Build, Metrics};
use creditgate_runtime::signing::{SigningKey, generate};
use tempfile::TempDir;
use uuid::Uuid;

use super::place::Copy;
use super::record::tests::delivered;
use super::record::{Chain, Sealed};
use super::stand::{Feed, Term};
use super::{Follower, Found, News, Opened, Source};
use crate::book::{Publication, TrustedKeys, seal};
use crate::change::Change;
use crate::keeper::{COMPONENT, Command};
use crate::log::ChangeLog;
use crate::registry::Options;
use crate::{ChangeError, OVERLAY_MIN, Registry};

struct Place {
    dir: TempDir,
    readiness: Readiness,
    metrics: Metrics,
    overlay_min: usize,
    trusted_keys: TrustedKeys,
    /// The disk below the copy of a follower.
    disk: Option<Arc<dyn journal::disk::Disk>>,
    /// The reading that the follower began with.
    term: std::sync::Mutex<Option<Term>>,
}

impl Place {
    fn new() -> Self {
        let build = Build {
            version: "test",
            commit: "unknown",
        };
        Self {
            dir: tempfile::tempdir().unwrap(),
            readiness: Readiness::expecting([COMPONENT]),
            metrics: Metrics::new(Clock::system(), build),
            overlay_min: OVERLAY_MIN,
            trusted_keys: TrustedKeys::default(),
            disk: None,
            term: std::sync::Mutex::default(),
        }
    }

    fn options(&self, book: Vec<SourceFile>) -> Options {
        let clock = Clock::system();
        Options {
            data_dir: self.dir.path().to_owned(),
            book,
            book_named: false,
            signature: None,
            trusted_keys: self.trusted_keys.clone(),
            deployment: Deployment::default(),
            upstream: None,
            journal: journal_options(None),
            metrics: self.metrics.clone(),
            clock,
            readiness: self.readiness.clone(),
            overlay_min: self.overlay_min,
            source_rules: crate::SourceRules::default(),
            sealer: None,
        }
    }

    /// The registry that the others follow.
    fn lead(&self, book: Vec<SourceFile>) -> Registry {
        Registry::open(self.options(book)).unwrap()
    }

    /// A follower whose copy begins with these records.
    fn follow(&self, log_id: Uuid, first: &[Sealed]) -> Registry {
        let dir = self.dir.path().join("changes");
        std::fs::create_dir_all(self.dir.path().join("lists")).unwrap();
        let mut options = journal_options(Some(log_id));
        if let Some(disk) = &self.disk {
            options.disk = Arc::clone(disk);
        }
        let log = ChangeLog::open(&dir, options).unwrap();
        let mut copy = Copy::open(&log, &dir).unwrap();
        let (arrived, refused) = super::keep::admit(&mut copy, incoming(first));
        refused.unwrap();
        super::open::copy_down(&log, &mut copy, &arrived).unwrap();
        let feed = Feed::new(None, None);
        *self.term.lock().unwrap() = Some(feed.term());
        let source = Source::Follows(Box::new(Follower::new(copy, feed)));
        let opened = Opened {
            log,
            source,
            reader: None,
        };
        Registry::over(self.options(Vec::new()), opened).unwrap()
    }

    fn is_ready(&self) -> bool {
        self.readiness.snapshot().ready
    }

    fn standing(&self) -> String {
        match &self.readiness.snapshot().components[COMPONENT] {
            State::Ready => "ready".to_owned(),
            State::ReadyBut(why) | State::NotReady(why) => why.clone(),
        }
    }
}

fn journal_options(log_id: Option<Uuid>) -> journal::Options {
    journal::Options {
        segment_bytes: 1 << 20,
        preallocate: false,
        log_id: log_id.map(|id| *id.as_bytes()),
        ..journal::Options::default()
    }
}

fn caller() -> Caller {
    Callers::loopback_only()
        .authenticate(&Shown::LOCAL)
        .unwrap()
}

/// Everything a registry has recorded, as it would stand on the topic.
fn topic_of(registry: &Registry) -> Vec<Sealed> {
    let log = registry.past().log();
    let mut chain = Chain::start(log.log_id());
    log.journal()
        .read_from(Position(0))
        .map(|record| {
            let record = record.unwrap();
            let seq = record.sequence;
            let record = NewRecord::new(record.kind, record.time_micros, record.payload);
            chain = chain.after(seq, &record);
            Sealed {
                log_id: log.log_id(),
                seq,
                chain,
                record,
            }
        })
        .collect()
}

fn incoming(records: &[Sealed]) -> Vec<Incoming> {
    let offset = |sealed: &Sealed| i64::try_from(sealed.seq).unwrap() + 9;
    let deliver = |sealed| delivered(sealed, offset(sealed));
    records.iter().map(deliver).collect()
}

/// Hands records over as the reading that counts at this moment does.
async fn feed(there: &Place, follower: &Registry, records: &[Sealed]) {
    let term = there.term.lock().unwrap().clone().expect("it follows");
    for batch in records.chunks(100) {
        let found = Found::Arrived(incoming(batch));
        let command = Command::Upstream(News::Read(term.current(), found));
        follower.send(command).await.unwrap();
    }
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let since = Instant::now();
    while !reached() {
        assert!(since.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn reached(follower: &Registry, seq: u64) {
    until(&format!("record {seq}"), || {
        follower.live().load().lists.version().seq >= seq
    })
    .await;
}

async fn import(registry: &Registry, numbers: std::ops::Range<u64>) {
    let header = v1::ImportHeader {
        source_unit: "示例数据中心".to_owned(),
        confirm_lists: vec!["B01".to_owned()],
        ..Default::default()
    };
    let mut import = registry.begin_import(header, &caller()).unwrap();
    for n in numbers {
        let entry = v1::Entry {
            entry_id: format!("E-{n:06}"),
            list: "B01".to_owned(),
            id_type: "USCC".to_owned(),
            id: invented::uscc(n),
            name: format!("示例第{n}號公司"),
            kind: "enterprise".to_owned(),
            severity: "serious".to_owned(),
            document_no: format!("示例{n}号"),
            valid_from: "2026-01-05".to_owned(),
            ..Default::default()
        };
        let row = v1::ImportRow {
            entry: Some(entry),
            row: 0,
            ..v1::ImportRow::default()
        };
        import.push(row).unwrap();
    }
    import.finish().await.unwrap();
}

fn state(registry: &Registry) -> [u8; 32] {
    registry.live().load().lists.state_hash()
}

#[tokio::test]
async fn a_follower_knows_what_the_registry_knows_also_after_a_restart() {
    let (here, there) = (
        Place::new(),
        Place {
            overlay_min: 300,
            ..Place::new()
        },
    );
    let leader = here.lead(catalogue::built_in());
    import(&leader, 0..2_500).await;
    let records = topic_of(&leader);
    let follower = there.follow(records[0].log_id, &records[..1]);
    assert!(follower.follows());
    feed(&there, &follower, &records[1..]).await;
    reached(&follower, 2_502).await;
    assert_eq!(state(&follower), state(&leader));
    assert_eq!(there.standing(), "ready");
    follower.close().await;

    import(&leader, 2_000..2_600).await;
    let records = topic_of(&leader);
    // What it has already comes once more: it is compared and passed over.
    let follower = there.follow(records[0].log_id, &[]);
    assert_eq!(follower.live().load().lists.version().seq, 2_502);
    feed(&there, &follower, &records[2_502..]).await;
    reached(&follower, records.len() as u64).await;
    assert_eq!(state(&follower), state(&leader));
    follower.close().await;
    leader.close().await;
}

#[tokio::test]
async fn what_does_not_follow_is_kept_out_and_the_lists_stay() {
    let here = Place::new();
    let leader = here.lead(catalogue::built_in());
    import(&leader, 0..9).await;
    let records = topic_of(&leader);
    let bad = |change: &dyn Fn(&mut Vec<Sealed>)| {
        let mut rest = records[1..].to_vec();
        change(&mut rest);
        rest
    };
    // A record that is what the registry wrote, and that this version does not understand.
    let not_understood = bad(&|rest| {
        rest[3].record.payload = (&b"\xff"[..]).into();
        rest[3].chain = rest[2].chain.after(rest[3].seq, &rest[3].record);
    });
    for (rest, told) in [
        (
            bad(&|rest| drop(rest.remove(3))),
            "at offset 15 of the list changes has number 6 where 5 is due",
        ),
        (
            bad(&|rest| rest[3].record.time_micros += 1),
            "at offset 14 of the list changes (number 5) does not continue",
        ),
        (
            bad(&|rest| rest[3].log_id = Uuid::nil()),
            "at offset 14 of the list changes belongs to change log 00000000",
        ),
        (
            not_understood,
            "at offset 14 of the list changes is not understood",
        ),
    ] {
        let there = Place::new();
        let follower = there.follow(records[0].log_id, &records[..1]);
        feed(&there, &follower, &rest).await;
        until(told, || there.standing().contains(told)).await;
        // What came before it counts, what comes after it does not.
        feed(&there, &follower, &records[4..]).await;
        follower.close().await;
        assert_eq!(follower.live().load().lists.version().seq, 4);
        assert_eq!(follower.past().log().head().sequence, 4);

        // It goes on from there once the topic is right again.
        let follower = there.follow(records[0].log_id, &[]);
        feed(&there, &follower, &records[4..]).await;
        reached(&follower, records.len() as u64).await;
        assert_eq!(state(&follower), state(&leader));
        follower.close().await;
    }
    leader.close().await;
}

#[tokio::test]
async fn a_follower_changes_nothing() {
    let (here, there) = (Place::new(), Place::new());
    let leader = here.lead(catalogue::built_in());
    let records = topic_of(&leader);
    let follower = there.follow(records[0].log_id, &records);
    let confirm = Change::Confirm {
        list: "B01".into(),
        at: None,
        source_unit: String::new(),
    };
    let refused = follower.apply(confirm, &caller()).await;
    assert!(matches!(refused, Err(ChangeError::Follows)), "{refused:?}");
    let header = v1::ImportHeader::default();
    let refused = follower.begin_import(header, &caller());
    assert!(matches!(refused, Err(ChangeError::Follows)));
    follower.close().await;
    leader.close().await;
}

/// A disk that is full on demand.
#[derive(Debug, Default)]
struct Full(AtomicBool);

impl journal::disk::Disk for Full {
    fn write_all_at(&self, file: &std::fs::File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => journal::disk::RealDisk.write_all_at(file, bytes, offset),
        }
    }
}

#[tokio::test]
async fn a_follower_whose_disk_is_full_serves_what_it_has_and_goes_on_by_itself() {
    let disk = Arc::new(Full::default());
    let (here, there) = (
        Place::new(),
        Place {
            disk: Some(disk.clone()),
            ..Place::new()
        },
    );
    let leader = here.lead(catalogue::built_in());
    import(&leader, 0..20).await;
    let records = topic_of(&leader);
    let follower = there.follow(records[0].log_id, &records[..1]);
    feed(&there, &follower, &records[1..10]).await;
    reached(&follower, 10).await;
    assert!(there.is_ready());

    let term = there.term.lock().unwrap().clone().unwrap();
    let before = term.current();
    disk.0.store(true, Ordering::SeqCst);
    feed(&there, &follower, &records[10..15]).await;
    until("it says so", || {
        there.standing().contains("the disk takes no list changes")
    })
    .await;
    assert!(!there.is_ready());
    assert_eq!(follower.live().load().lists.version().seq, 10);
    assert_eq!(follower.live().load().lists.len(), 9);

    disk.0.store(false, Ordering::SeqCst);
    // One reading has ended, and another one has begun.
    until("it reads on", || term.current() >= before + 2).await;
    feed(&there, &follower, &records[10..]).await;
    until("it is ready", || there.is_ready()).await;
    reached(&follower, records.len() as u64).await;
    assert_eq!(there.standing(), "ready");
    assert_eq!(state(&follower), state(&leader));
    follower.close().await;
    leader.close().await;
}

#[tokio::test]
async fn from_nothing_an_old_base_or_a_damaged_one_a_follower_ends_with_the_same_lists() {
    let here = Place::new();
    let there = Place {
        overlay_min: 50,
        ..Place::new()
    };
    let leader = here.lead(catalogue::built_in());
    import(&leader, 0..200).await;
    let records = topic_of(&leader);
    let log_id = records[0].log_id;
    let follower = there.follow(log_id, &records[..1]);
    feed(&there, &follower, &records[1..]).await;
    reached(&follower, records.len() as u64).await;
    assert_eq!(state(&follower), state(&leader));
    follower.close().await;
    let base = || {
        let files = std::fs::read_dir(there.dir.path().join("lists")).unwrap();
        let mut files: Vec<_> = files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "lists"))
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    };

    for damage in [None, Some(9), Some(40), Some(1_000)] {
        if let Some(at) = damage {
            let path = base();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 0xff;
            // Never changed in place: somebody may have it mapped.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
        } else {
            base();
        }
        let before = topic_of(&leader).len();
        import(&leader, 150..250).await;
        let records = topic_of(&leader);
        assert!(records.len() > before);
        let follower = there.follow(log_id, &[]);
        assert_eq!(follower.live().load().lists.version().seq, before as u64);
        feed(&there, &follower, &records[before..]).await;
        reached(&follower, records.len() as u64).await;
        assert_eq!(state(&follower), state(&leader), "{damage:?}");
        follower.close().await;
    }
    leader.close().await;
}

#[tokio::test]
async fn how_long_a_change_took_is_counted_for_each_that_comes_after_the_start() {
    let (here, there) = (Place::new(), Place::new());
    let taken = |place: &Place| {
        let text = place.metrics.render();
        let line = text
            .lines()
            .find(|line| line.starts_with("creditgate_list_change_to_effect_seconds_count"));
        let (_, count) = line.unwrap().rsplit_once(' ').unwrap();
        count.parse::<u64>().unwrap()
    };
    let leader = here.lead(catalogue::built_in());
    assert_eq!(taken(&here), 0, "the book of the start is no change");
    import(&leader, 0..20).await;
    // The confirmation of the list is a change too.
    assert_eq!(taken(&here), 21);
    let records = topic_of(&leader);
    let follower = there.follow(records[0].log_id, &records[..12]);
    assert_eq!(taken(&there), 0);
    feed(&there, &follower, &records[12..]).await;
    reached(&follower, records.len() as u64).await;
    until("they are counted", || taken(&there) == 10).await;
    follower.close().await;
    leader.close().await;
}

/// The built-in book, with one more character in the table of names.
fn other_names() -> Vec<SourceFile> {
    let mut book = catalogue::built_in();
    let table = book
        .iter_mut()
        .find(|file| file.path.contains("simplify"))
        .expect("a table of names");
    table.text = table.text.replacen("號 号\n", "", 1);
    book
}

#[tokio::test]
async fn a_new_book_comes_into_force_with_its_names() {
    let (here, there) = (Place::new(), Place::new());
    let leader = here.lead(catalogue::built_in());
    import(&leader, 0..50).await;
    leader.close().await;
    let leader = here.lead(other_names());
    import(&leader, 50..60).await;
    let records = topic_of(&leader);
    let follower = there.follow(records[0].log_id, &records[..1]);
    let first = Arc::clone(&follower.live().load().book);
    feed(&there, &follower, &records[1..]).await;
    reached(&follower, records.len() as u64).await;
    let now = follower.live().load_full();
    assert_ne!(now.book.version(), first.version());
    assert_eq!(now.book.version(), leader.live().load().book.version());
    assert!(now.lists.normalised_by(now.book.simplify()));
    assert_eq!(state(&follower), state(&leader));
    let found = |name: &str, book: &creditgate_measures::book::Book| {
        let name = creditgate_measures::name::NormalName::new(name, book.simplify()).unwrap();
        let mut found = 0;
        now.lists
            .find(creditgate_measures::identifier::Key::name(&name), |_| {
                found += 1
            });
        found
    };
    assert_eq!(found("示例第7號公司", &now.book), 1);
    // The old book is still there for replays.
    use creditgate_runtime::ports::History;
    for version in [first.version(), now.book.version()] {
        assert_eq!(follower.past().book(version).unwrap().version(), version);
    }
    follower.close().await;
    leader.close().await;
}

#[tokio::test]
async fn a_book_that_cannot_be_loaded_stops_the_follower_before_it() {
    let (here, there) = (Place::new(), Place::new());
    let leader = here.lead(catalogue::built_in());
    import(&leader, 0..5).await;
    leader.close().await;
    let leader = here.lead(other_names());
    let mut records = topic_of(&leader);
    let follower = there.follow(records[0].log_id, &records[..1]);
    let last = records.len() - 1;
    // A measure of a kind that only a later version knows.
    let text = String::from_utf8_lossy(&records[last].record.payload).into_owned();
    assert!(text.contains("PROHIBIT"));
    let payload: Vec<u8> = replace(&records[last].record.payload, b"PROHIBIT", b"PROXIBIT");
    records[last].record.payload = payload.into();
    records[last].chain = records[last - 1]
        .chain
        .after(records[last].seq, &records[last].record);
    feed(&there, &follower, &records[1..]).await;
    until("the book is refused", || {
        there.standing().contains("cannot be loaded")
    })
    .await;
    assert_eq!(follower.live().load().lists.version().seq, last as u64);
    follower.close().await;
    assert_eq!(follower.past().log().head().sequence, last as u64);
    leader.close().await;
}

/// A key that signs books, and the keys of one who trusts it.
fn signer(dir: &TempDir) -> (SigningKey, TrustedKeys) {
    let made = generate().unwrap();
    let [private, public] = ["key.pem", "key.pub.pem"].map(|name| dir.path().join(name));
    std::fs::write(&private, made.private_pem).unwrap();
    std::fs::write(&public, made.public_pem).unwrap();
    let trusted = TrustedKeys::load(&[public]).unwrap();
    (SigningKey::load(&private).unwrap(), trusted)
}

async fn publish(leader: &Registry, files: &[SourceFile], key: Option<&SigningKey>) {
    let publication = Publication {
        pack: seal(
            files,
            key,
            creditgate_measures::time::Time::from_micros(0),
            "tests",
        ),
        reason: "示例".to_owned(),
        ..Publication::default()
    };
    leader.publish_book(publication, &caller()).await.unwrap();
}

#[tokio::test]
async fn a_follower_keeps_its_book_when_it_does_not_trust_the_one_that_came() {
    let (here, mut there) = (Place::new(), Place::new());
    let (key, trusted) = signer(&there.dir);
    there.trusted_keys = trusted;
    // The registry trusts nobody in particular, and so takes what is not signed.
    let leader = here.lead(catalogue::built_in());
    publish(&leader, &catalogue::built_in(), Some(&key)).await;
    let records = topic_of(&leader);
    let follower = there.follow(records[0].log_id, &records);
    let mut fed = records.len();
    let own = follower.live().load().book.version();
    assert_eq!(own, leader.live().load().book.version());
    assert!(there.is_ready());

    publish(&leader, &other_names(), None).await;
    import(&leader, 0..5).await;
    let records = topic_of(&leader);
    feed(&there, &follower, &records[fed..]).await;
    fed = records.len();
    reached(&follower, records.len() as u64).await;
    // It goes on with the lists, by the book before, and says that it is not as the others are.
    assert_eq!(follower.live().load().book.version(), own);
    assert_eq!(follower.live().load().lists.len(), 5);
    assert!(!there.is_ready());
    assert!(
        there.standing().contains("is not trusted here"),
        "{}",
        there.standing()
    );
    follower.close().await;
    // So it does after a restart.
    let follower = there.follow(records[0].log_id, &[]);
    assert_eq!(follower.live().load().book.version(), own);
    assert!(there.standing().contains("is not trusted here"));

    publish(&leader, &other_names(), Some(&key)).await;
    let records = topic_of(&leader);
    feed(&there, &follower, &records[fed..]).await;
    reached(&follower, records.len() as u64).await;
    until("it is ready", || there.is_ready()).await;
    let now = follower.live().load_full();
    assert_eq!(now.book.version(), leader.live().load().book.version());
    assert!(now.lists.normalised_by(now.book.simplify()));
    assert_eq!(state(&follower), state(&leader));
    follower.close().await;
    leader.close().await;
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let places: Vec<usize> = (0..=out.len() - from.len())
        .filter(|at| out[*at..].starts_with(from))
        .collect();
    for at in places {
        out[at..at + to.len()].copy_from_slice(to);
    }
    out
}
