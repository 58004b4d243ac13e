//! Facts about the life of an entry: which step may follow which, and when it takes effect.

use std::sync::OnceLock;

use creditgate_measures::book::{Book, Deployment};
use creditgate_measures::catalogue;
use creditgate_measures::identifier::invented;

use super::*;

const NOW: &str = "2026-06-10T09:00:00+08:00";

fn time(text: &str) -> Time {
    Time::parse(text).expect(text)
}

fn book() -> &'static Book {
    static BOOK: OnceLock<Book> = OnceLock::new();
    BOOK.get_or_init(|| {
        Book::load(&catalogue::built_in(), &Deployment::default()).expect("the catalogue")
    })
}

fn row() -> v1::Entry {
    v1::Entry {
        entry_id: "E1".to_owned(),
        list: "B01".to_owned(),
        id_type: "USCC".to_owned(),
        id: invented::uscc(1),
        name: "示例公司".to_owned(),
        document_no: "示例1号".to_owned(),
        valid_from: "2026-06-01".to_owned(),
        ..Default::default()
    }
}

fn in_state(state: &str) -> v1::Entry {
    v1::Entry {
        state: state.to_owned(),
        ..row()
    }
}

fn steps(row: &v1::Entry, known: Option<&Known>, now: &str) -> Result<Vec<Step>, ChangeError> {
    put(draft(row)?, known, book(), time(now))
}

fn known(row: &v1::Entry) -> Known {
    let steps = steps(row, None, NOW).expect("a sound row");
    Known {
        entry: steps.last().expect("a step").entry.clone(),
        absent: false,
    }
}

/// What was done, and the states with the day from which each takes effect.
fn shown(steps: Result<Vec<Step>, ChangeError>) -> String {
    match steps {
        Err(error) => error.to_string(),
        Ok(steps) if steps.is_empty() => "unchanged".to_owned(),
        Ok(steps) => {
            let actions: Vec<_> = steps.iter().map(|step| step.action).collect();
            let last = &steps.last().expect("a step").entry;
            let changes: Vec<_> = last
                .changes
                .iter()
                .map(|change| format!("{} {}", change.to, change.effective_at.date()))
                .collect();
            format!("{}: {}", actions.join("+"), changes.join(", "))
        }
    }
}

#[test]
fn a_new_entry_may_begin_in_any_state() {
    let check =
        |row: v1::Entry, expected: &str| assert_eq!(shown(steps(&row, None, NOW)), expected);
    check(row(), "created: EFFECTIVE 2026-06-01");
    check(
        v1::Entry {
            document_no: String::new(),
            ..row()
        },
        "created: PROPOSED 2026-06-01",
    );
    check(
        v1::Entry {
            valid_from: String::new(),
            ..row()
        },
        "created: PROPOSED 2026-06-10",
    );
    check(in_state("PROPOSED"), "created: PROPOSED 2026-06-01");
    check(in_state("NOTIFIED"), "created: NOTIFIED 2026-06-01");
    check(in_state("SUSPENDED"), "created: SUSPENDED 2026-06-10");
    check(in_state("REPAIRED"), "created: REPAIRED 2026-06-10");
    check(in_state("REVOKED"), "created: REVOKED 2026-06-10");
    check(
        v1::Entry {
            state_since: "2026-06-03".to_owned(),
            ..in_state("SUSPENDED")
        },
        "created: SUSPENDED 2026-06-03",
    );
    check(
        v1::Entry {
            valid_from: String::new(),
            ..in_state("EFFECTIVE")
        },
        "valid_from: required: an entry that is or was in force says since when",
    );
}

#[test]
fn exactly_the_steps_of_the_specification_are_taken() {
    use State::{Effective, Notified, Proposed, Repaired, Revoked, Suspended};
    let allowed = [
        (Proposed, Notified),
        (Proposed, Revoked),
        (Notified, Effective),
        (Notified, Revoked),
        (Effective, Suspended),
        (Effective, Repaired),
        (Effective, Revoked),
        (Suspended, Effective),
        (Suspended, Repaired),
        (Suspended, Revoked),
    ];
    for from in State::ALL {
        for to in State::ALL {
            let known = known(&in_state(from.code())).entry;
            let done = change_state(&known, *to, None, time("2026-06-11"));
            if allowed.contains(&(*from, *to)) {
                let step = done.expect("an allowed step");
                assert_eq!(step.entry.last_state(), *to);
                assert_eq!(step.entry.state_at(time("2026-06-12")), *to, "{from} {to}");
                assert_eq!(step.entry.changes.len(), 2, "nothing is overwritten");
            } else {
                let refused = done.expect_err("no such step").to_string();
                assert!(
                    refused.contains(from.code()) && refused.contains(to.code()),
                    "{refused}"
                );
            }
        }
    }
}

#[test]
fn a_refused_step_says_what_there_is_instead() {
    let check = |from: &str, to: State, expected: &str| {
        let known = known(&in_state(from)).entry;
        let refused = change_state(&known, to, None, time(NOW)).expect_err("no such step");
        assert_eq!(refused.to_string(), expected);
    };
    check(
        "PROPOSED",
        State::Effective,
        "an entry that is PROPOSED does not become EFFECTIVE; it may become NOTIFIED or REVOKED",
    );
    check(
        "REPAIRED",
        State::Effective,
        "an entry that is REPAIRED does not become EFFECTIVE; it has ended and stays so",
    );
}

