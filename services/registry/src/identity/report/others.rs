//! Other parties in a subject's report: shown so that those who know them can tell, and others cannot.

use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::name::mask_name;
use creditgate_proto::v1;

/// Stands for a number that is not a valid one: which of its characters could be shown is not known.
const HIDDEN: &str = "********";

/// The text with whatever looks like an identifier hidden, whether or not its check digit holds, unless it is one of
/// these. Names in it stay: nobody knows which words are names.
pub(super) fn hidden(text: &str, own: &[Identifier]) -> String {
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

/// Whether a text that is to name a document holds somebody's code or number.
pub(super) fn names_somebody(text: &str) -> bool {
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
    fn a_document_number_that_is_somebodys_is_told() {
        let person = invented::person(1);
        for text in ["91219999MAYG58BR3Q", &*person, &format!("申请{person}号")] {
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
