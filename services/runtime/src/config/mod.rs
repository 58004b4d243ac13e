//! How a process runs: defaults, then the file, then the environment, then the command line.

mod environment;
mod error;
mod example;
mod keys;
mod read;
mod secret;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use self::environment::{Environment, ProcessEnvironment, unknown_variables};
pub use self::error::{Error, Errors, Origin};
pub use self::keys::{
    CA_VARIABLE, CERTIFICATE_VARIABLE, FILE_VARIABLE, Form, KEY_VARIABLE, KEYRING_FILE_VARIABLE,
    KEYRING_VARIABLE, KEYS, Key, OTHER_VARIABLES, PREFIX, SERVER_VARIABLE,
};
pub use self::secret::{HIDDEN, Secret};

use self::read::Reader;
use self::written::Written;

use crate::targets::{Allowed, check_host};
use crate::tls::Files;
use crate::tokens;
use crate::webhook::Target;

/// Where a configuration comes from. A later source replaces an earlier one key by key.
pub struct Sources<'a> {
    /// The file, when the command line names one; otherwise [`FILE_VARIABLE`] may.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: &'a dyn Environment,
    /// The command line.
    pub overrides: Overrides,
}

/// What the command line says, as typed: the same constructors judge it as judge the file. Lists are separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// `--grpc-addr`
    pub grpc_addr: Option<String>,
    /// `--http-addr`
    pub http_addr: Option<String>,
    /// `--roles`
    pub roles: Option<String>,
    /// `--catalogue-dir`
    pub catalogue_dir: Option<String>,
    /// `--confirmations`
    pub confirmations: Option<String>,
    /// `--book`
    pub book: Option<String>,
    /// `--supplement`, once for each.
    pub supplements: Vec<String>,
    /// `--trusted-key`, once for each.
    pub trusted_keys: Vec<String>,
    /// `--keys-file`
    pub keys_file: Option<String>,
    /// `--journal-ack`
    pub journal_ack: Option<String>,
    /// `--kafka`
    pub kafka: Option<String>,
    /// `--kafka-config`, once for each setting: its name and its value.
    pub kafka_config: Vec<(String, String)>,
    /// `--kafka-topic-prefix`
    pub kafka_topic_prefix: Option<String>,
    /// `--log-format`
    pub log_format: Option<String>,
    /// `--log-filter`
    pub log_filter: Option<String>,
    /// `--otlp-endpoint`
    pub otlp_endpoint: Option<String>,
}

/// The validated configuration in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Directory of the journal and its index.
    pub data_dir: PathBuf,
    /// Where gRPC listens.
    pub grpc_addr: SocketAddr,
    /// Where HTTP listens.
    pub http_addr: SocketAddr,
    /// What this process does; never empty.
    pub roles: BTreeSet<Role>,
    /// Where the book is; none: the one built into the binary.
    pub catalogue_dir: Option<PathBuf>,
    /// The deployment's confirmations of inactive rows.
    pub confirmations: Vec<PathBuf>,
    /// The callers and their keys; none: loopback only.
    pub keys_file: Option<PathBuf>,
    /// What callers may do.
    pub access: Access,
    /// TLS towards callers.
    pub tls: Tls,
    /// Tokens of callers.
    pub tokens: Tokens,
    /// The book.
    pub book: Book,
    /// The journal.
    pub journal: Journal,
    /// Encryption of what is kept.
    pub sealing: Sealing,
    /// Kafka.
    pub kafka: Kafka,
    /// The lists.
    pub lists: Lists,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// Cases.
    pub cases: Cases,
    /// The limits.
    pub limits: Limits,
    /// Logs, traces and metrics.
    pub telemetry: Telemetry,
    /// Stopping.
    pub shutdown: Shutdown,
}

/// Something a process can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one writer of lists.
    Registry,
    /// Checks over gRPC.
    Gate,
    /// HTTP and JSON.
    Http,
    /// Events from Kafka.
    Stream,
    /// Cases: reviewed, measures reported and lifted.
    Cases,
}

/// What callers may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Their roles and matters; none: the keys file says what each may do.
    pub policy_file: Option<PathBuf>,
}

/// TLS towards callers; without a certificate both interfaces speak in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// The chain that this service shows.
    pub certificate_file: Option<PathBuf>,
    /// The key to it.
    pub key_file: Option<PathBuf>,
    /// Who vouches for callers.
    pub client_ca_file: Option<PathBuf>,
    /// Whether callers must show a certificate.
    pub client_certificates: ClientCertificates,
}

