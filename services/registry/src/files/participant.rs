//! Rows about firms and people who are to be checked, such as the names put forward for an honour: who it is and in which
//! role. A row is one subject.

use creditgate_measures::book::table::words;
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::vocabulary::Role;
use creditgate_proto::{Refused, json, v1};
use serde::Deserialize;

use super::entry::{UNTOLD, by_form, number, within};
use super::headers::{self, PERSON_DOCUMENTS, plain};
use super::mapping::Mapping;
use super::values::{Cell, narrow};

/// A subject of a file, and what the file calls its row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Participant {
    /// The sender's own name of the row, such as its number in the list; may be empty.
    pub row_id: String,
    /// Who it is; the role may be empty.
    pub subject: v1::Subject,
}

/// Columns of our own; besides `row_id` the names of [`v1::Subject`].
pub const COLUMNS: [&str; 8] = [
    "row_id", "party", "name", "id_type", "id", "issuer", "kind", "role",
];

/// What a mapping file may look like.
pub const EXAMPLE: &str =
    "columns: {入围名称: name, 代码: org_code}\nconstants: {role: candidate}\nignore: [推荐意见]";

/// Fields that a table may also name, each with the type of number that it tells.
const CODES: [(&str, Option<IdType>); 5] = [
    ("uscc", Some(IdType::Uscc)),
    ("org_code", None),
    ("org9", Some(IdType::Org9)),
    ("reg15", Some(IdType::Reg15)),
    ("id_card", Some(IdType::Id18)),
];

/// The headers of each field besides those that lists of entries have, see [`headers::HEADERS`].
#[rustfmt::skip]
const HEADERS: &[(&str, &[&str])] = &[
    ("row_id", &["序号", "编号", "行号", "推荐编号", "申报编号", "候选人编号"]),
    ("party", &["分组", "组别", "联合体名称"]),
    ("role", &["角色", "主体角色", "参与角色"]),
    (
        "name",
        &[
            "候选人", "候选人姓名", "候选单位", "候选单位名称", "推荐对象", "推荐对象姓名", "推荐对象名称",
            "参评对象", "参评单位", "参评单位名称", "参评企业", "参评企业名称", "拟任人选", "拟任人员", "拟任人选姓名",
        ],
    ),
    ("issuer", &["发证机关", "签发机关", "证件签发机关"]),
    ("id_card", &["身份证", "身份证号", "身份证号码", "公民身份号码", "居民身份证号", "居民身份证号码"]),
    (
        "ignore",
        &[
            "性别", "民族", "籍贯", "出生日期", "出生年月", "年龄", "政治面貌", "学历", "学位", "职务", "职称", "现任职务",
            "拟任职务", "岗位", "工作单位", "所在单位", "单位及职务", "工作单位及职务", "推荐单位", "推荐意见", "奖项",
            "荣誉称号", "主要事迹", "联系人", "联系电话", "手机", "手机号", "手机号码", "电话", "邮箱", "地址", "住所", "备注",
        ],
    ),
];

/// Words of the column `role` besides our codes and the names of the roles.
#[rustfmt::skip]
const ROLES: &[(Role, &[&str])] = &[
    (Role::Candidate, &["候选单位", "推荐对象", "参评对象", "参评单位", "参评企业", "拟任人选", "拟任人员"]),
    (Role::Applicant, &["申请单位", "申报人", "申报单位"]),
    (Role::LegalRepresentative, &["法人代表"]),
    (Role::Principal, &["负责人"]),
    (Role::ResponsiblePerson, &["直接责任人", "责任人"]),
];

/// Words of the column `id_type` besides our codes and [`PERSON_DOCUMENTS`].
#[rustfmt::skip]
const ID_TYPES: &[(IdType, &[&str])] = &[
    (IdType::Uscc, &["统一社会信用代码", "社会信用代码", "信用代码", "统一社会信用代码证"]),
    (IdType::Org9, &["组织机构代码", "组织机构代码证"]),
    (IdType::Reg15, &["工商注册号", "注册号", "营业执照注册号"]),
];

/// A document that bore a registration number once and bears the unified code now: the number tells which.
const LICENCE: &str = "营业执照";

