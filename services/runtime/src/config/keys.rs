//! Every key, its environment variable, its default and its meaning: the one table they are all read from.

/// The variable that names the configuration file; the command line's `--config` comes before it.
pub const FILE_VARIABLE: &str = "CREDITGATE_CONFIG";
/// The variable by which client commands find the service; the command line's `--server` comes before it.
pub const SERVER_VARIABLE: &str = "CREDITGATE_SERVER";
/// The variable that carries the bearer key of client commands.
pub const KEY_VARIABLE: &str = "CREDITGATE_KEY";
/// The variable that names the authorities client commands trust.
pub const CA_VARIABLE: &str = "CREDITGATE_CA_FILE";
/// The variable that names the certificate client commands show.
pub const CERTIFICATE_VARIABLE: &str = "CREDITGATE_CERTIFICATE_FILE";
/// The variable that names the keyring; the command line's `--keyring` comes before it.
pub const KEYRING_FILE_VARIABLE: &str = "CREDITGATE_SEALING_KEYRING_FILE";
/// The variable that holds the text of the keyring.
pub const KEYRING_VARIABLE: &str = "CREDITGATE_SEALING_KEYRING";
/// What the name of every variable of this project begins with.
pub const PREFIX: &str = "CREDITGATE_";

/// Variables that are no configuration key, with their meaning.
pub const OTHER_VARIABLES: &[(&str, &str)] = &[
    (
        FILE_VARIABLE,
        "path of the configuration file, when `--config` is not given",
    ),
    (
        SERVER_VARIABLE,
        "address of the service for client commands, when `--server` is not given",
    ),
    (KEY_VARIABLE, "bearer key that client commands present"),
    (
        CA_VARIABLE,
        "who vouches for the service towards client commands, when `--ca-file` is not given",
    ),
    (
        CERTIFICATE_VARIABLE,
        "certificate and key that client commands show, when `--certificate-file` is not given",
    ),
];

/// How the value of a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One value.
    One,
    /// One value or nothing.
    Optional,
    /// A list; in a variable or on the command line separated by commas.
    Many,
    /// Names with values; in a variable `name=value`, separated by semicolons.
    Table,
}

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Where it stands in the file: sections joined by dots.
    pub path: &'static str,
    /// The environment variable that overrides the file.
    pub variable: &'static str,
    /// How its value is written.
    pub form: Form,
    /// The value in force when nobody says otherwise, written as in a variable; empty means nothing.
    pub default: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
    /// What it does, for the reader of the example file.
    pub meaning: &'static str,
}

const fn key(
    path: &'static str,
    variable: &'static str,
    form: Form,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        path,
        variable,
        form,
        default,
        secret: false,
        meaning,
    }
}

