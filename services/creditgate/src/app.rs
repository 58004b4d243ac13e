//! What is wired to what: the roles of one process, started, served, drained.

mod ending;
mod grpc;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use creditgate_cases::deliveries::{self, Deliveries};
use creditgate_cases::{self as cases, CaseLog, Cases, CasesService};
use creditgate_console as console;
use creditgate_gate::{self as gate, Gate, OnKafka};
use creditgate_measures::book::{Deployment, SourceFile};
use creditgate_measures::event::ListCode;
use creditgate_proto::v1;
use creditgate_registry::book::{Signature, TrustedKeys};
use creditgate_registry::subscriptions::Webhooks;
use creditgate_registry::{self as registry, Registry};
use creditgate_runtime::access::{self, Calls, Policy};
use creditgate_runtime::callers::{self, Caller, Callers, Followed, Given, Loaded};
use creditgate_runtime::check_points::{self, CheckPoints, Outlet, TopicOutlet, WebhookOutlet};
use creditgate_runtime::clock::Clock;
use creditgate_runtime::config::{self, Config, Role};
use creditgate_runtime::health::Readiness;
use creditgate_runtime::journal;
use creditgate_runtime::kafka::{self, Cluster};
use creditgate_runtime::live::Live;
use creditgate_runtime::metrics::{Build, Metrics, Transport};
use creditgate_runtime::ports::{self, History};
use creditgate_runtime::sealed::{self, Keyring, KeyringError, purpose};
use creditgate_runtime::shutdown::{self, Shutdown, Signal, Supervisor, Tasks};
use creditgate_runtime::signing::{KeyError, SigningKey};
use creditgate_runtime::telemetry::names::field;
use creditgate_runtime::threads;
use creditgate_runtime::tls::{self, Tls};
use creditgate_runtime::tokens::{self, Tokens};
use creditgate_runtime::webhook;
use creditgate_stream::{self as stream, Stream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use self::ending::Ending;
use self::grpc::Grpc;

/// The files of the book, and what the deployment says about it.
#[derive(Debug, Clone)]
pub struct BookFiles {
    /// The files.
    pub files: Vec<SourceFile>,
    /// Whether somebody named them; else they are those built in.
    pub named: bool,
    /// The signature of the pack they came in.
    pub signature: Option<Signature>,
    /// Who may sign books.
    pub trusted_keys: TrustedKeys,
    /// What the deployment says.
    pub deployment: Deployment,
}

/// A running service.
pub struct App {
    grpc_addr: SocketAddr,
    http_addr: Option<SocketAddr>,
    registry: Registry,
    drain_timeout: Duration,
    tasks: Tasks,
    supervisor: Supervisor,
}

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The roles do not fit together.
    #[error("roles: {0}")]
    Roles(&'static str),
    /// The keys file is not right.
    #[error("read the callers")]
    Callers(#[source] callers::Error),
    /// The access policy is not right.
    #[error("read the access policy")]
    Access(#[source] access::Error),
    /// The record of calls does not open.
    #[error("open the record of calls in `{dir}`")]
    Calls {
        /// The data directory.
        dir: String,
        /// The cause.
        #[source]
        source: Box<journal::OpenError>,
    },
    /// Tokens cannot be verified as configured.
    #[error("set up tokens")]
    Tokens(#[source] tokens::Error),
    /// Certificates cannot be used.
    #[error("set up TLS")]
    Tls(#[source] tls::Error),
    /// The key of check points is not right.
    #[error("read the key that signs check points")]
    SigningKey(#[source] KeyError),
    /// The keys that encrypt are not right.
    #[error("read the keys that encrypt what is kept")]
    Keyring(#[source] KeyringError),
    /// The topic that check points are to go to cannot be written to as configured.
    #[error("prepare the topic `{topic}` for check points (look at `journal.anchor_kafka_config`)")]
    AnchorTopic {
        /// The topic.
        topic: String,
        /// The cause.
        #[source]
        source: Box<kafka::Error>,
    },
    /// The webhook that check points are to go to cannot be sent to as configured.
    #[error("prepare the webhook for check points")]
    AnchorWebhook(#[source] webhook::CertificatesError),
    /// What check points say does not fit what is there.
    #[error("go on with the check points of `{dir}`")]
    CheckPoints {
        /// The data directory.
        dir: String,
        /// The cause.
        #[source]
        source: Box<check_points::Error>,
    },
    /// The registry does not open.
    #[error("open the lists in `{dir}`")]
    Registry {
        /// The data directory.
        dir: String,
        /// The cause.
        #[source]
        source: registry::Error,
    },
    /// The gate does not open.
    #[error("open the verdicts in `{dir}`")]
    Gate {
        /// The data directory.
        dir: String,
        /// The cause.
        #[source]
        source: gate::Error,
    },
    /// The cases do not open.
    #[error("open the cases in `{dir}`")]
    Cases {
        /// The data directory.
        dir: String,
        /// The cause.
        #[source]
        source: cases::Error,
    },
    /// Kafka does not answer, or is not set up as it must be.
    #[error("use Kafka")]
    Kafka(#[source] Box<kafka::Error>),
    /// Events cannot be read.
    #[error("read events from Kafka")]
    Stream(#[source] Box<stream::Error>),
    /// An address cannot be listened on.
    #[error("listen on {address} (is another service running there?)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Reflection cannot be built.
    #[error("build reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// Changes cannot be sent as configured.
    #[error("prepare webhooks")]
    Webhooks(#[source] registry::subscriptions::CertificatesError),
    /// A thread that opens the data ended.
    #[error("open the data directory")]
    Opening(#[source] tokio::task::JoinError),
}

/// The metrics of a process.
#[must_use]
pub fn metrics(clock: &Clock) -> Metrics {
    let commit = option_env!("CREDITGATE_COMMIT").unwrap_or("unknown");
    Metrics::new(
        clock.clone(),
        Build {
            version: env!("CARGO_PKG_VERSION"),
            commit,
        },
    )
}

impl App {
    /// Starts with metrics of its own.
    ///
    /// # Errors
    /// As [`App::start_with`].
    pub async fn start(config: &Config, book: BookFiles, clock: Clock) -> Result<Self, StartError> {
        let metrics = metrics(&clock);
        Self::start_with(config, book, clock, metrics).await
    }

    /// Opens the data directory, listens, and serves in the background.
    ///
    /// # Errors
    /// When something that is needed is not there; nothing keeps running then.
    pub async fn start_with(
        config: &Config,
        book: BookFiles,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        check_roles(config)?;
        let answers = [Role::Gate, Role::Stream];
        threads::answers_checks(answers.iter().any(|role| config.roles.contains(role)));
        let tokens = tokens(config, &clock)?;
        let lists = Arc::new(OnceLock::new());
        let followed = followed(config, tokens.clone(), Arc::clone(&lists));
        let (loaded, policy) = callers(config, tokens.clone())?;
        for warning in &loaded.warnings {
            tracing::warn!(reason = %warning, "keys file");
        }
        let tls = tls(config)?;
        let own_keys = OwnKeys {
            signing: signing_key(config)?,
            keyring: keyring(config)?,
        };
        if let Some(keyring) = &own_keys.keyring {
            tracing::info!(key_id = keyring.active().get(), "what is kept is sealed");
        }
        let keyring_file = config.sealing.keyring_file.as_deref();
        if let Some(exposed) = keyring_file.and_then(sealed::exposure) {
            tracing::warn!(reason = %exposed, "keyring");
        }
        // Before the data is opened: a second start of the same service ends here.
        let grpc = listen(config.grpc_addr).await?;
        let http = match config.roles.contains(&Role::Http) {
            true => Some(listen(config.http_addr).await?),
            false => None,
        };
        let kafka = on_kafka(config).await?;
        let readiness = Readiness::expecting(components(config));
        let held = (clock.clone(), readiness.clone());
        let Opened {
            registry,
            gate,
            cases,
            stream,
            case_log,
            calls,
            check_points,
        } = open(
            config.clone(),
            book,
            own_keys,
            kafka,
            clock,
            metrics.clone(),
            readiness.clone(),
        )
        .await?;

        let callers = loaded.callers.noted_by(calls.clone());
        let lists = lists.get_or_init(|| registry.live().clone());
        for unknown in policy.iter().flat_map(|policy| unknown_to(lists, policy)) {
            tracing::warn!(reason = %unknown, "keys file");
        }
        let grpc_addr = grpc.local_addr().unwrap_or(config.grpc_addr);
        let http_addr = http.as_ref().and_then(|http| http.local_addr().ok());

        let (tasks, supervisor) = Supervisor::new(Shutdown::new());
        let message_bytes = config.limits.message_bytes();
        let drained = Shutdown::new();
        let webhooks = Webhooks::new(registry.clone(), webhook_options(config))
            .map_err(StartError::Webhooks)?;
        let deliveries = cases.clone().map(|cases| {
            Deliveries::new(cases, metrics.clone(), delivery_options(config))
                .map_err(StartError::Webhooks)
        });
        let deliveries = deliveries.transpose()?;
        let services = Grpc {
            registry: registry.clone(),
            webhooks: webhooks.clone(),
            gate: gate.clone().filter(|_| config.roles.contains(&Role::Gate)),
            cases: cases.clone(),
            deliveries: deliveries.clone(),
            readiness: readiness.clone(),
            callers: callers.clone(),
            calls: calls.clone(),
            tls: tls.clone(),
            message_bytes,
            embedded: config.kafka.brokers.is_empty(),
        };
        services.serve(&tasks, grpc, drained.clone())?;
        if let Some(tls) = tls.clone() {
            let shutdown = tasks.shutdown().clone();
            tasks.spawn_named("certificates", async move {
                tls.follow(shutdown).await;
                Ok::<_, std::io::Error>(())
            });
        }
        if config.keys_file.is_some() {
            let (callers, shutdown) = (callers.clone(), tasks.shutdown().clone());
            tasks.spawn_named("callers", async move {
                followed.follow(callers, shutdown).await;
                Ok::<_, std::io::Error>(())
            });
        }
        let noted = calls.clone();
        tasks.spawn_named("calls", async move {
            noted.run().await;
            Ok::<_, std::io::Error>(())
        });
        if let Some(tokens) = tokens {
            let (readiness, shutdown) = (readiness.clone(), tasks.shutdown().clone());
            tasks.spawn_named("tokens", async move {
                tokens.follow(readiness, shutdown).await;
                Ok::<_, std::io::Error>(())
            });
        }
        if let Some(check_points) = check_points.clone() {
            let every = config.journal.check_point;
            let (readiness, shutdown) = (readiness.clone(), tasks.shutdown().clone());
            tasks.spawn_named("check-points", async move {
                check_points.run(every, readiness, shutdown).await;
                Ok::<_, std::io::Error>(())
            });
        }
        let (clock, of_clock) = held;
        tasks.spawn_named(
            "clock",
            crate::held::watch(clock, of_clock, tasks.shutdown().clone()),
        );
        let shutdown = tasks.shutdown().clone();
        tasks.spawn_named("webhooks", async move {
            webhooks.run(shutdown).await;
            Ok::<_, std::io::Error>(())
        });
        if let Some(deliveries) = deliveries {
            let shutdown = tasks.shutdown().clone();
            tasks.spawn_named("deliveries", async move {
                deliveries.run(shutdown).await;
                Ok::<_, std::io::Error>(())
            });
        }
        if let Some(http) = http {
            let options = console::Options {
                check: match &gate {
                    Some(gate) => Arc::new(gate.clone()),
                    None => Arc::new(NoGate),
                },
                reports: match &cases {
                    Some(cases) => Arc::new(CasesService::new(cases.clone())),
                    None => Arc::new(NoCases),
                },
                callers,
                metrics,
                readiness,
                live: registry.live().clone(),
                tls,
                limits: console::Limits {
                    body_bytes_max: message_bytes,
                    ..console::Limits::default()
                },
            };
            tasks.spawn_named(
                "http",
                console::serve(http, options, tasks.shutdown().clone()),
            );
        }
        let keeps_lists = config.roles.contains(&Role::Registry);
        if let Some(log) = case_log.filter(|_| keeps_lists) {
            let log: Arc<dyn ports::Tellings> = Arc::new(log);
            let shutdown = tasks.shutdown().clone();
            let told = registry::told::follow(registry.clone(), log, shutdown);
            tasks.spawn_named("told", told);
        }
        if let Some(dir) = config.lists.inbox.clone().filter(|_| keeps_lists) {
            let still = config.lists.inbox_still;
            let inbox =
                registry::inbox::watch(registry.clone(), dir, still, tasks.shutdown().clone());
            tasks.spawn_named("inbox", inbox);
        }
        let ending = Ending {
            stream,
            cases,
            gate,
            registry: registry.clone(),
            calls,
            check_points,
        };
        ending.in_order(&tasks, config.shutdown.drain_timeout, drained);
        Ok(Self {
            grpc_addr,
            http_addr,
            registry,
            drain_timeout: config.shutdown.drain_timeout,
            tasks,
            supervisor,
        })
    }

    /// Where gRPC listens.
    #[must_use]
    pub const fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Where HTTP listens, when this process does.
    #[must_use]
    pub const fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// The lists in use, for whoever judges beside this service.
    pub(crate) fn live(&self) -> &Live {
        self.registry.live()
    }

    /// What was known earlier, for the same.
    pub(crate) fn history(&self) -> Arc<dyn History> {
        Arc::new(self.registry.past().clone())
    }

    /// Serves until a signal asks to stop, then drains. The signals are listened for since before the
    /// start: one that comes as soon as the service is ready ends it in order.
    ///
    /// # Errors
    /// When a task ended that nobody asked to, or the drain took too long.
    pub async fn run(self, signals: mpsc::Receiver<Signal>) -> Result<(), shutdown::Error> {
        self.supervisor.run_with(signals, self.drain_timeout).await
    }

    /// Stops now, and drains.
    ///
    /// # Errors
    /// As [`App::run`].
    pub async fn stop(self, drain_timeout: Duration) -> Result<(), shutdown::Error> {
        self.tasks.shutdown().request();
        self.supervisor.run(drain_timeout).await
    }
}

/// Without Kafka one process holds all: a part of the roles needs what the others keep.
pub(crate) fn check_roles(config: &Config) -> Result<(), StartError> {
    let has = |role| config.roles.contains(&role);
    if !config.kafka.brokers.is_empty() {
        return Ok(());
    }
    if !has(Role::Registry) {
        return Err(StartError::Roles(
            "the lists of an embedded service are kept by its own registry; add `registry`, or name \
             Kafka's brokers to follow another's",
        ));
    }
    if has(Role::Http) && !has(Role::Gate) {
        return Err(StartError::Roles("`http` asks the gate; add `gate`"));
    }
    Ok(())
}

/// Whether events are read from Kafka here.
fn streams(config: &Config) -> bool {
    !config.kafka.brokers.is_empty() && config.roles.contains(&Role::Stream)
}

/// Whether cases are followed here, or stood by for: embedded always.
fn follows_cases(config: &Config) -> bool {
    config.kafka.brokers.is_empty() || config.roles.contains(&Role::Cases)
}

/// Whether events are judged here.
fn judges(config: &Config) -> bool {
    config.roles.contains(&Role::Gate) || follows_cases(config) || streams(config)
}

/// What must be ready before the process is.
fn components(config: &Config) -> Vec<&'static str> {
    let mut components = vec![registry::COMPONENT];
    if judges(config) {
        components.push(gate::COMPONENT);
        if !config.kafka.brokers.is_empty() {
            components.push(gate::CASE_STATE_COMPONENT);
        }
    }
    if follows_cases(config) {
        components.push(cases::COMPONENT);
    }
    if streams(config) {
        components.push(stream::COMPONENT);
    }
    components
}

/// Kafka, with its topics made or checked; none when the service is embedded.
async fn on_kafka(config: &Config) -> Result<Option<OnKafka>, StartError> {
    let Some(cluster) = Cluster::of(&config.kafka) else {
        return Ok(None);
    };
    let ready = kafka::topics::ensure(&cluster)
        .await
        .map_err(|error| StartError::Kafka(Box::new(error)))?;
    for topic in &ready.made {
        tracing::info!(topic = cluster.topic(*topic), "made a topic");
    }
    for warning in &ready.warnings {
        tracing::warn!({ field::REASON } = %warning, "kafka");
    }
    Ok(Some(OnKafka {
        cluster,
        partitions: ready.partitions,
    }))
}

/// Stands where a process does not check: it says so.
struct NoGate;

impl ports::Check for NoGate {
    fn check(
        &self,
        _: v1::Event,
        _: Caller,
        _: Transport,
    ) -> ports::Answer<'_, Result<v1::CheckResponse, tonic::Status>> {
        Box::pin(async {
            Err(tonic::Status::unimplemented(
                "this process does not check: ask one with the role `gate`",
            ))
        })
    }
}

/// Stands where a process does not follow cases: it says so.
struct NoCases;

impl ports::Reports for NoCases {
    fn report(
        &self,
        _: v1::Feedback,
        _: Caller,
    ) -> ports::Answer<'_, Result<v1::ReportFeedbackResponse, tonic::Status>> {
        Box::pin(async {
            Err(tonic::Status::unimplemented(
                "this process follows no cases: ask one with the role `cases`",
            ))
        })
    }
}

/// The key that signs check points, where there is one.
pub(crate) fn signing_key(config: &Config) -> Result<Option<SigningKey>, StartError> {
    let key = config.journal.signing_key_file.as_deref();
    key.map(SigningKey::load)
        .transpose()
        .map_err(StartError::SigningKey)
}

/// The keys that encrypt what is kept, where there are any.
pub(crate) fn keyring(config: &Config) -> Result<Option<Keyring>, StartError> {
    let sealing = &config.sealing;
    let keyring = match (&sealing.keyring_file, &sealing.keyring) {
        (Some(file), _) => Some(Keyring::read(file)),
        (None, Some(text)) => Some(Keyring::parse(text.reveal())),
        (None, None) => None,
    };
    keyring.transpose().map_err(StartError::Keyring)
}

/// What both interfaces show of this service, where they speak TLS.
fn tls(config: &Config) -> Result<Option<Tls>, StartError> {
    let Some(files) = config.tls.files() else {
        let open = [config.grpc_addr, config.http_addr];
        if open.iter().any(|address| !address.ip().is_loopback()) {
            tracing::warn!(
                "keys and identifiers travel in clear: set `tls.certificate_file` and `tls.key_file`, or let only a \
                 proxy that ends TLS reach this address"
            );
        }
        return Ok(None);
    };
    Tls::load(&files).map(Some).map_err(StartError::Tls)
}

/// Whose tokens are taken, where any are.
pub(crate) fn tokens(config: &Config, clock: &Clock) -> Result<Option<Tokens>, StartError> {
    let settings = config.tokens.settings();
    settings
        .map(|settings| Tokens::load(settings, clock.clone()))
        .transpose()
        .map_err(StartError::Tokens)
}

/// Who may call, and the policy that says what they may do, where there is one.
pub(crate) fn callers(
    config: &Config,
    tokens: Option<Tokens>,
) -> Result<(Loaded, Option<Policy>), StartError> {
    let Some(path) = &config.keys_file else {
        let loaded = Loaded {
            callers: Callers::loopback_only(),
            warnings: Vec::new(),
        };
        return Ok((loaded, None));
    };
    let policy = config.access.policy_file.as_deref();
    let policy = policy
        .map(Policy::load)
        .transpose()
        .map_err(StartError::Access)?;
    let given = Given {
        policy: policy.as_ref(),
        tokens,
    };
    let loaded = Callers::load_with(path, given).map_err(StartError::Callers)?;
    Ok((loaded, policy))
}

/// What a policy speaks of that the book in force does not know.
fn unknown_to(lists: &Live, policy: &Policy) -> Vec<String> {
    let unknown = policy.unknown_to(&lists.load().book).into_iter();
    unknown
        .map(|told| format!("access policy, {told}"))
        .collect()
}

/// The files that say who may call, to be read again when they change; then it is told again what is to be mended. `lists`
/// are there once they are opened.
fn followed(
    config: &Config,
    tokens: Option<Tokens>,
    lists: Arc<OnceLock<Live>>,
) -> Followed<impl Fn() -> Result<Loaded, StartError> + Send + Sync + 'static> {
    let files = [&config.keys_file, &config.access.policy_file];
    let files = files.into_iter().flatten().cloned().collect();
    let config = config.clone();
    Followed::new(files, move || {
        let (mut loaded, policy) = callers(&config, tokens.clone())?;
        if let (Some(lists), Some(policy)) = (lists.get(), &policy) {
            loaded.warnings.extend(unknown_to(lists, policy));
        }
        Ok(loaded)
    })
}

/// Keys of the deployment itself.
struct OwnKeys {
    /// Signs check points; none: there are none.
    signing: Option<SigningKey>,
    /// Encrypts what is kept; none: it lies in clear.
    keyring: Option<Keyring>,
}

/// What a process has opened.
struct Opened {
    registry: Registry,
    gate: Option<Gate>,
    cases: Option<Cases>,
    stream: Option<Stream>,
    /// What cases tell the lists, wherever they are kept.
    case_log: Option<CaseLog>,
    calls: Calls,
    /// None where no key signs them.
    check_points: Option<CheckPoints>,
}

/// Opens lists, verdicts and cases, away from the threads that serve: both read the disk.
async fn open(
    config: Config,
    book: BookFiles,
    own_keys: OwnKeys,
    kafka: Option<OnKafka>,
    clock: Clock,
    metrics: Metrics,
    readiness: Readiness,
) -> Result<Opened, StartError> {
    let OwnKeys { signing, keyring } = own_keys;
    let opening = tokio::task::spawn_blocking(move || {
        let dir = || config.data_dir.display().to_string();
        let own_ack = match config.journal.ack {
            config::Ack::Durable => journal::Ack::Durable,
            config::Ack::Written => journal::Ack::Written,
        };
        let sealer = |purpose: &str| keyring.as_ref().map(|keyring| keyring.sealer(purpose));
        let journal = |purpose: &str| journal::Options {
            sealer: sealer(purpose),
            segment_bytes: config.journal.segment_bytes(),
            // A queue larger than the address space has no other bound than memory.
            queue_bytes_max: usize::try_from(config.journal.queue_bytes()).unwrap_or(usize::MAX),
            ack: match config.journal.ack {
                // The topics are durable; what is here are copies, and each knows when it has lost its end.
                _ if kafka.is_some() => journal::Ack::Written,
                _ => own_ack,
            },
            ..journal::Options::default()
        };
        let registry = Registry::open(registry::Options {
            data_dir: config.data_dir.clone(),
            book: book.files,
            book_named: book.named,
            signature: book.signature,
            trusted_keys: book.trusted_keys,
            deployment: book.deployment,
            upstream: kafka.as_ref().map(|kafka| registry::Upstream {
                cluster: kafka.cluster.clone(),
                may_lead: config.roles.contains(&Role::Registry),
            }),
            journal: journal(purpose::LISTS),
            clock: clock.clone(),
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            overlay_min: registry::OVERLAY_MIN,
            source_rules: source_rules(&config),
            sealer: sealer(purpose::REGISTRY),
        })
        .map_err(|source| StartError::Registry { dir: dir(), source })?;
        // No copy of anything, wherever the others come from.
        let calls = Calls::open(
            &config.data_dir,
            journal::Options {
                ack: own_ack,
                ..journal(purpose::CALLS)
            },
            clock.clone(),
            readiness.clone(),
        )
        .map_err(|source| StartError::Calls {
            dir: dir(),
            source: Box::new(source),
        })?;
        let history: Arc<dyn History> = Arc::new(registry.past().clone());
        if !judges(&config) {
            return Ok(Opened {
                registry,
                gate: None,
                cases: None,
                stream: None,
                case_log: kafka.map(|kafka| CaseLog::on(kafka.cluster)),
                calls,
                check_points: None,
            });
        }
        let gate = Gate::open(gate::Options {
            data_dir: config.data_dir.clone(),
            live: registry.live().clone(),
            history: Arc::clone(&history),
            journal: journal(purpose::VERDICTS),
            clock: clock.clone(),
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            limits: gate::Limits {
                checks_in_flight: config.limits.checks_in_flight,
                min_list_version_wait: config.limits.min_list_version_wait,
                ..gate::Limits::default()
            },
            // One for all replicas, which no rotation changes.
            digest_key: sealer(purpose::CONTENT).map(|sealer| sealer.keyed_hash(b"")),
            kafka: kafka.clone(),
        })
        .map_err(|source| StartError::Gate { dir: dir(), source })?;
        let cases = match follows_cases(&config) {
            false => None,
            true => Some(
                Cases::open(cases::Options {
                    data_dir: config.data_dir.clone(),
                    reviews: Arc::new(gate.clone()),
                    changes: Arc::new(registry.past().clone()),
                    history,
                    live: registry.live().clone(),
                    journal: journal(purpose::CASES),
                    clock: clock.clone(),
                    readiness: readiness.clone(),
                    metrics: metrics.clone(),
                    settings: cases::Settings {
                        open_days: config.cases.open_days,
                        decide_days: config.cases.decide_days,
                        lift_days: config.cases.lift_days,
                        four_eyes: config.cases.four_eyes.clone(),
                        announces: kafka.is_some(),
                    },
                    kafka: kafka.as_ref().map(|kafka| cases::OnKafka {
                        cluster: kafka.cluster.clone(),
                        partitions: kafka.partitions,
                    }),
                    sealer: sealer(purpose::CASES_TABLE),
                })
                .map_err(|source| StartError::Cases { dir: dir(), source })?,
            ),
        };
        let case_log = match &kafka {
            Some(kafka) => Some(CaseLog::on(kafka.cluster.clone())),
            None => cases.as_ref().map(CaseLog::of),
        };
        let check_points = signing.map(|key| -> Result<CheckPoints, StartError> {
            let mut journals = vec![
                ("changes", registry.journal().clone()),
                ("verdicts", gate.journal().clone()),
            ];
            journals.extend(cases.iter().map(|cases| ("cases", cases.journal().clone())));
            journals.extend(calls.journal());
            CheckPoints::open(check_points::Options {
                data_dir: config.data_dir.clone(),
                key,
                anchor: config.journal.anchor_file.clone(),
                outlets: outlets(&config, &clock)?,
                journals,
                clock,
                metrics: metrics.clone(),
            })
            // From the first moment on there is one.
            .and_then(|points| points.put_blocking().map(|()| points))
            .map_err(|error| StartError::CheckPoints {
                dir: dir(),
                source: Box::new(error),
            })
        });
        let check_points = check_points.transpose()?;
        let stream = match kafka.filter(|_| streams(&config)) {
            None => None,
            Some(OnKafka {
                cluster,
                partitions,
            }) => Some(
                Stream::join(stream::Options {
                    judge: Arc::new(gate.clone()),
                    cluster,
                    partitions,
                    metrics,
                    readiness,
                })
                .map_err(|error| StartError::Stream(Box::new(error)))?,
            ),
        };
        Ok(Opened {
            registry,
            gate: Some(gate),
            cases,
            stream,
            case_log,
            calls,
            check_points,
        })
    });
    opening.await.map_err(StartError::Opening)?
}

/// What the deployment says of the sources of lists.
fn source_rules(config: &Config) -> registry::SourceRules {
    let precedence = config.lists.precedence.iter();
    registry::SourceRules {
        removal_percent: config.lists.removal_percent,
        precedence: precedence
            .map(|(list, sources)| (ListCode::new(list.as_str()), sources.clone()))
            .collect(),
    }
}

/// Where and how changes of the lists are sent.
fn webhook_options(config: &Config) -> registry::subscriptions::Options {
    let webhooks = &config.webhooks;
    registry::subscriptions::Options {
        allow: webhooks.allow.clone(),
        secrets_dir: webhooks.secrets_dir.clone(),
        timeout: webhooks.timeout,
        resend: webhooks.resend,
        ca_file: webhooks.ca_file.clone(),
        pace: registry::subscriptions::Pace::default(),
    }
}

/// Where and how verdicts, lift orders and notices of cases are sent.
fn delivery_options(config: &Config) -> deliveries::Options {
    let webhooks = &config.webhooks;
    deliveries::Options {
        allow: webhooks.allow.clone(),
        secrets_dir: webhooks.secrets_dir.clone(),
        timeout: webhooks.timeout,
        ca_file: webhooks.ca_file.clone(),
        give_up: Duration::from_secs(u64::from(webhooks.give_up_hours) * 3_600),
        pace: deliveries::Pace::default(),
    }
}

/// Where check points are sent besides their file.
fn outlets(config: &Config, clock: &Clock) -> Result<Vec<Box<dyn Outlet>>, StartError> {
    let mut outlets: Vec<Box<dyn Outlet>> = Vec::new();
    let cluster = Cluster::of(&config.kafka.of_anchor(&config.journal));
    if let (Some(topic), Some(cluster)) = (&config.journal.anchor_topic, cluster) {
        let outlet = TopicOutlet::open(&cluster, topic.clone());
        outlets.push(Box::new(outlet.map_err(|error| {
            StartError::AnchorTopic {
                topic: topic.clone(),
                source: Box::new(error),
            }
        })?));
    }
    let target = config.journal.anchor_webhook.as_deref();
    let target = target.and_then(|url| webhook::Target::parse(url).ok());
    if let (Some(target), Some(secret_id)) = (target, &config.journal.anchor_secret_id) {
        let webhooks = &config.webhooks;
        let sender = webhook::Sender::new(
            &webhooks.allow,
            webhooks.timeout,
            webhooks.ca_file.as_deref(),
        )
        .map_err(StartError::AnchorWebhook)?;
        outlets.push(Box::new(WebhookOutlet::new(
            sender,
            webhook::Secrets(webhooks.secrets_dir.clone()),
            secret_id.clone(),
            target,
            clock.clone(),
        )));
    }
    Ok(outlets)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}
