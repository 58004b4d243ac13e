#!/usr/bin/env bash
# Installs what the tests need and runs all of them. Ends only what it started itself.
#
#   tests/all.sh           everything
#   tests/all.sh --quick   without the long comparison of the decision, without Kafka, clients and providers of others
set -euo pipefail
cd "$(dirname "$0")/.."

quick=false
[[ "${1:-}" == "--quick" ]] && quick=true

started=$SECONDS
ran=()
step() { # step NAME COMMAND…
    local name=$1 began=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    ran+=("$(printf '%4d s  %s' $((SECONDS - began)) "$name")")
}

# What a fresh machine may lack: a compiler for SQLite, for the allocator and (with make and C++) for Kafka's library,
# Python and kcat for the clients of others. Java and Maven, for the broker, are the business of tests/kafka/fetch.sh, Node
# that of tests/oidc/fetch.sh.
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v c++ >/dev/null || missing+=(g++)
command -v make >/dev/null || missing+=(make)
command -v python3 >/dev/null || missing+=(python3)
$quick || python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
command -v curl >/dev/null || missing+=(curl)
command -v openssl >/dev/null || missing+=(openssl)
$quick || command -v kcat >/dev/null || missing+=(kcat)
if ((${#missing[@]})); then
    echo "installing: ${missing[*]}"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
fi
if ! command -v cargo >/dev/null; then
    echo "tests/all.sh needs Rust (cargo, rustfmt, clippy) of the version that Cargo.toml names" >&2
    exit 1
fi

# Kept parts of a compilation are for the next one of somebody who edits; here they are half of what `target` takes.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}

# A full disk shows itself as a linker that dies of a bus error.
free_gib=$(($(df --output=avail -k . | tail -1) / 1024 / 1024))
if ((free_gib < 10)) && [[ ! -d target/debug ]]; then
    echo "tests/all.sh fills up to 8 GiB, and the disk has $free_gib GiB left: if it fails for no other reason, make room" >&2
fi

python_clients() {
    local python
    python=$(tests/clients/venv.sh)
    "$python" -m pytest -q tests/clients
}

# The whole workspace, as for the tests before: with one package alone, everything would be compiled once more.
#
# One story at a time: each keeps both cores busy by itself, and some take the time. They are ignored without this, so
# that `cargo test` needs no Java.
with_kafka() {
    cargo test --workspace --no-fail-fast --test broker --test kafka -- --ignored --test-threads=1 --nocapture
}

# Ignored without this, so that `cargo test` needs no Node.
with_provider() {
    tests/oidc/fetch.sh
    cargo test --workspace --no-fail-fast --test tokens -- --ignored --nocapture
}

step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets -- -D warnings
step "the binary" cargo build -p creditgate
step "the law: its guards and cases" target/debug/creditgate measures lint measures/catalogue
step "the law: would its cases notice a mistake" target/debug/creditgate measures test measures/catalogue --mutate --survivors 0
step "unit, property and end-to-end tests" cargo test --workspace --no-fail-fast
if ! $quick; then
    # A fixed seed, since this run also counts how often each outcome occurs; the run above takes a new seed every time.
    step "the decision against its plain version, in full" \
        env CREDITGATE_CASES=14000 CREDITGATE_SEED=9497101620070 cargo test --workspace --test plain -- --nocapture
    step "the demonstration" target/debug/creditgate demo --once
    step "the broker's jars" tests/kafka/fetch.sh
    step "with a real Kafka broker" with_kafka
    step "clients not ours (Python grpcio, curl)" python_clients
    step "tokens of a provider not ours (oidc-provider)" with_provider
fi

printf '\n== ran\n'
printf '%s\n' "${ran[@]}"
printf 'all of it in %d s\n' $((SECONDS - started))
