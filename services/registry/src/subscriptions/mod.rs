//! Subscriptions: changes of the lists are sent to departments, in order, until each acknowledges.
//!
//! A subscription goes: put ([`change`], recorded) → read ([`batch`]) → sent and signed
//! ([`creditgate_runtime::webhook`]) → acknowledged (recorded). One [`courier`] serves each; the process that keeps the lists
//! runs them, followers only show what is recorded.
//!
//! INVARIANT (nothing is skipped): a courier goes on only from what the change log says was
//! acknowledged. What was sent and not acknowledged is sent again, whatever ended in between, and
//! bears the same ids.

mod batch;
mod change;
mod courier;
mod progress;
mod service;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use creditgate_proto::v1::subscriptions_server::SubscriptionsServer;
use creditgate_runtime::shutdown::Shutdown;
use creditgate_runtime::targets::Allowed;
use creditgate_runtime::webhook::{Secrets, Sender};
use tokio::task::{self, JoinSet};

use self::courier::Courier;
use self::progress::Progresses;
use crate::registry::Registry;

pub use self::service::SubscriptionsService;
pub use creditgate_runtime::webhook::CertificatesError;

/// Where and how changes are sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where they may be sent.
    pub allow: Vec<Allowed>,
    /// Directory of the secrets.
    pub secrets_dir: Option<PathBuf>,
    /// Longest time of one request.
    pub timeout: Duration,
    /// After which it is sent again what was not acknowledged.
    pub resend: Duration,
    /// Who vouches for targets over https; none: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// How much at once, and how it is tried again.
    pub pace: Pace,
}

/// How much is sent at once, and how it is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Most changes of one request.
    pub changes_max: usize,
    /// Most bytes of one request; a change that is larger goes alone.
    pub bytes_max: usize,
    /// Pause after the first failure; it doubles with each further one.
    pub retry_min: Duration,
    /// Longest pause.
    pub retry_max: Duration,
    /// Refusals in a row after which a subscription is stopped.
    pub refusals_max: u32,
    /// Records that do not concern a subscription after which its place is recorded.
    pub passed_max: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            changes_max: 500,
            bytes_max: 1 << 20,
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(300),
            refusals_max: 5,
            passed_max: 10_000,
        }
    }
}

/// The subscriptions of a registry; cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    registry: Registry,
    options: Options,
    sender: Sender,
    secrets: Secrets,
    progresses: Progresses,
}

impl Webhooks {
    /// The subscriptions of a registry.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(registry: Registry, options: Options) -> Result<Self, CertificatesError> {
        let sender = Sender::new(&options.allow, options.timeout, options.ca_file.as_deref())?;
        Ok(Self {
            inner: Arc::new(Inner {
                registry,
                sender,
                secrets: Secrets(options.secrets_dir.clone()),
                progresses: Progresses::default(),
                options,
            }),
        })
    }

    /// The service itself.
    #[must_use]
    pub fn service(&self) -> SubscriptionsService {
        SubscriptionsService::new(Arc::clone(&self.inner))
    }

    /// The tonic server of the service. An interceptor puts the caller into each request.
    #[must_use]
    pub fn server(&self) -> SubscriptionsServer<SubscriptionsService> {
        SubscriptionsServer::new(self.service())
    }

    /// Sends what is to be sent until it is asked to stop. A request that is under way then is broken
    /// off; what it sent is sent again by whoever goes on.
    pub async fn run(&self, shutdown: Shutdown) {
        let registry = &self.inner.registry;
        let mut published = registry.live().follow();
        let mut served: BTreeMap<String, task::Id> = BTreeMap::new();
        let mut couriers: JoinSet<()> = JoinSet::new();
        loop {
            published.mark_unchanged();
            if !registry.follows() {
                let desk = registry.desk();
                for known in desk.subscriptions.all().filter(|known| known.is_active()) {
                    if !served.contains_key(&known.name) {
                        let courier = Courier::new(Arc::clone(&self.inner), &known.name);
                        let id = couriers.spawn(courier.run()).id();
                        served.insert(known.name.clone(), id);
                    }
                }
            }
            tokio::select! {
                () = shutdown.wait() => return,
                () = registry.ended() => return,
                Some(ended) = couriers.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => {
                            // Another one goes on from what is acknowledged.
                            tracing::error!(%error, "the sending to a subscription has failed");
                            error.id()
                        }
                    };
                    served.retain(|_, courier| *courier != id);
                }
                changed = published.changed() => if changed.is_err() { return },
            }
        }
    }
}
