//! Identifiers of subjects: normalised, checked and comparable (spec section 2, rules 1, 2 and 5).
//!
//! An [`Identifier`] is the proof that its text was valid; nothing else makes one. Parsing knows no
//! clock and no issuing register: it proves form only. A valid check digit is no proof that the
//! number was ever issued, and the county is not looked up.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

use crate::time::{Date, Time};

mod checks;
pub mod in_text;
pub mod invented;
mod key;

pub use key::{Key, KeyKind};

/// The longest `OTHER` identifier and the longest issuer, in characters.
pub const OTHER_CHARS_MAX: usize = 64;

/// Longer input is refused unread, in bytes: no padding makes an identifier this long.
const RAW_BYTES_MAX: usize = 1_024;

/// What kind of number an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdType {
    /// 统一社会信用代码, GB 32100-2015, 18 characters: organisations and individual businesses.
    #[serde(rename = "USCC")]
    Uscc,
    /// 公民身份号码, GB 11643-1999, 18 characters: natural persons.
    #[serde(rename = "ID18")]
    Id18,
    /// 组织机构代码, GB 11714-1997, 9 characters: organisations.
    #[serde(rename = "ORG9")]
    Org9,
    /// 工商注册号, GS 15-2006, 15 digits: enterprises and individual businesses.
    #[serde(rename = "REG15")]
    Reg15,
    /// The old citizen number, 15 digits without a check digit; becomes an `ID18`.
    #[serde(rename = "ID15")]
    Id15,
    /// Any other number, meaningful only together with its issuer.
    #[serde(rename = "OTHER")]
    Other,
}

impl IdType {
    /// Every type, in the order of the specification.
    pub const ALL: [IdType; 6] = [
        IdType::Uscc,
        IdType::Id18,
        IdType::Org9,
        IdType::Reg15,
        IdType::Id15,
        IdType::Other,
    ];

    /// The type's name in events, lists and verdicts.
    pub const fn code(self) -> &'static str {
        match self {
            IdType::Uscc => "USCC",
            IdType::Id18 => "ID18",
            IdType::Org9 => "ORG9",
            IdType::Reg15 => "REG15",
            IdType::Id15 => "ID15",
            IdType::Other => "OTHER",
        }
    }

    /// The type of that name (exact upper-case), or `None`.
    pub fn parse(code: &str) -> Option<IdType> {
        IdType::ALL
            .into_iter()
            .find(|id_type| id_type.code() == code)
    }

    /// How many characters a normalised value has, where the type fixes it.
    const fn length(self) -> Option<usize> {
        match self {
            IdType::Uscc | IdType::Id18 => Some(18),
            IdType::Org9 => Some(9),
            IdType::Reg15 | IdType::Id15 => Some(15),
            IdType::Other => None,
        }
    }
}

impl fmt::Display for IdType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for IdType {
    type Err = UnknownIdType;

    fn from_str(code: &str) -> Result<IdType, UnknownIdType> {
        IdType::parse(code).ok_or(UnknownIdType)
    }
}

/// The text names no identifier type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("not an identifier type: expected USCC, ID18, ORG9, REG15, ID15 or OTHER")]
pub struct UnknownIdType;

/// Why a text is no valid identifier of its type. Never holds the text.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Invalid {
    /// Nothing is left after normalising.
    #[error("empty")]
    Empty,
    /// Too short or too long for its type.
    #[error("wrong length")]
    Length,
    /// A character that its type does not have at that place.
    #[error("illegal character")]
    IllegalCharacter,
    /// The check character does not fit the others.
    #[error("wrong check digit")]
    CheckDigit,
    /// The birth date does not exist or is before 1800.
    #[error("impossible birth date")]
    Date,
    /// The birth date is after the moment asked about; found by [`Identifier::valid_at`] only.
    #[error("birth date in the future")]
    FutureBirth,
    /// No province has these first two digits.
    #[error("unknown province")]
    Province,
    /// All zeros, or one character repeated.
    #[error("placeholder")]
    Placeholder,
    /// Part of it is hidden.
    #[error("masked value")]
    Masked,
    /// An `OTHER` identifier without its issuer.
    #[error("missing issuer")]
    MissingIssuer,
    /// The issuer of an `OTHER` identifier is too long or has control characters.
    #[error("invalid issuer")]
    Issuer,
}

