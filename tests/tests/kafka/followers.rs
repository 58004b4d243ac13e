//! However a follower starts, it ends with what the registry knows.

use std::fs;
use std::path::{Path, PathBuf};

use creditgate_tests::Service;
use creditgate_tests::kafka::Broker;

use super::lists::{assert_same_state, file_of, import_file, import_one, server};
use super::{Deployment, GATE, REGISTRY};

/// More than a base at the end is worth.
const ROWS: u64 = 3_000;

fn base_files(data_dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(data_dir.join("lists")).expect("a directory");
    let files = files.map(|file| file.expect("a file").path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "lists"))
        .collect()
}

#[test]
#[ignore = "needs Java: run by tests/all.sh"]
fn a_follower_ends_with_the_same_lists_from_nothing_an_old_base_a_damaged_one_or_a_wrong_place() {
    let broker = Broker::shared();
    let here = Deployment::new(broker, "starts");
    let registry = here.serve("registry", REGISTRY);
    let imported = import_file(&server(&registry), &file_of(1_000_000..1_000_000 + ROWS));
    assert!(imported.status.success());
    let data_dir = here.dir.path().join("gate");
    let again = |number: u64| -> Service {
        assert!(import_one(&registry, number).status.success());
        let gate = here.serve("gate", GATE);
        assert_same_state(&[&registry, &gate]);
        gate
    };

    again(900_001).stop();
    assert_eq!(base_files(&data_dir).len(), 1, "it has left a base");
    again(900_002).stop();

    let base = base_files(&data_dir).remove(0);
    let mut bytes = fs::read(&base).expect("a base");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    // Files are never changed in place.
    fs::remove_file(&base).expect("a base");
    fs::write(&base, bytes).expect("a base");
    let gate = again(900_003);
    let logged = gate.logged();
    assert!(logged.contains("is passed over"), "{logged}");
    gate.stop();

    let place = data_dir.join("changes/place");
    let text = fs::read_to_string(&place).expect("a place");
    let (rest, offset) = text.trim().rsplit_once(' ').expect("an offset");
    let offset: i64 = offset.parse().expect("an offset");
    for wrong in [offset + 1_000_000, offset / 2] {
        fs::write(&place, format!("{rest} {wrong}\n")).expect("a place");
        let gate = again(900_004 + wrong.unsigned_abs());
        let logged = gate.logged();
        assert!(logged.contains("read from the beginning"), "{logged}");
        gate.stop();
    }
    registry.stop();
}