/// The texts of a row.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Texts {
    #[serde(alias = "rowId")]
    row_id: String,
    party: String,
    name: String,
    #[serde(alias = "idType")]
    id_type: String,
    id: String,
    issuer: String,
    kind: String,
    role: String,
    /// Numbers whose column tells their type, by the places of [`CODES`].
    #[serde(skip)]
    codes: [String; 5],
}

/// The field that a header names; none: not known.
pub fn field_of(header: &str) -> Option<&'static str> {
    let header = plain(header);
    let own = COLUMNS
        .iter()
        .find(|name| name.eq_ignore_ascii_case(&header));
    let of_table = || {
        let known = HEADERS
            .iter()
            .find(|(_, names)| names.contains(&header.as_str()));
        known.map(|(field, _)| *field)
    };
    own.copied()
        .or_else(of_table)
        .or_else(|| match headers::field_of(&header)? {
            "id_no" => Some("id"),
            "id_no_type" => Some("id_type"),
            // What else an entry has says nothing about who it is.
            of_entry => Some(field_named(of_entry).unwrap_or("ignore")),
        })
}

/// The field of this name; none: there is none.
pub fn field_named(name: &str) -> Option<&'static str> {
    let codes = CODES.iter().map(|(field, _)| *field);
    let mut all = COLUMNS.into_iter().chain(codes).chain(["ignore"]);
    all.find(|known| *known == name)
}

/// The names of all fields.
pub fn fields() -> String {
    let codes = CODES.iter().map(|(field, _)| *field);
    let all: Vec<_> = COLUMNS.into_iter().chain(codes).chain(["ignore"]).collect();
    all.join(", ")
}

/// The subject of a row of cells.
///
/// # Errors
/// What cannot be told. Never holds a value of the row.
pub fn of_cells<'a>(
    cells: impl Iterator<Item = (&'static str, &'a Cell)>,
    mapping: &'a Mapping,
) -> Result<Participant, Refused> {
    let mut texts = Texts::default();
    let mut violations = Vec::new();
    for (field, cell) in mapping.constants().chain(cells) {
        match cell.text() {
            Ok(None) => {}
            Ok(Some(text)) => {
                let text = mapping.word(field, &text).map_or(text, str::to_owned);
                if let Some(place) = texts.place(field) {
                    *place = text;
                }
            }
            Err(rule) => violations.extend(Refused::one(field, rule).violations),
        }
    }
    Refused::unless_empty(violations)?;
    texts.settle()
}

/// The subject of a line of JSON.
///
/// # Errors
/// What is wrong and where; never with a value of the line.
pub fn of_json_line(line: &[u8]) -> Result<Participant, Refused> {
    json::from_json::<Texts>(line)?.settle()
}

impl Texts {
    fn place(&mut self, field: &str) -> Option<&mut String> {
        if let Some(at) = CODES.iter().position(|(name, _)| *name == field) {
            return self.codes.get_mut(at);
        }
        Some(match field {
            "row_id" => &mut self.row_id,
            "party" => &mut self.party,
            "name" => &mut self.name,
            "id_type" => &mut self.id_type,
            "id" => &mut self.id,
            "issuer" => &mut self.issuer,
            "kind" => &mut self.kind,
            "role" => &mut self.role,
            _ => return None,
        })
    }

    /// The subject that the texts tell.
    fn settle(mut self) -> Result<Participant, Refused> {
        let (id_type, id, issuer) = self.number()?.unwrap_or_default();
        if id.is_empty() && self.name.trim().is_empty() {
            let rule = "neither name nor number: nobody can be checked; fill one of them";
            return Err(Refused::one("name", rule));
        }
        let kind = match self.kind.as_str() {
            "" => "",
            word => headers::code_of("kind", word).ok_or_else(|| {
                let rule = format!("unknown word; known: {}", headers::words_of("kind"));
                Refused::one("kind", rule)
            })?,
        };
        let role = match self.role.as_str() {
            "" => "",
            word => role(word).ok_or_else(|| Refused::one("role", unknown_role()))?,
        };
        Ok(Participant {
            row_id: self.row_id,
            subject: v1::Subject {
                party: self.party,
                role: role.to_owned(),
                id_type,
                id,
                issuer,
                name: self.name,
                kind: kind.to_owned(),
            },
        })
    }

