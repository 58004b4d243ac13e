//! Clocks by hand-computed dates: working days, ends of entries, repair, deletion, notices.
use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::catalogue;

#[test]
fn the_catalogue_declares_its_calendars() {
    let book = Book::load(&catalogue::built_in(), &Deployment::default())
        .unwrap_or_else(|e| panic!("{e}"));
    let years: Vec<i32> = book.calendar().years().map(|year| year.year).collect();
    assert_eq!(years, [2025, 2026]);
    assert_eq!(book.notices().len(), 9);
}
