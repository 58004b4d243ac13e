//! The headers under which columns are known: our own names, those of the provincial joint-measure layouts (domain
//! notes 6.1) and the codes of the double disclosure (双公示). A table to be read and added to; nothing else decides.

/// Columns of our own that are taken as they stand; the names of [`creditgate_proto::v1::Entry`].
pub const COLUMNS: [&str; 28] = [
    "entry_id",
    "list",
    "id_type",
    "id",
    "issuer",
    "name",
    "former_names",
    "kind",
    "severity",
    "grade",
    "designated_by",
    "document_no",
    "basis",
    "reason",
    "region",
    "scope",
    "act_date",
    "served_at",
    "valid_from",
    "valid_to",
    "display_min_until",
    "display_max_until",
    "state",
    "state_since",
    "objection_marked",
    "repeat_count",
    "source_unit",
    "rule_version",
];

/// Fields that a table or a mapping may also name, from which the identifier, the related persons and the dates of the
/// entry are made, each with what it means.
pub const FURTHER: [(&str, &str); 22] = [
    ("uscc", "unified social credit code"),
    ("org9", "organisation code"),
    ("reg15", "registration number"),
    (
        "org_code",
        "a code of an organisation, its type told by its form",
    ),
    ("tax_no", "taxpayer number; an alias of the subject"),
    (
        "institution_no",
        "certificate of a public institution; an alias",
    ),
    (
        "society_no",
        "certificate of a social organisation; an alias",
    ),
    (
        "id_no",
        "number of a document; the legal representative's where the row has a code of an organisation and names that person",
    ),
    ("id_no_type", "what document `id_no` is the number of"),
    ("legal_representative", "name of the legal representative"),
    (
        "legal_representative_id",
        "number of that person's document",
    ),
    ("legal_representative_id_type", "what document that is"),
    ("principal", "name of the principal"),
    ("principal_id", "number of that person's document"),
    (
        "responsible_person",
        "name of a directly responsible person",
    ),
    ("responsible_person_id", "number of that person's document"),
    ("actual_controller", "name of the actual controller"),
    ("actual_controller_id", "number of that person's document"),
    (
        "decided_on",
        "day of the designation; `valid_from` where the row has none",
    ),
    (
        "removed_on",
        "day of removal; the state is then REPAIRED unless the row says another",
    ),
    (
        "state_code",
        "state as the double disclosure writes it: 0 in force, 1 revoked",
    ),
    ("ignore", "not taken"),
];