impl Invalid {
    /// A name for records and counters, in snake case; the same as the serialised form.
    pub const fn code(self) -> &'static str {
        match self {
            Invalid::Empty => "empty",
            Invalid::Length => "length",
            Invalid::IllegalCharacter => "illegal_character",
            Invalid::CheckDigit => "check_digit",
            Invalid::Date => "date",
            Invalid::FutureBirth => "future_birth",
            Invalid::Province => "province",
            Invalid::Placeholder => "placeholder",
            Invalid::Masked => "masked",
            Invalid::MissingIssuer => "missing_issuer",
            Invalid::Issuer => "issuer",
        }
    }
}

/// A valid identifier in normal form. Prints masked, [`Identifier::reveal`] shows it.
///
/// INVARIANT (valid identifier): the value is in normal form and keeps every rule of its type that
/// needs no clock; an `ID15` is held as its `ID18`.
///
/// `==` compares all of it, the type given by the caller included; whether two identifiers
/// designate one subject is asked of [`Identifier::same_subject`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    given_type: IdType,
    inner_org_code_holds: bool,
    value: Value,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Value {
    /// The types of fixed length, in ASCII.
    Fixed(Fixed),
    Other {
        issuer: Arc<str>,
        value: Arc<str>,
    },
}

/// Up to 18 ASCII characters in place; unused bytes are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Fixed {
    bytes: [u8; 18],
    length: u8,
}

impl Fixed {
    const EMPTY: Fixed = Fixed {
        bytes: [0; 18],
        length: 0,
    };

