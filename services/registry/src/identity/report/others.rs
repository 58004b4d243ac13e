//! Other parties in a subject's report: shown so that those who know them can tell, and others cannot.

use std::collections::BTreeSet;

use creditgate_measures::identifier::in_text::{Reading, readings};
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::name::mask_name;
use creditgate_proto::v1;

/// Stands for a number that is not a valid one: which of its characters could be shown is not known.
const HIDDEN: &str = "********";

/// Characters of an identifier: an old number of a person, or of a register.
const SHORTEST: usize = 15;
/// The same of a credit code, or of a person's number.
const LONGEST: usize = 18;

/// The text with whatever looks like an identifier hidden, in whatever form it is written and whether or not its check
/// digit holds, unless it is one of these. Names in it stay: nobody knows which words are names.
pub(super) fn hidden(text: &str, own: &[Identifier]) -> String {
    const SHOWN: usize = 2;
    let is_own = |number: &str| {
        own.iter()
            .any(|own| own.reveal().eq_ignore_ascii_case(number))
    };
    let (mut hidden, mut of_own) = (BTreeSet::new(), BTreeSet::new());
    for reading in readings(text, LONGEST) {
        let length = reading.places.len();
        let starts = reading.places.iter().map(|place| place.start);
        if length >= SHORTEST && is_own(&reading.normal) {
            of_own.extend(starts);
        } else if is_number(&reading) {
            hidden.extend(starts.take(length.saturating_sub(SHOWN)).skip(SHOWN));
        }
    }
    let shown = text.char_indices().map(|(at, c)| {
        let hides = hidden.contains(&at) && !of_own.contains(&at);
        if hides { '*' } else { c }
    });
    shown.collect()
}

