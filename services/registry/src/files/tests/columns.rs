//! What columns and cells become: headers, days, words, and whose number is whose.

use super::*;

#[test]
fn the_provincial_layout_becomes_an_entry() {
    let columns = [
        "主体类别",
        "名单类型",
        "主体名称",
        "统一社会信用代码",
        "法定代表人",
        "证件号码",
        "证件类型",
        "认定部门",
        "认定依据",
        "列入事由",
        "认定日期",
        "有效期止",
        "文书号",
        "曾用名",
        "严重程度",
        "行政区划",
        "送达日期",
        "状态",
    ];
    let cells = [
        "企业",
        "失信被执行人名单",
        "示例建设有限公司",
        USCC,
        "张三",
        "45999919490101003X",
        "身份证",
        "示例法院",
        "示例依据",
        "示例事由",
        "2026年1月5日",
        "2028/1/4",
        "（2026）示例1号",
        "示例一公司、示例二公司",
        "严重",
        "320505000000",
        "20260108",
        "已列入",
    ];
    let entry = one(&columns, &cells).expect("an entry");
    assert_eq!(
        (entry.kind.as_str(), entry.list.as_str()),
        ("enterprise", "失信被执行人名单")
    );
    assert_eq!((entry.id_type.as_str(), entry.id.as_str()), ("USCC", USCC));
    assert_eq!(entry.name, "示例建设有限公司");
    assert_eq!(entry.former_names, ["示例一公司", "示例二公司"]);
    assert_eq!(
        (entry.valid_from.as_str(), entry.valid_to.as_str()),
        ("2026-01-05", "2028-01-04")
    );
    assert_eq!(
        (entry.served_at.as_str(), entry.region.as_str()),
        ("2026-01-08", "320505")
    );
    assert_eq!(
        (entry.severity.as_str(), entry.state.as_str()),
        ("serious", "EFFECTIVE")
    );
    assert_eq!(entry.document_no, "（2026）示例1号");
    assert!(entry.aliases.is_empty(), "the number is not the firm's");
    let related = &entry.related[0];
    assert_eq!(
        (related.role.as_str(), related.name.as_str()),
        ("legal_representative", "张三")
    );
    assert_eq!(
        (related.id_type.as_str(), related.id.as_str()),
        ("ID18", "45999919490101003X")
    );
}

#[test]
fn the_double_disclosure_becomes_an_entry() {
    let columns = [
        "CF_WSH",
        "CF_XDR_MC",
        "CF_XDR_SHXYM",
        "CF_XDR_ZZJG",
        "CF_XDR_GSZC",
        "CF_FRDB",
        "CF_SY",
        "CF_YJ",
        "CF_JDRQ",
        "CF_GSJZQ",
        "CF_XZJG",
        "CF_ZT",
    ];
    let cells = [
        "示例罚〔2026〕1号",
        "示例公司",
        USCC,
        "A4DLXME0-X",
        "239999064324184",
        "李四",
        "事由",
        "依据",
        "2026/01/05",
        "2027/01/05",
        "示例局",
        "0",
    ];
    let entry = one(&columns, &cells).expect("an entry");
    assert_eq!(entry.valid_from, "2026-01-05");
    assert_eq!(entry.display_max_until, "2027-01-05");
    assert_eq!(entry.state, "EFFECTIVE");
    let aliases: Vec<_> = entry
        .aliases
        .iter()
        .map(|alias| alias.id_type.as_str())
        .collect();
    assert_eq!(aliases, ["ORG9", "REG15"]);
    assert_eq!(entry.related[0].name, "李四");
    // The organisation code inside the unified code is no further one.
    let inner = one(&["CF_XDR_SHXYM", "CF_XDR_ZZJG"], &[USCC, "MAYG58BR-3"]).expect("an entry");
    assert!(inner.aliases.is_empty());
}

