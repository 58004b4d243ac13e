//! `creditgate lists subscriptions`: departments that changes of the lists are sent to.

use std::process::ExitCode;

use creditgate_proto::encode::time_from_proto;
use creditgate_proto::v1;

use crate::cli::{
    AckArgs, ListSubscriptionsArgs, NamedArgs, PutSubscriptionArgs, ResumeArgs,
    SubscriptionsCommand,
};
use crate::client::Client;
use crate::failure::Failure;

/// Runs the command that was typed.
pub async fn run(command: SubscriptionsCommand) -> Result<ExitCode, Failure> {
    match command {
        SubscriptionsCommand::Put(args) => put(args).await,
        SubscriptionsCommand::End(args) => end(args).await,
        SubscriptionsCommand::List(args) => list(args).await,
        SubscriptionsCommand::Resume(args) => resume(args).await,
        SubscriptionsCommand::Ack(args) => acknowledge(args).await,
    }
}

async fn put(args: PutSubscriptionArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .subscriptions
        .put(v1::PutSubscriptionRequest {
            name: args.name,
            department: args.department,
            url: args.url,
            lists: args.filter.list,
            fields: args.filter.field,
            regions: args.filter.region,
            colours: args.filter.colour,
            secret_id: args.secret_id,
            follower: args.follower.unwrap_or_default(),
            from_seq: args.from,
            reason: args.reason,
        })
        .await
        .map_err(|status| Failure::new("put the subscription", status))?
        .into_inner();
    tell(&answer.subscription.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn end(args: NamedArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .subscriptions
        .end(v1::EndSubscriptionRequest {
            name: args.name,
            reason: args.reason,
        })
        .await
        .map_err(|status| Failure::new("end the subscription", status))?
        .into_inner();
    tell(&answer.subscription.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListSubscriptionsArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .subscriptions
        .list(v1::ListSubscriptionsRequest { ended: args.ended })
        .await
        .map_err(|status| Failure::new("show the subscriptions", status))?
        .into_inner();
    if args.json {
        let json = serde_json::to_string_pretty(&answer);
        say!(
            "{}",
            json.map_err(|error| Failure::new("print the subscriptions", error))?
        );
        return Ok(ExitCode::SUCCESS);
    }
    for subscription in &answer.subscriptions {
        tell(subscription);
        say!();
    }
    say!("lists         {}", answer.list_version);
    Ok(ExitCode::SUCCESS)
}

async fn resume(args: ResumeArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .subscriptions
        .resume(v1::ResumeSubscriptionRequest {
            name: args.name,
            from_seq: args.from,
            reason: args.reason,
        })
        .await
        .map_err(|status| Failure::new("resume the subscription", status))?
        .into_inner();
    tell(&answer.subscription.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

async fn acknowledge(args: AckArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .subscriptions
        .acknowledge_changes(v1::AcknowledgeChangesRequest {
            subscription: args.name,
            seq: args.seq,
        })
        .await
        .map_err(|status| Failure::new("acknowledge the changes", status))?
        .into_inner();
    say!("acknowledged {}", answer.acknowledged);
    Ok(ExitCode::SUCCESS)
}

fn tell(subscription: &v1::Subscription) {
    let of = subscription;
    say!("subscription  {} ({})", of.name, of.department);
    say!("url           {}", of.url);
    for (kind, values) in [
        ("lists", &of.lists),
        ("fields", &of.fields),
        ("regions", &of.regions),
        ("colours", &of.colours),
    ] {
        if !values.is_empty() {
            say!("{kind:<13} {}", values.join(", "));
        }
    }
    match of.reason.as_str() {
        "" => say!("state         {}", of.state),
        reason => say!("state         {}: {reason}", of.state),
    }
    say!("acknowledged  {}", of.acknowledged);
    if of.delivered > 0 {
        let at = of.delivered_at.as_ref().and_then(time_from_proto);
        let at = at.map_or_else(String::new, |at| at.to_string());
        say!("delivered     {} at {at}", of.delivered);
    }
    match of.behind_ms {
        Some(ms) => say!("behind        {} changes, {ms} ms", of.behind),
        None => say!("behind        {} changes", of.behind),
    }
    if !of.last_error.is_empty() {
        let next = of.next_attempt_at.as_ref().and_then(time_from_proto);
        let next = next.map_or_else(String::new, |at| format!("; next at {at}"));
        say!(
            "failed        {} time(s): {}{next}",
            of.failures,
            of.last_error
        );
    }
}
