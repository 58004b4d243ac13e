//! `creditgate check`: one event from flags, a file or standard input; one verdict.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use creditgate_measures::time::Time;
use creditgate_measures::vocabulary::Outcome;
use creditgate_proto::{encode, json, v1};
use pbjson_types::value::Kind;

use crate::cli::CheckArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::render;

/// Asks the service and prints its answer; the exit code tells PASS from the rest.
pub async fn run(args: CheckArgs) -> Result<ExitCode, Failure> {
    let event = match &args.file {
        Some(file) => from_file(file)?,
        None => from_flags(&args)?,
    };
    let mut client = Client::connect(&args.server).await?;
    let answer = client
        .gate
        .check(v1::CheckRequest { event: Some(event) })
        .await
        .map_err(|status| Failure::new("check the event", status))?
        .into_inner();
    let verdict = answer
        .verdict
        .as_ref()
        .ok_or_else(|| Failure::plain("the service answered without a verdict"))?;
    if args.json {
        let text = serde_json::to_string_pretty(&answer)
            .map_err(|error| Failure::new("print the answer", error))?;
        say!("{text}");
    } else {
        if answer.repeated {
            say!("judged before; this is the first verdict");
        }
        say_part!("{}", render::verdict(verdict));
        if !answer.receipt.is_empty() {
            say!("receipt {}", answer.receipt);
        }
    }
    let passed = verdict.outcome == Outcome::Pass.code();
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// Reads an event in JSON; `-` is standard input.
pub fn from_file(file: &Path) -> Result<v1::Event, Failure> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    read.map_err(|error| Failure::new(format!("read `{}`", file.display()), error))?;
    json::event_from_json(&bytes)
        .map_err(|refused| Failure::new("read the event", refused.to_string()))
}

fn from_flags(args: &CheckArgs) -> Result<v1::Event, Failure> {
    let id = args
        .id
        .clone()
        .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let occurred_at = args
        .occurred_at
        .as_deref()
        .map(Time::parse)
        .transpose()
        .map_err(|error| Failure::new("read --occurred-at", error))?;
    Ok(v1::Event {
        source: args.source.clone(),
        case_id: args.case_id.clone().unwrap_or_else(|| id.clone()),
        id,
        scenario: args.scenario.clone().unwrap_or_default(),
        stage: args.stage.clone().unwrap_or_default(),
        occurred_at: occurred_at.map(encode::time_to_proto),
        region: args.region.clone().unwrap_or_default(),
        item_code: args.item_code.clone().unwrap_or_default(),
        amount_fen: args.amount_fen,
        min_list_version: args.min_list_version.clone().unwrap_or_default(),
        purpose: String::new(),
        subjects: args
            .subject
            .iter()
            .map(|text| subject(text))
            .collect::<Result<_, _>>()?,
        attributes: args
            .attribute
            .iter()
            .map(|text| attribute(text))
            .collect::<Result<_, _>>()?,
    })
}

/// Reads `role=bidder,id=USCC:…,name=…`.
fn subject(text: &str) -> Result<v1::Subject, Failure> {
    let mut subject = v1::Subject::default();
    for part in text.split(',') {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| Failure::plain(format!("--subject: `{part}` is not name=value")))?;
        let field = match name.trim() {
            "role" => &mut subject.role,
            "name" => &mut subject.name,
            "kind" => &mut subject.kind,
            "party" => &mut subject.party,
            "issuer" => &mut subject.issuer,
            "id" => {
                let (id_type, id) = value.split_once(':').ok_or_else(|| {
                    Failure::plain("--subject: write id=TYPE:VALUE, such as id=USCC:…")
                })?;
                id_type.clone_into(&mut subject.id_type);
                id.clone_into(&mut subject.id);
                continue;
            }
            other => {
                return Err(Failure::plain(format!(
                    "--subject: unknown `{other}`; write role, id, name, kind, party or issuer"
                )));
            }
        };
        value.clone_into(field);
    }
    Ok(subject)
}

/// Reads `name=value`; true, false and whole numbers are taken as such.
pub(crate) fn attribute(text: &str) -> Result<(String, pbjson_types::Value), Failure> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Failure::plain(format!("--attribute: `{text}` is not name=value")))?;
    let kind = match value {
        "true" => Kind::BoolValue(true),
        "false" => Kind::BoolValue(false),
        // Beyond 2^53 a double would round; such a number stays a text and the book's type decides.
        _ => match value.parse::<i32>() {
            Ok(number) => Kind::NumberValue(number.into()),
            Err(_) => Kind::StringValue(value.to_owned()),
        },
    };
    Ok((name.to_owned(), pbjson_types::Value { kind: Some(kind) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_from_its_parts() {
        let read = subject("role=bidder,id=USCC:91219999MAYG58BR3Q,name=示例").expect("parts");
        assert_eq!(
            (read.role.as_str(), read.id_type.as_str()),
            ("bidder", "USCC")
        );
        assert_eq!(read.name, "示例");
        assert!(subject("role").is_err());
        assert!(subject("colour=red").is_err());
        assert!(subject("id=123").is_err());
    }

    #[test]
    fn attributes_take_the_type_they_look_like() {
        let check = |text: &str, expected: Kind| {
            assert_eq!(
                attribute(text).expect("name=value").1.kind,
                Some(expected),
                "{text}"
            );
        };
        check("mandatory_tender=true", Kind::BoolValue(true));
        check("count=3", Kind::NumberValue(3.0));
        check("notice_no=2026-1", Kind::StringValue("2026-1".into()));
        check("empty=", Kind::StringValue(String::new()));
    }
}
