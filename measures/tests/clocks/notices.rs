//! Notices: what is filled in, and what nobody knows.

use creditgate_measures::book::Book;
use creditgate_measures::clocks::notice::{
    NOT_STATED, decision_zh, occasion_of, related_zh, render,
};
use creditgate_measures::clocks::{Occasion, Placeholder};
use creditgate_measures::entry::Entry;
use creditgate_measures::event::Sensitive;
use creditgate_measures::vocabulary::{Role, Severity, State};

use crate::BOOK;
use crate::support::{day, dedent, listed, on, row, uscc};

/// A complete entry of B02, decided on 2026-05-06.
fn complete() -> Entry {
    let mut entry = listed("E1", "B02", uscc(1));
    entry.name = Some(Sensitive::new("示例建设有限公司"));
    entry.designated_by = Some("示例市税务局".into());
    entry.document_no = Some("示税公〔2026〕1号".into());
    entry.basis = Some("示例办法第六条".into());
    entry.reason = Some(Sensitive::new("虚开发票"));
    entry.severity = Some(Severity::Serious);
    entry.valid_from = on("2026-05-06");
    entry
}

fn written(book: &Book, when: Occasion, entry: &Entry, extra: &[(Placeholder, &str)]) -> String {
    let notice = book.notice_on(when).expect("a notice");
    let list = book.list(entry.list.as_str()).expect("a list");
    render(notice, entry, list, book, extra).reveal().to_owned()
}

#[test]
fn the_decision_is_served_with_the_notice_on_repair() {
    let listing = BOOK.notice_on(Occasion::Listing).expect("a notice");
    let together: Vec<Occasion> = listing
        .together_with
        .iter()
        .filter_map(|id| BOOK.notice(id))
        .map(|notice| notice.when)
        .collect();
    assert_eq!(together, [Occasion::RepairNotice]);
    let proving = BOOK.notices().iter().filter(|notice| notice.proves_service);
    let proving: Vec<&str> = proving.map(|notice| &*notice.id).collect();
    assert_eq!(
        proving,
        [&*listing.id],
        "only the decision proves its service"
    );
}

#[test]
fn every_occasion_has_its_notice() {
    for when in Occasion::ALL {
        assert!(BOOK.notice_on(*when).is_some(), "{when}");
    }
    assert_eq!(occasion_of(State::Proposed), Some(Occasion::ListingPlanned));
    assert_eq!(occasion_of(State::Suspended), None);
}

#[test]
fn a_notice_on_repair_says_from_when_and_until_when() {
    let text = written(
        &BOOK,
        Occasion::RepairNotice,
        &complete(),
        &[
            (Placeholder::Contact, "0512-00000000"),
            (Placeholder::NoticeDate, "2026-05-08"),
        ],
    );
    assert_eq!(
        text.trim_end(),
        dedent(
            "
            信用修复告知书

            示例建设有限公司（91219999MAYG58BR3Q）：

            你（单位）已被列入“重大税收违法失信主体名单”（示税公〔2026〕1号），失信程度为严重，截止日期为2029年5月5日。

            适用规则：信用修复管理办法
            可以申请信用修复的起始日期：2027年5月6日
            申请条件：最短公示期届满；失信行为已经纠正，法定义务已经全部履行；作出信用承诺；符合法律、法规规定的其他条件。

            申请信用修复不收取任何费用。受理单位自收到申请之日起3个工作日内决定是否受理，自收到申请之日起10个工作日内反馈结果；情形复杂的，可以依规定延长。

            修复后，相关信息停止公示、共享和使用，相应惩戒措施同时解除。

            联系方式：0512-00000000
            2026年5月8日
            "
        )
        .replace("91219999MAYG58BR3Q", complete().identifier.expect("one").reveal())
    );
}

#[test]
fn what_nobody_knows_stands_as_not_stated() {
    let mut bare = complete();
    (bare.name, bare.identifier, bare.reason) = (None, None, None);
    (bare.basis, bare.designated_by, bare.document_no) = (None, None, None);
    bare.severity = None;
    let told = written(&BOOK, Occasion::Listing, &bare, &[]);
    assert!(
        told.contains(&format!("{NOT_STATED}（{NOT_STATED}）：")),
        "{told}"
    );
    assert!(told.contains(&format!("事由：{NOT_STATED}")), "{told}");
    // B02 says what an entry without severity is.
    assert!(told.contains("失信程度：严重"), "{told}");
    for notice in BOOK.notices() {
        let text = written(&BOOK, notice.when, &bare, &[]);
        assert!(!text.contains(['{', '}']), "{}: {text}", notice.id);
    }
    // A blank value is as good as none.
    let blank = written(
        &BOOK,
        Occasion::Listing,
        &bare,
        &[(Placeholder::Reason, " ")],
    );
    assert!(blank.contains(&format!("事由：{NOT_STATED}")), "{blank}");
}

