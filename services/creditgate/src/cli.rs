//! What can be typed: every command with its help and examples.

mod access;
pub mod bench;
pub mod cases;
pub mod deliveries;
mod follow;
pub mod identity;
mod journal;
mod keyring;
mod measures;
mod procedures;
mod scale;
mod screen;
mod sources;
mod subject;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use creditgate_measures::time::Time;
use creditgate_runtime::config::{
    CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE, SERVER_VARIABLE,
};

pub use access::{AccessCommand, CallsArgs, ExplainAccessArgs, LintAccessArgs, PolicyArgs};
pub use follow::{
    AckArgs, ListSubscriptionsArgs, NamedArgs, PutSubscriptionArgs, ResumeArgs,
    SubscriptionsCommand, WatchArgs,
};
pub use journal::{
    EvidenceArgs, JournalCommand, Start, VerifyArgs, VerifyEvidenceArgs, VerifyTopicArgs,
};
pub use keyring::{KeyringArgs, KeyringCommand};
pub use measures::{
    BookArgs, BookDiffArgs, BookPart, BookShowArgs, BooksArgs, ConfirmArgs, ExplainArgs,
    MeasuresCommand, PackArgs, PublishArgs, SchemaArgs, TableArgs, TableFormat, TableLayout,
    TestArgs, WhichBook,
};
pub use procedures::{
    ChangeArgs, DueArgs, MeasureTakenArgs, NoticesArgs, OpenProcedureArgs, ProcedureCommand,
    ProceduresArgs, ServedArgs, StepProcedureArgs,
};
pub use scale::BenchScaleArgs;
pub use screen::ScreenArgs;
pub use sources::{DecideHoldArgs, DifferencesArgs, HeldArgs, SourcesArgs};
pub use subject::{SubjectCommand, SubjectReportArgs};

/// Public-credit checks inside every business procedure: an event in, a lawful verdict out.
#[derive(Debug, Parser)]
#[command(
    name = "creditgate",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:
  creditgate demo                      see permit, tender, land and procurement judged
  creditgate serve --data-dir ./data   run the service
  creditgate lists import lists.csv --source-unit 示例法院
  creditgate check --scenario tender --stage evaluate --region 320505 --subject role=bidder,id=USCC:91219999MAYG58BR3Q")]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service: lists, checks over gRPC, HTTP and JSON.
    Serve(ServeArgs),
    /// Show everything at work, with invented lists and procedures.
    Demo(DemoArgs),
    /// Judge one event and print the verdict.
    Check(CheckArgs),
    /// Check a list of names and codes, for honours and appointments; a masked table out.
    Screen(ScreenArgs),
    /// Bring entries in and show them.
    #[command(subcommand)]
    Lists(ListsCommand),
    /// Serve subjects at a window (窗口人员).
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Check a book of measures without a service.
    #[command(subcommand)]
    Measures(MeasuresCommand),
    /// Decide a recorded verdict again and compare the digests.
    Replay(ReplayArgs),
    /// Show recorded verdicts.
    #[command(subcommand)]
    Verdicts(VerdictsCommand),
    /// Prove that what was recorded is still what was recorded, and hand on what proves one verdict.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Follow cases: what bites in them, who decides it, carries it out and lifts it.
    #[command(subcommand)]
    Cases(cases::CasesCommand),
    /// Systems that verdicts, lift orders and notices of cases are sent to.
    #[command(subcommand)]
    Deliveries(deliveries::DeliveriesCommand),
    /// Make a bearer key for a caller and the lines for the keys file.
    Keys(KeysArgs),
    /// Keep the keys that encrypt what a service records.
    #[command(subcommand)]
    Keyring(KeyringCommand),
    /// Say who may ask what: check an access policy, and see who called.
    #[command(subcommand)]
    Access(AccessCommand),
    /// Measure this machine, this build and this service.
    Bench(BenchArgs),
}

/// Where the service is and who calls.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Address of the service.
    #[arg(long, env = SERVER_VARIABLE, default_value = "http://127.0.0.1:7420", value_name = "URL")]
    pub server: String,
    /// File that holds the bearer key; the variable CREDITGATE_KEY may hold the key itself.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Who vouches for the service over https (PEM); whom the system trusts when left out.
    #[arg(long, env = CA_VARIABLE, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The caller's certificate with its key behind it (PEM), in the place of a bearer key.
    #[arg(long, env = CERTIFICATE_VARIABLE, value_name = "FILE")]
    pub certificate_file: Option<PathBuf>,
    /// Why people are to be shown in full, without anybody's number; kept in the record of calls. Who may, the access policy
    /// says; without it they are masked.
    #[arg(long, value_name = "REASON")]
    pub unmasked_for: Option<String>,
}

