//! What a decision costs over lists of each size, and what the lists take.
//!
//! The lists are laid out into files and mapped, as the registry does it. All sizes are there when
//! decisions are timed: rounds go over them in turn, so that each met the same machine.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use creditgate_measures::book::Book;
use creditgate_measures::case::CaseView;
use creditgate_measures::entry::{Entry, StateChange};
use creditgate_measures::event::{Event, GivenIdentifier, Region, Sensitive, Subject};
use creditgate_measures::identifier::{IdType, Identifier, invented};
use creditgate_measures::lists::{BASE_HEADER_BYTES, Base, ListVersion, Lists};
use creditgate_measures::time::Time;
use creditgate_measures::verdict::Verdict;
use creditgate_measures::vocabulary::{Role, State, SubjectKind};
use creditgate_measures::{Question, decide};

use super::super::report::{Aim, Row};
use super::{BENCH, book, once};
use crate::failure::Failure;
use crate::world;

/// Bytes of an entry in the index that stay in memory, at most.
const INDEX_BYTES: f64 = 24.0;
/// What a decision over the largest lists costs against the smallest, at most.
const GROWTH: f64 = 1.5;
/// Rows of the usual book, and of the large one.
const ROWS: usize = 75;
const ROWS_MANY: usize = 5_000;
/// Entries that one step lays out: what is added stands in memory until it is written.
const STEP: u64 = 2_000_000;
/// Different subjects of each kind, so that not one of them stays in the processor's caches.
const SUBJECTS: u64 = 4_096;
/// Decisions timed together: one alone is near to what a clock can tell.
const BATCH: usize = 16;
/// How many entries the subjects with ten entries have.
const TEN: u64 = 10;
/// One entry in so many is on the list on which ten rows turn.
const TEN_ROWS_EVERY: u64 = 2;
/// Numbers of the subjects with ten entries begin here, those of clean ones further on.
const MANY_FROM: u64 = 100_000_000;
const CLEAN_FROM: u64 = 200_000_000;

/// What a subject stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Clean,
    OneHit,
    TenRows,
    TenEntries,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Clean, Self::OneHit, Self::TenRows, Self::TenEntries];

    const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::OneHit => "one hit",
            Self::TenRows => "ten hits (rows on one entry)",
            Self::TenEntries => "ten hits (entries, a row each)",
        }
    }

    /// What it should cost at most, in nanoseconds.
    const fn aim_ns(self) -> Option<f64> {
        match self {
            Self::Clean => Some(500.0),
            Self::OneHit => None,
            Self::TenRows | Self::TenEntries => Some(5_000.0),
        }
    }

    /// Measures that apply to such a subject.
    const fn measures(self) -> usize {
        match self {
            Self::Clean => 0,
            Self::OneHit => 1,
            Self::TenRows | Self::TenEntries => 10,
        }
    }

    /// The number of a subject of this kind, over so many entries.
    fn party(self, n: u64, entries: u64, seed: u64) -> u64 {
        // A step that shares no factor with the sizes goes over all of the lists. Of each hundred
        // numbers the first is an entry of a subject with ten.
        let hundred = n.wrapping_mul(7_919).wrapping_add(seed) % (entries / 100);
        let even = hundred * 100 + 2 + n % 49 * TEN_ROWS_EVERY;
        match self {
            Self::Clean => CLEAN_FROM + n,
            Self::OneHit => even + 1,
            Self::TenRows => even,
            Self::TenEntries => MANY_FROM + n % many(entries),
        }
    }
}

/// How many subjects stand on ten entries; their entries are part of all.
fn many(entries: u64) -> u64 {
    (entries / 100 / TEN).min(SUBJECTS)
}

/// Lists of one size.
struct Size {
    entries: u64,
    lists: Lists,
    laid_out: Duration,
    opened: Duration,
    file_bytes: u64,
    index_bytes: u64,
}

/// Times of one kind of subject over one size.
#[derive(Default)]
struct Times {
    /// The middle of each round, in nanoseconds a decision.
    rounds: Vec<f64>,
    /// Each batch, in nanoseconds a decision.
    batches: Vec<u64>,
}

