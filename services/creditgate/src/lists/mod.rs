//! `creditgate lists`: a file of entries in, and what the service then knows.

mod import;
mod progress;

use std::process::ExitCode;

use creditgate_proto::v1;

use crate::cli::{ShowArgs, StateArgs};
use crate::client::Client;
use crate::failure::Failure;

pub use import::import;
pub(crate) use import::tell;

/// Shows an entry with its history.
pub async fn show(args: ShowArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .lists
        .get_entry(v1::GetEntryRequest {
            entry_id: args.id,
            with_history: true,
        })
        .await
        .map_err(|status| Failure::new("show the entry", status))?
        .into_inner();
    let unprintable = |error| Failure::new("print the entry", error);
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&answer).map_err(unprintable)?
        );
        return Ok(ExitCode::SUCCESS);
    }
    let record = answer.entry.unwrap_or_default();
    let entry = record.entry.unwrap_or_default();
    let fields = serde_json::to_value(&entry).map_err(unprintable)?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(text) => say!("{name:<18} {text}"),
            None => say!("{name:<18} {value}"),
        }
    }
    say!("history");
    for change in &record.history {
        let at = |time: &Option<pbjson_types::Timestamp>| {
            time.as_ref()
                .and_then(creditgate_proto::encode::time_from_proto)
                .map_or_else(String::new, |time| time.to_string())
        };
        say!(
            "  {:>8}  {:<10} {:<10} effective {}  recorded {}  by {} {}",
            change.seq,
            change.action,
            change.to.as_deref().unwrap_or_default(),
            at(&change.effective_at),
            at(&change.recorded_at),
            change.caller,
            change.reason
        );
    }
    say!("lists              {}", answer.list_version);
    Ok(ExitCode::SUCCESS)
}

/// Shows what the service knows, by one hash.
pub async fn state(args: StateArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let state = client
        .lists
        .state(v1::StateRequest {})
        .await
        .map_err(|status| Failure::new("show the state of the lists", status))?
        .into_inner();
    if args.json {
        let json = serde_json::to_string_pretty(&state);
        say!(
            "{}",
            json.map_err(|error| Failure::new("print the state", error))?
        );
        return Ok(ExitCode::SUCCESS);
    }
    say!("version {}", state.list_version);
    say!("entries {}", state.entries);
    say!("book    {}", state.book_version);
    say!("state   {}", state.state);
    say!("role    {}", state.role);
    if state.follows {
        say!("behind  {} ms", state.behind_ms.unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}
