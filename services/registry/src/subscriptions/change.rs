//! What is recorded of subscriptions, planned against what is known when its turn comes.

use std::sync::Arc;

use creditgate_measures::lists::ListVersion;
use creditgate_proto::journal::v1::{
    Acknowledged, SubscriptionEnded, SubscriptionPut, SubscriptionResumed, SubscriptionStopped,
    desk_record::What,
};
use creditgate_proto::{Refused, Violation, v1};
use creditgate_runtime::callers::Caller;
use creditgate_runtime::webhook::Target;

use super::Inner;
use crate::desk::{Standing, Subscription};
use crate::error::ChangeError;
use crate::follow::Filter;
use crate::keeper::View;
use crate::registry::Registry;

/// Most subscriptions at once: each has a courier, and a series of its own in the metrics.
const SUBSCRIPTIONS_MAX: usize = 200;
/// Longest text of a department, a follower or a reason, in characters.
const TEXT_MAX: usize = 256;
/// The name that records bear which the service makes by itself.
const BY_ITSELF: &str = "webhooks";

/// Subscribes a department, or changes what is known of a subscription.
///
/// # Errors
/// Every rule that the request breaks, or that it cannot be recorded.
pub(super) async fn put(
    inner: &Inner,
    asked: v1::PutSubscriptionRequest,
    caller: &Caller,
) -> Result<ListVersion, ChangeError> {
    let filter = Filter {
        lists: asked.lists.iter().cloned().collect(),
        fields: asked.fields.iter().cloned().collect(),
        regions: asked.regions.iter().cloned().collect(),
        colours: asked.colours.iter().cloned().collect(),
    };
    check(inner, &asked, &filter)?;
    let plan = move |view: &View<'_>| {
        filter.check(view.book)?;
        let known = view.desk.subscriptions.get(&asked.name);
        let going_on = known.filter(|known| !known.has_ended());
        let others = view.desk.subscriptions.all();
        let others = others.filter(|other| !other.has_ended()).count();
        if going_on.is_none() && others >= SUBSCRIPTIONS_MAX {
            let why = format!("there are {SUBSCRIPTIONS_MAX} subscriptions; end one first");
            return Err(ChangeError::not_possible("too_many_subscriptions", why));
        }
        let head = view.lists.version().seq;
        let acknowledged = match (asked.from_seq, going_on) {
            (Some(from), _) if from > head + 1 => {
                let rule = format!("the change log ends at {head}");
                return Err(ChangeError::Invalid(Refused::one("from_seq", rule)));
            }
            (Some(from), _) => from.saturating_sub(1),
            (None, Some(known)) => known.acknowledged,
            (None, None) => head,
        };
        let list = |values: &std::collections::BTreeSet<String>| values.iter().cloned().collect();
        let put = SubscriptionPut {
            subscription: asked.name.clone(),
            department: asked.department.trim().to_owned(),
            url: asked.url.clone(),
            lists: list(&filter.lists),
            fields: list(&filter.fields),
            regions: list(&filter.regions),
            colours: list(&filter.colours),
            secret_id: asked.secret_id.clone(),
            follower: asked.follower.clone(),
            acknowledged,
        };
        let noted = view.noted(What::SubscriptionPut(put), &asked.reason);
        Ok((vec![noted], ()))
    };
    let (version, ()) = inner.registry.transact(caller, plan).await?;
    Ok(version)
}

fn check(
    inner: &Inner,
    asked: &v1::PutSubscriptionRequest,
    filter: &Filter,
) -> Result<(), ChangeError> {
    let mut violations = match filter.check(&inner.registry.live().load().book) {
        Ok(()) => Vec::new(),
        Err(refused) => refused.violations,
    };
    let mut refuse = |field: &str, rule: String| violations.push(Violation::new(field, rule));
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if !(1..=64).contains(&asked.name.len()) || !asked.name.bytes().all(fits) {
        let rule = "1 to 64 small letters, digits, `-`, `_` or `.`";
        refuse("name", rule.to_owned());
    }
    if asked.department.trim().is_empty() {
        refuse("department", "required: who follows (部门)".to_owned());
    }
    for (field, text) in [
        ("department", &asked.department),
        ("follower", &asked.follower),
        ("reason", &asked.reason),
    ] {
        if text.chars().count() > TEXT_MAX {
            refuse(field, format!("at most {TEXT_MAX} characters"));
        }
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
    Ok(Refused::unless_empty(violations)?)
}

/// Ends a subscription.
///
/// # Errors
/// When there is none that goes on, or that cannot be recorded.
pub(super) async fn end(
    inner: &Inner,
    asked: v1::EndSubscriptionRequest,
    caller: &Caller,
) -> Result<ListVersion, ChangeError> {
    if asked.reason.trim().is_empty() {
        let rule = "required: say why it ends";
        return Err(ChangeError::Invalid(Refused::one("reason", rule)));
    }
    let plan = move |view: &View<'_>| {
        going_on(view, &asked.name)?;
        let ended = SubscriptionEnded {
            subscription: asked.name.clone(),
        };
        let noted = view.noted(What::SubscriptionEnded(ended), &asked.reason);
        Ok((vec![noted], ()))
    };
    let (version, ()) = inner.registry.transact(caller, plan).await?;
    Ok(version)
}

