//! `creditgate subject report`: what a subject is told of itself.

mod screen;

use std::process::ExitCode;

use creditgate_proto::v1;

use crate::cli::{SubjectCommand, SubjectReportArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::identity::{answered, identifier, json};

/// Verdicts asked for at once.
const PAGE: usize = 1_000;

/// Runs one of the commands.
pub async fn run(command: SubjectCommand) -> Result<ExitCode, Failure> {
    match command {
        SubjectCommand::Report(args) => report(args).await,
    }
}

async fn report(args: SubjectReportArgs) -> Result<ExitCode, Failure> {
    let size = |known: usize| {
        let left = args.limit.saturating_sub(known).clamp(1, PAGE);
        u32::try_from(left).unwrap_or(1)
    };
    let mut asked = v1::GetSubjectReportRequest {
        subject: Some(identifier(&args.subject)?),
        reason: args.reason.clone(),
        document_no: args.document.clone(),
        page_size: size(0),
        page_token: String::new(),
    };
    let mut client = Client::connect(&args.server).await?.identity;
    let answer = client.get_subject_report(asked.clone()).await;
    let mut report = answered("tell the subject of itself", answer)?;
    while !report.next_page_token.is_empty() && report.inquiries.len() < args.limit {
        asked.page_size = size(report.inquiries.len());
        asked.page_token.clone_from(&report.next_page_token);
        let answer = client.get_subject_report(asked.clone()).await;
        let page = answered("tell who asked about the subject", answer)?;
        report.inquiries.extend(page.inquiries);
        report.next_page_token = page.next_page_token;
    }
    match args.json {
        true => json(&report)?,
        false => say_part!("{}", screen::report(&report)),
    }
    Ok(ExitCode::SUCCESS)
}
