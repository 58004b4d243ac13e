//! A process killed in the middle of an import: what was published is there, and nothing else.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use creditgate_measures::entry::StoredEntry;
use support::{Place, rows};

const CHILD: &str = "REGISTRY_CRASH_CHILD";

/// Not a test of its own: the process that is killed. It imports part by part and says how far it is.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(CHILD) else {
        return;
    };
    let place = Place::given(dir.as_ref()).with_overlay_min(500);
    let registry = place.open();
    for part in 0.. {
        let version = place
            .import(
                &registry,
                support::header(),
                rows(part * 1_500..(part + 1) * 1_500),
            )
            .await
            .list_version;
        println!("\npart {part} {version}");
    }
}

#[tokio::test]
async fn killed_while_importing_it_keeps_what_was_acknowledged() {
    for acknowledged in [1, 3, 6] {
        let place = Place::new().with_overlay_min(500);
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, place.dir())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut version = String::new();
        for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
            let line = line.expect("a line");
            if let Some(said) = line.strip_prefix(&format!("part {} ", acknowledged - 1)) {
                version = said.to_owned();
                break;
            }
        }
        child.kill().expect("kill it");
        child.wait().expect("its end");
        let registry = place.open();
        let live = registry.live().load_full();
        let seq: u64 = version
            .rsplit(':')
            .next()
            .and_then(|seq| seq.parse().ok())
            .expect("a version");
        assert!(
            live.lists.version().seq >= seq,
            "nothing acknowledged is lost"
        );
        assert!(live.lists.len() as u64 >= acknowledged * 1_500);
        // One record for the book and one for each entry: a front part of the rows, all whole.
        assert_eq!(live.lists.version().seq, live.lists.len() as u64 + 1);
        let mut ids: Vec<String> = live
            .lists
            .bodies()
            .map(|body| {
                StoredEntry::read(body)
                    .expect("an entry")
                    .entry_id
                    .to_owned()
            })
            .collect();
        ids.sort_unstable();
        let expected: Vec<String> = (0..ids.len() as u64).map(support::id).collect();
        assert_eq!(ids, expected);
        // The same rows again bring it to the end.
        let all = rows(0..12_000.max(live.lists.len() as u64));
        let summary = place.import(&registry, support::header(), all).await;
        assert_eq!(summary.unchanged, live.lists.len() as u64);
        registry.close().await;
    }
}
