//! `creditgate lists change | due | procedure | notices | served | measure-taken`: the life of entries.

use std::process::ExitCode;

use creditgate_measures::time::{Date, Time};
use creditgate_proto::encode::{time_from_proto, time_to_proto};
use creditgate_proto::v1::{self, apply_request::Change};
use serde::Serialize;

use crate::cli::{
    ChangeArgs, DueArgs, MeasureTakenArgs, NoticesArgs, OpenProcedureArgs, ProceduresArgs,
    ServedArgs, StepProcedureArgs,
};
use crate::client::Client;
use crate::failure::Failure;
use crate::identity::identifier;

/// Items asked for at once.
const PAGE: usize = 1_000;

/// Changes the state of an entry.
pub async fn change(args: ChangeArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let changed = client
        .lists
        .apply(v1::ApplyRequest {
            change: Some(Change::ChangeState(v1::ChangeState {
                entry_id: args.id,
                to: args.to,
                effective_at: args.effective_at.map(time_to_proto),
                document_no: args.document,
                reason: args.reason,
            })),
        })
        .await
        .map_err(|status| Failure::new("change the entry", status))?
        .into_inner();
    let entry = changed.entry.and_then(|record| record.entry);
    tell_state(&entry.unwrap_or_default());
    say!("lists    {}", changed.list_version);
    Ok(ExitCode::SUCCESS)
}

fn tell_state(entry: &v1::Entry) {
    say!("entry    {} ({})", entry.entry_id, entry.list);
    say!("state    {} since {}", entry.state, entry.state_since);
}

