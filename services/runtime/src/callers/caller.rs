//! Somebody who was recognised: what they may do, and what is noted of it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use creditgate_measures::event::Region;
use creditgate_proto::v1;
use tokio::sync::watch;

use super::permission::in_words;
use super::{INBOX, KAFKA, Permission, Permissions};
use crate::access::{
    Answered, Call, Matter, Noted, Outcome, Outside, Question, ReportAsked, Scope, Sees, Sight,
    View,
};

/// Somebody who was recognised. Only [`Callers::authenticate`] makes one for a call; [`Caller::inbox`] and
/// [`Caller::kafka`] are no calls.
#[derive(Clone, Debug)]
pub struct Caller {
    known: Arc<KnownAs>,
    /// What this is: none where it is no call.
    call: Option<Arc<Call>>,
}

/// What is known of a caller.
#[derive(Debug)]
pub(super) struct KnownAs {
    pub name: Arc<str>,
    pub may: Permissions,
    pub shared: bool,
    /// None where there is no access policy: then permissions are all that limits.
    pub scope: Option<Arc<Scope>>,
    /// What has become of it since.
    pub became: watch::Sender<Became>,
}

/// What becomes of a caller when it is read again who may call.
#[derive(Clone, Debug, Default)]
pub(super) enum Became {
    /// Nothing so far.
    #[default]
    Itself,
    /// It is known as this one now.
    Another(Caller),
    /// Nobody: it is not there any more, or what it was known by is not.
    Nobody,
}

/// What the caller said of a call, as far as the record of calls keeps it.
#[derive(Clone, Copy, Default)]
struct Stated<'a> {
    report: ReportAsked<'a>,
    unmasked_for: &'a str,
}

/// Nobody else has the name.
impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        self.known.name == other.known.name
    }
}

impl Eq for Caller {}

