//! Facts about a line of the check table.

use std::sync::Arc;

use creditgate_proto::Refused;

use super::*;

fn row(entry: Result<Participant, Refused>) -> Row<Participant> {
    Row {
        number: 7,
        file: Arc::from("list.csv"),
        line: 7,
        entry,
    }
}

fn firm() -> Participant {
    Participant {
        row_id: "3".to_owned(),
        subject: v1::Subject {
            role: "candidate".to_owned(),
            id_type: "USCC".to_owned(),
            id: "91219999MAYG58BR3Q".to_owned(),
            name: "示例建设有限公司".to_owned(),
            ..v1::Subject::default()
        },
    }
}

fn text(zh: &str) -> Option<v1::Text> {
    Some(v1::Text {
        zh: zh.to_owned(),
        en: String::new(),
    })
}

fn triggered(entry_id: &str) -> v1::Triggered {
    v1::Triggered {
        measure: Some(v1::Measure {
            id: "M09e".to_owned(),
            title: text("限制评优评先"),
            basis: vec![v1::Basis {
                law: "示例条例".to_owned(),
                article: Some("第四十八条".to_owned()),
                document_no: Some("示例令第1号".to_owned()),
                ..v1::Basis::default()
            }],
            remedies: text("可提出异议"),
            ..v1::Measure::default()
        }),
        effect: "RESTRICT".to_owned(),
        contributes: "proposed".to_owned(),
        entry: Some(v1::EntryHit {
            entry_id: entry_id.to_owned(),
            list: "B04".to_owned(),
            ..v1::EntryHit::default()
        }),
        ..v1::Triggered::default()
    }
}

fn verdict() -> v1::Verdict {
    v1::Verdict {
        verdict_id: "v-1".to_owned(),
        outcome: "MANUAL_REVIEW".to_owned(),
        review: true,
        proposed: Some("RESTRICT".to_owned()),
        subjects: vec![v1::SubjectVerdict {
            triggered: vec![triggered("E-1"), triggered("E-2")],
            flags: vec!["name_differs".to_owned(), "changed_since_event".to_owned()],
            ..v1::SubjectVerdict::default()
        }],
        not_checked: vec![
            v1::NotChecked {
                list: "B03".to_owned(),
                why: "not_loaded".to_owned(),
            },
            v1::NotChecked {
                list: "B09".to_owned(),
                why: "not_connected: 无接口".to_owned(),
            },
        ],
        flags: vec!["missing_check:nominate".to_owned()],
        list_version: "log:5".to_owned(),
        superseded_by: Some("v-2".to_owned()),
        ..v1::Verdict::default()
    }
}

#[test]
fn a_hit_is_told_in_words_once_and_what_is_not_usable_is_not_told() {
    let line = Line::checked(&row(Ok(firm())), false, &verdict(), true);
    let cells = line.cells(1);
    let shown: Vec<String> = HEADERS
        .iter()
        .zip(&cells)
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(header, cell)| format!("{header}: {cell}"))
        .collect();
    assert_eq!(
        shown.join("\n"),
        "序号: 1\n行号: 7\n编号: 3\n主体名称: 示例****公司\n证件号码: 91**************3Q\n\
         核查结果: 待人工审核 MANUAL_REVIEW\n待审: 限制 RESTRICT\n\
         触发措施: M09e 限制评优评先（限制，待审）\n依据: 示例条例第四十八条（示例令第1号）\n名单: B04\n\
         救济途径: 可提出异议\n未核查名单: B03（未导入）、B09（未接入：无接口）\n\
         说明: 已有后续核查结果（v-2）；前序环节未核查（nominate）；名称与该证件号码的已知名称不一致\n\
         核查编号: v-1\n名单版本: log:5"
    );
    let kept = serde_json::to_string(&line).expect("JSON");
    for hidden in ["示例建设", "91219999MAYG58BR3Q", "changed_since_event"] {
        assert!(!kept.contains(hidden), "{kept}");
    }
    assert_eq!(serde_json::from_str::<Line>(&kept).expect("a line"), line);
}

#[test]
fn a_row_that_was_not_checked_stands_there_with_the_reason() {
    let unread = Line::unread(
        &row(Err(Refused::one("id", "whose is it?"))),
        true,
        "id: whose is it?".to_owned(),
    );
    let cells = unread.cells(2);
    assert_eq!(
        [&cells[0], &cells[1], &cells[5], &cells[13]],
        ["2", "list.csv:7", "未核查 REFUSED", "id: whose is it?"]
    );
    let error = v1::ItemError {
        code: 3,
        message: "whole".to_owned(),
        violations: vec![v1::FieldViolation {
            field: "subjects[0].issuer".to_owned(),
            rule: "required".to_owned(),
        }],
        ..v1::ItemError::default()
    };
    let refused = Line::refused(&row(Ok(firm())), false, &error);
    assert!(refused.is_refused());
    assert_eq!(refused.reason, "issuer: required");
    assert_eq!(refused.name, "示例****公司");
}
