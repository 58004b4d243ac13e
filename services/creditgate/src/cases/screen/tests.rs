//! Cases, proposals and orders as they print.

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use pbjson_types::Timestamp;

use super::*;

fn at(text: &str) -> Option<Timestamp> {
    Some(time_to_proto(Time::parse(text).expect("a time")))
}

/// A case of the land story.
fn story() -> v1::CaseShown {
    v1::CaseShown {
        case_id: "示例办件1号".to_owned(),
        scenario: "land".to_owned(),
        state: "open".to_owned(),
        opened_at: at("2026-03-01T09:30:00+08:00"),
        open_until: "2027-02-28".to_owned(),
        next_stage: "supply".to_owned(),
        verdicts: vec![
            v1::CaseVerdict {
                verdict_id: "V1".to_owned(),
                stage: "register".to_owned(),
                cause: "event".to_owned(),
                outcome: "PASS".to_owned(),
                evaluated_at: at("2026-03-01T09:30:01+08:00"),
                list_version: "L:1".to_owned(),
                superseded_by: "V2".to_owned(),
                ..v1::CaseVerdict::default()
            },
            v1::CaseVerdict {
                verdict_id: "V2".to_owned(),
                stage: "deal".to_owned(),
                cause: format!("book:{}", "0123456789abcdef".repeat(4)),
                outcome: "PROHIBIT".to_owned(),
                evaluated_at: at("2026-03-02T00:00:00+08:00"),
                list_version: "L:7".to_owned(),
                supersedes: "V1".to_owned(),
                ..v1::CaseVerdict::default()
            },
        ],
        checks: vec![v1::StageCheck {
            subject: 0,
            role: "bidder".to_owned(),
            stage: "register".to_owned(),
            at: at("2026-03-01T09:30:00+08:00"),
        }],
        measures: vec![measure()],
        feedback: vec![v1::FeedbackShown {
            feedback: Some(v1::Feedback {
                feedback_id: "F1".to_owned(),
                verdict_id: "V2".to_owned(),
                measure_id: "M07".to_owned(),
                status: "executed".to_owned(),
                reason: "已告知 91219999MAYG58BR3Q".to_owned(),
                amount_fen: Some(123_456),
                operator: "示例经办人".to_owned(),
                department: "示例局".to_owned(),
                executed_at: at("2026-03-03T00:00:00+08:00"),
                ..v1::Feedback::default()
            }),
            flags: vec!["not_confirmed".to_owned()],
            ..v1::FeedbackShown::default()
        }],
        orders: vec![order()],
        missing: vec![v1::MissingCheck {
            subject: 0,
            stage: "deal".to_owned(),
            verdict_id: "V3".to_owned(),
        }],
        ..v1::CaseShown::default()
    }
}

fn measure() -> v1::CaseMeasure {
    v1::CaseMeasure {
        key: "0/M07".to_owned(),
        role: "bidder".to_owned(),
        measure_id: "M07".to_owned(),
        title: "限制取得土地".to_owned(),
        effect: "PROHIBIT".to_owned(),
        state: "seconded".to_owned(),
        stage: "deal".to_owned(),
        entry_ids: vec!["E2".to_owned()],
        former_entry_ids: vec!["E1".to_owned()],
        implementers: vec!["示例局".to_owned(), "示例中心".to_owned()],
        claimed_by: "示例科".to_owned(),
        decide_by: "2026-03-10".to_owned(),
        escalated: true,
        four_eyes: true,
        decisions: vec![v1::ProposalDecision {
            decision: "confirm".to_owned(),
            by: "示例科".to_owned(),
            reason: "名单有效".to_owned(),
            document_no: "示例决1号".to_owned(),
            recorded_at: at("2026-03-04T00:00:00+08:00"),
            ..v1::ProposalDecision::default()
        }],
        verdict_id: "V2".to_owned(),
        verdict_subject: 1,
        ..v1::CaseMeasure::default()
    }
}

fn order() -> v1::LiftOrder {
    v1::LiftOrder {
        order_id: "O1".to_owned(),
        case_id: "示例办件1号".to_owned(),
        measure_id: "M07".to_owned(),
        title: "限制取得土地".to_owned(),
        implementer: "示例局".to_owned(),
        cause: "list_change:9".to_owned(),
        entry_ids: vec!["E2".to_owned()],
        state: "open".to_owned(),
        ordered_at: at("2026-03-05T00:00:00+08:00"),
        age_ms: 90_061_000,
        overdue: true,
        verdict_id: "V2".to_owned(),
        verdict_subject: 1,
        role: "bidder".to_owned(),
        ..v1::LiftOrder::default()
    }
}