/// Whether callers must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// Who shows none may call with a key.
    Optional,
    /// Who shows none is not heard.
    Required,
}

/// JSON Web Tokens of callers; without an issuer none is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Who issues them.
    pub issuer: Option<String>,
    /// The name of this service in them.
    pub audience: Option<String>,
    /// The claim that names the caller.
    pub claim: String,
    /// The issuer's public keys; none: the issuer is asked.
    pub jwks_file: Option<PathBuf>,
    /// Who vouches for the issuer over https; none: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// By how much its clock may differ.
    #[serde(rename = "clock_skew_seconds", serialize_with = "as_seconds")]
    pub clock_skew: Duration,
}

/// The book besides `catalogue_dir`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Book {
    /// A packed book.
    pub pack: Option<PathBuf>,
    /// Supplements to compose with it.
    pub supplements: Vec<PathBuf>,
    /// Public keys of those who may sign books; none: unsigned ones are taken.
    pub trusted_keys: Vec<PathBuf>,
}

/// How the journal keeps records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Journal {
    /// When an answer may leave.
    pub ack: Ack,
    /// Size at which a new segment begins.
    pub segment_mib: u32,
    /// Memory for records that wait for the disk.
    pub queue_mib: u32,
    /// The key that signs check points; none: none are made.
    pub signing_key_file: Option<PathBuf>,
    /// Longest wait for a check point.
    #[serde(rename = "check_point_seconds", serialize_with = "as_seconds")]
    pub check_point: Duration,
    /// Where check points go, too.
    pub anchor_file: Option<PathBuf>,
    /// A topic that gets them.
    pub anchor_topic: Option<String>,
    /// The brokers of that topic.
    pub anchor_brokers: Vec<String>,
    /// Settings of librdkafka for it.
    pub anchor_kafka_config: BTreeMap<String, Secret>,
    /// An address that gets them.
    pub anchor_webhook: Option<String>,
    /// The secret that signs what goes there.
    pub anchor_secret_id: Option<String>,
}

/// Where the keys are that encrypt what is kept; without any it lies in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sealing {
    /// Their file.
    pub keyring_file: Option<PathBuf>,
    /// The text of such a file.
    pub keyring: Option<Secret>,
}

/// When an answer may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Its record is synced to disk.
    Durable,
    /// Its record was handed to the operating system.
    Written,
}

/// Kafka: where it is, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kafka {
    /// Brokers to begin with; none: embedded.
    pub brokers: Vec<String>,
    /// Settings of librdkafka.
    pub config: BTreeMap<String, Secret>,
    /// What every name begins with.
    pub topic_prefix: String,
    /// Partitions of topics created here.
    pub partitions: u32,
    /// Copies of topics created here; none: by the number of brokers.
    #[serde(serialize_with = "as_auto")]
    pub replication: Option<u16>,
    /// Most events of one transaction.
    pub batch_events: usize,
    /// Longest wait for further events.
    #[serde(rename = "batch_ms", serialize_with = "as_millis")]
    pub batch: Duration,
    /// After which the broker ends a silent transaction.
    #[serde(rename = "transaction_timeout_ms", serialize_with = "as_millis")]
    pub transaction_timeout: Duration,
    /// How verdicts and lift orders are written.
    pub verdict_data: VerdictData,
    /// Time for a revoked partition to finish.
    #[serde(rename = "revoke_drain_ms", serialize_with = "as_millis")]
    pub revoke_drain: Duration,
}

/// How verdicts and lift orders are written to their topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictData {
    /// As JSON.
    Json,
    /// As protobuf.
    Protobuf,
}

/// What this deployment says of lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lists {
    /// Lists it does not receive, with the reason.
    pub not_connected: BTreeMap<String, String>,
    /// Share of a source's entries in force that a full import may end without approval, in percent.
    pub removal_percent: u8,
    /// The sources of a list, the one that goes before all others first.
    pub precedence: BTreeMap<String, Vec<String>>,
    /// Directory watched for files of entries.
    pub inbox: Option<PathBuf>,
    /// For how long a file in it must not have changed.
    #[serde(rename = "inbox_still_ms", serialize_with = "as_millis")]
    pub inbox_still: Duration,
}

