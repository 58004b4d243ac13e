//! `creditgate lists sources | held | approve | reject | differences`: where lists come from, and
//! what a person decides about it.

use std::process::ExitCode;
use std::time::Duration;

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::v1;
use creditgate_registry::files::report::Places;
use serde::Serialize;

use crate::cli::{DecideHoldArgs, DifferencesArgs, HeldArgs, SourcesArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::lists::tell;

/// Shows how old each list is.
pub async fn sources(args: SourcesArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let request = v1::ListSourcesRequest {
        list: args.list.unwrap_or_default(),
    };
    let answer = client
        .lists
        .list_sources(request)
        .await
        .map_err(|status| Failure::new("show the sources", status))?
        .into_inner();
    let well = |list: &v1::ListAge| matches!(list.state.as_str(), "fresh" | "not_connected");
    let code = ExitCode::from(u8::from(!answer.lists.iter().all(well)));
    if args.json {
        print_json(&answer)?;
        return Ok(code);
    }
    for list in &answer.lists {
        let age = match list.state.as_str() {
            "not_loaded" | "not_connected" => String::new(),
            // Nothing that was confirmed just now is stale: it was confirmed in the future.
            "stale" if list.age_ms == 0 => "confirmed in the future (a clock ran ahead)".to_owned(),
            _ => format!(
                "confirmed {} ago, allowed {}",
                span(list.age_ms),
                span(list.budget_ms)
            ),
        };
        say!(
            "{:<6} {:<13} {:>9} entries  {}  {age}{}",
            list.list,
            list.state,
            list.entries,
            list.title,
            list.not_connected
        );
        for source in &list.sources {
            let rank = match source.rank {
                0 => String::new(),
                rank => format!("  place {rank}"),
            };
            say!(
                "         {}  as of {}{rank}",
                source.source_unit,
                at(source.confirmed_at)
            );
        }
        for source in &list.missing {
            say!("         {source}  never confirmed it, although it is declared for this list");
        }
    }
    say!("lists  {}", answer.list_version);
    Ok(code)
}

/// Shows imports that wait.
pub async fn held(args: HeldArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let request = v1::ListHoldsRequest {
        decided: args.decided,
    };
    let answer = client
        .lists
        .list_holds(request)
        .await
        .map_err(|status| Failure::new("show the imports that wait", status))?
        .into_inner();
    if args.json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    for hold in &answer.holds {
        say!(
            "{}  {:<8} {}  {} from {}: {} rows, would end {} of {} in force; sent by {}",
            hold.hold_id,
            hold.state,
            at(hold.held_at),
            hold.list,
            hold.source_unit,
            hold.rows,
            hold.removed,
            hold.in_force,
            hold.caller
        );
        if !hold.decided_by.is_empty() {
            say!(
                "    {} by {} at {}: {}",
                hold.state,
                hold.decided_by,
                at(hold.decided_at),
                hold.reason
            );
        }
    }
    if answer.holds.is_empty() {
        say!("no import waits");
    }
    Ok(ExitCode::SUCCESS)
}

/// Approves or rejects an import that waits.
pub async fn decide(args: DecideHoldArgs, approve: bool) -> Result<ExitCode, Failure> {
    let attempted = match approve {
        true => "approve the import",
        false => "reject the import",
    };
    let mut client = Client::connect(&args.server).await?;
    let request = v1::DecideHoldRequest {
        hold_id: args.hold_id,
        approve,
        reason: args.reason,
    };
    let answer = client
        .lists
        .decide_hold(request)
        .await
        .map_err(|status| Failure::new(attempted, status))?
        .into_inner();
    match &answer.summary {
        Some(summary) => tell(summary, &Places::default(), None),
        None => say!(
            "rejected: its rows are not taken; where an approval of it was cut off, what that had taken stands"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows where sources state different things.
pub async fn differences(args: DifferencesArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let mut request = v1::ListDifferencesRequest {
        list: args.list.unwrap_or_default(),
        ..Default::default()
    };
    let mut any = false;
    loop {
        let answer = client
            .lists
            .list_differences(request.clone())
            .await
            .map_err(|status| Failure::new("show the differences", status))?
            .into_inner();
        if args.json {
            print_json(&answer)?;
        }
        for difference in answer.differences.iter().filter(|_| !args.json) {
            any = true;
            let state = match difference.state.as_str() {
                "" => String::new(),
                state => format!(" (it states {state})"),
            };
            say!(
                "{}  {}: {} stands, {} differs in {}{state}, since {}",
                difference.entry_id,
                difference.list,
                difference.stands,
                difference.differs,
                difference.fields.join(", "),
                at(difference.since)
            );
        }
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
    }
    if !any && !args.json {
        say!("no sources differ");
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(answer: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(answer);
    say!(
        "{}",
        json.map_err(|error| Failure::new("print the answer", error))?
    );
    Ok(())
}

/// A stamp for people; empty when there is none.
fn at(stamp: Option<pbjson_types::Timestamp>) -> String {
    let time: Option<Time> = stamp.as_ref().and_then(time_from_proto);
    time.map_or_else(String::new, |time| time.to_string())
}

/// A span of time in its two largest units.
pub fn span(millis: u64) -> String {
    let seconds = Duration::from_millis(millis).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        let table = [
            (999, "0 s"),
            (59_000, "59 s"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h 0 min"),
            (90_061_000, "1 d 1 h"),
        ];
        for (millis, expected) in table {
            assert_eq!(span(millis), expected);
        }
    }
}
