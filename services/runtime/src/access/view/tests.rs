//! What a view takes away, and what it never touches.

use super::*;

fn lists(codes: &[&str]) -> Option<Lists> {
    Some(Arc::new(
        codes.iter().map(|code| Arc::from(*code)).collect(),
    ))
}

fn hit(list: &str, path: &str) -> Option<v1::EntryHit> {
    Some(v1::EntryHit {
        entry_id: "E-1".to_owned(),
        list: list.to_owned(),
        document_no: Some("示例〔2026〕1号".to_owned()),
        path: path.to_owned(),
    })
}

fn triggered(effect: &str, list: &str, path: &str) -> v1::Triggered {
    v1::Triggered {
        effect: effect.to_owned(),
        entry: hit(list, path),
        ..v1::Triggered::default()
    }
}

/// A firm that is stopped and a person that is looked at, each by an entry.
fn verdict() -> v1::Verdict {
    let firm = v1::SubjectVerdict {
        kind: Some("enterprise".to_owned()),
        outcome: "PROHIBIT".to_owned(),
        effect: Some("PROHIBIT".to_owned()),
        result_code: 8,
        triggered: vec![
            triggered("PROHIBIT", "B01", "identifier"),
            triggered("NOTICE", "B02", "related:actual_controller"),
        ],
        withheld: vec![v1::Incentive {
            why: vec!["excluded_by:B01".to_owned(), "subject_unlinked".to_owned()],
            entry: hit("G01", "identifier"),
            ..v1::Incentive::default()
        }],
        ..v1::SubjectVerdict::default()
    };
    let person = v1::SubjectVerdict {
        index: 1,
        kind: Some("natural_person".to_owned()),
        outcome: "MANUAL_REVIEW".to_owned(),
        review: true,
        proposed: Some("RESTRICT".to_owned()),
        triggered: vec![triggered("RESTRICT", "B01", "identifier")],
        ..v1::SubjectVerdict::default()
    };
    v1::Verdict {
        verdict_id: "018f".to_owned(),
        verdict_digest: "ab".to_owned(),
        outcome: "PROHIBIT".to_owned(),
        effect: Some("PROHIBIT".to_owned()),
        review: true,
        proposed: Some("RESTRICT".to_owned()),
        result_code: 8,
        subjects: vec![firm, person],
        not_checked: vec![v1::NotChecked {
            list: "B07".to_owned(),
            why: "not_loaded".to_owned(),
        }],
        ..v1::Verdict::default()
    }
}

fn seen(view: &View) -> v1::Verdict {
    let mut verdict = verdict();
    view.show(&mut verdict);
    verdict
}

/// The lists whose entries are told, subject by subject.
fn told(verdict: &v1::Verdict) -> String {
    let of_subject = |subject: &v1::SubjectVerdict| {
        let penalties = subject.triggered.iter().map(|one| &one.entry);
        let incentives = subject.withheld.iter().map(|one| &one.entry);
        let hits = penalties.chain(incentives).flatten();
        let lists: Vec<&str> = hits.map(|hit| hit.list.as_str()).collect();
        lists.join(" ")
    };
    let told: Vec<String> = verdict.subjects.iter().map(of_subject).collect();
    told.join(" | ")
}

/// What no view may touch.
fn decided(mut verdict: v1::Verdict) -> v1::Verdict {
    verdict.view = None;
    for subject in &mut verdict.subjects {
        subject.triggered.clear();
        subject.withheld.clear();
    }
    verdict
}

#[test]
fn a_view_takes_explanation_away_and_never_the_answer() {
    let standard = View::standard();
    let check = |view: View, expected: &str| {
        let seen = seen(&view);
        assert_eq!(told(&seen), expected, "{view:?}");
        assert_eq!(seen.view.as_deref(), Some(&*view.name));
        assert_eq!(decided(seen), decided(verdict()), "{view:?}");
    };
    check(standard.clone(), "B01 G01 | ");
    let everybody = View {
        reasons: Reasons::All,
        ..standard.clone()
    };
    check(everybody.clone(), "B01 B02 G01 | B01");
    let nobody = View {
        reasons: Reasons::None,
        ..standard.clone()
    };
    check(nobody, " | ");
    let no_entries = View {
        entries: Entries::None,
        ..everybody.clone()
    };
    check(no_entries, " | ");
    let one_list = View {
        lists: lists(&["B02"]),
        ..everybody.clone()
    };
    check(one_list, "B02 | ");
    let notices = View {
        measures_up_to: Some(Effect::Notice),
        ..everybody
    };
    check(notices, "B02 G01 | ");
}

