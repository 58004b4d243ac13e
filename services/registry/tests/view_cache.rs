//! Derived results stay within their bytes, however often the same ones come again and however fast
//! others come.

use std::sync::Arc;

use creditgate_proto::v1;
use creditgate_registry::identity::view_cache::{Kept, Key, ViewCache};

const BYTES_MAX: u64 = 8 << 20;
const THREADS: u64 = 4;
const WRITES: u64 = 200_000;
/// More results than there is room for: 4,000 of about 8 KiB in 8 MiB.
const KEYS: u64 = 4_000;
/// By how much the memory of the process may grow: the bound, what moka writes ahead, and what the
/// allocator keeps.
const GROWTH_MAX: u64 = 64 << 20;

fn key(n: u64) -> Key {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    key
}

fn kept(n: u64) -> Arc<Kept> {
    let answer = v1::GetSubjectResponse {
        list_version: n.to_string(),
        ..Default::default()
    };
    Arc::new(Kept::new(&answer, vec![vec![0x5a; 8 << 10]]))
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| {
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or(0) << 10
}

#[test]
fn memory_is_steady_when_the_same_results_come_again_and_again() {
    let cache = ViewCache::new(BYTES_MAX);
    for n in 0..KEYS {
        cache.keep(key(n), kept(n));
    }
    let before = resident();
    let mut seen = 0;
    for round in 0..4 {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let cache = cache.clone();
                scope.spawn(move || {
                    for at in 0..WRITES / THREADS / 4 {
                        // Half of them a few keys that all threads write, half the long row.
                        let n = match at % 2 {
                            0 => at % 64,
                            _ => (at * 7 + thread * 977 + round) % KEYS,
                        };
                        cache.keep(key(n), kept(n));
                        if let Some(kept) = cache.get(&key(n)) {
                            let answer = kept.answer().expect("an answer");
                            assert_eq!(answer.list_version, n.to_string());
                        }
                    }
                });
            }
        });
        seen = seen.max(resident());
        assert!(
            cache.bytes() <= BYTES_MAX,
            "round {round}: {}",
            cache.bytes()
        );
    }
    let grown = seen.saturating_sub(before);
    println!("{WRITES} writes, memory grown by {} KiB", grown >> 10);
    assert!(grown <= GROWTH_MAX, "grown by {grown} bytes");
    assert!(cache.bytes() > BYTES_MAX / 2, "results are kept");
}

#[test]
fn a_result_larger_than_the_cache_is_not_kept() {
    let cache = ViewCache::new(1 << 10);
    cache.keep(key(1), kept(1));
    assert_eq!(cache.bytes(), 0);
    assert!(cache.get(&key(1)).is_none());
}
