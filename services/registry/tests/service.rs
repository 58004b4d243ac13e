//! Service `Lists` as a client sees it, over a real socket.

mod support;

use creditgate_proto::v1::lists_client::ListsClient;
use creditgate_proto::v1::{self, apply_request, import_request, watch_entries_response};
use creditgate_registry::{Registry, Service};
use creditgate_runtime::callers::{Caller, Shown};
use support::{Place, row, rows};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request};

async fn serve(registry: &Registry, caller: Option<Caller>) -> ListsClient<Channel> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let interceptor = move |mut request: Request<()>| {
        if let Some(caller) = &caller {
            request.extensions_mut().insert(caller.clone());
        }
        Ok(request)
    };
    let service = v1::lists_server::ListsServer::with_interceptor(
        Service::new(registry.clone()),
        interceptor,
    );
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    ListsClient::connect(format!("http://{address}"))
        .await
        .expect("a connection")
}

fn put(entry: v1::Entry) -> v1::ApplyRequest {
    v1::ApplyRequest {
        change: Some(apply_request::Change::Put(v1::PutEntry {
            entry: Some(entry),
            reason: "更正".to_owned(),
        })),
    }
}

fn change_state(entry_id: &str, to: &str) -> v1::ApplyRequest {
    v1::ApplyRequest {
        change: Some(apply_request::Change::ChangeState(v1::ChangeState {
            entry_id: entry_id.to_owned(),
            to: to.to_owned(),
            document_no: "示例修复1号".to_owned(),
            reason: "示例事由".to_owned(),
            ..Default::default()
        })),
    }
}

fn stream(rows: Vec<v1::Entry>) -> Vec<v1::ImportRequest> {
    let header = v1::ImportRequest {
        part: Some(import_request::Part::Header(support::header())),
    };
    let row = |entry| v1::ImportRequest {
        part: Some(import_request::Part::Row(v1::ImportRow {
            entry: Some(entry),
            row: 0,
            ..v1::ImportRow::default()
        })),
    };
    std::iter::once(header)
        .chain(rows.into_iter().map(row))
        .collect()
}

#[tokio::test]
async fn entries_come_in_change_and_are_shown_with_their_history() {
    let place = Place::new();
    let registry = place.open();
    let mut client = serve(&registry, Some(place.caller.clone())).await;
    let summary = client
        .import(tokio_stream::iter(stream(rows(0..30))))
        .await
        .expect("an import")
        .into_inner();
    assert_eq!(support::counts(&summary), "received 30 accepted 30");
    let id = support::id(5);
    client
        .apply(change_state(&id, "REPAIRED"))
        .await
        .expect("a step");
    let refused = client
        .apply(change_state(&id, "EFFECTIVE"))
        .await
        .expect_err("no step");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        refused.message().contains("REPAIRED"),
        "{}",
        refused.message()
    );
    for (field, reason, document_no) in [
        ("change_state.reason", " ", "示例1号"),
        ("change_state.document_no", "示例事由", ""),
    ] {
        let change = v1::ChangeState {
            entry_id: support::id(6),
            to: "REPAIRED".to_owned(),
            reason: reason.to_owned(),
            document_no: document_no.to_owned(),
            ..Default::default()
        };
        let change = Some(apply_request::Change::ChangeState(change));
        let refused = client.apply(v1::ApplyRequest { change }).await;
        let refused = refused.expect_err("who, when, why and by which document");
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().contains(field), "{refused:?}");
    }
    let mark = v1::MarkObjection {
        entry_id: support::id(6),
        marked: true,
        reason: " ".to_owned(),
    };
    let change = Some(apply_request::Change::MarkObjection(mark));
    let refused = client.apply(v1::ApplyRequest { change }).await;
    let refused = refused.expect_err("why");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(
        refused
            .message()
            .contains("mark_objection.reason: required"),
        "{refused:?}"
    );
    let refused = client
        .apply(change_state("nobody", "REVOKED"))
        .await
        .expect_err("nobody");
    assert_eq!(refused.code(), Code::NotFound);
    let bad = v1::Entry {
        kind: "nonsense".to_owned(),
        ..row(5)
    };
    let refused = client.apply(put(bad)).await.expect_err("no such kind");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let shown = client
        .get_entry(v1::GetEntryRequest {
            entry_id: id.clone(),
            with_history: true,
            ..Default::default()
        })
        .await
        .expect("an entry")
        .into_inner();
    let record = shown.entry.expect("a record");
    assert_eq!(record.entry.expect("an entry").state, "REPAIRED");
    let history: Vec<_> = record
        .history
        .iter()
        .map(|change| {
            let to = change.to.as_deref().unwrap_or("-");
            format!(
                "{} {} {} {}",
                change.action, to, change.document_no, change.caller
            )
        })
        .collect();
    assert_eq!(
        history,
        [
            "created EFFECTIVE 示例5号 local",
            "state REPAIRED 示例修复1号 local"
        ]
    );
    registry.close().await;
}