/// Where and how changes of the lists, verdicts, lift orders and notices are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Webhooks {
    /// Where they may be sent.
    pub allow: Vec<Allowed>,
    /// Directory of the secrets that sign.
    pub secrets_dir: Option<PathBuf>,
    /// Longest time of one request.
    #[serde(rename = "timeout_ms", serialize_with = "as_millis")]
    pub timeout: Duration,
    /// After which it is sent again what was not acknowledged.
    #[serde(rename = "resend_ms", serialize_with = "as_millis")]
    pub resend: Duration,
    /// Who vouches for webhooks over https; none: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Hours for which a verdict, a lift order or a notice is tried.
    pub give_up_hours: u16,
}

/// How long cases and what is to be done in them may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cases {
    /// Days after its last event on which a case still is open.
    pub open_days: u16,
    /// Working days for a decision about what is proposed.
    pub decide_days: u16,
    /// Working days in which a lift order is to be acknowledged.
    pub lift_days: u16,
    /// Measures that two officials must confirm.
    pub four_eyes: Vec<String>,
}

/// Where the service says no, or waits no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Largest request.
    pub message_mib: u32,
    /// Checks under way at once.
    pub checks_in_flight: u32,
    /// Longest wait of one call for the list version it asks for.
    #[serde(rename = "min_list_version_wait_ms", serialize_with = "as_millis")]
    pub min_list_version_wait: Duration,
}

/// Logs, traces and metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Telemetry {
    /// Form of the log.
    pub log_format: LogFormat,
    /// What is logged; known to parse.
    pub log_filter: String,
    /// The collector; none: no export.
    pub otlp_endpoint: Option<String>,
    /// Headers for the collector.
    pub otlp_headers: BTreeMap<String, Secret>,
    /// How often metrics go to the collector.
    #[serde(rename = "otlp_interval_ms", serialize_with = "as_millis")]
    pub otlp_interval: Duration,
    /// Share of traces begun here that are exported.
    pub trace_ratio: f64,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For reading.
    Text,
    /// One JSON object per line.
    Json,
}

/// Stopping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shutdown {
    /// Time for work under way to end.
    #[serde(rename = "drain_timeout_ms", serialize_with = "as_millis")]
    pub drain_timeout: Duration,
}

impl Config {
    /// Reads all sources and validates the whole, reporting every fault and not only the first.
    pub fn load(sources: Sources<'_>) -> Result<Config, Errors> {
        let mut errors = Vec::new();
        let mut written = Written::defaults();
        let named_by_variable = || sources.environment.get(FILE_VARIABLE).map(PathBuf::from);
        if let Some(file) = sources.file.clone().or_else(named_by_variable) {
            match std::fs::read_to_string(&file) {
                Ok(text) => written.add_file(&file, &text, &mut errors),
                Err(cause) => {
                    let origin = Origin::File {
                        path: file.into(),
                        line: 0,
                    };
                    errors.push(Error::file(origin, format!("cannot be read: {cause}")));
                }
            }
        }
        written.add_environment(sources.environment, &mut errors);
        sources.overrides.add_to(&mut written);
        Config::validate(Reader::new(written, errors)).map(|(config, _)| config)
    }

    /// The configuration in force as YAML, secrets hidden.
    pub fn dump(&self) -> String {
        serde_saphyr::to_string(self).expect("a configuration is plain data with text keys")
    }

    /// A file with every key, its meaning and its default.
    pub fn example() -> String {
        example::file()
    }