    /// Appends one byte; `false` when it is full.
    fn push(&mut self, byte: u8) -> bool {
        match self.bytes.get_mut(usize::from(self.length)) {
            Some(place) => {
                *place = byte;
                self.length += 1;
                true
            }
            None => false,
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

impl Identifier {
    /// Normalises and checks `raw` as an identifier of type `id_type`.
    ///
    /// Normalising: NFKC, white space (also U+3000) trimmed, hyphens and dashes removed, upper-case.
    /// `issuer` is needed for [`IdType::Other`] and not looked at for the others. A birth date in
    /// the future passes here, because that needs a clock: ask [`Identifier::valid_at`].
    pub fn parse(id_type: IdType, raw: &str, issuer: Option<&str>) -> Result<Identifier, Invalid> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(Invalid::Length);
        }
        let Some(length) = id_type.length() else {
            return Identifier::parse_other(raw, issuer);
        };
        let given = normalise_fixed(raw, length)?;
        if is_placeholder(given.bytes()) {
            return Err(Invalid::Placeholder);
        }
        let mut inner_org_code_holds = true;
        let value = match id_type {
            IdType::Uscc => {
                inner_org_code_holds = checks::uscc(given.bytes())?;
                given
            }
            IdType::Id18 => {
                checks::id18(given.bytes())?;
                given
            }
            IdType::Org9 => {
                checks::org9(given.bytes())?;
                given
            }
            IdType::Reg15 => {
                checks::reg15(given.bytes())?;
                given
            }
            IdType::Id15 => {
                let bytes = checks::id18_of_id15(given.bytes())?;
                checks::id18(&bytes)?;
                Fixed { bytes, length: 18 }
            }
            IdType::Other => return Err(Invalid::Length),
        };
        Ok(Identifier {
            given_type: id_type,
            inner_org_code_holds,
            value: Value::Fixed(value),
        })
    }

    fn parse_other(raw: &str, issuer: Option<&str>) -> Result<Identifier, Invalid> {
        let value = normalise_other(raw, Hyphens::Removed);
        if value.is_empty() {
            return Err(Invalid::Empty);
        }
        if value.chars().any(is_mask) {
            return Err(Invalid::Masked);
        }
        if value.chars().count() > OTHER_CHARS_MAX {
            return Err(Invalid::Length);
        }
        if value.chars().any(char::is_control) {
            return Err(Invalid::IllegalCharacter);
        }
        if value.bytes().all(|byte| byte.is_ascii_digit()) && is_placeholder(value.as_bytes()) {
            return Err(Invalid::Placeholder);
        }
        let issuer = issuer.ok_or(Invalid::MissingIssuer)?;
        if issuer.len() > RAW_BYTES_MAX {
            return Err(Invalid::Issuer);
        }
        let issuer = normalise_other(issuer, Hyphens::Kept);
        if issuer.is_empty() {
            return Err(Invalid::MissingIssuer);
        }
        if issuer.chars().count() > OTHER_CHARS_MAX || issuer.chars().any(char::is_control) {
            return Err(Invalid::Issuer);
        }
        Ok(Identifier {
            given_type: IdType::Other,
            inner_org_code_holds: true,
            value: Value::Other {
                issuer: Arc::from(issuer),
                value: Arc::from(value),
            },
        })
    }

    /// The type of the value held: an `ID15` is held as [`IdType::Id18`].
    pub fn id_type(&self) -> IdType {
        match self.given_type {
            IdType::Id15 => IdType::Id18,
            held => held,
        }
    }

    /// The type it was given as.
    pub fn given_type(&self) -> IdType {
        self.given_type
    }

    /// The normalised value in clear, to compare it or to show it to someone entitled to see it.
    pub fn reveal(&self) -> &str {
        match &self.value {
            Value::Fixed(fixed) => fixed.as_str(),
            Value::Other { value, .. } => value,
        }
    }

    /// The issuer in normal form; `Some` exactly for [`IdType::Other`].
    pub fn issuer(&self) -> Option<&str> {
        match &self.value {
            Value::Fixed(_) => None,
            Value::Other { issuer, .. } => Some(issuer),
        }
    }

    /// Whether positions 9 to 17 of a USCC are themselves a valid organisation code; true for every
    /// other type. False is the flag `inner_org_code`: the USCC is valid, but has no `ORG9` alias.
    pub fn inner_org_code_holds(&self) -> bool {
        self.inner_org_code_holds
    }

    /// The `ORG9` that the same organisation has: positions 9 to 17 of a USCC whose inner code holds.
    pub fn org9_alias(&self) -> Option<Identifier> {
        let mut alias = Fixed::EMPTY;
        for byte in self.uscc_inner_code()? {
            alias.push(*byte);
        }
        Some(Identifier {
            given_type: IdType::Org9,
            inner_org_code_holds: true,
            value: Value::Fixed(alias),
        })
    }

    /// The date of birth of an `ID18` or `ID15`.
    pub fn birth_date(&self) -> Option<Date> {
        match &self.value {
            Value::Fixed(fixed) if self.is_natural_person() => checks::birth_date(fixed.bytes()),
            _ => None,
        }
    }

    /// Whether the date of birth is after the Shanghai day of `at`; such an identifier is invalid
    /// at that moment. False when it holds no date.
    pub fn born_after(&self, at: Time) -> bool {
        self.birth_date().is_some_and(|birth| birth > at.date())
    }

    /// The identifier if it is also valid at that moment, otherwise [`Invalid::FutureBirth`].
    pub fn valid_at(self, at: Time) -> Result<Identifier, Invalid> {
        if self.born_after(at) {
            Err(Invalid::FutureBirth)
        } else {
            Ok(self)
        }
    }

    /// Whether it is a citizen's number, which makes the subject a natural person whatever the
    /// caller says (rule 5).
    pub fn is_natural_person(&self) -> bool {
        self.id_type() == IdType::Id18
    }

    /// Whether it is a USCC beginning 92, which makes the subject an individual business whatever
    /// the caller says (rule 5).
    pub fn is_individual_business_code(&self) -> bool {
        self.id_type() == IdType::Uscc && self.reveal().starts_with("92")
    }

    /// The value with all but the first two and the last two characters hidden; values of less than
    /// nine characters hidden entirely.
    pub fn masked(&self) -> String {
        const SHORTEST_SHOWN: usize = 9;
        let length = self.reveal().chars().count();
        self.reveal()
            .chars()
            .enumerate()
            .map(|(at, character)| {
                let shown = length >= SHORTEST_SHOWN && (at < 2 || at + 2 >= length);
                if shown { character } else { '*' }
            })
            .collect()
    }

    /// The key under which list files and caches look it up.
    ///
    /// Identifiers of one subject share it: a USCC whose inner code holds has the key of its `ORG9`,
    /// an `ID15` that of its `ID18`. Different subjects may share it by accident, so a hit has to be
    /// confirmed by [`Identifier::same_subject`].
    pub fn key(&self) -> Key {
        match &self.value {
            Value::Fixed(fixed) => {
                let (tag, canonical) = match (self.id_type(), self.uscc_inner_code()) {
                    (_, Some(inner)) => (b'O', inner),
                    (IdType::Uscc, None) => (b'U', fixed.bytes()),
                    (IdType::Org9, None) => (b'O', fixed.bytes()),
                    (IdType::Reg15, None) => (b'R', fixed.bytes()),
                    (IdType::Id18 | IdType::Id15 | IdType::Other, None) => (b'P', fixed.bytes()),
                };
                let mut buffer = [0_u8; 19];
                for (place, byte) in buffer
                    .iter_mut()
                    .zip(std::iter::once(&tag).chain(canonical))
                {
                    *place = *byte;
                }
                let tagged = buffer.get(..=canonical.len()).unwrap_or_default();
                Key::of(KeyKind::Identifier, tagged)
            }
            // U+001F is a control character, which neither part can contain.
            Value::Other { issuer, value } => Key::of(
                KeyKind::Identifier,
                format!("X{issuer}\u{1F}{value}").as_bytes(),
            ),
        }
    }

    /// Whether both designate one subject, compared in full.
    ///
    /// Equal values of one type do; so do a USCC whose inner code holds and the `ORG9` it contains,
    /// and two USCCs that contain the same one. Aliases that only the registry knows are not seen
    /// here. `a.same_subject(b)` implies `a.key() == b.key()`.
    pub fn same_subject(&self, other: &Identifier) -> bool {
        match (self.org_code(), other.org_code()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, None) => self.id_type() == other.id_type() && self.value == other.value,
            _ => false,
        }
    }

