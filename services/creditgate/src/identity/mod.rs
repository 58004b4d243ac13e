//! `creditgate lists subject` and what else is said of subjects: names, merges, codes, wrong hits.

mod screen;

use std::process::ExitCode;

use creditgate_measures::time::Time;
use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use pbjson_types::Timestamp;

pub use screen::{fields, moment};

use crate::cli::identity::{
    CodeArgs, CodesArgs, IdentityCommand, RelateArgs, SubjectArgs, WhatWrong, WhenArgs,
    WrongHitCommand, WrongHitListArgs, WrongHitOpenArgs,
};
use crate::client::{Client, Identity};
use crate::failure::Failure;

/// Runs one of the commands.
pub async fn run(command: IdentityCommand) -> Result<ExitCode, Failure> {
    match command {
        IdentityCommand::Subject(args) => subject(args).await,
        IdentityCommand::Codes(args) => codes(args).await,
        IdentityCommand::WrongHit(command) => wrong_hit(command).await,
        command => change(command).await,
    }
}

/// A version and a moment, as a request takes them.
pub fn when(args: &WhenArgs) -> Result<(String, Option<Timestamp>), Failure> {
    let at = args.at.as_deref().map(|at| time("--at", at)).transpose()?;
    Ok((args.as_of.clone().unwrap_or_default(), at))
}

async fn subject(args: SubjectArgs) -> Result<ExitCode, Failure> {
    let (as_of, at) = when(&args.when)?;
    let alias = args
        .id
        .as_deref()
        .map(identifier)
        .transpose()?
        .unwrap_or_default();
    let asked = v1::GetSubjectRequest {
        subject: Some(v1::SubjectQuery {
            id_type: alias.id_type,
            id: alias.id,
            issuer: alias.issuer,
            name: args.name.unwrap_or_default(),
        }),
        as_of,
        at,
    };
    let mut client = Client::connect(&args.server).await?.identity;
    let answer = client.get_subject(asked).await;
    let view = answered("show the subject", answer)?;
    match args.json {
        true => json(&view)?,
        false => screen::subject(&view),
    }
    Ok(ExitCode::SUCCESS)
}

/// A change of what is known of a subject.
async fn change(command: IdentityCommand) -> Result<ExitCode, Failure> {
    let undoes = matches!(command, IdentityCommand::Undo(_));
    let answer = match command {
        IdentityCommand::Rename(args) => {
            let asked = v1::ChangeNameRequest {
                subject: Some(identifier(&args.subject)?),
                name: args.name,
                since: args.since,
                until: args.until,
                document_no: args.why.document,
                reason: args.why.reason,
            };
            Client::connect(&args.server)
                .await?
                .identity
                .change_name(asked)
                .await
        }
        IdentityCommand::Alias(args) => {
            let asked = v1::DeclareAliasRequest {
                subject: Some(identifier(&args.subject)?),
                alias: Some(identifier(&args.alias)?),
                document_no: args.why.document,
                reason: args.why.reason,
                force: args.force,
            };
            Client::connect(&args.server)
                .await?
                .identity
                .declare_alias(asked)
                .await
        }
        IdentityCommand::Merge(args) => {
            let asked = v1::MergeSubjectsRequest {
                one: Some(identifier(&args.one)?),
                other: Some(identifier(&args.other)?),
                document_no: args.why.document,
                reason: args.why.reason,
                force: args.force,
            };
            Client::connect(&args.server)
                .await?
                .identity
                .merge_subjects(asked)
                .await
        }
        IdentityCommand::Undo(args) => {
            let asked = v1::UndoChangeRequest {
                change: args.change,
                document_no: args.why.document,
                reason: args.why.reason,
            };
            Client::connect(&args.server)
                .await?
                .identity
                .undo_change(asked)
                .await
        }
        IdentityCommand::Relate(args) => {
            let mut client = Client::connect(&args.server).await?.identity;
            client.change_relation(relation(args)?).await
        }
        IdentityCommand::ConfirmCode(args) => decide(args, true).await?,
        IdentityCommand::RejectCode(args) => decide(args, false).await?,
        IdentityCommand::Subject(_) | IdentityCommand::Codes(_) | IdentityCommand::WrongHit(_) => {
            return Err(Failure::plain("this command changes nothing"));
        }
    };
    let done = answered("record the change", answer)?;
    match done.change {
        0 => say!("known     already; nothing was changed"),
        change if undoes => say!("change    {change} is taken back"),
        change => say!("change    {change} (take it back: creditgate lists undo {change})"),
    }
    for entry_id in &done.entry_ids {
        say!("entry     {entry_id}");
    }
    say!("lists     {}", done.list_version);
    Ok(ExitCode::SUCCESS)
}

fn relation(args: RelateArgs) -> Result<v1::ChangeRelationRequest, Failure> {
    let person = args
        .id
        .as_deref()
        .map(identifier)
        .transpose()?
        .unwrap_or_default();
    Ok(v1::ChangeRelationRequest {
        subject: Some(identifier(&args.subject)?),
        related: Some(v1::RelatedSubject {
            role: args.role,
            id_type: person.id_type,
            id: person.id,
            issuer: person.issuer,
            name: args.name.unwrap_or_default(),
        }),
        ended: args.ended,
        since: args.since,
        document_no: args.why.document,
        reason: args.why.reason,
    })
}

