//! `creditgate verdicts`: what was recorded, and what is being recorded.

use std::io::Write;
use std::process::ExitCode;

use creditgate_proto::v1;

use crate::cli::TailArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;

/// Prints verdicts from a position on, and stays when asked to.
pub async fn tail(args: TailArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let request = v1::WatchVerdictsRequest {
        from_position: args.from,
        scenario: args.scenario.unwrap_or_default(),
        stage: args.stage.unwrap_or_default(),
        outcomes: args.outcome,
        case_id: args.case_id.unwrap_or_default(),
        source: String::new(),
        follow: args.follow,
    };
    let watched = |status| Failure::new("watch verdicts", status);
    let mut verdicts = client
        .gate
        .watch_verdicts(request)
        .await
        .map_err(watched)?
        .into_inner();
    let mut out = std::io::stdout();
    while let Some(next) = verdicts.message().await.map_err(watched)? {
        let Some(verdict) = &next.verdict else {
            continue;
        };
        let line = if args.json {
            serde_json::to_string(&next).map_err(|error| Failure::new("print a verdict", error))?
        } else {
            let summary = render::summary(verdict);
            format!("{:>12}  {}  {summary}", next.position, verdict.verdict_id)
        };
        // A reader that has gone, such as `head`, is no failure.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}
