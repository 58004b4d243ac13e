//! A series goes on, proves its journals, and whatever is done to either is found.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::journal::{self, Journal};
use crate::metrics::{Build, Metrics};
use crate::signing;

mod relays;

const SEED: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

/// A data directory with one journal and its check points.
struct Place {
    dir: TempDir,
    log: Journal,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key.pem"), SEED).unwrap();
        fs::write(dir.path().join("pub.pem"), PUBLIC).unwrap();
        let log = open_log(&dir.path().join("verdicts"));
        Self { dir, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn record(&self, records: usize) {
        for _ in 0..records {
            self.log.append_blocking(1, 0, "a verdict").unwrap();
        }
    }

    fn open(&self, anchor: Option<&str>) -> Result<CheckPoints, Error> {
        self.open_with(anchor, Vec::new())
    }

    fn open_with(
        &self,
        anchor: Option<&str>,
        outlets: Vec<Box<dyn Outlet>>,
    ) -> Result<CheckPoints, Error> {
        let clock = Clock::stepped(1_795_000_000_000_000).0;
        let build = Build {
            version: "0",
            commit: "0",
        };
        CheckPoints::open(Options {
            data_dir: self.dir.path().to_owned(),
            key: SigningKey::load(&self.path("key.pem")).unwrap(),
            anchor: anchor.map(|name| self.path(name)),
            outlets,
            journals: vec![("verdicts", self.log.clone())],
            metrics: Metrics::new(clock.clone(), build),
            clock,
        })
    }

    /// Records and a check point, so many times.
    fn rounds(&self, anchor: Option<&str>, rounds: usize) {
        let points = self.open(anchor).unwrap();
        for _ in 0..rounds {
            self.record(10);
            points.put_and_send().unwrap();
        }
    }

    fn keys(&self) -> PublicKeys {
        PublicKeys::load(&[self.path("pub.pem")]).unwrap()
    }

    fn said(&self, kind: Kind, file: &str) -> Result<Said, SeriesError> {
        Said::read(kind, &self.path(file), &self.keys()).map(Option::unwrap)
    }

    fn held(&self, said: &Said) -> Result<(), Mismatch> {
        self.held_behind(said, None)
    }

    /// As [`Place::held`], from what a check point names on.
    fn held_behind(&self, said: &Said, start: Option<&CheckPoint>) -> Result<(), Mismatch> {
        let from = match start {
            Some(start) => start.heads["verdicts"].head(),
            None => self.log.beginning(),
        };
        let log_id = self.log.log_id();
        let mut compared = said.compare("verdicts", log_id, &from).unwrap();
        let mut mismatch = compared.record(&from);
        let head = self
            .log
            .verify_behind(from, |head| {
                if mismatch.is_ok() {
                    mismatch = compared.record(head);
                }
            })
            .unwrap();
        mismatch?;
        compared.end(&head)
    }

    /// Puts another journal in the place of this one.
    fn replace(&mut self, by: Journal) {
        self.log.close_blocking().unwrap();
        self.log = by;
    }
}

fn open_log(dir: &Path) -> Journal {
    let options = journal::Options {
        preallocate: false,
        log_id: Some([7; 16]),
        ..journal::Options::default()
    };
    Journal::open(dir, options).unwrap().0
}

fn why(read: Result<Said, SeriesError>) -> (u64, Wrong) {
    match read {
        Err(SeriesError::Line { line, why, .. }) => (line, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_series_goes_on_after_a_stop_and_proves_the_journal() {
    let place = Place::new();
    place.rounds(None, 3);
    place.rounds(None, 2);
    // Nothing moved: nothing to sign.
    place.open(None).unwrap().put_and_send().unwrap();
    place.record(4);
    let said = place.said(Kind::Own, FILE).unwrap();
    assert_eq!(said.points, 5);
    assert_eq!(said.reaches("verdicts"), Some(50));
    assert_eq!(said.reaches("cases"), None);
    assert_eq!(place.held(&said), Ok(()));
}

#[test]
fn a_proof_may_begin_at_any_check_point_and_reads_only_what_lies_behind_it() {
    let place = Place::new();
    place.rounds(None, 5);
    place.record(3);
    let said = place.said(Kind::Own, FILE).unwrap();
    for number in 1..=5 {
        let start = said.point(number).unwrap().unwrap();
        assert_eq!(start.number, number);
        assert_eq!(place.held_behind(&said, Some(&start)), Ok(()), "{number}");
        let mut read = Vec::new();
        let from = start.heads["verdicts"].head();
        place
            .log
            .verify_behind(from, |head| read.push(head.sequence))
            .unwrap();
        let due: Vec<u64> = (10 * number + 1..=53).collect();
        assert_eq!(read, due, "{number}");
    }
    assert_eq!(said.point(6).unwrap(), None);
    let before = |record| {
        let point = said.before("verdicts", record).unwrap();
        point.map(|point| point.number)
    };
    assert_eq!(
        [before(10), before(11), before(31), before(99)],
        [None, Some(1), Some(3), Some(5)]
    );
    assert_eq!(said.before("cases", 99).unwrap(), None);

    // A start that is not what the journal holds there: its next record does not follow it.
    let mut other = said.point(3).unwrap().unwrap();
    let head = other.heads.get_mut("verdicts").unwrap();
    head.hash = [9; 32];
    let from = head.head();
    assert!(place.log.verify_behind(from, |_| {}).is_err());
    // It is held against the check point with its number, too.
    let mut compared = said.compare("verdicts", place.log.log_id(), &from).unwrap();
    let rewritten = Mismatch::Rewritten {
        number: 3,
        sequence: 30,
        agreed: 0,
    };
    assert_eq!(compared.record(&from), Err(rewritten));

    // What was verified is what is held against the journal, or it is told.
    let text = fs::read_to_string(place.path(FILE)).unwrap();
    let changed = text.replace("\"at\":\"2026", "\"at\":\"2027");
    assert_ne!(changed, text);
    fs::write(place.path(FILE), changed).unwrap();
    assert!(matches!(place.held(&said), Err(Mismatch::Unsteady(_))));
    assert!(said.point(1).is_err());
    fs::remove_file(place.path(FILE)).unwrap();
    assert!(said.point(1).is_err());
    fs::write(place.path(FILE), text).unwrap();
    assert_eq!(place.held(&said), Ok(()));

    // Without a key it says the same, and nobody vouches for it.
    let unsigned = Said::read_unsigned(Kind::Own, &place.path(FILE)).unwrap();
    assert_eq!(unsigned.unwrap().reaches("verdicts"), Some(50));
}

#[test]
fn files_before_the_start_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let options = journal::Options {
        segment_bytes: 4 << 10,
        preallocate: false,
        ..journal::Options::default()
    };
    let (log, _) = Journal::open(dir.path(), options).unwrap();
    let mut heads = Vec::new();
    for n in 0..100_u8 {
        log.append_blocking(1, 0, vec![n; 200]).unwrap();
        heads.push(log.head());
    }
    let head = log.close_blocking().unwrap();
    let first = dir.path().join("00000000000000000000.log");
    let mut bytes = fs::read(&first).unwrap();
    bytes[500] ^= 1;
    fs::write(&first, bytes).unwrap();
    assert!(Journal::open_read_only(dir.path()).is_err());
    let (log, opened) = Journal::open_end_read_only(dir.path()).unwrap();
    assert_eq!(opened.head, head);
    assert!(log.verify().is_err());
    assert_eq!(log.verify_behind(heads[59], |_| {}).unwrap(), head);
    // At the end nothing is left to read.
    assert_eq!(log.verify_behind(head, |_| {}).unwrap(), head);
}

#[test]
fn what_is_signed_stays_as_it_is() {
    let key = Place::new();
    let heads = [(
        "verdicts".to_owned(),
        LogHead {
            log_id: [7; 16],
            sequence: 12,
            next_position: 3_456,
            hash: [9; 32],
        },
    )];
    let point = CheckPoint::new(
        2,
        "2026-11-23T21:00:00+08:00".to_owned(),
        [5; 32],
        heads.into(),
        &SigningKey::load(&key.path("key.pem")).unwrap(),
    );
    let text = format!(
        "creditgate check point v1\nnumber 2\nat 2026-11-23T21:00:00+08:00\nafter {}\nkey 21fe31dfa154a261\nverdicts {} 12 \
         3456 {}\n",
        "05".repeat(32),
        "07".repeat(16),
        "09".repeat(32)
    );
    assert_eq!(point.text(), text);
    assert_eq!(point.verify(&key.keys()), Ok(()));
    let line = point.line().unwrap();
    assert_eq!(CheckPoint::parse(line.trim_end().as_bytes()), Ok(point));
}

#[test]
fn a_line_that_was_never_finished_is_written_anew() {
    let place = Place::new();
    place.rounds(None, 2);
    let file = place.path(FILE);
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str("{\"number\":3,\"at\"");
    fs::write(&file, &text).unwrap();
    assert_eq!(place.said(Kind::Own, FILE).unwrap().points, 2);
    place.rounds(None, 1);
    assert_eq!(place.said(Kind::Own, FILE).unwrap().points, 3);
}

#[test]
fn whatever_is_done_to_check_points_is_found() {
    let place = Place::new();
    place.rounds(None, 4);
    let file = place.path(FILE);
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let read = |lines: &[&str]| {
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        why(place.said(Kind::Own, FILE))
    };
    let number = |due, found| Wrong::Number { due, found };
    assert_eq!(read(&[lines[0], lines[2]]), (2, number(2, 3)));
    assert_eq!(read(&[lines[1], lines[0]]), (1, number(1, 2)));
    let changed = lines[1].replace("\"sequence\":20", "\"sequence\":19");
    assert_eq!(read(&[lines[0], &changed]), (2, Wrong::Signature));
    let (line, wrong) = read(&[lines[0], "{}", lines[1]]);
    assert!(matches!((line, wrong), (2, Wrong::Form(_))));
    // Signed by somebody else.
    fs::write(
        place.path("key.pem"),
        signing::generate().unwrap().private_pem,
    )
    .unwrap();
    fs::remove_file(&file).unwrap();
    place.rounds(None, 1);
    assert!(matches!(
        why(place.said(Kind::Own, FILE)),
        (1, Wrong::OtherKey(_))
    ));
    let forged = fs::read_to_string(&file).unwrap();
    let id = SigningKey::load(&place.path("key.pem")).unwrap().key_id();
    fs::write(&file, forged.replace(&id, "21fe31dfa154a261")).unwrap();
    assert_eq!(why(place.said(Kind::Own, FILE)), (1, Wrong::Signature));
}

#[test]
fn a_journal_that_was_cut_off_rewritten_or_begun_anew_is_found() {
    let mut place = Place::new();
    place.rounds(None, 2);
    let said = place.said(Kind::Own, FILE).unwrap();

    // The same records but the last ten, with all hashes.
    let shorter = open_log(&place.path("shorter"));
    place.replace(shorter);
    place.record(10);
    let cut_off = Mismatch::CutOff {
        number: 2,
        sequence: 20,
        end: 10,
    };
    assert_eq!(place.held(&said), Err(cut_off));
    assert!(matches!(
        place.open(None),
        Err(Error::Behind { number: 2, .. })
    ));

    // As long as it was, and longer.
    place.log.append_blocking(1, 0, "another").unwrap();
    place.record(9);
    let rewritten = Mismatch::Rewritten {
        number: 2,
        sequence: 20,
        agreed: 10,
    };
    assert_eq!(place.held(&said), Err(rewritten.clone()));
    assert!(matches!(place.open(None), Err(Error::Behind { .. })));
    place.record(1);
    assert_eq!(place.held(&said), Err(rewritten));
    assert!(matches!(place.open(None), Err(Error::Behind { .. })));

    let options = journal::Options {
        preallocate: false,
        ..journal::Options::default()
    };
    let (other, _) = Journal::open(place.path("other"), options).unwrap();
    place.replace(other);
    place.record(30);
    assert_eq!(place.held(&said), Err(Mismatch::Other { number: 1 }));
    assert!(matches!(place.open(None), Err(Error::Behind { .. })));
}

#[test]
fn an_anchor_gets_what_it_missed_and_shows_an_older_copy() {
    let place = Place::new();
    place.rounds(None, 2);
    // Named later, it gets all that went before; and it goes on after a stop.
    place.rounds(Some("anchor"), 1);
    place.rounds(Some("anchor"), 1);
    let bytes = fs::read(place.path("anchor")).unwrap();
    assert_eq!(bytes, fs::read(place.path(FILE)).unwrap());

    // While it cannot be written, check points go on here, and it gets them later.
    let points = place.open(Some("anchor")).unwrap();
    let away = place.path("away");
    fs::rename(place.path("anchor"), &away).unwrap();
    fs::create_dir(place.path("anchor")).unwrap();
    for _ in 0..2 {
        place.record(1);
        assert!(points.put_and_send().is_err());
    }
    fs::remove_dir(place.path("anchor")).unwrap();
    // What failed may have left one line whole and the beginning of the next, and nobody may be able to take it back.
    let mut torn = fs::read(&away).unwrap();
    let own = fs::read(place.path(FILE)).unwrap();
    let line = own[torn.len()..]
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap();
    torn.extend_from_slice(&own[torn.len()..torn.len() + line + 40]);
    torn.extend_from_slice(&[0; 8]);
    fs::write(place.path("anchor"), torn).unwrap();
    points.put_and_send().unwrap();
    let anchored = place.said(Kind::Anchor, "anchor").unwrap();
    assert_eq!(anchored.points, 6);
    assert_eq!(place.held(&anchored), Ok(()));

    // A place that was not mounted for a while has its own file; the one before has no gap afterwards.
    fs::rename(place.path("anchor"), &away).unwrap();
    place.record(1);
    points.put_and_send().unwrap();
    assert_eq!(place.said(Kind::Anchor, "anchor").unwrap().points, 7);
    fs::rename(&away, place.path("anchor")).unwrap();
    place.record(1);
    points.put_and_send().unwrap();
    assert_eq!(place.said(Kind::Anchor, "anchor").unwrap().points, 8);
    drop(points);

    let text = fs::read_to_string(place.path(FILE)).unwrap();
    // An attempt that failed in the middle is repeated from the last whole line on.
    let failed: Vec<&str> = text.lines().collect();
    let again = [failed[0], failed[1], &failed[2][..50], failed[1], failed[2]];
    fs::write(place.path("again"), again.join("\n") + "\n").unwrap();
    assert_eq!(place.said(Kind::Anchor, "again").unwrap().points, 3);
    // And again, the line that was sent twice being torn, too.
    let again = [failed[0], failed[1], &failed[1][..50], failed[1], failed[2]];
    fs::write(place.path("again"), again.join("\n") + "\n").unwrap();
    assert_eq!(place.said(Kind::Anchor, "again").unwrap().points, 3);
    // One that was begun and never finished in any line is not passed by.
    let other = [failed[0], "{\"number\":9", failed[1]];
    fs::write(place.path("other"), other.join("\n") + "\n").unwrap();
    assert!(matches!(
        why(place.said(Kind::Anchor, "other")),
        (2, Wrong::Form(_))
    ));

    // An anchor may begin later; what is kept here may not.
    let lines = |from: usize, to: usize| -> String {
        let lines = text.lines().skip(from).take(to - from);
        lines.map(|line| line.to_owned() + "\n").collect()
    };
    fs::write(place.path("later"), lines(2, 8)).unwrap();
    assert_eq!(place.said(Kind::Anchor, "later").unwrap().points, 6);
    assert_eq!(
        why(place.said(Kind::Own, "later")),
        (1, Wrong::Number { due: 1, found: 3 })
    );

    // An older copy of everything here.
    fs::write(place.path(FILE), lines(0, 3)).unwrap();
    assert!(matches!(
        place.open(Some("anchor")),
        Err(Error::Ahead { number: 8, .. })
    ));
    // One that cannot be read now does not keep the service from starting.
    fs::create_dir(place.path("unreadable")).unwrap();
    let points = place.open(Some("unreadable")).unwrap();
    place.record(1);
    assert!(points.put_and_send().is_err());
    assert_eq!(place.said(Kind::Own, FILE).unwrap().points, 4);
}

#[test]
fn a_process_has_them_alone_and_notices_a_last_one_that_was_changed() {
    let place = Place::new();
    let points = place.open(None).unwrap();
    assert!(matches!(place.open(None), Err(Error::Locked { .. })));
    place.record(3);
    points.put_and_send().unwrap();
    drop(points);
    let text = fs::read_to_string(place.path(FILE)).unwrap();
    let changed = text.replace("\"sequence\":3", "\"sequence\":2");
    assert_ne!(changed, text);
    fs::write(place.path(FILE), changed).unwrap();
    assert!(matches!(
        place.open(None),
        Err(Error::Forged { number: 1, .. })
    ));

    // Lines of the size of years are not read again at a start.
    fs::write(place.path(FILE), text).unwrap();
    place.rounds(None, 300);
    assert!(fs::metadata(place.path(FILE)).unwrap().len() > 2 * LINE_BYTES_MAX);
    place.rounds(Some("anchor"), 1);
    assert_eq!(place.said(Kind::Anchor, "anchor").unwrap().points, 302);
    // What broke off in the middle of the last line, its end being written before its beginning.
    let mut bytes = fs::read(place.path(FILE)).unwrap();
    bytes.extend_from_slice(b"\0\0\0\0\"}\n");
    fs::write(place.path(FILE), bytes).unwrap();
    place.rounds(Some("anchor"), 1);
    assert_eq!(place.said(Kind::Own, FILE).unwrap().points, 303);
    // Without a zero it was done by somebody.
    let good = fs::read_to_string(place.path(FILE)).unwrap();
    fs::write(place.path(FILE), good.clone() + "{}\n").unwrap();
    assert!(matches!(place.open(None), Err(Error::Series(_))));
    assert!(matches!(
        why(place.said(Kind::Own, FILE)),
        (304, Wrong::Form(_))
    ));
    fs::write(place.path(FILE), good).unwrap();
    assert_eq!(place.said(Kind::Anchor, "anchor").unwrap().points, 303);
}
