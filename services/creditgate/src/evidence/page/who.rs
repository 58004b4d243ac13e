//! Who was checked, and how much of that a page shows.

use creditgate_measures::book::table::words;
use creditgate_measures::vocabulary::{Role, SubjectKind};
use creditgate_proto::v1;

use super::super::html::Html;
use super::super::parts::Parts;
use super::flags;
use crate::screen::{line, mask};

/// A shorter number or name is a part of many texts, and hides nobody.
const NUMBER_CHARS_MIN: usize = 6;
const NAME_CHARS_MIN: usize = 2;

/// How people are shown.
pub struct Names<'a> {
    masked: bool,
    subjects: &'a [v1::Subject],
}

impl<'a> Names<'a> {
    /// As the package wants it.
    pub fn of(parts: &'a Parts) -> Self {
        Self {
            masked: parts.about.masked,
            subjects: &parts.event.subjects,
        }
    }

    /// A name.
    fn name(&self, subject: &v1::Subject) -> String {
        match self.masked {
            true => mask::person(subject),
            false => subject.name.clone(),
        }
    }

    /// A number.
    fn number(&self, subject: &v1::Subject) -> String {
        match self.masked {
            true => mask::number(subject),
            false => subject.id.clone(),
        }
    }

    /// A text of a sender's or a source's that should name nobody, and may.
    pub fn hide(&self, text: &str) -> String {
        if !self.masked {
            return text.to_owned();
        }
        let mut shown = mask::label(text);
        for subject in self.subjects {
            if subject.id.chars().count() >= NUMBER_CHARS_MIN {
                shown = shown.replace(&subject.id, &mask::number(subject));
            }
            if subject.name.chars().count() >= NAME_CHARS_MIN {
                shown = shown.replace(&subject.name, &mask::person(subject));
            }
        }
        shown
    }
}

/// The subjects, in the order of the event.
pub fn section(parts: &Parts, names: &Names<'_>) -> Html {
    let rows = parts
        .verdict
        .subjects
        .iter()
        .map(|subject| {
            let given = usize::try_from(subject.index)
                .ok()
                .and_then(|index| parts.event.subjects.get(index));
            row(subject, given, names)
        })
        .collect();
    let table = Html::table(
        &[
            ("序号", "no."),
            ("角色", "role"),
            ("主体", "subject"),
            ("参与方", "party"),
            ("身份", "identity"),
            ("结论", "outcome"),
        ],
        rows,
    );
    Html::section("核查对象", "Who was checked", table)
}

fn row(subject: &v1::SubjectVerdict, given: Option<&v1::Subject>, names: &Names<'_>) -> Vec<Html> {
    let kind = subject.kind.as_deref().unwrap_or_default();
    let who = match given {
        Some(given) => Html::lines([
            some(&names.name(given)),
            match given.id.is_empty() {
                true => Html::default(),
                false => Html::value(&given.id_type)
                    .and(Html::fixed(" "))
                    .and(Html::code(&names.number(given))),
            },
            kind_told(kind),
        ]),
        None => kind_told(kind),
    };
    vec![
        Html::value(&(u64::from(subject.index) + 1).to_string()),
        match Role::parse(&subject.role) {
            Some(role) => Html::both(words::role(role), role.code()),
            None => Html::value(&subject.role),
        },
        who,
        some(&names.hide(&subject.party)),
        Html::lines([identity(&subject.identity), flags(&subject.flags)]),
        Html::both(line::outcome(&subject.outcome), &subject.outcome),
    ]
}

fn some(text: &str) -> Html {
    match text.is_empty() {
        true => Html::default(),
        false => Html::value(text),
    }
}

fn kind_told(code: &str) -> Html {
    match SubjectKind::parse(code) {
        Some(kind) => Html::both(words::kind(kind), kind.code()),
        None => some(code),
    }
}

fn identity(code: &str) -> Html {
    match code {
        "verified" => Html::both("已核验", code),
        "unlinked" => Html::both("未关联", code),
        "unverified" => Html::both("未核验", code),
        other => Html::value(other),
    }
}
