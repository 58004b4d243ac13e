//! Who a row is about, shown so that those who know the list can tell and others cannot.

use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_proto::v1;
use creditgate_proto::who::Who;

/// The name: of a person the first character, of an organisation the first and the last two. The length is not shown.
pub fn name(subject: &v1::Subject) -> String {
    with_stars(&Who::of_subject(subject).name())
}

/// The name: of an organisation as it is, of anybody else masked.
pub fn person(subject: &v1::Subject) -> String {
    let who = Who::of_subject(subject);
    match who.is_organisation() {
        true => who.person(),
        false => with_stars(&who.name()),
    }
}

/// The number.
pub fn number(subject: &v1::Subject) -> String {
    Who::of_subject(subject).number()
}

/// As check tables write it: two stars for the rest of a person's name, four for the middle of a firm's.
fn with_stars(masked: &str) -> String {
    let stars = if masked.ends_with('＊') {
        "**"
    } else {
        "****"
    };
    masked.replacen('＊', stars, 1)
}

/// A text of the sender's that is no name of a subject; hidden where it is somebody's number all the same.
pub fn label(text: &str) -> String {
    let types = IdType::ALL
        .iter()
        .filter(|id_type| **id_type != IdType::Other);
    let mut numbers = types.filter_map(|id_type| Identifier::parse(*id_type, text, None).ok());
    numbers
        .next()
        .map_or_else(|| text.to_owned(), |id| id.masked())
}

#[cfg(test)]
mod tests {
    use creditgate_measures::identifier::invented;

    use super::*;

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
            assert_eq!(format!("{} {}", name(&of), number(&of)), expected);
        };
        let uscc = "91219999MAYG58BR3Q";
        check(
            subject("示例建设有限公司", "USCC", uscc, ""),
            "示例****公司 91**************3Q",
        );
        check(
            subject("张三丰", "ID18", "459999199001010011", ""),
            "张** ********",
        );
        check(subject("张三丰", "", "", "natural_person"), "张** ");
        check(
            subject("张三丰小吃店", "USCC", uscc, "individual_business"),
            "张** 91**************3Q",
        );
        check(
            subject("示例店", "USCC", uscc, "enterprise"),
            "示** 91**************3Q",
        );
        // Nobody knows what it is: hidden as a person would be.
        check(subject("示例建设有限公司", "", "", ""), "示** ");
        check(
            subject("示例建设有限公司", "", "", "enterprise"),
            "示例****公司 ",
        );
        // A person's number beside a kind that contradicts it.
        let person = invented::person(1);
        let of = subject("示例建设有限公司", "ID18", &person, "enterprise");
        assert_eq!(name(&of), "示**");
        let ends = |from: usize, to: usize| person.get(from..to).expect("digits").to_owned();
        assert_eq!(
            number(&of),
            format!("{}{}{}", ends(0, 2), "*".repeat(14), ends(16, 18))
        );
        check(subject("", "USCC", uscc, ""), " 91**************3Q");
    }

    #[test]
    fn a_firm_bears_its_name_and_nobody_else_does() {
        let check = |of: v1::Subject, expected: &str| assert_eq!(person(&of), expected);
        let uscc = "91219999MAYG58BR3Q";
        check(
            subject("示例建设有限公司", "USCC", uscc, "enterprise"),
            "示例建设有限公司",
        );
        check(
            subject("张三丰小吃店", "USCC", uscc, "individual_business"),
            "张**",
        );
        check(subject("张三丰", "", "", ""), "张**");
    }

    #[test]
    fn a_number_in_the_place_of_a_label_is_hidden() {
        assert_eq!(label("17"), "17");
        assert_eq!(label("91219999MAYG58BR3Q"), "91**************3Q");
    }
}
