//! What is recorded of deliveries, planned against what is known when its turn comes.

use std::sync::Arc;

use creditgate_measures::event::Region;
use creditgate_measures::time::Time;
use creditgate_proto::journal::v1::case_record::What;
use creditgate_proto::journal::v1::{
    DeliveryEnded, DeliveryPaused, DeliveryProgress, DeliveryPut, DeliveryPutAside, DeliveryResent,
    DeliveryResumed, DeliveryTaken,
};
use creditgate_proto::{Violation, v1};
use creditgate_runtime::callers::Caller;
use creditgate_runtime::webhook::Target;

use super::Inner;
use super::item::{Kind, NOTICES};
use super::known::{self, Known};
use super::progress::Progresses;
use crate::error::{ActError, Error};
use crate::state::Refusal;
use crate::table::Lookup;

/// Most deliveries at once: each has a courier, and a series of its own in the metrics.
const DELIVERIES_MAX: usize = 200;
/// Longest text of a department, a source, an implementer or a reason, in characters.
const TEXT_MAX: usize = 256;
/// Most values of one kind of filter.
const VALUES_MAX: usize = 200;
/// The name that records bear which the service makes by itself.
const BY_ITSELF: &str = "deliveries";

/// What is wrong with a delivery that is asked for, as far as the asking alone tells.
pub(super) fn violations(inner: &Inner, asked: &v1::PutDeliveryRequest) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |field: &str, rule: String| violations.push(Violation::new(field, rule));
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if !(1..=64).contains(&asked.name.len()) || !asked.name.bytes().all(fits) {
        let rule = "1 to 64 small letters, digits, `-`, `_` or `.`";
        refuse("name", rule.to_owned());
    }
    if asked.department.trim().is_empty() {
        refuse(
            "department",
            "required: whose system it is (部门)".to_owned(),
        );
    }
    for (field, text) in [("department", &asked.department), ("reason", &asked.reason)] {
        if text.chars().count() > TEXT_MAX {
            refuse(field, format!("at most {TEXT_MAX} characters"));
        }
    }
    for (field, values) in [
        ("scenarios", &asked.scenarios),
        ("regions", &asked.regions),
        ("sources", &asked.sources),
        ("implementers", &asked.implementers),
    ] {
        let long = values.iter().any(|text| text.chars().count() > TEXT_MAX);
        if values.len() > VALUES_MAX || long || values.iter().any(|text| text.trim().is_empty()) {
            let rule = format!("at most {VALUES_MAX} texts, each of 1 to {TEXT_MAX} characters");
            refuse(field, rule);
        }
    }
    let kinds = Kind::ALL.map(Kind::of);
    if asked.of.is_empty() || !asked.of.iter().all(|of| kinds.contains(&of.as_str())) {
        refuse("of", format!("one or more of {}", kinds.join(", ")));
    }
    let sent = |kind: Kind| asked.of.iter().any(|of| of == kind.of());
    if asked.findings_only && !sent(Kind::Verdict) {
        refuse("findings_only", "is about `verdicts`".to_owned());
    }
    if !asked.notices.is_empty() && !sent(Kind::Notice) {
        refuse("notices", "are kinds of `notices`".to_owned());
    }
    if !asked
        .notices
        .iter()
        .all(|kind| NOTICES.contains(&kind.as_str()))
    {
        refuse("notices", format!("some of {}", NOTICES.join(", ")));
    }
    let live = inner.cases.live().load_full();
    let known = |code: &String| {
        live.book
            .scenarios()
            .any(|scenario| scenario.code.as_str() == code)
    };
    if !asked.scenarios.iter().all(known) {
        let rule = "one is not a scenario of the book in force";
        refuse("scenarios", rule.to_owned());
    }
    if !asked
        .regions
        .iter()
        .all(|text| Region::parse(text).is_some())
    {
        let rule = "write regions as six digits, such as 320500";
        refuse("regions", rule.to_owned());
    }
    match Target::parse(&asked.url) {
        Err(rule) => refuse("url", rule.to_owned()),
        Ok(target) => {
            if let Err(error) = inner.sender.check(&target) {
                refuse("url", error.to_string());
            }
        }
    }
    if let Err(error) = inner.secrets.key(&asked.secret_id) {
        refuse("secret_id", error.to_string());
    }
    violations
}

