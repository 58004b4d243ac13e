//! What was answered survives: `kill -9` in the middle, restart, replay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use creditgate_measures::identifier::invented;
use creditgate_proto::v1;
use creditgate_tests::{Service, evaluation, import_entries, patient, run};
use tokio::sync::Mutex;

const CHECKS: usize = 10_000;
const TASKS: usize = 32;

/// Answered verdicts: id of the event to id and digest of the verdict.
type Answered = Arc<Mutex<BTreeMap<String, (String, String)>>>;

async fn checks_until_it_dies(service: &Service, answered: Answered, died: Arc<AtomicBool>) {
    let gate = service.gate().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let mut gate = gate.clone();
        let answered = Arc::clone(&answered);
        let died = Arc::clone(&died);
        tasks.spawn(async move {
            for n in (task..CHECKS).step_by(TASKS) {
                let id = format!("event-{n}");
                let event = evaluation(&id, &invented::uscc(n as u64));
                let Ok(verdict) = patient(&mut gate, event).await else {
                    died.store(true, Ordering::Relaxed);
                    return;
                };
                answered
                    .lock()
                    .await
                    .insert(id, (verdict.verdict_id, verdict.verdict_digest));
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_ten_thousand_checks_loses_no_answer() {
    let dir = tempfile::tempdir().expect("a directory");
    let answered = Answered::default();
    let died = Arc::new(AtomicBool::new(false));
    let service = Service::start(dir.path());
    import_entries(&service);
    let running = checks_until_it_dies(&service, Arc::clone(&answered), Arc::clone(&died));
    let killing = async {
        while answered.lock().await.len() < CHECKS / 3 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let pid = service.pid().to_string();
        std::process::Command::new("kill")
            .args(["-9", &pid])
            .status()
            .expect("kill runs");
    };
    tokio::join!(running, killing);
    assert!(died.load(Ordering::Relaxed), "it was killed in the middle");
    drop(service);

    let service = Service::start(dir.path());
    let mut gate = service.gate().await;
    let before = answered.lock().await.clone();
    println!(
        "{} of {CHECKS} checks were answered before the kill",
        before.len()
    );
    for (event, (verdict_id, digest)) in &before {
        let found = gate
            .get_verdict(v1::GetVerdictRequest {
                key: Some(v1::get_verdict_request::Key::VerdictId(verdict_id.clone())),
            })
            .await
            .unwrap_or_else(|status| panic!("the verdict of {event} is lost: {status}"))
            .into_inner();
        assert_eq!(
            found.verdict.expect("a verdict").verdict_digest,
            *digest,
            "{event}"
        );
    }

    // The same events again, those answered and those not: one verdict each, and the rest judged.
    checks_until_it_dies(
        &service,
        Arc::clone(&answered),
        Arc::new(AtomicBool::new(false)),
    )
    .await;
    let after = answered.lock().await.clone();
    assert_eq!(after.len(), CHECKS);
    for (event, verdict) in &before {
        assert_eq!(
            after.get(event),
            Some(verdict),
            "the first verdict of {event} stands"
        );
    }

    let server = format!("http://{}", service.grpc);
    for (verdict_id, _) in before.values().take(3) {
        let replayed = run(&["replay", verdict_id, "--server", &server], "");
        assert!(
            replayed.status.success(),
            "{}",
            String::from_utf8_lossy(&replayed.stdout)
        );
    }
}

#[tokio::test]
async fn a_second_process_cannot_take_the_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Service::start(dir.path());
    let data_dir = dir.path().display().to_string();
    let second = run(
        &[
            "serve",
            "--data-dir",
            &data_dir,
            "--grpc-addr",
            "127.0.0.1:0",
            "--http-addr",
            "127.0.0.1:0",
        ],
        "",
    );
    assert_eq!(second.status.code(), Some(2));
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains(&data_dir), "{told}");
    drop(first);
}
