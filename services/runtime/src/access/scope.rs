//! The matters that a caller deals with: only about those it may have events decided, and only their verdicts it may read.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use creditgate_measures::event::{Event, Region};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

use super::view::Sight;

/// What one caller deals with, as the policy says.
#[derive(Debug)]
pub struct Scope {
    /// The department it belongs to, or works for.
    pub department: Arc<str>,
    /// The sources whose events it sends; none: any.
    pub sources: Option<BTreeSet<Arc<str>>>,
    /// A question is covered when one of these covers it.
    pub matters: Vec<Matter>,
    /// What it may know of what it is told.
    pub sight: Sight,
    pace: Option<Pace>,
    reports: Option<Pace>,
}

/// One kind of matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matter {
    /// Code of the scenario; none: every one.
    pub scenario: Option<Arc<str>>,
    /// Stages of it; none: all.
    pub stages: Option<BTreeSet<Arc<str>>>,
    /// Regions, each with what lies in it.
    pub regions: Vec<Region>,
    /// Purposes of which the question must state one; none: any, or no purpose.
    pub purposes: Option<BTreeSet<Arc<str>>>,
    /// Matter codes (事项编码) of which the question must state one; none: any, or no code.
    pub items: Option<BTreeSet<Arc<str>>>,
}

/// What is asked, as far as a policy looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The business system that the event is of.
    pub source: &'a str,
    /// The scenario.
    pub scenario: &'a str,
    /// The stage.
    pub stage: &'a str,
    /// Where it takes place.
    pub region: Region,
    /// Why the caller asks.
    pub purpose: Option<&'a str>,
    /// The matter code.
    pub item: Option<&'a str>,
}

/// What of a question no matter covers, of the matter that comes closest. In the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Outside {
    /// The source is another's.
    #[error("this caller does not send events of that source")]
    Source,
    /// No matter of that scenario.
    #[error("this caller does not deal with that scenario")]
    Scenario,
    /// Not at that stage.
    #[error("this caller does not deal with that stage of the scenario")]
    Stage,
    /// Not there.
    #[error("this caller does not deal with that region")]
    Region,
    /// Not for that purpose.
    #[error("this caller may not ask for that purpose, or must state one")]
    Purpose,
    /// Not for that item.
    #[error("this caller does not deal with that item code, or must state one")]
    Item,
}

impl Outside {
    /// Every one there is.
    pub const EVERY: [Self; 6] = [
        Self::Source,
        Self::Scenario,
        Self::Stage,
        Self::Region,
        Self::Purpose,
        Self::Item,
    ];

    /// The word for it, as the cases of a policy write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Scenario => "scenario",
            Self::Stage => "stage",
            Self::Region => "region",
            Self::Purpose => "purpose",
            Self::Item => "item",
        }
    }
}

impl<'a> From<&'a Event> for Question<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            source: event.source.as_str(),
            scenario: event.scenario.as_str(),
            stage: event.stage.as_str(),
            region: event.region,
            purpose: event.purpose.as_deref(),
            item: event.item_code.as_deref(),
        }
    }
}

impl Matter {
    /// What it does not cover of the question.
    fn misses(&self, question: &Question<'_>) -> Result<(), Outside> {
        self.misses_place(question.scenario, question.stage, question.region)?;
        let states = |allowed: &Option<BTreeSet<Arc<str>>>, stated: Option<&str>| {
            allowed
                .as_ref()
                .is_none_or(|allowed| stated.is_some_and(|stated| allowed.contains(stated)))
        };
        if !states(&self.purposes, question.purpose) {
            return Err(Outside::Purpose);
        }
        if !states(&self.items, question.item) {
            return Err(Outside::Item);
        }
        Ok(())
    }

    fn misses_place(&self, scenario: &str, stage: &str, region: Region) -> Result<(), Outside> {
        if self.scenario.as_deref().is_some_and(|own| own != scenario) {
            return Err(Outside::Scenario);
        }
        if let Some(stages) = &self.stages
            && !stages.contains(stage)
        {
            return Err(Outside::Stage);
        }
        match self.regions.iter().any(|own| own.contains(region)) {
            true => Ok(()),
            false => Err(Outside::Region),
        }
    }
}

impl Scope {
    /// A scope of these matters; of what it is told it may know as little as can be, until [`Scope::seeing`] says more.
    #[must_use]
    pub fn new(
        department: Arc<str>,
        sources: Option<BTreeSet<Arc<str>>>,
        matters: Vec<Matter>,
        checks_per_second: Option<NonZeroU32>,
    ) -> Self {
        Self {
            department,
            sources,
            matters,
            sight: Sight::nothing(),
            pace: checks_per_second.map(Pace::a_second),
            reports: None,
        }
    }

    /// The same, with so many subjects' reports an hour; none: any number.
    #[must_use]
    pub fn with_reports(self, reports_per_hour: Option<NonZeroU32>) -> Self {
        Self {
            reports: reports_per_hour.map(Pace::an_hour),
            ..self
        }
    }

