//! Bad input: for each decoder a check that takes any bytes and says what must hold of them.
//!
//! A check returns when every promise was kept and panics with the broken one: what is read can be
//! written and read again, a refusal says why and shows nobody, and nothing takes more memory or
//! time than its input explains. `tests/bad_input.rs` runs the checks on the inputs kept in
//! `fuzz/corpus` and on changed ones; the targets in `fuzz/` look for input that nobody thought of.
//! A new decoder gets a check in [`TARGETS`], some inputs, and one more line in `fuzz/Cargo.toml`.

mod books;
mod change;
mod entries;
mod events;
mod files;
mod journal;
mod lists;
mod messages;
mod texts;
mod tokens;

pub use change::Changes;

use creditgate_proto::Refused;

/// A decoder, by the name of its folder in `fuzz/corpus` and of its fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub check: fn(&[u8]),
}

/// Every decoder of input that others write, and of what lies on our own disk.
pub const TARGETS: [Target; 25] = [
    target("identifier", texts::identifier),
    target("name", texts::name),
    target("time", texts::time),
    target("version", texts::version),
    target("condition", texts::condition),
    target("event_json", events::json),
    target("event_protobuf", events::protobuf),
    target("cloud_event", events::cloud_event),
    target("feedback", messages::feedback),
    target("kafka_record", messages::kafka_record),
    target("record", messages::record),
    target("list_change", messages::list_change),
    target("entry_json", entries::json),
    target("entry_protobuf", entries::protobuf),
    target("stored_entry", entries::stored),
    target("list_base", lists::base),
    target("journal", journal::damaged),
    target("file", files::any),
    target("table", files::table),
    target("workbook", files::workbook),
    target("mapping", files::mapping),
    target("book", books::book),
    target("pack", books::pack),
    target("token", tokens::token),
    target("jwk_set", tokens::jwk_set),
];

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check }
}

/// Runs the check of this name; for fuzz targets.
///
/// # Panics
/// When a promise is broken, or there is no such check.
pub fn check(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a check of this name").check)(input);
}

/// An organisation's and a person's number and name, all invented. They stand in the inputs, and no
/// refusal may show one, wherever it stood.
pub const NOBODY: [&str; 4] = [
    "91219999MAYG58BR3Q",
    "219999199003071231",
    "某甲某乙商贸有限公司",
    "某甲某",
];

/// Longer than everything that is known in words, and shorter than what would fill a log.
const TOLD_BYTES_MAX: usize = 16 << 10;

/// A text for people that is about input: it says something, is bounded, and shows nobody.
fn shows_nobody(what: &str, told: &str) {
    assert!(!told.trim().is_empty(), "{what} says nothing");
    assert!(
        told.len() <= TOLD_BYTES_MAX,
        "{what} has {} bytes",
        told.len()
    );
    for somebody in NOBODY {
        assert!(!told.contains(somebody), "{what} shows somebody: {told}");
    }
}

/// A refusal has a reason, and shows nobody.
fn refuses(refused: &Refused) {
    assert!(!refused.violations.is_empty(), "refused without a reason");
    for violation in &refused.violations {
        assert!(!violation.rule.is_empty(), "{violation:?}");
    }
    shows_nobody("a refusal", &refused.to_string());
    for violation in &refused.violations {
        shows_nobody("a violation", &violation.to_string());
    }
}

/// The lines up to the first blank one, and what follows it.
fn lines_and_body(input: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let end = input.windows(2).position(|two| two == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (&b""[..], input),
    };
    let lines = head.split(|byte| *byte == b'\n');
    (lines.filter(|line| !line.is_empty()).collect(), body)
}

/// The first byte, which chooses, and the rest.
fn choice(input: &[u8]) -> (u8, &[u8]) {
    match input.split_first() {
        Some((first, rest)) => (*first, rest),
        None => (0, input),
    }
}
