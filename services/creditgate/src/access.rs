//! `creditgate access`: who may ask what, checked without a service, and who called.

use std::path::Path;
use std::process::ExitCode;

use creditgate_measures::event::Region;
use creditgate_measures::time::Time;
use creditgate_proto::encode::time_from_proto;
use creditgate_proto::subject::alias_from_proto;
use creditgate_proto::v1::CallRecord;
use creditgate_runtime::access::{self, Answered, Asked, Matter, Member, Policy, Question, Role};
use creditgate_runtime::callers::Permission;
use creditgate_runtime::errors::Chain;
use creditgate_runtime::sealed::purpose;
use serde_json::json;

use crate::cli::{AccessCommand, CallsArgs, ExplainAccessArgs, LintAccessArgs, PolicyArgs};
use crate::failure::Failure;
use crate::identity::identifier;
use crate::measures::load_named;

/// Runs a command about access.
pub fn run(command: &AccessCommand) -> Result<ExitCode, Failure> {
    match command {
        AccessCommand::Lint(args) => lint(args),
        AccessCommand::Test(args) => test(args),
        AccessCommand::Explain(args) => explain(args),
        AccessCommand::Calls(args) => calls(args),
    }
}

fn load(path: &Path) -> Result<Policy, Failure> {
    Policy::load(path).map_err(unread)
}

fn unread(error: access::Error) -> Failure {
    Failure::plain(Chain(&error).to_string())
}

fn lint(args: &LintAccessArgs) -> Result<ExitCode, Failure> {
    let policy = load(&args.policy)?;
    let book = load_named(&args.book)?;
    let faults = policy.unknown_to(&book);
    for (name, member) in policy.members() {
        tell_member(name, member);
    }
    let (callers, cases) = (policy.members().count(), policy.trials().len());
    say!("{callers} callers, {cases} cases");
    for fault in &faults {
        say!("{}: {fault}", args.policy.display());
    }
    Ok(match faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    })
}

fn tell_member(name: &str, member: &Member) {
    let roles: Vec<_> = member.roles.iter().map(|role| role.word()).collect();
    let scope = &member.scope;
    say!("{name}  {}  {}", scope.department, roles.join(", "));
    if member.roles.contains(&Role::Business) {
        match &scope.sources {
            Some(sources) => say!("  events of  {}", joined(sources)),
            None => say!("  events of every source"),
        }
    }
    for matter in &scope.matters {
        say!("  {}", in_words(matter));
    }
    if let Some(rate) = scope.checks_per_second() {
        say!("  at most {rate} checks a second");
    }
    if member.is_told_of_others() {
        say!("  sees entries {}", scope.sight.in_words());
    }
    if let Some(most) = scope.reports_per_hour() {
        say!("  at most {most} subjects' reports an hour");
    }
}

fn joined<'a>(words: impl IntoIterator<Item = &'a std::sync::Arc<str>>) -> String {
    let words: Vec<&str> = words.into_iter().map(AsRef::as_ref).collect();
    words.join(", ")
}

/// A matter in one line.
fn in_words(matter: &Matter) -> String {
    let regions: Vec<String> = matter.regions.iter().map(Region::to_string).collect();
    let mut line = format!(
        "{} in {}",
        matter.scenario.as_deref().unwrap_or("every scenario"),
        regions.join(", ")
    );
    let lists = [
        ("at", &matter.stages),
        ("for", &matter.purposes),
        ("about", &matter.items),
    ];
    for (word, list) in lists {
        if let Some(list) = list {
            line.push_str(&format!(", {word} {}", joined(list)));
        }
    }
    line
}

fn test(args: &PolicyArgs) -> Result<ExitCode, Failure> {
    let policy = Policy::read(&args.policy).map_err(unread)?;
    let untrue = policy.untrue();
    for told in &untrue {
        say!("{}: {told}", args.policy.display());
    }
    let cases = policy.trials().len();
    if untrue.is_empty() {
        say!("{cases} cases hold");
        return Ok(ExitCode::SUCCESS);
    }
    say!("{} of {cases} cases do not hold", untrue.len());
    Ok(ExitCode::from(1))
}

