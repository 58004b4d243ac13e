//! Who may ask what: every call and every route as every role, and what stands in the record of calls afterwards.

#[path = "access/views.rs"]
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use creditgate_proto::encode::time_to_proto;
use creditgate_proto::v1;
use creditgate_proto::v1::access_client::AccessClient;
use creditgate_proto::v1::cases_client::CasesClient;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_tests::policy::{Guarded, with_key};
use creditgate_tests::{Service, evaluation, now, run};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

const PATIENCE: Duration = Duration::from_secs(60);

/// A firm that no list names.
const FIRM: &str = "91219999MAYG58BR3Q";

/// One caller for each role; what follows `k-` is its key.
const POLICY: &str = r#"
callers:
- name: business
  department: 示例市公共资源交易中心
  roles: [business]
  sources: [tests]
  matters:
  - {scenario: tender, stages: [evaluate], regions: ["320505"], purposes: [review]}
- {name: list_source, department: 示例市中级人民法院, roles: [list_source]}
- {name: reviewer, department: 示例市信用中心, roles: [reviewer], matters: [{scenario: tender, regions: ["320500"]}]}
- {name: elsewhere, department: 外地信用中心, roles: [reviewer], matters: [{scenario: tender, regions: ["329900"]}]}
- {name: publisher, department: 示例市信用中心, roles: [publisher], matters: [{scenario: "*", regions: ["320500"]}]}
- {name: system_administrator, department: 示例市大数据局, roles: [system_administrator]}
- {name: security_administrator, department: 示例市大数据局, roles: [security_administrator]}
- {name: auditor, department: 示例市审计局, roles: [auditor], matters: [{scenario: "*", regions: ["100000"]}]}
- {name: window_clerk, department: 示例市政务服务中心, roles: [window_clerk]}
- {name: other_auditor, department: 外地审计局, roles: [auditor], matters: [{scenario: "*", regions: ["329900"]}]}
- {name: tenderer, department: 招标人, roles: [business], sources: [tests], matters: [{scenario: land, regions: ["329900"]}]}
- {name: land_office, department: 外地自然资源局, roles: [business], sources: [tests], matters: [{scenario: land, regions: ["329900"]}]}
- {name: elsewhere_desk, department: 外地公共资源交易中心, roles: [business], matters: [{scenario: tender, regions: ["329900"]}]}
- name: slow
  department: 示例市公共资源交易中心
  roles: [business]
  matters: [{scenario: tender, regions: ["320505"]}]
  checks_per_second: 1
"#;

/// Which roles may call what. Every call of the contract must be here.
const MATRIX: &[(&str, &[&str])] = &[
    ("Gate/{Check,CheckBatch,CheckStream}", &["business"]),
    (
        "Gate/{GetVerdict,Replay}",
        &["reviewer", "publisher", "auditor"],
    ),
    ("Gate/WatchVerdicts", &["auditor"]),
    ("Lists/{Import,Apply,DecideHold}", &["list_source"]),
    (
        "Lists/{GetEntry,ListEntries,ListSources,ListHolds,ListDifferences,State}",
        &["reviewer", "publisher", "auditor"],
    ),
    ("Lists/WatchEntries", &["auditor"]),
    ("Books/{Publish,Confirm}", &["publisher"]),
    (
        "Books/{Current,List}",
        &["reviewer", "publisher", "auditor"],
    ),
    (
        "Simulation/{Simulate,GetSimulation,SetShadow,ClearShadow,ShadowStatus,ShadowDifferences}",
        &["publisher"],
    ),
    ("Procedures/Open", &["list_source", "window_clerk"]),
    (
        "Procedures/{Step,RecordService,RecordMeasure}",
        &["list_source"],
    ),
    (
        "Procedures/{List,Due,ListNotices,RenderNotice}",
        &["reviewer", "publisher", "auditor"],
    ),
    (
        "Identity/{GetSubject,ListCodeProposals,ListWrongHits}",
        &["reviewer", "publisher", "auditor"],
    ),
    ("Identity/GetSubjectReport", &["window_clerk"]),
    (
        "Identity/{ChangeName,DeclareAlias,ChangeRelation,MergeSubjects,UndoChange,DecideCode,OpenWrongHit,CorrectWrongHit,TellWrongHit}",
        &["list_source"],
    ),
    ("Subscriptions/Put", &["list_source"]),
    (
        "Subscriptions/{End,Resume}",
        &["list_source", "system_administrator"],
    ),
    (
        "Subscriptions/List",
        &["reviewer", "publisher", "auditor", "system_administrator"],
    ),
    ("Subscriptions/AcknowledgeChanges", &["auditor"]),
    (
        "Cases/{GetCase,ListCases,ListProposals,ListLiftOrders,GetReviewProgress,CountMeasures}",
        &["reviewer", "publisher", "auditor"],
    ),
    (
        "Cases/{CloseCase,ClaimProposal,DecideProposal,RequestReview}",
        &["reviewer"],
    ),
    ("Cases/{ReportFeedback,AcknowledgeLiftOrder}", &["business"]),
    (
        "Deliveries/{End,Pause,Resume,Resend}",
        &["reviewer", "system_administrator"],
    ),
    (
        "Deliveries/{List,ListDeadLetters}",
        &["reviewer", "publisher", "auditor", "system_administrator"],
    ),
    ("Deliveries/Put", &["reviewer"]),
    ("Access/Explain", &["security_administrator"]),
    ("Access/ListCalls", &["auditor"]),
];