/// All keys, in the order of the example file.
pub const KEYS: &[Key] = &[
    key(
        "data_dir",
        "CREDITGATE_DATA_DIR",
        Form::One,
        "./data",
        "Directory of the journal and its index. One process at a time; relative paths count from the working directory.",
    ),
    key(
        "grpc_addr",
        "CREDITGATE_GRPC_ADDR",
        Form::One,
        "127.0.0.1:7420",
        "Address and port of gRPC. An address other than loopback needs `keys_file`. Port 0 takes a free one.",
    ),
    key(
        "http_addr",
        "CREDITGATE_HTTP_ADDR",
        Form::One,
        "127.0.0.1:7421",
        "Address and port of HTTP: health, metrics and the JSON interface. The same rule as for `grpc_addr`.",
    ),
    key(
        "roles",
        "CREDITGATE_ROLES",
        Form::Many,
        "registry,gate,http,stream,cases",
        "What this process does: registry (the one writer of lists), gate (gRPC checks), http (HTTP and JSON), stream \
         (events from Kafka; idle without `kafka.brokers`), cases (reviews, feedback, lift orders; without Kafka \
         always).",
    ),
    key(
        "catalogue_dir",
        "CREDITGATE_CATALOGUE_DIR",
        Form::Optional,
        "",
        "Directory of the book: lists, scenarios, measures, agreements. Nothing: the catalogue built into the binary.",
    ),
    key(
        "confirmations",
        "CREDITGATE_CONFIRMATIONS",
        Form::Many,
        "",
        "Files in which this deployment confirms rows of the book that are inactive until somebody answers for them.",
    ),
    key(
        "keys_file",
        "CREDITGATE_KEYS_FILE",
        Form::Optional,
        "",
        "File that names the callers, with the SHA-256 of their bearer keys, the name in their certificates or in their tokens; read \
         again when it changes. Nothing: only loopback may call, as `local`.",
    ),
    key(
        "access.policy_file",
        "CREDITGATE_ACCESS_POLICY_FILE",
        Form::Optional,
        "",
        "File that gives callers their roles and the matters they deal with; whom and what it does not name is refused \
         (`creditgate access --help`); read again when it changes. Nothing: each caller may do what `keys_file` says, about everything.",
    ),
    key(
        "tls.certificate_file",
        "CREDITGATE_TLS_CERTIFICATE_FILE",
        Form::Optional,
        "",
        "Certificate chain (PEM) with which gRPC and HTTP speak TLS. Read again when it changes. Nothing: both speak in \
         clear, for loopback or behind a proxy that ends TLS.",
    ),
    key(
        "tls.key_file",
        "CREDITGATE_TLS_KEY_FILE",
        Form::Optional,
        "",
        "The private key to it (PEM).",
    ),
    key(
        "tls.client_ca_file",
        "CREDITGATE_TLS_CLIENT_CA_FILE",
        Form::Optional,
        "",
        "Authorities (PEM) that vouch for client certificates. A caller whose certificate `keys_file` names needs no key.",
    ),
    key(
        "tls.client_certificates",
        "CREDITGATE_TLS_CLIENT_CERTIFICATES",
        Form::One,
        "optional",
        "optional: who shows no certificate may call with a key; required: who shows none is not heard.",
    ),
    key(
        "tokens.issuer",
        "CREDITGATE_TOKENS_ISSUER",
        Form::Optional,
        "",
        "Issuer of JSON Web Tokens by which callers of `keys_file` are known (`token`): their `iss`, to the letter. Nothing: \
         no token is taken.",
    ),
    key(
        "tokens.audience",
        "CREDITGATE_TOKENS_AUDIENCE",
        Form::Optional,
        "",
        "The name of this service, which must be in the `aud` of a token.",
    ),
    key(
        "tokens.claim",
        "CREDITGATE_TOKENS_CLAIM",
        Form::One,
        "sub",
        "The claim of a token that names the caller, such as sub, client_id or azp.",
    ),
    key(
        "tokens.jwks_file",
        "CREDITGATE_TOKENS_JWKS_FILE",
        Form::Optional,
        "",
        "File with the public keys of the issuer, a JWK set. Read again when it changes. Nothing: the issuer is asked for them \
         (`<issuer>/.well-known/openid-configuration`) at the start, every five minutes, and for a token of an unknown key.",
    ),
    key(
        "tokens.ca_file",
        "CREDITGATE_TOKENS_CA_FILE",
        Form::Optional,
        "",
        "Certificates (PEM) of those who may vouch for the issuer over https. Nothing: those that the system trusts.",
    ),
    key(
        "tokens.clock_skew_seconds",
        "CREDITGATE_TOKENS_CLOCK_SKEW_SECONDS",
        Form::One,
        "60",
        "By how much the issuer's clock may differ from this machine's when a token begins and ends, in seconds, 0 to 300.",
    ),
    key(
        "book.pack",
        "CREDITGATE_BOOK_PACK",
        Form::Optional,
        "",
        "A packed book (`creditgate measures pack`) in the place of `catalogue_dir`. Once a book was published, that one \
         stays in force, whatever is named here.",
    ),
    key(
        "book.supplements",
        "CREDITGATE_BOOK_SUPPLEMENTS",
        Form::Many,
        "",
        "Directories of supplements that are composed with the book of `catalogue_dir` or the built-in one.",
    ),
    key(
        "book.trusted_keys",
        "CREDITGATE_BOOK_TRUSTED_KEYS",
        Form::Many,
        "",
        "Files with the public keys (PEM) of those who may sign books (`creditgate keys book`). With any, a book that none of \
         them signed is refused; without, unsigned books are taken and every verdict says `book_unsigned`.",
    ),
    key(
        "journal.ack",
        "CREDITGATE_JOURNAL_ACK",
        Form::One,
        "durable",
        "When an answer may leave: durable (its record is synced to disk) or written (handed to the operating system; \
         a power cut may lose answered verdicts). With Kafka the topics are durable, and the copies here are written.",
    ),
    key(
        "journal.segment_mib",
        "CREDITGATE_JOURNAL_SEGMENT_MIB",
        Form::One,
        "64",
        "Size at which a new segment of the journal begins, in MiB, 1 to 4096.",
    ),
    key(
        "journal.queue_mib",
        "CREDITGATE_JOURNAL_QUEUE_MIB",
        Form::One,
        "64",
        "Memory for records that wait for the disk, in MiB, 1 to 4096; when it is full, callers wait.",
    ),
    key(
        "journal.signing_key_file",
        "CREDITGATE_JOURNAL_SIGNING_KEY_FILE",
        Form::Optional,
        "",
        "Private key (`creditgate keys journal`) that signs check points of the journals, into `check-points.jsonl` of the data \
         directory: `creditgate journal verify --key` then proves that no end was cut off or written anew. Nothing: none are \
         made.",
    ),
    key(
        "journal.check_point_seconds",
        "CREDITGATE_JOURNAL_CHECK_POINT_SECONDS",
        Form::One,
        "60",
        "How long something recorded waits for a check point, in seconds, 1 to 86400; the last one is made at the stop.",
    ),
    key(
        "journal.anchor_file",
        "CREDITGATE_JOURNAL_ANCHOR_FILE",
        Form::Optional,
        "",
        "A second file for check points, in a place where this machine can at most append: only against it an older copy of \
         the data directory shows.",
    ),
    key(
        "journal.anchor_topic",
        "CREDITGATE_JOURNAL_ANCHOR_TOPIC",
        Form::Optional,
        "",
        "A Kafka topic that gets each check point, by its full name: one partition, kept for ever, to which this service may \
         write and from which it may delete nothing (`deploy/topics.yaml` says how to save it as a file).",
    ),
    key(
        "journal.anchor_brokers",
        "CREDITGATE_JOURNAL_ANCHOR_BROKERS",
        Form::Many,
        "",
        "Kafka brokers of that topic, as host:port; best those of a cluster that others look after.",
    ),
    Key {
        path: "journal.anchor_kafka_config",
        variable: "CREDITGATE_JOURNAL_ANCHOR_KAFKA_CONFIG",
        form: Form::Table,
        default: "",
        secret: true,
        meaning: "Settings of librdkafka for that topic, as `kafka.config`; their values are never shown.",
    },
    key(
        "journal.anchor_webhook",
        "CREDITGATE_JOURNAL_ANCHOR_WEBHOOK",
        Form::Optional,
        "",
        "Address that gets each check point as the body of a request, signed as other webhooks are; its host must stand in \
         `webhooks.allow`.",
    ),
    key(
        "journal.anchor_secret_id",
        "CREDITGATE_JOURNAL_ANCHOR_SECRET_ID",
        Form::Optional,
        "",
        "Id of the secret in `webhooks.secrets_dir` that signs what goes there.",
    ),
    key(
        "sealing.keyring_file",
        KEYRING_FILE_VARIABLE,
        Form::Optional,
        "",
        "File with the keys (`creditgate keyring new`) that encrypt the journals on this disk; read at the start. It must stay \
         named, and its old keys in it, as long as anything is there that was sealed. Nothing: they lie in clear.",
    ),
    Key {
        path: "sealing.keyring",
        variable: KEYRING_VARIABLE,
        form: Form::Optional,
        default: "",
        secret: true,
        meaning: "The text of such a file in its place, for secrets that come as variables; never shown.",
    },
    key(
        "kafka.brokers",
        "CREDITGATE_KAFKA_BROKERS",
        Form::Many,
        "",
        "Kafka brokers to begin with, as host:port. Nothing: embedded, one process with its own journal. A data directory \
         belongs to one of the two ways for good.",
    ),
    Key {
        path: "kafka.config",
        variable: "CREDITGATE_KAFKA_CONFIG",
        form: Form::Table,
        default: "",
        secret: true,
        meaning: "Settings of librdkafka for every client, such as {security.protocol: SASL_SSL, sasl.mechanism: PLAIN}; \
                  their values are never shown.",
    },
    key(
        "kafka.topic_prefix",
        "CREDITGATE_KAFKA_TOPIC_PREFIX",
        Form::One,
        "creditgate",
        "What the names of topics, of the consumer group and of transactions begin with.",
    ),
    key(
        "kafka.partitions",
        "CREDITGATE_KAFKA_PARTITIONS",
        Form::One,
        "8",
        "Partitions of topics that are created here, 1 to 1000; those of events and case state can never change.",
    ),
    key(
        "kafka.replication",
        "CREDITGATE_KAFKA_REPLICATION",
        Form::One,
        "auto",
        "Copies of topics that are created here: a number, or auto (3, or one for each broker when there are fewer).",
    ),
    key(
        "kafka.batch_events",
        "CREDITGATE_KAFKA_BATCH_EVENTS",
        Form::One,
        "2000",
        "Most events of one transaction, 1 to 100000.",
    ),
    key(
        "kafka.batch_ms",
        "CREDITGATE_KAFKA_BATCH_MS",
        Form::One,
        "50",
        "Longest time that a transaction waits for further events, in milliseconds, 0 to 10000.",
    ),
    key(
        "kafka.transaction_timeout_ms",
        "CREDITGATE_KAFKA_TRANSACTION_TIMEOUT_MS",
        Form::One,
        "10000",
        "Time after which the broker ends a transaction of which it hears nothing, in milliseconds, 1000 to 900000.",
    ),
    key(
        "kafka.verdict_data",
        "CREDITGATE_KAFKA_VERDICT_DATA",
        Form::One,
        "json",
        "How verdicts and lift orders are written to their topics: json or protobuf, in CloudEvents of binary mode.",
    ),
    key(
        "kafka.revoke_drain_ms",
        "CREDITGATE_KAFKA_REVOKE_DRAIN_MS",
        Form::One,
        "5000",
        "Time for a partition's transaction to end when another process takes the partition, in milliseconds, 0 to 60000.",
    ),
    key(
        "lists.not_connected",
        "CREDITGATE_LISTS_NOT_CONNECTED",
        Form::Table,
        "",
        "Lists of the book that this deployment does not receive, each with its reason; every verdict names them. \
         Example: {B07: no agreement with the issuer yet}.",
    ),
    key(
        "lists.removal_percent",
        "CREDITGATE_LISTS_REMOVAL_PERCENT",
        Form::One,
        "20",
        "A full import that would end a larger share of what its source has in force on the list waits for approval, in \
         percent, 0 to 100. One without rows always waits.",
    ),
    key(
        "lists.precedence",
        "CREDITGATE_LISTS_PRECEDENCE",
        Form::Table,
        "",
        "Lists that several sources deliver: where they state different things about one entry, the source named first \
         stands; of others, the one that stated the entry first. Example: {B01: 最高人民法院 > 省信用平台}.",
    ),
    key(
        "lists.inbox",
        "CREDITGATE_LISTS_INBOX",
        Form::Optional,
        "",
        "Directory that is watched for files of entries: each folder in it is one source and has a `source.yaml` (source_unit, \
         list, mode, on_error …); what was imported moves to `done`, `refused` or `held` in it, with a report beside it. \
         Nothing: none is watched.",
    ),
    key(
        "lists.inbox_still_ms",
        "CREDITGATE_LISTS_INBOX_STILL_MS",
        Form::One,
        "10000",
        "For how long a file of the watched folder must not have changed until it is taken, in milliseconds, 100 to 3600000. One that looks \
         unfinished (a workbook or an archive without its end, a last line without a line end) is waited for six times as \
         long. Names such as x.part, x.tmp, x~ and .x are passed over: safest is to rename a file when it is whole.",
    ),
    key(
        "webhooks.allow",
        "CREDITGATE_WEBHOOKS_ALLOW",
        Form::Many,
        "",
        "Where changes of the lists, verdicts, lift orders and notices may be sent: hosts, domains such as *.example.gov.cn, and addresses or networks such as \
         10.1.0.0/16. Nothing: nowhere. An address that is not public must lie in a network that is named here.",
    ),
    key(
        "webhooks.secrets_dir",
        "CREDITGATE_WEBHOOKS_SECRETS_DIR",
        Form::Optional,
        "",
        "Directory of the secrets that sign what is sent: one file for each, named by its id. A file that is replaced counts \
         from the next request on.",
    ),
    key(
        "webhooks.timeout_ms",
        "CREDITGATE_WEBHOOKS_TIMEOUT_MS",
        Form::One,
        "10000",
        "Longest time of one request to a webhook, its answer included, in milliseconds, 100 to 120000.",
    ),
    key(
        "webhooks.resend_ms",
        "CREDITGATE_WEBHOOKS_RESEND_MS",
        Form::One,
        "60000",
        "Time after which what was taken and not acknowledged is sent again, in milliseconds, 1000 to 86400000.",
    ),
    key(
        "webhooks.ca_file",
        "CREDITGATE_WEBHOOKS_CA_FILE",
        Form::Optional,
        "",
        "Certificates (PEM) of those who may vouch for webhooks over https. Nothing: those that the system trusts.",
    ),
    key(
        "webhooks.give_up_hours",
        "CREDITGATE_WEBHOOKS_GIVE_UP_HOURS",
        Form::One,
        "72",
        "Hours for which a verdict, a lift order or a notice is tried before it is put aside as a dead letter, 1 to 720. Changes of \
         the lists are tried for ever.",
    ),
    key(
        "cases.open_days",
        "CREDITGATE_CASES_OPEN_DAYS",
        Form::One,
        "365",
        "Days after its last event on which a case counts as open, 1 to 3650, unless its last stage was reached or it was \
         closed: so long it is judged again when lists change.",
    ),
    key(
        "cases.decide_days",
        "CREDITGATE_CASES_DECIDE_DAYS",
        Form::One,
        "5",
        "Working days in which an official is to decide about a proposed measure, 1 to 365. After them it is escalated; \
         nothing is decided by the passing of time.",
    ),
    key(
        "cases.lift_days",
        "CREDITGATE_CASES_LIFT_DAYS",
        Form::One,
        "3",
        "Working days in which a lift order is to be acknowledged, 1 to 365; after them it shows as overdue.",
    ),
    key(
        "cases.four_eyes",
        "CREDITGATE_CASES_FOUR_EYES",
        Form::Many,
        "",
        "Ids of measures that two different officials must confirm; `all` stands for every one. Their names differ, and \
         their keys too, unless the keys file says of a key that it is `shared`.",
    ),
    key(
        "limits.message_mib",
        "CREDITGATE_LIMITS_MESSAGE_MIB",
        Form::One,
        "4",
        "Largest request, in MiB, 1 to 64.",
    ),
    key(
        "limits.checks_in_flight",
        "CREDITGATE_LIMITS_CHECKS_IN_FLIGHT",
        Form::One,
        "4096",
        "Checks under way at once, 1 to 1000000; a check beyond that is refused at once with a hint when to try again.",
    ),
    key(
        "limits.min_list_version_wait_ms",
        "CREDITGATE_LIMITS_MIN_LIST_VERSION_WAIT_MS",
        Form::One,
        "5000",
        "Longest wait of one call for the list version it asks for, in milliseconds, 0 to 60000.",
    ),
    key(
        "telemetry.log_format",
        "CREDITGATE_TELEMETRY_LOG_FORMAT",
        Form::One,
        "text",
        "Form of the log on standard error: text or json (one object per line).",
    ),
    key(
        "telemetry.log_filter",
        "CREDITGATE_TELEMETRY_LOG_FILTER",
        Form::One,
        "info",
        "What is logged, as `level` or `target=level`, separated by commas.",
    ),
    key(
        "telemetry.otlp_endpoint",
        "CREDITGATE_TELEMETRY_OTLP_ENDPOINT",
        Form::Optional,
        "",
        "OpenTelemetry collector for traces and metrics over gRPC, such as http://127.0.0.1:4317. Nothing: no export.",
    ),
    Key {
        path: "telemetry.otlp_headers",
        variable: "CREDITGATE_TELEMETRY_OTLP_HEADERS",
        form: Form::Table,
        default: "",
        secret: true,
        meaning: "Headers sent to the collector, such as an authorization; their values are never shown.",
    },
    key(
        "telemetry.otlp_interval_ms",
        "CREDITGATE_TELEMETRY_OTLP_INTERVAL_MS",
        Form::One,
        "10000",
        "How often metrics go to the collector, in milliseconds, 100 to 600000.",
    ),
    key(
        "telemetry.trace_ratio",
        "CREDITGATE_TELEMETRY_TRACE_RATIO",
        Form::One,
        "0.01",
        "Share of traces begun here that are exported, 0.0 to 1.0; a trace begun by the caller follows the caller's choice.",
    ),
    key(
        "shutdown.drain_timeout_ms",
        "CREDITGATE_SHUTDOWN_DRAIN_TIMEOUT_MS",
        Form::One,
        "10000",
        "Time for work under way to end after a stop was asked for, in milliseconds, 0 to 600000.",
    ),
];

/// The key at `path`, when there is one.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The names that may stand inside `section`, at its first level.
pub(super) fn names_in(section: &str) -> Vec<&'static str> {
    let prefix = if section.is_empty() {
        String::new()
    } else {
        format!("{section}.")
    };
    let mut names: Vec<&'static str> = Vec::new();
    for key in KEYS {
        if let Some(rest) = key.path.strip_prefix(prefix.as_str()) {
            let name = rest.split('.').next().unwrap_or(rest);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}