    fn validate(mut read: Reader) -> Result<(Config, Vec<&'static str>), Errors> {
        const ADDRESS: &str = "must be an address and a port such as `127.0.0.1:7420`";
        const PATH: &str = "must be a path";
        const TEXT: &str = "must be a text without spaces";
        const COLLECTOR: &str = "must be an address such as `http://127.0.0.1:4317`, without user or password; \
             a collector beside the service can carry it on over TLS, and `telemetry.otlp_headers` takes an authorization";
        let config = Config {
            data_dir: read.one("data_dir", PATH, path),
            grpc_addr: read.one("grpc_addr", ADDRESS, |text| text.parse().ok()),
            http_addr: read.one("http_addr", ADDRESS, |text| text.parse().ok()),
            roles: read
                .many("roles", "must be one or more of `registry`, `gate`, `http`, `stream`, `cases`", Role::named)
                .into_iter()
                .collect(),
            catalogue_dir: read.optional("catalogue_dir", PATH, path),
            confirmations: read.many("confirmations", "must be a list of paths", path),
            keys_file: read.optional("keys_file", PATH, path),
            access: Access {
                policy_file: read.optional("access.policy_file", PATH, path),
            },
            tls: Tls {
                certificate_file: read.optional("tls.certificate_file", PATH, path),
                key_file: read.optional("tls.key_file", PATH, path),
                client_ca_file: read.optional("tls.client_ca_file", PATH, path),
                client_certificates: read.one(
                    "tls.client_certificates",
                    "must be `optional` or `required`",
                    ClientCertificates::named,
                ),
            },
            tokens: Tokens {
                issuer: read.optional("tokens.issuer", TEXT, text),
                audience: read.optional("tokens.audience", TEXT, text),
                claim: read.one("tokens.claim", TEXT, text),
                jwks_file: read.optional("tokens.jwks_file", PATH, path),
                ca_file: read.optional("tokens.ca_file", PATH, path),
                clock_skew: Duration::from_secs(read.number("tokens.clock_skew_seconds", 0..=300)),
            },
            book: Book {
                pack: read.optional("book.pack", PATH, path),
                supplements: read.many("book.supplements", "must be a list of paths", path),
                trusted_keys: read.many("book.trusted_keys", "must be a list of paths", path),
            },
            journal: Journal {
                ack: read.one("journal.ack", "must be `durable` or `written`", Ack::named),
                segment_mib: read.number("journal.segment_mib", 1..=4096),
                queue_mib: read.number("journal.queue_mib", 1..=4096),
                signing_key_file: read.optional("journal.signing_key_file", PATH, path),
                check_point: Duration::from_secs(read.number("journal.check_point_seconds", 1..=86_400)),
                anchor_file: read.optional("journal.anchor_file", PATH, path),
                anchor_topic: read.optional(
                    "journal.anchor_topic",
                    "must be the name of a topic: 1 to 249 letters, digits, `.`, `_` or `-`",
                    topic_name,
                ),
                anchor_brokers: read.many("journal.anchor_brokers", "must be brokers such as `audit-1:9092`", broker),
                anchor_kafka_config: read
                    .table(
                        "journal.anchor_kafka_config",
                        "must give a value to each setting, such as `{security.protocol: SSL}`",
                    )
                    .into_iter()
                    .map(|(name, value)| (name, Secret::new(value)))
                    .collect(),
                anchor_webhook: read.optional(
                    "journal.anchor_webhook",
                    "must be an address such as `https://audit.example.gov.cn/check-points`, without a user",
                    |text| Target::parse(text).is_ok().then(|| text.to_owned()),
                ),
                anchor_secret_id: read.optional("journal.anchor_secret_id", TEXT, text),
            },
            sealing: Sealing {
                keyring_file: read.optional("sealing.keyring_file", PATH, path),
                keyring: read.optional("sealing.keyring", "must be the text of a keyring", |text| Some(Secret::new(text))),
            },
            kafka: Kafka {
                brokers: read.many("kafka.brokers", "must be brokers such as `kafka-1:9092`", broker),
                config: read
                    .table("kafka.config", "must give a value to each setting, such as `{security.protocol: SSL}`")
                    .into_iter()
                    .map(|(name, value)| (name, Secret::new(value)))
                    .collect(),
                topic_prefix: read.one(
                    "kafka.topic_prefix",
                    "must be 1 to 100 letters, digits, `.`, `_` or `-`",
                    topic_prefix,
                ),
                partitions: read.number("kafka.partitions", 1..=1_000),
                replication: read.one("kafka.replication", "must be `auto` or a number from 1 to 100", replication),
                batch_events: read.number("kafka.batch_events", 1..=100_000),
                batch: millis(read.number("kafka.batch_ms", 0..=10_000)),
                transaction_timeout: millis(read.number("kafka.transaction_timeout_ms", 1_000..=900_000)),
                verdict_data: read.one("kafka.verdict_data", "must be `json` or `protobuf`", VerdictData::named),
                revoke_drain: millis(read.number("kafka.revoke_drain_ms", 0..=60_000)),
            },
            lists: Lists {
                not_connected: read.table(
                    "lists.not_connected",
                    "must give a reason to each list, such as `{B07: no agreement with the issuer yet}`",
                ),
                removal_percent: read.number("lists.removal_percent", 0..=100),
                precedence: read
                    .table("lists.precedence", "must name sources for each list, such as `{B01: 最高人民法院 > 省信用平台}`")
                    .into_iter()
                    .map(|(list, sources)| (list, in_order(&sources)))
                    .collect(),
                inbox: read.optional("lists.inbox", PATH, path),
                inbox_still: millis(read.number("lists.inbox_still_ms", 100..=3_600_000)),
            },
            webhooks: Webhooks {
                allow: read.many(
                    "webhooks.allow",
                    "must be hosts, domains such as `*.example.gov.cn`, or networks such as `10.1.0.0/16`",
                    Allowed::parse,
                ),
                secrets_dir: read.optional("webhooks.secrets_dir", PATH, path),
                timeout: millis(read.number("webhooks.timeout_ms", 100..=120_000)),
                resend: millis(read.number("webhooks.resend_ms", 1_000..=86_400_000)),
                ca_file: read.optional("webhooks.ca_file", PATH, path),
                give_up_hours: read.number("webhooks.give_up_hours", 1..=720),
            },
            cases: Cases {
                open_days: read.number("cases.open_days", 1..=3_650),
                decide_days: read.number("cases.decide_days", 1..=365),
                lift_days: read.number("cases.lift_days", 1..=365),
                four_eyes: read.many("cases.four_eyes", "must be ids of measures such as `M07`", measure_id),
            },
            limits: Limits {
                message_mib: read.number("limits.message_mib", 1..=64),
                checks_in_flight: read.number("limits.checks_in_flight", 1..=1_000_000),
                min_list_version_wait: millis(read.number("limits.min_list_version_wait_ms", 0..=60_000)),
            },
            telemetry: Telemetry {
                log_format: read.one("telemetry.log_format", "must be `text` or `json`", LogFormat::named),
                log_filter: read.one(
                    "telemetry.log_filter",
                    "must be levels such as `info` or `info,creditgate_gate=debug`",
                    log_filter,
                ),
                otlp_endpoint: read.optional("telemetry.otlp_endpoint", COLLECTOR, collector),
                otlp_headers: read
                    .table("telemetry.otlp_headers", "must give a value to each header")
                    .into_iter()
                    .map(|(name, value)| (name, Secret::new(value)))
                    .collect(),
                otlp_interval: millis(read.number("telemetry.otlp_interval_ms", 100..=600_000)),
                trace_ratio: read.number("telemetry.trace_ratio", 0.0..=1.0),
            },
            shutdown: Shutdown { drain_timeout: millis(read.number("shutdown.drain_timeout_ms", 0..=600_000)) },
        };
        config.refuse_bad_combinations(&mut read);
        if read.errors.is_empty() {
            Ok((config, read.asked))
        } else {
            Err(Errors(read.errors))
        }
    }

