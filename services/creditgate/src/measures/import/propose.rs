//! What the words of a published table suggest. Everything here is a proposal for a person to check.

use creditgate_measures::vocabulary::{Benefit, Class, Force, Level, Role, SubjectKind};

/// A basis as a table cites it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cited {
    /// The law, without 《》.
    pub law: String,
    /// Its articles, as written.
    pub article: Option<String>,
    /// Document number.
    pub document_no: Option<String>,
    /// What its name suggests.
    pub level: Option<Level>,
}

/// The bases of a cell: each 《law》 with the articles that follow it.
pub fn bases(cell: &str) -> Vec<Cited> {
    let mut cited = Vec::new();
    let mut rest = cell;
    while let Some((law, after)) = next_title(rest) {
        let end = after.find('《').unwrap_or(after.len());
        let (tail, next) = after.split_at(end);
        let (document_no, article) = tail_of(tail);
        cited.push(Cited {
            level: level(&law, document_no.as_deref()),
            law,
            article,
            document_no,
        });
        rest = next;
    }
    cited
}

/// The first 《…》 with what follows; titles may hold titles.
fn next_title(text: &str) -> Option<(String, &str)> {
    let start = text.find('《')?;
    let inside = text.get(start + '《'.len_utf8()..)?;
    let mut depth = 1_usize;
    for (at, c) in inside.char_indices() {
        match c {
            '《' => depth += 1,
            '》' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let law = inside.get(..at)?.split_whitespace().collect();
            return Some((law, inside.get(at + c.len_utf8()..)?));
        }
    }
    None
}

/// Document number and articles out of what stands between two laws.
fn tail_of(tail: &str) -> (Option<String>, Option<String>) {
    let mut rest = tail.trim_start();
    let mut document_no = None;
    for (open, close) in [('（', '）'), ('(', ')')] {
        if let Some(inside) = rest.strip_prefix(open)
            && let Some((bracketed, after)) = inside.split_once(close)
            && bracketed.contains('号')
        {
            document_no = Some(bracketed.split_whitespace().collect());
            rest = after.trim_start();
        }
    }
    let ends = |c: char| matches!(c, '；' | ';' | '。' | '\n');
    let article: String = rest
        .split(ends)
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let article = article.trim_end_matches(['、', '，', ',', '和', '及', '与', '等']);
    let names_article = article.starts_with('第') && article.contains(['条', '款', '项', '章']);
    (document_no, names_article.then(|| article.to_owned()))
}

/// What the name and number of a document say about its level; none where they say too little:
/// a 条例 may be of the State Council or of any people's congress.
fn level(law: &str, document_no: Option<&str>) -> Option<Level> {
    let name = law.split(['（', '(']).next().unwrap_or(law);
    let local = names_place(name);
    let of_state = name.starts_with("中华人民共和国")
        || document_no.is_some_and(|number| number.contains("国务院令"));
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if name.starts_with("最高人民法院") || (name.ends_with('法') && !name.ends_with("办法"))
    {
        Some(Level::Law)
    } else if name.ends_with("条例") && local {
        Some(Level::LocalRegulation)
    } else if name.ends_with("条例") {
        of_state.then_some(Level::AdministrativeRegulation)
    } else if name.starts_with("中共中央") || name.starts_with("国务院") {
        Some(Level::CentralDocument)
    } else if ends(&["办法", "规定", "细则"]) && !local {
        Some(Level::DepartmentRule)
    } else {
        None
    }
}

/// Whether a province or city stands in front; 市场 and 城市 are none.
fn names_place(name: &str) -> bool {
    let front: String = name.chars().take(10).collect();
    let front = front.replace("市场", "").replace("城市", "");
    ["省", "自治区", "市"]
        .iter()
        .any(|place| front.contains(place))
}