    /// The same, which goes on with what another one has counted, where as much is agreed as there.
    #[must_use]
    pub fn counting_on(&self, before: &Self) -> Self {
        let on = |now: &Option<Pace>, before: &Option<Pace>| match (now, before) {
            (Some(now), Some(before)) if now.most == before.most => Some(before.clone()),
            (now, _) => now.clone(),
        };
        Self {
            department: Arc::clone(&self.department),
            sources: self.sources.clone(),
            matters: self.matters.clone(),
            sight: self.sight.clone(),
            pace: on(&self.pace, &before.pace),
            reports: on(&self.reports, &before.reports),
        }
    }

    /// The same scope, of whoever may know this.
    #[must_use]
    pub fn seeing(self, sight: Sight) -> Self {
        Self { sight, ..self }
    }

    /// Of whom the policy does not name.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new("".into(), None, Vec::new(), None)
    }

    /// Whether the caller may have this decided.
    ///
    /// # Errors
    /// What of it the closest matter does not cover.
    pub fn covers(&self, question: &Question<'_>) -> Result<(), Outside> {
        if let Some(sources) = &self.sources
            && !sources.contains(question.source)
        {
            return Err(Outside::Source);
        }
        self.closest(|matter| matter.misses(question))
    }

    /// Whether a verdict on such an event is the caller's to read: whoever asked, and why, does not matter.
    ///
    /// # Errors
    /// What of it the closest matter does not cover.
    pub fn covers_reading(
        &self,
        scenario: &str,
        stage: &str,
        region: Region,
    ) -> Result<(), Outside> {
        self.closest(|matter| matter.misses_place(scenario, stage, region))
    }

    /// Whether a case of that scenario that is there is the caller's. A case goes through many stages, so those that a
    /// matter names do not matter.
    #[must_use]
    pub fn covers_case(&self, scenario: &str, region: Region) -> bool {
        self.matters.iter().any(|matter| {
            matter.scenario.as_deref().is_none_or(|own| own == scenario)
                && matter.regions.iter().any(|own| own.contains(region))
        })
    }

    fn closest(&self, misses: impl Fn(&Matter) -> Result<(), Outside>) -> Result<(), Outside> {
        let mut closest = Outside::Scenario;
        for matter in &self.matters {
            match misses(matter) {
                Ok(()) => return Ok(()),
                Err(missed) => closest = closest.max(missed),
            }
        }
        Err(closest)
    }

    /// Counts one check.
    ///
    /// # Errors
    /// When they are too many: how long until there is room for one.
    pub fn take_one(&self) -> Result<(), Duration> {
        self.pace.as_ref().map_or(Ok(()), Pace::take_one)
    }

    /// Counts one subject's report.
    ///
    /// # Errors
    /// As [`Scope::take_one`].
    pub fn take_report(&self) -> Result<(), Duration> {
        self.reports.as_ref().map_or(Ok(()), Pace::take_one)
    }

    /// How many checks a second it may have; none: as many as there is room for.
    #[must_use]
    pub fn checks_per_second(&self) -> Option<NonZeroU32> {
        self.pace.as_ref().map(|pace| pace.most)
    }

    /// How many subjects' reports an hour it may have; none: any number.
    #[must_use]
    pub fn reports_per_hour(&self) -> Option<NonZeroU32> {
        self.reports.as_ref().map(|pace| pace.most)
    }
}

/// So many within a time, and as many at once. Clones count together.
#[derive(Clone)]
struct Pace {
    most: NonZeroU32,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl Pace {
    fn a_second(most: NonZeroU32) -> Self {
        Self::of(most, Quota::per_second(most))
    }

    fn an_hour(most: NonZeroU32) -> Self {
        Self::of(most, Quota::per_hour(most))
    }

    fn of(most: NonZeroU32, quota: Quota) -> Self {
        Self {
            most,
            limiter: Arc::new(DefaultDirectRateLimiter::direct(quota)),
        }
    }

    fn take_one(&self) -> Result<(), Duration> {
        let taken = self.limiter.check();
        taken.map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at most {}", self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> Option<BTreeSet<Arc<str>>> {
        Some(words.iter().map(|word| Arc::from(*word)).collect())
    }

    fn region(text: &str) -> Region {
        Region::parse(text).expect("a region")
    }

    fn tender() -> Scope {
        let of_the_city = Matter {
            scenario: Some("tender".into()),
            stages: set(&["register", "evaluate"]),
            regions: vec![region("329900")],
            purposes: set(&["bid_review"]),
            items: None,
        };
        let of_a_district = Matter {
            scenario: Some("procurement".into()),
            stages: None,
            regions: vec![region("329901")],
            purposes: None,
            items: set(&["P-1"]),
        };
        let matters = vec![of_the_city, of_a_district];
        Scope::new(
            "示例市公共资源交易中心".into(),
            set(&["tender-platform"]),
            matters,
            None,
        )
    }

    const ASKED: Question<'static> = Question {
        source: "tender-platform",
        scenario: "tender",
        stage: "evaluate",
        region: Region::NATION,
        purpose: Some("bid_review"),
        item: None,
    };

