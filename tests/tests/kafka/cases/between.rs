//! What happens to the process that leads the cases between two steps, and what its successor has to know.

use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_tests::land::{self, WITH_CLAUSE, WITHOUT_CLAUSE};
use creditgate_tests::run;
use serde_json::Value;
use tonic::Code;

use super::{WITHIN, World};
use crate::lists::{server, wait_for_lead};

/// What happens to the process that leads the cases between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    Nothing,
    /// It is killed and starts again.
    Killed,
    /// It is killed and starts again with an empty data directory.
    KilledAndForgot,
    /// Another one joins it and stands by.
    Joined,
    /// It is killed, and the one that stood by takes over.
    KilledAndReplaced,
}

impl World<'_> {
    pub async fn go_through(&mut self, between: Between) {
        match between {
            Between::Nothing => {}
            Between::Killed => self.starts_again(self.data).await,
            Between::KilledAndForgot => {
                let before = self.shown();
                self.starts_again("empty").await;
                assert_eq!(self.shown(), before);
            }
            Between::Joined => {
                self.standby = Some(self.serve("another", self.roles));
                self.assert_stands_by().await;
            }
            Between::KilledAndReplaced => {
                let before = self.shown();
                self.assert_stands_by().await;
                self.kill();
                self.leader = self.standby.take();
                self.wait_for_leader().await;
                assert_eq!(self.shown(), before);
            }
        }
    }

    async fn starts_again(&mut self, data: &'static str) {
        self.kill();
        self.data = data;
        self.leader = Some(self.serve(data, self.roles));
        self.wait_for_leader().await;
    }

    fn kill(&mut self) {
        self.leader.take().expect("it runs").kill();
    }

    /// Waits until the process leads what it has to lead: what one that was killed left is given up after a while.
    pub async fn wait_for_leader(&self) {
        let began = Instant::now();
        loop {
            let mut cases = self.leader().cases().await;
            let asked = cases.get_review_progress(v1::GetReviewProgressRequest {});
            let Err(status) = asked.await else { break };
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert!(
                began.elapsed() < WITHIN,
                "{status:?}\n{}",
                self.leader().logged()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        wait_for_lead(self.front());
    }

    /// One that stands by says so, and neither shows nor takes anything.
    async fn assert_stands_by(&self) {
        let standby = self.standby.as_ref().expect("it stands by");
        let case_id = WITH_CLAUSE.to_owned();
        let asked = v1::GetCaseRequest { case_id };
        let shown = standby.cases().await.get_case(asked).await;
        let report = v1::ReportFeedbackRequest {
            feedback: Some(land::otherwise(&self.report, "F-STANDBY")),
        };
        let taken = standby.cases().await.report_feedback(report).await;
        for refused in [shown.map(|_| ()), taken.map(|_| ())] {
            let refused = refused.expect_err("another leads");
            assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
            assert!(refused.message().contains("leads"), "{refused:?}");
        }
    }

    /// The cases as `cases show` prints them, without what moves with the time.
    fn shown(&self) -> Vec<Value> {
        let show = |case_id| {
            let server = server(self.leader());
            let args = ["cases", "show", case_id, "--json", "--server", &server];
            let done = run(&args, "");
            let told = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{told}");
            let mut shown: Value = serde_json::from_slice(&done.stdout).expect("JSON");
            for order in shown["case"]["orders"].as_array_mut().into_iter().flatten() {
                let order = order.as_object_mut().expect("an order");
                order.remove("age_ms");
            }
            shown
        };
        [WITH_CLAUSE, WITHOUT_CLAUSE].map(show).into()
    }
}