/// Measures the sizes and gives what was found.
pub fn measure(dir: &Path, sizes: &[u64], rounds: usize, seed: u64) -> Result<Vec<Row>, Failure> {
    let usual = book::of(ROWS)?;
    let many_rows = book::of(ROWS_MANY)?;
    let now = Time::parse("2026-06-01T10:00:00+08:00")
        .map_err(|error| Failure::new("read a time", error))?;
    let mut built: Vec<Size> = Vec::new();
    for entries in sizes {
        let before = built.last();
        let size = lay_out(dir, before, *entries, &usual, now)?;
        note!(
            "{entries} entries: laid out in {:.1} s, opened in {:.2} s, {:.1} bytes an entry besides its body, {:.0} MiB",
            size.laid_out.as_secs_f64(),
            size.opened.as_secs_f64(),
            size.index_bytes as f64 / *entries as f64,
            size.file_bytes as f64 / f64::from(1 << 20),
        );
        built.push(size);
    }
    let mut figures = Vec::new();
    for size in &built {
        tell_size(size, &mut figures);
    }
    let usual = time(&built, &usual, now, rounds, seed)?;
    tell_times(&built, &usual, ROWS, &mut figures);
    // Of the large book the smallest and the largest lists tell enough.
    let ends: Vec<Size> = match built.len() {
        0 | 1 => built,
        _ => {
            let last = built.pop();
            built.truncate(1);
            built.into_iter().chain(last).collect()
        }
    };
    let many_rows = time(&ends, &many_rows, now, rounds, seed)?;
    tell_times(&ends, &many_rows, ROWS_MANY, &mut figures);
    Ok(figures)
}

/// Lays lists of this size out in a file, from those of the size before.
fn lay_out(
    dir: &Path,
    before: Option<&Size>,
    entries: u64,
    book: &Book,
    now: Time,
) -> Result<Size, Failure> {
    let mut laid_out = Duration::ZERO;
    let mut opened = Duration::ZERO;
    let mut from = before.map_or(0, |size| size.entries);
    let mut grown: Option<(Base, PathBuf)> = None;
    while from < entries {
        let to = (from + STEP).min(entries);
        let bodies = bodies(from..to, now)?;
        let added: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        let path = dir.join(format!("scale-{to}.lists"));
        let empty = Base::empty();
        let base = match (&grown, before) {
            (Some((base, _)), _) => base,
            (None, Some(size)) => size.lists.base(),
            (None, None) => &empty,
        };
        let began = Instant::now();
        write(base, &added, book, &path)
            .map_err(|error| Failure::new("write lists to a file", error))?;
        laid_out += began.elapsed();
        let began = Instant::now();
        let mapped = File::open(&path).and_then(|file| creditgate_registry::mapped(&file));
        let bytes = mapped.map_err(|error| Failure::new("map a file of lists", error))?;
        let base =
            Base::open(bytes).map_err(|error| Failure::new("open a file of lists", error))?;
        opened = began.elapsed();
        if let Some((_, older)) = grown.replace((base, path)) {
            // Only what the last step made is asked; the older one is mapped no more.
            let _ = std::fs::remove_file(older);
        }
        from = to;
    }
    let (base, path) = grown.ok_or_else(|| Failure::plain("sizes must ascend"))?;
    let file = std::fs::metadata(&path).map_err(|error| Failure::new("read a file", error))?;
    let index_bytes = base.index_bytes() as u64;
    let confirmed = book
        .lists()
        .into_iter()
        .map(|list| (list.code.clone(), now));
    let version = ListVersion {
        log_id: uuid::Uuid::nil(),
        seq: entries,
    };
    let lists = Lists::over(base, version, confirmed.collect(), book.simplify());
    Ok(Size {
        entries,
        lists,
        laid_out,
        opened,
        file_bytes: file.len(),
        index_bytes,
    })
}

