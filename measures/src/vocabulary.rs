//! The words of the specification as closed sets, each with the one code it is written in.

use serde::{Deserialize, Serialize};

/// Declares an enum whose variants each have one code, with `code`, `parse` and `ALL`.
///
/// INVARIANT (stable order): variants are stored by their position, so new ones go to the end.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every word of the set, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code, as files, requests and answers write it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The word with this code.
            #[must_use]
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

pub(crate) use vocabulary;

vocabulary! {
    /// Kind of a subject (主体类别), spec 2.
    SubjectKind {
        /// 企业.
        Enterprise = "enterprise",
        /// 个体工商户; protected.
        IndividualBusiness = "individual_business",
        /// 事业单位.
        PublicInstitution = "public_institution",
        /// 机关.
        GovernmentBody = "government_body",
        /// 社会组织.
        SocialOrganisation = "social_organisation",
        /// 自然人; protected.
        NaturalPerson = "natural_person",
    }
}

vocabulary! {
    /// Role of a subject in an event, spec 2.
    Role {
        /// 申请人.
        Applicant = "applicant",
        /// 投标人.
        Bidder = "bidder",
        /// 联合体成员.
        ConsortiumMember = "consortium_member",
        /// 供应商.
        Supplier = "supplier",
        /// 竞买人.
        LandBidder = "land_bidder",
        /// 代理机构.
        Agent = "agent",
        /// 分包人.
        Subcontractor = "subcontractor",
        /// 候选人.
        Candidate = "candidate",
        /// 借款人.
        Borrower = "borrower",
        /// 评审专家.
        Evaluator = "evaluator",
        /// 担保人.
        Guarantor = "guarantor",
        /// 法定代表人.
        LegalRepresentative = "legal_representative",
        /// 主要负责人.
        Principal = "principal",
        /// 直接责任人员.
        ResponsiblePerson = "responsible_person",
        /// 实际控制人.
        ActualController = "actual_controller",
    }
}

impl Role {
    /// Whether the role leads a party (spec 2).
    #[must_use]
    pub const fn leads(self) -> bool {
        matches!(
            self,
            Self::Applicant
                | Self::Bidder
                | Self::Supplier
                | Self::LandBidder
                | Self::Candidate
                | Self::Borrower
        )
    }

    /// Whether a measure may extend to this relation (spec 4; never family).
    #[must_use]
    pub const fn is_relation(self) -> bool {
        matches!(
            self,
            Self::LegalRepresentative
                | Self::Principal
                | Self::ResponsiblePerson
                | Self::ActualController
        )
    }
}

vocabulary! {
    /// Colour of a list, spec 3.
    Colour {
        /// 守信红名单.
        Red = "red",
        /// 重点关注名单.
        Attention = "attention",
        /// 严重失信主体名单 (黑名单).
        Black = "black",
    }
}

impl Colour {
    /// Bit of the result code: 2 red, 4 attention, 8 black (spec 5).
    #[must_use]
    pub const fn result_bit(self) -> u8 {
        match self {
            Self::Red => 2,
            Self::Attention => 4,
            Self::Black => 8,
        }
    }
}

vocabulary! {
    /// Whether a list bites everywhere or inside its region only, spec 3.
    Reach {
        /// Everywhere.
        National = "national",
        /// Inside the entry's region, or by an agreement.
        Local = "local",
    }
}

vocabulary! {
    /// Whether a list is kept as a list or stands for single decisions, spec 3.
    ListKind {
        /// A list.
        List = "list",
        /// Single decisions.
        Decision = "decision",
    }
}

vocabulary! {
    /// Who supplements the national list.
    SupplementLevel {
        /// 省级.
        Province = "province",
        /// 市级.
        City = "city",
    }
}