    fn refuse_bad_combinations(&self, read: &mut Reader) {
        for (key, addr) in [("grpc_addr", self.grpc_addr), ("http_addr", self.http_addr)] {
            if !addr.ip().is_loopback() && self.keys_file.is_none() {
                read.refuse(
                    key,
                    "is open to other machines, and without keys anybody could call: set `keys_file` (make keys with \
                     `creditgate keys NAME --file FILE`), or use a loopback address such as `127.0.0.1`",
                );
            }
        }
        let tls = &self.tls;
        if tls.certificate_file.is_some() && tls.key_file.is_none() {
            read.refuse("tls.certificate_file", "needs its key: set `tls.key_file`");
        }
        if tls.key_file.is_some() && tls.certificate_file.is_none() {
            read.refuse(
                "tls.key_file",
                "needs its certificate: set `tls.certificate_file`",
            );
        }
        if tls.client_ca_file.is_some() && tls.certificate_file.is_none() {
            read.refuse(
                "tls.client_ca_file",
                "is heeded only over TLS: set `tls.certificate_file` and `tls.key_file`",
            );
        }
        if self.access.policy_file.is_some() && self.keys_file.is_none() {
            read.refuse(
                "access.policy_file",
                "says what callers may do, and nothing says who they are: set `keys_file`",
            );
        }
        if tls.client_ca_file.is_some() && self.keys_file.is_none() {
            read.refuse(
                "tls.client_ca_file",
                "names nobody by itself: set `keys_file`, which says whose each certificate is",
            );
        }
        if tls.client_certificates == ClientCertificates::Required && tls.client_ca_file.is_none() {
            read.refuse(
                "tls.client_certificates",
                "needs to know who vouches for callers: set `tls.client_ca_file`",
            );
        }
        self.refuse_bad_tokens(read);
        let journal = &self.journal;
        if journal.anchor_file.is_some() && journal.signing_key_file.is_none() {
            read.refuse(
                "journal.anchor_file",
                "gets check points, which need a key: set `journal.signing_key_file` (make one with `creditgate keys journal`)",
            );
        }
        self.refuse_bad_anchors(read);
        let inside = |anchor: &PathBuf| anchor.starts_with(&self.data_dir);
        if journal.anchor_file.as_ref().is_some_and(inside) {
            read.refuse(
                "journal.anchor_file",
                "lies in `data_dir`, where it shows nothing that the check points there do not: name a place elsewhere",
            );
        }
        if journal.signing_key_file.is_some() && !self.kafka.brokers.is_empty() {
            read.refuse(
                "journal.signing_key_file",
                "signs the journals of an embedded service; with `kafka.brokers` what is here are copies of topics, which \
                 have no check points yet",
            );
        }
        if journal.signing_key_file.is_some() && journal.ack == Ack::Written {
            read.refuse(
                "journal.signing_key_file",
                "signs only what is durable: set `journal.ack` to `durable`",
            );
        }
        if self.sealing.keyring.is_some() && self.sealing.keyring_file.is_some() {
            read.refuse(
                "sealing.keyring",
                "is a keyring, and `sealing.keyring_file` names another; keep one of them",
            );
        }
        if self.grpc_addr == self.http_addr && self.grpc_addr.port() != 0 {
            read.refuse(
                "http_addr",
                "is also `grpc_addr`; give each a port of its own",
            );
        }
        if self.roles.is_empty() {
            read.refuse(
                "roles",
                "is empty; name one or more of `registry`, `gate`, `http`, `stream`, `cases`",
            );
        }
        if self.book.pack.is_some()
            && (self.catalogue_dir.is_some() || !self.book.supplements.is_empty())
        {
            read.refuse(
                "book.pack",
                "is a whole book, and `catalogue_dir` or `book.supplements` names another; keep one of them",
            );
        }
        if let Some(own) = self
            .kafka
            .config
            .keys()
            .find(|name| crate::kafka::OWN_SETTINGS.contains(&name.as_str()))
        {
            read.refuse(
                "kafka.config",
                format!("sets `{own}`, on which exactly once rests; it cannot be changed"),
            );
        }
        if self.kafka.batch * 2 > self.kafka.transaction_timeout() {
            read.refuse(
                "kafka.batch_ms",
                "is more than half of the time that a transaction has (`kafka.transaction_timeout_ms`): \
                 it would be ended before it is committed",
            );
        }
        let bad_header = |(name, value): (&String, &Secret)| {
            http::HeaderName::from_bytes(name.as_bytes()).is_err()
                || !value
                    .reveal()
                    .bytes()
                    .all(|byte| (0x20..0x7f).contains(&byte))
        };
        if self.telemetry.otlp_headers.iter().any(bad_header) {
            read.refuse(
                "telemetry.otlp_headers",
                "must hold header names and printable ASCII values",
            );
        }
    }
}

