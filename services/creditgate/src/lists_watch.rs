//! `creditgate lists watch`: changes of the lists as they come.

use std::io::Write;
use std::process::ExitCode;

use creditgate_measures::name::mask_name;
use creditgate_proto::v1;
use creditgate_proto::v1::watch_entries_response::What;

use crate::cli::WatchArgs;
use crate::client::Client;
use crate::failure::Failure;

/// Prints changes from a place on, and stays when asked to.
pub async fn run(args: WatchArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let request = v1::WatchEntriesRequest {
        from_seq: args.from,
        follow: args.follow,
        lists: args.filter.list,
        fields: args.filter.field,
        regions: args.filter.region,
        colours: args.filter.colour,
    };
    let watched = |status| Failure::new("watch the lists", status);
    let mut changes = client
        .lists
        .watch_entries(request)
        .await
        .map_err(watched)?
        .into_inner();
    let mut out = std::io::stdout();
    while let Some(next) = changes.message().await.map_err(watched)? {
        let line = if args.json {
            serde_json::to_string(&next).map_err(|error| Failure::new("print a change", error))?
        } else {
            line(&next)
        };
        // A reader that has gone, such as `head`, is no failure.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A change in one line; names masked.
fn line(change: &v1::WatchEntriesResponse) -> String {
    let at = change
        .recorded_at
        .as_ref()
        .and_then(creditgate_proto::encode::time_from_proto)
        .map_or_else(String::new, |time| time.to_string());
    let what = match &change.what {
        Some(What::Entry(watched)) => {
            let entry = watched.entry.clone().unwrap_or_default();
            let action = watched.change.clone().unwrap_or_default().action;
            let name = mask_name(&entry.name, entry.kind == "natural_person");
            let region = match entry.region.as_str() {
                "" => "-",
                region => region,
            };
            format!(
                "{:<4} {action:<10} {:<10} {region:<6}  {}  {name}",
                entry.list, entry.state, entry.entry_id
            )
        }
        Some(What::Confirmed(confirmed)) => {
            format!(
                "{:<4} confirmed  by {}",
                confirmed.list, confirmed.source_unit
            )
        }
        Some(What::Clock(clock)) => {
            let of = match clock.entry_id.as_str() {
                "" => &clock.row_id,
                entry_id => entry_id,
            };
            format!(
                "{:<4} clock      {:<10}         {of}",
                clock.list, clock.kind
            )
        }
        None => "a change that this version does not know".to_owned(),
    };
    format!("{:>10}  {at}  {what}", change.seq)
}