const ROLES: [&str; 8] = [
    "business",
    "list_source",
    "reviewer",
    "publisher",
    "system_administrator",
    "security_administrator",
    "auditor",
    "window_clerk",
];

/// The matrix with each call by itself: its path, and who may.
fn matrix() -> BTreeMap<String, &'static [&'static str]> {
    let mut all = BTreeMap::new();
    for (calls, may) in MATRIX {
        let (service, calls) = calls.split_once('/').expect("a service");
        for call in calls.trim_matches(['{', '}']).split(',') {
            all.insert(format!("/creditgate.v1.{service}/{call}"), *may);
        }
    }
    all
}

/// Every call of the contract.
fn contract() -> BTreeSet<String> {
    creditgate_proto::calls().into_iter().collect()
}

struct Place {
    dir: tempfile::TempDir,
    service: Service,
    channel: Channel,
}

impl Place {
    async fn new() -> Self {
        Self::with(POLICY).await
    }

    /// A service with this policy; each caller has the key `k-` with its name behind it.
    async fn with(policy: &str) -> Self {
        let Guarded {
            dir,
            service,
            channel,
        } = Guarded::start(policy, &[]).await;
        Self {
            dir,
            service,
            channel,
        }
    }

    /// What an empty message is answered, by whatever is called.
    async fn call(&self, path: &str, key: Option<&str>) -> Code {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.expect("the service");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = path.parse().expect("a path");
        let asked = client.server_streaming(with_key((), key), path, codec);
        let answer = match tokio::time::timeout(PATIENCE, asked)
            .await
            .expect("an answer")
        {
            Ok(answer) => answer,
            Err(status) => return status.code(),
        };
        // One that follows for ever has said enough by beginning.
        let mut told = answer.into_inner();
        match tokio::time::timeout(Duration::from_millis(50), told.message()).await {
            Ok(Err(status)) => status.code(),
            Ok(Ok(_)) | Err(_) => Code::Ok,
        }
    }

    /// Brings the lists of the demonstration.
    fn import(&self) {
        let key = self.dir.path().join("key");
        std::fs::write(&key, "k-list_source").expect("written");
        let (key, server) = (
            key.display().to_string(),
            format!("http://{}", self.service.grpc),
        );
        let file = "services/creditgate/demo/entries.csv";
        let from = [
            "--source-unit",
            "演示数据",
            "--server",
            &server,
            "--key-file",
            &key,
        ];
        let done = run(&[&["lists", "import", file], &from[..]].concat(), "");
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{told}");
    }

    fn cases(&self) -> CasesClient<Channel> {
        CasesClient::new(self.channel.clone())
    }

    /// The business numbers of the cases that a caller is shown.
    async fn case_ids(&self, caller: &str) -> Vec<String> {
        let request = with_key(v1::ListCasesRequest::default(), Some(caller));
        let answer = self.cases().list_cases(request).await.expect("cases");
        let cases = answer.into_inner().cases.into_iter();
        cases.map(|case| case.case_id).collect()
    }

    async fn check(&self, caller: &str, event: v1::Event) -> Result<v1::Verdict, Status> {
        let mut gate = GateClient::new(self.channel.clone());
        let request = with_key(v1::CheckRequest { event: Some(event) }, Some(caller));
        let answer = gate.check(request).await?;
        Ok(answer.into_inner().verdict.expect("a verdict"))
    }