    /// The organisation code it is or contains.
    fn org_code(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Fixed(fixed) if self.given_type == IdType::Org9 => Some(fixed.bytes()),
            _ => self.uscc_inner_code(),
        }
    }

    fn uscc_inner_code(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Fixed(fixed) if self.given_type == IdType::Uscc && self.inner_org_code_holds => {
                fixed.bytes().get(8..17)
            }
            _ => None,
        }
    }
}

/// Normalises into place, without allocating; NFKC runs only when something is not ASCII.
fn normalise_fixed(raw: &str, length: usize) -> Result<Fixed, Invalid> {
    let trimmed = raw.trim();
    if trimmed.is_ascii() {
        collect_fixed(trimmed.chars(), length)
    } else {
        collect_fixed(trimmed.nfkc(), length)
    }
}

/// Says of several faults the one most useful to the person who typed it: hidden characters, then
/// the length, then a character that is wrong.
fn collect_fixed(characters: impl Iterator<Item = char>, length: usize) -> Result<Fixed, Invalid> {
    let mut fixed = Fixed::EMPTY;
    let mut count = 0;
    let mut illegal = false;
    for character in characters.filter(|character| !is_hyphen(*character)) {
        if is_mask(character) {
            return Err(Invalid::Masked);
        }
        count += 1;
        let upper = character.to_ascii_uppercase();
        match u8::try_from(upper) {
            Ok(byte) if byte.is_ascii_alphanumeric() => {
                fixed.push(byte);
            }
            _ => illegal = true,
        }
    }
    match count {
        0 => Err(Invalid::Empty),
        _ if count != length => Err(Invalid::Length),
        _ if illegal => Err(Invalid::IllegalCharacter),
        _ => Ok(fixed),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hyphens {
    Removed,
    Kept,
}

/// Upper-casing and removing can make something new for NFKC or for trimming, so the steps are
/// repeated until nothing changes: the normal form has to be its own normal form.
fn normalise_other(raw: &str, hyphens: Hyphens) -> String {
    const ROUNDS_MAX: usize = 8;
    let mut normal = normalise_other_once(raw, hyphens);
    for _ in 0..ROUNDS_MAX {
        let next = normalise_other_once(&normal, hyphens);
        if next == normal {
            break;
        }
        normal = next;
    }
    normal
}

fn normalise_other_once(raw: &str, hyphens: Hyphens) -> String {
    let normal: String = raw
        .nfkc()
        .filter(|character| hyphens == Hyphens::Kept || !is_hyphen(*character))
        .flat_map(char::to_uppercase)
        .nfkc()
        .collect();
    normal.trim().to_owned()
}

/// Hyphens and the dashes typed for them. After NFKC, which turns the full-width and small forms
/// into these.
fn is_hyphen(character: char) -> bool {
    matches!(
        character,
        '-' | '\u{00AD}' | '\u{058A}' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}'
    )
}

/// What is put in the place of hidden characters. After NFKC.
fn is_mask(character: char) -> bool {
    matches!(
        character,
        '*' | '\u{00D7}' | '\u{2022}' | '\u{2217}' | '\u{2588}' | '\u{25A0}' | '\u{25CF}'
    )
}

/// One character repeated, all zeros included.
fn is_placeholder(value: &[u8]) -> bool {
    match value {
        [] => false,
        [only] => *only == b'0',
        [first, rest @ ..] => rest.iter().all(|byte| byte == first),
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({} {})", self.given_type, self.masked())
    }
}

/// The serialised form: the type as given, the value held, the issuer.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<T> {
    id_type: IdType,
    value: T,
    issuer: Option<T>,
}

