//! Rows that officials confirmed through the service, kept as one more file of confirmations.

use std::collections::BTreeSet;

use creditgate_measures::book::{BookErrors, Deployment, SourceFile};
use serde::{Deserialize, Serialize};

/// The path of that file in records: no file of a deployment has it.
pub(crate) const PATH: &str = "confirmed through the service";

/// A deployment takes responsibility for a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Id of the row.
    pub measure: String,
    /// Who confirms it.
    pub confirmed_by: String,
    /// By which document.
    pub document: String,
    /// Day of publication, where the row has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<String>,
    /// Place of publication, where the row has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_in: Option<String>,
    /// First day in force, where the row has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<String>,
}

impl Confirmation {
    /// What is confirmed, by whom and with which days and place, as the record of the book tells it.
    pub(crate) fn told(&self) -> String {
        let mut told = format!(
            "{} 确认：{}（{}）",
            self.measure, self.document, self.confirmed_by
        );
        let given = [
            ("公布日期", &self.published_at),
            ("公布载体", &self.published_in),
            ("施行日期", &self.effective_from),
        ];
        for (what, value) in given {
            if let Some(value) = value {
                told += &format!("；{what} {value}");
            }
        }
        told
    }
}

/// A deployment takes a confirmation back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// Id of the row.
    pub measure: String,
    /// Who takes it back.
    pub withdrawn_by: String,
    /// By which document.
    pub document: String,
}

impl Withdrawal {
    /// What is taken back and by whom, as the record of the book tells it.
    pub(crate) fn told(&self) -> String {
        format!(
            "{} 撤回确认：{}（{}）",
            self.measure, self.document, self.withdrawn_by
        )
    }
}

#[derive(Serialize, Deserialize, Default)]
struct File {
    confirmations: Vec<Confirmation>,
}

/// What was confirmed so far, from the files of a record.
pub(crate) fn of(files: &[SourceFile]) -> Vec<Confirmation> {
    files
        .iter()
        .find(|file| file.path == PATH)
        .and_then(|file| serde_saphyr::from_str::<File>(&file.text).ok())
        .unwrap_or_default()
        .confirmations
}

/// What a deployment says of itself, without what was confirmed through the service.
pub(crate) fn without(mut deployment: Deployment) -> Deployment {
    deployment.confirmations.retain(|file| file.path != PATH);
    deployment
}

/// As a file; none when nothing is confirmed.
pub(crate) fn file(confirmations: &[Confirmation]) -> Option<SourceFile> {
    if confirmations.is_empty() {
        return None;
    }
    let file = File {
        confirmations: confirmations.to_vec(),
    };
    let text = serde_saphyr::to_string(&file).expect("plain texts can be written");
    Some(SourceFile::new(PATH, text))
}

/// The confirmations without those of rows that the errors speak of, and whose those are; none when
/// that is nobody.
pub(crate) fn without_refused(
    confirmations: &[Confirmation],
    errors: &BookErrors,
) -> Option<(Vec<Confirmation>, Vec<String>)> {
    let refused: BTreeSet<&str> = errors
        .0
        .iter()
        .map(|error| error.subject.as_str())
        .collect();
    let (dropped, kept): (Vec<_>, Vec<_>) = confirmations
        .iter()
        .cloned()
        .partition(|confirmation| refused.contains(confirmation.measure.as_str()));
    let ids: Vec<String> = dropped.into_iter().map(|dropped| dropped.measure).collect();
    (!ids.is_empty()).then_some((kept, ids))
}