/// The headers of each field besides its own name. Compared without white space, `*`, and notes in brackets such as
/// `（必填）`; Latin letters in any case. A header joined by `/` is known when all its parts are of one field.
pub const HEADERS: &[(&str, &[&str])] = &[
    (
        "entry_id",
        &["条目编号", "记录编号", "信息编号", "数据编号", "名单编号"],
    ),
    (
        "list",
        &[
            "名单类型",
            "名单名称",
            "名单类别",
            "红黑名单类型",
            "奖惩类型",
            "奖惩类型名称",
            "list_type",
        ],
    ),
    (
        "name",
        &[
            "主体名称",
            "名称",
            "企业名称",
            "单位名称",
            "机构名称",
            "信用主体名称",
            "信用主体",
            "法人名称",
            "姓名",
            "当事人",
            "当事人名称",
            "失信主体名称",
            "失信主体",
            "被执行人",
            "被执行人姓名/名称",
            "被执行人姓名或名称",
            "纳税人名称",
            "行政相对人名称",
            "姓名/名称",
            "姓名或名称",
            "主体姓名",
            "CF_XDR_MC",
            "XK_XDR_MC",
        ],
    ),
    (
        "former_names",
        &["曾用名", "曾用名称", "原名称", "企业曾用名"],
    ),
    (
        "kind",
        &[
            "主体类别",
            "主体类型",
            "行政相对人类别",
            "相对人类别",
            "当事人类型",
            "CF_XDR_LB",
            "XK_XDR_LB",
        ],
    ),
    (
        "uscc",
        &[
            "统一社会信用代码",
            "社会信用代码",
            "信用代码",
            "统一信用代码",
            "行政相对人代码_1",
            "CF_XDR_SHXYM",
            "XK_XDR_SHXYM",
        ],
    ),
    (
        "org9",
        &[
            "组织机构代码",
            "组织机构代码证号",
            "机构代码",
            "行政相对人代码_2",
            "CF_XDR_ZZJG",
            "CF_XDR_ZDM",
            "XK_XDR_ZZJG",
        ],
    ),
    (
        "reg15",
        &[
            "工商登记码",
            "工商注册号",
            "注册号",
            "工商登记号",
            "营业执照注册号",
            "企业注册号",
            "行政相对人代码_3",
            "CF_XDR_GSZC",
            "CF_XDR_GSDJ",
            "XK_XDR_GSZC",
        ],
    ),
    (
        "org_code",
        &[
            "主体代码",
            "主体标识",
            "企业代码",
            "统一社会信用代码/组织机构代码",
            "组织机构代码/统一社会信用代码",
            "统一社会信用代码/注册号",
            "统一社会信用代码或注册号",
            "统一社会信用代码或组织机构代码",
        ],
    ),
    (
        "tax_no",
        &[
            "税务登记号",
            "税务登记证号",
            "纳税人识别号",
            "行政相对人代码_4",
            "CF_XDR_SWDJ",
            "XK_XDR_SWDJ",
        ],
    ),
    (
        "institution_no",
        &["事业单位证书号", "CF_XDR_SYDW", "XK_XDR_SYDW"],
    ),
    (
        "society_no",
        &["社会组织登记证号", "CF_XDR_SHZZ", "XK_XDR_SHZZ"],
    ),
    (
        "id_no",
        &[
            "证件号码",
            "证件号",
            "身份证号",
            "身份证号码",
            "身份证件号码",
            "公民身份号码",
            "身份证号码/组织机构代码",
            "行政相对人代码_5",
            "CF_XDR_ZJHM",
            "CF_XDR_SFZ",
            "XK_XDR_ZJHM",
        ],
    ),
    (
        "id_no_type",
        &[
            "证件类型",
            "证件种类",
            "证件名称",
            "CF_XDR_ZJLX",
            "XK_XDR_ZJLX",
        ],
    ),
    (
        "legal_representative",
        &[
            "法定代表人",
            "法人代表",
            "法定代表人姓名",
            "法人代表姓名",
            "法定代表人/负责人",
            "法定代表人或者负责人姓名",
            "法定代表人或负责人",
            "法定代表人（负责人）姓名",
            "CF_FRDB",
            "CF_FR",
            "XK_FRDB",
        ],
    ),
    (
        "legal_representative_id",
        &[
            "法定代表人证件号码",
            "法定代表人身份证号",
            "法定代表人身份证号码",
            "法定代表人证件号",
            "CF_FR_ZJHM",
            "CF_FR_SFZH",
        ],
    ),
    (
        "legal_representative_id_type",
        &["法定代表人证件类型", "CF_FR_ZJLX"],
    ),
    ("principal", &["负责人", "主要负责人", "负责人姓名"]),
    (
        "principal_id",
        &["负责人证件号码", "负责人身份证号", "主要负责人证件号码"],
    ),
    (
        "responsible_person",
        &["直接责任人", "直接责任人员", "责任人"],
    ),
    (
        "responsible_person_id",
        &["直接责任人证件号码", "责任人证件号码"],
    ),
    ("actual_controller", &["实际控制人", "实际控制人姓名"]),
    ("actual_controller_id", &["实际控制人证件号码"]),
    (
        "designated_by",
        &[
            "认定部门",
            "认定单位",
            "认定机关",
            "列入机关",
            "作出机关",
            "决定机关",
            "处罚机关",
            "执行法院",
            "列入决定机关",
            "列入部门",
            "CF_XZJG",
            "CF_CFJG",
            "XK_XZJG",
        ],
    ),
    (
        "document_no",
        &[
            "文书号",
            "决定书文号",
            "文号",
            "认定文号",
            "认定文书号",
            "列入决定书文号",
            "行政处罚决定书文号",
            "处罚决定书文号",
            "决定文书号",
            "案号",
            "列入文号",
            "CF_WSH",
            "XK_WSH",
        ],
    ),
    (
        "basis",
        &["认定依据", "列入依据", "处罚依据", "法律依据", "CF_YJ"],
    ),
    (
        "reason",
        &[
            "列入事由",
            "认定事由",
            "事由",
            "列入原因",
            "失信行为",
            "失信事由",
            "违法事实",
            "处罚事由",
            "主要失信事实",
            "CF_SY",
        ],
    ),
    (
        "severity",
        &["严重程度", "失信严重程度", "失信程度", "失信等级"],
    ),
    ("grade", &["信用等级", "等级", "评价等级"]),
    (
        "region",
        &[
            "区域",
            "行政区划",
            "行政区划代码",
            "区域代码",
            "地区代码",
            "区划代码",
            "行政区域",
            "所属区域",
            "地方编码",
            "CF_DFBM",
        ],
    ),
    ("scope", &["适用范围", "限制范围"]),
    (
        "act_date",
        &[
            "行为日期",
            "失信行为日期",
            "违法行为发生日期",
            "行为发生日期",
            "违法日期",
        ],
    ),
    (
        "decided_on",
        &[
            "认定日期",
            "认定时间",
            "决定日期",
            "处罚决定日期",
            "作出日期",
            "CF_JDRQ",
            "XK_JDRQ",
        ],
    ),
    ("served_at", &["送达日期", "送达时间"]),
    (
        "valid_from",
        &[
            "列入日期",
            "列入时间",
            "生效日期",
            "有效期起",
            "有效期自",
            "开始日期",
        ],
    ),
    (
        "valid_to",
        &[
            "有效期止",
            "有效期至",
            "截止日期",
            "有效期限",
            "处罚有效期",
            "失效日期",
            "到期日期",
            "结束日期",
            "CF_YXQ",
        ],
    ),
    (
        "display_min_until",
        &["最短公示期", "最短公示期止", "最短公示期截止日期"],
    ),
    (
        "display_max_until",
        &[
            "公示截止期",
            "公示截止日期",
            "公示期止",
            "公示期限",
            "最长公示期",
            "最长公示期止",
            "CF_GSJZQ",
        ],
    ),
    ("state", &["状态", "当前状态", "名单状态", "数据状态"]),
    ("state_code", &["CF_ZT", "XK_ZT"]),
    ("state_since", &["状态日期", "状态变更日期", "状态变更时间"]),
    (
        "removed_on",
        &["移出日期", "移出时间", "退出日期", "退出时间"],
    ),
    ("objection_marked", &["异议标注", "异议标记", "是否异议"]),
    ("repeat_count", &["列入次数", "重复次数"]),
    (
        "source_unit",
        &[
            "数据来源单位",
            "数据来源",
            "来源单位",
            "报送单位",
            "提供单位",
            "CF_SJLYDW",
            "XK_LYDW",
        ],
    ),
    // Known, and an entry has no place for them; the reader of the file tells that they were not taken.
    (
        "ignore",
        &[
            "序号",
            "备注",
            "更新时间",
            "更新日期",
            "数据更新日期",
            "入库时间",
            "CF_CFLB",
            "CF_CFLB1",
            "CF_CFLB2",
            "CF_CFMC",
            "CF_CFMC1",
            "CF_AJMC",
            "CF_NR",
            "CF_JG",
            "CF_NR_FK",
            "CF_NR_WFFF",
            "CF_NR_ZKDX",
            "CF_WFXW",
            "CF_WFSS",
            "CF_SYFW",
            "CF_SJLYDWDM",
            "CF_XZJG_DM",
            "CF_CFJGDM",
            "CF_SJC",
            "CF_BZ",
            "SJC",
            "BZ",
        ],
    ),
];