    #[test]
    fn what_the_closest_matter_misses_is_told() {
        let here = Question {
            region: region("329905"),
            ..ASKED
        };
        let check = |question: Question<'_>, expected| {
            assert_eq!(tender().covers(&question), expected, "{question:?}")
        };
        check(here, Ok(()));
        check(
            Question {
                source: "land-platform",
                ..here
            },
            Err(Outside::Source),
        );
        check(
            Question {
                scenario: "land",
                ..here
            },
            Err(Outside::Scenario),
        );
        check(
            Question {
                stage: "award",
                ..here
            },
            Err(Outside::Stage),
        );
        check(
            Question {
                region: region("320100"),
                ..here
            },
            Err(Outside::Region),
        );
        check(ASKED, Err(Outside::Region));
        check(
            Question {
                purpose: Some("curiosity"),
                ..here
            },
            Err(Outside::Purpose),
        );
        check(
            Question {
                purpose: None,
                ..here
            },
            Err(Outside::Purpose),
        );
        let bought = Question {
            scenario: "procurement",
            region: region("329901"),
            purpose: None,
            ..here
        };
        check(bought, Err(Outside::Item));
        check(
            Question {
                item: Some("P-2"),
                ..bought
            },
            Err(Outside::Item),
        );
        check(
            Question {
                item: Some("P-1"),
                ..bought
            },
            Ok(()),
        );
        check(
            Question {
                item: Some("P-1"),
                region: region("329902"),
                ..bought
            },
            Err(Outside::Region),
        );
    }

    #[test]
    fn a_verdict_is_read_by_where_it_belongs() {
        let scope = tender();
        assert_eq!(
            scope.covers_reading("tender", "evaluate", region("329905")),
            Ok(())
        );
        assert_eq!(
            scope.covers_reading("procurement", "anything", region("329901")),
            Ok(())
        );
        assert_eq!(
            scope.covers_reading("procurement", "anything", region("329902")),
            Err(Outside::Region)
        );
        assert_eq!(
            scope.covers_reading("tender", "award", region("329905")),
            Err(Outside::Stage)
        );
        assert_eq!(
            scope.covers_reading("land", "evaluate", region("329905")),
            Err(Outside::Scenario)
        );
    }

    #[test]
    fn a_case_is_of_a_matter_at_whatever_stage_it_is() {
        let scope = tender();
        assert!(scope.covers_case("tender", region("329905")));
        assert!(scope.covers_case("procurement", region("329901")));
        assert!(!scope.covers_case("procurement", region("329902")));
        assert!(!scope.covers_case("land", region("329905")));
        assert!(!Scope::nothing().covers_case("tender", region("329905")));
    }

    #[test]
    fn whoever_deals_with_nothing_asks_nothing() {
        let scope = Scope::nothing();
        assert_eq!(scope.covers(&ASKED), Err(Outside::Scenario));
        assert!(
            scope
                .covers_reading("tender", "evaluate", Region::NATION)
                .is_err()
        );
        let everything = Matter {
            scenario: None,
            stages: None,
            regions: vec![Region::NATION],
            purposes: None,
            items: None,
        };
        let scope = Scope::new("示例市".into(), None, vec![everything], None);
        assert_eq!(scope.covers(&ASKED), Ok(()));
        assert_eq!(
            scope.covers_reading("tender", "evaluate", region("110000")),
            Ok(())
        );
    }

    #[test]
    fn more_checks_than_agreed_wait() {
        let scope = Scope::new("示例市".into(), None, Vec::new(), NonZeroU32::new(2));
        assert_eq!((scope.take_one(), scope.take_one()), (Ok(()), Ok(())));
        let wait = scope
            .take_one()
            .expect_err("two a second, and as many at once");
        assert!(wait <= Duration::from_millis(500), "{wait:?}");
        let unbounded = Scope::new("示例市".into(), None, Vec::new(), None);
        assert!((0..1_000).all(|_| unbounded.take_one().is_ok()));
    }

    #[test]
    fn what_was_counted_stays_where_as_much_is_agreed() {
        let agreed = |checks, reports| {
            Scope::new("示例市".into(), None, Vec::new(), NonZeroU32::new(checks))
                .with_reports(NonZeroU32::new(reports))
        };
        let before = agreed(1, 1);
        assert_eq!((before.take_one(), before.take_report()), (Ok(()), Ok(())));
        let same = agreed(1, 1).counting_on(&before);
        assert!(same.take_report().is_err());
        let more = agreed(1, 2).counting_on(&before);
        assert_eq!((more.take_report(), more.take_report()), (Ok(()), Ok(())));
        let wait = more.take_report().expect_err("two an hour");
        assert!(wait > Duration::from_secs(60), "{wait:?}");
        let none = agreed(0, 0).counting_on(&before);
        assert_eq!(
            (none.checks_per_second(), none.reports_per_hour()),
            (None, None)
        );
        assert_eq!((none.take_one(), none.take_report()), (Ok(()), Ok(())));
    }
}
