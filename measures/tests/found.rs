//! A decision stopped between lists and measures goes on to the same parties.

mod support;

use creditgate_measures::case::CaseView;
use creditgate_measures::lists::Lists;
use creditgate_measures::{Found, Question, decide};
use support::{NOW, bidder, evaluation, listed, of_party, on, row, uscc};

#[test]
fn the_measures_come_to_the_same_for_what_was_found_before() {
    let catalogue = row("id: P1\nlists: [B07]\neffect: RESTRICT")
        .row("id: P2\nlists: [B01]\nforce: may\neffect: PROHIBIT");
    let book = catalogue.book();
    let mut lists = Lists::empty(uuid::Uuid::nil(), book.simplify());
    for (id, list, party) in [("E1", "B07", 1), ("E2", "B01", 2), ("E3", "B02", 3)] {
        lists.put(&listed(id, list, uscc(party)), book.simplify());
    }
    for list in book.lists() {
        lists.confirm(list.code.clone(), on(NOW));
    }
    let case = CaseView::default();
    for event in [
        evaluation([bidder(1)]),
        evaluation([bidder(3)]),
        evaluation([
            of_party("a", bidder(1)),
            of_party("a", bidder(4)),
            bidder(2),
        ]),
    ] {
        let question = Question::about(&event);
        let found = Found::of(question, event.occurred_at, &case, &lists, &book);
        let verdict = decide(question, event.occurred_at, &case, &lists, &book);
        assert_eq!(found.parties(), verdict.parties);
        // What the first look worked out changes nothing for the second.
        assert_eq!(found.parties(), verdict.parties);
    }
}