/// A recognised caller may not do this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// It lacks the permission.
    #[error("this caller may not do this: it needs the permission {}", in_words(.0))]
    Lacks(&'static [Permission]),
    /// It does not deal with it.
    #[error(transparent)]
    Outside(#[from] Outside),
    /// It has had as many subjects' reports as it may within an hour; how long until there may be one more.
    #[error("more subjects' reports an hour than the access policy allows")]
    TooManyReports(Duration),
}

impl Caller {
    pub(super) fn new(known: KnownAs) -> Caller {
        Caller {
            known: Arc::new(known),
            call: None,
        }
    }

    /// Somebody who is not one person.
    pub(super) fn shared_by_all(name: &str, may: Permissions) -> Caller {
        Caller::new(KnownAs {
            name: name.into(),
            may,
            shared: true,
            scope: None,
            became: watch::Sender::default(),
        })
    }

    /// The same caller, whose limits go on with what another one has counted.
    pub(super) fn counting_on(&self, before: &Caller) -> Caller {
        let (Some(scope), Some(counted)) = (&self.known.scope, &before.known.scope) else {
            return self.clone();
        };
        Caller::new(KnownAs {
            name: self.shared_name(),
            may: self.known.may,
            shared: self.known.shared,
            scope: Some(Arc::new(scope.counting_on(counted))),
            became: watch::Sender::default(),
        })
    }

    /// Tells streams that stand what has become of it.
    pub(super) fn becomes(&self, became: Became) {
        self.known.became.send_replace(became);
    }

    pub(super) fn follows(&self) -> watch::Receiver<Became> {
        let mut became = self.known.became.subscribe();
        // It may have become another before.
        became.mark_changed();
        became
    }

    /// This caller in the call of another one, which it was before.
    pub(super) fn instead_of(&self, before: &Caller) -> Caller {
        self.calling(before.call.clone())
    }

    /// The same caller, in this call.
    pub(super) fn calling(&self, call: Option<Arc<Call>>) -> Caller {
        Caller {
            known: Arc::clone(&self.known),
            call,
        }
    }

    /// The watched folder of this process: it brings lists, and may do nothing else. Who may put files there, the
    /// operating system decides.
    pub fn inbox() -> Caller {
        Caller::shared_by_all(INBOX, [Permission::Lists].into_iter().collect())
    }

    /// Whoever published an event on Kafka: it has events decided, and may do nothing else. Who may publish there, the
    /// broker decides.
    pub fn kafka() -> Caller {
        static ANYBODY: LazyLock<Caller> = LazyLock::new(|| {
            Caller::shared_by_all(KAFKA, [Permission::Check].into_iter().collect())
        });
        ANYBODY.clone()
    }

    /// The name, as kept with every record.
    pub fn name(&self) -> &str {
        &self.known.name
    }

    /// The name, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.known.name.clone()
    }

    /// Whether several people call by this name: then it tells nobody from another, and whoever holds the key
    /// answers for the names of officials that it sends. Who calls without a key is one of them.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.known.shared
    }

    /// The department it belongs to, as the access policy says.
    #[must_use]
    pub fn department(&self) -> Option<&str> {
        self.known.scope.as_ref().map(|scope| &*scope.department)
    }

    /// Whether this caller may do that.
    pub fn may(&self, permission: Permission) -> bool {
        self.known.may.contains(permission)
    }

    /// Lets this caller do that, and takes note of it; of checks only where they are refused, for they leave verdicts.
    ///
    /// # Errors
    /// When it may not.
    pub fn permit(&self, permission: Permission) -> Result<(), NotPermitted> {
        self.permit_by(permission.alone())
    }

    /// As [`Caller::permit`], where each of several permissions is enough.
    ///
    /// # Errors
    /// When it has none of them.
    pub fn permit_by(&self, permissions: &'static [Permission]) -> Result<(), NotPermitted> {
        self.permit_with(permissions, Stated::default())
    }

    /// Lets this caller have a subject's report, which is noted with what is said of it.
    ///
    /// # Errors
    /// When it may not, or has had as many as it may within an hour: then how long to wait.
    pub fn permit_report(&self, asked: &ReportAsked<'_>) -> Result<(), NotPermitted> {
        let stated = Stated {
            report: *asked,
            ..Stated::default()
        };
        if self.may(Permission::Subject)
            && let Some(scope) = &self.known.scope
            && let Err(wait) = scope.take_report()
        {
            let refused = NotPermitted::TooManyReports(wait);
            self.note_with(Outcome::TooMany, || refused.to_string(), stated);
            return Err(refused);
        }
        self.permit_with(Permission::Subject.alone(), stated)
    }

    /// As [`Caller::permit`], for a call whose answer may show people: what of them it sees. Whoever says why is shown them
    /// in full, if the access policy lets them, and then the reason is noted.
    ///
    /// # Errors
    /// When it may not.
    pub fn permit_to_see(
        &self,
        permission: Permission,
        reason: Option<&str>,
    ) -> Result<Sees, NotPermitted> {
        let sees = match &self.known.scope {
            None => Sees::default(),
            Some(scope) => scope.sight.sees(reason.is_some()),
        };
        let stated = Stated {
            unmasked_for: reason.filter(|_| !sees.masked).unwrap_or_default(),
            ..Stated::default()
        };
        self.permit_with(permission.alone(), stated)?;
        Ok(sees)
    }

    fn permit_with(
        &self,
        permissions: &'static [Permission],
        stated: Stated<'_>,
    ) -> Result<(), NotPermitted> {
        if permissions.iter().any(|one| self.may(*one)) {
            if permissions != [Permission::Check] {
                self.note_with(Outcome::Allowed, String::new, stated);
            }
            return Ok(());
        }
        let refused = NotPermitted::Lacks(permissions);
        self.note(Outcome::PermissionDenied, || refused.to_string());
        Err(refused)
    }

    /// Lets this caller have an event decided, as far as what it is about goes, and takes note when not.
    ///
    /// # Errors
    /// When it does not deal with that.
    pub fn asks_about<'a>(&self, question: impl Into<Question<'a>>) -> Result<(), NotPermitted> {
        let Some(scope) = &self.known.scope else {
            return Ok(());
        };
        scope.covers(&question.into()).map_err(|outside| {
            self.note(Outcome::Outside, || outside.to_string());
            outside.into()
        })
    }

    /// What it may do.
    pub(crate) fn answer(&self, needs: Permission, question: Option<&Question<'_>>) -> Answered {
        Answered::of(self.known.may, self.known.scope.as_deref(), needs, question)
    }

    /// Whether the verdict on this event is this caller's to read; takes note when not.
    #[must_use]
    pub fn reads(&self, event: Option<&v1::Event>) -> bool {
        let deals = self.deals_with(event);
        if !deals {
            self.note(Outcome::Outside, || {
                "asked for a verdict of matters that it does not deal with".to_owned()
            });
        }
        deals
    }

    /// Whether it deals with such events, whatever for. Without an event nobody knows, and only those may have it to whom no
    /// policy sets limits.
    #[must_use]
    pub fn deals_with(&self, event: Option<&v1::Event>) -> bool {
        let Some(scope) = &self.known.scope else {
            return true;
        };
        event.is_some_and(|event| {
            let region = Region::parse(&event.region);
            region.is_some_and(|region| {
                scope
                    .covers_reading(&event.scenario, &event.stage, region)
                    .is_ok()
            })
        })
    }

    /// Whether a case of that scenario that is in that region (six digits) is this caller's; takes note when not. Where
    /// the region is none, it is nobody's to whom a policy sets limits.
    #[must_use]
    pub fn deals_with_case(&self, scenario: &str, region: &str) -> bool {
        let Some(scope) = &self.known.scope else {
            return true;
        };
        let deals = Region::parse(region).is_some_and(|region| scope.covers_case(scenario, region));
        if !deals {
            self.note(Outcome::Outside, || {
                "asked for a case of matters that it does not deal with".to_owned()
            });
        }
        deals
    }

    /// The matters that it deals with; none where no policy sets limits.
    #[must_use]
    pub fn matters(&self) -> Option<&[Matter]> {
        self.known
            .scope
            .as_ref()
            .map(|scope| scope.matters.as_slice())
    }

    /// The view through which it sees the verdict on an event with this purpose; none: it sees the whole.
    #[must_use]
    pub fn view(&self, purpose: Option<&str>) -> Option<&Arc<View>> {
        self.sight()?.view(purpose)
    }

    /// What it may know of what it is told; none where no policy sets limits.
    #[must_use]
    pub fn sight(&self) -> Option<&Sight> {
        self.known.scope.as_ref().map(|scope| &scope.sight)
    }

    /// What it sees of entries in a call that does not say why.
    #[must_use]
    pub fn sees(&self) -> Sees {
        self.sight()
            .map_or_else(Sees::default, |sight| sight.sees(false))
    }

    /// What it sees of entries in a stream that goes on, which saw this when it began: in full only if it did then, for which
    /// the call said why.
    #[must_use]
    pub fn still_sees(&self, began: &Sees) -> Sees {
        self.sight()
            .map_or_else(Sees::default, |sight| sight.sees(!began.masked))
    }

    /// Has a verdict on this event show what this caller may see of it.
    pub fn show(&self, verdict: &mut v1::Verdict, event: Option<&v1::Event>) {
        let purpose = event.map(|event| event.purpose.as_str());
        if let Some(view) = self.view(purpose.filter(|purpose| !purpose.is_empty())) {
            view.show(verdict);
        }
    }

    /// Counts one check against what was agreed with this caller.
    ///
    /// # Errors
    /// When that is used up: how long to wait.
    pub fn take_one(&self) -> Result<(), Duration> {
        let Some(scope) = &self.known.scope else {
            return Ok(());
        };
        scope.take_one().inspect_err(|_| {
            self.note(Outcome::TooMany, || {
                "more checks a second than the access policy allows".to_owned()
            });
        })
    }

    pub(super) fn note(&self, outcome: Outcome, why: impl FnOnce() -> String) {
        self.note_with(outcome, why, Stated::default());
    }

    fn note_with(&self, outcome: Outcome, why: impl FnOnce() -> String, stated: Stated<'_>) {
        // What is no call is recorded by those who do it.
        let Some(call) = &self.call else { return };
        let scope = self.known.scope.as_ref();
        call.note(Noted {
            caller: Some(self.shared_name()),
            department: scope.map(|scope| Arc::clone(&scope.department)),
            about: call.about(&stated.report),
            unmasked_for: stated.unmasked_for.to_owned(),
            ..Noted::of(call, outcome, why())
        });
    }
}
