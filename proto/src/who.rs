//! Who somebody is, as messages name them, shown so that those who know them can tell and others cannot.
//!
//! [`Who`] is the one way in which answers, tables and pages mask people. It never prints itself in clear.

use std::fmt;

use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::name::mask_name;
use creditgate_measures::vocabulary::SubjectKind;

use crate::v1;

/// Stands for a number that is not a valid one: which of its characters could be shown is not known.
const NUMBER_HIDDEN: &str = "********";
/// Stands for a text that is not shown at all.
const TEXT_HIDDEN: &str = "＊＊＊";

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

/// The text with whatever looks like an identifier hidden, whether or not its check digit holds, unless it is one of
/// these. Names in it stay: nobody knows which words are names.
#[must_use]
pub fn hidden(text: &str, own: &[Identifier]) -> String {
    const SHORTEST: usize = 15;
    /// A credit code has so many at least: its division.
    const DIGITS: usize = 8;
    const SHOWN: usize = 2;
    let is_own = |run: &str| own.iter().any(|own| own.reveal().eq_ignore_ascii_case(run));
    let mut out = String::with_capacity(text.len());
    for (run, is_word) in runs(text) {
        let length = run.chars().count();
        let digits = run.chars().filter(char::is_ascii_digit).count();
        if !is_word || length < SHORTEST || digits < DIGITS || is_own(run) {
            out.push_str(run);
            continue;
        }
        out.extend(run.chars().enumerate().map(|(at, c)| {
            let shown = at < SHOWN || at + SHOWN >= length;
            if shown { c } else { '*' }
        }));
    }
    out
}

/// Whether a text that is to be recorded, such as the number of a document, holds somebody's code or number.
#[must_use]
pub fn names_somebody(text: &str) -> bool {
    let mut words = runs(text).into_iter().filter(|(_, is_word)| *is_word);
    words.any(|(run, _)| {
        let mut types = [IdType::Uscc, IdType::Id18].into_iter();
        types.any(|id_type| Identifier::parse(id_type, run, None).is_ok())
    })
}

/// The text cut into runs of letters and digits, and what stands between them.
fn runs(text: &str) -> Vec<(&str, bool)> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let of_first = is_word(first);
        let end = rest
            .find(|c: char| is_word(c) != of_first)
            .unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        runs.push((run, of_first));
        rest = behind;
    }
    runs
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
    fn a_text_that_is_to_be_recorded_and_names_somebody_is_told() {
        let person = invented::person(1);
        for text in [FIRM, &*person, &format!("申请{person}号")] {
            assert!(names_somebody(text), "{text}");
        }
        for text in ["", "示例窗〔2026〕1号", "320500202606100000123"] {
            assert!(!names_somebody(text), "{text}");
        }
    }
}
