//! What can be typed behind `creditgate measures`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ServerArgs;
use crate::measures::{ShadowCommand, SimulateArgs};

/// `measures`.
#[derive(Debug, Subcommand)]
pub enum MeasuresCommand {
    /// Check a book against every guard and count what it holds.
    Lint(BookArgs),
    /// Judge the cases that the rows carry.
    Test(TestArgs),
    /// Tell why each row did or did not match an event.
    Explain(ExplainArgs),
    /// Show the book as a published table, or everything about one row or list.
    Show(BookShowArgs),
    /// Say in words what differs between two books.
    Diff(BookDiffArgs),
    /// Draft rows of a book from a published table.
    Import(TableArgs),
    /// Print the JSON Schema of the files of a book.
    Schema(SchemaArgs),
    /// Check a book and write it into one signed file.
    Pack(PackArgs),
    /// Put a packed book in force in the service.
    Publish(PublishArgs),
    /// List the books that were in force in the service.
    Books(BooksArgs),
    /// Confirm an inactive or recalled row for this deployment.
    Confirm(ConfirmArgs),
    /// Decide recorded events again with another book, and show who would be affected.
    Simulate(SimulateArgs),
    /// Let a book decide beside the one in force, without changing an answer.
    #[command(subcommand)]
    Shadow(ShadowCommand),
}

/// `measures test`.
#[derive(Debug, Args)]
#[command(
    after_help = "With --mutate each field of each row is changed a little, as if it had been written wrongly; the book must
refuse the change or a case of the row must fail. What nothing notices is printed.

Exit code: 0 every case passed and, with --mutate, at least 90 of 100 changes are noticed; 1 a case
failed or fewer changes are; 2 the book is refused.

Examples:
  creditgate measures test measures/catalogue --confirmations confirmations.yaml
  creditgate measures test measures/catalogue --mutate --survivors 20"
)]
pub struct TestArgs {
    /// The book.
    #[command(flatten)]
    pub book: BookArgs,
    /// Change each field of each row, and tell which changes nothing notices.
    #[arg(long)]
    pub mutate: bool,
    /// Print no more than this many of them.
    #[arg(long, value_name = "N", requires = "mutate")]
    pub survivors: Option<usize>,
    /// Change this row only.
    #[arg(long, value_name = "ID", requires = "mutate")]
    pub row: Option<String>,
}

/// `measures explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "No service is asked. The entries count as known when the event took place, and every list of the
book as confirmed when it is judged. Exit code: 0 told, 2 the book, the event or a file is refused.

