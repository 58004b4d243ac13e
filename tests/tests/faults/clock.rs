//! The clock of the machine: set forward and back under a running service, and across a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::faults::{Habits, Load, readiness, told};
use creditgate_tests::{Service, binary, evaluation, import_entries};

use super::small::{last_error, until_ended};
use super::{looked_at, places};

/// The library that comes between a program and its clock (Debian: `faketime`).
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// A service whose clock is set by what stands in a file.
fn start(dir: &Path, hand: &Path) -> Service {
    let library = std::env::var("FAKETIME_LIBRARY").unwrap_or_else(|_| LIBRARY.to_owned());
    assert!(
        Path::new(&library).exists(),
        "{library} is not there: apt-get install faketime, or name it in FAKETIME_LIBRARY"
    );
    let mut command = Command::new(binary());
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", hand)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let log = dir.join("service.log");
    let mut service = Service::launch(command, dir, &log, &[]);
    service.wait_until_ready();
    service
}

async fn clean_firm(service: &Service, id: &str) -> v1::Verdict {
    let event = Some(evaluation(id, &invented::uscc(7)));
    let answer = service.gate().await.check(v1::CheckRequest { event }).await;
    let answer = answer.expect("an answer").into_inner();
    answer.verdict.expect("a verdict")
}

fn told_at(verdict: &v1::Verdict) -> i64 {
    verdict.evaluated_at.as_ref().expect("a time").seconds
}

fn outcome(verdict: &v1::Verdict) -> String {
    let flags: Vec<&str> = verdict.flags.iter().map(String::as_str).collect();
    format!("{} {}", verdict.outcome, flags.join(","))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs faketime: run by tests/faults.sh"]
async fn a_clock_set_forward_and_back_never_turns_time_around() {
    let dir = tempfile::tempdir().expect("a directory");
    let hand: PathBuf = dir.path().join("hand");
    let set = |to: &str| {
        // At once, so that nobody reads half a time.
        let new = dir.path().join("hand.new");
        fs::write(&new, to).expect("the hand");
        fs::rename(&new, &hand).expect("the hand");
    };
    set("+0");
    let service = start(dir.path(), &hand);
    import_entries(&service);
    let load = Load::start(&places(&service), &Habits::default());
    load.on(100).await;
    let first = clean_firm(&service, "clock-1").await;
    assert_eq!(first.outcome, "PASS", "{first:#?}");

    set("+40d");
    tokio::time::sleep(Duration::from_secs(2)).await;
    load.on(100).await;
    let ahead = clean_firm(&service, "clock-2").await;
    let days = (told_at(&ahead) - told_at(&first)) / 86_400;
    assert_eq!(days, 40);
    // Lists that nobody confirmed for so long are not good for a PASS.
    assert_eq!(ahead.outcome, "MANUAL_REVIEW", "{ahead:#?}");
    import_entries(&service);
    let fresh = clean_firm(&service, "clock-3").await;

    // 40 days less a minute.
    set("+3455940");
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.on(50).await;
    let held = clean_firm(&service, "clock-4").await;
    assert!(told_at(&held) >= told_at(&fresh), "time went back");
    let (ready, said) = readiness(&service);
    assert!(ready && said.contains("times are held"), "{said}");
    let jumps = service.metric("creditgate_clock_jumps_back_total");
    let account = load.finish().await;
    account.assert_none_failed();
    looked_at(&service, &account).await;

    // Far back: what is stale would look fresh for weeks.
    set("-2h");
    let (code, log) = until_ended(service, Duration::from_secs(60));
    let said = last_error(&log);
    assert!(
        code == Some(2) && said.contains("set back"),
        "{code:?} {said}"
    );

    // A start with the right time, over records of a time to come.
    set("+0");
    let service = start(dir.path(), &hand);
    let after = clean_firm(&service, "clock-6").await;
    import_entries(&service);
    let load = Load::start(
        &places(&service),
        &Habits {
            prefix: "after".to_owned(),
            ..Habits::default()
        },
    );
    load.on(100).await;
    let later = load.finish().await;
    later.assert_none_failed();
    let confirmed = clean_firm(&service, "clock-7").await;
    let seen = looked_at(&service, &account).await;
    looked_at(&service, &later).await;
    service.stop();
    told(
        "clock set 40 days forward, then a minute back, then 40 days back, then started anew (faketime)",
        "times never run back within a process, stale lists give a review and no PASS, a clock far back ends the process, a start is all it takes, every verdict replays",
        &format!(
            "forward: `{}`, after a new import `{}`; a minute back: times held and said so, ready, {jumps} jumps counted; 40 days back: \
             ended with `{said}`; started with the right time: `{}`, after a new import `{}`; {seen}",
            outcome(&ahead),
            outcome(&fresh),
            outcome(&after),
            outcome(&confirmed),
        ),
    );
}
