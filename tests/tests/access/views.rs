//! What a caller may know: verdicts by purpose, entries by list and age, people in full only where a call says why.

use std::collections::BTreeSet;
use std::process::Command;

use creditgate_proto::v1;
use creditgate_proto::v1::access_client::AccessClient;
use creditgate_proto::v1::gate_client::GateClient;
use creditgate_proto::v1::identity_client::IdentityClient;
use creditgate_proto::v1::lists_client::ListsClient;
use creditgate_proto::v1::procedures_client::ProceduresClient;
use creditgate_proto::v1::subscriptions_client::SubscriptionsClient;
use creditgate_tests::evaluation;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::{FIRM, Place, with_key};

const POLICY: &str = r#"
views:
  lending: {reasons: none, entries: number, measures_up_to: NOTICE}
  permit: {reasons: all}
callers:
- {name: business, department: 示例市公共资源交易中心, roles: [business], sources: [tests], matters: [{scenario: tender, regions: ["320505"]}]}
- {name: list_source, department: 示例市中级人民法院, roles: [list_source]}
- {name: tax_bureau, department: 示例市税务局, roles: [list_source], lists: [B02]}
- {name: reviewer, department: 示例市信用中心, roles: [reviewer], unmasked: true, matters: [{scenario: "*", regions: ["320500"]}]}
- {name: other_reviewer, department: 示例市信用中心, roles: [reviewer], matters: [{scenario: "*", regions: ["320500"]}]}
- {name: publisher, department: 示例市信用中心, roles: [publisher], lists: [B02], matters: [{scenario: "*", regions: ["320500"]}]}
- {name: auditor, department: 示例市审计局, roles: [auditor], lists: [B02], matters: [{scenario: "*", regions: ["100000"]}]}
- {name: security_administrator, department: 示例市大数据局, roles: [security_administrator]}
"#;

/// The firm's entry, and one of a person.
const OF_FIRM: &str = "E-B07-1";
const OF_PERSON: &str = "E-B20-1";
const FIRM_MASKED: &str = "91**************3Q";

fn asked(id: &str, purpose: &str) -> v1::Event {
    v1::Event {
        purpose: purpose.to_owned(),
        ..evaluation(id, FIRM)
    }
}

fn saying_why<T>(message: T, caller: &str, reason: &str) -> Request<T> {
    let mut request = with_key(message, Some(caller));
    let reason = MetadataValue::from_bytes(reason.as_bytes());
    request
        .metadata_mut()
        .insert_bin("creditgate-reason-bin", reason);
    request
}

/// What a verdict says, whatever its explanation.
fn answer(verdict: &v1::Verdict) -> impl PartialEq + std::fmt::Debug + use<> {
    let subjects: Vec<_> = verdict
        .subjects
        .iter()
        .map(|it| (it.outcome.clone(), it.effect.clone(), it.proposed.clone()))
        .collect();
    (
        verdict.outcome.clone(),
        verdict.effect.clone(),
        verdict.proposed.clone(),
        (verdict.review, verdict.result_code),
        verdict.parties.clone(),
        subjects,
    )
}

/// The lists of the entries that a verdict tells.
fn lists(verdict: &v1::Verdict) -> Vec<&str> {
    let triggered = verdict.subjects.iter().flat_map(|it| &it.triggered);
    let entries = triggered.filter_map(|it| it.entry.as_ref());
    entries.map(|entry| entry.list.as_str()).collect()
}

