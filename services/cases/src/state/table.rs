//! Which step is possible after which: one table each for a case, a measure and a lift order.
//!
//! A step that a table does not have is refused; nothing else decides about states.

use serde::{Deserialize, Serialize};

use super::Refusal;

/// Whether a case is reviewed when something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Steps are still to come.
    Open,
    /// It has ended; measures that bit in it are still watched.
    Closed,
}

/// What may happen to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseStep {
    /// A step of the business took place.
    Event,
    /// It was judged again.
    Review,
    /// It ended.
    Close,
}

/// How far a measure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeasureState {
    /// It applies by the verdict itself.
    InEffect,
    /// It waits for an official.
    Proposed,
    /// An official has it in hand.
    Claimed,
    /// One of two officials has confirmed it.
    Seconded,
    /// It was confirmed.
    Confirmed,
    /// It was rejected.
    Rejected,
    /// No entry and no row supports it any more.
    Unsupported,
}

/// What may happen to a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasureStep {
    /// A verdict shows that it applies.
    Apply,
    /// A verdict proposes it on what an official has not judged yet.
    Propose,
    /// A verdict proposes it on nothing that an official has not judged before.
    ProposeSame,
    /// An official takes it in hand.
    Claim,
    /// The official gives it back.
    Release,
    /// The first of two officials confirms it.
    Second,
    /// It is confirmed.
    Confirm,
    /// It is rejected.
    Reject,
    /// The time for a decision has passed.
    Escalate,
    /// Nothing supports it any more.
    Lose,
    /// It is supported again, and nobody has lifted it.
    Regain,
}

/// How far a lift order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderState {
    /// It waits for the implementer.
    Open,
    /// The measure has been lifted.
    Acknowledged,
    /// The measure was supported again first.
    Cancelled,
}

/// What may happen to a lift order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStep {
    /// The implementer has lifted the measure.
    Acknowledge,
    /// The measure is supported again.
    Cancel,
}

/// Where a step of a measure leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To this state.
    To(MeasureState),
    /// To the state before support was lost.
    Before,
}

/// The steps of a case.
pub const CASE: &[(Phase, CaseStep, Phase)] = &[
    (Phase::Open, CaseStep::Event, Phase::Open),
    (Phase::Open, CaseStep::Review, Phase::Open),
    (Phase::Open, CaseStep::Close, Phase::Closed),
    (Phase::Closed, CaseStep::Event, Phase::Open),
    // One that was under way when it ended.
    (Phase::Closed, CaseStep::Review, Phase::Closed),
];

/// The steps of a lift order.
pub const ORDER: &[(OrderState, OrderStep, OrderState)] = &[
    (
        OrderState::Open,
        OrderStep::Acknowledge,
        OrderState::Acknowledged,
    ),
    (OrderState::Open, OrderStep::Cancel, OrderState::Cancelled),
];

