//! Which steps a procedure knows, and in which order they are possible (specification, 3).

use creditgate_measures::clocks;
use serde::{Deserialize, Serialize};

/// Makes an enum whose values have a code and a title.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:literal $title:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$value_doc])* $value,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// The code, as it stands in records.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$value => $code,)+ }
            }

            /// What it is called.
            #[must_use]
            pub const fn title_zh(self) -> &'static str {
                match self { $(Self::$value => $title,)+ }
            }

            /// The one with this code.
            #[must_use]
            pub fn parse(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.code() == code)
            }
        }
    };
}

words! {
    /// What a procedure is about.
    Kind {
        /// Somebody objects to an entry.
        Objection = "objection" "异议",
        /// A listed subject asks to be repaired.
        Repair = "repair" "信用修复",
        /// The designating authority talks to a subject.
        Talk = "talk" "约谈",
        /// A subject promises to do something.
        Commitment = "commitment" "信用承诺",
    }
}

words! {
    /// A step. Its title is read together with its procedure's.
    ///
    /// FENCE: base files keep these by their place; a new one is added at the end.
    Step {
        /// An objection is received.
        Opened = "opened" "收到异议",
        /// The entry is marked as objected to.
        Marked = "marked" "异议标注",
        /// It is passed on to the provider of the data.
        PassedOn = "passed_on" "转交信息提供单位",
        /// The provider has replied.
        Replied = "replied" "信息提供单位答复",
        /// An objection is decided.
        Decided = "decided" "作出处理决定",
        /// A repair is applied for.
        Applied = "applied" "收到修复申请",
        /// The application is accepted.
        Accepted = "accepted" "受理",
        /// The application is not accepted.
        Rejected = "rejected" "不予受理",
        /// The entry is repaired.
        Granted = "granted" "准予修复",
        /// The entry is not repaired.
        Refused = "refused" "不予修复",
        /// A talk is proposed to the designating authority.
        Proposed = "proposed" "提请约谈",
        /// Its time is set.
        Scheduled = "scheduled" "确定约谈时间",
        /// It was held, and there is a record of it.
        Held = "held" "已约谈并形成记录",
        /// It is not held.
        Declined = "declined" "不予约谈",
        /// A commitment is made.
        Made = "made" "作出承诺",
        /// It was kept.
        Kept = "kept" "已履行承诺",
        /// It was broken.
        Broken = "broken" "违反承诺",
    }
}

words! {
    /// How an objection is decided.
    Outcome {
        /// It is right: the entry is revoked.
        Upheld = "upheld" "异议成立",
        /// It is not.
        Rejected = "rejected" "异议不成立",
        /// Whoever objected does so no more.
        Withdrawn = "withdrawn" "撤回异议",
    }
}

/// A step that is possible.
#[derive(Debug)]
pub struct Rule {
    /// In which procedure.
    pub kind: Kind,
    /// After which step; none: it opens the procedure.
    pub after: Option<Step>,
    /// The step.
    pub step: Step,
    /// What has to be decided with it; empty: nothing.
    pub outcomes: &'static [Outcome],
    /// Nothing follows.
    pub closes: bool,
}

const fn goes(kind: Kind, after: Option<Step>, step: Step) -> Rule {
    Rule {
        kind,
        after,
        step,
        outcomes: &[],
        closes: false,
    }
}

const fn ends(kind: Kind, after: Step, step: Step) -> Rule {
    Rule {
        closes: true,
        ..goes(kind, Some(after), step)
    }
}

const fn decides(after: Step, outcomes: &'static [Outcome]) -> Rule {
    Rule {
        outcomes,
        ..ends(Kind::Objection, after, Step::Decided)
    }
}