/// Shows what is due.
pub async fn due(args: DueArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let mut asked = v1::ListDueRequest {
        until: text_of(args.until),
        from: text_of(args.from),
        list: args.list.unwrap_or_default(),
        kinds: args.kind,
        region: args.region.unwrap_or_default(),
        overdue: args.overdue,
        ..v1::ListDueRequest::default()
    };
    let mut answer = v1::ListDueResponse::default();
    loop {
        asked.page_size = page_size(args.limit, answer.due.len());
        let page = client.procedures.due(asked.clone()).await;
        let page = page
            .map_err(|status| Failure::new("show what is due", status))?
            .into_inner();
        answer.due.extend(page.due);
        answer.next_page_token.clone_from(&page.next_page_token);
        answer.list_version = page.list_version;
        asked.page_token = page.next_page_token;
        if asked.page_token.is_empty() || answer.due.len() >= args.limit {
            break;
        }
    }
    if args.json {
        return json(&answer);
    }
    let mut rows =
        vec![["日期", "事项", "记录", "名单", "经办程序", "责任单位"].map(str::to_owned)];
    for due in &answer.due {
        let mark = if due.overdue { " 逾期" } else { "" };
        let undeclared = match due.calendar.as_str() {
            "undeclared" => "（节假日安排未载入）",
            _ => "",
        };
        rows.push([
            format!("{}{mark}", due.day),
            format!("{}{undeclared}", due.title),
            due.entry_id.clone(),
            due.list.clone(),
            match due.notice.is_empty() {
                true => due.procedure_id.clone(),
                false => {
                    let of = (&*due.measure_id, &*due.verdict_id, due.verdict_subject);
                    with_measure(&due.notice, of)
                }
            },
            due.authority.clone(),
        ]);
    }
    table(&rows);
    if !answer.next_page_token.is_empty() {
        say!("there is more: --limit shows it");
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens a procedure.
pub async fn open(args: OpenProcedureArgs) -> Result<ExitCode, Failure> {
    let named = args.id.as_deref().map(identifier).transpose()?;
    let (about, of_subject) = match args.entry {
        Some(_) => (None, named),
        None => (named, None),
    };
    let name = args.name.unwrap_or_default();
    let subject = about.map(|about| v1::SubjectQuery {
        id_type: about.id_type,
        id: about.id,
        issuer: about.issuer,
        name,
    });
    let mut client = Client::connect(&args.server).await?;
    let opened = client
        .procedures
        .open(v1::OpenProcedureRequest {
            kind: args.kind,
            entry_id: args.entry.unwrap_or_default(),
            subject,
            by: args.told.by,
            at: args.told.at.map(time_to_proto),
            document_no: args.told.document,
            reason: args.told.reason,
            authority: args.authority.unwrap_or_default(),
            until: text_of(args.until),
            force: args.force,
            of_subject,
        })
        .await
        .map_err(|status| Failure::new("open the procedure", status))?
        .into_inner();
    told(&opened, args.json)
}

/// Takes a step of a procedure.
pub async fn step(args: StepProcedureArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let stepped = client
        .procedures
        .step(v1::StepProcedureRequest {
            procedure_id: args.id,
            step: args.step,
            outcome: args.outcome.unwrap_or_default(),
            by: args.told.by,
            at: args.told.at.map(time_to_proto),
            document_no: args.told.document,
            reason: args.told.reason,
            scheduled_for: args.scheduled_for.map(time_to_proto),
            place: args.place.unwrap_or_default(),
            attention_list: args.attention_list.unwrap_or_default(),
            region: args.region.unwrap_or_default(),
        })
        .await
        .map_err(|status| Failure::new("take the step", status))?
        .into_inner();
    told(&stepped, args.json)
}

fn told(answer: &v1::ProcedureResponse, as_json: bool) -> Result<ExitCode, Failure> {
    if as_json {
        return json(answer);
    }
    if let Some(procedure) = &answer.procedure {
        tell(procedure);
    }
    for record in [&answer.entry, &answer.proposed].into_iter().flatten() {
        tell_state(&record.entry.clone().unwrap_or_default());
    }
    say!("lists    {}", answer.list_version);
    Ok(ExitCode::SUCCESS)
}

fn tell(procedure: &v1::Procedure) {
    let state = match procedure.open {
        true => "办理中",
        false => "已办结",
    };
    say!(
        "{} {}（{state}）：{}",
        procedure.title,
        procedure.procedure_id,
        procedure.state_title
    );
    let mut rows = vec![["时间", "步骤", "办理人", "文书号", "事由"].map(str::to_owned)];
    for step in &procedure.steps {
        let forced = if step.forced { "（提前）" } else { "" };
        rows.push([
            at(&step.at),
            format!("{}{forced}", step.title),
            step.by.clone(),
            step.document_no.clone(),
            step.reason.clone(),
        ]);
    }
    table(&rows);
    for limit in &procedure.deadlines {
        let undeclared = match limit.calendar.as_str() {
            "undeclared" => "，节假日安排未载入",
            _ => "",
        };
        let default = if limit.is_default { "，缺省" } else { "" };
        say!(
            "期限 {} {}（{}{default}{undeclared}）",
            limit.day,
            limit.title,
            limit.basis
        );
    }
    if !procedure.possible.is_empty() {
        say!("possible {}", procedure.possible.join(", "));
    }
}

/// Shows procedures.
pub async fn list(args: ProceduresArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let mut asked = v1::ListProceduresRequest {
        entry_id: args.entry.unwrap_or_default(),
        kind: args.kind.unwrap_or_default(),
        open: args.open,
        ..v1::ListProceduresRequest::default()
    };
    let mut answer = v1::ListProceduresResponse::default();
    loop {
        asked.page_size = page_size(args.limit, answer.procedures.len());
        let page = client.procedures.list(asked.clone()).await;
        let page = page
            .map_err(|status| Failure::new("show the procedures", status))?
            .into_inner();
        answer.procedures.extend(page.procedures);
        answer.next_page_token.clone_from(&page.next_page_token);
        asked.page_token = page.next_page_token;
        if asked.page_token.is_empty() || answer.procedures.len() >= args.limit {
            break;
        }
    }
    if args.json {
        return json(&answer);
    }
    let titles = ["程序", "类别", "记录", "状态", "下一期限", "责任单位"];
    let mut rows = vec![titles.map(str::to_owned)];
    for procedure in &answer.procedures {
        let next = procedure.deadlines.iter().min_by_key(|limit| &limit.day);
        rows.push([
            procedure.procedure_id.clone(),
            procedure.title.clone(),
            procedure.entry_id.clone(),
            procedure.state_title.clone(),
            next.map_or_else(String::new, |limit| {
                format!("{} {}", limit.day, limit.title)
            }),
            procedure.authority.clone(),
        ]);
    }
    table(&rows);
    if !answer.next_page_token.is_empty() {
        say!("there is more: --limit shows it");
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the notices of an entry, the templates of the book, or the text of one notice.
pub async fn notices(args: NoticesArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let entry_id = args.entry.unwrap_or_default();
    if let Some(notice) = args.render {
        let rendered = client
            .procedures
            .render_notice(v1::RenderNoticeRequest {
                notice,
                entry_id,
                values: args.value.into_iter().collect(),
                verdict_id: args.verdict.unwrap_or_default(),
                measure_id: args.measure.unwrap_or_default(),
                verdict_subject: args.subject,
            })
            .await
            .map_err(|status| Failure::new("write the notice", status))?
            .into_inner();
        if args.json {
            return json(&rendered);
        }
        say!("{}", rendered.text.trim_end());
        if !rendered.missing.is_empty() {
            note!(
                "not known, to be given with --value: {}",
                rendered.missing.join(", ")
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let answer = client
        .procedures
        .list_notices(v1::ListNoticesRequest { entry_id })
        .await
        .map_err(|status| Failure::new("show the notices", status))?
        .into_inner();
    if args.json {
        return json(&answer);
    }
    let titles = [
        "文书",
        "名称",
        "应送达自",
        "送达时间",
        "送达方式",
        "回证",
        "同时送达",
    ];
    let mut rows = vec![titles.map(str::to_owned)];
    for notice in &answer.notices {
        rows.push([
            with_measure(
                &notice.notice,
                (
                    &notice.measure_id,
                    &notice.verdict_id,
                    notice.verdict_subject,
                ),
            ),
            notice.title.clone(),
            at(&notice.due_since),
            at(&notice.served_at),
            notice.how.clone(),
            notice.proof.clone(),
            notice.together_with.join(", "),
        ]);
    }
    table(&rows);
    Ok(ExitCode::SUCCESS)
}

/// Records by which proof notices were served.
pub async fn served(args: ServedArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let recorded = client
        .procedures
        .record_service(v1::RecordServiceRequest {
            entry_id: args.entry,
            notices: args.notice,
            how: args.how,
            proof: args.proof,
            served_at: Some(time_to_proto(args.at)),
            by: args.by,
            reason: args.reason.unwrap_or_default(),
            verdict_id: args.verdict.unwrap_or_default(),
            measure_id: args.measure.unwrap_or_default(),
            verdict_subject: args.subject,
        })
        .await
        .map_err(|status| Failure::new("record the service", status))?
        .into_inner();
    let entry = recorded.entry.and_then(|record| record.entry);
    let entry = entry.unwrap_or_default();
    tell_state(&entry);
    match recorded.served_at_set {
        true => say!("served   {}: the entry counts from then", entry.served_at),
        false => say!("served   {}", args.at),
    }
    say!("lists    {}", recorded.list_version);
    Ok(ExitCode::SUCCESS)
}

/// Records that a measure was carried out by reason of an entry.
pub async fn measure_taken(args: MeasureTakenArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?;
    let recorded = client
        .procedures
        .record_measure(v1::RecordMeasureRequest {
            entry_id: args.entry.clone(),
            verdict_id: args.verdict.clone(),
            measure_id: args.measure.clone(),
            case_id: args.case.unwrap_or_default(),
            by: args.by,
            at: Some(time_to_proto(args.at)),
            document_no: args.document,
            reason: args.reason,
        })
        .await
        .map_err(|status| Failure::new("record the measure", status))?
        .into_inner();
    let entry = recorded.entry.and_then(|record| record.entry);
    tell_state(&entry.unwrap_or_default());
    let known = match recorded.known {
        true => " (known already; nothing was recorded)",
        false => "",
    };
    say!(
        "measure  {} of verdict {}{known}",
        args.measure,
        args.verdict
    );
    match recorded.notice.is_empty() {
        true => say!("notice   none is to be served"),
        false => say!(
            "notice   {notice} is to be served: creditgate lists served {} --notice {notice} --verdict {} --measure {} …",
            args.entry,
            args.verdict,
            args.measure,
            notice = recorded.notice,
        ),
    }
    say!("lists    {}", recorded.list_version);
    Ok(ExitCode::SUCCESS)
}

/// A notice, with the measure that it tells of, and the place in the verdict of whom it fell on besides the listed one.
fn with_measure(notice: &str, (measure, verdict, subject): (&str, &str, Option<u32>)) -> String {
    let on = subject.map_or_else(String::new, |subject| format!("#{subject}"));
    match measure.is_empty() {
        true => notice.to_owned(),
        false => format!("{notice} {measure} {verdict}{on}"),
    }
}

fn json(answer: &impl Serialize) -> Result<ExitCode, Failure> {
    let text = serde_json::to_string_pretty(answer);
    say!(
        "{}",
        text.map_err(|error| Failure::new("print the answer", error))?
    );
    Ok(ExitCode::SUCCESS)
}

/// Items to ask for when so many are shown already.
pub fn page_size(limit: usize, shown: usize) -> u32 {
    let left = limit.saturating_sub(shown).clamp(1, PAGE);
    u32::try_from(left).unwrap_or(1)
}

/// A day as a request takes it.
pub fn text_of(day: Option<Date>) -> String {
    day.map_or_else(String::new, |day| day.to_string())
}

fn at(stamp: &Option<pbjson_types::Timestamp>) -> String {
    let time = stamp.as_ref().and_then(time_from_proto);
    time.map_or_else(String::new, |time: Time| time.to_string())
}

/// Prints rows under each other; the last column is as wide as it is.
fn table<const N: usize>(rows: &[[String; N]]) {
    say_part!("{}", table_text(rows));
}

/// Rows under each other; the last column is as wide as it is.
pub fn table_text<Row: AsRef<[String]>>(rows: &[Row]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        let cells = row.as_ref();
        widths.resize(widths.len().max(cells.len()), 0);
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(columns(cell));
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row.as_ref()) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - columns(cell) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Columns that a text takes on a terminal: Chinese characters take two.
fn columns(text: &str) -> usize {
    let wide = |c: char| matches!(c as u32, 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6);
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn chinese_takes_two_columns() {
        assert_eq!(
            (columns("异议"), columns("N02"), columns("（A）")),
            (4, 3, 5)
        );
    }

    #[test]
    fn the_commands_are_read() {
        let read = |line: &str| Cli::try_parse_from(line.split(' ')).map(drop);
        for line in [
            "creditgate lists change E1 --to REPAIRED --document D1 --reason r --effective-at 2026-06-10",
            "creditgate lists due --until 2026-12-31 --kind ends,limit --overdue",
            "creditgate lists procedure open objection E1 --by a --document D1 --reason r",
            "creditgate lists procedure open objection E1 --id USCC:1 --by a --document D1 --reason r",
            "creditgate lists procedure open talk --id USCC:1 --authority x --by a --document D1 --reason r",
            "creditgate lists procedure step P1-1 decided --outcome upheld --by a --document D --reason r",
            "creditgate lists procedure list --open",
            "creditgate lists notices",
            "creditgate lists notices E1 --render N02 --value contact=c",
            "creditgate lists served E1 --notice N02,N03 --how post --proof p --at 2026-06-10T09:00:00+08:00 --by b",
            "creditgate lists measure-taken E1 --verdict V1 --measure M1 --by b --at 2026-06-10 --document D1 --reason r",
            "creditgate lists notices E1 --render N05 --verdict V1 --measure M1",
        ] {
            read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        assert!(
            read("creditgate lists procedure open talk --by a --document D --reason r").is_err()
        );
        assert!(read("creditgate lists due --until June").is_err());
    }
}
