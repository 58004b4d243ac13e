//! The process that keeps the cases delivers them; whoever takes over goes on where it stood.

use std::collections::BTreeSet;

use creditgate_proto::v1;
use creditgate_tests::cases::{check, until};
use creditgate_tests::kafka::Broker;
use creditgate_tests::target::Target;
use creditgate_tests::{Service, run};

use super::super::lists::{server, wait_for_lead};
use super::super::{Deployment, wait_until};
use super::{ALL_AND_CASES, CASES, SOON, SOONER, told};
use creditgate_tests::land;

/// Checks while one process leads, and again while the other does.
const CHECKS: usize = 40;

fn serve(here: &Deployment<'_>, name: &str, roles: &str) -> Service {
    let config = here.dir.path().join("c.yaml").display().to_string();
    let more = [&SOON[..], &SOONER, &["--config", &config]].concat();
    here.serve_at(&here.broker.bootstrap(), name, roles, &more)
}

async fn checked(service: &Service, from: usize) -> Vec<v1::Verdict> {
    let mut verdicts = Vec::new();
    for n in from..from + CHECKS {
        verdicts.push(check(service, land::event(&format!("LAND-{n}"), "register")).await);
    }
    verdicts
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn whoever_takes_over_delivers_on_without_loss() {
    let here = Deployment::new(Broker::shared(), "landdelivered");
    let secrets = here.dir.path().join("secrets");
    std::fs::create_dir(&secrets).expect("a directory");
    std::fs::write(secrets.join("test"), "an invented secret of a test").expect("a secret");
    let text = format!(
        "webhooks:\n  allow: [127.0.0.1]\n  secrets_dir: {}\n",
        secrets.display()
    );
    std::fs::write(here.dir.path().join("c.yaml"), text).expect("a configuration");
    let rest = serve(&here, "rest", ALL_AND_CASES);
    wait_for_lead(&rest);
    let other = serve(&here, "other", CASES);
    let mut seen = 0;
    let target = Target::start(move |_| {
        seen += 1;
        match seen % 4 {
            0 => 500,
            _ => 200,
        }
    });
    let put = [
        "deliveries",
        "put",
        "land",
        "--department",
        "示例市自然资源和规划局",
        "--of",
        "verdicts",
        "--secret-id",
        "test",
        "--from",
        "1",
    ];
    let url = target.url();
    let server = server(&rest);
    let put = [&put[..], &["--url", &url, "--server", &server]].concat();
    wait_until("it leads the cases too", || run(&put, "").status.success());
    told("one process leads, and delivers to a target that often fails");
    let mut verdicts = checked(&other, 0).await;
    target.until("some", |got| got.len() > CHECKS / 4);

    rest.kill();
    told("it is killed in the middle; another takes over");
    until(&other, "LAND-0", |_| true).await;
    let rest = serve(&here, "rest", ALL_AND_CASES);
    verdicts.extend(checked(&other, CHECKS).await);
    let expected: BTreeSet<String> = verdicts
        .iter()
        .map(|verdict| format!("{}.{}", verdict.verdict_id, verdict.verdict_digest))
        .collect();
    target.until("all", |got| {
        let taken = got.iter().filter(|got| got.status == 200);
        let ids: BTreeSet<&String> = taken.map(|got| &got.id).collect();
        expected.iter().all(|id| ids.contains(id))
    });
    told("nothing is missing, and a position means the same for both");
    let taken = target.taken();
    let ids: BTreeSet<(&str, u64)> = taken
        .iter()
        .map(|got| (got.id.as_str(), got.position))
        .collect();
    assert_eq!(ids.len(), expected.len(), "one position for each: {ids:#?}");
    other.stop();
    rest.stop();
}
