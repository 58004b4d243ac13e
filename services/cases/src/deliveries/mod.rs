//! Deliveries: verdicts, lift orders and notices of cases are sent to systems that cannot hold a stream
//! (specification, 7 and 8).
//!
//! A delivery goes: put ([`change`], recorded in the log of the cases) → what records lead to ([`item`], in the
//! outbox of the tables) → read and sent by its [`courier`], each thing in a signed request of its own
//! ([`post`]) → recorded how far it has come. Positions count what cases take in, in the one order that all
//! processes share; the process that keeps the cases delivers, and whoever takes over goes on from what is
//! recorded. At least once: by its id a target knows what it had.

mod change;
mod courier;
mod item;
mod known;
mod post;
mod progress;
mod service;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use creditgate_proto::v1::deliveries_server::DeliveriesServer;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::metrics::Metrics;
use creditgate_runtime::shutdown::Shutdown;
use creditgate_runtime::targets::Allowed;
use creditgate_runtime::telemetry::names::field;
use creditgate_runtime::webhook::{CertificatesError, Secrets, Sender};
use tokio::task::{self, JoinSet};

use self::courier::{Courier, Ended};
use self::known::Known;
use self::progress::Progresses;
use crate::cases::Cases;
use crate::error::Error;
use crate::table::{self, Lookup};

pub(crate) use self::item::{Item, told_by_record, told_by_verdict};
pub(crate) use self::known::{concerns, noted};
pub use self::service::DeliveriesService;

/// How often it is looked whether this process delivers, and after a failure whether it can.
const LOOK: Duration = Duration::from_millis(200);

/// Where and how things are sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where they may be sent.
    pub allow: Vec<Allowed>,
    /// Directory of the secrets.
    pub secrets_dir: Option<PathBuf>,
    /// Longest time of one request.
    pub timeout: Duration,
    /// Who vouches for targets over https; none: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// For how long something is tried before it is put aside.
    pub give_up: Duration,
    /// How much at once, and how it is tried again.
    pub pace: Pace,
}

/// How much is sent at once, and how it is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Requests under way at once to one target, each of another case.
    pub at_once: usize,
    /// Things between the oldest that is not delivered and the next one that is.
    pub window: usize,
    /// Pause after the first failure of a thing; it doubles with each further one.
    pub retry_min: Duration,
    /// Longest pause.
    pub retry_max: Duration,
    /// Refusals in a row after which a delivery is stopped.
    pub refusals_max: u32,
    /// Positions that do not concern a delivery after which its place is recorded.
    pub passed_max: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            at_once: 8,
            window: 256,
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(300),
            refusals_max: 20,
            passed_max: 10_000,
        }
    }
}

/// The deliveries of the cases; cheap to clone.
#[derive(Clone)]
pub struct Deliveries {
    inner: Arc<Inner>,
}

struct Inner {
    cases: Cases,
    options: Options,
    sender: Sender,
    secrets: Secrets,
    metrics: Metrics,
    progresses: Progresses,
}

impl Inner {
    /// Whether this process delivers: the one that keeps the cases, once it knows all that is recorded.
    fn delivers(&self) -> bool {
        let shared = self.cases.shared();
        shared.is_leading() && shared.has_caught_up() && !shared.stop.is_cancelled()
    }

    /// Asks the tables, on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Lookup) -> Result<T, table::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let lookup = self.cases.lookup().clone();
        let asked = task::spawn_blocking(move || question(&lookup)).await;
        let answer = asked.map_err(|error| Error::Thread(std::io::Error::other(error)))?;
        Ok(answer?)
    }
}

impl Deliveries {
    /// The deliveries of these cases.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(
        cases: Cases,
        metrics: Metrics,
        options: Options,
    ) -> Result<Self, CertificatesError> {
        let sender = Sender::new(&options.allow, options.timeout, options.ca_file.as_deref())?;
        Ok(Self {
            inner: Arc::new(Inner {
                cases,
                sender,
                secrets: Secrets(options.secrets_dir.clone()),
                metrics,
                progresses: Progresses::default(),
                options,
            }),
        })
    }

    /// The service itself.
    #[must_use]
    pub fn service(&self) -> DeliveriesService {
        DeliveriesService::new(Arc::clone(&self.inner))
    }

    /// The tonic server of the service. An interceptor puts the caller into each request.
    #[must_use]
    pub fn server(&self) -> DeliveriesServer<DeliveriesService> {
        DeliveriesServer::new(self.service())
    }

    /// Sends what is to be sent until it is asked to stop. A request that is under way then is broken off;
    /// what it sent is sent again by whoever goes on.
    pub async fn run(&self, shutdown: Shutdown) {
        let mut couriers: JoinSet<Ended> = JoinSet::new();
        let mut served: BTreeMap<String, task::Id> = BTreeMap::new();
        let mut looked = None;
        loop {
            let up_to = *self.inner.cases.shared().outbox.borrow();
            let now = self.inner.delivers().then_some(up_to);
            if now.is_some() && now != looked {
                match self.start(&mut couriers, &mut served).await {
                    Ok(()) => looked = now,
                    Err(error) => unread(&error),
                }
            }
            if now.is_none() && looked.take().is_some() {
                self.forget().await;
            }
            tokio::select! {
                () = shutdown.wait() => return,
                Some(ended) = couriers.join_next_with_id() => {
                    let id = match &ended {
                        Ok((id, _)) => *id,
                        // A panic has been printed.
                        Err(error) => error.id(),
                    };
                    if let Ok((_, Ended::Failed(error))) = ended {
                        unread(&error);
                    }
                    served.retain(|_, courier| *courier != id);
                    // Another one goes on from what is recorded, if it is still to.
                    looked = None;
                    tokio::select! {
                        () = shutdown.wait() => return,
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Another process tells of the deliveries now.
    async fn forget(&self) {
        match self.inner.ask(known::all).await {
            Ok(all) => all
                .iter()
                .for_each(|known| self.inner.metrics.forget_delivery(&known.put.name)),
            Err(error) => unread(&error),
        }
    }

    /// Gives each active delivery a courier. What one that was paused or stopped holds back grows old all the
    /// same, and shows.
    async fn start(
        &self,
        couriers: &mut JoinSet<Ended>,
        served: &mut BTreeMap<String, task::Id>,
    ) -> Result<(), Error> {
        let all = |lookup: &Lookup| {
            let of = |known: Known| {
                let since = known::waits_since(lookup, known.position)?;
                Ok((known, since))
            };
            known::all(lookup)?.into_iter().map(of).collect()
        };
        let all: Vec<(Known, Option<i64>)> = self.inner.ask(all).await?;
        for (known, since) in all {
            if !known.is_active() {
                let name = &known.put.name;
                match known.has_ended() {
                    true => self.inner.metrics.forget_delivery(name),
                    false => self.inner.metrics.set_undelivered_since(name, since),
                }
                continue;
            }
            if let Entry::Vacant(place) = served.entry(known.put.name.clone()) {
                let courier = Courier::new(Arc::clone(&self.inner), known);
                place.insert(couriers.spawn(courier.run()).id());
            }
        }
        Ok(())
    }
}

fn unread(error: &Error) {
    tracing::error!({ field::ERROR } = %Chain(error), "deliveries cannot be read; trying again");
}