impl SupplementLevel {
    /// Whether a region is one of this level, by the digits of GB/T 2260.
    #[must_use]
    pub fn fits(self, region: crate::event::Region) -> bool {
        let code = region.to_string();
        match self {
            Self::Province => code.ends_with("0000"),
            Self::City => code.ends_with("00") && !code.ends_with("0000"),
        }
    }
}

vocabulary! {
    /// How grave the breach is (失信程度), spec 3.
    Severity {
        /// 轻微: never more than `NOTICE`.
        Minor = "minor",
        /// 一般.
        General = "general",
        /// 严重.
        Serious = "serious",
    }
}

vocabulary! {
    /// State of an entry, spec 3.
    State {
        /// Proposed by the authority.
        Proposed = "PROPOSED",
        /// The subject was told.
        Notified = "NOTIFIED",
        /// In force.
        Effective = "EFFECTIVE",
        /// Out of force for a time.
        Suspended = "SUSPENDED",
        /// Ended by credit repair (信用修复).
        Repaired = "REPAIRED",
        /// Ended by withdrawal.
        Revoked = "REVOKED",
    }
}

impl State {
    /// Whether a change from this state to the other is one of spec 3.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use State::{Effective, Notified, Proposed, Repaired, Revoked, Suspended};
        matches!(
            (self, to),
            (Proposed, Notified | Revoked)
                | (Notified, Effective | Revoked)
                | (Effective, Suspended | Repaired | Revoked)
                | (Suspended, Effective | Repaired | Revoked)
        )
    }
}

vocabulary! {
    /// Whether a measure burdens or rewards, spec 4.
    Direction {
        /// 失信惩戒.
        Penalty = "penalty",
        /// 守信激励.
        Incentive = "incentive",
    }
}

vocabulary! {
    /// Class of a measure in the national list, spec 4.
    Class {
        /// By public bodies, reduces rights or adds duties.
        A = "A",
        /// By public bodies as management.
        B = "B",
        /// By others, of their own accord.
        C = "C",
    }
}

vocabulary! {
    /// How far the law binds the implementer, spec 4.
    Force {
        /// 应当, 不得.
        Must = "must",
        /// 可以.
        May = "may",
        /// 作为重要考量因素.
        Factor = "factor",
        /// 依法限制: another rule must bite.
        Refer = "refer",
        /// The other party's own decision.
        Own = "own",
    }
}

vocabulary! {
    /// What a penalty does, weakest first, spec 4.
    Effect {
        /// Tell.
        Notice = "NOTICE",
        /// Go on, look harder.
        HeightenedScrutiny = "HEIGHTENED_SCRUTINY",
        /// Ask for a document.
        RequireDocument = "REQUIRE_DOCUMENT",
        /// Go on within limits.
        Restrict = "RESTRICT",
        /// Stop.
        Prohibit = "PROHIBIT",
    }
}

vocabulary! {
    /// What an incentive offers, spec 4.
    Benefit {
        /// 优先办理.
        Priority = "PRIORITY",
        /// 绿色通道.
        GreenChannel = "GREEN_CHANNEL",
        /// 容缺受理.
        DeferredDocuments = "DEFERRED_DOCUMENTS",
        /// 告知承诺适用.
        CommitmentAllowed = "COMMITMENT_ALLOWED",
        /// 同等条件优先.
        Preference = "PREFERENCE",
        /// 信用加分.
        Bonus = "BONUS",
        /// 减免保证金.
        DepositRelief = "DEPOSIT_RELIEF",
        /// 优化检查频次.
        ReducedInspection = "REDUCED_INSPECTION",
        /// 信用代证.
        CreditReportAccepted = "CREDIT_REPORT_ACCEPTED",
        /// Several together.
        Bundle = "BUNDLE",
    }
}

