//! The policy file: read, and refused with every fault it has.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creditgate_measures::book::Book;
use creditgate_measures::event::Region;
use creditgate_measures::vocabulary::Effect;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::scope::{Matter, Scope};
use super::trial::{Trial, Tried};
use super::view::{AGE_YEARS, EVERY_PURPOSE, Entries, Reasons, Standing, View, Views};
use crate::callers::{Permission, Permissions};

/// What stands for every scenario, or every source.
const EVERY: &str = "*";

/// Subjects' reports that a clerk at a window may have within an hour, where the policy does not say.
const REPORTS_PER_HOUR: NonZeroU32 = NonZeroU32::new(60).expect("more than none");

/// What each caller may do. Whom it does not name may do nothing.
#[derive(Debug, Default)]
pub struct Policy {
    members: BTreeMap<String, Member>,
    trials: Vec<Trial>,
}

/// One caller of a policy.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its roles, without repetition.
    pub roles: BTreeSet<Role>,
    /// What it deals with.
    pub scope: Arc<Scope>,
    /// Line in the file.
    pub line: u64,
}

/// A duty in the work with public credit, and the permissions that go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A business system: has events decided, and reports what was carried out.
    Business,
    /// Brings lists.
    ListSource,
    /// Decides what is proposed.
    Reviewer,
    /// Puts measures in force.
    Publisher,
    /// Looks after systems that something is sent to (系统管理员).
    SystemAdministrator,
    /// Sees who may do what (安全管理员).
    SecurityAdministrator,
    /// Sees who did what (审计管理员).
    Auditor,
    /// Serves subjects at a window (窗口人员): tells them what is kept of them, takes their objections.
    WindowClerk,
}

/// Why a policy is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("read access policy `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// What it says is not right.
    #[error("access policy `{}`: {}", path.display(), faults.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Every fault with its line.
        faults: Vec<String>,
    },
}

impl Role {
    /// Every one there is.
    pub const EVERY: [Self; 8] = [
        Self::Business,
        Self::ListSource,
        Self::Reviewer,
        Self::Publisher,
        Self::SystemAdministrator,
        Self::SecurityAdministrator,
        Self::Auditor,
        Self::WindowClerk,
    ];

    /// The word for it, as a policy writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::ListSource => "list_source",
            Self::Reviewer => "reviewer",
            Self::Publisher => "publisher",
            Self::SystemAdministrator => "system_administrator",
            Self::SecurityAdministrator => "security_administrator",
            Self::Auditor => "auditor",
            Self::WindowClerk => "window_clerk",
        }
    }

    /// What it may do.
    #[must_use]
    pub const fn permissions(self) -> &'static [Permission] {
        match self {
            Self::Business => &[Permission::Check, Permission::Feedback],
            Self::ListSource => &[Permission::Lists],
            Self::Reviewer => &[Permission::Read, Permission::Cases],
            Self::Publisher => &[Permission::Read, Permission::Publish, Permission::Simulate],
            Self::SystemAdministrator => &[Permission::Operate],
            Self::SecurityAdministrator => &[Permission::Secure],
            Self::Auditor => &[Permission::Read, Permission::Watch, Permission::Audit],
            Self::WindowClerk => &[Permission::Subject],
        }
    }

    /// Whether it is one of the three that no one person may hold two of (GB/T 22239, level 3).
    #[must_use]
    pub const fn is_administrators(self) -> bool {
        matches!(
            self,
            Self::SystemAdministrator | Self::SecurityAdministrator | Self::Auditor
        )
    }

    /// Whether what it may do depends on the matters it deals with. Of a clerk at a window it does not: a subject is told
    /// of itself, whoever asked about it.
    const fn has_matters(self) -> bool {
        matches!(
            self,
            Self::Business | Self::Reviewer | Self::Publisher | Self::Auditor
        )
    }

    /// Whether it decides about verdicts and entries, or looks into what was decided: the whole explanation is theirs (spec 3).
    const fn decides(self) -> bool {
        matches!(self, Self::Reviewer | Self::Auditor)
    }

    /// Whether answers to it may name others than it asked about.
    const fn is_told_of_others(self) -> bool {
        matches!(
            self,
            Self::ListSource | Self::Reviewer | Self::Publisher | Self::Auditor
        )
    }
}

