//! The story of two bids for state land by way of topics, from the registration to the lifted measure; with the process
//! that leads the cases killed between any two steps, with its data thrown away, and with another that takes over.

mod between;
mod delivered;
mod paused;
mod topics;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use creditgate_proto::v1;
use creditgate_tests::cases::{apply, check, everything, orders, until, until_to_be_told};
use creditgate_tests::kafka::Broker;
use creditgate_tests::land::{self, WITH_CLAUSE, WITHOUT_CLAUSE};
use creditgate_tests::{Service, import_entries, run};

use self::between::Between;
use self::topics::{happens, message};
use super::lists::{server, wait_for_lead};
use super::{Deployment, SOON};

/// Everything in one process, cases included.
const ALL_AND_CASES: &str = "registry,gate,http,stream,cases";
/// Cases over lists that another process keeps and events that another one judges.
const CASES: &str = "gate,http,cases";
/// That other one.
const REST: &str = "registry,gate,http,stream";

/// Killed so often, a process must not be waited for long each time; the last word on a setting counts.
const SOONER: [&str; 2] = ["--kafka-config", "session.timeout.ms=2000"];

/// The land that the bidder registers for when all is over.
const AFTERWARDS: &str = "LAND-3";

/// Longest time for anything on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

/// The story, step by step, and what is told of each.
const STORY: [(Step, &str); 15] = [
    (
        Step::Registers,
        "the bidder registers for two pieces of land: two events",
    ),
    (Step::Passes, "nothing is known against it: both pass"),
    (
        Step::IsListed,
        "it is put on the list of serious violations, and the decision is served",
    ),
    (
        Step::IsReviewed,
        "both open cases are reviewed, and the topic says what took the place of what: where the notice has the \
         clause the deal is barred, where not an official is asked",
    ),
    (
        Step::Deals,
        "the deals come up: held over gRPC for the one, an event for the other",
    ),
    (Step::IsStopped, "which is stopped"),
    (Step::IsClaimed, "an official takes the proposal in hand"),
    (
        Step::IsConfirmed,
        "and confirms it, with a document and the notice to the bidder",
    ),
    (
        Step::Reports,
        "the department reports that it refused the deal, twice, and sends what is no report",
    ),
    (
        Step::IsReported,
        "it counts once, the rest is a dead letter with its reason; a report over HTTP says otherwise and is flagged",
    ),
    (Step::IsRepaired, "the bidder is repaired"),
    (
        Step::IsLifted,
        "repair lifts everything at once: whoever carried a measure out gets a lift order, by the topic",
    ),
    (
        Step::Acknowledges,
        "the orders are followed and acknowledged, by the command line and over gRPC",
    ),
    (
        Step::RegistersAgain,
        "the bidder registers for another piece of land, and the first registration comes once more",
    ),
    (Step::PassesAgain, "the new registration passes"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Registers,
    Passes,
    IsListed,
    IsReviewed,
    Deals,
    IsStopped,
    IsClaimed,
    IsConfirmed,
    Reports,
    IsReported,
    IsRepaired,
    IsLifted,
    Acknowledges,
    RegistersAgain,
    PassesAgain,
}

/// The processes, and what was seen so far.
struct World<'a> {
    here: Deployment<'a>,
    roles: &'static str,
    /// The data directory of the process that leads the cases.
    data: &'static str,
    leader: Option<Service>,
    /// What keeps lists and judges, where the leader does neither.
    rest: Option<Service>,
    standby: Option<Service>,
    /// The first event of the case with the clause.
    registration: v1::Event,
    registered: v1::Verdict,
    /// The change that the cases are reviewed by.
    cause: String,
    report: v1::Feedback,
    orders: Vec<v1::LiftOrder>,
}

impl<'a> World<'a> {
    fn new(broker: &'a Broker, prefix: &'static str, roles: &'static str) -> Self {
        let mut world = Self {
            here: Deployment::new(broker, prefix),
            roles,
            data: "first",
            leader: None,
            rest: None,
            standby: None,
            registration: v1::Event::default(),
            registered: v1::Verdict::default(),
            cause: String::new(),
            report: v1::Feedback::default(),
            orders: Vec::new(),
        };
        if roles == CASES {
            world.rest = Some(world.serve("rest", REST));
        }
        world.leader = Some(world.serve(world.data, roles));
        wait_for_lead(world.front());
        import_entries(world.front());
        world
    }