#[test]
fn a_step_never_takes_effect_before_the_one_it_follows() {
    let known = known(&in_state("EFFECTIVE")).entry;
    let early = change_state(&known, State::Repaired, Some(time("2026-05-31")), time(NOW));
    assert_eq!(
        early.expect_err("too early").to_string(),
        "change_state.effective_at: lies before the change it follows takes effect; leave it empty for the earliest time"
    );
    // In force only from a day to come, and revoked before that.
    let future = steps(
        &v1::Entry {
            valid_from: "2026-07-01".to_owned(),
            ..row()
        },
        None,
        NOW,
    )
    .expect("a sound row");
    let future = &future.last().expect("a step").entry;
    let revoked = change_state(future, State::Revoked, None, time(NOW)).expect("a step");
    assert_eq!(revoked.entry.state_at(time("2026-07-02")), State::Revoked);
}

#[test]
fn a_row_about_a_known_entry_corrects_it_and_keeps_its_history() {
    let check = |known_as: &str, row: v1::Entry, expected: &str| {
        let known = known(&in_state(known_as));
        assert_eq!(shown(steps(&row, Some(&known), "2026-06-12")), expected);
    };
    check("EFFECTIVE", row(), "unchanged");
    check("EFFECTIVE", in_state("EFFECTIVE"), "unchanged");
    check("SUSPENDED", row(), "unchanged");
    let renamed = v1::Entry {
        name: "示例新公司".to_owned(),
        ..row()
    };
    check("EFFECTIVE", renamed, "corrected: EFFECTIVE 2026-06-01");
    check(
        "EFFECTIVE",
        in_state("REPAIRED"),
        "state: EFFECTIVE 2026-06-01, REPAIRED 2026-06-12",
    );
    check(
        "PROPOSED",
        in_state("EFFECTIVE"),
        "state+state: PROPOSED 2026-06-01, NOTIFIED 2026-06-01, EFFECTIVE 2026-06-01",
    );
    check(
        "SUSPENDED",
        in_state("EFFECTIVE"),
        "state: SUSPENDED 2026-06-10, EFFECTIVE 2026-06-12",
    );
    check(
        "REPAIRED",
        in_state("EFFECTIVE"),
        "an entry that is REPAIRED does not become EFFECTIVE; it has ended and stays so",
    );
    check(
        "EFFECTIVE",
        v1::Entry {
            list: "B02".to_owned(),
            ..row()
        },
        "entry id `E1` belongs to list `B01`; choose another id",
    );
}

#[test]
fn a_row_with_the_missing_document_brings_a_proposal_into_force() {
    let proposal = v1::Entry {
        document_no: String::new(),
        ..row()
    };
    let known = known(&proposal);
    assert_eq!(
        shown(steps(&row(), Some(&known), "2026-06-12")),
        "corrected+state: PROPOSED 2026-06-01, NOTIFIED 2026-06-01, EFFECTIVE 2026-06-01"
    );
    assert_eq!(
        shown(steps(&proposal, Some(&known), "2026-06-12")),
        "unchanged"
    );
}

#[test]
fn an_entry_its_source_missed_returns_to_its_former_state() {
    let mut known = known(&in_state("SUSPENDED"));
    let ended = end_absent(&known.entry, time("2026-06-11")).expect("a step");
    known.entry = ended.entry;
    let row = v1::Entry {
        state: "SUSPENDED".to_owned(),
        state_since: "2026-06-10".to_owned(),
        ..row()
    };
    assert_eq!(
        shown(steps(&row, Some(&known), "2026-06-12")),
        "an entry that is REVOKED does not become SUSPENDED; it has ended and stays so"
    );
    known.absent = true;
    assert_eq!(
        shown(steps(&row, Some(&known), "2026-06-12")),
        "state: SUSPENDED 2026-06-10, REVOKED 2026-06-11, SUSPENDED 2026-06-12"
    );
    assert_eq!(
        shown(steps(&in_state("REPAIRED"), Some(&known), "2026-06-12")),
        "state+state: SUSPENDED 2026-06-10, REVOKED 2026-06-11, SUSPENDED 2026-06-12, REPAIRED 2026-06-12"
    );
    assert_eq!(
        shown(steps(&in_state("REVOKED"), Some(&known), "2026-06-12")),
        "corrected: SUSPENDED 2026-06-10, REVOKED 2026-06-11"
    );
}

#[test]
fn what_cannot_stand_is_refused_and_no_person_is_named() {
    let check =
        |row: v1::Entry, expected: &str| assert_eq!(shown(steps(&row, None, NOW)), expected);
    check(
        v1::Entry {
            list: "B99".to_owned(),
            ..row()
        },
        "the book has no list `B99`; name a list of the book by its code or its Chinese name (`creditgate lists sources` shows them)",
    );
    check(
        v1::Entry {
            id: invented::uscc(1).replace(|c: char| c.is_ascii_digit(), "9"),
            ..row()
        },
        "id: not a valid USCC: wrong check digit; correct the identifier or leave it empty",
    );
    check(
        v1::Entry {
            valid_to: "2026-05-31".to_owned(),
            ..row()
        },
        "valid_to: lies before `valid_from`",
    );
}
