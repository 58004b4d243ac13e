//! Facts about rows of firms and people who are to be checked.

use creditgate_measures::identifier::invented;

use super::*;

/// The one row of a table of these columns and cells, or why it is none.
fn row(columns: &[&str], cells: &[&str]) -> String {
    let text = format!("{}\n{}\n", columns.join("\t"), cells.join("\t"));
    told("list.csv", text.as_bytes(), &Options::default()).join("\n")
}

fn told(name: &str, bytes: &[u8], options: &Options) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    let mut told = Vec::new();
    let mut on_row = |row: Row<Participant>| {
        told.push(match row.entry {
            Ok(who) => {
                let of = who.subject;
                let parts = [
                    who.row_id, of.party, of.role, of.id_type, of.id, of.issuer, of.name, of.kind,
                ];
                parts.join("|")
            }
            Err(why) => why.to_string(),
        });
        ControlFlow::Continue(())
    };
    match read(&[path], options, &mut on_row, &mut |_, _| ()) {
        Ok(()) => told,
        Err(error) => vec![error.error.to_string()],
    }
}

#[test]
fn the_usual_headers_say_who_it_is_and_what_else_stands_there_is_left() {
    assert_eq!(
        row(
            &[
                "序号",
                "单位名称",
                "统一社会信用代码",
                "法定代表人",
                "联系电话",
                "备注"
            ],
            &["3", "示例建设有限公司", USCC, "张三", "123", "-"],
        ),
        format!("3|||USCC|{USCC}||示例建设有限公司|")
    );
    let person = invented::person(1);
    assert_eq!(
        row(
            &[
                "姓名",
                "身份证号（必填）",
                "角色",
                "主体类别",
                "工作单位",
                "职务"
            ],
            &["张三", &person, "候选人", "自然人", "示例单位", "主任"],
        ),
        format!("||candidate|ID18|{person}||张三|natural_person")
    );
    assert_eq!(
        row(
            &[
                "row_id", "party", "name", "id_type", "id", "issuer", "kind", "role"
            ],
            &[
                "r",
                "p",
                "示例",
                "OTHER",
                "X-1",
                "示例局",
                "enterprise",
                "applicant"
            ],
        ),
        "r|p|applicant|OTHER|X-1|示例局|示例|enterprise"
    );
}

#[test]
fn a_number_is_told_by_its_document_else_by_its_form() {
    let person = invented::person(2);
    let check = |id_type: &str, id: &str, expected: &str| {
        let shown = row(&["姓名", "证件类型", "证件号码"], &["甲乙", id_type, id]);
        assert_eq!(shown, expected, "{id_type}");
    };
    check("居民身份证", &person, &format!("|||ID18|{person}||甲乙|"));
    check("", &person, &format!("|||ID18|{person}||甲乙|"));
    check("统一社会信用代码", USCC, &format!("|||USCC|{USCC}||甲乙|"));
    check("uscc", USCC, &format!("|||USCC|{USCC}||甲乙|"));
    check("营业执照", USCC, &format!("|||USCC|{USCC}||甲乙|"));
    check("护照", "E12345", "|||OTHER|E12345|护照|甲乙|");
    // What is wrong with it is for the check to say.
    check("身份证", "4599", "|||ID18|4599||甲乙|");
    check(
        "",
        "12345",
        "id: column `证件号码`: it is not told what number this is; name its type in a column 证件类型 or id_type",
    );
    check(
        "",
        "1.2E+17",
        "id: column `证件号码`: a number in the form 1.23E+17, of which a spreadsheet has lost digits; format the column as text and enter it again",
    );
}

#[test]
fn a_row_is_one_subject() {
    let org9 = USCC.get(8..17).expect("the inner code");
    let columns = ["名称", "统一社会信用代码", "组织机构代码"];
    assert_eq!(
        row(&columns, &["示例", USCC, org9]),
        format!("|||USCC|{USCC}||示例|")
    );
    let other = row(&columns, &["示例", USCC, &invented::org9(9)]);
    assert!(
        other.starts_with("org9: column `组织机构代码`: another number than under `uscc`"),
        "{other}"
    );
    let person = invented::person(3);
    let two = row(
        &["名称", "统一社会信用代码", "证件号码"],
        &["示例", USCC, &person],
    );
    assert!(
        two.contains("whose is it?") && !two.contains(&person),
        "{two}"
    );
    let none = row(
        &["名称", "统一社会信用代码", "角色"],
        &["无", "/", "候选人"],
    );
    assert!(
        none.starts_with("name: column `名称`: neither name nor number"),
        "{none}"
    );
    let role = row(&["名称", "角色"], &["示例", "评委"]);
    assert!(
        role.contains("unknown word; known: 申请人 (applicant)"),
        "{role}"
    );
}

#[test]
fn lines_of_json_and_mapped_columns_are_read_alike() {
    let lines = format!(
        "{{\"row_id\":\"1\",\"name\":\"示例\",\"id\":\"{USCC}\",\"role\":\"候选人\"}}\n{{\"nmae\":\"x\"}}\n{{\"id\":5}}\n"
    );
    assert_eq!(
        told("list.jsonl", lines.as_bytes(), &Options::default()),
        [
            format!("1||candidate|USCC|{USCC}||示例|"),
            "nmae: unknown field `nmae`".to_owned(),
            "id: expected a text, got a number".to_owned(),
        ]
    );
    let mapping = "columns: {入围名称: name, 代码: org_code}\nconstants: {role: candidate}";
    let options = Options {
        mapping: Mapping::parse::<Participant>(mapping).expect("a mapping"),
        ..Options::default()
    };
    let text = format!("入围名称,代码\n示例,{USCC}\n");
    assert_eq!(
        told("list.csv", text.as_bytes(), &options),
        [format!("||candidate|USCC|{USCC}||示例|")]
    );
    let unknown = Mapping::parse::<Participant>("columns: {x: document_no}").expect_err("no field");
    assert!(
        unknown
            .concat()
            .contains("no field `document_no`; known: row_id")
    );
    let strange = told(
        "list.csv",
        "名称,星座\n示例,x\n".as_bytes(),
        &Options::default(),
    );
    assert!(
        strange
            .concat()
            .starts_with("unknown column `星座`; known: row_id, party"),
        "{strange:?}"
    );
}