/// Makes a delivery, or changes what is known of one. What is asked for was looked at.
pub(super) async fn put(
    inner: &Inner,
    asked: v1::PutDeliveryRequest,
    caller: &Caller,
) -> Result<(), ActError> {
    let progresses = inner.progresses.clone();
    let plan = move |lookup: &Lookup, _: Time| {
        let all = known::all(lookup).map_err(Error::from)?;
        let going_on = all
            .iter()
            .find(|known| known.put.name == asked.name && !known.has_ended());
        let others = all.iter().filter(|known| !known.has_ended()).count();
        if going_on.is_none() && others >= DELIVERIES_MAX {
            let rule = format!("is one too many: there are {DELIVERIES_MAX}; end one first");
            return Err(refused("name", rule));
        }
        let head = known::head(lookup).map_err(Error::from)?;
        let position = match (asked.from_position, going_on) {
            (Some(from), _) if from > head + 1 => {
                let rule = format!("lies ahead: the last position is {head}");
                return Err(refused("from_position", rule));
            }
            (Some(from), _) => from.saturating_sub(1),
            (None, Some(known)) => stands(&progresses, known),
            (None, None) => head,
        };
        Ok(vec![What::DeliveryPut(DeliveryPut {
            name: asked.name,
            department: asked.department.trim().to_owned(),
            url: asked.url,
            of: asked.of,
            scenarios: asked.scenarios,
            regions: asked.regions,
            sources: asked.sources,
            implementers: asked.implementers,
            findings_only: asked.findings_only,
            notices: asked.notices,
            secret_id: asked.secret_id,
            position,
            reason: asked.reason,
        })])
    };
    write(inner, caller, plan).await
}

/// Ends a delivery.
pub(super) async fn end(
    inner: &Inner,
    name: String,
    reason: String,
    caller: &Caller,
) -> Result<(), ActError> {
    let plan = move |lookup: &Lookup, _: Time| {
        going_on(lookup, &name)?;
        Ok(vec![What::DeliveryEnded(DeliveryEnded { name, reason })])
    };
    write(inner, caller, plan).await
}

/// Pauses a delivery.
pub(super) async fn pause(
    inner: &Inner,
    name: String,
    reason: String,
    caller: &Caller,
) -> Result<(), ActError> {
    let progresses = inner.progresses.clone();
    let plan = move |lookup: &Lookup, _: Time| {
        let known = going_on(lookup, &name)?;
        let position = stands(&progresses, &known);
        let mut what = Vec::new();
        if position > known.position {
            let name = name.clone();
            what.push(What::DeliveryProgress(DeliveryProgress { name, position }));
        }
        what.push(What::DeliveryPaused(DeliveryPaused {
            name,
            reason,
            by_itself: false,
        }));
        Ok(what)
    };
    write(inner, caller, plan).await
}

/// Lets a delivery go on, where it stands or from an earlier position or time.
pub(super) async fn resume(
    inner: &Inner,
    asked: v1::ResumeDeliveryRequest,
    since: Option<Time>,
    caller: &Caller,
) -> Result<(), ActError> {
    let progresses = inner.progresses.clone();
    let plan = move |lookup: &Lookup, _: Time| {
        let known = going_on(lookup, &asked.name)?;
        let stands = stands(&progresses, &known);
        let from = match (asked.from_position, since) {
            (Some(from), _) if from > stands + 1 => {
                let rule = format!(
                    "would skip: it stands at {stands}; name {} or less, or put it anew",
                    stands + 1
                );
                return Err(refused("from_position", rule));
            }
            (Some(from), _) => Some(from),
            (None, Some(since)) => {
                let first = known::since(lookup, since.micros()).map_err(Error::from)?;
                first.filter(|first| *first <= stands)
            }
            (None, None) => None,
        };
        Ok(vec![What::DeliveryResumed(DeliveryResumed {
            name: asked.name,
            position: from.map_or(stands, |from| from.saturating_sub(1)),
            reason: asked.reason,
        })])
    };
    write(inner, caller, plan).await
}