/// That the view of a lender shows nothing but notices, and no entry.
fn is_a_lenders(verdict: &v1::Verdict) {
    assert_eq!(verdict.view.as_deref(), Some("lending"));
    assert!(lists(verdict).is_empty(), "{verdict:?}");
    let triggered = verdict.subjects.iter().flat_map(|it| &it.triggered);
    let effects: Vec<&str> = triggered.map(|it| it.effect.as_str()).collect();
    assert!(effects.iter().all(|it| *it == "NOTICE"), "{effects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purpose_takes_explanation_away_and_never_the_answer() {
    let place = Place::with(POLICY).await;
    place.import();
    let mut gate = GateClient::new(place.channel.clone());
    let permit = place.check("business", asked("permit", "permit")).await;
    let permit = permit.expect("a verdict");
    assert_eq!(permit.view.as_deref(), Some("permit"));
    assert!(lists(&permit).contains(&"B07"), "{permit:?}");
    assert_ne!(permit.outcome, "PASS");
    let other = place.check("business", asked("other", "")).await;
    let other = other.expect("a verdict");
    assert_eq!(other.view.as_deref(), Some("standard"));
    assert!(lists(&other).contains(&"B07"), "a firm's entry is told");

    let first = place.check("business", asked("lending", "lending")).await;
    let first = first.expect("a verdict");
    is_a_lenders(&first);
    assert_eq!(answer(&first), answer(&permit));
    let again = place.check("business", asked("lending", "lending")).await;
    assert_eq!(again.expect("a verdict"), first);

    // However it is asked.
    let batch = v1::CheckBatchRequest {
        events: vec![asked("batch", "lending"), asked("lending", "lending")],
    };
    let batch = gate.check_batch(with_key(batch, Some("business"))).await;
    let mut results = batch.expect("a batch").into_inner().results;
    let item = v1::CheckStreamRequest {
        event: Some(asked("stream", "lending")),
        ..v1::CheckStreamRequest::default()
    };
    let stream = with_key(tokio_stream::iter([item]), Some("business"));
    let stream = gate.check_stream(stream).await.expect("a stream");
    let told = stream.into_inner().message().await.expect("an answer");
    results.extend(told.and_then(|it| it.result));
    assert_eq!(results.len(), 3);
    for result in results {
        match result.result {
            Some(v1::check_result::Result::Verdict(verdict)) => {
                is_a_lenders(&verdict);
                assert_eq!(answer(&verdict), answer(&permit));
            }
            other => panic!("{other:?}"),
        }
    }
    let json = format!(
        r#"{{"source": "tests", "id": "http", "case_id": "case-http", "scenario": "tender", "stage": "evaluate",
           "region": "320505", "purpose": "lending", "attributes": {{"mandatory_tender": true}},
           "subjects": [{{"role": "bidder", "id_type": "USCC", "id": "{FIRM}", "kind": "enterprise"}}]}}"#
    );
    let done = Command::new("curl")
        .args(["--silent", "--header", "content-type: application/json"])
        .args(["--header", "authorization: Bearer k-business"])
        .args(["--data", &json])
        .arg(format!("http://{}/v1/check", place.service.http))
        .output()
        .expect("curl runs");
    let body: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(body["verdict"]["view"], "lending", "{body}");
    assert_eq!(body["verdict"]["outcome"], permit.outcome.as_str());
    assert!(!body.to_string().contains("B07\""), "{body}");
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_decides_sees_the_whole_and_others_what_the_purpose_may_know() {
    let place = Place::with(POLICY).await;
    place.import();
    let mut gate = GateClient::new(place.channel.clone());
    let lending = place.check("business", asked("lending", "lending")).await;
    let permit = place.check("business", asked("permit", "permit")).await;
    let (lending, permit) = (lending.expect("a verdict"), permit.expect("a verdict"));

    let whole = place.verdict("reviewer", &lending.verdict_id).await;
    let whole = whole.expect("a verdict");
    assert_eq!(whole.view, None);
    assert!(lists(&whole).contains(&"B07"), "{whole:?}");
    assert_eq!(whole.verdict_digest, lending.verdict_digest);
    assert_eq!(answer(&whole), answer(&lending));

    let seen = place.verdict("publisher", &lending.verdict_id).await;
    is_a_lenders(&seen.expect("a verdict"));
    let replay = v1::ReplayRequest {
        verdict_id: lending.verdict_id.clone(),
    };
    let replayed = gate.replay(with_key(replay, Some("publisher"))).await;
    let replayed = replayed.expect("a replay").into_inner();
    assert!(replayed.same);
    is_a_lenders(&replayed.verdict.expect("a verdict"));

    // Of lists that it does not see nobody is told, whatever the purpose.
    let seen = place.verdict("publisher", &permit.verdict_id).await;
    let seen = seen.expect("a verdict");
    assert_eq!(seen.view.as_deref(), Some("permit"));
    assert!(lists(&seen).is_empty() && !lists(&permit).is_empty());
    assert_eq!(answer(&seen), answer(&permit));
    let watch = v1::WatchVerdictsRequest::default();
    let watched = gate.watch_verdicts(with_key(watch, Some("auditor"))).await;
    let mut watched = watched.expect("verdicts").into_inner();
    let mut seen = 0;
    while let Some(one) = watched.message().await.expect("a verdict") {
        let verdict = one.verdict.expect("a verdict");
        assert_eq!(verdict.view.as_deref(), Some("lists"));
        assert!(lists(&verdict).is_empty());
        assert_eq!(answer(&verdict), answer(&permit));
        seen += 1;
    }
    assert_eq!(seen, 2);
    place.service.stop();
}

