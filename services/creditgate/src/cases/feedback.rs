//! `creditgate cases feedback`: one report from options, or a file of them, every line of which is answered.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use creditgate_proto::encode::time_to_proto;
use creditgate_proto::{json, v1};
use serde::Serialize;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::lines::{self, LINE_BYTES_MAX, Line};
use super::progress;
use super::screen::{self, one_line};
use crate::cli::cases::FeedbackArgs;
use crate::client::{Cases, Client};
use crate::failure::{Failure, status_text};
use crate::identity::json_line;

/// Reports were refused.
const NOT_ALL: u8 = 1;

/// How often a report is sent when the service does not answer, and the wait before it is sent once more, doubled each
/// time.
const ATTEMPTS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Longest wait that a service is granted.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Reports what the options or the file say.
pub async fn run(args: FeedbackArgs) -> Result<ExitCode, Failure> {
    match &args.file {
        None => one(args).await,
        Some(file) => {
            let (lines, bytes) = lines::read(file)?;
            let mut client = Client::connect(&args.server).await?.cases;
            let shown = match file == Path::new("-") {
                true => "standard input".to_owned(),
                false => format!("`{}`", file.display()),
            };
            let counts = many(&mut client, lines, bytes, &shown, args.json).await?;
            Ok(counts.code())
        }
    }
}

/// The report that the options describe.
fn of_options(args: FeedbackArgs) -> v1::Feedback {
    v1::Feedback {
        feedback_id: args.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        verdict_id: args.verdict.unwrap_or_default(),
        measure_id: args.measure.unwrap_or_default(),
        subject: args.subject.unwrap_or_default(),
        status: args.status.unwrap_or_default(),
        reason: args.reason.unwrap_or_default(),
        basis: args.basis.unwrap_or_default(),
        amount_fen: args.amount_fen,
        period: args.period.unwrap_or_default(),
        operator: args.operator.unwrap_or_default(),
        department: args.department.unwrap_or_default(),
        division_code: args.division.unwrap_or_default(),
        executed_at: args.executed_at.map(time_to_proto),
        document_no: args.document.unwrap_or_default(),
        implementer: args.implementer.unwrap_or_default(),
        inspection: args.item.map(|item| v1::InspectionResult {
            item,
            result: args.result.unwrap_or_default(),
            attention_list: args.attention_list.unwrap_or_default(),
        }),
    }
}

async fn one(args: FeedbackArgs) -> Result<ExitCode, Failure> {
    let mut client = Client::connect(&args.server).await?.cases;
    let as_json = args.json;
    let feedback = of_options(args);
    let id = feedback.feedback_id.clone();
    let answer = send(&mut client, &feedback).await.map_err(|status| {
        let attempted = format!("report it (once more with --id {id})");
        Failure::new(attempted, status)
    })?;
    let answer = Answer::to(None, &id, answer);
    match as_json {
        true => json_line(&answer)?,
        false => say!("{}", answer.line()),
    }
    let mut counts = Counts::default();
    counts.take(&answer);
    Ok(counts.code())
}

/// Sends the reports of a file in their order, since of two about one measure the later counts.
async fn many(
    service: &mut impl Service,
    mut lines: mpsc::Receiver<Result<Line, std::io::Error>>,
    bytes: Option<u64>,
    file: &str,
    as_json: bool,
) -> Result<Counts, Failure> {
    let line_shown = progress::Line::over(bytes);
    let mut counts = Counts::default();
    let mut ended = Ok(());
    while let Some(line) = lines.recv().await {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                ended = Err(Failure::new(format!("read {file}"), error));
                break;
            }
        };
        let answer = match report(service, &line).await {
            Ok(answer) => answer,
            Err(status) => {
                let attempted = format!("report line {} of {file}", line.number);
                ended = Err(Failure::new(attempted, status));
                break;
            }
        };
        let mut told = Ok(());
        line_shown.above(|| match as_json {
            true => told = json_line(&answer),
            false => say!("{}", answer.line()),
        });
        told?;
        counts.take(&answer);
        line_shown.draw(counts.all(), counts.refused, line.done);
    }
    drop(line_shown);
    match as_json {
        true => note!("{}", counts.told()),
        false => say!("{}", counts.told()),
    }
    if ended.is_err() {
        note!("what follows was not answered; send the file again: what is known stays as it is");
    }
    ended.map(|()| counts)
}