impl ServerArgs {
    /// The bearer key, if there is one. Never taken from the command line, which others can read.
    pub fn key(&self) -> std::io::Result<Option<String>> {
        match &self.key_file {
            Some(file) => Ok(Some(std::fs::read_to_string(file)?.trim().to_owned())),
            None => Ok(std::env::var(KEY_VARIABLE)
                .ok()
                .filter(|key| !key.is_empty())),
        }
    }
}

/// `serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Settings come from the defaults, then the file, then the environment \
(CREDITGATE_…), then the command line.

Examples:
  creditgate serve
  creditgate serve --data-dir /var/lib/creditgate --config creditgate.yaml
  creditgate serve --config creditgate.yaml --check-config
  creditgate serve --kafka kafka-1:9092,kafka-2:9092 --kafka-config security.protocol=SSL
  creditgate serve --kafka localhost:9092 --roles stream,http --data-dir ./stream-2
  creditgate serve --example-config > creditgate.yaml

Stops gracefully on SIGINT and SIGTERM; a second signal stops at once."
)]
pub struct ServeArgs {
    /// Directory of the journals; one process at a time.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Where gRPC listens [default: 127.0.0.1:7420].
    #[arg(long, value_name = "ADDR")]
    pub grpc_addr: Option<String>,
    /// Where HTTP listens [default: 127.0.0.1:7421].
    #[arg(long, value_name = "ADDR")]
    pub http_addr: Option<String>,
    /// What this process does [default: registry,gate,http,stream,cases].
    #[arg(long, value_name = "ROLES")]
    pub roles: Option<String>,
    /// Kafka brokers to begin with, separated by commas; without them the service is embedded.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub kafka: Option<String>,
    /// A setting of librdkafka, such as `security.protocol=SSL`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub kafka_config: Vec<(String, String)>,
    /// What the names of topics, group and transactions begin with [default: creditgate].
    #[arg(long, value_name = "PREFIX")]
    pub kafka_topic_prefix: Option<String>,
    /// Directory of the book; without it the built-in catalogue is used.
    #[arg(long, value_name = "DIR")]
    pub catalogue_dir: Option<String>,
    /// A packed book in its place (`creditgate measures pack`).
    #[arg(long, value_name = "FILE")]
    pub book: Option<String>,
    /// Directory of a supplement to compose with the book; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub supplement: Vec<String>,
    /// Public key of somebody who may sign books; may be repeated. With any, other books are refused.
    #[arg(long, value_name = "FILE")]
    pub trusted_key: Vec<String>,
    /// Files in which this deployment confirms rows, separated by commas.
    #[arg(long, value_name = "FILES")]
    pub confirmations: Option<String>,
    /// File with the callers and the digests of their keys; needed for addresses other than loopback.
    #[arg(long, value_name = "FILE")]
    pub keys_file: Option<String>,
    /// `text` or `json`.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Filter such as `info` or `creditgate_gate=debug`.
    #[arg(long, value_name = "FILTER")]
    pub log_filter: Option<String>,
    /// Where traces and metrics go, such as http://127.0.0.1:4317.
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Configuration file (YAML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check configuration, keys and book, and end.
    #[arg(long)]
    pub check_config: bool,
    /// Print the configuration in force, secrets hidden, and end.
    #[arg(long)]
    pub dump_config: bool,
    /// Print an example file with the meaning of every key, and end.
    #[arg(long)]
    pub example_config: bool,
}

/// `demo`.
#[derive(Debug, Args)]
#[command(
    after_help = "Everything shown is invented: lists, parties, documents, confirmations.

Examples:
  creditgate demo            runs until Ctrl-C
  creditgate demo --once     plays the fixed script, compares, and ends with 0 if all agree"
)]
pub struct DemoArgs {
    /// Play the fixed script, compare with the expected table, and end.
    #[arg(long)]
    pub once: bool,
    /// Directory of another book than the built-in one.
    #[arg(long, value_name = "DIR")]
    pub catalogue_dir: Option<PathBuf>,
    /// Events per second while it runs.
    #[arg(long, default_value_t = 2.0, value_name = "N")]
    pub rate: f64,
    /// Stop after so many seconds.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
}

/// `check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 PASS, 1 anything else, 2 the check could not be made.