/// The class that the left-hand column names.
pub fn class(cell: &str) -> Option<Class> {
    let letter = cell.trim().trim_end_matches('类');
    if let Some(class) = Class::parse(letter) {
        return Some(class);
    }
    // The second class says that it does not reduce rights, so its words come first.
    if cell.contains("不涉及") || cell.contains("管理措施") {
        Some(Class::B)
    } else if cell.contains("以外") || cell.contains("自主") {
        Some(Class::C)
    } else if cell.contains("减损") {
        Some(Class::A)
    } else {
        None
    }
}

/// Words by which laws bind, the weaker forces first.
const FORCE_WORDS: [(&str, Force); 11] = [
    ("依法限制", Force::Refer),
    ("依法依规限制", Force::Refer),
    ("依法予以限制", Force::Refer),
    ("考量因素", Force::Factor),
    ("参考", Force::Factor),
    ("可以", Force::May),
    ("不得", Force::Must),
    ("禁止", Force::Must),
    ("应当", Force::Must),
    ("不予", Force::Must),
    ("必须", Force::Must),
];

/// The weakest force whose words stand in the text, and those words; several forces ask for several rows.
pub fn force(text: &str) -> Option<(Force, Vec<&'static str>)> {
    let found: Vec<_> = FORCE_WORDS
        .iter()
        .filter(|(word, _)| text.contains(word))
        .collect();
    let (_, weakest) = found.first()?;
    Some((*weakest, found.iter().map(|(word, _)| *word).collect()))
}

/// Whether the words belong to more than one force.
pub fn several_forces(words: &[&str]) -> bool {
    let mut forces: Vec<Force> = FORCE_WORDS
        .iter()
        .filter(|(word, _)| words.contains(word))
        .map(|(_, force)| *force)
        .collect();
    forces.dedup();
    forces.len() > 1
}

/// The kinds of subject that the targets name.
pub fn kinds(targets: &str) -> Vec<SubjectKind> {
    const WORDS: [(&str, SubjectKind); 13] = [
        ("企业", SubjectKind::Enterprise),
        ("公司", SubjectKind::Enterprise),
        ("经营者", SubjectKind::Enterprise),
        ("个体工商户", SubjectKind::IndividualBusiness),
        ("个体经营", SubjectKind::IndividualBusiness),
        ("事业单位", SubjectKind::PublicInstitution),
        ("机关", SubjectKind::GovernmentBody),
        ("社会组织", SubjectKind::SocialOrganisation),
        ("社会团体", SubjectKind::SocialOrganisation),
        ("基金会", SubjectKind::SocialOrganisation),
        ("自然人", SubjectKind::NaturalPerson),
        ("个人", SubjectKind::NaturalPerson),
        ("公民", SubjectKind::NaturalPerson),
    ];
    words(targets, &WORDS)
}

/// The relations of a listed subject that the targets name beside it.
pub fn relations(targets: &str) -> Vec<Role> {
    const WORDS: [(&str, Role); 5] = [
        ("法定代表人", Role::LegalRepresentative),
        ("主要负责人", Role::Principal),
        ("直接责任人", Role::ResponsiblePerson),
        ("责任人员", Role::ResponsiblePerson),
        ("实际控制人", Role::ActualController),
    ];
    words(targets, &WORDS)
}

/// The benefit that the title or content of an incentive suggests.
pub fn benefit(text: &str) -> Option<Benefit> {
    const WORDS: [(&str, Benefit); 11] = [
        ("绿色通道", Benefit::GreenChannel),
        ("容缺", Benefit::DeferredDocuments),
        ("告知承诺", Benefit::CommitmentAllowed),
        ("信用代证", Benefit::CreditReportAccepted),
        ("保证金", Benefit::DepositRelief),
        ("检查频次", Benefit::ReducedInspection),
        ("抽查", Benefit::ReducedInspection),
        ("加分", Benefit::Bonus),
        ("同等条件", Benefit::Preference),
        ("优先办理", Benefit::Priority),
        ("优先", Benefit::Priority),
    ];
    words(text, &WORDS).first().copied()
}

