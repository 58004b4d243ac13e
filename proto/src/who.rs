//! Who somebody is, as messages name them, shown so that those who know them can tell and others cannot.
//!
//! [`Who`] is the one way in which answers, tables and pages mask people. It never prints itself in clear.

use std::collections::BTreeSet;
use std::fmt;

use creditgate_measures::identifier::in_text::{Reading, readings};
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::name::mask_name;
use creditgate_measures::vocabulary::SubjectKind;

use crate::v1;

/// Stands for a number that is not a valid one: which of its characters could be shown is not known.
const NUMBER_HIDDEN: &str = "********";
/// Stands for a text that is not shown at all.
const TEXT_HIDDEN: &str = "＊＊＊";

/// Characters of an identifier: an old number of a person, or of a register.
const SHORTEST: usize = 15;
/// The same of a credit code, or of a person's number.
const LONGEST: usize = 18;

/// Somebody, by name and number.
pub struct Who<'a> {
    name: &'a str,
    id: &'a str,
    identifier: Option<Identifier>,
    kind: Option<SubjectKind>,
}

impl<'a> Who<'a> {
    fn new((id_type, id, issuer): (&str, &'a str, &str), name: &'a str, kind: &str) -> Self {
        let issuer = Some(issuer).filter(|issuer| !issuer.is_empty());
        let identifier =
            IdType::parse(id_type).and_then(|id_type| Identifier::parse(id_type, id, issuer).ok());
        Self {
            name,
            id,
            identifier,
            kind: SubjectKind::parse(kind),
        }
    }

    /// A subject of an event.
    #[must_use]
    pub fn of_subject(subject: &'a v1::Subject) -> Self {
        let id = (&*subject.id_type, &*subject.id, &*subject.issuer);
        Self::new(id, &subject.name, &subject.kind)
    }

    /// Whom an entry lists.
    #[must_use]
    pub fn of_entry(entry: &'a v1::Entry) -> Self {
        let id = (&*entry.id_type, &*entry.id, &*entry.issuer);
        Self::new(id, &entry.name, &entry.kind)
    }

    /// Somebody related to whom an entry lists.
    #[must_use]
    pub fn of_related(related: &'a v1::RelatedSubject) -> Self {
        let id = (&*related.id_type, &*related.id, &*related.issuer);
        Self::new(id, &related.name, "")
    }

    /// Whom a question names.
    #[must_use]
    pub fn of_query(query: &'a v1::SubjectQuery) -> Self {
        let id = (&*query.id_type, &*query.id, &*query.issuer);
        Self::new(id, &query.name, "")
    }

    /// Whom an identifier names.
    #[must_use]
    pub fn of_alias(alias: &'a v1::Alias) -> Self {
        Self::new((&*alias.id_type, &*alias.id, &*alias.issuer), "", "")
    }

    /// The identifier, where it is a valid one.
    #[must_use]
    pub const fn identifier(&self) -> Option<&Identifier> {
        self.identifier.as_ref()
    }

    /// The name: of a person the first character, of an organisation the first and the last two (see [`mask_name`]).
    #[must_use]
    pub fn name(&self) -> String {
        mask_name(self.name, !self.is_organisation())
    }

    /// The name: of an organisation as it is, of anybody else masked.
    #[must_use]
    pub fn person(&self) -> String {
        match self.is_organisation() {
            true => self.name.to_owned(),
            false => self.name(),
        }
    }

    /// The number, masked.
    #[must_use]
    pub fn number(&self) -> String {
        match &self.identifier {
            Some(identifier) => identifier.masked(),
            None if self.id.is_empty() => String::new(),
            None => NUMBER_HIDDEN.to_owned(),
        }
    }

    /// Whether it is known to be one. Whoever is not is hidden as a person is; an individual business often bears its
    /// owner's name.
    #[must_use]
    pub fn is_organisation(&self) -> bool {
        let by_number = self.identifier.as_ref().is_some_and(|id| {
            matches!(id.id_type(), IdType::Uscc | IdType::Org9 | IdType::Reg15)
                && !id.is_individual_business_code()
        });
        match self.kind {
            Some(SubjectKind::NaturalPerson | SubjectKind::IndividualBusiness) => false,
            Some(_) => self.identifier.is_none() || by_number,
            None => by_number,
        }
    }
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.number())
    }
}

