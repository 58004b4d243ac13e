//! How long the walk of the clock and a page of what is due take over many entries.
//!
//! `cargo run --release -p creditgate-registry --example clock_walk -- 1000000`

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::time::Instant;

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::catalogue;
use creditgate_measures::clocks::{boundaries, clocks};
use creditgate_measures::entry::{Entry, StoredEntry};
use creditgate_measures::identifier::invented;
use creditgate_proto::v1;

// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let count: u64 = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let book = Book::load(&catalogue::built_in(), &Deployment::default()).expect("the book");
    let body = |n: u64| {
        let entry = v1::Entry {
            entry_id: format!("E-{n:08}"),
            list: if n.is_multiple_of(4) { "B02" } else { "B01" }.to_owned(),
            id_type: "USCC".to_owned(),
            id: invented::uscc(n),
            name: format!("示例第{n}号公司"),
            document_no: format!("示例{n}号"),
            valid_from: "2026-04-10".to_owned(),
            valid_to: "2028-01-04".to_owned(),
            ..v1::Entry::default()
        };
        let draft = creditgate_registry::life::draft(&entry).expect("a draft");
        let now = creditgate_measures::time::Time::from_micros(1_780_000_000_000_000);
        let steps = creditgate_registry::life::put(draft, None, &book, now).expect("an entry");
        steps[0].entry.to_stored()
    };
    let bodies: Vec<Vec<u8>> = (0..count).map(body).collect();
    let started = Instant::now();
    let mut moments = 0;
    for body in &bodies {
        let entry = Entry::from_stored(body).expect("an entry");
        moments += clocks(&entry, &book).len();
    }
    println!(
        "clocks: {moments} moments of {count} entries in {:.2} s",
        started.elapsed().as_secs_f64()
    );
    let started = Instant::now();
    let mut moments = 0;
    for body in &bodies {
        let stored = StoredEntry::read(body).expect("an entry");
        moments += boundaries(&stored, book.list(stored.list).map(AsRef::as_ref)).len();
    }
    println!(
        "boundaries: {moments} moments in {:.2} s",
        started.elapsed().as_secs_f64()
    );
}