    fn serve(&self, data: &str, roles: &str) -> Service {
        let confirmations = land::confirmations();
        let confirmed = ["--confirmations", &confirmations];
        let more = [&SOON[..], &SOONER, &confirmed].concat();
        self.here.serve_at(&self.bootstrap(), data, roles, &more)
    }

    fn bootstrap(&self) -> String {
        self.here.broker.bootstrap()
    }

    /// Who is asked for cases.
    fn leader(&self) -> &Service {
        self.leader.as_ref().expect("it runs")
    }

    /// Who keeps the lists and checks.
    fn front(&self) -> &Service {
        self.rest.as_ref().unwrap_or(self.leader())
    }

    async fn tell(mut self, between: impl Fn(Step) -> Between) {
        for (step, tells) in STORY {
            self.take(step).await;
            let between = between(step);
            match between {
                Between::Nothing => told(tells),
                _ => told(&format!("{tells} ({between:?})")),
            }
            self.go_through(between).await;
        }
        for service in [self.leader, self.standby, self.rest].into_iter().flatten() {
            service.stop();
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Registers => self.registers(),
            Step::Passes => self.passes().await,
            Step::IsListed => self.changes(land::listed()).await,
            Step::IsReviewed => self.is_reviewed().await,
            Step::Deals => self.deals().await,
            Step::IsStopped => self.is_stopped().await,
            Step::IsClaimed => land::claim(self.leader()).await,
            Step::IsConfirmed => land::confirm(self.leader()).await,
            Step::Reports => self.reports(),
            Step::IsReported => self.is_reported().await,
            Step::IsRepaired => self.changes(land::repaired()).await,
            Step::IsLifted => self.is_lifted().await,
            Step::Acknowledges => self.acknowledges().await,
            Step::RegistersAgain => self.registers_again(),
            Step::PassesAgain => self.passes_again().await,
        }
    }

    fn registers(&mut self) {
        self.registration = happens(WITH_CLAUSE, "register");
        let other = happens(WITHOUT_CLAUSE, "register");
        self.send("events", &[message(&self.registration), message(&other)]);
    }

    async fn passes(&mut self) {
        self.registered = self.verdict(WITH_CLAUSE, "register");
        assert_eq!(self.registered.outcome, "PASS");
        assert_eq!(self.verdict(WITHOUT_CLAUSE, "register").outcome, "PASS");
        for case_id in [WITH_CLAUSE, WITHOUT_CLAUSE] {
            let case = until(self.leader(), case_id, |_| true).await;
            assert_eq!((case.state.as_str(), case.verdicts.len()), ("open", 1));
        }
    }

    async fn changes(&mut self, change: v1::apply_request::Change) {
        let seq = apply(self.front(), change).await;
        self.cause = format!("list_change:{seq}");
    }

