//! Simulations and the shadow over a real change log: each event at exactly its version.

use std::collections::BTreeMap;
use std::sync::Mutex;

use creditgate_measures::book::SourceFile;
use creditgate_measures::vocabulary::State;
use creditgate_measures::{Question, decide};
use creditgate_proto::decode::{event_from_proto, event_from_record};
use creditgate_proto::encode::{time_from_proto, time_to_proto, verdict_to_proto};
use creditgate_proto::journal::v1::{ShadowRecord, VerdictRecord};
use creditgate_proto::list_version_from_text;
use creditgate_proto::records::kind;
use creditgate_proto::v1::simulation_server::Simulation as _;
use creditgate_registry::change::Change;
use creditgate_registry::{OVERLAY_MIN, Registry};
use creditgate_runtime::journal::Position;
use prost::Message;

use super::*;
use crate::simulate::{Samples, Scope};

/// Two rows: one bars, one looks harder.
const ROWS: &str = r#"
  - id: T1
    title: { zh: 取消投标资格, en: barred }
    content: { zh: 取消投标资格, en: barred }
    field: tendering
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: must
    effect: PROHIBIT
    applies:
      - { scenario: tender, stages: [evaluate, award] }
    lists: [B07]
    roles: [bidder]
    basis:
      - { law: 中华人民共和国招标投标法, article: 第五十三条, level: law, issuer: 全国人民代表大会常务委员会 }
    published_at: "1999-08-30"
    published_in: 中华人民共和国主席令第二十一号
    effective_from: "2000-01-01"
    implementer: { zh: 招标人, en: tenderer }
    remedies: { zh: 可申请复议, en: review }
    confidence: verified
    cases:
      - { name: on the list, expect: effect PROHIBIT }
  - id: T2
    title: { zh: 重点审查, en: looked at harder }
    content: { zh: 重点审查, en: looked at harder }
    field: market_regulation
    direction: penalty
    item: MKT_ENTRY
    class: A
    force: must
    effect: HEIGHTENED_SCRUTINY
    applies:
      - { scenario: tender, stages: [evaluate, award] }
    lists: [B03]
    roles: [bidder]
    basis:
      - { law: 企业信息公示暂行条例, article: 第十八条, level: administrative_regulation, issuer: 国务院 }
    published_at: "2014-08-07"
    published_in: 国务院令第654号
    effective_from: "2014-10-01"
    implementer: { zh: 评标委员会, en: committee }
    remedies: { zh: 可申请复议, en: review }
    confidence: verified
    cases:
      - { name: on the list, expect: effect HEIGHTENED_SCRUTINY }
"#;

/// The lists and scenarios of the catalogue with rows of our own.
fn files(rows: &str) -> Vec<SourceFile> {
    const KEPT: [&str; 5] = ["book.yaml", "lists/", "names/", "repair/", "scenarios/"];
    let mut files = catalogue::built_in();
    files.retain(|file| KEPT.iter().any(|kept| file.path.starts_with(kept)));
    files.push(SourceFile::new(
        "measures/own.yaml",
        format!("measures:{rows}"),
    ));
    files
}

/// T1 dropped, T2 stricter.
pub(super) fn candidate_rows() -> String {
    let (_, second) = ROWS.split_once("\n  - id: T2").unwrap();
    format!("\n  - id: T2{second}").replace("HEIGHTENED_SCRUTINY", "RESTRICT")
}

fn book(rows: &str) -> Arc<Book> {
    Arc::new(Book::load(&files(rows), &Deployment::default()).expect("a book"))
}

pub(super) fn message(rows: &str) -> v1::CandidateBook {
    let files = files(rows).into_iter().map(|file| v1::CandidateFile {
        path: file.path,
        text: file.text,
    });
    v1::CandidateBook {
        files: files.collect(),
    }
}

/// A registry and what gates over it need.
pub(super) struct Place {
    dir: TempDir,
    pub(super) registry: Registry,
    pub(super) clock: Clock,
    metrics: Metrics,
}

