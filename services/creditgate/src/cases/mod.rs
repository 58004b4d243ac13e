//! `creditgate cases`: business numbers from their first check to the last measure that is lifted.

mod count;
mod feedback;
mod lines;
mod progress;
pub(crate) mod screen;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use tonic::Status;

use crate::cli::cases::{
    AcknowledgeArgs, CaseCloseArgs, CaseListArgs, CaseShowArgs, CasesCommand, ClaimArgs,
    DecideArgs, OrdersArgs, ProgressArgs, ProposalsArgs, ReviewArgs,
};
use crate::client::Client;
use crate::failure::Failure;
use crate::identity::{answered, json};
use crate::procedures::page_size;

/// Reviews wait.
const NOT_YET: u8 = 1;

/// Runs the command that was typed.
pub async fn run(command: CasesCommand) -> Result<ExitCode, Failure> {
    match command {
        CasesCommand::Show(args) => show(args).await,
        CasesCommand::List(args) => list(args).await,
        CasesCommand::Close(args) => close(args).await,
        CasesCommand::Proposals(args) => proposals(args).await,
        CasesCommand::Claim(args) => claim(args).await,
        CasesCommand::Decide(args) => decide(args).await,
        CasesCommand::Orders(args) => orders(args).await,
        CasesCommand::Acknowledge(args) => acknowledge(args).await,
        CasesCommand::Feedback(args) => feedback::run(*args).await,
        CasesCommand::Review(args) => review(args).await,
        CasesCommand::Progress(args) => progress(args).await,
        CasesCommand::Count(args) => count::run(args).await,
    }
}

