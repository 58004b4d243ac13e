//! Other parties in a subject's report: shown so that those who know them can tell, and others cannot.

use creditgate_measures::identifier::Identifier;
use creditgate_proto::v1;
use creditgate_proto::who::Who;

/// Hides a related party, unless it is the subject itself.
pub(super) fn hide_related(other: &mut v1::RelatedSubject, own: &[Identifier]) {
    let who = Who::of_related(other);
    if is_own(&who, own) {
        return;
    }
    let (name, number) = (who.name(), who.number());
    (other.name, other.id) = (name, number);
}

/// Of an entry that lists somebody else: who that is, hidden, and not why. Of whom it names besides only the subject.
pub(super) fn hide_listed(entry: &mut v1::Entry, own: &[Identifier]) {
    let who = Who::of_entry(entry);
    let (name, number) = (who.name(), who.number());
    (entry.name, entry.id) = (name, number);
    entry.former_names.clear();
    entry.aliases.clear();
    entry.reason.clear();
    entry.basis.clear();
    entry
        .related
        .retain(|related| is_own(&Who::of_related(related), own));
}

fn is_own(who: &Who<'_>, own: &[Identifier]) -> bool {
    who.identifier()
        .is_some_and(|other| own.iter().any(|own| own.same_subject(other)))
}

#[cfg(test)]
mod tests {
    use creditgate_measures::identifier::{IdType, invented};

    use super::*;

    fn own() -> Vec<Identifier> {
        let own = Identifier::parse(IdType::Uscc, "91219999MAYG58BR3Q", None);
        vec![own.expect("a valid code")]
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
        check("ID18", "not one", "某甲某", ("某＊", "********"));
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