/// Sends a line; a status is no answer to it.
async fn report(service: &mut impl Service, line: &Line) -> Result<Answer, Status> {
    let refused = |reason: String| Answer {
        line: Some(line.number),
        feedback_id: String::new(),
        state: State::Refused,
        flags: Vec::new(),
        reason: Some(reason),
    };
    let Some(text) = &line.text else {
        return Ok(refused(format!("longer than {LINE_BYTES_MAX} bytes")));
    };
    let feedback: v1::Feedback = match json::from_json(text.trim_ascii()) {
        Ok(feedback) => feedback,
        // The reader sees this line alone and calls it the first.
        Err(error) => return Ok(refused(error.to_string().replace("(line 1, ", "("))),
    };
    let answer = send(service, &feedback).await?;
    Ok(Answer::to(Some(line.number), &feedback.feedback_id, answer))
}

/// Who takes reports.
trait Service {
    /// Takes one.
    async fn take(&mut self, feedback: v1::Feedback) -> Result<v1::ReportFeedbackResponse, Status>;
}

impl Service for Cases {
    async fn take(&mut self, feedback: v1::Feedback) -> Result<v1::ReportFeedbackResponse, Status> {
        let asked = v1::ReportFeedbackRequest {
            feedback: Some(feedback),
        };
        self.report_feedback(asked)
            .await
            .map(tonic::Response::into_inner)
    }
}

/// Sends a report until it is answered, which its id makes safe. The inner error refuses it; the outer is no answer.
async fn send(
    service: &mut impl Service,
    feedback: &v1::Feedback,
) -> Result<Result<v1::ReportFeedbackResponse, Status>, Status> {
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let status = match service.take(feedback.clone()).await {
            Ok(answer) => return Ok(Ok(answer)),
            Err(status) => status,
        };
        match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange => return Ok(Err(status)),
            Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
                if attempt < ATTEMPTS => {}
            _ => return Err(status),
        }
        let asked = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        tokio::time::sleep(asked.unwrap_or(wait).min(LONGEST_WAIT)).await;
        wait *= 2;
        attempt += 1;
    }
}

/// What became of a report.
#[derive(Debug, Serialize)]
struct Answer {
    /// Its line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    feedback_id: String,
    state: State,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Recorded,
    Repeated,
    Refused,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
        }
    }
}

impl Answer {
    fn to(
        line: Option<u64>,
        feedback_id: &str,
        answer: Result<v1::ReportFeedbackResponse, Status>,
    ) -> Self {
        let (state, flags, reason) = match answer {
            Ok(answer) => {
                let state = match answer.repeated {
                    true => State::Repeated,
                    false => State::Recorded,
                };
                (state, answer.feedback.unwrap_or_default().flags, None)
            }
            Err(status) => {
                // The rules that it breaks stand on lines of their own; an answer is one line.
                let reason = status_text(&status).replacen("\n  ", ": ", 1);
                let reason = reason.replace("\n  ", "; ");
                (State::Refused, Vec::new(), Some(reason))
            }
        };
        Self {
            line,
            feedback_id: feedback_id.to_owned(),
            state,
            flags,
            reason,
        }
    }

    /// The answer on one line.
    fn line(&self) -> String {
        let mut told = match self.line {
            Some(line) => format!("line {line}  {}", self.state.word()),
            None => self.state.word().to_owned(),
        };
        if !self.feedback_id.is_empty() {
            told.push_str("  ");
            told.push_str(&one_line(&self.feedback_id));
        }
        if !self.flags.is_empty() {
            let flags: Vec<&str> = self.flags.iter().map(|flag| screen::flag(flag)).collect();
            told.push_str(&format!("  （{}）", flags.join("、")));
        }
        if let Some(reason) = &self.reason {
            told.push_str(": ");
            told.push_str(reason);
        }
        told
    }
}

/// How many reports met which end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    recorded: u64,
    repeated: u64,
    refused: u64,
}

impl Counts {
    fn take(&mut self, answer: &Answer) {
        match answer.state {
            State::Recorded => self.recorded += 1,
            State::Repeated => self.repeated += 1,
            State::Refused => self.refused += 1,
        }
    }

    fn all(self) -> u64 {
        self.recorded + self.repeated + self.refused
    }

    fn told(self) -> String {
        format!(
            "answered {}: recorded {}, repeated {}, refused {}",
            self.all(),
            self.recorded,
            self.repeated,
            self.refused
        )
    }