/// Sends dead letters again.
pub(super) async fn resend(
    inner: &Inner,
    asked: v1::ResendRequest,
    caller: &Caller,
) -> Result<(), ActError> {
    let plan = move |lookup: &Lookup, _: Time| {
        going_on(lookup, &asked.name)?;
        for position in &asked.positions {
            let letters = known::count_letters(lookup, &asked.name, Some(*position));
            if letters.map_err(Error::from)? == 0 {
                let rule = format!("names {position}, at which there is no dead letter");
                return Err(refused("positions", rule));
            }
        }
        Ok(vec![What::DeliveryResent(DeliveryResent {
            name: asked.name,
            positions: asked.positions,
        })])
    };
    write(inner, caller, plan).await
}

/// Records how far a delivery has come. One that was put anew or resumed meanwhile is left as it is.
pub(super) async fn progress(
    inner: &Inner,
    name: &str,
    since: u64,
    position: u64,
) -> Result<(), ActError> {
    by_itself(inner, name, since, move |known| {
        (position > known.position).then(|| {
            What::DeliveryProgress(DeliveryProgress {
                name: known.put.name.clone(),
                position,
            })
        })
    })
    .await
}

/// Records that something was put aside, as [`progress`].
pub(super) async fn put_aside(
    inner: &Inner,
    since: u64,
    aside: DeliveryPutAside,
) -> Result<(), ActError> {
    let name = aside.name.clone();
    by_itself(inner, &name, since, |_| Some(What::DeliveryPutAside(aside))).await
}

/// Records that a dead letter was taken, as [`progress`].
pub(super) async fn taken(
    inner: &Inner,
    name: &str,
    since: u64,
    (position, nth): (u64, u32),
) -> Result<(), ActError> {
    by_itself(inner, name, since, move |known| {
        Some(What::DeliveryTaken(DeliveryTaken {
            name: known.put.name.clone(),
            position,
            nth,
        }))
    })
    .await
}

/// Records that nothing more is sent until somebody resumes it, as [`progress`].
pub(super) async fn stopped(
    inner: &Inner,
    name: &str,
    since: u64,
    reason: String,
) -> Result<(), ActError> {
    by_itself(inner, name, since, |known| {
        Some(What::DeliveryPaused(DeliveryPaused {
            name: known.put.name.clone(),
            reason,
            by_itself: true,
        }))
    })
    .await
}

async fn by_itself(
    inner: &Inner,
    name: &str,
    since: u64,
    what: impl FnOnce(&Known) -> Option<What> + Send + 'static,
) -> Result<(), ActError> {
    let name = name.to_owned();
    let plan = move |lookup: &Lookup, _: Time| {
        let known = known::named(lookup, &name).map_err(Error::from)?;
        let known = known.filter(|known| known.is_active() && known.since == since);
        Ok(known.as_ref().and_then(what).into_iter().collect())
    };
    let caller = Arc::from(BY_ITSELF);
    inner.cases.write(caller, Box::new(plan)).await
}

async fn write(
    inner: &Inner,
    caller: &Caller,
    plan: impl FnOnce(&Lookup, Time) -> Result<Vec<What>, ActError> + Send + 'static,
) -> Result<(), ActError> {
    inner
        .cases
        .write(caller.shared_name(), Box::new(plan))
        .await
}

/// Where a delivery stands, also where that is not recorded yet.
fn stands(progresses: &Progresses, known: &Known) -> u64 {
    let progress = progresses.get(&known.put.name, known.since);
    let clear = progress.map_or(0, |progress| progress.clear_up_to);
    known.position.max(clear)
}

fn going_on(lookup: &Lookup, name: &str) -> Result<Known, ActError> {
    let known = known::named(lookup, name).map_err(Error::from)?;
    let unknown = || Refusal::NotFound {
        what: "delivery",
        name: name.to_owned(),
    };
    let known = known.ok_or_else(unknown)?;
    match known.has_ended() {
        true => Err(refused("name", "has ended; put it anew")),
        false => Ok(known),
    }
}

fn refused(field: &'static str, rule: impl Into<String>) -> ActError {
    ActError::Refused(Refusal::Field {
        field,
        rule: rule.into(),
    })
}