/// The steps of a measure.
pub const MEASURE: &[(MeasureState, MeasureStep, Next)] = {
    use MeasureState as S;
    use MeasureStep as M;
    use Next::To;
    &[
        (S::InEffect, M::Apply, To(S::InEffect)),
        (S::InEffect, M::Propose, To(S::Proposed)),
        (S::InEffect, M::ProposeSame, To(S::Proposed)),
        (S::InEffect, M::Lose, To(S::Unsupported)),
        (S::Proposed, M::Apply, To(S::InEffect)),
        (S::Proposed, M::Propose, To(S::Proposed)),
        (S::Proposed, M::ProposeSame, To(S::Proposed)),
        (S::Proposed, M::Claim, To(S::Claimed)),
        (S::Proposed, M::Escalate, To(S::Proposed)),
        (S::Proposed, M::Lose, To(S::Unsupported)),
        (S::Claimed, M::Apply, To(S::InEffect)),
        (S::Claimed, M::Propose, To(S::Claimed)),
        (S::Claimed, M::ProposeSame, To(S::Claimed)),
        (S::Claimed, M::Release, To(S::Proposed)),
        (S::Claimed, M::Second, To(S::Seconded)),
        (S::Claimed, M::Confirm, To(S::Confirmed)),
        (S::Claimed, M::Reject, To(S::Rejected)),
        (S::Claimed, M::Escalate, To(S::Claimed)),
        (S::Claimed, M::Lose, To(S::Unsupported)),
        (S::Seconded, M::Apply, To(S::InEffect)),
        // The first official confirmed something else.
        (S::Seconded, M::Propose, To(S::Proposed)),
        (S::Seconded, M::ProposeSame, To(S::Seconded)),
        // By the second official, who then has it in hand.
        (S::Seconded, M::Claim, To(S::Seconded)),
        (S::Seconded, M::Release, To(S::Seconded)),
        (S::Seconded, M::Confirm, To(S::Confirmed)),
        (S::Seconded, M::Reject, To(S::Rejected)),
        (S::Seconded, M::Escalate, To(S::Seconded)),
        (S::Seconded, M::Lose, To(S::Unsupported)),
        (S::Confirmed, M::Apply, To(S::Confirmed)),
        (S::Confirmed, M::Propose, To(S::Proposed)),
        (S::Confirmed, M::ProposeSame, To(S::Confirmed)),
        (S::Confirmed, M::Lose, To(S::Unsupported)),
        (S::Rejected, M::Apply, To(S::InEffect)),
        (S::Rejected, M::Propose, To(S::Proposed)),
        (S::Rejected, M::ProposeSame, To(S::Rejected)),
        (S::Rejected, M::Lose, To(S::Unsupported)),
        (S::Unsupported, M::Apply, To(S::InEffect)),
        (S::Unsupported, M::Propose, To(S::Proposed)),
        (S::Unsupported, M::ProposeSame, To(S::Proposed)),
        // Lifted by one implementer, supported again, and lost again.
        (S::Unsupported, M::Lose, To(S::Unsupported)),
        (S::Unsupported, M::Regain, Next::Before),
    ]
};

/// What a table says about a step.
///
/// # Errors
/// When the table does not have it; state and step are named.
pub fn step<S, T, N>(
    table: &[(S, T, N)],
    machine: &'static str,
    state: S,
    step: T,
) -> Result<N, Refusal>
where
    S: Copy + PartialEq + Named,
    T: Copy + PartialEq + Named,
    N: Copy,
{
    table
        .iter()
        .find(|(from, by, _)| *from == state && *by == step)
        .map(|(_, _, next)| *next)
        .ok_or(Refusal::Step {
            machine,
            state: state.code(),
            step: step.code(),
        })
}

/// States and steps have one code, as answers and errors write it.
pub trait Named {
    /// The code.
    fn code(self) -> &'static str;
}

macro_rules! named {
    ($($name:ident { $($variant:ident = $code:literal),+ $(,)? })+) => {$(
        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl Named for $name {
            fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }
        }
    )+};
}

named! {
    Phase { Open = "open", Closed = "closed" }
    CaseStep { Event = "event", Review = "review", Close = "close" }
    MeasureState {
        InEffect = "in_effect",
        Proposed = "proposed",
        Claimed = "claimed",
        Seconded = "seconded",
        Confirmed = "confirmed",
        Rejected = "rejected",
        Unsupported = "unsupported",
    }
    MeasureStep {
        Apply = "apply",
        Propose = "propose",
        ProposeSame = "propose_same",
        Claim = "claim",
        Release = "release",
        Second = "second",
        Confirm = "confirm",
        Reject = "reject",
        Escalate = "escalate",
        Lose = "lose_support",
        Regain = "regain_support",
    }
    OrderState { Open = "open", Acknowledged = "acknowledged", Cancelled = "cancelled" }
    OrderStep { Acknowledge = "acknowledge", Cancel = "cancel" }
}

impl MeasureState {
    /// Whether an official has to decide.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Proposed | Self::Claimed | Self::Seconded)
    }

    /// Whether it applies.
    #[must_use]
    pub const fn bites(self) -> bool {
        matches!(self, Self::InEffect | Self::Confirmed)
    }
}