#[test]
fn the_limits_told_are_those_of_the_day_of_the_notice() {
    // Decided under Order 58, which is not known to have set limits of repair.
    let mut old = complete();
    (old.valid_from, old.recorded_at) = (on("2026-03-01"), on("2026-03-01"));
    let text = |extra| written(&BOOK, Occasion::RepairPossible, &old, extra);
    let then = text(&[]);
    assert!(
        then.contains(&format!("自收到申请之日起{NOT_STATED}内")),
        "{then}"
    );
    let now = text(&[(Placeholder::NoticeDate, "2026-06-02")]);
    assert!(now.contains("自收到申请之日起3个工作日内"), "{now}");
    assert!(now.contains("2026年6月2日"), "{now}");
    // What is no day is taken as it is.
    let told = text(&[(Placeholder::NoticeDate, "某日")]);
    assert!(told.trim_end().ends_with("某日"), "{told}");
}

#[test]
fn what_the_caller_tells_counts_first_and_is_taken_as_it_is() {
    let extra = [
        (Placeholder::Measure, "限制参加{subject}投标"),
        (Placeholder::Reason, "另一事由"),
    ];
    let told = written(&BOOK, Occasion::MeasureBitten, &complete(), &extra);
    assert!(told.contains("措施：限制参加{subject}投标\n"), "{told}");
    assert!(told.contains("列入事由：另一事由\n"), "{told}");
    assert!(
        told.contains(&format!("决定理由：{NOT_STATED}\n")),
        "{told}"
    );
}

#[test]
fn a_measure_is_told_to_whom_it_falls_on_with_the_relation_that_leads_to_the_entry() {
    let told = written(&BOOK, Occasion::MeasureBitten, &complete(), &[]);
    assert!(told.contains("\n因你（单位）被示例市税务局列入"), "{told}");
    for (listed, named) in [
        (Some("示例建设有限公司"), "示例建设有限公司"),
        (None, "单位"),
    ] {
        let relation = related_zh(Role::LegalRepresentative, listed);
        let decision = decision_zh("审查后认为应当限制", "示例决〔2026〕1号");
        let extra = [
            (Placeholder::Subject, "某甲"),
            (Placeholder::Identifier, ""),
            (Placeholder::Listed, relation.as_str()),
            (Placeholder::Decision, decision.as_str()),
        ];
        let told = written(&BOOK, Occasion::MeasureBitten, &complete(), &extra);
        for part in [
            format!("\n某甲（{NOT_STATED}）：\n"),
            format!("\n因以你（单位）为法定代表人的{named}被示例市税务局列入"),
            "\n列入事由：虚开发票\n决定理由：审查后认为应当限制（示例决〔2026〕1号）\n".to_owned(),
        ] {
            assert!(told.contains(&part), "{part}: {told}");
        }
    }
}

#[test]
fn an_entry_without_end_on_a_list_until_performance_says_so() {
    let mut entry = complete();
    entry.list = "B01".into();
    let told = written(&BOOK, Occasion::RepairNotice, &entry, &[]);
    assert!(told.contains("截止日期为义务履行完毕之日"), "{told}");
    assert!(told.contains(&format!("起始日期：{NOT_STATED}")), "{told}");
    entry.valid_to = Some(day("2027-12-31"));
    let told = written(&BOOK, Occasion::RepairNotice, &entry, &[]);
    assert!(told.contains("截止日期为2027年12月31日"), "{told}");
}

#[test]
fn a_notice_about_a_person_does_not_print() {
    let notice = BOOK.notice_on(Occasion::Listing).expect("a notice");
    let list = BOOK.list("B02").expect("a list");
    let text = render(notice, &complete(), list, &BOOK, &[]);
    assert_eq!(format!("{text:?}"), "＊＊＊");
}

#[test]
fn placeholders_of_a_template_are_known() {
    let book = row("id: P1\nlists: [B07]")
        .file(
            "notices/own.yaml",
            "notices:
  - id: X1
    title: { zh: 告知书, en: notice }
    when: talk
    basis: [{ law: 某令, level: department_rule }]
    text: \"{subject}：{reason}，{subject}\"
    confidence: verified
",
        )
        .book();
    let notice = book.notice("X1").expect("the notice");
    assert_eq!(
        notice.placeholders(),
        [Placeholder::Subject, Placeholder::Reason]
    );
}
