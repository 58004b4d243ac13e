//! What a caller may know of what it is told: the lists it sees, whom it sees in full, and what a purpose may know of a
//! verdict.
//!
//! A view takes explanation away, never the answer: outcome, effect, review and what is proposed are always those that were
//! decided, and so are id and digest. What was not checked is always named: it must not look like "not listed".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use creditgate_measures::vocabulary::{Effect, SubjectKind};
use creditgate_proto::v1;
use serde::Deserialize;

/// Years after which what is held against a subject is not given out any more (上海条例 art. 35).
pub const AGE_YEARS: u32 = 5;

/// The view of whoever no other one is for, and how a policy writes it.
pub(super) const EVERY_PURPOSE: &str = "*";
/// The name of the view that holds where a policy names none.
const STANDARD: &str = "standard";
/// The name of the view of whoever sees whole verdicts, but not of every list.
const LISTS: &str = "lists";

/// What begins the reason that an incentive is withheld because of an entry, with the code of the list behind it.
const EXCLUDED_BY: &str = "excluded_by:";
/// What begins the path of a subject that was found as a relation of whoever is listed.
const RELATED: &str = "related:";

/// Codes of lists.
pub type Lists = Arc<BTreeSet<Arc<str>>>;

/// Of whom a verdict tells for what they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reasons {
    /// Of nobody.
    None,
    /// Of organisations: not of natural persons, individual businesses, and those of whom it is not known what they are.
    Organisations,
    /// Of everybody.
    All,
}

/// How much a verdict tells of an entry that a measure rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entries {
    /// Nothing.
    None,
    /// Its list and the number of its document.
    Number,
    /// Its id, too.
    Full,
}

/// What a purpose may know of a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name: the purpose, or that of the view that holds for others.
    pub name: Arc<str>,
    /// Of whom it tells for what they are listed.
    pub reasons: Reasons,
    /// How much it tells of an entry.
    pub entries: Entries,
    /// The strongest measures it tells; none: any.
    pub measures_up_to: Option<Effect>,
    /// Lists whose entries it tells; none: any.
    pub lists: Option<Lists>,
}

/// What somebody is to the verdicts and entries that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It asks, or looks after lists and books: it is told what a purpose may know, for so many years after the act.
    Asks { age_years: u32 },
    /// It decides about them, or looks into what was decided: it sees the whole.
    Decides,
}

/// What a policy says of purposes; the default is what holds where it says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Views(BTreeMap<Arc<str>, View>);

/// What one caller may know.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Lists whose entries it sees; none: every list.
    pub lists: Option<Lists>,
    /// Whether it sees identifiers, names of persons and reasons in full, in a call that says why.
    pub unmasked: bool,
    /// How long after an act it is told; none: it decides about entries, or looks into what was decided, and sees all.
    pub age_years: Option<u32>,
    /// By purpose.
    views: BTreeMap<Arc<str>, Arc<View>>,
    /// For any other purpose and for none; none: the whole verdict.
    other: Option<Arc<View>>,
}

/// What the caller of one call sees of entries and subjects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sees {
    /// As [`Sight::lists`].
    pub lists: Option<Lists>,
    /// Identifiers, names of persons and reasons are masked.
    pub masked: bool,
    /// As [`Sight::age_years`].
    pub age_years: Option<u32>,
}