impl Member {
    /// What all its roles may do.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        let roles = self.roles.iter();
        roles.flat_map(|role| role.permissions()).copied().collect()
    }

    /// Whether answers to it may name others than it asked about.
    #[must_use]
    pub fn is_told_of_others(&self) -> bool {
        self.roles.iter().any(|role| role.is_told_of_others())
    }
}

impl Policy {
    /// Reads a policy whose cases hold.
    ///
    /// # Errors
    /// When it cannot be read, or has faults: then with all of them.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let policy = Self::read(path)?;
        let faults = policy.untrue();
        match faults.is_empty() {
            true => Ok(policy),
            false => Err(Error::Invalid {
                path: path.to_owned(),
                faults,
            }),
        }
    }

    /// Reads a policy whose cases need not hold.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|faults| Error::Invalid {
            path: path.to_owned(),
            faults,
        })
    }

    /// Its cases that do not hold, in words.
    #[must_use]
    pub fn untrue(&self) -> Vec<String> {
        let told = self.trials.iter().filter_map(|trial| {
            let got = match trial.put_to(self) {
                Tried::Held => return None,
                Tried::Differs(answered) => {
                    format!("expected {}, got {}", trial.expect, answered.word())
                }
                Tried::Shows(view) => {
                    let expected = trial.view.as_deref().unwrap_or_default();
                    format!("expected the view `{expected}`, got `{view}`")
                }
                Tried::Unclear(why) => why,
            };
            Some(format!("case `{}`: {got}", trial.name))
        });
        told.collect()
    }

    /// Reads the text of a policy.
    ///
    /// # Errors
    /// Every fault with its line.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            let message = error.without_snippet().to_string();
            let first = message.lines().next().unwrap_or_default();
            vec![format!("line {line}: {first}")]
        })?;
        written.validate()
    }

    /// What it says of a caller.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.get(name)
    }

    /// Whom it names.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        let members = self.members.iter();
        members.map(|(name, member)| (name.as_str(), member))
    }

    /// Its cases.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Lists, scenarios and stages that the book does not know: what is said of them never applies.
    #[must_use]
    pub fn unknown_to(&self, book: &Book) -> Vec<String> {
        let mut unknown = BTreeSet::new();
        for (name, member) in &self.members {
            let line = member.line;
            let lists = member
                .scope
                .sight
                .lists
                .iter()
                .flat_map(|lists| lists.iter());
            for code in lists.filter(|code| book.list(code).is_none()) {
                unknown.insert((line, format!("`{name}`: the book has no list `{code}`")));
            }
            for matter in &member.scope.matters {
                let Some(code) = matter.scenario.as_deref() else {
                    continue;
                };
                let Some(scenario) = book.scenario(code) else {
                    unknown.insert((line, format!("`{name}`: the book has no scenario `{code}`")));
                    continue;
                };
                let stages = matter.stages.iter().flatten();
                for stage in stages.filter(|stage| scenario.stage(stage).is_none()) {
                    let what = format!("`{name}`: the scenario `{code}` has no stage `{stage}`");
                    unknown.insert((line, what));
                }
            }
        }
        let told = unknown.into_iter();
        told.map(|(line, what)| format!("line {line}: {what}"))
            .collect()
    }
}