#[test]
fn a_number_of_a_person_is_never_taken_for_the_firms() {
    let person = "45999919490101003X";
    let check = |columns: &[&str], cells: &[&str], expected: &str| {
        let told = match one(columns, cells) {
            Ok(entry) => format!(
                "{} {} | {:?} | {:?}",
                entry.id_type,
                entry.id.len(),
                entry
                    .aliases
                    .iter()
                    .map(|alias| &alias.id_type)
                    .collect::<Vec<_>>(),
                entry
                    .related
                    .iter()
                    .map(|one| (&one.id_type, &one.name))
                    .collect::<Vec<_>>()
            ),
            Err(why) => why.to_string(),
        };
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.contains(person), "no value in a reason: {told}");
    };
    check(
        &["主体名称", "证件号码"],
        &["张三", person],
        "ID18 18 | [] | []",
    );
    check(
        &["统一社会信用代码", "法定代表人", "证件号码"],
        &[USCC, "张三", person],
        "USCC 18 | [] | [(\"ID18\", \"张三\")]",
    );
    check(
        &["主体类别", "主体名称", "法定代表人", "证件号码"],
        &["企业", "示例公司", "张三", person],
        " 0 | [] | [(\"ID18\", \"张三\")]",
    );
    check(
        &["统一社会信用代码", "证件号码"],
        &[USCC, person],
        "id_no: column `证件号码`: whose number is it?",
    );
    check(
        &["统一社会信用代码", "证件号码"],
        &[USCC, USCC],
        "USCC 18 | [] | []",
    );
    check(
        &["统一社会信用代码", "法定代表人", "证件号码"],
        &[USCC, "张三", "4599************3X"],
        "USCC 18 | [] | [(\"\", \"张三\")]",
    );
    check(
        &["主体名称", "证件类型", "证件号码"],
        &["李四", "护照", "E1234567"],
        "OTHER 8 | [] | []",
    );
    check(
        &["主体名称", "证件号码"],
        &["李四", "E1234567"],
        "id_no: column `证件号码`: it is not told what number this is",
    );
    check(
        &["统一社会信用代码"],
        &["9.12199E+17"],
        "uscc: column `统一社会信用代码`: a number in the form 1.23E+17",
    );
}

#[test]
fn codes_are_sorted_by_their_form() {
    let check = |column: &str, code: &str, expected: &str| {
        let entry = one(&[column, "主体名称"], &[code, "示例"]).expect("an entry");
        assert_eq!(entry.id_type, expected, "{column}");
    };
    check("统一社会信用代码", "A4DLXME0-X", "ORG9");
    check("主体代码", USCC, "USCC");
    check("统一社会信用代码/组织机构代码", "A4DLXME0X", "ORG9");
    check("注册号", "239999064324184", "REG15");
    check("身份证号", "619999490101761", "ID15");
    check("id", USCC, "USCC");
    // One that is not valid keeps its column's type, and the registry says what is wrong.
    check("统一社会信用代码", "91219999MAYG58BR3R", "USCC");
}

#[test]
fn days_are_read_in_their_usual_forms() {
    let check = |written: &str, from: &str, to: &str| {
        let entry = one(&["列入日期", "有效期止", "name"], &[written, written, "x"]);
        let told = match entry {
            Ok(entry) => (entry.valid_from, entry.valid_to),
            Err(why) => (
                why.violations[0].rule.chars().skip(15).take(9).collect(),
                String::new(),
            ),
        };
        assert_eq!(told, (from.to_owned(), to.to_owned()), "{written}");
    };
    for written in [
        "2026-01-05",
        "2026-1-5",
        "2026/1/5",
        "2026/01/05",
        "20260105",
        "2026.1.5",
        "2026年1月5日",
        "2026年01月05日",
        "２０２６-０１-０５",
        "46027",
        "2026-01-05 00:00:00",
        "2026-01-05T00:00:00+08:00",
    ] {
        let from = if written.contains('T') {
            "2026-01-05T00:00:00+08:00"
        } else {
            "2026-01-05"
        };
        check(written, from, "2026-01-05");
    }
    check(
        "2026-01-05 10:30:00",
        "2026-01-05T10:30:00+08:00",
        "2026-01-05",
    );
    check("2026/1/5 10:30", "2026-01-05T10:30:00+08:00", "2026-01-05");
    check("20260105103000", "2026-01-05T10:30:00+08:00", "2026-01-05");
    check("/", "", "");
    for wrong in [
        "2026-02-30",
        "2026-13-01",
        "05.01.2026",
        "26-1-5",
        "2026",
        "tomorrow",
        "2026-01-05 25:00",
    ] {
        check(wrong, "not a day", "");
    }
    let open = one(&["有效期止", "name"], &["长期", "x"]).expect("an entry");
    assert_eq!(open.valid_to, "");
}

