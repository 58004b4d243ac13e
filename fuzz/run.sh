#!/usr/bin/env bash
# Looks for input that breaks a promise of a decoder; see README.md.
#
#   fuzz/run.sh [SECONDS] [TARGET…]     30 seconds of each target by itself
#
# FUZZ_KEEP=no leaves the kept inputs as they are.
set -euo pipefail
cd "$(dirname "$0")"

seconds=30
[[ "${1:-}" =~ ^[0-9]+$ ]] && { seconds=$1; shift; }
# Memory of one target, and what one input may take: both far above what any of the inputs needs.
memory_mib=2048
allocation_mib=512
input_seconds=10
input_bytes=16384
# Bytes that the kept inputs of one target may have, so that all of them stay small.
kept_bytes=81920

if ! command -v cargo-fuzz >/dev/null; then
    echo "installing cargo-fuzz"
    cargo install cargo-fuzz --locked --version 0.13.2 --quiet
fi
if (($#)); then targets=("$@"); else mapfile -t targets < <(cargo fuzz list); fi

export CARGO_INCREMENTAL=0
triple=$(rustc -vV | sed -n 's/^host: //p')
build() { cargo fuzz build --sanitizer none --target "$triple" "$@"; }
if (($#)); then for target in "${targets[@]}"; do build "$target"; done; else build; fi
binaries=target/$triple/release

table=$(printf '%-16s %12s %9s %6s %6s  %s\n' target executions per-sec new kept result)
failed=0
for target in "${targets[@]}"; do
    printf '\n== %s\n' "$target"
    mkdir -p "corpus/$target" "artifacts/$target" "found/$target"
    log=$(mktemp)
    result=held
    # What is found goes to a folder of its own; the kept inputs are only read.
    "$binaries/$target" -max_total_time="$seconds" -timeout="$input_seconds" -max_len="$input_bytes" \
        -rss_limit_mb="$memory_mib" -malloc_limit_mb="$allocation_mib" -print_final_stats=1 -verbosity=0 \
        -dict=words.dict -artifact_prefix="artifacts/$target/" \
        "found/$target" "corpus/$target" >"$log" 2>&1 || { result=BROKEN; failed=1; }
    stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
    if [[ $result == BROKEN ]]; then
        tail -25 "$log"
    fi
    if [[ ${FUZZ_KEEP:-yes} == yes && $result == held ]]; then
        # The fewest inputs that reach what all reach, the smallest first, as many as there is room for.
        fewest=$(mktemp -d)
        "$binaries/$target" -merge=1 -max_len="$input_bytes" -rss_limit_mb="$memory_mib" -verbosity=0 \
            "$fewest" "corpus/$target" "found/$target" >"$log.merge" 2>&1 || {
            echo "$target: the inputs found are not merged, and stay in fuzz/found" >&2
            tail -5 "$log.merge" >&2
        }
        room=$((kept_bytes - $(find "corpus/$target" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')))
        while read -r bytes path; do
            known=$(find "corpus/$target" -type f -exec cmp -s {} "$path" \; -print -quit)
            ((bytes <= room)) && [[ -z $known ]] || continue
            cp "$path" "corpus/$target/"
            room=$((room - bytes))
        done < <(find "$fewest" -type f -printf '%s %p\n' | sort -n)
        rm -rf "$fewest"
    fi
    kept=$(find "corpus/$target" -type f | wc -l)
    table+=$'\n'$(printf '%-16s %12s %9s %6s %6s  %s' "$target" "$(stat number_of_executed_units)" \
        "$(stat average_exec_per_sec)" "$(stat new_units_added)" "$kept" "$result")
    rm -f "$log" "$log.merge"
done

printf '\n%s\n' "$table"
exit "$failed"
