//! The words of the closed sets as a published table writes them.

use crate::event::Region;
use crate::vocabulary::{
    Actor, Benefit, Class, Colour, Confidence, Effect, Force, Level, Reach, Role, Severity,
    SubjectKind,
};

/// Class, as the left-hand column of the national list has it.
pub const fn class(class: Class) -> &'static str {
    match class {
        Class::A => "A类：公共管理机构依法依规实施的减损信用主体权益或者增加其义务的措施",
        Class::B => "B类：公共管理机构根据履职需要实施的管理措施，不涉及减损权益或者增加义务",
        Class::C => "C类：公共管理机构以外的组织自主实施的措施",
    }
}

/// Force.
pub const fn force(force: Force) -> &'static str {
    match force {
        Force::Must => "应当/不得",
        Force::May => "可以",
        Force::Factor => "作为重要考量因素",
        Force::Refer => "依法限制",
        Force::Own => "自主决定",
    }
}

/// Effect of a penalty.
pub const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Notice => "提示",
        Effect::HeightenedScrutiny => "从严审查",
        Effect::RequireDocument => "要求补充材料",
        Effect::Restrict => "限制",
        Effect::Prohibit => "禁止",
    }
}

/// Effect of an incentive.
pub const fn benefit(benefit: Benefit) -> &'static str {
    match benefit {
        Benefit::Priority => "优先办理",
        Benefit::GreenChannel => "绿色通道",
        Benefit::DeferredDocuments => "容缺受理",
        Benefit::CommitmentAllowed => "适用告知承诺",
        Benefit::Preference => "同等条件优先",
        Benefit::Bonus => "信用加分",
        Benefit::DepositRelief => "减免保证金",
        Benefit::ReducedInspection => "优化检查频次",
        Benefit::CreditReportAccepted => "信用代证",
        Benefit::Bundle => "综合激励",
    }
}

/// Confidence: what is recalled is never shown as if it were quoted.
pub const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Verified => "已核对",
        Confidence::Recalled => "回忆/未核对",
    }
}

/// Kind of subject.
pub const fn kind(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Enterprise => "企业",
        SubjectKind::IndividualBusiness => "个体工商户",
        SubjectKind::PublicInstitution => "事业单位",
        SubjectKind::GovernmentBody => "机关",
        SubjectKind::SocialOrganisation => "社会组织",
        SubjectKind::NaturalPerson => "自然人",
    }
}

/// Role.
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Applicant => "申请人",
        Role::Bidder => "投标人",
        Role::ConsortiumMember => "联合体成员",
        Role::Supplier => "供应商",
        Role::LandBidder => "竞买人",
        Role::Agent => "代理机构",
        Role::Subcontractor => "分包人",
        Role::Candidate => "候选人",
        Role::Borrower => "借款人",
        Role::Evaluator => "评审专家",
        Role::Guarantor => "担保人",
        Role::LegalRepresentative => "法定代表人",
        Role::Principal => "主要负责人",
        Role::ResponsiblePerson => "直接责任人员",
        Role::ActualController => "实际控制人",
    }
}

/// Severity.
pub const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Minor => "轻微",
        Severity::General => "一般",
        Severity::Serious => "严重",
    }
}

/// Colour.
pub const fn colour(colour: Colour) -> &'static str {
    match colour {
        Colour::Red => "守信红名单",
        Colour::Attention => "重点关注名单",
        Colour::Black => "黑名单",
    }
}

/// Level of a basis.
pub const fn level(level: Level) -> &'static str {
    match level {
        Level::Law => "法律",
        Level::AdministrativeRegulation => "行政法规",
        Level::CentralDocument => "党中央、国务院政策文件",
        Level::LocalRegulation => "地方性法规",
        Level::DepartmentRule => "部门规章",
        Level::PublishedNotice => "本次公告",
        Level::Paper => "其他文件",
    }
}

/// Reach.
pub const fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::National => "全国",
        Reach::Local => "本地区",
    }
}

/// Actor.
pub const fn actor(actor: Actor) -> &'static str {
    match actor {
        Actor::Public => "公共管理机构",
        Actor::ThirdParty => "第三方",
    }
}

/// 实施层级: how far down the rows of a region lie.
pub fn tier(region: Option<Region>) -> &'static str {
    let digits = region.map(|region| region.to_string());
    match digits.as_deref() {
        None | Some("100000") => "全国",
        Some(code) if code.ends_with("0000") => "省级",
        Some(code) if code.ends_with("00") => "市级",
        Some(_) => "县级",
    }
}
