//! `creditgate replay`: what was decided, decided again.

use std::process::ExitCode;

use creditgate_proto::v1;

use crate::cli::ReplayArgs;
use crate::client::Client;
use crate::failure::Failure;

/// Asks the service to decide a verdict again and prints both digests.
pub async fn run(args: ReplayArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .gate
        .replay(v1::ReplayRequest {
            verdict_id: args.verdict_id,
        })
        .await
        .map_err(|status| Failure::new("replay the verdict", status))?
        .into_inner();
    if args.json {
        let text = serde_json::to_string_pretty(&answer)
            .map_err(|error| Failure::new("print the answer", error))?;
        say!("{text}");
    } else if answer.erased {
        say!("ERASED: the record no longer holds what a decision needs");
    } else {
        say!("recorded     {}", answer.digest_stored);
        say!("decided now  {}", answer.digest_replayed);
        say!(
            "verdict      {}",
            if answer.same { "the same" } else { "DIFFERENT" }
        );
        say!(
            "explanation  {}",
            if answer.explanation_same {
                "the same"
            } else {
                "DIFFERENT"
            }
        );
    }
    Ok(if answer.same && answer.explanation_same {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