A subject is role=…,id=TYPE:VALUE,name=…,kind=…,party=…,issuer=…; only the role is needed.

Examples:
  creditgate check --scenario tender --stage evaluate --region 320505 \\
    --subject role=bidder,id=USCC:91219999MAYG58BR3Q,name=示例建设有限公司 \\
    --attribute mandatory_tender=true
  creditgate check --file event.json --json
  cat event.json | creditgate check --file -"
)]
pub struct CheckArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Event as JSON, from a file or `-` for standard input; then no other flag describes it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "stage", "region", "subject", "attribute"])]
    pub file: Option<PathBuf>,
    /// Scenario, such as tender.
    #[arg(long, required_unless_present = "file")]
    pub scenario: Option<String>,
    /// Stage, such as evaluate.
    #[arg(long, required_unless_present = "file")]
    pub stage: Option<String>,
    /// A subject; may be repeated.
    #[arg(long, value_name = "SUBJECT", required_unless_present = "file")]
    pub subject: Vec<String>,
    /// An attribute as name=value; true, false and whole numbers are taken as such.
    #[arg(long, value_name = "NAME=VALUE")]
    pub attribute: Vec<String>,
    /// Region of the event, six digits; local lists hold in their own region only.
    #[arg(long, required_unless_present = "file")]
    pub region: Option<String>,
    /// Business number; made up when left out.
    #[arg(long)]
    pub case_id: Option<String>,
    /// Id of the event within its source; made up when left out.
    #[arg(long)]
    pub id: Option<String>,
    /// Source of the event.
    #[arg(long, default_value = "creditgate-cli")]
    pub source: String,
    /// When it took place, RFC 3339; now when left out.
    #[arg(long, value_name = "TIME")]
    pub occurred_at: Option<String>,
    /// Matter code.
    #[arg(long)]
    pub item_code: Option<String>,
    /// Amount in fen.
    #[arg(long, allow_negative_numbers = true)]
    pub amount_fen: Option<i64>,
    /// Version of the lists to wait for.
    #[arg(long, value_name = "VERSION")]
    pub min_list_version: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists`.
#[derive(Debug, Subcommand)]
pub enum ListsCommand {
    /// Bring entries in from a file.
    Import(ImportArgs),
    /// Show an entry with its history.
    Show(ShowArgs),
    /// Show how old each list is, and by which source.
    Sources(SourcesArgs),
    /// Show imports that wait for approval.
    Held(HeldArgs),
    /// Approve an import that waits, and take it.
    Approve(DecideHoldArgs),
    /// Reject an import that waits.
    Reject(DecideHoldArgs),
    /// Show where sources state different things about one entry.
    Differences(DifferencesArgs),
    /// Show what the service knows, by one hash; processes that know the same show the same.
    State(StateArgs),
    /// Print changes of the lists as they are recorded.
    Watch(WatchArgs),
    /// Departments that changes are sent to.
    #[command(subcommand)]
    Subscriptions(SubscriptionsCommand),
    /// Change the state of an entry.
    Change(ChangeArgs),
    /// Show what is due: moments of entries, limits of procedures, notices to be served.
    Due(DueArgs),
    /// Objections, repairs, talks and commitments.
    #[command(subcommand)]
    Procedure(ProcedureCommand),
    /// Show the notices of an entry, or the text of one.
    Notices(NoticesArgs),
    /// Record by which proof notices were served.
    Served(ServedArgs),
    /// Record that a measure was carried out by reason of an entry, so that its subject is told.
    MeasureTaken(MeasureTakenArgs),
    /// Who a subject is.
    #[command(flatten)]
    Identity(identity::IdentityCommand),
}

/// What to do when a row is refused.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OnError {
    /// Take nothing.
    Hold,
    /// Take the other rows.
    Skip,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// One JSON object a line.
    Jsonl,
    /// A table as text, with a header.
    Csv,
}

/// `lists import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Tables as text (CSV with comma, semicolon or tab, in UTF-8, GB18030/GBK or UTF-16), \
workbooks (XLSX) and JSON Lines, each also as .gz or several in a .zip. Several files are parts of one list \
and one import. The names of the columns may stand below a title; days are 2026-01-05, 2026/1/5, 20260105 or \
2026年1月5日.

