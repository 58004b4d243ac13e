//! How long a decision takes, and how much memory a listed entry takes.
//!
//! `cargo bench -p creditgate-measures --bench decide`. Everything in it is invented.

#![expect(
    clippy::print_stdout,
    unsafe_code,
    reason = "the memory a base takes is printed, and counted by an allocator"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use creditgate_measures::book::Book;
use creditgate_measures::case::CaseView;
use creditgate_measures::event::Event;
use creditgate_measures::lists::{Base, ListVersion, Lists};
use creditgate_measures::{Question, decide};
use criterion::{BatchSize, Criterion};
use support::{NOW, bidder, evaluation, listed, named, on, row, uscc};

/// Counts allocations and the bytes not yet freed, while it is asked to: what is measured for its
/// time pays one load for each.
struct Counting;

static WATCHED: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the counters change nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WATCHED.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: passed on as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if WATCHED.load(Ordering::Relaxed) {
            BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: passed on as it came.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `work` gives, how often it allocated, and the bytes it left allocated.
fn watched<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = (
        ALLOCATIONS.load(Ordering::Relaxed),
        BYTES.load(Ordering::Relaxed),
    );
    WATCHED.store(true, Ordering::Relaxed);
    let made = work();
    WATCHED.store(false, Ordering::Relaxed);
    (
        made,
        ALLOCATIONS.load(Ordering::Relaxed).wrapping_sub(before.0),
        BYTES.load(Ordering::Relaxed).wrapping_sub(before.1),
    )
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A book of so many rows, each on one of the standard lists, half of them at the evaluation.
fn book(rows: u64) -> Book {
    const LISTS: [&str; 5] = ["B01", "B02", "B07", "B08", "A01"];
    let mut catalogue = support::Catalogue::default();
    for n in 0..rows {
        let list = LISTS[(n % 5) as usize];
        // Ten rows apply to whoever is on B07 at the evaluation, however large the book is.
        let stage = if n < 50 { "evaluate" } else { "award" };
        catalogue = catalogue.row(&format!(
            "id: P{n:04}\nlists: [{list}]\neffect: RESTRICT\n\
             applies: [{{ scenario: tender, stages: [{stage}] }}]"
        ));
        if n % 500 == 499 {
            catalogue = catalogue.next_file();
        }
    }
    catalogue.book()
}

/// Entries of so many firms, and of firm 0 on B07 besides.
fn base(entries: u64, book: &Book) -> Lists {
    let bodies: Vec<Vec<u8>> = (0..entries)
        .map(|n| {
            let mut entry = listed(&format!("E{n}"), "B02", uscc(n));
            if n == 0 {
                entry.list = "B07".into();
            }
            entry.to_stored()
        })
        .collect();
    let body_bytes: usize = bodies
        .iter()
        .map(|b| (b.len() + 4).next_multiple_of(8))
        .sum();
    let bytes = Base::build(bodies.iter().map(Vec::as_slice), book.simplify());
    drop(bodies);
    let around = bytes.len() - body_bytes;
    let bytes = Bytes::from(bytes);
    let (base, _, heap) = watched(|| Base::open(bytes).expect("a base"));
    println!(
        "memory, {entries} entries: {:.1} bytes an entry besides its body ({:.1} of the base, {:.1} of heap); body {:.1}",
        (around + heap) as f64 / entries as f64,
        around as f64 / entries as f64,
        heap as f64 / entries as f64,
        body_bytes as f64 / entries as f64,
    );
    let confirmed = book
        .lists()
        .into_iter()
        .map(|list| (list.code.clone(), on(NOW)));
    let version = ListVersion {
        log_id: uuid::Uuid::nil(),
        seq: entries,
    };
    Lists::over(base, version, confirmed.collect(), book.simplify())
}

fn bench(criterion: &mut Criterion, name: &str, event: &Event, lists: &Lists, book: &Book) {
    let case = CaseView::default();
    let ask = || {
        decide(
            Question::about(event),
            event.occurred_at,
            &case,
            lists,
            book,
        )
    };
    let (verdict, allocations, _) = watched(ask);
    let triggered: usize = verdict.subjects.iter().map(|s| s.triggered.len()).sum();
    println!("{name}: {allocations} allocations, {triggered} measures triggered");
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            decide(
                Question::about(black_box(event)),
                event.occurred_at,
                &case,
                lists,
                book,
            )
        });
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let small = row("id: P1\nlists: [B07]\neffect: RESTRICT").book();
    let book_50 = book(50);
    let book_5000 = book(5_000);
    let lists_10k = base(10_000, &book_50);
    let lists_1m = base(1_000_000, &book_50);

    let clean = evaluation([bidder(800_000_000)]);
    let clean_named = evaluation([named(bidder(800_000_000), "东方广贸（苏州）有限公司")]);
    let hit = evaluation([bidder(0)]);

    bench(
        &mut criterion,
        "clean, 10 thousand entries",
        &clean,
        &lists_10k,
        &book_50,
    );
    bench(
        &mut criterion,
        "clean, 1 million entries",
        &clean,
        &lists_1m,
        &book_50,
    );
    bench(
        &mut criterion,
        "clean with a name, 1 million entries",
        &clean_named,
        &lists_1m,
        &book_50,
    );
    bench(
        &mut criterion,
        "clean, 1 million entries, 5,000 rows",
        &clean,
        &lists_1m,
        &book_5000,
    );
    bench(
        &mut criterion,
        "one hit, 1 million entries",
        &hit,
        &lists_1m,
        &small,
    );
    bench(
        &mut criterion,
        "ten hits, 1 million entries",
        &hit,
        &lists_1m,
        &book_50,
    );
    bench(
        &mut criterion,
        "ten hits, 1 million entries, 5,000 rows",
        &hit,
        &lists_1m,
        &book_5000,
    );

    // A different clean subject each time: nothing of it is in the processor's caches.
    let case = CaseView::default();
    let mut n = 700_000_000;
    criterion.bench_function("clean and cold, 1 million entries", |bencher| {
        bencher.iter_batched_ref(
            || {
                n += 1;
                evaluation([bidder(n)])
            },
            |event| {
                decide(
                    Question::about(event),
                    event.occurred_at,
                    &case,
                    &lists_1m,
                    &book_50,
                )
            },
            BatchSize::SmallInput,
        );
    });
    criterion.final_summary();
}