/// Writes a base with more entries, as base files are written.
fn write(base: &Base, added: &[&[u8]], book: &Book, path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(&[0; BASE_HEADER_BYTES])?;
    let header = base.build_from(&[], added, book.simplify(), |part| out.write_all(part))?;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header)?;
    out.into_inner()?.sync_all()
}

/// The stored entries of these numbers.
fn bodies(numbers: std::ops::Range<u64>, now: Time) -> Result<Vec<Vec<u8>>, Failure> {
    numbers
        .map(|n| {
            // Of every hundred entries one is an entry of a subject with ten of them.
            let (party, list) = match (n % 100, n / 100) {
                (0, part) if part / TEN < SUBJECTS => (MANY_FROM + part / TEN, book::ONE_ROW),
                _ if n % TEN_ROWS_EVERY == 0 => (n, book::TEN_ROWS),
                _ => (n, book::ONE_ROW),
            };
            Ok(entry(n, party, list, now)?.to_stored())
        })
        .collect()
}

/// An entry like those of the invented lists, with the texts that such entries have.
fn entry(n: u64, party: u64, list: &str, now: Time) -> Result<Entry, Failure> {
    let since = now.date().plus_days(-30).start();
    let firm = Identifier::parse(IdType::Uscc, &invented::uscc(party), None)
        .map_err(|error| Failure::new("make an entry", error))?;
    Ok(Entry {
        entry_id: format!("SCALE-{list}-{n}").as_str().into(),
        list: list.into(),
        identifier: Some(firm),
        name: Some(Sensitive::new(world::name(party))),
        former_names: Vec::new(),
        kind: Some(SubjectKind::Enterprise),
        severity: None,
        grade: None,
        designated_by: Some("演示机关 (invented)".into()),
        document_no: Some(format!("演示〔2026〕{n}号").into()),
        basis: None,
        reason: Some(Sensitive::new("演示用虚构事由 (invented)")),
        region: Region::parse("320500"),
        scope: Vec::new(),
        act_date: None,
        served_at: Some(since),
        valid_from: since,
        valid_to: Some(now.date().plus_months(24)),
        display_min_until: None,
        display_max_until: None,
        repeat_count: 0,
        related: Vec::new(),
        aliases: Vec::new(),
        source_unit: Some("演示数据 (invented)".into()),
        rule_version: None,
        objection_marked: false,
        recorded_at: since,
        changes: vec![StateChange {
            to: State::Effective,
            effective_at: since,
            recorded_at: since,
        }],
    })
}

fn event(n: u64, party: u64, now: Time) -> Event {
    let given = GivenIdentifier {
        id_type: IdType::Uscc,
        value: Sensitive::new(invented::uscc(party)),
        issuer: None,
    };
    let name = Sensitive::new(world::name(party));
    let kind = Some(SubjectKind::Enterprise);
    let id = format!("scale-{n:08}");
    Event {
        source: "bench".into(),
        id: id.as_str().into(),
        case_id: id.as_str().into(),
        scenario: "procurement".into(),
        stage: "evaluate".into(),
        occurred_at: now,
        clock_filled: false,
        region: Region::parse("320505").unwrap_or(Region::NATION),
        item_code: None,
        amount_fen: None,
        purpose: None,
        subjects: vec![Subject::new(
            None,
            Role::Supplier,
            kind,
            Some(given),
            Some(name),
        )],
        attributes: std::collections::BTreeMap::new(),
    }
}

