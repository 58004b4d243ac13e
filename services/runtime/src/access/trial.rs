//! Cases of a policy: who asks what, and whether they may.

use creditgate_measures::event::Region;
use serde::Deserialize;

use super::policy::Policy;
use super::scope::{Outside, Question, Scope};
use crate::callers::{Permission, Permissions};

/// How a case names what is seen without a view.
const WHOLE: &str = "whole";

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
    /// The event they would have decided, or with the permission `read` or `watch` the event whose verdict they would see.
    #[serde(default)]
    pub asks: Option<Asks>,
    /// `allowed`; `unknown` for a caller the policy does not name; `role`; or what their matters do not cover: `source`,
    /// `scenario`, `stage`, `region`, `purpose`, `item`.
    pub expect: String,
    /// The view through which they see the verdict, by its name; `whole` where they see all of it.
    #[serde(default)]
    pub view: Option<String>,
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
    /// They may, as expected, and see the verdict through another view: this one.
    Shows(String),
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

    /// What somebody with these permissions, who deals with this, may do.
    #[must_use]
    pub(crate) fn of(
        may: Permissions,
        scope: Option<&Scope>,
        needs: Permission,
        question: Option<&Question<'_>>,
    ) -> Self {
        if !may.contains(needs) {
            return Self::Role;
        }
        let (Some(scope), Some(question)) = (scope, question) else {
            return Self::Allowed;
        };
        let covers = match needs {
            Permission::Check => scope.covers(question),
            _ => scope.covers_reading(question.scenario, question.stage, question.region),
        };
        covers.map_or_else(Self::Outside, |()| Self::Allowed)
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
            Ok(answered) if answered != expected => Tried::Differs(answered),
            Ok(_) => self.shown(policy),
        }
    }

    /// Whether they see the verdict as expected.
    fn shown(&self, policy: &Policy) -> Tried {
        let Some(expected) = &self.view else {
            return Tried::Held;
        };
        let Some(asks) = &self.asks else {
            return Tried::Unclear("`view` goes with `asks`: the event of the verdict".to_owned());
        };
        if self.expect != Answered::Allowed.word() {
            return Tried::Unclear("`view` goes with `expect: allowed`".to_owned());
        }
        let member = policy.member(&self.caller);
        let view = member.and_then(|member| member.scope.sight.view(asks.purpose.as_deref()));
        let shown = view.map_or(WHOLE, |view| &*view.name);
        match shown == expected {
            true => Tried::Held,
            false => Tried::Shows(shown.to_owned()),
        }
    }

    fn answer(&self, policy: &Policy) -> Result<Answered, String> {
        let needs = self.needs.unwrap_or(Permission::Check);
        let is_about_events = matches!(
            needs,
            Permission::Check | Permission::Read | Permission::Watch
        );
        if self.asks.is_some() && !is_about_events {
            return Err("`asks` goes with the permissions `check`, `read` and `watch`".to_owned());
        }
        if self.asks.is_none() && needs == Permission::Check {
            return Err("`asks` is missing: the event that is to be decided".to_owned());
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
        match self.member(caller) {
            None => Answered::Unknown,
            Some(member) => {
                Answered::of(member.permissions(), Some(&member.scope), needs, question)
            }
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
- {name: zhao.liu, department: 示例市信用中心, roles: [reviewer], matters: [{scenario: "*", regions: ["329900"]}]}
cases:
- {name: 本市招标, caller: tender-platform, asks: {scenario: tender, stage: evaluate, region: "329905"}, expect: allowed}
- {name: 外地, caller: tender-platform, asks: {scenario: tender, stage: evaluate, region: "320100"}, expect: region}
- {name: 冒用来源, caller: tender-platform, asks: {source: land, scenario: tender, stage: evaluate, region: "329905"}, expect: source}
- {name: 不得发布, caller: tender-platform, needs: publish, expect: role}
- {name: 无名, caller: nobody, needs: publish, expect: unknown}
- {name: 复核, caller: zhao.liu, needs: read, asks: {scenario: land, stage: deal, region: "329905"}, expect: allowed}
- {name: 外地复核, caller: zhao.liu, needs: read, asks: {scenario: land, stage: deal, region: "110000"}, expect: region}
"#;

    #[test]
    fn cases_are_put_to_their_policy() {
        let policy = Policy::parse(POLICY).unwrap();
        let tried: Vec<_> = policy
            .trials()
            .iter()
            .map(|trial| trial.put_to(&policy))
            .collect();
        assert_eq!(tried, vec![Tried::Held; 7]);
    }

    #[test]
    fn a_case_may_say_through_which_view_a_verdict_is_seen() {
        let policy = Policy::parse(POLICY).unwrap();
        let check = |case: usize, view: &str, expected: Tried| {
            let trial = Trial {
                view: Some(view.to_owned()),
                ..policy.trials()[case].clone()
            };
            assert_eq!(trial.put_to(&policy), expected, "{view}");
        };
        check(0, "standard", Tried::Held);
        check(0, "whole", Tried::Shows("standard".to_owned()));
        check(5, "whole", Tried::Held);
        let of_no_event = "`view` goes with `expect: allowed`".to_owned();
        check(1, "standard", Tried::Unclear(of_no_event));
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
                needs: Some(Permission::Publish),
                ..local.clone()
            },
            "goes with the permissions `check`",
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
