//! How a subject may object to an entry or be repaired, and what is under way about it.

use creditgate_measures::book::{Book, RepairRule, Text};
use creditgate_measures::clocks::notice::day_zh;
use creditgate_measures::clocks::{ClockKind, clocks};
use creditgate_measures::entry::Entry;
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::{Colour, State};
use creditgate_proto::v1;

use super::limits::{Course, running};
use super::shown;
use super::table::Kind;
use crate::desk::{Desk, Procedure};

/// What a subject that comes now is told.
pub(crate) struct Now<'a> {
    /// What is under way.
    pub desk: &'a Desk,
    /// The book in force.
    pub book: &'a Book,
    /// The time.
    pub now: Time,
}

impl Now<'_> {
    /// Objection to an entry, and its repair; an honour is not repaired. Whether it is possible is told by the rules by
    /// which a procedure is opened (`open`).
    pub(crate) fn remedies(&self, entry: &Entry) -> Vec<v1::Remedy> {
        let list = self.book.list(entry.list.as_str());
        let honour = list.is_some_and(|list| list.colour == Colour::Red);
        let mut remedies = vec![self.remedy(Kind::Objection, entry)];
        if !honour {
            remedies.push(v1::Remedy {
                rules: self.rules(entry),
                ..self.remedy(Kind::Repair, entry)
            });
        }
        remedies
    }

    fn remedy(&self, kind: Kind, entry: &Entry) -> v1::Remedy {
        let (becomes, ended) = match kind {
            Kind::Repair => (State::Repaired, "该记录当前状态不适用信用修复"),
            _ => (State::Revoked, "该记录已经终止"),
        };
        let dues = clocks(entry, self.book);
        let mut from = dues.iter().filter(|_| kind == Kind::Repair);
        let from = from.find(|due| due.kind == ClockKind::RepairFrom);
        let procedures = &self.desk.procedures;
        let open = procedures.open_of(entry.entry_id.as_str(), kind);
        let why_not = match (open, from) {
            (Some(open), _) => format!("同类事项正在办理：{}", open.id),
            _ if !entry.last_state().may_become(becomes) => ended.to_owned(),
            (None, Some(from)) if self.now < from.at => {
                format!("{}起可以申请", day_zh(from.day))
            }
            (None, _) => String::new(),
        };
        let list = self.book.list(entry.list.as_str());
        let of_list = list.map_or("", |list| &*list.authority);
        v1::Remedy {
            kind: kind.code().to_owned(),
            title: kind.title_zh().to_owned(),
            possible: why_not.is_empty(),
            why_not,
            from: from.map_or_else(String::new, |due| due.day.to_string()),
            authority: entry.designated_by.as_deref().unwrap_or(of_list).to_owned(),
            rules: Vec::new(),
            limits: running(
                &Course {
                    kind,
                    list: entry.list.as_str(),
                    rule_version: entry.rule_version.as_deref(),
                    until: None,
                    held_on: None,
                    steps: &[(kind.opening(), self.now.date())],
                },
                self.book,
            ),
        }
    }

    /// The rules by which entries of the list are repaired, and the general one.
    fn rules(&self, entry: &Entry) -> Vec<String> {
        let list = self.book.list(entry.list.as_str());
        let of_list = list.into_iter().flat_map(|list| &list.repair);
        let of_list = of_list.filter_map(|(version, special)| {
            let rule = self.book.rule(version)?;
            Some((rule, special.as_ref()))
        });
        let general = self.book.general_rule(self.now.date());
        let mut told: Vec<String> = Vec::new();
        for (rule, special) in of_list.chain(general.map(|rule| (rule, None))) {
            let text = in_words(rule, special);
            // The general rule may be that of the list, told with what is special to it.
            if !told.iter().any(|known| known.starts_with(&text)) {
                told.push(text);
            }
        }
        told
    }

    /// Procedures about these entries, and about the subject itself, the oldest first.
    pub(crate) fn procedures(
        &self,
        entries: &[String],
        identifiers: &[Identifier],
    ) -> Vec<v1::Procedure> {
        let procedures = &self.desk.procedures;
        let is_own = |one: &Procedure| {
            let subject = one.entry_id.is_empty().then(|| one.subject()).flatten();
            let identifier = subject.and_then(|subject| identifier_of(&subject));
            identifier.is_some_and(|other| identifiers.iter().any(|own| own.same_subject(&other)))
        };
        let about_itself = procedures.after("").filter(|one| is_own(one));
        let about_entries = entries.iter().flat_map(|id| procedures.of_entry(id));
        let mut all: Vec<&Procedure> = about_entries.chain(about_itself).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all.into_iter().map(shown::procedure).collect()
    }
}

fn identifier_of(subject: &v1::SubjectQuery) -> Option<Identifier> {
    let issuer = (!subject.issuer.is_empty()).then_some(subject.issuer.as_str());
    let id_type = IdType::parse(&subject.id_type)?;
    Identifier::parse(id_type, &subject.id, issuer).ok()
}

/// A rule with where it stands, and what is special to the list.
fn in_words(rule: &RepairRule, special: Option<&Text>) -> String {
    let number = rule.basis.document_no.as_deref();
    let number = number.map_or_else(String::new, |number| format!("（{number}）"));
    let special = special.map_or_else(String::new, |text| format!("：{}", text.zh));
    format!("《{}》{number}{special}", rule.basis.law)
}