impl Place {
    pub(super) fn new() -> Self {
        Self::with(ROWS)
    }

    fn with(rows: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let build = Build {
            version: "0",
            commit: "unknown",
        };
        let metrics = Metrics::new(clock.clone(), build);
        let registry = Registry::open(creditgate_registry::Options {
            data_dir: dir.path().to_owned(),
            book: files(rows),
            deployment: Deployment::default(),
            book_named: true,
            signature: None,
            trusted_keys: creditgate_registry::book::TrustedKeys::default(),
            upstream: None,
            journal: small(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            readiness: Readiness::expecting([creditgate_registry::COMPONENT]),
            overlay_min: OVERLAY_MIN,
            source_rules: Default::default(),
            sealer: None,
        });
        Self {
            dir,
            registry: registry.unwrap(),
            clock,
            metrics,
        }
    }

    pub(super) fn gate(&self) -> Gate {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let opened = Gate::open(Options {
                data_dir: self.dir.path().to_owned(),
                live: self.registry.live().clone(),
                history: Arc::new(self.registry.past().clone()),
                journal: small(),
                clock: self.clock.clone(),
                metrics: self.metrics.clone(),
                readiness: Readiness::expecting([crate::COMPONENT]),
                limits: Limits::default(),
                digest_key: None,
                kafka: None,
            });
            match opened {
                Ok(gate) => return gate,
                Err(error) => assert!(Instant::now() < until, "{error:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) async fn import(&self, rows: Vec<v1::Entry>) {
        let header = v1::ImportHeader {
            source_unit: "示例数据中心".to_owned(),
            on_error: "skip".to_owned(),
            confirm_lists: vec!["B07".to_owned(), "B03".to_owned()],
            ..Default::default()
        };
        let mut import = self.registry.begin_import(header, &caller()).unwrap();
        for (row, entry) in (1..).zip(rows) {
            let entry = Some(entry);
            import
                .push(v1::ImportRow {
                    entry,
                    row,
                    ..v1::ImportRow::default()
                })
                .unwrap();
        }
        import.finish().await.unwrap();
    }
}

fn small() -> journal::Options {
    journal::Options {
        segment_bytes: 1 << 20,
        preallocate: false,
        ..Default::default()
    }
}

pub(super) fn entry(
    id: u64,
    list: &str,
    id_type: &str,
    identifier: String,
    name: &str,
) -> v1::Entry {
    v1::Entry {
        entry_id: format!("E-{id}"),
        list: list.to_owned(),
        id_type: id_type.to_owned(),
        id: identifier,
        name: name.to_owned(),
        severity: "serious".to_owned(),
        document_no: "示例1号".to_owned(),
        served_at: "2026-01-05".to_owned(),
        valid_from: "2026-01-05".to_owned(),
        valid_to: "2027-12-31".to_owned(),
        ..Default::default()
    }
}

pub(super) fn bidder(id_type: &str, id: String, name: &str) -> v1::Subject {
    v1::Subject {
        role: "bidder".to_owned(),
        id_type: id_type.to_owned(),
        id,
        name: name.to_owned(),
        ..Default::default()
    }
}

pub(super) fn evaluation(n: u64, subjects: Vec<v1::Subject>) -> v1::Event {
    v1::Event {
        source: format!("platform-{}", n % 3),
        id: format!("e{n}"),
        case_id: format!("c{n}"),
        scenario: "tender".to_owned(),
        stage: if n.is_multiple_of(4) {
            "award"
        } else {
            "evaluate"
        }
        .to_owned(),
        region: "320500".to_owned(),
        subjects,
        ..Default::default()
    }
}

/// Firms that entries name; some are met only through further identifiers of others.
const IN_ENTRIES: u64 = 12;
/// Firms that take part in events.
const IN_EVENTS: u64 = 4;

/// A small generator of its own, so that every run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// An identifier of one of so many firms, of any type, or none.
    fn identifier(&mut self, firms: u64) -> (&'static str, String) {
        let firm = self.below(firms);
        match self.below(5) {
            0 => ("ORG9", invented::org9(firm)),
            1 => ("REG15", invented::reg15(firm)),
            2 => ("", String::new()),
            _ => ("USCC", invented::uscc(firm)),
        }
    }

    fn name(&mut self, firms: u64) -> String {
        format!("示例{}号公司", self.below(firms))
    }

    fn entry(&mut self) -> v1::Entry {
        let (id_type, id) = self.identifier(IN_ENTRIES);
        let list = ["B07", "B03"][usize::try_from(self.below(2)).unwrap()];
        let name = self.name(IN_ENTRIES);
        let mut entry = entry(self.below(20), list, id_type, id, &name);
        if !id_type.is_empty() && self.below(2) == 0 {
            entry.aliases.push(v1::Alias {
                id_type: "REG15".to_owned(),
                id: invented::reg15(self.below(IN_ENTRIES)),
                issuer: String::new(),
            });
        }
        if self.below(3) == 0 {
            entry.related.push(v1::RelatedSubject {
                role: "actual_controller".to_owned(),
                id_type: "USCC".to_owned(),
                id: invented::uscc(self.below(IN_ENTRIES)),
                ..Default::default()
            });
        }
        entry
    }
}

/// Records an event as the gate would have with the lists of an earlier generation.
fn record_late(gate: &Gate, given: v1::Event, generation: &Generation, at: Time) {
    let mut given = given;
    given.occurred_at = Some(time_to_proto(at));
    let limits = creditgate_proto::decode::Limits::default();
    let event = event_from_proto(&given, &limits, at).unwrap().event;
    let case = creditgate_measures::case::CaseView::default();
    let verdict = decide(
        Question::about(&event),
        at,
        &case,
        &generation.lists,
        &generation.book,
    );
    let record = VerdictRecord {
        event: Some(given),
        verdict: Some(verdict_to_proto(&verdict)),
        ..Default::default()
    };
    append(gate, &record, at);
}

fn append(gate: &Gate, record: &VerdictRecord, at: Time) {
    let journal = gate.inner.records.journal();
    let payload = record.encode_to_vec();
    journal
        .append_blocking(kind::VERDICT, at.micros(), payload)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_decided_with_the_lists_of_its_own_version() {
    let place = Place::new();
    let gate = place.gate();
    let mut random = Random(0x5eed);
    let mut earlier: Vec<Arc<Generation>> = Vec::new();
    let mut n = 0;
    for _ in 0..60 {
        match random.below(3) {
            0 => {
                let to = [State::Repaired, State::Suspended, State::Effective];
                let change = Change::State {
                    entry_id: format!("E-{}", random.below(20)).as_str().into(),
                    to: to[usize::try_from(random.below(3)).unwrap()],
                    effective_at: None,
                    document_no: "示例2号".to_owned(),
                    reason: String::new(),
                };
                // Many are refused, which is no matter here.
                let _ = place.registry.apply(change, &caller()).await;
            }
            _ => {
                let rows = (0..=random.below(3)).map(|_| random.entry()).collect();
                place.import(rows).await;
            }
        }
        earlier.push(place.registry.live().load_full());
        for _ in 0..8 {
            n += 1;
            let subjects = (0..=random.below(2))
                .map(|_| {
                    let (id_type, id) = random.identifier(IN_EVENTS);
                    let name = random.name(IN_EVENTS);
                    bidder(id_type, id, &name)
                })
                .collect();
            let given = evaluation(n, subjects);
            // One of four stands behind events with later lists.
            if random.below(4) == 0 {
                let of = random.below(earlier.len() as u64);
                let generation = &earlier[usize::try_from(of).unwrap()];
                let at = Time::from_micros(place.clock.now_micros());
                record_late(&gate, given, generation, at);
            } else {
                check(&gate, given).await.unwrap();
            }
        }
    }
    let live = Arc::clone(&place.registry.live().load().book);
    for candidate in [live, book(&candidate_rows())] {
        let seen = Mutex::new(BTreeMap::new());
        let result = tokio::task::block_in_place(|| {
            gate.simulate_seeing(
                &candidate,
                &Scope::default(),
                &Samples::default(),
                &|position, verdict| {
                    seen.lock().unwrap().insert(position, verdict.clone());
                },
            )
        });
        let totals = result.unwrap().totals.unwrap();
        assert_eq!((totals.events, totals.not_decidable), (n, 0));
        let mut seen = seen.into_inner().unwrap();
        let mut hits = 0;
        for record in gate.inner.records.journal().read_from(Position(0)) {
            let record = record.unwrap();
            let position = record.position.0;
            let record = VerdictRecord::decode(record.payload).unwrap();
            let event = event_from_record(&record).unwrap();
            let stored = record.verdict.unwrap();
            let version = list_version_from_text(&stored.list_version).unwrap();
            let past = place.registry.past();
            let lists = past.lists_as_of(version, &event, &candidate).unwrap();
            let at = stored.evaluated_at.as_ref().and_then(time_from_proto);
            let case = creditgate_measures::case::CaseView::default();
            let expected = decide(
                Question::about(&event),
                at.unwrap(),
                &case,
                &lists,
                &candidate,
            );
            let found = seen.remove(&position).unwrap();
            assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{position}");
            hits += u64::from(!expected.explanation.is_empty());
            hits += u64::from(expected.decision.result_code != 0);
            if candidate.version() == place.registry.live().load().book.version() {
                assert_eq!(found.digest.to_string(), stored.verdict_digest);
            }
        }
        assert!(hits > n / 4, "only {hits} of {n} events met an entry");
        if candidate.version() == place.registry.live().load().book.version() {
            assert_eq!(totals.unchanged, n);
        } else {
            assert!(totals.changed_outcome > 0, "{totals:?}");
        }
    }
}

pub(super) async fn result(gate: &Gate, message: v1::SimulateRequest) -> v1::SimulationResult {
    let parts = gate.simulate(request(message)).await.unwrap().into_inner();
    let parts: Vec<_> = parts.collect().await;
    match parts.into_iter().next_back().unwrap().unwrap().part {
        Some(v1::simulate_response::Part::Result(result)) => result,
        other => panic!("{other:?}"),
    }
}

/// A firm on B07, one on B03, a person on B03, and a clean firm: how often each.
pub(super) async fn fourteen(place: &Place, gate: &Gate) {
    let person = v1::Entry {
        kind: "natural_person".to_owned(),
        ..entry(3, "B03", "ID18", invented::person(3), "")
    };
    let rows = vec![
        entry(1, "B07", "USCC", invented::uscc(1), "示例1号公司"),
        entry(2, "B03", "USCC", invented::uscc(2), "示例2号公司"),
        person,
    ];
    place.import(rows).await;
    let subjects = [
        (3, "USCC", invented::uscc(1)),
        (4, "USCC", invented::uscc(2)),
        (2, "ID18", invented::person(3)),
        (5, "USCC", invented::uscc(4)),
    ];
    let mut n = 0;
    for (times, id_type, id) in subjects {
        for _ in 0..times {
            n += 1;
            let event = evaluation(4 * n, vec![bidder(id_type, id.clone(), "")]);
            check(gate, event).await.unwrap();
        }
    }
}

fn counted(counts: &[v1::TransitionCount]) -> Vec<String> {
    counts
        .iter()
        .map(|count| format!("{}->{} {}", count.old, count.new, count.count))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_those_computed_by_hand() {
    let place = Place::new();
    let gate = place.gate();
    fourteen(&place, &gate).await;
    let asked = v1::SimulateRequest {
        book: Some(message(&candidate_rows())),
        purpose: "a test".to_owned(),
        ..Default::default()
    };
    let told = result(&gate, asked.clone()).await;
    let totals = told.totals.clone().unwrap();
    let of = |t: &v1::SimulationTotals| {
        [
            t.events,
            t.unchanged,
            t.changed_outcome,
            t.changed_measures,
            t.not_decidable,
        ]
    };
    assert_eq!(of(&totals), [14, 5, 7, 2, 0]);
    assert_eq!(
        counted(&told.transitions),
        [
            "PASS->PASS 5",
            "HEIGHTENED_SCRUTINY->RESTRICT 4",
            "MANUAL_REVIEW->MANUAL_REVIEW 2",
            "PROHIBIT->PASS 3"
        ]
    );
    let rows: Vec<_> = told
        .rows
        .iter()
        .map(|r| (r.name.as_str(), [r.added, r.removed, r.changed]))
        .collect();
    assert_eq!(rows, [("T1", [0, 3, 0]), ("T2", [0, 0, 6])]);
    let implementers: Vec<_> = told.implementers.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(implementers, ["招标人", "评标委员会"]);
    let limited = told.newly_limited.as_ref().unwrap();
    assert_eq!((limited.persons, limited.others, limited.times), (1, 0, 2));
    let example = &limited.examples[0];
    assert_eq!(example.rows, ["T2"]);
    assert!(example.identifier.contains('*'), "{}", example.identifier);
    assert_eq!(example.new.as_ref().unwrap().proposed, "RESTRICT");
    let departments: u64 = told.departments.iter().map(|group| group.total).sum();
    assert_eq!(departments, 14);
    assert_eq!(told.samples.len(), 9);

    let kept = v1::GetSimulationRequest {
        simulation_id: told.simulation_id.clone(),
    };
    let kept = gate.get_simulation(request(kept)).await.unwrap();
    let kept = kept.into_inner().simulation.unwrap();
    assert_eq!(
        (kept.caller.as_str(), kept.purpose.as_str()),
        ("local", "a test")
    );
    assert_eq!(kept.book_version, told.book_version);
    assert_eq!(kept.totals, told.totals);

    let drilled = v1::SimulateRequest {
        rows: vec!["T1".to_owned()],
        transitions: vec!["PROHIBIT->PASS".to_owned()],
        samples_max: Some(2),
        ..asked.clone()
    };
    let told = result(&gate, drilled).await;
    assert_eq!(told.samples.len(), 2);
    assert_eq!(told.samples[0].rows[0].old, "effect PROHIBIT");
    assert_eq!(told.samples[0].rows[0].new, "");

    let elsewhere = v1::SimulateRequest {
        scenarios: vec!["land".to_owned()],
        ..asked.clone()
    };
    assert_eq!(of(&result(&gate, elsewhere).await.totals.unwrap())[0], 0);
    let before = v1::SimulateRequest {
        to: Some(time_to_proto(Time::from_micros(NOW / 2))),
        ..asked.clone()
    };
    assert_eq!(of(&result(&gate, before).await.totals.unwrap())[0], 0);

    let same = v1::SimulateRequest {
        book: None,
        ..asked
    };
    let told = result(&gate, same).await;
    assert_eq!(of(&told.totals.unwrap()), [14, 14, 0, 0, 0]);
    assert_eq!(told.newly_limited.unwrap().times, 0);
}

/// T2 with figures.
fn rows_with(figures: &str) -> String {
    let figures = format!("effect: HEIGHTENED_SCRUTINY\n    parameters: {{ {figures} }}");
    ROWS.replace("effect: HEIGHTENED_SCRUTINY", &figures)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_other_figures_is_a_changed_row() {
    let place = Place::with(&rows_with("ratio: \"0.1\", period: 一年"));
    let gate = place.gate();
    fourteen(&place, &gate).await;
    let simulate = async |figures: &str| {
        let asked = v1::SimulateRequest {
            book: Some(message(&rows_with(figures))),
            purpose: "a test".to_owned(),
            ..Default::default()
        };
        result(&gate, asked).await
    };
    for (figures, new) in [
        ("ratio: \"0.2\", period: 一年", " ratio=0.2 period=一年"),
        ("ratio: \"0.1\", period: 二年", " ratio=0.1 period=二年"),
        (
            "points: 5, percent: 6, cap_fen: 7",
            " points=5 percent=6 cap_fen=7",
        ),
    ] {
        let told = simulate(figures).await;
        let totals = told.totals.unwrap();
        assert_eq!((totals.unchanged, totals.changed_measures), (8, 6));
        assert_eq!(
            (told.rows[0].name.as_str(), told.rows[0].changed),
            ("T2", 6)
        );
        let row = &told.samples[0].rows[0];
        assert!(row.old.ends_with(" ratio=0.1 period=一年"), "{row:?}");
        assert!(row.new.ends_with(new), "{row:?}");
    }
    let told = simulate("ratio: \"0.1\", period: 一年").await;
    assert_eq!(told.totals.unwrap().unchanged, 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decided_is_counted_with_the_reason() {
    let place = Place::new();
    let gate = place.gate();
    fourteen(&place, &gate).await;
    let at = Time::from_micros(place.clock.now_micros());
    let first = gate.inner.records.journal().head().next_position.0;
    let journal = gate.inner.records.journal();
    let whole = journal.read_at(Position(0)).unwrap().payload;
    let whole = VerdictRecord::decode(whole).unwrap();
    let with = |version: &str| {
        let mut record = whole.clone();
        record.verdict.as_mut().unwrap().list_version = version.to_owned();
        record
    };
    append(&gate, &with(&format!("{}:1", uuid::Uuid::nil())), at);
    let own = place.registry.live().load().lists.version().log_id;
    append(&gate, &with(&format!("{own}:999999")), at);
    let erased = VerdictRecord {
        event: None,
        ..whole.clone()
    };
    append(&gate, &erased, at);
    journal
        .append_blocking(kind::VERDICT, at.micros(), vec![0xFF; 9])
        .unwrap();
    let asked = v1::SimulateRequest {
        purpose: "a test".to_owned(),
        ..Default::default()
    };
    let totals = result(&gate, asked).await.totals.unwrap();
    assert_eq!(
        (totals.events, totals.unchanged, totals.not_decidable),
        (18, 14, 4)
    );
    let why: Vec<_> = totals
        .why
        .iter()
        .map(|why| (why.reason.as_str(), why.events))
        .collect();
    assert_eq!(
        why,
        [
            ("other_log", 1),
            ("ahead_of_log", 1),
            ("erased", 1),
            ("unreadable", 1)
        ]
    );
    assert_eq!(totals.why[0].first_position, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_purpose_and_a_sound_book_are_asked_for() {
    let place = Place::new();
    let gate = place.gate();
    let refused = gate
        .simulate(Request::new(v1::SimulateRequest::default()))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let refused = gate.simulate(request(v1::SimulateRequest::default())).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("purpose"), "{refused}");
    let refused = gate
        .set_shadow(request(v1::SetShadowRequest::default()))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);

    let broken = candidate_rows().replace("lists: [B03]", "lists: [B03, X99]");
    let asked = v1::SimulateRequest {
        book: Some(message(&broken)),
        purpose: "a test".to_owned(),
        ..Default::default()
    };
    let parts = gate.simulate(request(asked)).await.unwrap().into_inner();
    let parts: Vec<_> = parts.collect().await;
    let [Ok(first), Err(last)] = parts.as_slice() else {
        panic!("{parts:?}");
    };
    assert_eq!(last.code(), Code::InvalidArgument);
    match &first.part {
        Some(v1::simulate_response::Part::Refused(refused)) => {
            let faults = &refused.faults;
            assert!(faults.iter().any(|f| f.subject == "T2"), "{faults:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// Of five thousand records only the last lies in the scope, so no batch of them ever fills.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_reaches_records_that_are_passed_over() {
    let place = Place::new();
    let gate = place.gate();
    let journal = gate.inner.records.journal();
    let records = (0..5_000).map(|_| journal::NewRecord::new(kind::VERDICT, 0, vec![1; 9]));
    journal.append_all_blocking(records.collect()).unwrap();
    journal
        .append_blocking(kind::VERDICT, 1, vec![1; 9])
        .unwrap();
    let scope = Scope {
        from: Some(Time::from_micros(1)),
        ..Scope::default()
    };
    let cancelled = Arc::default();
    let simulation = crate::simulate::Simulation {
        journal,
        history: gate.inner.history.as_ref(),
        live: &gate.inner.live,
        candidate: &book(ROWS),
        scope: &scope,
        samples: &Samples::default(),
        workers: 1,
        cancelled: &cancelled,
        tell: &|progress| {
            assert_ne!(progress.phase, "deciding");
            cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
        },
        see: &|_, _| {},
    };
    // The first reading tells when it is done; the second one is ended on the way.
    let ended = tokio::task::block_in_place(|| simulation.run());
    assert!(matches!(ended, Err(crate::simulate::Error::Cancelled)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_book_knows_is_refused_by_name() {
    let place = Place::new();
    let gate = place.gate();
    let asked = v1::SimulateRequest {
        book: Some(message(&candidate_rows())),
        purpose: "a test".to_owned(),
        scenarios: vec!["tender".to_owned(), "tendr".to_owned()],
        // The candidate lacks the first; the book in force has it.
        rows: vec!["T1".to_owned(), "T9".to_owned()],
        ..Default::default()
    };
    let parts = gate.simulate(request(asked)).await.unwrap().into_inner();
    let parts: Vec<_> = parts.collect().await;
    let [Err(refused)] = parts.as_slice() else {
        panic!("{parts:?}");
    };
    assert_eq!(refused.code(), Code::InvalidArgument);
    for (word, told) in [
        ("tendr", true),
        ("T9", true),
        ("T1", false),
        ("`tender`", false),
    ] {
        assert_eq!(refused.message().contains(word), told, "{refused}");
    }
    let asked = v1::ShadowDifferencesRequest {
        transitions: vec!["bad".to_owned()],
        ..Default::default()
    };
    let refused = gate.shadow_differences(request(asked)).await;
    assert_eq!(refused.err().unwrap().code(), Code::InvalidArgument);
}

pub(super) async fn status(gate: &Gate) -> Option<v1::ShadowState> {
    let asked = request(v1::ShadowStatusRequest {});
    gate.shadow_status(asked).await.unwrap().into_inner().state
}

pub(super) async fn compared(gate: &Gate, wanted: u64) -> v1::ShadowState {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let state = status(gate).await.unwrap();
        if state.compared >= wanted && state.kept == state.different {
            return state;
        }
        assert!(Instant::now() < until, "{state:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn differences(gate: &Gate, rows: &[&str]) -> Vec<v1::ShadowDifference> {
    let asked = v1::ShadowDifferencesRequest {
        rows: rows.iter().map(|row| (*row).to_owned()).collect(),
        ..Default::default()
    };
    let stream = gate.shadow_differences(request(asked)).await.unwrap();
    let items: Vec<_> = stream.into_inner().collect().await;
    let of = |item: Result<v1::ShadowDifferencesResponse, Status>| item.unwrap().difference;
    items.into_iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shadow_counts_and_keeps_what_it_would_say_otherwise() {
    let place = Place::new();
    let gate = place.gate();
    let set = v1::SetShadowRequest {
        book: Some(message(&candidate_rows())),
        purpose: "a test".to_owned(),
    };
    gate.set_shadow(request(set)).await.unwrap();
    fourteen(&place, &gate).await;
    let state = compared(&gate, 14).await;
    assert_eq!((state.same, state.different), (5, 9));
    assert_eq!(
        counted(&state.transitions),
        [
            "HEIGHTENED_SCRUTINY->RESTRICT 4",
            "MANUAL_REVIEW->MANUAL_REVIEW 2",
            "PROHIBIT->PASS 3"
        ]
    );
    assert_eq!(differences(&gate, &[]).await.len(), 9);
    let barred = differences(&gate, &["T1"]).await;
    assert_eq!(barred.len(), 3);
    assert!(
        barred
            .iter()
            .all(|d| d.old == "PROHIBIT" && d.new == "PASS")
    );
    // The answers are those of the book in force, which a simulation with it confirms.
    let asked = v1::SimulateRequest {
        purpose: "a test".to_owned(),
        ..Default::default()
    };
    assert_eq!(result(&gate, asked).await.totals.unwrap().unchanged, 14);

    let shadow_id = state.shadow_id;
    gate.close(Duration::from_secs(10)).await.unwrap();
    drop(gate);
    let gate = place.gate();
    let state = status(&gate).await.unwrap();
    assert_eq!((state.shadow_id, state.kept), (shadow_id, 9));
    assert_eq!((state.compared, state.purpose.as_str()), (0, "a test"));

    let clear = v1::ClearShadowRequest {
        purpose: "done".to_owned(),
    };
    let ended = gate.clear_shadow(request(clear)).await.unwrap();
    assert!(ended.into_inner().ended.is_some());
    assert!(status(&gate).await.is_none());
    gate.close(Duration::from_secs(10)).await.unwrap();
    drop(gate);
    assert!(status(&place.gate()).await.is_none());
}

fn set_shadow_request(rows: &str) -> Request<v1::SetShadowRequest> {
    request(v1::SetShadowRequest {
        book: Some(message(rows)),
        purpose: "a test".to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_cannot_be_kept_leaves_the_one_before_as_it_is() {
    let place = Place::new();
    let gate = place.gate();
    gate.set_shadow(set_shadow_request(&candidate_rows()))
        .await
        .unwrap();
    fourteen(&place, &gate).await;
    let before = compared(&gate, 14).await;
    let in_the_way = place.dir.path().join("shadow/book.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let refused = gate.set_shadow(set_shadow_request(ROWS)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(status(&gate).await.unwrap(), before);
    assert_eq!(differences(&gate, &[]).await.len(), 9);

    std::fs::remove_dir(&in_the_way).unwrap();
    let held = Arc::clone(&gate.inner.setting_shadow).lock_owned().await;
    let busy = gate.set_shadow(set_shadow_request(ROWS)).await.unwrap_err();
    assert_eq!(busy.code(), Code::ResourceExhausted);
    drop(held);
    gate.set_shadow(set_shadow_request(ROWS)).await.unwrap();
    assert_ne!(status(&gate).await.unwrap().shadow_id, before.shadow_id);
    assert!(differences(&gate, &[]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_is_another_book_after_a_restart_begins_anew() {
    let place = Place::new();
    let gate = place.gate();
    gate.set_shadow(set_shadow_request(&candidate_rows()))
        .await
        .unwrap();
    fourteen(&place, &gate).await;
    let before = compared(&gate, 14).await;
    gate.close(Duration::from_secs(10)).await.unwrap();
    drop(gate);

    // As the deployment before made it.
    let file = place.dir.path().join("shadow/book");
    let bytes = std::fs::read(&file).unwrap();
    let mut record = ShadowRecord::decode(bytes.as_slice()).unwrap();
    assert_eq!(record.book_version, before.book_version);
    record.book_version = "another".to_owned();
    std::fs::write(&file, record.encode_to_vec()).unwrap();

    let gate = place.gate();
    let anew = status(&gate).await.unwrap();
    assert_ne!(anew.shadow_id, before.shadow_id);
    assert_eq!((anew.kept, anew.purpose.as_str()), (0, "a test"));
    gate.close(Duration::from_secs(10)).await.unwrap();
    drop(gate);
    let again = status(&place.gate()).await.unwrap();
    assert_eq!(again.shadow_id, anew.shadow_id);
}