/// Words of the columns that hold words, and the code of each. Our own codes are known besides.
pub const WORDS: &[(&str, &[(&str, &[&str])])] = &[
    (
        "kind",
        &[
            (
                "enterprise",
                &["企业", "公司", "企业法人", "农民专业合作社", "法人企业"],
            ),
            ("individual_business", &["个体工商户", "个体户", "个体"]),
            ("public_institution", &["事业单位", "事业法人"]),
            (
                "government_body",
                &["机关", "政府机关", "国家机关", "机关法人", "行政机关"],
            ),
            (
                "social_organisation",
                &["社会组织", "社会团体", "民办非企业单位", "基金会", "社团"],
            ),
            ("natural_person", &["自然人", "个人", "公民"]),
            // An organisation of a kind that the word does not tell: unknown, and the code tells more.
            (
                "",
                &[
                    "法人",
                    "法人及非法人组织",
                    "法人和非法人组织",
                    "法人及其他组织",
                    "法人和其他组织",
                    "非自然人",
                    "组织",
                ],
            ),
        ],
    ),
    (
        "severity",
        &[
            ("minor", &["轻微", "轻微失信"]),
            ("general", &["一般", "一般失信", "较重"]),
            ("serious", &["严重", "严重失信", "特别严重"]),
        ],
    ),
    (
        "state",
        &[
            ("PROPOSED", &["拟列入", "拟认定", "待认定"]),
            ("NOTIFIED", &["已告知", "告知中"]),
            (
                "EFFECTIVE",
                &[
                    "已列入",
                    "列入",
                    "生效",
                    "已生效",
                    "有效",
                    "公示中",
                    "公示",
                    "正常",
                    "在列",
                    "执行中",
                ],
            ),
            (
                "SUSPENDED",
                &["中止", "暂停", "已中止", "已暂停", "中止公示"],
            ),
            (
                "REPAIRED",
                &[
                    "已修复",
                    "修复",
                    "信用修复",
                    "已移出",
                    "移出",
                    "已退出",
                    "退出",
                ],
            ),
            (
                "REVOKED",
                &["已撤销", "撤销", "已注销", "已撤回", "已取消", "取消"],
            ),
        ],
    ),
    (
        "state_code",
        &[("EFFECTIVE", &["0", "正常"]), ("REVOKED", &["1", "撤销"])],
    ),
    (
        "objection_marked",
        &[
            ("true", &["是", "有", "已标注", "1"]),
            ("false", &["否", "无", "未标注", "0"]),
        ],
    ),
];