/// The entry of this id, as a caller is shown it.
async fn entry(place: &Place, request: Request<v1::GetEntryRequest>) -> Result<v1::Entry, Status> {
    let mut lists = ListsClient::new(place.channel.clone());
    let answer = lists.get_entry(request).await?.into_inner();
    let record = answer.entry.expect("a record");
    Ok(record.entry.expect("an entry"))
}

fn of(entry_id: &str) -> v1::GetEntryRequest {
    v1::GetEntryRequest {
        entry_id: entry_id.to_owned(),
        ..v1::GetEntryRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_shown_in_full_to_whoever_may_and_says_why_and_it_is_kept() {
    const WHY: &str = "复核示例〔2026〕1号";
    let place = Place::with(POLICY).await;
    place.import();
    for caller in ["reviewer", "other_reviewer"] {
        let firm = entry(&place, with_key(of(OF_FIRM), Some(caller))).await;
        let firm = firm.expect("an entry");
        assert_eq!((&*firm.id, &*firm.reason), (FIRM_MASKED, "＊＊＊"));
        assert_eq!(firm.name, "示例建设有限公司");
        let person = entry(&place, with_key(of(OF_PERSON), Some(caller))).await;
        let person = person.expect("an entry");
        assert_eq!((&*person.name, &*person.reason), ("示＊", "＊＊＊"));
        assert!(person.id.contains("****"), "{}", person.id.len());
    }
    let masked = entry(&place, saying_why(of(OF_FIRM), "other_reviewer", WHY)).await;
    assert_eq!(masked.expect("an entry").id, FIRM_MASKED);
    let named = saying_why(of(OF_FIRM), "reviewer", &format!("查{FIRM}"));
    let refused = entry(&place, named).await.expect_err("a number in it");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(!refused.message().contains(FIRM), "{refused:?}");
    let firm = entry(&place, saying_why(of(OF_FIRM), "reviewer", WHY)).await;
    let firm = firm.expect("an entry");
    assert_eq!((&*firm.id, &*firm.reason), (FIRM, "虚构事由"));

    let kept = |call: &v1::CallRecord| call.unmasked_for == WHY;
    let calls = place.calls_until(kept).await;
    let kept: Vec<_> = calls.iter().filter(|call| kept(call)).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0].caller, "reviewer");
    assert_eq!(kept[0].call, "/creditgate.v1.Lists/GetEntry");

    // A notice is made to name its subject.
    let render = || v1::RenderNoticeRequest {
        entry_id: OF_FIRM.to_owned(),
        ..v1::RenderNoticeRequest::default()
    };
    let mut procedures = ProceduresClient::new(place.channel.clone());
    let masked = procedures.render_notice(with_key(render(), Some("reviewer")));
    assert_eq!(masked.await.unwrap_err().code(), Code::FailedPrecondition);
    let full = procedures.render_notice(saying_why(render(), "reviewer", WHY));
    // No notice was named.
    assert_eq!(full.await.unwrap_err().code(), Code::NotFound);
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_lists_and_what_is_long_past_are_as_if_they_were_not_there() {
    let place = Place::with(POLICY).await;
    place.import();
    let mut client = ListsClient::new(place.channel.clone());
    let old = v1::Entry {
        entry_id: "E-OLD".to_owned(),
        list: "B02".to_owned(),
        id_type: "USCC".to_owned(),
        id: FIRM.to_owned(),
        name: "示例建设有限公司".to_owned(),
        document_no: "示例〔2016〕1号".to_owned(),
        valid_from: "2016-01-01".to_owned(),
        valid_to: "2018-12-31".to_owned(),
        ..v1::Entry::default()
    };
    let put = v1::apply_request::Change::Put(v1::PutEntry {
        entry: Some(old),
        reason: String::new(),
    });
    let apply = v1::ApplyRequest { change: Some(put) };
    let applied = client.apply(with_key(apply, Some("list_source"))).await;
    let applied = applied.expect("it is taken").into_inner().entry;
    // What it stated itself comes back as it is; what others stated does not.
    let stated = applied.and_then(|record| record.entry).expect("an entry");
    assert_eq!(stated.id, FIRM);
    let mark = v1::apply_request::Change::MarkObjection(v1::MarkObjection {
        entry_id: OF_FIRM.to_owned(),
        marked: true,
        reason: "示例".to_owned(),
    });
    let apply = v1::ApplyRequest { change: Some(mark) };
    let applied = client.apply(with_key(apply, Some("list_source"))).await;
    let applied = applied.expect("it is taken").into_inner().entry;
    let marked = applied.and_then(|record| record.entry).expect("an entry");
    assert_eq!(marked.id, FIRM_MASKED);

    let not_there = entry(&place, with_key(of("E-NOT"), Some("publisher"))).await;
    let not_there = not_there.expect_err("it is not there");
    for hidden in [OF_FIRM, "E-OLD"] {
        let refused = entry(&place, with_key(of(hidden), Some("publisher"))).await;
        let refused = refused.expect_err(hidden);
        assert_eq!(refused.code(), Code::NotFound, "{hidden}");
        assert_eq!(refused.message(), not_there.message());
        let shown = entry(&place, with_key(of(hidden), Some("reviewer"))).await;
        assert_eq!(shown.expect(hidden).entry_id, hidden);
    }
    let mut ids = async |caller: &str, list: &str| {
        let asked = v1::ListEntriesRequest {
            list: list.to_owned(),
            ..v1::ListEntriesRequest::default()
        };
        let answer = client.list_entries(with_key(asked, Some(caller))).await;
        let entries = answer.expect("entries").into_inner().entries.into_iter();
        let ids = entries.map(|record| record.entry.expect("an entry").entry_id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids("publisher", "B02").await, ["E-B02-1", "E-B02-2"]);
    let of_reviewer = ids("reviewer", "B02").await;
    assert_eq!(of_reviewer, ["E-B02-1", "E-B02-2", "E-OLD"]);
    assert!(ids("publisher", "B07").await.is_empty());

    let mut identity = IdentityClient::new(place.channel.clone());
    let subject = v1::SubjectQuery {
        id_type: "USCC".to_owned(),
        id: FIRM.to_owned(),
        ..v1::SubjectQuery::default()
    };
    let asked = v1::GetSubjectRequest {
        subject: Some(subject),
        ..v1::GetSubjectRequest::default()
    };
    let of_publisher = identity.get_subject(with_key(asked.clone(), Some("publisher")));
    let of_publisher = of_publisher.await.expect("a subject").into_inner();
    assert!(of_publisher.entries.is_empty() && of_publisher.timeline.is_empty());
    let of_reviewer = identity
        .get_subject(with_key(asked, Some("reviewer")))
        .await;
    let of_reviewer = of_reviewer.expect("a subject").into_inner();
    assert_eq!(of_reviewer.entries.len(), 2);
    let text = serde_json::to_string(&of_reviewer).expect("JSON");
    assert!(!text.contains(FIRM) && !text.contains("虚构事由"), "{text}");

    let watch = v1::WatchEntriesRequest::default();
    let watched = client.watch_entries(with_key(watch, Some("auditor"))).await;
    let mut watched = watched.expect("changes").into_inner();
    let mut seen = BTreeSet::new();
    while let Some(change) = watched.message().await.expect("a change") {
        if let Some(v1::watch_entries_response::What::Entry(changed)) = change.what {
            let entry = changed.entry.expect("an entry");
            assert_eq!(entry.list, "B02");
            assert!(entry.id.contains("****"), "{}", entry.entry_id);
            seen.insert(entry.entry_id);
        }
    }
    // Whoever looks into what was decided sees what is long past, too.
    let expected = ["E-B02-1", "E-B02-2", "E-OLD"].map(str::to_owned);
    assert_eq!(seen, BTreeSet::from(expected));
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_lists_sent_that_it_does_not_see() {
    let place = Place::with(POLICY).await;
    let mut subscriptions = SubscriptionsClient::new(place.channel.clone());
    for lists in [vec![], vec!["B02", "B07"]] {
        let asked = v1::PutSubscriptionRequest {
            name: "tax".to_owned(),
            department: "示例市税务局".to_owned(),
            lists: lists.iter().map(|list| (*list).to_owned()).collect(),
            ..v1::PutSubscriptionRequest::default()
        };
        let refused = subscriptions.put(with_key(asked, Some("tax_bureau"))).await;
        let refused = refused.expect_err("it sees one list");
        assert_eq!(refused.code(), Code::InvalidArgument, "{lists:?}");
        let told = refused.get_details_bad_request().expect("a rule");
        let rules = told.field_violations.iter().map(|it| &*it.description);
        assert_eq!(
            rules.collect::<Vec<_>>(),
            ["name lists that this caller sees: B02"]
        );
    }
    place.service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_may_know_is_explained() {
    let place = Place::with(POLICY).await;
    let mut access = AccessClient::new(place.channel.clone());
    let mut explain = async |caller: &str, permission: &str, purpose: &str| {
        let asked = v1::ExplainAccessRequest {
            caller: caller.to_owned(),
            permission: permission.to_owned(),
            source: "tests".to_owned(),
            scenario: "tender".to_owned(),
            stage: "evaluate".to_owned(),
            region: "320505".to_owned(),
            purpose: purpose.to_owned(),
            ..v1::ExplainAccessRequest::default()
        };
        let request = with_key(asked, Some("security_administrator"));
        access.explain(request).await.expect("told").into_inner()
    };
    let lender = explain("business", "check", "lending").await;
    assert_eq!(lender.view, "lending");
    assert_eq!(lender.shows, "no entries, measures up to NOTICE");
    assert!(lender.entries.is_empty());
    let reviewer = explain("reviewer", "read", "lending").await;
    assert!(reviewer.view.is_empty());
    assert_eq!(
        reviewer.entries,
        "of every list, however old, in full when it says why"
    );
    let publisher = explain("publisher", "read", "").await;
    assert_eq!(publisher.view, "standard");
    assert_eq!(
        publisher.entries,
        "of B02, up to 5 years after the act, masked"
    );
    let refused = explain("reviewer", "publish", "").await;
    assert!(refused.view.is_empty() && refused.entries.is_empty());
    place.service.stop();
}
