//! Deliveries in sealed tables.

use creditgate_measures::identifier::invented;
use creditgate_proto::journal::v1::{DeliveryPaused, DeliveryPutAside};
use creditgate_runtime::sealed::Keyring;

use super::*;
use crate::table::{Logs, Mark, Table};

const REFUSED: &str = "the target answered 400: 示例建设有限公司";
const PAUSED_FOR: &str = "李四请假";

fn record(what: What) -> CaseRecord {
    CaseRecord {
        caller: "张三".to_owned(),
        what: Some(what),
        ..CaseRecord::default()
    }
}

/// A delivery that was paused, with one thing in the outbox that was put aside.
fn put(table: &mut Table, body: &[u8]) {
    let put = DeliveryPut {
        name: "works".to_owned(),
        url: "https://works.example/in".to_owned(),
        reason: "王五申请".to_owned(),
        ..DeliveryPut::default()
    };
    let paused = DeliveryPaused {
        name: "works".to_owned(),
        reason: PAUSED_FOR.to_owned(),
        ..DeliveryPaused::default()
    };
    let aside = DeliveryPutAside {
        name: "works".to_owned(),
        position: 3,
        nth: 1,
        id: "N-1".to_owned(),
        reason: REFUSED.to_owned(),
        attempts: 20,
    };
    let item = Item {
        position: 3,
        nth: 1,
        kind: Kind::Notice,
        at: 5,
        case_id: "T-2026-1".to_owned(),
        scenario: "tender".to_owned(),
        region: "329900".to_owned(),
        source: "tender-platform".to_owned(),
        whom: "示例住建局".to_owned(),
        what: "basis_changed".to_owned(),
        place: 0,
        body: body.to_vec(),
    };
    let written = table.write(Mark::default(), |change| {
        item.write(change)?;
        noted(change, 1, &record(What::DeliveryPut(put)))?;
        noted(change, 2, &record(What::DeliveryPutAside(aside)))?;
        noted(change, 3, &record(What::DeliveryPaused(paused)))
    });
    written.expect("written");
}

#[test]
fn deliveries_and_what_they_send_are_sealed_and_read_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let logs = Logs {
        verdicts: [1; 16],
        cases: [2; 16],
    };
    let seal = Seal::new(Some(Keyring::generate().sealer("cases-table")));
    let mut table = Table::open(dir.path(), logs, &seal).expect("tables");
    let body = format!("{} 示例建设有限公司", invented::uscc(1)).into_bytes();
    put(&mut table, &body);
    let lookup = table.lookup();
    let known = named(&lookup, "works").expect("read").expect("a delivery");
    assert_eq!(
        (known.caller.as_str(), known.reason.as_str(), known.letters),
        ("张三", PAUSED_FOR, 1)
    );
    assert_eq!(known.put.url, "https://works.example/in");
    assert_eq!(all(&lookup).expect("read"), [known]);
    let letters = letters(&lookup, "works", 0, 10).expect("read");
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].reason.as_str(), letters[0].case_id.as_str()),
        (REFUSED, "T-2026-1")
    );
    let items = items(&lookup, "another", (0, 0), 9, 10).expect("read");
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].body, body);

    let files = std::fs::read_dir(dir.path())
        .expect("a directory")
        .flatten();
    let bytes: Vec<u8> = files
        .flat_map(|file| std::fs::read(file.path()).expect("a file"))
        .collect();
    let subject = invented::uscc(1);
    let told = [
        subject.as_str(),
        "示例建设有限公司",
        "张三",
        PAUSED_FOR,
        "王五申请",
    ];
    for text in told {
        let is_there = bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes());
        assert!(!is_there, "{text}");
    }
    assert!(bytes.windows(5).any(|part| part == b"works"));
}