#[test]
fn a_case_prints_all_that_happened_in_it() {
    let expected = "\
办件 示例办件1号（land）：办理中
首次事项 2026-03-01T09:30:00+08:00
办理至 2027-02-28
下一环节 supply

核查结论
时间                       环节      起因                   结论      编号  名单版本
2026-03-01T09:30:01+08:00  register  event                  PASS      V1    L:1       被 V2 取代
2026-03-02T00:00:00+08:00  deal      book:0123456789abcdef  PROHIBIT  V2    L:7

已核查
主体      环节      时间
0 bidder  register  2026-03-01T09:30:00+08:00

缺少核查
主体  环节  核查编号
0     deal  V3

措施
措施   主体      名称          效力      状态                          环节  依据记录     实施单位          结论#主体
0/M07  0 bidder  限制取得土地  PROHIBIT  待复核（须两人确认，示例科）  deal  E2（原 E1）  示例局、示例中心  V2#1

审核决定
时间                       措施   决定  决定人  文书号     理由
2026-03-04T00:00:00+08:00  0/M07  确认  示例科  示例决1号  名单有效

执行反馈
执行时间                   反馈编号  措施  结论#主体  执行情况  部门    实施单位  金额（元）  文书号  标注      说明
2026-03-03T00:00:00+08:00  F1        M07   V2#0       已执行    示例局            1234.56             未经确认  已告知 91**************3Q

解除通知
通知  措施  名称          主体      实施单位  状态         发出时间                   历时     起因           原依据记录  解除人  解除时间  文书号  结论#主体
O1    M07   限制取得土地  0 bidder  示例局    待解除 逾期  2026-03-05T00:00:00+08:00  1 d 1 h  list_change:9  E2                                    V2#1
";
    assert_eq!(case(&story()), expected);
    let bare = v1::CaseShown {
        case_id: "K1".to_owned(),
        scenario: "tender".to_owned(),
        state: "closed".to_owned(),
        closed_why: "by_request".to_owned(),
        closed_at: at("2026-03-05T00:00:00+08:00"),
        ..v1::CaseShown::default()
    };
    assert_eq!(
        case(&bare),
        "办件 K1（tender）：已办结，申请办结\n办结时间 2026-03-05T00:00:00+08:00\n"
    );
}

#[test]
fn lists_print_a_line_each() {
    let summary = v1::CaseSummary {
        case_id: "K1".to_owned(),
        scenario: "land".to_owned(),
        state: "open".to_owned(),
        stage: "deal".to_owned(),
        outcome: "MANUAL_REVIEW".to_owned(),
        last_event_at: at("2026-03-01T09:30:00+08:00"),
        in_effect: 1,
        proposed: 2,
        open_orders: 3,
        missing: 4,
        differing_answers: 0,
    };
    assert_eq!(cases(&[summary]), "\
办件  场景  状态    环节  结论           最近事项                   生效措施  待确认  待解除  缺少核查
K1    land  办理中  deal  MANUAL_REVIEW  2026-03-01T09:30:00+08:00  1         2       3       4
");
    let proposal = v1::Proposal {
        case_id: "K1".to_owned(),
        scenario: "land".to_owned(),
        measure: Some(measure()),
    };
    assert_eq!(proposals(&[proposal]), "\
限期             办件  措施   场景  主体      名称          效力      状态                          依据记录
2026-03-10 逾期  K1    0/M07  land  0 bidder  限制取得土地  PROHIBIT  待复核（须两人确认，示例科）  E2
");
    assert_eq!(orders(&[order()]), "\
通知  办件         措施  名称          主体      实施单位  状态         发出时间                   历时     起因           原依据记录  解除人  解除时间  文书号  结论#主体
O1    示例办件1号  M07   限制取得土地  0 bidder  示例局    待解除 逾期  2026-03-05T00:00:00+08:00  1 d 1 h  list_change:9  E2                                    V2#1
");
    assert_eq!(cases(&[]), "no such case is known\n");
    assert_eq!(proposals(&[]), "nothing waits for an official\n");
    assert_eq!(orders(&[]), "there is no such lift order\n");
}

#[test]
fn what_was_decided_prints_with_the_notice() {
    let answer = v1::ProposalResponse {
        proposal: Some(v1::Proposal {
            case_id: "K1".to_owned(),
            scenario: "land".to_owned(),
            measure: Some(v1::CaseMeasure {
                state: "confirmed".to_owned(),
                ..measure()
            }),
        }),
        notice: "示例告知书\n\n措施：限制取得土地\n".to_owned(),
    };
    assert_eq!(
        decided(&answer),
        "\
办件 K1 措施 0/M07 限制取得土地（PROHIBIT）：已确认
时间                       措施   决定  决定人  文书号     理由
2026-03-04T00:00:00+08:00  0/M07  确认  示例科  示例决1号  名单有效

示例告知书

措施：限制取得土地
"
    );
}

#[test]
fn what_looks_like_an_identifier_is_masked_and_a_text_stays_on_its_line() {
    let table = [
        ("91219999MAYG58BR3Q", "91**************3Q"),
        (
            "身份证999999199001010015，属实",
            "身份证99**************15，属实",
        ),
        ("９９９９９９199001010015", "９９**************15"),
        ("999999900101001", "99***********01"),
        ("示例决2026-0001号", "示例决2026-0001号"),
        (
            "5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b",
            "5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b",
        ),
        ("internationalisation", "internationalisation"),
        (" a\nb\u{1b}[31mc ", "a b [31mc"),
        ("", ""),
    ];
    for (text, expected) in table {
        assert_eq!(plain(text), expected);
    }
}