/// The file as people write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    callers: Vec<WrittenMember>,
    /// By purpose.
    #[serde(default)]
    views: BTreeMap<String, WrittenView>,
    #[serde(default)]
    max_age_years: Option<u32>,
    #[serde(default)]
    cases: Vec<Trial>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMember {
    name: Spanned<String>,
    department: String,
    roles: Vec<Role>,
    #[serde(default)]
    sources: Option<Vec<String>>,
    #[serde(default)]
    matters: Vec<WrittenMatter>,
    #[serde(default)]
    checks_per_second: Option<u32>,
    #[serde(default)]
    reports_per_hour: Option<u32>,
    #[serde(default)]
    lists: Option<Vec<String>>,
    #[serde(default)]
    unmasked: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenView {
    #[serde(default)]
    reasons: Option<Reasons>,
    #[serde(default)]
    entries: Option<Entries>,
    #[serde(default)]
    measures_up_to: Option<Spanned<String>>,
}

/// What holds for every caller of a policy.
struct Common {
    views: Views,
    age_years: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMatter {
    scenario: Spanned<String>,
    #[serde(default)]
    stages: Option<Vec<String>>,
    regions: Vec<String>,
    #[serde(default)]
    purposes: Option<Vec<String>>,
    #[serde(default)]
    items: Option<Vec<String>>,
}

impl Written {
    fn validate(self) -> Result<Policy, Vec<String>> {
        let mut faults = Vec::new();
        let mut members = BTreeMap::<String, Member>::new();
        let mut views = Views::default();
        for (purpose, written) in self.views {
            let view = written.validate(&purpose, &mut faults);
            views.insert(&purpose, view);
        }
        let age_years = self.max_age_years.unwrap_or(AGE_YEARS);
        if !(1..=AGE_YEARS).contains(&age_years) {
            faults.push(format!(
                "`max_age_years` is {age_years}: from 1 to {AGE_YEARS}, for the law has nothing given out longer \
                 (上海条例 art. 35)"
            ));
        }
        let common = Common { views, age_years };
        for written in self.callers {
            let name = written.name.value.clone();
            let member = written.validate(&common, &mut faults);
            if let Some(first) = members.get(&name) {
                faults.push(format!(
                    "line {}: `{name}` is also the caller of line {}",
                    member.line, first.line
                ));
                continue;
            }
            members.insert(name, member);
        }
        match faults.is_empty() {
            true => Ok(Policy {
                members,
                trials: self.cases,
            }),
            false => Err(faults),
        }
    }
}

impl WrittenView {
    fn validate(self, purpose: &str, faults: &mut Vec<String>) -> View {
        let standard = View::standard();
        let measures_up_to = self.measures_up_to.and_then(|written| {
            let effect = Effect::parse(&written.value);
            if effect.is_none() {
                let line = written.referenced.line();
                let known: Vec<_> = Effect::ALL.iter().map(|effect| effect.code()).collect();
                faults.push(format!(
                    "line {line}: the view of `{purpose}` has measures up to `{}`, which is no effect; known: {}",
                    written.value,
                    known.join(", ")
                ));
            }
            effect
        });
        if purpose.trim().is_empty() {
            faults.push(format!(
                "a view has no purpose; `{EVERY_PURPOSE}` is the one of every purpose that has none of its own"
            ));
        }
        View {
            name: purpose.into(),
            reasons: self.reasons.unwrap_or(standard.reasons),
            entries: self.entries.unwrap_or(standard.entries),
            measures_up_to,
            lists: None,
        }
    }
}

impl WrittenMember {
    fn validate(self, common: &Common, faults: &mut Vec<String>) -> Member {
        let (name, line) = (self.name.value, self.name.referenced.line());
        let mut fault = |what: String| faults.push(format!("line {line}: `{name}` {what}"));
        if self.department.trim().is_empty() {
            fault("needs the `department` that it belongs to or works for".to_owned());
        }
        let roles: BTreeSet<Role> = self.roles.into_iter().collect();
        if roles.is_empty() {
            fault("may do nothing; name at least one of its `roles`".to_owned());
        }
        let duties: Vec<_> = roles
            .iter()
            .filter(|role| role.is_administrators())
            .map(|role| format!("`{}`", role.word()))
            .collect();
        if duties.len() > 1 {
            let duties = duties.join(" and ");
            fault(format!(
                "is {duties}: nobody may look after the system, say who may do what, and look into what was done; \
                 give each to somebody else"
            ));
        }
        let depends = roles.iter().any(|role| role.has_matters());
        if depends && self.matters.is_empty() {
            fault(
                "deals with nothing; name its `matters`, each with a scenario (`*` for every one) and regions"
                    .to_owned(),
            );
        }
        if !depends && !roles.is_empty() && !self.matters.is_empty() {
            fault("has `matters` and no role that looks at them".to_owned());
        }
        if self.sources.as_ref().is_some_and(Vec::is_empty) {
            fault(
                "has `sources` without any; leave it out for the one of its own name, or name `*` for every one"
                    .to_owned(),
            );
        }
        let checks_per_second = self.checks_per_second.map(NonZeroU32::new);
        if checks_per_second == Some(None) {
            fault(
                "has `checks_per_second: 0`; leave out its role `business` to refuse them all"
                    .to_owned(),
            );
        }
        let is_clerk = roles.contains(&Role::WindowClerk);
        let reports_per_hour = match self.reports_per_hour.map(NonZeroU32::new) {
            None => is_clerk.then_some(REPORTS_PER_HOUR),
            Some(None) => {
                fault(
                    "has `reports_per_hour: 0`; leave out its role `window_clerk` to refuse them all"
                        .to_owned(),
                );
                None
            }
            Some(some) => {
                if !is_clerk {
                    fault("has `reports_per_hour` and is no `window_clerk`".to_owned());
                }
                some
            }
        };
        if self.lists.as_ref().is_some_and(Vec::is_empty) {
            fault("has `lists` without any; leave it out for every list of the book".to_owned());
        }
        if self.unmasked && !roles.iter().any(|role| role.is_told_of_others()) {
            fault("is `unmasked` and has no role that is told of others".to_owned());
        }
        let standing = match roles.iter().any(|role| role.decides()) {
            true => Standing::Decides,
            false => Standing::Asks {
                age_years: common.age_years,
            },
        };
        let lists = self.lists.map(|lists| Arc::new(words(lists)));
        let sight = common.views.sight(lists, self.unmasked, standing);
        let matters = self.matters.into_iter();
        let matters = matters.map(|matter| matter.validate(faults)).collect();
        let sources = match self.sources {
            // Somebody else's events are somebody else's to send.
            None => Some([Arc::from(name.as_str())].into()),
            Some(all) if all == [EVERY] => None,
            Some(some) => Some(words(some)),
        };
        let scope = Scope::new(
            self.department.into(),
            sources,
            matters,
            checks_per_second.flatten(),
        )
        .with_reports(reports_per_hour);
        Member {
            roles,
            scope: Arc::new(scope.seeing(sight)),
            line,
        }
    }
}

impl WrittenMatter {
    fn validate(self, faults: &mut Vec<String>) -> Matter {
        let line = self.scenario.referenced.line();
        let scenario = self.scenario.value;
        let mut fault = |what: String| faults.push(format!("line {line}: {what}"));
        if self.regions.is_empty() {
            fault("a matter needs `regions`; `100000` is the whole country".to_owned());
        }
        let mut regions = Vec::new();
        for text in self.regions {
            match Region::parse(&text) {
                Some(region) => regions.push(region),
                None => fault(format!(
                    "`{text}` is no region: six digits of GB/T 2260, in quotation marks"
                )),
            }
        }
        if scenario == EVERY && self.stages.is_some() {
            fault("stages are of one scenario; leave them out with `*`".to_owned());
        }
        let lists = [
            ("stages", &self.stages),
            ("purposes", &self.purposes),
            ("items", &self.items),
        ];
        for (key, list) in lists {
            if list.as_ref().is_some_and(Vec::is_empty) {
                fault(format!("`{key}` is empty; leave it out for any"));
            }
        }
        Matter {
            scenario: (scenario != EVERY).then(|| scenario.into()),
            stages: self.stages.map(words),
            regions,
            purposes: self.purposes.map(words),
            items: self.items.map(words),
        }
    }
}

fn words(written: Vec<String>) -> BTreeSet<Arc<str>> {
    written.into_iter().map(Arc::from).collect()
}

#[cfg(test)]
mod tests;