async fn show(args: CaseShowArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let asked = v1::GetCaseRequest { case_id: args.case };
    let answer = answered("show the case", client.get_case(asked).await)?;
    match args.json {
        true => json(&answer)?,
        false => say_part!("{}", screen::case(&answer.case.unwrap_or_default())),
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: CaseListArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let mut asked = v1::ListCasesRequest {
        state: args.state.unwrap_or_default(),
        scenario: args.scenario.unwrap_or_default(),
        measure_id: args.measure.unwrap_or_default(),
        missing_check: args.missing,
        differing_answers: args.differing,
        ..v1::ListCasesRequest::default()
    };
    let (cases, next_page_token) = pages(args.limit, async |size, token| {
        (asked.page_size, asked.page_token) = (size, token);
        let page = client.list_cases(asked.clone()).await?.into_inner();
        Ok((page.cases, page.next_page_token))
    })
    .await
    .map_err(|status| Failure::new("show the cases", status))?;
    let answer = v1::ListCasesResponse {
        cases,
        next_page_token,
    };
    match args.json {
        true => json(&answer)?,
        false => {
            say_part!("{}", screen::cases(&answer.cases));
            more(&answer.next_page_token);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn close(args: CaseCloseArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let asked = v1::CloseCaseRequest {
        case_id: args.case,
        reason: args.reason,
        document_no: args.document.unwrap_or_default(),
    };
    let answer = answered("close the case", client.close_case(asked).await)?;
    match args.json {
        true => json(&answer)?,
        false => say_part!("{}", screen::case(&answer.case.unwrap_or_default())),
    }
    Ok(ExitCode::SUCCESS)
}

async fn proposals(args: ProposalsArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let mut asked = v1::ListProposalsRequest {
        state: args.state.unwrap_or_default(),
        escalated: args.escalated,
        measure_id: args.measure.unwrap_or_default(),
        ..v1::ListProposalsRequest::default()
    };
    let (proposals, next_page_token) = pages(args.limit, async |size, token| {
        (asked.page_size, asked.page_token) = (size, token);
        let page = client.list_proposals(asked.clone()).await?.into_inner();
        Ok((page.proposals, page.next_page_token))
    })
    .await
    .map_err(|status| Failure::new("show the proposals", status))?;
    let answer = v1::ListProposalsResponse {
        proposals,
        next_page_token,
    };
    match args.json {
        true => json(&answer)?,
        false => {
            say_part!("{}", screen::proposals(&answer.proposals));
            more(&answer.next_page_token);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn claim(args: ClaimArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let asked = v1::ClaimProposalRequest {
        case_id: args.case,
        key: args.key,
        by: args.by,
        release: args.release,
    };
    let attempted = match args.release {
        true => "give the proposal back",
        false => "claim the proposal",
    };
    let answer = answered(attempted, client.claim_proposal(asked).await)?;
    told(&answer, args.json)
}

async fn decide(args: DecideArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    // The command line takes one of the two and not both.
    let (decision, attempted) = match args.confirm {
        true => ("confirm", "confirm the proposal"),
        false => ("reject", "reject the proposal"),
    };
    let asked = v1::DecideProposalRequest {
        case_id: args.case,
        key: args.key,
        decision: decision.to_owned(),
        by: args.by,
        reason: args.reason,
        document_no: args.document.unwrap_or_default(),
    };
    let answer = answered(attempted, client.decide_proposal(asked).await)?;
    told(&answer, args.json)
}

fn told(answer: &v1::ProposalResponse, as_json: bool) -> Result<ExitCode, Failure> {
    match as_json {
        true => json(answer)?,
        false => {
            say_part!("{}", screen::decided(answer));
            if !answer.notice.is_empty() {
                note!("identifiers are masked here; --json gives the notice whole");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn orders(args: OrdersArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let mut asked = v1::ListLiftOrdersRequest {
        state: args.state.unwrap_or_default(),
        implementer: args.implementer.unwrap_or_default(),
        overdue: args.overdue,
        ..v1::ListLiftOrdersRequest::default()
    };
    let (orders, next_page_token) = pages(args.limit, async |size, token| {
        (asked.page_size, asked.page_token) = (size, token);
        let page = client.list_lift_orders(asked.clone()).await?.into_inner();
        Ok((page.orders, page.next_page_token))
    })
    .await
    .map_err(|status| Failure::new("show the lift orders", status))?;
    let answer = v1::ListLiftOrdersResponse {
        orders,
        next_page_token,
    };
    match args.json {
        true => json(&answer)?,
        false => {
            say_part!("{}", screen::orders(&answer.orders));
            more(&answer.next_page_token);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn acknowledge(args: AcknowledgeArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let asked = v1::AcknowledgeLiftOrderRequest {
        order_id: args.order,
        by: args.by,
        document_no: args.document.unwrap_or_default(),
        at: args.at.map(time_to_proto),
    };
    let answer = client.acknowledge_lift_order(asked).await;
    let answer = answered("acknowledge the lift order", answer)?;
    match args.json {
        true => json(&answer)?,
        false => say_part!("{}", screen::order(&answer.order.unwrap_or_default())),
    }
    Ok(ExitCode::SUCCESS)
}

async fn review(args: ReviewArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let asked = v1::RequestReviewRequest {
        reason: args.reason,
    };
    let answer = answered("ask for the review", client.request_review(asked).await)?;
    match args.json {
        true => json(&answer)?,
        false => {
            say!("book      {}", answer.book_version);
            say!("cases     {} (creditgate cases progress)", answer.cases);
            if answer.repeated {
                say!("asked for by this book before: what is reviewed by it stays as it is");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn progress(args: ProgressArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let asked = v1::GetReviewProgressRequest {};
    let answer = answered(
        "show how far the review is",
        client.get_review_progress(asked).await,
    )?;
    match args.json {
        true => json(&answer)?,
        false => say_part!("{}", screen::progress(&answer)),
    }
    Ok(match answer.waiting {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(NOT_YET),
    })
}

/// Items page by page, and where the rest begins when there is more than the limit.
async fn pages<T>(
    limit: usize,
    mut ask: impl AsyncFnMut(u32, String) -> Result<(Vec<T>, String), Status>,
) -> Result<(Vec<T>, String), Status> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let (page, next) = ask(page_size(limit, items.len()), token).await?;
        items.extend(page);
        token = next;
        if token.is_empty() || items.len() >= limit {
            return Ok((items, token));
        }
    }
}

fn more(next_page_token: &str) {
    if !next_page_token.is_empty() {
        say!("there is more: --limit shows it");
    }
}