/// What people write into a cell that is empty.
pub const NOTHING: [&str; 13] = [
    "/", "\\", "-", "--", "—", "——", "无", "暂无", "空", "NULL", "null", "N/A", "(null)",
];

/// What people write for a last day that there is none of; then the list's own period holds.
pub const NO_END: [&str; 7] = [
    "长期",
    "永久",
    "长期有效",
    "永久有效",
    "无期限",
    "无固定期限",
    "至履行完毕",
];

/// Types of documents by which a person's number is told, as 证件类型 writes them.
pub const PERSON_DOCUMENTS: [&str; 6] = [
    "身份证",
    "居民身份证",
    "公民身份证",
    "中华人民共和国居民身份证",
    "公民身份号码",
    "ID18",
];

/// The field that the header names; none: not known.
#[must_use]
pub fn field_of(header: &str) -> Option<&'static str> {
    let plain = plain(header);
    let mut parts = plain.split('/').map(known);
    known(&plain).or_else(|| {
        let first = parts.next()??;
        parts.all(|part| part == Some(first)).then_some(first)
    })
}

/// The name of a field, in the spelling of the tables above; none: there is no such field.
#[must_use]
pub fn field_named(name: &str) -> Option<&'static str> {
    let further = FURTHER.iter().map(|(name, _)| name);
    COLUMNS
        .iter()
        .chain(further)
        .find(|known| **known == name)
        .copied()
}

fn known(plain: &str) -> Option<&'static str> {
    let own = COLUMNS.iter().find(|name| name.eq_ignore_ascii_case(plain));
    own.copied().or_else(|| field_named(plain)).or_else(|| {
        let names = |headers: &[&str]| {
            headers
                .iter()
                .any(|one| self::plain(one).eq_ignore_ascii_case(plain))
        };
        HEADERS
            .iter()
            .find(|(_, headers)| names(headers))
            .map(|(field, _)| *field)
    })
}

/// A header without what people add to it: white space, `*`, and a note in brackets at its end.
#[must_use]
pub fn plain(header: &str) -> String {
    let mut text: String = header
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '*' | '＊' | '\u{FEFF}'))
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            '／' => '/',
            c => c,
        })
        .collect();
    if let Some(at) = text.find('(').filter(|at| *at > 0 && text.ends_with(')')) {
        text.truncate(at);
    }
    text
}

/// The code of a word in a column that holds words; the text itself where it is a code of ours already.
#[must_use]
pub fn code_of(field: &str, word: &str) -> Option<&'static str> {
    let (_, words) = WORDS.iter().find(|(of, _)| *of == field)?;
    let (code, _) = words
        .iter()
        .find(|(code, words)| (!code.is_empty() && *code == word) || words.contains(&word))?;
    Some(code)
}

/// The words that a column may hold, for a message.
#[must_use]
pub fn words_of(field: &str) -> String {
    let words = WORDS
        .iter()
        .find(|(of, _)| *of == field)
        .map_or(&[][..], |(_, words)| words);
    let mut shown: Vec<&str> = Vec::new();
    for (code, words) in words {
        shown.extend(words.first());
        shown.extend((!code.is_empty()).then_some(*code));
    }
    shown.join(", ")
}
