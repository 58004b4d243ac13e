//! A row of cells becomes an entry: whose number is whose, which day is which, which word is which code.

use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_proto::{Refused, Violation, v1};

use super::headers::{self, NO_END, PERSON_DOCUMENTS};
use super::mapping::Mapping;
use super::values::{Cell, DateFormat, narrow, several};

/// Texts of a row from which several fields of the entry are made.
#[derive(Debug, Default)]
struct Gathered {
    /// Codes of the organisation with the type that their column tells, in the order in which they are preferred.
    codes: [Option<String>; 4],
    others: [Option<String>; 3],
    id_no: Option<String>,
    id_no_type: Option<String>,
    legal_representative: Person,
    principal: Person,
    responsible_person: Person,
    actual_controller: Person,
    decided_on: String,
    removed_on: String,
}

#[derive(Debug, Default)]
struct Person {
    name: Option<String>,
    number: Option<String>,
    number_type: Option<String>,
}

/// Columns of codes of the organisation, with the type that the column tells.
const CODES: [(&str, Option<IdType>); 4] = [
    ("uscc", Some(IdType::Uscc)),
    ("org_code", None),
    ("org9", Some(IdType::Org9)),
    ("reg15", Some(IdType::Reg15)),
];

/// Columns of further numbers, and who issues them.
const OTHERS: [(&str, &str); 3] = [
    ("tax_no", "税务机关"),
    ("institution_no", "事业单位登记管理机关"),
    ("society_no", "民政部门"),
];

/// The entry of a row.
///
/// # Errors
/// What cannot be told. Never holds a value of the row.
pub fn entry<'a>(
    cells: impl Iterator<Item = (&'static str, &'a Cell)>,
    mapping: &'a Mapping,
) -> Result<v1::Entry, Refused> {
    let mut entry = v1::Entry::default();
    let mut gathered = Gathered::default();
    let mut violations = Vec::new();
    for (field, cell) in mapping.constants().chain(cells) {
        if let Err(why) = take(&mut entry, &mut gathered, field, cell, mapping) {
            violations.extend(why.violations);
        }
    }
    Refused::unless_empty(violations)?;
    finish(&mut entry, gathered)?;
    Ok(entry)
}

fn take(
    entry: &mut v1::Entry,
    gathered: &mut Gathered,
    field: &'static str,
    cell: &Cell,
    mapping: &Mapping,
) -> Result<(), Refused> {
    let refused = |rule: &'static str| Refused::one(field, rule);
    if let Some(place) = day_place(entry, gathered, field) {
        if let Some(day) = day(cell, field, mapping.date_format()).map_err(refused)? {
            *place = day;
        }
        return Ok(());
    }
    let Some(text) = cell.text().map_err(refused)? else {
        return Ok(());
    };
    let text = mapping.word(field, &text).map_or(text, str::to_owned);
    match field {
        "former_names" => entry.former_names = several(&text),
        "scope" => entry.scope = several(&text),
        "kind" | "severity" | "state" | "state_code" | "objection_marked" => {
            let code = headers::code_of(field, &text).ok_or_else(|| {
                let known = headers::words_of(field);
                let rule = format!(
                    "unknown word; known: {known}; others through a mapping file (`words`)"
                );
                Refused::one(field, rule)
            })?;
            match field {
                "kind" => code.clone_into(&mut entry.kind),
                "severity" => code.clone_into(&mut entry.severity),
                "objection_marked" => entry.objection_marked = Some(code == "true"),
                _ => code.clone_into(&mut entry.state),
            }
        }
        "repeat_count" => {
            let count = text.parse();
            let count = count.map_err(|_| refused("write a whole number, 0 or more"))?;
            entry.repeat_count = Some(count);
        }
        "region" => entry.region = region(text),
        _ => {
            if let Some(place) = gathered_place(gathered, field) {
                *place = Some(number(&text, field)?);
            } else if let Some(place) = text_place(entry, field) {
                *place = if field == "id" {
                    number(&text, field)?
                } else {
                    text
                };
            }
        }
    }
    Ok(())
}