impl View {
    /// The view that holds where a policy names none: of natural persons nobody learns for what they are listed but those
    /// who decide about it and those who look into it.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            name: STANDARD.into(),
            reasons: Reasons::Organisations,
            entries: Entries::Full,
            measures_up_to: None,
            lists: None,
        }
    }

    /// Leaves out of a verdict what the view does not show, and writes its name there.
    pub fn show(&self, verdict: &mut v1::Verdict) {
        for subject in &mut verdict.subjects {
            let is_told = self.tells_of(subject.kind.as_deref());
            if let Some(most) = self.measures_up_to {
                let within = |effect: &str| Effect::parse(effect).is_some_and(|it| it <= most);
                subject.triggered.retain(|one| within(&one.effect));
            }
            for one in &mut subject.triggered {
                self.show_entry(&mut one.entry, is_told);
            }
            for one in subject.offered.iter_mut().chain(&mut subject.withheld) {
                self.show_entry(&mut one.entry, is_told);
                for why in &mut one.why {
                    self.show_why(why, is_told);
                }
            }
        }
        verdict.view = Some(self.name.to_string());
    }

    /// What it shows, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let entries = match (self.entries, self.reasons) {
            (Entries::None, _) | (_, Reasons::None) => "no entries".to_owned(),
            (entries, reasons) => {
                let whose = match reasons {
                    Reasons::All => "everybody",
                    Reasons::None | Reasons::Organisations => "organisations",
                };
                let how = match entries {
                    Entries::Number => " by list and document number",
                    Entries::None | Entries::Full => "",
                };
                format!("entries of {whose}{how}")
            }
        };
        match self.measures_up_to {
            None => format!("{entries}, every measure"),
            Some(most) => format!("{entries}, measures up to {most}"),
        }
    }

    /// Whether it tells of a subject of this kind for what it is listed.
    fn tells_of(&self, kind: Option<&str>) -> bool {
        match self.reasons {
            Reasons::None => false,
            Reasons::Organisations => kind.and_then(SubjectKind::parse).is_some_and(|kind| {
                !matches!(
                    kind,
                    SubjectKind::NaturalPerson | SubjectKind::IndividualBusiness
                )
            }),
            Reasons::All => true,
        }
    }

    fn tells(&self, list: &str, is_told: bool) -> bool {
        is_told && self.entries != Entries::None && sees_list(self.lists.as_ref(), list)
    }

    fn show_entry(&self, entry: &mut Option<v1::EntryHit>, is_told: bool) {
        let shown = entry.take().filter(|hit| {
            // Whoever is listed there is somebody else, and nobody knows what.
            let of_another = hit.path.starts_with(RELATED) && self.reasons != Reasons::All;
            !of_another && self.tells(&hit.list, is_told)
        });
        *entry = shown.map(|hit| match self.entries {
            Entries::Number => v1::EntryHit {
                entry_id: String::new(),
                ..hit
            },
            Entries::None | Entries::Full => hit,
        });
    }

    /// That something is withheld because of an entry stays; on which list that is, goes as the entry would.
    fn show_why(&self, why: &mut String, is_told: bool) {
        let is_hidden = why
            .strip_prefix(EXCLUDED_BY)
            .is_some_and(|list| !self.tells(list, is_told));
        if is_hidden {
            why.truncate(EXCLUDED_BY.len() - 1);
        }
    }
}

impl Views {
    /// The view of a purpose, or of every other one.
    pub fn insert(&mut self, purpose: &str, view: View) {
        self.0.insert(purpose.into(), view);
    }

    /// What a caller may know who sees these lists.
    pub fn sight(&self, lists: Option<Lists>, unmasked: bool, standing: Standing) -> Sight {
        let Standing::Asks { age_years } = standing else {
            let of_lists = lists.as_ref().map(|lists| {
                Arc::new(View {
                    name: LISTS.into(),
                    reasons: Reasons::All,
                    lists: Some(Arc::clone(lists)),
                    ..View::standard()
                })
            });
            return Sight {
                lists,
                unmasked,
                age_years: None,
                views: BTreeMap::new(),
                other: of_lists,
            };
        };
        let of_caller = |view: &View| {
            Arc::new(View {
                lists: lists.clone(),
                ..view.clone()
            })
        };
        let named = self.0.iter();
        let named = named.filter(|(purpose, _)| &***purpose != EVERY_PURPOSE);
        let other = self.0.get(EVERY_PURPOSE).cloned();
        Sight {
            unmasked,
            age_years: Some(age_years),
            views: named
                .map(|(purpose, view)| (Arc::clone(purpose), of_caller(view)))
                .collect(),
            other: Some(of_caller(&other.unwrap_or_else(View::standard))),
            lists,
        }
    }
}

impl Sight {
    /// Of whom the policy does not name: as little as can be. It is told nothing anyhow.
    pub(super) fn nothing() -> Self {
        let asks = Standing::Asks {
            age_years: AGE_YEARS,
        };
        Views::default().sight(Some(Lists::default()), false, asks)
    }

    /// The view through which it sees the verdict on an event with this purpose; none: it sees the whole.
    #[must_use]
    pub fn view(&self, purpose: Option<&str>) -> Option<&Arc<View>> {
        let named = purpose.and_then(|purpose| self.views.get(purpose));
        named.or(self.other.as_ref())
    }

    /// What it sees of entries in a call; in full only when the call says why.
    #[must_use]
    pub fn sees(&self, says_why: bool) -> Sees {
        Sees {
            lists: self.lists.clone(),
            masked: !(self.unmasked && says_why),
            age_years: self.age_years,
        }
    }

    /// What it sees of entries, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let lists = match &self.lists {
            None => "of every list".to_owned(),
            Some(lists) => {
                let codes: Vec<&str> = lists.iter().map(AsRef::as_ref).collect();
                format!("of {}", codes.join(", "))
            }
        };
        let age = match self.age_years {
            None => ", however old".to_owned(),
            Some(years) => format!(", up to {years} years after the act"),
        };
        let masked = match self.unmasked {
            true => ", in full when it says why",
            false => ", masked",
        };
        format!("{lists}{age}{masked}")
    }
}

impl Sees {
    /// Whether it sees entries of this list.
    #[must_use]
    pub fn list(&self, code: &str) -> bool {
        sees_list(self.lists.as_ref(), code)
    }

    /// Whether it sees all there is, and in full.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

fn sees_list(lists: Option<&Lists>, code: &str) -> bool {
    lists.is_none_or(|lists| lists.contains(code))
}

#[cfg(test)]
mod tests;
