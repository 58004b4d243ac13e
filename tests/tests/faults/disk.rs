//! The disk under a service: full, without new files, read-only.

use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_tests::faults::{Habits, Load, event, lists, readiness, told, until_ready_is};
use creditgate_tests::{Service, import_entries};
use tonic_types::StatusExt as _;

use super::small::{Kind, SmallDisk, last_error, signal, until_ended};
use super::{RECOVERS_WITHIN, looked_at, places, seconds};

/// Room for the segments of a short story.
const MIB: u32 = 64;
/// How long the room in segments that exist may last.
const FULL_WITHIN: Duration = Duration::from_secs(120);

fn steady() -> Habits {
    Habits {
        tasks: 16,
        // Cases are to keep up in a build without optimisation too.
        pause: Duration::from_millis(20),
        ..Habits::default()
    }
}

/// How a new check is refused: `code reason`.
async fn refusal(service: &Service) -> String {
    let event = Some(event("refused", 3));
    let asked = service.gate().await.check(v1::CheckRequest { event }).await;
    let status = asked.expect_err("a refusal");
    let reason = status.get_details_error_info();
    format!(
        "{:?} {}",
        status.code(),
        reason.map_or_else(String::new, |info| info.reason)
    )
}

/// The reason that readiness gives for the gate.
fn reason(said: &str) -> String {
    let said: serde_json::Value = serde_json::from_str(said).expect("JSON");
    let components = said["components"].as_object().expect("components");
    let reasons = components.iter().filter_map(|(name, state)| {
        let reason = state["reason"].as_str()?;
        Some(format!("{name}: {reason}"))
    });
    reasons.collect::<Vec<_>>().join("; ")
}

/// Waits until the disk refuses verdicts and readiness tells it; how long that took, and all reasons it gives.
async fn until_refused(service: &Service) -> (Duration, String) {
    let began = Instant::now();
    loop {
        // Other parts may have met it before.
        let (_, said) = until_ready_is(service, false, FULL_WITHIN).await;
        let why = reason(&said);
        if why.contains("takes no records") {
            return (began.elapsed(), why);
        }
        assert!(began.elapsed() < FULL_WITHIN, "{why}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_full_disk(kind: Kind, fault: &str) {
    let disk = SmallDisk::new(kind, MIB);
    let service = disk.start();
    import_entries(&service);
    let places = places(&service);
    let load = Load::start(&places, &steady());
    load.on(300).await;
    let filled = disk.fill();
    let (after, why) = until_refused(&service).await;
    let refused = refusal(&service).await;
    assert_eq!(refused, "Unavailable journal_unavailable");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!readiness(&service).0, "it stays so");
    disk.free();
    let (recovered, _) = until_ready_is(&service, true, RECOVERS_WITHIN).await;
    load.on(300).await;
    let account = load.finish().await;
    account.assert_none_failed();

    // Full again, and this time nobody asks when there is room: the service itself must find out.
    disk.fill();
    let asking = Load::start(
        &places,
        &Habits {
            prefix: "meanwhile".to_owned(),
            patience: Duration::from_secs(2),
            ..steady()
        },
    );
    until_refused(&service).await;
    let meanwhile = asking.finish().await;
    disk.free();
    let (unasked, _) = until_ready_is(&service, true, RECOVERS_WITHIN).await;

    let before = lists(&service).await.expect("an answer");
    service.kill();
    let service = disk.start();
    assert_eq!(lists(&service).await.as_ref(), Some(&before));
    let seen = looked_at(&service, &account).await;
    looked_at(&service, &meanwhile).await;
    service.stop();
    told(
        fault,
        "not ready with the reason, checks refused and never guessed, nothing damaged, ready again by itself once there is room",
        &format!(
            "{filled} MiB filled; after {} `{why}`; checks `{refused}`; ready {} after there was room under load, {} when nobody \
             asked; {seen}, after a kill -9 too",
            seconds(after),
            seconds(recovered),
            seconds(unasked),
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts a small disk: run by tests/faults.sh"]
async fn a_full_tmpfs_is_told_and_passes() {
    a_full_disk(Kind::Tmpfs, "data disk full (tmpfs)").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts a small disk: run by tests/faults.sh"]
async fn a_full_ext4_is_told_and_passes() {
    a_full_disk(Kind::Ext4, "data disk full (ext4 on a loop device)").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts a small disk: run by tests/faults.sh"]
async fn a_directory_without_new_files_is_told_and_passes() {
    let disk = SmallDisk::new(Kind::Ext4, MIB);
    let service = disk.start();
    import_entries(&service);
    let load = Load::start(&places(&service), &steady());
    load.on(100).await;
    disk.seal_verdicts(true);
    let (after, why) = until_refused(&service).await;
    let refused = refusal(&service).await;
    disk.seal_verdicts(false);
    let (recovered, _) = until_ready_is(&service, true, RECOVERS_WITHIN).await;
    load.on(300).await;
    let account = load.finish().await;
    account.assert_none_failed();
    service.kill();
    let service = disk.start();
    let seen = looked_at(&service, &account).await;
    service.stop();
    told(
        "directory of verdicts read-only under a running service (chattr +i)",
        "not ready with the reason, nothing damaged, ready again by itself",
        &format!(
            "after {}, when a new segment was due, `{why}`; checks `{refused}`; ready {} after it was writable; {seen}",
            seconds(after),
            seconds(recovered),
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts a small disk: run by tests/faults.sh"]
async fn a_disk_that_turns_read_only_is_told_and_nothing_is_lost() {
    let disk = SmallDisk::new(Kind::Ext4, MIB);
    let service = disk.start();
    import_entries(&service);
    let short = Habits {
        patience: Duration::from_secs(3),
        ..steady()
    };
    let load = Load::start(&places(&service), &short);
    load.on(500).await;
    disk.fail();
    let (after, said) = until_ready_is(&service, false, FULL_WITHIN).await;
    let why = reason(&said);
    let refused = refusal(&service).await;
    let account = load.finish().await;
    // Nobody can mount a disk again that is in use.
    signal(&service, "-TERM");
    let (code, _) = until_ended(service, Duration::from_secs(15));

    disk.mend();
    disk.read_only(true);
    let (not_started, log) = until_ended(disk.launch(), Duration::from_secs(60));
    assert_eq!(not_started, Some(2), "{log}");
    let said_at_start = last_error(&log);
    assert!(said_at_start.contains("Read-only"), "{log}");
    disk.read_only(false);
    let service = disk.start();
    let seen = looked_at(&service, &account).await;
    service.stop();
    told(
        "disk turns read-only in the middle (ext4 error), and the service is started while it still is",
        "not ready with the reason; a start says why it fails; once the disk is mended a start is all it takes",
        &format!(
            "after {} `{why}`; checks `{refused}`; ended with code {code:?} when asked to; a start on the read-only disk ended \
             with code 2 and `{said_at_start}`; mended and started: {seen}",
            seconds(after),
        ),
    );
}