impl fmt::Debug for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Who({self})")
    }
}

/// Hides a text that may say anything, such as a reason: what is there shows as ＊＊＊, what is not as nothing.
pub fn hide(text: &mut String) {
    if !text.is_empty() {
        TEXT_HIDDEN.clone_into(text);
    }
}

/// The text with whatever looks like an identifier hidden, in whatever form it is written and whether or not its check
/// digit holds, unless it is one of these. Names in it stay: nobody knows which words are names.
#[must_use]
pub fn hidden(text: &str, own: &[Identifier]) -> String {
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

/// Whether a text that is to be recorded, such as the number of a document, holds somebody's code or number, in whatever
/// form it is written.
#[must_use]
pub fn names_somebody(text: &str) -> bool {
    let mut readings = readings(text, LONGEST).into_iter();
    readings.any(|reading| is_one_of(&reading.normal, [IdType::Uscc, IdType::Id18]))
}

fn is_one_of(number: &str, types: [IdType; 2]) -> bool {
    let mut types = types.into_iter();
    types.any(|id_type| Identifier::parse(id_type, number, None).is_ok())
}

#[cfg(test)]
mod tests {
    use creditgate_measures::identifier::invented;

    use super::*;

    const FIRM: &str = "91219999MAYG58BR3Q";

    fn own() -> Vec<Identifier> {
        let own = Identifier::parse(IdType::Uscc, FIRM, None);
        vec![own.expect("a valid code")]
    }

    fn subject(name: &str, id_type: &str, id: &str, kind: &str) -> v1::Subject {
        v1::Subject {
            name: name.to_owned(),
            id_type: id_type.to_owned(),
            id: id.to_owned(),
            kind: kind.to_owned(),
            ..v1::Subject::default()
        }
    }

    #[test]
    fn a_person_shows_one_character_and_a_firm_its_two_ends() {
        let check = |of: v1::Subject, expected: &str| {
            assert_eq!(Who::of_subject(&of).to_string(), expected);
        };
        check(
            subject("示例建设有限公司", "USCC", FIRM, ""),
            "示例＊公司 91**************3Q",
        );
        check(
            subject("张三丰", "ID18", "459999199001010011", ""),
            "张＊ ********",
        );
        check(subject("张三丰", "", "", "natural_person"), "张＊ ");
        check(
            subject("张三丰小吃店", "USCC", FIRM, "individual_business"),
            "张＊ 91**************3Q",
        );
        // Nobody knows what it is: hidden as a person would be.
        check(subject("示例建设有限公司", "", "", ""), "示＊ ");
        // A person's number beside a kind that contradicts it.
        let person = invented::person(1);
        let of = subject("示例建设有限公司", "ID18", &person, "enterprise");
        assert_eq!(Who::of_subject(&of).name(), "示＊");
        assert!(!format!("{:?}", Who::of_subject(&of)).contains(&*person));
    }

    #[test]
    fn a_firm_may_bear_its_name_and_nobody_else_does() {
        let check = |of: v1::Subject, expected: &str| {
            assert_eq!(Who::of_subject(&of).person(), expected);
        };
        let name = "示例建设有限公司";
        check(subject(name, "USCC", FIRM, "enterprise"), name);
        check(
            subject("张三丰小吃店", "USCC", FIRM, "individual_business"),
            "张＊",
        );
        check(subject("张三丰", "", "", ""), "张＊");
    }

    #[test]
    fn a_text_that_may_say_anything_is_hidden_whole() {
        let check = |text: &str, expected: &str| {
            let mut text = text.to_owned();
            hide(&mut text);
            assert_eq!(text, expected);
        };
        check("拖欠某甲工资", "＊＊＊");
        check("", "");
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
        check("与某甲219999-900307-123同住", "与某甲21****-******-*23同住");
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
    fn a_text_that_is_to_be_recorded_and_names_somebody_is_told() {
        let person = invented::person(1);
        let (area, rest) = person.split_at(6);
        let (born, rest) = rest.split_at(8);
        let wide = |c: char| char::from_u32(u32::from(c) + 0xFEE0).expect("its full-width form");
        for text in [
            FIRM,
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
}