impl Config {
    /// A topic has its brokers, a webhook its secret and a host that may be sent to, and both need a key that signs.
    fn refuse_bad_anchors(&self, read: &mut Reader) {
        let journal = &self.journal;
        let unsigned = "gets check points, which need a key: set `journal.signing_key_file` (make one with `creditgate keys \
                        journal`)";
        for (key, is_set) in [
            ("journal.anchor_topic", journal.anchor_topic.is_some()),
            ("journal.anchor_webhook", journal.anchor_webhook.is_some()),
        ] {
            if is_set && journal.signing_key_file.is_none() {
                read.refuse(key, unsigned);
            }
        }
        match (&journal.anchor_topic, journal.anchor_brokers.is_empty()) {
            (Some(_), true) => read.refuse(
                "journal.anchor_topic",
                "lies on a cluster that nobody named: set `journal.anchor_brokers`",
            ),
            (None, false) => read.refuse(
                "journal.anchor_brokers",
                "are those of `journal.anchor_topic`: name it",
            ),
            _ => {}
        }
        if let Some(own) = journal
            .anchor_kafka_config
            .keys()
            .find(|name| crate::kafka::OWN_SETTINGS.contains(&name.as_str()))
        {
            read.refuse(
                "journal.anchor_kafka_config",
                format!("sets `{own}`, on which it rests that no check point is lost; it cannot be changed"),
            );
        }
        let Some(target) = journal
            .anchor_webhook
            .as_deref()
            .and_then(|url| Target::parse(url).ok())
        else {
            if journal.anchor_secret_id.is_some() {
                read.refuse(
                    "journal.anchor_secret_id",
                    "signs what goes to `journal.anchor_webhook`: name it",
                );
            }
            return;
        };
        if journal.anchor_secret_id.is_none() || self.webhooks.secrets_dir.is_none() {
            read.refuse(
                "journal.anchor_webhook",
                "gets signed requests: set `webhooks.secrets_dir` and `journal.anchor_secret_id`",
            );
        }
        if check_host(&self.webhooks.allow, &target.host).is_err() {
            read.refuse(
                "journal.anchor_webhook",
                "may not be sent to: name its host in `webhooks.allow`",
            );
        }
    }