#[tokio::test]
async fn entries_are_listed_by_subject_and_by_list_page_by_page() {
    let place = Place::new();
    let registry = place.open();
    let mut client = serve(&registry, Some(place.caller.clone())).await;
    place
        .import(&registry, support::header(), rows(0..20))
        .await;
    let linked = v1::Entry {
        entry_id: "X1".to_owned(),
        aliases: vec![v1::Alias {
            id_type: "USCC".to_owned(),
            id: row(7).id,
            issuer: String::new(),
        }],
        ..row(700)
    };
    place
        .import(&registry, support::header(), vec![linked])
        .await;
    let ask = |request: v1::ListEntriesRequest| {
        let mut client = client.clone();
        async move {
            let answer = client
                .list_entries(request)
                .await
                .expect("a page")
                .into_inner();
            let ids: Vec<_> = answer
                .entries
                .into_iter()
                .map(|record| record.entry.expect("an entry").entry_id)
                .collect();
            (ids, answer.next_page_token)
        }
    };
    let subject = |id: String, name: &str| v1::ListEntriesRequest {
        subject: Some(v1::SubjectQuery {
            id_type: if id.is_empty() { "" } else { "USCC" }.to_owned(),
            id,
            name: name.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let seven = support::id(7);
    assert_eq!(ask(subject(row(7).id, "")).await.0, [seven.as_str(), "X1"]);
    assert_eq!(
        ask(subject(row(700).id, "")).await.0,
        [seven.as_str(), "X1"]
    );
    assert_eq!(
        ask(subject(String::new(), "示例第7号公司")).await.0,
        [seven.as_str()]
    );
    let mut page = v1::ListEntriesRequest {
        list: "B02".to_owned(),
        page_size: 2,
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let (ids, token) = ask(page.clone()).await;
        assert!(ids.len() <= 2);
        all.extend(ids);
        if token.is_empty() {
            break;
        }
        page.page_token = token;
    }
    assert_eq!(all[..5], [0, 4, 8, 12, 16].map(support::id));
    assert_eq!(all[5..], ["X1"]);
    let refused = client
        .list_entries(v1::ListEntriesRequest::default())
        .await
        .expect_err("nothing asked for");
    assert_eq!(refused.code(), Code::InvalidArgument);
    registry.close().await;
}

#[tokio::test]
async fn watchers_see_every_change_from_where_they_ask_and_then_what_comes() {
    let place = Place::new();
    let registry = place.open();
    let mut client = serve(&registry, Some(place.caller.clone())).await;
    place
        .import(&registry, support::header(), rows(0..10))
        .await;
    let watch = |from_seq, follow, lists: &[&str]| v1::WatchEntriesRequest {
        from_seq,
        follow,
        lists: lists.iter().map(|list| (*list).to_owned()).collect(),
        ..Default::default()
    };
    let seqs = |seen: Vec<v1::WatchEntriesResponse>| -> Vec<u64> {
        seen.iter().map(|change| change.seq).collect()
    };
    let all: Vec<_> = client
        .watch_entries(watch(0, false, &[]))
        .await
        .expect("a stream")
        .into_inner()
        .map(|change| change.expect("a change"))
        .collect()
        .await;
    // The first record is the book.
    assert_eq!(seqs(all), (2..=11).collect::<Vec<_>>());
    let some: Vec<_> = client
        .watch_entries(watch(4, false, &["B02"]))
        .await
        .expect("a stream")
        .into_inner()
        .map(|change| change.expect("a change"))
        .collect()
        .await;
    assert_eq!(seqs(some), [6, 10]);
    let mut following = client
        .watch_entries(watch(11, true, &["B01"]))
        .await
        .expect("a stream")
        .into_inner();
    let next = following.next().await.expect("one").expect("a change");
    assert_eq!(next.seq, 11);
    client
        .apply(change_state(&support::id(0), "SUSPENDED"))
        .await
        .expect("another list");
    client
        .apply(change_state(&support::id(1), "SUSPENDED"))
        .await
        .expect("a step");
    registry
        .apply(support::confirm("B01"), &place.caller)
        .await
        .expect("a confirmation");
    let next = following.next().await.expect("one").expect("a change");
    assert_eq!(next.seq, 13);
    match next.what {
        Some(watch_entries_response::What::Entry(watched)) => {
            assert_eq!(
                watched.change.and_then(|change| change.to).as_deref(),
                Some("SUSPENDED")
            );
        }
        other => panic!("an entry was expected, not {other:?}"),
    }
    let next = following.next().await.expect("one").expect("a change");
    assert!(matches!(
        next.what,
        Some(watch_entries_response::What::Confirmed(_))
    ));
    registry.close().await;
    let ended = following
        .next()
        .await
        .expect("an end")
        .expect_err("the registry has stopped");
    assert_eq!(ended.code(), Code::Unavailable);
}

#[tokio::test]
async fn who_is_not_known_may_do_nothing_and_others_what_they_may() {
    let place = Place::new();
    let registry = place.open();
    let mut nobody = serve(&registry, None).await;
    let refused = nobody
        .get_entry(v1::GetEntryRequest::default())
        .await
        .expect_err("nobody");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let keys = place.dir().join("keys.yaml");
    let text = format!(
        "callers:\n  - name: reader\n    key_sha256: \"{}\"\n    may: [read]\n",
        creditgate_runtime::callers::hash_key("cgk_reader")
    );
    std::fs::write(&keys, text).expect("write");
    let callers = creditgate_runtime::callers::Callers::load(&keys)
        .expect("keys")
        .callers;
    let reader = callers
        .authenticate(&Shown::authorization("Bearer cgk_reader"))
        .expect("known");
    let mut reader = serve(&registry, Some(reader)).await;
    let refused = reader.apply(put(row(1))).await.expect_err("may only read");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = reader
        .watch_entries(v1::WatchEntriesRequest::default())
        .await;
    assert_eq!(
        refused.expect_err("may only read").code(),
        Code::PermissionDenied
    );
    let refused = reader
        .import(tokio_stream::iter(stream(rows(0..2))))
        .await
        .expect_err("may only read");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let told = reader
        .get_entry(v1::GetEntryRequest {
            entry_id: "E".to_owned(),
            with_history: false,
            ..Default::default()
        })
        .await;
    assert_eq!(told.expect_err("no entry").code(), Code::NotFound);
    registry.close().await;
}

#[tokio::test]
async fn the_state_tells_what_is_known_by_one_hash() {
    let place = Place::new();
    let registry = place.open();
    let mut client = serve(&registry, Some(place.caller.clone())).await;
    let mut state = async || {
        let answer = client.state(v1::StateRequest {}).await;
        answer.expect("a state").into_inner()
    };
    let empty = state().await;
    place.import(&registry, support::header(), rows(0..3)).await;
    let known = state().await;
    assert_eq!((empty.entries, known.entries), (0, 3));
    assert_ne!(empty.state, known.state);
    assert_eq!(known.state.len(), 64);
    let version = registry.live().load().lists.version();
    assert_eq!(known.list_version, version.to_string());
    assert_eq!((known.follows, known.behind_ms), (false, None));
    registry.close().await;
    // A start builds the same from the log.
    let registry = place.open();
    let mut client = serve(&registry, Some(place.caller.clone())).await;
    let again = client.state(v1::StateRequest {}).await.expect("a state");
    assert_eq!(again.into_inner(), known);
    let mut stranger = serve(&registry, None).await;
    let refused = stranger.state(v1::StateRequest {}).await;
    assert_eq!(refused.expect_err("refused").code(), Code::Unauthenticated);
    registry.close().await;
}