Columns: entry_id, list, id_type, id, issuer, name, former_names, kind, severity, grade, designated_by,
document_no, basis, reason, region, scope, act_date, served_at, valid_from, valid_to, display_min_until,
display_max_until, state, state_since, objection_marked, repeat_count, source_unit, rule_version; or the
usual headers: 主体名称, 统一社会信用代码, 组织机构代码, 证件号码, 证件类型, 法定代表人, 主体类别, 名单类型,
认定部门, 认定依据, 列入事由, 认定日期, 列入日期, 有效期止, 文书号, 曾用名, 严重程度, 行政区划, 送达日期, 状态,
移出日期 …, and the codes of the double disclosure (CF_WSH, CF_XDR_MC …). JSON also: related, aliases.

Others through a mapping file:
  columns: {企业名称: name, 处罚文号: document_no}   header: field
  constants: {list: 失信被执行人名单}               field: value of all rows
  words: {severity: {A类: serious}}               field: {word: code}
  date_format: DD.MM.YYYY
  ignore: [备注]

The source confirms the lists that the files name, unless --no-confirm says otherwise: a list that was never \
confirmed stands as `not_loaded` in verdicts.

Exit code: 0 all taken, 1 rows were refused or the import waits for approval, 2 it could not be done.

Examples:
  creditgate lists import lists.csv --source-unit 示例法院
  creditgate lists import 名单.xlsx --source-unit 示例法院 --list 失信被执行人名单 --full --report refused.csv
  creditgate lists import part-1.csv part-2.csv.gz --source-unit 示例税务局 --mapping map.yaml --dry-run
  creditgate lists import part.csv --source-unit 示例法院 --on-error skip --no-confirm
  creditgate lists import old.csv --source-unit 示例法院 --confirmed-at 2026-06-10T09:00:00+08:00"
)]
pub struct ImportArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The files; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Unit the data comes from (数据来源单位).
    #[arg(long, value_name = "NAME")]
    pub source_unit: String,
    /// List of rows that name none, by code or name.
    #[arg(long, value_name = "LIST")]
    pub list: Option<String>,
    /// The files are the whole list of this source: entries that they do not contain are revoked.
    #[arg(long, requires = "list", conflicts_with = "delta")]
    pub full: bool,
    /// The files change what they name, and nothing else (default).
    #[arg(long)]
    pub delta: bool,
    /// Lists that the source confirms besides those the files name, separated by commas.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub confirm: Vec<String>,
    /// Confirm no list.
    #[arg(long, conflicts_with = "confirm")]
    pub no_confirm: bool,
    /// When the source stated what the files say, as a day or RFC 3339, where that was earlier; now when left out. The
    /// lists are confirmed as of then.
    #[arg(long, value_name = "TIME", conflicts_with = "no_confirm", value_parser = procedures::moment)]
    pub confirmed_at: Option<Time>,
    /// What to do when a row is refused.
    #[arg(long, value_enum, default_value = "hold")]
    pub on_error: OnError,
    /// Check and count, change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Write every refused row, with file, line, field and reason, to this file (CSV).
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// What the columns mean, where they have other names (YAML).
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Leave out columns that are not known; else they are an error.
    #[arg(long)]
    pub ignore_unknown: bool,
    /// Encoding of text: utf-8, gb18030, utf-16le, utf-16be; told from the file when left out.
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// Sheet of a workbook; the first when left out.
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Format; told from name and content when left out.
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
}

/// `lists show`.
#[derive(Debug, Args)]
#[command(
    after_help = "What was known then (--as-of) and what was true then (--at) are two questions; both may be asked.

Examples:
  creditgate lists show E-B07-1
  creditgate lists show E-B07-1 --json
  creditgate lists show E-B07-1 --as-of 1200 --at 2026-03-01"
)]
pub struct ShowArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the entry.
    pub id: String,
    /// The moment to look from.
    #[command(flatten)]
    pub when: identity::WhenArgs,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `lists state`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate lists state
  creditgate lists state --server http://gate-2:7420 --json")]
pub struct StateArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 the digests are the same, 1 they differ, 2 it could not be told.

Example:
  creditgate replay 5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b"
)]
pub struct ReplayArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the verdict.
    pub verdict_id: String,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `verdicts`.
#[derive(Debug, Subcommand)]
pub enum VerdictsCommand {
    /// Print verdicts as they are recorded.
    Tail(TailArgs),
}

/// `verdicts tail`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate verdicts tail --follow
  creditgate verdicts tail --scenario tender --outcome PROHIBIT,MANUAL_REVIEW --json")]