/// Every step that is possible; all others are refused.
pub const TABLE: &[Rule] = &[
    goes(Kind::Objection, None, Step::Opened),
    goes(Kind::Objection, Some(Step::Opened), Step::Marked),
    goes(Kind::Objection, Some(Step::Marked), Step::PassedOn),
    goes(Kind::Objection, Some(Step::PassedOn), Step::Replied),
    decides(Step::Marked, Outcome::ALL),
    decides(Step::Replied, Outcome::ALL),
    // What the provider is asked is not decided before it has replied.
    decides(Step::PassedOn, &[Outcome::Withdrawn]),
    goes(Kind::Repair, None, Step::Applied),
    goes(Kind::Repair, Some(Step::Applied), Step::Accepted),
    ends(Kind::Repair, Step::Applied, Step::Rejected),
    ends(Kind::Repair, Step::Accepted, Step::Granted),
    ends(Kind::Repair, Step::Accepted, Step::Refused),
    goes(Kind::Talk, None, Step::Proposed),
    goes(Kind::Talk, Some(Step::Proposed), Step::Scheduled),
    ends(Kind::Talk, Step::Proposed, Step::Declined),
    ends(Kind::Talk, Step::Scheduled, Step::Held),
    ends(Kind::Talk, Step::Scheduled, Step::Declined),
    goes(Kind::Commitment, None, Step::Made),
    ends(Kind::Commitment, Step::Made, Step::Kept),
    ends(Kind::Commitment, Step::Made, Step::Broken),
];

/// The rule of a step after another one; none: it is not possible.
#[must_use]
pub fn rule(kind: Kind, after: Option<Step>, step: Step) -> Option<&'static Rule> {
    TABLE
        .iter()
        .find(|rule| rule.kind == kind && rule.after == after && rule.step == step)
}

/// The steps that are possible after one, with what may be decided: `decided(upheld|rejected)`.
pub fn possible(kind: Kind, after: Step) -> Vec<String> {
    let rules = TABLE.iter();
    let possible = rules.filter(|rule| rule.kind == kind && rule.after == Some(after));
    let told = possible.map(|rule| {
        let outcomes: Vec<_> = rule.outcomes.iter().map(|outcome| outcome.code()).collect();
        match outcomes.is_empty() {
            true => rule.step.code().to_owned(),
            false => format!("{}({})", rule.step.code(), outcomes.join("|")),
        }
    });
    told.collect()
}

impl Kind {
    /// The step that opens it.
    #[must_use]
    pub const fn opening(self) -> Step {
        match self {
            Self::Objection => Step::Opened,
            Self::Repair => Step::Applied,
            Self::Talk => Step::Proposed,
            Self::Commitment => Step::Made,
        }
    }

    /// The same in the words of the book, which knows its limits.
    #[must_use]
    pub const fn in_book(self) -> clocks::Procedure {
        match self {
            Self::Objection => clocks::Procedure::Objection,
            Self::Repair => clocks::Procedure::Repair,
            Self::Talk => clocks::Procedure::Talk,
            Self::Commitment => clocks::Procedure::Commitment,
        }
    }
}

impl Step {
    /// Codes of the book's limits that are kept, or fall away, by this step.
    #[must_use]
    pub const fn ends_limits(self) -> &'static [&'static str] {
        match self {
            Self::Marked => &["mark"],
            // Somebody else decides then.
            Self::PassedOn => &["pass_on", "decide"],
            Self::Replied => &["reply"],
            Self::Accepted => &["accept"],
            Self::Held => &["hold", "record"],
            Self::Opened
            | Self::Applied
            | Self::Proposed
            | Self::Scheduled
            | Self::Made
            | Self::Decided
            | Self::Rejected
            | Self::Granted
            | Self::Refused
            | Self::Declined
            | Self::Kept
            | Self::Broken => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_opens_once_and_every_way_ends() {
        for kind in Kind::ALL {
            let opening = rule(*kind, None, kind.opening());
            assert!(opening.is_some_and(|rule| !rule.closes));
            for rule in TABLE.iter().filter(|rule| rule.kind == *kind) {
                assert_eq!(
                    possible(*kind, rule.step).is_empty(),
                    rule.closes,
                    "{rule:?}"
                );
            }
        }
    }

    #[test]
    fn a_step_is_told_with_what_may_be_decided() {
        assert_eq!(
            possible(Kind::Objection, Step::PassedOn),
            ["replied", "decided(withdrawn)"]
        );
        assert_eq!(possible(Kind::Commitment, Step::Made), ["kept", "broken"]);
        assert_eq!(Step::parse("passed_on"), Some(Step::PassedOn));
        assert_eq!(Step::parse("passed"), None);
    }
}