#[test]
fn measures_above_the_limit_are_not_told_and_those_below_are() {
    let check = |most: Effect, expected: [usize; 2]| {
        let view = View {
            measures_up_to: Some(most),
            ..View::standard()
        };
        let seen = seen(&view);
        let told: Vec<usize> = seen.subjects.iter().map(|it| it.triggered.len()).collect();
        assert_eq!(told, expected, "{most}");
    };
    check(Effect::Notice, [1, 0]);
    check(Effect::RequireDocument, [1, 0]);
    check(Effect::Restrict, [1, 1]);
    check(Effect::Prohibit, [2, 1]);
}

#[test]
fn a_number_tells_no_id() {
    let view = View {
        entries: Entries::Number,
        ..View::standard()
    };
    let seen = seen(&view);
    let entry = seen.subjects[0].triggered[0].entry.as_ref();
    let entry = entry.expect("it is told");
    assert!(entry.entry_id.is_empty());
    assert_eq!(entry.list, "B01");
    assert_eq!(entry.document_no.as_deref(), Some("示例〔2026〕1号"));
}

#[test]
fn that_something_is_withheld_for_an_entry_stays_and_its_list_goes_as_the_entry() {
    let why = |view: &View| seen(view).subjects[0].withheld[0].why.clone();
    let standard = View::standard();
    assert_eq!(why(&standard), ["excluded_by:B01", "subject_unlinked"]);
    let other = View {
        lists: lists(&["G01"]),
        ..standard
    };
    assert_eq!(why(&other), ["excluded_by", "subject_unlinked"]);
}

#[test]
fn each_purpose_has_its_view_and_every_other_one_the_rest() {
    let mut views = Views::default();
    let lender = View {
        name: "贷前审查".into(),
        measures_up_to: Some(Effect::Notice),
        ..View::standard()
    };
    views.insert("贷前审查", lender);
    let name = |sight: &Sight, purpose| {
        let view = sight.view(purpose);
        view.map(|view| view.name.to_string())
    };
    let business = views.sight(lists(&["B01"]), false, Standing::Asks { age_years: 3 });
    assert_eq!(
        name(&business, Some("贷前审查")).as_deref(),
        Some("贷前审查")
    );
    assert_eq!(name(&business, Some("其他")).as_deref(), Some("standard"));
    assert_eq!(name(&business, None).as_deref(), Some("standard"));
    let view = business.view(Some("贷前审查")).expect("a view");
    assert_eq!(view.lists, lists(&["B01"]));
    assert_eq!(business.age_years, Some(3));

    views.insert(
        EVERY_PURPOSE,
        View {
            name: EVERY_PURPOSE.into(),
            ..View::standard()
        },
    );
    let business = views.sight(None, false, Standing::Asks { age_years: 5 });
    assert_eq!(name(&business, None).as_deref(), Some("*"));
    assert_eq!(name(&business, Some("*")).as_deref(), Some("*"));

    // Whoever decides sees the whole, but for lists that it does not see.
    let reviewer = views.sight(None, true, Standing::Decides);
    assert_eq!(name(&reviewer, Some("贷前审查")), None);
    assert_eq!(reviewer.age_years, None);
    let reviewer = views.sight(lists(&["B02"]), true, Standing::Decides);
    let view = reviewer.view(None).expect("a view");
    assert_eq!(told(&seen(view)), "B02 | ");
}

#[test]
fn in_full_is_shown_to_whoever_may_and_says_why() {
    let views = Views::default();
    let may = views.sight(None, true, Standing::Decides);
    assert!(may.sees(true).is_all());
    assert!(may.sees(false).masked);
    let may_not = views.sight(None, false, Standing::Decides);
    assert!(may_not.sees(true).masked);
    assert!(!Sight::nothing().sees(true).list("B01"));
}