pub struct TailArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Journal position to begin at; 0 is the beginning.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Stay, and print what comes.
    #[arg(long, short)]
    pub follow: bool,
    /// Only this scenario.
    #[arg(long)]
    pub scenario: Option<String>,
    /// Only this stage.
    #[arg(long)]
    pub stage: Option<String>,
    /// Only these outcomes, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub outcome: Vec<String>,
    /// Only this business number.
    #[arg(long)]
    pub case_id: Option<String>,
    /// Print as JSON, a line each.
    #[arg(long)]
    pub json: bool,
}

/// `keys`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "The key is printed once; the file keeps only its SHA-256.

Examples:
  creditgate keys tender-platform --may check,read --file keys.yaml
  creditgate keys tender-platform --by-policy --file keys.yaml
  creditgate keys book --out ./signing
  creditgate keys journal --out ./signing"
)]
pub struct KeysArgs {
    /// Another sort of keys.
    #[command(subcommand)]
    pub sort: Option<KeysCommand>,
    /// Name of the caller.
    #[arg(required = true)]
    pub name: Option<String>,
    /// What it may do: check, lists, read, watch, publish, simulate, cases, feedback, operate, secure, audit,
    /// subject.
    #[arg(long, value_delimiter = ',', default_value = "check,read")]
    pub may: Vec<String>,
    /// An access policy says what it may do: write no `may`.
    #[arg(long, conflicts_with = "may")]
    pub by_policy: bool,
    /// Add the lines to this keys file, which is made when it is missing; else print them.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Other sorts of keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a pair of keys that signs books: the private one packs, the public one is trusted.
    #[command(
        after_help = "Writes book-key.pem (private, its owner's alone) and book-key.pub.pem, and prints the key's id. \
Whoever has the private key can put any book in force: keep it away from the service."
    )]
    Book(KeyPairArgs),
    /// Make a pair of keys for check points: the service signs with the private one, auditors keep the public one.
    #[command(
        after_help = "Writes journal-key.pem (private, its owner's alone: `journal.signing_key_file` of the service) and \
journal-key.pub.pem (`creditgate journal verify --key`), and prints the key's id. Give the public key to those who audit: \
what they verify with a key from the machine itself proves little."
    )]
    Journal(KeyPairArgs),
}

/// A pair of keys.
#[derive(Debug, Args)]
pub struct KeyPairArgs {
    /// Directory for both files.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `bench`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate bench all --quick --markdown report.md
  creditgate bench gate --quick
  creditgate bench stream --kafka localhost:9092 --quick")]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub what: BenchCommand,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The real service against the bare gRPC server with a constant reply, in alternating runs.
    Gate(BenchGateArgs),
    /// The Kafka pipeline against a plain copy with the same transactions, in alternating rounds.
    Stream(BenchStreamArgs),
    /// How long a change of the lists takes until checks use it, here and behind Kafka.
    Lists(BenchListsArgs),
    /// How fast open cases are reviewed when lists change, and what live checks feel of it.
    Cases(BenchCasesArgs),
    /// What twenty million entries cost: decisions, memory, restart, changes and merges under load.
    Scale(BenchScaleArgs),
    /// The largest rate, and how a service does that is held at 85 % of it.
    Sustained(bench::BenchSustainedArgs),
    /// What certificates and an access policy cost a check, in alternating runs.
    Access(bench::BenchAccessArgs),
    /// Every benchmark that can run here, one after the other, with one table at the end.
    All(bench::BenchAllArgs),
    /// One of the processes of a run.
    #[command(subcommand, hide = true)]
    Part(BenchPart),
}

/// `bench gate`.
#[derive(Debug, Clone, Args)]
pub struct BenchGateArgs {
    /// Short runs: about a minute in all.
    #[arg(long)]
    pub quick: bool,
    /// Entries on the lists.
    #[arg(long, default_value_t = 100_000)]
    pub entries: u64,
    /// Calls in flight.
    #[arg(long, default_value_t = 128)]
    pub in_flight: usize,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// Events of a call of the mode `batch`.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub batch: u64,
    /// What the invented events follow from.
    #[arg(long, value_name = "N", default_value_t = bench::SEED)]
    pub seed: u64,
    /// Directory for the journals; a temporary one when left out.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the figures go.
    #[command(flatten)]
    pub report: bench::ReportArgs,
}

/// `bench stream`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Makes topics named creditgate-bench-… on the cluster and deletes them at the end; other \
topics are left alone. Batches, partitions and form are those of CREDITGATE_KAFKA_… in the environment.

The copy reads events in a group, one loop and one transactional producer for each partition, and writes \
them unchanged with the group's place: what any pipeline exactly once costs on this cluster. The double \
does the same and writes, for each event, two records that the pipeline wrote, a verdict and the state of a \
case: what is left to the pipeline's rate is its own work.

