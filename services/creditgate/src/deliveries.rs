//! `creditgate deliveries`: systems that verdicts, lift orders and notices of cases are sent to.

use std::process::ExitCode;

use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::v1;

use crate::cli::deliveries::{
    DeadArgs, DeliveriesCommand, ListArgs, PutArgs, ReasonArgs, ResendArgs, ResumeArgs,
};
use crate::client::Client;
use crate::failure::Failure;

/// Most letters that are asked for at once.
const PAGE: usize = 1_000;

/// Runs the command that was typed.
pub async fn run(command: DeliveriesCommand) -> Result<ExitCode, Failure> {
    match command {
        DeliveriesCommand::Put(args) => put(*args).await,
        DeliveriesCommand::End(args) => end(args).await,
        DeliveriesCommand::List(args) => list(args).await,
        DeliveriesCommand::Pause(args) => pause(args).await,
        DeliveriesCommand::Resume(args) => resume(args).await,
        DeliveriesCommand::Dead(args) => dead(args).await,
        DeliveriesCommand::Resend(args) => resend(args).await,
    }
}

async fn put(args: PutArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .deliveries
        .put(v1::PutDeliveryRequest {
            name: args.name,
            department: args.department,
            url: args.url,
            of: args.of.iter().map(|of| of.code().to_owned()).collect(),
            scenarios: args.scenario,
            regions: args.region,
            sources: args.source,
            implementers: args.implementer,
            findings_only: args.findings,
            notices: args.notice,
            secret_id: args.secret_id,
            from_position: args.from,
            reason: args.reason,
        })
        .await
        .map_err(|status| Failure::new("put the delivery", status))?;
    tell(&answer.into_inner().delivery.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn end(args: ReasonArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let (name, reason) = (args.name, args.reason);
    let answer = client
        .deliveries
        .end(v1::EndDeliveryRequest { name, reason })
        .await
        .map_err(|status| Failure::new("end the delivery", status))?;
    tell(&answer.into_inner().delivery.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn pause(args: ReasonArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let (name, reason) = (args.name, args.reason);
    let answer = client
        .deliveries
        .pause(v1::PauseDeliveryRequest { name, reason })
        .await
        .map_err(|status| Failure::new("pause the delivery", status))?;
    tell(&answer.into_inner().delivery.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn resume(args: ResumeArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .deliveries
        .resume(v1::ResumeDeliveryRequest {
            name: args.name,
            from_position: args.from,
            since: args.since.map(time_to_proto),
            reason: args.reason,
        })
        .await
        .map_err(|status| Failure::new("resume the delivery", status))?;
    tell(&answer.into_inner().delivery.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .deliveries
        .list(v1::ListDeliveriesRequest { ended: args.ended })
        .await
        .map_err(|status| Failure::new("show the deliveries", status))?
        .into_inner();
    if args.json {
        let json = serde_json::to_string_pretty(&answer);
        say!(
            "{}",
            json.map_err(|error| Failure::new("print the deliveries", error))?
        );
        return Ok(ExitCode::SUCCESS);
    }
    for delivery in &answer.deliveries {
        tell(delivery);
        say!();
    }
    say!("head          {}", answer.head);
    Ok(ExitCode::SUCCESS)
}

async fn dead(args: DeadArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let (mut after, mut left) = (0, args.limit);
    while left > 0 {
        let asked = v1::ListDeadLettersRequest {
            name: args.name.clone(),
            after,
            page_size: u32::try_from(left.min(PAGE)).unwrap_or(u32::MAX),
        };
        let answer = client
            .deliveries
            .list_dead_letters(asked)
            .await
            .map_err(|status| Failure::new("show the dead letters", status))?
            .into_inner();
        for letter in &answer.letters {
            show(letter, args.json)?;
        }
        left = left.saturating_sub(answer.letters.len());
        match answer.letters.last() {
            Some(last) if answer.more => after = last.position,
            _ => return Ok(ExitCode::SUCCESS),
        }
    }
    note!("there are more; --limit shows them");
    Ok(ExitCode::SUCCESS)
}

async fn resend(args: ResendArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .deliveries
        .resend(v1::ResendRequest {
            name: args.name,
            positions: args.positions,
        })
        .await
        .map_err(|status| Failure::new("send dead letters again", status))?
        .into_inner();
    say!("resending     {}", answer.letters);
    Ok(ExitCode::SUCCESS)
}

fn show(letter: &v1::DeadLetter, json: bool) -> Result<(), Failure> {
    if json {
        let json = serde_json::to_string(letter);
        say!(
            "{}",
            json.map_err(|error| Failure::new("print a dead letter", error))?
        );
        return Ok(());
    }
    let at = letter.at.as_ref().and_then(time_from_proto);
    let at = at.map_or_else(String::new, |at| at.to_string());
    let again = match letter.resending {
        true => ", being sent again",
        false => "",
    };
    say!(
        "{} {} {} case {} at {at}: {} ({} attempt(s){again})",
        letter.position,
        letter.kind,
        letter.id,
        letter.case_id,
        letter.reason,
        letter.attempts
    );
    Ok(())
}

fn tell(delivery: &v1::Delivery) {
    let of = delivery;
    say!("delivery      {} ({})", of.name, of.department);
    say!("url           {}", of.url);
    for (kind, values) in [
        ("of", &of.of),
        ("scenarios", &of.scenarios),
        ("regions", &of.regions),
        ("sources", &of.sources),
        ("implementers", &of.implementers),
        ("notices", &of.notices),
    ] {
        if !values.is_empty() {
            say!("{kind:<13} {}", values.join(", "));
        }
    }
    if of.findings_only {
        say!("outcomes      all but PASS");
    }
    match of.reason.as_str() {
        "" => say!("state         {}", of.state),
        reason => say!("state         {}: {reason}", of.state),
    }
    match of.behind_ms {
        Some(ms) => say!(
            "position      {}, {} behind, {ms} ms",
            of.position,
            of.behind
        ),
        None => say!("position      {}, {} behind", of.position, of.behind),
    }
    say!("delivered     {} since the start", of.delivered);
    if of.dead_letters > 0 {
        say!("dead letters  {}", of.dead_letters);
    }
    match (of.failures, of.last_error.as_str()) {
        (_, "") => {}
        // What was refused was put aside; nothing is tried again.
        (0, why) => say!("last refusal  {why}"),
        (failures, why) => {
            let next = of.next_attempt_at.as_ref().and_then(time_from_proto);
            let next = next.map_or_else(String::new, |at| format!("; next at {at}"));
            say!("failed        {failures} time(s): {why}{next}");
        }
    }
}