/// Times every kind of subject over every size, in turn.
fn time(
    sizes: &[Size],
    book: &Book,
    now: Time,
    rounds: usize,
    seed: u64,
) -> Result<Vec<Vec<Times>>, Failure> {
    let case = CaseView::default();
    let events: Vec<Vec<Vec<Event>>> = sizes
        .iter()
        .map(|size| {
            let of_kind = |kind: Kind| {
                let event = |n| event(n, kind.party(n, size.entries, seed), now);
                (0..SUBJECTS).map(event).collect()
            };
            Kind::ALL.into_iter().map(of_kind).collect()
        })
        .collect();
    let ask = |event, lists| decide(Question::about(event), now, &case, lists, book);
    for (size, events) in sizes.iter().zip(&events) {
        for (kind, events) in Kind::ALL.into_iter().zip(events) {
            for event in events {
                holds(kind, size, &ask(event, &size.lists))?;
            }
        }
    }
    let mut times: Vec<Vec<Times>> = sizes
        .iter()
        .map(|_| Kind::ALL.iter().map(|_| Times::default()).collect())
        .collect();
    for _ in 0..rounds {
        for ((size, events), times) in sizes.iter().zip(&events).zip(&mut times) {
            for (events, times) in events.iter().zip(times) {
                let mut round: Vec<u64> = Vec::with_capacity(events.len() / BATCH);
                for batch in events.chunks_exact(BATCH) {
                    let began = Instant::now();
                    for event in batch {
                        black_box(ask(black_box(event), &size.lists));
                    }
                    let nanos = began.elapsed().as_nanos() / BATCH as u128;
                    round.push(u64::try_from(nanos).unwrap_or(u64::MAX));
                }
                round.sort_unstable();
                times.rounds.push(quantile(&round, 0.5) as f64);
                times.batches.append(&mut round);
            }
        }
    }
    for times in times.iter_mut().flatten() {
        times.batches.sort_unstable();
    }
    Ok(times)
}

/// A benchmark of something else than it says would be worse than none.
fn holds(kind: Kind, size: &Size, verdict: &Verdict) -> Result<(), Failure> {
    let measures: usize = verdict
        .subjects
        .iter()
        .flat_map(|subject| &subject.triggered)
        .map(|triggered| 1 + triggered.also.len())
        .sum();
    let whole = verdict.not_checked.is_empty() && verdict.explanation.is_empty();
    if measures == kind.measures() && whole {
        return Ok(());
    }
    Err(Failure::plain(format!(
        "{} over {} entries: {measures} measures apply instead of {}",
        kind.name(),
        size.entries,
        kind.measures()
    )))
}

/// The value that this share of sorted values does not exceed.
fn quantile(sorted: &[u64], share: f64) -> u64 {
    let index = (sorted.len() as f64 * share) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(index.min(last)).copied().unwrap_or_default()
}

fn tell_size(size: &Size, figures: &mut Vec<Row>) {
    let entries = size.entries as f64;
    let at = |what: &str| format!("{what}, {} entries", size.entries);
    let per_entry = size.index_bytes as f64 / entries;
    let index = once(at("index, resident, an entry"), "B", per_entry);
    figures.push(index.aim(Aim::AtMost(INDEX_BYTES)));
    let mut add = |what: &str, unit, value: f64| figures.push(once(at(what), unit, value));
    add("file", "MiB", size.file_bytes as f64 / f64::from(1 << 20));
    add(
        "laid out from the size before",
        "s",
        size.laid_out.as_secs_f64(),
    );
    add("opened", "s", size.opened.as_secs_f64());
}

fn tell_times(sizes: &[Size], times: &[Vec<Times>], rows: usize, figures: &mut Vec<Row>) {
    let medians = |times: &[Times]| -> Vec<Vec<f64>> {
        times.iter().map(|times| times.rounds.clone()).collect()
    };
    let first = times
        .first()
        .map(|times| medians(times))
        .unwrap_or_default();
    for (size, times) in sizes.iter().zip(times) {
        for ((kind, times), first) in Kind::ALL.into_iter().zip(times).zip(&first) {
            let at = format!("{}, {} entries, {rows} rows", kind.name(), size.entries);
            let of = |share| quantile(&times.batches, share) as f64;
            let row = Row::new(BENCH, at.clone(), "ns", times.rounds.iter().copied());
            figures.push(match kind.aim_ns() {
                Some(most) => row.aim(Aim::AtMost(most)),
                None => row,
            });
            for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
                figures.push(once(format!("{at}: {name}"), "ns", of(share)));
            }
            let ratios = times
                .rounds
                .iter()
                .zip(first)
                .map(|(this, first)| this / first);
            let what = format!("{at}: against the smallest lists");
            figures.push(Row::new(BENCH, what, "×", ratios).aim(Aim::AtMost(GROWTH)));
        }
    }
}