    async fn verdict(&self, caller: &str, id: &str) -> Result<v1::Verdict, Status> {
        let mut gate = GateClient::new(self.channel.clone());
        let key = v1::get_verdict_request::Key::VerdictId(id.to_owned());
        let request = with_key(v1::GetVerdictRequest { key: Some(key) }, Some(caller));
        let answer = gate.get_verdict(request).await?;
        Ok(answer.into_inner().verdict.expect("a verdict"))
    }

    /// All calls that are recorded once one of them is as wanted.
    async fn calls_until(&self, wanted: impl Fn(&v1::CallRecord) -> bool) -> Vec<v1::CallRecord> {
        let began = Instant::now();
        loop {
            let mut access = AccessClient::new(self.channel.clone());
            let (mut calls, mut from_position) = (Vec::new(), 0);
            loop {
                let asked = v1::ListCallsRequest {
                    limit: 7,
                    from_position,
                    ..v1::ListCallsRequest::default()
                };
                let answer = access.list_calls(with_key(asked, Some("auditor"))).await;
                let page = answer.expect("calls").into_inner();
                calls.extend(page.calls);
                from_position = page.next_position;
                if page.at_end {
                    break;
                }
            }
            if calls.iter().any(&wanted) {
                return calls;
            }
            assert!(began.elapsed() < PATIENCE, "{calls:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The status that a route answers to an empty object.
    fn http(&self, method: &str, path: &str, key: Option<&str>) -> String {
        let json = "application/json";
        self.send(
            method,
            path,
            key,
            (json, if method == "POST" { "{}" } else { "" }),
        )
    }

    /// The status that a route answers to a body of this type.
    fn send(&self, method: &str, path: &str, key: Option<&str>, body: (&str, &str)) -> String {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        .args([
            "--request",
            method,
            "--header",
            &format!("content-type: {}", body.0),
            "--data",
            body.1,
        ]);
        if let Some(key) = key {
            curl.args(["--header", &format!("authorization: Bearer k-{key}")]);
        }
        let url = format!("http://{}{path}", self.service.http);
        let done = curl.arg(url).output().expect("curl runs");
        String::from_utf8(done.stdout).expect("a status")
    }
}

fn asked(id: &str) -> v1::Event {
    v1::Event {
        purpose: "review".to_owned(),
        ..evaluation(id, FIRM)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_for_the_roles_that_the_policy_says() {
    let place = Place::new().await;
    let matrix = matrix();
    let listed: BTreeSet<String> = matrix.keys().cloned().collect();
    assert_eq!(listed, contract(), "the matrix and the contract");
    let mut refused = Vec::new();
    for path in matrix.keys() {
        for key in [None, Some("nobody")] {
            assert_eq!(
                place.call(path, key).await,
                Code::Unauthenticated,
                "{path} as {key:?}"
            );
        }
    }
    for (path, may) in &matrix {
        for role in ROLES {
            let code = place.call(path, Some(role)).await;
            let denied = code == Code::PermissionDenied;
            assert_eq!(denied, !may.contains(&role), "{path} as {role}: {code:?}");
            assert_ne!(code, Code::Unauthenticated, "{path} as {role}");
            if denied {
                refused.push((path.as_str(), role, "permission_denied"));
            }
        }
    }
    let last = refused.last().copied().expect("some were refused");
    let is = |call: &v1::CallRecord, (path, caller, outcome): (&str, &str, &str)| {
        call.call == path && call.caller == caller && call.outcome == outcome
    };
    let strangers = |call: &&v1::CallRecord| call.outcome == "unauthenticated";
    let calls = place.calls_until(|call| is(call, last)).await;
    for one in refused {
        assert!(
            calls.iter().any(|call| is(call, one)),
            "{one:?} is not in the record of calls"
        );
    }
    // Not all of them are told apart, but all are counted.
    let turned_away: u64 = calls.iter().filter(strangers).map(|call| call.times).sum();
    assert_eq!(turned_away, 2 * matrix.len() as u64);
    for (path, may) in &matrix {
        let noted = |role: &str| calls.iter().any(|call| is(call, (path, role, "allowed")));
        let is_check = path.starts_with("/creditgate.v1.Gate/Check");
        for role in *may {
            assert_eq!(noted(role), !is_check, "{path} as {role}");
        }
    }
    let of_auditor = calls
        .iter()
        .find(|call| call.caller == "auditor")
        .expect("a call");
    assert_eq!(of_auditor.department, "示例市审计局");
    assert_eq!(of_auditor.address, "127.0.0.1");
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_for_the_roles_that_the_policy_says() {
    let place = Place::new().await;
    let open = ["/healthz", "/readyz", "/openapi.json", "/"];
    for path in open {
        assert_eq!(place.http("GET", path, None), "200", "{path}");
    }
    let mut refused = Vec::new();
    for path in ["/v1/check", "/v1/events", "/v1/feedback"] {
        for role in ROLES {
            let status = place.http("POST", path, Some(role));
            assert_eq!(
                status == "403",
                role != "business",
                "{path} as {role}: {status}"
            );
            assert_ne!(status, "401", "{path} as {role}");
            if status == "403" {
                refused.push((path, role));
            }
        }
        for key in [None, Some("nobody")] {
            assert_eq!(place.http("POST", path, key), "401", "{path} as {key:?}");
        }
        refused.push((path, ""));
    }
    let is = |call: &v1::CallRecord, (path, caller): (&str, &str)| {
        call.call == path && call.caller == caller && call.outcome != "allowed"
    };
    let last = refused.last().copied().expect("some were refused");
    let calls = place.calls_until(|call| is(call, last)).await;
    for one in refused {
        assert!(
            calls.iter().any(|call| is(call, one)),
            "{one:?} is not in the record of calls"
        );
    }
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_outside_of_their_matters_learns_nothing() {
    let place = Place::new().await;
    let verdict = place
        .check("business", asked("inside"))
        .await
        .expect("a verdict");
    let others = [
        (
            "region",
            v1::Event {
                region: "329900".to_owned(),
                ..asked("region")
            },
        ),
        (
            "stage",
            v1::Event {
                stage: "award".to_owned(),
                ..asked("stage")
            },
        ),
        (
            "scenario",
            v1::Event {
                scenario: "land".to_owned(),
                ..asked("scenario")
            },
        ),
        (
            "purpose",
            v1::Event {
                purpose: "curiosity".to_owned(),
                ..asked("purpose")
            },
        ),
        ("purpose", evaluation("no-purpose", FIRM)),
        (
            "source",
            v1::Event {
                source: "another".to_owned(),
                ..asked("source")
            },
        ),
    ];
    for (part, event) in others.clone() {
        let refused = place.check("business", event).await.expect_err(part);
        assert_eq!(refused.code(), Code::PermissionDenied, "{part}");
        assert!(refused.message().contains(part), "{refused:?}");
    }
    // One by one in a batch and in a stream, beside those that are answered.
    let mut gate = GateClient::new(place.channel.clone());
    let events: Vec<v1::Event> = others.into_iter().map(|(_, event)| event).collect();
    let batch = v1::CheckBatchRequest {
        events: events.iter().cloned().chain([asked("batch")]).collect(),
    };
    let answer = gate.check_batch(with_key(batch, Some("business"))).await;
    let told = answer.expect("a batch").into_inner().results;
    let is_denied = |result: &v1::CheckResult| match &result.result {
        Some(v1::check_result::Result::Error(error)) => error.code == Code::PermissionDenied as i32,
        _ => false,
    };
    let denied: Vec<bool> = told.iter().map(is_denied).collect();
    assert_eq!(
        denied,
        [true, true, true, true, true, true, false],
        "{told:?}"
    );
    let items: Vec<_> = events
        .into_iter()
        .chain([asked("stream")])
        .map(|event| v1::CheckStreamRequest {
            event: Some(event),
            ..v1::CheckStreamRequest::default()
        })
        .collect();
    let stream = with_key(tokio_stream::iter(items), Some("business"));
    let mut answers = gate
        .check_stream(stream)
        .await
        .expect("a stream")
        .into_inner();
    let mut denied = Vec::new();
    while let Some(answer) = answers.message().await.expect("an answer") {
        denied.push(is_denied(&answer.result.expect("a result")));
    }
    assert_eq!(denied, [true, true, true, true, true, true, false]);

    // Another's verdict is as one that is not there.
    let mine = place
        .verdict("reviewer", &verdict.verdict_id)
        .await
        .expect("a verdict");
    assert_eq!(mine.verdict_digest, verdict.verdict_digest);
    let not_there = place
        .verdict("elsewhere", "018f2b1e-0000-7000-8000-000000000000")
        .await;
    let not_mine = place.verdict("elsewhere", &verdict.verdict_id).await;
    let (not_there, not_mine) = (not_there.unwrap_err(), not_mine.unwrap_err());
    assert_eq!(not_mine.code(), Code::NotFound);
    assert_eq!(not_mine.message(), not_there.message());
    let replay = v1::ReplayRequest {
        verdict_id: verdict.verdict_id.clone(),
    };
    let replayed = gate.replay(with_key(replay, Some("elsewhere"))).await;
    assert_eq!(replayed.unwrap_err().code(), Code::NotFound);
    for (auditor, sees) in [("auditor", 3), ("other_auditor", 0)] {
        let request = v1::WatchVerdictsRequest::default();
        let watched = gate.watch_verdicts(with_key(request, Some(auditor))).await;
        let mut watched = watched.expect("verdicts").into_inner();
        let mut seen = 0;
        while watched.message().await.expect("a verdict").is_some() {
            seen += 1;
        }
        assert_eq!(seen, sees, "{auditor}");
    }

    let tried = |call: &v1::CallRecord| call.caller == "elsewhere" && call.outcome == "outside";
    let calls = place.calls_until(tried).await;
    let times = |path: &str| -> u64 {
        let of_path = calls
            .iter()
            .filter(|call| call.call == path && call.outcome == "outside");
        of_path.map(|call| call.times).sum()
    };
    assert_eq!(times("/creditgate.v1.Gate/Check"), 6);
    assert_eq!(times("/creditgate.v1.Gate/CheckBatch"), 6);
    assert_eq!(times("/creditgate.v1.Gate/CheckStream"), 6);
    assert_eq!(times("/creditgate.v1.Gate/GetVerdict"), 1);
    let shown = format!("{calls:?}");
    assert!(
        !shown.contains(FIRM) && !shown.contains("curiosity"),
        "{shown}"
    );
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_back_is_refused_without_a_restart() {
    let place = Place::new().await;
    let file = |name: &str| place.dir.path().join(name);
    let until = async |what: &str, caller: &str, wanted: Option<Code>| {
        let began = Instant::now();
        for n in 0.. {
            let answer = place.check(caller, asked(&format!("{what}-{n}"))).await;
            if answer.as_ref().err().map(Status::code) == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until("begun", "business", None).await;

    // What cannot be used changes nothing.
    std::fs::write(file("access.yaml"), "callers: [").expect("written");
    let began = Instant::now();
    let told = || std::fs::read_to_string(file("service.log")).expect("a log");
    while !told().contains("what was said before holds on") {
        assert!(began.elapsed() < PATIENCE, "{}", told());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until("broken", "business", None).await;

    let elsewhere = POLICY.replace(
        r#"regions: ["320505"], purposes"#,
        r#"regions: ["329900"], purposes"#,
    );
    let elsewhere = elsewhere.replace("scenario: land,", "scenario: lnad,");
    std::fs::write(file("access.yaml"), elsewhere).expect("written");
    until("elsewhere", "business", Some(Code::PermissionDenied)).await;
    // What the book does not know is told again.
    let began = Instant::now();
    while !told().contains("the book has no scenario `lnad`") {
        assert!(began.elapsed() < PATIENCE, "{}", told());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    std::fs::write(file("access.yaml"), POLICY).expect("written");
    until("here-again", "business", None).await;

    let keys = std::fs::read_to_string(file("keys.yaml")).expect("read");
    let without: Vec<&str> = keys
        .lines()
        .filter(|line| !line.contains("name: business"))
        .collect();
    let (_items, stream) = tokio::sync::mpsc::channel::<v1::CheckStreamRequest>(1);
    let stream = with_key(ReceiverStream::new(stream), Some("business"));
    let mut gate = GateClient::new(place.channel.clone());
    let answers = gate.check_stream(stream).await.expect("a stream");
    let mut answers = answers.into_inner();
    std::fs::write(file("keys.yaml"), without.join("\n")).expect("written");
    until("taken-back", "business", Some(Code::Unauthenticated)).await;
    // A stream that stood is over, too.
    let ended = tokio::time::timeout(PATIENCE, answers.message()).await;
    let ended = ended.expect("it ends").expect_err("with its reason");
    assert_eq!(ended.code(), Code::Unauthenticated);
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_of_other_matters_are_as_if_they_were_not_there() {
    let place = Place::new().await;
    place.import();
    let verdict = place
        .check("business", asked("barred"))
        .await
        .expect("a verdict");
    let triggered = verdict.subjects[0].triggered.first().expect("a measure");
    let measure_id = triggered.measure.as_ref().expect("a row").id.clone();
    let case_id = "case-barred".to_owned();
    assert_eq!(place.case_ids("reviewer").await, [case_id.as_str()]);
    assert!(place.case_ids("elsewhere").await.is_empty());
    assert!(place.case_ids("other_auditor").await.is_empty());

    let mut cases = place.cases();
    let mut get = async |caller: &str, case_id: &str| {
        let case_id = case_id.to_owned();
        let request = with_key(v1::GetCaseRequest { case_id }, Some(caller));
        let answer = cases.get_case(request).await?.into_inner();
        Ok::<_, Status>(answer.case.expect("a case"))
    };
    get("reviewer", &case_id).await.expect("a case");
    let not_mine = get("elsewhere", &case_id).await.unwrap_err();
    let not_there = get("elsewhere", "case-that-is-not").await.unwrap_err();
    assert_eq!(not_mine.code(), Code::NotFound);
    assert_eq!(not_mine.message(), not_there.message());

    let close = async |caller: &str, case_id: &str| {
        let asked = v1::CloseCaseRequest {
            case_id: case_id.to_owned(),
            reason: "示例".to_owned(),
            ..v1::CloseCaseRequest::default()
        };
        let mut cases = place.cases();
        cases.close_case(with_key(asked, Some(caller))).await
    };
    let not_mine = close("elsewhere", &case_id).await.unwrap_err();
    let not_there = close("elsewhere", "case-that-is-not").await.unwrap_err();
    assert_eq!(not_mine.code(), Code::NotFound);
    assert_eq!(not_mine.message(), not_there.message());
    let claim = v1::ClaimProposalRequest {
        case_id: case_id.clone(),
        key: measure_id.clone(),
        by: "某人".to_owned(),
        ..v1::ClaimProposalRequest::default()
    };
    let mut cases = place.cases();
    let claimed = cases.claim_proposal(with_key(claim, Some("elsewhere")));
    assert_eq!(claimed.await.unwrap_err().message(), not_there.message());
    let decide = v1::DecideProposalRequest {
        case_id: case_id.clone(),
        key: measure_id.clone(),
        by: "某人".to_owned(),
        reason: "示例".to_owned(),
        decision: "reject".to_owned(),
        ..v1::DecideProposalRequest::default()
    };
    let decided = cases.decide_proposal(with_key(decide, Some("elsewhere")));
    assert_eq!(decided.await.unwrap_err().message(), not_there.message());

    // Whoever carries a measure out reports on it, wherever; others do so in their own matters.
    let report = async |caller: &str, department: &str, implementer: &str, verdict_id: &str| {
        let feedback = v1::Feedback {
            feedback_id: format!("F-{caller}"),
            verdict_id: verdict_id.to_owned(),
            measure_id: measure_id.clone(),
            status: "executed".to_owned(),
            operator: "经办人乙".to_owned(),
            department: department.to_owned(),
            division_code: "320505".to_owned(),
            executed_at: Some(time_to_proto(now())),
            implementer: implementer.to_owned(),
            ..v1::Feedback::default()
        };
        let feedback = Some(feedback);
        let asked = with_key(v1::ReportFeedbackRequest { feedback }, Some(caller));
        place.cases().report_feedback(asked).await
    };
    let verdict_id = verdict.verdict_id.as_str();
    let unknown = "018f2b1e-0000-7000-8000-000000000000";
    let not_mine = report("land_office", "外地自然资源局", "", verdict_id).await;
    let not_there = report("land_office", "外地自然资源局", "", unknown).await;
    let (not_mine, not_there) = (not_mine.unwrap_err(), not_there.unwrap_err());
    assert_eq!(not_mine.code(), Code::NotFound);
    assert_eq!(not_mine.message(), not_there.message());
    let own = report("tenderer", "招标人", "招标人", verdict_id).await;
    own.expect("reported");
    let own = report("business", "示例市公共资源交易中心", "", verdict_id).await;
    own.expect("reported");

    let counted = async |caller: &str| {
        let asked = with_key(v1::CountMeasuresRequest::default(), Some(caller));
        let answer = place.cases().count_measures(asked).await.expect("counted");
        let counts = answer.into_inner().counts.into_iter();
        counts.map(|count| count.reports).sum::<u64>()
    };
    assert_eq!(counted("reviewer").await, 1);
    assert_eq!(counted("elsewhere").await, 0);

    // A system elsewhere whose event bears the same number does not take the case there.
    let same_number = v1::Event {
        source: "elsewhere_desk".to_owned(),
        case_id: case_id.clone(),
        region: "329905".to_owned(),
        ..asked("same-number")
    };
    let joined = place.check("elsewhere_desk", same_number).await;
    joined.expect("a verdict");
    assert_eq!(place.case_ids("reviewer").await, [case_id.as_str()]);
    assert!(place.case_ids("elsewhere").await.is_empty());
    let progress = async |caller: &str| {
        let asked = with_key(v1::GetReviewProgressRequest {}, Some(caller));
        let answer = place.cases().get_review_progress(asked).await;
        answer.expect("progress").into_inner().open_cases
    };
    assert_eq!(progress("reviewer").await, 1);
    assert_eq!(progress("elsewhere").await, 0);
    close("reviewer", &case_id).await.expect("closed");

    let tried =
        |call: &v1::CallRecord| call.call.ends_with("/DecideProposal") && call.outcome == "outside";
    place.calls_until(tried).await;
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_the_same_matters_count() {
    let place = Place::new().await;
    let event = |id: &str, region: &str| {
        format!(
            r#"{{"source": "tests", "id": "{id}", "case_id": "case-{id}", "scenario": "tender", "stage": "evaluate",
               "region": "{region}", "purpose": "review", "attributes": {{"mandatory_tender": true}},
               "subjects": [{{"role": "bidder", "id_type": "USCC", "id": "{FIRM}", "kind": "enterprise"}}]}}"#
        )
    };
    let cloud_event = |id: &str, region: &str| {
        format!(
            r#"{{"specversion": "1.0", "type": "tender.evaluate", "source": "tests", "id": "{id}", "data": {}}}"#,
            event(id, region)
        )
    };
    let check = |path: &str, media: &str, body: &str, expected: &str| {
        let status = place.send("POST", path, Some("business"), (media, body));
        assert_eq!(status, expected, "{path} {body}");
    };
    let (json, structured) = ("application/json", "application/cloudevents+json");
    check("/v1/check", json, &event("h-1", "320505"), "200");
    check("/v1/check", json, &event("h-2", "329900"), "403");
    check(
        "/v1/events",
        structured,
        &cloud_event("h-3", "320505"),
        "200",
    );
    check(
        "/v1/events",
        structured,
        &cloud_event("h-4", "329900"),
        "403",
    );
    let tried = |call: &v1::CallRecord| call.call == "/v1/events" && call.outcome == "outside";
    let calls = place.calls_until(tried).await;
    let checked = |call: &&v1::CallRecord| call.call == "/v1/check" && call.outcome == "outside";
    assert_eq!(calls.iter().filter(checked).count(), 1, "{calls:?}");
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_makes_up_is_not_recorded() {
    let place = Place::new().await;
    for n in 0..3 {
        let code = place
            .call(&format!("/creditgate.v1.Gate/Invented{n}"), None)
            .await;
        assert_eq!(code, Code::Unauthenticated);
    }
    let refused = |call: &v1::CallRecord| call.outcome == "unauthenticated";
    let calls = place.calls_until(refused).await;
    assert!(
        calls
            .iter()
            .filter(|call| refused(call))
            .all(|call| call.call == "/unknown"),
        "{calls:?}"
    );
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_checks_than_agreed_are_asked_to_come_later() {
    use tonic_types::StatusExt as _;

    let place = Place::new().await;
    let event = |n: u32| v1::Event {
        source: "slow".to_owned(),
        ..evaluation(&format!("slow-{n}"), FIRM)
    };
    let mut refused = None;
    for n in 0..20 {
        if let Err(status) = place.check("slow", event(n)).await {
            refused = Some((n, status));
            break;
        }
    }
    let (n, status) = refused.expect("one a second is not twenty at once");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let wait = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    let wait = wait.expect("a hint");
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    tokio::time::sleep(wait).await;
    place
        .check("slow", event(n))
        .await
        .expect("there is room again");
    let calls = place.calls_until(|call| call.outcome == "too_many").await;
    assert!(calls.iter().any(|call| call.caller == "slow"), "{calls:?}");
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_what_is_explained_to_whoever_answers_for_it() {
    let place = Place::new().await;
    let mut access = AccessClient::new(place.channel.clone());
    let inside = v1::ExplainAccessRequest {
        caller: "business".to_owned(),
        source: "tests".to_owned(),
        scenario: "tender".to_owned(),
        stage: "evaluate".to_owned(),
        region: "320505".to_owned(),
        purpose: "review".to_owned(),
        ..v1::ExplainAccessRequest::default()
    };
    let to = |permission: &str| v1::ExplainAccessRequest {
        permission: permission.to_owned(),
        ..inside.clone()
    };
    let other_region = v1::ExplainAccessRequest {
        region: "110000".to_owned(),
        ..inside.clone()
    };
    let nobody = v1::ExplainAccessRequest {
        caller: "nobody".to_owned(),
        ..inside.clone()
    };
    for (asked, expected) in [
        (inside.clone(), "allowed"),
        (other_region, "region"),
        (nobody, "unknown"),
        (to("publish"), "role"),
        (to("feedback"), "allowed"),
    ] {
        let answer = access
            .explain(with_key(asked, Some("security_administrator")))
            .await;
        let answer = answer.expect("an answer").into_inner();
        assert_eq!(answer.answer, expected);
    }
    let unclear = v1::ExplainAccessRequest {
        region: "?".to_owned(),
        ..inside
    };
    let refused = access
        .explain(with_key(unclear, Some("security_administrator")))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let astray = v1::ListCallsRequest {
        from_position: 3,
        ..v1::ListCallsRequest::default()
    };
    let refused = access.list_calls(with_key(astray, Some("auditor"))).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    place.service.stop();
}

#[test]
fn the_example_policy_is_sound_and_its_cases_hold() {
    let on = |args: &[&str]| {
        let done = run(args, "");
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
        )
    };
    let policy = "deploy/access.yaml";
    let (code, said) = on(&["access", "lint", policy]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("10 callers, 22 cases"), "{said}");
    let (code, said) = on(&["access", "test", policy]);
    assert_eq!((code, said.as_str()), (Some(0), "22 cases hold\n"));
    let explain = |region: &str| {
        on(&[
            "access",
            "explain",
            policy,
            "--caller",
            "tender-platform",
            "--scenario",
            "tender",
            "--stage",
            "evaluate",
            "--region",
            region,
        ])
    };
    let (code, lines) = on(&["keys", "tender-platform", "--by-policy"]);
    assert_eq!(code, Some(0));
    assert!(
        lines.contains("key_sha256") && !lines.contains("may"),
        "{lines}"
    );
    let allowed = "allowed\n  sees verdicts by the view `standard`: entries of organisations, every measure\n";
    assert_eq!(explain("329905"), (Some(0), allowed.to_owned()));
    let (code, said) = explain("320100");
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("refused: this caller does not deal with that region\n"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_calls_is_read_beside_the_service_and_proved_with_the_others() {
    let place = Place::new().await;
    let refused = place
        .call("/creditgate.v1.Books/Publish", Some("auditor"))
        .await;
    assert_eq!(refused, Code::PermissionDenied);
    let tried = |call: &v1::CallRecord| call.call == "/creditgate.v1.Books/Publish";
    place.calls_until(tried).await;
    let dir = place.dir.path().display().to_string();
    let shown = run(
        &["access", "calls", "--data-dir", &dir, "--refused", "--json"],
        "",
    );
    let shown = String::from_utf8(shown.stdout).expect("text");
    let line: serde_json::Value =
        serde_json::from_str(shown.lines().next().expect("a line")).expect("JSON");
    assert_eq!(line["caller"], "auditor");
    assert_eq!(line["outcome"], "permission_denied");
    assert_eq!(shown.lines().count(), 1, "{shown}");
    place.service.stop();
    let verified = run(&["journal", "verify", "--data-dir", &dir], "");
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(
        verified.status.success() && said.contains("calls"),
        "{said}"
    );
}