fn words<T: Copy + PartialEq>(text: &str, known: &[(&str, T)]) -> Vec<T> {
    let mut found = Vec::new();
    for (word, meaning) in known {
        if text.contains(word) && !found.contains(meaning) {
            found.push(*meaning);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cell: &str, expected: &[&str]) {
        let told: Vec<String> = bases(cell)
            .iter()
            .map(|cited| {
                format!(
                    "{}|{}|{}|{}",
                    cited.law,
                    cited.article.as_deref().unwrap_or("-"),
                    cited.document_no.as_deref().unwrap_or("-"),
                    cited.level.map_or("-", Level::code),
                )
            })
            .collect();
        assert_eq!(told, expected, "{cell}");
    }

    #[test]
    fn a_cell_of_bases_is_split_into_laws_and_articles() {
        check(
            "《中华人民共和国行政许可法》第七十八条、第七十九条",
            &["中华人民共和国行政许可法|第七十八条、第七十九条|-|law"],
        );
        check(
            "《企业信息公示暂行条例》（国务院令第654号）第十八条；\n《上海市社会信用条例》第三十条第一款第（一）项。",
            &[
                "企业信息公示暂行条例|第十八条|国务院令第654号|administrative_regulation",
                "上海市社会信用条例|第三十条第一款第（一）项|-|local_regulation",
            ],
        );
        check(
            "《国务院关于建立完善守信联合激励和失信联合惩戒制度的指导意见》(国发〔2016〕33号)",
            &[
                "国务院关于建立完善守信联合激励和失信联合惩戒制度的指导意见|-|国发〔2016〕33号|central_document",
            ],
        );
        check(
            "《某部关于贯彻《某法》的通知》和《中华人民共和国某法（2018年修正）》第 41 条",
            &[
                "某部关于贯彻《某法》的通知|-|-|-",
                "中华人民共和国某法（2018年修正）|第41条|-|law",
            ],
        );
        check("《市场主体登记管理条例》", &["市场主体登记管理条例|-|-|-"]);
        check(
            "《互联网广告管理办法》第三条",
            &["互联网广告管理办法|第三条|-|department_rule"],
        );
        check("按有关规定办理", &[]);
        check("《没有收尾", &[]);
    }

    #[test]
    fn the_left_hand_column_names_the_class() {
        assert_eq!(class("A类"), Some(Class::A));
        assert_eq!(
            class("一、由公共管理机构依法依规实施的减损信用主体权益或增加其义务的措施"),
            Some(Class::A)
        );
        assert_eq!(
            class("二、由公共管理机构根据履职需要实施的相关管理措施，不涉及减损信用主体权益"),
            Some(Class::B)
        );
        assert_eq!(
            class("三、由公共管理机构以外的组织自主实施的措施"),
            Some(Class::C)
        );
        assert_eq!(class("一类"), None);
    }

    #[test]
    fn the_words_of_the_law_suggest_how_far_it_binds() {
        let forces = |text: &str| force(text).map(|(force, words)| (force, several_forces(&words)));
        assert_eq!(forces("三年内不得参加"), Some((Force::Must, false)));
        assert_eq!(forces("应当从严，不予通过"), Some((Force::Must, false)));
        assert_eq!(forces("可以限制申请"), Some((Force::May, false)));
        assert_eq!(forces("依法限制取得"), Some((Force::Refer, false)));
        assert_eq!(forces("可以提醒，情节严重的禁止"), Some((Force::May, true)));
        assert_eq!(forces("加强监管"), None);
    }

    #[test]
    fn targets_become_kinds_and_relations() {
        let targets = "失信企业、个体工商户及其法定代表人、直接责任人员";
        assert_eq!(
            kinds(targets),
            [SubjectKind::Enterprise, SubjectKind::IndividualBusiness]
        );
        assert_eq!(
            relations(targets),
            [Role::LegalRepresentative, Role::ResponsiblePerson]
        );
    }
}
