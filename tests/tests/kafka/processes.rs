//! Several processes: shares of the stream that change hands, one state of the lists, one writer of them.

use std::process::Output;

use creditgate_measures::identifier::invented;
use creditgate_tests::kafka::{Broker, Invented, members, send};
use creditgate_tests::{Service, evaluation, import_entries, run};

use super::{ALL, Deployment, GATE, REGISTRY, STREAM, wait_until};

/// What a process knows, as `lists state` tells it; `None` when it does not answer.
fn told(service: &Service) -> Option<serde_json::Value> {
    let server = format!("http://{}", service.grpc);
    let told = run(&["lists", "state", "--json", "--server", &server], "");
    told.status
        .success()
        .then(|| serde_json::from_slice(&told.stdout).expect("JSON"))
}

/// Version, number of entries, book and hash of the lists: the same in processes that know the same.
fn state(service: &Service) -> Option<String> {
    let told = told(service)?;
    let shown = ["list_version", "entries", "book_version", "state"]
        .map(|name| format!("{name} {}", told[name].as_str().expect("a text")));
    Some(shown.join(" "))
}

/// The hash alone: the version also moves with changes that leave the lists as they are.
fn hash(service: &Service) -> Option<String> {
    Some(told(service)?["state"].as_str()?.to_owned())
}

fn assert_same_state(services: &[&Service]) -> String {
    let first = state(services[0]).expect("an answer");
    for service in services {
        // A follower may be a moment behind.
        wait_until("the same lists everywhere", || {
            state(service).as_ref() == Some(&first)
        });
    }
    first
}

/// Brings in one more entry; a firm of that number is barred then.
fn import_one(service: &Service, number: u64) -> Output {
    let server = format!("http://{}", service.grpc);
    let head = "entry_id,list,id_type,id,name,kind,severity,designated_by,document_no,reason,region,scope,served_at,\
                valid_from,valid_to,state";
    let row = format!(
        "E-B07-more-{number},B07,USCC,{},示例企业,enterprise,serious,演示部门,演示{number}号,虚构事由,320500,,\
         2026-03-01,2026-03-01,,EFFECTIVE",
        invented::uscc(number)
    );
    let file = tempfile::Builder::new()
        .suffix(".csv")
        .tempfile()
        .expect("a file");
    std::fs::write(file.path(), format!("{head}\n{row}\n")).expect("a file");
    let path = file.path().display().to_string();
    let source = ["--source-unit", "演示数据", "--server", &server];
    run(&[&["lists", "import", &path], &source[..]].concat(), "")
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn the_stream_changes_hands_without_losing_or_doubling_an_event() {
    // Enough to last while processes come and go.
    const EVENTS: u64 = 24_000;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "hands");
    let (bootstrap, group) = (broker.bootstrap(), here.group());
    let first = here.serve_all();
    let events = Invented {
        count: EVENTS,
        rate: 300,
        ..Invented::default()
    };
    let sending = send(&bootstrap, &here.topic("events"), events);
    here.wait_for("verdicts", 400);
    let on = |more: u64| {
        let now = creditgate_tests::kafka::written(&bootstrap, &here.topic("verdicts"));
        here.wait_for("verdicts", now + more);
    };

    let second = here.serve("second", STREAM);
    println!("shares of two: {:?}", members(&bootstrap, &group, 2));
    on(800);
    second.stop();
    println!("share of one: {:?}", members(&bootstrap, &group, 1));
    on(800);

    let third = here.serve("third", STREAM);
    println!("shares of two: {:?}", members(&bootstrap, &group, 2));
    on(800);
    third.kill();
    println!("share of one: {:?}", members(&bootstrap, &group, 1));
    assert_eq!(sending.finish().sent, EVENTS);
    let account = here.assert_settled(EVENTS);
    assert_eq!((account.verdicts, account.dead_letters), (EVENTS, 0));
    println!(
        "verdicts of a partition paused for at most {:?}, with members that joined, left and were killed",
        account.longest_pause()
    );
    first.stop();
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn four_processes_agree_on_the_lists_and_one_takes_over_from_another() {
    const EVENTS: u64 = 6_000;
    let broker = Broker::shared();
    let here = Deployment::new(broker, "four");
    let bootstrap = broker.bootstrap();
    let registry = here.serve("registry", REGISTRY);
    import_entries(&registry);
    let gate = here.serve("gate", GATE);
    let one = here.serve("one", STREAM);
    let other = here.serve("other", STREAM);
    let before = assert_same_state(&[&registry, &gate, &one, &other]);
    println!("{before}");
    println!("shares of two: {:?}", members(&bootstrap, &here.group(), 2));

    let events = Invented {
        count: EVENTS,
        rate: 1_000,
        ..Invented::default()
    };
    let sending = send(&bootstrap, &here.topic("events"), events);
    here.wait_for("verdicts", EVENTS / 3);
    one.kill();
    assert_eq!(sending.finish().sent, EVENTS);
    let account = here.assert_settled(EVENTS);
    assert_eq!((account.verdicts, account.dead_letters), (EVENTS, 0));
    assert_eq!(account.list_versions.len(), 1, "{account:#?}");
    println!("verdicts paused for {:?}", account.longest_pause());

    assert!(import_one(&registry, 900_001).status.success());
    let again = here.serve("one", STREAM);
    let after = assert_same_state(&[&registry, &gate, &other, &again]);
    assert_ne!(before, after);
    for service in [again, other, gate, registry] {
        service.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Java: run by tests/all.sh"]
async fn a_second_registry_ends_the_writing_of_the_first() {
    let broker = Broker::shared();
    let here = Deployment::new(broker, "fence");
    let mut first = here.serve("first", ALL);
    import_entries(&first);
    let before = hash(&first);
    assert!(before.is_some(), "{:?}", state(&first));
    let second = here.serve("second", ALL);
    assert_eq!(hash(&second), before, "it begins with the same lists");

    assert!(import_one(&second, 900_001).status.success());
    let fenced = import_one(&first, 900_002);
    assert!(!fenced.status.success(), "the first is no writer any more");
    println!("{}", String::from_utf8_lossy(&fenced.stderr).trim());
    assert!(import_one(&second, 900_003).status.success());
    // Whether it ends or stays to follow, it must not stay ready with lists that grow old.
    wait_until("the first follows, or is no longer ready", || {
        first.ended().is_some()
            || !first
                .get("/readyz")
                .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
            || hash(&first) == hash(&second)
    });
    drop(first);

    // The lists hold what was accepted, and nothing of what was refused.
    let third = here.serve("third", ALL);
    drop(second);
    let mut gate = third.gate().await;
    let outcomes = [
        (900_001, "PROHIBIT"),
        (900_002, "PASS"),
        (900_003, "PROHIBIT"),
    ];
    for (number, outcome) in outcomes {
        let event = Some(evaluation(&format!("e-{number}"), &invented::uscc(number)));
        let answer = gate
            .check(creditgate_proto::v1::CheckRequest { event })
            .await
            .expect("a verdict")
            .into_inner();
        assert_eq!(
            answer.verdict.expect("a verdict").outcome,
            outcome,
            "{number}"
        );
    }
    third.stop();
}