#[test]
fn a_removal_ends_the_entry_on_its_day() {
    let removed = one(
        &["主体名称", "状态", "移出日期"],
        &["示例", "", "2026-03-01"],
    )
    .expect("an entry");
    assert_eq!(
        (removed.state.as_str(), removed.state_since.as_str()),
        ("REPAIRED", "2026-03-01")
    );
    let revoked = one(
        &["主体名称", "状态", "移出日期"],
        &["示例", "已撤销", "2026-03-01"],
    )
    .expect("an entry");
    assert_eq!(revoked.state, "REVOKED");
    let both = one(
        &["主体名称", "认定日期", "列入日期"],
        &["示例", "2026-01-05", "2026-01-09"],
    );
    assert_eq!(both.expect("an entry").valid_from, "2026-01-09");
}

#[test]
fn headers_are_known_with_what_people_add_to_them() {
    for (header, field) in [
        (" 主体名称 *", Some("name")),
        ("统一社会\n信用代码（必填）", Some("uscc")),
        ("区域/行政区划", Some("region")),
        ("企业名称／姓名", Some("name")),
        ("cf_xdr_mc", Some("name")),
        ("Name", Some("name")),
        ("法定代表人（负责人）姓名", Some("legal_representative")),
        ("主体名称/认定日期", None),
        ("电话", None),
        ("", None),
    ] {
        assert_eq!(headers::field_of(header), field, "{header}");
    }
}

#[test]
fn no_header_belongs_to_two_fields() {
    let mut seen = std::collections::BTreeMap::new();
    for (field, known) in headers::HEADERS {
        assert!(headers::field_named(field).is_some(), "{field}");
        for header in *known {
            let plain = headers::plain(header);
            let before = seen.insert(plain.clone(), *field);
            assert!(before.is_none_or(|before| before == *field), "{plain}");
            assert_eq!(headers::field_of(header), Some(*field), "{header}");
        }
    }
}

#[test]
fn a_mapping_explains_what_is_not_known() {
    let options = mapped(
        "columns: {公司: name, 起: valid_from, 档: severity}\n\
         constants: {list: B01, designated_by: 示例局}\n\
         words: {severity: {甲: serious}}\n\
         date_format: DD.MM.YYYY\n\
         ignore: [电话]\n",
    );
    let text = "公司,起,档,电话,认定部门\n示例,05.01.2026,甲,1,\n示例二,5.1.2026,一般,2,别的局\n";
    let read = entries("a.csv", text.as_bytes(), &options);
    assert_eq!(
        (read[0].list.as_str(), read[0].valid_from.as_str()),
        ("B01", "2026-01-05")
    );
    assert_eq!(
        (read[0].severity.as_str(), read[1].severity.as_str()),
        ("serious", "general")
    );
    assert_eq!(
        read[0].designated_by, "示例局",
        "a constant stands where the row says nothing"
    );
    assert_eq!(read[1].designated_by, "别的局");
    let told = shown("a.csv", text.as_bytes(), &options);
    assert!(told.starts_with("columns not taken: 电话\n"), "{told}");
}

#[test]
fn columns_that_are_not_known_are_left_out_when_asked() {
    let options = Options {
        ignore_unknown: true,
        ..Options::default()
    };
    assert_eq!(
        shown("a.csv", "主体名称,电话\n示例,1\n".as_bytes(), &options),
        "columns not taken: 电话\n2   示例"
    );
}

#[test]
fn a_mapping_is_refused_with_every_fault_and_its_line() {
    let faults = Mapping::parse::<v1::Entry>(
        "columns:\n  公司: nmae\nconstants:\n  lsit: B01\ndate_format: D.M.Y\n",
    );
    let faults = faults.expect_err("faults");
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(
        faults[0].starts_with("line 2: no field `nmae`; known: entry_id"),
        "{faults:?}"
    );
    assert!(
        faults[1].starts_with("line 4: no field `lsit`"),
        "{faults:?}"
    );
    assert!(
        faults[2].starts_with("line 5: date_format: write YYYY, MM and DD"),
        "{faults:?}"
    );
    let unknown = Mapping::parse::<v1::Entry>("colunms: {}\n").expect_err("a fault");
    assert!(unknown[0].starts_with("line 1: "), "{unknown:?}");
}
