//! Every decoder against the bad input that is kept, and against changed forms of it.
//!
//! The changed ones are the same in every run: what others show is for whoever looks for it, with another
//! `CREDITGATE_BAD_SEED`, and `CREDITGATE_BAD_INPUTS` for how many changed inputs each decoder gets. The same checks under coverage: `fuzz/run.sh`.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use creditgate_tests::bad::{Changes, TARGETS, Target};
use creditgate_tests::root;

/// Enough to notice a broken check, few enough for every run of the tests.
const INPUTS: usize = 150;

/// What the changed inputs follow from when nothing else is said.
const SEED: u64 = 20_261_122;

/// The corpus is for everybody who clones the repository.
const CORPUS_BYTES_MAX: u64 = 2 << 20;

fn corpus(target: &Target) -> PathBuf {
    root().join("fuzz/corpus").join(target.name)
}

fn kept(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let mut inputs: Vec<_> = fs::read_dir(corpus(target))
        .unwrap_or_else(|error| panic!("the corpus of `{}`: {error}", target.name))
        .map(|file| file.expect("a file").path())
        .map(|path| {
            let bytes = fs::read(&path).expect("its bytes");
            (path, bytes)
        })
        .collect();
    inputs.sort();
    inputs
}

/// Runs a check on inputs; one that breaks a promise is put aside, and all such are told at the end.
fn hold(inputs: impl Iterator<Item = (&'static Target, String, Vec<u8>)>) {
    let mut broken = Vec::new();
    for (target, from, input) in inputs {
        // One for each decoder is enough to begin with.
        let known = broken.iter().any(|(of, _)| *of == target.name);
        if known || catch_unwind(AssertUnwindSafe(|| (target.check)(&input))).is_ok() {
            continue;
        }
        let found = root().join("fuzz/found");
        fs::create_dir_all(&found).expect("a directory");
        let path = found.join(format!("{}.broken", target.name));
        fs::write(&path, input).expect("a file");
        broken.push((
            target.name,
            format!("{from}; the input is in {}", path.display()),
        ));
    }
    assert!(broken.is_empty(), "promises are broken: {broken:#?}");
}

#[test]
fn every_kept_input_keeps_the_promises_of_its_decoder() {
    hold(TARGETS.iter().flat_map(|target| {
        let inputs = kept(target);
        assert!(!inputs.is_empty(), "`{}` has no inputs", target.name);
        let nothing = (PathBuf::from("no bytes at all"), Vec::new());
        let all = inputs.into_iter().chain([nothing]);
        all.map(move |(path, input)| (target, path.display().to_string(), input))
    }));
}

#[test]
fn changed_inputs_keep_the_promises_too() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seed = number("CREDITGATE_BAD_SEED").unwrap_or(SEED);
    let inputs_max = number("CREDITGATE_BAD_INPUTS").map_or(INPUTS, |inputs| inputs as usize);
    hold(TARGETS.iter().flat_map(|target| {
        let mut changes = Changes::new(seed);
        let kept: Vec<_> = kept(target).into_iter().map(|(_, bytes)| bytes).collect();
        (0..inputs_max).map(move |nth| {
            let from = format!("input {nth} of seed {seed}");
            (target, from, changes.of(&kept))
        })
    }));
}

#[test]
fn every_decoder_has_a_fuzz_target_and_a_corpus_that_is_not_too_large() {
    let known: BTreeSet<String> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").path())
            .map(|path| {
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    };
    assert_eq!(names(&root().join("fuzz/fuzz_targets")), known);
    assert_eq!(names(&root().join("fuzz/corpus")), known);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("the manifest");
    for name in &known {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "`{name}` stands in no line of fuzz/Cargo.toml"
        );
    }
    let bytes: u64 = TARGETS
        .iter()
        .flat_map(kept)
        .map(|(_, bytes)| bytes.len() as u64)
        .sum();
    assert!(bytes <= CORPUS_BYTES_MAX, "the corpus has {bytes} bytes");
}
