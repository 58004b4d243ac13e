//! `creditgate measures pack`: a book as one signed file.

use std::process::ExitCode;

use creditgate_measures::book::{Book, Deployment, Signing};
use creditgate_measures::time::Time;
use creditgate_registry::book as packed;
use creditgate_runtime::clock::Clock;
use creditgate_runtime::hex::hex;
use creditgate_runtime::signing::SigningKey;

use crate::book;
use crate::cli::PackArgs;
use crate::failure::Failure;

/// Seconds since 1970 at which something is said to be built, so that it can be built again alike.
const EPOCH_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Checks the book whole, and writes the pack.
pub fn pack(args: &PackArgs) -> Result<ExitCode, Failure> {
    let files = book::composed(args.dir.as_deref(), &args.supplement)
        .map_err(|error| Failure::new("read the book", error))?;
    let key = args
        .key
        .as_deref()
        .map(SigningKey::load)
        .transpose()
        .map_err(|error| Failure::new("read the key that signs", error))?;
    let signing = match &key {
        Some(key) => Signing::Signed {
            key_id: key.key_id().into(),
        },
        None => Signing::Unsigned,
    };
    let deployment = Deployment {
        signing,
        ..Deployment::default()
    };
    let book =
        Book::load(&files, &deployment).map_err(|errors| Failure::plain(errors.to_string()))?;
    refuse_examples(&book, args.allow_example)?;
    let tool = concat!("creditgate ", env!("CARGO_PKG_VERSION"));
    let bytes = packed::seal(&files, key.as_ref(), packed_at()?, tool);
    // What is written is what will be read.
    let pack = packed::open(&bytes).map_err(|error| Failure::new("read the pack again", error))?;
    std::fs::write(&args.out, &bytes)
        .map_err(|error| Failure::new(format!("write `{}`", args.out.display()), error))?;
    say!(
        "{} ({}), edition {}",
        book.name(),
        book.title().zh,
        book.edition().code
    );
    say!("files    {}", pack.files.len());
    say!("rows     {}", book.measures().len());
    say!("content  {}", hex(&pack.content_hash));
    say!(
        "version  {} (where nothing is confirmed and every list is connected)",
        book.version()
    );
    match &key {
        Some(key) => say!("signed   {}", key.key_id()),
        None => say!("signed   by nobody: verdicts will say `book_unsigned`"),
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse_examples(book: &Book, allowed: bool) -> Result<(), Failure> {
    let examples: Vec<&str> = book
        .supplements()
        .iter()
        .filter(|supplement| supplement.example)
        .map(|supplement| &*supplement.code)
        .collect();
    if examples.is_empty() || allowed {
        return Ok(());
    }
    Err(Failure::plain(format!(
        "supplement {} is an example and nobody's law: leave it out, or add --allow-example to try it",
        examples.join(", ")
    )))
}

fn packed_at() -> Result<Time, Failure> {
    let Ok(epoch) = std::env::var(EPOCH_VARIABLE) else {
        return Ok(Time::from_micros(Clock::system().now_micros()));
    };
    epoch
        .parse()
        .ok()
        .and_then(|seconds: i64| seconds.checked_mul(1_000_000))
        .map(Time::from_micros)
        .ok_or_else(|| Failure::plain(format!("{EPOCH_VARIABLE} must be seconds since 1970")))
}