vocabulary! {
    /// The answer to one event, party or subject, weakest first, spec 5.
    Outcome {
        /// Nothing stands against it.
        Pass = "PASS",
        /// Tell.
        Notice = "NOTICE",
        /// Go on, look harder.
        HeightenedScrutiny = "HEIGHTENED_SCRUTINY",
        /// Ask for a document.
        RequireDocument = "REQUIRE_DOCUMENT",
        /// Go on within limits.
        Restrict = "RESTRICT",
        /// An official must judge.
        ManualReview = "MANUAL_REVIEW",
        /// Stop.
        Prohibit = "PROHIBIT",
    }
}

impl From<Effect> for Outcome {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Notice => Self::Notice,
            Effect::HeightenedScrutiny => Self::HeightenedScrutiny,
            Effect::RequireDocument => Self::RequireDocument,
            Effect::Restrict => Self::Restrict,
            Effect::Prohibit => Self::Prohibit,
        }
    }
}

vocabulary! {
    /// Level of a legal basis, highest first, spec 4.
    Level {
        /// 法律; a judicial interpretation of the Supreme People's Court counts as law.
        Law = "law",
        /// 行政法规.
        AdministrativeRegulation = "administrative_regulation",
        /// 党中央、国务院政策文件.
        CentralDocument = "central_document",
        /// 地方性法规.
        LocalRegulation = "local_regulation",
        /// 部门规章.
        DepartmentRule = "department_rule",
        /// The notice or tender document of this very event.
        PublishedNotice = "published_notice",
        /// Any other paper.
        Paper = "paper",
    }
}

vocabulary! {
    /// How sure we are of a row or a list, spec 4.
    Confidence {
        /// Read in a public source, or confirmed by the deployment.
        Verified = "verified",
        /// Recalled; penalties go to proposed until confirmed.
        Recalled = "recalled",
    }
}

vocabulary! {
    /// Who acts in a scenario, spec 2.
    Actor {
        /// A public body.
        Public = "public",
        /// A third party, such as a bank: at most `NOTICE`, never review.
        ThirdParty = "third_party",
    }
}

vocabulary! {
    /// How well the identity of a subject is known, spec 2.
    Identity {
        /// A valid USCC, ID18 or ID15, or an alias that the registry links to one.
        Verified = "verified",
        /// A valid ORG9, REG15 or OTHER without a link.
        Unlinked = "unlinked",
        /// No valid identifier.
        Unverified = "unverified",
    }
}

vocabulary! {
    /// Why an entry that was found is not used, spec 3. Kept in the journal, never answered.
    NotUsable {
        /// Proposed or notified only.
        NotEffective = "not_effective",
        /// Its last day has passed.
        Expired = "expired",
        /// In force only after the event.
        ListedAfterTheFact = "listed_after_the_fact",
        /// Ended by repair.
        Repaired = "repaired",
        /// Withdrawn.
        Revoked = "revoked",
        /// Out of force at the time.
        Suspended = "suspended",
        /// A local entry outside its region.
        OutOfReach = "out_of_reach",
        /// The person was not yet 18.
        Minor = "minor",
    }
}

vocabulary! {
    /// Type of an attribute that a scenario declares.
    AttributeType {
        /// A text.
        String = "string",
        /// A whole number.
        Int = "int",
        /// True or false.
        Bool = "bool",
        /// A day, `YYYY-MM-DD`.
        Date = "date",
        /// Several texts.
        StringList = "string_list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.code()), Some(*role));
        }
        assert_eq!(Effect::parse("prohibit"), None, "codes are exact");
    }

    #[test]
    fn effects_and_outcomes_are_ordered_by_strength() {
        assert!(Effect::ALL.is_sorted());
        assert!(Outcome::ManualReview > Outcome::Restrict);
        assert!(Outcome::Prohibit > Outcome::ManualReview);
    }

    #[test]
    fn an_ended_entry_never_comes_back() {
        for to in State::ALL {
            assert!(!State::Repaired.may_become(*to));
            assert!(!State::Revoked.may_become(*to));
        }
        assert!(State::Suspended.may_become(State::Effective));
        assert!(!State::Proposed.may_become(State::Effective));
    }
}