Examples:
  creditgate measures explain event.json --lists lists.jsonl
  creditgate measures explain event.json --lists a.csv --lists b.csv --row M09a
  creditgate measures explain - --book measures/catalogue --at 2026-06-01T10:00:00+08:00 --all --json"
)]
pub struct ExplainArgs {
    /// The event as JSON, as `creditgate check --file` takes it; `-` for standard input.
    pub event: PathBuf,
    /// Directory of the book, or a pack; the built-in catalogue when left out.
    #[arg(long, value_name = "BOOK")]
    pub book: Option<PathBuf>,
    /// Directory of a supplement to compose with it; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub supplement: Vec<PathBuf>,
    /// Files of confirmations, separated by commas.
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    pub confirmations: Vec<PathBuf>,
    /// File of entries, JSON Lines or CSV as `lists import` takes it; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub lists: Vec<PathBuf>,
    /// When it is judged; when the event takes place, if left out.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Only this row.
    #[arg(long, value_name = "ID")]
    pub row: Option<String>,
    /// Rows of other scenarios too.
    #[arg(long)]
    pub all: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which part of the book is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BookPart {
    /// Penalties (失信惩戒措施清单).
    Penalties,
    /// Incentives (守信激励措施清单).
    Incentives,
    /// Lists of subjects.
    Lists,
    /// Scenarios with their stages.
    Scenarios,
    /// What the sources name and the book does not hold.
    NotExpressed,
    /// Rules on credit repair, with their periods and limits.
    Repair,
    /// Working calendars.
    Calendar,
    /// Templates of notices.
    Notices,
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// Markdown.
    Md,
    /// JSON, with everything the book knows.
    Json,
    /// CSV of RFC 4180.
    Csv,
}

/// `measures show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate measures show                          penalties of the built-in catalogue
  creditgate measures show M02                      everything about a row, all its versions
  creditgate measures show B07                      everything about a list
  creditgate measures show --list incentives --format csv --bom > incentives.csv
  creditgate measures show --book measures/catalogue --list not-expressed")]
pub struct BookShowArgs {
    /// Id of a row or notice, or code of a list.
    pub id: Option<String>,
    /// The book.
    #[command(flatten)]
    pub book: WhichBook,
    /// Which table [default: penalties].
    #[arg(long, value_enum, conflicts_with = "id")]
    pub list: Option<BookPart>,
    /// How it is written.
    #[arg(long, value_enum, default_value = "md")]
    pub format: TableFormat,
    /// Begin CSV with the mark by which spreadsheets know UTF-8.
    #[arg(long)]
    pub bom: bool,
}

/// A book named by an option.
#[derive(Debug, Clone, Args)]
pub struct WhichBook {
    /// Directory of the book, or a pack; the built-in catalogue when left out.
    #[arg(long = "book", value_name = "BOOK")]
    pub dir: Option<PathBuf>,
    /// Directory of a supplement to compose with it; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub supplement: Vec<PathBuf>,
    /// Files of confirmations, separated by commas.
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    pub confirmations: Vec<PathBuf>,
}

/// `measures diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 the books say the same, 1 they differ, 2 it could not be told.

Examples:
  creditgate measures diff old-catalogue new-catalogue
  creditgate measures diff old-catalogue new-catalogue --json"
)]
pub struct BookDiffArgs {
    /// The book as it was.
    pub old: PathBuf,
    /// The book as it is.
    pub new: PathBuf,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which published layout a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableLayout {
    /// 惩戒内容, 惩戒对象, 法规政策依据, 实施主体; the class on the left.
    Penalties,
    /// 序号, 守信激励事项, 激励内容, 激励对象, 政策依据, 实施层级, 实施频次.
    Incentives,
}

/// `measures import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Makes drafts in the form of the book, each field that a person must fill in marked TODO.
What is proposed was read out of the words of the table: check it against the law.

Examples:
  creditgate measures import 清单.xlsx --sheet 惩戒措施 --out supplements/320500
  creditgate measures import 激励.csv > draft.yaml"
)]
pub struct TableArgs {
    /// The table: XLSX, or CSV in UTF-8 or GB18030.
    pub file: PathBuf,
    /// Name of the sheet; the first with known headings when left out.
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Directory that gets the drafts; printed when left out.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Layout; told from the headings when left out.
    #[arg(long, value_enum)]
    pub layout: Option<TableLayout>,
    /// The book whose national items are proposed.
    #[command(flatten)]
    pub book: WhichBook,
}