/// Whether it looks like an identifier: a long word, or words that make one together. Of these less is taken for one, or
/// two dates side by side would be.
fn is_number(reading: &Reading) -> bool {
    /// A credit code has so many at least: its division.
    const DIGITS: usize = 8;
    let length = reading.places.len();
    let digits = reading.normal.bytes().filter(u8::is_ascii_digit).count();
    if reading.words == 1 {
        return length >= SHORTEST && digits >= DIGITS;
    }
    let division = reading.normal.get(2..8).unwrap_or_default();
    match length {
        SHORTEST => is_one_of(&reading.normal, [IdType::Id15, IdType::Reg15]),
        LONGEST => digits >= DIGITS && division.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Whether a text that is to name a document holds somebody's code or number, in whatever form it is written.
pub(super) fn names_somebody(text: &str) -> bool {
    let mut readings = readings(text, LONGEST).into_iter();
    readings.any(|reading| is_one_of(&reading.normal, [IdType::Uscc, IdType::Id18]))
}

fn is_one_of(number: &str, types: [IdType; 2]) -> bool {
    let mut types = types.into_iter();
    types.any(|id_type| Identifier::parse(id_type, number, None).is_ok())
}

/// Hides a related party, unless it is the subject itself.
pub(super) fn hide_related(other: &mut v1::RelatedSubject, own: &[Identifier]) {
    let identifier = parsed(&other.id_type, &other.id, &other.issuer);
    if is_own(identifier.as_ref(), own) {
        return;
    }
    other.name = mask_name(&other.name, is_person(identifier.as_ref()));
    other.id = masked(&other.id, identifier.as_ref());
}

/// Of an entry that lists somebody else: who that is, hidden, and not why. Of whom it names besides only the subject.
pub(super) fn hide_listed(entry: &mut v1::Entry, own: &[Identifier]) {
    let identifier = parsed(&entry.id_type, &entry.id, &entry.issuer);
    entry.name = mask_name(&entry.name, is_person(identifier.as_ref()));
    entry.id = masked(&entry.id, identifier.as_ref());
    entry.former_names.clear();
    entry.aliases.clear();
    entry.reason.clear();
    entry.basis.clear();
    entry.related.retain(|related| {
        let related = parsed(&related.id_type, &related.id, &related.issuer);
        is_own(related.as_ref(), own)
    });
}

fn is_own(identifier: Option<&Identifier>, own: &[Identifier]) -> bool {
    identifier.is_some_and(|other| own.iter().any(|own| own.same_subject(other)))
}

fn parsed(id_type: &str, id: &str, issuer: &str) -> Option<Identifier> {
    let issuer = (!issuer.is_empty()).then_some(issuer);
    Identifier::parse(IdType::parse(id_type)?, id, issuer).ok()
}

fn masked(id: &str, identifier: Option<&Identifier>) -> String {
    match identifier {
        Some(identifier) => identifier.masked(),
        None if id.is_empty() => String::new(),
        None => HIDDEN.to_owned(),
    }
}

/// Whoever is not known to be an organisation is hidden as a person is; an individual business often bears its owner's
/// name.
fn is_person(identifier: Option<&Identifier>) -> bool {
    !identifier.is_some_and(|identifier| {
        matches!(
            identifier.id_type(),
            IdType::Uscc | IdType::Org9 | IdType::Reg15
        ) && !identifier.is_individual_business_code()
    })
}

#[cfg(test)]
mod tests {
    use creditgate_measures::identifier::invented;

    use super::*;

    fn own() -> Vec<Identifier> {
        let own = Identifier::parse(IdType::Uscc, "91219999MAYG58BR3Q", None);
        vec![own.expect("a valid code")]
    }

    #[test]
    fn a_text_keeps_the_numbers_of_its_subject_and_hides_those_of_others() {
        let check = |text: &str, expected: &str| assert_eq!(hidden(text, &own()), expected);
        check("", "");
        check("拖欠工资，示例〔2026〕1号", "拖欠工资，示例〔2026〕1号");
        check(
            "本单位（91219999MAYG58BR3Q）与219999199003071231共同",
            "本单位（91219999MAYG58BR3Q）与21**************31共同",
        );
        check("91219999mayg58br3q", "91219999mayg58br3q");
        check("case-2026-000123", "case-2026-000123");
    }

    #[test]
    fn a_number_is_hidden_in_whatever_form_it_is_written() {
        let check = |text: &str, expected: &str| assert_eq!(hidden(text, &own()), expected);
        check("219999199003071231", "21**************31");
        check("219999-19900307-1231", "21****-********-**31");
        check("219999 19900307 1231", "21**** ******** **31");
        check("219999　19900307　1231", "21****　********　**31");
        check("219999－19900307–1231", "21****－********–**31");
        check(
            "２１９９９９１９９００３０７１２３１",
            "２１**************３１",
        );
        check(
            "2 1 9 9 9 9 1 9 9 0 0 3 0 7 1 2 3 1",
            "2 1 * * * * * * * * * * * * * * 3 1",
        );
        check(
            "与某甲219999-900307-123同住",
            "与某甲21****-******-*23同住",
        );
        let other = invented::uscc(3);
        let parts = (other.get(..8), other.get(8..));
        let (division, organisation) = (parts.0.expect("its"), parts.1.expect("its"));
        let apart = format!("{division} - {}", organisation.to_ascii_lowercase());
        let shown = hidden(&apart, &own());
        assert_eq!(shown.matches('*').count(), 14, "{shown}");
        // The subject's own stays in each of them, and so does what is none.
        for text in [
            "91219999-MAYG58BR3Q",
            "９１２１９９９９ＭＡＹＧ５８ＢＲ３Ｑ",
            "91219999 mayg58br3q",
            "2026-06-01 2027-06-01",
            "示例窗 2026 收 1 号 366 天",
            "合同 2026-01-05 80000 元",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_document_number_that_is_somebodys_is_told() {
        let person = invented::person(1);
        let (area, rest) = person.split_at(6);
        let (born, rest) = rest.split_at(8);
        let wide = |c: char| char::from_u32(u32::from(c) + 0xFEE0).expect("its full-width form");
        for text in [
            "91219999MAYG58BR3Q",
            "91219999-mayg58br3q",
            &*person,
            &format!("申请{person}号"),
            &format!("{area}-{born}-{rest}"),
            &format!("{area} {born} {rest}"),
            &format!("{area}　{born}－{rest}"),
            &person.chars().map(wide).collect::<String>(),
            &person.to_lowercase(),
        ] {
            assert!(names_somebody(text), "{text}");
        }
        for text in ["", "示例窗〔2026〕1号", "320500202606100000123"] {
            assert!(!names_somebody(text), "{text}");
        }
    }

    #[test]
    fn a_related_party_is_hidden_unless_it_is_the_subject() {
        let check = |id_type: &str, id: &str, name: &str, expected: (&str, &str)| {
            let mut other = v1::RelatedSubject {
                id_type: id_type.to_owned(),
                id: id.to_owned(),
                name: name.to_owned(),
                ..v1::RelatedSubject::default()
            };
            hide_related(&mut other, &own());
            assert_eq!((other.name.as_str(), other.id.as_str()), expected);
        };
        let (firm, other) = ("91219999MAYG58BR3Q", invented::uscc(3));
        check("USCC", firm, "示例建设有限公司", ("示例建设有限公司", firm));
        let ends = |from: usize, to: usize| other.get(from..to).expect("its characters");
        let masked = format!("{}{}{}", ends(0, 2), "*".repeat(14), ends(16, 18));
        check(
            "USCC",
            &other,
            "示例贸易有限公司",
            ("示例＊公司", masked.as_str()),
        );
        check("", "", "某甲某", ("某＊", ""));
        check("ID18", "not one", "某甲某", ("某＊", HIDDEN));
    }

    #[test]
    fn an_entry_of_somebody_else_tells_neither_who_nor_why() {
        let me = v1::RelatedSubject {
            role: "legal_representative".to_owned(),
            id_type: "USCC".to_owned(),
            id: "91219999MAYG58BR3Q".to_owned(),
            ..v1::RelatedSubject::default()
        };
        let third = v1::RelatedSubject {
            id: invented::uscc(4),
            ..me.clone()
        };
        let mut entry = v1::Entry {
            entry_id: "E-1".to_owned(),
            id_type: "USCC".to_owned(),
            id: invented::uscc(3),
            name: "示例贸易有限公司".to_owned(),
            former_names: vec!["旧名".to_owned()],
            reason: "事由".to_owned(),
            related: vec![me.clone(), third],
            ..v1::Entry::default()
        };
        hide_listed(&mut entry, &own());
        assert_eq!(entry.name, "示例＊公司");
        assert!(entry.id.contains("****"), "{}", entry.id);
        assert!(entry.former_names.is_empty() && entry.reason.is_empty());
        assert_eq!(entry.related, [me]);
    }
}
