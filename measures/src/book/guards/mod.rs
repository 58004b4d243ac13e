//! What the law does not carry is refused: the guards of spec 4, by what they look at.

mod clocks;
mod coupling;
mod list;
mod row;
mod score;
mod supplement;
mod text;

pub(super) use clocks::{limit_broken, notice_broken, rule_broken};
pub(super) use coupling::coupling;
pub(super) use list::{agreement_broken, list_broken};
pub(super) use row::{broken, one_sided};
pub(super) use score::names_personal_score;
pub(super) use supplement::supplement_broken;
pub(super) use text::{blank, code_broken};

/// A broken rule and how to mend it.
pub(super) type Broken = (String, String);

fn broken_if(broken: bool, rule: &str, mend: &str) -> Option<Broken> {
    broken.then(|| (rule.to_owned(), mend.to_owned()))
}