    fn refuse_bad_tokens(&self, read: &mut Reader) {
        let tokens = &self.tokens;
        let Some(issuer) = &tokens.issuer else {
            for (key, is_set) in [
                ("tokens.audience", tokens.audience.is_some()),
                ("tokens.jwks_file", tokens.jwks_file.is_some()),
                ("tokens.ca_file", tokens.ca_file.is_some()),
            ] {
                if is_set {
                    read.refuse(key, "is of the tokens of an issuer: set `tokens.issuer`");
                }
            }
            return;
        };
        if tokens.audience.is_none() {
            read.refuse(
                "tokens.issuer",
                "issues tokens for others, too: set `tokens.audience`, the name of this service in them",
            );
        }
        if self.keys_file.is_none() {
            read.refuse(
                "tokens.issuer",
                "names nobody by itself: set `keys_file`, which says whose each token is",
            );
        }
        match &tokens.jwks_file {
            None => {
                if let Err(rule) = tokens::discovery(issuer) {
                    read.refuse("tokens.issuer", rule);
                }
            }
            Some(_) if tokens.ca_file.is_some() => read.refuse(
                "tokens.ca_file",
                "vouches for the issuer when it is asked for its keys, which `tokens.jwks_file` holds; keep one of them",
            ),
            Some(_) => {}
        }
    }
}

impl Default for Config {
    /// The configuration when nobody says anything.
    fn default() -> Config {
        let read = Reader::new(Written::defaults(), Vec::new());
        Config::validate(read)
            .expect("a test validates the defaults")
            .0
    }
}

impl Journal {
    /// Size at which a new segment begins, in bytes.
    pub fn segment_bytes(&self) -> u64 {
        mib(self.segment_mib)
    }

    /// Memory for records that wait for the disk, in bytes.
    pub fn queue_bytes(&self) -> u64 {
        mib(self.queue_mib)
    }
}

impl Kafka {
    /// The cluster that holds the anchor of check points; everything but where it is and how it is reached is as here.
    #[must_use]
    pub fn of_anchor(&self, journal: &Journal) -> Self {
        Self {
            brokers: journal.anchor_brokers.clone(),
            config: journal.anchor_kafka_config.clone(),
            ..self.clone()
        }
    }

    /// After which the broker ends a silent transaction: the library's own setting comes first.
    pub fn transaction_timeout(&self) -> Duration {
        self.config
            .get("transaction.timeout.ms")
            .and_then(|given| given.reveal().parse().ok())
            .map_or(self.transaction_timeout, Duration::from_millis)
    }
}

impl Limits {
    /// Largest request, in bytes.
    pub fn message_bytes(&self) -> usize {
        usize::try_from(mib(self.message_mib)).unwrap_or(usize::MAX)
    }
}

impl Overrides {
    fn add_to(&self, written: &mut Written) {
        let flags = [
            ("data_dir", "--data-dir", &self.data_dir),
            ("grpc_addr", "--grpc-addr", &self.grpc_addr),
            ("http_addr", "--http-addr", &self.http_addr),
            ("roles", "--roles", &self.roles),
            ("catalogue_dir", "--catalogue-dir", &self.catalogue_dir),
            ("confirmations", "--confirmations", &self.confirmations),
            ("book.pack", "--book", &self.book),
            ("keys_file", "--keys-file", &self.keys_file),
            ("journal.ack", "--journal-ack", &self.journal_ack),
            ("kafka.brokers", "--kafka", &self.kafka),
            (
                "kafka.topic_prefix",
                "--kafka-topic-prefix",
                &self.kafka_topic_prefix,
            ),
            ("telemetry.log_format", "--log-format", &self.log_format),
            ("telemetry.log_filter", "--log-filter", &self.log_filter),
            (
                "telemetry.otlp_endpoint",
                "--otlp-endpoint",
                &self.otlp_endpoint,
            ),
        ];
        for (path, flag, text) in flags {
            if let Some(text) = text {
                written.add_flag(path, flag, text);
            }
        }
        for (path, flag, texts) in [
            ("book.supplements", "--supplement", &self.supplements),
            ("book.trusted_keys", "--trusted-key", &self.trusted_keys),
        ] {
            if !texts.is_empty() {
                written.add_flag_list(path, flag, texts);
            }
        }
        if !self.kafka_config.is_empty() {
            written.add_flag_table("kafka.config", "--kafka-config", &self.kafka_config);
        }
    }
}

