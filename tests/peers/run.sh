#!/usr/bin/env bash
# Compares the decision and the service with others that could do the same work, and prints one table of each.
#
#   tests/peers/run.sh                 everything, about half an hour
#   tests/peers/run.sh --quick         the same in short rounds
#   tests/peers/run.sh --part inside   only the engines inside a process; `service`: only the services
#
# Whatever is installed or built stays under target/peers. Needs Rust, Go and npm, 10 GiB of memory and of disk; ports
# 17420 to 17441 on the loopback are used. CREDITGATE=FILE takes a binary that is there instead of building one. Ends
# only what it started itself.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=$PWD/target/peers
mkdir -p "$place/npm" "$place/opa"
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}

for tool in cargo go npm; do
    command -v "$tool" >/dev/null || { echo "tests/peers/run.sh needs $tool" >&2; exit 1; }
done

# Cerbos: a package with its binary.
cerbos_version=0.51.0
cerbos=$place/npm/node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64
if [[ ! -x $cerbos ]]; then
    [[ -f $place/npm/package.json ]] || echo '{ "private": true }' >"$place/npm/package.json"
    (cd "$place/npm" && npm install --no-audit --no-fund --loglevel=error "cerbos@$cerbos_version")
fi

# OPA: its command and its evaluator in one binary.
opa=$place/peer-opa
if [[ ! -x $opa || tests/peers/opa/main.go -nt $opa || tests/peers/opa/go.mod -nt $opa ]]; then
    cp tests/peers/opa/main.go tests/peers/opa/go.mod "$place/opa/"
    (cd "$place/opa" && go mod tidy && go build -o "$opa" .)
fi

# The crates, and what is ours in the versions of the product's own lock file.
[[ -f tests/peers/Cargo.lock ]] || cp Cargo.lock tests/peers/Cargo.lock
CARGO_TARGET_DIR=$place/cargo cargo build --release --quiet --manifest-path tests/peers/Cargo.toml

creditgate=${CREDITGATE:-}
if [[ -z $creditgate ]]; then
    cargo build --release --quiet -p creditgate
    creditgate=$PWD/target/release/creditgate
fi

# Data of a run goes with the run.
dir=$(mktemp -d "$place/run.XXXXXX")
trap 'rm -rf "$dir"' EXIT

echo "# Beside others that could do the same work"
echo
echo "$(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(rustc --version), $(go version)"
"$place/cargo/release/creditgate-peers" --creditgate "$creditgate" --cerbos "$cerbos" --opa "$opa" --dir "$dir" "$@"
