//! Departments that changes of the lists are sent to, and what each has acknowledged.

use creditgate_proto::journal::v1::{DeskRecord, SubscriptionPut, desk_record::What};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::follow::Filter;

/// Ended subscriptions that are remembered.
const ENDED_KEPT: usize = 200;

/// A department that changes are sent to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// The department.
    pub department: String,
    /// Where changes are sent.
    pub url: String,
    /// Which changes.
    pub filter: Filter,
    /// Id of the secret that signs.
    pub secret_id: String,
    /// Who may acknowledge besides the one who put it; empty: nobody.
    pub follower: String,
    /// Who put it.
    pub caller: String,
    /// When it was put or resumed. What was sent before that counts for nothing after it.
    pub since: Stamp,
    /// Everything up to here is acknowledged or does not concern it.
    pub acknowledged: u64,
    /// Whether anything is sent.
    pub standing: Standing,
}

/// Whether a subscription is sent anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It is.
    Active,
    /// Not until somebody resumes it.
    Stopped(String),
    /// Never again.
    Ended(String),
}

impl Subscription {
    /// Whether anything is sent.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.standing == Standing::Active
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.standing, Standing::Ended(_))
    }
}

/// All of them, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Subscriptions(OrdMap<String, Subscription>);

impl Subscriptions {
    /// The one with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Subscription> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Subscription> {
        self.0.values()
    }

    pub(super) fn note(&mut self, record: &DeskRecord, stamp: Stamp) {
        match &record.what {
            Some(What::SubscriptionPut(put)) => {
                let name = put.subscription.clone();
                self.0.insert(name, put_of(put, &record.caller, stamp));
            }
            Some(What::SubscriptionEnded(ended)) => {
                let standing = Standing::Ended(record.reason.clone());
                self.change(&ended.subscription, |known| known.standing = standing);
                self.forget_old();
            }
            Some(What::SubscriptionStopped(stopped)) => {
                let standing = Standing::Stopped(record.reason.clone());
                self.change(&stopped.subscription, |known| known.standing = standing);
            }
            Some(What::SubscriptionResumed(resumed)) => {
                self.change(&resumed.subscription, |known| {
                    known.acknowledged = resumed.acknowledged;
                    known.since = stamp;
                    known.standing = Standing::Active;
                });
            }
            Some(What::Acknowledged(acknowledged)) => {
                self.change(&acknowledged.subscription, |known| {
                    known.acknowledged = known.acknowledged.max(acknowledged.up_to);
                });
            }
            _ => {}
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Subscription)) {
        if let Some(known) = self.0.get_mut(name) {
            change(known);
        }
    }

    fn forget_old(&mut self) {
        let ended = || self.0.values().filter(|known| known.has_ended());
        if ended().count() > ENDED_KEPT
            && let Some(oldest) = ended().min_by_key(|known| known.since.seq)
        {
            let name = oldest.name.clone();
            self.0.remove(&name);
        }
    }
}

fn put_of(put: &SubscriptionPut, caller: &str, stamp: Stamp) -> Subscription {
    let set = |values: &[String]| values.iter().cloned().collect();
    Subscription {
        name: put.subscription.clone(),
        department: put.department.clone(),
        url: put.url.clone(),
        filter: Filter {
            lists: set(&put.lists),
            fields: set(&put.fields),
            regions: set(&put.regions),
            colours: set(&put.colours),
        },
        secret_id: put.secret_id.clone(),
        follower: put.follower.clone(),
        caller: caller.to_owned(),
        since: stamp,
        acknowledged: put.acknowledged,
        standing: Standing::Active,
    }
}
