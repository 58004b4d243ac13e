//! One that stands by has everything before it leads, and one that was paused while it led writes nothing after it.

use std::time::Instant;

use creditgate_proto::v1;
use creditgate_tests::Service;
use creditgate_tests::cases::everything;
use creditgate_tests::kafka::Broker;
use creditgate_tests::land::{self, WITHOUT_CLAUSE};
use tonic::Code;

use super::{CASES, Step, World};
use crate::standby::signal;
use crate::wait_until;

/// What a process is to the cases; `None` when it does not answer.
fn role(service: &Service) -> Option<String> {
    let answer = service.get("/readyz")?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let ready: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(ready["cases_role"].as_str()?.to_owned())
}

/// Records of the log of cases that a process has taken in.
fn taken_in(service: &Service) -> f64 {
    service.metric("creditgate_cases_taken_in")
}

fn has_metric(service: &Service, name: &str) -> bool {
    let told = service.get("/metrics").expect("metrics");
    told.lines()
        .any(|line| line.starts_with(&format!("{name} ")))
}

impl World<'_> {
    /// Another process joins, and takes in what the one that leads has recorded.
    fn is_followed(&mut self) {
        self.standby = Some(self.serve("another", self.roles));
        self.assert_follows();
    }

    fn assert_follows(&self) {
        let standby = self.standby.as_ref().expect("it stands by");
        wait_until("it stands by", || {
            role(standby).as_deref() == Some("stands_by")
        });
        wait_until("it has what the other one has", || {
            taken_in(standby) == taken_in(self.leader())
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn one_that_stands_by_takes_in_what_is_recorded_and_leads_at_once() {
    let mut world = World::new(Broker::shared(), "landfollowed", CASES);
    for step in [Step::Registers, Step::Passes] {
        world.take(step).await;
    }
    assert_eq!(role(world.leader()).as_deref(), Some("leads"));
    world.is_followed();
    // What is recorded from now on comes too.
    for step in [
        Step::IsListed,
        Step::IsReviewed,
        Step::Deals,
        Step::IsStopped,
    ] {
        world.take(step).await;
    }
    land::claim(world.leader()).await;
    world.assert_follows();
    let cases = everything(world.leader()).await;
    let waits =
        |measure: &&v1::CaseMeasure| ["proposed", "claimed"].contains(&measure.state.as_str());
    let proposals = cases
        .values()
        .flat_map(|case| &case.measures)
        .filter(waits)
        .count();
    assert!(proposals > 0, "{cases:#?}");
    wait_until("the one that leads counts what stands open", || {
        let told = |name: &str| world.leader().metric(name);
        told("creditgate_proposals_open") == proposals as f64
            && told("creditgate_cases_open") == cases.len() as f64
            && told("creditgate_reviews_waiting") == 0.0
    });
    let standby = world.standby.as_ref().expect("it stands by");
    assert!(
        !has_metric(standby, "creditgate_cases_open"),
        "counted once"
    );
    let ready = standby.get("/readyz").expect("an answer");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");

    let before = everything(world.leader()).await;
    let killed = Instant::now();
    world.leader.take().expect("it runs").kill();
    world.leader = world.standby.take();
    world.wait_for_leader().await;
    println!("led {:?} after the other was killed", killed.elapsed());
    assert_eq!(everything(world.leader()).await, before);
    // It goes on where the other one was.
    land::confirm(world.leader()).await;
    // One that begins with nothing reads the same.
    world.data = "nothing";
    world.standby = Some(world.serve(world.data, world.roles));
    world.assert_follows();
    let before = everything(world.leader()).await;
    world.leader.take().expect("it runs").kill();
    world.leader = world.standby.take();
    world.wait_for_leader().await;
    assert_eq!(everything(world.leader()).await, before);
    for service in [world.leader, world.rest].into_iter().flatten() {
        service.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn one_that_was_paused_while_it_led_the_cases_writes_nothing_after_it_and_stands_by() {
    let mut world = World::new(Broker::shared(), "landpaused", CASES);
    for step in [
        Step::Registers,
        Step::Passes,
        Step::IsListed,
        Step::IsReviewed,
        Step::Deals,
        Step::IsStopped,
    ] {
        world.take(step).await;
    }
    world.is_followed();
    let mut first = world.leader.take().expect("it runs");
    let mut asked = first.cases().await;
    let held = creditgate_tests::cases::case(&first, WITHOUT_CLAUSE).await;
    signal(&first, "-STOP");
    // Whoever asks the paused one hears of it when it goes on, and it still believes that it leads.
    let late = tokio::spawn(async move {
        let claim = asked.claim_proposal(v1::ClaimProposalRequest {
            case_id: WITHOUT_CLAUSE.to_owned(),
            key: held.measures[0].key.clone(),
            by: "示例市停顿局".to_owned(),
            release: false,
        });
        claim.await
    });
    world.leader = world.standby.take();
    world.wait_for_leader().await;
    land::claim(world.leader()).await;
    let before = everything(world.leader()).await;

    signal(&first, "-CONT");
    let late = late.await.expect("its end").expect_err("it leads no more");
    println!("{late:?}");
    assert_eq!(late.code(), Code::Unavailable, "{late:?}");
    wait_until("it stands by, or ends", || {
        first.ended().is_some() || role(&first).as_deref() == Some("stands_by")
    });
    assert!(first.ended().is_none(), "{}", first.logged());
    assert_eq!(
        everything(world.leader()).await,
        before,
        "nothing of the first came after"
    );
    // It has what came meanwhile, and leads again when it is its turn.
    world.standby = Some(first);
    world.assert_follows();
    world.leader.take().expect("it runs").stop();
    world.leader = world.standby.take();
    world.wait_for_leader().await;
    assert_eq!(everything(world.leader()).await, before);
    land::confirm(world.leader()).await;
    for service in [world.leader, world.rest].into_iter().flatten() {
        service.stop();
    }
}