async fn decide(
    args: CodeArgs,
    confirm: bool,
) -> Result<Result<tonic::Response<v1::IdentityChangeResponse>, tonic::Status>, Failure> {
    let asked = v1::DecideCodeRequest {
        entry_id: args.entry,
        identifier: Some(identifier(&args.code)?),
        confirm,
        document_no: args.why.document,
        reason: args.why.reason,
    };
    Ok(Client::connect(&args.server)
        .await?
        .identity
        .decide_code(asked)
        .await)
}

async fn codes(args: CodesArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.identity;
    let mut asked = v1::ListCodeProposalsRequest {
        list: args.list,
        without_candidates: args.all,
        ..Default::default()
    };
    loop {
        let answer = client.list_code_proposals(asked.clone()).await;
        let page = answered("list the entries without a code", answer)?;
        for proposal in &page.proposals {
            match args.json {
                true => json_line(proposal)?,
                false => screen::proposal(proposal),
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        asked.page_token = page.next_page_token;
    }
}

async fn wrong_hit(command: WrongHitCommand) -> Result<ExitCode, Failure> {
    let answer = match command {
        WrongHitCommand::List(args) => return wrong_hits(args).await,
        WrongHitCommand::Open(args) => {
            let mut client = Client::connect(&args.server).await?.identity;
            client.open_wrong_hit(opening(args)?).await
        }
        WrongHitCommand::Correct(args) => {
            let asked = v1::CorrectWrongHitRequest {
                wrong_hit: args.wrong_hit,
                correction: args.correction,
                reason: args.reason,
            };
            let mut client = Client::connect(&args.server).await?.identity;
            client.correct_wrong_hit(asked).await
        }
        WrongHitCommand::Told(args) => {
            let asked = v1::TellWrongHitRequest {
                wrong_hit: args.wrong_hit,
                told_at: args.at.as_deref().map(|at| time("--at", at)).transpose()?,
                how: args.how,
                proof: args.proof,
            };
            let mut client = Client::connect(&args.server).await?.identity;
            client.tell_wrong_hit(asked).await
        }
    };
    let done = answered("record it in the register of wrong hits", answer)?;
    screen::wrong_hit(&done.wrong_hit.unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}

fn opening(args: WrongHitOpenArgs) -> Result<v1::OpenWrongHitRequest, Failure> {
    let who = args
        .id
        .as_deref()
        .map(identifier)
        .transpose()?
        .unwrap_or_default();
    let discovered = args
        .discovered
        .as_deref()
        .map(|at| time("--discovered", at));
    Ok(v1::OpenWrongHitRequest {
        subject: Some(v1::SubjectQuery {
            id_type: who.id_type,
            id: who.id,
            issuer: who.issuer,
            name: args.name.unwrap_or_default(),
        }),
        verdict_id: args.verdict_id.unwrap_or_default(),
        case_id: args.case_id.unwrap_or_default(),
        entry_id: args.entry,
        what: match args.what {
            WhatWrong::WrongPerson => "wrong_person",
            WhatWrong::WrongData => "wrong_data",
            WhatWrong::Outdated => "outdated",
            WhatWrong::SameName => "same_name",
        }
        .to_owned(),
        discovered_at: discovered.transpose()?,
        reason: args.reason,
    })
}

async fn wrong_hits(args: WrongHitListArgs) -> Result<ExitCode, Failure> {
    let asked = v1::ListWrongHitsRequest {
        closed: args.closed,
        open_days: args.open_days,
    };
    let mut client: Identity = Client::connect(&args.server).await?.identity;
    let answer = client.list_wrong_hits(asked).await;
    for hit in answered("list the wrong hits", answer)?.wrong_hits {
        match args.json {
            true => json_line(&hit)?,
            false => screen::wrong_hit(&hit),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An identifier as `TYPE:VALUE`, for OTHER as `OTHER:ISSUER:VALUE`. It is not repeated in an error.
pub fn identifier(text: &str) -> Result<v1::Alias, Failure> {
    let form = || {
        Failure::plain(
            "an identifier is written TYPE:VALUE, such as USCC:91219999MAYG58BR3Q (OTHER:ISSUER:VALUE)",
        )
    };
    let (id_type, rest) = text.split_once(':').ok_or_else(form)?;
    let (issuer, id) = match id_type {
        "OTHER" => rest.split_once(':').unwrap_or(("", rest)),
        _ => ("", rest),
    };
    Ok(v1::Alias {
        id_type: id_type.to_owned(),
        id: id.to_owned(),
        issuer: issuer.to_owned(),
    })
}

fn time(flag: &str, text: &str) -> Result<Timestamp, Failure> {
    let time = Time::parse(text).map_err(|error| Failure::new(format!("read {flag}"), error))?;
    Ok(time_to_proto(time))
}

/// The answer of a call, or what was attempted and why it failed.
pub fn answered<T>(
    attempted: &str,
    answer: Result<tonic::Response<T>, tonic::Status>,
) -> Result<T, Failure> {
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| Failure::new(attempted, status))
}

/// Prints an answer as JSON.
pub fn json<T: serde::Serialize>(message: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(message);
    say!(
        "{}",
        text.map_err(|error| Failure::new("print the answer", error))?
    );
    Ok(())
}

/// Prints an item as a line of JSON.
pub fn json_line<T: serde::Serialize>(message: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(message);
    say!(
        "{}",
        text.map_err(|error| Failure::new("print the answer", error))?
    );
    Ok(())
}