Examples:
  creditgate bench stream --kafka localhost:9092 --quick
  creditgate bench stream --kafka localhost:9092 --quick --events 100000 --instances 2
  creditgate bench stream --kafka kafka-1:9093 --kafka-config security.protocol=SSL --rounds 7"
)]
pub struct BenchStreamArgs {
    /// The cluster.
    #[command(flatten)]
    pub kafka: BenchKafka,
    /// Events of a round, for each side [default: 100000; 20000 if quick].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub events: Option<u64>,
    /// Rounds that count [default: 5; 3 if quick].
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub rounds: Option<u64>,
    /// Short rounds: about a minute in all.
    #[arg(long)]
    pub quick: bool,
    /// Measure besides how the rate grows with so many processes that share the partitions.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=16))]
    pub instances: Option<u32>,
    /// Entries on the lists.
    #[arg(long, default_value_t = 100_000)]
    pub entries: u64,
    /// Where the figures go.
    #[command(flatten)]
    pub report: bench::ReportArgs,
}

/// `bench lists`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Without --kafka one process keeps the lists and checks. With it one leads and checks and another \
follows and checks; topics named creditgate-bench-… are made on the cluster and deleted at the end.

One change after the other is made by `Apply`, while every gate gets its share of the load. Measured is the time \
until the first check at a gate is answered that used the change: from the call of `Apply`, and from its answer."
)]
pub struct BenchListsArgs {
    /// Kafka brokers to begin with, separated by commas; none: one process without Kafka.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub kafka: Option<String>,
    /// A setting of librdkafka, such as `security.protocol=SSL`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub kafka_config: Vec<(String, String)>,
    /// Changes that count.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    pub changes: u64,
    /// Checks a second, over all gates.
    #[arg(long, value_name = "R", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub rate: u64,
    /// Entries on the lists.
    #[arg(long, default_value_t = 100_000)]
    pub entries: u64,
    /// Where the figures go.
    #[command(flatten)]
    pub report: bench::ReportArgs,
}

/// `bench cases`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "One process without Kafka. Cases are opened for as many parties as there are changes, then all \
these parties are listed by one import while live checks go on: measured are reviews a second, the time from a \
change to the verdict that takes the place of the one before, and live checks before and during the burst."
)]
pub struct BenchCasesArgs {
    /// Open cases.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub cases: u64,
    /// Changes of the lists.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=40_000))]
    pub changes: u64,
    /// Live checks a second.
    #[arg(long, value_name = "R", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub rate: u64,
    /// Live checks before the burst, in seconds.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub before: u64,
    /// Where the figures go.
    #[command(flatten)]
    pub report: bench::ReportArgs,
}

/// The cluster of a benchmark, or of topics that are looked at.
#[derive(Debug, Clone, Args)]
pub struct BenchKafka {
    /// Kafka brokers to begin with, separated by commas.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub kafka: String,
    /// A setting of librdkafka, such as `security.protocol=SSL`; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub kafka_config: Vec<(String, String)>,
}

/// A process of a benchmark.
#[derive(Debug, Subcommand)]
pub enum BenchPart {
    /// The bare server.
    Bare,
    /// The real service.
    Real {
        /// Its data directory.
        #[arg(long)]
        data_dir: PathBuf,
        /// Entries on the lists.
        #[arg(long)]
        entries: u64,
    },
    /// The copy.
    Copy {
        /// The cluster.
        #[command(flatten)]
        kafka: BenchKafka,
        /// What the names of its topics begin with.
        #[arg(long)]
        kafka_topic_prefix: String,
        /// File with records to be written, two for each event.
        #[arg(long)]
        samples: Option<PathBuf>,
    },
    /// A client that keeps so many calls in flight.
    Client {
        /// What it calls.
        #[command(flatten)]
        calls: bench::CallArgs,
        /// Calls in flight.
        #[arg(long)]
        in_flight: usize,
    },
    /// A client whose calls are due at fixed times.
    Paced {
        /// What it calls.
        #[command(flatten)]
        calls: bench::CallArgs,
        /// Calls a second.
        #[arg(long)]
        rate: f64,
        /// Seconds at the beginning that do not count.
        #[arg(long)]
        warm_up: f64,
    },
}

/// Reads `name=value`. The value is not repeated in an error: it may be a password.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected `name=value`".to_owned()),
    }
}