/// The text of a number, unless a spreadsheet has turned it into an approximation.
pub(super) fn number(text: &str, field: &'static str) -> Result<String, Refused> {
    let mantissa = text.split_once(['E', 'e']).filter(|(before, exponent)| {
        before.starts_with(|c: char| c.is_ascii_digit())
            && before
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
            && exponent.starts_with('+')
    });
    if mantissa.is_some() {
        let rule = "a number in the form 1.23E+17, of which a spreadsheet has lost digits; format the column as text and enter it again";
        return Err(Refused::one(field, rule));
    }
    Ok(text.to_owned())
}

/// A division code of twelve digits names the county by its first six.
fn region(text: String) -> String {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_suffix("000000") {
        Some(county) if digits && text.len() == 12 => county.to_owned(),
        _ => text,
    }
}

fn day(
    cell: &Cell,
    field: &'static str,
    format: Option<&DateFormat>,
) -> Result<Option<String>, &'static str> {
    let ends = matches!(
        field,
        "valid_to" | "display_min_until" | "display_max_until"
    );
    if let Cell::Text(text) = cell
        && ends
        && NO_END.contains(&text.trim())
    {
        return Ok(None);
    }
    let when = cell.when(format)?;
    let instants = matches!(
        field,
        "served_at" | "valid_from" | "state_since" | "decided_on" | "removed_on"
    );
    Ok(when.map(|when| {
        if instants {
            when.to_string()
        } else {
            when.day().to_string()
        }
    }))
}

fn day_place<'a>(
    entry: &'a mut v1::Entry,
    gathered: &'a mut Gathered,
    field: &str,
) -> Option<&'a mut String> {
    Some(match field {
        "act_date" => &mut entry.act_date,
        "served_at" => &mut entry.served_at,
        "valid_from" => &mut entry.valid_from,
        "valid_to" => &mut entry.valid_to,
        "display_min_until" => &mut entry.display_min_until,
        "display_max_until" => &mut entry.display_max_until,
        "state_since" => &mut entry.state_since,
        "decided_on" => &mut gathered.decided_on,
        "removed_on" => &mut gathered.removed_on,
        _ => return None,
    })
}

fn text_place<'a>(entry: &'a mut v1::Entry, field: &str) -> Option<&'a mut String> {
    Some(match field {
        "entry_id" => &mut entry.entry_id,
        "list" => &mut entry.list,
        "id_type" => &mut entry.id_type,
        "id" => &mut entry.id,
        "issuer" => &mut entry.issuer,
        "name" => &mut entry.name,
        "grade" => &mut entry.grade,
        "designated_by" => &mut entry.designated_by,
        "document_no" => &mut entry.document_no,
        "basis" => &mut entry.basis,
        "reason" => &mut entry.reason,
        "source_unit" => &mut entry.source_unit,
        "rule_version" => &mut entry.rule_version,
        _ => return None,
    })
}

fn gathered_place<'a>(gathered: &'a mut Gathered, field: &str) -> Option<&'a mut Option<String>> {
    if let Some(at) = CODES.iter().position(|(name, _)| *name == field) {
        return gathered.codes.get_mut(at);
    }
    if let Some(at) = OTHERS.iter().position(|(name, _)| *name == field) {
        return gathered.others.get_mut(at);
    }
    Some(match field {
        "id_no" => &mut gathered.id_no,
        "id_no_type" => &mut gathered.id_no_type,
        "legal_representative" => &mut gathered.legal_representative.name,
        "legal_representative_id" => &mut gathered.legal_representative.number,
        "legal_representative_id_type" => &mut gathered.legal_representative.number_type,
        "principal" => &mut gathered.principal.name,
        "principal_id" => &mut gathered.principal.number,
        "responsible_person" => &mut gathered.responsible_person.name,
        "responsible_person_id" => &mut gathered.responsible_person.number,
        "actual_controller" => &mut gathered.actual_controller.name,
        "actual_controller_id" => &mut gathered.actual_controller.number,
        _ => return None,
    })
}