/// Lets a subscription go on, or sends again from an earlier place.
///
/// # Errors
/// When there is none that goes on, or changes would be skipped.
pub(super) async fn resume(
    inner: &Inner,
    asked: v1::ResumeSubscriptionRequest,
    caller: &Caller,
) -> Result<ListVersion, ChangeError> {
    let progresses = inner.progresses.clone();
    let plan = move |view: &View<'_>| {
        let known = going_on(view, &asked.name)?;
        let progress = progresses.get(&known.name, known.since.seq);
        let clear = progress.map_or(0, |progress| progress.clear_up_to);
        let stands = known.acknowledged.max(clear);
        let acknowledged = match asked.from_seq {
            Some(from) if from > stands + 1 => {
                let why = format!(
                    "it stands at {stands}, and to go on from {from} would skip changes; name {} or \
                     less, or put it anew",
                    stands + 1
                );
                return Err(ChangeError::not_possible("would_skip", why));
            }
            Some(from) => from.saturating_sub(1),
            None => known.acknowledged,
        };
        let resumed = SubscriptionResumed {
            subscription: asked.name.clone(),
            acknowledged,
        };
        let noted = view.noted(What::SubscriptionResumed(resumed), &asked.reason);
        Ok((vec![noted], ()))
    };
    let (version, ()) = inner.registry.transact(caller, plan).await?;
    Ok(version)
}

/// Acknowledges by a call. Gives what is acknowledged then.
///
/// # Errors
/// When there is none that goes on, or what was not sent is acknowledged.
pub(super) async fn acknowledge(
    inner: &Inner,
    asked: v1::AcknowledgeChangesRequest,
    caller: &Caller,
) -> Result<(ListVersion, u64), ChangeError> {
    let progresses = inner.progresses.clone();
    let plan = move |view: &View<'_>| {
        let known = going_on(view, &asked.subscription)?;
        if asked.seq <= known.acknowledged {
            return Ok((Vec::new(), known.acknowledged));
        }
        let progress = progresses.get(&known.name, known.since.seq);
        let sent = progress.map_or(0, |progress| progress.sent_up_to);
        if asked.seq > sent {
            let why = format!(
                "{} was not sent since the service started or the subscription was put or resumed; \
                 whatever is not acknowledged is sent again: acknowledge it then",
                asked.seq
            );
            return Err(ChangeError::not_possible("not_sent", why));
        }
        let noted = Acknowledged {
            subscription: asked.subscription.clone(),
            up_to: asked.seq,
            nothing_sent: false,
        };
        Ok((vec![view.noted(What::Acknowledged(noted), "")], asked.seq))
    };
    inner.registry.transact(caller, plan).await
}

/// Records that changes were acknowledged, or that none up to here concerned the subscription. One
/// that was put anew or resumed meanwhile is left as it is.
///
/// # Errors
/// When it cannot be recorded.
pub(super) async fn acknowledged(
    registry: &Registry,
    name: String,
    since: u64,
    up_to: u64,
    nothing_sent: bool,
) -> Result<(), ChangeError> {
    by_itself(registry, name, since, String::new(), move |known| {
        (up_to > known.acknowledged).then(|| {
            What::Acknowledged(Acknowledged {
                subscription: known.name.clone(),
                up_to,
                nothing_sent,
            })
        })
    })
    .await
}

/// Records that nothing more is sent until somebody resumes it; otherwise as [`acknowledged`].
///
/// # Errors
/// When it cannot be recorded.
pub(super) async fn stopped(
    registry: &Registry,
    name: String,
    since: u64,
    why: String,
) -> Result<(), ChangeError> {
    by_itself(registry, name, since, why, |known| {
        Some(What::SubscriptionStopped(SubscriptionStopped {
            subscription: known.name.clone(),
        }))
    })
    .await
}

/// Records that the receiver is gone for good; otherwise as [`acknowledged`].
///
/// # Errors
/// When it cannot be recorded.
pub(super) async fn gone(registry: &Registry, name: String, since: u64) -> Result<(), ChangeError> {
    let why = "the receiver answered 410 Gone".to_owned();
    by_itself(registry, name, since, why, |known| {
        Some(What::SubscriptionEnded(SubscriptionEnded {
            subscription: known.name.clone(),
        }))
    })
    .await
}

async fn by_itself(
    registry: &Registry,
    name: String,
    since: u64,
    why: String,
    what: impl FnOnce(&Subscription) -> Option<What> + Send + 'static,
) -> Result<(), ChangeError> {
    let plan = move |view: &View<'_>| {
        let known = view.desk.subscriptions.get(&name);
        let known = known.filter(|known| known.is_active() && known.since.seq == since);
        let noted = known.and_then(what).map(|what| view.noted(what, &why));
        Ok((noted.into_iter().collect(), ()))
    };
    let done = registry.transact_as(Arc::from(BY_ITSELF), plan).await;
    done.map(|_| ())
}

fn going_on<'a>(view: &View<'a>, name: &str) -> Result<&'a Subscription, ChangeError> {
    let known = view.desk.subscriptions.get(name);
    let known = known.ok_or(ChangeError::Unknown("subscription"))?;
    match known.standing {
        Standing::Ended(_) => Err(ChangeError::not_possible(
            "subscription_ended",
            "the subscription has ended; put it anew",
        )),
        Standing::Active | Standing::Stopped(_) => Ok(known),
    }
}