    /// The one number of the row, with its type and issuer.
    fn number(&mut self) -> Result<Option<(String, String, String)>, Refused> {
        let mut found: Option<(&str, (String, String, String))> = None;
        let codes = std::mem::take(&mut self.codes);
        for ((field, by_column), code) in CODES.into_iter().zip(codes) {
            if code.is_empty() {
                continue;
            }
            let code = number(&code, field)?;
            let id_type = match by_column {
                Some(IdType::Id18) => Some(of_person(&code)),
                _ => by_form(&code, by_column.is_none()).or(by_column),
            };
            let id_type = id_type.ok_or_else(|| Refused::one(field, UNTOLD))?;
            let one = (id_type.code().to_owned(), code, String::new());
            found = Some(only(found, field, one)?);
        }
        if !self.id.is_empty() {
            let one = self.document()?;
            found = Some(only(found, "id", one)?);
        }
        Ok(found.map(|(_, one)| one))
    }

    /// The number under `id`, its type told by `id_type`, else by its form.
    fn document(&self) -> Result<(String, String, String), Refused> {
        let id = number(&self.id, "id")?;
        let word = plain(&self.id_type);
        let guessed = || by_form(&id, true);
        let told = IdType::ALL
            .iter()
            .copied()
            .find(|known| known.code().eq_ignore_ascii_case(&word))
            .or_else(|| {
                let known = ID_TYPES.iter();
                let mut known = known.filter(|(_, words)| words.contains(&word.as_str()));
                known.next().map(|(id_type, _)| *id_type)
            })
            .or_else(|| {
                PERSON_DOCUMENTS
                    .contains(&word.as_str())
                    .then(|| of_person(&id))
            })
            .or_else(|| (word == LICENCE).then(|| guessed().unwrap_or(IdType::Uscc)));
        let (id_type, issuer) = match told {
            Some(id_type) => (id_type, self.issuer.clone()),
            None if !word.is_empty() => {
                let issuer = match self.issuer.as_str() {
                    "" => word,
                    issuer => issuer.to_owned(),
                };
                (IdType::Other, issuer)
            }
            None => {
                let id_type = guessed();
                // As many characters as a person's number has; what is wrong with it the check says.
                let id_type = id_type.or((id.chars().count() == 18).then_some(IdType::Id18));
                let id_type = id_type.ok_or_else(|| Refused::one("id", UNTOLD))?;
                (id_type, self.issuer.clone())
            }
        };
        Ok((id_type.code().to_owned(), id, issuer))
    }
}

/// One of two numbers of a row where both name the same subject; else it is not told who is meant.
fn only<'a>(
    first: Option<(&'a str, (String, String, String))>,
    field: &'a str,
    second: (String, String, String),
) -> Result<(&'a str, (String, String, String)), Refused> {
    let Some((before, first)) = first else {
        return Ok((field, second));
    };
    let parsed = |one: &(String, String, String)| {
        let id_type = IdType::parse(&one.0)?;
        let issuer = Some(one.2.as_str()).filter(|issuer| !issuer.is_empty());
        Identifier::parse(id_type, &one.1, issuer).ok()
    };
    let alias = v1::Alias {
        id_type: second.0.clone(),
        id: second.1.clone(),
        issuer: second.2.clone(),
    };
    let same = first.1 == second.1
        || within(&first.1, &alias)
        || parsed(&first)
            .zip(parsed(&second))
            .is_some_and(|(first, second)| first.same_subject(&second));
    if same {
        return Ok((before, first));
    }
    let rule = format!(
        "another number than under `{before}`: whose is it? A row is one subject; give the other a row of its own"
    );
    Err(Refused::one(field, rule))
}

/// The type of a number of a person's identity card.
fn of_person(number: &str) -> IdType {
    if narrow(number).trim().len() == 15 {
        IdType::Id15
    } else {
        IdType::Id18
    }
}

/// The code of a word in the column `role`.
fn role(word: &str) -> Option<&'static str> {
    let word = plain(word);
    let named = |role: &&Role| role.code() == word || words::role(**role) == word;
    let other = || {
        let known = ROLES.iter();
        let mut known = known.filter(|(_, names)| names.contains(&word.as_str()));
        known.next().map(|(role, _)| role)
    };
    let role = Role::ALL.iter().find(named).or_else(other)?;
    Some(role.code())
}

fn unknown_role() -> String {
    let known: Vec<String> = Role::ALL
        .iter()
        .map(|role| format!("{} ({})", words::role(*role), role.code()))
        .collect();
    format!("unknown word; known: {}", known.join(", "))
}