impl Role {
    fn named(text: &str) -> Option<Role> {
        match text {
            "registry" => Some(Role::Registry),
            "gate" => Some(Role::Gate),
            "http" => Some(Role::Http),
            "stream" => Some(Role::Stream),
            "cases" => Some(Role::Cases),
            _ => None,
        }
    }
}

impl Tls {
    /// The files, where both interfaces speak TLS.
    #[must_use]
    pub fn files(&self) -> Option<Files> {
        Some(Files {
            certificate: self.certificate_file.clone()?,
            key: self.key_file.clone()?,
            client_ca: self.client_ca_file.clone(),
            required: self.client_certificates == ClientCertificates::Required,
        })
    }
}

impl Tokens {
    /// Whose tokens are taken, where any are.
    #[must_use]
    pub fn settings(&self) -> Option<tokens::Settings> {
        Some(tokens::Settings {
            issuer: self.issuer.clone()?,
            audience: self.audience.clone()?,
            claim: self.claim.clone(),
            clock_skew: self.clock_skew,
            keys: match &self.jwks_file {
                Some(file) => tokens::Keys::File(file.clone()),
                None => tokens::Keys::Issuer {
                    ca_file: self.ca_file.clone(),
                    pace: tokens::Pace::default(),
                },
            },
        })
    }
}

impl ClientCertificates {
    fn named(text: &str) -> Option<Self> {
        match text {
            "optional" => Some(Self::Optional),
            "required" => Some(Self::Required),
            _ => None,
        }
    }
}

impl Ack {
    fn named(text: &str) -> Option<Ack> {
        match text {
            "durable" => Some(Ack::Durable),
            "written" => Some(Ack::Written),
            _ => None,
        }
    }
}

impl VerdictData {
    fn named(text: &str) -> Option<VerdictData> {
        match text {
            "json" => Some(VerdictData::Json),
            "protobuf" => Some(VerdictData::Protobuf),
            _ => None,
        }
    }
}

impl LogFormat {
    fn named(text: &str) -> Option<LogFormat> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn text(text: &str) -> Option<String> {
    let plain = |one: char| !one.is_whitespace() && !one.is_control();
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

fn broker(text: &str) -> Option<String> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let port_fits = port.parse::<u16>().is_ok_and(|port| port > 0);
    (!host.is_empty() && port_fits).then(|| text.trim().to_owned())
}

fn topic_prefix(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=100).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
}

fn topic_name(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=249).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
}

fn replication(text: &str) -> Option<Option<u16>> {
    if text == "auto" {
        return Some(None);
    }
    let copies = text.parse().ok()?;
    (1..=100).contains(&copies).then_some(Some(copies))
}

/// A bare word must be a level: taken as a target, as the filter would, a misspelt level silences everything.
fn log_filter(text: &str) -> Option<String> {
    let directive = |part: &str| {
        part.contains('=')
            || part
                .parse::<tracing_subscriber::filter::LevelFilter>()
                .is_ok()
    };
    let parses = !text.is_empty()
        && text.split(',').all(|part| directive(part.trim()))
        && tracing_subscriber::EnvFilter::try_new(text).is_ok();
    parses.then(|| text.to_owned())
}

fn collector(text: &str) -> Option<String> {
    let uri: http::Uri = text.parse().ok()?;
    let plain = uri.scheme_str() == Some("http") && !uri.authority()?.as_str().contains('@');
    plain.then(|| text.to_owned())
}

/// Names between `>`.
fn in_order(names: &str) -> Vec<String> {
    let names = names.split('>').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn measure_id(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=64).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
}

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn mib(number: u32) -> u64 {
    u64::from(number) << 20
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

fn as_auto<S: Serializer>(number: &Option<u16>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => serializer.serialize_u16(*number),
        None => serializer.serialize_str("auto"),
    }
}

#[cfg(test)]
mod tests;