    fn code(self) -> ExitCode {
        match self.refused {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(NOT_ALL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as it was told to, and keeps what it got.
    #[derive(Default)]
    struct Told {
        answers: Vec<Result<bool, Status>>,
        got: Vec<v1::Feedback>,
    }

    impl Service for Told {
        async fn take(
            &mut self,
            feedback: v1::Feedback,
        ) -> Result<v1::ReportFeedbackResponse, Status> {
            self.got.push(feedback);
            let repeated = self.answers.remove(0)?;
            Ok(v1::ReportFeedbackResponse {
                repeated,
                feedback: None,
            })
        }
    }

    async fn sent(
        text: &str,
        answers: Vec<Result<bool, Status>>,
    ) -> (Result<Counts, String>, Told) {
        let (out, receiver) = mpsc::channel(8);
        let mut lines = lines::Lines::of(text.as_bytes());
        while let Some(line) = lines.next_line().expect("it is read") {
            out.send(Ok(line)).await.expect("somebody takes it");
        }
        drop(out);
        let mut told = Told {
            answers,
            ..Told::default()
        };
        let counts = many(&mut told, receiver, None, "`f`", true).await;
        (counts.map_err(|failure| failure.to_string()), told)
    }

    fn report(id: u32) -> String {
        format!(
            r#"{{"feedback_id":"F{id}","verdict_id":"V","measure_id":"M","status":"executed","amount_fen":5,"executed_at":"2026-06-10T09:00:00+08:00"}}"#
        )
    }

    #[tokio::test]
    async fn every_line_is_answered_and_refused_ones_stop_nothing() {
        let text = [
            report(1),
            "{".to_owned(),
            r#"{"feedback_id":"F2","subjekt":1}"#.to_owned(),
            String::new(),
            report(3),
            report(4),
        ];
        let answers = vec![
            Ok(false),
            Ok(true),
            Err(Status::not_found("the verdict is not known")),
        ];
        let (counts, told) = sent(&text.join("\n"), answers).await;
        let expected = Counts {
            recorded: 1,
            repeated: 1,
            refused: 3,
        };
        assert_eq!(counts, Ok(expected));
        let ids: Vec<&str> = told.got.iter().map(|of| of.feedback_id.as_str()).collect();
        assert_eq!(ids, ["F1", "F3", "F4"]);
        assert_eq!(told.got.first().and_then(|of| of.amount_fen), Some(5));
    }

    #[tokio::test]
    async fn a_report_without_an_answer_is_sent_again_and_then_ends_the_file() {
        let at_once = tonic_types::ErrorDetails::with_retry_info(Some(Duration::ZERO));
        let away = || {
            Err(Status::with_error_details(
                Code::Unavailable,
                "away",
                at_once.clone(),
            ))
        };
        let (counts, told) = sent(
            &[report(1), report(2)].join("\n"),
            vec![away(), away(), Ok(false), Ok(false)],
        )
        .await;
        assert_eq!(counts.map(|counts| counts.recorded), Ok(2));
        assert_eq!(told.got.len(), 4);

        let never = (0..ATTEMPTS).map(|_| away()).collect();
        let (counts, told) = sent(&[report(1), report(2)].join("\n"), never).await;
        assert_eq!(
            counts.expect_err("it ends"),
            "report line 1 of `f`: Unavailable: away\n  try again in 0 ms"
        );
        assert_eq!(told.got.len(), ATTEMPTS as usize);

        let forbidden = vec![Ok(false), Err(Status::permission_denied("no"))];
        let (counts, told) = sent(&[report(1), report(2)].join("\n"), forbidden).await;
        assert_eq!(
            counts.expect_err("it ends"),
            "report line 2 of `f`: PermissionDenied: no"
        );
        assert_eq!(told.got.len(), 2);
    }

    #[test]
    fn answers_are_told_on_a_line() {
        let answer = |line, answer| Answer::to(line, "F1", answer);
        let flagged = v1::ReportFeedbackResponse {
            repeated: false,
            feedback: Some(v1::FeedbackShown {
                flags: vec!["late".to_owned(), "contradicts".to_owned()],
                ..v1::FeedbackShown::default()
            }),
        };
        let table = [
            (
                answer(Some(3), Ok(flagged)),
                "line 3  recorded  F1  （迟报、前后不一）",
                r#"{"line":3,"feedback_id":"F1","state":"recorded","flags":["late","contradicts"]}"#,
            ),
            (
                answer(
                    Some(4),
                    Err(Status::with_error_details(
                        Code::InvalidArgument,
                        "refused",
                        tonic_types::ErrorDetails::with_bad_request(vec![
                            tonic_types::FieldViolation::new("reason", "required"),
                            tonic_types::FieldViolation::new("operator", "required"),
                        ]),
                    )),
                ),
                "line 4  refused  F1: InvalidArgument: reason: required; operator: required",
                r#"{"line":4,"feedback_id":"F1","state":"refused","reason":"InvalidArgument: reason: required; operator: required"}"#,
            ),
            (
                answer(None, Err(Status::not_found("the verdict is not known"))),
                "refused  F1: NotFound: the verdict is not known",
                r#"{"feedback_id":"F1","state":"refused","reason":"NotFound: the verdict is not known"}"#,
            ),
        ];
        for (answer, line, json) in table {
            assert_eq!(answer.line(), line);
            assert_eq!(serde_json::to_string(&answer).expect("JSON"), json);
        }
    }
}
