//! The forms of what clocks follow: working calendars, limits of procedures, notices.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BasisSource, Spanned, Text};
use crate::time::text::DateText;

/// `calendar/*.yaml`: the working calendar of one year, as the State Council's notice declares it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarFile {
    /// The year.
    pub year: Spanned<i32>,
    /// Title of the notice.
    pub title: Text,
    /// Where it stands.
    pub basis: BasisSource,
    /// The holidays with every day off around them.
    pub off: Vec<Spanned<HolidaySource>>,
    /// Saturdays and Sundays that are worked.
    #[serde(default)]
    pub works: Vec<Spanned<DateText>>,
    /// `verified` or `recalled`.
    pub confidence: Spanned<String>,
    /// Marks of the sources it rests on.
    #[serde(default)]
    pub mark: Option<String>,
}

/// The days off of one holiday.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HolidaySource {
    /// Its name.
    pub title: Text,
    /// First day off.
    pub from: DateText,
    /// Last day off.
    pub to: DateText,
}

/// Limits of a rule on repair, by procedure.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSource {
    /// Objections (异议).
    #[serde(default)]
    pub objection: Vec<Spanned<LimitSource>>,
    /// Repair (信用修复).
    #[serde(default)]
    pub repair: Vec<Spanned<LimitSource>>,
    /// Deletion after revocation or repair.
    #[serde(default)]
    pub deletion: Vec<Spanned<LimitSource>>,
    /// Talks (约谈).
    #[serde(default)]
    pub talk: Vec<Spanned<LimitSource>>,
    /// Commitments (信用承诺).
    #[serde(default)]
    pub commitment: Vec<Spanned<LimitSource>>,
}

/// The limit of one step of a procedure.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSource {
    /// Code of the step, such as `accept`.
    pub step: Spanned<String>,
    /// What is to be done.
    pub title: Text,
    /// How many days.
    pub days: u32,
    /// `working` (the default) or `calendar`.
    pub unit: Option<Spanned<String>>,
    /// `opened` (the default), or an earlier step of the same procedure.
    pub counted_from: Option<Spanned<String>>,
    /// Where it stands; may be left out of a default only.
    pub basis: Option<BasisSource>,
    /// It fills a gap: the basis does not bind everywhere, or there is none.
    #[serde(default)]
    pub default: bool,
    /// `verified` or `recalled`.
    pub confidence: Spanned<String>,
}

/// `notices/*.yaml`: templates of the notices that are served.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticesFile {
    /// The templates.
    pub notices: Vec<Spanned<NoticeSource>>,
}

/// A template of a notice.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeSource {
    /// Id.
    pub id: Spanned<String>,
    /// Title.
    pub title: Text,
    /// The occasion.
    pub when: Spanned<String>,
    /// Ids of the notices that are served together with it.
    #[serde(default)]
    pub together_with: Vec<Spanned<String>>,
    /// The proof that it was served tells when the decision was served.
    #[serde(default)]
    pub proves_service: bool,
    /// On which rules it is sent.
    #[serde(default)]
    pub basis: Vec<Spanned<BasisSource>>,
    /// The Chinese text, with placeholders in braces such as `{subject}`.
    pub text: Spanned<String>,
    /// `verified` or `recalled`: whether its bases were read.
    pub confidence: Spanned<String>,
    /// Marks of the sources it rests on.
    #[serde(default)]
    pub mark: Option<String>,
}