/// A text that is borrowed where its source can lend it: a decision reads an identifier of every
/// entry it finds.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Writes the value in clear: what it is written to has to be entitled to it.
impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = Stored {
            id_type: self.given_type,
            value: self.reveal(),
            issuer: self.issuer(),
        };
        stored.serialize(serializer)
    }
}

/// Goes through [`Identifier::parse`]. An `ID15` is stored as the `ID18` it became, and is read back
/// only if it can have become that.
impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Identifier, D::Error> {
        use serde::de::Error as _;

        let Stored {
            id_type,
            value,
            issuer,
        } = Stored::<Text<'_>>::deserialize(deserializer)?;
        let (value, issuer) = (&*value.0, issuer.as_ref().map(|issuer| &*issuer.0));
        let old_number = match (id_type, value.get(..6), value.get(8..17)) {
            (IdType::Id15, Some(area), Some(rest)) => Some(format!("{area}{rest}")),
            _ => None,
        };
        let raw = old_number.as_deref().unwrap_or(value);
        let identifier = Identifier::parse(id_type, raw, issuer).map_err(D::Error::custom)?;
        if old_number.is_some() && identifier.reveal() != value {
            return Err(D::Error::custom(Invalid::CheckDigit));
        }
        Ok(identifier)
    }
}

#[cfg(test)]
mod tests;