    async fn is_reviewed(&self) {
        let registered = &self.registered.verdict_id;
        let review = land::assert_reviewed(self.leader(), &self.cause, registered).await;
        self.assert_reviews_in_topic(&["MANUAL_REVIEW", "PROHIBIT"]);
        // Whoever repeats the registration gets its verdict, and learns what took its place.
        let began = Instant::now();
        loop {
            let again = check(self.front(), self.registration.clone()).await;
            assert_eq!(&again.verdict_id, registered);
            if again.superseded_by.as_ref() == Some(&review) {
                break;
            }
            assert!(began.elapsed() < WITHIN, "{again:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn deals(&self) {
        let barred = happens(WITH_CLAUSE, "deal");
        self.send("events", &[message(&barred)]);
        let held = check(self.front(), happens(WITHOUT_CLAUSE, "deal")).await;
        assert_eq!(held.outcome, "MANUAL_REVIEW");
    }

    async fn is_stopped(&mut self) {
        let deal = self.verdict(WITH_CLAUSE, "deal");
        assert_eq!(deal.outcome, "PROHIBIT");
        self.report = land::feedback(&deal.verdict_id);
        let case = until(self.leader(), WITH_CLAUSE, |case| case.verdicts.len() == 3).await;
        let bar = case.measures.iter().find(|m| m.measure_id == "M13a");
        assert_eq!(bar.expect("the bar").verdict_id, deal.verdict_id);
    }

    async fn is_reported(&self) {
        // The last of the faults lies behind both good ones.
        self.assert_faults_buried();
        let case = until(self.leader(), WITH_CLAUSE, |case| !case.feedback.is_empty()).await;
        assert_eq!(case.feedback.len(), 1, "{case:#?}");
        assert_eq!(case.feedback[0].feedback.as_ref(), Some(&self.report));
        assert!(case.feedback[0].flags.is_empty(), "{case:#?}");

        let other = land::otherwise(&self.report, "F-2");
        for (report, tells) in [
            (&self.report, r#""repeated":true"#),
            (&other, r#""flags":["contradicts"]"#),
        ] {
            let body = serde_json::to_string(report).expect("JSON");
            let answer = self.leader().post("/v1/feedback", &body);
            let answer = answer.expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.contains(tells), "{tells}: {answer}");
        }
        // Whoever keeps the lists knows that the bidder is to be told, once.
        let due = until_to_be_told(self.front(), 1).await;
        assert_eq!(due[0].entry_id, land::ENTRY);
        assert_eq!(due[0].verdict_id, self.report.verdict_id);
    }

    async fn is_lifted(&mut self) {
        self.orders = land::assert_lifted(self.leader(), &self.cause).await;
        self.assert_reviews_in_topic(&["PASS", "PASS"]);
        self.assert_orders_in_topic();
    }

    async fn acknowledges(&self) {
        assert_eq!(
            orders(self.leader(), "open").await.len(),
            self.orders.len(),
            "none is lost"
        );
        let (first, others) = self.orders.split_first().expect("an order");
        let order = ["cases", "acknowledge", &first.order_id];
        let by = [
            "--by",
            &first.implementer,
            "--document",
            "演示解除〔2026〕1号",
        ];
        let server = server(self.leader());
        let done = run(&[&order[..], &by, &["--server", &server]].concat(), "");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        for order in others {
            land::acknowledge(self.leader(), order).await;
        }
    }

    fn registers_again(&self) {
        let another = happens(AFTERWARDS, "register");
        self.send("events", &[message(&another), message(&self.registration)]);
    }

    /// The new registration passes, and nothing is there twice or missing.
    async fn passes_again(&self) {
        assert_eq!(self.verdict(AFTERWARDS, "register").outcome, "PASS");
        let afterwards = until(self.leader(), AFTERWARDS, |_| true).await;
        assert!(afterwards.measures.is_empty(), "{afterwards:#?}");

        assert!(orders(self.leader(), "open").await.is_empty());
        let acknowledged = orders(self.leader(), "acknowledged").await;
        let ids = |orders: &[v1::LiftOrder]| -> BTreeSet<String> {
            orders.iter().map(|order| order.order_id.clone()).collect()
        };
        assert_eq!(acknowledged.len(), self.orders.len());
        assert_eq!(ids(&acknowledged), ids(&self.orders));
        self.assert_orders_in_topic();

        let cases = everything(self.leader()).await;
        let counted: Vec<_> = cases
            .iter()
            .map(|(case_id, case)| (case_id.as_str(), case.verdicts.len(), case.feedback.len()))
            .collect();
        let expected = [
            (WITH_CLAUSE, 4, 2),
            (WITHOUT_CLAUSE, 4, 0),
            (AFTERWARDS, 1, 0),
        ];
        assert_eq!(counted, expected, "{cases:#?}");
        self.assert_in_topics(&cases);
    }
}

#[expect(clippy::print_stdout, reason = "the story is told in words")]
fn told(tells: &str) {
    println!("{tells}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn a_land_case_is_reviewed_stopped_reported_repaired_and_lifted_by_way_of_topics() {
    let world = World::new(Broker::shared(), "land", ALL_AND_CASES);
    world.tell(|_| Between::Nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn the_same_story_with_the_only_process_killed_between_any_two_steps() {
    let world = World::new(Broker::shared(), "landkilled", ALL_AND_CASES);
    world.tell(killed).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn the_same_story_with_the_process_that_leads_the_cases_killed_between_any_two_steps() {
    let world = World::new(Broker::shared(), "landcases", CASES);
    world.tell(killed).await;
}

fn killed(after: Step) -> Between {
    match after {
        Step::PassesAgain => Between::Nothing,
        _ => Between::Killed,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn the_same_story_after_its_data_was_thrown_away_and_another_process_took_over() {
    let world = World::new(Broker::shared(), "landmoved", ALL_AND_CASES);
    world
        .tell(|after| match after {
            Step::IsReported => Between::KilledAndForgot,
            Step::IsRepaired => Between::Joined,
            Step::IsLifted => Between::KilledAndReplaced,
            _ => Between::Nothing,
        })
        .await;
}
