//! An event: one step of a business procedure, with its subjects (spec 1, 2).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::identifier::{IdType, Identifier, Invalid};
use crate::time::Time;
use crate::vocabulary::{Role, SubjectKind};

/// Declares a text that is one kind of name and cannot be passed as another.
macro_rules! code_type {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text as it is.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    )+};
}

code_type! {
    /// The business system that sent the event.
    Source;
    /// The event's id, unique within its source.
    EventId;
    /// The business number (办件号).
    CaseId;
    /// Code of a scenario, such as `tender`.
    ScenarioCode;
    /// Code of a stage, such as `evaluate`.
    StageCode;
    /// Code of a list, such as `B07`.
    ListCode;
    /// Id of a measure row, such as `M07`.
    MeasureId;
    /// Id of an entry, unique within the registry.
    EntryId;
    /// Name of a party, such as one bid.
    PartyId;
}

/// A text about a person or firm that prints masked; showing it is a deliberate call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sensitive(Arc<str>);

impl Sensitive {
    /// Wraps the text as it came.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("＊＊＊")
    }
}

/// A region code of GB/T 2260 (行政区划代码), six digits; `100000` is the whole country.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Region(u32);

impl Region {
    /// The whole country.
    pub const NATION: Self = Self(100_000);

    /// Reads six digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().filter(|n| *n >= 100_000).map(Self)
    }

    /// Whether the other region is this one or lies inside it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        if self.0 == Self::NATION.0 {
            true
        } else if self.0.is_multiple_of(10_000) {
            other.0 / 10_000 == self.0 / 10_000
        } else if self.0.is_multiple_of(100) {
            other.0 / 100 == self.0 / 100
        } else {
            other.0 == self.0
        }
    }

    /// The digits with which it and every region inside it begin, and no other; none for the whole country.
    #[must_use]
    pub fn prefix(self) -> String {
        let mut digits = self.to_string();
        digits.truncate(match self.0 {
            nation if nation == Self::NATION.0 => 0,
            province if province.is_multiple_of(10_000) => 2,
            city if city.is_multiple_of(100) => 4,
            _ => 6,
        });
        digits
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text, or a day as `YYYY-MM-DD`.
    Text(Arc<str>),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Several texts.
    List(Vec<Arc<str>>),
}

/// One step of a business procedure.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The business system that sent it.
    pub source: Source,
    /// Its id within the source.
    pub id: EventId,
    /// The business number.
    pub case_id: CaseId,
    /// The scenario.
    pub scenario: ScenarioCode,
    /// The stage.
    pub stage: StageCode,
    /// When the step took place.
    pub occurred_at: Time,
    /// The time above is the service's own, since the sender gave none (spec 7).
    pub clock_filled: bool,
    /// Where it takes place.
    pub region: Region,
    /// Matter code (事项编码).
    pub item_code: Option<Arc<str>>,
    /// Amount in fen.
    pub amount_fen: Option<i64>,
    /// Why the caller asks.
    pub purpose: Option<Arc<str>>,
    /// Who takes part, in the order given.
    pub subjects: Vec<Subject>,
    /// The attributes that the scenario declares.
    pub attributes: BTreeMap<Arc<str>, AttributeValue>,
}

impl Event {
    /// The text of an attribute, when it is one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(AttributeValue::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// A participant of an event in a role.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The party it belongs to, as the sender says.
    pub party: Option<PartyId>,
    /// Its role.
    pub role: Role,
    /// Its kind, as the sender says.
    pub kind: Option<SubjectKind>,
    /// The identifier as it came, with its type and issuer.
    pub given: Option<GivenIdentifier>,
    /// What the identifier turned out to be.
    pub identifier: SubjectIdentifier,
    /// Its name as it came.
    pub name: Option<Sensitive>,
}

/// An identifier as the sender wrote it; the raw value is kept (spec 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenIdentifier {
    /// Type.
    pub id_type: IdType,
    /// Raw value.
    pub value: Sensitive,
    /// Issuer, for `OTHER`.
    pub issuer: Option<Arc<str>>,
}

/// What became of the identifier: absent, not valid and why, or valid.
#[derive(Debug, Clone, PartialEq)]
pub enum SubjectIdentifier {
    /// None was given.
    Absent,
    /// It is not a valid identifier.
    Invalid(Invalid),
    /// It is valid in form.
    Valid(Identifier),
}

impl Subject {
    /// A subject whose identifier is normalised and validated (spec 2).
    #[must_use]
    pub fn new(
        party: Option<PartyId>,
        role: Role,
        kind: Option<SubjectKind>,
        given: Option<GivenIdentifier>,
        name: Option<Sensitive>,
    ) -> Self {
        let identifier = match &given {
            None => SubjectIdentifier::Absent,
            Some(given) => {
                match Identifier::parse(
                    given.id_type,
                    given.value.reveal(),
                    given.issuer.as_deref(),
                ) {
                    Ok(identifier) => SubjectIdentifier::Valid(identifier),
                    Err(why) => SubjectIdentifier::Invalid(why),
                }
            }
        };
        Self {
            party,
            role,
            kind,
            given,
            identifier,
            name,
        }
    }

    /// The identifier, when it is valid and its birth date is not after `at`.
    #[must_use]
    pub fn valid_identifier(&self, at: Time) -> Option<&Identifier> {
        match &self.identifier {
            SubjectIdentifier::Valid(identifier) if !identifier.born_after(at) => Some(identifier),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_holds_what_lies_inside_it() {
        let region = |text| Region::parse(text).expect("six digits");
        let check = |outer, inner, expected| {
            assert_eq!(
                region(outer).contains(region(inner)),
                expected,
                "{outer} {inner}"
            );
        };
        check("100000", "320505", true);
        check("320000", "320505", true);
        check("320500", "320505", true);
        check("320505", "320505", true);
        check("320505", "320500", false);
        check("320500", "320600", false);
        check("310000", "320500", false);
        assert_eq!(Region::parse("3205"), None);
        assert_eq!(Region::parse("32050a"), None);
        assert_eq!(Region::parse("032050"), None);
    }
}