fn explain(args: &ExplainAccessArgs) -> Result<ExitCode, Failure> {
    let policy = load(&args.policy)?;
    let region = Region::parse(&args.region).ok_or_else(|| {
        Failure::plain(format!(
            "`{}` is no region: six digits of GB/T 2260, such as 329900",
            args.region
        ))
    })?;
    let question = Question {
        source: args.source.as_deref().unwrap_or(&args.caller),
        scenario: &args.scenario,
        stage: &args.stage,
        region,
        purpose: args.purpose.as_deref(),
        item: args.item.as_deref(),
    };
    let answered = policy.answer(&args.caller, Permission::Check, Some(&question));
    match answered {
        Answered::Allowed => {
            say!("allowed");
            let member = policy.member(&args.caller);
            if let Some(view) = member.and_then(|it| it.scope.sight.view(question.purpose)) {
                say!(
                    "  sees verdicts by the view `{}`: {}",
                    view.name,
                    view.in_words()
                );
            }
            return Ok(ExitCode::SUCCESS);
        }
        refused => say!("refused: {refused}"),
    }
    if let Some(member) = policy.member(&args.caller) {
        tell_member(&args.caller, member);
    }
    Ok(ExitCode::from(1))
}

fn calls(args: &CallsArgs) -> Result<ExitCode, Failure> {
    let keyring = args.keyring.load()?;
    let sealer = keyring.map(|keyring| keyring.sealer(purpose::CALLS));
    let calls = access::calls_of(&args.data_dir, sealer).map_err(|error| {
        let dir = args.data_dir.display();
        Failure::new(format!("read who called in `{dir}`"), error)
    })?;
    let subject_digest = match &args.subject {
        None => None,
        Some(subject) => Some(digest_of(subject, &args.data_dir)?),
    };
    let wanted = Asked {
        caller: args.caller.clone(),
        refused: args.refused,
        subject_digest,
    };
    for call in calls {
        let call = call.map_err(|error| Failure::new("read who called", error))?;
        if wanted.takes(&call) {
            tell_call(&call, args.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How the records of a data directory name a subject.
fn digest_of(subject: &str, data_dir: &Path) -> Result<String, Failure> {
    let alias = identifier(subject)?;
    let subject = alias_from_proto("subject", Some(&alias))
        .map_err(|refused| Failure::new("read --subject", refused))?;
    let dir = data_dir.display();
    let digest = access::digest_in(data_dir, &subject)
        .map_err(|error| Failure::new(format!("read `calls/subject.key` in `{dir}`"), error))?;
    digest.ok_or_else(|| {
        Failure::plain(format!(
            "`{dir}` has no `calls/subject.key`, without which no subject is found in its records: name the data directory \
             of the service, or copy that file too"
        ))
    })
}

fn tell_call(call: &CallRecord, as_json: bool) {
    let at = |stamp: Option<&pbjson_types::Timestamp>| {
        let time = stamp.and_then(time_from_proto);
        time.map_or_else(String::new, |time: Time| time.to_string())
    };
    let (first, last) = (at(call.first.as_ref()), at(call.last.as_ref()));
    if as_json {
        let line = json!({
            "first": first, "last": last, "times": call.times, "caller": call.caller,
            "department": call.department, "address": call.address, "call": call.call,
            "outcome": call.outcome, "why": call.why, "document_no": call.document_no,
            "unmasked_for": call.unmasked_for,
            "reason": call.reason, "subject_digest": call.subject_digest,
        });
        say!("{line}");
        return;
    }
    let or_dash = |text: &str| match text.is_empty() {
        true => "-".to_owned(),
        false => text.to_owned(),
    };
    say!(
        "{first}  {:<17}  {:<16}  {:<15}  {} × {}{}",
        call.outcome,
        or_dash(&call.caller),
        or_dash(&call.address),
        call.times,
        or_dash(&call.call),
        match (
            call.why.as_str(),
            call.document_no.as_str(),
            call.unmasked_for.as_str()
        ) {
            ("", "", "") => String::new(),
            ("", "", unmasked_for) => format!("  in full for {unmasked_for}"),
            ("", document_no, _) => format!("  by {document_no}: {}", or_dash(&call.reason)),
            (why, ..) => format!("  ({why})"),
        }
    );
}