/// Makes identifier, aliases, related persons and dates of what was gathered.
fn finish(entry: &mut v1::Entry, mut gathered: Gathered) -> Result<(), Refused> {
    let mut numbers: Vec<v1::Alias> = Vec::new();
    for ((_, by_column), code) in CODES.iter().zip(gathered.codes) {
        if let Some(code) = code {
            let id_type = by_form(&code, by_column.is_none()).or(*by_column);
            let id_type = id_type.ok_or_else(|| Refused::one("org_code", UNTOLD))?;
            numbers.push(alias(id_type, code, ""));
        }
    }
    let organisation = !numbers.is_empty() || (!entry.id.is_empty() && entry.id_type != "ID18");
    if let Some(number) = gathered.id_no {
        let owner = owner(
            &number,
            organisation,
            &entry.kind,
            &gathered.legal_representative,
        )?;
        match owner {
            Owner::LegalRepresentative => {
                let person = &mut gathered.legal_representative;
                person.number.get_or_insert(number);
                if person.number_type.is_none() {
                    person.number_type = gathered.id_no_type;
                }
            }
            Owner::Subject => {
                numbers.push(document(number, gathered.id_no_type.as_deref(), "id_no")?)
            }
        }
    }
    for ((_, issuer), number) in OTHERS.iter().zip(gathered.others) {
        // A taxpayer's number is the code itself since 2015.
        numbers.extend(number.map(|number| match by_form(&number, true) {
            Some(id_type) if id_type == IdType::Uscc => alias(id_type, number, ""),
            _ => alias(IdType::Other, number, issuer),
        }));
    }
    settle(entry, numbers)?;
    let related = [
        ("legal_representative", gathered.legal_representative),
        ("principal", gathered.principal),
        ("responsible_person", gathered.responsible_person),
        ("actual_controller", gathered.actual_controller),
    ];
    for (role, person) in related {
        entry.related.extend(relation(role, person)?);
    }
    if entry.valid_from.is_empty() {
        entry.valid_from = gathered.decided_on;
    }
    if !gathered.removed_on.is_empty() {
        if entry.state.is_empty() || entry.state == "EFFECTIVE" {
            "REPAIRED".clone_into(&mut entry.state);
        }
        if entry.state_since.is_empty() {
            entry.state_since = gathered.removed_on;
        }
    }
    Ok(())
}

pub(super) const UNTOLD: &str =
    "it is not told what number this is; name its type in a column 证件类型 or id_type";

/// Identifier of the entry where it has none yet, and aliases.
fn settle(entry: &mut v1::Entry, numbers: Vec<v1::Alias>) -> Result<(), Refused> {
    if !entry.id.is_empty() && entry.id_type.is_empty() {
        let id_type = by_form(&entry.id, true).ok_or_else(|| Refused::one("id", UNTOLD))?;
        id_type.code().clone_into(&mut entry.id_type);
    }
    for number in numbers {
        if entry.id.is_empty() {
            (entry.id, entry.id_type, entry.issuer) = (number.id, number.id_type, number.issuer);
            continue;
        }
        let known =
            number.id == entry.id || entry.aliases.iter().any(|known| known.id == number.id);
        if !known && !within(&entry.id, &number) {
            entry.aliases.push(number);
        }
    }
    Ok(())
}

/// Whether an organisation code is the one inside the unified code already.
pub(super) fn within(uscc: &str, number: &v1::Alias) -> bool {
    let inner = Identifier::parse(IdType::Uscc, uscc, None)
        .ok()
        .and_then(|uscc| uscc.org9_alias());
    let own = IdType::parse(&number.id_type)
        .and_then(|id_type| Identifier::parse(id_type, &number.id, None).ok());
    inner
        .zip(own)
        .is_some_and(|(inner, own)| inner.reveal() == own.reveal())
}

