//! Cases of a policy: who asks what, and whether they may.

use creditgate_measures::event::Region;
use serde::Deserialize;

use super::policy::Policy;
use super::scope::{Outside, Question};
use crate::callers::Permission;

/// One case, as a policy file has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// What it shows.
    pub name: String,
    /// Who asks.
    pub caller: String,
    /// The permission that what they do needs; `check` when left out.
    #[serde(default)]
    pub needs: Option<Permission>,
    /// The event they would have decided; with the permission `check` only.
    #[serde(default)]
    pub asks: Option<Asks>,
    /// `allowed`; `unknown` for a caller the policy does not name; `role`; or what their matters do not cover: `source`,
    /// `scenario`, `stage`, `region`, `purpose`, `item`.
    pub expect: String,
}

/// The event of a case, as far as a policy looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asks {
    /// The business system; the caller's name when left out.
    #[serde(default)]
    pub source: Option<String>,
    /// The scenario.
    pub scenario: String,
    /// The stage.
    pub stage: String,
    /// The region.
    pub region: String,
    /// Why.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The matter code.
    #[serde(default)]
    pub item: Option<String>,
}

/// What a policy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Answered {
    /// They may.
    #[error("this caller may do this")]
    Allowed,
    /// The policy does not name them.
    #[error("there is no such caller")]
    Unknown,
    /// None of their roles may do this.
    #[error("none of this caller's roles may do this")]
    Role,
    /// They do not deal with it.
    #[error(transparent)]
    Outside(#[from] Outside),
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The policy answers as expected.
    Held,
    /// It answers something else.
    Differs(Answered),
    /// The case itself is not right.
    Unclear(String),
}

impl Answered {
    /// The word for it, as cases write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Unknown => "unknown",
            Self::Role => "role",
            Self::Outside(outside) => outside.word(),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Allowed, Self::Unknown, Self::Role]
            .into_iter()
            .chain(Outside::EVERY.map(Self::Outside))
            .find(|answer| answer.word() == word)
    }
}

impl Trial {
    /// Puts the case to the policy.
    #[must_use]
    pub fn put_to(&self, policy: &Policy) -> Tried {
        let Some(expected) = Answered::parse(&self.expect) else {
            return Tried::Unclear(format!("`{}` is no answer of a policy", self.expect));
        };
        match self.answer(policy) {
            Err(unclear) => Tried::Unclear(unclear),
            Ok(answered) if answered == expected => Tried::Held,
            Ok(answered) => Tried::Differs(answered),
        }
    }

    fn answer(&self, policy: &Policy) -> Result<Answered, String> {
        let needs = self.needs.unwrap_or(Permission::Check);
        if self.asks.is_some() != (needs == Permission::Check) {
            let what = match self.asks {
                Some(_) => "`asks` goes with the permission `check` only",
                None => "`asks` is missing: the event that is to be decided",
            };
            return Err(what.to_owned());
        }
        let Some(asks) = &self.asks else {
            return Ok(policy.answer(&self.caller, needs, None));
        };
        let region =
            Region::parse(&asks.region).ok_or_else(|| format!("`{}` is no region", asks.region))?;
        let question = Question {
            source: asks.source.as_deref().unwrap_or(&self.caller),
            scenario: &asks.scenario,
            stage: &asks.stage,
            region,
            purpose: asks.purpose.as_deref(),
            item: asks.item.as_deref(),
        };
        Ok(policy.answer(&self.caller, needs, Some(&question)))
    }
}

impl Policy {
    /// Whether a caller may do what needs this permission, and, for a check, about that.
    #[must_use]
    pub fn answer(
        &self,
        caller: &str,
        needs: Permission,
        question: Option<&Question<'_>>,
    ) -> Answered {
        let Some(member) = self.member(caller) else {
            return Answered::Unknown;
        };
        if !member.permissions().contains(needs) {
            return Answered::Role;
        }
        match question.map_or(Ok(()), |question| member.scope.covers(question)) {
            Ok(()) => Answered::Allowed,
            Err(outside) => Answered::Outside(outside),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
callers:
- name: tender-platform
  department: 示例市公共资源交易中心
  roles: [business]
  sources: [tender-platform]
  matters:
  - {scenario: tender, regions: ["329900"]}
cases:
- {name: 本市招标, caller: tender-platform, asks: {scenario: tender, stage: evaluate, region: "329905"}, expect: allowed}
- {name: 外地, caller: tender-platform, asks: {scenario: tender, stage: evaluate, region: "320100"}, expect: region}
- {name: 冒用来源, caller: tender-platform, asks: {source: land, scenario: tender, stage: evaluate, region: "329905"}, expect: source}
- {name: 不得发布, caller: tender-platform, needs: publish, expect: role}
- {name: 无名, caller: nobody, needs: publish, expect: unknown}
"#;

    #[test]
    fn cases_are_put_to_their_policy() {
        let policy = Policy::parse(POLICY).unwrap();
        let tried: Vec<_> = policy
            .trials()
            .iter()
            .map(|trial| trial.put_to(&policy))
            .collect();
        assert_eq!(tried, vec![Tried::Held; 5]);
    }

    #[test]
    fn a_case_that_does_not_hold_or_is_not_clear_is_told() {
        let policy = Policy::parse(POLICY).unwrap();
        let local = &policy.trials()[0];
        let check = |trial: Trial, expected: Tried| assert_eq!(trial.put_to(&policy), expected);
        let differs = Trial {
            expect: "stage".to_owned(),
            ..local.clone()
        };
        check(differs, Tried::Differs(Answered::Allowed));
        let unclear = |trial: Trial, part: &str| match trial.put_to(&policy) {
            Tried::Unclear(why) => assert!(why.contains(part), "{why}"),
            other => panic!("{other:?}"),
        };
        unclear(
            Trial {
                expect: "maybe".to_owned(),
                ..local.clone()
            },
            "`maybe` is no answer",
        );
        unclear(
            Trial {
                needs: Some(Permission::Read),
                ..local.clone()
            },
            "goes with the permission `check`",
        );
        unclear(
            Trial {
                asks: None,
                ..local.clone()
            },
            "`asks` is missing",
        );
        let mut nowhere = local.clone();
        nowhere.asks.as_mut().unwrap().region = "33".to_owned();
        unclear(nowhere, "`33` is no region");
    }
}