/// `measures schema`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate measures schema                  the forms there are
  creditgate measures schema measures         the schema of measures/*.yaml
  creditgate measures schema --out measures/schema")]
pub struct SchemaArgs {
    /// Form of a file, such as `measures` or `lists`.
    pub form: Option<String>,
    /// Directory that gets a file for each form.
    #[arg(long, value_name = "DIR", conflicts_with = "form")]
    pub out: Option<PathBuf>,
}

/// `measures pack`.
#[derive(Debug, Args)]
#[command(
    after_help = "The same book, key and time give the same bytes; SOURCE_DATE_EPOCH may tell the time.

Examples:
  creditgate measures pack measures/catalogue -o book.pack --key book-key.pem
  creditgate measures pack measures/catalogue --supplement ../320500 -o book.pack --key book-key.pem"
)]
pub struct PackArgs {
    /// Directory of the book; the built-in catalogue when left out.
    pub dir: Option<PathBuf>,
    /// Directory of a supplement to compose with it; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub supplement: Vec<PathBuf>,
    /// The file that is written.
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Private key that signs it (`creditgate keys book`).
    #[arg(long, value_name = "FILE", required_unless_present = "unsigned")]
    pub key: Option<PathBuf>,
    /// Pack without a signature; verdicts then say `book_unsigned`.
    #[arg(long, conflicts_with = "key")]
    pub unsigned: bool,
    /// Pack supplements that are examples and nobody's law.
    #[arg(long)]
    pub allow_example: bool,
}

/// `measures publish`.
#[derive(Debug, Args)]
#[command(
    after_help = "An older book comes back by publishing its pack again. Rows that were confirmed through the service stay
confirmed with it (`measures confirm --withdraw` ends that). Whatever is wrong, the last good book stays.

Example:
  creditgate measures publish book.pack --reason 'edition 2026' --simulation 5b6c3a54-1c2d-8e3f-9a0b-1c2d3e4f5a6b"
)]
pub struct PublishArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The pack.
    pub file: PathBuf,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Id of the simulation that was looked at before.
    #[arg(long, value_name = "ID")]
    pub simulation: Option<String>,
    /// Version that must still be in force; another one is not replaced.
    #[arg(long, value_name = "VERSION")]
    pub expect: Option<String>,
}

/// `measures books`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate measures books
  creditgate measures books --json")]
pub struct BooksArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Most books to show, the last one first; 0: 100.
    #[arg(long, default_value_t = 0)]
    pub limit: u32,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `measures confirm`.
#[derive(Debug, Args)]
#[command(
    after_help = "Asks the service, unless --file names a file of confirmations: then the row is added there, after \
the whole was checked against the book. What was confirmed through the service goes over to every book that is
published later and has the row, an older one too, until it is withdrawn.

Examples:
  creditgate measures confirm M14a --document 示例〔2026〕1号 --by 示例市信用办
  creditgate measures confirm M14a --withdraw --document 示例〔2026〕2号 --by 示例市信用办
  creditgate measures confirm M14a --document 示例〔2026〕1号 --by 示例市信用办 \\
    --file confirmations.yaml --book measures/catalogue"
)]
pub struct ConfirmArgs {
    /// The service.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Id of the row.
    pub id: String,
    /// Take the confirmation back that was made through the service; without days and place.
    #[arg(long, conflicts_with_all = ["file", "published_at", "published_in", "effective_from"])]
    pub withdraw: bool,
    /// Document by which it is confirmed or the confirmation is withdrawn.
    #[arg(long, value_name = "TEXT")]
    pub document: String,
    /// Who does so: an office.
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Day of publication, where the row has none.
    #[arg(long, value_name = "DAY")]
    pub published_at: Option<String>,
    /// Place of publication, where the row has none.
    #[arg(long, value_name = "TEXT")]
    pub published_in: Option<String>,
    /// First day in force, where the row has none.
    #[arg(long, value_name = "DAY")]
    pub effective_from: Option<String>,
    /// File of confirmations to add it to; made when it is missing.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Directory or pack of the book to check that file against; the built-in catalogue when left out.
    #[arg(long, value_name = "BOOK", requires = "file")]
    pub book: Option<PathBuf>,
    /// Directory of a supplement to compose with it; may be repeated.
    #[arg(long, value_name = "DIR", requires = "file")]
    pub supplement: Vec<PathBuf>,
}

/// A book on disk.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  creditgate measures lint measures/catalogue
  creditgate measures test measures/catalogue --confirmations confirmations.yaml")]
pub struct BookArgs {
    /// Directory of the book, or a pack; the built-in catalogue when left out.
    pub dir: Option<PathBuf>,
    /// Directory of a supplement to compose with it; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub supplement: Vec<PathBuf>,
    /// Files of confirmations, separated by commas.
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    pub confirmations: Vec<PathBuf>,
}