fn alias(id_type: IdType, id: String, issuer: &str) -> v1::Alias {
    v1::Alias {
        id_type: id_type.code().to_owned(),
        id,
        issuer: issuer.to_owned(),
    }
}

enum Owner {
    Subject,
    LegalRepresentative,
}

/// Whose number it is that stands in the column 证件号码.
fn owner(
    number: &str,
    has_code: bool,
    kind: &str,
    legal_representative: &Person,
) -> Result<Owner, Refused> {
    let of_organisation = by_form(number, true)
        .is_some_and(|id_type| !matches!(id_type, IdType::Id18 | IdType::Id15));
    let organisation =
        has_code || (!kind.is_empty() && kind != "natural_person" && kind != "individual_business");
    if of_organisation || !organisation {
        Ok(Owner::Subject)
    } else if legal_representative.name.is_some() {
        Ok(Owner::LegalRepresentative)
    } else {
        // Held for the organisation's own, it would make a person answer for the entry.
        Err(Refused::one(
            "id_no",
            "whose number is it? the row is of an organisation and names no 法定代表人; fill that column or leave this one empty",
        ))
    }
}

/// A number with its document: told by its form, else by the name of the document.
fn document(number: String, named: Option<&str>, field: &str) -> Result<v1::Alias, Refused> {
    let person = named.is_some_and(|named| PERSON_DOCUMENTS.contains(&named));
    if person {
        let id_type = if narrow(&number).trim().len() == 15 {
            IdType::Id15
        } else {
            IdType::Id18
        };
        return Ok(alias(id_type, number, ""));
    }
    match (by_form(&number, true), named) {
        (Some(id_type), _) => Ok(alias(id_type, number, "")),
        (None, Some(named)) => Ok(alias(IdType::Other, number, named)),
        (None, None) if number.chars().count() == 18 => Ok(alias(IdType::Id18, number, "")),
        (None, None) => Err(Refused::one(field, UNTOLD)),
    }
}

/// The type of a number by its form: the one of which it is a valid number. `guess`: where it is valid of none, the one
/// whose length and letters it has, so that the registry can say what is wrong with it.
pub(super) fn by_form(text: &str, guess: bool) -> Option<IdType> {
    let fixed = [
        IdType::Uscc,
        IdType::Id18,
        IdType::Org9,
        IdType::Reg15,
        IdType::Id15,
    ];
    let valid = |id_type: &IdType| Identifier::parse(*id_type, text, None).is_ok();
    fixed.into_iter().find(valid).or_else(|| {
        let plain: String = narrow(text)
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .collect();
        let letters = plain.bytes().any(|byte| byte.is_ascii_alphabetic());
        let ascii = plain.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match plain.len() {
            18 if guess && ascii && letters => {
                let person = plain.bytes().take(17).all(|byte| byte.is_ascii_digit());
                Some(if person { IdType::Id18 } else { IdType::Uscc })
            }
            _ => None,
        }
    })
}

fn relation(role: &str, person: Person) -> Result<Option<v1::RelatedSubject>, Refused> {
    // A masked number names nobody; beside a name it is left out as if the list had none.
    let number = person
        .number
        .filter(|number| person.name.is_none() || !number.contains(['*', '＊', '×']));
    if person.name.is_none() && number.is_none() {
        return Ok(None);
    }
    let number = number
        .map(|number| document(number, person.number_type.as_deref(), role))
        .transpose()?
        .unwrap_or_default();
    Ok(Some(v1::RelatedSubject {
        role: role.to_owned(),
        id_type: number.id_type,
        id: number.id,
        issuer: number.issuer,
        name: person.name.unwrap_or_default(),
    }))
}

/// Violations of one row as one text, a line each; the form of `ImportRow.unreadable`.
pub fn told(refused: &Refused) -> String {
    let shown: Vec<String> = refused
        .violations
        .iter()
        .map(Violation::to_string)
        .collect();
    shown.join("\n")
}
