//! How a package was made: what does not follow from its records, but was said by whoever made it.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The form of packages that this program writes and reads.
pub const FORM: u32 = 1;

/// How a package was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// [`FORM`].
    pub form: u32,
    /// The verdict.
    pub verdict_id: String,
    /// When.
    pub made_at: String,
    /// By which program.
    pub made_by: String,
    /// Whether the page hides who people are.
    pub masked: bool,
    /// Number of the last record of verdicts that was looked at.
    pub verdicts_up_to: u64,
    /// What deciding it again gave.
    pub decided_again: Again,
    /// The verdict that took its place, among those records.
    pub superseded_by: Option<String>,
    /// Further answers of the same decision slot, of other processes, among those records.
    pub further_answers: u64,
    /// Why there is no check point.
    pub uncovered: Option<Uncovered>,
}

/// What deciding again gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// The same digest and the same explanation.
    Same,
    /// Something else.
    Different,
}

impl Again {
    /// Whether it is the same.
    pub const fn is_same(self) -> bool {
        matches!(self, Self::Same)
    }
}

/// Why a package has no check point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncovered {
    /// The data directory has none.
    NoneMade,
    /// None names the verdict's record, or a later one.
    NoneCovers,
    /// They were not wanted.
    LeftOut,
}

impl Uncovered {
    /// In words.
    pub const fn told(self) -> &'static str {
        match self {
            Self::NoneMade => "the service signs none (`journal.signing_key_file`)",
            Self::NoneCovers => {
                "none names this record or a later one yet: make the package again after the next \
                 (`journal.check_point_seconds`)"
            }
            Self::LeftOut => "it was left out (`--chain-mib 0`)",
        }
    }

    /// The same in Chinese.
    pub const fn told_zh(self) -> &'static str {
        match self {
            Self::NoneMade => "服务未启用检查点签名",
            Self::NoneCovers => "尚无检查点覆盖本记录，可在下一检查点之后重新制作",
            Self::LeftOut => "制作时选择不附检查点",
        }
    }
}

impl About {
    /// As the file holds it.
    pub fn to_json(&self) -> Result<Vec<u8>, Failure> {
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::new("write how the package was made", error))?;
        json.push(b'\n');
        Ok(json)
    }
}
